"""Rows of a CSV table as the tables of a case file, and back.

A column is a field (``price``), a field of a nested table (``cost.variable``), or one label of a
number (``loadings.demand`` or ``expected[2018/19]``). A blank cell is not given; lists are
separated by ``;``, with one at the end where the list has a single entry. Numbers are written as
`riskshare.files.numbers` reads them.
"""

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from riskshare.checks.given import suggest
from riskshare.files.numbers import NumberError, Unread, read_number
from riskshare.files.schema import declared_class, file_fields, plain_type, shape_of
from riskshare.parameters import FieldInfo, Parameter, split_path
from riskshare.system import Delay

_SEPARATOR = ";"


@dataclass(frozen=True)
class Column:
    """Where the cells of a column go, and what they hold.

    Parameters
    ----------
    text
        Its header.
    keys
        The keys from the item down, the labels last.
    info
        The field.
    unit
        What a number in it is, as `riskshare.parameters.Parameter` has it.
    currency
        That of the case, which marks in cells of money must agree with; without one they are
        refused.
    """

    text: str
    keys: tuple[str, ...]
    info: FieldInfo
    unit: str = ""
    currency: str | None = None

    def parse(self, cell: str) -> Any:
        """Return a cell as the value a TOML file would hold; text where it is no such value.

        What should be a number and is not read as one is an `Unread`.
        """
        shape = shape_of(self.info)
        if shape == "given":
            several = _SEPARATOR in cell
            return [self._number(part) for part in _parts(cell)] if several else self._number(cell)
        if shape in ("names", "words"):
            return _parts(cell)
        if shape == "value" and plain_type(self.info) is bool:
            return {"true": True, "false": False}.get(cell.lower(), cell)
        if shape == "value" and plain_type(self.info) is datetime.date:
            try:
                return datetime.date.fromisoformat(cell)
            except ValueError:
                return cell
        return cell

    def _number(self, cell: str) -> float | Unread:
        try:
            value = read_number(cell, self.unit, self.currency)
        except NumberError as error:
            return Unread(cell, self.text, str(error))
        # whole numbers stay exact, as those of a case file do
        return int(cell) if cell.lstrip("+-").isdigit() else value


def find_column(cls: type, text: str, currency: str | None = None) -> Column | str:
    """Return the column that a header names, or what is wrong with it.

    ``currency`` is that of the case; without one, cells with a mark of currency are not read.
    """
    head, labels = split_path(text)
    parts = head.split(".")
    for depth, part in enumerate(parts):
        known = file_fields(cls)
        before = "".join(f"{name}." for name in parts[:depth])
        info = known.get(part)
        if info is None:
            return f"unknown; {suggest(text, tuple(before + key for key in known))}"
        shape, rest = shape_of(info), (*parts[depth + 1 :], *labels)
        if shape == "table":
            cls = declared_class(info.type) or cls
            continue
        if shape in ("named", "list", "notes") or (shape == "law" and rest):
            return "cannot stand in a CSV table; give it in the case file"
        if rest and shape != "given":
            return f"unknown; accepted: {before}{part}"
        return Column(text, (*parts[: depth + 1], *rest), info, _unit_of(cls, info), currency)
    inner = ", ".join(f"{head}.{key}" for key in file_fields(cls))
    return f"is a table of its own; accepted: {inner}"


def _unit_of(cls: type, info: FieldInfo) -> str:
    """Return the unit of a field; a delay is an index in years, of which 50% may mean anything."""
    if not isinstance(info.declaration, Parameter):
        return ""
    return "years" if issubclass(cls, Delay) else info.declaration.unit


def nested(
    cells: Mapping[str, str], columns: Mapping[str, Column]
) -> tuple[dict[str, Any], list[str]]:
    """Return a row as nested tables, and the columns that contradict another."""
    row: dict[str, Any] = {}
    doubled = []
    for text, column in columns.items():
        cell = cells.get(text, "")
        if not cell:
            continue
        at = row
        for key in column.keys[:-1]:
            inner = at.setdefault(key, {})
            if not isinstance(inner, dict):
                inner = {}  # a whole value and its labels are both given
                doubled.append(text)
            at = inner
        if column.keys[-1] in at:
            doubled.append(text)
        at[column.keys[-1]] = column.parse(cell)
    return row, doubled


def flattened(plain: Mapping[str, Any], cls: type) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the keys and the cell of every value of an item.

    Raises
    ------
    ValueError
        If a value does not fit into a cell.
    """
    for key, value in plain.items():
        info = file_fields(cls)[key]
        if shape_of(info) == "table":
            inner = declared_class(info.type) or cls
            yield from (((key, *keys), cell) for keys, cell in flattened(value, inner))
        elif shape_of(info) == "law" and isinstance(value, dict):
            raise ValueError("a law with numbers of its own does not fit into a cell")
        else:
            yield from (((key, *keys), cell) for keys, cell in _cells(value))


def _cells(value: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict) and value:
        for label, item in value.items():
            yield from (((label, *keys), cell) for keys, cell in _cells(item))
    elif isinstance(value, list) and value and not any(isinstance(i, (list, dict)) for i in value):
        end = _SEPARATOR if len(value) == 1 else ""
        yield (), _SEPARATOR.join(_cell(item) for item in value) + end
    else:
        yield (), _cell(value)


def _cell(value: Any) -> str:
    if isinstance(value, (list, dict)) or value == "":
        raise ValueError("does not fit into a cell")
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, (int, float)) else str(value)


def column_text(keys: tuple[str, ...], cls: type) -> str:
    """Return the header of a new column: fields dotted, labels in brackets."""
    names: list[str] = []
    for depth, key in enumerate(keys):
        info = file_fields(cls)[key]
        names.append(key)
        if shape_of(info) != "table":
            labels = keys[depth + 1 :]
            return ".".join(names) + (f"[{','.join(labels)}]" if labels else "")
        cls = declared_class(info.type) or cls
    return ".".join(names)


def _parts(cell: str) -> list[str]:
    """Return the entries of a list; a separator at the end makes a list of a single one."""
    return [part.strip() for part in cell.removesuffix(_SEPARATOR).split(_SEPARATOR)]
