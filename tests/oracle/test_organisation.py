"""Organisations: pooled funds (M22), control totals (M23), reserves (M24), invest to save (M26),
withholds and quality (M27), and the rest of an organisation.
"""

import dataclasses

import numpy as np
import pytest
from builders import actuals, balanced, case, line, paid, partner
from scipy.stats import norm

import riskshare as rs


def settled(of, given):
    outcomes = rs.settle(of, given)
    assert balanced(outcomes)
    return outcomes


def position(outcomes, name, year=0):
    return round(float(outcomes.position.sel(partner=name).isel(year=year, sample=0)), 2)


# --- M22: a pooled fund of a clinical commissioning group and a council

CCG, COUNCIL = 354_200_000.00, 105_800_000.00


def pooled(key, base, **fields):
    """Plymouth: 460m of spend at 1m a unit, hosted by the commissioning group."""
    return case(
        [line("care", baseline=460, price=1e6, unit_cost=1e6, payer="fund")],
        [
            rs.Funding(name="ccg-part", from_="ccg", to="fund", amount=CCG),
            rs.Funding(name="council-part", from_="council", to="fund", amount=COUNCIL),
            rs.ActivityPayment(),
            rs.Pool(
                budget="fund",
                against=["activity-payment"],
                holder="fund",
                key=key,
                **fields,
            ),
        ],
        budgets=[rs.Budget(name="fund", base=base, planned_changes=False, new_services=False)],
        partners=[
            partner("ccg", "payer"),
            partner("council", "council"),
            partner("provider"),
            partner("fund", "pool"),
        ],
    )


def test_m22_460m_split_77_to_23():
    # without a budget all of the spend is shared
    split = pooled("equity", 0.0, weights={"ccg": 77.0, "council": 23.0})
    outcomes = settled(split, actuals(split, 460.0))
    assert paid(outcomes, "pool", to="ccg") == -354_200_000.00
    assert paid(outcomes, "pool", to="council") == -105_800_000.00


@pytest.mark.parametrize(
    ("spend", "ccg", "council"),
    [
        (461, -770_000.00, -230_000.00),  # 1.0m over: 0.77 and 0.23
        (459, 770_000.00, 230_000.00),
        (460.039, -30_030.00, -8_970.00),  # the net risk payment of 2015/16: 39k
    ],
)
def test_m22_an_overspend_is_shared_by_contribution(spend, ccg, council):
    by_contribution = pooled("contribution", 460e6, contributions=["ccg-part", "council-part"])
    outcomes = settled(by_contribution, actuals(by_contribution, spend))
    assert paid(outcomes, "pool", to="ccg") == ccg
    assert paid(outcomes, "pool", to="council") == council
    assert paid(outcomes, "pool", to="fund") == -(ccg + council)


def test_m22_the_risk_payment_of_39k_is_0_0085_per_cent_of_the_fund():
    by_contribution = pooled("contribution", 460e6, contributions=["ccg-part", "council-part"])
    outcomes = settled(by_contribution, actuals(by_contribution, 460.039))
    assert round(100 * paid(outcomes, "pool", to="fund") / 460e6, 4) == 0.0085


def performance(release, target=0.042):
    return case(
        [line("admissions", baseline=10_000)],
        [
            rs.PerformancePayment(
                from_="payer", to="provider", amount=2.8e6, target=target, release=release
            )
        ],
    )


@pytest.mark.parametrize(
    ("admissions", "gate", "pro_rata"),
    [
        (9580, 2_800_000.00, 2_800_000.00),  # down 4.2 %
        (9581, 0.00, 2_793_333.33),
        (9790, 0.00, 1_400_000.00),  # half of it
        (10_000, 0.00, 0.00),
        (10_500, 0.00, 0.00),  # a rise takes nothing back
        (9000, 2_800_000.00, 2_800_000.00),  # more than all is not paid
    ],
)
def test_m22_performance_money_at_4_2_per_cent_fewer_admissions(admissions, gate, pro_rata):
    for release, amount in (("gate", gate), ("pro-rata", pro_rata)):
        of = performance(release)
        assert paid(settled(of, actuals(of, admissions)), "performance-payment") == amount


