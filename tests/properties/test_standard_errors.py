"""Standard errors hold what they promise: 95 % intervals that cover the truth 95 times in 100."""

import datetime
from math import expm1, sqrt

import numpy as np
import pytest
from scipy import stats

import riskshare as rs
from riskshare.statistics import (
    Replicates,
    mean,
    probability_below,
    quantiles,
    standard_deviation,
    tail_values_at_risk,
)

BLOCK, COST, TARGET = 4.1e6, 4e6, -2e5
SIGMAS = {"activity": 0.1, "case_mix": 0.05, "unit_cost": 0.1}
SIGMA = sqrt(sum(sigma**2 for sigma in SIGMAS.values()))
LEVELS = (0.05, 0.25, 0.5, 0.95)


def provider_on_a_block():
    """Position = block - cost x product of three lognormals of mean 1."""
    start, end = datetime.date(2024, 4, 1), datetime.date(2025, 3, 31)
    drivers = [
        rs.Driver(name=name, acts_on=name, law="lognormal", sd=sigma, centre="mean")
        for name, sigma in SIGMAS.items()
    ]
    return rs.Case(
        name="provider-on-a-block",
        years=[rs.Year(label="2024/25", start=start, end=end)],
        partners=[
            rs.Partner(name="payer", kind="payer"),
            rs.Partner(name="provider", kind="provider", target=TARGET),
        ],
        drivers=drivers,
        lines=[
            rs.Line(
                name="all care",
                deliverer="provider",
                payer="payer",
                baseline=COST / 400,
                unit_cost=400.0,
                price=400.0,
                loadings=dict.fromkeys(SIGMAS, 1.0),
            )
        ],
        contracts=[
            rs.Contract(name="block", terms=[rs.Block(amount=BLOCK, from_="payer", to="provider")])
        ],
    )


def index(z):
    return np.exp(SIGMA * z - SIGMA**2 / 2)


def truth():
    found = {
        "mean": BLOCK - COST,
        "standard_deviation": COST * sqrt(expm1(SIGMA**2)),
        "probability_of_deficit": stats.norm.sf(
            (np.log((BLOCK - TARGET) / COST) + SIGMA**2 / 2) / SIGMA
        ),
    }
    for level in LEVELS:
        z = stats.norm.ppf(level)
        found["quantile", level] = BLOCK - COST * index(-z)
        tail = COST * stats.norm.cdf(SIGMA - z) / (1 - level)
        found["tail_value_at_risk", level] = tail - BLOCK
    return found


def assert_coverage(hits, runs):
    """Coverage within four binomial standard deviations of 95 %."""
    band = 4 * sqrt(0.05 * 0.95 / runs)
    off = {name: n / runs for name, n in hits.items() if abs(n / runs - 0.95) > band}
    assert not off, f"coverage not within {band:.3f} of 0.95: {off}"


@pytest.mark.parametrize(("samples", "runs"), [(1000, 1000), (4096, 1000)])
def test_independent_samples(samples, runs):
    expected, rng, apart = truth(), np.random.default_rng(20), Replicates()
    hits = dict.fromkeys(expected, 0)
    critical = stats.norm.ppf(0.975)
    levels = np.array(LEVELS)

    def judge(name, value, error):
        hits[name] += abs(value - expected[name]) <= critical * error

    for _ in range(runs):
        series = BLOCK - COST * index(rng.standard_normal(samples))
        ordered = np.sort(series)
        judge("mean", *mean(series, apart))
        judge("standard_deviation", *standard_deviation(series, apart))
        judge("probability_of_deficit", *probability_below(series, TARGET, apart))
        for name, statistic in (
            ("quantile", quantiles),
            ("tail_value_at_risk", tail_values_at_risk),
        ):
            found = statistic(series, ordered, levels, apart)
            for level, value, error in zip(LEVELS, *found, strict=True):
                judge((name, level), value, error)
    assert_coverage(hits, runs)


@pytest.mark.parametrize(
    ("sampler", "samples", "precision", "runs"),
    [("sobol", 4096, "float64", 250), ("sobol", 65_536, "float32", 150)],
)
def test_simulated_runs(sampler, samples, precision, runs):
    case, expected = provider_on_a_block(), truth()
    hits = dict.fromkeys(expected, 0)
    critical = stats.t.ppf(0.975, 15)
    for seed in range(runs):
        outcomes = rs.simulate(
            case,
            samples=samples,
            seed=seed,
            sampler=sampler,
            precision=precision,
            keep=["position"],
        )
        outcomes = outcomes.sel(partner=["provider"])
        table = rs.summarise(outcomes, levels=LEVELS).sel(year="2024/25", partner="provider")
        for name in expected:
            statistic, level = (name, None) if isinstance(name, str) else name
            value, error = table[f"position_{statistic}"], table[f"position_{statistic}_error"]
            if level is not None:
                value, error = value.sel(level=level), error.sel(level=level)
            hits[name] += abs(float(value) - expected[name]) <= critical * float(error)
    assert_coverage(hits, runs)


def test_sobol_errors_are_smaller_than_those_of_independent_samples():
    outcomes = rs.simulate(provider_on_a_block(), samples=65_536, seed=1, keep=["position"])
    sobol = rs.summarise(outcomes).sel(year="all", partner="provider")
    apart = rs.summarise(outcomes.drop_vars("replicate")).sel(year="all", partner="provider")
    assert sobol.position_mean_error < apart.position_mean_error / 10
    assert sobol.position_standard_deviation_error < apart.position_standard_deviation_error / 4


@pytest.mark.parametrize("top", [False, True])
def test_an_atom_at_the_edge_of_a_level(top):
    """A cap whose probability is the level itself: no interval may shrink to nothing."""
    rng, runs, samples = np.random.default_rng(21), 400, 4000
    level = np.array([0.7])
    hits = 0
    for _ in range(runs):
        uniform = rng.random(samples)
        series = np.minimum(uniform, 0.7) if top else np.maximum(uniform, 0.7)
        found = quantiles(series, np.sort(series), level, Replicates())
        hits += abs(found.value[0] - 0.7) <= 1.96 * found.error[0]
    assert hits / runs > 0.95 - 4 * sqrt(0.05 * 0.95 / runs)
