"""Pool accounts and carried state: proration (M25), reserves (M24), waterfalls (M22), opening and
closing balances.
"""

import numpy as np
import pytest
from builders import actuals, balanced, case, line, paid, partner

import riskshare as rs


def settled(of, given, **fields):
    outcomes = rs.settle(of, given, **fields)
    assert balanced(outcomes)
    return outcomes


def balance(outcomes, account="fund"):
    return outcomes.closing.sel(state=f"accounts.{account}.balance", sample=0).values


def received(outcomes, name):
    """Everything a partner gets from terms and accounts, by year, in whole pennies."""
    return outcomes.posting.sel(partner=name, sample=0).sum("term").values.round(2)


# --- M25: the risk corridors of 2014: 362m collected against claims of 2.87bn

INSURERS = {"north": 1.5e9, "south": 0.87e9, "west": 0.5e9}
CLAIMS = 2.87e9
COLLECTED = 362e6


def corridors(prorate, collected=COLLECTED, claims=INSURERS, **fields):
    """A fund pays claims of insurers out of what it collects, by year."""
    count = max(len(v) if isinstance(v, tuple) else 1 for v in [collected, *claims.values()])
    return case(
        [line(baseline=1, price=0.0, unit_cost=0.0, payer="payers", deliverer=next(iter(claims)))],
        [
            rs.Funding(name="collected", from_="payers", to="fund", amount=collected),
            *(rs.Funding(name=n, from_="fund", to=n, amount=v) for n, v in claims.items()),
        ],
        partners=[
            *(partner(n) for n in claims),
            partner("payers", "external"),
            partner("fund", "pool", prorate=prorate, **fields),
        ],
        currency="USD",
        count=count,
    )


def run(of):
    return settled(of, actuals(of, np.ones((len(of.years), 1))))


@pytest.mark.parametrize("prorate", ["lapse", "carry"])
def test_m25_claims_are_paid_at_12_6_per_cent(prorate):
    outcomes = run(corridors(prorate))
    factor = COLLECTED / CLAIMS
    assert round(factor, 5) == 0.12613
    for name, claim in INSURERS.items():
        assert received(outcomes, name)[0] == round(claim * factor, 2)
        assert received(outcomes, name)[0] / claim == pytest.approx(0.12613, abs=5e-6)
    assert balance(outcomes)[0] == 0.00
    assert sum(received(outcomes, name)[0] for name in INSURERS) == COLLECTED


def test_m25_all_is_paid_where_there_is_enough():
    outcomes = run(corridors("lapse", collected=3e9))
    assert [received(outcomes, n)[0] for n in INSURERS] == list(INSURERS.values())
    assert balance(outcomes)[0] == 3e9 - CLAIMS


TWO = {"a": (600.0, 100.0, 0.0, 0.0), "b": (200.0, 300.0, 0.0, 0.0)}


def test_m25_what_is_unpaid_is_carried_with_first_call_on_later_years():
    # 400 for 800: half. Then 550: 300 + 100 of old first, 150 for 400 of new: 3/8.
    # 250 are left: 62.50 and 187.50; the third year pays 100 of them by share, the fourth the rest
    of = corridors("carry", (400.0, 550.0, 100.0, 1000.0), TWO)
    outcomes = run(of)
    np.testing.assert_array_equal(received(outcomes, "a"), [300, 300 + 37.5, 25, 37.5])
    np.testing.assert_array_equal(received(outcomes, "b"), [100, 100 + 112.5, 75, 112.5])
    unpaid = [
        outcomes.closing.sel(state=f"accounts.fund.unpaid[{n}]", sample=0).values.round(2)
        for n in TWO
    ]
    np.testing.assert_array_equal(unpaid, [[300, 62.5, 37.5, 0], [100, 187.5, 112.5, 0]])
    np.testing.assert_array_equal(balance(outcomes).round(2), [0, 0, 0, 850])


