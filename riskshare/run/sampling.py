"""Which samples a run takes: how many, in which replicates and blocks, from which stream."""

import numbers
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskshare.bind import Bound
from riskshare.bind.laws import Column
from riskshare.errors import ArgumentError
from riskshare.program.source import PseudoKeys, SobolPoints, Source
from riskshare.program.streams import (
    BLOCK,
    BLOCKS,
    pseudo_keys,
    sobol_high,
    sobol_low,
    sobol_shifts,
)

SAMPLERS = ("sobol", "pseudo-random")

PER_REPLICATE = 2**16
"""Points of a replicate at most; longer runs have more replicates. A sequence in many dimensions
leaves some boxes of some four of them empty for good: its error stops falling, while that of more
replicates falls at least with the root of their number."""

REPLICATES = 16
"""Independent randomisations of a Sobol' run, between which standard errors are taken."""


@dataclass(frozen=True)
class Sampling:
    """The samples of a run, in replicates of one size; a pseudo-random run has just one.

    Sobol' counts are a power of two for each replicate, rounded up.
    """

    sampler: str
    seed: int
    replicates: int
    per_replicate: int

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return self.replicates * self.per_replicate

    def attributes(self, asked: int) -> dict[str, Any]:
        """Return what a result says of its samples."""
        found = {
            "sampler": self.sampler,
            "seed": self.seed,
            "samples": self.samples,
            "samples_asked": int(asked),
        }
        return found | ({"replicates": self.replicates} if self.sampler == "sobol" else {})

    def replicate(self) -> NDArray[np.int32] | None:
        """Return the replicate that each sample belongs to; None where samples are independent."""
        if self.sampler != "sobol":
            return None
        return np.repeat(np.arange(self.replicates, dtype=np.int32), self.per_replicate)

    def blocks(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the replicate and the number in it of each block of the run."""
        each = -(-self.per_replicate // BLOCK)
        return np.divmod(np.arange(self.replicates * each), each)

    def chunks(self, width: int, blocks: slice = slice(None)) -> Iterator["Chunk"]:
        """Yield the chunks of so many blocks that make up the run, or a part of its blocks."""
        replicate, block = (which[blocks] for which in self.blocks())
        yield from self.chunked(replicate, block, width)

    def chunked(
        self, replicate: NDArray[Any], block: NDArray[Any], width: int
    ) -> Iterator["Chunk"]:
        """Yield chunks of the given blocks."""
        start = replicate * self.per_replicate + block * BLOCK
        size = np.minimum(BLOCK, self.per_replicate - block * BLOCK)
        for first in range(0, len(block), width):
            part = slice(first, first + width)
            yield Chunk(replicate[part], block[part], start[part], size[part], width)


@dataclass(frozen=True)
class Chunk:
    """Blocks that run in one call: replicate, number in the replicate, first sample, samples."""

    replicate: NDArray[Any]
    block: NDArray[Any]
    start: NDArray[Any]
    size: NDArray[Any]
    width: int
    """Blocks of a whole chunk."""

    def padded(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values of the blocks with the last repeated to a whole chunk."""
        missing = self.width - len(values)
        return np.pad(values, (0, missing), mode="edge") if missing else values

    @property
    def samples(self) -> int:
        """How many samples the chunk holds."""
        return int(self.size.sum())


def sampling_of(samples: int, seed: int, sampler: str, replicates: int) -> Sampling:
    """Return the samples that a run of at least ``samples`` takes."""
    if sampler not in SAMPLERS:
        raise ArgumentError(f"sampler is {sampler!r}; accepted: {', '.join(SAMPLERS)}")
    samples = _whole("samples", samples, 1, 10**12)
    seed = _whole("seed", seed, 0, 2**32 - 1)
    if sampler == "pseudo-random":
        return Sampling(sampler, seed, 1, samples)
    replicates = _whole("replicates", replicates, 2, 2**20)
    most = 2**16  # replicates, whose shifts are all held; beyond, each is longer
    while samples > replicates * (PER_REPLICATE if replicates < most else BLOCKS * BLOCK):
        replicates *= 2
    per_replicate = 1 << max(0, (-(-samples // replicates) - 1).bit_length())
    return Sampling(sampler, seed, replicates, per_replicate)


def _whole(name: str, value: object, least: int, most: int) -> int:
    whole = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not whole or value != value // 1 or not least <= value <= most:  # type: ignore[operator]  # a real number
        raise ArgumentError(
            f"{name} is {value!r}; accepted: a whole number of at least {least}, at most {most:,}"
        )
    return int(value)


def columns_of(bound: Bound) -> tuple[Column, ...]:
    """Return the random columns of all years, a year's together."""
    return tuple(
        (kind, index, year)
        for year in range(bound.structure.years)
        for kind, index, _ in bound.columns
    )


_AFRESH = 0x5EED_0000
_YEARS_APART = 16
"""Redrawn columns take the Sobol' dimensions of later years: beside their old selves, two columns
of one dimension would not fill the square."""


@lru_cache(maxsize=4)
def _low(seed: int, columns: tuple[Column, ...], shape: tuple[int, int]) -> SobolPoints:
    """Return the points of the first block, made once: runs of a case differ in the rest."""
    return SobolPoints(sobol_low(seed, columns).reshape(*shape, BLOCK))


class Bits:
    """Where the random bits of a run come from: what the kernel takes for each chunk.

    Columns of the kinds and indices in ``afresh`` are drawn once more, apart from those of a run
    without it; all others are the same bit for bit.
    """

    def __init__(
        self, bound: Bound, sampling: Sampling, afresh: frozenset[tuple[int, int]] = frozenset()
    ) -> None:
        self.sampling, self.columns = sampling, columns_of(bound)
        self.shape = (bound.structure.years, len(bound.columns))
        again = np.array([column[:2] in afresh for column in self.columns], bool)
        streams = [(sampling.seed, self.columns)]
        if again.any():
            later = tuple((kind, i, year + _YEARS_APART) for kind, i, year in self.columns)
            streams.append((sampling.seed ^ _AFRESH, later))

        def picked(made: list[NDArray[Any]], axis: int) -> NDArray[Any]:
            if len(made) == 1:
                return made[0]
            where = again.reshape([-1 if a == axis else 1 for a in range(made[0].ndim)])
            return np.where(where, made[1], made[0])

        self.source: Source
        if sampling.sampler == "sobol":
            low = [_low(seed, columns, self.shape) for seed, columns in streams]
            self.source = low[0]
            if again.any():
                rows = again.reshape(*self.shape, 1)
                self.source = SobolPoints(np.where(rows, low[1].low, low[0].low))
            self._high = picked([sobol_high(seed, columns) for seed, columns in streams], 1)
            count = sampling.replicates
            shifts = [sobol_shifts(seed, columns, count) for seed, columns in streams]
            self._shifts = picked(shifts, 1)
        else:
            keys = picked([pseudo_keys(seed, columns) for seed, columns in streams], 0)
            self.source = PseudoKeys(keys.reshape(*self.shape, 2))

    def of(self, chunk: Chunk) -> NDArray[Any]:
        """Return the words, or the numbers, of the chunk's blocks."""
        return self.places(chunk.padded(chunk.replicate), chunk.padded(chunk.block))

    def places(self, replicate: NDArray[Any], block: NDArray[Any]) -> NDArray[Any]:
        """Return the words, or the numbers, of blocks of replicates."""
        if self.sampling.sampler == "pseudo-random":
            return block.astype(np.uint32)
        words = self._high[block] ^ self._shifts[replicate]
        return words.reshape(len(block), *self.shape)
