"""Pool accounts: partners that hold money between years and are closed at the end of each."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from riskshare.contract.keys import portions
from riskshare.contract.ledger import PRECISION, Ledger, Transfer, from_each, to_each
from riskshare.contract.primitives import positive, ratio
from riskshare.contract.term import AbstractTerm, Partner, State, YearView, traced
from riskshare.contract.vectors import summed
from riskshare.names import Phase
from riskshare.parameters import Given, Parameter


@traced
@dataclass(frozen=True, kw_only=True)
class AccountClose(AbstractTerm):
    """Closes a pool account after all other terms of the year.

    It is made from the partner itself and so is no kind of term for a case file.

    ``balance = opening + postings so far``. With ``prorate`` the account pays no more than it has
    (M25): what it was to pay is scaled by ``min(1, held / claims)`` and partners hand the rest
    back; the rest lapses, or is carried and has first call on later years. Otherwise a balance
    below zero is made up first by cutting ``uncommitted`` schemes, whose money comes back in
    proportion, then by ``shortfall``. What is left at the end of the last year goes to
    ``release``, where there is one.
    """

    kind: ClassVar[str] = "account-close"
    usual_phase: ClassVar[Phase] = "organisation"

    account: Partner
    opening_balance: Annotated[Given, Parameter("money")] = 0.0
    prorate: Literal["carry", "lapse"] | None = None
    uncommitted: Annotated[Given, Parameter("money per year", axes=("partner",))] = None
    shortfall: Annotated[Given, Parameter("share", axes=("partner",))] = None
    release: Annotated[Given, Parameter("share", axes=("partner",))] = None
    last: Annotated[Any, Parameter("flag", derived=True)] = 0.0

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return the account."""
        return self.account

    def initial(self, like: Array) -> State:
        """Return the opening balance, and no unpaid claims."""
        state = {"balance": self.opening_balance[0] * jnp.ones_like(like[0])}
        if self.prorate == "carry":
            shape = (self.account.shape[-1], like.shape[-1])
            state["unpaid"] = jnp.zeros(shape, like.dtype)
        return state

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Scale claims or make up a shortfall, then release what is left in the last year."""
        entries = tuple(ledger.entries)
        balance = state["balance"] + ledger.net(entries, self.account)
        year.note("brought forward", amount=state["balance"])
        year.note("postings of the year", amount=balance - state["balance"])
        moved = []
        after: dict[str, Array] = {}
        if self.prorate is not None:
            returned, paid_late, unpaid = self._prorated(ledger, state, year)
            moved.append(from_each(returned, self.account))
            balance = balance + summed(returned)
            if self.prorate == "carry":
                moved.append(to_each(paid_late, self.account))
                balance = balance - summed(paid_late)
                after["unpaid"] = unpaid
                year.note("old claims paid", amount=-paid_late)
                year.note("claims carried", quantity=unpaid)
        if self.uncommitted is not None:
            most = self.uncommitted.sum()
            cut = jnp.minimum(positive(-balance), most)
            cuts = portions(cut, ratio(self.uncommitted, most)[:, None], year.pennies)
            year.note("uncommitted schemes cut", quantity=self.uncommitted, amount=cuts)
            moved.append(from_each(cuts, self.account))
            balance = balance + cut
        if self.shortfall is not None:
            short = jnp.maximum(-balance, 0)
            year.note("shortfall", amount=short)
            moved.append(
                from_each(portions(short, self.shortfall[:, None], year.pennies), self.account)
            )
            balance = balance + short
        if self.release is not None:
            left = self.last * jnp.maximum(balance, 0)
            year.note("release", amount=-left)
            moved.append(to_each(portions(left, self.release[:, None], year.pennies), self.account))
            balance = balance - left
        year.note("balance carried", amount=balance)
        return tuple(moved), after | {"balance": balance}

    def _prorated(self, ledger: Ledger, state: State, year: YearView) -> tuple[Array, Array, Array]:
        """Return what partners hand back, what is paid of old claims, and what stays unpaid."""
        held = state["balance"]
        claims: Any = 0.0
        for entry in ledger.entries.values():
            mine = jnp.matmul(self.account, entry, precision=PRECISION)
            held = held + positive(mine)
            given = positive(-entry)
            # of what a term pays, the account's part: its share of all that the term takes
            claims = claims + positive(entry) * ratio(positive(-mine), summed(given))
        held = positive(held)
        old = state.get("unpaid", jnp.zeros_like(claims))
        due = summed(old)
        late = portions(jnp.minimum(held, due), ratio(old, due), year.pennies)
        left, total = positive(held - summed(late)), summed(claims)
        paid = portions(jnp.minimum(left, total), ratio(claims, total), year.pennies)
        returned = claims - paid
        year.note("held", quantity=held)
        year.note("claims", quantity=claims, rate=1 - ratio(returned, claims), amount=returned)
        return returned, late, old - late + returned