def test_m25_old_claims_come_first_also_where_they_take_everything():
    # 400 are owed; 300 come in: all for old claims, 3 to 1, and nothing for the 400 new ones
    of = corridors("carry", (400.0, 300.0, 0.0, 0.0), TWO)
    outcomes = run(of)
    np.testing.assert_array_equal(received(outcomes, "a")[:2], [300, 225])
    np.testing.assert_array_equal(received(outcomes, "b")[:2], [100, 75])
    owed = outcomes.closing.sel(state="accounts.fund.unpaid[b]", sample=0).values[-1]
    assert round(float(owed), 2) == 325.00  # 25 of old and 300 of new


def test_m25_what_lapses_is_never_paid():
    of = corridors("lapse", (400.0, 550.0, 100.0, 1000.0), TWO)
    outcomes = run(of)
    np.testing.assert_array_equal(received(outcomes, "a"), [300, 100, 0, 0])
    np.testing.assert_array_equal(received(outcomes, "b"), [100, 300, 0, 0])
    np.testing.assert_array_equal(balance(outcomes), [0, 150, 250, 1250])


def test_an_opening_balance_pays_claims_too():
    outcomes = run(corridors("lapse", 200.0, {"a": 600.0, "b": 200.0}, opening_balance=200.0))
    assert [received(outcomes, n)[0] for n in ("a", "b")] == [300, 100]


@pytest.mark.parametrize("prorate", ["lapse", "carry"])
def test_pennies_of_proration_are_those_of_the_balance(prorate):
    """What an account holds is what was posted to it, to the penny, in every year."""
    claims = {"a": (100.0, 33.33, 7.77), "b": (100.0, 66.67, 0.01), "c": (100.0, 10.0, 0.02)}
    of = corridors(prorate, (100.0, 100.0, 220.0), claims)
    outcomes = run(of)
    posted = np.cumsum(received(outcomes, "fund"))
    np.testing.assert_allclose(balance(outcomes), posted, rtol=0, atol=1e-9)
    np.testing.assert_allclose(100 * balance(outcomes), (100 * posted).round(), atol=1e-6)
    assert (posted > -1e-9).all()
    if prorate == "carry":  # the third year is enough for all that is owed
        for name, claim in claims.items():
            assert round(received(outcomes, name).sum(), 2) == round(sum(claim), 2)


def test_an_account_is_prorated_or_made_up_not_both():
    with pytest.raises(rs.CaseError, match=r"partners\.fund\.prorate"):
        corridors("carry", shortfall={"north": 1.0})


# --- M24: a reserve that is too small for the deficits of a system

NEED = {"a": 600e6, "b": 1060e6}
BASE = 5e9


def deficits(pool, prorate="lapse", need=NEED):
    return case(
        [
            line(f"care-{n}", baseline=BASE, unit_cost=1.0, price=0.0, deliverer=n, payer="nation")
            for n in need
        ],
        [
            *(rs.Funding(name=f"f{n}", from_="nation", to=n, amount=BASE) for n in need),
            rs.Funding(name="levies", from_="nation", to="fund", amount=pool),
            rs.DeficitSupport(from_="fund", share=dict.fromkeys(need, 1.0)),
        ],
        partners=[
            *(partner(n) for n in need),
            partner("nation", "external"),
            partner("fund", "pool", prorate=prorate),
        ],
    )


@pytest.mark.parametrize(
    ("pool", "drawn"),
    [
        (830e6, (300e6, 530e6)),  # half of 1,660m
        (1660e6, (600e6, 1060e6)),
        (2000e6, (600e6, 1060e6)),
        (0.0, (0.0, 0.0)),
        (400e6, (144_578_313.25, 255_421_686.75)),
    ],
)
def test_m24_draws_are_needs_scaled_to_the_reserve(pool, drawn):
    of = deficits(pool)
    outcomes = settled(of, actuals(of, [BASE + need for need in NEED.values()]))
    found = [received(outcomes, n)[0] - BASE for n in NEED]
    np.testing.assert_allclose(found, drawn, rtol=0, atol=1e-6)
    position = [float(outcomes.position.sel(partner=n).item()) for n in NEED]
    expected = [d - need for d, need in zip(drawn, NEED.values(), strict=True)]
    np.testing.assert_allclose(position, expected, rtol=0, atol=1e-6)
    assert balance(outcomes)[0] == max(pool - 1660e6, 0.0)


