"""Euler allocation: what each part of a sum adds to the sum's mean, spread and tail.

With X = sum of X_i over parts and x the quantile of X at 1 - q (Tasche 1999; Acerbi and Tasche
2002 where X has an atom):

    mean                     E[X_i]
    standard deviation       cov(X_i, X) / sd(X)
    value at risk            -E[X_i | X = x]
    tail value at risk       -(E[X_i 1(X < x)] + E[X_i | X = x] (1 - q - P(X < x))) / (1 - q)

Parts of each add up to that of X as `riskshare.summarise` has it. ``E[X_i | X = x]`` is
conditional-mean risk sharing (Denuit and Dhaene 2012): the mean over an atom, elsewhere a
straight line fitted to samples around the quantile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from riskshare.statistics import Estimate, ranks

Floats = NDArray[np.float64]

AROUND = 0.25
"""Samples about a quantile that fit its line: this share of the nearer tail on each side."""
FEWEST = 8
"""Of them at least, on each side."""


@dataclass(frozen=True)
class _Quantile:
    """A quantile of the total, and what counts below and around it; (replicate, sample)."""

    tail: float
    value: float
    below: Floats
    """1 below, and at an atom the share of it that makes up the tail."""
    around: Floats
    """1 where the line is fitted, or at the atom."""
    density: float
    """Of the total there; infinite at an atom, whose quantile does not move."""


@dataclass(frozen=True)
class Allocation:
    """Parts of the statistics of one total, each with its standard error: (part) or (level, part).

    The total itself is the sum over parts.
    """

    mean: Estimate
    standard_deviation: Estimate
    value_at_risk: Estimate
    tail_value_at_risk: Estimate


class Total:
    """A total whose statistics are to be split, on samples in replicates of one size.

    Parameters
    ----------
    values
        (replicate, sample), replicates being independent of one another.
    levels
        Confidences of value at risk and tail value at risk.
    """

    def __init__(self, values: Floats, levels: Sequence[float]) -> None:
        self.values = values
        ordered = np.sort(values, axis=None)
        self._at = [_quantile(values, ordered, 1 - level) for level in levels]
        self._gaps = values - values.mean()
        self._variance = float(np.square(self._gaps).sum() / max(values.size - 1, 1))

    def split(self, parts: Floats) -> Allocation:
        """Return the parts of every statistic.

        Parameters
        ----------
        parts
            (part, replicate, sample); they add up to the values.
        """
        shape = (len(self._at), len(parts), self.values.shape[0])
        risks, tails = np.empty(shape), np.empty(shape)
        for level, at in enumerate(self._at):
            risks[level], tails[level] = self._at_risk(parts, at)
        means = parts.mean(-1)
        return Allocation(
            Estimate(means.mean(-1), between(means)),
            self._deviation(parts),
            Estimate(risks.mean(-1), between(risks)),
            Estimate(tails.mean(-1), between(tails)),
        )

    def tails(self, parts: Floats) -> Floats:
        """Return parts of tail value at risk as means over replicates: (level, part, replicate)."""
        return np.stack([self._at_risk(parts, at)[1] for at in self._at])

    def _deviation(self, parts: Floats) -> Estimate:
        """Return cov(X_i, X) / s; influence ((X_i - m_i)(X - m) - c_i) / s - c_i (..) / 2 s^3."""
        count, size = self.values.size, self.values.shape[-1]
        s = sqrt(self._variance)
        if not s > 0:
            nothing = np.zeros(len(parts))
            return Estimate(nothing, nothing)
        centre = parts.mean((-2, -1))
        products = np.einsum("prn,rn->pr", parts, self._gaps)
        products -= centre[:, None] * self._gaps.sum(-1)
        squares = np.square(self._gaps).sum(-1)
        covariance = products.sum(-1) / max(count - 1, 1)
        influence = products / s - covariance[:, None] * squares / (2 * s**3)
        return Estimate(covariance / s, between(influence / size))

    def _at_risk(self, parts: Floats, at: _Quantile) -> tuple[Floats, Floats]:
        """Return parts of value at risk and of tail value at risk, (part, replicate).

        Their means over replicates are the parts; they differ between replicates as influence
        values do: X_i - E[X_i | X = x] in the tail, and for value at risk what is off the line,
        and what the quantile itself moves along it.
        """
        size = self.values.shape[-1]
        inside = at.around.sum()
        gaps = (self.values - at.value) * at.around
        centre = gaps.sum() / inside
        spread = float(np.square(gaps - centre * at.around).sum())
        slope = np.zeros(len(parts))
        if spread > 0:
            slope = np.einsum("prn,rn->p", parts, gaps - centre * at.around) / spread
        middle = np.einsum("prn,rn->p", parts, at.around) / inside
        given = middle - slope * centre  # E[X_i | X = x]
        counts = at.below.sum(-1)
        sums = np.einsum("prn,rn->pr", parts, at.below)
        tail = -(sums - given[:, None] * (counts - at.tail * size)) / (at.tail * size)
        off = np.einsum("prn,rn->pr", parts, at.around)
        off -= given[:, None] * at.around.sum(-1) + slope[:, None] * gaps.sum(-1)
        moved = 0.0 if np.isinf(at.density) else (counts / size - at.tail) / at.density
        risk = -given[:, None] - off * (self.values.size / inside) / size + slope[:, None] * moved
        return risk, tail


def between(replicates: Floats) -> Floats:
    """Return the standard error of the mean over replicates, the last axis."""
    count = replicates.shape[-1]
    if count < 2:
        return np.full(replicates.shape[:-1], np.nan)
    return np.asarray(replicates.std(-1, ddof=1) / sqrt(count))


def jackknife(replicates: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return the means of moments over all replicates but one, for each that is left out.

    Parameters
    ----------
    replicates
        Moments by name, each (..., replicate).

    Returns
    -------
    dict
        (..., replicate left out).
    """
    found = {}
    for name, values in replicates.items():
        count = values.shape[-1]
        found[name] = (values.sum(-1, keepdims=True) - values) / (count - 1)
    return found


def jackknife_error(left_out: Floats) -> Floats:
    """Return the standard error of a statistic from its values without each replicate."""
    count = left_out.shape[-1]
    gaps = left_out - left_out.mean(-1, keepdims=True)
    return np.asarray(np.sqrt((count - 1) / count * np.square(gaps).sum(-1)))


def _quantile(values: Floats, ordered: Floats, tail: float) -> _Quantile:
    count = values.size
    place = int(ranks(count, np.array([tail]))[0])
    value = float(ordered[place])
    below, here = values < value, values == value
    atom = int(here.sum())
    share = (tail * count - float(below.sum())) / atom
    weights = below + np.clip(share, 0, 1) * here
    if atom > 1:
        return _Quantile(tail, value, weights, here.astype(np.float64), np.inf)
    each = max(FEWEST, int(AROUND * min(tail, 1 - tail) * count))
    first, last = max(place - each, 0), min(place + each, count - 1)
    low, high = ordered[first], ordered[last]
    around = ((values >= low) & (values <= high)).astype(np.float64)
    density = (last - first) / count / (high - low) if high > low else np.inf
    return _Quantile(tail, value, weights, around, float(density))
