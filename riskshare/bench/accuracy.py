"""Time to a given error: how long `estimate` takes until a standard error is small enough.

Runs of growing size tell the standard error of each statistic and the seconds that it took, each
error averaged (its square) over seeds. Between two sizes both are linear in logarithms; beyond
the largest, an error falls with the root of the samples, as it does at worst, and seconds grow
with the samples. What independent samples need follows from their standard error at one size.
"""

import time
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log, sqrt
from typing import Any

import numpy as np
import xarray as xr

from riskshare.analysis.estimate import estimate
from riskshare.bench.effort import Account, Effort
from riskshare.case import Case
from riskshare.names import ALL_YEARS
from riskshare.run.sampling import REPLICATES
from riskshare.run.simulate import simulate
from riskshare.summary import summarise

MONEY_TARGET = 0.001
"""The standard error to reach, as a share of the position's standard deviation."""

CHANCE_TARGET = 0.001
"""That of a probability: 0.1 percentage points."""

WEIGHT = 6.0
"""About how many seconds it takes."""

_LEAST = 65_536
_GROWTH = 4


@dataclass(frozen=True)
class Statistic:
    """A statistic of a position, as the summary names it."""

    name: str
    variable: str
    level: float | None = None

    def of(self, table: xr.Dataset, partner: str) -> tuple[float, float]:
        """Return its value and standard error over all years."""
        at = table.sel(partner=partner, year=ALL_YEARS)
        if self.level is not None:
            at = at.sel(level=self.level)
        return float(at[self.variable]), float(at[f"{self.variable}_error"])


STATISTICS = (
    Statistic("mean", "position_mean"),
    Statistic("standard deviation", "position_standard_deviation"),
    Statistic("probability of a deficit", "position_probability_of_deficit"),
    Statistic("5 % quantile", "position_quantile", 0.05),
    Statistic("TVaR 95 %", "position_tail_value_at_risk", 0.95),
    Statistic("0.5 % quantile", "position_quantile", 0.005),
)


def accuracy(
    case: Case, device: str, samples: int, effort: Effort, account: Account, what: str
) -> dict[str, Any]:
    """Return how long each statistic takes to its target, with runs of up to ``samples``."""
    sizes = _sizes(samples)
    runs: list[tuple[int, float, list[xr.Dataset]]] = []
    for place, size in enumerate(sizes):
        told = f"{what}: standard errors of {size:,} samples"
        with account.step(told, WEIGHT / 2 ** (len(sizes) - place)):
            seconds, tables = _repeated(case, device, size, effort.seeds)
        runs.append((int(tables[0].attrs["samples"]), seconds, tables))
    with account.step(f"{what}: standard errors of independent samples", WEIGHT / 2 ** len(sizes)):
        alone = _independent(case, device, sizes)
    largest = runs[-1][2][0]
    partner = _subject(largest)
    deviation = float(largest.position_standard_deviation.sel(partner=partner, year=ALL_YEARS))
    return {
        "position_of": partner,
        "year": ALL_YEARS,
        "currency": case.currency,
        "standard_deviation": deviation,
        "target_share_of_standard_deviation": MONEY_TARGET,
        "target_of_probability": CHANCE_TARGET,
        "replicates": REPLICATES,
        "seeds": effort.seeds,
        "statistics": [
            _reached(statistic, partner, runs, alone, deviation) for statistic in STATISTICS
        ],
    }


def _sizes(samples: int) -> list[int]:
    """Return the sizes of runs, the largest last."""
    sizes = [samples]
    while sizes[0] // _GROWTH >= _LEAST:
        sizes.insert(0, sizes[0] // _GROWTH)
    return sizes


def _repeated(case: Case, device: str, samples: int, seeds: int) -> tuple[float, list[xr.Dataset]]:
    """Return the least seconds, and the table of each seed."""
    tables, taken = [], []
    for seed in range(1, seeds + 1):
        start = time.perf_counter()
        tables.append(estimate(case, samples=samples, seed=seed, device=device))
        taken.append(time.perf_counter() - start)
    return min(taken), tables


def _independent(case: Case, device: str, sizes: list[int]) -> tuple[int, xr.Dataset]:
    """Return a number of samples and their table, with errors as if they were independent."""
    outcomes = simulate(case, samples=min(sizes[-1], 65_536), keep=("position",), device=device)
    return outcomes.sizes["sample"], summarise(outcomes.drop_vars("replicate"))


def _subject(table: xr.Dataset) -> str:
    """Return whose position is judged: the system's, or that of the first provider that varies."""
    at = table.sel(year=ALL_YEARS)
    kinds = dict(zip(map(str, table.partner.values), table.kind.values, strict=True))
    providers = [name for name, kind in kinds.items() if kind == "provider"]
    for name in ("system", *providers, *kinds):
        if name not in kinds:
            continue
        spread = at.position_standard_deviation.sel(partner=name)
        chance = at.position_probability_of_deficit.sel(partner=name)
        if float(spread) > 0 and np.isfinite(float(chance)):
            return name
    return str(table.partner.values[0])


def _reached(
    statistic: Statistic,
    partner: str,
    runs: list[tuple[int, float, list[xr.Dataset]]],
    alone: tuple[int, xr.Dataset],
    deviation: float,
) -> dict[str, Any]:
    """Return what one statistic takes to its target."""
    chance = "probability" in statistic.variable
    target = CHANCE_TARGET if chance else MONEY_TARGET * deviation
    sizes = [size for size, _, _ in runs]
    seconds = [spent for _, spent, _ in runs]
    found = [[statistic.of(table, partner) for table in tables] for _, _, tables in runs]
    errors = [sqrt(np.mean([error**2 for _, error in at])) for at in found]
    samples, how, slope = needed(sizes, errors, target)
    parts = (REPLICATES - 1) * len(found[0])
    apart = statistic.of(alone[1], partner)[1]
    return {
        "statistic": statistic.name,
        "value": found[-1][0][0],
        "standard_error": found[-1][0][1],
        "samples_of_value": sizes[-1],
        "target": target,
        "samples": samples,
        "samples_relative_error": 1 / sqrt(2 * parts) / slope,
        "seconds": at_size(sizes, seconds, samples),
        "how": how,
        "independent_samples": alone[0] * (apart / target) ** 2,
        "runs": [
            {"samples": size, "seconds": spent, "standard_error": error}
            for size, spent, error in zip(sizes, seconds, errors, strict=True)
        ],
    }


def needed(sizes: list[int], errors: list[float], target: float) -> tuple[float, str, float]:
    """Return the samples at which an error reaches its target, how it is known, and the slope.

    The slope is how fast the error falls there, as a power of the samples, a half or more.
    """
    if errors[0] <= target:
        return float(sizes[0]), "at most", 0.5
    points = list(zip(sizes, errors, strict=True))
    for (n, e), (more, less) in pairwise(points):
        if less <= target:
            slope = log(e / less) / log(more / n) if less > 0 else 1.0
            return n * exp(log(e / target) / slope), "between runs", max(slope, 0.5)
    return sizes[-1] * (errors[-1] / target) ** 2, "beyond runs", 0.5


def at_size(sizes: list[int], seconds: list[float], samples: float) -> float:
    """Return the seconds of a run of so many samples."""
    if samples >= sizes[-1]:
        return seconds[-1] * samples / sizes[-1]
    return float(exp(np.interp(log(samples), np.log(sizes), np.log(seconds))))
