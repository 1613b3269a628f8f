"""Where figures come from: runs on the same random numbers at whatever numbers are tried.

A source gives its figures at numbers by path, and such derivatives as it knows. What it does not
know, `riskshare.analysis.evaluation` takes from differences between two of its values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from riskshare.analysis.derivatives import Sums
from riskshare.analysis.figures import STEPPED, Measured, Number, Outcome, Position, grained, valued
from riskshare.analysis.results import Results, looked_at
from riskshare.analysis.series import kept
from riskshare.analysis.streaming import count_of, parts_of
from riskshare.bind import Bound
from riskshare.case import Case
from riskshare.program.functionals import Functionals, Kind
from riskshare.program.streams import BLOCK
from riskshare.run.chunks import run_chunks
from riskshare.run.gradients import Gradients
from riskshare.run.program import Program
from riskshare.run.sampling import Sampling
from riskshare.run.tables import ready
from riskshare.statistics import Floats

Numbers = Mapping[str, float]

ROUNDING = 1e-7
"""What float32 may do to a position, as a share of the money that makes it up."""

PILOT = 4
"""Replicates, of one block each, that say which numbers reach a gate."""


@dataclass(frozen=True)
class Sloped:
    """Figures with their derivatives."""

    measured: Measured
    slopes: Floats
    """(figure, path); NaN where they are not known."""
    reach: Floats
    """(path): how far a number moves anything that is looked at; 0 where it does not."""


class Source(Protocol):
    """Gives some figures at numbers by path."""

    step: float
    """Half of what a number is moved over for a difference, as a share of its bounds' width."""

    def at(self, numbers: Numbers) -> Measured:
        """Return the figures."""

    def sloped(self, numbers: Numbers) -> Sloped:
        """Return the figures with such derivatives as are known."""


def unknown(measured: Measured, paths: int) -> Sloped:
    """Return figures of whose derivatives nothing is known."""
    return Sloped(measured, np.full((len(measured.values), paths), np.nan), np.zeros(paths))


class Given:
    """Numbers of the case, free ones among them."""

    step = 0.0

    def __init__(self, figures: Sequence[Number], paths: Sequence[str], sampling: Sampling) -> None:
        self.figures, self.paths, self.parts = figures, list(paths), count_of(sampling)

    def at(self, numbers: Numbers) -> Measured:
        """Return the numbers."""
        found = np.array([numbers.get(one.path, one.value) for one in self.figures])
        nothing = np.zeros(len(found))
        return Measured(found, np.zeros((len(found), self.parts)), nothing, nothing)

    def sloped(self, numbers: Numbers) -> Sloped:
        """Return the numbers, each of which moves by itself alone."""
        slopes = np.array([[float(one.path == p) for p in self.paths] for one in self.figures])
        return Sloped(self.at(numbers), slopes, slopes.max(0, initial=0.0))


