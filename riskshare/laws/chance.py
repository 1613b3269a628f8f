"""Chance: what varies in a line when every driver is known, as tables read by its own score.

A chance term has mean 1 (a factor) or a given mean (a count). The kernel reads tables of value
and slope on an even grid of the score (`riskshare.program.chance`), so any law's numbers change
without recompiling. A lognormal factor needs no table: exp(sigma z - sigma^2 / 2). Where drivers
spread a law, its tables have one more axis, the logarithm of what multiplies its coefficient of
variation. An atom (a calm year, nothing at all) is kept apart: a table would blur its edge.
"""

from functools import lru_cache
from math import exp, log, log1p, sqrt
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from riskshare.laws.marginal import AbstractLaw, Gamma
from riskshare.laws.marginal.base import Atom

SCORE_LIMIT = 6.4
"""Tables span scores from -6.4 to 6.4; 32-bit scores reach 6.34."""

NODES = 4097
"""Nodes of a factor's table: linear between them, the mean is off by 1.4e-6 at a CV of 2."""

MEAN_NODES = 16
"""Nodes of a count's table along the logarithm of the mean."""

COUNT_NODES = 1025
"""Nodes of a count's table along the score."""

SPREAD_NODES = 17
"""Nodes along the logarithm of the spread, where drivers move it."""

NO_SPREAD = (1.0, 1.0)
"""Bounds of the spread of a law that nothing spreads."""

_CHEBYSHEV = 129
_SMALLEST_CV = 1e-6


class CountTable(NamedTuple):
    """The standardised continuous quantile of a count, over its mean and the score.

    W = (x - mu) / sqrt(mu + c mu^2), where ceil(x) is the count's exact quantile. A named tuple
    is a pytree, so tables of several lines stack into one of arrays: see `stack_count_tables`.

    Parameters
    ----------
    values
        W, ``[spread node, mean node, score node]``; one spread node where nothing spreads it.
    slopes
        W at the next score node less W here; zero at the last.
    log_mean_origin, log_mean_step
        Logarithm of the first node's mean, and the step to the next.
    log_spread_origin, log_spread_step
        The same of the spread s, which makes c of c s^2.
    overdispersion
        c in Var = mu + c mu^2; zero for Poisson.
    """

    values: NDArray[np.float64]
    slopes: NDArray[np.float64]
    log_mean_origin: NDArray[np.float64]
    log_mean_step: NDArray[np.float64]
    log_spread_origin: NDArray[np.float64]
    log_spread_step: NDArray[np.float64]
    overdispersion: NDArray[np.float64]


class FactorTable(NamedTuple):
    """The quantile of a factor over its spread and the score.

    Parameters
    ----------
    values
        ``[spread node, score node]``; one spread node where nothing spreads it.
    slopes
        The value at the next score node less that here; zero at the last.
    log_spread_origin, log_spread_step
        Logarithm of the first node's spread, and the step to the next.
    """

    values: NDArray[np.float64]
    slopes: NDArray[np.float64]
    log_spread_origin: NDArray[np.float64]
    log_spread_step: NDArray[np.float64]


def lognormal_sigma(coefficient_of_variation: float) -> float:
    """Return the lognormal's sigma, sqrt(log(1 + cv^2)).

    Examples
    --------
    >>> round(lognormal_sigma(1.0) ** 2, 12) == round(log(2.0), 12)
    True
    """
    return sqrt(log1p(_not_negative("coefficient_of_variation", coefficient_of_variation) ** 2))


def gamma_law(coefficient_of_variation: float) -> Gamma:
    """Return the gamma law of mean 1; a CV of zero is one of a millionth.

    Raises
    ------
    ValueError
        If the coefficient of variation is negative or not finite.
    """
    cv = _not_negative("coefficient_of_variation", coefficient_of_variation)
    return Gamma(cv=max(cv, _SMALLEST_CV))


