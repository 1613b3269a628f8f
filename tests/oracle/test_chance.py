import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st

from riskshare.laws.chance import (
    NODES,
    SCORE_LIMIT,
    count_quantile,
    count_table,
    factor_polynomial,
    factor_table,
    gamma_law,
    lognormal_sigma,
    stacked,
)
from riskshare.laws.indices import index_map
from riskshare.laws.marginal import Discrete, Weibull
from riskshare.program.chance import counts, cubed, table_lookup
from riskshare.program.streams import pseudo_bits, pseudo_keys, score

GRID = np.linspace(-SCORE_LIMIT, SCORE_LIMIT, NODES)
SCORES = np.asarray(score(pseudo_bits(pseudo_keys(11, [(1, i, 0) for i in range(64)]), 0), "f4"))
SCORES = SCORES.reshape(1, -1)


def exact_quantile(law, z):
    """The quantile from whichever tail is small."""
    return np.where(
        z <= 0, law.ppf(st.norm.cdf(np.minimum(z, 0))), law.isf(st.norm.sf(np.maximum(z, 0)))
    )


def count_law(mean, c):
    return st.nbinom(1 / c, 1 / (1 + c * mean)) if c else st.poisson(mean)


def assert_simulated(draws, law, levels=(0.1, 0.5, 0.9, 0.99)):
    """Mean, deviation and distribution function within 4 standard errors of the law's."""
    draws = np.asarray(draws, np.float64).ravel()
    root = np.sqrt(draws.size)
    mean, variance, kurtosis = (float(m) for m in law.stats("mvk"))
    assert abs(draws.mean() - mean) < 4 * np.sqrt(variance) / root
    assert abs(draws.var() - variance) < 4 * variance * np.sqrt(kurtosis + 2) / root
    for level in levels:
        at = law.ppf(level)
        probability = law.cdf(at)
        error = np.sqrt(probability * (1 - probability)) / root
        assert abs((draws <= at + 1e-9).mean() - probability) < 4 * error + 1e-12


def gamma_table(cv):
    table = factor_table(gamma_law(cv))
    return table.values[0], table.slopes[0]


@pytest.mark.parametrize("cv", [0.01, 0.2, 1, 2, 10])
def test_gamma_table_is_the_quantile_in_both_tails(cv):
    values, slopes = gamma_table(cv)
    expected = exact_quantile(st.gamma(1 / cv**2, scale=cv**2), GRID)
    np.testing.assert_allclose(values, expected, rtol=1e-10, atol=1e-250)
    np.testing.assert_allclose(values[:-1] + slopes[:-1], values[1:], rtol=1e-12, atol=1e-250)
    assert slopes[-1] == 0
    assert not values.flags.writeable
    assert factor_table(gamma_law(cv)) is factor_table(gamma_law(cv))


def test_no_variation_is_one():
    assert np.all(gamma_table(0.0)[0] == 1)
    assert lognormal_sigma(0.0) == 0


@pytest.mark.parametrize(("cv", "bias"), [(0.2, 3e-8), (1, 6e-7), (2, 1.6e-6)])
def test_gamma_lookup_keeps_the_mean(cv, bias):
    values, slopes = gamma_table(cv)
    z = np.linspace(-8, 8, 400_001)
    weight = st.norm.pdf(z) * (z[1] - z[0])
    with jax.enable_x64(True):
        drawn = np.asarray(table_lookup(*jnp.asarray([values, slopes])[:, None], jnp.asarray([z])))
    assert drawn.dtype == np.float64
    assert abs(weight @ drawn[0] - 1) < bias


@pytest.mark.parametrize("c", [0, 1e-4, 0.01, 0.3, 2])
@pytest.mark.parametrize("mean", [0.05, 1, 30, 1e3, 1e6])
def test_count_quantile_is_exact_when_rounded_up(mean, c):
    z = np.linspace(-6, 6, 301)
    x = count_quantile(z, mean, c)
    assert np.all(np.isfinite(x))
    assert x.min() > -1
    expected = exact_quantile(count_law(mean, c), z)
    # Above 2^24 scipy's own search is off by one at places.
    assert np.all(np.abs(np.ceil(x) - expected) <= (expected > 2**24))
    assert np.all(np.diff(x) >= 0)


