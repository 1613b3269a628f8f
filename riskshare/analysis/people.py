"""A list of real people with their costs of two years, and populations drawn from it.

`riskshare.analysis.luck` asks what a contract pays a population of n people drawn from the list at
random: here are the list as arrays, its truncation, and exact resampling.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskshare.errors import ArgumentError

Floats = NDArray[np.float64]

YEARS = ("base", "performance")
COSTS = ("truncated", "full")
PEOPLE = ("same", "different")


@dataclass(frozen=True)
class CostList:
    """Costs of a list of people in a base and a performance year.

    Parameters
    ----------
    relative
        (cost, year, person): cost over the mean of its kind and year, so that every row has
        mean 1; costs in the order of `COSTS`, years in that of `YEARS`.
    mean
        (cost, year): money per person.
    amounts
        (year, person): cost as given, in money.
    truncated_at
        (year): the most that counts of one person where costs are truncated.
    level
        The quantile that this is.
    """

    relative: Floats
    mean: Floats
    amounts: Floats
    truncated_at: Floats
    level: float

    @classmethod
    def of(cls, base: ArrayLike, performance: ArrayLike, truncation_level: float) -> "CostList":
        """Return the list, its costs checked and truncated.

        The truncation point of a year is the inverse of the list's empirical distribution function
        at the level, never interpolated; each year has its own.
        """
        years = [_amounts("base", base), _amounts("performance", performance)]
        if len(years[0]) != len(years[1]):
            raise ArgumentError(
                f"base has {len(years[0]):,} people, performance {len(years[1]):,}; accepted: the "
                "same people in the same order in both; leave out who lacks one of the years"
            )
        full = np.stack(years)
        level = share_between("truncation_level", truncation_level)
        points = np.quantile(full, level, axis=1, method="inverted_cdf")
        costs = np.stack([np.minimum(full, points[:, None]), full])
        mean = costs.mean(axis=-1)
        for k, year in enumerate(YEARS):
            if not mean[0, k] > 0:
                raise ArgumentError(
                    f"{year}: nobody has a cost above 0 after truncation at {level:g}; accepted: "
                    "a mean above 0, for a savings rate is a share of it"
                )
        return cls(costs / mean[:, :, None], mean, full, points, level)

    @property
    def covariance(self) -> Floats:
        """Covariance of one person's relative costs, on (cost, people, year, year).

        Divided by n, as the list is the population; zero between years of different people.
        """
        gaps = self.relative - 1
        same = np.einsum("cyi,czi->cyz", gaps, gaps) / gaps.shape[-1]
        return np.stack([same, same * np.eye(2)], axis=1)

    @property
    def deviation(self) -> Floats:
        """Standard deviation of y_i / Y - x_i / X, on (cost, people)."""
        weights = np.array([-1.0, 1.0])
        return np.sqrt(np.einsum("y,...yz,z->...", weights, self.covariance, weights))

    @property
    def deviation_error(self) -> Floats:
        """Standard error of `deviation`, on (cost, people), as the list is a sample itself.

        By the influence of each person on the variance, through the means and truncation points
        too: with gaps u, v of the two years from their mean and k = 1 (same) or 0 (different
        people), ``u^2 + v^2 - 2 k u v - s^2 - 2 E[u (u - k v)] u - 2 E[v (v - k u)] v`` plus that
        of `_by_point` for each year.
        """
        gaps = self.relative - 1
        found = np.zeros_like(self.deviation)
        for row, (u, v) in enumerate(gaps):
            for column, k in enumerate((1.0, 0.0)):
                influence = u * u + v * v - 2 * k * u * v
                for year, (own, other) in enumerate(((u, v), (v, u))):
                    pull = own - k * other
                    influence -= 2 * np.mean(own * pull) * own
                    if COSTS[row] == "truncated":
                        influence += self._by_point(year, pull)
                found[row, column] = influence.std() / np.sqrt(len(influence))
        return found / (2 * np.maximum(self.deviation, np.finfo(np.float64).tiny))

    def _by_point(self, year: int, pull: Floats) -> Floats:
        """Return each person's influence on the variance through the truncation point of a year.

        That on the point is ``(level - [cost <= point]) x slope``, the slope of the order
        statistics taken over two standard errors of the level on each side (Woodruff 1952); the
        variance moves with it by ``2 E[pull x d gap / d point]``.
        """
        costs, point, mean = self.amounts[year], self.truncated_at[year], self.mean[0, year]
        people = len(costs)
        half = 2 * np.sqrt(self.level * (1 - self.level) / people)
        places = np.clip(people * (self.level + np.array([-half, half])), 0, people - 1)
        low, high = places.astype(np.intp)
        ordered = np.partition(costs, (low, high))
        slope = (ordered[high] - ordered[low]) * people / max(high - low, 1)
        above = (costs > point).astype(np.float64)
        moved = (above - above.mean() * self.relative[0, year]) / mean
        return np.asarray(2 * np.mean(pull * moved) * slope * (self.level - (costs <= point)))

    def means_of(self, members: int, replicates: int, seed: int, stream: int = 0) -> Floats:
        """Return mean relative costs (cost, year, replicate) of populations drawn from the list.

        Members are drawn with replacement, each with both years. Draws belong to (seed, members,
        stream): another size asked for moves none, and the first replicates stay when more are
        taken.
        """
        generator = np.random.default_rng([seed, members, stream])
        people = self.relative.shape[-1]
        table = np.ascontiguousarray(self.relative.reshape(-1, people).T)
        sums = np.empty((replicates, table.shape[1]))
        one = np.ones(members)
        for row in range(replicates):
            drawn = generator.integers(0, people, members)
            if members < people:
                sums[row] = one @ table.take(drawn, axis=0)
            else:  # counting how often each is drawn is quicker than looking each up
                sums[row] = np.bincount(drawn, minlength=people).astype(np.float64) @ table
        found = (sums / members).reshape(replicates, *self.relative.shape[:2])
        return np.moveaxis(found, 0, -1)

    def smallest_with_a_benchmark(self, replicates: int) -> int:
        """Return the least members of whom, in effect, no replicate is without base-year cost.

        ``replicates x (share of people without base-year cost)^members`` stays below 1e-6.
        """
        without = float(np.mean(self.relative[0, 0] == 0))
        if without == 0:
            return 1
        return int(np.floor(np.log(1e-6 / replicates) / np.log(without))) + 1


def _amounts(name: str, values: ArrayLike) -> Floats:
    """Return costs as numbers; whatever is no list of them is refused."""
    try:
        found = np.asarray(values)
    except ValueError:  # lists of lists of unequal lengths
        raise ArgumentError(f"{name} is no list; accepted: one number for each person") from None
    if found.dtype.kind not in "iuf":
        raise ArgumentError(f"{name} holds {found.dtype}; accepted: numbers, one for each person")
    if found.ndim != 1:
        raise ArgumentError(
            f"{name} has {found.ndim} dimensions; accepted: a list, one number for each person"
        )
    if len(found) < 2:
        raise ArgumentError(f"{name} has {len(found)} people; accepted: at least 2")
    found = found.astype(np.float64)
    for bad, word, remedy in (
        (~np.isfinite(found), "not finite", "leave the person out of both years"),
        (found < 0, "below 0", "cost of a year net of corrections, or leave the person out"),
    ):
        if bad.any():
            first = int(np.argmax(bad))
            raise ArgumentError(
                f"{name}: {np.count_nonzero(bad):,} of {len(found):,} costs are {word}, the first "
                f"at place {first} ({found[first]:g}); accepted: 0 or above; {remedy}"
            )
    return found


def share_between(name: str, value: float) -> float:
    """Return a share strictly between 0 and 1; 99 where 0.99 is meant is asked about."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise ArgumentError(f"{name} is {value!r}; accepted: a number between 0 and 1")
    if not 0 < value < 1:
        hint = f"; is {value / 100:g} meant?" if 1 <= value < 100 else ""
        raise ArgumentError(f"{name} is {value!r}; accepted: above 0, below 1{hint}")
    return float(value)


def whole(name: str, value: Any, least: int, most: int) -> int:
    """Return a whole number within bounds."""
    integral = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not (integral and value == value and least <= value <= most and value == int(value)):
        raise ArgumentError(f"{name} is {value!r}; accepted: a whole number, {least:,} to {most:,}")
    return int(value)
