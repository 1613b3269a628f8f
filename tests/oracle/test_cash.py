"""Earned and paid apart: payment profiles, limits, and what is due (`riskshare.Cash`)."""

import numpy as np
import pytest
from builders import actuals, balanced, case, line, paid, partner

import riskshare as rs


def settled(of, activity, **fields):
    outcomes = rs.settle(of, actuals(of, activity), **fields)
    if "posting" in outcomes:
        assert balanced(outcomes)
    return outcomes


def granted(amount, profile, count=None, **cash):
    """A grant by year from outside, paid by a profile; nothing else happens."""
    count = count or len(amount)
    return case(
        [line(baseline=1, price=0.0, unit_cost=0.0)],
        [
            rs.Funding(
                from_="external",
                to="provider",
                amount=amount,
                cash=rs.Cash(profile=profile, **cash),
            )
        ],
        count=count,
    )


def by_year(outcomes, variable="cash", name="provider"):
    return outcomes[variable].sel(partner=name, sample=0).values.round(2)


def nothing(count):
    return np.zeros((count, 1))


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ([1.0], [100, 200, 300, 0, 0]),
        ([0.0, 1.0], [0, 100, 200, 300, 0]),
        ([0.0, 0.0, 1.0], [0, 0, 100, 200, 300]),
        # 50; 100 + 30; 150 + 60 + 20; 90 + 40; 60
        ([0.5, 0.3, 0.2], [50, 130, 230, 130, 60]),
        ([0.5, 0.0, 0.5], [50, 100, 200, 100, 150]),
    ],
)
def test_what_is_earned_is_paid_by_its_profile(profile, expected):
    of = granted([100.0, 200.0, 300.0, 0.0, 0.0], profile)
    outcomes = settled(of, nothing(5))
    np.testing.assert_array_equal(by_year(outcomes, "position"), [100, 200, 300, 0, 0])
    np.testing.assert_array_equal(by_year(outcomes), expected)
    np.testing.assert_array_equal(by_year(outcomes, name="external"), [-c for c in expected])
    assert by_year(outcomes).sum() == by_year(outcomes, "position").sum() == 600


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_everything_is_paid_once_whatever_the_length_of_case_and_profile(count):
    of = granted([100.0] * count, [0.25, 0.75])
    cash = by_year(settled(of, nothing(count)))
    assert list(cash) == [25.0] + [100.0] * (count - 1)


def test_what_is_not_paid_yet_when_the_years_end_is_carried_out_of_them():
    of = granted([100.0, 100.0], [0.5, 0.3, 0.2])
    outcomes = settled(of, nothing(2))
    np.testing.assert_array_equal(by_year(outcomes), [50, 80])
    last = outcomes.closing.isel(year=-1, sample=0)
    earned = [float(last.sel(state=f"c.funding.earned[{age},provider]")) for age in ("0", "1")]
    # of the last year's 100 there are 30 and 20 to come, of the first year's 20
    assert earned == [100.0, 100.0]
    assert 0.5 * earned[0] + 0.2 * earned[1] == 200.0 - 130.0


@pytest.mark.parametrize("amount", [0.01, 0.05, 100.01, 33.33, 1e9 + 0.07])
@pytest.mark.parametrize("profile", [[1 / 3, 1 / 3, 1 / 3], [0.5, 0.5], [0.9, 0.05, 0.05]])
def test_pennies_that_do_not_divide_are_paid_in_the_end(amount, profile):
    of = granted([amount, amount, 0.0, 0.0, 0.0], profile)
    outcomes = settled(of, nothing(5))
    pennies = 100 * outcomes.cash
    np.testing.assert_allclose(pennies, pennies.round(), rtol=0, atol=2e-5)
    assert (pennies.round().sum("partner") == 0).all()
    assert by_year(outcomes).sum().round(2) == round(2 * amount, 2)
    due = outcomes.closing.sel(state="c.funding.due[provider]", sample=0)[-1]
    assert abs(float(due)) < 1e-6


