"""Samples a second of the bare kernel, of `simulate` and of `estimate`, timed in turns.

In turns, so that a busy minute of the machine falls on all; the best of each counts. All have run
before, so that nothing is compiled on the clock.
"""

import time
from typing import Any

from riskshare.analysis.estimate import estimate
from riskshare.bench.effort import Account, Counted, Effort
from riskshare.bench.fresh import FIRST
from riskshare.bench.kernel import BareKernel
from riskshare.case import Case
from riskshare.run.simulate import simulate

WAYS = ("kernel", "simulate", "estimate", "estimate_all")
"""What is timed, the first three for the position alone; all are shown beside the first."""

_FIRST_CALLS, _TURN = 6.0, 1.0


def weight(effort: Effort) -> float:
    """Return about how many seconds `speed` takes."""
    return _FIRST_CALLS + effort.turns * len(WAYS) * _TURN


def speed(
    case: Case, device: str, effort: Effort, account: Account, what: str
) -> tuple[dict[str, Any], BareKernel]:
    """Time the three ways; returns what they took, and the kernel for what comes after."""
    with account.step(f"{what}: first calls", _FIRST_CALLS) as counted:
        least = FIRST if effort.samples is None else min(FIRST, effort.samples)
        warm = BareKernel(case, least, device)
        warm.run()
        asked = _enough(warm, effort) if effort.samples is None else effort.samples
        simulate(case, samples=warm.samples, keep=("position",), device=device, progress=counted)
        # A longer estimate may compile more than a short one.
        for keep in (("position",), None):
            estimate(case, samples=asked, keep=keep, device=device, progress=counted)
    kernel = BareKernel(case, asked, device)

    def timed(way: str, counted: Counted) -> float:
        start = time.perf_counter()
        if way == "kernel":
            kernel.run(counted)
        elif way == "simulate":
            simulate(case, samples=asked, keep=("position",), device=device, progress=counted)
        else:
            keep = ("position",) if way == "estimate" else None
            estimate(case, samples=asked, keep=keep, device=device, progress=counted)
        return time.perf_counter() - start

    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(effort.turns):
        for way in WAYS:
            name = "bare kernel" if way == "kernel" else way
            told = f"{what}: {name}, {asked:,} samples, turn {turn + 1} of {effort.turns}"
            with account.step(told, _TURN) as counted:
                taken[way].append(timed(way, counted))
    return _told(asked, kernel.samples, taken), kernel


def _enough(kernel: BareKernel, effort: Effort) -> int:
    """Return the samples of a call that takes about as long as one may: a power of two."""
    samples = kernel.samples
    start = time.perf_counter()
    made = sum(kernel.burst() for _ in range(3))
    rate = made / (time.perf_counter() - start)
    while samples < effort.most and 2 * samples <= rate * effort.seconds:
        samples *= 2
    return samples


def _told(asked: int, made: int, taken: dict[str, list[float]]) -> dict[str, Any]:
    """Return rates; a run is credited with the samples asked for, not those it rounds up to."""
    least = {way: min(seconds) for way, seconds in taken.items()}
    return {
        "samples": asked,
        "samples_made": made,
        "turns": len(taken["kernel"]),
    } | {
        way: {
            "samples_per_second": asked / least[way],
            "seconds": least[way],
            "all_seconds": taken[way],
            "share_of_kernel": least["kernel"] / least[way],
        }
        for way in WAYS
    }
