"""Compound laws against textbook answers, closed forms, Panjer's recursion and `aggregate`."""

import csv
from functools import cache
from itertools import pairwise
from math import exp, inf, sqrt
from pathlib import Path

import numpy as np
import pytest
import scipy.stats as st
from aggregate import build
from scipy.integrate import quad
from scipy.special import gammainc, i1

from riskshare.laws.compound import (
    Binomial,
    Counts,
    Layer,
    NegativeBinomial,
    Poisson,
    ZeroInflated,
    aggregate,
    independent_sum,
)
from riskshare.laws.marginal import (
    Component,
    Discrete,
    Empirical,
    Gamma,
    GeneralisedPareto,
    Lognormal,
    Mixture,
    Normal,
    Pareto,
    Pert,
    Shock,
    Spliced,
)

TEXTBOOK = Path(__file__).resolve().parents[3] / "shared/data/textbook_aggregate_problems.csv"


def discrete(values, weights):
    return Discrete(values=list(values), weights=list(weights))


def uniform(high):
    return GeneralisedPareto(minimum=0.0, scale=high, shape=-1.0)


def mean_and_variance(mean, sd, at):
    """Counts at three whole numbers with these two moments."""
    rows = [np.ones(3), np.array(at, float), np.array(at, float) ** 2]
    chances = np.linalg.solve(np.array(rows), [1.0, mean, sd**2 + mean**2])
    return Counts(tuple(np.bincount(at, chances)))


# --- Klugman, Panjer, Willmot, Loss Models, chapter 9 -------------------------------------------


@cache
def hospital():
    """Examples 9.3 and 9.4 give moments only: any laws that have them."""
    counts = mean_and_variance(6.7, 2.3, [4, 7, 9])
    return aggregate(counts, Gamma(mean=179_247.0, cv=52_141 / 179_247))


def normal_tail(total, multiple):
    return st.norm.sf((multiple - 1) * total.mean / total.sd)


def lognormal_tail(total, multiple):
    variance = np.log1p((total.sd / total.mean) ** 2)
    return st.norm.sf((np.log(multiple) + variance / 2) / sqrt(variance))


@cache
def dental():
    counts = Counts((0.05, 0.1, 0.15, 0.2, 0.25, 0.15, 0.06, 0.03, 0.01))
    weights = [0.15, 0.2, 0.25, 0.125, 0.075, 0.05, 0.05, 0.05, 0.025, 0.025]
    return aggregate(counts, discrete(25.0 * np.arange(1, 11), weights))


@cache
def exercise_19():
    return aggregate(Counts((0.5, 0.4, 0, 0.1)), discrete([1, 10], [0.9, 0.1]))


@cache
def exercise_24():
    counts = Counts((1 / 16, 1 / 4, 3 / 8, 1 / 4, 1 / 16))
    return aggregate(counts, discrete([2000, 3000], [0.4, 0.6]))


@cache
def exercise_34():
    return aggregate(Poisson(5), discrete([100, 500, 1000], [0.8, 0.16, 0.04]))


def example_9():
    first = aggregate(Poisson(2), discrete([1, 2], [0.6, 0.4]), step=1.0, points=256)
    second = aggregate(Poisson(1), discrete([1, 3], [0.7, 0.3]), step=1.0, points=256)
    return independent_sum([first, second])


@cache
def exercise_35():
    return aggregate(NegativeBinomial(96, 1 / 16), uniform(8.0))


@cache
def exercise_36():
    """Burr with gamma 1 is a generalised Pareto of shape 1 / alpha and scale theta / alpha."""
    return aggregate(Poisson(3), GeneralisedPareto(minimum=0.0, scale=2 / 3, shape=1 / 3))


def exercise_39():
    return aggregate(Binomial(3, 0.4), Gamma(mean=100.0, cv=1.0))


@cache
def exercise_47():
    total = aggregate(Poisson(2), discrete([1, 2], [0.25, 0.75]))
    dividend = 4.5 - float(total.limited_mean(4.5))
    return 6 - total.mean - dividend, dividend


