"""Stress scenarios of contracts whose answer is one multiplication, and boxes that are known."""

import sys
from io import StringIO

import numpy as np
import pytest
from builders import PAYER, PROVIDER, case, line, two

import riskshare as rs
from riskshare.report.stress import print_discovery, print_stress
from riskshare.report.whole import screen

SAMPLES = 1024
NONE = {"shock": 0, "trend": 0, "benchmark": 0, "coding": 0, "late": 0}
DEMAND = rs.Driver(name="demand", acts_on="activity", law="lognormal", sd=0.05, centre="mean")
PRICE = rs.Driver(name="price", acts_on="unit_cost", law="lognormal", sd=0.02, centre="mean")


def paid_by_activity(count=1, **fields):
    """The provider earns 2,000 a spell and spends 1,500, all of it variable."""
    spells = line(unit_cost=1500.0, loadings={"demand": 0.5, "price": 1.0}, **fields)
    return case([spells], count=count, drivers=[DEMAND, PRICE])


def only(family, size):
    return {**NONE, family: size}


def of(found, scenario, partner=PROVIDER, year="all"):
    return found.sel(scenario=scenario, partner=partner, year=year)


def test_a_shock_moves_a_linear_contract_by_loading_value_and_margin():
    found = rs.stress(paid_by_activity(), **only("shock", 0.04), samples=SAMPLES)
    before = of(found, "as drawn")
    demand = of(found, "shock: demand +4 %")
    times = 1.04**0.5 - 1
    assert float(demand.difference_mean) == pytest.approx(
        times * float(before.position_mean), rel=1e-4
    )
    payer = of(found, "shock: demand +4 %", PAYER)
    drawn = of(found, "as drawn", PAYER)
    assert float(payer.difference_mean) == pytest.approx(
        times * float(drawn.position_mean), rel=1e-4
    )
    # the pair cancels what the draws have in common: its error is that share of the draws' own
    np.testing.assert_allclose(
        demand.difference_mean_error, times * before.position_mean_error, rtol=1e-3
    )
    dear = of(found, "shock: price +4 %")
    cost = float(of(found, "as drawn").position_mean) + float(drawn.position_mean)  # less cost
    assert float(dear.difference_mean) == pytest.approx(0.04 * cost, rel=1e-4)
    assert found.family.values.tolist() == ["", "shock", "shock"]


def test_a_share_of_a_shock_goes_where_the_pool_sends_it():
    pool = rs.Pool(
        budget="b",
        against=["activity-payment"],
        holder=PAYER,
        key="fixed",
        share={PROVIDER: 0.4, PAYER: 0.6},
    )
    with_pool = case(
        [line(loadings={"demand": 1.0})],
        [rs.ActivityPayment(), pool],
        budgets=[rs.Budget(name="b")],
        drivers=[DEMAND],
    )
    found = rs.stress(with_pool, **only("shock", 0.1), samples=SAMPLES)
    moved = of(found, "shock: demand +10 %").difference_mean
    # price is cost, so that the provider bears 40 % of a value that is 10 % higher, 20m in the mean
    np.testing.assert_allclose(moved, -0.4 * 0.1 * 20e6, rtol=2e-3)


def test_a_trend_grows_to_the_middle_of_each_year():
    found = rs.stress(paid_by_activity(count=3), **only("trend", 0.03), samples=SAMPLES)
    for place, year in enumerate(found.year.values[:-1]):
        before, after = (
            float(of(found, name, year=year).position_mean)
            for name in ("as drawn", "trend: demand +3 % a year")
        )
        assert after / before == pytest.approx(1.03 ** (0.5 * (place + 0.5)), rel=1e-4)


def test_a_benchmark_too_high_pays_the_block_on_activity_that_is_not_there():
    block = case([line(loadings={"demand": 1.0})], [rs.Block()], drivers=[DEMAND])
    found = rs.stress(block, **only("benchmark", 0.02), samples=SAMPLES)
    at = of(found, "benchmark: plan +2 %")
    np.testing.assert_allclose(at.difference_mean, 0.02 * 20e6, rtol=1e-5)
    np.testing.assert_allclose(at.difference_mean_error, 0.0, atol=1.0)
    payer = of(found, "benchmark: plan +2 %", PAYER)
    np.testing.assert_allclose(payer.difference_mean, -0.02 * 20e6, rtol=1e-5)


