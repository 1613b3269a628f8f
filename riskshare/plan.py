"""The plan as numbers: volumes, prices and cost behaviour of every line and year, in float64.

Everything that follows from the case alone, before anything is drawn or happens: baseline, activity
before changes, plan, the mean of activity (`expected`), planned removal and what it strands.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskshare.case import Case
from riskshare.contract.cost import (
    CostNumbers,
    CostStructure,
    StepNumbers,
    initial_state,
    settle_cost,
)
from riskshare.contract.term import PlanView
from riskshare.laws.dependence import innovation_weights
from riskshare.laws.indices import IndexMap, index_map
from riskshare.laws.moments import mean_of_product
from riskshare.names import delay_name, delivery_name, members_name
from riskshare.parameters import Labels, declaration_of, expand
from riskshare.system import AbstractIndex, Delay, Line

Numbers = NDArray[np.float64]
DAYS = 365.25


@dataclass(frozen=True)
class Plan:
    """Arrays over (year, line) unless said otherwise; volumes are those of the year."""

    view: PlanView
    expected: Numbers
    unit_cost: Numbers
    """Planned unit cost, inflation included."""
    size: Numbers
    """(year, change): planned size."""
    moved: Numbers
    """(year, line, change): activity that moves for each unit of size at delivery 1."""
    taken: Numbers
    """(line, change): one where a change leaves from a line."""
    loadings: Numbers
    """(line, driver)."""
    exposure: Numbers
    """(line, population)."""
    running_cost: Numbers
    """(year, change)."""
    cost: CostNumbers
    cost_structure: CostStructure


def declared(node: Any, name: str, labels: Labels) -> Any:
    """Return a declared number as an array, or None where it was not given."""
    value = getattr(node, name)
    return None if value is None else expand(value, declaration_of(type(node), name), labels)


def law_of(index: AbstractIndex) -> IndexMap:
    """Return an index as a map of its normal score."""
    at = index.value
    if at is None:
        at = 0.0 if isinstance(index, Delay) else 1.0
    law = index.law or "normal"
    if index.certain:
        return IndexMap(float(at), 0.0, False)
    interval = None if index.interval is None else (index.interval[0], index.interval[1])
    return index_map(law=law, value=at, sd=index.sd or 0.0, centre=index.centre, interval=interval)


def correlation_matrix(case: Case) -> Numbers:
    """Return the correlations of the scores of all indices, in the order of ``case.indices()``."""
    names = list(case.indices())
    matrix = np.eye(len(names))
    for correlation in case.correlations:
        row, column = (names.index(name) for name in correlation.between)
        matrix[row, column] = matrix[column, row] = correlation.value
    return matrix


def plan_of(case: Case) -> Plan:
    """Work out the plan of a case."""
    labels = case.labels()
    fraction = np.array([year.fraction for year in case.years])
    lines, changes = case.lines, case.changes
    members = _by_year([declared(p, "count", labels) for p in case.members], len(fraction))
    reference = np.array(
        [members[0, i] if p.reference is None else p.reference for i, p in enumerate(case.members)]
    )
    exposure = np.array(
        [[float(line.exposure == p.name) for p in case.members] for line in lines]
    ).reshape(len(lines), len(case.members))
    follows = 1 + (members / np.where(reference > 0, reference, 1) - 1) @ exposure.T
    grown = np.cumprod(
        1 + _by_year([declared(line, "growth", labels) for line in lines], len(fraction)), axis=0
    )
    size = _by_year([declared(change, "size", labels) for change in changes], len(fraction))
    annual = np.array([_annual_baseline(line, labels) for line in lines])
    baseline = annual * fraction[:, None]
    new_service = np.array([line.baseline is None for line in lines], bool)
    moved, taken = _moved(case, baseline, labels)
    loadings = np.array([expand_loadings(line, labels) for line in lines]).reshape(len(lines), -1)
    means = _Means(case, loadings, exposure, size)
    before = baseline * grown * follows
    for row in map(int, np.flatnonzero(new_service)):
        volume = declared(lines[row], "expected", labels) * fraction
        before[:, row] = volume / [means.factor(y, row) for y in range(len(fraction))]
    change_means = np.array(
        [
            [[means.change(y, row, c) for c in range(len(changes))] for row in range(len(lines))]
            for y in range(len(fraction))
        ]
    ).reshape(len(fraction), len(lines), len(changes))
    factor_means = np.array(
        [[means.factor(y, row) for row in range(len(lines))] for y in range(len(fraction))]
    ).reshape(before.shape)
    expected = np.maximum(before * factor_means + (moved * change_means).sum(-1), 0)
    plan = before + np.einsum("ylc,yc->yl", moved, size)
    for row, line in enumerate(lines):
        if line.baseline is None:
            plan[:, row] += declared(line, "expected", labels) * fraction - before[:, row]
        stated = declared(line, "plan", labels)
        if stated is not None:
            plan[:, row] = stated * fraction
    plan = np.maximum(plan, 0)
    base_price = _by_year([declared(line, "price", labels) for line in lines], len(fraction))
    price = base_price * _series(case, "price_series", labels)
    unit_cost = np.array([float(line.unit_cost) for line in lines]) * _series(
        case, "cost_series", labels
    )
    cost, structure = cost_numbers(case, baseline, annual, fraction)
    taken_share = np.einsum("lc,yc->yl", taken, size)
    removed, stranded = _planned_cost(structure, cost, plan, unit_cost, taken_share)
    need = _by_year([declared(p, "need", labels) for p in case.members], len(fraction))
    view = PlanView(
        price=price,
        base_price=base_price,
        plan=plan,
        baseline=baseline,
        before=before,
        new_service=new_service,
        removed=removed,
        stranded=stranded,
        members=members,
        need=need,
        fraction=fraction,
    )
    return Plan(
        view=view,
        expected=expected,
        unit_cost=unit_cost,
        size=size,
        moved=moved,
        taken=taken,
        loadings=loadings,
        exposure=exposure,
        running_cost=_by_year(
            [declared(c, "running_cost", labels) for c in changes], len(fraction)
        ),
        cost=cost,
        cost_structure=structure,
    )


def _by_year(columns: list[Numbers], years: int) -> Numbers:
    return np.stack(columns, axis=1) if columns else np.zeros((years, 0))


def expand_loadings(line: Line, labels: Labels) -> Numbers:
    """Return a line's loadings by driver."""
    return np.asarray(declared(line, "loadings", labels), np.float64)


