"""Kernels for short runs and for long ones: the same samples, whichever compiler made them."""

import jax
import numpy as np
import pytest

import riskshare as rs
from riskshare.program import compiling

CASES = ["aca-risk-corridor", "mid-nottinghamshire-msk", "six-provider-collaboratives"]
REST = [
    "alzira", "birmingham-invest-to-save", "discharge-to-assess", "dorset-block",
    "frimley-consolidated", "german-hospital", "greater-nottingham-benchmark",
    "interim-blended-payment", "msk-toy", "national-risk-pool", "nottinghamshire-system",
    "plymouth-integrated-fund", "reach-aco", "shared-savings-aco", "tameside-glossop",
    "trust-in-several-systems",
]  # fmt: skip


@pytest.mark.parametrize(
    "name", [*CASES, *(pytest.param(name, marks=pytest.mark.slow) for name in REST)]
)
def test_short_and_long_runs_make_the_same_samples(name, monkeypatch):
    case = rs.load_case(name)
    short = rs.simulate(case, samples=16_384, seed=3).position
    monkeypatch.setattr(compiling, "SHORT", 0)
    long = rs.simulate(case, samples=16_384, seed=3).position
    apart = np.abs(short - long) > 1e-3 * np.maximum(long.std("sample"), 1)
    # rounding takes a count or a step to its other side once in a while
    assert float(apart.mean()) <= 1e-4
    np.testing.assert_allclose(
        short.mean("sample"), long.mean("sample"), atol=float(1e-4 * long.std("sample").max())
    )


def toy():
    made = compiling.ByLength(lambda x, scale: scale * x, ("scale",))
    return made, np.arange(4.0, dtype=np.float32)


def test_length_decides_which_kernel_runs():
    made, _ = toy()
    assert made.of(compiling.SHORT) == made.short
    assert made.of(compiling.SHORT + 1) is made.long


def test_where_xla_has_one_way_alone_that_is_taken(monkeypatch):
    monkeypatch.setattr(compiling, "_SOONER", {"xla_cpu_no_such_thing": False})
    made, x = toy()
    for _ in range(2):
        np.testing.assert_array_equal(made.short(x, scale=2), 2 * x)


def test_other_failures_are_not_hidden():
    def fails(x):
        raise jax.errors.JaxRuntimeError("INTERNAL: out of luck")

    with pytest.raises(jax.errors.JaxRuntimeError, match="out of luck"):
        compiling.ByLength(fails, ()).short(np.zeros(3))
