"""Allocation keys of a pool (M21), worked by hand; the influence key stands with the pool."""

import dataclasses

import numpy as np
import pytest
from builders import actuals, balanced, case, line, paid, partner

import riskshare as rs

ORGANISATIONS = ("acute", "community", "gp")
OTHERS = ("commissioner", "host", "external")


def shared(key, *terms, scores=None, partners=(), residue=None, count=1, **fields):
    """Budget of 25m: 10,000 spells at 2,000 (acute) and 5,000 visits at 1,000 (community).

    The host pays for both, holds the pool and is no member of it.
    """
    scores = scores or {}
    return case(
        [
            line("spells", deliverer="acute", payer="host"),
            line("visits", baseline=5000, price=1000.0, deliverer="community", payer="host"),
        ],
        [
            *terms,
            rs.ActivityPayment(),
            rs.Pool(
                budget="b",
                against=["activity-payment"],
                holder="host",
                key=key,
                residue=residue,
                **fields,
            ),
        ],
        budgets=[rs.Budget(name="b")],
        partners=[
            *(
                partner(n, quality=rs.Score(value=0.5) if n in scores else None)
                for n in ORGANISATIONS
            ),
            partner("commissioner", "payer"),
            partner("host", "council"),
            partner("external", "external"),
            *partners,
        ],
        members=[
            rs.Population(name="young", count=100_000),
            rs.Population(name="old", count=50_000, need=2.0),
        ],
        count=count,
    )


def settled(of, saving, scores=None, members=None):
    """Settle with a result of ``saving``, in money, against the budget of 25m."""
    given = actuals(of, [10_000 - saving / 2000, 5000], members=members)
    if scores:
        given = given.assign_coords(partner=list(scores))
        given["quality"] = (("year", "partner"), [list(scores.values())])
    outcomes = rs.settle(of, given)
    assert balanced(outcomes)
    return outcomes


def split(outcomes):
    """What each organisation gets; nobody else may get or pay anything but the holder."""
    for other in ("commissioner", "external"):
        assert paid(outcomes, "pool", to=other) == 0
    return [paid(outcomes, "pool", to=n) for n in ORGANISATIONS]


CONTRIBUTED = [
    rs.Funding(name=f"from-{n}", from_=n, to="host", amount=amount)
    for n, amount in (("acute", 3e6), ("gp", 1e6))
]
PEOPLE = {"acute": {"young": 0.6}, "community": {"young": 0.4, "old": 1.0}}
MEMBERS = {"young": 100_000.0, "old": 50_000.0}
SCORES = {"acute": 0.9, "community": 0.6, "gp": 0.3}

KEYS = {
    # key, how it is declared, terms, scores, the shares worked by hand
    "fixed": (
        "fixed",
        {"share": {"acute": 0.4, "community": 0.25, "gp": 0.35}},
        [],
        {},
        (0.4, 0.25, 0.35),
    ),
    "equal": ("equal", {"between": list(ORGANISATIONS)}, [], {}, (1 / 3, 1 / 3, 1 / 3)),
    "equal between two": ("equal", {"between": ["acute", "gp"]}, [], {}, (0.5, 0, 0.5)),
    "equity": (
        "equity",
        {"weights": {"acute": 7.0, "community": 2.0, "gp": 1.0}},
        [],
        {},
        (0.7, 0.2, 0.1),
    ),
    "contribution": (
        "contribution",
        {"contributions": ["from-acute", "from-gp"]},
        CONTRIBUTED,
        {},
        (0.75, 0, 0.25),
    ),
    "budget": ("budget", {"between": list(ORGANISATIONS)}, [], {}, (0.8, 0.2, 0)),  # 20m and 5m
    "budget of one": ("budget", {"between": ["community", "gp"]}, [], {}, (0, 1, 0)),
    "performance": (
        "performance",
        {"between": list(ORGANISATIONS)},
        [],
        SCORES,
        (0.5, 1 / 3, 1 / 6),
    ),
    "performance with weights": (
        "performance",
        {"between": ["acute", "community"], "weights": {"acute": 1.0, "community": 3.0}},
        [],
        SCORES,
        (1 / 3, 2 / 3, 0),  # 0.9 to 1.8
    ),
    "performance of nobody": (
        "performance",
        {"between": ["acute", "community"]},
        [],
        {"acute": 0.0, "community": 0.0},
        (0.5, 0.5, 0),
    ),
    # 60,000 to 40,000 + 2 x 50,000
    "need": ("need", {"people": PEOPLE}, [], {}, (0.3, 0.7, 0)),
}


