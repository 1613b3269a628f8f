"""From names to arrays: a case becomes numbers in a pytree and a structure that stays static.

Cases of one structure share one compiled kernel: every number (budget, rate, share, price, law)
is a leaf, and only what changes the program itself (which terms, which lines, which kinds of law)
is part of the structure.
"""

import functools
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import numpy as np
from numpy.typing import NDArray

from riskshare.case import Case, Contract
from riskshare.contract.accounts import AccountClose
from riskshare.contract.budget import BoundBudget, Budget, bridge
from riskshare.contract.cost import CostNumbers, CostStructure
from riskshare.contract.keys import borne
from riskshare.contract.support import StrandedSupport
from riskshare.contract.term import AbstractTerm
from riskshare.laws.chance import (
    CountTable,
    count_table,
    gamma_table,
    lognormal_sigma,
    stack_count_tables,
)
from riskshare.laws.dependence import cholesky
from riskshare.names import ACCOUNTS, PHASES
from riskshare.parameters import Declared, Labels, Parameter, Reference, expand, fields_of
from riskshare.plan import Plan, correlation_matrix, declared, law_of, plan_of, year_bounds
from riskshare.system import Noise

Numbers = NDArray[np.float64]
Column = tuple[int, int, int]

DRIVER_COLUMN, ACTIVITY_COLUMN, UNIT_COST_COLUMN, MEMBERS_COLUMN, DELIVERY_COLUMN, DELAY_COLUMN = (
    range(6)
)
"""Kinds of random column; a column is (kind, index, year)."""

WHOLE_BELOW = 1000.0
"""Lines expected to have fewer units a year are whole counts; larger ones are smooth."""


@dataclass(frozen=True)
class NoiseStructure:
    """Lines by kind of chance law; each tuple holds positions of lines."""

    counts: tuple[int, ...]
    gamma: tuple[int, ...]
    lognormal: tuple[int, ...]
    coupled: bool
    """Whether any of them has factors."""

    @property
    def lines(self) -> tuple[int, ...]:
        """All lines with a chance term, in the order of their random columns."""
        return self.counts + self.gamma + self.lognormal


@dataclass(frozen=True)
class Structure:
    """What decides the program: names of terms, kinds of law, counts of things. No numbers."""

    years: int
    partners: int
    lines: int
    drivers: int
    populations: int
    changes: int
    delayed: tuple[int, ...]
    """Changes with a law of delay."""
    drawn: tuple[int, ...]
    """Indices that have a law."""
    case_mix_moves: bool
    activity_noise: NoiseStructure
    unit_cost_noise: NoiseStructure
    cost: CostStructure
    term_names: tuple[str, ...]

    @property
    def indices(self) -> int:
        """Drivers, populations, deliveries and delays together."""
        return self.drivers + self.populations + self.changes + len(self.delayed)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class NoiseNumbers:
    """Tables and parameters of chance laws, rows in the order of `NoiseStructure`."""

    table: CountTable | None
    whole: Any
    values: Any
    slopes: Any
    sigma: Any
    factors: Any
    """(row, driver): loadings of the chance score on driver scores."""
    own: Any
    """(row, 1): weight of its own score."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Laws:
    """What is drawn; arrays without a year."""

    location: Any
    scale: Any
    logarithmic: Any
    cholesky: Any
    activity_noise: NoiseNumbers
    unit_cost_noise: NoiseNumbers


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class World:
    """The system as numbers that hold for all years."""

    activity_loadings: Any
    """(line, driver): of drivers that act on activity, zero for others."""
    case_mix_loadings: Any
    unit_cost_loadings: Any
    exposure: Any
    deliverer: Any
    payer: Any
    taken: Any
    """(line, change): one where a change leaves from a line."""
    influence: Any
    """(partner, index): borne share of drivers, members, deliveries; the residual key included."""
    residual_key: Any
    profile_start: Any
    profile_end: Any
    profile_size: Any
    """(year, change): sizes by year, for delayed changes."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class BoundTerm:
    """A term with its numbers, who takes its residue, and whether it applies in each year."""

    term: AbstractTerm
    residue: Any
    active: Any


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Yearly:
    """Everything that varies by year; every leaf has the year as its first axis."""

    number: Any
    """0, 1, 2, ..."""
    carry: Any
    """(year, index): weight of last year's score in this year's."""
    fresh: Any
    """(year, index): weight of this year's innovation."""
    walks: Any
    """(year, index): 1 where the index is a step on last year's index."""
    price: Any
    plan: Any
    before: Any
    unit_cost: Any
    moved: Any
    """(year, line, change, 1): activity that moves for each unit of size."""
    size: Any
    """(year, change, 1): planned size."""
    members: Any
    running_cost: Any
    """(year, partner, 1)"""
    cost: CostNumbers
    terms: tuple[BoundTerm, ...]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Leaves:
    """All leaves of a bound case."""

    laws: Laws
    world: World
    yearly: Yearly


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
    terms, bridges = _terms(case, plan, labels)
    activity_noise, activity_numbers = _noise(case, plan, [line.noise for line in case.lines])
    unit_noise, unit_numbers = _noise(case, plan, [line.unit_cost_noise for line in case.lines])
    maps = [law_of(index) for index in indices]
    structure = Structure(
        years=years,
        partners=len(case.partners),
        lines=len(case.lines),
        drivers=len(case.drivers),
        populations=len(case.members),
        changes=len(case.changes),
        delayed=tuple(c for c, change in enumerate(case.changes) if change.delay is not None),
        drawn=tuple(i for i, index in enumerate(indices) if not index.certain),
        case_mix_moves=any(driver.acts_on == "case_mix" for driver in case.drivers),
        activity_noise=activity_noise,
        unit_cost_noise=unit_noise,
        cost=plan.cost_structure,
        term_names=tuple(name for name, _ in terms),
    )
    laws = Laws(
        location=np.array([m.location for m in maps])[:, None],
        scale=np.array([m.scale for m in maps])[:, None],
        logarithmic=np.array([float(m.logarithmic) for m in maps])[:, None],
        cholesky=cholesky(correlation_matrix(case)),
        activity_noise=activity_numbers,
        unit_cost_noise=unit_numbers,
    )
    numbers = Leaves(
        laws=laws,
        world=_world(case, plan, labels),
        yearly=_yearly(case, plan, tuple(bound for _, bound in terms)),
    )
    return Bound(structure, numbers, plan, _columns(case, structure), bridges)


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
        deliverer=_one_hot([line.deliverer for line in case.lines], partners).T,
        payer=_one_hot([line.payer for line in case.lines], partners).T,
        taken=plan.taken,
        influence=borne(influence.reshape(len(owners), len(partners)).T, residual),
        residual_key=residual,
        profile_start=start,
        profile_end=end,
        profile_size=plan.size,
    )