@pytest.mark.parametrize(
    ("low", "high", "c", "tolerance"),
    [
        (0.05, 1, 0, 6e-4),
        (1, 20, 0.5, 6e-4),
        (5, 15, 2, 8e-5),
        (20, 60, 0.1, 4e-5),
        (7, 7, 0, 2e-5),
    ],
)
def test_whole_counts_have_the_law_between_nodes(low, high, c, tolerance):
    z = np.linspace(-6, 6, 400_001)
    weight = st.norm.pdf(z) * (z[1] - z[0])
    table = count_table(low, high, c)
    mean = np.exp(table.log_mean_origin + 7.5 * table.log_mean_step)
    with jax.enable_x64(True):
        rows = jax.tree.map(jnp.asarray, stacked([table]))
        drawn = counts(jnp.full((1, z.size), mean), jnp.asarray([z]), rows, jnp.ones(1))
    drawn = np.asarray(drawn)
    for level in (0.01, 0.1, 0.5, 0.9, 0.99):
        at = count_law(mean, c).ppf(level)
        assert abs(weight @ (drawn[0] <= at) - count_law(mean, c).cdf(at)) < tolerance


@pytest.mark.parametrize(("mean", "c"), [(0.3, 0), (4, 0), (2, 1.5), (60, 0.05), (900, 0.01)])
def test_simulated_counts_follow_their_law(mean, c):
    table = stacked([count_table(mean * 0.8, mean * 1.3, c)])
    table = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), table)
    means = jnp.full(SCORES.shape, mean, jnp.float32)
    drawn = jax.jit(counts)(means, SCORES, table, jnp.ones(1))
    assert drawn.dtype == jnp.float32
    assert np.all(drawn == np.round(drawn))
    assert_simulated(drawn, count_law(mean, c))


@pytest.mark.parametrize(("mean", "c"), [(3e4, 0), (5e4, 0.001)])
def test_smooth_counts_of_large_lines_follow_the_law(mean, c):
    table = stacked([count_table(mean * 0.5, mean * 2, c)])
    table = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), table)
    drawn = counts(jnp.full(SCORES.shape, mean, jnp.float32), SCORES, table, jnp.zeros(1))
    assert_simulated(drawn, st.norm(mean, np.sqrt(mean + c * mean**2)), levels=())
    below = (np.asarray(drawn) <= count_law(mean, c).ppf(0.9) + 0.5).mean()
    assert abs(below - 0.9) < 4 * np.sqrt(0.09 / drawn.size) + 1e-3


def test_a_mean_of_zero_is_exactly_zero_and_differentiable():
    table = jax.tree.map(jnp.asarray, stacked([count_table(0.5, 5, 0.1)] * 2))
    mean, z = jnp.array([[0.0, 2.0]] * 2), jnp.array([[6.0, 0.3]] * 2)
    whole = jnp.array([1.0, 0.0])
    drawn = counts(mean, z, table, whole)
    assert np.all(drawn[:, 0] == 0)
    slope = jax.grad(lambda m: counts(m, z, table, whole).sum())(mean)
    assert np.all(np.isfinite(slope))
    assert slope[1, 1] > 0.5
    assert np.all(slope[0] == 0)


