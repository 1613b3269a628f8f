import datetime

import numpy as np
import pytest
import xarray as xr

import riskshare as rs
from riskshare.files.actuals import read_actuals, read_opening, write_closing

GOOD = """\
line,year,activity
outpatients,2018/19,32000
inpatients,2018/19,2700
triage,2018/19,13000
"""


@pytest.fixture(scope="module")
def case():
    return rs.load_case("msk-toy")


def file(tmp_path, text, name="actuals.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def problems(case, *paths):
    with pytest.raises(rs.ExperienceError) as caught:
        read_actuals(case, *paths)
    assert len(str(caught.value).splitlines()) == len(caught.value.problems)
    return str(caught.value).splitlines()


def test_actuals_settle_m34(case, tmp_path):
    read = read_actuals(case, file(tmp_path, GOOD))
    assert set(read.dims) == {"year", "line"}
    result = rs.settle(case, read)
    assert list(result["position"].values.ravel()) == [178_800, -244_800, 42_000, -16_800_000]


def test_columns_may_stand_in_any_order_and_cells_may_be_blank(case, tmp_path):
    text = (
        "\ufeffyear,case_mix,line,cost,activity,\r\n"
        "2018/19,1.1,inpatients,,2700,\r\n"
        ",,,,,\r\n"
        "2018/19,,triage,1000.50,,\r\n"
    )
    read = read_actuals(case, file(tmp_path, text))
    assert set(read.data_vars) == {"activity", "case_mix", "cost"}
    assert read["activity"].sel(line="inpatients", year="2018/19") == 2700
    assert np.isnan(read["activity"].sel(line="triage", year="2018/19"))
    assert np.isnan(read["activity"].sel(line="outpatients", year="2018/19"))
    assert read["cost"].sel(line="triage", year="2018/19") == 1000.5


def test_a_missing_line_is_left_to_settle(case, tmp_path):
    read = read_actuals(case, file(tmp_path, GOOD.replace("triage,2018/19,13000\n", "")))
    with pytest.raises(rs.ExperienceError, match=r"activity\[triage, 2018/19\]: missing or blank"):
        rs.settle(case, read)
    filled = rs.settle(case, read, missing="plan")
    assert filled.attrs["filled_from_plan"] == ["activity[triage, 2018/19]"]


@pytest.mark.parametrize(
    ("old", "new", "where", "said"),
    [
        ("32000", "-5", "row 2, activity", "found -5; accepted: a number of at least 0"),
        (
            "32000",
            "nan",
            "row 2, activity",
            "found 'nan'; accepted: a number of at least 0, or a b",
        ),
        ("32000", "inf", "row 2, activity", "found 'inf'; accepted: a number of at least 0"),
        ("32000", "#REF!", "row 2, activity", "found '#REF!'; accepted: a number of at least 0"),
        ("32000", '"32,00"', "row 2, activity", "did you mean 32.00 or 3200? write it so"),
        (
            "triage,2018/19",
            "triag,2018/19",
            "row 4, line",
            "no line is named 'triag'; did you mean 'triage'? accepted: outpatients, inpatients",
        ),
        (
            "triage,2018/19",
            "triage,2019/20",
            "row 4, year",
            "no year is named '2019/20'; accepted: 2018/19",
        ),
        (
            "triage",
            "inpatients",
            "row 4",
            "'inpatients', '2018/19' stands twice, first in row 3; accepted: one row",
        ),
        ("13000", "13000,1", "row 4", "found 4 cells; accepted: 3, one for each column"),
        ("13000\n", "13000\ntriage\n", "row 5", "found 1 cells; accepted: 3, one for each column"),
    ],
)
def test_one_mistake_is_one_problem(case, tmp_path, old, new, where, said):
    path = file(tmp_path, GOOD.replace(old, new, 1))
    (found,) = problems(case, path)
    assert found.startswith(f"{path}: {where}: ")
    assert said in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty; accepted: a CSV table with a header row"),
        ("\n , \n", "the file is empty; accepted: a CSV table with a header row"),
        ("line,year,activity\n", "the table has no rows; accepted: one for each line and year"),
        (GOOD.replace(",", ";"), "row 1: found columns separated by semicolons; accepted: commas"),
        (GOOD.replace(",", "\t"), "row 1: found columns separated by tabs; accepted: commas"),
        ("line,year\na,b\n", "row 1: the column 'activity' is missing; accepted: line, year, act"),
        ("line,line,year,activity\n", "row 1: the column 'line' stands 2 times; accepted: once"),
        ('line,year,activity\n"a,b\n', "row 2: is not a CSV table"),
        ("line,year,activity,\na,b,1,2\n", "row 2: found '2' in a column without a name; name it"),
    ],
)
def test_a_table_of_the_wrong_form_is_one_problem(case, tmp_path, text, said):
    path = file(tmp_path, text)
    (found,) = problems(case, path)
    assert found.startswith(f"{path}: {said}")


