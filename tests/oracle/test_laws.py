"""Laws against scipy.stats, closed forms of Loss Models and published figures."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats

from riskshare.checks.given import Findings, Scope, check_declared
from riskshare.laws.marginal import (
    LAWS,
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
from riskshare.laws.marginal.base import tail_mean

SCORES = np.linspace(-8, 8, 161)
Z90 = stats.norm.ppf(0.9)
INF, NAN = np.inf, np.nan


def lognormal(mean, cv):
    sigma = np.sqrt(np.log1p(cv**2))
    return stats.lognorm(sigma, scale=mean * np.exp(-(sigma**2) / 2))


def generalised_gamma(mean, a, c):
    log_mean = special.gammaln(a + 1 / c) - special.gammaln(a)
    return stats.gengamma(a, c, scale=mean * np.exp(-log_mean))


def beta(low, mode, high, weight):
    width = high - low
    a, b = 1 + weight * (mode - low) / width, 1 + weight * (high - mode) / width
    return stats.beta(a, b, loc=low, scale=width)


def logistic_points(place, scale):
    """Quartiles of a logistic law: the metalog of two points is that law."""
    return {"levels": (0.25, 0.75), "values": tuple(place + scale * np.log(3) * np.array([-1, 1]))}


def log_logistic_points(lower, scale, power):
    values = lower + scale * 3.0 ** (np.array([-1, 1]) / power)
    return {"levels": (0.25, 0.75), "values": tuple(values), "lower": lower}


PAIRS = {
    "normal": (Normal(mean=-2, sd=3), stats.norm(-2, 3)),
    **{f"lognormal {cv}": (Lognormal(mean=3, cv=cv), lognormal(3, cv)) for cv in (0.01, 1, 5)},
    **{
        f"gamma {cv}": (Gamma(mean=3, cv=cv), stats.gamma(cv**-2, scale=3 * cv**2))
        for cv in (0.01, 0.5, 1, 5)
    },
    **{
        f"weibull {k}": (
            Weibull(mean=3, shape=k),
            stats.weibull_min(k, scale=3 / special.gamma(1 + 1 / k)),
        )
        for k in (0.2, 0.8, 3, 50)
    },
    **{
        f"generalised gamma {a} {c}": (
            GeneralisedGamma(mean=3, shape=a, power=c),
            generalised_gamma(3, a, c),
        )
        for a, c in ((2, 0.5), (0.1, 0.7), (100, 0.2), (0.05, 3))
    },
    **{
        f"pareto {k}": (Pareto(minimum=2, index=k), stats.pareto(k, scale=2))
        for k in (0.5, 1, 1.1, 3, 50)
    },
    **{
        f"generalised pareto {k}": (
            GeneralisedPareto(minimum=2, scale=3, shape=k),
            stats.genpareto(k, loc=2, scale=3),
        )
        for k in (-0.5, 0, 1e-9, 0.3, 0.9, 2)
    },
    "lomax": (GeneralisedPareto(scale=3 / 2.5, shape=1 / 2.5), stats.lomax(2.5, scale=3)),
    **{
        f"triangular {c}": (
            Triangular(low=1, mode=1 + 4 * c, high=5),
            stats.triang(c, loc=1, scale=4),
        )
        for c in (0, 0.25, 1)
    },
    **{
        f"pert {weight} {mode}": (
            Pert(low=1, mode=mode, high=5, weight=weight),
            beta(1, mode, 5, weight),
        )
        for weight, mode in ((4, 2), (0, 2), (100, 4.9))
    },
    "interval": (Interval(low=0.9, high=1.2), stats.norm(1.05, 0.15 / Z90)),
    "lognormal interval": (
        Interval(low=0.9, high=1.2, law="lognormal"),
        stats.lognorm(np.log(1.2 / 0.9) / (2 * Z90), scale=np.sqrt(0.9 * 1.2)),
    ),
    "logistic metalog": (Metalog(**logistic_points(2, 0.3)), stats.logistic(2, 0.3)),
    "log-logistic metalog": (
        Metalog(**log_logistic_points(1, 2, 2.5)),
        stats.fisk(2.5, loc=1, scale=2),
    ),
    "heavy metalog": (Metalog(**log_logistic_points(0, 2, 1.05)), stats.fisk(1.05, scale=2)),
}
"""Laws and the same in scipy.stats."""

SMOOTH = [law for law, _ in PAIRS.values()]
COMPOSITE = [
    Empirical(values=(3.0, 1.0, 2.0, 7.0, 7.0)),
    Empirical(values=(3.0, 1.0, 2.0), weights=(1, 5, 2)),
    Discrete(values=(1.0, 0.5, 4.0), weights=(0.6, 0.3, 0.1)),
    Mixture(
        components=[
            Component(weight=0.7, law=Gamma(mean=1, cv=0.5)),
            Component(weight=0.3, law=Lognormal(mean=3, cv=2)),
        ]
    ),
    Spliced(
        body=Lognormal(mean=1, cv=1),
        tail=GeneralisedPareto(minimum=4, scale=1, shape=0.4),
        threshold=4,
        tail_share=0.1,
    ),
    Spliced(body=Gamma(cv=1), tail=Pareto(minimum=3, index=2.5), threshold=3),
    Shock(probability=0.05, effect=Triangular(low=1, mode=1.2, high=1.5)),
    Shock(probability=0.2, calm=1, effect=Pert(low=0.2, mode=0.5, high=0.9)),
    Metalog(levels=(0.1, 0.5, 0.9), values=(8, 10, 14), upper=20),
    Metalog(levels=(0.05, 0.25, 0.5, 0.75, 0.95), values=(1, 2.5, 4, 6, 11), lower=0, upper=30),
]
EVERY = SMOOTH + COMPOSITE


def name(law):
    return repr(law)[:60]


def oracle_quantile(dist, score):
    """Quantile of a frozen law from the smaller tail; triang has none from above: it is turned."""
    below, above = stats.norm.cdf(np.minimum(score, 0)), stats.norm.sf(np.maximum(score, 0))
    if dist.dist.name == "triang":
        turned = stats.triang(1 - dist.args[0], loc=-5, scale=4)
        return np.where(score <= 0, dist.ppf(below), -turned.ppf(above))
    return np.where(score <= 0, dist.ppf(below), dist.isf(above))


def quantile_integral(dist, low, high):
    """Integrate scipy's quantile over scores, split where a triangle has its mode."""
    kink = stats.norm.ppf(dist.args[0]) if dist.dist.name == "triang" else 0.0
    edges = np.unique(np.clip(np.append(np.arange(-12, 20.5, 0.5), [kink, low, high]), low, high))
    nodes, weights = np.polynomial.legendre.leggauss(30)
    half = np.diff(edges)[:, None] / 2
    z = edges[:-1, None] + half * (1 + nodes)
    return float(((oracle_quantile(dist, z) * stats.norm.pdf(z) * half) @ weights).sum())


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_quantiles_are_scipys_from_score_minus_8_to_8(pair):
    law, dist = pair
    # the loosest is the generalised gamma of shape 100, whose scale scipy takes from gammaln
    np.testing.assert_allclose(law.at(SCORES), oracle_quantile(dist, SCORES), rtol=2e-13)


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_distribution_and_survival_are_scipys_in_the_body(pair):
    law, dist = pair
    value = dist.ppf(np.linspace(0.001, 0.999, 41))
    np.testing.assert_allclose(law.distribution(value), dist.cdf(value), rtol=2e-12)
    np.testing.assert_allclose(law.survival(value), dist.sf(value), rtol=2e-12)


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_moments_are_scipys_or_infinite(pair):
    law, dist = pair
    mean, variance = dist.stats("mv")
    heavy = {
        "pareto 0.5": (INF, INF),
        "pareto 1": (INF, INF),
        "generalised pareto 2": (INF, INF),
        "generalised pareto 0.9": (mean, INF),
        "pareto 1.1": (mean, INF),
        "heavy metalog": (mean, INF),
    }
    known = next((v for k, v in heavy.items() if PAIRS[k] is pair), (mean, variance))
    assert law.expectation() == pytest.approx(known[0], rel=1e-12)
    assert law.standard_deviation() == pytest.approx(np.sqrt(known[1]), rel=1e-12)


