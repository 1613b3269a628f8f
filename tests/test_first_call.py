"""The first call: what it imports, and kernels read back from JAX's compilation cache."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import riskshare as rs
from benchmarks import first_call
from riskshare.run import cache

SETTINGS = (
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)
APART = (*(name.upper() for name in SETTINGS), cache.FOLDER_VARIABLE)

RUN = """
import hashlib, json, sys
import jax
import riskshare as rs

rs.simulate, rs.load_case
before = jax.config.jax_compilation_cache_dir
folder, numbers = sys.argv[1], json.loads(sys.argv[2])
found = rs.use_compilation_cache(folder)
hits = []
jax.monitoring.register_event_listener(
    lambda name, **more: hits.append(name) if name.endswith("cache_hits") else None)
case = rs.load_case("msk-toy")
def digest(case):
    positions = rs.simulate(case, samples=64, keep=("position",)).position
    return hashlib.sha256(positions.values.tobytes()).hexdigest()
other = digest(case.with_numbers(numbers))
once = len(hits)
print(json.dumps({"before": before, "folder": str(found), "once": once, "hits": len(hits),
    "other": other, "own": digest(case), "modules": sorted(sys.modules)}))
"""


def process(*command, **environment):
    """Run a fresh process that knows no cache but what it is told."""
    kept = {name: value for name, value in os.environ.items() if name not in APART}
    answer = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        check=False,
        env=kept | environment,
    )
    assert answer.returncode == 0, answer.stderr
    return answer


def files(folder):
    return sorted(path.name for path in Path(folder).rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two processes, one after the other, with other numbers and another order of sets."""
    folder = str(tmp_path_factory.mktemp("kernels"))
    prices = ({"lines.triage.price": 40.0}, {"lines.triage.price": 60.0})
    found = []
    for seed, numbers in enumerate(prices):
        answer = process("-c", RUN, folder, json.dumps(numbers), PYTHONHASHSEED=str(seed + 1))
        assert not answer.stderr, "a kernel read back has nothing to complain of"
        found.append(json.loads(answer.stdout) | {"files": files(folder)})
    return found


def test_a_second_process_reads_the_kernel_back_whatever_the_numbers(runs):
    first, second = runs
    assert first["before"] is None, "importing riskshare leaves JAX's cache as it is"
    assert not first["hits"]
    assert [name for name in first["files"] if name.startswith("jit_sample_blocks")]
    assert second["once"] == 1, "the first kernel of the process, with numbers of its own"
    assert second["files"] == first["files"], "the key is the same, and nothing else is kept"


def test_a_kernel_read_back_gives_the_same_bits(runs):
    first, second = runs
    assert first["own"] == second["own"]
    assert first["other"] != second["other"]


def test_a_run_imports_nothing_that_it_does_not_need(runs):
    needless = {
        *("scipy.stats", "scipy.optimize", "scipy.integrate", "scipy.interpolate", "matplotlib"),
        *("h5netcdf", "h5py", "tomlkit", "typer", "rich", "hypothesis", "beartype", "numba"),
        *("riskshare.analysis", "riskshare.fitting", "riskshare.report", "riskshare.cli"),
    }
    assert not needless & set(runs[0]["modules"])


def test_the_command_line_keeps_its_kernels(tmp_path):
    arguments = ("-m", "riskshare", "run", "msk-toy", "--samples", "64")
    process(*arguments, RISKSHARE_CACHE=str(tmp_path / "kernels"))
    assert [name for name in files(tmp_path) if name.startswith("jit_sample_blocks")]


@pytest.fixture
def settings():
    """JAX's settings of the cache, put back afterwards."""
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    jax.config.update("jax_compilation_cache_dir", None)
    yield lambda: {name: getattr(jax.config, name) for name in SETTINGS}
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture
def world(monkeypatch, tmp_path):
    """An environment of one's own, in which nobody has said anything of caches."""
    own = {"HOME": str(tmp_path / "home"), "PATH": ""}
    monkeypatch.setattr(os, "environ", own)
    return own


