"""Draws read from tables and arrays: every shape gives the same, every mistake is named."""

import io
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from builders import case, line

import riskshare as rs

LINES, YEARS, RUNS = ("a", "b"), ("2018/19", "2019/20"), 5
VALUES = np.arange(1.0, 21.0).reshape(2, 2, 5)  # year, line, run


@pytest.fixture(scope="module")
def of() -> rs.Case:
    return case([line(name) for name in LINES], count=2)


def long(values=VALUES, lines=LINES, years=YEARS, name="value"):
    rows = [
        {"run": run, "line": lines[i], "year": years[y], name: values[y, i, run]}
        for run in range(values.shape[-1])
        for y in range(len(years))
        for i in range(len(lines))
    ]
    return pd.DataFrame(rows)


def csv(frame, path):
    file = path / "draws.csv"
    frame.to_csv(file, index=False)
    return file


def assert_whole(found):
    np.testing.assert_array_equal(found.activity, VALUES)
    assert found.activity.dims == ("year", "line", "sample")
    assert list(found["run"].values) == list(range(RUNS))
    assert found.attrs["runs"] == RUNS


# --- every shape gives the same --------------------------------------------------------------


def test_a_csv_table(of, tmp_path):
    file = csv(long(), tmp_path)
    found = rs.read_draws(file, of)

    assert_whole(found)
    assert found.attrs["name"] == str(file)


def test_rows_in_any_order_and_columns_by_other_names(of, tmp_path):
    shuffled = long().sample(frac=1, random_state=3)
    renamed = shuffled.rename(columns={"run": "iteration", "value": "spells"})
    names = {"run": "iteration", "value": "spells"}
    found = rs.read_draws(csv(renamed, tmp_path), of, columns=names)

    by_run = found.isel(sample=np.argsort(found["run"].values))
    assert_whole(by_run)


def test_a_data_frame_and_a_mapping_of_columns(of):
    assert_whole(rs.read_draws(long(), of))
    assert_whole(rs.read_draws({name: long()[name].to_numpy() for name in long()}, of))


def test_a_parquet_table(of, tmp_path):
    pytest.importorskip("pyarrow")
    file = tmp_path / "draws.parquet"
    long().to_parquet(file)

    assert_whole(rs.read_draws(file, of))


