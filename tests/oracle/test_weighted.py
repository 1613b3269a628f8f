"""Weighted samples: what each counts for in the summary, and the errors of importance sampling."""

from math import exp, expm1, sqrt

import builders
import numpy as np
import pytest
import xarray as xr
from scipy import stats

import riskshare as rs
from riskshare.errors import ArgumentError, ExperienceError
from riskshare.statistics import (
    Replicates,
    mean,
    probability_below,
    quantiles,
    standard_deviation,
    tail_values_at_risk,
)

KINDS = ["payer", "provider", "pool"]


def outcomes(samples, rng, **variables):
    """Outcomes with everything that a summary reads, in two years."""

    def drawn(*shape):
        return rng.standard_normal((*shape, samples)) * 10

    partners = ["payer", "acute", "fund"]
    return xr.Dataset(
        {
            "position": (("year", "partner", "sample"), drawn(2, 3)),
            "other_position": (("year", "partner", "sample"), drawn(2, 3)),
            "received": (("year", "partner", "sample"), drawn(2, 3)),
            "line_cost": (("year", "line", "sample"), drawn(2, 4)),
            "saving_cash": (("year", "change", "sample"), drawn(2, 2)),
            "posting": (("year", "term", "partner", "sample"), drawn(2, 2, 3)),
            **variables,
        },
        {
            "year": ["2024/25", "2025/26"],
            "partner": partners,
            "kind": ("partner", KINDS),
            "target": (("year", "partner"), np.zeros((2, 3))),
            "duty": (("year", "partner"), np.full((2, 3), -10.0)),
            "opening_reserve": ("partner", [5.0, 10.0, np.nan]),
            "partner_group": ["system"],
            "membership": (("partner_group", "partner"), [[True] * 3]),
        },
        {"currency": "GBP"},
    )


def with_weights(given, weights, labels=None):
    found = given.assign(weight=("sample", np.asarray(weights)))
    return found if labels is None else found.assign(replicate=("sample", labels))


def assert_close(found, expected, *, errors=True, rtol=1e-9):
    assert set(found.data_vars) == set(expected.data_vars)
    for name in found.data_vars:
        if errors or not name.endswith("_error"):
            np.testing.assert_allclose(
                found[name], expected[name], rtol=rtol, atol=1e-12, err_msg=name
            )


