import datetime
from math import exp, expm1, log, sqrt

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import riskshare as rs
from riskshare.errors import ArgumentError
from riskshare.names import LEVELS
from riskshare.statistics import (
    Replicates,
    mean,
    probability_below,
    quantiles,
    standard_deviation,
    tail_values_at_risk,
)
from riskshare.summary import summarise

SAMPLES = 200_000
MIDDLES = (np.arange(SAMPLES) + 0.5) / SAMPLES
ALONE = Replicates()


def outcomes(position, *, partners=("a", "b"), kinds=None, target=None, groups=None, **variables):
    """Outcomes as `simulate` labels them: position has shape (year, partner, sample)."""
    position = np.asarray(position)
    kinds = kinds or ["provider"] * len(partners)
    groups = {"system": [kind != "external" for kind in kinds]} | (groups or {})
    target = np.zeros(position.shape[:2]) if target is None else np.asarray(target, float)
    return xr.Dataset(
        {"position": (("year", "partner", "sample"), position), **variables},
        {
            "year": [f"year {i}" for i in range(len(position))],
            "partner": list(partners),
            "kind": ("partner", kinds),
            "target": (("year", "partner"), target),
            "partner_group": list(groups),
            "membership": (("partner_group", "partner"), list(groups.values())),
        },
        {"currency": "GBP", "case": "by hand"},
    )


def of(series, levels=LEVELS, **keywords):
    """Summary of one partner in one year."""
    table = summarise(outcomes([[series]], partners=["a"], **keywords), levels=levels)
    return table.sel(year="year 0", partner="a")


def normal_tail(q):
    return 5 + 2 * stats.norm.pdf(stats.norm.ppf(1 - q)) / (1 - q)


def lognormal_tail(q):
    return exp(0.08) * stats.norm.cdf(0.4 - stats.norm.ppf(q)) / (1 - q)


# losses: mean, standard deviation, quantile, tail value at risk
LOSSES = {
    "normal": (5, 2, lambda q: 5 + 2 * stats.norm.ppf(q), normal_tail),
    "lognormal": (
        exp(0.08),
        exp(0.08) * sqrt(expm1(0.16)),
        lambda q: np.exp(0.4 * stats.norm.ppf(q)),
        lognormal_tail,
    ),
    "exponential": (3, 3, lambda q: -3 * np.log1p(-q), lambda q: 3 * (1 - log(1 - q))),
}


@pytest.mark.parametrize("law", LOSSES)
def test_closed_forms(law):
    centre, spread, quantile, tail = LOSSES[law]
    table = of(-quantile(MIDDLES))
    assert table.position_mean == pytest.approx(-centre, rel=1e-4)
    assert table.position_standard_deviation == pytest.approx(spread, rel=1e-3)
    for q in LEVELS:
        at = table.sel(level=q)
        gap = float(quantile(q + 1 / SAMPLES) - quantile(q - 1 / SAMPLES))
        assert at.position_value_at_risk == pytest.approx(float(quantile(q)), abs=gap)
        gap = float(quantile(1 - q + 1 / SAMPLES) - quantile(1 - q - 1 / SAMPLES))
        assert at.position_quantile == pytest.approx(-float(quantile(1 - q)), abs=gap)
        assert at.position_tail_value_at_risk == pytest.approx(tail(q), rel=1e-3)


def test_value_at_risk_is_less_the_quantile_of_the_other_tail():
    series = np.random.default_rng(1).standard_normal(999)
    table = of(series)
    turned = table.position_quantile.values[::-1]
    assert (table.position_value_at_risk.values == -turned).all()
    assert (table.position_value_at_risk_error.values == table.position_quantile_error[::-1]).all()
    assert (table.position_tail_value_at_risk >= table.position_value_at_risk).all()


def test_a_loss_is_a_positive_value_at_risk():
    table = of(np.arange(-100.0, 0), levels=[0.95])
    assert table.position_value_at_risk.item() == 96
    assert table.position_tail_value_at_risk.item() == 98


def test_tail_value_at_risk_with_an_atom_at_the_quantile():
    # Loss 10 with probability 0.08 (a cap), else uniform on (0, 1). At 95 % the quantile lies in
    # the atom, and so does all of the tail; at 90 % a fifth of the tail is below the cap.
    capped = -np.where(MIDDLES > 0.92, 10, MIDDLES / 0.92)
    table = of(capped, levels=[0.9, 0.95])
    assert table.position_value_at_risk.sel(level=0.95) == 10
    assert table.position_tail_value_at_risk.sel(level=0.95) == pytest.approx(10, rel=1e-12)
    below = (0.9 + 0.92) / 2 / 0.92
    expected = 0.8 * 10 + 0.2 * below
    assert table.position_tail_value_at_risk.sel(level=0.9) == pytest.approx(expected, rel=1e-5)
    assert table.position_value_at_risk_error.sel(level=0.95) == 0
    assert table.position_tail_value_at_risk_error.sel(level=0.95) == 0


