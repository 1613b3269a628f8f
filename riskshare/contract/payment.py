"""Terms that turn activity into money: funding, budgets, blocks, prices and marginal rates."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from riskshare.contract.ledger import Ledger, Transfer, per_line, single
from riskshare.contract.primitives import bands, gate
from riskshare.contract.term import (
    AbstractTerm,
    Partner,
    PlanView,
    State,
    TermLines,
    YearView,
    columns,
    rows,
    term,
    traced,
)
from riskshare.names import Phase
from riskshare.parameters import Declared, Given, Parameter, Reference

GATE_WIDTH = 0.01
"""Width over which the derivative of a gate looks, as a share of the term's base."""


def _samples(year: YearView) -> Array:
    return jnp.ones(year.activity.shape[-1:], year.activity.dtype)


def _first_payer(year: YearView, lines: tuple[int, ...]) -> Array:
    return year.payer[:, lines[0]]


def _to_deliverers(year: YearView, lines: tuple[int, ...], amount: Array) -> Transfer:
    return per_line(amount, columns(year.deliverer, lines), columns(year.payer, lines))


@term
class Funding(AbstractTerm):
    """Money that one partner gives another each year, such as the allocation from outside.

    ``posting = amount x index``, the index of the named driver where the amount is uncertain.
    """

    kind: ClassVar[str] = "funding"
    usual_phase: ClassVar[Phase] = "payment"

    from_: Partner
    to: Partner
    amount: Annotated[Given, Parameter("money per year")]
    driver: Annotated[Any, Reference("driver")] = None

    def needs(self) -> frozenset[str]:
        """Return the driver, where there is one."""
        return frozenset() if self.driver is None else frozenset({f"driver {self.driver}"})

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return who gives."""
        return self.from_

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Move the amount."""
        index = _samples(year) if self.driver is None else year.driver_index[self.driver]
        return (single(self.amount * index, self.to, self.from_),), state


@term
class CapitatedBudget(AbstractTerm):
    """Pays a budget whatever happens (M03, M10).

    ``posting = budget``; with ``rebase = "actual"`` in a capitation, at the members counted.
    """

    kind: ClassVar[str] = "capitated-budget"
    usual_phase: ClassVar[Phase] = "payment"

    from_: Partner
    to: Partner
    budget: Annotated[Any, Reference("budget")]

    def needs(self) -> frozenset[str]:
        """Return members, where the budget follows them."""
        return frozenset({"members"}) if self.budget.rebased else frozenset()

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return who pays."""
        return self.from_

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Pay the budget of the year."""
        return (single(self.budget.amount(year), self.to, self.from_),), state


@term
class Block(AbstractTerm):
    """A block: a fixed amount whatever the activity, uplifted from year to year (M02).

    From lines, ``plan x price`` of each line from its payer to its deliverer; or ``amount`` from
    ``from`` to ``to``. Both times ``prod over years (1 + uplift)``, the uplift being the rate into
    each year, the first included.
    """

    kind: ClassVar[str] = "block"
    usual_phase: ClassVar[Phase] = "payment"

    lines: TermLines = None
    amount: Annotated[Given, Parameter("money per year")] = None
    from_: Annotated[Any, Reference("partner")] = None
    to: Annotated[Any, Reference("partner")] = None
    uplift: Annotated[Given, Parameter("rate per year", lower=-1.0, upper=1.0)] = 0.0

    def prepared(self, plan: PlanView) -> "AbstractTerm":
        """Compound the uplift."""
        return dataclasses.replace(self, uplift=np.cumprod(1 + self.uplift) - 1)

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return who pays."""
        return self.from_ if self.amount is not None else _first_payer(year, self.lines)

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Pay the plan."""
        if self.amount is not None:
            amount = self.amount * (1 + self.uplift) * _samples(year)
            return (single(amount, self.to, self.from_),), state
        plan = rows(year.plan * year.price, self.lines) * (1 + self.uplift)
        return (_to_deliverers(year, self.lines, plan * _samples(year)),), state


@term
class ActivityPayment(AbstractTerm):
    """Payment by activity (M01): ``share x market forces factor x price x case mix x activity``."""

    kind: ClassVar[str] = "activity-payment"
    usual_phase: ClassVar[Phase] = "payment"

    lines: TermLines = None
    share: Annotated[Given, Parameter("share of price", axes=("line",), lower=0.0, upper=2.0)] = 1.0
    market_forces_factor: Annotated[Given, Parameter("index", axes=("line",), lower=0.0)] = 1.0

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return who pays."""
        return _first_payer(year, self.lines)

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Pay for what was done."""
        rate = (self.share * self.market_forces_factor)[:, None]
        return (_to_deliverers(year, self.lines, rate * rows(year.value, self.lines)),), state


