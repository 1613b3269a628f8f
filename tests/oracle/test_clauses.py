"""How often clauses bind and what effort pays, against lognormal laws worked out by hand."""

from io import StringIO

import numpy as np
import pytest
from builders import PAYER, PROVIDER, behaviour, case, line, two
from scipy import stats

import riskshare as rs
from riskshare.analysis.margins import Outcomes, mean_where, share_of
from riskshare.report.clauses import print_clauses
from riskshare.report.whole import screen

SAMPLES = 8192
CV = 0.05
NOISE = rs.Noise(law="lognormal", cv=CV)
SIGMA = np.sqrt(np.log1p(CV**2))
LAW = stats.lognorm(SIGMA, scale=np.exp(-(SIGMA**2) / 2))
VALUE = 20e6
"""10,000 spells at 2,000."""

SPREADS = 4.0
GRAIN = 16 / SAMPLES
"""One random number for each draw: a replicate's 512 points are even, and its error is none."""


def chance(low, high):
    """Probability that activity lies between two multiples of plan."""
    return LAW.cdf(high) - LAW.cdf(low)


def agrees(found, error, expected, least=GRAIN):
    assert abs(found - expected) <= SPREADS * error + least, (found, error, expected)


def pooled(**pool):
    """Payment by activity under a pool of the provider, against planned value."""
    fields = {
        "budget": "b",
        "against": ["activity-payment"],
        "holder": PAYER,
        "key": "fixed",
        "share": {PROVIDER: 1.0},
    }
    return case(
        [line(noise=NOISE)],
        [rs.ActivityPayment(), rs.Pool(**(fields | pool))],
        budgets=[rs.Budget(name="b")],
        partners=two(),
    )


@pytest.fixture(scope="module")
def capped():
    """Half of gains, at most 1.5 % of the budget, and a tenth of losses."""
    of = pooled(
        rate={"gain": 0.5, "loss": 0.1},
        caps=[rs.Cap(limit={"gain": 0.015}, of="budget", applies="after-share")],
    )
    return rs.clauses(of, samples=SAMPLES)


def test_a_cap_binds_as_often_as_activity_lies_beyond_it(capped):
    cap = capped.sel(number="c.pool.caps[0].limit[gain]", year="all")
    agrees(cap.number_probability, cap.number_probability_error, chance(0, 0.97))
    # a rate of gain moves money wherever there is one that the cap has not cut
    rate = capped.sel(number="c.pool.rate[gain]", year="all")
    agrees(rate.number_probability, rate.number_probability_error, chance(0.97, 1.0), 1e-3)
    loss = capped.sel(number="c.pool.rate[loss]", year="all")
    agrees(loss.number_probability, loss.number_probability_error, chance(1.0, 9.0))


def test_a_term_pays_and_is_paid_as_often_as_there_is_a_result(capped):
    pool = capped.sel(term="c.pool", year="all")
    assert float(pool.term_probability) == pytest.approx(1.0, abs=1e-3)
    provider = pool.sel(partner=PROVIDER)
    agrees(provider.receives_probability, provider.receives_probability_error, chance(0, 1))
    agrees(provider.pays_probability, provider.pays_probability_error, chance(1, 9))
    assert np.isnan(pool.receives_probability.sel(partner="system"))


def shared(activity):
    """What the pool pays the provider."""
    result = VALUE * (1 - activity)
    return np.where(result > 0, np.minimum(0.5 * result, 0.015 * VALUE), 0.1 * result)


def in_band(function, low, high, points=400_000):
    """Mean of a function of activity between two levels of the system's position."""
    # the system's position is less its cost, so its worst outcomes are the highest activities
    levels = 1 - (low + (high - low) * (np.arange(points) + 0.5) / points)
    return float(np.mean(function(LAW.ppf(levels))))


def test_one_unit_avoided_pays_what_the_pool_leaves_in_each_band(capped):
    """Payment and cost fall by 2,000 a spell; the pool gives back half, a tenth or nothing."""
    step = 0.01

    def gained(activity):
        return (shared(activity - step) - shared(activity)) / (step * 10_000)

    edges = zip([*capped.band_from.values], [*capped.band_to.values], strict=True)
    for band, (low, high) in zip(capped.band.values, edges, strict=True):
        at = capped.sel(band=band, line="spells", year="all", partner=PROVIDER)
        expected = in_band(gained, low, high)
        agrees(at.activity_value, at.activity_value_error, expected, 0.05)
    whole = capped.sel(band="all", line="spells", year="all")
    system = whole.activity_value.sel(partner="system")
    assert float(system) == pytest.approx(2000.0, abs=1e-6)  # its cost is all variable


