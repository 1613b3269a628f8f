"""The statement of a settlement: what each term moves, to the smallest unit, and the positions."""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from riskshare.case import Case
from riskshare.contract.sharing import Pool
from riskshare.report.money import MoneyFormat, exact
from riskshare.report.whole import natural_width, print_whole


def print_statement(console: Console, case: Case, result: xr.Dataset) -> None:
    """Print the settled years: postings by term and partner, cost, position, then lines."""
    unit = exact(case.currency)
    settled = result.isel(sample=0)
    console.print(Text(f"{case.title or case.name}: settlement", style="bold"))
    console.print(
        f"{case.currency}, rounded half to even to {result.attrs['rounded_to']:g}; + receives, "
        "- pays. Every row of postings sums to zero."
    )
    for year in settled.year.values:
        for shown in _postings(console, settled, str(year), unit):
            console.print()
            print_whole(console, shown)
        console.print()
        print_whole(console, _moves(settled, str(year), unit))
        for line in _pools(case, settled, str(year), unit):
            console.print(line)
        console.print()
        print_whole(console, _lines(case, settled, str(year), unit))
    filled = list(np.atleast_1d(result.attrs.get("filled_from_plan", [])))
    if filled:
        console.print()
        console.print(Text(f"Filled from plan, not actual: {', '.join(filled)}", style="bold"))


def _postings(
    console: Console, settled: xr.Dataset, year: str, unit: MoneyFormat
) -> Iterator[Table]:
    """Yield the postings of a year, partners side by side as far as the screen goes."""
    partners = [str(name) for name in settled.partner.values]
    taken = len(partners)
    while taken > 1:
        first = _posting_table(settled, year, partners[:taken], unit)
        if natural_width(console, first) <= console.width:
            break
        taken -= 1
    for start in range(0, len(partners), taken):
        yield _posting_table(settled, year, partners[start : start + taken], unit)


def _posting_table(settled: xr.Dataset, year: str, partners: list[str], unit: MoneyFormat) -> Table:
    at = settled.sel(year=year)
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    shown.add_column(year, no_wrap=True)
    for name in partners:
        shown.add_column(name, justify="right", no_wrap=True)
    for term in settled.term.values:
        amounts = at.posting.sel(term=term)
        shown.add_row(str(term), *(unit.plain(float(amounts.sel(partner=n))) for n in partners))
    shown.add_section()
    shown.add_row("cost", *(unit.plain(-float(at.cost.sel(partner=n))) for n in partners))
    shown.add_row(
        "position", *(unit.plain(float(at.position.sel(partner=n))) for n in partners), style="bold"
    )
    return shown


def _moves(settled: xr.Dataset, year: str, unit: MoneyFormat) -> Table:
    """Who pays whom for what: every part of every term that moved money."""
    at = settled.sel(year=year)
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    shown.add_column("term", no_wrap=True)
    shown.add_column("for", no_wrap=True)
    for head in ("from", "to"):
        shown.add_column(head)  # a key of several partners takes a row for each
    shown.add_column("amount", justify="right", no_wrap=True)
    for row in range(at.sizes["transfer"]):
        part = at.isel(transfer=row)
        amount = float(part.transfer)
        if amount == 0:
            continue
        ends = [
            str(end.item()).replace(", ", "\n") for end in (part.transfer_from, part.transfer_to)
        ]
        payer, payee = ends if amount > 0 else ends[::-1]
        what = str(part.transfer_part.item())
        shown.add_row(str(part.transfer_term.item()), what, payer, payee, unit.plain(abs(amount)))
    return shown


def _pools(case: Case, settled: xr.Dataset, year: str, unit: MoneyFormat) -> Iterator[str]:
    """Yield how each pool's result came about: budget, spend, and what was shared."""
    at = settled.sel(year=year)
    for contract in case.contracts:
        for term in contract.terms:
            if not isinstance(term, Pool) or (contract.years and year not in contract.years):
                continue
            name = f"{contract.name}.{term.label}"
            figures = {
                rule: float(at.step_amount[(at.step_term == name) & (at.step_rule == rule)][0])
                for rule in ("budget", "spend", "result", "shared")
            }
            yield (
                f"{name}: spend {unit.plain(figures['spend'])} against a budget of "
                f"{unit.plain(figures['budget'])}, result {unit.plain(figures['result'])}; "
                f"{unit.plain(figures['shared'])} is shared by the {term.key} key"
            )


def _lines(case: Case, settled: xr.Dataset, year: str, unit: MoneyFormat) -> Table:
    at = settled.sel(year=year)
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    shown.add_column("line", no_wrap=True)
    for head in ("cost", "cost released", "stranded", "lost contribution"):
        shown.add_column(head, justify="right", no_wrap=True)
    for line in case.lines:
        row = at.sel(line=line.name)
        shown.add_row(
            line.name,
            unit.plain(float(row.line_cost)),
            unit.plain(float(row.cost_released)),
            unit.plain(float(row.stranded)),
            unit.plain(float(row.lost_contribution)),
        )
    return shown
