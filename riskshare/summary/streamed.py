"""The statistics of a summary from tallies, for runs whose samples are not kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskshare.names import LEVEL, PARTNER, YEAR
from riskshare.outcomes import BY_CHANGE, BY_LINE
from riskshare.statistics import Estimate, Floats
from riskshare.summary.grid import Grid
from riskshare.summary.layout import Chances, Layout
from riskshare.summary.measures import Variables
from riskshare.summary.tallies import Tallies


@dataclass(frozen=True)
class Streamed:
    """What `riskshare.summary.measures.Measures` says of outcomes, from tallies."""

    layout: Layout
    tallies: Tallies
    grid: Grid
    weighted: bool

    def attributes(self) -> dict[str, float]:
        """Return what a table says of weighted samples: how many equal ones they are worth."""
        if not self.weighted:
            return {}
        return {"effective_samples": self._whole**2 / self.tallies.weight_squares}

    def position(self, levels: Floats) -> Variables:
        """Return the statistics of the position."""
        at = self.layout.position
        found = _picked(self._moments, at) | self._chances(self.layout.chances, at)
        variables = _labelled("position", found, (YEAR, PARTNER))
        low, tail = (np.searchsorted(self.grid.levels, x.round(12)) for x in (levels, 1 - levels))
        quantile, shortfall = self._by_level
        by_level = {
            "quantile": Estimate(quantile.value[:, low], quantile.error[:, low]),
            "value_at_risk": Estimate(-quantile.value[:, tail], quantile.error[:, tail]),
            "tail_value_at_risk": Estimate(shortfall.value[:, tail], shortfall.error[:, tail]),
        }
        return variables | _labelled("position", _picked(by_level, at), (YEAR, PARTNER, LEVEL))

    def total(self) -> Variables:
        """Return the statistics of the total that say more than those of the position."""
        at = self.layout.total
        moments = _picked(self._moments, at) if self.layout.moments_of_total else {}
        found = moments | self._chances(self.layout.total_chances, at)
        return _labelled("total", found, (YEAR, PARTNER))

    def reserve(self) -> Variables:
        """Return the chance that reserves and the totals so far fall below 0."""
        if self.tallies.exhausted is None:
            return {}
        held = self._mean(self.tallies.exhausted)
        shape = self.layout.position.shape
        found = Estimate(np.full(shape, np.nan), np.full(shape, np.nan))
        for whole, own in zip(found, held, strict=True):
            whole[:-1, self.layout.holders] = own
            whole[-1, self.layout.holders] = own[-1]
        return _labelled("reserve", {"probability_of_exhaustion": found}, (YEAR, PARTNER))

    def means(self, name: str) -> Variables:
        """Return the means of a variable by partner, line, change, or term and partner."""
        held = self.tallies.means[name]
        axes = self.layout.axes
        years = len(axes.year_labels) - 1
        yearly, summed = (np.broadcast_to(one.values, years) for one in (axes.yearly, axes.summed))
        counted = np.vstack([np.diag(yearly), summed])
        if name in BY_LINE or name in BY_CHANGE:
            row = "line" if name in BY_LINE else "change"
            sums = np.einsum("zy,ryl->rzl", counted, held)
            return _labelled(name, {"mean": self._mean(sums)}, (YEAR, row))
        members = axes.members.astype(np.float64)
        if name == "posting":
            empty = np.zeros((0, self.tallies.parts, years, members.shape[1]))
            terms = np.stack(held) if held else empty
            sums = np.einsum("zy,qp,tryp->rtzq", counted, members, terms)
            return _labelled(name, {"mean": self._mean(sums)}, ("term", YEAR, PARTNER))
        sums = np.einsum("zy,qp,ryp->rzq", counted, members, held)
        return _labelled(name, {"mean": self._mean(sums)}, (YEAR, PARTNER))

    @cached_property
    def _whole(self) -> float:
        return float(self.tallies.mass.sum())

    def _error(self, sums: Floats) -> Floats:
        """Return standard errors of means from the sums of each part, the part first.

        As `riskshare.statistics.Replicates.error`: sqrt(R / (R - 1) sum_r gap_r^2) / mass, the gap
        being the sum of a part less the mean times its mass.
        """
        mass = self.tallies.mass.reshape(-1, *[1] * (sums.ndim - 1))
        parts = int((self.tallies.mass > 0).sum())
        if parts < 2:
            return np.full(sums.shape[1:], np.nan)
        gaps = sums - mass * (sums.sum(0) / self._whole)
        return np.asarray(np.sqrt(parts / (parts - 1) * np.square(gaps).sum(0)) / self._whole)

    def _mean(self, sums: Floats) -> Estimate:
        return Estimate(sums.sum(0) / self._whole, self._error(sums))

    @cached_property
    def _moments(self) -> dict[str, Estimate]:
        tallies, mass = self.tallies, self.tallies.mass[:, None]
        gap = tallies.sums.sum(0) / self._whole
        squares = tallies.squares - 2 * gap * tallies.sums + mass * gap**2
        freedom = self._whole - tallies.weight_squares / self._whole
        deviation = np.sqrt(np.maximum(squares.sum(0), 0) / freedom)
        safe = np.where(deviation > 0, 2 * deviation, 1.0)
        return {
            "mean": Estimate(tallies.centre + gap, self._error(tallies.sums)),
            "standard_deviation": Estimate(deviation, self._error(squares) / safe),
        }

    def _chances(self, chances: Chances, at: Any) -> dict[str, Estimate]:
        found = {}
        assert self.tallies.below is not None
        for name, limits in chances.items():
            value, error = np.full(limits.shape, np.nan), np.full(limits.shape, np.nan)
            for place in map(tuple, np.argwhere(np.isfinite(limits))):
                series = at[place]
                edge = self.grid.of_threshold(series, limits[place])
                value[place], error[place] = self._mean(self.tallies.below[:, series, edge])
            found[name] = Estimate(value, error)
        return found

    @cached_property
    def _by_level(self) -> tuple[Estimate, Estimate]:
        """Return quantiles and tail values at risk at the levels of the grid: (series, level).

        A quantile lies on a line between the ends of a cell, and is at an atom where the pilot saw
        one there. Its error is Woodruff's (`riskshare.statistics.quantiles`) and,
        in squares, how far the distribution may bend within the cell; it is infinite where the
        quantile lies beyond the grid. The mean below the quantile is that below its cell, which is
        exact, and of the samples of the cell, of which it is not known where in it they are.
        """
        tallies, grid = self.tallies, self.grid
        assert tallies.cells is not None
        assert tallies.about is not None
        assert tallies.short is not None
        levels = grid.levels
        centre = grid.centre[:, None].astype(np.float64)
        start = grid.low[:, None] - centre
        reached, place = np.cumsum(tallies.cells, axis=-1)[..., :-1] / self._whole
        curve = Curve(
            start, grid.step[:, None], reached, start * reached + grid.step[:, None] * place
        )
        wanted = np.broadcast_to(levels, grid.middle.shape)
        quantile, bend = curve.at(wanted)
        quantile += centre
        atoms = grid.nearest_atoms(quantile)
        snapped = np.abs(quantile - atoms) <= grid.step[:, None]
        at_atom = np.where(curve.inside(wanted), 0.0, grid.step[:, None])
        quantile, bend = np.where(snapped, atoms, quantile), np.where(snapped, at_atom, bend)
        spread = self._error(tallies.about).max(axis=-1)
        if self.weighted:
            # samples of a tail that is drawn more often weigh about as little as the tail is rare,
            # and its slope is not to be taken from beyond it (`riskshare.statistics.quantiles`)
            width = 2 * np.maximum(spread, 0.5 * levels * (1 - levels) / tallies.samples)
            sides = (
                np.clip(levels - width, levels / 10, None),
                np.clip(levels + width, None, 1 - (1 - levels) / 10),
            )
        else:
            apart = np.sqrt(levels * (1 - levels) / tallies.samples)
            width = 2 * np.maximum(spread, np.maximum(apart, 0.5 / tallies.samples))
            # no further than half a sample from either end, where order statistics end
            last = 0.5 / tallies.samples
            sides = np.maximum(levels - width, last), np.minimum(levels + width, 1 - last)
        ends = [curve.at(side)[0] for side in sides]
        # beyond an atom that holds the level by far there is no slope
        flat = snapped & ((ends[1] - ends[0]) <= 2 * grid.step[:, None])
        rise = np.where(flat, 0.0, (ends[1] - ends[0]) / (sides[1] - sides[0]))
        below, unsure = curve.below(wanted, quantile - centre, snapped)
        moved = quantile - grid.ends_of_middle()[..., 0]
        # all samples of a cell that holds an atom stand there, none of them below
        passed = np.where(snapped, tallies.about[..., 0], tallies.about.mean(axis=-1))
        own = tallies.short - passed * moved
        errors = np.hypot(spread * rise, bend), np.hypot(self._error(own), unsure) / levels
        beyond = curve.beyond(levels)
        of_quantile, of_tail = (np.where(beyond, np.inf, error) for error in errors)
        return Estimate(quantile, of_quantile), Estimate(-(centre + below / levels), of_tail)


@dataclass(frozen=True)
class Curve:
    """Distribution functions of series about a centre, linear between the ends of cells.

    Beyond the grid the outermost lines go on.
    """

    start: Floats
    """(series, 1): the first knot."""
    step: Floats
    """(series, 1): from each knot to the next."""
    reached: Floats
    """(series, knot): the share of samples below each knot."""
    earned: Floats
    """(series, knot): sums of samples below each knot, over the number of all."""

    def at(self, levels: Floats) -> tuple[Floats, Floats]:
        """Return quantiles at levels, (series, level), and how far off the line may be.

        If the true slope changes from that of the cell before to that of the cell after somewhere
        inside a cell of height h, the line is off by at most h |s_2 - s_1| / 4. Beside an empty
        cell all samples may stand at its other end.
        """
        last = self.reached.shape[1] - 2
        cell = self._cell(levels)
        low, high = self._of(self.reached, cell), self._of(self.reached, cell + 1)
        share = np.where(high > low, (levels - low) / np.where(high > low, high - low, 1.0), 1.0)
        before = self._slope(np.maximum(cell - 1, 0))
        after = self._slope(np.minimum(cell + 1, last))
        inside = np.clip(share, 0, 1)
        room = inside * (1 - inside) + np.abs(share - inside)
        bend = np.minimum(np.abs(after - before) * (high - low) * room, self.step)
        packed = np.maximum(np.where(before > 0, 0, 1 - inside), np.where(after > 0, 0, inside))
        return self._knot(cell) + self.step * share, np.maximum(bend, packed * self.step)

    def inside(self, levels: Floats) -> NDArray[np.bool_]:
        """Return whether levels lie in the mass of an atom of their cell, (series, level).

        What else the cell holds, on either side, is taken to be no more than its neighbours hold.
        """
        cell, last = self._cell(levels), self.reached.shape[1] - 1
        low, high = self._of(self.reached, cell), self._of(self.reached, cell + 1)
        lower = np.where(cell > 0, self._of(self.reached, np.maximum(cell - 1, 0)), 0.0)
        upper = np.where(cell + 1 < last, self._of(self.reached, np.minimum(cell + 2, last)), 1.0)
        below = levels - low - (low - lower)
        above = high - levels - (upper - high)
        return np.asarray((below >= 0) & (above >= 0))

    def beyond(self, levels: Floats) -> NDArray[np.bool_]:
        """Return whether quantiles lie outside the grid, (series, level)."""
        return (levels <= self.reached[:, :1]) | (levels > self.reached[:, -1:] + 1e-12)

    def below(
        self, levels: Floats, quantile: Floats, atom: NDArray[np.bool_]
    ) -> tuple[Floats, Floats]:
        """Return sums of the samples up to levels, over the number of all, and how far off.

        Of the cell that holds a quantile, those up to it lie evenly between its start and the
        quantile, or at an atom in it.
        """
        cell = self._cell(levels)
        left, inside = self._knot(cell), levels - self._of(self.reached, cell)
        own = np.where(atom, quantile, (left + quantile) / 2)
        width = np.where(atom, 0.0, self.step)
        return self._of(self.earned, cell) + inside * own, np.abs(inside) * width / 2

    def _cell(self, levels: Floats) -> NDArray[np.intp]:
        """Return the cells in which quantiles lie, or the nearest."""
        found = [np.searchsorted(row, own) for row, own in zip(self.reached, levels, strict=True)]
        return np.clip(np.stack(found) - 1, 0, self.reached.shape[1] - 2)

    def _knot(self, cell: NDArray[np.intp]) -> Floats:
        """Return where cells start."""
        return self.start + self.step * cell

    def _slope(self, cell: NDArray[np.intp]) -> Floats:
        """Return how far the line goes for all samples in a cell; 0 where it holds none."""
        height = self._of(self.reached, cell + 1) - self._of(self.reached, cell)
        return np.where(height > 0, self.step / np.where(height > 0, height, 1.0), 0.0)

    def _of(self, values: Floats, cell: NDArray[np.intp]) -> Floats:
        return np.take_along_axis(values, cell, axis=1)


def _picked(found: Mapping[str, Estimate], at: NDArray[np.intp]) -> dict[str, Estimate]:
    """Return estimates of series as those of years and partners."""
    return {name: Estimate(one.value[at], one.error[at]) for name, one in found.items()}


def _labelled(name: str, found: Mapping[str, Estimate], dims: tuple[str, ...]) -> Variables:
    variables: Variables = {}
    for statistic, one in found.items():
        variables[f"{name}_{statistic}"] = (dims, one.value)
        variables[f"{name}_{statistic}_error"] = (dims, one.error)
    return variables
