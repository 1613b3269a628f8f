"""What the positions' means and the costs' SDs must be, by quadrature: no sample is drawn.

Moments of the cost: a lognormal factor shifts the scores that are correlated with it
(E[g(x) exp(s y - s^2/2)] = E[g(x + s r)]), which leaves Gauss-Hermite over the gamma scores alone.
The pool is not linear, but given the three factors the outlay is a sum of independent lines: the
characteristic function of its deviation is their product, averaged over the factors. A cosine
series of that function gives the density (Fang and Oosterlee 2008), and the density the mean of
the layers.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import special

from riskshare.bench.problem import LINES, Problem

HERMITE = 48  # nodes per score, for moments of the cost
LEGENDRE = 64  # nodes per smooth piece of a line's score
REACH = 9.0  # largest score that counts
STEP = 0.2  # of the trapezoidal rule over the factors' main direction
ACROSS = 8  # Gauss-Hermite nodes per other direction of the factors
TERMS = 160  # of the cosine series
HALF = 0.9  # the series' half width, as a share of the budget


@cache
def expected_positions(problem: Problem) -> np.ndarray:
    """Mean position of each provider."""
    score, weight = _line_scores(problem)
    marginal = problem.plan_value * (_normal_density(score) * weight @ _paid(problem, score))
    own = problem.plan_value + marginal - expected_cost(problem)
    return problem.delivered @ own + problem.key * _expected_shared(problem)


def expected_cost(problem: Problem) -> np.ndarray:
    """Mean cost of each line."""
    node, weight = _hermite()
    row = np.arange(LINES)
    shift = problem.unit_cost_sigma * problem.correlation[row, LINES + row]
    mean = _cost_factor(problem, node + shift[:, None]) @ weight
    return problem.plan_value * mean


def cost_standard_deviation(problem: Problem) -> np.ndarray:
    """Standard deviation of each provider's cost."""
    node, weight = _hermite()
    sigma, correlation = problem.unit_cost_sigma, problem.correlation
    second = np.empty((LINES, LINES))
    for i, j in np.ndindex(LINES, LINES):
        prices = LINES + np.array([i, j])
        one, other = sigma * correlation[np.ix_([i, j], prices)].sum(axis=1)
        between = correlation[i, j]
        left = node[:, None] + one
        right = between * node[:, None] + np.sqrt(max(1.0 - between**2, 0.0)) * node + other
        product = _cost_factor(problem, left) * _cost_factor(problem, right)
        second[i, j] = np.exp(sigma**2 * correlation[prices[0], prices[1]]) * (
            weight @ product @ weight
        )
    second *= np.outer(problem.plan_value, problem.plan_value)
    mean = expected_cost(problem)
    covariance = problem.delivered @ (second - np.outer(mean, mean)) @ problem.delivered.T
    return np.sqrt(np.diag(covariance))


def gamma_quantile(problem: Problem, score: np.ndarray) -> np.ndarray:
    """The activity factor at a normal score, exact in both tails."""
    low = special.gammaincinv(problem.gamma_shape, special.ndtr(np.minimum(score, 0.0)))
    high = special.gammainccinv(problem.gamma_shape, special.ndtr(-np.maximum(score, 0.0)))
    return np.where(score < 0.0, low, high) / problem.gamma_shape


def _cost_factor(problem: Problem, score: np.ndarray) -> np.ndarray:
    share = problem.variable_share
    return 1.0 - share + share * gamma_quantile(problem, score)


def _paid(problem: Problem, score: np.ndarray) -> np.ndarray:
    """The marginal term of a line at its activity score, as a share of its plan value."""
    deviation = gamma_quantile(problem, score) - 1.0
    inside = np.clip(deviation, -problem.tolerance, problem.tolerance)
    rate = np.where(inside > 0.0, problem.rate_up, problem.rate_down)
    return rate * inside + problem.rate_beyond * (deviation - inside)


def _expected_shared(problem: Problem) -> float:
    """Mean of the amount that the pool shares."""
    if not any(problem.shares):
        return 0.0
    frequency = np.pi * np.arange(TERMS) / (2.0 * HALF)
    transform = _transform(problem, frequency) * np.exp(1j * frequency * HALF)
    coefficient = transform.real / HALF
    coefficient[0] /= 2.0

    low, high = problem.corridor
    edges = np.array([-HALF, -high, -low, low, high, HALF])
    point, weight = _pieces(edges, 4 * LEGENDRE)  # deviation of the outlay over budget
    density = np.cos(np.outer(point + HALF, frequency)) @ coefficient
    size = np.abs(point)
    layers = problem.shares[0] * np.clip(size - low, 0.0, high - low)
    layers += problem.shares[1] * np.maximum(size - high, 0.0)
    return -problem.budget * float((weight * density * np.sign(point) * layers).sum())


def _transform(problem: Problem, frequency: np.ndarray) -> np.ndarray:
    """Characteristic function of the deviation of the outlay from the budget, over the budget."""
    factor, chance = _factor_grid(problem)
    score, weight = _line_scores(problem)
    paid = _paid(problem, score)
    given = np.ones((len(chance), len(frequency)), complex)
    for line, plan_value in enumerate(problem.plan_value):
        own = problem.own[line]
        centre = factor @ problem.factors[line]
        density = _normal_density((score - centre[:, None]) / own) / own * weight
        angle = np.outer(paid * plan_value / problem.budget, frequency)
        given *= density @ np.cos(angle) + 1j * (density @ np.sin(angle))
    return chance @ given


def _factor_grid(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Points of the three factors and their probabilities.

    The outlay moves nearly along one direction of the factors: that one has many points.
    """
    main = problem.plan_value @ problem.factors[:LINES]
    basis = np.linalg.qr(np.column_stack([main, np.eye(len(main))[:, 1:]]))[0]
    along = np.arange(-REACH, REACH + STEP / 2, STEP)
    node, weight = _hermite(ACROSS)
    grid = np.stack(np.meshgrid(along, node, node, indexing="ij"), axis=-1).reshape(-1, 3)
    chance = np.einsum("i,j,k->ijk", _normal_density(along) * STEP, weight, weight).ravel()
    return grid @ basis.T, chance


def _line_scores(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights for a line's activity score, with a piece for each smooth part."""
    kinks = 1.0 + problem.tolerance * np.array([-1.0, 0.0, 1.0])
    kinks = special.ndtri(special.gammainc(problem.gamma_shape, problem.gamma_shape * kinks))
    return _pieces(np.array([-REACH, *kinks, REACH]), LEGENDRE)


def _normal_density(score: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * score**2) / np.sqrt(2.0 * np.pi)


def _hermite(count: int = HERMITE) -> tuple[np.ndarray, np.ndarray]:
    node, weight = np.polynomial.hermite_e.hermegauss(count)
    return node, weight / weight.sum()


def _pieces(edges: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre points and weights on each piece between `edges`."""
    node, weight = np.polynomial.legendre.leggauss(count)
    half = np.diff(edges)[:, None] / 2.0
    middle = (edges[1:] + edges[:-1])[:, None] / 2.0
    return (middle + half * node).ravel(), (half * weight).ravel()
