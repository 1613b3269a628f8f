"""Binomial thinning: how many of a number of units move, or lie above a threshold.

Tables of the standardised continuous quantile W = (x - n p) / sqrt(n p (1 - p)), where ceil(x) is
the exact quantile, in the form of `riskshare.laws.chance.CountTable`. Over the logit of p where the
number of units is fixed (a planned change), over the logarithm of n where p is (people above a
threshold). Units need not be whole: the beta function goes on between them.
"""

from functools import lru_cache
from math import log

import numpy as np
from numpy.polynomial.chebyshev import chebpts1, chebvander
from numpy.typing import NDArray

from riskshare.laws.chance import (
    MEAN_NODES,
    CountTable,
    chebyshev_to_even,
    read_only,
    with_slopes,
)

Floats = NDArray[np.float64]

LOGIT_NODES = 129
LOGIT_LIMIT = 8.0
"""Tables of thinning span deliveries whose logit is within 8: 0.03 % to 99.97 %."""

_SOLVED = 61
"""Chebyshev points of the logit at which the quantile is solved."""

_HALVINGS = 44


def binomial_quantile(score: Floats, number: float, probability: float) -> Floats:
    """Return x > -1, the continuous quantile of a binomial count whose ceiling is exact.

    x solves ``I_(1-p)(n - x, x + 1) = Phi(z)``, I the regularised incomplete beta function, by
    halving from the tail that is small.

    Parameters
    ----------
    score
        Standard normal scores, any shape.
    number
        n, above 0; need not be whole.
    probability
        p, strictly between 0 and 1.
    """
    from scipy.special import betainc, ndtr

    z = np.asarray(score, np.float64)
    tail, lower = ndtr(-np.abs(z)), z <= 0
    low, high = np.full(z.shape, -1.0), np.full(z.shape, float(number))
    for _ in range(_HALVINGS):
        x = (low + high) / 2
        below = betainc(number - x, x + 1, 1 - probability)
        above = betainc(x + 1, number - x, probability)
        short = np.where(lower, below < tail, above > tail)
        low, high = np.where(short, x, low), np.where(short, high, x)
    return np.asarray((low + high) / 2)


@lru_cache(maxsize=256)
def thinning_table(number: float) -> CountTable:
    """Return the table of what moves of a number of planned units, over the logit of delivery."""
    points, matrix = chebyshev_to_even()
    logits = LOGIT_LIMIT * chebpts1(_SOLVED)
    rows = [_standardised(points, number, 1 / (1 + np.exp(-at))) for at in logits]
    even = chebvander(np.linspace(-1, 1, LOGIT_NODES), _SOLVED - 1)
    between = even @ np.linalg.inv(chebvander(logits / LOGIT_LIMIT, _SOLVED - 1))
    values = between @ np.array(rows) @ matrix.T
    step = 2 * LOGIT_LIMIT / (LOGIT_NODES - 1)
    return _table(values, -LOGIT_LIMIT, step, number)


@lru_cache(maxsize=256)
def number_table(lowest: float, highest: float, probability: float) -> CountTable:
    """Return the table of how many of n lie above a threshold, over the logarithm of n.

    ``overdispersion`` holds the probability.
    """
    points, matrix = chebyshev_to_even()
    step = max(log(highest / lowest), 1e-3) / (MEAN_NODES - 1)
    numbers = lowest * np.exp(step * np.arange(MEAN_NODES))
    values = np.array([_standardised(points, n, probability) for n in numbers]) @ matrix.T
    return _table(values, log(lowest), step, probability)


def _standardised(points: Floats, number: float, probability: float) -> Floats:
    spread = np.sqrt(number * probability * (1 - probability))
    quantile = binomial_quantile(points, number, probability)
    return np.asarray((quantile - number * probability) / spread)


def _table(values: Floats, origin: float, step: float, own: float) -> CountTable:
    numbers = (origin, step, 0.0, 1.0, own)
    return CountTable(*with_slopes(values[None]), *map(read_only, numbers))
