"""How far what is drawn may move a line: bounds that tables and places for people must span.

Every index is taken at 3.5 scores either way, all of them at once: what lies beyond is rarer than
one index alone there.
"""

from math import inf, log

import numpy as np

from riskshare.bind.leaves import WIDEST
from riskshare.case import Case
from riskshare.laws.marginal import AbstractLaw
from riskshare.laws.normal import cumulative
from riskshare.plan import Plan, law_of
from riskshare.uncertain import AbstractIndex

_SCORE = 3.5
_HIGH = cumulative(_SCORE)
_LEAST = 1e-9


def volume_bounds(case: Case, plan: Plan, year: int, line: int) -> tuple[float, float]:
    """Return the lowest and highest mean of a line's activity in a year, before its own chance."""
    low = high = float(plan.view.before[year, line])
    for population, on in zip(case.members, plan.exposure[line], strict=True):
        if on:
            lowest, highest = _ends(population, year)
            low, high = low * lowest, high * highest
    for c, change in enumerate(case.changes):
        moved = float(plan.moved[year, line, c])
        if not moved:
            continue
        size = float(plan.size[year, c])
        sizes = (
            (size, size) if change.delay is None else (0.0, float(plan.size[: year + 1, c].max()))
        )
        amounts = [moved * s * d for s in sizes for d in _ends(change.delivery, year)]
        low, high = low + min(amounts), high + max(amounts)
    low, high = max(low, 0.0), max(high, 0.0)
    for driver, power in zip(case.drivers, plan.loadings[line], strict=True):
        if power and driver.acts_on == "activity":
            ends = [max(x, _LEAST) ** float(power) for x in _ends(driver, year)]
            low, high = low * min(ends), high * max(ends)
    return low, high


def volume_range(case: Case, plan: Plan, year: int, line: int) -> tuple[float, float]:
    """Return the same as multiples of what is expected.

    At least from a third to three times, at most from a thirtieth to thirty times.
    """
    expected = float(plan.expected[year, line])
    if expected <= 0:
        return 1 / 3, 3.0
    low, high = (bound / expected for bound in volume_bounds(case, plan, year, line))
    return min(max(low, 1 / WIDEST), 1 / 3), max(min(high, WIDEST), 3.0)


def cost_factor(case: Case, plan: Plan, line: int) -> float:
    """Return how far drivers and case mix may raise the cost of a line's unit, as a multiple."""
    highest, last = 1.0, len(case.years) - 1
    for driver, power in zip(case.drivers, plan.loadings[line], strict=True):
        if power and driver.acts_on in ("unit_cost", "case_mix"):
            highest *= max(max(x, _LEAST) ** float(power) for x in _ends(driver, last))
    noise = case.lines[line].case_mix_noise
    if noise is not None:
        own = noise.law if isinstance(noise.law, AbstractLaw) else None
        if own is not None:
            highest *= float(own.at(np.array(_SCORE))) / own.expectation()
        else:
            highest *= float(np.exp(_SCORE * np.sqrt(np.log1p(float(noise.cv) ** 2))))
    return highest


def spread_bounds(case: Case, powers: np.ndarray) -> tuple[float, float]:
    """Return the bounds of what multiplies a coefficient of variation, in logarithms."""
    low = high = 0.0
    for driver, power in zip(case.drivers, powers, strict=True):
        if power:
            ends = [float(power) * log(max(x, _LEAST)) for x in _ends(driver, len(case.years) - 1)]
            low, high = low + min(ends), high + max(ends)
    return low, high


def _ends(index: AbstractIndex, year: int) -> tuple[float, float]:
    """Return an index at 3.5 scores below and above."""
    steps = year + 1 if index.process == "random-walk" else 1
    found = law_of(index)
    if index.certain:
        value = found.mean() ** steps
        return value, value
    low, high = (found.quantile(level) ** steps for level in (1 - _HIGH, _HIGH))
    return low, min(high, inf)
