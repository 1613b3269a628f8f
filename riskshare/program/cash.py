"""When earned money is paid: the payment profile of a term, and what is due."""

import jax.numpy as jnp
from jax import Array

from riskshare.contract.ledger import Ledger
from riskshare.contract.pennies import whole
from riskshare.contract.primitives import positive, ratio
from riskshare.contract.term import Cash
from riskshare.contract.vectors import summed


def initial_cash(cash: Cash, partners: int, like: Array) -> dict[str, Array]:
    """Return the state before the first year: nothing earned, nothing due."""
    ages = cash.profile.shape[-1] - 1
    shape = (partners, like.shape[-1])
    return {"due": jnp.zeros(shape, like.dtype), "earned": jnp.zeros((ages, *shape), like.dtype)}


def pay_out(
    cash: Cash,
    posting: Array,
    ledger: Ledger,
    state: dict[str, Array],
    per_unit: Array | None,
    residue: Array,
) -> tuple[Array, dict[str, Array]]:
    """Return what a term pays in cash this year, (partner, sample), and the state after."""
    earned = jnp.concatenate([posting[None], state["earned"]])
    due = state["due"] + summed(cash.profile[:, None, None] * earned)
    paid = due
    if cash.limit is not None:
        most = cash.limit * sum(summed(positive(ledger.entries[name])) for name in cash.of)
        gross = summed(positive(due))
        paid = due * jnp.minimum(1, jnp.where(gross > 0, ratio(most, gross), 1))
    if per_unit is not None:
        units = whole(paid * per_unit)
        paid = (units - residue[:, None] * units.sum(0)) / per_unit
    return paid, {"due": due - paid, "earned": earned[:-1]}
