"""Dependence: what is asked comes out of the draws, and what is impossible is refused."""

import hashlib
from functools import cache

import numpy as np
import pytest
import scipy.integrate as integrate
import scipy.special as sp
import scipy.stats as st
import xarray as xr
from builders import case, line

import riskshare as rs
from riskshare.bind import bind
from riskshare.laws.copula import rank_correlation, score_correlation, student_tables
from riskshare.laws.marginal import Shock, Triangular
from riskshare.plan import plan_of
from riskshare.program import streams
from riskshare.program.block import count_traces

SAMPLES = 1 << 17
ASKED = {("a", "b"): 0.5, ("a", "c"): -0.3, ("b", "c"): 0.1}
LAWS = {
    "a": {"law": "normal", "sd": 0.05},
    "b": {"law": "lognormal", "sd": 0.3, "centre": "mean"},
    "c": {"law": "normal", "interval": [0.9, 1.2]},
}


def student(degrees):
    return rs.Dependence(copula="student-t", degrees_of_freedom=degrees)


def dependence(degrees):
    return rs.Dependence() if degrees is None else student(degrees)


def drivers(laws=LAWS, **fields):
    return [
        rs.Driver(name=name, acts_on="activity", **{**law, **fields}) for name, law in laws.items()
    ]


def three(degrees=None, measure="score", asked=ASKED, count=1, fields=None, **more):
    """One line moved by three correlated drivers."""
    return case(
        [line(loadings=dict.fromkeys(LAWS, 1.0))],
        drivers=drivers(**(fields or {})),
        correlations=[
            rs.Correlation(between=p, value=v, measure=measure) for p, v in asked.items()
        ],
        dependence=dependence(degrees),
        count=count,
        **more,
    )


def replicates(draws):
    """Index values by replicate: (replicate, driver, sample of it), of the first year."""
    index = draws.driver_index.isel(year=0).transpose("driver", "sample").values
    return index.reshape(len(index), draws.attrs["replicates"], -1).transpose(1, 0, 2)


def error_of(found):
    """Mean of replicates and its standard error."""
    return np.mean(found), np.std(found, ddof=1) / np.sqrt(len(found))


# ------------------------------------------------------------------ what was asked


def spearman_of_t(rho, degrees):
    """12 E[F(X) F(Y)] - 3, from the law of X and that of Y given X, by a rule over their scores."""
    z = np.linspace(-6, 6, 1281 if degrees < 2 else 161)
    weight = st.norm.pdf(z) / st.norm.pdf(z).sum()
    level = st.norm.cdf(z)
    x = quantile(z, degrees)[:, None]
    spread = np.sqrt((degrees + x**2) / (degrees + 1) * (1 - rho**2))
    y = rho * x + spread * quantile(z, degrees + 1)
    return 12 * weight @ (level[:, None] * sp.stdtr(degrees, y)) @ weight - 3


@pytest.mark.parametrize("degrees", [1.0, 4.0, 30.0])
@pytest.mark.parametrize("rho", [-0.8, 0.3, 0.95])
def test_spearman_of_a_t_copula(rho, degrees):
    assert rank_correlation(rho, "spearman", degrees) == pytest.approx(
        spearman_of_t(rho, degrees), abs=1e-5
    )


def test_spearman_of_many_degrees_of_freedom_is_the_gaussian_one():
    found = [rank_correlation(0.6, "spearman", nu) for nu in (10.0, 100.0, 1000.0)]
    gaps = np.abs(np.array(found) - 6 / np.pi * np.arcsin(0.3))
    assert gaps[2] < 1e-4
    assert np.all(gaps[1:] < gaps[:-1] / 5)


@pytest.mark.parametrize("degrees", [None, 1.0, 5.0])
@pytest.mark.parametrize("measure", ["score", "spearman", "kendall"])
def test_conversions_are_inverse_and_monotone(measure, degrees):
    grid = np.linspace(-1, 1, 9)
    scores = [score_correlation(float(v), measure, degrees) for v in grid]
    back = [rank_correlation(r, measure, degrees) for r in scores]
    np.testing.assert_allclose(back, grid, atol=1e-10)
    assert np.all(np.diff(scores) > 0)


