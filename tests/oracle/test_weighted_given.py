"""Runs of a planner's that do not count alike: weights go with the runs, through to every figure.

A run of weight 2 is two runs of weight 1.
"""

import io

import numpy as np
import pytest
import xarray as xr
from builders import PROVIDER, case, line

import riskshare as rs
from riskshare.report.uncertainty import print_waiting
from riskshare.report.whole import screen

RUNS = 40
VALUES = np.random.default_rng(3).normal(10_000.0, 500.0, RUNS)
WEIGHT = np.random.default_rng(4).integers(0, 4, RUNS).astype(np.float64)


def given(values, weight=None, dim="run"):
    found = xr.Dataset(
        {"activity": (("year", "line", dim), values[None, None])},
        {"year": ["2018/19"], "line": ["spells"]},
    )
    return found if weight is None else found.assign(weight=(dim, weight))


def small():
    return case([line()])


@pytest.mark.parametrize("read", [True, False])
def test_a_weighted_run_counts_as_often_as_its_weight_says(read):
    of = small()
    draws = given(VALUES, WEIGHT)
    weighted = rs.read_draws(draws, of) if read else draws
    found = rs.summarise(rs.simulate(of, given=weighted, precision="float64"))
    times = WEIGHT.astype(int)
    alike = given(np.repeat(VALUES, times))
    known = rs.summarise(rs.simulate(of, given=alike, precision="float64"))
    for name in ("position_mean", "position_quantile", "position_tail_value_at_risk"):
        np.testing.assert_allclose(
            found[name].sel(partner=PROVIDER), known[name].sel(partner=PROVIDER), rtol=1e-12
        )
    assert found.attrs["effective_samples"] == pytest.approx(WEIGHT.sum() ** 2 / (WEIGHT**2).sum())


def test_repeats_of_a_run_have_its_weight_and_draws_keep_it():
    of = small()
    weighted = given(VALUES, WEIGHT, dim="sample")
    outcomes = rs.simulate(of, given=weighted, repeats=3)
    np.testing.assert_array_equal(outcomes.weight, np.repeat(WEIGHT, 3))
    drawn = rs.draw(of, given=weighted)
    np.testing.assert_array_equal(drawn.weight, WEIGHT)
    mean = np.average(outcomes.position.sel(partner=PROVIDER)[0], weights=outcomes.weight)
    table = rs.summarise(outcomes)
    assert float(table.position_mean.sel(partner=PROVIDER, year="all")) == pytest.approx(mean)


def test_a_weight_that_stands_as_a_coordinate_is_no_less_one():
    of = small()
    as_coordinate = given(VALUES, WEIGHT).set_coords("weight")
    outcomes = rs.simulate(of, given=rs.read_draws(as_coordinate, of))
    np.testing.assert_array_equal(outcomes.weight, WEIGHT)
    array = rs.read_draws(as_coordinate.activity, of)
    np.testing.assert_array_equal(array.weight, WEIGHT)


def test_other_weights_are_another_digest():
    of = small()
    digests = {
        rs.simulate(of, given=draws).attrs["given_digest"]
        for draws in (given(VALUES), given(VALUES, WEIGHT), given(VALUES, WEIGHT[::-1]))
    }
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("weight", "told"),
    [
        (-WEIGHT, "weight: holds what is negative or not finite"),
        (np.full(RUNS, np.nan), "weight: holds what is negative or not finite"),
        (0 * WEIGHT, "weight: found 0 in every run; accepted: some above 0"),
    ],
)
def test_weights_that_are_none_are_refused(weight, told):
    with pytest.raises(rs.ExperienceError, match=told):
        rs.simulate(small(), given=given(VALUES, weight))


def test_a_table_of_weights_is_told_where_they_may_stand(tmp_path):
    file = tmp_path / "draws.csv"
    file.write_text("run,line,year,value,weight\n1,spells,2018/19,10000,0.5\n")
    with pytest.raises(rs.ExperienceError, match=r"weight: .*xarray\.Dataset, with weight on run"):
        rs.read_draws(file, small())


def shown(outcomes):
    console = screen(io.StringIO(), 100)
    print_waiting(console, outcomes)
    return console.file.getvalue()


def test_waiting_lists_are_printed_as_weights_say():
    noise = rs.Noise(law="poisson")
    of = case([line(noise=noise, capacity=rs.Capacity(units=9_990, waiting=50))], count=2)
    outcomes = rs.simulate(of, samples=64, sampler="pseudo-random")
    weight = np.random.default_rng(5).integers(0, 5, 64)
    weighted = outcomes.assign(weight=("sample", weight.astype(np.float64)))
    repeated = outcomes.isel(sample=np.repeat(np.arange(64), weight))
    assert shown(weighted) == shown(repeated) != shown(outcomes)
    values = repeated.waiting_list.sel(line="spells", year="2018/19").values.astype(np.float64)
    low = np.quantile(values, 0.05, method="inverted_cdf")
    assert f"{values.mean():,.0f}" in shown(weighted)
    assert f"{low:,.0f}" in shown(weighted)
