"""The report of a check: what was found, in sentences, and the figures behind it, in tables."""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from riskshare.analysis.findings import SEVERITIES, Check, percent
from riskshare.case import Case
from riskshare.report.money import MoneyFormat, exact
from riskshare.report.whole import print_whole

_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold"}
_HEADS = {"error": "Errors", "warning": "Warnings", "note": "Notes"}
_MOST_GATES = 24
"""Rows of gates that are printed; the dataset holds them all."""


def print_check(console: Console, case: Case, check: Check) -> None:
    """Print the findings, errors first, then incentives, gates, numbers and accounts."""
    console.print(Text(f"{case.title or case.name}: contract check", style="bold"))
    counts = {word: sum(f.severity == word for f in check.findings) for word in SEVERITIES}
    told = ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for word, n in counts.items())
    console.print(
        f"{told}. Postings sum to zero to within {check.imbalance:.0e} of the money that moves."
    )
    for word in SEVERITIES:
        if counts[word]:
            console.print()
            console.print(Text(_HEADS[word], style=_STYLES[word]))
            for finding in check.findings:
                if finding.severity == word:
                    text = Text(finding.path, style="bold")
                    text.append(f"  {finding.message}", style="not bold")
                    console.print(Padding(text, (0, 0, 0, 2)))
    unit = exact(case.currency)
    for part in _tables(case, check, unit):
        console.print()
        print_whole(console, part)


def _tables(case: Case, check: Check, unit: MoneyFormat) -> Iterator[Table]:
    if case.lines:
        yield _incentive(case, check.incentive, unit, "up")
        yield _incentive(case, check.incentive, unit, "down")
    if check.incentive.sizes["change"]:
        yield _shunts(case, check.incentive, unit)
    if check.gates.sizes["gate"]:
        yield _gates(check.gates, unit)
    if check.binding.sizes["number"]:
        yield _binding(check.binding)
    if check.accounts.sizes["account"]:
        yield _accounts(check.accounts, unit)


def _table(*heads: str) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for place, head in enumerate(heads):
        shown.add_column(
            Text(head, style="bold") if place == 0 else head,
            justify="left" if place == 0 else "right",
            no_wrap=True,
        )
    return shown


def _runs(rows: list[tuple[str, list[str]]]) -> Iterator[tuple[str, list[str]]]:
    """Yield years with their cells, neighbours with the same cells as one row."""
    start = 0
    for i in range(1, len(rows) + 1):
        if i == len(rows) or rows[i][1] != rows[start][1]:
            first, last = rows[start][0], rows[i - 1][0]
            yield (first if i - 1 == start else f"{first} to {last}"), rows[start][1]
            start = i


def _organisations(case: Case) -> list[str]:
    return [partner.name for partner in case.partners if partner.kind != "external"]


def _incentive(case: Case, found: xr.Dataset, unit: MoneyFormat, way: str) -> Table:
    names = _organisations(case)
    head = "one unit more" if way == "up" else "one unit fewer"
    pays, saves = ("is paid", "costs") if way == "up" else ("is taken", "saves")
    sign = 1.0 if way == "up" else -1.0
    shown = _table(f"{head}, {unit.unit}", "year", "deliverer", pays, saves, *names, "system")
    position = sign * (found[f"pays_{way}"] - found[f"costs_{way}"])
    for line in case.lines:
        own = found.sel(line=line.name, partner=line.deliverer)
        rows = []
        for year in map(str, found.year.values):
            at = position.sel(line=line.name, year=year)
            moved = [float(at.sel(partner=name)) for name in names]
            paid = float(own[f"pays_{way}"].sel(year=year))
            cost = float(own[f"costs_{way}"].sel(year=year))
            money = [unit.plain(v) for v in (paid, cost, *moved, sum(moved))]
            rows.append((year, [line.deliverer, *money]))
        for years, cells in _runs(rows):
            shown.add_row(line.name, years, *cells)
    shown.caption = Text(
        "What the deliverer is paid and what it costs; then what it does to each position.",
        style="dim",
    )
    shown.caption_justify = "left"
    return shown


def _shunts(case: Case, found: xr.Dataset, unit: MoneyFormat) -> Table:
    names = _organisations(case)
    shown = _table(f"one unit more moved, {unit.unit}", "year", "owner", *names, "system")
    for change in case.changes:
        rows = []
        for year in map(str, found.year.values):
            at = found.shunt.sel(change=change.name, year=year)
            moved = [float(at.sel(partner=name)) for name in names]
            rows.append((year, [change.owner, *(unit.plain(v) for v in (*moved, sum(moved)))]))
        for years, cells in _runs(rows):
            shown.add_row(change.name, years, *cells)
    return shown


def _gates(found: xr.Dataset, unit: MoneyFormat) -> Table:
    shown = _table("jump in", "year", "where", "% of plan", f"height, {unit.unit}", "P(near)", "")
    for i in range(min(found.sizes["gate"], _MOST_GATES)):
        at = found.isel(gate=i)
        person = str(at["where"].item()).startswith(("quality of", "cost of one person"))
        place = f"{float(at['at']):,.4f}" if person else f"{100 * float(at['at']):.2f}"
        shown.add_row(
            str(at.term.item()),
            str(at.year.item()),
            str(at["where"].item()),
            place,
            unit.plain(float(at.height)),
            percent(float(at.mass)),
            "" if bool(at.declared) else "not declared",
        )
    left = found.sizes["gate"] - _MOST_GATES
    if left > 0:
        shown.caption = Text(f"and {left} more", style="dim")
    return shown


def _binding(found: xr.Dataset) -> Table:
    shown = _table("number", "matters in")
    always = 0
    for name, share, binds in zip(
        found.number.values, found.share.values, found.binds.values, strict=True
    ):
        if share == 1:
            always += 1
        else:
            shown.add_row(str(name), percent(float(share)) if binds else "never")
    if always:
        shown.add_row(Text(f"{always} {'number' if always == 1 else 'others'}"), "every draw")
    return shown


def _accounts(found: xr.Dataset, unit: MoneyFormat) -> Table:
    shown = _table(f"account, {unit.unit}", "year", "P(dry)", "then short, mean")
    for name in map(str, found.account.values):
        for year in map(str, found.year.values):
            at = found.sel(account=name, year=year)
            missing = unit.plain(float(at.short)) if np.any(at.dry) else "-"
            shown.add_row(name, year, percent(float(at.dry)), missing)
    return shown
