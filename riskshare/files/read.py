"""From the tables of a file to declared objects: one walk for every class, led by declarations.

Whatever cannot be taken as it stands is noted and gets a stand-in that the check of the case stops
at too, so that all other problems are still found.
"""

import datetime
import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from riskshare.checks.given import literals, suggest
from riskshare.contract.term import TERMS, AbstractTerm
from riskshare.errors import Problem
from riskshare.files.schema import (
    accepted,
    declared_class,
    file_fields,
    found_given,
    is_named,
    plain_type,
    shape_of,
)
from riskshare.laws.marginal import LAWS, AbstractLaw
from riskshare.parameters import Declared, FieldInfo, Given, Items, Parameter

_LARGEST = 10**300


@dataclass
class Reader:
    """Reads declared objects and collects what is wrong with their shape."""

    problems: list[Problem] = field(default_factory=list)
    unsure: set[str] = field(default_factory=set)
    """Names of items that are there but could not be read in full."""
    hurt: set[str] = field(default_factory=set)
    """Paths of fields that a misspelt key may have meant."""

    def add(self, path: str, message: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(path, message))

    def fields(
        self, cls: type, raw: Mapping[str, Any], path: str, given: tuple[str, ...] = ()
    ) -> Any:
        """Return the constructor arguments of a class; ``given`` are keys settled elsewhere."""
        known = {key: info for key, info in file_fields(cls).items() if key not in given}
        for key in raw:
            if key not in known:
                self._unknown(key, cls, path, tuple(known))
        arguments = {}
        for key, info in known.items():
            at = f"{path}.{key}" if path else key
            if key in raw:
                arguments[info.name] = self._value(info, raw[key], at, path)
            elif info.required and at in self.hurt:
                arguments[info.name] = _stand_in(info)
            elif info.required:
                self.add(at, f"missing; accepted: {accepted(info)}")
                arguments[info.name] = _stand_in(info)
        return arguments

    def _unknown(self, key: str, cls: type, path: str, known: tuple[str, ...]) -> None:
        at = f"{path}.{key}" if path else key
        if key == "name" and is_named(cls):
            self.add(at, "the name is the key of the table; leave it out")
        elif key != "kind" or not issubclass(cls, (AbstractTerm, AbstractLaw)):
            self.add(at, f"found an unknown key; {suggest(key, known)}")
            near = difflib.get_close_matches(key, known, n=1)
            self.hurt |= {f"{path}.{word}" if path else word for word in near}

    def _value(self, info: FieldInfo, raw: Any, path: str, parent: str) -> Any:
        shape = shape_of(info)
        if shape == "given":
            return self._given(info, raw, path)
        if shape in ("named", "list"):
            return self._items(info, raw, path, parent)
        if shape == "table" and isinstance(raw, Mapping):
            cls = cast(type[Declared], declared_class(info.type))
            return cls(**self.fields(cls, raw, path))
        if shape == "law" and isinstance(raw, Mapping):
            return self._law(info, raw, path)
        if shape == "notes" and isinstance(raw, Mapping):
            return self._notes(raw, path)
        worded = shape in ("name", "choice") or (shape == "law" and bool(literals(info.type)))
        fits = isinstance(raw, str) if worded else False
        if shape in ("names", "words"):
            fits = isinstance(raw, list) and all(isinstance(item, str) for item in raw)
        elif shape == "value":
            fits = type(raw) is plain_type(info)
        if fits:
            return raw
        self.add(path, f"found {_words(raw)}; accepted: {accepted(info)}")
        return _stand_in(info)

    def _law(self, info: FieldInfo, raw: Mapping[str, Any], path: str) -> Any:
        kind = raw.get("kind")
        cls = LAWS.get(kind) if isinstance(kind, str) else None
        if cls is None:
            what = "missing" if kind is None else f"found {_words(kind)}"
            own = literals(info.type)
            if kind in own:
                hint = f'write law = "{kind}", its numbers beside it'
            else:
                near = difflib.get_close_matches(str(kind), LAWS, n=1)
                lead = f"did you mean {near[0]!r}? " if near else ""
                hint = f"{lead}accepted: {', '.join(sorted(LAWS))}"
            self.add(f"{path}.kind", f"{what}; {hint}")
            return _stand_in(info)
        return cls(**self.fields(cls, raw, path))

    def _given(self, info: FieldInfo, raw: Any, path: str) -> Given:
        parameter = cast(Parameter, info.declaration)
        good = True

        def walk(value: Any, labels: tuple[str, ...]) -> Given:
            nonlocal good
            if isinstance(value, Mapping):
                return {key: walk(item, (*labels, key)) for key, item in value.items()}
            if isinstance(value, list):
                return [walk(item, (*labels, str(i))) for i, item in enumerate(value)]
            if isinstance(value, int) and abs(value) > _LARGEST:
                return math.inf
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                good = False
                at = f"{path}[{','.join(labels)}]" if labels else path
                self.add(at, found_given(value, parameter, path))
            return value

        given = walk(raw, ())
        return given if good else _stand_in(info)

    def _notes(self, raw: Mapping[str, Any], path: str) -> dict[str, str]:
        for key, note in raw.items():
            if isinstance(note, Mapping):
                self.add(
                    f"{path}.{key}", 'found a table; accepted: text, the whole path in "quotes"'
                )
            elif not isinstance(note, str):
                self.add(f"{path}.{key}", f"found {_words(note)}; accepted: text")
        return {key: note for key, note in raw.items() if isinstance(note, str)}

    def _items(self, info: FieldInfo, raw: Any, path: str, parent: str) -> tuple[Any, ...]:
        cls = cast(type[Declared], declared_class(info.type))
        prefix = info.declaration.prefix if isinstance(info.declaration, Items) else None
        lead = parent if prefix == "" else ".".join(part for part in (parent, prefix) if part)
        if shape_of(info) == "named":
            if not isinstance(raw, Mapping):
                self.add(path, f"found {_words(raw)}; accepted: a table of tables by name")
                return ()
            return tuple(
                self._item(cls, value, f"{lead}.{name}" if lead else name, name)
                for name, value in raw.items()
            )
        if not isinstance(raw, list):
            self.add(path, f"found {_words(raw)}; accepted: a list of tables")
            return ()
        found = []
        for i, value in enumerate(raw):
            at = f"{path}[{i}]"
            if not isinstance(value, Mapping):
                self.add(at, f"found {_words(value)}; accepted: a table")
            elif issubclass(cls, AbstractTerm):
                found += self._term(value, at, lead)
            else:
                found.append(cls(**self.fields(cls, value, at)))
        return tuple(found)

    def _item(self, cls: type[Declared], raw: Any, path: str, name: str) -> Declared:
        before = len(self.problems)
        if not isinstance(raw, Mapping):
            self.add(path, f"found {_words(raw)}; accepted: a table")
            required = [i for i in file_fields(cls).values() if i.required and i.name != "name"]
            fields = {info.name: _stand_in(info) for info in required}
        else:
            fields = self.fields(cls, raw, path, given=("name",))
        if len(self.problems) > before:
            self.unsure.add(name)
        return cls(**{"name": name, **fields})

    def _term(self, raw: Mapping[str, Any], path: str, contract: str) -> list[Declared]:
        kind, name = raw.get("kind"), raw.get("name")
        label = next((word for word in (name, kind) if isinstance(word, str) and word), "")
        cls = TERMS.get(kind) if isinstance(kind, str) else None
        if cls is None:
            at = f"{contract}.{name}" if isinstance(name, str) and name else path
            what = "missing" if kind is None else f"found {_words(kind)}"
            hint = (
                suggest(kind, sorted(TERMS))
                if kind is not None
                else f"accepted: {', '.join(sorted(TERMS))}"
            )
            self.add(f"{at}.kind", f"{what}; {hint}")
            self.unsure |= {label, *difflib.get_close_matches(str(kind), TERMS, n=1)}
            return []
        before = len(self.problems)
        term = cls(**self.fields(cls, raw, f"{contract}.{label}"))
        if len(self.problems) > before:
            self.unsure.add(label)
        return [term]


def _stand_in(info: FieldInfo) -> Any:
    """Return what stands for a value that could not be read; the case's check stops at it."""
    shape = shape_of(info)
    if shape == "choice" or (shape == "law" and literals(info.type)):
        return ""
    if not info.required:
        return info.default
    if shape in ("names", "words", "named", "list"):
        return ()
    return "" if shape == "name" or (shape == "value" and plain_type(info) is str) else None


def _words(value: Any) -> str:
    """Return a value of a file as a person would call it."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:56]} ..."
