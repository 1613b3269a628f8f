"""Sums, stores and polynomials, in the form that compilers and processors make the most of.

XLA for CPU fuses whatever it can into one loop, and makes no vectors of a loop that holds a sum
over rows or a table lookup. `summed` and `stored` are what it does not fuse: a matrix product, and
a branch that it cannot decide. Together they make kernels up to twice as fast.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import jax
import jax.core
import jax.numpy as jnp

Numbers = Any
"""A NumPy or JAX array."""

Made = TypeVar("Made")
"""A pytree of arrays."""


def summed(values: Numbers, axis: int = 0) -> Numbers:
    """Return the sum over an axis of rows, samples being last, as a product with ones.

    Parameters
    ----------
    values
        (..., row, ..., sample), or (row).
    axis
        That of the rows, not negative.
    """
    count = values.shape[axis]
    if not isinstance(values, jax.Array) or count == 0:
        return values.sum(axis)
    before, after = values.shape[:axis], values.shape[axis + 1 :]
    flat = values.reshape(*before, count, -1)
    ones = jnp.ones((1, count), values.dtype)
    return jnp.matmul(ones, flat, precision="highest").reshape(*before, *after)


def polynomial(powers: Sequence[Numbers], x: jax.Array) -> jax.Array:
    """Return a polynomial, its even and its odd powers apart.

    Two short chains of operations that a processor runs side by side, where Horner's is one long
    chain in which each waits for the one before.

    Parameters
    ----------
    powers
        Numbers or (..., 1) arrays of x's type, the highest power first, two at least.
    x
        (..., sample).
    """
    square = x * x
    even, odd = (_horner(powers[first::-2][::-1], square) for first in (-1, -2))
    return even + odd * x


def _horner(powers: Sequence[Numbers], x: jax.Array) -> jax.Array:
    total = powers[0]
    for power in powers[1:]:
        total = total * x + power
    return total


def stored(compute: Callable[[], Made], known: Numbers) -> Made:
    """Return what a function computes, stored once rather than computed again wherever it is used.

    On a CPU alone: on a GPU a branch costs more than it spares.

    Parameters
    ----------
    compute
        Of arrays that it closes over.
    known
        Floats, of which the first decides the branch. It is always taken but for NaN, and then
        everything is NaN.
    """
    again, like, tree = traced_once(
        compute
    )  # for the branch, and for what the other is to look like
    first = jnp.asarray(known).reshape(-1)[0]
    taken = jax.lax.platform_dependent(
        first, cpu=lambda number: number == number, default=lambda _: jnp.bool_(True)
    )
    found = jax.lax.cond(taken, again, lambda: [_unknown(one) for one in like])
    made: Made = jax.tree.unflatten(tree, found)
    return made


def traced_once(
    compute: Callable[..., Any], *arguments: jax.Array
) -> tuple[Callable[..., list[jax.Array]], list[Any], Any]:
    """Return a function of arrays traced once, the shapes of the leaves it gives, and their tree.

    Shapes are no leaves of the tree, for what holds them may take nothing but arrays.
    """
    trees: list[Any] = []

    def leaves(*others: jax.Array) -> list[jax.Array]:
        flat, tree = jax.tree.flatten(compute(*others))
        trees.append(tree)
        return flat

    found = jax.make_jaxpr(leaves)(*arguments)
    return partial(jax.core.eval_jaxpr, found.jaxpr, found.consts), found.out_avals, trees[0]


def _unknown(like: Any) -> jax.Array:
    floating = jnp.issubdtype(like.dtype, jnp.floating)
    return jnp.full(like.shape, jnp.nan if floating else 0, like.dtype)
