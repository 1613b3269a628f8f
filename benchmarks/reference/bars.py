"""What riskshare is to reach on the reference problem, and whether it did."""

from __future__ import annotations

from typing import Any

SPEED = {"proteus": 90.0, "numpy-ppf": 140.0, "numba": 1.8, "numba-vector": 1.8}
"""Times as many samples per second as the engine named, at a million samples on two cores; the bar
of numba is held against both ways of writing it."""

OURS = ("riskshare", "riskshare-estimate")


def reached(samples_per_second: dict[str, float]) -> list[dict[str, Any]]:
    """Return, for each bar whose engines were timed, the ratio wanted and the ratio reached."""
    return [
        {
            "engine": ours,
            "against": other,
            "bar": bar,
            "reached": samples_per_second[ours] / samples_per_second[other],
            "met": samples_per_second[ours] >= bar * samples_per_second[other],
        }
        for ours in OURS
        for other, bar in SPEED.items()
        if ours in samples_per_second and other in samples_per_second
    ]


def lines(bars: list[dict[str, Any]]) -> list[str]:
    """Return one line for each bar."""
    return [
        f"bar: {bar['engine']} at least {bar['bar']:g} times {bar['against']}; "
        f"reached {bar['reached']:.3g}; {'met' if bar['met'] else 'NOT MET'}"
        for bar in bars
    ]