def test_m24_who_is_in_surplus_draws_nothing():
    of = deficits(300e6)
    outcomes = settled(of, actuals(of, [BASE + 600e6, BASE - 50e6]))
    assert received(outcomes, "a")[0] - BASE == 300e6
    assert received(outcomes, "b")[0] == BASE


# --- M22: a pooled fund with a risk pool behind it, and partners by contribution behind that


def waterfall(count=1, risk_pool=400_000.0, **fund):
    """Schemes of 300m and 160m paid from a fund of 460m, contributed 77:23."""
    return case(
        [
            line("first", baseline=300, price=1e6, unit_cost=1e6, payer="fund"),
            line("second", baseline=160, price=1e6, unit_cost=1e6, payer="fund"),
        ],
        [
            rs.Funding(name="ccg-part", from_="ccg", to="fund", amount=354.2e6),
            rs.Funding(name="council-part", from_="council", to="fund", amount=105.8e6),
            rs.ActivityPayment(),
        ],
        partners=[
            partner("ccg", "payer"),
            partner("council", "council"),
            partner("provider"),
            partner("fund", "pool", shortfall={"risk-pool": 1.0}, **fund),
            partner(
                "risk-pool",
                "pool",
                opening_balance=risk_pool,
                shortfall={"ccg": 0.77, "council": 0.23},
            ),
        ],
        count=count,
    )


def drawn(outcomes, year=0):
    """What the risk pool and each partner paid beyond their contributions."""
    risk_pool = -outcomes.posting.sel(term="accounts.fund", partner="risk-pool")
    partners = [
        -outcomes.posting.sel(term="accounts.risk-pool", partner=n) for n in ("ccg", "council")
    ]
    return [round(float(x.isel(year=year, sample=0)), 2) for x in (risk_pool, *partners)]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (303, 157, [0, 0, 0]),  # an overspend and an underspend net inside the fund
        (303, 157.3, [300_000, 0, 0]),  # the risk pool comes next
        (303, 158, [1_000_000, 462_000, 138_000]),  # then partners: 0.6m at 77:23
        (301, 160, [1_000_000, 462_000, 138_000]),
    ],
)
def test_m22_an_overspend_runs_down_the_waterfall(first, second, expected):
    outcomes = settled(waterfall(), actuals(waterfall(), [first, second]))
    assert drawn(outcomes) == expected
    assert balance(outcomes, "fund")[0] == 0
    assert balance(outcomes, "risk-pool")[0] == max(400_000 - expected[0], 0)


def test_m22_without_a_risk_pool_partners_pay_by_contribution():
    of = waterfall(risk_pool=0.0)
    outcomes = settled(of, actuals(of, [301.0, 160.0]))
    assert drawn(outcomes) == [1_000_000, 770_000.00, 230_000.00]


def test_m22_an_underspend_stays_in_the_fund_for_the_next_overspend():
    of = waterfall(2)
    outcomes = settled(of, actuals(of, [[299.5, 160.0], [301.5, 160.0]]))
    assert drawn(outcomes, 0) == [0, 0, 0]
    assert drawn(outcomes, 1) == [1_000_000, 462_000, 138_000]
    np.testing.assert_array_equal(balance(outcomes, "fund"), [500_000, 0])


def test_what_is_left_is_released_in_the_last_year_of_the_case_alone():
    of = waterfall(3, release={"ccg": 0.77, "council": 0.23})
    outcomes = settled(of, actuals(of, [[299.0, 160.0]] * 3))
    np.testing.assert_array_equal(balance(outcomes, "fund"), [1e6, 2e6, 0.0])
    back = outcomes.posting.sel(term="accounts.fund", sample=0)
    np.testing.assert_array_equal(back.sel(partner="ccg"), [0, 0, 2_310_000.00])
    np.testing.assert_array_equal(back.sel(partner="council"), [0, 0, 690_000.00])


def test_a_release_of_a_penny_that_does_not_divide_empties_the_account():
    of = waterfall(1, release={"ccg": 0.5, "council": 0.5}, opening_balance=0.03)
    outcomes = settled(of, actuals(of, [300.0, 160.0]))
    assert balance(outcomes, "fund")[0] == 0.00
    assert round(float(received(outcomes, "fund")[0]), 2) == -0.03


