"""The plan as numbers: volumes, prices and cost behaviour of every line and year, in float64.

Everything that follows from the case alone, before anything is drawn or happens: baseline, activity
before changes, plan, the mean of activity (`expected`), planned removal and what it strands.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from riskshare.case import Case
from riskshare.contract.cost import CostNumbers, CostStructure
from riskshare.contract.term import PlanView
from riskshare.parameters import Labels
from riskshare.plan.common import correlation_matrix as correlation_matrix
from riskshare.plan.common import declared as declared
from riskshare.plan.common import law_of as law_of
from riskshare.plan.common import year_bounds as year_bounds
from riskshare.plan.cost import cost_numbers, planned_cost
from riskshare.plan.means import Means
from riskshare.system import Capacity, Line

Numbers = NDArray[np.float64]


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
    capacity: Numbers
    """Most that can be treated; infinite without a limit."""
    cost: CostNumbers
    cost_structure: CostStructure


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
    size = _by_year([change.sizes(labels) for change in changes], len(fraction))
    annual = np.array([float(line.baseline or 0.0) for line in lines])
    baseline = annual * fraction[:, None]
    new_service = np.array([line.baseline is None for line in lines], bool)
    moved, taken = _moved(case, baseline, labels)
    loadings = np.array([expand_loadings(line, labels) for line in lines]).reshape(len(lines), -1)
    means = Means(case, loadings, exposure, size)
    before = baseline * grown * follows
    for row in map(int, np.flatnonzero(new_service)):
        volume = declared(lines[row], "expected", labels) * fraction
        before[:, row] = volume / [means.factor(y, row) for y in range(len(fraction))]
    expected = np.array(
        [
            [means.activity(y, row, before[y, row], moved[y, row]) for row in range(len(lines))]
            for y in range(len(fraction))
        ]
    )
    for row in map(int, np.flatnonzero(new_service)):
        volumes = expected[:, row] / fraction
        annual[row] = volumes[np.argmax(volumes > 0)]
    baseline = annual * fraction[:, None]
    plan = before + np.einsum("ylc,yc->yl", moved, size)
    for row, line in enumerate(lines):
        if line.baseline is None:
            plan[:, row] += declared(line, "expected", labels) * fraction - before[:, row]
        stated = declared(line, "plan", labels)
        if stated is not None:
            plan[:, row] = stated * fraction
    plan = np.maximum(plan, 0)
    capacity = _capacity(case, fraction, labels)
    for row, line in enumerate(lines):
        if line.capacity is not None and line.plan is None:
            plan[:, row] = _treated(line.capacity, plan[:, row], capacity[:, row])
    base_price = _by_year([declared(line, "price", labels) for line in lines], len(fraction))
    price = base_price * _series(case, "price_series", labels)
    unit_cost = np.array([float(line.unit_cost) for line in lines]) * _series(
        case, "cost_series", labels
    )
    cost, structure = cost_numbers(case, baseline, annual, fraction)
    taken_share = np.einsum("lc,yc->yl", taken, size)
    removed, stranded = planned_cost(structure, cost, plan, unit_cost, taken_share)
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
        deliverer=np.array(
            [[float(line.deliverer == name) for line in lines] for name in labels["partner"]]
        ),
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
        capacity=capacity,
        cost=cost,
        cost_structure=structure,
    )


def _capacity(case: Case, fraction: Numbers, labels: Labels) -> Numbers:
    """Return the most that each line can treat in each year: (year, line)."""
    units = np.full((len(fraction), len(case.lines)), np.inf)
    for row, line in enumerate(case.lines):
        if line.capacity is not None:
            units[:, row] = declared(line.capacity, "units", labels) * fraction
    return units


def _treated(limit: Capacity, demand: Numbers, units: Numbers) -> Numbers:
    """Return what of a planned demand is treated, those waiting carried over the years."""
    waiting, treated = float(limit.waiting), np.zeros_like(demand)
    for y, arriving in enumerate(demand):
        treated[y] = min(waiting + arriving, units[y])
        waiting = (1 - float(limit.leaving)) * (waiting + arriving - treated[y])
    return treated


def _by_year(columns: list[Numbers], years: int) -> Numbers:
    return np.stack(columns, axis=1) if columns else np.zeros((years, 0))


def expand_loadings(line: Line, labels: Labels) -> Numbers:
    """Return a line's loadings by driver."""
    return np.asarray(declared(line, "loadings", labels), np.float64)


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
