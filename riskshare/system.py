"""The declared world of a case: years, partners, members, lines, changes, drivers and prices.

Everything here is what a person wrote: names and given values, no arrays. `riskshare.checks` says
whether it makes sense, `riskshare.bind` turns it into arrays. Meanings: ``docs/model.md``.
"""

import datetime
import graphlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from riskshare.names import PartnerKind
from riskshare.parameters import (
    NO_NUMBERS,
    Declared,
    Given,
    Items,
    Labels,
    Parameter,
    Reference,
    declaration_of,
    expand,
)
from riskshare.uncertain import AbstractIndex as AbstractIndex
from riskshare.uncertain import Capacity as Capacity
from riskshare.uncertain import Correlation as Correlation
from riskshare.uncertain import Dependence as Dependence
from riskshare.uncertain import Noise as Noise
from riskshare.uncertain import OtherPosition as OtherPosition
from riskshare.uncertain import People as People
from riskshare.uncertain import Rest as Rest
from riskshare.uncertain import Score as Score

_SHARE_OF_ACCOUNT = Parameter(
    "share", axes=("partner",), fill=0.0, lower=0.0, upper=1.0, sums_to_one="partner"
)


@dataclass(frozen=True, kw_only=True)
class Year(Declared):
    """One contract year, which may be a part-year.

    ``start`` and ``end`` are its first and last day. Its `fraction` of a year is its number of
    whole calendar months over 12, plus remaining days over the days of a year.
    """

    label: str
    start: datetime.date
    end: datetime.date

    @property
    def days(self) -> int:
        """Days from start to end, both included."""
        return (self.end - self.start).days + 1

    @property
    def fraction(self) -> float:
        """Length in years: 0.5 for October to March, 1 for April to March."""
        after = self.end + datetime.timedelta(days=1)
        months = (after.year - self.start.year) * 12 + after.month - self.start.month
        return months / 12 + (after.day - self.start.day) / 365.25


@dataclass(frozen=True, kw_only=True)
class Partner(Declared):
    """An organisation that bears a result, a pool account, or `external`.

    Parameters
    ----------
    target
        The position it must reach in each year (its control total); a deficit is a position below.
    offset
        What partners of the system agreed to move between their targets; sums to zero over them.
    duty
        Lowest total position, rest of the organisation included, that its statutory duty allows.
    turnover
        Puts results in proportion; levies are a share of it.
    opening_reserve
        What it has put by when the first year starts.
    other_position
        The rest of the organisation, always reported apart.
    quality
        Its quality score, where a term asks for one.
    opening_balance, shortfall, release
        Of pool accounts: the balance they start with, who funds a shortfall, who is paid what is
        left at the end of the last year.
    prorate
        Of pool accounts: claims are scaled to what there is; what is unpaid is carried
        (``carry``, with first call on later years) or lapses (``lapse``).
    uncommitted
        Of pool accounts: money for schemes that are cut, by who holds it, before a shortfall is
        funded.
    """

    name: str
    kind: PartnerKind
    title: str = ""
    groups: tuple[str, ...] = ()
    target: Annotated[Given, Parameter("money per year")] = 0.0
    offset: Annotated[Given, Parameter("money per year")] = 0.0
    duty: Annotated[Given, Parameter("money per year")] = None
    turnover: Annotated[Given, Parameter("money per year", lower=0.0)] = None
    opening_reserve: Annotated[Given, Parameter("money", by_year=False)] = None
    other_position: OtherPosition | None = None
    quality: Score | None = None
    opening_balance: Annotated[Given, Parameter("money", by_year=False)] = None
    shortfall: Annotated[Given, _SHARE_OF_ACCOUNT] = None
    prorate: Literal["carry", "lapse"] | None = None
    uncommitted: Annotated[
        Given, Parameter("money per year", axes=("partner",), fill=0.0, lower=0.0)
    ] = None
    release: Annotated[Given, _SHARE_OF_ACCOUNT] = None


_INFLUENCE = Parameter(
    "share of control", axes=("partner",), fill=0.0, by_year=False, lower=0.0, upper=1.0
)


@dataclass(frozen=True, kw_only=True)
class Population(AbstractIndex):
    """Members: a count for each year, its uncertainty, and a need weight.

    ``reference`` is the count at which the lines' baselines were measured (default: the first
    year's). Lines that name it as ``exposure`` move in proportion to count / reference.
    """

    name: str
    count: Annotated[Given, Parameter("members", lower=0.0)]
    reference: Annotated[Given, Parameter("members", lower=0.0, by_year=False)] = None
    need: Annotated[Given, Parameter("index", lower=0.0)] = 1.0
    influence: Annotated[Given, _INFLUENCE] = NO_NUMBERS


