"""Draws of a planner's own: they come out as they went in, and what is added has its own law."""

import dataclasses

import numpy as np
import pytest
import scipy.stats as st
import xarray as xr
from builders import PAYER, PROVIDER, behaviour, case, line, msk_toy

import riskshare as rs
from riskshare.laws.marginal import Lognormal
from riskshare.program.block import count_traces
from riskshare.statistics import Replicates

RUNS = 20_000
PLAN, PRICE, COST = 10_000.0, 2000.0, 2000.0


def given(values, lines=("spells",), year="2018/19", **more):
    """Activity of many runs, (line, run), in the first year."""
    values = np.atleast_2d(np.asarray(values, np.float64))
    variables = {"activity": (("year", "line", "sample"), values[None])}
    for name, array in more.items():
        variables[name] = (("year", "line", "sample"), np.atleast_2d(array)[None])
    return xr.Dataset(variables, {"year": [year], "line": list(lines)})


def normal(mean=PLAN, sd=500.0, runs=RUNS, seed=11):
    return np.random.default_rng(seed).normal(mean, sd, runs)


def assert_mean(values, expected, errors=4):
    values = np.asarray(values, np.float64).ravel()
    error = values.std(ddof=1) / np.sqrt(values.size)
    assert abs(values.mean() - expected) < errors * error + 1e-6 * abs(expected)


def assert_variance(values, expected):
    values = np.asarray(values, np.float64).ravel()
    assert_mean((values - values.mean()) ** 2, expected)


def poisson_line(**fields):
    return line(noise=rs.Noise(law="poisson"), **fields)


# --- what is given comes out -----------------------------------------------------------------


def test_given_activity_is_what_is_drawn():
    values = np.stack([normal(seed=1), normal(50.0, 5.0, seed=2)])
    of = case([line("a"), line("b", baseline=50)])
    drawn = rs.draw(of, given=given(values, ("a", "b")), precision="float64")
    outcomes = rs.simulate(of, given=given(values, ("a", "b")), precision="float64")

    np.testing.assert_array_equal(drawn.activity[0], values)
    paid = outcomes.posting.sel(partner=PROVIDER, term="c.activity-payment").values[0]
    np.testing.assert_allclose(paid, PRICE * values.sum(0), rtol=1e-14)
    assert outcomes.attrs["given_runs"] == RUNS
    assert outcomes.attrs["given_variables"] == ["activity"]
    assert len(outcomes.attrs["given_digest"]) == 16


def test_settling_the_draws_equals_simulating_with_them():
    of = msk_toy()
    own = rs.draw(of, samples=3000, sampler="pseudo-random", seed=8)
    table = own[["activity"]].isel(line=[0])
    options = {"given": table, "chance": "included", "seed": 4, "precision": "float64"}
    settled = rs.settle(of, rs.draw(of, **options))
    outcomes = rs.simulate(of, **options)

    np.testing.assert_allclose(outcomes.position, settled.position, rtol=1e-9, atol=1e-4)


def test_only_the_given_lines_change():
    of = case([poisson_line(name="a"), poisson_line(name="b")])
    alone = rs.draw(of, samples=RUNS, sampler="pseudo-random", seed=6)
    drawn = rs.draw(of, given=given(normal(), ("a",)), chance="included", seed=6)

    np.testing.assert_array_equal(drawn.activity.sel(line="b"), alone.activity.sel(line="b"))
    assert not np.array_equal(drawn.activity.sel(line="a"), alone.activity.sel(line="a"))


def test_years_that_are_not_given_are_drawn():
    of = case([poisson_line()], count=2)
    drawn = rs.draw(of, given=given(normal()), chance="included")

    np.testing.assert_allclose(drawn.activity[0, 0], normal(), rtol=1e-6)
    assert_mean(drawn.activity[1], PLAN)
    assert_variance(drawn.activity[1], PLAN)


