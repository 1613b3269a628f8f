"""Calibrations with an answer in closed form, and what is refused before a search."""

import numpy as np
import pytest
import scipy.stats as st
from builders import BASE, PROVIDER, SD, SPREAD, case, line, normal, partner

import riskshare as rs

AMOUNT, MARGINAL = "c.funding.amount", "c.marginal-rate.rate"
WIDE = {AMOUNT: (0.0, 3e6)}


def number(found, path, name="number"):
    return float(found.table[name].sel(path=path))


def test_a_budget_at_a_percentile():
    """amount + s Z is above 0 in four years of five: amount = s z(0.8)."""
    found = rs.calibrate(normal(), free=WIDE, targets={f"position_quantile[{PROVIDER},0.2]": 0})
    expected = SPREAD * st.norm.ppf(0.8)
    assert found.status == "converged"
    error = number(found, AMOUNT, "number_error")
    assert abs(number(found, AMOUNT) - expected) < 4 * error + 1e-4 * expected
    assert number(found, AMOUNT) == pytest.approx(expected, rel=1e-3)
    assert found.case.number(AMOUNT) == number(found, AMOUNT)
    assert bool(found.table.binding.all())


@pytest.mark.parametrize("years", [20, 100])
def test_a_reserve_that_suffices_in_so_many_years(years):
    name = f"position_probability_of_deficit[{PROVIDER}]"
    found = rs.calibrate(normal(), free=WIDE, targets={name: 1 / years}, samples=262_144)
    expected = SPREAD * st.norm.ppf(1 - 1 / years)
    error = number(found, AMOUNT, "number_error")
    assert found.status == "converged"
    assert abs(number(found, AMOUNT) - expected) < 4 * error + 1e-3 * expected
    assert error < 5e-3 * expected


def test_a_rate_at_a_standard_deviation():
    name = f"position_standard_deviation[{PROVIDER}]"
    found = rs.calibrate(normal(), free=[MARGINAL], targets={name: 200_000})
    assert number(found, MARGINAL) == pytest.approx(200_000 / (BASE * SD), rel=1e-3)


def test_a_neutral_rate_is_the_share_of_cost_that_varies():
    """A provider paid a rate on deviation whose cost varies by 0.35 of it stands still at 0.35."""
    demand = rs.Driver(name="demand", acts_on="activity", law="normal", sd=0.03, value=1.05)
    cost = rs.CostBehaviour(variable=0.35, fixed=0.65, exit_basis="planned")
    of = case(
        [line(loadings={"demand": 1.0}, cost=cost)],
        [rs.Block(), rs.MarginalRate(rate=0.7)],
        drivers=[demand],
    )
    found = rs.calibrate(of, free=[MARGINAL], targets={f"position_mean[{PROVIDER}]": 0})
    assert number(found, MARGINAL) == pytest.approx(0.35, rel=1e-3)


def test_two_numbers_for_two_results():
    targets = {f"position_mean[{PROVIDER}]": 100_000, f"position_quantile[{PROVIDER},0.05]": -2e5}
    found = rs.calibrate(normal(), free={**WIDE, MARGINAL: (0.05, 1.0)}, targets=targets)
    assert found.status == "converged"
    assert number(found, AMOUNT) == pytest.approx(100_000, rel=1e-3)
    assert number(found, MARGINAL) == pytest.approx(3e5 / (BASE * SD * 1.644854), rel=2e-3)


def test_the_least_amount_and_what_the_chance_costs():
    """d amount / d p = s / phi(z): what one more point of risk is worth."""
    name = f"position_probability_of_deficit[{PROVIDER}]"
    found = rs.calibrate(
        normal(), free=WIDE, constraints={name: (None, 0.05)}, minimise=AMOUNT, samples=262_144
    )
    z = st.norm.ppf(0.95)
    assert found.status == "converged"
    assert number(found, AMOUNT) == pytest.approx(SPREAD * z, rel=4e-3)
    price = float(found.table.shadow_price.sel(statement=name))
    assert price == pytest.approx(-SPREAD / st.norm.pdf(z), rel=0.05)


