"""Gates: which number puts a jump where it is, whether it was declared, and how likely it is.

A number is what puts a jump there if the jump leaves its place as soon as the number moves. The
probability near it is the share of draws whose money jumps when the number moves by half a per
cent of its base, up or down.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from riskshare.analysis.curves import said
from riskshare.analysis.findings import Finding, exact_money, joined, money, percent
from riskshare.analysis.jumps import Jump
from riskshare.analysis.probe import Numbers, Probe, Values
from riskshare.case import Case
from riskshare.contract.marginal import MarginalRate
from riskshare.contract.organisation import ControlTotalFunding, PerformancePayment
from riskshare.contract.sharing import Pool
from riskshare.parameters import label_path, split_path

HALF_WINDOW = 0.005
"""What counts as near a gate: half a per cent of its base either way."""

_BASES = {
    "gate": "the budget",
    "corridor": "the budget",
    "break glass": "the base",
    "quality standard": "a full score",
    "performance target": "baseline",
}

_MUCH = 0.05
"""Probability near a gate from which it is a warning."""


@dataclass(frozen=True)
class StepNumber:
    """A number that puts a jump somewhere."""

    term: str
    path: str
    word: str
    declared: bool
    nudge: float
    """A move that is far larger than the place of a jump is uncertain."""
    half: float
    """Half a per cent of its base."""
    base: str
    """What it is a share of, or is held against."""


@dataclass(frozen=True)
class Found:
    """A jump with what is known of it."""

    jump: Jump
    number: StepNumber | None
    mass: float

    @property
    def declared(self) -> bool:
        """Whether the contract says that there is a jump here, or it is one of cost."""
        return self.jump.line is not None or (self.number is not None and self.number.declared)


def step_numbers(probe: Probe) -> Iterator[StepNumber]:
    """Yield the numbers of every term that may put a jump somewhere."""
    numbers = probe.case.numbers()

    def at(term: str, path: str, word: str, declared: bool = True) -> Iterator[StepNumber]:
        axis = {"gate": "outcome", "corridor": "outcome", "break glass": "direction"}.get(word)
        for name in [p for p in numbers if split_path(p)[0] == path or p == path]:
            nudge = 1e-4 * max(abs(numbers[name]), 0.01)
            for split in _by_label(probe, name, axis):
                yield StepNumber(
                    term, split, word, declared, nudge, HALF_WINDOW, _BASES.get(word, "its base")
                )

    for name, term in probe.declared.items():
        if isinstance(term, Pool):
            if term.gate is not None and term.gate.reading == "first-dollar":
                yield from at(name, f"{name}.gate.threshold", "gate")
            if term.quality is not None:
                yield from at(name, f"{name}.quality.standard", "quality standard")
            for i, corridor in enumerate(term.corridors):
                if corridor.counted_from is not None:
                    yield from at(name, f"{name}.corridors[{i}].beyond", "corridor", declared=False)
        elif isinstance(term, MarginalRate):
            if term.break_glass is not None and term.break_glass.reading == "whole-deviation":
                yield from at(name, f"{name}.break_glass.threshold", "break glass")
        elif isinstance(term, PerformancePayment):
            if term.release == "gate":
                yield from at(name, f"{name}.target", "performance target")
        elif isinstance(term, ControlTotalFunding):
            yield from _control_totals(probe, name, term)
        elif not type(term).__module__.startswith("riskshare."):
            # a term from outside knows its own gates: any number of its own declares one
            for path in [p for p in numbers if p.startswith(f"{name}.")]:
                size = max(abs(numbers[path]), 0.01)
                half = HALF_WINDOW * size
                yield StepNumber(name, path, term.kind, True, 1e-4 * size, half, "its value")


def _by_label(probe: Probe, path: str, axis: str | None) -> list[str]:
    """Return the paths of a number's two outcomes or directions, where it holds for both."""
    if axis is None or any(key in probe.labels[axis] for key in split_path(path)[1]):
        return [path]
    return [label_path(path, label) for label in probe.labels[axis]]


