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

from riskshare.laws.chance import SCORE_LIMIT

PRECISION = "highest"

Numbers = Any
"""A NumPy or JAX array."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Tilt:
    """A monotone map of the first leading score, linear between nodes of an even grid.

    With s standard normal and y = T(s), samples of y count with the weight
    ``phi(y) T'(s) / phi(s)``, which is exact for the map as it is, table and all.
    """

    values: Numbers
    """(node): T at the nodes, from -SCORE_LIMIT to SCORE_LIMIT."""
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
    weight = None
    if leading.tilt is not None:
        flat, weight = _tilted(leading.tilt, flat)
    along = jnp.matmul(leading.reflectors.T, flat, precision=PRECISION)
    change = jnp.matmul(leading.factor, along, precision=PRECISION)
    turned = flat - jnp.matmul(leading.reflectors, change, precision=PRECISION)
    return turned.reshape(scores.shape), weight


def _tilted(tilt: Tilt, flat: Array) -> tuple[Array, Array]:
    values = jnp.asarray(tilt.values)
    nodes = values.shape[0]
    step = 2 * SCORE_LIMIT / (nodes - 1)
    score = flat[tilt.row]
    place = jnp.clip((score + SCORE_LIMIT) / step, 0, nodes - 1)
    node = jnp.clip(place.astype(jnp.int32), 0, nodes - 2)
    low, high = values[node], values[node + 1]
    drawn = low + (high - low) * (place - node.astype(place.dtype))
    slope = (high - low) / step
    weight = slope * jnp.exp((score - drawn) * (score + drawn) / 2)
    return flat.at[tilt.row].set(drawn), weight


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
