"""Contracts against each other as tables: one for each partner, one row for each contract."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from riskshare.files.atomic import replacing
from riskshare.names import ALL_YEARS
from riskshare.report.money import MoneyFormat, readable
from riskshare.report.whole import natural_width, print_whole

_TAIL = 0.95
_LOW = 0.05
_COLUMNS = (
    ("mean", "±", "change", "±c", "sd", "5 %", "TVaR 95", "deficit", "gains", "verdict"),
    ("mean", "change", "±c", "sd", "5 %", "TVaR 95", "deficit", "gains", "verdict"),
    ("mean", "change", "±c", "sd", "TVaR 95", "deficit", "gains", "verdict"),
    ("mean", "change", "±c", "sd", "TVaR 95", "gains", "verdict"),
)
"""Columns from the widest screen to the narrowest."""

_VERDICT = {
    "same": "same",
    "first": "better",
    "second": "safer",
    "none": "-",
    "dominated-second": "riskier",
    "dominated-first": "worse",
}

_LEGEND = (
    "change: mean less that of the reference, ± its standard error. sd: standard deviation. 5 %: 1 "
    "outcome in 20 is this or worse. TVaR 95: mean loss in the worst 5 % of outcomes, positive is "
    "a loss. deficit: chance of a position below target. gains: chance of more than under the "
    "reference in the same outcome.\n"
    "verdict: better, for anyone, as every amount is reached at least as often as under the "
    "reference; safer, for anyone who shuns risk; riskier and worse, the same the other way round; "
    "- means that it is a matter of taste."
)


def print_comparison(console: Console, table: xr.Dataset, year: str = ALL_YEARS) -> None:
    """Print what each partner has under each contract, and what it gains against the reference."""
    at = table.sel(year=year)
    names = _reported(at)
    unit = _unit(at, names)
    _print_head(console, table, year, unit)
    tables = {}
    for columns in _COLUMNS:
        tables = {name: _partner_table(at, name, unit, columns) for name in names}
        if all(natural_width(console, shown) <= console.width for shown in tables.values()):
            break
    for shown in tables.values():
        console.print()
        print_whole(console, shown)
    console.print()
    console.print(Text(_LEGEND, style="dim"))


def _print_head(console: Console, table: xr.Dataset, year: str, unit: MoneyFormat) -> None:
    attrs = table.attrs
    how = "quasi-random (Sobol')" if attrs["sampler"] == "sobol" else "pseudo-random"
    money = "in real terms" if attrs.get("prices") == "real" else "nominal"
    if attrs.get("discount_rate"):
        money += f", all years discounted at {100 * attrs['discount_rate']:g} %"
    span = "all years" if year == ALL_YEARS else year
    contracts = list(map(str, table.contract.values))
    console.print(Text(f"{len(contracts)} contracts on the same samples", style="bold"))
    console.print(
        f"{attrs['samples']:,} samples, {how}, seed {attrs['seed']}; {unit.unit}, {money}, {span}. "
        f"The reference is: {attrs['against']}."
    )
    for name in contracts:
        differs = str(table.differs.sel(contract=name).values)
        if differs:
            console.print(
                f"{name} is not the same system: {differs} differ, and with them a part of what "
                "is drawn."
            )


def _reported(at: xr.Dataset) -> list[str]:
    """Return partners, then groups; not who is outside, nor a group that holds the same as one."""
    names: list[str] = []
    kinds = dict(zip(at.partner.values, at.kind.values, strict=True))
    for name in map(str, at.partner.values):
        mean = at.position_mean.sel(partner=name).values
        again = kinds[name] == "group" and any(
            np.array_equal(mean, at.position_mean.sel(partner=other).values) for other in names
        )
        if kinds[name] != "external" and not again:
            names.append(name)
    return names


def _unit(at: xr.Dataset, names: list[str]) -> MoneyFormat:
    shown = at.sel(partner=names)
    amounts = [
        shown.position_mean.values,
        shown.position_quantile.sel(level=_LOW).values,
        shown.position_tail_value_at_risk.sel(level=_TAIL).values,
    ]
    return readable(str(at.attrs["currency"]), np.concatenate([a.ravel() for a in amounts]))


def _partner_table(
    at: xr.Dataset, partner: str, unit: MoneyFormat, columns: tuple[str, ...]
) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    shown.add_column(Text(f"{partner}, {unit.unit}", style="bold"), no_wrap=True)
    for column in columns:
        head = "±" if column.startswith("±") else column
        shown.add_column(head, justify="right", no_wrap=True)
    for name in map(str, at.contract.values):
        row = at.sel(partner=partner, contract=name)
        cells = _cells(row, unit, name == at.attrs["against"])
        shown.add_row(name, *(cells[column] for column in columns))
    return shown


def _cells(row: xr.Dataset, unit: MoneyFormat, reference: bool) -> dict[str, str]:
    """Return what one row may show, by column; the reference has no change."""
    cells = {
        "mean": unit.plain(float(row.position_mean)),
        "±": _error(unit, float(row.position_mean_error)),
        "change": unit.signed(float(row.difference_mean)),
        "±c": _error(unit, float(row.difference_mean_error)),
        "sd": unit.plain(float(row.position_standard_deviation)),
        "5 %": unit.plain(float(row.position_quantile.sel(level=_LOW))),
        "TVaR 95": unit.plain(float(row.position_tail_value_at_risk.sel(level=_TAIL))),
        "deficit": _percent(float(row.position_probability_of_deficit)),
        "gains": _percent(float(row.probability_better)),
        "verdict": _VERDICT[str(row.dominance.values)],
    }
    return cells | (dict.fromkeys(("change", "±c", "gains", "verdict"), "") if reference else {})


def _error(unit: MoneyFormat, amount: float) -> str:
    if amount != amount:
        return "-"
    scaled, least = amount / unit.scale, 10.0**-unit.places
    return f"<{least:.{unit.places}f}" if 0 < scaled < least / 2 else f"{scaled:.{unit.places}f}"


def _percent(share: float) -> str:
    if share != share:
        return "-"
    if 0 < share < 0.001:
        return "<0.1 %"
    return ">99.9 %" if 0.999 < share < 1 else f"{100 * share:.1f} %"


def write_comparison(path: Path, table: xr.Dataset) -> Path:
    """Write a comparison as a long table: one statistic of one partner in one year a row."""
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(comparison_rows(table))
    return path


def comparison_rows(table: xr.Dataset) -> Iterator[tuple[object, ...]]:
    """Yield the rows of the long table, its head first."""
    yield "contract", "partner", "year", "statistic", "level", "value", "standard_error"
    axes = ("contract", "partner", "year", "level")
    for name in map(str, table.data_vars):
        values, errors = table[name], table.get(f"{name}_error")
        if errors is None and name != "dominance":
            continue  # an error itself
        for place in np.ndindex(values.shape):
            at = {str(dim): i for dim, i in zip(values.dims, place, strict=True)}
            labels = [table[axis].values[at[axis]] if axis in at else "" for axis in axes]
            value = values.values[place]
            yield (
                *labels[:3],
                name,
                labels[3],
                str(value) if errors is None else repr(float(value)),
                "" if errors is None else repr(float(errors.values[place])),
            )