_RATE = Parameter(
    "share of price", axes=("line", "direction"), lower=0.0, upper=2.0, base="valued activity"
)
_THRESHOLD = Parameter("share", axes=("line", "direction"), lower=0.0, upper=1.0, base="base value")


@traced
@dataclass(frozen=True, kw_only=True)
class Band(Declared):
    """Deviation beyond a share of the base is paid at this rate, up to the next band."""

    beyond: Annotated[Given, _THRESHOLD]
    rate: Annotated[Given, _RATE]


@traced
@dataclass(frozen=True, kw_only=True)
class BreakGlass(Declared):
    """What replaces the rate when activity leaves the range the contract was made for (M05).

    ``excess-only`` reprices the part beyond the threshold; ``whole-deviation`` reprices all of it
    and so jumps at the threshold by (rate - old rate) x threshold x base.
    """

    threshold: Annotated[Given, _THRESHOLD]
    rate: Annotated[Given, _RATE]
    reading: Literal["excess-only", "whole-deviation"]


@term
class MarginalRate(AbstractTerm):
    """Pays or refunds a share of the price on activity beyond or below plan (M04-M06, M09).

    With D = valued activity - base, for each line (or over all of them, ``per = "total"``):
    ``adjustment = sum over bands of rate x part of |D| in the band``, with the sign of D, limited
    to ``[-collar x base, +cap x base]``. Rates and thresholds may differ by line, direction and
    year.

    Parameters
    ----------
    rate, tolerance
        One band: the rate on the deviation beyond a tolerance (share of base).
    bands
        Several bands, in place of ``rate`` and ``tolerance``.
    break_glass
        A rate that takes over beyond a threshold; its reading must be stated.
    base
        Money for each line from which deviation is measured; plan x price unless given.
    per
        ``line``: each line by itself; ``total``: on the sum over lines, shared in proportion to
        base.
    cap, collar
        Limits of what is paid and refunded, as shares of base.
    """

    kind: ClassVar[str] = "marginal-rate"
    usual_phase: ClassVar[Phase] = "payment"

    lines: TermLines = None
    rate: Annotated[Given, _RATE] = None
    tolerance: Annotated[Given, _THRESHOLD] = None
    bands: tuple[Band, ...] = ()
    break_glass: BreakGlass | None = None
    base: Annotated[Given, Parameter("money per year", axes=("line",), lower=0.0)] = None
    per: Literal["line", "total"] = "line"
    cap: Annotated[
        Given, Parameter("share", axes=("line",), lower=0.0, upper=1.0, base="base value")
    ] = None
    collar: Annotated[
        Given, Parameter("share", axes=("line",), lower=0.0, upper=1.0, base="base value")
    ] = None

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return who pays."""
        return _first_payer(year, self.lines)

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Pay or refund on the deviation."""
        value = rows(year.value, self.lines)
        plan_value = rows(year.plan * year.price, self.lines)
        base = plan_value if self.base is None else self.base[:, None]
        if self.per == "line":
            return (_to_deliverers(year, self.lines, self._adjustment(value - base, base)),), state
        whole = base.sum(0, keepdims=True)
        adjustment = self._adjustment((value - base).sum(0, keepdims=True), whole)
        share = jnp.where(whole > 0, base / jnp.where(whole > 0, whole, 1), 1 / len(base))
        return (_to_deliverers(year, self.lines, adjustment * share),), state

    def _adjustment(
        self, deviation: Float[Array, "line sample"], base: Float[Array, "line 1"]
    ) -> Float[Array, "line sample"]:
        up = self._one_way(jnp.maximum(deviation, 0), base, 0)
        down = self._one_way(jnp.maximum(-deviation, 0), base, 1)
        adjustment = up - down
        if self.cap is not None:
            adjustment = jnp.minimum(adjustment, self.cap[: len(base), None] * base)
        if self.collar is not None:
            adjustment = jnp.maximum(adjustment, -self.collar[: len(base), None] * base)
        return adjustment

    def _one_way(self, size: Array, base: Array, direction: int) -> Array:
        def pick(values: Array) -> Array:
            return values[: len(base), direction, None]

        if self.bands:
            edges = [pick(band.beyond) * base for band in self.bands]
            rates = [pick(band.rate) for band in self.bands]
        else:
            tolerance = 0 * base if self.tolerance is None else pick(self.tolerance) * base
            edges, rates = [tolerance], [pick(self.rate)]
        glass = self.break_glass
        if glass is None:
            return bands(size, edges, rates)
        threshold = pick(glass.threshold) * base
        if glass.reading == "whole-deviation":
            scale = jnp.maximum(base, 1e-9)
            broken = gate((size - threshold) / scale, GATE_WIDTH)
            usual = bands(size, edges, rates)
            return usual + broken * (pick(glass.rate) * size - usual)
        # the threshold lies beyond every band's edge, so the last band ends where the glass breaks
        return bands(size, [*edges, threshold], [*rates, pick(glass.rate)])
