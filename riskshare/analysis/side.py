"""One side of a corridor: what it pays, or charges, populations drawn and in the limit of many.

Everything is in shares of the mean cost of the performance year: ``base`` and ``performance`` are a
population's means over those of the list, both 1 on average.
"""

from typing import Any, NamedTuple

import numpy as np

from riskshare.analysis.people import Floats
from riskshare.errors import ArgumentError

READINGS = ("first-dollar", "excess-only")
OUTCOMES = {"paid": 1, "charged": -1}
MOST_MEMBERS = 10_000_000
_DUST = 16 * float(np.finfo(np.float64).eps)
"""A savings rate of just the corridor counts as reached, whatever its last bits are."""


class Side(NamedTuple):
    """What one side of the corridor does: chance, and money by reading as a share of mean cost."""

    probability: Any
    first_dollar: Any
    excess_only: Any


def taken(means: Any, corridor: float, saving: float, sign: int) -> Side:
    """Return what a side of the corridor does to populations, from means (year, ...)."""
    base, performance = means[0], (1 - saving) * means[1]
    result = sign * (base - performance)
    beyond = result - corridor * base
    reached = (beyond >= -_DUST) & (result > 0)
    return Side(
        np.where(reached, 1.0, 0.0),
        np.where(reached, result, 0.0),
        np.where(reached, np.maximum(beyond, 0.0), 0.0),
    )


def normal(covariance: Floats, size: int, corridor: float, saving: float, sign: int) -> Side:
    """Return the same in the limit: D = result and G = what lies beyond, jointly normal.

    P(G >= 0) = Phi(z), E[D; G >= 0] = E[D] Phi(z) + cov(D, G) / sd(G) phi(z) and E[G; G >= 0]
    likewise, with z = E[G] / sd(G).
    """
    from scipy.special import ndtr

    of_result = np.array([sign, -sign * (1 - saving)])
    of_beyond = of_result - np.array([corridor, 0.0])
    variance = np.einsum("y,...yz,z->...", of_beyond, covariance, of_beyond) / size
    together = np.einsum("y,...yz,z->...", of_result, covariance, of_beyond) / size
    deviation = np.sqrt(np.maximum(variance, np.finfo(np.float64).tiny))
    mean, mean_beyond = of_result.sum(), of_beyond.sum()
    z = mean_beyond / deviation
    probability, density = ndtr(z), np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return Side(
        probability,
        mean * probability + together / deviation * density,
        mean_beyond * probability + deviation * density,
    )


def smallest(
    covariance: Floats, corridor: float, sides: tuple[str, ...], chance: float, least: int
) -> int:
    """Return the smallest size with a normal chance below the one accepted, by bisection."""

    def above(size: int) -> bool:
        chances = [
            normal(covariance, size, corridor, 0.0, OUTCOMES[side]).probability for side in sides
        ]
        return bool(sum(chances) >= chance)

    if above(MOST_MEMBERS):
        raise ArgumentError(
            f"chance is {chance:g}: more than {MOST_MEMBERS:,} members are needed with a corridor "
            f"of {corridor:g}; accepted: a greater chance or a wider corridor"
        )
    low, high = least - 1, MOST_MEMBERS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if above(middle) else (low, middle)
    return high