def scores_told_apart(law, scores):
    """The scores whose values are floats that a rounding does not take to another score."""
    value = law.at(scores)
    return scores[np.isfinite(value) & (np.abs(value) > 1e-290)]


@pytest.mark.parametrize("law", EVERY, ids=name)
def test_at_inverts_both_tails_out_to_score_37(law):
    """F just below the value does not reach Phi(z), and F just above it does; likewise S."""
    scores = scores_told_apart(law, np.linspace(-37, 37, 371))
    value = law.at(scores)
    step = 1e-13 * np.abs(value)
    lower, upper = scores <= 0, scores > 0
    below, above = stats.norm.cdf(scores[lower]), stats.norm.sf(scores[upper])
    close = 1 + 1e-11
    assert np.all(law.distribution(value + step)[lower] * close >= below)
    assert np.all(law.distribution(value - step)[lower] <= below * close)
    assert np.all(law.survival(value + step)[upper] <= above * close)
    assert np.all(law.survival(value - step)[upper] * close >= above)


@pytest.mark.parametrize("law", EVERY, ids=name)
def test_at_never_falls_and_is_never_nan(law):
    value = law.at(np.linspace(-38, 38, 4001))
    assert not np.isnan(value).any()
    value = value[np.isfinite(value)]
    assert np.all(value[1:] >= value[:-1] - 1e-14 * np.abs(value[:-1]))


@pytest.mark.parametrize("law", EVERY, ids=name)
def test_distribution_and_survival_sum_to_one(law):
    value = law.at(np.linspace(-4, 4, 81))
    np.testing.assert_allclose(law.distribution(value) + law.survival(value), 1, atol=1e-14)


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_limited_means_by_quadrature_of_scipys_quantile(pair):
    law, dist = pair
    for score in (-2.0, 0.0, 1.5, 3.5):
        limit = float(oracle_quantile(dist, np.array(score)))
        below = quantile_integral(dist, -12.0, score)
        expected = below + limit * stats.norm.sf(score)
        assert float(law.limited_mean(np.array(limit))) == pytest.approx(expected, rel=2e-11)


@pytest.mark.parametrize("law", COMPOSITE, ids=name)
def test_moments_and_limited_means_by_quadrature_of_the_quantile(law):
    """Mean, variance and limited mean follow from `at` alone."""
    fine = np.linspace(0, 1, 40_001)
    level = (fine[1:] + fine[:-1]) / 2
    tail = stats.norm.ppf(np.minimum(level, 1 - level))
    value = law.at(np.where(level <= 0.5, tail, -tail))
    # the midpoint rule misses some of an unbounded tail
    close = 2e-3 if isinstance(law, Spliced | Mixture) else 1e-5
    assert law.expectation() == pytest.approx(value.mean(), rel=close)
    if np.isfinite(law.standard_deviation()) and close < 1e-4:
        assert law.standard_deviation() == pytest.approx(value.std(), rel=1e-4)
    limits = np.quantile(value, [0.1, 0.5, 0.9, 0.97])
    expected = np.minimum(value, limits[:, None]).mean(axis=1)
    np.testing.assert_allclose(law.limited_mean(limits), expected, rtol=1e-5)


@pytest.mark.parametrize("law", EVERY, ids=name)
def test_a_limit_out_of_reach_leaves_the_mean(law):
    if np.isfinite(law.expectation()):
        assert float(law.limited_mean(np.array(INF))) == pytest.approx(law.expectation(), rel=1e-12)
    least = float(law.at(np.array(-37.4)))
    assert float(law.limited_mean(np.array(least))) == pytest.approx(least, rel=1e-12, abs=1e-290)


