"""``--set``: numbers and words of a case from the command line, and what a mistake is told."""

from pathlib import Path

import pytest
import xarray as xr
from click.testing import Result
from typer.testing import CliRunner

import riskshare as rs
from riskshare.cli import app
from riskshare.cli.settings import with_settings

SHARES = ("msk.pool.share[acute]=0.45", "msk.pool.share[community]=0.20")


@pytest.fixture(scope="module")
def toy() -> rs.Case:
    return rs.load_case("msk-toy")


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


def test_a_number_is_set_by_its_path(toy: rs.Case) -> None:
    case, told = with_settings(toy, ["lines.outpatients.price=125"])

    assert case == toy.with_numbers({"lines.outpatients.price": 125.0})
    assert str(told[0]) == "lines.outpatients.price: 120 -> 125"
    assert with_settings(toy, None) == (toy, ())


def test_shares_that_are_valid_only_together_are_set_together(toy: rs.Case) -> None:
    case, told = with_settings(toy, SHARES)

    assert case.number("msk.pool.share[acute]") == 0.45
    assert [(t.before, t.after) for t in told] == [("0.4", "0.45"), ("0.25", "0.2")]
    with pytest.raises(rs.CaseError, match=r"msk\.pool\.share: the shares sum to 1\.05"):
        with_settings(toy, SHARES[:1])


def test_one_label_of_what_holds_for_all_may_be_named(toy: rs.Case) -> None:
    one = toy.with_numbers({"msk.marginal-rate.rate": 0.5})
    case, told = with_settings(one, ["msk.marginal-rate.rate[inpatients,up]=0.6"])

    assert case.number("msk.marginal-rate.rate[inpatients,up]") == 0.6
    assert case.number("msk.marginal-rate.rate[inpatients,down]") == 0.5
    assert told[0].before == "0.5"


def test_a_number_for_all_comes_before_those_for_some(toy: rs.Case) -> None:
    case, told = with_settings(
        toy, ["msk.marginal-rate.rate[inpatients]=0.6", "msk.marginal-rate.rate=0.5"]
    )

    assert case.number("msk.marginal-rate.rate[inpatients]") == 0.6
    assert case.number("msk.marginal-rate.rate[outpatients]") == 0.5
    assert told[0].before == "outpatients 0.3, inpatients 0.4"


def test_a_number_that_was_left_out_may_be_given(toy: rs.Case) -> None:
    case, told = with_settings(toy, ["msk.pool.rate=50%", "lines.outpatients.growth=0.01"])

    assert case.number("msk.pool.rate") == 0.5
    assert told[0].before == "not given"
    assert case.number("lines.outpatients.growth") == 0.01


def test_words_change_what_a_term_does(toy: rs.Case) -> None:
    case, told = with_settings(
        toy,
        ["msk.pool.key=equal", "msk.pool.share=none", "msk.pool.between=acute,commissioner"],
    )
    (pool,) = [term for term in case.contracts[0].terms if term.label == "pool"]

    assert pool.key == "equal"
    assert pool.share is None
    assert pool.between == ("acute", "commissioner")
    assert str(told[0]) == "msk.pool.key: fixed -> equal"
    with pytest.raises(rs.CaseError, match=r"msk\.pool\.between: missing"):
        with_settings(toy, ["msk.pool.key=equal", "msk.pool.share=none"])


def test_what_holds_several_may_be_left_out() -> None:
    case = rs.load_case("mid-nottinghamshire-msk")
    changed, told = with_settings(case, ["msk.pool.caps=none"])

    assert not any(path.startswith("msk.pool.caps") for path in changed.numbers())
    assert told[0].after == "none"


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        (["msk.pool.shar[acute]=0.4"], r"did you mean msk\.pool\.share\[acute\]"),
        (["msk.pool.share[acut]=0.4"], "did you mean acute"),
        (["msk.pool.share[acute]"], "accepted: a path and its value"),
        (["msk.pool.share[acute]=lots"], r"found 'lots'.*accepted: a number \(share\)"),
        (["msk.pool.share[acute]=nan"], "found 'nan'"),
        (["msk.pool.share[acute]=1,5"], "did you mean 1.5"),
        (["lines.outpatients.price=1", "lines.outpatients.price=2"], "is given twice"),
        (["lines.outpatients.cost=cheap"], "holds several"),
    ],
)
def test_a_mistake_is_told_by_its_path(toy: rs.Case, stated: list[str], told: str) -> None:
    with pytest.raises(rs.ArgumentError, match=told):
        with_settings(toy, stated)


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        (
            "lines.outpatients.price=-1",
            r"lines\.outpatients\.price: found -1; accepted: .* at least",
        ),
        ("msk.marginal-rate.rate[inpatients]=40", "did you mean 0.4"),
        ("msk.pool.key=fair", r"msk\.pool\.key: found 'fair'"),
        ("msk.pool.holder=acut", r"msk\.pool\.holder: no partner is named 'acut'"),
    ],
)
def test_what_a_case_cannot_be_is_its_usual_error(toy: rs.Case, stated: str, told: str) -> None:
    with pytest.raises(rs.CaseError, match=told):
        with_settings(toy, [stated])