@pytest.mark.parametrize("saving", [1_200_000.00, -900_000.00])
@pytest.mark.parametrize("name", KEYS)
def test_a_key_shares_the_whole_pool_by_its_weights(name, saving):
    key, fields, terms, scores, shares = KEYS[name]
    outcomes = settled(shared(key, *terms, scores=scores, **fields), saving, scores, MEMBERS)
    expected = [round(share * saving, 2) for share in shares]
    assert split(outcomes) == expected
    assert sum(expected) == saving
    assert paid(outcomes, "pool", to="host") == -saving


@pytest.mark.parametrize("saving", [100.00, -100.00, 0.01, 777_777.77, -333_333.31])
@pytest.mark.parametrize("name", KEYS)
def test_pennies_that_do_not_divide_balance_and_zero_weight_gets_zero(name, saving):
    key, fields, terms, scores, shares = KEYS[name]
    outcomes = settled(shared(key, *terms, scores=scores, **fields), saving, scores, MEMBERS)
    parts = split(outcomes)
    for part, share in zip(parts, shares, strict=True):
        assert abs(part - share * saving) < 0.005 + 1e-9
        assert share > 0 or part == 0
    # what rounding leaves stays with the holder: at most half a penny for each member
    assert abs(paid(outcomes, "pool", to="host") + saving) < 0.015 + 1e-9
    assert round(sum(parts) + paid(outcomes, "pool", to="host"), 2) == 0


@pytest.mark.parametrize("name", ["fixed", "contribution", "need", "maximum", "taker"])
def test_the_residue_of_rounding_goes_to_whom_the_term_names(name):
    """Thirds of 100.00: one of the three is named to take the odd penny."""
    third = {"acute": 1 / 3, "community": 1 / 3, "gp": 1 / 3}
    key, fields, terms = {
        "fixed": ("fixed", {"share": third}, []),
        "contribution": (
            "contribution",
            {"contributions": [f"from-{n}" for n in ORGANISATIONS]},
            [rs.Funding(name=f"from-{n}", from_=n, to="host", amount=1e6) for n in ORGANISATIONS],
        ),
        "need": ("need", {"people": {n: {"young": 1 / 3} for n in ORGANISATIONS}}, []),
        "maximum": ("fixed", {"share": third, "maximum": {"acute": 1e6}}, []),
        "taker": ("fixed", {"share": {"acute": 1 / 3, "community": 1 / 3}, "taker": "gp"}, []),
    }[name]
    of = shared(key, *terms, residue="acute", **fields)
    outcomes = settled(of, 100.0, members=MEMBERS)
    assert paid(outcomes, "pool", to="host") == -100.00
    parts = split(outcomes)
    assert round(sum(parts), 2) == 100.00
    assert parts[1] == 33.33


def test_losses_have_shares_of_their_own():
    of = shared(
        "fixed",
        share={"acute": 0.5, "community": 0.5},
        loss_share={"gp": 1.0},
    )
    assert split(settled(of, 1e6)) == [500_000, 500_000, 0]
    assert split(settled(of, -1e6)) == [0, 0, -1_000_000]


def test_shares_may_change_from_year_to_year():
    of = shared("equity", weights={"acute": (1.0, 3.0), "gp": 1.0}, count=2)
    outcomes = rs.settle(of, actuals(of, [[9500, 5000], [9500, 5000]]))
    assert [paid(outcomes, "pool", to="acute", year=y) for y in (0, 1)] == [500_000, 750_000]
    assert [paid(outcomes, "pool", to="gp", year=y) for y in (0, 1)] == [500_000, 250_000]


def test_need_follows_the_members_counted_and_their_need():
    of = shared("need", people=PEOPLE)
    # 60,000 to 40,000 + 2 x 100,000
    outcomes = settled(of, 900_000.0, members={"young": 100_000.0, "old": 100_000.0})
    assert split(outcomes) == [180_000.00, 720_000.00, 0]
    with pytest.raises(rs.ExperienceError, match="members"):
        settled(of, 900_000.0)


