"""Allocation keys: who gets which share. Every key sums to one over partners."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def proportional(weights: Numbers) -> Numbers:
    """Return weights as shares: ``w_i = c_i / sum c``, along the last axis."""
    total = weights.sum(-1, keepdims=True)
    return np.asarray(weights / np.where(total > 0, total, 1))


def borne(influence: Numbers, residual_key: Numbers) -> Numbers:
    """Return what each partner bears of each index.

    ``b[i, d] = influence[i, d] + key_i x (1 - sum_j influence[j, d])``: its own influence and its
    part of what nobody controls. Columns sum to one.

    Parameters
    ----------
    influence
        (partner, index), columns summing to at most one.
    residual_key
        (partner), summing to one.
    """
    return influence + residual_key[:, None] * (1 - influence.sum(0))
