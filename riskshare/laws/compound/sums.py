"""Sums of so many amounts: the standardised quantile over their number and a normal score.

The kernel draws the total of many small claims from their number n and one score:
``n m + sqrt(n) s W(n, score)``, m and s the mean and standard deviation of one amount.
"""

from dataclasses import dataclass
from math import ceil, floor, inf, isfinite, log, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from riskshare.laws.chance import COUNT_NODES, MEAN_NODES, SCORE_LIMIT
from riskshare.laws.compound.frequency import Floats
from riskshare.laws.compound.portfolio import doubled
from riskshare.laws.compound.severity import Layer
from riskshare.laws.marginal import AbstractLaw

_POINTS = 2**17
_FAR = 1e-13
_NEAR = 1e-6
_LARGE = 4096


class SumTable(NamedTuple):
    """The standardised quantile of a sum of n amounts, over the number n and the score.

    Parameters
    ----------
    values
        W = (S_n - n m) / (sqrt(n) s), ``[number node, score node]``, as in `CountTable`.
    slopes
        W at the next score node less W here; zero at the last.
    log_origin, log_step
        Logarithm of the first node's number, and the step to the next.
    """

    values: NDArray[np.float64]
    slopes: NDArray[np.float64]
    log_origin: NDArray[np.float64]
    log_step: NDArray[np.float64]


@dataclass(frozen=True)
class Truncated:
    """An amount given that it is at most `upper`: ``X | X <= upper``.

    Parameters
    ----------
    of
        The law of X.
    upper
        The largest amount; infinite for all of the law.
    """

    of: AbstractLaw
    upper: float

    def __post_init__(self) -> None:
        """Refuse a bound below which the law has next to nothing."""
        if not self._held > 1e-9:
            raise ValueError(
                f"upper limit is {self.upper}; the amount is at most that with probability "
                f"{self._held:.2g}: raise the limit"
            )

    @property
    def _held(self) -> float:
        return float(self.of.distribution(np.asarray(self.upper))) if self.upper < inf else 1.0

    def at(self, score: Floats) -> Floats:
        """Return the quantile at Phi(score), which is X's at P(X <= upper) Phi(score)."""
        if self.upper == inf:
            return self.of.at(score)
        from scipy.special import ndtr, ndtri

        z = np.asarray(score, np.float64)
        above = self.of.survival(np.asarray(self.upper)) + self._held * ndtr(-z)
        inner = np.where(z < 0, ndtri(self._held * ndtr(z)), -ndtri(above))
        return np.minimum(self.of.at(inner), self.upper)

    def survival(self, value: Floats) -> Floats:
        """Return (S(value) - S(upper)) / P(X <= upper)."""
        beyond = self.of.survival(np.asarray(self.upper)) if self.upper < inf else 0.0
        inside = self.of.survival(np.minimum(value, self.upper)) - beyond
        return np.asarray(np.maximum(inside, 0.0) / self._held)

    def distribution(self, value: Floats) -> Floats:
        """Return P(X <= value) / P(X <= upper)."""
        return np.asarray(self.of.distribution(np.minimum(value, self.upper)) / self._held)

    def limited_mean(self, limit: Floats) -> Floats:
        """Return (L(d) - d S(upper)) / P(X <= upper), d the lesser of limit and upper."""
        if self.upper == inf:
            return self.of.limited_mean(limit)
        d = np.minimum(np.asarray(limit, np.float64), self.upper)
        beyond = self.of.survival(np.asarray(self.upper))
        return np.asarray((self.of.limited_mean(d) - d * beyond) / self._held)

    def expectation(self) -> float:
        """Return the mean."""
        if self.upper == inf:
            return self.of.expectation()
        return float(self.limited_mean(np.asarray(self.upper)))

    def standard_deviation(self) -> float:
        """Return the standard deviation."""
        if self.upper == inf:
            return self.of.standard_deviation()
        square = Layer(self.of, limit=self.upper).second_moment(self.upper, 2**16)
        inside = square - self.upper**2 * float(self.of.survival(np.asarray(self.upper)))
        return sqrt(max(inside / self._held - self.expectation() ** 2, 0.0))


