"""Values by path: a case settled at other numbers, one set or many in one call."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.bind import Bound
from riskshare.bind.many import row_of, varied_leaves
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
from riskshare.run.directions import KEPT_ONCE
from riskshare.run.tables import ready

RESERVED = frozenset(
    {
        *(SAMPLE, YEAR, LINE, PARTNER, TERM, DRIVER, POPULATION, GROUP, LEVEL, STATE),
        *("replicate", "person", "change", "transfer", "step", "weight", "direction", "column"),
    }
)
"""Dimensions and names that results have anyway."""


Run = Callable[[Case, Bound, Mapping[str, int]], xr.Dataset]
"""Settles one contract: its case, its bound case, and its place along each dimension."""


@dataclass(frozen=True)
class Sets:
    """Sets of numbers: values by path, and the dimensions along which they differ."""

    case: Case
    """With every number in place that does not differ."""
    arrays: Mapping[str, xr.DataArray]
    dimensions: Mapping[str, int]

    @property
    def count(self) -> int:
        """How many sets there are."""
        return int(np.prod(list(self.dimensions.values()), dtype=int))

    def values(self) -> dict[str, NDArray[np.float64]]:
        """Return the numbers that differ, each (set), the last dimension fastest."""
        names = list(self.dimensions)
        shape = tuple(self.dimensions.values())
        return {
            path: np.broadcast_to(
                np.asarray(
                    array.expand_dims([n for n in names if n not in array.dims])
                    .transpose(*names)
                    .values,
                    np.float64,
                ),
                shape,
            ).ravel()
            for path, array in self.arrays.items()
        }

    def labels(self, name: str, *others: xr.Dataset) -> NDArray[Any]:
        """Return the labels of a dimension, counted where nothing names them."""
        for holder in (*self.arrays.values(), *others):
            if name in holder.coords:
                return np.asarray(holder.coords[name].values)
        return np.arange(self.dimensions[name])


def sets_of(
    case: Case, parameters: Mapping[str, Any] | None, experience: xr.Dataset | None = None
) -> Sets:
    """Return the sets of numbers that a call asks for.

    Arrays that share a dimension move together; different dimensions are combined. Dimensions of
    the experience that no experience has by itself run over contracts too.

    Raises
    ------
    ArgumentError
        For arrays without names, sizes that differ, or a dimension that results have anyway.
    """
    arrays = {path: _array(path, value) for path, value in (parameters or {}).items()}
    dimensions: dict[str, int] = {}
    holders = {p: {str(k): n for k, n in a.sizes.items()} for p, a in arrays.items()}
    if experience is not None:
        extra = {str(k): n for k, n in experience.sizes.items() if str(k) not in RESERVED}
        holders["experience"] = extra
    for path, sizes in holders.items():
        for name, size in sizes.items():
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
    fixed = {path: float(array) for path, array in arrays.items() if not array.dims}
    moving = {path: array for path, array in arrays.items() if array.dims}
    return Sets(case.with_numbers(fixed) if fixed else case, moving, dimensions)


def over_parameters(
    case: Case,
    parameters: Mapping[str, Any] | None,
    run: Run,
    experience: xr.Dataset | None = None,
) -> xr.Dataset:
    """Run a case at the given numbers; array values become dimensions of the result.

    Every set of numbers shares the compiled kernel and the random draws, so differences between
    sets are far more precise than either. Numbers of contracts are put in place among the leaves of
    the case; others have it bound anew.
    """
    sets = sets_of(case, parameters, experience)
    if not sets.dimensions:
        found = run(sets.case, ready(sets.case), {})
        return _stamped(found, case, parameters) if parameters else found
    values = sets.values()
    bound = ready(sets.case)
    varied = varied_leaves(sets.case, bound, values) if values else {}
    results = []
    for i, place in enumerate(itertools.product(*map(range, sets.dimensions.values()))):
        at = dict(zip(sets.dimensions, place, strict=True))
        if varied is not None:
            own = replace(bound, numbers=row_of(bound.numbers, varied, i))
            results.append(run(sets.case, own, at))
        else:
            other = sets.case.with_numbers({path: float(v[i]) for path, v in values.items()})
            results.append(run(other, ready(other), at))
    others = () if experience is None else (experience,)
    labels = {name: sets.labels(name, *others) for name in sets.dimensions}
    return _stamped(_combine(results, labels), case, parameters)


def _stamped(found: xr.Dataset, case: Case, parameters: Mapping[str, Any] | None) -> xr.Dataset:
    """Say how to make a batch again: the base case, and the paths that were set."""
    found.attrs["case_digest"] = digest(case)
    found.attrs["parameters"] = sorted(parameters or {})
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


def _combine(results: list[xr.Dataset], labels: Mapping[str, NDArray[Any]]) -> xr.Dataset:
    # every set has the same samples, so what is said of them is said once
    once = {name: results[0][name] for name in KEPT_ONCE if name in results[0]}
    results = [result.drop_vars(KEPT_ONCE, errors="ignore") for result in results]
    for name, values in reversed(list(labels.items())):
        size = len(values)
        index = xr.DataArray(values, dims=name, name=name)
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
    return results[0].assign(once)
