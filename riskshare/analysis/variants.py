"""The usual contracts for one system: block, activity payment, blended, capitated, pooled.

The same partners, lines, drivers and changes, and the same money from outside; only how lines are
paid for differs. What each version is made of stands in the docstring of `variants`.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from riskshare.case import Case, Contract, Origin
from riskshare.contract.budget import Budget
from riskshare.contract.marginal import MarginalRate
from riskshare.contract.payment import ActivityPayment, Block, CapitatedBudget, Funding
from riskshare.contract.sharing import Pool
from riskshare.contract.term import AbstractTerm
from riskshare.errors import ArgumentError
from riskshare.parameters import NO_NUMBERS, FrozenMap, field_paths
from riskshare.plan import plan_of

VARIANTS = ("block", "activity", "blended", "capitated", "pooled")
"""Names of the versions, in this order."""

_OUTSIDE = ("external", "pool")


@dataclass(frozen=True)
class Buyer:
    """Who pays for lines, and who inside the system delivers them."""

    name: str
    lines: tuple[str, ...]
    deliverers: tuple[str, ...]
    """Organisations inside the system, by what they deliver to it at plan, the largest first."""


@dataclass(frozen=True)
class Market:
    """Who pays whom for what."""

    lines: tuple[str, ...]
    """Every line whose payer is not its deliverer."""
    buyers: tuple[Buyer, ...]
    """Payers inside the system, or else all, by what they pay at plan, the largest first."""
    deliverer: Mapping[str, str]
    """Of each line."""

    def delivered_by(self, name: str) -> set[str]:
        """Return the lines that a partner delivers."""
        return {line for line, deliverer in self.deliverer.items() if deliverer == name}


def variants(
    case: Case,
    *,
    marginal_rate: float = 0.5,
    host: str | Mapping[str, str] | None = None,
    pool_share: float = 0.5,
) -> dict[str, Case]:
    """Return five versions of a case that differ in how lines are paid for, and in nothing else.

    Lines are those whose payer is not their deliverer; plan value is plan x price.

    - ``block``: each payer pays the plan value of its lines, whatever happens.
    - ``activity``: price x case mix x activity.
    - ``blended``: the plan value, and ``marginal_rate`` x price on activity beyond or below plan.
    - ``capitated``: each payer pays the plan value of all its lines to one host, which pays the
      other deliverers by activity (the payer pays their bills and the host makes them good).
    - ``pooled``: payment by activity, and a pool of the plan value less what was paid: deliverers
      share ``pool_share`` of it, gain or loss, in proportion to the plan value of what they deliver
      to that payer; the payer keeps the rest.

    **Kept from the case**: partners, lines, drivers, changes, targets; and allocations, which are
    the terms ``funding``, ``capitated-budget`` and ``block`` of a stated amount whose giver pays
    for no line of the receiver, such as money from outside. All other terms go. Lines that the case
    pays for in another way, or leaves unpaid, are paid at their price.

    **Payers** under ``capitated`` and ``pooled`` are those inside the system, or where nobody
    inside pays for anything, those outside. All else is paid by activity: lines that come from a
    payer outside, those of a payer with no deliverer inside and, under ``capitated``, what a host
    buys itself. What is delivered outside for a payer inside is in its budget and its pool.

    Parameters
    ----------
    case
        The system.
    marginal_rate
        Share of the price on deviation under ``blended``, 0 to 1.
    host
        Who takes the budget under ``capitated``: one for every payer, or by payer. Unless given,
        the organisation inside the system that delivers most to that payer at plan. Where nobody
        inside delivers anything, the host named shares the pool as well.
    pool_share
        Part of the pool's result that deliverers share under ``pooled``, 0 to 1.

    Returns
    -------
    dict
        By name (``block``, ``activity``, ``blended``, ``capitated``, ``pooled``): cases, for
        `riskshare.compare`. The contract that pays has the name of the version (with ``-version``
        where the case has one so called); allocations stay in the contracts they were in.

    Raises
    ------
    ArgumentError
        Where no line has another payer than its deliverer; where no payer has a deliverer inside
        the system and no host is named; for a host that is no organisation of the system; for an
        allocation that names a term which no version has; for shares out of bounds.

    Examples
    --------
    >>> import riskshare as rs
    >>> versions = rs.variants(rs.load_case("msk-toy"))
    >>> list(versions)
    ['block', 'activity', 'blended', 'capitated', 'pooled']
    >>> [term.label for term in versions["blended"].contract("blended").terms]
    ['plan', 'deviation']
    """
    rate, share = _share("marginal_rate", marginal_rate), _share("pool_share", pool_share)
    kept = _kept(case)
    market = _market(case)
    hosts = _hosts(case, market, host)
    lines = market.lines
    parts: dict[str, tuple[Sequence[Budget], Sequence[AbstractTerm]]] = {
        "block": ((), (Block(name="plan", lines=lines),)),
        "activity": ((), (ActivityPayment(name="activity", lines=lines),)),
        "blended": (
            (),
            (
                Block(name="plan", lines=lines),
                MarginalRate(name="deviation", lines=lines, rate=rate),
            ),
        ),
        "capitated": _capitated(market, hosts),
        "pooled": _pooled(market, hosts, share),
    }
    return {name: _version(case, name, kept, *parts[name]) for name in VARIANTS}


def _share(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise ArgumentError(f"{name} is {value!r}; accepted: a number from 0 to 1")
    if not 0 <= value <= 1:
        hint = f"; is {value / 100:g} meant?" if 1 < value <= 100 else ""
        raise ArgumentError(f"{name} is {value!r}; accepted: from 0 to 1{hint}")
    return float(value)


def _kept(case: Case) -> tuple[Contract, ...]:
    """Return the contracts with their allocations alone, those without any left out."""
    bought = {(line.payer, line.deliverer) for line in case.lines}
    found = []
    for contract in case.contracts:
        terms = tuple(term for term in contract.terms if _allocates(term, bought))
        if not terms:
            continue
        labels = {term.label for term in terms}
        named = {term.budget for term in terms if isinstance(term, CapitatedBudget)}
        budgets = tuple(budget for budget in contract.budgets if budget.name in named)
        for path, needed in (
            *((budget.name, budget.stranded_support) for budget in budgets),
            *((t.label, of) for t in terms if t.cash is not None for of in t.cash.of),
        ):
            if needed is not None and needed not in labels:
                raise ArgumentError(
                    f"{contract.name}.{path} is an allocation and names the term {needed!r}, which "
                    "no version of the case has; state its amount without that term"
                )
        found.append(dataclasses.replace(contract, budgets=budgets, terms=terms))
    return tuple(found)


def _allocates(term: AbstractTerm, bought: set[tuple[str, str]]) -> bool:
    """Whether a term moves a stated amount that is no payment for lines."""
    lump = isinstance(term, (Funding, CapitatedBudget)) or (
        isinstance(term, Block) and term.amount is not None
    )
    return lump and (term.from_, term.to) not in bought  # type: ignore[attr-defined]  # these have both


def _market(case: Case) -> Market:
    paid = [line for line in case.lines if line.payer != line.deliverer]
    if not paid:
        raise ArgumentError(
            "case: every line is delivered by who pays for it, so there is nothing to pay; "
            "accepted: a case with a line whose payer is another partner"
        )
    view = plan_of(case).view
    planned = dict(zip(case.labels()["line"], (view.plan * view.price).sum(0), strict=True))
    kinds = {partner.name: partner.kind for partner in case.partners}
    payers = {line.payer for line in paid}
    inside = {name for name in payers if kinds[name] != "external"} or payers

    def worth(name: str, by: str) -> float:
        return float(sum(planned[line.name] for line in paid if getattr(line, by) == name))

    buyers = []
    for name in sorted(inside, key=lambda name: (-worth(name, "payer"), name)):
        lines = [line for line in paid if line.payer == name]
        found: dict[str, float] = {}
        for line in lines:
            if kinds[line.deliverer] not in _OUTSIDE:
                found[line.deliverer] = found.get(line.deliverer, 0.0) + planned[line.name]
        order = tuple(sorted(found, key=lambda d: (-found[d], d)))
        buyers.append(Buyer(name, tuple(line.name for line in lines), order))
    deliverer = {line.name: line.deliverer for line in paid}
    return Market(tuple(deliverer), tuple(buyers), deliverer)


def _hosts(
    case: Case, market: Market, host: str | Mapping[str, str] | None
) -> dict[str, tuple[str, Buyer]]:
    """Return the host of each payer, largest first; a host of one pays by activity itself."""
    kinds = {partner.name: partner.kind for partner in case.partners}
    buyers = [buyer.name for buyer in market.buyers]
    if isinstance(host, str):
        asked: Mapping[str, str] = dict.fromkeys((n for n in buyers if n != host), host)
    else:
        asked = {} if host is None else host
    for payer, name in asked.items():
        if payer not in buyers:
            raise ArgumentError(f"host names the payer {payer!r}; accepted: {', '.join(buyers)}")
        if kinds.get(name, "external") in _OUTSIDE or name == payer:
            inside = [n for n, kind in kinds.items() if kind not in _OUTSIDE and n != payer]
            raise ArgumentError(f"host is {name!r}; accepted for {payer!r}: {', '.join(inside)}")
    found: dict[str, tuple[str, Buyer]] = {}
    for buyer in market.buyers:
        chosen = asked.get(buyer.name) or next(iter(buyer.deliverers), None)
        if chosen is not None and buyer.name not in {taken for taken, _ in found.values()}:
            found[buyer.name] = (chosen, buyer)
    if not found:
        inside = [n for n, kind in kinds.items() if kind not in _OUTSIDE and n not in buyers]
        remedy = (
            f"host={inside[0]!r} (--host {inside[0]})" if inside else "the case has none inside"
        )
        raise ArgumentError(
            f"case: all who deliver for {', '.join(buyers)} stand outside the system, so nobody "
            f"would take a budget or share a pool; name an organisation that does: {remedy}"
        )
    return found


def _capitated(
    market: Market, hosts: Mapping[str, tuple[str, Buyer]]
) -> tuple[list[Budget], list[AbstractTerm]]:
    """Return a budget for each host, which pays the other deliverers by activity."""
    budgets: list[Budget] = []
    terms: list[AbstractTerm] = []
    for payer, (host, buyer) in hosts.items():
        end = f"-{payer}" if len(hosts) > 1 else ""
        budgets.append(Budget(name=f"plan{end}", lines=buyer.lines))
        terms.append(
            CapitatedBudget(name=f"budget{end}", from_=payer, to=host, budget=f"plan{end}")
        )
        others = tuple(name for name in buyer.lines if name not in market.delivered_by(host))
        if others:
            # only a line's payer can pay for it: it pays the bills, and the host makes them good
            nothing = Budget(
                name=f"nothing{end}", base=0.0, planned_changes=False, new_services=False
            )
            budgets.append(nothing)
            terms += [
                ActivityPayment(name=f"bills{end}", lines=others),
                Pool(
                    name=f"made-good{end}",
                    budget=nothing.name,
                    value_of=others,
                    holder=payer,
                    key="fixed",
                    share={host: 1.0},
                ),
            ]
    held = {name for _, buyer in hosts.values() for name in buyer.lines}
    return budgets, [*terms, *_at_price(market, held)]


def _pooled(
    market: Market, hosts: Mapping[str, tuple[str, Buyer]], share: float
) -> tuple[list[Budget], list[AbstractTerm]]:
    """Return payment by activity and a pool of the rest of the plan for each payer."""
    sharers = {
        buyer.name: buyer.deliverers or (hosts[buyer.name][0],)
        for buyer in market.buyers
        if buyer.deliverers or buyer.name in hosts
    }
    budgets: list[Budget] = []
    terms: list[AbstractTerm] = []
    pools: list[AbstractTerm] = []
    held: set[str] = set()
    for buyer in market.buyers:
        if buyer.name not in sharers:
            continue
        end = f"-{buyer.name}" if len(sharers) > 1 else ""
        held |= set(buyer.lines)
        budgets.append(Budget(name=f"plan{end}", lines=buyer.lines))
        terms.append(ActivityPayment(name=f"activity{end}", lines=buyer.lines))
        pools.append(
            Pool(
                name=f"pool{end}",
                budget=f"plan{end}",
                against=(f"activity{end}",),
                holder=buyer.name,
                key="budget",
                between=sharers[buyer.name],
                rate=share,
            )
        )
    return budgets, [*terms, *pools, *_at_price(market, held)]


def _at_price(market: Market, held: set[str]) -> list[AbstractTerm]:
    """Return payment by activity for the lines that no budget or pool holds."""
    left = tuple(name for name in market.lines if name not in held)
    return [ActivityPayment(name="at-price", lines=left)] if left else []


def _version(
    case: Case,
    name: str,
    kept: tuple[Contract, ...],
    budgets: Sequence[Budget],
    terms: Sequence[AbstractTerm],
) -> Case:
    """Return the case with its allocations and one contract that pays for lines."""
    taken = {contract.name for contract in kept}
    own = Contract(
        name=f"{name}-version" if name in taken else name,
        budgets=tuple(budgets),
        terms=tuple(terms),
    )
    version = dataclasses.replace(
        case,
        name=f"{case.name}-{name}",
        title=f"{case.title or case.name}: {name}",
        contracts=(*kept, own),
        assumptions=NO_NUMBERS,
        sources=NO_NUMBERS,
        origin=Origin(),
    )
    gone = {contract.name for contract in case.contracts}
    there = {*version.numbers(), *field_paths(version)}

    def holds(path: str) -> bool:
        return path in there or re.split(r"[.\[]", path)[0] not in gone

    assumptions, sources = (
        FrozenMap({path: note for path, note in notes.items() if holds(path)})
        for notes in (case.assumptions, case.sources)
    )
    return dataclasses.replace(version, assumptions=assumptions, sources=sources)
