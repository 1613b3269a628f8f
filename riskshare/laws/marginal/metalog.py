"""The metalog: a quantile function through any few points of a stated distribution."""

from collections.abc import Iterator
from functools import cached_property
from math import inf, sqrt
from typing import Annotated, ClassVar

import numpy as np

from riskshare.laws.marginal.base import AbstractLaw, Floats, law
from riskshare.laws.marginal.numerics import REACH, integral_to, invert
from riskshare.laws.marginal.special import growth, hazard, held
from riskshare.parameters import Given, Parameter

MOST_POINTS = 10
"""More points than this make the curve's equations too ill-conditioned to solve."""

_CORE = 9.0
"""Beyond this score the logit is the hazard, and powers of (y - 1/2) are constant, to 1e-16."""

_TERMS = ((0, 0), (0, 1), (1, 1), (1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (4, 0), (4, 1))
"""Powers of (y - 1/2) and of the logit in each term, in Keelin's order."""


@law
class Metalog(AbstractLaw):
    """Metalog of Keelin (2016), one term for each point, so that it passes through all of them.

    ``M(y) = a1 + a2 L + a3 (y - 1/2) L + a4 (y - 1/2) + a5 (y - 1/2)^2 + a6 (y - 1/2)^2 L + ...``
    with L = log(y / (1 - y)). The value is M; with `lower` ``lower + exp(M)``; with `upper`
    ``upper - exp(-M)``; with both ``lower + (upper - lower) / (1 + exp(-M))``. Tails are those of
    a logistic law, and with one bound those of a log-logistic: the mean may be infinite.

    Parameters
    ----------
    levels
        Probabilities of being at or below each value, rising, from 2 to 10 of them.
    values
        The values at these levels, rising.
    lower, upper
        Bounds of the value, where it has them.
    """

    kind: ClassVar[str] = "metalog"

    levels: Annotated[
        Given, Parameter("share", lower=0.0, upper=1.0, sequence="point", by_year=False)
    ]
    values: Annotated[Given, Parameter("value", sequence="point", by_year=False)]
    lower: Annotated[Given, Parameter("value", by_year=False)] = None
    upper: Annotated[Given, Parameter("value", by_year=False)] = None

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield points out of order or out of bounds, and where the curve turns back."""
        found = list(self._misplaced())
        yield from found
        if not found and (place := self._turns_back()):
            yield (
                "values",
                f"the curve through these points falls {place}, so it is no distribution; "
                "accepted: points whose metalog rises throughout; leave a point out, bring the "
                "values nearer to even spacing, or set lower or upper",
            )

    def _misplaced(self) -> Iterator[tuple[str, str]]:
        levels, values = np.asarray(self.levels, float), np.asarray(self.values, float)
        if levels.ndim != 1 or not 2 <= levels.size <= MOST_POINTS:
            yield "levels", f"found {levels.size}; accepted: a list of 2 to {MOST_POINTS} levels"
            return
        if levels.shape != values.shape:
            yield "values", f"found {values.size}; accepted: one for each level, {levels.size}"
            return
        if not (np.all(np.diff(levels) > 0) and levels[0] > 0 and levels[-1] < 1):
            yield (
                "levels",
                f"found {list(self.levels)}; accepted: rising levels above 0 and below 1; state "
                "an end of the distribution as lower or upper",
            )
        if not (np.all(np.isfinite(values)) and np.all(np.diff(values) > 0)):
            yield "values", f"found {list(self.values)}; accepted: values that rise with the levels"
        elif self.lower is not None and not -inf < self.lower < values[0]:
            yield "lower", f"found {self.lower:g}; accepted: below all values, {values[0]:g}"
        elif self.upper is not None and not values[-1] < self.upper < inf:
            yield "upper", f"found {self.upper:g}; accepted: above all values, {values[-1]:g}"

    @cached_property
    def _mirrored(self) -> "Metalog | None":
        """Return the law of -X where only the upper end is bounded: it is bounded below."""
        if self.upper is None or self.lower is not None:
            return None
        return Metalog(
            levels=tuple(1 - level for level in reversed(self.levels)),
            values=tuple(-value for value in reversed(self.values)),
            lower=-self.upper,
        )

    @cached_property
    def _coefficients(self) -> Floats:
        levels = np.asarray(self.levels, float)
        logit = np.log(levels) - np.log1p(-levels)
        terms = [(levels - 0.5) ** m * logit**n for m, n in _TERMS[: levels.size]]
        values = self._unbounded(np.asarray(self.values, float))
        return np.asarray(np.linalg.solve(np.array(terms).T, values))

    def _unbounded(self, value: Floats) -> Floats:
        """Return M of a value: the value on the scale without bounds."""
        with np.errstate(divide="ignore"):
            if self.lower is None:
                return value
            below = np.log(np.maximum(value - self.lower, 0.0))
            if self.upper is None:
                return np.asarray(below)
            return np.asarray(below - np.log(np.maximum(self.upper - value, 0.0)))

    def _curve(self, score: Floats) -> Floats:
        """Return M at normal scores."""
        from scipy.special import erf, log_ndtr

        logit, h = log_ndtr(score) - log_ndtr(-score), erf(score / sqrt(2)) / 2
        found = np.zeros_like(h)
        for a, (m, n) in zip(self._coefficients, _TERMS, strict=False):
            found += a * h**m * logit**n
        return np.asarray(found)

    def _turns_back(self) -> str:
        """Return where y (1 - y) M'(y) is negative, in words; nothing where it never is.

        It is followed from score -37.5 to 37.5, where it has come to its limits: the slopes of the
        logistic tails.
        """
        from scipy.special import erf, log_ndtr, ndtr

        z = np.linspace(-REACH, REACH, 15_001)
        logit, h, both = log_ndtr(z) - log_ndtr(-z), erf(z / sqrt(2)) / 2, ndtr(z) * ndtr(-z)
        slope, size = np.zeros_like(z), np.zeros_like(z)
        for a, (m, n) in zip(self._coefficients, _TERMS, strict=False):
            part = n * h**m + (m * h ** (m - 1) * both * logit**n if m else 0.0)
            slope += a * part
            size += np.abs(a * part)
        falling = np.flatnonzero(slope < -1e-12 * size)
        if not falling.size:
            return ""
        if falling[0] == 0 and falling[-1] == z.size - 1:
            return "in both tails"
        if falling[0] == 0:
            return f"below the level {_level(z[falling[-1]])}"
        if falling[-1] == z.size - 1:
            return f"above the level {_level(z[falling[0]])}"
        return f"between the levels {_level(z[falling[0]])} and {_level(z[falling[-1]])}"

    def _score(self, value: Floats) -> Floats:
        """Return the normal score of values; infinite beyond the scores that can be told."""
        wanted = self._unbounded(np.asarray(value, np.float64))
        ends = self._curve(np.array([-REACH, REACH]))
        inside = np.clip(wanted, *ends)
        z = invert(self._curve, inside, -REACH, REACH)
        return np.asarray(np.where(wanted < ends[0], -inf, np.where(wanted > ends[1], inf, z)))

    def at(self, score: Floats) -> Floats:
        """Return M at the level Phi(score), brought within the bounds."""
        from scipy.special import expit

        z = np.asarray(score, np.float64)
        if self._mirrored is not None:
            return -self._mirrored.at(-z)
        m = self._curve(np.clip(z, -REACH, REACH))
        if self.lower is None:
            return m
        with np.errstate(over="ignore"):
            if self.upper is None:
                return np.asarray(self.lower + np.exp(m))
        width = self.upper - self.lower
        near = width * expit(-np.abs(m))
        return np.asarray(np.where(m <= 0, self.lower + near, self.upper - near))

    def distribution(self, value: Floats) -> Floats:
        """Return the level at which the curve meets the value."""
        from scipy.special import ndtr

        if self._mirrored is not None:
            return self._mirrored.survival(-np.asarray(value, np.float64))
        return np.asarray(ndtr(self._score(value)))

    def survival(self, value: Floats) -> Floats:
        """Return what the level leaves."""
        from scipy.special import ndtr

        if self._mirrored is not None:
            return self._mirrored.distribution(-np.asarray(value, np.float64))
        return np.asarray(ndtr(-self._score(value)))

    @cached_property
    def _tail(self) -> tuple[float, float]:
        """Return A and s of M = A - s log(1 - y), the curve far up; s = 0 unless it is exp'd."""
        limits = [0.0, 0.0]
        for a, (m, n) in zip(self._coefficients, _TERMS, strict=False):
            limits[n] += a * 0.5**m
        return (limits[0], limits[1]) if self.lower is not None and self.upper is None else (0, 0)

    def _power_above(self, power: float) -> float:
        """Return E[exp(power M); score > 9], in closed form; infinite where it is."""
        place, steep = self._tail
        rate = power * steep - 1
        if rate >= 0:
            return inf
        return float(np.exp(power * place + rate * hazard(_CORE)) / -rate)

    def expectation(self) -> float:
        """Return the mean, by quadrature; minus infinity or infinity where a bounded law's is."""
        if self._mirrored is not None:
            return -self._mirrored.expectation()
        core = float(integral_to(self.at, _CORE))
        if self.lower is None or self.upper is not None:
            return core
        return core + self._power_above(1.0)

    def standard_deviation(self) -> float:
        """Return the standard deviation, by quadrature; infinite where it is."""
        if self._mirrored is not None:
            return self._mirrored.standard_deviation()
        mean = self.expectation()
        if self._tail[1] >= 0.5:
            return inf
        core = float(integral_to(lambda z: (self.at(z) - mean) ** 2, _CORE))
        if self.lower is None or self.upper is not None:
            return sqrt(core)
        above = self._power_above(2.0) - 2 * (mean - self.lower) * self._power_above(1.0)
        return sqrt(core + above)

    def limited_mean(self, limit: Floats) -> Floats:
        """Return E[min(X, limit)]: the integral of the curve up to the limit, and limit x S."""
        d = np.asarray(limit, np.float64)
        if self._mirrored is not None:
            other, d = self._mirrored, np.minimum(d, self.upper)
            return np.asarray(d + other.limited_mean(-d) - other.expectation())
        from scipy.special import ndtr

        z = self._score(d)
        below = integral_to(self.at, np.minimum(z, _CORE))
        if self.lower is not None and self.upper is None:
            # beyond score 9 the value is lower + exp(A + s t), t = -log S
            place, steep = self._tail
            start = hazard(_CORE)
            length = np.maximum(hazard(z) - start, 0.0)
            below = below + np.exp(place + (steep - 1) * start) * growth(steep - 1, length)
        return np.asarray(below + held(d, ndtr(-z)))


def _level(score: float) -> str:
    """Return a level in words, near 1 by what it leaves."""
    from scipy.special import ndtr

    above = float(ndtr(-score))
    return f"{1 - above:.4g}" if above > 1e-3 else f"1 - {above:.2g}"
