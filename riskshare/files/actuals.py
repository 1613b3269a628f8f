"""What happened, from CSV tables: a row for each line and year, and for each driver and year."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.case import Case
from riskshare.checks.given import suggest
from riskshare.errors import ArgumentError, ExperienceError, Problem
from riskshare.files.atomic import replacing
from riskshare.files.numbers import PLAN_INDEX, NumberError, read_number, refusal, shown
from riskshare.files.text import Row, Table, UnreadableError, format_table, parse_table, read_text
from riskshare.names import DRIVER, LINE, PARTNER, POPULATION, STATE, YEAR, members_name

_VALUES = ("activity", "unit_cost", "case_mix", "cost")
_AXIS = {"driver_index": DRIVER, "members": POPULATION, "quality": PARTNER}
_UNITS = {
    "activity": "units",
    "unit_cost": "money per unit",
    "case_mix": PLAN_INDEX,
    "cost": "money",
    "members": "members",
    "quality": "share",
}
_UNKNOWN = ", or a blank cell where it is not known"
_BLANK = {"cost": ", or a blank cell to take the cost model"}


def read_actuals(
    case: Case,
    path: str | os.PathLike[str],
    drivers: str | os.PathLike[str] | None = None,
) -> xr.Dataset:
    """Read what happened in past years, for `riskshare.settle`.

    Parameters
    ----------
    case
        The case whose lines, years and drivers the tables speak of.
    path
        A CSV table with the columns ``line``, ``year``, ``activity`` (units) and, as wanted,
        ``unit_cost`` (full cost of a case-mix unit at baseline volume), ``case_mix`` (1 = plan)
        and ``cost`` (money, in place of the cost model). A blank cell is not known. Numbers may be
        written as spreadsheets write them where they can mean one thing only: ``"12,345"``,
        ``£5``, ``(3)``, and of indices ``103%``.
    drivers
        A CSV table with the columns ``variable`` (``driver_index``, ``members`` or ``quality``),
        ``name`` (of the driver, population or partner), ``year`` and ``value``.

    Returns
    -------
    xarray.Dataset
        The variables given, on (year, line), (year, driver), (year, population) and (year,
        partner), over all labels of the case; what is not given is NaN.

    Raises
    ------
    ExperienceError
        With every problem of the tables, by row. Lines without a row are left to `settle`.
    """
    sheets = [_Sheet.read(path, ("line", "year", "activity"), _VALUES[1:], case.currency)]
    variables = _line_variables(case, sheets[0])
    if drivers is not None:
        needed = ("variable", "name", "year", "value")
        sheets.append(_Sheet.read(drivers, needed, (), case.currency))
        variables |= _driver_variables(case, sheets[1])
    _raise(sheets)
    labels = {**case.labels(), DRIVER: _driver_names(case)}
    used = {dim for dims, _ in variables.values() for dim in dims}
    return xr.Dataset(variables, {dim: list(labels[dim]) for dim in labels if dim in used})


def read_opening(path: str | os.PathLike[str], currency: str | None = None) -> xr.DataArray:
    """Read balances carried into the first settled year, for ``settle(..., opening=...)``.

    Parameters
    ----------
    path
        A CSV table with the columns ``state`` (its name), ``value`` and, where it should be
        checked to be the year before, ``year`` (whose close it is).
    currency
        That of the case, which marks such as ``£`` must agree with; without one they are refused.

    Returns
    -------
    xarray.DataArray
        Balances on (state), with the coordinate ``year`` where the table has one.

    Raises
    ------
    ExperienceError
        With every problem of the table, by row.
    """
    sheet = _Sheet.read(path, ("state", "value"), ("year",), currency, balances=True)
    years: dict[str, int] = {}
    found: dict[str, float] = {}
    seen: dict[tuple[str, ...], int] = {}
    for row in sheet.table.rows:
        name = row.cells["state"]
        if not name:
            sheet.add(row, "state", "is blank; accepted: the name of a balance")
        elif sheet.first(row, (name,), seen):
            if row.cells["value"]:
                found[name] = sheet.number(row, "value", _balance_unit(name), lower=None)
            else:
                sheet.add(row, "value", "is blank; accepted: a number")
        years.setdefault(row.cells.get("year") or "", row.number)
        if len(years) > 1:
            sheet.add(row, "year", "differs from the rows above; accepted: one year for all")
    _raise([sheet])
    opening = xr.DataArray(list(found.values()), {STATE: list(found)}, (STATE,))
    year = next(iter(years), "")
    return opening.assign_coords({YEAR: year}) if year else opening


def write_closing(result: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Write the balances carried out of the last settled year, as `read_opening` reads them.

    Parameters
    ----------
    result
        What `riskshare.settle` returned for actuals.
    path
        The CSV table to write.

    Raises
    ------
    ArgumentError
        If the result is of draws, which carry no balances out.
    """
    rows: list[tuple[str, str, str]] = []
    if "closing" in result:
        last = result["closing"].isel({YEAR: -1})
        rows = [
            (
                str(name),
                str(last[YEAR].item()),
                repr(float(last.sel({STATE: name}).values.ravel()[0])),
            )
            for name in last[STATE].values
        ]
    elif result.sizes.get("sample", 1) > 1:
        raise ArgumentError(
            "only a settlement of actuals has closing balances; this one is of draws"
        )
    with replacing(path) as temporary:
        temporary.write_text(
            format_table(("state", "year", "value"), rows), encoding="utf-8", newline=""
        )


