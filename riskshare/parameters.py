"""What a number is: declared once beside the field, used by files, checks, paths and arrays.

A field such as ``rate: Annotated[Given, Parameter("share of price", axes=("line",))]`` says its
unit, its bounds and the labels it may vary by. From that one line follow the check of a file, the
path of every number (``msk.marginal-rate.rate[outpatients]``) and the array that the kernel sees.

A *given* value keeps the shape in which it was written: a number that holds for every label; a
mapping from labels of one axis to given values; or a list, one value for each year.
"""

import dataclasses
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np

Given: TypeAlias = Any
"""A number, a tuple (one entry for each year or age) or a `FrozenMap` of given values."""

Labels: TypeAlias = Mapping[str, tuple[str, ...]]
"""The labels of each axis: ``{"line": ("outpatients", ...), "year": ("2017/18", ...)}``."""


class FrozenMap(Mapping[str, Any]):
    """An immutable mapping that can be hashed, so that objects holding one stay values."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, Any] | None = None) -> None:
        self._items = dict(items or {})

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return repr(dict(sorted(self._items.items())))  # one text for equal maps

    def __reduce__(self) -> tuple[type[Self], tuple[dict[str, Any]]]:
        return type(self), (self._items,)


FREE_LENGTH = ("age", "point")
"""Sequences whose lists may have any length."""

NO_NUMBERS = FrozenMap()
"""A mapping that gives no label a number."""


@dataclass(frozen=True)
class Parameter:
    """The declaration of a number.

    Parameters
    ----------
    unit
        ``money``, ``money per unit``, ``share``, ``rate``, ``index``, ``units``, ``years``, ...
        Numbers whose unit begins with ``money`` scale with the currency.
    axes
        Axes besides ``year`` along which it may vary, in the order of the bound array.
    lower, upper
        Bounds, included.
    fill
        The value of labels that a mapping leaves out; without one, leaving a label out is an error.
    sums_to_one
        An axis over which the values must sum to one.
    sequence
        What a list runs over: ``year``; ``age`` (any length, the last entry holds for good); or
        ``point`` (any length, the points of a curve).
    by_year
        Whether it may vary by year.
    base
        What a share or rate is a share of.
    derived
        Worked out while binding; never written by a person.
    kinked
        Whether results of several years have a kink where it stands at a bound, and so no
        derivative there.
    """

    unit: str
    axes: tuple[str, ...] = ()
    lower: float | None = None
    upper: float | None = None
    fill: float | None = None
    sums_to_one: str | None = None
    sequence: str = "year"
    by_year: bool = True
    base: str = ""
    derived: bool = False
    kinked: bool = False

    @property
    def all_axes(self) -> tuple[str, ...]:
        """Axes of the bound array, the year (or age) first where there is one."""
        if self.sequence in FREE_LENGTH:
            return (self.sequence, *self.axes)
        return (("year",) if self.by_year else ()) + self.axes


@dataclass(frozen=True)
class Choice:
    """A choice of words that changes the money, and so has no default.

    Leaving it out is an error that says what each word would pay (`riskshare.checks.readings`).

    Parameters
    ----------
    meanings
        What each word means for deviations of 5 and 10 %, where a term's `pays` does not work it
        out.
    """

    meanings: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Reference:
    """A field that names other things.

    ``to`` is partner, line, driver, population, term, budget, name or year.
    """

    to: str
    many: bool = False


@dataclass(frozen=True)
class Items:
    """A field holding named items; ``prefix`` is what stands before their name in a path."""

    prefix: str


class Declared:
    """Base of every declared object: lists become tuples and dicts frozen maps, deeply."""

    def __post_init__(self) -> None:
        """Freeze what was given, so that the object is a value."""
        for field in dataclasses.fields(self):  # type: ignore[arg-type]  # subclasses are dataclasses
            object.__setattr__(self, field.name, freeze(getattr(self, field.name)))


_FROZEN = {float, int, bool, str, type(None)}


def freeze(value: Any) -> Any:
    """Return lists as tuples and dicts as frozen maps, deeply; NumPy scalars as Python's."""
    if type(value) in _FROZEN:
        return value
    if isinstance(value, (list, tuple)):
        return tuple(freeze(item) for item in value)
    if isinstance(value, Mapping):
        return FrozenMap({str(key): freeze(item) for key, item in value.items()})
    if isinstance(value, np.generic):
        return value.item()
    return value


