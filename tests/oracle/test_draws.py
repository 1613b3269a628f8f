"""What is drawn has the moments it claims, and simulating is settling what is drawn."""

import datetime

import numpy as np
import pytest
import scipy.stats as st
from builders import case, everything, line, msk_toy, years

import riskshare as rs
from riskshare.bind import bind
from riskshare.program.block import count_traces

SAMPLES = 32_768
Z90 = st.norm.ppf(0.9)


def drawn(of, seed=5, samples=SAMPLES, **options):
    """Independent draws, so that a standard error is the plain one."""
    return rs.draw(of, seed=seed, samples=samples, sampler="pseudo-random", **options)


def assert_mean(values, expected, errors=4):
    values = np.asarray(values, np.float64)
    error = values.std(ddof=1) / np.sqrt(values.size)
    assert abs(values.mean() - expected) < errors * error + 2e-7 * abs(expected)


def assert_variance(values, expected, errors=4):
    squares = (np.asarray(values, np.float64) - np.mean(values, dtype=np.float64)) ** 2
    assert_mean(squares, expected, errors)


def activity(draws, name="spells"):
    return draws.activity.sel(line=name).values


def one_driver(loading=1.0, count=1, more=(), correlations=(), **law):
    drivers = [rs.Driver(name="demand", acts_on="activity", **law), *more]
    loadings = {"demand": loading, **{driver.name: 1.0 for driver in more}}
    return case([line(loadings=loadings)], drivers=drivers, count=count, correlations=correlations)


@pytest.mark.parametrize("loading", [1.0, 0.5, -1.3])
@pytest.mark.parametrize("centre", ["mean", "median"])
def test_lognormal_driver_to_its_loading(centre, loading):
    of = one_driver(loading, law="lognormal", sd=0.3, centre=centre)
    middle = -(0.3**2) / 2 if centre == "mean" else 0.0
    mean = 10_000 * np.exp(loading * middle + (0.3 * loading) ** 2 / 2)
    assert bind(of).plan.expected[0, 0] == pytest.approx(mean, rel=1e-12)
    values = activity(drawn(of))[0]
    assert_mean(values, mean)
    assert_mean(np.log(values / 10_000), loading * middle)
    assert bind(of).plan.view.plan[0, 0] == 10_000


def test_correlated_drivers_raise_the_mean_by_their_covariance():
    stay = rs.Driver(name="stay", acts_on="activity", law="lognormal", sd=0.2, centre="mean")
    of = one_driver(
        law="lognormal",
        sd=0.3,
        centre="mean",
        more=[stay],
        correlations=[rs.Correlation(between=["demand", "stay"], value=0.6)],
    )
    mean = 10_000 * np.exp(0.6 * 0.3 * 0.2)
    assert bind(of).plan.expected[0, 0] == pytest.approx(mean, rel=1e-12)
    draws = drawn(of)
    assert_mean(activity(draws)[0], mean)
    found = st.spearmanr(*draws.driver_index.isel(year=0).values).statistic
    asked = 6 / np.pi * np.arcsin(0.6 / 2)
    assert abs(found - asked) < 4 * 1.1 * (1 - asked**2) / np.sqrt(SAMPLES)


@pytest.mark.parametrize("law", ["normal", "lognormal"])
def test_interval_is_hit_at_both_ends(law):
    draws = drawn(one_driver(law=law, interval=[0.9, 1.3]))
    index = draws.driver_index.sel(driver="demand").values.ravel()
    for level, at in ((0.1, 0.9), (0.9, 1.3)):
        below = (index <= at).mean()
        assert abs(below - level) < 4 * np.sqrt(0.09 / SAMPLES)
    sobol = rs.draw(one_driver(law=law, interval=[0.9, 1.3]), samples=SAMPLES)
    found = np.quantile(sobol.driver_index.values.ravel(), [0.1, 0.9])
    np.testing.assert_allclose(found, [0.9, 1.3], atol=2e-4)
    mean = (
        1.1
        if law == "normal"
        else np.sqrt(0.9 * 1.3) * np.exp((np.log(1.3 / 0.9) / 2 / Z90) ** 2 / 2)
    )
    assert bind(one_driver(law=law, interval=[0.9, 1.3])).plan.expected[0, 0] == pytest.approx(
        10_000 * mean, rel=1e-6
    )


