"""The total of an organisation, its duty and its reserve: closed forms and worked numbers."""

from math import sqrt

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from riskshare.errors import ArgumentError
from riskshare.summary import summarise

SAMPLES = 100_000
PARTNERS = ["payer", "acute", "council", "fund", "outside"]
KINDS = ["payer", "provider", "council", "pool", "external"]
CHANCES = [
    "position_probability_of_deficit",
    "total_probability_of_missing_target",
    "total_probability_of_breaching_duty",
    "reserve_probability_of_exhaustion",
]
NONE = np.nan


def outcomes(position, *, kinds=None, target=0.0, groups=None, other=None, **coords):
    """Outcomes as `simulate` labels them: position has shape (year, partner, sample)."""
    position = np.asarray(position)
    years, partners, _ = position.shape
    by_partner = ("year", "partner")
    kinds = kinds or ["provider"] * partners
    groups = {"system": [kind != "external" for kind in kinds]} | (groups or {})
    found = xr.Dataset(
        {"position": ((*by_partner, "sample"), position)},
        {
            "year": [f"year {i}" for i in range(years)],
            "partner": PARTNERS[:partners],
            "kind": ("partner", kinds),
            "target": (by_partner, np.broadcast_to(target, position.shape[:2])),
            "partner_group": list(groups),
            "membership": (("partner_group", "partner"), list(groups.values())),
        },
        {"currency": "GBP"},
    )
    if other is not None:
        found["other_position"] = ((*by_partner, "sample"), np.asarray(other))
    for name, value in coords.items():
        dims = "partner" if name == "opening_reserve" else by_partner
        shape = (partners,) if name == "opening_reserve" else position.shape[:2]
        found = found.assign_coords({name: (dims, np.broadcast_to(value, shape))})
    return found


def one(table, year="year 0", partner="payer"):
    return table.sel(year=year, partner=partner)


def within(found, error, truth, standard_error):
    """Within four standard errors of the truth, the error reported being that of theory."""
    assert abs(float(found) - truth) < 4 * standard_error
    assert float(error) == pytest.approx(standard_error, rel=0.1)


def test_a_normal_total():
    # Position N(2, 3²) and the rest N(-1, 4²), correlated 0.5: total N(1, 9 + 16 + 12)
    rng = np.random.default_rng(11)
    x, y = rng.multivariate_normal([2, -1], [[9, 6], [6, 16]], SAMPLES).T
    table = one(summarise(outcomes([[x]], other=[[y]], target=-3.0, duty=-6.0)))
    law = stats.norm(1, sqrt(37))
    within(table.total_mean, table.total_mean_error, 1, sqrt(37 / SAMPLES))
    error = table.total_standard_deviation_error
    within(table.total_standard_deviation, error, sqrt(37), sqrt(37 / 2 / SAMPLES))
    for name, line in (("missing_target", -3), ("breaching_duty", -6)):
        chance = law.cdf(line)
        name = f"total_probability_of_{name}"
        within(table[name], table[f"{name}_error"], chance, sqrt(chance * (1 - chance) / SAMPLES))
    chance = stats.norm(2, 3).cdf(-3)
    found = table.position_probability_of_deficit
    assert abs(float(found) - chance) < 4 * sqrt(chance * (1 - chance) / SAMPLES)


def test_a_reserve_on_a_normal_random_walk():
    # Balances 4 + X1 and 4 + X1 + X2 with X1 ~ N(-1, 3²), X2 ~ N(1, 4²): their joint law is normal
    x = np.random.default_rng(12).normal([[[-1]], [[1]]], [[[3]], [[4]]], (2, 1, SAMPLES))
    table = summarise(outcomes(x, opening_reserve=4.0))
    walk = stats.multivariate_normal([3, 4], [[9, 9], [9, 25]])
    both_solvent = walk.cdf([np.inf, np.inf], lower_limit=[0, 0])
    first, ever = stats.norm(3, 3).cdf(0), 1 - both_solvent
    for year, chance in (("year 0", first), ("year 1", ever), ("all", ever)):
        at = one(table, year)
        found = at.reserve_probability_of_exhaustion
        error = at.reserve_probability_of_exhaustion_error
        within(found, error, chance, sqrt(chance * (1 - chance) / SAMPLES))
    assert ever > stats.norm(4, 5).cdf(0) + 0.01  # who recovers was exhausted all the same


def test_a_reserve_by_hand():
    # Opening 5. Exhausted in year 0 though it recovers; at 0, which is not below; in year 1; never.
    first, second = [-6.0, -5, -3, 1], [10.0, 0, -3, 1]
    found = summarise(outcomes([[first], [second]], opening_reserve=5.0))
    found = found.reserve_probability_of_exhaustion.sel(partner="payer")
    assert found.values.tolist() == [0.25, 0.5, 0.5]


def test_a_reserve_is_drawn_on_by_the_total():
    found = summarise(
        outcomes([[[-6.0, 1]], [[1.0, 1]]], other=[[[2.0, 0]], [[-3.0, 0]]], opening_reserve=5.0)
    )
    found = found.reserve_probability_of_exhaustion.sel(partner="payer")
    assert found.values.tolist() == [0, 0.5, 0.5]