@dataclass(frozen=True, kw_only=True)
class Driver(AbstractIndex):
    """A named, measurable cause of deviation that lines share; 1 is plan.

    ``acts_on`` says what it multiplies: the activity, case mix or unit cost of lines, raised to
    each line's loading, or the amount of a ``funding`` term that names it. A driver that acts on
    ``chance`` multiplies nothing: it couples the noise of the lines that name it as a factor; one
    that acts on ``dispersion`` spreads the noise of the lines that name it there.
    """

    name: str
    acts_on: Literal["activity", "case_mix", "unit_cost", "funding", "chance", "dispersion"]
    influence: Annotated[Given, _INFLUENCE] = NO_NUMBERS


@dataclass(frozen=True, kw_only=True)
class Delivery(AbstractIndex):
    """How much of a change happens: 1 as planned, 0 nothing (the activity comes back)."""

    influence: Annotated[Given, _INFLUENCE] = NO_NUMBERS


@dataclass(frozen=True, kw_only=True)
class Delay(AbstractIndex):
    """How late a change starts, in years; 0 is on time."""


@dataclass(frozen=True, kw_only=True)
class Targeting(Declared):
    """Size of a change that works on people picked by risk (care for the top few per cent).

    ``size_t = activity_share x effect x (1 - regression) x sum over v <= t of (1 - decay)^(t - v) x
    reached_v``. Of the people who could be picked, ``reach`` are picked afresh in each year v; with
    c_v those picked so far, ``reached_v = reach_v``, or with a saturation s ``s / ln 2 x
    (2^(-c_(v-1) / s) - 2^(-c_v / s))``: the gain of one more has halved where s are picked.

    Parameters
    ----------
    activity_share
        Their share of the line's baseline.
    reach
        Share of them newly picked in each year.
    effect
        Fall of a picked person's activity in the first year.
    decay
        Share of the effect that is lost in each further year.
    saturation
        Share picked at which the gain of one more has halved.
    regression
        Part of the fall that would have come by itself (regression to the mean): no effect.
    """

    activity_share: Annotated[
        Given, Parameter("share", lower=0.0, upper=1.0, by_year=False, base="baseline")
    ]
    reach: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, base="people picked")]
    effect: Annotated[
        Given, Parameter("share", lower=0.0, upper=1.0, by_year=False, base="their activity")
    ]
    decay: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, by_year=False)] = 0.0
    saturation: Annotated[Given, Parameter("share", lower=0.01, upper=10.0, by_year=False)] = None
    regression: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, by_year=False)] = 0.0

    def sizes(self, labels: Labels) -> NDArray[np.float64]:
        """Return the size of the change by year, as a share of baseline."""
        reach = expand(self.reach, declaration_of(Targeting, "reach"), labels)
        reached = reach
        if self.saturation is not None:
            halving = self.saturation / np.log(2)
            left = halving * 2 ** (-np.cumsum(reach) / self.saturation)
            reached = -np.diff(left, prepend=halving)
        age = np.arange(len(reach))[:, None] - np.arange(len(reach))
        kept = np.where(age >= 0, (1.0 - self.decay) ** np.maximum(age, 0), 0.0)
        lasting = self.activity_share * self.effect * (1 - self.regression)
        return np.asarray(lasting * kept @ reached, np.float64)


@dataclass(frozen=True, kw_only=True)
class Change(Declared):
    """A planned transformation: moves activity from one line to another, or away.

    ``size`` is the activity moved, as a share of the source line's baseline; a destination
    receives ``substitution`` units for each unit that leaves. ``running_cost`` is borne by the
    owner. With ``thinning`` what moves is a binomial count around the delivery: each of the planned
    units moves or stays, apart from the others. Each saving has one owner; ``claims`` are the
    savings that partners' own plans book against it (QIPP, cost improvement), which are compared
    with what is really released. A change that is not ``recurrent`` is left out of the underlying
    position.
    """

    name: str
    owner: Annotated[str, Reference("partner")]
    source: Annotated[str, Reference("line")]
    size: Annotated[Given, Parameter("share of baseline", lower=0.0, upper=1.0)] = None
    targeting: Targeting | None = None
    destination: Annotated[str | None, Reference("line")] = None
    substitution: Annotated[Given, Parameter("units per unit", lower=0.0)] = 1.0
    delivery: Delivery = Delivery()
    delay: Delay | None = None
    thinning: bool = False
    running_cost: Annotated[Given, Parameter("money per year", lower=0.0)] = 0.0
    claims: Annotated[
        Given, Parameter("money per year", axes=("partner",), fill=0.0, lower=0.0)
    ] = NO_NUMBERS
    recurrent: bool = True

    def sizes(self, labels: Labels) -> NDArray[np.float64]:
        """Return its planned size by year, as a share of the source's baseline."""
        if self.targeting is not None:
            return self.targeting.sizes(labels)
        return expand(self.size, declaration_of(Change, "size"), labels)


_AGED = Parameter(
    "share released", sequence="age", by_year=False, lower=0.0, upper=1.0, kinked=True
)


@dataclass(frozen=True, kw_only=True)
class Released(Declared):
    """Share of a cost part that is gone by age: first entry in the year of the reduction.

    The last entry holds for good.
    """

    semi_fixed: Annotated[Given, _AGED] = 0.0
    fixed: Annotated[Given, _AGED] = 0.0


