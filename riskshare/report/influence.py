"""The report of influence: who bears what of each driver, against who controls it."""

import xarray as xr
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from riskshare.case import Case
from riskshare.names import ALL_YEARS
from riskshare.report.whole import print_whole


def print_influence(console: Console, case: Case, found: xr.Dataset) -> None:
    """Print the alignment of a case, and for each driver what each partner bears and controls."""
    at = found.sel(year=ALL_YEARS)
    console.print(Text(case.title or case.name, style="bold"))
    attrs = found.attrs
    console.print(f"{attrs['samples']:,} samples, seed {attrs['seed']}; all years, % of each row.")
    console.print()
    console.print(_headline(at))
    console.print()
    print_whole(console, _table(at))
    console.print()
    console.print(
        Text(
            "Each cell: what the partner bears / what it controls of the driver (its influence, "
            "and its part of what nobody controls). weight: the driver's share of the system's "
            "variance. off: what the driver takes off an alignment of 100. tail "
            f"{100 * float(found.level[-1]):g}: who bears the system's worst outcomes beyond its "
            "mean; below 0 is a gain in them.",
            style="dim",
        )
    )


def _headline(at: xr.Dataset) -> Text:
    value, error = 100 * float(at.alignment), 100 * float(at.alignment_error)
    text = Text(f"Alignment {value:.1f} of 100 (± {error:.2f}). ", style="bold")
    worst = at.misalignment.driver.values[int(at.misalignment.values.argmax())]
    gaps = at.borne.sel(driver=worst) - at.controlled.sel(driver=worst)
    over = str(gaps.partner.values[int(gaps.values.argmax())])
    under = str(gaps.partner.values[int(gaps.values.argmin())])

    for name, word in ((over, "bears"), (under, "bears only")):
        cell = at.sel(driver=worst, partner=name)
        borne, controlled = 100 * float(cell.borne), 100 * float(cell.controlled)
        said = f"{name} {word} {borne:.0f} % of {worst} and controls {controlled:.0f} %; "
        text.append(said, style="not bold")
    text.append("that is what takes most off it.", style="not bold")
    return text


def _table(at: xr.Dataset) -> Table:
    names = [str(name) for name in at.partner.values]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(Text("bears / controls, %", style="bold"), no_wrap=True)
    table.add_column("weight", justify="right", no_wrap=True)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("off", justify="right", no_wrap=True)
    for driver in map(str, at.driver.values):
        row = at.sel(driver=driver)
        cells = [_pair(row.borne.sel(partner=n), row.controlled.sel(partner=n)) for n in names]
        table.add_row(driver, _share(row.weight), *cells, _share(row.misalignment))
    table.add_section()
    cells = [
        _pair(at.partner_borne.sel(partner=n), at.partner_controlled.sel(partner=n)) for n in names
    ]
    table.add_row("all, by weight", _share(at.weight.sum()), *cells, _share(1 - at.alignment))
    for head, values in (
        ("of the system's variance", at.variance_borne.sum("driver")),
        (f"of its tail {100 * float(at.level[-1]):g}", at.tail_borne.isel(level=-1).sum("driver")),
    ):
        table.add_row(head, "", *(_share(values.sel(partner=n)) for n in names), "")
    return table


def _pair(borne: xr.DataArray, controlled: xr.DataArray) -> str:
    return f"{_share(borne)} / {_share(controlled, 0)}"


def _share(value: xr.DataArray, places: int = 1) -> str:
    text = f"{100 * float(value):.{places}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text