@pytest.mark.parametrize("percent", range(1, 100))
def test_a_reduction_of_exactly_the_target_opens_the_gate(percent):
    of = performance("gate", percent / 100)
    outcomes = settled(of, actuals(of, 100 * (100 - percent)))
    assert paid(outcomes, "performance-payment") == 2_800_000.00


def test_performance_looks_at_all_its_lines_together():
    of = case(
        [line("a", baseline=3000), line("b", baseline=1000)],
        [
            rs.PerformancePayment(
                from_="payer", to="provider", amount=1e6, target=0.1, release="pro-rata"
            )
        ],
    )
    # a -300, b +100: 200 of 4,000 is 5 %
    assert paid(settled(of, actuals(of, [2700, 1100])), "performance-payment") == 500_000.00


def test_performance_release_has_no_default():
    with pytest.raises(rs.CaseError, match=r"c\.performance-payment\.release.*'gate'.*'pro-rata'"):
        performance(None)


# --- M23: control totals

SAVINGS = {"a": 8e6, "b": 2e6, "c": 5e6, "d": 5e6}
TURNOVER = {"a": 200e6, "b": 100e6, "c": 100e6, "d": 100e6}
OFFSET = {"a": 0.0, "b": 2e6, "c": -1e6, "d": -1e6}
NAMES = tuple(SAVINGS)
COST = 100e6


def system(*terms, names=NAMES, offset=OFFSET, target=SAVINGS, **fields):
    """Organisations funded with 100m each for a cost that actuals say."""
    return case(
        [
            line(f"care-{n}", baseline=COST, unit_cost=1.0, price=0.0, deliverer=n, payer="nation")
            for n in names
        ],
        [*(rs.Funding(name=f"f{n}", from_="nation", to=n, amount=COST) for n in names), *terms],
        partners=[
            *(
                partner(
                    n,
                    target=target.get(n, 0.0),
                    offset=offset.get(n, 0.0),
                    turnover=TURNOVER.get(n, 100e6),
                )
                for n in names
            ),
            partner("nation", "external"),
        ],
        **fields,
    )


def ending(of, *positions):
    """Settle with organisations that would end there before the term, in money."""
    return settled(of, actuals(of, [COST - p for p in positions]))


def funding(**fields):
    whole = {"from_": "nation", "system": ["a", "b"], "amount": {"a": 10e6}, "own": 0.5}
    return rs.ControlTotalFunding(**(whole | fields))


def funded(of, *positions, to="a"):
    return paid(ending(of, *positions), "control-total-funding", to=to)


def plain(**fields):
    return system(funding(**fields), names=("a", "b"), offset={}, target={})


def test_m23_offsets_make_the_challenge_equal():
    outcomes = ending(system(), 0.0, 0.0, 0.0, 0.0)
    targets = outcomes.target.sel(partner=list(NAMES)).isel(year=0)
    np.testing.assert_array_equal(targets, [8e6, 4e6, 4e6, 4e6])
    rate = targets / outcomes.turnover.sel(partner=list(NAMES)).isel(year=0)
    np.testing.assert_allclose(rate, 0.04, rtol=0, atol=1e-15)
    assert float(targets.sum()) == sum(SAVINGS.values())


@pytest.mark.parametrize("offset", [{"b": 2e6, "c": -1e6}, {"a": 0.01}, {"d": -1e6}])
def test_m23_offsets_sum_to_zero(offset):
    with pytest.raises(rs.CaseError, match="offsets sum to"):
        system(offset=offset)


def test_m23_offsets_sum_to_zero_in_each_year():
    moved = {"a": (0.0, 1e6), "b": (0.0, -1e6)}
    system(offset=moved, count=2)
    with pytest.raises(rs.CaseError, match="offsets sum to"):
        system(offset=moved | {"b": (-1e6, 0.0)}, count=2)


