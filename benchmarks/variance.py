"""`python -m benchmarks.variance`: how far each sampler's estimates spread.

On the reference problem, the variance of a statistic between runs of independent samples over that
between runs of a sampler, at equal numbers of samples: how many times as many independent samples
are as good. The statistics are those of each of the eight providers, and of all of them together,
whose tail the tail directions are made for.

Runs follow each other under different seeds, as a user would repeat them. The standard error of a
ratio is that of a jackknife over runs. Seconds are those of a run, samplers taking turns.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

import numpy as np

import riskshare as rs
from benchmarks.reference import machine
from riskshare.bench.problem import PROVIDERS, reference
from riskshare.bench.reference import reference_case

LEVELS = (0.05, 0.005)
STATISTICS = (
    *("mean", "standard deviation", "P(deficit)"),
    *("5 % quantile", "TVaR 95 %", "0.5 % quantile", "TVaR 99.5 %"),
)
WAYS = ("independent", "sobol", "leading", "tail", "tail, independent")


def statistics_of(position: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Statistics of positions (row, sample): (statistic, row)."""
    position = position.astype(np.float64)
    weight = np.ones(position.shape[1]) if weight is None else weight.astype(np.float64)
    weight = weight / weight.sum()
    mean = position @ weight
    centred = position - mean[:, None]
    rows = [mean, np.sqrt(centred**2 @ weight), (position < 0) @ weight]
    order = np.argsort(position, axis=1)
    ordered = np.take_along_axis(position, order, axis=1)
    reached = np.cumsum(weight[order], axis=1)
    for level in LEVELS:
        places = np.array([np.searchsorted(row, level * (1 - 1e-9)) for row in reached])
        quantile = ordered[np.arange(len(position)), places]
        shortfall = np.minimum(position - quantile[:, None], 0) @ weight
        rows += [quantile, -(quantile + shortfall / level)]
    return np.stack(rows)


def run(case: rs.Case, way: str, directions: Any, samples: int, seed: int) -> np.ndarray:
    """Statistics of one run: (statistic, provider or all)."""
    outcomes = rs.simulate(
        case,
        samples=samples,
        seed=seed,
        sampler="pseudo-random" if "independent" in way else "sobol",
        directions=directions,
        keep=("position",),
    )
    position = outcomes.position.isel(year=0).values[:PROVIDERS]
    weight = outcomes.weight.values if "weight" in outcomes else None
    return statistics_of(np.concatenate([position, position.sum(axis=0, keepdims=True)]), weight)


def ratios(plain: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ratios of variances (provider mean, all) by statistic, and their errors: (statistic, 2).

    Values are (run, statistic, row). The error is the jackknife's over runs of both.
    """

    def ratio(one: np.ndarray, two: np.ndarray) -> np.ndarray:
        found = np.stack([each.var(axis=0, ddof=1) for each in (one, two)])
        # providers by their mean variances, as `benchmarks.time_to_error` has it
        whole = np.stack([found[..., :PROVIDERS].mean(axis=-1), found[..., PROVIDERS]], axis=-1)
        return whole[0] / whole[1]

    runs = len(plain)
    without = [np.delete(np.arange(runs), place) for place in range(runs)]
    parts = [np.array([ratio(plain[keep], other) for keep in without])]
    parts.append(np.array([ratio(plain, other[keep]) for keep in without]))
    spread = sum((runs - 1) ** 2 / runs * part.var(axis=0, ddof=1) for part in parts)
    return ratio(plain, other), np.sqrt(spread)


def main() -> int:
    """Measure, print, and keep as JSON."""
    options = parse()
    print(f"{machine.describe()}\n{options.runs} runs of {options.samples:,} samples", flush=True)
    case = reference_case(reference())
    made = time.perf_counter()
    leading = rs.leading_directions(case, count=options.count)
    tail = rs.tail_directions(case, "system", count=options.count)
    print(f"directions made in {time.perf_counter() - made:.1f} s", flush=True)
    turned = {"leading": leading, "tail": tail, "tail, independent": tail}
    values: dict[str, list[np.ndarray]] = {way: [] for way in WAYS}
    for number in range(options.runs):
        for way in WAYS:
            values[way].append(
                run(case, way, turned.get(way), options.samples, options.seed + number)
            )
    seconds = timed(case, turned, options.timed_samples, options.turns)
    plain = np.array(values["independent"])
    record: dict[str, Any] = {"machine": machine.describe(), "samples": options.samples, "ways": {}}
    for way in WAYS[1:]:
        found, error = ratios(plain, np.array(values[way]))
        slower = seconds[way] / seconds["sobol"]
        print(f"\n{way}: {slower:.2f} times the seconds of plain Sobol'")
        print(f"{'':20}{'a provider':>24}{'all providers':>24}")
        for name, one, its in zip(STATISTICS, found, error, strict=True):
            cells = "".join(f"{f'{v:,.1f} +- {e:,.1f}':>24}" for v, e in zip(one, its, strict=True))
            print(f"{name:20}{cells}", flush=True)
        record["ways"][way] = {
            "seconds": seconds[way],
            "ratio": dict(zip(STATISTICS, found.tolist(), strict=True)),
            "error": dict(zip(STATISTICS, error.tolist(), strict=True)),
        }
    if options.json:
        with open(options.json, "w") as file:
            json.dump(record, file, indent=1)
    return 0


def timed(case: rs.Case, turned: dict[str, Any], samples: int, turns: int) -> dict[str, float]:
    """Least seconds of a run in each way, taken in turns."""
    best = dict.fromkeys(WAYS, np.inf)
    for turn in range(turns):
        for way in WAYS:
            sampler = "pseudo-random" if "independent" in way else "sobol"
            of = {"sampler": sampler, "directions": turned.get(way), "keep": ("position",)}
            start = time.perf_counter()
            rs.simulate(case, samples=samples, seed=turn, **of)
            best[way] = min(best[way], time.perf_counter() - start)
    return best


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser("python -m benchmarks.variance", description=__doc__)
    parser.add_argument("--samples", type=int, default=32_768)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--count", type=int, help="directions, unless as many as by default")
    parser.add_argument("--timed-samples", type=int, default=1 << 20)
    parser.add_argument("--turns", type=int, default=5, help="timed calls; the best counts")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
