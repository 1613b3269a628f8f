"""The report of stress scenarios and of scenario discovery: what moves, what stops holding."""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from riskshare.case import Case
from riskshare.names import ALL_YEARS, LEVEL
from riskshare.report.money import MoneyFormat, number, readable
from riskshare.report.whole import print_whole

_MOST_BOXES = 8
"""Boxes that are printed; the dataset holds them all."""


def print_stress(console: Console, case: Case, table: xr.Dataset) -> None:
    """Print what each scenario does to each partner, then the targets that stop holding."""
    at = table.sel(year=ALL_YEARS)
    names = _reported(case, at)
    unit = readable(case.currency, at.difference_mean.sel(partner=names).values.ravel())
    console.print(Text(f"{case.title or case.name}: stress scenarios", style="bold"))
    console.print(
        f"{table.attrs['samples']:,} samples, seed {table.attrs['seed']}; {unit.unit}, nominal, "
        "all years. Differences are taken sample by sample from the draws as they are."
    )
    for part in _tables(at, names, unit):
        console.print()
        print_whole(console, part)
    console.print(
        Text(
            "± greatest Monte Carlo standard error in the row. shock, trend: what happens moves, "
            "plan and budgets stay. benchmark: plan and stated budgets are too high, what happens "
            "stays. coding, late: settled on what is recorded, cost is that of what happened. "
            "numbers: the case itself is another.",
            style="dim",
        )
    )
    if "target" in table.dims:
        console.print()
        for line in _targets(table, case):
            console.print(line)


def _reported(case: Case, at: xr.Dataset) -> list[str]:
    """Return partners, then groups that are not the same as one of them or of those before."""
    outside = {partner.name for partner in case.partners if partner.kind == "external"}
    inside = [partner.name for partner in case.partners if partner.name not in outside]
    names = list(inside)
    for name in map(str, at.partner.values):
        if name in names or name in outside:
            continue
        mean = at.position_mean.sel(partner=name).values
        if not any(np.array_equal(mean, at.position_mean.sel(partner=n).values) for n in names):
            names.append(name)
    return names


def _tables(at: xr.Dataset, names: list[str], unit: MoneyFormat) -> Iterator[Table]:
    yield _differences(at, names, unit, f"change of mean, {unit.unit}", at.difference_mean)
    levels = at[LEVEL].values
    low = int(np.argmin(np.abs(levels - 0.05)))
    if np.isclose(levels[low], 0.05):
        quantile = at.difference_quantile.isel({LEVEL: low})
        yield _differences(at, names, unit, f"change of the 5 % quantile, {unit.unit}", quantile)
    yield _deficits(at, names)


def _table(*heads: str) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for place, head in enumerate(heads):
        shown.add_column(
            Text(head, style="bold") if place == 0 else head,
            justify="left" if place == 0 else "right",
            no_wrap=True,
        )
    return shown


def _differences(
    at: xr.Dataset, names: list[str], unit: MoneyFormat, head: str, values: xr.DataArray
) -> Table:
    errors = at[f"{values.name}_error"]
    if LEVEL in errors.dims:
        errors = errors.sel({LEVEL: values[LEVEL]})
    shown = _table(head, *names, "±")
    for name in map(str, at.scenario.values[1:]):
        row, error = (part.sel(scenario=name, partner=names) for part in (values, errors))
        cells = [unit.signed(float(amount)) for amount in row.values]
        shown.add_row(name, *cells, _small(unit, float(np.nanmax(error.values))))
    return shown


def _deficits(at: xr.Dataset, names: list[str]) -> Table:
    chance, error = at.position_probability_of_deficit, at.position_probability_of_deficit_error
    kept = [name for name in names if np.isfinite(chance.sel(partner=name).values).any()]
    shown = _table("P(deficit), %", *kept, "±")
    for name in map(str, at.scenario.values):
        row = chance.sel(scenario=name, partner=kept)
        widest = np.nanmax(error.sel(scenario=name, partner=kept).values)
        shown.add_row(name, *(f"{100 * float(c):.1f}" for c in row.values), f"{100 * widest:.1f}")
    return shown


