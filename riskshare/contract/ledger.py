"""Double-entry bookkeeping: transfers that balance by construction, and the ledger they fill.

Inside the kernel the ledger is a mapping of one array per term, never one stacked array: XLA fuses
each term with what uses it (measured 2.2 times faster).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from riskshare.contract.pennies import whole

PRECISION = "highest"
"""Matrix products keep all bits; recent GPUs would otherwise round inputs to 10 bits."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Transfer:
    """Amounts of money and the two keys between which they move.

    ``posting = (to - from_) @ amount``: each column of ``to`` and of ``from_`` sums to one over
    partners, so every posting sums to zero whatever the amounts are.
    """

    amount: Float[Array, "part sample"]
    """(part, 1) where it is the same in every sample, which spares a product with them all."""
    to: Float[Array, "partner part"]
    from_: Float[Array, "partner part"]
    parts: Literal["whole", "line", "index", "partner"] = field(
        default="whole", metadata={"static": True}
    )
    """What its parts are: lines of the term, the case's indices, partners, or one amount."""

    def posting(self) -> Float[Array, "partner sample"]:
        """Money by partner, positive where it receives."""
        return jnp.matmul(self.to - self.from_, self.amount, precision=PRECISION)

    def rounded_posting(self, residue: Float[Array, " partner"]) -> Float[Array, "partner sample"]:
        """Units by partner, of amounts in whole smallest units; ``residue`` takes the rest."""
        units = whole((self.to - self.from_)[:, :, None] * self.amount[None]).sum(1)
        return units - residue[:, None] * units.sum(0)


@dataclass(frozen=True)
class Ledger:
    """What each term has posted so far this year, by its full name ``<contract>.<term>``."""

    entries: Mapping[str, Float[Array, "partner sample"]] = field(default_factory=dict)

    def post(self, name: str, posting: Float[Array, "partner sample"]) -> "Ledger":
        """Return the ledger with one more entry."""
        return Ledger({**self.entries, name: posting})

    def total(self) -> Float[Array, "partner sample"]:
        """Sum over the entries: what each partner has received less what it has paid."""
        return sum(self.entries.values(), 0.0)  # type: ignore[return-value]  # 0 where it is empty

    def gross(self) -> Float[Array, "partner sample"]:
        """Sum over the entries of what each partner received or paid, without sign."""
        return sum((jnp.abs(entry) for entry in self.entries.values()), 0.0)  # type: ignore[return-value]  # 0 where it is empty

    def net(
        self, terms: tuple[str, ...], partner: Float[Array, " partner"]
    ) -> Float[Array, " sample"]:
        """Net receipts of one partner (a one-hot key) over the named terms."""
        return sum(jnp.matmul(partner, self.entries[term], precision=PRECISION) for term in terms)  # type: ignore[return-value]  # at least one term


def per_line(
    amount: Float[Array, "line sample"],
    to: Float[Array, "partner line"],
    from_: Float[Array, "partner line"],
) -> Transfer:
    """Transfer an amount of each line from its payer to its deliverer."""
    return Transfer(amount, to, from_, "line")


def single(
    amount: Float[Array, " sample"], to: Float[Array, " partner"], from_: Float[Array, " partner"]
) -> Transfer:
    """Transfer one amount between two allocation keys."""
    return Transfer(amount[None], to[:, None], from_[:, None])


def to_each(amount: Float[Array, "partner sample"], from_: Float[Array, " partner"]) -> Transfer:
    """Transfer an amount to each partner from one of them."""
    everyone = jnp.broadcast_to(from_[:, None], (len(amount), len(amount)))
    return Transfer(amount, jnp.eye(len(amount), dtype=amount.dtype), everyone, "partner")


def from_each(amount: Float[Array, "partner sample"], to: Float[Array, " partner"]) -> Transfer:
    """Transfer an amount from each partner to one of them."""
    everyone = jnp.broadcast_to(to[:, None], (len(amount), len(amount)))
    return Transfer(amount, everyone, jnp.eye(len(amount), dtype=amount.dtype), "partner")
