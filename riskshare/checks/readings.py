"""Choices that change the money: what each reading would pay, for whoever left one out."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from riskshare.checks.given import Findings, literals
from riskshare.contract.term import AbstractTerm
from riskshare.parameters import (
    Choice,
    Declared,
    FieldInfo,
    Labels,
    Parameter,
    expand,
    fields_of,
)

DEVIATIONS = (-0.10, -0.05, 0.05, 0.10)
"""Deviations at which readings are compared, as shares of a term's base."""

_Place = tuple[str | int, ...]


def check_readings(term: AbstractTerm, path: str, labels: Labels, found: Findings) -> None:
    """Note every choice of a term that was left out, with what each reading would pay."""
    missing = list(_missing(term, ()))
    for place, info in missing:
        declaration = info.declaration
        assert isinstance(declaration, Choice)
        words = literals(info.type)
        told = []
        for word in words:
            chosen = _chosen(term, place, word)
            for other, other_info in missing:
                if other != place:
                    chosen = _chosen(chosen, other, literals(other_info.type)[0])
            told.append(_told(chosen, word, labels, declaration))
        found.add(
            f"{path}.{_shown(place)}",
            f"missing; it changes what is paid, so it has no default. {'; '.join(told)}",
        )


def _told(term: AbstractTerm, word: str, labels: Labels, choice: Choice) -> str:
    """Return one reading in words and numbers."""
    if choice.meanings is not None:
        return f"{word!r} {choice.meanings[word]}"
    paid = _paid(term, labels)
    if paid is None:
        return repr(word)
    at = ", ".join(f"{100 * d:+g} %" for d in DEVIATIONS)
    amounts = ", ".join(f"{amount:.4g}" for amount in paid)
    return f"{word!r} pays {amounts} at {at} of a base of 100"


def _paid(term: AbstractTerm, labels: Labels) -> Any:
    """Return what a term pays per 100 of its base, or None where it cannot be said."""
    try:
        deviation = 100.0 * jnp.array([DEVIATIONS])
        paid = _sliced(term, labels).pays(deviation, jnp.array([[100.0]]))
        return None if paid is None else np.ravel(np.asarray(paid)) + 0.0
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None  # another field is at fault, and reported on its own


def _sliced(node: Any, labels: Labels) -> Any:
    """Return a declared object with its numbers as arrays of the first year."""
    changed: dict[str, Any] = {}
    for info in fields_of(type(node)):
        value = getattr(node, info.name)
        if value is None:
            continue
        if isinstance(info.declaration, Parameter) and not info.declaration.derived:
            array = expand(value, info.declaration, labels)
            dated = "year" in info.declaration.all_axes
            changed[info.name] = jnp.asarray(array[0] if dated else array)
        elif isinstance(value, Declared):
            changed[info.name] = _sliced(value, labels)
        elif isinstance(value, tuple) and value and isinstance(value[0], Declared):
            changed[info.name] = tuple(_sliced(item, labels) for item in value)
    return _plain_replace(node, changed)


def _plain_replace(node: Any, changed: dict[str, Any]) -> Any:
    """Replace fields without freezing arrays into tuples."""
    new = object.__new__(type(node))
    for field in dataclasses.fields(node):
        object.__setattr__(new, field.name, changed.get(field.name, getattr(node, field.name)))
    return new


def _missing(node: Any, place: _Place) -> Iterator[tuple[_Place, FieldInfo]]:
    for info in fields_of(type(node)):
        value = getattr(node, info.name)
        here = (*place, info.name)
        if isinstance(info.declaration, Choice) and value is None:
            yield here, info
        elif isinstance(value, Declared):
            yield from _missing(value, here)
        elif isinstance(value, tuple):
            for i, item in enumerate(value):
                if isinstance(item, Declared):
                    yield from _missing(item, (*here, i))


def _chosen(node: Any, place: _Place, word: str) -> Any:
    """Return a declared object in which the choice at a place is made."""
    first, rest = place[0], place[1:]
    if isinstance(first, int):
        return (*node[:first], _chosen(node[first], rest, word), *node[first + 1 :])
    inner = word if not rest else _chosen(getattr(node, first), rest, word)
    return dataclasses.replace(node, **{first: inner})


def _shown(place: _Place) -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")