@pytest.mark.parametrize("law", EVERY, ids=name)
def test_simulated_means_are_within_four_standard_errors(law):
    if np.isfinite(law.standard_deviation()):
        score = np.random.default_rng(20_260_501).standard_normal(200_000)
        error = law.standard_deviation() / np.sqrt(score.size)
        value = law.at(score)
        assert abs(value.mean() - law.expectation()) < 4 * error
        limit = float(law.at(np.array(1.8)))
        limited = np.minimum(value, limit)
        error = limited.std() / np.sqrt(score.size)
        assert abs(limited.mean() - float(law.limited_mean(np.array(limit)))) < 4 * error


# Closed forms and published figures


def test_lognormal_limited_means_of_the_published_corridor():
    """Mechanisms M31: a corridor from 1 to 2 times expected on a lognormal of CV 0.905."""
    one, two = Lognormal(mean=1, cv=0.905).limited_mean(np.array([1.0, 2.0]))
    assert one == pytest.approx(0.698942, abs=5e-7)
    assert two == pytest.approx(0.894292, abs=5e-7)
    assert two - one == pytest.approx(0.195350, abs=5e-7)


def test_exponential_layer_and_the_leverage_of_trend():
    """Exponential of mean 1,000, layer 500 in excess of 100: cost per payment, before and after."""
    cost = []
    for mean in (1000.0, 1050.0):
        law = Gamma(mean=mean, cv=1)
        low, high = law.limited_mean(np.array([100.0, 600.0]))
        cost.append((high - low) / float(law.survival(np.array(100.0))))
    assert cost == pytest.approx([393.469, 397.798], abs=5e-4)


@pytest.mark.parametrize("index", [1.1, 2.5])
def test_pareto_limited_mean_and_tail_mean_in_closed_form(index):
    law, limit = Pareto(minimum=2, index=index), np.array([2.0, 10.0, 1e4])
    expected = (index * 2 - 2**index * limit ** (1 - index)) / (index - 1)
    np.testing.assert_allclose(law.limited_mean(limit), expected, rtol=1e-12)
    np.testing.assert_allclose(tail_mean(law, limit), limit * index / (index - 1), rtol=1e-10)


def test_pareto_of_index_one_has_a_logarithmic_limited_mean():
    law, limit = Pareto(minimum=2, index=1), np.array([3.0, 50.0])
    np.testing.assert_allclose(law.limited_mean(limit), 2 * (1 + np.log(limit / 2)), rtol=1e-14)


@pytest.mark.parametrize("shape", [-0.5, 0.0, 0.4, 0.9])
def test_mean_excess_of_a_generalised_pareto_is_a_straight_line(shape):
    law = GeneralisedPareto(minimum=2, scale=3, shape=shape)
    value = np.array([2.0, 4.0, 7.0])
    expected = (3 + shape * (value - 2)) / (1 - shape)
    np.testing.assert_allclose(tail_mean(law, value) - value, expected, rtol=1e-12)


@pytest.mark.parametrize(
    "key",
    ["normal", "lognormal 1", "lognormal 5", "gamma 0.5", "weibull 0.8", "triangular 0.25",
     "pert 4 2", "logistic metalog"],
)  # fmt: skip
def test_tail_means_by_quadrature_of_scipys_quantile(key):
    law, dist = PAIRS[key]
    for score in (-1.0, 1.0, 2.5, 4.0):
        value = oracle_quantile(dist, np.array(score))
        above = quantile_integral(dist, score, 20.0)
        found = float(tail_mean(law, value))
        # the mean less the limited mean keeps 1e-16 of the mean, over a tail of 3e-5
        assert found == pytest.approx(above / stats.norm.sf(score), rel=2e-10)


def test_a_tail_mean_of_an_infinite_mean_is_refused():
    with pytest.raises(ValueError, match="pareto law is infinite"):
        tail_mean(Pareto(minimum=1, index=1), np.array(2.0))


def test_gamma_of_a_tiny_spread_follows_cornish_and_fisher():
    """At a CV of 1e-4 the skewness is 2e-4 and the excess kurtosis 6e-8."""
    z = np.array([-8.0, -4.7, -1.0, 0.0, 5.0, 8.0])
    skew, kurtosis = 2e-4, 6e-8
    expected = (
        z
        + (z**2 - 1) * skew / 6
        + (z**3 - 3 * z) * kurtosis / 24
        - (2 * z**3 - 5 * z) * skew**2 / 36
    )
    law = Gamma(mean=1, cv=1e-4)
    np.testing.assert_allclose((law.at(z) - 1) / 1e-4, expected, atol=1e-9)
    tails = law.distribution(1 + 1e-4 * expected)[:3], law.survival(1 + 1e-4 * expected)[4:]
    np.testing.assert_allclose(tails[0], stats.norm.cdf(z[:3]), rtol=1e-8)
    np.testing.assert_allclose(tails[1], stats.norm.sf(z[4:]), rtol=1e-8)


def test_generalised_gamma_has_its_relatives_as_special_cases():
    z, d = np.linspace(-6, 6, 25), np.array([0.2, 1.0, 5.0])
    for same in (
        (GeneralisedGamma(mean=2, shape=4, power=1), Gamma(mean=2, cv=0.5)),
        (GeneralisedGamma(mean=2, shape=1, power=0.7), Weibull(mean=2, shape=0.7)),
    ):
        np.testing.assert_allclose(same[0].at(z), same[1].at(z), rtol=1e-13)
        np.testing.assert_allclose(same[0].limited_mean(d), same[1].limited_mean(d), rtol=1e-13)
        assert same[0].standard_deviation() == pytest.approx(
            same[1].standard_deviation(), rel=1e-13
        )
    # a large shape: lognormal with sigma = 1 / (power sqrt(shape))
    wide = GeneralisedGamma(mean=1, shape=1e5, power=0.05)
    sigma = 1 / (0.05 * np.sqrt(1e5))
    median = float(wide.at(np.array(0.0)))
    np.testing.assert_allclose(wide.at(z[9:16]) / median, np.exp(sigma * z[9:16]), rtol=2e-3)


