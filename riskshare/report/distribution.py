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
from riskshare.parameters import declaration_of, expand
from riskshare.report.money import MoneyFormat, readable
from riskshare.report.whole import natural_width, print_whole
from riskshare.system import Change

_TAIL = 0.95

_COLUMNS = (
    ("mean", "±", "sd", "5 %", "25 %", "50 %", "75 %", "95 %", "P(deficit)", "±%", "TVaR 95", "±T"),
    ("mean", "±", "sd", "5 %", "50 %", "95 %", "P(deficit)", "TVaR 95"),
    ("mean", "±", "5 %", "95 %", "P(deficit)", "TVaR 95"),
    ("mean", "5 %", "P(deficit)"),
)
"""Columns of a partner's table, from the fullest; the first that fits the screen is used."""


def print_distribution(console: Console, case: Case, table: xr.Dataset) -> None:
    """Print a run: headline of each partner, a table for each, the budget, the assumptions."""
    attrs = table.attrs
    shown = table.position_quantile.sel(partner=_reported(table))
    unit = readable(case.currency, shown.values.ravel())
    console.print(Text(case.title or case.name, style="bold"))
    how = "quasi-random (Sobol')" if attrs["sampler"] == "sobol" else "pseudo-random"
    if "effective_samples" in attrs:
        how += f", weighted (worth {attrs['effective_samples']:,.0f} equal ones)"
    money = "in real terms" if attrs.get("prices") == "real" else "nominal"
    if attrs.get("discount_rate"):
        money += f", all years discounted at {100 * attrs['discount_rate']:g} %"
    asked = attrs.get("samples_asked", attrs["samples"])
    count = f"{attrs['samples']:,} samples"
    if asked != attrs["samples"]:
        count += f" ({asked:,} asked for)"
    console.print(
        f"{count}, {how}, seed {attrs['seed']}; {unit.unit}, {money}. "
        "Position: what a partner receives, less what it pays and what its activity costs."
    )
    if case.description:
        console.print(case.description)
    console.print()
    names = _reported(table)
    titles = {partner.name: partner.title for partner in case.partners}
    for name in names:
        console.print(_headline(table, name, titles.get(name, ""), unit))
    columns = _fitting(console, table, names, unit)
    for name in names:
        console.print()
        print_whole(console, _partner_table(table, name, unit, columns))
    console.print(
        Text(
            "± Monte Carlo standard error. sd: standard deviation. 5 % ... 95 %: quantiles. "
            "TVaR 95: mean loss in the worst 5 % of outcomes, positive is a loss. Deficit: "
            "position below target.",
            style="dim",
        )
    )
    for part in (_organisations(case, table), _savings(case, table)):
        if part is not None:
            console.print()
            print_whole(console, part)
    for part in _budgets(case):
        console.print()
        print_whole(console, part)
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


def _headline(table: xr.Dataset, name: str, title: str, unit: MoneyFormat) -> Text:
    at = table.sel(partner=name, year=ALL_YEARS)
    mean = float(at.position_mean)
    low = float(at.position_quantile.sel(level=0.05))
    word = "surplus" if mean >= 0 else "deficit"
    result = f"expected {word} of {unit.spoken(abs(mean))}"
    if float(unit.plain(mean).replace(",", "") or 0) == 0:
        result = "expected to break even"
    text = Text()
    text.append(name, style="bold")
    text.append(f" ({title}): " if title else ": ")
    text.append(f"{result} over all years; ")
    text.append(f"in 1 of 20 outcomes {unit.spoken(low)} or worse")
    turnover = float(at.turnover) if "turnover" in at.coords else float("nan")
    if turnover > 0 and abs(low) > 0.0005 * turnover:
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


def _fitting(
    console: Console, table: xr.Dataset, names: list[str], unit: MoneyFormat
) -> tuple[str, ...]:
    """Return the fullest columns with which every partner's table fits the screen."""
    for columns in _COLUMNS:
        tables = [_partner_table(table, name, unit, columns) for name in names]
        if all(natural_width(console, shown) <= console.width for shown in tables):
            return columns
    return _COLUMNS[-1]


def _partner_table(
    table: xr.Dataset, name: str, unit: MoneyFormat, columns: tuple[str, ...]
) -> Table:
    at = table.sel(partner=name)
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    shown.add_column(Text(f"{name}, {unit.unit}", style="bold"), no_wrap=True)
    for column in columns:
        shown.add_column("±" if column.startswith("±") else column, justify="right", no_wrap=True)
    years = table.year.values[:1] if len(table.year) == 2 else table.year.values
    for year in years:
        cells = _cells(at.sel(year=year), unit)
        label = "all years" if year == ALL_YEARS else str(year)
        shown.add_row(label, *(cells[column] for column in columns))
    return shown


