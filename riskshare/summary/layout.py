"""Which series a summary needs, as the numbers with which the kernel reduces a block."""

from dataclasses import dataclass, replace

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

    A row of results is one partner's position, or other position, in one year. ``weights`` has
    shape (series, row); ``position`` and ``total`` hold the series of each year and partner of the
    summary.
    """

    axes: Axes
    weights: Floats
    position: NDArray[np.intp]
    total: NDArray[np.intp]
    chances: Chances
    """Of positions below target."""
    total_chances: Chances
    moments_of_total: bool
    holders: NDArray[np.intp]
    """Partners of the summary that have a reserve."""
    openings: Floats
    """(year, holder): opening reserve, and what rounding may hide so far."""
    balances: Floats
    """(year, holder, row)"""

    @classmethod
    def of(cls, outcomes: xr.Dataset, axes: Axes) -> "Layout":
        """Return the layout for outcomes like these, whose samples do not matter."""
        others = _stated(outcomes)
        years, partners = outcomes.sizes[YEAR], outcomes.sizes[PARTNER]
        columns = [np.eye(partners), np.eye(partners)[:, others]]
        yearly, summed = (np.broadcast_to(one.values, years) for one in (axes.yearly, axes.summed))
        counted = np.concatenate([np.diag(yearly), summed[None]])
        position = _weights(axes, counted, columns, with_others=False)
        total = _weights(axes, counted, columns, with_others=True)
        both = np.concatenate([position, total]).reshape(-1, position.shape[-1])
        weights, place = np.unique(both, axis=0, return_inverse=True)
        at = place.reshape(2, *position.shape[:2])
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
            weights,
            at[0],
            at[1],
            {"probability_of_deficit": _counted(axes, limit)},
            total_chances,
            bool(others.size),
            *_balances(outcomes, axes, resolution, columns),
        )

    def thresholds(self) -> list[Floats]:
        """Return the thresholds of each series, ascending."""
        found: list[list[float]] = [[] for _ in self.weights]
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


def _weights(axes: Axes, counted: Floats, columns: list[Floats], with_others: bool) -> Floats:
    """Return (year, partner of the summary, row): what each row counts for in each series."""
    parts = []
    for column, used in zip(columns, (True, with_others), strict=True):
        by_row = axes.members @ column * used
        part = counted[:, None, :, None] * by_row[None, :, None, :]
        parts.append(part.reshape(*part.shape[:2], -1))
    return np.concatenate(parts, axis=-1)


def _counted(axes: Axes, limits: Floats) -> Floats:
    """Return limits of those that may have a deficit, NaN for the others."""
    return np.where(np.isin(axes.kinds, WITHOUT_DEFICIT), np.nan, limits)


def _balances(
    outcomes: xr.Dataset, axes: Axes, resolution: xr.DataArray, columns: list[Floats]
) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Return who has a reserve, what it opens with by year, and what is added to it."""
    years, rows = outcomes.sizes[YEAR], sum(column.shape[1] for column in columns)
    if "opening_reserve" not in outcomes.coords:
        return np.zeros(0, np.intp), np.zeros((years, 0)), np.zeros((years, 0, years * rows))
    opening = axes.reserves(outcomes["opening_reserve"]).values
    nominal = axes.nominal()
    slack = np.cumsum(nominal.total(resolution).values[:years], axis=0)
    may = np.isfinite(opening) & ~np.isin(axes.kinds, WITHOUT_DEFICIT)
    holders = np.flatnonzero(may)
    so_far = np.tril(np.ones((years, years)))
    own = replace(axes, members=axes.members[holders])
    return holders, (opening + slack)[:, holders], _weights(own, so_far, columns, True)
