"""Exact means of products of driver indices, which best estimates of activity are built from.

E[prod f_i^p_i] with f_i = exp(x_i) or max(x_i, 0), x_i = location_i + scale_i z_i, z ~ N(0, C).
Lognormal indices integrate in closed form and, by tilting the measure (Girsanov), move the
location of each floored normal by the covariance with sum p_i x_i. What is left are floored
normals: independent blocks factorise, and each is integrated from the kink at zero upwards.
"""

from functools import lru_cache
from math import exp, prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_REACH = 9.5
_OUTER, _INNER = 160, 64
_NESTED = 4
_HERMITE = {5: 8, 6: 6, 7: 5, 8: 4}
_LATTICE, _SHIFTS = 1 << 14, 8


def mean_of_product(
    location: ArrayLike,
    scale: ArrayLike,
    logarithmic: ArrayLike,
    power: ArrayLike,
    correlation: ArrayLike,
) -> float:
    """Return E[prod_i f_i^p_i] of correlated lognormal and floored normal indices.

    Relative error: rounding for lognormals and for one floored normal in a correlated block;
    below 1e-9 for two, 1e-7 for three and 1e-6 for four (1e-4 where a correlation nears 1 or -1
    within 0.001). Blocks of five to eight with the floor out of reach (location above 5 scales
    each) by Gauss-Hermite, below 1e-7; other large blocks by a fixed lattice rule, 1e-5 with
    small spreads and up to 3e-3 with scales of half the location.

    Parameters
    ----------
    location, scale, logarithmic
        The maps of the indices, ``[index]`` each (`riskshare.laws.indices.IndexMap`).
    power
        The power of each index in the product (its loading), ``[index]``.
    correlation
        Of the scores, ``[index, index]``; positive semidefinite.

    Returns
    -------
    float
        The mean; 1 for an empty product.

    Raises
    ------
    ValueError
        If the mean is infinite: a floored normal, which may be zero, to a negative power.

    Examples
    --------
    >>> mean_of_product([0.0, 0.0], [0.1, 0.2], [True, True], [1, 1], [[1, 0.5], [0.5, 1]])
    1.0356197087996233
    """
    place, spread, powers = (np.asarray(a, np.float64) for a in (location, scale, power))
    logs = np.asarray(logarithmic, bool)
    matrix = np.asarray(correlation, np.float64)
    used = powers != 0
    floored = used & ~logs
    if np.any(floored & (powers < 0) & ((spread > 0) | (place <= 0))):
        raise ValueError(
            "the mean is infinite: an index that may be zero (a normal law, floored) enters to a "
            "negative power; give it a lognormal law or a positive loading"
        )
    weight = np.where(used & logs, powers * spread, 0.0)
    tilt = matrix @ weight
    mean = exp(float(np.sum(powers[used & logs] * place[used & logs]) + weight @ tilt / 2))
    place = place + spread * tilt
    fixed = floored & (spread == 0)
    mean *= prod(max(x, 0.0) ** p for x, p in zip(place[fixed], powers[fixed], strict=True))
    for block in _blocks(np.flatnonzero(floored & (spread > 0)), matrix):
        within = matrix[np.ix_(block, block)]
        arguments = (place[block], spread[block], powers[block], within.ravel())
        mean *= _block_mean(*(tuple(argument.tolist()) for argument in arguments))
    return float(mean)


def _blocks(indices: NDArray[np.intp], matrix: Floats) -> list[NDArray[np.intp]]:
    """Return the groups of indices that no chain of correlations joins."""
    left, blocks = list(indices), []
    while left:
        block = [left.pop(0)]
        for member in block:
            joined = [other for other in left if matrix[member, other] != 0]
            block += joined
            left = [other for other in left if other not in joined]
        blocks.append(np.array(block))
    return blocks


@lru_cache(maxsize=4096)
def _block_mean(
    place: tuple[float, ...],
    spread: tuple[float, ...],
    power: tuple[float, ...],
    correlation: tuple[float, ...],
) -> float:
    size = len(place)
    # Integer powers are cheapest innermost, where power 1 has a closed form.
    order = sorted(range(size), key=lambda i: (power[i] == 1, spread[i] / (abs(place[i]) + 1e-300)))
    law = np.array([place, spread, power])[:, order]
    matrix = np.array(correlation).reshape(size, size)[np.ix_(order, order)]
    factor = _semidefinite_cholesky(matrix)
    if size in _HERMITE and all(x >= 5 * s for x, s in zip(place, spread, strict=True)):
        return _hermite_mean(law, factor)
    if size > _NESTED:
        return _lattice_mean(law, factor)
    return float(_nested_mean(law, factor, np.zeros((1, 0)))[0])


