"""Laws made of other laws: mixtures, a tail spliced on a body, and a shock with its own chance."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import inf, isfinite, nextafter, sqrt
from typing import Annotated, ClassVar

import numpy as np

from riskshare.laws.marginal.base import AbstractLaw, Atom, Floats, law
from riskshare.laws.marginal.numerics import REACH, integral_to, invert
from riskshare.laws.marginal.points import SUM_TOLERANCE
from riskshare.laws.marginal.special import either, held, score_of
from riskshare.parameters import Declared, Given, Parameter


def _problems_of(field: str, nested: AbstractLaw) -> Iterator[tuple[str, str]]:
    """Yield the problems of a law within a law, below the field that holds it."""
    for name, message in nested.problems():
        yield f"{field}.{name}", message


def _upper_part(score: Floats, share: float) -> Floats:
    """Return the scores within the top `share` of scores at or above its edge.

    The part's own survival is Phi(-z) / share; scores below the edge come to its lowest.
    """
    from scipy.special import ndtr

    above = ndtr(-np.asarray(score, np.float64))
    rest = np.minimum(above / share, 1.0)
    return np.clip(score_of(np.maximum(share - above, 0.0) / share, rest), -REACH, REACH)


def _most_felt(law: AbstractLaw, scores: Iterable[float]) -> float | None:
    """Return the score whose jump, weighed by the density of the score, is greatest."""
    found = []
    for z in scores:
        low, high = law.at(np.array([z - 1e-9, z + 1e-9]))
        found.append(((high - low) * np.exp(-(z**2) / 2), z))
    return max(found)[1] if found else None


@dataclass(frozen=True, kw_only=True)
class Component(Declared):
    """One law of a mixture, and the share of chances that follow it."""

    weight: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, by_year=False)]
    law: AbstractLaw


@law
class Mixture(AbstractLaw):
    """A mixture: with probability `weight` a component's law holds.

    ``F = sum of weight F``, and so are survival, mean and limited mean;
    ``Var = sum of weight (sd^2 + mean^2) - mean^2``. The quantile inverts F, or S above the
    median, to the last digits of a float.

    Parameters
    ----------
    components
        Laws with weights that sum to one.
    """

    kind: ClassVar[str] = "mixture"

    components: tuple[Component, ...]

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield weights that do not sum to one, and what is wrong with each law."""
        if not self.components:
            yield "components", "found none; accepted: a list of tables with weight and law"
            return
        for i, part in enumerate(self.components):
            if not part.weight > 0:
                yield (
                    f"components[{i}].weight",
                    f"found {part.weight:g}; accepted: above 0; leave the component out",
                )
            yield from _problems_of(f"components[{i}].law", part.law)
        total = float(sum(part.weight for part in self.components))
        if not abs(total - 1) <= SUM_TOLERANCE:
            yield (
                "components",
                f"the weights sum to {total:.10g}; accepted: weights that sum to 1; divide each "
                "by their sum",
            )

    def _mean_of(self, parts: Iterable[Floats | float]) -> Floats:
        """Return the mean over components, by weight."""
        weights = [float(part.weight) for part in self.components]
        total = sum(weights)
        return np.asarray(sum(w / total * p for w, p in zip(weights, parts, strict=True)))

    def distribution(self, value: Floats) -> Floats:
        """Return the weighted mean of F."""
        return self._mean_of(part.law.distribution(value) for part in self.components)

    def survival(self, value: Floats) -> Floats:
        """Return the weighted mean of S."""
        return self._mean_of(part.law.survival(value) for part in self.components)

    def _score(self, value: Floats) -> Floats:
        return score_of(self.distribution(value), self.survival(value))

    @cached_property
    def jump(self) -> float | None:
        """The most felt of the gaps that no component fills: between components, or in one."""
        z = np.array([-REACH, REACH])
        laws = [part.law for part in self.components]
        ends = sorted(tuple(float(x) for x in law.at(z)) for law in laws)
        gaps, reached = [], ends[0][1]
        for low, high in ends[1:]:
            gaps.append((reached, low))
            reached = max(reached, high)
        for part in laws:
            if part.jump is not None:
                around = part.at(np.array([part.jump, part.jump + 1e-9]))
                gaps.append((float(around[0]), float(around[1])))
        scores = []
        for low, high in gaps:
            if high > low + 1e-9 * abs(low):
                edges = np.array([low, nextafter(high, -inf)])
                first, last = self._score(edges)
                if last - first <= 1e-12 and abs(first) < REACH:
                    scores.append(float(first))
        return _most_felt(self, scores)

    def at(self, score: Floats) -> Floats:
        """Return the least value whose score is at least this, between the components' own."""
        z = np.asarray(score, np.float64)
        each = np.stack([np.asarray(part.law.at(z)) for part in self.components])
        # A component's own quantile is exact to rounding only: the bracket is opened by that.
        low, high = each.min(axis=0), each.max(axis=0)
        low, high = low - 1e-14 * np.abs(low), high + 1e-14 * np.abs(high)
        finite = np.isfinite(low) & np.isfinite(high)
        found = invert(self._score, z, np.where(finite, low, 0.0), np.where(finite, high, 0.0))
        return np.asarray(np.where(finite, found, high))

    def expectation(self) -> float:
        """Return the weighted mean of means."""
        return float(self._mean_of(part.law.expectation() for part in self.components))

    def standard_deviation(self) -> float:
        """Return the root of the weighted variances and squares of means about the mean."""
        mean = self.expectation()
        if not isfinite(mean):
            return inf
        laws = [part.law for part in self.components]
        squares = [v.standard_deviation() ** 2 + (v.expectation() - mean) ** 2 for v in laws]
        return sqrt(float(self._mean_of(squares)))

    def limited_mean(self, limit: Floats) -> Floats:
        """Return the weighted mean of limited means."""
        return self._mean_of(part.law.limited_mean(limit) for part in self.components)