def test_a_quantile_smaller_than_its_gamma_variate_is_still_a_number():
    """G of shape 0.01 underflows, its tenth root does not: x = (p Gamma(a + 1))^(1 / (a c))."""
    law = GeneralisedGamma(mean=1, shape=0.01, power=10)
    p = stats.norm.cdf(-5.0)
    scale = np.exp(special.gammaln(0.01) - special.gammaln(0.11))
    expected = scale * np.exp((np.log(p) + special.gammaln(1.01)) / 0.1)
    assert special.gammaincinv(0.01, p) == 0
    assert float(law.at(np.array(-5.0))) == pytest.approx(expected, rel=1e-12)


def test_pert_far_in_its_tail_where_scipys_inverse_gives_up():
    """F = u^3 (10 - 15 u + 6 u^2) for a symmetric PERT: u = (F / 10)^(1 / 3) for small F."""
    law, z = Pert(low=0, mode=1, high=2), np.array([-37.0, -30.0, -25.0])
    p = stats.norm.cdf(z)
    u = (p / 10) ** (1 / 3)
    np.testing.assert_allclose(law.at(z), 2 * u * (1 + u / 2), rtol=1e-13)


# The metalog


def spt(low, middle, high, alpha):
    """Keelin (2016), proposition 1: coefficients of a symmetric-percentile triplet."""
    r = (middle - low) / (high - low)
    log_odds = np.log((1 - alpha) / alpha)
    return (
        middle,
        (high - low) / (2 * log_odds),
        (1 - 2 * r) * (high - low) / ((1 - 2 * alpha) * log_odds),
    )


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.25])
def test_metalog_of_a_triplet_has_keelins_coefficients_mean_and_variance(alpha):
    a = spt(8.0, 10.0, 14.0, alpha)
    law = Metalog(levels=(alpha, 0.5, 1 - alpha), values=(8, 10, 14))
    y = np.array([1e-9, 0.01, 0.3, 0.5, 0.9, 0.999])
    logit = np.log(y / (1 - y))
    expected = a[0] + a[1] * logit + a[2] * (y - 0.5) * logit
    np.testing.assert_allclose(law.at(stats.norm.ppf(y)), expected, rtol=1e-12)
    assert law.expectation() == pytest.approx(a[0] + a[2] / 2, rel=1e-13)
    variance = np.pi**2 / 3 * a[1] ** 2 + (1 / 12 + np.pi**2 / 36) * a[2] ** 2
    assert law.standard_deviation() == pytest.approx(np.sqrt(variance), rel=1e-13)


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.25])
def test_metalog_of_a_triplet_is_feasible_where_keelin_says(alpha):
    """Keelin (2016), proposition 2: r from k to 1 - k, k = (1 - 1.66711 (1/2 - alpha)) / 2."""
    k = (1 - 1.66711 * (0.5 - alpha)) / 2
    for inside, r in (
        (True, k + 1e-4),
        (False, k - 1e-4),
        (True, 1 - k - 1e-4),
        (False, 1 - k + 1e-4),
    ):
        law = Metalog(levels=(alpha, 0.5, 1 - alpha), values=(0.0, r, 1.0))
        assert (not list(law.problems())) is inside, r


@pytest.mark.parametrize(
    ("bounds", "quantile", "level"),
    [
        ({}, 4.3419, 0.3501),
        ({"lower": 0}, 4.3146, 0.3452),
        ({"upper": 50}, 4.3144, 0.3585),
        ({"lower": 0, "upper": 50}, 4.3146, 0.3472),
    ],
)
def test_metalog_agrees_with_the_r_package_qpd(bounds, quantile, level):
    """Figures of qpd's own tests: levels 0.1, 0.5, 0.85 at 4, 9, 17."""
    law = Metalog(levels=(0.1, 0.5, 0.85), values=(4, 9, 17), **bounds)
    assert float(law.at(stats.norm.ppf(0.12))) == pytest.approx(quantile, abs=6e-5)
    assert float(law.distribution(np.array(7.11))) == pytest.approx(level, abs=6e-5)


@pytest.mark.parametrize("bounds", [{}, {"lower": 0}, {"upper": 40}, {"lower": 0, "upper": 40}])
def test_metalog_meets_every_point(bounds):
    levels, values = (0.05, 0.2, 0.5, 0.7, 0.95), (3.0, 5.0, 8.0, 10.5, 17.0)
    law = Metalog(levels=levels, values=values, **bounds)
    assert not list(law.problems())
    np.testing.assert_allclose(law.at(stats.norm.ppf(levels)), values, rtol=1e-13)


def test_metalog_with_an_upper_bound_is_the_mirror_of_one_with_a_lower():
    law = Metalog(levels=(0.1, 0.5, 0.9), values=(8, 10, 14), lower=1)
    turned = Metalog(levels=(0.1, 0.5, 0.9), values=(-14, -10, -8), upper=-1)
    np.testing.assert_allclose(turned.at(SCORES), -law.at(-SCORES), rtol=1e-13)
    assert turned.expectation() == pytest.approx(-law.expectation(), rel=1e-14)
    limit = -9.0
    expected = -(law.expectation() + 9 - float(law.limited_mean(np.array(9.0))))
    assert float(turned.limited_mean(np.array(limit))) == pytest.approx(expected, rel=1e-13)