def rank_correlations(draws, measure):
    """Rank correlation of each pair in each replicate: (replicate, pair)."""
    ranked = st.spearmanr if measure == "spearman" else st.kendalltau
    pairs = [("abc".index(one), "abc".index(other)) for one, other in ASKED]
    return np.array(
        [[ranked(part[i], part[j]).statistic for i, j in pairs] for part in replicates(draws)]
    )


@pytest.mark.parametrize("degrees", [None, 3.0])
@pytest.mark.parametrize("measure", ["spearman", "kendall"])
def test_ranks_of_draws_correlate_as_asked(measure, degrees):
    draws = rs.draw(three(degrees, measure), samples=SAMPLES, seed=7)
    # points of a net keep apart, so that pairs of them are not quite independent: 1 / n
    apart = draws.attrs["replicates"] / SAMPLES
    for found, asked in zip(rank_correlations(draws, measure).T, ASKED.values(), strict=True):
        mean, error = error_of(found)
        assert abs(mean - asked) < 4 * error + apart
        assert error < 0.001


def test_scores_of_a_gaussian_copula_correlate_as_asked():
    of = three()
    draws = rs.draw(of, samples=SAMPLES, seed=8)
    scores = np.array([st.norm.ppf(st.rankdata(row, axis=-1) / (row.shape[-1] + 1))
                       for row in replicates(draws).transpose(1, 0, 2)])  # fmt: skip
    for (one, other), asked in ASKED.items():
        i, j = "abc".index(one), "abc".index(other)
        found = [np.corrcoef(scores[i, r], scores[j, r])[0, 1] for r in range(scores.shape[1])]
        mean, error = error_of(found)
        assert abs(mean - asked) < 4 * error


# ------------------------------------------------------------------ the t copula


def beyond_both(one, other, rho, degrees):
    """P(U > one, V > other) under a Gaussian or a t copula."""
    if degrees is None:
        edges = st.norm.isf([one, other])  # of minus the scores
        return st.multivariate_normal.cdf(edges, cov=[[1, rho], [rho, 1]])
    edge = st.t.isf(1 - other, degrees)

    def given(share):
        x = st.t.isf((1 - one) * share, degrees)
        spread = np.sqrt((degrees + x**2) / (degrees + 1) * (1 - rho**2))
        return st.t.sf((edge - rho * x) / spread, degrees + 1)

    return (1 - one) * integrate.quad(given, 0, 1, epsabs=0, epsrel=1e-8)[0]


def tail_dependence(rho, degrees):
    return 2 * st.t.cdf(-np.sqrt((degrees + 1) * (1 - rho) / (1 + rho)), degrees + 1)


@pytest.mark.parametrize("degrees", [1.0, 4.0])
@pytest.mark.parametrize("level", [0.95, 0.995])
def test_extremes_come_together_as_often_as_in_a_t_copula(level, degrees):
    rho = ASKED["a", "b"]
    # the formula at this level is that of the limit further out
    assert beyond_both(1 - 1e-8, 1 - 1e-8, rho, degrees) / 1e-8 == pytest.approx(
        tail_dependence(rho, degrees), rel=0.01
    )
    parts = replicates(rs.draw(three(degrees), samples=1 << 19, seed=3))
    edge = st.norm.ppf(level)
    for sign in (1, -1):
        beyond_a = sign * (parts[:, 0] - 1) > 0.05 * edge
        beyond_b = sign * (np.log(parts[:, 1]) + 0.045) > 0.3 * edge
        mean, error = error_of((beyond_a & beyond_b).mean(axis=1))
        exact = beyond_both(level, level, rho, degrees)
        assert abs(mean - exact) < 4 * error
        assert error < 0.06 * exact


