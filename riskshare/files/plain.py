"""A case as plain dictionaries and lists in the shape of its file."""

from collections.abc import Mapping
from typing import Any

from riskshare.contract.term import AbstractTerm
from riskshare.files.schema import file_fields, shape_of
from riskshare.laws.marginal import AbstractLaw
from riskshare.parameters import Declared


def to_plain(node: Declared) -> dict[str, Any]:
    """Return a case, or any part of it, as a file holds it: defaults left out, items by name.

    Examples
    --------
    >>> from riskshare.system import Partner
    >>> to_plain(Partner(name="acute", kind="provider"))
    {'name': 'acute', 'kind': 'provider'}
    """
    values = {info.name: getattr(node, info.name) for info in file_fields(type(node)).values()}
    kind = {"kind": node.kind} if isinstance(node, (AbstractTerm, AbstractLaw)) else {}
    return kind | plain_fields(type(node), values)


def plain_fields(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a class, given by attribute name, as a file holds them."""
    found = {}
    for key, info in file_fields(cls).items():
        value = values.get(info.name)
        if value is None or (not info.required and value == info.default):
            continue
        if shape_of(info) == "named":
            found[key] = {item.name: _unnamed(item) for item in value}
        else:
            found[key] = _plain(value)
    return found


def _unnamed(item: Any) -> dict[str, Any]:
    return {key: value for key, value in to_plain(item).items() if key != "name"}


def _plain(value: Any) -> Any:
    if isinstance(value, Declared):
        return to_plain(value)
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value
