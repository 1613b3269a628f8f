"""Data for choosing where a tail begins: Hill estimates and mean excesses, no plots."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskshare.errors import ArgumentError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class HillEstimates:
    """The index of a Pareto tail by how many of the largest amounts are used.

    Parameters
    ----------
    largest
        k, the number of amounts used: 1, 2, ...
    threshold
        The amount above which they lie, the (k + 1)-th largest.
    index, standard_error
        ``k / sum of ln(x / threshold)``, and index / sqrt(k). A tail begins where the index
        settles as k falls.
    """

    largest: Floats
    threshold: Floats
    index: Floats
    standard_error: Floats


@dataclass(frozen=True)
class MeanExcess:
    """E[X - u | X > u] by threshold u: a straight line where a generalised Pareto holds.

    Its slope is ``shape / (1 - shape)``: flat for an exponential tail, rising for a heavy one.

    Parameters
    ----------
    threshold
        u.
    exceedances
        How many amounts lie above.
    mean_excess, standard_error
        Their mean above u, and its standard error.
    """

    threshold: Floats
    exceedances: Floats
    mean_excess: Floats
    standard_error: Floats


def hill(amounts: ArrayLike, largest: int | None = None) -> HillEstimates:
    """Return Hill's estimates (1975, Ann. Statist. 3, 1163) of the tail's index.

    Parameters
    ----------
    amounts
        Positive, complete (neither truncated nor censored above the thresholds).
    largest
        Highest k; a fifth of the amounts by default.

    Examples
    --------
    >>> import numpy as np
    >>> amounts = 100.0 * np.random.default_rng(1).uniform(size=2000) ** (-1 / 1.5)
    >>> bool(abs(hill(amounts).index[-1] - 1.5) < 0.3)
    True
    """
    values = _falling(amounts)
    limit = max(values.size // 5, 2) if largest is None else int(largest)
    if not 1 <= limit < values.size:
        raise ArgumentError(
            f"largest: {limit}; give 1 to {values.size - 1}, fewer than the {values.size} amounts"
        )
    logs = np.log(values[: limit + 1])
    k = np.arange(1.0, limit + 1)
    total = np.cumsum(logs[:-1]) - k * logs[1:]
    with np.errstate(divide="ignore"):
        index = k / total
    return HillEstimates(k, values[1 : limit + 1], index, index / np.sqrt(k))


def mean_excess(amounts: ArrayLike, thresholds: ArrayLike | None = None) -> MeanExcess:
    """Return the mean excess over thresholds.

    Parameters
    ----------
    amounts
        Positive and complete.
    thresholds
        By default the amounts at even shares from the median to the tenth largest.
    """
    values = _falling(amounts)
    if thresholds is None:
        first, last = values.size // 2, min(10, values.size // 2)
        at = values[np.unique(np.linspace(first, last, 40).astype(int))[::-1]]
    else:
        at = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    above = np.array([np.sum(values > u) for u in at])
    if (above < 2).any():
        u = at[above < 2][0]
        raise ArgumentError(
            f"thresholds: {u:g} has fewer than 2 amounts above it; give a lower one"
        )
    means = np.array([np.mean(values[values > u] - u) for u in at])
    spread = np.array([np.std(values[values > u], ddof=1) for u in at])
    return MeanExcess(at, above.astype(np.float64), means, spread / np.sqrt(above))


def _falling(amounts: ArrayLike) -> Floats:
    values = np.asarray(amounts, dtype=np.float64)
    if values.ndim != 1 or values.size < 5:
        raise ArgumentError(f"amounts: shape {values.shape}; give a sequence of at least 5 amounts")
    wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if wrong.size:
        raise ArgumentError(
            f"amounts: {values[wrong[0]]:g} in place {wrong[0]}; give positive finite amounts"
        )
    return np.sort(values)[::-1]
