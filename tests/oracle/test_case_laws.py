"""Laws in a case: what is drawn has the law that was declared, its mean is what is expected."""

import dataclasses

import numpy as np
import pytest
import scipy.stats as st
from builders import case, line, years
from judging import assert_chance, assert_mean, assert_variance, between

import riskshare as rs
from riskshare.bind import bind
from riskshare.laws import (
    Component,
    Discrete,
    Empirical,
    Gamma,
    GeneralisedGamma,
    GeneralisedPareto,
    Interval,
    Lognormal,
    Metalog,
    Mixture,
    Normal,
    Pareto,
    Pert,
    Shock,
    Spliced,
    Triangular,
    Weibull,
)
from riskshare.laws.indices import LawMap
from riskshare.laws.marginal.base import tail_mean
from riskshare.program.block import count_traces

SAMPLES = 65_536

ALL_LAWS = {
    "normal": Normal(mean=1.0, sd=0.2),
    "lognormal": Lognormal(mean=1.2, cv=0.8),
    "gamma": Gamma(cv=1.5),
    "weibull": Weibull(mean=0.8, shape=0.7),
    "generalised-gamma": GeneralisedGamma(mean=1.0, shape=0.6, power=0.8),
    "pareto": Pareto(minimum=0.7, index=3.5),
    "generalised-pareto": GeneralisedPareto(minimum=0.2, scale=0.5, shape=0.25),
    "triangular": Triangular(low=0.8, mode=1.0, high=1.4),
    "pert": Pert(low=0.7, mode=1.0, high=1.5),
    "interval": Interval(low=0.85, high=1.25, law="lognormal"),
    "metalog": Metalog(levels=[0.1, 0.5, 0.9], values=[0.85, 1.0, 1.25], lower=0.0),
    "empirical": Empirical(values=[0.4, 0.8, 1.0, 1.1, 2.0]),
    "mixture": Mixture(
        components=[
            Component(weight=0.8, law=Gamma(mean=1.0, cv=0.3)),
            Component(weight=0.2, law=Lognormal(mean=2.0, cv=0.5)),
        ]
    ),
    "spliced": Spliced(
        body=Lognormal(mean=1.0, cv=0.6),
        threshold=2.0,
        tail=GeneralisedPareto(minimum=2.0, scale=0.6, shape=0.25),
    ),
    "shock": Shock(probability=0.1, effect=Pert(low=1.0, mode=1.2, high=2.0)),
}


@pytest.mark.parametrize("name", ALL_LAWS)
def test_simulated_moments_quantiles_and_tail_averages_are_those_of_the_law(name):
    law = ALL_LAWS[name]
    index = drawn(driven(law)).driver_index.values.ravel().astype(np.float64)
    # of an index the floor at zero is a part
    assert_mean(index, LawMap(law).mean(), bias=1e-6)
    assert_variance(index, LawMap(law).standard_deviation() ** 2, bias=1e-5)
    for level in (0.01, 0.25, 0.75, 0.99):
        at = float(law.at(np.array(st.norm.ppf(level))))
        atom = at <= 1 if name == "shock" else name == "empirical" and level in (0.01, 0.99)
        if not atom:
            assert_chance(index <= at, level, bias=1e-5)
    edge = law.at(np.array(st.norm.ppf(0.85)))
    excess = np.maximum(index - edge, 0)
    expected = float(law.survival(edge) * (tail_mean(law, edge) - edge))
    assert_mean(excess, expected, bias=1e-6)


def test_counts_keep_their_law_where_a_driver_moves_their_mean_far():
    for low in (0.05, 0.3):
        effect = Triangular(low=low, mode=low + 0.001, high=low + 0.002)
        shock = rs.Driver(name="w", acts_on="activity", law=Shock(probability=0.5, effect=effect))
        noise = rs.Noise(law="poisson")
        of = case([line(baseline=20, loadings={"w": 1.0}, noise=noise)], drivers=[shock])
        draws = drawn(of)
        struck = draws.driver_index.values.ravel() < 1
        activity = draws.activity.values.ravel()
        mean = 20 * (low + 0.001)
        for k in (0, 1, 3, 6):
            happened = struck & (activity <= k)
            assert_chance(happened, 0.5 * st.poisson(mean).cdf(k), bias=6e-4)