@lru_cache(maxsize=512)
def factor_table(law: AbstractLaw, spread: tuple[float, float] = NO_SPREAD) -> FactorTable:
    """Return the quantile of a law, scaled to mean 1, on the even score grid.

    Parameters
    ----------
    law
        Of a positive, finite mean. A gamma law may be spread: its CV is multiplied.
    spread
        Bounds of what multiplies the coefficient of variation; outside them the edge is held.

    Returns
    -------
    FactorTable
        Its arrays are read-only.

    Raises
    ------
    ValueError
        If the mean is not positive and finite, or a law other than gamma is to be spread.
    """
    mean = law.expectation()
    if not 0 < mean < np.inf:
        raise ValueError(f"the mean of this {law.kind} law is {mean}; it must be positive, finite")
    origin, step, nodes = _spread_nodes(spread)
    z = np.linspace(-SCORE_LIMIT, SCORE_LIMIT, NODES)
    with np.errstate(under="ignore"):
        if isinstance(law, Gamma) and law.cv <= _SMALLEST_CV:
            values = [np.ones(NODES)] * len(nodes)
        elif len(nodes) == 1:
            values = [law.at(z) / mean]
        elif isinstance(law, Gamma):
            values = [Gamma(cv=min(law.cv * s, 20.0)).at(z) for s in nodes]
        else:
            raise ValueError(f"a {law.kind} law cannot be spread; accepted: gamma")
    return FactorTable(*with_slopes(np.array(values)), read_only(origin), read_only(step))


CUBED_DEGREE = 9
CUBED_ERROR = 1e-6
"""Relative error of a factor from its polynomial at most, over all scores a table has."""


@lru_cache(maxsize=512)
def factor_polynomial(law: AbstractLaw) -> NDArray[np.float64] | None:
    """Return p, the highest power first, with factor = p(score)^3; None where that is not exact.

    The cube root of a gamma quantile is nearly linear in the score (Wilson and Hilferty 1931), so a
    polynomial of degree 9 through Chebyshev points gives it to 1e-6 for a CV up to 0.3, and the
    kernel then need not look anything up. A law for which it is further off than that, at any of
    2,001 scores, keeps its table.
    """
    from numpy.polynomial import Chebyshev, Polynomial

    mean = law.expectation()
    if not 0 < mean < np.inf or law.atom is not None:
        return None
    points = np.cos(np.pi * (np.arange(64) + 0.5) / 64) * SCORE_LIMIT
    values = law.at(points) / mean
    if not (np.isfinite(values) & (values > 0)).all():
        return None
    found = Chebyshev.fit(points, np.cbrt(values), CUBED_DEGREE, domain=[-SCORE_LIMIT, SCORE_LIMIT])
    score = np.linspace(-SCORE_LIMIT, SCORE_LIMIT, 2001)
    exact = law.at(score) / mean
    if not (np.abs(found(score) ** 3 - exact) <= CUBED_ERROR * exact).all():
        return None
    powers = np.asarray(found.convert(kind=Polynomial).coef[::-1], np.float64)
    return read_only(powers)


