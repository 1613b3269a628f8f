"""``riskshare attribute`` and ``riskshare influence``: what they print and write."""

import csv
import re

import pytest
from typer.testing import CliRunner

import riskshare as rs
from riskshare.cli import app


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def column(table, head):
    """Figures of one column, by row, read off the printed text."""
    lines = table.splitlines()
    start = next(i for i, row in enumerate(lines) if head in row)
    end = lines[start].index(head) + len(head)
    rows = {}
    for row in lines[start + 1 :]:
        if not row:
            break  # a line of blanks is a rule inside the table
        label, figures = row[:45].strip(), row[:end].split()
        if row[:end][-1:].strip() and re.fullmatch(r"[+-]?[\d,.]+", figures[-1]):
            rows[label.split("  ")[0]] = float(figures[-1].replace(",", ""))
    return rows


def test_the_way_from_plan_to_position_adds_up_as_printed(tmp_path):
    text = run("attribute", "msk-toy", "--samples", "4096", "--partner", "acute", "--out", tmp_path)
    assert max(map(len, text.splitlines())) <= max(100, len(str(tmp_path)) + 30)
    assert "acute: " in text
    assert "at plan" in text
    block = text[text.index("acute, by driver") :]
    means = column(block, "mean")
    assert abs(sum(v for k, v in means.items() if k != "position") - means["position"]) < 0.006
    for head in ("sd", "worst 5 %"):
        values = column(block, head)
        rest = sum(v for k, v in values.items() if k != "position") - values["position"]
        assert abs(rest) < 0.006, head
    with open(tmp_path / "attribution.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    parts = [
        float(row["value"])
        for row in rows
        if row["statistic"] == "position_mean_by_term"
        and (row["partner"], row["year"]) == ("acute", "all")
    ]
    whole = rs.attribute(rs.load_case("msk-toy"), samples=4096)
    known = float(whole.position_mean.sel(partner="acute", year="all"))
    assert abs(sum(parts) - known) < 1e-5


def test_one_axis_may_be_asked_for():
    text = run("attribute", "msk-toy", "--samples", "256", "--partner", "acute", "--by", "term")
    assert "acute, by term" in text
    assert "by driver" not in text


def test_a_partner_that_has_one_part_is_said_to():
    text = run("attribute", "msk-toy", "--samples", "64", "--partner", "acute", "--by", "member")
    assert "By partner there is one part of it alone; the system alone is split by partner." in text
    text = run("attribute", "msk-toy", "--samples", "64", "--by", "member")
    assert "system, by partner" in text
    assert text.count("one part of it alone") == 3  # of the three partners that are printed


def test_influence_prints_alignment_and_writes_it(tmp_path):
    text = run("influence", "msk-toy", "--samples", "4096", "--out", tmp_path)
    found = rs.influence(rs.load_case("msk-toy"), samples=4096).sel(year="all")
    assert f"Alignment {100 * float(found.alignment):.1f} of 100" in text
    assert max(map(len, text.splitlines())) <= max(100, len(str(tmp_path)) + 30)
    assert (tmp_path / "influence.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("attribute", "msk-toy", "--partner", "nobody"), "nobody"),
        (("attribute", "msk-toy", "--by", "colour"), "colour"),
        (("attribute", "msk-toy", "--level", "95"), "is 0.95 meant"),
        (("influence", "alzira", "--samples", "256"), "residual_key"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(rs.ArgumentError, match=message):
        run(*arguments)


@pytest.mark.parametrize("command", ["attribute", "compare"])
def test_a_run_that_does_not_fit_names_options(command):
    cases = ["msk-toy", "--variants"] if command == "compare" else ["msk-toy"]
    with pytest.raises(rs.ArgumentError, match=r"of memory.*; take fewer --samples") as refused:
        run(command, *cases, "--samples", 10**11)
    assert "groups=" not in str(refused.value)