BELIEFS = {
    "triangular": (Triangular(low=0.8, mode=1.0, high=1.4), st.triang(1 / 3, 0.8, 0.6)),
    "pert": (Pert(low=0.7, mode=1.0, high=1.5), st.beta(2.5, 3.5, 0.7, 0.8)),
    "weibull": (Weibull(mean=1.1, shape=4.0), st.weibull_min(4.0, scale=1.1 / 0.9064024770554771)),
    "gamma": (Gamma(mean=0.9, cv=0.4), st.gamma(6.25, scale=0.9 / 6.25)),
}


def driven(law, loading=1.0, **fields):
    """A line of 10,000 that one driver multiplies."""
    driver = rs.Driver(name="d", acts_on="activity", law=law, **fields)
    return case([line(loadings={"d": loading})], drivers=[driver])


def drawn(of, **options):
    return rs.draw(of, samples=SAMPLES, seed=5, **options)


@pytest.mark.parametrize("name", BELIEFS)
def test_a_belief_has_its_quantiles_its_mean_and_its_spread(name):
    law, oracle = BELIEFS[name]
    of = driven(law)
    index = drawn(of).driver_index.values.ravel()
    assert_mean(index, oracle.mean())
    assert_variance(index, oracle.var())
    for level in (0.005, 0.1, 0.5, 0.9, 0.995):
        assert_chance(index <= oracle.ppf(level), level)
    np.testing.assert_allclose(bind(of).plan.expected, 10_000 * oracle.mean(), rtol=1e-9)


def test_a_metalog_and_an_interval_hit_the_points_they_state():
    metalog = Metalog(levels=[0.1, 0.5, 0.9], values=[0.85, 1.0, 1.25])
    for law in (metalog, Interval(low=0.85, high=1.25, law="lognormal")):
        index = drawn(driven(law)).driver_index.values
        assert_chance(index <= 0.85, 0.1)
        assert_chance(index <= 1.25, 0.9)


def test_expected_activity_takes_powers_and_correlations_of_any_law():
    demand = rs.Driver(name="d", acts_on="activity", law=Triangular(low=0.8, mode=1.0, high=1.4))
    winter = rs.Driver(name="w", acts_on="activity", law=Gamma(cv=0.3))
    of = case(
        [line(loadings={"d": 1.7, "w": 0.5})],
        drivers=[demand, winter],
        correlations=[rs.Correlation(between=["d", "w"], value=0.6)],
    )
    assert_mean(drawn(of).activity, float(bind(of).plan.expected[0, 0]), bias=0.1)
    alone = driven(Triangular(low=0.8, mode=1.0, high=1.4), loading=-1.0)
    inverse = st.triang(1 / 3, 0.8, 0.6).expect(lambda x: 1 / x)
    np.testing.assert_allclose(bind(alone).plan.expected, 10_000 * inverse, rtol=1e-7)


@pytest.mark.parametrize("process", ["constant", "ar1", "random-walk"])
def test_a_law_moves_through_the_years_as_any_index(process):
    persistence = 0.6 if process == "ar1" else None
    law = Triangular(low=0.8, mode=1.0, high=1.4)
    driver = rs.Driver(
        name="d", acts_on="activity", law=law, process=process, persistence=persistence
    )
    of = case([line(loadings={"d": 1.0})], drivers=[driver], years=years(2))
    index = drawn(of).driver_index.values[:, 0]
    mean = law.expectation()
    assert_mean(index[1], mean**2 if process == "random-walk" else mean)
    ranks = st.spearmanr(index[0], index[1]).statistic
    if process == "constant":
        assert ranks == pytest.approx(1)
    if process == "ar1":
        assert ranks == pytest.approx(6 / np.pi * np.arcsin(0.3), abs=0.01)


@pytest.mark.parametrize(("probability", "rises"), [(0.05, True), (0.2, False), (0.004, True)])
def test_a_shock_comes_as_often_as_it_says_and_is_calm_otherwise(probability, rises):
    effect = Triangular(low=1.1, mode=1.2, high=1.5) if rises else Pert(low=0.5, mode=0.7, high=0.9)
    law = Shock(probability=probability, calm=1.0, effect=effect)
    of = driven(law)
    index = drawn(of).driver_index.values.ravel()
    assert set(np.unique(index[(index > 0.95) & (index < 1.05)])) == {1.0}
    assert_chance(index != 1, probability)
    assert_mean(np.where(index != 1, index, 0), probability * effect.expectation())
    middle = float(effect.at(np.array(0.0)))
    assert_chance((index != 1) & (index <= middle), probability / 2)
    np.testing.assert_allclose(bind(of).plan.expected, 10_000 * law.expectation(), rtol=1e-9)


