"""Savings in three columns (M34), targeting, what is not recurrent, and terms in force for part of
the time.
"""

import dataclasses

import numpy as np
import pytest
from builders import MSK_ACTUAL, actuals, balanced, behaviour, case, line, msk_toy, paid, partner

import riskshare as rs

COLUMNS = ("saving_avoided", "saving_released", "saving_cash")


def settled(of, given, **fields):
    outcomes = rs.settle(of, given, **fields)
    assert balanced(outcomes)
    return outcomes


def savings(outcomes, change, year=0):
    """Avoided, released and cash, in pennies."""
    at = outcomes.sel(change=change).isel(year=year, sample=0)
    return tuple(round(float(at[column]), 2) for column in COLUMNS)


def test_m34_value_removed_and_cost_released_by_change():
    toy = msk_toy()
    given = actuals(toy, MSK_ACTUAL, drivers={"delivery[triage]": 0.8, "delivery[ops]": 2.0})
    outcomes = settled(toy, given)
    # outpatients 8,000 x 120; 20 % of it, and half of 30 %. Inpatients 300 x 4,000 alike.
    assert savings(outcomes, "triage") == (960_000.00, 336_000.00, 336_000.00)
    assert savings(outcomes, "ops") == (1_200_000.00, 420_000.00, 420_000.00)
    whole = [float(outcomes[c].sum()) for c in COLUMNS[:2]]
    assert whole == [2_160_000.00, 756_000.00]
    assert float(outcomes.stranded.sum()) == 2_160_000.00 - 756_000.00
    assert list(outcomes.owner.values) == ["commissioner", "commissioner"]


def clinic(activity, sizes=(0.25,), delivered=None, running_cost=0.0, substitution=0.5, **change):
    """40,000 visits at 120, moved in part to a triage service at 60; cost split 20/30/50."""
    names = [f"c{i}" for i in range(len(sizes))]
    of = case(
        [
            line(
                "visits",
                baseline=40_000,
                price=120.0,
                unit_cost=120.0,
                cost=behaviour(exit_basis="realised"),
            ),
            line("triage", expected=9000, price=60.0, unit_cost=60.0, deliverer="community"),
        ],
        [rs.Block()],
        partners=[partner("payer", "payer"), partner("provider"), partner("community")],
        changes=[
            rs.Change(
                name=name,
                owner="payer",
                source="visits",
                size=size,
                destination="triage" if substitution else None,
                substitution=substitution,
                running_cost=running_cost,
                **change,
            )
            for name, size in zip(names, sizes, strict=True)
        ],
    )
    delivered = [1.0] * len(sizes) if delivered is None else delivered
    indices = {f"delivery[{n}]": d for n, d in zip(names, delivered, strict=True)}
    return settled(of, actuals(of, activity, drivers=indices))


def test_cash_counts_what_the_change_costs_and_what_it_brings_elsewhere():
    # 8,000 leave and bring 4,000 to triage at 60
    outcomes = clinic([32_000, 13_000], delivered=[0.8], running_cost=50_000.0)
    cash = 336_000 - 50_000 - 4000 * 60
    assert savings(outcomes, "c0") == (960_000.00, 336_000.00, cash)


def test_growth_that_fills_what_was_freed_leaves_less():
    # without the change there would be 45,000 visits; R = 4,000 from baseline
    outcomes = clinic([36_000, 9000], delivered=[0.8], substitution=0.0)
    # avoided: 8,000 of 40,000 before, an eighth more each; released 20 % and 15 % of 4,000 x 120
    assert savings(outcomes, "c0")[:2] == (1_080_000.00, 168_000.00)


def test_growth_beyond_baseline_releases_nothing():
    outcomes = clinic([41_600, 9000], delivered=[0.8], substitution=0.0)
    assert savings(outcomes, "c0") == (1_248_000.00, 0.00, 0.00)


def test_two_changes_share_what_their_line_released_by_what_they_delivered():
    outcomes = clinic([32_000, 9000], sizes=(0.15, 0.05), substitution=0.0)
    assert savings(outcomes, "c0")[:2] == (720_000.00, 252_000.00)
    assert savings(outcomes, "c1")[:2] == (240_000.00, 84_000.00)


