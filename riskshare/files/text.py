"""Reading text and CSV tables, with one sentence for everything that can be wrong with a file."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from riskshare.errors import Problem

_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


class UnreadableError(Exception):
    """A file that cannot be read as text; the message is the sentence to show."""


def read_text(path: Path, accepted: str) -> str:
    """Return the text of a UTF-8 file, line ends as they are, without a byte order mark.

    Raises
    ------
    UnreadableError
        If it is missing, a directory, not readable or not UTF-8 text.
    """
    if path.is_dir():
        raise UnreadableError(f"found a directory; accepted: {accepted}")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UnreadableError(f"no such file; accepted: {accepted}") from None
    except UnicodeDecodeError:
        raise UnreadableError(
            f"found bytes that are not UTF-8 text; accepted: {accepted}, saved as UTF-8"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreadableError(f"cannot be read ({reason}); accepted: {accepted}") from None
    if "\0" in text:
        raise UnreadableError(f"found a binary file; accepted: {accepted}")
    return text


@dataclass(frozen=True)
class Row:
    """One row: its number as a spreadsheet shows it (the header is row 1) and its cells."""

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """A CSV table; rows that are blank throughout are left out."""

    header: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()


def parse_table(text: str) -> tuple[Table, list[Problem]]:
    """Return a CSV table and what is wrong with its form; the path of a problem is its row."""
    if not text.strip():
        return Table(), [Problem("", "the file is empty; accepted: a CSV table with a header row")]
    records: list[list[str]] = []
    try:
        # a space before a quote would otherwise make the quote, and the comma in it, bare text
        reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
        for record in reader:
            records.append(record)
    except csv.Error as error:
        message = f"is not a CSV table ({error}); accepted: commas and quotes"
        return Table(), [Problem(f"row {len(records) + 1}", message)]
    numbered = [
        (number, [cell.strip() for cell in record])
        for number, record in enumerate(records, 1)
        if any(cell.strip() for cell in record)
    ]
    if not numbered:
        return Table(), [Problem("", "the file is empty; accepted: a CSV table with a header row")]
    first, header = numbered[0]
    problems = _header_problems(first, header)
    if problems:
        return Table(), problems
    rows = []
    for number, cells in numbered[1:]:
        stray = [cell for name, cell in zip(header, cells, strict=False) if cell and not name]
        if len(cells) != len(header):
            message = f"found {len(cells)} cells; accepted: {len(header)}, one for each column"
            if len(cells) > len(header):
                message += '; a cell with a comma in it needs quotes, as in "1,234"'
            problems.append(Problem(f"row {number}", message))
        elif stray:
            problems.append(
                Problem(f"row {number}", f"found {stray[0]!r} in a column without a name; name it")
            )
        else:
            named = {name: cell for name, cell in zip(header, cells, strict=True) if name}
            rows.append(Row(number, named))
    return Table(tuple(name for name in header if name), tuple(rows)), problems


def _header_problems(number: int, header: list[str]) -> list[Problem]:
    named = [name for name in header if name]
    for sign, word in _OTHER_SEPARATORS.items():
        if len(named) == 1 and sign in named[0]:
            message = f"found columns separated by {word}; accepted: commas, and points in numbers"
            if sign == ";":
                message += " (a spreadsheet in a language with decimal commas writes these)"
            return [Problem(f"row {number}", message)]
    return [
        Problem(f"row {number}", f"the column {name!r} stands {count} times; accepted: once")
        for name, count in Counter(header).items()
        if name and count > 1
    ]


def format_table(header: Iterable[str], rows: Iterable[Iterable[str]], line_end: str = "\n") -> str:
    """Return a CSV table as text."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=line_end)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
