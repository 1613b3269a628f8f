"""Laws that people state: least, likeliest and greatest values, or an interval."""

from collections.abc import Iterator
from functools import cached_property
from math import exp, expm1, isfinite, log, sqrt
from typing import Annotated, ClassVar, Literal

import numpy as np

from riskshare.laws.indices import Z90
from riskshare.laws.marginal.base import AbstractLaw, Floats, law
from riskshare.laws.marginal.smooth import Lognormal, Normal
from riskshare.laws.marginal.special import LEAST, beta_quantile, either
from riskshare.parameters import Given, Parameter


def _out_of_order(low: float, mode: float, high: float) -> Iterator[tuple[str, str]]:
    """Yield what keeps low, mode and high from being in order, low strictly below high."""
    if not (isfinite(low) and isfinite(high) and low < high):
        yield (
            "low",
            f"found low {low:g} and high {high:g}; accepted: low below high; exchange them, "
            "or leave the law out where the value is certain",
        )
    elif not low <= mode <= high:
        yield (
            "mode",
            f"found {mode:g}; accepted: from low, {low:g}, to high, {high:g}; the mode is the "
            "likeliest value",
        )


@law
class Triangular(AbstractLaw):
    """Triangular: a density that rises evenly from low to mode and falls evenly to high.

    ``F(x) = (x - low)^2 / ((high - low) (mode - low))`` up to the mode, and
    ``S(x) = (high - x)^2 / ((high - low) (high - mode))`` beyond. Mean (low + mode + high) / 3.
    """

    kind: ClassVar[str] = "triangular"

    low: Annotated[Given, Parameter("value", by_year=False)]
    mode: Annotated[Given, Parameter("value", by_year=False)]
    high: Annotated[Given, Parameter("value", by_year=False)]

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield numbers out of order."""
        yield from _out_of_order(self.low, self.mode, self.high)

    @property
    def _parts(self) -> tuple[float, float, float]:
        """Return what lies left of the mode, what lies right of it, and the width."""
        left, right = float(self.mode - self.low), float(self.high - self.mode)
        return left, right, left + right

    def at(self, score: Floats) -> Floats:
        """Return low + sqrt(F w l), or high - sqrt(S w r); near the other end, from the mode."""
        from scipy.special import ndtr

        z = np.asarray(score, np.float64)
        below, above = ndtr(z), ndtr(-z)
        left, right, width = self._parts

        up = np.where(
            z <= 0,
            self.low + np.sqrt(below * width * left),
            self.mode - (above * width - right) / (1 + np.sqrt(below * width / (left or 1.0))),
        )
        down = np.where(
            z > 0,
            self.high - np.sqrt(above * width * right),
            self.mode + (below * width - left) / (1 + np.sqrt(above * width / (right or 1.0))),
        )
        return np.asarray(np.where(below * width <= left, up, down))

    def distribution(self, value: Floats) -> Floats:
        """Return F."""
        x = np.clip(value, self.low, self.high)
        left, right, width = self._parts
        rising = (x - self.low) ** 2 / (left or 1.0)
        falling = left + (x - self.mode) * (2 * self.high - self.mode - x) / (right or 1.0)
        return np.asarray(np.where(x <= self.mode, rising if left else 0.0, falling) / width)

    def survival(self, value: Floats) -> Floats:
        """Return 1 - F."""
        x = np.clip(value, self.low, self.high)
        left, right, width = self._parts
        rising = right + (self.mode - x) * (x + self.mode - 2 * self.low) / (left or 1.0)
        falling = (self.high - x) ** 2 / (right or 1.0)
        return np.asarray(np.where(x < self.mode, rising, falling if right else 0.0) / width)

    def expectation(self) -> float:
        """Return (low + mode + high) / 3."""
        return float(self.low + self.mode + self.high) / 3

    def standard_deviation(self) -> float:
        """Return sqrt((w^2 - l r) / 18): width w, the mode at l from low and r from high."""
        left, right, _ = self._parts
        return sqrt((left**2 + left * right + right**2) / 18)

    def limited_mean(self, limit: Floats) -> Floats:
        """Return limit less the integral of F up to it, or mean less that of S beyond it."""
        d = np.asarray(limit, np.float64)
        x = np.clip(d, self.low, self.high)
        left, right, width = self._parts
        rising = x - (x - self.low) ** 3 / (3 * width * (left or 1.0))
        falling = self.expectation() - (self.high - x) ** 3 / (3 * width * (right or 1.0))
        inside = np.where(x < self.mode, rising, falling)
        return np.asarray(inside + np.minimum(d - self.low, 0.0))


@law
class Pert(AbstractLaw):
    """PERT: a beta on low to high with mean ``(low + weight mode + high) / (weight + 2)``.

    ``X = low + (high - low) B``, B beta with a = 1 + weight (mode - low) / (high - low) and
    b = 1 + weight (high - mode) / (high - low) (Malcolm and others 1959; weight by Vose 2008: 4 is
    the usual one, 0 the uniform law).
    ``E[min(X, d)] = low + (high - low) (a / (a + b) I_u(a + 1, b) + u (1 - I_u(a, b)))`` with u
    the place of d.
    """

    kind: ClassVar[str] = "pert"

    low: Annotated[Given, Parameter("value", by_year=False)]
    mode: Annotated[Given, Parameter("value", by_year=False)]
    high: Annotated[Given, Parameter("value", by_year=False)]
    weight: Annotated[Given, Parameter("weight", lower=0.0, upper=1000.0, by_year=False)] = 4.0

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield numbers out of order."""
        yield from _out_of_order(self.low, self.mode, self.high)

    @property
    def _beta(self) -> tuple[float, float]:
        width = self.high - self.low
        return (
            float(1 + self.weight * (self.mode - self.low) / width),
            float(1 + self.weight * (self.high - self.mode) / width),
        )

    def at(self, score: Floats) -> Floats:
        """Return low + width I^-1(a, b, F), or high - width I^-1(b, a, S)."""
        from scipy.special import ndtr

        z = np.asarray(score, np.float64)
        a, b = self._beta
        width = self.high - self.low
        tail = np.maximum(ndtr(-np.abs(z)), LEAST)
        return either(
            np.asarray(z <= 0),
            lambda p: self.low + width * beta_quantile(a, b, p),
            lambda p: self.high - width * beta_quantile(b, a, p),
            tail,
        )

    def distribution(self, value: Floats) -> Floats:
        """Return I_u(a, b)."""
        from scipy.special import betainc

        x = np.clip(value, self.low, self.high)
        return np.asarray(betainc(*self._beta, (x - self.low) / (self.high - self.low)))

    def survival(self, value: Floats) -> Floats:
        """Return I_(1 - u)(b, a)."""
        from scipy.special import betainc

        x = np.clip(value, self.low, self.high)
        a, b = self._beta
        return np.asarray(betainc(b, a, (self.high - x) / (self.high - self.low)))

    def expectation(self) -> float:
        """Return (low + weight mode + high) / (weight + 2)."""
        return float((self.low + self.weight * self.mode + self.high) / (self.weight + 2))

    def standard_deviation(self) -> float:
        """Return width sqrt(a b / (a + b + 1)) / (a + b)."""
        a, b = self._beta
        return float(self.high - self.low) * sqrt(a * b / (a + b + 1)) / (a + b)

    def limited_mean(self, limit: Floats) -> Floats:
        """Return E[min(X, limit)]."""
        from scipy.special import betainc

        d = np.asarray(limit, np.float64)
        a, b = self._beta
        x = np.clip(d, self.low, self.high)
        u = (x - self.low) / (self.high - self.low)
        inside = a / (a + b) * betainc(a + 1, b, u) + u * self.survival(x)
        lowered = np.minimum(d - self.low, 0.0)
        return np.asarray(self.low + (self.high - self.low) * inside + lowered)


