"""The words of statements: which figure of a case a name means."""

import re
from collections.abc import Sequence
from math import ceil

import numpy as np

from riskshare.analysis.figures import (
    BY_LEVEL,
    PLAIN,
    Alignment,
    Binds,
    Figure,
    Number,
    Outcome,
    Position,
)
from riskshare.analysis.series import Deviation, Posting, Rows, Series, Transfer
from riskshare.bind import Bound
from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.names import ALL_YEARS
from riskshare.outcomes import BY_CHANGE, BY_LINE, BY_PARTNER, groups_of
from riskshare.statistics import Floats
from riskshare.summary.axes import WITHOUT_DEFICIT

_WORD = re.compile(r"([a-z_]+)(?:\[(.*)\])?$")

FEWEST = 64
"""Samples in a tail, or on the rarer side of a chance, for a statistic to be resolved."""

_LINES = tuple(name for name in BY_LINE if name != "waiting_list")
_DRAWN = ("activity", "case_mix", "unit_cost")
_DEVIATIONS = ("deviation", "absolute_deviation")
_OF_ONE_YEAR = ("case_mix", "unit_cost", "driver_index", *_DEVIATIONS)
"""Outcomes whose sum over years means nothing."""
_GAINS = ("position", "posting", "cash", "underlying")
"""Outcomes whose low end is the bad one, so that they have a tail value at risk."""

OUTCOMES = (
    *BY_PARTNER,
    "posting",
    "transfer",
    *_LINES,
    *BY_CHANGE,
    *_DRAWN,
    *_DEVIATIONS,
    "driver_index",
)
"""What statistics are taken of."""

_SHARING = ("sharing", "backstop", "organisation")


