"""The labelled results: draws and outcomes as xarray datasets, and what their names mean."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr

from riskshare.bind import Bound, targets_of
from riskshare.case import Case
from riskshare.names import SYSTEM
from riskshare.parameters import declaration_of, expand
from riskshare.plan import year_bounds

OUTCOMES = (
    "received",
    "paid",
    "cost",
    "position",
    "posting",
    "line_cost",
    "cost_released",
    "stranded",
    "lost_contribution",
    "cash",
    "underlying",
    "other_position",
    "saving_avoided",
    "saving_released",
    "saving_cash",
    "waiting_list",
)
"""Variables of an outcomes dataset."""


def offered(bound: Bound) -> tuple[str, ...]:
    """Return the variables that a case has something of its own to say in.

    Cash equals position where no term is paid late, and so does the underlying position where
    everything is recurrent: they are there when asked for.
    """
    structure, terms = bound.structure, [slot.term for slot in bound.numbers.yearly.terms]
    silent = set()
    if all(term.cash is None for term in terms):
        silent.add("cash")
    if all(term.recurrent for term in terms) and not structure.passing:
        silent.add("underlying")
    if not structure.others:
        silent.add("other_position")
    if not structure.changes:
        silent |= set(BY_CHANGE)
    if not structure.limited:
        silent.add("waiting_list")
    return tuple(name for name in OUTCOMES if name not in silent)


_LONG_NAMES = {
    "received": "money received from terms, not negative",
    "paid": "money paid under terms, not negative",
    "cost": "cost of what the partner delivers and of the changes it owns",
    "position": "surplus (+) or deficit (-): postings less cost",
    "posting": "money that a term moves, positive where the partner receives",
    "line_cost": "cost of a line's activity",
    "cost_released": "cost of the activity below baseline that has gone",
    "stranded": "cost of the activity below baseline that is still there",
    "lost_contribution": "price of the activity below baseline less the cost released",
    "cash": "money received in the year less money paid, less cost",
    "underlying": "position without what is not recurrent",
    "other_position": "position of the rest of the organisation, outside this case",
    "saving_avoided": "full cost of the activity a change took out, against its not happening",
    "saving_released": "cost that a change has really released",
    "saving_cash": "cost released less the running cost and the cost of what replaced it",
    "activity": "activity of the year",
    "case_mix": "case mix, 1 = plan",
    "unit_cost": "full cost per case-mix unit at baseline volume",
    "driver_index": "index of a driver, 1 = plan; of a delay, years",
    "members": "members of a population",
    "waiting_list": "waiting when the year ends, on lines with a capacity",
    "person_cost": "cost of each person who is drawn one by one",
    "closing": "balance carried out of the year",
    "weight": "what a sample counts for, 1 on average",
}
BY_PARTNER = ("received", "paid", "cost", "position", "cash", "underlying")
BY_CHANGE = ("saving_avoided", "saving_released", "saving_cash")
BY_LINE = ("line_cost", "cost_released", "stranded", "lost_contribution", "waiting_list")


def digest(case: Case) -> str:
    """Return the digest that tells one case from another: 16 hexadecimal digits."""
    return hashlib.sha256(repr(case).encode()).hexdigest()[:16]


def groups_of(case: Case) -> dict[str, np.ndarray[Any, Any]]:
    """Return which partners belong to ``system`` and to each group."""
    members = {SYSTEM: np.array([partner.kind != "external" for partner in case.partners])}
    for name in dict.fromkeys(group for partner in case.partners for group in partner.groups):
        members[name] = np.array([name in partner.groups for partner in case.partners])
    return members


def coordinates(case: Case) -> dict[str, Any]:
    """Return the coordinates of years and partners, with kinds, targets and membership."""
    groups = groups_of(case)
    labels = case.labels()

    def by_partner(name: str) -> np.ndarray[Any, Any]:
        declaration = declaration_of(type(case.partners[0]), name)
        values = [getattr(partner, name) for partner in case.partners]
        return np.stack(
            [
                np.full(len(case.years), np.nan)
                if value is None
                else expand(value, declaration, labels)
                for value in values
            ],
            axis=1,
        )

    return {
        "year": list(labels["year"]),
        "partner": list(labels["partner"]),
        "kind": ("partner", [partner.kind for partner in case.partners]),
        "target": (("year", "partner"), targets_of(case)),
        "turnover": (("year", "partner"), by_partner("turnover")),
        **_optional(case, by_partner),
        "partner_group": list(groups),
        "membership": (("partner_group", "partner"), np.stack(list(groups.values()))),
    }


def _optional(case: Case, by_partner: Any) -> dict[str, Any]:
    """Return the coordinates that only some cases have: duty, reserves, deflator, calendar."""
    found: dict[str, Any] = {}
    if any(partner.duty is not None for partner in case.partners):
        duty = by_partner("duty")
        found["duty"] = (("year", "partner"), np.where(np.isnan(duty), 0.0, duty))
    reserves = [partner.opening_reserve for partner in case.partners]
    if any(reserve is not None for reserve in reserves):
        values = [np.nan if reserve is None else float(reserve) for reserve in reserves]
        found["opening_reserve"] = ("partner", values)
    if case.deflator is not None:
        rates = expand(case.deflator, declaration_of(Case, "deflator"), case.labels())
        years = case.labels()["year"]
        base = years.index(case.price_base) + 1 if case.price_base in years else 0
        rates = np.where(np.arange(len(years)) < base, 0.0, rates)
        found["deflator"] = (("year",), np.cumprod(1 + rates))
    start, end = year_bounds(case)
    found["midyear"] = (("year",), (start + end) / 2)
    return found


ROUNDING = 4.0
"""Roundings of a partner's gross flow that a position may be off by."""


