"""Payment terms against the worked numbers M01 to M10, through `settle` alone."""

import numpy as np
import pytest
from builders import actuals, balanced, case, line, paid, partner, years

import riskshare as rs
from riskshare.bind import bind


def settled(of, activity, **given):
    outcomes = rs.settle(of, actuals(of, activity, **given))
    assert balanced(outcomes)
    return outcomes


def test_m01_unit_price_times_market_forces_factor():
    unit = case([line(baseline=1, price=160.0)], [rs.ActivityPayment(market_forces_factor=1.15)])
    assert paid(settled(unit, 1.0), "activity-payment") == 184.00


def test_activity_payment_follows_price_case_mix_activity_and_share():
    unit = case(
        [line("a", price=160.0), line("b", price=50.0)],
        [
            rs.ActivityPayment(
                share={"a": 0.5, "b": 1.0}, market_forces_factor={"a": 1.15, "b": 0.9}
            )
        ],
    )
    outcomes = settled(unit, [100.0, 20.0], case_mix=[1.1, 0.95])
    expected = 0.5 * 1.15 * 160 * 1.1 * 100 + 0.9 * 50 * 0.95 * 20
    assert paid(outcomes, "activity-payment") == round(expected, 2)


def test_m02_block_compounds_its_uplift_and_ignores_activity():
    fixed = rs.Block(amount=100e6, from_="payer", to="provider", uplift=[0.0, 0.01])
    block = case([line()], [fixed], count=2)
    outcomes = settled(block, [[10_500.0], [1.0]])
    assert [paid(outcomes, "block", year=y) for y in range(2)] == [100e6, 101e6]


def test_m02_block_over_lines_pays_plan_value_uplifted():
    block = case([line(growth=0.02)], [rs.Block(uplift=[0.0, 0.01])], count=2)
    outcomes = settled(block, [[9000.0], [9000.0]])
    expected = [10_000 * 1.02 * 2000, 10_000 * 1.02**2 * 2000 * 1.01]
    assert [paid(outcomes, "block", year=y) for y in range(2)] == pytest.approx(expected, abs=0.005)


def test_m03_intelligent_fixed_payment_is_a_bridge_whose_steps_add_up():
    budget = rs.Budget(
        name="ifp",
        base=100e6,
        inflation=0.021,
        efficiency=0.02,
        growth=0.015,
        planned_changes=False,
        new_services=False,
        other={"control total": -1.2e6},
    )
    paying = [rs.CapitatedBudget(from_="payer", to="provider", budget="ifp")]
    ifp = case([line()], paying, budgets=[budget])
    assert paid(settled(ifp, 9999.0), "capitated-budget") == 100_358_870.00
    steps = bind(ifp).bridges["c.ifp"]
    assert list(steps) == ["base", "growth", "inflation", "efficiency", "control total"]
    assert sum(v[0] for v in steps.values()) == pytest.approx(100_358_870, abs=1e-6)
    running = 100e6 * np.cumprod([1, 1.015, 1.021, 0.98])
    np.testing.assert_allclose(
        [v[0] for v in list(steps.values())[:4]], np.diff(running, prepend=0)
    )


def test_budget_from_lines_is_baseline_growth_inflation_changes_and_new_services():
    grown = case(
        [
            line("old", growth=0.02, price_series={"pay": 1.0}),
            line("new", expected=[0.0, 100.0], price=10.0),
        ],
        [rs.CapitatedBudget(from_="payer", to="provider", budget="b")],
        budgets=[rs.Budget(name="b", efficiency=0.01)],
        count=2,
        price_base="2018/19",
        inflation=[rs.Inflation(name="pay", rate=[0.5, 0.03])],
        changes=[rs.Change(name="x", owner="payer", source="old", size=[0.1, 0.2])],
    )
    start, second = 10_000 * 2000.0, 10_000 * 1.02**2 * 2000 * 1.03 * 0.99**2
    expected = [
        start * 1.02 * 0.99 - 0.1 * start,
        second - 0.2 * 10_000 * 2000 * 1.03 + 100 * 10,
    ]
    outcomes = settled(grown, [[1.0, 1.0], [1.0, 1.0]], drivers={"delivery[x]": 1.0})
    found = [paid(outcomes, "capitated-budget", year=y) for y in range(2)]
    assert found == pytest.approx(expected, abs=0.005)
    steps = bind(grown).bridges["c.b"]
    np.testing.assert_allclose(np.sum(list(steps.values()), axis=0), expected)


