"""The grid on which the samples of each series are counted, laid by the first of them.

Cells of one width run between two far quantiles of a pilot; what lies beyond is counted in one cell
on each side. The samples in each cell are summed beside, so that means below its ends are exact.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskshare.program.reduce import Cells
from riskshare.statistics import Floats

Samples = NDArray[Any]

CELLS = 2**14
"""Cells of a series between its far quantiles. About 1/2,000 of a standard deviation each."""

_FAR = 20.0
"""How many times smaller the probability beyond the grid is than the outermost level."""

_MARGIN = 0.05
"""What is added to the grid on each side, as a share of its width."""

_SEEN = 20
"""Samples of a pilot that tell how its tail goes on."""

_LEAST = 1e-20
"""Money below which nothing is told apart."""


@dataclass(frozen=True)
class Grid:
    """Cells, the pilot's quantiles, and thresholds of every series."""

    levels: Floats
    """Of quantiles, in increasing order."""
    low: Floats
    """(series): where the first cell starts."""
    step: Floats
    """(series): the width of a cell."""
    middle: Samples
    """(series, level): quantiles of the pilot, in the precision of the samples."""
    atoms: tuple[Floats, ...]
    """Of each series, values of which the pilot had many samples, in increasing order."""
    thresholds: Samples
    """(series, threshold): counts below them are exact."""

    def cells(self) -> Cells:
        """Return the cells, and the ends of those of the pilot's quantiles."""
        return Cells(self.low[:, None], 1 / self.step[:, None], self.ends_of_middle(), CELLS)

    @property
    def centre(self) -> Samples:
        """(series): what sums are about, a sample of the pilot."""
        return self.middle[:, 0]

    def nearest_atoms(self, values: Floats) -> Floats:
        """Return the atom nearest to each of values, (series, level); infinite where none is."""
        found = np.full(values.shape, np.inf)
        for row, own, atoms in zip(found, values, self.atoms, strict=True):
            if len(atoms):
                row[:] = atoms[np.abs(atoms[:, None] - own).argmin(axis=0)]
        return found

    @cached_property
    def middle_cells(self) -> NDArray[np.intp]:
        """Return the cells of the pilot's quantiles: (series, level)."""
        kind = self.middle.dtype
        low, inverse = (each[:, None].astype(kind) for each in (self.low, 1 / self.step))
        # in the steps and the precision of `riskshare.program.reduce.counted`
        start = np.floor(np.clip((self.middle - low) * inverse, -1, CELLS))
        return np.asarray(start.astype(np.intp) + 1)

    def ends_of_middle(self) -> Floats:
        """Return where the cells of the pilot's quantiles start and end: (series, level, 2)."""
        ends = self.sides - 1
        starts = self.starts()
        return np.stack([row[end] for row, end in zip(starts, ends, strict=True)])

    @cached_property
    def sides(self) -> NDArray[np.intp]:
        """Cells that start where those of the pilot's quantiles do, and where they end."""
        return np.clip(np.stack([self.middle_cells, self.middle_cells + 1], -1), 1, CELLS + 1)

    def starts(self) -> Floats:
        """Return where cells start and end: (series, CELLS + 1)."""
        found: Floats = self.low[:, None] + self.step[:, None] * np.arange(CELLS + 1)
        return found

    def of_threshold(self, series: int, limit: float) -> int:
        """Return which threshold of a series stands for a limit."""
        own = self.thresholds[series]
        return int(np.flatnonzero(own == at_least(np.array(limit), own.dtype))[0])


def thresholds_of(limits: list[Floats], kind: np.dtype[Any]) -> Samples:
    """Return the thresholds of each series in a type, (series, threshold), filled with its most."""
    width = max((len(own) for own in limits), default=0)
    found = np.full((len(limits), width), np.finfo(kind).max, kind)
    for row, own in zip(found, limits, strict=True):
        row[: len(own)] = at_least(own, kind)
    return found


def grid_of(pilot: Samples, weight: Samples | None, levels: Floats, thresholds: Samples) -> Grid:
    """Return the grid that samples of a pilot, (series, sample), suggest.

    Parameters
    ----------
    weight
        (sample), or None where all count 1.
    levels
        In increasing order.
    thresholds
        From `thresholds_of`.
    """
    count, kind = len(pilot), pilot.dtype
    low, step = np.empty(count), np.empty(count)
    middle = np.empty((count, len(levels)), kind)
    atoms = []
    tails = np.array([levels[0], 1 - levels[-1]]) / _FAR
    for i, row in enumerate(pilot):
        ordered, reached = _ordered(row, weight)
        far = _places(reached, np.array([tails[0], 1 - tails[1]]))
        first, last = ordered[far].astype(np.float64)
        room = _MARGIN * (last - first)
        first -= _beyond(ordered, reached, tails[0])
        last += _beyond(-ordered[::-1], 1 - np.append(0, reached[:-1])[::-1], tails[1])
        # where nothing varies, a cell is a few roundings wide, and one over it can be held
        largest = max(abs(first), abs(last), _LEAST)
        least = 4 * np.spacing(np.array(largest, kind))
        step[i] = max((last - first + 2 * room) / CELLS, float(least))
        low[i] = (first + last) / 2 - step[i] * CELLS / 2
        middle[i] = ordered[_places(reached, levels)]
        starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        many = np.diff(np.append(starts, len(row))) > max(4, 1e-4 * len(row))
        atoms.append(ordered[starts[many]].astype(np.float64))
    return Grid(levels, low, step, middle, tuple(atoms), thresholds)


def _beyond(ordered: Samples, reached: Floats, tail: float) -> float:
    """Return how far below its least sample a pilot may have to look for a tail probability.

    It goes on from its first 20 samples as if the tail were of index 2, on the verge of having no
    variance: with the root of one over the probability.
    """
    further = reached[0] / tail
    if further <= 1:
        return 0.0
    seen = ordered[min(_SEEN, len(ordered)) - 1] - ordered[0]
    return float(seen) * float(np.sqrt(further))


def at_least(limits: Floats, dtype: np.dtype[Any]) -> Samples:
    """Return the least numbers of a type that are not below these."""
    found = np.asarray(limits).astype(dtype)
    return np.where(found < limits, np.nextafter(found, np.array(np.inf, dtype)), found)


def _ordered(row: Samples, weight: Samples | None) -> tuple[Samples, Floats]:
    """Return samples in increasing order, and the share of the weight of all up to each."""
    if weight is None:
        return np.sort(row), np.arange(1, len(row) + 1) / len(row)
    order = np.argsort(row)
    reached = np.cumsum(weight[order], dtype=np.float64)
    return row[order], np.asarray(reached / reached[-1])


def _places(reached: Floats, levels: Floats) -> NDArray[np.intp]:
    """Return the first place at which each level is reached."""
    found = np.searchsorted(reached, levels - 1e-12)
    return np.minimum(found, len(reached) - 1)