def test_metalog_moments_are_infinite_where_the_log_logistic_has_none():
    for power, mean, deviation in ((0.9, False, False), (1.05, True, False), (2.2, True, True)):
        law = Metalog(**log_logistic_points(0, 2, power))
        assert np.isfinite(law.expectation()) is np.bool_(mean)
        assert np.isfinite(law.standard_deviation()) is np.bool_(deviation)
    # the mean of a log-logistic: scale (pi / power) / sin(pi / power)
    b = np.pi / 1.05
    heavy = Metalog(**log_logistic_points(0, 2, 1.05)).expectation()
    assert heavy == pytest.approx(2 * b / np.sin(b), rel=1e-12)


# Points and composites


def test_an_empirical_law_is_hazens_quantile_and_keeps_the_mean():
    sample = np.random.default_rng(1).lognormal(1.0, 1.0, 200)
    law = Empirical(values=tuple(sample))
    level = np.linspace(0.0005, 0.9995, 999)
    expected = np.quantile(sample, level, method="hazen")
    np.testing.assert_allclose(law.at(stats.norm.ppf(level)), expected, rtol=1e-12)
    assert law.expectation() == pytest.approx(sample.mean(), rel=1e-14)
    assert float(law.at(np.array(9.0))) == sample.max()


def test_a_weighted_empirical_law_keeps_the_weighted_mean():
    rng = np.random.default_rng(2)
    values, weights = rng.normal(size=50), rng.random(50)
    law = Empirical(values=tuple(values), weights=tuple(weights))
    assert law.expectation() == pytest.approx(np.average(values, weights=weights), rel=1e-12)
    even = Empirical(values=tuple(values), weights=(0.3,) * 50)
    np.testing.assert_allclose(
        even.at(SCORES), Empirical(values=tuple(values)).at(SCORES), rtol=1e-9
    )


def test_a_discrete_law_is_the_exact_step_quantile():
    values, weights = (1.0, 5.0, 2.0, 2.0), (0.25, 0.125, 0.5, 0.125)
    law = Discrete(values=values, weights=weights)
    level = np.linspace(0.003, 0.997, 333)
    expected = np.quantile(values, level, method="inverted_cdf", weights=weights)
    np.testing.assert_array_equal(law.at(stats.norm.ppf(level)), expected)
    assert law.expectation() == 0.25 + 0.625 + 1.25
    np.testing.assert_allclose(
        law.distribution(np.array([0, 1, 2, 4, 5])), [0, 0.25, 0.875, 0.875, 1]
    )
    edge = stats.norm.ppf(0.25)
    assert list(law.at(np.array([np.nextafter(edge, -9), np.nextafter(edge, 9)]))) == [1, 2]


def test_a_discrete_law_jumps_where_the_step_is_felt_most():
    law = Discrete(values=(0.0, 1.0, 100.0), weights=(0.5, 0.49, 0.01))
    assert law.jump == pytest.approx(stats.norm.ppf(0.99), rel=1e-13)
    assert float(law.at(np.array(law.jump))) == 1
    assert Discrete(values=(3.0,), weights=(1.0,)).jump is None


def rejoined(law, score):
    """The law put together again from its atom and what is left, as `Atom` says."""
    atom = law.atom
    tail = stats.norm.sf(atom.side * score) / (1 - atom.probability)
    inner = atom.side * stats.norm.isf(np.minimum(tail, 1 - 1e-12))
    held = atom.side * score <= stats.norm.ppf(atom.probability)
    return np.where(held, atom.value, atom.rest.at(inner))


@pytest.mark.parametrize(
    "law",
    [
        Discrete(values=(1.0, 0.5, 4.0), weights=(0.6, 0.3, 0.1)),
        Discrete(values=(1.0, 9.0), weights=(0.9, 0.1)),
        Discrete(values=(-9.0, 1.0, 2.0), weights=(0.1, 0.5, 0.4)),
        Shock(probability=0.05, effect=Triangular(low=1.1, mode=1.2, high=1.5)),
        Shock(probability=0.2, calm=1, effect=Pert(low=0.2, mode=0.5, high=0.9)),
    ],
    ids=name,
)
def test_an_atom_and_the_rest_make_the_law(law):
    score = np.linspace(-5, 5, 1003)
    np.testing.assert_allclose(rejoined(law, score), law.at(score), rtol=1e-9)


def mixture_root(parts, score):
    """Quantile of a mixture of frozen laws by brentq on the smaller tail."""
    tail = stats.norm.cdf(-abs(score))

    def excess(log_x):
        x = np.exp(log_x)
        return sum(w * (d.cdf(x) if score <= 0 else d.sf(x)) for w, d in parts) / tail - 1

    return np.exp(optimize.brentq(excess, -30, 30, xtol=1e-14, rtol=1e-14))


def test_a_mixture_is_the_root_of_the_mixed_distribution():
    parts = ((0.7, stats.gamma(4, scale=0.25)), (0.3, lognormal(3, 2)))
    law = next(law for law in COMPOSITE if isinstance(law, Mixture))
    scores = np.array([-8.0, -4.0, -1.0, 0.0, 0.5, 2.0, 5.0, 8.0])
    expected = [mixture_root(parts, z) for z in scores]
    np.testing.assert_allclose(law.at(scores), expected, rtol=1e-12)
    mean = sum(w * d.mean() for w, d in parts)
    square = sum(w * (d.var() + d.mean() ** 2) for w, d in parts)
    assert law.expectation() == pytest.approx(mean, rel=1e-14)
    assert law.standard_deviation() == pytest.approx(np.sqrt(square - mean**2), rel=1e-13)


def test_a_mixture_of_normals_in_closed_form():
    law = Mixture(
        components=[
            Component(weight=0.5, law=Normal(mean=-1, sd=1)),
            Component(weight=0.5, law=Normal(mean=1, sd=1)),
        ]
    )
    assert float(law.at(np.array(0.0))) == pytest.approx(0, abs=1e-15)
    np.testing.assert_allclose(law.at(-SCORES), -law.at(SCORES), rtol=1e-12, atol=1e-15)
    assert law.standard_deviation() == pytest.approx(np.sqrt(2), rel=1e-15)
    assert law.jump is None


