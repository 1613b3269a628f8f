"""Waterfalls: parts stand on each other from plan to position, in figures and in the picture."""

import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

import riskshare as rs
from riskshare.cli import app
from riskshare.report.money import readable
from riskshare.report.picture import write_waterfalls
from riskshare.report.waterfall import MOST, text_waterfall, waterfall

SVG = "{http://www.w3.org/2000/svg}"
AXES = ("driver", "term", "line", "year", "member")


@pytest.mark.parametrize(
    ("name", "axes"), [("msk-toy", ("driver",)), ("mid-nottinghamshire-msk", AXES[1:])]
)
def test_start_parts_and_end_are_those_of_the_summary(name, axes):
    case = rs.load_case(name)
    parts = rs.attribute(case, samples=256, levels=(0.9,), by=axes, discount_rate=0.1)
    table = rs.summarise(rs.simulate(case, samples=256, keep=("position",)), discount_rate=0.1)
    for partner in ("acute", "commissioner", "system"):
        own = table.sel(partner=partner, year="all")
        planned = float(parts.position_at_plan.sel(partner=partner, year="all"))
        for axis in AXES:
            found = waterfall(parts, partner, axis)
            assert (found is None) == (
                axis not in axes or (axis, partner == "system") == ("member", False)
            )
            if found is None:
                continue
            mean, worst = found.ways
            ends = float(own.position_mean), -float(own.position_tail_value_at_risk.sel(level=0.9))
            for way, end in zip((mean, worst), ends, strict=True):
                np.testing.assert_allclose(way.end, end, rtol=1e-9)
                # parts that are left out as rounding are below a millionth each
                np.testing.assert_allclose(way.levels()[-1], end, rtol=1e-5)
                assert len(way.effects) == len(way.errors) == len(found.names)
                assert way.start == planned


def made(effects, start=0.0):
    """Parts as of an attribution by term, the tail half as far from nothing as the mean."""
    effects = np.asarray(effects, np.float64)
    of = {"year": ["all"], "partner": ["commissioner"], "level": [0.95]}
    of |= {"term": [f"term {i}" for i in range(len(effects))], "kind": ("partner", ["payer"])}
    row, part = ("year", "partner"), ("term", "year", "partner")
    planned = np.where(np.arange(len(effects)) == 0, start, 0.0)
    end = start + effects.sum()
    variables = {
        "position_at_plan": (row, [[start]]),
        "position_at_plan_by_term": (part, planned[:, None, None]),
        "position_mean": (row, [[end]]),
        "position_mean_by_term": (part, (planned + effects)[:, None, None]),
        "position_tail_value_at_risk": (("level", *row), [[[-(start + effects.sum() / 2)]]]),
        "position_tail_value_at_risk_by_term": (
            ("level", *part),
            -(planned + effects / 2)[None, :, None, None],
        ),
    }
    variables |= {
        f"{name}_error": (dims, np.full(np.shape(values), 0.1))
        for name, (dims, values) in variables.items()
        if "plan" not in name
    }
    attrs = {"samples": 64, "seed": 1, "prices": "nominal", "discount_rate": 0.0}
    return xr.Dataset(variables, of, attrs)


def test_many_parts_are_joined_and_nothing_is_lost():
    effects = [100.0 * (-1) ** i / (1 + i) for i in range(30)]
    found = waterfall(made(effects), "commissioner", "term")
    assert len(found.names) == MOST + 1
    assert found.names[-1] == f"other ({30 - MOST})"
    assert set(found.others) == {f"term {i}" for i in range(MOST, 30)}
    np.testing.assert_allclose(found.ways[0].effects[-1], sum(effects[MOST:]))
    np.testing.assert_allclose(found.ways[0].errors[-1], 0.1 * (30 - MOST))
    np.testing.assert_allclose(found.ways[0].levels()[-1], sum(effects))


def test_parts_that_are_small_on_average_but_not_in_the_tail_are_shown():
    of = made([100.0, 0.001, 0.001, 50.0])
    of["position_tail_value_at_risk_by_term"].loc[{"term": "term 1"}] = -70.0
    found = waterfall(of, "commissioner", "term")
    assert found.names == ("term 0", "term 1", "term 2", "term 3")
    of["position_tail_value_at_risk_by_term"].loc[{"term": "term 1"}] = -0.001
    found = waterfall(of, "commissioner", "term")
    assert found.names == ("term 0", "term 3", "other (2)")


