"""Laws of one formula: gamma and its relatives, the lognormal, Pareto laws and the normal.

Laws of money and counts are given by their mean (1 where a law is a factor) and a shape. Moments
and limited means are in closed form (Klugman, Panjer and Willmot, Loss Models, appendix A).
"""

from collections.abc import Iterator
from math import exp, inf, log1p, sqrt
from typing import Annotated, ClassVar

import numpy as np

from riskshare.laws.marginal.base import AbstractLaw, Floats, law
from riskshare.laws.marginal.special import (
    gamma_below,
    gamma_power_cv,
    gamma_power_quantile,
    gamma_tails,
    growth,
    hazard,
    held,
    log_gamma_ratio,
)
from riskshare.parameters import Given, Parameter


def not_positive(law: AbstractLaw, *fields: str) -> Iterator[tuple[str, str]]:
    """Yield a problem for each of these fields that is not a positive finite number."""
    for field in fields:
        value = getattr(law, field)
        if not 0 < value < inf:
            yield field, f"found {value:g}; accepted: a number above 0; a fixed value needs no law"


@law
class Normal(AbstractLaw):
    """Normal: ``X = mean + sd z``. It may fall below zero; see `Lognormal` for what may not.

    ``E[min(X, d)] = mean - sd (phi(a) - a Phi(-a))`` with a = (d - mean) / sd.
    """

    kind: ClassVar[str] = "normal"

    mean: Annotated[Given, Parameter("value", by_year=False)] = 1.0
    sd: Annotated[Given, Parameter("value", lower=0.0, by_year=False)]

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield a spread that is none."""
        yield from not_positive(self, "sd")

    def at(self, score: Floats) -> Floats:
        """Return mean + sd z."""
        return np.asarray(self.mean + self.sd * np.asarray(score, np.float64))

    def _standard(self, value: Floats) -> Floats:
        return np.asarray((np.asarray(value, np.float64) - self.mean) / self.sd)

    def distribution(self, value: Floats) -> Floats:
        """Return Phi((value - mean) / sd)."""
        from scipy.special import ndtr

        return np.asarray(ndtr(self._standard(value)))

    def survival(self, value: Floats) -> Floats:
        """Return Phi((mean - value) / sd)."""
        from scipy.special import ndtr

        return np.asarray(ndtr(-self._standard(value)))

    def expectation(self) -> float:
        """Return the mean as declared."""
        return float(self.mean)

    def standard_deviation(self) -> float:
        """Return the standard deviation as declared."""
        return float(self.sd)

    def limited_mean(self, limit: Floats) -> Floats:
        """Return E[min(X, limit)], the lesser of limit and mean less what the other tail takes."""
        from scipy.special import ndtr

        d = np.asarray(limit, np.float64)
        a = np.abs(self._standard(d))
        taken = np.exp(-(a**2) / 2) / np.sqrt(2 * np.pi) - held(a, ndtr(-a))
        return np.asarray(np.minimum(d, self.mean) - self.sd * taken)


@law
class Lognormal(AbstractLaw):
    """Lognormal: ``X = mean exp(s z - s^2 / 2)`` with s^2 = log(1 + cv^2).

    ``E[min(X, d)] = mean Phi(a - s) + d Phi(-a)`` with a the score of d.
    """

    kind: ClassVar[str] = "lognormal"

    mean: Annotated[Given, Parameter("value", lower=0.0, by_year=False)] = 1.0
    cv: Annotated[Given, Parameter("cv", lower=0.0, upper=20.0, by_year=False)]

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield a mean or a spread that is none."""
        yield from not_positive(self, "mean", "cv")

    @property
    def _sigma(self) -> float:
        return sqrt(log1p(self.cv**2))

    def at(self, score: Floats) -> Floats:
        """Return mean exp(s z - s^2 / 2)."""
        s = self._sigma
        return np.asarray(self.mean * np.exp(s * np.asarray(score, np.float64) - s**2 / 2))

    def _standard(self, value: Floats) -> Floats:
        v = np.maximum(np.asarray(value, np.float64), 0.0)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(v / self.mean) / self._sigma + self._sigma / 2)

    def distribution(self, value: Floats) -> Floats:
        """Return Phi of the value's score."""
        from scipy.special import ndtr

        return np.asarray(ndtr(self._standard(value)))

    def survival(self, value: Floats) -> Floats:
        """Return Phi of the value's score, its sign turned."""
        from scipy.special import ndtr

        return np.asarray(ndtr(-self._standard(value)))

    def expectation(self) -> float:
        """Return the mean as declared."""
        return float(self.mean)

    def standard_deviation(self) -> float:
        """Return mean x cv."""
        return float(self.mean * self.cv)

    def limited_mean(self, limit: Floats) -> Floats:
        """Return E[min(X, limit)]."""
        from scipy.special import ndtr

        d = np.asarray(limit, np.float64)
        a = self._standard(d)
        return np.asarray(self.mean * ndtr(a - self._sigma) + held(d, ndtr(-a)))


