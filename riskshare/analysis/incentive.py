"""What one more unit of activity pays each partner and costs it, and what it does to the system.

Finite differences of the kernel by one unit around plan, in float64. Where the contract is straight
within that unit they are its derivatives (`tests/properties/test_incentives.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.analysis.findings import Finding, Severity, joined, money, over
from riskshare.analysis.gates import Found
from riskshare.analysis.probe import Numbers, Probe
from riskshare.contract.organisation import PerformancePayment
from riskshare.contract.support import StrandedSupport
from riskshare.names import delivery_name

_SLIGHT = 0.01
"""Share of a price or unit cost below which a gap is not worth a word."""


@dataclass(frozen=True)
class Slopes:
    """Differences around plan for each unit; the year is that in which activity moves.

    ``up`` is one unit more; ``down`` what one unit fewer takes away, so that the two agree where
    nothing bends.
    """

    pays: NDArray[np.float64]
    """(direction, year, term, partner, line)"""
    costs: NDArray[np.float64]
    """(direction, year, partner, line)"""
    later: NDArray[np.float64]
    """(direction, year, partner, line): positions of later years."""
    shunt: NDArray[np.float64]
    """(year, change, partner): positions, for one more unit that a change moves."""


def slopes(probe: Probe) -> Slopes:
    """Settle one unit more and one fewer of each line in each year."""
    one = np.ones_like(probe.plan["activity"])
    pays, costs, later = _differences(probe, one)
    return Slopes(pays, costs, later, _shunts(probe))


def over_whole_steps(probe: Probe, found: Slopes) -> Slopes:
    """Return slopes over a whole step of capacity for lines whose cost moves in steps.

    One unit more may open a ward or none: what it costs says nothing of the next hundred.
    """
    structure, steps = probe.bound.structure.cost, probe.bound.numbers.yearly.cost.steps
    if steps is None:
        return found
    units = np.ones_like(probe.plan["activity"])
    for k, place in enumerate(structure.step_lines):
        needed = steps.needed_per_unit[:, k, 0]
        there = needed > 0
        size = np.where(there, steps.size[:, k, 0] / np.where(there, needed, 1.0), 1.0)
        units[:, structure.exit_lines[place]] = np.maximum(size, 1e-6)
    pays, costs, later = _differences(probe, units)
    return Slopes(pays, costs, later, found.shunt)


def _differences(
    probe: Probe, units: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Move each line by so many units, (year, line), up and then down as far as there is any."""
    plan = probe.plan["activity"]
    steps = np.stack([units, np.minimum(plan, units)])
    years, lines = plan.shape
    moves = [(d, y, k) for d in (0, 1) for y in range(years) for k in range(lines)]
    activity = np.repeat(plan[:, :, None], len(moves) + 1, axis=2)
    for place, (d, y, k) in enumerate(moves):
        activity[y, k, place + 1] += (1 - 2 * d) * steps[d, y, k]
    settled = probe.settle_parts([({"activity": np.maximum(activity, 0)}, len(moves) + 1)])
    shape = (2, years, len(probe.terms), len(probe.partners), lines)
    pays, costs = np.zeros(shape), np.zeros((2, years, len(probe.partners), lines))
    later = np.zeros_like(costs)
    for place, (d, y, k) in enumerate(moves):
        if steps[d, y, k] == 0:
            continue
        per = (1 - 2 * d) / steps[d, y, k]
        pays[d, y, :, :, k] = per * _gap(settled.posting, place + 1)[y]
        costs[d, y, :, k] = per * _gap(settled.cost, place + 1)[y]
        later[d, y, :, k] = per * _gap(settled.position, place + 1)[y + 1 :].sum(0)
    return pays, costs, later


def _gap(values: Numbers, sample: int) -> Numbers:
    """Return what differs between a sample and the plan, which is the first one."""
    return np.asarray(values[..., sample] - values[..., 0])


