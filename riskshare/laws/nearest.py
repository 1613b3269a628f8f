"""The correlation matrix nearest to a symmetric one that is not positive definite."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskshare.errors import ArgumentError

Floats = NDArray[np.float64]

_STEPS = 20_000
_CLOSE = 1e-10


def nearest_correlation(
    matrix: ArrayLike, *, smallest_eigenvalue: float = 1e-6, fixed: ArrayLike | None = None
) -> Floats:
    """Return the nearest correlation matrix, in the Frobenius norm.

    The minimiser of ``sum over i, j of (X_ij - A_ij)^2`` over symmetric X with unit diagonal, no
    eigenvalue below `smallest_eigenvalue`, and ``X_ij = A_ij`` where `fixed`. It is unique, and
    found by alternating projections with Dykstra's correction (Higham 2002, "Computing the
    nearest correlation matrix: a problem from finance", IMA J. Numer. Anal. 22). Nothing in
    riskshare takes it in place of a matrix that was stated: that is for its owner to decide.

    Parameters
    ----------
    matrix
        Symmetric with unit diagonal, ``[index, index]``.
    smallest_eigenvalue
        From 0 to 1. With 0 the result is as a rule singular, and so no copula takes it.
    fixed
        Entries that keep their value, ``[index, index]`` of true and false; symmetric.

    Returns
    -------
    numpy.ndarray
        ``[index, index]``; entries within about 1e-9 of the minimiser.

    Raises
    ------
    ArgumentError
        If the matrix is not square, finite and symmetric with a diagonal of 1, or if no
        correlation matrix has the fixed entries.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(nearest_correlation([[1, 1, 0], [1, 1, 1], [0, 1, 1]]), 4) + 0.0
    array([[1.    , 0.7607, 0.1573],
           [0.7607, 1.    , 0.7607],
           [0.1573, 0.7607, 1.    ]])
    """
    given = _symmetric(matrix)
    if not 0 <= smallest_eigenvalue <= 1:
        raise ArgumentError(
            f"smallest_eigenvalue is {smallest_eigenvalue}; accepted: a number from 0 to 1"
        )
    kept = _mask(fixed, len(given))
    if not len(given) or np.linalg.eigvalsh(given)[0] >= smallest_eigenvalue:
        return given
    # Projections meet a bound in the limit only: one a little inside it is met after finitely many.
    inside = smallest_eigenvalue + 10 * _CLOSE
    found, correction = given.copy(), np.zeros_like(given)
    for _ in range(_STEPS):
        before = found
        values, vectors = np.linalg.eigh(found - correction)
        raised = (vectors * np.maximum(values, inside)) @ vectors.T
        correction += raised - found
        found = np.where(kept, given, (raised + raised.T) / 2)
        moved = np.abs(found - before).max()
        if moved < _CLOSE and np.linalg.eigvalsh(found)[0] >= smallest_eigenvalue:
            return found
    raise ArgumentError(
        f"no correlation matrix was found with these fixed entries and eigenvalues of at least "
        f"{smallest_eigenvalue:g}; fix fewer of them"
    )


def _symmetric(matrix: ArrayLike) -> Floats:
    given = np.array(matrix, dtype=np.float64)
    if given.ndim != 2 or given.shape[0] != given.shape[1]:
        raise ArgumentError(f"matrix has shape {given.shape}; accepted: a square matrix")
    if not np.all(np.isfinite(given)):
        raise ArgumentError("matrix holds a value that is not finite; accepted: numbers")
    apart = np.abs(given - given.T).max(initial=0.0)
    if apart > 1e-12:
        raise ArgumentError(
            f"matrix is not symmetric: two entries that should agree differ by {apart:g}"
        )
    off = np.abs(np.diag(given) - 1).max(initial=0.0)
    if off > 1e-12:
        raise ArgumentError(f"matrix has a diagonal that differs from 1 by {off:g}; accepted: 1")
    return given


def _mask(fixed: ArrayLike | None, size: int) -> NDArray[np.bool_]:
    kept = np.eye(size, dtype=bool)
    if fixed is None:
        return kept
    asked = np.asarray(fixed)
    if asked.dtype != bool or asked.shape != (size, size) or np.any(asked != asked.T):
        raise ArgumentError(
            f"fixed is {asked.dtype} of shape {asked.shape}; accepted: true and false, symmetric, "
            f"of shape {(size, size)}"
        )
    return kept | asked
