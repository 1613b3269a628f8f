"""Conditions on a statistic, as ``position_probability_of_deficit[acute] <= 0.1``."""

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr

from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.names import ALL_YEARS, LEVEL, PARTNER, YEAR
from riskshare.outcomes import groups_of
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
from riskshare.summary.axes import WITHOUT_DEFICIT

_FORM = re.compile(r"\s*(\w+)\s*\[([^\]]*)\]\s*(<=|>=)\s*(\S+)\s*")
_BY_LEVEL = ("position_quantile", "position_value_at_risk", "position_tail_value_at_risk")
_STATISTICS = (
    "position_mean",
    "position_standard_deviation",
    "position_probability_of_deficit",
    *_BY_LEVEL,
)
_ACCEPTED = (
    "accepted: a statistic, its partner and where it has one its level in brackets, <= or >=, and "
    "a number, as position_probability_of_deficit[acute] <= 0.1 or position_quantile[acute,0.05] "
    ">= -500000; a year may stand in the brackets too"
)


@dataclass(frozen=True)
class Condition:
    """A statistic of one partner's position in one year, or over all, and what it must not pass."""

    statistic: str
    partner: str
    year: str
    level: float | None
    sense: Literal["<=", ">="]
    limit: float

    @property
    def text(self) -> str:
        """The condition in one way of writing it."""
        year = () if self.year == ALL_YEARS else (self.year,)
        level = () if self.level is None else (f"{self.level:g}",)
        labels = ",".join((self.partner, *year, *level))
        return f"{self.statistic}[{labels}] {self.sense} {self.limit:g}"

    def margin(self, value: Any) -> Any:
        """Return how far a value is on the right side of the limit; below 0 it fails."""
        return value - self.limit if self.sense == ">=" else self.limit - value

    def picked(self, table: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
        """Return the statistic and its error from a summary, on its further dimensions."""

        def at(name: str) -> xr.DataArray:
            found = table[name].sel({PARTNER: self.partner, YEAR: self.year})
            if self.level is not None:
                places = np.isclose(found[LEVEL].values, self.level, rtol=0, atol=1e-12)
                found = found.isel({LEVEL: int(np.argmax(places))})
            return found

        return at(self.statistic), at(f"{self.statistic}_error")

    def of(self, values: Floats, threshold: float, replicates: Replicates) -> Estimate:
        """Return the statistic of samples of the position.

        Parameters
        ----------
        threshold
            Below which a position is a deficit.
        """
        if self.statistic == "position_mean":
            return mean(values, replicates)
        if self.statistic == "position_standard_deviation":
            return standard_deviation(values, replicates)
        if self.statistic == "position_probability_of_deficit":
            return probability_below(values, threshold, replicates)
        assert self.level is not None
        ordered = np.sort(values)
        if self.statistic == "position_tail_value_at_risk":
            at = np.array([self.level])
            value, error = tail_values_at_risk(values, ordered, at, replicates)
            return Estimate(value[0], error[0])
        loss = self.statistic == "position_value_at_risk"
        at = np.array([1 - self.level if loss else self.level])
        value, error = quantiles(values, ordered, at, replicates)
        return Estimate(-value[0] if loss else value[0], error[0])

    def weights(self, case: Case) -> tuple[Floats, Floats]:
        """Return what each year and each partner counts for in the position it is about."""
        labels = case.labels()
        years = np.array([float(self.year in (ALL_YEARS, year)) for year in labels[YEAR]])
        groups = groups_of(case)
        if self.partner in groups:
            return years, groups[self.partner].astype(np.float64)
        return years, np.array([float(self.partner == name) for name in labels[PARTNER]])


def conditions_of(argument: str, stated: str | Sequence[str], case: Case) -> tuple[Condition, ...]:
    """Return the conditions that an argument states, each of which the case can have.

    Raises
    ------
    ArgumentError
        For a text that is no condition, a statistic, partner, year or level that there is not.
    """
    texts = (stated,) if isinstance(stated, str) else tuple(stated)
    return tuple(_condition(argument, text, case) for text in texts)


def _condition(argument: str, text: str, case: Case) -> Condition:
    form = _FORM.fullmatch(text) if isinstance(text, str) else None
    if form is None:
        raise ArgumentError(f"{argument}: found {text!r}; {_ACCEPTED}")
    statistic, inside, sense, number = form.groups()
    if statistic not in _STATISTICS:
        near = difflib.get_close_matches(statistic, _STATISTICS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        known = ", ".join(_STATISTICS)
        raise ArgumentError(
            f"{argument}: found the statistic {statistic!r}; {hint}accepted: {known}"
        )
    try:
        limit = float(number.replace("_", ""))
    except ValueError:
        limit = math.nan
    if not math.isfinite(limit):
        raise ArgumentError(f"{argument}: {text}: found {number!r}; {_ACCEPTED}")
    partner, year, level = _labels(argument, text, inside, case)
    if partner is None:
        raise ArgumentError(
            f"{argument}: {text} names no partner; accepted: {', '.join(_partners(case))}"
        )
    if (level is not None) != (statistic in _BY_LEVEL):
        said = "names no level" if level is None else "has no level"
        raise ArgumentError(f"{argument}: {text}: {statistic} {said}; {_ACCEPTED}")
    kinds = {p.name: p.kind for p in case.partners}
    if statistic.endswith("of_deficit") and kinds.get(partner) in WITHOUT_DEFICIT:
        raise ArgumentError(
            f"{argument}: {text}: {partner} is {kinds[partner]}, which has no chance of a deficit; "
            "name an organisation or a group"
        )
    return Condition(statistic, partner, year, level, "<=" if sense == "<=" else ">=", limit)


def _partners(case: Case) -> tuple[str, ...]:
    return (*case.labels()[PARTNER], *groups_of(case))


def _labels(
    argument: str, text: str, inside: str, case: Case
) -> tuple[str | None, str, float | None]:
    """Return partner, year and level, in whatever order they stand."""
    partners, years = _partners(case), (*case.labels()[YEAR], ALL_YEARS)
    partner, year, level = None, ALL_YEARS, None
    for label in (part.strip() for part in inside.split(",") if part.strip()):
        if label in partners:
            partner = label
        elif label in years:
            year = label
        else:
            try:
                level = float(label)
            except ValueError:
                level = math.nan
            if not 0 < level < 1:
                raise ArgumentError(
                    f"{argument}: {text} names {label!r}; accepted: partner: "
                    f"{', '.join(partners)}; year: {', '.join(years)}; level: between 0 and 1"
                )
    return partner, year, level
