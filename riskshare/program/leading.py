"""Leading directions: the first columns of a sampler made to move what moves positions most.

The scores of a run, as one vector, are turned by an orthogonal matrix, so they stay independent
standard normals; the first coordinate may be drawn more often in its tail, with a weight that
makes up for it.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import ndtr, ndtri

PRECISION = "highest"

Numbers = Any
"""A NumPy or JAX array."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Tilt:
    """How the first leading score is drawn: from a mixture of two normals.

    With probability ``share`` about ``shift``, else about 0, each with variance 1. A sample y
    counts with the ratio of densities, ``phi(y) / ((1 - share) phi(y) + share phi(y - shift))``,
    which is never above ``1 / (1 - share)``.
    """

    shift: Numbers
    share: Numbers
    row: Numbers
    """Which column the first leading score stands in."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Leading:
    """The turn ``z = s - W T W' s`` in the compact form of a product of k reflections."""

    reflectors: Numbers
    """W: (column of any year, k)."""
    factor: Numbers
    """T: (k, k), upper triangular."""
    tilt: Tilt | None = None


def led(leading: Leading, scores: Array) -> tuple[Array, Array | None]:
    """Return the turned scores (year, column, sample), and the weights of samples if tilted."""
    years, columns, samples = scores.shape
    flat = scores.reshape(years * columns, samples)
    reflectors, weight = leading.reflectors, None
    along = jnp.matmul(reflectors.T, flat, precision=PRECISION)
    if leading.tilt is None:
        change = jnp.matmul(leading.factor, along, precision=PRECISION)
    else:
        # the row moves by one more column of the product: to set it would copy all of them
        row = leading.tilt.row
        moved, weight = _tilted(leading.tilt, flat[row])
        along = along + reflectors[row][:, None] * moved
        change = jnp.matmul(leading.factor, along, precision=PRECISION)
        change = jnp.concatenate([change, -moved[None]])
        own = jax.nn.one_hot(row, len(flat), dtype=flat.dtype)
        reflectors = jnp.concatenate([reflectors, own[:, None]], axis=1)
    turned = flat - jnp.matmul(reflectors, change, precision=PRECISION)
    return turned.reshape(scores.shape), weight


def _tilted(tilt: Tilt, score: Array) -> tuple[Array, Array]:
    """Return how far scores move to be draws from the mixture, and the weights of these."""
    side = jnp.where(tilt.shift > 0, -1.0, 1.0).astype(score.dtype)
    drawn = side * below(side * score, jnp.abs(tilt.shift), tilt.share)
    exponent = tilt.shift * (drawn - tilt.shift / 2)
    odds = jnp.log1p(-tilt.share) - jnp.log(tilt.share)
    return drawn - score, jax.nn.sigmoid(odds - exponent) / (1 - tilt.share)


def below(score: Array, distance: Array, share: Array) -> Array:
    """Return draws from a mixture of a standard normal and, with a share, one about -distance.

    The lowest scores, of probability ``share``, are spread over the component below, the others
    over the one about 0: each is stratified as the scores are, and nothing is interpolated.
    """
    lower, upper = ndtr(score), ndtr(-score)
    apart = lower < share
    within = jnp.where(apart, lower / share, (lower - share) / (1 - share))
    beyond = jnp.where(apart, (share - lower) / share, upper / (1 - share))
    # a difference of probabilities may be rounded to nothing, and its normal would be infinite
    nearer = jnp.maximum(jnp.minimum(within, beyond), jnp.asarray(2.0**-33, score.dtype))
    drawn = jnp.where(within < 0.5, ndtri(nearer), -ndtri(nearer))
    return drawn - jnp.where(apart, distance, jnp.zeros_like(distance))


def reflections(directions: np.ndarray[Any, Any], rows: np.ndarray[Any, Any]) -> tuple[Any, Any]:
    """Return W and T of an orthogonal matrix whose columns at ``rows`` are the directions.

    Up to the sign of each. Householder reflections, in the compact form of Schreiber and Van Loan
    (1989): ``Q = I - W T W'``.

    Parameters
    ----------
    directions
        (column, k), orthonormal.
    rows
        k different columns.
    """
    dimensions, count = directions.shape
    order = np.concatenate([rows, np.setdiff1d(np.arange(dimensions), rows)])
    work = directions[order].astype(np.float64)
    reflectors, factor = np.zeros((dimensions, count)), np.zeros((count, count))
    for k in range(count):
        own = work[k:, k].copy()
        own[0] += np.copysign(np.linalg.norm(own), own[0])
        scale = 2 / (own @ own)
        reflectors[k:, k] = own
        work[k:] -= scale * np.outer(own, own @ work[k:])
        factor[:k, k] = -scale * factor[:k, :k] @ (reflectors[:, :k].T @ reflectors[:, k])
        factor[k, k] = scale
    turned = np.empty_like(reflectors)
    turned[order] = reflectors
    return turned, factor
