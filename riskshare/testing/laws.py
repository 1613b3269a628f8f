"""Laws of a drawn case: beliefs, chance, capacity and people.

Which of them there are is structure and follows from the case's number alone, in a stream of its
own, so that other options stay where they were; the numbers are drawn.
"""

import dataclasses
import random
from typing import Any

import hypothesis.strategies as st
from hypothesis.strategies import DrawFn

from riskshare.laws import (
    AbstractLaw,
    Component,
    Gamma,
    GeneralisedGamma,
    GeneralisedPareto,
    Interval,
    Lognormal,
    Metalog,
    Mixture,
    Normal,
    Pert,
    Shock,
    Spliced,
    Triangular,
    Weibull,
)
from riskshare.system import Capacity, Noise, People

COUNTS = ("poisson", "negative-binomial")


class Laws:
    """Chooses laws for one structure: ``pick`` makes its choices, ``draw`` the numbers."""

    def __init__(self, number: int, draw: DrawFn) -> None:
        self.pick = random.Random(f"laws {number}")
        self.draw = draw

    def chance(self, probability: float) -> bool:
        """Choose a part of the structure."""
        return self.pick.random() < probability

    def number(self, low: float, high: float, parts: int = 20) -> float:
        """Draw a number with few digits, both ends included."""
        return round(low + (high - low) * self.draw(st.integers(0, parts)) / parts, 6)

    def belief(self) -> AbstractLaw | None:
        """Draw the law of an index that has one of its own: any kind, or a shock."""
        own, shock = self.chance(0.25), self.chance(0.3)
        if not own:
            return None
        if shock:
            effect = Triangular(low=1.0, mode=self.number(1.0, 1.2), high=self.number(1.25, 1.6))
            return Shock(probability=self.number(0.01, 0.5), effect=effect)
        return self.draw(st.sampled_from([_triangular, _pert, _metalog, _interval, _normal]))(self)

    def of_line(
        self, noise: Noise | None, unit_cost: Noise | None, spreading: list[str]
    ) -> dict[str, Any]:
        """Return the fields of a line that are uncertain, with more than its plain noise."""
        own, zeros, spread, mix, follows, limited, personal = (
            self.chance(p) for p in (0.2, 0.2, 0.2, 0.25, 0.5, 0.25, 0.1)
        )
        coupled = noise is not None and bool(noise.factors)
        if noise is not None and own and noise.law not in COUNTS:
            noise = dataclasses.replace(noise, law=self._positive(), cv=None)
        elif noise is not None and spread and spreading and noise.law != "poisson":
            powers = {name: self.number(-1, 1) for name in spreading[:1]}
            noise = dataclasses.replace(noise, dispersion=powers)
        if noise is not None and zeros:
            noise = dataclasses.replace(noise, zeros=self.number(0.05, 0.6))
        along = self.number(0.1, 0.9) if follows and noise is not None and not coupled else 0.0
        case_mix = None
        if mix:
            case_mix = Noise(law=self._positive(), with_activity=along)
        counted = noise is not None and noise.law in COUNTS
        found: dict[str, Any] = {"noise": noise, "unit_cost_noise": unit_cost}
        if personal and counted:
            law = Lognormal(cv=self.draw(st.sampled_from([0.5, 2.0])))
            # nobody above the threshold, so that numbers do not decide how many are drawn apart
            people = People(law=law, threshold=1e12)
            found |= {"people": people, "unit_cost_noise": None}
        if limited:
            capacity = Capacity(
                units=self.number(100, 20_000),
                waiting=self.number(0, 2000),
                leaving=self.number(0, 1),
            )
            found["capacity"] = capacity
        return found | {"case_mix_noise": case_mix}

    def _positive(self) -> AbstractLaw:
        """Draw a law of positive values; the structure says whether it is a narrow gamma."""
        if self.chance(0.3):
            return Gamma(cv=self.number(0.05, 0.3))
        kinds = [_gamma, _weibull, _generalised_gamma, _spliced, _mixture, _pert]
        return self.draw(st.sampled_from(kinds))(self)


def _triangular(at: Laws) -> AbstractLaw:
    return Triangular(low=at.number(0.5, 0.9), mode=at.number(0.9, 1.1), high=at.number(1.2, 1.6))


def _pert(at: Laws) -> AbstractLaw:
    return Pert(low=at.number(0.5, 0.9), mode=at.number(0.9, 1.1), high=at.number(1.2, 1.6))


def _metalog(at: Laws) -> AbstractLaw:
    return Metalog(
        levels=(0.1, 0.5, 0.9), values=(at.number(0.8, 0.9), 1.0, at.number(1.1, 1.2)), lower=0.0
    )


def _interval(at: Laws) -> AbstractLaw:
    return Interval(low=at.number(0.7, 0.95), high=at.number(1.0, 1.4))


def _normal(at: Laws) -> AbstractLaw:
    return Normal(mean=at.number(0.8, 1.2), sd=at.number(0.01, 0.3))


def _gamma(at: Laws) -> AbstractLaw:
    return Gamma(cv=at.number(0.4, 1))


def _weibull(at: Laws) -> AbstractLaw:
    return Weibull(shape=at.number(0.8, 5))


def _generalised_gamma(at: Laws) -> AbstractLaw:
    return GeneralisedGamma(shape=at.number(0.5, 3), power=at.number(0.5, 2))


def _spliced(at: Laws) -> AbstractLaw:
    tail = GeneralisedPareto(minimum=2.0, scale=at.number(0.2, 1), shape=at.number(-0.2, 0.4))
    return Spliced(body=Gamma(cv=at.number(0.3, 1)), threshold=2.0, tail=tail)


def _mixture(at: Laws) -> AbstractLaw:
    share = at.number(0.1, 0.9)
    return Mixture(
        components=(
            Component(weight=share, law=Gamma(cv=at.number(0.1, 0.5))),
            Component(weight=round(1 - share, 6), law=Gamma(mean=3.0, cv=at.number(0.1, 0.5))),
        )
    )