def test_a_stated_budget_is_wrong_with_the_plan_and_cost_is_not():
    pool = {"holder": PAYER, "key": "fixed", "share": {PROVIDER: 0.25, PAYER: 0.75}}
    stated = case(
        [line(loadings={"demand": 1.0})],
        [rs.ActivityPayment(), rs.Pool(budget="b", against=["activity-payment"], **pool)],
        budgets=[rs.Budget(name="b", base=21e6, planned_changes=False, new_services=False)],
        drivers=[DEMAND],
    )
    found = rs.stress(stated, **only("benchmark", -0.05), samples=SAMPLES)
    at = of(found, "benchmark: plan -5 %")
    np.testing.assert_allclose(at.difference_mean, -0.25 * 0.05 * 21e6, rtol=1e-4)


def test_what_is_late_is_not_paid_and_costs_all_the_same():
    found = rs.stress(paid_by_activity(), **only("late", 0.03), samples=SAMPLES)
    at = of(found, "late: 3 % of activity missing")
    income = -float(of(found, "as drawn", PAYER).position_mean)
    assert float(at.difference_mean) == pytest.approx(-0.03 * income, rel=1e-4)
    system = of(found, "late: 3 % of activity missing", "system")
    np.testing.assert_allclose(system.difference_mean, 0.0, atol=5.0)


def test_coding_is_paid_and_costs_nothing():
    found = rs.stress(paid_by_activity(), **only("coding", 0.03), samples=SAMPLES)
    at = of(found, "coding: case mix +3 %")
    income = -float(of(found, "as drawn", PAYER).position_mean)
    assert float(at.difference_mean) == pytest.approx(0.03 * income, rel=1e-4)
    system = of(found, "coding: case mix +3 %", "system")
    np.testing.assert_allclose(system.difference_mean, 0.0, atol=5.0)


def test_completion_makes_up_for_what_is_late():
    pool = {
        "budget": "b",
        "value_of": ["spells"],
        "holder": PAYER,
        "key": "fixed",
        "share": {PROVIDER: 1.0},
    }

    def shared(**more):
        with_pool = case(
            [line(loadings={"demand": 1.0})],
            [rs.Block(), rs.Pool(**pool, **more)],
            budgets=[rs.Budget(name="b")],
            drivers=[DEMAND],
        )
        found = rs.stress(with_pool, **only("late", 0.1), samples=SAMPLES)
        return of(found, "late: 10 % of activity missing").position_mean, found

    corrected, _ = shared(completion=0.9)
    _, plain = shared()
    np.testing.assert_allclose(corrected, of(plain, "as drawn").position_mean, atol=10.0)


def test_a_line_with_a_capacity_treats_no_more_than_it():
    limited = case(
        [
            line(
                loadings={"demand": 1.0},
                unit_cost=1500.0,
                capacity=rs.Capacity(units=10_000, leaving=0.5),
            )
        ],
        drivers=[DEMAND],
    )
    found = rs.stress(limited, **only("shock", (0.2, -0.4)), samples=SAMPLES)
    most = 10_000 * (2000.0 - 1500.0)
    up = of(found, "shock: demand +20 %")
    assert float(up.position_quantile.sel(level=0.95)) == pytest.approx(most, rel=1e-6)
    # everybody who asked, backlog included, is 60 % as many, and all of them fit
    law = rs.draw(limited, samples=SAMPLES, seed=1)
    asked = law.activity + law.waiting_list / 0.5
    down = of(found, "shock: demand -40 %")
    assert float(down.position_mean) == pytest.approx(float(0.6 * asked.mean()) * 500.0, rel=1e-4)


def test_numbers_by_path_are_the_case_at_these_numbers():
    plain = paid_by_activity()
    found = rs.stress(
        plain, {"cheap": {"lines.spells.price": 1900.0}}, **NONE, samples=SAMPLES, seed=3
    )
    cheap = plain.with_numbers({"lines.spells.price": 1900.0})
    ours = rs.summarise(rs.simulate(cheap, samples=SAMPLES, seed=3, keep=("position",)))
    np.testing.assert_allclose(
        of(found, "cheap").position_mean,
        ours.position_mean.sel(partner=PROVIDER, year="all"),
        rtol=1e-6,
    )
    assert found.family.values.tolist() == ["", "numbers"]