@pytest.mark.parametrize(("activity", "income"), [(10_500, 20.2e6), (9_500, 19.8e6)])
def test_m04_blended_payment_both_ways(activity, income):
    blended = case([line()], [rs.Block(), rs.MarginalRate(rate=0.2)])
    outcomes = settled(blended, activity)
    assert paid(outcomes, "block") + paid(outcomes, "marginal-rate") == income


def test_m04_provider_loses_500_for_each_extra_spell():
    cost = rs.CostBehaviour(variable=0.45, fixed=0.55)
    blended = case([line(cost=cost)], [rs.Block(), rs.MarginalRate(rate=0.2)])
    margins = [
        settled(blended, a).position.sel(partner="provider").item() for a in (10_000, 10_001)
    ]
    assert margins[0] == 0
    assert margins[1] - margins[0] == -500


def glass(reading, **fields):
    broken = rs.BreakGlass(threshold=0.1, rate=0.7, reading=reading)
    return case([line()], [rs.MarginalRate(rate=0.2, break_glass=broken, **fields)])


@pytest.mark.parametrize(("sign", "step"), [(1, 1500), (-1, 1500)])
def test_m05_break_glass_both_readings(sign, step):
    at = 10_000 + sign * step
    assert paid(settled(glass("excess-only"), at), "marginal-rate") == sign * 1.1e6
    assert paid(settled(glass("whole-deviation"), at), "marginal-rate") == sign * 2.1e6


def test_m05_whole_deviation_jumps_by_a_million_at_the_threshold():
    whole, excess = glass("whole-deviation"), glass("excess-only")
    at, beyond = settled(whole, 11_000), settled(whole, 11_000.001)
    assert paid(at, "marginal-rate") == 400_000
    assert paid(beyond, "marginal-rate") - 400_000 == pytest.approx(1.0e6, abs=2)
    smooth = paid(settled(excess, 11_000.001), "marginal-rate")
    assert smooth == pytest.approx(400_000, abs=2)


def test_m05_glass_and_tolerance_of_their_own_by_direction():
    broken = rs.BreakGlass(
        threshold={"up": 0.1, "down": 0.2}, rate={"up": 0.7, "down": 0.5}, reading="excess-only"
    )
    both = case(
        [line()],
        [rs.MarginalRate(rate=0.2, tolerance={"up": 0.02, "down": 0.05}, break_glass=broken)],
    )
    up = 2000 * (0.2 * 800 + 0.7 * 500)
    down = -2000 * (0.2 * 1500 + 0.5 * 1000)
    assert paid(settled(both, 11_500), "marginal-rate") == up
    assert paid(settled(both, 7000), "marginal-rate") == down
    assert paid(settled(both, 9500), "marginal-rate") == 0


@pytest.mark.parametrize(
    ("rate", "value", "income"),
    [(0.3, 54, 51.2), (0.7, 54, 52.8), (0.3, 47, 47.0), (0.7, 47, 47.0), (0.3, 50, 50.0)],
)
def test_m06_marginal_rate_emergency_tariff(rate, value, income):
    mret = case(
        [line(price=1000.0)],
        [
            rs.Block(amount=50e6, from_="payer", to="provider"),
            rs.MarginalRate(base={"spells": 50e6}, rate={"up": rate, "down": 1.0}),
        ],
    )
    outcomes = settled(mret, value * 1000)
    total = paid(outcomes, "block") + paid(outcomes, "marginal-rate")
    assert total == pytest.approx(income * 1e6, abs=0.005)


@pytest.mark.parametrize(("value", "adjustment"), [(98, -3.75), (110, 4.5)])
def test_m07_elective_variable_payment_with_a_floor(value, adjustment):
    # v = 75 %, target 104 % of 100m, floor 75 % of a fund of 5m: the collar is 3.75 / 104 of base
    erf = case(
        [line(price=1e6)],
        [rs.MarginalRate(base={"spells": 104e6}, rate=0.75, collar={"spells": 3.75 / 104})],
    )
    found = paid(settled(erf, value), "marginal-rate")
    assert found == pytest.approx(adjustment * 1e6, abs=0.01)