def _one_hot(names: Iterable[str], partners: tuple[str, ...]) -> Numbers:
    rows = [[float(name == partner) for partner in partners] for name in names]
    return np.array(rows, np.float64).reshape(-1, len(partners))


def _yearly(case: Case, plan: Plan, terms: tuple[BoundTerm, ...]) -> Yearly:
    years, indices = len(case.years), list(case.indices().values())
    later = (np.arange(years) > 0)[:, None]
    process = np.array([index.process for index in indices], dtype=object)
    phi = np.array([float(index.persistence or 0.0) for index in indices])
    phi = np.where(process == "constant", 1.0, np.where(process == "ar1", phi, 0.0)).astype(float)
    carry = np.where(later, phi, 0.0)
    view = plan.view
    owners = _one_hot([change.owner for change in case.changes], case.labels()["partner"])
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
        running_cost=(plan.running_cost @ owners)[:, :, None],
        cost=plan.cost,
        terms=terms,
    )


def _noise(
    case: Case, plan: Plan, noises: list[Noise | None]
) -> tuple[NoiseStructure, NoiseNumbers]:
    def lines(*laws: str) -> tuple[int, ...]:
        return tuple(i for i, noise in enumerate(noises) if noise is not None and noise.law in laws)

    structure = NoiseStructure(
        counts=lines("poisson", "negative-binomial"),
        gamma=lines("gamma"),
        lognormal=lines("lognormal"),
        coupled=any(noise is not None and len(noise.factors) > 0 for noise in noises),
    )
    tables, whole = [], []
    for i in structure.counts:
        means = plan.expected[:, i][plan.expected[:, i] > 0]
        low, high = (means.min(), means.max()) if means.size else (1.0, 1.0)
        noise = noises[i]
        assert noise is not None
        tables.append(
            count_table(float(low) / 2, float(high) * 2, float(noise.overdispersion or 0))
        )
        whole.append(float(high < WHOLE_BELOW))
    gammas = [gamma_table(float(noises[i].cv)) for i in structure.gamma]  # type: ignore[union-attr]  # picked above
    sigma = [lognormal_sigma(float(noises[i].cv)) for i in structure.lognormal]  # type: ignore[union-attr]  # picked above
    labels = case.labels()
    factors = np.array([declared(noises[i], "factors", labels) for i in structure.lines])
    factors = factors.reshape(len(structure.lines), len(case.drivers))
    drivers = slice(0, len(case.drivers))
    between = correlation_matrix(case)[drivers, drivers]
    explained = np.einsum("rd,de,re->r", factors, between, factors)
    return structure, NoiseNumbers(
        table=stack_count_tables(tables) if tables else None,
        whole=np.array(whole),
        values=np.array([values for values, _ in gammas]),
        slopes=np.array([slopes for _, slopes in gammas]),
        sigma=np.array(sigma)[:, None],
        factors=factors,
        own=np.sqrt(np.maximum(1 - explained, 0))[:, None],
    )


def _columns(case: Case, structure: Structure) -> tuple[Column, ...]:
    kinds = [(DRIVER_COLUMN, i) for i in range(structure.drivers)]
    kinds += [(MEMBERS_COLUMN, i) for i in range(structure.populations)]
    kinds += [(DELIVERY_COLUMN, i) for i in range(structure.changes)]
    kinds += [(DELAY_COLUMN, i) for i in structure.delayed]
    picked = [kinds[i] for i in structure.drawn]
    picked += [(ACTIVITY_COLUMN, i) for i in structure.activity_noise.lines]
    picked += [(UNIT_COST_COLUMN, i) for i in structure.unit_cost_noise.lines]
    return tuple((kind, index, 0) for kind, index in picked)


