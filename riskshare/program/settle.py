"""One year through cost and contract, and the years in sequence. Pure functions of arrays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from riskshare.bind.leaves import BoundTerm, Leaves, Structure, World, Yearly
from riskshare.contract.cost import CostState, LineCost, initial_state, settle_cost
from riskshare.contract.divisia import Split, SplitInputs, split_value
from riskshare.contract.ledger import PRECISION, Ledger, Transfer
from riskshare.contract.pennies import rounded, whole
from riskshare.contract.rows import replaced
from riskshare.contract.term import YearView
from riskshare.contract.vectors import stored, summed
from riskshare.program.cash import initial_cash, pay_out
from riskshare.program.experience import Experience, delivered, members_index
from riskshare.program.people import by_line
from riskshare.program.savings import savings_of
from riskshare.program.years import over_years

Outputs = dict[str, Any]
"""Arrays of one year by name; ``posting`` is a tuple, one array for each term."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Carried:
    """What settlement carries from year to year: cost vintages, terms' own states, unpaid money."""

    cost: CostState
    terms: Mapping[str, Any]
    cash: Mapping[str, Any]
    """By term with a payment profile: what it earned in earlier years, and what is due."""


def initial_carried(structure: Structure, yearly: Yearly, like: Array) -> Carried:
    """Return the state before the first year."""
    slots = dict(zip(structure.term_names, yearly.terms, strict=True))
    terms = {name: slot.term.initial(like) for name, slot in slots.items()}
    cash = {
        name: initial_cash(slot.term.cash, structure.partners, like)
        for name, slot in slots.items()
        if slot.term.cash is not None
    }
    return Carried(initial_state(structure.cost, structure.years, like), terms, cash)


def settle_year(
    structure: Structure,
    world: World,
    yearly: Yearly,
    experience: Experience,
    carried: Carried,
    per_unit: Array | None,
) -> tuple[Outputs, Carried]:
    """Settle one year: cost of every line, then the terms in contract order.

    ``per_unit`` is the number of smallest units in one unit of the currency, where transfers and
    cost are to be rounded to them.
    """
    amount = delivered(structure, world, yearly, experience.index)
    share = jnp.matmul(world.taken, amount, precision=PRECISION)
    of_cost = partial(
        settle_cost,
        structure.cost,
        yearly.cost,
        carried.cost,
        experience.activity,
        experience.case_mix,
        experience.unit_cost,
        share,
    )
    in_time = bool(structure.cost.held_lines)
    line_cost, cost_state = stored(of_cost, yearly.price) if in_time else of_cost()
    line_cost = _given_cost(line_cost, experience)
    if per_unit is not None:
        line_cost = replace(line_cost, cost=rounded(line_cost.cost, per_unit))
    running = jnp.matmul(world.owner, yearly.running_cost, precision=PRECISION)
    cost = jnp.matmul(world.deliverer, line_cost.cost, precision=PRECISION) + running
    if per_unit is not None:
        cost = rounded(cost, per_unit)
    view = _view(structure, world, yearly, experience, line_cost, cost, amount)
    if per_unit is None:
        view = replace(view, once=partial(_once, yearly.price))
    else:
        view = replace(view, pennies=partial(rounded, per_unit=per_unit))
    ledger, states, unpaid = Ledger(), {}, {}
    moved: dict[str, Any] = {}
    notes: dict[str, Any] = {}
    lasting, late = jnp.zeros_like(cost), jnp.zeros_like(cost)
    for name, slot in zip(structure.term_names, yearly.terms, strict=True):
        seen = view if per_unit is None else replace(view, note=_recorder(notes, name))
        before = carried.terms[name]
        transfers, after = slot.term.settle(seen, ledger, before)
        # a year in which the contract does not hold leaves what the term carries as it is
        holds = slot.active * slot.term.in_force > 0
        states[name] = jax.tree.map(
            lambda new, old, on=holds: jnp.where(on, new, old), after, before
        )
        transfers = tuple(replace(t, amount=t.amount * slot.term.in_force) for t in transfers)
        if per_unit is None:
            posting = _posting(slot, view, transfers)
        else:
            units = [whole(t.amount * per_unit) for t in transfers]
            transfers = tuple(replace(t, amount=u) for t, u in zip(transfers, units, strict=True))
            posting = _rounded_posting(slot, view, transfers, per_unit)
            moved[name] = {
                f"{i} {t.parts}": (t.amount * slot.active / per_unit, t.to, t.from_)
                for i, t in enumerate(transfers)
            }
        ledger = ledger.post(name, posting)
        if not slot.term.recurrent:
            lasting = lasting - posting
        if slot.term.cash is not None:
            residue = slot.term.residue_key(view) if slot.residue is None else slot.residue
            paid, unpaid[name] = pay_out(
                slot.term.cash, posting, ledger, carried.cash[name], per_unit, residue
            )
            late = late + paid - posting
    entries = tuple(ledger.entries[name] for name in structure.term_names)
    zero = jnp.zeros_like(cost)
    position = sum(entries, zero) - cost
    outputs = {
        "posting": entries,
        "received": sum((jnp.maximum(entry, 0) for entry in entries), zero),
        "paid": sum((jnp.maximum(-entry, 0) for entry in entries), zero),
        "cost": cost,
        "position": position,
        "cash": position + late,
        "line_cost": line_cost.cost,
        "cost_released": line_cost.released,
        "stranded": line_cost.stranded,
        "lost_contribution": yearly.price * line_cost.removed - line_cost.released,
    }
    if experience.other_position is not None:
        outputs["other_position"] = experience.other_position
    elif structure.others:
        rest = experience.index[structure.first_score + len(structure.scored) :]
        outputs["other_position"] = yearly.other_mean + world.other_sd * jnp.log(rest)
    savings = savings_of(structure, world, yearly, experience, line_cost, amount)
    outputs |= savings
    outputs["underlying"] = position + lasting + _passing(structure, world, yearly, savings)
    if per_unit is not None:
        for name in ("received", "paid", "position", "cash", "underlying"):
            outputs[name] = rounded(outputs[name], per_unit)
        outputs |= {"moved": moved, "notes": notes}
    return outputs, Carried(cost_state, states, unpaid)


