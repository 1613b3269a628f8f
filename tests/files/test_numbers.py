"""The text of a cell is read as the one number it can mean, or refused; never guessed."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import riskshare as rs
from riskshare import fitting
from riskshare.files.actuals import read_opening
from riskshare.files.bundled import FOLDER
from riskshare.files.columns import find_column
from riskshare.files.numbers import PLAN_INDEX, NumberError, Unread, hint, read_number
from riskshare.names import symbol
from riskshare.system import SYSTEM_FIELDS, Line

MONEY, UNITS, SHARE, RATE, INDEX = "money", "units", "share of price", "rate per year", "index"


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("12345", UNITS, 12345),
        (" 5 ", UNITS, 5),
        ("+5", UNITS, 5),
        (".5", UNITS, 0.5),
        ("5.", UNITS, 5),
        ("0", UNITS, 0),
        ("0.050", SHARE, 0.05),
        ("1e6", UNITS, 1e6),
        ("1.5E-03", UNITS, 0.0015),
        ("1.234", UNITS, 1.234),  # a point is always before decimals
        ("12,345", UNITS, 12345),
        ("1,234", UNITS, 1234),
        ("1,234", "members", 1234),
        ("1,234,567.89", MONEY, 1234567.89),
        ("1 234", UNITS, 1234),
        ("1\u00a0234\u00a0567", UNITS, 1234567),
        ("1\u2009234.5", UNITS, 1234.5),
        ("1\u202f234", UNITS, 1234),
        ("1'234", MONEY, 1234),
        ("1\u2019234.50", MONEY, 1234.5),
        ("£1,234.50", MONEY, 1234.5),
        ("£5", "money per unit", 5),
        ("-£3", MONEY, -3),
        ("£-3", MONEY, -3),
        ("+£3", MONEY, 3),
        ("£ 3", MONEY, 3),
        ("3 £", MONEY, 3),
        ("GBP 5", MONEY, 5),
        ("5GBP", MONEY, 5),
        ("-5", MONEY, -5),
        ("- 5", MONEY, -5),
        ("\u22125", MONEY, -5),
        ("(1,234)", MONEY, -1234),
        ("( 1,234.50 )", MONEY, -1234.5),
        ("(£3)", MONEY, -3),
        ("£(3)", MONEY, -3),
        ("(3) GBP", MONEY, -3),
        ("12.5%", SHARE, 0.125),
        ("12.5 %", RATE, 0.125),
        ("5%", SHARE, 0.05),  # the float nearest to 0.05, which 5 / 100 is only by luck
        ("7%", SHARE, 0.07),
        ("+3%", RATE, 0.03),
        ("-3%", RATE, -0.03),
        ("(3%)", RATE, -0.03),
        ("103%", PLAN_INDEX, 1.03),
        ("3%", INDEX, 0.03),  # a standard deviation, or a delivery
    ],
)
def test_what_can_mean_one_number_is_read(text, unit, value):
    assert read_number(text, unit, "GBP") == value


@pytest.mark.parametrize(
    ("text", "unit", "said"),
    [
        # a decimal comma, or groups that are none
        ("1.234,56", MONEY, "did you mean 1234.56? write it so"),
        ("1 234,56", MONEY, "did you mean 1234.56? write it so"),
        ("-1.234,56", MONEY, "did you mean -1234.56? write it so"),
        ("12,34", MONEY, "did you mean 12.34 or 1234? write it so"),
        ("1,23", UNITS, "did you mean 1.23 or 123? write it so"),
        ("(1,5)", MONEY, "did you mean -1.5 or -15? write it so"),
        ("1234,567", UNITS, "did you mean 1234.567 or 1234567? write it so"),
        ("0,123", UNITS, "did you mean 0.123? write it so"),
        ("12,5%", SHARE, "did you mean 12.5% or 125%? write it so"),
        ("12,34,567", MONEY, "did you mean 1234567? write it so"),
        ("12,34.5", MONEY, "did you mean 1234.5? write it so"),
        ("1.234.567", MONEY, "did you mean 1234567? write it so"),
        ("1 23", UNITS, "did you mean 123? write it so"),
        # thousands where there are none
        ("1,034", PLAN_INDEX, "did you mean 1.034 or 1034? write it so"),
        ("1,234", SHARE, "did you mean 1.234 or 1234? write it so"),
        ("2,345", "days", "did you mean 2.345 or 2345? write it so"),
        # a cell cut at its comma: 32,000 became 32 and 000
        ("000", MONEY, "it may be the end of a number cut at its comma, which needs quotes"),
        ("0123", UNITS, "did you mean 123? write it so"),
        # marks
        ("$5", MONEY, "'$' is not GBP, the currency of the case; give GBP"),
        ("5 €", MONEY, "'€' is not GBP, the currency of the case; give GBP"),
        ("EUR 5", MONEY, "'EUR' is not GBP, the currency of the case; give GBP"),
        ("£5", UNITS, "'£' does not belong here, this is no money (units)"),
        ("5 FTE", UNITS, "'FTE' does not belong here, this is no money (units)"),
        ("£5", PLAN_INDEX, "'£' does not belong here, this is no money (index, 1 = plan)"),
        # percent signs
        ("12.5%", MONEY, "a percentage is not read here (money); give the number itself"),
        ("5%", UNITS, "a percentage is not read here (units); give the number itself"),
        ("5%", "squared cv", "a percentage is not read here (squared cv); give the number itself"),
        ("3%", PLAN_INDEX, "did you mean 0.03 or 1.03? write it so"),
        ("+3%", INDEX, "did you mean 0.03 or 1.03? write it so"),
        ("-3%", INDEX, "did you mean 0.97? write it so"),
        ("1e400", MONEY, "it is too large"),
    ],
)
def test_what_can_mean_two_numbers_is_refused_with_both(text, unit, said):
    with pytest.raises(NumberError) as caught:
        read_number(text, unit, "GBP")
    assert str(caught.value) == said


JUNK = (
    "|nan|NaN|inf|-Infinity|N/A|-|–|#REF!|1.2.3|0x10|1_000|x|1/2|2018/19|5m|50p|=5|'5|five|£|%|()"
    "|1 234,5.6|1,234 567|--5|-(5)|(-5)|-£-5|5-|5(3)|£5 GBP|£5%|%5|1e2%|5%%|e5|,5|5,|1,,234|1, 234"
    "|\u0665|\uff15|½|5\n6|.|00"
)


@pytest.mark.parametrize("text", JUNK.split("|"))
@pytest.mark.parametrize("unit", [MONEY, UNITS, SHARE, PLAN_INDEX])
def test_what_is_no_number_is_refused(text, unit):
    with pytest.raises(NumberError):
        read_number(text, unit, "GBP")


def test_a_mark_is_refused_where_the_currency_is_not_known():
    with pytest.raises(NumberError, match="'£' cannot be compared with the case's currency"):
        read_number("£5", MONEY)


@pytest.mark.parametrize("currency", ["GBP", "EUR", "USD", "JPY", "CHF", "SEK"])
def test_money_is_read_with_the_sign_it_is_printed_with(currency):
    assert read_number(f"{symbol(currency)}1,234.50", MONEY, currency) == 1234.5


def test_a_sign_may_stand_for_several_currencies():
    assert read_number("$5", MONEY, "AUD") == 5
    assert read_number("¥5", MONEY, "CNY") == 5


GAPS = st.sampled_from([",", " ", "\u00a0", "\u2009", "\u202f", "'", "\u2019"])
MARKED = st.sampled_from(["{}", "£{}", "£ {}", "{} £", "GBP {}", "{}GBP"])


@given(st.floats(allow_nan=False, allow_infinity=False), GAPS, MARKED, st.booleans())
def test_a_number_written_for_people_reads_back_as_the_same_float(value, gap, marked, brackets):
    digits = marked.format(f"{abs(value):,}".replace(",", gap))
    minus = math.copysign(1, value) < 0
    text = f"({digits})" if minus and brackets else f"-{digits}" if minus else digits
    assert read_number(text, MONEY, "GBP") == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_as_riskshare_writes_it_reads_back_in_every_unit(value):
    for unit in (MONEY, UNITS, SHARE, INDEX, "power"):
        assert read_number(repr(value), unit) == value


@given(st.integers(-10_000, 10_000))
def test_a_percentage_is_the_float_nearest_to_its_hundredth(hundredths):
    assert read_number(f"{hundredths / 100:.2f}%", RATE) == float(f"{hundredths}e-4")


@given(st.text("0123456789.,' ()+-%£$eE\u2212\u00a0GBPx_", max_size=12))
def test_any_text_is_refused_or_the_number_of_its_digits_and_point(text):
    for unit in (MONEY, UNITS, SHARE, PLAN_INDEX):
        try:
            value = read_number(text, unit, "GBP")
        except NumberError:
            continue
        digits = re.search("[0-9.]+([eE][+-]?[0-9]+)?", re.sub("[,' \u00a0]", "", text))
        assert abs(value) == pytest.approx(float(digits[0]) / (100 if "%" in text else 1))


@pytest.mark.parametrize(
    ("text", "unit", "said"),
    [
        ("5%", SHARE, "did you mean 0.05? write it so"),
        ("£5", MONEY, "did you mean 5? write it so"),
        ("1,234.50", MONEY, "did you mean 1234.5? write it so"),
        ("0.05", SHARE, "did you mean 0.05? write it so"),
        ("12,34", MONEY, "did you mean 12.34 or 1234? write it so"),
        ("x", SHARE, ""),
    ],
)
def test_the_number_that_text_may_mean_is_named(text, unit, said):
    assert hint(text, unit) == said


# End to end: actuals, drivers and opening balances.


@pytest.fixture(scope="module")
def case():
    return rs.load_case("msk-toy")


def written(tmp_path, text, name="actuals.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def refusals(read):
    with pytest.raises(rs.ExperienceError) as caught:
        read()
    return [(problem.path, problem.message) for problem in caught.value.problems]


def test_actuals_are_read_as_a_spreadsheet_writes_them(case, tmp_path):
    path = written(
        tmp_path,
        "\ufeffline,year,activity,unit_cost,case_mix,cost\r\n"
        'outpatients,2018/19,"32,000",£120.50,103%,\r\n'
        'inpatients,2018/19, 2\u00a0700 ,"£4,000",1.02,"£11,580,000.00"\r\n'
        'triage,2018/19,"13,000.5",GBP 60,98.5 %,\r\n',
    )
    read = rs.read_actuals(case, path).isel(year=0)
    lines = {"line": ["outpatients", "inpatients", "triage"]}
    assert read["activity"].sel(lines).values.tolist() == [32_000, 2_700, 13_000.5]
    assert read["unit_cost"].sel(lines).values.tolist() == [120.5, 4_000, 60]
    assert read["case_mix"].sel(lines).values.tolist() == [1.03, 1.02, 0.985]
    assert read["cost"].sel(line="inpatients") == 11_580_000


def test_all_cells_of_actuals_that_are_not_read_are_listed_with_row_and_column(case, tmp_path):
    path = written(
        tmp_path,
        "line,year,activity,unit_cost,case_mix,cost\n"
        'outpatients,2018/19,£5,$120,3%,"1.234,56"\n'
        '\ninpatients,2018/19,12%,N/A,"1,034",-\n'
        "triage,2018/19,(5),60,£1,1%\n",
    )
    blank = "accepted: a number of at least 0, or a blank cell where it is not known"
    model = "accepted: a number of at least 0, or a blank cell to take the cost model"
    assert refusals(lambda: rs.read_actuals(case, path)) == [
        (
            "row 2, activity",
            f"found '£5'; '£' does not belong here, this is no money (units); {blank}",
        ),
        (
            "row 2, unit_cost",
            f"found '$120'; '$' is not GBP, the currency of the case; give GBP; {blank}",
        ),
        ("row 2, case_mix", f"found '3%'; did you mean 0.03 or 1.03? write it so; {blank}"),
        ("row 2, cost", f"found '1.234,56'; did you mean 1234.56? write it so; {model}"),
        (
            "row 4, activity",
            "found '12%'; a percentage is not read here (units); give the number itself; " + blank,
        ),
        ("row 4, unit_cost", f"found 'N/A'; {blank}"),
        ("row 4, case_mix", f"found '1,034'; did you mean 1.034 or 1034? write it so; {blank}"),
        ("row 4, cost", f"found '-'; {model}"),
        ("row 5, activity", "found -5; accepted: a number of at least 0"),
        (
            "row 5, case_mix",
            f"found '£1'; '£' does not belong here, this is no money ({PLAN_INDEX}); {blank}",
        ),
        (
            "row 5, cost",
            f"found '1%'; a percentage is not read here (money); give the number itself; {model}",
        ),
    ]


def test_a_comma_outside_quotes_is_one_problem_of_its_row(case, tmp_path):
    path = written(tmp_path, "line,year,activity\noutpatients,2018/19,32,000\n")
    said = "found 4 cells; accepted: 3, one for each column; a cell with a comma in it needs quotes"
    ((at, message),) = refusals(lambda: rs.read_actuals(case, path))
    assert (at, message.partition(", as in")[0]) == ("row 2", said)
    # where a last cell was left off, the two halves fall into two columns
    path = written(tmp_path, "line,year,activity,cost\noutpatients,2018/19,32,000\n")
    ((at, message),) = refusals(lambda: rs.read_actuals(case, path))
    assert at == "row 2, cost"
    assert "the end of a number cut at its comma, which needs quotes" in message


def test_a_space_before_quotes_does_no_harm(case, tmp_path):
    path = written(tmp_path, 'line, year, activity\noutpatients, 2018/19, "32,000"\n')
    assert rs.read_actuals(case, path)["activity"].sel(line="outpatients") == 32_000


@pytest.mark.parametrize(
    "text",
    [
        "line;year;activity\noutpatients;2018/19;32000,5\n",
        '"line;year;activity"\n"outpatients;2018/19;32000"\n',
        "line;year;activity,,\noutpatients;2018/19;32000,,\n",
        "\ufeffsep=;\nline;year;activity\n",
    ],
)
def test_semicolons_between_columns_are_named(case, tmp_path, text):
    path = written(tmp_path, text)
    ((at, message),) = refusals(lambda: rs.read_actuals(case, path))
    assert at == "row 1"
    assert message.startswith(
        "found columns separated by semicolons; accepted: commas, and points in numbers"
    )


def test_indices_of_drivers_may_be_percentages_of_plan(case, tmp_path):
    actuals = written(tmp_path, "line,year,activity\noutpatients,2018/19,32000\n")
    drivers = written(
        tmp_path,
        "variable,name,year,value\n"
        "driver_index,demand,2018/19,101.5%\n"
        "driver_index,delivery[fewer-operations],2018/19,30%\n"
        "quality,acute,2018/19,90%\n",
        "drivers.csv",
    )
    read = rs.read_actuals(case, actuals, drivers).isel(year=0)
    assert read["driver_index"].sel(driver="demand") == 1.015
    assert read["driver_index"].sel(driver="delivery[fewer-operations]") == 0.3
    assert read["quality"].sel(partner="acute") == 0.9


def test_values_of_drivers_are_read_by_what_they_measure(case, tmp_path):
    actuals = written(tmp_path, "line,year,activity\noutpatients,2018/19,32000\n")
    drivers = written(
        tmp_path,
        "variable,name,year,value\n"
        "driver_index,demand,2018/19,3%\n"
        'driver_index,price,2018/19,"1,015"\n'
        "driver_index,delay[x],2018/19,50%\n"
        "members,all,2018/19,50%\n"
        "members,all,2018/19,£5\n"
        'members,all,2018/19,"300,000"\n',
        "drivers.csv",
    )
    found = refusals(lambda: rs.read_actuals(case, actuals, drivers))
    assert [message.split("; ")[1] for at, message in found if at.endswith("value")] == [
        "did you mean 0.03 or 1.03? write it so",
        "did you mean 1.015 or 1015? write it so",
        "a percentage is not read here (years)",
        "a percentage is not read here (members)",
        "'£' does not belong here, this is no money (members)",
    ]


def test_opening_balances_are_money_or_shares(tmp_path):
    text = 'state,value\naccounts.reserve.balance,"(1,234.50)"\ncost.a.released_fixed,12.5%\n'
    read = read_opening(written(tmp_path, text))
    assert read.values.tolist() == [-1234.5, 0.125]
    marked = written(tmp_path, "state,value\naccounts.reserve.balance,£5\n")
    assert read_opening(marked, "GBP").values.tolist() == [5]
    for currency, said in ((None, "cannot be compared"), ("EUR", "is not EUR")):
        ((at, message),) = refusals(lambda currency=currency: read_opening(marked, currency))
        assert at == "row 2, value"
        assert said in message
    text = "state,value\naccounts.reserve.balance,5%\ncost.a.released_steps,5%\nk.balance,n/a\n"
    found = refusals(lambda: read_opening(written(tmp_path, text)))
    assert [at for at, _ in found] == ["row 2, value", "row 3, value", "row 4, value"]
    assert found[2][1] == "found 'n/a'; accepted: a number"  # none of them may be blank


# End to end: tables beside a case.

TOY = (FOLDER / "msk-toy.toml").read_text(encoding="utf-8")
HEADER = "name,deliverer,payer,baseline,unit_cost,price,growth,cost.variable,cost.fixed,tags\n"


def load_with(tmp_path, table, case_text=TOY):
    (tmp_path / "lines.csv").write_text(table, encoding="utf-8", newline="")
    path = tmp_path / "case.toml"
    path.write_text(f'{case_text}\n[tables]\nlines = "lines.csv"\n', encoding="utf-8")
    return rs.load_case(path)


def test_tables_of_a_case_are_read_as_a_spreadsheet_writes_them(tmp_path):
    row = 'therapy,community,commissioner,"20,000","1,150.50",1 200,2%,40%,60 %,5%;x\n'
    case = load_with(tmp_path, "\ufeff" + HEADER + row)
    line = case.line("therapy")
    assert (line.baseline, line.unit_cost, line.price) == (20_000, 1150.5, 1200)
    assert (line.growth, line.cost.variable, line.cost.fixed) == (0.02, 0.4, 0.6)
    assert line.tags == ("5%", "x")  # words stay words
    rs.save_case(case.with_numbers({"lines.therapy.price": 1300}), tmp_path / "case.toml")
    again = (tmp_path / "lines.csv").read_text(encoding="utf-8")
    assert again == (HEADER + row).replace("1 200", "1300.0")
    assert rs.load_case(tmp_path / "case.toml").line("therapy").cost == line.cost


def test_cells_of_a_table_that_are_not_read_are_listed_with_file_row_and_column(tmp_path):
    header = (
        "name,deliverer,payer,baseline,unit_cost,price,growth,cost.variable,cost.released.fixed,"
        "loadings.demand\n"
    )
    rows = (
        'a,community,commissioner,"12,34",5%,N/A,"1,5%",1,"0.1;0,2",1\n'
        'b,community,commissioner,£5,"1.234,56",5,2%,,,"1,034"\n'
    )
    with pytest.raises(rs.CaseError) as caught:
        load_with(tmp_path, header + rows)
    found = {problem.path: problem.message for problem in caught.value.problems}
    assert list(found) == [
        "lines.a.unit_cost",
        "lines.a.price",
        "lines.a.baseline",
        "lines.a.growth",
        "lines.a.cost.released.fixed[1]",
        "lines.b.unit_cost",
        "lines.b.baseline",
        "lines.b.loadings[demand]",
    ]
    assert found["lines.a.baseline"] == (
        "found '12,34' in the column 'baseline'; did you mean 12.34 or 1234? write it so; "
        "accepted: a number of at least 0 (units per year) (lines.csv, row 2)"
    )
    assert found["lines.a.price"].startswith(
        "found 'N/A' in the column 'price'; a blank cell is one that is not given; accepted: "
    )
    assert "a percentage is not read here (money per unit)" in found["lines.a.unit_cost"]
    assert "did you mean 1.5% or 15%?" in found["lines.a.growth"]
    assert (
        "in the column 'loadings.demand'; did you mean 1.034" in found["lines.b.loadings[demand]"]
    )
    assert "'£' does not belong here" in found["lines.b.baseline"]
    assert "did you mean 1234.56? write it so" in found["lines.b.unit_cost"]
    assert all(f"(lines.csv, row {2 + (path[6] == 'b')})" in said for path, said in found.items())


def test_marks_in_a_table_must_agree_with_the_currency():
    price = find_column(Line, "price", "GBP")
    assert price.parse("£45.50") == 45.5
    assert price.parse("12,000") == 12_000
    assert price.parse("£1;£2") == [1, 2]
    assert price.parse("$5") == Unread(
        "$5", "price", "'$' is not GBP, the currency of the case; give GBP"
    )
    assert isinstance(find_column(Line, "price").parse("£5"), Unread)
    assert isinstance(find_column(Line, "baseline", "GBP").parse("£5"), Unread)


@pytest.mark.parametrize(("column", "cell"), [("price", "$60"), ("baseline", "£60")])
def test_a_mark_that_does_not_belong_is_refused_in_the_table_of_a_case(tmp_path, column, cell):
    row = dict.fromkeys(("baseline", "unit_cost", "price"), "60") | {column: cell}
    table = (
        f"name,deliverer,payer,{','.join(row)}\nx,community,commissioner,{','.join(row.values())}\n"
    )
    with pytest.raises(rs.CaseError) as caught:
        load_with(tmp_path, table)
    (problem,) = caught.value.problems
    assert problem.path == f"lines.x.{column}"
    assert problem.message.startswith(f"found {cell!r} in the column {column!r}; {cell[0]!r} ")
    assert problem.message.endswith(" (lines.csv, row 2)")


@pytest.mark.parametrize(
    ("section", "column", "cell", "value"),
    [
        ("drivers", "sd", "3%", 0.03),
        ("drivers", "influence.acute", "40%", 0.4),
        ("drivers", "interval", "95%;105%", [0.95, 1.05]),
        ("changes", "size", "5%", 0.05),
        ("changes", "delivery.value", "80%", 0.8),
        ("inflation", "rate[2018/19]", "2.5%", 0.025),
        ("members", "count", "300,000;303,000", [300_000, 303_000]),
        ("members", "need", "102%", 1.02),
        ("partners", "target", "(100,000)", -100_000),
    ],
)
def test_columns_are_read_by_their_declared_unit(section, column, cell, value):
    assert find_column(SYSTEM_FIELDS[section], column).parse(cell) == value


@pytest.mark.parametrize(
    ("section", "column", "cell"),
    [
        ("changes", "delay.value", "50%"),  # in years
        ("changes", "delay.sd", "5%"),
        ("drivers", "persistence", "50%"),
        ("members", "count", "5%"),
        ("lines", "noise.overdispersion", "1%"),
    ],
)
def test_percentages_are_refused_where_the_unit_is_no_share(section, column, cell):
    assert isinstance(find_column(SYSTEM_FIELDS[section], column).parse(cell), Unread)


# Text where a case file holds a number.


@pytest.mark.parametrize(
    ("old", "new", "path", "said"),
    [
        ("sd = 0.01", 'sd = "1%"', "drivers.price.sd", "found '1%'; did you mean 0.01? write it"),
        ("price = 4_000.0", 'price = "£4,000"', "lines.inpatients.price", "did you mean 4000?"),
        ("baseline = 40_000", 'baseline = "40,00"', "lines.outpatients.baseline", "did you mean"),
        ("sd = 0.01", 'sd = "x"', "drivers.price.sd", "found 'x'; accepted: a number"),
    ],
)
def test_text_in_place_of_a_number_gets_a_hint(tmp_path, old, new, path, said):
    assert old in TOY
    file = tmp_path / "case.toml"
    file.write_text(TOY.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(rs.CaseError) as caught:
        rs.load_case(file)
    (message,) = [p.message for p in caught.value.problems if p.path == path]
    assert said in message
    assert "; accepted: a number" in message


# Monthly counts.


def test_monthly_counts_are_read_by_the_same_rules(tmp_path):
    path = written(tmp_path, '\ufeffmonth,admissions\n2008-04,"412,345"\n2008-05,12.5\n')
    assert fitting.read_monthly_total(path)[0].tolist() == [412_345, 12.5]
    path = written(tmp_path, 'month,admissions\n2008-04,"12,34"\n\n2008-05,nan\n2008-06,5%\n')
    with pytest.raises(rs.ArgumentError) as caught:
        fitting.read_monthly_total(path)
    first, second, third = str(caught.value).splitlines()
    assert "row 2, admissions: '12,34' is not a number; did you mean 12.34 or 1234?" in first
    assert "row 4, admissions: 'nan' is not a number; give a count" in second
    assert "row 5, admissions: '5%' is not a number; a percentage is not read here" in third


def test_a_monthly_count_cut_at_its_comma_is_refused(tmp_path):
    path = written(tmp_path, "month,admissions\n2008-04,12,345\n")
    with pytest.raises(rs.ArgumentError, match="row 2: found 3 cells; accepted: 2"):
        fitting.read_monthly_total(path)