def test_run_says_what_was_set_and_writes_it_down(tmp_path: Path) -> None:
    flags = [part for share in SHARES for part in ("--set", share)]
    answer = _run("run", "msk-toy", "--samples", 256, *flags, "--out", tmp_path)

    assert answer.exit_code == 0, answer.output
    assert "set  msk.pool.share[acute]: 0.4 -> 0.45" in answer.stdout
    with xr.open_dataset(tmp_path / "outcomes.nc", engine="h5netcdf") as outcomes:
        assert list(outcomes.attrs["set"]) == [
            "msk.pool.share[acute]=0.45",
            "msk.pool.share[community]=0.2",
        ]


def test_settle_pays_by_what_was_set(tmp_path: Path) -> None:
    actuals = tmp_path / "actuals.csv"
    actuals.write_text(
        "line,year,activity\noutpatients,2018/19,32000\ninpatients,2018/19,2700\n"
        "triage,2018/19,13000\n"
    )
    flags = [part for share in SHARES for part in ("--set", share)]
    answer = _run("settle", "msk-toy", actuals, *flags)

    assert answer.exit_code == 0, answer.output
    # 45 % and 20 % of the pool of 168,000
    assert "75,600.00" in answer.stdout
    assert "33,600.00" in answer.stdout


def test_help_shows_the_brackets_of_a_path() -> None:
    wide = CliRunner(env={"COLUMNS": "200"})  # so that no word is broken between lines
    told = wide.invoke(app, ["stress", "--help"], catch_exceptions=False).stdout

    assert told.count("[acute]") == 2  # of --set and of --target


@pytest.mark.parametrize("command", ["estimate", "check"])
def test_estimates_and_checks_are_of_the_case_as_set(command: str) -> None:
    samples = ("--samples", "256") if command == "check" else ()
    answer = _run(command, "msk-toy", *samples, "--set", "msk.marginal-rate.rate[inpatients]=60%")

    assert answer.exit_code == 0, answer.output
    assert "set  msk.marginal-rate.rate[inpatients]: 0.4 -> 0.6" in answer.stdout
    if command == "check":
        # one spell more is paid 60 % of 4,000, and the pool takes 40 % of that back
        assert "1,440.00" in answer.stdout


def test_clauses_and_stress_take_it_and_print_their_tables(tmp_path: Path) -> None:
    rate = "msk.marginal-rate.rate[inpatients]=0.6"
    told = _run("clauses", "msk-toy", "--samples", 256, "--set", rate, "--out", tmp_path)
    assert told.exit_code == 0, told.output
    assert "0.4 -> 0.6" in told.stdout
    assert "one unit avoided" in told.stdout
    assert (tmp_path / "clauses.nc").exists()
    target = "position_mean[acute] >= -100000"
    told = _run(
        *("stress", "msk-toy", "--samples", 256, "--set", rate, "--target", target),
        *("--scenario", "dear: drivers.price.sd=0.05", "--late", "0", "--shock", "0.05,-0.05"),
        *("--belief", "drivers.price.sd=0.005:0.05", "--points", "32", "--out", tmp_path),
    )
    assert told.exit_code == 0, told.output
    for shown in ("shock: demand -5 %", "dear", "stops holding", "points of the ranges of belief"):
        assert shown in told.stdout
    with xr.open_dataset(tmp_path / "discovery.nc", engine="h5netcdf") as found:
        assert found.sizes["point"] == 32


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--scenario", "dear"), "a name, a path and its value"),
        (("--belief", "drivers.price.sd=0.1"), "lowest and highest"),
        (("--belief", "drivers.price.sd=0.1:0.2"), "--target"),
        (("--shock", "much"), "--shock"),
    ],
)
def test_stress_options_that_mean_nothing_are_refused(
    arguments: tuple[str, ...], told: str
) -> None:
    with pytest.raises(rs.ArgumentError, match=told):
        _run("stress", "msk-toy", "--samples", "256", *arguments)