def exercise_57(counts):
    return aggregate(counts, discrete([1, 2, 3, 4], [0.4, 0.3, 0.2, 0.1]))


def exercise_59():
    return aggregate(Poisson(5), Gamma(mean=1250.0, cv=sqrt(2.0)))


def at_node(total, value):
    return total.probabilities[round(value / total.step)]


PROBLEMS = [
    ("9.3", "sd(S)", lambda: hospital().sd, 433797.381596881),
    ("9.4", "P(S > 1.4 E[S]), normal", lambda: normal_tail(hospital(), 1.4), 0.13406313324673713),
    (
        "9.4",
        "P(S > 1.4 E[S]), lognormal",
        lambda: lognormal_tail(hospital(), 1.4),
        0.12799650723945127,
    ),
    ("9.5", "E[S], money", lambda: dental().mean, 314.50000000000006),
    ("9.5", "sd(S), money", lambda: dental().sd, 191.6155004168504),
    ("9.6", "E[(S - 25)+], money", lambda: dental().stop_loss_premium(25), 290.75000000000006),
    ("9.6", "E[(S - 125)+], money", lambda: dental().stop_loss_premium(125), 201.55128906249996),
    ("9.6", "E[(S - 250)+], money", lambda: dental().stop_loss_premium(250), 111.3276140701758),
    ("9.6", "E[(S - 500)+], money", lambda: dental().stop_loss_premium(500), 20.50473159359131),
    (
        "9.19",
        "P(S > 3 E[S])",
        lambda: exercise_19().survival(3 * exercise_19().mean),
        0.06710000000000002,
    ),
    ("9.24", "E[min(S,5000)] + 1472", lambda: exercise_24().limited_mean(5000) + 1472, 5499.5),
    ("9.34", "P(S = 600)", lambda: at_node(exercise_34(), 600), 0.059892862214093005),
    ("9.9", "P(A + B = 2)", lambda: at_node(example_9(), 2), 0.12969531309828558),
    ("9.36", "Var(S)", lambda: exercise_36().sd ** 2, 12.0),
    (
        "9.35",
        "95 % quantile",
        lambda: exercise_35().mean + st.norm.ppf(0.95) * exercise_35().sd,
        558.5715941009039,
    ),
    ("9.39", "P(S <= 300)", lambda: exercise_39().distribution(300), 0.8940531185131855),
    ("9.47", "premium - E[S] - E[dividend]", lambda: exercise_47()[0], 0.8588834729393566),
    ("9.57", "P(S <= 3)", lambda: exercise_57(Poisson(3)).distribution(3), 0.2881675517131965),
    (
        "9.58",
        "P(S <= 3)",
        lambda: exercise_57(NegativeBinomial(3, 1 / 6)).distribution(3),
        0.33940842351267586,
    ),
    ("9.59", "P(S > 20000)", lambda: exercise_59().survival(20_000), 0.01594337133756855),
]
SMOOTH = {"9.39": 2e-8, "9.59": 2e-8}
"""Absolute tolerance where the amount is continuous; the rest are exact but for rounding."""


@pytest.mark.parametrize(
    ("number", "quantity", "worked", "answer"),
    PROBLEMS,
    ids=[f"{number} {quantity}" for number, quantity, _, _ in PROBLEMS],
)
def test_textbook_problem(number, quantity, worked, answer):
    tolerance = SMOOTH.get(number, 1e-10 * abs(answer))
    assert float(worked()) == pytest.approx(answer, abs=tolerance, rel=0)


@pytest.mark.skipif(
    not TEXTBOOK.exists(), reason="the textbook problems are not beside the project"
)
def test_every_row_of_the_table_is_worked_with_its_own_answer():
    with TEXTBOOK.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    here = {(number, quantity): answer for number, quantity, _, answer in PROBLEMS}
    assert len(rows) == len(here)
    for row in rows:
        number = next(word for word in row["problem"].split() if word.startswith("9."))
        assert here[number, row["quantity"]] == float(row["answer"])


# --- worked values of MECHANISMS section 5 ------------------------------------------------------