def test_a_folder_is_used_as_it_is_said(settings, world, tmp_path):
    assert rs.use_compilation_cache(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert settings() == dict(zip(SETTINGS, (str(tmp_path / "a" / "b"), 0.1, -1), strict=True))


def test_a_cache_that_is_set_already_is_left_alone(settings, world, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "theirs"))
    before = settings()
    assert rs.use_compilation_cache() == tmp_path / "theirs"
    assert settings() == before
    cache.offer_compilation_cache()
    assert settings() == before
    assert not list(tmp_path.iterdir())


def test_thresholds_that_a_user_has_set_stand(settings, world, tmp_path):
    world["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "7"
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 7.0)
    rs.use_compilation_cache(tmp_path)
    assert settings()["jax_persistent_cache_min_compile_time_secs"] == 7.0


def test_a_folder_that_cannot_be_written_is_no_cache_and_no_error(settings, world, tmp_path):
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    before = settings()
    assert rs.use_compilation_cache(tmp_path / "file" / "kernels") is None
    world[cache.FOLDER_VARIABLE] = str(tmp_path / "file")
    assert rs.use_compilation_cache() is None
    cache.offer_compilation_cache()
    assert settings() == before
    assert "JAX_COMPILATION_CACHE_DIR" not in world


@pytest.mark.parametrize("said", ["off", "OFF", "", " "])
def test_it_can_be_switched_off(settings, world, said, tmp_path):
    world[cache.FOLDER_VARIABLE] = said
    before = settings()
    assert rs.use_compilation_cache() is None
    assert settings() == before
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("platform", "said", "folder"),
    [
        ("linux", {}, "home/.cache/riskshare"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "home/.cache/riskshare"),
        ("linux", {"XDG_CACHE_HOME": "{}/xdg"}, "xdg/riskshare"),
        ("darwin", {"XDG_CACHE_HOME": "{}/xdg"}, "home/Library/Caches/riskshare"),
        ("win32", {"LOCALAPPDATA": "{}/local"}, "local/riskshare"),
    ],
)
def test_the_folder_is_the_platform_s(monkeypatch, world, tmp_path, platform, said, folder):
    monkeypatch.setattr(sys, "platform", platform)
    world.update({name: value.format(tmp_path) for name, value in said.items()})
    found = cache.default_folder()
    assert found is not None
    assert found.parent == tmp_path / folder
    assert found == cache.default_folder(), "one name for one kind of processor"
    world[cache.FOLDER_VARIABLE] = str(tmp_path / "mine")
    assert cache.default_folder() == tmp_path / "mine"


def test_the_command_line_tells_jax_without_importing_it(monkeypatch, world, tmp_path):
    monkeypatch.delitem(sys.modules, "jax")
    world[cache.FOLDER_VARIABLE] = str(tmp_path / "kernels")
    cache.offer_compilation_cache()
    assert world["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path / "kernels")
    assert world["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] == "0.1"
    assert world["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] == "-1"
    world["JAX_COMPILATION_CACHE_DIR"] = "theirs"
    cache.offer_compilation_cache()
    assert world["JAX_COMPILATION_CACHE_DIR"] == "theirs"


def test_the_benchmark_judges_by_multiples_of_importing_jax():
    stages = {"import jax": 1.0, "simulate": 2.5, "summarise": 0.6, "once more": 9.0}
    told = first_call.table("toy", 1.0, stages, stages | {"simulate": 1.0}).splitlines()
    assert "3.50 s  3.50 x within" in told[2]
    assert "2.00 s  2.00 x within" in told[2]
    assert "4.10 s  4.10 x  ABOVE" in told[3]
    assert "2.60 s  2.60 x within" in told[3]


@pytest.mark.slow
def test_the_benchmark_measures_processes(tmp_path):
    alone, first, second = first_call.measure("msk-toy", 4096, 1, first_call.OPTIONAL, tmp_path)
    assert 0 < alone < first_call.simulated(first)
    assert second["simulate"] < first["simulate"], "what is read back is not compiled"