def test_targets_that_stop_holding_are_told():
    found = rs.stress(
        paid_by_activity(),
        **only("shock", (0.05, -0.05)),
        targets=["position_mean[provider] >= 4_900_000", "position_quantile[provider,0.05] >= 0"],
        samples=SAMPLES,
    )
    first = found.isel(target=0)
    assert first.target_met.values.tolist() == [True, True, False, False, True]
    assert found.target.values[0] == "position_mean[provider] >= 4.9e+06"
    assert bool(found.isel(target=1).target_met.all())
    np.testing.assert_allclose(
        first.target_value, found.position_mean.sel(partner=PROVIDER, year="all")
    )
    out = StringIO()
    print_stress(screen(out, 160), paid_by_activity(), found)
    assert "stops holding: shock: price +5 %" in out.getvalue()
    assert "holds in every scenario" in out.getvalue()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"shock": 5_000}, "accepted: a number from -0.9 to 10"),
        ({"shock": 50}, "is 0.5 meant"),
        ({"late": -0.1}, "late is -0.1"),
        ({"trend": "much"}, "trend is 'much'"),
        ({"scenarios": {"x": {"lines.spell.price": 1.0}}}, "did you mean lines.spells.price"),
        ({"targets": "position_mean[provider] > 0"}, "<= or >="),
        ({"targets": "position_mode[provider] >= 0"}, "did you mean position_mean"),
        ({"targets": "position_mean[provder] >= 0"}, "accepted: partner: payer"),
        ({"targets": "position_mean >= 0"}, "brackets"),
        ({"targets": "position_mean[] >= 0"}, "names no partner"),
        ({"targets": "position_quantile[provider] >= 0"}, "names no level"),
        ({"targets": "position_mean[provider,0.05] >= 0"}, "has no level"),
        ({"targets": "position_probability_of_deficit[external] <= 1"}, "has no chance"),
        (NONE, "none are left"),
        ({"scenarios": {"as drawn": {"lines.spells.price": 1.0}}}, "choose another"),
    ],
)
def test_what_means_nothing_is_refused(arguments, told):
    with pytest.raises(rs.ArgumentError, match=told.replace("[", r"\[")):
        rs.stress(paid_by_activity(), **arguments)


# ---------------------------------------------------------------- scenario discovery


def block(amount=20e6):
    """A stated amount for 10,000 spells at 2,000, nothing uncertain."""
    pays = rs.Block(amount=amount, from_=PAYER, to=PROVIDER)
    return case([line()], [pays], partners=two())


def test_a_half_space_is_found_and_the_other_belief_left_alone():
    found = rs.discover(
        block(),
        {"c.block.amount": (18e6, 22e6), "lines.spells.price": (1800.0, 2200.0)},
        "position_mean[provider] >= 0",
        count=256,
        samples=16,
    )
    assert found.sizes["box"] == 1
    box = found.isel(box=0)
    assert box.restricted.values.tolist() == [True, False]
    assert float(box.low[0]) == 18e6
    assert float(box.high[0]) == pytest.approx(20e6, rel=2e-3)
    assert float(box.coverage) > 0.97
    assert float(box.density) > 0.97
    assert found.attrs["failing"] == pytest.approx(0.5, abs=1 / 256)  # a Latin hypercube is even


def test_a_box_is_found_where_two_beliefs_must_come_together():
    """A capped loss: it passes a million where the budget is short by it and the cap lets it."""
    pool = rs.Pool(
        budget="b",
        against=["activity-payment"],
        holder=PAYER,
        key="fixed",
        share={PROVIDER: 1.0},
        caps=[rs.Cap(limit={"loss": 0.1}, of="budget", applies="after-share")],
    )
    of_pool = case(
        [line()],
        [rs.ActivityPayment(), pool],
        budgets=[rs.Budget(name="b", base=20e6, planned_changes=False, new_services=False)],
    )
    found = rs.discover(
        of_pool,
        {"c.b.base": (17e6, 21e6), "c.pool.caps[0].limit[loss]": (0.0, 0.15)},
        "position_mean[provider] >= -1_000_000",
        count=512,
        samples=16,
    )
    box = found.isel(box=0)
    assert box.restricted.values.all()
    assert float(box.high[0]) == pytest.approx(19e6, rel=0.01)
    assert float(box.low[1]) == pytest.approx(1 / 18, abs=0.006)  # a million of 17 to 19 million
    assert float(box.coverage) > 0.95
    assert float(box.density) > 0.95
    # exactly the points where both come together
    base, limit = found.value.values.T
    fails = np.minimum(20e6 - base, limit * base) > 1e6
    np.testing.assert_array_equal(found.fails.values, fails)