def _shunts(probe: Probe) -> NDArray[np.float64]:
    """Move one more unit by each change, its delivery with it."""
    plan, case = probe.bound.plan, probe.case
    years, changes = plan.size.shape
    shunt = np.zeros((years, changes, len(probe.partners)))
    moves = []
    for place, change in enumerate(case.changes):
        source = probe.lines.index(change.source)
        for year in range(years):
            unit = -plan.moved[year, source, place]
            if unit > 0 and plan.size[year, place] > 0 and probe.plan["activity"][year, source] > 0:
                moves.append((year, place, source, unit))
    if not moves:
        return shunt
    parts: list[tuple[dict[str, Numbers], int]] = [({}, 1)]
    for year, place, source, unit in moves:
        step = min(1.0, probe.plan["activity"][year, source])
        activity = probe.plan["activity"][:, :, None].copy()
        activity[year, :, 0] += plan.moved[year, :, place] / unit * step
        index = probe.plan["driver_index"][:, :, None].copy()
        row = probe.drivers.index(delivery_name(case.changes[place].name))
        index[year, row] += step / (unit * plan.size[year, place])
        parts.append(({"activity": np.maximum(activity, 0), "driver_index": index}, 1))
    settled = probe.settle_parts(parts)
    for sample, (year, place, source, _) in enumerate(moves):
        step = min(1.0, probe.plan["activity"][year, source])
        shunt[year, place] = _gap(settled.position, sample + 1)[year] / step
    return shunt


def incentive_dataset(probe: Probe, found: Slopes) -> xr.Dataset:
    """Return the slopes as a dataset."""
    by_line = ("year", "partner", "line")
    by_term = ("year", "term", "partner", "line")
    pays = found.pays.sum(2)
    variables = {
        "pays_up": (by_line, pays[0]),
        "costs_up": (by_line, found.costs[0]),
        "pays_down": (by_line, pays[1]),
        "costs_down": (by_line, found.costs[1]),
        "later_up": (by_line, found.later[0]),
        "later_down": (by_line, found.later[1]),
        "term_up": (by_term, found.pays[0]),
        "term_down": (by_term, found.pays[1]),
        "shunt": (("year", "change", "partner"), found.shunt),
    }
    coords = {
        "year": list(probe.years),
        "partner": list(probe.partners),
        "line": list(probe.lines),
        "term": list(probe.terms),
        "change": [change.name for change in probe.case.changes],
        "deliverer": ("line", [line.deliverer for line in probe.case.lines]),
    }
    attrs = {"units": f"{probe.case.currency} per unit of activity"}
    return xr.Dataset(variables, coords, attrs)


def incentive_findings(probe: Probe, found: Slopes, gates: Sequence[Found]) -> Iterator[Finding]:
    """Yield gaps between pay and cost at the margin, and what sets partners against the system."""
    for row, line in enumerate(probe.case.lines):
        if line.deliverer == line.payer:
            continue
        who = probe.partners.index(line.deliverer)
        smooth = _smooth(probe, row, gates)
        for direction in (0, 1):
            yield from _gap_findings(probe, found, row, who, direction, smooth[direction])
        yield from _stranded(probe, found, row, who, smooth[1])
    yield from _shunt_findings(probe, found)


def _smooth(probe: Probe, row: int, gates: Sequence[Found]) -> NDArray[np.bool_]:
    """Return whether no gate lies within a unit of plan, (direction, year), where there is any.

    A jump is a finding of its own; divided by one unit it is no incentive.
    """
    plan = probe.plan["activity"][:, row]
    smooth = np.array([plan > 0, plan > 0])
    for gate in gates:
        jump = gate.jump
        if jump.term is None or jump.curve.kind != "line" or jump.curve.rows != (row,):
            continue
        away = (jump.at - 1) * plan[jump.year]
        if abs(away) <= 1 + 1e-6:
            smooth[:, jump.year] &= (away < -1e-6, away > 1e-6) if away else (False, False)
    return smooth


