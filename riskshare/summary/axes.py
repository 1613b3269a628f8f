"""Years and partners of a summary, and the series of samples that each of its rows sums."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.names import ALL_YEARS, GROUP, PARTNER, SAMPLE, SYSTEM, YEAR
from riskshare.statistics import Floats

Place = tuple[int, ...]
"""Where a series stands in the summary: further dimensions, year, partner."""

WITHOUT_DEFICIT = ("pool", "external")
"""Kinds of partners that have no chance of a deficit, a breach or an exhausted reserve."""

_GROUP_KIND = "group"
_INNER = (YEAR, PARTNER, SAMPLE)
_MONEY = ("target", "turnover", "duty")


class Arranged(NamedTuple):
    """Variables with the same further dimensions in front, year, partner and sample behind.

    ``weights`` (..., year of the summary, year): what money of a year counts for in each row.
    """

    extra: tuple[str, ...]
    weights: Floats
    values: tuple[NDArray[Any], ...]


@dataclass(frozen=True)
class Axes:
    """Years and partners of a summary, and which of the outcomes each of them sums.

    ``members`` has shape (partner of the summary, partner). Money of a year counts for ``yearly``
    in the row of its year and for ``summed`` in the row of all years; both on (..., year).
    """

    year_labels: tuple[Any, ...]
    partner_labels: tuple[Any, ...]
    kinds: tuple[str, ...]
    members: NDArray[np.bool_]
    yearly: xr.DataArray
    summed: xr.DataArray

    @classmethod
    def of(cls, outcomes: xr.Dataset, yearly: xr.DataArray, summed: xr.DataArray) -> "Axes":
        """Read the axes of outcomes; ``system`` comes before the other groups."""
        groups = sorted(outcomes[GROUP].values.tolist(), key=lambda name: name != SYSTEM)
        membership = outcomes["membership"].sel({GROUP: groups}).transpose(GROUP, PARTNER)
        return cls(
            (*outcomes[YEAR].values.tolist(), ALL_YEARS),
            (*outcomes[PARTNER].values.tolist(), *groups),
            (*outcomes["kind"].values.tolist(), *[_GROUP_KIND] * len(groups)),
            np.vstack(
                [np.eye(outcomes.sizes[PARTNER], dtype=bool), membership.values.astype(bool)]
            ),
            yearly,
            summed,
        )

    def nominal(self) -> "Axes":
        """Return the same axes, money of every year counting for itself."""
        ones = xr.ones_like(self.yearly)
        return replace(self, yearly=ones, summed=ones)

    def arranged(self, *variables: xr.DataArray) -> Arranged:
        """Broadcast variables, as views, to the further dimensions of any of them."""
        given = [variable.variable for variable in (*variables, self.yearly, self.summed)]
        extra = {k: n for one in given for k, n in one.sizes.items() if k not in _INNER}
        *values, yearly, summed = (_over(extra, one) for one in given)
        own = yearly[..., None, :] * np.eye(yearly.shape[-1])
        weights = np.concatenate([own, summed[..., None, :]], axis=-2)
        return Arranged(tuple(map(str, extra)), weights, tuple(values))

    def total(self, by_partner: xr.DataArray) -> xr.DataArray:
        """Return amounts on (year, partner) summed over members and years."""
        extra, weights, (values,) = self.arranged(by_partner)
        totals = np.empty((*weights.shape[:-1], len(self.members)))
        for place, total in series((values[..., None],), weights, self.members):
            totals[place] = total[0]
        return xr.DataArray(totals, dims=(*extra, YEAR, PARTNER))

    def reserves(self, opening: xr.DataArray) -> xr.DataArray:
        """Return opening reserves; a group's is NaN unless each organisation in it has one.

        Pools and external members need none.
        """
        amounts = opening.transpose(..., PARTNER)
        stated = np.isfinite(amounts.values)
        organisations = np.isin(self.kinds[: stated.shape[-1]], WITHOUT_DEFICIT, invert=True)
        sums = np.where(stated, amounts.values, 0) @ self.members.T
        lacking = (~stated & organisations).astype(int) @ self.members.T > 0
        lacking |= stated.astype(int) @ self.members.T == 0
        return xr.DataArray(np.where(lacking, np.nan, sums), dims=amounts.dims)

    def coordinates(self, outcomes: xr.Dataset) -> dict[Hashable, Any]:
        """Return the coordinates of years and partners."""
        found: dict[Hashable, Any] = {
            name: self.total(outcomes[name]).variable for name in _MONEY if name in outcomes.coords
        }
        if "opening_reserve" in outcomes.coords:
            found["opening_reserve"] = self.reserves(outcomes["opening_reserve"]).variable
        return {
            YEAR: list(self.year_labels),
            PARTNER: list(self.partner_labels),
            "kind": (PARTNER, list(self.kinds)),
            **found,
        }


def _over(extra: Mapping[Hashable, int], variable: xr.Variable) -> NDArray[Any]:
    """Return a variable as a view with the further dimensions in front."""
    inner = [name for name in _INNER if name in variable.dims]
    values = variable.transpose(*(name for name in extra if name in variable.dims), *inner).values
    places = tuple(slice(None) if name in variable.dims else None for name in extra)
    return np.broadcast_to(
        values[places], (*extra.values(), *(variable.sizes[name] for name in inner))
    )


def series(
    parts: Sequence[NDArray[Any]], weights: Floats, members: NDArray[np.bool_]
) -> Iterator[tuple[Place, Floats]]:
    """Yield place and samples of each row: the sum of parts on (..., year, partner, sample).

    Sums are taken in float64.
    """
    for place in np.ndindex(*weights.shape[:-2]):
        at = [part[place] for part in parts]
        for y, by_year in enumerate(weights[place]):
            for p, group in enumerate(members):
                yield (*place, y, p), _sum(at, by_year, group)


def lowest_balances(
    parts: Sequence[NDArray[Any]], openings: Floats, slack: Floats, members: NDArray[np.bool_]
) -> Iterator[tuple[Place, Floats]]:
    """Yield place and, by sample, the lowest balance at the end of a year so far.

    A balance is ``openings`` (..., partner of the summary) and the sums since the first year of
    parts and of ``slack`` (..., year, partner of the summary). The row of all years is that of the
    last. Rows without an opening are left out. The next step overwrites what was yielded.
    """
    years = parts[0].shape[-3]
    for place in np.ndindex(*openings.shape[:-1]):
        at = [part[place] for part in parts]
        for p, group in enumerate(members):
            if np.isnan(openings[place][p]):
                continue
            balance = np.full(parts[0].shape[-1], openings[place][p])
            lowest = np.full_like(balance, np.inf)
            for y, alone in enumerate(np.eye(years)):
                balance += _sum(at, alone, group)
                balance += slack[place][y, p]
                np.minimum(lowest, balance, out=lowest)
                yield (*place, y, p), lowest
            yield (*place, years, p), lowest


def _sum(at: Sequence[NDArray[Any]], weights: Floats, members: NDArray[np.bool_]) -> Floats:
    total = np.zeros(at[0].shape[-1])
    for year in np.flatnonzero(weights):
        weight = weights[year]
        for member in np.flatnonzero(members):
            for rows in at:
                amount = rows[year, member]
                total += amount if weight == 1 else weight * amount
    return total
