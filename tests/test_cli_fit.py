"""``riskshare fit`` as a person meets it, and its lines in a case that is run."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import riskshare as rs
from riskshare import fitting
from riskshare.cli import app

LINE = """
[lines.extra]
deliverer = "acute"
payer = "commissioner"
baseline = 2_000
unit_cost = 1_000.0
price = 1_000.0
"""


def _riskshare(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["fit", *map(str, arguments)])


def _cases(text: str, tmp_path: Path) -> rs.Case:
    """Return the toy case with one more line and what was pasted for it."""
    toy = (Path(rs.__file__).parent / "cases" / "msk-toy.toml").read_text(encoding="utf-8")
    path = tmp_path / "pasted.toml"
    path.write_text(f"{toy}\n{LINE}\n{text}", encoding="utf-8")
    return rs.load_case(path)


@pytest.fixture
def amounts(tmp_path: Path) -> Path:
    """Amounts as a spreadsheet writes them, of two hospitals, with some zeros."""
    rng = np.random.default_rng(1)
    rows = [
        f'"{amount:,.2f}",{"north" if i % 2 else "south"}'
        for i, amount in enumerate(rng.lognormal(7, 1.0, 400))
    ]
    path = tmp_path / "claims.csv"
    path.write_text("\n".join(["amount,hospital", *rows, "0,north", "0,south"]) + "\n")
    return path


@pytest.fixture
def months(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    stamps = np.arange("2016-04", "2019-04", dtype="datetime64[M]")
    rows = [
        f"{month}-01,T{trust:02d},{rng.poisson(9000 * rng.gamma(2000, 1 / 2000) * level)}"
        for trust in range(12)
        for level, year in zip(np.exp(rng.normal(0, 0.03, 3)), range(3), strict=True)
        for month in stamps[12 * year : 12 * year + 12]
    ]
    path = tmp_path / "activity.csv"
    path.write_text("\n".join(["period,org_code,attendances", *rows]) + "\n")
    return path


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    members = rng.integers(500, 2000, 80)
    found = rng.poisson(members * 0.05 * rng.gamma(1 / 0.2, 0.2, 80))
    path = tmp_path / "counts.csv"
    rows = [f'{n},"{m:,}"' for n, m in zip(found, members, strict=True)]
    path.write_text("\n".join(["claims,members", *rows]) + "\n")
    return path


def test_amounts_are_compared_and_the_best_is_written(amounts: Path, tmp_path: Path) -> None:
    out = tmp_path / "law.toml"
    answer = _riskshare(amounts, "--name", "surgery", "--output", out, "--p-values", 20)

    assert answer.exit_code == 0, answer.exception
    lines = answer.stdout.splitlines()
    assert all(word in lines[0] for word in ("parameters ± standard errors", "AIC", "KS", "AD"))
    assert lines[2].startswith("lognormal")
    for law in ("gamma", "weibull", "pareto", "generalised-pareto", "generalised-gamma"):
        assert any(line.startswith(law) for line in lines), law
    assert "share of zeros 0.50% ± 0.35%" in answer.stdout
    assert "bootstrap p-values" in answer.stdout
    assert out.read_text(encoding="utf-8").strip() in answer.stdout
    read = tomllib.loads(out.read_text(encoding="utf-8"))
    assert read["lines"]["surgery"]["people"]["law"]["kind"] == "lognormal"


def test_json_holds_the_numbers_of_the_fit(amounts: Path) -> None:
    answer = _riskshare(amounts, "--json", "--kinds", "gamma, lognormal", "--by", "hospital")

    assert answer.exit_code == 0, answer.exception
    found = json.loads(answer.stdout)["fits"]
    assert [one["name"] for one in found] == ["south", "north"]
    table = fitting.fit_severity(
        np.random.default_rng(1).lognormal(7, 1.0, 400).round(2)[::2], ("gamma", "lognormal")
    )
    best = found[0]["laws"][0]
    assert best["law"] == "lognormal"
    assert best["aic"] == pytest.approx(table.best.criteria.aic)
    mean = table.best.of("mean")
    assert best["parameters"]["mean"] == pytest.approx([mean.value, mean.standard_error])
    assert found[0]["zeros"]["value"] == pytest.approx(1 / 201)


def test_limits_and_thresholds_reach_the_fit(amounts: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.csv"
    drawn = np.random.default_rng(4).lognormal(7, 1.0, 600).round(2)
    kept = np.minimum(drawn[drawn > 400], 6000.0)
    path.write_text("\n".join(["paid", *map(str, kept)]) + "\n")
    answer = _riskshare(
        path, "--truncated-below", 400, "--censored-above", 6000, "--threshold", 2500,
        "--kinds", "lognormal", "--json",
    )  # fmt: skip

    assert answer.exit_code == 0, answer.exception
    laws = {law["law"]: law for law in json.loads(answer.stdout)["fits"][0]["laws"]}
    table = fitting.fit_severity(
        kept, "lognormal", truncated_below=400.0, censored_above=6000.0, threshold=2500.0
    )
    for kind in ("lognormal", "spliced-lognormal"):
        assert laws[kind]["aic"] == pytest.approx(table.of(kind).criteria.aic)


def test_months_are_known_by_their_column(months: Path) -> None:
    answer = _riskshare(months, "--by", "org_code", "--json")

    assert answer.exit_code == 0, answer.exception
    found = json.loads(answer.stdout)["fits"]
    assert len(found) == 12
    rows = [row.split(",") for row in months.read_text().splitlines()[1:37]]
    fit = fitting.fit_activity([float(row[2]) for row in rows], [row[0][:7] for row in rows])
    assert found[0]["name"] == "T00"
    assert found[0]["trend a year"]["value"] == pytest.approx(fit.trend)
    whole = _riskshare(months)
    assert (
        "396 rows were added to another of the same month; --by org_code fits each" in whole.stdout
    )
    assert "trend a year" in whole.stdout
    assert "[lines.attendances.noise]" in whole.stdout


def test_annual_level_of_a_panel(months: Path) -> None:
    answer = _riskshare(months, "--as", "annual", "--name", "demand")

    assert answer.exit_code == 0, answer.exception
    assert "12 of 12" in answer.stdout
    read = tomllib.loads(answer.stdout[answer.stdout.index("[drivers.demand]") :])
    # levels of neighbouring years differ by sqrt 2 x 3 %
    assert read["drivers"]["demand"]["sd"] == pytest.approx(0.042, rel=0.5)


def test_counts_take_their_exposure(counts: Path) -> None:
    answer = _riskshare(counts)

    assert answer.exit_code == 0, answer.exception
    assert "rate per unit of members" in answer.stdout
    assert answer.stdout.splitlines()[2].startswith("negative-binomial")


@pytest.mark.parametrize(
    ("rows", "arguments", "told"),
    [
        ("amount\n1\n2\nnan\n", (), "row 4, amount: found 'nan'"),
        ("amount\n1\n\n-2\n3\n", (), "row 4, amount: found '-2'; 0 or more is accepted"),
        ("amount\n1\ninf\n3\n", (), "row 3, amount: found 'inf'"),
        ("amount\n1\n£2\n3\n", (), "row 3, amount: found '£2'"),
        ("amount\n1\n2\n3\n", (), "at least 10 are needed"),
        ("amount\n" + "7\n" * 20, (), "all 20 equal 7"),
        ("amount\n1\n2\n", ("--column", "amuont"), "did you mean 'amount'"),
        ("amount\n1\n2\n", ("--kinds", "gama", "--as", "severity"), "at least 10"),
        ("amount\n1\n" + "2\n" * 20, ("--kinds", "gama"), "did you mean 'gamma'"),
        ("amount\n1\n2\n", ("--as", "severty"), "did you mean 'severity'"),
        ("amount\n1\n2\n", ("--exposure", "x"), "--exposure is for --as counts"),
        ("amount\n1\n2\n", ("--by", "line"), "no column 'line'"),
        ("size\n1\n2\n", (), "--as severity, counts, activity or annual"),
        ("claims\n1\n2.5\n3\n4\n5\n", (), "2.5 in place 1; it must be a whole number"),
        ("month,count\n2018-13,5\n", (), "row 2, month: found '2018-13'"),
        ("month,count\n2018-01,5\n2018-03,5\n", (), "2 months"),
        ("amount\n", (), "a header and no rows"),
        ("", (), "the file is empty"),
        ("month,count\n2018-01,5\n", ("--as", "annual"), "known to hold organisations"),
    ],
)  # fmt: skip
def test_bad_data_is_a_line_and_status_2(
    rows: str, arguments: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    path = tmp_path / "data.csv"
    path.write_text(rows, encoding="utf-8")
    answer = _riskshare(path, *arguments)

    assert isinstance(answer.exception, rs.RiskshareError), answer.output
    assert told in str(answer.exception)


def test_errors_end_without_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "riskshare", "fit", str(tmp_path / "nothing.csv")]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)

    assert answer.returncode == 2
    assert "nothing.csv: no such file" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_groups_that_cannot_be_fitted_are_named(amounts: Path) -> None:
    text = amounts.read_text()
    amounts.write_text(text + "5,east\n")
    answer = _riskshare(amounts, "--by", "hospital", "--kinds", "gamma")

    assert answer.exit_code == 0, answer.exception
    assert "not fitted: east: amounts: 1 positive amounts" in answer.stdout


def test_counts_lines_are_pasted_and_run(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    fit = fitting.fit_counts(
        rng.poisson(2000 * rng.gamma(1 / 0.01, 0.01, 60)), "negative-binomial"
    ).best
    case = _cases(fit.case_lines("extra"), tmp_path)
    activity = rs.draw(case, samples=65_536, seed=3).activity.sel(line="extra").values.ravel()

    mean_error, spread_error = fit.level.standard_errors
    # Var / mean^2 with the mean and the cv known to lognormal factors: E[f^2] = exp(2 s^2)
    c = fit.of("overdispersion").value * np.exp(2 * spread_error**2)
    square = (1 + np.expm1(mean_error**2)) * (1 + c) - 1 + 1 / 2000
    assert activity.mean() == pytest.approx(2000, rel=4 * np.sqrt(square / 65_536))
    assert activity.var() / activity.mean() ** 2 == pytest.approx(square, rel=0.05)


@pytest.mark.parametrize("kind", ["gamma", "weibull", "spliced-gamma"])
def test_amount_lines_are_pasted(kind: str, tmp_path: Path) -> None:
    x = np.random.default_rng(6).gamma(2.0, 500.0, 500)
    kinds = ("gamma", "weibull")
    fit = fitting.fit_severity(x, kinds, threshold=float(np.quantile(x, 0.9))).of(kind)
    noise = _cases(fit.case_lines("extra", "unit_cost"), tmp_path)
    counted = '[lines.extra.noise]\nlaw = "poisson"\n'
    people = _cases(fit.case_lines("extra") + counted, tmp_path)

    assert noise.lines[-1].unit_cost_noise is not None
    assert people.lines[-1].people is not None
    assert people.lines[-1].people.law.expectation() == pytest.approx(
        fit.law.expectation(), rel=1e-4
    )
    driver = next(driver for driver in people.drivers if driver.name == "extra-mean-error")
    assert driver.sd == pytest.approx(fit.level.standard_errors[0], rel=1e-5)
    assert driver.uncertainty == "parameter"


def test_activity_lines_are_pasted(tmp_path: Path) -> None:
    months = np.arange("2016-04", "2019-04", dtype="datetime64[M]")
    rng = np.random.default_rng(7)
    counts = rng.poisson(500 * rng.gamma(1 / 0.01, 0.01, 36))
    fit = fitting.fit_activity(counts, months)
    case = _cases(fitting.activity_lines(fit, "extra"), tmp_path)

    assert case.lines[-1].noise.overdispersion > 0
    driver = next(driver for driver in case.drivers if driver.name == "extra-mean-error")
    years, c = 3, case.lines[-1].noise.overdispersion
    level = (c + 1 / (12 * counts.mean())) / years
    trend = (2 * fit.trend_standard_error_autocorrelated) ** 2
    assert driver.sd == pytest.approx(np.sqrt(level + trend), rel=1e-4)


def test_a_year_ahead_errs_as_the_lines_say() -> None:
    """The projected mean of the coming year misses its truth by what the driver holds."""
    rng = np.random.default_rng(8)
    months = np.arange("2016-04", "2019-04", dtype="datetime64[M]")
    days = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(float)
    missed, said = [], []
    for _ in range(150):
        counts = rng.poisson(500 / 30 * days * rng.gamma(1 / 0.002, 0.002, 36))
        fit = fitting.fit_activity(counts, months)
        level = np.log(fit.fitted[12:24].sum()) + 2 * fit.trend
        missed.append(level - np.log(500 / 30 * days[12:24].sum()))
        read = tomllib.loads(fitting.activity_lines(fit, "x"))
        said.append(read["drivers"]["x-mean-error"]["sd"])
    assert abs(np.mean(missed)) < 4 * np.std(missed) / np.sqrt(150)
    # memory is estimated too, on which the trend's error leans: 36 months hold it low
    assert np.sqrt(np.mean(np.square(said))) == pytest.approx(np.std(missed), rel=0.25)
