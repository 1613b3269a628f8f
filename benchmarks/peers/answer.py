"""What is asked of every engine, what it may be off by, and its exact value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RISK, TAIL = 0.95, 0.99
"""Levels of value at risk and of tail value at risk."""

LIMIT = 4.0
"""Standard errors of independent samples by which an engine may miss."""


@dataclass(frozen=True)
class Answer:
    """Mean, value at risk and tail value at risk of an amount that is paid or kept."""

    mean: float
    value_at_risk: float
    tail_value_at_risk: float

    @classmethod
    def of(cls, amount: np.ndarray) -> Answer:
        """Return them of a sample; the tail is the mean of its largest hundredth."""
        count = len(amount)
        places = sorted({int(np.ceil(count * RISK)) - 1, int(np.floor(count * TAIL))})
        ordered = np.partition(amount, places)
        tail = ordered[places[-1] :].mean(dtype=np.float64)
        return cls(float(amount.mean(dtype=np.float64)), float(ordered[places[0]]), float(tail))

    def values(self) -> np.ndarray:
        """Return the three numbers."""
        return np.array([self.mean, self.value_at_risk, self.tail_value_at_risk])


@dataclass(frozen=True)
class Exact:
    """The exact answer, and the standard errors of one independent sample's worth of it."""

    answer: Answer
    spread: np.ndarray

    @classmethod
    def of(cls, amounts: np.ndarray, chances: np.ndarray) -> Exact:
        """Return both from amounts in rising order and their chances.

        The errors are sigma for the mean, sqrt(p (1 - p)) over the density for value at risk, and
        for the tail at q sqrt((Var[X | X > v] + q (TVaR - v)^2) / (1 - q)).
        """
        chances = chances / chances.sum()
        below = np.cumsum(chances)
        mean = float(amounts @ chances)
        sigma = np.sqrt(max(float(amounts**2 @ chances) - mean**2, 0.0))

        def quantile(level: float) -> float:
            return float(np.interp(level, below, amounts))

        risk, start = quantile(RISK), quantile(TAIL)
        slope = (quantile(RISK + 0.005) - quantile(RISK - 0.005)) / 0.01
        beyond = amounts > start
        held = (1.0 - TAIL) - chances[beyond].sum()  # of the node at the quantile itself
        tail = (float(amounts[beyond] @ chances[beyond]) + held * start) / (1.0 - TAIL)
        square = (float(amounts[beyond] ** 2 @ chances[beyond]) + held * start**2) / (1.0 - TAIL)
        variance = (square - tail**2 + TAIL * (tail - start) ** 2) / (1.0 - TAIL)
        spread = np.array([sigma, slope * np.sqrt(RISK * (1.0 - RISK)), np.sqrt(variance)])
        return cls(Answer(mean, risk, float(tail)), spread)

    def misses(self, found: Answer, samples: int, allowed: float) -> np.ndarray:
        """Return by how many standard errors an answer is off, beyond a relative allowance.

        For an engine that answers without samples (`samples` of 0) what is left over the
        allowance counts as that many times the allowance.
        """
        off = np.abs(found.values() - self.answer.values())
        scale = np.maximum(np.abs(self.answer.values()), 0.1 * self.spread)
        if not samples:
            return off / (allowed * scale) * LIMIT
        # an atom has no spread; its place is known to the rounding of float32
        error = np.maximum(self.spread / np.sqrt(samples), 1e-6 * scale)
        return np.maximum(off - allowed * scale, 0.0) / error