def test_ten_thousand_events_and_a_shared_factor():
    # V1: normal approximations of the published percentages of the mean; the exact quantile
    # stands above them by the skewness of 0.05, and within 0.05 points.
    severity = Gamma(mean=1.0, cv=1.5)
    alone = aggregate(Poisson(10_000), severity)
    shared = aggregate(NegativeBinomial(10_000, 0.05**2), severity)
    for total, cv, values, tails in (
        (alone, 1.803, (2.97, 4.19), (3.72, 4.80)),
        (shared, 5.315, (8.74, 12.36), (10.96, 14.17)),
    ):
        sd = 100 * total.sd / total.mean
        assert sd == pytest.approx(cv, abs=5e-4)
        for level, value, tail in zip((0.95, 0.99), values, tails, strict=True):
            z = st.norm.ppf(level)
            assert sd * z == pytest.approx(value, abs=0.006)
            assert sd * st.norm.pdf(z) / (1 - level) == pytest.approx(tail, abs=0.006)
            skewness = sd * (z**2 - 1) / 6 * (0.1 if total is shared else 0.05)
            exact = 100 * (float(total.quantile(level)) / total.mean - 1)
            assert exact == pytest.approx(value + skewness, abs=0.05)
    for total, chances in ((alone, (39.1, 29.0, 0.28)), (shared, (46.3, 42.5, 17.3))):
        for reserve, chance in zip((0.005, 0.01, 0.05), chances, strict=True):
            normal = 100 * st.norm.sf(reserve * total.mean / total.sd)
            assert normal == pytest.approx(chance, abs=0.06)
            exact = 100 * float(total.survival((1 + reserve) * total.mean))
            assert exact == pytest.approx(chance, abs=0.8)


def test_accidents_with_several_claimants():
    total = aggregate(Poisson(12), discrete([1, 2, 3], [1 / 2, 1 / 3, 1 / 6]))
    assert total.mean == pytest.approx(20, abs=1e-12)
    assert total.sd**2 == pytest.approx(40, abs=1e-11)
    assert total.error.distribution < 1e-11


def test_budget_of_mean_and_deviation():
    total = aggregate(Counts((0, 0.8, 0.2)), discrete([0, 100, 1000], [0.2, 0.7, 0.1]))
    assert total.mean == pytest.approx(204)
    assert total.mean + total.sd == pytest.approx(517.60, abs=0.005)
    assert total.sd == pytest.approx(313.598, abs=5e-4)


def test_moments_alone_give_the_normal_tail():
    counts = mean_and_variance(8, 3, [3, 8, 13])
    total = aggregate(counts, Gamma(mean=10_000.0, cv=0.3937))
    assert normal_tail(total, 1.5) == pytest.approx(0.10565, abs=5e-6)


def test_expected_dividend():
    assert exercise_47()[1] == pytest.approx(1.64112, abs=5e-6)


def test_trend_is_levered_down_by_a_cap():
    def per_payment(mean):
        layer = Layer(Gamma(mean=mean, cv=1.0), attachment=100, limit=500)
        return layer.expectation() / float(layer.survival(np.asarray(0.0)))

    assert per_payment(1000.0) == pytest.approx(393.469, abs=5e-4)
    assert per_payment(1050.0) == pytest.approx(397.798, abs=5e-4)
    assert per_payment(1050.0) / per_payment(1000.0) == pytest.approx(1.0110, abs=5e-5)


def test_variable_income_of_a_centre_in_six_collaboratives():
    # V3: 50m each, a fifth of it variable, activity with a deviation of 5 %.
    income = aggregate(Binomial(1, 1.0), Gamma(mean=10.0, cv=0.05), step=0.01)
    assert independent_sum([income] * 6).sd == pytest.approx(1.22, abs=0.005)
    for correlation, sd in ((0.0, 1.22), (0.3, 1.94), (1.0, 3.00)):
        matrix = np.full((6, 6), correlation) + (1 - correlation) * np.eye(6)
        assert income.sd * sqrt(matrix.sum()) == pytest.approx(sd, abs=0.005)