def test_a_reduction_that_no_change_made_is_no_changes_saving():
    # half of the 20 % that activity fell was delivered
    outcomes = clinic([32_000, 9000], sizes=(0.1,), substitution=0.0)
    released = savings(outcomes, "c0")[1]
    assert released == 168_000.00
    assert float(outcomes.cost_released.sel(line="visits").item()) == 336_000.00


def test_a_change_that_was_not_delivered_saves_nothing_and_still_costs():
    outcomes = clinic([40_000, 9000], delivered=[0.0], running_cost=50_000.0)
    assert savings(outcomes, "c0") == (0.00, 0.00, -50_000.00)


def test_released_cost_is_all_there_is_whatever_changes_claim():
    # both changes together cover the reduction: their parts add up to it
    outcomes = clinic([32_000, 9000], sizes=(0.3, 0.2), substitution=0.0)
    assert float(outcomes.saving_released.sum()) == 336_000.00


# --- targeting: sizes against a hand-worked formula, seen in the plan that a block pays


def targeted(count=3, **fields):
    """Size of a change by year, from what a block over its line pays: 1,000,000 at 1."""
    of = case(
        [line(baseline=1e6, price=1.0, unit_cost=1.0)],
        [rs.Block()],
        changes=[
            rs.Change(
                name="care",
                owner="provider",
                source="spells",
                targeting=rs.Targeting(**fields),
            )
        ],
        count=count,
    )
    outcomes = settled(of, actuals(of, np.ones((count, 1))))
    return [round(1e6 - paid(outcomes, "block", year=y), 2) for y in range(count)]


WHO = {"activity_share": 0.4, "effect": 0.3}


def test_targeting_people_once():
    # 40 % of activity, a tenth of the people, 30 % less
    assert targeted(**WHO, reach=(0.1, 0.0, 0.0)) == [12_000.00] * 3


def test_targeting_more_people_each_year_with_an_effect_that_fades():
    found = targeted(**WHO, reach=(0.1, 0.2, 0.05), decay=0.25)
    # 0.12 x 0.1; 0.12 x (0.2 + 0.075); 0.12 x (0.05 + 0.15 + 0.05625)
    assert found == [12_000.00, 33_000.00, 30_750.00]


def test_regression_to_the_mean_is_no_effect():
    found = targeted(**WHO, reach=(0.1, 0.2, 0.05), decay=0.25, regression=0.4)
    assert found == [7200.00, 19_800.00, 18_450.00]


def test_targeting_saturates():
    # s = 0.1: with c picked so far, reached = s / ln 2 x (2^(-c / s) - 2^(-(c + reach) / s)):
    # 0.1 / ln 2 x (1 - 1/2), then (1/2 - 1/8), then (1/8 - 1/8)
    found = targeted(**WHO, reach=(0.1, 0.2, 0.0), saturation=0.1)
    half = 0.12 * 0.1 / np.log(2) * 1e6
    assert found == [round(half * 0.5, 2), round(half * 0.875, 2), round(half * 0.875, 2)]


def test_the_gain_of_one_more_has_halved_where_saturation_is_reached():
    first = targeted(2, **WHO, reach=(0.0001, 0.0), saturation=0.1)[0]
    after = targeted(2, **WHO, reach=(0.1, 0.0001), saturation=0.1)
    # 12 for the first ten-thousandth of people; the slope over a ten-thousandth is off by 0.04 %
    assert first == pytest.approx(12.0, rel=5e-4)
    assert after[1] - after[0] == pytest.approx(first / 2, abs=0.01)


def test_a_change_has_a_size_or_a_targeting():
    both = {"size": 0.1, "targeting": rs.Targeting(**WHO, reach=0.1)}
    for fields in (both, {}):
        with pytest.raises(rs.CaseError, match=r"changes\.x\.size"):
            case(
                [line()],
                changes=[rs.Change(name="x", owner="provider", source="spells", **fields)],
            )


# --- what will not come again


def underlying(outcomes, name, year=0):
    return round(float(outcomes.underlying.sel(partner=name).isel(year=year, sample=0)), 2)


