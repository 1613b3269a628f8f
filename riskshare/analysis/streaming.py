"""A run whose samples are reduced as they come, and which may be made longer."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from riskshare.program.reduce import Balances, Cells, Limits, Reduction, Series
from riskshare.program.streams import BLOCK
from riskshare.run.chunks import Kernel, Progress, check_finite
from riskshare.run.precision import cast
from riskshare.run.sampling import Chunk, Sampling
from riskshare.statistics import Floats
from riskshare.summary.grid import CELLS, Grid, Samples, grid_of
from riskshare.summary.layout import Layout
from riskshare.summary.streamed import Streamed
from riskshare.summary.tallies import Counts, Tallies, counted

PARTS = 64
"""Parts of a pseudo-random run, between which its standard errors are taken."""

MOST_PARTS = 256
"""Parts of a Sobol' run at most: beyond, several replicates make up one."""

PILOT = 16
"""Blocks of the pilot."""


class Streaming:
    """The tallies of a run so far, and how they grow.

    A pilot, the first blocks of the run, lays the grid and says what sums are to be about. Its
    samples are drawn again with the others: that costs one chunk, and spares every other way.
    """

    def __init__(
        self, kernel: Kernel, layout: Layout, levels: Floats, zeros: Any, first: Sampling
    ) -> None:
        """Run the pilot.

        Parameters
        ----------
        levels
            Of quantiles, in increasing order.
        zeros
            By name of the results whose means are wanted, (year, row) of zeros.
        first
            The run, or the first of its stages.
        """
        self.kernel, self.layout = kernel, layout
        self.tallies: Tallies | None = None
        count, thresholds = len(layout.weights), layout.thresholds()
        widest = max((len(limits) for limits in thresholds), default=0)
        unknown = Limits(np.zeros((count, len(levels))), np.zeros((count, widest)))
        width = kernel.devices.width
        replicate, block = (which[:width] for which in _new_blocks(None, first))
        chunk = next(first.chunked(replicate, block, width))
        nowhere = np.zeros(count), np.ones(count), np.zeros((count, 2 * len(levels)))
        outputs = kernel(chunk, 0, self._reduction(zeros, unknown, *nowhere))
        outputs = jax.tree.map(np.asarray, outputs)
        check_finite(outputs, kernel.dtype)
        weight = outputs.get("weight")
        mass = BLOCK if weight is None else float(weight[0].sum())
        self.about = jax.tree.map(lambda gaps: gaps[0].astype(np.float64) / mass, outputs["sums"])
        pilot = np.moveaxis(outputs["series"][:PILOT], 0, 1).reshape(count, -1)
        own = None if weight is None else weight[:PILOT].ravel()
        self.grid = grid_of(pilot, own, levels, thresholds)

    def extend(self, before: Sampling | None, after: Sampling, progress: Progress | None) -> None:
        """Take the samples of a run that an earlier, shorter one does not have."""
        replicate, block = _new_blocks(before, after)
        grid, on_device = self.grid, not self.kernel.devices.shared_memory
        limits = Limits(grid.middle, grid.thresholds)
        edges = grid.ends_of_middle().reshape(len(grid.low), -1)
        reduction = self._reduction(self.about, limits, grid.low, grid.step, edges)

        def work(chunk: Chunk, turn: int) -> tuple[Any, Counts]:
            outputs = self.kernel(chunk, turn, reduction)
            series, weight = outputs.pop("series"), outputs.pop("weight", None)
            outputs = jax.tree.map(np.asarray, outputs)
            check_finite(outputs, self.kernel.dtype)
            parts = parts_of(after, chunk)
            if on_device:
                return outputs, _counts_of(outputs, grid, parts)
            return outputs, counted(grid, list(_by_part(np.asarray(series), weight, parts)))

        if self.tallies is None:
            self.tallies = Tallies(count_of(after), grid.middle[:, 0].astype(np.float64))
        self.tallies.grow(count_of(after))
        for chunk, (outputs, counts) in self.kernel.map(
            work, after.chunked(replicate, block, self.kernel.devices.width)
        ):
            self.tallies.add(outputs, self.about, parts_of(after, chunk), BLOCK)
            self.tallies.count(counts)
            if progress is not None:
                progress(self.tallies.samples, after.samples)

    def streamed(self) -> Streamed:
        """Return the statistics so far."""
        assert self.tallies is not None
        tilted = self.kernel.leading is not None and self.kernel.leading.tilt is not None
        return Streamed(self.layout, self.tallies, self.grid, tilted)

    def _reduction(
        self, about: Any, limits: Limits, low: Floats, step: Floats, edges: Floats
    ) -> Reduction:
        """Return what the kernel is to reduce: of one shape throughout, it compiles once."""
        layout, balances, cells = self.layout, None, None
        if not self.kernel.devices.shared_memory:
            cells = Cells(low[:, None], 1 / step[:, None], edges, CELLS)
        if layout.holders.size:
            balances = Balances(layout.balances, layout.openings[:, :, None])
        reduction = Reduction(Series(layout.weights, limits, cells), about, balances)
        found: Reduction = cast(reduction, self.kernel.dtype)
        return found