def test_lines_share_a_shock():
    shock = Shock(probability=0.1, effect=Triangular(low=1.2, mode=1.3, high=1.6))
    winter = rs.Driver(name="winter", acts_on="activity", law=shock)
    noise = rs.Noise(law="gamma", cv=0.05)
    lines = [line(name, loadings={"winter": 1.0}, noise=noise) for name in ("a", "b")]
    activity = drawn(case(lines, drivers=[winter])).activity.values[0] / 10_000
    high = activity > 1.15
    # both are high in a winter, and hardly ever apart from one
    alone = st.gamma(400, scale=1 / 400).sf(1.15)
    both = 0.1 * shock.effect.survival(np.array(1.15 / 1.0)) * 0.97
    assert high.all(0).mean() > 0.8 * both
    assert (high[0] & ~high[1]).mean() < 0.1 * 0.2 + 2 * alone


CHANCES = {
    "weibull": (Weibull(mean=7.0, shape=1.5), st.weibull_min(1.5)),
    "spliced": (
        Spliced(
            body=Gamma(cv=0.5),
            threshold=2.0,
            tail=GeneralisedPareto(minimum=2.0, scale=0.6, shape=0.25),
        ),
        None,
    ),
    "mixture": (
        Mixture(
            components=[
                Component(weight=0.8, law=Gamma(mean=1.0, cv=0.3)),
                Component(weight=0.2, law=Gamma(mean=3.0, cv=0.5)),
            ]
        ),
        None,
    ),
    "empirical": (Empirical(values=[1.0, 2.0, 2.5, 4.0, 9.0]), None),
    "discrete": (Discrete(values=[1.0, 2.0, 5.0], weights=[0.5, 0.3, 0.2]), None),
}


@pytest.mark.parametrize("name", CHANCES)
def test_chance_with_a_law_of_its_own_has_mean_1_and_its_spread(name):
    law, oracle = CHANCES[name]
    noise = rs.Noise(law=law)
    of = case([line(noise=noise, unit_cost_noise=noise, case_mix_noise=noise)])
    draws = drawn(of)
    mean, sd = law.expectation(), law.standard_deviation()
    # a table reads steps of discrete laws as slopes one node wide
    bias = 2e-3 if name == "discrete" else 1e-6
    for values in (draws.activity / 10_000, draws.unit_cost / 2000, draws.case_mix):
        assert_mean(values, 1.0, bias)
        assert_variance(values, (sd / mean) ** 2, bias)
        if oracle is not None:
            assert_chance(values * oracle.mean() <= oracle.ppf(0.99), 0.99)


@pytest.mark.parametrize("law", ["poisson", "negative-binomial", "gamma", "lognormal"])
def test_zeros_come_with_their_probability_and_leave_the_mean(law):
    mean = 3.0 if law in ("poisson", "negative-binomial") else 10_000
    fields = {"overdispersion": 0.4} if law == "negative-binomial" else {}
    fields |= {"cv": 0.3} if law in ("gamma", "lognormal") else {}
    noise = rs.Noise(law=law, zeros=0.3, **fields)
    activity = drawn(case([line(baseline=mean, noise=noise)])).activity
    rest = mean / 0.7
    inner = {
        "poisson": st.poisson(rest),
        "negative-binomial": st.nbinom(2.5, 1 / (1 + 0.4 * rest)),
        "gamma": st.gamma(1 / 0.09, scale=rest * 0.09),
        "lognormal": st.lognorm(np.sqrt(np.log(1.09)), scale=rest / np.sqrt(1.09)),
    }[law]
    assert_mean(activity, mean, bias=1e-4 * mean)
    assert_chance(activity == 0, 0.3 + 0.7 * inner.cdf(0), bias=1e-4)
    assert_variance(activity, 0.7 * (inner.var() + rest**2) - mean**2, bias=2e-4 * rest**2)
    assert_chance(activity <= rest, 0.3 + 0.7 * inner.cdf(rest), bias=2e-4)