@law
class Spliced(AbstractLaw):
    """A tail spliced on a body: body below a threshold, another law above it.

    ``X`` is the body given X <= threshold with probability 1 - s, and the tail law with
    probability s, so ``F = (1 - s) F_body(x) / F_body(threshold)`` up to the threshold and
    ``S = s S_tail(x)`` beyond (Klugman, Panjer and Willmot, Loss Models, 5.2.6; Reynkens and
    others 2017 for claims).

    Parameters
    ----------
    body
        The law below the threshold.
    tail
        A law that lies wholly above it, such as a generalised Pareto whose minimum it is.
    threshold
        Where one ends and the other begins.
    tail_share
        s; where left out what the body itself has above the threshold.
    """

    kind: ClassVar[str] = "spliced"

    body: AbstractLaw
    tail: AbstractLaw
    threshold: Annotated[Given, Parameter("value", by_year=False)]
    tail_share: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, by_year=False)] = None

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield a threshold outside the body, a tail below it, and what is wrong with either."""
        found = [*_problems_of("body", self.body), *_problems_of("tail", self.tail)]
        yield from found
        if found:
            return
        t = np.asarray(self.threshold, np.float64)
        with np.errstate(all="ignore"):
            below, above = float(self.body.distribution(t)), float(self.body.survival(t))
            early = float(self.tail.distribution(np.nextafter(t, -inf)))
        if not isfinite(t) or not below > 0:
            yield (
                "threshold",
                f"found {t:g}; accepted: a number above the body's lowest value, which lies at "
                f"{float(self.body.at(np.array(-REACH))):g}",
            )
        elif self.tail_share is None and not above > 0:
            yield (
                "threshold",
                f"found {t:g}, above which the body has no chance; accepted: a number below its "
                "highest value; lower it, or state tail_share",
            )
        if isfinite(t) and early != 0:
            yield (
                "tail",
                f"found a chance of {early:.3g} below the threshold, {t:g}; accepted: a law "
                "wholly above it, such as a generalised-pareto whose minimum is the threshold",
            )
        if self.tail_share is not None and not 0 < self.tail_share < 1:
            yield (
                "tail_share",
                f"found {self.tail_share:g}; accepted: above 0 and below 1; state the body or "
                "the tail alone where there is only one",
            )

    @cached_property
    def _split(self) -> tuple[float, float, float]:
        """Return the body's F and S at the threshold, and the tail's share."""
        t = np.asarray(self.threshold, np.float64)
        below, above = float(self.body.distribution(t)), float(self.body.survival(t))
        return below, above, above if self.tail_share is None else float(self.tail_share)

    @cached_property
    def _edge(self) -> float:
        """The score above which the tail holds."""
        share = self._split[2]
        return float(score_of(1 - share, share))

    @cached_property
    def jump(self) -> float | None:
        """The most felt of the gaps: between body and tail, within the body, within the tail."""
        from scipy.special import ndtr

        below, _, share = self._split
        ends = self.at(np.array([self._edge, self._edge + 1e-9]))
        scores = [self._edge] if ends[1] - ends[0] > 1e-6 * abs(ends[1]) else []
        inner = self.body.jump
        if inner is not None and ndtr(inner) < below:
            low = (1 - share) / below * ndtr(inner)
            scores.append(float(score_of(low, 1 - low)))
        inner = self.tail.jump
        if inner is not None:
            high = share * ndtr(-inner)
            scores.append(float(score_of(1 - high, high)))
        return _most_felt(self, scores)

    def at(self, score: Floats) -> Floats:
        """Return the body's quantile at F F_body(t) / (1 - s), or the tail's at S / s."""
        z = np.asarray(score, np.float64)
        share = self._split[2]
        return either(
            np.asarray(z <= self._edge),
            self._body_at,
            lambda z: self.tail.at(_upper_part(z, share)),
            z,
        )

    def _body_at(self, z: Floats) -> Floats:
        from scipy.special import ndtr

        below, above, share = self._split
        if self.tail_share is not None:
            ratio = below / (1 - share)
            # S of the body is 1 - F ratio, written so that small S keeps its digits.
            rest = np.maximum(above - share + ndtr(-z) * below, 0.0) / (1 - share)
            z = np.clip(score_of(ndtr(z) * ratio, rest), -REACH, REACH)
        return np.minimum(self.body.at(np.minimum(z, self._inner_edge)), self.threshold)

    @cached_property
    def _inner_edge(self) -> float:
        """The body's own score of the threshold."""
        below, above, _ = self._split
        return float(np.clip(score_of(below, above), -REACH, REACH))

    def distribution(self, value: Floats) -> Floats:
        """Return (1 - s) F_body / F_body(t), then 1 - s S_tail."""
        v = np.asarray(value, np.float64)
        below, _, share = self._split
        low = (1 - share) / below * self.body.distribution(np.minimum(v, self.threshold))
        return np.asarray(
            np.where(v <= self.threshold, low, 1 - share + share * self.tail.distribution(v))
        )

    def survival(self, value: Floats) -> Floats:
        """Return s + (1 - s) (F_body(t) - F_body) / F_body(t), then s S_tail."""
        v = np.asarray(value, np.float64)
        below, above, share = self._split
        within = self.body.survival(np.minimum(v, self.threshold)) - above
        low = share + (1 - share) / below * within
        return np.asarray(np.where(v <= self.threshold, low, share * self.tail.survival(v)))

    def expectation(self) -> float:
        """Return (1 - s) E[body given X <= t] + s E[tail]."""
        body = float(self._limited_body(np.array(self.threshold, np.float64)))
        return body + self._split[2] * self.tail.expectation()

    def _limited_body(self, limit: Floats) -> Floats:
        """Return the body's part of E[min(X, limit)]: (1 - s) / F(t) (E[min(B, m)] - m S(t))."""
        below, above, share = self._split
        m = np.minimum(limit, self.threshold)
        within = self.body.limited_mean(m) - held(m, above)
        return np.asarray((1 - share) / below * within)

    def standard_deviation(self) -> float:
        """Return the standard deviation, the body's part by quadrature of its quantile."""
        mean, share = self.expectation(), self._split[2]
        if not isfinite(mean):
            return inf
        cuts = [] if self.body.jump is None else [self.body.jump]
        part = integral_to(lambda z: (self.body.at(z) - mean) ** 2, self._inner_edge, cuts=cuts)
        above = self.tail.standard_deviation() ** 2 + (self.tail.expectation() - mean) ** 2
        return sqrt((1 - share) / self._split[0] * float(part) + share * above)

    def limited_mean(self, limit: Floats) -> Floats:
        """Return the body's part and s E[min(tail, limit)]."""
        d = np.asarray(limit, np.float64)
        return np.asarray(self._limited_body(d) + self._split[2] * self.tail.limited_mean(d))