@pytest.mark.parametrize("degrees", [1.0, 4.0, 200.0])
def test_laws_are_the_same_under_a_t_copula(degrees):
    of = three(degrees, count=2, fields={"process": "ar1", "persistence": 0.7})
    draws = rs.draw(of, samples=SAMPLES, seed=5).driver_index
    levels = np.array([1e-3, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999])
    z = st.norm.ppf(levels)
    exact = {"a": 1 + 0.05 * z, "b": np.exp(0.3 * z - 0.045), "c": 1.05 + z * 0.15 / 1.2815515655}
    for year in range(2):
        for name, values in exact.items():
            found = draws.sel(driver=name).isel(year=year).values.reshape(16, -1, 1)
            below = (found <= values).mean(axis=1)
            error = below.std(axis=0, ddof=1) / 4
            assert np.all(np.abs(below.mean(axis=0) - levels) < 4.5 * error + 1e-6)
    scores = (draws.sel(driver="a").values - 1) / 0.05
    by_replicate = scores.reshape(2, 16, -1)
    mean, error = error_of([np.corrcoef(*by_replicate[:, r])[0, 1] for r in range(16)])
    assert abs(mean - 0.7) < 4 * error


def test_a_random_walk_under_a_t_copula_keeps_its_moments():
    walk = {"a": {"law": "lognormal", "sd": 0.1, "centre": "mean", "process": "random-walk"}}
    of = case([line(loadings={"a": 1.0})], drivers=drivers(walk), dependence=student(2.0), count=3)
    logs = np.log(rs.draw(of, samples=SAMPLES, seed=5).driver_index.sel(driver="a").values)
    for year in range(3):
        found = logs[year].reshape(16, -1)
        mean, error = error_of(found.var(axis=1))
        assert abs(mean - 0.01 * (year + 1)) < 4 * error


def test_independent_scores_have_one_chi2_for_each_year():
    # squares of scores correlate within a year (one mixing variable), not between years
    of = case(
        [line(loadings={"a": 1.0, "b": 1.0})],
        drivers=drivers({name: {**LAWS["a"], "process": "random-walk"} for name in "ab"}),
        dependence=student(3.0),
        count=2,
    )
    draws = rs.draw(of, samples=SAMPLES, seed=2).driver_index.transpose("driver", "year", "sample")
    step = np.stack([draws.values[:, 0], draws.values[:, 1] / draws.values[:, 0]], axis=1)
    square = (((step - 1) / 0.05) ** 2).reshape(2, 2, 16, -1)

    def together(one, other):
        return error_of([np.corrcoef(one[r], other[r])[0, 1] for r in range(16)])

    for year in range(2):
        mean, error = together(square[0, year], square[1, year])
        assert mean > 0.2
        assert error < 0.01
    mean, error = together(square[0, 0], square[1, 1])
    assert abs(mean) < 4 * error


@pytest.mark.parametrize("degrees", [1.0, 4.0, 1000.0])
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("float64", 1e-6)])
def test_innovations_are_those_of_the_exact_map(degrees, precision, tolerance):
    import jax

    from riskshare.program.copula import student_innovations

    rng = np.random.default_rng(4)
    e, s = rng.standard_normal((2, 10_000))
    e[:4000], s[:4000] = rng.uniform(-5, 5, (2, 4000))
    e, s = e.astype(precision), s.astype(precision)
    with jax.enable_x64(precision == "float64"):
        tables = jax.tree.map(lambda a: a.astype(precision), student_tables(degrees))
        found = np.asarray(student_innovations(e[None], s[None], tables))[0]
        slope = jax.grad(lambda g: student_innovations(g, s[:1, None], tables).sum())
        assert np.all(np.isfinite(slope(np.zeros((1, 1), precision))))
    e, s = e.astype(np.float64), s.astype(np.float64)
    exact = score(e * mixing(s, degrees), degrees)
    inside = np.abs(exact) < 6.3
    assert np.abs(found - exact)[inside].max() < tolerance
    assert np.all(np.abs(found) < 7.8)


# ------------------------------------------------------------------ what must not move


def test_a_gaussian_case_draws_what_it_drew():
    # the bits of every column that was there before copulas could be chosen, and no other column
    bound = bind(three())
    assert [column[:2] for column in bound.columns] == [(0, 0), (0, 1), (0, 2)]
    assert bound.numbers.laws.copula is None
    columns = [(kind, index, year) for kind in range(8) for index in (0, 3, 70) for year in (0, 5)]
    words = streams.sobol_words(11, columns, [0, 5], [0, 9])
    bits = hashlib.sha256(streams.sobol_low(11, columns).tobytes() + words.tobytes())
    assert bits.hexdigest()[:16] == BITS