def _control_totals(probe: Probe, name: str, term: ControlTotalFunding) -> Iterator[StepNumber]:
    numbers = probe.case.numbers()
    gross = probe.at_plan
    received = np.maximum(gross.posting, 0).sum(1).max((0, 2))
    income = np.maximum(received, gross.cost.max((0, 2)))
    concerned = [
        partner.name
        for partner in probe.case.partners
        if partner.name in term.system
        or (hasattr(term.amount, "get") and term.amount.get(partner.name))
    ]
    for partner in concerned:
        size = float(income[probe.partners.index(partner)])
        head = f"partners.{partner}.target"
        for path in [p for p in numbers if split_path(p)[0] == head]:
            nudge = max(1.0, 1e-6 * size)
            yield StepNumber(
                name,
                path,
                "control total",
                True,
                nudge,
                max(nudge, HALF_WINDOW * size),
                f"{partner}'s income",
            )


def value_of(case: Case, path: str) -> float:
    """Return the number at a path, which may name one label of a number that holds for all."""
    numbers = case.numbers()
    while path not in numbers:
        head, keys = split_path(path)
        path = f"{head}[{','.join(keys[:-1])}]" if len(keys) > 1 else head
    return numbers[path]


def explained(probe: Probe, jumps: Sequence[Jump], draws: Values) -> list[Found]:
    """Say which number puts each jump where it is, and how much probability lies near it."""
    found = [Found(jump, None, _near(probe, jump, draws)) for jump in jumps]
    if not jumps:
        return found
    parts = [(jump.curve.at(np.array([jump.low, jump.high])), 2) for jump in jumps]
    for number in step_numbers(probe):
        place = probe.terms.index(number.term)
        mine = [i for i, jump in enumerate(jumps) if jump.term == place]
        if not mine:
            continue
        value = value_of(probe.case, number.path)
        around = probe.values([parts[i] for i in mine])
        after = probe.settle_at(around, {number.path: value + number.nudge})
        if after is None:
            after = probe.settle_at(around, {number.path: value - number.nudge})
        if after is None:
            continue
        left = after.posting[:, place, :, 1::2] - after.posting[:, place, :, 0::2]
        explains = [
            i
            for k, i in enumerate(mine)
            if np.abs(left[jumps[i].year, :, k]).max() < 0.5 * jumps[i].height
        ]
        if explains:
            near = _window(probe, number, value, draws)
            for i in explains:
                jump = jumps[i]
                share = float((near[jump.year] > 0.25 * jump.height).mean())
                found[i] = replace(found[i], number=number, mass=share)
    return found


def _window(probe: Probe, number: StepNumber, value: float, draws: Values) -> Numbers:
    """Return how far a term's money moves, (year, sample), as its number crosses the window."""
    place = probe.terms.index(number.term)
    ends = []
    for side in (-1, 1):
        # a share cannot be moved beyond nothing or all
        for to in (value + side * number.half, max(0.0, float(side)), value):
            settled = probe.settle_at(draws, {number.path: to})
            if settled is not None:
                ends.append(settled.posting[:, place])
                break
    return np.asarray(np.abs(ends[1] - ends[0]).max(1))


def _near(probe: Probe, jump: Jump, draws: Values) -> float:
    """Return the share of draws within half a per cent of plan of a jump in activity."""
    rows = list(jump.curve.rows)
    if not rows:
        return 0.0
    price = probe.bound.plan.view.price[jump.year, rows]
    plan = float((probe.plan["activity"][jump.year, rows] * price).sum())
    if plan <= 0:
        return 0.0
    drawn = (draws["activity"][jump.year, rows] * price[:, None]).sum(0) / plan
    return float((np.abs(drawn - jump.at) < HALF_WINDOW).mean())


def distinct(found: Sequence[Found]) -> list[Found]:
    """Return each jump once: on the curves of lines and contracts, and others where it is new."""
    kept: list[Found] = []
    seen: set[object] = set()
    for one in found:
        jump = one.jump
        what = (jump.line, jump.term, jump.year, one.number, jump.at > 1)
        volume = jump.curve.kind in ("line", "lines")
        if volume and jump.line is None:
            key: object = (what, jump.curve.label)
        else:
            key = what
            if what in seen:
                continue
        if key not in seen:
            kept.append(one)
        seen |= {key, what}
    return kept


