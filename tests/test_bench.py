"""What `riskshare bench` says: figures that fit together, errors that are right, counts by hand."""

import io
import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from rich.progress import Progress
from typer.testing import CliRunner

from riskshare.bench.accuracy import at_size, needed
from riskshare.bench.agreement import BEYOND, BOUND, differences
from riskshare.bench.effort import Account, full, quick
from riskshare.bench.kernel import BareKernel
from riskshare.bench.limits import Measured, account, together
from riskshare.bench.measure import devices_there, measure
from riskshare.bench.operations import Operations, operations
from riskshare.bench.problem import FACTORS, LINES, PROVIDERS
from riskshare.bench.record import write_record
from riskshare.bench.subject import case_named
from riskshare.cli import app
from riskshare.cli.progress import Rate, counting, telling
from riskshare.errors import ArgumentError, CaseError
from riskshare.report.bench import count, duration, print_bench
from riskshare.report.whole import screen

DOCS = Path(__file__).resolve().parents[1] / "docs" / "bench.md"
SAMPLES = 65_536


@pytest.fixture(scope="module")
def told() -> list[tuple[str, float, float | None]]:
    return []


@pytest.fixture(scope="module")
def record(told: list[tuple[str, float, float | None]]) -> dict[str, Any]:
    def tell(what: str, share: float, rate: float | None) -> None:
        told.append((what, share, rate))

    effort = replace(quick(SAMPLES), turns=2)
    return measure(["msk-toy"], device="cpu", effort=effort, command="a test", told=tell)


@pytest.fixture(scope="module")
def one(record: dict[str, Any]) -> dict[str, Any]:
    (found,) = record["measurements"]
    return found


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(_keys, value.values()))
    if isinstance(value, list):
        return set().union(*map(_keys, value))
    return set()


def test_every_key_is_documented(record: dict[str, Any]) -> None:
    documented = set(re.findall(r"`([a-z_]+)`", DOCS.read_text(encoding="utf-8")))
    packages = set(record["machine"]["versions"])

    assert _keys(record) - packages <= documented


def test_rates_are_samples_over_seconds(one: dict[str, Any]) -> None:
    speed = one["speed"]
    for way in ("kernel", "simulate", "estimate", "estimate_all"):
        at = speed[way]
        assert at["seconds"] == min(at["all_seconds"])
        assert len(at["all_seconds"]) == 2
        assert at["samples_per_second"] * at["seconds"] == pytest.approx(speed["samples"])
        of_kernel = at["samples_per_second"] / speed["kernel"]["samples_per_second"]
        assert at["share_of_kernel"] == pytest.approx(of_kernel)


def test_a_first_result_takes_imports_and_a_first_call(one: dict[str, Any]) -> None:
    first = one["start"]["first_process"]
    total = first["import_seconds"] + first["first_call_seconds"]

    assert first["first_result_seconds"] == pytest.approx(total)
    assert first["times_import_jax"] == pytest.approx(total / first["import_jax_seconds"])
    assert 0 < first["import_jax_seconds"] < first["import_seconds"]
    assert 0 < first["compile_seconds"] < first["first_call_seconds"]
    assert first["second_call_seconds"] < first["first_call_seconds"]
    assert one["start"]["second_process"] is None
    assert 0 < one["memory"]["import_mib"] < one["memory"]["simulate_mib"]


def test_every_statistic_has_an_error_and_a_target(one: dict[str, Any]) -> None:
    judged = one["accuracy"]
    names = [row["statistic"] for row in judged["statistics"]]
    assert names == [
        "mean", "standard deviation", "probability of a deficit", "5 % quantile", "TVaR 95 %",
        "0.5 % quantile",
    ]  # fmt: skip
    for row in judged["statistics"]:
        assert row["standard_error"] > 0
        assert row["samples"] > 0
        assert row["seconds"] > 0
        share = judged["target_share_of_standard_deviation"] * judged["standard_deviation"]
        chance = row["statistic"].startswith("probability")
        assert row["target"] == pytest.approx(judged["target_of_probability"] if chance else share)
        largest = row["runs"][-1]
        if row["how"] == "beyond runs":
            scale = (largest["standard_error"] / row["target"]) ** 2
            assert row["samples"] == pytest.approx(largest["samples"] * scale)


