"""From frequencies and amounts to the law of their total: grid, roundings, transform, errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, isfinite, sqrt
from typing import Protocol

import numpy as np

from riskshare.laws.compound.aggregate import (
    Aggregate,
    DiscretisationError,
    between,
    quantile_bounds,
)
from riskshare.laws.compound.frequency import AbstractFrequency, Complexes, Floats
from riskshare.laws.compound.grid import Inverted, Spectrum, invert
from riskshare.laws.compound.severity import Layer, Masses, Severity

MOST_BEYOND = 1e-6
"""Largest probability that may lie above a grid."""

_COARSE = 2**13
_MOST_POINTS = 2**24


class Rounded(Protocol):
    """An amount that can be put on a grid: a `Layer`, or a person's annual cost."""

    @property
    def limit(self) -> float:
        """Return the largest amount."""

    def expectation(self) -> float:
        """Return the mean."""

    def second_moment(self, step: float, panels: int) -> float:
        """Return the mean square."""

    def masses(self, step: float, points: int) -> Masses:
        """Return the probabilities at 0, step, ..., points x step."""


@dataclass(frozen=True)
class Group:
    """Equal members of a total: each has so many amounts, independent of everybody's.

    Parameters
    ----------
    amount
        The law of one amount.
    frequency
        How many of them one member has.
    members
        Number of members; a weight where it stands for members who differ (`quadrature`).
    """

    amount: Rounded
    frequency: AbstractFrequency
    members: float = 1.0


def aggregate(
    frequency: AbstractFrequency,
    severity: Severity,
    *,
    step: float | None = None,
    points: int = 2**16,
    attachment: float = 0.0,
    limit: float = inf,
) -> Aggregate:
    """Return the law of S = Y_1 + ... + Y_N, with Y = min((X - attachment)+, limit).

    ``P(S = .)`` has the transform ``G_N(transform of Y)``, inverted by FFT. ``E[S] = E[N] E[Y]``
    and ``Var S = E[N] Var Y + Var N E[Y]^2`` are worked out from the laws, not from the grid.

    Parameters
    ----------
    frequency
        Law of the number N.
    severity
        Law of one amount X, zero or more, with a finite mean in the layer.
    step
        Step of the grid in money. Left out, it is the smallest for which the points hold the
        total, made to divide a finite limit; for `Discrete` amounts the step they share.
    points
        Nodes of the grid; powers of two are fast.
    attachment, limit
        The layer of each amount (specific stop-loss, truncation).

    Returns
    -------
    Aggregate

    Raises
    ------
    ValueError
        If more than `MOST_BEYOND` of the probability lies above the grid, or the smallest step
        that holds the total is too coarse for the amounts; the message says what would do.

    Examples
    --------
    >>> from riskshare.laws.marginal import Gamma
    >>> total = aggregate(Poisson(5), Gamma(mean=100.0, cv=1.0))
    >>> round(total.mean), round(total.sd), bool(total.error.distribution < 0.01)
    (500, 316, True)
    """
    layer = Layer(severity, attachment, limit)
    shared = _shared_step(severity, attachment, limit) if step is None else None
    return total([Group(layer, frequency)], step, points, shared)


def total(
    groups: Sequence[Group], step: float | None, points: int, shared: float | None = None
) -> Aggregate:
    """Return the law of the sum over all members of all groups.

    Parameters
    ----------
    groups
        Members who are alike.
    step, points
        The grid; see `aggregate`.
    shared
        A step whose multiples all amounts are, used where the points hold it.
    """
    if points < 16 or int(points) != points:
        raise ValueError(f"points is {points}; it must be a whole number, at least 16")
    if step is not None and not 0 < step < inf:
        raise ValueError(f"step is {step}; it must be positive and finite")
    mean = sum(g.members * g.frequency.expectation() * g.amount.expectation() for g in groups)
    if mean == 0:
        raise ValueError("the total is always zero: no claims are expected, or the layer is empty")
    chosen = step
    if step is None:
        reach = _reach(groups, mean)
        chosen = shared if shared and shared * points >= reach else None
        if chosen is None:
            chosen = _fitting_step(groups, reach, points)
    made = _on_grid(groups, mean, float(chosen or 0), points)
    if made.error.beyond > MOST_BEYOND:
        raise ValueError(_too_short(groups, mean, made, points))
    if step is None and made.error.distribution > 1e-9:
        _refuse_coarse(groups, made, points)
    return made


