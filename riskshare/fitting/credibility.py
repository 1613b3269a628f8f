"""Credibility: how far to trust own experience against what others, or a prior, say.

For means. The annual level error is a variance, which `riskshare.fitting.credible_level` weighs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskshare.errors import ArgumentError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BuhlmannStraub:
    """Groups weighed with their collective.

    Parameters
    ----------
    collective
        Mean of the collective, groups weighted by their credibility.
    within
        s^2: variance of a value of weight 1 within a group.
    between, between_unbiased
        a: variance of group means. The unbiased estimate may be negative; then the groups cannot
        be told apart, `between` is 0 and so is every credibility.
    weight, mean
        Of each group.
    credibility
        ``Z = w / (w + s^2 / a)``.
    credible, credible_standard_error
        ``Z mean + (1 - Z) collective``, and ``sqrt(a (1 - Z) (1 + (1 - Z) / sum of Z))`` (Buhlmann
        and Gisler 2005, 4.4): the error of a and s^2 is left out.
    """

    collective: float
    within: float
    between: float
    between_unbiased: float
    weight: Floats
    mean: Floats
    credibility: Floats
    credible: Floats
    credible_standard_error: Floats


@dataclass(frozen=True)
class Posterior:
    """What data and prior say together.

    Parameters
    ----------
    mean, sd
        Of the quantity that was weighed.
    credibility
        Weight of the data.
    """

    mean: float
    sd: float
    credibility: float


def full_credibility(
    *, probability: float = 0.9, tolerance: float = 0.05, severity_cv: float = 0.0
) -> float:
    """Return the number of claims at which experience is believed in full.

    ``n_full = (z / k)^2 (1 + CV^2)``: the chance that the total of a Poisson number of claims is
    within k of its mean is then `probability` (normal approximation).

    Parameters
    ----------
    probability
        Two-sided; z is its normal quantile, 1.645 for 0.9.
    tolerance
        k, a share of the mean.
    severity_cv
        Coefficient of variation of amounts; 0 for the number of claims alone.

    Examples
    --------
    >>> int(full_credibility()), int(full_credibility(severity_cv=1.5))
    (1082, 3517)
    """
    from scipy.special import ndtri

    if not 0 < probability < 1:
        raise ArgumentError(f"probability: {probability}; give one between 0 and 1, as 0.9")
    if not 0 < tolerance < 1:
        raise ArgumentError(f"tolerance: {tolerance}; give a share of the mean, as 0.05 for 5 %")
    if not 0 <= severity_cv < np.inf:
        raise ArgumentError(f"severity_cv: {severity_cv}; give zero or a positive number")
    return float((ndtri((1 + probability) / 2) / tolerance) ** 2 * (1 + severity_cv**2))


def limited_fluctuation(
    claims: float, *, probability: float = 0.9, tolerance: float = 0.05, severity_cv: float = 0.0
) -> float:
    """Return the limited-fluctuation credibility, ``Z = min(1, sqrt(n / n_full))``.

    Parameters
    ----------
    claims
        n, the number of claims seen.
    probability, tolerance, severity_cv
        As of `full_credibility`.

    Examples
    --------
    >>> round(limited_fluctuation(400), 3), round(limited_fluctuation(400, severity_cv=1.5), 3)
    (0.608, 0.337)
    """
    if not 0 <= claims < np.inf:
        raise ArgumentError(f"claims: {claims}; give a number of claims, zero or more")
    full = full_credibility(probability=probability, tolerance=tolerance, severity_cv=severity_cv)
    return float(min(1.0, np.sqrt(claims / full)))


def buhlmann_straub(values: ArrayLike, weights: ArrayLike) -> BuhlmannStraub:
    """Weigh groups with their collective (Buhlmann and Straub 1970), parameters from the data.

    With group means X_i, weights w_i = sum over t of w_it, w their total and n_i values each::

        s^2 = sum w_it (X_it - X_i)^2 / sum (n_i - 1)
        a   = (sum w_i (X_i - X)^2 - (I - 1) s^2) / (w - sum w_i^2 / w)

    the unbiased estimators (Buhlmann and Gisler 2005, 4.8).

    Parameters
    ----------
    values
        Mean of each group and period (cost per claim, rate per member), shape
        ``(group, period)``; NaN where there is none.
    weights
        Volume behind each, the same shape.

    Raises
    ------
    ArgumentError
        Fewer than two groups, no group with two periods, weights that are not positive.
    """
    x = np.asarray(values, dtype=np.float64)
    w = np.asarray(weights, dtype=np.float64)
    if x.ndim != 2 or x.shape != w.shape or x.shape[0] < 2:
        raise ArgumentError(
            f"values and weights: shapes {x.shape} and {w.shape}; give one shape (group, period) "
            "with two groups or more"
        )
    seen = ~np.isnan(x)
    if np.isinf(x).any() or not (np.isfinite(w[seen]) & (w[seen] > 0)).all():
        raise ArgumentError("values, weights: infinite, or a weight that is not positive")
    if not seen.any(axis=1).all() or (seen.sum(axis=1) > 1).sum() == 0:
        raise ArgumentError(
            "values: a group has no value, or none has two; the variance within groups needs two "
            "periods of some group"
        )
    w, x = np.where(seen, w, 0.0), np.where(seen, x, 0.0)
    weight = w.sum(axis=1)
    mean = (w * x).sum(axis=1) / weight
    within = float(np.sum(w * (x - mean[:, None]) ** 2) / (seen.sum(axis=1) - 1).sum())
    total = weight.sum()
    overall = weight @ mean / total
    spread = float(weight @ (mean - overall) ** 2) - (mean.size - 1) * within
    unbiased = float(spread / (total - weight @ weight / total))
    between = max(unbiased, 0.0)
    alike = between == 0
    z = np.zeros(mean.size) if alike else weight / (weight + within / between)
    collective = float(overall if alike else z @ mean / z.sum())
    square = within / total if alike else between * (1 - z) * (1 + (1 - z) / z.sum())
    return BuhlmannStraub(
        collective=collective,
        within=within,
        between=between,
        between_unbiased=unbiased,
        weight=weight,
        mean=mean,
        credibility=z,
        credible=z * mean + (1 - z) * collective,
        credible_standard_error=np.sqrt(np.broadcast_to(square, mean.shape)),
    )


def posterior_log_mean(
    log_mean: float, standard_error: float, *, prior_mean: float, prior_sd: float
) -> Posterior:
    """Weigh a fitted logarithm of a mean with a normal prior of it.

    ``Z = sd^2 / (sd^2 + se^2)``, ``mean = Z x + (1 - Z) prior``, ``1/var = 1/sd^2 + 1/se^2``.

    Parameters
    ----------
    log_mean, standard_error
        Of a fit: ``fit.level.log_mean`` and ``fit.level.standard_errors[0]``.
    prior_mean, prior_sd
        Of the logarithm; a prior of 1,000 known to some 10 % is ``log(1000)`` and 0.1.

    Examples
    --------
    >>> found = posterior_log_mean(7.0, 0.1, prior_mean=6.8, prior_sd=0.1)
    >>> round(found.mean, 3), round(found.sd, 4), round(found.credibility, 2)
    (6.9, 0.0707, 0.5)
    """
    if not np.isfinite([log_mean, prior_mean]).all():
        raise ArgumentError(f"log_mean, prior_mean: {log_mean}, {prior_mean}; give finite numbers")
    for name, value in (("standard_error", standard_error), ("prior_sd", prior_sd)):
        if not 0 < value < np.inf:
            raise ArgumentError(f"{name}: {value}; give a positive number")
    z = prior_sd**2 / (prior_sd**2 + standard_error**2)
    return Posterior(
        float(z * log_mean + (1 - z) * prior_mean), float(np.sqrt(z) * standard_error), float(z)
    )


def posterior_rate(
    count: float, exposure: float, *, prior_mean: float, prior_cv: float
) -> Posterior:
    """Weigh a count with a gamma prior of its rate (gamma-Poisson, exact).

    Prior gamma with shape ``a = 1 / cv^2`` and rate ``b = a / mean``; the posterior has shape
    a + count and rate b + exposure, and ``Z = exposure / (exposure + b)``.

    Parameters
    ----------
    count, exposure
        Events, and what they were counted over.
    prior_mean, prior_cv
        Of the rate per exposure.

    Examples
    --------
    >>> found = posterior_rate(12, 100.0, prior_mean=0.1, prior_cv=0.5)
    >>> round(found.mean, 4), round(found.credibility, 4)
    (0.1143, 0.7143)
    """
    if not (0 <= count < np.inf and 0 < exposure < np.inf):
        raise ArgumentError(
            f"count, exposure: {count}, {exposure}; give a count of zero or more and a positive "
            "exposure"
        )
    if not (0 < prior_mean < np.inf and 0 < prior_cv < np.inf):
        raise ArgumentError(
            f"prior_mean, prior_cv: {prior_mean}, {prior_cv}; give positive numbers"
        )
    shape = 1 / prior_cv**2
    rate = shape / prior_mean
    return Posterior(
        float((shape + count) / (rate + exposure)),
        float(np.sqrt(shape + count) / (rate + exposure)),
        float(exposure / (exposure + rate)),
    )
