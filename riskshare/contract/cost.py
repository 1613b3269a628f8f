"""What a line costs when its activity moves: variable, semi-fixed and fixed parts, time to exit.

Definitions are those of ``docs/model.md`` section 3. All volumes are of the year at hand (a
part-year has its share), reductions are counted as shares of the year's baseline so that a
part-year and a full year are comparable, and everything is worth ``unit_cost`` money a unit.

The functions take NumPy or JAX arrays: the plan is worked out on the host in float64, samples in
the kernel.
"""

from dataclasses import dataclass
from typing import Any

import jax

from riskshare.contract.primitives import at_least, at_most
from riskshare.contract.rows import picked, replaced
from riskshare.contract.vectors import summed

Numbers = Any
"""A NumPy or JAX array."""

WHOLE = 1e-6
"""A step counts as complete within this share of itself, so that rounding cannot hide one."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class StepNumbers:
    """Lines whose semi-fixed cost moves in steps; each array is (step line, 1) for one year."""

    size: Numbers
    needed_per_unit: Numbers
    installed: Numbers
    units_per_step: Numbers
    """Cost of one step over unit cost."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class CostNumbers:
    """Cost behaviour of a case, in one year: (line, 1) arrays, or (vintage, held line, 1).

    The exit weights are already differences of the release profile (see `_exits`).
    """

    variable: Numbers
    semi_fixed: Numbers
    fixed: Numbers
    baseline: Numbers
    realised: Numbers
    planned_semi: Numbers
    planned_fixed: Numbers
    rest_semi: Numbers
    rest_fixed: Numbers
    earlier: Numbers
    """(vintage, 1, 1): true for vintages of earlier years."""
    steps: StepNumbers | None


@dataclass(frozen=True)
class CostStructure:
    """Which lines have semi-fixed or fixed cost, which of it may go, and which moves in steps."""

    exit_lines: tuple[int, ...]
    step_lines: tuple[int, ...]
    """Positions among the exit lines."""
    held: tuple[int, ...]
    """Positions among the exit lines of those whose cost goes in time, the stepped ones included:
    only for them are reductions held from year to year."""

    @property
    def held_lines(self) -> tuple[int, ...]:
        """Lines for which reductions are held."""
        return tuple(self.exit_lines[k] for k in self.held)

    @property
    def steps_held(self) -> tuple[int, ...]:
        """Positions of the stepped lines among those for which reductions are held."""
        return tuple(self.held.index(k) for k in self.step_lines)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class CostState:
    """Reductions still held, carried from year to year; shares of baseline, or whole steps.

    ``planned[v]`` is the reduction that vintages up to year v still explain, so that a vintage is
    the difference of two entries and regrowth shrinks the youngest first; ``rest`` the same for
    reductions beyond the delivered changes.
    """

    planned: Numbers
    rest: Numbers
    planned_steps: Numbers
    rest_steps: Numbers
    released_semi: Numbers
    released_fixed: Numbers
    released_steps: Numbers


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LineCost:
    """What one year's activity costs, line by line: (line, sample) arrays of money or units."""

    cost: Numbers
    released: Numbers
    stranded: Numbers
    removed: Numbers
    """Activity below baseline, in units."""


def initial_state(structure: CostStructure, years: int, like: Numbers) -> CostState:
    """Return the state before the first year: nothing removed yet.

    ``like`` is any (row, sample) array whose type and samples the state takes.
    """
    xp = like.__array_namespace__()
    held, steps, samples = len(structure.held), len(structure.step_lines), like.shape[-1]

    def zeros(*lead: int) -> Numbers:
        return xp.zeros((*lead, samples), dtype=like.dtype)

    return CostState(
        planned=zeros(years, held),
        rest=zeros(years, held),
        planned_steps=zeros(years, steps),
        rest_steps=zeros(years, steps),
        released_semi=zeros(held),
        released_fixed=zeros(held),
        released_steps=zeros(steps),
    )


