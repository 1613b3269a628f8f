"""The report of `riskshare.clauses`: what binds how often, and what effort pays, as tables."""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from riskshare.case import Case
from riskshare.names import ALL_YEARS
from riskshare.parameters import split_path
from riskshare.report.money import MoneyFormat, exact, number, readable
from riskshare.report.whole import print_whole


def print_clauses(console: Console, case: Case, found: xr.Dataset) -> None:
    """Print how often terms and numbers bind, the gates, and what effort pays in each band."""
    console.print(Text(f"{case.title or case.name}: what binds, what effort pays", style="bold"))
    of = str(found.attrs["of"])
    console.print(
        f"{found.attrs['samples']:,} samples, seed {found.attrs['seed']}. Outcomes are put in "
        f"order by the position of {of} over all years."
    )
    for part in _tables(case, found):
        console.print()
        print_whole(console, part)
    console.print(
        Text(
            "± Monte Carlo standard error. Binds: money moves with the number. Near: within "
            f"{100 * found.attrs['window']:g} % of the gate's base, either way. Effort: "
            f"{100 * found.attrs['effort']:g} % of a line's plan avoided, or of unit cost saved, "
            "in every year.",
            style="dim",
        )
    )


def _tables(case: Case, found: xr.Dataset) -> Iterator[Table]:
    yield _terms(found)
    if found.sizes["number"]:
        yield _numbers(found)
    if found.sizes["gate"]:
        yield _gates(case, found)
    if found.sizes["line"]:
        yield _avoided(case, found)
        yield _saved(case, found)
    if bool((found.luck_paid.fillna(0) > 0).any()):
        yield _luck(case, found)


def _table(*heads: str, caption: str = "") -> Table:
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for place, head in enumerate(heads):
        shown.add_column(
            Text(head, style="bold") if place == 0 else head,
            justify="left" if place == 0 else "right",
            no_wrap=True,
        )
    if caption:
        shown.caption, shown.caption_justify = Text(caption, style="dim"), "left"
    return shown


def _percent(share: float) -> str:
    if np.isnan(share):
        return "-"
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 < share < 1:
        return ">99.9 %"
    return f"{100 * share:.1f} %"


def _error(share: float) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.2f}"


def _years(found: xr.Dataset) -> list[str]:
    """Return years to show apart: none where there is one."""
    years = [str(year) for year in found.year.values if year != ALL_YEARS]
    return years if len(years) > 1 else []


def _terms(found: xr.Dataset) -> Table:
    years = _years(found)
    shown = _table("term moves money in", *years, "any year", "±", "receives", "pays")
    for name in map(str, found.term.values):
        at = found.sel(term=name)
        cells = [_percent(float(at.term_probability.sel(year=year))) for year in years]
        every = at.sel(year=ALL_YEARS)
        shown.add_row(
            name,
            *cells,
            _percent(float(every.term_probability)),
            _error(float(every.term_probability_error)),
            _who(every.receives_probability),
            _who(every.pays_probability),
        )
    return shown


def _who(chance: xr.DataArray) -> str:
    """Return partners with how often each is concerned, those never concerned left out."""
    told = [
        str(name) if share == 1 else f"{name} {_percent(float(share))}"
        for name, share in zip(chance.partner.values, chance.values, strict=True)
        if share > 0
    ]
    return ", ".join(told) or "nobody"


def _numbers(found: xr.Dataset) -> Table:
    years = _years(found)
    shown = _table("number binds in", "value", *years, "any year", "±")
    always, never = 0, dict[str, int]()
    for name in map(str, found.number.values):
        at = found.sel(number=name)
        certain = at.number_probability.isin([0, 1]).all() & at.number_probability.any()
        if bool(certain):  # in every draw of the years it is of
            always += 1
            continue
        if not bool(at.number_probability.any()):
            head = split_path(name)[0]
            never[head] = never.get(head, 0) + 1
            continue
        cells = [_percent(float(at.number_probability.sel(year=year))) for year in years]
        every = at.sel(year=ALL_YEARS)
        shown.add_row(
            name,
            number(float(at.number_value)),
            *cells,
            _percent(float(every.number_probability)),
            _error(float(every.number_probability_error)),
        )
    rest = [f"{always} {'number' if always == 1 else 'numbers'} in every draw"] if always else []
    if never:
        told = ", ".join(f"{k} ({n} of its numbers)" if n > 1 else k for k, n in never.items())
        rest.append(f"in none: {told}")
    if rest:
        shown.caption, shown.caption_justify = Text("; ".join(rest), style="dim"), "left"
    return shown


