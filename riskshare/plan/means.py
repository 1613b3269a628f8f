"""Means of activity: expectations of products of correlated indices."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskshare.case import Case
from riskshare.laws.dependence import innovation_weights
from riskshare.laws.indices import IndexMap, LawMap
from riskshare.laws.moments import mean_of_product
from riskshare.names import delay_name, delivery_name, members_name
from riskshare.plan.common import correlation_matrix, delayed_size, law_of, year_bounds
from riskshare.plan.lattice import POINTS, SHIFTS, lattice_scores, student_grid

Numbers = NDArray[np.float64]

_LEVELS = 65_536

_KEPT = 4
"""Sets of indices whose values on a lattice are kept: lines that follow one another share them."""


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
        self.points: dict[tuple[int, tuple[int, ...], int], dict[int, Numbers]] = {}
        self.degrees = case.dependence.degrees_of_freedom
        self.certain = [index.certain for index in indices]

    def factor(self, year: int, row: int) -> float:
        """Mean of what multiplies a line's activity before changes."""
        return self._mean(year, self._powers(row, members=True))

    def activity(self, year: int, row: int, before: float, moved: Numbers) -> float:
        """Mean of a line's activity: what there is before changes, and what each moves.

        Exact where the floor at zero is out of reach and delays stand alone, otherwise by a
        lattice rule of 16 x 4,096 points (relative error about 1e-5).

        Parameters
        ----------
        before
            Activity before changes at indices of 1.
        moved
            (change): activity that moves for each unit of size at delivery 1.
        """
        moving = [c for c in range(len(moved)) if moved[c] != 0]
        if not self._exact(year, row, before, moved, moving):
            return self._lattice(year, row, before, moved, moving)
        total = before * self.factor(year, row)
        for c in moving:
            powers = self._powers(row, members=False)
            powers[self._delivery(c)] = 1.0
            total += moved[c] * self._mean(year, powers) * self._mean_size(year, c)
        return total

    def _delivery(self, change: int) -> int:
        return self.names.index(delivery_name(self.case.changes[change].name))

    def _delay(self, change: int) -> int | None:
        item = self.case.changes[change]
        return None if item.delay is None else self.names.index(delay_name(item.name))

    def _exact(self, year: int, row: int, before: float, moved: Numbers, moving: list[int]) -> bool:
        """Whether the floor is out of reach (1 in 100,000) and no delay is correlated."""
        delays = [d for c in moving if (d := self._delay(c)) is not None]
        if delays and self.degrees is not None:
            return False
        others = self.correlation[delays]
        if np.any(others[:, [i for i in range(len(self.names)) if i not in delays]] != 0):
            return False
        least = before
        for d in self._powers(row, members=True):
            if self.names[d].startswith("members["):
                least *= self._extreme(d, year, 1e-5)
        for c in moving:
            level = 1 - 1e-5 if moved[c] < 0 else 1e-5
            size = (
                max(self.size[: year + 1, c]) if self._delay(c) is not None else self.size[year, c]
            )
            least += moved[c] * size * self._extreme(self._delivery(c), year, level)
        return least >= 0

    def _extreme(self, index: int, year: int, level: float) -> float:
        steps = year + 1 if self.processes[index] == "random-walk" else 1
        return float(self.maps[index].quantile(level)) ** steps

    def _lattice(
        self, year: int, row: int, before: float, moved: Numbers, moving: list[int]
    ) -> float:
        powers = self._powers(row, members=True)
        needed = [*powers, *(self._delivery(c) for c in moving)]
        needed += [d for c in moving if (d := self._delay(c)) is not None]
        members = [d for d in powers if self.names[d].startswith("members[")]
        start, end = year_bounds(self.case)

        def value(index: dict[int, Numbers]) -> Numbers:
            volume = before * np.prod([index[d] for d in members], axis=0)
            for c in moving:
                late = self._delay(c)
                size = self.size[year, c]
                if late is not None:
                    size = delayed_size(self.size[:, c], start, end, year, index[late])
                volume = volume + moved[c] * size * index[self._delivery(c)]
            factor = [index[d] ** power for d, power in powers.items() if d not in members]
            return np.asarray(np.maximum(volume, 0) * np.prod(factor, axis=0))

        if self.degrees is not None:
            return self._averaged(year, {**dict.fromkeys(needed, 1.0), **powers}, value)
        return float(np.mean(value(self._lattice_indices(year, tuple(dict.fromkeys(needed))))))

    def _lattice_indices(
        self, year: int, needed: tuple[int, ...], points: int = POINTS
    ) -> dict[int, Numbers]:
        """Return values of indices at the points of a lattice."""
        key = (year, needed, points)
        if key not in self.points:
            scores = self._scores(year, needed)
            normal = lattice_scores(scores, self.weights, self.correlation, self.degrees, points)
            index: dict[int, Numbers] = {}
            for (d, _), score in zip(scores, normal, strict=True):
                step = self.maps[d].at(score)
                index[d] = index[d] * step if d in index else step
            while len(self.points) >= _KEPT:
                self.points.pop(next(iter(self.points)))
            self.points[key] = index
        return self.points[key]

    def _scores(self, year: int, indices: Iterable[int]) -> list[tuple[int, int]]:
        """Return (index, year) of the scores that make indices in a year: every step of a walk."""
        return [
            (d, y)
            for d in indices
            for y in (range(year + 1) if self.processes[d] == "random-walk" else (year,))
        ]

    def _covariance(self, scores: list[tuple[int, int]]) -> Numbers:
        weights = np.array([self.weights[d, y] for d, y in scores]).reshape(len(scores), self.years)
        owners = [d for d, _ in scores]
        return np.asarray(weights @ weights.T * self.correlation[np.ix_(owners, owners)])

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
            self.known[key] = self._product_mean(year, powers)
        return self.known[key]

    def _product_mean(self, year: int, powers: dict[int, float]) -> float:
        def product(index: dict[int, Numbers]) -> Numbers:
            return np.asarray(np.prod([index[d] ** p for d, p in powers.items()], axis=0))

        if self.degrees is not None and sum(not self.certain[d] for d in powers) > 1:
            found = self._student_mean(year, powers)
            return self._averaged(year, powers, product) if found is None else found
        scores = self._scores(year, powers)
        maps = [self.maps[d] for d, _ in scores]
        covariance = self._covariance(scores)
        closed = [m for m in maps if isinstance(m, IndexMap)]
        if len(closed) == len(maps):
            return mean_of_product(
                np.array([m.location for m in closed]),
                np.array([m.scale for m in closed]),
                np.array([m.logarithmic for m in closed], bool),
                np.array([powers[d] for d, _ in scores]),
                covariance,
            )
        if np.array_equal(covariance, np.diag(np.diag(covariance))):
            each = (m.power_mean(powers[d]) for m, (d, _) in zip(maps, scores, strict=True))
            return float(np.prod(list(each)))
        return self._averaged(year, powers, product)

    def _student_mean(self, year: int, powers: dict[int, float]) -> float | None:
        """Mean of a product under a t copula by a rule for smooth laws; None where it is not one.

        Innovations of different years are independent, so that a score that is made of a single
        year's stands with those of that year alone.
        """
        groups: dict[int, list[int]] = {}
        mean = 1.0
        for d, y in self._scores(year, powers):
            if self.certain[d]:
                mean *= self.maps[d].power_mean(powers[d])
                continue
            years = np.flatnonzero(self.weights[d, y])
            if len(years) > 1 or not isinstance(self.maps[d], IndexMap):
                return None
            groups.setdefault(int(years[0]), []).append(d)
        for group in groups.values():
            if len(group) > 3:
                return None
            between = self.correlation[np.ix_(group, group)].tolist()
            scores, weights = student_grid(tuple(map(tuple, between)), float(self.degrees))
            alone = [self.maps[d].at(z) ** powers[d] for d, z in zip(group, scores, strict=True)]
            known = [self.maps[d].power_mean(powers[d]) for d in group]
            if np.any(np.abs(alone @ weights / known - 1) > 1e-5):
                return None
            mean *= float(weights @ np.prod(alone, axis=0))
        return mean

    def _averaged(
        self,
        year: int,
        powers: dict[int, float],
        value: Callable[[dict[int, Numbers]], Numbers],
    ) -> float:
        """Mean of a value of indices under a t copula, by a lattice rule.

        Indices that share a chi2 are never independent, and correlated ones with tables have no
        closed form. The means of each index alone to its power are known, and serve as controls.
        The lattice is refined eightfold where its standard error, over the shifts, is above 2e-5.
        """
        steps = [year + 1 if self.processes[d] == "random-walk" else 1 for d in powers]
        known = [
            self.maps[d].power_mean(p) ** n for (d, p), n in zip(powers.items(), steps, strict=True)
        ]
        for points in (POINTS, 8 * POINTS):
            index = self._lattice_indices(year, tuple(powers), points)
            values = value(index)
            alone = np.array([index[d] ** p for d, p in powers.items()])
            centred = (alone - alone.mean(axis=1, keepdims=True)).T
            slope = np.linalg.lstsq(centred, values - values.mean(), rcond=None)[0]
            controlled = values - slope @ (alone - np.array(known)[:, None])
            each = controlled.reshape(SHIFTS, -1).mean(axis=1)
            if each.std() <= 2e-5 * abs(each.mean()) * np.sqrt(SHIFTS):
                break
        return float(each.mean())

    def _mean_size(self, year: int, change: int) -> float:
        """Mean of a change's size in a year, over the law of its delay."""
        item = self.case.changes[change]
        if item.delay is None:
            return float(self.size[year, change])
        delay = self.maps[self.names.index(delay_name(item.name))]
        if isinstance(delay, LawMap):
            return self._mean_size_by_law(year, change, delay)
        nodes, weights = _gauss()
        scores, weights = 8.0 * nodes, 8.0 * weights * np.exp(-32.0 * nodes**2) / np.sqrt(2 * np.pi)
        late = delay.at(scores)
        start, end = year_bounds(self.case)
        sizes = delayed_size(self.size[:, change], start, end, year, late)
        return float(sizes @ weights / weights.sum())

    def _mean_size_by_law(self, year: int, change: int, delay: LawMap) -> float:
        """Mean of a change's size over a delay of any law: at 65,536 even levels, error 1e-5."""
        from scipy.special import ndtri

        levels = (np.arange(_LEVELS) + 0.5) / _LEVELS
        start, end = year_bounds(self.case)
        late = delay.at(ndtri(levels))
        return float(delayed_size(self.size[:, change], start, end, year, late).mean())