def _semidefinite_cholesky(matrix: Floats) -> Floats:
    """Return L with L L' = matrix; a score that earlier ones determine gets a zero diagonal."""
    factor = np.zeros_like(matrix)
    for row in range(len(matrix)):
        for column in range(row):
            pivot = factor[column, column]
            rest = matrix[row, column] - factor[row, :column] @ factor[column, :column]
            factor[row, column] = rest / pivot if pivot > 0 else 0.0
        left = matrix[row, row] - factor[row, :row] @ factor[row, :row]
        factor[row, row] = np.sqrt(left) if left > 1e-12 else 0.0
    return factor


def _nested_mean(law: Floats, factor: Floats, e: Floats) -> Floats:
    """Integrate the remaining independent scores, given those drawn so far (``e[point, score]``).

    Each integral starts at its own kink, so every integrand is smooth on its range.
    """
    at = e.shape[1]
    place, spread, power = (float(number) for number in law[:, at])
    middle = place + spread * (e @ factor[at, :at])
    width = spread * float(factor[at, at])
    last = at == law.shape[1] - 1
    if width == 0:
        value = np.maximum(middle, 0.0) ** power
        if last:
            return np.asarray(value)
        return np.asarray(value * _nested_mean(law, factor, np.column_stack([e, 0 * middle])))
    if last and power == 1:
        return _floored_mean(middle, width)
    nodes, weights = _gauss(_OUTER if at == 0 and law.shape[1] < _NESTED else _INNER)
    start = np.clip(-middle / width, -_REACH, _REACH)[:, None]
    # t = s^4 makes a fractional power at the kink smooth enough for Gauss' rule.
    bend = 1 if power == round(power) else 4
    length = _REACH + power / 4 - start
    score = start + length * nodes**bend
    mass = weights * length * bend * nodes ** (bend - 1) * np.exp(-(score**2) / 2)
    total = mass * np.maximum(middle[:, None] + width * score, 0.0) ** power / np.sqrt(2 * np.pi)
    if not last:
        given = np.column_stack([np.repeat(e, len(nodes), axis=0), score.ravel()])
        total = total * _nested_mean(law, factor, given).reshape(score.shape)
    return np.asarray(total.sum(axis=1))


def _floored_mean(middle: Floats, width: float) -> Floats:
    """Return E[max(x, 0)] of x ~ N(middle, width^2)."""
    from scipy.special import ndtr

    a = middle / width
    return np.asarray(middle * ndtr(a) + width * np.exp(-(a**2) / 2) / np.sqrt(2 * np.pi))


@lru_cache(maxsize=2)
def _gauss(number: int) -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(number)
    return (nodes + 1) / 2, weights / 2


def _hermite_mean(law: Floats, factor: Floats) -> float:
    """Return the mean of what is all but a polynomial, by a tensor Gauss-Hermite rule."""
    place, spread, power = law
    size = len(place)
    nodes, weights = np.polynomial.hermite_e.hermegauss(_HERMITE[size])
    grid = np.array(np.meshgrid(*[nodes] * size, indexing="ij")).reshape(size, -1)
    mass = np.array(np.meshgrid(*[weights / weights.sum()] * size, indexing="ij"))
    x = np.maximum(place[:, None] + spread[:, None] * (factor @ grid), 0.0)
    return float(mass.reshape(size, -1).prod(axis=0) @ np.prod(x ** power[:, None], axis=0))


def _lattice_mean(law: Floats, factor: Floats) -> float:
    """Return the mean by a shifted Richtmyer lattice, with a lognormal product as control.

    The control prod exp(p_i (s_i / l_i) z_i) has a known mean and follows the product closely
    where spreads are small, which is where drivers are.
    """
    from scipy.special import ndtri

    place, spread, power = law
    size = len(place)
    primes = [n for n in range(2, 50 * size) if all(n % d for d in range(2, int(n**0.5) + 1))]
    step = np.sqrt(primes[:size])[:, None]
    shifts = np.random.default_rng(20_240_501).random((_SHIFTS, size, 1))
    points = (np.arange(_LATTICE) * step + shifts) % 1
    tent = np.abs(2 * points - 1).transpose(1, 0, 2).reshape(size, -1)
    score = factor @ ndtri(np.clip(tent, 1e-16, 1 - 1e-16))
    x = np.maximum(place[:, None] + spread[:, None] * score, 0.0)
    value = np.prod(x ** power[:, None], axis=0)
    slope = power * spread / np.maximum(place, 2 * spread)
    loads = slope @ factor
    control = np.exp(slope @ score - loads @ loads / 2)
    centred = control - control.mean()
    weight = centred @ value / (centred @ centred)
    return float(value.mean() - weight * (control.mean() - 1))
