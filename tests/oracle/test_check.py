"""The contract check against jumps, gaps and probabilities that are worked out by hand."""

import subprocess
import sys
from io import StringIO
from typing import Annotated, ClassVar

import numpy as np
import pytest
from builders import PAYER, PROVIDER, behaviour, case, line, msk_toy, paid, partner, two, years
from builders import actuals as happened
from scipy import stats

import riskshare as rs
from riskshare.contract import term as terms
from riskshare.contract.ledger import single
from riskshare.contract.primitives import reached
from riskshare.contract.term import AbstractTerm, Partner, samples_of, term
from riskshare.parameters import Given, Parameter
from riskshare.report.check import print_check
from riskshare.report.whole import screen

SAMPLES = 4096
CV = 0.05
NOISE = rs.Noise(law="lognormal", cv=CV)
SIGMA = np.sqrt(np.log1p(CV**2))


def check(of, **fields):
    return rs.check(of, **{"samples": SAMPLES, **fields})


def messages(found, topic, severity=None):
    return [f.message for f in found.about(topic) if severity in (None, f.severity)]


def chance(low, high):
    """Probability that lognormal noise of mean 1 lies between two multiples of its mean."""
    law = stats.lognorm(SIGMA, scale=np.exp(-(SIGMA**2) / 2))
    return law.cdf(high) - law.cdf(low)


def near(probability):
    return pytest.approx(probability, abs=3 * np.sqrt(probability / SAMPLES))


def pooled(activity=10_000, price=2000.0, noise=None, partners=None, **pool):
    """Payment by activity under a pool between payer and provider, against planned value."""
    fields = {
        "budget": "b",
        "against": ["activity-payment"],
        "holder": PAYER,
        "key": "fixed",
        "share": {PROVIDER: 1.0},
    }
    return case(
        [line(baseline=activity, price=price, unit_cost=price, noise=noise)],
        [rs.ActivityPayment(), rs.Pool(**(fields | pool))],
        budgets=[rs.Budget(name="b")],
        partners=two() if partners is None else partners,
    )


# ---------------------------------------------------------------- continuity


def part_d(**second):
    """M16: target 100, half shared beyond 5 %, four fifths beyond 10 %, in both directions."""
    corridors = [rs.Corridor(beyond=0.05, rate=0.5), rs.Corridor(beyond=0.10, rate=0.8, **second)]
    return pooled(activity=100, price=1.0, corridors=corridors)


LITERAL = {"counted_from": {"gain": -0.10, "loss": 0.10}}
"""The statute's lower tail says 'second threshold upper limit': 110 less 88, not 90 less 88."""


def test_m16_read_literally_jumps_by_sixteen_where_no_gate_is_declared():
    of = part_d(**LITERAL)
    given = rs.settle(of, happened(of, 88.0))
    assert paid(given, "pool") == pytest.approx(20.1)
    found = check(of)
    (error,) = [f for f in found.findings if f.severity == "error"]
    assert not found.passed
    assert error.path == "c.pool.corridors[1].counted_from[gain]"
    assert "jumps by £16.00 at 10 % of the budget" in error.message
    assert "no gate is declared there" in error.message
    gates = found.gates.isel(gate=0)
    assert float(gates["at"]) == pytest.approx(0.90, abs=1e-9)
    # 0.8 x (10 - -10) of a target of 100, to the penny
    assert float(gates.height) == pytest.approx(16.0, abs=0.005)
    assert not bool(gates.declared)


def test_m16_as_it_was_meant_is_continuous():
    of = part_d()
    assert paid(rs.settle(of, happened(of, 88.0)), "pool") == pytest.approx(4.1)
    found = check(of)
    assert found.passed
    assert found.gates.sizes["gate"] == 0
    assert not found.about("continuity")


def glass(reading, noise=None):
    broken = rs.BreakGlass(threshold=0.10, rate=0.7, reading=reading)
    return case([line(noise=noise)], [rs.Block(), rs.MarginalRate(rate=0.2, break_glass=broken)])


