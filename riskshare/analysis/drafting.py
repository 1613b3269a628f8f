"""What can be read off a case as written: inflation twice, small contracts, few people, chance."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from riskshare.analysis.findings import Finding, joined, money
from riskshare.analysis.probe import Probe
from riskshare.case import Contract
from riskshare.contract.budget import Budget
from riskshare.contract.marginal import MarginalRate
from riskshare.contract.payment import ActivityPayment, Block
from riskshare.contract.sharing import Pool
from riskshare.contract.term import AbstractTerm
from riskshare.parameters import declaration_of, expand
from riskshare.system import Line

FEW_PEOPLE, SOME_PEOPLE = 30_000, 100_000
"""Below the first, variation rises sharply (simulated total purchasing sites, 15 rare costly
referral types); below the second, capitated risk was found too high (practice-based
commissioning)."""

LOW_VOLUME = 1_500_000.0
"""Expected annual value in GBP at or below which English contracts are low-volume blocks."""


def drafting_findings(probe: Probe) -> Iterator[Finding]:
    """Yield what can be read off the case as written."""
    for contract in probe.case.contracts:
        yield from _uplifts(probe, contract)
        yield from _budget_inflation(probe, contract)
        yield from _people(probe, contract)
        yield from _low_volume(probe, contract)
    yield from _price_twice(probe)
    yield from _paid_twice(probe)
    yield from _independent(probe)


def _paid_twice(probe: Probe) -> Iterator[Finding]:
    """Yield lines whose plan two terms pay in the same year: blocks, or payment in full."""
    paid: dict[tuple[str, str], str] = {}
    twice: dict[tuple[str, str], list[str]] = {}
    for contract in probe.case.contracts:
        years = contract.years or probe.years
        for term in contract.terms:
            if not _pays_in_full(probe, term):
                continue
            name = f"{contract.name}.{term.label}"
            for line in getattr(term, "lines", None) or probe.case.scope_lines(contract):
                first = next((paid[line, y] for y in years if (line, y) in paid), None)
                if first is not None:
                    twice.setdefault((first, name), []).append(line)
                paid |= {(line, year): name for year in years if (line, year) not in paid}
    for (first, name), lines in twice.items():
        yield Finding(
            "warning",
            "paid twice",
            name,
            f"pays {joined(lines)}, which {first} pays in full already; limit the lines of one of "
            "them",
        )


def _pays_in_full(probe: Probe, term: AbstractTerm) -> bool:
    """Whether a term pays its lines whole: a block from lines, or price on all activity."""
    if isinstance(term, Block):
        share, switch = 1.0, term.in_force
        if term.amount is not None:
            return False
    elif isinstance(term, ActivityPayment):
        parameter = declaration_of(ActivityPayment, "share")
        share, switch = float(np.min(expand(term.share, parameter, probe.labels))), term.in_force
    else:
        return False
    on = expand(switch, declaration_of(Block, "in_force"), probe.labels)
    return share >= 1 and bool(np.all(on > 0))


def _dearer(probe: Probe, line: str) -> bool:
    """Whether the planned price of a line rises above its price at the price base."""
    view, row = probe.bound.plan.view, probe.lines.index(line)
    return bool(np.any(np.abs(view.price[:, row] - view.base_price[:, row]) > 0))


def _by_year(probe: Probe, line: str) -> bool:
    """Whether the price as given moves from year to year."""
    base = probe.bound.plan.view.base_price[:, probe.lines.index(line)]
    return bool(np.ptp(base) > 0)


def _uplifts(probe: Probe, contract: Contract) -> Iterator[Finding]:
    for term in contract.terms:
        if not isinstance(term, Block) or term.amount is not None:
            continue
        uplift = expand(term.uplift, declaration_of(Block, "uplift"), probe.labels)
        lines = [
            name
            for name in term.lines or probe.case.scope_lines(contract)
            if _dearer(probe, name) or _by_year(probe, name)
        ]
        if lines and np.any(uplift):
            year = int(np.argmax(np.abs(uplift)))
            yield Finding(
                "warning",
                "inflation",
                f"{contract.name}.{term.label}.uplift",
                f"raises by {100 * uplift[year]:g} % ({probe.years[year]}) a block made of prices "
                f"that rise by themselves ({joined(lines)}): inflation is counted twice; give "
                "one of the two",
            )


def _budget_inflation(probe: Probe, contract: Contract) -> Iterator[Finding]:
    for budget in contract.budgets:
        if budget.inflation is None:
            continue
        rates = expand(budget.inflation, declaration_of(Budget, "inflation"), probe.labels)
        lines = [
            name
            for name in budget.lines or probe.case.scope_lines(contract)
            if _dearer(probe, name)
        ]
        if not lines or not np.any(rates):
            continue
        from_lines = budget.base is None and budget.rate is None and budget.unit_rate is None
        path = f"{contract.name}.{budget.name}.inflation"
        theirs = _price_rates(probe, lines)
        year = int(np.argmax(np.abs(rates - theirs)))
        told = (
            f"is {100 * rates[year]:g} % in {probe.years[year]} while prices of {joined(lines)} "
            f"rise by {100 * theirs[year]:.2f} % by series of their own"
        )
        if from_lines:
            yield Finding(
                "warning",
                "inflation",
                path,
                f"{told}: it replaces theirs in the baseline, but planned changes and new services "
                "are added at their prices, and outlay follows them; leave it out, or leave the "
                "series out",
            )
        elif abs(rates[year] - theirs[year]) > 1e-9:
            yield Finding(
                "note",
                "inflation",
                path,
                f"{told}: what the budget is held against, and what it adds for planned changes "
                "and new services, moves at their rate",
            )


def _price_rates(probe: Probe, lines: list[str]) -> NDArray[np.float64]:
    """Return the rate into each year at which series move the prices of lines, by value."""
    view, rows = probe.bound.plan.view, [probe.lines.index(name) for name in lines]
    index = (view.plan * view.price)[:, rows].sum(1)
    plain = (view.plan * view.base_price)[:, rows].sum(1)
    level = np.divide(index, plain, out=np.ones_like(index), where=plain > 0)
    return np.asarray(level / np.concatenate([[1.0], level[:-1]]) - 1)


def _price_twice(probe: Probe) -> Iterator[Finding]:
    for line in probe.case.lines:
        if _by_year(probe, line.name) and _dearer(probe, line.name):
            prices = probe.bound.plan.view.base_price[:, probe.lines.index(line.name)]
            currency = probe.case.currency
            yield Finding(
                "warning",
                "inflation",
                f"lines.{line.name}.price",
                f"moves from {money(currency, prices[0])} to {money(currency, prices[-1])} as "
                "given, and follows a price series as well: inflation is counted twice; state "
                "prices of the price base, or leave the series out",
            )


def _people(probe: Probe, contract: Contract) -> Iterator[Finding]:
    """Yield contracts that rest on few people."""
    names: dict[str, None] = {}
    known = probe.labels["population"]
    for budget in contract.budgets:
        # a rate may be given by population, by year, or by both
        given = budget.rate if hasattr(budget.rate, "keys") else ()
        stated = [name for name in given if name in known]
        if budget.rate is not None:
            names |= dict.fromkeys(stated or known)
    for line in probe.case.lines:
        if line.name in probe.case.scope_lines(contract) and line.exposure is not None:
            names[line.exposure] = None
    for term in contract.terms:
        if isinstance(term, Pool) and term.gate is not None and term.gate.scale is not None:
            names[term.gate.scale.population] = None
    rows = [probe.labels["population"].index(name) for name in names]
    if not rows:
        return
    people = float(probe.plan["members"][:, rows].sum(1).min())
    if people >= SOME_PEOPLE:
        return
    few = people < FEW_PEOPLE
    limit = FEW_PEOPLE if few else SOME_PEOPLE
    yield Finding(
        "warning" if few else "note",
        "size",
        contract.name,
        f"rests on {people:,.0f} people ({joined(list(names))}), below {limit:,}: chance alone "
        "moves cost by several per cent a year; widen the pool in people, services or years",
    )


def _low_volume(probe: Probe, contract: Contract) -> Iterator[Finding]:
    """Yield small contracts between two partners that are priced at the margin."""
    if probe.case.currency != "GBP":
        return
    view = probe.bound.plan.view
    value = view.plan * view.price / view.fraction[:, None]
    scope = probe.case.scope_lines(contract)
    pairs: dict[tuple[str, str], list[Line]] = {}
    for line in probe.case.lines:
        if line.name in scope and line.payer != line.deliverer:
            pairs.setdefault((line.payer, line.deliverer), []).append(line)
    for (payer, deliverer), lines in pairs.items():
        rows = [probe.lines.index(line.name) for line in lines]
        worth = float(value[:, rows].sum(1).max())
        if not 0 < worth < LOW_VOLUME:
            continue
        for term in contract.terms:
            if not isinstance(term, (MarginalRate, ActivityPayment)):
                continue
            if isinstance(term, MarginalRate) and term.low_volume is not None:
                continue
            if {line.name for line in lines} & set(term.lines or scope):
                yield Finding(
                    "warning",
                    "size",
                    f"{contract.name}.{term.label}",
                    f"prices at the margin what {payer} buys from {deliverer} for "
                    f"{money('GBP', worth)} a year, below {money('GBP', LOW_VOLUME)}: such a "
                    "contract is usually a low-volume block",
                )


def _independent(probe: Probe) -> Iterator[Finding]:
    """Yield lines with chance of their own and nothing that they share with others."""
    moving = {
        driver.name
        for driver in probe.case.drivers
        if driver.acts_on == "activity" and not driver.certain
    }
    shared_chance = {d.name for d in probe.case.drivers if d.acts_on == "chance"}
    uncertain = {people.name for people in probe.case.members if not people.certain}
    alone = []
    for line in probe.case.lines:
        if line.noise is None:
            continue
        loaded = {name for name, power in line.loadings.items() if power} & moving
        factors = {name for name, weight in line.noise.factors.items() if weight} & shared_chance
        if not loaded and not factors and line.exposure not in uncertain:
            alone.append(line.name)
    if alone:
        yield Finding(
            "warning",
            "dependence",
            f"lines.{alone[0]}.noise" if len(alone) == 1 else "lines",
            f"{joined(alone)}: chance, but no driver of activity and no members who vary, so "
            "nothing common moves it; with a shared factor of 5 % the 1 in 20 loss of a large "
            "population is about three times what independent chance gives",
        )