def test_contributions_are_what_was_paid_and_not_what_was_received():
    swap = [
        rs.Funding(name="from-acute", from_="acute", to="gp", amount=3e6),
        rs.Funding(name="from-gp", from_="gp", to="host", amount=1e6),
    ]
    of = shared("contribution", *swap, contributions=["from-acute", "from-gp"])
    assert split(settled(of, 1e6)) == [750_000.00, 0, 250_000.00]


def test_performance_needs_scores_and_takes_none_from_plan():
    with pytest.raises(rs.CaseError, match=r"c\.pool\.between.*'gp' has no quality score"):
        shared("performance", scores={"acute": 1.0}, between=["acute", "gp"])
    of = shared("performance", scores=SCORES, between=["acute", "gp"])
    with pytest.raises(rs.ExperienceError, match=r"quality\[gp, 2018/19\]: missing; c\.pool"):
        settled(of, 1e6, {"acute": 0.9})
    # nobody asks for the score of who does not share
    assert split(settled(of, 1e6, {"acute": 0.9, "gp": 0.1})) == [900_000, 0, 100_000]


@pytest.mark.parametrize(
    ("key", "terms", "fields"),
    [
        (
            "contribution",
            [rs.Funding(name="none", from_="acute", to="host", amount=0.0)],
            {"contributions": ["none"]},
        ),
        ("budget", [], {"between": ["gp", "commissioner"]}),
        ("need", [], {"people": {"acute": {"old": 1.0}}}),
    ],
)
def test_where_all_weights_are_zero_no_stranger_gets_a_share(key, terms, fields):
    of = shared(key, *terms, **fields)
    outcomes = settled(of, 900_000.0, members={"young": 100_000.0, "old": 0.0})
    assert paid(outcomes, "pool", to="external") == 0
    assert paid(outcomes, "pool", to="community") == 0


@pytest.mark.parametrize("saving", [1e6, -1e6])
def test_a_taker_takes_what_the_shares_leave(saving):
    of = shared("fixed", share={"acute": 0.4, "community": 0.25}, taker="gp")
    expected = [0.4 * saving, 0.25 * saving, 0.35 * saving]
    assert split(settled(of, saving)) == expected


def test_a_taker_may_have_a_share_too():
    of = shared("fixed", share={"acute": 0.4, "gp": 0.1}, taker="gp")
    assert split(settled(of, 1e6)) == [400_000, 0, 600_000]


def test_shares_below_one_need_a_taker_and_above_one_have_no_rest():
    with pytest.raises(rs.CaseError, match=r"c\.pool\.share: the shares sum to 0\.65"):
        shared("fixed", share={"acute": 0.4, "community": 0.25})
    with pytest.raises(rs.CaseError, match=r"c\.pool\.share: the shares sum to 1\.1"):
        shared("fixed", share={"acute": 0.6, "community": 0.5}, taker="gp")


CASCADE = {"acute": 0.5, "community": 0.3, "gp": 0.2}


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("maximum", "expected"),
    [
        # 500/300/200; acute's 200 go 3:2 -> 420/280; community's 100 go on to the gp
        ({"acute": 300e3, "community": 320e3}, (300e3, 320e3, 380e3)),
        # nobody reaches a maximum
        ({"acute": 500e3, "community": 300e3, "gp": 200e3}, (500e3, 300e3, 200e3)),
        # one of them, and the others by their shares: 100 go 5:3
        ({"gp": 120e3}, (550e3, 330e3, 120e3)),
        # acute's 400 go 3:2 -> 540/360; the gp's 110 go on to community
        ({"acute": 100e3, "gp": 250e3}, (100e3, 650e3, 250e3)),
        # a maximum of nothing
        ({"acute": 0.0}, (0.0, 600e3, 400e3)),
    ],
)
def test_what_is_above_a_maximum_cascades_to_the_others(maximum, expected, sign):
    of = shared("fixed", share=CASCADE, maximum=maximum)
    outcomes = settled(of, sign * 1e6)
    assert split(outcomes) == [sign * part for part in expected]
    assert paid(outcomes, "pool", to="host") == -sign * 1e6


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("taker", [None, "commissioner"])
def test_what_nobody_can_take_goes_to_the_taker_or_stays_with_the_holder(taker, sign):
    of = shared(
        "fixed",
        share=CASCADE,
        maximum={"acute": 300e3, "community": 320e3, "gp": 350e3},
        taker=taker,
    )
    outcomes = settled(of, sign * 1e6)
    parts = [paid(outcomes, "pool", to=n) for n in ORGANISATIONS]
    assert parts == [sign * 300e3, sign * 320e3, sign * 350e3]
    assert paid(outcomes, "pool", to="commissioner") == (sign * 30e3 if taker else 0)
    assert paid(outcomes, "pool", to="host") == -sign * (1e6 if taker else 970e3)


