"""Writing a case: into the text of its own file where it has one, so that comments stay."""

import contextlib
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tomlkit.exceptions import TOMLKitError

from riskshare.case import Case
from riskshare.errors import ArgumentError, CaseError
from riskshare.files.atomic import replacing
from riskshare.files.columns import Column, column_text, find_column, flattened, nested
from riskshare.files.document import fresh, updated
from riskshare.files.load import TABLES, read_case
from riskshare.files.plain import plain_fields, to_plain
from riskshare.files.read import Reader
from riskshare.files.text import Table, UnreadableError, format_table, parse_table, read_text
from riskshare.system import SYSTEM_FIELDS

Plain = dict[str, Any]


@dataclass(frozen=True)
class _Files:
    """What a case is written as: the case file and its CSV tables by name."""

    text: str
    tables: Mapping[str, str]


def save_case(case: Case, path: str | os.PathLike[str]) -> None:
    """Write a case so that `riskshare.load_case` reads an equal one.

    A case that came from a file keeps its comments, its layout and whatever did not change; rows
    that came from a CSV table go into a table of the same name beside ``path``. Nothing is written
    unless what would be written reads back equal, and then all of it or nothing.

    Parameters
    ----------
    case
        The case.
    path
        Where it goes; an existing file is replaced.

    Raises
    ------
    ArgumentError
        If the place cannot be written, if the case cannot be said in a file, or if a new case file
        would change a CSV table that is already there.
    """
    files = _files_of(case)
    folder = Path(path).parent
    for name, text in files.tables.items():
        if not Path(path).exists() and (folder / name).exists() and _text(folder / name) != text:
            raise ArgumentError(
                f"{path}: {name} beside it is the table of another case; save into another folder"
            )
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(replacing(path))
        temporary.write_text(files.text, encoding="utf-8", newline="")
        for name, text in files.tables.items():
            temporary = stack.enter_context(replacing(folder / name))
            temporary.write_text(text, encoding="utf-8", newline="")


def _files_of(case: Case) -> _Files:
    """Return the first way of writing a case that reads back equal, the most faithful first."""
    ways: list[Callable[[Case], _Files]] = [_in_place, lambda at: _Files(fresh(to_plain(at)), {})]
    for way in ways if case.origin.text else ways[1:]:
        try:
            files = way(case)
            again = read_case(files.text, "", files.tables.__getitem__)
        except (CaseError, TOMLKitError, ValueError, KeyError, TypeError, IndexError):
            continue  # tomlkit refuses some layouts, and a value may not fit into a cell
        if again == case:
            return files
    raise ArgumentError(f"the case {case.name!r} cannot be written so that it reads back equal")


def _in_place(case: Case) -> _Files:
    origin = case.origin
    raw = tomllib.loads(origin.text)
    named = raw.pop(TABLES, {})
    reader = Reader()
    old = plain_fields(Case, reader.fields(Case, raw, "")) | ({TABLES: named} if named else {})
    new = to_plain(case)
    tables, left = {}, dict(named)
    for section, name, names in origin.tables:
        items = new.get(section, {})
        rows = _from_first(items, names)
        if not rows:
            left.pop(section, None)
            continue
        new[section] = {key: item for key, item in items.items() if key not in rows}
        if not new[section]:
            del new[section]
        source = Path(origin.path).parent / name
        tables[name] = _table_text(section, rows, source, case.currency)
    if left:
        new[TABLES] = left
    return _Files(updated(origin.text, old, new), tables)


def _from_first(items: Plain, names: tuple[str, ...]) -> Plain:
    """Return the items from the first that came from the table: rows follow the file's own."""
    order = list(items)
    start = min((order.index(name) for name in names if name in items), default=len(order))
    return {name: items[name] for name in order[start:]}


def _table_text(section: str, rows: Plain, source: Path, currency: str) -> str:
    """Return a table in the order of its old header; cells that did not change stay as written."""
    cls = SYSTEM_FIELDS[section]
    old, line_end = _old_table(source)
    columns = {
        text: found
        for text in old.header
        if isinstance(found := find_column(cls, text, currency), Column)
    }
    before = {row.cells.get("name", ""): row.cells for row in old.rows}
    texts = {column.keys: text for text, column in columns.items()} or {("name",): "name"}
    lines = []
    for name, item in rows.items():
        cells = dict(flattened({"name": name, **item}, cls))
        for keys in cells:
            texts.setdefault(keys, column_text(keys, cls))
        lines.append((name, item, cells))
    written = []
    for name, item, cells in lines:
        was = before.get(name, {})
        if _item_of(section, name, nested(was, columns)[0]) == item:
            written.append([was.get(text, "") for text in texts.values()])
        else:
            written.append(
                [
                    _kept(was.get(text, ""), cells.get(keys, ""), columns.get(text))
                    for keys, text in texts.items()
                ]
            )
    return format_table(texts.values(), written, line_end)


def _kept(was: str, now: str, column: Column | None) -> str:
    """Return the old cell where it says the same as the new one."""
    same = column is not None and was and now and column.parse(was) == column.parse(now)
    return was if same else now


def _item_of(section: str, name: str, raw: Plain) -> Plain | None:
    raw.pop("name", None)
    reader = Reader()
    read = plain_fields(
        Case, {section: reader.fields(Case, {section: {name: raw}}, "").get(section)}
    )
    return None if reader.unsure else read[section][name]


def _text(path: Path) -> str:
    try:
        return read_text(path, "a CSV table")
    except UnreadableError:
        return ""


def _old_table(source: Path) -> tuple[Table, str]:
    text = _text(source)
    return parse_table(text)[0], "\r\n" if "\r\n" in text else "\n"