@dataclass
class _Sheet:
    """A CSV table and what is wrong with it."""

    source: str
    currency: str | None
    """That of the case, where it is known."""
    balances: bool
    """Whether it holds balances, of which there may be none and none may be blank."""
    table: Table = field(default_factory=Table)
    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def read(
        cls,
        path: str | os.PathLike[str],
        needed: tuple[str, ...],
        optional: tuple[str, ...],
        currency: str | None,
        balances: bool = False,
    ) -> "_Sheet":
        """Read a table and check its columns."""
        sheet = cls(str(path), currency, balances)
        wanted = ", ".join(needed) + (f" and optionally {', '.join(optional)}" if optional else "")
        try:
            text = read_text(Path(path), f"a CSV table with the columns {wanted}")
        except UnreadableError as error:
            sheet.problems.append(Problem("", str(error)))
            return sheet
        table, sheet.problems = parse_table(text)
        unknown = [name for name in table.header if name not in (*needed, *optional)]
        for name in unknown:
            hint = suggest(name, (*needed, *optional))
            sheet.problems.append(Problem("row 1", f"found an unknown column {name!r}; {hint}"))
        missing = [name for name in needed if name not in table.header] if table.header else []
        for name in missing:
            sheet.problems.append(
                Problem("row 1", f"the column {name!r} is missing; accepted: {wanted}")
            )
        if missing:
            return sheet
        sheet.table = table
        if not balances and not table.rows and not sheet.problems:
            sheet.problems.append(
                Problem(
                    "",
                    "the table has no rows; accepted: one for each "
                    + ("line and year" if "line" in needed else "driver and year"),
                )
            )
        return sheet

    def add(self, row: Row, column: str, message: str) -> None:
        """Note a problem of a cell."""
        self.problems.append(Problem(f"row {row.number}, {column}", message))

    def label(self, row: Row, column: str, known: tuple[str, ...], what: str = "") -> str | None:
        """Return the label in a cell, or None where it is unknown."""
        name = row.cells[column]
        if name in known:
            return name
        self.add(row, column, f"no {what or column} is named {name!r}; {suggest(name, known)}")
        return None

    def first(self, row: Row, key: tuple[str, ...], seen: dict[tuple[str, ...], int]) -> bool:
        """Return whether a row is the first of its kind."""
        if key in seen:
            words = ", ".join(repr(part) for part in key)
            self.problems.append(
                Problem(
                    f"row {row.number}",
                    f"{words} stands twice, first in row {seen[key]}; accepted: one row",
                )
            )
            return False
        seen[key] = row.number
        return True

    def number(self, row: Row, column: str, unit: str, lower: float | None = 0.0) -> float:
        """Return the number in a cell; NaN where it is blank or not read."""
        cell = row.cells.get(column, "")
        if not cell:
            return math.nan
        accepted = "a number" if lower is None else f"a number of at least {lower:g}"
        try:
            value = read_number(cell, unit, self.currency)
        except NumberError as error:
            blank = "" if self.balances else _BLANK.get(column, _UNKNOWN)
            self.add(row, column, refusal(cell, str(error), f"{accepted}{blank}"))
            return math.nan
        if lower is not None and value < lower:
            self.add(row, column, f"found {shown(value)}; accepted: {accepted}")
        return value


