"""Tallies: sums and counts of the independent parts of a run, from which its statistics follow.

Chunks of samples come and go. What stays is the number of samples in each cell of a grid and, for
each part, sums, sums of squares, counts below thresholds and about quantiles, and shortfalls below
these. Sums are about a centre, in float64.
"""

from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from riskshare.program.block import count_blocks
from riskshare.run.precision import cast, computing_in
from riskshare.statistics import Floats
from riskshare.summary.grid import Grid


@dataclass(frozen=True)
class Counts:
    """Where the samples of a chunk lie: how many, or how much weight."""

    cells: Floats
    """(2, series, cell of the grid): the weight in each, and the sum of places: of how far samples
    lie above the grid's start, in widths of a cell."""
    parts: NDArray[np.intp]
    """The part that each run of blocks belongs to."""
    about: Floats
    """(run, series, level, 2): below the cell of the pilot's quantile, and to its end."""
    short: Floats
    """(run, series, level): sums of min(x - where that cell starts, 0)."""


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
    """(2, series, cell of the grid), of all parts together: weights and sums of places."""
    about: Floats | None = None
    """(part, series, level, 2): below the cell of the pilot's quantile, and to its end."""
    short: Floats | None = None
    """(part, series, level): sums of min(x - where the cell of the pilot's quantile starts, 0)."""
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

    def add(self, outputs: Any, part: NDArray[np.intp], block: int) -> None:
        """Add the blocks of a chunk, which belong to these parts, each of ``block`` samples."""
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
        for name in ("below", "exhausted"):
            if name in made:
                self._add(name, np.tensordot(own, made[name], axes=1))
        sums = jax.tree.map(
            lambda pair: _whole(own, mass, *(_first(each, len(part)) for each in pair)),
            outputs["sums"],
            is_leaf=_is_pair,
        )
        self.means = sums if self.means is None else jax.tree.map(np.add, self.means, sums)

    def count(self, counts: Counts) -> None:
        """Add what was counted of samples."""
        self._add("cells", counts.cells)
        for name, more in (("about", counts.about), ("short", counts.short)):
            if getattr(self, name) is None:
                setattr(self, name, np.zeros((self.parts, *more.shape[1:])))
            np.add.at(getattr(self, name), counts.parts, more)

    def _add(self, name: str, more: Floats) -> None:
        found = getattr(self, name)
        if found is None:
            setattr(self, name, more.astype(np.float64))
        else:
            found += more


def _padded(held: Floats, more: int) -> Floats:
    return np.concatenate([held, np.zeros((more, *held.shape[1:]))])


def _first(values: Any, blocks: int) -> Floats:
    """Return the blocks that a chunk really has, in float64."""
    return np.asarray(values)[:blocks].astype(np.float64)


def _is_pair(node: Any) -> bool:
    """Return whether this is what `riskshare.program.reduce.total` gives, not a tuple of such."""
    return isinstance(node, tuple) and not isinstance(node[0], tuple)


def _whole(own: Floats, mass: Floats, first: Floats, gaps: Floats) -> Floats:
    """Return sums by part, (part, year, row), from those about the first sample of each block."""
    return np.tensordot(own, gaps + mass.reshape(-1, *[1] * (first.ndim - 1)) * first, axes=1)


class Counter:
    """Counts the samples of chunks on a grid, in as many threads as call it."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self._dtype = grid.middle.dtype
        self._cells = cast(grid.cells(), self._dtype)

    def __call__(self, series: Any, weight: Any, part_of: NDArray[np.intp]) -> Counts:
        """Return the counts of samples.

        Parameters
        ----------
        series
            (block, series, sample), on the device that made them.
        weight
            (block, sample), likewise; None where all count 1.
        part_of
            (block): the part that each belongs to. Blocks beyond these only fill the shape.
        """
        last = np.zeros(len(series), bool)
        last[: len(part_of)] = np.append(part_of[1:] != part_of[:-1], True)
        with computing_in(self._dtype):
            found = count_blocks(self._cells, series, weight, self.grid.sides, last)
            cells, reached = (np.asarray(each) for each in found)
        runs = np.diff(reached[last].astype(np.float64), axis=0, prepend=0.0)
        number, place = np.moveaxis(runs, 1, 0)
        start = self.grid.sides[..., 0] - 1
        short = self.grid.step[:, None] * (place[..., 0] - number[..., 0] * start)
        return Counts(cells, part_of[last[: len(part_of)]], number, short)
