"""Who takes part in which case, with what allowance, and what riskshare is to reach."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

HERE = __package__

REORDERED = 0.005
"""Relative allowance where dependence is made by reordering to a rank or linear correlation: 0.3
is then not quite the correlation of the scores."""


@dataclass(frozen=True)
class Case:
    """One case: its exact answer, its engines (module:function) and riskshare's bars."""

    title: str
    exact: str
    samples: int
    engines: dict[str, str]
    seconds: dict[str, float]
    """The most that an engine of riskshare's may take, warm."""
    without_samples: tuple[str, ...] = ()
    allowed: dict[str, float] = field(default_factory=dict)


CASES = {
    "corridor": Case(
        title="case A: eight gamma streams, corridors, a pool with a limit",
        exact="corridor:exact",
        samples=1_000_000,
        engines={
            "riskshare": "corridor_case:kept",
            "riskshare-estimate": "corridor_case:streamed",
            "numpy-quantiles": "corridor:numpy_quantiles",
            "numpy-reordered": "corridor:numpy_reordered",
            "proteus": "corridor:proteus",
            "risksim": "corridor:risksim",
            "riskpy": "corridor:riskpy",
            "probabilit": "corridor:probabilit",
        },
        seconds={"riskshare": 0.15, "riskshare-estimate": 0.25},
        allowed={"risksim": REORDERED, "riskpy": REORDERED, "probabilit": REORDERED},
    ),
    "claims": Case(
        title="case B: capped claims of a year, an annual layer",
        exact="claims:exact",
        samples=100_000,
        engines={
            "riskshare": "claims_case:kept",
            "riskshare-estimate": "claims_case:streamed",
            "riskshare-exact": "claims_case:exact",
            "aggregate": "claims:aggregate",
            "numpy": "claims:numpy_sums",
            "proteus": "claims:proteus",
            "lossmodels": "claims:lossmodels",
            "riskpy": "claims:riskpy",
            "gemact": "claims:gemact",
        },
        seconds={"riskshare": 0.05, "riskshare-estimate": 0.05, "riskshare-exact": 0.05},
        without_samples=("riskshare-exact", "aggregate"),
    ),
}

WITHIN = 0.002
"""Relative error of mean and tail within which an engine without samples must be."""

LARGE, LARGE_SECONDS = 10_000_000, 1.5
"""Case A once more, streamed: samples, and the most seconds."""

FIRST_SAMPLES, FIRST_SECONDS = 100_000, 3.0
"""First call in a new process, imports and compilation included."""


def load(path: str) -> Any:
    """Return the function that ``module:function`` names."""
    module, function = path.split(":")
    return getattr(import_module(f"{HERE}.{module}"), function)
