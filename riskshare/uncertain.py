"""What is uncertain: indices with a law and a process, chance, people, dependence.

The declared part: names and numbers as a person wrote them. `riskshare.system` uses them,
`riskshare.laws` holds the distributions. Meanings: ``docs/model.md``.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from riskshare.laws.marginal import AbstractLaw
from riskshare.parameters import NO_NUMBERS, Declared, Given, Parameter, Reference


@dataclass(frozen=True, kw_only=True)
class AbstractIndex(Declared):
    """A number around a stated centre, drawn once, each year, or as a walk through the years.

    ``sd`` with law ``normal`` is the standard deviation of the index, with ``lognormal`` that of
    its logarithm, whose ``centre`` must be stated: ``mean`` or ``median`` is what equals
    ``value``. An ``interval`` gives the 10 % and 90 % points instead and is the belief itself, so
    that the mean need not be ``value``. ``law`` may also be a law of its own, with its numbers
    (``{ kind = "triangular", ... }``), which then is the whole belief. Every index is floored at
    zero. ``uncertainty`` says what the spread stands for: what happens (``process``), how well the
    law's numbers are known (``parameter``), or how well the start is measured (``baseline``).
    """

    law: Literal["normal", "lognormal"] | AbstractLaw | None = None
    sd: Annotated[Given, Parameter("index", lower=0.0, upper=2.0, by_year=False)] = None
    centre: Literal["mean", "median"] | None = None
    interval: Annotated[
        Given, Parameter("index", axes=("bound",), sequence="bound", by_year=False)
    ] = None
    value: Annotated[Given, Parameter("index", lower=0.0, by_year=False)] = None
    process: Literal["constant", "ar1", "random-walk"] = "constant"
    persistence: Annotated[
        Given, Parameter("correlation", lower=-1.0, upper=1.0, by_year=False)
    ] = None
    uncertainty: Literal["process", "parameter", "baseline"] = "process"

    @property
    def certain(self) -> bool:
        """Whether it has no law and so always equals its value."""
        own = isinstance(self.law, AbstractLaw)
        return self.sd is None and self.interval is None and not own


@dataclass(frozen=True, kw_only=True)
class Score(AbstractIndex):
    """A partner's quality score, from 0 to 1: a value, or a law around one."""


@dataclass(frozen=True, kw_only=True)
class OtherPosition(Declared):
    """The position of the rest of an organisation, outside this case.

    Normal with a mean for each year and a standard deviation. It has its own place among what is
    drawn, ``other[<partner>]``, which correlations may name.
    """

    mean: Annotated[Given, Parameter("money per year")]
    sd: Annotated[Given, Parameter("money per year", lower=0.0, by_year=False)] = 0.0
    process: Literal["constant", "ar1", "random-walk"] = "ar1"
    persistence: Annotated[
        Given, Parameter("correlation", lower=-1.0, upper=1.0, by_year=False)
    ] = 0.0


@dataclass(frozen=True, kw_only=True)
class Rest(AbstractIndex):
    """The rest of an organisation as an index: its logarithm is a standard normal score."""

    @classmethod
    def of(cls, other: OtherPosition) -> "Rest":
        """Return the index of an organisation's other position."""
        if not other.sd:
            return cls()
        persistence = other.persistence if other.process == "ar1" else None
        return cls(
            law="lognormal",
            sd=1.0,
            centre="median",
            process=other.process,
            persistence=persistence,
        )


