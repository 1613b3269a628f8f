"""Pool accounts: partners that hold money between years and are closed at the end of each."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from riskshare.contract.ledger import Ledger, Transfer, single
from riskshare.contract.term import AbstractTerm, Partner, State, YearView, traced
from riskshare.names import Phase
from riskshare.parameters import Given, Parameter


@traced
@dataclass(frozen=True, kw_only=True)
class AccountClose(AbstractTerm):
    """Closes a pool account after all other terms of the year.

    It is made from the partner itself and so is no kind of term for a case file.

    ``balance = opening + postings so far``. A balance below zero is made up by ``shortfall``; what
    is left at the end of the last year goes to ``release``, where there is one.
    """

    kind: ClassVar[str] = "account-close"
    usual_phase: ClassVar[Phase] = "organisation"

    account: Partner
    opening_balance: Annotated[Given, Parameter("money")] = 0.0
    shortfall: Annotated[Given, Parameter("share", axes=("partner",))] = None
    release: Annotated[Given, Parameter("share", axes=("partner",))] = None
    last: Annotated[Any, Parameter("flag", derived=True)] = 0.0

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return the account."""
        return self.account

    def initial(self, like: Array) -> State:
        """Return the opening balance."""
        return {"balance": self.opening_balance[0] * jnp.ones_like(like[0])}

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Make up a shortfall, then release what is left in the last year."""
        entries = tuple(ledger.entries)
        balance = state["balance"] + ledger.net(entries, self.account)
        moved = []
        if self.shortfall is not None:
            short = jnp.maximum(-balance, 0)
            moved.append(single(short, self.account, self.shortfall))
            balance = balance + short
        if self.release is not None:
            left = self.last * jnp.maximum(balance, 0)
            moved.append(single(left, self.release, self.account))
            balance = balance - left
        return tuple(moved), {"balance": balance}
