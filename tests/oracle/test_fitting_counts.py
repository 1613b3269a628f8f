"""Laws of counts: fitted figures recover what was put in, with exposure and structural zeros."""

import doctest
import tomllib

import numpy as np
import pytest
from scipy import optimize, stats

from riskshare import fitting
from riskshare.errors import ArgumentError
from riskshare.fitting import counts as module

TRUTHS = {
    "poisson": {"rate": 0.04},
    "negative-binomial": {"rate": 0.04, "overdispersion": 0.4},
    "zero-inflated-poisson": {"rate": 0.05, "zeros": 0.3},
    "zero-inflated-negative-binomial": {"rate": 0.1, "overdispersion": 0.3, "zeros": 0.3},
}


def drawn(kind, seed, rows=400):
    """Counts of rows of 50 to 200 members."""
    rng = np.random.default_rng(seed)
    truth = TRUTHS[kind]
    exposure = rng.integers(50, 201, rows).astype(float)
    mean = exposure * truth["rate"]
    c = truth.get("overdispersion")
    if c:
        mean = mean * rng.gamma(1 / c, c, rows)
    return rng.poisson(mean) * (rng.random(rows) >= truth.get("zeros", 0.0)), exposure


def assert_covers(hits, nominal=0.95):
    error = np.sqrt(nominal * (1 - nominal) / len(hits))
    assert abs(np.mean(hits) - nominal) <= 3 * error, (np.mean(hits), error)


@pytest.mark.parametrize("kind", TRUTHS)
def test_intervals_cover_what_was_put_in(kind):
    hits = {name: [] for name in TRUTHS[kind]}
    for seed in range(200):
        counts, exposure = drawn(kind, seed)
        fit = fitting.fit_counts(counts, kind, exposure=exposure).best
        for name, value in TRUTHS[kind].items():
            low, high = fit.of(name).interval()
            hits[name].append(low < value < high)
    for found in hits.values():
        assert_covers(found)


@pytest.mark.parametrize("kind", TRUTHS)
def test_lowest_bic_is_the_truth(kind):
    found = []
    for seed in range(12):
        counts, exposure = drawn(kind, 1000 + seed, rows=1500)
        table = fitting.fit_counts(counts, exposure=exposure)
        found.append(min(table.fits, key=lambda fit: fit.criteria.bic).kind)
        assert table.best.kind in (kind, *(k for k in TRUTHS if len(TRUTHS[k]) > len(TRUTHS[kind])))
    assert found.count(kind) >= 11


def test_poisson_has_its_closed_form():
    counts, exposure = drawn("poisson", 1)
    fit = fitting.fit_counts(counts, "poisson", exposure=exposure).best
    rate = counts.sum() / exposure.sum()
    assert fit.of("rate").value == pytest.approx(rate, rel=1e-7)
    assert fit.of("rate").standard_error == pytest.approx(np.sqrt(rate / exposure.sum()), rel=1e-3)
    expected = stats.poisson.logpmf(counts, exposure * rate).sum()
    assert fit.log_likelihood == pytest.approx(expected, rel=1e-10)
    assert fit.criteria.aic == pytest.approx(2 - 2 * expected)
    mean = exposure * rate
    assert fit.pearson == pytest.approx(np.sum((counts - mean) ** 2 / mean) / 399)


def likelihood(parameters, counts, exposure):
    rate, c, zeros = parameters
    size = 1 / c
    chance = stats.nbinom.pmf(counts, size, 1 / (1 + c * rate * exposure))
    return -np.log(zeros * (counts == 0) + (1 - zeros) * chance).sum()


@pytest.mark.parametrize("kind", ["negative-binomial", "zero-inflated-negative-binomial"])
def test_maximum_is_that_of_scipy(kind):
    counts, exposure = drawn(kind, 2)
    fit = fitting.fit_counts(counts, kind, exposure=exposure).best
    zeros = [1e-12, 1e-12] if kind == "negative-binomial" else [1e-6, 0.9]
    theirs = optimize.minimize(
        likelihood,
        [0.05, 0.5, np.mean(zeros)],
        args=(counts, exposure),
        bounds=[(1e-6, 10), (1e-6, 10), zeros],
    )
    assert fit.log_likelihood == pytest.approx(-theirs.fun, abs=1e-4)
    values = [found.value for found in fit.parameters]
    np.testing.assert_allclose(values, theirs.x[: len(values)], rtol=2e-3)


def test_negative_binomial_interval_agrees_with_the_regression_of_months():
    rng = np.random.default_rng(3)
    counts = rng.poisson(1000 * rng.gamma(1 / 0.01, 0.01, 300))
    fit = fitting.fit_counts(counts, "negative-binomial").best
    # Var(ln c) of NB2 at a large mean: the information of a gamma's shape, 2 / n as c tends to 0
    assert fit.of("rate").standard_error == pytest.approx(
        np.sqrt((1000 + 0.01 * 1000**2) / 300), rel=0.1
    )
    relative = fit.of("overdispersion").standard_error / fit.of("overdispersion").value
    assert relative == pytest.approx(np.sqrt(2 / 300) * 1.1, rel=0.05)
    assert fit.level.standard_errors[1] == pytest.approx(relative / 2, rel=1e-4)