def gates_dataset(probe: Probe, found: Sequence[Found]) -> xr.Dataset:
    """Return the jumps as a dataset."""

    def what(jump: Jump) -> str:
        if jump.term is not None:
            return probe.terms[jump.term]
        assert jump.line is not None
        return f"cost of {probe.lines[jump.line]}"

    columns = {
        "term": [what(f.jump) for f in found],
        "year": [probe.years[f.jump.year] for f in found],
        "where": [f.jump.curve.label for f in found],
        "at": [f.jump.at for f in found],
        "number": ["" if f.number is None else f.number.path for f in found],
        "height": [f.jump.height for f in found],
        "mass": [f.mass for f in found],
        "declared": [f.declared for f in found],
    }
    texts = ("term", "year", "where", "number")
    variables = {
        name: ("gate", np.array(values, dtype=object if name in texts else None))
        for name, values in columns.items()
    }
    jump = np.array([f.jump.position for f in found]).reshape(len(found), len(probe.partners))
    return xr.Dataset(
        {**variables, "jump": (("gate", "partner"), jump)}, {"partner": list(probe.partners)}
    )


def gate_findings(probe: Probe, found: Sequence[Found]) -> Iterator[Finding]:
    """Yield undeclared jumps as errors, and what declared gates are worth."""
    groups: dict[tuple[object, ...], list[Found]] = {}
    for one in found:
        if one.jump.line is None:
            number = None if one.number is None else one.number.path
            side = one.jump.at > 1 if number is None else None
            groups.setdefault((one.jump.term, number, side), []).append(one)
    for group in groups.values():
        yield _finding(probe, group)


def _finding(probe: Probe, group: list[Found]) -> Finding:
    assert group[0].jump.term is not None
    term = probe.terms[group[0].jump.term]
    clearest = "lines" if isinstance(probe.declared.get(term), Pool) else "line"
    one = max(group, key=lambda f: (f.mass, f.jump.curve.kind == clearest, abs(f.jump.height)))
    jump, number = one.jump, one.number
    currency = probe.case.currency
    height = exact_money(currency, jump.height)
    place = said(probe, jump.curve, jump.at, jump.year)
    if number is None:
        return Finding(
            "error", "continuity", term, f"jumps by {height} at {place}: no gate is declared there"
        )
    base = value_of(probe.case, number.path)
    if not number.declared:
        inner = number.path.replace(".beyond", ".counted_from")
        start = value_of(probe.case, inner)
        return Finding(
            "error",
            "continuity",
            inner,
            f"jumps by {height} at {100 * base:g} % of the budget ({place}): no gate is declared "
            f"there; the corridor begins at {100 * base:g} % and is counted from {100 * start:g} % "
            "(leave counted_from out for a share without a jump)",
        )
    in_money = number.word == "control total"
    threshold = money(currency, base) if in_money else f"{100 * base:g} %"
    declared = probe.declared[term]
    if isinstance(declared, Pool) and declared.gate is not None and declared.gate.scale is not None:
        threshold += " and its scale"
    text = (
        f"the {number.word} at {threshold} moves {height} at once, at {place}: "
        f"{_hit(probe, jump)}; {percent(one.mass)} of outcomes lie within half a per cent of "
        f"{number.base} from it"
    )
    return Finding("warning" if one.mass >= _MUCH else "note", "continuity", number.path, text)


def _hit(probe: Probe, jump: Jump) -> str:
    """Return whose position moves by how much as the curve goes through a jump."""
    moved = []
    for name, change in zip(probe.partners, map(float, jump.position), strict=True):
        if abs(change) > 0.005 * abs(jump.height):
            verb = "gains" if change > 0 else "loses"
            moved.append(f"{name} {verb} {exact_money(probe.case.currency, abs(change))}")
    return f"as it rises {joined(moved)}" if moved else "no position changes in the end"