def resolution(case: Case, bound: Bound, precision: str) -> np.ndarray[Any, Any]:
    """Return what a position may be off by for rounding of floats alone, (year, partner), money.

    ``4 x epsilon x (plan value and plan cost of what the partner delivers or pays for)``. A partner
    whom a contract makes whole has a position within this of its target.
    """
    view, world = bound.plan.view, bound.numbers.world
    volume = np.maximum(view.plan, view.baseline)
    flows = volume * (view.price + bound.plan.unit_cost)
    gross = flows @ (world.deliverer + world.payer).T
    others = list(bound.structure.others)
    gross[:, others] += np.abs(bound.numbers.yearly.other_mean[:, :, 0])
    return np.asarray(ROUNDING * np.finfo(precision).eps * gross)


def attributes(case: Case, precision: str) -> dict[str, Any]:
    """Return what a result says of itself, so that it can be made again."""
    return {
        "title": case.title or case.name,
        "case": case.name,
        "case_digest": digest(case),
        "currency": case.currency,
        "precision": precision,
        "riskshare_version": _version(),
    }


@lru_cache(maxsize=1)
def _version() -> str:
    return version("riskshare")


def _describe(dataset: xr.Dataset, case: Case) -> xr.Dataset:
    units = {line.name: line.unit for line in case.lines}
    for name, variable in dataset.data_vars.items():
        if name in _LONG_NAMES:
            variable.attrs["long_name"] = _LONG_NAMES[str(name)]
        if name in OUTCOMES and name != "waiting_list":
            variable.attrs["units"] = case.currency
        if name == "activity":
            variable.attrs["units"] = ", ".join(f"{k}: {v}" for k, v in units.items())
    return dataset


def outcomes_dataset(
    case: Case,
    bound: Bound,
    arrays: Mapping[str, Any],
    attrs: Mapping[str, Any],
    replicate: np.ndarray[Any, Any] | None = None,
    settled: np.ndarray[Any, Any] | None = None,
    closing: tuple[tuple[str, ...], np.ndarray[Any, Any]] | None = None,
) -> xr.Dataset:
    """Label what the kernel returned: arrays with the year first and the sample last.

    Parameters
    ----------
    settled
        Which years to hold; all of them unless given.
    closing
        Names of carried balances, and their values (year, state, sample).
    """
    variables: dict[str, Any] = {}
    coords = coordinates(case)
    coords["resolution"] = (("year", "partner"), resolution(case, bound, attrs["precision"]))
    for name in OUTCOMES:
        if name not in arrays:
            continue
        if name in BY_PARTNER:
            variables[name] = (("year", "partner", "sample"), arrays[name])
        elif name == "other_position":
            variables[name] = (("year", "partner", "sample"), _spread(bound, arrays[name]))
        elif name in BY_CHANGE:
            variables[name] = (("year", "change", "sample"), arrays[name])
        elif name == "waiting_list":
            variables[name] = (("year", "line", "sample"), waiting_by_line(bound, arrays[name]))
        elif name in BY_LINE:
            variables[name] = (("year", "line", "sample"), arrays[name])
        else:
            entries = arrays[name]
            held = (a.shape[-1] for n, a in arrays.items() if n != name)
            samples = len(replicate) if replicate is not None else next(held, 0)
            shape = (len(case.years), 0, len(case.partners), samples)
            stacked = np.stack(entries, axis=1) if entries else np.zeros(shape)
            variables[name] = (("year", "term", "partner", "sample"), stacked)
    if closing is not None:
        coords["state"] = list(closing[0])
        variables["closing"] = (("year", "state", "sample"), closing[1])
    if any(name in arrays for name in BY_LINE):
        coords["line"] = list(case.labels()["line"])
    if any(name in arrays for name in BY_CHANGE):
        coords["change"] = [change.name for change in case.changes]
        coords["owner"] = ("change", [change.owner for change in case.changes])
    if "posting" in arrays:
        coords["term"] = list(bound.structure.term_names)
    if replicate is not None:
        variables["replicate"] = ("sample", replicate)
    if "weight" in arrays:
        variables["weight"] = ("sample", arrays["weight"])
    if settled is not None and not settled.all():
        variables, coords = (_picked(part, settled) for part in (variables, coords))
    dataset = xr.Dataset(variables, coords, dict(attrs))
    return _describe(dataset, case)