@dataclass(frozen=True, kw_only=True)
class Noise(Declared):
    """A line's own chance, mean 1: what is left when every driver is known.

    Activity: ``poisson``; ``negative-binomial`` with Var = mu + overdispersion x mu^2; ``gamma`` or
    ``lognormal`` with a coefficient of variation ``cv``; or a law of its own, scaled to mean 1.
    Unit cost and case mix: the same without counts.

    Parameters
    ----------
    zeros
        Probability of nothing at all, whatever the mean; what is not zero has the mean that makes
        up for it (zero-inflated laws).
    factors
        Couple the chance of lines: its normal score is ``sum factors x driver scores`` plus an own
        part that makes the variance one (a factor copula); the marginal law stays as it is.
    dispersion
        Powers of drivers that multiply the coefficient of variation (of a negative binomial, that
        of its mean; a Poisson has none), by at most 30 either way; goes with negative-binomial,
        gamma and lognormal.
    with_activity
        Of unit cost and case mix: correlation of its score with that of the line's activity chance.
    """

    law: Literal["poisson", "negative-binomial", "gamma", "lognormal"] | AbstractLaw
    overdispersion: Annotated[Given, Parameter("squared cv", lower=0.0, by_year=False)] = None
    cv: Annotated[Given, Parameter("cv", lower=0.0, upper=3.0, by_year=False)] = None
    zeros: Annotated[Given, Parameter("share", lower=0.0, upper=0.99, by_year=False)] = 0.0
    factors: Annotated[
        Given, Parameter("correlation", axes=("driver",), by_year=False, fill=0.0)
    ] = NO_NUMBERS
    dispersion: Annotated[Given, Parameter("power", axes=("driver",), by_year=False, fill=0.0)] = (
        NO_NUMBERS
    )
    with_activity: Annotated[
        Given, Parameter("correlation", lower=-1.0, upper=1.0, by_year=False)
    ] = 0.0


@dataclass(frozen=True, kw_only=True)
class People(Declared):
    """The cost of each person of a line, whose activity counts people (frequency and severity).

    The line's activity is the number of people, its unit cost the mean cost of one; what is paid
    for them is the sum of their costs. People above a threshold are drawn one by one, so that
    per-person protection sees them; the total of the others is drawn as one number, from its exact
    law given how many there are.

    Parameters
    ----------
    law
        Cost of one person; its shape counts, its mean becomes the line's unit cost.
    threshold
        Cost above which people are drawn one by one. Unless given, half the lowest attachment or
        truncation point that a term of the case has for the line; and where a line has few people
        (128 places hold them), all of them are.
    """

    law: AbstractLaw
    threshold: Annotated[Given, Parameter("money per person", lower=0.0, by_year=False)] = None


@dataclass(frozen=True, kw_only=True)
class Capacity(Declared):
    """What a line can treat in a year, and the list of those who wait.

    ``activity = min(waiting + demand, units)`` and ``waiting' = (1 - leaving) x (waiting + demand -
    activity)``; demand is activity as it would be without a limit, its chance included.

    Parameters
    ----------
    units
        Most that can be treated in a year.
    waiting
        Waiting when the first year starts.
    leaving
        Share of those still waiting at a year's end who never come.
    """

    units: Annotated[Given, Parameter("units per year", lower=0.0)]
    waiting: Annotated[Given, Parameter("units", lower=0.0, by_year=False)] = 0.0
    leaving: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, by_year=False)] = 0.0


@dataclass(frozen=True, kw_only=True)
class Correlation(Declared):
    """Correlation of two drivers, by what is new in them in a year.

    ``measure`` says of what ``value`` is the correlation: of their Gaussian ``score``, or of
    ranks, as data or experts state it: ``spearman`` (rho) or ``kendall`` (tau).
    """

    between: Annotated[tuple[str, ...], Reference("driver", many=True)]
    value: Annotated[Given, Parameter("correlation", lower=-1.0, upper=1.0, by_year=False)]
    measure: Literal["score", "spearman", "kendall"] = "score"


@dataclass(frozen=True, kw_only=True)
class Dependence(Declared):
    """The copula that joins everything with a law and a process: drivers, members, deliveries.

    With ``student-t`` extremes of a year come together more often the fewer ``degrees_of_freedom``
    there are, also where nothing is correlated; every law stays as it is. The lines' own chance
    stays outside, but for what it shares through factors.
    """

    copula: Literal["gaussian", "student-t"] = "gaussian"
    degrees_of_freedom: Annotated[
        Given, Parameter("degrees of freedom", lower=1.0, upper=1000.0, by_year=False)
    ] = None
