"""Sharing over several years: results to date and over the term, and budgets that follow spend.

Hand-worked numbers. Every case counts one line in pounds, so that actuals give the spend itself.
"""

import datetime

import numpy as np
import pytest
from builders import PAYER, PROVIDER, actuals, balanced, case, line, paid, years

import riskshare as rs

BASE = 100e6


def scheme(count, *, base=BASE, contract_years=None, before=(), **rule):
    """A result against a stated amount, of which the provider gets or bears what the rule says."""
    pool = {
        "budget": "target",
        "value_of": ["care"],
        "holder": PAYER,
        "key": "fixed",
        "share": {PROVIDER: 1.0},
    }
    contract = rs.Contract(
        name="c",
        years=contract_years,
        budgets=[rs.Budget(name="target", base=base)],
        terms=[*before, rs.Pool(**(pool | rule))],
    )
    care = line("care", baseline=1e6, price=1.0, unit_cost=1.0)
    return case([care], contracts=[contract], count=count)


def millions(of, *spend):
    """What the provider gets in each year, in millions, for a spend in each year, in millions."""
    outcomes = rs.settle(of, actuals(of, [[1e6 * s] for s in spend]))
    assert balanced(outcomes)
    return [round(paid(outcomes, "pool", year=y) / 1e6, 8) for y in range(len(spend))]


def both(gain, loss):
    return {"gain": gain, "loss": loss}


# --- Results over several years -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("period", "pays"), [("year", [5, -3]), ("to-date", [5, -5]), ("term", [0, 0])]
)
def test_a_gain_of_10_and_a_loss_of_10_by_year_to_date_and_over_the_term(period, pays):
    of = scheme(2, rate=both(0.5, 0.3), period=period)
    assert millions(of, 90, 110) == pays


@pytest.mark.parametrize(
    ("period", "pays"),
    [("year", [5, 5, -9]), ("to-date", [5, 5, -13]), ("term", [0, 0, -3])],
)
def test_results_to_date_are_trued_up_to_those_of_the_term(period, pays):
    # to date 10, 20 and -10: half of a gain, 30 % of a loss
    of = scheme(3, rate=both(0.5, 0.3), period=period)
    assert millions(of, 90, 90, 130) == pays


@pytest.mark.parametrize(
    ("period", "pays"), [("year", [0, 3, 0]), ("to-date", [0, 4, -4]), ("term", [0, 0, 0])]
)
def test_a_gate_is_held_against_result_and_budget_to_date(period, pays):
    # 1, 3 and 1.8 % of each year; to date 1 of 100, 4 of 200 and 5.8 of 300, which is 1.93 %
    gate = rs.Gate(threshold=0.02, reading="first-dollar")
    assert millions(scheme(3, gate=gate, period=period), 99, 97, 98.2) == pays


def test_caps_and_bands_are_shares_of_the_budget_over_the_term():
    cap = rs.Cap(limit=0.05, of="budget", applies="after-share")
    assert millions(scheme(2, caps=[cap]), 80, 98) == [5, 2]
    assert millions(scheme(2, caps=[cap], period="term"), 80, 98) == [0, 10]
    assert millions(scheme(2, caps=[cap], period="to-date"), 80, 98) == [5, 5]
    # 22 to date: all of it up to 5 % of 200, half of what lies beyond
    bands = [rs.Corridor(beyond=0.0, rate=1.0), rs.Corridor(beyond=0.05, rate=0.5)]
    assert millions(scheme(2, corridors=bands), 80, 98) == [12.5, 2]
    assert millions(scheme(2, corridors=bands, period="term"), 80, 98) == [0, 16]
    assert millions(scheme(2, corridors=bands, period="to-date"), 80, 98) == [12.5, 3.5]


def test_a_loss_limited_each_year_is_not_limited_over_the_term():
    # order of netting and limit: 5 a year of 20 and -18, or a result of 2
    cap = rs.Cap(limit=both(0.20, 0.05), of="budget", applies="after-share")
    assert millions(scheme(2, caps=[cap]), 80, 118) == [20, -5]
    assert millions(scheme(2, caps=[cap], period="term"), 80, 118) == [0, 2]


def test_the_term_is_settled_in_its_last_year_only():
    assert millions(scheme(3, period="term"), 90, 95) == [0, 0]


@pytest.mark.parametrize("period", ["to-date", "term"])
def test_results_to_date_are_carried_into_opening(period):
    of = scheme(3, rate=both(0.5, 0.3), period=period)
    happened = actuals(of, [[90e6], [90e6], [130e6]])
    whole = rs.settle(of, happened)
    first = rs.settle(of, happened.isel(year=[0]))
    rest = rs.settle(of, happened.isel(year=[1, 2]), opening=first.closing)
    np.testing.assert_array_equal(rest.posting, whole.posting.isel(year=[1, 2]))
    np.testing.assert_array_equal(rest.closing, whole.closing.isel(year=[1, 2]))
    with pytest.raises(rs.ExperienceError, match="opening"):
        rs.settle(of, happened.isel(year=[1, 2]))


