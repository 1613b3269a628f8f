"""One year through cost and contract, and the years in sequence. Pure functions of arrays."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from riskshare.bind.leaves import BoundTerm, Leaves, Structure, World, Yearly
from riskshare.contract.cost import CostState, LineCost, initial_state, settle_cost
from riskshare.contract.divisia import Split, SplitInputs, split_value
from riskshare.contract.ledger import PRECISION, Ledger, Transfer
from riskshare.contract.term import YearView
from riskshare.program.experience import Experience, delivered, members_index

Outputs = dict[str, Any]
"""Arrays of one year by name; ``posting`` is a tuple, one array for each term."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Carried:
    """What settlement carries from year to year: cost vintages and the terms' own states."""

    cost: CostState
    terms: Mapping[str, Any]


def initial_carried(structure: Structure, yearly: Yearly, like: Array) -> Carried:
    """Return the state before the first year."""
    terms = {
        name: slot.term.initial(like)
        for name, slot in zip(structure.term_names, yearly.terms, strict=True)
    }
    return Carried(initial_state(structure.cost, structure.years, like), terms)


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
    line_cost, cost_state = settle_cost(
        structure.cost,
        yearly.cost,
        carried.cost,
        experience.activity,
        experience.case_mix,
        experience.unit_cost,
        share,
    )
    line_cost = _given_cost(line_cost, experience)
    if per_unit is not None:
        line_cost = replace(line_cost, cost=_rounded(line_cost.cost, per_unit))
    view = _view(structure, world, yearly, experience, line_cost, amount)
    ledger, states = Ledger(), {}
    moved: dict[str, Any] = {}
    for name, slot in zip(structure.term_names, yearly.terms, strict=True):
        transfers, states[name] = slot.term.settle(view, ledger, carried.terms[name])
        posting = _posting(slot, view, transfers, per_unit)
        if per_unit is not None:
            moved[name] = {
                f"{i} {t.parts}": (_rounded(t.amount, per_unit) * slot.active, t.to, t.from_)
                for i, t in enumerate(transfers)
            }
        ledger = ledger.post(name, posting)
    cost = jnp.matmul(world.deliverer, line_cost.cost, precision=PRECISION) + yearly.running_cost
    if per_unit is not None:
        cost = _rounded(cost, per_unit)
    entries = tuple(ledger.entries[name] for name in structure.term_names)
    zero = jnp.zeros_like(cost)
    outputs = {
        "posting": entries,
        "received": sum((jnp.maximum(entry, 0) for entry in entries), zero),
        "paid": sum((jnp.maximum(-entry, 0) for entry in entries), zero),
        "cost": cost,
        "position": sum(entries, zero) - cost,
        "line_cost": line_cost.cost,
        "cost_released": line_cost.released,
        "stranded": line_cost.stranded,
        "lost_contribution": yearly.price * line_cost.removed - line_cost.released,
    }
    if per_unit is not None:
        for name in ("received", "paid", "position"):
            outputs[name] = _rounded(outputs[name], per_unit)
        outputs["moved"] = moved
    return outputs, Carried(cost_state, states)


def _rounded(money: Array, per_unit: Array) -> Array:
    return jnp.round(money * per_unit) / per_unit


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
    slot: BoundTerm, view: YearView, transfers: tuple[Transfer, ...], per_unit: Array | None
) -> Float[Array, "partner sample"]:
    start = jnp.zeros((view.deliverer.shape[0], view.activity.shape[-1]), view.activity.dtype)
    if per_unit is None:
        return sum((transfer.posting() for transfer in transfers), start) * slot.active
    residue = slot.term.residue_key(view) if slot.residue is None else slot.residue
    units = sum((t.rounded_posting(per_unit, residue) for t in transfers), start)
    return units * slot.active / per_unit


def _view(
    structure: Structure,
    world: World,
    yearly: Yearly,
    experience: Experience,
    line_cost: LineCost,
    amount: Array,
) -> YearView:
    value = yearly.price * experience.case_mix * experience.activity
    members = members_index(structure, experience.index)

    def split(lines: tuple[int, ...]) -> Split:
        at = jnp.asarray(lines)
        size = jnp.where(yearly.size > 0, yearly.size, 1)
        loadings = world.activity_loadings + world.case_mix_loadings
        return split_value(
            SplitInputs(
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
        )

    return YearView(
        price=yearly.price,
        plan=yearly.plan,
        activity=experience.activity,
        value=value,
        removed=line_cost.removed,
        stranded=line_cost.stranded,
        driver_index=experience.index[: structure.drivers],
        members_index=members,
        deliverer=world.deliverer,
        payer=world.payer,
        influence=world.influence,
        residual_key=world.residual_key,
        split=split,
    )


def settle_years(
    structure: Structure,
    leaves: Leaves,
    experience: Experience,
    carried: Carried,
    settled: Array,
    per_unit: Array | None,
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

    _, (outputs, states) = jax.lax.scan(step, carried, (leaves.yearly, experience, settled))
    return outputs, states
