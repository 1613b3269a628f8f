"""Maximum of a log-likelihood on an unconstrained scale, its curvature, and how the search ended.

Numbers only: `riskshare.fitting.severity` and `riskshare.fitting.counts` say what they mean.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Status = Literal["converged", "edge", "flat", "not converged"]

MEANINGS: dict[str, str] = {
    "converged": "a maximum: the next Newton step is below a ten-thousandth of a standard error",
    "edge": "the likelihood rises to the edge of the law's range: a simpler law does as well",
    "flat": "the likelihood has no curvature in some direction: the data cannot tell it",
    "not converged": "the search stopped before it reached a maximum",
}
"""What each status means; only a converged fit has standard errors."""

_SETTLED = 5e-9  # gain that the next Newton step promises: a ten-thousandth of a standard error
_PROBE = 0.1  # step of second differences, in standard errors; first ones take a tenth of it

_NEARER = 0.1


@dataclass(frozen=True)
class Maximum:
    """Where a log-likelihood is highest.

    Parameters
    ----------
    at
        The parameters, unconstrained.
    covariance
        Inverse of the observed information; NaN unless the status is ``converged``.
    log_likelihood
        The value there.
    status
        One of `MEANINGS`.
    """

    at: Floats
    covariance: Floats
    log_likelihood: float
    status: Status


def maximise(
    log_likelihood: Callable[[Floats], float],
    starts: Sequence[Sequence[float]],
    bounds: Sequence[tuple[float, float]],
) -> Maximum:
    """Climb from each start with Nelder and Mead's simplex, then by Newton from the best.

    Differences are central, with steps of a tenth of a standard error for the information and a
    hundredth for the gradient: wide enough that rounding of a sum of 10^4 terms costs nothing,
    narrow enough that the likelihood is a parabola over them (relative error of the information
    of the order 0.01 / n).

    Parameters
    ----------
    log_likelihood
        May return -inf or NaN outside the support.
    starts
        Points to start from, inside the bounds.
    bounds
        Range of each parameter; a maximum at one of them has the status ``edge``.
    """
    low, high = (np.array(side, dtype=np.float64) for side in zip(*bounds, strict=True))

    def height(at: Floats) -> float:
        if (at < low).any() or (at > high).any():
            return -np.inf
        value = log_likelihood(at)
        return value if np.isfinite(value) else -np.inf

    at, reached = _climb(height, starts, low, high)
    unknown = np.full((at.size, at.size), np.nan)
    if not np.isfinite(height(at)):
        return Maximum(at, unknown, -np.inf, "not converged")
    for _ in range(40):
        gradient, information = _slopes(height, at)
        if (np.minimum(at - low, high - at) < 1e-3).any() or not np.isfinite(information).all():
            return Maximum(at, unknown, height(at), "edge")
        if np.linalg.eigvalsh(_scaled(information))[0] < 1e-7:
            return Maximum(at, unknown, height(at), "flat" if reached else "not converged")
        step = np.asarray(np.linalg.solve(information, gradient), dtype=np.float64)
        if 0.5 * float(gradient @ step) < _SETTLED:
            covariance = np.linalg.inv(information)
            return Maximum(at, (covariance + covariance.T) / 2, height(at), "converged")
        following = _along(height, at, step)
        if following is None:
            return Maximum(at, unknown, height(at), "not converged")
        at = following
    return Maximum(at, unknown, height(at), "not converged")


def _climb(
    height: Callable[[Floats], float], starts: Sequence[Sequence[float]], low: Floats, high: Floats
) -> tuple[Floats, bool]:
    from scipy.optimize import minimize

    best, found, reached = -np.inf, np.array(starts[0], dtype=np.float64), False
    for start in starts:
        first = np.clip(np.array(start, dtype=np.float64), low + 1e-2, high - 1e-2)
        simplex = np.vstack([first, first + 0.2 * np.eye(first.size)])
        simplex = np.where(simplex > high, 2 * first - simplex, simplex)
        heights = [height(corner) for corner in simplex]
        if not np.isfinite(heights).any():
            continue
        ended = minimize(
            lambda at: -max(height(at), -1e300),
            first,
            method="Nelder-Mead",
            options={
                "initial_simplex": simplex,
                "xatol": 1e-3,
                "fatol": 1e-3,
                "maxfev": 400 * first.size,
            },
        )
        # A gain below 1e-3 is the tolerance of the search, not a better place.
        if -ended.fun > best + 1e-3:
            best, found, reached = -ended.fun, ended.x, bool(ended.success)
    return found, reached


def _slopes(height: Callable[[Floats], float], at: Floats) -> tuple[Floats, Floats]:
    """Return the gradient and the observed information by central differences."""
    here, size = height(at), at.size
    steps = np.full(size, 1e-3)
    for index in range(size):
        # again: the first step may be far from a tenth of a standard error, or leave the support
        for _ in range(4):
            move = np.eye(size)[index] * steps[index]
            bend = (2 * here - height(at + move) - height(at - move)) / steps[index] ** 2
            if not np.isfinite(bend):
                steps[index] /= 10
            elif bend > 0:
                wanted = float(np.clip(_PROBE / np.sqrt(bend), 1e-6, 0.05))
                near = abs(np.log(wanted / steps[index])) < 0.2
                steps[index] = wanted
                if near:
                    break
    gradient, information = np.zeros(size), np.zeros((size, size))
    moves = np.diag(steps)
    for i in range(size):
        above, below = height(at + moves[i]), height(at - moves[i])
        near = _NEARER * moves[i]
        gradient[i] = (height(at + near) - height(at - near)) / (2 * _NEARER * steps[i])
        information[i, i] = (2 * here - above - below) / steps[i] ** 2
        for j in range(i):
            corners = (
                height(at + moves[i] + moves[j])
                - height(at + moves[i] - moves[j])
                - height(at - moves[i] + moves[j])
                + height(at - moves[i] - moves[j])
            )
            information[i, j] = information[j, i] = -corners / (4 * steps[i] * steps[j])
    return gradient, information


def _scaled(information: Floats) -> Floats:
    """Return the information as a correlation matrix, on which flatness has no units."""
    root = np.sqrt(np.maximum(np.abs(np.diag(information)), 1e-300))
    signs = np.sign(np.diag(information))
    return information / np.outer(root, root) if (signs > 0).all() else np.diag(signs)


def _along(height: Callable[[Floats], float], at: Floats, step: Floats) -> Floats | None:
    """Return the first point of a halving step that is higher, or nothing."""
    here = height(at)
    length = min(1.0, 1.0 / float(np.abs(step).max()))
    for _ in range(30):
        there = np.asarray(at + length * step)
        if height(there) > here:
            return there
        length /= 2
    return None
