"""Simulation: draw, settle and collect, or draw alone."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from riskshare.bind import Bound, bind
from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.outcomes import OUTCOMES, attributes, draws_dataset, offered, outcomes_dataset
from riskshare.program.compiling import SHORT
from riskshare.run.batch import over_parameters
from riskshare.run.chunks import Progress, run_chunks
from riskshare.run.directions import leading_of, recorded
from riskshare.run.lazy import lazy_outcomes
from riskshare.run.memory import (
    DRAW_REMEDY,
    REMEDY,
    draw_bytes,
    outcome_bytes,
    refuse_too_large,
)
from riskshare.run.own import OwnDraws, own_draws
from riskshare.run.precision import dtype_of
from riskshare.run.sampling import REPLICATES, Sampling, sampling_of
from riskshare.run.spanned import served

SAMPLES = 65_536
"""Samples of a run that says nothing of them."""


def simulate(
    case: Case,
    *,
    samples: int | None = None,
    seed: int = 1,
    sampler: str | None = None,
    replicates: int = REPLICATES,
    precision: str = "float32",
    keep: Sequence[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    given: xr.Dataset | None = None,
    chance: str | Mapping[str, str] | None = None,
    repeats: int = 1,
    directions: xr.DataArray | None = None,
    device: str | None = None,
    chunks: int | None = None,
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
        How many, 65,536 unless said; Sobol' runs round up to a power of two for each replicate, and
        the result says how many there are.
    seed
        From 0 to 4294967295.
    sampler
        ``sobol`` (scrambled, quasi-random; the default) or ``pseudo-random``.
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
    given
        Draws of a planner's own (`riskshare.read_draws`), which stand in place of what would be
        drawn; all else is drawn and added. The samples are the runs, each ``repeats`` times, with
        the ``weight`` of a run where it has one, and what is added is pseudo-random: points of a
        Sobol' sequence cover space evenly in their order, and a run's number would tie what is
        given to their low bits.
    chance
        What given activity means on lines that vary by chance of their own: ``on-top`` (a mean, to
        which that chance is added) or ``included``; a mapping says it by line.
    repeats
        How many independent draws of all else each given run meets. Samples of one run depend on
        each other, so ``replicate`` is then the run, and standard errors are those between runs
        (which the planner's model must have drawn independently).
    directions
        Leading directions, from `riskshare.leading_directions` or `riskshare.tail_directions`: the
        first columns of the sampler then move positions most. The result holds them. Those of a
        tail make samples weighted: the result then holds ``weight``.
    device
        ``cpu``, ``gpu``, or one of them such as ``gpu:0``; what JAX prefers unless given.
    chunks
        Samples to compute at a time: the result is then lazy, made of dask arrays (extra
        ``riskshare[dask]``) that hold the same numbers, and no sample is computed before it is
        used. Rounded up to whole blocks of 4,096, and the result says to how many
        (``chunk_samples``); multiples of 32,768 are fastest. dask's scheduler has the threads.

    Returns
    -------
    xarray.Dataset
        ``received``, ``paid``, ``cost``, ``position`` on (year, partner, sample); ``posting`` on
        (year, term, partner, sample); ``line_cost``, ``cost_released``, ``stranded``,
        ``lost_contribution`` on (year, line, sample); ``replicate`` on (sample) for Sobol' runs,
        ``weight`` on (sample) where samples are weighted. Money of each year in the case's
        currency, positive is good for the partner.

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

    def one(at: Case, bound: Bound, place: Mapping[str, int]) -> xr.Dataset:
        del place
        names = kept(keep, bound)
        refuse_persons(bound)
        own = None if given is None else own_draws(at, bound, given, chance, repeats)
        sampling, asked = _sampling(samples, seed, sampler, replicates, own)
        bound = bound if own is None else served(at, bound, own)
        leading = leading_of(directions, at, bound)
        attrs = attributes(at, precision) | sampling.attributes(asked)
        dtype = dtype_of(precision)
        soon = sets == 1 and sampling.samples <= SHORT
        if chunks is not None:
            lazy = lazy_outcomes(
                at, bound, sampling, names, precision, attrs, chunks, leading, device, soon
            )
            return recorded(lazy, directions)
        needed = sets * outcome_bytes(bound, names, sampling.samples, dtype)
        refuse_too_large(needed, f"outcomes of {sampling.samples:,} samples", REMEDY)
        arrays = run_chunks(
            bound,
            sampling,
            names,
            dtype,
            workers,
            progress,
            own,
            leading=leading,
            device=device,
            soon=soon,
        )
        if own is None:
            found = outcomes_dataset(at, bound, arrays, attrs, sampling.replicate())
            return recorded(found, directions)
        found = outcomes_dataset(at, bound, arrays, attrs | own.attrs, own.replicate())
        return own.named(found)

    _only_with(given, chance, repeats, directions)
    _only_now(chunks, given, workers, progress)
    sets = _sets(parameters)
    return over_parameters(case, parameters, one)


def draw(
    case: Case,
    *,
    samples: int | None = None,
    seed: int = 1,
    sampler: str | None = None,
    replicates: int = REPLICATES,
    precision: str = "float32",
    workers: int | None = None,
    progress: Progress | None = None,
    given: xr.Dataset | None = None,
    chance: str | Mapping[str, str] | None = None,
    repeats: int = 1,
    directions: xr.DataArray | None = None,
    device: str | None = None,
) -> xr.Dataset:
    """Draw the experience of a case: what may happen, before any contract.

    Parameters are those of `simulate`.

    Returns
    -------
    xarray.Dataset
        ``activity`` (units), ``case_mix`` (index), ``unit_cost`` (money per case-mix unit at
        baseline volume) on (year, line, sample); ``driver_index`` on (year, driver, sample), a
        change's delivery being the driver ``delivery[<change>]``; ``members`` on (year,
        population, sample); ``replicate`` on (sample) for Sobol' runs. Where the case has them,
        ``waiting_list`` on (year, line, sample) of lines with a capacity, and ``person_cost`` on
        (year, person, sample) of people drawn one by one, whose line is ``person_line``.

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
    _only_with(given, chance, repeats, directions)
    bound = bind(case)
    own = None if given is None else own_draws(case, bound, given, chance, repeats)
    sampling, asked = _sampling(samples, seed, sampler, replicates, own)
    bound = bound if own is None else served(case, bound, own)
    dtype = dtype_of(precision)
    needed = draw_bytes(bound, sampling.samples, dtype)
    refuse_too_large(needed, f"draws of {sampling.samples:,} samples", DRAW_REMEDY)
    leading = None if own is not None else leading_of(directions, case, bound)
    arrays = run_chunks(
        bound,
        sampling,
        drawn(bound),
        dtype,
        workers,
        progress,
        own,
        leading=leading,
        device=device,
        soon=sampling.samples <= SHORT,
    )
    attrs = attributes(case, precision) | sampling.attributes(asked)
    if own is None:
        found = draws_dataset(case, bound, arrays, attrs, sampling.replicate())
        return recorded(found, directions)
    found = draws_dataset(case, bound, arrays, attrs | own.attrs, own.replicate())
    if own.given.cost is not None:
        cost = np.repeat(own.given.cost.astype(dtype), own.repeats, axis=-1)
        found["cost"] = (("year", "line", "sample"), cost)
    return own.named(found)


