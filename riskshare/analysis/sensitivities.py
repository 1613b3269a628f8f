"""Sensitivities: what one more unit of each number of a case does to each partner's result."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.analysis.derivatives import Sums
from riskshare.analysis.differences import Differences, Stencil
from riskshare.analysis.kinks import FURTHER, at_kinks, beside, declared_kinks
from riskshare.analysis.results import Results, looked_at
from riskshare.analysis.streaming import count_of, parts_of, whole_blocks
from riskshare.analysis.vocabulary import resolved
from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.names import ALL_YEARS, LEVEL, PARTNER, YEAR
from riskshare.outcomes import attributes
from riskshare.program.functionals import Functionals, Kind
from riskshare.program.streams import BLOCK
from riskshare.run.chunks import run_chunks
from riskshare.run.devices import threads
from riskshare.run.gradients import Gradients, gradients_of, program_of
from riskshare.run.program import Program
from riskshare.run.sampling import REPLICATES, Sampling, sampling_of
from riskshare.run.simulate import refuse_persons
from riskshare.statistics import Estimate, Floats
from riskshare.summary import levels_of

STATISTICS = (
    "mean",
    "standard_deviation",
    "probability_of_deficit",
    "quantile",
    "tail_value_at_risk",
)
"""Statistics that have sensitivities, by their names in a summary's table."""

BY_LEVEL = STATISTICS[3:]
SMOOTHED = STATISTICS[:2]
"""Of these a gate may be smoothed: the error is even on both sides of it. A quantile or a chance
sees how far a position jumps."""

METHODS = ("pathwise", "smoothed", "differences", "none")
PILOT = 65_536
"""Samples at most that say where each distribution is looked at, and of each difference."""

LOOKED_AT = 4
"""Blocks that tell whether a number reaches a gate, or stands at a kink."""

MEAN: Kind = ("mean", -1)


def sensitivities(
    case: Case,
    *,
    paths: str | Sequence[str] = "contracts",
    statistics: Sequence[str] = STATISTICS,
    levels: Sequence[float] = (0.05, 0.95),
    partners: Sequence[str] | None = None,
    years: Sequence[str] = (ALL_YEARS,),
    samples: int = 65_536,
    seed: int = 1,
    sampler: str = "sobol",
    replicates: int = REPLICATES,
    workers: int | None = None,
) -> xr.Dataset:
    """Return the derivative of each statistic of each position by numbers of the case.

    Derivatives are taken through the contract, the cost and the draws themselves, forward or in
    reverse, with random numbers held, so that many numbers cost little more than one. ``method``
    says by path and statistic how each came about:

    - ``pathwise``: the derivative of every sample's position, weighed as the statistic asks
      (`riskshare.program.functionals` has the formulas);
    - ``smoothed``: the same, where the number reaches a gate or a jump: what crosses it is counted
      by a kernel of a two hundredth of the term's base. Of means and standard deviations only;
    - ``differences``: central differences of two runs with the same random numbers, for whole
      counts, steps of cost and tables of laws, for numbers that stand at a kink
      (`riskshare.analysis.kinks`), and for the other statistics beyond a gate. At the end of what a
      number may be they are taken to the inside. The step either way is 2 % of the number, or
      0.002 where it is 0, less where a mean moves by a twentieth of its standard deviation in all.
      Quantiles are averaged over a fifth of the tail to each side of the level;
    - ``none``: no derivative: the number may not move a little by itself. NaN.

    A number moves alone: a share of a pool by itself, say, without the others making room.

    Parameters
    ----------
    case
        The case.
    paths
        ``contracts``: every number of the contracts; ``all``: of the case; or some of them, by
        path.
    statistics
        Of ``mean``, ``standard_deviation``, ``probability_of_deficit``, ``quantile``,
        ``tail_value_at_risk``.
    levels
        Of quantiles, and of the confidence of the tail value at risk.
    partners
        Names, groups among them; all unless given.
    years
        Labels, or ``all`` for their nominal sum.
    samples, seed, sampler, replicates, workers
        As in `riskshare.estimate`: whole blocks of 4,096 in each replicate. Differences take
        65,536 at most.

    Returns
    -------
    xarray.Dataset
        On (path, year, partner): ``position_<statistic>_derivative``, of quantile and tail value at
        risk with ``level`` besides, in money (or probability) for each unit of the number, each
        with ``<name>_error``; ``method`` on (path, statistic); ``value`` and ``unit`` on (path).
        Errors count what the width of a kernel or window does, besides sampling. NaN where there is
        no derivative: of a probability at a target that positions meet exactly, of the standard
        deviation of a position that never varies, of quantile and tail where the quantile is a
        value that many samples have and that they leave at different speeds.

    Raises
    ------
    ArgumentError
        For paths, statistics, partners or years that are not there; for a level with fewer than 64
        samples beyond it; for cases that are drawn person by person.

    Examples
    --------
    >>> import riskshare as rs
    >>> found = rs.sensitivities(rs.load_case("msk-toy"), statistics=["mean"])
    >>> rate = found.sel(path="msk.funding.amount", year="all", partner="commissioner")
    >>> round(float(rate.position_mean_derivative), 6)
    1.0
    """
    wanted = _statistics(statistics)
    program = program_of(case)
    refuse_persons(program.bound)
    numbers = _paths(case, paths)
    targets = np.asarray(program.bound.numbers.yearly.target)[:, :, 0]
    results = Results.of(case, targets, partners, years)
    levels_asked = levels_of(levels)
    sampling = whole_blocks(sampling_of(samples, seed, sampler, replicates))
    for level in levels_asked if {*wanted} & {*BY_LEVEL} else ():
        resolved(f"level {level:g}", min(level, 1 - level), sampling.samples)
    run = _Run(program, results, wanted, levels_asked, sampling, threads(workers))
    found = _Found.empty(numbers, run)
    inner = tuple(path for path in numbers if path in program.parameters)
    if inner:
        run.by_gradients(found, inner)
    run.by_differences(found)
    return _dataset(found, run, samples)


