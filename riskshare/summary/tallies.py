"""Tallies: sums and counts of the independent parts of a run, from which its statistics follow.

Chunks of samples come and go. What stays is the number of samples in each cell of a grid and, for
each part, sums, sums of squares, counts below thresholds and about quantiles, and shortfalls below
these. Sums are about a centre, in float64.
"""

import threading
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

    cells: NDArray[Any]
    """(series, cell of the grid)"""
    sums: Floats
    """(series, cell of the grid): of the samples in each, about the centre."""
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
    cells: NDArray[Any] | None = None
    """(series, cell of the grid), of all parts together."""
    cell_sums: Floats | None = None
    """(series, cell of the grid), of all parts together: sums in each about the centre."""
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
        self._add("cell_sums", counts.sums)
        for name, more in (("about", counts.about), ("short", counts.short)):
            if getattr(self, name) is None:
                setattr(self, name, np.zeros((self.parts, *more.shape[1:])))
            np.add.at(getattr(self, name), counts.parts, more)

    def _add(self, name: str, more: NDArray[Any]) -> None:
        found = getattr(self, name)
        if found is None:
            setattr(self, name, more.copy())
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
    """Counts the samples of chunks on a grid, in as many threads as call it.

    Rooms are used again, those of a thread by itself, those of counts once they are given back: to
    take new memory for every chunk takes as long as to count.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self._away = grid.ends_of_middle()[..., 0] - grid.centre[:, None].astype(np.float64)
        self._own = threading.local()
        self._given_back: list[tuple[NDArray[Any], Floats]] = []

    def __call__(
        self, series: Samples, weight: Samples | None, part_of: NDArray[np.intp]
    ) -> Counts:
        """Return the counts of samples.

        Parameters
        ----------
        series
            (block, series, sample)
        weight
            (block, sample); None where all count 1.
        part_of
            (block): the part that each belongs to.
        """
        starts = np.flatnonzero(np.diff(part_of, prepend=part_of[0] - 1))
        ends = np.append(starts[1:], len(part_of))
        rows = series.shape[1]
        # whole numbers are added to whole numbers, which takes a fourth of the time
        cells, sums = self._zeros(rows, np.dtype(np.intp if weight is None else np.float64))
        about = np.empty((len(starts), *self._away.shape, 2))
        short = np.empty(about.shape[:-1])
        for place, (start, end) in enumerate(zip(starts, ends, strict=True)):
            own = None if weight is None else weight[start:end]
            for i in range(rows):
                number, total = self._of(i, series[start:end, i], own)
                cells[i] += number
                sums[i] += total
                below = self.grid.below_middle(i, number)
                about[place, i] = below
                below_start = self.grid.below_middle(i, total)[:, 0]
                short[place, i] = below_start - below[:, 0] * self._away[i]
        return Counts(cells, sums, part_of[starts], about, short)

    def give_back(self, counts: Counts) -> None:
        """Take back the rooms of counts that nobody looks at any more."""
        self._given_back.append((counts.cells, counts.sums))

    def _zeros(self, rows: int, kind: np.dtype[Any]) -> tuple[NDArray[Any], Floats]:
        try:
            found = self._given_back.pop()
        except IndexError:
            return np.zeros((rows, CELLS + 2), kind), np.zeros((rows, CELLS + 2))
        for held in found:
            held.fill(0)
        return found

    def _of(
        self, series: int, values: Samples, weight: Samples | None
    ) -> tuple[NDArray[Any], Floats]:
        """Return how many samples, (block, sample), each cell holds, and their sums."""
        room = self._room(values)
        cell = self.grid.cells(series, values, room["place"], room["cell"]).ravel()
        gap, mass = room["gap"], None
        np.subtract(values, self.grid.centre[series], out=gap)
        if weight is not None:
            gap *= weight
            mass = weight.ravel()
        number = np.bincount(cell, mass, CELLS + 2)
        return number, np.asarray(np.bincount(cell, gap.ravel(), CELLS + 2), np.float64)

    def _room(self, values: Samples) -> dict[str, NDArray[Any]]:
        """Return a thread's rooms for so many samples."""
        held = getattr(self._own, "room", None)
        if held is None or len(held["gap"]) < len(values):
            kinds = {"place": values.dtype, "cell": np.intp, "gap": np.float64}
            held = {name: np.empty(values.shape, kind) for name, kind in kinds.items()}
            self._own.room = held
        return {name: room[: len(values)] for name, room in held.items()}
