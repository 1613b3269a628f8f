"""From names to arrays: a case becomes numbers in a pytree and a structure that stays static."""

import functools
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from riskshare.bind.laws import Column, columns_of, index_tables, laws_of, limited_lines, noise_of
from riskshare.bind.leaves import BoundTerm, Leaves, Structure, World, Yearly
from riskshare.bind.people import people_of, peopled_lines
from riskshare.bind.terms import one_hot, terms_of
from riskshare.case import Case
from riskshare.contract.keys import borne
from riskshare.parameters import Labels
from riskshare.plan import Plan, declared, plan_of, year_bounds

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Bound:
    """A case as the kernel takes it, with the plan it was worked out from."""

    structure: Structure
    numbers: Leaves
    plan: Plan
    columns: tuple[Column, ...]
    """Random columns of one year, the year left at 0."""
    bridges: dict[str, dict[str, Numbers]]
    """Steps of each budget by ``<contract>.<budget>``, money by year."""


Result = TypeVar("Result")


def once_per_case(function: Callable[[Case], Result]) -> Callable[[Case], Result]:
    """Keep the result of a function of a case for as long as that case object lives."""
    known: dict[int, Result] = {}

    @functools.wraps(function)
    def wrapper(case: Case) -> Result:
        key = id(case)
        if key not in known:
            result = function(case)
            weakref.finalize(case, known.pop, key, None)
            known[key] = result
        return known[key]

    return wrapper


@once_per_case
def bind(case: Case) -> Bound:
    """Return the numbers and the structure of a case."""
    plan = plan_of(case)
    labels = case.labels()
    indices = list(case.indices().values())
    years = len(case.years)
    terms, bridges = terms_of(case, plan, labels)
    activity_noise, activity_numbers = noise_of(case, plan, [line.noise for line in case.lines])
    unit_noises = [line.unit_cost_noise for line in case.lines]
    unit_noise, unit_numbers = noise_of(case, plan, unit_noises, activity_noise)
    mix_noises = [line.case_mix_noise for line in case.lines]
    mix_noise, mix_numbers = noise_of(case, plan, mix_noises, activity_noise)
    tabled, held, tables = index_tables(case)
    slots, people = people_of(case, plan, terms)
    structure = Structure(
        years=years,
        partners=len(case.partners),
        lines=len(case.lines),
        drivers=len(case.drivers),
        populations=len(case.members),
        changes=len(case.changes),
        delayed=tuple(c for c, change in enumerate(case.changes) if change.delay is not None),
        scored=tuple(i for i, p in enumerate(case.partners) if p.quality is not None),
        others=tuple(i for i, p in enumerate(case.partners) if p.other_position is not None),
        passing=tuple(c for c, change in enumerate(case.changes) if not change.recurrent),
        drawn=tuple(i for i, index in enumerate(indices) if not index.certain),
        copula=case.dependence.copula,
        tabled=tabled,
        atoms=held,
        moved=frozenset(driver.acts_on for driver in case.drivers),
        activity_noise=activity_noise,
        unit_cost_noise=unit_noise,
        case_mix_noise=mix_noise,
        thinned=tuple(c for c, change in enumerate(case.changes) if change.thinning),
        peopled=peopled_lines(case),
        slots=slots,
        limited=limited_lines(case),
        cost=plan.cost_structure,
        term_names=tuple(name for name, _ in terms),
    )
    numbers = Leaves(
        laws=laws_of(case, plan, tables, (activity_numbers, unit_numbers, mix_numbers), people),
        world=_world(case, plan, labels),
        yearly=_yearly(case, plan, tuple(bound for _, bound in terms)),
    )
    return Bound(structure, numbers, plan, columns_of(structure), bridges)


def _world(case: Case, plan: Plan, labels: Labels) -> World:
    def loadings(acts_on: str) -> Numbers:
        acts = np.array([driver.acts_on == acts_on for driver in case.drivers], bool)
        return np.where(acts, plan.loadings, 0.0)

    partners = labels["partner"]
    key = declared(case, "residual_key", labels)
    residual = np.zeros(len(partners)) if key is None else key
    owners = [*case.drivers, *case.members, *(change.delivery for change in case.changes)]
    influence = np.array([declared(owner, "influence", labels) for owner in owners])
    start, end = year_bounds(case)
    return World(
        activity_loadings=loadings("activity"),
        case_mix_loadings=loadings("case_mix"),
        unit_cost_loadings=loadings("unit_cost"),
        exposure=plan.exposure,
        deliverer=one_hot([line.deliverer for line in case.lines], partners).T,
        payer=one_hot([line.payer for line in case.lines], partners).T,
        taken=plan.taken,
        influence=borne(influence.reshape(len(owners), len(partners)).T, residual),
        residual_key=residual,
        profile_start=start,
        profile_end=end,
        profile_size=plan.size,
        other_sd=np.array(
            [[float(p.other_position.sd)] for p in case.partners if p.other_position is not None]
        ).reshape(-1, 1),
        owner=one_hot([change.owner for change in case.changes], partners).T,
    )


def targets_of(case: Case) -> Numbers:
    """Return the target of each partner, offset included: (year, partner)."""
    labels = case.labels()
    return np.stack(
        [declared(p, "target", labels) + declared(p, "offset", labels) for p in case.partners],
        axis=1,
    )


def _by_partner(columns: list[Numbers | None], years: int) -> Numbers:
    """Return (year, partner, 1), 0 where a partner states nothing."""
    filled = [np.zeros(years) if column is None else column for column in columns]
    return np.stack(filled, axis=1)[:, :, None] if filled else np.zeros((years, 0, 1))


def _yearly(case: Case, plan: Plan, terms: tuple[BoundTerm, ...]) -> Yearly:
    years, indices = len(case.years), list(case.indices().values())
    later = (np.arange(years) > 0)[:, None]
    process = np.array([index.process for index in indices], dtype=object)
    phi = np.array([float(index.persistence or 0.0) for index in indices])
    phi = np.where(process == "constant", 1.0, np.where(process == "ar1", phi, 0.0)).astype(float)
    carry = np.where(later, phi, 0.0)
    view = plan.view
    labels = case.labels()
    others = [p.other_position for p in case.partners if p.other_position is not None]
    return Yearly(
        number=np.arange(years, dtype=np.int32),
        carry=carry[:, :, None],
        fresh=np.sqrt(1 - carry**2)[:, :, None],
        walks=np.where(later, process == "random-walk", False).astype(np.float64)[:, :, None],
        price=view.price[:, :, None],
        plan=view.plan[:, :, None],
        before=view.before[:, :, None],
        unit_cost=plan.unit_cost[:, :, None],
        moved=plan.moved[:, :, :, None],
        size=plan.size[:, :, None],
        members=view.members[:, :, None],
        need=view.need[:, :, None],
        fraction=view.fraction,
        target=targets_of(case)[:, :, None],
        turnover=_by_partner([declared(p, "turnover", labels) for p in case.partners], years),
        other_mean=_by_partner([declared(other, "mean", labels) for other in others], years),
        running_cost=plan.running_cost[:, :, None],
        cost=plan.cost,
        terms=terms,
    )