@lru_cache(maxsize=512)
def index_table(law: AbstractLaw) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the values of an index on the even score grid, floored at zero, and their differences.

    Of a law with an atom, those of the rest: the scores that read it are those beyond the atom
    (`riskshare.program.chance.beyond`), turned round where the atom is at the upper end.
    """
    z = np.linspace(-SCORE_LIMIT, SCORE_LIMIT, NODES)
    atom = law.atom or Atom(0.0, 0.0, 1.0, law)
    return with_slopes(np.maximum(atom.rest.at(atom.side * z), 0.0))


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

    lower = np.asarray(score <= 0)
    tail = np.asarray(ndtr(-np.abs(score)))
    if overdispersion == 0:
        above = np.where(lower, ndtr(-score), tail)
        return np.asarray(gdtrib(1.0, above, mean) - 1)
    size, chance = 1 / overdispersion, 1 / (1 + overdispersion * mean)
    other = overdispersion * mean * chance
    # Each call answers where the other one's would be 0 or 1; both take most of a table's time.
    found = np.empty(tail.shape)
    btdtrib(size, tail, chance, out=found, where=lower)
    btdtria(tail, size, other, out=found, where=~lower)
    return np.asarray(found - 1)


@lru_cache(maxsize=512)
def count_table(
    lowest_mean: float,
    highest_mean: float,
    overdispersion: float,
    spread: tuple[float, float] = NO_SPREAD,
) -> CountTable:
    """Return the table of a count whose mean varies between two bounds.

    The quantile is solved at 129 Chebyshev points of the score and interpolated to the even grid
    (error below 1e-6 standard deviations): an eighth of the solves.

    Parameters
    ----------
    lowest_mean, highest_mean
        Bounds of the mean; the nodes between are even in its logarithm. Outside them W is held.
    overdispersion
        c in Var = mu + c mu^2; zero for Poisson.
    spread
        Bounds of s, which makes c of c s^2; outside them the edge is held.

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
    points, matrix = chebyshev_to_even()
    spread_origin, spread_step, spreads = _spread_nodes(spread)
    values = np.empty((len(spreads), MEAN_NODES, COUNT_NODES))
    for i, node in np.ndindex(values.shape[:2]):
        mean, wide = lowest_mean * exp(step * node), excess * float(spreads[i]) ** 2
        scale = sqrt(mean + wide * mean**2)
        values[i, node] = matrix @ ((count_quantile(points, mean, wide) - mean) / scale)
    numbers = (log(lowest_mean), step, spread_origin, spread_step, excess)
    return CountTable(*with_slopes(values), *map(read_only, numbers))


Table = TypeVar("Table", CountTable, FactorTable)


def stacked(tables: list[Table]) -> Table:
    """Return one table whose arrays have a leading row axis, one row for each table given."""
    return type(tables[0])(*(np.stack(arrays) for arrays in zip(*tables, strict=True)))


def _spread_nodes(spread: tuple[float, float]) -> tuple[float, float, NDArray[np.float64]]:
    """Return origin and step of the logarithm of the spread, and its nodes."""
    low, high = spread
    if not 0 < low <= high < np.inf:
        raise ValueError(f"the spread runs from {low} to {high}; both must be positive, in order")
    if spread == NO_SPREAD:
        return 0.0, 1.0, np.ones(1)
    step = max(log(high / low), 1e-3) / (SPREAD_NODES - 1)
    return log(low), step, low * np.exp(step * np.arange(SPREAD_NODES))


@lru_cache(maxsize=1)
def chebyshev_to_even() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Chebyshev points of the score, and what takes values there to a count's even grid."""
    from numpy.polynomial.chebyshev import chebpts1, chebvander

    points = chebpts1(_CHEBYSHEV)
    even = chebvander(np.linspace(-1, 1, COUNT_NODES), _CHEBYSHEV - 1)
    # the polynomials are orthogonal over these points, so that the inverse needs no solver (whose
    # threads take a tenth of a second to start)
    inverse = chebvander(points, _CHEBYSHEV - 1).T * (2 / _CHEBYSHEV)
    inverse[0] /= 2
    return points * SCORE_LIMIT, even @ inverse


def with_slopes(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return values and their differences to the next along the last axis, both read-only."""
    slopes = np.diff(values, axis=-1, append=values[..., -1:])
    return read_only(values), read_only(slopes)


def read_only(values: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Return values as an array that cannot be written to."""
    array = np.asarray(values, dtype=np.float64)
    array.flags.writeable = False
    return array


def _not_negative(name: str, value: float) -> float:
    if not 0 <= value < np.inf:
        raise ValueError(f"{name} is {value}; it must be zero or more and finite")
    return float(value)
