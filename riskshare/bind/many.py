"""Many contracts of one structure at once: numbers of terms and budgets as arrays over contracts.

A number of a contract moves nothing but its own term (or the terms that use its budget), so the
plan is worked out once and only what moves gets a further, first axis.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from riskshare.bind import Bound
from riskshare.bind.leaves import BoundTerm
from riskshare.bind.terms import Binder, in_running_order, with_last
from riskshare.case import Case, Contract
from riskshare.contract.budget import Budget
from riskshare.contract.support import StrandedSupport
from riskshare.contract.term import AbstractTerm
from riskshare.errors import ArgumentError, CaseError, Problem
from riskshare.parameters import (
    Declared,
    Labels,
    Parameter,
    fields_of,
    item_path,
    split_path,
)

Numbers = NDArray[np.float64]
Varied = dict[int, Numbers]
"""Leaves that differ between contracts, (contract, ...), by their place among all leaves."""


def varied_leaves(case: Case, bound: Bound, values: Mapping[str, Numbers]) -> Varied | None:
    """Return the leaves of a bound case that differ between contracts.

    Parameters
    ----------
    values
        Numbers by path, each (contract).

    Returns
    -------
    dict or None
        None where a path is no number of a contract, or moves a budget by way of another term:
        such a case must be bound anew for each contract.

    Raises
    ------
    CaseError
        For numbers out of bounds, shares that do not sum to one, or bands out of order.
    """
    lead = {contract.name for contract in case.contracts}
    if not all(path.split(".")[0] in lead for path in values):
        return None
    overlay = _Overlay(dict(values), len(next(iter(values.values()))))
    slots = dict(zip(bound.structure.term_names, bound.numbers.yearly.terms, strict=True))
    changed = dict(slots)
    for contract, binder, scope in in_running_order(case, bound.plan):
        if _moves_support(contract, values):
            return None
        budgets = overlay.budgets(case, contract, binder, scope)
        for term in contract.terms:
            name = f"{contract.name}.{term.label}"
            new = overlay.term(term, binder, scope, slots[name], budgets)
            if new is not None:
                changed[name] = dataclasses.replace(slots[name], term=new)
    if overlay.left:
        return None
    yearly = dataclasses.replace(bound.numbers.yearly, terms=tuple(changed.values()))
    before = jax.tree.leaves(bound.numbers)
    after = jax.tree.leaves(dataclasses.replace(bound.numbers, yearly=yearly))
    return {
        place: new
        for place, (old, new) in enumerate(zip(before, after, strict=True))
        if np.ndim(new) > np.ndim(old)
    }


def row_of(leaves: Any, varied: Varied, row: int) -> Any:
    """Return leaves with those of one contract in place."""
    flat, tree = jax.tree.flatten(leaves)
    for place, values in varied.items():
        flat[place] = values[row]
    return jax.tree.unflatten(tree, flat)


def _moves_support(contract: Contract, values: Mapping[str, Numbers]) -> bool:
    """Whether a support term moves that a budget includes."""
    named = {budget.stranded_support for budget in contract.budgets}
    return any(path.startswith(f"{contract.name}.{label}.") for path in values for label in named)


class _Overlay:
    """Puts numbers by path into bound terms and budgets, with the contract as first axis."""

    def __init__(self, values: dict[str, Numbers], count: int) -> None:
        self.values, self.count = values, count
        self.left = set(values)

    def budgets(
        self, case: Case, contract: Contract, binder: Binder, scope: Labels
    ) -> dict[str, Any]:
        """Return the budgets of a contract that move, by name."""
        found = {}
        for budget in contract.budgets:
            prefix = f"{contract.name}.{budget.name}"
            own = binder.budget_labels(budget, scope)
            numbers = binder.budget_numbers(budget, scope)
            hits = {
                name: self._array(f"{prefix}.{name}", Budget, name, array, own)
                for name, array in numbers.items()
                if array is not None
            }
            moved = {name: array for name, array in hits.items() if array is not None}
            if not moved:
                continue
            rows = [
                binder.bound_budget(
                    budget, scope, {**numbers, **{name: array[i] for name, array in moved.items()}}
                )[1]
                for i in range(self.count)
            ]
            found[budget.name] = jax.tree.map(lambda *leaves: np.stack(leaves), *rows)
        return found

    def term(
        self,
        term: AbstractTerm,
        binder: Binder,
        scope: Labels,
        slot: BoundTerm,
        budgets: Mapping[str, Any],
    ) -> AbstractTerm | None:
        """Return a bound term with what moves, or None where nothing does."""
        prefix = f"{binder.contract.name}.{term.label}."
        budget = getattr(term, "budget", None)
        mine = any(path.startswith(prefix) for path in self.values)
        if not mine and not (isinstance(budget, str) and budget in budgets):
            return None
        raw = with_last(binder.bind(term, scope), slot.active)
        labels = {**scope, "line": tuple(getattr(term, "lines", None) or scope["line"])}
        new = self._node(term, raw, prefix.rstrip("."), labels)
        if isinstance(budget, str) and budget in budgets:
            new = dataclasses.replace(new, budget=budgets[budget])
        table = getattr(slot.term, "table", None)
        if table is not None:  # made once, from the case's laws
            raw, new = (dataclasses.replace(t, table=table) for t in (raw, new))
        problems = list(_out_of_order(new, prefix.rstrip(".")))
        if problems:
            raise CaseError(problems)
        plan = binder.plan.view
        if isinstance(term, StrandedSupport) or raw.prepared(plan) is not raw:
            rows = [_row(raw, new, i).prepared(plan) for i in range(self.count)]
            return jax.tree.map(lambda *leaves: np.stack(leaves), *rows)
        return new

    def _node(self, node: Declared, bound: Any, prefix: str, labels: Labels) -> Any:
        changed: dict[str, Any] = {}
        for info in fields_of(type(node)):
            given, at = getattr(node, info.name), f"{prefix}.{info.name}"
            inner = getattr(bound, info.name)
            if given is None:
                continue
            if isinstance(info.declaration, Parameter):
                array = self._array(at, type(node), info.name, inner, labels)
                if array is not None:
                    changed[info.name] = array
            elif isinstance(given, Declared):
                changed[info.name] = self._node(given, inner, at, labels)
            elif isinstance(given, tuple) and given and isinstance(given[0], Declared):
                changed[info.name] = tuple(
                    self._node(item, inner[i], item_path(prefix, info, item, i), labels)
                    for i, item in enumerate(given)
                )
        return dataclasses.replace(bound, **changed) if changed else bound

    def _array(
        self, path: str, cls: type, name: str, base: Numbers, labels: Labels
    ) -> Numbers | None:
        """Return a number's array with the contract first, or None where it does not move."""
        hits = [p for p in self.values if p == path or split_path(p)[0] == path]
        if not hits:
            return None
        parameter = next(i.declaration for i in fields_of(cls) if i.name == name)
        assert isinstance(parameter, Parameter)
        axes = ("year", *(axis for axis in parameter.all_axes if axis != "year"))
        array = np.repeat(np.asarray(base, np.float64)[None], self.count, axis=0)
        for hit in sorted(hits, key=len):
            keys = () if hit == path else split_path(hit)[1]
            values = self.values[hit]
            _check_bounds(hit, values, parameter)
            at = _place(hit, keys, axes, labels)
            array[(slice(None), *at)] = values.reshape(-1, *[1] * (array[(0, *at)].ndim))
            self.left.discard(hit)
        return array


