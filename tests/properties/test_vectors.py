"""Sums, stored results and polynomials say what plain ones say, and have their derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from riskshare.contract.vectors import polynomial, stored, summed


@pytest.mark.parametrize(
    ("shape", "axis"), [((3, 50), 0), ((24, 50), 0), ((2, 5, 50), 0), ((2, 5, 50), 1), ((4,), 0)]
)
def test_a_sum_is_that_of_numpy(shape, axis):
    values = np.random.default_rng(1).normal(size=shape)
    assert summed(values, axis) == pytest.approx(values.sum(axis), rel=1e-12)
    with jax.enable_x64(True):
        found = jax.jit(summed, static_argnums=1)(jnp.asarray(values), axis)
        np.testing.assert_allclose(found, values.sum(axis), rtol=1e-12, atol=1e-12)


def test_a_sum_of_no_rows_is_nothing():
    assert summed(jnp.zeros((0, 4))).tolist() == [0.0] * 4
    assert summed(jnp.zeros((2, 0, 4)), 1).shape == (2, 4)


def made(x):
    return {"root": jnp.sqrt(x), "whole": jnp.floor(x).astype(jnp.int32)}


def test_what_is_stored_is_what_is_computed():
    x = jnp.asarray(np.random.default_rng(2).uniform(1, 9, (3, 40)), jnp.float32)
    plain, found = made(x), jax.jit(lambda x: stored(lambda: made(x), x))(x)
    assert plain.keys() == found.keys()
    for name in plain:
        np.testing.assert_allclose(plain[name], found[name], rtol=1e-6)
        assert plain[name].dtype == found[name].dtype


def test_an_unknown_number_makes_all_unknown():
    x = jnp.full((2, 5), 4.0)
    found = jax.jit(lambda x, known: stored(lambda: made(x), known))(x, jnp.asarray([np.nan, 1.0]))
    assert np.isnan(found["root"]).all()


def test_derivatives_pass_what_is_stored_in_both_directions():
    x = jnp.asarray([1.0, 4.0, 9.0])

    def total(x):
        return stored(lambda: jnp.sqrt(x), x).sum() ** 2

    slope = 2 * 6 * 0.5 / np.sqrt([1, 4, 9])
    np.testing.assert_allclose(jax.jit(jax.grad(total))(x), slope, rtol=1e-5)
    np.testing.assert_allclose(jax.jit(jax.jacfwd(total))(x), slope, rtol=1e-5)
    each = jax.vmap(lambda row: stored(lambda: jnp.sqrt(row), row))(jnp.stack([x, 4 * x]))
    np.testing.assert_allclose(each, np.sqrt([[1, 4, 9], [4, 16, 36]]), rtol=1e-6)


X = np.linspace(-1.5, 2, 11)


@pytest.mark.parametrize("count", [2, 3, 4, 7, 10, 17])
def test_polynomials_are_those_of_numpy(count):
    powers = np.random.default_rng(count).normal(size=count)
    with jax.enable_x64(True):
        found = polynomial([float(power) for power in powers], jnp.asarray(X))
    np.testing.assert_allclose(found, np.polyval(powers, X), rtol=1e-12, atol=1e-12)


def test_polynomials_of_rows_have_each_their_own_powers():
    powers = np.random.default_rng(1).normal(size=(3, 10))
    scores = np.stack([X, X + 0.5, -X])
    with jax.enable_x64(True):
        columns = jnp.split(jnp.asarray(powers), 10, axis=1)
        found = polynomial(columns, jnp.asarray(scores))
    wanted = [np.polyval(row, at) for row, at in zip(powers, scores, strict=True)]
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
