"""The problem by hand in NumPy and SciPy: what an analyst writes without a library.

Two engines over one copula and one settlement. `positions` takes every marginal through its
`scipy.stats` quantile, as general as can be. `positions_table` is as fast as NumPy gets without
threads of its own (its BLAS has some): closed form for the lognormal laws, and a table of the gamma
quantile over an even grid of the score, read with `numpy.take` (see `GRID`). NumPy's own gamma
sampler cannot take part: a rejection sampler has no score that a copula could couple, and coupling
its draws by reordering is what PAL does. Both go through the samples in chunks that stay in cache,
so that memory is the result and little more.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from riskshare.bench.problem import LINES, PROVIDERS, Problem

CHUNK = 8_192
GRID, REACH = 4_097, 6.5
"""Nodes of the gamma table and the largest score it holds; it is at most 5e-8 off a quantile."""


def settle(problem: Problem, activity: np.ndarray, unit_cost: np.ndarray) -> np.ndarray:
    """Positions of the providers; both inputs relative to plan, (line, sample)."""
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
    cost = unit_cost * plan_value * (1.0 - variable + variable * activity)
    own = (received - cost).reshape(-1, PROVIDERS, cost.shape[1]).sum(axis=0)  # line l: l % 8
    return own + problem.key[:, None] * shared


def scores(problem: Problem, rng: np.random.Generator, n: int) -> np.ndarray:
    """The 48 coupled scores, (marginal, sample)."""
    common = rng.standard_normal((problem.factors.shape[1], n))
    score = rng.standard_normal((2 * LINES, n))
    score *= problem.own[:, None]
    score += problem.factors @ common
    return score


def positions(problem: Problem, samples: int, seed: int) -> np.ndarray:
    """Positions (provider, sample): Gaussian copula, each marginal's `scipy.stats` quantile."""
    from scipy import stats

    rng = np.random.default_rng(seed)
    shape, sigma = problem.gamma_shape, problem.unit_cost_sigma
    result = np.empty((len(problem.key), samples))
    for start in range(0, samples, CHUNK):
        n = min(CHUNK, samples - start)
        u = stats.norm.cdf(scores(problem, rng, n))
        activity = stats.gamma.ppf(u[:LINES], shape, scale=1.0 / shape)
        unit_cost = stats.lognorm.ppf(u[LINES:], sigma, scale=np.exp(-(sigma**2) / 2))
        result[:, start : start + n] = settle(problem, activity, unit_cost)
    return result


def positions_table(problem: Problem, samples: int, seed: int) -> np.ndarray:
    """Positions (provider, sample): the same copula, the gamma quantile from a table."""
    rng = np.random.default_rng(seed)
    values = gamma_table(problem.gamma_shape)
    slopes = np.diff(values)
    sigma = problem.unit_cost_sigma
    result = np.empty((len(problem.key), samples))
    for start in range(0, samples, CHUNK):
        n = min(CHUNK, samples - start)
        score = scores(problem, rng, n)
        place = np.clip((score[:LINES] + REACH) * ((GRID - 1) / (2 * REACH)), 0.0, GRID - 1.001)
        node = place.astype(np.int64)
        activity = slopes.take(node)
        activity *= place - node
        activity += values.take(node)
        unit_cost = np.exp(sigma * score[LINES:] - sigma**2 / 2)
        result[:, start : start + n] = settle(problem, activity, unit_cost)
    return result


@cache
def gamma_table(shape: float) -> np.ndarray:
    """Quantiles of the gamma law of mean 1 at the scores of the grid."""
    from scipy import special

    score = np.linspace(-REACH, REACH, GRID)
    low = special.gammaincinv(shape, special.ndtr(np.minimum(score, 0.0)))
    high = special.gammainccinv(shape, special.ndtr(-np.maximum(score, 0.0)))
    return np.where(score < 0.0, low, high) / shape
