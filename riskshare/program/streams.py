"""Streams of random bits, one column for each driver, line and year, and their normal scores.

A column is a tuple (kind, index, year): what is drawn, which one of it, and when. Its bits
depend on the seed and on the column alone, so appending a line, a driver or a year moves no
earlier draw. Samples come in blocks of 4,096. The quasi-random sampler is a Sobol' sequence with
one linear matrix scramble for each seed and column and one digital shift for each replicate: a
block is one XOR of a table of low-order points with one word per column.
"""

from collections.abc import Sequence
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskshare.contract.vectors import polynomial
from riskshare.errors import ArgumentError
from riskshare.program.directions import POINT_BITS, sobol_directions

Column = tuple[int, int, int]
Words = NDArray[np.uint32]

KINDS = 16
"""Kinds of column; those with many indices (drivers, lines) are best given codes 0 to 3."""

BLOCK_BITS = 12
BLOCK = 1 << BLOCK_BITS
"""Samples in a block."""

BLOCKS = 1 << (POINT_BITS - BLOCK_BITS)
"""Blocks in a replicate at most: 2^20 points; more samples need more replicates."""

# Where each bit of a column goes in its dimension. Cases then fill low dimensions first, which
# have the better two-dimensional projections; the later bits, of large cases, share places.
_INDEX_PLACES = (0, 1, 2, 3, 4, 9, 10, 11, 8, 6, 7)
_KIND_PLACES = (5, 6, 10, 9)
_YEAR_PLACES = (7, 8, 11, 10, 9)

ABOVE = (
    -0.0454140519, 0.442877611, 1.96003834, 2.33668756, 0.334349261, 0.0105171484,
    7.34084184e-05, 7.61851077e-08,
)  # fmt: skip
BELOW = (
    1.0, 0.891731325, 1.37953594, 0.676672046, 0.0708540753, 0.00183423651,
    1.09023854e-05, 9.44587685e-09,
)  # fmt: skip
"""The normal quantile over 1 - 2 p as a ratio of polynomials, the highest power first, in the
fourth root of 4 p (1 - p), which runs from 1 (p = 1/2) to 0.0047 (p = 2^-33): least worst error of
the quantile 2.5e-7 (an AAA approximation with Lawson's weights: Nakatsukasa and Trefethen 2020).
Two roots and a division take a processor less than a logarithm. Giles (2010), "Approximating the
erfinv function", has the symmetric 4 p (1 - p)."""


def sobol_dimension(column: Column) -> int:
    """Return the Sobol' dimension of a column, from 0 to 4,095.

    The bits of index, kind and year are interleaved (a fixed bit permutation), low dimensions
    first. Distinct for all columns of 32 indices, 16 kinds and 8 years, and of 64 indices, kinds 0
    to 7 and 8 years; with kinds 0 to 3 alone also of 64 indices and 16 years, 128 and 8, 256 and
    4. Beyond, two columns may share a dimension (index 32 of a kind below 8 with index 0 of the
    kind eight above it): still unbiased, since each has its own scramble, but their first bits
    then move together within a replicate.

    On 51 columns the ratio of variances, independent to Sobol' at 16,384 samples, is for
    mean / SD / P(deficit) 36,000 / 470 / 6 (dense dimensions 57,000 / 740 / 8; spaced evenly
    over 4,096, 4,600 / 18 / 2), each known to about 30 %.
    """
    kind, index, year = column
    dimension = 0
    for number, places in ((index, _INDEX_PLACES), (kind, _KIND_PLACES), (year, _YEAR_PLACES)):
        for bit, place in enumerate(places):
            dimension ^= (number >> bit & 1) << place
    return dimension


def sobol_low(seed: int, columns: Sequence[Column]) -> Words:
    """Return the scrambled points 0 to 4,095, before any shift: ``[column, sample]``.

    Parameters
    ----------
    seed
        Zero or more.
    columns
        Tuples (kind, index, year).

    Raises
    ------
    ArgumentError
        If the seed or a column is out of bounds.
    """
    low = _span(_scrambled(_seed(seed), _columns(columns))[:, :BLOCK_BITS])
    return np.ascontiguousarray(low.T)


def sobol_high(seed: int, columns: Sequence[Column]) -> Words:
    """Return what tells the blocks of a replicate apart, ``[block, column]``, 256 blocks.

    Block b of a replicate holds its points 4,096 b to 4,096 (b + 1) - 1; the first 2^k points of
    each replicate form a digital net for every k.

    Raises
    ------
    ArgumentError
        If the seed or a column is out of bounds.
    """
    return _span(_scrambled(_seed(seed), _columns(columns))[:, BLOCK_BITS:])


def sobol_shifts(seed: int, columns: Sequence[Column], replicates: int) -> Words:
    """Return the digital shift of each replicate, ``[replicate, column]``.

    More replicates leave earlier ones unchanged.

    Raises
    ------
    ArgumentError
        If the seed or a column is out of bounds.
    """
    checked, keyed = _seed(seed), _columns(columns)
    states = [_sequence(checked, c).generate_state(POINT_BITS + replicates) for c in keyed]
    shifts = np.array(states, np.uint32).reshape(len(keyed), POINT_BITS + replicates)
    return np.ascontiguousarray(shifts[:, POINT_BITS:].T)