# --- closed forms -------------------------------------------------------------------------------


def test_poisson_of_exponentials_is_bessel():
    rate, mean = 5.0, 100.0
    total = aggregate(Poisson(rate), Gamma(mean=mean, cv=1.0))

    def density(s):
        return exp(-rate - s / mean) * sqrt(rate / (mean * s)) * i1(2 * sqrt(rate * s / mean))

    assert float(total.distribution(0)) == pytest.approx(exp(-rate), abs=1e-11)
    for s in (50.0, 500.0, 1234.5, 2000.0):
        expected = exp(-rate) + quad(density, 0, s, epsabs=1e-13, limit=200)[0]
        assert abs(float(total.distribution(s)) - expected) < 2e-8
    assert total.error.estimate < 1e-7


def test_geometric_number_of_exponentials_is_exponential():
    beta, mean = 2.5, 40.0
    total = aggregate(NegativeBinomial(beta, 1.0), Gamma(mean=mean, cv=1.0))
    s = np.array([0.0, 10.0, 333.0, 1000.0, 2000.0])
    expected = beta / (1 + beta) * np.exp(-s / (mean * (1 + beta)))
    np.testing.assert_allclose(total.survival(s), expected, atol=3e-8)
    level = np.array([0.5, 0.9, 0.99, 0.999])
    quantile = -mean * (1 + beta) * np.log((1 - level) * (1 + beta) / beta)
    np.testing.assert_allclose(total.quantile(level), quantile, rtol=1e-6)
    # Memoryless: the mean above any quantile exceeds it by the mean of the exponential.
    np.testing.assert_allclose(total.tail_mean(level) - quantile, mean * (1 + beta), rtol=1e-5)
    np.testing.assert_allclose(
        total.stop_loss_premium(s), expected * mean * (1 + beta), atol=total.error.stop_loss
    )
    np.testing.assert_allclose(total.stop_loss_premium(s), expected * mean * (1 + beta), rtol=1e-6)


def panjer(a, b, none, chances, nodes):
    """P(S = k) = sum over j of (a + b j / k) f_j P(S = k - j) / (1 - a f_0), amounts from 1 on."""
    total = np.zeros(nodes)
    total[0] = none
    j = np.arange(len(chances))
    for k in range(1, nodes):
        reach = min(k, len(chances) - 1)
        terms = (a + b * j[1 : reach + 1] / k) * chances[1 : reach + 1]
        total[k] = terms @ total[k - 1 :: -1][:reach]
    return total


@pytest.mark.parametrize(
    ("frequency", "a", "b", "none"),
    [
        (Poisson(4.0), 0.0, 4.0, exp(-4.0)),
        (NegativeBinomial(6.0, 0.5), 3 / 4, 3 / 4 * (2 - 1), 4.0**-2),
        (Binomial(9, 0.3), -3 / 7, 10 * 3 / 7, 0.7**9),
    ],
    ids=["poisson", "negative-binomial", "binomial"],
)
def test_panjer_recursion(frequency, a, b, none):
    chances = np.random.default_rng(5).dirichlet(np.ones(20))
    total = aggregate(frequency, discrete(0.25 * np.arange(1, 21), chances))
    assert total.step == pytest.approx(0.25)
    expected = panjer(a, b, none, np.append(0.0, chances), 400)
    np.testing.assert_allclose(total.probabilities[:400], expected, atol=1e-13)
    assert total.error.distribution < 1e-11
    np.testing.assert_allclose(
        total.quantile([0.5, 0.9, 0.999]),
        0.25 * np.searchsorted(np.cumsum(expected), [0.5, 0.9, 0.999]),
    )


