"""How often intervals of a streamed table hold the truth: 200 runs of 65,536 samples a sampler."""

import numpy as np
import pytest
import scipy.stats as st

import riskshare as rs

RUNS, SAMPLES = 200, 65_536
PARTS = 16
"""Independent parts of a run of this size, of either sampler."""

LOWEST, HIGHEST = 0.91, 0.985
"""What 200 intervals of 95 % may hold; 0.91 and 0.985 are 2.6 and 2.3 standard errors away."""

TRUTH = {"samples": 2**25, "replicates": 1024, "seed": 12_345}
"""Tails of one long replicate would stay as uncertain as those of a short one; many do not."""

STATISTICS = {
    "mean": {},
    "standard_deviation": {},
    "quantile 5 %": {"level": 0.05},
    "quantile 0.5 %": {"level": 0.005},
    "tail_value_at_risk 95 %": {"level": 0.95},
    "probability_of_deficit": {},
}
LEVELS = (0.005, 0.05, 0.95, 0.995)
WHO = {"year": "all", "partner": "acute"}


@pytest.fixture(scope="module")
def toy():
    return rs.load_case("msk-toy")


@pytest.fixture(scope="module")
def truth(toy):
    return numbers(table(toy, **TRUTH))


def table(case, **asked):
    asked = {"samples": SAMPLES, **asked}
    return rs.estimate(case, levels=LEVELS, keep=("position",), **asked).sel(WHO)


def numbers(of):
    """By statistic, its value and its standard error."""
    found = {}
    for name, at in STATISTICS.items():
        own = f"position_{name.split()[0]}"
        found[name] = [float(of[one].sel(at)) for one in (own, f"{own}_error")]
    return np.array(list(found.values()))


def sampled(case, sampler):
    """What is asked of a run: a sampler, and what turns its points."""
    if sampler == "leading directions":
        return {"directions": rs.leading_directions(case)}
    if sampler == "tail directions":
        return {"directions": rs.tail_directions(case, WHO["partner"], level=0.05)}
    return {"sampler": sampler}


def coverage(case, truth, sampler):
    """The share of runs whose interval of 95 % holds the truth, by statistic."""
    asked = sampled(case, sampler)
    runs = np.stack([numbers(table(case, seed=seed, **asked)) for seed in range(1, RUNS + 1)])
    wide = st.t(PARTS - 1).ppf(0.975) * np.hypot(runs[..., 1], truth[:, 1])
    return dict(zip(STATISTICS, (np.abs(runs[..., 0] - truth[:, 0]) <= wide).mean(0), strict=True))


SLOW = ["pseudo-random", "leading directions", "tail directions"]


@pytest.mark.parametrize(
    "sampler", ["sobol", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
)
def test_intervals_hold_the_truth_as_often_as_they_say(toy, truth, sampler):
    held = coverage(toy, truth, sampler)
    print(sampler, held)
    assert all(LOWEST <= share <= HIGHEST for share in held.values()), held
