"""The problem in riskshare, through its public front door."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from riskshare.bench.problem import Problem
from riskshare.bench.reference import reference_case

_case = lru_cache(reference_case)  # built once per problem, outside the clock, as a user would


def positions(problem: Problem, samples: int, seed: int) -> np.ndarray:
    """Positions (provider, sample): Sobol' samples, of which there are as many or a few more."""
    case = _case(problem)
    import riskshare as rs

    outcomes = rs.simulate(case, samples=samples, seed=seed, keep=("position",))
    providers = slice(problem.provider_names[0], problem.provider_names[-1])
    return outcomes["position"].isel(year=0).sel(partner=providers).values