@pytest.mark.parametrize(
    ("frequency", "law"),
    [
        (Poisson(2.5), st.poisson(2.5)),
        (NegativeBinomial(2.5, 0.4), st.nbinom(2.5, 1 / 2)),
        (Binomial(7, 0.2), st.binom(7, 0.2)),
    ],
)
def test_frequencies_have_their_probabilities_moments_and_transforms(frequency, law):
    n = np.arange(200)
    np.testing.assert_allclose(frequency.mass(n), law.pmf(n), rtol=1e-11, atol=1e-300)
    assert frequency.expectation() == pytest.approx(law.mean())
    assert frequency.variance() == pytest.approx(law.var())
    z = 0.9 * np.exp(2j * np.pi * np.arange(7) / 7)
    expected = (law.pmf(n)[:, None] * z ** n[:, None]).sum(axis=0)
    np.testing.assert_allclose(frequency.generating(z), expected, atol=1e-13)
    np.testing.assert_array_equal(frequency.mass([-1, 0.5]), 0)
    inflated = ZeroInflated(0.3, frequency)
    chances = 0.7 * law.pmf(n) + 0.3 * (n == 0)
    np.testing.assert_allclose(inflated.mass(n), chances, rtol=1e-11, atol=1e-300)
    mean = chances @ n
    assert inflated.expectation() == pytest.approx(mean)
    assert inflated.variance() == pytest.approx(chances @ n**2 - mean**2)
    np.testing.assert_allclose(inflated.generating(z), 0.3 + 0.7 * expected, atol=1e-13)


# --- the error that is reported -----------------------------------------------------------------


def poisson_of_gammas(rate, cv, s):
    """The distribution function, from gamma sums of each whole number of claims."""
    n = np.arange(1, int(rate + 12 * sqrt(rate) + 40))
    above = st.poisson.pmf(n, rate) @ gammainc(n[:, None] / cv**2, np.maximum(s, 0) / cv**2)
    return np.where(s < 0, 0.0, exp(-rate) + above)


@pytest.mark.parametrize(("rate", "cv"), [(0.5, 1.0), (10.0, 0.3), (10.0, 3.0), (2_000.0, 1.5)])
@pytest.mark.parametrize("points", [2**10, 2**13, 2**16])
def test_error_of_the_distribution_is_within_what_is_reported(rate, cv, points):
    severity = Gamma(mean=1.0, cv=cv)
    if (rate, points) == (2_000.0, 2**10):
        with pytest.raises(ValueError, match="too coarse"):
            aggregate(Poisson(rate), severity, points=points)
        return
    total = aggregate(Poisson(rate), severity, points=points)
    s = np.linspace(0, total.mean + 6 * total.sd, 501)
    error = np.abs(total.distribution(s) - poisson_of_gammas(rate, cv, s)).max()
    assert error <= total.error.distribution
    # The estimate is no bound, and yet it is one wherever amounts are smooth on the grid.
    if cv <= 1.5:
        assert error <= total.error.estimate + 1e-9
    for level, low, high in total.error.quantiles:
        reached = poisson_of_gammas(rate, cv, np.array([low - 1e-9, high + 1e-9]))
        assert low <= float(total.quantile(level)) <= high + 1e-9
        assert reached[0] <= level + 1e-11
        assert reached[1] >= level - 1e-11


@pytest.mark.parametrize("step", [0.013, 0.1, 0.37])
def test_errors_of_amounts_that_lie_between_nodes(step):
    amounts = discrete([1, 2, 5], [0.5, 0.3, 0.2])
    exact = aggregate(Poisson(3), amounts, step=1.0, points=2**10)
    rough = aggregate(Poisson(3), amounts, step=step, points=2**13)
    s = np.arange(0, 30, 0.1)
    assert np.abs(rough.distribution(s) - exact.distribution(s)).max() <= rough.error.distribution
    premium = rough.stop_loss_premium(s) - exact.stop_loss_premium(s)
    assert np.abs(premium).max() <= rough.error.stop_loss + 1e-9
    assert premium.min() > -1e-9  # keeping means spreads amounts, and never lowers a premium