def test_random_walk_variance_grows_and_its_mean_stays():
    of = one_driver(law="lognormal", sd=0.1, centre="mean", process="random-walk", count=4)
    logs = np.log(drawn(of).driver_index.values[:, 0].astype(np.float64))
    for year in range(4):
        assert_variance(logs[year], (year + 1) * 0.01)
    np.testing.assert_allclose(bind(of).plan.expected[:, 0], 10_000, rtol=1e-12)
    steps = np.diff(logs, axis=0)
    assert abs(np.corrcoef(steps)[0, 1]) < 4 / np.sqrt(SAMPLES)


@pytest.mark.parametrize(
    ("fields", "phi"), [({"process": "ar1", "persistence": 0.6}, 0.6), ({}, 1.0)]
)
def test_autocorrelation_is_the_persistence(fields, phi):
    of = one_driver(law="normal", sd=0.05, count=3, **fields)
    index = drawn(of).driver_index.values[:, 0].astype(np.float64)
    found = np.corrcoef(index)
    for year in range(3):
        assert_variance(index[year], 0.05**2)
    error = 4 * max(1 - phi**2, 1e-6) / np.sqrt(SAMPLES)
    assert abs(found[0, 1] - phi) < error
    assert abs(found[0, 2] - phi**2) < max(4 * (1 - phi**4) / np.sqrt(SAMPLES), 1e-6)


def changed(count=1, size=0.25, destination=None, years=None, **change):
    lines = [line(loadings={"demand": 1.0}), line("other", baseline=1000, loadings={"demand": 0.5})]
    of = {
        "drivers": [
            rs.Driver(name="demand", acts_on="activity", law="lognormal", sd=0.1, centre="mean")
        ],
        "changes": [
            rs.Change(
                name="x",
                owner="payer",
                source="spells",
                size=size,
                destination=destination,
                **change,
            )
        ],
    }
    return case(lines, count=count, **of, **({} if years is None else {"years": years}))


def test_delivery_moves_the_mean_and_is_correlated_with_nothing():
    of = changed(delivery=rs.Delivery(interval=[0.6, 1.2]))
    mean = 10_000 * (1 - 0.25 * 0.9)
    assert bind(of).plan.expected[0, 0] == pytest.approx(mean, rel=1e-5)  # floor far away
    draws = drawn(of)
    assert_mean(activity(draws)[0], bind(of).plan.expected[0, 0])
    delivery = draws.driver_index.sel(driver="delivery[x]").values.ravel()
    demand = draws.driver_index.sel(driver="demand").values.ravel()
    np.testing.assert_allclose(
        activity(draws)[0], 10_000 * (1 - 0.25 * delivery) * demand, rtol=1e-6
    )
    assert bind(of).plan.view.plan[0, 0] == 7500


def test_delivery_is_floored_at_nothing():
    of = changed(delivery=rs.Delivery(law="normal", value=0.5, sd=0.5))
    draws = drawn(of)
    delivery = draws.driver_index.sel(driver="delivery[x]").values.ravel()
    assert delivery.min() == 0
    below = st.norm.cdf(-1)
    assert abs((delivery == 0).mean() - below) < 4 * np.sqrt(below * (1 - below) / SAMPLES)
    mean = 0.5 * st.norm.cdf(1) + 0.5 * st.norm.pdf(1)
    assert_mean(delivery, mean)
    expected = bind(of).plan.expected[0, 0]
    assert expected == pytest.approx(10_000 * (1 - 0.25 * mean), rel=1e-9)
    assert_mean(activity(draws)[0], expected)


def test_expected_is_the_mean_where_the_floor_of_activity_bites():
    of = changed(size=0.9, delivery=rs.Delivery(law="normal", sd=0.3))
    assert_mean(activity(drawn(of))[0], bind(of).plan.expected[0, 0])


def test_delay_moves_the_step_profile():
    of = changed(3, size=[0.1, 0.2, 0.2], delay=rs.Delay(law="normal", value=0.5, sd=0.25))
    draws = drawn(of)
    late = draws.driver_index.sel(driver="delay[x]").isel(year=0).values.astype(np.float64)
    assert late.min() == 0
    demand = draws.driver_index.sel(driver="demand").values[0]
    removed = 1 - activity(draws) / demand / 10_000
    bounds = np.array([0, 365, 731, 1096]) / 365.25  # of the years, 2019/20 being a leap year
    planned = np.concatenate([[0], np.cumsum(np.diff(bounds) * [0.1, 0.2, 0.2])])
    for year in range(3):
        start, end = bounds[year : year + 2]
        moved = np.interp(end - late, bounds, planned) - np.interp(start - late, bounds, planned)
        np.testing.assert_allclose(removed[year], moved / (end - start), atol=3e-6)
    for year in range(3):
        assert_mean(activity(draws)[year], bind(of).plan.expected[year, 0])


