"""The law of a total: what `aggregate` and its relatives return, and its discretisation error."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from riskshare.laws.compound.frequency import Floats

LEVELS = (0.5, 0.9, 0.95, 0.99, 0.995, 0.999)
"""Levels at which the error of quantiles is reported."""


@dataclass(frozen=True)
class DiscretisationError:
    """What rounding amounts to a grid may have done to a total.

    Parameters
    ----------
    distribution
        Bound on the error of P(S <= s) at every s of the grid: the widest gap between the laws of
        totals of amounts rounded down and rounded up. Zero for amounts on the grid. It grows with
        the number of claims and is far above the true error where there are many.
    estimate
        Largest change of P(S <= s) when the step is doubled, never above `distribution`. For
        smooth amounts the error falls with the square of the step, so a third of this is the size
        to expect; it is no bound.
    stop_loss
        Bound on the error of a stop-loss premium or limited mean, in money, on the grid.
    quantiles
        (level, lowest, highest) of quantiles by the two roundings, for those the grid holds.
    beyond
        Probability above the grid. What lies on the grid does not suffer from it.
    """

    distribution: float
    estimate: float
    stop_loss: float
    quantiles: tuple[tuple[float, float, float], ...]
    beyond: float


@dataclass(frozen=True, eq=False)
class Aggregate:
    """The law of a total S on an even grid.

    It has what a `Severity` has, so that it may serve as the amount of a further compound law.

    Parameters
    ----------
    step
        Distance of the nodes 0, step, 2 step, ...
    probabilities
        Mean-preserving probabilities at the nodes.
    lowest, highest
        Bounds of P(S <= node): of the totals of amounts rounded up, and rounded down.
    mean, sd
        Exact, not the grid's; the sd is infinite where it is.
    error
        What the grid may have done.
    """

    step: float
    probabilities: Floats
    lowest: Floats
    highest: Floats
    mean: float
    sd: float
    error: DiscretisationError

    @property
    def grid(self) -> Floats:
        """The nodes."""
        return np.asarray(self.step * np.arange(len(self.probabilities)))

    @cached_property
    def _sides(self) -> tuple[Floats, Floats]:
        """P(S <= node) and P(S < node), within the bounds."""
        return at_nodes(self.probabilities, self.lowest, self.highest)

    @cached_property
    def _limited(self) -> Floats:
        """E[min(S, node)]: the sum of step x P(S* > node below)."""
        above = 1 - np.cumsum(self.probabilities)
        return np.concatenate([[0.0], np.cumsum(above[:-1])]) * self.step

    def distribution(self, value: ArrayLike) -> Floats:
        """Return P(S <= value); above the grid, that of its last node."""
        at = np.asarray(value, np.float64) / self.step
        last = len(self.probabilities) - 1
        node = np.clip(np.floor(at + 1e-9), 0, last).astype(np.int64)
        follow = np.minimum(node + 1, last)
        part = np.clip(at - node, 0, 1)
        upto, below = self._sides
        smooth = upto[node] * (1 - part) + below[follow] * part
        inside = np.clip(smooth, self.lowest[node], self.highest[node])
        return np.asarray(np.where(at < 0, 0.0, inside))

    def survival(self, value: ArrayLike) -> Floats:
        """Return P(S > value)."""
        return np.asarray(1 - self.distribution(value))

    def quantile(self, level: ArrayLike) -> Floats:
        """Return the smallest s with P(S <= s) >= level.

        Raises
        ------
        ValueError
            If a level is outside [0, 1], or above what the grid holds.
        """
        asked = np.asarray(level, np.float64)
        if np.any((asked < 0) | (asked > 1) | np.isnan(asked)):
            raise ValueError(f"level is {asked}; it must lie from 0 to 1")
        upto, below = self._sides
        top = upto[-1]
        if np.any(asked > top):
            raise ValueError(
                f"level is {asked}; the grid ends at {self.grid[-1]:g} and holds levels up to "
                f"{top:.9g}: ask for more points, or a larger step"
            )
        # A level that is met but for rounding is met.
        wanted = np.maximum(asked - 1e-12, 0.0)
        node = np.searchsorted(upto, wanted)
        before = np.maximum(node - 1, 0)
        rise = below[node] - upto[before]
        part = np.where(rise > 0, (asked - upto[before]) / np.where(rise > 0, rise, 1), 1)
        # No value below the node reaches a level above either: the law jumps at the node.
        jumps = (wanted > below[node]) | (wanted > self.highest[before])
        part = np.where(jumps, 1.0, np.clip(part, 0, 1))
        return np.asarray(np.where(node == 0, 0.0, (before + part) * self.step))

    def limited_mean(self, limit: ArrayLike) -> Floats:
        """Return E[min(S, limit)]: linear between nodes, which is what its own law says."""
        at = np.asarray(limit, np.float64)
        end = self.grid[-1]
        if self.error.beyond > 1e-9 and np.any((at > end) & np.isfinite(at)):
            raise ValueError(
                f"limit is {at}, above the grid's end of {end:g}: ask for more points, or a "
                "larger step"
            )
        held = np.interp(at, self.grid, self._limited)
        return np.asarray(np.where(at > end, self.mean, held) + np.minimum(at, 0.0))

    def stop_loss_premium(self, attachment: ArrayLike) -> Floats:
        """Return E[(S - attachment)+] = mean - E[min(S, attachment)]."""
        return np.maximum(self.mean - self.limited_mean(attachment), 0.0)

    def tail_mean(self, level: ArrayLike) -> Floats:
        """Return the tail value-at-risk: the mean of quantiles above a level.

        ``q + E[(S - q)+] / (1 - level)``, q the quantile; where the law is continuous at q this is
        E[S | S > q]. It differs from that where q is an atom (Acerbi and Tasche 2002).
        """
        chosen = np.asarray(level, np.float64)
        if np.any(chosen >= 1):
            raise ValueError(f"level is {chosen}; a tail mean needs one below 1")
        at = self.quantile(chosen)
        return np.asarray(at + self.stop_loss_premium(at) / (1 - chosen))

    def at(self, score: ArrayLike) -> Floats:
        """Return the quantile at Phi(score); scores beyond the grid get its last node."""
        from scipy.special import ndtr

        level = np.asarray(ndtr(np.asarray(score, np.float64)))
        return self.quantile(np.minimum(level, self._sides[0][-1]))

    def expectation(self) -> float:
        """Return the mean."""
        return self.mean

    def standard_deviation(self) -> float:
        """Return the standard deviation."""
        return self.sd


def at_nodes(probabilities: Floats, lowest: Floats, highest: Floats) -> tuple[Floats, Floats]:
    """Return P(S <= node) and P(S < node), within the bounds.

    Mass of a smooth law at a node stands for half a step on both sides; what stands above that of
    the neighbours is an atom (no claims, amounts at the limit). The bounds take back what is wrong
    in this: where amounts lie on the grid they are the law itself.
    """
    around = np.pad(probabilities, 1, mode="edge")
    around[0] = probabilities[1]
    smooth = np.minimum(probabilities, (around[:-2] + around[2:]) / 2)
    upto = np.cumsum(probabilities)
    below = np.clip(upto - probabilities + smooth / 2, _shifted(lowest), _shifted(highest))
    upto = np.clip(upto - smooth / 2, lowest, highest)
    return np.maximum.accumulate(upto), np.maximum.accumulate(below)


def _shifted(bound: Floats) -> Floats:
    """Return a bound of P(S < node), which is one of P(S <= s) for s just below the node."""
    return np.concatenate([[0.0], bound[:-1]])


def quantile_bounds(
    step: float, lowest: Floats, highest: Floats
) -> tuple[tuple[float, float, float], ...]:
    """Return (level, lowest, highest quantile) at those of `LEVELS` that the bounds reach."""
    found = []
    for level in LEVELS:
        if lowest[-1] >= level:
            low, high = (int(np.searchsorted(bound, level - 1e-12)) for bound in (highest, lowest))
            found.append((level, low * step, high * step))
    return tuple(found)
