"""Running the kernel over the chunks of a run, on threads."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from riskshare.bind import Bound
from riskshare.errors import ArgumentError, NumericalError
from riskshare.program.block import given_chunk, pseudo_chunk, sobol_chunk
from riskshare.run.own import OwnDraws
from riskshare.run.precision import cast, computing_in, too_large
from riskshare.run.sampling import Bits, Chunk, Sampling

Progress = Callable[[int, int], None]
"""Called with the samples done and the samples there will be."""

NOT_REPORTED = (
    "cost_released",
    "stranded",
    "lost_contribution",
    "other_position",
    "saving_released",
    "saving_cash",
    "underlying",
)
"""Results that are NaN where a cost is given, or the rest of an organisation is not known."""


def run_chunks(
    bound: Bound,
    sampling: Sampling,
    keep: tuple[str, ...],
    dtype: Any,
    workers: int | None,
    progress: Progress | None,
    own: OwnDraws | None = None,
    afresh: frozenset[tuple[int, int]] = frozenset(),
) -> dict[str, Any]:
    """Run the kernel over all chunks of a run; returns (year, ..., sample) arrays by name.

    With draws of a planner's own, what they hold stands in place of what is drawn. Columns in
    ``afresh`` are drawn once more (`riskshare.run.sampling.Bits`).

    Two threads over chunks use two cores as well as two XLA host devices do, without touching
    XLA's flags. The first chunk runs alone, so that the kernel is compiled once.
    """
    bits = Bits(bound, sampling, afresh)
    leaves = cast(bound.numbers, dtype)
    kernel = sobol_chunk if sampling.sampler == "sobol" else pseudo_chunk
    arrays: dict[str, Any] = {}

    unknown = NOT_REPORTED if own is not None and own.given.cost is not None else ()

    def outputs_of(chunk: Chunk) -> Any:
        inputs = (bound.structure, leaves, bits.shared, bits.of(chunk))
        if own is None:
            return kernel(*inputs, keep=keep, dtype=dtype)
        return given_chunk(*inputs, own.of(chunk, dtype), keep=keep, dtype=dtype)

    def run(chunk: Chunk) -> int:
        with computing_in(dtype):
            outputs = jax.tree.map(np.asarray, outputs_of(chunk))
        check_finite({n: v for n, v in outputs.items() if n not in unknown}, dtype)
        if not arrays:
            arrays.update(jax.tree.map(lambda part: _space(part, sampling.samples), outputs))
        jax.tree.map(lambda whole, part: _place(whole, part, chunk), arrays, outputs)
        return chunk.samples

    chunks = list(sampling.chunks())
    done = run(chunks[0])
    if progress is not None:
        progress(done, sampling.samples)
    with ThreadPoolExecutor(threads(workers)) as pool:
        for finished in pool.map(run, chunks[1:]):
            done += finished
            if progress is not None:
                progress(done, sampling.samples)
    return arrays


def check_finite(outputs: Any, dtype: Any) -> None:
    """Raise `NumericalError` where a result is not finite."""
    for part in jax.tree.leaves(outputs):
        if not np.isfinite(part.sum(dtype=np.float64)):
            raise NumericalError(too_large(dtype))


def threads(workers: int | None) -> int:
    """Return how many threads to use: those asked for, or one for each core."""
    if workers is not None and (not isinstance(workers, int) or workers < 1):
        raise ArgumentError(f"workers is {workers!r}; accepted: a whole number of at least 1")
    return workers or os.cpu_count() or 1


def _space(part: NDArray[Any], samples: int) -> NDArray[Any]:
    """Return room for all samples of an output of shape (block, year, ..., sample)."""
    return np.empty((*part.shape[1:-1], samples), part.dtype)


def _place(whole: NDArray[Any], part: NDArray[Any], chunk: Chunk) -> None:
    for i, (start, size) in enumerate(zip(chunk.start, chunk.size, strict=True)):
        whole[..., start : start + size] = part[i, ..., :size]