def test_acerbi_and_tasche_on_four_outcomes():
    # Positions -40, -10, -10, 20 with 1/4 each. Worst 30 %: all of -40 and 0.05 of -10, so
    # (0.25 x 40 + 0.05 x 10) / 0.3 = 35; the mean beyond the quantile, 20, would be wrong.
    series = np.array([20.0, -10, -40, -10])
    table = of(series, levels=[0.7, 0.5, 0.25, 0.8])
    assert table.position_tail_value_at_risk.values == pytest.approx([35, 25, 20, 40])
    assert table.position_value_at_risk.values.tolist() == [10, 10, 10, 40]
    assert table.position_quantile.values.tolist() == [-10, -10, -40, 20]


@pytest.mark.parametrize("samples", [20, 100, 1000, 65_536])
def test_quantile_inverts_the_empirical_distribution(samples):
    series = np.arange(1.0, samples + 1)
    levels = np.array([0.05, 1 - 0.95, 0.1, 0.25, 0.5, 0.75])
    found = quantiles(series, series, levels, ALONE).value
    assert found[0] == found[1]
    for level, value in zip(levels, found, strict=True):
        assert (series <= value).mean() >= level - 1e-12
        assert (series < value).mean() < level


def test_standard_errors_of_independent_samples():
    series = stats.norm.ppf(MIDDLES)
    ordered, level = np.sort(series), np.array([0.05])
    n = len(series)
    assert mean(series, ALONE).error == pytest.approx(series.std(ddof=1) / sqrt(n))
    deviation = standard_deviation(series, ALONE)
    assert deviation.value == pytest.approx(series.std(ddof=1))
    assert deviation.error == pytest.approx(1 / sqrt(2 * n), rel=1e-3)
    below = probability_below(series, -1, ALONE)
    share = below.value
    assert below.error == pytest.approx(sqrt(share * (1 - share) / (n - 1)))
    error = sqrt(0.05 * 0.95 / n) / stats.norm.pdf(stats.norm.ppf(0.05))
    assert quantiles(series, ordered, level, ALONE).error == pytest.approx(error, rel=1e-3)
    # Var of min(X - x, 0) / a for the standard normal, by its partial moments
    x = stats.norm.ppf(0.05)
    first = x * 0.05 + stats.norm.pdf(x)
    second = (x * x + 1) * 0.05 + x * stats.norm.pdf(x)
    error = sqrt((second - first**2) / n) / 0.05
    tail = tail_values_at_risk(series, ordered, 1 - level, ALONE)
    assert tail.error == pytest.approx(error, rel=1e-3)


def test_standard_errors_between_replicates():
    series = np.random.default_rng(3).standard_normal(16 * 64)
    labels = np.repeat(np.arange(16), 64)
    means = series.reshape(16, 64).mean(axis=1)
    expected = means.std(ddof=1) / 4
    assert mean(series, Replicates.labelled(labels)).error == pytest.approx(expected)
    mixed = np.random.default_rng(4).permutation(len(series))
    found = mean(series[mixed], Replicates.labelled(labels[mixed])).error
    assert found == pytest.approx(expected)
    alone = Replicates.labelled(np.random.default_rng(5).permutation(len(series)))
    assert mean(series, alone).error == pytest.approx(mean(series, ALONE).error)


def test_standard_error_between_replicates_of_unequal_size():
    labels = np.array([0, 0, 0, 1, 1, 2])
    series = np.array([1.0, 2, 3, 5, 7, 4])
    gaps = np.array([3 * (2 - 22 / 6), 2 * (6 - 22 / 6), 4 - 22 / 6]) / 6
    expected = sqrt(1.5 * (gaps**2).sum())
    assert mean(series, Replicates.labelled(labels)).error == pytest.approx(expected)
    below = probability_below(series, 3.5, Replicates.labelled(labels))
    gaps = np.array([3 - 1.5, 0 - 1, 0 - 0.5]) / 6
    assert below.error == pytest.approx(sqrt(1.5 * (gaps**2).sum()))


