"""The problem in the Proteus Actuarial Library (PAL) 0.3.1, as its user would write it.

Drivers, chance and noise are PAL variables and the contract is arithmetic on them, line by line.
PAL couples by reordering: `GaussianCopula.apply` sorts the drivers into the copula's ranks. Bands
and corridor are `numpy.minimum` and `maximum`, which PAL dispatches to its variables: its own
contracts are excess-of-loss layers on claims, which nothing here is. All samples are one
simulation, because the number of simulations is a global setting and reordering needs them all.
"""

from __future__ import annotations

import numpy as np
import pal
from pal.copulas import GaussianCopula
from pal.distributions import Gamma, LogNormal

from .problem import Problem


def positions(problem: Problem, samples: int, seed: int) -> np.ndarray:
    """Positions (provider, sample)."""
    pal.set_default_n_sims(samples)
    pal.set_random_seed(seed)

    demand, winter, price = drivers = [LogNormal(-(s**2) / 2, s).generate() for s in problem.sigma]
    GaussianCopula(problem.correlation).apply(drivers)

    shape = problem.activity_cv**-2
    chance = Gamma(shape, 1.0 / shape)
    noise_sigma = np.sqrt(np.log1p(problem.unit_cost_cv**2))
    noise = LogNormal(-(noise_sigma**2) / 2, noise_sigma)

    variable = problem.variable_share
    outlay = 0.0
    result = [0.0 for _ in problem.key]
    for line, (provider, plan_value) in enumerate(
        zip(problem.provider, problem.plan_value, strict=True)
    ):
        a, b, c = problem.loading[:, line]
        activity = demand**a * winter**b * chance.generate()
        unit_cost = problem.unit_cost[line] * price**c * noise.generate()
        cost = unit_cost * problem.plan[line] * (1.0 - variable + variable * activity)

        deviation = plan_value * (activity - 1.0)
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