def test_a_parquet_table_without_pyarrow_says_what_to_install(of, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(rs.ArgumentError, match=r'pip install "riskshare\[parquet\]"'):
        rs.read_draws(tmp_path / "draws.parquet", of)


@pytest.mark.parametrize("dimension", ["run", "sample"])
def test_arrays_with_labels(of, dimension):
    array = xr.DataArray(
        np.moveaxis(VALUES, -1, 0)[:, ::-1],
        {"year": list(YEARS[::-1]), "line": list(LINES)},
        (dimension, "year", "line"),
    )
    assert_whole(rs.read_draws(array, of))
    assert_whole(rs.read_draws(array.to_dataset(name="activity"), of))


def test_plain_arrays_in_the_order_of_the_case(of):
    assert_whole(rs.read_draws({"activity": np.moveaxis(VALUES, -1, 0)}, of))


def test_several_columns_and_a_column_that_says_which(of):
    wide = long().rename(columns={"value": "activity"})
    wide["case_mix"] = 1.0 + wide["activity"] / 100
    tall = pd.concat(
        [
            wide[["run", "line", "year", name]]
            .rename(columns={name: "value"})
            .assign(variable=name)
            for name in ("activity", "case_mix")
        ]
    )
    found = rs.read_draws(wide, of)

    assert_whole(found)
    np.testing.assert_allclose(found.case_mix, 1 + VALUES / 100)
    xr.testing.assert_identical(rs.read_draws(tall, of), found)


def test_a_variable_may_speak_of_fewer_lines_than_another(of):
    wide = long().assign(variable="activity")
    some = wide[wide.line == "b"].assign(variable="unit_cost", value=7.0)
    found = rs.read_draws(pd.concat([wide, some]), of)

    assert_whole(found)
    assert np.isnan(found.unit_cost.sel(line="a")).all()
    assert (found.unit_cost.sel(line="b") == 7.0).all()
    drawn = rs.draw(of, given=found, precision="float64")
    assert (drawn.unit_cost.sel(line="b") == 7.0).all()
    assert (drawn.unit_cost.sel(line="a") == 2000.0).all()


def test_lines_and_years_may_be_left_out(of):
    part = long()[lambda rows: (rows.line == "b") & (rows.year == "2018/19")]
    found = rs.read_draws(part, of)

    assert list(found.line.values) == ["b"]
    assert list(found.year.values) == ["2018/19"]
    np.testing.assert_array_equal(found.activity[0, 0], VALUES[0, 1])


def test_numbers_as_spreadsheets_write_them(of, tmp_path):
    text = long().to_csv(index=False)
    text = text.replace("0,a,2018/19,1.0", '0,a,2018/19,"12,345"').replace("\n", "\r\n")
    file = tmp_path / "draws.csv"
    file.write_bytes(("\ufeff" + text + "\r\n").encode())
    found = rs.read_draws(file, of)

    assert found.activity[0, 0, 0] == 12345.0
    np.testing.assert_array_equal(found.activity.values.ravel()[1:], VALUES.ravel()[1:])


def test_runs_keep_their_names(of):
    named = long().assign(run=lambda rows: "s" + rows.run.astype(str))
    found = rs.read_draws(named, of)

    assert list(found["run"].values) == ["s0", "s1", "s2", "s3", "s4"]
    outcomes = rs.simulate(of, given=found, keep=["position"])
    assert list(outcomes["run"].values) == ["s0", "s1", "s2", "s3", "s4"]


def test_drivers_stand_in_a_table_of_their_own():
    of = case(
        [line(loadings={"demand": 1.0})],
        drivers=[rs.Driver(name="demand", acts_on="activity", law="normal", sd=0.1)],
    )
    activity = long(VALUES[:1, :1], ("spells",), YEARS[:1])
    drivers = activity.rename(columns={"line": "name"}).assign(
        variable="driver_index", name="demand", value=1.01
    )
    found = rs.read_draws(activity, of, drivers=drivers)

    assert (found.driver_index == 1.01).all()
    other = drivers.assign(run=drivers.run + 1)
    with pytest.raises(rs.ExperienceError, match="holds other runs than the draws"):
        rs.read_draws(activity, of, drivers=other)


def test_a_hundred_thousand_rows_are_read_in_a_moment(of):
    # 25,000 runs; a table of a planning model has millions of rows
    values = np.random.default_rng(1).random((2, 2, 25_000))
    frame = pd.DataFrame(
        {
            "run": np.tile(np.arange(25_000), 4),
            "line": np.repeat(["a", "b", "a", "b"], 25_000),
            "year": np.repeat(["2018/19", "2018/19", "2019/20", "2019/20"], 25_000),
            "value": values.ravel(),
        }
    )
    text = io.StringIO()
    frame.to_csv(text, index=False)

    np.testing.assert_array_equal(rs.read_draws(frame, of).activity, values)


# --- from the command line -------------------------------------------------------------------


def riskshare_run(*arguments):
    command = [sys.executable, "-m", "riskshare", "run", "msk-toy", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_run_on_given_draws(tmp_path):
    activity = np.random.default_rng(3).normal(30_000, 1000, (1, 1, 200))
    file = csv(long(activity, ("outpatients",), ("2018/19",)), tmp_path)
    folder = tmp_path / "out"
    answer = riskshare_run(
        *("--draws", file, "--chance", "on-top", "--repeats", 2, "--seed", 5, "--out", folder)
    )

    assert answer.returncode == 0, answer.stderr
    assert "P(deficit)" in answer.stdout
    with xr.open_dataset(folder / "outcomes.nc", engine="h5netcdf") as outcomes:
        assert outcomes.sizes["sample"] == 400
        assert outcomes.attrs["given_name"] == str(file)
        assert outcomes.attrs["given_runs"] == 200
        np.testing.assert_array_equal(outcomes["run"], np.repeat(np.arange(200), 2))


def test_a_run_says_what_is_missing(tmp_path):
    activity = np.full((1, 1, 20), 30_000.0)
    file = csv(long(activity, ("outpatients",), ("2018/19",)), tmp_path)
    silent = riskshare_run("--draws", file)
    alone = riskshare_run("--drivers", file)

    assert silent.returncode == alone.returncode == 2
    assert "chance is missing for outpatients" in silent.stderr
    assert "Traceback" not in silent.stderr
    assert "--drivers goes with --draws" in alone.stderr


# --- every mistake is named ------------------------------------------------------------------


def refused(table, of, message, **options):
    with pytest.raises(rs.ExperienceError, match=message):
        rs.read_draws(table, of, **options)


def test_gaps_are_counted_and_the_first_of_them_named(of):
    gaps = long().drop([2, 9, 10, 17])
    refused(
        gaps,
        of,
        r"activity: 4 of 20 cells are missing, in 3 of 5 runs: "
        r"run 0, a, 2019/20; run 2, b, 2018/19; run 2, a, 2019/20 \.\.\.; accepted: every run",
    )


def test_a_run_that_is_shorter_is_a_gap(of):
    refused(long()[:-1], of, r"1 of 20 cells are missing, in 1 of 5 runs: run 4, b, 2019/20")


def test_rows_that_stand_twice(of, tmp_path):
    twice = pd.concat([long(), long().iloc[[3]]])
    refused(
        csv(twice, tmp_path),
        of,
        r"1 cells stand more than once: run 0, b, 2019/20 \(row 5 and 22\)",
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "row 6, activity: is blank"),
        (-3.0, "row 6, activity: found -3; accepted: a finite number of at least 0"),
        (np.inf, "row 6, activity: found 'inf'"),
        ("many", "row 6, activity: found 'many'"),
        ("1,5", "row 6, activity: found '1,5'.*did you mean 1.5"),
    ],
)
def test_values_that_are_no_numbers(of, tmp_path, value, message):
    frame = long().astype({"value": object})
    frame.loc[4, "value"] = value
    refused(csv(frame, tmp_path), of, message)