def test_the_underlying_position_leaves_out_money_that_will_not_come_again():
    of = case(
        [line()],
        [
            rs.ActivityPayment(),
            rs.Funding(name="once", from_="payer", to="provider", amount=1e6, recurrent=False),
            rs.Funding(name="always", from_="payer", to="provider", amount=3e6),
        ],
    )
    outcomes = settled(of, actuals(of, 9_000.0))
    assert underlying(outcomes, "provider") == 3_000_000.00
    assert underlying(outcomes, "payer") == -18e6 - 3e6
    assert float(outcomes.position.sel(partner="provider").item()) == 4_000_000.00


def test_the_underlying_position_leaves_out_savings_that_will_not_come_again():
    given = {"sizes": (0.15, 0.05), "running_cost": 10_000.0, "substitution": 0.0}
    passing = clinic([32_000, 9000], recurrent=False, **given)
    lasting = clinic([32_000, 9000], **given)
    assert "underlying" not in lasting
    np.testing.assert_array_equal(passing.position, lasting.position)
    position = {n: float(passing.position.sel(partner=n).item()) for n in ("provider", "payer")}
    # the provider would have to bear again the 336,000 that have gone; the owner saves what the
    # two changes cost to run
    assert underlying(passing, "provider") == position["provider"] - 336_000.00
    assert underlying(passing, "payer") == position["payer"] + 20_000.00


def test_the_underlying_cost_of_what_a_passing_change_brought_elsewhere():
    """Without the change, 4,000 cases of triage at 60 would not be there either."""
    outcomes = clinic([32_000, 13_000], delivered=[0.8], recurrent=False)
    position = float(outcomes.position.sel(partner="community").item())
    assert underlying(outcomes, "community") == position + 240_000.00


def test_underlying_is_position_where_everything_is_recurrent():
    of = case()
    outcomes = settled(of, actuals(of, 9_000.0), keep=["underlying", "position", "posting"])
    np.testing.assert_array_equal(outcomes.underlying, outcomes.position)


# --- terms in force for all, half, or none of the year

SCORED = rs.Score(value=0.8)
WORLD = [
    partner("payer", "payer", turnover=30e6),
    partner("provider", quality=SCORED, turnover=20e6),
    partner("other", turnover=10e6),
    partner("external", "external"),
]
TERMS = {
    "funding": lambda **k: rs.Funding(from_="external", to="payer", amount=1e6, **k),
    "levy": lambda **k: rs.Levy(to="payer", rate={"provider": 0.01, "other": 0.02}, **k),
    "capitated-budget": lambda **k: rs.CapitatedBudget(
        from_="payer", to="provider", budget="b", **k
    ),
    "block": lambda **k: rs.Block(**k),
    "activity-payment": lambda **k: rs.ActivityPayment(name="more", share=0.5, **k),
    "cost-reimbursement": lambda **k: rs.CostReimbursement(share=0.3, **k),
    "marginal-rate": lambda **k: rs.MarginalRate(rate=0.4, **k),
    "revenue-compensation": lambda **k: rs.RevenueCompensation(shortfall=0.2, excess=0.65, **k),
    "market-shift": lambda **k: rs.MarketShift(factor=0.5, **k),
    "stranded-support": lambda **k: rs.StrandedSupport(
        lines=["a"], share=0.5, of="value removed", basis="realised", **k
    ),
    "pool": lambda **k: rs.Pool(
        budget="b",
        against=["activity-payment"],
        holder="payer",
        key="fixed",
        share={"provider": 0.5, "payer": 0.5},
        **k,
    ),
    "stop-loss": lambda **k: rs.StopLoss(
        from_="payer", to="provider", attachment=1000.0, coinsurance=0.8, premium=100.0, **k
    ),
    "profit-cap": lambda **k: rs.ProfitCap(
        from_="provider", to="payer", rate=0.01, revenue=["activity-payment"], **k
    ),
    "deficit-support": lambda **k: rs.DeficitSupport(from_="external", share={"payer": 0.5}, **k),
    "surplus-return": lambda **k: rs.SurplusReturn(to="external", share={"provider": 0.5}, **k),
    "control-total-funding": lambda **k: rs.ControlTotalFunding(
        from_="external", system=["provider"], amount={"provider": 2e6}, own=0.5, **k
    ),
    "withhold": lambda **k: rs.Withhold(
        from_="provider", to="payer", of=["activity-payment"], share=0.02, **k
    ),
    "performance-payment": lambda **k: rs.PerformancePayment(
        from_="payer",
        to="provider",
        lines=["a"],
        amount=1e6,
        target=0.2,
        release="pro-rata",
        **k,
    ),
    "invest-to-save": lambda **k: rs.InvestToSave(
        from_="payer",
        to="other",
        investment=1e5,
        share=0.5,
        measure="value-removed",
        **k,
    ),
}


