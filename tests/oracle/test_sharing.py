"""The sharing rule against published schemes (M12 to M19, M29 to M31), one test for each number.

Every test settles a small case and reads what the partners were paid. A plan, an ACO, an issuer or
a contractor is the `provider`; who stands on the other side is the `payer`, unless named.
"""

import re

import numpy as np
import pytest
import xarray as xr
from builders import PAYER, PROVIDER, actuals, balanced, case, line, paid, partner

import riskshare as rs

MEMBERS = "lives"


def scheme(budget=100e6, *, partners=None, services=None, budgets=None, members=(), **rule):
    """A result against a budget, of which the provider gets or bears what the rule lets through.

    One line counted in pounds, so that actuals give the spend itself.
    """
    pool = {"value_of": ["care"], "share": {PROVIDER: 1.0}, **rule}
    return case(
        services or [line("care", baseline=1e6, price=1.0, unit_cost=1.0)],
        [rs.Pool(budget="target", holder=PAYER, key="fixed", **pool)],
        budgets=budgets or [rs.Budget(name="target", base=budget)],
        partners=partners or [partner(PAYER, PAYER), partner(PROVIDER)],
        members=members,
    )


def scored():
    """Partners of which the provider has a quality score."""
    return [partner(PAYER, PAYER), partner(PROVIDER, quality=rs.Score(value=0.8))]


def settled(of, spend, *, score=None, persons=None, **given):
    """Actuals of one year settled: the spend by line, a quality score, the cost of each person."""
    happened = actuals(of, spend, **given)
    if score is not None:
        happened = happened.assign_coords(partner=[PROVIDER])
        happened["quality"] = (("year", "partner"), [[score]])
    if persons is not None:
        happened["person_cost"] = (("year", "line", "person"), np.asarray(persons, float)[None])
    outcomes = rs.settle(of, happened)
    assert balanced(outcomes)
    return outcomes


def earned(of, spend, **given):
    """What the provider gets (below zero: owes) for a spend."""
    outcomes = settled(of, spend, **given)
    assert paid(outcomes, "pool", PAYER) == -paid(outcomes, "pool")
    return paid(outcomes, "pool")


def step(outcomes, rule, figure):
    """One figure of the working, of the first step whose name ends so."""
    at = [str(name).endswith(rule) for name in outcomes.step_rule.values].index(True)
    return float(outcomes[f"step_{figure}"].isel(year=0, step=at))


def both(gain, loss):
    return {"gain": gain, "loss": loss}


def bands(*edges_and_rates, loss=None):
    """Corridors; `loss` gives losses rates of their own."""
    rates = [rate for _, rate in edges_and_rates]
    other = rates if loss is None else loss
    return [
        rs.Corridor(beyond=edge, rate=both(rate, bad))
        for (edge, rate), bad in zip(edges_and_rates, other, strict=True)
    ]


# --- M12: minimum savings rate ------------------------------------------------------------------

# 42 CFR 425.604(b): linear within each range of assigned lives, from its first to its last life
RANGES = (
    (5_000, 5_999, 0.039, 0.036),
    (6_000, 6_999, 0.036, 0.034),
    (7_000, 7_999, 0.034, 0.032),
    (8_000, 8_999, 0.032, 0.031),
    (9_000, 9_999, 0.031, 0.030),
    (10_000, 14_999, 0.030, 0.027),
    (15_000, 19_999, 0.027, 0.025),
    (20_000, 49_999, 0.025, 0.022),
    (50_000, 59_999, 0.022, 0.020),
)


def sliding(threshold=0.0, weight=1.0):
    points = [(n, msr) for low, high, a, b in RANGES for n, msr in ((low, a), (high, b))]
    scale = rs.Scale(
        population=MEMBERS,
        members=[float(n) for n, _ in points],
        rate=[rate for _, rate in points],
        weight=weight,
    )
    return scheme(
        members=[rs.Population(name=MEMBERS, count=10_000)],
        gate=rs.Gate(threshold=threshold, reading="first-dollar", scale=scale),
        rate=0.5,
    )


@pytest.mark.parametrize(
    ("lives", "msr"), [(5_179, 3.85), (10_855, 2.95), (31_394, 2.39), (60_000, 2.0), (90_000, 2.0)]
)
def test_m12_g16_sliding_scale_of_the_minimum_savings_rate(lives, msr):
    of = sliding()
    members = {MEMBERS: float(lives)}
    outcomes = settled(of, 90e6, members=members)
    assert round(100 * step(outcomes, "gate", "beyond"), 2) == msr
    below, above = (100e6 - (msr / 100 + d) * 100e6 for d in (-0.0001, 0.0001))
    assert earned(of, round(below), members=members) == 0
    assert earned(of, round(above), members=members) == 0.5 * (100e6 - round(above))


