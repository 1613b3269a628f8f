"""What a declared class looks like in a file: its keys, and the shape of what stands under each."""

import datetime
import typing
from typing import Any, Literal, TypeAlias

from riskshare.case import Origin
from riskshare.checks.given import Findings, check_given, literals, plain_types, shown
from riskshare.files.numbers import Unread, hint
from riskshare.laws.marginal import LAWS, AbstractLaw
from riskshare.parameters import Declared, FieldInfo, FrozenMap, Parameter, Reference, fields_of

Shape: TypeAlias = Literal[
    "given", "name", "names", "named", "list", "table", "law", "choice", "notes", "words", "value"
]
"""``named`` is a table of tables by name, ``list`` a list of tables, ``table`` a single one;
``law`` a table with its kind, or a word where the field has words of its own."""

_PLAIN = {str: "text", bool: "true or false", datetime.date: "a date such as 2018-04-01"}
_ACCEPTED = {
    "named": "a table of tables by name",
    "list": "a list of tables",
    "table": "a table",
    "notes": "a table of texts by path",
    "words": "a list of words",
}


def file_fields(cls: type) -> dict[str, FieldInfo]:
    """Return the fields of a class by their key in a file; what is derived has none."""
    return {
        shown(info.name): info
        for info in fields_of(cls)
        if info.type is not Origin
        and not (isinstance(info.declaration, Parameter) and info.declaration.derived)
    }


def is_named(cls: type) -> bool:
    """Return whether items of a class stand in a table under their names."""
    return any(info.name == "name" and info.required for info in fields_of(cls))


def declared_class(hint: Any) -> type[Declared] | None:
    """Return the declared class that a type holds, if any."""
    if isinstance(hint, type) and issubclass(hint, Declared):
        return hint
    found = (declared_class(argument) for argument in typing.get_args(hint))
    return next((cls for cls in found if cls is not None), None)


def shape_of(info: FieldInfo) -> Shape:
    """Return the shape of a field in a file."""
    if isinstance(info.declaration, Parameter):
        return "given"
    if isinstance(info.declaration, Reference):
        return "names" if info.declaration.many else "name"
    cls = declared_class(info.type)
    if cls is AbstractLaw:
        return "law"
    if cls is not None:
        if typing.get_origin(info.type) is tuple:
            return "named" if is_named(cls) else "list"
        return "table"
    if literals(info.type):
        return "choice"
    if info.type is FrozenMap:
        return "notes"
    return "words" if typing.get_origin(info.type) is tuple else "value"


def plain_type(info: FieldInfo) -> type:
    """Return the class of a plain value: text, bool or date."""
    return next(kind for kind in plain_types(info.type) if kind is not type(None))


def accepted(info: FieldInfo) -> str:
    """Return what a field accepts, in words."""
    shape, declaration = shape_of(info), info.declaration
    if isinstance(declaration, Parameter):
        return found_given(None, declaration, "").partition("accepted: ")[2]
    if isinstance(declaration, Reference):
        to = declaration.to
        return f"a list of names of {to}s" if declaration.many else f"the name of a {to}"
    if shape == "choice":
        return ", ".join(literals(info.type))
    if shape == "law":
        table = f"a table with kind = {', '.join(sorted(LAWS))}"
        return ", ".join((*literals(info.type), table))
    return _PLAIN[plain_type(info)] if shape == "value" else _ACCEPTED[shape]


def found_given(value: object, parameter: Parameter, path: str) -> str:
    """Return what is said of a value that is no number, with the number that text may mean."""
    found = Findings()
    check_given(value.text if isinstance(value, Unread) else value, parameter, {}, path, found)
    message = found.problems[0].message
    what, _, wanted = message.rpartition("; accepted: ")
    if isinstance(value, Unread):
        why = value.reason or "a blank cell is one that is not given"
        return f"{what} in the column {value.column!r}; {why}; accepted: {wanted}"
    meant = hint(value, parameter.unit) if isinstance(value, str) else ""
    return f"{what}; {meant}; accepted: {wanted}" if meant else message
