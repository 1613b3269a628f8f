"""Cost behaviour as numbers, and what the planned removal strands."""

from typing import Any

import jax
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
from riskshare.plan.common import declared
from riskshare.system import Released

Numbers = NDArray[np.float64]


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
    goes = [behaviours[i].released != Released() for i in exits]
    kept = tuple(k for k, released in enumerate(goes) if released or k in steps)
    structure = CostStructure(exits, steps, kept)
    held = structure.held_lines

    def by_line(values: list[float]) -> Numbers:
        return np.tile(np.array(values, np.float64)[:, None], (years, 1, 1))

    def released(part: str) -> Numbers:
        columns = [declared(behaviours[i].released, part, labels) for i in held]
        return np.stack(columns, axis=1) if columns else np.zeros((years, 0))

    later = np.array([behaviours[i].exit_basis == "next_year" for i in held], bool)
    never = np.array([behaviours[i].exit_basis != "next_year" for i in held], bool)
    weights = {}
    for part in ("semi_fixed", "fixed"):
        profile = released(part)
        shifted = np.concatenate([np.zeros((1, len(held))), profile[:-1]])
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
    return numbers, structure


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
        stock = step.size * np.ceil(annual[row] * fraction * needed / step.size - 1e-9)
        if step.cost is not None:
            units = step.cost * fraction / line.unit_cost
        else:
            units = (
                line.cost.semi_fixed
                * annual[row]
                * fraction
                * step.size
                / np.maximum(stock, 1e-300)
            )
        size.append(np.full(len(fraction), float(step.size)))
        per_unit.append(needed)
        installed.append(stock)
        per_step.append(units)
    return StepNumbers(
        *(np.stack(part, axis=1)[:, :, None] for part in (size, per_unit, installed, per_step))
    )


def planned_cost(
    structure: CostStructure,
    cost: CostNumbers,
    plan: Numbers,
    unit_cost: Numbers,
    taken: Numbers,
) -> tuple[Numbers, Numbers]:
    """Planned removal (units) and the cost it strands, year by year."""
    xp: Any = plan.__array_namespace__()
    state = initial_state(structure, len(plan), plan[0][:, None])
    removed, stranded = [], []
    for year in range(len(plan)):
        numbers = jax.tree.map(lambda leaf, y=year: leaf[y], cost)
        one = xp.ones_like(plan[year])[:, None]
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
    return xp.stack(removed), xp.stack(stranded)
