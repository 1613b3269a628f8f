"""Trend, season and over-dispersion of monthly activity counts, each with its standard error.

The monthly part of fitting. Most of what it measures averages out over twelve months; what drives
a year is the annual level error of `riskshare.fitting.annual`.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from riskshare.errors import ArgumentError
from riskshare.fitting.monthly import Counts, Months, validated
from riskshare.fitting.negative_binomial import Floats, Likelihood, fit, log_likelihood

MINIMUM_MONTHS = 24


@dataclass(frozen=True)
class ResidualMoments:
    """Spread and memory of what trend and season leave over.

    Parameters
    ----------
    residual_sd, residual_sd_standard_error
        Standard deviation as a share of the mean, on ``n - 13`` degrees of freedom. Standard
        error: ``sd sqrt(k / (2 (n - 13)))``, ``k = (1 + r^2) / (1 - r^2)`` for memory r.
    variance_to_mean, variance_to_mean_standard_error
        ``residual_sd^2 x mean``: 1 for Poisson counts.
    autocorrelation, autocorrelation_standard_error
        Lag 1, ``sum e[t] e[t-1] / sum e[t]^2``; standard error ``sqrt((1 - r^2) / n)``
        (Bartlett). Fitting 13 coefficients to 36 months pulls it down: 0.54 where 0.7 is true.
    """

    residual_sd: float
    residual_sd_standard_error: float
    variance_to_mean: float
    variance_to_mean_standard_error: float
    autocorrelation: float
    autocorrelation_standard_error: float


@dataclass(frozen=True)
class ActivityFit:
    """A fitted monthly series; standard errors are from the observed information.

    Parameters
    ----------
    months, fitted
        The months and their fitted means.
    mean
        Mean monthly count.
    trend, trend_standard_error
        Log change per year, as if months were independent.
    trend_standard_error_autocorrelated
        The same under a lag-1 memory equal to `residuals.autocorrelation` (sandwich with
        ``R = r^|i-j|``); the one to quote when that is far from 0.
    season, season_standard_error
        Log factors of January to December, summing to zero.
    overdispersion, overdispersion_standard_error
        c of Var = mean + c mean^2; near its square root the monthly coefficient of variation
        beyond Poisson. Intervals are best taken on the log scale: ``c exp(+-z se / c)``.
    log_likelihood
        At the estimates, not restricted.
    residuals
        Moments of the relative residuals ``count / fitted - 1``.
    """

    months: Months
    fitted: Counts
    mean: float
    trend: float
    trend_standard_error: float
    trend_standard_error_autocorrelated: float
    season: Floats
    season_standard_error: Floats
    overdispersion: float
    overdispersion_standard_error: float
    log_likelihood: float
    residuals: ResidualMoments


def fit_activity(
    counts: ArrayLike,
    months: ArrayLike,
    *,
    likelihood: Likelihood = "restricted",
) -> ActivityFit:
    """Fit trend, season and negative binomial over-dispersion to one monthly series.

    ``ln mean[t] = ln days[t] + level + trend x years[t] + season[month of t]``,
    ``Var = mean + c mean^2``.

    Days in the month are an exposure: attendances arise by the day, and without the offset a leap
    February, 3.6 % above its fellows, would be noise. It makes season factors rates per day, and
    changes nothing else in a series without a leap February.

    Parameters
    ----------
    counts
        Activity by month; fractions are accepted (interpolated months).
    months
        Consecutive months, ``datetime64`` or "YYYY-MM"; at least 24.
    likelihood
        ``restricted`` (Cox and Reid) or ``full`` maximum likelihood for the over-dispersion. The
        full one is biased down by about ``13 / n``, and standard errors with it.

    Returns
    -------
    ActivityFit

    Raises
    ------
    ArgumentError
        A month missing, doubled or out of order; a negative or NaN count; too short a series; a
        month of the year that is always zero.

    Examples
    --------
    >>> import numpy as np
    >>> months = np.arange("2016-04", "2019-04", dtype="datetime64[M]")
    >>> counts = np.random.default_rng(1).poisson(9000, months.size)
    >>> abs(fit_activity(counts, months).trend) < 0.01
    True
    """
    values, stamps = validated(counts, months, MINIMUM_MONTHS)
    if likelihood not in ("restricted", "full"):
        raise ArgumentError(f"likelihood: {likelihood!r}; give 'restricted' or 'full'")
    design, of_month = _design(stamps)
    empty = [month + 1 for month in range(12) if values[of_month == month].sum() == 0]
    if empty:
        raise ArgumentError(
            f"counts: month {empty[0]} of the year is zero in every year, so its season factor "
            "is infinite; add organisations together or use a longer series"
        )
    offset = np.log(_days(stamps))
    coefficients, overdispersion, standard_error = fit(values, design, offset, likelihood)
    fitted = np.exp(offset + design @ coefficients)
    residuals = _moments(values / fitted - 1, float(values.mean()))
    covariance, sandwich = _covariances(
        values, fitted, design, overdispersion, residuals.autocorrelation
    )
    contrast = np.vstack([np.eye(11), -np.ones(11)])
    return ActivityFit(
        months=stamps,
        fitted=fitted,
        mean=float(values.mean()),
        trend=float(coefficients[1]),
        trend_standard_error=float(np.sqrt(covariance[1, 1])),
        trend_standard_error_autocorrelated=float(np.sqrt(sandwich[1, 1])),
        season=contrast @ coefficients[2:],
        season_standard_error=np.sqrt(np.diag(contrast @ covariance[2:, 2:] @ contrast.T)),
        overdispersion=overdispersion,
        overdispersion_standard_error=standard_error,
        log_likelihood=log_likelihood(values, fitted, overdispersion),
        residuals=residuals,
    )


def residual_moments(
    counts: ArrayLike, months: ArrayLike, *, scale: Literal["log", "count"] = "log"
) -> ResidualMoments:
    """Return the moments that ordinary least squares leaves: no likelihood, for comparison.

    Regression on month of year and linear trend, of the log count (residuals are relative) or of
    the count (residuals are divided by the mean). Published figures of English A&E use both: the
    log scale for the panel of trusts, the count scale for single ones.

    Raises
    ------
    ArgumentError
        As `fit_activity`; a zero count on the log scale.
    """
    values, stamps = validated(counts, months, MINIMUM_MONTHS)
    if scale not in ("log", "count"):
        raise ArgumentError(f"scale: {scale!r}; give 'log' or 'count'")
    if scale == "log" and (values == 0).any():
        raise ArgumentError("counts: zero has no logarithm; give scale='count'")
    design, _ = _design(stamps)
    mean = float(values.mean())
    response = np.log(values) if scale == "log" else values / mean
    return _moments(response - design @ np.linalg.lstsq(design, response, rcond=None)[0], mean)


def _design(months: Months) -> tuple[Floats, Floats]:
    index = months.astype(int)
    years = (index - index.mean()) / 12
    of_month = index % 12
    season = (of_month[:, None] == np.arange(11)).astype(float) - (of_month == 11)[:, None]
    return np.column_stack([np.ones(index.size), years, season]), of_month


def _days(months: Months) -> Floats:
    first = months.astype("datetime64[D]")
    following = (months + np.timedelta64(1, "M")).astype("datetime64[D]")
    days: Floats = (following - first).astype(float)
    return days


def _covariances(
    counts: Counts, mean: Counts, design: Floats, overdispersion: float, autocorrelation: float
) -> tuple[Floats, Floats]:
    # Mean and over-dispersion are orthogonal (Lawless 1987), so the block of the mean suffices.
    growth = 1 + overdispersion * mean
    observed = mean * (1 + overdispersion * counts) / growth**2
    inverse = np.asarray(np.linalg.inv((design.T * observed) @ design), dtype=np.float64)
    lag = np.abs(np.subtract.outer(np.arange(mean.size), np.arange(mean.size)))
    memory = np.clip(autocorrelation, 0.0, 0.99) ** lag
    score = design.T * np.sqrt(mean / growth)
    return inverse, inverse @ (score @ memory @ score.T) @ inverse


def _moments(residuals: Floats, mean: float) -> ResidualMoments:
    size = residuals.size
    free = size - 13
    spread = float(np.sqrt(np.sum(residuals**2) / free))
    square = float(np.sum(residuals**2))
    memory = float(np.sum(residuals[1:] * residuals[:-1])) / square if square > 0 else 0.0
    relative = np.sqrt((1 + memory**2) / (1 - memory**2) / (2 * free))
    ratio = spread**2 * mean
    return ResidualMoments(
        residual_sd=spread,
        residual_sd_standard_error=float(spread * relative),
        variance_to_mean=ratio,
        variance_to_mean_standard_error=float(2 * ratio * relative),
        autocorrelation=memory,
        autocorrelation_standard_error=float(np.sqrt((1 - memory**2) / size)),
    )