def sum_table(
    severity: AbstractLaw, lowest: float, highest: float, upper_limit: float | None = None
) -> SumTable:
    """Return the table of the sum of n independent amounts, n between two bounds.

    Parameters
    ----------
    severity
        Law of one amount, zero or more, of finite variance.
    lowest, highest
        Bounds of n, which need not be whole; the nodes between are even in its logarithm. Below 1
        the law of one amount is held.
    upper_limit
        Amounts are those at most this (the large ones counted elsewhere); None for all.

    Returns
    -------
    SumTable
        Its arrays are read-only.

    Raises
    ------
    ValueError
        If the bounds are not positive and in order, or the variance is infinite.
    """
    if not 0 < lowest <= highest < inf:
        raise ValueError(f"n runs from {lowest} to {highest}; both must be positive, in order")
    first = max(lowest, 1.0)
    step = max(log(max(highest, first) / first), 1e-3) / (MEAN_NODES - 1)
    counts = first * np.exp(step * np.arange(MEAN_NODES))
    scores = np.linspace(-SCORE_LIMIT, SCORE_LIMIT, COUNT_NODES)
    amount = Truncated(severity, inf if upper_limit is None else float(upper_limit))
    values = standard_sum_quantile(amount, counts, scores)
    arrays = values, np.diff(values, axis=-1, append=values[:, -1:]), log(first), step
    return SumTable(*(_read_only(array) for array in arrays))


def standard_sum_quantile(
    severity: Truncated | AbstractLaw, counts: Floats, scores: Floats
) -> Floats:
    """Return W(n, z): the quantile at Phi(z) of (S_n - n m) / (sqrt(n) s).

    For whole n the law of S_n is the n-th power of the transform of one amount, rounded to a grid
    of 2^17 nodes that spans it, and W is taken in units of the rounded amount's own standard
    deviation. Between whole numbers W is linear in log n. W(1, z) is the law's own quantile.

    Parameters
    ----------
    severity
        Law of one amount, zero or more.
    counts
        n, 1 or more (below, 1 is held), ``[count]``.
    scores
        z within `SCORE_LIMIT`, ascending, ``[score]``.

    Returns
    -------
    ndarray
        ``[count, score]``.
    """
    spread = severity.standard_deviation()
    if not isfinite(spread):
        raise ValueError("the amount has an infinite variance: give an upper limit")
    asked = np.maximum(np.asarray(counts, np.float64), 1.0)
    amount = _Amount(severity, ceil(asked.max()))
    made: dict[int, Floats] = {}
    rows = []
    for count in asked:
        below, above = floor(count + 1e-9), ceil(count - 1e-9)
        for n in {below, above} - set(made):
            made[n] = amount.quantile(n, scores)
        part = 0.0 if above <= below else log(count / below) / log(above / below)
        rows.append(made[below] + part * (made[above] - made[below]))
    return np.stack(rows)


class _Grid(NamedTuple):
    """One amount's probabilities at 0, step, ...; those of amounts above `top` may be left out."""

    masses: Floats
    step: float
    top: float


