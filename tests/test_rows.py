"""Rows by places: against NumPy's own indexing, however the places lie."""

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
