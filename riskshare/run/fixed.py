"""Numbers of a case that a compiled program does not take, each with the reason."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from riskshare.bind import Bound
from riskshare.case import Case
from riskshare.run.paths import index_paths
from riskshare.run.planned import SECTIONS

REMEDY = "set it with case.with_numbers and compile again"

_REPORTED = ("duty", "opening_reserve", "deflator", "claims")
"""Numbers that only summaries and statements read."""


def fixed_numbers(case: Case, bound: Bound) -> dict[str, str]:
    """Return the numbers that must not move inside a program, by path, with the reason.

    They decide a table, a choice or a whole number that is worked out before the program runs, or
    reach what is drawn in a way that has no derivative.
    """
    paths, found = list(case.numbers()), dict[str, str]()
    for start, reason in _exclusions(case, bound):
        for path in paths:
            if _under(path, start):
                found.setdefault(path, f"{reason}; {REMEDY}")
    return found


def unread(path: str) -> str:
    """Return why a number is no parameter where nothing in a program is made from it."""
    name = path.partition("[")[0].rpartition(".")[2]
    if name in _REPORTED:
        return "summaries and statements alone read it: no settlement or draw depends on it"
    return f"laws, tables or the structure are worked out from it beforehand; {REMEDY}"


def _under(path: str, start: str) -> bool:
    """Whether a path is a number, one of its labels, or a number below it."""
    return path == start or path.startswith((f"{start}.", f"{start}["))


def _exclusions(case: Case, bound: Bound) -> Iterator[tuple[str, str]]:
    """Yield what stands fixed, a number or all below a path, and why."""
    slots = dict(zip(bound.structure.term_names, bound.numbers.yearly.terms, strict=True))
    if any(getattr(slot.term, "table", None) is not None for slot in slots.values()):
        for section in SECTIONS:
            yield section.rstrip("."), "a table of conditional means is made from it"
    for contract in case.contracts:
        for term in contract.terms:
            path = f"{contract.name}.{term.label}.in_force"
            if hasattr(term, "last"):
                yield path, "it decides the last year in which the term holds"
            elif not np.any(np.asarray(slots[path.removesuffix(".in_force")].term.in_force) > 0):
                yield path, "the term is switched off, so what it needs is not asked for"
    yield from _steps(case)
    yield from _new_services(case)
    yield from _people(case, bound)
    for driver in case.drivers:
        if driver.acts_on == "dispersion":
            yield f"drivers.{driver.name}", "tables span what it does to the spread of a law"
    reached = _without_derivative(case, bound)
    new = {line.name for line in case.lines if line.baseline is None}
    mean = "a new service, whose volume is worked out with means over the laws"
    yield from _reaching(_volumes(case), reached)
    yield from _reaching(_laws(case, bound), dict.fromkeys(new, mean) | reached)


def _people(case: Case, bound: Bound) -> Iterator[tuple[str, str]]:
    """Yield what decides which people of a line are drawn one by one."""
    if not bound.structure.peopled:
        return
    reason = "it decides which people are drawn one by one"
    for contract in case.contracts:
        for term in contract.terms:
            for name in ("attachment", "truncation.at"):
                yield f"{contract.name}.{term.label}.{name}", reason
    for i in bound.structure.peopled:
        for name in ("unit_cost", "cost_series", "loadings"):
            yield f"lines.{case.lines[i].name}.{name}", reason
    yield "inflation", reason
    for driver in case.drivers:
        if driver.acts_on in ("unit_cost", "case_mix"):
            yield f"drivers.{driver.name}", reason


def _reaching(
    paths: Iterable[tuple[str, tuple[str, ...]]], lines: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield the paths that reach one of some lines, and why that matters."""
    for path, reached in paths:
        line = next((line for line in reached if line in lines), None)
        if line is not None:
            yield path, f"it moves {line}, {lines[line]}"


