"""Rows by places: against NumPy's own indexing, however the places lie."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from riskshare.contract.rows import picked, replaced

VALUES = np.arange(15.0).reshape(5, 3)


@pytest.mark.parametrize("module", [np, jnp])
@pytest.mark.parametrize("places", [(), (0, 1, 2, 3, 4), (1, 2, 3), (4,), (0, 2), (3, 1)])
def test_rows_are_those_of_numpy(module, places):
    values = module.asarray(VALUES)
    index = np.asarray(places, int)
    assert np.array_equal(picked(values, places), VALUES[index])
    assert np.array_equal(picked(values.T, places, axis=1), VALUES.T[:, index])
    wanted = VALUES.copy()
    wanted[index] = -1
    others = module.full((len(places), 3), -1.0)
    assert np.array_equal(replaced(values, places, others), wanted)
    assert np.array_equal(np.asarray(values), VALUES)


def test_rows_are_replaced_one_system_at_a_time_too():
    values, others = np.zeros((2, 4, 3), np.float32), np.arange(12, dtype=np.float32)
    found = jax.vmap(lambda a, b: replaced(a, (1, 2), b))(values, others.reshape(2, 2, 3))
    wanted = values.copy()
    wanted[:, 1:3] = others.reshape(2, 2, 3)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("places", [(1, 2), (1, 3)])
@pytest.mark.parametrize(
    "others",
    [np.ones((2, 1), "f4"), np.ones((1, 4), "f4"), np.ones((3, 4), "f4"), np.ones((2, 4), "i4")],
)
def test_rows_of_another_shape_or_type_are_refused(places, others):
    with pytest.raises(ValueError, match="they replace float32 of shape \\(2, 4\\)"):
        replaced(jnp.zeros((5, 4), "f4"), places, jnp.asarray(others))
