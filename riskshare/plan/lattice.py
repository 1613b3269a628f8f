"""Normal scores at the points of a rule, for means that have no closed form."""

from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from riskshare.laws.chance import NODES, SCORE_LIMIT
from riskshare.laws.copula import student_tables

Numbers = NDArray[np.float64]

SHIFTS = 16
POINTS = 4096


def lattice_scores(
    scores: list[tuple[int, int]],
    weights: Numbers,
    correlation: Numbers,
    degrees_of_freedom: float | None = None,
    points: int = POINTS,
) -> Numbers:
    """Return scores of indices, (score, 16 x points), at points of equal weight.

    A Richtmyer lattice under 16 random shifts, folded (the baker's transformation). Under a t
    copula the mixing variable of each year is one more dimension.

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
    points
        Of the lattice, before it is shifted.
    """
    made = np.array([weights[d, y] for d, y in scores]).reshape(len(scores), weights.shape[2])
    owners = [d for d, _ in scores]
    if degrees_of_freedom is None:
        root = _root(made @ made.T * correlation[np.ix_(owners, owners)])
        parts = [root @ drawn for drawn in _normal(len(scores), points)]
    else:
        parts = _student(owners, made, correlation, degrees_of_freedom, points)
    return np.concatenate(parts, axis=1)


@lru_cache(maxsize=16)
def student_grid(
    correlation: tuple[tuple[float, ...], ...], degrees_of_freedom: float
) -> tuple[Numbers, Numbers]:
    """Return scores of up to three indices under a t copula, (index, point), and their weights.

    A trapezoidal rule over normal scores from which the t vector is made one by one: given those
    before, a coordinate is t with a further degree of freedom for each. Smooth laws with a spread
    of 0.3 have a mean of their product that is off by 1e-8 for two and 1e-6 for three indices at
    nu = 3, by 3e-6 and 1e-5 at nu = 1 and 2.
    """
    size, nu = len(correlation), degrees_of_freedom
    step = {1: 0.1, 2: 0.05, 3: 0.2}[size]
    axis = np.arange(-round(SCORE_LIMIT / step), round(SCORE_LIMIT / step) + 1) * step
    z = np.array(np.meshgrid(*[axis] * size, indexing="ij")).reshape(size, -1)
    weights = np.exp(-(z**2).sum(axis=0) / 2)
    t, square = np.empty_like(z), np.zeros(z.shape[1])
    grid = np.linspace(-SCORE_LIMIT, SCORE_LIMIT, NODES)
    for k in range(size):
        further = nu + k
        wallace = np.interp(z[k], student_tables(further).normal[0], grid) / _wallace(further)
        size_of = np.sqrt(further * np.expm1(wallace**2 / further))
        t[k] = np.sign(z[k]) * size_of * np.sqrt((nu + square) / further)
        square += t[k] ** 2
    scores = _normal_of(np.asarray(np.linalg.cholesky(correlation) @ t), nu)
    return scores, weights / weights.sum()


def _student(
    owners: list[int], made: Numbers, correlation: Numbers, degrees: float, points: int
) -> list[Numbers]:
    """Return the scores under each shift: sums over years of weight times innovation."""
    drawn = sorted(set(owners))
    place = [drawn.index(d) for d in owners]
    root = _root(correlation[np.ix_(drawn, drawn)])
    years = np.flatnonzero(np.any(made != 0, axis=0))
    tables, parts = student_tables(degrees), []
    for normal in _normal((1 + len(drawn)) * len(years), points):
        total = np.zeros((len(owners), points))
        for year, own in zip(years, normal.reshape(len(years), -1, points), strict=True):
            x = (root @ own[1:]) * np.exp(_read(tables.mixing, tables.mixing_slopes, own[0]))
            total += made[:, year, None] * _normal_of(x, degrees)[place]
        parts.append(total)
    return parts


def _wallace(degrees: float) -> float:
    return (8 * degrees + 1) / (8 * degrees + 3)


def _normal_of(x: Numbers, degrees: float) -> Numbers:
    """Return Phi^-1(T_nu(x)), as the kernel has it (`riskshare.program.copula`)."""
    tables = student_tables(degrees)
    w = np.sign(x) * np.sqrt(degrees * np.log1p(x**2 / degrees)) * _wallace(degrees)
    return _read(tables.normal, tables.normal_slopes, w)


def _read(values: Numbers, slopes: Numbers, score: Numbers) -> Numbers:
    """Return a table on the even score grid at scores."""
    place = (np.clip(score, -SCORE_LIMIT, SCORE_LIMIT) + SCORE_LIMIT) * (
        (NODES - 1) / (2 * SCORE_LIMIT)
    )
    node = place.astype(np.intp)
    return np.asarray(values[0, node] + slopes[0, node] * (place - node))


def _normal(dimensions: int, points: int) -> list[Numbers]:
    """Return standard normal points, (dimension, point), under each shift."""
    from scipy.special import ndtri

    steps = np.arange(points) * np.sqrt(_primes()[:dimensions])[:, None]
    shifts = np.random.default_rng(20_181_101).random((SHIFTS, dimensions, 1))
    folded = (np.abs(2 * ((steps + shift) % 1) - 1) for shift in shifts)
    return [np.asarray(ndtri(np.clip(point, 1e-16, 1 - 1e-16))) for point in folded]


@cache
def _primes() -> tuple[int, ...]:
    return tuple(n for n in range(2, 20_000) if all(n % k for k in range(2, int(n**0.5) + 1)))


def _root(covariance: Numbers) -> Numbers:
    """Return a root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0)))
