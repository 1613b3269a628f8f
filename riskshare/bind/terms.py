"""Terms as numbers: names become one-hot keys and positions, given values become arrays."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskshare.bind.leaves import BoundTerm
from riskshare.case import Case, Contract
from riskshare.contract.accounts import AccountClose
from riskshare.contract.budget import BoundBudget, Budget, bridge
from riskshare.contract.support import StrandedSupport
from riskshare.names import ACCOUNTS, PHASES
from riskshare.parameters import Declared, Labels, Parameter, Reference, expand, fields_of
from riskshare.plan import Plan, declared
from riskshare.system import closing_order

Numbers = NDArray[np.float64]


def one_hot(names: Iterable[str], partners: tuple[str, ...]) -> Numbers:
    """Return a row for each name, one at its partner."""
    rows = [[float(name == partner) for partner in partners] for name in names]
    return np.array(rows, np.float64).reshape(-1, len(partners))


def terms_of(
    case: Case, plan: Plan, labels: Labels
) -> tuple[list[tuple[str, BoundTerm]], dict[str, dict[str, Numbers]]]:
    """Bind every term, in the order in which they run: phase, contract, place in the list."""
    found: list[tuple[int, str, BoundTerm]] = []
    bridges: dict[str, dict[str, Numbers]] = {}
    years = labels["year"]
    for contract, binder, scope in in_running_order(case, plan):
        active = np.array([float(contract.years is None or y in contract.years) for y in years])
        bridges |= binder.bridges
        for term in contract.terms:
            bound = with_last(binder.bind(term, scope), active).prepared(plan.view)
            name = f"{contract.name}.{term.label}"
            slot = BoundTerm(bound, bound.residue, active)
            found.append((PHASES.index(term.runs_in), name, slot))
    found.sort(key=lambda item: item[0])
    ordered = [(name, slot) for _, name, slot in found]
    return ordered + _accounts(case, labels), bridges


def in_running_order(case: Case, plan: Plan) -> Iterator[tuple[Contract, "Binder", Labels]]:
    """Yield each contract with its binder and the labels of its scope."""
    for contract in case.contracts:
        scope = {**case.labels(), "line": case.scope_lines(contract)}
        yield contract, Binder(case, contract, plan, scope), scope


def with_last(term: Any, active: Numbers) -> Any:
    """Return a bound term that knows the last year in which its contract holds, where it asks."""
    if "last" not in {info.name for info in fields_of(type(term))}:
        return term
    return dataclasses.replace(term, last=_last(active * term.in_force))


def _last(active: Numbers) -> Numbers:
    """Return 1 in the last year in which a contract holds."""
    last = np.zeros_like(active)
    if active.any():
        last[np.flatnonzero(active)[-1]] = 1.0
    return last


def _accounts(case: Case, labels: Labels) -> list[tuple[str, BoundTerm]]:
    years = len(case.years)
    last = (np.arange(years) == years - 1).astype(np.float64)
    closes = []
    for partner in closing_order(case.partners):
        term = AccountClose(
            name=partner.name,
            account=np.tile(one_hot([partner.name], labels["partner"]), (years, 1)),
            opening_balance=np.full(years, float(partner.opening_balance or 0.0)),
            prorate=partner.prorate,
            in_force=np.ones(years),
            uncommitted=declared(partner, "uncommitted", labels),
            shortfall=declared(partner, "shortfall", labels),
            release=declared(partner, "release", labels),
            last=last,
        )
        closes.append((f"{ACCOUNTS}.{partner.name}", BoundTerm(term, None, np.ones(years))))
    return closes


class Binder:
    """Replaces the names of one contract by keys and positions, and its numbers by arrays."""

    def __init__(self, case: Case, contract: Contract, plan: Plan, scope: Labels) -> None:
        self.case, self.contract, self.plan = case, contract, plan
        self.years = len(case.years)
        self.bridges: dict[str, dict[str, Numbers]] = {}
        self.budgets: dict[str, BoundBudget] = {}
        for budget in contract.budgets:
            self.budgets[budget.name] = self._budget(budget, scope)

    def bind(self, node: Any, labels: Labels) -> Any:
        """Return a declared object with arrays and keys for fields; numbers have the year first."""
        names = {info.name: getattr(node, info.name) for info in fields_of(type(node))}
        if "lines" in names:
            labels = {**labels, "line": tuple(names["lines"] or labels["line"])}
            names["lines"] = self._positions(labels["line"])
        for info in fields_of(type(node)):
            value, declaration = names[info.name], info.declaration
            if value is None or info.name == "lines":
                continue
            if isinstance(declaration, Parameter):
                names[info.name] = self.expanded(value, declaration, labels)
            elif isinstance(declaration, Reference):
                names[info.name] = self._reference(value, declaration)
            elif isinstance(value, Declared):
                names[info.name] = self.bind(value, labels)
            elif isinstance(value, tuple) and value and isinstance(value[0], Declared):
                names[info.name] = tuple(self.bind(item, labels) for item in value)
        return type(node)(**names)

    def expanded(self, value: Any, declaration: Parameter, labels: Labels) -> Numbers:
        """Return a given value as an array with the year first, also where it has none."""
        array = expand(value, declaration, labels)
        if "year" in declaration.all_axes:
            return array
        return np.broadcast_to(array, (self.years, *array.shape)).copy()

    def _positions(self, lines: Iterable[str]) -> tuple[int, ...]:
        known = self.case.labels()["line"]
        return tuple(known.index(line) for line in lines)

    def _reference(self, value: Any, reference: Reference) -> Any:
        if reference.to == "partner":
            names = value if reference.many else (value,)
            key = one_hot(names, self.case.labels()["partner"]).sum(0)
            return np.tile(key, (self.years, 1))
        if reference.to == "line":
            return self._positions(value)
        if reference.to == "population":
            return self.case.labels()["population"].index(value)
        if reference.to == "driver":
            return self.case.labels()["driver"].index(value)
        if reference.to == "budget":
            return self.budgets[value]
        if reference.to == "term":
            names = value if reference.many else (value,)
            return tuple(f"{self.contract.name}.{name}" for name in names)
        return value

    def _budget(self, budget: Budget, labels: Labels) -> BoundBudget:
        numbers = self.budget_numbers(budget, labels)
        steps, result = self.bound_budget(budget, labels, numbers)
        self.bridges[f"{self.contract.name}.{budget.name}"] = steps
        return result

    def budget_labels(self, budget: Budget, labels: Labels) -> Labels:
        """Return the labels that a budget's numbers may vary by."""
        lines = tuple(budget.lines or labels["line"])
        return {**labels, "line": lines, "item": tuple(budget.other)}

    def budget_numbers(self, budget: Budget, labels: Labels) -> dict[str, Any]:
        """Return a budget's fields as arrays with the year first; None where not given."""
        own = self.budget_labels(budget, labels)
        fields = ("base", "rate", "unit_rate", "growth", "inflation", "efficiency", "other")
        return {name: declared(budget, name, own) for name in fields}

    def bound_budget(
        self, budget: Budget, labels: Labels, numbers: Mapping[str, Any]
    ) -> tuple[dict[str, Numbers], BoundBudget]:
        """Return the steps of a budget and its numbers for the kernel."""
        support = None
        if budget.stranded_support is not None:
            term = next(t for t in self.contract.terms if t.label == budget.stranded_support)
            assert isinstance(term, StrandedSupport)
            bound: StrandedSupport = self.bind(term, labels)
            support = bound.planned_amounts(self.plan.view).sum(1)
        lines = self._positions(budget.lines or labels["line"])
        items = tuple(budget.other)
        return bridge(budget, dict(numbers), self.plan.view, lines, items, support)
