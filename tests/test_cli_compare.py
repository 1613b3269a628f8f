"""``riskshare compare`` as a person meets it: tables that fit, a file, one-line errors."""

import csv
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from typer.testing import CliRunner

import riskshare as rs
from riskshare.cli import app
from riskshare.report.comparison import print_comparison
from riskshare.report.whole import screen

NAMES = ("as agreed", "block", "activity", "blended", "capitated", "pooled")


def compare(*arguments: object) -> str:
    answer = CliRunner().invoke(app, ["compare", *map(str, arguments)], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


@pytest.fixture(scope="module")
def table():
    case = rs.load_case("msk-toy")
    return rs.compare({"as agreed": case, **rs.variants(case)}, samples=1024)


def test_the_versions_of_a_case_stand_in_a_table_for_each_partner() -> None:
    shown = compare("msk-toy", "--variants", "--samples", 1024)
    lines = shown.splitlines()

    for head in ("commissioner, £m", "acute, £m", "community, £m", "system, £m"):
        at = next(i for i, line in enumerate(lines) if line.startswith(head))
        assert [line.split("  ")[0].strip() for line in lines[at + 2 : at + 8]] == list(NAMES)
    assert max(map(len, lines)) <= 100
    assert "The reference is: as agreed" in shown
    for word in ("safer", "riskier", "verdict", "TVaR 95", "gains", "±"):
        assert word in shown


def test_two_files_are_compared_and_written_down(tmp_path: Path) -> None:
    mild = rs.load_case("msk-toy").with_numbers(
        {"msk.pool.share[acute]": 0.3} | {"msk.pool.share[commissioner]": 0.45}
    )
    rs.save_case(mild, tmp_path / "mild.toml")
    out = tmp_path / "out"
    shown = compare(
        "msk-toy", tmp_path / "mild.toml", "--against", "msk-toy", "--samples", 1024, "--seed", 3,
        "--out", out,
    )  # fmt: skip

    assert str(tmp_path / "mild.toml") in shown  # both are called msk-toy
    with (out / "comparison.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == {
        "contract", "partner", "year", "statistic", "level", "value", "standard_error",
    }  # fmt: skip
    told = {row["statistic"] for row in rows}
    assert {"position_mean", "difference_tail_value_at_risk", "dominance", "gain_quantile"} <= told
    words = {row["value"] for row in rows if row["statistic"] == "dominance"}
    assert words <= {"same", "first", "second", "none", "dominated-second", "dominated-first"}
    wanted = {"contract": str(tmp_path / "mild.toml"), "partner": "acute", "year": "all"}
    mean = [row for row in rows if row["statistic"] == "difference_mean"]
    found = next(row for row in mean if all(row[k] == v for k, v in wanted.items()))
    both = rs.compare({"a": rs.load_case("msk-toy"), "b": mild}, samples=1024, seed=3)
    assert float(found["value"]) == float(
        both.difference_mean.sel(contract="b", partner="acute", year="all")
    )


@pytest.mark.parametrize("width", [80, 100])
def test_the_tables_fit_the_screen_and_no_number_is_cut(table, width: int) -> None:
    text = StringIO()
    print_comparison(screen(text, width), table)
    lines = text.getvalue().splitlines()

    assert max(map(len, lines)) <= width
    assert "…" not in text.getvalue()
    for row in (line for line in lines if line.startswith("blended")):
        assert len(row.split()) >= 7


def test_a_single_year_and_present_values_are_shown(tmp_path: Path) -> None:
    mild = rs.load_case("mid-nottinghamshire-msk").with_numbers(
        {"msk.marginal-rate.rate[outpatients]": 0.2}
    )
    rs.save_case(mild, tmp_path / "mild.toml")
    shown = compare(
        "mid-nottinghamshire-msk", tmp_path / "mild.toml", "--samples", 256,
        "--discount-rate", 0.035, "--year", "2018/19",
    )  # fmt: skip

    assert "2018/19" in shown
    assert "discounted at 3.5 %" in " ".join(shown.split())


def test_what_differs_besides_the_contracts_is_said(tmp_path: Path) -> None:
    toy = rs.load_case("msk-toy")
    rs.save_case(
        toy.with_numbers({"lines.outpatients.baseline": 41_000.0}), tmp_path / "larger.toml"
    )
    shown = compare("msk-toy", tmp_path / "larger.toml", "--samples", 256)

    assert "not the same system: lines.outpatients.baseline differ" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("msk-toy",), "at least two, or one with --variants"),
        (("msk-toy", "msk-toy"), "each case once"),
        (("msk-toy", "mid-nottinghamshire-msk"), "years of"),
        (("msk-toy", "--variants", "--against", "blok"), "accepted: one of as agreed, block"),
        (("msk-toy", "--variants", "--year", "1999"), "2018/19, all"),
        (("msk-toy", "dorset-block", "--host", "acute"), "give --variants too"),
        (("msk-toy", "dorset-block", "--variants"), "one case"),
        (("shared-savings-aco", "--variants"), "--host aco"),
    ],
)
def test_bad_input_is_said_before_anything_is_run(arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(rs.ArgumentError, match=told):
        CliRunner().invoke(app, ["compare", *arguments], catch_exceptions=False)


def test_the_command_ends_with_a_line_and_status_2() -> None:
    command = [sys.executable, "-m", "riskshare", "compare", "msk-toy", "--variants"]
    answer = subprocess.run(
        [*command, "--marginal-rate", "50"], capture_output=True, text=True, check=False
    )

    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr
    assert "is 0.5 meant" in answer.stderr