def test_m12_an_elected_rate_takes_the_place_of_the_scale():
    of = sliding(threshold=0.005, weight=0.0)
    assert earned(of, 99.4e6, members={MEMBERS: 5_179.0}) == 0.5 * 0.6e6
    assert earned(of, 99.6e6, members={MEMBERS: 5_179.0}) == 0


def months(gate):
    """125,000 member months at a target of 500.00."""
    return scheme(
        services=[line("care", baseline=125_000, price=500.0, unit_cost=500.0)],
        budgets=[rs.Budget(name="target", unit_rate={"care": 500.0}, rebase="actual")],
        value_of=None,
        cost_of=["care"],
        rate=0.5,
        gate=gate,
    )


MSR = rs.Gate(threshold=0.01, reading="first-dollar")


@pytest.mark.parametrize(
    ("gate", "unit_cost", "pays"),
    [
        (None, 495.50, 281_250.00),
        (MSR, 495.50, 0.00),
        (MSR, 495.00, 312_500.00),  # just reached: "needs <= 495.00"
        (MSR, 495.01, 0.00),
    ],
)
def test_m12_g17_a_minimum_savings_rate_of_one_per_cent(gate, unit_cost, pays):
    assert earned(months(gate), 125_000.0, unit_cost=unit_cost) == pays


@pytest.mark.parametrize(("reading", "pays"), [("first-dollar", 4.8e6), ("excess-only", 3.2e6)])
def test_m12_g18_first_dollar_against_excess_only(reading, pays):
    of = scheme(gate=rs.Gate(threshold=0.02, reading=reading), rate=0.8)
    assert earned(of, 94e6) == pays
    assert earned(of, 106e6) == -pays
    assert earned(of, 98.5e6) == 0


def enhanced(budget=100e6, **fields):
    """The ENHANCED track: 75 % of gains, losses at 1 - 75 % x quality within 40 and 75 %."""
    quality = {"partner": PROVIDER, "offset": 1.0, "floor": 0.40, "ceiling": 0.75}
    return scheme(
        budget,
        partners=scored(),
        rate=both(0.75, 1.0),
        quality=rs.Quality(**(quality | fields)),
        caps=[rs.Cap(limit=both(0.20, 0.15), of="budget", applies="after-share")],
    )


@pytest.mark.parametrize(
    ("score", "rate"), [(0.80, 40.00), (0.7385, 44.61), (0.60, 55.00), (0.40, 70.00), (1.0, 40.0)]
)
def test_m12_g26_loss_rate_by_quality_in_the_enhanced_track(score, rate):
    owed = -earned(enhanced(), 101e6, score=score)
    assert round(100 * owed / 1e6, 2) == rate


def test_m12_g26_loss_rate_is_75_per_cent_with_a_score_of_nothing():
    assert earned(enhanced(), 101e6, score=0.0) == -750_000


def test_m12_g26_loss_rate_is_75_per_cent_if_the_standards_failed():
    assert earned(enhanced(standard=0.60), 101e6, score=0.50) == -750_000


@pytest.mark.parametrize(
    ("weight", "score", "pays"),
    [
        (0.0, 0.80, 7.5e6),  # the full maximum once the standard is met
        (1.0, 0.80, 6.0e6),  # maximum x score: to PY2020, and the alternative standard
        (0.0, 0.50, 0.0),  # neither standard met
        (0.0, 0.60, 7.5e6),  # just met
    ],
)
def test_m12_gain_rate_by_quality(weight, score, pays):
    assert earned(enhanced(weight=weight, standard=0.60), 90e6, score=score) == pays


def test_a_quality_score_above_one_is_refused():
    with pytest.raises(rs.ExperienceError, match="quality"):
        earned(enhanced(), 101e6, score=60.0)


def test_m12_g14_full_disaster_relief_leaves_nothing_owed():
    assert earned(scheme(52_354_587, rate=0.40, relief=0.0), 53_108_722) == -301_654
    assert earned(scheme(52_354_587, rate=0.40, relief=both(0.0, 1.0)), 53_108_722) == 0


def test_m12_g15_a_loss_before_relief_existed():
    owed = earned(scheme(192_077_909, rate=0.40), 192_077_909 + 6_330_283)
    assert owed == -2_532_113.20
    assert round(owed) == -2_532_113


@pytest.mark.parametrize(("relief", "owes"), [(0.0, 1e6), (0.25, 0.75e6)])
def test_m12_relief_comes_after_the_cap(relief, owes):
    cap = rs.Cap(limit=both(0.10, 0.01), of="budget", applies="after-share")
    of = scheme(rate=both(0.5, 0.3), caps=[cap], relief=both(0.0, relief))
    assert earned(of, 110e6) == -owes