def test_rows_are_read_apart_and_the_span_is_clipped():
    tables = [gamma_table(cv) for cv in (0.1, 1.0)]
    values, slopes = (jnp.asarray(np.stack(a), jnp.float32) for a in zip(*tables, strict=True))
    z = jnp.array([[-9.0, 0.0, 9.0, np.nan]] * 2, jnp.float32)
    drawn = np.asarray(jax.jit(table_lookup)(values, slopes, z))
    for row, (exact, _) in enumerate(tables):
        np.testing.assert_allclose(drawn[row, :3], exact[[0, NODES // 2, -1]], rtol=1e-6)
    assert np.all(np.isnan(drawn[:, 3]))
    slope = jax.grad(lambda s: table_lookup(values, slopes, s).sum())(jnp.zeros((2, 1)))
    gap = 2 * SCORE_LIMIT / (NODES - 1)
    np.testing.assert_allclose(slope, slopes[:, NODES // 2, None] / gap, rtol=1e-3)


def test_simulated_factors_follow_their_law():
    for cv in (0.3, 1.5):
        values, slopes = (jnp.asarray(a[None], jnp.float32) for a in gamma_table(cv))
        assert_simulated(table_lookup(values, slopes, SCORES), st.gamma(cv**-2, scale=cv**2))
    sigma = lognormal_sigma(0.5)
    law = st.lognorm(sigma, scale=np.exp(-(sigma**2) / 2))
    assert law.mean() == pytest.approx(1)
    assert law.std() == pytest.approx(0.5)
    assert_simulated(np.exp(sigma * SCORES - sigma**2 / 2), law)


@pytest.mark.parametrize(
    ("words", "law"),
    [
        ({"law": "normal", "sd": 0.08}, st.norm(1, 0.08)),
        ({"law": "lognormal", "sd": 0.1, "centre": "mean"}, st.lognorm(0.1, scale=np.exp(-0.005))),
        ({"law": "lognormal", "sd": 0.1, "centre": "median"}, st.lognorm(0.1)),
        ({"law": "normal", "interval": (0.9, 1.2)}, st.norm(1.05, 0.15 / st.norm.ppf(0.9))),
        (
            {"law": "lognormal", "interval": (0.9, 1.2)},
            st.lognorm(np.log(4 / 3) / 2 / st.norm.ppf(0.9), scale=np.sqrt(1.08)),
        ),
    ],
)
def test_simulated_indices_follow_their_law(words, law):
    index = index_map(**words)
    x = index.location + index.scale * SCORES.astype(np.float64)
    draws = np.exp(x) if index.logarithmic else np.maximum(x, 0)
    assert_simulated(draws, law)
    # The floor is out of reach here, so the closed forms must agree as well.
    assert index.mean() == pytest.approx(law.mean(), rel=1e-10)
    assert index.standard_deviation() == pytest.approx(law.std(), rel=1e-8)


def test_refused_numbers():
    with pytest.raises(ValueError, match="coefficient_of_variation is -1"):
        gamma_table(-1.0)
    with pytest.raises(ValueError, match="in order"):
        count_table(2.0, 1.0, 0.0)
    with pytest.raises(ValueError, match="overdispersion is nan"):
        count_table(1.0, 2.0, float("nan"))


@pytest.mark.parametrize("cv", [0.01, 0.05, 0.1, 0.2, 0.3])
def test_a_narrow_gamma_is_the_cube_of_a_polynomial(cv):
    powers = factor_polynomial(gamma_law(cv))
    assert powers is not None
    z = np.linspace(-6.3, 6.3, 1001)
    law = st.gamma(cv**-2, scale=cv**2)
    exact = exact_quantile(law, z)

    assert np.abs(np.polyval(powers, z) ** 3 / exact - 1).max() < 1e-6
    drawn = np.asarray(jax.jit(cubed)(powers[None].astype("f4"), z[None].astype("f4")))[0]
    assert np.abs(drawn / exact - 1).max() < 4e-6
    assert_simulated(cubed(jnp.asarray(powers[None], jnp.float32), SCORES), law)


@pytest.mark.parametrize(
    "law",
    [
        gamma_law(0.5),
        gamma_law(2.0),
        Weibull(mean=1.0, shape=0.5),
        Discrete(values=[1.0, 2.0], weights=[1, 3]),
    ],
    ids=lambda law: law.kind,
)
def test_what_is_no_polynomial_keeps_its_table(law):
    assert factor_polynomial(law) is None
