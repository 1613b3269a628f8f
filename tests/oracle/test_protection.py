"""Terms that protect: profit caps (M10), stop-loss by person (M28), deficit support (M24)."""

import dataclasses

import numpy as np
import pytest
import xarray as xr
from builders import actuals, balanced, case, line, paid, partner

import riskshare as rs


def settled(of, given):
    outcomes = rs.settle(of, given)
    assert balanced(outcomes)
    return outcomes


def position(outcomes, name, year=0):
    return round(float(outcomes.position.sel(partner=name).isel(year=year, sample=0)), 2)


ALZIRA = [
    partner("government", "payer"),
    partner("hospital"),
    partner("elsewhere", "external"),
]


def alzira(rate=0.075):
    """M10: 250,000 people at 750; inflow paid at 80 % of regional cost, outflow at 100 %."""

    def care(name, deliverer, payer, **fields):
        return line(name, deliverer=deliverer, payer=payer, **{"unit_cost": 0.0, **fields})

    return case(
        [
            care("own", "hospital", "government", baseline=165, price=0.0, unit_cost=1e6),
            care("inflow", "hospital", "elsewhere", expected=10, price=1e6),
            care("outflow", "elsewhere", "hospital", expected=5, price=1e6),
        ],
        [
            rs.CapitatedBudget(from_="government", to="hospital", budget="capitation"),
            rs.ActivityPayment(name="inflow-payment", lines=["inflow"], share=0.8),
            rs.ActivityPayment(name="outflow-payment", lines=["outflow"]),
            rs.ProfitCap(
                from_="hospital",
                to="government",
                rate=rate,
                revenue=["capitated-budget", "inflow-payment"],
            ),
        ],
        budgets=[
            rs.Budget(
                name="capitation",
                rate={"residents": 750.0},
                rebase="plan",
                planned_changes=False,
                new_services=False,
            )
        ],
        partners=ALZIRA,
        members=[rs.Population(name="residents", count=250_000)],
        currency="EUR",
    )


def test_m10_profit_above_seven_and_a_half_per_cent_of_turnover_is_returned():
    outcomes = settled(alzira(), actuals(alzira(), [165.0, 10.0, 5.0]))
    assert paid(outcomes, "capitated-budget", to="hospital") == 187_500_000.00
    assert paid(outcomes, "inflow-payment", to="hospital") == 8_000_000.00
    assert paid(outcomes, "outflow-payment", to="hospital") == -5_000_000.00
    assert paid(outcomes, "profit-cap", to="government") == 10_837_500.00
    assert position(outcomes, "hospital") == 14_662_500.00


def test_m10_a_cap_of_all_returns_nothing_and_of_nothing_returns_every_profit():
    outcomes = settled(alzira(1.0), actuals(alzira(1.0), [165.0, 10.0, 5.0]))
    assert paid(outcomes, "profit-cap", to="government") == 0.00
    outcomes = settled(alzira(0.0), actuals(alzira(0.0), [165.0, 10.0, 5.0]))
    assert paid(outcomes, "profit-cap", to="government") == 25_500_000.00
    assert position(outcomes, "hospital") == 0.00


@pytest.mark.parametrize("own", [175.8375, 180.0, 200.0])
def test_m10_a_profit_within_the_cap_is_kept_and_a_loss_is_not_shared(own):
    # at 175.8375 profit is 195.5 - 5 - 175.8375 = 14.6625: the cap itself
    outcomes = settled(alzira(), actuals(alzira(), [own, 10.0, 5.0]))
    assert paid(outcomes, "profit-cap", to="government") == 0.00
    assert position(outcomes, "hospital") == round((190.5 - own) * 1e6, 2)


def test_m10_outflow_is_no_revenue_but_lowers_profit():
    # 20m more care elsewhere: profit 5.5, revenue still 195.5
    outcomes = settled(alzira(), actuals(alzira(), [165.0, 10.0, 25.0]))
    assert paid(outcomes, "profit-cap", to="government") == 0.00
    assert position(outcomes, "hospital") == 5_500_000.00


def test_a_profit_cap_sees_earlier_terms_only():
    terms = list(alzira().contracts[0].terms)
    terms[3] = dataclasses.replace(terms[3], revenue=["capitated-budget", "profit-cap"])
    with pytest.raises(rs.CaseError, match=r"c\.profit-cap\.revenue.*profit-cap"):
        dataclasses.replace(
            alzira(), contracts=[dataclasses.replace(alzira().contracts[0], terms=terms)]
        )


def insured(names=("spells",), count=1, **fields):
    """M28: 80 % of what one person costs between 45,000 and 250,000."""
    terms = {"from_": "payer", "to": "provider", "attachment": 45_000.0, "coinsurance": 0.8}
    return case(
        [line(name) for name in names],
        [rs.StopLoss(**{**terms, "limit": 250_000.0, **fields})],
        count=count,
        currency="USD",
    )


