"""Inverting a generating function on a grid, safe from wrap-around.

The discrete Fourier transform counts modulo its length: what lies above the grid comes back at
its foot. Twice the grid is transformed, the mean tells how much has come back, and where that
matters amounts are tilted by ``exp(-theta j)`` first and the total tilted back.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from riskshare.laws.compound.frequency import Complexes, Floats

Spectrum: TypeAlias = Callable[[Floats], Complexes]
Generating: TypeAlias = Callable[[Spectrum], Complexes]
"""The total's transform, given what transforms the masses of one amount."""

_DOUBLE = 2.0**-53


class Inverted(NamedTuple):
    """Probabilities of a total at 0, 1, ..., points - 1 steps.

    Parameters
    ----------
    probabilities
        Exact for the rounded amounts, but for `error`.
    beyond
        Probability above the grid.
    error
        Bound on what wrap-around and rounding add to any cumulative probability.
    """

    probabilities: Floats
    beyond: float
    error: float


def invert(generating: Generating, mean: float, points: int) -> Inverted:
    """Return the probabilities of a total whose mean, in steps, is known.

    What lies k times the length M of the transform too high comes back k M too low, so the
    mean of what comes out falls short by M times the expected number of wraps: a bound on the
    probability that wraps. A tilt of theta divides that by exp(theta M) and multiplies rounding
    by up to exp(theta points); theta balances the two (Grübel and Hermesmeier 1999).

    Parameters
    ----------
    generating
        The total's transform from the transform of masses.
    mean
        Mean of the total in steps, of amounts as they are rounded.
    points
        Nodes of the grid.
    """
    length = 2 * points
    plain = _inverse(generating, 0.0, length)
    wrapped = max((mean - float(plain @ np.arange(float(length)))) / length, 0.0)
    # A shortfall within rounding of the mean shows no wrap.
    theta = 0.0
    if wrapped > 1e-14 + 64 * _DOUBLE * mean / length:
        theta = np.log(max(wrapped / _DOUBLE, 1.0)) / (3 * points)
        plain = _inverse(generating, theta, length)
    probabilities = plain[:points]
    rounding = 32 * _DOUBLE * np.exp(theta * points)
    error = wrapped * np.exp(-theta * length) + rounding * np.sqrt(points)
    probabilities = np.maximum(probabilities, 0.0)
    return Inverted(probabilities, max(1 - float(probabilities.sum()), 0.0), float(error))


def _inverse(generating: Generating, theta: float, length: int) -> Floats:
    tilt = np.exp(-theta * np.arange(length))

    def spectrum(masses: Floats) -> Complexes:
        return np.fft.rfft(masses * tilt[: len(masses)], length)

    return np.asarray(np.fft.irfft(generating(spectrum), length) / tilt)
