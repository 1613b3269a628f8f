"""Checks that follow from declarations alone: types, bounds, labels, choices, references."""

import dataclasses
import datetime
import difflib
import math
import numbers
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from riskshare.errors import Problem
from riskshare.laws.marginal import LAWS, AbstractLaw
from riskshare.parameters import (
    FREE_LENGTH,
    Choice,
    Declared,
    FieldInfo,
    Given,
    Items,
    Labels,
    Parameter,
    Reference,
    axis_of,
    entry_names,
    expand,
    fields_of,
    item_path,
    label_path,
)

SUM_TOLERANCE = 1e-9

_QUESTIONED = ("share", "rate", "index", "cv")
"""Units of numbers that people write as percentages by mistake."""


@dataclass
class Findings:
    """The problems found so far."""

    problems: list[Problem] = field(default_factory=list)

    def add(self, path: str, message: str) -> None:
        """Note a problem, once for each path and message."""
        problem = Problem(path, message)
        if problem not in self.problems:
            self.problems.append(problem)

    def attempt(self, check: Callable[..., None], *arguments: Any) -> None:
        """Run a check that may stumble over a value that has been reported already."""
        try:
            check(*arguments, self)
        except (AttributeError, IndexError, KeyError, StopIteration, TypeError, ValueError):
            if not self.problems:
                raise

    def clean(self, *prefixes: str) -> bool:
        """Return whether nothing at or below these paths has a problem."""
        return not any(
            problem.path == prefix or problem.path.startswith((f"{prefix}.", f"{prefix}["))
            for problem in self.problems
            for prefix in prefixes
        )


@dataclass(frozen=True)
class Scope:
    """The labels that numbers may vary by and the names that references may use."""

    labels: Labels
    names: Mapping[str, tuple[str, ...]]
    """By what a reference is ``to``."""


def suggest(name: object, known: Collection[str]) -> str:
    """Return what is accepted in place of an unknown name, the nearest first."""
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    listed = ", ".join(list(known)[:12]) + (", ..." if len(known) > 12 else "")
    return f"{hint}accepted: {listed}" if known else "there are none in this case"


def check_declared(
    node: Declared, prefix: str, scope: Scope, found: Findings, skip: Collection[str] = ()
) -> None:
    """Check the fields of a declared object and of what it holds by their declarations."""
    scope = _with_own_labels(node, scope)
    for info in fields_of(type(node)):
        if info.name in skip:
            continue
        value = getattr(node, info.name)
        path = ".".join(part for part in (prefix, shown(info.name)) if part)
        declaration = info.declaration
        if isinstance(declaration, Parameter):
            if value is None and (info.default is None and not info.required):
                continue
            check_given(value, declaration, scope.labels, path, found)
        elif isinstance(declaration, Reference):
            _check_reference(value, info, declaration, path, scope, found)
        elif isinstance(declaration, Items) or _is_items(value):
            for i, item in enumerate(value):
                check_declared(item, item_path(prefix, info, item, i), scope, found)
        elif isinstance(value, Declared):
            check_declared(value, path, scope, found)
        elif isinstance(declaration, Choice) and value is None:
            continue  # what it would pay takes the whole term: riskshare.checks.readings
        else:
            _check_plain(value, info, path, found)


def shown(name: str) -> str:
    """Return a field's name as a file has it: ``from`` is a word of Python's."""
    return name.rstrip("_")