def _recorder(notes: dict[str, Any], term: str) -> Callable[..., None]:
    """Return what writes down a term's working: figures by ``<term>|<number>|<step>``."""

    def record(step: str, **figures: Any) -> None:
        notes[f"{term}|{len(notes):04d}|{step}"] = {
            name: jnp.asarray(value) for name, value in figures.items()
        }

    return record


def _passing(
    structure: Structure, world: World, yearly: Yearly, savings: Mapping[str, Array]
) -> Array:
    """Return what takes out of a position what passing changes gave each partner."""
    if not structure.passing:
        return jnp.zeros((), world.deliverer.dtype)
    at = jnp.asarray(structure.passing)
    saved = jnp.matmul(
        jnp.matmul(world.deliverer, world.taken[:, at], precision=PRECISION),
        savings["saving_released"][at],
        precision=PRECISION,
    )
    cost = jnp.matmul(world.owner[:, at], yearly.running_cost[at], precision=PRECISION)
    brought = summed(savings["brought"][:, at], 1)
    return cost + jnp.matmul(world.deliverer, brought, precision=PRECISION) - saved


def _once(known: Array, amount: Array) -> Array:
    """Return an amount stored, where it is a single one: the product of more with keys stores them.

    A product of one row with keys is none to a compiler, but a loop over partners.
    """
    made = jnp.asarray(amount)
    several = made.ndim > 1 and len(made) > 1
    return made if several else stored(lambda: made, known)


def _given_cost(line_cost: LineCost, experience: Experience) -> LineCost:
    given = experience.given_cost
    if given is None:
        return line_cost
    known = ~jnp.isnan(given)
    return replace(
        line_cost,
        cost=jnp.where(known, given, line_cost.cost),
        released=jnp.where(known, jnp.nan, line_cost.released),
        stranded=jnp.where(known, jnp.nan, line_cost.stranded),
    )


def _posting(
    slot: BoundTerm, view: YearView, transfers: tuple[Transfer, ...]
) -> Float[Array, "partner sample"]:
    return sum((transfer.posting() for transfer in transfers), _nothing(view)) * slot.active