def test_no_other_position_adds_nothing():
    rng = np.random.default_rng(13)
    x, y = rng.standard_normal((2, 2, 2, 400))
    y[:, 1] = NONE
    table = summarise(outcomes(x, other=y, duty=0.0))
    for statistic in ("mean", "standard_deviation"):
        total = table[f"total_{statistic}"]
        expected = table[f"position_{statistic}"].sel(partner="acute")
        np.testing.assert_array_equal(total.sel(partner="acute"), expected)
    np.testing.assert_allclose(one(table).total_mean, (x + y)[0, 0].mean())
    system = (x[:, 0] + x[:, 1] + y[:, 0]).sum(axis=0)
    np.testing.assert_allclose(one(table, "all", "system").total_mean, system.mean(), rtol=1e-12)


def test_a_total_with_a_nan_is_nan_throughout():
    x = np.zeros((2, 2, 50))
    y = np.zeros((2, 2, 50))
    y[1, 0, 7] = NONE
    table = summarise(outcomes(x, other=y, duty=0.0, opening_reserve=1.0))
    names = [name for name in table.data_vars if str(name).startswith(("total", "reserve"))]
    assert len(names) == 10
    for name in names:
        for year in ("year 1", "all"):
            assert np.isnan(table[name].sel(year=year, partner=["payer", "system"])).all()
        assert not np.isnan(one(table)[name])
        assert not np.isnan(table[name].sel(partner="acute")).any()
    assert not np.isnan(table.position_mean).any()


def many(samples=500):
    rng = np.random.default_rng(14)
    other = rng.standard_normal((2, 5, samples)) * 10
    other[:, 2:] = NONE
    return outcomes(
        rng.standard_normal((2, 5, samples)) * 10,
        kinds=KINDS,
        target=rng.standard_normal((2, 5)),
        groups={"place": [True, True, False, True, True]},
        other=other,
        duty=rng.standard_normal((2, 5)) * 5,
        opening_reserve=[8.0, 5, NONE, NONE, NONE],
    )


def test_groups_and_all_years_are_sums():
    given = many()
    table = summarise(given)
    x = given.position.values + np.nan_to_num(given.other_position.values)
    duty, target = given.duty.values, given.target.values
    rows = {name: [i] for i, name in enumerate(PARTNERS[:3])}
    rows |= {"system": [0, 1, 2, 3], "place": [0, 1, 3, 4]}
    for partner, members in rows.items():
        for year, years in (("year 0", [0]), ("year 1", [1]), ("all", [0, 1])):
            at = one(table, year, partner)
            series = x[np.ix_(years, members)].sum(axis=(0, 1))
            low = duty[np.ix_(years, members)].sum()
            missed = series < target[np.ix_(years, members)].sum()
            assert float(at.duty) == pytest.approx(low)
            np.testing.assert_allclose(at.total_mean, series.mean(), rtol=1e-9)
            np.testing.assert_allclose(at.total_standard_deviation, series.std(ddof=1))
            assert at.total_probability_of_breaching_duty == (series < low).mean()
            assert at.total_probability_of_missing_target == missed.mean()
            error = missed.std(ddof=1) / sqrt(500)
            np.testing.assert_allclose(at.total_probability_of_missing_target_error, error)


def test_a_group_has_a_reserve_if_each_organisation_in_it_has():
    given = many()
    table = summarise(given)
    assert table.opening_reserve.sel(partner=["payer", "acute", "place"]).values.tolist() == [
        8,
        5,
        13,
    ]
    found = table.reserve_probability_of_exhaustion
    without = ["council", "fund", "outside", "system"]  # the council has none, and so the system
    assert np.isnan(table.opening_reserve.sel(partner=without)).all()
    assert np.isnan(found.sel(partner=without)).all()
    x = (given.position + given.other_position.fillna(0)).values[:, [0, 1, 3, 4]].sum(axis=1)
    below = np.minimum(13 + x[0], 13 + x[0] + x[1]) < 0
    assert found.sel(partner="place", year="all") == below.mean()
    assert found.sel(partner="place", year="year 0") == (13 + x[0] < 0).mean()


def test_a_reserve_of_a_pool_counts_in_its_group_alone():
    given = many().assign_coords(opening_reserve=("partner", [8.0, 5, 2, 100, NONE]))
    table = summarise(given)
    assert table.opening_reserve.sel(partner="system") == 115
    assert np.isnan(table.reserve_probability_of_exhaustion.sel(partner=["fund", "outside"])).all()


def test_pools_and_external_partners_have_no_chances():
    given = many().assign_coords(opening_reserve=("partner", [1.0] * 5))
    table = summarise(given)
    for name in CHANCES:
        assert np.isnan(table[name].sel(partner=["fund", "outside"])).all()
        assert not np.isnan(table[name].sel(partner=["payer", "council", "system"])).any()


def test_break_even_taking_one_year_with_another():
    table = summarise(outcomes([[[-10.0]], [[10.0]]], duty=0.0))
    found = table.total_probability_of_breaching_duty.sel(partner="payer")
    assert found.values.tolist() == [1, 0, 0]