def test_m23_funding_looks_at_targets_with_their_offsets():
    own = funding(system=list(NAMES), amount=dict.fromkeys(NAMES, 1e6), own=1.0)
    outcomes = ending(system(own), 8e6, 3e6, 4e6, 5e6)
    paid_to = [paid(outcomes, "control-total-funding", to=n) for n in NAMES]
    # b reached its 2m of before, not the 4m with its offset; c and d need 4m
    assert paid_to == [1e6, 0, 1e6, 1e6]


@pytest.mark.parametrize(
    ("own", "other", "paid_out"),
    [
        (0.0, -1e6, 5_000_000.00),  # own met, system missed
        (0.0, 0.0, 10_000_000.00),
        (-1e6, -1e6, 0.00),
        (-1e6, 1e6, 5_000_000.00),  # own missed, system met
        (-0.01, 0.0, 0.00),  # a penny short of both
        (0.01, -0.02, 5_000_000.00),
    ],
)
def test_m23_funding_of_10m_half_of_it_on_the_own_total(own, other, paid_out):
    assert funded(plain(), own, other) == paid_out


@pytest.mark.parametrize(("part", "paid_out"), [(1.0, 10e6), (0.0, 0.0)])
def test_m23_dorset_put_all_of_it_on_the_collective_total(part, paid_out):
    assert funded(plain(own=part), 1e6, -2e6) == paid_out


def test_m23_a_total_that_is_met_to_the_penny_is_met():
    # 100.10 + 200.20 - 300.30 is nothing, and nothing meets a total of 0
    exact = case(
        [line(baseline=1, price=100.10, unit_cost=300.30)],
        [
            rs.ActivityPayment(),
            rs.Funding(from_="payer", to="provider", amount=200.20),
            rs.ControlTotalFunding(
                from_="external", system=["provider"], amount={"provider": 10.0}, own=1.0
            ),
        ],
    )
    outcomes = settled(exact, actuals(exact, 1.0))
    assert paid(outcomes, "control-total-funding") == 10.00


def test_m23_who_declines_a_total_declines_the_funding():
    declined = plain(accepted={"a": 0.0}, amount={"a": 10e6, "b": 10e6})
    outcomes = ending(declined, 1e6, 1e6)
    assert paid(outcomes, "control-total-funding", to="a") == 0.00
    assert paid(outcomes, "control-total-funding", to="b") == 10_000_000.00


@pytest.mark.parametrize(
    ("surplus", "paid_out"),
    [(0.0, 10e6), (1_234_567.89, 11_234_567.89), (5e6, 13e6), (-1e6, 0.0)],
)
def test_m23_bonus_pound_for_pound_up_to_its_limit(surplus, paid_out):
    bonus = plain(own=1.0, bonus=1.0, bonus_limit={"a": 3e6, "b": 0.0})
    assert funded(bonus, surplus, 0.0) == paid_out


def test_m23_the_sum_of_positions_decides_for_the_system_alone():
    # c is not in the system: its deficit does not count
    three = system(funding(), names=("a", "b", "c"), offset={}, target={})
    assert funded(three, 1e6, -1e6, -9e6) == 10_000_000.00


def test_a_line_may_have_the_name_of_a_partner():
    same = case(
        [line("a", deliverer="a", payer="b"), line("b", deliverer="b", payer="a")],
        [rs.ActivityPayment(), funding()],
        partners=[partner("a"), partner("b"), partner("nation", "external")],
    )
    of = dataclasses.replace(
        same,
        partners=[
            dataclasses.replace(p, target=-20e6 if p.kind == "provider" else 0.0)
            for p in same.partners
        ],
    )
    outcomes = settled(of, actuals(of, [10_000.0, 10_000.0]))
    assert paid(outcomes, "control-total-funding", to="a") == 10_000_000.00


def test_m23_funding_sees_what_sharing_and_support_did():
    rescued = system(
        rs.DeficitSupport(from_="nation", share={"a": 1.0}),
        funding(own=1.0),
        names=("a", "b"),
        offset={},
        target={},
    )
    assert funded(rescued, -5e6, 0.0) == 10_000_000.00


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"bonus": 1.0}, "bonus_limit"),
        ({"system": []}, "system"),
        ({"amount": {"nation": 1e6}}, "would fund itself"),
        ({"amount": 1e6}, "give it by partner"),
        ({"own": 50.0}, r"0\.5"),
    ],
)
def test_m23_contradictions_are_refused(fields, problem):
    with pytest.raises(rs.CaseError, match=rf"control-total-funding.*{problem}"):
        plain(**fields)


