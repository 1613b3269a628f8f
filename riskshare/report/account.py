"""The account of a settlement: a row for every input, step, payment and cost, to the minor unit.

``sum of minor_units over the rows of a partner = its position``: it is checked whenever an account
is made. What is printed (`riskshare.report.account_text`) and what is written as CSV are the same
rows.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from riskshare.bind import bind
from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.files.atomic import replacing
from riskshare.names import decimals
from riskshare.outcomes import digest
from riskshare.report.rows import COLUMNS, Row, YearRows

_NEEDED = ("posting", "position", "cost", "line_cost", "transfer_share", "step_amount")
_LABELS = ("year", "section", "term", "part", "step", "payer", "payee", "partner")
_LONG_NAMES = {
    "unit": "unit of quantity and beyond",
    "quantity": "what a step works on",
    "beyond": "what the quantity is held against: a threshold, target, limit or plan",
    "rate_unit": "unit of rate",
    "rate": "rate or price that a step applies",
    "amount": "money that a step gives, before rounding; of postings and cost, to the partner",
    "role": "adds: of the sum that a term moves; total: the sum; leads: leads up to it",
    "minor_units": "money to the partner in whole smallest units of the currency",
    "from_plan": "not given with the actuals: taken from plan",
    "shown": "false where there is nothing in it, such as a band that was not reached",
}


def statement(case: Case, settled: xr.Dataset, year: str | None = None) -> xr.Dataset:
    """Return the line-by-line account of a settlement of actuals.

    It lists, in this order and for each year, what happened (``section`` ``input``), the budgets
    (``budget``), for each term in running order its working (``working``) and what it moves between
    partners (``posting``), what activity and changes cost (``cost``), and where each partner ends
    (``total``). The ``minor_units`` of a partner add up to its position exactly.

    Parameters
    ----------
    case
        The case that was settled.
    settled
        The result of `riskshare.settle` on actuals, all variables kept.
    year
        One settled year; all of them unless given.

    Returns
    -------
    xarray.Dataset
        On ``row``. Coordinates say what a row is: ``year``, ``section``, ``term`` (or budget),
        ``part`` (a line, driver, partner or term), ``step`` (the rule in words), ``payer``,
        ``payee`` and ``partner`` (to whom its money goes, or from whom). Variables: ``quantity``
        and ``beyond`` in ``unit``, ``rate`` in ``rate_unit``, ``amount`` in money, all NaN where
        a step has no such figure; ``role``, which amounts of a term's working add up to what it
        moves (``adds``; of a pool account, to its balance); ``minor_units``, the money to the
        partner in whole smallest units of the currency, of postings and cost; ``from_plan``, true
        where plan stood in for actuals; ``shown``, false where there is nothing in a row.

    Raises
    ------
    ArgumentError
        For a settlement of another case, of draws, or without all variables; an unknown year.
    NumericalError
        If the rows of a partner do not add up to its position.

    Examples
    --------
    >>> import riskshare as rs
    >>> import xarray as xr
    >>> case = rs.load_case("msk-toy")
    >>> activity = xr.DataArray(
    ...     [[32_000.0, 2_700.0, 13_000.0]],
    ...     {"year": ["2018/19"], "line": ["outpatients", "inpatients", "triage"]},
    ... )
    >>> account = rs.statement(case, rs.settle(case, xr.Dataset({"activity": activity})))
    >>> pence = account.minor_units.groupby("partner").sum()
    >>> int(pence.sel(partner="acute"))
    -24480000
    """
    return as_dataset(case, settled, rows_of(case, settled, year))


def rows_of(case: Case, settled: xr.Dataset, year: str | None = None) -> list[Row]:
    """Return the rows of an account."""
    _check(case, settled)
    years = [str(label) for label in settled.year.values]
    if year is not None and year not in years:
        raise ArgumentError(f"year is {year!r}; accepted: {', '.join(years)}")
    bound = bind(case)
    rows: list[Row] = []
    for label in years if year is None else [year]:
        rows += YearRows(case, bound, settled, label).rows()
    return rows


def as_dataset(case: Case, settled: xr.Dataset, rows: Sequence[Row]) -> xr.Dataset:
    """Return rows as a dataset on ``row``."""
    columns = {name: np.array([getattr(row, name) for row in rows]) for name in COLUMNS}
    found = xr.Dataset(
        {name: ("row", columns[name]) for name in COLUMNS if name not in _LABELS},
        {name: ("row", columns[name]) for name in _LABELS},
        {
            "title": case.title or case.name,
            **{name: settled.attrs[name] for name in ("case", "case_digest", "currency")},
            "minor_units_per_unit": 10 ** decimals(case.currency),
            "filled_from_plan": settled.attrs.get("filled_from_plan", []),
        },
    )
    for name, text in _LONG_NAMES.items():
        found[name].attrs["long_name"] = text
    return found


def write_account(path: Path, case: Case, rows: Sequence[Row]) -> Path:
    """Write rows as CSV, one column for each variable, blank where a row has no such figure."""
    places = decimals(case.currency)

    def text(value: Any) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        return "" if value != value else str(value)

    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow((*COLUMNS, "to_partner"))
        for row in rows:
            moves = row.section in ("posting", "cost") and bool(row.partner)
            money = f"{row.minor_units / 10**places:.{places}f}" if moves else ""
            writer.writerow((*(text(getattr(row, name)) for name in COLUMNS), money))
    return path


def _check(case: Case, settled: xr.Dataset) -> None:
    if not isinstance(settled, xr.Dataset):
        raise ArgumentError(
            f"settled is a {type(settled).__name__}; accepted: the result of riskshare.settle"
        )
    if "rounded_to" not in settled.attrs:
        raise ArgumentError("settled holds draws; a statement is of actuals, without samples")
    if "parameters" in settled.attrs:
        raise ArgumentError(
            "settled at values by path; settle case.with_numbers({...}) and state that case"
        )
    if settled.attrs["case_digest"] != digest(case):
        raise ArgumentError(
            f"settled is of another case ({settled.attrs['case']!r}, or other numbers of it)"
        )
    missing = [name for name in _NEEDED if name not in settled]
    if missing:
        raise ArgumentError(f"settled lacks {', '.join(missing)}; settle without keep")
