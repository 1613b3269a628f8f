"""Values by path: a case settled at other numbers, one set or many in one call."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.names import (
    DRIVER,
    GROUP,
    LEVEL,
    LINE,
    PARTNER,
    POPULATION,
    SAMPLE,
    STATE,
    TERM,
    YEAR,
)
from riskshare.outcomes import digest

RESERVED = frozenset(
    {SAMPLE, YEAR, LINE, PARTNER, TERM, DRIVER, POPULATION, GROUP, LEVEL, STATE, "replicate"}
)
"""Dimensions and names that results have anyway."""


def over_parameters(
    case: Case, parameters: Mapping[str, Any] | None, run: Callable[[Case], xr.Dataset]
) -> xr.Dataset:
    """Run a case at the given numbers; array values become dimensions of the result.

    Every set of numbers shares the compiled kernel and the random draws, so differences between
    sets are far more precise than either. Arrays that share a dimension move together; different
    dimensions are combined.
    """
    if not parameters:
        return run(case)
    arrays = {path: _array(path, value) for path, value in parameters.items()}
    dimensions: dict[str, int] = {}
    for path, array in arrays.items():
        for name, size in zip(array.dims, array.shape, strict=True):
            if dimensions.setdefault(str(name), size) != size:
                raise ArgumentError(
                    f"{path}: dimension {name!r} has {size} values, elsewhere "
                    f"{dimensions[str(name)]}"
                )
    taken = sorted(set(dimensions) & RESERVED)
    if taken:
        raise ArgumentError(
            f"parameters: the dimension {taken[0]!r} is one of the result's own; name it "
            "otherwise, such as 'contract'"
        )
    results = []
    for place in itertools.product(*(range(size) for size in dimensions.values())):
        at = dict(zip(dimensions, place, strict=True))
        values = {
            path: float(array.isel({name: at[name] for name in array.dims}))  # type: ignore[index]  # names are str
            for path, array in arrays.items()
        }
        results.append(run(case.with_numbers(values)))
    found = _combine(results, dimensions, arrays)
    # a batch is made again from the base case and the paths that were set
    found.attrs["case_digest"] = digest(case)
    found.attrs["parameters"] = sorted(arrays)
    return found


def _array(path: str, value: Any) -> xr.DataArray:
    if isinstance(value, xr.DataArray):
        return value
    if np.ndim(value):
        raise ArgumentError(
            f"{path}: found an array without names; accepted: a number, or an xarray.DataArray "
            "whose dimension says what it is, such as 'contract'"
        )
    try:
        return xr.DataArray(float(value))
    except (TypeError, ValueError):
        raise ArgumentError(f"{path}: found {value!r}; accepted: a number") from None


def _combine(
    results: list[xr.Dataset], dimensions: dict[str, int], arrays: Mapping[str, xr.DataArray]
) -> xr.Dataset:
    for name, size in reversed(dimensions.items()):
        labels = next(
            (a.coords[name] for a in arrays.values() if name in a.coords), np.arange(size)
        )
        index = xr.DataArray(np.asarray(labels), dims=name, name=name)
        results = [
            xr.concat(
                results[i : i + size],
                index,
                data_vars="all",
                coords="different",
                compat="equals",
                join="override",
                combine_attrs="drop_conflicts",
            )
            for i in range(0, len(results), size)
        ]
    return results[0]