# --- M24: what fills a reserve

CCGS, PROVIDERS = 72e9, 54e9


def reserve(**fields):
    """2017/18: 0.5 % of allocations of 72bn, 200m of the nation's, 0.5 % of provider quality."""
    return case(
        [line(baseline=1, unit_cost=1.0, price=1.0, payer="ccgs", deliverer="providers")],
        [
            rs.Levy(to="reserve", rate={"ccgs": 0.005, "providers": 0.005}, **fields),
            rs.Funding(from_="nhs-england", to="reserve", amount=200e6),
        ],
        partners=[
            partner("ccgs", "payer", turnover=CCGS),
            partner("providers", turnover=PROVIDERS),
            partner("nhs-england", "external"),
            partner("reserve", "pool"),
        ],
    )


def test_m24_the_reserve_is_360_and_200_and_270():
    outcomes = settled(reserve(), actuals(reserve(), 1.0))
    assert paid(outcomes, "levy", to="ccgs") == -360_000_000.00
    assert paid(outcomes, "levy", to="providers") == -270_000_000.00
    balance = outcomes.closing.sel(state="accounts.reserve.balance").item()
    assert balance == 830_000_000.00


@pytest.mark.parametrize("rate", [{"provider": 0.005}, 0.005, (0.005,)])
def test_a_levy_needs_the_turnover_it_is_a_share_of(rate):
    with pytest.raises(rs.CaseError, match=r"levy\.rate.*turnover"):
        case(
            [line()],
            [rs.Levy(to="payer", rate=rate)],
            partners=[partner("payer", "payer"), partner("provider")],
        )


# --- M26: a community trust invests 2m, a local authority saves 10m


def invested(share=None, measure="cost-released", **fields):
    """The council's care costs 10m, and is funded so; all of it is prevented for 2m."""
    term = []
    if share is not None:
        term = [
            rs.InvestToSave(
                from_="council",
                to="trust",
                investment=2e6,
                share=share,
                measure=measure,
                **fields,
            )
        ]
    return case(
        [line("care", baseline=5000, unit_cost=2000.0, deliverer="council", payer="external")],
        [rs.Funding(from_="external", to="council", amount=10e6), *term],
        partners=[
            partner("trust"),
            partner("council", "council"),
            partner("external", "external"),
        ],
        changes=[
            rs.Change(name="prevention", owner="trust", source="care", size=1.0, running_cost=2e6)
        ],
        drivers=[rs.Driver(name="success", acts_on="funding", law="normal", sd=0.3)],
    )


@pytest.mark.parametrize("measure", ["cost-released", "value-removed", "stated"])
@pytest.mark.parametrize(
    ("share", "transfer", "trust", "council"),
    [(0.0, 2e6, 0.0, 8e6), (0.5, 6e6, 4e6, 4e6), (1.0, 10e6, 8e6, 0.0)],
)
def test_m26_transfer_and_positions(measure, share, transfer, trust, council):
    stated = {"saving": 10e6} if measure == "stated" else {}
    of = invested(share, measure, **stated)
    outcomes = settled(of, actuals(of, 0.0))
    assert paid(outcomes, "invest-to-save", to="trust") == transfer
    assert [position(outcomes, n) for n in ("trust", "council")] == [trust, council]


def test_m26_without_a_transfer_the_investor_loses_and_the_other_gains():
    of = invested()
    outcomes = settled(of, actuals(of, 0.0))
    assert [position(outcomes, n) for n in ("trust", "council")] == [-2e6, 10e6]