def _is_items(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and isinstance(value[0], Declared)


def _with_own_labels(node: Declared, scope: Scope) -> Scope:
    """Within a term, the axis ``line`` means the lines it names; ``item`` is its own labels."""
    labels = dict(scope.labels)
    lines = getattr(node, "lines", None)
    if lines and all(isinstance(line, str) for line in lines):
        labels["line"] = tuple(lines)
    other = getattr(node, "other", None)
    if isinstance(other, Mapping):
        labels["item"] = tuple(other)
    return dataclasses.replace(scope, labels=labels)


def check_given(
    given: Given, parameter: Parameter, labels: Labels, path: str, found: Findings
) -> None:
    """Check a given value: its numbers and labels, none missing, shares summing to one."""
    before = len(found.problems)
    _walk(given, parameter, parameter.all_axes, labels, path, found)
    if len(found.problems) > before or parameter.sums_to_one is None:
        return
    if any(not labels[axis] for axis in parameter.all_axes):
        return
    values = expand(given, parameter, labels)
    sums = values.sum(parameter.all_axes.index(parameter.sums_to_one))
    worst = float(np.ravel(sums)[np.argmax(np.abs(sums - 1))])
    if abs(worst - 1) > SUM_TOLERANCE:
        found.add(
            path,
            f"the shares sum to {worst:.10g}; they must sum to 1 over {parameter.sums_to_one}s",
        )


def _walk(
    given: Given,
    parameter: Parameter,
    axes: tuple[str, ...],
    labels: Labels,
    path: str,
    found: Findings,
) -> None:
    if isinstance(given, tuple):
        lead = parameter.sequence
        if lead not in axes:
            found.add(path, f"found a list; accepted: {_accepted(parameter)}")
            return
        size = len(labels.get(lead, ()))
        if lead not in FREE_LENGTH and len(given) != size:
            found.add(path, f"found {len(given)} values; accepted: one for each {lead}, {size}")
            return
        if not given:
            found.add(path, f"found an empty list; accepted: {_accepted(parameter)}")
            return
        rest = tuple(axis for axis in axes if axis != lead)
        if _all_accepted(given, parameter, rest):
            return
        for label, item in zip(entry_names(given, lead, labels), given, strict=True):
            _walk(item, parameter, rest, labels, label_path(path, label), found)
        return
    if isinstance(given, Mapping):
        _walk_mapping(given, parameter, axes, labels, path, found)
        return
    if (
        isinstance(given, bool)
        or not isinstance(given, numbers.Real)
        or {"bound", "point"} & set(axes)
    ):
        what = "nothing" if given is None else repr(given)
        found.add(path, f"found {what}; accepted: {_accepted(parameter)}")
        return
    _check_number(float(given), parameter, path, found)


def _all_accepted(given: tuple[Given, ...], parameter: Parameter, axes: tuple[str, ...]) -> bool:
    """Whether a list holds floats alone, each within bounds; a law may have thousands of them."""
    if "bound" in axes or "point" in axes:
        return False
    lower = -math.inf if parameter.lower is None else parameter.lower
    upper = math.inf if parameter.upper is None else parameter.upper
    return all(
        isinstance(item, float) and lower <= item <= upper and math.isfinite(item) for item in given
    )


def _walk_mapping(
    given: Mapping[str, Given],
    parameter: Parameter,
    axes: tuple[str, ...],
    labels: Labels,
    path: str,
    found: Findings,
) -> None:
    usable = [axis for axis in axes if axis not in (*FREE_LENGTH, "bound")]
    if not usable:
        found.add(path, f"found a table; accepted: {_accepted(parameter)}")
        return
    axis = axis_of(given, usable, labels)
    known = labels[axis]
    rest = tuple(other for other in axes if other != axis)
    for key, item in given.items():
        if key not in known:
            everything = [label for other in usable for label in labels[other]]
            message = f"no {axis} is named {key!r}; {suggest(key, everything)}"
            found.add(label_path(path, key), message)
        else:
            _walk(item, parameter, rest, labels, label_path(path, key), found)
    missing = [label for label in known if label not in given]
    if missing and parameter.fill is None:
        found.add(path, f"no value for {axis} {', '.join(missing)}; give one for each {axis}")


def _check_number(value: float, parameter: Parameter, path: str, found: Findings) -> None:
    lower, upper = parameter.lower, parameter.upper
    if not math.isfinite(value):
        found.add(path, f"found {value}; accepted: {_accepted(parameter)}")
    elif upper and upper < value <= 100 and parameter.unit.startswith(_QUESTIONED):
        found.add(
            path,
            f"found {value:g}, which is {value * 100:g} %; did you mean {value / 100:g}? "
            f"accepted: {_accepted(parameter)}",
        )
    elif (lower is not None and value < lower) or (upper is not None and value > upper):
        found.add(path, f"found {value:g}; accepted: {_accepted(parameter)}")


def _accepted(parameter: Parameter) -> str:
    lower, upper = parameter.lower, parameter.upper
    if lower is not None and upper is not None:
        bounds = f" from {lower:g} to {upper:g}"
    elif lower is not None:
        bounds = f" of at least {lower:g}"
    elif upper is not None:
        bounds = f" of at most {upper:g}"
    else:
        bounds = ""
    axes = [axis for axis in parameter.all_axes if axis not in (*FREE_LENGTH, "bound")]
    by = f", or one for each {' and '.join(axes)}" if axes else ""
    if parameter.sequence == "age":
        by = ", or a list by age"
    if parameter.sequence == "point":
        by = ": a list, one for each point"
    if parameter.sequence == "bound":
        by = ": a list of two, the 10 % and the 90 % point"
    return f"a number{bounds} ({parameter.unit}){by}"


def _check_reference(
    value: Any, info: FieldInfo, reference: Reference, path: str, scope: Scope, found: Findings
) -> None:
    if value is None:
        if info.required:
            found.add(path, f"missing; accepted: the name of a {reference.to}")
        return
    known = scope.names.get(reference.to, ())
    many = reference.many
    if many and (isinstance(value, str) or not isinstance(value, Iterable)):
        found.add(path, f"found {value!r}; accepted: a list of names of {reference.to}s")
        return
    for name in value if many else (value,):
        if name not in known:
            found.add(path, f"no {reference.to} is named {name!r}; {suggest(name, known)}")
    if many and len(set(value)) < len(value):
        found.add(path, "the same name stands twice")


def _check_plain(value: Any, info: FieldInfo, path: str, found: Findings) -> None:
    choices = literals(info.type)
    if choices:
        if value not in choices and not (value is None and not info.required):
            what = "missing" if value is None else f"found {value!r}"
            hint = (
                suggest(value, choices) if value is not None else f"accepted: {', '.join(choices)}"
            )
            if takes_law(info.type):
                hint += ", or a law with numbers of its own"
                if value in LAWS:
                    hint += f': write law = {{ kind = "{value}", ... }}'
            found.add(path, f"{what}; {hint}")
        return
    accepted = plain_types(info.type)
    # a datetime is a date to Python, but the two cannot be compared
    if accepted and (not isinstance(value, accepted) or isinstance(value, datetime.datetime)):
        what = "missing" if value is None else f"found {value!r}"
        found.add(path, f"{what}; accepted: {_words(accepted)}")
    elif info.type == tuple[str, ...] and not all(isinstance(item, str) for item in value):
        found.add(path, f"found {list(value)!r}; accepted: a list of words")


def takes_law(hint: Any) -> bool:
    """Return whether a type accepts a law with numbers of its own."""
    if hint is AbstractLaw:
        return True
    return any(takes_law(part) for part in typing.get_args(hint))


def literals(hint: Any) -> tuple[str, ...]:
    """Return the words a type accepts, if it is a choice of words."""
    if typing.get_origin(hint) is typing.Literal:
        return typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return tuple(word for part in typing.get_args(hint) for word in literals(part))
    return ()


def plain_types(hint: Any) -> tuple[type, ...]:
    """Return the classes a type accepts, ``None`` included; nothing where anything goes."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return tuple(kind for part in typing.get_args(hint) for kind in plain_types(part))
    if origin is not None:
        return (origin,) if isinstance(origin, type) else ()
    return (hint,) if isinstance(hint, type) else ()


_WORDS = {
    str: "text",
    bool: "true or false",
    datetime.date: "a date such as 2018-04-01",
    tuple: "a list",
    type(None): "nothing",
}


def _words(accepted: tuple[type, ...]) -> str:
    return " or ".join(
        _WORDS.get(kind, f"a table ({kind.__name__})")
        for kind in accepted
        if kind is not type(None)
    )
