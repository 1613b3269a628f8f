"""Many members who differ, as a few weighted ones: Gauss quadrature of their own spread.

The logarithm of a total's transform is a sum over members of a function g of their expected
claims, analytic far around them. Gauss's rule for the measure that the members themselves are
gives that sum from a few nodes, to machine precision.
"""

from math import ceil, inf, log, sqrt

import numpy as np

from riskshare.laws.compound.frequency import Floats

_ERROR = 1e-13


def condensed(values: Floats, weights: Floats, singular: float) -> tuple[Floats, Floats]:
    """Return nodes and weights that sum every g analytic away from a point as the values do.

    Parameters
    ----------
    values
        Distinct, ascending.
    weights
        How often each occurs.
    singular
        The real number outside the values nearest to which g may be singular; the rule's order
        follows from how near it is. Inside them, or too near for fewer nodes, the values
        themselves are returned.

    Returns
    -------
    nodes, weights
        The rule's error is below 1e-13 of the sum: an order K leaves ``rho^(-2 K)``, rho the sum
        of semi-axes of the ellipse round the values through the singular point (Trefethen 2013).
    """
    low, high = float(values[0]), float(values[-1])
    if low <= singular <= high or high - low <= 0:
        return values, weights
    away = abs(2 * singular - low - high) / (high - low)
    rate = log(away + sqrt(away**2 - 1)) if away < inf else inf
    order = ceil(log(1e3 * weights.sum() / _ERROR) / (2 * rate)) + 1
    if 2 * order >= len(values):
        return values, weights
    return _gauss(values, weights, order)


def _gauss(values: Floats, weights: Floats, order: int) -> tuple[Floats, Floats]:
    """Return Gauss's rule of a discrete measure, by the Lanczos process (Golub and Welsch)."""
    middle, half = (values[0] + values[-1]) / 2, (values[-1] - values[0]) / 2
    x = (values - middle) / half
    basis = np.zeros((order, len(x)))
    basis[0] = np.sqrt(weights / weights.sum())
    diagonal, beside = np.zeros(order), np.zeros(order - 1)
    for k in range(order):
        diagonal[k] = basis[k] @ (x * basis[k])
        if k + 1 == order:
            break
        following = x * basis[k]
        for _ in range(2):  # orthogonal to all before: once more, for what rounding left
            following = following - basis[: k + 1].T @ (basis[: k + 1] @ following)
        beside[k] = sqrt(following @ following)
        basis[k + 1] = following / beside[k]
    matrix = np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
    nodes, vectors = np.linalg.eigh(matrix)
    return middle + half * nodes, weights.sum() * vectors[0] ** 2
