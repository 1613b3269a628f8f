"""What a law is: its value at each normal score, its two tails, and its moments.

A law is declared like a term: its fields are numbers of the case, with paths, bounds and units.
It serves the file and the tables that the kernel reads; nothing here is traced.
"""

import abc
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeAlias, TypeVar, dataclass_transform

import numpy as np
from numpy.typing import NDArray

from riskshare.parameters import Declared

Floats: TypeAlias = NDArray[np.float64]
T = TypeVar("T", bound=type)


class Atom(NamedTuple):
    """An atom at one end of a law: its probability and value, at which end, and the rest.

    With ``side`` 1 it takes the lowest scores, z <= Phi^-1(probability), with -1 the highest. The
    law is `rest` of the score z' with Phi(-side z') = Phi(-side z) / (1 - probability) beyond it.
    """

    probability: float
    value: float
    side: float
    rest: "AbstractLaw"


LAWS: dict[str, type["AbstractLaw"]] = {}
"""Laws by the word that a case file uses."""


class AbstractLaw(Declared, abc.ABC):
    """A distribution on the real line, given as a monotone map of a standard normal score.

    All methods take and return float64 arrays of one shape, scalars included. Numbers of a law are
    fields declared with `riskshare.parameters.Parameter` and ``by_year=False``.
    """

    kind: ClassVar[str]

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield (field, message) for what bounds of single numbers cannot say."""
        yield from ()

    @property
    def jump(self) -> float | None:
        """The score at which `at` jumps (an atom's edge, a shock); None where it never does."""
        return None

    @property
    def jumps(self) -> tuple[float, ...]:
        """All scores at which `at` jumps, as far as they are known; those of atoms all are."""
        return () if self.jump is None else (self.jump,)

    @property
    def atom(self) -> Atom | None:
        """The atom at one end of the law (the calm of a shock); None where it has none."""
        return None

    @abc.abstractmethod
    def at(self, score: Floats) -> Floats:
        """Return the value at standard normal scores: the quantile at Phi(score).

        Exact to about 1e-12 relative in both tails: where the score is positive it is worked out
        from the probability above, not from one less it. At the jump, the value below it.
        """

    @abc.abstractmethod
    def distribution(self, value: Floats) -> Floats:
        """Return P(X <= value), to relative precision where it is small."""

    @abc.abstractmethod
    def survival(self, value: Floats) -> Floats:
        """Return P(X > value), to relative precision where it is small."""

    @abc.abstractmethod
    def expectation(self) -> float:
        """Return E[X]; infinite where it is."""

    @abc.abstractmethod
    def standard_deviation(self) -> float:
        """Return the standard deviation; infinite where it is."""

    @abc.abstractmethod
    def limited_mean(self, limit: Floats) -> Floats:
        """Return E[min(X, limit)], the limited expected value."""


@dataclass_transform(kw_only_default=True, frozen_default=True)
def law(cls: T) -> T:
    """Declare a law: a frozen dataclass with keyword fields, found in files by its kind."""
    made: Any = dataclass(frozen=True, kw_only=True)(cls)
    LAWS[made.kind] = made
    return made


def tail_mean(law: AbstractLaw, value: Floats) -> Floats:
    """Return E[X | X > value], from the limited mean: value + (mean - E[min(X, value)]) / S(value).

    Raises
    ------
    ValueError
        If the mean is infinite.
    """
    if not np.isfinite(law.expectation()):
        raise ValueError(f"the mean of this {law.kind} law is infinite, and so are its tail means")
    at = np.asarray(value, np.float64)
    return np.asarray(at + (law.expectation() - law.limited_mean(at)) / law.survival(at))