def test_m05_repricing_the_whole_deviation_moves_a_million_at_the_threshold():
    found = check(glass("whole-deviation", NOISE))
    gates = found.gates.where(found.gates["where"] == "spells", drop=True)
    np.testing.assert_allclose(gates["at"], [0.9, 1.1], rtol=1e-9)
    np.testing.assert_allclose(gates.height, 1_000_000.0, atol=0.005)
    np.testing.assert_allclose(gates["jump"].sel(partner=PROVIDER), 1_000_000.0, atol=0.005)
    assert list(gates.number.values) == [
        "c.marginal-rate.break_glass.threshold[down]",
        "c.marginal-rate.break_glass.threshold[up]",
    ]
    assert found.passed
    assert all(gates.declared)
    for mass, at in zip(gates.mass.values, (0.9, 1.1), strict=True):
        assert mass == near(chance(at - 0.005, at + 0.005))


def test_m05_repricing_the_excess_alone_is_continuous():
    assert check(glass("excess-only")).gates.sizes["gate"] == 0


def test_m12_a_minimum_savings_rate_jumps_by_sequestration_share_and_rate_of_the_benchmark():
    gate = rs.Gate(threshold={"gain": 0.02, "loss": 1.0}, reading="first-dollar")
    found = check(pooled(noise=NOISE, gate=gate, rate=0.5, scalar={"gain": 0.98, "loss": 1.0}))
    gates = found.gates.where(found.gates["where"] == "all lines of c", drop=True)
    assert gates.sizes["gate"] == 1
    assert float(gates.height[0]) == pytest.approx(0.98 * 0.5 * 0.02 * 20e6, abs=0.005)
    assert float(gates["at"][0]) == pytest.approx(0.98, abs=1e-9)
    assert float(gates.mass[0]) == near(chance(0.975, 0.985))
    (message,) = messages(found, "continuity", "warning")
    assert "£196,000.00" in message


def test_an_excess_only_gate_is_continuous():
    gate = rs.Gate(threshold=0.02, reading="excess-only")
    assert check(pooled(gate=gate, rate=0.5)).gates.sizes["gate"] == 0


def test_m23_control_total_funding_is_lost_at_the_target():
    partners = [partner(PAYER, "payer"), partner(PROVIDER, target=-1e6), *two()[2:]]
    funding = rs.ControlTotalFunding(
        from_="external", system=[PROVIDER], amount={PROVIDER: 10e6}, own=0.5
    )
    found = check(case([line()], [rs.Block(), funding], partners=partners))
    # cost is all variable: 500 spells at 2,000 above plan make the deficit of 1m
    gates = found.gates.where(found.gates["where"] == "spells", drop=True)
    np.testing.assert_allclose(gates["at"], 1.05, rtol=1e-9)
    assert float(gates.height[0]) == pytest.approx(10e6, abs=0.005)  # both halves, one target
    assert list(gates.number.values) == ["partners.provider.target"]


def test_a_ward_that_opens_is_a_step_of_cost():
    # 220 a bed-day, 365 days, 25 beds: 2,007,500
    ward = rs.CostBehaviour(
        variable=0.0,
        semi_fixed=1.0,
        step=rs.Step(size=25, unit="beds", length_of_stay=1, occupancy=1.0, cost=2_007_500.0),
    )
    beds = line(baseline=36_500, unit_cost=220.0, price=220.0, cost=ward)
    found = check(case([beds], [rs.Block()]), span=0.3)
    gates = found.gates.where(found.gates.term == "cost of spells", drop=True)
    # 100 beds are installed and full: the next opens just above plan
    assert float(gates.height[-1]) == pytest.approx(2_007_500.0, abs=0.005)
    assert float(gates["at"][-1]) == pytest.approx(1.0, abs=1e-6)
    assert found.passed


def test_a_quality_standard_is_a_gate_of_the_score():
    pool = rs.Pool(
        budget="b",
        against=["activity-payment"],
        holder=PAYER,
        key="fixed",
        share={PROVIDER: 1.0},
        rate=0.5,
        quality=rs.Quality(partner=PROVIDER, standard=0.7),
    )
    scored = [*two()[:1], partner(PROVIDER, quality=rs.Score(value=0.8)), *two()[2:]]
    budget = rs.Budget(name="b", base=21e6, planned_changes=False, new_services=False)
    found = check(case([line()], [rs.ActivityPayment(), pool], budgets=[budget], partners=scored))
    (at,) = found.gates["at"].values
    # half of the gain of 1.0m at plan is lost below the standard
    assert at == pytest.approx(0.7, abs=1e-9)
    assert float(found.gates.height[0]) == pytest.approx(500_000.0, abs=0.005)
    assert str(found.gates["where"].values[0]) == "quality of provider"
    assert bool(found.gates.declared[0])
    assert found.passed


