"""What a strategy for a kind of term works with, and how a new kind joins."""

import random
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis.strategies import DrawFn

from riskshare.checks.given import literals
from riskshare.contract.budget import Budget
from riskshare.contract.term import AbstractTerm, Cash
from riskshare.names import PHASES
from riskshare.parameters import Given, Parameter, declaration_of, fields_of

Number = Callable[[], float]

_SINGLE = ("age", "point")
"""Axes along which lists are drawn by hand."""


class Deck:
    """Deals words in turn, so that a family of structures holds each of them."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.dealt: Counter[str] = Counter()

    def deal(self, what: str, words: Sequence[Any], usable: Sequence[Any] | None = None) -> Any:
        """Return the next word for a choice, of those usable; each structure begins elsewhere."""
        at = zlib.crc32(what.encode()) + self.number + 5 * self.dealt[what]
        self.dealt[what] += 1
        turned = [words[(at + i) % len(words)] for i in range(len(words))]
        return next(word for word in turned if usable is None or word in usable)

    def option(self, what: str, one_in: int) -> bool:
        """Return whether an option is taken: once in so many times."""
        return bool(self.deal(what, [True] + [False] * (one_in - 1)))


@dataclass
class Setting:
    """What the terms of one contract may name, and how choices and numbers are made.

    Structure (whether a field is given, which word, which lines) must come from ``pick`` or
    ``deck``, which the structure's number fixes; numbers, and which partner is meant, from
    ``draw``.
    """

    pick: random.Random
    draw: DrawFn
    deck: Deck
    labels: dict[str, tuple[str, ...]]
    partners: tuple[str, ...]
    organisations: tuple[str, ...]
    """Partners with a target: neither pool accounts nor outside the system."""
    lines: tuple[str, ...]
    line_parts: dict[str, tuple[str, ...]]
    """Lines of each stranded-support term, empty for all, so that none is supported twice."""
    budgets: tuple[Budget, ...] = ()
    funding_driver: str | None = None
    influence: bool = False
    """Whether the case has a residual key, which the influence key needs."""
    scored: tuple[str, ...] = ()
    """Partners with a quality score."""
    levied: tuple[str, ...] = ()
    """Partners with a turnover."""
    persons: bool = False
    """Whether terms may need the cost of each person, which is given and never drawn."""
    earlier: list[AbstractTerm] = field(default_factory=list)

    def chance(self, probability: float) -> bool:
        """Choose a part of the structure."""
        return self.pick.random() < probability

    def maybe(self) -> bool:
        """Draw something that the compiled program does not depend on."""
        return self.draw(st.booleans())

    def word(self, cls: type, name: str, usable: Sequence[str] | None = None) -> Any:
        """Choose the next of the words that a declared field accepts, a part of the structure."""
        words = next(literals(info.type) for info in fields_of(cls) if info.name == name)
        return self.deck.deal(f"{cls.__name__}.{name}", words, usable)

    def number(self, low: float, high: float, parts: int = 100) -> float:
        """Draw a number with few digits, both ends included."""
        return round(low + (high - low) * self.draw(st.integers(0, parts)) / parts, 10)

    def given(self, parameter: Parameter, number: Number, **labels: tuple[str, ...]) -> Given:
        """Draw a given value in any shape its declaration accepts."""
        return given_value(self.draw, parameter, number, {**self.labels, **labels})

    def numbers(self, cls: type, name: str, low: float, high: float, **labels: Any) -> Given:
        """Draw a given value for a declared number of a class."""
        return self.given(declaration_of(cls, name), lambda: self.number(low, high), **labels)

    def perhaps(
        self, one_in: int, cls: type, name: str, low: float, high: float, **labels: Any
    ) -> Given:
        """Draw a given value for a number once in so many times, and else leave it out."""
        taken = self.deck.option(f"{cls.__name__}.{name}", one_in)
        return self.numbers(cls, name, low, high, **labels) if taken else None

    def partner(self) -> str:
        """Draw a partner."""
        return self.one(self.partners)

    def two_partners(self) -> tuple[str, str]:
        """Draw two different partners."""
        first, second = self.draw(
            st.lists(st.sampled_from(self.partners), min_size=2, max_size=2, unique=True)
        )
        return first, second

    def one(self, names: tuple[str, ...]) -> str:
        """Draw one of some names."""
        return self.draw(st.sampled_from(names))

    def some(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Draw one or more of some names."""
        return tuple(self.draw(st.lists(st.sampled_from(names), min_size=1, unique=True)))

    def by_partner(self, cls: type, name: str, low: float, high: float, *without: str) -> Given:
        """Draw numbers by organisation, some of them left out and none for partners named."""
        free = tuple(name for name in self.organisations if name not in without)
        own = self.labels | {"partner": ()}
        return {
            partner: given_value(
                self.draw, declaration_of(cls, name), lambda: self.number(low, high), own
            )
            for partner in (self.some(free) if free else ())
        }

    def some_lines(self, at_least: int = 1) -> tuple[str, ...] | None:
        """Choose lines of the contract, or leave them to it."""
        if self.chance(0.4):
            return None
        return tuple(self.pick.sample(self.lines, self.pick.randint(at_least, len(self.lines))))

    def before(self, phase: str) -> list[str]:
        """Return the terms so far that run before one that is listed next."""
        runs = PHASES.index(phase)
        return [t.label for t in self.earlier if PHASES.index(t.runs_in) <= runs]

    def some_terms(self, names: list[str]) -> tuple[str, ...]:
        """Choose one or more terms."""
        return tuple(self.pick.sample(names, self.pick.randint(1, min(len(names), 4))))

    def common(self, phases: tuple[str, ...] = PHASES) -> dict[str, Any]:
        """Choose the fields of every term: when it runs, holds and pays, and its residue."""
        fields: dict[str, Any] = {
            "phase": self.pick.choice(phases) if self.chance(0.25) else None,
            "residue": self.partner() if self.chance(0.25) else None,
            "recurrent": not self.chance(0.15),
            "cash": self._cash() if self.chance(0.1) else None,
        }
        if self.draw(st.integers(0, 3)) == 0:
            fields["in_force"] = self.numbers(AbstractTerm, "in_force", 0, 1)
        return fields

    def _cash(self) -> Cash:
        ages = tuple(str(age) for age in range(self.pick.randint(1, 3)))
        profile = tuple(shares(self.draw, ages).values())
        # whatever phase a term runs in, those of the first phase that are listed run before it
        known = self.before(PHASES[0])
        if not known or self.chance(0.5):
            return Cash(profile=profile)
        return Cash(
            profile=profile, limit=self.numbers(Cash, "limit", 0, 1.5), of=self.some_terms(known)
        )

    def key(self) -> dict[str, float]:
        """Draw shares of partners that sum to one; some have none."""
        return shares(self.draw, self.partners)


