"""Whether two devices make the same numbers from the same seed."""

from typing import Any

import numpy as np
import xarray as xr

from riskshare.case import Case
from riskshare.run.simulate import simulate

SAMPLES = 65_536

BOUND = 1e-3
"""The largest difference of a position allowed, in its standard deviations. Rounding in float32
moves positions by some 1e-6 to 1e-5 of them."""

BEYOND = 1e-4
"""Share of positions that may differ by more: rounding can take a count, a step or a gate to its
other side."""


def agreement(case: Case, device: str, other: str) -> dict[str, Any]:
    """Compare the positions that two devices make."""
    run = [
        simulate(case, samples=SAMPLES, keep=("position",), device=name).position
        for name in (device, other)
    ]
    return {"devices": [device, other], "samples": SAMPLES} | differences(*run)


def differences(one: xr.DataArray, other: xr.DataArray) -> dict[str, Any]:
    """Return the largest difference in standard deviations, and whether it is within bounds.

    Positions that do not vary are judged by the size of the position itself.
    """
    first, second = (np.asarray(run, np.float64) for run in (one, other))
    axis = one.get_axis_num("sample")
    scale = first.std(axis=axis, keepdims=True)
    fallback = np.abs(first).mean(axis=axis, keepdims=True)
    scale = np.where(scale > 1e-6 * fallback, scale, np.maximum(fallback, 1.0))
    gaps = np.abs(first - second) / scale
    beyond = float((gaps > BOUND).mean())
    return {
        "largest_difference": float(gaps.max()),
        "share_beyond": beyond,
        "bound": BOUND,
        "share_allowed": BEYOND,
        "passed": bool(np.isfinite(gaps).all()) and beyond <= BEYOND,
    }