def _rounded_posting(
    slot: BoundTerm, view: YearView, transfers: tuple[Transfer, ...], per_unit: Array
) -> Float[Array, "partner sample"]:
    """Return what transfers of whole smallest units post, each partner's part rounded too."""
    residue = slot.term.residue_key(view) if slot.residue is None else slot.residue
    units = sum((transfer.rounded_posting(residue) for transfer in transfers), _nothing(view))
    return units * slot.active / per_unit


def _nothing(view: YearView) -> Float[Array, "partner sample"]:
    return jnp.zeros((view.deliverer.shape[0], view.activity.shape[-1]), view.activity.dtype)


def _view(
    structure: Structure,
    world: World,
    yearly: Yearly,
    experience: Experience,
    line_cost: LineCost,
    cost: Array,
    amount: Array,
) -> YearView:
    value = yearly.price * experience.case_mix * experience.activity
    members = members_index(structure, experience.index)

    def split(lines: tuple[int, ...]) -> Split:
        at = jnp.asarray(lines)
        size = jnp.where(yearly.size > 0, yearly.size, 1)
        loadings = world.activity_loadings + world.case_mix_loadings
        inputs = SplitInputs(
            price=yearly.price[at],
            plan=yearly.plan[at],
            before=yearly.before[at],
            value=value[at],
            loadings=loadings[at],
            drivers=experience.index[: structure.drivers],
            exposure=world.exposure[at],
            members=members,
            moved=(yearly.moved * yearly.size)[at],
            deliveries=jnp.where(yearly.size > 0, amount / size, 1),
            unplanned=(yearly.moved * jnp.where(yearly.size > 0, 0, amount))[at],
        )
        return stored(lambda: split_value(inputs), yearly.price)

    return YearView(
        price=yearly.price,
        plan=yearly.plan,
        baseline=yearly.cost.baseline,
        activity=experience.activity,
        value=value,
        removed=line_cost.removed,
        stranded=line_cost.stranded,
        line_cost=line_cost.cost,
        cost_released=line_cost.released,
        cost=cost,
        driver_index=experience.index[: structure.drivers],
        members_index=members,
        members=members * yearly.members,
        need=yearly.need,
        quality=_quality(structure, experience),
        person_cost=_persons(structure, experience),
        target=yearly.target,
        turnover=yearly.turnover,
        fraction=yearly.fraction,
        deliverer=world.deliverer,
        payer=world.payer,
        influence=world.influence,
        residual_key=world.residual_key,
        split=split,
    )


def _persons(structure: Structure, experience: Experience) -> Array | None:
    """Cost of each person on each line: as given, or of those drawn one by one."""
    if experience.person_cost is not None or experience.slot_cost is None:
        return experience.person_cost
    return by_line(structure, experience.slot_cost)


def _quality(structure: Structure, experience: Experience) -> Array:
    """Scores of all partners, 0 where one has none."""
    samples = experience.activity.shape[-1]
    scores = jnp.zeros((structure.partners, samples), experience.activity.dtype)
    if not structure.scored:
        return scores
    first = structure.first_score
    own = experience.index[first : first + len(structure.scored)]
    return replaced(scores, structure.scored, jnp.clip(own, 0, 1))


def settle_years(
    structure: Structure,
    leaves: Leaves,
    experience: Experience,
    carried: Carried,
    settled: Array,
    per_unit: Array | None,
    *,
    unrolled: bool,
) -> tuple[Outputs, Any]:
    """Settle years in sequence; returns their outputs and the state after each of them.

    Years where ``settled`` is false are passed over: their outputs mean nothing and the state
    goes through them unchanged.
    """

    def step(state: Carried, inputs: tuple[Yearly, Experience, Array]) -> tuple[Carried, Any]:
        yearly, year, takes_part = inputs
        outputs, after = settle_year(structure, leaves.world, yearly, year, state, per_unit)
        after = jax.tree.map(lambda new, old: jnp.where(takes_part, new, old), after, state)
        return after, (outputs, after)

    inputs = (leaves.yearly, experience, jnp.asarray(settled))
    _, (outputs, states) = over_years(step, carried, inputs, unrolled=unrolled)
    return outputs, states
