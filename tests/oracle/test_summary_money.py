"""Nominal, real and present values: what money of a year counts for, worked by hand."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from riskshare.errors import ArgumentError
from riskshare.summary import summarise

MIDYEAR = [0.5, 1.5, 2.25]
DEFLATOR = [1.0, 1.02, 1.05]
MONEY = ["position", "received", "paid", "cost", "cash", "underlying", "other_position"]
BY_PARTNER = ("year", "partner", "sample")


def outcomes(samples=40, **variables):
    """Three years, the last a half, of a payer and a provider."""
    rng = np.random.default_rng(21)
    found = {name: (BY_PARTNER, rng.normal(1, 5, (3, 2, samples))) for name in MONEY}
    found["line_cost"] = (("year", "line", "sample"), rng.random((3, 4, samples)))
    found["posting"] = (("year", "term", "partner", "sample"), rng.random((3, 5, 2, samples)))
    found |= {name: (BY_PARTNER, np.asarray(value)) for name, value in variables.items()}
    by_year = {
        name: (("year", "partner"), rng.random((3, 2))) for name in ("target", "duty", "turnover")
    }
    return xr.Dataset(
        found,
        {
            "year": ["2024/25", "2025/26", "half"],
            "partner": ["payer", "acute"],
            "kind": ("partner", ["payer", "provider"]),
            "partner_group": ["system"],
            "membership": (("partner_group", "partner"), [[True, True]]),
            "midyear": ("year", MIDYEAR),
            "deflator": ("year", DEFLATOR),
            "opening_reserve": ("partner", [3.0, 4.0]),
            **by_year,
        },
        {"currency": "GBP"},
    )


def test_the_sum_over_years_is_nominal_unless_asked():
    given = outcomes()
    table = summarise(given)
    assert table.attrs["prices"] == "nominal"
    assert table.attrs["discount_rate"] == 0.0
    for name in ("cash", "underlying", "position"):
        found = table[f"{name}_mean"].sel(year="all", partner="acute")
        assert float(found) == pytest.approx(given[name].sel(partner="acute").sum("year").mean())
    xr.testing.assert_identical(table, summarise(given, discount_rate=0.0, prices="nominal"))
    old = given.drop_vars(["midyear", "deflator"])
    xr.testing.assert_identical(table, summarise(old, discount_rate=0))


def test_present_value_by_hand():
    # At 21 % half a year is 1.1: 110 is worth 100, 200 x 1.1³ is worth 200, 1.1⁵ is worth 1
    amounts = np.array([110.0, 266.2, 1.61051])
    flat = np.broadcast_to(amounts[:, None, None], (3, 2, 8))
    given = outcomes(8, **dict.fromkeys(MONEY, flat))
    given = given.assign_coords(
        midyear=("year", [0.5, 1.5, 2.5]),
        target=(("year", "partner"), np.stack([amounts, -amounts], axis=1)),
    )
    table = summarise(given, discount_rate=0.21).sel(year="all", partner="acute")
    for name in MONEY[:-1]:
        assert float(table[f"{name}_mean"]) == pytest.approx(301)
    assert float(table.total_mean) == pytest.approx(602)
    assert float(table.target) == pytest.approx(-301)
    np.testing.assert_allclose(table.position_quantile, 301)
    np.testing.assert_allclose(table.position_value_at_risk, -301)
    assert table.position_standard_deviation == pytest.approx(0, abs=1e-9)


def test_real_terms_by_hand():
    amounts = np.array([100.0, 102, 105])
    flat = np.broadcast_to(amounts[:, None, None], (3, 2, 8))
    table = summarise(outcomes(8, **dict.fromkeys(MONEY, flat)), prices="real")
    for name in MONEY[:-1]:
        found = table[f"{name}_mean"].sel(partner="acute")
        np.testing.assert_allclose(found, [100, 100, 100, 300])
    assert table.attrs["prices"] == "real"
    np.testing.assert_allclose(table.total_mean.sel(partner="system"), [400, 400, 400, 1200])


DISCOUNTED = 1.035 ** -np.array(MIDYEAR)


@pytest.mark.parametrize(
    ("keywords", "yearly", "summed"),
    [
        ({"discount_rate": 0.035}, np.ones(3), DISCOUNTED),
        ({"prices": "real"}, 1 / np.array(DEFLATOR), 1 / np.array(DEFLATOR)),
        (
            {"discount_rate": 0.035, "prices": "real"},
            1 / np.array(DEFLATOR),
            DISCOUNTED / np.array(DEFLATOR),
        ),
        ({"discount_rate": -0.02}, np.ones(3), 0.98 ** -np.array(MIDYEAR)),
    ],
    ids=["present value", "real", "real present value", "negative rate"],
)
def test_all_money_follows(keywords, yearly, summed):
    # as if the years had been written in that money, then summed
    given = outcomes()
    found = summarise(given, **keywords)
    for years, weights in ((found.year.values[:3], yearly), (["all"], summed)):
        weight = xr.DataArray(weights, dims="year", coords={"year": given.year})
        scaled = given.assign({name: given[name] * weight for name in given.data_vars})
        scaled = scaled.assign_coords(
            {name: given[name] * weight for name in ("target", "duty", "turnover")}
        )
        expected = summarise(scaled)
        assert "posting_mean" in expected
        names = [name for name in expected.data_vars if not str(name).startswith("reserve")]
        for name in (*names, "target", "duty", "turnover"):
            transposed = found[name].sel(year=years), expected[name].sel(year=years)
            np.testing.assert_allclose(*transposed, rtol=1e-9, atol=1e-12)


def test_present_value_of_a_normal_position():
    # N(1, 2²), N(-2, 3²) and N(1, 1), independent: the present value is normal
    means, deviations, samples = np.array([1, -2, 1]), np.array([2, 3, 1]), 100_000
    x = np.random.default_rng(22).normal(
        means[:, None, None], deviations[:, None, None], (3, 2, samples)
    )
    given = outcomes(samples, position=x)
    given = given.assign_coords(target=(("year", "partner"), np.full((3, 2), -0.5)))
    at = summarise(given, discount_rate=0.2).sel(year="all", partner="acute")
    weights = 1.2 ** -np.array(MIDYEAR)
    law = stats.norm(weights @ means, np.sqrt(weights**2 @ deviations**2))
    assert abs(at.position_mean - law.mean()) < 4 * at.position_mean_error
    chance = law.cdf(-0.5 * weights.sum())
    error = np.sqrt(chance * (1 - chance) / samples)
    assert abs(at.position_probability_of_deficit - chance) < 4 * error
    for level in (0.05, 0.95):
        low = at.sel(level=level)
        assert abs(low.position_quantile - law.ppf(level)) < 4 * low.position_quantile_error


def test_discounting_moves_break_even_over_the_years():
    # -10 now and 10 later break even in nominal money, not at present value; the other way gains
    x = np.zeros((3, 2, 4))
    x[0], x[1] = [[-10.0], [10.0]], [[10.0], [-10.0]]
    given = outcomes(4, position=x, other_position=np.zeros_like(x))
    zero = (("year", "partner"), np.zeros((3, 2)))
    given = given.assign_coords(target=zero, duty=zero)
    for keywords, chances in (({}, [0, 0]), ({"discount_rate": 0.1}, [1, 0])):
        table = summarise(given, **keywords).sel(year="all", partner=["payer", "acute"])
        assert table.position_probability_of_deficit.values.tolist() == chances
        assert table.total_probability_of_missing_target.values.tolist() == chances
        assert table.total_probability_of_breaching_duty.values.tolist() == chances


def test_a_reserve_runs_out_in_whatever_money():
    given = outcomes(400)
    nominal = summarise(given).reserve_probability_of_exhaustion
    assert 0 < float(nominal.sel(year="all", partner="acute")) < 1
    for keywords in ({"discount_rate": 0.5}, {"prices": "real"}):
        found = summarise(given, **keywords)
        np.testing.assert_array_equal(found.reserve_probability_of_exhaustion, nominal)
        assert found.opening_reserve.values.tolist() == [3, 4, 7]


def test_a_deflator_may_differ_by_contract():
    given = outcomes()
    both = xr.concat([given, given], xr.IndexVariable("contract", ["low", "high"]))
    high = np.array(DEFLATOR) ** 2
    both = both.assign_coords(deflator=(("year", "contract"), np.stack([DEFLATOR, high], 1)))
    table = summarise(both, prices="real", discount_rate=0.035)
    for contract, deflator in (("low", DEFLATOR), ("high", high)):
        alone = given.assign_coords(deflator=("year", deflator))
        alone = summarise(alone, prices="real", discount_rate=0.035)
        for name in (*alone.data_vars, "target", "duty"):
            np.testing.assert_allclose(table[name].sel(contract=contract), alone[name])


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"discount_rate": 3.5}, "is 0.035 meant"),
        ({"discount_rate": -2}, "is -0.02 meant"),
        ({"discount_rate": 1.0}, "found 1; accepted: above -1 and below 1"),
        ({"discount_rate": np.nan}, "found nan; accepted"),
        ({"discount_rate": "3.5 %"}, "found '3.5 %'; accepted"),
        ({"discount_rate": [0.01, 0.02]}, "accepted: above -1 and below 1, such as 0.035"),
        ({"prices": "constant"}, "found 'constant'; accepted: 'nominal' or 'real'"),
    ],
)
def test_what_is_no_rate_or_price_is_refused(keywords, message):
    with pytest.raises(ArgumentError, match=message):
        summarise(outcomes(), **keywords)


def test_coordinates_that_are_needed_are_asked_for():
    given = outcomes()
    with pytest.raises(ArgumentError, match=r"discount_rate: 0.035 needs the coordinate midyear"):
        summarise(given.drop_vars("midyear"), discount_rate=0.035)
    with pytest.raises(ArgumentError, match=r"needs the coordinate deflator.*state deflator"):
        summarise(given.drop_vars("deflator"), prices="real")
    with pytest.raises(ArgumentError, match=r"deflator: found \[1.0, 0.0, 1.0\]"):
        summarise(given.assign_coords(deflator=("year", [1.0, 0, 1])), prices="real")


def test_the_table_can_be_written(tmp_path):
    table = summarise(outcomes(), discount_rate=0.035, prices="real")
    table.to_netcdf(tmp_path / "table.nc", engine="h5netcdf")
    read = xr.load_dataset(tmp_path / "table.nc", engine="h5netcdf")
    assert read.attrs["prices"] == "real"
    assert read.attrs["discount_rate"] == 0.035