def test_a_jump_carried_into_a_later_year_is_not_found_again():
    # the glass breaks in the first year only; the account holds a loss and is made up in the second
    broken = rs.BreakGlass(threshold=[0.10, 1.0], rate=0.7, reading="whole-deviation")
    of = case(
        [line(payer="fund")],
        [
            rs.Funding(from_=PAYER, to="fund", amount=20e6),
            rs.Block(),
            rs.MarginalRate(rate=0.2, break_glass=broken),
        ],
        partners=[*two(), partner("fund", "pool", opening_balance=0, release={PAYER: 1.0})],
        count=2,
    )
    found = check(of)
    assert found.passed
    assert set(found.gates.year.values) == {"2018/19"}


# ---------------------------------------------------------------- terms from outside


@pytest.fixture
def own_kinds(monkeypatch):
    monkeypatch.setattr(terms, "TERMS", dict(terms.TERMS))


def test_a_term_that_makes_money_breaks_conservation(own_kinds):
    @term
    class Mint(AbstractTerm):
        kind: ClassVar[str] = "mint"
        usual_phase: ClassVar[str] = "payment"
        to: Partner
        amount: Annotated[Given, Parameter("money per year")]

        def residue_key(self, year):
            return self.to

        def settle(self, year, ledger, state):
            return (single(self.amount * samples_of(year), 2 * self.to, self.to),), state

    found = check(case(terms=[rs.Block(), Mint(to=PROVIDER, amount=1e6)]))
    (error,) = found.about("conservation")
    assert error.path == "c.mint"
    assert "£1.00m" in error.message
    assert found.imbalance > 0.01


def test_a_term_from_outside_declares_its_gates_by_its_own_numbers(own_kinds):
    @term
    class Prize(AbstractTerm):
        kind: ClassVar[str] = "prize"
        usual_phase: ClassVar[str] = "payment"
        amount: Annotated[Given, Parameter("money per year")]
        volume: Annotated[Given, Parameter("units")]

        def residue_key(self, year):
            return year.payer[:, 0]

        def settle(self, year, ledger, state):
            won = self.amount * reached((year.activity[0] - self.volume) / self.volume)
            return (single(won, year.deliverer[:, 0], year.payer[:, 0]),), state

    found = check(case(terms=[rs.Block(), Prize(amount=5e4, volume=10_500.0)]))
    gate = found.gates.where(found.gates["where"] == "spells", drop=True).isel(gate=0)
    assert str(gate.number.values) == "c.prize.volume"
    assert bool(gate.declared)
    assert float(gate.height) == pytest.approx(5e4, abs=0.005)
    assert float(gate["at"]) == pytest.approx(1.05, abs=1e-9)


# ---------------------------------------------------------------- monotonicity


def test_a_band_counted_from_beyond_its_beginning_shares_less_as_the_result_improves():
    corridors = [
        rs.Corridor(beyond=0.0, rate=0.5),
        rs.Corridor(beyond=0.05, rate=0.5, counted_from=0.08),
    ]
    found = check(pooled(corridors=corridors))
    (message,) = messages(found, "monotonicity")
    # at 5 % the share falls by 0.5 x 3 % of 20m, and the grid's interval adds its own slope
    assert "less as its result improves" in message
    assert not found.passed  # and it is a jump


def test_support_above_the_refund_pays_more_for_doing_less():
    support = rs.StrandedSupport(share=0.5, of="value removed", basis="realised")
    found = check(case([line()], [rs.Block(), rs.MarginalRate(rate=0.2), support]))
    paid_less = [m for m in messages(found, "monotonicity") if m.startswith("provider is paid")]
    # 0.3 of 2,000 for each of the 5,000 spells from half of plan to plan
    assert paid_less == [
        "provider is paid £3.00m less in all as activity of spells rises from 50.00 % to 100.00 % "
        "of plan (2018/19)"
    ]


def test_payment_by_activity_and_a_continuous_pool_turn_nowhere():
    corridors = [rs.Corridor(beyond=0.01, rate=0.5), rs.Corridor(beyond=0.04, rate=0.8)]
    assert not check(pooled(corridors=corridors)).about("monotonicity")


