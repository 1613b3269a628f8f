"""Terms that protect: per-person stop-loss, profit caps, and support below a floor."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from riskshare.contract.ledger import PRECISION, Ledger, Transfer, from_each, single, to_each
from riskshare.contract.primitives import positive
from riskshare.contract.term import (
    AbstractTerm,
    Partner,
    State,
    Surroundings,
    TermLines,
    YearView,
    rows,
    samples_of,
    term,
)
from riskshare.contract.vectors import summed
from riskshare.names import Phase
from riskshare.parameters import Given, Parameter, Reference, declaration_of, expand

_NO_LIMIT = 1e15


@term
class StopLoss(AbstractTerm):
    """Specific stop-loss: takes over part of each person's cost above an attachment (M28).

    ``posting = coinsurance x sum over persons of min((x - attachment)+, limit - attachment) -
    premium`` from ``from`` to ``to``; x is a person's cost on the lines of the term.

    Parameters
    ----------
    from_, to
        Who protects and who is protected.
    attachment, limit
        Money per person and year between which cost is taken over; no limit unless given.
    coinsurance
        Share of it that is taken over.
    premium
        Money a year paid for it.
    """

    kind: ClassVar[str] = "stop-loss"
    usual_phase: ClassVar[Phase] = "cover"

    from_: Partner
    to: Partner
    lines: TermLines = None
    attachment: Annotated[Given, Parameter("money per person", lower=0.0)]
    limit: Annotated[Given, Parameter("money per person", lower=0.0)] = None
    coinsurance: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, base="excess")]
    premium: Annotated[Given, Parameter("money per year", lower=0.0)] = 0.0

    def problems(self, around: Surroundings) -> Iterator[tuple[str, str]]:
        """Yield an empty layer and self-dealing."""
        if self.from_ == self.to:
            yield "to", f"{self.to!r} would protect itself"
        if self.limit is None:
            return
        limit, attachment = (
            expand(getattr(self, name), declaration_of(StopLoss, name), around.labels)
            for name in ("limit", "attachment")
        )
        if np.any(limit <= attachment):
            yield "limit", "is not above the attachment, so nothing is ever taken over"

    def needs(self) -> frozenset[str]:
        """Return the cost of each person."""
        return frozenset({"persons"})

    def person_limit(self) -> Any:
        """Return the attachment."""
        return self.attachment

    def person_lines(self) -> tuple[int, ...]:
        """Return the lines of the term."""
        return tuple(self.lines)

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return who protects."""
        return self.from_

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Take over the layer of each person."""
        if year.person_cost is None:  # nothing is known of persons where the term is off
            return (single(0 * samples_of(year), self.to, self.from_),), state
        person = summed(rows(year.person_cost, self.lines))
        excess = positive(person - self.attachment)
        if self.limit is not None:
            excess = jnp.minimum(excess, self.limit - self.attachment)
        total = summed(excess)
        rate = self.coinsurance
        year.note("excess", quantity=total, beyond=self.attachment, rate=rate, amount=rate * total)
        year.note("premium", amount=-self.premium)
        amount = self.coinsurance * total - self.premium
        return (single(amount, self.to, self.from_),), state


@term
class ProfitCap(AbstractTerm):
    """Returns profit above a share of revenue (M10: the Alzira contracts).

    ``posting = -(profit - rate x revenue)+`` of ``from``, to ``to``; revenue = what ``from``
    receives in the terms of ``revenue``, profit = all it has received less paid so far, less cost.
    """

    kind: ClassVar[str] = "profit-cap"
    usual_phase: ClassVar[Phase] = "backstop"

    from_: Partner
    to: Partner
    rate: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, base="revenue")]
    revenue: Annotated[tuple[str, ...], Reference("term", many=True)]

    def problems(self, around: Surroundings) -> Iterator[tuple[str, str]]:
        """Yield revenue that is not known yet."""
        yield from later_terms("revenue", self.revenue, around)
        if self.from_ == self.to:
            yield "to", f"{self.to!r} would pay itself"

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return who pays."""
        return self.from_

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Return the excess."""
        revenue = sum(
            positive(jnp.matmul(self.from_, ledger.entries[name], precision=PRECISION))
            for name in self.revenue
        )
        profit = jnp.matmul(self.from_, ledger.total() - year.cost, precision=PRECISION)
        kept = self.rate * revenue
        year.note("revenue", quantity=revenue, rate=self.rate, amount=kept)
        year.note("profit", quantity=profit, beyond=kept, amount=positive(profit - kept))
        return (single(positive(profit - kept), self.to, self.from_),), state


@term
class DeficitSupport(AbstractTerm):
    """Makes up part of each partner's shortfall below its target, or below a floor (M24).

    ``posting_i = share_i x min((target_i - floor_i - position_i)+, limit_i)`` from ``from``,
    position_i being all postings so far less cost. From a pool account it is limited by what the
    account holds, as the account says.

    Parameters
    ----------
    from_
        Who supports: a reserve, or the nation.
    share
        Share of the shortfall that is made up, by partner; others have none.
    floor
        What a partner bears itself before support begins: a deficit beyond it is another's matter.
    limit
        Most that is made up for a partner in a year.
    """

    kind: ClassVar[str] = "deficit-support"
    usual_phase: ClassVar[Phase] = "backstop"

    from_: Partner
    share: Annotated[
        Given,
        Parameter("share", axes=("partner",), fill=0.0, lower=0.0, upper=1.0, base="shortfall"),
    ]
    floor: Annotated[Given, Parameter("money per year", axes=("partner",), fill=0.0, lower=0.0)] = (
        0.0
    )
    limit: Annotated[
        Given, Parameter("money per year", axes=("partner",), fill=_NO_LIMIT, lower=0.0)
    ] = None

    def problems(self, around: Surroundings) -> Iterator[tuple[str, str]]:
        """Yield who would support itself, or what is no organisation."""
        yield from _no_organisation(self.share, self.from_, "support", around)

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return who supports."""
        return self.from_

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Support those below their floor."""
        position = ledger.total() - year.cost
        short = positive(year.target - self.floor[:, None] - position)
        if self.limit is not None:
            short = jnp.minimum(short, self.limit[:, None])
        amount = self.share[:, None] * short
        held = jnp.where(self.share > 0, 1, 0 * self.share)[:, None]
        support = (year.target - self.floor[:, None]) * held
        year.note("position so far", quantity=position * held, beyond=support)
        year.note("shortfall", quantity=short * held, rate=self.share[:, None], amount=amount)
        return (to_each(amount, self.from_),), state


@term
class SurplusReturn(AbstractTerm):
    """Collects part of each partner's surplus above its target (M22, M24: what fills a reserve).

    ``posting_i = -share_i x (position_i - target_i - kept_i)+``, to ``to``.
    """

    kind: ClassVar[str] = "surplus-return"
    usual_phase: ClassVar[Phase] = "backstop"

    to: Partner
    share: Annotated[
        Given,
        Parameter("share", axes=("partner",), fill=0.0, lower=0.0, upper=1.0, base="surplus"),
    ]
    kept: Annotated[Given, Parameter("money per year", axes=("partner",), fill=0.0, lower=0.0)] = (
        0.0
    )

    def problems(self, around: Surroundings) -> Iterator[tuple[str, str]]:
        """Yield who would pay itself, or what is no organisation."""
        yield from _no_organisation(self.share, self.to, "pay", around)

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return who collects."""
        return self.to

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Collect from those above."""
        position = ledger.total() - year.cost
        over = positive(position - year.target - self.kept[:, None])
        amount = self.share[:, None] * over
        held = jnp.where(self.share > 0, 1, 0 * self.share)[:, None]
        kept = (year.target + self.kept[:, None]) * held
        year.note("position so far", quantity=position * held, beyond=kept)
        year.note("surplus", quantity=over * held, rate=self.share[:, None], amount=amount)
        return (from_each(amount, self.to),), state


def _no_organisation(
    shares: Given, other: str, would: str, around: Surroundings
) -> Iterator[tuple[str, str]]:
    """Yield the partners with a share that are the other side, or have no target."""
    by_name = hasattr(shares, "get")
    for name, kind in around.kinds.items():
        if not (shares.get(name, 0) if by_name else shares):
            continue
        if name == other:
            yield f"share[{name}]", f"would {would} itself; give shares by partner"
        elif kind in ("pool", "external"):
            yield (
                f"share[{name}]",
                f"is of kind {kind!r} and has no target; give shares by partner and leave it out",
            )


def later_terms(
    field: str, names: tuple[str, ...], around: Surroundings
) -> Iterator[tuple[str, str]]:
    """Yield the names of terms that do not run before this one."""
    late = [name for name in names if name not in around.earlier]
    if late:
        yield field, f"a term sees earlier ones only, not itself or later: {', '.join(late)}"
    if not names:
        yield field, f"is empty; accepted: earlier terms ({', '.join(around.earlier) or 'none'})"
