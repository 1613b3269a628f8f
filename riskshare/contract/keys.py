"""Allocation keys: who gets which share. Every key sums to one over partners."""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from riskshare.contract.primitives import ratio
from riskshare.contract.vectors import summed
from riskshare.parameters import Given

Numbers = NDArray[np.float64]


def proportional(weights: Any) -> Any:
    """Return weights as shares over the first axis: ``w_i = c_i / sum c``; none where all are 0.

    The weights may be NumPy or JAX arrays, (partner) or (partner, sample).
    """
    xp = weights.__array_namespace__()
    total = summed(weights)
    there = total > 0
    return xp.where(there, weights / xp.where(there, total, 1), 0.0)


def portions(total: Array, key: Array, pennies: Callable[[Array], Array]) -> Array:
    """Return a total shared by a key in whole smallest units: (partner, sample).

    What rounding leaves goes to the largest share, so that the portions sum to the total.

    Parameters
    ----------
    total
        (sample), money.
    key
        (partner, 1) or (partner, sample), summing to one, or to nothing where nothing is shared.
    pennies
        Rounds money to the smallest unit (`riskshare.contract.term.YearView.pennies`).
    """
    whole = jnp.where(summed(key) > 0, pennies(total), 0)
    parts = pennies(key * whole)
    rows = jnp.arange(len(key))[:, None]
    largest = (rows == jnp.argmax(key, axis=0)).astype(parts.dtype)
    return parts + largest * (whole - summed(parts))


def among(weights: Any, members: Any) -> Any:
    """Return shares in proportion to weights, equal over the members where all weights are 0."""
    weighted = weights * members
    there = summed(weighted) > 0
    return proportional(jnp.where(there, weighted, members * jnp.ones_like(weighted)))


def within(amounts: Array, shares: Array, maximum: Array) -> Array:
    """Return amounts no larger than each partner's maximum; what is above goes to the others.

    What a partner cannot take is shared among those with room, in proportion to their shares,
    until it is placed or nobody has room; the sum then falls short of what was to be shared.

    Parameters
    ----------
    amounts
        (partner, sample), of one sign in each sample.
    shares
        (partner, sample): the key.
    maximum
        (partner, 1), not negative.
    """
    sign = jnp.where(summed(amounts) < 0, -1, 1).astype(amounts.dtype)
    held = amounts * sign
    for _ in range(len(amounts)):
        over = summed(jnp.maximum(held - maximum, 0))
        held = jnp.minimum(held, maximum)
        room = jnp.where(held < maximum, shares, 0)
        held = held + over * ratio(room, summed(room))
    return jnp.minimum(held, maximum) * sign


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
    return influence + residual_key[:, None] * (1 - summed(influence))


def names_partners(given: Given, partners: Mapping[str, str]) -> bool:
    """Return whether a given value says for which partners it holds."""
    if isinstance(given, Mapping):
        inner = all(names_partners(item, partners) for item in given.values())
        return bool(set(given) & set(partners)) or inner
    return isinstance(given, tuple) and all(names_partners(item, partners) for item in given)