def test_one_replicate_has_no_standard_error():
    assert np.isnan(mean(np.arange(4.0), Replicates.labelled(np.zeros(4, int))).error)


def test_one_sample_is_its_own_mean_and_quantiles():
    table = of([-7.0])
    assert table.position_mean == -7
    assert (table.position_quantile == -7).all()
    assert (table.position_value_at_risk == 7).all()
    assert table.position_tail_value_at_risk.values == pytest.approx(7)
    assert table.position_probability_of_deficit == 1
    assert of([7.0]).position_probability_of_deficit == 0
    assert np.isnan(table.position_standard_deviation)
    for name in table.data_vars:
        assert np.isnan(table[name]).all() == (
            name.endswith("_error") or name == "position_standard_deviation"
        )


def test_a_certain_position_has_errors_of_zero():
    table = of([3.0] * 50)
    assert table.position_standard_deviation == 0
    for name in table.data_vars:
        if name.endswith("_error"):
            assert (table[name] == 0).all()


def test_no_mass_is_lost_to_single_precision():
    series = 3e9 + np.random.default_rng(6).standard_normal(10_000) * 1e6
    rounded = series.astype(np.float32)
    exactly = rounded.astype(np.float64)
    table = of(rounded)
    assert table.position_mean == pytest.approx(exactly.mean(), rel=1e-14)
    assert table.position_standard_deviation == pytest.approx(exactly.std(ddof=1), rel=1e-10)


PARTNERS = ["payer", "acute", "fund", "outside"]
KINDS = ["payer", "provider", "pool", "external"]


def many(**keywords):
    position = np.random.default_rng(7).standard_normal((2, 4, 500)) * 10
    target = [[1.0, 2, 0, 0], [3, 4, 0, 0]]
    groups = {"place": [True, True, False, False]}
    return outcomes(
        position, partners=PARTNERS, kinds=KINDS, target=target, groups=groups, **keywords
    )


def test_groups_and_all_years_are_sums():
    given = many()
    table = summarise(given)
    assert table.partner.values.tolist() == [*PARTNERS, "system", "place"]
    assert table.kind.values.tolist() == [*KINDS, "group", "group"]
    assert table.year.values.tolist() == ["year 0", "year 1", "all"]
    x = given.position.values
    assert table.target.sel(partner="place").values.tolist() == [3, 7, 10]
    sums = {"system": x[:, :3].sum(axis=1), "place": x[:, :2].sum(axis=1)}
    sums |= {name: x[:, i] for i, name in enumerate(PARTNERS)}
    for partner, by_year in sums.items():
        for year, series in zip(table.year, [*by_year, by_year.sum(axis=0)], strict=True):
            found = table.sel(year=year, partner=partner)
            alone = of(series, target=[[float(found.target)]])
            for name in table.data_vars:
                if "deficit" not in name or partner not in ("fund", "outside"):
                    np.testing.assert_allclose(found[name], alone[name], rtol=1e-9, atol=1e-12)


def test_system_comes_before_the_other_groups():
    given = many().isel(partner_group=[1, 0])
    assert summarise(given).partner.values.tolist() == [*PARTNERS, "system", "place"]


def test_pools_and_external_partners_have_no_deficit():
    found = summarise(many()).position_probability_of_deficit
    assert np.isnan(found.sel(partner=["fund", "outside"])).all()
    assert not np.isnan(found.sel(partner=["payer", "acute", "system", "place"])).any()


def test_deficit_is_below_target_not_at_it():
    table = of([-1.0, 0, 0, 1], target=[[0.0]])
    assert table.position_probability_of_deficit == 0.25


def test_order_of_dimensions_does_not_matter():
    given = many()
    xr.testing.assert_identical(summarise(given), summarise(given.transpose()))