@dataclass(frozen=True, kw_only=True)
class Step(Declared):
    """The unit in which semi-fixed cost moves: a ward of beds, or a block of activity.

    With ``unit = "beds"``, beds needed = activity x length_of_stay / (days x occupancy); with
    ``unit = "activity"``, activity a year. ``cost`` is the cost of one step a year; without it,
    semi-fixed cost is spread over the steps installed at baseline.
    """

    size: Annotated[Given, Parameter("beds or units", lower=0.0, by_year=False)]
    unit: Literal["beds", "activity"]
    length_of_stay: Annotated[Given, Parameter("days", lower=0.0, by_year=False)] = None
    occupancy: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, by_year=False)] = None
    cost: Annotated[Given, Parameter("money per step and year", lower=0.0, by_year=False)] = None


@dataclass(frozen=True, kw_only=True)
class CostBehaviour(Declared):
    """How the cost of a line follows activity: shares of baseline cost, and time to exit.

    ``exit_basis`` says when cost released by a reduction beyond the delivered changes starts its
    clock: ``planned`` never, ``next_year`` a year later, ``realised`` at once.
    """

    variable: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, by_year=False)]
    semi_fixed: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, by_year=False)] = None
    fixed: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, by_year=False)] = None
    released: Released = Released()
    exit_basis: Literal["planned", "next_year", "realised"] = "next_year"
    step: Step | None = None


@dataclass(frozen=True, kw_only=True)
class Line(Declared):
    """One service line: activity of one kind, delivered by one partner for one payer.

    ``baseline`` is the activity a year before any change, at which ``unit_cost`` was measured; a
    new service has none and gives ``expected``, to which changes may bring more. ``plan``
    overrides what the contract agreed. ``growth`` is the rate of growth of activity into each
    year. ``tags`` are free words.
    """

    name: str
    deliverer: Annotated[str, Reference("partner")]
    payer: Annotated[str, Reference("partner")]
    unit_cost: Annotated[Given, Parameter("money per unit", lower=0.0, by_year=False)]
    price: Annotated[Given, Parameter("money per unit", lower=0.0)]
    unit: str = "unit"
    title: str = ""
    tags: tuple[str, ...] = ()
    baseline: Annotated[Given, Parameter("units per year", lower=0.0, by_year=False)] = None
    expected: Annotated[Given, Parameter("units per year", lower=0.0)] = None
    plan: Annotated[Given, Parameter("units per year", lower=0.0)] = None
    growth: Annotated[Given, Parameter("rate per year", lower=-1.0, upper=1.0)] = 0.0
    exposure: Annotated[str | None, Reference("population")] = None
    price_series: Annotated[
        Given, Parameter("weight", axes=("series",), by_year=False, fill=0.0)
    ] = None
    cost_series: Annotated[
        Given, Parameter("weight", axes=("series",), by_year=False, fill=0.0)
    ] = None
    cost: CostBehaviour = CostBehaviour(variable=1.0)
    loadings: Annotated[Given, Parameter("power", axes=("driver",), by_year=False, fill=0.0)] = (
        NO_NUMBERS
    )
    noise: Noise | None = None
    unit_cost_noise: Noise | None = None
    case_mix_noise: Noise | None = None
    people: People | None = None
    capacity: Capacity | None = None


@dataclass(frozen=True, kw_only=True)
class Inflation(Declared):
    """One series of planned price changes: the rate into each year after the price base."""

    name: str
    rate: Annotated[Given, Parameter("rate per year", lower=-1.0, upper=1.0)]


def closing_order(partners: Iterable[Partner]) -> list[Partner]:
    """Return pool accounts so that each closes after all that draw on it or release to it.

    Raises
    ------
    graphlib.CycleError
        If accounts fund one another in a circle.
    """
    pools = {partner.name: partner for partner in partners if partner.kind == "pool"}
    feeders: dict[str, list[str]] = {name: [] for name in pools}
    for name, pool in pools.items():
        for key in (pool.shortfall, pool.release):
            if isinstance(key, Mapping):
                for other, share in key.items():
                    if other in pools and other != name and share:
                        feeders[other].append(name)
    return [pools[name] for name in graphlib.TopologicalSorter(feeders).static_order()]


SYSTEM_FIELDS: dict[str, type[Declared]] = {
    "partners": Partner,
    "members": Population,
    "drivers": Driver,
    "lines": Line,
    "changes": Change,
    "inflation": Inflation,
}
"""Sections of a case file that hold named items, and what they hold."""

Partners = Annotated[tuple[Partner, ...], Items("partners")]
Members = Annotated[tuple[Population, ...], Items("members")]
Drivers = Annotated[tuple[Driver, ...], Items("drivers")]
Lines = Annotated[tuple[Line, ...], Items("lines")]
Changes = Annotated[tuple[Change, ...], Items("changes")]
Series = Annotated[tuple[Inflation, ...], Items("inflation")]
