"""Checks of contracts: scope, order of terms, and contradictions between them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from riskshare.checks.given import SUM_TOLERANCE, Findings, Scope, check_declared
from riskshare.checks.readings import check_readings
from riskshare.checks.system import check_names
from riskshare.contract.marginal import MarginalRate
from riskshare.contract.payment import Block, CapitatedBudget, Funding
from riskshare.contract.sharing import Pool
from riskshare.contract.support import StrandedSupport
from riskshare.contract.term import AbstractTerm, Surroundings
from riskshare.names import PHASES
from riskshare.parameters import Given, declaration_of, expand

if TYPE_CHECKING:
    from riskshare.case import Case, Contract


def check_contract(case: "Case", contract: "Contract", scope: Scope, found: Findings) -> None:
    """Check one contract and everything in it."""
    name = contract.name
    outside = {p.name for p in case.partners if p.kind in ("external", "pool")}
    partners = scope.names["partner"]
    if contract.partners is not None:
        partners = tuple(p for p in partners if p in set(contract.partners) | outside)
    lines = case.scope_lines(contract)
    names = [budget.name for budget in contract.budgets] + [term.label for term in contract.terms]
    check_names(names, name, (), found)
    own = replace(
        scope,
        names={
            **scope.names,
            "budget": tuple(budget.name for budget in contract.budgets),
            "name": tuple(budget.name for budget in contract.budgets),
            "term": tuple(term.label for term in contract.terms),
        },
    )
    check_declared(contract, name, own, found, skip=("budgets", "terms"))
    inner = replace(
        own,
        labels={**own.labels, "line": lines, "partner": partners},
        names={**own.names, "partner": partners, "line": lines},
    )
    _check_lines_in_scope(case, contract, set(partners), found)
    for budget in contract.budgets:
        check_declared(budget, f"{name}.{budget.name}", inner, found)
    for term in contract.terms:
        check_declared(term, f"{name}.{term.label}", inner, found)
    order = sorted(contract.terms, key=lambda term: _order(contract, term))
    for budget in contract.budgets:
        found.attempt(_check_budget, contract, budget, f"{name}.{budget.name}")
    for term in contract.terms:
        path = f"{name}.{term.label}"
        if (
            hasattr(term, "lines")
            and not (term.lines or lines)
            and not getattr(term, "amount", None)
        ):
            found.add(path, "has no lines in its scope")
        found.attempt(_check_term, case, contract, term, path, inner)
        labels = {**inner.labels, "line": tuple(getattr(term, "lines", None) or lines)}
        found.attempt(check_readings, term, path, labels)
        earlier = {other.label: other for other in order[: order.index(term)]}
        found.attempt(_check_itself, case, term, path, labels, earlier)
        found.attempt(_check_cash, term, path, earlier)
    found.attempt(_check_support, contract)


def _check_itself(
    case: "Case",
    term: AbstractTerm,
    path: str,
    labels: Mapping[str, tuple[str, ...]],
    earlier: Mapping[str, AbstractTerm],
    found: Findings,
) -> None:
    """Ask the term what its declarations cannot say."""
    around = Surroundings(
        labels=labels,
        earlier=earlier,
        kinds={partner.name: partner.kind for partner in case.partners},
        scored=frozenset(p.name for p in case.partners if p.quality is not None),
        people=frozenset(population.name for population in case.members),
        turnover={partner.name: partner.turnover for partner in case.partners},
        residual_key=case.residual_key is not None,
    )
    for field, message in term.problems(around):
        found.add(f"{path}.{field}", message)


def _check_cash(
    term: AbstractTerm, path: str, earlier: Mapping[str, AbstractTerm], found: Findings
) -> None:
    cash = term.cash
    if cash is None or not found.clean(f"{path}.cash"):
        return
    total = sum(cash.profile) if isinstance(cash.profile, tuple) else 0.0
    if abs(total - 1) > SUM_TOLERANCE:
        found.add(f"{path}.cash.profile", f"sums to {total:.10g}; what is earned is paid once: 1")
    if (cash.limit is None) != (not cash.of):
        found.add(f"{path}.cash.limit", "goes with of, the terms that it is a share of")
    late = [name for name in cash.of if name not in earlier]
    if late:
        found.add(f"{path}.cash.of", f"a term sees earlier ones only: {', '.join(late)}")


def _check_lines_in_scope(
    case: "Case", contract: "Contract", partners: set[str], found: Findings
) -> None:
    if contract.lines is None or not found.clean(f"{contract.name}.lines"):
        return
    for line in case.lines:
        outside = {line.payer, line.deliverer} - partners
        if line.name in contract.lines and outside:
            found.add(
                f"{contract.name}.lines",
                f"{line.name!r} names {', '.join(sorted(outside))}, not in the contract; add the "
                "partner or leave the line out",
            )


def _check_budget(contract: "Contract", budget: Any, path: str, found: Findings) -> None:
    starts = [name for name in ("base", "rate", "unit_rate") if getattr(budget, name) is not None]
    if len(starts) > 1:
        names = " and ".join(starts)
        found.add(path, f"has both {names}; give one, or neither to start from its lines")
    moving = budget.rate is not None or budget.unit_rate is not None
    if moving != (budget.rebase is not None):
        what = "members" if budget.unit_rate is None else "activity"
        found.add(
            f"{path}.rebase",
            "goes with a rate, and it needs one; it changes what is paid, so it has no default: "
            f"'plan' pays 100, 100, 100, 100 and 'actual' pays 90, 95, 105, 110 at {what} -10 %, "
            "-5 %, +5 %, +10 % off a planned budget of 100",
        )
    named = next((t for t in contract.terms if t.label == budget.stranded_support), None)
    if budget.stranded_support is not None and not isinstance(named, StrandedSupport):
        found.add(f"{path}.stranded_support", "is not a stranded-support term of this contract")


def _check_term(
    case: "Case", contract: "Contract", term: AbstractTerm, path: str, scope: Scope, found: Findings
) -> None:
    if isinstance(term, (Funding, CapitatedBudget)) and term.from_ == term.to:
        found.add(f"{path}.to", f"{term.to!r} would pay itself")
    if isinstance(term, Funding) and term.driver is not None:
        driver = next(driver for driver in case.drivers if driver.name == term.driver)
        if driver.acts_on != "funding":
            found.add(
                f"{path}.driver", f"{term.driver!r} acts on {driver.acts_on}; accepted: funding"
            )
    if isinstance(term, Block):
        parts = [term.amount is not None, term.from_ is not None, term.to is not None]
        if any(parts) and not all(parts):
            found.add(
                path, "amount, from and to go together; without them the block pays its lines"
            )
        if all(parts) and term.lines is not None:
            found.add(path, "pays an amount or its lines, not both")
    if isinstance(term, MarginalRate):
        _check_marginal(term, path, scope, found)
    if isinstance(term, Pool):
        found.attempt(_check_pool, case, contract, term, path, scope)


def _check_marginal(term: MarginalRate, path: str, scope: Scope, found: Findings) -> None:
    if not found.clean(f"{path}.rate", f"{path}.bands", f"{path}.break_glass"):
        return
    if (term.rate is None) == (not term.bands):
        found.add(path, "give a rate or bands, one of the two")
        return
    if term.bands and term.tolerance is not None:
        found.add(
            f"{path}.tolerance", "goes with a rate; with bands, state the first band's beyond"
        )
    labels = {**scope.labels, "line": tuple(term.lines or scope.labels["line"])}
    edges: list[tuple[str, Given, Any]]
    edges = [(f"{path}.bands[{i}].beyond", b.beyond, b) for i, b in enumerate(term.bands)]
    if term.tolerance is not None:
        edges.append((f"{path}.tolerance", term.tolerance, term))
    if term.break_glass is not None:
        edges.append(
            (f"{path}.break_glass.threshold", term.break_glass.threshold, term.break_glass)
        )
    _check_ascending(edges, labels, found)
    if term.per == "total":
        for name in ("rate", "tolerance", "cap", "collar"):
            if _by_label(getattr(term, name), labels["line"]):
                found.add(f"{path}.{name}", 'is by line, but per = "total" settles their sum')
        parts: list[tuple[str, Given]] = []
        for i, band in enumerate(term.bands):
            parts += [(f"bands[{i}].beyond", band.beyond), (f"bands[{i}].rate", band.rate)]
        if term.break_glass is not None:
            glass = term.break_glass
            parts += [("break_glass.threshold", glass.threshold), ("break_glass.rate", glass.rate)]
        for name, given in parts:
            if _by_label(given, labels["line"]):
                found.add(f"{path}.{name}", 'is by line, but per = "total" settles their sum')


def _by_label(given: Given, labels: tuple[str, ...]) -> bool:
    if isinstance(given, tuple):
        return any(_by_label(item, labels) for item in given)
    if isinstance(given, Mapping):
        return any(key in labels or _by_label(item, labels) for key, item in given.items())
    return False


def _check_ascending(edges: list[tuple[str, Given, Any]], labels: Any, found: Findings) -> None:
    before: Any = None
    for path, given, owner in edges:
        field = path.rpartition(".")[2]
        declared = declaration_of(type(owner), field)
        values = expand(given, declared, labels)
        if before is not None and np.any(values <= before):
            at = int(np.argmax(np.ravel(values <= before)))
            found.add(
                path,
                f"bands out of order: found {np.ravel(values)[at]:g} after "
                f"{np.ravel(before)[at]:g}; "
                "accepted: each begins beyond the one before",
            )
        before = values


def _check_pool(
    case: "Case", contract: "Contract", term: Pool, path: str, scope: Scope, found: Findings
) -> None:
    for name in ("share", "loss_share"):
        given = getattr(term, name)
        if given is not None and found.clean(f"{path}.{name}"):
            found.attempt(_check_shares, term, name, path, scope)
    if term.key in ("proportional", "equity") and term.weights is not None:
        declared = declaration_of(Pool, "weights")
        if np.any(expand(term.weights, declared, scope.labels).sum(-1) <= 0):
            found.add(f"{path}.weights", "sum to 0 in some year; at least one must be above 0")
    if term.key in ("influence", "conditional-mean"):
        _check_parties(case, path, set(scope.labels["partner"]), found)
        if case.residual_key is None:
            found.add(
                "residual_key",
                f"missing; {path} shares by {term.key}, and what nobody controls needs a key",
            )
    _check_ascending(
        [(f"{path}.corridors[{i}].beyond", c.beyond, c) for i, c in enumerate(term.corridors)],
        scope.labels,
        found,
    )
    order = {other.label: _order(contract, other) for other in contract.terms}
    for name in ("against", "contributions"):
        late = [n for n in getattr(term, name) if order.get(n, (0, 0)) >= order[term.label]]
        if late:
            names = ", ".join(late)
            message = f"a term sees earlier ones only, not itself or later: {names}"
            found.add(f"{path}.{name}", message)


def _check_shares(term: Pool, name: str, path: str, scope: Scope, found: Findings) -> None:
    """Shares sum to one, or to less where somebody takes the rest."""
    sums = expand(getattr(term, name), declaration_of(Pool, name), scope.labels).sum(-1)
    worst = float(sums[np.argmax(np.abs(sums - 1))])
    if term.taker is None and abs(worst - 1) > SUM_TOLERANCE:
        found.add(
            f"{path}.{name}",
            f"the shares sum to {worst:.10g}; they must sum to 1 over partners, or less with a "
            "taker of the rest",
        )
    if term.taker is not None and np.max(sums) > 1 + SUM_TOLERANCE:
        found.add(
            f"{path}.{name}",
            f"the shares sum to {np.max(sums):.10g}; accepted: at most 1, the rest to the taker",
        )


def _check_parties(case: "Case", path: str, partners: set[str], found: Findings) -> None:
    """Under the influence key money moves to whoever has influence or a residual share."""
    keys: list[Given] = [driver.influence for driver in case.drivers]
    keys += [population.influence for population in case.members]
    keys += [change.delivery.influence for change in case.changes] + [case.residual_key]
    named = {
        name for key in keys if isinstance(key, Mapping) for name, share in key.items() if share
    }
    if named - partners:
        found.add(
            f"{path}.key",
            f"influence and residual_key name {', '.join(sorted(named - partners))}, not in the "
            "contract; add the partner to it",
        )


def _order(contract: "Contract", term: AbstractTerm) -> tuple[int, int]:
    position = [other.label for other in contract.terms].index(term.label)
    return PHASES.index(term.runs_in), position


def _check_support(contract: "Contract", found: Findings) -> None:
    """Support is paid once: inside a paid budget, or as a posting of its own."""
    terms = {term.label: term for term in contract.terms}
    budgets = {budget.name: budget for budget in contract.budgets}
    paid = {term.budget: term.label for term in contract.terms if isinstance(term, CapitatedBudget)}
    for name, budget in budgets.items():
        support = terms.get(budget.stranded_support or "")
        if name in paid and isinstance(support, StrandedSupport) and support.paid_in != name:
            found.add(
                f"{contract.name}.{support.label}",
                f"support paid twice: {paid[name]!r} pays the budget {name!r}, which includes it, "
                f'and the term posts it again; say paid_in = "{name}", or drop the step',
            )
    for term in contract.terms:
        if isinstance(term, StrandedSupport) and term.paid_in is not None:
            named = budgets.get(term.paid_in)
            if term.paid_in not in paid or named is None or named.stranded_support != term.label:
                found.add(
                    f"{contract.name}.{term.label}.paid_in",
                    f"{term.paid_in!r} is not a budget that a capitated-budget term pays and that "
                    f"names {term.label!r} as its stranded_support",
                )
        if isinstance(term, Pool) and term.budget in budgets:
            _check_pool_support(contract, term, budgets[term.budget], terms, found)


def _check_pool_support(
    contract: "Contract", pool: Pool, budget: Any, terms: Mapping[str, Any], found: Findings
) -> None:
    named = budget.stranded_support
    posted = [
        term.label
        for term in terms.values()
        if isinstance(term, StrandedSupport) and term.paid_in is None
    ]
    if named in posted and named not in pool.against:
        found.add(
            f"{contract.name}.{pool.label}.against",
            f"the budget includes {named!r}, so the outlay must too; add it",
        )
    for label in posted:
        if label in pool.against and label != named:
            found.add(
                f"{contract.name}.{pool.label}.against",
                f"counts {label!r} as outlay, which the budget {budget.name!r} leaves out; name "
                "it as the budget's stranded_support",
            )


def check_overlap(case: "Case", found: Findings) -> None:
    """Support of one line is paid by one term, over all contracts."""
    taken: dict[tuple[str, str], str] = {}
    for contract in case.contracts:
        years = contract.years or case.labels()["year"]
        for term in contract.terms:
            if not isinstance(term, StrandedSupport):
                continue
            path = f"{contract.name}.{term.label}"
            for line in term.lines or case.scope_lines(contract):
                twice = {taken[line, year] for year in years if (line, year) in taken}
                for other in sorted(twice):
                    found.add(
                        f"{path}.lines", f"support paid twice: {other} supports {line!r} already"
                    )
                taken |= {(line, year): path for year in years}


def check_funds(case: "Case", found: Findings) -> None:
    """Refuse to draw a pool account before anything fills it, unless closing makes it whole."""
    for partner in case.partners:
        whole = (partner.opening_balance, partner.shortfall, partner.prorate, partner.uncommitted)
        if partner.kind != "pool" or any(part for part in whole):
            continue
        running = [(c, t) for c in case.contracts for t in c.terms]
        running.sort(key=lambda pair: PHASES.index(pair[1].runs_in))
        for contract, term in running:
            if _fills(case, contract, term, partner.name):
                break
            if _draws(case, contract, term, partner.name):
                found.add(
                    f"{contract.name}.{term.label}",
                    f"draws {partner.name!r} before any term has paid into it; give the account an "
                    "opening_balance, a shortfall key or prorate, or fill it first",
                )
                break


def _fills(case: "Case", contract: "Contract", term: AbstractTerm, account: str) -> bool:
    """Whether a term may pay into an account."""
    if isinstance(term, Pool):
        keys = (term.share, term.loss_share, term.weights, term.people)
        named = any(isinstance(key, Mapping) and key.get(account) for key in keys)
        among = account in (term.between or ()) or account == term.taker
        return named or among or term.holder == account or term.key == "contribution"
    return getattr(term, "to", None) == account


def _draws(case: "Case", contract: "Contract", term: AbstractTerm, account: str) -> bool:
    """Whether a term pays out of an account."""
    if getattr(term, "from_", None) == account:
        return True
    lines = getattr(term, "lines", None) or case.scope_lines(contract)
    by_line = hasattr(term, "lines") and getattr(term, "from_", None) is None
    paid_by = {line.payer for line in case.lines if line.name in lines}
    return by_line and not isinstance(term, Pool) and account in paid_by