@pytest.mark.parametrize("law", ["negative-binomial", "gamma", "lognormal"])
def test_drivers_spread_chance_without_moving_its_mean(law):
    sd, cv = 0.3, 0.2
    fields = {"overdispersion": cv**2} if law == "negative-binomial" else {"cv": cv}
    driver = rs.Driver(name="s", acts_on="dispersion", law="lognormal", sd=sd, centre="median")
    noise = rs.Noise(law=law, dispersion={"s": 1.0}, **fields)
    of = case([line(noise=noise)], drivers=[driver])
    draws = drawn(of)
    activity = draws.activity.values.ravel() / 10_000
    assert_mean(activity, 1.0, bias=1e-5)
    # E[s^2] = exp(2 sd^2)
    extra = 1e-4 if law == "negative-binomial" else 0.0
    assert_variance(activity, cv**2 * np.exp(2 * sd**2) + extra, bias=2e-4 * cv**2)
    # given the spread, the law is that of the spread CV
    s = draws.driver_index.values.ravel()
    for low, high in ((0.7, 0.75), (1.5, 1.6)):
        at = (s > low) & (s < high)
        middle = np.sqrt((s[at] ** 2).mean())
        assert activity[at].std() == pytest.approx(cv * middle, rel=0.08)


def test_a_demand_driver_may_spread_chance_too():
    driver = rs.Driver(name="d", acts_on="activity", law="lognormal", sd=0.2, centre="mean")
    noise = rs.Noise(law="gamma", cv=0.1, dispersion={"d": 2.0})
    draws = drawn(case([line(loadings={"d": 1.0}, noise=noise)], drivers=[driver]))
    d = draws.driver_index.values.ravel()
    ratio = draws.activity.values.ravel() / 10_000 / d
    high = d > 1.2
    expected = 0.1 * np.sqrt((d[high] ** 4).mean())
    assert ratio[high].std() == pytest.approx(expected, rel=0.05)


def test_case_mix_and_unit_cost_follow_activity_with_their_rank_correlation():
    lines = [
        line(
            noise=rs.Noise(law="gamma", cv=0.1),
            case_mix_noise=rs.Noise(law=Weibull(shape=3.0), with_activity=-0.6),
            unit_cost_noise=rs.Noise(law="lognormal", cv=0.1, with_activity=0.5),
        )
    ]
    draws = rs.draw(case(lines), samples=SAMPLES, seed=5, sampler="pseudo-random")
    activity, mix, cost = (draws[n].values.ravel() for n in ("activity", "case_mix", "unit_cost"))
    for other, r in ((mix, -0.6), (cost, 0.5)):
        asked = 6 / np.pi * np.arcsin(r / 2)
        parts = zip(np.split(activity, 16), np.split(other, 16), strict=True)
        found, error = between([st.spearmanr(a, b).statistic for a, b in parts])
        assert abs(found - asked) < 4 * error
    assert_mean(mix, 1.0)


@pytest.mark.parametrize("delivery", [0.7, 0.02, 0.98])
def test_a_thinned_change_moves_a_binomial_count(delivery):
    change = rs.Change(
        name="m",
        owner="payer",
        source="spells",
        destination="other",
        size=0.25,
        thinning=True,
        delivery=rs.Delivery(value=delivery),
    )
    of = case([line(baseline=200), line("other", baseline=100)], changes=[change])
    activity = drawn(of).activity.values[0]
    moved = 200 - activity[0]
    oracle = st.binom(50, delivery)
    assert np.all(moved == np.round(moved))
    np.testing.assert_array_equal(activity[0] + activity[1], 300)
    assert_mean(moved, oracle.mean(), bias=1e-3)
    assert_variance(moved, oracle.var(), bias=5e-3)
    for k in range(int(oracle.ppf(0.01)), int(oracle.ppf(0.99)) + 1, 3):
        assert_chance(moved <= k, oracle.cdf(k), bias=2e-4)


def test_thinning_adds_to_what_a_delivery_varies():
    change = rs.Change(
        name="m",
        owner="payer",
        source="spells",
        size=0.2,
        thinning=True,
        delivery=rs.Delivery(law=Pert(low=0.4, mode=0.8, high=1.0)),
    )
    moved = 400 - drawn(case([line(baseline=400)], changes=[change])).activity.values.ravel()
    p = st.beta(1 + 4 * 0.4 / 0.6, 1 + 4 * 0.2 / 0.6, 0.4, 0.6)
    assert_mean(moved, 80 * p.mean(), bias=1e-2)
    within = 80 * (p.mean() - p.var() - p.mean() ** 2)
    assert_variance(moved, 80**2 * p.var() + within, bias=0.05)


