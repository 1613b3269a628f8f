"""How much: one amount, its layer, and its probabilities on an even grid.

An amount is any law with a distribution and a limited mean. The layer is applied to it exactly
before anything is rounded. Three roundings to the grid are made: down and up, between which the
truth lies whatever the law; and the mean-preserving one, which results are read from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

_ON_NODE = 1e-9
"""Share of a step within which a value counts as standing on a node of the grid."""


class Severity(Protocol):
    """What is asked of an amount: every `riskshare.laws.marginal` law has it, and `Aggregate`."""

    def distribution(self, value: Floats) -> Floats:
        """Return P(X <= value)."""

    def survival(self, value: Floats) -> Floats:
        """Return P(X > value)."""

    def limited_mean(self, limit: Floats) -> Floats:
        """Return E[min(X, limit)]."""

    def expectation(self) -> float:
        """Return E[X]."""

    def standard_deviation(self) -> float:
        """Return the standard deviation."""


class Masses(NamedTuple):
    """Probabilities at 0, step, ..., points x step; the last holds all that lies above.

    Parameters
    ----------
    preserving
        ``p_j = (2 L(jh) - L((j-1)h) - L((j+1)h)) / h``, L the limited mean: mass between two
        nodes goes to both so that its mean stays (local moment matching, Gerber 1982).
    down, up
        Amounts rounded down and up to the node below and above.
    """

    preserving: Floats
    down: Floats
    up: Floats


@dataclass(frozen=True)
class Layer:
    """One person's or claim's amount in a layer: ``Y = scale min((X - attachment)+, limit)``.

    The attachment and the limit are amounts of money before the scale is taken off:
    ``Y = min((scale X - attachment)+, limit)``.

    Parameters
    ----------
    of
        The law of X; X must not be negative.
    attachment, limit
        Where the layer begins, and how much it holds; no limit where infinite.
    scale
        What multiplies X.
    """

    of: Severity
    attachment: float = 0.0
    limit: float = np.inf
    scale: float = 1.0

    def __post_init__(self) -> None:
        """Refuse layers that hold nothing, and amounts that are negative or have no mean."""
        if not 0 <= self.attachment < np.inf:
            raise ValueError(f"attachment is {self.attachment}; it must be zero or more and finite")
        if not self.limit > 0:
            raise ValueError(
                f"limit is {self.limit}; it is how much the layer holds above its attachment, "
                "and must be positive"
            )
        if not 0 < self.scale < np.inf:
            raise ValueError(f"scale is {self.scale}; it must be positive and finite")
        below = float(self.of.distribution(np.asarray(-1e-300)))
        if below > 1e-12:
            raise ValueError(
                f"the amount is negative with probability {below:.3g}; amounts of a compound law "
                "must be zero or more: choose a law of positive values, such as gamma"
            )
        if not np.isfinite(self.expectation()):
            raise ValueError(
                "the amount has an infinite mean, and so has the total: give a limit, or a law "
                "with a lighter tail (a Pareto index above 1)"
            )

    @property
    def whole(self) -> bool:
        """Whether the layer is the whole amount."""
        return self.attachment == 0 and self.limit == np.inf

    def survival(self, value: Floats) -> Floats:
        """Return P(Y > value)."""
        y = np.asarray(value, np.float64)
        inside = np.clip(y, 0.0, self.limit)
        above = self.of.survival((self.attachment + inside) / self.scale)
        return np.asarray(np.where(y < self.limit, np.where(y < 0, 1.0, above), 0.0))

    def distribution(self, value: Floats) -> Floats:
        """Return P(Y <= value)."""
        return np.asarray(1 - self.survival(value))

    def reaching(self, value: Floats, step: float) -> Floats:
        """Return P(Y >= value); a value within a billionth of a step counts as reached."""
        y = np.asarray(value, np.float64)
        inside = np.minimum(y, self.limit) - np.where(y > 0, _ON_NODE * step, 0)
        above = self.of.survival((self.attachment + inside) / self.scale)
        reached = np.where(y <= self.limit + _ON_NODE * step, above, 0.0)
        return np.asarray(np.where(y > 0, reached, 1.0))

    def exceeding(self, value: Floats, step: float) -> Floats:
        """Return P(Y > value); a value within a billionth of a step does not exceed."""
        y = np.asarray(value, np.float64)
        # At zero nothing is forgiven: a law may crowd there (a gamma of large variation).
        beyond = y + np.where(y > 0, _ON_NODE * step, 0)
        above = self.of.survival((self.attachment + np.minimum(beyond, self.limit)) / self.scale)
        return np.asarray(np.where(beyond < self.limit, above, 0.0))

    def limited_mean(self, limit: Floats) -> Floats:
        """Return E[min(Y, limit)] = L(attachment + limit) - L(attachment), L that of X."""
        y = np.asarray(limit, np.float64)
        top = self.attachment + np.clip(y, 0.0, self.limit)
        start = np.asarray(self.attachment / self.scale)
        parts = self.of.limited_mean(top / self.scale) - self.of.limited_mean(start)
        return np.asarray(self.scale * parts + np.minimum(y, 0.0))

    def expectation(self) -> float:
        """Return E[Y]."""
        if self.limit < np.inf:
            return float(self.limited_mean(np.asarray(self.limit)))
        start = np.asarray(self.attachment / self.scale)
        return float(self.scale * (self.of.expectation() - self.of.limited_mean(start)))

    def second_moment(self, step: float, panels: int) -> float:
        """Return E[Y^2], infinite where it is.

        ``E[min(Y, l)^2] = 2 (l L(l) - integral of L from 0 to l)``, by Simpson's rule on panels
        that divide the step, so that amounts on nodes of the grid leave it exact.
        """
        if self.limit < np.inf:
            return _limited_square(self.limited_mean, self.limit, step, panels)
        spread = self.of.standard_deviation()
        if not np.isfinite(spread):
            return np.inf
        square = self.scale**2 * (spread**2 + self.of.expectation() ** 2)
        if self.attachment == 0:
            return float(square)
        below = Layer(self.of, limit=self.attachment, scale=self.scale)
        kept = _limited_square(below.limited_mean, self.attachment, step, panels)
        return max(square - kept - 2 * self.attachment * self.expectation(), 0.0)

    def standard_deviation(self) -> float:
        """Return the standard deviation of Y."""
        if self.whole:
            return float(self.scale * self.of.standard_deviation())
        top = min(self.limit, self.attachment + self.expectation())
        return float(np.sqrt(self.second_moment(top, 2**14) - self.expectation() ** 2))

    def masses(self, step: float, points: int) -> Masses:
        """Return the probabilities of Y on the grid, rounded in three ways."""
        nodes = np.asarray(step * np.arange(points + 1), np.float64)
        reaching, exceeding = self.reaching(nodes, step), self.exceeding(nodes, step)
        area = np.diff(self.limited_mean(nodes)) / step
        # Differences of limited means lose the far tail; the survival function brackets them.
        area = np.clip(area, exceeding[1:], reaching[:-1])
        edges = np.concatenate([[1.0], area, [0.0]])
        return Masses(
            preserving=np.maximum(-np.diff(edges), 0.0),
            down=np.maximum(-np.diff(reaching, append=0.0), 0.0),
            up=np.maximum(-np.diff(np.concatenate([[1.0], exceeding[:-1], [0.0]])), 0.0),
        )


def _limited_square(
    limited_mean: Callable[[Floats], Floats], limit: float, step: float, panels: int
) -> float:
    """Return E[min(Y, limit)^2] from a limited mean."""
    cells = round(limit / step)
    cells = cells if 1 <= cells <= panels else 1
    per_cell = 2 * max(panels // (2 * cells), 1)
    nodes = np.linspace(0.0, limit, cells * per_cell + 1)
    values = limited_mean(nodes)
    weights = np.tile([2.0, 4.0], len(nodes) // 2)
    weights = np.append(weights, 1.0)
    weights[0] = 1.0
    area = float(weights @ values) * nodes[1] / 3
    return float(2 * (limit * values[-1] - area))