def test_an_oblique_edge_is_covered_by_boxes_together():
    found = rs.discover(
        block(),
        {"c.block.amount": (18e6, 22e6), "lines.spells.unit_cost": (1800.0, 2200.0)},
        "position_mean[provider] >= 0",
        count=512,
        samples=16,
        depth=6,
    )
    assert found.attrs["coverage"] > 0.85
    assert found.attrs["density"] > 0.85
    inside = found.box_of.values >= 0
    judged = np.arange(512) % 2 == 1
    fails = found.fails.values & judged
    assert found.attrs["coverage"] == pytest.approx((fails & inside).sum() / fails.sum())


def test_where_nothing_fails_there_is_no_box_and_where_all_does_the_whole_range():
    beliefs = {"c.block.amount": (18e6, 22e6)}
    never = rs.discover(block(), beliefs, "position_mean[provider] >= -1e9", count=32, samples=16)
    assert never.sizes["box"] == 0
    assert never.attrs["failing"] == 0.0
    always = rs.discover(block(), beliefs, "position_mean[provider] >= 1e9", count=32, samples=16)
    assert float(always.coverage[0]) == float(always.density[0]) == 1.0
    assert not always.restricted.any()
    for found in (never, always):
        out = StringIO()
        print_discovery(screen(out, 160), found)
        assert "Where it stops holding" in out.getvalue()


def test_a_point_has_the_statistic_of_the_case_at_its_numbers():
    beliefs = {"drivers.demand.sd": (0.01, 0.1), "lines.spells.price": (1400.0, 2200.0)}
    plain = paid_by_activity()
    condition = "position_probability_of_deficit[provider] <= 0.2"
    found = rs.discover(plain, beliefs, condition, count=32, samples=256, seed=4)
    numbers = dict(zip(beliefs, map(float, found.value.values[7]), strict=True))
    run = rs.simulate(plain.with_numbers(numbers), samples=256, seed=4, keep=("position",))
    table = rs.summarise(run).sel(partner=PROVIDER, year="all")
    np.testing.assert_allclose(
        found.statistic.values[7, 0], table.position_probability_of_deficit, atol=2 / 256
    )


def test_numbers_that_no_program_can_move_are_bound_anew():
    beliefs = {"partners.provider.target": (-1e6, 1e6)}
    found = rs.discover(
        block(), beliefs, "position_probability_of_deficit[provider] <= 0.5", count=32, samples=16
    )
    np.testing.assert_array_equal(found.fails.values, found.value.values[:, 0] > 0)


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.tree", None)
    with pytest.raises(rs.ArgumentError, match=r"riskshare\[discovery\]"):
        rs.discover(block(), {"c.block.amount": (1e6, 2e6)}, "position_mean[provider] >= 0")


@pytest.mark.parametrize(
    ("beliefs", "more", "told"),
    [
        ({}, {}, "lowest and highest value"),
        ({"c.block.amount": 5.0}, {}, "lowest and highest value"),
        ({"c.block.amount": (2.0, 1.0)}, {}, "low below high"),
        ({"c.block.amont": (1.0, 2.0)}, {}, "did you mean c.block.amount"),
        ({"c.block.amount": (1.0, 2.0)}, {"count": 8}, "at least 32"),
        ({"c.block.amount": (1.0, 2.0)}, {"density": 2}, "below 1"),
        ({"c.block.amount": (1.0, 2.0)}, {"holds": ()}, "holds is empty"),
    ],
)
def test_beliefs_that_mean_nothing_are_refused(beliefs, more, told):
    arguments = {"holds": "position_mean[provider] >= 0", **more}
    with pytest.raises(rs.ArgumentError, match=told):
        rs.discover(block(), beliefs, **arguments)


def test_a_range_that_the_case_cannot_have_names_its_path():
    with pytest.raises(rs.CaseError, match=r"lines\.spells\.price"):
        rs.discover(block(), {"lines.spells.price": (-5.0, 1.0)}, "position_mean[provider] >= 0")