def _cells(row: xr.Dataset, unit: MoneyFormat) -> dict[str, str]:
    """Return what one row may show, by column."""
    tail = row.sel(level=_TAIL)
    quantiles = {
        f"{100 * level:g} %": unit.plain(float(row.position_quantile.sel(level=level)))
        for level in (0.05, 0.25, 0.5, 0.75, 0.95)
    }
    return quantiles | {
        "mean": unit.plain(float(row.position_mean)),
        "±": _error(unit, float(row.position_mean_error)),
        "sd": unit.plain(float(row.position_standard_deviation)),
        "P(deficit)": _percent(float(row.position_probability_of_deficit)),
        "±%": _small(100 * float(row.position_probability_of_deficit_error), 2),
        "TVaR 95": unit.plain(float(tail.position_tail_value_at_risk)),
        "±T": _error(unit, float(tail.position_tail_value_at_risk_error)),
    }


def _organisations(case: Case, table: xr.Dataset) -> Table | None:
    """Return what whole organisations face over all years, the rest of them included."""
    heads = {
        "total_mean": "mean of all it does",
        "total_probability_of_missing_target": "P(misses target)",
        "total_probability_of_breaching_duty": "P(breaches duty)",
        "reserve_probability_of_exhaustion": "P(reserve exhausted)",
        "underlying_mean": "underlying mean",
        "cash_mean": "mean in cash",
    }
    there = [name for name in heads if name in table]
    if not there:
        return None
    money = [name for name in there if name.endswith("mean")]
    at = table.sel(year=ALL_YEARS)
    amounts = [float(value) for name in money for value in at[name].values.ravel()]
    unit = readable(case.currency, amounts or [0.0])
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    shown.add_column(Text(f"organisations, all years, {unit.unit}", style="bold"), no_wrap=True)
    for name in there:
        shown.add_column(heads[name], justify="right")
    for partner in _reported(table):
        row = at.sel(partner=partner)
        cells = [
            unit.plain(float(row[name])) if name in money else _percent(float(row[name]))
            for name in there
        ]
        if set(cells) != {"-"}:
            shown.add_row(partner, *cells)
    return shown


def _savings(case: Case, table: xr.Dataset) -> Table | None:
    """Return what each change saves over all years; the system's saving is what is released."""
    if "saving_released_mean" not in table or not case.changes:
        return None
    heads = {
        "saving_avoided_mean": "avoided against its not happening",
        "saving_released_mean": "cost released",
        "saving_cash_mean": "in cash",
    }
    at = table.sel(year=ALL_YEARS)
    claims = {change.name: _claimed(case, change) for change in case.changes}
    amounts = [float(value) for name in heads for value in at[name].values.ravel()]
    unit = readable(case.currency, [*amounts, *claims.values()])
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    shown.add_column(Text(f"savings, all years, {unit.unit}", style="bold"), no_wrap=True)
    shown.add_column("owner", no_wrap=True)
    for head in heads.values():
        shown.add_column(head, justify="right")
    if any(claims.values()):
        shown.add_column("claimed by plans", justify="right")
    for change in case.changes:
        row = at.sel(change=change.name)
        cells = [unit.plain(float(row[name])) for name in heads]
        if any(claims.values()):
            cells.append(unit.plain(claims[change.name]))
        shown.add_row(change.name, change.owner, *cells)
    return shown


def _claimed(case: Case, change: Change) -> float:
    """Return what all partners' plans book against a change, over all years."""
    parameter = declaration_of(Change, "claims")
    return float(expand(change.claims, parameter, case.labels()).sum())


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
        contract, _, label = name.partition(".")
        budget = next(b for b in case.contract(contract).budgets if b.name == label)
        unit = readable(case.currency, [float(v) for v in totals])  # type: ignore[union-attr]  # an array
        shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        shown.add_column(Text(f"budget {name}, {unit.unit}", style="bold"))
        for year in case.labels()["year"]:
            shown.add_column(year, justify="right")
        for step, values in steps.items():
            shown.add_row(step, *(unit.plain(float(value)) for value in values))
        if budget.count_date:
            shown.caption = f"members counted at {budget.count_date}"
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
