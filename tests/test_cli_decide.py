"""The commands that say what each number does, and find the numbers that do what is wanted."""

import pytest
import xarray as xr
from typer.testing import CliRunner

import riskshare as rs
from riskshare.cli import app

FREE = "msk.funding.amount=10e6:25e6"


def run(*arguments, code=0):
    result = CliRunner().invoke(app, [*arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_a_calibrated_case_is_written_and_holds(tmp_path):
    path = tmp_path / "agreed.toml"
    said = run(
        "calibrate", "msk-toy", "--free", FREE, "--out", str(path),
        "--target", "position_quantile[commissioner,0.2]=0",
        "--at-most", "position_probability_of_deficit[acute]=0.99",
    )  # fmt: skip
    assert "converged: all statements hold" in said
    assert "binds" in said
    table = rs.summarise(rs.simulate(rs.load_case(path), keep=("position",)), levels=[0.2])
    found = table.position_quantile.sel(partner="commissioner", year="all", level=0.2)
    assert abs(float(found)) < 1000  # of a standard deviation of 110,000


def test_what_cannot_be_had_is_said_and_fails(tmp_path):
    said = run(
        "calibrate", "msk-toy", "--free", "msk.funding.amount=16e6:17e6",
        "--at-least", "position_mean[commissioner]=1_000_000",
        "--out", str(tmp_path / "never.toml"), code=1,
    )  # fmt: skip
    assert "infeasible" in said
    assert "to give way by" in said
    assert not (tmp_path / "never.toml").exists()


def test_nobody_is_worse_off_than_under_a_version_of_the_case():
    said = run(
        "calibrate", "msk-toy", "--minimise", "msk.funding.amount", "--free", FREE,
        "--status-quo", "block", "--appetite", "commissioner=mean - 0.5 tail_value_at_risk[0.95]",
    )  # fmt: skip
    assert "converged" in said
    assert "difference_tail_value_at_risk[commissioner,0.95]" in said


def test_sensitivities_are_printed_and_written(tmp_path):
    said = run(
        "sensitivities", "msk-toy", "--out", str(tmp_path), "--partner", "commissioner",
        "--paths", "msk.funding.amount,msk.marginal-rate.rate[inpatients]",
    )  # fmt: skip
    # a hundredth of 16.8 million, as it is
    assert "msk.funding.amount" in said
    assert "+0.168" in said
    with xr.open_dataset(tmp_path / "sensitivities.nc") as table:
        assert table.sizes["path"] == 2
        found = table.position_mean_derivative.sel(path="msk.funding.amount").squeeze()
        assert float(found) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--free", "msk.funding.amount=low:high"], "accepted: PATH=LOW:HIGH"),
        (["--free", FREE, "--free", "msk.pool.share[acute]"], "give bounds for all of them"),
        (["--free", FREE, "--appetite", "mean", "--appetite", "acute=mean"], "it alone, or"),
        (["--free", FREE, "--appetite", "mean", "--appetite", "mean"], "it alone, or"),
        (
            ["--free", FREE, "--appetite", "acute=mean", "--appetite", "acute=mean"],
            "--appetite acute stands twice",
        ),
        (["--free", FREE, "--appetite", "mean"], "--appetite goes with --status-quo"),
        (["--free", FREE, "--free", FREE], "--free msk.funding.amount stands twice"),
        (
            ["--free", FREE, "--target", "position_mean[acute]=1"],
            "--target position_mean[acute] stands twice",
        ),
        (["--free", FREE, "--at-most", "cost=x"], "--at-most 'cost=x'; accepted: STATISTIC=VALUE"),
    ],
)
def test_bounds_that_mean_nothing(arguments, said):
    result = CliRunner().invoke(
        app, ["calibrate", "msk-toy", *arguments, "--target", "position_mean[acute]=0"]
    )
    assert isinstance(result.exception, rs.ArgumentError)
    assert said in str(result.exception)


def test_a_statement_without_a_number_is_refused():
    result = CliRunner().invoke(
        app, ["calibrate", "msk-toy", "--free", FREE, "--target", "position_mean[acute]"]
    )
    assert isinstance(result.exception, rs.ArgumentError)
    assert "'position_mean[acute]'; accepted: STATISTIC=VALUE" in str(result.exception)


def test_a_search_for_nothing_names_the_options():
    result = CliRunner().invoke(app, ["calibrate", "msk-toy", "--free", FREE])
    assert isinstance(result.exception, rs.ArgumentError)
    assert "nothing is asked for; give --target" in str(result.exception)


def test_a_file_that_cannot_be_written_is_refused_before_the_search(tmp_path, monkeypatch):
    monkeypatch.setattr(rs, "calibrate", lambda *_, **__: pytest.fail("searched"))
    arguments = ["calibrate", "msk-toy", "--free", FREE, "--target", "position_mean[acute]=0"]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "no" / "agreed.toml")])
    assert isinstance(result.exception, rs.ArgumentError)
    assert "in a folder that is there" in str(result.exception)
