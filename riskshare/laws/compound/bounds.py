"""What a grid may have done to a total: bounds that hold whatever the law of amounts."""

from collections.abc import Sequence
from math import sqrt

import numpy as np

from riskshare.laws.compound.aggregate import at_nodes
from riskshare.laws.compound.frequency import Floats
from riskshare.laws.compound.grid import Inverted
from riskshare.laws.compound.portfolio import Group, expected_claims, inverted
from riskshare.laws.compound.severity import Layer

_MOST_CLAIMS = 2**18


def distribution_bounds(
    groups: Sequence[Group], central: Inverted, down: Inverted, up: Inverted
) -> tuple[Floats, Floats]:
    """Return bounds of P(S <= s) for s from each node to the next.

    Amounts rounded down, and up, give a total below, and above, the true one. The mean-preserving
    total S* differs from S by a sum of errors that are independent given the amounts, of mean
    zero, each within one step: Hoeffding's inequality gives
    ``P(S* - S >= k h) <= E[exp(-2 k^2 / N)] = d(k)``, and so
    ``F*(s - k h) - d(k) <= F(s) <= F*(s + k h) + d(k)`` for every k. The best of all is taken.
    """
    highest = np.cumsum(down.probabilities) + down.error
    lowest = np.cumsum(up.probabilities) - up.error
    middle = np.cumsum(central.probabilities)
    for k, missed in _shifts(groups, len(middle)):
        missed += central.error
        ahead = np.append(middle[k:], np.full(k, 1.0)) + missed
        behind = np.append(np.zeros(k), middle[: len(middle) - k]) - missed
        highest, lowest = np.minimum(highest, ahead), np.maximum(lowest, behind)
    return np.clip(lowest, 0.0, 1.0), np.clip(highest, 0.0, 1.0)


def _shifts(groups: Sequence[Group], points: int) -> list[tuple[int, float]]:
    """Return shifts k in steps with their d(k), where there are claims enough to profit."""
    claims = expected_claims(groups)
    if not all(isinstance(g.amount, Layer) for g in groups) or not 4 < claims < _MOST_CLAIMS / 2:
        return []
    spread = sqrt(sum(g.members * g.frequency.variance() for g in groups))
    length = min(2 ** int(np.ceil(np.log2(claims + 12 * spread + 64))), _MOST_CLAIMS)
    one = np.array([0.0, 1.0])
    numbers = inverted(groups, {id(g.amount): one for g in groups}, length)
    n = np.maximum(np.arange(float(length)), 1.0)
    found = []
    for scale in np.linspace(0.25, 3.5, 27):
        k = int(np.ceil(scale * sqrt(claims)))
        missed = float(numbers.probabilities @ np.exp(-2 * k**2 / n)) + numbers.beyond
        found.append((k, missed + numbers.error))
    return [(k, missed) for k, missed in found if missed < 0.5 and k < points]


def stop_loss_error(groups: Sequence[Group], step: float, gap: float) -> float:
    """Return the lesser of two bounds on the error of E[(S - d)+].

    The means of the two roundings differ by `gap`, so no premium moves by more. Rounding that
    keeps each amount's mean adds at most ``E[N] step^2 / 4`` to the variance given the amounts,
    and half the square root of that to a premium (Scarf 1958).
    """
    if all(isinstance(g.amount, Layer) for g in groups):
        return min(gap, step * sqrt(expected_claims(groups)) / 4)
    return gap


def change(
    groups: Sequence[Group],
    central: Inverted,
    masses: dict[int, Floats],
    lowest: Floats,
    highest: Floats,
) -> float:
    """Return the largest change of the distribution when the step is doubled."""
    points = len(lowest) // 2
    coarse = inverted(groups, masses, points).probabilities
    nodes = slice(0, 2 * points, 2)
    fine, _ = at_nodes(central.probabilities, lowest, highest)
    rough, _ = at_nodes(coarse, lowest[nodes], highest[nodes])
    return float(np.max(np.abs(rough - fine[nodes])))
