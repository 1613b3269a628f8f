"""A person's cost of a year: several claims, and a layer of their sum."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import ceil, inf

import numpy as np
from numpy.typing import NDArray

from riskshare.laws.compound.frequency import AbstractFrequency, Complexes, Floats
from riskshare.laws.compound.grid import Spectrum, invert
from riskshare.laws.compound.severity import Layer, Masses

_OWN = 2**13


@dataclass(frozen=True)
class AnnualCost:
    """One person's cost of a year in a layer: ``min((sum of claims - attachment)+, limit)``.

    The law of the sum is rounded in three ways, and the layer then applied to its nodes, so that
    the roundings down and up still enclose the truth.
    """

    frequency: AbstractFrequency
    claim: Layer
    attachment: float
    limit: float

    @cached_property
    def _moments(self) -> tuple[float, float]:
        """Return E[Y] and E[Y^2] of Y = (M - a)+, M = min(S, a + limit)."""
        a = self.attachment
        mean, square = self._capped(a + self.limit)
        below, below_square = self._capped(a)
        excess = mean - below
        return excess, max(square - below_square - 2 * a * excess, 0.0)

    def _capped(self, at: float) -> tuple[float, float]:
        """Return E[min(S, at)] and E[min(S, at)^2], S the sum of claims."""
        if at == 0:
            return 0.0, 0.0
        if at == inf:
            number, spread = self.frequency.expectation(), self.frequency.variance()
            mean, square = self.claim.expectation(), self.claim.second_moment(1.0, _OWN)
            return number * mean, number * (square - mean**2) + (spread + number**2) * mean**2
        step = at / _OWN
        masses = _claim_masses(self.claim, step, _OWN).preserving
        probabilities = self._total(masses, _OWN)
        less = at - step * np.arange(_OWN)
        # Shortfalls below the cap need no mass above it.
        mean = at - float(probabilities @ less)
        return mean, at**2 - float(probabilities @ (2 * at * less - less**2))

    def expectation(self) -> float:
        """Return the mean."""
        return self._moments[0]

    def second_moment(self, step: float, panels: int) -> float:
        """Return the mean square, from a grid of the person's own whatever the step."""
        return self._moments[1]

    def masses(self, step: float, points: int) -> Masses:
        """Return the probabilities at 0, step, ..., points x step, rounded in three ways."""
        limit = min(self.limit, points * step)
        # What the layer cuts off need not be on the person's grid.
        longer = _fast(ceil((self.attachment + limit) / step) + 1)
        amounts = _claim_masses(self.claim, step, longer)
        layered = np.clip(step * np.arange(longer) - self.attachment, 0.0, limit)
        place = np.append(layered, limit) / step
        below = np.floor(place + 1e-9).astype(np.int64)
        above = np.ceil(place - 1e-9).astype(np.int64)
        share = np.clip(place - below, 0, 1)
        central, down, up = (self._whole(kind, longer) for kind in amounts)

        def gathered(nodes: NDArray[np.int64], weights: Floats) -> Floats:
            return np.asarray(np.bincount(nodes, weights, points + 1), np.float64)

        return Masses(
            preserving=gathered(below, central * (1 - share)) + gathered(above, central * share),
            down=gathered(below, down),
            up=gathered(above, up),
        )

    def _whole(self, masses: Floats, points: int) -> Floats:
        """Return the sum's probabilities and, at the end, that of all above them."""
        inside = self._total(masses, points)
        return np.append(inside, max(1 - inside.sum(), 0.0))

    def _total(self, masses: Floats, points: int) -> Floats:
        def generating(spectrum: Spectrum) -> Complexes:
            return self.frequency.generating(spectrum(masses))

        steps = self.frequency.expectation() * float(np.arange(float(len(masses))) @ masses)
        return invert(generating, steps, points).probabilities


def _fast(points: int) -> int:
    """Return a length no shorter that transforms fast: five to eight times a power of two."""
    power = 2 ** max(int(np.ceil(np.log2(points))) - 3, 0)
    return -(-points // power) * power


@lru_cache(maxsize=4)
def _claim_masses(claim: Layer, step: float, points: int) -> Masses:
    """Return what members who differ in their number of claims alone have in common."""
    return claim.masses(step, points)
