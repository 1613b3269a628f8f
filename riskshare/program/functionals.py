"""Statistics as functionals of a distribution: what a sample counts for in their derivatives.

The derivative of a statistic s of positions x(theta) is a weighted sum over samples of theirs,
``ds = sum_i w(x_i) dx_i``, with weights that follow from where x_i lies (Hong 2009; Hong and Liu
2009; Glasserman 1991):

    mean                    w = 1 / n
    standard deviation      w = (x - m) / (n s)
    quantile q              w = K(x - q) / sum K(x - q), that is E[dx | x = q]; at an atom 1(x = q)
    its slope along q       w = u phi(u), for where q itself is not known; at an atom signs, +1 or
                            -1 at random: what sum they give tells whether all of it moves alike
    tail below q            w = 1(x < q), summed apart from those at q
    chance below t          w = -K(x - t) / n, and +K for what moves t

K is a normal kernel of the fourth order. The same with one that is wider, ``near_wide`` and
``deficit_wide``, tells how much its width matters. Both end at `REACH` widths of the narrow one, so
that most samples count for nothing: `counted` leaves them out.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

KINDS = (
    "mean",
    "spread",
    "near",
    "near_wide",
    "tilt",
    "below",
    "deficit",
    "deficit_wide",
)
"""Weights that there are; those of a quantile and a tail have a level."""

EVERYWHERE = ("mean", "spread")
"""Weights that nearly every sample has; the others are 0 but about a quantile, a tail, a limit."""

WIDER = 2**0.5
"""Width of the wide kernels, in those of the others."""

REACH = 4.5
"""Narrow widths at which kernels end, 3.2 of the wide one."""

FEW = 640
"""Samples that count which are taken together: about one 5 % quantile there are as many in a
block."""

Kind = tuple[str, int]
"""One of `KINDS`, and the place of its level where it has one."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Functionals:
    """Which weights are wanted of which series, and where its distribution is looked at."""

    weights: Any
    """(series, row): series are sums of positions, rows of all years together."""
    mean: Any
    """(series)"""
    spread: Any
    """(series): standard deviation, above 0."""
    quantile: Any
    """(series, level)"""
    width: Any
    """(series, level): h of the kernel about a quantile."""
    atom: Any
    """(series, level): whether many samples are at the quantile, and nearness is to be at it."""
    grain: Any
    """(series): how far apart rounding sets samples that are one value but for it; 0 of others."""
    limit_width: Any
    """(series): h of the kernel about the limit of a deficit."""
    kinds: tuple[Kind, ...] = field(metadata={"static": True})
    """The weights wanted of every series."""


def series_of(functionals: Functionals, position: Array, target: Array) -> tuple[Array, Array]:
    """Return series and their targets: (series, sample) and (series)."""
    rows = position.reshape(-1, position.shape[-1])
    limits = jnp.broadcast_to(target, (*position.shape[:-1], 1)).reshape(-1, 1)
    weights = functionals.weights
    values = jnp.matmul(weights, rows, precision="highest")
    limit = jnp.matmul(weights, limits, precision="highest")
    return values, limit[:, 0]


def weighed(functionals: Functionals, values: Array, limit: Array) -> tuple[Array, Array]:
    """Return what each sample counts for, (kind, series, sample), and what a limit does."""
    gap = values - jnp.asarray(functionals.mean)[:, None]
    size = jnp.asarray(functionals.spread)[:, None]
    rows: list[Array] = []
    limits: list[Array] = []
    for name, place in functionals.kinds:
        moved = jnp.zeros_like(limit)
        if name == "mean":
            row = jnp.ones_like(values)
        elif name == "spread":
            row = gap / size
        elif name in ("deficit", "deficit_wide"):
            width = jnp.asarray(functionals.limit_width)[:, None]
            row = -_ended(values - limit[:, None], width, _wider(name))
            moved = -row.sum(-1)
        else:
            away = values - jnp.asarray(functionals.quantile)[:, place, None]
            width = jnp.asarray(functionals.width)[:, place, None]
            quantile = jnp.asarray(functionals.quantile)[:, place]
            grain = jnp.asarray(functionals.grain)
            reach = reach_of(size[:, 0], quantile, grain)[:, None]
            at = (jnp.abs(away) <= reach).astype(away.dtype)
            atom = jnp.asarray(functionals.atom)[:, place, None]
            if name in ("near", "near_wide"):
                row = jnp.where(atom, at, _ended(away, width, _wider(name)))
            elif name == "tilt":
                tilt = away / width * jnp.exp(-((away / width) ** 2) / 2)
                tilt = jnp.where(jnp.abs(away) <= REACH * width, tilt, 0)
                row = jnp.where(atom, at * _signs(at), tilt)
            else:
                row = (away < -reach).astype(away.dtype)
        rows.append(row)
        limits.append(moved)
    return jnp.stack(rows), jnp.stack(limits)


