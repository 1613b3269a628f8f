"""Options of the command line: each means one thing, is declared once, and is checked first.

A mistake ends with a line that names the option, before any sample is drawn.
"""

import ast
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import riskshare as rs
import riskshare.cli as cli

COMMANDS = get_command(cli.app).commands
SHARED = ("samples", "seed", "sampler", "discount_rate", "prices", "set_", "level", "permutations")
OTHERWISE = {("check", "samples"), ("estimate", "samples"), ("bench", "samples")}
"""Commands in which an option of that name is another number: draws, a limit, a timed call."""


def options(command):
    return {option.name: option for option in COMMANDS[command].params}


@pytest.mark.parametrize("name", SHARED)
def test_an_option_has_one_name_and_one_help_in_every_command(name):
    helps = defaultdict(list)
    for command in COMMANDS:
        found = options(command).get(name)
        if found is not None and (command, name) not in OTHERWISE:
            helps[found.help].append(command)
    assert len(helps) == 1
    assert len(next(iter(helps.values()))) > 1


def test_a_case_may_be_set_in_every_command_that_takes_one():
    taking = {c for c in COMMANDS if "case" in options(c)} - {"bench"}
    assert {"run", "settle", "check", "attribute", "influence", "calibrate"} <= taking
    assert {c for c in taking if "set_" in options(c)} == taking


def test_help_texts_stand_once_in_the_source():
    """No help text of an option is written in two places."""
    texts = Counter()
    for path in Path(cli.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.keyword) or node.arg != "help":
                continue
            if isinstance(node.value, ast.Constant):
                texts[node.value.value] += 1
    assert texts
    assert [text for text, count in texts.items() if count > 1] == []


@pytest.fixture
def no_work(monkeypatch):
    """Fail where anything that draws samples is begun."""

    def begun(*arguments, **options):
        raise AssertionError("work was begun before the mistake was told")

    for name in (
        *("simulate", "attribute", "influence", "stress", "discover", "estimate", "compare"),
        *("clauses", "sensitivities", "tail_directions", "check", "uncertainty"),
    ):
        monkeypatch.setattr(rs, name, begun)


TOY = "msk-toy"
BELIEF = ("--target", "position_mean[acute] >= 0", "--belief")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("run", TOY, "--chance", "included"), "--chance goes with --draws FILE"),
        (("run", TOY, "--repeats", "2"), "--repeats goes with --draws FILE"),
        (("run", TOY, "--prices", "real"), "state deflator in the case"),
        (("run", TOY, "--discount-rate", "3.5"), r"is 0\.035 meant"),
        (("run", TOY, "--out", "FILE"), "is a file; accepted: a folder"),
        (("run", TOY, "--out", "FILE/below"), "is a file; accepted: a folder"),
        (("clauses", TOY, "--of", "acut"), "--of acut: did you mean 'acute'"),
        (("estimate", TOY, "--tail", "acut"), "--tail acut: did you mean 'acute'"),
        (("estimate", TOY, "--prices", "real"), "state deflator in the case"),
        (("estimate", TOY, "--error", "position_mean=x"), "a statistic and its standard error"),
        (("attribute", TOY, "--partner", "acut"), "--partner acut: did you mean 'acute'"),
        (("attribute", TOY, "--out", "picture.png"), r"accepted: a file \.csv, \.svg or \.html"),
        (("attribute", TOY, "--out", "FILE/way.svg"), "is a file; accepted: a folder"),
        (("attribute", TOY, "--set", "msk.pool.shar=1"), "did you mean msk.pool.share"),
        (("influence", TOY, "--set", "nothing"), "accepted: a path and its value"),
        (("compare", TOY, "--variants", "--year", "2018"), "--year 2018: .*2018/19"),
        (("stress", TOY, "--shock", "5"), r"500 %; did you mean 0\.05"),
        (("stress", TOY, "--late", "lots"), "--late: found 'lots'"),
        (("stress", TOY, "--scenario", "a: drivers.price.sd=x"), "found 'x'; accepted: a number"),
        (("stress", TOY, *BELIEF, "drivers.price.sd=0.1:0.05"), "low below high"),
        (("stress", TOY, *BELIEF, "drivers.pric.sd=0.05:0.1"), "did you mean drivers.price.sd"),
        (("bench", "--json", "FOLDER"), "is a folder; accepted: a file"),
        (("fit", "DATA", "--output", "nowhere/x.toml"), "in no folder there is"),
    ],
)
def test_a_mistake_is_told_before_any_work(arguments, told, tmp_path, no_work):
    (tmp_path / "file").write_text("x")
    (tmp_path / "data.csv").write_text("amount\n" + "".join(f"{n}\n" for n in range(100, 150)))
    stands = {"FILE": "file", "FOLDER": "", "DATA": "data.csv"}
    given = [
        str(tmp_path / part.replace(word, stands[word], 1))
        if (word := part.partition("/")[0]) in stands
        else part
        for part in arguments
    ]
    with pytest.raises(rs.ArgumentError, match=told):
        CliRunner().invoke(cli.app, given, catch_exceptions=False)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("stress", TOY, "--points", "3"), "greater than or equal to 32"),
        (("sensitivities", TOY, "--most", "0"), "greater than or equal to 1"),
        (("run", TOY, "--samples", "many"), "valid integer"),
    ],
)
def test_a_number_that_an_option_cannot_be_is_a_usage_error(arguments, told, no_work):
    answer = CliRunner(env={"COLUMNS": "200"}).invoke(cli.app, arguments, catch_exceptions=False)
    assert answer.exit_code == 2
    assert told in answer.stderr


def test_sizes_and_numbers_of_scenarios_are_read_as_cells_of_tables_are(monkeypatch):
    asked = {}

    def noted(case, scenarios, **options):
        asked.update(options, scenarios=scenarios)
        raise rs.ArgumentError("enough")

    monkeypatch.setattr(rs, "stress", noted)
    arguments = ["stress", TOY, "--shock", "5%,-0.05", "--scenario", "dear: drivers.price.sd=3%"]
    arguments += ["--scenario", "dear: lines.outpatients.price=£1,250.50"]
    with pytest.raises(rs.ArgumentError, match="enough"):
        CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
    assert asked["shock"] == (0.05, -0.05)
    wanted = {"drivers.price.sd": 0.03, "lines.outpatients.price": 1250.5}
    assert asked["scenarios"] == {"dear": wanted}
