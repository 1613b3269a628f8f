"""The statement of a settlement: what each term moves, to the smallest unit, and the positions."""

import numpy as np
import xarray as xr
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from riskshare.case import Case
from riskshare.report.money import MoneyFormat, exact


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
        at = settled.sel(year=year)
        shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        shown.add_column(str(year))
        partners = [str(name) for name in settled.partner.values]
        for name in partners:
            shown.add_column(name, justify="right")
        for term in settled.term.values:
            amounts = at.posting.sel(term=term)
            shown.add_row(str(term), *(unit.plain(float(amounts.sel(partner=n))) for n in partners))
        shown.add_section()
        shown.add_row("cost", *(unit.plain(-float(at.cost.sel(partner=n))) for n in partners))
        shown.add_row(
            "position",
            *(unit.plain(float(at.position.sel(partner=n))) for n in partners),
            style="bold",
        )
        console.print()
        console.print(shown)
        console.print()
        console.print(_lines(settled, year, unit))
    filled = list(np.atleast_1d(result.attrs.get("filled_from_plan", [])))
    if filled:
        console.print()
        console.print(Text(f"Filled from plan, not actual: {', '.join(filled)}", style="bold"))


def _lines(settled: xr.Dataset, year: str, unit: MoneyFormat) -> Table:
    at = settled.sel(year=year)
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    shown.add_column("line")
    for head in ("cost", "cost released", "stranded", "lost contribution"):
        shown.add_column(head, justify="right")
    for line in settled.line.values:
        row = at.sel(line=line)
        shown.add_row(
            str(line),
            unit.plain(float(row.line_cost)),
            unit.plain(float(row.cost_released)),
            unit.plain(float(row.stranded)),
            unit.plain(float(row.lost_contribution)),
        )
    return shown