@law
class Gamma(AbstractLaw):
    """Gamma with a mean and a coefficient of variation; shape k = 1 / cv^2. Exponential at cv 1.

    ``E[min(X, d)] = mean P(k + 1, d k / mean) + d (1 - P(k, d k / mean))``, P the regularised lower
    incomplete gamma function.
    """

    kind: ClassVar[str] = "gamma"

    mean: Annotated[Given, Parameter("value", lower=0.0, by_year=False)] = 1.0
    cv: Annotated[Given, Parameter("cv", lower=1e-6, upper=20.0, by_year=False)]

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield a mean of zero."""
        yield from not_positive(self, "mean")

    @property
    def _shape(self) -> float:
        return float(1 / self.cv**2)

    def _scaled(self, value: Floats) -> Floats:
        return np.asarray(np.maximum(value, 0.0) * (self._shape / self.mean))

    def at(self, score: Floats) -> Floats:
        """Return P^-1(k, Phi(score)) mean / k."""
        return gamma_power_quantile(self._shape, 1.0, score) * (self.mean / self._shape)

    def distribution(self, value: Floats) -> Floats:
        """Return P(k, value k / mean)."""
        return gamma_tails(self._shape, self._scaled(value))[0]

    def survival(self, value: Floats) -> Floats:
        """Return 1 - P(k, value k / mean)."""
        return gamma_tails(self._shape, self._scaled(value))[1]

    def expectation(self) -> float:
        """Return the mean as declared."""
        return float(self.mean)

    def standard_deviation(self) -> float:
        """Return mean x cv."""
        return float(self.mean * self.cv)

    def limited_mean(self, limit: Floats) -> Floats:
        """Return E[min(X, limit)]."""
        d = np.asarray(limit, np.float64)
        below = self.mean * gamma_tails(self._shape + 1, self._scaled(d))[0]
        return np.asarray(below + held(d, self.survival(d)))


@law
class Weibull(AbstractLaw):
    """Weibull: ``S(x) = exp(-(x / scale)^shape)``, scale = mean / Gamma(1 + 1 / shape).

    Its tail is heavier than exponential where the shape is below 1.
    ``E[min(X, d)] = mean P(1 + 1 / shape, u) + d exp(-u)`` with u = (d / scale)^shape.
    """

    kind: ClassVar[str] = "weibull"

    mean: Annotated[Given, Parameter("value", lower=0.0, by_year=False)] = 1.0
    shape: Annotated[Given, Parameter("shape", lower=0.1, upper=100.0, by_year=False)]

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield a mean of zero."""
        yield from not_positive(self, "mean")

    @property
    def _scale(self) -> float:
        return float(self.mean) * exp(-log_gamma_ratio(1.0, 1 / self.shape))

    def _scaled(self, value: Floats) -> Floats:
        with np.errstate(over="ignore"):
            return np.asarray((np.maximum(value, 0.0) / self._scale) ** self.shape)

    def at(self, score: Floats) -> Floats:
        """Return scale (-log S)^(1 / shape)."""
        with np.errstate(over="ignore"):
            return np.asarray(self._scale * hazard(score) ** (1 / self.shape))

    def distribution(self, value: Floats) -> Floats:
        """Return 1 - exp(-u)."""
        return np.asarray(-np.expm1(-self._scaled(value)))

    def survival(self, value: Floats) -> Floats:
        """Return exp(-u)."""
        return np.asarray(np.exp(-self._scaled(value)))

    def expectation(self) -> float:
        """Return the mean as declared."""
        return float(self.mean)

    def standard_deviation(self) -> float:
        """Return mean sqrt(Gamma(1 + 2 / shape) / Gamma(1 + 1 / shape)^2 - 1)."""
        return float(self.mean) * gamma_power_cv(1.0, 1 / self.shape)

    def limited_mean(self, limit: Floats) -> Floats:
        """Return E[min(X, limit)]."""
        from scipy.special import gammainc

        d = np.asarray(limit, np.float64)
        below = self.mean * gammainc(1 + 1 / self.shape, self._scaled(d))
        return np.asarray(below + held(d, self.survival(d)))


