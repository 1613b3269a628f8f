"""The few shapes that contracts are made of: bands, limits, gates."""

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

GATE_WIDTH = 0.005
"""Width over which the derivative of a gate looks, as a share of the term's base."""

Note = Callable[..., None]


def silent(step: str, **figures: Any) -> None:
    """Take no note."""
    del step, figures


def labelled(note: Note, side: str, sign: int = 1) -> Note:
    """Return a note that says of which side a step is, its amount with the sign of that side."""

    def record(step: str, **figures: Any) -> None:
        if "amount" in figures:
            figures["amount"] = sign * figures["amount"]
        note(f"{side} {step}", **figures)

    return record


def bands(
    size: Float[Array, "..."],
    edges: Sequence[Float[Array, "..."]],
    rates: Sequence[Float[Array, "..."]],
    starts: Sequence[Float[Array, "..."] | None] | None = None,
    scale: Float[Array, "..."] | float = 1.0,
    note: Note = silent,
) -> Float[Array, "..."]:
    """Sum of the parts of a size that fall in each band, each times the band's rate.

    ``sum_j rate_j x clip(size - edge_j, 0, edge_(j+1) - edge_j)``, the last band without end. A
    band that counts from elsewhere than its edge adds ``rate_j x (edge_j - start_j)`` as soon as it
    is reached: a jump.

    Parameters
    ----------
    size
        A deviation in one direction, not negative.
    edges
        Lower ends of the bands, ascending, in the unit of ``size``.
    rates
        Rate of each band.
    starts
        Where each band counts from; its edge unless given.
    scale
        The base: what one unit of a gate's width is, in the unit of ``size``.
    note
        Called with the figures of each band.
    """
    total = jnp.zeros_like(size)
    for j, (edge, rate) in enumerate(zip(edges, rates, strict=True)):
        part = above(size, edge)
        if j + 1 < len(edges):
            part = jnp.minimum(part, edges[j + 1] - edge)
        start = None if starts is None else starts[j]
        if start is not None:
            part = part + (edge - start) * gate((size - edge) / scale, GATE_WIDTH)
        note("band", beyond=edge, rate=rate, quantity=part, amount=rate * part)
        total = total + rate * part
    return total


def limit(
    amount: Float[Array, "..."], lower: Float[Array, "..."], upper: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Return the amount, no less than ``lower`` and no more than ``upper``."""
    return jnp.minimum(jnp.maximum(amount, lower), upper)


def positive(amount: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the amount where it is above zero, else zero."""
    return jnp.maximum(amount, 0)


@jax.custom_jvp
def above(size: Array, edge: Array) -> Array:
    """Return by how much a size that is not negative goes beyond an edge, else 0.

    Where both are 0 the derivative is that for more of either, as there is no less: 1 by the size,
    0 by the edge. At another edge it is half of that beyond.
    """
    return jnp.maximum(size - edge, 0)


@above.defjvp
def _above_derivative(at: tuple[Array, Array], moved: tuple[Array, Array]) -> tuple[Array, Array]:
    size, edge = at
    beyond = size - edge
    start = (beyond == 0) & (edge <= 0)
    share = 0.5 * ((beyond > 0).astype(beyond.dtype) + (beyond >= 0).astype(beyond.dtype))
    by_size, by_edge = jnp.where(start, 1, share), jnp.where(start, 0, share)
    return jnp.maximum(beyond, 0), by_size * moved[0] - by_edge * moved[1]


def at_most(value: Any, most: Any) -> Any:
    """Return the value, no more than ``most``, of NumPy or JAX.

    Where the two are the same but for rounding, the derivative is that of the value alone: of one
    that stands at its limit, that for less of it.
    """
    if not isinstance(value, jax.Array):
        return np.minimum(value, most)
    return _at_most(value, most)


def at_least(value: Any, least: Any) -> Any:
    """Return the value, no less than ``least``; at it, the derivative is that of the value."""
    if not isinstance(value, jax.Array):
        return np.maximum(value, least)
    return -_at_most(-value, -least)


@jax.custom_jvp
def _at_most(value: Array, most: Array) -> Array:
    return jnp.minimum(value, most)


@_at_most.defjvp
def _at_most_derivative(at: tuple[Array, Array], moved: tuple[Array, Array]) -> tuple[Array, Array]:
    value, most = at
    rounding = 4 * float(np.finfo(value.dtype).eps) * jnp.abs(most)
    return jnp.minimum(value, most), jnp.where(value - most <= rounding, *moved)


def ratio(part: Float[Array, "..."], whole: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return part / whole, and 0 where the whole is 0."""
    there = whole != 0
    return jnp.where(there, part / jnp.where(there, whole, 1), 0)


def _one_sided() -> tuple[float, float, float]:
    """Return a, b, c with moments 1, 0, 0 of 1, |u|, u^2 under (a + b |u| + c u^2) phi(u)."""
    s = math.sqrt(2 / math.pi)
    b = -(s / 2) / (1 - 3 / math.pi)
    c = -(1 + s * b) / 2
    return 1 - s * b - c, b, c


_GATE = _one_sided()

_derivatives = threading.local()


@contextmanager
def gates(widening: float | Array) -> Iterator[list[int]]:
    """Multiply the widths of gates traced inside; what is yielded counts those differentiated.

    Infinitely wide gates have no derivative: they stand still. The factor may be traced, so that
    one compiled program serves all of them.
    """
    before: tuple[float | Array, list[int]] = getattr(_derivatives, "state", (1.0, [0]))
    _derivatives.state = (widening, counted := [0])
    try:
        yield counted
    finally:
        _derivatives.state = before


def gate(excess: Float[Array, "..."], width: float | Array) -> Float[Array, "..."]:
    """Return 1 where ``excess > 0``, else 0.

    Forward it is exact. The pathwise derivative of a step is zero almost everywhere and wrong in
    the mean, so backward it is a kernel of that ``width``, in the unit of ``excess``: an estimate
    of the density at the threshold. What it weighs jumps there too, so the kernel is one whose
    moments vanish on each side: ``(a + b |u| + c u^2) phi(u)`` with those of |u| and u^2 at 0.
    """
    widening: float | Array = getattr(_derivatives, "state", (1.0, [0]))[0]
    return _gate(excess, width * widening)


@jax.custom_jvp
def _gate(excess: Float[Array, "..."], width: float | Array) -> Float[Array, "..."]:
    del width
    return (excess > 0).astype(excess.dtype)


@_gate.defjvp
def _gate_derivative(
    primals: tuple[Array, float | Array], tangents: tuple[Array, object]
) -> tuple[Array, Array]:
    excess, width = primals
    getattr(_derivatives, "state", (1.0, [0]))[1][0] += 1
    away = jnp.abs(excess / width)
    shape = _GATE[0] + _GATE[1] * away + _GATE[2] * away**2
    density = shape * jnp.exp(-(away**2) / 2) / (width * 2.5066282746310002)
    return _gate(excess, width), density * tangents[0]


def reached(excess: Float[Array, "..."], width: float | Array = GATE_WIDTH) -> Float[Array, "..."]:
    """Return 1 where ``excess >= 0``, else 0: a gate that opens at its threshold."""
    return 1 - gate(-excess, width)