def test_members_move_their_lines_in_proportion():
    people = rs.Population(
        name="people", count=[1000.0, 1100.0], reference=1000, law="normal", sd=0.02
    )
    lines = [line(exposure="people", growth=[0.0, 0.05]), line("other")]
    of = case(lines, members=[people], count=2)
    np.testing.assert_allclose(bind(of).plan.expected[:, 0], [10_000, 11_550], rtol=1e-9)
    draws = drawn(of)
    for year, count in enumerate((1000, 1100)):
        assert_mean(draws.members.values[year, 0], count)
        assert_mean(activity(draws)[year], bind(of).plan.expected[year, 0])
        index = draws.members.values[year, 0] / count
        volume = bind(of).plan.view.before[year, 0]
        np.testing.assert_allclose(activity(draws)[year], volume * index, rtol=1e-6)
    assert (activity(draws, "other") == 10_000).all()


def test_a_population_that_starts_at_nothing_is_refused_as_exposure():
    with pytest.raises(rs.CaseError):
        case(
            [line(exposure="people")],
            members=[rs.Population(name="people", count=[0.0, 500.0])],
            count=2,
        )


def test_a_destination_receives_what_leaves_times_substitution():
    of = changed(destination="other", substitution=0.6, delivery=rs.Delivery(interval=[0.6, 1.2]))
    draws = drawn(of)
    expected = bind(of).plan.expected[0]
    demand = draws.driver_index.sel(driver="demand").values.ravel()
    delivery = draws.driver_index.sel(driver="delivery[x]").values.ravel()
    arrived = (1000 + 0.6 * 2500 * delivery) * demand**0.5
    np.testing.assert_allclose(activity(draws, "other")[0], arrived, rtol=2e-6)
    assert_mean(activity(draws, "other")[0], expected[1])
    assert_mean(activity(draws)[0], expected[0])
    np.testing.assert_allclose(bind(of).plan.view.plan[0], [7500, 2500])


def test_new_service_has_its_expected_as_mean_whatever_its_drivers():
    drivers = [
        rs.Driver(name="demand", acts_on="activity", law="lognormal", sd=0.3, centre="median")
    ]
    new = line(expected=[500.0, 700.0], loadings={"demand": 1.0})
    of = case([new], drivers=drivers, count=2)
    np.testing.assert_allclose(bind(of).plan.expected[:, 0], [500, 700], rtol=1e-12)
    np.testing.assert_allclose(bind(of).plan.view.plan[:, 0], [500, 700], rtol=1e-12)
    for year, mean in enumerate((500, 700)):
        assert_mean(activity(drawn(of))[year], mean)


def test_a_part_year_has_its_share_of_activity():
    span = years(2, start=datetime.date(2018, 10, 1))
    lines = [line(noise=rs.Noise(law="gamma", cv=0.1)), line("new", expected=100.0)]
    of = case(lines, years=span)
    np.testing.assert_allclose(bind(of).plan.expected, [[5000, 50], [10_000, 100]])
    draws = drawn(of)
    assert_mean(activity(draws)[0], 5000)
    assert_mean(activity(draws)[1], 10_000)


@pytest.mark.parametrize(
    ("noise", "variance"),
    [
        (rs.Noise(law="poisson"), 300.0),
        (rs.Noise(law="negative-binomial", overdispersion=0.01), 300 + 0.01 * 300**2),
        (rs.Noise(law="gamma", cv=0.1), 0.01 * 300**2),
        (rs.Noise(law="lognormal", cv=0.1), 0.01 * 300**2),
    ],
    ids=lambda value: getattr(value, "law", ""),
)
def test_chance_has_mean_one_and_its_own_variance(noise, variance):
    of = case([line(baseline=300, noise=noise)])
    values = activity(drawn(of))[0]
    assert_mean(values, 300)
    assert_variance(values, variance)
    if noise.law in ("poisson", "negative-binomial"):
        assert (values == values.round()).all()