@pytest.mark.parametrize(
    ("activity", "share", "floor", "transfer"),
    [
        (4500, 0.5, None, 1_500_000.00),  # S = 1m: 2 + 0.5 (1 - 2)
        (4500, 0.5, 0.9, 1_800_000.00),
        (4500, 0.5, 0.5, 1_500_000.00),
        (5000, 1.0, None, 0.00),
        (5500, 1.0, 1.0, 2_000_000.00),  # growth saves nothing
        (5500, 1.0, None, 0.00),
    ],
)
def test_m26_a_saving_below_the_investment_and_a_floor(activity, share, floor, transfer):
    of = invested(share, floor=floor)
    outcomes = settled(of, actuals(of, activity))
    assert paid(outcomes, "invest-to-save", to="trust") == transfer


def test_m26_cost_released_is_not_value_removed():
    fixed = rs.CostBehaviour(variable=0.2, fixed=0.8)
    found = {}
    for measure in ("cost-released", "value-removed"):
        of = invested(1.0, measure)
        of = dataclasses.replace(of, lines=[dataclasses.replace(of.lines[0], cost=fixed)])
        given = actuals(of, 0.0, drivers={"delivery[prevention]": 1.0})
        found[measure] = paid(settled(of, given), "invest-to-save", to="trust")
    assert found == {"cost-released": 2_000_000.00, "value-removed": 10_000_000.00}


def uncertain(share, floor=None):
    return invested(share, "stated", saving=2.5e6, driver="success", floor=floor)


def test_m26_a_stated_saving_is_settled_at_the_index_that_came_true():
    of = uncertain(0.5)
    outcomes = settled(of, actuals(of, 0.0, drivers={"success": 0.6}))
    assert paid(outcomes, "invest-to-save", to="trust") == 1_750_000.00  # S = 1.5
    with pytest.raises(rs.ExperienceError, match=r"driver_index\[success, 2018/19\]: missing"):
        rs.settle(of, actuals(of, 0.0))


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_m26_the_investor_loses_where_the_saving_is_below_the_investment(share):
    # S = 2.5m x index, index normal with mean 1 and sd 0.3: P(S < 2) = Phi(-0.2 / 0.3)
    chance = norm.cdf((2.0 / 2.5 - 1) / 0.3)
    outcomes = rs.simulate(uncertain(share), samples=65_536, seed=3, sampler="pseudo-random")
    lost = outcomes.position.sel(partner="trust").isel(year=0) < 0
    error = np.sqrt(chance * (1 - chance) / lost.size)
    assert abs(float(lost.mean()) - chance) < 4 * error


@pytest.mark.parametrize(("share", "floor"), [(0.0, None), (0.5, 1.0)])
def test_m26_reimbursement_or_a_full_floor_never_loses(share, floor):
    outcomes = rs.simulate(uncertain(share, floor), samples=4096, seed=3)
    assert float(outcomes.position.sel(partner="trust").min()) == 0.0


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"saving": 1e6}, r"\.saving"),
        ({"measure": "stated"}, r"\.saving"),
        ({"driver": "success"}, r"\.driver"),
        ({"measure": None}, r"\.measure.*'cost-released'.*'value-removed'.*'stated'"),
    ],
)
def test_m26_a_saving_is_measured_in_one_way_that_is_said(fields, problem):
    with pytest.raises(rs.CaseError, match=rf"c\.invest-to-save{problem}"):
        invested(**({"share": 0.5} | fields))


# --- M27: withholds and quality scores


def withheld(quality="value", **fields):
    """2 % of 100m is held back and paid by quality."""
    scores = {
        "value": rs.Score(value=0.85),
        "law": rs.Score(value=0.85, law="normal", sd=0.05),
        None: None,
    }
    return case(
        [line(baseline=50_000)],
        [
            rs.ActivityPayment(),
            rs.Withhold(
                from_="provider", to="payer", of=["activity-payment"], share=0.02, **fields
            ),
        ],
        partners=[
            partner("payer", "payer"),
            partner("provider", quality=scores[quality]),
            partner("external", "external"),
        ],
    )


def scored(of, score, activity=50_000.0):
    given = actuals(of, activity).assign_coords(partner=["provider"])
    given["quality"] = (("year", "partner"), [[score]])
    return given