def test_cash_of_a_pool_balances_in_pennies_in_each_year():
    partners = [partner("payer", "payer"), partner("provider"), partner("b"), partner("c")]
    third = {"provider": 1 / 3, "b": 1 / 3, "c": 1 / 3}
    of = case(
        [line()],
        [
            rs.ActivityPayment(),
            rs.Pool(
                budget="b",
                against=["activity-payment"],
                holder="payer",
                key="fixed",
                share=third,
                cash=rs.Cash(profile=[1 / 3, 2 / 3]),
            ),
        ],
        budgets=[rs.Budget(name="b")],
        partners=partners,
        count=4,
    )
    outcomes = settled(of, [[9_911.3], [10_101.7], [9_900.1], [10_000.0]])
    late = outcomes.cash - outcomes.position
    assert ((100 * late).round().sum("partner") == 0).all()
    for p in partners:
        assert by_year(outcomes, name=p.name).sum().round(2) == pytest.approx(
            by_year(outcomes, "position", p.name).sum(), abs=0.005
        )


def test_cash_is_position_where_nothing_is_paid_late():
    of = case(count=2)
    given = [[9000.0], [11_000.0]]
    assert "cash" not in settled(of, given)
    outcomes = settled(of, given, keep=["cash", "position"])
    np.testing.assert_array_equal(outcomes.cash, outcomes.position)


def test_other_terms_and_cost_are_cash_at_once():
    of = case(
        [line(price=2100.0)],
        [
            rs.ActivityPayment(),
            rs.Funding(from_="payer", to="provider", amount=1e6, cash=rs.Cash(profile=[0.0, 1.0])),
        ],
        count=2,
    )
    outcomes = settled(of, [[10_000.0], [10_000.0]])
    # 21m received and 20m spent; the million of each year comes a year later
    np.testing.assert_array_equal(by_year(outcomes, "position"), [2e6, 2e6])
    np.testing.assert_array_equal(by_year(outcomes), [1e6, 2e6])
    np.testing.assert_array_equal(by_year(outcomes, name="payer"), [-21e6, -22e6])


def limited(limit, profile, amount, activity, **fields):
    of = case(
        [line("spells", price=10.0, unit_cost=0.0), line("visits", price=1.0, unit_cost=0.0)],
        [
            rs.ActivityPayment(name="spells-paid", lines=["spells"]),
            rs.ActivityPayment(name="visits-paid", lines=["visits"]),
            rs.Funding(
                from_="external",
                to="provider",
                amount=amount,
                cash=rs.Cash(
                    **{"profile": profile, "limit": limit, "of": ["spells-paid"], **fields}
                ),
            ),
        ],
        count=len(amount),
    )
    outcomes = settled(of, activity)
    return -by_year(outcomes, name="external")


def test_what_is_paid_in_a_year_is_at_most_a_share_of_what_other_terms_move():
    # 15 % of 1,000, 2,000, 1,000 and 10,000
    activity = [[100.0, 0.0], [200.0, 0.0], [100.0, 0.0], [1000.0, 0.0]]
    found = limited(0.15, [1.0], [700.0, 0.0, 0.0, 0.0], activity)
    np.testing.assert_array_equal(found, [150, 300, 150, 100])
    # what is due later waits for its year, and then for room
    found = limited(0.15, [0.0, 1.0], [700.0, 0.0, 0.0, 0.0], activity)
    np.testing.assert_array_equal(found, [0, 300, 150, 250])


def test_a_limit_counts_every_term_it_names():
    activity = [[100.0, 500.0], [100.0, 0.0]]
    both = {"of": ["spells-paid", "visits-paid"]}
    found = limited(0.15, [1.0], [700.0, 0.0], activity, **both)
    np.testing.assert_array_equal(found, [225, 150])


def test_a_limit_holds_for_money_in_both_directions():
    activity = [[100.0, 0.0]] * 3
    found = limited(0.15, [1.0], [-400.0, 0.0, 0.0], activity)
    np.testing.assert_array_equal(found, [-150, -150, -100])


def test_claims_in_opposite_directions_are_set_off_before_the_limit():
    activity = [[100.0, 0.0]] * 3
    found = limited(0.15, [1.0], [400.0, -200.0, 0.0], activity)
    # 150 of 400; 250 less 200 are due; nothing is left
    np.testing.assert_array_equal(found, [150, 50, 0])