def _gap_findings(
    probe: Probe,
    found: Slopes,
    row: int,
    who: int,
    direction: int,
    smooth: NDArray[np.bool_],
) -> Iterator[Finding]:
    line, currency = probe.case.lines[row], probe.case.currency
    pays = found.pays[direction, :, :, who, row].sum(1)
    costs = found.costs[direction, :, who, row]
    price = probe.bound.plan.view.price[:, row]
    least = _SLIGHT * np.maximum(price, probe.plan["unit_cost"][:, row])
    loses = pays < costs - least if direction == 0 else pays > costs + least
    loses &= smooth
    if loses.any():
        year = int(np.argmax(np.abs(pays - costs) * loses))
        years = over([probe.years[y] for y in np.flatnonzero(loses)])
        if line.cost.step is not None:
            years += ", over a whole step of capacity"
        gap = money(currency, abs(pays[year] - costs[year]))
        paid, cost = money(currency, pays[year]), money(currency, costs[year])
        paid += _parts(probe, found.pays[direction, year, :, who, row])
        severity: Severity = "warning"
        if direction == 0 and not np.any(found.pays[:, :, :, who, row]):
            severity = "note"
            text = (
                f"no term pays {line.deliverer} for one {line.unit} more of {line.name}, which "
                f"costs it {cost}: it bears what volume costs alone ({years})"
            )
        elif direction == 0:
            text = (
                f"one {line.unit} more of {line.name} pays {line.deliverer} {paid} and costs it "
                f"{cost}: it loses {gap} on each ({years})"
            )
        else:
            text = (
                f"one {line.unit} fewer of {line.name} takes {paid} from {line.deliverer} and "
                f"saves it {cost}: it loses {gap} on each ({years})"
            )
        yield Finding(severity, "incentive", _payer_of(probe, found, row, who, direction), text)
    gains = (pays > costs + least) & smooth
    if direction == 0 and gains.any():
        year = int(np.argmax((pays - costs) * gains))
        system = -(found.costs[0, year, :, row] - found.pays[0, year, :, :, row].sum(0))
        total = float(system[probe.inside].sum())
        if total < 0:
            yield Finding(
                "note",
                "incentive",
                _payer_of(probe, found, row, who, direction),
                f"one {line.unit} more of {line.name} leaves {line.deliverer} "
                f"{money(currency, pays[year] - costs[year])} better off and the system "
                f"{money(currency, -total)} worse ({probe.years[year]})",
            )


def _parts(probe: Probe, by_term: Numbers) -> str:
    """Return the terms that a payment comes from, where there are several."""
    least = _SLIGHT * float(np.abs(by_term).max(initial=0.0))
    parts = [
        f"{money(probe.case.currency, float(amount))} in {name}"
        for name, amount in zip(probe.terms, by_term, strict=True)
        if abs(amount) > least
    ]
    return f" ({joined(parts)})" if len(parts) > 1 else ""


def _payer_of(probe: Probe, found: Slopes, row: int, who: int, direction: int) -> str:
    """Return the term that pays most at the margin, or the line where none does."""
    by_term = np.abs(found.pays[direction, :, :, who, row]).max(0, initial=0.0)
    if not by_term.size or by_term.max() == 0:
        return f"lines.{probe.lines[row]}"
    return probe.terms[int(np.argmax(by_term))]


