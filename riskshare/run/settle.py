"""Settlement: the contracts applied to what happened, or to a planner's own draws."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
import xarray as xr

from riskshare.bind import Bound
from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.names import decimals
from riskshare.outcomes import attributes, digest, outcomes_dataset
from riskshare.program.block import settle_actuals, settle_block
from riskshare.program.experience import Experience
from riskshare.program.streams import BLOCK
from riskshare.run.batch import over_parameters, sets_of
from riskshare.run.carried import flat, opened, state_names
from riskshare.run.chunks import NOT_REPORTED, check_finite
from riskshare.run.contracts import check_years, settle_sets
from riskshare.run.devices import threads
from riskshare.run.given import GivenExperience, read_experience
from riskshare.run.precision import cast, computing_in
from riskshare.run.simulate import kept
from riskshare.run.transfers import with_account


def settle(
    case: Case,
    experience: xr.Dataset,
    *,
    missing: str = "error",
    opening: xr.DataArray | Mapping[str, float] | None = None,
    keep: Sequence[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    workers: int | None = None,
) -> xr.Dataset:
    """Settle a case's contracts on an experience.

    Without a ``sample`` dimension the experience is what really happened: it is settled in float64,
    each transfer and cost is rounded half to even to the currency's smallest unit (what is left
    goes to the term's ``residue`` partner), and the result has one sample. With one it is settled
    in the precision of the data and not rounded.

    Parameters
    ----------
    case
        The case.
    experience
        ``activity`` on (year, line[, sample]), and where given ``case_mix`` (1 unless given),
        ``unit_cost`` (planned unit cost unless given), ``cost`` (taken as it is in place of the
        cost model), ``driver_index`` on (year, driver), ``members`` on (year, population). Years of
        the case without any activity are not settled. ``replicate`` and ``weight`` on (sample) are
        handed on to the result.
    missing
        ``error``, or ``plan``: missing rows of actuals are filled from plan, and named in
        ``attrs["filled_from_plan"]``. Drivers, members and deliveries are never filled.
    opening
        Balances carried into the first settled year: ``closing`` of an earlier result, or values by
        name. Needed where that year is not the case's first and anything is carried.
    keep, parameters, workers
        As in `riskshare.simulate`.

    Returns
    -------
    xarray.Dataset
        The schema of `riskshare.simulate`, over the settled years. For actuals also ``closing`` on
        (year, state, sample), and ``transfer`` on (year, transfer): what each term moves, part by
        part, with the coordinates ``transfer_term``, ``transfer_part`` (a line or an index),
        ``transfer_from`` and ``transfer_to``; money before the residue of rounding. Also the
        working and the inputs, which `riskshare.statement` puts in words: ``step_quantity``,
        ``step_beyond``, ``step_rate``, ``step_amount`` on (year, step), ``input_value`` and
        ``input_from_plan`` on (year, input), ``transfer_share`` on (year, transfer, partner).

    Raises
    ------
    ExperienceError
        For values that are missing, unknown, doubled, negative or not numbers.
    """
    if not isinstance(experience, xr.Dataset):
        raise ArgumentError(
            f"experience is a {type(experience).__name__}; accepted: an xarray.Dataset, as of "
            "riskshare.draw or riskshare.read_actuals"
        )

    sets = sets_of(case, parameters, experience)
    if sets.dimensions and "sample" not in experience.dims:
        many = settle_sets(sets, experience, missing, opening, keep)
        if many is not None:
            many.attrs["case_digest"] = digest(case)
            many.attrs["parameters"] = sorted(parameters or {})
            return many

    def one(at: Case, bound: Bound, place: Mapping[str, int]) -> xr.Dataset:
        own = experience.isel({k: i for k, i in place.items() if k in experience.dims}, drop=True)
        names = kept(keep, bound)
        return _settle(at, bound, own, missing, opening, names, workers)

    return over_parameters(case, parameters, one, experience)


def _settle(
    case: Case,
    bound: Bound,
    experience: xr.Dataset,
    missing: str,
    opening: xr.DataArray | Mapping[str, float] | None,
    keep: tuple[str, ...],
    workers: int | None,
) -> xr.Dataset:
    given = read_experience(case, bound, experience, missing)
    check_years(case, bound, given, opening)
    per_unit = 10.0 ** decimals(case.currency) if given.actual else None
    settled_for = tuple(name for name in keep if name != "waiting_list")
    arrays, closing, moved = _run(case, bound, given, opening, settled_for, per_unit, workers)
    if "waiting_list" in keep and given.waiting is not None:
        arrays["waiting_list"] = given.waiting[:, list(bound.structure.limited)]
    precision = str(given.activity.dtype)
    sampled = "replicate" in experience and "sample" in experience["replicate"].dims
    replicate = experience["replicate"].values if sampled else None
    attrs = attributes(case, precision)
    if given.actual:
        attrs["rounded_to"] = 10.0 ** -decimals(case.currency)
        attrs["filled_from_plan"] = given.filled
    carried = None if closing is None else (state_names(case), closing)
    result = outcomes_dataset(case, bound, arrays, attrs, replicate, given.settled, carried)
    if "weight" in experience:
        result["weight"] = experience["weight"].variable
    return with_account(result, case, bound, moved, given, experience) if moved else result


def _run(
    case: Case,
    bound: Bound,
    given: GivenExperience,
    opening: Any,
    keep: tuple[str, ...],
    per_unit: float | None,
    workers: int | None,
) -> tuple[dict[str, Any], Any, Any]:
    """Settle in blocks of one shape, so that another sample count never recompiles.

    Returns results, and of actuals the closing balances and what each term moved.
    """
    dtype = given.activity.dtype
    leaves = cast(bound.numbers, dtype)
    samples = given.activity.shape[-1]
    size = 1 if given.actual else BLOCK
    everything = Experience(
        given.activity,
        given.case_mix,
        given.unit_cost,
        given.index,
        given.cost,
        given.other_position,
        given.person_cost,
        given.slot_cost,
    )
    carried = None
    if opening is not None:
        first = int(np.flatnonzero(given.settled)[0])
        carried = opened(case, bound, opening, first, samples, dtype)

    # an argument, so that XLA divides by it: it would multiply by the inverse of a constant
    unit = None if per_unit is None else np.float64(per_unit)

    program = settle_actuals() if given.actual else settle_block

    def block(start: int) -> Any:
        part = jax.tree.map(lambda leaf: _block(leaf, start, size), (everything, carried))
        with computing_in(dtype):
            outputs, states = program(
                bound.structure, leaves, *part, given.settled, unit, keep=keep
            )
            closing = states if given.actual else None
            outputs, closing = jax.tree.map(np.asarray, (outputs, closing))
        check_finite({n: v for n, v in outputs.items() if n not in NOT_REPORTED}, dtype)
        return outputs, closing

    starts = range(0, samples, size)
    first = block(0)
    with ThreadPoolExecutor(threads(workers)) as pool:
        parts = [first, *pool.map(block, starts[1:])]
    moved = {name: first[0].pop(name) for name in ("moved", "notes") if name in first[0]}
    arrays = jax.tree.map(
        lambda *leaves: np.concatenate(leaves, axis=-1)[..., :samples], *(p[0] for p in parts)
    )
    closing = flat(first[1]) if given.actual else None
    return arrays, closing if closing is not None and closing.size else None, moved


def _block(leaf: Any, start: int, size: int) -> Any:
    """Return samples start to start + size, the last repeated where there are fewer."""
    part = leaf[..., start : start + size]
    short = size - part.shape[-1]
    return np.pad(part, [(0, 0)] * (part.ndim - 1) + [(0, short)], mode="edge") if short else part
