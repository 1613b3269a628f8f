"""People of a line: frequency and severity, person by person where protection looks at them."""

import numpy as np
import pytest
import scipy.stats as st
from builders import PAYER, case, line
from judging import assert_chance, assert_mean, assert_variance

import riskshare as rs
from riskshare.bind import bind
from riskshare.laws import Gamma, Lognormal, Pareto, Pert
from riskshare.program.block import count_traces

SAMPLES = 65_536
CV, COST = 3.0, 2000.0
SIGMA = np.sqrt(np.log(1 + CV**2))
SEVERITY = st.lognorm(SIGMA, scale=COST * np.exp(-(SIGMA**2) / 2))


def protected(number, attachment, noise=None, **fields):
    """People of lognormal cost; the outside takes over what is above the attachment."""
    noise = rs.Noise(law="poisson") if noise is None else noise
    people = rs.People(law=Lognormal(cv=CV))
    of = line(baseline=number, unit_cost=COST, price=COST, noise=noise, people=people)
    cover = rs.StopLoss(from_="external", to=PAYER, attachment=attachment, coinsurance=1.0)
    return case([of], [rs.CostReimbursement(), cover], **fields)


def limited_moments(attachment):
    """First two moments of a person's cost above an attachment, by quadrature of the tail."""
    x = np.exp(np.linspace(np.log(attachment), np.log(1e9), 200_001))
    tail = SEVERITY.sf(x)
    return np.trapezoid(tail, x), np.trapezoid(2 * (x - attachment) * tail, x)


@pytest.mark.parametrize(("number", "attachment"), [(20, 20_000.0), (200, 20_000.0), (3000, 6e4)])
def test_the_total_and_the_layer_have_the_moments_of_their_compound_laws(number, attachment):
    outcomes = rs.simulate(protected(number, attachment), samples=SAMPLES, seed=1)
    cost = outcomes.line_cost.values.ravel()
    ceded = outcomes.posting.sel(term="c.stop-loss", partner=PAYER).values.ravel()
    first, second = limited_moments(attachment)
    assert_mean(cost, number * COST)
    assert_variance(cost, number * COST**2 * (1 + CV**2))
    assert_mean(ceded, number * first)
    assert_mean(ceded**2, number * second + (number * first) ** 2)
    # Poisson: nobody above with probability exp(-n S(a)), exactly
    assert_chance(ceded == 0, np.exp(-number * SEVERITY.sf(attachment)))
    # Cov(total, layer) = n E[X (X - a)+] = n (E[(X - a)+^2] + a E[(X - a)+])
    joint = number * (second + attachment * first) + number**2 * COST * first
    assert_mean(cost * ceded, joint)


def test_over_dispersed_numbers_of_people():
    noise = rs.Noise(law="negative-binomial", overdispersion=0.1)
    cost = rs.simulate(protected(200, 2e4, noise), samples=SAMPLES, seed=1).line_cost
    count = 200 + 0.1 * 200**2
    assert_variance(cost, 200 * COST**2 * CV**2 + count * COST**2, bias=0)


def test_quantiles_agree_with_people_drawn_one_by_one():
    cost = rs.simulate(protected(200, 2e4), samples=SAMPLES, seed=1).line_cost.values.ravel()
    generator = np.random.default_rng(7)
    counts = generator.poisson(200, 60_000)
    amounts = SEVERITY.rvs(counts.sum(), random_state=generator)
    total = np.bincount(np.repeat(np.arange(60_000), counts), amounts, 60_000)
    for level in (0.05, 0.5, 0.95, 0.99):
        at = np.quantile(total, level)
        error = np.sqrt(level * (1 - level) / 60_000)
        assert_chance(cost <= at, level, bias=4 * error)


def test_without_protection_the_total_is_one_number_of_its_compound_law():
    people = rs.People(law=Gamma(cv=2.0))
    noise = rs.Noise(law="poisson")
    of = case([line(baseline=300, unit_cost=COST, noise=noise, people=people)])
    assert bind(of).structure.slots == (0,)
    cost = rs.simulate(of, samples=SAMPLES, seed=2).line_cost.values.ravel()
    # given n, the sum of gammas is a gamma: the distribution function is a Poisson mixture
    n = np.arange(1, 500)
    weight = st.poisson(300).pmf(n)
    for x in (450_000.0, 600_000.0, 800_000.0):
        inner = st.gamma(n * 0.25, scale=COST * 4).cdf(x)
        assert_chance(cost <= x, weight @ inner, bias=3e-4)


