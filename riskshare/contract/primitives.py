"""The few shapes that contracts are made of: bands, limits, gates."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float


def bands(
    size: Float[Array, "..."],
    edges: list[Float[Array, "..."]],
    rates: list[Float[Array, "..."]],
) -> Float[Array, "..."]:
    """Sum of the parts of a size that fall in each band, each times the band's rate.

    ``sum_j rate_j x clip(size - edge_j, 0, edge_(j+1) - edge_j)``, the last band without end.

    Parameters
    ----------
    size
        A deviation in one direction, not negative.
    edges
        Lower ends of the bands, ascending, in the unit of ``size``.
    rates
        Rate of each band.
    """
    total = jnp.zeros_like(size)
    for j, (edge, rate) in enumerate(zip(edges, rates, strict=True)):
        part = jnp.maximum(size - edge, 0)
        if j + 1 < len(edges):
            part = jnp.minimum(part, edges[j + 1] - edge)
        total = total + rate * part
    return total


def limit(
    amount: Float[Array, "..."], lower: Float[Array, "..."], upper: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Return the amount, no less than ``lower`` and no more than ``upper``."""
    return jnp.minimum(jnp.maximum(amount, lower), upper)


@jax.custom_jvp
def gate(excess: Float[Array, "..."], width: float | Array) -> Float[Array, "..."]:
    """Return 1 where ``excess > 0``, else 0.

    Forward it is exact. The pathwise derivative of a step is zero almost everywhere and wrong in
    the mean, so backward it is a normal density of standard deviation ``width``, in the unit of
    ``excess``: a kernel estimate of the density at the threshold.
    """
    del width
    return (excess > 0).astype(excess.dtype)


@gate.defjvp
def _gate_derivative(
    primals: tuple[Array, float], tangents: tuple[Array, object]
) -> tuple[Array, Array]:
    excess, width = primals
    density = jnp.exp(-0.5 * (excess / width) ** 2) / (width * 2.5066282746310002)
    return gate(excess, width), density * tangents[0]
