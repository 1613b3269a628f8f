"""Checks of the system: what declarations alone cannot say about years, laws, lines and changes."""

import datetime
import graphlib
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from riskshare.checks.dependence import check_dependence
from riskshare.checks.given import SUM_TOLERANCE, Findings, suggest
from riskshare.checks.laws import check_chance, check_law, check_power
from riskshare.laws.marginal import AbstractLaw
from riskshare.names import ALL_YEARS, SYSTEM
from riskshare.parameters import declaration_of, expand, field_paths, fields_of, split_path
from riskshare.system import AbstractIndex, Line, closing_order

if TYPE_CHECKING:
    from riskshare.case import Case


def check_names(
    names: Iterable[str], section: str, reserved: tuple[str, ...], found: Findings
) -> None:
    """Check that names are given, single, free of path signs, and not reserved."""
    for name, count in Counter(names).items():
        path = f"{section}.{name}" if section else str(name)
        if not isinstance(name, str) or not name or set(name) & set("[],."):
            found.add(path, f"found the name {name!r}; accepted: text without . , [ ]")
        elif count > 1:
            found.add(path, f"the name {name!r} stands {count} times; names are unique")
        elif name in reserved:
            found.add(path, f"the name {name!r} is reserved; choose another")


def check_years(case: "Case", found: Findings) -> None:
    """Check that years are there, in order, and do not overlap."""
    if not case.years:
        found.add("years", "there are none; give at least one year with label, start and end")
    before = None
    for i, year in enumerate(case.years):
        path = f"years[{i}]"
        if not found.clean(path) or not isinstance(year.start, datetime.date):
            before = None
            continue
        if set(year.label) & set("[],") or not year.label:
            found.add(path, f"found the label {year.label!r}; accepted: text without , [ ]")
        if year.label == ALL_YEARS:
            found.add(path, f"the label {ALL_YEARS!r} is reserved; choose another")
        if year.end < year.start:
            found.add(path, f"ends on {year.end}, before it starts on {year.start}")
        elif (year.end - year.start).days > 366:
            found.add(path, f"runs from {year.start} to {year.end}; accepted: at most one year")
        if before is not None and year.start <= before.end:
            found.add(path, f"starts on {year.start}, before {before.label} ends on {before.end}")
        before = year
    for label, count in Counter(year.label for year in case.years).items():
        if count > 1:
            found.add("years", f"the label {label!r} stands {count} times; labels are unique")


def check_partners(case: "Case", found: Findings) -> None:
    """Check groups, offsets and the fields of pool accounts."""
    names = {partner.name for partner in case.partners}
    found.attempt(_check_offsets, case)
    for partner in case.partners:
        path = f"partners.{partner.name}"
        for group in sorted(names & set(partner.groups)):
            found.add(f"{path}.groups", f"{group!r} is the name of a partner; rename the group")
        if partner.kind == "external" and partner.groups:
            found.add(f"{path}.groups", "an external partner is outside the system and in no group")
        if SYSTEM in partner.groups:
            found.add(
                f"{path}.groups", f"the group {SYSTEM!r} is made for every case; leave it out"
            )
        if partner.kind != "pool" and found.clean(f"{path}.kind"):
            for name in ("opening_balance", "shortfall", "release", "prorate", "uncommitted"):
                if getattr(partner, name) is not None:
                    found.add(f"{path}.{name}", 'only a partner of kind "pool" has one')
        if partner.prorate is not None and partner.shortfall is not None:
            found.add(
                f"{path}.prorate",
                "claims are scaled to what the account holds, so it has no shortfall; give one",
            )
        if partner.prorate is not None and partner.uncommitted is not None:
            found.add(
                f"{path}.uncommitted",
                "is cut where an account falls short; one that scales its claims never does",
            )
        if partner.kind in ("pool", "external"):
            for name in ("other_position", "opening_reserve", "duty", "quality"):
                if getattr(partner, name) is not None:
                    found.add(f"{path}.{name}", f"a partner of kind {partner.kind!r} has none")
        other = partner.other_position
        if other is not None and other.persistence and other.process != "ar1":
            found.add(f"{path}.other_position.persistence", 'goes with process = "ar1"')
        if partner.quality is not None and (partner.quality.value or 0) > 1:
            value = partner.quality.value
            found.add(
                f"{path}.quality.value",
                f"found {value:g}; accepted: a score from 0 to 1; did you mean {value / 100:g}?",
            )
        if partner.quality is not None:
            found.attempt(check_law, partner.quality, f"{path}.quality")
        for name in ("shortfall", "release"):
            key = getattr(partner, name)
            if hasattr(key, "get") and key.get(partner.name):
                found.add(f"{path}.{name}", "a pool account cannot be its own counterparty")


