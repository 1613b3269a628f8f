"""Dependence: correlation across drivers, persistence across years.

Innovations eps[driver, year] are standard normal, correlated across drivers by one matrix C and
independent over years. Each driver's yearly score is a fixed combination of its own innovations,
so the joint law stays Gaussian, quasi-random points enter year by year, and appending a year
changes no earlier score.
"""

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

PROCESSES = ("constant", "ar1", "random-walk")
"""How a driver moves through the years; see `innovation_weights`."""

SMALLEST_EIGENVALUE = 1e-10
"""A correlation matrix with an eigenvalue at or below this is refused as not positive definite."""


def cholesky(correlation: ArrayLike) -> NDArray[np.float64]:
    """Return the lower factor L of a correlation matrix: C = L L'.

    The factor's leading rows depend on the leading drivers only, so appending a driver leaves
    the scores of earlier ones as they were.

    Parameters
    ----------
    correlation
        Symmetric with unit diagonal, ``[driver, driver]``.

    Returns
    -------
    NDArray
        Lower triangular, ``[driver, driver]``.

    Raises
    ------
    ValueError
        If the matrix is not a correlation matrix, or its smallest eigenvalue (which the message
        states) is not above `SMALLEST_EIGENVALUE`.

    Examples
    --------
    >>> cholesky([[1.0, 0.6], [0.6, 1.0]])
    array([[1. , 0. ],
           [0.6, 0.8]])
    """
    matrix = np.asarray(correlation, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"correlation has shape {matrix.shape}; it must be square")
    if not np.all(np.isfinite(matrix)):
        raise ValueError("correlation holds a value that is not finite")
    if not np.allclose(matrix, matrix.T, rtol=0, atol=1e-12):
        raise ValueError("correlation is not symmetric")
    if not np.allclose(np.diag(matrix), 1, rtol=0, atol=1e-12):
        raise ValueError("correlation has a diagonal other than 1")
    if matrix.shape[0] == 0:
        return matrix
    smallest = smallest_eigenvalue(matrix)
    if not smallest > SMALLEST_EIGENVALUE:
        raise ValueError(
            f"the matrix is not positive definite: its smallest eigenvalue is {smallest:.3g}"
        )
    return np.asarray(np.linalg.cholesky(matrix), dtype=np.float64)


def smallest_eigenvalue(correlation: ArrayLike) -> float:
    """Return the smallest eigenvalue of a symmetric matrix."""
    return float(np.linalg.eigvalsh(np.asarray(correlation, np.float64))[0])


def innovation_weights(
    processes: Sequence[str], persistence: ArrayLike, years: int
) -> NDArray[np.float64]:
    """Return the weights that make yearly scores of yearly innovations.

    z[driver, y] = sum over s <= y of weight[driver, y, s] eps[driver, s], always of variance 1:

    - ``constant``: z_y = eps_0 in every year;
    - ``ar1``: z_0 = eps_0, z_y = phi z_(y-1) + sqrt(1 - phi^2) eps_y;
    - ``random-walk``: z_y = eps_y, the score of the year's step (the index is the product of
      the steps so far).

    Parameters
    ----------
    processes
        One of `PROCESSES` for each driver.
    persistence
        phi for each driver, from -1 to 1; read for ``ar1`` only.
    years
        Number of years.

    Returns
    -------
    NDArray
        ``[driver, year, innovation year]``, zero above the diagonal.

    Raises
    ------
    ValueError
        If a process is unknown, a persistence is out of bounds, or their numbers differ.
    """
    phi = np.asarray(persistence, dtype=np.float64)
    if phi.shape != (len(processes),):
        raise ValueError(f"{len(processes)} processes need as many persistences, not {phi.shape}")
    weights = np.zeros((len(processes), years, years))
    for driver, process in enumerate(processes):
        if process == "constant":
            weights[driver, :, :1] = 1
        elif process == "random-walk":
            weights[driver] = np.eye(years)
        elif process == "ar1":
            weights[driver] = _autoregression(float(phi[driver]), years)
        else:
            raise ValueError(f"process is {process!r}; accepted are {', '.join(PROCESSES)}")
    return weights


def _autoregression(phi: float, years: int) -> NDArray[np.float64]:
    if not -1 <= phi <= 1:
        raise ValueError(f"persistence is {phi}; it must lie between -1 and 1")
    weights = np.zeros((years, years))
    for year in range(years):
        if year:
            weights[year] = phi * weights[year - 1]
        weights[year, year] = sqrt(1 - phi**2) if year else 1.0
    return weights


def score_correlations(
    processes: Sequence[str],
    persistence: Sequence[float],
    years: int,
    correlation: ArrayLike,
) -> NDArray[np.float64]:
    """Return the correlations of the scores of each year, ``[year, index, index]``.

    ``corr(z[d, y], z[e, y]) = sum_s c[d, y, s] c[e, y, s] C[d, e]``, the weights c being those of
    `innovation_weights` and C the correlation of innovations: indices that move through the years
    in different ways keep only a part of it after the first.
    """
    weights = innovation_weights(processes, persistence, years)
    shared = np.einsum("dys,eys->yde", weights, weights)
    return np.asarray(shared * np.asarray(correlation, np.float64))
