"""Whether money moves the right way: more activity never pays less, a better result never less."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskshare.analysis.curves import Curve
from riskshare.analysis.findings import Finding, money
from riskshare.analysis.probe import Numbers, Probe, Settled
from riskshare.contract.organisation import PerformancePayment
from riskshare.contract.sharing import Pool

_STEADY_KEYS = ("fixed", "equal", "proportional", "equity", "budget", "influence")
"""Keys whose shares do not themselves move along a curve of activity."""


@dataclass(frozen=True)
class Turn:
    """An interval in which something falls that should not: parameters, and how much is lost."""

    year: int
    low: float
    high: float
    lost: float


def turns(of: Numbers, along: Numbers, grid: Numbers, least: float) -> Iterator[Turn]:
    """Yield the intervals in which ``of`` falls while ``along`` rises, both (year, point)."""
    moved, gained = np.diff(of), np.diff(along)
    wrong = ((gained > 0) & (moved < -least)) | ((gained < 0) & (moved > least))
    for year in range(len(of)):
        places = np.flatnonzero(wrong[year])
        for run in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1):
            if len(run):
                lost = float(np.abs(moved[year, run]).sum())
                yield Turn(year, float(grid[run[0]]), float(grid[run[-1] + 1]), lost)


def check_monotone(
    probe: Probe, curve: Curve, grid: Numbers, settled: Settled
) -> Iterator[Finding]:
    """Yield what falls along one curve of activity."""
    least = max(1e-6, 1e-12 * float(settled.gross.max()))
    if curve.kind == "line":
        yield from _payments(probe, curve, grid, settled, least)
    if curve.kind in ("line", "lines"):
        yield from _pools(probe, curve, grid, settled, least)


def _payments(
    probe: Probe, curve: Curve, grid: Numbers, settled: Settled, least: float
) -> Iterator[Finding]:
    line = probe.case.lines[curve.rows[0]]
    if line.deliverer == line.payer:
        return
    terms = [
        place
        for place in probe.payment_terms()
        if not isinstance(probe.declared[probe.terms[place]], PerformancePayment)
    ]
    paid = settled.posting[:, terms]
    rising = np.repeat(grid[None], len(probe.years), axis=0)
    for who, sign, what in (
        (line.deliverer, 1.0, "is paid"),
        (line.payer, -1.0, "pays"),
    ):
        flow = sign * paid[:, :, probe.partners.index(who)]
        worst = max(turns(flow.sum(1), rising, grid, least), key=lambda t: t.lost, default=None)
        if worst is None:
            continue
        inside = (grid >= worst.low) & (grid <= worst.high)
        part = flow[worst.year][:, inside]
        at_fault = probe.terms[terms[int(np.argmin(part[:, -1] - part[:, 0]))]]
        yield Finding(
            "warning",
            "monotonicity",
            at_fault,
            f"{who} {what} {money(probe.case.currency, worst.lost)} less in all as activity of "
            f"{line.name} rises {_between(worst, probe)}",
        )


def _pools(
    probe: Probe, curve: Curve, grid: Numbers, settled: Settled, least: float
) -> Iterator[Finding]:
    for place, name in enumerate(probe.terms):
        term = probe.term_of(name)
        if not isinstance(term, Pool) or term.key not in _STEADY_KEYS:
            continue
        contract, _, _ = name.partition(".")
        result = _result(probe, place, term, contract, curve, grid, settled)
        holder = probe.partners.index(term.holder)
        given = -settled.posting[:, place, holder]
        if term.period != "year":
            result, given = np.cumsum(result, axis=0), np.cumsum(given, axis=0)
        if term.rebasing is not None:
            result, given = result[: term.rebasing.lag], given[: term.rebasing.lag]
        worst = max(turns(given, result, grid, least), key=lambda t: t.lost, default=None)
        if worst is not None:
            yield Finding(
                "warning",
                "monotonicity",
                name,
                f"shares {money(probe.case.currency, worst.lost)} less as its result improves: "
                f"{curve.label} {_between(worst, probe)}",
            )


def _result(
    probe: Probe,
    place: int,
    term: Pool,
    contract: str,
    curve: Curve,
    grid: Numbers,
    settled: Settled,
) -> NDArray[np.float64]:
    """Return a pool's result along a curve, up to a constant of the year."""
    holder = probe.partners.index(term.holder)
    activity = curve.at(grid)["activity"]
    rows = [probe.lines.index(line) for line in (term.cost_of or term.value_of or ())]
    if term.against:
        against = [probe.terms.index(f"{contract}.{label}") for label in term.against]
        spend = -settled.posting[:, against, holder].sum(1)
    elif term.cost_of:
        spend = settled.line_cost[:, rows].sum(1)
    else:
        price = probe.bound.plan.view.price[:, rows, None]
        spend = (price * activity[:, rows]).sum(1)
    bound: Any = probe.bound.numbers.yearly.terms[place].term
    if bound.completion is not None:
        spend = spend / bound.completion[:, None]
    budget = np.zeros_like(spend)
    if bound.budget.follows == "activity":
        budget = (bound.budget.units[:, :, None] * activity).sum(1)
        if bound.discount is not None:
            budget = budget * (1 - bound.discount[:, None])
    return np.asarray(budget - spend)


def _between(turn: Turn, probe: Probe) -> str:
    return (
        f"from {100 * turn.low:.2f} % to {100 * turn.high:.2f} % of plan ({probe.years[turn.year]})"
    )
