"""Which series a summary needs, as the numbers with which the kernel reduces a block."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.names import PARTNER, YEAR
from riskshare.statistics import Floats
from riskshare.summary.axes import WITHOUT_DEFICIT, Axes

Chances = dict[str, Floats]
"""By name of a probability, the thresholds on (year, partner) of the summary."""


@dataclass(frozen=True)
class Layout:
    """The series of a summary, each once, and where each row of the summary finds its own.

    A row of results is one partner's position, or other position, in one year. What is looked at in
    a year are those positions and sums of rows; series are these in each year and, where that is
    not a year over again, in all of them together.
    """

    axes: Axes
    sums: Floats
    """(sum, row)"""
    yearly: Floats
    """(year): what money of a year counts for in its own row."""
    together: Floats
    """(1, year), what it counts for in the row of all years, or (0, year)."""
    position: NDArray[np.intp]
    """(year, partner) of the summary: the series of the position there."""
    total: NDArray[np.intp]
    """The same of the total."""
    chances: Chances
    """Of positions below target."""
    total_chances: Chances
    moments_of_total: bool
    holders: NDArray[np.intp]
    """Partners of the summary that have a reserve."""
    openings: Floats
    """(year, holder): opening reserve, and what rounding may hide so far."""
    balances: NDArray[np.intp]
    """(holder): its total among the positions and sums of a year."""

    @classmethod
    def of(cls, outcomes: xr.Dataset, axes: Axes) -> "Layout":
        """Return the layout for outcomes like these, whose samples do not matter."""
        others = _stated(outcomes)
        years, partners = outcomes.sizes[YEAR], outcomes.sizes[PARTNER]
        position = np.hstack([axes.members, np.zeros((len(axes.members), len(others)))])
        total = np.hstack([axes.members, axes.members[:, others]])
        # members of the summary begin with each partner by itself
        rows, place = _distinct(np.concatenate([position, total]))
        of_position, of_total = place.reshape(2, -1)
        yearly, summed = (np.broadcast_to(one.values, years) for one in (axes.yearly, axes.summed))
        spans, span = _distinct(np.concatenate([np.diag(yearly), summed[None]]))
        at = span[:, None] * len(rows)
        resolution = outcomes.get("resolution", xr.zeros_like(outcomes["target"]))
        limit = axes.total(outcomes["target"] - resolution).values
        total_chances: Chances = {}
        if others.size:
            total_chances["probability_of_missing_target"] = _counted(axes, limit)
        if "duty" in outcomes.coords:
            duty = axes.total(outcomes["duty"] - resolution).values
            total_chances["probability_of_breaching_duty"] = _counted(axes, duty)
        return cls(
            axes,
            rows[partners:],
            yearly,
            spans[years:],
            at + of_position,
            at + of_total,
            {"probability_of_deficit": _counted(axes, limit)},
            total_chances,
            bool(others.size),
            *_balances(outcomes, axes, resolution, of_total),
        )

    @property
    def series(self) -> int:
        """Return how many series there are."""
        partners = self.axes.members.shape[1]
        return (len(self.yearly) + len(self.together)) * (partners + len(self.sums))

    def thresholds(self) -> list[Floats]:
        """Return the thresholds of each series, ascending."""
        found: list[list[float]] = [[] for _ in range(self.series)]
        for chances, at in ((self.chances, self.position), (self.total_chances, self.total)):
            for limits in chances.values():
                for place in np.argwhere(np.isfinite(limits)):
                    found[at[tuple(place)]].append(limits[tuple(place)])
        return [np.unique(limits) for limits in found]


def _stated(outcomes: xr.Dataset) -> NDArray[np.intp]:
    """Return the partners that state the rest of their organisation."""
    if "other_position" not in outcomes:
        return np.zeros(0, np.intp)
    held = outcomes["other_position"].transpose(YEAR, PARTNER, ...).values
    return np.flatnonzero(np.isfinite(held).any(axis=(0, 2)))


def _distinct(rows: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Return rows that differ, in the order in which they come, and where each one is."""
    _, first, place = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return rows[first[order]], np.argsort(order)[place.ravel()]


def _counted(axes: Axes, limits: Floats) -> Floats:
    """Return limits of those that may have a deficit, NaN for the others."""
    return np.where(np.isin(axes.kinds, WITHOUT_DEFICIT), np.nan, limits)


def _balances(
    outcomes: xr.Dataset, axes: Axes, resolution: xr.DataArray, totals: NDArray[np.intp]
) -> tuple[NDArray[np.intp], Floats, NDArray[np.intp]]:
    """Return who has a reserve, what it opens with by year, and which total is added to it."""
    years, nobody = outcomes.sizes[YEAR], np.zeros(0, np.intp)
    if "opening_reserve" not in outcomes.coords:
        return nobody, np.zeros((years, 0)), nobody
    opening = axes.reserves(outcomes["opening_reserve"]).values
    nominal = axes.nominal()
    slack = np.cumsum(nominal.total(resolution).values[:years], axis=0)
    may = np.isfinite(opening) & ~np.isin(axes.kinds, WITHOUT_DEFICIT)
    holders = np.flatnonzero(may)
    return holders, (opening + slack)[:, holders], totals[holders]