def drawn(path, panel=0):
    """Left end, right end and colour of the bars of one panel of a picture with one waterfall."""
    root = ET.parse(path).getroot()
    bars = [
        (float(bar.get("x")), float(bar.get("x")) + float(bar.get("width")), bar.get("fill"))
        for bar in root.iter(f"{SVG}rect")
        if bar.get("fill") != "#fff"
    ]
    half = len(bars) // 2
    return bars[panel * half : (panel + 1) * half]


def test_bars_stand_where_the_last_ended_below_and_above_nothing(tmp_path):
    """From -20 by +100, -150, +30 to -40: across zero twice, and back."""
    effects = [100.0, -150.0, 30.0]
    of = made(effects, start=-20.0)
    path = write_waterfalls(tmp_path / "way.svg", rs.load_case("msk-toy"), of, ["commissioner"])
    first, *steps, last = drawn(path)
    scale = (steps[1][1] - steps[1][0]) / 150
    zero = first[1]  # the start lies below nothing, so its bar ends there
    ends = []
    for level, effect, bar in zip((-20, 80, -70), effects, steps, strict=True):
        begin = bar[0] if effect > 0 else bar[1]
        np.testing.assert_allclose(begin, zero + scale * level, atol=0.11)
        np.testing.assert_allclose(bar[1] - bar[0], scale * abs(effect), atol=0.11)
        ends.append(bar[1] if effect > 0 else bar[0])
    np.testing.assert_allclose([last[0], last[1]], [zero - 40 * scale, zero], atol=0.11)
    assert steps[0][2] == steps[2][2] != steps[1][2]
    for end, bar in pairwise([*zip(ends, steps, strict=True)]):
        assert min(abs(end[0] - bar[1][0]), abs(end[0] - bar[1][1])) < 0.11


def test_an_axis_far_from_nothing_is_cut_and_it_is_said(tmp_path):
    of = made([1.0, -2.0], start=1000.0)
    case = rs.load_case("msk-toy")
    text = write_waterfalls(tmp_path / "way.svg", case, of, ["commissioner"]).read_text()
    assert "does not begin at 0" in text
    assert text.count('stroke="#fff"') == 4  # the start and the end of both panels
    near = made([1000.0, -400.0], start=100.0)
    text = write_waterfalls(tmp_path / "near.svg", case, near, ["commissioner"]).read_text()
    assert 'stroke="#fff"' not in text


def test_text_bars_follow_the_running_sum():
    found = waterfall(made([100.0, -50.0], start=0.0), "commissioner", "term")
    table = text_waterfall(found, readable("GBP", [100.0]))
    bars = list(table.columns[-1].cells)
    width = len(bars[1])
    assert set(bars[1].strip()) == {"+"}
    assert set(bars[2].strip()) == {"-"}
    assert len(bars[2]) == width  # it goes back from where the first ended
    assert abs(len(bars[2].strip()) - width / 2) <= 1
    assert abs(len(bars[3]) - width / 2) <= 1


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)


def test_the_command_draws_what_it_is_asked_for(tmp_path):
    options = ("attribute", "msk-toy", "--samples", "64", "--by", "term", "--partner", "acute")
    for name in ("deep/way.svg", "way.html", "way.csv"):
        answer = run(*options, "--out", tmp_path / name)
        assert answer.exit_code == 0, answer.output
        assert (tmp_path / name).exists()
    page = (tmp_path / "way.html").read_text()
    assert page.count("<svg") == 1
    assert "acute, from plan to position by term" in page
    assert "commissioner, from plan" not in page
    ET.parse(tmp_path / "deep" / "way.svg")
    answer = run(*options, "--out", tmp_path / "folder")
    assert {path.name for path in (tmp_path / "folder").iterdir()} == {
        "attribution.csv",
        "attribution.html",
    }
    assert "plan to position" in answer.stdout
    wrong = run(*options, "--out", tmp_path / "way.png")
    assert isinstance(wrong.exception, rs.ArgumentError)
    assert ".svg" in str(wrong.exception)
