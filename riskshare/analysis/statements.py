"""Statistics named in a statement: ``position_quantile[acute,2018/19,0.05]`` and their like."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.names import ALL_YEARS
from riskshare.outcomes import groups_of
from riskshare.summary.axes import WITHOUT_DEFICIT

_FORM = re.compile(r"position_(\w+)\[(.+)\]$")

PLAIN = ("mean", "standard_deviation", "probability_of_deficit")
BY_LEVEL = ("quantile", "tail_value_at_risk")

FEWEST = 64
"""Samples in a tail, or on the rarer side of a chance, for a statistic to be resolved."""


@dataclass(frozen=True)
class Statement:
    """A statistic of one partner's position in one year or all."""

    name: str
    statistic: str
    partner: str
    year: str
    level: float | None

    @property
    def tail(self) -> float | None:
        """The level of the position that is looked at."""
        if self.level is None or self.statistic == "quantile":
            return self.level
        return round(1 - self.level, 12)


def statement_of(case: Case, name: str, samples: int) -> Statement:
    """Return the statistic that a name means.

    Raises
    ------
    ArgumentError
        For a name that cannot be read, labels that are not there, or a level that a run of so many
        samples cannot resolve.
    """
    form = _FORM.match(name.strip())
    known = (*PLAIN, *BY_LEVEL)
    if form is None or form[1] not in known:
        accepted = ", ".join(f"position_{one}" for one in known)
        raise ArgumentError(
            f"{name!r} names no statistic; accepted: one of {accepted}, with a partner and where "
            "needed a year and a level in brackets, as position_quantile[acute,all,0.05]"
        )
    labels = [part.strip() for part in form[2].split(",")]
    level = _level(name, labels, samples) if form[1] in BY_LEVEL else None
    partners = (*case.labels()["partner"], *groups_of(case))
    years = (*case.labels()["year"], ALL_YEARS)
    partner = _picked(name, labels, partners, "partner", None)
    year = _picked(name, labels, years, "year", ALL_YEARS)
    without = {p.name: p.kind for p in case.partners if p.kind in WITHOUT_DEFICIT}
    if form[1] == "probability_of_deficit" and partner in without:
        raise ArgumentError(
            f"{name!r}: a partner of kind {without[partner]} has no deficit; state a quantile, as "
            f"position_quantile[{partner},0.05]"
        )
    if labels:
        raise ArgumentError(
            f"{name!r} names {labels[0]!r}; accepted: partners {', '.join(partners)}; years "
            f"{', '.join(years)}"
        )
    return Statement(name, form[1], partner, year, level)


def _picked(
    name: str, labels: list[str], known: Sequence[str], what: str, default: str | None
) -> str:
    found = [label for label in labels if label in known]
    if len(found) > 1 or (not found and default is None):
        raise ArgumentError(f"{name!r} must name one {what}; accepted: {', '.join(known)}")
    if not found:
        assert default is not None
        return default
    labels.remove(found[0])
    return found[0]


def _level(name: str, labels: list[str], samples: int) -> float:
    levels = []
    for label in list(labels):
        try:
            levels.append(float(label))
        except ValueError:
            continue
        labels.remove(label)
    if len(levels) != 1 or not 0 < levels[0] < 1:
        raise ArgumentError(f"{name!r} must name one level between 0 and 1, as 0.05")
    resolved(name, min(levels[0], 1 - levels[0]), samples)
    return levels[0]


def resolved(name: str, tail: float, samples: int) -> None:
    """Refuse a chance of which a run has too few samples."""
    if tail * samples < FEWEST:
        raise ArgumentError(
            f"{name} looks at {tail * samples:,.1f} of {samples:,} samples, too few to be sure of; "
            f"take samples={int(FEWEST / tail):,} or more"
        )
