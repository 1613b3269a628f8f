"""Numbers of several years as kernels take them: those of few entries in one array of each year.

A bound case holds a hundred and more small arrays with a row for each year. Where years follow
each other in a loop, every loop over samples cuts its year out of each array that it reads; one
that reads ninety was five times slower for it. Out of one array a year is cut once.
"""

from dataclasses import dataclass, field
from math import prod
from typing import Any

import jax
import numpy as np
from jax.tree_util import PyTreeDef
from numpy.typing import NDArray

from riskshare.bind.leaves import Laws, Leaves, World, Yearly

_MOST = 256
"""Entries of a year up to which an array is packed; more are seldom and read row by row."""


@dataclass(frozen=True)
class Layout:
    """How a tree is packed: what it looks like, and the shapes of those of its arrays that are."""

    tree: PyTreeDef
    shapes: tuple[tuple[int, ...] | None, ...]
    """Of each array, without the year; None where it stands alone."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Packed:
    """`Yearly` with what is small of it in one array; of all years, or without the axis of one."""

    numbers: Any
    """([year,] number)"""
    alone: tuple[Any, ...]
    layout: Layout = field(metadata={"static": True})

    def unpacked(self) -> Yearly:
        """Return all arrays, with the year if the numbers have it."""
        arrays, alone, start = [], iter(self.alone), 0
        for shape in self.layout.shapes:
            if shape is None:
                arrays.append(next(alone))
                continue
            end = start + prod(shape)
            before = self.numbers.shape[:-1]
            arrays.append(self.numbers[..., start:end].reshape((*before, *shape)))
            start = end
        yearly: Yearly = jax.tree.unflatten(self.layout.tree, arrays)
        return yearly


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PackedLeaves:
    """`riskshare.bind.leaves.Leaves` with its years packed."""

    laws: Laws
    world: World
    yearly: Packed


def packed(leaves: Leaves) -> Leaves | PackedLeaves:
    """Return leaves with their years packed; as they are where there is one year, and no loop.

    Their floats have to be of one type.
    """
    arrays, tree = jax.tree.flatten(leaves.yearly)
    years = len(leaves.yearly.number)
    if years == 1:
        return leaves
    small = [_is_small(array) for array in arrays]
    shapes = tuple(a.shape[1:] if one else None for a, one in zip(arrays, small, strict=True))
    rows = [a.reshape(years, -1) for a, one in zip(arrays, small, strict=True) if one]
    alone = tuple(a for a, one in zip(arrays, small, strict=True) if not one)
    numbers = np.concatenate(rows, axis=1)
    return PackedLeaves(leaves.laws, leaves.world, Packed(numbers, alone, Layout(tree, shapes)))


def unpacked(yearly: Yearly | Packed) -> Yearly:
    """Return numbers that may be packed, of all years or of one."""
    return yearly.unpacked() if isinstance(yearly, Packed) else yearly


def _is_small(array: NDArray[Any]) -> bool:
    """Return whether an array holds a few floats in a row for each year.

    A matrix does not: products want it as it stands.
    """
    entries = prod(array.shape[1:])
    in_a_row = max(array.shape[1:], default=1) == entries
    return bool(np.issubdtype(array.dtype, np.floating) and in_a_row and entries <= _MOST)
