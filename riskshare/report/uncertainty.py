"""What the spread of each position is made of, and how many wait, as tables."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from riskshare.case import Case
from riskshare.names import ALL_YEARS
from riskshare.report.money import readable
from riskshare.report.whole import print_whole
from riskshare.statistics import quantiles
from riskshare.summary.samples import counting, replicates_of

_LEVELS = np.array([0.05, 0.5, 0.95])
_SHOWN = ("process", "parameter", "baseline", "total")


def states_errors(case: Case) -> bool:
    """Return whether a case tells parameter or baseline error from what happens."""
    return any(index.uncertainty != "process" for index in case.indices().values())


def print_uncertainty(console: Console, case: Case, split: xr.Dataset) -> None:
    """Print the standard deviation of each partner's total that each source alone would leave."""
    of = split.sel(year=ALL_YEARS)
    kinds = {partner.name: partner.kind for partner in case.partners}
    names = [str(n) for n in split.partner.values if kinds.get(str(n)) != "external"]
    unit = readable(case.currency, of.position_standard_deviation.values.ravel())
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(Text(f"sd by source, all years, {unit.unit}", style="bold"), no_wrap=True)
    for source in _SHOWN:
        table.add_column(source, justify="right")
    table.add_column("not known, % of variance", justify="right")
    for name in names:
        row = of.sel(partner=name)
        deviations = [float(row.position_standard_deviation.sel(source=s)) for s in _SHOWN]
        total = float(row.position_variance.sel(source="total"))
        known = float(row.position_variance.sel(source="process"))
        share = f"{100 * (1 - known / total):.1f}" if total > 0 else "-"
        table.add_row(name, *(unit.plain(value) for value in deviations), share)
    print_whole(console, table)
    worst = np.nanmax(_relative_error(of))
    console.print(
        Text(
            "process: what happens; parameter: how well laws are known; baseline: how well the "
            "start is measured. Standard errors of the variances are at most "
            f"{100 * worst:.1f} % of the total.",
            style="dim",
        )
    )


def _relative_error(of: xr.Dataset) -> NDArray[np.float64]:
    total = of.position_variance.sel(source="total")
    share = (of.position_variance_error / total.where(total > 0)).values
    return share if np.isfinite(share).any() else np.zeros(1)


def print_waiting(console: Console, outcomes: xr.Dataset) -> None:
    """Print how long the waiting lists of lines with a capacity are at the end of each year.

    Samples count for their ``weight`` where they have one, as in `riskshare.summarise`.
    """
    outcomes = counting(outcomes)
    replicates = replicates_of(outcomes)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(Text("waiting at the year's end", style="bold"), no_wrap=True)
    for head in ("", "mean", *(f"{100 * level:g} %" for level in _LEVELS)):
        table.add_column(head, justify="right" if head else "left")
    waiting = outcomes.waiting_list
    for name in map(str, waiting.line.values):
        for year in map(str, waiting.year.values):
            values = waiting.sel(line=name, year=year).values.astype(np.float64)
            if np.isnan(values).any():
                continue
            at = quantiles(values, np.sort(values), _LEVELS, replicates).value
            row = (f"{value:,.0f}" for value in (replicates.mean(values), *at))
            table.add_row(name, year, *row)
    print_whole(console, table)