def test_a_part_year_counts_with_its_own_budget_in_the_result_to_date():
    # 20m a year: 10m for October to March, then 20m
    of = case(
        [line()],
        [
            rs.Pool(
                budget="target",
                cost_of=["spells"],
                holder=PAYER,
                key="fixed",
                share={PROVIDER: 1.0},
                gate=rs.Gate(threshold=0.05, reading="first-dollar"),
                period="to-date",
            )
        ],
        budgets=[rs.Budget(name="target")],
        years=years(2, start=datetime.date(2018, 10, 1)),
    )
    outcomes = rs.settle(of, actuals(of, [[4_500.0], [9_800.0]]))
    # 1.0 of 10 is 10 %; 1.4 of 30 is 4.67 %
    assert [paid(outcomes, "pool", year=y) for y in range(2)] == [1_000_000, -1_000_000]


LATER = ("2019/20", "2020/21")


@pytest.mark.parametrize(
    ("period", "pays"),
    [
        ("year", [0, -3, 5]),
        pytest.param(
            "to-date",
            [0, -3, 3],
        ),
        pytest.param(
            "term",
            [0, 0, 0],
        ),
    ],
)
def test_years_in_which_the_contract_does_not_hold_do_not_count(period, pays):
    of = scheme(3, rate=both(0.5, 0.3), period=period, contract_years=LATER)
    assert millions(of, 50, 110, 90) == pays


def test_what_is_taken_back_of_a_gain_goes_by_the_key_of_gains():
    # 20 and then 8 to date, both gains: the provider ends with 40 % of 8
    of = scheme(
        2,
        period="to-date",
        share={PROVIDER: 0.4, PAYER: 0.6},
        loss_share={PAYER: 1.0},
    )
    assert millions(of, 80, 112) == [8, -4.8]


@pytest.mark.parametrize(("period", "pays"), [("term", [0, 4]), ("to-date", [2, 2])])
def test_a_cap_on_revenue_is_of_the_revenue_of_all_years_that_count(period, pays):
    cap = rs.Cap(limit=0.10, of="revenue", revenue=20e6, applies="after-share")
    assert millions(scheme(2, caps=[cap], period=period), 95, 95) == pays


# --- Budgets that follow earlier spend ------------------------------------------------------------


def rebased(weight=1.0, direction="both-ways", **fields):
    return rs.Rebasing(weight=weight, direction=direction, **fields)


def test_a_budget_follows_last_years_spend():
    # budgets 100, 90, 95, 100
    of = scheme(4, rebasing=rebased())
    assert millions(of, 90, 95, 100, 98) == [10, -5, -5, 2]


def test_weight_and_growth_of_a_rebased_budget():
    # 100; 50 + 45 x 1.02 = 95.9; 50 + 47.5 x 1.02 = 98.45
    of = scheme(3, rebasing=rebased(0.5, growth=0.02))
    assert millions(of, 90, 95, 100) == [10, 0.9, -1.55]


def test_a_budget_with_a_lag_of_two_follows_the_year_before_last():
    # 100, 100, then 90 x 1.02^2 = 93.636 and 95 x 1.0404 = 98.838
    of = scheme(4, rebasing=rebased(growth=0.02, lag=2))
    assert millions(of, 90, 95, 93, 100) == [10, 5, 0.636, -1.162]


def test_a_stated_budget_and_its_rebasing_may_both_move():
    # 100, 104 and 108 stated; half of it, and half of spend with growth of 0, 10 and 20 %
    of = scheme(3, base=[100e6, 104e6, 108e6], rebasing=rebased(0.5, growth=[0.0, 0.10, 0.20]))
    # 52 + 45 x 1.10 = 101.5; 54 + 50 x 1.20 = 114
    assert millions(of, 90, 100, 100) == [10, 1.5, 14]


def test_growth_over_a_lag_is_that_of_each_year_in_it():
    # 90 x 1.10 x 1.20 = 118.8
    of = scheme(3, rebasing=rebased(growth=[0.0, 0.10, 0.20], lag=2))
    assert millions(of, 90, 100, 100) == [10, 0, 18.8]


@pytest.mark.parametrize(
    ("direction", "pays"), [("both-ways", [10, -15, 10]), ("down-only", [10, -15, 5])]
)
def test_a_ratchet_lowers_the_budget_and_never_raises_it(direction, pays):
    # 100, 90 after 90, and 105 after 105 where it may rise above the stated 100
    assert millions(scheme(3, rebasing=rebased(direction=direction)), 90, 105, 95) == pays


def test_a_ratchet_by_weight():
    # 100; 0.75 x 100 + 0.25 x 80 = 95; after 120 the stated 100
    of = scheme(3, rebasing=rebased(0.25, "down-only"))
    assert millions(of, 80, 120, 90) == [20, -25, 10]


