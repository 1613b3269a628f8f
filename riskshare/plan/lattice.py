"""Normal scores at the points of a lattice rule, for means that have no closed form."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from riskshare.laws.chance import NODES, SCORE_LIMIT
from riskshare.laws.copula import student_tables

Numbers = NDArray[np.float64]

_POINTS, _SHIFTS = 4096, 16


def lattice_scores(
    scores: list[tuple[int, int]],
    weights: Numbers,
    correlation: Numbers,
    degrees_of_freedom: float | None = None,
) -> Numbers:
    """Return scores of indices, (score, point), at 16 x 4,096 points of equal weight.

    A randomly shifted Richtmyer lattice, folded (the baker's transformation). Under a t copula the
    mixing variable of each year is one more dimension.

    Parameters
    ----------
    scores
        (index, year) of each score wanted.
    weights
        (index, year, innovation year), of `riskshare.laws.dependence.innovation_weights`.
    correlation
        (index, index), of Gaussian innovations.
    degrees_of_freedom
        Of a t copula; None for a Gaussian one.
    """
    if degrees_of_freedom is not None:
        return _student(scores, weights, correlation, degrees_of_freedom)
    made = np.array([weights[d, y] for d, y in scores]).reshape(len(scores), weights.shape[2])
    owners = [d for d, _ in scores]
    return _root(made @ made.T * correlation[np.ix_(owners, owners)]) @ _normal(len(scores))


def _student(
    scores: list[tuple[int, int]], weights: Numbers, correlation: Numbers, degrees: float
) -> Numbers:
    owners = sorted({d for d, _ in scores})
    made = np.array([weights[d, y] for d, y in scores]).reshape(len(scores), weights.shape[2])
    years = np.flatnonzero(np.any(made != 0, axis=0))
    drawn = _normal((1 + len(owners)) * len(years)).reshape(len(years), 1 + len(owners), -1)
    tables, grid = student_tables(degrees), np.linspace(-SCORE_LIMIT, SCORE_LIMIT, NODES)
    root = _root(correlation[np.ix_(owners, owners)])
    place = [owners.index(d) for d, _ in scores]
    total = np.zeros((len(scores), drawn.shape[-1]))
    for own, year in zip(drawn, years, strict=True):
        x = (root @ own[1:]) * np.exp(np.interp(own[0], grid, tables.mixing[0]))
        wallace = np.sign(x) * np.sqrt(degrees * np.log1p(x**2 / degrees))
        wallace *= (8 * degrees + 1) / (8 * degrees + 3)
        innovation = np.interp(wallace, grid, tables.normal[0])
        total += made[:, year, None] * innovation[place]
    return total


def _normal(dimensions: int) -> Numbers:
    """Return standard normal points, (dimension, point)."""
    from scipy.special import ndtri

    roots = np.sqrt(_primes()[:dimensions])
    shifts = np.random.default_rng(20_181_101).random((_SHIFTS, dimensions, 1))
    points = (np.arange(_POINTS) * roots[:, None] + shifts) % 1
    tent = np.abs(2 * points - 1).transpose(1, 0, 2).reshape(dimensions, -1)
    return np.asarray(ndtri(np.clip(tent, 1e-16, 1 - 1e-16)))


@cache
def _primes() -> tuple[int, ...]:
    return tuple(n for n in range(2, 20_000) if all(n % k for k in range(2, int(n**0.5) + 1)))


def _root(covariance: Numbers) -> Numbers:
    """Return a root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0)))
