"""Cost behaviour by hand: steps (M32), time to exit (M33), vintages, stranded support."""

import datetime

import numpy as np
import pytest
from builders import actuals, behaviour, case, line, paid, partner, years

import riskshare as rs

WARD = 2_007_500.0


def settled(of, activity, **given):
    return rs.settle(of, actuals(of, activity, **given)).isel(sample=0)


def by_year(outcomes, name="cost_released"):
    return outcomes[name].sel(line="spells").values


def wards(**step):
    """100 beds at 85 % occupancy and 5 days: 6,205 stays; semi-fixed cost is that of the wards."""
    stays = 100 * 0.85 * 365 / 5
    cost = rs.CostBehaviour(
        variable=0.5,
        semi_fixed=0.5,
        released=rs.Released(semi_fixed=1.0),
        exit_basis="realised",
        step=rs.Step(size=25, unit="beds", length_of_stay=5, occupancy=0.85, **step),
    )
    return stays, line(baseline=stays, unit_cost=2 * 4 * WARD / stays, cost=cost)


@pytest.mark.parametrize(
    ("beds", "released"), [(0, 0), (20, 0), (25, 1), (30, 1), (55, 2), (100, 4)]
)
@pytest.mark.parametrize("step", [{}, {"cost": 220 * 365 * 25}])
def test_m32_whole_wards_are_released(beds, released, step):
    stays, ward_line = wards(**step)
    activity = stays * (100 - beds) / 100
    outcomes = settled(case([ward_line]), activity)
    variable = 0.5 * ward_line.unit_cost * (stays - activity)
    semi = by_year(outcomes)[0] - variable
    assert semi == pytest.approx(released * WARD, abs=0.01)
    total = 8 * WARD - variable - released * WARD
    assert by_year(outcomes, "line_cost")[0] == pytest.approx(total, abs=0.01)


@pytest.mark.parametrize(("beds", "added"), [(1, 1), (25, 1), (26, 2)])
def test_m32_steps_up_above_baseline(beds, added):
    stays, ward_line = wards()
    outcomes = settled(case([ward_line]), stays * (100 + beds) / 100)
    variable = 4 * WARD * (1 + beds / 100)
    expected = variable + (4 + added) * WARD
    assert by_year(outcomes, "line_cost")[0] == pytest.approx(expected, abs=0.01)
    assert by_year(outcomes)[0] == by_year(outcomes, "stranded")[0] == 0


def test_steps_of_activity_from_a_part_filled_one():
    cost = behaviour(
        0.4,
        0.6,
        0.0,
        rho_semi=[1.0],
        rho_fixed=[0.0],
        exit_basis="realised",
        step=rs.Step(size=400, unit="activity"),
    )
    clinic = case([line(baseline=1000, unit_cost=10.0, cost=cost)])
    # installed 1,200 in three steps of 2,000: the first goes at 800, the next at 400
    for activity, steps in (
        (900, 3),
        (801, 3),
        (800, 2),
        (401, 2),
        (400, 1),
        (0, 0),
        (1200, 3),
        (1201, 4),
    ):
        expected = 4 * activity + 2000 * steps
        assert by_year(settled(clinic, activity), "line_cost")[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    "span",
    [
        pytest.param(years(2, first=2023), id="leap year first"),
        pytest.param(years(1, first=2018) + years(1, first=2019), id="leap year second"),
    ],
)
def test_baseline_activity_needs_no_step_in_any_year(span):
    # 100 beds exactly, in the days of the first year
    stays = 100 * 0.85 * span[0].days / 5
    _, ward_line = wards()
    full = case([line(baseline=stays, unit_cost=1000.0, cost=ward_line.cost)], years=span)
    outcomes = settled(full, [[stays], [stays]])
    np.testing.assert_allclose(by_year(outcomes, "line_cost"), stays * 1000, atol=0.01)