def test_further_dimensions_stay():
    given = many()
    both = xr.concat([given, given * 2], xr.IndexVariable("contract", ["old", "new"]))
    both = both.assign_coords(target=both.target * xr.DataArray([1, 2], dims="contract"))
    both["replicate"] = (("contract", "sample"), np.tile(np.arange(500) // 50, (2, 1)))
    table = summarise(both)
    assert table.position_quantile.dims == ("contract", "year", "partner", "level")
    given["replicate"] = ("sample", np.arange(500) // 50)
    one = summarise(given)
    for name in one.data_vars:
        factor = 1 if "deficit" in name else 2
        np.testing.assert_allclose(table[name].sel(contract="old"), one[name])
        np.testing.assert_allclose(table[name].sel(contract="new"), factor * one[name])


def test_means_of_lines_and_postings():
    rng = np.random.default_rng(8)
    by_line, by_term = rng.random((2, 3, 500)), rng.random((2, 5, 4, 500))
    by_line[1, 0, 7] = np.nan
    table = summarise(
        many(
            line_cost=(("year", "line", "sample"), by_line),
            posting=(("year", "term", "partner", "sample"), by_term),
        )
    )
    lines = table.line_cost_mean
    assert lines.dims == ("year", "line")
    np.testing.assert_allclose(lines[:2], by_line.mean(axis=-1))
    np.testing.assert_allclose(lines[2], by_line.sum(axis=0).mean(axis=-1))
    assert np.isnan(table.line_cost_mean_error).sum() == 2
    assert table.posting_mean.dims == ("year", "term", "partner")
    np.testing.assert_allclose(table.posting_mean[:2, :, :4], by_term.mean(axis=-1))
    system = by_term[:, :, :3].sum(axis=(0, 2))
    np.testing.assert_allclose(
        table.posting_mean.sel(year="all", partner="system"), system.mean(-1)
    )
    error = system.std(axis=-1, ddof=1) / sqrt(500)
    found = table.posting_mean_error.sel(year="all", partner="system")
    np.testing.assert_allclose(found, error)


def test_a_series_with_a_nan_is_nan_throughout():
    given = many()
    given.position[0, 0, 3] = np.nan
    table = summarise(given)
    for name in table.data_vars:
        assert np.isnan(table[name].sel(year="year 0", partner=["payer", "system", "place"])).all()
        assert not np.isnan(table[name].sel(year="year 1", partner="acute")).any()


def test_coordinates_of_no_statistic_are_left_out():
    given = many().assign_coords(state=["balance"], scenario="base")
    given["closing"] = (("year", "state", "sample"), np.zeros((2, 1, 500)))
    table = summarise(given)
    assert table.scenario == "base"
    assert set(table.sizes) == {"year", "partner", "level"}


def test_the_table_says_what_it_holds():
    table = summarise(many())
    assert table.attrs["case"] == "by hand"
    for name, variable in table.data_vars.items():
        assert variable.attrs["long_name"]
        assert variable.attrs["units"] == ("1" if "deficit" in name else "GBP")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda o: o.drop_vars("position"), r"keep=\('position'"),
        (lambda o: o.assign(weight=("sample", -np.ones(500))), "weight: found -1"),
        (lambda o: o.assign(replicate=("year", [0, 1])), "replicate has no dimension sample"),
        (lambda o: o.assign(replicate=o.position[:, 0]), "replicate differs along .*: year"),
        (lambda o: o.sel(partner="acute"), "no dimension partner"),
        (lambda o: o.drop_vars("membership"), "coordinate membership"),
        (lambda o: o.isel(sample=slice(0)), "no samples"),
    ],
)
def test_what_cannot_be_summarised_is_refused(change, message):
    with pytest.raises(ArgumentError, match=message):
        summarise(change(many()))


@pytest.mark.parametrize(
    ("levels", "message"), [([5], "0.05 meant"), ([0.0], "found 0;"), ([0.5, 0.5], "once")]
)
def test_levels_are_between_0_and_1(levels, message):
    with pytest.raises(ArgumentError, match=message):
        summarise(many(), levels=levels)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_partner_made_whole_has_no_deficit(precision: str) -> None:
    # found by measuring: rounding noise put half the samples of a break-even partner below target
    case = rs.Case(
        name="whole",
        years=[
            rs.Year(
                label="2018/19", start=datetime.date(2018, 4, 1), end=datetime.date(2019, 3, 31)
            )
        ],
        partners=[
            rs.Partner(name="payer", kind="payer"),
            rs.Partner(name="trust", kind="provider"),
        ],
        drivers=[
            rs.Driver(name="demand", acts_on="activity", law="lognormal", sd=0.1, centre="mean")
        ],
        lines=[
            rs.Line(
                name="spells",
                deliverer="trust",
                payer="payer",
                baseline=10_000,
                unit_cost=412.7,
                price=400.0,
                loadings={"demand": 1.0},
            )
        ],
        contracts=[rs.Contract(name="k", terms=[rs.ActivityPayment(share=412.7 / 400.0)])],
    )
    table = rs.summarise(rs.simulate(case, samples=4096, precision=precision))

    assert float(table.position_probability_of_deficit.sel(partner="trust", year="all")) == 0.0