def _check_offsets(case: "Case", found: Findings) -> None:
    """Offsets between control totals are net neutral."""
    declared = declaration_of(type(case.partners[0]), "offset")
    total = sum(expand(partner.offset, declared, case.labels()) for partner in case.partners)
    worst = float(np.ravel(total)[np.argmax(np.abs(total))])
    if abs(worst) > 0.005:
        found.add(
            "partners",
            f"the offsets sum to {worst:,.2f} in some year; what one target gains another loses: 0",
        )


def check_accounts(case: "Case", found: Findings) -> None:
    """Check that pool accounts do not fund one another in a circle."""
    try:
        closing_order(case.partners)
    except graphlib.CycleError as error:
        circle = " -> ".join(error.args[1])
        found.add("partners", f"pool accounts fund one another in a circle: {circle}")


def check_indices(case: "Case", found: Findings) -> None:
    """Check laws, processes, influence and correlations of everything that is drawn."""
    paths: dict[str, AbstractIndex] = {f"drivers.{d.name}": d for d in case.drivers}
    paths |= {f"members.{population.name}": population for population in case.members}
    paths |= {f"changes.{change.name}.delivery": change.delivery for change in case.changes}
    delays = {f"changes.{c.name}.delay": c.delay for c in case.changes if c.delay is not None}
    for path, index in (paths | delays).items():
        found.attempt(check_law, index, path)
        if hasattr(index, "influence") and found.clean(f"{path}.influence"):
            found.attempt(_check_influence, case, index, f"{path}.influence")
    found.attempt(check_dependence, case)


def _check_influence(case: "Case", index: Any, path: str, found: Findings) -> None:
    declared = declaration_of(type(index), "influence")
    total = float(expand(index.influence, declared, case.labels()).sum())
    if total > 1 + SUM_TOLERANCE:
        found.add(
            path,
            f"the shares of control sum to {total:.10g}; accepted: at most 1 (what is left is "
            "controlled by nobody and goes by the residual key)",
        )


def check_lines(case: "Case", found: Findings) -> None:
    """Check volumes, cost shares, series, loadings and noise of every line."""
    for line in case.lines:
        path = f"lines.{line.name}"
        found.attempt(_check_volume, case, line, path)
        if found.clean(f"{path}.cost"):
            found.attempt(_check_cost, line, path)
        found.attempt(check_chance, case, line, path)
        found.attempt(_check_series, case, line, path)
        found.attempt(_check_loadings, case, line, f"{path}.loadings")


def _check_volume(case: "Case", line: Line, path: str, found: Findings) -> None:
    if (line.baseline is None) == (line.expected is None):
        found.add(
            path,
            "give a baseline (an existing service) or expected (a new one), one of the two",
        )
    if line.expected is not None and line.growth not in (0, 0.0):
        found.add(f"{path}.growth", "a new service states its expected activity year by year")
    if line.exposure is not None:
        found.attempt(_check_reference_count, case, line, path)
    deliverer = next(p for p in case.partners if p.name == line.deliverer)
    if deliverer.kind == "pool":
        found.add(f"{path}.deliverer", f"{line.deliverer!r} is a pool account, which does no work")


def _check_series(case: "Case", line: Line, path: str, found: Findings) -> None:
    for name, weights in (("price_series", line.price_series), ("cost_series", line.cost_series)):
        if weights is None or not found.clean(f"{path}.{name}"):
            continue
        if not case.price_base:
            found.add("price_base", f"missing; {path}.{name} needs the year it starts from")
        total = float(expand(weights, declaration_of(Line, name), case.labels()).sum())
        if abs(total - 1) > SUM_TOLERANCE:
            message = f"the weights of the series sum to {total:.10g}; they must sum to 1"
            found.add(f"{path}.{name}", message)


def _check_loadings(case: "Case", line: Line, path: str, found: Findings) -> None:
    powers = expand(line.loadings, declaration_of(Line, "loadings"), case.labels())
    for driver, power in zip(case.drivers, powers, strict=True):
        if power != 0 and driver.acts_on in ("funding", "chance"):
            found.add(
                f"{path}[{driver.name}]",
                f"that driver acts on {driver.acts_on}; accepted: drivers of activity, case_mix "
                "or unit_cost",
            )
        if driver.acts_on == "dispersion" and power != 0:
            found.add(
                f"{path}[{driver.name}]",
                "that driver spreads the noise of lines; name it in noise.dispersion",
            )
        own = isinstance(driver.law, AbstractLaw)
        if power < 0 and not driver.certain and not own and driver.law != "lognormal":
            found.add(
                f"{path}[{driver.name}]",
                f"found {power:g} on a normal index, whose inverse has an infinite mean; accepted: "
                "0 or more, or give the driver a lognormal law",
            )
        elif own and power != 0:
            found.attempt(check_power, driver, float(power), f"{path}[{driver.name}]")


