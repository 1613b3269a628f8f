"""Samples put into cells chunk by chunk, against sums over all of them at once."""

import dataclasses

import numpy as np
import pytest

import riskshare as rs
from riskshare.errors import NumericalError
from riskshare.summary.grid import CELLS, grid_of, thresholds_of
from riskshare.summary.tallies import Counter

LEVELS = np.array([0.05, 0.5, 0.95])
PARTS = np.array([2, 2, 0, 5, 5, 2])


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(4)
    drawn = rng.normal(size=(6, 2, 512)) * [[[1e5], [3.0]]] + [[[-4e6], [0.0]]]
    drawn[:, 1] = np.maximum(drawn[:, 1], -1.0)  # an atom
    return drawn.astype(np.float32)


@pytest.fixture(scope="module")
def grid(samples):
    pilot = np.moveaxis(samples[:2], 0, 1).reshape(2, -1)
    limits = thresholds_of([np.zeros(1), np.zeros(0)], np.dtype("f4"))
    return grid_of(pilot, None, LEVELS, limits)


@pytest.mark.parametrize("weighted", [False, True])
def test_counts_are_those_of_all_samples_at_once(samples, grid, weighted):
    weight = np.random.default_rng(5).uniform(size=(6, 512)).astype(np.float32)
    counts = Counter(grid)(samples, weight if weighted else None, PARTS)
    mass = weight if weighted else np.ones((6, 512))
    ends = grid.ends_of_middle()
    assert counts.parts.tolist() == [2, 0, 5, 2]
    runs = [slice(0, 2), slice(2, 3), slice(3, 5), slice(5, 6)]
    for series in range(2):
        x = samples[:, series].astype(np.float64)
        place = (x - grid.low[series]) / grid.step[series]
        assert counts.cells[0, series].sum() == pytest.approx(mass.sum(), rel=1e-6)
        assert counts.cells[1, series].sum() == pytest.approx((mass * place).sum(), rel=1e-5)
        middle = slice(CELLS // 4, CELLS // 2)
        inside = (place >= middle.start - 1) & (place < middle.stop - 1)
        number, places = counts.cells[:, series, middle].sum(axis=-1)
        assert number == pytest.approx(mass[inside].sum(), abs=1.01)
        assert places == pytest.approx((mass * place)[inside].sum(), abs=1.01 * CELLS / 2)
        for run, own in enumerate(runs):
            for level in range(len(LEVELS)):
                start, end = ends[series, level]
                below, upto = (float(mass[own][x[own] < edge].sum()) for edge in (start, end))
                # a sample within rounding of an edge may be counted on its other side
                assert counts.about[run, series, level] == pytest.approx([below, upto], abs=1.01)
                short = float((mass[own] * np.minimum(x[own] - start, 0)).sum())
                room = 2 * grid.step[series] + 1e-6 * abs(short)
                assert counts.short[run, series, level] == pytest.approx(short, abs=room)


def test_blocks_beyond_those_there_are_fill_the_shape(samples, grid):
    counts = Counter(grid)(samples, None, PARTS[:1])
    assert counts.cells[0].sum(axis=-1).tolist() == [512, 512]
    np.testing.assert_array_equal(counts.cells, Counter(grid)(samples[:1], None, PARTS[:1]).cells)


def test_samples_far_beyond_the_cells_count_where_they_lie(grid):
    far = np.float32([-1e9, 2e9, 5e9])
    counts = Counter(grid)(np.broadcast_to(far, (2, 2, 3)), None, np.array([0, 1]))
    assert counts.cells[0, 0, [0, -1]].tolist() == [2, 4]
    held = 2 * (far - grid.low[0]) / grid.step[0]
    found = counts.cells[1, 0, [0, -1]]
    assert found == pytest.approx([held[0], held[1:].sum()], rel=1e-6)
    assert counts.about[0, 0].tolist() == [[1, 1]] * len(LEVELS)


def test_a_sample_at_the_edge_of_a_cell_is_where_the_grid_has_it(grid):
    """Cells of the pilot's quantiles are found by NumPy, those of samples by the kernel."""
    edges = (grid.low[:, None] + grid.step[:, None] * np.arange(2048)).astype(np.float32)
    around = [np.nextafter(edges, np.float32(side)) for side in (-np.inf, np.inf)]
    samples = np.concatenate([edges, *around], axis=1)
    levels = np.linspace(0.01, 0.99, samples.shape[1])
    own = dataclasses.replace(grid, levels=levels, middle=samples)
    counts = Counter(own)(samples[None], None, np.array([0]))
    held = np.stack([np.bincount(row, minlength=CELLS + 2) for row in own.middle_cells])
    np.testing.assert_array_equal(counts.cells[0], held)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_first_chunk_that_fails_holds_nobody_up(workers):
    large = rs.load_case("msk-toy").with_numbers({"lines.outpatients.price": 1e38})
    with pytest.raises(NumericalError, match="too large"):
        rs.estimate(large, samples=2**19, workers=workers)
