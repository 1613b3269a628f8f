"""Waterfalls: the way from plan to position, part by part, on average and in the worst outcomes."""

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from rich import box
from rich.table import Table
from rich.text import Text

from riskshare.names import ALL_YEARS, DRIVER, PARTNER, SYSTEM, YEAR
from riskshare.report.money import MoneyFormat

Floats = NDArray[np.float64]

MOST = 12
"""Parts shown one by one at most."""
SMALL = 0.005
"""Share of the largest effect below which a part is shown with others like it."""
_NOTHING = 1e-6
"""Share of the position, or of the largest effect, below which a part is rounding and left out."""
_BAR = 36
"""Characters of a bar in text."""

BY = {DRIVER: "driver", "term": "term", "line": "line", YEAR: "year", "member": "partner"}
"""What positions may be split by, as people say it."""


@dataclass(frozen=True)
class Way:
    """One way from plan to position: ``start + sum of effects = end``.

    Parameters
    ----------
    words
        Which position: ``on average``, ``in the worst 5 %``.
    errors
        Standard errors of effects; of parts shown together the sum of theirs, which theirs together
        does not exceed.
    """

    words: str
    start: float
    effects: tuple[float, ...]
    errors: tuple[float, ...]
    end: float
    end_error: float

    def levels(self) -> tuple[float, ...]:
        """Return where the way stands before the first part and after each."""
        return tuple(accumulate(self.effects, initial=self.start))

    def range(self) -> tuple[float, float]:
        """Return the ends of an axis that holds the way with its errors, and 0 where it is near."""
        errors = np.nan_to_num([0.0, *self.errors, self.end_error])
        levels = np.array([*self.levels(), self.end])
        ends = [*(levels - errors).tolist(), *(levels + errors).tolist()]
        low, high = min(ends), max(ends)
        span = (high - low) or abs(high) or 1.0
        return (0.0 if 0 < low < span else low), (0.0 if -span < high < 0 else high)


@dataclass(frozen=True)
class Waterfall:
    """The ways of one partner along one axis, over all years.

    Parameters
    ----------
    names
        Of the parts, in their order; those too small to be shown apart come last, as ``other``.
    others
        What that one holds.
    """

    partner: str
    axis: str
    names: tuple[str, ...]
    ways: tuple[Way, ...]
    others: tuple[str, ...]

    @property
    def head(self) -> str:
        """What it is, in words."""
        return f"{self.partner}, from plan to position by {BY[self.axis]}"


def waterfall(parts: xr.Dataset, partner: str, axis: str) -> Waterfall | None:
    """Return the waterfall of a partner along an axis; None where there is nothing to split.

    Parameters
    ----------
    parts
        Of `riskshare.attribute`; the highest of its levels is shown.
    """
    if f"position_mean_by_{axis}" not in parts or (axis == "member" and partner != SYSTEM):
        return None
    here = {PARTNER: partner} if axis != "member" else {}
    whole = parts.sel({PARTNER: partner, YEAR: ALL_YEARS}).isel(level=-1)
    at = parts.sel(here).isel(level=-1)
    at = at.drop_sel(year=ALL_YEARS) if axis == YEAR else at.sel(year=ALL_YEARS)
    names = [str(name) for name in at[axis].values]
    start = float(whole.position_at_plan)
    planned: Floats = np.zeros(len(names))
    if axis == DRIVER:
        names, at = names[1:], at.isel(driver=slice(1, None))  # the first of them is the plan
        planned = planned[1:]
    else:
        planned = at[f"position_at_plan_by_{axis}"].values
    if len(names) < (1 if axis == DRIVER else 2):
        return None
    worst = f"in the worst {100 * (1 - float(whole.level)):.10g} %"
    ways = tuple(
        Way(
            words,
            start,
            tuple((sign * at[f"{name}_by_{axis}"].values - planned).tolist()),
            tuple(at[f"{name}_by_{axis}_error"].values.tolist()),
            sign * float(whole[name]),
            float(whole[f"{name}_error"]),
        )
        for words, name, sign in (
            ("on average", "position_mean", 1.0),
            (worst, "position_tail_value_at_risk", -1.0),
        )
    )
    return _together(partner, axis, names, ways)


def _together(partner: str, axis: str, names: list[str], ways: tuple[Way, ...]) -> Waterfall:
    """Return the waterfall with parts that are small everywhere, or too many, as one."""
    effects: Floats = np.abs(np.array([way.effects for way in ways], np.float64))
    scale = np.array([max(abs(way.start), abs(way.end), effects.max()) for way in ways])
    acts = np.any(effects > _NOTHING * scale[:, None], axis=0)
    size = (effects / np.where(scale > 0, effects.max(1), 1.0).clip(1e-300)[:, None]).max(0)
    order = [int(i) for i in np.argsort(-size, kind="stable") if acts[i]]
    small = [i for place, i in enumerate(order) if place >= MOST or size[i] < SMALL]
    small = sorted(small) if len(small) > 1 else []
    shown = sorted(set(order) - set(small))

    def joined(way: Way) -> Way:
        rest = ([sum(way.effects[i] for i in small)], [sum(way.errors[i] for i in small)])
        own = [way.effects[i] for i in shown], [way.errors[i] for i in shown]
        if small:
            own = own[0] + rest[0], own[1] + rest[1]
        return Way(way.words, way.start, tuple(own[0]), tuple(own[1]), way.end, way.end_error)

    last = [f"other ({len(small)})"] if small else []
    return Waterfall(
        partner,
        axis,
        (*(names[i] for i in shown), *last),
        tuple(joined(way) for way in ways),
        tuple(names[i] for i in small),
    )


def text_waterfall(of: Waterfall, unit: MoneyFormat) -> Table:
    """Return the way to the mean as a table with a bar in each row."""
    way = of.ways[0]
    low, high = way.range()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(
        Text(f"{of.partner}, plan to position, {unit.unit}", style="bold"), no_wrap=True
    )
    for head in ("mean", "±"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column(
        f"{unit.plain(low)} to {unit.plain(high)}", no_wrap=True, min_width=_BAR, max_width=_BAR
    )

    def place(money: float) -> int:
        return round((money - low) / (high - low) * _BAR) if high > low else 0

    def total(money: float) -> str:
        """Return a bar from 0; where 0 is not on the axis, the place alone."""
        ends = sorted((place(0.0) if low <= 0 <= high else place(money), place(money)))
        return " " * min(ends[0], _BAR - 1) + "█" * max(ends[1] - ends[0], 1)

    table.add_row("at plan", unit.plain(way.start), "", total(way.start))
    levels = way.levels()
    for name, effect, error, before, after in zip(
        of.names, way.effects, way.errors, levels[:-1], levels[1:], strict=True
    ):
        first, last = sorted((place(before), place(after)))
        bar = " " * min(first, _BAR - 1) + ("+" if effect > 0 else "-") * max(last - first, 1)
        table.add_row(name, unit.signed(effect), unit.error(error), bar)
    mean = unit.plain(way.end), unit.error(way.end_error)
    table.add_section()
    table.add_row("position", *mean, total(way.end), style="bold")
    return table