def test_many_wrong_values_are_counted(of):
    refused(long(-VALUES), of, "17 further values are no finite numbers")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"line": {"b": "bb"}}, r"no line is named 'bb' \(10 rows\); .*accepted: a, b"),
        ({"year": {"2019/20": "2019"}}, r"no year is named '2019' \(10 rows\)"),
    ],
)
def test_labels_the_case_does_not_have(of, change, message):
    refused(long().replace(change), of, message)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"value": "valeu"}, "has no values; accepted: a column 'value'"),
        ({"run": "rn"}, "has no column 'run'"),
        ({"value": "activty"}, "did you mean 'activity'"),
    ],
)
def test_columns_that_are_missing_or_unknown(of, columns, message):
    refused(long().rename(columns=columns), of, message)


def test_columns_that_contradict_each_other(of):
    refused(long().assign(activity=1.0), of, "stands beside 'value'")
    refused(long(name="activity").assign(variable="activity"), of, "and there is none")
    refused(long().assign(variable="activty"), of, "no variable is named 'activty'")


def test_tables_without_rows_and_files_that_are_none(of, tmp_path):
    refused(long().iloc[:0], of, "the table has no rows")
    refused(tmp_path / "none.csv", of, "no such file")
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    refused(empty, of, "the file is empty")
    semicolons = tmp_path / "semicolons.csv"
    semicolons.write_text("run;line;year;value\n0;a;2018/19;1\n")
    refused(semicolons, of, "separated by semicolons")


def test_arrays_with_gaps_or_of_another_shape(of):
    array = np.moveaxis(VALUES, -1, 0).copy()
    array[2, 1, 0] = np.nan
    refused({"activity": array}, of, r"missing in 1 of 5 runs, first in place 2")
    array[:, 1, 0] = np.nan
    refused({"activity": array}, of, r"5 of 20 values are missing \(NaN\)")
    refused({"activity": array[:, :1]}, of, r"accepted: \(run, 2 years, 2 lines\)")
    refused({"activty": array}, of, "did you mean 'activity'")


def test_what_is_no_table_at_all(of):
    with pytest.raises(rs.ArgumentError, match=r"draws are a float; accepted: the path"):
        rs.read_draws(3.0, of)