def _steps(case: Case) -> Iterator[tuple[str, str]]:
    """Yield what decides how many steps of semi-fixed cost a line has."""
    for line in case.lines:
        if line.cost.step is None:
            continue
        reason = "it decides a whole number of steps of cost"
        yield f"lines.{line.name}.cost.step", reason
        for name in ("baseline", "expected", "unit_cost", "cost.semi_fixed"):
            yield f"lines.{line.name}.{name}", reason


def _new_services(case: Case) -> Iterator[tuple[str, str]]:
    """Yield volumes of new services that changes reach: a mean over the laws is in between."""
    reached = {change.source for change in case.changes}
    reached |= {change.destination for change in case.changes if change.destination is not None}
    reason = "the volume of a new service that changes reach follows from means over the laws"
    for line in case.lines:
        if line.baseline is not None or line.name not in reached:
            continue
        yield f"lines.{line.name}.expected", reason
        for change in case.changes:
            if line.name in (change.source, change.destination):
                yield f"changes.{change.name}.size", reason
                yield f"changes.{change.name}.substitution", reason
                yield f"lines.{change.source}.baseline", reason


def _volumes(case: Case) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield every number that moves what is drawn of some lines, and the lines."""
    for line in case.lines:
        arriving = tuple(
            change.destination
            for change in case.changes
            if change.source == line.name and change.destination is not None
        )
        for name in ("baseline", "expected"):
            yield f"lines.{line.name}.{name}", (line.name, *arriving)
        yield f"lines.{line.name}.growth", (line.name,)
    for change in case.changes:
        touched = tuple(name for name in (change.source, change.destination) if name is not None)
        for name in ("size", "substitution"):
            yield f"changes.{change.name}.{name}", touched
    for population in case.members:
        exposed = tuple(line.name for line in case.lines if line.exposure == population.name)
        for name in ("count", "reference"):
            yield f"members.{population.name}.{name}", exposed


def _laws(case: Case, bound: Bound) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield laws of indices that move what is drawn of some lines, loadings, and the lines."""
    structure, plan = bound.structure, bound.plan
    names, first = case.labels()["line"], structure.drivers + structure.populations
    moves = np.zeros((structure.lines, len(case.indices())), bool)
    for d, driver in enumerate(case.drivers):
        # means over the law are what a new service's volume is worked out with
        moves[:, d] = (plan.loadings[:, d] != 0) & (driver.acts_on == "activity")
    moves[:, structure.drivers : first] = plan.exposure != 0
    touched = np.any(plan.moved != 0, axis=0)
    moves[:, first : first + structure.changes] = touched
    for k, change in enumerate(structure.delayed):
        moves[:, first + structure.changes + k] = touched[:, change]
    for line in case.lines:
        yield f"lines.{line.name}.loadings", (line.name,)
    for i, (prefix, _) in enumerate(index_paths(case)):
        lines = tuple(names[row] for row in np.flatnonzero(moves[:, i]))
        for name in ("value", "sd", "interval"):
            yield f"{prefix}.{name}", lines


def _without_derivative(case: Case, bound: Bound) -> dict[str, str]:
    """Return lines that do not follow the mean of their volume smoothly, or do by tables of it."""
    structure: Any = bound.structure
    names, found = case.labels()["line"], dict[str, str]()
    noise: Any = bound.numbers.laws.activity_noise
    rows = len(structure.activity_noise.counts)
    if rows:
        whole: Any = np.asarray(noise.whole).reshape(structure.years, rows).any(0)
        for i, counted in zip(structure.activity_noise.counts, whole, strict=True):
            if counted:
                found[names[i]] = "whose counts are whole and have no derivative in their mean"
    for line in case.lines:
        if line.cost.step is not None:
            found[line.name] = "whose cost moves in whole steps, which have no derivative"
    tables = "which is drawn from tables made from its volume"
    for i in (*structure.limited, *structure.peopled):
        found[names[i]] = tables
    for c in structure.thinned:
        change = case.changes[c]
        for name in (change.source, change.destination):
            if name is not None:
                found[name] = tables
    return found