@pytest.mark.parametrize(
    ("share_of_revenue", "share_of_budget", "revenue", "owes"),
    [
        (0.02, 0.01, 40e6, 0.8e6),  # BASIC C
        (0.04, 0.02, 60e6, 2.0e6),  # BASIC D
        (0.08, 0.04, 30e6, 2.4e6),  # BASIC E
        (0.08, 0.04, 90e6, 3.0e6),  # neither binds: 30 % of 10m
    ],
)
def test_m12_basic_tracks_owe_the_lesser_of_revenue_and_benchmark(
    share_of_revenue, share_of_budget, revenue, owes
):
    def capped(loss, **what):
        return rs.Cap(limit=both(0.10, loss), applies="after-share", **what)

    caps = [
        capped(share_of_budget, of="budget"),
        rs.Cap(
            limit=both(10.0, share_of_revenue),
            of="revenue",
            revenue=revenue,
            applies="after-share",
        ),
    ]
    of = scheme(rate=both(0.5, 0.3), caps=caps)
    assert earned(of, 110e6) == -owes
    assert earned(of, 70e6) == 10e6  # 50 % of 30m, at most 10 % of benchmark


def test_m12_sequestration_is_of_gains_only_and_comes_before_the_cap():
    cap = rs.Cap(limit=0.10, of="budget", applies="after-share")
    of = scheme(rate=0.5, scalar=both(0.98, 1.0), caps=[cap])
    assert earned(of, 94e6) == 2_940_000
    assert earned(of, 106e6) == -3_000_000
    assert earned(of, 79.7e6) == 9_947_000  # 0.98 x 0.5 x 20.3m
    assert earned(of, 79e6) == 10_000_000  # 0.98 x 0.5 x 21m = 10.29m, at most 10m


@pytest.mark.parametrize(
    ("spend", "pays"), [(99e6, 250_000), (97e6, 1_500_000), (101e6, 0), (103e6, -1_500_000)]
)
def test_m12_half_the_rate_where_a_small_aco_misses_its_rate(spend, pays):
    gate = rs.Gate(threshold=0.02, reading="first-dollar", missed=both(0.5, 0.0))
    assert earned(scheme(gate=gate, rate=0.5), spend) == pays


@pytest.mark.parametrize(("loss", "owes"), [(0.5, 300_000), (0.0, 0)])
def test_m12_older_bilateral_form_shares_half_of_gains_and_of_losses_if_at_true_risk(loss, owes):
    of = scheme(10e6, rate=both(0.5, loss))
    assert earned(of, 9.4e6) == 300_000
    assert earned(of, 10.6e6) == -owes


def test_a_gate_opens_where_the_result_is_exactly_its_threshold():
    # 1,000,000 grown by 1.5 % is 1,015,000.00; 2 % below is 994,700.00, to the penny
    grown = [rs.Budget(name="target", base=1e6, growth=0.015)]
    gate = rs.Gate(threshold=0.02, reading="first-dollar")
    assert earned(scheme(budgets=grown, gate=gate), 994_700.0) == 20_300.00


# --- M13: cap and share -------------------------------------------------------------------------


def test_m13_cap_then_share_against_share_then_cap():
    first = [rs.Cap(limit=0.05, of="budget", applies="before-share")]
    last = [rs.Cap(limit=0.05, of="budget", applies="after-share")]
    # sequestration after the cap is a relief of the payment; a scalar comes before the cap
    after = {"relief": both(0.02, 0.0)}
    assert earned(scheme(200e6, rate=0.8, caps=first, **after), 184e6) == 7_840_000
    assert earned(scheme(200e6, rate=0.8, caps=last, **after), 184e6) == 9_800_000
    before = {"scalar": both(0.98, 1.0)}
    assert earned(scheme(200e6, rate=0.8, caps=first, **before), 184e6) == 7_840_000
    assert earned(scheme(200e6, rate=0.8, caps=last, **before), 184e6) == 10_000_000


def test_m13_g19_a_cap_of_5_and_a_share_of_80_per_cent_are_4_per_cent_of_benchmark():
    cap = rs.Cap(limit=0.05, of="budget", applies="before-share")
    of = scheme(rate=0.8, caps=[cap], scalar=both(0.98, 1.0))
    assert earned(of, 70e6) == 0.98 * 4e6  # 98 % of savings
    assert earned(of, 130e6) == -4e6  # 100 % of losses
    assert earned(of, 97e6) == 0.98 * 0.8 * 3e6


# --- M14: ACO REACH -----------------------------------------------------------------------------

PROFESSIONAL = bands((0.0, 0.50), (0.05, 0.35), (0.10, 0.15), (0.15, 0.05))
GLOBAL = bands((0.0, 1.00), (0.25, 0.50), (0.35, 0.25), (0.50, 0.10))


