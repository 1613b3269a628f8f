"""Laws made of points: a sample's own distribution, and atoms."""

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np

from riskshare.laws.marginal.base import AbstractLaw, Atom, Floats, law
from riskshare.laws.marginal.special import held, score_of
from riskshare.parameters import Given, Parameter

SUM_TOLERANCE = 1e-9


def unequal_or_negative(
    field: str, weights: Any, count: int, *, whole: bool
) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with weights: their number, their signs, and their sum.

    Parameters
    ----------
    whole
        Whether they must sum to one.
    """
    given = np.asarray(weights, float)
    if given.shape != (count,):
        yield field, f"found {given.size}; accepted: one weight for each value, {count}"
    elif not (np.all(np.isfinite(given)) and np.all(given >= 0) and given.sum() > 0):
        yield field, "found a weight below zero, or none above; accepted: weights of at least 0"
    elif whole and not abs(given.sum() - 1) <= SUM_TOLERANCE:
        yield (
            field,
            f"the weights sum to {given.sum():.10g}; accepted: weights that sum to 1; divide "
            "each by their sum",
        )


def _not_a_list(values: Any) -> Iterator[tuple[str, str]]:
    """Yield what keeps values from being a list of finite numbers."""
    given = np.asarray(values, float)
    if given.ndim != 1 or not given.size:
        yield "values", f"found {values!r}; accepted: a list of numbers"
    elif not np.all(np.isfinite(given)):
        worst = int(np.flatnonzero(~np.isfinite(given))[0])
        yield (
            "values",
            f"found {given[worst]} at place {worst}; accepted: finite numbers; leave out what is "
            "missing",
        )


class _Line(NamedTuple):
    """A quantile function of straight pieces: corners by what lies below and above them."""

    below: Floats
    above: Floats
    values: Floats


@law
class Empirical(AbstractLaw):
    """A sample's own distribution, smoothed so that its mean is the sample's.

    The quantile is linear between Hazen's positions (i - 1/2) / n and flat beyond the first and
    last, so ``E[X]`` is the sample's mean and no value is beyond what was seen. With weights each
    value keeps its share; between neighbours the quantile runs linearly over half the lesser of
    their shares on either side of the boundary, which keeps the weighted mean too and is Hazen's
    rule where weights are equal. The standard deviation is a little below the sample's.

    Parameters
    ----------
    values
        The sample, in any order.
    weights
        How much each counts, of any sum; all alike where left out.
    """

    kind: ClassVar[str] = "empirical"

    values: Annotated[Given, Parameter("value", sequence="point", by_year=False)]
    weights: Annotated[Given, Parameter("weight", lower=0.0, sequence="point", by_year=False)] = (
        None
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield values or weights that are no sample."""
        found = list(_not_a_list(self.values))
        yield from found
        if not found and self.weights is not None:
            yield from unequal_or_negative("weights", self.weights, len(self.values), whole=False)

    @cached_property
    def _line(self) -> _Line:
        values = np.asarray(self.values, float)
        weights = np.ones_like(values) if self.weights is None else np.asarray(self.weights, float)
        order = np.argsort(values, kind="stable")
        order = order[weights[order] > 0]
        x, w = values[order], weights[order] / weights.sum()
        reach = np.minimum(w[:-1], w[1:]) / 2
        start = np.append(0.0, np.cumsum(w[:-1]) + reach)
        end = np.append(np.cumsum(w[:-1]) - reach, 1.0)
        rest = np.cumsum(w[::-1])[::-1]
        left = np.append(1.0, rest[1:] - reach)
        right = np.append(rest[1:] + reach, 0.0)
        below = np.column_stack([start, end]).ravel()
        above = np.column_stack([left, right]).ravel()
        return _Line(
            np.maximum.accumulate(below),
            np.maximum.accumulate(above[::-1])[::-1],
            np.repeat(x, 2),
        )

    def at(self, score: Floats) -> Floats:
        """Return the straight line between corners, at what lies below or above the score."""
        from scipy.special import ndtr

        z = np.asarray(score, np.float64)
        line = self._line
        low = np.interp(ndtr(z), line.below, line.values)
        high = np.interp(ndtr(-z), line.above[::-1], line.values[::-1])
        return np.asarray(np.where(z <= 0, low, high))

    def _place(self, value: Floats) -> tuple["np.ndarray[Any, np.dtype[np.intp]]", Floats]:
        """Return the last corner at or below each value, and how far on to the next it is."""
        line = self._line
        corner = np.searchsorted(line.values, value, side="right") - 1
        here = np.clip(corner, 0, len(line.values) - 2)
        gap = line.values[here + 1] - line.values[here]
        on = (np.asarray(value, np.float64) - line.values[here]) / np.where(gap > 0, gap, 1.0)
        return here, np.clip(np.where(corner < 0, 0.0, on), 0.0, 1.0)

    def distribution(self, value: Floats) -> Floats:
        """Return the share at or below the value."""
        line = self._line
        here, on = self._place(value)
        inside = line.below[here] + on * (line.below[here + 1] - line.below[here])
        v = np.asarray(value)
        return np.asarray(
            np.where(v < line.values[0], 0.0, np.where(v >= line.values[-1], 1.0, inside))
        )

    def survival(self, value: Floats) -> Floats:
        """Return the share above the value."""
        line = self._line
        here, on = self._place(value)
        inside = line.above[here] + on * (line.above[here + 1] - line.above[here])
        v = np.asarray(value)
        return np.asarray(
            np.where(v < line.values[0], 1.0, np.where(v >= line.values[-1], 0.0, inside))
        )

    def expectation(self) -> float:
        """Return the weighted mean of the sample."""
        line = self._line
        return float(np.trapezoid(line.values, line.below))

    def standard_deviation(self) -> float:
        """Return sqrt(sum of (a^2 + a b + b^2) / 3 over pieces from a to b), from the mean."""
        line = self._line
        off = line.values - self.expectation()
        a, b = off[:-1], off[1:]
        return float(np.sqrt(np.diff(line.below) @ (a * a + a * b + b * b) / 3))

    def limited_mean(self, limit: Floats) -> Floats:
        """Return the area under the line up to the limit, and limit x S beyond."""
        d = np.asarray(limit, np.float64)
        line = self._line
        here, on = self._place(d)
        pieces = np.diff(line.below) * (line.values[:-1] + line.values[1:]) / 2
        area = np.append(0.0, np.cumsum(pieces))
        low = line.values[here]
        end = low + on * (line.values[here + 1] - low)
        step = on * (line.below[here + 1] - line.below[here]) * (low + end) / 2
        inside = np.where(d < line.values[0], 0.0, area[here] + step)
        total = np.where(d >= line.values[-1], area[-1], inside)
        return np.asarray(total + held(d, self.survival(d)))


