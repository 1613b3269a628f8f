"""Stochastic dominance: whether one distribution of money is better than another for everybody.

One partner's positions under two contracts, on the same samples. First order: every amount is
reached at least as often, so whoever likes more money prefers it. Second order: whoever also shuns
risk does (Hadar and Russell 1969; Rothschild and Stiglitz 1970).
"""

from typing import NamedTuple

import numpy as np

from riskshare.statistics import Estimate, Floats, Replicates

WITHIN = 2.0
"""Standard errors up to which a violation is none that the run can tell from zero."""

WORDS = ("same", "first", "dominated-first", "second", "dominated-second", "none")
"""What one distribution is to the reference."""


class Ranked(NamedTuple):
    """Samples in increasing order, with the share and the sum of all up to each."""

    values: Floats
    """As drawn."""
    ordered: Floats
    share: Floats
    """F at each ordered sample, the last of equal ones."""
    sums: Floats
    """E[X 1(X <= x)] at each."""


class Dominance(NamedTuple):
    """How far a distribution is from dominating the reference, and the reference from it."""

    first: Estimate
    """A probability."""
    second: Estimate
    """Money."""
    dominated_first: Estimate
    dominated_second: Estimate

    @property
    def word(self) -> str:
        """What the distribution is to the reference, one of `WORDS`.

        A dominance holds where its violation is within 2 standard errors of zero.
        """
        first, second, dominated_first, dominated_second = (
            bool(violation.value <= WITHIN * violation.error) for violation in self
        )
        if first and dominated_first:
            return "same"
        if first or dominated_first:
            return "first" if first else "dominated-first"
        if second != dominated_second:
            return "second" if second else "dominated-second"
        return "none"


def ranked(values: Floats, replicates: Replicates) -> Ranked:
    """Return samples in order; those with weights count for them."""
    if replicates.weights is None:
        ordered = np.sort(values)
        weights = np.broadcast_to(1.0 / len(values), values.shape)
    else:
        order = np.argsort(values)
        ordered, weights = values[order], replicates.weights[order] / len(values)
    return Ranked(values, ordered, np.cumsum(weights), np.cumsum(weights * ordered))


def dominance(
    one: Ranked, reference: Ranked, replicates: Replicates, tolerance: float = 0.0
) -> Dominance:
    """Return how far one distribution is from dominating another, both ways and in both orders.

    With F and G their distribution functions, that of X dominates that of Y

    - at first order where ``F(t) <= G(t)`` for all t; the violation is ``sup_t (F(t) - G(t))+``;
    - at second order where ``E[(t - X)+] <= E[(t - Y)+]`` for all t, the integrals of F and G up to
      t; the violation is ``sup_t (E[(t - X)+] - E[(t - Y)+])+``, the most that insuring X down from
      some amount costs more than insuring Y.

    The standard error is that at the place of the supremum. A supremum of noisy differences lies
    above that of the true ones, so small violations are found a little too large.

    Parameters
    ----------
    one, reference
        Samples of the same run, one with the other.
    replicates
        Of both.
    tolerance
        Money that may be the rounding of floats: what would dominate is moved up by it.
    """
    centre = float(reference.ordered[len(reference.ordered) // 2])
    up, down = _moved(one, -centre), _moved(reference, -centre)
    return Dominance(
        *_violations(_moved(up, tolerance), down, replicates),
        *_violations(_moved(down, tolerance), up, replicates),
    )


def _moved(of: Ranked, amount: float) -> Ranked:
    """Return samples that are all larger by an amount."""
    return Ranked(of.values + amount, of.ordered + amount, of.share, of.sums + amount * of.share)


def _violations(one: Ranked, other: Ranked, replicates: Replicates) -> tuple[Estimate, Estimate]:
    """Return how far one is from dominating the other, at first and at second order."""
    gaps = one.share - _up_to(other, one.ordered)[0]  # F rises at samples of one
    at = int(np.argmax(gaps))
    first = Estimate(0.0, 0.0)
    if gaps[at] > 0:
        place = one.ordered[at]
        apart = (one.values <= place) - (other.values <= place).astype(np.float64)
        first = Estimate(float(gaps[at]), replicates.error(apart))
    # the integral of F - G has its peaks where G rises past F: at samples of the other
    places = other.ordered
    share, sums = _up_to(one, places)
    gaps = places * (share - other.share) - (sums - other.sums)
    at = int(np.argmax(gaps))
    if gaps[at] <= 0:
        return first, Estimate(0.0, 0.0)
    place = places[at]
    apart = np.maximum(place - one.values, 0) - np.maximum(place - other.values, 0)
    return first, Estimate(float(gaps[at]), replicates.error(apart))


def _up_to(of: Ranked, places: Floats) -> tuple[Floats, Floats]:
    """Return F and E[X 1(X <= t)] at places t."""
    at = np.searchsorted(of.ordered, places, side="right")
    return np.append(0.0, of.share)[at], np.append(0.0, of.sums)[at]