@pytest.mark.parametrize(
    ("corridors", "saving", "kept"),
    [
        (PROFESSIONAL, 3, 1.50),
        (PROFESSIONAL, 5, 2.50),
        (PROFESSIONAL, 8, 3.55),
        (PROFESSIONAL, 12, 4.55),
        (PROFESSIONAL, 18, 5.15),
        (GLOBAL, 12, 12.0),
        (GLOBAL, 30, 27.5),
        (GLOBAL, 40, 31.25),
        (GLOBAL, 60, 34.75),
    ],
)
def test_m14_risk_bands_of_the_two_tracks(corridors, saving, kept):
    of = scheme(corridors=corridors)
    assert earned(of, (100 - saving) * 1e6) == round(kept * 1e6, 2)
    assert earned(of, (100 + saving) * 1e6) == -round(kept * 1e6, 2)


def test_m14_the_discount_is_taken_off_the_benchmark():
    of = scheme(corridors=GLOBAL, discount=0.035)
    assert earned(of, 88e6) == 8_500_000
    # bands are shares of the discounted benchmark, 96.5m: 24.125m whole, 9.65m at half, the
    # remaining 2.725m of 36.5m at a quarter
    assert earned(of, 60e6) == 24_125_000 + 4_825_000 + 681_250


@pytest.mark.parametrize(("score", "pays"), [(1.0, 12e6), (0.8, 11e6), (0.0, 7e6)])
def test_m14_the_quality_withhold_is_earned_back_by_the_score(score, pays):
    # 5 % of the benchmark is withheld: 95m, and 5m x score of it back
    quality = rs.Quality(partner=PROVIDER, withhold=0.05)
    of = scheme(partners=scored(), corridors=GLOBAL, quality=quality)
    assert earned(of, 88e6, score=score) == pays


# --- M15, M16: corridors of issuers and plans with the government ----------------------------


def issuer(target, corridors):
    """An issuer bears its cost; the government takes and gives what the corridors say."""
    pool = rs.Pool(
        budget="target",
        cost_of=["claims"],
        holder="issuer",
        key="fixed",
        share={"government": 1.0},
        corridors=corridors,
    )
    return case(
        [line("claims", baseline=1e6, price=1.0, unit_cost=1.0, deliverer="issuer", payer="fund")],
        [pool],
        budgets=[rs.Budget(name="target", base=target)],
        partners=[
            partner("fund", "payer"),
            partner("issuer"),
            partner("government", "external"),
        ],
    )


def received(of, claims):
    """What the issuer receives from the government."""
    outcomes = settled(of, claims)
    given = paid(outcomes, "pool", "issuer")
    assert paid(outcomes, "pool", "government") == -given
    assert paid(outcomes, "pool", "fund") == 0
    return given


@pytest.mark.parametrize(
    ("claims", "receives"),
    [
        (90, -4.1),
        (92, -2.5),
        (95, -1.0),
        (97, 0.0),
        (98, 0.0),
        (100, 0.0),
        (103, 0.0),
        (106, 1.5),
        (108, 2.5),
        (112, 5.7),
    ],
)
def test_m15_risk_corridors_of_the_affordable_care_act(claims, receives):
    of = issuer(100e6, bands((0.03, 0.50), (0.08, 0.80)))
    assert received(of, claims * 1e6) == round(receives * 1e6, 2)


PART_D = ((0.05, 0.50), (0.10, 0.80))


@pytest.mark.parametrize(
    ("claims", "receives"), [(107, 1.0), (113, 4.9), (97, 0.0), (93, -1.0), (88, -4.1), (90, -2.5)]
)
def test_m16_risk_corridors_of_part_d(claims, receives):
    assert received(issuer(100e6, bands(*PART_D)), claims * 1e6) == round(receives * 1e6, 2)


@pytest.mark.parametrize(
    ("claims", "receives"),
    [(88, -20.1), (90, -2.5), (93, -1.0), (113, 4.9)],
)
def test_m16_the_lower_tail_as_the_statute_has_it_counts_from_the_upper_limit(claims, receives):
    # 42 USC 1395w-115(e)(2)(C)(ii)(II): 80 % of what lies below the second threshold *upper* limit,
    # 110: at 88 half of 5 and 80 % of 22
    first, second = bands(*PART_D)
    literal = rs.Corridor(
        beyond=second.beyond, rate=second.rate, counted_from=both(-0.10, second.beyond)
    )
    assert received(issuer(100e6, [first, literal]), claims * 1e6) == round(receives * 1e6, 2)


# --- M17: target cost -----------------------------------------------------------------------------


