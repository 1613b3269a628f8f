"""The table of an attribution: statistics of every position, and what each part adds to them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from riskshare.analysis.allocation import Allocation, Total, between
from riskshare.analysis.split import MEMBER, Split
from riskshare.errors import ArgumentError
from riskshare.names import DRIVER, LEVEL, PARTNER, SYSTEM, YEAR
from riskshare.statistics import Floats
from riskshare.summary.axes import Axes

STATISTICS = ("mean", "standard_deviation", "value_at_risk", "tail_value_at_risk")
"""Statistics of a position that are split."""

_BY_LEVEL = ("value_at_risk", "tail_value_at_risk")


def levels_of(given: Sequence[float]) -> tuple[float, ...]:
    """Return the confidences that are asked for.

    Raises
    ------
    ArgumentError
        For one that is not above 0 and below 1, or stands twice.
    """
    accepted = "accepted: confidences above 0 and below 1, each once, such as (0.95, 0.995)"
    values = list(np.atleast_1d(np.asarray(given, dtype=object)))
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
            raise ArgumentError(f"levels holds {value!r}; {accepted}")
        if not 0 < value < 1:
            hint = f"; is {value / 100:g} meant?" if 1 <= value < 100 else ""
            raise ArgumentError(f"levels holds {value!r}; {accepted}{hint}")
    if not values or len(set(values)) < len(values):
        raise ArgumentError(f"levels is {given!r}; {accepted}")
    return tuple(sorted(float(value) for value in values))


def shares_table(split: Split, axes: Axes, levels: Sequence[float]) -> xr.Dataset:
    """Return the statistics of every position and of its parts; see `riskshare.attribute`."""
    weights = np.vstack([np.diag(axes.yearly.values), axes.summed.values])
    own = np.eye(len(axes.members[0]), dtype=bool)
    whole: list[Allocation] = []
    by: dict[str, list[Allocation]] = {axis: [] for axis in split.by}
    company: list[dict[str, Floats]] = []
    for y, p in np.ndindex(len(weights), len(axes.members)):
        of_year, members = weights[y], axes.members[p]
        position = _summed(split.position, of_year, members)
        total = Total(position, levels)
        whole.append(total.split(position[None]))
        for axis, (_, values) in split.parts.items():
            parts = _summed(values, of_year, members)
            by[axis].append(total.split(parts))
            if axis == DRIVER and split.alone is not None:
                company.append(_in_company(parts, _summed(split.alone, of_year, members)))
        if YEAR in by and y == len(weights) - 1:
            years = [_summed(split.position, one, members) for one in np.diag(of_year)]
            by[YEAR].append(total.split(np.stack(years)))
        if MEMBER in by and axes.partner_labels[p] == SYSTEM:
            alone = [_summed(split.position, of_year, one & members) for one in own]
            by[MEMBER].append(total.split(np.stack(alone)))
    rows = {YEAR: len(weights), PARTNER: len(axes.members)}
    variables = _variables("", (), whole, rows)
    for axis in split.by:
        shape = {k: n for k, n in rows.items() if k != axis and (axis, k) != (MEMBER, PARTNER)}
        last = 1 if axis == YEAR else 0
        variables |= _variables(f"_by_{axis}", (axis,), by[axis], shape, last=last)
    for name in company[0] if company else ():
        values = np.stack([row[name] for row in company], axis=-1)
        variables[name] = ((DRIVER, *rows), values.reshape(-1, *rows.values()))
    return _dataset(split, axes, levels, weights, variables)


def _summed(values: Floats, weights: Floats, members: Any) -> Floats:
    """Return the sum over years, weighted, and over members: (..., replicate, sample)."""
    total = np.zeros((*values.shape[:-4], *values.shape[-2:]))
    for year in np.flatnonzero(weights):
        for member in np.flatnonzero(members):
            part = values[..., year, member, :, :]
            total += part if weights[year] == 1 else weights[year] * part
    return total


def _in_company(parts: Floats, alone: Floats) -> dict[str, Floats]:
    """Return what each part does alone, and what it does with others beyond that."""
    rest = parts - alone
    gaps = rest - rest.mean((-2, -1), keepdims=True)
    squares = np.square(gaps).mean(-1)
    deviation = np.sqrt(squares.mean(-1))
    twice = np.where(deviation > 0, 2 * deviation, 1)
    return {
        "alone_mean": alone.mean((-2, -1)),
        "alone_mean_error": between(alone.mean(-1)),
        "interaction_mean": rest.mean((-2, -1)),
        "interaction_mean_error": between(rest.mean(-1)),
        "interaction_standard_deviation": deviation,
        "interaction_standard_deviation_error": between(squares) / twice,
    }


def _variables(
    suffix: str,
    part: tuple[str, ...],
    rows: list[Allocation],
    shape: dict[str, int],
    last: int = 0,
) -> dict[str, Any]:
    """Return every statistic with its error, on (level, part, then the dimensions of rows).

    ``part`` is empty where there is one part, the position itself; ``last`` is how many places of
    the dimension of parts are behind them, which hold no part.
    """
    found: dict[str, Any] = {}
    for name in STATISTICS:
        estimates = [getattr(row, name) for row in rows]
        dims = ((LEVEL,) if name in _BY_LEVEL else ()) + part + tuple(shape)
        for ending, values in (
            ("", [one.value for one in estimates]),
            ("_error", [one.error for one in estimates]),
        ):
            stacked = np.stack(values, axis=-1)
            stacked = stacked.reshape(*stacked.shape[:-1], *shape.values())
            axis = 1 if name in _BY_LEVEL else 0
            if not part:
                stacked = stacked.squeeze(axis)
            elif last:
                pad = [(0, last if i == axis else 0) for i in range(stacked.ndim)]
                stacked = np.pad(stacked, pad, constant_values=np.nan)
            found[f"position_{name}{suffix}{ending}"] = (dims, stacked)
    return found


def _dataset(
    split: Split, axes: Axes, levels: Sequence[float], weights: Floats, variables: dict[str, Any]
) -> xr.Dataset:
    def planned(values: Floats) -> Floats:
        return np.einsum("...yp,zy,qp->...zq", values, weights, axes.members.astype(np.float64))

    row = (YEAR, PARTNER)
    variables["position_at_plan"] = (row, planned(split.planned))
    for axis, values in split.at_plan.items():
        variables[f"position_at_plan_by_{axis}"] = ((axis, *row), planned(values))
    if YEAR in split.by:  # parts of the row of all years, as their statistics are
        years = np.einsum("yp,y,qp->yq", split.planned, weights[-1], axes.members.astype(float))
        nothing = np.full((1, years.shape[1]), np.nan)
        variables["position_at_plan_by_year"] = (row, np.concatenate([years, nothing]))
    if MEMBER in split.by:
        inside = axes.members[list(axes.partner_labels).index(SYSTEM)].astype(float)
        own = np.einsum("yp,zy,p->pz", split.planned, weights, inside)
        variables["position_at_plan_by_member"] = ((MEMBER, YEAR), own)
    coords: dict[Any, Any] = dict(axes.coordinates(split.outcomes))
    coords |= {axis: list(names) for axis, (names, _) in split.parts.items()}
    coords[LEVEL] = list(levels)
    if MEMBER in split.by:
        coords[MEMBER] = list(axes.partner_labels[: len(axes.members[0])])
    found = xr.Dataset(variables, coords)
    for name, variable in found.data_vars.items():
        words = str(name).removesuffix("_error").replace("_", " ")
        lead = "standard error of " if str(name).endswith("_error") else ""
        variable.attrs = {
            "long_name": f"{lead}{words}",
            "units": split.outcomes.attrs["currency"],
        }
    return found