@dataclass
class _Found:
    """Derivatives of every number so far, and how each came about."""

    paths: list[str]
    values: dict[str, Floats]
    """By statistic: (series, path), or (level, series, path)."""
    errors: dict[str, Floats]
    method: dict[str, list[str]] = field(default_factory=dict)
    """By statistic, of each path."""

    @classmethod
    def empty(cls, paths: list[str], run: "_Run") -> "_Found":
        """Return room for derivatives, all NaN."""
        shape = (len(run.results.weights), len(paths))
        shapes = {
            name: (len(run.levels), *shape) if name in BY_LEVEL else shape for name in run.wanted
        }
        values = {name: np.full(shape, np.nan) for name, shape in shapes.items()}
        errors = {name: np.full(shape, np.nan) for name, shape in shapes.items()}
        return cls(paths, values, errors, {name: ["none"] * len(paths) for name in run.wanted})

    def put(self, name: str, level: Any, places: Any, estimate: Estimate, method: str) -> None:
        """Note derivatives of a statistic, (series[, path]), by the paths in some places."""
        for held, new in zip((self.values, self.errors), estimate, strict=True):
            of_level = held[name] if level is None else held[name][level]
            of_level[:, places] = new
        for place in np.atleast_1d(places):
            self.method[name][place] = method