def people(of, cost):
    """Actuals in which persons cost what ``cost`` says, (year, line, person)."""
    cost = np.asarray(cost, np.float64)
    labels = of.labels()
    years = list(labels["year"][: len(cost)])
    table = xr.DataArray(
        cost,
        dims=("year", "line", "person"),
        coords={"year": years, "line": list(labels["line"][: cost.shape[1]])},
    )
    given = actuals(of, np.ones((len(labels["year"]), len(labels["line"]))))
    return given.merge(table.rename("person_cost"), join="outer")


@pytest.mark.parametrize(
    ("cost", "recovered"),
    [
        (40_000, 0.00),
        (100_000, 44_000.00),
        (300_000, 164_000.00),
        (45_000, 0.00),
        (250_000, 164_000.00),
        (45_000.01, 0.01),
    ],
)
def test_m28_recovery_for_one_person(cost, recovered):
    outcomes = settled(insured(), people(insured(), [[[cost]]]))
    assert paid(outcomes, "stop-loss") == recovered


def test_m28_persons_are_protected_one_by_one():
    # their mean of 146,667 would recover three times 81,333; each by itself recovers 208,000
    outcomes = settled(insured(), people(insured(), [[[40_000, 100_000, 300_000]]]))
    assert paid(outcomes, "stop-loss") == 208_000.00


def test_m28_without_a_limit_and_with_a_premium():
    given = people(insured(), [[[40_000, 100_000, 300_000]]])
    open_ended = insured(limit=None)
    assert paid(settled(open_ended, given), "stop-loss") == 0.8 * (55_000 + 255_000)
    paid_for = insured(premium=250_000.0)
    assert paid(settled(paid_for, given), "stop-loss") == 208_000.00 - 250_000.00


def test_m28_a_persons_cost_is_summed_over_the_lines_of_the_term():
    lines = ("spells", "drugs")
    cost = [[[30_000, 100_000], [70_000, 300_000]]]
    both = insured(lines)
    # 100,000 and 400,000, the second beyond the limit
    assert paid(settled(both, people(both, cost)), "stop-loss") == 44_000.00 + 164_000.00
    one = insured(lines, lines=["spells"])
    assert paid(settled(one, people(one, cost)), "stop-loss") == 44_000.00


def test_m28_a_person_who_is_absent_costs_nothing():
    given = people(insured(count=2), [[[100_000, np.nan]], [[np.nan, 300_000]]])
    outcomes = settled(insured(count=2), given)
    assert [paid(outcomes, "stop-loss", year=y) for y in (0, 1)] == [44_000.00, 164_000.00]


def test_m28_persons_must_be_given():
    with pytest.raises(rs.ExperienceError, match=r"person_cost: missing; c\.stop-loss needs it"):
        rs.settle(insured(), actuals(insured(), 1.0))


@pytest.mark.parametrize("cost", [[[[100_000]]], [[[100_000]], [[np.nan]]]])
def test_m28_a_year_without_any_person_is_not_a_year_without_claims(cost):
    two_years = insured(count=2)
    with pytest.raises(rs.ExperienceError, match=r"person_cost.*2019/20"):
        rs.settle(two_years, people(two_years, cost))


def test_m28_a_line_without_any_person_is_not_a_line_without_claims():
    both = insured(("spells", "drugs"))
    with pytest.raises(rs.ExperienceError, match=r"person_cost.*drugs"):
        rs.settle(both, people(both, [[[100_000]]]))


def test_m28_persons_are_given_and_never_drawn():
    with pytest.raises(rs.ArgumentError, match=r"c\.stop-loss"):
        rs.simulate(insured(), samples=64)
    off = rs.simulate(insured(in_force=0.0), samples=64)
    assert (off.posting.sel(term="c.stop-loss") == 0).all()


def test_m28_a_planners_draws_hold_persons_in_each_sample():
    of = insured()
    given = xr.Dataset(
        {
            "activity": (("year", "line", "sample"), np.ones((1, 1, 3))),
            "person_cost": (
                ("year", "line", "person", "sample"),
                [[[[40_000.0, 100_000.0, 300_000.0], [0.0, 0.0, 100_000.0]]]],
            ),
        },
        {"year": ["2018/19"], "line": ["spells"]},
    )
    found = rs.settle(of, given).posting.sel(term="c.stop-loss", partner="provider").isel(year=0)
    np.testing.assert_allclose(found, [0.0, 44_000.0, 208_000.0], rtol=1e-12)


@pytest.mark.parametrize("wrong", [-1.0, np.inf])
def test_m28_impossible_costs_are_refused(wrong):
    with pytest.raises(rs.ExperienceError, match="person_cost"):
        rs.settle(insured(), people(insured(), [[[100_000, wrong]]]))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"limit": 45_000.0}, r"c\.stop-loss\.limit"),
        ({"to": "payer"}, r"c\.stop-loss\.to"),
        ({"coinsurance": 80.0}, r"c\.stop-loss\.coinsurance.*0\.8"),
    ],
)
def test_m28_an_empty_layer_self_dealing_and_percentages_are_refused(fields, problem):
    with pytest.raises(rs.CaseError, match=problem):
        insured(**fields)


NAMES = ("a", "b", "c")
BASE = 100e6


