"""What a statement may be made of: statistics, numbers, chances that a clause binds, alignment."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from riskshare.analysis.series import Series
from riskshare.analysis.streaming import count_of
from riskshare.run.sampling import Sampling
from riskshare.statistics import Floats, Replicates, quantile_slopes, ranks

PLAIN = ("mean", "standard_deviation", "probability_of_deficit")
BY_LEVEL = ("quantile", "tail_value_at_risk")
STEPPED = ("quantile", "tail_value_at_risk", "probability_of_deficit")
"""Statistics that see how far a position jumps at a gate, and not only how often it does."""


def tail_of(statistic: str, level: float | None) -> float | None:
    """Return the level of a distribution that a statistic looks at."""
    if level is None or statistic == "quantile":
        return level
    return round(1 - level, 12)


@dataclass(frozen=True)
class Position:
    """A statistic of the position of a partner or group."""

    statistic: str
    partner: str
    year: str
    level: float | None
    reference: bool = False
    """Under the status quo, and not under the contract that is calibrated."""

    @property
    def tail(self) -> float | None:
        """The level of the position that is looked at."""
        return tail_of(self.statistic, self.level)

    @property
    def chance(self) -> bool:
        """Whether it is a probability."""
        return self.statistic == "probability_of_deficit"


@dataclass(frozen=True)
class Outcome:
    """A statistic of anything else."""

    statistic: str
    series: Series
    level: float | None

    @property
    def tail(self) -> float | None:
        """The level that is looked at."""
        return tail_of(self.statistic, self.level)

    @property
    def chance(self) -> bool:
        """It is none."""
        return False


@dataclass(frozen=True)
class Number:
    """A number of the case."""

    path: str
    value: float
    chance: bool = False


@dataclass(frozen=True)
class Binds:
    """The chance that a term pays, or that money moves with a number, as `clauses` has it."""

    kind: str
    """``term`` or ``number``"""
    name: str
    year: int | None
    """Any year where it is None."""
    chance: bool = True


@dataclass(frozen=True)
class Alignment:
    """How far risk sits with influence, as `influence` has it."""

    year: int
    """Its place; the last is all years."""
    chance: bool = False


Figure = Position | Outcome | Number | Binds | Alignment


@dataclass(frozen=True)
class Measured:
    """Figures at one set of numbers."""

    values: Floats
    """(figure)"""
    influence: Floats
    """(figure, part): what each independent part of the run adds to each value's error."""
    spread: Floats
    """(figure): how far what is looked at varies, for want of another unit."""
    grain: Floats
    """(figure): the step in which a value moves as single samples pass from one side of a limit to
    the other; 0 where it moves smoothly."""


def valued(
    figure: Position | Outcome,
    x: Floats,
    sampling: Sampling,
    target: float = 0.0,
    width: float = 0.0,
) -> tuple[float, Floats]:
    """Return a statistic of samples, and the sums of its influence values in each part."""
    if figure.statistic == "probability_of_deficit":
        value, influence = _smooth_chance(x, target, width)
    else:
        value, influence = _statistic(figure, x, sampling)
    return value, by_part(influence, sampling)


def grained(figure: Position | Outcome, x: Floats) -> float:
    """Return how far a statistic moves as one sample passes from far below its level to far above.

    Of a quantile that is the distance between samples about it.
    """
    count = len(x)
    if figure.statistic == "probability_of_deficit":
        return 1 / count
    if figure.statistic not in BY_LEVEL or figure.tail is None:
        return 0.0
    if figure.statistic == "tail_value_at_risk":
        return float(x.std()) / (count * figure.tail)
    ends = np.array([0.9, 1.1]) * min(figure.tail, 1 - figure.tail)
    low, high = np.quantile(x, ends if figure.tail < 0.5 else 1 - ends)
    return float(abs(high - low)) / (count * (ends[1] - ends[0]))


def by_part(influence: Any, sampling: Sampling) -> Floats:
    """Return what each part of a run adds to the error of a mean of influence values."""
    each = np.asarray(influence, np.float64)
    each = each - each.mean()
    parts = count_of(sampling)
    if sampling.sampler == "sobol":
        own = each.reshape(sampling.replicates, -1).sum(1)
        held = np.zeros(parts)
        np.add.at(held, np.arange(len(own)) % parts, own)
    else:
        held = np.array([chunk.sum() for chunk in np.array_split(each, parts)])
    return np.asarray(held / len(each) * np.sqrt(parts / (parts - 1)))


def _smooth_chance(x: Floats, target: float, width: float) -> tuple[float, Floats]:
    """Return the chance below a target, each sample blurred by the kernel of its derivative.

    ``mean of Phi(u) + u phi(u) / 2`` with u = (target - x) / h, the integral of the kernel: a count
    moves in steps, which a search cannot follow. The kernel is of the fourth order: at one in
    twenty of a normal it is off by 2e-6.
    """
    from scipy.special import ndtr

    u = (target - x) / width
    found = ndtr(u) + u * np.exp(-u * u / 2) / (2 * np.sqrt(2 * np.pi))
    return float(found.mean()), np.asarray(found)


def _statistic(figure: Position | Outcome, x: Floats, sampling: Sampling) -> tuple[float, Any]:
    if figure.statistic == "mean":
        return float(x.mean()), x
    if figure.statistic == "standard_deviation":
        gap = x - x.mean()
        spread = float(np.sqrt((gap * gap).mean()))
        return spread, gap * gap / (2 * max(spread, 1e-12))
    assert figure.tail is not None
    ordered, at = np.sort(x), np.array([figure.tail])
    quantile = float(ordered[ranks(len(x), at)][0])
    if figure.statistic == "quantile":
        labels = sampling.replicate()
        replicates = Replicates() if labels is None else Replicates.labelled(labels)
        slope = float(quantile_slopes(x, ordered, at, replicates)[0])
        return quantile, -slope * (x < quantile)
    short = np.minimum(x - quantile, 0) / figure.tail
    return -(quantile + float(short.mean())), -short
