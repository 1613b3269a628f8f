"""What part of a result is shared: gate, bands, quality, scalars, caps and relief, in that order.

The order is part of the contract. For a result D (gain positive) against a budget B:

1. gate: nothing unless ``|D| / B`` reaches the threshold (or ``missed`` of what would be shared);
2. base: all of D (``first-dollar``), or what lies beyond the threshold (``excess-only``);
3. caps on the base (``before-share``);
4. share: a rate, or a rate for each band; quality scales it;
5. caps on the share (``before-scalar``), and the scalar (sequestration);
6. caps on the payment (``after-share``);
7. relief.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

import jax.numpy as jnp
import numpy as np
from jax import Array

from riskshare.contract.primitives import (
    GATE_WIDTH,
    Note,
    above,
    bands,
    gate,
    labelled,
    ratio,
    reached,
)
from riskshare.contract.term import Partner, traced
from riskshare.parameters import Choice, Declared, Given, Parameter, Reference

OF_BUDGET = Parameter("share", axes=("outcome",), lower=0.0, upper=1.0, base="budget")
BY_OUTCOME = Parameter("share", axes=("outcome",), lower=0.0, upper=1.0)


@traced
@dataclass(frozen=True, kw_only=True)
class Corridor(Declared):
    """The part of the result beyond a share of the budget is shared at this rate.

    ``counted_from`` is where the band counts from once it is reached; its beginning unless given.
    Another place makes a jump, as some contracts want it and others have it by mistake.
    """

    beyond: Annotated[Given, OF_BUDGET]
    rate: Annotated[
        Given, Parameter("share", axes=("outcome",), lower=0.0, upper=1.0, base="result")
    ]
    counted_from: Annotated[
        Given, Parameter("share", axes=("outcome",), lower=-1.0, upper=1.0, base="budget")
    ] = None


@traced
@dataclass(frozen=True, kw_only=True)
class Scale(Declared):
    """A threshold that falls with the number of members: a curve of straight pieces.

    ``weight`` is the part of the curve that is added to the threshold: 0 where a contract has
    chosen a threshold of its own.
    """

    population: Annotated[Any, Reference("population")]
    members: Annotated[Given, Parameter("members", sequence="point", by_year=False, lower=0.0)]
    rate: Annotated[
        Given, Parameter("share", sequence="point", by_year=False, lower=0.0, upper=1.0)
    ]
    weight: Annotated[Given, BY_OUTCOME] = 1.0


@traced
@dataclass(frozen=True, kw_only=True)
class Gate(Declared):
    """Nothing is shared until the result reaches a share of the budget (M12: MSR and MLR).

    ``first-dollar`` then counts the whole result, and so jumps; ``excess-only`` counts what lies
    beyond. ``missed`` is the part of the share that is paid where the gate is not reached.
    """

    threshold: Annotated[Given, OF_BUDGET]
    reading: Annotated[Literal["first-dollar", "excess-only"] | None, Choice()] = None
    scale: Scale | None = None
    missed: Annotated[Given, BY_OUTCOME] = None


@traced
@dataclass(frozen=True, kw_only=True)
class Cap(Declared):
    """A limit of what is shared; of several, the lowest holds.

    Parameters
    ----------
    limit
        As a share of what ``of`` says; an outcome left out has none (10 times it).
    of
        ``budget``; or ``revenue``, with the amount of it.
    applies
        ``before-share``: to the result that is then shared; ``before-scalar``: to the share of it,
        before a scalar; ``after-share``: to the payment.
    """

    limit: Annotated[
        Given,
        Parameter("share", axes=("outcome",), fill=10.0, lower=0.0, upper=10.0, base="of"),
    ]
    of: Annotated[Literal["budget", "revenue"] | None, Choice()] = None
    applies: Annotated[Literal["before-share", "before-scalar", "after-share"] | None, Choice()] = (
        None
    )
    revenue: Annotated[Given, Parameter("money per year", lower=0.0)] = None


@traced
@dataclass(frozen=True, kw_only=True)
class Quality(Declared):
    """How a partner's quality score, from 0 to 1, changes what is shared.

    A score below the ``standard`` counts as 0, and no gain is shared.

    ``gain rate = rate x (1 - weight + weight x score)``;
    ``loss rate = rate of loss - offset x rate of gain x score``, within floor and ceiling;
    ``budget x (1 - withhold x (1 - score))``. Gains may ignore the score where losses use it.
    """

    partner: Partner
    weight: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, base="gain rate")] = 0.0
    standard: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, base="score")] = None
    offset: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, base="gain rate x score")] = (
        0.0
    )
    floor: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, base="loss")] = 0.0
    ceiling: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, base="loss")] = 1.0
    withhold: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, base="budget")] = None


@dataclass(frozen=True)
class Rule:
    """How much of a result is shared; its fields are those of the pool that states it."""

    gate: Gate | None
    rate: Any
    corridors: tuple[Corridor, ...]
    quality: Quality | None
    scalar: Any
    caps: tuple[Cap, ...]
    relief: Any

    def shared(
        self,
        result: Array,
        budget: Array,
        members: Array | None,
        score: Array | None,
        note: Note,
    ) -> Array:
        """Return the part of a result that is shared, with its sign.

        Parameters
        ----------
        result, budget
            (sample): money.
        members
            (population, sample): counts, where a scale needs them.
        score
            (sample): quality, where it matters.
        note
            Called with the figures of each step.
        """
        gain_rate, loss_rate = self._rates(score, note)
        sides = []
        for outcome, rate in enumerate((gain_rate, loss_rate)):
            size = jnp.maximum(result if outcome == 0 else -result, 0)
            side = labelled(note, ("gain", "loss")[outcome], 1 - 2 * outcome)
            sides.append(self._side(outcome, size, budget, rate, members, side))
        return sides[0] - sides[1]

    def _rates(self, score: Array | None, note: Note) -> tuple[Any, Any]:
        """Rates of gain and of loss; None where all of it, or its bands, are shared."""
        gain, loss = (None, None) if self.rate is None else (self.rate[0], self.rate[1])
        quality = self.quality
        if quality is None or score is None:
            return gain, loss
        passed = jnp.ones_like(score)
        if quality.standard is not None:
            passed = reached(score - quality.standard)
        counted = score * passed
        gain = jnp.ones_like(score) if gain is None else gain
        loss = jnp.ones_like(score) if loss is None else loss
        scaled = passed * gain * (1 - quality.weight + quality.weight * counted)
        loss = jnp.clip(loss - quality.offset * gain * counted, quality.floor, quality.ceiling)
        note("quality score", quantity=score)
        note("rate of gain by quality", rate=scaled)
        note("rate of loss by quality", rate=loss)
        return scaled, loss

    def _side(
        self,
        outcome: int,
        size: Array,
        budget: Array,
        rate: Any,
        members: Array | None,
        note: Note,
    ) -> Array:
        part: Any = None
        if self.gate is not None:
            threshold = self._threshold(outcome, members)
            # a result of just the threshold passes, whatever the last bits of the budget are
            dust = 16 * float(np.finfo(size.dtype).eps)
            passed = reached(ratio(size, budget) - threshold + dust)
            if self.gate.missed is None:
                part = passed
            else:
                part = passed + (1 - passed) * self.gate.missed[outcome]
            note("gate", quantity=ratio(size, budget), beyond=threshold, rate=part)
            if self.gate.reading == "excess-only":
                note("beyond gate", quantity=size, beyond=threshold * budget)
                size = above(size, threshold * budget)
        size = self._capped(outcome, size, budget, "before-share", note)
        if self.corridors:
            edges = [corridor.beyond[outcome] * budget for corridor in self.corridors]
            rates = [corridor.rate[outcome] for corridor in self.corridors]
            starts = [
                None if corridor.counted_from is None else corridor.counted_from[outcome] * budget
                for corridor in self.corridors
            ]
            amount = bands(size, edges, rates, starts, jnp.maximum(budget, 1e-9), note)
        else:
            amount = size
        if rate is None and not self.corridors:
            note("whole", quantity=amount, amount=amount)
        if rate is not None:
            before = amount if self.corridors else 0 * amount  # bands have counted it already
            note("share", quantity=amount, rate=rate, amount=rate * amount - before)
            amount = rate * amount
        if part is not None:
            note("gate missed", quantity=(1 - part) * amount, amount=(part - 1) * amount)
            amount = part * amount
        amount = self._capped(outcome, amount, budget, "before-scalar", note)
        if self.scalar is not None:
            scalar = self.scalar[outcome]
            note("scalar", quantity=amount, rate=scalar, amount=(scalar - 1) * amount)
            amount = self.scalar[outcome] * amount
        amount = self._capped(outcome, amount, budget, "after-share", note)
        if self.relief is not None:
            relief = self.relief[outcome]
            note("relief", quantity=amount, rate=relief, amount=-relief * amount)
            amount = amount * (1 - self.relief[outcome])
        return amount

    def _threshold(self, outcome: int, members: Array | None) -> Array:
        assert self.gate is not None
        threshold, scale = self.gate.threshold[outcome], self.gate.scale
        if scale is None or members is None:
            return threshold
        count = members[scale.population]
        return threshold + scale.weight[outcome] * jnp.interp(count, scale.members, scale.rate)

    def _capped(self, outcome: int, size: Array, budget: Array, place: str, note: Note) -> Array:
        for cap in self.caps:
            if cap.applies != place:
                continue
            most = cap.limit[outcome] * (budget if cap.of == "budget" else cap.revenue)
            if place == "before-share":
                note("cap on result", quantity=size, beyond=most * jnp.ones_like(size))
            else:
                note("cap", quantity=size, beyond=most, amount=jnp.minimum(most - size, 0))
            size = jnp.minimum(size, most)
        return size


def rule_problems(
    gate_: Gate | None,
    rate: Given,
    corridors: tuple[Corridor, ...],
    quality: Quality | None,
    caps: tuple[Cap, ...],
    scored: frozenset[str],
) -> Iterator[tuple[str, str]]:
    """Yield what is contradictory in a rule: the field and what is wrong with it."""
    if rate is not None and corridors:
        yield "rate", "found beside corridors, which have rates of their own; give one of the two"
    if quality is not None and corridors and (quality.weight or quality.offset):
        yield "quality.weight", "scales the rate, but corridors have their own; give a rate"
    if quality is not None and quality.partner not in scored:
        yield (
            "quality.partner",
            f"partners.{quality.partner}.quality is missing: a term uses its score; give the "
            "partner a quality with a value or a law",
        )
    if gate_ is not None and gate_.reading == "excess-only" and gate_.missed is not None:
        yield "gate.missed", "means nothing where only the excess counts; leave it out"
    for i, cap in enumerate(caps):
        if (cap.of == "revenue") != (cap.revenue is not None) and cap.of is not None:
            yield f"caps[{i}].revenue", 'goes with of = "revenue", and it needs one: money per year'
    if gate_ is not None and gate_.scale is not None:
        members, rates = gate_.scale.members, gate_.scale.rate
        if len(members) != len(rates):
            yield (
                "gate.scale.rate",
                f"found {len(rates)} values for {len(members)} points; accepted: one for each",
            )
        if any(b <= a for a, b in pairwise(members)):
            yield "gate.scale.members", "the points must rise"


def break_at(size: Array, threshold: Array, scale: Array) -> Array:
    """Return 1 where a size lies beyond a threshold; the derivative looks over GATE_WIDTH."""
    return gate((size - threshold) / scale, GATE_WIDTH)
