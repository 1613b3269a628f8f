"""Some of the rows of an array, by places that a structure holds.

Places that follow each other are a slice, which compilers take into the loop that uses it; others
are looked up, which makes a loop of its own. Lines with something in common mostly stand together.
"""

from typing import Any

import jax
import numpy as np

Numbers = Any
"""A NumPy or JAX array."""


def picked(values: Numbers, places: tuple[int, ...], axis: int = 0) -> Numbers:
    """Return some rows of an array, without a copy where they are all of them in order."""
    if places == tuple(range(values.shape[axis])):
        return values
    before = (slice(None),) * axis
    return values[(*before, _adjoining(places) or _places(places))]


def replaced(values: Numbers, places: tuple[int, ...], others: Numbers) -> Numbers:
    """Return an array with some of its rows, the first axis, replaced by others.

    Raises
    ------
    ValueError
        If the others are not as many rows, of the same type and number of samples: they would be
        written in part.
    """
    wanted = (len(places), *values.shape[1:])
    if others.shape != wanted or others.dtype != values.dtype:
        raise ValueError(
            f"rows are {others.dtype} of shape {others.shape}; they replace {values.dtype} of "
            f"shape {wanted}"
        )
    if places == tuple(range(values.shape[0])):
        return others
    if not isinstance(values, jax.Array):
        copy = values.copy()
        copy[_places(places)] = others
        return copy
    here = _adjoining(places)
    if here is None:
        return values.at[_places(places)].set(others)
    # written in their place: joined to the rows around them they would be worked out in one loop
    # with what those are made of, which compilers make no vectors of
    start = (here.start, *(0 for _ in values.shape[1:]))
    return jax.lax.dynamic_update_slice(values, others, start)


def _adjoining(places: tuple[int, ...]) -> slice | None:
    """Return the slice that some places are, if each follows the one before."""
    if not places or places != tuple(range(places[0], places[0] + len(places))):
        return None
    return slice(places[0], places[0] + len(places))


def _places(places: tuple[int, ...]) -> Any:
    # what has no sign needs no look at whether it counts from the end
    return np.asarray(places, np.uint32)