def organisations(*terms, target=None, others=(), **fields):
    """Three organisations, each funded with 100m for a cost that actuals say."""
    target = target or {}
    return case(
        [
            line(f"care-{n}", baseline=BASE, unit_cost=1.0, price=0.0, deliverer=n, payer="nation")
            for n in NAMES
        ],
        [
            *(rs.Funding(name=f"f{n}", from_="nation", to=n, amount=BASE) for n in NAMES),
            *terms,
        ],
        partners=[
            *(partner(n, target=target.get(n, 0.0)) for n in NAMES),
            partner("nation", "external"),
            *others,
        ],
        **fields,
    )


def ending(of, *millions):
    """Settle with organisations that would end with these results before support."""
    return settled(of, actuals(of, [BASE - 1e6 * m for m in millions]))


def support(**fields):
    everyone = {"from_": "nation", "share": dict.fromkeys(NAMES, 1.0)}
    return rs.DeficitSupport(**{**everyone, **fields})


def to_all(outcomes, term="deficit-support"):
    return [paid(outcomes, term, to=n) for n in NAMES]


def test_national_support_begins_below_a_floor():
    # national_i = (floor_i - result_i)+ with floors of -2m
    floored = organisations(support(floor=2e6))
    outcomes = ending(floored, -5.0, -1.0, 3.0)
    assert to_all(outcomes) == [3_000_000.00, 0.00, 0.00]
    assert [position(outcomes, n) for n in NAMES] == [-2e6, -1e6, 3e6]
    assert paid(outcomes, "deficit-support", to="nation") == -3_000_000.00


def test_support_by_partner_in_share_floor_and_limit():
    own = organisations(
        support(
            share={"a": 0.5, "b": 1.0, "c": 1.0},
            floor={"a": 1e6},
            limit={"b": 2e6},
        )
    )
    # a: half of 5 - 1; b: 3 limited to 2; c: 4 without floor or limit
    assert to_all(ending(own, -5.0, -3.0, -4.0)) == [2_000_000.00, 2_000_000.00, 4_000_000.00]


def test_the_limit_is_of_what_is_made_up_before_the_share():
    # posting = share x min(shortfall, limit)
    own = organisations(support(share={"a": 0.5}, limit={"a": 2e6}))
    assert to_all(ending(own, -5.0, -5.0, 0.0)) == [1_000_000.00, 0.00, 0.00]


def test_support_is_measured_from_the_target_of_each():
    own = organisations(support(), target={"a": 2e6, "b": -3e6})
    assert to_all(ending(own, 0.5, -3.0, 0.0)) == [1_500_000.00, 0.00, 0.00]


def test_support_sees_every_earlier_term_and_no_later_one():
    early = organisations(
        rs.Funding(name="help", from_="nation", to="a", amount=1e6, phase="organisation"),
        support(),
    )
    assert to_all(ending(early, -5.0, 0.0, 0.0))[0] == 5_000_000.00
    late = organisations(rs.Funding(name="help", from_="nation", to="a", amount=1e6), support())
    assert to_all(ending(late, -5.0, 0.0, 0.0))[0] == 4_000_000.00


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"from_": "a"}, r"share\[a\]: would support itself"),
        ({"share": 1.0}, r"share\[nation\]"),
    ],
)
def test_nobody_supports_itself_and_outsiders_have_no_target(fields, problem):
    with pytest.raises(rs.CaseError, match=problem):
        organisations(support(**fields))


def test_surplus_above_target_and_what_is_kept_is_returned():
    back = rs.SurplusReturn(
        to="nation", share={"a": 0.5, "b": 1.0, "c": 0.5}, kept={"a": 1e6}, name="back"
    )
    own = organisations(back, target={"c": 2e6})
    outcomes = ending(own, 5.0, 0.25, 1.0)
    # a: half of 5 - 1; b: all of 0.25; c is below its target
    assert to_all(outcomes, "back") == [-2_000_000.00, -250_000.00, 0.00]
    assert paid(outcomes, "back", to="nation") == 2_250_000.00


def test_outsiders_have_no_surplus_to_return():
    with pytest.raises(rs.CaseError, match=r"c\.back\.share\[nation\]"):
        organisations(rs.SurplusReturn(to="a", share=1.0, name="back"))


def test_surplus_returned_fills_a_reserve_that_supports_in_the_next_year():
    back = rs.SurplusReturn(to="reserve", share=dict.fromkeys(NAMES, 1.0))
    reserve = partner("reserve", "pool", prorate="lapse")
    whole = organisations(back, support(from_="reserve"), others=[reserve], count=2)
    outcomes = settled(
        whole, actuals(whole, [[BASE - 1e6 * m for m in row] for row in ([3, 0, 1], [-2, 0, -6])])
    )
    balance = outcomes.closing.sel(state="accounts.reserve.balance", sample=0)
    np.testing.assert_array_equal(balance, [4_000_000.00, 0.00])
    assert [position(outcomes, n, 1) for n in NAMES] == [-1_000_000.00, 0.00, -3_000_000.00]
