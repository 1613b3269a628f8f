"""The problem in the Proteus Actuarial Library (PAL) 0.3.1, as its user would write it.

The 48 marginals are PAL variables, coupled by its Gaussian copula; the contract is arithmetic on
them, line by line. PAL couples by reordering: `GaussianCopula.apply` draws 48 correlated normals
and sorts every variable into their ranks, so the marginal samplers stay NumPy's own. Bands and
corridor are `numpy.minimum` and `maximum`, which PAL dispatches to its variables: its own contracts
are excess-of-loss layers on claims, which nothing here is. All samples are one simulation, because
the number of simulations is a global setting and reordering needs them all.
"""

from __future__ import annotations

import numpy as np
import pal
from pal.copulas import GaussianCopula
from pal.distributions import Gamma, LogNormal

from riskshare.bench.problem import LINES, Problem


def positions(problem: Problem, samples: int, seed: int) -> np.ndarray:
    """Positions (provider, sample)."""
    pal.set_default_n_sims(samples)
    pal.set_random_seed(seed)

    shape, sigma = problem.gamma_shape, problem.unit_cost_sigma
    activity = [Gamma(shape, 1.0 / shape).generate() for _ in range(LINES)]
    unit_cost = [LogNormal(-(sigma**2) / 2, sigma).generate() for _ in range(LINES)]
    GaussianCopula(problem.correlation).apply([*activity, *unit_cost])

    variable = problem.variable_share
    outlay = 0.0
    result = [0.0 for _ in problem.key]
    for line, (provider, plan_value) in enumerate(
        zip(problem.provider, problem.plan_value, strict=True)
    ):
        cost = plan_value * unit_cost[line] * (1.0 - variable + variable * activity[line])

        deviation = plan_value * (activity[line] - 1.0)
        band = problem.tolerance * plan_value
        up = np.minimum(np.maximum(deviation, 0.0), band)
        down = np.maximum(np.minimum(deviation, 0.0), -band)
        beyond = deviation - up - down
        received = (
            plan_value
            + problem.rate_up * up
            + problem.rate_down * down
            + problem.rate_beyond * beyond
        )

        outlay = outlay + received
        result[provider] = result[provider] + received - cost

    saving = problem.budget - outlay
    size = np.abs(saving) / problem.budget
    low, high = problem.corridor
    shared = problem.shares[0] * np.minimum(np.maximum(size - low, 0.0), high - low)
    shared = shared + problem.shares[1] * np.maximum(size - high, 0.0)
    shared = np.sign(saving) * problem.budget * shared
    return np.stack(
        [(own + key * shared).values for own, key in zip(result, problem.key, strict=True)]
    )