@pytest.mark.parametrize(
    ("severity", "attachment", "limit"),
    [
        (Lognormal(mean=1.0, cv=2.0), 0.0, 4.0),
        (Lognormal(mean=1.0, cv=2.0), 1.5, 7.3),
        (
            Spliced(
                body=Lognormal(mean=1.0, cv=1.0),
                tail=GeneralisedPareto(minimum=5.0, scale=2.0, shape=0.4),
                threshold=5.0,
            ),
            2.0,
            inf,
        ),
    ],
    ids=["truncated", "layer", "excess of a spliced law"],
)
def test_layers_are_exact_before_rounding(severity, attachment, limit):
    total = aggregate(Poisson(8), severity, attachment=attachment, limit=limit)
    cuts = sorted({0.0, min(limit, 3.0), min(limit, 30.0), limit})

    def above(y, power):
        return power * y ** (power - 1) * float(severity.survival(np.asarray(attachment + y)))

    moments = [
        sum(quad(above, *cell, (power,), limit=200)[0] for cell in pairwise(cuts))
        for power in (1, 2)
    ]
    assert total.mean == pytest.approx(8 * moments[0], rel=1e-6)
    assert total.sd == pytest.approx(sqrt(8 * moments[1]), rel=1e-6)
    # A grid a quarter as fine, at its own word.
    rough = aggregate(Poisson(8), severity, points=2**14, attachment=attachment, limit=limit)
    assert rough.mean == total.mean
    assert rough.sd == pytest.approx(total.sd, rel=1e-6)
    s = np.linspace(0, total.mean + 5 * total.sd, 300)
    moved = np.abs(rough.distribution(s) - total.distribution(s)).max()
    assert moved <= rough.error.distribution + total.error.distribution
    assert moved <= 3 * rough.error.estimate
    premium = np.abs(rough.stop_loss_premium(s) - total.stop_loss_premium(s)).max()
    assert premium <= rough.error.stop_loss


@pytest.mark.parametrize(
    "severity",
    [
        Gamma(mean=3.0, cv=4.0),
        Pareto(minimum=1.0, index=3.5),
        Pert(low=0.0, mode=2.0, high=9.0),
        Empirical(values=[0.0, 1.0, 1.0, 4.0, 20.0]),
        Discrete(values=[1.0, 3.14159265], weights=[0.5, 0.5]),
        Shock(
            probability=0.1, calm=1.0, effect=GeneralisedPareto(minimum=1.0, scale=1.0, shape=0.1)
        ),
        Mixture(
            components=[
                Component(weight=0.7, law=discrete([0.0], [1.0])),
                Component(weight=0.3, law=Gamma(mean=10.0, cv=1.0)),
            ]
        ),
    ],
    ids=lambda law: law.kind,
)
@pytest.mark.parametrize("frequency", [Poisson(0.05), NegativeBinomial(20, 0.3)], ids=str)
@pytest.mark.parametrize("limit", [inf, 5.03])
def test_reported_errors_hold_for_every_law(severity, frequency, limit):
    fine, rough = (
        aggregate(frequency, severity, attachment=1.3, limit=limit, points=points)
        for points in (2**14, 2**12)
    )
    s = np.linspace(0, min(fine.grid[-1], rough.grid[-1]), 400)
    moved = np.abs(rough.distribution(s) - fine.distribution(s)).max()
    assert moved <= rough.error.distribution + fine.error.distribution
    moved = np.abs(rough.stop_loss_premium(s) - fine.stop_loss_premium(s)).max()
    assert moved <= rough.error.stop_loss + fine.error.stop_loss
    level = np.array([0.97, 0.99, 0.999])
    assert np.all(fine.distribution(fine.quantile(level)) >= level - 1e-11)
    np.testing.assert_allclose(fine.at(st.norm.ppf(level)), fine.quantile(level), rtol=1e-9)


def test_wrap_around_is_taken_out():
    # Half of the probability lies above the grid; below it nothing changes.
    from riskshare.laws.compound.grid import invert

    masses = np.append(0.0, np.full(40, 1 / 40))
    frequency = Poisson(40.0)

    def generating(spectrum):
        return frequency.generating(spectrum(masses))

    mean = 40.0 * 20.5
    short, long = (invert(generating, mean, points) for points in (800, 4096))
    assert short.beyond == pytest.approx(1 - long.probabilities[:800].sum(), abs=1e-10)
    assert short.beyond > 0.4
    error = np.abs(np.cumsum(short.probabilities - long.probabilities[:800])).max()
    assert error <= short.error
    assert short.error < 1e-8