def test_one_unit_of_money_saved_stays_with_whoever_saves_it(capped):
    at = capped.sel(saver=PROVIDER, year="all", band="worst 5 %").cost_value
    np.testing.assert_allclose(at.sel(partner=PROVIDER), 1.0, atol=1e-6)
    np.testing.assert_allclose(at.sel(partner=PAYER), 0.0, atol=1e-6)
    np.testing.assert_allclose(at.sel(partner="system"), 1.0, atol=1e-6)


def test_open_book_gives_what_is_saved_back():
    of = case([line(noise=NOISE)], [rs.CostReimbursement(share=0.8)])
    found = rs.clauses(of, samples=256).sel(saver=PROVIDER, year="all", band="all").cost_value
    np.testing.assert_allclose(found.sel(partner=PROVIDER), 0.2, atol=1e-6)
    np.testing.assert_allclose(found.sel(partner=PAYER), 0.8, atol=1e-6)


def test_fixed_cost_stays_when_activity_goes():
    of = case([line(noise=NOISE, cost=behaviour(0.2, 0.3, 0.5))], [rs.Block()])
    found = rs.clauses(of, samples=256).sel(line="spells", year="all", band="best 5 %")
    # a fifth of unit cost is variable; below baseline some of the rest goes with time to exit
    assert 0.2 * 2000 - 1e-6 <= float(found.activity_value.sel(partner=PROVIDER)) < 2000
    assert float(found.activity_value.sel(partner=PAYER)) == pytest.approx(0.0, abs=1e-6)


def test_the_gate_of_a_minimum_savings_rate_has_its_density_and_height():
    gate = rs.Gate(threshold={"gain": 0.02, "loss": 1.0}, reading="first-dollar")
    found = rs.clauses(pooled(gate=gate, rate=0.5), samples=SAMPLES)
    at = found.sel(gate="c.pool.gate.threshold[gain]", year="all")
    agrees(at.gate_probability, at.gate_probability_error, chance(0.975, 0.985))
    points = np.linspace(0.975, 0.985, 20_001)
    density = LAW.pdf(points)
    height = 0.5 * VALUE * np.sum((1 - points) * density) / density.sum()
    agrees(at.gate_height, at.gate_height_error, height)
    # passing it pays the provider, out of the payer's pocket, and moves nothing in the system
    agrees(at.gate_jump.sel(partner=PROVIDER), at.gate_height_error, height)
    agrees(at.gate_jump.sel(partner=PAYER), at.gate_height_error, -height)
    assert float(at.gate_jump.sel(partner="system")) == pytest.approx(0.0, abs=1e-3)
    # it keeps money back where there is a gain below it
    kept = found.sel(number="c.pool.gate.threshold[gain]", year="all")
    agrees(kept.number_probability, kept.number_probability_error, chance(0.98, 1.0))
    never = found.sel(gate="c.pool.gate.threshold[loss]", year="all")
    assert float(never.gate_probability) == 0.0
    assert np.isnan(never.gate_height)


def test_effort_near_a_gate_is_worth_its_density_times_its_height():
    """Averaged over all outcomes: d/da E[S(a)], from S integrated at both ends of the step."""
    gate = rs.Gate(threshold={"gain": 0.02, "loss": 1.0}, reading="first-dollar")
    found = rs.clauses(pooled(gate=gate, rate=0.5), samples=SAMPLES)

    def paid(activity):
        result = VALUE * (1 - activity)
        return np.where(result >= 0.02 * VALUE, 0.5 * result, 0.0)

    def gained(activity):
        return (paid(activity - 0.01) - paid(activity)) / 100

    at = found.sel(line="spells", year="all", band="all", partner=PROVIDER)
    agrees(at.activity_value, at.activity_value_error, in_band(gained, 0, 1), 0.5)


def test_any_year_counts_what_happens_in_one_of_them():
    of = pooled(
        rate={"gain": 0.5, "loss": 0.0},
        caps=[rs.Cap(limit={"gain": 0.015}, of="budget", applies="after-share")],
    )
    more = rs.Case(**{**_fields(of), "years": case(count=2).years})
    found = rs.clauses(more, samples=SAMPLES).sel(number="c.pool.caps[0].limit[gain]")
    one = chance(0, 0.97)
    expected = [one, one, 1 - (1 - one) ** 2]  # the line's own chance is that of each year
    for year, p in zip(found.year.values, expected, strict=True):
        at = found.sel(year=year)
        agrees(at.number_probability, at.number_probability_error, p)


