"""Credibility against textbook numbers, and by simulation where the theory promises a mean."""

import doctest

import numpy as np
import pytest
from scipy import integrate, stats

from riskshare import fitting
from riskshare.errors import ArgumentError
from riskshare.fitting import credibility

# Hachemeister (1975): average bodily injury claim of five states over twelve quarters, and claims.
AVERAGES = [
    [1738, 1642, 1794, 2051, 2079, 2234, 2032, 2035, 2115, 2262, 2267, 2517],
    [1364, 1408, 1597, 1444, 1342, 1675, 1470, 1448, 1464, 1831, 1612, 1471],
    [1759, 1685, 1479, 1763, 1674, 2103, 1502, 1622, 1828, 2155, 2233, 2059],
    [1223, 1146, 1010, 1257, 1426, 1532, 1953, 1123, 1343, 1243, 1762, 1306],
    [1456, 1499, 1609, 1741, 1482, 1572, 1606, 1735, 1607, 1573, 1613, 1690],
]
CLAIMS = [
    [7861, 9251, 8706, 8575, 7917, 8263, 9456, 8003, 7365, 7832, 7849, 9077],
    [1622, 1742, 1523, 1515, 1622, 1602, 1964, 1515, 1527, 1748, 1654, 1861],
    [1147, 1357, 1329, 1204, 998, 1077, 1277, 1218, 896, 1003, 1108, 1121],
    [407, 396, 348, 341, 315, 328, 352, 331, 287, 384, 321, 342],
    [2902, 3172, 3046, 3068, 2693, 2910, 3275, 2697, 2663, 3017, 3242, 3425],
]


def test_published_full_credibility():
    assert round(fitting.full_credibility()) == 1082
    assert int(fitting.full_credibility(severity_cv=1.5)) == 3517
    assert round(fitting.limited_fluctuation(400), 3) == 0.608
    assert round(fitting.limited_fluctuation(400, severity_cv=1.5), 3) == 0.337
    assert fitting.limited_fluctuation(5000) == 1.0


def test_full_credibility_keeps_its_promise():
    expected = fitting.full_credibility(probability=0.95, tolerance=0.1, severity_cv=0.8)
    rng = np.random.default_rng(1)
    counts = rng.poisson(expected, 20_000)
    totals = rng.gamma(counts / 0.8**2, 0.8**2)
    share = np.mean(np.abs(totals / expected - 1) < 0.1)
    assert abs(share - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 20_000)


def test_hachemeister_is_weighed_as_published():
    found = fitting.buhlmann_straub(AVERAGES, CLAIMS)
    # Printed by R's actuar, vignette "credibility"
    assert round(found.collective, 3) == pytest.approx(1683.713)
    assert round(found.between) == 89639
    assert round(found.within) == 139120026
    np.testing.assert_array_equal(found.weight, [100155, 19895, 13735, 4152, 36110])
    np.testing.assert_allclose(
        found.mean, [2060.921, 1511.224, 1805.843, 1352.976, 1599.829], atol=6e-4
    )
    np.testing.assert_allclose(
        found.credibility, [0.9847404, 0.9276352, 0.8984754, 0.7279092, 0.9587911], atol=6e-8
    )
    np.testing.assert_allclose(
        found.credible, [2055.165, 1523.706, 1793.444, 1442.967, 1603.285], atol=6e-4
    )


def test_estimates_are_unbiased_and_errors_are_honest():
    rng = np.random.default_rng(2)
    weights = rng.uniform(50, 500, (150, 5))
    within, between, error, claimed = [], [], [], []
    for _ in range(300):
        truth = rng.normal(1000, 60, 150)
        values = truth[:, None] + rng.normal(0, 1500 / np.sqrt(weights))
        found = fitting.buhlmann_straub(values, weights)
        within.append(found.within)
        between.append(found.between_unbiased)
        error.append(np.mean((found.credible - truth) ** 2))
        claimed.append(np.mean(found.credible_standard_error**2))
    for values, truth in ((within, 1500**2), (between, 60**2)):
        assert abs(np.mean(values) - truth) < 3 * np.std(values) / np.sqrt(300)
    # the error of a and s^2 themselves is left out: 2 % of a mean square with 150 groups
    assert np.mean(claimed) == pytest.approx(np.mean(error), rel=0.03)


def test_groups_without_difference_get_the_collective():
    values = np.array([[10.0, 20.0, 30.0], [30.0, 10.0, 20.0], [20.0, 30.0, 10.0]])
    found = fitting.buhlmann_straub(values, np.ones((3, 3)))
    assert found.between == 0
    assert found.between_unbiased < 0
    np.testing.assert_array_equal(found.credibility, 0)
    np.testing.assert_allclose(found.credible, 20.0)
    with_gap = values.copy()
    with_gap[0, 2] = np.nan
    assert fitting.buhlmann_straub(with_gap, np.ones((3, 3))).weight[0] == 2


def test_posteriors_are_bayes_theorem():
    found = fitting.posterior_log_mean(7.3, 0.2, prior_mean=7.0, prior_sd=0.1)

    def joint(x):
        return stats.norm(7.0, 0.1).pdf(x) * stats.norm(7.3, 0.2).pdf(x)

    assert_moments(found, joint, 6.0, 8.5)
    assert found.credibility == pytest.approx(0.2)
    rate = fitting.posterior_rate(7, 30.0, prior_mean=0.2, prior_cv=0.6)
    prior = stats.gamma(1 / 0.36, scale=0.2 * 0.36)
    assert_moments(rate, lambda x: prior.pdf(x) * stats.poisson.pmf(7, 30.0 * x), 0.0, 3.0)
    assert rate.mean == pytest.approx(rate.credibility * 7 / 30 + (1 - rate.credibility) * 0.2)


def assert_moments(found, joint, low, high):
    total, first, second = (
        integrate.quad(lambda x, k=k: joint(x) * x**k, low, high, epsabs=0, limit=200)[0]
        for k in range(3)
    )
    assert found.mean == pytest.approx(first / total, rel=1e-6)
    assert found.sd == pytest.approx(np.sqrt(second / total - (first / total) ** 2), rel=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fitting.full_credibility(probability=90), "probability: 90"),
        (lambda: fitting.full_credibility(tolerance=5), "0.05 for 5 %"),
        (lambda: fitting.full_credibility(severity_cv=-1), "severity_cv"),
        (lambda: fitting.limited_fluctuation(-1), "claims: -1"),
        (lambda: fitting.buhlmann_straub([[1.0, 2.0]], [[1.0, 1.0]]), "two groups"),
        (lambda: fitting.buhlmann_straub([[1.0], [2.0]], [[1.0], [1.0]]), "two periods"),
        (lambda: fitting.buhlmann_straub(np.ones((2, 2)), np.zeros((2, 2))), "not positive"),
        (lambda: fitting.posterior_log_mean(1, 0, prior_mean=1, prior_sd=1), "standard_error"),
        (lambda: fitting.posterior_log_mean(np.nan, 1, prior_mean=1, prior_sd=1), "nan"),
        (lambda: fitting.posterior_rate(-1, 1, prior_mean=1, prior_cv=1), "count"),
        (lambda: fitting.posterior_rate(1, 1, prior_mean=1, prior_cv=0), "prior_cv"),
    ],
)
def test_what_means_nothing_is_refused(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


def test_docstring_examples_run():
    assert doctest.testmod(credibility).failed == 0