class _Run:
    """A program, the results whose statistics are wanted, and the samples to take."""

    def __init__(
        self,
        program: Program,
        results: Results,
        wanted: tuple[str, ...],
        levels: Floats,
        sampling: Sampling,
        workers: int,
    ) -> None:
        self.program, self.results, self.wanted, self.levels = program, results, wanted, levels
        self.sampling, self.workers, self.dtype = sampling, workers, np.float32
        self.tails = (1 - levels).round(12)
        edges = levels if "quantile" in wanted else levels[:0]
        tails = self.tails if "tail_value_at_risk" in wanted else levels[:0]
        self.looked_at = np.unique(np.concatenate([edges, tails]).round(12))
        self.slopes: dict[str, Floats] = {}
        """Derivatives of means on the first blocks, by path: (series)."""

    def by_gradients(self, found: _Found, inner: tuple[str, ...]) -> None:
        """Put in what the kernel's derivative gives."""
        gradients = gradients_of(self.program.case, inner, self.dtype)
        functionals = self._functionals
        spread = float(functionals.spread.max())
        nudged = beside(self.program.case, gradients.own, spread)
        # first of all, for what moves beside a kink may be more than at it: one program serves both
        after = self._look(gradients, gradients.own | nudged, functionals) if nudged else None
        sums, first = self._sums(gradients, functionals)
        if MEAN in functionals.kinds:
            means = first.mean(0)[functionals.kinds.index(MEAN)] / BLOCK
            self.slopes = dict(zip(inner, means.T, strict=True))
        places = np.array([found.paths.index(path) for path in inner])
        crossing = self._crossing(gradients, functionals, first)
        known = set(declared_kinks(self.program.case))
        at_kink = np.array([path in known for path in inner]) & (first != 0).any((0, 1, 2))
        if after is not None:
            own, near = (self._told(look.sum(0)) for look in (first, after))
            few = crossing | (MEAN not in functionals.kinds)
            seen = at_kinks(own, near, few)
            if (seen & ~at_kink).any():
                nudged = beside(self.program.case, gradients.own, spread, FURTHER)
                further = self._look(gradients, gradients.own | nudged, functionals)
                further = self._told(further.sum(0))
                seen = at_kinks(own, near, few, further)
            at_kink |= seen
        for name, level, estimate in self._estimates(sums):
            for gated, method in ((False, "pathwise"), (True, "smoothed")):
                these = (crossing == gated) & ~at_kink
                if these.any() and (not gated or name in SMOOTHED):
                    part = Estimate(estimate.value[:, these], estimate.error[:, these])
                    found.put(name, level, places[these], part, method)

    def _crossing(
        self, gradients: Gradients, functionals: Functionals, first: Floats
    ) -> NDArray[np.bool_]:
        """Return which numbers reach a gate: holding all gates still changes their derivatives.

        Told of means, for what crosses may lie far from a quantile, and move it none the less.
        """
        if not gradients.gates:
            return np.zeros(first.shape[-1], np.bool_)
        if MEAN not in functionals.kinds:
            functionals = replace(functionals, kinds=(MEAN,))
            first = self._look(gradients, gradients.own, functionals)
        still = self._look(gradients, gradients.own, functionals, differentiated=False)
        apart = np.abs(first - still) > 1e-6 * np.abs(first).max((0, 2), keepdims=True)
        return np.asarray(apart.any((0, 1, 2)))

    def _look(
        self,
        gradients: Gradients,
        numbers: Mapping[str, float],
        functionals: Functionals,
        *,
        differentiated: bool = True,
    ) -> Floats:
        """Return derivatives of the first blocks, (block, weight, series, path)."""
        run = gradients.run(
            self.sampling,
            functionals,
            self.workers,
            numbers=numbers,
            differentiated=differentiated,
            blocks=slice(LOOKED_AT),
        )
        return np.concatenate([found["derivatives"] for _, found in run])

    def _told(self, derivatives: Floats) -> Floats:
        """Return what tells of kinks: means, or all but of quantiles that are one value.

        Samples that are at such a quantile are not at it beside a kink, nor anywhere else.
        """
        functionals = self._functionals
        if MEAN in functionals.kinds:
            return derivatives[[functionals.kinds.index(MEAN)]]
        held = np.asarray(functionals.atom).any(1, keepdims=True)
        return np.where(held, np.nan, derivatives)

    def by_differences(self, found: _Found) -> None:
        """Put in, by differences, what has no derivative so far."""
        missing = [
            place
            for place in range(len(found.paths))
            if any(method[place] == "none" for method in found.method.values())
        ]
        if not missing:
            return
        differences = Differences(
            self.program,
            self.results,
            self._few_samples,
            self.dtype,
            # threads are over numbers, whose runs are short, unless there is but one
            self.workers if len(missing) == 1 else 1,
            grain=np.asarray(self._functionals.grain),
            slopes=self.slopes,
            paths=[found.paths[place] for place in missing],
        )

        def differenced(place: int) -> list[tuple[str, int | None, Estimate]]:
            stencil = differences.stencil(found.paths[place])
            lacking = tuple(name for name in self.wanted if found.method[name][place] == "none")
            return [] if stencil is None else list(self._differences(stencil, lacking))

        with ThreadPoolExecutor(self.workers) as pool:
            for place, estimates in zip(missing, pool.map(differenced, missing), strict=True):
                for name, level, estimate in estimates:
                    found.put(name, level, place, estimate, "differences")

    @cached_property
    def _few_samples(self) -> Sampling:
        asked = min(PILOT, self.sampling.samples)
        return sampling_of(asked, self.sampling.seed, self.sampling.sampler, REPLICATES)

    @cached_property
    def _functionals(self) -> Functionals:
        few, keep = self._few_samples, ("received", "paid", "position")
        arrays = run_chunks(self.program.bound, few, keep, self.dtype, self.workers, None)
        rows = (arrays["received"] + arrays["paid"]).mean(-1, dtype=np.float64).ravel()
        results = replace(self.results, flows=np.abs(self.results.weights) @ rows)
        values = results.sums(arrays["position"])
        return looked_at(results, values, self.looked_at, self._kinds())

    def _kinds(self) -> tuple[Kind, ...]:
        found: list[Kind] = []
        if {"mean", "standard_deviation"} & {*self.wanted}:
            found.append(MEAN)
        if "standard_deviation" in self.wanted:
            found.append(("spread", -1))
        if "probability_of_deficit" in self.wanted:
            found += [("deficit", -1), ("deficit_wide", -1)]
        for level in range(len(self.looked_at)):
            found += [(name, level) for name in ("near", "near_wide", "tilt")]
        if "tail_value_at_risk" in self.wanted:
            found += [("below", self._place(tail)) for tail in self.tails]
        return tuple(found)

    def _place(self, level: float) -> int:
        return int(np.searchsorted(self.looked_at, round(float(level), 12)))

    def _sums(self, gradients: Gradients, functionals: Functionals) -> tuple[Sums, Floats]:
        """Return the sums of each independent part of the run, and derivatives of its first blocks.

        Those are by block: (block, weight, series, path).
        """
        parts = count_of(self.sampling)
        samples, held = np.zeros(parts), dict[str, Floats]()
        first: list[Floats] = []
        for chunk, sums in gradients.run(self.sampling, functionals, self.workers):
            own = parts_of(self.sampling, chunk)
            np.add.at(samples, own, chunk.size)
            for name, values in sums.items():
                whole = held.setdefault(name, np.zeros((parts, *values.shape[1:])))
                np.add.at(whole, own, values)
            first.extend(sums["derivatives"][: LOOKED_AT - len(first)])
        return Sums(functionals, samples, held), np.stack(first)

    def _estimates(self, sums: Sums) -> Iterator[tuple[str, int | None, Estimate]]:
        for name in self.wanted:
            if name not in BY_LEVEL:
                yield name, None, getattr(sums, name)()
                continue
            for i, (level, tail) in enumerate(zip(self.levels, self.tails, strict=True)):
                of = level if name == "quantile" else tail
                yield name, i, getattr(sums, name)(self._place(of), float(of))

    def _differences(
        self, stencil: Stencil, wanted: tuple[str, ...]
    ) -> Iterator[tuple[str, int | None, Estimate]]:
        for name in wanted:
            if name not in BY_LEVEL:
                yield name, None, getattr(stencil, name)()
                continue
            for i, (level, tail) in enumerate(zip(self.levels, self.tails, strict=True)):
                if name == "quantile":
                    yield name, i, stencil.quantile(float(level))
                else:
                    yield name, i, stencil.tail_value_at_risk(float(tail))


