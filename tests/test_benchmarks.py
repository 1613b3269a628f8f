"""The benchmarks compute what they say: exact answers, engines, ratios and fits."""

import importlib

import numpy as np
import pytest
from scipy import stats

import riskshare as rs
from benchmarks import growth, time_to_error
from benchmarks.peers import claims, corridor
from benchmarks.peers.answer import Answer, Exact
from benchmarks.peers.engines import CASES, load
from benchmarks.reference import bars
from benchmarks.reference.riskshare_engine import positions
from riskshare.bench.problem import reference


def test_exact_measures_and_their_errors_of_a_normal_law_are_its_closed_forms():
    edges = np.linspace(-9, 9, 40_001)
    found = Exact.of((edges[1:] + edges[:-1]) / 2, np.diff(stats.norm.cdf(edges)))
    z, cut = stats.norm.ppf([0.95, 0.99])
    tail = stats.norm.pdf(cut) / 0.01
    square = 1 + cut * tail  # E[X^2 | X > cut]
    np.testing.assert_allclose(found.answer.values(), [0, z, tail], atol=1e-3)
    spread = [
        1.0,
        np.sqrt(0.95 * 0.05) / stats.norm.pdf(z),
        np.sqrt((square - tail**2 + 0.99 * (tail - cut) ** 2) / 0.01),
    ]
    np.testing.assert_allclose(found.spread, spread, rtol=0.01)


def test_a_miss_is_counted_in_standard_errors_beyond_what_is_allowed():
    exact = Exact(Answer(10.0, 20.0, 30.0), np.array([1.0, 2.0, 3.0]))
    found = Answer(10.5, 20.0, 33.0)
    np.testing.assert_allclose(exact.misses(found, 100, 0.0), [5.0, 0.0, 10.0])
    np.testing.assert_allclose(exact.misses(found, 100, 0.05), [0.0, 0.0, 5.0])
    np.testing.assert_allclose(exact.misses(found, 0, 0.05), [4.0, 0.0, 8.0])


def test_the_exact_answer_of_the_corridors_agrees_with_independent_samples():
    found = corridor.numpy_reordered(200_000, 5)
    assert max(corridor.exact().misses(found, 200_000, 0.0)) < 4


def test_the_exact_answer_of_the_claims_agrees_with_independent_samples():
    pytest.importorskip("aggregate")
    found = claims.numpy_sums(50_000, 5)
    assert max(claims.exact().misses(found, 50_000, 0.0)) < 4


def test_the_corridor_contract_pays_what_the_problem_says_on_every_sample():
    case = importlib.import_module("benchmarks.peers.corridor_case")
    streams = rs.draw(case.case(), samples=4096, seed=3).activity.isel(year=0)
    outcomes = rs.simulate(case.case(), samples=4096, seed=3, keep=("position",))
    paid = -outcomes.position.isel(year=0).sel(partner=case.PAYER) - corridor.MEANS.sum()
    wanted = corridor.pooled(streams.transpose("line", "sample").values.astype(np.float64))
    np.testing.assert_allclose(paid.values, wanted, atol=2e-4)
    assert np.abs(wanted).max() == corridor.LIMIT


def test_the_claims_contract_keeps_what_the_problem_says_on_every_sample():
    case = importlib.import_module("benchmarks.peers.claims_case").case(0)
    outcomes = rs.simulate(case, samples=4096, seed=3, keep=("position", "cost"))
    kept = -outcomes.position.isel(year=0).sel(partner="insured").values
    total = outcomes.cost.isel(year=0).sel(partner="insured").values.astype(np.float64)
    np.testing.assert_allclose(kept, claims.retained(total), rtol=1e-6)
    assert total.max() > claims.ATTACHMENT + claims.LAYER > total.min()


def test_every_engine_of_the_cases_is_there():
    for case in CASES.values():
        assert all(callable(load(path)) for path in (case.exact, *case.engines.values()))
        named = set(case.seconds) | set(case.allowed) | set(case.without_samples)
        assert named <= set(case.engines)


@pytest.mark.parametrize(
    "name", ["positions_vector", pytest.param("positions", marks=pytest.mark.slow)]
)
def test_the_numba_engines_have_riskshares_samples_one_by_one(name):
    pytest.importorskip("numba")
    engine = importlib.import_module("benchmarks.reference.numba_engine")
    ours, theirs = positions(reference(), 32_768, 7), getattr(engine, name)(reference(), 32_768, 7)
    assert theirs.dtype == np.float32
    # the rounding of float32, of sums of the plan's size
    atol = 64 * np.finfo(np.float32).eps * reference().plan_value.max()
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=atol)


def test_a_bar_is_met_where_the_ratio_of_speeds_reaches_it():
    found = bars.reached({"riskshare": 180.0, "numba": 100.0, "proteus": 2.01})
    assert [(b["against"], b["met"]) for b in found] == [("proteus", False), ("numba", True)]
    assert found[1]["reached"] == pytest.approx(1.8)


def test_variances_of_independent_samples_are_those_of_theory():
    samples = stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)[None]
    at = stats.norm.pdf(stats.norm.ppf(time_to_error.TAIL_LEVELS))
    levels = np.array(time_to_error.TAIL_LEVELS)
    wanted = [1.0, 0.5, 0.25, *(levels * (1 - levels) / at**2)]
    np.testing.assert_allclose(time_to_error.independent(samples)[:, 0], wanted, rtol=0.01)


def test_variance_between_runs_of_independent_samples_is_that_of_theory():
    def run(samples, seed):
        return time_to_error.of_positions(np.random.default_rng(seed).standard_normal((4, samples)))

    found = time_to_error.variance(run, 1_000, 400, 0) * 1_000
    theory = time_to_error.independent(np.random.default_rng(0).standard_normal((4, 400_000)))
    ratio, worst = time_to_error.over_providers(theory, found)
    # a mean of four variances from 400 runs: sqrt(2 / 1600) = 0.035
    np.testing.assert_allclose(ratio[:4], 1, atol=4 * 0.035)
    assert np.all(worst <= ratio)


def test_growth_fits_a_power_and_its_last_doubling():
    through, last = growth.exponents([(1, 3.0), (2, 12.0), (4, 48.0), (8, 96.0)])
    assert last == pytest.approx(1.0)
    assert 1.0 < through < 2.0
    assert growth.exponents([(1, 3.0), (2, 12.0)])[0] == pytest.approx(2.0)


def test_each_series_of_growth_grows_what_it_names_and_nothing_else():
    for name, sizes in growth.sizes(4).items():
        quantity = growth.QUANTITY.get(name, name)
        values = [getattr(size, quantity) for size in sizes]
        np.testing.assert_allclose(np.diff(np.log2(values)), 1.0)
        case = growth.case_of(sizes[-1])
        found = {
            "lines": len(case.lines),
            "partners": len(case.partners) - 1,
            "years": len(case.years),
            "terms": len(case.contracts[0].terms),
        }
        assert found == {part: getattr(sizes[-1], part) for part in found}


def test_growth_draws_its_points(tmp_path):
    pytest.importorskip("matplotlib")
    points = [
        growth.Point(growth.Size(lines=24 * k), 0.1 * k, 1.0, 50.0 * k, 300.0) for k in (1, 2, 4)
    ]
    growth.plot({"lines": points}, str(tmp_path / "growth.svg"))
    assert "exponent 1.00" in (tmp_path / "growth.svg").read_text()