class Vocabulary:
    """The names that a case gives a meaning, in a run of so many samples."""

    def __init__(self, case: Case, bound: Bound, samples: int, compared: bool) -> None:
        """Look up the labels of a case.

        Parameters
        ----------
        compared
            Whether there is a status quo to differ from.
        """
        self.case, self.bound, self.samples, self.compared = case, bound, samples, compared
        labels = case.labels()
        self.years: tuple[str, ...] = labels["year"]
        self.lines: tuple[str, ...] = labels["line"]
        alone = zip(labels["partner"], np.eye(len(labels["partner"])), strict=True)
        groups = {name: row.astype(np.float64) for name, row in groups_of(case).items()}
        self.members: dict[str, Floats] = dict(alone) | groups
        self.partners = tuple(self.members)
        self.terms = bound.structure.term_names
        self.numbers = case.numbers()

    def figures(self, name: str) -> list[tuple[float, Figure]]:
        """Return the figures of which a name is the sum, each with its sign.

        Raises
        ------
        ArgumentError
            For a name that means nothing, saying what does.
        """
        if name in self.numbers:
            return [(1.0, Number(name, float(self.numbers[name])))]
        form = _WORD.match(name)
        word = "" if form is None else form[1]
        labels = [] if form is None or form[2] is None else _labels(form[2])
        if word == "alignment":
            return [(1.0, self._alignment(name, labels))]
        if word in ("term_probability", "number_probability"):
            return [(1.0, self._binds(name, word.partition("_")[0], labels))]
        statistic = next((s for s in (*PLAIN, *BY_LEVEL) if word.endswith(f"_{s}")), "")
        outcome = word.removesuffix(f"_{statistic}")
        if outcome == "difference" and statistic:
            return self._difference(name, statistic, labels)
        if outcome not in OUTCOMES or not statistic:
            raise ArgumentError(self._unknown(name))
        if outcome == "position":
            return [(1.0, self._position(name, statistic, labels))]
        return [(1.0, self._outcome(name, outcome, statistic, labels))]

    def _unknown(self, name: str) -> str:
        import difflib

        near = difflib.get_close_matches(name, self.numbers, n=1) if "." in name else []
        hint = f"; is the number {near[0]} meant?" if near else ""
        return (
            f"{name!r} names no statistic and no number{hint}; accepted: <outcome>_<statistic>, as "
            "position_quantile[acute,all,0.05], with the statistics "
            f"{', '.join((*PLAIN, *BY_LEVEL))} and the outcomes {', '.join(OUTCOMES)} (position "
            "alone has a probability_of_deficit); difference_<statistic>, against the status quo; "
            "number_probability, term_probability; alignment; a number of the case by its path"
        )

    def _position(self, name: str, statistic: str, labels: list[str]) -> Position:
        level = self._level(name, labels) if statistic in BY_LEVEL else None
        partner = _picked(name, labels, self.partners, "partner", None)
        year = _picked(name, labels, (*self.years, ALL_YEARS), "year", ALL_YEARS)
        without = {p.name: p.kind for p in self.case.partners if p.kind in WITHOUT_DEFICIT}
        if statistic == "probability_of_deficit" and partner in without:
            raise ArgumentError(
                f"{name!r}: a partner of kind {without[partner]} has no deficit; state a quantile, "
                f"as position_quantile[{partner},0.05]"
            )
        self._nothing_left(name, labels, f"partners {', '.join(self.partners)}")
        return Position(statistic, partner, year, level)

    def _difference(
        self, name: str, statistic: str, labels: list[str]
    ) -> list[tuple[float, Figure]]:
        if not self.compared:
            raise ArgumentError(
                f"{name!r} is a difference from the status quo, and none is given; give "
                'status_quo=, a case, such as riskshare.variants(case)["activity"]'
            )
        own = self._position(name, statistic, labels)
        before = Position(own.statistic, own.partner, own.year, own.level, reference=True)
        return [(1.0, own), (-1.0, before)]

    def _outcome(self, name: str, outcome: str, statistic: str, labels: list[str]) -> Outcome:
        if statistic == "probability_of_deficit" or (
            statistic == "tail_value_at_risk" and outcome not in _GAINS
        ):
            raise ArgumentError(
                f"{name!r}: {outcome} has no {statistic}; accepted: mean, standard_deviation, "
                "quantile"
            )
        level = self._level(name, labels) if statistic in BY_LEVEL else None
        series = self._series(name, outcome, labels)
        self._nothing_left(name, labels, "labels as in a summary")
        return Outcome(statistic, series, level)

    def _series(self, name: str, outcome: str, labels: list[str]) -> Series:
        year = self._year(name, outcome, labels)
        spans = np.ones(len(self.years)) if year is None else np.eye(len(self.years))[year]
        if outcome == "transfer":
            years = range(len(self.years)) if year is None else (year,)
            return Transfer(self._sharing(name, labels), tuple(years))
        if outcome in _DEVIATIONS:
            assert year is not None
            line = self.lines.index(_picked(name, labels, self.lines, "line", None))
            return Deviation(line, year, outcome != "deviation")
        if outcome == "posting":
            term = self.terms.index(_picked(name, labels, self.terms, "term", None))
            partner = _picked(name, labels, self.partners, "partner", None)
            return Posting(term, np.outer(spans, self.members[partner]))
        if outcome in BY_PARTNER:
            row = self.members[_picked(name, labels, self.partners, "partner", None)]
        elif outcome in BY_CHANGE:
            row = _row(name, labels, tuple(change.name for change in self.case.changes), "change")
        elif outcome == "driver_index":
            row = _row(name, labels, tuple(self.case.indices()), "driver")
        else:
            row = _row(name, labels, self.lines, "line")
        return Rows(outcome, np.outer(spans, row))

    def _year(self, name: str, outcome: str, labels: list[str]) -> int | None:
        """Return the place of the year, None where all are meant."""
        one = len(self.years) == 1
        default = self.years[0] if one else ALL_YEARS
        if outcome in _OF_ONE_YEAR and not one:
            return self.years.index(_picked(name, labels, self.years, "year", None))
        year = _picked(name, labels, (*self.years, ALL_YEARS), "year", default)
        return self.years.index(year) if year in self.years else None

    def _sharing(self, name: str, labels: list[str]) -> tuple[int, ...]:
        """Return the terms named, or those that share what the others left."""
        named = [label for label in labels if label in self.terms]
        for label in named:
            labels.remove(label)
        shared = named or [
            f"{contract.name}.{term.label}"
            for contract in self.case.contracts
            for term in contract.terms
            if term.runs_in in _SHARING
        ]
        if not shared:
            raise ArgumentError(
                f"{name!r}: no term of the case runs in the phases {', '.join(_SHARING)}; name "
                f"terms, as transfer_mean[{self.terms[0]}]; accepted: {', '.join(self.terms)}"
            )
        return tuple(self.terms.index(term) for term in shared)

    def _binds(self, name: str, kind: str, labels: list[str]) -> Binds:
        if kind == "number":
            known = tuple(path for path in self.numbers if self._of_a_contract(path))
        else:
            known = self.terms
        picked = _picked(name, labels, known, f"{kind} of the contracts", None)
        year = self._year(name, "binding", labels)
        self._nothing_left(name, labels, f"years {', '.join((*self.years, ALL_YEARS))}")
        return Binds(kind, picked, year)

    def _of_a_contract(self, path: str) -> bool:
        return path.startswith(tuple(f"{contract.name}." for contract in self.case.contracts))

    def _alignment(self, name: str, labels: list[str]) -> Alignment:
        year = self._year(name, "alignment", labels)
        self._nothing_left(name, labels, f"years {', '.join((*self.years, ALL_YEARS))}")
        return Alignment(len(self.years) if year is None else year)

    def _level(self, name: str, labels: list[str]) -> float:
        levels = []
        for label in list(labels):
            try:
                levels.append(float(label))
            except ValueError:
                continue
            labels.remove(label)
        if len(levels) != 1 or not 0 < levels[0] < 1:
            raise ArgumentError(f"{name!r} must name one level between 0 and 1, as 0.05")
        resolved(name, min(levels[0], 1 - levels[0]), self.samples)
        return levels[0]

    def _nothing_left(self, name: str, labels: list[str], known: str) -> None:
        if labels:
            raise ArgumentError(
                f"{name!r} names {labels[0]!r}; accepted: {known}; years "
                f"{', '.join((*self.years, ALL_YEARS))}"
            )


def resolved(name: str, tail: float, samples: int) -> None:
    """Refuse a chance of which a run has too few samples."""
    if tail * samples < FEWEST:
        raise ArgumentError(
            f"{name} looks at {tail * samples:,.1f} of {samples:,} samples, too few to be sure of; "
            f"take samples={ceil(FEWEST / tail):,} or more"
        )


def _labels(text: str) -> list[str]:
    """Return labels with commas between them; those inside brackets are a path's own."""
    return [part.strip() for part in re.split(r",(?![^\[\]]*\])", text) if part.strip()]


def _row(name: str, labels: list[str], known: Sequence[str], what: str) -> Floats:
    place = list(known).index(_picked(name, labels, known, what, None))
    return np.asarray(np.eye(len(known))[place])


def _picked(
    name: str, labels: list[str], known: Sequence[str], what: str, default: str | None
) -> str:
    found = [label for label in labels if label in known]
    if len(found) > 1 or (not found and default is None):
        shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
        raise ArgumentError(f"{name!r} must name one {what}; accepted: {shown}")
    if not found:
        assert default is not None
        return default
    labels.remove(found[0])
    return found[0]
