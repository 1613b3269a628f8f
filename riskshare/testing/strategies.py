"""Whole valid cases and experiences of them, drawn by Hypothesis.

What decides the compiled program (how many partners, which terms, which laws) comes from a family
of numbered *structures*; every number, and how it is written (once, by label, by year), is drawn
freely. So a property sees many cases and the kernel is compiled a few times.
"""

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import xarray as xr
from hypothesis.strategies import DrawFn

from riskshare.bind import bind
from riskshare.case import Case
from riskshare.contract.protection import StopLoss
from riskshare.contract.term import AbstractTerm
from riskshare.testing.contracts import contracts
from riskshare.testing.world import World

FAMILY = tuple(range(10))
"""Numbers of the structures that `cases` draws from unless told otherwise."""


@st.composite
def cases(draw: DrawFn, structures: tuple[int, ...] = FAMILY, persons: bool = True) -> Case:
    """Draw a valid case.

    Parameters
    ----------
    structures
        Numbers of the structures to draw from. Cases of one number share their compiled kernels.
    persons
        Whether terms may need the cost of each person, as some structures have it. It is given and
        never drawn, so such a case settles an experience and cannot be simulated.

    Returns
    -------
    Case
        One to four organisations, perhaps a pool account and `external`; one to three years, some
        of them part-years; one to four lines; drivers, populations, changes, quality scores; one or
        two contracts, of terms of any kind in any order.
    """
    number = draw(st.sampled_from(structures))
    world = World(number, draw, persons)
    return world.case(contracts(world))


@st.composite
def experiences(draw: DrawFn, case: Case, samples: int | None = None) -> xr.Dataset:
    """Draw what may have happened in a case: every variable that `settle` takes but ``cost``.

    Parameters
    ----------
    case
        The case.
    samples
        Without it, actuals, drawn number by number. With it, that many samples, made from one
        drawn seed; zeros and values at plan are among them.
    """
    plan = bind(case).plan
    labels = case.labels()
    apart = ("members[", "quality[", "other[")
    drivers = tuple(name for name in case.indices() if not name.startswith(apart))
    around = _ratios(draw, samples)
    late = np.array([name.startswith("delay[") for name in drivers], bool)[:, None]
    years = len(labels["year"])
    index = around(years, len(drivers))
    tail = () if samples is None else ("sample",)

    def variable(axis: str, values: np.ndarray[Any, Any]) -> tuple[Any, Any]:
        return ("year", axis, *tail), values if tail else values[..., 0]

    lines = (years, len(labels["line"]))
    planned = np.where(plan.view.plan > 0, plan.view.plan, 100.0)
    found = xr.Dataset(
        {
            "activity": variable("line", planned[..., None] * around(*lines)),
            "case_mix": variable("line", around(*lines)),
            "unit_cost": variable("line", plan.unit_cost[..., None] * around(*lines)),
            "driver_index": variable("driver", np.where(late, np.abs(index - 1), index)),
            "members": variable(
                "population", plan.view.members[..., None] * around(years, len(case.members))
            ),
        },
        {
            "year": list(labels["year"]),
            "line": list(labels["line"]),
            "driver": list(drivers),
            "population": list(labels["population"]),
        },
    )
    partners = {"partner": list(labels["partner"])}
    if any(partner.quality is not None for partner in case.partners):
        scores = np.clip(around(years, len(case.partners)), 0, 1)
        found = found.assign_coords(partners).assign(quality=variable("partner", scores))
    if any(partner.other_position is not None for partner in case.partners):
        rest = 1e6 * (around(years, len(case.partners)) - 1)
        found = found.assign_coords(partners).assign(other_position=variable("partner", rest))
    if any(_of_persons(term) for contract in case.contracts for term in contract.terms):
        cost = 30_000 * around(years * len(case.lines), PERSONS)
        dims = ("year", "line", "person", *tail)
        each = cost.reshape(*lines, PERSONS, -1)
        found = found.assign(person_cost=(dims, each if tail else each[..., 0]))
    return found


PERSONS = 3
"""How many people a drawn experience of people holds."""


def _of_persons(term: AbstractTerm) -> bool:
    """Return whether a term needs the cost of each person."""
    return isinstance(term, StopLoss) or getattr(term, "truncation", None) is not None


def _ratios(draw: DrawFn, samples: int | None) -> Callable[[int, int], np.ndarray[Any, Any]]:
    """Return a maker of tables of ratios to plan, (year, row, sample)."""
    if samples is None:
        ratio = st.one_of(st.just(1.0), st.just(0.0), st.integers(1, 2500).map(lambda i: i / 1000))
        return lambda years, rows: np.array(
            [[[draw(ratio)] for _ in range(rows)] for _ in range(years)]
        ).reshape(years, rows, 1)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def table(years: int, rows: int) -> np.ndarray[Any, Any]:
        shape = (years, rows, samples)
        kind = rng.random(shape)
        at_end = np.where(kind < 0.03, 0.0, 1.0)
        return np.where(kind < 0.06, at_end, rng.lognormal(0, rng.uniform(0.01, 0.6), shape))

    return table
