"""Lazy results: the numbers of the eager ones bit for bit, a few parts in memory at a time."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from builders import case, line, partner

import riskshare as rs
from riskshare.program.block import count_traces
from riskshare.run import lazy

dask = pytest.importorskip("dask")

SAID = ("chunk_samples", "chunk_samples_asked")


def assert_same(found, wanted):
    """The same variables, coordinates, attributes and bits."""
    assert found.attrs.keys() - wanted.attrs.keys() == set(SAID)
    assert all(array.chunks is not None for array in found.data_vars.values() if array.size)
    computed = found.compute()
    for name in SAID:
        del computed.attrs[name]
    xr.testing.assert_identical(computed, wanted)
    for name, array in wanted.data_vars.items():
        assert computed[name].dtype == array.dtype
        assert computed[name].values.tobytes() == array.values.tobytes(), name


@pytest.fixture(scope="module")
def toy():
    return rs.load_case("msk-toy")


@pytest.fixture(scope="module")
def eager(toy):
    return rs.simulate(toy, samples=40_000)


@pytest.fixture
def counted(monkeypatch):
    """Part numbers, noted whenever the kernel runs."""
    calls = []
    run = lazy.outputs_of

    def outputs_of(kernel, chunk, turn):
        calls.append(turn)
        return run(kernel, chunk, turn)

    monkeypatch.setattr(lazy, "outputs_of", outputs_of)
    return calls


def rich():
    """A case with a capacity, an organisation's other position and a change."""
    noise = rs.Noise(law="gamma", cv=0.1)
    capacity = rs.Capacity(units=10_100.0, waiting=300.0)
    lines = [line(noise=noise, capacity=capacity), line("free", baseline=500)]
    wider = partner("provider", other_position=rs.OtherPosition(mean=1e5, sd=2e5))
    change = rs.Change(name="less", owner="provider", source="free", size=0.1)
    partners = [partner("payer", "payer"), wider, partner("external", "external")]
    return case(lines, partners=partners, changes=[change])


def test_a_whole_result_is_the_eager_one_bit_for_bit(toy, eager):
    assert_same(rs.simulate(toy, samples=40_000, chunks=4096), eager)


def test_so_are_the_variables_that_few_cases_have():
    few = ("other_position", "saving_cash", "waiting_list")
    asked = {"samples": 8192, "sampler": "pseudo-random", "keep": few}
    assert_same(rs.simulate(rich(), chunks=4096, **asked), rs.simulate(rich(), **asked))


def test_so_it_is_where_the_last_part_is_shorter(toy):
    asked = {"samples": 10_001, "sampler": "pseudo-random", "keep": ("posting", "position")}
    found = rs.simulate(toy, chunks=8192, **asked)
    assert found.chunksizes["sample"] == (8192, 1809)
    assert_same(found, rs.simulate(toy, **asked))


def test_so_it_is_at_other_numbers(toy, eager):
    path = "partners.commissioner.target"
    moved = xr.DataArray([0.0, 1e6], dims="contract", coords={"contract": ["as it is", "more"]})
    found = rs.simulate(toy, samples=40_000, chunks=4096, parameters={path: moved})
    wanted = rs.simulate(toy, samples=40_000, parameters={path: moved})
    assert_same(found, wanted)


def test_nothing_is_computed_before_it_is_used_and_a_part_once_for_all_variables(
    toy, eager, counted
):
    with count_traces() as traced:
        found = rs.simulate(toy, samples=40_000, chunks=8192)
    assert not traced
    assert not counted
    np.testing.assert_array_equal(found.replicate.values, eager.replicate.values)
    assert not counted, "the replicate needs no kernel"
    found.compute()
    assert sorted(counted) == list(range(8))
    counted.clear()
    last = found.position.isel(sample=slice(-10, None)).values
    assert counted == [7], "one part holds the last samples"
    np.testing.assert_array_equal(last, eager.position.values[..., -10:])


def test_many_threads_compile_once_and_change_nothing(toy):
    asked = {"samples": 65_536, "seed": 9, "keep": ("cost",)}
    found = rs.simulate(toy, chunks=12_288, **asked)
    with dask.config.set(scheduler="threads", num_workers=6), count_traces() as traced:
        computed = found.cost.values
    assert len(traced) == 1
    np.testing.assert_array_equal(computed, rs.simulate(toy, **asked).cost.values)


