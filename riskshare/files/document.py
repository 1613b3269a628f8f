"""The text of a case file, changed only where the case changed.

`tomlkit` keeps comments and layout. What a case says is compared with what its file said, as plain
dictionaries; only what differs is touched.
"""

import difflib
import tomllib
from collections.abc import Mapping, MutableMapping
from typing import Any

import tomlkit
from tomlkit.items import AoT, Array, Float, InlineTable, Integer, Item, Table, Trivia

from riskshare.system import SYSTEM_FIELDS

Path = tuple[str, ...]

_NOTES = ("assumptions", "sources", "tables")


def fresh(plain: Mapping[str, Any]) -> str:
    """Return a new case file."""
    document = tomlkit.document()
    for key, value in sorted(
        plain.items(), key=lambda item: _kind((item[0],), item[1]) != "inline"
    ):
        document.append(key, _made((key,), value))
    return tomlkit.dumps(document)


def updated(text: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return a case file's text after what it says changed from ``old`` to ``new``."""
    if _same(old, new):
        return text
    document = tomlkit.parse(text)
    _update(document, old, new, ())
    return _respaced(text, tomlkit.dumps(document))


def _respaced(before: str, after: str) -> str:
    """Return a text with the old spacing of lines that say the same (tomlkit trims after dates)."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    said, says = (["".join(line.split()) for line in lines] for lines in (old, new))
    for start, at, size in difflib.SequenceMatcher(None, said, says, False).get_matching_blocks():
        new[at : at + size] = old[start : start + size]
    respaced = "".join(new)
    return respaced if tomllib.loads(respaced) == tomllib.loads(after) else after


def _kind(path: Path, value: Any) -> str:
    """Return how a value stands in a new file: super, table, array (of tables) or inline."""
    listed = isinstance(value, list) and bool(value) and isinstance(value[0], dict)
    if path == ("correlations",) or (path[0] == "contracts" and path[2:] == ("terms",)):
        return "array" if listed else "inline"
    if not isinstance(value, dict):
        return "inline"
    if path[0] in (*_NOTES, "dependence") and len(path) == 1:
        return "table"
    if path[0] in (*SYSTEM_FIELDS, "contracts") and len(path) <= 2:
        return "super" if len(path) == 1 else "table"
    if path[0] == "contracts" and path[2:3] == ("budgets",):
        return ("super", "table", "inline")[min(len(path) - 3, 2)]
    return "inline"


def _made(path: Path, value: Any) -> Item:
    kind = _kind(path, value)
    if kind in ("super", "table"):
        table = tomlkit.table(is_super_table=kind == "super")
        for key, inner in sorted(
            value.items(), key=lambda item: _made_apart((*path, item[0]), item[1])
        ):
            table.append(key, _made((*path, key), inner))
        return table
    if kind == "array":
        array = tomlkit.aot()
        for inner in value:
            array.append(_table(inner))
        return array
    return _inline(value)


def _made_apart(path: Path, value: Any) -> bool:
    return _kind(path, value) != "inline"


def _table(value: Mapping[str, Any]) -> Table:
    table = tomlkit.table()
    for key, inner in value.items():
        table.append(key, _inline(inner))
    return table


def _inline(value: Any) -> Item:
    if isinstance(value, dict):
        table = tomlkit.inline_table()
        for key, inner in value.items():
            table.append(key, _inline(inner))
        return table
    if isinstance(value, list):
        array = tomlkit.array()
        for inner in value:
            array.append(_inline(inner))
        return array
    if isinstance(value, str) and "\n" in value and not value.startswith("\n"):
        return tomlkit.string(value, multiline=True)
    return tomlkit.item(value)


def _like(old: Any, value: Any) -> Item:
    """Return a changed value, a number in the writing of the old one: 40_000 becomes 41_000."""
    if isinstance(old, Integer) and isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(old, (Integer, Float)) and "_" in old.as_string():
        if isinstance(value, int) and not isinstance(value, bool):
            return Integer(value, Trivia(), f"{value:_}")
        if isinstance(value, float):
            return Float(value, Trivia(), f"{value:_}")
    return _inline(value)


def _update(
    node: MutableMapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any], path: Path
) -> None:
    for key in old:
        if key not in new and key in node:
            del node[key]
    kept = [key for key in old if key in new]
    if kept != [key for key in new if key in old] or list(new)[: len(kept)] != kept:
        _reorder(node, new, path)
    for key, value in new.items():
        if key in old and _same(old[key], value):
            continue
        at = (*path, key)
        there = node.get(key)
        if there is None:
            node[key] = _added(node, at, value)
        elif isinstance(value, dict) and isinstance(there, MutableMapping):
            _update(there, _mapping(old.get(key)), value, at)
        elif isinstance(there, AoT) and _identities(old[key]) == _identities(value):
            for table, before, after in zip(there, old[key], value, strict=True):
                _update(table, before, after, at)
        elif isinstance(there, AoT):
            node[key] = _array_of_tables(there, old[key], value, at)
        elif isinstance(there, Array) and isinstance(value, list) and len(there) == len(value):
            _update_array(there, old.get(key, []), value, at)
        else:
            node[key] = _like(there, value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _same(old: Any, new: Any) -> bool:
    """Return whether nothing changed, the order of named things included."""
    if isinstance(old, dict) and isinstance(new, dict):
        return list(old) == list(new) and all(_same(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    return bool(old == new) and isinstance(old, bool) == isinstance(new, bool)


def _added(node: Any, path: Path, value: Any) -> Item:
    siblings = list(node.values())
    inline = isinstance(node, InlineTable) or any(
        isinstance(item, InlineTable) for item in siblings
    )
    return _inline(value) if inline and path[-1] not in ("budgets", "terms") else _made(path, value)


def _reorder(node: MutableMapping[str, Any], new: Mapping[str, Any], path: Path) -> None:
    """Put named items into their new order; the order of other keys says nothing."""
    named = path in {(section,) for section in (*SYSTEM_FIELDS, "contracts")} or path[2:] == (
        "budgets",
    )
    if not named:
        return
    items = {key: node[key] for key in list(node)}
    for key in items:
        del node[key]
    for key, value in new.items():
        node[key] = items[key] if key in items else _added(node, (*path, key), value)


def _array_of_tables(there: AoT, old: list[Any], new: list[Any], path: Path) -> AoT:
    """Match tables by name or kind, so that those that stay keep their comments."""
    left = dict(zip(_identities(old), zip(list(there), old, strict=True), strict=True))
    array = tomlkit.aot()
    for identity, value in zip(_identities(new), new, strict=True):
        if identity in left:
            table, before = left.pop(identity)
            _update(table, before, value, (*path, identity))
            array.append(table)
        else:
            array.append(_table(value))
    return array


def _identities(tables: list[Any]) -> list[str]:
    seen: dict[str, int] = {}
    found = []
    for table in tables:
        word = str(table.get("name") or table.get("kind") or table.get("between"))
        seen[word] = seen.get(word, 0) + 1
        found.append(f"{word}#{seen[word]}")
    return found


def _update_array(there: Array, old: list[Any], new: list[Any], path: Path) -> None:
    for i, value in enumerate(new):
        before = old[i] if i < len(old) else None
        if _same(before, value):
            continue
        if isinstance(there[i], MutableMapping) and isinstance(value, dict):
            _update(there[i], _mapping(before), value, (*path, str(i)))
        else:
            there[i] = _like(there[i], value)