# --- carried state: years settled apart are the years settled together


def pool(**fields):
    return rs.Pool(
        budget="b",
        against=["activity-payment"],
        holder="payer",
        key="fixed",
        share={"provider": 0.5, "payer": 0.5},
        **fields,
    )


def contract(*terms, **fields):
    return case(
        [line()],
        [rs.ActivityPayment(), *terms],
        budgets=[rs.Budget(name="b")],
        count=4,
        **fields,
    )


CARRIED = {
    "cash": lambda: contract(
        rs.Funding(
            from_="external",
            to="payer",
            amount=[100.01, 200.0, 300.0, 400.0],
            cash=rs.Cash(profile=[0.5, 0.3, 0.2]),
        )
    ),
    "limited cash": lambda: contract(
        rs.MarginalRate(
            rate=0.5, cash=rs.Cash(profile=[0.0, 1.0], limit=0.01, of=["activity-payment"])
        )
    ),
    "prorate carry": lambda: corridors("carry", (400.0, 550.0, 100.0, 1000.0), TWO),
    "prorate lapse": lambda: corridors("lapse", (400.0, 550.0, 100.0, 1000.0), TWO),
    "to date": lambda: contract(
        pool(
            period="to-date",
            caps=[rs.Cap(limit=0.02, of="budget", applies="after-share")],
            corridors=[rs.Corridor(beyond=0.01, rate=0.7)],
        )
    ),
    "whole term": lambda: contract(
        pool(period="term", gate=rs.Gate(threshold=0.01, reading="first-dollar"))
    ),
    "rebasing": lambda: contract(
        pool(
            rebasing=rs.Rebasing(
                weight=0.6, growth=0.02, savings_adjustment=0.5, direction="both-ways", lag=2
            )
        )
    ),
    "rebasing by as many years as there are partners": lambda: contract(
        pool(rebasing=rs.Rebasing(weight=0.6, direction="down-only", lag=3))
    ),
    "waterfall": lambda: waterfall(4),
    "everything": lambda: contract(
        pool(
            name="to-date",
            period="to-date",
            rebasing=rs.Rebasing(weight=0.5, direction="both-ways"),
            cash=rs.Cash(profile=[0.25, 0.75]),
        ),
        rs.Funding(from_="reserve", to="provider", amount=3e5),
        partners=[
            partner("payer", "payer"),
            partner("provider"),
            partner("external", "external"),
            partner("reserve", "pool", opening_balance=1e6, prorate="carry"),
        ],
    ),
}
HAPPENED = [[9_700.123], [10_450.5], [9_100.0], [10_020.077]]


def experience(name, of):
    if name.startswith("prorate"):
        return actuals(of, np.ones((4, 1)))
    if name == "waterfall":
        return actuals(of, [[299.9, 160.0], [300.0, 161.3], [300.2, 159.1], [301.0, 160.0]])
    return actuals(of, HAPPENED)


@pytest.mark.parametrize("split", [1, 2, 3])
@pytest.mark.parametrize("name", CARRIED)
def test_years_settled_one_after_another_are_the_years_settled_together(name, split):
    of = CARRIED[name]()
    given = experience(name, of)
    whole = settled(of, given)
    first = settled(of, given.isel(year=slice(0, split)))
    rest = settled(of, given.isel(year=slice(split, None)), opening=first.closing)
    for variable in ("posting", "position", "closing", "cash"):
        if variable in whole:
            later = whole[variable].isel(year=slice(split, None))
            np.testing.assert_array_equal(rest[variable], later, err_msg=variable)


@pytest.mark.parametrize("name", CARRIED)
def test_balances_open_by_name_too(name):
    of = CARRIED[name]()
    given = experience(name, of)
    whole = settled(of, given)
    states = whole.closing.isel(year=1, sample=0)
    opening = {str(s): float(states.sel(state=s)) for s in states.state.values}
    assert len(opening) == states.sizes["state"]  # no two balances have one name
    rest = settled(of, given.isel(year=slice(2, None)), opening=opening)
    np.testing.assert_array_equal(rest.posting, whole.posting.isel(year=slice(2, None)))
    name_of_one = next(iter(opening))
    with pytest.raises(rs.ExperienceError, match="missing; accepted: the closing balance"):
        settled(
            of,
            given.isel(year=slice(2, None)),
            opening={k: v for k, v in opening.items() if k != name_of_one},
        )


