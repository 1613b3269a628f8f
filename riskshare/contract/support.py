"""Terms that help a provider while cost follows activity out: stranded-cost support."""

import dataclasses
from typing import Annotated, Any, ClassVar, Literal

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float
from numpy.typing import NDArray

from riskshare.contract.ledger import Ledger, Transfer, per_line
from riskshare.contract.primitives import ratio
from riskshare.contract.term import (
    AbstractTerm,
    PlanView,
    State,
    TermLines,
    YearView,
    columns,
    rows,
    term,
)
from riskshare.names import Phase
from riskshare.parameters import Choice, FrozenMap, Given, Parameter, Reference

_OF = FrozenMap(
    {
        "value removed": "pays share x 5 or 10 for each 100 of baseline value, where activity is "
        "5 or 10 % below baseline",
        "stranded cost": "pays share x (5 or 10 less the cost that has gone), for each 100 of "
        "baseline cost: with 20 % of cost variable and no more gone yet, share x 4 or 8",
    }
)
_BASIS = FrozenMap(
    {
        "planned": "pays the planned amount, also where removal is 5 or 10 % above or below plan",
        "realised": "pays 5 or 10 % more than planned where removal is 5 or 10 % above plan, and "
        "as much less where it is below",
    }
)


@term
class StrandedSupport(AbstractTerm):
    """Pays a share of what removing activity strands (M33).

    ``posting = share x taper x measure`` for each line from its payer to its deliverer; the measure
    is the ``value removed`` (price x R) or the ``stranded cost`` (unit cost x R less what was
    released), R being activity below baseline, on the ``planned`` removal (agreed in advance, so a
    fixed amount) or the ``realised`` one. It has no counterpart above baseline: more activity
    strands nothing.

    Parameters
    ----------
    taper
        What is left of the support in each year; 1 unless given.
    paid_in
        A budget that already pays this support. The term then posts nothing itself.
    """

    kind: ClassVar[str] = "stranded-support"
    usual_phase: ClassVar[Phase] = "payment"

    lines: TermLines = None
    share: Annotated[Given, Parameter("share", axes=("line",), lower=0.0, upper=1.0, base="of")]
    of: Annotated[Literal["value removed", "stranded cost"] | None, Choice(_OF)] = None
    basis: Annotated[Literal["planned", "realised"] | None, Choice(_BASIS)] = None
    taper: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, base="share")] = 1.0
    paid_in: Annotated[str | None, Reference("name")] = None
    planned: Annotated[Any, Parameter("money per year", axes=("line",), derived=True)] = None

    def planned_amounts(self, plan: PlanView) -> NDArray[np.float64]:
        """Return the support on the planned removal, (year, line of the term), money."""
        value = plan.price * plan.removed if self.of == "value removed" else plan.stranded
        return self.share * self.taper[:, None] * value[:, list(self.lines)]

    def prepared(self, plan: PlanView) -> "AbstractTerm":
        """Work out the planned amounts."""
        return dataclasses.replace(self, planned=self.planned_amounts(plan))

    def modelled_cost(self) -> tuple[str, tuple[int, ...]] | None:
        """Return stranded cost, where it pays on what is really stranded."""
        realised = self.of == "stranded cost" and self.basis == "realised"
        return ("stranded cost", self.lines) if realised else None

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return who pays."""
        return year.payer[:, self.lines[0]]

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Pay the support."""
        if self.paid_in is not None:
            amount = jnp.zeros_like(rows(year.removed, self.lines))
        elif self.basis == "planned":
            amount = self.planned[:, None] * jnp.ones_like(rows(year.removed, self.lines))
        else:
            removed = year.price * year.removed
            measure = removed if self.of == "value removed" else year.stranded
            amount = (self.share * self.taper)[:, None] * rows(measure, self.lines)
        rate = (self.share * self.taper)[:, None]
        if self.paid_in is None:
            year.note("measure", quantity=ratio(amount, rate), rate=rate, amount=amount)
        to, from_ = columns(year.deliverer, self.lines), columns(year.payer, self.lines)
        return (per_line(amount, to, from_),), state
