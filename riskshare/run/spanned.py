"""Tables of counts that span the means of given draws."""

import dataclasses

import numpy as np

from riskshare.bind import Bound
from riskshare.bind.leaves import WHOLE_BELOW
from riskshare.case import Case
from riskshare.errors import ExperienceError, Problem
from riskshare.laws.chance import NO_SPREAD, CountTable, count_table
from riskshare.run.own import OwnDraws

WIDEST = 20.0
"""Means of counts may differ by this factor in a year: for what tables of counts were measured."""


def served(case: Case, bound: Bound, own: OwnDraws) -> Bound:
    """Return a bound case whose tables of counts span the given means.

    Tables span what drivers and members can make of what the case expects, at least a third to
    three times. Means of a line and year that lie outside get a table of their own, as long as they
    differ by a factor of at most 20.

    Raises
    ------
    ExperienceError
        If they differ by more.
    """
    _check_places(case, bound, own)
    structure, noise = bound.structure, bound.numbers.laws.activity_noise
    rows = structure.activity_noise.counts
    if own.given.mean is None or not rows:
        return bound
    assert noise.table is not None
    table = CountTable(*(np.array(part) for part in noise.table))
    whole, problems = np.array(noise.whole), list[Problem]()
    inflated = np.ones(len(structure.activity_noise.lines))
    inflated[list(structure.activity_noise.zeroed)] -= np.ravel(noise.zeros)
    for y in range(structure.years):
        for k, line in enumerate(rows):
            means = own.given.mean[y, line] / inflated[k]
            means = means[means > 0]
            row = y * len(rows) + k
            if not means.size:
                continue
            low, high = float(means.min()), float(means.max())
            whole[row] = float(means.mean() < WHOLE_BELOW * bound.plan.view.fraction[y])
            if _spans(table, row, low, high):
                continue
            if high > WIDEST * low:
                place = f"activity[{case.lines[line].name}, {case.labels()['year'][y]}]"
                problems.append(
                    Problem(
                        place,
                        f"found means of a count from {low:g} to {high:g}; accepted with chance "
                        f"on top: means that differ by a factor of at most {WIDEST:g}; draw the "
                        'chance too, and say chance = "included"',
                    )
                )
                continue
            new = count_table(low, high, table.overdispersion[row].item(), _spread(table, row))
            for part, own_part in zip(table, new, strict=True):
                part[row] = own_part
    if problems:
        raise ExperienceError(problems)
    laws = dataclasses.replace(
        bound.numbers.laws, activity_noise=dataclasses.replace(noise, table=table, whole=whole)
    )
    return dataclasses.replace(bound, numbers=dataclasses.replace(bound.numbers, laws=laws))


def _check_places(case: Case, bound: Bound, own: OwnDraws) -> None:
    """Refuse more people than there are places for those drawn one by one."""
    people, problems = bound.numbers.laws.people, list[Problem]()
    if people is None:
        return
    for row, (line, slots) in enumerate(
        zip(bound.structure.peopled, bound.structure.slots, strict=True)
    ):
        chance = float(np.asarray(people.above)[row, 0])
        for values in (own.given.activity, own.given.mean):
            if values is None or not chance or np.isnan(values[:, line]).all():
                continue
            most = float(np.nanmax(values[:, line]))
            most += 0.0 if values is own.given.activity else 5 * np.sqrt(most)
            above = most * chance
            if above + 5 * np.sqrt(above * (1 - chance)) > slots:
                problems.append(
                    Problem(
                        f"activity[{case.lines[line].name}]",
                        f"found up to {most:,.0f} people, of whom more would be drawn one by one "
                        f"than the {slots} that the case's own volume has places for; raise the "
                        "line's baseline to what is given",
                    )
                )
    if problems:
        raise ExperienceError(problems)


def _spans(table: CountTable, row: int, low: float, high: float) -> bool:
    """Whether a row of the table holds means between two bounds."""
    first, step = table.log_mean_origin[row].item(), table.log_mean_step[row].item()
    last = first + step * (table.values.shape[-2] - 1)
    return bool(first <= np.log(low) and np.log(high) <= last)


def _spread(table: CountTable, row: int) -> tuple[float, float]:
    """Return the bounds of the spread of a row."""
    nodes = table.values.shape[-3]
    first, step = table.log_spread_origin[row].item(), table.log_spread_step[row].item()
    if nodes == 1 or (first, step) == (0.0, 1.0):  # nothing spreads it, though it may others
        return NO_SPREAD
    return float(np.exp(first)), float(np.exp(first + step * (nodes - 1)))
