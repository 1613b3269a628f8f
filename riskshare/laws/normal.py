"""The standard normal's density, distribution and quantile for single numbers."""

from math import erfc, exp, pi, sqrt
from statistics import NormalDist

_STANDARD = NormalDist()


def density(z: float) -> float:
    """Return exp(-z^2 / 2) / sqrt(2 pi)."""
    return exp(-z * z / 2) / sqrt(2 * pi)


def cumulative(z: float) -> float:
    """Return P(Z <= z), to full relative precision in the lower tail."""
    return erfc(-z / sqrt(2)) / 2


def inverse(level: float) -> float:
    """Return z with P(Z <= z) = level (Wichura's AS241, about 16 digits)."""
    return _STANDARD.inv_cdf(level)
