"""Where the time goes: what each sample takes, against what the machine can do at most.

Each kind of work has a rate that the machine reached on the spot with nothing else to do
(`riskshare.bench.ceilings`); what a sample takes of it, divided by that rate, is the time it would
take at the limit. Kinds of computing share the units that compute, and kinds of moving data share
the way to cache and memory, so times add up on each side; the two sides work at the same time, so
the longer is what no program with these operations can beat (the roofline of Williams, Waterman and
Patterson 2009). Its share of the measured time is the fraction of the machine's limits reached.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from riskshare.bench.ceilings import ceilings
from riskshare.bench.kernel import BareKernel
from riskshare.bench.operations import Operations

COMPUTING, MOVING = "computing", "moving data"

KINDS = {
    "arithmetic": (COMPUTING, "operations"),
    "exponentials": (COMPUTING, "functions"),
    "logarithms": (COMPUTING, "functions"),
    "roots": (COMPUTING, "functions"),
    "lookups": (MOVING, "numbers"),
    "moved": (MOVING, "bytes"),
    "memory": (MOVING, "bytes"),
}
"""Kinds of work: which side they are on, and what they are counted in."""

_TURNS = 16
"""Bursts of a hundredth of a second, of which the best counts."""


@dataclass(frozen=True)
class Measured:
    """What a kernel takes, and what its device can do at most."""

    counted: Operations
    rates: dict[str, float]
    """Of each kind of work, a second."""
    seconds: float
    """That the kernel takes for a sample, all cores at work."""


def limits(kernel: BareKernel) -> Measured:
    """Count what a sample takes, and measure the device's limits beside the kernel."""
    counted = kernel.operations()
    kernel.burst()
    rates, samples = ceilings(
        kernel.devices, counted.table, counted.working_set, _TURNS, kernel.burst
    )
    return Measured(counted, rates, 1 / samples)


def together(measured: Sequence[Measured]) -> list[Measured]:
    """Return what was measured on one device with the best of its limits in place of each.

    Only lookups and bytes between steps depend on the case: their tables and arrays differ.
    """
    best: dict[str, float] = {}
    for one in measured:
        for kind in one.rates.keys() - {"lookups", "moved"}:
            best[kind] = max(best.get(kind, 0.0), one.rates[kind])
    return [replace(one, rates=one.rates | best) for one in measured]


def account(measured: Measured) -> dict[str, Any]:
    """Set what a sample takes of each kind of work against the limits."""
    counted, rates, seconds = measured.counted, measured.rates, measured.seconds
    work: list[dict[str, Any]] = []
    sides = {COMPUTING: 0.0, MOVING: 0.0}
    for kind, amount in _amounts(counted).items():
        side, unit = KINDS[kind]
        at_limit = amount / rates[kind] if amount else 0.0
        sides[side] += at_limit
        work.append(
            {
                "kind": kind,
                "side": side,
                "unit": unit,
                "per_sample": amount,
                "limit_per_second": rates.get(kind),
                "reached_per_second": amount / seconds,
                "seconds_at_limit": at_limit,
                "share_of_time": at_limit / seconds,
            }
        )
    longer = max(sides, key=lambda side: sides[side])
    on_it = [row for row in work if row["side"] == longer]
    return {
        "seconds_per_sample": seconds,
        "samples_per_second": 1 / seconds,
        "work": work,
        "computing_seconds": sides[COMPUTING],
        "moving_seconds": sides[MOVING],
        "binding": longer,
        "binding_kind": max(on_it, key=lambda row: row["seconds_at_limit"])["kind"],
        "seconds_at_limits": sides[longer],
        "fraction_of_limits": sides[longer] / seconds,
        "counted": asdict(counted),
    }


def _amounts(counted: Operations) -> dict[str, float]:
    """Return what a sample takes of each kind; functions of other kinds count as exponentials."""
    return {
        "arithmetic": counted.arithmetic,
        "exponentials": counted.exponentials + counted.other_functions,
        "logarithms": counted.logarithms,
        "roots": counted.roots,
        "lookups": counted.lookups,
        "moved": counted.moved,
        "memory": counted.returned,
    }
