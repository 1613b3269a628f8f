"""What is no number goes through the steps of terms, though kernels take the quick way round it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import riskshare as rs
from riskshare.contract import primitives
from riskshare.program.compiling import SAMPLES

AS_USED = SAMPLES | {"xla_cpu_use_fusion_emitters": True}
"""Tests compile otherwise (`conftest.QUICKLY`)."""

STEPS = {
    "positive": primitives.positive,
    "limit": lambda x: primitives.limit(x, jnp.float32(-1), jnp.float32(1)),
    "bands": lambda x: primitives.bands(
        primitives.positive(x), list(jnp.float32([0, 0.2])), list(jnp.float32([0.5, 1]))
    ),
    "above": lambda x: primitives.above(x, jnp.float32(0.5)),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_passes_on_what_is_no_number(name):
    x = np.linspace(-2, 2, 4096, dtype=np.float32)
    x[::7] = np.nan
    found = np.asarray(jax.jit(STEPS[name], compiler_options=AS_USED)(x))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(x))
    whole = ~np.isnan(x)
    np.testing.assert_allclose(
        found[whole], np.asarray(STEPS[name](jnp.asarray(x[whole]))), rtol=1e-6
    )


def test_numbers_beyond_the_type_are_refused_where_a_contract_caps_them():
    case = rs.load_case("msk-toy").with_numbers({"lines.outpatients.price": 1e37})
    with pytest.raises(rs.NumericalError, match="too large for float32"):
        rs.simulate(case, samples=4096)
