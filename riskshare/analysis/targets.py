"""Standard errors to reach: which numbers of a table are meant, and how far they are from it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from riskshare.errors import ArgumentError
from riskshare.names import LEVEL

_FORM = re.compile(r"(\w+)(?:\[(.*)\])?$")


@dataclass(frozen=True)
class Target:
    """A standard error to reach in a part of a statistic."""

    statistic: str
    labels: tuple[str, ...]
    error: float

    @property
    def name(self) -> str:
        """The statistic with its labels."""
        return f"{self.statistic}[{','.join(self.labels)}]" if self.labels else self.statistic

    def excess(self, table: xr.Dataset) -> float:
        """Return the greatest error there is over the one to reach; met at 1 and below.

        Raises
        ------
        ArgumentError
            If the table has no such statistic or label, or no error of it.
        """
        own = f"{self.statistic}_error"
        if own not in table:
            known = sorted(str(name)[:-6] for name in table if str(name).endswith("_error"))
            raise ArgumentError(
                f"error: found the statistic {self.statistic!r}; accepted: {', '.join(known)}"
            )
        picked = table[own]
        for label in self.labels:
            picked = self._at(picked, label)
        worst = float(picked.max())
        if np.isnan(worst):
            raise ArgumentError(f"error: {self.name} has no standard error in this case")
        return worst / self.error

    def _at(self, values: xr.DataArray, label: str) -> xr.DataArray:
        for dim in values.dims:
            held = values[dim].values
            for i, one in enumerate(held):
                if _same(str(dim), one, label):
                    return values.isel({dim: i})
        axes = "; ".join(f"{dim}: {', '.join(map(str, values[dim].values))}" for dim in values.dims)
        raise ArgumentError(f"error: {self.name} names {label!r}; accepted: {axes}")


def _same(dim: str, one: Any, label: str) -> bool:
    if dim != LEVEL:
        return str(one) == label
    try:
        return bool(np.isclose(float(one), float(label), rtol=0, atol=1e-12))
    except ValueError:
        return False


def targets_of(error: float | Mapping[str, float] | None) -> tuple[Target, ...]:
    """Return the targets that an argument states.

    Raises
    ------
    ArgumentError
        For an error that is no number above 0, or a name that cannot be read.
    """
    if error is None:
        return ()
    stated = error if isinstance(error, Mapping) else {"position_mean": error}
    if not stated:
        raise ArgumentError("error names no statistic; give one, or leave error out")
    found = []
    for name, value in stated.items():
        form = _FORM.match(str(name).strip())
        if form is None:
            raise ArgumentError(
                f"error: found {name!r}; accepted: a statistic of the table with labels in "
                "brackets, as position_quantile[acute,all,0.05]"
            )
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not number or not 0 < float(value) < float("inf"):
            raise ArgumentError(f"error: {name} is {value!r}; accepted: a number above 0")
        labels = tuple(part.strip() for part in (form[2] or "").split(",") if part.strip())
        found.append(Target(form[1], labels, float(value)))
    return tuple(found)