def test_a_mixture_jumps_over_a_gap_that_no_component_fills():
    law = Mixture(
        components=[
            Component(weight=0.7, law=Triangular(low=0, mode=1, high=2)),
            Component(weight=0.3, law=Pareto(minimum=3, index=1.5)),
        ]
    )
    assert law.jump == pytest.approx(stats.norm.ppf(0.7), rel=1e-13)
    low, high = law.at(law.jump + np.array([0, 1e-9]))
    # F falls short of 0.7 by the square of what is left to 2: it is told to 1e-8 of the value
    assert low == pytest.approx(2, rel=1e-7)
    assert high == pytest.approx(3, rel=1e-8)


def test_a_mixture_of_atoms_is_the_discrete_law():
    mixture = Mixture(
        components=[
            Component(weight=0.5, law=Discrete(values=(1.0, 3.0), weights=(0.5, 0.5))),
            Component(weight=0.5, law=Discrete(values=(2.0,), weights=(1.0,))),
        ]
    )
    law = Discrete(values=(1.0, 2.0, 3.0), weights=(0.25, 0.5, 0.25))
    scores = np.linspace(-3, 3, 601)
    np.testing.assert_allclose(mixture.at(scores), law.at(scores), rtol=1e-14)
    np.testing.assert_allclose(
        mixture.limited_mean(np.array([1.5, 2.5])), law.limited_mean(np.array([1.5, 2.5]))
    )


def test_a_spliced_law_by_its_definition():
    body, tail, share = lognormal(1, 1), stats.genpareto(0.4, loc=4, scale=1), 0.1
    law = next(law for law in COMPOSITE if isinstance(law, Spliced))
    value = np.array([0.01, 0.5, 2.0, 3.999, 4.0, 4.5, 50.0])
    within = (1 - share) * body.cdf(value) / body.cdf(4)
    expected = np.where(value <= 4, within, 1 - share * tail.sf(value))
    np.testing.assert_allclose(law.distribution(value), expected, rtol=1e-13)
    beyond = np.array([6.0, 1e3, 1e9])
    np.testing.assert_allclose(law.survival(beyond), share * tail.sf(beyond), rtol=1e-13)
    low = body.expect(lambda x: x, ub=4, epsrel=1e-12) / body.cdf(4)
    square = body.expect(lambda x: x**2, ub=4, epsrel=1e-12) / body.cdf(4)
    mean = (1 - share) * low + share * tail.mean()
    assert law.expectation() == pytest.approx(mean, rel=1e-11)
    whole = (1 - share) * square + share * (tail.var() + tail.mean() ** 2)
    assert law.standard_deviation() == pytest.approx(np.sqrt(whole - mean**2), rel=1e-10)
    assert law.jump is None


def test_a_spliced_law_without_a_share_is_its_body_below_the_threshold():
    body = Gamma(cv=1)
    law = Spliced(body=body, tail=Pareto(minimum=3, index=2.5), threshold=3)
    z = np.linspace(-8, stats.norm.isf(np.exp(-3)) - 1e-9, 50)
    np.testing.assert_allclose(law.at(z), body.at(z), rtol=1e-14)
    np.testing.assert_allclose(
        law.at(np.array([5.0])), 3 * (np.exp(-3) / stats.norm.sf(5)) ** (1 / 2.5), rtol=1e-12
    )


def test_an_exponential_spliced_on_itself_is_itself():
    tail = GeneralisedPareto(minimum=2, scale=1, shape=0)
    law, whole = Spliced(body=Gamma(cv=1), tail=tail, threshold=2), Gamma(cv=1)
    z, d = np.linspace(-30, 30, 241), np.array([0.5, 2.0, 3.0, 20.0])
    np.testing.assert_allclose(law.at(z), whole.at(z), rtol=1e-12)
    np.testing.assert_allclose(law.limited_mean(d), whole.limited_mean(d), rtol=1e-14)
    assert law.expectation() == pytest.approx(1, rel=1e-14)
    assert law.standard_deviation() == pytest.approx(1, rel=1e-13)


def test_a_spliced_law_jumps_over_the_gap_below_its_tail():
    law = Spliced(body=Gamma(cv=1), tail=Pareto(minimum=5, index=3), threshold=4, tail_share=0.001)
    assert law.jump == pytest.approx(stats.norm.isf(0.001), rel=1e-13)
    low, high = law.at(law.jump + np.array([0, 1e-9]))
    assert low == pytest.approx(4, rel=1e-9)
    assert high == pytest.approx(5, rel=1e-6)


@pytest.mark.parametrize("side", [1, -1])
def test_a_shock_is_calm_but_for_its_own_probability(side):
    effect = (
        Triangular(low=1.1, mode=1.2, high=1.5)
        if side > 0
        else Triangular(low=0.5, mode=0.8, high=0.9)
    )
    law = Shock(probability=0.05, effect=effect)
    assert side * law.jump == pytest.approx(stats.norm.isf(0.05), rel=1e-13)
    assert np.all(law.at(side * np.linspace(-30, 1.64, 9)) == 1)
    z = np.array([1.7, 3.0, 8.0, 20.0])
    inner = side * stats.norm.isf(stats.norm.sf(z) / 0.05)
    np.testing.assert_allclose(law.at(side * z), effect.at(inner), rtol=1e-12)
    assert law.expectation() == pytest.approx(0.95 + 0.05 * effect.expectation(), rel=1e-15)
    square = 0.95 + 0.05 * (effect.standard_deviation() ** 2 + effect.expectation() ** 2)
    assert law.standard_deviation() == pytest.approx(
        np.sqrt(square - law.expectation() ** 2), rel=1e-12
    )
    at_calm = law.at(np.array([law.jump]))
    assert at_calm == pytest.approx(1.0 if side > 0 else 0.9, rel=1e-7)


