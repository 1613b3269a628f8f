"""Terms that share the system's result: the risk/reward pool and its keys."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from riskshare.contract.keys import proportional
from riskshare.contract.ledger import Ledger, Transfer, single
from riskshare.contract.primitives import bands, limit
from riskshare.contract.term import (
    AbstractTerm,
    Partner,
    PlanView,
    State,
    TermLines,
    YearView,
    term,
    traced,
)
from riskshare.names import Phase
from riskshare.parameters import Declared, Given, Parameter, Reference

_OF_BUDGET = Parameter("share", axes=("outcome",), lower=0.0, upper=1.0, base="budget")
_KEY = Parameter(
    "share", axes=("partner",), fill=0.0, lower=0.0, upper=1.0, sums_to_one="partner", base="pool"
)


@traced
@dataclass(frozen=True, kw_only=True)
class Corridor(Declared):
    """The part of the result beyond a share of the budget goes to the pool at this rate."""

    beyond: Annotated[Given, _OF_BUDGET]
    rate: Annotated[
        Given, Parameter("share", axes=("outcome",), lower=0.0, upper=1.0, base="result")
    ]


@term
class Pool(AbstractTerm):
    """A system risk/reward pool: budget less outlay, shared by a key (M20, M21).

    ``result = budget - outlay of the holder in the terms against it``; ``S`` = the part of the
    result that corridors let through (all of it without corridors), limited to ``cap x budget``.
    With a fixed or proportional key, ``posting_i = (w_i - 1[i = holder]) x S``. With the influence
    key, ``T_i = -sum_d b[i, d] v_d + key_i x (S + sum_d v_d)`` and
    ``posting_i = T_i - 1[i = holder] x S``: v_d is the effect of driver d on the value of the lines
    (adverse positive), b what partner i bears of it, key the case's residual key. The T_i sum to S
    whatever corridors and caps did.

    Parameters
    ----------
    budget
        The budget the outlay is held against; notional unless a term pays it.
    against
        Earlier terms whose net payments by the holder are the outlay.
    holder
        Who keeps the pool and posts the other side.
    key
        ``fixed`` (``share``), ``proportional`` (``weights``) or ``influence``.
    share, loss_share
        Shares of a gain and of a loss; those of a gain serve both unless given.
    weights
        Contributions, equity or turnover to which shares are proportional.
    corridors
        Bands of |result| / budget and the rate at which each is shared.
    cap
        Limit of the shared amount.
    lines
        Lines whose value is split by driver under the influence key.
    """

    kind: ClassVar[str] = "pool"
    usual_phase: ClassVar[Phase] = "sharing"

    budget: Annotated[Any, Reference("budget")]
    against: Annotated[tuple[str, ...], Reference("term", many=True)]
    holder: Partner
    key: Literal["fixed", "proportional", "influence"]
    share: Annotated[Given, _KEY] = None
    loss_share: Annotated[Given, _KEY] = None
    weights: Annotated[Given, Parameter("weight", axes=("partner",), fill=0.0, lower=0.0)] = None
    corridors: tuple[Corridor, ...] = ()
    cap: Annotated[Given, _OF_BUDGET] = None
    lines: TermLines = None

    def prepared(self, plan: PlanView) -> "AbstractTerm":
        """Turn weights into shares."""
        if self.weights is None:
            return self
        return dataclasses.replace(self, share=proportional(np.asarray(self.weights)))

    def needs(self) -> frozenset[str]:
        """Return what splits the deviation by driver, under the influence key."""
        needed = {"indices"} if self.key == "influence" else set()
        return frozenset(needed | ({"members"} if self.budget.rebased else set()))

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return the holder."""
        return self.holder

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Share the result."""
        budget = self.budget.amount(year)
        shared = self._shared(budget + ledger.net(self.against, self.holder), budget)
        if self.key == "influence":
            effects = year.split(self.lines).controlled()
            key = year.residual_key
            everyone = jnp.broadcast_to(key[:, None], (len(key), len(effects)))
            by_driver = Transfer(effects, everyone, year.influence, "index")
            return (single(shared, key, self.holder), by_driver), state
        if self.loss_share is None:
            return (single(shared, self.share, self.holder),), state
        gain = single(jnp.maximum(shared, 0), self.share, self.holder)
        loss = single(jnp.minimum(shared, 0), self.loss_share, self.holder)
        return (gain, loss), state

    def _shared(
        self, result: Float[Array, " sample"], budget: Float[Array, " sample"]
    ) -> Float[Array, " sample"]:
        shared = result
        if self.corridors:
            parts = []
            for outcome, size in enumerate((jnp.maximum(result, 0), jnp.maximum(-result, 0))):
                edges = [corridor.beyond[outcome] * budget for corridor in self.corridors]
                rates = [corridor.rate[outcome] for corridor in self.corridors]
                parts.append(bands(size, edges, rates))
            shared = parts[0] - parts[1]
        if self.cap is not None:
            shared = limit(shared, -self.cap[1] * budget, self.cap[0] * budget)
        return shared