def _terms(
    case: Case, plan: Plan, labels: Labels
) -> tuple[list[tuple[str, BoundTerm]], dict[str, dict[str, Numbers]]]:
    """Bind every term, in the order in which they run: phase, contract, place in the list."""
    found: list[tuple[int, str, BoundTerm]] = []
    bridges: dict[str, dict[str, Numbers]] = {}
    years = labels["year"]
    for contract in case.contracts:
        scope = {**labels, "line": case.scope_lines(contract)}
        active = np.array([float(contract.years is None or y in contract.years) for y in years])
        binder = _Binder(case, contract, plan, scope)
        bridges |= binder.bridges
        for term in contract.terms:
            bound = binder.bind(term, scope).prepared(plan.view)
            name = f"{contract.name}.{term.label}"
            slot = BoundTerm(bound, bound.residue, active)
            found.append((PHASES.index(term.runs_in), name, slot))
    found.sort(key=lambda item: item[0])
    ordered = [(name, slot) for _, name, slot in found]
    return ordered + _accounts(case, labels), bridges


def _accounts(case: Case, labels: Labels) -> list[tuple[str, BoundTerm]]:
    years = len(case.years)
    last = (np.arange(years) == years - 1).astype(np.float64)
    closes = []
    for partner in case.partners:
        if partner.kind != "pool":
            continue
        term = AccountClose(
            name=partner.name,
            account=np.tile(_one_hot([partner.name], labels["partner"]), (years, 1)),
            opening_balance=np.full(years, float(partner.opening_balance or 0.0)),
            shortfall=declared(partner, "shortfall", labels),
            release=declared(partner, "release", labels),
            last=last,
        )
        closes.append((f"{ACCOUNTS}.{partner.name}", BoundTerm(term, None, np.ones(years))))
    return closes


class _Binder:
    """Replaces the names of one contract by keys and positions, and its numbers by arrays."""

    def __init__(self, case: Case, contract: Contract, plan: Plan, scope: Labels) -> None:
        self.case, self.contract, self.plan = case, contract, plan
        self.years = len(case.years)
        self.bridges: dict[str, dict[str, Numbers]] = {}
        self.budgets: dict[str, BoundBudget] = {}
        for budget in contract.budgets:
            self.budgets[budget.name] = self._budget(budget, scope)

    def bind(self, node: Any, labels: Labels) -> Any:
        """Return a declared object with arrays and keys for fields; numbers have the year first."""
        names = {info.name: getattr(node, info.name) for info in fields_of(type(node))}
        if "lines" in names:
            labels = {**labels, "line": tuple(names["lines"] or labels["line"])}
            names["lines"] = self._positions(labels["line"])
        for info in fields_of(type(node)):
            value, declaration = names[info.name], info.declaration
            if value is None or info.name == "lines":
                continue
            if isinstance(declaration, Parameter):
                names[info.name] = expand(value, declaration, labels)
            elif isinstance(declaration, Reference):
                names[info.name] = self._reference(value, declaration)
            elif isinstance(value, Declared):
                names[info.name] = self.bind(value, labels)
            elif isinstance(value, tuple) and value and isinstance(value[0], Declared):
                names[info.name] = tuple(self.bind(item, labels) for item in value)
        return type(node)(**names)

    def _positions(self, lines: Iterable[str]) -> tuple[int, ...]:
        known = self.case.labels()["line"]
        return tuple(known.index(line) for line in lines)

    def _reference(self, value: Any, reference: Reference) -> Any:
        if reference.to == "partner":
            return np.tile(_one_hot([value], self.case.labels()["partner"]), (self.years, 1))
        if reference.to == "driver":
            return self.case.labels()["driver"].index(value)
        if reference.to == "budget":
            return self.budgets[value]
        if reference.to == "term":
            names = value if reference.many else (value,)
            return tuple(f"{self.contract.name}.{name}" for name in names)
        return value

    def _budget(self, budget: Budget, labels: Labels) -> BoundBudget:
        lines = tuple(budget.lines or labels["line"])
        items = tuple(budget.other)
        own = {**labels, "line": lines, "item": items}
        fields = ("base", "rate", "growth", "inflation", "efficiency", "other")
        numbers = {name: declared(budget, name, own) for name in fields}
        support = None
        if budget.stranded_support is not None:
            term = next(t for t in self.contract.terms if t.label == budget.stranded_support)
            assert isinstance(term, StrandedSupport)
            bound: StrandedSupport = self.bind(term, labels)
            support = bound.planned_amounts(self.plan.view).sum(1)
        steps, result = bridge(
            budget, numbers, self.plan.view, self._positions(lines), items, support
        )
        self.bridges[f"{self.contract.name}.{budget.name}"] = steps
        return result
