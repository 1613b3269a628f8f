"""The report of an attribution: the way from plan to position, and who is to blame in the tail."""

import csv
from pathlib import Path

import numpy as np
import xarray as xr
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.files.atomic import replacing
from riskshare.files.results import figures
from riskshare.names import ALL_YEARS, SYSTEM
from riskshare.report.money import MoneyFormat, readable
from riskshare.report.waterfall import BY, text_waterfall, waterfall
from riskshare.report.whole import print_whole


def print_attribution(
    console: Console,
    case: Case,
    parts: xr.Dataset,
    partners: tuple[str, ...] = (),
) -> None:
    """Print each position from plan to mean, and what makes up its spread and its tail.

    Parameters
    ----------
    parts
        Of `riskshare.attribute`; the highest of its levels is shown.
    partners
        Partners and groups to print; all that are not external, and the system, unless given.
    """
    names = shown_partners(parts, partners)
    of = parts.sel(year=ALL_YEARS).isel(level=-1)
    unit = money_of(case, parts, names)
    level = 100 * float(of.level)
    console.print(Text(case.title or case.name, style="bold"))
    attrs = parts.attrs
    how = "all coalitions of drivers"
    if attrs["permutations"]:
        how = f"{attrs['permutations'] * attrs['replicates']} random orders of drivers"
    console.print(
        f"{attrs['samples']:,} samples, seed {attrs['seed']}, {how}; {unit.unit}, all years. "
        "From what each partner would have at plan to what it may expect, part by part; then what "
        "each part adds to the spread, and to the loss in the worst outcomes."
    )
    for name in names:
        console.print()
        console.print(headline(parts, name, unit))
        first = next((axis for axis in BY if f"position_mean_by_{axis}" in parts), "")
        drawn = waterfall(parts, name, first)
        if drawn is not None:
            console.print()
            print_whole(console, text_waterfall(drawn, unit))
            if drawn.others:
                console.print(Text(f"other: {', '.join(drawn.others)}", style="dim"))
        axes = [axis for axis in BY if f"position_mean_by_{axis}" in parts]
        tables = [_table(parts, name, axis, unit, level) for axis in axes]
        for table in tables:
            if table is not None:
                console.print()
                print_whole(console, table)
        if all(table is None for table in tables):
            rest = "" if name == SYSTEM else "; the system alone is split by partner"
            words = ", ".join(BY[axis] for axis in axes)
            console.print(f"By {words} there is one part of it alone{rest}.")
    console.print()
    console.print(
        Text(
            "alone: what a driver does with all else at plan; with others: what it does beyond "
            "that. sd: parts of the standard deviation, which add up; one below 0 makes the "
            f"position safer. worst {100 - level:g} %: means over the worst outcomes of the "
            "position, with their Monte Carlo standard error (±); other means have smaller ones. "
            "off plan: less what it is at plan.",
            style="dim",
        )
    )


def write_statistics(path: Path, parts: xr.Dataset) -> Path:
    """Write the statistics of an attribution, or of influence, with errors as a long CSV."""
    known = ("driver", "term", "line", "member", "partner", "year", "level")
    dims = dict.fromkeys([*known, *map(str, parts.dims)])
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("statistic", *dims, "value", "standard_error"))
        for name in parts.data_vars:
            if str(name).endswith("_error"):
                continue
            for at, value, error in figures(parts, str(name)):
                writer.writerow((name, *(at.get(dim, "") for dim in dims), value, error))
    return path


def shown_partners(parts: xr.Dataset, partners: tuple[str, ...]) -> list[str]:
    """Return the partners and groups to show: as named, or who is not outside, and the system."""
    names = [str(name) for name in parts.partner.values]
    for name in partners:
        if name not in names:
            raise ArgumentError(f"partner is {name!r}; accepted: {', '.join(names)}")
    if partners:
        return list(partners)
    kinds = dict(zip(names, parts.kind.values.tolist(), strict=True))
    return [n for n in names if kinds[n] not in ("external", "group") or n == SYSTEM]


def money_of(case: Case, parts: xr.Dataset, partners: list[str]) -> MoneyFormat:
    """Return the unit in which the positions of partners are best read together."""
    of = parts.sel(year=ALL_YEARS, partner=partners).isel(level=-1)
    amounts = (of.position_tail_value_at_risk, of.position_at_plan, of.position_mean)
    return readable(case.currency, np.concatenate([money.values for money in amounts]))


