"""Reading a case: a TOML file, the CSV tables it names, and everything that is wrong with them."""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from riskshare.case import Case, Origin
from riskshare.checks.given import suggest
from riskshare.errors import CaseError, Problem
from riskshare.files.bundled import FOLDER, case_names
from riskshare.files.columns import Column, find_column, nested
from riskshare.files.consequences import follows, within
from riskshare.files.read import Reader
from riskshare.files.schema import file_fields
from riskshare.files.text import Table, UnreadableError, parse_table, read_text
from riskshare.system import SYSTEM_FIELDS

TABLES = "tables"
"""The section of a case file that names its CSV tables."""

_OUTSIDE = re.compile(r"lines\.[^.]+\.(deliverer|payer)")
"""Lines with an unknown partner: no contract can tell whether they are in its scope."""
_AT = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")


def load_case(source: str | os.PathLike[str]) -> Case:
    """Read a case.

    Parameters
    ----------
    source
        The name of a bundled case (`riskshare.case_names`) or the path of a TOML file. CSV tables
        that it names under ``[tables]`` lie beside it.

    Returns
    -------
    Case
        The case; `riskshare.save_case` writes it back with the comments of its file.

    Raises
    ------
    CaseError
        With every problem of the file, one line each: ``file: path: what was found, what is
        accepted``.

    Examples
    --------
    >>> load_case("msk-toy").number("msk.pool.share[acute]")
    0.4
    """
    path = _find(source)
    try:
        text = read_text(path, "a case in TOML")
    except UnreadableError as error:
        raise CaseError([Problem("", str(error))], str(path)) from None
    return read_case(text, str(path), lambda name: read_text(path.parent / name, "a CSV table"))


def _find(source: str | os.PathLike[str]) -> Path:
    path = Path(source)
    if not isinstance(source, str) or path.suffix == ".toml" or len(path.parts) > 1:
        return path
    names = case_names()
    if source in names:
        return FOLDER / f"{source}.toml"
    if path.exists() and source:
        return path
    hint = suggest(source, names) + ", or the path of a TOML file"
    raise CaseError([Problem("", f"no case is named {source!r}; {hint}")])


def read_case(text: str, source: str, open_table: Callable[[str], str]) -> Case:
    """Return the case that a text holds; ``open_table`` gives the text of a CSV table by name."""
    raw = parse_toml(text, source)
    reader = Reader()
    currency = raw.get("currency", "GBP")
    tables = _Tables(reader, open_table, currency if isinstance(currency, str) else None)
    whole = tables.added(raw)
    arguments = reader.fields(Case, whole, "", given=(TABLES,))
    origin = Origin(source, text, tuple(tables.found))
    problems = list(reader.problems)
    case = None
    try:
        case = Case(**arguments, origin=origin)
    except CaseError as error:
        lines = [problem.path for problem in error.problems if _OUTSIDE.fullmatch(problem.path)]
        reader.unsure |= {path.split(".")[1] for path in lines}
        hurt = reader.hurt | {found.path.partition("[")[0] for found in reader.problems}
        problems += [
            problem
            for problem in error.problems
            if not follows(problem, hurt, tables.broken, reader.unsure)
        ]
        problems = problems or list(error.problems)
    if problems or case is None:
        raise CaseError([tables.located(problem) for problem in problems], source) from None
    return case


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """Return the tables of a TOML text; a mistake is shown with its line and column."""
    try:
        raw = tomllib.loads(text)
    except RecursionError:
        raise CaseError([Problem("", "is nested too deeply for a case")], source) from None
    except ValueError as error:
        message = str(error)
        at = _AT.search(message)
        lines = text.splitlines() or [""]
        line, column = (at[1], at[2]) if at and at[1] else (len(lines), len(lines[-1]) + 1)
        where = f"line {line}, column {column}"
        raise CaseError([Problem(where, f"is not TOML: {_AT.sub('', message)}")], source) from None
    if not raw:
        wanted = ", ".join(file_fields(Case))
        raise CaseError([Problem("", f"the file is empty; accepted: a case with {wanted}")], source)
    return raw


@dataclass
class _Tables:
    """The CSV tables of a case file: their rows join the tables of their section."""

    reader: Reader
    open_table: Callable[[str], str]
    currency: str | None
    found: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    """Sections of which rows are missing because their table could not be read."""
    rows: dict[str, str] = field(default_factory=dict)
    """File and row of the items that came from a table, by path."""

    def added(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Return the tables of a file with the rows of its CSV tables among them."""
        whole = {key: value for key, value in raw.items() if key != TABLES}
        named = raw.get(TABLES, {})
        if not isinstance(named, dict):
            self.reader.add(
                TABLES, 'found no table; accepted: section = file name, as in lines = "lines.csv"'
            )
            return whole
        taken: set[str] = set()
        for section, name in named.items():
            path = f"{TABLES}.{section}"
            if section not in SYSTEM_FIELDS:
                self.reader.add(
                    path, f"found an unknown section; {suggest(section, SYSTEM_FIELDS)}"
                )
            elif not isinstance(name, str) or not name or Path(name).name != name or name in taken:
                self.broken.add(section)
                self.reader.add(
                    path,
                    f"found {name!r}; accepted: the name of a CSV file beside this one, used once",
                )
            else:
                taken.add(name)
                self._add(section, name, whole)
        return whole

    def _add(self, section: str, name: str, whole: dict[str, Any]) -> None:
        path = f"{TABLES}.{section}"
        try:
            table, problems = parse_table(self.open_table(name))
        except UnreadableError as error:
            table, problems = Table(), [Problem("", str(error))]
        columns = {}
        cls = SYSTEM_FIELDS[section]
        for text in table.header:
            column = find_column(cls, text, self.currency)
            if isinstance(column, Column):
                columns[text] = column
            else:
                problems.append(Problem("row 1", f"the column {text!r} {column}"))
        if table.header and "name" not in columns:
            problems.append(Problem("row 1", "the column 'name' is missing; it names the items"))
        for problem in problems:
            where = ", ".join(part for part in (name, problem.path) if part)
            self.reader.add(path, f"{where}: {problem.message}")
        if problems:
            self.broken.add(section)
        if "name" in columns and isinstance(whole.get(section, {}), dict):
            self._add_rows(section, name, table, columns, whole)

    def _add_rows(
        self,
        section: str,
        name: str,
        table: Table,
        columns: dict[str, Column],
        whole: dict[str, Any],
    ) -> None:
        items = dict(whole.get(section, {}))
        own = []
        for row in table.rows:
            where = f"{name}, row {row.number}"
            item, doubled = nested(row.cells, columns)
            label = item.pop("name", "")
            path = f"{section}.{label}"
            if not label:
                self.reader.add(
                    f"{TABLES}.{section}", f"{where}: the name is blank; accepted: text"
                )
                continue
            if label in items:
                first = self.rows.get(path, "in the case file")
                self.reader.add(
                    path, f"the name stands twice: {first} and {where}; names are unique"
                )
                self.reader.unsure.add(label)
                continue
            self.rows[path] = where
            for text in doubled:
                self.reader.add(path, f"the column {text!r} says again what another says; fill one")
            items[label] = item
            own.append(label)
        whole[section] = items
        self.found.append((section, name, tuple(own)))

    def located(self, problem: Problem) -> Problem:
        """Return a problem with the file and row of the item it is about."""
        for path, where in self.rows.items():
            if where not in problem.message and within(problem.path, path):
                return Problem(problem.path, f"{problem.message} ({where})")
        return problem