@dataclass(frozen=True)
class FieldInfo:
    """One field of a declared class: its name, its bare type and its declaration if any."""

    name: str
    type: Any
    declaration: Parameter | Reference | Items | Choice | None
    required: bool
    default: Any


_DECLARATIONS = (Parameter, Reference, Items, Choice)
_FIELDS: dict[type, tuple[FieldInfo, ...]] = {}


def fields_of(cls: type) -> tuple[FieldInfo, ...]:
    """Return the fields of a declared class with their declarations, in order."""
    if cls not in _FIELDS:
        _FIELDS[cls] = _fields(cls)
    return _FIELDS[cls]


def declaration_of(cls: type, name: str) -> Parameter:
    """Return the declaration of a number of a declared class."""
    found = next(info.declaration for info in fields_of(cls) if info.name == name)
    if not isinstance(found, Parameter):
        raise TypeError(f"{cls.__name__}.{name} is not a number")
    return found


def _fields(cls: type) -> tuple[FieldInfo, ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    found = []
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        declaration = next((m for m in _annotations(hint) if isinstance(m, _DECLARATIONS)), None)
        required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        default = None if field.default is dataclasses.MISSING else field.default
        found.append(FieldInfo(field.name, _bare(hint), declaration, required, default))
    return tuple(found)


def _annotations(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) is typing.Annotated:
        return tuple(hint.__metadata__)
    found: list[Any] = []
    for argument in typing.get_args(hint):
        if typing.get_origin(argument) is typing.Annotated:
            found.extend(argument.__metadata__)
    return tuple(found)


def _bare(hint: Any) -> Any:
    if typing.get_origin(hint) is typing.Annotated:
        return typing.get_args(hint)[0]
    return hint


def expand(given: Given, parameter: Parameter, labels: Labels) -> np.ndarray[Any, Any]:
    """Return a given value as a float64 array over ``parameter.all_axes``.

    The value must have passed `riskshare.checks`; a label that is missing takes ``fill``.
    """
    return _expand(given, parameter, parameter.all_axes, labels)


def _expand(
    given: Given, parameter: Parameter, axes: tuple[str, ...], labels: Labels
) -> np.ndarray[Any, Any]:
    if isinstance(given, tuple):
        lead = parameter.sequence
        size = len(given) if lead == "point" else len(labels[lead])
        rest = tuple(axis for axis in axes if axis != lead)
        entries = [given[min(i, len(given) - 1)] for i in range(size)]
        parts = [_expand(entry, parameter, rest, labels) for entry in entries]
        return np.stack(parts, axis=axes.index(lead))
    if isinstance(given, Mapping):
        axis = axis_of(given, axes, labels)
        rest = tuple(other for other in axes if other != axis)
        if not labels[axis]:
            return np.zeros(tuple(len(labels[other]) for other in axes))
        parts = [
            _expand(given.get(label, parameter.fill), parameter, rest, labels)
            for label in labels[axis]
        ]
        return np.stack(parts, axis=axes.index(axis))
    return np.full(tuple(len(labels[axis]) for axis in axes), float(given))


def axis_of(given: Mapping[str, Given], axes: Sequence[str], labels: Labels) -> str:
    """Return the axis that a mapping's keys belong to; the best match where some are unknown."""
    return max(axes, key=lambda axis: sum(key in labels[axis] for key in given))


def set_label(
    given: Given, keys: tuple[str, ...], value: float, parameter: Parameter, labels: Labels
) -> Given:
    """Return ``given`` with the value at the labels ``keys`` replaced, broadened as needed.

    Raises
    ------
    KeyError
        If a label belongs to no axis of the parameter.
    """
    return _set_label(given, keys, value, parameter.all_axes, parameter.sequence, labels)


def _set_label(
    given: Given,
    keys: tuple[str, ...],
    value: float,
    axes: tuple[str, ...],
    sequence: str,
    labels: Labels,
) -> Given:
    if not keys:
        return value
    key, rest = keys[0], keys[1:]

    def inside(item: Given, left: tuple[str, ...], without: str) -> Given:
        others = tuple(axis for axis in axes if axis != without)
        return _set_label(item, left, value, others, sequence, labels)

    if isinstance(given, tuple):
        names = entry_names(given, sequence, labels)
        if key in names:
            at = names.index(key)
            return (*given[:at], inside(given[at], rest, sequence), *given[at + 1 :])
        return tuple(inside(item, keys, sequence) for item in given)
    axis = next((a for a in axes if a not in FREE_LENGTH and key in labels[a]), None)
    if isinstance(given, Mapping):
        own = axis_of(given, axes, labels)
        if own != axis:
            return FrozenMap({k: inside(item, keys, own) for k, item in given.items()})
    if axis is None:
        raise KeyError(key)
    if not isinstance(given, Mapping):
        given = FrozenMap(dict.fromkeys(labels[axis], given))
    return FrozenMap({**given, key: inside(given.get(key), rest, axis)})


def entry_names(given: tuple[Given, ...], sequence: str, labels: Labels) -> tuple[str, ...]:
    """Return the labels of a list's entries: years, bounds, or ages counted from 0."""
    if sequence in FREE_LENGTH:
        return tuple(map(str, range(len(given))))
    return labels[sequence]


def label_path(path: str, label: str) -> str:
    """Return the path of one label of a given value: ``rate[up]``, then ``rate[up,2017/18]``."""
    return f"{path[:-1]},{label}]" if path.endswith("]") else f"{path}[{label}]"


def numbers_in(given: Given, path: str, labels: Labels, sequence: str) -> Iterator[tuple[str, Any]]:
    """Yield ``(path, number)`` for every number of a given value, labels in brackets."""
    if isinstance(given, float):
        yield path, given
    elif isinstance(given, tuple):
        names = entry_names(given, sequence, labels)
        for name, item in zip(names, given, strict=False):
            yield from numbers_in(item, label_path(path, name), labels, sequence)
    elif isinstance(given, Mapping):
        for key, item in given.items():
            yield from numbers_in(item, label_path(path, key), labels, sequence)
    elif given is not None:
        yield path, given


def split_path(path: str) -> tuple[str, tuple[str, ...]]:
    """Split ``a.b[c,d]`` at the last bracket into ``a.b`` and ``("c", "d")``."""
    if not path.endswith("]") or "[" not in path:
        return path, ()
    head, _, inner = path[:-1].rpartition("[")
    return head, tuple(part.strip() for part in inner.split(","))


def rebuild(node: Any, prefix: str, change: Callable[[str, Given, Parameter, Any], Given]) -> Any:
    """Return a copy of a declared object in which ``change`` has replaced given values.

    ``change(path, given, parameter, owner)`` is called for every declared number; objects below
    which nothing changes are returned as they are.
    """
    replaced = {}
    for info in fields_of(type(node)):
        value = getattr(node, info.name)
        new = _rebuild_field(value, info, prefix, node, change)
        if new is not value:
            replaced[info.name] = new
    return dataclasses.replace(node, **replaced) if replaced else node


def _rebuild_field(
    value: Any, info: FieldInfo, prefix: str, owner: Any, change: Callable[..., Given]
) -> Any:
    path = f"{prefix}.{info.name}" if prefix else info.name
    if value is None:
        return value
    if isinstance(info.declaration, Parameter):
        derived = info.declaration.derived
        return value if derived else change(path, value, info.declaration, owner)
    if isinstance(value, Declared):
        return rebuild(value, path, change)
    if isinstance(value, tuple) and value and isinstance(value[0], Declared):
        items = tuple(
            rebuild(item, item_path(prefix, info, item, i), change) for i, item in enumerate(value)
        )
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    return value


def item_path(prefix: str, info: FieldInfo, item: Any, index: int) -> str:
    """Return the path of one item of a field that holds several."""
    if isinstance(info.declaration, Items):
        lead = ".".join(part for part in (prefix, info.declaration.prefix) if part)
        name = getattr(item, "label", "") or getattr(item, "name", "") or str(index)
        return f"{lead}.{name}" if lead else name
    return f"{prefix}.{info.name}[{index}]" if prefix else f"{info.name}[{index}]"


def field_paths(node: Any, prefix: str = "") -> Iterator[str]:
    """Yield the path of every field of a declared object, of what it holds, and of its items."""
    for info in fields_of(type(node)):
        value = getattr(node, info.name)
        path = ".".join(part for part in (prefix, info.name.rstrip("_")) if part)
        if isinstance(value, tuple) and value and isinstance(value[0], Declared):
            if not isinstance(info.declaration, Items):
                yield path
            for i, item in enumerate(value):
                below = item_path(prefix, info, item, i)
                yield below
                yield from field_paths(item, below)
        else:
            yield path
            if isinstance(value, Declared):
                yield from field_paths(value, path)