def _new_blocks(
    before: Sampling | None, after: Sampling
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return replicate and number of blocks that are new; those of a pilot come first."""
    replicate, block = after.blocks()
    if before is not None:
        each = before.per_replicate // BLOCK
        new = (replicate >= before.replicates) | (block >= each)
        return replicate[new], block[new]
    # a pilot takes the first block of each replicate; later ones run replicate by replicate
    first = np.lexsort((replicate, block))[:PILOT]
    order = np.concatenate([first, np.setdiff1d(np.arange(len(block)), first)])
    return replicate[order], block[order]


def parts_of(sampling: Sampling, chunk: Chunk) -> NDArray[np.intp]:
    """Return the independent part of the run that each block of a chunk belongs to."""
    if sampling.sampler == "pseudo-random":
        return np.asarray(chunk.block % PARTS, np.intp)
    return np.asarray(chunk.replicate % MOST_PARTS, np.intp)


def count_of(sampling: Sampling) -> int:
    """Return how many independent parts a run has."""
    return PARTS if sampling.sampler == "pseudo-random" else min(sampling.replicates, MOST_PARTS)


def _by_part(
    series: Samples, weight: Any, parts: NDArray[np.intp]
) -> Iterator[tuple[int, Samples, Samples | None]]:
    """Yield the samples of each part in blocks (block, series, sample) as (series, sample)."""
    held = None if weight is None else np.asarray(weight)
    for part in np.unique(parts):
        own = np.flatnonzero(parts == part)
        values = np.moveaxis(series[own], 0, 1).reshape(series.shape[1], -1)
        yield int(part), values, None if held is None else held[own].ravel()


def _counts_of(outputs: Any, grid: Grid, parts: NDArray[np.intp]) -> Counts:
    """Return what the device counted of a chunk: cells together, the rest block by block."""
    cells = outputs.pop("cells").astype(np.float64)
    about = outputs["reduced"].pop("about").reshape(-1, *grid.middle.shape, 2)
    rows = [np.flatnonzero(parts == part) for part in np.unique(parts)]
    by_part = [(int(parts[own[0]]), about[own].sum(axis=0, dtype=np.float64)) for own in rows]
    return Counts(cells, by_part)


def longer(sampling: Sampling, most: Sampling) -> Sampling | None:
    """Return the run of twice as many samples, within the one that has most; None where it ends."""
    if sampling.samples >= most.samples:
        return None
    if sampling.sampler == "pseudo-random":
        each = min(2 * sampling.per_replicate, most.per_replicate)
        return Sampling(sampling.sampler, sampling.seed, 1, each)
    if sampling.per_replicate < most.per_replicate:
        each = 2 * sampling.per_replicate
        return Sampling(sampling.sampler, sampling.seed, sampling.replicates, each)
    count = 2 * sampling.replicates
    return Sampling(sampling.sampler, sampling.seed, count, sampling.per_replicate)


def whole_blocks(sampling: Sampling) -> Sampling:
    """Return the run with whole blocks in each replicate; a pseudo-random one fills a pilot."""
    least = PILOT if sampling.sampler == "pseudo-random" else 1
    each = max(-(-sampling.per_replicate // BLOCK), least) * BLOCK
    return Sampling(sampling.sampler, sampling.seed, sampling.replicates, each)
