"""What a strategy for a kind of term works with, and how a new kind joins."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis.strategies import DrawFn

from riskshare.contract.budget import Budget
from riskshare.contract.term import AbstractTerm
from riskshare.names import PHASES
from riskshare.parameters import Given, Parameter, declaration_of

Number = Callable[[], float]


@dataclass
class Setting:
    """What the terms of one contract may name, and how choices and numbers are made.

    Structure (whether a field is given, which word, which lines) must come from ``pick``, which
    the structure's number fixes; numbers, and which partner is meant, from ``draw``.
    """

    pick: random.Random
    draw: DrawFn
    labels: dict[str, tuple[str, ...]]
    partners: tuple[str, ...]
    lines: tuple[str, ...]
    line_parts: dict[str, tuple[str, ...]]
    """Lines of each stranded-support term, empty for all, so that none is supported twice."""
    budgets: tuple[Budget, ...] = ()
    funding_driver: str | None = None
    influence: bool = False
    """Whether the case has a residual key, which the influence key needs."""
    earlier: list[AbstractTerm] = field(default_factory=list)

    def chance(self, probability: float) -> bool:
        """Choose a part of the structure."""
        return self.pick.random() < probability

    def number(self, low: float, high: float, parts: int = 100) -> float:
        """Draw a number with few digits, both ends included."""
        return round(low + (high - low) * self.draw(st.integers(0, parts)) / parts, 10)

    def given(self, parameter: Parameter, number: Number, **labels: tuple[str, ...]) -> Given:
        """Draw a given value in any shape its declaration accepts."""
        return given_value(self.draw, parameter, number, {**self.labels, **labels})

    def numbers(self, cls: type, name: str, low: float, high: float, **labels: Any) -> Given:
        """Draw a given value for a declared number of a class."""
        return self.given(declaration_of(cls, name), lambda: self.number(low, high), **labels)

    def partner(self) -> str:
        """Draw a partner."""
        return self.draw(st.sampled_from(self.partners))

    def two_partners(self) -> tuple[str, str]:
        """Draw two different partners."""
        first, second = self.draw(
            st.lists(st.sampled_from(self.partners), min_size=2, max_size=2, unique=True)
        )
        return first, second

    def some_lines(self) -> tuple[str, ...] | None:
        """Choose lines of the contract, or leave them to it."""
        if self.chance(0.4):
            return None
        return tuple(self.pick.sample(self.lines, self.pick.randint(1, len(self.lines))))

    def common(self, phases: tuple[str, ...] = PHASES) -> dict[str, Any]:
        """Choose the fields of every term: a phase and who takes the residue."""
        return {
            "phase": self.pick.choice(phases) if self.chance(0.25) else None,
            "residue": self.partner() if self.chance(0.25) else None,
        }

    def key(self) -> dict[str, float]:
        """Draw shares of partners that sum to one; some have none."""
        return shares(self.draw, self.partners)


TermStrategy = Callable[[Setting], AbstractTerm | None]

STRATEGIES: dict[str, TermStrategy] = {}
"""How each kind of term is drawn, in the order in which a contract lists them."""


def strategy_for(kind: str) -> Callable[[TermStrategy], TermStrategy]:
    """Let a kind of term join every drawn case.

    The function returns a term for a `Setting`, without a name, or None where the setting has no
    room for one (a single partner, no budget).

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
    over = tuple(axis for axis in over if axis != "age" and labels.get(axis))
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
