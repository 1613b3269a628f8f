"""The pool and its keys (M20, M21), its corridors and caps, and accounts that last for years."""

import dataclasses

import numpy as np
import pytest
from builders import actuals, balanced, case, line, paid, partner

import riskshare as rs

PARTNERS = [
    partner("commissioner", "payer"),
    partner("acute"),
    partner("community"),
    partner("external", "external"),
]
SHARE = {"acute": 0.4, "community": 0.25, "commissioner": 0.35}
NAMES = ("acute", "community", "commissioner")


def network(**fields):
    """Expected spend of 20m at 2,000 a spell, paid by activity, shared by a pool."""
    pool = {
        "budget": "expected",
        "against": ["activity-payment"],
        "holder": "commissioner",
        "key": "fixed",
    }
    pool |= {"share": SHARE} if fields.get("key", "fixed") == "fixed" else {}
    return case(
        [line(deliverer="acute", payer="commissioner")],
        [rs.ActivityPayment(), rs.Pool(**(pool | fields))],
        budgets=[rs.Budget(name="expected")],
        partners=PARTNERS,
    )


def shares(outcomes, spend, *, term="pool", year=0):
    """Pool postings with the holder's counterpart taken off: what each partner ends with."""
    found = np.array([paid(outcomes, term, p, year) for p in NAMES])
    return found + np.array([0, 0, spend])


@pytest.mark.parametrize(("spend", "sign"), [(18.8e6, 1), (21.2e6, -1)])
def test_m20_members_end_with_their_share_and_the_holder_posts_the_other_side(spend, sign):
    outcomes = rs.settle(network(), actuals(network(), spend / 2000))
    postings = [paid(outcomes, "pool", p) for p in NAMES]
    assert postings == [sign * 480_000, sign * 300_000, sign * -780_000]
    ends = shares(outcomes, 20e6 - spend)
    assert list(ends) == [sign * 480_000, sign * 300_000, sign * 420_000]
    assert balanced(outcomes)


def test_loss_shares_serve_losses_only():
    other = network(loss_share={"acute": 0.2, "commissioner": 0.8})
    gain = rs.settle(other, actuals(other, 9400.0))
    loss = rs.settle(other, actuals(other, 10_600.0))
    assert list(shares(gain, 1.2e6)) == [480_000, 300_000, 420_000]
    assert list(shares(loss, -1.2e6)) == [-240_000, 0, -960_000]


def test_proportional_key_is_weight_over_sum():
    weighed = network(key="proportional", weights={"acute": 300.0, "community": 100.0})
    outcomes = rs.settle(weighed, actuals(weighed, 9400.0))
    assert [paid(outcomes, "pool", p) for p in NAMES] == [900_000, 300_000, -1_200_000]


@pytest.mark.parametrize(
    ("activity", "shared"),
    [
        (9_900, 0.0),  # 1 % of budget: within the free corridor
        (9_600, 0.5 * 0.02),  # 4 %: 2 % of it at one half
        (9_000, 0.5 * 0.03 + 0.8 * 0.05),  # 10 %: 2-5 % at 0.5, beyond at 0.8
        (10_400, -0.25 * 0.01),  # losses have their own edges and rates
        (11_000, -(0.25 * 0.03 + 1.0 * 0.04)),
    ],
)
def test_corridors_are_bands_of_the_result(activity, shared):
    banded = network(
        corridors=[
            rs.Corridor(beyond={"gain": 0.02, "loss": 0.03}, rate={"gain": 0.5, "loss": 0.25}),
            rs.Corridor(beyond={"gain": 0.05, "loss": 0.06}, rate={"gain": 0.8, "loss": 1.0}),
        ]
    )
    outcomes = rs.settle(banded, actuals(banded, activity))
    total = shared * 20e6
    found = [paid(outcomes, "pool", p) for p in NAMES]
    assert found == pytest.approx([0.4 * total, 0.25 * total, -0.65 * total], abs=0.011)
    assert balanced(outcomes)


def test_cap_limits_the_shared_amount_by_direction():
    capped = network(
        caps=[rs.Cap(limit={"gain": 0.03, "loss": 0.01}, of="budget", applies="after-share")]
    )
    for activity, shared in ((9000, 0.6e6), (11_000, -0.2e6), (9_900, 0.2e6)):
        outcomes = rs.settle(capped, actuals(capped, activity))
        assert paid(outcomes, "pool", "acute") == pytest.approx(0.4 * shared, abs=0.005)


EFFECTS = {"volume": 1.2, "case-mix": 0.6, "stay": 0.8, "exogenous": 0.4}
INFLUENCE = {
    "volume": {"icb": 0.6, "acute": 0.1, "community": 0.3},
    "case-mix": {"icb": 0.1, "acute": 0.3, "community": 0.6},
    "stay": {"acute": 0.7, "community": 0.3},
    "exogenous": {},
}
RESIDUAL = {"icb": 0.5, "acute": 0.25, "community": 0.25}