def alliance(target, corridors):
    """An open book pays what it cost; the contractor shares the pain and the gain."""
    pool = rs.Pool(
        budget="target",
        cost_of=["works"],
        holder="client",
        key="fixed",
        share={"contractor": 1.0},
        corridors=corridors,
    )
    return case(
        [line("works", price=1.0, unit_cost=1.0, deliverer="contractor", payer="client")],
        [rs.CostReimbursement(), pool],
        budgets=[rs.Budget(name="target", base=target)],
        partners=[partner("client", "payer"), partner("contractor")],
    )


def pain_or_gain(of, cost):
    outcomes = settled(of, cost)
    assert paid(outcomes, "cost-reimbursement", "contractor") == cost
    kept = float(outcomes.position.sel(partner="contractor").isel(year=0, sample=0))
    assert kept == paid(outcomes, "pool", "contractor") == -paid(outcomes, "pool", "client")
    return kept


def test_m17_g20_a_quarter_of_the_band_from_80_to_100_per_cent():
    of = alliance(500_000, bands((0.0, 0.25), (0.20, 0.0)))
    assert pain_or_gain(of, 200_000) == 25_000


@pytest.mark.parametrize(
    ("cost", "share"),
    [(10.6e6, -475_000), (9.5e6, 125_000), (9.9e6, 50_000), (10.25e6, -125_000)],
)
def test_m17_half_within_the_band_and_all_pain_beyond(cost, share):
    of = alliance(10e6, bands((0.0, 0.50), (0.025, 0.0), loss=(0.50, 1.00)))
    assert pain_or_gain(of, cost) == share


# --- M18: episodes --------------------------------------------------------------------------------


def episodes(count, target, rebase="actual", **rule):
    """Episodes at a target price each, reconciled with what they cost."""
    return scheme(
        services=[line("care", baseline=count, price=target, unit_cost=target)],
        budgets=[rs.Budget(name="target", unit_rate={"care": target}, rebase=rebase)],
        value_of=None,
        cost_of=["care"],
        **rule,
    )


@pytest.mark.parametrize(
    ("cost", "pays"),
    [
        (1_850_000, 100_000),
        (1_900_000, 100_000),  # cost may rise by 50,000 before the payment changes
        (1_900_080, 99_920),
        (2_150_000, -100_000),
    ],
)
def test_m18_g21_stop_gain_and_stop_loss_of_5_per_cent(cost, pays):
    stop = rs.Cap(limit=0.05, of="budget", applies="after-share")
    of = episodes(80, 25_000.0, caps=[stop])
    assert earned(of, 80.0, unit_cost=cost / 80) == pays


def test_m18_late_claims_of_1_per_cent_are_9_per_cent_of_the_reward():
    plain = episodes(4, 25_000.0)
    assert earned(plain, 4.0, unit_cost=22_500.0) == 10_000
    assert earned(plain, 4.0, unit_cost=22_725.0) == 9_100
    corrected = episodes(4, 25_000.0, completion=1 / 1.01)
    assert earned(corrected, 4.0, unit_cost=22_500.0) == 9_100


@pytest.mark.parametrize(("rebase", "pays"), [("actual", 12_500), ("plan", -12_500)])
def test_m18_the_target_follows_the_episodes_or_stays_at_plan(rebase, pays):
    # five episodes of 22,500 against five, or four, of 25,000
    of = episodes(4, 25_000.0, rebase)
    assert earned(of, 5.0, unit_cost=22_500.0) == pays


# --- M19: margin against norm cost ----------------------------------------------------------------


def kinzigtal(insured, norm_cost, cost):
    of = scheme(
        services=[line("care", baseline=1e6, price=1.0, unit_cost=1.0)],
        budgets=[
            rs.Budget(name="target", rate={MEMBERS: norm_cost / insured}, rebase="actual"),
        ],
        members=[rs.Population(name=MEMBERS, count=30_000)],
    )
    return earned(of, cost, members={MEMBERS: insured})


def test_m19_margin_of_2013_against_norm_cost():
    margin = kinzigtal(33_000.0, 75.5e6, 70.0e6)
    assert margin == 5_500_000
    assert round(100 * margin / 75.5e6, 2) == 7.28
    assert margin / 33_000 == pytest.approx(170, rel=0.025)


@pytest.mark.parametrize(
    ("insured", "norm", "a_head", "published"),
    [(33_000.0, 75.5e6, 170.0, 5.5e6), (31_000.0, 66.0e6, 146.0, 4.6e6)],
)
def test_m19_margins_a_head_agree_with_published_margins(insured, norm, a_head, published):
    margin = kinzigtal(insured, norm, norm - a_head * insured)
    assert margin == a_head * insured
    assert margin == pytest.approx(published, rel=0.02)


def test_m19_norm_cost_follows_the_insured():
    # 1,000 more people than planned, and nothing spent on them: their norm cost is margin
    few, many = (kinzigtal(n, n * 2_000.0, 50e6) for n in (30_000.0, 31_000.0))
    assert many - few == 2_000_000


