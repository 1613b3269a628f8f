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
from riskshare.laws.chance import CountTable, FactorTable
from riskshare.laws.copula import StudentTables

WHOLE_BELOW = 1000.0
"""Lines expected to have fewer units a year are whole counts; larger ones are smooth."""

MOST = 512
"""People of a line drawn one by one at most."""

WIDEST = 30.0
"""Drivers move the coefficient of variation of a law by at most this factor either way."""

Columns = tuple[tuple[int, int], ...]
"""(kind, index) of random columns of one year."""

(
    DRIVER_COLUMN,
    ACTIVITY_COLUMN,
    UNIT_COST_COLUMN,
    MEMBERS_COLUMN,
    DELIVERY_COLUMN,
    DELAY_COLUMN,
    QUALITY_COLUMN,
    OTHER_COLUMN,
    COPULA_COLUMN,
    CASE_MIX_COLUMN,
    THINNING_COLUMN,
    LARGE_COLUMN,
    PERSON_COLUMN,
) = range(13)
"""Kinds of random column; a column is (kind, index, year)."""

COPULA_INDEX = 5
"""The mixing variable of a t copula: of the first 32 dimensions of its kind the one that goes best
with pairs of low ones (joint exceedance of 99.5 %: 0.3 of the variance of independent points, where
index 0 has up to 12 times it)."""


@dataclass(frozen=True)
class NoiseStructure:
    """Lines by kind of chance law; each tuple holds positions of lines."""

    counts: tuple[int, ...]
    tabled: tuple[int, ...]
    cubed: tuple[int, ...]
    lognormal: tuple[int, ...]
    coupled: bool
    """Whether any of them has factors."""
    spread: bool
    """Whether drivers spread any of them."""
    zeroed: tuple[int, ...]
    """Rows (places in `lines`) that may be zero whatever their mean."""
    followed: tuple[int, ...] = ()
    """For each row, the row of the activity chance that its score follows; -1 without one."""

    @property
    def lines(self) -> tuple[int, ...]:
        """All lines with a chance term, in the order of their random columns."""
        return self.counts + self.tabled + self.cubed + self.lognormal


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
    copula: str
    """What joins their innovations: gaussian, student-t."""
    tabled: tuple[int, ...]
    """Indices whose law is a table."""
    atoms: tuple[int, ...]
    """Rows (places in `tabled`) whose law has an atom at one end."""
    moved: frozenset[str]
    """What drivers act on: activity, case_mix, unit_cost."""
    activity_noise: NoiseStructure
    unit_cost_noise: NoiseStructure
    case_mix_noise: NoiseStructure
    thinned: tuple[int, ...]
    """Changes whose units move or stay one by one."""
    peopled: tuple[int, ...]
    """Lines whose people have a cost each."""
    slots: tuple[int, ...]
    """For each of them, how many people are drawn one by one at most."""
    limited: tuple[int, ...]
    """Lines with a capacity."""
    cost: CostStructure
    term_names: tuple[str, ...]

    @property
    def columns(self) -> dict[str, Columns]:
        """Random columns of one year by what they are for, in their order among the scores."""
        kinds = [(DRIVER_COLUMN, i) for i in range(self.drivers)]
        kinds += [(MEMBERS_COLUMN, i) for i in range(self.populations)]
        kinds += [(DELIVERY_COLUMN, i) for i in range(self.changes)]
        kinds += [(DELAY_COLUMN, i) for i in self.delayed]
        kinds += [(QUALITY_COLUMN, i) for i in self.scored]
        kinds += [(OTHER_COLUMN, i) for i in self.others]
        people = list(zip(self.peopled, self.slots, strict=True))
        return {
            "index": tuple(kinds[i] for i in self.drawn),
            "activity": tuple((ACTIVITY_COLUMN, i) for i in self.activity_noise.lines),
            "unit_cost": tuple((UNIT_COST_COLUMN, i) for i in self.unit_cost_noise.lines),
            "case_mix": tuple((CASE_MIX_COLUMN, i) for i in self.case_mix_noise.lines),
            "thinning": tuple((THINNING_COLUMN, i) for i in self.thinned),
            "rest": tuple((UNIT_COST_COLUMN, i) for i in self.peopled),
            "large": tuple((LARGE_COLUMN, i) for i in self.peopled),
            "copula": ((COPULA_COLUMN, COPULA_INDEX),) if self.copula == "student-t" else (),
            "person": tuple((PERSON_COLUMN, k + MOST * i) for i, n in people for k in range(n)),
        }

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
    factor: FactorTable | None
    cubed: Any
    """(row, power): polynomials whose cubes are factors."""
    sigma: Any
    factors: Any
    """(row, driver): loadings of the chance score on driver scores."""
    own: Any
    """(year, row, 1): weight of its own score."""
    dispersion: Any
    """(row, driver): powers of drivers in what multiplies the coefficient of variation."""
    zeros: Any
    """(zeroed row, 1): probability of zero."""
    edge: Any
    """(zeroed row, 1): the score below which there is nothing."""
    with_activity: Any
    """(row, 1): correlation of its score with that of the activity chance it follows."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Atoms:
    """Atoms of indices at one end of their law, (row, 1) each (`riskshare.laws.marginal`)."""

    probability: Any
    value: Any
    side: Any
    edge: Any
    """The score, times the side, up to which the atom reaches."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PeopleNumbers:
    """Costs of people, a row for each line that has them, relative to the mean cost of one.

    What is drawn one by one lies above a threshold; the total of the others is a table of the
    standardised sum given their number (`riskshare.laws.people`).
    """

    above: Any
    """(row, 1): probability that one lies above the threshold."""
    number: CountTable
    """How many lie above, over the logarithm of how many there are: (row, ...)."""
    values: Any
    """(row, node): cost of one above the threshold by its score."""
    slopes: Any
    mean_above: Any
    rest_mean: Any
    rest_sd: Any
    rest: CountTable
    """The standardised sum of the others, over the logarithm of their number."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class CapacityNumbers:
    """Limits of lines with a capacity, in the order of `Structure.limited`."""

    units: Any
    """(year, row, 1)"""
    waiting: Any
    """(row, 1): waiting when the first year starts."""
    staying: Any
    """(row, 1): share of those waiting at a year's end who stay on the list."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Laws:
    """What is drawn; arrays without a year."""

    location: Any
    scale: Any
    logarithmic: Any
    cholesky: Any
    """(index, index): factor of the correlations of Gaussian innovations."""
    copula: StudentTables | None
    """The t copula; None where the copula is Gaussian."""
    values: Any
    """(row, node): tables of the indices that have one."""
    slopes: Any
    atoms: Atoms
    activity_noise: NoiseNumbers
    unit_cost_noise: NoiseNumbers
    case_mix_noise: NoiseNumbers
    thinning: CountTable | None
    """(change, ...): what moves of whole planned units, over the logit of the delivery."""
    unthinned: Any
    """(year, change, 1): planned units beyond whole ones."""
    people: PeopleNumbers | None
    capacity: CapacityNumbers


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