def test_prices_move_people_across_an_attachment():
    price = rs.Driver(name="pay", acts_on="unit_cost", law="lognormal", sd=0.2, centre="mean")
    people = rs.People(law=Lognormal(cv=CV))
    noise = rs.Noise(law="poisson")
    of = case(
        [line(baseline=200, unit_cost=COST, loadings={"pay": 1.0}, noise=noise, people=people)],
        [
            rs.CostReimbursement(),
            rs.StopLoss(from_="external", to=PAYER, attachment=2e4, coinsurance=1.0),
        ],
        drivers=[price],
    )
    outcomes = rs.simulate(of, samples=SAMPLES, seed=1)
    ceded = outcomes.posting.sel(term="c.stop-loss", partner=PAYER)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    k = np.exp(0.2 * nodes - 0.02)
    layer = np.array([scale * limited_moments(2e4 / scale)[0] for scale in k])
    assert_mean(ceded, 200 * (weights @ layer) / weights.sum())


def test_what_is_drawn_settles_to_what_is_simulated():
    of = protected(200, 2e4)
    draws = rs.draw(of, samples=4096, seed=3)
    assert set(draws.person_line.values) == {"spells"}
    simulated, settled = rs.simulate(of, samples=4096, seed=3), rs.settle(of, draws)
    np.testing.assert_allclose(simulated.position, settled.position, rtol=1e-6, atol=1)


def test_a_pool_truncates_people_who_are_drawn():
    people = rs.People(law=Lognormal(cv=CV))
    noise = rs.Noise(law="poisson")
    pool = rs.Pool(
        budget="b",
        cost_of=["spells"],
        holder=PAYER,
        key="fixed",
        share={"provider": 1.0},
        truncation=rs.Truncation(at=2e4, benchmark="truncated"),
    )
    budget = rs.Budget(name="b", base=400_000.0)
    of = case(
        [line(baseline=200, unit_cost=COST, noise=noise, people=people)],
        [rs.CostReimbursement(), pool],
        budgets=[budget],
    )
    posted = rs.simulate(of, samples=SAMPLES, seed=1).posting.sel(term="c.pool", partner="provider")
    kept = 200 * (COST - limited_moments(2e4)[0])
    assert_mean(posted, 400_000 - kept)


def test_numbers_of_people_never_recompile():
    rs.simulate(protected(200, 2e4), samples=4096)
    with count_traces() as traced:
        rs.simulate(protected(201, 2.01e4), samples=4096)
    assert traced == []


def test_what_cannot_be_is_refused_with_its_path():
    people = rs.People(law=Lognormal(cv=CV))
    with pytest.raises(rs.CaseError, match=r"lines.spells.people: counts people one by one"):
        case([line(people=people)])
    noise = rs.Noise(law="poisson")
    heavy = rs.People(law=Pareto(minimum=1.0, index=1.5))
    with pytest.raises(rs.CaseError, match=r"people.law: its standard deviation is infinite"):
        case([line(noise=noise, people=heavy)])
    negative = rs.People(law=Pert(low=-1.0, mode=0.5, high=2.0))
    with pytest.raises(rs.CaseError, match=r"people.law: takes values below 0"):
        case([line(noise=noise, people=negative)])
    with pytest.raises(rs.CaseError, match=r"threshold: about .* people may cost more than"):
        rs.simulate(protected(100_000, 10_000.0), samples=64)
    cover = rs.StopLoss(from_="external", to=PAYER, attachment=1e4, coinsurance=1.0)
    with pytest.raises(rs.ArgumentError, match="some of its lines have no law of it"):
        rs.simulate(case([line()], [rs.CostReimbursement(), cover]), samples=64)


@pytest.mark.parametrize("number", [0.5, 4.0, 15.0])
def test_a_few_people_are_all_drawn_one_by_one(number):
    people = rs.People(law=Gamma(cv=2.0))
    noise = rs.Noise(law="poisson")
    of = case([line(baseline=number, unit_cost=COST, noise=noise, people=people)])
    assert bind(of).structure.slots[0] > number
    cost = rs.simulate(of, samples=SAMPLES, seed=2).line_cost.values.ravel()
    n = np.arange(1, 80)
    weight = st.poisson(number).pmf(n)
    # a count's probabilities are read between nodes of its mean
    assert_chance(cost == 0, np.exp(-number), bias=3e-4)
    for x in (300.0, 2_000.0, 20_000.0, 60_000.0):
        inner = st.gamma(n * 0.25, scale=COST * 4).cdf(x)
        assert_chance(cost <= x, weight @ inner + np.exp(-number), bias=3e-4)
    assert_mean(cost, number * COST, bias=4e-4 * COST)


def ceded(of, **options):
    """What the cover pays in each sample."""
    outcomes = rs.simulate(of, samples=16_384, seed=1, **options)
    return outcomes.posting.sel(term="c.stop-loss", partner=PAYER).values


def covered(noise=None, drivers=(), attachment=2e4, number=200, **fields):
    """People of lognormal cost under a cover, with whatever else the line has."""
    noise = rs.Noise(law="poisson") if noise is None else noise
    people = fields.pop("people", rs.People(law=Lognormal(cv=CV)))
    of = line(baseline=number, unit_cost=COST, price=COST, noise=noise, people=people, **fields)
    cover = rs.StopLoss(from_="external", to=PAYER, attachment=attachment, coinsurance=1.0)
    return case([of], [rs.CostReimbursement(), cover], drivers=drivers)