def _annual_baseline(line: Line, labels: Labels) -> float:
    """A0: the baseline; of a new service its first expected volume."""
    if line.baseline is not None:
        return float(line.baseline)
    volumes = declared(line, "expected", labels)
    return float(volumes[np.argmax(volumes > 0)])


def _moved(case: Case, baseline: Numbers, labels: Labels) -> tuple[Numbers, Numbers]:
    names = list(labels["line"])
    moved = np.zeros((*baseline.shape, len(case.changes)))
    taken = np.zeros((len(names), len(case.changes)))
    for c, change in enumerate(case.changes):
        source = names.index(change.source)
        moved[:, source, c] -= baseline[:, source]
        taken[source, c] = 1
        if change.destination is not None:
            arriving = declared(change, "substitution", labels) * baseline[:, source]
            moved[:, names.index(change.destination), c] += arriving
    return moved, taken


def _series(case: Case, name: str, labels: Labels) -> Numbers:
    """Planned index of prices by year and line, 1 in the year of the price base."""
    years = list(labels["year"])
    rates = _by_year([declared(series, "rate", labels) for series in case.inflation], len(years))
    start = years.index(case.price_base) + 1 if case.price_base in years else 0
    rates = np.where(np.arange(len(years))[:, None] < start, 0, rates)
    columns = []
    for line in case.lines:
        weights = declared(line, name, labels)
        columns.append(np.ones(len(years)) if weights is None else np.cumprod(1 + rates @ weights))
    return _by_year(columns, len(years))


class _Means:
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
        nodes, weights = np.polynomial.legendre.leggauss(400)
        scores, weights = 8.0 * nodes, 8.0 * weights * np.exp(-32.0 * nodes**2) / np.sqrt(2 * np.pi)
        at = delay.location + delay.scale * scores
        late = np.exp(at) if delay.logarithmic else np.maximum(at, 0)
        start, end = year_bounds(self.case)
        sizes = delayed_size(self.size[:, change], start, end, year, late)
        return float(sizes @ weights / weights.sum())


def year_bounds(case: Case) -> tuple[Numbers, Numbers]:
    """Return start and end of each year, in years since the first one starts."""
    zero = case.years[0].start
    start = np.array([(year.start - zero).days / DAYS for year in case.years])
    return start, start + np.array([year.days / DAYS for year in case.years])


def delayed_size(size: Any, start: Any, end: Any, year: int, delay: Any) -> Any:
    """Mean size of a change over a year when the planned profile starts ``delay`` years late.

    The profile is a step function of time, size_j from start_j to end_j and 0 before the first
    year; the year's mean is taken of the profile moved by the delay.
    """
    total = 0.0
    for j in range(year + 1):
        overlap = np.minimum(end[year] - delay, end[j]) - np.maximum(start[year] - delay, start[j])
        total = total + size[j] * np.maximum(overlap, 0)
    return total / (end[year] - start[year])