# ---------------------------------------------------------------- incentives


def blended(rate, variable=0.45):
    cost = rs.CostBehaviour(variable=variable, fixed=round(1 - variable, 10))
    return case([line(cost=cost)], [rs.Block(), rs.MarginalRate(rate=rate)])


def test_m04_a_rate_of_20_against_a_cost_of_45_per_cent_loses_500_on_each_spell():
    found = check(blended(0.2))
    at = found.incentive.sel(line="spells", partner=PROVIDER).isel(year=0)
    assert float(at.pays_up) == pytest.approx(400.0)
    assert float(at.costs_up) == pytest.approx(900.0)
    assert float(at.pays_down) == pytest.approx(400.0)
    assert float(at.costs_down) == pytest.approx(900.0)
    (warning,) = [f for f in found.about("incentive") if f.severity == "warning"]
    assert warning.path == "c.marginal-rate"
    assert "pays provider £400.00 and costs it £900.00: it loses £500.00 on each" in warning.message


def test_a_rate_at_marginal_cost_leaves_no_gap():
    found = check(blended(0.45))
    assert not found.about("incentive")
    assert not found.about("stranded cost")


def test_a_rate_above_marginal_cost_loses_on_each_spell_fewer():
    found = check(blended(0.7))
    (message,) = messages(found, "incentive", "warning")
    assert "takes £1,400 from provider and saves it £900.00: it loses £500.00" in message


def test_m34_margins_of_the_toy_and_stranded_cost_paid_for_twice():
    found = check(msk_toy())
    acute = found.incentive.sel(partner="acute").isel(year=0)
    # 30 % of 120 less 40 % of that by the pool; 20 % variable and half of 30 % semi-fixed
    assert float(acute.pays_up.sel(line="outpatients")) == pytest.approx(36 - 0.4 * 36)
    assert float(acute.costs_up.sel(line="outpatients")) == pytest.approx(0.35 * 120)
    of_line = {f.path: f.message for f in found.about("stranded cost")}
    # outpatients: (84.00 + 14.40) / 78.00; inpatients: (2,400 + 640) / 2,600
    assert "£84.00 of the price kept and £14.40 from c.pool" in of_line["lines.outpatients"]
    assert "126 %" in of_line["lines.outpatients"]
    assert "117 %" in of_line["lines.inpatients"]
    assert all(f.severity == "warning" for f in found.about("stranded cost"))
    assert found.passed


def test_support_of_planned_removal_beyond_what_it_strands():
    # 1,000 spells at 2,000 go: 2.0m of value; 20 % leaves at once and half of 30 %: 1.3m strands
    change = rs.Change(name="go", owner=PAYER, source="spells", size=0.1)
    support = rs.StrandedSupport(share=0.9, of="value removed", basis="planned")
    of = case([line(cost=behaviour())], [rs.Block(), support], changes=[change])
    told = [m for m in messages(check(of), "stranded cost") if "planned removal" in m]
    assert told == [
        "pays £1.80m for the planned removal of spells, which strands £1.30m: 138 % (2018/19)"
    ]


def test_moving_days_to_the_council_helps_the_hospital_and_costs_the_system():
    days = line(
        "days", unit_cost=220.0, price=220.0, cost=rs.CostBehaviour(variable=0.2, fixed=0.8)
    )
    care = line("care", baseline=1000, unit_cost=90.0, price=90.0, deliverer="council")
    change = rs.Change(
        name="home-first", owner=PROVIDER, source="days", destination="care", size=0.1
    )
    found = check(
        case(
            [days, care],
            [rs.Block()],
            partners=[*two(), partner("council", "council")],
            changes=[change],
        )
    )
    (shunt,) = found.about("cost shunt")
    # the hospital saves 20 % of 220; the council spends 90
    assert shunt.path == "changes.home-first"
    assert (
        "provider £44.00 better off and the system £46.00 worse (council -£90.00" in shunt.message
    )
    at = found.incentive.shunt.sel(change="home-first").isel(year=0)
    assert float(at.sel(partner="council")) == pytest.approx(-90.0)