# --- M29: aggregate stop-loss ---------------------------------------------------------------------


def test_m29_aggregate_stop_loss_recovers_what_lies_beyond_the_corridor():
    cover = rs.Pool(
        name="cover",
        phase="cover",
        budget="expected",
        against=["activity-payment"],
        holder=PAYER,
        key="fixed",
        share={"reinsurer": 1.0},
        corridors=[rs.Corridor(beyond=0.10, rate=both(0.0, 1.0))],
    )
    sharing = rs.Pool(
        name="sharing",
        budget="expected",
        against=["activity-payment", "cover"],
        holder=PAYER,
        key="fixed",
        share={PROVIDER: 0.5, PAYER: 0.5},
    )
    # listed first, sharing still sees the cover: phases come before places in the list
    of = case(
        [line(baseline=20_000)],
        [rs.ActivityPayment(), sharing, cover],
        budgets=[rs.Budget(name="expected")],
        partners=[partner(PAYER, PAYER), partner(PROVIDER), partner("reinsurer", "external")],
    )
    outcomes = settled(of, 23_000.0)
    assert paid(outcomes, "cover", PAYER) == 2_000_000
    assert paid(outcomes, "cover", "reinsurer") == -2_000_000
    assert 46e6 - paid(outcomes, "cover", PAYER) == 44_000_000
    assert paid(outcomes, "sharing") == -0.5 * 4e6  # of what is retained beyond 40m
    assert paid(settled(of, 22_000.0), "cover", PAYER) == 0
    assert paid(settled(of, 10_000.0), "cover", PAYER) == 0


def draws(of, activity):
    """Draws of one year from activity by (line, sample)."""
    labels = of.labels()
    activity = np.atleast_2d(np.asarray(activity, np.float64))
    coords = {"year": list(labels["year"]), "line": list(labels["line"])}
    return xr.Dataset({"activity": (("year", "line", "sample"), activity[None])}, coords)


def covered(lines, budget, corridors, *more):
    """An employer whose spend is covered, in part, by an insurer."""
    pool = rs.Pool(
        name="cover",
        phase="cover",
        budget="limit",
        cost_of=[each.name for each in lines],
        holder="employer",
        key="fixed",
        share={"insurer": 1.0},
        corridors=corridors,
    )
    return case(
        lines,
        [pool, *more],
        budgets=[rs.Budget(name="limit", base=budget)],
        partners=[
            partner("employer"),
            partner("carer", "payer"),
            partner("insurer", "external"),
        ],
    )


def test_m29_loss_models_example_9_24():
    """Settle every outcome: N of 0 to 4 claims, each of 2,000 (0.4) or 3,000 (0.6)."""
    sizes = {"small": 2000.0, "large": 3000.0}
    lines = [
        line(n, baseline=2, price=x, unit_cost=x, deliverer="employer", payer="carer")
        for n, x in sizes.items()
    ]
    premium = rs.Funding(from_="employer", to="insurer", amount=1472.0)
    excess = [rs.Corridor(beyond=0.0, rate=both(0.0, 1.0))]
    of = covered(lines, 5000.0, excess, premium)
    by_count = (1 / 16, 1 / 4, 3 / 8, 1 / 4, 1 / 16)
    choose = ((1,), (1, 1), (1, 2, 1), (1, 3, 3, 1), (1, 4, 6, 4, 1))
    points = [(n - k, k) for n in range(5) for k in range(n + 1)]
    chance = np.array(
        [
            by_count[n] * choose[n][k] * 0.6**k * 0.4 ** (n - k)
            for n in range(5)
            for k in range(n + 1)
        ]
    )
    assert chance.sum() == pytest.approx(1)
    outcomes = rs.settle(of, draws(of, np.array(points).T)).isel(year=0)
    gross = outcomes.line_cost.sum("line").values
    recovered = outcomes.posting.sel(term="c.cover", partner="employer").values
    total = -outcomes.position.sel(partner="employer").values
    assert chance @ gross == pytest.approx(5_200.0, abs=1e-9)
    assert chance @ (gross - recovered) == pytest.approx(4_027.5, abs=1e-9)
    assert chance @ total == pytest.approx(5_499.5, abs=1e-9)


# --- M30: truncation ------------------------------------------------------------------------------

PERSONS = [[1_000.0] * 99 + [201_000.0]]


def patients(**rule):
    """100 patients of mean cost 3,000, as budgeted."""
    services = [line("care", baseline=100, price=3000.0, unit_cost=3000.0)]
    return scheme(300_000, services=services, value_of=None, cost_of=["care"], **rule)


def cut(benchmark, excess=None):
    return rs.Truncation(at=50_000.0, benchmark=benchmark, expected_excess=excess)


