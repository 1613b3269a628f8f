"""From numbers by path to the leaves of the kernel, inside a program that JAX traces.

Which numbers a program has is what this module reads: a number that nothing here is made from is
no parameter, so that a derivative of zero always means that a number does not matter.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from riskshare.bind import Bound
from riskshare.bind.leaves import BoundTerm, Laws, Leaves, World, Yearly
from riskshare.bind.terms import Binder, in_running_order, with_last
from riskshare.case import Case, Contract
from riskshare.contract.budget import Budget, steps_of
from riskshare.contract.keys import borne
from riskshare.contract.support import StrandedSupport
from riskshare.contract.term import AbstractTerm
from riskshare.laws.indices import Z90
from riskshare.laws.marginal import AbstractLaw
from riskshare.names import ACCOUNTS
from riskshare.parameters import Labels
from riskshare.plan import Plan
from riskshare.run.paths import Reader, index_paths, replaced
from riskshare.run.planned import SECTIONS, moved_plan
from riskshare.system import Delay


def leaves_at(reader: Reader, case: Case, bound: Bound, numbers: Leaves) -> Leaves:
    """Return leaves with the reader's numbers in place.

    Parameters
    ----------
    numbers
        The leaves of the bound case in the type of the program.
    """
    moves = any(path.startswith(SECTIONS) and not _of_law(path) for path in reader.places)
    plan = moved_plan(reader, case, bound) if moves else None
    terms = _terms(reader, case, bound, numbers.yearly.terms, plan)
    return dataclasses.replace(
        numbers,
        laws=_laws(reader, case, numbers.laws),
        world=_world(reader, case, numbers.world, plan),
        yearly=_yearly(reader, case, bound, numbers.yearly, plan, terms),
    )


def _of_law(path: str) -> bool:
    """Whether a number says how things vary, and so does not move the plan."""
    name = path.partition("[")[0].rpartition(".")[2]
    return name in ("value", "sd", "interval", "influence", "loadings")


def _laws(reader: Reader, case: Case, laws: Laws) -> Laws:
    """Return the laws of indices that have a closed form; tables stay as they are."""
    places, scales = list(laws.location[:, 0]), list(laws.scale[:, 0])
    labels = case.labels()
    for i, (prefix, index) in enumerate(index_paths(case)):
        if isinstance(index.law, AbstractLaw) or not prefix:
            continue
        value, sd, interval = (
            reader.declared(prefix, index, name, labels) for name in ("value", "sd", "interval")
        )
        if not any(isinstance(number, jax.Array) for number in (value, sd, interval)):
            continue
        logs = index.law == "lognormal"
        if interval is not None:
            ends = jnp.log(interval) if logs else interval
            places[i], scales[i] = ends.sum() / 2, (ends[1] - ends[0]) / (2 * Z90)
            continue
        at = (0.0 if isinstance(index, Delay) else 1.0) if value is None else value
        sd = 0.0 if sd is None else sd
        if logs:
            at = jnp.log(at) - (sd**2 / 2 if index.centre == "mean" else 0.0)
        places[i], scales[i] = at, sd
    if not places:
        return laws

    def column(values: list[Any]) -> Any:
        return jnp.stack([jnp.asarray(value, reader.dtype) for value in values])[:, None]

    return dataclasses.replace(laws, location=column(places), scale=column(scales))


def _world(reader: Reader, case: Case, world: World, plan: Plan | None) -> World:
    labels = case.labels()
    owners = [(f"drivers.{d.name}", d) for d in case.drivers]
    owners += [(f"members.{p.name}", p) for p in case.members]  # type: ignore[misc]  # both have influence
    owners += [(f"changes.{c.name}.delivery", c.delivery) for c in case.changes]  # type: ignore[misc]
    rows = [reader.declared(prefix, owner, "influence", labels) for prefix, owner in owners]
    key = reader.declared("", case, "residual_key", labels)
    key = world.residual_key if key is None else key
    influence: Any = world.influence
    if rows:
        influence = jnp.stack([jnp.asarray(row) for row in rows]).T
    loadings = [
        reader.declared(f"lines.{line.name}", line, "loadings", labels) for line in case.lines
    ]
    if any(isinstance(row, jax.Array) for row in loadings):
        whole = jnp.stack([jnp.asarray(row) for row in loadings])
        world = dataclasses.replace(
            world,
            **{
                f"{what}_loadings": whole * _acting(case, what, reader.dtype)
                for what in ("activity", "case_mix", "unit_cost")
            },
        )
    return dataclasses.replace(
        world,
        influence=borne(influence, key),
        residual_key=key,
        profile_size=world.profile_size if plan is None else plan.size,
    )


def _acting(case: Case, what: str, dtype: Any) -> Any:
    """Return 1 for the drivers that act on something."""
    return np.array([driver.acts_on == what for driver in case.drivers], dtype)


def _yearly(
    reader: Reader,
    case: Case,
    bound: Bound,
    yearly: Yearly,
    plan: Plan | None,
    terms: tuple[BoundTerm, ...],
) -> Yearly:
    labels, years = case.labels(), len(case.years)

    def of(partner: Any, name: str) -> Any:
        return reader.declared(f"partners.{partner.name}", partner, name, labels)

    target = jnp.stack([of(p, "target") + of(p, "offset") for p in case.partners], axis=1)
    turnovers = [of(p, "turnover") for p in case.partners]
    zero = jnp.zeros(years, reader.dtype)
    turnover = jnp.stack([zero if t is None else jnp.asarray(t) for t in turnovers], axis=1)
    means = [
        jnp.asarray(
            reader.declared(f"partners.{p.name}.other_position", p.other_position, "mean", labels)
        )
        for p in case.partners
        if p.other_position is not None
    ]
    mean = jnp.stack(means, axis=1)[:, :, None] if means else yearly.other_mean
    found = dataclasses.replace(
        yearly,
        target=target[:, :, None],
        turnover=turnover[:, :, None],
        other_mean=mean,
        terms=terms,
    )
    if plan is None:
        return found
    return dataclasses.replace(
        found,
        price=plan.view.price[:, :, None],
        plan=plan.view.plan[:, :, None],
        before=plan.view.before[:, :, None],
        unit_cost=plan.unit_cost[:, :, None],
        moved=plan.moved[:, :, :, None],
        size=plan.size[:, :, None],
        members=plan.view.members[:, :, None],
        need=plan.view.need[:, :, None],
        running_cost=plan.running_cost[:, :, None],
        cost=plan.cost,
    )


def _terms(
    reader: Reader,
    case: Case,
    bound: Bound,
    slots: tuple[BoundTerm, ...],
    plan: Plan | None,
) -> tuple[BoundTerm, ...]:
    names = bound.structure.term_names
    found = dict(zip(names, slots, strict=True))
    active = {n: s.active for n, s in zip(names, bound.numbers.yearly.terms, strict=True)}
    for contract, binder, scope in in_running_order(case, bound.plan):
        terms = _Terms(reader, case, contract, binder, scope, plan)
        for term in contract.terms:
            name = f"{contract.name}.{term.label}"
            found[name] = terms.slot(term, found[name], active[name])
    for partner in case.partners:
        name = f"{ACCOUNTS}.{partner.name}"
        if name in found:
            found[name] = _account(reader, case, partner, found[name])
    return tuple(found.values())


class _Terms:
    """The terms of one contract at the reader's numbers."""

    def __init__(
        self,
        reader: Reader,
        case: Case,
        contract: Contract,
        binder: Binder,
        scope: Labels,
        plan: Plan | None,
    ) -> None:
        self.reader, self.case, self.contract = reader, case, contract
        self.binder, self.scope, self.plan = binder, scope, plan
        self.view = binder.plan.view if plan is None else plan.view
        self.budgets = {budget.name: self._budget(budget) for budget in contract.budgets}

    def slot(self, term: AbstractTerm, slot: BoundTerm, active: Any) -> BoundTerm:
        """Return a term with what moves in it; ``active`` says on the host when it applies."""
        host = with_last(self.binder.bind(term, self.scope), active)
        raw = self.reader.constant(host)
        new = self._replaced(term, raw)
        named = getattr(term, "budget", None)
        if isinstance(named, str) and self.budgets.get(named) is not None:
            new = dataclasses.replace(new, budget=self.budgets[named])
        follows = self.plan is not None and host.prepared(self.binder.plan.view) is not host
        if new is raw and not follows:
            return slot
        table = getattr(slot.term, "table", None)
        if table is not None:  # made beforehand, from the case's laws
            new = dataclasses.replace(new, table=table)
        return dataclasses.replace(slot, term=new.prepared(self.view))

    def _replaced(self, term: AbstractTerm, raw: Any) -> Any:
        prefix = f"{self.contract.name}.{term.label}"
        labels = self.scope
        return replaced(self.reader, term, raw, prefix, labels, len(self.case.years))

    def _budget(self, budget: Budget) -> Any:
        """Return a budget for the kernel, None where nothing moves it."""
        host = self.binder.budget_numbers(budget, self.scope)
        labels = self.binder.budget_labels(budget, self.scope)
        prefix = f"{self.contract.name}.{budget.name}"
        numbers = {name: self.reader.declared(prefix, budget, name, labels) for name in host}
        support, supported = self._support(budget)
        own = any(isinstance(array, jax.Array) for array in numbers.values())
        if not own and not supported and self.plan is None:
            return None
        known = self.case.labels()["line"]
        lines = tuple(known.index(line) for line in labels["line"])
        view = self.view
        if self.plan is None:
            arrays: dict[str, Any] = {
                field.name: jnp.asarray(value, self.reader.dtype)
                for field in dataclasses.fields(view)
                if (value := getattr(view, field.name)).dtype == np.float64
            }
            view = dataclasses.replace(view, **arrays)
        return steps_of(budget, numbers, view, lines, tuple(budget.other), support)[1]

    def _support(self, budget: Budget) -> tuple[Any, bool]:
        """Return what a budget's stranded-support term pays as planned, and whether it moves."""
        if budget.stranded_support is None:
            return None, False
        term = next(t for t in self.contract.terms if t.label == budget.stranded_support)
        assert isinstance(term, StrandedSupport)
        raw = self.reader.constant(self.binder.bind(term, self.scope))
        new = self._replaced(term, raw)
        amounts = new.planned_amounts(self.view).sum(1)
        return jnp.asarray(amounts, self.reader.dtype), new is not raw


def _account(reader: Reader, case: Case, partner: Any, slot: BoundTerm) -> BoundTerm:
    """Return the close of a pool account with the numbers of its partner."""
    labels, prefix = case.labels(), f"partners.{partner.name}"
    changed: dict[str, Any] = {}
    for name in ("opening_balance", "uncommitted", "shortfall", "release"):
        array = reader.declared(prefix, partner, name, labels)
        if isinstance(array, jax.Array):
            changed[name] = array
    if "opening_balance" in changed:
        changed["opening_balance"] = jnp.broadcast_to(
            changed["opening_balance"], (len(case.years),)
        )
    return dataclasses.replace(slot, term=dataclasses.replace(slot.term, **changed))