def _gates(case: Case, found: xr.Dataset) -> Table:
    every = found.sel(year=ALL_YEARS)
    unit = readable(case.currency, every.gate_height.values.ravel())
    names = _organisations(case)
    heads = ("P(near), any year", "±", f"height, {unit.unit}", *names)
    shown = _table(
        "gate",
        "value",
        *heads,
        caption=f"Then what passing it does to positions, {unit.unit}, mean over outcomes near it.",
    )
    for name in map(str, found.gate.values):
        at = every.sel(gate=name)
        shown.add_row(
            name,
            number(float(at.gate_value)),
            _percent(float(at.gate_probability)),
            _error(float(at.gate_probability_error)),
            unit.plain(float(at.gate_height)),
            *(unit.plain(float(at.gate_jump.sel(partner=partner))) for partner in names),
        )
    return shown


def _organisations(case: Case) -> list[str]:
    return [partner.name for partner in case.partners if partner.kind != "external"]


def _avoided(case: Case, found: xr.Dataset) -> Table:
    names = [*_organisations(case), "system"]
    unit = exact(case.currency)
    shown = _table(
        f"one unit avoided, {unit.unit}",
        "outcomes",
        *names,
        "± at most",
        caption="What each unit of activity avoided does to positions, all years.",
    )
    for line in case.lines:
        at = found.sel(line=line.name, year=ALL_YEARS, partner=names)
        _bands(shown, f"{line.name} ({line.deliverer})", at, "activity_value", unit, names)
    return shown


def _saved(case: Case, found: xr.Dataset) -> Table:
    names = [*_organisations(case), "system"]
    unit = MoneyFormat(exact(case.currency).sign, 1.0, "", 2)
    shown = _table(
        f"{unit.unit}1 saved by",
        "outcomes",
        *names,
        "± at most",
        caption="What it does to positions, all years.",
    )
    for saver in map(str, found.saver.values):
        at = found.sel(saver=saver, year=ALL_YEARS, partner=names)
        _bands(shown, saver, at, "cost_value", unit, names)
    return shown


def _luck(case: Case, found: xr.Dataset) -> Table:
    every = found.sel(year=ALL_YEARS)
    unit = readable(case.currency, np.ravel([every.luck_paid.values, every.luck_charged.values]))
    shown = _table(
        f"by chance alone, {unit.unit}",
        *("P(paid)", "±", "mean paid", "±", "P(charged)", "±", "mean charged", "±"),
        caption="What sharing terms pay and charge over all years where only the lines' own chance "
        "moves.",
    )
    for name in _organisations(case):
        at = every.sel(partner=name)
        cells = []
        for side in ("paid", "charged"):
            chance = at[f"luck_probability_{side}"]
            cells += [_percent(float(chance)), _error(float(at[f"{chance.name}_error"]))]
            cells += [unit.plain(float(at[f"luck_{side}{end}"])) for end in ("", "_error")]
        shown.add_row(name, *cells)
    return shown


def _bands(
    shown: Table, lead: str, at: xr.Dataset, name: str, unit: MoneyFormat, names: list[str]
) -> None:
    """Add a row for each band; one alone where none differs from another as it is printed."""
    rows = []
    for band in map(str, at.band.values):
        values, errors = at[name].sel(band=band), at[f"{name}_error"].sel(band=band)
        cells = [unit.plain(float(values.sel(partner=partner))) for partner in names]
        known = errors.values[np.isfinite(errors.values)]
        rows.append((band, cells, unit.plain(float(known.max())) if len(known) else "-"))
    if all(cells == rows[0][1] for _, cells, _ in rows):
        rows = rows[-1:]
    for place, (band, cells, error) in enumerate(rows):
        shown.add_row(lead if place == 0 else "", band, *cells, error)
