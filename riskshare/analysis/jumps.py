"""Where money jumps: neighbouring points of a grid that differ far beyond the local slope.

A suspect interval is divided again and again. What a kink or a curve adds to it shrinks with the
interval; a jump stays, and is what is left at a relative width of 1e-12.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from riskshare.analysis.curves import Curve
from riskshare.analysis.probe import Numbers, Probe, Settled
from riskshare.names import decimals

PIECES = 64
ROUNDS = 5
"""An interval of a grid of 2,001 points ends 64^5 = 1.1e9 times narrower."""

_GUARD = 2
"""Points beyond either end of an interval, which say how the money bends around it."""

_MOST = 96
"""Intervals of one batch that are divided; the largest jumps come first."""


@dataclass(frozen=True)
class Jump:
    """A jump of one year: what jumps first, and by how much.

    ``low`` and ``high`` are parameters of the curve on either side of it.
    """

    curve: Curve
    year: int
    low: float
    high: float
    line: int | None
    """The line whose cost jumps, where it is a step of cost."""
    term: int | None
    """The term that jumps, where it is not."""
    height: float
    """Largest change of any partner's posting in the term, or that of the line's cost; upwards on
    the curve."""
    position: Numbers
    """(partner): change of each position, whatever follows from the jump included."""

    @property
    def at(self) -> float:
        """Where it is on its curve."""
        return (self.low + self.high) / 2


def rows_of(settled: Settled) -> Numbers:
    """Return cost of lines, then postings by term and partner: (year, row, sample)."""
    years, _, _, samples = settled.posting.shape
    return np.concatenate([settled.line_cost, settled.posting.reshape(years, -1, samples)], axis=1)


def flagged(values: Numbers, least: float) -> Numbers:
    """Return how far each interval's change goes beyond its neighbours', 0 where it does not.

    ``excess_i = min(|d_i - d_(i-1)|, |d_i - d_(i+1)|)``, d being differences of neighbours. It
    counts where it is above ``least`` and above four times the bend on the quieter side.

    Parameters
    ----------
    values
        (..., point).

    Returns
    -------
    (..., point - 1)
    """
    bend = np.abs(np.diff(values, n=2))
    wide = np.pad(bend, [(0, 0)] * (bend.ndim - 1) + [(2, 2)], constant_values=np.inf)
    excess = np.minimum(wide[..., 1:-2], wide[..., 2:-1])
    quiet = np.minimum(wide[..., :-3], wide[..., 3:])
    quiet = np.where(np.isfinite(quiet), quiet, 0.0)
    return np.where((excess > least) & (excess > 4 * quiet), excess, 0.0)


def smallest(probe: Probe, gross: float) -> float:
    """Return the smallest jump worth the name: half of a smallest unit, or rounding of floats."""
    return max(0.5 * 10.0 ** -decimals(probe.case.currency), 1e-12 * gross)


@dataclass(frozen=True)
class Interval:
    """A part of a curve in which something may jump."""

    curve: int
    low: float
    high: float
    weight: float


def suspects(
    probe: Probe, curve: int, grid: Numbers, settled: Settled, least: float
) -> list[Interval]:
    """Return the intervals of a curve's grid in which something may jump.

    Of the steps of a line's cost only the nearest to plan on either side are kept: a line may have
    hundreds.
    """
    excess = flagged(rows_of(settled), least)
    lines = len(probe.lines)
    in_cost, in_terms = excess[:, :lines], excess[:, lines:].max((0, 1), initial=0.0)
    kept: dict[int, float] = {}
    middle = (grid[:-1] + grid[1:]) / 2
    for year, line in np.argwhere(in_cost.any(-1)):
        steps = np.flatnonzero(in_cost[year, line])
        for side in (steps[middle[steps] < 1], steps[middle[steps] >= 1]):
            if len(side):
                nearest = side[np.argmin(np.abs(middle[side] - 1))]
                kept[int(nearest)] = np.inf
    stepped = in_cost.any((0, 1))
    for place in np.flatnonzero((in_terms > 0) & ~stepped):
        kept[int(place)] = float(in_terms[place])
    return [Interval(curve, grid[i], grid[i + 1], weight) for i, weight in kept.items()]


def located(
    probe: Probe, curves: Sequence[Curve], found: list[Interval], least: float
) -> list[Jump]:
    """Divide suspect intervals until what is left are jumps; return them year by year."""
    intervals = _largest(found)
    for round_ in range(ROUNDS):
        if not intervals:
            return []
        grids = [_divided(curves[i.curve], i) for i in intervals]
        settled = probe.settle_parts(
            [(curves[i.curve].at(g), len(g)) for i, g in zip(intervals, grids, strict=True)]
        )
        jumps: list[Jump] = []
        narrower: list[Interval] = []
        start = 0
        for interval, grid in zip(intervals, grids, strict=True):
            part = settled.samples(slice(start, start + len(grid)))
            start += len(grid)
            excess = flagged(rows_of(part), least).max((0, 1), initial=0.0)
            # neighbours that guard the ends are not themselves looked at
            inner = excess[_GUARD:-_GUARD]
            for i in np.flatnonzero(inner) + _GUARD:
                narrower.append(Interval(interval.curve, grid[i], grid[i + 1], float(excess[i])))
                if round_ == ROUNDS - 1:
                    ends = part.samples(slice(i, i + 2))
                    jumps += _by_year(probe, curves[interval.curve], grid[i : i + 2], ends, least)
        intervals = _largest(narrower)
    return _own(probe, jumps)


def _own(probe: Probe, jumps: list[Jump]) -> list[Jump]:
    """Return the jumps that a year makes itself, not those it carries on from an earlier year.

    The curve moves all years together. With the earlier years held before their own jump, one
    that is carried on is gone.
    """
    kept: list[Jump] = []
    doubtful: list[Jump] = []
    for jump in jumps:
        same = [o for o in jumps if o.curve is jump.curve and o.low == jump.low]
        (doubtful if any(o.year < jump.year for o in same) else kept).append(jump)
    if not doubtful:
        return kept
    parts = []
    for jump in doubtful:
        ends = jump.curve.at(np.array([jump.low, jump.high]))
        for values in ends.values():
            values[: jump.year, ..., 1] = values[: jump.year, ..., 0]
        parts.append((ends, 2))
    settled = probe.settle_parts(parts)
    for place, jump in enumerate(doubtful):
        pair = settled.samples(slice(2 * place, 2 * place + 2))
        if jump.line is not None:
            left = np.diff(pair.line_cost[jump.year, jump.line])
        else:
            left = np.diff(pair.posting[jump.year, jump.term])
        if np.abs(left).max() > 0.5 * abs(jump.height):
            kept.append(jump)
    return kept


def _largest(found: list[Interval]) -> list[Interval]:
    return sorted(found, key=lambda interval: -interval.weight)[:_MOST]


def _divided(curve: Curve, interval: Interval) -> Numbers:
    """Return the points of an interval with guards, within the curve's range."""
    width = (interval.high - interval.low) / PIECES
    steps = np.arange(-_GUARD, PIECES + _GUARD + 1)
    return np.clip(interval.low + width * steps, curve.start, curve.stop)


def _by_year(
    probe: Probe, curve: Curve, ends: NDArray[np.float64], settled: Settled, least: float
) -> list[Jump]:
    """Return the jumps between two points, one a year: the first thing that jumps is the cause."""
    cost = np.diff(settled.line_cost)[..., 0]
    posted = np.diff(settled.posting)[..., 0]
    position = np.diff(settled.position)[..., 0]
    found = []
    for year in range(len(probe.years)):
        line, term, height = None, None, 0.0
        stepped = np.flatnonzero(np.abs(cost[year]) > least)
        sizes = np.abs(posted[year]).max(-1, initial=0.0)
        moved = np.flatnonzero(sizes > least)
        if len(stepped):
            line = int(stepped[0])
            height = float(cost[year, line])
        elif len(moved):
            term = int(moved[0])
            entry = posted[year, term]
            height = float(np.abs(entry).max())
        else:
            continue
        found.append(
            Jump(curve, year, float(ends[0]), float(ends[1]), line, term, height, position[year])
        )
    return found
