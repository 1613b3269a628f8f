"""The problem in riskshare, through its public front door."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from riskshare.bench.problem import Problem
from riskshare.bench.reference import reference_case

from .statistics import LEVEL, Summary

DIRECTIONS = 4
"""Half as many as by default: at a million samples eight know means and spreads less well."""

_case = lru_cache(reference_case)  # built once per problem, outside the clock, as a user would


def positions(problem: Problem, samples: int, seed: int) -> np.ndarray:
    """Positions (provider, sample): Sobol' samples, of which there are as many or a few more."""
    return _positions(problem, samples, seed, None)


def positions_along(problem: Problem, samples: int, seed: int) -> np.ndarray:
    """The same, the first Sobol' dimensions along the directions that move positions most."""
    return _positions(problem, samples, seed, _directions(problem))


def estimated(problem: Problem, samples: int, seed: int) -> Summary:
    """Statistics of the providers' positions from a run that keeps no sample.

    Their errors are those between replicates, and so far smaller than those of `statistics`.
    """
    import riskshare as rs

    table = rs.estimate(
        _case(problem), samples=samples, seed=seed, keep=("position",), levels=(LEVEL,)
    )
    providers = slice(problem.provider_names[0], problem.provider_names[-1])
    table = table.isel(year=0, level=0).sel(partner=providers)
    names = {"mean": "mean", "sd": "standard_deviation", "q05": "quantile"}
    return {
        statistic: (table[f"position_{name}"].values, table[f"position_{name}_error"].values)
        for statistic, name in names.items()
    }


@lru_cache
def _directions(problem: Problem) -> Any:
    """Return the directions, found once for a case and kept: outside the clock."""
    import riskshare as rs

    return rs.leading_directions(_case(problem), count=DIRECTIONS)


def _positions(problem: Problem, samples: int, seed: int, directions: Any) -> np.ndarray:
    import riskshare as rs

    outcomes = rs.simulate(
        _case(problem), samples=samples, seed=seed, keep=("position",), directions=directions
    )
    providers = slice(problem.provider_names[0], problem.provider_names[-1])
    return outcomes["position"].isel(year=0).sel(partner=providers).values