def _only_with(given: xr.Dataset | None, chance: object, repeats: int, directions: object) -> None:
    """Refuse what is said of given draws where there are none, and what does not go with them."""
    if given is not None and directions is not None:
        raise ArgumentError("directions turn a sampler's own draws; leave them out, or given")
    if given is None and (chance is not None or repeats != 1):
        raise ArgumentError(
            "chance and repeats speak of given draws; give them, or leave these out"
        )


def _only_now(
    chunks: int | None,
    given: xr.Dataset | None,
    workers: int | None,
    progress: Progress | None,
) -> None:
    """Refuse what a result that is computed later cannot have."""
    if chunks is None:
        return
    if given is not None:
        raise ArgumentError(
            "chunks make a result that is computed later, which given draws cannot have; leave "
            "chunks out, or given"
        )
    if workers is not None or progress is not None:
        raise ArgumentError(
            "workers and progress belong to a run that is computed now; with chunks leave them "
            "out and tell dask: dask.config.set(num_workers=2), dask.diagnostics.ProgressBar()"
        )


def _sets(parameters: Mapping[str, Any] | None) -> int:
    """Return how many results of one set of numbers are held at a time.

    Several sets are joined in the end, and then there twice.
    """
    arrays = [a for a in (parameters or {}).values() if isinstance(a, xr.DataArray)]
    sizes = {name: size for array in arrays for name, size in array.sizes.items()}
    return 2 * math.prod(sizes.values()) if sizes else 1


def _sampling(
    samples: int | None, seed: int, sampler: str | None, replicates: int, own: OwnDraws | None
) -> tuple[Sampling, int]:
    """Return the samples of a run, and how many were asked for."""
    if own is None:
        asked = SAMPLES if samples is None else samples
        return sampling_of(asked, seed, "sobol" if sampler is None else sampler, replicates), asked
    if samples not in (None, own.samples):
        raise ArgumentError(
            f"samples is {samples}, and there are {len(own.runs)} given runs x {own.repeats} "
            f"repeats = {own.samples}; leave samples out, or say repeats"
        )
    if sampler not in (None, "pseudo-random"):
        raise ArgumentError(
            f"sampler is {sampler!r}; accepted with given draws: pseudo-random, as a Sobol' "
            "sequence would tie the number of a run to its points"
        )
    return sampling_of(own.samples, seed, "pseudo-random", replicates), own.samples


def drawn(bound: Bound) -> tuple[str, ...]:
    """Return what there is to draw in a case."""
    found = ["activity", "case_mix", "unit_cost", "driver_index"]
    if bound.structure.limited:
        found.append("waiting_list")
    if sum(bound.structure.slots):
        found.append("person_cost")
    return tuple(found)


def refuse_persons(bound: Bound) -> None:
    """Refuse to draw for terms that need people's cost on lines that have no law of it."""
    structure = bound.structure
    for name, slot in zip(structure.term_names, bound.numbers.yearly.terms, strict=True):
        lines = set(slot.term.person_lines()) - set(structure.peopled)
        if "persons" in slot.term.needs() and np.any(slot.term.in_force > 0) and lines:
            raise ArgumentError(
                f"{name} needs the cost of each person, and some of its lines have no law of it: "
                "give those lines people, settle an experience with person_cost, or switch the "
                "term off (in_force = 0)"
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