def test_rounding_of_floats_alone_breaches_nothing():
    noise = [[[-0.4, 0.4, -0.4]], [[-0.4, -0.4, 0.4]]]
    given = outcomes(
        noise, other=np.zeros((2, 1, 3)), duty=0.0, opening_reserve=0.0, resolution=0.5
    )
    for table, chance in (
        (summarise(given), 0),
        (summarise(given.assign_coords(midyear=("year", [0.5, 1.5])), discount_rate=0.5), 0),
        (summarise(given.drop_vars("resolution")), 2 / 3),
    ):
        for name in CHANCES:
            assert float(one(table)[name]) == pytest.approx(chance)
            assert (float(one(table, "all")[name]) > 0) == (chance > 0)


def test_a_small_position_beside_a_large_other_is_not_lost():
    x = np.array([[[1.0, 2, 3, 4]]], np.float32)
    given = outcomes(x, other=np.full((1, 1, 4), 1e9, np.float32), target=1e9)
    assert one(summarise(given)).total_mean == 1e9 + 2.5


def test_only_what_outcomes_hold_is_reported():
    given = many()
    bare = given.drop_vars(["other_position", "duty", "opening_reserve"])
    base = summarise(bare)
    assert not [name for name in base.data_vars if str(name).startswith(("total", "reserve"))]
    expected = {
        "other_position": {"mean", "standard_deviation", "probability_of_missing_target"},
        "duty": {"probability_of_breaching_duty"},
    }
    for name, statistics in expected.items():
        table = summarise(given.drop_vars({"other_position", "duty", "opening_reserve"} - {name}))
        assert set(table.data_vars) - set(base.data_vars) == {
            f"total_{statistic}{ending}" for statistic in statistics for ending in ("", "_error")
        }
    table = summarise(given.drop_vars(["other_position", "duty"]))
    found = set(table.data_vars) - set(base.data_vars)
    assert found == {f"reserve_probability_of_exhaustion{ending}" for ending in ("", "_error")}
    xr.testing.assert_identical(
        summarise(given)[list(base.data_vars)].drop_vars(["duty", "opening_reserve"]), base
    )


def test_errors_are_those_between_replicates():
    given = many(512)
    given["replicate"] = ("sample", np.arange(512) // 32)
    given = given.assign_coords(opening_reserve=("partner", [8.0] * 5))
    at = one(summarise(given), "all", "acute")
    x = (given.position + given.other_position).sel(partner="acute").values
    exhausted = np.minimum(8 + x[0], 8 + x[0] + x[1]) < 0
    for name, influence in (
        ("total_mean", x.sum(axis=0)),
        ("reserve_probability_of_exhaustion", exhausted),
    ):
        by_replicate = influence.reshape(16, 32).mean(axis=1)
        np.testing.assert_allclose(at[f"{name}_error"], by_replicate.std(ddof=1) / 4)


def test_order_of_dimensions_does_not_matter():
    given = many()
    xr.testing.assert_identical(summarise(given), summarise(given.transpose()))


def test_further_dimensions_stay():
    given = many()
    index = xr.IndexVariable("contract", ["old", "new"])
    both = xr.concat([given, given * 2], index)
    doubled = xr.DataArray([1, 2], dims="contract")
    both = both.assign_coords(
        {name: both[name] * doubled for name in ("target", "duty", "opening_reserve")}
    )
    table, alone = summarise(both), summarise(given)
    for name in alone.data_vars:
        factor = 1 if "probability" in name else 2
        assert table[name].dims == ("contract", *alone[name].dims)
        np.testing.assert_allclose(table[name].sel(contract="old"), alone[name])
        np.testing.assert_allclose(table[name].sel(contract="new"), factor * alone[name])


@pytest.mark.parametrize("name", ["other_position", "duty", "opening_reserve"])
def test_a_further_dimension_of_one_part_spreads_to_its_statistics(name):
    given = many()
    sizes = xr.DataArray([1.0, 3.0], dims="setting")
    changed = given.assign({name: given[name] * sizes})
    if name != "other_position":
        changed = changed.set_coords(name)
    table = summarise(changed)
    for i, size in enumerate(sizes.values):
        each = given.assign({name: given[name] * size})
        alone = summarise(each if name == "other_position" else each.set_coords(name))
        for variable in alone.data_vars:
            found = table[variable]
            found = found.isel(setting=i) if "setting" in found.dims else found
            np.testing.assert_allclose(found, alone[variable])
    assert "setting" not in table.position_mean.dims


def test_the_table_says_what_it_holds():
    table = summarise(many())
    for name in table.data_vars:
        assert table[name].attrs["long_name"]
        assert table[name].attrs["units"] == ("1" if "probability" in name else "GBP")
    assert table.duty.attrs["units"] == table.opening_reserve.attrs["units"] == "GBP"


def test_an_other_position_needs_its_dimensions():
    given = many()
    given["other_position"] = given.other_position.isel(sample=0)
    with pytest.raises(ArgumentError, match="other_position has no dimension sample"):
        summarise(given)
