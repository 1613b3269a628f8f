"""The reports of sensitivities and of a calibration."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from riskshare.analysis.calibration import Calibration
from riskshare.case import Case
from riskshare.names import ALL_YEARS
from riskshare.report.money import MoneyFormat, number, readable
from riskshare.report.whole import print_whole

_SHARE = 0.01
"""What numbers are moved by in the report, as a share of themselves; those at 0 by 0.01."""

_WORDS = {
    "mean": "mean",
    "standard_deviation": "sd",
    "quantile": "5 %",
    "tail_value_at_risk": "TVaR 95",
    "probability_of_deficit": "P(deficit)",
}


def print_sensitivities(console: Console, case: Case, table: xr.Dataset, most: int) -> None:
    """Print, for each partner, the numbers that move its result most, by a hundredth each."""
    at = table.sel(year=ALL_YEARS)
    unit = readable(case.currency, (at.position_mean_derivative * _steps(at)).values.ravel())
    console.print(Text(f"{case.title or case.name}: sensitivities", style="bold"))
    console.print(
        f"{table.attrs['samples']:,} samples, seed {table.attrs['seed']}; {unit.unit}, nominal, "
        "all years: what each number does if it alone rises by a hundredth of itself (by 0.01 "
        "where it is 0). First those that move the mean, or the 5 % quantile, most."
    )
    for name in map(str, table.partner.values):
        shown = _partner_table(at.sel(partner=name), name, unit, most)
        if shown is not None:
            console.print()
            print_whole(console, shown)
    console.print(
        Text(
            "sd: standard deviation. 5 %: quantile. TVaR 95: mean loss in the worst 5 % of "
            "outcomes. P(deficit) in percentage points. ± standard error of the mean's change. "
            "* through a gate or a jump, smoothed. ~ by differences of two runs.",
            style="dim",
        )
    )


def _steps(at: xr.Dataset) -> xr.DataArray:
    size = np.abs(at.value.values)
    return xr.DataArray(np.where(size > 0, _SHARE * size, 0.01), dims="path")


def _partner_table(at: xr.Dataset, name: str, unit: MoneyFormat, most: int) -> Table | None:
    steps = _steps(at)
    low = at.position_quantile_derivative.sel(level=0.05) * steps
    effect = np.maximum(np.abs(at.position_mean_derivative * steps), np.abs(low)).fillna(0.0)
    order = [i for i in np.argsort(-effect.values, kind="stable") if effect.values[i] > 0][:most]
    if not order:
        return None
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    shown.add_column(Text(f"{name}, {unit.unit}", style="bold"), overflow="fold")
    shown.add_column("now", justify="right", no_wrap=True)
    for column in ("mean", "±", "sd", "5 %", "TVaR 95", "P(deficit)"):
        shown.add_column(column, justify="right", no_wrap=True)
    for i in order:
        row, step = at.isel(path=i), float(steps[i])

        def moved(variable: str, row: xr.Dataset = row, step: float = step, **at: float) -> float:
            return float(row[variable].sel(at)) * step

        chance = 100 * moved("position_probability_of_deficit_derivative")
        cells = [
            unit.signed(moved("position_mean_derivative")),
            unit.plain(moved("position_mean_derivative_error")),
            unit.signed(moved("position_standard_deviation_derivative")),
            unit.signed(moved("position_quantile_derivative", level=0.05)),
            unit.signed(moved("position_tail_value_at_risk_derivative", level=0.95)),
            "-" if np.isnan(chance) else f"{chance:+.2f}",
        ]
        mark = {"smoothed": " *", "differences": " ~", "none": " -"}
        method = str(row.method.sel(statistic="mean").values)
        label = Text(f"{row.path.values}{mark.get(method, '')}")
        shown.add_row(label, number(float(row.value)), *cells)
    return shown


def print_calibration(console: Console, case: Case, found: Calibration) -> None:
    """Print what a calibration came to: the numbers, and what was stated."""
    table = found.table
    console.print(Text(f"{case.title or case.name}: calibration", style="bold"))
    console.print(
        Text(
            f"{found.status}: {found.message}. {table.attrs['samples']:,} samples, seed "
            f"{table.attrs['seed']}, {table.attrs['evaluations']} evaluations."
        )
    )
    console.print()
    print_whole(console, _numbers(table))
    console.print()
    print_whole(console, _statements(table))
    console.print(
        Text(
            "±: what Monte Carlo errors leave open. binds: holds with nothing to spare. price: "
            "what is minimised gains for each unit that a statement gives way.",
            style="dim",
        )
    )


def _numbers(table: xr.Dataset) -> Table:
    shown = _plain_table("number", ("in the case", "calibrated", "±", "bounds", ""))
    for path in table.path.values:
        row = table.sel(path=path)
        shown.add_row(
            Text(str(path)),
            _amount(float(row.start)),
            _amount(float(row.number)),
            f"{float(row.number_error):.2g}" if np.isfinite(row.number_error) else "-",
            f"{number(float(row.lower))} to {number(float(row.upper))}",
            "at its bound" if bool(row.at_bound) else "",
        )
    return shown


def _statements(table: xr.Dataset) -> Table:
    shown = _plain_table("stated", ("value", "±", "at least", "at most", "", "price", "gives way"))
    free = set(map(str, table.path.values))
    for name in table.statement.values:
        if str(name) in free:
            continue  # a number that is made least stands above
        row = table.sel(statement=name)
        ends = np.array([row.value, row.at_least, row.at_most, 100 * row.value_error])
        # a share or a probability, which has no money to be rounded to
        size = 6 if np.abs(ends[np.isfinite(ends)]).max(initial=0.0) < 10 else 0
        shown.add_row(
            Text(str(name)),
            number(float(row.value), size),
            f"{float(row.value_error):.2g}",
            *(_limit(float(row[end]), size) for end in ("at_least", "at_most")),
            "binds" if bool(row.binding) else "",
            number(float(row.shadow_price)),
            number(float(row.relaxation), size) if float(row.relaxation) else "",
        )
    return shown


def _amount(value: float) -> str:
    return number(value, 0 if abs(value) >= 1000 else 4)


def _limit(value: float, places: int) -> str:
    return number(value, places) if np.isfinite(value) else ""


def _plain_table(first: str, columns: Sequence[str]) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    shown.add_column(first, overflow="fold")
    for column in columns:
        shown.add_column(column, justify="right", no_wrap=True)
    return shown