@law
class Interval(AbstractLaw):
    """A normal or lognormal law by its 10 % and 90 % points, which it meets exactly.

    Normal: mean (low + high) / 2, sd (high - low) / (2 x 1.28155). Lognormal: the same of the
    logarithms. How planners of the NHS state beliefs.
    """

    kind: ClassVar[str] = "interval"

    low: Annotated[Given, Parameter("value", by_year=False)]
    high: Annotated[Given, Parameter("value", by_year=False)]
    law: Literal["normal", "lognormal"] = "normal"

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield an interval the wrong way round, or one that a lognormal cannot have."""
        low, high = self.low, self.high
        if not (isfinite(low) and isfinite(high) and low < high):
            yield (
                "low",
                f"found low {low:g} and high {high:g}; accepted: the 10 % point below the 90 % "
                "point; exchange them, or leave the law out where the value is certain",
            )
        elif self.law == "lognormal" and not low > 0:
            yield (
                "low",
                f"found {low:g}; accepted for a lognormal: above 0; state law = 'normal' where "
                "values may be negative",
            )

    @cached_property
    def _stated(self) -> Normal | Lognormal:
        low, high = float(self.low), float(self.high)
        if self.law == "normal":
            return Normal(mean=(low + high) / 2, sd=(high - low) / (2 * Z90))
        sigma = log(high / low) / (2 * Z90)
        return Lognormal(mean=sqrt(low * high) * exp(sigma**2 / 2), cv=sqrt(expm1(sigma**2)))

    def at(self, score: Floats) -> Floats:
        """Return the normal's or lognormal's quantile."""
        return self._stated.at(score)

    def distribution(self, value: Floats) -> Floats:
        """Return the normal's or lognormal's."""
        return self._stated.distribution(value)

    def survival(self, value: Floats) -> Floats:
        """Return the normal's or lognormal's."""
        return self._stated.survival(value)

    def expectation(self) -> float:
        """Return the midpoint; for a lognormal sqrt(low high) exp(sigma^2 / 2)."""
        return self._stated.expectation()

    def standard_deviation(self) -> float:
        """Return that of the normal or lognormal."""
        return self._stated.standard_deviation()

    def limited_mean(self, limit: Floats) -> Floats:
        """Return E[min(X, limit)]."""
        return self._stated.limited_mean(limit)
