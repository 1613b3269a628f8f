"""A CSV table of data to fit: which column is what, and its numbers as spreadsheets write them."""

import gzip
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from riskshare.checks.given import suggest
from riskshare.errors import ArgumentError, Problem
from riskshare.files.numbers import NumberError, read_number
from riskshare.files.text import Row, UnreadableError, parse_table, read_text
from riskshare.fitting.monthly import MonthlyCounts

Floats = NDArray[np.float64]

AMOUNTS = ("amount", "amounts", "paid", "cost", "total_cost", "unit_cost", "loss", "claim_amount")
COUNTS = (
    "count",
    "counts",
    "activity",
    "attendances",
    "admissions",
    "appointments",
    "spells",
    "events",
    "claims",
)
PERIODS = ("period", "month", "date")
EXPOSURES = ("exposure", "members", "population", "person_years", "beds")
WEIGHTS = ("weight", "weights")
GROUPS = ("org_code", "organisation", "provider", "trust", "line", "service", "group")
"""Names by which columns are known, in any case, with spaces or underscores."""

_ACCEPTED = "a CSV table with a header row"
_MOST_PROBLEMS = 5
_MONTH = re.compile(r"(\d{4})-(\d{2})(?:-\d{2})?(?:[T ].*)?")


@dataclass(frozen=True)
class DataTable:
    """Columns by name, and rows with the numbers that a spreadsheet shows.

    Parameters
    ----------
    path
        The file, as errors name it.
    header
        Column names.
    rows
        The rows.
    currency
        Whose mark amounts may carry; None allows no marks.
    """

    path: str
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    currency: str | None = None

    def known(self, names: Collection[str]) -> str | None:
        """Return the first column with one of these names, or nothing."""
        plain = {name.strip().lower().replace(" ", "_"): name for name in self.header}
        return next((plain[name] for name in names if name in plain), None)

    def check(self, column: str) -> str:
        """Return a column's name, or say which there are."""
        if column not in self.header:
            raise ArgumentError(
                f"{self.path}: no column {column!r}; {suggest(column, self.header)}"
            )
        return column

    def numbers(self, column: str, unit: str, lowest: float = 0.0) -> Floats:
        """Return a column's numbers.

        Parameters
        ----------
        column
            Its name.
        unit
            ``money`` or ``count``, as `riskshare.files.numbers.read_number` has it.
        lowest
            Smallest number accepted.

        Raises
        ------
        ArgumentError
            Naming the first rows that hold no number, or one below `lowest`.
        """
        values = np.empty(len(self.rows))
        problems = []
        for place, row in enumerate(self.rows):
            cell = row.cells[self.check(column)]
            try:
                values[place] = read_number(cell, unit, self.currency)
                if values[place] >= lowest:
                    continue
                reason = f"{lowest:g} or more is accepted; net recoveries off their claim"
            except NumberError as error:
                reason = str(error) or "a number is accepted; complete the cell or drop the row"
            problems.append(Problem(f"row {row.number}, {column}", f"found {cell!r}; {reason}"))
        if problems:
            told = "\n".join(f"{self.path}: {problem}" for problem in problems[:_MOST_PROBLEMS])
            more = len(problems) - _MOST_PROBLEMS
            raise ArgumentError(told + (f"\n{self.path}: and {more} more" if more > 0 else ""))
        return values

    def months(self, column: str) -> NDArray[np.datetime64]:
        """Return a column of months, written YYYY-MM or YYYY-MM-DD."""
        found = []
        for row in self.rows:
            match = _MONTH.fullmatch(row.cells[self.check(column)])
            if not match or not 1 <= int(match[2]) <= 12:
                raise ArgumentError(
                    f"{self.path}: row {row.number}, {column}: found {row.cells[column]!r}; "
                    "accepted: a month as 2018-04 or its first day as 2018-04-01"
                )
            found.append(f"{match[1]}-{match[2]}")
        return np.array(found, dtype="datetime64[M]")

    def groups(self, column: str) -> Mapping[str, "DataTable"]:
        """Return the rows of each value of a column, in the order in which they appear."""
        rows: dict[str, list[Row]] = {}
        for row in self.rows:
            rows.setdefault(row.cells[self.check(column)], []).append(row)
        return {
            name: DataTable(self.path, self.header, tuple(found), self.currency)
            for name, found in rows.items()
        }

    def monthly(self, period: str, column: str) -> tuple[Floats, NDArray[np.datetime64], int]:
        """Return counts by month, the months, and how many rows were added to another."""
        stamps, values = self.months(period), self.numbers(column, "count")
        months, place = np.unique(stamps, return_inverse=True)
        return (
            np.asarray(np.bincount(place, values), np.float64),
            months,
            int(values.size - months.size),
        )

    def panel(self, by: str, period: str, column: str) -> MonthlyCounts:
        """Return counts by group and month, NaN where a group has no row."""
        stamps = self.months(period)
        months = np.arange(stamps.min(), stamps.max() + np.timedelta64(1, "M"))
        series = []
        groups = self.groups(by)
        for table in groups.values():
            counts, own, _ = table.monthly(period, column)
            row = np.full(months.size, np.nan)
            row[(own - months[0]).astype(int)] = counts
            series.append(row)
        return MonthlyCounts(tuple(groups), months, np.array(series))


def read_table(path: str | Path, currency: str | None = None) -> DataTable:
    """Read a CSV table; a name ending in ``.gz`` is decompressed.

    Raises
    ------
    ArgumentError
        A file that is missing, not text or no table, or one without rows.
    """
    try:
        if str(path).endswith(".gz") and Path(path).is_file():
            text = gzip.decompress(Path(path).read_bytes()).decode("utf-8-sig")
        else:
            text = read_text(Path(path), _ACCEPTED)
    except (UnreadableError, OSError, EOFError, UnicodeDecodeError) as error:
        raise ArgumentError(f"{path}: {error}") from None
    table, problems = parse_table(text)
    if problems:
        raise ArgumentError("\n".join(f"{path}: {found}" for found in problems[:_MOST_PROBLEMS]))
    if not table.rows:
        raise ArgumentError(f"{path}: a header and no rows; accepted: {_ACCEPTED} and data")
    return DataTable(str(path), table.header, table.rows, currency)


def chosen(table: DataTable, given: str | None, names: Sequence[str], what: str) -> str:
    """Return the column that was named, the one known by its name, or the only one there is."""
    found = table.check(given) if given is not None else table.known(names)
    others = [name for name in table.header if name != table.known(PERIODS)]
    if found is None and names in (AMOUNTS, COUNTS) and len(others) == 1:
        return others[0]
    if found is None:
        raise ArgumentError(
            f"{table.path}: no column is known to hold {what} ({', '.join(names)}); name it, one "
            f"of {', '.join(table.header)}"
        )
    return found
