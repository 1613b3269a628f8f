"""The copula of a case: what a stated correlation is, and the Student t copula as tables.

Innovations of indices are joined by a Gaussian copula, or by a Student t copula of one number of
degrees of freedom nu: ``x = e sqrt(nu / chi2)``, e Gaussian with correlation matrix R and one chi2
for all indices of a year, and the innovation is the normal score ``Phi^-1(T_nu(x))``. Each stays
standard normal, so no law of an index changes, and extremes come together more often.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import asin, pi, sin
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from riskshare.laws.chance import NODES, SCORE_LIMIT

Floats = NDArray[np.float64]
Stated = tuple[tuple[str, ...], float, str]
"""Two names, the value of their correlation, and the measure it is a value of."""

COPULAS = ("gaussian", "student-t")
MEASURES = ("score", "spearman", "kendall")
"""Pearson's correlation of the Gaussian scores, Spearman's rho, Kendall's tau."""

_STEP, _REACH = 0.25, 8.5
"""Trapezoidal rule over the scores of the mixing variables; error of Spearman's rho 1e-9."""


class StudentTables(NamedTuple):
    """A t copula as numbers: its mixing variable, and the way from t to normal, by even grids.

    Parameters
    ----------
    degrees_of_freedom
        nu, ``[1, 1]``.
    mixing, mixing_slopes
        log sqrt(nu / chi2) at scores of chi2 from -6.4 to 6.4, ``[1, NODES]``.
    normal, normal_slopes
        Phi^-1(T_nu(x)) at w from -6.4 to 6.4, ``[1, NODES]``, with Wallace's
        ``w = sign(x) (8 nu + 1) / (8 nu + 3) sqrt(nu log(1 + x^2 / nu))``.
    """

    degrees_of_freedom: Floats
    mixing: Floats
    mixing_slopes: Floats
    normal: Floats
    normal_slopes: Floats


@lru_cache(maxsize=64)
def student_tables(degrees_of_freedom: float) -> StudentTables:
    """Return the tables of a t copula.

    Wallace (1959), "Bounds on normal approximations to Student's and the chi-square
    distributions", Ann. Math. Statist. 30: w is near the normal score (0.6 off at most at nu = 1,
    0.1 at 4), so both tables are smooth. Read in float32, innovations are within 3e-6 of the
    exact ones for nu from 1 to 1,000.

    Raises
    ------
    ValueError
        If the degrees of freedom are below 1 or not finite.
    """
    from scipy.special import betainc, gammainccinv, gammaincinv, ndtr, ndtri

    nu = _degrees(degrees_of_freedom)
    grid = np.linspace(-SCORE_LIMIT, SCORE_LIMIT, NODES)
    tail = ndtr(-np.abs(grid))
    half = np.where(grid <= 0, gammaincinv(nu / 2, tail), gammainccinv(nu / 2, tail))
    mixing = -np.log(half / (nu / 2)) / 2
    wallace = (8 * nu + 1) / (8 * nu + 3)
    beyond = betainc(nu / 2, 0.5, np.exp(-((grid / wallace) ** 2) / nu)) / 2
    normal = -np.sign(grid) * ndtri(beyond)
    return StudentTables(np.array([[nu]]), *_table(mixing), *_table(normal))


def _table(values: Floats) -> tuple[Floats, Floats]:
    return values[None], np.diff(values, append=values[-1:])[None]


