"""Terms that share gains and losses between partners: the risk/reward pool."""

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from riskshare.contract.benchmark import Rebasing, Truncation
from riskshare.contract.keys import among, names_partners, proportional, within
from riskshare.contract.ledger import PRECISION, Ledger, Transfer, single, to_each
from riskshare.contract.primitives import positive, ratio, silent
from riskshare.contract.rule import (
    BY_OUTCOME,
    Cap,
    Corridor,
    Gate,
    Quality,
    Rule,
    rule_problems,
)
from riskshare.contract.term import (
    AbstractTerm,
    Partner,
    PlanView,
    State,
    Surroundings,
    TermLines,
    YearView,
    rows,
    term,
)
from riskshare.contract.vectors import summed
from riskshare.names import Phase
from riskshare.parameters import Given, Parameter, Reference

_KEY = Parameter("share", axes=("partner",), fill=0.0, lower=0.0, upper=1.0, base="pool")
_SUM_TOLERANCE = 1e-9
_NO_LIMIT = 1e15
"""Stands for no limit, in money."""


KeyRule = Literal[
    "fixed",
    "equal",
    "proportional",
    "equity",
    "contribution",
    "budget",
    "performance",
    "need",
    "influence",
    "conditional-mean",
]
_WEIGHED = ("proportional", "equity")
_BETWEEN = ("equal", "budget", "performance")