def world(*terms):
    return case(
        [line("a", price=2100.0), line("b", baseline=5000, price=2100.0, deliverer="other")],
        [rs.ActivityPayment(), *terms],
        budgets=[rs.Budget(name="b")],
        partners=WORLD,
    )


def happened(of, known=True):
    given = actuals(of, [9_000.0, 5_400.0])
    if known:
        given = given.assign_coords(partner=["provider"], person=[0, 1, 2])
        given["quality"] = (("year", "partner"), [[0.8]])
        cost = np.array([[[500.0, 2000.0, 9000.0], [100.0, 0.0, 1.0]]])
        given["person_cost"] = (("year", "line", "person"), cost)
    return given


@pytest.mark.parametrize("kind", TERMS)
def test_a_term_that_is_not_in_force_is_as_if_it_were_not_there(kind):
    without = settled(world(), happened(world(), known=False))
    off = world(TERMS[kind](in_force=0.0))
    # nothing that the term alone would need has to be known
    outcomes = settled(off, happened(off, known=False))
    for variable in ("position", "received", "paid", "cost", "line_cost"):
        np.testing.assert_array_equal(outcomes[variable], without[variable], err_msg=variable)
    np.testing.assert_array_equal(
        outcomes.posting.sel(term="c.activity-payment"), without.posting.isel(term=0)
    )


@pytest.mark.parametrize("kind", TERMS)
def test_a_term_in_force_for_half_the_year_moves_half(kind):
    postings = []
    for share in (1.0, 0.5):
        of = world(TERMS[kind](in_force=share))
        outcomes = settled(of, happened(of))
        postings.append(outcomes.posting.isel(year=0, sample=0)[1])
    whole, half = postings
    assert abs(whole).max() > 1
    np.testing.assert_allclose(half, 0.5 * whole, rtol=0, atol=0.0051)


def test_a_term_starts_and_ends_by_year():
    of = case(
        [line()],
        [rs.Funding(from_="external", to="payer", amount=1e6, in_force=(0.0, 0.25, 1.0, 0.0))],
        count=4,
    )
    outcomes = settled(of, actuals(of, np.ones((4, 1))))
    found = [paid(outcomes, "funding", to="payer", year=y) for y in range(4)]
    assert found == [0, 250_000, 1_000_000, 0]


def test_later_terms_see_what_a_term_in_part_has_moved():
    of = case(
        [line()],
        [
            rs.ActivityPayment(in_force=0.5),
            rs.Pool(
                budget="b",
                against=["activity-payment"],
                holder="payer",
                key="fixed",
                share={"provider": 1.0},
            ),
        ],
        budgets=[rs.Budget(name="b", base=10e6, planned_changes=False, new_services=False)],
    )
    outcomes = settled(of, actuals(of, 9_000.0))
    assert paid(outcomes, "pool") == 10e6 - 9e6


def test_in_force_is_a_number_and_changes_with_its_path():
    of = world(TERMS["marginal-rate"](in_force=1.0))
    given = happened(of, known=False)
    half = of.with_numbers({"c.marginal-rate.in_force": 0.5})
    direct = world(TERMS["marginal-rate"](in_force=0.5))
    np.testing.assert_array_equal(settled(half, given).posting, settled(direct, given).posting)
    with pytest.raises(rs.CaseError, match=r"c\.marginal-rate\.in_force"):
        dataclasses.replace(
            of,
            contracts=[
                dataclasses.replace(
                    of.contracts[0],
                    terms=[rs.ActivityPayment(), TERMS["marginal-rate"](in_force=2.0)],
                )
            ],
        )
