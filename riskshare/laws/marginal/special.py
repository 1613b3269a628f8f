"""Functions of the laws that scipy lacks, or answers without the precision that tails need."""

from collections.abc import Callable
from math import expm1, log, log1p

import numpy as np

from riskshare.laws.marginal.base import Floats

LEAST = float(np.finfo(np.float64).tiny)
"""The least tail probability: scores beyond 37.5 are taken to have it."""

_FARTHEST = 37.5
_LARGE = 2e5

_SHIFT = 20
"""Stirling's series to the seventh power is exact to 2e-16 from here."""

_NEWTON = 6


def hazard(score: Floats | float) -> Floats:
    """Return -log P(Z > score), an exponential quantile; relative precision in both tails."""
    from scipy.special import log_ndtr

    return np.asarray(-log_ndtr(-np.asarray(score, np.float64)))


def growth(rate: float, time: Floats) -> Floats:
    """Return the integral of exp(rate s) for s from 0 to time: expm1(rate time) / rate."""
    with np.errstate(over="ignore"):
        return np.asarray(time if rate == 0 else np.expm1(rate * np.asarray(time)) / rate)


def held(limit: Floats, survival: Floats | float) -> Floats:
    """Return limit x survival: nothing where nothing is left, at an infinite limit too."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(np.asarray(survival) > 0, limit * survival, 0.0))


def either(
    where: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]",
    one: Callable[[Floats], Floats],
    other: Callable[[Floats], Floats],
    argument: Floats,
) -> Floats:
    """Return one(argument) where it is asked for and other(argument) elsewhere, each once."""
    x = np.asarray(argument, np.float64)
    found = np.empty_like(x)
    found[where] = one(x[where])
    found[~where] = other(x[~where])
    return found


def score_of(below: Floats | float, above: Floats | float) -> Floats:
    """Return the normal score of a probability, from the smaller of the two sides of it."""
    from scipy.special import ndtri

    low, high = np.asarray(below, np.float64), np.asarray(above, np.float64)
    return np.asarray(np.where(low <= high, ndtri(np.minimum(low, 0.5)), -ndtri(high)))


def log_gamma_ratio(a: float, m: float) -> float:
    """Return log(Gamma(a + m) / Gamma(a)) for positive a and m.

    Differences of `gammaln` lose what a large a multiplies; here Stirling's series is subtracted
    term by term after both arguments have been raised by 20.
    """
    raised = sum(log1p(m / (a + i)) for i in range(_SHIFT))
    x = a + _SHIFT
    leading = (x + m - 0.5) * log1p(m / x) + m * log(x) - m
    return leading + _stirling(x + m) - _stirling(x) - raised


def _stirling(x: float) -> float:
    square = x * x
    return (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * square)) / square) / square) / x


def gamma_power_cv(a: float, m: float) -> float:
    """Return the coefficient of variation of G^m, G gamma with shape a."""
    return expm1(log_gamma_ratio(a, 2 * m) - 2 * log_gamma_ratio(a, m)) ** 0.5


def gamma_tails(a: float, x: Floats) -> tuple[Floats, Floats]:
    """Return P(G <= x) and P(G > x) of a gamma law with shape a and scale 1.

    Above a shape of 200,000 scipy's incomplete gamma function is wrong beyond 4.5 standard
    deviations; there the expansion of the quantile is inverted by Newton's rule.
    """
    from scipy.special import gammainc, gammaincc, ndtr

    if a <= _LARGE:
        return np.asarray(gammainc(a, x)), np.asarray(gammaincc(a, x))
    share, r = np.asarray(x, np.float64) / a, a**-0.5
    z = np.clip((np.cbrt(share) - 1 + r * r / 9) * 3 / r, -_FARTHEST, _FARTHEST)  # Wilson-Hilferty
    for _ in range(_NEWTON):
        slope = r * (1 + r * (2 * z / 3 + r * (3 * z**2 - 7) / 36))
        z = np.clip(z - (_gamma_expansion(a, z) - share) / slope, -_FARTHEST, _FARTHEST)
    beyond = np.abs(z) == _FARTHEST
    return (
        np.where(beyond, z > 0, ndtr(z)).astype(np.float64),
        np.where(beyond, z < 0, ndtr(-z)).astype(np.float64),
    )


def gamma_below(a: float, log_x: Floats) -> Floats:
    """Return P(G <= x) of a gamma law with shape a from log x, which may be below any float."""
    from scipy.special import gammainc, gammaln

    tiny = log_x < -600
    with np.errstate(under="ignore", over="ignore"):
        leading = np.exp(a * np.where(tiny, log_x, 0.0) - gammaln(a + 1))
        return np.asarray(np.where(tiny, leading, gammainc(a, np.exp(log_x))))


def _gamma_expansion(a: float, z: Floats) -> Floats:
    """Return the gamma quantile over its mean in powers of a^(-1/2) (Cornish and Fisher 1960).

    At a shape of 200,000 it is exact to 1e-16 within 10 standard deviations, to 1e-12 at 37.
    """
    r, q = a**-0.5, z * z
    fifth = (9 * q * q + 256 * q - 433) * z / 38880
    sixth = ((12 * q - 243) * q * q - 923 * q + 1472) / 204120
    fourth = -((3 * q + 7) * q - 16) / 810 + r * (fifth + r * sixth)
    return np.asarray(1 + r * (z + r * ((q - 1) / 3 + r * ((q - 7) * z / 36 + r * fourth))))


def gamma_power_quantile(a: float, m: float, score: Floats) -> Floats:
    """Return the quantile of G^m at normal scores, G gamma with shape a.

    Where the quantile of G is below what a float can hold, its power is taken from the leading
    term P(a, x) = x^a / Gamma(a + 1), which is exact there.
    """
    from scipy.special import gammainccinv, gammaincinv, gammaln, log_ndtr, ndtr

    z = np.asarray(score, np.float64)
    if a > _LARGE:
        return _gamma_expansion(a, np.clip(z, -_FARTHEST, _FARTHEST)) ** m * a**m
    tail = np.maximum(ndtr(-np.abs(z)), LEAST)
    with np.errstate(under="ignore", over="ignore"):
        g = either(
            np.asarray(z <= 0), lambda p: gammaincinv(a, p), lambda p: gammainccinv(a, p), tail
        )
        leading = np.exp(np.minimum((log_ndtr(z) + gammaln(a + 1)) / a, 0) * m)
        return np.asarray(np.where(g < 1e-280, leading, g**m))


def beta_quantile(a: float, b: float, probability: Floats) -> Floats:
    """Return x with I_x(a, b) = probability, to relative precision where x is small.

    scipy's inverse gives up (NaN) far in the tail; there Newton's rule on log x starts from the
    leading term x^a / (a B(a, b)).
    """
    from scipy.special import betainc, betaincinv, betaln

    p = np.asarray(probability, np.float64)
    x = np.asarray(betaincinv(a, b, p))
    lost = np.isnan(x) & ~np.isnan(p)
    if not lost.any():
        return x
    wanted = np.log(p[lost])
    u = (wanted + log(a) + betaln(a, b)) / a
    for _ in range(_NEWTON):
        found = betainc(a, b, np.exp(u))
        slope = np.exp(a * u + (b - 1) * np.log1p(-np.exp(u)) - betaln(a, b)) / found
        u = np.minimum(u - (np.log(found) - wanted) / slope, 0.0)
    x[lost] = np.exp(u)
    return x
