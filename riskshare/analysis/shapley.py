"""Shapley values of games whose values are arrays: the average of what each player adds.

Player i of n gets, over all coalitions S without it,

    phi_i = sum over S of |S|! (n - |S| - 1)! / n! (v(S with i) - v(S)),

what it adds to those before it, averaged over all orders in which players may come (Shapley 1953).
The phi_i sum to v(all) - v(none), sample by sample.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, combinations
from math import factorial

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]
Value = tuple[Floats, ...]
"""Arrays that end in (replicate, sample); of what is one number for a replicate, one sample."""

Play = Callable[[Iterable[Masks]], Iterator[Value]]
"""Yields the values of coalitions in their order; see `riskshare.analysis.coalitions`."""


@dataclass(frozen=True)
class Shares:
    """What each player is given, the player first, and what it would do alone."""

    shapley: Value
    """They sum over players to v(all) - v(none)."""
    alone: Value
    """v(i) - v(none)."""


def shapley(count: int, play: Play, none: Value, everyone: Value) -> Shares:
    """Return exact Shapley values, from all 2^n coalitions.

    Parameters
    ----------
    count
        How many players there are, at least one.
    play
        Plays coalitions of some, not of none and not of all.
    none, everyone
        v(none) and v(all).
    """
    masks = list(_coalitions(count))
    outside = [np.zeros_like(full) for full in everyone]
    inside = [np.zeros((count, *full.shape)) for full in everyone]
    alone = [np.zeros((count, *full.shape), np.float32) for full in everyone]
    # values are counted above v(none), whose own are then nothing
    values = zip(masks, chain(play(masks[:-1]), [everyone]), strict=True)
    for mask, value in values:
        size = int(mask.sum())
        gains = factorial(size - 1) * factorial(count - size) / factorial(count)
        loses = _share_outside(size, count)
        players = np.flatnonzero(mask)
        for part, one in enumerate(value):
            above = one - none[part]
            outside[part] += loses * above
            for player in players:
                inside[part][player] += (gains + loses) * above
            if size == 1:
                alone[part][players[0]] = above
    shapley_values = (own - total for own, total in zip(inside, outside, strict=True))
    return Shares(tuple(shapley_values), tuple(alone))


def sampled(
    count: int,
    play: Play,
    none: Value,
    everyone: Value,
    *,
    replicates: int,
    permutations: int,
    seed: int,
) -> Shares:
    """Return Shapley values estimated from random orders, each replicate having its own.

    Orders come in pairs, one the reverse of the other (Castro et al. 2009; antithetic: Lomeli et
    al. 2019). What is left of chance in the orders is then a part of the error between replicates.
    Values still sum to v(all) - v(none) in every sample: each order does.

    Parameters
    ----------
    permutations
        Orders of each replicate, an even number.
    seed
        Of the orders.
    """
    generator = np.random.default_rng([seed, count])
    half = [
        np.stack([generator.permutation(count) for _ in range(replicates)])
        for _ in range(permutations // 2)
    ]
    orders = [order for drawn in half for order in (drawn, drawn[:, ::-1])]
    singles = [np.eye(count, dtype=bool)[[player]] for player in range(count)]
    steps = [_first(order, size) for order in orders for size in range(1, count)]
    values = play([*singles, *steps])
    alone = [np.zeros((count, *full.shape), np.float32) for full in everyone]
    for player in range(count):
        for part, one in enumerate(next(values)):
            alone[part][player] = one - none[part]
    found = [np.zeros((count, *full.shape)) for full in everyone]
    for order in orders:
        before = tuple(np.broadcast_to(a, b.shape) for a, b in zip(none, everyone, strict=True))
        for size in range(1, count + 1):
            after = next(values) if size < count else everyone
            for part, (old, new) in enumerate(zip(before, after, strict=True)):
                step = (new - old) / len(orders)
                for replicate, player in enumerate(order[:, size - 1]):
                    found[part][player, ..., replicate, :] += step[..., replicate, :]
            before = after
    return Shares(tuple(found), tuple(alone))


def _coalitions(count: int) -> Iterator[Masks]:
    """Yield all coalitions but that of none, (1, player), that of all last."""
    for size in range(1, count + 1):
        for players in combinations(range(count), size):
            mask = np.zeros((1, count), bool)
            mask[0, list(players)] = True
            yield mask


def _share_outside(size: int, count: int) -> float:
    if size == count:
        return 0.0
    return factorial(size) * factorial(count - size - 1) / factorial(count)


def _first(order: NDArray[np.intp], size: int) -> Masks:
    """Return who is among the first so many of each order, (replicate, player)."""
    mask = np.zeros(order.shape, bool)
    np.put_along_axis(mask, order[:, :size], values=True, axis=1)
    return mask
