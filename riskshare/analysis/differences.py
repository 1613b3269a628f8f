"""Derivatives by differences: two runs with the same random numbers at moved numbers.

They are central, but for a number at the end of what it may be, which moves to the inside.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskshare.analysis.results import Results
from riskshare.bind import Bound
from riskshare.errors import CaseError
from riskshare.run.chunks import run_chunks
from riskshare.run.program import Program
from riskshare.run.sampling import Sampling
from riskshare.run.tables import ready
from riskshare.statistics import Estimate, Floats, Replicates, ranks

RELATIVE = 0.02
"""Half of what a number is moved over, as a share of it; of `OF_NOTHING` where it is 0."""

OF_NOTHING = 0.1

FAR = 0.2
"""How far means may move in all, in standard deviations."""

WINDOW = 0.2
"""Quantiles are averaged so far about a level, as a share of the tail: one order statistic moves as
the single sample there does, whatever the others do."""

WIDER = 2**0.5

ROUNDING = 2.0**-24
"""What positions in float32 are rounded by, as a share of them."""

MOST = 65_536
"""Samples at most."""


@dataclass(frozen=True)
class Pair:
    """Samples of each series with a number moved down and up, and by how much in all."""

    down: Floats
    up: Floats
    apart: float
    replicates: Replicates
    targets: tuple[Floats, Floats]
    still: NDArray[np.bool_]
    """(series): which are one value but for rounding, and have no spread, quantile or tail."""

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
        grain = 1 / self.down.shape[1] / abs(self.apart)
        return Estimate(found.value, np.hypot(found.error, grain))

    def quantile(self, level: float) -> Estimate:
        """Return derivatives of the mean of the quantiles about a level.

        The error counts what a window `WIDER` than `WINDOW` would have found otherwise.
        """
        found, wide = (self._quantile(level, width) for width in (WINDOW, WINDOW * WIDER))
        return Estimate(found.value, np.hypot(found.error, wide.value - found.value))

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
            quantile = np.quantile(x, tail, method="inverted_cdf")
            short = np.minimum(x - quantile, 0) / tail
            return -(quantile + short.mean()), -short

        return self._varied(self._rows(of))

    def _varied(self, found: Estimate) -> Estimate:
        return Estimate(*(np.where(self.still, np.nan, part) for part in found))

    def _rows(self, statistic: Any) -> Estimate:
        # money that is passed on is rounded as well, and may be more than what stays
        rounding, found = ROUNDING * np.abs(self.up).max(), []
        for row, (down, up) in enumerate(zip(self.down, self.up, strict=True)):
            low, below = statistic(down, self.targets[0][row])
            high, above = statistic(up, self.targets[1][row])
            influence = np.asarray(above, np.float64) - below
            error = self.replicates.error(influence)
            if below.dtype != np.bool_:
                error = np.hypot(error, rounding)
            found.append(((high - low) / self.apart, error / abs(self.apart)))
        value, error = np.array(found).T
        return Estimate(value, np.where(np.isnan(value), np.nan, error))


class Differences:
    """Runs a case with one number moved at a time."""

    def __init__(
        self,
        program: Program,
        results: Results,
        sampling: Sampling,
        dtype: Any,
        workers: int,
        still: NDArray[np.bool_],
        paths: Sequence[str],
    ) -> None:
        self.still = still
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

    def pair(self, path: str) -> Pair | None:
        """Return what a number moves, None where it cannot move by itself."""
        value = self.program.case.number(path)
        step = RELATIVE * (abs(value) or OF_NOTHING)
        found = self._pair(path, value, step)
        if found is None:
            return None
        moved = np.abs(found.up.mean(1) - found.down.mean(1))
        spread, size = found.down.std(1), np.abs(found.down).max()
        # a position that never varies may be moved as far as one likes
        varies = spread > 1e-6 * size
        reach = np.max(moved[varies] / np.maximum(spread, 1e-3 * moved)[varies], initial=0.0)
        # a difference over much of the distribution is none of its derivatives
        return found if reach <= FAR else self._pair(path, value, step * FAR / reach)

    def _pair(self, path: str, value: float, step: float) -> Pair | None:
        ends: list[tuple[float, Bound]] = []
        for at in (value - step, value + step):
            end = self._at(path, at)
            # where only one side is allowed, the difference is to the number itself
            ends.append((value, self.program.bound) if end is None else (at, end))
        (low, first), (high, second) = ends
        if low == high:
            return None
        down, up = (
            self._unmoved if end is self.program.bound else self._positions(end)
            for end in (first, second)
        )
        return Pair(
            down,
            up,
            high - low,
            self.replicates,
            (self._targets(first), self._targets(second)),
            self.still,
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

    @cached_property
    def _unmoved(self) -> Floats:
        return self._positions(self.program.bound)

    def _positions(self, bound: Bound) -> Floats:
        arrays = run_chunks(bound, self.sampling, ("position",), self.dtype, self.workers, None)
        return self.results.sums(arrays["position"])

    def _targets(self, bound: Bound) -> Floats:
        rows = np.asarray(bound.numbers.yearly.target)[:, :, 0]
        return np.asarray(self.results.weights @ rows.ravel())