class Positions:
    """Statistics of positions, with the derivatives that the kernel gives by reverse mode.

    A statistic that sees how far a position jumps has none of them by a number that reaches a gate.
    """

    step = 0.01

    def __init__(
        self, figures: Sequence[Position], gradients: Gradients, sampling: Sampling, workers: int
    ) -> None:
        self.figures, self.gradients = figures, gradients
        self.sampling, self.workers = sampling, workers
        self.looked = _Looked.of(figures, gradients.program.bound)
        self.widths: Floats | None = None

    def at(self, numbers: Numbers) -> Measured:
        """Return the statistics; chances are blurred as much as when derivatives were taken."""
        results, values = self._run(numbers)
        widths = self.widths
        if widths is None:
            widths = self.looked.functionals(results, values).limit_width
        return self._measured(results, values, widths)

    def sloped(self, numbers: Numbers) -> Sloped:
        """Return the statistics and their derivatives."""
        results, values = self._run(numbers)
        functionals = self.looked.functionals(results, values)
        self.widths = functionals.limit_width
        sums = self._sums(functionals, numbers, self.sampling, True)
        # a position that hardly varies has no slope that could be known: differences serve there
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes = np.array([self.looked.slope(one, sums) for one in self.figures], np.float64)
        hard = np.array([one.statistic in STEPPED for one in self.figures])
        if self.gradients.gates and hard.any():
            slopes[np.ix_(hard, self._crossing(functionals, numbers))] = np.nan
        reach = np.abs(sums.by["derivatives"].sum(0)).max((0, 1))
        return Sloped(self._measured(results, values, self.widths), slopes, reach)

    def _measured(self, results: Results, values: Floats, widths: Floats) -> Measured:
        stepped = self.gradients.gates > 0
        return self.looked.measured(results, values, widths, self.sampling, stepped)

    def _run(self, numbers: Numbers) -> tuple[Results, Floats]:
        program = self.gradients.program
        bound = program.at(numbers)
        return self.looked.run(
            program.case, bound, self.sampling, self.gradients.dtype, self.workers
        )

    def _sums(
        self, functionals: Functionals, numbers: Numbers, sampling: Sampling, differentiated: bool
    ) -> Sums:
        parts = count_of(sampling)
        samples, held = np.zeros(parts), dict[str, Floats]()
        for chunk, found in self.gradients.run(
            sampling, functionals, self.workers, numbers=numbers, differentiated=differentiated
        ):
            own = parts_of(sampling, chunk)
            np.add.at(samples, own, chunk.size)
            for name, values in found.items():
                np.add.at(held.setdefault(name, np.zeros((parts, *values.shape[1:]))), own, values)
        return Sums(functionals, samples, held)

    def _crossing(self, functionals: Functionals, numbers: Numbers) -> NDArray[np.bool_]:
        """Return which numbers reach a gate: those by which it matters that gates stand still."""
        of = self.sampling
        each = BLOCK * (1 if of.sampler == "sobol" else PILOT)
        pilot = Sampling(of.sampler, of.seed, min(PILOT, of.replicates), each)
        whole, still = (
            self._sums(functionals, numbers, pilot, differentiated).by["derivatives"]
            for differentiated in (True, False)
        )
        most = np.abs(whole).max((0, 2), keepdims=True)
        return np.asarray((np.abs(whole - still) > 1e-6 * most).any((0, 1, 2)))


class Reference:
    """Statistics of positions under the status quo: no free number moves them."""

    step = 0.0

    def __init__(
        self, figures: Sequence[Position], case: Case, paths: int, sampling: Sampling, workers: int
    ) -> None:
        self.paths = paths
        bound = ready(case)
        looked = _Looked.of(figures, bound)
        results, values = looked.run(case, bound, sampling, np.float32, workers)
        widths = looked.functionals(results, values).limit_width
        self.measured = looked.measured(results, values, widths, sampling, False)

    def at(self, numbers: Numbers) -> Measured:
        """Return the statistics."""
        del numbers
        return self.measured

    def sloped(self, numbers: Numbers) -> Sloped:
        """Return the statistics, which stay as they are."""
        del numbers
        slopes = np.zeros((len(self.measured.values), self.paths))
        return Sloped(self.measured, slopes, np.zeros(self.paths))


class Outcomes:
    """Statistics of other outcomes, whose derivatives are differences."""

    step = 2e-3

    def __init__(
        self,
        figures: Sequence[Outcome],
        program: Program,
        paths: int,
        sampling: Sampling,
        workers: int,
    ) -> None:
        self.figures, self.program, self.paths = figures, program, paths
        self.sampling, self.workers = sampling, workers
        self.keep = kept([one.series for one in figures])

    def at(self, numbers: Numbers) -> Measured:
        """Return the statistics."""
        bound = self.program.at(numbers)
        arrays = run_chunks(bound, self.sampling, self.keep, np.float32, self.workers, None)
        samples = [one.series.samples(arrays, bound) for one in self.figures]
        both = list(zip(self.figures, samples, strict=True))
        values, influence = zip(*(valued(one, x, self.sampling) for one, x in both), strict=True)
        grain = np.array([grained(one, x) for one, x in both])
        spread = np.array([x.std() for x in samples])
        return Measured(np.array(values), np.array(influence), spread, grain)

    def sloped(self, numbers: Numbers) -> Sloped:
        """Return the statistics alone."""
        return unknown(self.at(numbers), self.paths)


