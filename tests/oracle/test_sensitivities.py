"""Derivatives of statistics: closed forms of normal positions, gates, and differences of runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st
import xarray as xr
from builders import AMOUNT, BASE, PAYER, PROVIDER, RATE, SD, SPREAD, case, line, normal

import riskshare as rs
from riskshare.program.functionals import KINDS, REACH, Functionals, weighed
from riskshare.run import gradients
from riskshare.run.gradients import program_of

PATHS = ["c.funding.amount", "c.marginal-rate.rate", "drivers.demand.sd"]


@pytest.fixture(scope="module", params=["sobol", "pseudo-random"])
def found(request):
    return rs.sensitivities(
        normal(), paths=PATHS, partners=[PROVIDER], sampler=request.param, samples=262_144
    ).isel(year=0, partner=0)


def normal_derivatives(level):
    """Derivatives by amount, rate and sd of each statistic of amount + rate x base x sd x Z."""
    z, away = st.norm.ppf(level), AMOUNT / SPREAD
    tail = st.norm.pdf(z) / (1 - level)
    by_spread = np.array([0.0, BASE * SD, RATE * BASE])
    by_amount = np.array([1.0, 0.0, 0.0])
    chance = -st.norm.pdf(away) / SPREAD * by_amount
    return {
        "mean": by_amount,
        "standard_deviation": by_spread,
        "probability_of_deficit": chance + st.norm.pdf(away) * away / SPREAD * by_spread,
        "quantile": by_amount + z * by_spread,
        "tail_value_at_risk": -by_amount + tail * by_spread,
    }


@pytest.mark.parametrize("level", [0.05, 0.95])
@pytest.mark.parametrize(
    "statistic",
    ["mean", "standard_deviation", "probability_of_deficit", "quantile", "tail_value_at_risk"],
)
def test_derivatives_are_those_of_a_normal(found, statistic, level):
    name = f"position_{statistic}_derivative"
    value, error = found[name], found[f"{name}_error"]
    if "level" in value.dims:
        value, error = value.sel(level=level), error.sel(level=level)
    expected = normal_derivatives(level)[statistic]
    # what a unit of each number is worth in money, or in chance
    unit = np.array([1.0, BASE * SD, RATE * BASE])
    if statistic == "probability_of_deficit":
        unit = unit / SPREAD
    # errors hold the kernel's bias; rounding of positions is besides
    assert (np.abs(value - expected) < 4 * error + 1e-5 * unit).all()
    assert (error < 0.02 * unit).all()
    assert (found.method == "pathwise").all()


@pytest.mark.parametrize("sampler", ["sobol", "pseudo-random"])
def test_errors_hold_the_truth_as_often_as_they_say(sampler):
    """Of 40 runs, with errors between 16 parts: t with 15 degrees of freedom.

    The kernel's bias, 0.2 % of the chance here, is ten times the sampling error of a Sobol' run.
    """
    of, limit, held = normal(), st.t.ppf(0.975, 15), []
    statistics = ["standard_deviation", "quantile", "tail_value_at_risk", "probability_of_deficit"]
    for seed in range(40):
        run = rs.sensitivities(
            of,
            paths=PATHS[1:2],
            statistics=statistics,
            partners=[PROVIDER],
            seed=seed,
            levels=[0.05],
            sampler=sampler,
        ).isel(year=0, partner=0, path=0, level=0)
        for statistic in statistics:
            name = f"position_{statistic}_derivative"
            gap = abs(float(run[name]) - normal_derivatives(0.05)[statistic][1])
            held.append(gap <= limit * float(run[f"{name}_error"]))
    looks = len(held)
    assert np.mean(held) > 0.95 - 4 * np.sqrt(0.95 * 0.05 / looks)


def test_a_gate_is_counted_in_the_spread_and_said():
    """A rate that takes over on the whole deviation: Var = 2 int D^2 r(D)^2, with a jump."""
    first, second, edge = 0.3, 0.9, 0.05
    glass = rs.BreakGlass(threshold=edge, rate=second, reading="whole-deviation")
    of = normal(rate=first, break_glass=glass)
    path = "c.marginal-rate.break_glass.threshold"
    found = rs.sensitivities(of, paths=[path], partners=[PROVIDER], samples=262_144, levels=[0.05])
    found = found.isel(year=0, partner=0, path=0)
    z = edge / SD

    def below(x):  # E[Z^2; |Z| < x]
        return 2 * st.norm.cdf(x) - 1 - 2 * x * st.norm.pdf(x)

    variance = (BASE * SD) ** 2 * (first**2 * below(z) + second**2 * (1 - below(z)))
    by_edge = -2 * (second**2 - first**2) * (BASE * edge) ** 2 * st.norm.pdf(z) / SD
    expected = by_edge / (2 * np.sqrt(variance))
    error = float(found.position_standard_deviation_derivative_error)
    got = float(found.position_standard_deviation_derivative)
    assert abs(got - expected) < 4 * error + 0.005 * abs(expected)
    assert error < 0.02 * abs(expected)
    words = dict(zip(found.statistic.values, found.method.values, strict=True))
    assert words["mean"] == words["standard_deviation"] == "smoothed"
    assert words["quantile"] == words["tail_value_at_risk"] == "differences"


@pytest.mark.parametrize("seed", range(4))
def test_a_quantile_beyond_a_gate_is_differenced_within_its_error(seed):
    """Beyond the threshold the position is second x base x sd x Z: q moves with sd by their z."""
    second = 0.9
    glass = rs.BreakGlass(threshold=0.05, rate=second, reading="whole-deviation")
    found = rs.sensitivities(
        normal(rate=0.3, break_glass=glass),
        paths=["drivers.demand.sd"],
        statistics=["quantile"],
        partners=[PROVIDER],
        levels=[0.05],
        seed=seed,
        sampler="pseudo-random",
    ).isel(year=0, partner=0, path=0, level=0)
    assert found.method.item() == "differences"
    expected = second * BASE * st.norm.ppf(0.05)
    error = float(found.position_quantile_derivative_error)
    assert abs(float(found.position_quantile_derivative) - expected) < 4 * error
    assert error < 0.02 * abs(expected)


def test_a_value_that_many_have_and_leave_at_different_speeds_has_no_derivative():
    """At a rate of 0 the position is certain; more of it, or less, spreads it either way."""
    found = rs.sensitivities(
        normal(rate=0.0), paths=PATHS[:2], partners=[PROVIDER], levels=[0.05]
    ).isel(year=0, partner=0)
    by_rate = found.sel(path="c.marginal-rate.rate")
    assert float(by_rate.position_mean_derivative) == pytest.approx(0.0, abs=BASE * SD * 1e-3)
    assert np.isnan(by_rate.position_quantile_derivative).all()
    assert np.isnan(by_rate.position_tail_value_at_risk_derivative).all()
    by_amount = found.sel(path="c.funding.amount")
    np.testing.assert_allclose(by_amount.position_quantile_derivative, 1.0, rtol=1e-6)
    np.testing.assert_allclose(by_amount.position_tail_value_at_risk_derivative, -1.0, rtol=1e-6)


@pytest.mark.parametrize("terms", [1, 2])
def test_a_position_that_only_holds_level_has_no_derivative_of_its_quantiles(terms):
    """Price and unit cost alike, it is 0 whatever the activity; of another price it spreads.

    Paid in two parts it is 0 but for rounding.

    That all samples' mean derivative hardly varies between the replicates of a Sobol' run says
    nothing of how they differ from each other.
    """
    whole = rs.CostBehaviour(variable=1.0, fixed=0.0)
    demand = rs.Driver(name="demand", acts_on="activity", law="normal", sd=SD)
    paid = [rs.ActivityPayment(name=f"part-{i}", share=part) for i, part in enumerate((0.3, 0.7))]
    of = case(
        [line(loadings={"demand": 1.0}, cost=whole)],
        [rs.ActivityPayment()] if terms == 1 else paid,
        drivers=[demand],
    )
    paths = ["lines.spells.price", "drivers.demand.sd"]  # of other sizes by far
    found = rs.sensitivities(of, paths=paths, levels=[0.05])
    own = found.isel(year=0, path=0).sel(partner=PROVIDER)
    held = rs.simulate(of, samples=4096).position.sel(partner=PROVIDER)
    assert (held.std() > 0) == (terms > 1)
    assert np.isnan(own.position_standard_deviation_derivative)
    assert float(own.position_mean_derivative) == pytest.approx(of.lines[0].baseline, rel=1e-3)
    assert np.isnan(own.position_quantile_derivative).all()
    assert np.isnan(own.position_tail_value_at_risk_derivative).all()


def test_a_cap_that_many_meet_keeps_its_derivative_in_long_runs():
    """Some samples come within rounding of it from below, and do not move with it.

    Who pays it has all of the tail there, which is as uncertain as its edge.
    """
    terms = [rs.Block(), rs.MarginalRate(rate=0.5, cap=0.025)]
    demand = rs.Driver(name="demand", acts_on="activity", law="normal", sd=SD)
    fixed = rs.CostBehaviour(variable=0.0, fixed=1.0, exit_basis="planned")
    of = case([line(loadings={"demand": 1.0}, cost=fixed)], terms, drivers=[demand])
    found = rs.sensitivities(
        of,
        paths=["c.marginal-rate.cap"],
        partners=[PROVIDER, PAYER],
        statistics=["quantile", "tail_value_at_risk"],
        levels=[0.05, 0.95],
        samples=2**20,
    ).isel(path=0, year=0)
    plan = of.lines[0].price * of.lines[0].baseline
    own = found.sel(partner=PROVIDER, level=0.95)
    assert own.position_quantile_derivative.item() == pytest.approx(plan, rel=1e-3)
    error = found.position_quantile_derivative_error.sel(partner=PAYER, level=0.05).item()
    tail = found.sel(partner=PAYER, level=0.95)
    assert tail.position_tail_value_at_risk_derivative.item() == pytest.approx(plan, rel=1e-3)
    assert tail.position_tail_value_at_risk_derivative_error.item() == pytest.approx(error)
    assert error > 0


def test_a_pool_that_keeps_nothing_but_rounding_has_no_spread_to_move():
    found = rs.sensitivities(
        rs.load_case("national-risk-pool"),
        paths=["pool.care.in_force", "pool.care.uplift"],
        statistics=["standard_deviation", "quantile", "tail_value_at_risk"],
        partners=["reserve"],
    )
    for name in ("standard_deviation", "quantile", "tail_value_at_risk"):
        assert np.isnan(found[f"position_{name}_derivative"]).all()


def releasing(share, count):
    leaves = rs.CostBehaviour(
        variable=0.0, fixed=1.0, exit_basis="realised", released=rs.Released(fixed=(share,))
    )
    years = {"process": "ar1", "persistence": 0.0}
    demand = rs.Driver(name="demand", acts_on="activity", law="normal", sd=SD, **years)
    of = line(loadings={"demand": 1.0}, cost=leaves)
    return case([of], [rs.Block()], drivers=[demand], count=count)


RELEASED = "lines.spells.cost.released.fixed[0]"


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_at_the_end_of_its_range_a_share_released_has_the_derivative_inside(share):
    """What a reduction releases: fixed cost x share x E[max(-d, 0)], for a normal deviation d."""
    of = releasing(share, 1)
    wanted = of.lines[0].unit_cost * of.lines[0].baseline * SD / np.sqrt(2 * np.pi)
    found = rs.sensitivities(of, paths=[RELEASED], statistics=["mean"], partners=[PROVIDER])
    assert found.position_mean_derivative.item() == pytest.approx(wanted, rel=2e-3)
    program = rs.compile(of, keep=["position"])
    stream, row = program.stream(65_536, seed=1), program.partners.index(PROVIDER)
    slope = jax.grad(lambda p: program.simulate(p, stream)["position"][0, row].mean())
    assert float(slope({RELEASED: share})[RELEASED]) == pytest.approx(wanted, rel=2e-3)


def test_what_was_released_a_year_before_is_a_kink_that_is_differenced():
    """Nothing released so far, a little more of it releases the greater of both years' part.

    A share e of reductions C: e C_1, then min(C_2, max(e C_1, e C_2)).
    """
    of = releasing(0.0, 2)
    found = rs.sensitivities(
        of, paths=[RELEASED], statistics=["mean"], partners=[PROVIDER], years=["2019/20"]
    )
    drawn = rs.draw(of, samples=65_536).activity.sel(line="spells").values
    first, second = np.maximum(1 - drawn / of.lines[0].baseline, 0)
    wanted = 2e7 * (np.maximum(first, second) * (second > 0)).mean()
    assert found.method.item() == "differences"
    # the step is 0.002: a reduction of the second year below that part of the first is all gone
    assert found.position_mean_derivative.item() == pytest.approx(wanted, rel=5e-3)
    assert found.position_mean_derivative.item() != pytest.approx(2e7 * second.mean(), rel=5e-2)


@pytest.mark.parametrize(
    "levels", [pytest.param([0.05], marks=pytest.mark.slow), [0.05, 0.95]], ids=["one", "two"]
)
def test_either_way_through_the_kernel_gives_the_same(levels):
    """Forward and reverse mode: many statistics of one number, and one of many."""
    of = rs.load_case("mid-nottinghamshire-msk")
    rate = "msk.marginal-rate.rate[inpatients]"
    whole = rs.sensitivities(of, paths=[rate], levels=levels, samples=16_384)
    one = rs.sensitivities(
        of,
        paths=list(program_of(of).parameters),
        statistics=["mean"],
        partners=["acute"],
        samples=16_384,
    )
    names = ["position_mean_derivative", "position_mean_derivative_error"]
    for name in names:
        got = one[name].sel(path=rate, partner="acute", year="all")
        want = whole[name].sel(path=rate, partner="acute", year="all")
        assert float(got) == pytest.approx(float(want), rel=1e-3)


@pytest.mark.parametrize("forward", [True, False])
def test_samples_that_count_give_what_all_of_them_do(monkeypatch, forward):
    """Neither mean nor spread is asked for, so most samples are left out, whichever way it goes."""
    asked = {
        "paths": PATHS[:2],
        "partners": [PROVIDER],
        "statistics": ["probability_of_deficit", "quantile", "tail_value_at_risk"],
        "levels": [0.05],
    }
    monkeypatch.setattr(gradients.Gradients, "_forward", lambda *_: forward)
    gradients.gradients_of.cache_clear()
    found = rs.sensitivities(normal(), **asked).isel(year=0, partner=0, level=0)
    gradients.gradients_of.cache_clear()
    monkeypatch.setattr(gradients, "EVERYWHERE", KINDS)
    whole = rs.sensitivities(normal(), **asked).isel(year=0, partner=0, level=0)
    gradients.gradients_of.cache_clear()
    for statistic, unit in (("probability_of_deficit", 1 / SPREAD), ("quantile", 1)):
        name = f"position_{statistic}_derivative"
        error = found[f"{name}_error"].values
        units = unit * np.array([1.0, BASE * SD])
        assert (error > 0).any()
        np.testing.assert_allclose(found[name] / units, whole[name] / units, rtol=0, atol=1e-5)
        np.testing.assert_allclose(error / units, whole[f"{name}_error"] / units, rtol=0, atol=1e-5)
        gap = np.abs(found[name] - normal_derivatives(0.05)[statistic][:2])
        assert (gap < 4 * error + 1e-5 * units).all()
    tail = found.position_tail_value_at_risk_derivative
    assert float(tail[0]) == pytest.approx(-1, rel=1e-5)
    # at a confidence of 5 %: all but the best twentieth
    want = normal_derivatives(0.05)["tail_value_at_risk"][1]
    error = float(found.position_tail_value_at_risk_derivative_error[1])
    assert abs(float(tail[1]) - want) < 4 * error + 1e-5 * BASE * SD


@pytest.mark.parametrize("statistic", ["quantile", "probability_of_deficit"])
def test_a_gate_far_from_what_is_looked_at_is_found(statistic):
    """Beyond 2.6 standard deviations a glass breaks and most of the loss is made good.

    So many fewer are below the 5 % quantile, or in deficit, though none of them is near it:
    P(x < q) = Phi((q - amount) / spread) - Phi(-z), which rises by phi(z) with z.
    """
    z, sd, rate = 2.6, 0.25, 0.9
    amount = 0.5 * rate * BASE * sd
    glass = rs.BreakGlass(threshold=z * sd, rate=0.05, reading="whole-deviation")
    of = normal(rate=rate, sd=sd, amount=amount, break_glass=glass)
    found = rs.sensitivities(
        of,
        paths=["c.marginal-rate.break_glass.threshold"],
        statistics=[statistic],
        partners=[PROVIDER],
        levels=[0.05],
    )
    name = f"position_{statistic}_derivative"
    by_chance = st.norm.pdf(z) / sd
    below = st.norm.ppf(0.05 + st.norm.cdf(-z))
    want = {
        "quantile": -by_chance * rate * BASE * sd / st.norm.pdf(below),
        "probability_of_deficit": by_chance,
    }[statistic]
    assert found.method.item() == "differences"
    error = found[f"{name}_error"].item()
    assert abs(found[name].item() - want) < 4 * error
    assert error < 0.1 * abs(want)


@pytest.mark.parametrize("samples", [pytest.param(4096, marks=pytest.mark.slow), 69_632])
def test_the_number_of_threads_changes_nothing(samples):
    """Threads have chunks of other sizes, and a gate may be met in any of them."""
    of = rs.load_case("mid-nottinghamshire-msk")
    one, many = (
        rs.sensitivities(of, statistics=["mean", "quantile"], workers=workers, samples=samples)
        for workers in (1, 3)
    )
    xr.testing.assert_equal(one.method, many.method)
    xr.testing.assert_allclose(one, many, rtol=1e-9)


def test_a_gate_leaves_numbers_that_do_not_reach_it_as_they_are():
    glass = rs.BreakGlass(threshold=0.05, rate=0.9, reading="whole-deviation")
    found = rs.sensitivities(normal(break_glass=glass), paths=["c.funding.amount"])
    assert (found.method == "pathwise").all()


def test_a_law_in_a_table_is_differenced():
    """Gamma chance of mean 1 and coefficient of variation c: sd of the position rises with c."""
    noise = rs.Noise(law="negative-binomial", overdispersion=0.01)
    fixed = rs.CostBehaviour(variable=0.0, fixed=1.0, exit_basis="planned")
    of = case([line(noise=noise, cost=fixed)], [rs.Block(), rs.MarginalRate(rate=RATE)])
    path = "lines.spells.noise.overdispersion"
    found = rs.sensitivities(of, paths=[path], partners=[PROVIDER], samples=262_144, levels=[0.05])
    found = found.isel(year=0, partner=0, path=0)
    # activity of mean m has variance m + a m^2; the position is rate x price x (activity - m)
    mean = 10_000
    spread = np.sqrt(mean + 0.01 * mean**2)
    expected = RATE * 2000 * mean**2 / (2 * spread)
    error = float(found.position_standard_deviation_derivative_error)
    got = float(found.position_standard_deviation_derivative)
    assert abs(got - expected) < 4 * error + 1e-3 * expected
    assert error < 0.01 * expected
    assert (found.method == "differences").all()


def test_derivatives_agree_with_differences_of_the_toy():
    """Every number of the contract, against two runs at numbers moved by a thousandth."""
    of = rs.load_case("msk-toy")
    found = rs.sensitivities(of, statistics=["mean", "standard_deviation", "tail_value_at_risk"])
    compared = 0
    for path in found.path.values:
        value = of.number(path)
        step = 1e-3 * max(abs(value), 0.1)
        try:
            ends = [of.with_numbers({path: value + sign * step}) for sign in (-1, 1)]
        except rs.CaseError:
            continue  # a share that may not move alone, or a number at its bound
        runs = [rs.simulate(end, keep=("position",)) for end in ends]
        low, high = (rs.summarise(run, levels=[0.95]).sel(year="all") for run in runs)
        for statistic in ("mean", "standard_deviation", "tail_value_at_risk"):
            name = f"position_{statistic}"
            of_run = found.sel(path=path, year="all")
            got, error = of_run[f"{name}_derivative"], of_run[f"{name}_derivative_error"]
            difference = ((high[name] - low[name]) / (2 * step)).squeeze(drop=True)
            if "level" in got.dims:
                got, error = got.sel(level=0.95), error.sel(level=0.95)
            scale = float(np.abs(difference).max())
            # positions of 10 million are rounded to the nearest 1, which a difference divides
            rounding = 0.1 / step + 1e-6 * float(np.abs(of_run.position_mean_derivative).max())
            away = (np.abs(got - difference) - 4 * error).fillna(0.0)
            assert (away <= 0.01 * scale + rounding).all(), (path, statistic)
            compared += 1
    assert compared >= 18


def test_years_and_groups_add_up():
    of = rs.load_case("mid-nottinghamshire-msk")
    years = [*of.labels()["year"], "all"]
    found = rs.sensitivities(
        of, paths=["msk.marginal-rate.rate[inpatients]"], statistics=["mean"], years=years
    ).position_mean_derivative
    np.testing.assert_allclose(
        found.sel(year=years[:-1]).sum("year"), found.sel(year="all"), rtol=1e-5, atol=1.0
    )
    inside = [p.name for p in of.partners if p.kind != "external"]
    np.testing.assert_allclose(
        found.sel(partner=inside).sum("partner"), found.sel(partner="system"), rtol=1e-5, atol=1.0
    )


def test_a_position_that_never_varies_has_no_spread_to_move():
    of = case([line(cost=rs.CostBehaviour(variable=0.0, fixed=1.0))], [rs.Block()])
    found = rs.sensitivities(of, paths=["lines.spells.price"], partners=[PAYER]).isel(
        year=0, partner=0, path=0
    )
    assert float(found.position_mean_derivative) == pytest.approx(-10_000)
    assert float(found.position_quantile_derivative.sel(level=0.05)) == pytest.approx(-10_000)
    assert np.isnan(found.position_standard_deviation_derivative)


def test_a_certain_sum_of_years_moves_as_a_whole_however_it_is_rounded():
    found = rs.sensitivities(
        rs.load_case("discharge-to-assess"),
        paths=["lines.emergency-spells.price"],
        statistics=["mean", "quantile", "tail_value_at_risk"],
        partners=["external"],
        levels=[0.95],
    ).squeeze()
    mean = float(found.position_mean_derivative)
    assert float(found.position_quantile_derivative) == pytest.approx(mean, rel=1e-5)
    assert float(found.position_tail_value_at_risk_derivative) == pytest.approx(-mean, rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"paths": ["c.funding.amont"]}, "did you mean c.funding.amount"),
        ({"paths": "everything"}, "'contracts', 'all', a list of paths"),
        ({"statistics": ["median"]}, "found 'median'; accepted: a list of mean"),
        ({"statistics": "mean"}, "accepted: a list of mean"),
        ({"partners": ["provder"]}, "did you mean provider"),
        ({"years": ["2030/31"]}, "found '2030/31'"),
        ({"levels": [5]}, "accepted: between 0 and 1"),
    ],
)
def test_what_is_not_there_is_refused(arguments, said):
    with pytest.raises(rs.ArgumentError, match=said.replace("(", r"\(")):
        rs.sensitivities(normal(), **arguments)


@pytest.mark.parametrize("level", [1e-5, 0.99999])
def test_a_level_beyond_which_there_are_too_few_samples_is_refused(level):
    with pytest.raises(rs.ArgumentError, match=r"looks at 0\.7 of 65,536 samples.*samples=6,"):
        rs.sensitivities(normal(), statistics=["quantile"], levels=[level])
    rs.sensitivities(
        normal(), paths=PATHS[:1], statistics=["mean"], levels=[level], samples=4096
    )  # asks for no level


def test_words_for_all_paths_are_named_where_nothing_is_near():
    with pytest.raises(rs.ArgumentError, match="no number has the path 'everything'; or: contra"):
        rs.sensitivities(normal(), paths=["everything"])


def test_a_case_may_be_asked_at_other_numbers():
    moved = normal().with_numbers({"c.marginal-rate.rate": 0.3})
    found = rs.sensitivities(moved, paths=PATHS[2:], partners=[PROVIDER], levels=[0.05])
    got = float(found.position_standard_deviation_derivative.squeeze())
    assert got == pytest.approx(0.3 * BASE, rel=1e-3)


def test_a_band_that_begins_at_once_has_the_derivative_of_a_later_start():
    """Plan x sign(d) (abs(d) - e) has the variance plan^2 E[(abs(d) - e)^2].

    So the standard deviation falls with e at 0 by plan x E[abs(d)] / sd = plan x sqrt(2 / pi).
    """
    terms = [rs.Block(), rs.MarginalRate(bands=[rs.Band(beyond=0.0, rate=1.0)])]
    demand = rs.Driver(name="demand", acts_on="activity", law="normal", sd=SD)
    fixed = rs.CostBehaviour(variable=0.0, fixed=1.0, exit_basis="planned")
    of = case([line(loadings={"demand": 1.0}, cost=fixed)], terms, drivers=[demand])
    path = next(p for p in of.numbers() if p.endswith("beyond"))
    found = rs.sensitivities(
        of, paths=[path], statistics=["mean", "standard_deviation"], partners=[PROVIDER]
    )
    plan = of.lines[0].price * of.lines[0].baseline
    assert found.position_mean_derivative.item() == pytest.approx(0, abs=1e-3 * plan)
    by_edge = found.position_standard_deviation_derivative.item()
    assert by_edge == pytest.approx(-plan * np.sqrt(2 / np.pi), rel=1e-3)


@pytest.mark.parametrize("kind", ["deficit", "deficit_wide"])
def test_a_kernel_that_ends_is_of_the_fourth_order_all_the_same(kind):
    spread, width, limit = 3.0, 0.5, 1.0
    values = np.linspace(-10, 10, 200_001)
    one = np.ones(1)
    looked = Functionals(
        one[None], 0 * one, spread * one, one[None], one[None], one[None] < 0, 0 * one,
        width * one, ((kind, -1),)
    )  # fmt: skip
    weights, moved = weighed(looked, jnp.asarray(values[None], "float32"), jnp.float32(limit * one))
    row, step = -np.asarray(weights[0, 0]), values[1] - values[0]
    assert row.sum() * step == pytest.approx(1, rel=1e-4)
    assert float(moved[0, 0]) == pytest.approx(row.sum(), rel=1e-4)
    # so much of a curve's bend is taken for height, in widths squared
    bend = (row * (values - limit) ** 2).sum() * step / width**2
    assert abs(bend) < 0.002
    # what counts for nothing is most of it, and the same of both
    assert np.ptp(values[row != 0]) == pytest.approx(2 * REACH * width, abs=2 * step)