def test_case_mix_makes_people_dearer():
    heavy = rs.Driver(name="mix", acts_on="case_mix", value=1.5)
    of = covered(drivers=[heavy], loadings={"mix": 1.0})
    assert_mean(ceded(of), 200 * 1.5 * limited_moments(2e4 / 1.5)[0])


@pytest.mark.parametrize("factor", [4.0, 0.5])
def test_a_driver_of_unit_cost_may_start_anywhere(factor):
    dear = rs.Driver(name="pay", acts_on="unit_cost", value=factor)
    of = covered(drivers=[dear], loadings={"pay": 1.0})
    assert_mean(ceded(of), 200 * factor * limited_moments(2e4 / factor)[0])


def test_a_threshold_above_an_attachment_is_refused():
    of = covered(people=rs.People(law=Lognormal(cv=CV), threshold=4e4))
    with pytest.raises(rs.CaseError, match=r"people.threshold: found 40,000, and a term looks"):
        rs.simulate(of, samples=64)


def test_there_are_places_for_those_who_come_seldom_or_have_waited():
    seldom = covered(noise=rs.Noise(law="poisson", zeros=0.9))
    assert_mean(ceded(seldom), 200 * limited_moments(2e4)[0])
    waited = covered(capacity=rs.Capacity(units=1200.0, waiting=900.0))
    draws = rs.draw(waited, samples=16_384, seed=1)
    number = float(draws.activity.mean())
    assert number > 1000
    assert_mean(ceded(waited), number * limited_moments(2e4)[0])


@pytest.mark.parametrize(("units", "number"), [(4.2, 20), (10.1, 20)])
def test_a_part_of_a_person_costs_that_part(units, number):
    people = rs.People(law=Gamma(cv=1.0))
    capacity = rs.Capacity(units=units)
    noise = rs.Noise(law="poisson")
    of = case(
        [line(baseline=number, unit_cost=COST, noise=noise, people=people, capacity=capacity)]
    )
    outcomes = rs.simulate(of, samples=16_384, seed=1)
    activity = float(rs.draw(of, samples=16_384, seed=1).activity.mean())
    assert activity < units * (1 + 1e-6)
    assert_mean(outcomes.line_cost, activity * COST)


def test_a_volume_that_falls_far_keeps_its_law():
    fall = rs.laws.Shock(
        probability=0.5, effect=rs.laws.Triangular(low=0.02, mode=0.021, high=0.022)
    )
    driver = rs.Driver(name="d", acts_on="activity", law=fall)
    people = rs.People(law=Gamma(cv=2.0))
    noise = rs.Noise(law="poisson")
    of = case(
        [line(baseline=200, unit_cost=COST, loadings={"d": 1.0}, noise=noise, people=people)],
        drivers=[driver],
    )
    cost = rs.simulate(of, samples=SAMPLES, seed=2).line_cost.values.ravel()
    fell = rs.draw(of, samples=SAMPLES, seed=2).driver_index.values.ravel() < 1
    mean = 200 * 0.021
    assert_mean(np.where(fell, cost, 0), 0.5 * mean * COST, bias=5e-3 * mean * COST)
    assert_chance(fell & (cost == 0), 0.5 * np.exp(-mean), bias=2e-3)


def test_a_line_that_is_appended_moves_no_earlier_person():
    people = rs.People(law=Lognormal(cv=CV))
    noise = rs.Noise(law="poisson")
    own = line(baseline=200, unit_cost=COST, noise=noise, people=people)
    alone = rs.draw(case([own]), samples=256)
    more = rs.draw(case([own, line("other", baseline=50)]), samples=256)
    np.testing.assert_array_equal(alone.unit_cost, more.unit_cost.sel(line=["spells"]))


def test_draws_of_people_whom_no_cover_reaches_can_be_settled():
    of = covered(people=rs.People(law=Pert(low=0.0, mode=1.0, high=2.0)), attachment=1e4)
    draws = rs.draw(of, samples=64)
    np.testing.assert_array_equal(
        rs.settle(of, draws).position, rs.simulate(of, samples=64).position
    )


def test_more_people_than_there_are_places_for_are_refused():
    of = covered()
    years_, lines_ = list(of.labels()["year"]), list(of.labels()["line"])
    import xarray as xr

    given = xr.Dataset(
        {"activity": (("sample", "year", "line"), np.full((64, 1, 1), 2000.0))},
        {"year": years_, "line": lines_},
    )
    with pytest.raises(rs.ExperienceError, match="found up to 2,000 people"):
        rs.simulate(of, given=given, chance="included")