@law
class GeneralisedGamma(AbstractLaw):
    """Generalised gamma: ``X = scale G^(1 / power)``, G gamma with a shape (Stacy 1962).

    Gamma at power 1, Weibull at shape 1, lognormal in the limit of a large shape.
    ``E[min(X, d)] = mean P(shape + 1 / power, u) + d (1 - P(shape, u))``, u = (d / scale)^power.
    """

    kind: ClassVar[str] = "generalised-gamma"

    mean: Annotated[Given, Parameter("value", lower=0.0, by_year=False)] = 1.0
    shape: Annotated[Given, Parameter("shape", lower=0.01, upper=1e5, by_year=False)]
    power: Annotated[Given, Parameter("shape", lower=0.05, upper=100.0, by_year=False)]

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield a mean of zero."""
        yield from not_positive(self, "mean")

    @property
    def _scale(self) -> float:
        return float(self.mean) * exp(-log_gamma_ratio(self.shape, 1 / self.power))

    def _log_scaled(self, value: Floats) -> Floats:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(np.maximum(value, 0.0) / self._scale) * self.power)

    def _scaled(self, value: Floats) -> Floats:
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(self._log_scaled(value)))

    def at(self, score: Floats) -> Floats:
        """Return scale P^-1(shape, Phi(score))^(1 / power)."""
        with np.errstate(over="ignore"):
            quantile = gamma_power_quantile(self.shape, 1 / self.power, score)
            return np.asarray(self._scale * quantile)

    def distribution(self, value: Floats) -> Floats:
        """Return P(shape, u)."""
        return gamma_below(self.shape, self._log_scaled(value))

    def survival(self, value: Floats) -> Floats:
        """Return 1 - P(shape, u)."""
        from scipy.special import gammaincc

        return np.asarray(gammaincc(self.shape, self._scaled(value)))

    def expectation(self) -> float:
        """Return the mean as declared."""
        return float(self.mean)

    def standard_deviation(self) -> float:
        """Return mean sqrt(Gamma(a + 2 / power) Gamma(a) / Gamma(a + 1 / power)^2 - 1)."""
        return float(self.mean) * gamma_power_cv(self.shape, 1 / self.power)

    def limited_mean(self, limit: Floats) -> Floats:
        """Return E[min(X, limit)]."""
        from scipy.special import gammainc

        d = np.asarray(limit, np.float64)
        below = self.mean * gammainc(self.shape + 1 / self.power, self._scaled(d))
        return np.asarray(below + held(d, self.survival(d)))


@law
class Pareto(AbstractLaw):
    """Pareto of the first kind: ``S(x) = (minimum / x)^index`` from the minimum on.

    Mean ``minimum index / (index - 1)``, infinite at an index of 1 or less; the variance at 2 or
    less. ``E[min(X, d)] = minimum (1 + integral of exp((1 - index) s) for s to log(d / minimum))``.
    """

    kind: ClassVar[str] = "pareto"

    minimum: Annotated[Given, Parameter("value", lower=0.0, by_year=False)]
    index: Annotated[Given, Parameter("tail index", lower=0.05, upper=1000.0, by_year=False)]

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield a minimum of zero."""
        yield from not_positive(self, "minimum")

    def at(self, score: Floats) -> Floats:
        """Return minimum S^(-1 / index)."""
        with np.errstate(over="ignore"):
            return np.asarray(self.minimum * np.exp(hazard(score) / self.index))

    def _log_ratio(self, value: Floats) -> Floats:
        above = np.maximum(np.asarray(value, np.float64) - self.minimum, 0.0)
        return np.asarray(np.log1p(above / self.minimum))

    def distribution(self, value: Floats) -> Floats:
        """Return 1 - (minimum / value)^index."""
        return np.asarray(-np.expm1(-self.index * self._log_ratio(value)))

    def survival(self, value: Floats) -> Floats:
        """Return (minimum / value)^index."""
        return np.asarray(np.exp(-self.index * self._log_ratio(value)))

    def expectation(self) -> float:
        """Return minimum index / (index - 1)."""
        return self.minimum * self.index / (self.index - 1) if self.index > 1 else inf

    def standard_deviation(self) -> float:
        """Return mean / sqrt(index (index - 2))."""
        return self.expectation() / sqrt(self.index * (self.index - 2)) if self.index > 2 else inf

    def limited_mean(self, limit: Floats) -> Floats:
        """Return E[min(X, limit)]."""
        d = np.asarray(limit, np.float64)
        above = self.minimum * growth(1 - self.index, self._log_ratio(d))
        return np.asarray(np.minimum(d, self.minimum) + above)


