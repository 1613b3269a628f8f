"""Balances carried between years, by name: closing balances of one run open the next.

A balance is named after what holds it: ``cost.outpatients.planned[2017/18]`` (share of baseline
that vintages up to that year explain), ``cost.outpatients.released_semi`` (share of baseline
whose semi-fixed cost has gone), ``accounts.reserve.balance`` (money).
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.bind import Bound, bind, once_per_case
from riskshare.case import Case
from riskshare.contract.cost import CostState
from riskshare.errors import ExperienceError, Problem
from riskshare.names import STATE
from riskshare.program.settle import Carried, initial_carried
from riskshare.run.precision import cast


@once_per_case
def state_names(case: Case) -> tuple[str, ...]:
    """Return the names of all balances, in the order of `flat`."""
    bound = bind(case)
    years = case.labels()["year"]
    lines = [case.lines[i].name for i in bound.structure.cost.held_lines]
    stepped = [lines[i] for i in bound.structure.cost.steps_held]
    names = [
        f"cost.{line}.{part}[{y}]" for part in ("planned", "rest") for y in years for line in lines
    ]
    names += [
        f"cost.{line}.{part}[{y}]"
        for part in ("planned_steps", "rest_steps")
        for y in years
        for line in stepped
    ]
    names += [
        f"cost.{line}.{part}" for part in ("released_semi", "released_fixed") for line in lines
    ]
    names += [f"cost.{line}.released_steps" for line in stepped]
    partners = case.labels()["partner"]
    start = _start(bound)
    for states in (start.terms, start.cash):
        for term in sorted(states):  # as JAX orders a mapping's leaves
            for key in sorted(states[term]):
                shape = states[term][key].shape[:-1]
                names += [f"{term}.{key}{_place(at, shape, partners)}" for at in np.ndindex(shape)]
    return tuple(names)


def _place(at: tuple[int, ...], shape: tuple[int, ...], partners: tuple[str, ...]) -> str:
    """Return the label of one row of a state: a partner where there is one row for each."""
    if not at:
        return ""
    last = partners[at[-1]] if shape[-1] == len(partners) else str(at[-1])
    return f"[{','.join([*map(str, at[:-1]), last])}]"


def _start(bound: Bound) -> Carried:
    """Return the state before the first year, of one sample: its keys and shapes are read."""
    like = jnp.zeros((1, 1), jnp.float32)
    return initial_carried(bound.structure, cast(bound.numbers.yearly, np.float32), like)


def flat(states: Any) -> NDArray[Any]:
    """Return carried states, each (year, ..., sample), as one (year, state, sample) array."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(states)]
    if not leaves:
        return np.zeros((0, 0, 0))
    return np.concatenate(
        [leaf.reshape(leaf.shape[0], -1, leaf.shape[-1]) for leaf in leaves], axis=1
    )


def opened(
    case: Case,
    bound: Bound,
    opening: xr.DataArray | Mapping[str, float],
    first: int,
    samples: int,
    dtype: Any,
) -> Carried:
    """Return opening balances as the state before the first settled year, number ``first``.

    Raises
    ------
    ExperienceError
        If a balance is missing, unknown or not a number.
    """
    names = state_names(case)
    if isinstance(opening, xr.DataArray):
        if "year" in opening.dims:
            opening = opening.isel(year=-1)
        years = case.labels()["year"]
        before = years[first - 1] if first else None
        if "year" in opening.coords and str(opening["year"].item()) != before:
            found = f"found closing balances of {opening['year'].item()}"
            accepted = f"those of {before}" if before else "none, or values by name"
            raise ExperienceError([Problem("opening", f"{found}; accepted: {accepted}")])
        values = {str(n): np.ravel(opening.sel({STATE: n}).values) for n in opening[STATE].values}
    else:
        values = {name: np.atleast_1d(np.float64(value)) for name, value in opening.items()}
    problems = [
        Problem(f"opening.{name}", "no such balance in this case; leave it out")
        for name in values
        if name not in names
    ]
    problems += [
        Problem(f"opening.{name}", "missing; accepted: the closing balance of the year before")
        for name in names
        if name not in values
    ]
    problems += [
        Problem(f"opening.{name}", f"found {value}; accepted: a number")
        for name, value in values.items()
        if not np.all(np.isfinite(value))
    ]
    if problems:
        raise ExperienceError(problems)
    rows = iter(np.broadcast_to(values[name], (samples,)) for name in names)

    def take(*lead: int) -> NDArray[Any]:
        size = int(np.prod(lead, dtype=int))
        block = np.array([next(rows) for _ in range(size)], dtype)
        return block.reshape(*lead, samples)  # () for a single number

    structure = bound.structure
    held, steps = len(structure.cost.held), len(structure.cost.step_lines)
    cost = CostState(
        planned=take(structure.years, held),
        rest=take(structure.years, held),
        planned_steps=take(structure.years, steps),
        rest_steps=take(structure.years, steps),
        released_semi=take(held),
        released_fixed=take(held),
        released_steps=take(steps),
    )
    start = _start(bound)

    def filled(states: Mapping[str, Any]) -> dict[str, Any]:
        return {
            term: {key: take(*states[term][key].shape[:-1]) for key in sorted(states[term])}
            for term in sorted(states)
        }

    return Carried(cost, filled(start.terms), filled(start.cash))