def test_m30_truncation_takes_the_mean_from_3000_to_1490():
    outcomes = settled(patients(truncation=cut("truncated")), 100.0, persons=PERSONS)
    assert step(outcomes, "spend", "amount") / 100 == 1_490.0
    assert float(outcomes.line_cost.sum()) / 100 == 3_000.0  # cost itself is not truncated


def test_m30_truncating_the_performance_year_alone_manufactures_savings():
    assert earned(patients(), 100.0, persons=PERSONS) == 0
    assert earned(patients(truncation=cut("truncated")), 100.0, persons=PERSONS) == 151_000
    mended = patients(truncation=cut("untruncated", 151 / 300))
    assert earned(mended, 100.0, persons=PERSONS) == 0
    # people in the middle cost 100 less each: a saving that is one
    cheaper = [[900.0] * 99 + [201_000.0]]
    assert earned(mended, 100.0, unit_cost=2901.0, persons=cheaper) == 9_900


CARVED = [
    line("care", baseline=100, price=1000.0, unit_cost=1000.0),
    line("drugs", baseline=1, price=201_000.0, unit_cost=201_000.0),
]
DRUGS = [[1_000.0] * 100, [201_000.0] + [0.0] * 99]


def carve_out(**rule):
    """Drugs are carved out of budget and spend alike; the spend on the rest is on budget."""
    return scheme(
        100_000,
        services=CARVED,
        value_of=None,
        cost_of=["care"],
        truncation=cut("truncated"),
        **rule,
    )


def test_m30_a_line_carved_out_of_people_and_spend_leaves_the_result_alone():
    assert earned(carve_out(lines=["care"]), [100.0, 1.0], persons=DRUGS) == 0


def test_m30_a_line_carved_out_of_the_spend_is_carved_out_of_the_people():
    assert earned(carve_out(), [100.0, 1.0], persons=DRUGS) == 0


# --- M31: loss corridor ---------------------------------------------------------------------------

CV = 0.905
SIGMA = np.sqrt(np.log1p(CV**2))


def lognormal(*knots):
    """Gauss-Legendre points of a lognormal of mean 1, by pieces between losses; their weights."""
    scores = [(np.log(x) + SIGMA**2 / 2) / SIGMA for x in knots]
    nodes, weights = np.polynomial.legendre.leggauss(48)
    found = []
    for low, high in zip((-9.0, *scores), (*scores, 9.0), strict=True):
        z = low + (nodes + 1) * (high - low) / 2
        density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
        found.append((np.exp(SIGMA * z - SIGMA**2 / 2), weights * density * (high - low) / 2))
    losses, chance = (np.concatenate(part) for part in zip(*found, strict=True))
    return losses, chance


def eliminated(corridors):
    """Mean share of expected loss, 1,000,000, that the insurer takes over."""
    mine = {"deliverer": "employer", "payer": "carer"}
    lines = [line("claims", baseline=1e6, price=1.0, unit_cost=1.0, **mine)]
    of = covered(lines, 1e6, corridors)
    losses, chance = lognormal(1.0, 2.0)
    outcomes = rs.settle(of, draws(of, losses * 1e6)).isel(year=0)
    return chance @ outcomes.posting.sel(term="c.cover", partner="employer").values / 1e6


def test_m31_corridor_from_1x_to_2x_of_a_lognormal():
    losses, chance = lognormal(1.0, 2.0)
    assert chance @ losses == pytest.approx(1, abs=1e-12)
    assert chance @ losses**2 - 1 == pytest.approx(CV**2, abs=1e-12)
    layer = bands((0.0, 0.0), (1.0, 0.0), loss=(1.0, 0.0))
    assert eliminated(layer) == pytest.approx(0.195350, abs=5e-7)


@pytest.mark.parametrize(("beyond", "limited"), [(0.0, 0.698942), (1.0, 0.894292)])
def test_m31_limited_expected_value_is_what_an_excess_leaves(beyond, limited):
    assert 1 - eliminated([rs.Corridor(beyond=beyond, rate=both(0.0, 1.0))]) == pytest.approx(
        limited, abs=5e-7
    )


# --- Choices without a default, and contradictions ---------------------------------------------


def problems(**rule):
    """What is wrong with a pool, by path."""
    with pytest.raises(rs.CaseError) as found:
        scheme(**rule)
    return {problem.path: problem.message for problem in found.value.problems}


def amounts(message, word):
    """What a message says a reading pays at -10, -5, +5 and +10 % of a base of 100."""
    assert "-10 %, -5 %, +5 %, +10 % of a base of 100" in message
    found = re.search(rf"'{word}' pays ([^a-z]*) at", message)
    assert found is not None
    return [float(amount) for amount in found[1].split(", ")]