def cost_numbers(
    case: Case, baseline: Numbers, annual: Numbers, fraction: Numbers
) -> tuple[CostNumbers, CostStructure]:
    """Return cost behaviour as arrays with the year first, and its structure."""
    labels = case.labels()
    years, behaviours = len(case.years), [line.cost for line in case.lines]
    exits = tuple(
        i for i, c in enumerate(behaviours) if c.semi_fixed is not None or c.fixed is not None
    )
    steps = tuple(k for k, i in enumerate(exits) if behaviours[i].step is not None)

    def by_line(values: list[float]) -> Numbers:
        return np.tile(np.array(values, np.float64)[:, None], (years, 1, 1))

    def released(part: str) -> Numbers:
        columns = [declared(behaviours[i].released, part, labels) for i in exits]
        return np.stack(columns, axis=1) if columns else np.zeros((years, 0))

    later = np.array([behaviours[i].exit_basis == "next_year" for i in exits], bool)
    never = np.array([behaviours[i].exit_basis != "next_year" for i in exits], bool)
    weights = {}
    for part in ("semi_fixed", "fixed"):
        profile = released(part)
        shifted = np.concatenate([np.zeros((1, len(exits))), profile[:-1]])
        rest = np.where(later, shifted, np.where(never, 0.0, profile))
        weights[part] = (_exit_weights(profile), _exit_weights(rest))
    age = np.arange(years)
    numbers = CostNumbers(
        variable=by_line([float(c.variable) for c in behaviours]),
        semi_fixed=by_line([float(c.semi_fixed or 0) for c in behaviours]),
        fixed=by_line([float(c.fixed or 0) for c in behaviours]),
        baseline=baseline[:, :, None],
        realised=by_line([float(c.exit_basis == "realised") for c in behaviours]),
        planned_semi=weights["semi_fixed"][0],
        planned_fixed=weights["fixed"][0],
        rest_semi=weights["semi_fixed"][1],
        rest_fixed=weights["fixed"][1],
        earlier=(age[None, :] < age[:, None])[:, :, None, None],
        steps=_steps(case, [exits[k] for k in steps], annual, fraction) if steps else None,
    )
    return numbers, CostStructure(exits, steps)


def _exit_weights(profile: Numbers) -> Numbers:
    """Weights of the held reductions C_v in year t: differences of the release profile by age."""
    years = len(profile)
    weights = np.zeros((years, years, profile.shape[1], 1))
    for t in range(years):
        for v in range(t + 1):
            younger = profile[t - v - 1] if v < t else 0.0
            weights[t, v, :, 0] = profile[t - v] - younger
    return weights


def _steps(case: Case, rows: list[int], annual: Numbers, fraction: Numbers) -> StepNumbers:
    size, per_unit, installed, per_step = [], [], [], []
    for row in rows:
        line, step = case.lines[row], case.lines[row].cost.step
        assert step is not None
        if step.unit == "beds":
            stay = step.length_of_stay / step.occupancy
            needed = np.array([stay / year.days for year in case.years])
        else:
            needed = 1 / fraction
        at_baseline = annual[row] * fraction[0] * needed[0]
        stock = step.size * np.ceil(at_baseline / step.size - 1e-9)
        if step.cost is not None:
            units = step.cost * fraction / line.unit_cost
        else:
            units = line.cost.semi_fixed * annual[row] * fraction * step.size / max(stock, 1e-300)
        size.append(np.full(len(fraction), step.size))
        per_unit.append(needed)
        installed.append(np.full(len(fraction), stock))
        per_step.append(units)
    return StepNumbers(
        *(np.stack(part, axis=1)[:, :, None] for part in (size, per_unit, installed, per_step))
    )


def _planned_cost(
    structure: CostStructure,
    cost: CostNumbers,
    plan: Numbers,
    unit_cost: Numbers,
    taken: Numbers,
) -> tuple[Numbers, Numbers]:
    """Planned removal (units) and the cost it strands, year by year."""
    import jax

    state = initial_state(structure, len(plan), plan[0][:, None])
    removed, stranded = [], []
    for year in range(len(plan)):
        numbers = jax.tree.map(lambda leaf, y=year: leaf[y], cost)
        one = np.ones_like(plan[year])[:, None]
        result, state = settle_cost(
            structure,
            numbers,
            state,
            plan[year][:, None],
            one,
            unit_cost[year][:, None],
            taken[year][:, None],
        )
        removed.append(result.removed[:, 0])
        stranded.append(result.stranded[:, 0])
    return np.array(removed), np.array(stranded)