@dataclass(frozen=True)
class _Looked:
    """The positions that some statistics look at."""

    figures: tuple[Position, ...]
    partners: tuple[str, ...]
    years: tuple[str, ...]
    levels: Floats
    money: float
    """Planned value of all lines and years."""

    @classmethod
    def of(cls, figures: Sequence[Position], bound: Bound) -> "_Looked":
        tails = {one.tail for one in figures if one.tail is not None}
        view = bound.plan.view
        return cls(
            tuple(figures),
            tuple(dict.fromkeys(one.partner for one in figures)),
            tuple(dict.fromkeys(one.year for one in figures)),
            np.array(sorted(tails)),
            float((view.plan * view.price).sum()),
        )

    def run(
        self, case: Case, bound: Bound, sampling: Sampling, dtype: Any, workers: int
    ) -> tuple[Results, Floats]:
        """Return the series of positions, (series, sample)."""
        targets = np.asarray(bound.numbers.yearly.target, np.float64)[:, :, 0]
        view = bound.plan.view
        planned = view.plan * view.price
        results = Results.of(case, targets, self.partners, self.years, planned)
        arrays = run_chunks(bound, sampling, ("position",), dtype, workers, None)
        return results, results.sums(arrays["position"])

    def functionals(self, results: Results, values: Floats) -> Functionals:
        """Return where distributions are looked at."""
        return looked_at(results, values, self.levels, self._kinds())

    def measured(
        self,
        results: Results,
        values: Floats,
        widths: Floats,
        sampling: Sampling,
        stepped: bool,
    ) -> Measured:
        """Return the statistics; ``stepped`` where samples may pass a gate."""
        rows = [self._row(one) for one in self.figures]
        found, influence = zip(
            *(
                valued(one, values[row], sampling, results.targets[row], float(widths[row]))
                for one, row in zip(self.figures, rows, strict=True)
            ),
            strict=True,
        )
        both = zip(self.figures, rows, strict=True)
        steps = np.array([grained(one, values[row]) if stepped else 0.0 for one, row in both])
        money = np.array([0.0 if one.chance else self.money for one in self.figures])
        grain = np.maximum(steps, ROUNDING * money)
        return Measured(np.array(found), np.array(influence), values[rows].std(1), grain)

    def slope(self, figure: Position, sums: Sums) -> Floats:
        """Return the derivatives of a statistic, by path."""
        if figure.tail is None:
            found = getattr(sums, figure.statistic)()
        else:
            place = int(np.searchsorted(self.levels, figure.tail))
            found = getattr(sums, figure.statistic)(place, figure.tail)
        return np.asarray(found.value[self._row(figure)], np.float64)

    def _row(self, figure: Position) -> int:
        year, partner = self.years.index(figure.year), self.partners.index(figure.partner)
        return year * len(self.partners) + partner

    def _kinds(self) -> tuple[Kind, ...]:
        wanted = {one.statistic for one in self.figures}
        found: list[Kind] = [("mean", -1)]
        found += [("spread", -1)] if "standard_deviation" in wanted else []
        found += [("deficit", -1)] if "probability_of_deficit" in wanted else []
        for i in range(len(self.levels)):
            found += [("near", i), ("tilt", i)]
        tails = {one.tail for one in self.figures if one.statistic == "tail_value_at_risk"}
        return (*found, *(("below", i) for i, x in enumerate(self.levels) if x in tails))