@law
class Shock(AbstractLaw):
    """A shock with a probability of its own: winter, a pandemic; a calm value otherwise.

    ``X = calm`` with probability 1 - p, and the effect's law with probability p. The effect lies
    wholly at or above calm, and then takes the top p of scores, or wholly at or below it, and
    then takes the bottom p. Mean ``(1 - p) calm + p E[effect]``.
    """

    kind: ClassVar[str] = "shock"

    probability: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, by_year=False)]
    calm: Annotated[Given, Parameter("value", by_year=False)] = 1.0
    effect: AbstractLaw

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield a chance that is none, an effect on both sides, and what is wrong with it."""
        if not 0 < self.probability < 1:
            yield (
                "probability",
                f"found {self.probability:g}; accepted: above 0 and below 1; leave the shock "
                "out, or state its effect alone",
            )
        found = list(_problems_of("effect", self.effect))
        yield from found
        if not isfinite(self.calm):
            yield "calm", f"found {self.calm:g}; accepted: a finite number"
        elif not found:
            below, above = self._sides
            if below > 0 and above > 0:
                yield (
                    "effect",
                    f"found values below calm, {self.calm:g}, with a chance of {below:.3g}, and "
                    f"above it with {above:.3g}; accepted: wholly at or above calm, or wholly at "
                    "or below; give the effect an end there (triangular, pert, a metalog with "
                    "lower or upper, a generalised-pareto with minimum), or make two shocks",
                )

    @cached_property
    def _sides(self) -> tuple[float, float]:
        """The effect's chances below calm and above it."""
        calm = np.asarray(self.calm, np.float64)
        below = float(self.effect.distribution(np.nextafter(calm, -inf)))
        return below, float(self.effect.survival(calm))

    @property
    def _rises(self) -> bool:
        return self._sides[0] == 0

    @cached_property
    def _edge(self) -> float:
        p = float(self.probability)
        return float(score_of(1 - p, p) if self._rises else score_of(p, 1 - p))

    @property
    def jump(self) -> float | None:
        """The score of 1 - p, or of p where the effect lies below calm."""
        return self._edge

    @property
    def atom(self) -> Atom:
        """Calm, at the lower end where the effect lies above it, else at the upper."""
        side = 1.0 if self._rises else -1.0
        return Atom(1 - float(self.probability), float(self.calm), side, self.effect)

    def at(self, score: Floats) -> Floats:
        """Return calm, and beyond the jump the effect's quantile at S / p, or F / p below it."""
        z = np.asarray(score, np.float64)
        p = float(self.probability)

        def calm(z: Floats) -> Floats:
            return np.full_like(z, self.calm)

        def effect(z: Floats) -> Floats:
            side = 1.0 if self._rises else -1.0
            return self.effect.at(side * _upper_part(side * z, p))

        low, high = (calm, effect) if self._rises else (effect, calm)
        return either(np.asarray(z <= self._edge), low, high, z)

    def distribution(self, value: Floats) -> Floats:
        """Return p F_effect, and 1 - p more from calm on."""
        v, p = np.asarray(value, np.float64), self.probability
        return np.asarray(p * self.effect.distribution(v) + np.where(v >= self.calm, 1 - p, 0.0))

    def survival(self, value: Floats) -> Floats:
        """Return p S_effect, and 1 - p more below calm."""
        v, p = np.asarray(value, np.float64), self.probability
        return np.asarray(p * self.effect.survival(v) + np.where(v < self.calm, 1 - p, 0.0))

    def expectation(self) -> float:
        """Return (1 - p) calm + p E[effect]."""
        p = float(self.probability)
        return (1 - p) * float(self.calm) + p * self.effect.expectation()

    def standard_deviation(self) -> float:
        """Return sqrt(p sd^2 + p (1 - p) (E[effect] - calm)^2)."""
        p, mean = float(self.probability), self.effect.expectation()
        if not isfinite(mean):
            return inf
        spread = self.effect.standard_deviation()
        return sqrt(p * spread**2 + p * (1 - p) * (mean - float(self.calm)) ** 2)

    def limited_mean(self, limit: Floats) -> Floats:
        """Return (1 - p) min(calm, limit) + p E[min(effect, limit)]."""
        d, p = np.asarray(limit, np.float64), self.probability
        return np.asarray((1 - p) * np.minimum(self.calm, d) + p * self.effect.limited_mean(d))
