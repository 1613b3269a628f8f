"""What a summary says of each series: positions, totals, reserves and means, with their errors."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from riskshare.names import LEVEL, PARTNER, SAMPLE, YEAR
from riskshare.statistics import (
    Estimate,
    Floats,
    Replicates,
    mean,
    probability_below,
    quantiles,
    standard_deviation,
    tail_values_at_risk,
)
from riskshare.summary.axes import WITHOUT_DEFICIT, Axes, Place, lowest_balances, series

Estimates = dict[str, Estimate]
Variables = dict[str, Any]

_MOMENTS = ("mean", "standard_deviation")
_BY_LEVEL = ("quantile", "value_at_risk", "tail_value_at_risk")
_EXHAUSTION = "probability_of_exhaustion"


@dataclass(frozen=True)
class Measures:
    """The statistics of outcomes, as variables of the summary."""

    outcomes: xr.Dataset
    axes: Axes
    replicates: Replicates

    def position(self, levels: Floats) -> Variables:
        """Return the statistics of the position."""

        def of(values: Floats) -> Estimates:
            return self._moments(values) | _by_level(values, levels, self.replicates)

        limits = {"probability_of_deficit": "target"}
        names = (*_MOMENTS, *limits, *_BY_LEVEL)
        return self._against(
            limits, "position", [self.outcomes["position"]], names, of, len(levels)
        )

    def total(self) -> Variables:
        """Return the statistics of the total that say more than those of the position."""
        limits: dict[str, str] = {}
        moments: tuple[str, ...] = ()
        if "other_position" in self.outcomes:
            limits["probability_of_missing_target"] = "target"
            moments = _MOMENTS
        if "duty" in self.outcomes.coords:
            limits["probability_of_breaching_duty"] = "duty"
        if not limits:
            return {}

        def of(values: Floats) -> Estimates:
            return self._moments(values) if moments else {}

        return self._against(limits, "total", self._totals, (*moments, *limits), of)

    def reserve(self) -> Variables:
        """Return the chance that the opening reserve and the totals so far fall below 0.

        The balance is nominal whatever else is asked for: its sign is the same in real money.
        """
        if "opening_reserve" not in self.outcomes.coords:
            return {}
        opening = self.axes.reserves(self.outcomes["opening_reserve"])
        slack = self.axes.nominal().total(self._resolution)
        extra, weights, values = self.axes.arranged(opening, slack, *self._totals)
        members = self.axes.members
        rows = lowest_balances(values[2:], values[0], values[1], members)

        def of(place: Place, lowest: Floats) -> Estimates:
            if self.axes.kinds[place[-1]] in WITHOUT_DEFICIT:
                return {}
            return {_EXHAUSTION: probability_below(lowest, 0.0, self.replicates)}

        found = _collected(rows, (*weights.shape[:-1], len(members)), (_EXHAUSTION,), of)
        return _labelled("reserve", found, (*extra, YEAR, PARTNER))

    def means(self, name: str) -> Variables:
        """Return the means of a variable by partner, line, or term and partner."""
        by_partner = PARTNER in self.outcomes[name].dims
        extra, weights, (values,) = self.axes.arranged(self.outcomes[name])
        members = self.axes.members if by_partner else np.ones((1, 1), bool)
        rows = series((values if by_partner else values[..., None, :],), weights, members)

        def of(place: Place, values: Floats) -> Estimates:
            return {"mean": mean(values, self.replicates)}

        found = _collected(rows, (*weights.shape[:-1], len(members)), ("mean",), of)
        if not by_partner:
            found = {name: array[..., 0] for name, array in found.items()}
        return _labelled(name, found, (*extra, YEAR, *[PARTNER] * by_partner))

    def _against(
        self,
        limits: Mapping[str, str],
        name: str,
        parts: list[xr.DataArray],
        names: tuple[str, ...],
        of: Callable[[Floats], Estimates],
        levels: int = 0,
    ) -> Variables:
        """Return statistics of the sum of parts, with chances of being below a coordinate."""
        bounds = [
            self.axes.total(self.outcomes[limit] - self._resolution) for limit in limits.values()
        ]
        extra, weights, values = self.axes.arranged(*parts, *bounds)
        thresholds = dict(zip(limits, values[len(parts) :], strict=True))

        def with_chances(place: Place, values: Floats) -> Estimates:
            found = of(values)
            if self.axes.kinds[place[-1]] not in WITHOUT_DEFICIT:
                for chance, threshold in thresholds.items():
                    if np.isfinite(threshold[place]):
                        found[chance] = probability_below(values, threshold[place], self.replicates)
            return found

        rows = series(values[: len(parts)], weights, self.axes.members)
        shape = (*weights.shape[:-1], len(self.axes.members))
        found = _collected(rows, shape, names, with_chances, levels)
        return _labelled(name, found, (*extra, YEAR, PARTNER))

    def _moments(self, values: Floats) -> Estimates:
        return {
            "mean": mean(values, self.replicates),
            "standard_deviation": standard_deviation(values, self.replicates),
        }

    @cached_property
    def _totals(self) -> list[xr.DataArray]:
        """What a total is the sum of; 0 of the rest of the organisation where none is stated."""
        position = self.outcomes["position"]
        if "other_position" not in self.outcomes:
            return [position]
        other = self.outcomes["other_position"]
        return [position, other.where(~other.isnull().all((YEAR, SAMPLE)), 0.0)]

    @cached_property
    def _resolution(self) -> xr.DataArray:
        """What a position may be off by for rounding of floats alone."""
        if "resolution" in self.outcomes.coords:
            return self.outcomes["resolution"]
        return xr.zeros_like(self.outcomes["target"])


def _by_level(values: Floats, levels: Floats, replicates: Replicates) -> Estimates:
    ordered, reached = np.sort(values), replicates.reached(values)
    both = np.unique(np.concatenate([levels, 1 - levels]).round(12))
    found = quantiles(values, ordered, both, replicates, reached)
    at, tail = (np.searchsorted(both, level.round(12)) for level in (levels, 1 - levels))
    return {
        "quantile": Estimate(found.value[at], found.error[at]),
        "value_at_risk": Estimate(-found.value[tail], found.error[tail]),
        "tail_value_at_risk": tail_values_at_risk(values, ordered, levels, replicates, reached),
    }


def _collected(
    rows: Iterable[tuple[Place, Floats]],
    shape: Place,
    names: tuple[str, ...],
    statistics: Callable[[Place, Floats], Estimates],
    levels: int = 0,
) -> dict[str, Floats]:
    """Return statistics of every series; NaN where one is not finite."""
    found = {
        f"{name}{ending}": np.full((*shape, levels) if name in _BY_LEVEL else shape, np.nan)
        for name in names
        for ending in ("", "_error")
    }
    for place, values in rows:
        if np.isfinite(values.sum()):
            for name, estimate in statistics(place, values).items():
                found[name][place], found[f"{name}_error"][place] = estimate
    return found


def _labelled(name: str, found: Mapping[str, Floats], dims: tuple[str, ...]) -> Variables:
    """Return variables named and with dimensions, the level last where they have one."""
    return {
        f"{name}_{statistic}": ((*dims, LEVEL) if array.ndim > len(dims) else dims, array)
        for statistic, array in found.items()
    }