class _Atoms(NamedTuple):
    values: Floats
    weights: Floats
    below: Floats
    above: Floats
    edges: Floats

    @property
    def felt(self) -> Floats:
        """Each step, weighed by the density of the score at which it is taken."""
        return np.asarray(np.diff(self.values) * np.exp(-(self.edges**2) / 2))


@law
class Discrete(AbstractLaw):
    """Atoms: each value with its probability. The quantile is an exact step function.

    Parameters
    ----------
    values
        What may happen, in any order.
    weights
        The probability of each; they sum to one.
    """

    kind: ClassVar[str] = "discrete"

    values: Annotated[Given, Parameter("value", sequence="point", by_year=False)]
    weights: Annotated[
        Given, Parameter("share", lower=0.0, upper=1.0, sequence="point", by_year=False)
    ]

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield values or weights that are no probabilities."""
        found = list(_not_a_list(self.values))
        yield from found
        if not found:
            yield from unequal_or_negative("weights", self.weights, len(self.values), whole=True)

    @cached_property
    def _atoms(self) -> _Atoms:
        values, weights = np.asarray(self.values, float), np.asarray(self.weights, float)
        x, which = np.unique(values[weights > 0], return_inverse=True)
        w = np.bincount(which, weights[weights > 0]) / weights.sum()
        below = np.append(np.cumsum(w[:-1]), 1.0)
        above = np.append(np.cumsum(w[::-1])[::-1][1:], 0.0)
        return _Atoms(x, w, below, above, score_of(below[:-1], above[:-1]))

    @property
    def jump(self) -> float | None:
        """The jump that a table would feel most: step x density of the score, the greatest."""
        atoms = self._atoms
        if not atoms.edges.size:
            return None
        return float(atoms.edges[np.argmax(atoms.felt)])

    @property
    def atom(self) -> Atom | None:
        """The first or last value, whichever jump is felt more, and the law of the others."""
        atoms = self._atoms
        if not atoms.edges.size:
            return None
        first = atoms.felt[0] >= atoms.felt[-1]
        end, others = (0, slice(1, None)) if first else (-1, slice(None, -1))
        weights = atoms.weights[others] / atoms.weights[others].sum()
        rest = Discrete(values=tuple(atoms.values[others]), weights=tuple(weights))
        side = 1.0 if first else -1.0
        return Atom(float(atoms.weights[end]), float(atoms.values[end]), side, rest)

    @property
    def jumps(self) -> tuple[float, ...]:
        """The edges between atoms."""
        return tuple(float(edge) for edge in self._atoms.edges)

    def at(self, score: Floats) -> Floats:
        """Return the least value with F >= Phi(score)."""
        atoms = self._atoms
        return np.asarray(atoms.values[np.searchsorted(atoms.edges, score, side="left")])

    def distribution(self, value: Floats) -> Floats:
        """Return the sum of weights at or below the value."""
        atoms = self._atoms
        below = np.append(0.0, atoms.below)
        return np.asarray(below[np.searchsorted(atoms.values, value, side="right")])

    def survival(self, value: Floats) -> Floats:
        """Return the sum of weights above the value."""
        atoms = self._atoms
        above = np.append(1.0, atoms.above)
        return np.asarray(above[np.searchsorted(atoms.values, value, side="right")])

    def expectation(self) -> float:
        """Return the weighted mean."""
        return float(self._atoms.weights @ self._atoms.values)

    def standard_deviation(self) -> float:
        """Return the root of the weighted squares about the mean."""
        off = self._atoms.values - self.expectation()
        return float(np.sqrt(self._atoms.weights @ off**2))

    def limited_mean(self, limit: Floats) -> Floats:
        """Return the weighted mean of the lesser of each value and the limit."""
        atoms, d = self._atoms, np.asarray(limit, np.float64)
        return np.asarray(np.minimum(atoms.values, d[..., None]) @ atoms.weights)