def test_steps_of_cost_are_judged_over_a_whole_step():
    # 100 beds installed and full, 365 days: a step of 25 beds is 9,125 bed-days and costs 2,007,500
    ward = rs.CostBehaviour(
        variable=0.0,
        semi_fixed=1.0,
        step=rs.Step(size=25, unit="beds", length_of_stay=1, occupancy=1.0, cost=2_007_500.0),
    )
    beds = line(baseline=36_500, unit_cost=220.0, price=220.0, cost=ward)
    found = check(case([beds], [rs.Block(), rs.MarginalRate(rate=0.2)]))
    told = messages(found, "incentive", "warning")
    assert any("pays provider £44.00 and costs it £220.00: it loses £176.00" in m for m in told)


# ---------------------------------------------------------------- numbers that never bind


def test_the_share_of_draws_in_which_a_cap_matters_is_that_beyond_it():
    of = case([line(noise=NOISE)], [rs.Block(), rs.MarginalRate(rate=1.0, cap=0.05, collar=0.9)])
    found = check(of)
    share = found.binding.share
    assert float(share.sel(number="c.marginal-rate.cap")) == near(1 - chance(0, 1.05))
    assert not bool(found.binding.binds.sel(number="c.marginal-rate.collar"))
    (never,) = found.about("binding")
    assert never.path == "c.marginal-rate.collar"
    assert never.message.startswith("never binds")


def test_a_gate_matters_where_it_keeps_money_back():
    gate = rs.Gate(threshold=0.02, reading="first-dollar")
    found = check(pooled(noise=NOISE, gate=gate, rate=0.5))
    share = found.binding.share.sel(number="c.pool.gate.threshold")
    assert float(share) == near(chance(0.98, 1.02))


def test_a_budget_nobody_uses_and_a_term_that_moves_nothing():
    low = rs.MarginalRate(name="small", rate=0.5, low_volume=30e6)
    of = case([line()], [rs.Block(), low], budgets=[rs.Budget(name="idle", base=1e6)])
    paths = {f.path: f.message for f in check(of).about("binding")}
    assert paths.keys() == {"c.small", "c.idle.base"}
    assert "never moves money" in paths["c.small"]


def test_shares_that_must_sum_to_one_are_moved_in_pairs():
    of = pooled(noise=NOISE, share={PROVIDER: 0.4, PAYER: 0.6})
    found = check(of).binding
    assert bool(found.binds.sel(number=f"c.pool.share[{PROVIDER}]"))
    assert float(found.share.sel(number=f"c.pool.share[{PROVIDER}]")) == 1.0


# ---------------------------------------------------------------- accounts and savings


def reserve(**account):
    """Half of a pool's result goes through a reserve."""
    partners = [*two(), partner("reserve", "pool", **account)]
    return pooled(noise=NOISE, partners=partners, share={"reserve": 0.5, PROVIDER: 0.5})


def test_a_reserve_runs_dry_as_often_as_the_loss_exceeds_it():
    found = check(reserve(opening_balance=500_000, shortfall={PAYER: 1.0}))
    # half of a loss above 1.0m, 5 % of 20m
    dry = float(found.accounts.dry.sel(account="reserve").isel(year=0))
    assert dry == near(1 - chance(0, 1.05))
    (note,) = found.about("accounts")
    assert note.severity == "note"
    assert "payer then make it up" in note.message


def test_a_reserve_that_nobody_makes_up_is_a_warning():
    (warning,) = check(reserve(opening_balance=500_000)).about("accounts")
    assert warning.severity == "warning"
    assert "nobody makes it up" in warning.message


def test_a_fund_that_is_drawn_before_it_is_filled():
    fund = partner("fund", "pool")
    draw = rs.Funding(name="draw", from_="fund", to=PROVIDER, amount=1e5)
    fill = rs.Funding(name="fill", from_=PAYER, to="fund", amount=[0.0, 5e5])
    of = case([line()], [rs.Block(), fill, draw], partners=[*two(), fund], count=2)
    (error,) = [f for f in check(of).findings if f.severity == "error"]
    assert error.path == "partners.fund"
    assert "c.draw draws on it (2018/19) before anything is paid in" in error.message
    assert "c.fill pays into it later (2019/20)" in error.message