def test_tasks_travel_to_other_processes(toy, eager):
    found = rs.simulate(toy, samples=40_000, chunks=4096)
    graph = dict(found.position.data.dask)
    [run] = [task for task in graph.values() if isinstance(task, lazy.LazyRun)]
    run(0)
    again = pickle.loads(pickle.dumps(run))
    assert again._kernel is None
    np.testing.assert_array_equal(again(2)["position"], eager.position.values[..., 8192:12_288])


@pytest.mark.parametrize(
    ("asked", "each"),
    [(1, 4096), (4096, 4096), (4097, 8192), (np.int64(65_536), 65_536), (10**9, 131_072)],
)
def test_chunks_are_rounded_up_to_whole_blocks_and_it_is_said(toy, asked, each):
    found = rs.simulate(toy, samples=100_000, chunks=asked)
    assert found.attrs["chunk_samples"] == each == found.chunksizes["sample"][0]
    assert found.attrs["chunk_samples_asked"] == asked
    assert sum(found.chunksizes["sample"]) == found.attrs["samples"] == 131_072


def test_small_replicates_make_small_blocks(toy):
    found = rs.simulate(toy, samples=1600, chunks=300)
    assert found.chunksizes["sample"] == (384,) * 5 + (128,), "three replicates of 128"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"chunks": 0}, "chunks is 0; accepted: how many samples"),
        ({"chunks": 4096.0}, "chunks is 4096.0; accepted"),
        ({"chunks": True}, "chunks is True; accepted"),
        ({"chunks": "auto"}, "chunks is 'auto'; accepted"),
        ({"chunks": 4096, "workers": 2}, "workers and progress belong to a run"),
        ({"chunks": 4096, "progress": print}, r"dask.diagnostics.ProgressBar"),
        ({"chunks": 4096, "given": xr.Dataset()}, "leave chunks out, or given"),
        ({"chunks": 4096, "samples": 0}, "samples is 0"),
        ({"chunks": 4096, "keep": ("frobnicate",)}, "keep is"),
        ({"chunks": 4096, "device": "tpu:7"}, "device is 'tpu:7'"),
        ({"chunks": 10**12, "samples": 10**12}, "make chunks smaller"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(toy, more, told):
    with count_traces() as traced, pytest.raises(rs.ArgumentError, match=told):
        rs.simulate(toy, **more)
    assert not traced


def test_without_dask_the_extra_is_named(toy, monkeypatch):
    monkeypatch.setitem(sys.modules, "dask.array", None)
    with pytest.raises(rs.ArgumentError, match=r"pip install 'riskshare\[dask\]'"):
        rs.simulate(toy, chunks=4096)


def test_results_that_are_not_finite_are_an_error_when_they_are_computed(toy):
    found = rs.simulate(toy, samples=40_000, chunks=4096, parameters={"lines.triage.price": 1e36})
    with pytest.raises(rs.NumericalError, match="too large for float32"):
        found.position.mean().compute()


LARGE = """
import json, sys
import riskshare as rs

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

toy = rs.load_case("msk-toy")
def lazy(samples):
    return rs.simulate(toy, samples=samples, chunks=65_536, keep=("position",))
lazy(2**19).position.mean("sample").values
before = peak()
large = lazy(2**23)
mean = large.position.mean("sample").values.ravel().tolist()
after = peak()
held = rs.simulate(toy, samples=2**23, keep=("position",))
print(json.dumps({"result": large.nbytes, "lazy": after - before, "held": peak() - after,
    "mean": mean, "wanted": held.position.mean("sample", dtype="float64").values.ravel().tolist(),
    "scale": float(abs(held.position).mean())}))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no peak memory is told here")
def test_a_mean_over_a_large_run_holds_a_few_chunks():
    answer = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found["held"] > 0.7 * found["result"], "the measure sees what is held"
    assert found["lazy"] < found["result"] / 5
    np.testing.assert_allclose(found["mean"], found["wanted"], atol=1e-4 * found["scale"])
