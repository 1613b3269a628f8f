import copy
import random
import subprocess
import sys
import tomllib

import numpy as np
import pytest
import tomlkit
import xarray as xr

import riskshare as rs
from riskshare.files.bundled import FOLDER, case_names, case_titles

TOY = (FOLDER / "msk-toy.toml").read_text(encoding="utf-8")


def actuals(*activity):
    return xr.Dataset(
        {"activity": (("year", "line"), [list(activity)])},
        coords={"year": ["2018/19"], "line": ["outpatients", "inpatients", "triage"]},
    )


def problems(tmp_path, *changes, text=TOY):
    """Return the problems of the toy case after replacing text, as ``path: message``."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    path = tmp_path / "case.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(rs.CaseError) as caught:
        rs.load_case(path)
    assert all(line.startswith(f"{path}: ") for line in str(caught.value).splitlines())
    assert len(str(caught.value).splitlines()) == len(caught.value.problems)
    return [str(problem) for problem in caught.value.problems]


def test_the_toy_case_settles_m34_to_the_penny():
    result = rs.settle(rs.load_case("msk-toy"), actuals(32_000, 2_700, 13_000)).isel(
        sample=0, year=0
    )
    posting = result["posting"]
    assert list(result["position"].values) == [178_800, -244_800, 42_000, -16_800_000]
    assert list(posting.sel(term="msk.pool").values) == [-109_200, 67_200, 42_000, 0]
    assert posting.sel(term="msk.marginal-rate", partner="acute") == -168_000
    assert posting.sel(partner="acute").drop_sel(term="msk.pool").sum() == 15_732_000
    assert result["cost_released"].sum() == 756_000
    assert result["stranded"].sum() == 1_404_000
    assert result["position"].sel(partner=["commissioner", "acute", "community"]).sum() == -24_000


def test_the_toy_case_can_be_drawn():
    draws = rs.draw(rs.load_case("msk-toy"), samples=1024, seed=1)
    assert np.isfinite(draws["activity"]).all()


def test_bundled_cases_are_known_without_importing_jax():
    code = (
        "import sys; from riskshare.files.bundled import case_names, case_titles; "
        "print(case_titles()['msk-toy']); assert 'jax' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Musculoskeletal capitated budget, one year"
    assert set(case_titles()) == set(case_names())


def test_a_case_loads_by_name_and_by_path(tmp_path):
    path = tmp_path / "copy.toml"
    path.write_text(TOY, encoding="utf-8")
    assert rs.load_case(path) == rs.load_case(str(path)) == rs.load_case("msk-toy")
    assert rs.load_case(path).origin.text == TOY


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path):
    path = tmp_path / "windows.toml"
    path.write_bytes(b"\xef\xbb\xbf" + TOY.replace("\n", "\r\n").encode())
    assert rs.load_case(path) == rs.load_case("msk-toy")


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(rs.CaseError, match=r"no case is named 'msk-toi'; did you mean 'msk-toy'\?"):
        rs.load_case("msk-toi")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty; accepted: a case with name, title"),
        (b"# only a comment\n", "the file is empty; accepted: a case with name, title"),
        (b'name = "a"\nlines = [\n', "line 2, column 10: is not TOML: "),
        (b'name = "a"\nhello world\n', "line 2, column 7: is not TOML: "),
        (b"[partners.a]\n[partners.a]\n", "line 2, column 12: is not TOML: Cannot declare"),
        (b"\x89PNG\xff\xfe", "found bytes that are not UTF-8 text; accepted: a case in TOML"),
        (b"name = 'a'\0", "found a binary file; accepted: a case in TOML"),
        (b"a = " + b"[" * 9000, "is nested too deeply for a case"),
    ],
)
def test_a_file_that_is_no_case_is_one_line(tmp_path, content, said):
    path = tmp_path / "case.toml"
    path.write_bytes(content)
    with pytest.raises(rs.CaseError) as caught:
        rs.load_case(path)
    assert str(caught.value).startswith(f"{path}: {said}")
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_directory_are_one_line(tmp_path):
    with pytest.raises(rs.CaseError, match=r"none\.toml: no such file; accepted: a case in TOML"):
        rs.load_case(tmp_path / "none.toml")
    with pytest.raises(rs.CaseError, match="found a directory; accepted: a case in TOML"):
        rs.load_case(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "path", "accepted"),
    [
        ('currency = "GBP"', 'curency = "GBP"', "curency", "did you mean 'currency'?"),
        ("price = 120.0", "pric = 120.0", "lines.outpatients.pric", "did you mean 'price'?"),
        (
            "price = 120.0\n",
            "",
            "lines.outpatients.price",
            "missing; accepted: a number of at least 0",
        ),
        (
            "price = 120.0",
            "price = -1",
            "lines.outpatients.price",
            "found -1; accepted: a number of",
        ),
        (
            "price = 120.0",
            "price = nan",
            "lines.outpatients.price",
            "found nan; accepted: a number of",
        ),
        (
            "price = 120.0",
            'price = "x"',
            "lines.outpatients.price",
            "found 'x'; accepted: a number of",
        ),
        ("price = 120.0", "price = true", "lines.outpatients.price", "accepted: a number of"),
        (
            "price = 120.0",
            f"price = 1{'0' * 400}",
            "lines.outpatients.price",
            "found inf; accepted: a",
        ),
        (
            'deliverer = "acute"',
            'deliverer = "acut"',
            "lines.outpatients.deliverer",
            "no partner is named 'acut'; did you mean 'acute'? accepted: commissioner, acute",
        ),
        (
            'lines = ["outpatients", "inpatients"]',
            'lines = ["outpatient", "inpatients"]',
            "msk.stranded-support.lines",
            "no line is named 'outpatient'; did you mean 'outpatients'?",
        ),
        (
            'lines = ["outpatients", "inpatients"]',
            "lines = { outpatients = 1 }",
            "msk.stranded-support.lines",
            "found a table; accepted: a list of names of lines",
        ),
        (
            "share = { acute = 0.40",
            "share = { acute = 0.50",
            "msk.pool.share",
            "the shares sum to 1.1; they must sum to 1 over partners",
        ),
        (
            "share = 0.5",
            "share = 50",
            "msk.stranded-support.share",
            "found 50, which is 5000 %; did you mean 0.5?",
        ),
        (
            "influence = { acute = 0.3, commissioner = 0.1",
            "influence = { acute = 0.9, commissioner = 0.1",
            "drivers.case-mix.influence",
            "the shares of control sum to 1.2; accepted: at most 1",
        ),
        (
            "rate = { outpatients = 0.30, inpatients = 0.40 }",
            "bands = [{ beyond = 0.05, rate = 0.5 }, { beyond = 0.02, rate = 0.3 }]",
            "msk.marginal-rate.bands[1].beyond",
            "bands out of order: found 0.02 after 0.05; accepted: each begins beyond",
        ),
        (
            "rate = { outpatients = 0.30, inpatients = 0.40 }",
            "bands = 0.5",
            "msk.marginal-rate.bands",
            "found 0.5; accepted: a list of tables",
        ),
        (
            "expected = 13_000",
            "expected = [13_000, 14_000]",
            "lines.triage.expected",
            "found 2 values; accepted: one for each year, 1",
        ),
        (
            "expected = 13_000",
            'expected = { "2019/20" = 13_000 }',
            "lines.triage.expected[2019/20]",
            "no year is named '2019/20'; accepted: 2018/19",
        ),
        (
            "end = 2019-03-31",
            "end = 2018-03-31",
            "years[0]",
            "ends on 2018-03-31, before it starts on 2018-04-01",
        ),
        (
            "end = 2019-03-31",
            "end = 2019-03-31T00:00:00",
            "years[0].end",
            "found 2019-03-31T00:00:00; accepted: a date such as 2018-04-01",
        ),
        ('kind = "pool"', 'kind = "pol"', "msk.terms[4].kind", "found 'pol'; did you mean 'pool'?"),
        ('kind = "pool"\n', "", "msk.terms[4].kind", "missing; accepted: activity-payment, "),
        (
            'stranded_support = "stranded-support"',
            'name = "capitated"\nstranded_support = "stranded-support"',
            "msk.capitated.name",
            "the name is the key of the table; leave it out",
        ),
        (
            'kind = "block" ',
            'kind = "block"\nname = "pool"',
            "msk.pool",
            "the name 'pool' stands 2 times; names are unique",
        ),
        (
            "interval = [0.98, 1.03]",
            "interval = 0.98",
            "drivers.case-mix.interval",
            "a list of two, the 10 % and the 90 % point",
        ),
        (
            '"residual_key" = "the',
            'residual.key = "the',
            "assumptions.residual",
            'found a table; accepted: text, the whole path in "quotes"',
        ),
        (
            '"residual_key" = "the',
            '"residual_ky" = "the',
            "assumptions.residual_ky",
            "nothing has that path; did you mean 'residual_key'?",
        ),
        (
            "[contracts.msk]",
            '[tables]\nterms = "terms.csv"\n[contracts.msk]',
            "tables.terms",
            "found an unknown section; ",
        ),
        (
            "[contracts.msk]",
            '[tables]\nlines = "../lines.csv"\n[contracts.msk]',
            "tables.lines",
            "accepted: the name of a CSV file beside this one",
        ),
        (
            "[contracts.msk]",
            '[tables]\nlines = "absent.csv"\n[contracts.msk]',
            "tables.lines",
            "absent.csv: no such file; accepted: a CSV table",
        ),
        (
            "[contracts.msk]",
            "[tables]\nlines = 5\n[contracts.msk]",
            "tables.lines",
            "found 5; accepted: the name of a CSV file beside this one",
        ),
    ],
)
def test_one_mistake_is_one_problem(tmp_path, old, new, path, accepted):
    found = problems(tmp_path, (old, new))
    assert found[0].startswith(f"{path}: ")
    assert accepted in found[0]
    assert all(line.startswith(path.partition("[")[0]) for line in found)


def test_support_paid_twice(tmp_path):
    paid = (
        '[[contracts.msk.terms]]\nkind = "capitated-budget"\nfrom = "commissioner"\n'
        'to = "acute"\nbudget = "capitated"\n\n[assumptions]'
    )
    (found,) = problems(tmp_path, ("[assumptions]", paid))
    assert found.startswith("msk.stranded-support: support paid twice: ")
    assert 'say paid_in = "capitated"' in found


def test_correlations_that_are_not_positive_definite(tmp_path):
    pairs = [("demand", "case-mix", 0.9), ("demand", "price", 0.9), ("case-mix", "price", -0.9)]
    text = "".join(
        f'[[correlations]]\nbetween = ["{a}", "{b}"]\nvalue = {r}\n\n' for a, b, r in pairs
    )
    (found,) = problems(tmp_path, ("[contracts.msk]", f"{text}[contracts.msk]"))
    assert found.startswith("correlations: the matrix is not positive definite")
    assert "nearest valid: " in found


def test_several_problems_are_listed_at_once(tmp_path):
    found = problems(
        tmp_path,
        ('currency = "GBP"', 'curency = "GBP"'),
        ("baseline = 40_000", "baseline = -1"),
        ('deliverer = "community"', 'deliverer = "comunity"'),
        ("size = 0.25", 'size = "a quarter"'),
        ("fixed = 0.50", "fixed = 0.60"),
        ("share = { acute = 0.40", "share = { acute = 0.45"),
        ('of = "value removed"', 'of = "value"'),
        ("amount = 16_800_000\n", ""),
    )
    paths = [line.partition(": ")[0] for line in found]
    assert paths == [
        "curency",
        "changes.triage-instead-of-outpatients.size",
        "msk.funding.amount",
        "lines.outpatients.baseline",
        "lines.triage.deliverer",
        "lines.outpatients.cost",
        "msk.stranded-support.of",
        "msk.pool.share",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('[lines.outpatients]\ndeliverer = "acute"', "[lines.outpatients]"),
        ('external = { kind = "external"', 'external = { kynd = "external"'),
        ("[drivers.price] ", "[drivers.price.price]"),
        ('[[contracts.msk.terms]]\nkind = "block" ', '[[contracts.msk.terms]]\nkind = "blok" '),
    ],
)
def test_what_follows_from_a_mistake_is_not_reported(tmp_path, old, new):
    found = problems(tmp_path, (old, new))
    heads = {line.partition(": ")[0] for line in found}
    assert heads <= {
        "lines.outpatients.deliverer",
        "partners.external.kynd",
        "drivers.price.price",
        "drivers.price.acts_on",
        "msk.terms[1].kind",
    }


def nodes(value, path=()):
    """Yield the path of every value of nested tables and lists."""
    inner = value.items() if isinstance(value, dict) else ()
    for key, item in enumerate(value) if isinstance(value, list) else inner:
        yield (*path, key)
        yield from nodes(item, (*path, key))


JUNK = (5, -1, 1.5, "x", "", True, [], {}, [1], ["a"], {"a": 1}, [[1]], [{}], float("nan"), "pool")


@pytest.mark.parametrize("seed", range(150))
def test_a_case_mutated_at_random_loads_or_is_a_list_of_problems(tmp_path, seed):
    chosen = random.Random(seed)
    raw = tomllib.loads(TOY)
    for _ in range(chosen.randint(1, 3)):
        *path, key = chosen.choice(list(nodes(raw)))
        at = raw
        for step in path:
            at = at[step]
        if chosen.random() < 0.3:
            del at[key]
        else:
            at[key] = copy.deepcopy(chosen.choice(JUNK))
    file = tmp_path / "case.toml"
    file.write_text(tomlkit.dumps(raw), encoding="utf-8")
    said = None
    try:
        rs.load_case(file)
    except rs.CaseError as error:
        said = error
    if said is not None:
        assert said.problems
        assert len(str(said).splitlines()) == len(said.problems)


SPLIT = TOY.index("[lines.triage]"), TOY.index("# Planned changes.")
CSV = "name,deliverer,payer,unit,expected[2018/19],unit_cost,price\n"
TRIAGE = "triage,community,commissioner,patient,13000,60,60\n"


def with_table(tmp_path, table, name="lines.csv"):
    text = TOY[: SPLIT[0]] + TOY[SPLIT[1] :] + f'\n[tables]\nlines = "{name}"\n'
    if table is not None:
        (tmp_path / name).write_text(table, encoding="utf-8", newline="")
    return text


def load_with_table(tmp_path, table):
    path = tmp_path / "case.toml"
    path.write_text(with_table(tmp_path, table), encoding="utf-8")
    return rs.load_case(path)


def test_lines_of_a_table_join_those_of_the_file(tmp_path):
    case = load_with_table(tmp_path, CSV + "\n" + TRIAGE)
    assert [line.name for line in case.lines] == ["outpatients", "inpatients", "triage"]
    assert case.origin.tables == (("lines", "lines.csv", ("triage",)),)
    result = rs.settle(case, actuals(32_000, 2_700, 13_000))
    assert list(result["position"].values.ravel()) == [178_800, -244_800, 42_000, -16_800_000]


def test_columns_reach_every_kind_of_field(tmp_path):
    header = (
        "name,deliverer,payer,tags,baseline,unit_cost,price,cost.variable,cost.semi_fixed,"
        "cost.fixed,cost.released.semi_fixed,cost.released.fixed,cost.exit_basis,loadings.demand,"
        "loadings[price],noise.law,noise.cv\n"
    )
    row = (
        "triage,community,commissioner,new;msk,100,60,60,0.5,0.3,0.2,0.5;1,0.1;,realised,1,0.5,"
        "gamma,0.1\n"
    )
    line = load_with_table(tmp_path, header + row).line("triage")
    assert line.tags == ("new", "msk")
    assert line.cost == rs.CostBehaviour(
        variable=0.5,
        semi_fixed=0.3,
        fixed=0.2,
        released=rs.Released(semi_fixed=[0.5, 1], fixed=[0.1]),
        exit_basis="realised",
    )
    assert dict(line.loadings) == {"demand": 1, "price": 0.5}
    assert line.noise == rs.Noise(law="gamma", cv=0.1)


@pytest.mark.parametrize(
    ("table", "path", "said"),
    [
        ("", "tables.lines", "lines.csv: the file is empty"),
        ("name,name\n", "tables.lines", "lines.csv, row 1: the column 'name' stands 2 times"),
        ("name;price\n", "tables.lines", "lines.csv, row 1: found columns separated by semicolons"),
        (CSV + "triage,community\n", "tables.lines", "row 2: found 2 cells; accepted: 7"),
        (
            CSV.replace("price", "prices"),
            "tables.lines",
            "the column 'prices' unknown; did you mean",
        ),
        (CSV.replace("name,", "nam,"), "tables.lines", "the column 'name' is missing"),
        (
            CSV.replace("unit,", "cost,"),
            "tables.lines",
            "is a table of its own; accepted: cost.var",
        ),
        (CSV.replace("unit,", "noise.lav,"), "tables.lines", "did you mean 'noise.law'?"),
        (CSV + TRIAGE.replace("triage", ""), "tables.lines", "lines.csv, row 2: the name is blank"),
        (
            CSV + TRIAGE + TRIAGE,
            "lines.triage",
            "stands twice: lines.csv, row 2 and lines.csv, row 3",
        ),
        (
            CSV + TRIAGE + TRIAGE.replace("triage", "inpatients"),
            "lines.inpatients",
            "the name stands twice: in the case file and lines.csv, row 3; names are unique",
        ),
        (CSV + TRIAGE.replace("60,60", "60,x"), "lines.triage.price", "(lines.csv, row 2)"),
        (
            CSV + TRIAGE.replace("60,60", "60,-1"),
            "lines.triage.price",
            "found -1; accepted: a number",
        ),
        (CSV + TRIAGE.replace("60,60", "60,"), "lines.triage.price", "missing; accepted: a number"),
        (
            CSV + TRIAGE.replace("community", "x"),
            "lines.triage.deliverer",
            "no partner is named 'x'",
        ),
    ],
)
def test_mistakes_of_a_table_name_file_and_row(tmp_path, table, path, said):
    found = problems(tmp_path, text=with_table(tmp_path, table))
    assert len([line for line in found if line.startswith(f"{path}: ") and said in line]) == 1
    assert all(line.startswith(("tables.lines: ", "lines.")) for line in found)


def test_a_table_that_is_not_text_is_one_line(tmp_path):
    text = with_table(tmp_path, None)
    (tmp_path / "lines.csv").write_bytes(b"name,\xa3\n")
    (found,) = problems(tmp_path, text=text)
    assert "lines.csv: found bytes that are not UTF-8 text; accepted: a CSV table" in found
