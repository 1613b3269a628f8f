"""People of lines as numbers: who is drawn one by one, and the total of the others."""

from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray

from riskshare.bind.leaves import MOST, BoundTerm, PeopleNumbers
from riskshare.bind.reach import cost_factor, volume_bounds
from riskshare.case import Case
from riskshare.errors import CaseError, Problem
from riskshare.laws.binomial import number_table
from riskshare.laws.chance import stacked
from riskshare.laws.people import above_table, rest_of, rest_table
from riskshare.plan import Plan

Numbers = NDArray[np.float64]
Terms = list[tuple[str, BoundTerm]]

ALONE = 128
"""Lines with so few people, at most, have all of them drawn one by one."""

_BELOW = 0.5
"""The threshold as a share of the lowest limit: costs may run to twice plan before it tells."""

_REACH = 6.5
_NOBODY = 1e-9
"""As few people above a threshold, at most, are none."""


def peopled_lines(case: Case) -> tuple[int, ...]:
    """Return the lines whose people have a cost each."""
    return tuple(i for i, line in enumerate(case.lines) if line.people is not None)


def people_of(case: Case, plan: Plan, terms: Terms) -> tuple[tuple[int, ...], PeopleNumbers | None]:
    """Return how many people each line draws one by one at most, and their numbers.

    Raises
    ------
    CaseError
        Where more than `MOST` people of a line would be drawn one by one, or a stated threshold
        is not below what a term looks at.
    """
    lines = peopled_lines(case)
    if not lines:
        return (), None
    limits = _limits(terms, len(case.lines))
    slots, above, values, mean_above, rests, problems = [], [], [], [], [], []
    number, rest = [], []
    for i in lines:
        people = case.lines[i].people
        assert people is not None
        factor = cost_factor(case, plan, i)
        highest = _most(case, plan, i)
        at = limits[i] * _BELOW / factor
        if people.threshold is not None:
            at = float(people.threshold)
            if at * factor > limits[i]:
                problems.append(_not_below(case, i, at, factor, limits[i]))
                continue
        elif _slots(highest, 1.0) <= ALONE:
            at = 0.0
        level = max(float(plan.unit_cost[:, i].max()), 1e-300)
        threshold = people.law.expectation() * at / level
        chance = float(people.law.survival(np.array(threshold))) if np.isfinite(at) else 0.0
        chance = chance if chance * highest > _NOBODY else 0.0
        slots.append(_slots(highest, chance))
        if slots[-1] > MOST:
            problems.append(_too_many(case, i, at, slots[-1]))
            continue
        above.append(chance)
        table, mean = above_table(people.law, threshold, chance)
        values.append(table)
        mean_above.append(mean)
        rests.append(rest_of(people.law, threshold))
        least = min(volume_bounds(case, plan, y, i)[0] for y in range(len(plan.expected)))
        low, high = max(least - _REACH * sqrt(least), 1.0), max(highest, 2.0)
        number.append(number_table(chance, low, high))
        rest.append(rest_table(people.law, threshold, low, high))
    if problems:
        raise CaseError(problems)
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


def _most(case: Case, plan: Plan, line: int) -> float:
    """Return as many people as a line may have: drivers at 3.5 scores, 6.5 deviations of chance."""
    given = case.lines[line]
    noise, capacity = given.noise, given.capacity
    excess = float(noise.overdispersion or 0) if noise is not None else 0.0
    alive = 1 - float(noise.zeros) if noise is not None else 1.0
    years = range(len(plan.expected))
    means = [max(volume_bounds(case, plan, y, line)[1], plan.expected[y, line]) for y in years]
    counts = [m / alive + _REACH * sqrt(m / alive + excess * (m / alive) ** 2) for m in means]
    if capacity is None:
        return max(counts)
    return min(float(capacity.waiting) + sum(counts), float(plan.capacity[:, line].max()))


def _slots(most: float, chance: float) -> int:
    """Return places for those of so many people who lie above the threshold, by eights."""
    if chance == 0:
        return 0
    above = most * chance
    return 8 * ceil((above + _REACH * sqrt(above * (1 - chance)) + 2) / 8)


def _not_below(case: Case, line: int, at: float, factor: float, limit: float) -> Problem:
    name = case.lines[line].name
    dearer = f", and drivers may raise costs {factor:.3g} times" if factor > 1 else ""
    return Problem(
        f"lines.{name}.people.threshold",
        f"found {at:,.0f}, and a term looks at people from {limit:,.0f}{dearer}: those in between "
        f"would not be seen; accepted: at most {limit / factor:,.0f}, or leave it out",
    )


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
