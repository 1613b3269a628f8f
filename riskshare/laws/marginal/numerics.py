"""Inverses and integrals of monotone maps, for laws without a formula."""

from collections.abc import Callable, Iterable

import numpy as np

from riskshare.laws.marginal.base import Floats

REACH = 37.5
"""Normal scores beyond which a probability is no longer a float of full precision."""

_STEPS = 240
_CLOSE = 2e-15
_PANEL = 0.5
_NODES = 24


def invert(
    function: Callable[[Floats], Floats], target: Floats, low: Floats | float, high: Floats | float
) -> Floats:
    """Return the least x from low to high with function(x) >= target, to about 4e-15 relative.

    Chandrupatla's method (1997): inverse quadratic interpolation where it is safe, else the
    bracket is halved in the order of floats, so that steps and jumps are found as well.

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
    found = np.where(g_lo >= 0, lo, hi)
    places = np.flatnonzero((g_lo < 0) & (g_hi >= 0))
    # rows: the point tried last, the other side of the root, and what either was before
    x = np.stack([hi, lo, hi])[:, places]
    g = np.stack([g_hi, g_lo, g_hi])[:, places]
    for _ in range(_STEPS):
        if not places.size:
            break
        new = _next(x, g)
        value = function(new) - wanted[places]
        same = (value >= 0) == (g[0] >= 0)
        x = np.stack([new, np.where(same, x[1], x[0]), np.where(same, x[0], x[1])])
        g = np.stack([value, np.where(same, g[1], g[0]), np.where(same, g[0], g[1])])
        found[places] = np.where(value >= 0, x[0], np.where(g[1] >= 0, x[1], found[places]))
        apart = np.abs(x[0] - x[1]) > 2 * _CLOSE * np.abs(x[:2]).max(axis=0)
        x, g, places = x[:, apart], g[:, apart], places[apart]
    return found.reshape(shape)


def _next(x: Floats, g: Floats) -> Floats:
    """Return the next point to try: by inverse quadratic interpolation, or halfway."""
    least = _CLOSE * np.abs(x[:2]).max(axis=0)
    with np.errstate(all="ignore"):
        xi, phi = (x[0] - x[1]) / (x[2] - x[1]), (g[0] - g[1]) / (g[2] - g[1])
        curved = g[0] / (g[1] - g[0]) * g[2] / (g[1] - g[2])
        share = curved + (x[2] - x[0]) / (x[1] - x[0]) * g[0] / (g[2] - g[0]) * g[1] / (g[2] - g[1])
        smooth = (phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi) & np.isfinite(share)
        edge = least / np.abs(x[1] - x[0])
        inside = x[0] + np.clip(share, edge, 1 - edge) * (x[1] - x[0])
    low, high = x[:2].min(axis=0), x[:2].max(axis=0)
    smooth &= (inside > low) & (inside < high)
    return np.where(smooth, inside, _halfway(low, high))


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