def test_sums_of_totals():
    severity = Gamma(mean=1.0, cv=1.0)
    parts = [aggregate(Poisson(rate), severity, step=0.01) for rate in (1.0, 3.0, 5.0)]
    total, whole = independent_sum(parts), aggregate(Poisson(9.0), severity, step=0.01)
    assert total.mean == pytest.approx(whole.mean)
    assert total.sd == pytest.approx(whole.sd)
    s = np.linspace(0, 30, 301)
    moved = np.abs(total.distribution(s) - whole.distribution(s)).max()
    assert moved < 1e-5
    assert moved <= total.error.distribution
    np.testing.assert_allclose(total.stop_loss_premium(s), whole.stop_loss_premium(s), atol=1e-9)


def test_an_aggregate_serves_as_an_amount():
    claimants = aggregate(Poisson(2.0), discrete([1], [1.0]), step=1.0, points=64)
    total = aggregate(Poisson(3.0), claimants, step=1.0, points=128)
    # Neyman's type A law: Var = rate mean (1 + mean).
    assert total.mean == pytest.approx(6.0)
    assert total.sd**2 == pytest.approx(18.0)
    assert total.probabilities[0] == pytest.approx(exp(-3 * (1 - exp(-2))), abs=1e-12)
    assert total.probabilities[1] == pytest.approx(6 * exp(-2) * total.probabilities[0], abs=1e-12)


# --- the package `aggregate` --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "step", "frequency", "severity", "layer"),
    [
        (
            "agg Gammas 10 claims sev gamma 10 cv 2 poisson",
            1 / 16,
            Poisson(10),
            Gamma(mean=10.0, cv=2.0),
            {},
        ),
        (
            "agg Lognormals 10 claims sev lognorm 10 cv 1.5 mixed gamma 0.5",
            1 / 8,
            NegativeBinomial(10, 0.25),
            Lognormal(mean=10.0, cv=1.5),
            {},
        ),
        (
            "agg Layers 20 claims 50 xs 10 sev lognorm 10 cv 1.5 ! poisson",
            1 / 16,
            Poisson(20),
            Lognormal(mean=10.0, cv=1.5),
            {"attachment": 10.0, "limit": 50.0},
        ),
        (
            "agg Binomials 4 claims sev 10 * expon binomial 0.4",
            1 / 128,
            Binomial(10, 0.4),
            Gamma(mean=10.0, cv=1.0),
            {},
        ),
        (
            "agg Paretos 5 claims sev 10 * pareto 3 - 10 poisson",
            1 / 16,
            Poisson(5),
            GeneralisedPareto(minimum=0.0, scale=10 / 3, shape=1 / 3),
            {},
        ),
        (
            "agg Counted dfreq [0 1 3] [.5 .4 .1] dsev [1 10] [.9 .1]",
            1.0,
            Counts((0.5, 0.4, 0.0, 0.1)),
            Discrete(values=[1, 10], weights=[0.9, 0.1]),
            {},
        ),
    ],
    ids=lambda value: value.split()[1] if isinstance(value, str) else "",
)
def test_against_the_package_aggregate(program, step, frequency, severity, layer):
    rival = build(program, update=False)
    rival.update(log2=16, bs=step)
    total = aggregate(frequency, severity, step=step, **layer)
    assert total.mean == pytest.approx(rival.agg_m, rel=1e-12)
    assert total.sd == pytest.approx(rival.agg_sd, rel=1e-6)
    # It rounds amounts to the nearest node, so its law at a node is ours half a step above.
    smooth = total.error.distribution > 1e-9
    with np.errstate(divide="ignore"):  # it takes logarithms of zeros
        theirs = rival.density_df
    ours = total.distribution(theirs.loss.to_numpy() + (step / 2 if smooth else 0.0))
    atom = 20 * 0.00012 if layer else 0.0  # the limit's atom, which it spreads over two nodes
    assert np.abs(ours - theirs.F.to_numpy()).max() <= (1e-4 + atom if smooth else 1e-11)
    for level in (0.5, 0.9, 0.99):
        assert float(total.quantile(level)) == pytest.approx(rival.q(level), abs=step)
        # Its means fall short of the exact ones where tails are long.
        short = max(total.mean - rival.est_m, 0) / (1 - level) + step
        assert float(total.tail_mean(level)) == pytest.approx(rival.tvar(level), abs=short)