def settle_cost(
    structure: CostStructure,
    numbers: CostNumbers,
    state: CostState,
    activity: Numbers,
    case_mix: Numbers,
    unit_cost: Numbers,
    delivered: Numbers,
) -> tuple[LineCost, CostState]:
    """Cost of one year and the state after it.

    ``cost = unit_cost x [variable x case_mix x A + semi-fixed part + fixed part]``, with
    ``cost_released = unit_cost x [variable x R + released semi-fixed + released fixed]`` and
    ``stranded = unit_cost x R - cost_released``, R = max(baseline - A, 0).

    Parameters
    ----------
    activity, case_mix, unit_cost
        (line, sample): units of the year, index, money per case-mix unit at baseline volume.
    delivered
        (line, sample): reduction delivered by planned changes, as a share of baseline.
    """
    xp = activity.__array_namespace__()
    removed = xp.maximum(numbers.baseline - activity, 0)
    added = xp.maximum(activity - numbers.baseline, 0)
    freed = numbers.variable * removed
    kept = numbers.variable * case_mix * activity
    if structure.exit_lines:
        exits = structure.exit_lines
        semi_share = picked(numbers.semi_fixed, exits)
        growth = semi_share * picked(added, exits)
        if structure.step_lines:
            steps = structure.step_lines
            stepped = picked(picked(activity, exits), steps)
            growth = replaced(growth, steps, _steps_added(numbers, stepped))
        standing = semi_share + picked(numbers.fixed, exits)
        staying = standing * picked(numbers.baseline, exits) + growth
        if structure.held:
            held = structure.held_lines
            gone, state = _exits(
                structure,
                numbers,
                state,
                picked(activity, held),
                picked(removed, held),
                picked(delivered, held),
            )
            freed = replaced(freed, held, picked(freed, held) + gone)
            staying = replaced(staying, structure.held, picked(staying, structure.held) - gone)
        kept = replaced(kept, exits, picked(kept, exits) + staying)
    released = unit_cost * freed
    return LineCost(unit_cost * kept, released, unit_cost * removed - released, removed), state


def _exits(
    structure: CostStructure,
    numbers: CostNumbers,
    state: CostState,
    activity: Numbers,
    removed: Numbers,
    delivered: Numbers,
) -> tuple[Numbers, CostState]:
    """Return the units of standing cost released, and the new state; rows are the held lines.

    ``released(t) = min(R(t), max(released(t - 1), sum_v rho(t - v) x vintage_v))``. With C_v the
    reduction that vintages up to v explain, sum_v rho(t - v) (C_v - C_(v-1)) is a plain weighted
    sum of the C_v whose weights are differences of rho: no vintage is ever formed.
    """
    xp = activity.__array_namespace__()
    held = structure.held_lines
    baseline = picked(numbers.baseline, held)
    share = xp.where(baseline > 0, removed / xp.where(baseline > 0, baseline, 1), 0)
    realised = picked(numbers.realised, held)
    planned_share = xp.where(realised > 0, share, xp.minimum(share, delivered))
    planned = _hold(xp, numbers, state.planned, planned_share)
    rest = _hold(xp, numbers, state.rest, share - planned_share)

    def released(semi_or_fixed: tuple[Numbers, Numbers], before: Numbers) -> Numbers:
        weight_planned, weight_rest = semi_or_fixed
        due = summed(weight_planned * planned) + summed(weight_rest * rest)
        return at_most(at_least(due, before), share)

    fixed = released((numbers.planned_fixed, numbers.rest_fixed), state.released_fixed)
    semi = released((numbers.planned_semi, numbers.rest_semi), state.released_semi)
    semi_units = picked(numbers.semi_fixed, held) * baseline * semi
    planned_steps, rest_steps = state.planned_steps, state.rest_steps
    released_steps = state.released_steps
    if structure.step_lines:
        own = structure.steps_held
        step = numbers.steps
        assert step is not None
        spare = step.installed - picked(activity, own) * step.needed_per_unit
        steps_free = xp.maximum(xp.floor(spare / step.size + WHOLE), 0)
        planned_volume = picked(baseline, own) * (1 - picked(delivered, own))
        planned_spare = step.installed - planned_volume * step.needed_per_unit
        steps_planned = xp.maximum(xp.floor(planned_spare / step.size + WHOLE), 0)
        steps_planned = xp.where(
            picked(realised, own) > 0, steps_free, xp.minimum(steps_free, steps_planned)
        )
        planned_steps = _hold(xp, numbers, planned_steps, steps_planned)
        rest_steps = _hold(xp, numbers, rest_steps, steps_free - steps_planned)
        due = summed(picked(numbers.planned_semi, own, axis=1) * planned_steps)
        due = due + summed(picked(numbers.rest_semi, own, axis=1) * rest_steps)
        released_steps = at_most(at_least(due, released_steps), steps_free)
        semi_units = replaced(semi_units, own, step.units_per_step * released_steps)
    after = CostState(planned, rest, planned_steps, rest_steps, semi, fixed, released_steps)
    return semi_units + picked(numbers.fixed, held) * baseline * fixed, after


def _hold(xp: Any, numbers: CostNumbers, held: Numbers, now: Numbers) -> Numbers:
    return xp.where(numbers.earlier, xp.minimum(held, now), now)


def _steps_added(numbers: CostNumbers, activity: Numbers) -> Numbers:
    xp = activity.__array_namespace__()
    step = numbers.steps
    assert step is not None
    short = activity * step.needed_per_unit - step.installed
    return step.units_per_step * xp.maximum(xp.ceil(short / step.size - WHOLE), 0)
