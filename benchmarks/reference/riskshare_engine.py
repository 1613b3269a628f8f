"""The problem in riskshare, through its public front door."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from riskshare.bench.problem import Problem
from riskshare.bench.reference import reference_case

from .statistics import LEVEL, Summary

_case = lru_cache(reference_case)  # built once per problem, outside the clock, as a user would


def positions(problem: Problem, samples: int, seed: int) -> np.ndarray:
    """Positions (provider, sample): Sobol' samples, of which there are as many or a few more."""
    case = _case(problem)
    import riskshare as rs

    outcomes = rs.simulate(case, samples=samples, seed=seed, keep=("position",))
    providers = slice(problem.provider_names[0], problem.provider_names[-1])
    return outcomes["position"].isel(year=0).sel(partner=providers).values


def estimated(problem: Problem, samples: int, seed: int) -> Summary:
    """Statistics of the providers' positions from a run that keeps no sample.

    Their errors are those between replicates, and so far smaller than those of `statistics`.
    """
    return _estimated(problem, samples, seed, None)


def estimated_along(problem: Problem, samples: int, seed: int) -> Summary:
    """The same, the first Sobol' dimensions along the directions that move positions most."""
    return _estimated(problem, samples, seed, _directions(problem))


@lru_cache
def _directions(problem: Problem) -> Any:
    """Return the directions, found once for a case and kept: outside the clock."""
    import riskshare as rs

    return rs.leading_directions(_case(problem))


def _estimated(problem: Problem, samples: int, seed: int, directions: Any) -> Summary:
    import riskshare as rs

    case = _case(problem)
    table = rs.estimate(
        case,
        samples=samples,
        seed=seed,
        keep=("position",),
        levels=(LEVEL,),
        directions=directions,
    )
    providers = slice(problem.provider_names[0], problem.provider_names[-1])
    table = table.isel(year=0, level=0).sel(partner=providers)
    names = {"mean": "mean", "sd": "standard_deviation", "q05": "quantile"}
    return {
        statistic: (table[f"position_{name}"].values, table[f"position_{name}_error"].values)
        for statistic, name in names.items()
    }
