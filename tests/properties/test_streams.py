import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special as sp

from riskshare.errors import ArgumentError
from riskshare.program import streams
from riskshare.program.directions import make_directions, sobol_directions

COLUMNS = [(k, i, y) for y in range(2) for k in range(3) for i in range(5)]


def points(seed, columns, replicate, block):
    low = streams.sobol_low(seed, columns)
    return low ^ streams.sobol_words(seed, columns, [replicate], [block])[0][:, None]


def test_packaged_directions_are_scipys():
    np.testing.assert_array_equal(sobol_directions()[:64], make_directions(64))
    assert sobol_directions().shape == (4096, 20)


@pytest.mark.parametrize(
    ("indices", "kinds", "years"),
    [(32, 16, 8), (64, 8, 8), (64, 4, 16), (128, 4, 8), (256, 4, 4)],
)
def test_columns_of_a_case_have_their_own_dimension(indices, kinds, years):
    columns = itertools.product(range(kinds), range(indices), range(years))
    dimensions = [streams.sobol_dimension(column) for column in columns]
    assert len(set(dimensions)) == len(dimensions)
    assert 0 <= min(dimensions) <= max(dimensions) < 4096


def test_any_column_has_a_dimension():
    for column in [(15, 10**6, 0), (0, 0, 10**6), (3, 12_345, 678)]:
        assert 0 <= streams.sobol_dimension(column) < 4096


@pytest.mark.parametrize("power", range(13))
def test_leading_points_are_a_net_in_every_dimension(power):
    bits = points(3, COLUMNS, 2, 0)[:, : 1 << power]
    cells = np.sort(bits >> np.uint32(32 - power) if power else bits * 0, axis=1)
    np.testing.assert_array_equal(cells, np.tile(np.arange(1 << power), (len(COLUMNS), 1)))


def test_blocks_continue_the_net():
    bits = np.concatenate([points(3, COLUMNS, 1, block) for block in range(4)], axis=1)
    cells = np.sort(bits >> np.uint32(18), axis=1)
    np.testing.assert_array_equal(cells, np.tile(np.arange(1 << 14), (len(COLUMNS), 1)))


def test_first_two_dimensions_are_a_net_together():
    bits = points(5, [(0, 0, 0), (0, 1, 0)], 0, 0)
    for first in range(13):
        cells = (bits[0].astype(np.uint64) >> np.uint64(32 - first)) << np.uint64(12 - first)
        cells += bits[1].astype(np.uint64) >> np.uint64(20 + first)
        assert len(np.unique(cells)) == 4096


def test_appending_moves_no_earlier_draw():
    replicate, block = np.repeat(np.arange(3), 2), np.tile(np.arange(2), 3)
    some = COLUMNS[3:9]
    longer = [*COLUMNS, (7, 999, 30)]
    where = [longer.index(column) for column in some]
    np.testing.assert_array_equal(streams.sobol_low(9, some), streams.sobol_low(9, longer)[where])
    more = streams.sobol_words(9, longer, [*replicate, 40], [*block, 255])
    np.testing.assert_array_equal(streams.sobol_words(9, some, replicate, block), more[:6, where])
    np.testing.assert_array_equal(
        streams.pseudo_keys(9, some), streams.pseudo_keys(9, longer)[where]
    )
    keys = streams.pseudo_keys(9, longer)
    np.testing.assert_array_equal(
        streams.pseudo_bits(keys[where], 5), streams.pseudo_bits(keys, 5)[jnp.array(where)]
    )


def test_seeds_and_columns_differ():
    same = (streams.sobol_low(1, COLUMNS) == streams.sobol_low(2, COLUMNS)).mean()
    assert same < 0.01  # point 0 of every column is 0 before its shift
    keys = [tuple(k) for seed in (1, 2) for k in streams.pseudo_keys(seed, COLUMNS)]
    assert len(set(keys)) == 2 * len(COLUMNS)


