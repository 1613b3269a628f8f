import numpy as np
import pytest
import scipy.stats as st

from riskshare.laws.dependence import cholesky, innovation_weights
from riskshare.laws.indices import IndexMap, index_map


def floored_moments(location, scale):
    z = np.linspace(-12, 12, 2_000_001)
    weight = st.norm.pdf(z) * (z[1] - z[0])
    x = np.maximum(location + scale * z, 0)
    mean = weight @ x
    return mean, np.sqrt(weight @ (x - mean) ** 2)


@pytest.mark.parametrize(
    ("location", "scale"), [(1, 0.03), (1, 0.5), (0.2, 1), (-1, 1), (-3, 1), (1, 1e-7)]
)
def test_moments_of_a_floored_normal(location, scale):
    index = IndexMap(location, scale, False)
    mean, deviation = floored_moments(location, scale)
    assert index.mean() == pytest.approx(mean, rel=1e-8)
    assert index.standard_deviation() == pytest.approx(deviation, rel=1e-7)


@pytest.mark.parametrize("centre", ["mean", "median"])
def test_moments_and_quantiles_of_a_lognormal(centre):
    index = index_map(law="lognormal", value=1.3, sd=0.4, centre=centre)
    scale = 1.3 * np.exp(-0.08) if centre == "mean" else 1.3
    law = st.lognorm(0.4, scale=scale)
    assert index.mean() == pytest.approx(law.mean(), rel=1e-12)
    assert index.standard_deviation() == pytest.approx(law.std(), rel=1e-12)
    assert index.quantile(0.05) == pytest.approx(law.ppf(0.05), rel=1e-12)
    assert (index.mean() if centre == "mean" else index.quantile(0.5)) == pytest.approx(1.3)


@pytest.mark.parametrize("law", ["normal", "lognormal"])
def test_an_interval_is_hit_exactly(law):
    index = index_map(law=law, interval=(0.9, 1.25))
    assert index.quantile(0.1) == pytest.approx(0.9, rel=1e-14)
    assert index.quantile(0.9) == pytest.approx(1.25, rel=1e-14)


def test_a_normal_with_certain_value():
    index = index_map(law="normal", value=1.2)
    assert (index.mean(), index.standard_deviation(), index.quantile(0.01)) == (1.2, 0.0, 1.2)


def test_a_floored_quantile_is_zero():
    assert index_map(law="normal", value=0.5, sd=1).quantile(0.1) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"law": "student"}, "accepted are"),
        ({"law": "lognormal", "sd": 0.1}, "'mean' or its 'median'"),
        ({"law": "normal", "sd": -1.0}, "sd is -1"),
        ({"law": "normal", "sd": float("nan")}, "sd is nan"),
        ({"law": "lognormal", "interval": (0.0, 1.0)}, "positive"),
        ({"law": "normal", "interval": (1.2, 0.9)}, "must not exceed"),
        ({"law": "normal", "value": -1.0}, "value is -1"),
    ],
)
def test_refused_laws(words, message):
    with pytest.raises(ValueError, match=message):
        index_map(**words)


def test_cholesky_reproduces_and_refuses():
    matrix = [[1, 0.5, -0.2], [0.5, 1, 0.1], [-0.2, 0.1, 1]]
    factor = cholesky(matrix)
    np.testing.assert_allclose(factor @ factor.T, matrix, atol=1e-15)
    with pytest.raises(ValueError, match=r"smallest eigenvalue is -0\.8"):
        cholesky([[1, 0.9, 0.9], [0.9, 1, -0.9], [0.9, -0.9, 1]])
    with pytest.raises(ValueError, match="not positive definite"):
        cholesky([[1, 1], [1, 1]])
    with pytest.raises(ValueError, match="symmetric"):
        cholesky([[1, 0.5], [0.4, 1]])


def test_processes_have_their_autocovariance():
    weights = innovation_weights(["constant", "ar1", "random-walk"], [0, 0.6, 0], 5)
    lag = np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    covariance = np.einsum("dys,dzs->dyz", weights, weights)
    np.testing.assert_allclose(covariance[0], np.ones((5, 5)), atol=1e-15)
    np.testing.assert_allclose(covariance[1], 0.6**lag, atol=1e-15)
    np.testing.assert_allclose(covariance[2], np.eye(5), atol=1e-15)


def test_appending_a_year_keeps_earlier_weights():
    processes, phi = ["constant", "ar1", "random-walk"], [0, -0.3, 0]
    longer = innovation_weights(processes, phi, 6)
    np.testing.assert_array_equal(longer[:, :4, :4], innovation_weights(processes, phi, 4))
    assert not np.any(np.triu(longer, 1))


def test_refused_processes():
    with pytest.raises(ValueError, match="between -1 and 1"):
        innovation_weights(["ar1"], [1.2], 2)
    with pytest.raises(ValueError, match="accepted are"):
        innovation_weights(["arma"], [0.5], 2)
