"""Numbers packed for a kernel are the numbers that were there."""

from functools import partial

import jax
import numpy as np
import pytest

import riskshare as rs
from riskshare.bind import bind
from riskshare.bind.packed import PackedLeaves, packed, unpacked
from riskshare.program.block import count_traces, sample_blocks
from riskshare.run.precision import cast
from riskshare.run.sampling import Bits, sampling_of

SEVERAL = [name for name in rs.case_names() if len(rs.load_case(name).years) > 1]


def leaves_of(name, dtype=np.float32):
    return cast(bind(rs.load_case(name)).numbers, dtype)


def assert_same(ours, theirs):
    found, expected = jax.tree.flatten(ours), jax.tree.flatten(theirs)
    assert found[1] == expected[1]
    for one, other in zip(found[0], expected[0], strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SEVERAL)
def test_every_number_comes_back_of_all_years_and_of_one(name, dtype):
    leaves = leaves_of(name, dtype)
    found = packed(leaves)
    assert isinstance(found, PackedLeaves)
    assert_same((found.laws, found.world), (leaves.laws, leaves.world))
    assert_same(unpacked(found.yearly), leaves.yearly)
    for year in range(len(leaves.yearly.number)):
        of_year = lambda leaf, at=year: np.asarray(leaf[at])  # noqa: E731
        one = unpacked(jax.tree.map(of_year, found.yearly))
        assert_same(one, jax.tree.map(of_year, leaves.yearly))


def test_most_arrays_of_a_year_are_packed_and_tables_and_matrices_are_not():
    leaves = leaves_of("six-provider-collaboratives")
    found = packed(leaves).yearly
    arrays = jax.tree.leaves(leaves.yearly)
    assert len(found.alone) < len(arrays) / 4
    for array in found.alone:
        matrix = max(array.shape[1:], default=1) < array[0].size
        assert matrix or array.size == 0 or not np.issubdtype(array.dtype, np.floating)
    entries = found.numbers.shape[1] + sum(a[0].size for a in found.alone)
    assert entries == sum(a[0].size for a in arrays)


def test_one_year_is_not_packed():
    leaves = leaves_of("msk-toy")
    assert packed(leaves) is leaves
    assert unpacked(leaves.yearly) is leaves.yearly


@pytest.mark.parametrize("name", ["alzira", "six-provider-collaboratives"])
def test_a_kernel_gives_the_same_positions_packed_or_not(name):
    bound = bind(rs.load_case(name))
    leaves = cast(bound.numbers, np.float32)
    sampling = sampling_of(8192, 1, "sobol", 2)
    bits = Bits(bound, sampling)
    chunk = next(iter(sampling.chunks(1)))
    first, second = (
        np.asarray(
            sample_blocks.fast(
                bound.structure, numbers, bits.source, bits.of(chunk), keep=("position",),
                dtype=np.float32,
            )["position"]
        )
        for numbers in (packed(leaves), leaves)
    )  # fmt: skip
    scale = np.abs(second).max()
    assert scale > 1e5
    np.testing.assert_allclose(first, second, rtol=0, atol=2e-6 * scale)


def test_other_numbers_of_one_structure_do_not_compile_again():
    case = rs.load_case("alzira")
    other = case.with_numbers({"members.residents.count": 250_000.0, "drivers.demand.sd": 0.03})
    run = partial(rs.simulate, samples=4096, keep=("position",))
    before = run(case).position
    with count_traces() as traced:
        after = run(other).position
    assert traced == []
    assert not np.allclose(before, after)