@term
class Pool(AbstractTerm):
    """Gain and loss sharing: a result against a budget, the shared part of it, and a key.

    ``result = budget x (1 - discount) - spend / completion``; ``S`` = the part of the result that
    gate, bands, quality, scalars and caps let through (all of it where none is stated); the
    members' parts by the key, and the holder posts the other side: ``posting_i = T_i - 1[i =
    holder] x S``, ``T_i = w_i x S``. With the influence key ``T_i = -sum_d b[i, d] v_d + key_i x (S
    + sum_d v_d)``: v_d is the effect of driver d on the value of the lines (adverse positive), b
    what partner i bears of it, key the case's residual key. The T_i sum to S.

    Parameters
    ----------
    budget
        What the spend is held against; notional unless a term pays it.
    against
        Earlier terms whose net payments by the holder are the spend.
    cost_of, value_of
        In place of ``against``: the cost, or the valued activity, of these lines.
    holder
        Who keeps the pool and posts the other side.
    key
        Who gets which share: see ``share``, ``weights``, ``between``, ``contributions`` and
        ``people``.
    share, loss_share
        Shares of a gain and of a loss (``fixed``); those of a gain serve both unless given.
    weights
        What shares are proportional to (``proportional``, ``equity``; ``performance``: times the
        quality score).
    between
        The partners that share (``equal``, ``budget``: by the planned value of what they deliver,
        ``performance``).
    contributions
        Earlier terms: shares are proportional to what partners paid in them (``contribution``).
    people
        Share of each population that a partner serves (``need``: by members x need).
    taker
        Who takes what the shares of the others leave.
    maximum
        Most that a partner gets or pays in a year; what is above goes to the others by their
        shares, and what nobody can take to the taker, or stays with the holder.
    discount
        Share taken off the budget first.
    completion
        Share of the spend that is known when the pool is settled.
    truncation
        Limit of each person's cost.
    gate, rate, corridors, quality, scalar, caps, relief
        The rule: what part of the result is shared (`riskshare.contract.rule`).
    period
        ``year``: each year by itself; ``to-date``: results to date, less what was shared before;
        ``term``: all years together, in the last.
    rebasing
        How the budget follows earlier spend.
    lines
        Lines whose value is split by driver, or by deliverer, and whose people are truncated.
    """

    kind: ClassVar[str] = "pool"
    usual_phase: ClassVar[Phase] = "sharing"

    budget: Annotated[Any, Reference("budget")]
    against: Annotated[tuple[str, ...], Reference("term", many=True)] = ()
    cost_of: Annotated[Any, Reference("line", many=True)] = None
    value_of: Annotated[Any, Reference("line", many=True)] = None
    holder: Partner
    key: KeyRule
    share: Annotated[Given, _KEY] = None
    loss_share: Annotated[Given, _KEY] = None
    weights: Annotated[Given, Parameter("weight", axes=("partner",), fill=0.0, lower=0.0)] = None
    between: Annotated[Any, Reference("partner", many=True)] = None
    contributions: Annotated[tuple[str, ...], Reference("term", many=True)] = ()
    people: Annotated[
        Given, Parameter("share", axes=("partner", "population"), fill=0.0, lower=0.0, upper=1.0)
    ] = None
    taker: Annotated[Any, Reference("partner")] = None
    maximum: Annotated[
        Given, Parameter("money per year", axes=("partner",), fill=_NO_LIMIT, lower=0.0)
    ] = None
    discount: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, base="budget")] = None
    completion: Annotated[Given, Parameter("share", lower=0.01, upper=1.0, base="spend")] = None
    truncation: Truncation | None = None
    gate: Gate | None = None
    rate: Annotated[Given, BY_OUTCOME] = None
    corridors: tuple[Corridor, ...] = ()
    quality: Quality | None = None
    scalar: Annotated[Given, BY_OUTCOME] = None
    caps: tuple[Cap, ...] = ()
    relief: Annotated[Given, BY_OUTCOME] = None
    period: Literal["year", "to-date", "term"] = "year"
    rebasing: Rebasing | None = None
    lines: TermLines = None
    planned: Annotated[Any, Parameter("weight", axes=("partner",), derived=True)] = None
    table: Annotated[Any, Parameter("money", axes=("partner",), derived=True)] = None
    last: Annotated[Any, Parameter("flag", derived=True)] = 0.0

    def prepared(self, plan: PlanView) -> "AbstractTerm":
        """Turn weights and planned values into shares."""
        if self.weights is not None and self.key in _WEIGHED:
            return dataclasses.replace(self, share=proportional(self.weights.T).T)
        if self.key == "equal":
            return dataclasses.replace(self, share=proportional(np.asarray(self.between).T).T)
        if self.key == "budget":
            planned = (plan.plan * plan.price) @ plan.deliverer.T
            members = np.asarray(self.between, planned.dtype)
            weights = planned * members
            # where nobody among them delivers anything, they share equally
            xp: Any = weights.__array_namespace__()
            weights = xp.where(weights.sum(1, keepdims=True) > 0, weights, members)
            return dataclasses.replace(self, share=proportional(weights.T).T)
        return self

    def problems(self, around: Surroundings) -> Iterator[tuple[str, str]]:
        """Yield what is contradictory in key, spend and rule."""
        spends = [bool(self.against), self.cost_of is not None, self.value_of is not None]
        if sum(spends) == 0:
            known = ", ".join(around.earlier) or "none runs before it"
            yield (
                "against",
                f"is empty; accepted: earlier terms ({known}), or cost_of or value_of with lines",
            )
        if sum(spends) > 1:
            yield "against", "give one of against, cost_of and value_of: it says what was spent"
        yield from self._key_problems(around)
        yield from rule_problems(
            self.gate, self.rate, self.corridors, self.quality, self.caps, around.scored
        )
        if self.truncation is not None:
            untruncated = self.truncation.benchmark == "untruncated"
            if untruncated != (self.truncation.expected_excess is not None):
                yield (
                    "truncation.expected_excess",
                    'goes with benchmark = "untruncated", and it needs one: what the budget holds '
                    "above the limit",
                )
        if self.period != "year" and self.key in ("influence", "conditional-mean"):
            yield (
                "period",
                f"found {self.period!r}; accepted with key = {self.key!r}: year, for drivers are "
                "those of one year",
            )
        if self.rebasing is not None and self.rebasing.lag < 1:
            yield "rebasing.lag", f"found {self.rebasing.lag}; accepted: at least 1 year"

    def _key_problems(self, around: Surroundings) -> Iterator[tuple[str, str]]:
        takes = {
            "share": ("fixed",),
            "loss_share": ("fixed",),
            "weights": (*_WEIGHED, "performance"),
            "between": _BETWEEN,
            "contributions": ("contribution",),
            "people": ("need",),
        }
        needed = {
            "fixed": ("share",),
            "equal": ("between",),
            "proportional": ("weights",),
            "equity": ("weights",),
            "contribution": ("contributions",),
            "budget": ("between",),
            "performance": ("between",),
            "need": ("people",),
        }
        for name, keys in takes.items():
            given = getattr(self, name)
            if given is not None and given != () and self.key not in keys:
                yield name, f"means nothing with key = {self.key!r}; leave it out"
        for name in needed.get(self.key, ()):
            if getattr(self, name) is None or getattr(self, name) == ():
                yield name, f"missing; key = {self.key!r} needs it"
        if self.key == "performance":
            for partner in self.between or ():
                if partner not in around.scored:
                    yield (
                        "between",
                        f"{partner!r} has no quality score; give the partner a quality, with a "
                        "value or a law",
                    )
        if self.people is not None and not names_partners(self.people, around.kinds):
            yield (
                "people",
                "is one number for every partner, whoever is outside included; give it by partner",
            )
        if self.maximum is not None and self.key in ("influence", "conditional-mean"):
            yield "maximum", f"means nothing with key = {self.key!r}; leave it out"
        if self.taker is not None and self.key in ("influence", "conditional-mean"):
            yield "taker", f"means nothing with key = {self.key!r}; leave it out"

    def pays(self, deviation: Array, base: Array) -> Array | None:
        """Return what is shared of a result, before the key."""
        score = None if self.quality is None else jnp.ones_like(deviation[0])
        rule = self._rule()
        if self.gate is not None and self.gate.scale is not None:
            return None  # it takes the number of members
        caps = (dataclasses.replace(cap, revenue=base[0]) for cap in self.caps)
        rule = dataclasses.replace(rule, caps=tuple(caps))
        return rule.shared(deviation[0], base[0], None, score, silent)[None]

    def needs(self) -> frozenset[str]:
        """Return what the experience must hold for key, budget and rule."""
        needed = {"indices"} if self.key == "influence" else set()
        if self.budget.rebased or self.key == "need" or self._scale() is not None:
            needed |= {"members"}
        if self.quality is not None:
            needed |= {f"quality {int(np.argmax(np.asarray(self.quality.partner)[0]))}"}
        if self.key == "performance":
            needed |= {f"quality {i}" for i in np.flatnonzero(np.asarray(self.between)[0])}
        if self.truncation is not None:
            needed |= {"persons"}
        return frozenset(needed)

    def person_limit(self) -> Any:
        """Return where each person's cost is truncated."""
        return None if self.truncation is None else self.truncation.at

    def person_lines(self) -> tuple[int, ...]:
        """Return the lines that the pool's spend is of."""
        return tuple(self.cost_of or self.value_of or self.lines)

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return the holder."""
        return self.holder

    def initial(self, like: Array) -> State:
        """Return results, budgets and payments to date, and spend for rebasing."""
        zero = jnp.zeros_like(like[0])
        state: dict[str, Any] = {}
        if self.period != "year":
            state |= {"result": zero, "budget": zero, "gain": zero, "loss": zero}
            state |= {f"revenue {i}": zero for i in self._of_revenue()}
        if self.rebasing is not None:
            past = jnp.zeros((self.rebasing.lag, *zero.shape), zero.dtype)
            state |= {"spend": past, "years": zero}
        return state

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Share the result."""
        after, caps = dict(state), self.caps
        budget = self._budget(year, state)
        year.note("budget", amount=budget)
        spend = self._spend(year, ledger)
        year.note("spend", amount=spend)
        result = budget - spend
        year.note("result", amount=result)
        if self.period != "year":
            result, budget = state["result"] + result, state["budget"] + budget
            after |= {"result": result, "budget": budget}
            year.note("result to date", amount=result)
            for i in self._of_revenue():
                revenue = state[f"revenue {i}"] + self.caps[i].revenue
                after[f"revenue {i}"] = revenue
                cap = dataclasses.replace(self.caps[i], revenue=revenue)
                caps = (*caps[:i], cap, *caps[i + 1 :])
        rule = dataclasses.replace(self._rule(), caps=caps)
        shared = rule.shared(result, budget, year.members, self._score(year), year.note)
        if self.period == "term":
            year.note("settled in the last year", rate=self.last, amount=(self.last - 1) * shared)
            shared = self.last * shared
        gain, loss = jnp.maximum(shared, 0), jnp.minimum(shared, 0)
        if self.period != "year":
            year.note("shared before", amount=-(state["gain"] + state["loss"]))
            after |= {"gain": gain, "loss": loss}
            gain, loss = gain - state["gain"], loss - state["loss"]
            shared = gain + loss
        year.note("shared", amount=shared)
        if self.rebasing is not None:
            kept = spend + self.rebasing.savings_adjustment * positive(shared)
            grown = state["spend"][:-1] * (1 + self.rebasing.growth)
            recent = jnp.concatenate([(kept / year.fraction)[None], grown])
            after |= {"spend": recent, "years": state["years"] + 1}
        return self._transfers(gain, loss, year, ledger), after

    def _of_revenue(self) -> tuple[int, ...]:
        """Return the caps that are shares of a revenue."""
        return tuple(i for i, cap in enumerate(self.caps) if cap.of == "revenue")

    def _rule(self) -> Rule:
        return Rule(
            self.gate,
            self.rate,
            self.corridors,
            self.quality,
            self.scalar,
            self.caps,
            self.relief,
        )

    def _scale(self) -> Any:
        return None if self.gate is None else self.gate.scale

    def _score(self, year: YearView) -> Array | None:
        if self.quality is None:
            return None
        return jnp.matmul(self.quality.partner, year.quality, precision=PRECISION)

    def _budget(self, year: YearView, state: State) -> Float[Array, " sample"]:
        budget = self.budget.amount(year)
        year.note("agreed budget", quantity=budget)
        if self.truncation is not None and self.truncation.expected_excess is not None:
            # before rebasing, whose spend is truncated already
            above = self.truncation.expected_excess
            year.note("expected excess", quantity=budget, rate=above, amount=-above * budget)
            budget = budget * (1 - above)
        rebasing = self.rebasing
        if rebasing is not None:
            grown = state["spend"][-1] * year.fraction * (1 + rebasing.growth)
            rebased = (1 - rebasing.weight) * budget + rebasing.weight * grown
            if rebasing.direction == "down-only":
                rebased = jnp.minimum(budget, rebased)
            agreed = budget
            budget = jnp.where(state["years"] >= rebasing.lag, rebased, budget)
            weight = jnp.where(state["years"] >= rebasing.lag, rebasing.weight, 0)
            year.note("rebasing", quantity=grown, rate=weight, amount=budget - agreed)
        if self.discount is not None:
            rate = self.discount
            year.note("discount", quantity=budget, rate=rate, amount=-rate * budget)
            budget = budget * (1 - self.discount)
        if self.quality is not None and self.quality.withhold is not None:
            score = self._score(year)
            assert score is not None
            lost = self.quality.withhold * (1 - score)
            year.note("withheld for quality", quantity=budget, rate=lost, amount=-lost * budget)
            budget = budget * (1 - self.quality.withhold * (1 - score))
        return budget

    def _spend(self, year: YearView, ledger: Ledger) -> Float[Array, " sample"]:
        if self.against:
            for name in self.against:
                year.note(f"outlay: {name}", amount=-ledger.net((name,), self.holder))
            spend = -ledger.net(self.against, self.holder)
        elif self.cost_of is not None:
            year.note("cost of lines", amount=rows(year.line_cost, self.cost_of))
            spend = summed(rows(year.line_cost, self.cost_of))
        else:
            year.note("value of lines", amount=rows(year.value, self.value_of))
            spend = summed(rows(year.value, self.value_of))
        if self.truncation is not None and year.person_cost is not None:
            person = summed(rows(year.person_cost, self.person_lines()))
            excess = summed(positive(person - self.truncation.at))
            year.note("truncation", beyond=self.truncation.at, amount=-excess)
            spend = spend - excess
        if self.completion is not None:
            known, rate = spend, self.completion
            year.note("completion", quantity=known, rate=rate, amount=known / rate - known)
            spend = spend / self.completion
        return spend

    def _transfers(
        self,
        gain: Float[Array, " sample"],
        loss: Float[Array, " sample"],
        year: YearView,
        ledger: Ledger,
    ) -> tuple[Transfer, ...]:
        """Move the members' parts of a gain and of a loss (not positive) from the holder."""
        shared = gain + loss
        if self.key == "influence":
            effects = year.split(self.lines).controlled()
            year.note("effect", quantity=effects)
            key = year.residual_key
            everyone = jnp.broadcast_to(key[:, None], (len(key), len(effects)))
            by_driver = Transfer(effects, everyone, year.influence, "index")
            return single(shared, key, self.holder), by_driver
        if self.key == "conditional-mean":
            return self._by_conditional_mean(shared, year)
        direct = self.share is not None and self.taker is None and self.maximum is None
        if direct and self.loss_share is None:
            return (single(year.once(shared), self.share, self.holder),)
        if direct:
            of_loss = single(year.once(loss), self.loss_share, self.holder)
            return single(year.once(gain), self.share, self.holder), of_loss
        shares = self._shares(shared, year, ledger)
        amounts = shares * shared
        if self.loss_share is not None:
            amounts = self.share[:, None] * gain + self.loss_share[:, None] * loss
        year.note("key", rate=shares, amount=amounts)
        if self.maximum is not None:
            wanted, most = amounts, self.maximum[:, None]
            amounts = within(amounts, shares, self.maximum[:, None])
            year.note("maximum", quantity=wanted, beyond=most, amount=amounts - wanted)
        if self.taker is not None:
            left = self.taker[:, None] * (shared - summed(amounts))
            year.note("left to the taker", amount=left)
            amounts = amounts + self.taker[:, None] * (shared - summed(amounts))
        if self.residue is None:
            return (to_each(amounts, self.holder),)
        # who takes the residue receives the whole and passes the rounded parts on
        whole = single(summed(amounts), self.residue, self.holder)
        return whole, to_each(amounts, self.residue)

    def _shares(
        self, shared: Float[Array, " sample"], year: YearView, ledger: Ledger
    ) -> Float[Array, "partner sample"]:
        one = jnp.ones_like(shared)
        if self.share is not None:
            share = self.share[:, None] * one
            if self.loss_share is not None:
                share = jnp.where(shared < 0, self.loss_share[:, None] * one, share)
            return share
        if self.key == "contribution":
            paid = sum(positive(-ledger.entries[name]) for name in self.contributions)
            return proportional(jnp.asarray(paid))
        if self.key == "need":
            return proportional(
                jnp.matmul(self.people, year.members * year.need, precision=PRECISION)
            )
        weights = year.quality
        if self.weights is not None:
            weights = weights * self.weights[:, None]
        return among(weights, self.between[:, None])

    def _by_conditional_mean(
        self, shared: Float[Array, " sample"], year: YearView
    ) -> tuple[Transfer, ...]:
        """``T_i = -h_i(v) + key_i x (S + v)``, v the deviation of line value from plan.

        The table's first column holds points of v, the others ``h_i = E[v_i | v]``, v_i being the
        deviation of what partner i delivers; between points and beyond them h is linear.
        """
        deviation = summed(rows(year.value - year.plan * year.price, self.lines))
        points, means = self.table[:, 0], self.table[:, 1:]
        at = jnp.clip(jnp.searchsorted(points, deviation) - 1, 0, len(points) - 2)
        place = ratio(deviation - points[at], points[at + 1] - points[at])
        borne = means[at] + (means[at + 1] - means[at]) * place[:, None]
        key = year.residual_key
        year.note("value less plan", amount=deviation)
        year.note("expected part", quantity=borne.T)
        rest = single(shared + deviation, key, self.holder)
        return rest, to_each(-borne.T, self.holder)