def rank_correlation(score: float, measure: str, degrees_of_freedom: float | None = None) -> float:
    """Return what a measure of rank correlation is where the Gaussian scores correlate by r.

    - ``score``: r itself, of the Gaussian scores before mixing (a t copula's parameter);
    - ``kendall``: ``tau = (2 / pi) asin r``, in both copulas (Lindskog, McNeil and Schmock 2003);
    - ``spearman``: ``rho = (6 / pi) asin(r / 2)`` in a Gaussian copula, in a t copula
      ``(6 / pi) E[asin(r W1 / sqrt((W1 + W2) (W1 + W3)))]``, W independent inverse gamma with
      shape and scale nu / 2 (Heinen and Valdesogo 2020, "Spearman rank correlation of the
      bivariate Student t and scale mixtures of normal distributions", J. Multivariate Anal. 179),
      by a trapezoidal rule with an error of 1e-9.

    Parameters
    ----------
    score
        r, from -1 to 1.
    measure
        One of `MEASURES`.
    degrees_of_freedom
        nu of a t copula; None for a Gaussian one.

    Examples
    --------
    >>> round(rank_correlation(0.5, "kendall"), 6), round(rank_correlation(0.5, "spearman"), 6)
    (0.333333, 0.482584)
    >>> round(rank_correlation(0.5, "spearman", 4.0), 6)
    0.46902
    """
    _check(score, measure)
    if measure == "score" or abs(score) == 1:
        return float(score)
    if measure == "kendall":
        return 2 / pi * asin(score)
    if degrees_of_freedom is None:
        return 6 / pi * asin(score / 2)
    weights, shared = _mixtures(_degrees(degrees_of_freedom))
    angles = np.arcsin(score * shared[:, :, None] * shared[:, None, :])
    return float(6 / pi * np.einsum("i,j,k,ijk", weights, weights, weights, angles, optimize=True))


@lru_cache(maxsize=8)
def _mixtures(degrees_of_freedom: float) -> tuple[Floats, Floats]:
    """Return weights of the rule, and sqrt(W1 / (W1 + W2)) at each pair of its nodes."""
    from scipy.special import gammainccinv, gammaincinv, ndtr

    grid = np.arange(-round(_REACH / _STEP), round(_REACH / _STEP) + 1) * _STEP
    weights = np.exp(-(grid**2) / 2)
    shape, tail = degrees_of_freedom / 2, ndtr(-np.abs(grid))
    inverse = np.where(grid <= 0, gammaincinv(shape, tail), gammainccinv(shape, tail))
    return weights / weights.sum(), np.sqrt(inverse / (inverse[:, None] + inverse))


@lru_cache(maxsize=4096)
def score_correlation(
    value: float, measure: str = "score", degrees_of_freedom: float | None = None
) -> float:
    """Return the correlation of Gaussian scores at which a measure has a value.

    The inverse of `rank_correlation`: ``sin(pi tau / 2)``, ``2 sin(pi rho / 6)``, and for
    Spearman's rho in a t copula the root of its formula.

    Raises
    ------
    ValueError
        If the value is not from -1 to 1, or the measure is unknown.

    Examples
    --------
    >>> round(score_correlation(1 / 3, "kendall"), 6)
    0.5
    """
    _check(value, measure)
    if measure == "score" or abs(value) == 1:
        return float(value)
    if measure == "kendall":
        return sin(pi * value / 2)
    if degrees_of_freedom is None:
        return 2 * sin(pi * value / 6)
    from scipy.optimize import brentq

    nu = degrees_of_freedom
    size = brentq(lambda r: rank_correlation(r, measure, nu) - abs(value), 0.0, 1.0, xtol=1e-13)
    return float(np.copysign(size, value))


def correlation_of_scores(
    names: Sequence[str], stated: Iterable[Stated], degrees_of_freedom: float | None = None
) -> Floats:
    """Return the correlation matrix of Gaussian scores, 0 for pairs that nobody stated.

    Pairs with a name that is not among ``names`` are left out.

    Raises
    ------
    ValueError
        As `score_correlation`.
    """
    place = {name: i for i, name in enumerate(names)}
    matrix = np.eye(len(names))
    for pair, value, measure in stated:
        if len(pair) == 2 and pair[0] in place and pair[1] in place:
            row, column = place[pair[0]], place[pair[1]]
            entry = score_correlation(float(value), measure, degrees_of_freedom)
            matrix[row, column] = matrix[column, row] = entry
    return matrix


def _degrees(value: float) -> float:
    if not 1 <= value < np.inf:
        raise ValueError(f"degrees of freedom are {value}; they must be 1 or more and finite")
    return float(value)


def _check(value: float, measure: str) -> None:
    if measure not in MEASURES:
        raise ValueError(f"measure is {measure!r}; accepted are {', '.join(MEASURES)}")
    if not -1 <= value <= 1:
        raise ValueError(f"correlation is {value}; it must lie between -1 and 1")