def influenced(**pool):
    """Four lines of price 1 and 10m units, each moved by one driver; budget 40m."""
    fields = {"budget": "b", "against": ["activity-payment"], "holder": "icb", "key": "influence"}
    return case(
        [
            line(
                name,
                baseline=10e6,
                price=1.0,
                unit_cost=1.0,
                deliverer="acute",
                payer="icb",
                loadings={name: 1.0},
            )
            for name in EFFECTS
        ],
        [rs.ActivityPayment(), rs.Pool(**(fields | pool))],
        budgets=[rs.Budget(name="b")],
        partners=[partner("icb", "payer"), partner("acute"), partner("community")],
        drivers=[
            rs.Driver(
                name=name,
                acts_on="case_mix" if name == "case-mix" else "activity",
                law="normal",
                sd=0.1,
                influence=INFLUENCE[name],
            )
            for name in EFFECTS
        ],
        residual_key=RESIDUAL,
    )


def what_happened(of, scale=1.0):
    index = {name: 1 + scale * effect / 10 for name, effect in EFFECTS.items()}
    moved = [10e6 * (1.0 if n == "case-mix" else i) for n, i in index.items()]
    mix = [i if n == "case-mix" else 1.0 for n, i in index.items()]
    return actuals(of, moved, case_mix=mix, drivers=index)


def charges(outcomes, shared, names=("icb", "acute", "community")):
    found = {name: paid(outcomes, "pool", name) for name in names}
    found["icb"] += shared
    return [-found[name] / 1e6 for name in names]


def test_m21_influence_matrix_charges():
    influence = influenced()
    outcomes = rs.settle(influence, what_happened(influence))
    assert charges(outcomes, -3e6) == pytest.approx([0.98, 0.96, 1.06], abs=1e-7)
    assert balanced(outcomes)


def test_m21_flat_key_charges():
    flat = influenced(key="fixed", share={"icb": 0.35, "acute": 0.4, "community": 0.25})
    outcomes = rs.settle(flat, what_happened(flat))
    assert charges(outcomes, -3e6) == pytest.approx([1.05, 1.20, 0.75], abs=1e-7)


def test_influence_charges_are_symmetric_in_sign():
    influence = influenced()
    outcomes = rs.settle(influence, what_happened(influence, -1.0))
    assert charges(outcomes, 3e6) == pytest.approx([-0.98, -0.96, -1.06], abs=1e-7)


def test_influence_key_shares_line_residuals_by_the_residual_key():
    influence = influenced()
    given = what_happened(influence)
    given["driver_index"][:] = 1.0  # every driver at plan: all of the 3m is chance
    outcomes = rs.settle(influence, given)
    assert charges(outcomes, -3e6) == pytest.approx([1.5, 0.75, 0.75], abs=1e-7)


def test_influence_key_sums_to_the_capped_pool():
    capped = influenced(caps=[rs.Cap(limit=0.05, of="budget", applies="after-share")])
    outcomes = rs.settle(capped, what_happened(capped))
    # S = -2.0 of -3.0: the missing 1.0 goes back by the residual key
    assert charges(outcomes, -2e6) == pytest.approx([0.48, 0.71, 0.81], abs=1e-7)
    assert balanced(outcomes)


def test_influence_key_needs_every_driver_that_moves_the_lines():
    influence = influenced()
    given = what_happened(influence).drop_sel(driver="stay")
    with pytest.raises(rs.ExperienceError, match=r"driver_index\[stay, 2018/19\]: missing"):
        rs.settle(influence, given, missing="plan")


def test_a_unit_cost_driver_is_not_needed_to_split_line_value():
    influence = influenced()
    pay = rs.Driver(name="pay", acts_on="unit_cost", law="normal", sd=0.1)
    more = dataclasses.replace(influence, drivers=[*influence.drivers, pay])
    outcomes = rs.settle(more, what_happened(influence))
    assert charges(outcomes, -3e6) == pytest.approx([0.98, 0.96, 1.06], abs=1e-7)


def test_influence_of_a_change_and_of_members():
    # members +10 %, delivery 0.5 of a change of 20 %: value 10m x 1.1 - 1m against 8m planned
    moved = case(
        [
            line(
                baseline=10e6,
                price=1.0,
                unit_cost=1.0,
                deliverer="acute",
                payer="icb",
                exposure="people",
            )
        ],
        [
            rs.ActivityPayment(),
            rs.Pool(budget="b", against=["activity-payment"], holder="icb", key="influence"),
        ],
        budgets=[rs.Budget(name="b")],
        partners=[partner("icb", "payer"), partner("acute"), partner("community")],
        members=[rs.Population(name="people", count=1000, influence={"icb": 1.0})],
        changes=[
            rs.Change(
                name="x",
                owner="icb",
                source="spells",
                size=0.2,
                delivery=rs.Delivery(influence={"community": 0.8}),
            )
        ],
        residual_key={"acute": 1.0},
    )
    given = actuals(moved, 10.3e6, drivers={"delivery[x]": 0.5}, members={"people": 1100.0})
    outcomes = rs.settle(moved, given)
    # components: before 10m -> 11m (members) and change -2m -> -1m (delivery): 10m explained;
    # the other 0.3m is chance, which carries the members' and delivery's parts to the log-mean rule
    chance = np.log(10.3 / 10)
    start, end = np.array([10.0, -2.0]), np.array([11.0, -1.0]) * 1.03
    mean = (end - start) / np.log(end / start)
    members, delivery = mean[0] * np.log(1.1), mean[1] * np.log(0.5)
    by_chance = mean.sum() * chance
    assert members + delivery + by_chance == pytest.approx(2.3)
    expected = [members, by_chance + 0.2 * delivery, 0.8 * delivery]
    assert charges(outcomes, -2.3e6) == pytest.approx(expected, abs=1e-7)


