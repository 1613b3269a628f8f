"""Derivatives by differences: runs with the same random numbers at moved numbers.

They are central, ``(f(+h) - f(-h)) / 2h``, but for a number at the end of what it may be, which
moves to the inside: ``(-3 f(0) + 4 f(h) - f(2h)) / 2h``, as good to a second order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskshare.analysis.derivatives import ALIKE
from riskshare.analysis.results import ATOM_SHARE, Results
from riskshare.bind import Bound
from riskshare.errors import CaseError
from riskshare.program.functionals import reach_of
from riskshare.run.chunks import run_chunks
from riskshare.run.program import Program
from riskshare.run.sampling import Sampling
from riskshare.run.tables import ready
from riskshare.statistics import Estimate, Floats, Replicates, ranks

RELATIVE = 0.02
"""Half of what a number is moved over, as a share of it; of `OF_NOTHING` where it is 0."""

OF_NOTHING = 0.1

FAR = 0.05
"""How far means may move in all, in standard deviations."""

WINDOW = 0.2
"""Quantiles are averaged so far about a level, as a share of the tail: one order statistic moves as
the single sample there does, whatever the others do."""

WIDER = 2**0.5

ROUNDING = 2.0**-24
"""What positions in float32 are rounded by, as a share of them."""

EDGE = 0.1
"""Share of many samples at a value that may move otherwise than they do."""

NEARER, CLOSER = 3, 8
"""How often a step is shortened at most where there are jumps, and to what part of itself."""


@dataclass(frozen=True)
class Stencil:
    """Samples of each series with a number at some places, and what each place counts for."""

    positions: tuple[Floats, ...]
    targets: tuple[Floats, ...]
    weights: Floats
    """(place): a derivative is the sum of these times the statistic at each."""
    nearest: Floats
    """(place): the same of the two places nearest to the number alone."""
    replicates: Replicates
    own: Floats
    """Positions of the case as it is."""
    goals: Floats
    """Targets of the case as it is."""
    grain: Floats
    """(series): as `riskshare.program.functionals.Functionals` has it."""

    def is_like(self, other: "Stencil") -> bool:
        """Return whether means have the same slopes by another difference.

        To a tenth of them, or within what is known: fewer samples cross a step in a shorter one.
        """
        found, others = self.mean(), other.mean()
        size = max(np.abs(found.value).max(), np.abs(others.value).max())
        known = 3 * np.hypot(found.error, others.error)
        gap = np.abs(found.value - others.value)
        return bool((gap <= np.maximum(0.1 * size, known)).all())

    def mean(self) -> Estimate:
        """Return derivatives of means."""
        return self._rows(lambda x, _: (x.mean(), x))

    def standard_deviation(self) -> Estimate:
        """Return derivatives of standard deviations; NaN of a series that never varies."""

        def of(x: Floats, _: float) -> tuple[float, Floats]:
            gap = x - x.mean()
            spread = np.sqrt((gap * gap).mean())
            if spread <= 1e-6 * np.abs(x).max():
                return np.nan, gap
            return spread, gap * gap / (2 * spread)

        return self._varied(self._rows(of))

    def probability_of_deficit(self) -> Estimate:
        """Return derivatives of the chance of a position below target; known to one sample."""
        found = self._rows(lambda x, target: ((x < target).mean(), x < target))
        grain = np.abs(self.weights).max() / self.positions[0].shape[1]
        known = Estimate(found.value, np.hypot(found.error, grain))
        near = reach_of(self.own.std(1), self.goals, self.grain)[:, None]
        met = (np.abs(self.own - self.goals[:, None]) <= near).mean(1) > ATOM_SHARE
        return Estimate(*(np.where(met, np.nan, part) for part in known))

    def quantile(self, level: float) -> Estimate:
        """Return derivatives of the mean of the quantiles about a level.

        The error counts what windows wider and narrower than `WINDOW` would have found otherwise.
        Where many samples are at the quantile it is taken by itself: beside them all is different.
        """
        found, wide, narrow = (
            self._quantile(level, WINDOW * share) for share in (1.0, WIDER, 1 / WIDER**2)
        )
        off = np.maximum(np.abs(wide.value - found.value), np.abs(narrow.value - found.value))
        held = self._at_quantile(level).mean(1) > ATOM_SHARE
        alone = self._varied(self._rows(lambda x, _: (_at(x, level), np.zeros_like(x))))
        value = np.where(held, alone.value, found.value)
        error = np.where(held, alone.error, np.hypot(found.error, off))
        return self._together(Estimate(value, error), level)

    def _at_quantile(self, level: float) -> NDArray[np.bool_]:
        """Return which samples are at the quantile, (series, sample)."""
        places = np.array([_at(row, level) for row in self.own])
        near = reach_of(self.own.std(1), places, self.grain)
        return np.asarray(np.abs(self.own - places[:, None]) <= near[:, None])

    def _together(self, found: Estimate, level: float) -> Estimate:
        """Return an estimate but of series whose many samples at a quantile move apart: NaN.

        It then spreads, another way for more of the number than for less.
        """
        at = self._at_quantile(level)
        moves = np.tensordot(self.weights, np.array(self.positions), 1)
        speed = np.array([np.median(row[here]) for row, here in zip(moves, at, strict=True)])
        near = np.maximum(ALIKE * np.abs(speed), 8 * self._rounding)[:, None]
        others = (at & (np.abs(moves - speed[:, None]) > near)).mean(1)
        # a step as long as this one takes some from the edge of what they share
        gone = (others > EDGE * at.mean(1)) & (at.mean(1) > ATOM_SHARE)
        return Estimate(*(np.where(gone, np.nan, part) for part in found))

    def _quantile(self, level: float, width: float) -> Estimate:
        half = width * min(level, 1 - level)

        def of(x: Floats, _: float) -> tuple[float, Floats]:
            first, last = ranks(len(x), np.array([level - half, level + half]))
            ordered = np.sort(x)
            within = np.clip(x, ordered[first], ordered[last])
            return ordered[first : last + 1].mean(), within / (2 * half)

        return self._varied(self._rows(of))

    def tail_value_at_risk(self, tail: float) -> Estimate:
        """Return derivatives of the mean loss in the worst outcomes of that share."""

        def of(x: Floats, _: float) -> tuple[float, Floats]:
            quantile = _at(x, tail)
            short = np.minimum(x - quantile, 0) / tail
            return -(quantile + short.mean()), -short

        return self._together(self._varied(self._rows(of)), tail)

    def _varied(self, found: Estimate) -> Estimate:
        """Return an estimate but of series that are one value but for rounding."""
        return Estimate(*(np.where(self.grain > 0, np.nan, part) for part in found))

    @property
    def _rounding(self) -> float:
        # money that is passed on is rounded as well, and may be more than what stays
        return float(ROUNDING * np.abs(self.positions[-1]).max() * np.abs(self.weights).max())

    def _rows(self, statistic: Any) -> Estimate:
        found = []
        for row in range(len(self.own)):
            at = [
                statistic(samples[row], targets[row])
                for samples, targets in zip(self.positions, self.targets, strict=True)
            ]
            values = np.array([value for value, _ in at])
            influences = (
                weight * np.asarray(of, np.float64)
                for weight, (_, of) in zip(self.weights, at, strict=True)
            )
            error = self.replicates.error(sum(influences))
            if at[0][1].dtype != np.bool_:
                error = np.hypot(error, self._rounding)
            # of one side alone: half of what the second order makes of the first
            bend = (self.weights - self.nearest) @ values / 2
            found.append((self.weights @ values, np.hypot(error, bend)))
        value, error = np.array(found).T
        return Estimate(value, np.where(np.isnan(value), np.nan, error))


def _at(samples: Floats, level: float) -> float:
    return float(np.quantile(samples, level, method="inverted_cdf"))


class Differences:
    """Runs a case with one number moved at a time."""

    def __init__(
        self,
        program: Program,
        results: Results,
        sampling: Sampling,
        dtype: Any,
        workers: int,
        grain: Floats,
        slopes: Mapping[str, Floats],
        paths: Sequence[str],
    ) -> None:
        """Take, of some numbers, about what means do, (series): it says how far to step."""
        self.grain, self.slopes = grain, slopes
        # all of them are given whichever moves: a program compiles for every other set
        self.own = {path: program.parameters[path] for path in paths if path in program.parameters}
        self.program, self.results, self.dtype, self.workers = program, results, dtype, workers
        self.sampling = sampling
        self.bounds = {
            # of several that sum to one, none may move alone, to whichever side
            path: (None, None) if one.sums_to_one else (one.lower, one.upper)
            for path, _, one in program.case.declared_numbers()
        }
        labels = sampling.replicate()
        self.replicates = Replicates() if labels is None else Replicates.labelled(labels)
        self._unmoved = self._positions(program.bound)

    def stencil(self, path: str) -> Stencil | None:
        """Return what a number moves, None where it cannot move by itself."""
        value = self.program.case.number(path)
        step = RELATIVE * (abs(value) or OF_NOTHING)
        if path in self.slopes:
            # by half as far as may be: beside a kink they move faster
            expected = self._reach(2 * step * self.slopes[path])
            step *= min(1.0, FAR / 2 / expected) if expected > FAR / 2 else 1.0
        found = self._stencil(path, value, step)
        if found is None:
            return None
        reach = self._reach(found.positions[-1].mean(1) - found.positions[0].mean(1))
        # a difference over much of the distribution is none of its derivatives
        if reach > FAR:
            step *= FAR / reach
            found = self._stencil(path, value, step)
        return found if path in self.program.parameters else self._within_jumps(path, step, found)

    def _reach(self, moved: Floats) -> float:
        """Return how far means move, (series), in standard deviations at most."""
        spread, size = self._unmoved.std(1), np.abs(self._unmoved).max()
        # a position that never varies may be moved as far as one likes
        varies = spread > 1e-6 * size
        held = np.maximum(spread, 1e-3 * np.abs(moved))
        return float(np.max(np.abs(moved)[varies] / held[varies], initial=0.0))

    def _within_jumps(self, path: str, step: float, found: Stencil | None) -> Stencil | None:
        """Return a difference over so little that no jump is in it, where there are any.

        Whole beds and wards are installed for a plan, and their number jumps with what a ward
        holds. None where the number stands at such a jump: no step is short enough.
        """
        for _ in range(NEARER):
            if found is None:
                return None
            step /= CLOSER
            closer = self._stencil(path, self.program.case.number(path), step)
            if closer is None or found.is_like(closer):
                return found
            found = closer
        return None

    def _stencil(self, path: str, value: float, step: float) -> Stencil | None:
        down, up = self._at(path, value - step), self._at(path, value + step)
        if down is not None and up is not None:
            weights = np.array([-1.0, 1.0]) / (2 * step)
            return self._of([down, up], weights, weights)
        side, near = (1, up) if down is None else (-1, down)
        if near is None:
            return None
        own, far = self.program.bound, self._at(path, value + side * 2 * step)
        nearest = side * np.array([-1.0, 1.0, 0.0]) / step
        if far is None:
            return self._of([own, near], nearest[:2], nearest[:2])
        return self._of([own, near, far], side * np.array([-1.5, 2.0, -0.5]) / step, nearest)

    def _of(self, places: list[Bound], weights: Floats, nearest: Floats) -> Stencil:
        own = self.program.bound
        return Stencil(
            tuple(self._unmoved if at is own else self._positions(at) for at in places),
            tuple(self._targets(at) for at in places),
            weights,
            nearest,
            self.replicates,
            self._unmoved,
            self._targets(own),
            self.grain,
        )

    def _at(self, path: str, value: float) -> Bound | None:
        """Return the case bound at another number; None where it is refused, or another program.

        A number that brings something in that was not there has no other side to differ from.
        """
        lower, upper = self.bounds[path]
        if (lower is not None and value < lower) or (upper is not None and value > upper):
            return None
        if path in self.program.parameters:
            # a program takes what a case would refuse, such as one share of several alone
            return self.program.at(self.own | {path: value})
        try:
            bound = ready(self.program.case.with_numbers({path: value}))
        except CaseError:
            return None
        return bound if bound.structure == self.program.bound.structure else None

    def _positions(self, bound: Bound) -> Floats:
        arrays = run_chunks(bound, self.sampling, ("position",), self.dtype, self.workers, None)
        return self.results.sums(arrays["position"])

    def _targets(self, bound: Bound) -> Floats:
        rows = np.asarray(bound.numbers.yearly.target)[:, :, 0]
        return np.asarray(self.results.weights @ rows.ravel())