def test_a_maximum_never_moves_money_to_a_partner_without_a_share():
    of = shared("fixed", share={"acute": 0.5, "community": 0.5}, maximum={"acute": 100e3})
    assert split(settled(of, 1e6)) == [100e3, 900e3, 0]
    both = shared(
        "fixed",
        share={"acute": 0.5, "community": 0.5},
        maximum={"acute": 100e3, "community": 200e3},
    )
    outcomes = settled(both, 1e6)
    assert split(outcomes) == [100e3, 200e3, 0]
    assert paid(outcomes, "pool", to="host") == -300e3


def test_a_maximum_serves_every_weighted_key():
    of = shared("equal", between=list(ORGANISATIONS), maximum={"acute": 100_000.0})
    assert split(settled(of, 900_000.0)) == [100_000, 400_000, 400_000]
    of = shared("need", people=PEOPLE, maximum={"community": 100_000.0})
    assert split(settled(of, 900_000.0, members=MEMBERS)) == [800_000, 100_000, 0]


def test_a_long_cascade_fills_partners_one_after_another():
    names = [f"m{i}" for i in range(6)]
    maximum = {name: 10_000.0 * (i + 1) for i, name in enumerate(names[:-1])}
    of = shared(
        "equal",
        between=names,
        maximum=maximum,
        partners=[partner(name) for name in names],
    )
    outcomes = settled(of, 180_000.0)
    # 10 + 20 + 30 + 40 + 40 + 40 = 180 thousand: 40 is the level
    found = [paid(outcomes, "pool", to=name) for name in names]
    assert found == [10_000, 20_000, 30_000, 40_000, 40_000, 40_000]


@pytest.mark.parametrize(
    ("key", "fields", "problem"),
    [
        ("equal", {}, r"between: missing; key = 'equal' needs it"),
        ("need", {}, r"people: missing"),
        ("contribution", {}, r"contributions: missing"),
        ("equity", {"weights": {"acute": 0.0}}, r"weights: sum to 0"),
        ("equity", {"weights": {"acute": 1.0}, "share": {"acute": 1.0}}, r"share: means nothing"),
        ("contribution", {"contributions": ["pool"]}, r"contributions.*pool"),
    ],
)
def test_a_key_has_what_it_needs_and_nothing_else(key, fields, problem):
    with pytest.raises(rs.CaseError, match=rf"c\.pool\.{problem}"):
        shared(key, **fields)


def test_keys_in_a_simulation_are_those_of_settlement():
    for name, (key, fields, terms, scores, shares) in KEYS.items():
        of = shared(key, *terms, scores=dict.fromkeys(scores, 0.5), **fields)
        noisy = [dataclasses.replace(x, noise=rs.Noise(law="gamma", cv=0.05)) for x in of.lines]
        outcomes = rs.simulate(dataclasses.replace(of, lines=noisy), samples=128, seed=1)
        pool = outcomes.posting.sel(term="c.pool").isel(year=0)
        if scores:  # equal scores: weights alone
            weights = fields.get("weights") or dict.fromkeys(fields["between"], 1.0)
            shares = [weights.get(n, 0) / sum(weights.values()) for n in ORGANISATIONS]
        for partner_name, share in zip(ORGANISATIONS, shares, strict=True):
            np.testing.assert_allclose(
                pool.sel(partner=partner_name),
                -share * pool.sel(partner="host"),
                rtol=1e-4,
                atol=0.5,
                err_msg=name,
            )
