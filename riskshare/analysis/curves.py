"""The ways through experience along which a contract is looked at: one thing moves, the rest stays.

A curve's parameter is a multiple of plan (1 is plan), a quality score, or money of one person.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from riskshare.analysis.probe import Numbers, Probe
from riskshare.contract.protection import StopLoss
from riskshare.contract.sharing import Pool
from riskshare.names import delivery_name
from riskshare.parameters import declaration_of, expand

Kind = Literal[
    "line", "lines", "case mix", "unit cost", "quality", "members", "delivery", "driver", "person"
]


@dataclass(frozen=True)
class Curve:
    """One thing that moves.

    Parameters
    ----------
    kind, name
        What moves: a line, all lines of a contract, a driver, ...
    start, stop
        Range of its parameter.
    at
        What differs from plan at parameters (point): (year, row, point) by variable.
    rows
        Positions of the lines whose activity moves.
    """

    kind: Kind
    name: str
    start: float
    stop: float
    at: Callable[[Numbers], dict[str, Numbers]]
    rows: tuple[int, ...] = ()

    def grid(self, points: int) -> Numbers:
        """Return parameters from start to stop."""
        return np.linspace(self.start, self.stop, points)

    @property
    def label(self) -> str:
        """What moves, in words."""
        if self.kind == "line":
            return self.name
        words = {
            "lines": f"all lines of {self.name}",
            "case mix": "case mix of all lines",
            "unit cost": "unit cost of all lines",
            "quality": f"quality of {self.name}",
            "members": f"members of {self.name}",
            "delivery": f"delivery of {self.name}",
            "driver": f"driver {self.name}",
            "person": f"cost of one person in {self.name}",
        }
        return words[self.kind]


_NEARLY_NOTHING = 1e-3
"""Where curves begin that would begin at nothing: an index at zero takes all of a split by driver,
which is a jump of the split and of no contract."""


def curves_of(probe: Probe, span: float) -> list[Curve]:
    """Return every curve of a case, those of lines and contracts first."""
    span = min(span, 1 - _NEARLY_NOTHING)
    return [
        *_volumes(probe, span),
        *_levels(probe, span),
        *_qualities(probe),
        *_members(probe, span),
        *_deliveries(probe),
        *_drivers(probe, span),
        *_persons(probe),
    ]


def points_for(curves: list[Curve], most: int = 2001) -> int:
    """Return how fine a grid may be: fine, unless there are very many curves."""
    return int(np.clip(131_072 // max(len(curves), 1), 201, most)) | 1


def _scaled(probe: Probe, rows: tuple[int, ...], factor: Numbers) -> Numbers:
    """Return activity with some lines at multiples of plan; a line without plan takes baseline."""
    plan = probe.plan["activity"]
    baseline = probe.bound.plan.view.baseline
    size = np.where(plan > 0, plan, np.where(baseline > 0, baseline, 1.0))
    activity = np.repeat(plan[:, :, None], len(factor), axis=2)
    picked = list(rows)
    moved = plan[:, picked, None] + size[:, picked, None] * (factor - 1)
    activity[:, picked] = np.maximum(moved, 0)
    return activity


def _volumes(probe: Probe, span: float) -> Iterator[Curve]:
    def curve(kind: Kind, name: str, rows: tuple[int, ...]) -> Curve:
        return Curve(
            kind, name, 1 - span, 1 + span, lambda t: {"activity": _scaled(probe, rows, t)}, rows
        )

    for row, name in enumerate(probe.lines):
        yield curve("line", name, (row,))
    for contract in probe.case.contracts:
        rows = tuple(probe.lines.index(name) for name in probe.case.scope_lines(contract))
        if rows:
            yield curve("lines", contract.name, rows)


def _levels(probe: Probe, span: float) -> Iterator[Curve]:
    kinds: tuple[tuple[Kind, str], ...] = (("case mix", "case_mix"), ("unit cost", "unit_cost"))
    for kind, variable in kinds:
        plan = probe.plan[variable]

        def at(t: Numbers, name: str = variable, plan: Numbers = plan) -> dict[str, Numbers]:
            return {name: plan[:, :, None] * t}

        yield Curve(kind, "", 1 - span, 1 + span, at)


def _qualities(probe: Probe) -> Iterator[Curve]:
    for row in probe.bound.structure.scored:

        def at(t: Numbers, row: int = row) -> dict[str, Numbers]:
            quality = np.repeat(probe.plan["quality"][:, :, None], len(t), axis=2)
            quality[:, row] = t
            return {"quality": quality}

        yield Curve("quality", probe.partners[row], 0.0, 1.0, at)


def _members(probe: Probe, span: float) -> Iterator[Curve]:
    plan = probe.bound.plan
    for row, name in enumerate(probe.labels["population"]):

        def at(t: Numbers, row: int = row) -> dict[str, Numbers]:
            members = np.repeat(probe.plan["members"][:, :, None], len(t), axis=2)
            members[:, row] *= t
            more = (plan.view.before * plan.exposure[:, row])[:, :, None] * (t - 1)
            activity = np.maximum(probe.plan["activity"][:, :, None] + more, 0)
            return {"members": members, "activity": activity}

        yield Curve("members", name, 1 - span, 1 + span, at)


def _deliveries(probe: Probe) -> Iterator[Curve]:
    plan = probe.bound.plan
    for place, change in enumerate(probe.case.changes):
        row = probe.drivers.index(delivery_name(change.name))

        def at(t: Numbers, place: int = place, row: int = row) -> dict[str, Numbers]:
            index = np.repeat(probe.plan["driver_index"][:, :, None], len(t), axis=2)
            index[:, row] = t
            moved = (plan.moved[:, :, place] * plan.size[:, [place]])[:, :, None] * (t - 1)
            activity = np.maximum(probe.plan["activity"][:, :, None] + moved, 0)
            return {"driver_index": index, "activity": activity}

        yield Curve("delivery", change.name, _NEARLY_NOTHING, 2.0, at)


def _drivers(probe: Probe, span: float) -> Iterator[Curve]:
    acts = {"activity": "activity", "case_mix": "case_mix", "unit_cost": "unit_cost"}
    for row, driver in enumerate(probe.case.drivers):
        if driver.acts_on == "chance":
            continue
        loading = probe.bound.plan.loadings[:, row]

        def at(
            t: Numbers, row: int = row, acted: str = driver.acts_on, power: Numbers = loading
        ) -> dict[str, Numbers]:
            index = np.repeat(probe.plan["driver_index"][:, :, None], len(t), axis=2)
            index[:, row] = t
            found = {"driver_index": index}
            if acted in acts:
                name = acts[acted]
                factor = np.maximum(t, 1e-9)[None, :] ** power[:, None]
                found[name] = probe.plan[name][:, :, None] * factor
            return found

        yield Curve("driver", driver.name, 1 - span, 1 + span, at)


def _persons(probe: Probe) -> Iterator[Curve]:
    """Yield the cost of one person on the first line of each term that looks at persons."""
    for name in probe.persons:
        term = probe.declared[name]
        place = probe.terms.index(name)
        bound: Any = probe.bound.numbers.yearly.terms[place].term
        if isinstance(term, StopLoss):
            given = (term.attachment, "attachment") if term.limit is None else (term.limit, "limit")
            most = np.max(expand(given[0], declaration_of(StopLoss, given[1]), probe.labels))
        elif isinstance(term, Pool) and term.truncation is not None:
            most = np.max(bound.truncation.at)
        else:
            continue
        row = int(bound.lines[0]) if bound.lines else 0

        def at(t: Numbers, row: int = row) -> dict[str, Numbers]:
            cost = np.repeat(probe.plan["person_cost"][:, :, None], len(t), axis=2)
            cost[:, row] = t
            return {"person_cost": cost}

        yield Curve("person", name, 0.0, float(2 * most) or 1.0, at)


def said(probe: Probe, curve: Curve, at: float, year: int) -> str:
    """Return where on a curve something is, as a reader would say it."""
    label = probe.years[year]
    if curve.kind == "line":
        row = curve.rows[0]
        activity = float(curve.at(np.array([at]))["activity"][year, row, 0])
        return f"{100 * at:.2f} % of plan of {curve.name} (activity {activity:,.1f}, {label})"
    if curve.kind == "quality":
        return f"a score of {at:.4f} of {curve.name} ({label})"
    if curve.kind == "person":
        return f"{at:,.2f} of one person's cost ({label})"
    if curve.kind in ("delivery", "driver"):
        return f"{100 * at:.2f} % of plan of {curve.label} and what it moves ({label})"
    return f"{100 * at:.2f} % of plan of {curve.label} ({label})"