BITS = "32fd5d1963d2443b"


def test_lines_without_drivers_draw_the_same_under_any_copula():
    lines = [
        line("moved", loadings={"a": 1.0}),
        line("apart", noise=rs.Noise(law="poisson"), unit_cost_noise=rs.Noise(law="gamma", cv=0.2)),
    ]
    gaussian, t = (
        rs.draw(
            case(lines, drivers=drivers({"a": LAWS["a"]}), dependence=dependence(degrees)),
            samples=4096,
            seed=1,
        )
        for degrees in (None, 3.0)
    )
    for name in ("activity", "unit_cost"):
        one, other = (draws[name].sel(line="apart") for draws in (gaussian, t))
        xr.testing.assert_equal(one, other)
    assert not gaussian.activity.sel(line="moved").equals(t.activity.sel(line="moved"))


def test_another_number_of_degrees_of_freedom_compiles_nothing():
    rs.draw(three(4.0), samples=4096, seed=1)
    with count_traces() as traced:
        five = rs.draw(three(5.0), samples=4096, seed=1)
        again = rs.draw(
            three(4.0, "kendall").with_numbers({"dependence.degrees_of_freedom": 5.0}),
            samples=4096,
            seed=1,
        )
    assert not traced
    assert not five.driver_index.equals(again.driver_index)


# ------------------------------------------------------------------ a line's chance


def test_chance_that_shares_with_one_driver_keeps_its_law_under_a_t_copula():
    lines = [
        line(name, noise=rs.Noise(law="gamma", cv=0.3, factors={"a": 0.8})) for name in ("x", "y")
    ]
    of = case(
        lines,
        drivers=[rs.Driver(name="a", acts_on="chance", **LAWS["a"])],
        dependence=student(2.0),
    )
    activity = rs.draw(of, samples=SAMPLES, seed=9).activity.isel(year=0)
    levels = np.array([0.001, 0.05, 0.5, 0.95, 0.999])
    edges = 10_000 * st.gamma.ppf(levels, 1 / 0.09, scale=0.09)
    scores = {}
    for name in ("x", "y"):
        found = activity.sel(line=name).values
        below = (found.reshape(16, -1, 1) <= edges).mean(axis=1)
        assert np.all(np.abs(below.mean(0) - levels) < 4.5 * below.std(0, ddof=1) / 4 + 1e-6)
        scores[name] = st.norm.ppf(st.gamma.cdf(found / 10_000, 1 / 0.09, scale=0.09))
    parts = [scores[name].reshape(16, -1) for name in ("x", "y")]
    mean, error = error_of([np.corrcoef(parts[0][r], parts[1][r])[0, 1] for r in range(16)])
    assert abs(mean - 0.64) < 4 * error


def test_chance_that_shares_with_two_drivers_is_refused_under_a_t_copula():
    shared = [line(noise=rs.Noise(law="gamma", cv=0.1, factors={"a": 0.3, "b": 0.3, "c": 0.0}))]
    case(shared, drivers=drivers())
    with pytest.raises(rs.CaseError, match=r"noise.factors: found 2 drivers under a student-t"):
        case(shared, drivers=drivers(), dependence=student(5))


# ------------------------------------------------------------------ V3: six contracts


def six(rho, degrees=None):
    """A centre of six lines of 50 million, 20 % of each variable, activity with an SD of 5 %."""
    shared = rho == 1
    names = ["all"] if shared else [f"d{i}" for i in range(6)]
    lines = [
        line(f"l{i}", loadings={names[0 if shared else i]: 1.0}, baseline=25_000, unit_cost=2000.0)
        for i in range(6)
    ]
    pairs = [(one, other) for i, one in enumerate(names) for other in names[i + 1 :]]
    return case(
        lines,
        [rs.Block(), rs.MarginalRate(rate=0.2)],
        drivers=drivers(dict.fromkeys(names, LAWS["a"])),
        correlations=[rs.Correlation(between=pair, value=rho) for pair in pairs if rho],
        dependence=dependence(degrees),
    )


