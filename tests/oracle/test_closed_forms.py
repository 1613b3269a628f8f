"""Positions with a closed form: normal deviations through bands, at ten million samples."""

import numpy as np
import pytest
import scipy.stats as st
from builders import PROVIDER, case, line
from scipy.integrate import quad

import riskshare as rs

SD, BASE = 0.04, 20_000_000.0
BANDS = {"up": [(0.01, 0.3), (0.05, 0.7)], "down": [(0.02, 0.5), (0.06, 0.2)]}
"""From which deviation on, and at which rate."""


def adjustment(deviation):
    """What the bands pay at deviations from plan, as a share of plan: a rising function."""
    d = np.asarray(deviation, np.float64)

    def side(part, bands):
        ends = [beyond for beyond, _ in bands[1:]] + [np.inf]
        return sum(
            rate * np.clip(part - beyond, 0, end - beyond)
            for (beyond, rate), end in zip(bands, ends, strict=True)
        )

    return BASE * (side(np.maximum(d, 0), BANDS["up"]) - side(np.maximum(-d, 0), BANDS["down"]))


@pytest.fixture(scope="module")
def table():
    """The summary of ten million samples of a provider of fixed cost with a banded block."""
    demand = rs.Driver(name="demand", acts_on="activity", law="normal", sd=SD)
    bands = [
        rs.Band(beyond={"up": up[0], "down": down[0]}, rate={"up": up[1], "down": down[1]})
        for up, down in zip(BANDS["up"], BANDS["down"], strict=True)
    ]
    fixed = rs.CostBehaviour(variable=0.0, fixed=1.0, exit_basis="planned")
    of = case(
        [line(loadings={"demand": 1.0}, cost=fixed)],
        [rs.Block(), rs.MarginalRate(bands=bands)],
        drivers=[demand],
    )
    outcomes = rs.simulate(
        of, samples=10_000_000, seed=8, sampler="pseudo-random", keep=("position",)
    )
    assert outcomes.sizes["sample"] == 10_000_000
    return rs.summarise(outcomes).sel(year="2018/19", partner=PROVIDER)


def within(table, name, expected, **at):
    """Whether a statistic is within four of its standard errors."""
    found, error = (float(table[n].sel(at)) for n in (name, f"{name}_error"))
    # 32-bit positions of 20 million are rounded to the nearest 2
    assert abs(found - expected) < 4 * error + 2, (name, at, found, expected, error)
    assert error < 2e-2 * BASE * SD
    return True


def test_the_mean_is_that_of_normal_layers(table):
    def layer(beyond):
        b = beyond / SD
        return SD * st.norm.pdf(b) - beyond * st.norm.sf(b)

    steps = {"up": [0.3, 0.4], "down": [0.5, -0.3]}
    mean = sum(
        sign * step * layer(beyond)
        for way, sign in (("up", 1), ("down", -1))
        for step, (beyond, _) in zip(steps[way], BANDS[way], strict=True)
    )
    assert within(table, "position_mean", BASE * mean)


def test_the_standard_deviation_is_that_of_the_bands(table):
    def moment(power):
        return quad(
            lambda z: adjustment(SD * z) ** power * st.norm.pdf(z),
            -9,
            9,
            points=[b / SD for b in (-0.06, -0.02, 0.01, 0.05)],
            limit=200,
        )[0]

    assert within(table, "position_standard_deviation", np.sqrt(moment(2) - moment(1) ** 2))


@pytest.mark.parametrize("level", [0.005, 0.05, 0.25, 0.5, 0.75, 0.95, 0.995])
def test_quantiles_are_those_of_the_normal_through_the_bands(table, level):
    expected = adjustment(SD * st.norm.ppf(level))
    assert within(table, "position_quantile", float(expected), level=level)


@pytest.mark.parametrize("level", [0.75, 0.95, 0.995])
def test_tail_averages_are_those_of_the_normal_through_the_bands(table, level):
    edge = st.norm.ppf(1 - level)
    points = [b / SD for b in (-0.06, -0.02) if b / SD < edge]
    tail = quad(lambda z: adjustment(SD * z) * st.norm.pdf(z), -9, edge, points=points, limit=200)
    assert within(table, "position_tail_value_at_risk", -tail[0] / (1 - level), level=level)


def test_the_chance_of_a_deficit_is_that_of_falling_below_the_lower_band(table):
    found = float(table.position_probability_of_deficit)
    error = float(table.position_probability_of_deficit_error)
    assert abs(found - st.norm.cdf(-0.02 / SD)) < 4 * error + 2e-6