def _fields(of):
    return {name: getattr(of, name) for name in ("name", "partners", "lines", "contracts")}


def test_luck_is_what_the_lines_own_chance_moves_and_no_driver():
    """Payment by activity under a gate, with a demand driver that would move far more."""
    demand = rs.Driver(name="demand", acts_on="activity", law="lognormal", sd=0.2, centre="mean")
    of = pooled(gate=rs.Gate(threshold=0.03, reading="first-dollar"), rate=0.5)
    spells = line(noise=NOISE, loadings={"demand": 1.0})
    of = rs.Case(**{**_fields(of), "years": case().years, "lines": [spells], "drivers": [demand]})
    found = rs.clauses(of, samples=SAMPLES).sel(year="all", partner=PROVIDER)
    agrees(found.luck_probability_paid, found.luck_probability_paid_error, chance(0, 0.97))
    agrees(found.luck_probability_charged, found.luck_probability_charged_error, chance(1.03, 9))
    levels = (np.arange(400_000) + 0.5) / 400_000
    result = 1 - LAW.ppf(levels)
    paid = 0.5 * VALUE * np.mean(np.where(result >= 0.03, result, 0.0))
    agrees(found.luck_paid, found.luck_paid_error, paid)


# ---------------------------------------------------------------- errors of the figures


def test_intervals_of_band_means_hold_the_truth():
    """Y normal, gain = exp(Y / 2) + noise, unit = 1: band means are known; edges are estimated."""
    levels, runs, each, parts = (0.05, 0.5), 400, 256, 16
    generator = np.random.default_rng(5)
    truth = []
    for low, high in ((0, 0.05), (0.05, 0.5), (0.5, 1), (0, 1)):
        ends = stats.norm.ppf([low, high]) - 0.5
        truth.append(np.exp(1 / 8) * np.diff(stats.norm.cdf(ends + 0.0))[0] / (high - low))
    held = np.zeros(4)
    for _ in range(runs):
        y = generator.standard_normal(parts * each)
        gain = np.exp(y / 2) + generator.standard_normal(parts * each)
        found = Outcomes(parts, y, levels).ratio(gain[None, None], np.ones((1, len(y))))
        gap = np.abs(found.value[:, 0, 0] - truth)
        held += gap <= stats.t.ppf(0.975, parts - 1) * found.error[:, 0, 0]
    # four binomial standard deviations of 400 runs about 95 %
    np.testing.assert_allclose(held / runs, 0.95, atol=0.044)


def test_a_mean_over_flagged_draws_is_a_ratio_with_its_error():
    runs, parts, each = 400, 16, 256
    generator = np.random.default_rng(6)
    held = 0
    for _ in range(runs):
        x = generator.standard_normal(parts * each)
        value, error = mean_where(x, x > 1, parts)
        truth = stats.norm.pdf(1) / stats.norm.sf(1)
        held += abs(value - truth) <= stats.t.ppf(0.975, parts - 1) * error
    assert abs(held / runs - 0.95) < 0.044
    assert np.isnan(mean_where(x, np.zeros(len(x), bool), parts)[0])
    share, error = share_of(np.arange(1600) % 4 == 0, 16)
    assert (share, error) == (0.25, 0.0)


# ---------------------------------------------------------------- what is refused, what is printed


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"of": "acut"}, "accepted: payer, provider"),
        ({"bands": (0.5, 0.2)}, "increasing order"),
        ({"bands": ()}, "increasing order"),
        ({"effort": 5}, "is 0.05 meant"),
        ({"effort": 0}, "above 0"),
        ({"samples": 0}, "samples"),
    ],
)
def test_what_means_nothing_is_refused(arguments, told):
    with pytest.raises(rs.ArgumentError, match=told):
        rs.clauses(case(), **arguments)


def test_the_report_names_what_binds_and_what_effort_pays(capped):
    of = pooled(
        rate={"gain": 0.5, "loss": 0.1},
        caps=[rs.Cap(limit={"gain": 0.015}, of="budget", applies="after-share")],
    )
    out = StringIO()
    print_clauses(screen(out, 160), of, capped)
    text = out.getvalue()
    for shown in ("c.pool.caps[0].limit[gain]", "worst 5 %", "spells (provider)", "£1 saved by"):
        assert shown in text


def test_outcomes_may_be_put_in_the_order_of_one_partner():
    of = pooled(rate={"gain": 0.5, "loss": 0.5})
    found = rs.clauses(of, samples=1024, of=PAYER)
    means = found.position_mean.sel(partner=PAYER).values[:-1]
    assert np.all(np.diff(means) > 0)