def test_baseline_activity_needs_no_step_after_a_part_year():
    span = [
        rs.Year(label="h1", start=datetime.date(2018, 4, 1), end=datetime.date(2018, 9, 30)),
        rs.Year(label="y2", start=datetime.date(2018, 10, 1), end=datetime.date(2019, 9, 30)),
    ]
    stays = 100 * 0.85 * 183 / 5
    _, ward_line = wards()
    full = case([line(baseline=2 * stays, unit_cost=1000.0, cost=ward_line.cost)], years=span)
    outcomes = settled(full, [[stays], [2 * stays]])
    np.testing.assert_allclose(
        by_year(outcomes, "line_cost"), [stays * 1000, 2 * stays * 1000], atol=0.01
    )


def exits(count=3, exit_basis="realised", years=None, changes=(), baseline=10_000, **fields):
    """A line of 10,000 at 1,000; a reduction of 2,000 is worth the 2.0m of M33."""
    spells = line(
        baseline=baseline, unit_cost=1000.0, cost=behaviour(exit_basis=exit_basis), **fields
    )
    extra = {} if years is None else {"years": years}
    return case([spells], count=count, changes=changes, **extra)


def test_m33_stranded_cost_with_time_to_exit():
    outcomes = settled(exits(), [[8000.0]] * 3)
    np.testing.assert_allclose(by_year(outcomes, "stranded"), [1.30e6, 0.90e6, 0.75e6])
    np.testing.assert_allclose(by_year(outcomes), [0.70e6, 1.10e6, 1.25e6])
    np.testing.assert_allclose(by_year(outcomes, "line_cost"), [9.30e6, 8.90e6, 8.75e6])


def test_m33_a_part_year_counts_as_one_on_the_clock():
    span = years(3, start=datetime.date(2018, 10, 1))
    outcomes = settled(exits(years=span), [[4000.0], [8000.0], [8000.0]])
    np.testing.assert_allclose(by_year(outcomes, "stranded"), [0.65e6, 0.90e6, 0.75e6])
    np.testing.assert_allclose(by_year(outcomes, "line_cost"), [4.65e6, 8.90e6, 8.75e6])


def test_vintages_age_apart_and_regrowth_takes_the_youngest():
    outcomes = settled(exits(4), [[9000.0], [7000.0], [8500.0], [8500.0]])
    # R = 1,000 / 3,000 / 1,500 / 1,500; vintages 1,000 of year 1, 2,000 -> 500 of year 2
    semi = [0.5 * 1000, 1.0 * 1000 + 0.5 * 2000, 1000 + 1.0 * 500, 1500]
    semi[2] = min(1500, max(semi[1], semi[2]))
    fixed = [0, 0.1 * 1000, 0.25 * 1000 + 0.1 * 500, 0.25 * 1500]
    expected = [
        1000 * (0.2 * r + 0.3 * s + 0.5 * f)
        for r, s, f in zip((1000, 3000, 1500, 1500), semi, fixed, strict=True)
    ]
    np.testing.assert_allclose(by_year(outcomes), expected)


def test_released_cost_never_falls_but_for_regrowth():
    outcomes = settled(exits(3), [[6000.0], [9000.0], [6000.0]])
    # year 2: semi-fixed released 2,000 is held down to R = 1,000; year 3: 1,000 of vintage 1
    # and 3,000 new ones at one half
    semi = [0.5 * 4000, 1000, 1000 + 0.5 * 3000]
    fixed = [0.0, 0.1 * 1000, 0.25 * 1000 + 0.0 * 3000]
    expected = [
        1000 * (0.2 * r + 0.3 * s + 0.5 * f)
        for r, s, f in zip((4000, 1000, 4000), semi, fixed, strict=True)
    ]
    np.testing.assert_allclose(by_year(outcomes), expected)


def test_full_regrowth_forgets_and_growth_has_no_fixed_cost():
    outcomes = settled(exits(3), [[8000.0], [11_000.0], [8000.0]])
    np.testing.assert_allclose(by_year(outcomes), [0.7e6, 0.0, 0.7e6])
    above = 10e6 + 1000 * 1000 * (0.2 + 0.3)
    assert by_year(outcomes, "line_cost")[1] == pytest.approx(above)


