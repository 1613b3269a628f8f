"""People of lines as numbers: who is drawn one by one, and the total of the others."""

from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray

from riskshare.bind.leaves import BoundTerm, PeopleNumbers
from riskshare.case import Case
from riskshare.errors import CaseError, Problem
from riskshare.laws.binomial import number_table
from riskshare.laws.chance import stacked
from riskshare.laws.people import above_table, rest_of, rest_table
from riskshare.plan import Plan

Numbers = NDArray[np.float64]
Terms = list[tuple[str, BoundTerm]]

MOST = 512
"""People of a line drawn one by one at most."""

ALONE = 128
"""Lines with so few people, at most, have all of them drawn one by one."""

_BELOW = 0.5
"""The threshold as a share of the lowest limit: costs may run to twice plan before it tells."""

_REACH = 6.5


def peopled_lines(case: Case) -> tuple[int, ...]:
    """Return the lines whose people have a cost each."""
    return tuple(i for i, line in enumerate(case.lines) if line.people is not None)


def people_of(case: Case, plan: Plan, terms: Terms) -> tuple[tuple[int, ...], PeopleNumbers | None]:
    """Return how many people each line draws one by one at most, and their numbers.

    Raises
    ------
    CaseError
        Where more than `MOST` people of a line would be drawn one by one.
    """
    lines = peopled_lines(case)
    if not lines:
        return (), None
    limits = _limits(terms, len(case.lines))
    slots, above, values, mean_above, rests, problems = [], [], [], [], [], []
    for i in lines:
        people = case.lines[i].people
        assert people is not None
        at = limits[i] * _BELOW if people.threshold is None else float(people.threshold)
        if people.threshold is None and _slots(case, plan, i, 1.0) <= ALONE:
            at = 0.0
        level = max(float(plan.unit_cost[:, i].max()), 1e-300)
        threshold = people.law.expectation() * at / level
        chance = float(people.law.survival(np.array(threshold))) if np.isfinite(at) else 0.0
        slots.append(_slots(case, plan, i, chance))
        if slots[-1] > MOST:
            problems.append(_too_many(case, i, at, slots[-1]))
            continue
        above.append(chance)
        table, mean = above_table(people.law, threshold, chance)
        values.append(table)
        mean_above.append(mean)
        rests.append(rest_of(people.law, threshold))
    if problems:
        raise CaseError(problems)
    number, rest = [], []
    for y in range(len(plan.expected)):
        for row, i in enumerate(lines):
            mean = max(float(plan.expected[y, i]), 1.0)
            low, high = max(mean / 3, 1.0), mean * 3
            number.append(number_table(low, high, min(max(above[row], 1e-12), 1 - 1e-12)))
            rest.append(rest_table(case.lines[i].people.law, rests[row].threshold, low, high))  # type: ignore[union-attr]  # it has people
    return tuple(slots), PeopleNumbers(
        above=_column(above),
        number=stacked(number),
        values=np.array(values),
        slopes=np.diff(np.array(values), axis=1, append=np.array(values)[:, -1:]),
        mean_above=np.array(mean_above),
        rest_mean=_column([found.mean for found in rests]),
        rest_sd=_column([found.standard_deviation for found in rests]),
        rest=stacked(rest),
    )


def _limits(terms: Terms, lines: int) -> Numbers:
    """Return the lowest amount per person that a term looks at, by line; infinite without one."""
    found = np.full(lines, np.inf)
    for _, slot in terms:
        at = slot.term.person_limit()
        if at is not None:
            for line in slot.term.person_lines():
                found[line] = min(found[line], float(np.min(at)))
    return found


def _slots(case: Case, plan: Plan, line: int, chance: float) -> int:
    """Return places for the people above the threshold: 6.5 standard deviations, by eights."""
    if chance == 0:
        return 0
    noise = case.lines[line].noise
    excess = float(noise.overdispersion or 0) if noise is not None else 0.0
    mean = float(plan.expected[:, line].max())
    most = (1.5 * mean + _REACH * sqrt(mean + excess * mean**2)) * chance
    return 8 * ceil((most + _REACH * sqrt(most) + 4) / 8)


def _too_many(case: Case, line: int, at: float, slots: int) -> Problem:
    name = case.lines[line].name
    return Problem(
        f"lines.{name}.people.threshold",
        f"about {slots} people may cost more than {at:,.0f}, and {MOST} are drawn one by one at "
        "most; give a higher threshold (below every attachment), raise the attachments of the "
        "terms that protect, or settle an experience with person_cost",
    )


def _column(values: list[float]) -> Numbers:
    return np.array(values, np.float64).reshape(-1, 1)
