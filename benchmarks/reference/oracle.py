"""What the positions' means must be: closed forms, and a quadrature where there is none.

The pool is not linear, but given demand and winter the outlay is a sum of independent lines. Its
density follows from the product of their characteristic functions by a cosine series (Fang and
Oosterlee 2008), and the mean over the two drivers by Gauss-Hermite quadrature.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import stats

from .problem import Problem

TERMS = 128  # of the cosine series
HERMITE = 16  # nodes per driver
LEGENDRE = 32  # nodes per smooth piece


@cache
def expected_positions(problem: Problem) -> np.ndarray:
    """Mean position of each provider."""
    marginal, shared = _expected_postings(problem)
    own = problem.plan_value + marginal - expected_cost(problem)
    return problem.delivered @ own + problem.key * shared


def expected_cost(problem: Problem) -> np.ndarray:
    """Mean cost of each line: a lognormal moment with and without activity's exponents."""
    fixed, variable = _exponents(problem)
    share = problem.variable_share
    mean = (1.0 - share) * _moment(problem, fixed) + share * _moment(problem, variable)
    return problem.plan_value * mean


def cost_standard_deviation(problem: Problem) -> np.ndarray:
    """Standard deviation of each provider's cost: sums of lognormal and gamma moments."""
    fixed, variable = _exponents(problem)
    share = problem.variable_share
    parts = ((1.0 - share, fixed, 0), (share, variable, 1))
    same_line = np.eye(len(problem.plan))
    second = np.zeros_like(same_line)
    for weight, left, left_chance in parts:
        for other, right, right_chance in parts:
            moment = _moment(problem, left[:, None, :] + right[None, :, :])
            chance = 1.0 + problem.activity_cv**2 * same_line * (left_chance * right_chance)
            second += weight * other * moment * chance
    second *= 1.0 + problem.unit_cost_cv**2 * same_line
    second *= np.outer(problem.plan_value, problem.plan_value)
    mean = expected_cost(problem)
    covariance = problem.delivered @ (second - np.outer(mean, mean)) @ problem.delivered.T
    return np.sqrt(np.diag(covariance))


def _exponents(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    variable = problem.loading.T
    return variable * [0.0, 0.0, 1.0], variable


def _moment(problem: Problem, exponent: np.ndarray) -> np.ndarray:
    """E of the product of the driver factors to `exponent` (last axis: driver)."""
    covariance = problem.correlation * np.outer(problem.sigma, problem.sigma)
    quadratic = np.einsum("...i,ij,...j->...", exponent, covariance, exponent)
    return np.exp(0.5 * (quadratic - exponent @ problem.sigma**2))


def _expected_postings(problem: Problem) -> tuple[np.ndarray, float]:
    """Mean of the marginal term per line, and of the shared amount."""
    node, weight = np.polynomial.hermite_e.hermegauss(HERMITE)
    weight = weight / weight.sum()
    root = problem.sigma[:2, None] * np.linalg.cholesky(problem.correlation[:2, :2])
    marginal, shared = np.zeros_like(problem.plan), 0.0
    for i, j in np.ndindex(HERMITE, HERMITE):
        log_driver = root @ np.array([node[i], node[j]]) - problem.sigma[:2] ** 2 / 2
        given_marginal, given_shared = _given_drivers(
            problem, np.exp(log_driver @ problem.loading[:2])
        )
        marginal += weight[i] * weight[j] * given_marginal
        shared += weight[i] * weight[j] * given_shared
    return marginal, shared


def _given_drivers(problem: Problem, factor: np.ndarray) -> tuple[np.ndarray, float]:
    """The same two, given activity's driver factor per line."""
    shape = problem.activity_cv**-2
    law = stats.gamma(shape, scale=1.0 / shape)
    kinks = (1.0 + problem.tolerance * np.array([-1.0, 0.0, 1.0])) / factor[:, None]
    ends = np.broadcast_to(law.ppf([1e-15, 1.0 - 1e-15]), (len(factor), 2))
    chance, weight = _pieces(np.concatenate([ends[:, :1], kinks, ends[:, 1:]], axis=1))
    weight = weight * law.pdf(chance)

    deviation = factor[:, None] * chance - 1.0
    inside = np.clip(deviation, -problem.tolerance, problem.tolerance)
    rate = np.where(inside > 0.0, problem.rate_up, problem.rate_down)
    paid = problem.plan_value[:, None] * (
        rate * inside + problem.rate_beyond * (deviation - inside)
    )
    mean = (weight * paid).sum(axis=1)
    variance = (weight * paid**2).sum(axis=1) - mean**2
    if not variance.any() or not any(problem.shares):
        return mean, 0.0

    relative = paid / problem.budget  # the saving's size is minus the sum of these
    centre, half = mean.sum() / problem.budget, 12.0 * np.sqrt(variance.sum()) / problem.budget
    frequency = np.pi * np.arange(TERMS) / (2.0 * half)
    transform = np.einsum("lq,lqk->lk", weight, np.exp(1j * relative[:, :, None] * frequency))
    shift = np.exp(1j * frequency * (half - centre))
    coefficient = (transform.prod(axis=0) * shift).real / half
    coefficient[0] /= 2.0

    low, high = problem.corridor
    edges = np.array([centre - half, -high, -low, low, high, centre + half])
    edges = np.clip(np.sort(edges), centre - half, centre + half)
    point, weight = _pieces(edges[None, :], count=8 * LEGENDRE)
    point, weight = point[0], weight[0]
    density = np.cos(np.outer(point - centre + half, frequency)) @ coefficient
    size = np.abs(point)
    layers = problem.shares[0] * np.clip(size - low, 0.0, high - low)
    layers += problem.shares[1] * np.maximum(size - high, 0.0)
    return mean, -problem.budget * float((weight * density * np.sign(point) * layers).sum())


def _pieces(edges: np.ndarray, count: int = LEGENDRE) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre points and weights on each piece between `edges`, one row at a time."""
    node, weight = np.polynomial.legendre.leggauss(count)
    half = np.diff(edges, axis=1)[:, :, None] / 2.0
    middle = (edges[:, :-1] + edges[:, 1:])[:, :, None] / 2.0
    rows = len(edges)
    return (middle + half * node).reshape(rows, -1), (half * weight).reshape(rows, -1)