def test_an_unknown_column_suggests_the_nearest(case, tmp_path):
    path = file(tmp_path, "line,year,activity,unit_costs\noutpatients,2018/19,32000,\n")
    (found,) = problems(case, path)
    assert "row 1: found an unknown column 'unit_costs'; did you mean 'unit_cost'?" in found
    path = file(tmp_path, GOOD.replace("activity", "activty"))
    found = problems(case, path)
    assert "row 1: found an unknown column 'activty'; did you mean 'activity'?" in found[0]
    assert "row 1: the column 'activity' is missing" in found[1]


def test_files_that_are_no_tables(case, tmp_path):
    (found,) = problems(case, tmp_path / "none.csv")
    assert "none.csv: no such file; accepted: a CSV table with the columns line, year, " in found
    (found,) = problems(case, tmp_path)
    assert "found a directory; accepted: a CSV table" in found
    path = tmp_path / "actuals.xlsx"
    path.write_bytes(b"PK\x03\x04\xff\xfe")
    (found,) = problems(case, path)
    assert "found bytes that are not UTF-8 text; accepted: a CSV table" in found


def test_problems_of_both_tables_are_listed_at_once(case, tmp_path):
    actuals = file(tmp_path, GOOD.replace("32000", "-1").replace("triage", "x"))
    drivers = file(
        tmp_path,
        "variable,name,year,value\n"
        "driver_index,deman,2018/19,1\n"
        "driver_indx,demand,2018/19,1\n"
        "quality,akute,2018/19,1\n"
        "members,all,2018/19,1\n"
        "driver_index,demand,2018/19,high\n"
        "driver_index,price,2018/19,1\n"
        "driver_index,price,2018/19,1\n",
        "drivers.csv",
    )
    found = problems(case, actuals, drivers)
    assert [line.split(f"{tmp_path}/")[1].split(": ")[:2] for line in found] == [
        ["actuals.csv", "row 2, activity"],
        ["actuals.csv", "row 4, line"],
        ["drivers.csv", "row 2, name"],
        ["drivers.csv", "row 3, variable"],
        ["drivers.csv", "row 4, name"],
        ["drivers.csv", "row 5, name"],
        ["drivers.csv", "row 6, value"],
        ["drivers.csv", "row 8"],
    ]
    text = "\n".join(found)
    assert "no driver is named 'deman'; did you mean 'demand'?" in text
    assert "no variable is named 'driver_indx'; did you mean 'driver_index'?" in text
    assert "no partner is named 'akute'; did you mean 'acute'?" in text
    assert "no population is named 'all'; there are none in this case" in text
    assert "found 'high'; accepted: a number of at least 0" in text
    assert "'driver_index', 'price', '2018/19' stands twice, first in row 7" in text