def test_infinite_moments_come_through_composites():
    heavy = Pareto(minimum=2, index=1)
    wild = Pareto(minimum=2, index=1.5)
    for law, mean in ((heavy, INF), (wild, 6.0)):
        for made in (
            Shock(probability=0.1, effect=law),
            Spliced(body=Gamma(cv=1), tail=law, threshold=2, tail_share=0.1),
            Mixture(
                components=[Component(weight=0.9, law=Gamma(cv=1)), Component(weight=0.1, law=law)]
            ),
        ):
            assert made.standard_deviation() == INF
            assert np.isfinite(made.expectation()) is np.bool_(np.isfinite(mean))
            assert np.isfinite(made.limited_mean(np.array([1e6]))).all()


# Properties


numbers = {"allow_nan": False, "allow_infinity": False}
laws = st.one_of(
    st.builds(Normal, mean=st.floats(-5, 5), sd=st.floats(1e-3, 10)),
    st.builds(Lognormal, mean=st.floats(0.1, 10), cv=st.floats(1e-3, 5)),
    st.builds(Gamma, mean=st.floats(0.1, 10), cv=st.floats(1e-5, 5)),
    st.builds(Weibull, mean=st.floats(0.1, 10), shape=st.floats(0.2, 50)),
    st.builds(GeneralisedGamma, shape=st.floats(0.05, 500), power=st.floats(0.2, 5)),
    st.builds(Pareto, minimum=st.floats(0.1, 10), index=st.floats(0.3, 20)),
    st.builds(GeneralisedPareto, scale=st.floats(0.1, 10), shape=st.floats(-2, 2)),
    st.builds(
        lambda low, a, b, w: Pert(low=low, mode=low + a, high=low + a + b, weight=w),
        st.floats(-3, 3), st.floats(0, 4), st.floats(0.1, 4), st.floats(0, 20),
    ),
    st.builds(
        lambda low, a, b: Triangular(low=low, mode=low + a, high=low + a + b),
        st.floats(-3, 3), st.floats(0, 4), st.floats(0.1, 4),
    ),
    st.builds(
        lambda v: Empirical(values=tuple(v)), st.lists(st.floats(-9, 9), min_size=1, max_size=20)
    ),
)  # fmt: skip
"""Laws of one formula, with numbers in the range that cases have."""


def mixture_of(a, b, weight):
    return Mixture(
        components=[Component(weight=weight, law=a), Component(weight=1 - weight, law=b)]
    )


mixed = st.builds(mixture_of, laws, laws, st.floats(0.01, 0.99))


@settings(max_examples=150)
@given(law=laws | mixed, z=st.floats(-7, 7))
def test_the_quantile_is_the_least_value_that_reaches_the_level(law, z):
    value = law.at(np.array(z))
    step = 1e-12 * (1 + abs(value))
    assert not list(law.problems())
    assert law.distribution(value + step) >= stats.norm.cdf(z) - 1e-12
    assert law.distribution(value - step) <= stats.norm.cdf(z) + 1e-12


@settings(max_examples=150)
@given(law=laws | mixed)
def test_a_limited_mean_rises_and_bends_downwards(law):
    d = np.linspace(*law.at(np.array([-2.0, 2.0])), 41)
    limited = law.limited_mean(d)
    size = 1 + np.max(np.abs(d))
    rise = np.diff(limited)
    assert np.all(rise >= -1e-13 * size)
    assert np.all(np.diff(rise) <= 1e-12 * size)
    assert np.all(limited <= d + 1e-13 * size)
    # its slope is the survival: between the two ends of a step lies the mean slope
    step = np.diff(d)
    assert np.all(rise <= law.survival(d[:-1]) * step + 1e-12 * size)
    assert np.all(rise >= law.survival(d[1:]) * step - 1e-12 * size)


@given(law=laws | mixed)
def test_scalars_and_arrays_agree(law):
    z = np.array([-1.0, 0.3, 2.0])
    for method, x in (("at", z), ("distribution", law.at(z)), ("limited_mean", law.at(z))):
        each = [float(getattr(law, method)(np.array(v))) for v in x]
        np.testing.assert_allclose(getattr(law, method)(x), each, rtol=1e-13)


# What bad input gets


def problems(law):
    """Everything found: bounds of numbers, then what `problems` says."""
    found = Findings()
    check_declared(law, "", Scope({}, {}), found)
    return [(p.path, p.message) for p in found.problems] or list(law.problems())