def test_numbers_of_laws_never_recompile():
    def of(mode, shape, probability, zeros, spread, size):
        drivers = [
            rs.Driver(name="d", acts_on="activity", law=Triangular(low=0.5, mode=mode, high=2.0)),
            rs.Driver(
                name="w",
                acts_on="activity",
                law=Shock(probability=probability, effect=Triangular(low=1.1, mode=1.2, high=2.0)),
            ),
            rs.Driver(name="s", acts_on="dispersion", law="lognormal", sd=spread, centre="median"),
        ]
        lines = [
            line(
                loadings={"d": 1.0, "w": 0.5},
                noise=rs.Noise(law="gamma", cv=0.2, zeros=zeros, dispersion={"s": 1.0}),
                case_mix_noise=rs.Noise(law=Weibull(shape=shape)),
                capacity=rs.Capacity(units=9000 + size, waiting=size),
            )
        ]
        change = rs.Change(name="m", owner="payer", source="spells", size=0.1, thinning=True)
        return case(lines, drivers=drivers, changes=[change])

    rs.simulate(of(1.0, 2.0, 0.05, 0.1, 0.2, 100.0), samples=4096)
    with count_traces() as traced:
        rs.simulate(of(1.2, 3.0, 0.5, 0.3, 0.4, 10.0), samples=4096)
    assert traced == []


def test_a_law_takes_any_name_and_path():
    of = driven(Triangular(low=0.8, mode=1.0, high=1.4))
    assert of.number("drivers.d.law.mode") == 1.0
    wider = of.with_numbers({"drivers.d.law.high": 2.0})
    assert wider.drivers[0].law.high == 2.0
    found = rs.simulate(of, samples=4096, parameters={"drivers.d.law.high": 2.0})
    np.testing.assert_array_equal(found.position, rs.simulate(wider, samples=4096).position)


@pytest.mark.parametrize(("number", "delivery"), [(2.5, 0.5), (0.5, 0.9), (900.0, 1e-5)])
def test_thinning_of_units_that_are_not_whole_keeps_its_mean(number, delivery):
    change = rs.Change(
        name="m",
        owner="payer",
        source="spells",
        size=0.5,
        thinning=True,
        delivery=rs.Delivery(value=delivery),
    )
    moved = 2 * number - drawn(case([line(baseline=2 * number)], changes=[change])).activity
    assert_mean(moved, number * delivery, bias=2e-4 * number * delivery + 2e-4)


def refused(**fields):
    """The message with which a case of one line is refused."""
    with pytest.raises(rs.CaseError) as caught:
        case(**fields)
    return str(caught.value)


def moved_by(kind):
    """A case whose one line has chance of factor `w`, what moves it, and where that is said."""
    w = rs.Driver(name="w", acts_on="chance", law="normal", sd=0.1)
    noise = rs.Noise(law="lognormal", cv=0.3, factors={"w": 0.5})
    own = {"dispersion": "dispersion", "unit_cost_noise": "unit_cost", "case_mix_noise": "case_mix"}
    if kind == "delay":
        late = rs.Delay(law="normal", value=0.5, sd=0.1)
        change = rs.Change(name="m", owner="payer", source="spells", size=0.2, delay=late)
        return {"lines": [line(noise=noise)], "drivers": [w], "changes": [change]}, "delay[m]"
    mover = rs.Driver(name="d", acts_on=own[kind], law="lognormal", sd=0.2, centre="mean")
    if kind == "dispersion":
        fields = {"noise": dataclasses.replace(noise, dispersion={"d": 1.0})}
    else:
        fields = {"loadings": {"d": 1.0}, kind: noise}
    return {"lines": [line(**fields)], "drivers": [w, mover]}, "d"


@pytest.mark.parametrize("kind", ["delay", "dispersion", "unit_cost_noise", "case_mix_noise"])
@pytest.mark.parametrize("count", [1, 3])
def test_chance_that_goes_with_what_moves_its_line_is_refused(kind, count):
    whole, other = moved_by(kind)
    at = kind if kind.endswith("noise") else "noise"
    assert case(**whole, count=count)
    apart = [rs.Correlation(between=["w", other], value=-0.4)]
    message = refused(**whole, count=count, correlations=apart)
    assert f"lines.spells.{at}.factors: 'w' is correlated -0.4 with '{other}', which" in message