def test_drivers_deliveries_and_quality_are_read(case, tmp_path):
    drivers = file(
        tmp_path,
        "variable,name,year,value\n"
        "driver_index,demand,2018/19,1.02\n"
        "driver_index,delivery[fewer-operations],2018/19,0\n"
        "quality,acute,2018/19,0.9\n",
        "drivers.csv",
    )
    read = read_actuals(case, file(tmp_path, GOOD), drivers)
    assert read["driver_index"].sel(year="2018/19", driver="demand") == 1.02
    assert read["driver_index"].sel(year="2018/19", driver="delivery[fewer-operations]") == 0
    assert np.isnan(read["driver_index"].sel(year="2018/19", driver="price"))
    assert read["quality"].sel(year="2018/19", partner="acute") == 0.9
    rs.settle(case, read)


def two_years():
    day = datetime.date
    return rs.Case(
        name="two",
        years=[
            rs.Year(label="1", start=day(2020, 1, 1), end=day(2020, 12, 31)),
            rs.Year(label="2", start=day(2021, 1, 1), end=day(2021, 12, 31)),
        ],
        partners=[rs.Partner(name="p", kind="payer"), rs.Partner(name="q", kind="provider")],
        lines=[
            rs.Line(
                name="a",
                deliverer="q",
                payer="p",
                unit_cost=7,
                price=7,
                baseline=100,
                cost=rs.CostBehaviour(
                    variable=0.3,
                    fixed=0.7,
                    released=rs.Released(fixed=[0.1, 0.5]),
                    exit_basis="realised",
                ),
            )
        ],
        contracts=[rs.Contract(name="k", terms=[rs.ActivityPayment()])],
    )


def test_closing_balances_of_one_year_open_the_next(tmp_path):
    case = two_years()
    header = "line,year,activity\n"
    both = read_actuals(case, file(tmp_path, header + "a,1,81.3\na,2,70.7\n"))
    whole = rs.settle(case, both)
    first = rs.settle(case, read_actuals(case, file(tmp_path, header + "a,1,81.3\n")))
    write_closing(first, tmp_path / "closing.csv")
    opening = read_opening(tmp_path / "closing.csv")
    last = first["closing"].isel(year=-1, sample=0)
    assert opening.year == "1"
    xr.testing.assert_equal(opening.drop_vars("year"), last.drop_vars(["year", "midyear"]))
    second = read_actuals(case, file(tmp_path, header + "a,2,70.7\n"))
    result = rs.settle(case, second, opening=opening)
    np.testing.assert_array_equal(result["cost"].sel(year="2"), whole["cost"].sel(year="2"))


def test_opening_balances_are_checked_by_row(tmp_path):
    text = "state,value\na,1\na,2\n,3\nb,x\nc,\nd,-4.5\n"
    with pytest.raises(rs.ExperienceError) as caught:
        read_opening(file(tmp_path, text, "opening.csv"))
    assert [problem.path for problem in caught.value.problems] == [
        "row 3",
        "row 4, state",
        "row 5, value",
        "row 6, value",
    ]
    given = read_opening(file(tmp_path, "state,value\nd,-4.5\n"))
    assert float(given.sel(state="d")) == -4.5
    assert "year" not in given.coords
    assert read_opening(file(tmp_path, "state,value\n")).size == 0


def test_opening_balances_of_another_year_are_refused(tmp_path):
    case = two_years()
    second = read_actuals(case, file(tmp_path, "line,year,activity\na,2,70.7\n"))
    opening = read_opening(file(tmp_path, "state,year,value\nd,2,1\n", "opening.csv"))
    with pytest.raises(rs.ExperienceError, match="balances of 2; accepted: those of 1"):
        rs.settle(case, second, opening=opening)
    with pytest.raises(rs.ExperienceError, match="one year for all"):
        read_opening(file(tmp_path, "state,year,value\nd,2,1\ne,1,1\n", "opening.csv"))


def test_draws_have_no_closing_balances_to_write(case, tmp_path):
    result = rs.simulate(case, samples=256, seed=1, keep=("position",))
    with pytest.raises(rs.ArgumentError, match="only a settlement of actuals has closing balances"):
        write_closing(result, tmp_path / "closing.csv")