def _on_grid(groups: Sequence[Group], mean: float, step: float, points: int) -> Aggregate:
    amounts = {id(g.amount): g.amount for g in groups}
    masses = {key: amount.masses(step, points) for key, amount in amounts.items()}
    central, down, up = (
        _inverted(groups, {key: m[kind] for key, m in masses.items()}, points) for kind in range(3)
    )
    highest = np.minimum(np.cumsum(down.probabilities) + down.error, 1.0)
    lowest = np.maximum(np.cumsum(up.probabilities) - up.error, 0.0)
    claims = sum(g.members * g.frequency.expectation() for g in groups)
    gap = step * (_mean_steps(groups, masses, 2) - _mean_steps(groups, masses, 1))
    distribution = float(np.max(highest - lowest))
    halved = {key: doubled(m.preserving) for key, m in masses.items()}
    error = DiscretisationError(
        distribution=distribution,
        estimate=min(_change(groups, central, halved, lowest, highest), distribution),
        stop_loss=_stop_loss_error(groups, claims, step, gap) + mean * central.error,
        quantiles=quantile_bounds(step, lowest, highest),
        beyond=central.beyond,
    )
    return Aggregate(
        step, central.probabilities, lowest, highest, mean, _sd(groups, step, points), error
    )


def _inverted(groups: Sequence[Group], masses: dict[int, Floats], points: int) -> Inverted:
    """Return the total's probabilities, given those of each amount."""

    def generating(spectrum: Spectrum) -> Complexes:
        spectra = {key: spectrum(values) for key, values in masses.items()}
        product: Complexes = np.ones(1, np.complex128)
        for group in groups:
            spectrum_of = spectra[id(group.amount)]
            product = product * group.frequency.generating(spectrum_of, group.members)
        return product

    return invert(generating, _mean_in_steps(groups, masses), points)


def _mean_in_steps(groups: Sequence[Group], masses: dict[int, Floats]) -> float:
    each = {key: float(np.arange(float(len(values))) @ values) for key, values in masses.items()}
    return sum(g.members * g.frequency.expectation() * each[id(g.amount)] for g in groups)


def _mean_steps(groups: Sequence[Group], masses: dict[int, Masses], kind: int) -> float:
    return _mean_in_steps(groups, {key: m[kind] for key, m in masses.items()})


def _sd(groups: Sequence[Group], step: float, points: int) -> float:
    """Return sqrt of the sum of E[N] Var Y + Var N E[Y]^2."""
    squares = {id(g.amount): g.amount.second_moment(step, points) for g in groups}
    variance = 0.0
    for group in groups:
        mean, square = group.amount.expectation(), squares[id(group.amount)]
        number, spread = group.frequency.expectation(), group.frequency.variance()
        # No claims at all add nothing, even of infinite variance.
        own = number * (square - mean**2) if number else 0.0
        variance += group.members * (own + spread * mean**2)
    return sqrt(max(variance, 0.0))


def _stop_loss_error(groups: Sequence[Group], claims: float, step: float, gap: float) -> float:
    """Return the lesser of two bounds on the error of E[(S - d)+].

    The means of the two roundings differ by `gap`, so no premium moves by more. Rounding that
    keeps each amount's mean adds at most ``E[N] step^2 / 4`` to the variance given the amounts,
    and half the square root of that to a premium (Scarf 1958).
    """
    if all(isinstance(g.amount, Layer) for g in groups):
        return min(gap, step * sqrt(claims) / 4)
    return gap


def doubled(masses: Floats) -> Floats:
    """Return masses at every second node, each odd node's going half to both sides."""
    even = masses[::2].copy()
    odd = masses[1::2] / 2
    even[: len(odd)] += odd
    even[1 : len(odd) + 1] += odd[: len(even) - 1]
    return even


def _change(
    groups: Sequence[Group],
    central: Inverted,
    masses: dict[int, Floats],
    lowest: Floats,
    highest: Floats,
) -> float:
    """Return the largest change of the distribution when the step is doubled."""
    points = len(lowest) // 2
    coarse = _inverted(groups, masses, points).probabilities
    nodes = slice(0, 2 * points, 2)
    fine = between(central.probabilities, lowest, highest)[nodes]
    return float(np.max(np.abs(between(coarse, lowest[nodes], highest[nodes]) - fine)))


def _reach(groups: Sequence[Group], mean: float) -> float:
    """Return an amount above which the total hardly lies: 1e-10, or 1e-6 for heavy tails."""
    step = _reach_guess(groups, mean) / _COARSE
    amounts = {id(g.amount): g.amount for g in groups}
    for _ in range(80):
        masses = {key: a.masses(step, _COARSE).preserving for key, a in amounts.items()}
        made = _inverted(groups, masses, _COARSE)
        if made.beyond <= 1e-9:
            break
        step *= 2
    above = made.beyond + np.cumsum(made.probabilities[::-1])[::-1]
    far, near = (int(np.searchsorted(-above, -level)) for level in (1e-9, MOST_BEYOND / 4))
    return step * (min(far, 2 * near) + 2)


def _reach_guess(groups: Sequence[Group], mean: float) -> float:
    sd = _sd(groups, mean, 256)
    return mean + 8 * sd if isfinite(sd) else 50 * mean


