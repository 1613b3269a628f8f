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

# The quantile over sqrt(2) (1 - 2 p) as polynomials in w - 2.5 and sqrt(w) - 3. The centre is from
# Giles (2010), "Approximating the erfinv function"; his tail ends at w = 16 (|z| = 5.4), where it
# would be off by up to 2e-3 at 6.3, so it was fitted again at Chebyshev points to w = 21.5.
_CENTRE = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
    -0.00125372503, -0.00417768164, 0.246640727, 1.50140941,
)  # fmt: skip
_TAIL = (
    -4.60974202e-06, -0.000165209366, 0.00117613512, -0.00337395971, 0.00577681326,
    -0.0077220239, 0.0094377257, 1.00168268, 2.83297692,
)  # fmt: skip
# (log(1 + f) - f + f^2 / 2) / f^3 on [sqrt(1/2) - 1, sqrt(2) - 1], fitted at Chebyshev points.
_LOGARITHM = (
    0.0927215963602066, -0.14118419587612152, 0.1467641144990921, -0.16592857241630554,
    0.19985127449035645, -0.2500092089176178, 0.3333340883255005,
)  # fmt: skip
_ROOT_HALF = np.int32(np.float32(np.sqrt(0.5)).view(np.int32))


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
    all 32 bits count, so scores reach 6.34. Error: 2.3e-6 at most in float32 (Giles' way, by
    polynomials in w = -log(4 p (1 - p)) and its root), 2e-15 in float64.

    Parameters
    ----------
    bits
        uint32, any shape.
    dtype
        float32 or float64; the latter needs x64 enabled.
    """
    negative = bits < jnp.uint32(1 << 31)
    tail = jnp.where(negative, bits, ~bits)
    p = (tail.astype(dtype) + 0.5) * 2.0**-32
    if jnp.dtype(dtype) == jnp.float64:
        below = jax.scipy.special.ndtri(p)
        return jnp.where(negative, below, -below)
    w = -_log(4 * p * (1 - p))
    central = w < 5
    v = jnp.where(central, w - 2.5, jnp.sqrt(w) - 3)
    total = jnp.where(central, jnp.float32(_CENTRE[0]), jnp.float32(_TAIL[0]))
    for centre, beyond in zip(_CENTRE[1:], _TAIL[1:], strict=True):
        total = jnp.where(central, jnp.float32(centre), jnp.float32(beyond)) + total * v
    size = jnp.float32(np.sqrt(2)) * (1 - 2 * p) * total
    return jnp.where(negative, -size, size)


def _log(x: jax.Array) -> jax.Array:
    """Return the natural logarithm of normal float32 numbers above 0, off by 2e-6 at most.

    Without what XLA's has for zero, infinity and subnormal numbers: a kernel is 10 % faster.
    """
    bits = jax.lax.bitcast_convert_type(x, jnp.int32)
    exponent = (bits - _ROOT_HALF) >> 23
    fraction = jax.lax.bitcast_convert_type(bits - (exponent << 23), jnp.float32) - 1
    total = jnp.float32(_LOGARITHM[0])
    for coefficient in _LOGARITHM[1:]:
        total = total * fraction + jnp.float32(coefficient)
    beyond = fraction * fraction * fraction * total - 0.5 * fraction * fraction
    return fraction + beyond + exponent.astype(jnp.float32) * jnp.float32(np.log(2))


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
