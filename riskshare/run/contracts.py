"""Many contracts settled at once on what happened under each: one call of one compiled kernel."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr

from riskshare.bind import Bound
from riskshare.bind.many import varied_leaves
from riskshare.case import Case
from riskshare.errors import ExperienceError, Problem
from riskshare.names import SAMPLE, decimals
from riskshare.outcomes import attributes, outcomes_dataset
from riskshare.program.block import settle_many
from riskshare.program.experience import Experience
from riskshare.run.batch import Sets
from riskshare.run.carried import flat, opened, state_names
from riskshare.run.given import GivenExperience, read_experience
from riskshare.run.precision import cast, computing_in
from riskshare.run.simulate import kept
from riskshare.run.tables import ready


def settle_sets(
    sets: Sets,
    experience: xr.Dataset,
    missing: str,
    opening: xr.DataArray | Mapping[str, float] | None,
    keep: Sequence[str] | None,
) -> xr.Dataset | None:
    """Settle actuals under every set of numbers; None where a case must be bound for each.

    Each set is settled as `riskshare.settle` does one, rounded to the smallest unit. The result has
    no transfers and no working: settle a contract by itself for its statement.
    """
    case, bound = sets.case, ready(sets.case)
    values = sets.values()
    varied = varied_leaves(case, bound, values) if values else {}
    if varied is None:
        return None
    names = kept(keep, bound)
    given = read_experience(case, bound, _stacked(experience, sets), missing, many=True)
    check_years(case, bound, given, opening)
    carried = None
    if opening is not None:
        first = int(np.flatnonzero(given.settled)[0])
        carried = opened(case, bound, opening, first, 1, np.float64)
    fields = (given.activity, given.case_mix, given.unit_cost, given.index, given.cost)
    apart = (given.other_position, given.person_cost, given.slot_cost)
    each = jax.tree.map(_by_set(sets.count), Experience(*fields, *apart))
    with computing_in(np.float64):
        outputs, states = settle_many(
            bound.structure,
            cast(bound.numbers, np.float64),
            varied,
            each,
            carried,
            given.settled,
            np.float64(10.0 ** decimals(case.currency)),
            keep=names,
        )
        outputs, states = jax.tree.map(np.asarray, (outputs, states))
    arrays = jax.tree.map(_samples_last, outputs)
    closing = flat(jax.tree.map(_samples_last, states))
    held = (state_names(case), closing) if closing.size else None
    attrs = attributes(case, "float64") | {
        "rounded_to": 10.0 ** -decimals(case.currency),
        "filled_from_plan": given.filled,
    }
    result = outcomes_dataset(case, bound, arrays, attrs, None, given.settled, held)
    return _unstacked(result, sets, experience)


def _stacked(experience: xr.Dataset, sets: Sets) -> xr.Dataset:
    """Return the experience with its contracts along one dimension, every set having one."""
    whole = experience
    for name, size in sets.dimensions.items():
        if name not in whole.dims:
            whole = whole.expand_dims({name: size})
    drop = [name for name in sets.dimensions if name in whole.coords]
    whole = whole.drop_vars(drop)
    variables = {
        name: variable
        if set(sets.dimensions) <= set(variable.dims)
        else variable.expand_dims(
            {d: n for d, n in sets.dimensions.items() if d not in variable.dims}
        )
        for name, variable in whole.data_vars.items()
    }
    return xr.Dataset(
        {
            name: (
                (*rest, SAMPLE),
                variable.transpose(*rest, *sets.dimensions).values.reshape(
                    *(variable.sizes[d] for d in rest), sets.count
                ),
            )
            for name, variable in variables.items()
            for rest in [[d for d in variable.dims if d not in sets.dimensions]]
        },
        {k: v for k, v in whole.coords.items() if k not in sets.dimensions},
    )


def _by_set(count: int) -> Any:
    def move(leaf: Any) -> Any:
        whole = np.broadcast_to(leaf, (*leaf.shape[:-1], count))
        return np.ascontiguousarray(np.moveaxis(whole, -1, 0)[..., None])

    return move


def _samples_last(leaf: Any) -> Any:
    """Return (set, year, ..., 1) as (year, ..., set)."""
    return np.moveaxis(leaf[..., 0], 0, -1)


def _unstacked(result: xr.Dataset, sets: Sets, experience: xr.Dataset) -> xr.Dataset:
    """Return results with the dimensions of the sets in place of the sample, and one sample."""
    sizes = tuple(sets.dimensions.values())
    variables: dict[Any, Any] = {}
    for name, variable in result.data_vars.items():
        rest = [d for d in variable.dims if d != SAMPLE]
        values = variable.transpose(*rest, SAMPLE).values
        spread = values.reshape(*values.shape[:-1], *sizes, 1)
        lead = range(len(rest), len(rest) + len(sizes))
        spread = np.moveaxis(spread, list(lead), list(range(len(sizes))))
        variables[name] = ((*sets.dimensions, *rest, SAMPLE), spread, variable.attrs)
    labels = {name: sets.labels(name, experience) for name in sets.dimensions}
    coords = {name: coord for name, coord in result.coords.items() if name != SAMPLE}
    return xr.Dataset(variables, {**coords, **labels}, result.attrs)


def check_years(case: Case, bound: Bound, given: GivenExperience, opening: Any) -> None:
    """Refuse gaps between settled years, and a later first year without opening balances."""
    carried = state_names(case)
    if not carried:
        return
    years = case.labels()["year"]
    at = np.flatnonzero(given.settled)
    gaps = [years[y] for y in range(at[0], at[-1]) if not given.settled[y]]
    if gaps:
        raise ExperienceError(
            [
                Problem(
                    "activity",
                    f"no rows for {', '.join(gaps)}, between years that have some; "
                    "settle the years before and after apart, with opening balances",
                )
            ]
        )
    if at[0] > 0 and opening is None:
        raise ExperienceError(
            [
                Problem(
                    "opening",
                    f"missing; {years[at[0]]} carries balances from the year before: "
                    "give rows of the earlier years, or opening = closing of their settlement",
                )
            ]
        )