def test_what_would_be_a_wrong_number_is_refused_with_its_path():
    change = rs.Change(
        name="m", owner="payer", source="spells", size=0.2, thinning=True, delay=rs.Delay(value=0.5)
    )
    assert "changes.m.thinning: units move one by one" in refused(changes=[change])
    d = rs.Driver(name="d", acts_on="activity", law="lognormal", sd=0.2, centre="mean")
    both = line(loadings={"d": 1.0}, noise=rs.Noise(law="lognormal", cv=0.3, factors={"d": 0.9}))
    assert "noise.factors[d]: that driver moves the line too" in refused(lines=[both], drivers=[d])
    winter = rs.Driver(name="w", acts_on="chance", law="normal", sd=0.1)
    coupled = line(
        loadings={"d": 1.0},
        exposure="all",
        noise=rs.Noise(law="lognormal", cv=0.3, factors={"w": 0.5}),
    )
    people = rs.Population(name="all", count=1000.0, law="normal", sd=0.01)
    fewer = rs.Change(
        name="m",
        owner="payer",
        source="spells",
        size=0.2,
        delivery=rs.Delivery(law="normal", sd=0.1),
    )
    whole = {"lines": [coupled], "drivers": [d, winter], "members": [people], "changes": [fewer]}
    for other in ("d", "members[all]", "delivery[m]"):
        message = refused(**whole, correlations=[rs.Correlation(between=["w", other], value=0.6)])
        assert f"noise.factors: 'w' is correlated 0.6 with '{other}', which moves" in message
    # what cancels in the first year need not in the second
    other = rs.Driver(name="v", acts_on="chance", law="normal", sd=0.1, process="random-walk")
    both_ways = line(
        loadings={"d": 1.0}, noise=rs.Noise(law="lognormal", cv=0.3, factors={"w": 0.5, "v": -0.5})
    )
    pairs = [rs.Correlation(between=["d", name], value=0.6) for name in ("w", "v")]
    message = refused(lines=[both_ways], drivers=[d, winter, other], correlations=pairs)
    assert "'v' is correlated 0.6 with 'd'" in message
    # the chance of unit cost takes the factors of the activity that it follows
    price = rs.Driver(name="u", acts_on="unit_cost", law="lognormal", sd=0.3, centre="mean")
    follows = line(
        loadings={"u": 1.0},
        noise=rs.Noise(law="gamma", cv=0.5, factors={"u": 0.9}),
        unit_cost_noise=rs.Noise(law="gamma", cv=0.5, with_activity=0.9),
    )
    message = refused(lines=[follows], drivers=[price])
    assert "unit_cost_noise.with_activity: 'u' is correlated 1 with 'u', which moves" in message
    case(**whole)
    case(**whole, correlations=[rs.Correlation(between=["members[all]", "d"], value=0.6)])
    heavy = line(noise=rs.Noise(law=GeneralisedPareto(scale=1.0, shape=0.95)))
    assert "lines.spells.noise.law:" in refused(lines=[heavy])
    for law, power in ((Triangular(low=0.0, mode=1.0, high=2.0), -2.0), (Gamma(cv=1.0), -1.0)):
        driver = rs.Driver(name="d", acts_on="activity", law=law)
        message = refused(lines=[line(loadings={"d": power})], drivers=[driver])
        assert "the mean is infinite" in message
    percent = rs.Driver(name="d", acts_on="activity", law=Interval(low=96.0, high=107.0))
    assert "did you mean 1.0" in refused(drivers=[percent])
    percent = rs.Driver(name="d", acts_on="activity", interval=[96.0, 107.0])
    assert "drivers.d.interval: found an index about 96" in refused(drivers=[percent])


def test_discrete_laws_have_exact_powers_and_delays():
    law = Discrete(values=[0.5, 1.0, 2.0, 3.0], weights=[0.27, 0.33, 0.25, 0.15])
    for power in (-1.0, 0.5, 2.0):
        expected = sum(w * v**power for v, w in zip(law.values, law.weights, strict=True))
        assert LawMap(law).power_mean(power) == pytest.approx(expected, rel=1e-9)
    late = rs.Delay(law=Discrete(values=[0.0, 1.0], weights=[0.3, 0.7]))
    change = rs.Change(name="m", owner="payer", source="spells", size=0.2, delay=late)
    of = case([line(baseline=1000)], changes=[change])
    assert bind(of).plan.expected[0, 0] == pytest.approx(1000 - 200 * 0.3, rel=1e-5)
