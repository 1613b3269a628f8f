"""Which grid holds a total: how far it reaches, and the step its points then leave."""

from collections.abc import Sequence
from math import ceil, isfinite, log, log2, sqrt

import numpy as np

from riskshare.laws.compound.aggregate import Aggregate
from riskshare.laws.compound.portfolio import Group, expected_claims, inverted, standard_deviation
from riskshare.laws.compound.severity import Severity
from riskshare.laws.marginal import Discrete

MOST_BEYOND = 1e-6
"""Largest probability that may lie above a grid."""

_COARSE = 2**13
_MOST_POINTS = 2**24


def reach(groups: Sequence[Group], mean: float) -> float:
    """Return an amount above which the total hardly lies.

    Above it lies a billionth of the probability that there is any cost. For heavy tails, where
    that is more than twice as far as a quarter of `MOST_BEYOND`, it is twice the latter: the law
    on the grid does not suffer from what lies beyond.
    """
    step = _guess(groups, mean) / _COARSE
    amounts = {id(g.amount): g.amount for g in groups}
    for _ in range(80):
        masses = {key: a.masses(step, _COARSE) for key, a in amounts.items()}
        made = inverted(groups, {key: m.preserving for key, m in masses.items()}, _COARSE)
        some = _any(groups, {key: float(m.up[0]) for key, m in masses.items()})
        far = max(1e-9 * some, 1e-11)
        if made.beyond <= far:
            break
        step *= 2
    above = made.beyond + np.cumsum(made.probabilities[::-1])[::-1]
    levels = far, max(MOST_BEYOND / 4 * some, far)
    furthest, near = (int(np.searchsorted(-above, -level)) for level in levels)
    return float(step * (min(furthest, 2 * near) + 2))


def _any(groups: Sequence[Group], zero: dict[int, float]) -> float:
    """Return the probability of any cost, from that of none in each amount."""
    none = 1.0
    for group in groups:
        at = np.array([zero[id(group.amount)]], np.complex128)
        none *= float(group.frequency.generating(at, group.members)[0].real)
    return 1 - none


def _guess(groups: Sequence[Group], mean: float) -> float:
    sd = standard_deviation(groups, mean, 256)
    return mean + 8 * sd if isfinite(sd) else 50 * mean


def fitting_step(groups: Sequence[Group], reached: float, points: int) -> float:
    """Return the smallest step that reaches, made to divide the largest amount."""
    step = reached / points
    largest = max(g.amount.limit for g in groups)
    if largest < step or not isfinite(largest):
        return step
    return largest / int(largest / step)


def shared_step(severity: Severity, attachment: float, limit: float) -> float | None:
    """Return the largest step of which a discrete law's values in the layer are multiples."""
    if not isinstance(severity, Discrete):
        return None
    held = np.clip(np.asarray(severity.values, np.float64) - attachment, 0, limit)
    rest, tolerance = 0.0, 1e-9 * float(held.max(initial=0.0))
    for value in held[held > tolerance]:
        larger, smaller = max(rest, value), min(rest, value)
        while smaller > tolerance:
            larger, smaller = smaller, larger % smaller
            # A remainder of a whole divisor less rounding is none.
            smaller = 0.0 if larger - smaller <= tolerance else smaller
        rest = larger
    return float(rest) if rest > 1e-6 * float(held.max(initial=0.0)) else None


def too_short(groups: Sequence[Group], made: Aggregate, points: int) -> str:
    """Return what to say of a grid above which too much lies."""
    reached = reach(groups, made.mean)
    return (
        f"step x points is {made.step * points:g}, above which the total lies with probability "
        f"{made.error.beyond:.2g}; a step of {reached / points:.3g} would hold it, or "
        f"{_power_of_two(reached / made.step):,} points of this step"
    )


def too_coarse(groups: Sequence[Group], made: Aggregate, points: int) -> str | None:
    """Return what to say of a step too coarse for its amounts; None where it is not.

    It is too coarse where rounding, which adds at most ``E[N] step^2 / 4``, could add more than
    1 % to the variance of the total; where that is infinite, to the mean square of an amount as
    large as the mean of those above zero.
    """
    claims = expected_claims(groups)
    positive = -log(made.lowest[0]) if made.lowest[0] > 1e-300 else claims
    typical = made.mean / min(positive, claims)
    scale = made.sd if isfinite(made.sd) else typical * sqrt(claims)
    added = claims * made.step**2 / 4 / scale**2
    if added <= 0.01:
        return None
    needed = _power_of_two(points * sqrt(added / 0.01))
    remedy = f"{needed:,} points would do"
    if needed > _MOST_POINTS:
        remedy = (
            "no grid of bearable size would do: for so many claims take sum_table, for so heavy a "
            "tail a limit"
        )
    return (
        f"{points:,} points hold the total only at a step of {made.step:.3g}, too coarse for "
        f"amounts of {typical:.3g}; {remedy}"
    )


def _power_of_two(number: float) -> int:
    return int(2 ** ceil(log2(number)))