def test_in_a_year_without_billings_nothing_is_paid():
    activity = [[0.0, 0.0], [100.0, 0.0], [100.0, 0.0]]
    found = limited(1.0, [1.0], [700.0, 0.0, 0.0], activity)
    np.testing.assert_array_equal(found, [0, 700, 0])


def test_money_paid_but_not_earned_is_owed():
    """Recovery funding of 10m is paid in the year and not earned: it turns into debt."""
    of = case(
        [line(baseline=1, price=0.0, unit_cost=1e6)],  # a deficit of 1m each year
        [
            rs.Funding(name="advance", from_="external", to="provider", amount=(10e6, 0.0)),
            rs.Funding(
                name="advance-owed",
                from_="provider",
                to="external",
                amount=(10e6, 0.0),
                cash=rs.Cash(profile=[0.0, 1.0]),
            ),
            rs.ControlTotalFunding(
                from_="external", system=["provider"], amount={"provider": 10e6}, own=0.5
            ),
        ],
        count=2,
    )
    outcomes = settled(of, [[1.0], [1.0]])
    assert [paid(outcomes, "control-total-funding", year=y) for y in (0, 1)] == [0, 0]
    np.testing.assert_array_equal(by_year(outcomes, "position"), [-1e6, -1e6])
    np.testing.assert_array_equal(by_year(outcomes), [9e6, -11e6])


def test_a_term_in_force_for_half_the_year_pays_half_late():
    of = case(
        [line(baseline=1, price=0.0, unit_cost=0.0)],
        [
            rs.Funding(
                from_="external",
                to="provider",
                amount=100.0,
                in_force=(0.5, 1.0, 0.0),
                cash=rs.Cash(profile=[0.2, 0.8]),
            )
        ],
        count=3,
    )
    outcomes = settled(of, nothing(3))
    np.testing.assert_array_equal(by_year(outcomes, "position"), [50, 100, 0])
    np.testing.assert_array_equal(by_year(outcomes), [10, 60, 80])


def test_simulated_cash_comes_by_the_profile_in_every_sample():
    of = case(
        [line(unit_cost=0.0, noise=rs.Noise(law="gamma", cv=0.1))],
        [rs.ActivityPayment(cash=rs.Cash(profile=[0.25, 0.75]))],
        count=2,
    )
    outcomes = rs.simulate(of, samples=256, seed=1, precision="float64")
    earned, cash = (outcomes[v].sel(partner="provider") for v in ("position", "cash"))
    np.testing.assert_allclose(cash[0], 0.25 * earned[0], rtol=1e-12)
    np.testing.assert_allclose(cash[1], 0.25 * earned[1] + 0.75 * earned[0], rtol=1e-12)


@pytest.mark.parametrize(
    ("cash", "problem"),
    [
        ({"profile": [0.5, 0.4]}, r"cash\.profile.*0\.9"),
        ({"profile": [1.0, 0.5]}, r"cash\.profile.*1\.5"),
        ({"profile": [50.0, 50.0]}, r"cash\.profile"),
        ({"profile": [1.0], "limit": 0.15}, r"cash\.limit: goes with of"),
        ({"profile": [1.0], "of": ["before"]}, r"cash\.limit: goes with of"),
        ({"profile": [1.0], "limit": 0.15, "of": ["after"]}, r"cash\.of.*after"),
        ({"profile": [1.0], "limit": 0.15, "of": ["funding"]}, r"cash\.of.*funding"),
        ({"profile": [1.0], "limit": 0.15, "of": ["nobody"]}, r"cash\.of.*nobody"),
    ],
)
def test_a_profile_pays_all_of_it_once_and_a_limit_looks_back(cash, problem):
    def late(name, **fields):
        return rs.Funding(name=name, from_="external", to="payer", amount=1.0, **fields)

    with pytest.raises(rs.CaseError, match=rf"c\.funding\.{problem}"):
        case([line()], [late("before"), late("funding", cash=rs.Cash(**cash)), late("after")])
