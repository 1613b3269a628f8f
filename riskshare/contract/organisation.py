"""Terms about whole organisations: control totals, withholds, performance, invest to save."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from riskshare.contract.ledger import PRECISION, Ledger, Transfer, single, to_each
from riskshare.contract.primitives import positive, ratio, reached
from riskshare.contract.protection import later_terms
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
from riskshare.parameters import Choice, FrozenMap, Given, Parameter, Reference

_BY_PARTNER = Parameter("money per year", axes=("partner",), fill=0.0, lower=0.0)


@term
class ControlTotalFunding(AbstractTerm):
    """Funding that depends on control totals, a partner's own and the system's (M23).

    ``posting_i = accepted_i x [amount_i x (own x 1(position_i >= target_i) + (1 - own) x 1(sum of
    positions >= sum of targets)) + min(bonus x (position_i - target_i)+, bonus_limit_i)]``, the
    positions being all postings so far less cost, the sums over ``system``. Targets are those of
    the partners, offsets included. Both tests are gates: funding jumps where they are met.

    Parameters
    ----------
    from_
        Who funds.
    system
        Partners whose positions and targets make the system's.
    amount
        Funding of each partner at stake.
    own
        Part of it that depends on the partner's own target; the rest on the system's.
    accepted
        1 where a partner has accepted its control total, 0 where it has declined it and the funding
        with it.
    bonus, bonus_limit
        Further money for each unit of money above the partner's own target, and its limit.
    """

    kind: ClassVar[str] = "control-total-funding"
    usual_phase: ClassVar[Phase] = "organisation"

    from_: Partner
    system: Annotated[Any, Reference("partner", many=True)]
    amount: Annotated[Given, _BY_PARTNER]
    own: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, base="amount")]
    accepted: Annotated[
        Given, Parameter("flag", axes=("partner",), fill=1.0, lower=0.0, upper=1.0)
    ] = 1.0
    bonus: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, base="surplus")] = None
    bonus_limit: Annotated[Given, _BY_PARTNER] = None

    def problems(self, around: Surroundings) -> Iterator[tuple[str, str]]:
        """Yield funding that nobody tests."""
        if (self.bonus is None) != (self.bonus_limit is None):
            yield "bonus", "goes with bonus_limit; give both or neither"
        if not self.system:
            yield "system", "is empty; accepted: the partners whose targets make the system's"
        if hasattr(self.amount, "get") and self.amount.get(self.from_):
            yield f"amount[{self.from_}]", "would fund itself; leave it out"
        if not hasattr(self.amount, "get") and not isinstance(self.amount, tuple) and self.amount:
            yield "amount", "is one number for every partner; give it by partner"

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return who funds."""
        return self.from_

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Fund those who met their totals."""
        above = ledger.total() - year.cost - year.target
        # a total that is met to the last bits of the flows is met
        dust = 4 * float(np.finfo(above.dtype).eps) * (ledger.gross() + year.cost)
        above_or_met = above + dust
        scale = jnp.maximum(self.amount, 1.0)
        own = reached(above_or_met / scale[:, None])
        together = jnp.matmul(self.system, above, precision=PRECISION)
        met = together + jnp.matmul(self.system, dust, precision=PRECISION)
        whole = reached(met / jnp.maximum(self.amount.sum(), 1.0))
        share = self.own * own + (1 - self.own) * whole
        amount = self.amount[:, None] * share
        stake = self.amount[:, None]
        mine = jnp.where(stake > 0, above, 0)
        year.note("own total", quantity=mine, rate=own, amount=stake * self.own * own)
        year.note("system total", quantity=together, rate=whole)
        year.note("by system total", amount=stake * (1 - self.own) * whole)
        if self.bonus is not None:
            extra = jnp.minimum(self.bonus * positive(above), self.bonus_limit[:, None])
            most = self.bonus_limit[:, None]
            over = jnp.where(most > 0, positive(above), 0)
            year.note("bonus", quantity=over, beyond=most, rate=self.bonus, amount=extra)
            amount = amount + extra
        year.note("declined", amount=(self.accepted[:, None] - 1) * amount)
        return (to_each(self.accepted[:, None] * amount, self.from_),), state


@term
class Withhold(AbstractTerm):
    """Holds back part of a payment and pays it by quality (M27).

    ``posting = -share x P x (1 - score)`` of ``from``, to ``to``; P = what ``from`` receives, net,
    in the terms of ``of``; score = the quality score of ``from``.
    """

    kind: ClassVar[str] = "withhold"
    usual_phase: ClassVar[Phase] = "payment"

    from_: Partner
    to: Partner
    of: Annotated[tuple[str, ...], Reference("term", many=True)]
    share: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, base="payment")]

    def problems(self, around: Surroundings) -> Iterator[tuple[str, str]]:
        """Yield payments that are not known yet, and a missing score."""
        yield from later_terms("of", self.of, around)
        if self.from_ not in around.scored:
            yield (
                "from",
                f"partners.{self.from_}.quality is missing: the term uses its score; give the "
                "partner a quality with a value or a law",
            )
        if self.from_ == self.to:
            yield "to", f"{self.to!r} would pay itself"

    def needs(self) -> frozenset[str]:
        """Return the score of the partner."""
        return frozenset({f"quality {int(np.argmax(np.asarray(self.from_)[0]))}"})

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return who holds back."""
        return self.to

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Hold back what the score does not earn."""
        paid = ledger.net(self.of, self.from_)
        score = jnp.matmul(self.from_, year.quality, precision=PRECISION)
        lost = self.share * paid * (1 - score)
        year.note("payment", quantity=paid, rate=self.share, amount=self.share * paid)
        year.note("quality score", quantity=score)
        year.note("withheld", quantity=self.share * paid, rate=1 - score, amount=lost)
        return (single(lost, self.to, self.from_),), state


@term
class PerformancePayment(AbstractTerm):
    """Money released when activity falls by an agreed share of baseline (M22).

    ``posting = amount x f``, ``reduction = (baseline - activity) / baseline`` over the lines:
    ``gate``, f = 1(reduction >= target); ``pro-rata``, f = reduction / target within 0 and 1.
    """

    kind: ClassVar[str] = "performance-payment"
    usual_phase: ClassVar[Phase] = "payment"

    from_: Partner
    to: Partner
    lines: TermLines = None
    amount: Annotated[Given, Parameter("money per year", lower=0.0)]
    target: Annotated[Given, Parameter("share", lower=0.0001, upper=1.0, base="baseline")]
    release: Annotated[Literal["gate", "pro-rata"] | None, Choice()] = None

    def problems(self, around: Surroundings) -> Iterator[tuple[str, str]]:
        """Yield self-dealing."""
        if self.from_ == self.to:
            yield "to", f"{self.to!r} would pay itself"

    def pays(self, deviation: Array, base: Array) -> Array | None:
        """Return the share of the amount that is released."""
        return base * self._released(-deviation / base)

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return who pays."""
        return self.from_

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Release the money."""
        activity, baseline = rows(year.activity, self.lines), rows(year.baseline, self.lines)
        reduction = ratio(summed(baseline - activity), summed(baseline))
        released = self._released(reduction)
        money = self.amount * released
        year.note("reduction", quantity=reduction, beyond=self.target)
        year.note("released", quantity=self.amount, rate=released, amount=money)
        return (single(self.amount * released, self.to, self.from_),), state

    def _released(self, reduction: Array) -> Array:
        if self.release == "gate":
            return reached(reduction - self.target)
        return jnp.clip(reduction / self.target, 0, 1)


_MEASURE = FrozenMap(
    {
        "cost-released": "counts what has really gone: with 20 % of cost variable and no more gone "
        "yet, 1 or 2 for each 100 of baseline cost where activity is 5 or 10 % below baseline; "
        "nothing above it",
        "value-removed": "counts 5 or 10 for each 100 of baseline value where activity is 5 or "
        "10 % below baseline; nothing above it",
        "stated": "counts the stated saving, whatever the activity",
    }
)


@term
class InvestToSave(AbstractTerm):
    """Pays an investor back from the saving of whoever benefits (M26).

    ``posting = max(investment + share x (S - investment), floor x investment)`` from ``from``, who
    benefits, to ``to``, who has invested. S, the saving, is verified as ``cost-released`` (what has
    really gone from the cost of the lines), as ``value-removed`` (price x activity below baseline),
    or it is ``stated``, times the index of a driver where it is uncertain.

    Parameters
    ----------
    investment
        Money a year that was put in; its cost is the running cost of a change, or a line.
    share
        The investor's share of the saving beyond the investment; 0 pays the investment back.
    measure
        How the saving is verified.
    saving
        The stated saving.
    driver
        A driver of funding that multiplies the stated saving.
    floor
        Share of the investment that is paid back whatever the saving; none unless given.
    """

    kind: ClassVar[str] = "invest-to-save"
    usual_phase: ClassVar[Phase] = "sharing"

    from_: Partner
    to: Partner
    lines: TermLines = None
    investment: Annotated[Given, Parameter("money per year", lower=0.0)]
    share: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, base="net saving")]
    measure: Annotated[
        Literal["cost-released", "value-removed", "stated"] | None, Choice(_MEASURE)
    ] = None
    saving: Annotated[Given, Parameter("money per year", lower=0.0)] = None
    driver: Annotated[Any, Reference("driver")] = None
    floor: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, base="investment")] = None

    def problems(self, around: Surroundings) -> Iterator[tuple[str, str]]:
        """Yield a saving that is stated twice or not at all."""
        if self.measure is not None and (self.measure == "stated") != (self.saving is not None):
            yield "saving", 'goes with measure = "stated", and it needs one: money per year'
        if self.driver is not None and self.measure != "stated":
            yield "driver", 'multiplies a stated saving; it goes with measure = "stated"'
        if self.from_ == self.to:
            yield "to", f"{self.to!r} would pay itself"

    def needs(self) -> frozenset[str]:
        """Return the driver, where there is one."""
        return frozenset() if self.driver is None else frozenset({f"driver {self.driver}"})

    def modelled_cost(self) -> tuple[str, tuple[int, ...]] | None:
        """Return cost released, where that is the saving."""
        stated = self.measure in ("stated", "value-removed")
        return None if stated else ("cost released", self.lines)

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return who benefits."""
        return self.from_

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Pay the investor."""
        saving = self._saving(year)
        repaid = self.investment + self.share * (saving - self.investment)
        net = saving - self.investment
        year.note("saving", quantity=saving)
        year.note("investment", amount=self.investment)
        year.note("share of net saving", quantity=net, rate=self.share, amount=self.share * net)
        if self.floor is not None:
            least, before = self.floor * self.investment, repaid
            repaid = jnp.maximum(repaid, self.floor * self.investment)
            year.note("floor", quantity=before, beyond=least, amount=repaid - before)
        return (single(repaid * samples_of(year), self.to, self.from_),), state

    def _saving(self, year: YearView) -> Float[Array, " sample"]:
        if self.measure == "stated":
            index = samples_of(year) if self.driver is None else year.driver_index[self.driver]
            return self.saving * index
        if self.measure == "value-removed":
            return summed(rows(year.price * year.removed, self.lines))
        return summed(rows(year.cost_released, self.lines))