def _place(path: str, keys: tuple[str, ...], axes: tuple[str, ...], labels: Labels) -> list[Any]:
    """Return the index of some labels in an array over axes."""
    at: list[Any] = [slice(None)] * len(axes)
    for key in keys:
        for i, axis in enumerate(axes):
            if at[i] != slice(None):
                continue
            if axis in ("point", "age") and key.isdigit():
                at[i] = int(key)
                break
            if key in labels.get(axis, ()):
                at[i] = labels[axis].index(key)
                break
        else:
            raise ArgumentError(f"{path}: no label {key!r} there")
    return at


def _check_bounds(path: str, values: Numbers, parameter: Parameter) -> None:
    lower = -math.inf if parameter.lower is None else parameter.lower
    upper = math.inf if parameter.upper is None else parameter.upper
    wrong = ~(np.isfinite(values) & (values >= lower) & (values <= upper))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise CaseError(
            [
                Problem(
                    path,
                    f"found {values[at]:g} at place {at}; accepted: numbers from {lower:g} to "
                    f"{upper:g} ({parameter.unit})",
                )
            ]
        )


def _out_of_order(node: Any, path: str) -> Iterator[Problem]:
    """Yield bands that do not begin beyond one another, and shares that do not sum to one."""
    for name in ("bands", "corridors"):
        items = getattr(node, name, ())
        for i, (before, after) in enumerate(pairwise(items)):
            low, high = _together(before.beyond, after.beyond)
            if np.any(high <= low):
                yield Problem(
                    f"{path}.{name}[{i + 1}].beyond",
                    "bands out of order in some contract; accepted: each begins beyond the one "
                    "before",
                )
    if getattr(node, "key", None) == "fixed" and getattr(node, "taker", None) is None:
        for name in ("share", "loss_share"):
            shares = getattr(node, name)
            if shares is not None and np.any(np.abs(shares.sum(-1) - 1) > 1e-9):
                yield Problem(f"{path}.{name}", "the shares do not sum to 1 in some contract")


def _together(*arrays: Numbers) -> list[Numbers]:
    most = max(array.ndim for array in arrays)
    return [array if array.ndim == most else array[None] for array in arrays]


def _row(raw: AbstractTerm, new: AbstractTerm, row: int) -> AbstractTerm:
    return jax.tree.map(
        lambda old, many: many[row] if np.ndim(many) > np.ndim(old) else many, raw, new
    )
