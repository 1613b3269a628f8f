"""Devices: which there are, and the same numbers on any of them."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray as xr
from builders import PROVIDER, case, line

import riskshare as rs
from riskshare.analysis import streaming
from riskshare.run.devices import Devices, available, devices_of


def small():
    """Two lines over two years; the provider bears what is beyond half of each deviation."""
    lines = [
        line(loadings={"demand": 1.0}, noise=rs.Noise(law="gamma", cv=0.02)),
        line("free", baseline=500, noise=rs.Noise(law="gamma", cv=0.05)),
    ]
    demand = rs.Driver(name="demand", acts_on="activity", law="normal", sd=0.03)
    return case(lines, [rs.Block(), rs.MarginalRate(rate=0.5)], drivers=[demand], count=2)


@pytest.fixture(scope="module")
def toy():
    return small()


@pytest.fixture
def accelerator(monkeypatch):
    """This machine's CPU, taken for a device with a memory of its own and wider than a block."""
    monkeypatch.setattr(Devices, "shared_memory", False)
    monkeypatch.setattr(Devices, "width", 16)
    monkeypatch.setattr(Devices, "counted_width", 16)
    monkeypatch.setattr(Devices, "together", 4)


RUNS = [rs.simulate, rs.draw, rs.estimate]


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("name", ["gpx", "cpu:7", "cpu:", "cpu:x", "", "CPU:0:1"])
def test_an_unknown_device_is_refused_with_those_there_are(toy, run, name):
    with pytest.raises(rs.ArgumentError) as told:
        run(toy, device=name)
    assert str(told.value).startswith(f"device is {name!r}; there is ")
    for known in available():
        assert known in str(told.value)
    assert "cpu:0" in available()


@pytest.mark.parametrize("run", RUNS)
def test_what_is_no_name_of_a_device_is_refused(toy, run):
    with pytest.raises(rs.ArgumentError, match=r"device is 0; there is cpu:0"):
        run(toy, device=0)


def test_a_gpu_that_is_not_there_is_refused_by_name(toy):
    if any(name.startswith(("gpu", "cuda", "rocm")) for name in available()):
        pytest.skip("there is one")
    for name in ("gpu", "gpu:0", "cuda"):
        with pytest.raises(rs.ArgumentError, match=f"device is '{name}'; there is cpu:0"):
            rs.estimate(toy, device=name)


@pytest.mark.parametrize("workers", [0, -1, 1.5, "two", True])
def test_workers_are_a_number_of_threads(toy, workers):
    with pytest.raises(rs.ArgumentError, match=r"workers is .*; accepted: a whole number"):
        rs.estimate(toy, workers=workers)


def test_a_device_may_be_named_with_or_without_its_number(toy):
    plain = devices_of("cpu", None)
    assert plain == devices_of("cpu:0", None)
    assert plain.shared_memory
    xr.testing.assert_identical(rs.estimate(toy, device="cpu:0"), rs.estimate(toy, device="cpu"))


def test_the_number_of_threads_changes_no_bit(toy):
    asked = {"samples": 2**19, "seed": 4}
    alone, four = (rs.estimate(toy, workers=workers, **asked) for workers in (1, 4))
    xr.testing.assert_identical(alone, four)
    alone, four = (
        rs.simulate(toy, workers=workers, keep=("position",), **asked) for workers in (1, 4)
    )
    assert alone.position.values.tobytes() == four.position.values.tobytes()


def assert_close(found, wanted):
    """The same table up to rounding; a sample may cross the end of a cell."""
    assert list(found.data_vars) == list(wanted.data_vars)
    assert found.attrs == pytest.approx(wanted.attrs)
    deviation = wanted.position_standard_deviation
    scale = float(np.abs(wanted.paid_mean).max())
    for name, array in wanted.data_vars.items():
        np.testing.assert_array_equal(np.isnan(found[name]), np.isnan(array), err_msg=str(name))
        gap = np.abs(found[name] - array).fillna(0)
        if "probability" in str(name):
            assert (gap <= 3 / wanted.attrs["samples"]).all(), name
        elif str(name).endswith(("quantile_error", "value_at_risk_error")):
            assert (gap <= 0.05 * array.fillna(0) + 1e-3 * deviation).all(), name
        elif "quantile" in str(name) or "value_at_risk" in str(name):
            assert (gap <= 1e-4 * deviation + 1e-7 * scale).all(), name
        else:
            assert (gap <= 1e-6 * scale).all(), name


ASKED = {"samples": 2**18, "seed": 6}


@pytest.mark.parametrize("sampler", ["sobol", "pseudo-random"])
def test_counting_on_the_device_gives_the_table_of_counting_on_the_host(toy, sampler, request):
    wanted = rs.estimate(toy, sampler=sampler, **ASKED)
    request.getfixturevalue("accelerator")
    assert_close(rs.estimate(toy, sampler=sampler, **ASKED), wanted)


def test_a_device_that_counts_leaves_no_counts_on_the_host(toy, accelerator, monkeypatch):
    monkeypatch.setattr(streaming, "Counter", lambda _: pytest.fail("the host counts"))
    assert rs.estimate(toy, **ASKED).attrs["samples"] >= ASKED["samples"]


@pytest.mark.slow
def test_so_it_does_of_weighted_samples(toy, request):
    tail = rs.tail_directions(toy, PROVIDER)
    wanted = rs.estimate(toy, directions=tail, **ASKED)
    request.getfixturevalue("accelerator")
    found = rs.estimate(toy, directions=tail, **ASKED)
    assert_close(found.drop_vars("directions"), wanted.drop_vars("directions"))


def test_blocks_computed_together_have_the_positions_of_blocks_one_by_one(toy, request):
    asked = {"samples": 100_000, "sampler": "pseudo-random", "keep": ("position", "line_cost")}
    wanted = rs.simulate(toy, **asked)
    request.getfixturevalue("accelerator")
    found = rs.simulate(toy, **asked)
    for name in asked["keep"]:
        scale = float(np.abs(wanted[name]).max())
        np.testing.assert_allclose(found[name], wanted[name], atol=2e-6 * scale)


TWO = """
import hashlib, json, sys
sys.path.insert(0, sys.argv[2])
import numpy as np
import riskshare as rs
from riskshare.run.devices import available, devices_of
rs.use_compilation_cache(sys.argv[1])
from test_devices import small
toy = small()
named = None if len(available()) == 1 else "cpu:1"
tables = [rs.estimate(toy, samples=2**19, device=device) for device in (None, named)]
outcomes = rs.simulate(toy, samples=2**18, keep=("position",))
print(json.dumps({
    "devices": available(),
    "shared": len(devices_of(None, None).devices),
    "positions": hashlib.sha256(outcomes.position.values.tobytes()).hexdigest(),
    "tables": [
        hashlib.sha256(b"".join(t[name].values.tobytes() for name in sorted(t))).hexdigest()
        for t in tables
    ],
}))
"""


def told(cache, flags, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", flags)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    ran = subprocess.run(
        [sys.executable, "-c", TWO, str(cache), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def test_two_devices_share_a_run_and_change_no_bit_of_it(tmp_path, monkeypatch):
    one = told(tmp_path, "", monkeypatch)
    two = told(tmp_path, "--xla_force_host_platform_device_count=2", monkeypatch)
    assert (one["devices"], one["shared"]) == (["cpu:0"], 1)
    assert (two["devices"], two["shared"]) == (["cpu:0", "cpu:1"], 2)
    assert one["positions"] == two["positions"]
    assert len(set(one["tables"] + two["tables"])) == 1


def test_what_there_is_is_what_jax_has():
    assert len(available()) >= len(jax.devices())
