"""Terms that pay at the margin: a share of price on activity beyond or below plan."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from riskshare.contract.ledger import Ledger, Transfer
from riskshare.contract.primitives import GATE_WIDTH, bands, gate, labelled, positive, ratio, silent
from riskshare.contract.term import (
    AbstractTerm,
    State,
    Surroundings,
    TermLines,
    YearView,
    first_payer,
    rows,
    term,
    to_deliverers,
    traced,
)
from riskshare.contract.vectors import summed
from riskshare.names import Phase
from riskshare.parameters import Choice, Declared, Given, Parameter

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
    reading: Annotated[Literal["excess-only", "whole-deviation"] | None, Choice()] = None


@term
class MarginalRate(AbstractTerm):
    """Pays or refunds a share of the price on activity beyond or below plan (M04-M07, M09).

    With D = valued activity - target x base, for each line (or over all of them, ``per =
    "total"``): ``adjustment = sum over bands of rate x part of |D| in the band``, with the sign of
    D, limited to ``[-collar x base, +cap x base]``. Rates and thresholds may differ by line,
    direction and year.

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
    target
        Multiple of the base from which deviation is measured: 1.04 pays for growth beyond 4 %.
    cap, collar
        Limits of what is paid and refunded, as shares of base, or of the ``fund``.
    fund
        Money for all lines together of which cap and collar are shares, in place of the base; goes
        with ``per = "total"``.
    low_volume
        Planned value of all lines at or below which nothing moves: a contract too small to bear
        risk is a block.
    """

    kind: ClassVar[str] = "marginal-rate"
    usual_phase: ClassVar[Phase] = "payment"

    lines: TermLines = None
    rate: Annotated[Given, _RATE] = None
    tolerance: Annotated[Given, _THRESHOLD] = None
    bands: tuple[Band, ...] = ()
    break_glass: BreakGlass | None = None
    base: Annotated[Given, Parameter("money per year", axes=("line",), lower=0.0)] = None
    target: Annotated[
        Given, Parameter("share", axes=("line",), lower=0.0, upper=3.0, base="base value")
    ] = None
    per: Literal["line", "total"] = "line"
    cap: Annotated[
        Given, Parameter("share", axes=("line",), lower=0.0, upper=1.0, base="base value")
    ] = None
    collar: Annotated[
        Given, Parameter("share", axes=("line",), lower=0.0, upper=1.0, base="base value")
    ] = None
    fund: Annotated[Given, Parameter("money per year", lower=0.0)] = None
    low_volume: Annotated[Given, Parameter("money per year", lower=0.0)] = None

    def problems(self, around: Surroundings) -> Iterator[tuple[str, str]]:
        """Yield a fund that nothing is a share of."""
        if self.fund is not None and self.per != "total":
            yield "fund", 'is for all lines together; it goes with per = "total"'
        if self.fund is not None and self.cap is None and self.collar is None:
            yield "fund", "is the base of cap and collar, and neither is given"

    def pays(self, deviation: Array, base: Array) -> Array | None:
        """Return the adjustment."""
        return self._adjustment(deviation, base, base, silent)

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return who pays."""
        return first_payer(year, self.lines)

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Pay or refund on the deviation."""
        value = rows(year.value, self.lines)
        plan_value = rows(year.plan * year.price, self.lines)
        base = plan_value if self.base is None else self.base[:, None]
        aim = base if self.target is None else self.target[:, None] * base
        deviation = value - aim
        year.note("deviation", quantity=value, beyond=aim, amount=deviation)
        if self.per == "line":
            adjustment = self._adjustment(deviation, base, base, year.note)
        else:
            whole = summed(base)[None]
            limits = whole if self.fund is None else self.fund * jnp.ones_like(whole)
            total = summed(deviation)[None]
            share = jnp.where(whole > 0, ratio(base, whole), 1 / len(base))
            adjustment = self._adjustment(total, whole, limits, year.note) * share
            year.note("split by base", rate=share, amount=adjustment)
        if self.low_volume is not None:
            volume, before = summed(plan_value), adjustment
            adjustment = jnp.where(summed(plan_value) > self.low_volume, adjustment, 0)
            year.note("low volume", quantity=volume, beyond=self.low_volume)
            year.note("too small", amount=adjustment - before)
        return (to_deliverers(year, self.lines, year.once(adjustment)),), state

    def _adjustment(
        self,
        deviation: Float[Array, "line sample"],
        base: Float[Array, "line 1"],
        limits: Float[Array, "line 1"],
        note: Any,
    ) -> Float[Array, "line sample"]:
        up_note, down_note = labelled(note, "above"), labelled(note, "below", -1)
        up = self._one_way(jnp.maximum(deviation, 0), base, 0, up_note)
        down = self._one_way(jnp.maximum(-deviation, 0), base, 1, down_note)
        adjustment = up - down
        if self.cap is not None:
            most = self.cap[: len(base), None] * limits
            note("cap", quantity=adjustment, beyond=most, amount=jnp.minimum(most - adjustment, 0))
            adjustment = jnp.minimum(adjustment, most)
        if self.collar is not None:
            least = -self.collar[: len(base), None] * limits
            room = jnp.maximum(least - adjustment, 0)
            note("collar", quantity=adjustment, beyond=least, amount=room)
            adjustment = jnp.maximum(adjustment, least)
        return adjustment

    def _one_way(self, size: Array, base: Array, direction: int, note: Any) -> Array:
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
            return bands(size, edges, rates, note=note)
        threshold = pick(glass.threshold) * base
        if glass.reading == "whole-deviation":
            scale = jnp.maximum(base, 1e-9)
            broken = gate((size - threshold) / scale, GATE_WIDTH)
            usual = bands(size, edges, rates, note=note)
            instead = broken * (pick(glass.rate) * size - usual)
            rate = broken * pick(glass.rate)
            note("break glass", quantity=broken * size, beyond=threshold, rate=rate, amount=instead)
            return usual + broken * (pick(glass.rate) * size - usual)

        def record(step: str, **figures: Any) -> None:
            note("break-glass band" if figures["beyond"] is threshold else step, **figures)

        # the threshold lies beyond every band's edge, so the last band ends where the glass breaks
        return bands(size, [*edges, threshold], [*rates, pick(glass.rate)], note=record)


@term
class RevenueCompensation(AbstractTerm):
    """Settles billings against an agreed revenue budget, each direction at its own share (M08).

    ``posting = shortfall x (B - R)+ - excess x (R - B)+`` of each line, from its payer to its
    deliverer; R what was billed (price x case mix x activity), B the agreed budget.

    Parameters
    ----------
    budget
        Agreed revenue by line; plan x price unless given.
    shortfall, excess
        Share of a shortfall that is made up, and of an excess that is clawed back.
    """

    kind: ClassVar[str] = "revenue-compensation"
    usual_phase: ClassVar[Phase] = "payment"

    lines: TermLines = None
    budget: Annotated[Given, Parameter("money per year", axes=("line",), lower=0.0)] = None
    shortfall: Annotated[
        Given, Parameter("share", axes=("line",), lower=0.0, upper=1.0, base="shortfall")
    ]
    excess: Annotated[
        Given, Parameter("share", axes=("line",), lower=0.0, upper=1.0, base="excess")
    ]

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return who pays."""
        return first_payer(year, self.lines)

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Make up a shortfall and claw back an excess."""
        billed = rows(year.value, self.lines)
        agreed = rows(year.plan * year.price, self.lines)
        agreed = agreed if self.budget is None else self.budget[:, None]
        short, over = positive(agreed - billed), positive(billed - agreed)
        up, down = self.shortfall[:, None], self.excess[:, None]
        year.note("billed", quantity=billed, beyond=agreed, amount=billed - agreed)
        year.note("shortfall", quantity=short, rate=up, amount=up * short)
        year.note("excess", quantity=over, rate=down, amount=-down * over)
        amount = self.shortfall[:, None] * short - self.excess[:, None] * over
        return (to_deliverers(year, self.lines, amount),), state


@term
class MarketShift(AbstractTerm):
    """Moves revenue with volume that changes hospital, at a variable cost factor (M11).

    Of the lines' deviations in value from plan, what some gain and others lose has shifted: ``shift
    = min(sum of gains, sum of losses)``. ``posting = factor x shift x gain / sum of gains`` to the
    deliverer of a line that gained, and likewise from one that lost: it sums to zero over them.
    """

    kind: ClassVar[str] = "market-shift"
    usual_phase: ClassVar[Phase] = "payment"

    lines: TermLines = None
    factor: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, base="shifted value")]

    def problems(self, around: Surroundings) -> Iterator[tuple[str, str]]:
        """Yield a shift between fewer than two lines."""
        if len(around.labels["line"]) < 2:
            yield "lines", "volume shifts between lines; accepted: at least two"

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return the payer of the first line, through whom the money moves."""
        return first_payer(year, self.lines)

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Move the revenue of what shifted."""
        deviation = rows(year.value - year.plan * year.price, self.lines)
        gained, lost = positive(deviation), positive(-deviation)
        shift = jnp.minimum(summed(gained), summed(lost))
        year.note("deviation", amount=deviation)
        year.note("shift", quantity=shift, rate=self.factor, amount=self.factor * shift)
        parts = ratio(gained, summed(gained)) - ratio(lost, summed(lost))
        return (to_deliverers(year, self.lines, self.factor * shift * parts),), state