def _statistics(asked: Sequence[str]) -> tuple[str, ...]:
    found = tuple(asked)
    wrong = [name for name in found if name not in STATISTICS]
    if wrong or isinstance(asked, str) or not found:
        said = repr(wrong[0]) if wrong and not isinstance(asked, str) else repr(asked)
        raise ArgumentError(
            f"statistics: found {said}; accepted: a list of {', '.join(STATISTICS)}"
        )
    return tuple(dict.fromkeys(found))


def _paths(case: Case, asked: str | Sequence[str]) -> list[str]:
    """Return the paths meant."""
    numbers = case.numbers()
    if asked == "all":
        return list(numbers)
    if asked == "contracts":
        heads = tuple(f"{contract.name}." for contract in case.contracts)
        return [path for path in numbers if path.startswith(heads)]
    if isinstance(asked, str):
        raise ArgumentError(
            f"paths: found {asked!r}; accepted: 'contracts', 'all', a list of paths"
        )
    for path in asked:
        if path not in numbers:
            near = difflib.get_close_matches(path, numbers, n=3)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise ArgumentError(
                f"paths: no number has the path {path!r}{hint or '; or: contracts, all'}"
            )
    return list(dict.fromkeys(asked))


def _dataset(found: _Found, run: _Run, asked: int) -> xr.Dataset:
    case, results = run.program.case, run.results
    variables: dict[str, Any] = {}
    units = {path: declared.unit for path, _, declared in case.declared_numbers()}
    for name in run.wanted:
        for ending, held in (("", found.values), ("_error", found.errors)):
            values = held[name]
            if name == "probability_of_deficit":
                values = np.where(results.deficits[:, None] > 0, values, np.nan)
            # (level, series, path) to (path, year, partner, level)
            by_series = np.moveaxis(values, (-2, -1), (0, 1)) if values.ndim > 2 else values
            table = np.moveaxis(results.table(by_series), 2, 0)
            dims = ("path", YEAR, PARTNER, *((LEVEL,) if name in BY_LEVEL else ()))
            unit = "1" if name == "probability_of_deficit" else case.currency
            words = f"derivative of the {name.replace('_', ' ')} of the position by the number"
            attrs = {"units": f"{unit} per unit", "long_name": f"standard error: {words}"}
            if not ending:
                attrs["long_name"] = words
            variables[f"position_{name}_derivative{ending}"] = (dims, table, attrs)
    numbers = case.numbers()
    method = np.array([found.method[name] for name in run.wanted], object).T
    coordinates: dict[str, Any] = {
        "path": found.paths,
        YEAR: list(results.years),
        PARTNER: list(results.partners),
        "statistic": list(run.wanted),
        "value": ("path", [numbers[path] for path in found.paths]),
        "unit": ("path", np.array([units[path] for path in found.paths], object)),
    }
    if any(name in BY_LEVEL for name in run.wanted):
        coordinates[LEVEL] = run.levels
    variables["method"] = (("path", "statistic"), method)
    attrs = attributes(case, "float32") | run.sampling.attributes(asked)
    return xr.Dataset(variables, coordinates, attrs)
