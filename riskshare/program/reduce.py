"""Reduction: a block of results to sums, sums of squares and counts, so that no sample is kept."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

PRECISION = "highest"

Numbers = Any
"""A NumPy or JAX array."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Cells:
    """Cells of one width in which samples are counted on the device."""

    low: Numbers
    """(series, 1)"""
    inverse: Numbers
    """(series, 1): one over the width."""
    edges: Numbers
    """(series, level, 2): ends of cells at which each block is counted by itself; below the first
    of each its shortfall is summed."""
    count: int = field(metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Series:
    """Sums of results over years and partners: ``weights @ rows``, rows of all years together."""

    weights: Numbers
    """(series, row)"""
    thresholds: Numbers
    """(series, threshold): below these samples are counted."""
    cells: Cells | None = None
    """None where the host counts, which then reads the samples of a series."""


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
    summed: tuple[str, ...] = field(default=(), metadata={"static": True})
    """Names of results that are summed over samples, each by year and row."""


def total(values: Array, weight: Array | None) -> tuple[Array, Array]:
    """Return the first sample x_1 and ``sum w (x - x_1)``: 0 exactly where x is always that."""
    first = values[..., :1]
    gaps = values - first
    if weight is not None:
        gaps = gaps * weight
    return first[..., 0], _over_samples(gaps)


def _over_samples(values: Array) -> Array:
    """Return sums over the last axis, as a product with ones (`riskshare.contract.vectors`)."""
    return jnp.matmul(values, jnp.ones(values.shape[-1], values.dtype), precision=PRECISION)


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
    thresholds = jnp.asarray(reduction.series.thresholds)[:, :, None]
    found["below"] = _mass(series[:, None, :] < thresholds, weight)
    if reduction.series.cells is not None:
        found |= _about(reduction.series.cells, series, weight)
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
        "sum": _over_samples(weighted),
        "squares": _over_samples(weighted * gaps),
    }


def _about(cells: Cells, series: Array, weight: Array | None) -> dict[str, Array]:
    gaps = series[:, None, None, :] - jnp.asarray(cells.edges)[..., None]
    short = jnp.minimum(gaps[:, :, 0], 0)
    if weight is not None:
        short = short * weight
    return {"about": _mass(gaps < 0, weight), "short": _over_samples(short)}


def celled(cells: Cells, series: Array, weight: Array | None, blocks: Array) -> tuple[Array, Array]:
    """Return the weight in each cell, one below and one beyond them: (series, cell).

    And the sums of how far samples lie beyond the start of their cell, in widths of a cell.

    Of the first so many blocks together, (block, series, sample), for a block holds fewer samples
    than there are cells.
    """
    place = (series - cells.low) * cells.inverse + 1
    own = jnp.clip(place, 0, cells.count + 1).astype(jnp.int32)
    real = jnp.arange(series.shape[0]) < blocks
    each = jnp.broadcast_to(real[:, None, None].astype(series.dtype), series.shape)
    if weight is not None:
        each = each * weight[:, None, :]
    rows = series.shape[1]
    empty = jnp.zeros((rows, cells.count + 2), series.dtype)
    where = jnp.arange(rows)[None, :, None], own
    return empty.at[where].add(each), empty.at[where].add(each * (place - own.astype(series.dtype)))


def _mass(event: Array, weight: Array | None) -> Array:
    """Return the weight of the samples for which an event holds."""
    return _over_samples(
        event.astype(jnp.float32) if weight is None else jnp.where(event, weight, 0)
    )