def test_m27_a_withhold_of_2_per_cent_at_a_score_of_85():
    outcomes = settled(withheld(), scored(withheld(), 0.85))
    received = paid(outcomes, "activity-payment") + paid(outcomes, "withhold")
    assert round(received, 2) == 99_700_000.00
    assert paid(outcomes, "withhold", to="payer") == 300_000.00


@pytest.mark.parametrize(("score", "lost"), [(0.0, 2_000_000.00), (1.0, 0.00), (0.5, 1_000_000.00)])
def test_m27_what_the_score_does_not_earn_is_lost(score, lost):
    outcomes = settled(withheld("law"), scored(withheld("law"), score))
    assert paid(outcomes, "withhold", to="payer") == lost


@pytest.mark.parametrize("quality", ["value", "law"])
def test_a_score_of_actuals_is_never_taken_from_plan(quality):
    of = withheld(quality)
    message = r"quality\[provider, 2018/19\]: missing; c\.withhold needs it"
    for missing in ("error", "plan"):
        with pytest.raises(rs.ExperienceError, match=message):
            rs.settle(of, actuals(of, 50_000.0), missing=missing)


def test_a_withhold_needs_a_partner_with_a_score():
    with pytest.raises(rs.CaseError, match=r"c\.withhold\.from.*partners\.provider\.quality"):
        withheld(None)


@pytest.mark.parametrize("score", [85.0, 1.01, -0.1])
def test_a_score_is_a_share(score):
    with pytest.raises(rs.ExperienceError, match=r"quality\[provider, 2018/19\]"):
        rs.settle(withheld(), scored(withheld(), score))


def test_a_score_is_stated_as_a_share():
    with pytest.raises(rs.CaseError, match=r"partners\.provider\.quality"):
        case(
            partners=[partner("payer", "payer"), partner("provider", quality=rs.Score(value=85.0))]
        )


def test_a_score_with_a_value_is_certain():
    outcomes = rs.simulate(withheld("value"), samples=64, precision="float64")
    lost = outcomes.posting.sel(term="c.withhold", partner="payer")
    np.testing.assert_allclose(lost, 300_000.0, rtol=1e-12)


def test_a_score_with_a_law_is_drawn_within_0_and_1():
    of = withheld("law")
    draws = rs.draw(of, samples=65_536, seed=5, sampler="pseudo-random")
    score = draws.quality.sel(partner="provider").isel(year=0).values.astype(np.float64)
    # normal, mean 0.85, sd 0.05; 1 is three sd away: E min(X, 1) = 1 - sd x (3 Phi(3) + phi(3))
    mean = 1 - 0.05 * (3 * norm.cdf(3) + norm.pdf(3))
    assert score.max() == 1.0
    assert abs(score.mean() - mean) < 4 * score.std() / np.sqrt(score.size)
    above = 1 - norm.cdf(3)
    error = np.sqrt(above * (1 - above) / score.size)
    assert abs((score == 1).mean() - above) < 4 * error
    assert np.isnan(draws.quality.sel(partner="payer")).all()


def test_drawn_scores_settle_as_they_were_simulated():
    of = withheld("law")
    draws = rs.draw(of, samples=256, seed=5, precision="float64")
    given = rs.settle(of, draws).posting.sel(term="c.withhold")
    whole = rs.simulate(of, samples=256, seed=5, precision="float64")
    np.testing.assert_allclose(given, whole.posting.sel(term="c.withhold"), rtol=1e-9)


# --- the rest of an organisation


def wider(mean=3e6, sd=2e6, correlation=0.6, count=1, **fields):
    return case(
        [line(deliverer="acute", loadings={"demand": 1.0})],
        partners=[
            partner("payer", "payer"),
            partner("acute", other_position=rs.OtherPosition(mean=mean, sd=sd, **fields)),
            partner("external", "external"),
        ],
        drivers=[rs.Driver(name="demand", acts_on="activity", law="normal", sd=0.05)],
        correlations=[rs.Correlation(between=["other[acute]", "demand"], value=correlation)]
        if sd
        else [],
        count=count,
    )


