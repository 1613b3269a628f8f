"""From frequencies and amounts to the law of their total."""

from collections.abc import Sequence
from math import ceil, inf, log2, sqrt

import numpy as np

from riskshare.laws.compound.aggregate import Aggregate, DiscretisationError, quantile_bounds
from riskshare.laws.compound.bounds import change, distribution_bounds, stop_loss_error
from riskshare.laws.compound.frequency import AbstractFrequency, Floats
from riskshare.laws.compound.portfolio import (
    Group,
    doubled,
    expectation,
    inverted,
    mean_in_steps,
    standard_deviation,
)
from riskshare.laws.compound.reach import (
    MOST_BEYOND,
    fitting_step,
    reach,
    shared_step,
    too_coarse,
    too_short,
)
from riskshare.laws.compound.severity import Layer, Severity


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
    >>> from riskshare.laws.compound import Poisson
    >>> from riskshare.laws.marginal import Gamma
    >>> total = aggregate(Poisson(5), Gamma(mean=100.0, cv=1.0))
    >>> round(total.mean), round(total.sd), bool(total.error.distribution < 0.01)
    (500, 316, True)
    """
    layer = Layer(severity, attachment, limit)
    shared = shared_step(severity, attachment, limit) if step is None else None
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
    mean = expectation(groups)
    if mean == 0:
        raise ValueError("the total is always zero: no claims are expected, or the layer is empty")
    if step is not None:
        made = _on_grid(groups, mean, step, points)
    else:
        reached = reach(groups, mean)
        held = shared is not None and shared * points >= reached
        chosen = shared if shared and held else fitting_step(groups, reached, points)
        made = _on_grid(groups, mean, chosen, points)
        coarse = None if made.error.distribution < 1e-9 else too_coarse(groups, made, points)
        if coarse:
            raise ValueError(coarse)
    if made.error.beyond > MOST_BEYOND:
        raise ValueError(too_short(groups, made, points))
    return made


def _on_grid(groups: Sequence[Group], mean: float, step: float, points: int) -> Aggregate:
    amounts = {id(g.amount): g.amount for g in groups}
    masses = {key: amount.masses(step, points) for key, amount in amounts.items()}
    kinds = [{key: m[kind] for key, m in masses.items()} for kind in range(3)]
    central, down, up = (inverted(groups, kind, points) for kind in kinds)
    lowest, highest = distribution_bounds(groups, central, down, up)
    gap = step * (mean_in_steps(groups, kinds[2]) - mean_in_steps(groups, kinds[1]))
    distribution = float(np.max(highest - lowest))
    halved = {key: doubled(m.preserving) for key, m in masses.items()}
    error = DiscretisationError(
        distribution=distribution,
        estimate=min(change(groups, central, halved, lowest, highest), distribution),
        stop_loss=stop_loss_error(groups, step, gap) + mean * central.error,
        quantiles=quantile_bounds(step, lowest, highest),
        beyond=central.beyond,
    )
    spread = standard_deviation(groups, step, points)
    return Aggregate(step, central.probabilities, lowest, highest, mean, spread, error)


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
    points = 2 ** ceil(log2(sum(len(t.probabilities) for t in totals)))
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
