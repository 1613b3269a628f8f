"""Reduction: a block of results to sums, sums of squares and counts, so that no sample is kept."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

PRECISION = "highest"

Numbers = Any
"""A NumPy or JAX array."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Edges:
    """Where the distribution of a series is counted."""

    counted: Numbers
    """(series, edge)"""
    summed: Numbers
    """(series, edge): where the mean shortfall below is summed too."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Series:
    """Sums of results over years and partners: ``weights @ rows``, rows of all years together."""

    weights: Numbers
    """(series, row)"""
    edges: Edges | None = None
    """None where the samples of a series are returned for the host to count."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Balances:
    """Balances at the end of each year so far: ``opening + weights @ rows``."""

    weights: Numbers
    """(year, balance, row)"""
    opening: Numbers
    """(year, balance, 1)"""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Reduction:
    """What is made of a block's results. Parts that are None are left out of the program."""

    series: Series
    balances: Balances | None = None


def total(values: Array, weight: Array | None) -> dict[str, Array]:
    """Return the sum of results over samples, about the first of them.

    ``sum w (x - x_0)`` and ``x_0``: where nothing varies the sum is 0 exactly.
    """
    first = values[..., :1]
    gaps = values - first
    if weight is not None:
        gaps = gaps * weight
    return {"sum": gaps.sum(-1), "first": first[..., 0]}


def reduced(
    reduction: Reduction, results: list[Array], weight: Array | None
) -> tuple[dict[str, Any], Array]:
    """Return what is made of positions, and the samples of each series, (series, sample).

    Parameters
    ----------
    results
        Positions and, where there are any, other positions: (year, row, sample) each.
    weight
        Of each sample, (sample); None where all count 1.
    """
    rows = jnp.concatenate([part.reshape(-1, part.shape[-1]) for part in results])
    series = jnp.matmul(reduction.series.weights, rows, precision=PRECISION)
    found: dict[str, Any] = _moments(series, weight)
    if reduction.series.edges is not None:
        found |= _counted(reduction.series.edges, series, weight)
    if reduction.balances is not None:
        balances = reduction.balances
        level = jnp.matmul(balances.weights, rows, precision=PRECISION) + balances.opening
        found["exhausted"] = _mass(jax.lax.cummin(level, axis=0) < 0, weight)
    return found, series


def _moments(series: Array, weight: Array | None) -> dict[str, Array]:
    first = series[:, :1]
    gaps = series - first
    weighted = gaps if weight is None else gaps * weight
    return {
        "first": first[:, 0],
        "sum": weighted.sum(-1),
        "squares": (weighted * gaps).sum(-1),
    }


def _counted(edges: Edges, series: Array, weight: Array | None) -> dict[str, Array]:
    each = series[:, None, :]
    short = jnp.minimum(each - jnp.asarray(edges.summed)[:, :, None], 0)
    if weight is not None:
        short = short * weight
    below = each < jnp.asarray(edges.counted)[:, :, None]
    return {"below": _mass(below, weight), "short": short.sum(-1)}


def _mass(event: Array, weight: Array | None) -> Array:
    """Return the weight of the samples for which an event holds."""
    if weight is None:
        return event.sum(-1, dtype=jnp.int32).astype(jnp.float32)
    return jnp.where(event, weight, 0).sum(-1)
