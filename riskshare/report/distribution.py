"""The report of a run: how each partner's result is distributed, in words and in tables."""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from riskshare.bind import bind
from riskshare.case import Case
from riskshare.names import ALL_YEARS
from riskshare.report.money import MoneyFormat, readable

_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
_TAIL = 0.95


def print_distribution(console: Console, case: Case, table: xr.Dataset) -> None:
    """Print a run: headline of each partner, a table for each, the budget, the assumptions."""
    attrs = table.attrs
    unit = readable(case.currency, table.position_quantile.values.ravel())
    console.print(Text(case.title or case.name, style="bold"))
    how = "quasi-random (Sobol')" if attrs["sampler"] == "sobol" else "pseudo-random"
    console.print(
        f"{attrs['samples']:,} samples, {how}, seed {attrs['seed']}; {unit.unit}, nominal. "
        "Position: what a partner receives, less what it pays and what its activity costs."
    )
    console.print()
    names = _reported(table)
    for name in names:
        console.print(_headline(table, name, unit), soft_wrap=True)
    for name in names:
        console.print()
        console.print(_partner_table(table, name, unit))
    console.print(
        Text(
            "± Monte Carlo standard error. sd: standard deviation. 5 % ... 95 %: quantiles. "
            "TVaR 95: mean loss in the worst 5 % of outcomes, positive is a loss. Deficit: "
            "position below target.",
            style="dim",
        )
    )
    for part in _budgets(case):
        console.print()
        console.print(part)
    if case.assumptions:
        console.print()
        console.print(_assumptions(case))


def _reported(table: xr.Dataset) -> list[str]:
    """Return partners, then groups; not who is outside, nor a group that holds the same as one."""
    kinds = dict(zip(table.partner.values, table.kind.values, strict=True))
    names: list[str] = []
    for name in map(str, table.partner.values):
        mean = table.position_mean.sel(partner=name).values
        again = kinds[name] == "group" and any(
            np.array_equal(mean, table.position_mean.sel(partner=other).values) for other in names
        )
        if kinds[name] != "external" and not again:
            names.append(name)
    return names


def _headline(table: xr.Dataset, name: str, unit: MoneyFormat) -> Text:
    at = table.sel(partner=name, year=ALL_YEARS)
    mean = float(at.position_mean)
    low = float(at.position_quantile.sel(level=0.05))
    word = "surplus" if mean >= 0 else "deficit"
    text = Text()
    text.append(f"{name}: ", style="bold")
    text.append(f"expected {word} of {unit.spoken(abs(mean))} over all years; ")
    text.append(f"in 1 of 20 outcomes {unit.spoken(low)} or worse")
    turnover = float(at.turnover) if "turnover" in at.coords else float("nan")
    if turnover > 0:
        text.append(f" ({100 * low / turnover:.1f} % of turnover)")
    chance = float(at.position_probability_of_deficit)
    if chance == chance:
        text.append(f"; chance of missing its target {_percent(chance)}")
    return text


def _percent(share: float) -> str:
    if share != share:
        return "-"
    if 0 < share < 0.001:
        return "<0.1 %"
    if 0.999 < share < 1:
        return ">99.9 %"
    return f"{100 * share:.1f} %"


def _partner_table(table: xr.Dataset, name: str, unit: MoneyFormat) -> Table:
    at = table.sel(partner=name)
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    shown.add_column(Text(f"{name}, {unit.unit}", style="bold"))
    for head in ("mean", "±", "sd", *(f"{100 * level:g} %" for level in _LEVELS)):
        shown.add_column(head, justify="right")
    for head in ("P(deficit)", "±", "TVaR 95", "±"):
        shown.add_column(head, justify="right")
    for year in table.year.values:
        row = at.sel(year=year)
        chance = float(row.position_probability_of_deficit)
        chance_error = float(row.position_probability_of_deficit_error)
        tail = row.sel(level=_TAIL)
        shown.add_row(
            "all years" if year == ALL_YEARS else str(year),
            unit.plain(float(row.position_mean)),
            _error(unit, float(row.position_mean_error)),
            unit.plain(float(row.position_standard_deviation)),
            *(unit.plain(float(row.position_quantile.sel(level=level))) for level in _LEVELS),
            _percent(chance),
            _small(100 * chance_error, 2),
            unit.plain(float(tail.position_tail_value_at_risk)),
            _error(unit, float(tail.position_tail_value_at_risk_error)),
        )
    return shown


def _error(unit: MoneyFormat, amount: float) -> str:
    return _small(amount / unit.scale, unit.places)


def _small(error: float, places: int) -> str:
    if error != error:
        return "-"
    least = 10.0**-places
    return f"<{least:.{places}f}" if 0 < error < least / 2 else f"{error:.{places}f}"


def _budgets(case: Case) -> Iterator[Table]:
    for name, steps in bind(case).bridges.items():
        totals = sum(steps.values())
        unit = readable(case.currency, [float(v) for v in totals])  # type: ignore[union-attr]  # an array
        shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        shown.add_column(Text(f"budget {name}, {unit.unit}", style="bold"))
        for year in case.labels()["year"]:
            shown.add_column(year, justify="right")
        for step, values in steps.items():
            shown.add_row(step, *(unit.plain(float(value)) for value in values))
        shown.add_section()
        shown.add_row("budget", *(unit.plain(float(v)) for v in totals), style="bold")  # type: ignore[union-attr]  # an array
        yield shown


def _assumptions(case: Case) -> Group:
    shown = Table(box=None, pad_edge=False, show_header=False)
    shown.add_column(no_wrap=True, style="dim")
    shown.add_column()
    for path, note in case.assumptions.items():
        shown.add_row(path, str(note))
    head = Text("Assumed, because it was never published or is a belief:", style="bold")
    return Group(head, Padding(shown, (0, 0, 0, 2)))
