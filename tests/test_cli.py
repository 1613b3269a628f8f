"""The command line as a person meets it: tables, files, one-line errors, exit status 2."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr

import riskshare as rs
from riskshare.files.results import write_summary

ACTUALS = """line,year,activity
outpatients,2018/19,32000
inpatients,2018/19,2700
triage,2018/19,13000
"""


def _riskshare(*arguments: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "riskshare", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


@pytest.fixture
def actuals(tmp_path: Path) -> Path:
    path = tmp_path / "actuals.csv"
    path.write_text(ACTUALS)
    return path


def test_a_run_that_does_not_fit_says_what_to_do_on_the_command_line() -> None:
    answer = _riskshare("run", "msk-toy", "--samples", 10**11)

    assert answer.returncode == 2
    assert "of memory" in answer.stderr
    assert "riskshare estimate" in answer.stderr
    assert "keep=" not in answer.stderr


def test_cases_prints_a_name_first_on_each_line() -> None:
    answer = _riskshare("cases")
    names = [line.split()[0] for line in answer.stdout.splitlines()]

    assert answer.returncode == 0
    assert {"msk-toy", "mid-nottinghamshire-msk"} <= set(names)


def test_run_prints_each_partner_and_what_is_assumed() -> None:
    answer = _riskshare("run", "mid-nottinghamshire-msk", "--samples", 4096, "--seed", 2)

    assert answer.returncode == 0, answer.stderr
    for word in ("acute", "community", "commissioner", "system", "P(deficit)", "all years", "±"):
        assert word in answer.stdout
    assert "never published" in answer.stdout
    assert "msk.marginal-rate.rate" in answer.stdout
    assert "£" in answer.stdout


def test_run_writes_outcomes_and_summary(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    answer = _riskshare("run", "msk-toy", "--samples", 1024, "--out", folder)

    assert answer.returncode == 0, answer.stderr
    with xr.open_dataset(folder / "outcomes.nc", engine="h5netcdf") as outcomes:
        assert outcomes.sizes["sample"] == 1024
        assert float(abs(outcomes.posting.sum("partner")).max()) < 20.0
    rows = (folder / "summary.csv").read_text().splitlines()
    assert rows[0] == "of,name,partner,year,statistic,level,value,standard_error"
    assert any(",position_mean," in row for row in rows)
    assert sorted(path.name for path in folder.iterdir()) == ["outcomes.nc", "summary.csv"]


def test_no_figure_of_the_summary_loses_its_name(tmp_path: Path) -> None:
    """Each row says what it is of: no two have the same labels, and none is left out."""
    case = rs.load_case("msk-toy")
    table = rs.summarise(rs.simulate(case, samples=64))
    path = write_summary(tmp_path, table)
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    labels = [
        tuple(v for k, v in row.items() if k not in ("value", "standard_error")) for row in rows
    ]

    assert len(set(labels)) == len(rows)
    named = [name for name in table.data_vars if f"{name}_error" in table]
    assert len(rows) == sum(table[name].size for name in named)
    released = {
        row["name"]: float(row["value"])
        for row in rows
        if row["statistic"] == "saving_released_mean" and row["year"] == "all"
    }
    assert set(released) == {change.name for change in case.changes}
    for name, value in released.items():
        assert value == float(table.saving_released_mean.sel(change=name, year="all"))


def test_settle_prints_the_toy_case_to_the_penny(actuals: Path, tmp_path: Path) -> None:
    answer = _riskshare("settle", "msk-toy", actuals, "--out", tmp_path / "out")

    assert answer.returncode == 0, answer.stderr
    for amount in ("-168,000.00", "67,200.00", "42,000.00", "-244,800.00", "178,800.00"):
        assert amount in answer.stdout
    assert (tmp_path / "out" / "closing.csv").exists()
    assert "msk.pool,acute,67200.0" in (tmp_path / "out" / "postings.csv").read_text()


def test_the_full_account_states_the_toy_case_line_by_line(actuals: Path, tmp_path: Path) -> None:
    answer = _riskshare("settle", "msk-toy", actuals, "--statement", "--out", tmp_path / "out")
    lines = [line.split() for line in answer.stdout.splitlines()]

    assert answer.returncode == 0, answer.stderr
    for shown in (
        "budget 16,680,000.00",
        "below target: part in this band 600,000.00 0.00 40 % -240,000.00",
        "outlay of the holder: msk.marginal-rate -168,000.00",
        "spend 16,512,000.00",
        "result: budget less spend 168,000.00",
        "acute commissioner inpatients 240,000.00",
        "commissioner acute 40 % 67,200.00",
        "commissioner community 25 % 42,000.00",
        "commissioner (keeps its own) 35 % 58,800.00",
        "position 178,800.00 -244,800.00 42,000.00 -16,800,000.00",
    ):
        assert shown.split() in lines, shown
    written = (tmp_path / "out" / "statement.csv").read_text().splitlines()
    assert written[0].startswith("year,section,term,part,step,")
    assert any(",msk.pool,,receives," in row and row.endswith(",67200.00") for row in written)


def test_the_full_account_marks_what_was_filled_from_plan(actuals: Path) -> None:
    actuals.write_text("line,year,activity\noutpatients,2018/19,32000\n")
    answer = _riskshare("settle", "msk-toy", actuals, "--missing", "plan", "--statement")

    assert answer.returncode == 0, answer.stderr
    assert "2,850†" in answer.stdout
    assert "activity[inpatients, 2018/19], activity[triage, 2018/19]" in answer.stdout


def test_settle_names_every_cell_filled_from_plan(actuals: Path) -> None:
    actuals.write_text("line,year,activity\noutpatients,2018/19,32000\n")
    refused = _riskshare("settle", "msk-toy", actuals)
    filled = _riskshare("settle", "msk-toy", actuals, "--missing", "plan")

    assert refused.returncode == 2
    assert "activity[inpatients, 2018/19]" in refused.stderr
    assert "activity[triage, 2018/19]" in refused.stderr
    assert filled.returncode == 0
    assert "activity[inpatients, 2018/19], activity[triage, 2018/19]" in filled.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("run", "msk-toi"), "msk-toy"),
        (("run", "missing.toml"), "missing.toml"),
        (("run", "msk-toy", "--samples", "0"), "at least 1"),
        (("run", "msk-toy", "--sampler", "dice"), "pseudo-random"),
        (("run", "msk-toy", "--seed", "-1"), "seed"),
        (("settle", "msk-toy", "nothing.csv"), "nothing.csv"),
        (("frobnicate",), "frobnicate"),
    ],
)
def test_bad_input_is_a_line_and_status_2(arguments: tuple[str, ...], told: str) -> None:
    answer = _riskshare(*arguments)

    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr
    assert told in answer.stderr


def test_help_does_not_import_the_heavy_libraries() -> None:
    code = (
        "import sys; sys.argv = ['riskshare', '--help']\n"
        "from riskshare.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert not {'jax', 'xarray', 'scipy', 'numpy'} & set(sys.modules), 'heavy'"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert answer.returncode == 0, answer.stderr


def test_a_run_does_not_import_scipy_stats() -> None:
    code = (
        "import sys, riskshare as rs\n"
        "rs.simulate(rs.load_case('msk-toy'), samples=64)\n"
        "assert 'scipy.stats' not in sys.modules"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("width", [80, 100, 160])
def test_no_number_is_cut_on_a_narrow_screen(width: int, actuals: Path) -> None:
    # found on a real terminal of 80 columns, where rich cut every number to its first digit
    from io import StringIO

    import riskshare as rs
    from riskshare.report.distribution import print_distribution
    from riskshare.report.statement import print_statement
    from riskshare.report.whole import screen

    text = StringIO()
    console = screen(text, width)
    case = rs.load_case("mid-nottinghamshire-msk")
    table = rs.summarise(rs.simulate(case, samples=1024))
    print_distribution(console, case, table)
    toy = rs.load_case("msk-toy")
    print_statement(console, toy, rs.settle(toy, rs.read_actuals(toy, actuals)))
    shown = text.getvalue()

    assert "…" not in shown
    for part in ("-15,780,000.00", "11,580,000.00", "msk.stranded-support", "P(deficit)"):
        assert part in shown


def test_errors_of_a_settlement_name_the_file_and_the_option(actuals: Path) -> None:
    actuals.write_text("line,year,activity\noutpatients,2018/19,32000\n")
    answer = _riskshare("settle", "msk-toy", actuals)

    assert answer.returncode == 2
    for line in answer.stderr.splitlines():
        assert line.startswith(f"{actuals}: activity[")
        assert "--missing plan" in line


def test_the_statement_splits_an_influence_pool_by_driver(tmp_path: Path) -> None:
    actuals, drivers = tmp_path / "actuals.csv", tmp_path / "drivers.csv"
    actuals.write_text(
        "line,year,activity\noutpatients,2017/18,45500\ninpatients,2017/18,1120\ntriage,2017/18,5200\n"
    )
    drivers.write_text(
        "variable,name,year,value\n"
        "driver_index,demand,2017/18,1.01\n"
        "driver_index,case-mix,2017/18,1.02\n"
        "driver_index,delivery[triage-instead-of-outpatients],2017/18,0.80\n"
        "driver_index,delivery[fewer-operations],2017/18,2.00\n"
    )
    answer = _riskshare("settle", "mid-nottinghamshire-msk", actuals, "--drivers", drivers)

    assert answer.returncode == 0, answer.stderr
    # found by looking: brackets in a name were taken for markup and vanished
    assert "delivery[triage-instead-of-outpatients]" in answer.stdout
    assert "delivery[fewer-operations]" in answer.stdout
    assert "a budget of 11,040,000.00" in answer.stdout
    full = _riskshare(
        "settle", "mid-nottinghamshire-msk", actuals, "--drivers", drivers, "--statement"
    )
    assert full.returncode == 0, full.stderr
    assert "borne by" in full.stdout
    # demand is the commissioner's to 0.40 + 0.60 x 0.55, and it has 0.60 by the residual key
    assert "commissioner 73 %, acute 19.25 %, community 7.75 %" in full.stdout