@pytest.mark.parametrize(
    ("term", "what"),
    [
        (rs.StrandedSupport(share=0.5, of="stranded cost", basis="realised"), "stranded cost"),
        (
            rs.InvestToSave(
                from_=PAYER, to=PROVIDER, investment=1e5, share=0.5, measure="cost-released",
                floor=0.5,
            ),
            "cost released",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("settled", [False, True])
def test_cost_is_not_given_where_a_term_pays_on_the_model_of_it(term, what, settled):
    of = case([line(cost=behaviour())], [rs.ActivityPayment(), term])
    own = given(normal(runs=64), cost=normal(2e7, 1e5, runs=64))
    with pytest.raises(rs.ExperienceError, match=f"pays on {what}; leave the cost out"):
        rs.settle(of, own) if settled else rs.simulate(of, given=own)
    without = own.drop_vars("cost")
    found = rs.settle(of, without) if settled else rs.simulate(of, given=without)
    assert np.isfinite(found.position).all()


def test_given_unit_cost_and_cost_are_taken():
    of = case([line(unit_cost_noise=rs.Noise(law="gamma", cv=0.2))])
    unit_cost, cost = normal(1500.0, 100.0, seed=3), normal(3e6, 1e5, seed=4)
    by_unit = rs.simulate(of, given=given(normal(), unit_cost=unit_cost), precision="float64")
    whole = given(normal(), cost=cost)
    taken = rs.simulate(of, given=whole, precision="float64", keep=["cost", "position"])

    np.testing.assert_allclose(by_unit.cost.sel(partner=PROVIDER)[0], normal() * unit_cost)
    np.testing.assert_allclose(taken.cost.sel(partner=PROVIDER)[0], cost, rtol=1e-14)
    drawn = rs.draw(of, given=whole, precision="float64")
    np.testing.assert_array_equal(drawn.cost[0, 0], cost)


def test_a_given_driver_moves_the_lines_that_are_not_given():
    of = case(
        [line("a", loadings={"demand": 1.0}), line("b", loadings={"demand": 0.5})],
        drivers=[
            rs.Driver(name="demand", acts_on="activity", law="normal", sd=0.05),
        ],
    )
    index = np.random.default_rng(2).uniform(0.9, 1.1, 500)
    table = xr.Dataset(
        {
            "activity": (("year", "line", "sample"), PLAN * index[None, None]),
            "driver_index": (("year", "driver", "sample"), index[None, None]),
        },
        {"year": ["2018/19"], "line": ["a"], "driver": ["demand"]},
    )
    drawn = rs.draw(of, given=table, precision="float64")

    np.testing.assert_allclose(drawn.activity.sel(line="b")[0], PLAN * np.sqrt(index), rtol=1e-12)
    np.testing.assert_array_equal(drawn.driver_index[0, 0], index)


# --- what is added ---------------------------------------------------------------------------


def test_variances_of_what_is_given_and_what_is_drawn_add():
    # position = (price - unit cost) x activity on one line, and the other line's cost: independent
    # normal parts, so their variances add
    of = case(
        [line("a", unit_cost=1500.0), line("b", loadings={"demand": 1.0})],
        drivers=[rs.Driver(name="demand", acts_on="activity", law="normal", sd=0.04)],
        terms=[rs.ActivityPayment(lines=["a"])],
    )
    outcomes = rs.simulate(of, given=given(normal(sd=800.0), ("a",)), precision="float64")
    provider = outcomes.position.sel(partner=PROVIDER)[0]
    own, added = (500.0 * 800.0) ** 2, (PLAN * COST * 0.04) ** 2

    assert_mean(provider, 500.0 * PLAN - COST * PLAN)
    assert_variance(provider, own + added)
    assert_variance(outcomes.line_cost.sel(line="b"), added)


def test_a_marginal_rate_on_given_activity_has_its_closed_form():
    # E[rate x price x (A - plan)+] at the up rate, less the down rate on the other side
    sd, up, down = 700.0, 0.7, 0.4
    rate = {"up": up, "down": down}
    of = case([line()], terms=[rs.MarginalRate(rate={"spells": rate})])
    outcomes = rs.simulate(of, given=given(normal(sd=sd)), precision="float64")
    paid = outcomes.posting.sel(partner=PROVIDER).values.sum(1)[0]
    half = sd * st.norm.pdf(0)

    assert_mean(paid, PRICE * half * (up - down))
    squares = (PRICE * sd) ** 2 / 2 * (up**2 + down**2)
    assert_mean(paid**2, squares)
    payer = outcomes.posting.sel(partner=PAYER).values.sum(1)[0]
    np.testing.assert_allclose(paid, -payer)


def test_chance_on_top_of_a_given_mean_adds_its_own_variance():
    # N given M is Poisson(M): Var(N) = E(M) + Var(M), E(N) = E(M)
    shape, scale = 25.0, 16.0
    means = np.random.default_rng(5).gamma(shape, scale, RUNS)
    of = case([poisson_line(baseline=400)])
    drawn = rs.draw(of, given=given(means), chance="on-top", precision="float64")
    counts = drawn.activity.values[0, 0]
    exact = st.nbinom(shape, 1 / (1 + scale))

    np.testing.assert_array_equal(counts, np.round(counts))
    assert_mean(counts, shape * scale)
    assert_variance(counts, shape * scale + shape * scale**2)
    assert_mean(counts - means, 0.0)
    assert_variance(counts - means, shape * scale)
    for level in (300, 400, 500):
        assert_mean(counts <= level, exact.cdf(level))


def test_chance_on_top_of_means_far_from_what_the_case_expects():
    # tables span a third to three times what the case expects; given means need their own
    means = np.random.default_rng(6).uniform(4.0, 60.0, RUNS)
    of = case([poisson_line(baseline=5000)])
    counts = rs.draw(of, given=given(means), chance="on-top").activity.values[0, 0]

    assert_mean(counts - means, 0.0)
    assert_variance((counts - means) / np.sqrt(means), 1.0)
    np.testing.assert_array_equal(counts, np.round(counts))
    with pytest.raises(rs.ExperienceError, match=r"means of a count from .* factor of at most 20"):
        rs.draw(of, given=given(np.linspace(1.0, 100.0, 50)), chance="on-top")


def test_chance_may_be_said_line_by_line():
    of = case([poisson_line(name="a"), poisson_line(name="b")])
    table = given([normal(sd=1.0), normal(sd=1.0)], ("a", "b"))
    drawn = rs.draw(of, given=table, chance={"a": "on-top", "b": "included"}, precision="float64")

    assert_variance(drawn.activity.sel(line="a"), PLAN + 1.0)
    np.testing.assert_array_equal(drawn.activity.sel(line="b")[0], normal(sd=1.0))
    assert drawn.attrs["given_chance"] == "a: on-top, b: included"


# --- repeats and standard errors -------------------------------------------------------------


def test_each_run_is_met_by_independent_draws_of_the_rest():
    of = case([line(unit_cost_noise=rs.Noise(law="gamma", cv=0.1))])
    drawn = rs.draw(of, given=given(normal(runs=5000)), repeats=4, precision="float64")
    factor = drawn.unit_cost.values[0, 0].reshape(-1, 4) / COST

    np.testing.assert_array_equal(drawn.activity[0, 0], np.repeat(normal(runs=5000), 4))
    np.testing.assert_array_equal(drawn["run"], np.repeat(np.arange(5000), 4))
    between = np.corrcoef(factor.T)[np.triu_indices(4, 1)]
    assert np.all(np.abs(between) < 4.5 / np.sqrt(5000))
    assert np.corrcoef(factor.ravel(), drawn.activity.values[0, 0])[0, 1] < 4 / np.sqrt(20_000)


def test_standard_errors_cover_where_runs_are_repeated():
    # 300 runs x 8 repeats: samples of one run share its activity, so a naive error of the mean is
    # far too small; over 120 planners' tables the interval of two errors must hold its 95 %
    of = case(
        [line(unit_cost=1500.0, unit_cost_noise=rs.Noise(law="gamma", cv=0.05))],
        terms=[rs.ActivityPayment()],
    )
    truth, inside, naive = 500.0 * PLAN, 0, 0
    tables = 120
    for seed in range(tables):
        table = given(normal(sd=1500.0, runs=300, seed=1000 + seed))
        outcomes = rs.simulate(of, given=table, repeats=8, seed=seed, keep=["position"])
        position = outcomes.position.sel(partner=PROVIDER).values[0].astype(np.float64)
        error = Replicates.labelled(outcomes.replicate.values).error(position)
        inside += abs(position.mean() - truth) < st.t.ppf(0.975, 299) * error
        naive += abs(position.mean() - truth) < 1.96 * Replicates().error(position)

    assert st.binom.cdf(inside, tables, 0.95) > 1e-3
    assert st.binom.sf(inside - 1, tables, 0.95) > 1e-3
    assert naive < 0.8 * tables


def test_another_table_of_given_draws_compiles_nothing():
    of = case([poisson_line()])
    rs.simulate(of, given=given(normal(runs=100)), chance="included", keep=["position"])
    with count_traces() as traced:
        for runs in (50, 5000):
            table = given(normal(runs=runs, seed=runs))
            rs.simulate(of, given=table, chance="included", repeats=2, keep=["position"])

    assert not traced


# --- parameters, and what is refused ---------------------------------------------------------


def test_contracts_meet_the_same_given_runs():
    of = case([line()], terms=[rs.MarginalRate(rate={"spells": 0.5})])
    rates = xr.DataArray([0.0, 0.5, 1.0], dims="rate")
    table = given(normal(runs=400))
    outcomes = rs.simulate(
        of, given=table, parameters={"c.marginal-rate.rate[spells]": rates}, repeats=2
    )
    paid = outcomes.posting.sel(partner=PROVIDER).sum("term").values

    assert outcomes.sizes["sample"] == 800
    np.testing.assert_allclose(paid[0], 0.0, atol=1e-3)
    np.testing.assert_allclose(paid[2], 2 * paid[1], rtol=1e-5, atol=1.0)


def test_what_activity_means_has_no_default():
    with pytest.raises(rs.ArgumentError, match=r"chance is missing for spells.*on-top.*included"):
        rs.simulate(case([poisson_line()]), given=given(normal(runs=9)))
    with pytest.raises(rs.ArgumentError, match=r"chance is 'top'.*on-top"):
        rs.simulate(case([poisson_line()]), given=given(normal(runs=9)), chance="top")
    with pytest.raises(rs.ArgumentError, match="no line is named 'spell'; did you mean 'spells'"):
        rs.simulate(case([line()]), given=given(normal(runs=9)), chance={"spell": "on-top"})


def test_a_split_by_driver_needs_the_drivers_of_given_activity():
    of = rs.load_case("msk-toy")
    own = rs.draw(of, samples=64, sampler="pseudo-random")
    needing = rs.Pool(
        name="split",
        budget="capitated",
        against=["block", "stranded-support"],
        holder="commissioner",
        key="influence",
        lines=["outpatients", "inpatients"],
    )
    contract = of.contracts[0]

    split = dataclasses.replace(
        of, contracts=[dataclasses.replace(contract, terms=[*contract.terms, needing])]
    )
    with pytest.raises(
        rs.ExperienceError, match=r"driver_index\[demand\]: missing in 2018/19; msk"
    ):
        rs.simulate(split, given=own[["activity"]], chance="included")
    whole = own[["activity", "driver_index"]]
    assert rs.simulate(split, given=whole, chance="included").sizes["sample"] == 64


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (given(np.array([1.0, np.nan, 3.0])), r"activity\[spells, 2018/19\]: missing in 1 of 3"),
        (given(np.array([1.0, -2.0])), r"activity\[spells, 2018/19\]: found -2"),
        (given(np.array([1.0, np.inf])), "found inf"),
        (given(np.ones(2), ("spels",)), "did you mean 'spells'"),
        (given(np.ones(2), year="2019/20"), "no year is named '2019/20'"),
        (given(np.ones(2)).rename(activity="activty"), "did you mean 'activity'"),
        (given(np.ones(2)).isel(sample=0), "no dimension run or sample"),
    ],
)
def test_bad_draws_are_refused_before_any_work(table, message):
    with pytest.raises(rs.ExperienceError, match=message):
        rs.simulate(case([line()]), given=table)


def test_the_cost_of_people_is_never_given_by_line():
    people = rs.People(law=Lognormal(mean=2000.0, cv=1.5), threshold=20_000.0)
    of = case([line(people=people, noise=rs.Noise(law="poisson"), baseline=300)])
    counts = np.random.default_rng(1).poisson(300, 400).astype(float)
    drawn = rs.draw(of, given=given(counts), chance="included", precision="float64")

    np.testing.assert_array_equal(drawn.activity[0, 0], counts)
    for name in ("unit_cost", "cost"):
        table = given(counts, **{name: np.full(400, 2000.0)})
        with pytest.raises(rs.ExperienceError, match=rf"{name}\[spells\]: given, but people"):
            rs.draw(of, given=table, chance="included")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 100}, "samples is 100, and there are 9 given runs x 1"),
        ({"sampler": "sobol"}, "accepted with given draws: pseudo-random"),
        ({"repeats": 0}, "repeats is 0"),
    ],
)
def test_options_that_contradict_given_draws_are_refused(options, message):
    with pytest.raises(rs.ArgumentError, match=message):
        rs.simulate(case([line()]), given=given(normal(runs=9)), **options)


def test_options_of_given_draws_need_given_draws():
    with pytest.raises(rs.ArgumentError, match="speak of given draws"):
        rs.simulate(case([line()]), chance="included")
    with pytest.raises(rs.ArgumentError, match="speak of given draws"):
        rs.draw(case([line()]), repeats=2)


def test_when_everything_is_given_nothing_is_drawn():
    of = rs.load_case("mid-nottinghamshire-msk")
    own = rs.draw(of, samples=300, sampler="pseudo-random", seed=2, precision="float64")
    options = {"given": own, "chance": "included", "precision": "float64", "keep": ["position"]}
    settled = rs.settle(of, own, keep=["position"])

    for seed in (1, 2):
        outcomes = rs.simulate(of, seed=seed, **options)
        np.testing.assert_allclose(outcomes.position, settled.position, rtol=1e-9, atol=1e-4)
    read = rs.read_draws(own, of)
    again = rs.simulate(of, **{**options, "given": read})
    np.testing.assert_array_equal(again.position, rs.simulate(of, **options).position)
    assert again.attrs["given_digest"] == outcomes.attrs["given_digest"]
