"""Costs of people above and below a threshold, relative to the mean cost of one."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from riskshare.laws.binomial import NUMBER_NODES, NUMBER_STEP, number_nodes
from riskshare.laws.chance import (
    COUNT_NODES,
    NODES,
    SCORE_LIMIT,
    CountTable,
    read_only,
    with_slopes,
)
from riskshare.laws.marginal import AbstractLaw

Floats = NDArray[np.float64]

_REACH = 37.0


class Rest(NamedTuple):
    """People at or below a threshold: mean and standard deviation of the cost of one."""

    threshold: float
    mean: float
    standard_deviation: float


def above_table(law: AbstractLaw, threshold: float, chance: float) -> tuple[Floats, float]:
    """Return costs above a threshold at even scores, and their mean; the law's mean is 1.

    X given X > u is the law at z* with Phi(-z*) = S(u) Phi(-z).

    Parameters
    ----------
    threshold
        u, in the law's own units.
    chance
        S(u); where it is 0 nobody is above, and the table is never read.
    """
    from scipy.special import ndtr, ndtri

    if chance == 0:
        return np.zeros(NODES), 0.0
    z = np.linspace(-SCORE_LIMIT, SCORE_LIMIT, NODES)
    scale = law.expectation()
    values = law.at(-ndtri(chance * ndtr(-z))) / scale
    excess = scale - float(law.limited_mean(np.array(threshold)))
    return values, (threshold + excess / chance) / scale


@lru_cache(maxsize=256)
def rest_of(law: AbstractLaw, threshold: float) -> Rest:
    """Return the moments of the cost of one at or below a threshold; the law's mean is 1.

    Costs are not negative, so at or below a threshold of 0 there is none.
    """
    from scipy.special import ndtri

    chance = float(law.survival(np.array(threshold))) if np.isfinite(threshold) else 0.0
    if threshold <= 0:
        return Rest(threshold, 0.0, 0.0)
    edge = min(float(-ndtri(chance)), _REACH) if chance > 0 else _REACH
    edges = np.unique(np.append(np.arange(-_REACH, edge), edge))
    edges = np.sort(np.append(edges, [jump for jump in law.jumps if -_REACH < jump < edge]))
    nodes, weights = np.polynomial.legendre.leggauss(24)
    middle, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
    score = middle[:, None] + half[:, None] * nodes
    mass = weights * half[:, None] * np.exp(-(score**2) / 2) / np.sqrt(2 * np.pi)
    values = law.at(score) / law.expectation()
    total = mass.sum()
    mean = float((mass * values).sum() / total)
    variance = float((mass * (values - mean) ** 2).sum() / total)
    return Rest(threshold, mean, float(np.sqrt(variance)))


@lru_cache(maxsize=256)
def rest_table(law: AbstractLaw, threshold: float, lowest: float, highest: float) -> CountTable:
    """Return the table of the standardised total of n people at or below a threshold.

    Over the logarithm of n, worked out between two numbers, whose nodes are the same whatever they
    are; by FFT from the law of one (`riskshare.laws.compound`).
    """
    from riskshare.laws.compound import Truncated, standard_sum_quantile

    scores = np.linspace(-SCORE_LIMIT, SCORE_LIMIT, COUNT_NODES)
    if threshold <= 0:  # those at or below it cost nothing
        values = np.zeros((NUMBER_NODES, COUNT_NODES))
    else:
        nodes, which = np.unique(number_nodes(lowest, highest), return_inverse=True)
        values = standard_sum_quantile(Truncated(law, threshold), nodes, scores)[which]
    numbers = (0.0, NUMBER_STEP, 0.0, 1.0, 0.0)
    return CountTable(*with_slopes(values[None]), *(read_only(number) for number in numbers))