def test_unit_cost_and_case_mix_follow_their_drivers():
    of = case(
        [
            line(
                loadings={"mix": 2.0, "pay": 0.7},
                unit_cost_noise=rs.Noise(law="lognormal", cv=0.05),
            )
        ],
        drivers=[
            rs.Driver(name="mix", acts_on="case_mix", law="lognormal", sd=0.02, centre="mean"),
            rs.Driver(name="pay", acts_on="unit_cost", law="lognormal", sd=0.03, centre="mean"),
        ],
    )
    draws = drawn(of)
    index = draws.driver_index.values[0].astype(np.float64)
    np.testing.assert_allclose(draws.case_mix.values[0, 0], index[0] ** 2, rtol=1e-6)
    chance = draws.unit_cost.values[0, 0] / (2000 * index[1] ** 0.7)
    assert_mean(chance, 1.0)
    assert_variance(chance, 0.05**2)
    assert (activity(draws) == 10_000).all()


def test_v3_tertiary_centre_in_six_collaboratives():
    # variable income 20 % of 50m each with an activity SD of 5 %: 1.22m, 1.94m, 3.00m
    for rho, spread in ((0.0, 1.22), (0.3, 1.94), (0.999999, 3.00)):
        names = [f"d{i}" for i in range(6)]
        of = case(
            [line(n, baseline=50.0, price=1e6, unit_cost=1e6, loadings={n: 1.0}) for n in names],
            [rs.MarginalRate(rate=0.2)],
            drivers=[rs.Driver(name=n, acts_on="activity", law="normal", sd=0.05) for n in names],
            correlations=[
                rs.Correlation(between=[a, b], value=rho)
                for i, a in enumerate(names)
                for b in names[:i]
                if rho
            ],
        )
        income = rs.simulate(of, samples=SAMPLES, sampler="pseudo-random", keep=("posting",))
        variable = income.posting.sel(partner="provider").values.ravel() / 1e6
        exact = 0.2 * 50 * 0.05 * np.sqrt(6 + 30 * rho)
        assert round(exact, 2) == spread
        assert_variance(variable, exact**2)


def stream(extra_line=False, extra_driver=False, extra_change=False, count=2):
    lines = [
        line(loadings={"demand": 1.0}, noise=rs.Noise(law="gamma", cv=0.1)),
        line("few", baseline=100, growth=0.0, noise=rs.Noise(law="poisson")),
    ]
    drivers = [
        rs.Driver(
            name="demand", acts_on="activity", law="normal", sd=0.05, process="ar1", persistence=0.5
        )
    ]
    changes = [
        rs.Change(
            name="x",
            owner="payer",
            source="spells",
            size=0.1,
            delivery=rs.Delivery(interval=[0, 1]),
        )
    ]
    if extra_line:
        lines.append(line("more", noise=rs.Noise(law="gamma", cv=0.2)))
    if extra_driver:
        drivers.append(rs.Driver(name="late", acts_on="unit_cost", law="normal", sd=0.1))
    if extra_change:
        changes.append(
            rs.Change(
                name="y",
                owner="payer",
                source="few",
                size=0.0,
                delivery=rs.Delivery(interval=[0, 1]),
            )
        )
    return case(lines, drivers=drivers, changes=changes, count=count)


@pytest.mark.parametrize("sampler", ["sobol", "pseudo-random"])
def test_appending_moves_no_earlier_draw(sampler):
    options = {"samples": 4096, "seed": 3, "sampler": sampler}
    base = rs.draw(stream(), **options)
    again = rs.draw(stream(), **options)
    for name in ("activity", "unit_cost", "driver_index"):
        np.testing.assert_array_equal(base[name], again[name])
    other = rs.draw(stream(), **(options | {"seed": 4}))
    assert not np.array_equal(base.activity, other.activity)
    for extra in (
        {"extra_line": True},
        {"extra_driver": True},
        {"extra_change": True},
        {"count": 3},
    ):
        more = rs.draw(stream(**extra), **options)
        for name in ("activity", "driver_index"):
            dims = {"year": base.year}
            dims |= {"line": base.line} if name == "activity" else {"driver": base.driver}
            np.testing.assert_allclose(more[name].sel(dims), base[name], rtol=3e-6)
        few = {"line": "few", "year": base.year}
        np.testing.assert_array_equal(more.activity.sel(few), base.activity.sel(few))


def test_appending_a_year_of_growth_keeps_counts_whole():
    of = [
        case([line(baseline=950, growth=[0.0, 0.1][:n], noise=rs.Noise(law="poisson"))], count=n)
        for n in (1, 2)
    ]
    short, long = (activity(rs.draw(case, samples=4096))[0] for case in of)
    np.testing.assert_array_equal(short, long)


@pytest.fixture(scope="module")
def whole():
    return everything()


