"""What a planning model gives in place of what is drawn."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

Numbers = Any
"""A NumPy or JAX array."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Given:
    """Given values of one year (all of them with a leading axis): NaN in cells that are drawn.

    A variable that is None is drawn throughout, and the program is then the one without it.
    """

    index: Numbers | None = None
    """(index, sample)"""
    mean: Numbers | None = None
    """(line, sample): activity before the line's own chance, which is added to it."""
    activity: Numbers | None = None
    """(line, sample): activity with its chance, taken as it is, whatever the capacity."""
    case_mix: Numbers | None = None
    unit_cost: Numbers | None = None
    cost: Numbers | None = None
    """(line, sample): cost taken as it is; the cost model serves where it is NaN."""


NOTHING = Given()
"""Everything is drawn."""


def instead(given: Numbers | None, drawn: Array) -> Array:
    """Return what is given, and what is drawn where nothing is."""
    return drawn if given is None else jnp.where(jnp.isnan(given), drawn, given)
