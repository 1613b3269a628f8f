"""Reduction: a block of results to sums, sums of squares and counts, so that no sample is kept."""

import math
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from riskshare.contract.rows import picked

PRECISION = "highest"

Numbers = Any
"""A NumPy or JAX array."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Cells:
    """Cells of one width in which samples are counted: some, one below and one beyond them."""

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
    """Sums of results over partners, and of these over years.

    Of each year, and then of years together, a series is made of each partner's position and of
    each sum of rows.
    """

    sums: Numbers
    """(sum, row): what rows of a year count for."""
    yearly: Numbers
    """(year): what money of a year counts for by itself."""
    together: Numbers
    """(1, year), what it counts for where years are summed, or (0, year) where none are."""
    thresholds: Numbers
    """(series, threshold): below these samples are counted."""
    cells: Cells | None = None
    """None where the host counts, which then reads the samples of a series."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Balances:
    """Balances at the end of each year so far: an opening, and money of the years up to it."""

    opening: Numbers
    """(year, balance, 1)"""
    places: tuple[int, ...] = field(metadata={"static": True})
    """Among a year's partners and sums, whose they are."""


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


_LANES = 64


def _over_samples(values: Array) -> Array:
    """Return sums over the last axis: of each of some lanes, and then of these.

    Lanes make vectors of a loop that can then be the one which computes the values: a product with
    ones needs them stored first, which takes three times as long as all the rest.
    """
    count = values.shape[-1]
    lanes = _LANES if count % _LANES == 0 else 1
    return values.reshape(*values.shape[:-1], count // lanes, lanes).sum(-2).sum(-1)


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
    wanted = reduction.series
    rows = jnp.concatenate(results, axis=1)
    sums = jnp.matmul(wanted.sums, rows, precision=PRECISION)
    each = jnp.concatenate([results[0], sums], axis=1)
    series = _over_years(wanted, each)
    found: dict[str, Any] = _moments(series, weight)
    thresholds = jnp.asarray(reduction.series.thresholds)[:, :, None]
    found["below"] = _mass(series[:, None, :] < thresholds, weight)
    if reduction.series.cells is not None:
        found |= _about(reduction.series.cells, series, weight)
    if reduction.balances is not None:
        balances = reduction.balances
        level = jnp.cumsum(picked(each, balances.places, axis=1), axis=0) + balances.opening
        found["exhausted"] = _mass(jax.lax.cummin(level, axis=0) < 0, weight)
    return found, series


def _over_years(wanted: Series, each: Array) -> Array:
    """Return series, (series, sample), from those of each year, (year, row, sample)."""
    samples = each.shape[-1]
    flat = each.reshape(each.shape[0], -1)
    alone = each * jnp.asarray(wanted.yearly)[:, None, None]
    together = jnp.matmul(wanted.together, flat, precision=PRECISION)
    return jnp.concatenate([alone.reshape(-1, samples), together.reshape(-1, samples)])


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


def counted(cells: Cells, series: Array, weight: Array | None, held: Array | None = None) -> Array:
    """Return the weight of the samples in each cell, and of how far they lie beyond its start.

    Parameters
    ----------
    series
        (..., series, sample)
    weight
        (..., sample); None where all count 1.
    held
        To which they are added; nothing unless given.

    Returns
    -------
    Array
        (series, cell, 2), the second in widths of a cell. Both are added up in one step, which
        takes a processor half the time of two.
    """
    if held is None:
        held = jnp.zeros((series.shape[-2], cells.count + 2, 2), series.dtype)
    place = (series - cells.low) * cells.inverse
    start = jnp.floor(jnp.clip(place, -1, cells.count))
    mass = jnp.broadcast_to(1 if weight is None else weight[..., None, :], place.shape)
    rows = jnp.arange(series.shape[-2])[:, None]
    more = jnp.stack([mass.astype(place.dtype), mass * (place - start)], axis=-1)
    return held.at[rows, start.astype(jnp.int32) + 1].add(more)


def places_of(cells: Cells, held: Array) -> Array:
    """Return what `counted` gives as weights and sums of places: (2, series, cell).

    A place is how far a sample lies above the first cell's start, in widths of a cell.
    """
    number, beyond = jnp.moveaxis(held, -1, 0)
    start = jnp.arange(-1, cells.count + 1, dtype=held.dtype)
    return jnp.stack([number, number * start + beyond])


def below(cells: Cells, places: Array, sides: Array) -> Array:
    """Return sums over the cells before some: (2, series, level, side).

    Parameters
    ----------
    places
        From `places_of`.
    sides
        (series, level, side), from 1 to the cell beyond all.
    """
    width = math.isqrt(cells.count)  # of rows of cells, whole ones of which are summed first
    rows = places[:, :, 1:-1].reshape(*places.shape[:2], width, width)
    whole = jnp.cumsum(rows.sum(-1), axis=-1)
    before = places[:, :, :1] + jnp.concatenate([jnp.zeros_like(whole[:, :, :1]), whole], axis=-1)
    row, rest = jnp.divmod(sides - 1, width)
    series = jnp.arange(len(sides))[:, None, None]
    inside = jnp.arange(width) < rest[..., None]
    own = jnp.where(inside, rows[:, series, jnp.minimum(row, width - 1)], 0)
    return before[:, series, row] + own.sum(-1)


def _mass(event: Array, weight: Array | None) -> Array:
    """Return the weight of the samples for which an event holds."""
    return _over_samples(
        event.astype(jnp.float32) if weight is None else jnp.where(event, weight, 0)
    )