def rest(outcomes, year=0):
    values = outcomes.other_position.sel(partner="acute").isel(year=year).values
    return values.astype(np.float64)


def test_the_rest_of_an_organisation_has_its_mean_and_sd():
    draws = rs.draw(wider(), samples=65_536, seed=7, sampler="pseudo-random")
    values, n = rest(draws), draws.sizes["sample"]
    assert abs(values.mean() - 3e6) < 4 * 2e6 / np.sqrt(n)
    assert abs(values.std() - 2e6) < 4 * 2e6 / np.sqrt(2 * n)
    assert np.isnan(draws.other_position.sel(partner="payer")).all()
    outcomes = rs.simulate(wider(), samples=65_536, seed=7, sampler="pseudo-random")
    np.testing.assert_allclose(rest(outcomes), values, rtol=1e-5, atol=2.0)


@pytest.mark.parametrize("correlation", [0.6, -0.3])
def test_the_rest_of_an_organisation_correlates_with_a_driver(correlation):
    of = wider(correlation=correlation)
    draws = rs.draw(of, samples=65_536, seed=8, sampler="pseudo-random")
    demand = draws.driver_index.sel(driver="demand").isel(year=0)
    found = np.corrcoef(rest(draws), demand)[0, 1]
    assert abs(found - correlation) < 4 * (1 - correlation**2) / np.sqrt(draws.sizes["sample"])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 0.0),
        ({"persistence": 0.7}, 0.7),
        ({"process": "constant"}, 1.0),
    ],
)
def test_the_rest_of_an_organisation_through_the_years(fields, expected):
    of = wider(mean=[3e6, -1e6], count=2, **fields)
    draws = rs.draw(of, samples=65_536, seed=9, sampler="pseudo-random")
    first, second, n = rest(draws, 0), rest(draws, 1), draws.sizes["sample"]
    assert abs(second.mean() + 1e6) < 4 * 2e6 / np.sqrt(n)
    assert abs(second.std() - 2e6) < 4 * 2e6 / np.sqrt(2 * n)
    found = np.corrcoef(first, second)[0, 1]
    assert abs(found - expected) < 4 * max(1 - expected**2, 1e-4) / np.sqrt(n)


def test_a_random_walk_adds_steps():
    of = wider(count=2, process="random-walk")
    draws = rs.draw(of, samples=65_536, seed=9, sampler="pseudo-random")
    n = draws.sizes["sample"]
    steps = rest(draws, 1) - rest(draws, 0)
    assert abs(steps.std() - 2e6) < 4 * 2e6 / np.sqrt(2 * n)
    assert abs(np.corrcoef(rest(draws, 0), steps)[0, 1]) < 4 / np.sqrt(n)


def test_the_rest_of_an_organisation_is_reported_apart():
    with_rest = rs.simulate(wider(), samples=256, seed=1)
    alone = dataclasses.replace(wider().partners[1], other_position=None)
    partners = [alone if p.name == "acute" else p for p in wider().partners]
    without = rs.simulate(
        dataclasses.replace(wider(), partners=partners, correlations=[]), samples=256, seed=1
    )
    assert "other_position" not in without
    np.testing.assert_array_equal(with_rest.position, without.position)


def given_rest(of, value):
    given = actuals(of, 10_000.0).assign_coords(partner=["acute"])
    given["other_position"] = (("year", "partner"), [[value]])
    return given


@pytest.mark.parametrize("value", [-4_321_987.65, 0.0, 3e6, 250e6])
@pytest.mark.parametrize("sd", [2e6, 1e4, 0.0])
def test_the_rest_of_an_organisation_that_is_known_is_reported_as_it_is(value, sd):
    outcomes = settled(wider(sd=sd), given_rest(wider(sd=sd), value))
    assert round(float(rest(outcomes)[0]), 2) == value


def test_the_rest_of_an_organisation_that_is_not_known_is_not_plan():
    outcomes = settled(wider(), actuals(wider(), 10_000.0))
    assert np.isnan(rest(outcomes)).all()