@pytest.mark.parametrize(
    ("sampler", "precision", "tolerance"),
    [
        ("sobol", "float32", 1e-6),
        ("sobol", "float64", 1e-12),
        ("pseudo-random", "float32", 1e-6),
    ],
)
def test_simulate_is_settle_after_draw_for_every_kind_of_term(whole, sampler, precision, tolerance):
    options = {"samples": 4096, "seed": 7, "sampler": sampler, "precision": precision}
    simulated = rs.simulate(whole, **options)
    settled = rs.settle(whole, rs.draw(whole, **options))
    assert set(settled.data_vars) == set(simulated.data_vars)
    gross = simulated.received.sum("partner").astype(np.float64)
    for name in ("received", "paid", "cost", "position", "posting"):
        assert simulated[name].dtype == settled[name].dtype == precision
        # whole deviations jump and steps fall at one value: rounding may decide those samples
        apart = abs(settled[name].astype(np.float64) - simulated[name]) / gross
        worst = apart.max([d for d in apart.dims if d != "sample"]).values
        assert np.quantile(worst, 0.999) < 10 * tolerance
    unbalanced = abs(simulated.posting.astype(np.float64).sum("partner")).max("term") / gross
    assert float(unbalanced.max()) < tolerance
    net = simulated.posting.astype(np.float64).sum("term") - simulated.cost - simulated.position
    assert float((abs(net) / gross).max()) < tolerance


def test_draws_have_the_expected_activity_in_every_line_and_year(whole):
    draws = drawn(whole, samples=65_536)
    expected = bind(whole).plan.expected
    for year in range(2):
        for row in range(4):
            assert_mean(draws.activity.values[year, row], expected[year, row], errors=4.5)


def test_the_toys_expected_activity_is_the_mean_of_draws():
    toy = msk_toy()
    draws, expected = drawn(toy), bind(toy).plan.expected
    for row in range(3):
        assert_mean(draws.activity.values[0, row], expected[0, row])


NUMBERS = {
    "c.fixed.share[acute]": 0.5,
    "c.fixed.share[icb]": 0.2,
    "c.rates.rate[out,up]": 0.9,
    "c.b.efficiency": 0.01,
    "c.heads.rate[people]": 2.5,
    "c.blocks.uplift": 0.02,
    "c.fixed.corridors[0].beyond": 0.002,
    "lines.out.price": 130.0,
    "lines.in.cost.step.size": 20.0,
    "lines.out.noise.overdispersion": 9e-4,
    "drivers.pay.sd": 0.05,
    "changes.t.size": 0.15,
}


def test_numbers_samples_and_seeds_compile_nothing_new(whole):
    run = {"samples": 4096, "seed": 7, "keep": ("position",)}
    first = rs.simulate(whole, **run)
    given = rs.draw(whole, samples=64).isel(sample=[0], drop=False)
    one = given.isel(sample=0, drop=True).drop_vars("replicate", errors="ignore")
    rs.settle(whole, one, keep=("position",))
    rs.settle(whole, given, keep=("position",))
    wider = rs.draw(whole, samples=8192)
    with count_traces() as traced:
        second = rs.simulate(whole.with_numbers(NUMBERS), **run)
        rs.simulate(whole, samples=60_000, seed=99, keep=("position",))
        rs.draw(whole, samples=20_000, seed=8)
        rs.settle(whole.with_numbers(NUMBERS), one, keep=("position",))
        rs.settle(whole, wider, keep=("position",))
    assert traced == []
    assert not np.allclose(first.position, second.position)
    with count_traces() as traced:  # the kernel of longer runs, once
        rs.simulate(whole, samples=100_000, seed=99, keep=("position",))
        rs.simulate(whole, samples=200_000, seed=3, keep=("position",))
    assert traced == ["sample_blocks"]


def test_same_seed_same_bits(whole):
    run = {"samples": 4096, "keep": ("position",)}
    first, again = rs.simulate(whole, seed=7, **run), rs.simulate(whole, seed=7, **run)
    np.testing.assert_array_equal(first.position, again.position)
    assert not np.array_equal(first.position, rs.simulate(whole, seed=8, **run).position)


def refused(of, paths):
    found = {}
    for path in paths:
        try:
            if of.with_numbers({path: of.number(path)}).number(path) != of.number(path):
                found[path] = "another number"
        except rs.RiskshareError as error:
            found[path] = str(error)
    return found


def test_every_listed_number_can_be_set_by_its_path(whole):
    paths = list(whole.numbers())
    assert sum("interval[" in path or "released." in path for path in paths) > 10
    assert refused(whole, paths) == {}