def sobol_words(
    seed: int, columns: Sequence[Column], replicate: ArrayLike, block: ArrayLike
) -> Words:
    """Return one word per block and column: ``low ^ word`` are the points of that block.

    Parameters
    ----------
    seed, columns
        As in `sobol_low`.
    replicate, block
        Which replicate and which of its blocks, ``[n]`` each.

    Returns
    -------
    NDArray
        ``[n, column]``: `sobol_high` of the block and `sobol_shifts` of the replicate, by XOR.

    Raises
    ------
    ArgumentError
        If a block is not below 256, or a replicate, the seed or a column is out of bounds.
    """
    replicates, blocks = np.asarray(replicate, np.int64), np.asarray(block, np.int64)
    if blocks.size and not 0 <= blocks.min() <= blocks.max() < BLOCKS:
        raise ArgumentError(
            f"block {blocks.max() if blocks.max() > 0 else blocks.min()} is not in 0 to "
            f"{BLOCKS - 1}: a replicate holds at most {BLOCKS * BLOCK:,} samples; use more "
            "replicates"
        )
    if replicates.size and replicates.min() < 0:
        raise ArgumentError(f"replicate is {replicates.min()}; it must be zero or more")
    count = int(replicates.max()) + 1 if replicates.size else 0
    high, shifts = sobol_high(seed, columns), sobol_shifts(seed, columns, count)
    return np.asarray(high[blocks] ^ shifts[replicates])


def pseudo_keys(seed: int, columns: Sequence[Column]) -> Words:
    """Return one threefry key per column, ``[column, 2]``, apart from every Sobol' scramble.

    Raises
    ------
    ArgumentError
        If the seed or a column is out of bounds.
    """
    checked = _seed(seed)
    keys = [_sequence(checked, c, 1).generate_state(2) for c in _columns(columns)]
    return np.array(keys, np.uint32).reshape(-1, 2)


def pseudo_bits(keys: ArrayLike, block_index: jax.Array | int) -> jax.Array:
    """Return independent bits of one block, ``[column, sample]`` (threefry, counter-based).

    Parameters
    ----------
    keys
        From `pseudo_keys`.
    block_index
        Number of the block, counted over all replicates; may be traced.
    """

    def column_bits(key: jax.Array) -> jax.Array:
        return jax.random.bits(jax.random.fold_in(key, block_index), (BLOCK,), jnp.uint32)

    return jax.vmap(column_bits)(jax.random.wrap_key_data(jnp.asarray(keys), impl="threefry2x32"))


def score(bits: jax.Array, dtype: jax.typing.DTypeLike) -> jax.Array:
    """Return the standard normal scores of 32-bit words, exactly symmetric and always finite.

    With t = min(u, ~u) and p = (t + 1/2) 2^-32, the score is the quantile of p with u's sign;
    all 32 bits count, so scores reach 6.34. Error: 1.6e-6 at most in float32 (1 - 2 p times a
    ratio of polynomials in the fourth root of 4 p (1 - p)), 2e-15 in float64.

    Parameters
    ----------
    bits
        uint32, any shape.
    dtype
        float32 or float64; the latter needs x64 enabled.
    """
    whole = jax.lax.bitcast_convert_type(bits, jnp.int32)
    side = whole >> 31
    tail = (whole ^ side).astype(dtype)  # signed: few processors have vectors of the other kind
    if jnp.dtype(dtype) == jnp.float64:
        below = jax.scipy.special.ndtri((tail + 0.5) * 2.0**-32)
        return jnp.where(side < 0, -below, below)
    twice = (tail + jnp.float32(0.5)) * jnp.float32(2.0**-31)
    root = jnp.sqrt(jnp.sqrt(twice * (2 - twice)))
    above, below = (polynomial(list(map(jnp.float32, powers)), root) for powers in (ABOVE, BELOW))
    size = jax.lax.bitcast_convert_type((1 - twice) * (above / below), jnp.uint32)
    signed = size ^ (~bits & jnp.uint32(1 << 31))
    return jax.lax.bitcast_convert_type(signed, jnp.float32)


@lru_cache(maxsize=16)
def _scrambled(seed: int, columns: tuple[Column, ...]) -> Words:
    """Return each column's direction numbers under its own scramble, ``[column, k]``.

    The scramble is a random lower triangular bit matrix with unit diagonal (Matousek 1998): the
    image of input bit j has zeros above j, a one at j, and random bits below.
    """
    place = np.arange(POINT_BITS, dtype=np.uint32)
    states = [_sequence(seed, column).generate_state(POINT_BITS) for column in columns]
    drawn = np.array(states, np.uint32).reshape(-1, POINT_BITS)
    top = np.uint32(1) << (np.uint32(31) - place)
    images = top | (drawn & (top - np.uint32(1)))
    directions = sobol_directions()[[sobol_dimension(column) for column in columns]]
    result = np.zeros_like(directions)
    for bit in place:
        has = directions >> (np.uint32(31) - bit) & np.uint32(1)
        result ^= has * images[:, bit : bit + 1]
    result.flags.writeable = False
    return result


def _span(directions: Words) -> Words:
    """Return points in natural order, each the XOR of a subset: ``[point, column]``."""
    points = np.zeros((1, directions.shape[0]), np.uint32)
    for direction in directions.T:
        points = np.concatenate([points, points ^ direction])
    return points


def _sequence(seed: int, column: Column, stream: int = 0) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, *column], spawn_key=(stream,) if stream else ())


def _seed(seed: int) -> int:
    if seed < 0:
        raise ArgumentError(f"seed is {seed}; it must be zero or more")
    return int(seed)


def _columns(columns: Sequence[Column]) -> tuple[Column, ...]:
    for kind, index, year in columns:
        if not 0 <= kind < KINDS or index < 0 or year < 0:
            raise ArgumentError(
                f"column {(kind, index, year)} is out of bounds: kind from 0 to {KINDS - 1}, "
                "index and year zero or more"
            )
    return tuple((int(kind), int(index), int(year)) for kind, index, year in columns)