@pytest.mark.parametrize(
    ("exit_basis", "semi", "fixed"),
    [
        # R = 2,000 of which 800 are delivered; the rest waits a year, for ever, or not at all
        ("next_year", [400, 800 + 600, 2000], [0, 80, 0.25 * 800 + 0.1 * 1200]),
        ("planned", [400, 800, 800], [0, 80, 200]),
        ("realised", [1000, 2000, 2000], [0, 200, 500]),
    ],
)
def test_exit_basis_of_what_no_change_delivered(exit_basis, semi, fixed):
    change = rs.Change(name="x", owner="payer", source="spells", size=0.1)
    lines = exits(exit_basis=exit_basis, changes=[change])
    outcomes = settled(lines, [[8000.0]] * 3, drivers={"delivery[x]": 0.8})
    expected = [400e3 + 300 * s + 500 * f for s, f in zip(semi, fixed, strict=True)]
    np.testing.assert_allclose(by_year(outcomes), expected)


def test_delivered_changes_count_only_as_far_as_activity_fell():
    change = rs.Change(name="x", owner="payer", source="spells", size=0.4)
    lines = exits(1, exit_basis="planned", changes=[change])
    outcomes = settled(lines, [[9500.0]], drivers={"delivery[x]": 1.0})
    assert by_year(outcomes)[0] == pytest.approx(1000 * (0.2 * 500 + 0.3 * 250))


def test_delivery_is_needed_where_the_clock_looks_at_it():
    change = rs.Change(name="x", owner="payer", source="spells", size=0.1)
    with pytest.raises(rs.ExperienceError, match=r"delivery\[x\]"):
        settled(exits(1, exit_basis="planned", changes=[change]), [[9500.0]])
    settled(exits(1, changes=[change]), [[9500.0]])


def test_case_mix_moves_variable_cost_and_the_index_all_of_it():
    outcomes = settled(exits(1), [[8000.0]], case_mix=1.1, unit_cost=1050.0)
    kept = 0.2 * 1.1 * 8000 + 0.3 * (10_000 - 1000) + 0.5 * 10_000
    assert by_year(outcomes, "line_cost")[0] == pytest.approx(1.05 * 1000 * kept)
    assert by_year(outcomes)[0] == pytest.approx(1.05 * 0.7e6)
    assert by_year(outcomes, "stranded")[0] == pytest.approx(1.05 * 1.3e6)


def test_planned_inflation_is_part_of_the_index():
    inflated = case(
        [line(unit_cost=1000.0, cost=behaviour(), cost_series={"pay": 0.6, "drugs": 0.4})],
        count=2,
        price_base="2018/19",
        inflation=[
            rs.Inflation(name="pay", rate=[0.5, 0.03]),
            rs.Inflation(name="drugs", rate=[0.5, 0.08]),
        ],
    )
    outcomes = settled(inflated, [[10_000.0]] * 2)
    np.testing.assert_allclose(by_year(outcomes, "line_cost"), [10e6, 10.5e6])


def test_lost_contribution_is_not_stranded_cost_where_price_is_not_unit_cost():
    outcomes = settled(exits(1, price=1200.0), [[8000.0]])
    assert by_year(outcomes, "stranded")[0] == pytest.approx(1.3e6)
    assert by_year(outcomes, "lost_contribution")[0] == pytest.approx(1200 * 2000 - 0.7e6)


def test_growth_and_exposure_move_the_counterfactual_not_the_baseline():
    grown = case(
        [line(unit_cost=1000.0, cost=behaviour(exit_basis="realised"), growth=0.05, exposure="p")],
        members=[rs.Population(name="p", count=110, reference=100)],
    )
    outcomes = settled(grown, 10_500.0)
    assert by_year(outcomes, "stranded")[0] == 0
    assert by_year(outcomes, "line_cost")[0] == pytest.approx(1000 * (10_000 + 0.5 * 500))


def test_new_service_takes_its_first_volume_as_baseline():
    cost = behaviour(exit_basis="realised")
    new = case([line(expected=[0.0, 1000.0, 1500.0], unit_cost=1000.0, cost=cost)], count=3)
    outcomes = settled(new, [[0.0], [1000.0], [1500.0]])
    assert by_year(outcomes, "line_cost")[1] == pytest.approx(1e6)
    assert by_year(outcomes, "line_cost")[2] == pytest.approx(1e6 + 0.5e6 * 0.5)