@pytest.mark.parametrize("name", ["to date", "rebasing", "whole term", "prorate carry", "cash"])
def test_a_later_year_alone_needs_what_was_carried(name):
    of = CARRIED[name]()
    with pytest.raises(rs.ExperienceError, match="opening: missing; 2020/21"):
        settled(of, experience(name, of).isel(year=slice(2, None)))


# --- pools over several years, by hand


def test_results_to_date_share_what_the_sum_of_years_adds():
    # to date: +2m, +1m, -1m, 0 of budgets 20, 40, 60, 80m; shared half to date; caps of 2 % of
    # 20m, 40m: 0.4m, then 0.8m, ...
    of = contract(
        pool(period="to-date", caps=[rs.Cap(limit=0.02, of="budget", applies="after-share")])
    )
    outcomes = settled(of, actuals(of, [[9000], [10_500], [11_000], [9500]]))
    provider = [paid(outcomes, "pool", year=y) for y in range(4)]
    # shared to date 0.4, 0.8, -1.0, 0.0; the provider has half of each step
    assert provider == [200_000, 200_000, -900_000, 500_000]


def test_results_of_all_years_together_are_shared_in_the_last():
    of = contract(pool(period="term"))
    outcomes = settled(of, actuals(of, [[9000], [10_500], [11_000], [9000]]))
    assert [paid(outcomes, "pool", year=y) for y in range(4)] == [0, 0, 0, 500_000]


def test_a_rebased_budget_follows_spend_two_years_before():
    # half of 20m and half of what was spent two years before, with growth of 10 % a year
    of = contract(pool(rebasing=rs.Rebasing(weight=0.5, growth=0.1, direction="both-ways", lag=2)))
    outcomes = settled(of, actuals(of, [[9000], [10_000], [10_000], [10_000]]))
    # 10 + 0.5 x 18 x 1.21 = 20.89; 10 + 0.5 x 20 x 1.21 = 22.1
    assert [paid(outcomes, "pool", year=y) for y in range(4)] == [1e6, 0, 445_000, 1_050_000]


def test_rebasing_gives_part_of_a_shared_saving_back():
    # saved 2m, of which 2m are shared; budget 18m + half of 2m = 19m
    of = contract(
        pool(rebasing=rs.Rebasing(weight=1.0, savings_adjustment=0.5, direction="down-only"))
    )
    outcomes = settled(of, actuals(of, [[9000], [9500], [11_000], [10_000]]))
    # 2019/20: 19 - 19 = 0; 2020/21: budget 19, spend 22; 2021/22: 22 would raise it: 20
    assert [paid(outcomes, "pool", year=y) for y in range(4)] == [1e6, 0, -1_500_000, 0]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"period": "year"}, [0, 1_000_000, -250_000]),
        ({"period": "to-date"}, [0, 1_000_000, -250_000]),
        ({"period": "term"}, [0, 0, 750_000]),
        (
            {"rebasing": rs.Rebasing(weight=1.0, direction="both-ways")},
            [0, 1_000_000, -1_250_000],  # the budget of 2020/21 is the 18m of 2019/20
        ),
        (
            {
                "period": "to-date",
                "caps": [rs.Cap(limit=0.02, of="budget", applies="after-share")],
            },
            [0, 200_000, 200_000],  # 0.4m of 20m, 0.8m of 40m
        ),
    ],
)
def test_a_pool_knows_the_years_of_its_contract_alone(fields, expected):
    of = case([line()], count=3)
    later = rs.Contract(
        name="c",
        years=["2019/20", "2020/21"],
        budgets=[rs.Budget(name="b")],
        terms=[rs.ActivityPayment(), pool(**fields)],
    )
    of = rs.Case(name="t", years=of.years, partners=of.partners, lines=of.lines, contracts=[later])
    outcomes = settled(of, actuals(of, [[10_000], [9000], [10_250]]))
    assert [paid(outcomes, "pool", year=y) for y in range(3)] == expected