def test_the_residual_key_of_a_contract_holds_its_own_partners():
    whole = influenced()
    contract = rs.Contract(
        name="c",
        partners=["icb", "acute"],
        budgets=[rs.Budget(name="b")],
        terms=whole.contracts[0].terms,
    )
    with pytest.raises(rs.CaseError, match="community"):
        dataclasses.replace(whole, contracts=[contract])


def reserve(count=3, **account):
    """The pool account holds the result, in whole: what is not spent stays in it."""
    return case(
        [line(deliverer="acute", payer="commissioner")],
        [
            rs.ActivityPayment(),
            rs.Pool(
                budget="expected",
                against=["activity-payment"],
                holder="commissioner",
                key="fixed",
                share={"reserve": 1.0},
            ),
        ],
        budgets=[rs.Budget(name="expected")],
        partners=[*PARTNERS, partner("reserve", "pool", **account)],
        count=count,
    )


def account(outcomes, partner="reserve"):
    return outcomes.posting.sel(partner=partner, sample=0).sum("term").values


def test_account_carries_its_balance_makes_up_a_shortfall_and_releases_the_rest():
    kept = reserve(
        opening_balance=100_000,
        shortfall={"commissioner": 0.75, "acute": 0.25},
        release={"acute": 0.5, "community": 0.5},
    )
    outcomes = rs.settle(kept, actuals(kept, [[9900.0], [10_200.0], [9800.0]]))
    # 100k + 200k = 300k; -400k leaves -100k, made up; +400k, released
    balance = outcomes.closing.sel(state="accounts.reserve.balance", sample=0)
    np.testing.assert_array_equal(balance, [300_000, 0, 0])
    close = outcomes.posting.sel(term="accounts.reserve", sample=0)
    np.testing.assert_array_equal(close.sel(partner="reserve"), [0, 100_000, -400_000])
    np.testing.assert_array_equal(close.sel(partner="commissioner"), [0, -75_000, 0])
    np.testing.assert_array_equal(close.sel(partner="acute"), [0, -25_000, 200_000])
    np.testing.assert_array_equal(account(outcomes), [200_000, -300_000, 0])
    assert balanced(outcomes)


def test_account_without_rules_may_run_negative_and_keeps_what_is_left():
    plain = reserve()
    outcomes = rs.settle(plain, actuals(plain, [[10_100.0], [10_000.0], [9_950.0]]))
    balance = outcomes.closing.sel(state="accounts.reserve.balance", sample=0)
    np.testing.assert_array_equal(balance, [-200_000, -200_000, -100_000])
    assert (outcomes.posting.sel(term="accounts.reserve") == 0).all()


def test_account_is_carried_into_opening():
    kept = reserve(opening_balance=100_000, release={"acute": 1.0})
    given = actuals(kept, [[9900.0], [10_050.0], [9800.0]])
    whole = rs.settle(kept, given)
    first = rs.settle(kept, given.isel(year=[0]))
    rest = rs.settle(kept, given.isel(year=[1, 2]), opening=first.closing)
    np.testing.assert_array_equal(rest.posting, whole.posting.isel(year=[1, 2]))
    np.testing.assert_array_equal(rest.closing, whole.closing.isel(year=[1, 2]))
    by_name = rs.settle(
        kept, given.isel(year=[1, 2]), opening={"accounts.reserve.balance": 300_000.0}
    )
    np.testing.assert_array_equal(by_name.posting, rest.posting)


@pytest.mark.parametrize("order", [("reserve", "fund"), ("fund", "reserve")])
def test_balances_are_what_was_posted_when_one_account_funds_another(order):
    accounts = {
        "reserve": partner("reserve", "pool", shortfall={"fund": 1.0}),
        "fund": partner("fund", "pool", opening_balance=1e6),
    }
    two = reserve(2)
    two = dataclasses.replace(two, partners=[*PARTNERS, *(accounts[n] for n in order)])
    outcomes = rs.settle(two, actuals(two, [[10_100.0], [10_100.0]]))
    balance = outcomes.closing.sel(state="accounts.fund.balance", sample=0)
    np.testing.assert_array_equal(balance, 1e6 + np.cumsum(account(outcomes, "fund")))
    np.testing.assert_array_equal(balance, [800_000, 600_000])
    given = actuals(two, [[10_100.0], [10_100.0]])
    first = rs.settle(two, given.isel(year=[0]))
    second = rs.settle(two, given.isel(year=[1]), opening=first.closing)
    np.testing.assert_array_equal(second.closing, outcomes.closing.isel(year=[1]))
