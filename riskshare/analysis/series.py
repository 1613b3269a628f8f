"""One number for each sample: what the statistics of a statement are taken of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from riskshare.bind import Bound
from riskshare.statistics import Floats


class Series(Protocol):
    """What is looked at of each sample."""

    @property
    def keep(self) -> tuple[str, ...]:
        """The outcomes of the kernel that it is made of."""

    def samples(self, arrays: Mapping[str, Any], bound: Bound) -> Floats:
        """Return its value in each sample from outcomes kept, (year, ..., sample)."""


@dataclass(frozen=True, eq=False)
class Rows:
    """A sum over years and rows of one outcome."""

    outcome: str
    weights: Floats
    """(year, row)"""

    @property
    def keep(self) -> tuple[str, ...]:
        """The outcome."""
        return (self.outcome,)

    def samples(self, arrays: Mapping[str, Any], bound: Bound) -> Floats:
        """Return the weighted sum."""
        del bound
        return _summed(self.weights, arrays[self.outcome])


@dataclass(frozen=True, eq=False)
class Posting:
    """What some partners get under a term."""

    term: int
    weights: Floats
    """(year, partner)"""

    @property
    def keep(self) -> tuple[str, ...]:
        """Postings."""
        return ("posting",)

    def samples(self, arrays: Mapping[str, Any], bound: Bound) -> Floats:
        """Return the weighted sum."""
        del bound
        return _summed(self.weights, arrays["posting"][self.term])


@dataclass(frozen=True, eq=False)
class Transfer:
    """Money that changes hands under some terms together, year by year.

    ``sum over years of 1/2 sum over partners of |T|``, T being what a partner gets net under all of
    the terms in that year: they sum to zero, so half of it is what those who pay give.
    """

    terms: tuple[int, ...]
    years: tuple[int, ...]

    @property
    def keep(self) -> tuple[str, ...]:
        """Postings."""
        return ("posting",)

    def samples(self, arrays: Mapping[str, Any], bound: Bound) -> Floats:
        """Return what changes hands."""
        del bound
        entries = arrays["posting"]
        found = 0.0
        for year in self.years:
            net = sum(np.asarray(entries[term][year], np.float64) for term in self.terms)
            found = found + np.abs(net).sum(0) / 2
        return np.asarray(found, np.float64)


@dataclass(frozen=True)
class Deviation:
    """How far the value of a line is off its plan: ``price x case mix x activity / plan - 1``.

    Plan is plan x price, from which break glass, bands and tolerances are measured unless a base or
    a target is given.
    """

    line: int
    year: int
    absolute: bool

    @property
    def keep(self) -> tuple[str, ...]:
        """What a line's value is made of."""
        return ("activity", "case_mix")

    def samples(self, arrays: Mapping[str, Any], bound: Bound) -> Floats:
        """Return the deviation as a share of plan, without its sign where that is asked for."""
        place = self.year, self.line
        plan = float(np.asarray(bound.numbers.yearly.plan)[place].item())
        activity = np.asarray(arrays["activity"][place], np.float64)
        found = np.asarray(activity * arrays["case_mix"][place] / plan - 1)
        return np.abs(found) if self.absolute else found


def kept(every: Sequence[Series]) -> tuple[str, ...]:
    """Return the outcomes that some series are made of."""
    return tuple(dict.fromkeys(name for series in every for name in series.keep))


def _summed(weights: Floats, values: Any) -> Floats:
    found = np.zeros(values.shape[-1])
    for year, row in np.argwhere(weights):
        found += weights[year, row] * values[year, row]
    return found
