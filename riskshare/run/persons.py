"""Person-level cost as users give it: the cost of each person on each line."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.bind import Bound
from riskshare.case import Case
from riskshare.checks.given import suggest
from riskshare.errors import Problem
from riskshare.outcomes import person_lines

PERSON_COST = "person_cost"
"""Cost of each person on each line, on (year, line, person)."""


@dataclass(frozen=True)
class People:
    """Person-level cost: given by line, or as drawn by this case, or not at all."""

    by_line: NDArray[Any] | None = None
    """(year, line, person, sample)"""
    by_slot: NDArray[Any] | None = None
    """(year, slot, sample)"""


def read_people(
    case: Case,
    bound: Bound,
    given: xr.Dataset,
    settled: NDArray[np.bool_],
    samples: int,
    problems: list[Problem],
) -> People:
    """Return person-level cost as it was given; noting in problems what is wrong with it."""
    if PERSON_COST in given and "person_line" in given[PERSON_COST].coords:
        array = given[PERSON_COST]
        lines = [str(name) for name in array["person_line"].values]
        known = person_lines(case, bound)
        dims = {str(dim) for dim in array.dims}
        if lines != known or dims != {"year", "person", "sample"}:
            problems.append(
                Problem(
                    PERSON_COST,
                    "holds people that another case drew; accepted: those of riskshare.draw on "
                    "this case, or (year, line, person[, sample])",
                )
            )
            return People()
        values = array.transpose("year", "person", "sample").values
        whole = np.zeros((len(case.years), *values.shape[1:]), values.dtype)
        at = [case.labels()["year"].index(str(year)) for year in array["year"].values]
        whole[at] = values
        if np.any(~(whole >= 0)):
            problems.append(Problem(PERSON_COST, "holds values that are negative or not numbers"))
        for (_, i), name in _needed(bound, settled).items():
            if i not in bound.structure.peopled:
                message = f"holds nobody on {case.lines[i].name}; {name} needs them"
                problems.append(Problem(PERSON_COST, message))
        return People(by_slot=whole)
    return People(by_line=read_persons(case, bound, given, settled, samples, problems))


def read_persons(
    case: Case,
    bound: Bound,
    given: xr.Dataset,
    settled: NDArray[np.bool_],
    samples: int,
    problems: list[Problem],
) -> NDArray[Any] | None:
    """Return person-level cost as (year, line, person, sample), absent people at 0.

    A year or line for which a term needs people and none is given is a problem: it is not known
    that nobody cost anything.
    """
    needed = _needed(bound, settled)
    if samples_drawn(given):  # a line that draws nobody one by one has nobody a term would see
        slots = dict(zip(bound.structure.peopled, bound.structure.slots, strict=True))
        needed = {at: name for at, name in needed.items() if slots.get(at[1]) != 0}
    if PERSON_COST not in given:
        for name in dict.fromkeys(needed.values()):
            problems.append(
                Problem(PERSON_COST, f"missing; {name} needs it: (year, line, person), money")
            )
        return None
    array = given[PERSON_COST]
    labels = case.labels()
    if not _well_formed(array, labels, problems):
        return None
    if "sample" not in array.dims:
        array = array.expand_dims("sample")
    values = np.asarray(array.transpose("year", "line", "person", "sample").values, np.float64)
    shape = (len(labels["year"]), len(labels["line"]), values.shape[2], values.shape[3])
    whole = np.full(shape, np.nan)
    at = [[labels[d].index(str(v)) for v in array[d].values] for d in ("year", "line")]
    whole[np.ix_(*at)] = values
    for (y, i), name in needed.items():
        if np.isnan(whole[y, i]).all():
            cell = f"{PERSON_COST}[{labels['line'][i]}, {labels['year'][y]}]"
            problems.append(
                Problem(cell, f"holds nobody; {name} needs it: 0 for people who cost nothing")
            )
    whole = np.where(np.isnan(whole), 0.0, whole)
    if np.any(whole < 0) or not np.all(np.isfinite(whole)):
        problems.append(Problem(PERSON_COST, "holds values that are negative or not finite"))
    return np.broadcast_to(whole, (*shape[:3], samples)) if shape[3] == 1 else whole


def samples_drawn(given: xr.Dataset) -> bool:
    """Return whether an experience holds draws rather than what happened."""
    return "sample" in given.dims


def _needed(bound: Bound, settled: NDArray[np.bool_]) -> dict[tuple[int, int], str]:
    """Return the years and lines for which a term needs people, and which term does."""
    found: dict[tuple[int, int], str] = {}
    structure = bound.structure
    for name, slot in zip(structure.term_names, bound.numbers.yearly.terms, strict=True):
        term: Any = slot.term
        if "persons" not in term.needs():
            continue
        for y in np.flatnonzero(settled & (slot.active * term.in_force > 0)):
            for line in term.person_lines():
                found.setdefault((int(y), int(line)), name)
    return found


def _well_formed(array: xr.DataArray, labels: Any, problems: list[Problem]) -> bool:
    """Whether dimensions and labels are those of a case; notes what is not."""
    wanted = {"year", "line", "person"}
    dims = {str(dim) for dim in array.dims}
    if not wanted <= dims or dims - wanted - {"sample"}:
        found = f"has dimensions {sorted(dims)}"
        accepted = "accepted: year, line, person and, for draws, sample"
        problems.append(Problem(PERSON_COST, f"{found}; {accepted}"))
        return False
    for dim in ("year", "line"):
        if dim not in array.coords:
            problems.append(Problem(PERSON_COST, f"has no labels along {dim}; give a coordinate"))
            return False
        for label in map(str, array[dim].values):
            if label not in labels[dim]:
                message = f"no {dim} is named {label!r}; {suggest(label, labels[dim])}"
                problems.append(Problem(PERSON_COST, message))
                return False
    return True
