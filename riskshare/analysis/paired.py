"""Differences between two series of the same samples, each with its own standard error.

Every statistic has an influence value for each sample (`riskshare.statistics`). That of a
difference is the difference of the two, sample by sample: what both series have in common cancels
before the error is taken, so that it is far below those of the statistics themselves.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from riskshare.analysis.dominance import Dominance, Ranked, dominance, ranked
from riskshare.statistics import (
    Estimate,
    Floats,
    Replicates,
    quantile_slopes,
    quantiles,
    ranks,
    standard_deviation,
)

Estimates = dict[str, Estimate]

BY_LEVEL = ("quantile", "value_at_risk", "tail_value_at_risk")
GAINS = ("gain_standard_deviation", "gain_quantile", "probability_better", "probability_worse")
VIOLATIONS = (
    "dominates_first_violation",
    "dominates_second_violation",
    "dominated_first_violation",
    "dominated_second_violation",
)


class Side:
    """One partner's positions in one year under one contract, and what differences need of them.

    Parameters
    ----------
    values
        Samples.
    levels
        Of quantiles and of confidence, as in a summary.
    replicates
        Of the samples.
    threshold
        Below which a position is a deficit; NaN where there is no such thing.
    """

    def __init__(
        self, values: Floats, levels: Floats, replicates: Replicates, threshold: float
    ) -> None:
        self.values, self.replicates, self.threshold = values, replicates, threshold
        self.levels = levels
        self.every = np.unique(np.concatenate([levels, 1 - levels]).round(12))
        self.reached = replicates.reached(values)

    @cached_property
    def ranked(self) -> Ranked:
        """The samples in order."""
        return ranked(self.values, self.replicates)

    @cached_property
    def mean(self) -> float:
        """Their mean."""
        return self.replicates.mean(self.values)

    @cached_property
    def deviation(self) -> float:
        """Their standard deviation."""
        return float(standard_deviation(self.values, self.replicates).value)

    @cached_property
    def quantiles(self) -> Floats:
        """Quantiles at every level and its complement."""
        places = ranks(len(self.values), self.every, self.reached)
        return self.ranked.ordered[places]

    @cached_property
    def slopes(self) -> Floats:
        """Money for a unit of F at each of these."""
        ordered = self.ranked.ordered
        return quantile_slopes(self.values, ordered, self.every, self.replicates, self.reached)

    @cached_property
    def below(self) -> Floats:
        """Influence of the probability of a deficit."""
        return (self.values < self.threshold).astype(np.float64)

    @cached_property
    def squares(self) -> Floats:
        """Influence of the standard deviation: ((x - m)^2 - s^2) / 2 s, but for a constant."""
        if not self.deviation > 0:
            return np.zeros_like(self.values)
        return np.square(self.values - self.mean) / (2 * self.deviation)

    def shortfall(self, place: int) -> Floats:
        """Return min(x - quantile, 0)."""
        return np.minimum(self.values - self.quantiles[place], 0)

    def edge(self, place: int, within: bool) -> Floats:
        """Return the influence of a quantile, at the lower or upper side of an atom."""
        quantile = self.quantiles[place]
        counted = self.values <= quantile if within else self.values < quantile
        return -self.slopes[place] * counted


def differences(one: Side, other: Side) -> Estimates:
    """Return the statistics of one series less those of the other."""
    error = one.replicates.error
    found = {
        "mean": Estimate(one.mean - other.mean, error(one.values - other.values)),
        "standard_deviation": Estimate(
            one.deviation - other.deviation, error(one.squares - other.squares)
        ),
    }
    if np.isfinite(one.threshold) and np.isfinite(other.threshold):
        gap = one.below - other.below
        found["probability_of_deficit"] = Estimate(one.replicates.mean(gap), error(gap))
    at, tail = (
        np.searchsorted(one.every, level.round(12)) for level in (one.levels, 1 - one.levels)
    )
    gaps, errors = one.quantiles - other.quantiles, _quantile_errors(one, other)
    found["quantile"] = Estimate(gaps[at], errors[at])
    found["value_at_risk"] = Estimate(-gaps[tail], errors[tail])
    found["tail_value_at_risk"] = _tails(one, other, tail)
    return found


def gains(one: Side, other: Side, tolerance: float) -> Estimates:
    """Return the distribution of the difference itself, sample by sample.

    A sample is better or worse by more than the ``tolerance``, what rounding of floats may do.
    """
    replicates = one.replicates
    values = one.values - other.values
    better, worse = values > tolerance, values < -tolerance
    return {
        "gain_standard_deviation": standard_deviation(values, replicates),
        "gain_quantile": quantiles(values, np.sort(values), one.levels, replicates),
        "probability_better": Estimate(replicates.mean(better), replicates.error(better)),
        "probability_worse": Estimate(replicates.mean(worse), replicates.error(worse)),
    }


def ordering(one: Side, other: Side, tolerance: float) -> Dominance:
    """Return whether one series dominates the other."""
    return dominance(one.ranked, other.ranked, one.replicates, tolerance)


def _quantile_errors(one: Side, other: Side) -> Floats:
    """Return errors of differences of quantiles, the greater one of the sides of an atom."""
    error = one.replicates.error
    found = np.empty(len(one.every))
    for i in range(len(found)):
        sides = (error(one.edge(i, side) - other.edge(i, side)) for side in (False, True))
        found[i] = max(sides)
    return found


def _tails(one: Side, other: Side, places: NDArray[np.intp]) -> Estimate:
    """Return differences of tail value at risk, -(x + E[min(X - x, 0)] / a)."""
    replicates = one.replicates
    found, errors = np.empty(len(places)), np.empty(len(places))
    for i, (place, confidence) in enumerate(zip(places, one.levels, strict=True)):
        gap = (one.shortfall(place) - other.shortfall(place)) / (1 - confidence)
        moved = one.quantiles[place] - other.quantiles[place]
        found[i] = -(moved + replicates.mean(gap))
        errors[i] = replicates.error(gap)
    return Estimate(found, errors)