def test_independent_samples_are_those_of_the_binomial_and_the_normal(
    one: dict[str, Any],
) -> None:
    rows = {row["statistic"]: row for row in one["accuracy"]["statistics"]}
    chance = rows["probability of a deficit"]
    p = chance["value"]

    # (sd / sqrt(n)) / sd = 0.001 and sqrt(p (1 - p) / n) = 0.001; sd and p each from own samples
    assert rows["mean"]["independent_samples"] == pytest.approx(1e6, rel=0.02)
    wanted = p * (1 - p) / chance["target"] ** 2
    assert chance["independent_samples"] == pytest.approx(wanted, rel=0.02)


def test_limits_add_up(one: dict[str, Any]) -> None:
    limits = one["limits"]
    work = {row["kind"]: row for row in limits["work"]}
    for row in work.values():
        if row["per_sample"]:
            assert row["limit_per_second"] > 0
            at_limit = row["per_sample"] / row["limit_per_second"]
            assert row["seconds_at_limit"] == pytest.approx(at_limit)
        share = row["seconds_at_limit"] / limits["seconds_per_sample"]
        assert row["share_of_time"] == pytest.approx(share)
    at_limits = limits["computing_seconds"] + limits["moving_seconds"]
    assert at_limits == pytest.approx(sum(row["seconds_at_limit"] for row in work.values()))
    assert work[limits["binding_kind"]]["side"] == limits["binding"]
    assert limits["samples_per_second"] * limits["seconds_per_sample"] == pytest.approx(1)


def test_the_longer_of_computing_and_moving_binds() -> None:
    counted = Operations(10.0, 2.0, 0.0, 0.0, 1.0, 0.0, 40.0, 4.0, 8, 16, False)
    rates = {"arithmetic": 100.0, "exponentials": 10.0, "moved": 100.0, "memory": 1.0}

    # 0.1 of arithmetic, 0.3 of functions, one of them of another kind; 0.4 and 4 of bytes
    found = account(Measured(counted, rates, 8.0))
    assert found["computing_seconds"] == pytest.approx(0.4)
    assert found["moving_seconds"] == found["seconds_at_limits"] == pytest.approx(4.4)
    assert found["fraction_of_limits"] == pytest.approx(0.55)
    assert (found["binding"], found["binding_kind"]) == ("moving data", "memory")
    other = account(Measured(counted, rates | {"exponentials": 0.5}, 8.0))
    assert (other["binding"], other["binding_kind"]) == ("computing", "exponentials")
    assert other["seconds_at_limits"] == pytest.approx(6.1)


def test_a_machine_has_one_limit_for_all_cases() -> None:
    counted = Operations(10.0, 0.0, 0.0, 0.0, 0.0, 0.0, 40.0, 4.0, 0, 16, False)
    slow = Measured(counted, {"arithmetic": 1.0, "moved": 5.0}, 1.0)
    fast = Measured(counted, {"arithmetic": 2.0, "moved": 3.0}, 1.0)

    assert [one.rates for one in together([slow, fast])] == [
        {"arithmetic": 2.0, "moved": 5.0},
        {"arithmetic": 2.0, "moved": 3.0},  # in arrays of its own
    ]


def test_steps_are_told_in_order_to_the_end(
    record: dict[str, Any], told: list[tuple[str, float, float | None]]
) -> None:
    shares = [share for _, share, _ in told]

    assert record["measurements"]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert any("simulate" in what for what, _, _ in told)


def test_a_rate_counts_from_the_first_samples() -> None:
    seen: list[float | None] = []
    told = Account(lambda what, share, rate: seen.append(rate), 2.0)
    with told.step("a step", 1.0) as counted:
        counted(10, 30)
        counted(20, 30)

    assert seen[:2] == [None, None]
    assert seen[2] is not None
    assert seen[2] > 0