def _fitting_step(groups: Sequence[Group], reach: float, points: int) -> float:
    """Return the smallest step that reaches, made to divide the largest amount."""
    step = reach / points
    largest = max(g.amount.limit for g in groups)
    if largest < step or not isfinite(largest):
        return step
    return largest / int(largest / step)


def _shared_step(severity: Severity, attachment: float, limit: float) -> float | None:
    """Return the largest step of which a discrete law's values in the layer are multiples."""
    values = getattr(severity, "values", None)
    if getattr(severity, "kind", "") != "discrete" or values is None:
        return None
    held = np.minimum(np.maximum(np.asarray(values, np.float64) - attachment, 0), limit)
    rest, tolerance = 0.0, 1e-9 * float(held.max(initial=0.0))
    for value in held[held > tolerance]:
        larger, smaller = max(rest, value), min(rest, value)
        while smaller > tolerance:
            larger, smaller = smaller, larger % smaller
            # A remainder of a whole divisor less rounding is none.
            smaller = 0.0 if larger - smaller <= tolerance else smaller
        rest = larger
    return float(rest) if rest > 1e-6 * float(held.max(initial=0.0)) else None


def _too_short(groups: Sequence[Group], mean: float, made: Aggregate, points: int) -> str:
    reach = _reach(groups, mean)
    return (
        f"step x points is {made.step * points:g}, above which the total lies with probability "
        f"{made.error.beyond:.2g}; a step of {reach / points:.3g} would hold it, or "
        f"{_power_of_two(reach / made.step):,} points of this step"
    )


def _refuse_coarse(groups: Sequence[Group], made: Aggregate, points: int) -> None:
    """Refuse a step whose rounding could add more than 1 % to the variance of the total."""
    claims = sum(g.members * g.frequency.expectation() for g in groups)
    spread = made.sd
    if not isfinite(spread):
        spread = sqrt(float(made.probabilities @ (made.grid - made.mean) ** 2))
    added = claims * made.step**2 / 4 / spread**2
    if added <= 0.01:
        return
    needed = _power_of_two(points * sqrt(added / 0.01))
    remedy = f"{needed:,} points would do"
    if needed > _MOST_POINTS:
        remedy = "so many claims are near their standardised sum: see sum_table"
    raise ValueError(
        f"{points:,} points hold the total only at a step of {made.step:.3g}, too coarse for its "
        f"amounts (rounding adds up to {added:.0%} to the variance); {remedy}"
    )


def _power_of_two(number: float) -> int:
    return int(2 ** ceil(np.log2(number)))


def independent_sum(totals: Sequence[Aggregate]) -> Aggregate:
    """Return the law of the sum of independent totals that share a step.

    Bounds and errors carry over: the bounds are those of the sums of the bounds.

    Parameters
    ----------
    totals
        At least one; make them with one ``step``.

    Raises
    ------
    ValueError
        If there are none, or their steps differ.
    """
    if not totals:
        raise ValueError("there are no totals to add up")
    step = totals[0].step
    if any(abs(t.step / step - 1) > 1e-12 for t in totals):
        steps = ", ".join(f"{t.step:g}" for t in totals)
        raise ValueError(f"steps differ ({steps}); make every total with the same step")
    points = _power_of_two(sum(len(t.probabilities) for t in totals))
    kinds = [
        [t.probabilities for t in totals],
        [np.diff(t.highest, prepend=0.0) for t in totals],
        [np.diff(t.lowest, prepend=0.0) for t in totals],
    ]
    central, down, up = (_convolved(parts, points) for parts in kinds)
    beyond = min(sum(t.error.beyond for t in totals), 1.0)
    # Bounds that fall short by what lies beyond them stay bounds.
    highest = np.minimum(np.cumsum(down) + beyond + 1e-12, 1.0)
    lowest = np.maximum(np.cumsum(up) - 1e-12, 0.0)
    held = int(np.searchsorted(np.cumsum(central), np.sum(central) - 1e-12)) + 1
    last = max(held, max(len(t.probabilities) for t in totals))
    central, lowest, highest = central[:last], lowest[:last], highest[:last]
    distribution = float(np.max(highest - lowest))
    error = DiscretisationError(
        distribution=distribution,
        estimate=min(sum(t.error.estimate for t in totals), distribution),
        stop_loss=sum(t.error.stop_loss for t in totals),
        quantiles=quantile_bounds(step, lowest, highest),
        beyond=beyond,
    )
    spread = sqrt(sum(t.sd**2 for t in totals))
    mean = sum(t.mean for t in totals)
    return Aggregate(step, central, lowest, highest, mean, spread, error)


def _convolved(parts: Sequence[Floats], points: int) -> Floats:
    product = np.ones(points // 2 + 1, np.complex128)
    for part in parts:
        product *= np.fft.rfft(part, points)
    return np.maximum(np.fft.irfft(product, points), 0.0)
