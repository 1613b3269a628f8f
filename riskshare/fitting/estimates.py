"""Estimates with their errors, and fits of several laws side by side."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from riskshare.errors import ArgumentError
from riskshare.fitting.maximum import MEANINGS, Status

Floats = NDArray[np.float64]
Scale = Literal["log", "plain", "logit"]


@dataclass(frozen=True)
class Estimate:
    """One number of a law as the data give it.

    Parameters
    ----------
    name
        The law's field.
    value, standard_error
        The error is NaN where the number was set rather than estimated, or the fit did not
        converge.
    scale
        On which its error is close to normal: ``log`` for positive numbers, ``logit`` for shares.
    """

    name: str
    value: float
    standard_error: float
    scale: Scale = "plain"

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the Wald interval, symmetric on `scale`.

        Examples
        --------
        >>> low, high = Estimate("mean", 100.0, 10.0, "log").interval()
        >>> round(low, 2), round(high, 2)
        (82.2, 121.65)
        """
        from scipy.special import ndtri

        if not 0 < level < 1:
            raise ArgumentError(f"level: {level}; give a probability between 0 and 1, as 0.95")
        half = float(ndtri((1 + level) / 2)) * self.standard_error
        if self.scale == "log":
            ratio = float(np.exp(half / self.value))
            return self.value / ratio, self.value * ratio
        if self.scale == "logit":
            odds = self.value / (1 - self.value)
            ratio = float(np.exp(half / (self.value * (1 - self.value))))
            return odds / ratio / (1 + odds / ratio), odds * ratio / (1 + odds * ratio)
        return self.value - half, self.value + half


@dataclass(frozen=True)
class LevelAndDispersion:
    """What a fit says of the logarithms of mean and coefficient of variation.

    Parameters
    ----------
    log_mean, log_cv
        Of the law; NaN where the mean or the variance is infinite, or the fit did not converge.
        Counts: of the factor with mean 1 that mixes them, whose squared cv is the over-dispersion.
    covariance
        Of both, shape ``(2, 2)``.
    """

    log_mean: float
    log_cv: float
    covariance: Floats

    @property
    def standard_errors(self) -> tuple[float, float]:
        """Return those of log mean and log cv."""
        mean, cv = np.sqrt(np.diag(self.covariance))
        return float(mean), float(cv)

    @property
    def correlation(self) -> float:
        """Return the correlation of the two errors."""
        mean, cv = self.standard_errors
        return float(self.covariance[0, 1] / (mean * cv))


class Fit(Protocol):
    """What fits have in common, whatever they are of."""

    @property
    def kind(self) -> str:
        """Name of the law."""

    @property
    def parameters(self) -> tuple[Estimate, ...]:
        """Its numbers."""

    @property
    def log_likelihood(self) -> float:
        """At the estimates."""

    @property
    def criteria(self) -> "Criteria":
        """AIC and its relatives."""

    @property
    def ks(self) -> float:
        """Kolmogorov and Smirnov's distance."""

    @property
    def ad(self) -> float:
        """Anderson and Darling's distance."""

    @property
    def status(self) -> Status:
        """How the search ended."""


F = TypeVar("F", bound=Fit)


@dataclass(frozen=True)
class Criteria:
    """Log-likelihood with a price for parameters: lower is better.

    ``AIC = 2 k - 2 ln L``, ``AICc = AIC + 2 k (k + 1) / (n - k - 1)``, ``BIC = k ln n - 2 ln L``,
    with k parameters and n observations (weights counted).
    """

    aic: float
    aicc: float
    bic: float

    @classmethod
    def of(cls, log_likelihood: float, parameters: int, size: float) -> "Criteria":
        """Return the three."""
        aic = 2 * parameters - 2 * log_likelihood
        free = size - parameters - 1
        corrected = aic + 2 * parameters * (parameters + 1) / free if free > 0 else np.inf
        return cls(aic, float(corrected), float(parameters * np.log(size) - 2 * log_likelihood))


@dataclass(frozen=True)
class Comparison(Generic[F]):
    """Laws fitted to one set of data, the lowest AIC first.

    Parameters
    ----------
    fits
        One for each law.
    size
        Observations fitted, weights counted.
    zeros
        Share of amounts that are zero, which no law of amounts holds; None for counts.
    """

    fits: tuple[F, ...]
    size: float
    zeros: Estimate | None = None

    @property
    def best(self) -> F:
        """Return the lowest AIC among the fits that converged.

        Raises
        ------
        ArgumentError
            If none did.
        """
        for found in self.fits:
            if found.status == "converged":
                return found
        ends = "; ".join(f"{found.kind}: {MEANINGS[found.status]}" for found in self.fits)
        raise ArgumentError(f"no law converged ({ends}); use more data or simpler laws")

    def of(self, kind: str) -> F:
        """Return the fit of one law."""
        for found in self.fits:
            if found.kind == kind:
                return found
        known = ", ".join(found.kind for found in self.fits)
        raise ArgumentError(f"kind: {kind!r} was not fitted; give one of {known}")

    def rows(self) -> list[dict[str, Any]]:
        """Return the table: a row for each law, in the order of `fits`."""
        return [
            {
                "law": found.kind,
                "status": found.status,
                "parameters": {p.name: (p.value, p.standard_error) for p in found.parameters},
                "log_likelihood": found.log_likelihood,
                "aic": found.criteria.aic,
                "aicc": found.criteria.aicc,
                "bic": found.criteria.bic,
                "ks": found.ks,
                "ad": found.ad,
            }
            for found in self.fits
        ]


def compared(fits: list[F], size: float, zeros: Estimate | None = None) -> Comparison[F]:
    """Return the comparison, sorted."""
    ordered = sorted(fits, key=lambda found: found.criteria.aic)
    return Comparison(tuple(ordered), size, zeros)


def jacobian(function: Callable[[Floats], Floats], at: Floats, step: float) -> Floats:
    """Return the derivatives by central differences, shape ``(value, parameter)``."""
    moves = step * np.eye(at.size)
    columns = [(function(at + move) - function(at - move)) / (2 * step) for move in moves]
    return np.array(columns).T


def carried(covariance: Floats, by: Floats) -> Floats:
    """Return the covariance of a smooth function of estimates: the delta method."""
    found: Floats = by @ covariance @ by.T
    return found


def estimates(
    values: Floats, covariance: Floats, scales: Mapping[str, Scale], fixed: Mapping[str, float]
) -> tuple[Estimate, ...]:
    """Return the numbers of a law, those that were set last and without an error."""
    with np.errstate(invalid="ignore"):
        errors = np.sqrt(np.diag(covariance))
    found = [
        Estimate(name, float(value), float(error), scale)
        for (name, scale), value, error in zip(scales.items(), values, errors, strict=True)
    ]
    return (*found, *(Estimate(name, value, float("nan")) for name, value in fixed.items()))