# --- what is refused ----------------------------------------------------------------------------


def test_a_grid_that_is_too_short_says_which_would_do():
    severity = Gamma(mean=1.0, cv=1.5)
    with pytest.raises(
        ValueError, match=r"lies with probability 0\.98; a step of 0\.00\d+"
    ) as told:
        aggregate(Poisson(100), severity, step=0.001)
    step, points = str(told.value).split("a step of ")[1].split(" would hold it, or ")
    assert aggregate(Poisson(100), severity, step=float(step)).error.beyond < 1e-6
    points = int(points.split()[0].replace(",", ""))
    assert aggregate(Poisson(100), severity, step=0.001, points=points).error.beyond < 1e-6


def test_points_too_few_say_how_many_would_do():
    severity = Gamma(mean=1.0, cv=1.5)
    with pytest.raises(ValueError, match="too coarse for amounts of 1;") as told:
        aggregate(Poisson(40_000), severity, points=2**12)
    points = int(str(told.value).split("; ")[1].split()[0].replace(",", ""))
    total = aggregate(Poisson(40_000), severity, points=points)
    assert total.sd == pytest.approx(sqrt(40_000 * 3.25))
    assert float(total.quantile(0.99)) == pytest.approx(
        total.mean + total.sd * st.norm.ppf(0.99), rel=1e-3
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Poisson(-1.0), "mean is -1.0"),
        (lambda: Poisson(float("nan")), "mean is nan"),
        (lambda: NegativeBinomial(1.0, -0.1), "overdispersion is -0.1"),
        (lambda: Binomial(2.5, 0.1), "whole number of trials"),
        (lambda: Binomial(2, 1.1), "probability is 1.1"),
        (lambda: Counts((0.5, 0.4)), "sum to 0.9"),
        (lambda: ZeroInflated(-0.1, Poisson(1.0)), "zeros is -0.1"),
        (lambda: aggregate(Poisson(1), Pareto(minimum=1.0, index=0.9)), "infinite mean"),
        (lambda: aggregate(Poisson(1), Normal(mean=1.0, sd=1.0)), "negative with probability"),
        (lambda: aggregate(Poisson(0), Gamma(mean=1.0, cv=1.0)), "always zero"),
        (lambda: aggregate(Poisson(1), Gamma(mean=1.0, cv=1.0), limit=0.0), "limit is 0"),
        (lambda: aggregate(Poisson(1), Gamma(mean=1.0, cv=1.0), attachment=-1.0), "attachment is"),
        (lambda: aggregate(Poisson(1), Gamma(mean=1.0, cv=1.0), step=0.0), "step is 0"),
        (lambda: aggregate(Poisson(1), Gamma(mean=1.0, cv=1.0), points=3), "points is 3"),
        (lambda: exercise_34().quantile(1.5), "level is 1.5"),
        (lambda: exercise_59().quantile(1.0), "holds levels up to"),
        (lambda: exercise_34().tail_mean(1.0), "below 1"),
        (lambda: independent_sum([]), "no totals"),
        (lambda: independent_sum([exercise_34(), dental()]), "steps differ"),
    ],
)
def test_what_cannot_be_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


def test_a_limit_gives_an_infinite_mean_a_total():
    total = aggregate(Poisson(3), Pareto(minimum=1.0, index=0.9), limit=100.0)
    # E[min(X, d)] = 1 + integral from 1 to d of x^-0.9.
    assert total.mean == pytest.approx(3 * (1 + (100**0.1 - 1) / 0.1), rel=1e-9)
    assert aggregate(Poisson(3), Pareto(minimum=1.0, index=1.5), points=2**18).sd == inf