def _stranded(
    probe: Probe, found: Slopes, row: int, who: int, smooth: NDArray[np.bool_]
) -> Iterator[Finding]:
    """Yield stranded cost that is paid for more than once.

    For one unit below plan the deliverer keeps its price less what the payment terms take back, and
    gets what support and pools give; against that stands the cost that stays.
    """
    line, currency = probe.case.lines[row], probe.case.currency
    worst: tuple[float, int, dict[str, float], float] | None = None
    for year in range(len(probe.years)):
        price = float(probe.bound.plan.view.price[year, row])
        stays = float(probe.plan["unit_cost"][year, row] - found.costs[1, year, who, row])
        if price <= 0 or not smooth[year]:
            continue
        parts = _compensation(probe, found.pays[1, year, :, who, row], price)
        total = sum(parts.values())
        if stays > _SLIGHT * price and total > (1 + _SLIGHT) * stays:
            share = total / stays
            if worst is None or share > worst[0]:
                worst = (share, year, parts, stays)
    if worst is not None:
        share, year, parts, stays = worst
        kept = {name: amount for name, amount in parts.items() if amount > _SLIGHT * stays}
        told = joined([f"{money(currency, amount)} {name}" for name, amount in kept.items()])
        yield Finding(
            "warning" if len(kept) > 1 else "note",
            "stranded cost",
            f"lines.{line.name}",
            f"for one {line.unit} fewer {line.deliverer} has {told}, and {money(currency, stays)} "
            f"of cost stays: {100 * share:.0f} % of it is paid for ({probe.years[year]})",
        )
    yield from _planned_support(probe, row)


def _compensation(probe: Probe, takes: Numbers, price: float) -> dict[str, float]:
    """Return what a deliverer keeps or gets for one unit fewer, by where it comes from."""
    payments = probe.payment_terms()
    kept = price
    parts: dict[str, float] = {}
    for place, amount in enumerate(takes):
        term = probe.term_of(probe.terms[place])
        if term is None or isinstance(term, PerformancePayment):
            continue
        if place in payments and not isinstance(term, StrandedSupport):
            kept -= float(amount)
        elif amount != 0:
            parts[f"from {probe.terms[place]}"] = -float(amount)
    return {"of the price kept": kept} | parts


def _planned_support(probe: Probe, row: int) -> Iterator[Finding]:
    """Yield support of planned removal beyond the cost that it strands."""
    stranded = probe.bound.plan.view.stranded[:, row]
    paid = np.zeros_like(stranded)
    names = []
    for place, name in enumerate(probe.terms):
        term = probe.term_of(name)
        if not isinstance(term, StrandedSupport):
            continue
        slot = probe.bound.numbers.yearly.terms[place]
        bound: Any = slot.term
        if row in bound.lines:
            column = bound.lines.index(row)
            paid += bound.planned[:, column] * slot.active * bound.in_force
            names.append(name)
    too_much = paid > (1 + _SLIGHT) * stranded
    if names and too_much.any():
        year = int(np.argmax((paid - stranded) * too_much))
        currency = probe.case.currency
        share = f": {100 * paid[year] / stranded[year]:.0f} %" if stranded[year] > 0 else ""
        yield Finding(
            "warning",
            "stranded cost",
            names[0],
            f"pays {money(currency, paid[year])} for the planned removal of {probe.lines[row]}, "
            f"which strands {money(currency, stranded[year])}{share} ({probe.years[year]})",
        )


def _shunt_findings(probe: Probe, found: Slopes) -> Iterator[Finding]:
    currency = probe.case.currency
    for place, change in enumerate(probe.case.changes):
        system = found.shunt[:, place][:, probe.inside].sum(1)
        owner = found.shunt[:, place, probe.partners.index(change.owner)]
        price = probe.bound.plan.view.price[:, probe.lines.index(change.source)]
        bad = (owner > _SLIGHT * price) & (system < -_SLIGHT * price)
        if not bad.any():
            continue
        year = int(np.argmin(np.where(bad, system, np.inf)))
        losers = [
            f"{name} {money(currency, float(found.shunt[year, place, i]))}"
            for i, name in enumerate(probe.partners)
            if probe.inside[i] and found.shunt[year, place, i] < -_SLIGHT * price[year]
        ]
        yield Finding(
            "warning",
            "cost shunt",
            f"changes.{change.name}",
            f"one more unit moved leaves {change.owner} {money(currency, owner[year])} better off "
            f"and the system {money(currency, -system[year])} worse ({joined(losers)}; "
            f"{probe.years[year]})",
        )
