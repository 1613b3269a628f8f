"""Groups of equal members, and what their total is before any grid is chosen."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Protocol

import numpy as np

from riskshare.laws.compound.frequency import AbstractFrequency, Complexes, Floats
from riskshare.laws.compound.grid import Inverted, Spectrum, invert
from riskshare.laws.compound.severity import Masses


class Rounded(Protocol):
    """An amount that can be put on a grid: a `Layer`, or a person's annual cost."""

    @property
    def limit(self) -> float:
        """Return the largest amount."""

    def expectation(self) -> float:
        """Return the mean."""

    def second_moment(self, step: float, panels: int) -> float:
        """Return the mean square."""

    def masses(self, step: float, points: int) -> Masses:
        """Return the probabilities at 0, step, ..., points x step."""


@dataclass(frozen=True)
class Group:
    """Equal members of a total: each has so many amounts, independent of everybody's.

    Parameters
    ----------
    amount
        The law of one amount.
    frequency
        How many of them one member has.
    members
        Number of members; a weight where it stands for members who differ (`quadrature`).
    """

    amount: Rounded
    frequency: AbstractFrequency
    members: float = 1.0


def expected_claims(groups: Sequence[Group]) -> float:
    """Return the expected number of amounts."""
    return sum(g.members * g.frequency.expectation() for g in groups)


def expectation(groups: Sequence[Group]) -> float:
    """Return the mean of the total: sum of E[N] E[Y]."""
    return sum(g.members * g.frequency.expectation() * g.amount.expectation() for g in groups)


def standard_deviation(groups: Sequence[Group], step: float, points: int) -> float:
    """Return sqrt of the sum of E[N] Var Y + Var N E[Y]^2."""
    squares = {id(g.amount): g.amount.second_moment(step, points) for g in groups}
    variance = 0.0
    for group in groups:
        mean, square = group.amount.expectation(), squares[id(group.amount)]
        number, spread = group.frequency.expectation(), group.frequency.variance()
        # No claims at all add nothing, even of infinite variance.
        own = number * (square - mean**2) if number else 0.0
        variance += group.members * (own + spread * mean**2)
    return sqrt(max(variance, 0.0))


def inverted(groups: Sequence[Group], masses: dict[int, Floats], points: int) -> Inverted:
    """Return the total's probabilities, given those of each amount."""

    def generating(spectrum: Spectrum) -> Complexes:
        spectra = {key: spectrum(values) for key, values in masses.items()}
        product: Complexes = np.ones(1, np.complex128)
        for group in groups:
            spectrum_of = spectra[id(group.amount)]
            product = product * group.frequency.generating(spectrum_of, group.members)
        return product

    return invert(generating, mean_in_steps(groups, masses), points)


def mean_in_steps(groups: Sequence[Group], masses: dict[int, Floats]) -> float:
    """Return the mean of the total in steps, of amounts as they are rounded."""
    each = {key: float(np.arange(float(len(values))) @ values) for key, values in masses.items()}
    return sum(g.members * g.frequency.expectation() * each[id(g.amount)] for g in groups)


def doubled(masses: Floats) -> Floats:
    """Return masses at every second node, each odd node's going half to both sides."""
    even = masses[::2].copy()
    odd = masses[1::2] / 2
    even[: len(odd)] += odd
    even[1 : len(odd) + 1] += odd[: len(even) - 1]
    return even
