"""Inverses and integrals of monotone maps, for laws without a formula."""

from collections.abc import Callable, Iterable

import numpy as np

from riskshare.laws.marginal.base import Floats

REACH = 37.5
"""Normal scores beyond which a probability is no longer a float of full precision."""

_STEPS = 240
_PANEL = 0.5
_NODES = 24


def invert(
    function: Callable[[Floats], Floats], target: Floats, low: Floats | float, high: Floats | float
) -> Floats:
    """Return the least x from low to high with function(x) >= target, to about 1e-15 relative.

    Safeguarded false position (Illinois), every third step halving the bracket in the order of
    floats, which ends in 64 halvings whatever the function: steps and jumps are found too.

    Parameters
    ----------
    function
        Not decreasing, evaluated on arrays of one dimension.
    target, low, high
        Of one shape; where even low reaches the target it is returned, where high does not, high.
    """
    wanted, lo, hi = (np.array(a, np.float64) for a in np.broadcast_arrays(target, low, high))
    shape = wanted.shape
    wanted, lo, hi = wanted.ravel(), lo.ravel(), hi.ravel()
    g_lo, g_hi = function(lo) - wanted, function(hi) - wanted
    hi = np.where(g_lo >= 0, lo, hi)
    lo = np.where(g_hi < 0, hi, lo)
    for step in range(_STEPS):
        size = np.maximum(np.abs(lo), np.abs(hi))
        near = np.flatnonzero(hi - lo > 4e-16 * size)
        if not near.size:
            break
        a, b, least = lo[near], hi[near], 2.5e-16 * size[near]
        with np.errstate(all="ignore"):
            x = b - g_hi[near] * ((b - a) / (g_hi[near] - g_lo[near]))
        halving = ~np.isfinite(x) | (step % 3 == 2)
        x = np.where(halving, _halfway(a, b), np.clip(x, a + least, b - least))
        x = np.where((x > a) & (x < b), x, _halfway(a, b))
        stuck = (x <= a) | (x >= b)
        g = function(x) - wanted[near]
        above = g >= 0
        # Illinois: the end that stays counts half, so that both ends close in.
        g_lo[near] = np.where(above, g_lo[near] / 2, g)
        g_hi[near] = np.where(above, g, g_hi[near] / 2)
        hi[near] = np.where(above, x, b)
        lo[near] = np.where(above & ~stuck, a, np.where(stuck, hi[near], x))
    return hi.reshape(shape)


def _halfway(low: Floats, high: Floats) -> Floats:
    """Return the float halfway between two in the order of floats."""
    a, b = _rank(low), _rank(high)
    middle = (a >> 1) + (b >> 1) + (a & b & 1)
    return np.asarray(np.where(middle < 0, np.int64(-(2**63)) - middle, middle)).view(np.float64)


def _rank(value: Floats) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
    bits = np.ascontiguousarray(value + 0.0).view(np.int64)  # adding zero makes -0.0 plain
    return np.where(bits < 0, np.int64(-(2**63)) - bits, bits)


def integral_to(
    function: Callable[[Floats], Floats],
    end: Floats | float,
    *,
    start: float = -REACH,
    cuts: Iterable[float] = (),
) -> Floats:
    """Return the integral of function(z) phi(z) for scores z from `start` to each `end`.

    Gauss-Legendre, 24 nodes in panels of half a score, split at `cuts`, where the function jumps.
    """
    ends = np.maximum(np.asarray(end, np.float64), start)
    inside = [cut for cut in cuts if start < cut < REACH]
    edges = np.unique(np.append(np.arange(start, REACH + _PANEL, _PANEL), inside))
    edges = edges[edges <= max(float(ends.max(initial=start)), start) + _PANEL]
    panels = _panel(function, edges[:-1], edges[1:])
    total = np.append(0.0, np.cumsum(panels))
    at = np.clip(np.searchsorted(edges, ends, side="right") - 1, 0, len(edges) - 1)
    ends = np.minimum(ends, REACH)
    return np.asarray(total[at] + _panel(function, edges[at], ends))


def _panel(function: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    half = (high - low)[..., None] / 2
    z = low[..., None] + half * (1 + nodes)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return np.asarray((function(z) * density * half) @ weights)
