"""Long tables of many rows: CSV, parquet, data frames and mappings as columns of arrays."""

import importlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskshare.checks.given import suggest
from riskshare.errors import ArgumentError, ExperienceError, Problem
from riskshare.files.text import UnreadableError, parse_table, read_text


@dataclass(frozen=True)
class LongTable:
    """A long table: its columns, and the number that each row has for a reader."""

    name: str
    columns: Mapping[str, NDArray[Any]]
    first: int
    """Number of the first row: 2 in a sheet with a header, 0 in an array."""

    @classmethod
    def read(cls, source: Any, names: Mapping[str, str]) -> "LongTable":
        """Read a table and give its columns the names that riskshare has for them."""
        if isinstance(source, str | os.PathLike):
            path = Path(source)
            parquet = path.suffix.lower() in (".parquet", ".pq")
            columns = _parquet(path) if parquet else _csv(path)
            name, first = str(source), 0 if parquet else 2
        else:
            columns, name, first = _frame(source), "", 0
        for wanted, own in names.items():
            if own not in columns:
                known = tuple(columns)
                raise ExperienceError(
                    [Problem(wanted, f"no column is named {own!r}; {suggest(own, known)}")], name
                )
            columns[wanted] = columns.pop(own)
        return cls(name, columns, first)

    def place(self, row: Any) -> str:
        """Return how a reader finds a row."""
        return f"row {int(row) + self.first}"

    def fail(self, problems: list[Problem]) -> None:
        """Raise what is wrong, if anything is."""
        if problems:
            raise ExperienceError(problems, self.name)


def _csv(path: Path) -> dict[str, NDArray[Any]]:
    try:
        text = read_text(path, "a CSV table")
    except UnreadableError as error:
        raise ExperienceError([Problem("", str(error))], str(path)) from None
    head = text[: text.find("\n") + 1] or text
    header, problems = parse_table(head)
    if problems:
        raise ExperienceError(problems, str(path))
    pandas: Any = importlib.import_module("pandas")  # xarray needs it, so it is there
    try:
        frame = pandas.read_csv(
            io.StringIO(text),
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
            skipinitialspace=True,
            index_col=False,
        )
    except (ValueError, pandas.errors.ParserError, Warning) as error:
        message = f"is not a CSV table ({str(error).strip()}); accepted: commas and quotes"
        raise ExperienceError([Problem("", message)], str(path)) from None
    frame.columns = [str(name).strip() for name in frame.columns]
    columns = {name: frame[name].fillna("").to_numpy(object) for name in header.header}
    blank = np.all([column == "" for column in columns.values()], axis=0)
    if blank.any() and not blank[int(np.argmax(blank)) :].all():
        at = int(np.argmax(blank)) + 2
        raise ExperienceError([Problem(f"row {at}", "is blank; take it out")], str(path))
    return {name: column[~blank] for name, column in columns.items()}


def _parquet(path: Path) -> dict[str, NDArray[Any]]:
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise ArgumentError(
            f"{path}: reading parquet files needs pyarrow, which is not installed; run pip install "
            '"riskshare[parquet]", or save the table as CSV'
        ) from None
    if not path.is_file():
        message = "no such file; accepted: a parquet table"
        raise ExperienceError([Problem("", message)], str(path))
    try:
        table = parquet.read_table(path)
    except (OSError, ValueError) as error:
        message = f"is not a parquet table ({error})"
        raise ExperienceError([Problem("", message)], str(path)) from None
    return {name: table[name].to_numpy() for name in table.column_names}


def _frame(source: Any) -> dict[str, NDArray[Any]]:
    """Return the columns of a mapping or a data frame of any library."""
    names = source if isinstance(source, Mapping) else getattr(source, "columns", None)
    if names is None:
        raise ArgumentError(
            f"draws are a {type(source).__name__}; accepted: the path of a table, a data frame, "
            "a mapping from column to array, or an xarray.Dataset"
        )
    columns = {str(name): np.asarray(source[name]) for name in names}
    sizes = {name: array.shape for name, array in columns.items()}
    if len(set(sizes.values())) > 1 or any(len(size) != 1 for size in sizes.values()):
        raise ArgumentError(f"the columns have the shapes {sizes}; accepted: one length for all")
    return columns