def waiting_by_line(bound: Bound, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return waiting lists of the lines with a capacity on all lines, NaN for the others."""
    spread = np.full((len(values), bound.structure.lines, values.shape[-1]), np.nan, values.dtype)
    spread[:, list(bound.structure.limited)] = values
    return spread


def person_lines(case: Case, bound: Bound) -> list[str]:
    """Return the line of each person who is drawn one by one."""
    structure = bound.structure
    slots = zip(structure.peopled, structure.slots, strict=True)
    return [case.lines[line].name for line, count in slots for _ in range(count)]


def _spread(bound: Bound, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return other positions on all partners, NaN for those that state none."""
    shape = (values.shape[0], bound.structure.partners, values.shape[-1])
    spread = np.full(shape, np.nan, values.dtype)
    spread[:, list(bound.structure.others)] = values
    return spread


def _picked(part: dict[str, Any], settled: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Return variables or coordinates of the settled years; the year is their first axis."""
    found = dict(part)
    for name, value in part.items():
        if name == "year":
            found[name] = [label for label, keep in zip(value, settled, strict=True) if keep]
        elif isinstance(value, tuple) and value[0][0] == "year":
            found[name] = (value[0], value[1][settled])
    return found


def draws_dataset(
    case: Case,
    bound: Bound,
    arrays: Mapping[str, Any],
    attrs: Mapping[str, Any],
    replicate: np.ndarray[Any, Any] | None = None,
) -> xr.Dataset:
    """Label drawn experience."""
    names = list(case.indices())
    structure = bound.structure
    people = slice(structure.drivers, structure.drivers + structure.populations)
    others = [i for i in range(structure.first_score) if not people.start <= i < people.stop]
    index = arrays["driver_index"]
    by_line = ("year", "line", "sample")
    variables: dict[str, Any] = {
        "activity": (by_line, arrays["activity"]),
        "case_mix": (by_line, arrays["case_mix"]),
        "unit_cost": (by_line, arrays["unit_cost"]),
        "driver_index": (("year", "driver", "sample"), index[:, others]),
        "members": (
            ("year", "population", "sample"),
            index[:, people] * bound.plan.view.members[:, :, None].astype(index.dtype),
        ),
    }
    scores = slice(structure.first_score, structure.first_score + len(structure.scored))
    partners = [partner.name for partner in case.partners]
    if structure.scored:
        quality = np.full((len(index), len(partners), index.shape[-1]), np.nan, index.dtype)
        quality[:, list(structure.scored)] = np.clip(index[:, scores], 0, 1)
        variables["quality"] = (("year", "partner", "sample"), quality)
    if structure.others:
        world, yearly = bound.numbers.world, bound.numbers.yearly
        rest = yearly.other_mean + world.other_sd * np.log(index[:, scores.stop :])
        other = _spread(bound, rest.astype(index.dtype))
        variables["other_position"] = (("year", "partner", "sample"), other)
    if structure.limited:
        waiting = waiting_by_line(bound, arrays["waiting_list"])
        variables["waiting_list"] = (by_line, waiting)
    if sum(structure.slots):
        variables["person_cost"] = (("year", "person", "sample"), arrays["person_cost"])
    if replicate is not None:
        variables["replicate"] = ("sample", replicate)
    if "weight" in arrays:
        variables["weight"] = ("sample", arrays["weight"])
    labels = case.labels()
    coords: dict[str, Any] = {
        "year": list(labels["year"]),
        "line": list(labels["line"]),
        "driver": [names[i] for i in others],
        "population": list(labels["population"]),
    }
    if structure.scored or structure.others:
        coords["partner"] = partners
    if sum(structure.slots):
        coords["person_line"] = ("person", person_lines(case, bound))
    dataset = xr.Dataset(variables, coords, dict(attrs))
    return _describe(dataset, case)
