"""Leading directions of a run: labelled, checked against a case, and as the kernel takes them.

A direction has a loading for each random column of each year. They come from a reference contract
(`riskshare.leading_directions`) and are stored with every result that used them, so that contracts
are compared on the same samples.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.bind import Bound
from riskshare.bind.leaves import MOST
from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.program.leading import Leading, Tilt, reflections
from riskshare.program.streams import sobol_dimension
from riskshare.run.sampling import columns_of

DIRECTION, COLUMN = "direction", "column"
"""Dimensions of leading directions."""


def labelled(
    case: Case, bound: Bound, loadings: NDArray[Any], attrs: dict[str, Any]
) -> xr.DataArray:
    """Return directions, (direction, column), with the columns named."""
    names = labels_of(case, bound)
    coords = {DIRECTION: np.arange(1, len(loadings) + 1), COLUMN: names}
    return xr.DataArray(
        loadings, coords, (DIRECTION, COLUMN), name="directions",
        attrs={"long_name": "loadings of leading directions on random columns"} | attrs,
    )  # fmt: skip


def labels_of(case: Case, bound: Bound) -> list[str]:
    """Return the names of all random columns: what is drawn, of what, and the year."""
    structure, indices = bound.structure, list(case.indices())
    lines = [line.name for line in case.lines]
    changes = [change.name for change in case.changes]
    found = []
    for what, columns in structure.columns.items():
        if what == "index":
            found += [indices[i] for i in structure.drawn]
        elif what == "person":
            found += [f"{what}[{lines[i // MOST]},{i % MOST + 1}]" for _, i in columns]
        elif what == "copula":
            found += [what] * len(columns)
        else:
            named = changes if what == "thinning" else lines
            found += [f"{what}[{named[i]}]" for _, i in columns]
    return [f"{name} {year}" for year in case.labels()["year"] for name in found]


def leading_of(directions: xr.DataArray | None, case: Case, bound: Bound) -> Leading | None:
    """Return directions as the kernel takes them; None where there are none.

    Columns that the directions do not know, of lines or years that were appended since, have no
    loading.

    Raises
    ------
    ArgumentError
        If they are no directions, or have a column that the case does not have.
    """
    if directions is None:
        return None
    if not isinstance(directions, xr.DataArray) or set(directions.dims) != {DIRECTION, COLUMN}:
        raise ArgumentError(
            "directions: found something else; accepted: what riskshare.leading_directions or "
            "riskshare.tail_directions returns"
        )
    own = {name: place for place, name in enumerate(labels_of(case, bound))}
    given = directions[COLUMN].values.tolist()
    unknown = [name for name in given if name not in own]
    if unknown:
        raise ArgumentError(
            f"directions have {len(unknown)} random columns that this case does not have, such as "
            f"{unknown[0]}: take them from a contract on the same drivers, lines and years"
        )
    loadings = np.zeros((len(own), directions.sizes[DIRECTION]))
    loadings[[own[name] for name in given]] = directions.transpose(COLUMN, DIRECTION).values
    if not np.allclose(loadings.T @ loadings, np.eye(loadings.shape[1]), atol=1e-6):
        raise ArgumentError("directions are not at right angles and of length 1; take them whole")
    rows = first_columns(bound, [own[name] for name in given], loadings.shape[1])
    reflectors, factor = reflections(loadings, rows)
    tilt = None
    if "tilt_shift" in directions.attrs:
        image = -reflectors @ (factor @ reflectors[rows[0]])
        image[rows[0]] += 1.0
        # what the first column is turned to: the first direction, or its opposite
        sign = float(np.sign(image @ loadings[:, 0]))
        shift, share = directions.attrs["tilt_shift"], directions.attrs["tilt_share"]
        tilt = Tilt(np.float64(sign * shift), np.float64(share), np.int32(rows[0]))
    return Leading(reflectors, factor, tilt)


def first_columns(bound: Bound, known: Sequence[int], count: int) -> NDArray[np.intp]:
    """Return the columns of the lowest Sobol' dimensions, which leading directions take.

    Of those that the directions know, so that a column appended since moves no earlier draw.
    """
    columns = columns_of(bound)
    if count > len(known):
        raise ArgumentError(
            f"there are {count} directions and {len(known)} random columns; ask for fewer"
        )
    order = sorted(known, key=lambda place: (sobol_dimension(columns[place]), place))
    return np.array(order[:count], np.intp)


def recorded(result: xr.Dataset, directions: xr.DataArray | None) -> xr.Dataset:
    """Return a result with the directions it used."""
    return result if directions is None else result.assign(directions=directions)


KEPT_ONCE: Sequence[str] = ("replicate", "weight", "directions")
"""What all sets of numbers of a run have in common."""