def test_a_gate_without_a_reading_is_refused_with_what_each_pays():
    found = problems(gate=rs.Gate(threshold=both(0.02, 0.06)), rate=both(0.8, 0.5))
    assert list(found) == ["c.pool.gate.reading"]
    message = found["c.pool.gate.reading"]
    # gains: 80 % of 5 and 10, or of 3 and 8; losses: 5 is within the threshold, 50 % of 10, or of 4
    assert amounts(message, "first-dollar") == [-5, 0, 4, 8]
    assert amounts(message, "excess-only") == [-2, 0, 2.4, 6.4]


def test_a_cap_without_its_place_is_refused_with_what_each_pays():
    found = problems(rate=0.8, caps=[rs.Cap(limit=both(0.05, 0.03), of="budget")])
    assert list(found) == ["c.pool.caps[0].applies"]
    message = found["c.pool.caps[0].applies"]
    # gains: 80 % of at most 5, or at most 5 of 80 % of 10; losses: 80 % of 3, or 3
    assert amounts(message, "before-share") == [-2.4, -2.4, 4, 4]
    assert amounts(message, "after-share") == [-3, -3, 4, 5]


def test_every_cap_is_asked_for_its_place():
    other = rs.Cap(limit=0.05, of="budget", applies="after-share")
    found = problems(caps=[other, rs.Cap(limit=0.04, of="budget")])
    assert list(found) == ["c.pool.caps[1].applies"]
    assert amounts(found["c.pool.caps[1].applies"], "before-share") == [-4, -4, 4, 4]


@pytest.mark.parametrize(
    ("field", "rule", "readings"),
    [
        (
            "caps[0].of",
            {"caps": [rs.Cap(limit=0.05, applies="after-share")]},
            ("budget", "revenue"),
        ),
        (
            "truncation.benchmark",
            {"truncation": rs.Truncation(at=50_000.0)},
            ("truncated", "untruncated"),
        ),
        ("rebasing.direction", {"rebasing": rs.Rebasing(weight=0.5)}, ("both-ways", "down-only")),
    ],
)
def test_other_choices_left_out_are_refused_with_both_readings(field, rule, readings):
    found = problems(**rule)
    message = found[f"c.pool.{field}"]
    assert message.startswith("missing; it changes what is paid, so it has no default")
    assert all(f"'{reading}'" in message for reading in readings)


def test_two_choices_left_out_are_both_asked_for():
    gate = rs.Gate(threshold=0.02)
    found = problems(gate=gate, caps=[rs.Cap(limit=0.05, of="budget")], rate=0.8)
    assert set(found) == {"c.pool.gate.reading", "c.pool.caps[0].applies"}


@pytest.mark.parametrize(
    ("rule", "field", "message"),
    [
        ({"rate": 0.5, "corridors": bands((0.0, 0.5))}, "rate", "beside corridors"),
        ({"corridors": bands((0.05, 0.5), (0.02, 0.8))}, "corridors[1].beyond", "out of order"),
        ({"corridors": bands((0.05, 0.5), (0.05, 0.8))}, "corridors[1].beyond", "out of order"),
        ({"value_of": None}, "against", "cost_of or value_of"),
        ({"cost_of": ["care"]}, "against", "give one of against, cost_of and value_of"),
        (
            {"caps": [rs.Cap(limit=0.08, of="revenue", applies="after-share")]},
            "caps[0].revenue",
            "it needs one",
        ),
        (
            {"caps": [rs.Cap(limit=0.08, of="budget", applies="after-share", revenue=1e6)]},
            "caps[0].revenue",
            'goes with of = "revenue"',
        ),
        (
            {"truncation": rs.Truncation(at=5e4, benchmark="untruncated")},
            "truncation.expected_excess",
            "it needs one",
        ),
        (
            {"truncation": rs.Truncation(at=5e4, benchmark="truncated", expected_excess=0.1)},
            "truncation.expected_excess",
            'goes with benchmark = "untruncated"',
        ),
        (
            {"quality": rs.Quality(partner=PROVIDER, withhold=0.02)},
            "quality.partner",
            "quality is missing",
        ),
        (
            {"rate": 5.0},
            "rate",
            "did you mean 0.05?",
        ),
    ],
)
def test_contradictions_are_refused_where_they_stand(rule, field, message):
    found = problems(**rule)
    assert list(found) == [f"c.pool.{field}"]
    assert message in found[f"c.pool.{field}"]


def test_bands_out_of_order_on_one_side_are_refused():
    found = problems(
        corridors=[
            rs.Corridor(beyond=both(0.02, 0.05), rate=0.5),
            rs.Corridor(beyond=both(0.04, 0.03), rate=0.8),
        ]
    )
    assert "found 0.03 after 0.05" in found["c.pool.corridors[1].beyond"]
