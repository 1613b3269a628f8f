"""The two halves of a bound case: the structure that decides the program, and its numbers.

Cases of one structure share one compiled kernel: every number (budget, rate, share, price, law)
is a leaf, and only what changes the program itself (which terms, which lines, which kinds of law)
is part of the structure.
"""

from dataclasses import dataclass
from typing import Any

import jax

from riskshare.contract.cost import CostNumbers, CostStructure
from riskshare.contract.term import AbstractTerm
from riskshare.laws.chance import CountTable


@dataclass(frozen=True)
class NoiseStructure:
    """Lines by kind of chance law; each tuple holds positions of lines."""

    counts: tuple[int, ...]
    gamma: tuple[int, ...]
    lognormal: tuple[int, ...]
    coupled: bool
    """Whether any of them has factors."""

    @property
    def lines(self) -> tuple[int, ...]:
        """All lines with a chance term, in the order of their random columns."""
        return self.counts + self.gamma + self.lognormal


@dataclass(frozen=True)
class Structure:
    """What decides the program: names of terms, kinds of law, counts of things. No numbers."""

    years: int
    partners: int
    lines: int
    drivers: int
    populations: int
    changes: int
    delayed: tuple[int, ...]
    """Changes with a law of delay."""
    scored: tuple[int, ...]
    """Partners with a quality score."""
    others: tuple[int, ...]
    """Partners with another position, outside the case."""
    passing: tuple[int, ...]
    """Changes that are not recurrent."""
    drawn: tuple[int, ...]
    """Indices that have a law."""
    moved: frozenset[str]
    """What drivers act on: activity, case_mix, unit_cost."""
    activity_noise: NoiseStructure
    unit_cost_noise: NoiseStructure
    cost: CostStructure
    term_names: tuple[str, ...]

    @property
    def indices(self) -> int:
        """Drivers, populations, deliveries, delays, scores and other positions together."""
        return self.first_score + len(self.scored) + len(self.others)

    @property
    def first_score(self) -> int:
        """Place of the first quality score among the indices."""
        return self.drivers + self.populations + self.changes + len(self.delayed)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class NoiseNumbers:
    """Tables and parameters of chance laws, rows in the order of `NoiseStructure`.

    Tables of counts have a row for each year and line, the lines of a year together.
    """

    table: CountTable | None
    whole: Any
    values: Any
    slopes: Any
    sigma: Any
    factors: Any
    """(row, driver): loadings of the chance score on driver scores."""
    own: Any
    """(year, row, 1): weight of its own score."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Laws:
    """What is drawn; arrays without a year."""

    location: Any
    scale: Any
    logarithmic: Any
    cholesky: Any
    activity_noise: NoiseNumbers
    unit_cost_noise: NoiseNumbers


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class World:
    """The system as numbers that hold for all years."""

    activity_loadings: Any
    """(line, driver): of drivers that act on activity, zero for others."""
    case_mix_loadings: Any
    unit_cost_loadings: Any
    exposure: Any
    deliverer: Any
    payer: Any
    taken: Any
    """(line, change): one where a change leaves from a line."""
    influence: Any
    """(partner, index): borne share of drivers, members, deliveries; the residual key included."""
    residual_key: Any
    profile_start: Any
    profile_end: Any
    profile_size: Any
    """(year, change): sizes by year, for delayed changes."""
    other_sd: Any
    """(partner with another position, 1)"""
    owner: Any
    """(partner, change): one where a partner owns a change."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class BoundTerm:
    """A term with its numbers, who takes its residue, and whether it applies in each year."""

    term: AbstractTerm
    residue: Any
    active: Any


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Yearly:
    """Everything that varies by year; every leaf has the year as its first axis."""

    number: Any
    """0, 1, 2, ..."""
    carry: Any
    """(year, index): weight of last year's score in this year's."""
    fresh: Any
    """(year, index): weight of this year's innovation."""
    walks: Any
    """(year, index): 1 where the index is a step on last year's index."""
    price: Any
    plan: Any
    before: Any
    unit_cost: Any
    moved: Any
    """(year, line, change, 1): activity that moves for each unit of size."""
    size: Any
    """(year, change, 1): planned size."""
    members: Any
    need: Any
    fraction: Any
    target: Any
    """(year, partner, 1), offsets included."""
    turnover: Any
    other_mean: Any
    """(year, partner with another position, 1)"""
    running_cost: Any
    """(year, change, 1)"""
    cost: CostNumbers
    terms: tuple[BoundTerm, ...]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Leaves:
    """All leaves of a bound case."""

    laws: Laws
    world: World
    yearly: Yearly