@law
class GeneralisedPareto(AbstractLaw):
    """Generalised Pareto: ``S(x) = (1 + shape (x - minimum) / scale)^(-1 / shape)``.

    The limit of excesses over a high threshold (Pickands 1975). Shape 0 is exponential, above 0
    a Pareto tail of index 1 / shape (Lomax where the minimum is 0), below 0 a law that ends at
    ``minimum - scale / shape``. Mean ``minimum + scale / (1 - shape)``, infinite from shape 1 on;
    variance ``scale^2 / ((1 - shape)^2 (1 - 2 shape))``, infinite from 1/2 on.
    """

    kind: ClassVar[str] = "generalised-pareto"

    minimum: Annotated[Given, Parameter("value", by_year=False)] = 0.0
    scale: Annotated[Given, Parameter("value", lower=0.0, by_year=False)]
    shape: Annotated[Given, Parameter("shape", lower=-5.0, upper=5.0, by_year=False)]

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield a scale of zero."""
        yield from not_positive(self, "scale")

    def at(self, score: Floats) -> Floats:
        """Return minimum + scale (S^-shape - 1) / shape."""
        return np.asarray(self.minimum + self.scale * growth(self.shape, hazard(score)))

    def _time(self, value: Floats) -> Floats:
        """Return -log S: the exponential time that reaches the value; infinite beyond its end."""
        y = np.maximum(np.asarray(value, np.float64) - self.minimum, 0.0) / self.scale
        if self.shape == 0:
            return np.asarray(y)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log1p(np.maximum(self.shape * y, -1.0)) / self.shape)

    def distribution(self, value: Floats) -> Floats:
        """Return 1 - S."""
        return np.asarray(-np.expm1(-self._time(value)))

    def survival(self, value: Floats) -> Floats:
        """Return S."""
        return np.asarray(np.exp(-self._time(value)))

    def expectation(self) -> float:
        """Return minimum + scale / (1 - shape)."""
        return self.minimum + self.scale / (1 - self.shape) if self.shape < 1 else inf

    def standard_deviation(self) -> float:
        """Return scale / ((1 - shape) sqrt(1 - 2 shape))."""
        if self.shape >= 0.5:
            return inf
        return float(self.scale / ((1 - self.shape) * sqrt(1 - 2 * self.shape)))

    def limited_mean(self, limit: Floats) -> Floats:
        """Return minimum + scale x (integral of exp((shape - 1) s) for s to -log S(limit))."""
        d = np.asarray(limit, np.float64)
        above = self.scale * growth(self.shape - 1, self._time(d))
        return np.asarray(np.minimum(d, self.minimum) + above)
