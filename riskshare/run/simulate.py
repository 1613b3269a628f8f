"""Simulation: draw, settle and collect, or draw alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from riskshare.bind import Bound, bind
from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.outcomes import OUTCOMES, attributes, draws_dataset, offered, outcomes_dataset
from riskshare.run.batch import over_parameters
from riskshare.run.chunks import Progress, run_chunks
from riskshare.run.precision import dtype_of
from riskshare.run.sampling import REPLICATES, sampling_of

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
