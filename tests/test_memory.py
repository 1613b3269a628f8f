"""Memory: what is available, what a result needs, and a refusal before any work."""

import os
import pickle
import sys
from pathlib import Path

import pytest
import xarray as xr
from builders import case, line

import riskshare as rs
from riskshare.bind import bind
from riskshare.errors import TooLargeError
from riskshare.program.block import count_traces
from riskshare.run import memory

GROUPS = Path("/sys/fs/cgroup")


@pytest.fixture
def machine(monkeypatch):
    """A machine with the files one says, and no others."""

    def made(files):
        told = {Path(path): text.splitlines() for path, text in files.items()}
        monkeypatch.setattr(memory, "_lines", lambda path: told.get(path, []))

    return made


@pytest.fixture(scope="module")
def toy():
    return rs.load_case("msk-toy")


def there(monkeypatch, amount):
    monkeypatch.setattr(memory, "available_memory", lambda: amount)


def test_there_is_some_memory_and_no_more_than_the_machine_has():
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < memory.available_memory() <= whole


def test_the_machine_says_what_is_available(machine):
    machine({"/proc/meminfo": "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable:    700 kB"})
    assert memory.available_memory() == 700 * 1024


def test_a_control_group_of_version_2_and_those_around_it_have_limits(machine):
    outer, inner = GROUPS / "job", GROUPS / "job" / "step"
    files = {
        "/proc/meminfo": "MemAvailable: 900000 kB",
        "/proc/self/cgroup": "0::/job/step",
        inner / "memory.max": "max",
        inner / "memory.current": "5000",
        outer / "memory.max": "100000",
        outer / "memory.current": "60000",
        outer / "memory.stat": "anon 1\ninactive_file 10000\nactive_file 7",
    }
    machine(files)
    assert memory.available_memory() == 100_000 - 60_000 + 10_000
    machine(files | {inner / "memory.max": "20000"})
    assert memory.available_memory() == 20_000 - 5000


def test_a_control_group_of_version_1_has_a_limit(machine):
    group = GROUPS / "memory" / "job"
    machine(
        {
            "/proc/meminfo": "MemAvailable: 900000 kB",
            "/proc/self/cgroup": "5:cpu,cpuacct:/job\n4:memory:/job\n0::/",
            group / "memory.limit_in_bytes": "50000",
            group / "memory.usage_in_bytes": "30000",
            group / "memory.stat": "cache 4\ntotal_inactive_file 2000",
        }
    )
    assert memory.available_memory() == 22_000


def test_a_container_sees_its_own_group_as_the_root(machine):
    machine(
        {
            "/proc/self/cgroup": "0::/somewhere/else",
            GROUPS / "memory.max": "80000",
            GROUPS / "memory.current": "90000",
        }
    )
    assert memory.available_memory() == 0, "never less than nothing"


def test_elsewhere_all_memory_counts_and_nothing_is_refused_where_none_is_known(
    machine, monkeypatch
):
    machine({})
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 10, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert memory.available_memory() == 40_960
    monkeypatch.delattr(os, "sysconf")
    assert memory.available_memory() is None
    memory.refuse_too_large(sys.maxsize, "results", "have less")


def test_a_refusal_names_what_is_needed_what_there_is_and_the_remedy(monkeypatch):
    there(monkeypatch, 8_120_000_000)
    memory.refuse_too_large(8_120_000_000, "results", "have less")
    with pytest.raises(rs.ArgumentError) as told:
        memory.refuse_too_large(2_500_000_000_000, "results", "have less")
    assert str(told.value) == (
        "results need 2.5 TB of memory, and 8.12 GB are available; have less"
    )


@pytest.mark.parametrize("keep", [None, ("position",), ("posting", "line_cost")])
def test_what_outcomes_need_is_what_they_hold_and_postings_once_more(toy, keep):
    found = rs.simulate(toy, samples=4096, keep=keep)
    names = tuple(name for name in found.data_vars if name != "replicate")
    needed = memory.outcome_bytes(bind(toy), names, 4096, "float32")
    again = found.posting.nbytes if "posting" in found else 0
    assert needed == sum(array.nbytes for array in found.data_vars.values()) + again


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_what_draws_need_is_at_least_what_they_hold_and_not_three_times_that(precision):
    noise = rs.Noise(law="gamma", cv=0.1)
    limited = line(noise=noise, capacity=rs.Capacity(units=10_100.0, waiting=300.0))
    of = case([limited, line("free", baseline=500)], count=2)
    found = rs.draw(of, samples=4096, precision=precision)
    held = sum(array.nbytes for array in found.data_vars.values())
    assert held <= memory.draw_bytes(bind(of), 4096, precision) < 3 * held


def test_a_run_is_refused_at_one_byte_too_few_and_before_any_work(toy, monkeypatch):
    needed = memory.outcome_bytes(bind(toy), ("position",), 4096, "float32")
    there(monkeypatch, needed)
    rs.simulate(toy, samples=4096, keep=("position",))
    there(monkeypatch, needed - 1)
    with (
        count_traces() as traced,
        pytest.raises(rs.ArgumentError, match=r"4,096 samples need .*keep=.*estimate.*chunks="),
    ):
        rs.simulate(toy, samples=4096, keep=("position",))
    assert not traced


def test_many_sets_of_numbers_are_held_and_then_joined(toy, monkeypatch):
    needed = memory.outcome_bytes(bind(toy), ("position",), 4096, "float32")
    moved = xr.DataArray([0.0, 1.0, 2.0], dims="contract")
    asked = {"keep": ("position",), "parameters": {"partners.commissioner.target": moved}}
    there(monkeypatch, 6 * needed)
    assert rs.simulate(toy, samples=4096, **asked).sizes["contract"] == 3
    there(monkeypatch, 6 * needed - 1)
    with pytest.raises(rs.ArgumentError, match="memory"):
        rs.simulate(toy, samples=4096, **asked)


def test_more_than_any_machine_has_is_refused(toy):
    with count_traces() as traced:
        with pytest.raises(rs.ArgumentError, match="TB of memory"):
            rs.simulate(toy, samples=10**12)
        with pytest.raises(rs.ArgumentError, match=r"draws of .* need .*draw fewer samples"):
            rs.draw(toy, samples=10**12)
    assert not traced


def test_a_refusal_passes_from_one_process_to_another():
    error = pickle.loads(pickle.dumps(TooLargeError("outcomes need 2 GB", "take fewer")))
    assert str(error) == "outcomes need 2 GB; take fewer"
