"""Tests compile kernels quickly (`conftest.QUICKLY`): it makes no difference to what they find."""

import os
import subprocess
import sys
from inspect import unwrap
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import riskshare as rs
from riskshare.program.block import settle_block
from riskshare.program.compiling import KERNEL

AS_USED = {"RISKSHARE_TEST_COMPILED": "as-used"}
DEPEND = (
    "tests/test_kernel_loops.py",
    "tests/test_not_a_number.py",
    "tests/test_two_ways.py::test_both_ways_make_the_same_samples",
    "tests/oracle/test_half_pennies.py::test_contracts_settled_together_have_the_pennies_of_each_alone",
)
"""Tests of what XLA itself once got wrong, of what it is told of numbers that are none, of the two
ways kernels are compiled in, and of amounts whose last bit decides a penny."""

KEPT = ("position", "cost", "paid", "underlying", "cash")
SAMPLES = 8192
ALWAYS = ("msk-toy", "mid-nottinghamshire-msk", "shared-savings-aco")
"""The other bundled cases are left to the slow tests."""

RUN = """
import sys
import numpy as np
import riskshare as rs

from riskshare.run import simulate

name, path, samples, kept = *sys.argv[1:3], int(sys.argv[3]), sys.argv[4].split()
for way in ("soon", "fast"):
    simulate.SHORT = samples if way == "soon" else 0
    found = rs.simulate(rs.load_case(name), samples=samples, keep=kept)
    np.savez(path + way + ".npz", **{one: found[one].values for one in kept})
"""


DERIVED = """
import sys
import riskshare as rs

asked = {"statistics": ["quantile", "tail_value_at_risk"], "samples": int(sys.argv[3])}
rs.sensitivities(rs.load_case(sys.argv[1]), **asked).to_netcdf(sys.argv[2])
"""


def process(*command):
    """Run a fresh process whose kernels are compiled as everybody's are."""
    answer = subprocess.run(
        [sys.executable, *command],
        env=os.environ | AS_USED,
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert not answer.returncode, answer.stdout[-3000:] + answer.stderr[-3000:]


@pytest.mark.skipif(os.environ.get("RISKSHARE_TEST_COMPILED") == "as-used", reason="as used")
def test_tests_compile_otherwise():
    """Or all of these would compare like with like: XLA makes a fusion of a step that is alone."""
    assert "fusion(" not in jax.jit(jnp.exp).lower(np.ones(8, "float32")).compile().as_text()


def test_what_depends_on_the_compiler_passes_with_what_everybody_uses():
    process("-m", "pytest", "-n0", "-p", "no:cacheprovider", *DEPEND)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ALWAYS else pytest.mark.slow)
        for name in rs.case_names()
    ],
)
def test_outcomes_are_those_of_a_kernel_compiled_as_used(name, tmp_path):
    path = str(tmp_path / "outcomes")
    process("-c", RUN, name, path, str(SAMPLES), " ".join(KEPT))
    found = rs.simulate(rs.load_case(name), samples=SAMPLES, keep=KEPT)
    for way in ("soon", "fast"):
        with np.load(path + way + ".npz") as stored:
            other = {one: stored[one] for one in KEPT}
        flow = np.abs(other["paid"]).max()
        for one in KEPT:
            here, there = found[one].values, other[one]
            assert np.isfinite(here).all()
            assert np.isfinite(there).all()
            # small results of large flows are rounded as these are: to 2^-24 of the flow, each way
            near = 1e-5 * np.abs(there).max(-1, keepdims=True) + 2**-22 * flow
            # a sample that stands at a gate may fall to either side of it by rounding
            apart = np.abs(here - there) > near
            assert apart.any(axis=tuple(range(apart.ndim - 1))).mean() < 1e-3, way


@pytest.mark.parametrize("name", ALWAYS)
def test_actuals_settle_to_the_same_penny_however_they_are_compiled(name, monkeypatch):
    case = rs.load_case(name)
    actuals = rs.draw(case, samples=1, precision="float64").isel(sample=0)
    found = rs.settle(case, actuals)
    fast = {"xla_cpu_use_fusion_emitters": True, "xla_backend_optimization_level": 3}
    made = jax.jit(
        unwrap(settle_block),
        static_argnames=("structure", "keep", "unrolled"),
        compiler_options=KERNEL | fast,
    )
    monkeypatch.setattr("riskshare.run.settle.settle_actuals", lambda: made)
    other = rs.settle(case, actuals)
    for one in ("position", "cost", "received", "paid", "posting"):
        np.testing.assert_array_equal(found[one], other[one])


def test_derivatives_are_those_of_a_kernel_compiled_as_used(tmp_path):
    """Loops as long as samples that count need, within loops over blocks."""
    path = tmp_path / "derivatives.nc"
    process("-c", DERIVED, "msk-toy", str(path), str(8 * SAMPLES))
    asked = {"statistics": ["quantile", "tail_value_at_risk"], "samples": 8 * SAMPLES}
    found = rs.sensitivities(rs.load_case("msk-toy"), **asked)
    with xr.open_dataset(path) as other:
        for statistic in asked["statistics"]:
            name = f"position_{statistic}_derivative"
            here, there, error = found[name], other[name], other[f"{name}_error"]
            np.testing.assert_array_equal(np.isnan(here), np.isnan(there))
            assert (np.isfinite(here)).mean() > 0.5
            apart = np.abs(here - there) - 0.1 * error
            assert float((apart / np.abs(there).max("path")).max()) < 1e-4
