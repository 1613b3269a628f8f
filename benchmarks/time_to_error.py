"""`python -m benchmarks.time_to_error`: how much sooner riskshare reaches a given standard error.

Time to a given standard error is variance times time, at the same number of samples. So against a
peer the ratio of times is the ratio of the estimators' variances times the ratio of speeds, both
measured here, in one run, on the reference problem:

- riskshare's variance is that between runs of `--samples` samples under different seeds, 200 of
  them, at one setting for all statistics: a million samples, as many as are timed, for a Sobol'
  sequence fills the more evenly the longer it is;
- that of NumPy is that of independent samples: sigma^2 / n for a mean, sigma^2 (kurtosis - 1) /
  (4 n) for a standard deviation, p (1 - p) / n for a probability, p (1 - p) / (n density^2) for a
  quantile, with what they need from four million samples; its runs are tried against it;
- that of Proteus is measured, between runs of its own. It couples by reordering, so that the errors
  of its marginals are independent of each other: sums of lines that move together are known better
  than from as many independent samples, the mean with about 0.6 of the variance.

Over the eight providers the ratio is that of their mean variances; the provider with the smallest
ratio stands beside it. Variances of 200 runs carry 10 % error for each provider.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.reference import compare, machine
from riskshare.bench.problem import Problem, reference
from riskshare.bench.reference import reference_case

TAIL_LEVELS = (0.05, 0.005)
STATISTICS = ("mean", "standard deviation", "P(deficit)", "5 % quantile", "0.5 % quantile")
BARS = (20_000.0, 8_000.0, 500.0, 500.0, 250.0)
"""Times as soon as each peer, for each of the statistics."""

WAYS = ("riskshare", "riskshare-estimate", "riskshare-directions")
PEERS = ("proteus", "numpy-ppf")
KNOWN_FROM = 1 << 22
"""Samples from which the theory of independent samples takes its moments and densities."""

Run = Callable[[int, int], np.ndarray]
"""From samples and seed to the statistics, (statistic, provider)."""


def of_positions(position: np.ndarray) -> np.ndarray:
    """Statistics of positions (provider, sample): (statistic, provider)."""
    position = position.astype(np.float64)
    return np.stack(
        [
            position.mean(axis=1),
            position.std(axis=1, ddof=1),
            (position < 0).mean(axis=1),
            *np.quantile(position, TAIL_LEVELS, axis=1, method="inverted_cdf"),
        ]
    )


def independent(position: np.ndarray) -> np.ndarray:
    """Variance of each statistic times the number of independent samples, (statistic, provider)."""
    position = np.sort(position.astype(np.float64), axis=1)
    samples = position.shape[1]
    variance = position.var(axis=1)
    centred = position - position.mean(axis=1, keepdims=True)
    kurtosis = (centred**4).mean(axis=1) / variance**2
    below = (position < 0).mean(axis=1)
    rows = [variance, variance * (kurtosis - 1) / 4, below * (1 - below)]
    for level in TAIL_LEVELS:
        half = level / 8  # a quantile's slope is nearly even over so short a stretch
        low, high = (int(samples * (level + side)) for side in (-half, half))
        slope = (position[:, high] - position[:, low]) / (2 * half)
        rows.append(level * (1 - level) * slope**2)
    return np.stack(rows)


def way(problem: Problem, name: str) -> Run:
    """How riskshare is called: samples kept, kept along leading directions, or streamed."""
    import riskshare as rs
    from benchmarks.reference import riskshare_engine

    if name != "riskshare-estimate":
        along = name == "riskshare-directions"
        made = riskshare_engine.positions_along if along else riskshare_engine.positions
        return lambda samples, seed: of_positions(made(problem, samples, seed))
    case = reference_case(problem)
    providers = list(problem.provider_names)

    def estimated(samples: int, seed: int) -> np.ndarray:
        table = rs.estimate(
            case,
            samples=samples,
            seed=seed,
            keep=("position",),
            levels=sorted(TAIL_LEVELS),
        )
        table = table.isel(year=0).sel(partner=providers)
        names = ("mean", "standard_deviation", "probability_of_deficit")
        rows = [table[f"position_{name}"].values for name in names]
        quantile = table.position_quantile
        return np.stack([*rows, *(quantile.sel(level=level).values for level in TAIL_LEVELS)])

    return estimated


def variance(run: Run, samples: int, runs: int, seed: int) -> np.ndarray:
    """Variance of the statistics between runs of different seeds, (statistic, provider)."""
    return np.var([run(samples, seed + number) for number in range(runs)], axis=0, ddof=1)


def peer_runs(problem: Problem) -> dict[str, Run]:
    """Peers whose variance is tried against the theory; NumPy's from its faster engine."""
    from benchmarks.reference.numpy_scipy import positions_table

    found = {"numpy": lambda samples, seed: of_positions(positions_table(problem, samples, seed))}
    try:
        from benchmarks.reference.proteus import positions
    except ModuleNotFoundError:
        return found
    return found | {"proteus": lambda n, seed: of_positions(positions(problem, n, seed))}