def _targets(table: xr.Dataset, case: Case) -> Iterator[Text]:
    """Yield a line for each target, and one for each scenario in which it stops holding."""
    for target in map(str, table.target.values):
        at = table.sel(target=target)
        first = at.isel(scenario=0)
        word = "holds" if bool(first.target_met) else "does not hold"
        text = Text(target, style="bold")
        text.append(f"  {word} on the draws as they are: {_value(first, target, case)}", "not bold")
        yield text
        failing = [s for s in at.scenario.values[1:] if not bool(at.target_met.sel(scenario=s))]
        if bool(first.target_met):
            for name in map(str, failing):
                yield Text(
                    f"  stops holding: {name}: {_value(at.sel(scenario=name), target, case)}"
                )
            if not failing:
                yield Text("  holds in every scenario")
        else:
            meeting = [str(s) for s in at.scenario.values[1:] if s not in failing]
            yield Text(f"  holds in: {', '.join(meeting) or 'none of the scenarios'}")


def _value(at: xr.Dataset, target: str, case: Case) -> str:
    value, error = float(at.target_value), float(at.target_value_error)
    if target.startswith("position_probability"):
        return f"{100 * value:.2f} % ± {100 * error:.2f}"
    unit = readable(case.currency, [value])
    return f"{unit.spoken(value)} ± {_small(unit, error)}"


def _small(unit: MoneyFormat, error: float) -> str:
    """Return an error, never as nothing where there is one."""
    shown = unit.plain(error)
    if error > 0 and not shown.strip("0.,"):
        return f"<{unit.plain(10.0**-unit.places * unit.scale)}"
    return shown


def print_discovery(console: Console, found: xr.Dataset) -> None:
    """Print how much of the ranges of belief fails, and the boxes that say where."""
    attrs = found.attrs
    console.print(Text("Where it stops holding", style="bold"))
    told = " and ".join(map(str, found.condition.values))
    doubtful = float(found.doubtful.mean())
    console.print(
        f"{told}: fails at {100 * attrs['failing']:.1f} % of {attrs['points']:,} points of the "
        f"ranges of belief ({attrs['samples']:,} samples each; {100 * doubtful:.1f} % lie within "
        "two standard errors of the limit)."
    )
    if not found.sizes["box"]:
        console.print("No box of the ranges holds mostly failing points.")
        return
    shown = _table("box", "coverage, %", "±", "density, %", "±", "where")
    for place in range(min(found.sizes["box"], _MOST_BOXES)):
        at = found.isel(box=place)
        shown.add_row(
            str(place + 1),
            *(
                f"{100 * float(at[name]):.1f}"
                for name in ("coverage", "coverage_error", "density", "density_error")
            ),
            _where(at),
        )
    shown.columns[-1].justify = "left"
    shown.columns[-1].no_wrap = False
    left = found.sizes["box"] - _MOST_BOXES
    more = f"and {left} more boxes. " if left > 0 else ""
    shown.caption = Text(
        f"{more}All boxes together: coverage {100 * attrs['coverage']:.1f} %, density "
        f"{100 * attrs['density']:.1f} %. Coverage: share of failing points that lie in the box. "
        f"Density: share of its points that fail. Both on {attrs['judged_on']:,} points that the "
        "search has not seen.",
        style="dim",
    )
    shown.caption_justify = "left"
    print_whole(console, shown)


def _where(at: xr.Dataset) -> str:
    """Return the limits of a box in words, those of the whole range left out."""
    told = []
    for path in map(str, at.belief.values):
        one = at.sel(belief=path)
        if not bool(one.restricted):
            continue
        low, high = float(one.low), float(one.high)
        below, above = low > float(one.belief_low), high < float(one.belief_high)
        if below and above:
            told.append(f"{path} from {_short(low)} to {_short(high)}")
        else:
            told.append(f"{path} above {_short(low)}" if below else f"{path} below {_short(high)}")
    return "\n".join(told) or "everywhere"


def _short(value: float) -> str:
    return number(float(f"{value:.4g}"), 6)
