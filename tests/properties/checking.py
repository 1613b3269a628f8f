"""How far two results may differ: in shares of the money that moves."""

import numpy as np


def gross(outcomes):
    """All money of a year and sample: what moves between partners, and cost; at least 1."""
    flow = abs(outcomes.posting).sum(("term", "partner")) + abs(outcomes.cost).sum("partner")
    return flow.clip(min=1.0)


def worst(difference, outcomes):
    """Largest difference as a share of the gross flow; NaN where anything is not a number."""
    share = abs(difference) / gross(outcomes)
    return float(np.max(share.values)) if share.size else 0.0


def assert_same(left, right, tolerance=1e-12, factor=1.0):
    """The results of ``right`` are ``factor`` times those of ``left``, label by label."""
    scaled = gross(left) * factor
    for name in ("posting", "received", "paid", "cost", "position"):
        other = right[name].reindex_like(left[name])
        apart = abs(other - factor * left[name]) / scaled
        assert apart.size == 0 or float(np.max(apart.values)) <= tolerance, name
    for name in ("line_cost", "cost_released", "stranded", "lost_contribution"):
        other = right[name].reindex_like(left[name])
        size = abs(left[name]).sum("line").clip(min=1.0) * factor
        apart = abs(other - factor * left[name]) / (scaled + size)
        assert apart.size == 0 or float(np.max(apart.values)) <= tolerance, name