def over_providers(theirs: np.ndarray, ours: np.ndarray) -> np.ndarray:
    """Ratio of mean variances, and the smallest of a provider: (2, statistic)."""
    return np.stack([theirs.mean(axis=1) / ours.mean(axis=1), (theirs / ours).min(axis=1)])


def main() -> int:
    options = parse()
    print(f"{machine.describe()}\n", flush=True)
    problem = reference()
    names = [*options.ways, *PEERS]
    engines, refused = compare.admit(names, options.seed, options.check_samples)
    engines = compare.timed(engines, refused, options.timed_samples, options.repeats)
    speed = {e.name: options.timed_samples / e.best.seconds for e in engines}
    for name, per_second in speed.items():
        print(f"{name:22}{per_second:14,.0f} samples/s")

    known = _positions(problem)
    theory = independent(known)
    peers = peer_variances(problem, theory, options)
    record = {"machine": machine.describe(), "samples_per_second": speed, "ratios": {}}
    print(f"\n{options.runs} runs of {options.samples:,} samples", flush=True)
    for name in options.ways:
        if name in speed:
            found = variance(
                way(problem, name), options.samples, options.runs, 1_000 + options.seed
            )
            own = {peer: v / options.samples for peer, v in peers.items() if peer in speed}
            shown = show(name, theory / options.samples, found, own, speed)
            record["ratios"][name] = shown
    if options.json:
        with open(options.json, "w") as file:
            json.dump(record, file, indent=1)
    return int(bool(refused))


def peer_variances(
    problem: Problem, theory: np.ndarray, options: argparse.Namespace
) -> dict[str, np.ndarray]:
    """Variance of the peers' statistics times samples; print it over that of theory."""
    print("\nvariance between runs over that of independent samples, mean over providers")
    print(f"{'':22}" + "".join(f"{s:>20}" for s in STATISTICS) + f"{'runs, samples':>20}")
    runs, samples = options.peer_runs, options.peer_samples
    found = {"numpy-ppf": theory}
    for name, run in peer_runs(problem).items():
        own = variance(run, samples, runs, options.seed) * samples
        ratio = over_providers(own, theory)[0]
        print(f"{name:22}" + "".join(f"{v:20.2f}" for v in ratio) + f"{runs:>9},{samples:>10,}")
        found[name] = own
    return {name: found[name] for name in PEERS if name in found}


def show(
    name: str,
    theory: np.ndarray,
    ours: np.ndarray,
    peers: dict[str, np.ndarray],
    speed: dict[str, float],
) -> dict[str, Any]:
    """Print a way's ratios of variances and of times against the bars; return them."""
    ratios = over_providers(theory, ours)
    print(f"\n{name:22}" + "".join(f"{s:>20}" for s in STATISTICS))
    print(f"{'ratio of variances':22}" + "".join(f"{v:20,.1f}" for v in ratios[0]))
    print(f"{'  worst provider':22}" + "".join(f"{v:20,.1f}" for v in ratios[1]))
    print(f"{'bar, times':22}" + "".join(f"{bar:20,.0f}" for bar in BARS))
    found: dict[str, Any] = {"variances": ratios[0].tolist(), "worst": ratios[1].tolist()}
    for peer, theirs in peers.items():
        times = over_providers(theirs, ours) * speed[name] / speed[peer]
        met = ["met" if t >= bar else "NOT MET" for t, bar in zip(times[0], BARS, strict=True)]
        print(f"{f'times {peer}':22}" + "".join(f"{t:20,.0f}" for t in times[0]))
        print(f"{'  worst provider':22}" + "".join(f"{t:20,.0f}" for t in times[1]))
        print(f"{'  bar':22}" + "".join(f"{word:>20}" for word in met), flush=True)
        found[peer] = times.tolist()
    return found


def _positions(problem: Problem) -> np.ndarray:
    import riskshare as rs

    case = reference_case(problem)
    outcomes = rs.simulate(case, samples=KNOWN_FROM, seed=99, keep=("position",))
    return outcomes.position.isel(year=0).sel(partner=list(problem.provider_names)).values


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.time_to_error", description=__doc__)
    parser.add_argument("--samples", type=int, default=1 << 20, help="in a run of riskshare")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--peer-samples", type=int, default=1 << 13)
    parser.add_argument("--peer-runs", type=int, default=200)
    parser.add_argument("--timed-samples", type=int, default=1_000_000)
    parser.add_argument("--check-samples", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=3, help="timed calls; the best counts")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
