"""Chance: what varies in a line when every driver is known, as tables read by its own score.

A chance term has mean 1 (a factor) or a given mean (a count). The kernel reads tables of value
and slope on an even grid of the score (`riskshare.program.chance`), so any law's numbers change
without recompiling. A lognormal factor needs no table: exp(sigma z - sigma^2 / 2).
"""

from functools import lru_cache
from math import log, log1p, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SCORE_LIMIT = 6.4
"""Tables span scores from -6.4 to 6.4; 32-bit scores reach 6.34."""

NODES = 4097
"""Nodes of a factor's table: linear between them, the mean is off by 1.4e-6 at a CV of 2."""

MEAN_NODES = 16
"""Nodes of a count's table along the logarithm of the mean."""

COUNT_NODES = 1025
"""Nodes of a count's table along the score."""

_CHEBYSHEV = 129


class CountTable(NamedTuple):
    """The standardised continuous quantile of a count, over its mean and the score.

    W = (x - mu) / sqrt(mu + c mu^2), where ceil(x) is the count's exact quantile. A named tuple
    is a pytree, so tables of several lines stack into one of arrays: see `stack_count_tables`.

    Parameters
    ----------
    values
        W, ``[mean node, score node]``.
    slopes
        W at the next score node less W here; zero at the last.
    log_mean_origin, log_mean_step
        Logarithm of the first node's mean, and the step to the next.
    overdispersion
        c in Var = mu + c mu^2; zero for Poisson.
    """

    values: NDArray[np.float64]
    slopes: NDArray[np.float64]
    log_mean_origin: NDArray[np.float64]
    log_mean_step: NDArray[np.float64]
    overdispersion: NDArray[np.float64]


def lognormal_sigma(coefficient_of_variation: float) -> float:
    """Return the lognormal's sigma, sqrt(log(1 + cv^2)).

    Examples
    --------
    >>> round(lognormal_sigma(1.0) ** 2, 12) == round(log(2.0), 12)
    True
    """
    return sqrt(log1p(_not_negative("coefficient_of_variation", coefficient_of_variation) ** 2))


@lru_cache(maxsize=512)
def gamma_table(
    coefficient_of_variation: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean-1 gamma quantile on the even score grid, and its differences.

    Q(z) = G^-1(Phi(z)) / k with shape k = 1 / cv^2, from the upper tail's probability where
    z > 0, so that both tails keep their relative precision.

    Parameters
    ----------
    coefficient_of_variation
        Standard deviation over mean; zero gives 1 everywhere.

    Returns
    -------
    values, slopes
        ``[NODES]`` each, read-only; slopes are differences to the next node, zero at the last.

    Raises
    ------
    ValueError
        If the coefficient of variation is negative or not finite.
    """
    from scipy.special import gammainccinv, gammaincinv, ndtr

    cv = _not_negative("coefficient_of_variation", coefficient_of_variation)
    z = np.linspace(-SCORE_LIMIT, SCORE_LIMIT, NODES)
    if cv == 0:
        return _with_slopes(np.ones(NODES))
    shape = 1 / cv**2
    tail = ndtr(-np.abs(z))
    with np.errstate(under="ignore"):
        quantile = np.where(z <= 0, gammaincinv(shape, tail), gammainccinv(shape, tail))
    return _with_slopes(quantile / shape)


def count_quantile(
    score: NDArray[np.float64], mean: float, overdispersion: float
) -> NDArray[np.float64]:
    """Return x > -1, the continuous quantile of a count whose ceiling is the exact quantile.

    Poisson: x solves Q(x + 1, mu) = Phi(z), Q the regularised upper incomplete gamma. Negative
    binomial with Var = mu + c mu^2, r = 1 / c and p = 1 / (1 + c mu): x solves
    I_p(r, x + 1) = Phi(z). Both agree with the distribution function at whole x. The inverses
    are scipy's in the distribution's *parameter* (`gdtrib`, `btdtria`, `btdtrib`): `pdtrik` and
    `nbdtrik` stop at 0 and know one tail only.

    Parameters
    ----------
    score
        Standard normal scores, any shape.
    mean
        mu, positive.
    overdispersion
        c, zero for Poisson.
    """
    from scipy.special import btdtria, btdtrib, gdtrib, ndtr

    lower = score <= 0
    tail = ndtr(-np.abs(score))
    if overdispersion == 0:
        above = np.where(lower, ndtr(-score), tail)
        return np.asarray(gdtrib(1.0, above, mean) - 1)
    size, chance = 1 / overdispersion, 1 / (1 + overdispersion * mean)
    other = overdispersion * mean * chance
    # Each call sees harmless values where the other one answers: its own would be 0 or 1.
    from_below = btdtrib(size, np.where(lower, tail, 0.5), chance)
    from_above = btdtria(np.where(lower, 0.5, tail), size, other)
    return np.asarray(np.where(lower, from_below, from_above) - 1)


@lru_cache(maxsize=512)
def count_table(lowest_mean: float, highest_mean: float, overdispersion: float) -> CountTable:
    """Return the table of a count whose mean varies between two bounds.

    The quantile is solved at 129 Chebyshev points of the score and interpolated to the even grid
    (error below 1e-6 standard deviations): an eighth of the solves.

    Parameters
    ----------
    lowest_mean, highest_mean
        Bounds of the mean; the nodes between are even in its logarithm. Outside them W is held.
    overdispersion
        c in Var = mu + c mu^2; zero for Poisson.

    Returns
    -------
    CountTable
        Its arrays are read-only.

    Raises
    ------
    ValueError
        If the bounds are not positive and in order, or the overdispersion is negative.
    """
    excess = _not_negative("overdispersion", overdispersion)
    if not 0 < lowest_mean <= highest_mean < np.inf:
        raise ValueError(
            f"means run from {lowest_mean} to {highest_mean}; both must be positive, in order"
        )
    # An empty range still needs a step to divide by.
    step = max(log(highest_mean / lowest_mean), 1e-3) / (MEAN_NODES - 1)
    points, matrix = _chebyshev_to_even()
    values = np.empty((MEAN_NODES, COUNT_NODES))
    for node in range(MEAN_NODES):
        mean = lowest_mean * np.exp(step * node)
        spread = sqrt(mean + excess * mean**2)
        values[node] = matrix @ ((count_quantile(points, mean, excess) - mean) / spread)
    return CountTable(
        *_with_slopes(values), *(_read_only(number) for number in (log(lowest_mean), step, excess))
    )


def stack_count_tables(tables: list[CountTable]) -> CountTable:
    """Return one table whose arrays have a leading row axis, one row for each table given."""
    return CountTable(*(np.stack(arrays) for arrays in zip(*tables, strict=True)))


@lru_cache(maxsize=1)
def _chebyshev_to_even() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from numpy.polynomial.chebyshev import chebpts1, chebvander

    points = chebpts1(_CHEBYSHEV)
    even = chebvander(np.linspace(-1, 1, COUNT_NODES), _CHEBYSHEV - 1)
    return points * SCORE_LIMIT, even @ np.linalg.inv(chebvander(points, _CHEBYSHEV - 1))


def _with_slopes(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    slopes = np.diff(values, axis=-1, append=values[..., -1:])
    return _read_only(values), _read_only(slopes)


def _read_only(values: NDArray[np.float64] | float) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    array.flags.writeable = False
    return array


def _not_negative(name: str, value: float) -> float:
    if not 0 <= value < np.inf:
        raise ValueError(f"{name} is {value}; it must be zero or more and finite")
    return float(value)
