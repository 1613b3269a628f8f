"""Samples of outcomes: what each counts for, and which of them depend on one another."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.errors import ArgumentError
from riskshare.names import SAMPLE
from riskshare.statistics import Floats, Replicates


def counting(outcomes: xr.Dataset) -> xr.Dataset:
    """Return outcomes without samples of weight 0, which might as well not be there."""
    if "weight" not in outcomes:
        return outcomes
    weights = _weights(outcomes)
    if not weights.any():
        raise ArgumentError(
            "weight: found 0 in every sample; accepted: some above 0; without weights "
            "(outcomes.drop_vars('weight')) all samples count alike"
        )
    return outcomes if weights.all() else outcomes.isel({SAMPLE: weights > 0})


def replicates_of(outcomes: xr.Dataset) -> Replicates:
    """Return the independent parts of a run, and the weights of its samples where it has any."""
    found = Replicates()
    if "replicate" in outcomes:
        found = Replicates.labelled(_by_sample(outcomes, "replicate"))
    return found.weighted(_weights(outcomes)) if "weight" in outcomes else found


def _weights(outcomes: xr.Dataset) -> Floats:
    accepted = "accepted: finite numbers of at least 0, such as likelihood ratios"
    given = outcomes["weight"]
    if not (np.issubdtype(given.dtype, np.floating) or np.issubdtype(given.dtype, np.integer)):
        raise ArgumentError(f"weight: found values of type {given.dtype}; {accepted}")
    wrong = ~(np.isfinite(given.values) & (given.values >= 0))
    if wrong.any():
        raise ArgumentError(
            f"weight: found {given.values[wrong][0]:g}, and {wrong.sum():,} of {wrong.size:,} "
            f"values are no weights; {accepted}; 0 leaves a sample out"
        )
    return _by_sample(outcomes, "weight").astype(np.float64)


def _by_sample(outcomes: xr.Dataset, name: str) -> NDArray[Any]:
    """Return a variable of samples, which along further dimensions must be the same."""
    found = outcomes[name]
    if SAMPLE not in found.dims:
        raise ArgumentError(f"{name} has no dimension {SAMPLE}; give one value for each sample")
    values = found.transpose(..., SAMPLE).values.reshape(-1, outcomes.sizes[SAMPLE])
    if (values != values[0]).any():
        other = next(str(dim) for dim in found.dims if dim != SAMPLE)
        raise ArgumentError(
            f"{name} differs along a dimension other than {SAMPLE}: {other}; accepted: one value "
            f"for each sample; summarise one {other} at a time: outcomes.isel({other}=0)"
        )
    return values[0]
