"""Distance between data and a law: empirical distribution, Kolmogorov-Smirnov, Anderson-Darling.

Truncated and censored amounts are compared by their product-limit estimate (Kaplan and Meier
1958, with delayed entry), conditional on the lowest amount that could be seen.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from riskshare.errors import ArgumentError
from riskshare.fitting.claims import Claims

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EmpiricalDistribution:
    """A step function between the lowest and the highest amount that was seen.

    Parameters
    ----------
    points
        Where it steps: the distinct amounts known exactly, rising.
    before, after
        P(X <= x | X > origin) before and after each step.
    origin
        Lowest amount that could be seen.
    upper
        Where it stops being known: infinite unless the largest amount is censored.
    size
        Claims, weights counted.
    """

    points: Floats
    before: Floats
    after: Floats
    origin: float
    upper: float
    size: float

    def limited_mean(self, limits: Floats) -> Floats:
        """Return E[min(X, limit) | X > origin], the area under the survival function.

        Raises
        ------
        ArgumentError
            A limit below the origin, or beyond what is known.
        """
        if (limits < self.origin).any() or (limits > self.upper).any():
            raise ArgumentError(
                f"limits: {limits.min():g} to {limits.max():g}; the data know amounts from "
                f"{self.origin:g} to {self.upper:g}"
            )
        edges = np.concatenate([[self.origin], self.points])
        height = np.concatenate([[1.0], 1 - self.after])
        area = np.concatenate([[0.0], np.cumsum(height[:-1] * np.diff(edges))])
        at = np.searchsorted(edges, limits, side="right") - 1
        found: Floats = self.origin + area[at] + height[at] * (limits - edges[at])
        return found


def empirical_distribution(claims: Claims) -> EmpiricalDistribution:
    """Return the product-limit estimate: ``S(x) = product over y <= x of 1 - d(y) / r(y)``.

    d are the claims of exactly y, r those at risk: entered below y and not yet gone. Without
    truncation and censoring it is the share of claims at or below x.
    """
    exact = ~claims.censored
    points, place = np.unique(claims.amounts[exact], return_inverse=True)
    gone = np.bincount(place, claims.weights[exact], points.size)
    risk = _weight_from(claims.amounts, claims.weights, points)
    risk -= _weight_from(claims.entry, claims.weights, points)
    survival: Floats = np.cumprod(np.maximum(1 - gone / risk, 0.0), dtype=np.float64)
    survival[survival < 1e-12] = 0.0  # what rounding leaves of the last step
    highest = claims.amounts.max()
    return EmpiricalDistribution(
        points=points,
        before=1 - np.concatenate([[1.0], survival[:-1]]),
        after=1 - survival,
        origin=claims.origin,
        upper=float(highest) if highest > points[-1] or survival[-1] > 0 else float("inf"),
        size=claims.size,
    )


def _weight_from(values: Floats, weights: Floats, points: Floats) -> Floats:
    """Return the weight of values at or above each point."""
    order = np.argsort(values, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(weights[order])])
    found: Floats = total[-1] - total[np.searchsorted(values[order], points, side="left")]
    return found


def distances(
    data: EmpiricalDistribution, log_survival: Callable[[Floats], Floats]
) -> tuple[float, float]:
    """Return Kolmogorov-Smirnov's D and Anderson-Darling's A^2 of a law.

    With F the law given X > origin, F_n the step function and u its upper end,
    ``D = sup |F_n - F|`` and ``A^2 = n int (F_n - F)^2 / (F (1 - F)) dF`` up to u (Klugman, Panjer
    and Willmot, Loss Models, 16.4). A point where F is 0 is the law's own end, set by that point,
    and is left out of the integral.

    Parameters
    ----------
    data
        From `empirical_distribution`.
    log_survival
        Logarithm of the law's survival function.
    """
    ends = np.concatenate([[data.origin], data.points, [data.upper]])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        finite = np.minimum(ends, np.finfo(np.float64).max)
        start = log_survival(finite[:1]) if data.origin > 0 else np.zeros(1)
        log_above = np.minimum(log_survival(finite) - start, 0.0)
        log_above[0] = 0.0
        if np.isinf(data.upper):
            log_above[-1] = -np.inf
        share = -np.expm1(log_above)
        log_below = np.log(share)
    inner = share[1:-1]
    gaps = [np.abs(data.after - inner), np.abs(data.before - inner)]
    last = abs(float(share[-1]) - float(data.after[-1])) if np.isfinite(data.upper) else 0.0
    above = np.concatenate([[1.0], 1 - data.after])
    fall = _between(above**2, log_above[:-1], log_above[1:])
    rise = _between(data.after**2, log_below[2:], log_below[1:-1])
    square = data.size * (fall + rise - float(share[-1]))
    return float(max(gaps[0].max(), gaps[1].max(), last)), square


def _between(factor: Floats, first: Floats, second: Floats) -> float:
    known = (factor > 0) & np.isfinite(first) & np.isfinite(second)
    return float(np.sum(factor[known] * (first[known] - second[known])))


def score_at(probability_above: Floats) -> Floats:
    """Return the normal score with that probability above it."""
    from scipy.special import ndtri

    score: Floats = -ndtri(probability_above)
    return score


def exceedance(observed: float, simulated: Floats) -> float:
    """Return the bootstrap p-value, ``(1 + count of simulated >= observed) / (1 + replicates)``."""
    return float((1 + np.sum(simulated >= observed)) / (1 + simulated.size))
