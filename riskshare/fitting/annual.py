"""Annual level error from year-on-year growth: what drives a year, where monthly noise does not.

A plan starts from last year's outturn and a common growth. How far organisations stray from that
is the year-ahead error; `riskshare.fitting.conversion` turns it into a driver's ``sd``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

from riskshare.errors import ArgumentError
from riskshare.fitting.activity import residual_moments
from riskshare.fitting.monthly import MonthlyCounts

Floats = NDArray[np.float64]
Growth = Literal["log", "relative"]
NORMAL_MEDIAN = 1.4826  # standard deviations per median absolute deviation of a normal


@dataclass(frozen=True)
class AnnualLevel:
    """How organisations' annual growth spreads about the common growth.

    Parameters
    ----------
    growth
        The scale of growth: ``log`` or ``relative``.
    organisations
        How many.
    common_growth, common_growth_standard_error
        Median over organisations, shape ``(pair,)``, pair 0 being year 2 on year 1.
    robust_sd, robust_sd_standard_error
        ``1.4826 x median |growth - median|``, shape ``(pair,)``.
    classical_sd, classical_sd_standard_error
        Sample standard deviation, shape ``(pair,)``; mergers and re-classified units dominate it.
    pooled_sd, pooled_sd_standard_error
        The robust one of all pairs together, each about its own median.
    independent_level, independent_growth
        Median over organisations of the standard deviation that independent months imply, of a
        year's level (``s / sqrt(12)``, s the monthly residual share) and of growth between two
        years (``s sqrt(2 / 12)``). Growth is to be set against growth.
    prior_sd, prior_degrees
        Scaled inverse chi-square law of the organisations' variances (`credible_level`); few
        degrees mean that organisations differ, infinite that they are alike.
    """

    growth: Growth
    organisations: int
    common_growth: Floats
    common_growth_standard_error: Floats
    robust_sd: Floats
    robust_sd_standard_error: Floats
    classical_sd: Floats
    classical_sd_standard_error: Floats
    pooled_sd: float
    pooled_sd_standard_error: float
    independent_level: float
    independent_growth: float
    prior_sd: float
    prior_degrees: float


@dataclass(frozen=True)
class OrganisationLevel:
    """The annual level error of one organisation, alone and with the panel's help.

    Parameters
    ----------
    excess_growth
        Growth less the common growth, shape ``(pair,)``.
    sd, sd_standard_error
        Root mean square of `excess_growth`, and ``sd / sqrt(2 pairs)``: half of it for two pairs.
    credibility
        Weight of the own variance, ``pairs / (pairs + prior_degrees)``.
    credible_sd, credible_sd_standard_error
        Weighted towards the panel; standard error ``sd / sqrt(2 (pairs + prior_degrees))``.
    """

    excess_growth: Floats
    sd: float
    sd_standard_error: float
    credibility: float
    credible_sd: float
    credible_sd_standard_error: float


def fit_annual_level(
    panel: MonthlyCounts, *, growth: Growth = "log", replicates: int = 1000, seed: int = 1
) -> AnnualLevel:
    """Measure the spread of annual growth over organisations, the common growth taken away.

    With annual totals N[i, y]: ``g[i, y] = ln N[i, y+1] - ln N[i, y]`` (``relative``: the ratio
    less 1), common growth = median over i, years = blocks of twelve months from the first one.
    Standard errors are from a bootstrap over organisations, whole series at a time.

    Parameters
    ----------
    panel
        Whole years (24 months or more), positive in every month (`MonthlyCounts.complete`), at
        least 10 organisations.
    growth
        ``log`` or ``relative``.
    replicates, seed
        Of the bootstrap.

    Returns
    -------
    AnnualLevel

    Raises
    ------
    ArgumentError
        A part-year, a hole in the panel, too few organisations.
    """
    if growth not in ("log", "relative"):
        raise ArgumentError(f"growth: {growth!r}; give 'log' or 'relative'")
    size = len(panel.organisations)
    if size < 10:
        raise ArgumentError(
            f"panel: {size} organisations; at least 10 are needed for a spread between them"
        )
    if replicates < 100:
        raise ArgumentError(f"replicates: {replicates}; give at least 100 for a standard error")
    grown = _growth(panel.counts, growth)
    spread = [residual_moments(counts, panel.months).residual_sd for counts in panel.counts]
    monthly = float(np.median(spread))
    picks = np.random.default_rng(seed).integers(size, size=(replicates, size))

    def error(statistic: Callable[[Floats], Floats]) -> Floats:
        values = np.array([statistic(grown[pick]) for pick in picks])
        deviation: Floats = values.std(axis=0, ddof=1)
        return deviation

    excess = grown - np.median(grown, axis=0)
    prior_sd, prior_degrees = _variance_prior(np.mean(excess**2, axis=1), grown.shape[1])
    return AnnualLevel(
        growth=growth,
        organisations=size,
        common_growth=np.median(grown, axis=0),
        common_growth_standard_error=error(lambda g: np.median(g, axis=0)),
        robust_sd=_robust_sd(grown),
        robust_sd_standard_error=error(_robust_sd),
        classical_sd=grown.std(axis=0, ddof=1),
        classical_sd_standard_error=error(lambda g: g.std(axis=0, ddof=1)),
        pooled_sd=float(_pooled_sd(grown)),
        pooled_sd_standard_error=float(error(_pooled_sd)),
        independent_level=monthly / float(np.sqrt(12)),
        independent_growth=monthly / float(np.sqrt(6)),
        prior_sd=prior_sd,
        prior_degrees=prior_degrees,
    )


def credible_level(counts: ArrayLike, panel: AnnualLevel) -> OrganisationLevel:
    """Weigh one organisation's few growths with the panel: empirical Bayes for a variance.

    ``s^2 = (d v + d0 v0) / (d + d0)`` with v the mean square of d own excess growths, and v0, d0
    the panel's prior: Smyth 2004 (Stat. Appl. Genet. Mol. Biol. 3, 3), the credibility formula of
    Buhlmann for a conjugate variance, ``Z = d / (d + d0)``.

    Parameters
    ----------
    counts
        Monthly counts over the years of the panel, shape ``(month,)``.
    panel
        From `fit_annual_level`.

    Raises
    ------
    ArgumentError
        Part-years, other years than the panel's, a negative or NaN count.
    """
    values = np.asarray(counts, dtype=np.float64)
    if values.ndim != 1 or values.size != 12 * (panel.common_growth.size + 1):
        raise ArgumentError(
            f"counts: shape {values.shape}; the panel has {panel.common_growth.size + 1} years of "
            "twelve months: give the same months"
        )
    excess = _growth(values[None, :], panel.growth)[0] - panel.common_growth
    pairs = excess.size
    own = float(np.mean(excess**2))
    credibility = 0.0 if np.isinf(panel.prior_degrees) else pairs / (pairs + panel.prior_degrees)
    credible = float(np.sqrt(credibility * own + (1 - credibility) * panel.prior_sd**2))
    return OrganisationLevel(
        excess_growth=excess,
        sd=float(np.sqrt(own)),
        sd_standard_error=float(np.sqrt(own / (2 * pairs))),
        credibility=credibility,
        credible_sd=credible,
        credible_sd_standard_error=credible / float(np.sqrt(2 * (pairs + panel.prior_degrees))),
    )


def _growth(counts: Floats, growth: Growth) -> Floats:
    if counts.shape[1] < 24 or counts.shape[1] % 12:
        raise ArgumentError(
            f"counts: {counts.shape[1]} months; growth needs whole years, two or more: leave out "
            "the part-year"
        )
    if not (counts > 0).all():
        raise ArgumentError(
            "counts: a month is missing, negative or zero; keep the organisations that "
            "`MonthlyCounts.complete` returns"
        )
    years = counts.reshape(counts.shape[0], -1, 12).sum(axis=2)
    logarithm: Floats = np.diff(np.log(years), axis=1)
    return logarithm if growth == "log" else np.expm1(logarithm)


def _robust_sd(growth: Floats) -> Floats:
    scale: Floats = NORMAL_MEDIAN * np.median(np.abs(growth - np.median(growth, axis=0)), axis=0)
    return scale


def _pooled_sd(growth: Floats) -> Floats:
    scale: Floats = NORMAL_MEDIAN * np.median(np.abs(growth - np.median(growth, axis=0)))
    return scale


def _variance_prior(variances: Floats, degrees: int) -> tuple[float, float]:
    # ln v has mean ln v0 + psi(d/2) - ln(d/2) - psi(d0/2) + ln(d0/2), variance psi'(d/2) +
    # psi'(d0/2); in logs a handful of broken series cannot carry the fit.
    logs = np.log(variances[variances > 0])
    between = float(logs.var(ddof=1) - polygamma(1, degrees / 2))
    centre = float(logs.mean() - digamma(degrees / 2) + np.log(degrees / 2))
    # A fit of a million degrees is a panel whose organisations are alike.
    if between <= polygamma(1, 5e5):
        return float(np.exp(centre / 2)), float("inf")
    half = float(brentq(lambda at: polygamma(1, at) - between, 1e-6, 5e5))
    return float(np.exp((centre + digamma(half) - np.log(half)) / 2)), 2 * half
