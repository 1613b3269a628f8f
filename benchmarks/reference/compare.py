"""`python -m benchmarks.reference --samples 1000000`: every engine in one run, one table.

Each engine has its own process. All are first checked on `--check-samples` samples: against the
oracle and against each other, and only those that pass are timed, in turns, so that a busy minute
of the machine falls on all. A time is the whole call, from the seed to the positions in memory.
Beside other work, engines that use every core lose more than those that use one: `CPU s`, the
least processor time of a call, shows it, and only a quiet machine tells whether a bar is met.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from dataclasses import dataclass, field
from typing import Any

from riskshare.bench.problem import reference

from . import bars, machine, quality
from .oracle import expected_positions
from .statistics import STATISTICS
from .worker import ENGINES, Refusal, Result, serve

LIBRARIES = {
    "riskshare": "riskshare.run.simulate",
    "riskshare-estimate": "riskshare.analysis.estimate",
    "riskshare-directions": "riskshare.analysis.leading",
    "numba": "numba",
    "numba-vector": "numba",
    "numpy-ppf": "numpy, scipy.stats",
    "numpy-table": "numpy",
    "proteus": "pal",
}


@dataclass
class Engine:
    """A worker process and what it has answered."""

    name: str
    seed: int
    process: Any
    connection: Any
    start_memory: float = 0.0
    first: Result | None = None
    oracle: dict[str, float] = field(default_factory=dict)
    runs: list[Result] = field(default_factory=list)

    def ask(self, contract: str, samples: int, seed: int) -> Result | Refusal:
        self.connection.send((contract, samples, self.seed + seed))
        return self.answer()

    def answer(self) -> Any:
        try:
            return self.connection.recv()
        except EOFError:
            self.process.join()
            return Refusal(False, f"its process ended with {self.process.exitcode} (memory?)")

    def stop(self) -> None:
        if self.process.is_alive():
            self.connection.send(None)
        self.process.join()

    @property
    def best(self) -> Result:
        return min(self.runs, key=lambda run: run.seconds)


def start(name: str, seed: int) -> Engine | Refusal:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there, name), daemon=True)
    process.start()
    there.close()
    engine = Engine(name, seed, process, here)
    answer = engine.answer()
    if isinstance(answer, Refusal):
        return answer
    engine.start_memory = answer
    return engine


def check(engine: Engine, samples: int) -> Refusal | None:
    """Run once for the oracle under both contracts; this is the warm-up too."""
    full = engine.ask("full", samples, 0)
    block = engine.ask("block", samples, 1) if isinstance(full, Result) else full
    if isinstance(block, Refusal):
        return block
    engine.first = full
    engine.oracle = quality.against_oracle(reference(), full.summary, block.summary)
    found = ", ".join(f"{name} {value:.1f}" for name, value in engine.oracle.items())
    print(f"check {engine.name}: standard errors from the oracle at worst: {found}", flush=True)
    if max(engine.oracle.values()) > quality.LIMIT:
        return Refusal(
            False, f"more than {quality.LIMIT:g} standard errors from the oracle: {found}"
        )
    return None


def admit(names: list[str], seed: int, samples: int) -> tuple[list[Engine], dict[str, Refusal]]:
    """Start and check the engines; those that fail are returned with the reason."""
    engines, refused = [], {}
    for index, name in enumerate(names):
        engine = start(name, seed + 1_000_003 * index)
        refusal = engine if isinstance(engine, Refusal) else check(engine, samples)
        if refusal:
            refused[name] = refusal
            print(f"{'skip' if refusal.absent else 'FAIL'} {name}: {refusal.reason}", flush=True)
        else:
            engines.append(engine)
    pairs = quality.worst_distances({e.name: e.first.summary for e in engines})
    for (one, other), worst in pairs.items():
        if worst > quality.LIMIT or worst == max(pairs.values()):
            print(f"check {one} against {other}: {worst:.1f} standard errors at worst", flush=True)
        if worst > quality.LIMIT:
            reason = f"{one} and {other} differ by {worst:.1f} standard errors"
            refused[f"{one}/{other}"] = Refusal(False, reason)
    return engines, refused


def timed(
    engines: list[Engine], refused: dict[str, Refusal], samples: int, repeats: int
) -> list[Engine]:
    """Time the engines in turns and stop them; returned are those that answered every time."""
    for repeat in range(repeats):
        for engine in [e for e in engines if e.name not in refused]:
            result = engine.ask("full", samples, 10 + repeat)
            if isinstance(result, Refusal):
                refused[engine.name] = result
                print(f"FAIL {engine.name}: {result.reason}", flush=True)
            else:
                engine.runs.append(result)
    for engine in engines:
        engine.stop()
    return [e for e in engines if e.name not in refused]


def main() -> int:
    options = parse()
    engines, refused = admit(options.engines, options.seed, options.check_samples)
    if any("/" in name for name in refused):
        print("FAIL: engines disagree, nothing is timed")
        return 1
    engines = timed(engines, refused, options.samples, options.repeats)
    record = collect(options, engines, refused)
    show(record)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(record, file, indent=1)
    failed = any(not refusal.absent for refusal in refused.values())
    return int(
        failed or any((e["worst"] or 0.0) > quality.LIMIT for e in record["engines"].values())
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.reference", description=__doc__)
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3, help="timed calls; the best is quoted")
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--check-samples", type=int, default=200_000)
    parser.add_argument("--json", metavar="FILE", help="write everything shown, and all repeats")
    options = parser.parse_args()
    if min(options.samples, options.check_samples) < 1_000 or options.repeats < 1:
        parser.error("at least 1000 samples and 1 repeat: standard errors need them")
    return options


def collect(
    options: argparse.Namespace, engines: list[Engine], refused: dict[str, Refusal]
) -> dict[str, Any]:
    """Everything the tables show, as plain values."""
    summaries = {e.name: e.runs[0].summary for e in engines}
    pairs = quality.worst_distances(summaries)
    exact = expected_positions(reference())
    record: dict[str, Any] = {
        "command": "python -m benchmarks.reference " + " ".join(sys.argv[1:]),
        "samples": options.samples,
        "seed": options.seed,
        "machine": machine.describe(),
        "exact_mean": exact.tolist(),
        "refused": {name: refusal.reason for name, refusal in refused.items()},
        "engines": {},
    }
    rates = {e.name: options.samples / e.best.seconds for e in engines}
    record["bars"] = bars.reached(rates)
    for engine in engines:
        best = engine.best
        mean, error = summaries[engine.name]["mean"]
        record["engines"][engine.name] = {
            "samples_per_second": rates[engine.name],
            "seconds": [run.seconds for run in engine.runs],
            "processor_seconds": min(run.processor_seconds for run in engine.runs),
            "first_seconds": engine.first.seconds,
            "first_samples": options.check_samples,
            "import_seconds": machine.import_seconds(LIBRARIES[engine.name]),
            "start_memory_mib": engine.start_memory,
            "peak_memory_mib": engine.runs[0].peak_memory,
            "dtype": best.dtype,
            "oracle_check": engine.oracle,
            "oracle_mean": float(abs((mean - exact) / error).max()),
            "worst": max((v for pair, v in pairs.items() if engine.name in pair), default=None),
            "statistics": {
                s: {"value": v.tolist(), "error": e.tolist()}
                for s, (v, e) in summaries[engine.name].items()
            },
        }
    return record


def show(record: dict[str, Any]) -> None:
    engines = record["engines"]
    ours = engines.get("riskshare", {}).get("samples_per_second")
    print(f"\n{record['command']}")
    place = record["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in place["versions"].items())
    print(
        f"{place['processor']}; {place['cores']} cores, load {place['load']}; {place['platform']}"
    )
    print(f"{versions}\n")
    print(
        f"{'engine':22}{'samples/s':>12}{'riskshare is':>14}{'best s':>9}{'worst s':>9}{'CPU s':>9}"
        f"{'first s':>9}{'import s':>10}{'peak MiB':>10}  type"
    )
    for name, e in engines.items():
        ratio = f"{ours / e['samples_per_second']:.1f}x" if ours else "-"
        print(
            f"{name:22}{e['samples_per_second']:12,.0f}{ratio:>14}{min(e['seconds']):9.3f}"
            f"{max(e['seconds']):9.3f}{e['processor_seconds']:9.3f}{e['first_seconds']:9.3f}"
            f"{e['import_seconds']:10.2f}{e['peak_memory_mib']:10,.0f}  {e['dtype']}"
        )
    for name, reason in record["refused"].items():
        print(f"{name:22}not timed: {reason}")
    for line in bars.lines(record["bars"]):
        print(line)
    for statistic in STATISTICS:
        title = {"mean": "mean", "sd": "standard deviation", "q05": "5 % quantile"}[statistic]
        print(f"\n{title} of each provider's position, million")
        if statistic == "mean":
            print(f"{'exact':22}" + "".join(f"{v / 1e6:10.4f}" for v in record["exact_mean"]))
        for name, e in engines.items():
            value = e["statistics"][statistic]["value"]
            print(f"{name:22}" + "".join(f"{v / 1e6:10.4f}" for v in value))
        for e in list(engines.values())[:1]:
            error = e["statistics"][statistic]["error"]
            print(f"{'std. error':22}" + "".join(f"{v / 1e6:10.4f}" for v in error))
    print("\nworst difference, in standard errors (mean, SD and 5 % quantile of eight providers)")
    for name, e in engines.items():
        other = "-" if e["worst"] is None else f"{e['worst']:.1f}"
        print(f"{name:22}from another engine {other}, mean from the oracle {e['oracle_mean']:.1f}")