def integrand(bits):
    """A product over columns of mean 1, and the indicator of a sum of scores above zero."""
    z = sp.ndtri((bits.astype(np.float64) + 0.5) * 2.0**-32)
    return np.exp(0.1 * z.sum(axis=0) - 0.005 * len(z)).mean(), (z.sum(axis=0) > 1).mean()


def test_replicates_are_unbiased_and_independent():
    exact = np.array([1.0, sp.ndtr(-1 / np.sqrt(len(COLUMNS)))])
    low = streams.sobol_low(4, COLUMNS)[:, :256]
    words = streams.sobol_words(4, COLUMNS, np.arange(400), np.zeros(400, int))
    means = np.array([integrand(low ^ word[:, None]) for word in words])
    error = means.std(axis=0, ddof=1) / 20
    assert np.all(np.abs(means.mean(axis=0) - exact) < 4 * error)
    lagged = [np.corrcoef(means[:-1, s], means[1:, s])[0, 1] for s in range(2)]
    assert np.all(np.abs(lagged) < 4 / 20)
    # Points of a net beat as many independent ones.
    independent = np.expm1(0.01 * len(COLUMNS)) / 256
    assert means[:, 0].var() < independent / 4


def test_shifts_are_uniform_words():
    words = streams.sobol_words(8, COLUMNS, np.arange(500), np.zeros(500, int))
    ones = np.unpackbits(words.view(np.uint8)).mean()
    assert abs(ones - 0.5) < 4 * 0.5 / np.sqrt(words.size * 32)
    assert len(np.unique(words)) > words.size - 5


def test_pseudo_bits_are_uniform_and_blocks_differ():
    keys = streams.pseudo_keys(2, COLUMNS)
    blocks = np.stack([streams.pseudo_bits(keys, b) for b in range(3)])
    assert blocks.dtype == np.uint32
    assert blocks.shape == (3, len(COLUMNS), streams.BLOCK)
    uniform = (blocks + 0.5) * 2.0**-32
    assert abs(uniform.mean() - 0.5) < 4 * np.sqrt(1 / 12 / uniform.size)
    z = sp.ndtri(uniform).reshape(3 * len(COLUMNS), -1)
    correlation = np.corrcoef(z)[np.triu_indices(len(z), 1)]
    assert np.abs(correlation).max() < 5 / np.sqrt(streams.BLOCK)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2.5e-6), ("float64", 1e-12)])
def test_scores_are_exact_symmetric_and_finite(dtype, tolerance):
    ends = np.arange(2000, dtype=np.uint32)
    bits = np.random.default_rng(0).integers(0, 2**32, 300_000, dtype=np.uint32)
    bits = np.concatenate([bits, ends, np.uint32(2**31) - ends, np.uint32(2**31 - 1) - ends])
    bits = np.concatenate([bits, ~bits])
    tail = np.minimum(bits, ~bits)
    exact = sp.ndtri((tail + 0.5) * 2.0**-32) * np.where(bits < 2**31, 1, -1)
    with jax.enable_x64(dtype == "float64"):
        z = np.asarray(jax.jit(streams.score, static_argnums=1)(bits, dtype))
    assert z.dtype == dtype
    assert np.abs(z - exact).max() < tolerance
    half = len(z) // 2
    np.testing.assert_array_equal(z[:half], -z[half:])
    assert 6.33 < z.max() < 6.4


def test_what_is_out_of_bounds_is_refused():
    with pytest.raises(ArgumentError, match="use more replicates"):
        streams.sobol_words(1, COLUMNS, [0], [256])
    with pytest.raises(ArgumentError, match="seed is -1"):
        streams.sobol_low(-1, COLUMNS)
    with pytest.raises(ArgumentError, match="kind from 0 to 15"):
        streams.pseudo_keys(1, [(16, 0, 0)])
    with pytest.raises(ArgumentError, match="replicate is -1"):
        streams.sobol_words(1, COLUMNS, [-1], [0])