@pytest.mark.parametrize(
    ("ordinary", "drugs", "net"), [(86, 10, 96.8), (95, 10, 101.75), (90, 15, 103.75)]
)
def test_m08_german_compensation_by_line_and_direction(ordinary, drugs, net):
    # billed at full price, then compensated: -20 % of a shortfall is a rate of 0.2 paid, an excess
    # loses 65 % (25 % for drugs); with the bill apart these are negative marginal rates of revenue,
    # so the contract is the budget plus what is kept: 80 % down, 35 % (75 %) up
    german = case(
        [line("ordinary", baseline=90, price=1e6), line("drugs", baseline=10, price=1e6)],
        [
            rs.Block(),
            rs.MarginalRate(
                rate={
                    "ordinary": {"up": 0.35, "down": 0.8},
                    "drugs": {"up": 0.75, "down": 1.0},
                }
            ),
        ],
        currency="EUR",
    )
    outcomes = settled(german, [ordinary, drugs])
    total = paid(outcomes, "block") + paid(outcomes, "marginal-rate")
    assert total == pytest.approx(net * 1e6, abs=0.01)


@pytest.mark.parametrize(("value", "income"), [(86, 82.2), (90, 82.4), (77, 79.3)])
def test_m09_cap_and_collar_with_tolerance(value, income):
    collared = case(
        [line(baseline=80_000, price=1000.0)],
        [rs.Block(), rs.MarginalRate(rate=0.5, tolerance=0.02, cap={"spells": 0.03})],
    )
    outcomes = settled(collared, value * 1000)
    total = paid(outcomes, "block") + paid(outcomes, "marginal-rate")
    assert total == pytest.approx(income * 1e6, abs=0.005)


def test_collar_limits_what_is_refunded():
    collared = case([line()], [rs.MarginalRate(rate=1.0, cap=0.05, collar=0.04)])
    assert paid(settled(collared, 5000), "marginal-rate") == -0.04 * 20e6
    assert paid(settled(collared, 15_000), "marginal-rate") == 0.05 * 20e6


def test_bands_stack_each_at_its_own_rate():
    banded = case(
        [line()],
        [
            rs.MarginalRate(
                bands=[
                    rs.Band(beyond=0.01, rate=0.2),
                    rs.Band(beyond=0.05, rate={"up": 0.5, "down": 0.0}),
                    rs.Band(beyond=0.10, rate=1.0),
                ]
            )
        ],
    )
    up = 2000 * (0.2 * 400 + 0.5 * 500 + 1.0 * 200)
    assert paid(settled(banded, 11_200), "marginal-rate") == up
    down = -2000 * (0.2 * 400 + 0.0 * 500 + 1.0 * 200)
    assert paid(settled(banded, 8800), "marginal-rate") == down


def totals(**fields):
    return case(
        [line("a", baseline=3000), line("b", baseline=1000, deliverer="other")],
        [rs.MarginalRate(per="total", rate=0.5, tolerance=0.02, **fields)],
        partners=[partner("payer", "payer"), partner("provider"), partner("other")],
    )


def test_per_total_nets_lines_and_shares_by_base():
    # a +200, b -40: total +160 of 4000, tolerance 80
    outcomes = settled(totals(), [3200.0, 960.0])
    whole = 0.5 * (160 - 80) * 2000
    assert paid(outcomes, "marginal-rate") == 0.75 * whole
    assert paid(outcomes, "marginal-rate", to="other") == 0.25 * whole


@pytest.mark.parametrize("part", ["band", "glass"])
def test_per_total_has_no_thresholds_by_line(part):
    by_line = {"a": 0.0, "b": 0.5}
    glass = rs.BreakGlass(threshold={"a": 0.1, "b": 0.2}, rate=0.7, reading="excess-only")
    fields = {
        "band": {"bands": [rs.Band(beyond=by_line, rate=0.5)]},
        "glass": {"rate": 0.5, "break_glass": glass},
    }[part]
    with pytest.raises(rs.CaseError, match="by line"):
        case([line("a"), line("b")], [rs.MarginalRate(per="total", **fields)])


