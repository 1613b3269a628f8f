"""Driver indices: from the law that a case states to the map the kernel applies.

Every index is a monotone map of a standard normal score z,

    x = location + scale z;    index = exp(x) if logarithmic, else max(x, 0),

so a law enters the program as three numbers and may change without recompiling. A law of another
kind is a table on an even grid of the score (`LawMap`, `riskshare.laws.tables`).
"""

from dataclasses import dataclass
from math import exp, expm1, isfinite, log, sqrt

import numpy as np

from riskshare.laws.marginal import AbstractLaw
from riskshare.laws.marginal.base import Floats
from riskshare.laws.moments import mean_of_product
from riskshare.laws.normal import cumulative, density, inverse

Z90 = 1.2815515655446004
"""The standard normal's 90 % quantile: half the width of a 10-90 interval of scores."""

_REACH = 37.0
"""Scores beyond have a probability of less than 1e-298."""


@dataclass(frozen=True)
class IndexMap:
    """A monotone map of a standard normal score to an index that is never negative.

    Parameters
    ----------
    location, scale
        Mean and standard deviation of x; `scale` is not negative.
    logarithmic
        Whether the index is exp(x) (lognormal) or max(x, 0) (normal, floored at zero).
    """

    location: float
    scale: float
    logarithmic: bool

    def at(self, score: Floats) -> Floats:
        """Return the index at standard normal scores."""
        x = self.location + self.scale * score
        return np.asarray(np.exp(x) if self.logarithmic else np.maximum(x, 0.0))

    def mean(self) -> float:
        """Return the index's mean, the floor at zero included.

        Lognormal: exp(location + scale^2 / 2). Normal, with a = location / scale:
        location Phi(a) + scale phi(a).
        """
        if self.logarithmic:
            return exp(self.location + self.scale**2 / 2)
        if self.scale == 0:
            return max(self.location, 0.0)
        a = self.location / self.scale
        return self.location * cumulative(a) + self.scale * density(a)

    def standard_deviation(self) -> float:
        """Return the index's standard deviation, the floor at zero included.

        Lognormal: mean sqrt(exp(scale^2) - 1). Normal: from moments about `location`, so that a
        small spread does not cancel.
        """
        if self.logarithmic:
            return self.mean() * sqrt(expm1(self.scale**2))
        if self.scale == 0:
            return 0.0
        a = self.location / self.scale
        if a < 0:
            raised = (self.location**2 + self.scale**2) * cumulative(a)
            square = raised + self.location * self.scale * density(a)
            return sqrt(max(square - self.mean() ** 2, 0.0))
        lift = self.scale * density(a) - self.location * cumulative(-a)
        square = self.scale**2 * (cumulative(a) - a * density(a))
        return sqrt(max(square + self.location**2 * cumulative(-a) - lift**2, 0.0))

    def power_mean(self, power: float) -> float:
        """Return E[index^power].

        Raises
        ------
        ValueError
            If it is infinite.
        """
        place, scale, logs = [self.location], [self.scale], [self.logarithmic]
        return mean_of_product(place, scale, logs, [power], [[1.0]])

    def quantile(self, level: float) -> float:
        """Return the index's quantile at a level strictly between 0 and 1.

        Raises
        ------
        ValueError
            If `level` is not strictly between 0 and 1.

        Examples
        --------
        >>> belief = index_map(law="normal", interval=(0.9, 1.2))
        >>> round(belief.quantile(0.1), 12), round(belief.quantile(0.9), 12)
        (0.9, 1.2)
        """
        if not 0 < level < 1:
            raise ValueError(f"level is {level}; it must lie strictly between 0 and 1")
        x = self.location + self.scale * inverse(level)
        return exp(x) if self.logarithmic else max(x, 0.0)


