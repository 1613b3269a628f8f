"""Moving the numbers of contracts: a little, far away, and in pairs where one must give way."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from riskshare.analysis.probe import Probe
from riskshare.bind.many import varied_leaves
from riskshare.errors import RiskshareError
from riskshare.parameters import (
    Declared,
    Parameter,
    fields_of,
    item_path,
    label_path,
    numbers_in,
    split_path,
)

_LITTLE = 1e-3
_NEVER_ASKED = ("in_force",)
GATED = (".low_volume", ".gate.scale.rate", ".gate.scale.members")
"""Numbers that decide whether a gate opens, besides those that put a jump somewhere."""


@dataclass(frozen=True)
class Number:
    """A number somebody gave in a contract."""

    path: str
    value: float
    parameter: Parameter


def numbers_of(probe: Probe) -> Iterator[Number]:
    """Yield the numbers of contracts that differ from what stands there unless given."""
    for contract in probe.case.contracts:
        for node, prefix in _nodes(contract, contract.name):
            for info in fields_of(type(node)):
                declaration, given = info.declaration, getattr(node, info.name)
                if not isinstance(declaration, Parameter) or declaration.derived:
                    continue
                if info.name in _NEVER_ASKED or given is None:
                    continue
                if not info.required and given == info.default:
                    continue
                labels = {**probe.labels, "item": tuple(getattr(node, "other", ()) or ())}
                path = f"{prefix}.{info.name}"
                for name, value in numbers_in(given, path, labels, declaration.sequence):
                    yield Number(name, float(value), declaration)


def _nodes(node: Declared, prefix: str) -> Iterator[tuple[Declared, str]]:
    """Yield a declared object and all that it holds, with their paths."""
    yield node, prefix
    for info in fields_of(type(node)):
        value = getattr(node, info.name)
        if isinstance(value, Declared):
            yield from _nodes(value, f"{prefix}.{info.name}")
        elif isinstance(value, tuple) and value and isinstance(value[0], Declared):
            for i, item in enumerate(value):
                below = item_path(prefix, info, item, i)
                yield from _nodes(item, below)


def near_values(probe: Probe, number: Number) -> Iterator[float]:
    """Yield a number a little higher, and a little lower."""
    size = abs(number.value)
    if size == 0:
        money = number.parameter.unit.startswith("money per year") or number.parameter.unit == (
            "money"
        )
        view = probe.bound.plan.view
        size = float((view.plan * view.price).sum(1).max()) or 1.0 if money else 1.0
    yield number.value + _LITTLE * size
    yield number.value - _LITTLE * size


def far_values(number: Number) -> Iterator[float]:
    """Yield values with which a gate may do nothing: at its bound, then at half and at twice."""
    lower, upper = number.parameter.lower, number.parameter.upper
    off = upper if "break_glass.threshold" in number.path else lower
    for value in (off, number.value / 2, 2 * number.value):
        if value is not None and value != number.value:
            yield value


def moved_numbers(probe: Probe, number: Number, value: float) -> Iterator[dict[str, float]]:
    """Yield the number moved, alone, and then with another that gives way.

    Shares that must sum to one can only move in pairs.
    """
    yield {number.path: value}
    head, keys = split_path(number.path)
    if not keys:
        return
    numbers = probe.case.numbers()
    siblings = [p for p in numbers if split_path(p)[0] == head and p != number.path]
    axis = next((a for a in number.parameter.axes if keys[-1] in probe.labels.get(a, ())), None)
    others = [] if axis is None else [_relabelled(head, keys, name) for name in probe.labels[axis]]
    for other in dict.fromkeys([*siblings, *others]):
        if other != number.path:
            yield {
                number.path: value,
                other: numbers.get(other, 0.0) - (value - number.value),
            }


def _relabelled(head: str, keys: tuple[str, ...], label: str) -> str:
    path = head
    for key in (*keys[:-1], label):
        path = label_path(path, key)
    return path


def is_unused(probe: Probe, numbers: dict[str, float]) -> bool:
    """Whether no term uses a number, such as one of a budget that nobody names."""
    try:
        arrays = {path: np.array([value]) for path, value in numbers.items()}
        return varied_leaves(probe.case, probe.bound, arrays) == {}
    except RiskshareError:
        return False