def _check_reference_count(case: "Case", line: Line, path: str, found: Findings) -> None:
    population = next(p for p in case.members if p.name == line.exposure)
    if not found.clean(f"members.{population.name}"):
        return
    counts = expand(population.count, declaration_of(type(population), "count"), case.labels())
    reference = counts[0] if population.reference is None else population.reference
    if reference <= 0:
        found.add(
            f"{path}.exposure",
            f"{population.name!r} counts 0 members at baseline; give it a reference above 0",
        )


def _check_cost(line: Line, path: str, found: Findings) -> None:
    cost = line.cost
    total = cost.variable + (cost.semi_fixed or 0) + (cost.fixed or 0)
    if abs(total - 1) > SUM_TOLERANCE:
        found.add(
            f"{path}.cost",
            f"variable, semi_fixed and fixed sum to {total:.10g}; the shares must sum to 1",
        )
    for part in ("semi_fixed", "fixed"):
        released = getattr(cost.released, part)
        if isinstance(released, tuple) and any(b < a for a, b in pairwise(released)):
            found.add(f"{path}.cost.released.{part}", "a share released never falls with age")
    step = cost.step
    if step is None:
        return
    if cost.semi_fixed is None:
        found.add(f"{path}.cost.step", "a step needs a semi_fixed share")
    if step.cost is not None and not line.unit_cost:
        found.add(f"{path}.unit_cost", "found 0; a step with a cost needs a unit cost above 0")
    if step.size == 0:
        found.add(f"{path}.cost.step.size", "found 0; accepted: above 0")
    for name in ("length_of_stay", "occupancy"):
        if (step.unit == "beds") != (getattr(step, name) is not None):
            found.add(f"{path}.cost.step.{name}", 'goes with unit = "beds", and it needs one')
        elif getattr(step, name) == 0:
            found.add(f"{path}.cost.step.{name}", "found 0; accepted: above 0")


def check_changes(case: "Case", found: Findings) -> None:
    """Check that changes leave from lines with a baseline and never take more than all of it."""
    lines = {line.name: line for line in case.lines}
    labels = case.labels()
    leaving: dict[str, Any] = {}
    for change in case.changes:
        path = f"changes.{change.name}"
        if change.source not in lines:
            continue
        if lines[change.source].baseline is None:
            found.add(f"{path}.source", f"{change.source!r} has no baseline to take a share of")
        if change.thinning and change.delay is not None:
            found.add(
                f"{path}.thinning",
                "units move one by one of a number that is planned, which a delay moves; leave one "
                "of the two out",
            )
        if change.destination == change.source:
            found.add(f"{path}.destination", "is the source itself")
        if (change.size is None) == (change.targeting is None):
            found.add(f"{path}.size", "give a size, or a targeting that makes one, one of the two")
        elif found.clean(f"{path}.size", f"{path}.targeting"):
            leaving[change.source] = leaving.get(change.source, 0) + change.sizes(labels)
    for name, total in leaving.items():
        if np.max(total) > 1 + SUM_TOLERANCE:
            found.add(
                "changes", f"together they take {np.max(total):.3g} of the baseline of {name!r}"
            )


def _labelled(path: str, known: set[str], labels: set[str]) -> bool:
    """Whether a path is a label of a field, also of one that now has one number for all."""
    field, keys = split_path(path)
    return field in known and bool(keys) and set(keys) <= labels


def check_notes(case: "Case", found: Findings) -> None:
    """Check that every note about a path is about something that is there."""
    if not case.assumptions and not case.sources:
        return
    paths = set(case.numbers())
    known = {*field_paths(case), *(info.name for info in fields_of(type(case)))}
    labels = {label for names in case.labels().values() for label in names}
    for section, notes in (("assumptions", case.assumptions), ("sources", case.sources)):
        for path, note in notes.items():
            if path not in paths and path not in known and not _labelled(path, known, labels):
                found.add(
                    f"{section}.{path}", f"nothing has that path; {suggest(path, sorted(known))}"
                )
            if not isinstance(note, str):
                found.add(f"{section}.{path}", f"found {note!r}; accepted: text")