def test_savings_claimed_twice_and_beyond_what_is_released():
    change = rs.Change(
        name="go",
        owner=PAYER,
        source="spells",
        size=0.1,
        claims={PAYER: 2e6, PROVIDER: 1e6},
    )
    of = case([line(cost=behaviour())], [rs.Block()], changes=[change])
    claimed = [f for f in check(of).findings if f.path == "changes.go.claims"]
    # 2.0m of value goes; 20 % variable and half of 30 % semi-fixed are released: 0.7m
    (message,) = [f.message for f in claimed]
    assert message.startswith("is claimed by payer (£2.00m) and provider (£1.00m), £3.00m in all")
    assert "really releases is £700,000 on average" in message


def test_a_claim_within_what_is_released_is_no_finding():
    change = rs.Change(name="go", owner=PAYER, source="spells", size=0.1, claims={PAYER: 699_999})
    of = case([line(cost=behaviour())], [rs.Block()], changes=[change])
    assert not check(of).about("savings")


def test_two_owners_that_take_from_one_line():
    changes = [
        rs.Change(name="qipp", owner=PAYER, source="spells", size=0.1),
        rs.Change(name="cip", owner=PROVIDER, source="spells", size=0.05),
    ]
    told = messages(check(case([line()], [rs.Block()], changes=changes)), "savings")
    assert any("takes 5 % of spells for provider, and qipp takes 10 %" in m for m in told)


# ---------------------------------------------------------------- as written

PAY = [rs.Inflation(name="pay", rate=0.02)]
SERIES = {"price_series": {"pay": 1.0}, "cost_series": {"pay": 1.0}}


def inflated(terms, budgets=(), **fields):
    return case(
        [line(**SERIES, **fields)],
        terms,
        budgets=budgets,
        inflation=PAY,
        price_base="before",
        count=2,
    )


def test_an_uplift_of_prices_that_rise_by_themselves():
    (twice,) = check(inflated([rs.Block(uplift=0.01)])).about("inflation")
    assert twice.path == "c.block.uplift"
    assert "raises by 1 %" in twice.message
    assert not check(case([line()], [rs.Block(uplift=0.01)])).about("inflation")


def test_a_budget_with_inflation_of_its_own_over_lines_that_have_theirs():
    budget = rs.Budget(name="b", inflation=0.021)
    paid_out = rs.CapitatedBudget(from_=PAYER, to=PROVIDER, budget="b")
    (twice,) = check(inflated([paid_out], [budget])).about("inflation")
    assert twice.path == "c.b.inflation"
    assert "2.1 %" in twice.message
    assert "rise by 2.00 %" in twice.message


def test_a_price_given_by_year_that_follows_a_series_too():
    (twice,) = check(inflated([rs.ActivityPayment()], price=[2000.0, 2040.0])).about("inflation")
    assert twice.path == "lines.spells.price"


@pytest.mark.parametrize(
    ("people", "severity"), [(29_999, "warning"), (80_000, "note"), (100_000, None)]
)
def test_contracts_that_rest_on_few_people(people, severity):
    of = case([line(exposure="p")], members=[rs.Population(name="p", count=people)])
    assert [f.severity for f in check(of).about("size")] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("volume", "low", "found"), [(749, None, 1), (750, None, 0), (749, 1.5e6, 0)]
)
def test_contracts_under_a_million_and_a_half_priced_at_the_margin(volume, low, found):
    of = case([line(baseline=volume)], [rs.Block(), rs.MarginalRate(rate=0.5, low_volume=low)])
    assert len(check(of).about("size")) == found


def test_lines_whose_chance_nothing_common_moves():
    driver = rs.Driver(name="demand", acts_on="activity", law="normal", sd=0.03)
    moved = line("moved", noise=NOISE, loadings={"demand": 1.0})
    of = case([line(noise=NOISE), moved], drivers=[driver])
    (warning,) = check(of).about("dependence")
    assert warning.path == "lines.spells.noise"
    moved_too = line(noise=NOISE, loadings={"demand": 1.0})
    assert not check(case([moved_too, moved], drivers=[driver])).about("dependence")


# ---------------------------------------------------------------- the whole


def test_terms_that_look_at_persons_are_checked_on_one():
    stop_loss = rs.StopLoss(
        from_="external", to=PROVIDER, attachment=45_000, limit=250_000, coinsurance=0.8
    )
    found = check(case([line(noise=NOISE)], [rs.ActivityPayment(), stop_loss]))
    assert found.passed
    binds = found.binding.binds
    assert all(bool(binds.sel(number=f"c.stop-loss.{n}")) for n in ("attachment", "coinsurance"))


