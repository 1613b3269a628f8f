"""Where the bits of a block come from: a sampler's shared arrays, and what tells its blocks apart.

Which of the two a run has is told by the type, so one kernel serves both.
"""

from dataclasses import dataclass
from typing import Any

import jax
from jax import Array

from riskshare.program.streams import BLOCK, pseudo_bits

Numbers = Any
"""A NumPy or JAX array."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SobolPoints:
    """Scrambled Sobol' points of the first block; a block's word shifts them to its own."""

    low: Numbers
    """(year, column, sample)"""

    def bits(self, place: Numbers) -> Array:
        """Return the bits of the block with these words, (year, column)."""
        return self.low ^ place[:, :, None]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PseudoKeys:
    """Keys of a counter-based generator, (year, column, 2); a block's number is its counter."""

    keys: Numbers

    def bits(self, place: Numbers) -> Array:
        """Return the bits of the block of this number, (year, column, sample)."""
        years, columns = self.keys.shape[:2]
        bits = pseudo_bits(self.keys.reshape(years * columns, 2), place)
        return bits.reshape(years, columns, BLOCK)


Source = SobolPoints | PseudoKeys
