"""Tallies: sums and counts of the independent parts of a run, from which its statistics follow.

Chunks of samples come and go. What stays is the number of samples in each cell of a grid and, for
each part, sums, sums of squares, counts below thresholds and about quantiles, and shortfalls below
these. Sums are about a centre, in float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from riskshare.statistics import Floats
from riskshare.summary.grid import CELLS, Grid, Samples


@dataclass(frozen=True)
class Counts:
    """Where the samples of a chunk lie: how many, or how much weight."""

    cells: Floats
    """(series, cell of the grid)"""
    about: list[tuple[int, Floats]]
    """By part, (series, level, 2): below the cell of the pilot's quantile, and to its end."""


@dataclass
class Tallies:
    """Sums over the samples of each part, the part first.

    ``mass`` is the number of samples or, where they are weighted, the sum of their weights.
    """

    parts: int
    centre: Floats
    """(series): what sums are about."""
    mass: Floats = field(init=False)
    weight_squares: float = 0.0
    samples: int = 0
    sums: Floats = field(init=False)
    """(part, series)"""
    squares: Floats = field(init=False)
    cells: Floats | None = None
    """(series, cell of the grid), of all parts together."""
    about: Floats | None = None
    """(part, series, level, 2): below the cell of the pilot's quantile, and to its end."""
    short: Floats | None = None
    """(part, series, level): sums of min(x - pilot's quantile, 0)."""
    below: Floats | None = None
    """(part, series, threshold)"""
    exhausted: Floats | None = None
    """(part, year, holder)"""
    means: Any = None
    """By name (or a tuple of parts of it), (part, year, row): sums of results."""

    def __post_init__(self) -> None:
        """Start at nothing."""
        self.mass = np.zeros(self.parts)
        self.sums = np.zeros((self.parts, len(self.centre)))
        self.squares = np.zeros_like(self.sums)

    def grow(self, parts: int) -> None:
        """Make room for more parts."""
        more = parts - self.parts
        if more <= 0:
            return
        self.parts = parts
        for name in ("mass", "sums", "squares", "about", "short", "below", "exhausted", "means"):
            setattr(self, name, jax.tree.map(lambda held: _padded(held, more), getattr(self, name)))

    def add(self, outputs: Any, about: Any, part: NDArray[np.intp], block: int) -> None:
        """Add the blocks of a chunk, which belong to these parts, each of ``block`` samples.

        ``about`` is what the sums of results are about.
        """
        own = np.zeros((self.parts, len(part)))
        own[part, np.arange(len(part))] = 1.0
        made = {name: _first(value, len(part)) for name, value in outputs["reduced"].items()}
        mass = made.get("weight", np.full(len(part), float(block)))
        self.samples += len(part) * block
        self.weight_squares += float(made.get("weight_squares", mass).sum())
        self.mass += own @ mass
        # float32 sums within a block, about its first sample, become float64 sums about the centre
        shift = made["first"] - self.centre
        self.sums += own @ (made["sum"] + mass[:, None] * shift)
        squares = made["squares"] + 2 * shift * made["sum"] + mass[:, None] * shift**2
        self.squares += own @ squares
        for name in ("short", "below", "exhausted"):
            if name in made:
                self._add(name, np.tensordot(own, made[name], axes=1))
        sums = jax.tree.map(
            lambda gaps, at: _whole(own, _first(gaps, len(part)), mass, at), outputs["sums"], about
        )
        self.means = sums if self.means is None else jax.tree.map(np.add, self.means, sums)

    def count(self, counts: Counts) -> None:
        """Add what was counted of samples."""
        self._add("cells", counts.cells)
        for part, about in counts.about:
            if self.about is None:
                self.about = np.zeros((self.parts, *about.shape))
            self.about[part] += about

    def _add(self, name: str, more: Floats) -> None:
        found = getattr(self, name)
        setattr(self, name, more if found is None else found + more)


def _padded(held: Floats, more: int) -> Floats:
    return np.concatenate([held, np.zeros((more, *held.shape[1:]))])


def _first(values: Any, blocks: int) -> Floats:
    """Return the blocks that a chunk really has, in float64."""
    return np.asarray(values)[:blocks].astype(np.float64)


def _whole(own: Floats, gaps: Floats, mass: Floats, about: Any) -> Floats:
    """Return sums by part, (part, year, row), from those about something by block."""
    return np.tensordot(own, gaps + np.multiply.outer(mass, np.asarray(about, np.float64)), axes=1)


def counted(grid: Grid, parts: Sequence[tuple[int, Samples, Samples | None]]) -> Counts:
    """Return the counts of samples, by part (series, sample) and their weights (sample).

    Weights are None where all count 1.
    """
    if len(parts) == 1:
        ((part, series, weight),) = parts
        cells = _cells(grid, series, weight)
        reached = np.cumsum(cells, axis=1)
        upto = np.take_along_axis(reached, grid.middle_cells, axis=1)
        inside = np.take_along_axis(cells, grid.middle_cells, axis=1)
        return Counts(cells, [(part, np.stack([upto - inside, upto], axis=-1))])
    # samples of many parts are few of each, and compared faster than put into cells
    every = np.concatenate([series for _, series, _ in parts], axis=1)
    weights = [weight for _, _, weight in parts if weight is not None]
    cells = _cells(grid, every, np.concatenate(weights) if weights else None)
    ends = grid.ends_of_middle()
    about = [(part, _below(series, weight, ends)) for part, series, weight in parts]
    return Counts(cells, about)


def _cells(grid: Grid, series: Samples, weight: Samples | None) -> Floats:
    """Return the samples, or the weight, in each cell: (series, cell)."""
    found = [np.bincount(grid.cells(i, row), weight, CELLS + 2) for i, row in enumerate(series)]
    return np.stack(found).astype(np.float64)


def _below(series: Samples, weight: Samples | None, ends: Floats) -> Floats:
    """Return the samples, or the weight, below the ends of cells: (series, level, 2)."""
    found = np.empty(ends.shape)
    for place in np.ndindex(ends.shape):
        below = series[place[0]] < ends[place]
        found[place] = np.count_nonzero(below) if weight is None else weight @ below
    return found
