"""Experience as users give it: checked against the case, filled where that is allowed.

Actuals (no ``sample`` dimension) may leave years out and may leave values to their defaults; draws
of a planning model (with one) hold a sample of every line and year they speak of.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.bind import Bound
from riskshare.case import Case
from riskshare.checks.given import suggest
from riskshare.errors import ArgumentError, ExperienceError, Problem
from riskshare.run.persons import PERSON_COST as PERSON_COST
from riskshare.run.persons import read_people

LINE_VARIABLES = ("activity", "case_mix", "unit_cost", "cost")
VARIABLES = (
    *LINE_VARIABLES,
    "waiting_list",
    "driver_index",
    "members",
    "quality",
    "other_position",
)
AXIS = {
    **dict.fromkeys(LINE_VARIABLES, "line"),
    "waiting_list": "line",
    "driver_index": "driver",
    "members": "population",
    "quality": "partner",
    "other_position": "partner",
}
_SIGNED = ("other_position",)
"""Variables that may be negative."""


@dataclass
class GivenExperience:
    """Experience of a case as arrays (year, row, sample), every value there or accounted for."""

    activity: NDArray[Any]
    case_mix: NDArray[Any]
    unit_cost: NDArray[Any]
    index: NDArray[Any]
    cost: NDArray[Any] | None
    other_position: NDArray[Any] | None
    """(year, partner with another position, sample), NaN where it is not known"""
    person_cost: NDArray[Any] | None
    """(year, line, person, sample)"""
    slot_cost: NDArray[Any] | None
    """(year, slot, sample): people as `riskshare.draw` has them"""
    waiting: NDArray[Any] | None
    """(year, line, sample), NaN on lines without a capacity"""
    settled: NDArray[np.bool_]
    """Which years have experience."""
    actual: bool
    """Whether this is one real course of events rather than samples."""
    filled: list[str] = field(default_factory=list)
    """Cells filled from plan, as ``activity[outpatients, 2018/19]``."""


def read_experience(
    case: Case, bound: Bound, given: xr.Dataset, missing: str, many: bool = False
) -> GivenExperience:
    """Check experience against a case and return it as arrays.

    With ``many`` each sample is what happened under a contract of its own.

    Raises
    ------
    ArgumentError
        If ``missing`` is neither ``error`` nor ``plan``.
    ExperienceError
        For unknown, doubled or missing labels, negative or NaN values, or a driver, members or
        delivery that the contracts need and the experience lacks.
    """
    if missing not in ("error", "plan"):
        raise ArgumentError(f"missing is {missing!r}; accepted: error, plan")
    problems: list[Problem] = []
    actual = many or "sample" not in given.dims
    arrays = {name: aligned(case, given, name, problems) for name in VARIABLES if name in given}
    check_weight(given, problems)
    for name in given.data_vars:
        if name not in (*VARIABLES, PERSON_COST, "replicate", "weight"):
            known = (*VARIABLES, PERSON_COST)
            problems.append(Problem(str(name), f"unknown; {suggest(name, known)}"))
    if "activity" not in arrays:
        problems.append(Problem("activity", "missing; it is the one variable always needed"))
    if problems:
        raise ExperienceError(problems)
    single = not actual and all(a.dtype == np.float32 for a in arrays.values())
    dtype = np.float32 if single else np.float64
    arrays = {name: array.astype(dtype, copy=False) for name, array in arrays.items()}
    activity = arrays["activity"]
    settled = np.any(
        [~np.isnan(arrays[n]).all(axis=(1, 2)) for n in LINE_VARIABLES if n in arrays], axis=0
    )
    if not settled.any():
        raise ExperienceError([Problem("activity", "holds no value for any year of the case")])
    filled = _missing_cells(case, arrays, settled, actual, missing, problems)
    activity = np.where(np.isnan(activity), bound.plan.view.plan[:, :, None], activity)
    check_values(case, arrays, problems)
    index = _indices(case, bound, arrays, activity.shape[-1], settled, problems)
    problems.extend(given_cost_problems(case, bound, arrays))
    people = read_people(case, bound, given, settled, activity.shape[-1], problems)
    if problems:
        raise ExperienceError(problems)
    samples, filler = activity.shape[-1], _defaults(bound)
    line = {
        name: np.where(np.isnan(arrays[name]), filler[name], arrays[name])
        if name in arrays
        else np.broadcast_to(filler[name], (*filler[name].shape[:2], samples))
        for name in ("case_mix", "unit_cost")
    }
    return GivenExperience(
        activity=activity.astype(dtype),
        case_mix=line["case_mix"].astype(dtype),
        unit_cost=line["unit_cost"].astype(dtype),
        index=index.astype(dtype),
        cost=arrays.get("cost"),
        other_position=_others(bound, arrays, samples, dtype),
        person_cost=None if people.by_line is None else people.by_line.astype(dtype),
        slot_cost=None if people.by_slot is None else people.by_slot.astype(dtype),
        waiting=arrays.get("waiting_list"),
        settled=settled,
        actual=actual,
        filled=filled,
    )


def _defaults(bound: Bound) -> dict[str, NDArray[Any]]:
    unit_cost = bound.plan.unit_cost[:, :, None]
    return {"case_mix": np.ones_like(unit_cost), "unit_cost": unit_cost}


def aligned(case: Case, given: xr.Dataset, name: str, problems: list[Problem]) -> NDArray[Any]:
    """Return a variable as (year, row, sample) over all labels of the case, NaN where absent."""
    axis = AXIS[name]
    array = given.variables[name]  # a bare variable: data arrays cost more than the rest
    known = {"year": case.labels()["year"], axis: rows_of(case, axis)}
    expected = {"year", axis}
    dims = {str(dim) for dim in array.dims}
    if not expected <= dims or dims - expected - {"sample"}:
        wanted = f"year, {axis} and, for draws, sample"
        problems.append(Problem(name, f"has dimensions {sorted(dims)}; accepted: {wanted}"))
        return np.zeros((0, 0, 0))
    for dim, labels in known.items():
        if dim not in given.coords:
            problems.append(Problem(name, f"has no labels along {dim}; give it a coordinate"))
            return np.zeros((0, 0, 0))
        present = [str(label) for label in given.variables[dim].values]
        for label in dict.fromkeys(present):
            if label not in labels:
                message = f"no {dim} is named {label!r}; {suggest(label, labels)}"
                problems.append(Problem(f"{name}[{label}]", message))
            elif present.count(label) > 1:
                problems.append(Problem(f"{name}[{label}]", f"the {dim} stands twice"))
    if problems:
        return np.zeros((0, 0, 0))
    sampled = "sample" in array.dims
    values = np.asarray(array.transpose("year", axis, *(("sample",) if sampled else ())).values)
    values = values if sampled else values[..., None]
    if values.dtype != np.float32:
        values = values.astype(np.float64)
    whole = np.full((len(known["year"]), len(known[axis]), values.shape[-1]), np.nan, values.dtype)
    at = ([known[d].index(str(v)) for v in given.variables[d].values] for d in ("year", axis))
    whole[np.ix_(*at)] = values
    return whole


def rows_of(case: Case, axis: str) -> tuple[str, ...]:
    """Return the labels along an axis of an experience."""
    if axis == "driver":
        apart = ("members[", "quality[", "other[")
        return tuple(name for name in case.indices() if not name.startswith(apart))
    return case.labels()[axis]


def _missing_cells(
    case: Case,
    arrays: dict[str, NDArray[Any]],
    settled: NDArray[np.bool_],
    actual: bool,
    missing: str,
    problems: list[Problem],
) -> list[str]:
    """Note blank cells of what is given by line, or return their names where plan may fill them.

    A blank cost is no gap: the cost model serves that line.
    """
    labels = case.labels()
    cells = []
    for name in ("activity", "case_mix", "unit_cost"):
        if name in arrays:
            absent = np.isnan(arrays[name]).any(-1) & settled[:, None]
            cells += [
                f"{name}[{labels['line'][i]}, {labels['year'][y]}]" for y, i in np.argwhere(absent)
            ]
    if missing == "plan" and actual:
        return cells
    hint = 'give a value, or say missing="plan"' if actual else "give a value in every sample"
    problems += [Problem(cell, f"missing or blank; {hint}") for cell in cells]
    return []


def check_values(case: Case, arrays: dict[str, NDArray[Any]], problems: list[Problem]) -> None:
    """Note values that are negative or infinite, and scores above 1."""
    for name, values in arrays.items():
        if name == "quality":
            _check_scores(case, values, problems)
        rows, years = rows_of(case, AXIS[name]), case.labels()["year"]
        if name in _SIGNED:
            continue
        for y, i in np.argwhere((values < 0).any(-1) | np.isinf(values).any(-1)):
            worst = values[y, i][(values[y, i] < 0) | np.isinf(values[y, i])][0]
            problems.append(
                Problem(
                    f"{name}[{rows[i]}, {years[y]}]",
                    f"found {worst:g}; accepted: a finite number of at least 0",
                )
            )


def check_weight(given: xr.Dataset, problems: list[Problem]) -> None:
    """Note weights that are not those of samples, one for each."""
    if "weight" not in given:
        return
    weight = given["weight"]
    if weight.dims != ("sample",):
        remedy = "" if "sample" in given.dims else "; leave it out: what really happened has none"
        found = f"has dimensions {sorted(map(str, weight.dims))}; accepted: sample{remedy}"
        problems.append(Problem("weight", found))
    elif not (np.isfinite(weight.values) & (weight.values >= 0)).all():
        found = "holds what is negative or not finite; accepted: finite numbers of at least 0"
        problems.append(Problem("weight", f"{found}; 0 leaves a sample out"))


def _check_scores(case: Case, values: NDArray[Any], problems: list[Problem]) -> None:
    """Note quality scores above 1, which people write as percentages by mistake."""
    partners, years = case.labels()["partner"], case.labels()["year"]
    for y, i in np.argwhere((values > 1).any(-1)):
        worst = float(np.nanmax(values[y, i]))
        hint = f"; did you mean {worst / 100:g}?" if worst <= 100 else ""
        problems.append(
            Problem(
                f"quality[{partners[i]}, {years[y]}]",
                f"found {worst:g}; accepted: a score from 0 to 1{hint}",
            )
        )


def given_cost_problems(
    case: Case, bound: Bound, arrays: Mapping[str, NDArray[Any]]
) -> Iterator[Problem]:
    """Yield lines whose cost is given although a term pays on what the model makes of it."""
    if "cost" not in arrays:
        return
    structure, labels = bound.structure, case.labels()
    for name, slot in zip(structure.term_names, bound.numbers.yearly.terms, strict=True):
        paid_on = slot.term.modelled_cost()
        if paid_on is None:
            continue
        what, lines = paid_on
        for y, k in np.argwhere(~np.isnan(arrays["cost"][:, list(lines)]).all(-1)):
            yield Problem(
                f"cost[{labels['line'][lines[k]]}, {labels['year'][y]}]",
                f"given, but {name} pays on {what}; leave the cost out",
            )


def _indices(
    case: Case,
    bound: Bound,
    arrays: dict[str, NDArray[Any]],
    samples: int,
    settled: NDArray[np.bool_],
    problems: list[Problem],
) -> NDArray[Any]:
    """Return all indices; those nobody asks for stand at plan, those a term needs must be there."""
    names, structure = list(case.indices()), bound.structure
    years = case.labels()["year"]
    index = np.full((structure.years, len(names), samples), np.nan)
    rows = rows_of(case, "driver")
    if "driver_index" in arrays:
        index[:, [names.index(row) for row in rows]] = arrays["driver_index"]
    people = slice(structure.drivers, structure.drivers + structure.populations)
    if "members" in arrays:
        planned = bound.plan.view.members[:, :, None]
        index[:, people] = arrays["members"] / np.where(planned > 0, planned, 1)
    _scores(bound, arrays, index)
    for (name, y), who in needed_indices(case, bound).items():
        row = names.index(name)
        if settled[y] and np.isnan(index[y, row]).any():
            variable, label = "driver_index", name
            for prefix in ("members", "quality"):
                if name.startswith(f"{prefix}["):
                    variable, label = prefix, name.removeprefix(f"{prefix}[").rstrip("]")
            problems.append(
                Problem(
                    f"{variable}[{label}, {years[y]}]",
                    f"missing; {who} needs it, and it is never taken from plan",
                )
            )
    at_plan = np.array([float(name.startswith("delay[")) for name in names])
    return np.where(np.isnan(index), 1 - at_plan[None, :, None], index)


def _scores(bound: Bound, arrays: dict[str, NDArray[Any]], index: NDArray[Any]) -> None:
    """Put quality scores among the indices."""
    structure = bound.structure
    first, others = structure.first_score, structure.first_score + len(structure.scored)
    if "quality" in arrays and structure.scored:
        index[:, first:others] = arrays["quality"][:, list(structure.scored)]


def _others(
    bound: Bound, arrays: dict[str, NDArray[Any]], samples: int, dtype: Any
) -> NDArray[Any] | None:
    """Return other positions as they were given; what nobody gave stays unknown."""
    structure = bound.structure
    if not structure.others:
        return None
    if "other_position" in arrays:
        return arrays["other_position"][:, list(structure.others)].astype(dtype)
    return np.full((structure.years, len(structure.others), samples), np.nan, dtype)


def _places(structure: Any, needs: frozenset[str]) -> list[int]:
    """Return the indices of the drivers and quality scores that a term names."""
    found = []
    for need in sorted(needs):
        what, _, place = need.partition(" ")
        if what == "driver":
            found.append(int(place))
        if what == "quality" and int(place) in structure.scored:
            found.append(structure.first_score + structure.scored.index(int(place)))
    return found


def needed_indices(case: Case, bound: Bound) -> dict[tuple[str, int], str]:
    """Return the indices that settling needs in each year, and who needs them."""
    structure = bound.structure
    names = list(case.indices())
    needed: dict[tuple[str, int], str] = {}
    for name, slot in zip(structure.term_names, bound.numbers.yearly.terms, strict=True):
        needs = slot.term.needs()
        if "indices" in needs:
            picked = range(structure.first_score)
        elif "members" in needs:
            picked = range(structure.drivers, structure.drivers + structure.populations)
        else:
            picked = range(0)
        places = [*picked, *_places(structure, needs)]
        if not np.any(slot.term.in_force > 0):
            continue
        for i in places:
            driver = case.drivers[i] if i < structure.drivers else None
            if (
                "indices" in needs
                and driver is not None
                and driver.acts_on
                in (
                    "funding",
                    "chance",
                    "unit_cost",
                )
            ):
                continue
            for active in np.flatnonzero(slot.active):
                needed.setdefault((names[i], int(active)), name)
    exits = {case.lines[i].name for i in structure.cost.exit_lines}
    for change in case.changes:
        line = next(line for line in case.lines if line.name == change.source)
        if line.name in exits and line.cost.exit_basis != "realised":
            for y in range(structure.years):
                who = f"the cost of {line.name}"
                needed.setdefault((f"delivery[{change.name}]", y), who)
                if change.delay is not None:
                    needed.setdefault((f"delay[{change.name}]", y), who)
    return needed