Variables = dict[str, tuple[tuple[str, str], NDArray[np.float64]]]


def _line_variables(case: Case, sheet: _Sheet) -> Variables:
    years, lines = case.labels()[YEAR], case.labels()[LINE]
    names = [name for name in _VALUES if name in sheet.table.header]
    values = {name: np.full((len(years), len(lines)), np.nan) for name in names}
    seen: dict[tuple[str, ...], int] = {}
    for row in sheet.table.rows:
        line, year = sheet.label(row, LINE, lines), sheet.label(row, YEAR, years)
        numbers = {name: sheet.number(row, name, _UNITS[name]) for name in names}
        if line is not None and year is not None and sheet.first(row, (line, year), seen):
            for name, value in numbers.items():
                values[name][years.index(year), lines.index(line)] = value
    return {
        name: ((YEAR, LINE), array)
        for name, array in values.items()
        if name == "activity" or not np.isnan(array).all()
    }


def _driver_variables(case: Case, sheet: _Sheet) -> Variables:
    labels: Mapping[str, tuple[str, ...]] = {**case.labels(), DRIVER: _driver_names(case)}
    found: Variables = {}
    seen: dict[tuple[str, ...], int] = {}
    for row in sheet.table.rows:
        variable = sheet.label(row, "variable", tuple(_AXIS))
        year = sheet.label(row, YEAR, labels[YEAR])
        if variable is None:
            continue  # what its value should be is not known
        value = sheet.number(row, "value", _measure_unit(variable, row.cells["name"]))
        axis = _AXIS[variable]
        name = sheet.label(row, "name", labels[axis], axis)
        if name is None or year is None or not sheet.first(row, (variable, name, year), seen):
            continue
        empty = np.full((len(labels[YEAR]), len(labels[axis])), np.nan)
        _, array = found.setdefault(variable, ((YEAR, axis), empty))
        array[labels[YEAR].index(year), labels[axis].index(name)] = value
    return found


def _measure_unit(variable: str, name: str) -> str:
    """Return the unit of a row of drivers: ``delivery[x]`` may be small, ``delay[x]`` is years."""
    if variable != "driver_index":
        return _UNITS[variable]
    if name.startswith("delay["):
        return "years"
    return "index" if name.endswith("]") else PLAN_INDEX


def _balance_unit(name: str) -> str:
    """Return the unit of a balance by its name, as `riskshare.run.carried` gives them."""
    if not name.startswith("cost."):
        return "money"
    steps = name.partition("[")[0].endswith("_steps")
    return "count" if steps else "share of baseline"


def _driver_names(case: Case) -> tuple[str, ...]:
    """Return what ``driver_index`` may speak of: drivers, deliveries and delays."""
    people = {members_name(population.name) for population in case.members}
    return tuple(name for name in case.indices() if name not in people)


def _raise(sheets: list[_Sheet]) -> None:
    wrong = [sheet for sheet in sheets if sheet.problems]
    if len(wrong) == 1:
        raise ExperienceError(wrong[0].problems, wrong[0].source)
    if wrong:
        raise ExperienceError(
            Problem(
                f"{sheet.source}: {problem.path}" if problem.path else sheet.source, problem.message
            )
            for sheet in wrong
            for problem in sheet.problems
        )