POINTS = {"levels": (0.1, 0.5, 0.9), "values": (8, 10, 14)}
BAD = [
    (Normal(sd=0), "sd", "found 0; accepted: a number above 0"),
    (Normal(mean=NAN, sd=1), "mean", "found nan"),
    (Normal(mean=INF, sd=1), "mean", "found inf"),
    (Normal(sd=-1), "sd", "of at least 0"),
    (Lognormal(cv=0), "cv", "a fixed value needs no law"),
    (Lognormal(mean=0, cv=1), "mean", "above 0"),
    (Lognormal(cv=50), "cv", "did you mean 0.5"),
    (Gamma(mean=0, cv=1), "mean", "above 0"),
    (Gamma(cv=NAN), "cv", "found nan"),
    (Weibull(shape=0), "shape", "from 0.1 to 100"),
    (GeneralisedGamma(shape=1, power=INF), "power", "found inf"),
    (Pareto(minimum=0, index=2), "minimum", "above 0"),
    (Pareto(minimum=1, index=0), "index", "from 0.05"),
    (GeneralisedPareto(scale=0, shape=0.1), "scale", "above 0"),
    (Triangular(low=2, mode=1, high=3), "mode", "from low, 2, to high, 3"),
    (Triangular(low=3, mode=2, high=1), "low", "exchange them"),
    (Triangular(low=1, mode=1, high=1), "low", "low below high"),
    (Pert(low=1, mode=9, high=3), "mode", "accepted: from low"),
    (Pert(low=1, mode=2, high=INF), "high", "found inf"),
    (Interval(low=1.2, high=0.9), "low", "exchange them"),
    (Interval(low=0, high=0.9, law="lognormal"), "low", "state law = 'normal'"),
    (Interval(low=0.9, high=1.2, law="weibull"), "law", "accepted: normal, lognormal"),
    (Metalog(levels=(0.5,), values=(1,)), "levels", "2 to 10 levels"),
    (Metalog(levels=(0.1, 0.5), values=(1, 2, 3)), "values", "one for each level, 2"),
    (Metalog(levels=(0.5, 0.1), values=(1, 2)), "levels", "rising levels"),
    (Metalog(levels=(0, 0.5), values=(1, 2)), "levels", "lower or upper"),
    (Metalog(levels=(0.1, 0.5), values=(2, 2)), "values", "values that rise"),
    (Metalog(**POINTS, lower=8), "lower", "below all values, 8"),
    (Metalog(**POINTS, upper=9), "upper", "above all values, 14"),
    (Metalog(levels=(0.1, 0.5, 0.9), values=(8, NAN, 14)), "values[1]", "found nan"),
    (Metalog(levels=(0.1, 0.5, 0.9), values=(8, 8.2, 14)), "values", "falls below the level"),
    (Empirical(values=()), "values", "empty list"),
    (Empirical(values=(1, NAN)), "values[1]", "found nan"),
    (Empirical(values=(1.0, NAN)), "values[1]", "found nan"),
    (Empirical(values=(1.0, INF)), "values[1]", "found inf"),
    (Empirical(values=(1.0, True)), "values[1]", "found True"),
    (Empirical(values=(1.0, 2.0), weights=(-0.5, 1.5)), "weights[0]", "found -0.5"),
    (Empirical(values=(1, 2), weights=(1,)), "weights", "one weight for each value, 2"),
    (Empirical(values=(1, 2), weights=(0, 0)), "weights", "none above"),
    (Discrete(values=(1, 2), weights=(0.5, 0.6)), "weights", "sum to 1.1"),
    (Discrete(values=(1, 2), weights=(-0.5, 1)), "weights[0]", "found -0.5"),
    (Mixture(components=()), "components", "found none"),
    (Mixture(components=(Component(weight=0.4, law=Gamma(cv=1)),)), "components", "sum to 0.4"),
    (
        Mixture(components=(Component(weight=1, law=Interval(low=2, high=1)),)),
        "components[0].law.low",
        "exchange them",
    ),
    (
        Mixture(components=(Component(weight=1, law=Gamma(cv=-1)),)),
        "components[0].law.cv",
        "found -1",
    ),
    (
        Spliced(body=Lognormal(cv=0), tail=Pareto(minimum=2, index=2), threshold=2),
        "body.cv",
        "above 0",
    ),
    (Spliced(body=Gamma(cv=1), tail=Gamma(cv=1), threshold=2), "tail", "below the threshold, 2"),
    (
        Spliced(body=Gamma(cv=1), tail=Pareto(minimum=2, index=2), threshold=0),
        "threshold",
        "above the body's lowest value",
    ),
    (
        Spliced(
            body=Triangular(low=0, mode=1, high=2), tail=Pareto(minimum=4, index=2), threshold=3
        ),
        "threshold",
        "above which the body has no chance",
    ),
    (
        Spliced(body=Gamma(cv=1), tail=Pareto(minimum=2, index=2), threshold=2, tail_share=0),
        "tail_share",
        "above 0 and below 1",
    ),
    (Shock(probability=0, effect=Pareto(minimum=2, index=2)), "probability", "above 0"),
    (Shock(probability=5, effect=Pareto(minimum=2, index=2)), "probability", "did you mean 0.05"),
    (Shock(probability=0.1, effect=Gamma(cv=1)), "effect", "wholly at or above calm"),
    (Shock(probability=0.1, effect=Triangular(low=2, mode=1, high=3)), "effect.mode", "likeliest"),
    (Shock(probability=0.1, calm=NAN, effect=Pareto(minimum=2, index=2)), "calm", "found nan"),
]  # fmt: skip


@pytest.mark.parametrize(("law", "field", "words"), BAD)
def test_impossible_numbers_are_named_with_their_remedy(law, field, words):
    found = problems(law)
    assert [path for path, _ in found] == [field]
    assert words in found[0][1]


@pytest.mark.parametrize("law", EVERY, ids=name)
def test_possible_laws_have_no_problems(law):
    assert problems(law) == []


def test_every_law_is_known_by_its_kind_and_tried_here():
    assert {type(law).kind for law in EVERY} == set(LAWS)


PAGE = (Path(__file__).parents[2] / "docs" / "laws.md").read_text(encoding="utf-8")
LINES = re.findall(r"^(law = .*?)  # mean (\S+), sd (\S+)$", PAGE, re.MULTILINE)


def declared(raw):
    """A law from the table that a case file has."""
    if isinstance(raw, list):
        return tuple(map(declared, raw))
    if not isinstance(raw, dict):
        return raw
    fields = {key: declared(value) for key, value in raw.items() if key != "kind"}
    return LAWS[raw["kind"]](**fields) if "kind" in raw else Component(**fields)


@pytest.mark.parametrize(("line", "mean", "deviation"), LINES)
def test_lines_of_the_page_have_the_moments_it_prints(line, mean, deviation):
    law = declared(tomllib.loads(line)["law"])
    assert problems(law) == []
    assert law.expectation() == pytest.approx(float(mean), rel=1e-5)
    assert law.standard_deviation() == pytest.approx(float(deviation), rel=1e-5)


def test_the_page_has_a_line_for_every_law():
    assert {tomllib.loads(line)["law"]["kind"] for line, _, _ in LINES} == set(LAWS)