ATOM = 1e-5
"""How near to a quantile, in standard deviations, samples lie that are taken to be at it: wider
than float32 rounds, far narrower than samples of a smooth distribution lie apart in number."""


def _wider(name: str) -> float:
    return WIDER if name.endswith("_wide") else 1.0


def _ended(away: Array, width: Array, times: float) -> Array:
    """Return a kernel of so many widths that is 0 beyond the reach of one.

    It is ``(a - b u^2) phi(u) / h`` at u = away / h. Within its end it integrates to 1 and, with
    u^2, to 0: the bias of what it estimates falls with h^4, where that of a density would fall with
    h^2 (Silverman 1986, 3.6, whose a and b are 3/2 and 1/2, without an end).
    """
    end, wide = REACH / times, width * times
    edge = 2 * end * math.exp(-(end**2) / 2) / (2 * math.pi) ** 0.5
    mass = math.erf(end / 2**0.5)
    second = mass - edge
    fourth = 3 * second - edge * end**2
    scale = 1 / ((fourth * mass - second**2) * (2 * math.pi) ** 0.5)
    squares = (away / wide) ** 2
    whole = (fourth - second * squares) * jnp.exp(-squares / 2) * scale / wide
    return jnp.where(jnp.abs(away) <= REACH * width, whole, 0)


ROUNDING = 2.5e-7
"""The same as a share of the quantile: sums over years in another order round otherwise."""


def _signs(like: Array) -> Array:
    """Return a sign for each sample, at random but always the same."""
    signs = np.random.default_rng(0).choice([-1.0, 1.0], like.shape[-1])
    return jnp.asarray(signs, like.dtype)


def reach_of(spread: Any, value: Any, grain: Any) -> Any:
    """Return how near to a value samples lie that are taken to be at it."""
    return ATOM * spread + ROUNDING * abs(value) + grain


Drawn = TypeVar("Drawn")
"""A pytree of arrays whose last axis is the sample."""


def counted(
    compute: Callable[[Drawn, Array, Array], Array], drawn: Drawn, weights: Array, limits: Array
) -> Array:
    """Return a sum over samples, from those alone that count for something.

    Parameters
    ----------
    compute
        The sum, from some samples of what is drawn, their weights, and those of limits.
    drawn
        Arrays, of which the last axis is the sample.
    weights
        (kind, series, sample)
    limits
        (kind, series): not sums over samples, so they are given once.
    """
    samples = weights.shape[-1]
    together = min(FEW, samples)
    counts = jnp.any(weights != 0, axis=(0, 1))
    turns = -(-samples // together)
    places = jnp.nonzero(counts, size=turns * together, fill_value=samples)[0]

    def part(turn: Array) -> Array:
        own = jax.lax.dynamic_slice_in_dim(places, turn * together, together)
        some = jax.tree.map(lambda rows: jnp.take(rows, own, axis=-1, mode="clip"), drawn)
        weighed_own = jnp.take(weights, own, axis=-1, mode="fill", fill_value=0)
        return compute(some, weighed_own, jnp.where(turn == 0, limits, 0))

    like = jax.eval_shape(part, jnp.int32(0))
    needed = -(-counts.sum() // together)
    return jax.lax.fori_loop(
        0, needed, lambda turn, found: found + part(turn), jnp.zeros(like.shape, like.dtype)
    )


def summed(
    functionals: Functionals, values: Array, limit: Array, weights: Array
) -> dict[str, Array]:
    """Return sums over the samples of a block that derivatives and their errors need."""
    gap = values - jnp.asarray(functionals.mean)[:, None]
    near = reach_of(jnp.asarray(functionals.spread), limit, jnp.asarray(functionals.grain))
    met = jnp.abs(values - limit[:, None]) <= near[:, None]
    away = values[:, None, :] - jnp.asarray(functionals.quantile)[:, :, None]
    squares = (away / jnp.asarray(functionals.width)[:, :, None]) ** 2
    return {
        "under": (away < 0).sum(-1, dtype=values.dtype),
        "bend": (squares * jnp.exp(-squares / 2)).sum(-1),
        "weights": weights.sum(-1),
        "gap": gap.sum(-1),
        "squares": (gap * gap).sum(-1),
        "met": met.sum(-1, dtype=values.dtype),
    }