def test_running_cost_is_its_owners_and_no_lines():
    change = rs.Change(name="x", owner="payer", source="spells", size=0.1, running_cost=75e3)
    outcomes = settled(exits(2, changes=[change]), [[9000.0]] * 2)
    np.testing.assert_array_equal(outcomes.cost.sel(partner="payer"), 75e3)
    np.testing.assert_allclose(
        outcomes.cost.sel(partner="provider"), by_year(outcomes, "line_cost")
    )


def supported(count=1, price=1200.0, budgets=(), first=(), **support):
    change = rs.Change(name="x", owner="payer", source="spells", size=0.2)
    spells = line(unit_cost=1000.0, price=price, cost=behaviour(exit_basis="realised"))
    terms = [*first, rs.StrandedSupport(**support)]
    return case([spells], terms, budgets=budgets, count=count, changes=[change])


@pytest.mark.parametrize(
    ("of", "basis", "activity", "amount"),
    [
        ("value removed", "planned", 9000.0, 0.5 * 1200 * 2000),
        ("value removed", "realised", 9000.0, 0.5 * 1200 * 1000),
        ("stranded cost", "planned", 9000.0, 0.5 * 1.30e6),
        ("stranded cost", "realised", 9000.0, 0.5 * 0.65e6),
        ("stranded cost", "realised", 11_000.0, 0.0),
        ("value removed", "planned", 11_000.0, 0.5 * 1200 * 2000),
    ],
)
def test_stranded_support_by_measure_and_basis(of, basis, activity, amount):
    outcomes = settled(supported(share=0.5, of=of, basis=basis), activity)
    assert float(outcomes.posting.sel(partner="provider").sum()) == pytest.approx(amount)
    assert float(outcomes.posting.sel(partner="payer").sum()) == pytest.approx(-amount)


def test_stranded_support_tapers_as_cost_leaves():
    tapered = supported(3, share=0.8, of="stranded cost", basis="planned", taper=[1.0, 0.5, 0.25])
    outcomes = settled(tapered, [[8000.0]] * 3)
    found = outcomes.posting.sel(partner="provider", term="c.stranded-support").values
    np.testing.assert_allclose(found, 0.8 * np.array([1.30e6, 0.5 * 0.90e6, 0.25 * 0.75e6]))


def test_support_paid_inside_a_budget_posts_nothing_itself():
    paying = rs.CapitatedBudget(from_="payer", to="provider", budget="b")
    inside = supported(
        first=[paying],
        budgets=[rs.Budget(name="b", stranded_support="stranded-support")],
        share=0.5,
        of="value removed",
        basis="planned",
        paid_in="b",
    )
    outcomes = rs.settle(inside, actuals(inside, 8000.0))
    assert paid(outcomes, "stranded-support") == 0
    assert paid(outcomes, "capitated-budget") == 1200 * 8000 + 0.5 * 1200 * 2000


def test_support_paid_twice_is_refused():
    paying = rs.CapitatedBudget(from_="payer", to="provider", budget="b")
    with pytest.raises(rs.CaseError, match="support paid twice"):
        supported(
            first=[paying],
            budgets=[rs.Budget(name="b", stranded_support="stranded-support")],
            share=0.5,
            of="value removed",
            basis="planned",
        )


def test_support_on_stranded_cost_of_a_line_whose_cost_is_given_is_refused():
    realised = supported(share=0.5, of="stranded cost", basis="realised")
    with pytest.raises(rs.ExperienceError, match=r"cost\[spells, 2018/19\].*stranded cost"):
        settled(realised, 9000.0, cost=9.7e6)


def test_new_service_fed_by_a_change_takes_its_first_volume_as_baseline():
    lines = [
        line("old", unit_cost=1000.0),
        line("new", expected=0.0, unit_cost=100.0, price=100.0, cost=behaviour()),
    ]
    change = rs.Change(name="x", owner="payer", source="old", destination="new", size=0.1)
    fed = case(lines, changes=[change], partners=[partner("payer", "payer"), partner("provider")])
    outcomes = settled(fed, [9000.0, 1000.0], drivers={"delivery[x]": 1.0})
    # 1,000 cases at their full unit cost: fixed cost is there from the first one
    assert outcomes.line_cost.sel(line="new").item() == pytest.approx(100e3)