def test_what_cannot_hold_says_what_it_would_take():
    name = f"position_quantile[{PROVIDER},0.05]"
    found = rs.calibrate(normal(), free={AMOUNT: (0.0, 200_000)}, constraints={name: (0, None)})
    lacking = SPREAD * st.norm.ppf(0.95) - 200_000
    assert found.status == "infeasible"
    assert found.case is None
    assert float(found.table.relaxation.sel(statement=name)) == pytest.approx(lacking, rel=0.02)
    assert "would take" in found.message


def pooled():
    """Two providers of one pool of savings, shared 0.5 each."""
    demand = rs.Driver(name="demand", acts_on="activity", law="normal", sd=0.05)
    budget = rs.Budget(name="plan")
    pool = rs.Pool(
        budget="plan",
        value_of=["spells"],
        holder="payer",
        key="fixed",
        share={PROVIDER: 0.4, "other": 0.3, "payer": 0.3},
    )
    of = [partner("payer", "payer"), partner(PROVIDER), partner("other")]
    return case(
        [line(loadings={"demand": 1.0}, cost=rs.CostBehaviour(variable=0.0, fixed=1.0))],
        [rs.Block(), pool],
        budgets=[budget],
        drivers=[demand],
        partners=[*of, partner("external", "external")],
    )


def test_shares_keep_their_sum():
    free = [f"c.pool.share[{name}]" for name in (PROVIDER, "other")]
    found = rs.calibrate(
        pooled(), free=free, targets={f"position_standard_deviation[{PROVIDER}]": 300_000}
    )
    numbers = found.table.number.values
    assert found.status == "converged"
    assert numbers.sum() == pytest.approx(0.7, abs=1e-12)
    assert numbers[0] == pytest.approx(0.3, rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"free": {"c.funding.amont": (0, 1)}}, "did you mean c.funding.amount"),
        ({"free": {AMOUNT: (1e6, 2e6)}}, "outside its bounds"),
        ({"free": {AMOUNT: (2e6, 1e6)}}, "the lower first"),
        ({"free": [AMOUNT]}, "has no bounds of its own"),
        ({"free": {MARGINAL: (0, 9)}}, "accepted: the lower first, within"),
        ({"targets": {"position_median[provider]": 0}}, "names no statistic"),
        ({"targets": {"position_mean[provder]": 0}}, "must name one partner"),
        ({"targets": {"position_mean[provider,2040/41]": 0}}, "names '2040/41'"),
        ({"targets": {"position_quantile[provider]": 0}}, "must name one level"),
        ({"targets": {"position_quantile[provider,0.0001]": 0}}, "too few to be sure of"),
        ({"targets": {"position_mean[provider]": np.nan}}, "accepted: a finite number"),
        ({"targets": {}}, "name no statistic"),
        (
            {"targets": {"position_probability_of_deficit[external]": 0.1}},
            "of kind external has no deficit",
        ),
        ({"constraints": {"position_mean[provider]": (5, None)}}, "contradict each other"),
        ({"constraints": {"position_mean[provider]": 5}}, "accepted: a pair"),
        ({"free": {**WIDE, "c.block.uplift": (-0.1, 0.1)}, "targets": {
            "position_mean[external]": 0}}, "c.block.uplift moves none of"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused_before_the_search(arguments, said):
    given = {"free": WIDE, "targets": {f"position_mean[{PROVIDER}]": 0}} | arguments
    with pytest.raises(rs.ArgumentError) as refused:
        rs.calibrate(normal(), **given)
    assert said in str(refused.value)


def test_a_share_cannot_move_alone():
    name = f"position_mean[{PROVIDER}]"
    with pytest.raises(rs.ArgumentError, match="cannot move alone"):
        rs.calibrate(pooled(), free=["c.pool.share[other]"], targets={name: 0})
