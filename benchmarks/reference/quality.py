"""Whether engines compute the same model: each against the oracle, and every pair."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from riskshare.bench.problem import Problem

from .oracle import cost_standard_deviation, expected_positions
from .statistics import STATISTICS, Summary

LIMIT = 4.0  # standard errors


def against_oracle(problem: Problem, full: Summary, block: Summary) -> dict[str, float]:
    """Worst distance from the oracle, in standard errors; `block` is under the block alone.

    There the position is a constant less the cost: its mean and SD are the cost's closed forms.
    """
    simple = problem.block_only()
    wanted = {
        "position mean": (full["mean"], expected_positions(problem)),
        "cost mean": (block["mean"], expected_positions(simple)),
        "cost sd": (block["sd"], cost_standard_deviation(simple)),
    }
    return {
        name: float(np.max(np.abs(estimate - exact) / error))
        for name, ((estimate, error), exact) in wanted.items()
    }


def distance(one: Summary, other: Summary) -> float:
    """Worst difference of any statistic of any provider, in standard errors of the difference."""
    return max(
        float(np.max(np.abs(one[s][0] - other[s][0]) / np.hypot(one[s][1], other[s][1])))
        for s in STATISTICS
    )


def worst_distances(summaries: dict[str, Summary]) -> dict[tuple[str, str], float]:
    """`distance` for every pair of engines."""
    return {(a, b): distance(summaries[a], summaries[b]) for a, b in combinations(summaries, 2)}
