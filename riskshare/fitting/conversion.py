"""From fitted figures to the numbers of a case file: a driver's ``sd``, a line's over-dispersion.

The last step of fitting. The annual level error is split in two so that nothing is counted twice:
what months make of themselves stays with the line, the rest is a driver shared by the lines of an
organisation.
"""

import numpy as np
from numpy.typing import ArrayLike

from riskshare.errors import ArgumentError


def annual_overdispersion(
    fitted: ArrayLike, overdispersion: float, autocorrelation: float = 0.0
) -> float:
    """Return the over-dispersion of twelve months together, for a line's ``noise``.

    The year's variance is the sum of monthly covariances, ``V = sum_ij s_i s_j r^|i-j|`` with
    ``s_i^2 = mean_i + c mean_i^2``; with M = sum of means, ``c_year = (V - M) / M^2``. For r = 0
    that is near c / 12; ``sqrt(c_year)`` is the annual coefficient of variation beyond Poisson.

    Parameters
    ----------
    fitted
        Monthly means of one year, shape ``(12,)``.
    overdispersion
        Monthly c, as `ActivityFit.overdispersion`.
    autocorrelation
        Lag-1 memory of the months, in [0, 1).

    Raises
    ------
    ArgumentError
        Other than twelve positive means, a negative c, a memory outside [0, 1).

    Examples
    --------
    >>> round(annual_overdispersion([1000.0] * 12, 0.0012), 6)
    0.0001
    """
    mean = np.asarray(fitted, dtype=np.float64)
    if mean.shape != (12,) or not (np.isfinite(mean) & (mean > 0)).all():
        raise ArgumentError(f"fitted: shape {mean.shape}; give the positive means of twelve months")
    if not (np.isfinite(overdispersion) and overdispersion >= 0):
        raise ArgumentError(f"overdispersion: {overdispersion}; give c >= 0 of mean + c mean^2")
    if not 0 <= autocorrelation < 1:
        raise ArgumentError(f"autocorrelation: {autocorrelation}; give a number in [0, 1)")
    spread = np.sqrt(mean + overdispersion * mean**2)
    lag = np.abs(np.subtract.outer(np.arange(12), np.arange(12)))
    variance = float(spread @ (autocorrelation**lag) @ spread)
    return float((variance - mean.sum()) / mean.sum() ** 2)


def driver_sd(annual_sd: float, line_overdispersion: float, annual_count: float = np.inf) -> float:
    """Return the driver's ``sd``: the annual level error less what the line's own noise holds.

    ``sd = sqrt(annual_sd^2 - c_year - 1 / count)``, so that driver and noise together spread a
    line of that size by `annual_sd`. How much of the remainder lines really share cannot be
    learnt from one line: the whole of it here, so the organisation's tail errs to the wide side.

    Parameters
    ----------
    annual_sd
        Year-ahead error of the level, as `AnnualLevel.pooled_sd`.
    line_overdispersion
        As `annual_overdispersion` returns it.
    annual_count
        Units a year, for the Poisson part; infinite leaves it out.

    Raises
    ------
    ArgumentError
        The noise alone exceeds `annual_sd`: then there is nothing to share.

    Examples
    --------
    >>> round(driver_sd(0.05, 0.0009), 6)
    0.04
    """
    if not (np.isfinite(annual_sd) and annual_sd >= 0):
        raise ArgumentError(f"annual_sd: {annual_sd}; give a share, 0.03 for 3 %")
    if not (line_overdispersion >= 0 and annual_count > 0):
        raise ArgumentError(
            f"line_overdispersion, annual_count: {line_overdispersion}, {annual_count}; give "
            "c >= 0 and a positive count"
        )
    remainder = annual_sd**2 - line_overdispersion - 1 / annual_count
    if remainder < 0:
        raise ArgumentError(
            f"annual_sd: {annual_sd} is less than the line's own noise, "
            f"{np.sqrt(annual_sd**2 - remainder):.4g}; give the line no more than "
            "overdispersion = annual_sd^2 and leave the driver out"
        )
    return float(np.sqrt(remainder))
