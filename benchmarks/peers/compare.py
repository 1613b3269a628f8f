"""`python -m benchmarks.peers`: cases A and B by every engine that is installed.

Each engine runs in a process of its own. It is first checked against the exact answer (which is
also its warm-up: compilation is outside the clock), and timed only where it passes, in turns. A
time is the whole call, from the seed to the measures.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any

from benchmarks.reference import machine

from .answer import LIMIT, Exact
from .engines import (
    CASES,
    FIRST_SAMPLES,
    FIRST_SECONDS,
    LARGE,
    LARGE_SECONDS,
    WITHIN,
    Case,
    load,
)
from .process import Engine, start


def run(name: str, case: Case, options: argparse.Namespace) -> dict[str, Any]:
    """Check and time the engines of a case; print the table and the bars."""
    exact = load(case.exact)()
    samples = options.samples or case.samples
    print(f"\n{case.title}; {samples:,} samples")
    named = [e for e in case.engines if not options.engines or e in options.engines]
    engines, refused = admitted(case, exact, named, min(options.check_samples, samples))
    for repeat in range(options.repeats):
        for engine in [e for e in engines if e.name not in refused]:
            answer = engine.ask(samples, 1 + repeat)
            if isinstance(answer, str):
                refused[engine.name] = answer
                continue
            engine.seconds.append(answer[0])
            engine.memory, engine.found = answer[1:]
    for engine in engines:
        engine.stop()
    engines = [e for e in engines if e.name not in refused]
    show(exact, engines, refused)
    return {
        "engines": {
            e.name: {"seconds": e.seconds, "peak_mib": e.memory, "found": e.found.values().tolist()}
            for e in engines
        },
        "exact": exact.answer.values().tolist(),
        "refused": refused,
        "bars": bars(name, case, exact, engines),
    }


def admitted(
    case: Case, exact: Exact, named: list[str], samples: int
) -> tuple[list[Engine], dict[str, str]]:
    """Start the engines and check each; those that fail are returned with the reason."""
    engines: list[Engine] = []
    refused: dict[str, str] = {}
    for which in named:
        engine = start(which, case.engines[which])
        answer = engine.ask(samples, 0)
        if not isinstance(answer, str):
            free = which in case.without_samples
            allowed = WITHIN if free else case.allowed.get(which, 0.0)
            missed = exact.misses(answer[2], 0 if free else samples, allowed)
            found = ", ".join(f"{value:.1f}" for value in missed)
            print(f"check {which}: standard errors from the exact answer: {found}", flush=True)
            if not max(missed) <= LIMIT:
                answer = f"off by {max(missed):.1f} standard errors: {answer[2]}"
        if isinstance(answer, str):
            refused[which] = answer
            print(f"{which}: {answer}", flush=True)
            engine.stop()
        else:
            engines.append(engine)
    return engines, refused


def show(exact: Exact, engines: list[Engine], refused: dict[str, str]) -> None:
    """Print the table."""
    ours = next((e.best for e in engines if e.name == "riskshare"), None)
    heads = ("best s", "worst s", "riskshare is", "peak MiB", "mean", "VaR 95", "TVaR 99")
    print(f"\n{'engine':20}" + "".join(f"{head:>14}" for head in heads))
    print(f"{'exact':76}" + "".join(f"{v:14,.6g}" for v in exact.answer.values()))
    for e in engines:
        ratio = f"{e.best / ours:.1f}x" if ours else "-"
        print(
            f"{e.name:20}{e.best:14.4f}{max(e.seconds):14.4f}{ratio:>14}{e.memory:14,.0f}"
            + "".join(f"{v:14,.6g}" for v in e.found.values())
        )
    for which, why in refused.items():
        print(f"{which:20}not timed: {why}")


def bars(name: str, case: Case, exact: Exact, engines: list[Engine]) -> list[dict[str, Any]]:
    """Hold riskshare's engines to what they are to reach."""
    ours = [e for e in engines if e.name in case.seconds]
    found = [bar(f"{e.name}, warm seconds", e.best, case.seconds[e.name]) for e in ours]
    if name != "claims":
        return found
    wanted = exact.answer.values()
    off = {e.name: abs(e.found.values() / wanted - 1).max() for e in ours}
    return found + [bar(f"{who}, relative error", much, WITHIN) for who, much in off.items()]


def bar(what: str, found: float, most: float) -> dict[str, Any]:
    """Print whether something is at most what it may be, and return it."""
    met = bool(found <= most)
    print(f"bar: {what} at most {most:g}: {found:.4g}, {'met' if met else 'NOT MET'}", flush=True)
    return {"what": what, "most": most, "found": float(found), "met": met}


def streaming(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Case A at ten million samples, streamed: time, and memory against that at a million."""
    path, peaks, seconds = CASES["corridor"].engines["riskshare-estimate"], [], 0.0
    for samples in (LARGE // 10, LARGE):
        engine = start("riskshare-estimate", path)
        answers = [engine.ask(FIRST_SAMPLES, 0)]
        answers += [engine.ask(samples, 1 + repeat) for repeat in range(options.repeats)]
        engine.stop()
        if any(isinstance(answer, str) for answer in answers):
            print(f"riskshare-estimate: {answers[-1]}")
            return []
        seconds = min(answer[0] for answer in answers[1:])
        peaks.append(answers[-1][1])
    print(f"\ncase A streamed: peak {peaks[0]:,.0f} MiB at {LARGE // 10:,} samples, "
          f"{peaks[1]:,.0f} MiB at {LARGE:,}")  # fmt: skip
    return [
        bar(f"case A, {LARGE:,} samples streamed", seconds, LARGE_SECONDS),
        bar("case A, memory at ten times the samples, ratio", peaks[1] / peaks[0], 1.1),
    ]


def first_call() -> dict[str, Any]:
    """A new interpreter: start, imports, compilation and 100,000 samples of case A."""
    module, function = CASES["corridor"].engines["riskshare"].split(":")
    code = f"from benchmarks.peers.{module} import {function} as f; f({FIRST_SAMPLES}, 1)"
    best = float("inf")
    for _ in range(3):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        best = min(best, time.perf_counter() - begin)
    return bar("case A, first call in a new process", best, FIRST_SECONDS)


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--engines", nargs="+", help="those named alone")
    parser.add_argument("--samples", type=int, help="a million of case A, 100,000 of B unless said")
    parser.add_argument("--check-samples", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=5, help="timed calls; the best counts")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    place = machine.describe()
    print(f"{place['processor']}; {place['cores']} cores, load {place['load']}")
    record: dict[str, Any] = {"machine": place, "cases": {}}
    for name in options.cases:
        record["cases"][name] = run(name, CASES[name], options)
    if "corridor" in options.cases and not options.engines:
        record["streaming"] = streaming(options)
        record["first_call"] = first_call()
    if options.json:
        with open(options.json, "w") as file:
            json.dump(record, file, indent=1)
    wrong = [
        c for c in record["cases"].values() for r in c["refused"].values() if "absent" not in r
    ]
    return int(bool(wrong))
