"""Tests compile kernels quickly (`conftest.QUICKLY`): it makes no difference to what they find."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import riskshare as rs

AS_USED = {"RISKSHARE_TEST_COMPILED": "as-used"}
DEPEND = ("tests/test_kernel_loops.py",)
"""Tests of what XLA itself once got wrong."""

KEPT = ("position", "cost", "paid", "underlying", "cash")
SAMPLES = 8192
ALWAYS = ("msk-toy", "mid-nottinghamshire-msk", "shared-savings-aco")
"""The other bundled cases are left to the slow tests."""

RUN = """
import sys
import numpy as np
import riskshare as rs

name, path, samples, kept = *sys.argv[1:3], int(sys.argv[3]), sys.argv[4].split()
found = rs.simulate(rs.load_case(name), samples=samples, keep=kept)
np.savez(path, **{one: found[one].values for one in kept})
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
    path = tmp_path / "outcomes.npz"
    process("-c", RUN, name, str(path), str(SAMPLES), " ".join(KEPT))
    found = rs.simulate(rs.load_case(name), samples=SAMPLES, keep=KEPT)
    other = np.load(path)
    for one in KEPT:
        here, there = found[one].values, other[one]
        assert np.isfinite(here).all()
        assert np.isfinite(there).all()
        # a sample that stands at a gate may fall to either side of it by rounding
        apart = np.abs(here - there) > 1e-5 * np.abs(there).max()
        assert apart.any(axis=tuple(range(apart.ndim - 1))).mean() < 1e-3