TermStrategy = Callable[[Setting], AbstractTerm | None]

STRATEGIES: dict[str, TermStrategy] = {}
"""How each kind of term is drawn."""


def strategy_for(kind: str) -> Callable[[TermStrategy], TermStrategy]:
    """Let a kind of term join every drawn case.

    The function returns a term for a `Setting`, without a name, or None where the setting has no
    room for one (a single partner, no budget, no earlier term); it is then asked once more, after
    the other kinds.

    Examples
    --------
    >>> from riskshare.testing import STRATEGIES
    >>> "marginal-rate" in STRATEGIES
    True
    """

    def join(strategy: TermStrategy) -> TermStrategy:
        STRATEGIES[kind] = strategy
        return strategy

    return join


def given_value(
    draw: DrawFn,
    parameter: Parameter,
    number: Number,
    labels: Mapping[str, tuple[str, ...]],
    axes: tuple[str, ...] | None = None,
) -> Given:
    """Draw a number, a table over one axis or a list by year, of the same down to numbers."""
    over = parameter.all_axes if axes is None else axes
    over = tuple(axis for axis in over if axis not in _SINGLE and labels.get(axis))
    axis = draw(st.sampled_from((None, *over)))
    if axis is None:
        return number()
    rest = tuple(other for other in over if other != axis)
    inner = [given_value(draw, parameter, number, labels, rest) for _ in labels[axis]]
    if axis == "year" and draw(st.booleans()):
        return tuple(inner)
    return dict(zip(labels[axis], inner, strict=True))


def shares(draw: DrawFn, names: tuple[str, ...]) -> dict[str, float]:
    """Draw shares in hundredths that sum to one; some may be zero."""
    cuts = sorted(
        draw(st.lists(st.integers(0, 100), min_size=len(names) - 1, max_size=len(names) - 1))
    )
    parts = np.diff([0, *cuts, 100])
    return {name: int(part) / 100 for name, part in zip(names, parts, strict=True)}