def test_a_saving_is_given_back_in_part_by_the_adjustment():
    # 90 spent and half of 10 shared: 90 + 0.5 x 5 = 92.5, times 1.02 = 94.35
    # 104.35 spent is a loss of 10, which adjusts nothing: 104.35 x 1.02 = 106.437
    of = scheme(3, rate=0.5, rebasing=rebased(growth=0.02, savings_adjustment=0.5))
    assert millions(of, 90, 104.35, 100) == [5, -5, 3.2185]


def test_an_adjustment_of_all_that_is_saved_leaves_no_ratchet():
    of = scheme(3, rebasing=rebased(savings_adjustment=1.0))
    assert millions(of, 90, 90, 90) == [10, 10, 10]


def test_a_discount_is_taken_off_the_rebased_budget():
    # 100 and 90, less 5 %
    assert millions(scheme(2, discount=0.05, rebasing=rebased()), 90, 85) == [5, 0.5]


def spells(made, **rule):
    """10,000 spells a year at 2,000: 20m a year, and 10m in half a year."""
    pool = rs.Pool(
        budget="target",
        cost_of=["spells"],
        holder=PAYER,
        key="fixed",
        share={PROVIDER: 1.0},
        **rule,
    )
    return case([line()], [pool], budgets=[rs.Budget(name="target")], years=made)


def test_spend_of_a_part_year_is_taken_as_an_annual_rate():
    # 9m in half a year is 18m a year: budgets 10m, 18m, 19m
    of = spells(years(3, start=datetime.date(2018, 10, 1)), rebasing=rebased())
    outcomes = rs.settle(of, actuals(of, [[4_500.0], [9_500.0], [9_000.0]]))
    assert [paid(outcomes, "pool", year=y) for y in range(3)] == [1e6, -1e6, 1e6]


def test_a_part_year_gets_its_part_of_a_rebased_budget():
    # 18m a year: 9m for April to September; half each with the plan of 10m is 9.5m
    first, last = years(2)
    short = rs.Year(label=last.label, start=last.start, end=datetime.date(2019, 9, 30))
    of = spells([first, short], rebasing=rebased(0.5))
    outcomes = rs.settle(of, actuals(of, [[9_000.0], [4_500.0]]))
    assert [paid(outcomes, "pool", year=y) for y in range(2)] == [2_000_000, 500_000]


@pytest.mark.parametrize("lag", [1, 2])
def test_spend_is_carried_into_opening(lag):
    of = scheme(4, rate=0.5, rebasing=rebased(lag=lag, growth=0.02, savings_adjustment=0.5))
    happened = actuals(of, [[90e6], [95e6], [93e6], [100e6]])
    whole = rs.settle(of, happened)
    for first in (1, 2, 3):
        before = rs.settle(of, happened.isel(year=range(first)))
        rest = rs.settle(of, happened.isel(year=range(first, 4)), opening=before.closing)
        np.testing.assert_array_equal(rest.posting, whole.posting.isel(year=range(first, 4)))


def test_a_budget_is_first_rebased_after_a_year_of_the_contract():
    # the stated 100 in the contract's first year, then the 95 spent in it
    of = scheme(
        3,
        against=["activity-payment"],
        value_of=None,
        before=[rs.ActivityPayment()],
        rebasing=rebased(),
        contract_years=LATER,
    )
    assert millions(of, 50, 95, 90) == [0, 5, 5]


def test_a_budget_rebased_on_truncated_spend_holds_nothing_above_the_limit():
    # every year 99 people cost 1,000 and one 201,000: nothing is saved
    untruncated = rs.Truncation(at=50e3, benchmark="untruncated", expected_excess=151 / 300)
    of = scheme(
        2,
        base=300_000.0,
        value_of=None,
        cost_of=["care"],
        truncation=untruncated,
        rebasing=rebased(),
    )
    happened = actuals(of, [[300_000.0], [300_000.0]])
    people = np.array([1_000.0] * 99 + [201_000.0])
    happened["person_cost"] = (("year", "line", "person"), np.tile(people, (2, 1, 1)))
    outcomes = rs.settle(of, happened)
    assert [paid(outcomes, "pool", year=y) for y in range(2)] == [0, 0]


def test_a_lag_is_at_least_a_year():
    with pytest.raises(rs.CaseError, match=r"c.pool.rebasing.lag: found 0; accepted: at least 1"):
        scheme(2, rebasing=rebased(lag=0))


def test_the_direction_has_no_default_and_both_are_told():
    with pytest.raises(rs.CaseError) as found:
        scheme(2, rebasing=rebased(direction=None))
    (problem,) = found.value.problems
    assert problem.path == "c.pool.rebasing.direction"
    assert "'both-ways'" in problem.message
    assert "'down-only'" in problem.message