@pytest.mark.parametrize("degrees", [None, 4.0])
@pytest.mark.parametrize(("rho", "published"), [(0.0, 1.22), (0.3, 1.94), (1.0, 3.00)])
def test_six_contracts_with_a_correlation(rho, published, degrees):
    posting = rs.simulate(six(rho, degrees), samples=SAMPLES, seed=4, keep=["posting"]).posting
    income = posting.sel(partner="provider").isel(year=0).sum("term").values.reshape(16, -1) / 1e6
    mean, error = error_of(income.std(axis=1))
    asked = rho
    if degrees is not None and 0 < rho < 1:
        asked = normal_score_correlation(rho, degrees)
    exact = 0.5 * np.sqrt(6 + 30 * asked)
    assert abs(mean - exact) < 4 * error + 2e-6
    # a t copula changes how the six come together in the tails, hardly their standard deviation
    assert round(exact, 2) == pytest.approx(published, abs=0.011 if degrees is None else 0.03)


def normal_score_correlation(rho, degrees):
    """E[Phi^-1(T(X)) Phi^-1(T(Y))] of a bivariate t, by rules over chi2 and Gaussian scores."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    grid = np.linspace(-7, 7, 71)
    mass = st.norm.pdf(grid) / st.norm.pdf(grid).sum()
    total = 0.0
    for factor, part in zip(mixing(grid, degrees), mass, strict=True):
        one = score(factor * nodes, degrees)
        other = score(factor * (rho * nodes[:, None] + np.sqrt(1 - rho**2) * nodes), degrees)
        total += part * (weights * one) @ other @ weights
    return total


def mixing(z, degrees):
    """sqrt(nu / chi2) at the score of chi2."""
    low, high = st.chi2.ppf(st.norm.cdf(z), degrees), st.chi2.isf(st.norm.sf(z), degrees)
    return np.sqrt(degrees / np.where(z < 0, low, high))


def quantile(z, degrees):
    low, high = st.t.ppf(st.norm.cdf(z), degrees), st.t.isf(st.norm.sf(z), degrees)
    return np.where(z < 0, low, high)


def score(x, degrees):
    return -np.sign(x) * st.norm.ppf(st.t.sf(np.abs(x), degrees))


# ------------------------------------------------------------------ means


@cache
def moved(process, degrees):
    """A line of three drivers and members, and a change that is late: all correlated by a chi2."""
    fields = {"process": process} | ({"persistence": 0.6} if process == "ar1" else {})
    wide = {
        "a": {"law": "lognormal", "sd": 0.3, "centre": "mean"},
        "b": {"law": "lognormal", "sd": 0.3, "centre": "mean"},
        "c": {"law": "normal", "sd": 0.1},
    }
    asked = {("a", "b"): 0.5, ("b", "c"): -0.3}
    return case(
        [line("old", loadings={"a": 1.0, "b": 1.0, "c": 1.0}, exposure="people"), line("new")],
        drivers=drivers(wide, **fields),
        members=[rs.Population(name="people", count=1000, law="normal", sd=0.05)],
        changes=[
            rs.Change(
                name="shift",
                owner="payer",
                source="old",
                destination="new",
                size=[0.05, 0.15],
                delivery=rs.Delivery(interval=[0.2, 1.3]),
                delay=rs.Delay(law="normal", interval=[0.1, 1.2]),
            )
        ],
        correlations=[rs.Correlation(between=p, value=v) for p, v in asked.items()],
        dependence=dependence(degrees),
        count=2,
    )


@pytest.mark.parametrize("process", ["constant", "ar1", "random-walk"])
def test_means_under_a_t_copula_are_those_of_draws(process):
    of = moved(process, 3.0)
    expected = plan_of(of).expected
    activity = rs.draw(of, samples=1 << 18, seed=6).activity.transpose("year", "line", "sample")
    parts = activity.values.reshape(2, 2, 16, -1).mean(axis=-1, dtype=np.float64)
    error = parts.std(axis=-1, ddof=1) / 4
    assert np.all(np.abs(parts.mean(axis=-1) - expected) < 4 * error)
    assert np.all(error < 2e-3 * expected)


@pytest.mark.parametrize(("rho", "degrees"), [(0.0, 2.0), (0.5, 2.0), (-0.5, 6.0)])
def test_mean_of_two_indices_under_a_t_copula(rho, degrees):
    wide = {"law": "lognormal", "sd": 0.5, "centre": "mean"}
    of = case(
        [line(loadings={"a": 1.0, "b": 1.0})],
        drivers=drivers({"a": wide, "b": wide}),
        correlations=[rs.Correlation(between=["a", "b"], value=rho)] if rho else [],
        dependence=student(degrees),
    )
    # E[f(X) f(Y)] from the law of X and that of Y given X, by a rule over their scores
    z = np.linspace(-8, 8, 161)
    weight = st.norm.pdf(z) / st.norm.pdf(z).sum()
    x = quantile(z, degrees)[:, None]
    spread = np.sqrt((degrees + x**2) / (degrees + 1) * (1 - rho**2))
    y = score(rho * x + spread * quantile(z, degrees + 1), degrees)
    exact = weight @ np.exp(0.5 * (z[:, None] + y) - 0.25) @ weight
    assert plan_of(of).expected[0, 0] == pytest.approx(10_000 * exact, rel=1e-5)
    if rho == 0:
        assert exact > 1.01  # a Gaussian copula has exactly 1


def test_mean_of_one_index_is_exact_under_a_t_copula():
    of = case([line(loadings={"b": 2.0})], drivers=drivers({"b": LAWS["b"]}), dependence=student(1))
    assert plan_of(of).expected[0, 0] == pytest.approx(10_000 * np.exp(0.09), rel=1e-12)


# ------------------------------------------------------------------ common shocks

WINTER, EFFECT = 0.12, Triangular(low=1.05, mode=1.1, high=1.3)


def winters(degrees=None, rho=0.6, count=3):
    """Two lines that a hard winter raises, one half as much, and a demand that goes with it."""
    winter = {
        "law": Shock(probability=WINTER, effect=EFFECT),
        "process": "ar1",
        "persistence": 0.0,
    }
    demand = {**LAWS["a"], "process": "ar1", "persistence": 0.0}
    return case(
        [
            line("emergency", loadings={"winter": 1.0}),
            line("community", loadings={"winter": 0.5}, baseline=1e6),
            line("both", loadings={"winter": 1.0, "demand": 1.0}),
        ],
        drivers=drivers({"winter": winter, "demand": demand}),
        correlations=[rs.Correlation(between=["winter", "demand"], value=rho)],
        dependence=dependence(degrees),
        count=count,
    )


@pytest.mark.parametrize("degrees", [None, 3.0])
def test_a_winter_strikes_with_its_probability_and_all_lines_at_once(degrees):
    draws = rs.draw(winters(degrees), samples=SAMPLES, seed=3)
    winter = draws.driver_index.sel(driver="winter").transpose("year", "sample").values
    struck = winter > 1
    for year in range(3):
        mean, error = error_of(struck[year].reshape(16, -1).mean(axis=1))
        assert abs(mean - WINTER) < 4 * error + 16 / SAMPLES  # one point of a net
    both, error = error_of((struck[0] & struck[1]).reshape(16, -1).mean(axis=1))
    assert abs(both - WINTER**2) < 4 * error  # years are independent here
    activity = draws.activity.transpose("line", "year", "sample").values
    np.testing.assert_allclose(activity[0], 10_000 * winter, rtol=1e-5)
    np.testing.assert_allclose(activity[1], 1e6 * np.sqrt(winter), rtol=1e-5)
    # how hard it strikes is the effect's own law
    effect = st.triang(0.2, loc=1.05, scale=0.25)
    for level in (0.1, 0.5, 0.9):
        below = [(part[part > 1] <= effect.ppf(level)).mean() for part in winter[0].reshape(16, -1)]
        mean, error = error_of(below)
        assert abs(mean - level) < 4 * error


@pytest.mark.parametrize("degrees", [None, 3.0])
def test_a_winter_goes_with_demand_by_their_copula(degrees):
    draws = rs.draw(winters(degrees, count=1), samples=1 << 18, seed=5)
    index = draws.driver_index.isel(year=0).transpose("driver", "sample").values.reshape(2, 16, -1)
    for level in (0.5, 0.95):
        high = index[1] > 1 + 0.05 * st.norm.ppf(level)
        mean, error = error_of((high & (index[0] > 1)).mean(axis=1))
        assert abs(mean - beyond_both(1 - WINTER, level, 0.6, degrees)) < 4 * error
        assert mean > 1.5 * WINTER * (1 - level)


@pytest.mark.parametrize("degrees", [None, 3.0])
def test_mean_of_a_winter_that_goes_with_demand(degrees):
    of = winters(degrees, count=1)
    expected = plan_of(of).expected[0]
    effect = (1.05 + 1.1 + 1.3) / 3
    assert expected[0] == pytest.approx(10_000 * (1 + WINTER * (effect - 1)), rel=1e-8)
    activity = rs.draw(of, samples=1 << 18, seed=2).activity.sel(line="both").values
    mean, error = error_of(activity.reshape(16, -1).mean(axis=1, dtype=np.float64))
    assert abs(mean - expected[2]) < 4 * error + 1e-5 * mean
    assert expected[2] > 1.0005 * expected[0]  # for demand is high when winter strikes


# ------------------------------------------------------------------ the nearest matrix


def test_nearest_correlation_matrices_of_higham():
    three_by_three = rs.nearest_correlation(
        [[1, 1, 0], [1, 1, 1], [0, 1, 1]], smallest_eigenvalue=0
    )
    np.testing.assert_allclose(
        three_by_three,
        [[1, 0.7607, 0.1573], [0.7607, 1, 0.7607], [0.1573, 0.7607, 1]],
        atol=5e-5,
    )
    second_difference = np.eye(4) - np.eye(4, k=1) - np.eye(4, k=-1)
    np.testing.assert_allclose(
        rs.nearest_correlation(second_difference, smallest_eigenvalue=0),
        [
            [1, -0.8084, 0.1916, 0.1068],
            [-0.8084, 1, -0.6562, 0.1916],
            [0.1916, -0.6562, 1, -0.8084],
            [0.1068, 0.1916, -0.8084, 1],
        ],
        atol=5e-5,
    )


def symmetric(size, seed):
    upper = np.triu(np.random.default_rng(seed).uniform(-1, 1, (size, size)), 1)
    return upper + upper.T + np.eye(size)


@pytest.mark.parametrize("size", [3, 8, 30])
@pytest.mark.parametrize("smallest", [0.0, 1e-4, 0.1])
def test_nearest_matrix_meets_the_conditions_of_the_minimum(size, smallest):
    # X - A = diag(theta) + S with S positive semidefinite and S (X - smallest I) = 0
    given = symmetric(size, size)
    nearest = rs.nearest_correlation(given, smallest_eigenvalue=smallest)
    np.testing.assert_array_equal(np.diag(nearest), 1)
    np.testing.assert_array_equal(nearest, nearest.T)
    assert np.linalg.eigvalsh(nearest)[0] >= smallest - 1e-15
    room = nearest - smallest * np.eye(size)
    theta = np.diag((nearest - given) @ room) / np.diag(room)
    multiplier = nearest - given - np.diag(theta)
    assert np.abs(multiplier @ room).max() < 1e-7
    assert np.linalg.eigvalsh(multiplier)[0] > -1e-7


def test_nearest_matrix_keeps_what_is_fixed():
    given = symmetric(6, 2)
    fixed = np.zeros((6, 6), bool)
    fixed[0, 1] = fixed[1, 0] = True
    nearest = rs.nearest_correlation(given, fixed=fixed)
    assert nearest[0, 1] == given[0, 1]
    assert np.linalg.eigvalsh(nearest)[0] >= 1e-6
    with pytest.raises(rs.ArgumentError, match="fix fewer"):
        rs.nearest_correlation(
            [[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]], fixed=np.ones((3, 3), bool)
        )


def test_a_correlation_matrix_is_its_own_nearest():
    given = [[1, 0.5, 0.2], [0.5, 1, -0.3], [0.2, -0.3, 1]]
    np.testing.assert_array_equal(rs.nearest_correlation(given), given)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1, 0.5, 0.2], [0.5, 1, 0.1]], "shape"),
        ([[1, np.nan], [np.nan, 1]], "not finite"),
        ([[1, 0.4], [0.5, 1]], "not symmetric"),
        ([[2, 0.4], [0.4, 1]], "diagonal"),
    ],
)
def test_what_is_no_symmetric_matrix_is_refused(matrix, message):
    with pytest.raises(rs.ArgumentError, match=message):
        rs.nearest_correlation(matrix)


# ------------------------------------------------------------------ what is refused


def problems(**fields):
    with pytest.raises(rs.CaseError) as raised:
        three(**fields)
    return [str(problem) for problem in raised.value.problems]


@pytest.mark.parametrize("measure", ["score", "spearman", "kendall"])
@pytest.mark.parametrize("degrees", [None, 3.0])
def test_a_matrix_that_is_none_is_refused_with_the_nearest_that_is(measure, degrees):
    asked = {("a", "b"): 0.9, ("b", "c"): 0.9, ("a", "c"): -0.4}
    (found,) = problems(degrees=degrees, measure=measure, asked=asked)
    assert found.startswith("correlations: the matrix is not positive definite: its smallest eig")
    parts = found.partition("nearest valid: ")[2].split(", ")
    offered = {}
    for part, (pair, value) in zip(parts, asked.items(), strict=True):
        said, _, was = part.removeprefix(f"{pair[0]} and {pair[1]} ").partition(" (was ")
        assert was == f"{value:g})"
        offered[pair] = float(said)
    three(degrees, measure, offered)
    # and no matrix of scores is nearer, to the digits shown
    high, low = (score_correlation(value, measure, degrees) for value in (0.9, -0.4))
    exact = rs.nearest_correlation([[1, high, low], [high, 1, high], [low, high, 1]])
    scores = [score_correlation(value, measure, degrees) for value in offered.values()]
    np.testing.assert_allclose(scores, exact[[0, 1, 0], [1, 2, 2]], atol=0.01)


def test_pairs_left_at_zero_stay_there_in_what_is_offered():
    asked = {("a", "b"): 0.9, ("b", "c"): 0.9}
    (found,) = problems(asked=asked)
    assert "a and c" not in found
    said = [float(part.split()[3]) for part in found.partition("valid: ")[2].split(", ")]
    three(asked=dict(zip(asked, said, strict=True)))
    assert said[0] == said[1] == pytest.approx(np.sqrt(0.5), abs=0.005)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({("a", "b"): np.nan}, "correlations[0].value: found nan"),
        ({("a", "b"): 1.2}, "correlations[0].value: found 1.2"),
        ({("a", "a"): 0.5}, "correlations[0].between: the same name stands twice"),
        ({("a", "b"): 0.5, ("b", "a"): 0.4}, "correlations[1].between: b and a stand twice"),
        ({("a", "b"): 1.0}, "correlations: the matrix is not positive definite"),
        ({("a", "d"): 0.5}, "correlations[0].between: no driver is named 'd'"),
    ],
)
def test_correlations_that_are_none(asked, found):
    assert any(problem.startswith(found) for problem in problems(asked=asked))


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"copula": "student-t"}, "dependence.degrees_of_freedom: missing"),
        ({"degrees_of_freedom": 4}, "dependence.degrees_of_freedom: found with a gaussian copula"),
        ({"copula": "student-t", "degrees_of_freedom": 0.5}, "dependence.degrees_of_freedom: foun"),
        (
            {"copula": "student-t", "degrees_of_freedom": np.inf},
            "dependence.degrees_of_freedom: found inf",
        ),
        ({"copula": "clayton"}, "dependence.copula: found 'clayton'"),
    ],
)
def test_copulas_that_are_none(fields, found):
    with pytest.raises(rs.CaseError) as raised:
        case(drivers=drivers(), dependence=rs.Dependence(**fields))
    assert str(raised.value).startswith(found)


def test_a_case_file_says_its_copula(tmp_path):
    of = three(4.0, "spearman")
    rs.save_case(of, tmp_path / "case.toml")
    text = (tmp_path / "case.toml").read_text()
    assert '[dependence]\ncopula = "student-t"\ndegrees_of_freedom = 4.0\n' in text
    assert 'measure = "spearman"' in text
    assert rs.load_case(tmp_path / "case.toml") == of