@pytest.mark.parametrize("weight", [1.0, 0.3, 1e-300, 1e308])
@pytest.mark.parametrize("labels", [None, np.arange(800) // 50])
def test_weights_that_are_all_alike_change_nothing(weight, labels):
    given = outcomes(800, np.random.default_rng(1))
    if labels is not None:
        given["replicate"] = ("sample", labels)
    found = rs.summarise(with_weights(given, np.full(800, weight)))
    assert found.attrs.pop("effective_samples") == 800
    xr.testing.assert_identical(found, rs.summarise(given))


@pytest.mark.parametrize(
    "labels",
    [None, np.arange(800) // 50, np.arange(800) % 16, np.sqrt(np.arange(800)).astype(int)],
    ids=["independent", "replicates", "mixed", "of unequal size"],
)
def test_weights_nearly_alike_change_next_to_nothing(labels):
    # the arithmetic of weights itself, which weights that are all alike never reach
    rng = np.random.default_rng(2)
    given = outcomes(800, rng)
    if labels is not None:
        given["replicate"] = ("sample", labels)
    weighted = with_weights(given, 1 + 1e-9 * rng.random(800))
    # no level at which 800 samples make a whole number, which the weights may just miss
    levels = [0.0055, 0.0505, 0.1003, 0.5006, 0.9003]
    found, expected = (rs.summarise(each, levels=levels) for each in (weighted, given))
    # the band that gives a slope is as wide as F at the quantile says; that of equal weights as p
    slopes = [name for name in found if name.endswith(("quantile_error", "value_at_risk_error"))]
    assert_close(found.drop_vars(slopes), expected.drop_vars(slopes), rtol=1e-6)
    assert_close(found[slopes], expected[slopes], rtol=0.05)


@pytest.mark.parametrize("scale", [1, 0.7])
def test_whole_weights_are_samples_repeated(scale):
    rng = np.random.default_rng(3)
    given, times = outcomes(400, rng), rng.integers(0, 6, 400)
    weighted = rs.summarise(with_weights(given, scale * times))
    repeated = rs.summarise(given.isel(sample=np.repeat(np.arange(400), times)))
    # the standard deviation alone knows that samples repeated are not more samples
    whole, lost = times.sum(), np.square(times).sum() / times.sum()
    for name in weighted:
        if name.endswith("standard_deviation"):
            weighted[name] = weighted[name] * sqrt((whole - lost) / (whole - 1))
    assert_close(weighted, repeated, errors=False)
    assert weighted.attrs["effective_samples"] == pytest.approx(whole / lost)


def test_a_sample_of_weight_0_might_as_well_not_be_there():
    rng = np.random.default_rng(4)
    given, weights = outcomes(500, rng), rng.exponential(size=500)
    labels, gone = np.arange(500) % 10, rng.random(500) < 0.3
    given.position[..., np.flatnonzero(gone)[0]] = np.nan
    found = rs.summarise(with_weights(given, np.where(gone, 0, weights), labels))
    expected = rs.summarise(with_weights(given, weights, labels).isel(sample=~gone))
    xr.testing.assert_identical(found, expected)


@pytest.mark.parametrize("labels", [None, np.arange(300) % 12])
def test_the_scale_of_weights_does_not_matter(labels):
    rng = np.random.default_rng(5)
    given, weights = outcomes(300, rng), rng.exponential(size=300)
    found = rs.summarise(with_weights(given, weights, labels))
    for scale in (1e-200, 7.0, 1e307):
        assert_close(rs.summarise(with_weights(given, scale * weights, labels)), found)
    single = rs.summarise(with_weights(given, weights.astype(np.float32), labels))
    assert_close(
        single.drop_vars([n for n in single if "_at_risk" in n or "quantile" in n]),
        found.drop_vars([n for n in found if "_at_risk" in n or "quantile" in n]),
        rtol=1e-3,
    )


def test_against_numpy():
    rng = np.random.default_rng(6)
    x, w = rng.standard_normal(999), rng.exponential(size=999) ** 2
    weighted = Replicates().weighted(w)
    levels = np.array([0.005, 0.05, 0.5, 0.9, 0.995])
    assert mean(x, weighted).value == pytest.approx(np.average(x, weights=w))
    assert standard_deviation(x, weighted).value == pytest.approx(sqrt(np.cov(x, aweights=w)))
    expected = np.quantile(x, levels, weights=w, method="inverted_cdf")
    assert quantiles(x, np.sort(x), levels, weighted).value.tolist() == expected.tolist()
    share = w[x < -1].sum() / w.sum()
    assert probability_below(x, -1, weighted).value == pytest.approx(share)


def test_the_quantile_is_the_first_sample_that_reaches_its_level():
    # shares 0.1, 0.4, 0.2, 0.3 of -3, -1, 0, 2
    x, w = np.array([2.0, -1, 0, -3]), np.array([3.0, 4, 2, 1])
    levels = np.array([0.05, 0.1, 0.11, 0.5, 0.51, 0.7, 0.71, 0.99])
    found = quantiles(x, np.sort(x), levels, Replicates().weighted(w)).value
    assert found.tolist() == [-3, -3, -1, -1, 0, 0, 2, 2]


def test_acerbi_and_tasche_on_weighted_outcomes():
    # positions -40, -10, 20 with 1/4, 1/2, 1/4: worst 30 % is all of -40 and 0.05 of -10
    x, w = np.array([20.0, -40, -10]), np.array([1.0, 1, 2])
    found = tail_values_at_risk(
        x, np.sort(x), np.array([0.7, 0.5, 0.25, 0.8]), Replicates().weighted(w)
    )
    assert found.value == pytest.approx([35, 25, 20, 40])


def test_the_variance_is_unbiased_where_weights_do_not_depend_on_values():
    rng = np.random.default_rng(7)
    weighted = Replicates().weighted(np.array([1.0, 2, 3, 4, 10]))
    found = [standard_deviation(rng.standard_normal(5), weighted).value ** 2 for _ in range(20_000)]
    assert abs(np.mean(found) - 1) < 4 * np.std(found) / sqrt(len(found))


def test_errors_are_those_of_a_ratio():
    rng = np.random.default_rng(8)
    x, w = rng.standard_normal(640) + 3, rng.exponential(size=640)
    centre = np.average(x, weights=w)
    gaps = w * (x - centre) / w.mean()
    weighted = Replicates().weighted(w)
    assert mean(x, weighted).error == pytest.approx(gaps.std(ddof=1) / sqrt(640))
    labels = np.repeat(np.arange(16), 40)
    parts = gaps.reshape(16, 40).mean(1)
    order = rng.permutation(640)
    mixed = Replicates.labelled(labels[order]).weighted(w[order])
    assert mean(x[order], mixed).error == pytest.approx(sqrt(np.square(parts).sum() / 15 / 16))


def test_errors_between_replicates_are_those_of_the_jackknife():
    rng = np.random.default_rng(9)
    x, w = rng.standard_normal(64_000), rng.exponential(size=64_000)
    labels = np.repeat(np.arange(16), 4000)
    found = standard_deviation(x, Replicates.labelled(labels).weighted(w)).error
    without = [sqrt(np.cov(x[labels != r], aweights=w[labels != r])) for r in range(16)]
    assert found == pytest.approx(sqrt(15 * np.var(without)), rel=0.01)


def test_no_interval_within_an_atom_and_a_certain_position_is_certain():
    rng = np.random.default_rng(10)
    weighted = Replicates().weighted(rng.exponential(size=1000))
    capped = np.maximum(rng.standard_normal(1000), -1)
    found = quantiles(capped, np.sort(capped), np.array([0.05]), weighted)
    assert found.value == -1
    assert found.error == 0
    constant = np.full(1000, 3.0)
    assert standard_deviation(constant, weighted) == pytest.approx((0, 0), abs=1e-12)
    assert mean(constant, weighted).error == pytest.approx(0, abs=1e-12)


def test_one_sample_that_counts_is_its_own_mean_and_quantiles():
    given = outcomes(5, np.random.default_rng(11))
    table = rs.summarise(with_weights(given, [0, 0, 2.0, 0, 0]))
    x = given.position.isel(sample=2)
    found = table.isel(year=[0, 1], partner=[0, 1, 2])
    np.testing.assert_array_equal(found.position_mean, x)
    np.testing.assert_array_equal(found.position_quantile, np.repeat(x.values[..., None], 9, 2))
    assert np.isnan(table.position_standard_deviation).all()
    assert np.isnan(table.position_mean_error).all()
    assert table.attrs["effective_samples"] == 1


# Importance sampling of a position f(z), z standard normal: samples drawn about -shift with the
# ratio of densities as weight, or from an even mixture of that and the plain law, where weights
# stay below 2 (Hesterberg 1995). A shift alone has weights without bound, whose mean 65,536
# samples hardly know at a shift of 2.5: intervals of the tail then cover 90 times in 100.
SHIFT, LEVEL, BELOW = 2.5, 0.005, -2.2
SIGMA = 0.4
EDGE = stats.norm.ppf(LEVEL)
TAIL = ("median", "probability", "quantile", "tail")
EVERY = ("mean", "deviation", *TAIL)
LAWS = {
    "normal": (
        lambda z: z,
        {
            "mean": 0.0,
            "deviation": 1.0,
            "median": 0.0,
            "probability": stats.norm.cdf(BELOW),
            "quantile": EDGE,
            "tail": stats.norm.pdf(EDGE) / LEVEL,
        },
    ),
    "lognormal": (
        lambda z: -np.exp(-SIGMA * z),
        {
            "mean": -exp(SIGMA**2 / 2),
            "deviation": exp(SIGMA**2 / 2) * sqrt(expm1(SIGMA**2)),
            "median": -1.0,
            "probability": stats.norm.cdf(BELOW),
            "quantile": -exp(-SIGMA * EDGE),
            "tail": exp(SIGMA**2 / 2) * stats.norm.cdf(SIGMA + EDGE) / LEVEL,
        },
    ),
}


def shifted(rng, samples, shift=SHIFT):
    z = rng.standard_normal(samples) - shift
    return z, np.exp(shift * z + shift**2 / 2)


def mixed(rng, samples, shift=SHIFT):
    z = rng.standard_normal(samples) - shift * (rng.random(samples) < 0.5)
    return z, 2 / (1 + np.exp(-shift * z - shift**2 / 2))


def estimates(names, law, z, replicates):
    of = LAWS[law][0]
    x = of(z)
    ordered, reached = np.sort(x), replicates.reached(x)
    levels = np.array([LEVEL, 0.5])
    by_level = quantiles(x, ordered, levels, replicates, reached)
    tail = tail_values_at_risk(x, ordered, 1 - levels[:1], replicates, reached)
    found = {
        "mean": mean(x, replicates),
        "deviation": standard_deviation(x, replicates),
        "median": (by_level.value[1], by_level.error[1]),
        "probability": probability_below(x, of(BELOW), replicates),
        "quantile": (by_level.value[0], by_level.error[0]),
        "tail": (tail.value[0], tail.error[0]),
    }
    return np.array([found[name] for name in names])


@pytest.mark.parametrize(("draw", "names"), [(mixed, EVERY), (shifted, TAIL)])
@pytest.mark.parametrize("law", LAWS)
def test_closed_forms_of_importance_sampling(law, draw, names):
    z, w = draw(np.random.default_rng(12), 2**18)
    value, error = estimates(names, law, z, Replicates().weighted(w)).T
    truth = np.array([LAWS[law][1][name] for name in names])
    assert (abs(value - truth) < 4 * error).all(), dict(
        zip(names, (value - truth) / error, strict=True)
    )
    assert (error < 0.05 * np.maximum(abs(truth), 1)).all()


@pytest.mark.parametrize("replicated", [False, True], ids=["independent", "replicates"])
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(
    ("draw", "names", "shift", "samples"),
    [(mixed, EVERY, 2.5, 4096), (shifted, TAIL, 1.5, 8192)],
    ids=["mixture", "shift"],
)
def test_errors_of_importance_sampling_cover(draw, names, shift, samples, law, replicated):
    runs = 400
    rng = np.random.default_rng(13)
    apart, critical = Replicates(), stats.norm.ppf(0.975)
    if replicated:
        apart = Replicates.labelled(np.repeat(np.arange(16), samples // 16))
        critical = stats.t.ppf(0.975, 15)
    found = np.empty((runs, len(names), 2))
    for run in found:
        z, w = draw(rng, samples, shift)
        run[:] = estimates(names, law, z, apart.weighted(w))
    value, error = found[..., 0], found[..., 1]
    truth = np.array([LAWS[law][1][name] for name in names])
    cover = (abs(value - truth) <= critical * error).mean(0)
    assert ((cover >= 0.91) & (cover <= 0.985)).all(), dict(zip(names, cover, strict=True))
    ratio = np.sqrt(np.square(error).mean(0)) / value.std(0)
    assert (abs(ratio - 1) < 4 / sqrt(2 * runs)).all(), dict(zip(names, ratio, strict=True))


def test_the_tail_is_known_better_than_by_plain_sampling():
    rng = np.random.default_rng(14)
    z, w = mixed(rng, 65_536)
    names = TAIL[1:]
    plain = estimates(names, "normal", rng.standard_normal(65_536), Replicates())
    found = estimates(names, "normal", z, Replicates().weighted(w))
    assert (found[:, 1] < plain[:, 1] / 2).all()


def test_the_band_of_a_slope_is_as_narrow_as_weighted_samples_know_the_level():
    # 10,000 samples have a hundredth of the weight on (0, 1), as many the rest beyond 1,000; at
    # 0.95 % the slope is 100, and the gap to 1,000 lies farther off than two standard errors of F,
    # but nearer than two of 20,000 samples of equal weight
    low = (np.arange(10_000) + 0.5) / 10_000
    x, w = np.r_[low, 1000 + low], np.repeat([1.0, 99.0], 10_000)
    weighted = Replicates.labelled(np.random.default_rng(15).integers(0, 16, 20_000)).weighted(w)
    found = quantiles(x, x, np.array([0.0095]), weighted)
    assert found.error == pytest.approx(100 * weighted.error(x <= found.value), rel=1e-3)


def test_one_giant_weight_leaves_the_error_of_a_tail_quantile_sensible():
    # its share of all weight is known badly, so F at the quantile is; yet the slope is taken
    # near the level, not over the samples that stand at levels a thousand times below it
    z, w = shifted(np.random.default_rng(15), 65_536)
    w[np.argmax(z)] = w.sum()
    level = np.array([LEVEL / 2])
    found = quantiles(z, np.sort(z), level, Replicates().weighted(w))
    share = np.array([level[0] / 4, level[0] * 3])
    assert found.error < np.diff(stats.norm.ppf(share))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (("sample", np.r_[np.ones(99), np.nan]), "found nan, and 1 of 100.*0 leaves a sample out"),
        (("sample", np.r_[np.ones(98), np.inf, -np.inf]), "found inf, and 2 of 100"),
        (("sample", np.r_[-1.0, np.ones(99)]), "found -1, .*finite numbers of at least 0"),
        (("sample", np.zeros(100)), "0 in every sample.*drop_vars"),
        (("sample", np.full(100, "1")), "type <U1; accepted: finite numbers"),
        ((), "no dimension sample"),
        ("year", "no dimension sample"),
        (("year", "sample"), r"other than sample: year; .*outcomes.isel\(year=0\)"),
    ],
)
def test_what_is_no_weight_is_refused(weight, message):
    rng = np.random.default_rng(16)
    if weight == ():
        weight = ((), 1.0)
    elif weight == "year":
        weight = ("year", np.ones(2))
    elif weight == ("year", "sample"):
        weight = (weight, rng.random((2, 100)))
    with pytest.raises(ArgumentError, match=message):
        rs.summarise(outcomes(100, rng, weight=weight))


def test_a_weight_said_once_for_each_contract_is_taken():
    rng = np.random.default_rng(17)
    given = with_weights(outcomes(100, rng), rng.random(100))
    both = xr.concat([given, given], xr.IndexVariable("contract", ["old", "new"]), data_vars="all")
    assert both.weight.dims == ("contract", "sample")
    one, found = rs.summarise(given), rs.summarise(both)
    assert found.attrs["effective_samples"] == one.attrs["effective_samples"]
    assert_close(found.sel(contract="new"), one)


def uncertain():
    demand = rs.Driver(name="demand", acts_on="activity", law="lognormal", sd=0.2, centre="mean")
    return builders.case([builders.line(price=1500.0, loadings={"demand": 1.0})], drivers=[demand])


@pytest.mark.parametrize("samples", [4096, 5000])
def test_settling_weighted_draws_hands_their_weights_on(samples):
    case = uncertain()
    draws = rs.draw(case, samples=samples, seed=1, sampler="pseudo-random")
    weights = np.random.default_rng(18).exponential(size=samples)
    plain = rs.settle(case, draws)
    found = rs.settle(case, draws.assign(weight=("sample", weights)))
    assert found.weight.values.tolist() == weights.tolist()
    xr.testing.assert_identical(found.drop_vars("weight"), plain)
    table = rs.summarise(found).sel(partner="provider", year="all")
    x = plain.position.sel(partner="provider").sum("year").values.astype(np.float64)
    assert table.position_mean == pytest.approx(np.average(x, weights=weights))
    as_coordinate = draws.assign_coords(weight=("sample", weights))
    assert "weight" in rs.settle(case, as_coordinate)


def test_settling_at_several_numbers_hands_weights_on():
    case = uncertain()
    draws = rs.draw(case, samples=256, seed=1)
    draws = draws.assign(weight=("sample", np.random.default_rng(19).exponential(size=256)))
    shares = xr.DataArray([0.5, 1.0], dims="share", coords={"share": [0.5, 1.0]})
    found = rs.settle(case, draws, parameters={"c.activity-payment.share": shares})
    one = rs.settle(case, draws, parameters={"c.activity-payment.share": 0.5})
    assert_close(rs.summarise(found).sel(share=0.5), rs.summarise(one))


def test_draws_picked_in_the_tail_say_what_all_draws_say():
    # picked with chances that grow with activity, and weighted by the inverse of the chance
    case, rng = uncertain(), np.random.default_rng(20)
    draws = rs.draw(case, samples=200_000, seed=1, sampler="pseudo-random", precision="float64")
    chance = draws.activity.values[0, 0] ** 8
    picked = rng.choice(200_000, 20_000, p=chance / chance.sum())
    weights = chance.mean() / chance[picked]
    some = draws.isel(sample=picked).assign(weight=("sample", weights))
    levels, at = [0.005, 0.995], {"partner": "provider", "year": "all"}
    table = rs.summarise(rs.settle(case, some), levels=levels).sel(at)
    all_of_them = rs.summarise(rs.settle(case, draws), levels=levels).sel(at)
    for name in ("position_mean", "position_quantile", "position_tail_value_at_risk"):
        error = np.hypot(table[f"{name}_error"], all_of_them[f"{name}_error"])
        assert (abs(table[name] - all_of_them[name]) < 4 * error).all(), name
    assert table.attrs["effective_samples"] == pytest.approx(
        weights.sum() ** 2 / np.square(weights).sum()
    )


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (("line", [1.0]), r"\['line'\]; accepted: sample"),
        (((), 1.0), r"dimensions \[\]; accepted: sample"),
        (("sample", np.r_[-1.0, np.ones(15)]), "negative or not finite"),
    ],
)
def test_what_is_no_weight_is_not_settled(weight, message):
    case = uncertain()
    draws = rs.draw(case, samples=16, seed=1)
    with pytest.raises(ExperienceError, match=message):
        rs.settle(case, draws.assign(weight=weight))


def test_what_really_happened_has_no_weight():
    case = uncertain()
    with pytest.raises(ExperienceError, match="leave it out: what really happened has none"):
        rs.settle(case, builders.actuals(case, 9000).assign(weight=1.0))
