"""Means of activity: expectations of products of correlated indices."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskshare.case import Case
from riskshare.laws.dependence import innovation_weights
from riskshare.laws.moments import mean_of_product
from riskshare.names import delay_name, delivery_name, members_name
from riskshare.plan.common import correlation_matrix, delayed_size, law_of, year_bounds

Numbers = NDArray[np.float64]


@cache
def _gauss() -> tuple[Numbers, Numbers]:
    """Return the rule for means over a delay's score; making it takes 0.2 s."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    return nodes, weights


class Means:
    """Means of products of indices, each worked out once."""

    def __init__(self, case: Case, loadings: Numbers, exposure: Numbers, size: Numbers) -> None:
        self.names = list(case.indices())
        indices = list(case.indices().values())
        self.maps = [law_of(index) for index in indices]
        self.processes = [index.process for index in indices]
        persistence = [float(index.persistence or 0.0) for index in indices]
        self.years = len(case.years)
        self.weights = innovation_weights(self.processes, persistence, self.years)
        self.correlation = correlation_matrix(case)
        self.acts = [driver.acts_on == "activity" for driver in case.drivers]
        self.case, self.loadings, self.exposure, self.size = case, loadings, exposure, size
        self.known: dict[Any, float] = {}

    def factor(self, year: int, row: int) -> float:
        """Mean of what multiplies a line's activity before changes."""
        return self._mean(year, self._powers(row, members=True))

    def change(self, year: int, row: int, change: int) -> float:
        """Mean of size x delivery x what multiplies the line's activity."""
        item = self.case.changes[change]
        powers = self._powers(row, members=False)
        powers[self.names.index(delivery_name(item.name))] = 1.0
        return self._mean(year, powers) * self._mean_size(year, change)

    def _powers(self, row: int, members: bool) -> dict[int, float]:
        powers = {
            d: float(self.loadings[row, d])
            for d, acts in enumerate(self.acts)
            if acts and self.loadings[row, d] != 0
        }
        if members:
            for p, population in enumerate(self.case.members):
                if self.exposure[row, p]:
                    powers[self.names.index(members_name(population.name))] = 1.0
        return powers

    def _mean(self, year: int, powers: dict[int, float]) -> float:
        key = (year, tuple(sorted(powers.items())))
        if key not in self.known:
            scores = [
                (d, y, power)
                for d, power in powers.items()
                for y in (range(year + 1) if self.processes[d] == "random-walk" else (year,))
            ]
            coefficients = [self.weights[d, y] for d, y, _ in scores]
            owners = [d for d, _, _ in scores]
            covariance = np.array(
                [
                    [
                        float(a @ b) * self.correlation[d, e]
                        for b, e in zip(coefficients, owners, strict=True)
                    ]
                    for a, d in zip(coefficients, owners, strict=True)
                ]
            ).reshape(len(scores), len(scores))
            maps = [self.maps[d] for d in owners]
            self.known[key] = mean_of_product(
                np.array([m.location for m in maps]),
                np.array([m.scale for m in maps]),
                np.array([m.logarithmic for m in maps], bool),
                np.array([power for _, _, power in scores]),
                covariance,
            )
        return self.known[key]

    def _mean_size(self, year: int, change: int) -> float:
        """Mean of a change's size in a year, over the law of its delay.

        A delay is taken as independent of delivery and drivers here; a correlated one moves
        ``expected`` by its covariance.
        """
        item = self.case.changes[change]
        if item.delay is None:
            return float(self.size[year, change])
        delay = self.maps[self.names.index(delay_name(item.name))]
        nodes, weights = _gauss()
        scores, weights = 8.0 * nodes, 8.0 * weights * np.exp(-32.0 * nodes**2) / np.sqrt(2 * np.pi)
        at = delay.location + delay.scale * scores
        late = np.exp(at) if delay.logarithmic else np.maximum(at, 0)
        start, end = year_bounds(self.case)
        sizes = delayed_size(self.size[:, change], start, end, year, late)
        return float(sizes @ weights / weights.sum())
