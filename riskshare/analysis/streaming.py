"""A run whose samples are reduced as they come, and which may be made longer."""

import threading
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from riskshare.program.reduce import Balances, Cells, Reduction, Series
from riskshare.program.streams import BLOCK
from riskshare.run.chunks import Kernel, Progress, check_finite
from riskshare.run.precision import cast
from riskshare.run.sampling import Chunk, Sampling
from riskshare.statistics import Floats
from riskshare.summary.grid import CELLS, Grid, grid_of, thresholds_of
from riskshare.summary.layout import Layout
from riskshare.summary.streamed import Streamed
from riskshare.summary.tallies import Counter, Counts, Tallies

PARTS = 64
"""Parts of a pseudo-random run, between which its standard errors are taken."""

MOST_PARTS = 256
"""Parts of a Sobol' run at most: beyond, several replicates make up one."""

PILOT = 4
"""Blocks of the pilot at most."""

LEAST = 16
"""Blocks of a pseudo-random run at least."""


class Streaming:
    """The tallies of a run so far, and how they grow.

    A pilot, the first blocks of the run, lays the grid of cells in which samples are counted. Where
    the host counts it lays it from the first chunk, as it comes; a device that counts is given the
    grid, and draws the pilot's samples again with the others.
    """

    def __init__(
        self,
        kernel: Kernel,
        layout: Layout,
        levels: Floats,
        summed: tuple[str, ...],
        first: Sampling,
    ) -> None:
        """Run the pilot where a device counts.

        Parameters
        ----------
        levels
            Of quantiles, in increasing order.
        summed
            Names of the results whose means are wanted.
        first
            The run, or the first of its stages.
        """
        self.kernel, self.layout, self.levels, self.summed = kernel, layout, levels, summed
        self.thresholds = thresholds_of(layout.thresholds(), np.dtype(kernel.dtype))
        self.tallies: Tallies | None = None
        self.grid: Grid | None = None
        self.count: Counter | None = None
        """Where the host counts; None until the grid is laid."""
        self._laid = threading.Event()
        self._counts_itself = not kernel.devices.shared_memory
        if self._counts_itself:
            chunk = next(first.chunks(kernel.devices.counted_width))
            count = layout.series
            nowhere = Cells(
                np.zeros((count, 1)), np.ones((count, 1)), np.zeros((count, len(levels), 2)), CELLS
            )
            self._lay(self._outputs(chunk, 0, self._reduction(nowhere)))

    def extend(self, before: Sampling | None, after: Sampling, progress: Progress | None) -> None:
        """Take the samples of a run that an earlier, shorter one does not have."""
        cells = None if not self._counts_itself or self.grid is None else self.grid.cells()
        reduction = self._reduction(cells)

        def work(chunk: Chunk, turn: int) -> tuple[Any, Counts]:
            parts = parts_of(after, chunk)
            try:
                outputs = self._outputs(chunk, turn, reduction)
                if turn == 0:
                    if self.grid is None:
                        self._lay(outputs)
                    # before the others, so that the program that counts is compiled once
                    return outputs, self._counts(outputs, parts)
            finally:
                if turn == 0:  # those that wait for the grid must not wait for what has failed
                    self._laid.set()
            self._laid.wait()
            return outputs, self._counts(outputs, parts)

        chunks = after.chunked(*_new_blocks(before, after), self.kernel.devices.counted_width)
        for chunk, (outputs, counts) in self.kernel.map(work, chunks):
            assert self.grid is not None
            if self.tallies is None:
                self.tallies = Tallies(count_of(after), self.grid.centre.astype(np.float64))
            self.tallies.grow(count_of(after))
            self.tallies.add(outputs, parts_of(after, chunk), BLOCK)
            self.tallies.count(counts)
            if progress is not None:
                progress(self.tallies.samples, after.samples)

    def streamed(self) -> Streamed:
        """Return the statistics so far."""
        assert self.tallies is not None
        assert self.grid is not None
        tilted = self.kernel.leading is not None and self.kernel.leading.tilt is not None
        return Streamed(self.layout, self.tallies, self.grid, tilted)

    def _outputs(self, chunk: Chunk, turn: int, reduction: Reduction) -> Any:
        """Return what the kernel makes of a chunk, as NumPy arrays but for series and weights."""
        made = self.kernel(chunk, turn, reduction)
        there = {name: made.pop(name) for name in ("series", "weight") if name in made}
        outputs = jax.tree.map(np.asarray, made)
        check_finite(outputs, self.kernel.dtype)
        return outputs | there

    def _counts(self, outputs: Any, parts: NDArray[np.intp]) -> Counts:
        """Return where the samples of a chunk lie, and take what says so from its outputs."""
        series, weight = outputs.pop("series"), outputs.pop("weight", None)
        if self.count is None:
            return _counts_of(outputs, parts)
        return self.count(series, weight, parts)

    def _lay(self, outputs: Any) -> None:
        """Lay the grid from the samples of a chunk."""
        pilot = np.moveaxis(np.asarray(outputs["series"])[:PILOT], 0, 1)
        weight = outputs.get("weight")
        own = None if weight is None else np.asarray(weight)[:PILOT].ravel()
        self.grid = grid_of(pilot.reshape(len(pilot), -1), own, self.levels, self.thresholds)
        if not self._counts_itself:
            self.count = Counter(self.grid)

    def _reduction(self, cells: Cells | None) -> Reduction:
        """Return what the kernel is to reduce: of one shape throughout, it compiles once."""
        layout, balances = self.layout, None
        if layout.holders.size:
            balances = Balances(layout.openings[:, :, None], tuple(layout.balances.tolist()))
        series = Series(layout.sums, layout.yearly, layout.together, self.thresholds, cells)
        reduction = Reduction(series, balances, self.summed)
        found: Reduction = cast(reduction, self.kernel.dtype)
        return found


def _new_blocks(
    before: Sampling | None, after: Sampling
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return replicate and number of the blocks that are new."""
    replicate, block = after.blocks()
    if before is None:
        return replicate, block
    new = (replicate >= before.replicates) | (block >= before.per_replicate // BLOCK)
    return replicate[new], block[new]


def parts_of(sampling: Sampling, chunk: Chunk) -> NDArray[np.intp]:
    """Return the independent part of the run that each block of a chunk belongs to."""
    if sampling.sampler == "pseudo-random":
        return np.asarray(chunk.block % PARTS, np.intp)
    return np.asarray(chunk.replicate % MOST_PARTS, np.intp)


def count_of(sampling: Sampling) -> int:
    """Return how many independent parts a run has."""
    return PARTS if sampling.sampler == "pseudo-random" else min(sampling.replicates, MOST_PARTS)


def _counts_of(outputs: Any, part_of: NDArray[np.intp]) -> Counts:
    """Return what the device counted of a chunk: cells together, the rest block by block."""
    parts = np.unique(part_of)
    own = (parts[:, None] == part_of).astype(np.float64)
    about, short = (
        np.tensordot(own, outputs["reduced"].pop(name)[: len(part_of)].astype(np.float64), axes=1)
        for name in ("about", "short")
    )
    return Counts(outputs.pop("cells"), parts, about, short)


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
    """Return the run with whole blocks in each replicate; a pseudo-random one has some of them."""
    least = LEAST if sampling.sampler == "pseudo-random" else 1
    each = max(-(-sampling.per_replicate // BLOCK), least) * BLOCK
    return Sampling(sampling.sampler, sampling.seed, sampling.replicates, each)