@dataclass(frozen=True)
class LawMap:
    """The map of an index with a law of its own, floored at zero."""

    law: AbstractLaw

    def at(self, score: Floats) -> Floats:
        """Return the index at standard normal scores."""
        return np.asarray(np.maximum(self.law.at(np.asarray(score, np.float64)), 0.0))

    def mean(self) -> float:
        """Return the index's mean, the floor at zero included: E[X] - E[min(X, 0)]."""
        return self.law.expectation() - float(self.law.limited_mean(np.zeros(())))

    def standard_deviation(self) -> float:
        """Return the index's standard deviation, the floor at zero included."""
        square = self.power_mean(2.0)
        return sqrt(max(square - self.mean() ** 2, 0.0))

    def quantile(self, level: float) -> float:
        """Return the index's quantile at a level strictly between 0 and 1."""
        if not 0 < level < 1:
            raise ValueError(f"level is {level}; it must lie strictly between 0 and 1")
        return float(self.at(np.array(inverse(level))))

    def power_mean(self, power: float) -> float:
        """Return E[index^power] by Gauss-Legendre over the score, split where the law jumps.

        Relative error below 1e-9 for smooth laws, 1e-7 where the density has a kink.

        Raises
        ------
        ValueError
            If the mean is infinite.
        """
        if power == 1:
            return self.mean()
        edges = np.arange(-_REACH, _REACH + 0.5)
        edges = np.sort(np.append(edges, [j for j in self.law.jumps if -_REACH < j < _REACH]))
        nodes, weights = np.polynomial.legendre.leggauss(24)
        middle, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
        score = middle[:, None] + half[:, None] * nodes
        mass = weights * half[:, None] * np.exp(-(score**2) / 2) / np.sqrt(2 * np.pi)
        with np.errstate(all="ignore"):
            parts = np.sum(mass * self.at(score) ** power, axis=1)
        total = float(parts.sum())
        if not isfinite(total) or max(parts[0], parts[-1]) > 1e-6 * total:
            raise ValueError(
                "the mean is infinite: the law's tail is too heavy for the power that its loading "
                "asks for; give a lighter tail or a smaller loading"
            )
        return total


def index_map(
    *,
    law: str,
    value: float = 1.0,
    sd: float = 0.0,
    centre: str | None = None,
    interval: tuple[float, float] | None = None,
) -> IndexMap:
    """Return the map of an index whose law is given by its spread or by a 10-90 interval.

    Parameters
    ----------
    law
        ``"normal"`` or ``"lognormal"``.
    value
        Centre of the law: for a normal its mean before the floor, for a lognormal what `centre`
        says. Unused with an interval.
    sd
        Normal: standard deviation of the index before the floor. Lognormal: standard deviation
        of the index's logarithm. Unused with an interval.
    centre
        Lognormal only: whether `value` is the ``"mean"`` or the ``"median"``. A median of 1 with
        an `sd` of 0.10 raises the mean by 0.5 %, so one of the two must be said.
    interval
        The 10 % and 90 % quantiles, which are then hit exactly; the mean follows from them.

    Returns
    -------
    IndexMap
        The map from a standard normal score.

    Raises
    ------
    ValueError
        If the law is unknown, a lognormal states no centre, or a number is out of bounds.

    Examples
    --------
    >>> index_map(law="lognormal", sd=0.1, centre="median").mean()
    1.005012520859401
    """
    if law not in ("normal", "lognormal"):
        raise ValueError(f"law is {law!r}; accepted are 'normal' and 'lognormal'")
    logarithmic = law == "lognormal"
    if interval is not None:
        return _from_interval(*interval, logarithmic=logarithmic)
    if not sd >= 0:
        raise ValueError(f"sd is {sd}; it must be zero or more")
    if not logarithmic:
        if not value >= 0:
            raise ValueError(f"value is {value}; an index must be zero or more")
        return IndexMap(float(value), float(sd), False)
    if not value > 0:
        raise ValueError(f"value is {value}; a lognormal index must be positive")
    if centre not in ("mean", "median"):
        raise ValueError(
            f"centre is {centre!r}; a lognormal law must say whether value is its 'mean' or "
            "its 'median'"
        )
    return IndexMap(log(value) - (sd**2 / 2 if centre == "mean" else 0.0), float(sd), True)


def _from_interval(low: float, high: float, *, logarithmic: bool) -> IndexMap:
    if not low <= high:
        raise ValueError(f"interval is ({low}, {high}); its 10 % point must not exceed its 90 %")
    if not (low > 0 if logarithmic else low >= 0):
        bound = "positive for a lognormal" if logarithmic else "zero or more"
        raise ValueError(f"interval starts at {low}; the 10 % point must be {bound}")
    if logarithmic:
        low, high = log(low), log(high)
    return IndexMap((low + high) / 2, (high - low) / (2 * Z90), logarithmic)
