"""Where the bits of a block come from: a sampler's shared arrays, and what tells its blocks apart.

Which of the two a run has is told by the type, so one kernel serves both.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from riskshare.program.streams import pseudo_bits

Numbers = Any
"""A NumPy or JAX array."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SobolPoints:
    """Scrambled Sobol' points of the first block; a block's word shifts them to its own."""

    low: Numbers
    """(year, column, sample)"""

    def by_year(self, place: Numbers) -> Any:
        """Return what the bits of each year of a block come from, the year first.

        ``place`` holds the words of the block, (year, column).
        """
        return self.low, place

    @staticmethod
    def bits(of_year: Any) -> Array:
        """Return the bits of a year, (column, sample)."""
        low, word = of_year
        return low ^ word[:, None]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PseudoKeys:
    """Keys of a counter-based generator, (year, column, 2); a block's number is its counter."""

    keys: Numbers

    def by_year(self, place: Numbers) -> Any:
        """Return what the bits of each year of a block come from: ``place`` is its number."""
        return self.keys, jnp.broadcast_to(place, self.keys.shape[:1])

    @staticmethod
    def bits(of_year: Any) -> Array:
        """Return the bits of a year, (column, sample)."""
        keys, number = of_year
        return pseudo_bits(keys, number)


Source = SobolPoints | PseudoKeys
