"""Simulation: draw, settle and collect, or draw alone."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.bind import Bound, bind
from riskshare.case import Case
from riskshare.errors import ArgumentError, NumericalError
from riskshare.outcomes import OUTCOMES, attributes, draws_dataset, offered, outcomes_dataset
from riskshare.program.block import pseudo_chunk, sobol_chunk
from riskshare.run.batch import over_parameters
from riskshare.run.precision import cast, computing_in, dtype_of, too_large
from riskshare.run.sampling import REPLICATES, Bits, Chunk, Sampling, sampling_of

Progress = Callable[[int, int], None]
"""Called with the samples done and the samples there will be."""

_DRAWN = ("activity", "case_mix", "unit_cost", "driver_index")


def simulate(
    case: Case,
    *,
    samples: int = 65_536,
    seed: int = 1,
    sampler: str = "sobol",
    replicates: int = REPLICATES,
    precision: str = "float32",
    keep: Sequence[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Draw the experience of a case, settle its contracts on it, and collect what comes out.

    Equal to ``settle(case, draw(case, ...))`` up to rounding, without holding the draws. The same
    seed gives the same samples bit for bit on the same platform; a line, year or term that is
    appended to a case moves no earlier draw.

    Parameters
    ----------
    case
        The case.
    samples
        How many; Sobol' runs round up to a power of two for each replicate, and the result says
        how many there are.
    seed
        From 0 to 4294967295.
    sampler
        ``sobol`` (scrambled, quasi-random) or ``pseudo-random``.
    replicates
        Independent randomisations of a Sobol' run; their spread gives standard errors.
    precision
        ``float32`` or ``float64`` (several times slower).
    keep
        Names of the variables to keep; all of them unless given.
    parameters
        Numbers of the case by path, in place of its own. A one-dimensional `xarray.DataArray`
        settles the case at each of its values and becomes a dimension of the result.
    workers
        Threads; one for each core unless given.
    progress
        Called after each chunk.

    Returns
    -------
    xarray.Dataset
        ``received``, ``paid``, ``cost``, ``position`` on (year, partner, sample); ``posting`` on
        (year, term, partner, sample); ``line_cost``, ``cost_released``, ``stranded``,
        ``lost_contribution`` on (year, line, sample); ``replicate`` on (sample) for Sobol' runs.
        Money of each year in the case's currency, positive is good for the partner.

    Raises
    ------
    ArgumentError
        For a value that means nothing, such as zero samples.

    Examples
    --------
    >>> import riskshare as rs
    >>> outcomes = rs.simulate(rs.load_case("msk-toy"), samples=4096, seed=1)
    >>> outcomes.sizes["sample"]
    4096
    """
    sampling = sampling_of(samples, seed, sampler, replicates)

    def one(at: Case, bound: Bound, place: Mapping[str, int]) -> xr.Dataset:
        del place
        names = kept(keep, bound)
        refuse_persons(bound)
        arrays = run_chunks(bound, sampling, names, dtype_of(precision), workers, progress)
        attrs = attributes(at, precision) | sampling.attributes(samples)
        return outcomes_dataset(at, bound, arrays, attrs, sampling.replicate())

    return over_parameters(case, parameters, one)


def draw(
    case: Case,
    *,
    samples: int = 65_536,
    seed: int = 1,
    sampler: str = "sobol",
    replicates: int = REPLICATES,
    precision: str = "float32",
    workers: int | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Draw the experience of a case: what may happen, before any contract.

    Parameters are those of `simulate`.

    Returns
    -------
    xarray.Dataset
        ``activity`` (units), ``case_mix`` (index), ``unit_cost`` (money per case-mix unit at
        baseline volume) on (year, line, sample); ``driver_index`` on (year, driver, sample), a
        change's delivery being the driver ``delivery[<change>]``; ``members`` on (year,
        population, sample); ``replicate`` on (sample) for Sobol' runs.

    Raises
    ------
    ArgumentError
        For a value that means nothing, such as zero samples.

    Examples
    --------
    >>> import riskshare as rs
    >>> rs.draw(rs.load_case("msk-toy"), samples=64).activity.dims
    ('year', 'line', 'sample')
    """
    sampling = sampling_of(samples, seed, sampler, replicates)
    bound = bind(case)
    arrays = run_chunks(bound, sampling, _DRAWN, dtype_of(precision), workers, progress)
    attrs = attributes(case, precision) | sampling.attributes(samples)
    return draws_dataset(case, bound, arrays, attrs, sampling.replicate())


def refuse_persons(bound: Bound) -> None:
    """Refuse to draw for terms that need person-level cost, which is given and never drawn."""
    structure = bound.structure
    for name, slot in zip(structure.term_names, bound.numbers.yearly.terms, strict=True):
        if "persons" in slot.term.needs() and np.any(slot.term.in_force > 0):
            raise ArgumentError(
                f"{name} needs the cost of each person, which is given and not drawn: settle an "
                "experience with person_cost, or switch the term off (in_force = 0)"
            )


def kept(keep: Sequence[str] | None, bound: Bound) -> tuple[str, ...]:
    """Return the names of the variables to keep, in the order of `OUTCOMES`."""
    if keep is None:
        return offered(bound)
    unknown = [name for name in keep if name not in OUTCOMES]
    if unknown or not keep or isinstance(keep, str):
        raise ArgumentError(f"keep is {keep!r}; accepted: names from {', '.join(OUTCOMES)}")
    if "other_position" in keep and not bound.structure.others:
        raise ArgumentError("keep names other_position, and no partner of the case has one")
    return tuple(name for name in OUTCOMES if name in keep)


def run_chunks(
    bound: Bound,
    sampling: Sampling,
    keep: tuple[str, ...],
    dtype: Any,
    workers: int | None,
    progress: Progress | None,
) -> dict[str, Any]:
    """Run the kernel over all chunks of a run; returns (year, ..., sample) arrays by name.

    Two threads over chunks use two cores as well as two XLA host devices do, without touching
    XLA's flags. The first chunk runs alone, so that the kernel is compiled once.
    """
    bits = Bits(bound, sampling)
    leaves = cast(bound.numbers, dtype)
    kernel = sobol_chunk if sampling.sampler == "sobol" else pseudo_chunk
    arrays: dict[str, Any] = {}

    def run(chunk: Chunk) -> int:
        with computing_in(dtype):
            outputs = kernel(
                bound.structure, leaves, bits.shared, bits.of(chunk), keep=keep, dtype=dtype
            )
            outputs = jax.tree.map(np.asarray, outputs)
        check_finite(outputs, dtype)
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
