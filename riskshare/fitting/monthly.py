"""Monthly counts of activity: reading the two published layouts, and refusing series with holes.

First step of fitting: `MonthlyCounts` and its rows go to `fit_activity` and `fit_annual_level`.
"""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskshare.errors import ArgumentError, Problem
from riskshare.files.numbers import NumberError, read_number
from riskshare.files.text import Row, Table, parse_table

Months = NDArray[np.datetime64]
Counts = NDArray[np.float64]


@dataclass(frozen=True)
class MonthlyCounts:
    """Counts by organisation and month, NaN where an organisation returned nothing.

    Parameters
    ----------
    organisations
        Codes, in the order of the rows.
    months
        Consecutive months, ``datetime64[M]``.
    counts
        Activity, shape ``(organisation, month)``.
    """

    organisations: tuple[str, ...]
    months: Months
    counts: Counts

    def of(self, organisation: str) -> Counts:
        """Return the series of one organisation, shape ``(month,)``."""
        if organisation not in self.organisations:
            raise ArgumentError(
                f"organisation: {organisation!r} is not among the {len(self.organisations)} "
                "that were read; give one of `organisations`"
            )
        series: Counts = self.counts[self.organisations.index(organisation)]
        return series

    def select(self, organisations: Sequence[str]) -> "MonthlyCounts":
        """Return the named organisations only, in the order given."""
        rows = [self.of(organisation) for organisation in organisations]
        return MonthlyCounts(
            tuple(organisations), self.months, np.array(rows).reshape(-1, self.months.size)
        )

    def complete(self) -> "MonthlyCounts":
        """Return the organisations with a positive count in every month."""
        return self.select([name for name in self.organisations if (self.of(name) > 0).all()])


def read_ae_attendances(path: str | Path, types: Sequence[str] = ("1",)) -> MonthlyCounts:
    """Read A&E attendances by provider and month, the given department types added up.

    The layout is ``period,org_code,type,attendances,...`` with ``period`` the first of the month
    (YYYY-MM-DD) and ``type`` one of 1, 2, other; a name ending in ``.gz`` is decompressed.

    Parameters
    ----------
    path
        The CSV file.
    types
        Department types that are added. An organisation that returns some of them in a month has
        zero of the others; one that returns none has NaN.

    Returns
    -------
    MonthlyCounts
        Organisations in alphabetical order, from the first to the last month of the file.
    """
    types = (types,) if isinstance(types, str) else tuple(types)
    cells: dict[tuple[str, str, str], float] = {}
    periods: set[str] = set()
    problems: list[Problem] = []
    for row in _table(path, ("period", "org_code", "type", "attendances")).rows:
        period = row.cells["period"][:7]
        periods.add(period)
        if row.cells["type"] not in types:
            continue
        key = (row.cells["org_code"], period, row.cells["type"])
        if key in cells:
            message = f"{key} stands twice; keep one row for each provider, month and type"
            problems.append(Problem(f"row {row.number}", message))
        cells[key] = _count(row, "attendances", problems)
    _raise(path, problems)
    absent = set(types) - {kind for _, _, kind in cells}
    if absent or not cells:
        raise ArgumentError(
            f"{path}: no row has the type {', '.join(sorted(absent))}; give types that the file "
            "holds"
        )
    months = np.arange(
        np.datetime64(min(periods), "M"), np.datetime64(max(periods), "M") + np.timedelta64(1, "M")
    )
    organisations = tuple(sorted({organisation for organisation, _, _ in cells}))
    counts = np.full((len(organisations), months.size), np.nan)
    row_of = {organisation: row for row, organisation in enumerate(organisations)}
    column_of = {str(month): column for column, month in enumerate(months)}
    for (organisation, period, _), value in cells.items():
        at = row_of[organisation], column_of[period]
        counts[at] = value if np.isnan(counts[at]) else counts[at] + value
    return MonthlyCounts(organisations, months, counts)


def read_monthly_total(path: str | Path) -> tuple[Counts, Months]:
    """Read one series: a ``month`` column (YYYY-MM) and the count in the column after it.

    Returns
    -------
    counts, months
        In the order of the file; `fit_activity` refuses gaps.
    """
    counts, months = [], []
    problems: list[Problem] = []
    table = _table(path, ("month",))
    column = next((name for name in table.header if name != "month"), "")
    if not column:
        raise ArgumentError(f"{path}: no column besides month; give one with the counts")
    for row in table.rows:
        counts.append(_count(row, column, problems))
        months.append(np.datetime64(row.cells["month"][:7], "M"))
    _raise(path, problems)
    return np.array(counts), np.array(months, dtype="datetime64[M]")


def validated(counts: ArrayLike, months: ArrayLike, minimum: int) -> tuple[Counts, Months]:
    """Return counts and months as arrays, or say which month is missing or which count is wrong.

    Fractional counts pass, because published series hold interpolated months.
    """
    values = np.asarray(counts, dtype=np.float64)
    stamps = np.asarray(months).astype("datetime64[M]")
    if values.ndim != 1 or values.shape != stamps.shape:
        raise ArgumentError(
            f"counts and months: found shapes {values.shape} and {stamps.shape}; give two "
            "one-dimensional sequences of one length"
        )
    if values.size < minimum:
        raise ArgumentError(
            f"counts: {values.size} months; at least {minimum} are needed to tell the season "
            "from the trend"
        )
    gap = np.flatnonzero(np.diff(stamps).astype(int) != 1)
    if gap.size:
        here = stamps[gap[0]]
        raise ArgumentError(
            f"months: {here} is followed by {stamps[gap[0] + 1]} where {here + 1} is due; give "
            "each month once, in order, or fit the part of the series before or after the gap"
        )
    wrong = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if wrong.size:
        raise ArgumentError(
            f"counts: {values[wrong[0]]} in {stamps[wrong[0]]}; a count is finite and not "
            "negative: complete the month, or fit the part of the series without it"
        )
    return values, stamps


def _table(path: str | Path, needed: Sequence[str]) -> Table:
    data = Path(path).read_bytes()
    text = (gzip.decompress(data) if str(path).endswith(".gz") else data).decode("utf-8-sig")
    table, problems = parse_table(text)
    _raise(path, problems)
    absent = [name for name in needed if name not in table.header]
    if absent:
        raise ArgumentError(
            f"{path}: no column {', '.join(absent)}; the header is {', '.join(table.header)}"
        )
    return table


def _count(row: Row, column: str, problems: list[Problem]) -> float:
    """Return the count in a cell; NaN, and a problem, where it is not read as one."""
    cell = row.cells[column]
    try:
        return read_number(cell, "count")
    except NumberError as error:
        reason = f"; {error}" if str(error) else ""
        message = f"{cell!r} is not a number{reason}; give a count"
        problems.append(Problem(f"row {row.number}, {column}", message))
        return np.nan


def _raise(path: str | Path, problems: Sequence[Problem]) -> None:
    if problems:
        raise ArgumentError("\n".join(f"{path}: {problem}" for problem in problems))
