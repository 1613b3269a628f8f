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
    COUNT_NODES,
    CountTable,
    chebyshev_to_even,
    read_only,
    with_slopes,
)

Floats = NDArray[np.float64]

LOGIT_NODES = 161
LOGIT_LIMIT = 10.0
"""Tables of thinning span deliveries whose logit is within 10: 0.005 % to 99.995 %."""

_SOLVED = 75
"""Chebyshev points of the logit at which the quantile is solved."""

_HALVINGS = 44


def binomial_quantile(score: Floats, number: float, probability: float) -> Floats:
    """Return x > -1, the continuous quantile of a binomial count whose ceiling is exact.

    x solves ``I_(1-p)(n - x, x + 1) = Phi(z)``, I the regularised incomplete beta function, by
    halving, from the smaller of the two tails: ``I_p(x + 1, n - x) = Phi(-z)`` above the median.

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
    chance = np.where(lower, 1 - probability, probability)
    low, high = np.full(z.shape, -1.0), np.full(z.shape, float(number))
    for _ in range(_HALVINGS):
        x = (low + high) / 2
        failures, successes = number - x, x + 1
        first, second = np.where(lower, (failures, successes), (successes, failures))
        short = (betainc(first, second, chance) < tail) == lower
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


NUMBER_STEP = log(2) / 4
NUMBER_NODES = 81
"""Tables over a number of people run from 1 to a million, at fixed numbers."""


def number_nodes(lowest: float, highest: float) -> Floats:
    """Return the numbers at which such tables are worked out; others repeat the nearest of them."""
    numbers = np.exp(NUMBER_STEP * np.arange(NUMBER_NODES))
    first = max(int(np.searchsorted(numbers, lowest, side="right")) - 1, 0)
    last = min(int(np.searchsorted(numbers, highest)), NUMBER_NODES - 1)
    return numbers[np.clip(np.arange(NUMBER_NODES), first, max(last, first))]


@lru_cache(maxsize=256)
def number_table(probability: float, lowest: float, highest: float) -> CountTable:
    """Return the table of how many of n lie above a threshold, over the logarithm of n.

    Worked out between two numbers, whose nodes are the same whatever they are.
    """
    if not 0 < probability < 1:
        return _table(np.zeros((NUMBER_NODES, COUNT_NODES)), 0.0, NUMBER_STEP, probability)
    points, matrix = chebyshev_to_even()
    nodes, which = np.unique(number_nodes(lowest, highest), return_inverse=True)
    values = np.array([_standardised(points, n, probability) for n in nodes]) @ matrix.T
    return _table(values[which], 0.0, NUMBER_STEP, probability)


def _standardised(points: Floats, number: float, probability: float) -> Floats:
    spread = np.sqrt(number * probability * (1 - probability))
    quantile = binomial_quantile(points, number, probability)
    return np.asarray((quantile - number * probability) / spread)


def _table(values: Floats, origin: float, step: float, own: float) -> CountTable:
    numbers = (origin, step, 0.0, 1.0, own)
    return CountTable(*with_slopes(values[None]), *map(read_only, numbers))