def test_poisson_counts_put_the_negative_binomial_on_its_edge():
    status = []
    for seed in range(30):
        table = fitting.fit_counts(np.random.default_rng(seed).poisson(4.0, 200))
        status.append(table.of("negative-binomial").status)
        gain = table.of("negative-binomial").log_likelihood - table.of("poisson").log_likelihood
        assert gain > -1e-4
    # under Poisson the likelihood ratio is zero half of the time
    assert 5 <= status.count("edge") <= 25


def test_expected_table_adds_up_and_fits():
    counts, exposure = drawn("zero-inflated-poisson", 5, 2000)
    fit = fitting.fit_counts(counts, "zero-inflated-poisson", exposure=exposure).best
    table = fit.table(10)
    assert table.observed.sum() == pytest.approx(2000)
    assert table.expected.sum() == pytest.approx(2000)
    rate, zeros = fit.of("rate").value, fit.of("zeros").value
    zero = np.sum(zeros + (1 - zeros) * np.exp(-rate * exposure))
    assert table.expected[0] == pytest.approx(zero)
    square = np.sum((table.observed - table.expected) ** 2 / table.expected)
    assert stats.chi2.sf(square, 9) > 0.01


def test_distances_are_their_definitions():
    counts = np.random.default_rng(6).poisson(3.0, 150)
    fit = fitting.fit_counts(counts, "poisson").best
    law = stats.poisson(counts.mean())
    grid = np.arange(counts.max() + 1)
    gap = np.array([np.mean(counts <= n) for n in grid]) - law.cdf(grid)
    assert fit.ks == pytest.approx(np.abs(gap).max(), rel=1e-6)
    weight = law.pmf(grid) / (law.cdf(grid) * law.sf(grid))
    assert fit.ad == pytest.approx(150 * np.sum(gap**2 * weight), rel=1e-6)


def test_p_values_tell_the_wrong_law():
    counts, exposure = drawn("negative-binomial", 7)
    right, wrong = (
        fitting.fit_counts(counts, kind, exposure=exposure).best
        for kind in ("negative-binomial", "poisson")
    )
    assert min(right.p_values(60)) > 0.05
    assert max(wrong.p_values(60)) < 0.02


def test_lines_hold_the_noise_and_its_errors():
    counts, exposure = drawn("zero-inflated-negative-binomial", 8)
    table = fitting.fit_counts(counts, exposure=exposure)
    fit = table.of("zero-inflated-negative-binomial")
    read = tomllib.loads(fit.case_lines("wards"))
    noise = read["lines"]["wards"]["noise"]
    assert noise["law"] == "negative-binomial"
    assert noise["overdispersion"] == pytest.approx(fit.of("overdispersion").value, rel=1e-5)
    assert noise["zeros"] == pytest.approx(fit.of("zeros").value, rel=1e-5)
    spread = read["drivers"]["wards-dispersion-error"]
    c = fit.of("overdispersion")
    # the driver moves the coefficient of variation, the square root of c
    assert spread["sd"] == pytest.approx(c.standard_error / c.value / 2, rel=1e-3)
    assert read["drivers"]["wards-mean-error"]["acts_on"] == "activity"
    plain = tomllib.loads(table.of("poisson").case_lines("wards"))
    assert plain["lines"]["wards"]["noise"] == {"law": "poisson"}
    assert set(plain["drivers"]) == {"wards-mean-error"}


@pytest.mark.parametrize(
    ("counts", "change", "message"),
    [
        ([1, 2, -1, 3, 4], {}, "-1 in place 2; it must be zero or more"),
        ([1, 2, 2.5, 3, 4], {}, "2.5 in place 2; it must be a whole number"),
        ([1, 2, np.nan, 3, 4], {}, "nan in place 2"),
        ([1, 2, np.inf, 3, 4], {}, "inf in place 2"),
        ([1, 2], {}, "2 rows"),
        ([0] * 9, {}, "all are zero"),
        ([1, 2, 3, 4, 5], {"exposure": [1, 1, 0, 1, 1]}, "exposure: 0 in place 2"),
        ([1, 2, 3, 4, 5], {"exposure": [1, 1]}, "one length"),
        ([1, 2, 3, 4, 5], {"kinds": "poison"}, "did you mean 'poisson'"),
        (["a"] * 9, {}, "not numbers"),
    ],
)
def test_broken_counts_are_refused(counts, change, message):
    with pytest.raises(ArgumentError, match=message):
        fitting.fit_counts(counts, **change)


def test_docstring_examples_run():
    assert doctest.testmod(module).failed == 0