class _Amount:
    """One amount on a wide grid and, where its tail is long, on a fine one."""

    def __init__(self, severity: Truncated | AbstractLaw, most: int) -> None:
        self._law, self._layer = severity, Layer(severity)
        self.mean, self.spread = severity.expectation(), severity.standard_deviation()
        self._expansion: tuple[Floats, Floats] | None = None
        self._wide, self._fine = (self._grid(level / most) for level in (_FAR, _NEAR))

    def _grid(self, beyond: float) -> _Grid:
        """Return a grid up to an amount exceeded with at most this probability."""
        top = self.mean + self.spread
        while float(self._layer.survival(np.asarray(top))) > beyond:
            top *= 1.25
        step = top / _POINTS
        return _Grid(self._layer.masses(step, _POINTS).preserving, step, top)

    def quantile(self, n: int, scores: Floats) -> Floats:
        """Return the standardised quantile of the sum of n."""
        if self.spread == 0:
            return np.zeros_like(scores)
        if n == 1:
            return np.asarray((self._law.at(scores) - self.mean) / self.spread)
        if n > _LARGE:
            return self._large(n, scores)
        low, high = self._window(n)
        far, values = _quantiles(self._wide, n, low, high + self._wide.top)
        quantile = np.interp(scores, far, values)
        # On the fine grid, twice as long as is read so that what wraps comes to nothing.
        length = 2 * (high - low + self._fine.top)
        if 4 * length < high - low + self._wide.top:
            near, values = _quantiles(self._fine, n, low, low + length, self.mean, self.spread)
            inside = scores <= near[-1]
            quantile[inside] = np.interp(scores[inside], near, values)
        # The grids may differ by a fraction of the wide one's step where they meet.
        return np.maximum.accumulate(quantile)

    def _large(self, n: int, scores: Floats) -> Floats:
        """Return z + a / sqrt(n) + b / n, a and b from two smaller numbers (Cornish and Fisher).

        The n-th power of a transform multiplies its rounding by n, which spoils far tails in time.
        """
        if not self._expansion:
            few, many = (self.quantile(k, scores) - scores for k in (_LARGE // 4, _LARGE))
            first = sqrt(_LARGE) * (2 * many - few / 2)
            self._expansion = first, _LARGE * many - sqrt(_LARGE) * first
        first, second = self._expansion
        return np.maximum.accumulate(scores + first / sqrt(n) + second / n)

    def _window(self, n: int) -> tuple[float, float]:
        """Return bounds outside which the sum hardly lies (1e-12), but for one large amount.

        Below, ``P(S <= n m - t) <= exp(-t^2 / (2 n E[X^2]))`` for amounts of zero or more
        (Maurer 2003). Above, nine standard deviations.
        """
        low = n * self.mean - 7.5 * sqrt(n * (self.mean**2 + self.spread**2))
        return max(low, 0.0), n * self.mean + 9 * sqrt(n) * self.spread


def _quantiles(
    grid: _Grid,
    n: int,
    low: float,
    high: float,
    mean: float | None = None,
    spread: float | None = None,
) -> tuple[Floats, Floats]:
    """Return scores and standardised values of the sum of n at nodes from `low` to `high`.

    With a mean and a deviation of one amount given, amounts above the grid's top are left out: the
    law is right up to `low` and that much, and ends there. Without, they are the rounded amount's
    own, which takes out most of what rounding does.
    """
    masses, step = grid.masses, grid.step
    while step * _POINTS < high - low:
        masses, step = doubled(masses), 2 * step
    nodes = _POINTS
    if mean is None or spread is None:
        place = np.arange(float(len(masses)))
        steps = float(masses @ place)
        deviation = sqrt(float(masses @ (place - steps) ** 2))
    else:
        masses = masses.copy()
        masses[int(grid.top / step) :] = 0.0
        steps, deviation = mean / step, spread / step
        nodes = int(grid.top / step)
    first = floor(low / step)
    probabilities = _power(masses, n, first)[:nodes]
    place = first + np.arange(float(len(probabilities)))
    values = np.asarray((place - n * steps) / (sqrt(n) * deviation), np.float64)
    reached, kept = _scores(probabilities, 0.0 if mean is None else 1 - probabilities.sum())
    return reached, values[kept]


def _power(masses: Floats, n: int, first: int) -> Floats:
    """Return the sum's probabilities at `_POINTS` nodes from `first` on, counted round.

    The amount is centred first: its transform's phase is small where the transform is not, and its
    n-th power keeps its digits.
    """
    centre = round(float(masses @ np.arange(float(len(masses)))))
    turn = np.exp(2j * np.pi * centre / _POINTS * np.arange(_POINTS // 2 + 1))
    circle = np.zeros(_POINTS)
    circle[: len(masses)] = masses[:_POINTS]
    circle[0] += masses[_POINTS:].sum()
    around = np.fft.irfft((np.fft.rfft(circle) * turn) ** n, _POINTS)
    # Node i of the sum stands at i - n centre, counted round.
    return np.maximum(np.roll(around, n * centre - first), 0.0)


def _scores(probabilities: Floats, beyond: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the normal scores of the nodes with half of each node's mass below it.

    Nodes where the distribution does not rise are left out. Above the median the probability
    above is inverted, so that both tails keep their digits.
    """
    from scipy.special import ndtri

    below = np.cumsum(probabilities) - probabilities / 2
    above = beyond + np.cumsum(probabilities[::-1])[::-1] - probabilities / 2
    kept = (probabilities > 0) & (np.minimum(below, above) > 1e-14)
    below, above = below[kept], above[kept]
    scores = np.where(below < 0.5, ndtri(np.minimum(below, 0.5)), -ndtri(np.minimum(above, 0.5)))
    return np.maximum.accumulate(scores), kept


def _read_only(values: Floats | float) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    array.flags.writeable = False
    return array