def headline(parts: xr.Dataset, name: str, unit: MoneyFormat) -> Text:
    """Return the way from plan to position in words, and what its spread and its tail are of."""
    at = parts.sel(partner=name, year=ALL_YEARS).isel(level=-1)
    mean, plan = float(at.position_mean), float(at.position_at_plan)
    text = Text()
    text.append(name, style="bold")
    text.append(f": {unit.spoken(plan)} at plan, {unit.spoken(mean)} on average")
    drivers = at.isel(driver=slice(2, None)) if "driver" in at.dims else None
    if drivers is not None and drivers.sizes["driver"]:
        moved = drivers.position_mean_by_driver
        spread = drivers.position_standard_deviation_by_driver
        tail = drivers.position_tail_value_at_risk_by_driver
        total = float(at.position_standard_deviation)
        if total > 0:
            first = str(moved.driver.values[int(np.abs(moved.values).argmax())])
            text.append(f", moved most by {first} ({unit.spoken(float(moved.sel(driver=first)))})")
            widest = str(spread.driver.values[int(spread.values.argmax())])
            share = 100 * float(spread.sel(driver=widest)) / total
            worst = str(tail.driver.values[int(tail.values.argmax())])
            loss = float(at.position_tail_value_at_risk)
            text.append(
                f". Most of its spread comes from {widest} ({share:.0f} % of the standard "
                f"deviation). In its worst outcomes it has {unit.spoken(-loss)} on average, "
                f"of which {unit.spoken(-float(tail.sel(driver=worst)))} by {worst}"
            )
    text.append(".")
    return text


def _table(
    parts: xr.Dataset, name: str, axis: str, unit: MoneyFormat, level: float
) -> Table | None:
    """Return the table of one partner and one axis; None where there is nothing to split."""
    at = parts.sel(partner=name).isel(level=-1)
    if axis == "driver":
        return _drivers(at.sel(year=ALL_YEARS), f"{name}, by driver, {unit.unit}", unit, level)
    whole = _whole(at.sel(year=ALL_YEARS))
    if axis == "year":
        at = at.drop_sel(year=ALL_YEARS).assign(whole)
    elif axis == "member":
        if name != SYSTEM:
            return None
        inside = [n for n in map(str, at.member.values) if _inside(parts, n)]
        at = at.sel(year=ALL_YEARS, member=inside).assign(whole)
    else:
        at = at.sel(year=ALL_YEARS).assign(whole)
    if at.sizes[axis] < 2:
        return None
    return _parts(at, axis, f"{name}, by {BY[axis]}, {unit.unit}", unit, level)


def _inside(parts: xr.Dataset, name: str) -> bool:
    return str(parts.kind.sel(partner=name).item()) != "external"


_STATISTICS = ("mean", "standard_deviation", "tail_value_at_risk", "tail_value_at_risk_error")


def _whole(at: xr.Dataset) -> dict[str, float]:
    """Return the figures of a position by name, as those of the row that parts add up to."""
    found = {f"whole_{name}": float(at[f"position_{name}"]) for name in _STATISTICS}
    return found | {"whole_at_plan": float(at.position_at_plan)}


def _drivers(at: xr.Dataset, head: str, unit: MoneyFormat, level: float) -> Table:
    worst = f"worst {100 - level:g} %"
    table = _empty(head, ("mean", "alone", "with others", "sd", worst, "±"))
    for row in map(str, at.driver.values):
        part = at.sel(driver=row)
        mean, spread, tail, error = (
            float(part[name])
            for name in (
                "position_mean_by_driver",
                "position_standard_deviation_by_driver",
                "position_tail_value_at_risk_by_driver",
                "position_tail_value_at_risk_by_driver_error",
            )
        )
        if row == "plan gap" and not mean:
            continue
        if row in ("plan", "plan gap"):
            table.add_row(row, unit.plain(mean), "", "", "", unit.plain(-tail), "")
            continue
        own = unit.plain(float(part.alone_mean)), unit.signed(float(part.interaction_mean))
        ends = unit.plain(spread), unit.plain(-tail), unit.plain(error)
        table.add_row(row, unit.plain(mean), *own, *ends)
    table.add_section()
    whole = _whole(at)
    table.add_row(
        "position",
        unit.plain(whole["whole_mean"]),
        "",
        "",
        unit.plain(whole["whole_standard_deviation"]),
        unit.plain(-whole["whole_tail_value_at_risk"]),
        unit.plain(whole["whole_tail_value_at_risk_error"]),
        style="bold",
    )
    return table


def _parts(at: xr.Dataset, axis: str, head: str, unit: MoneyFormat, level: float) -> Table:
    """Return the table of terms, lines, years or members: the tail as what it is off plan."""
    worst = f"worst {100 - level:g} % off plan"
    table = _empty(head, ("at plan", "mean off plan", "sd", worst, "±"))

    def cells(plan: float, figures: list[float]) -> list[str]:
        mean, spread, tail, error = figures
        moved = unit.signed(mean - plan), unit.plain(spread), unit.signed(-tail - plan)
        return [unit.plain(plan), *moved, unit.plain(error)]

    for row in map(str, at[axis].values):
        part = at.sel({axis: row})
        plan = float(part[f"position_at_plan_by_{axis}"])
        figures = [
            float(part[f"position_{name.removesuffix('_error')}_by_{axis}{ending}"])
            for name in _STATISTICS
            for ending in ("_error" if name.endswith("_error") else "",)
        ]
        shown = cells(plan, figures)
        if any(cell != unit.plain(0.0) for cell in shown):
            table.add_row(row, *shown)
    table.add_section()
    whole = [float(at[f"whole_{name}"]) for name in _STATISTICS]
    table.add_row("position", *cells(float(at.whole_at_plan), whole), style="bold")
    return table


def _empty(head: str, columns: tuple[str, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(Text(head, style="bold"), no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table
