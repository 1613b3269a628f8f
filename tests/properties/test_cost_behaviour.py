import jax
import numpy as np
import pytest
from builders import actuals, line
from builders import case as small
from hypothesis import given, settings
from hypothesis import strategies as st

import riskshare as rs
from riskshare.bind import bind
from riskshare.contract.cost import initial_state, settle_cost
from riskshare.plan.common import delayed_size, year_bounds
from riskshare.testing import FAMILY, cases, experiences


def by_numpy(case, activity, case_mix, unit_cost, delivered):
    """Cost year by year on the host; arrays (year, line, sample)."""
    plan = bind(case).plan
    state = initial_state(plan.cost_structure, len(activity), activity[0])
    found, states = [], [state]
    for year in range(len(activity)):
        numbers = jax.tree.map(lambda leaf, y=year: leaf[y], plan.cost)
        cost, state = settle_cost(
            plan.cost_structure,
            numbers,
            state,
            activity[year],
            case_mix[year],
            unit_cost[year],
            delivered[year],
        )
        found.append(cost)
        states.append(state)
    return found, states


def delivered_share(case, drawn):
    """Share of each line's baseline that planned changes have delivered, (year, line, sample)."""
    plan, years = bind(case).plan, len(case.years)
    start, end = year_bounds(case)
    share = np.zeros((years, len(case.lines), drawn.sizes["sample"]))
    for c, change in enumerate(case.changes):
        delivery = drawn.driver_index.sel(driver=f"delivery[{change.name}]").values
        for year in range(years):
            size = plan.size[year, c]
            if change.delay is not None:
                late = drawn.driver_index.sel(driver=f"delay[{change.name}]").values[year]
                size = delayed_size(plan.size[:, c], start, end, year, late)
            share[year] += plan.taken[:, c, None] * size * delivery[year]
    return share


def proportional(case):
    """Lines whose cost does not move in steps."""
    return np.array([line.cost.step is None for line in case.lines])


@pytest.mark.parametrize("structure", FAMILY)
@settings(max_examples=3)
@given(data=st.data())
def test_the_host_and_the_kernel_agree(structure, data):
    case = data.draw(cases((structure,)))
    drawn = data.draw(experiences(case, 64)).transpose(..., "sample")
    outcomes = rs.settle(case, drawn)
    tables = [drawn[name].values for name in ("activity", "case_mix", "unit_cost")]
    found, _ = by_numpy(case, *tables, delivered_share(case, drawn))
    for name, field in (
        ("line_cost", "cost"),
        ("cost_released", "released"),
        ("stranded", "stranded"),
    ):
        expected = np.array([getattr(cost, field) for cost in found])
        whole = np.array([np.abs(c.cost) + np.abs(c.released) + np.abs(c.stranded) for c in found])
        apart = np.abs(outcomes[name].transpose("year", "line", "sample").values - expected)
        assert np.all(apart <= 1e-10 * whole + 1e-9), name


@settings(max_examples=40)
@given(data=st.data())
def test_no_more_is_released_than_was_removed(data):
    case = data.draw(cases())
    drawn = data.draw(experiences(case, 64)).transpose(..., "sample")
    tables = [drawn[name].values for name in ("activity", "case_mix", "unit_cost")]
    smooth = proportional(case)
    for year, cost in enumerate(by_numpy(case, *tables, delivered_share(case, drawn))[0]):
        worth = tables[2][year] * cost.removed
        slack = 1e-9 * (1 + worth)
        assert np.all(cost.released >= 0)
        assert np.all((cost.released <= worth + slack)[smooth])
        assert np.all((cost.stranded >= -slack)[smooth])
        assert np.all(np.abs(cost.released + cost.stranded - worth) <= slack + 1e-9 * cost.released)


@settings(max_examples=30)
@given(data=st.data())
def test_what_is_released_stays_released_while_the_reduction_stands(data):
    case = data.draw(cases())
    plan, smooth = bind(case).plan, proportional(case)
    years, lines = plan.view.plan.shape
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    left, delivered = rng.uniform(0, 1.2, (lines, 64)), rng.uniform(0, 1, (lines, 64))
    one = np.ones((years, lines, 64))
    activity = plan.view.baseline[:, :, None] * left
    found, _ = by_numpy(case, activity, one, one, one * delivered)
    share = np.array([c.released for c in found]) / np.maximum(plan.view.baseline, 1e-9)[:, :, None]
    assert np.all(np.diff(share, axis=0)[:, smooth] >= -1e-12)


@settings(max_examples=30)
@given(data=st.data())
def test_more_activity_never_costs_less_from_the_same_state(data):
    case = data.draw(cases())
    drawn = data.draw(experiences(case, 1)).transpose(..., "sample")
    tables = [drawn[name].values for name in ("activity", "case_mix", "unit_cost")]
    delivered = delivered_share(case, drawn)
    plan = bind(case).plan
    _, states = by_numpy(case, *tables, delivered)
    for year in range(len(case.years)):
        top = 2 * np.maximum(plan.view.baseline[year], 1)[:, None]
        rising = np.linspace(0, 1, 3001)[None] * top
        numbers = jax.tree.map(lambda leaf, y=year: leaf[y], plan.cost)
        wide = jax.tree.map(lambda leaf: np.repeat(leaf, 3001, axis=-1), states[year])
        cost, _ = settle_cost(
            plan.cost_structure,
            numbers,
            wide,
            rising,
            *(np.broadcast_to(table[year], rising.shape) for table in (*tables[1:], delivered)),
        )
        slack = 1e-9 * (1 + cost.cost.max(axis=1, keepdims=True))
        assert np.all(np.diff(cost.cost, axis=1) >= -slack)


def test_a_step_may_cost_money_where_a_unit_costs_nothing():
    step = rs.Step(size=10.0, unit="activity", cost=100.0)
    behaviour = rs.CostBehaviour(variable=0.0, semi_fixed=1.0, step=step)
    try:
        case = small([line(unit_cost=0.0, cost=behaviour)])
    except rs.CaseError:
        return  # refused by name is as good
    outcomes = rs.settle(case, actuals(case, 9000.0))
    assert np.isfinite(outcomes.cost).all()