@pytest.mark.parametrize("span", [0, 1.5, float("nan"), "x"])
def test_a_span_that_means_nothing_is_refused(span):
    with pytest.raises(rs.ArgumentError, match="span is"):
        rs.check(case(), span=span)


def test_mid_nottinghamshire_has_no_error_and_keeps_its_books():
    found = check(rs.load_case("mid-nottinghamshire-msk"))
    assert found.passed
    assert found.imbalance < 1e-12
    drawn = rs.draw(rs.load_case("mid-nottinghamshire-msk"), samples=SAMPLES, precision="float64")
    assert drawn.sizes["sample"] == SAMPLES
    # glass breaks where activity x case mix of either line is a fifth off plan in any year
    plan = {"outpatients": (42_000, 84_000, 84_000), "inpatients": (1187.5, 2250, 2125)}
    off = np.zeros(SAMPLES, bool)
    for name, volumes in plan.items():
        ratio = (drawn.activity * drawn.case_mix).sel(line=name).values / np.array(volumes)[:, None]
        off |= (abs(ratio - 1) > 0.2).any(0)
    share = found.binding.share.sel(number="msk.marginal-rate.break_glass.rate")
    assert float(share) == pytest.approx(off.mean(), abs=1 / SAMPLES)


def test_years_are_those_of_the_case():
    found = check(case(count=2))
    assert list(found.incentive.year.values) == [y.label for y in years(2)]


def riskshare(*arguments):
    command = [sys.executable, "-m", "riskshare", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_ends_with_1_where_there_is_an_error(tmp_path):
    path = tmp_path / "part-d.toml"
    rs.save_case(part_d(**LITERAL), path)
    answer = riskshare("check", path, "--samples", 256)
    assert answer.returncode == 1, answer.stderr
    assert "1 error, 1 warning, 0 notes" in answer.stdout
    assert "no gate is declared there" in " ".join(answer.stdout.split())
    assert "not declared" in answer.stdout


def test_the_command_ends_with_0_where_there_are_warnings_only():
    answer = riskshare("check", "msk-toy", "--samples", 256)
    assert answer.returncode == 0, answer.stderr
    for word in ("0 errors", "one unit more", "one unit fewer", "system", "every draw", "126 %"):
        assert word in answer.stdout


def test_the_command_refuses_a_span_that_means_nothing():
    answer = riskshare("check", "msk-toy", "--span", 2)
    assert answer.returncode == 2
    assert "span is 2.0" in answer.stderr


@pytest.mark.parametrize("width", [60, 132])
def test_no_number_of_the_report_is_cut(width):
    of = glass("whole-deviation", NOISE)
    text = StringIO()
    print_check(screen(text, width), of, check(of))
    shown = text.getvalue()
    assert "…" not in shown
    assert "1,000,000.00" in shown
    assert "110.00" in shown


def test_a_line_that_two_contracts_pay_in_full_is_found():
    partners = [partner("icb", "payer"), partner("trust"), partner("far", "external")]
    lines = [
        line("home", payer="icb", deliverer="trust"),
        line("away", payer="far", deliverer="trust"),
    ]
    contracts = [
        rs.Contract(name="home", partners=["icb", "trust"], terms=[rs.Block()]),
        rs.Contract(name="away", lines=["away"], terms=[rs.Block()]),
    ]
    twice = case(lines, partners=partners, contracts=contracts)
    found = [f for f in rs.check(twice, samples=64).findings if f.topic == "paid twice"]

    assert [f.path for f in found] == ["away.block"]
    assert "away" in found[0].message
    assert "home.block" in found[0].message


def test_a_rate_by_year_rests_on_every_population():
    from builders import case

    members = [rs.Population(name="adults", count=4000.0)]
    budget = rs.Budget(name="b", rate={"2018/19": 100.0, "2019/20": 110.0}, rebase="plan")
    terms = [rs.CapitatedBudget(budget="b", from_="payer", to="provider")]
    of = case(terms=terms, budgets=[budget], members=members, count=2)
    assert any("4,000 people (adults)" in finding.message for finding in rs.check(of).findings)