def test_json_holds_all_and_no_nan(record: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    write_record(path, record | {"unknown": math.nan, "endless": [math.inf]})
    found = json.loads(path.read_text(), parse_constant=pytest.fail)

    assert found["unknown"] is None
    assert found["endless"] == [None]
    speed = found["measurements"][0]["speed"]
    assert speed == record["measurements"][0]["speed"]


def test_the_table_shows_the_figures_in_132_columns(
    record: dict[str, Any], one: dict[str, Any]
) -> None:
    file = io.StringIO()
    print_bench(screen(file, 132), record | {"notes": ["no GPU here"]})
    text = file.getvalue()

    for way in ("kernel", "simulate", "estimate"):
        assert count(one["speed"][way]["samples_per_second"]) in text
    for row in one["accuracy"]["statistics"]:
        assert row["statistic"] in text
        assert duration(row["seconds"]) in text
    assert duration(one["limits"]["seconds_per_sample"]) in text
    assert "no GPU here" in text
    tables = [line for line in text.splitlines() if "─" in line]
    assert max(map(len, tables)) <= 132


def test_the_table_has_room_for_an_accelerator(record: dict[str, Any], one: dict[str, Any]) -> None:
    memory = one["memory"] | {"simulate_device_mib": 1024.0, "estimate_device_mib": 2048.0}
    other = one | {"device": "gpu:0", "memory": memory}
    values = xr.DataArray(np.arange(8.0).reshape(1, 8), dims=("partner", "sample"))
    agreed = {"case": "msk-toy", "devices": ["cpu", "gpu:0"], "samples": 8}
    agreed |= differences(values, values)
    file = io.StringIO()
    shown = record | {"measurements": [one, other], "agreement": [agreed]}
    print_bench(screen(file, 132), shown)

    assert "2,048" in file.getvalue()
    assert "cpu against gpu:0: pass" in file.getvalue()


def test_counts_and_times_have_three_digits() -> None:
    assert [count(n) for n in (12.0, 9_999.0, 65_536.0, 999_700.0, 4.52e6, 1.234e9)] == [
        "12", "9,999", "65.5 thousand", "1.00 million", "4.52 million", "1.23 billion",
    ]  # fmt: skip
    times = [duration(s) for s in (251e-9, 4.5e-6, 0.0123, 4.56, 126.0)]
    assert times == ["251 ns", "4.50 µs", "12.3 ms", "4.56 s", "126 s"]


@pytest.mark.parametrize("power", [0.5, 0.75, 1.5])
def test_samples_needed_of_a_power_law_are_exact(power: float) -> None:
    sizes = [2**16, 2**18, 2**20]
    errors = [size**-power for size in sizes]

    samples, how, slope = needed(sizes, errors, 200_000.0**-power)
    assert (samples, how) == (pytest.approx(200_000), "between runs")
    assert slope == pytest.approx(power)
    assert needed(sizes, errors, 1.0) == (2**16, "at most", 0.5)
    beyond, how, _ = needed(sizes, errors, errors[-1] / 10)
    assert (beyond, how) == (pytest.approx(100 * 2**20), "beyond runs")


def test_seconds_grow_with_samples_beyond_the_runs() -> None:
    sizes, seconds = [2**16, 2**20], [0.25, 1.0]

    assert at_size(sizes, seconds, 2**18) == pytest.approx(0.5)
    assert at_size(sizes, seconds, 2**22) == pytest.approx(4.0)


def test_operations_of_a_program_counted_by_hand() -> None:
    table = np.linspace(0.0, 1.0, 100, dtype=np.float32)

    @jax.jit
    def program(x: jax.Array, place: jax.Array) -> jax.Array:
        found = jnp.asarray(table).at[place].get(mode="promise_in_bounds")
        return jnp.exp(x) * jnp.log(x) + jnp.sqrt(found) + jnp.exp(2 * x)

    samples = 4096
    x = jnp.linspace(0.5, 1.5, samples)
    place = jnp.arange(samples, dtype=jnp.int32) % 100
    found = operations(program.lower(x, place).compile(), samples)

    # a product, a doubling, two sums; two exponentials; nothing is kept but the result
    assert (found.exponentials, found.logarithms, found.roots) == (2, 1, 1)
    assert found.functions == 4
    assert found.lookups == 1
    assert found.table == 100
    assert found.returned == 4
    assert 4 <= found.arithmetic <= 8  # places are held within bounds by comparisons too
    assert not found.looped


def test_operations_of_the_reference_problem_by_hand() -> None:
    found = BareKernel(case_named("reference"), 4096, "cpu").operations()
    scores = 2 * LINES + FACTORS
    # A score: two roots, seven steps of each of two polynomials, and about 16 more. A line: an
    # exponential, loadings on the factors (a multiply-add each) for both its scores, a polynomial
    # of degree 9 and its cube, about 40 in cost, bands and postings. Products over lines of who
    # delivers and who pays, for postings at the margin and for cost; the block's is the same for
    # every sample.
    by_hand = (
        scores * (2 * 7 * 2 + 16)
        + LINES * (2 * 2 * FACTORS + 2 * 9 + 2 + 40)
        + 2 * 2 * LINES * (PROVIDERS + 1)
    )

    assert not found.looped
    assert found.exponentials == LINES
    assert found.roots == 2 * scores
    assert found.functions == LINES + 2 * scores
    assert found.lookups == 0
    assert 1 / 2 <= found.arithmetic / by_hand <= 2
    assert found.returned == 4 * (PROVIDERS + 1)


def test_agreement_is_judged_in_standard_deviations() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(5.0, 2.0, (3, 65_536))
    one = xr.DataArray(values, dims=("partner", "sample"))

    assert differences(one, one)["passed"]
    assert differences(one, one)["largest_difference"] == 0
    near = differences(one, one + 0.5 * BOUND * 2.0)
    assert near["passed"]
    assert near["largest_difference"] == pytest.approx(0.5 * BOUND, rel=0.02)
    assert not differences(one, one + 2 * BOUND * 2.0)["passed"]
    few, many = one.copy(deep=True), one.copy(deep=True)
    few[0, :3] += 100.0  # a count fell on the other side: 3 of 196,608
    many[0, : int(3 * 65_536 * BEYOND * 2)] += 100.0
    assert differences(one, few)["passed"]
    assert not differences(one, many)["passed"]
    assert not differences(one, one * np.nan)["passed"]


def _bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "riskshare", "bench", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_device_that_is_not_there_is_refused_first() -> None:
    answer = _bench("no-such-case", "--device", "gpu:99")

    assert answer.returncode == 2
    assert answer.stdout == ""
    assert "--device" in answer.stderr
    assert "'gpu:99'" in answer.stderr
    assert "cpu:0" in answer.stderr


def test_without_a_gpu_the_rest_is_measured() -> None:
    platforms = {device.platform for device in jax.devices()}
    there = devices_there(None)

    assert there[0] == "cpu"
    assert (len(there) == 1) == (platforms == {"cpu"})


@pytest.mark.parametrize("samples", [0, -5, 10**13])
def test_samples_that_mean_nothing_are_refused(samples: int) -> None:
    with pytest.raises(ArgumentError, match="samples is"):
        measure(["msk-toy"], device="cpu", effort=quick(samples), command="")


def test_a_case_that_is_not_there_is_refused() -> None:
    with pytest.raises((ArgumentError, CaseError), match="no-such-case"):
        measure(["no-such-case"], device="cpu", effort=quick(), command="")


def test_a_file_that_cannot_be_written_is_refused_first(tmp_path: Path) -> None:
    answer = _bench("--json", tmp_path / "nowhere" / "bench.json")

    assert answer.returncode == 2
    assert "nowhere" in answer.stderr


def test_the_command_measures_prints_and_writes(
    record: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def measured(cases: list[str], **how: Any) -> dict[str, Any]:
        asked.append((cases, how["device"], how["effort"]))
        return record

    monkeypatch.setattr("riskshare.bench.measure.measure", measured)
    path = tmp_path / "bench.json"
    given = ["bench", "msk-toy", "--device", "cpu", "--quick", "--samples", "4096"]
    answer = CliRunner().invoke(app, [*given, "--json", str(path)])

    assert answer.exit_code == 0, answer.output
    assert asked == [(["reference", "msk-toy"], "cpu", quick(4096))]
    assert "time to a given error: msk-toy on cpu" in answer.output
    assert json.loads(path.read_text())["command"] == "a test"
    CliRunner().invoke(app, ["bench"])
    assert asked[1] == (["reference"], None, full())


def test_progress_shows_the_rate_once_it_is_known() -> None:
    now = [0.0]
    bar = Progress(get_time=lambda: now[0], disable=True)
    task = bar.add_task("simulating", total=3e6)
    (counted,) = bar.tasks
    shown = []
    for now[0], samples in ((9.0, 1e6), (9.5, 2e6), (10.0, 3e6)):  # 9 s to compile
        bar.update(task, completed=samples)
        shown.append(Rate().render(counted).plain)

    assert shown == ["", "2.00 million samples/s", "2.00 million samples/s"]
    bar.update(task, rate=None)
    assert Rate().render(counted).plain == ""
    bar.update(task, rate=1234.0)
    assert Rate().render(counted).plain == "1,234 samples/s"


def test_progress_is_silent_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with counting("simulating") as progress:
        progress(1, 2)
    with telling() as told:
        told("a step", 0.5, 1e6)

    assert capsys.readouterr() == ("", "")