def test_per_total_with_a_year_without_base_moves_nothing():
    empty = case([line(expected=[0.0, 100.0])], [rs.MarginalRate(per="total", rate=0.5)], count=2)
    outcomes = settled(empty, [[0.0], [110.0]])
    assert paid(outcomes, "marginal-rate") == 0
    assert paid(outcomes, "marginal-rate", year=1) == 0.5 * 10 * 2000


def capitation(rebase):
    return case(
        [line()],
        [rs.CapitatedBudget(from_="payer", to="provider", budget="b")],
        budgets=[
            rs.Budget(
                name="b",
                rate={"people": 750.0},
                rebase=rebase,
                planned_changes=False,
                new_services=False,
            )
        ],
        members=[rs.Population(name="people", count=250_000)],
        currency="EUR",
    )


def test_m10_capitation_of_250_000_people():
    assert paid(settled(capitation("plan"), 1.0), "capitated-budget") == 187.5e6
    counted = {"members": {"people": 260_000.0}}
    rebased = settled(capitation("actual"), 1.0, **counted)
    assert paid(rebased, "capitated-budget") == 195.0e6
    assert paid(settled(capitation("plan"), 1.0, **counted), "capitated-budget") == 187.5e6


def test_rebased_capitation_needs_members():
    with pytest.raises(rs.ExperienceError, match=r"members\[people, 2018/19\]: missing"):
        settled(capitation("actual"), 1.0)


def test_capitation_weighs_need_and_trends_by_year():
    needs = case(
        [line()],
        [rs.CapitatedBudget(from_="payer", to="provider", budget="b")],
        budgets=[
            rs.Budget(
                name="b", rate={"old": 2000.0, "young": 500.0}, rebase="actual", growth=[0, 0.03]
            )
        ],
        members=[
            rs.Population(name="old", count=[100.0, 110.0], need=1.2),
            rs.Population(name="young", count=1000.0),
        ],
        count=2,
    )
    outcomes = settled(needs, [[1.0], [1.0]], members={"old": [100, 121], "young": [900, 1000]})
    expected = [100 * 2000 * 1.2 + 900 * 500, (121 * 2000 * 1.2 + 1000 * 500) * 1.03]
    found = [paid(outcomes, "capitated-budget", year=y) for y in range(2)]
    assert found == pytest.approx(expected, abs=0.005)


def test_part_year_scales_volumes_and_capitation_but_not_money_a_year():
    import datetime

    half = case(
        [line()],
        [
            rs.Block(),
            rs.Funding(from_="external", to="payer", amount=1e6),
            rs.CapitatedBudget(from_="payer", to="provider", budget="b"),
        ],
        budgets=[rs.Budget(name="b", rate={"people": 100.0}, rebase="plan", planned_changes=False)],
        members=[rs.Population(name="people", count=1000)],
        years=years(2, start=datetime.date(2018, 10, 1)),
    )
    outcomes = settled(half, [[5000.0], [10_000.0]])
    assert [paid(outcomes, "block", year=y) for y in (0, 1)] == [10e6, 20e6]
    assert [paid(outcomes, "capitated-budget", year=y) for y in (0, 1)] == [50e3, 100e3]
    assert [paid(outcomes, "funding", to="payer", year=y) for y in (0, 1)] == [1e6, 1e6]


def test_funding_by_year_and_by_a_driver():
    funded = case(
        [line()],
        [rs.Funding(from_="external", to="payer", amount=[16e6, 17e6], driver="settlement")],
        drivers=[rs.Driver(name="settlement", acts_on="funding", law="normal", sd=0.01)],
        count=2,
    )
    outcomes = settled(funded, [[1.0], [1.0]], drivers={"settlement": [0.99, 1.02]})
    assert [paid(outcomes, "funding", to="payer", year=y) for y in (0, 1)] == [15.84e6, 17.34e6]
    with pytest.raises(rs.ExperienceError, match=r"driver_index\[settlement, 2018/19\]: missing"):
        rs.settle(funded, actuals(funded, [[1.0], [1.0]]), missing="plan")
