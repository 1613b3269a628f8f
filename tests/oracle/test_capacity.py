"""Capacity: activity is the lesser of demand and capacity, and the list carries over the years."""

import numpy as np
import pytest
import scipy.stats as st
from builders import case, line, years
from judging import assert_mean

import riskshare as rs
from riskshare.bind import bind

SAMPLES = 65_536


def limited(count=3, *, noise=None, start=None, **limit):
    """A line of 10,000 with a capacity."""
    noise = rs.Noise(law="gamma", cv=0.1) if noise is None else noise
    lines = [line(noise=noise, capacity=rs.Capacity(**limit)), line("free", baseline=500)]
    return case(lines, years=years(count, start=start))


def test_one_year_has_the_closed_form_of_a_limited_mean():
    draws = rs.draw(limited(1, units=10_200.0, waiting=500.0), samples=SAMPLES, seed=3)
    demand = st.gamma(100, scale=100)
    limit = 9700.0
    lost = demand.expect(lambda d: d - limit, lb=limit)
    assert_mean(draws.activity[0, 0], 500 + demand.mean() - lost)
    assert_mean(draws.waiting_list[0, 0], lost)
    assert np.isnan(draws.waiting_list[0, 1]).all()
    assert (draws.activity[0, 1] == 500).all()


def test_the_list_is_carried_year_by_year():
    of = limited(3, units=10_200.0, waiting=500.0, leaving=0.1)
    free = rs.draw(limited(3, units=1e9), samples=4096, seed=3).activity.values[:, 0]
    draws = rs.draw(of, samples=4096, seed=3)
    waiting = np.full(4096, 500.0)
    for y in range(3):
        wanted = waiting + free[y]
        treated = np.minimum(wanted, 10_200.0)
        np.testing.assert_allclose(draws.activity[y, 0], treated, rtol=1e-6)
        np.testing.assert_allclose(draws.waiting_list[y, 0], wanted - treated, atol=0.01)
        waiting = 0.9 * (wanted - treated)


def test_what_is_drawn_settles_to_what_is_simulated():
    of = limited(3, units=10_200.0, waiting=500.0)
    simulated = rs.simulate(of, samples=4096, seed=3)
    settled = rs.settle(of, rs.draw(of, samples=4096, seed=3))
    assert set(simulated.data_vars) == set(settled.data_vars)
    np.testing.assert_array_equal(simulated.waiting_list, settled.waiting_list)
    np.testing.assert_allclose(simulated.position, settled.position, rtol=1e-5, atol=10)


def test_a_part_year_treats_a_part_of_it():
    import datetime

    of = limited(1, start=datetime.date(2018, 10, 1), noise=rs.Noise(law="gamma", cv=0), units=9000)
    draws = rs.draw(of, samples=16)
    np.testing.assert_allclose(draws.activity[0, 0], 4500, rtol=1e-6)
    np.testing.assert_allclose(draws.waiting_list[0, 0], 500, atol=0.01)


def test_the_plan_is_what_capacity_lets_through():
    of = limited(3, units=(9000.0, 9000.0, 12_000.0), leaving=0.5)
    # 1,000 wait after the first year, half of whom stay; 1,500 and again half after the second
    np.testing.assert_allclose(bind(of).plan.view.plan[:, 0], [9000, 9000, 10_750])


def test_bad_capacities_are_refused():
    with pytest.raises(rs.CaseError, match=r"lines.spells.capacity.units: found -1"):
        limited(1, units=-1)
    with pytest.raises(rs.CaseError, match=r"lines.spells.capacity.leaving: found 5"):
        limited(1, units=10, leaving=5)


def test_given_activity_is_taken_as_it_is():
    import xarray as xr

    of = limited(3, units=[1200.0, 1240.0, 1300.0], waiting=300.0)
    given = xr.Dataset(
        {"activity": (("sample", "year", "line"), np.full((32, 3, 1), 1000.0))},
        {"year": list(of.labels()["year"]), "line": ["spells"]},
    )
    draws = rs.draw(of, given=given, chance="included")
    assert (draws.activity.sel(line="spells") == 1000).all()
