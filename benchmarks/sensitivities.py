"""What derivatives cost, in simulations of the same samples: `python -m benchmarks.sensitivities`.

Each is timed in turns with `riskshare.simulate(keep=("position",))`, nothing compiled on the clock,
the best of some rounds of each.
Paths are those a program can move; numbers that are differenced cost two runs each.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import riskshare as rs
from riskshare.analysis.sensitivities import STATISTICS
from riskshare.bench.problem import reference
from riskshare.bench.reference import reference_case
from riskshare.run.gradients import program_of

CASES = ("reference", "msk-toy", "mid-nottinghamshire-msk")


def case_of(name: str) -> rs.Case:
    return reference_case(reference()) if name == "reference" else rs.load_case(name)


def in_turns(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The best of some rounds of each call, one after the other in each; the first compiles."""
    found = dict.fromkeys(calls, float("inf"))
    for turn in range(rounds + 1):
        for what, call in calls.items():
            start = time.perf_counter()
            call()
            if turn:
                found[what] = min(found[what], time.perf_counter() - start)
    return found


def measured(case: rs.Case, samples: int, repeats: int) -> dict[str, tuple[float, int]]:
    program = program_of(case)
    every = list(program.parameters)
    heads = tuple(f"{contract.name}." for contract in case.contracts)
    contracts = [path for path in every if path.startswith(heads)]
    partner = next(p.name for p in case.partners if p.kind == "provider")
    inside = [p.name for p in case.partners if p.kind != "external"]
    asked = {
        "mean of one partner, contracts": (contracts, ["mean"], [partner]),
        "5 % quantile of one partner, contracts": (contracts, ["quantile"], [partner]),
        "mean of one partner, every number": (every, ["mean"], [partner]),
        "five statistics of every partner, contracts": (contracts, list(STATISTICS), inside),
    }
    calls: dict[str, Callable[[], object]] = {
        "simulate": partial(rs.simulate, case, samples=samples, keep=("position",))
    }
    for what, (paths, statistics, partners) in asked.items():
        calls[what] = partial(
            rs.sensitivities,
            case,
            paths=paths,
            statistics=statistics,
            partners=partners,
            levels=[0.05],
            samples=samples,
        )
    counts = {"simulate": 0} | {what: len(paths) for what, (paths, _, _) in asked.items()}
    return {what: (best, counts[what]) for what, best in in_turns(calls, repeats).items()}


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.sensitivities", description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--samples", type=int, default=1_048_576)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    for name in options.cases:
        found = measured(case_of(name), options.samples, options.repeats)
        once = found["simulate"][0]
        print(f"{name}, {options.samples:,} samples: simulate {once:.3f} s")
        for what, (seconds, numbers) in found.items():
            if numbers:
                print(f"  {what:48}{numbers:5} numbers {seconds:8.3f} s {seconds / once:7.2f} runs")


if __name__ == "__main__":
    main()
