"""The problem by hand in NumPy and SciPy: what an analyst writes without a library.

Two engines over one settlement: `positions` takes every marginal through `scipy.stats` quantiles,
as general as can be; `positions_native` uses NumPy's own samplers and works in logarithms, as fast
as NumPy gets in one thread. Both go through the samples in chunks that stay in cache (8,192 was
the best of 1,024 to 65,536 for either), so that memory is the result and little more.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from .problem import LINES, PROVIDERS, Problem

CHUNK = 8_192


def settle(problem: Problem, activity: np.ndarray, unit_cost: np.ndarray) -> np.ndarray:
    """Positions of the providers; `activity` relative to plan, both (line, sample)."""
    plan_value = problem.plan_value[:, None]

    deviation = plan_value * (activity - 1.0)
    band = problem.tolerance * plan_value
    inside = np.clip(deviation, -band, band)
    rate = np.where(inside > 0.0, problem.rate_up, problem.rate_down)
    received = plan_value + rate * inside + problem.rate_beyond * (deviation - inside)

    saving = problem.budget - received.sum(axis=0)
    size = np.abs(saving) / problem.budget
    low, high = problem.corridor
    shared = problem.shares[0] * np.clip(size - low, 0.0, high - low)
    shared += problem.shares[1] * np.maximum(size - high, 0.0)
    shared = np.sign(saving) * problem.budget * shared

    variable = problem.variable_share
    cost = unit_cost * problem.plan[:, None] * (1.0 - variable + variable * activity)
    own = (received - cost).reshape(-1, PROVIDERS, cost.shape[1]).sum(axis=0)  # line l: l % 8
    return own + problem.key[:, None] * shared


def positions(problem: Problem, samples: int, seed: int) -> np.ndarray:
    """Positions (provider, sample): Gaussian copula, each marginal's `scipy.stats` quantile."""
    rng = np.random.default_rng(seed)
    root = np.linalg.cholesky(problem.correlation)
    a, b, c = problem.loading[:, :, None]
    shape = problem.activity_cv**-2
    noise_sigma = np.sqrt(np.log1p(problem.unit_cost_cv**2))
    result = np.empty((len(problem.key), samples))
    for start in range(0, samples, CHUNK):
        n = min(CHUNK, samples - start)
        score = rng.standard_normal((3 + 2 * LINES, n))
        score[:3] = root @ score[:3]
        u = stats.norm.cdf(score)
        demand, winter, price = (
            stats.lognorm.ppf(u[i], s, scale=np.exp(-(s**2) / 2))
            for i, s in enumerate(problem.sigma)
        )
        chance = stats.gamma.ppf(u[3 : 3 + LINES], shape, scale=1.0 / shape)
        noise = stats.lognorm.ppf(u[3 + LINES :], noise_sigma, scale=np.exp(-(noise_sigma**2) / 2))
        activity = demand**a * winter**b * chance
        unit_cost = problem.unit_cost[:, None] * price**c * noise
        result[:, start : start + n] = settle(problem, activity, unit_cost)
    return result


def positions_native(problem: Problem, samples: int, seed: int) -> np.ndarray:
    """Positions (provider, sample): NumPy's gamma and normal samplers, no quantile function."""
    rng = np.random.default_rng(seed)
    root = problem.sigma[:, None] * np.linalg.cholesky(problem.correlation)
    a, b, c = problem.loading[:, :, None]
    shape = problem.activity_cv**-2
    noise_sigma = np.sqrt(np.log1p(problem.unit_cost_cv**2))
    result = np.empty((len(problem.key), samples))
    for start in range(0, samples, CHUNK):
        n = min(CHUNK, samples - start)
        demand, winter, price = root @ rng.standard_normal((3, n)) - problem.sigma[:, None] ** 2 / 2
        noise = rng.normal(-(noise_sigma**2) / 2, noise_sigma, (LINES, n))
        activity = np.exp(a * demand + b * winter)
        activity *= rng.gamma(shape, 1.0 / shape, (LINES, n))
        unit_cost = problem.unit_cost[:, None] * np.exp(c * price + noise)
        result[:, start : start + n] = settle(problem, activity, unit_cost)
    return result
