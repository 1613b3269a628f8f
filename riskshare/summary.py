"""The summary of a run: statistics of outcomes by year and partner, each with its error.

Reads the datasets that `riskshare.simulate` and `riskshare.settle` return; `riskshare.statistics`
does the arithmetic, one series of samples at a time.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.errors import ArgumentError
from riskshare.names import (
    ALL_YEARS,
    GROUP,
    LEVEL,
    LEVELS,
    LINE,
    PARTNER,
    SAMPLE,
    SYSTEM,
    TERM,
    YEAR,
)
from riskshare.statistics import (
    Estimate,
    Floats,
    Replicates,
    mean,
    probability_below,
    quantiles,
    standard_deviation,
    tail_values_at_risk,
)

_BY_LEVEL = ("quantile", "value_at_risk", "tail_value_at_risk")
_LONG_NAMES = {
    "mean": "mean",
    "standard_deviation": "standard deviation",
    "probability_of_deficit": "probability of a position below target",
    "quantile": "quantile at the level",
    "value_at_risk": "value at risk at the level as confidence, a loss being positive",
    "tail_value_at_risk": "tail value at risk at the level as confidence, a loss being positive",
}
_MEANS = (
    "received",
    "paid",
    "cost",
    "line_cost",
    "cost_released",
    "stranded",
    "lost_contribution",
    "posting",
)
_WITHOUT_DEFICIT = ("pool", "external")
_GROUP_KIND = "group"


def summarise(outcomes: xr.Dataset, *, levels: Sequence[float] = LEVELS) -> xr.Dataset:
    """Summarise outcomes by year and partner, with the Monte Carlo standard error of each number.

    ``year`` gains ``all``, the sum over years; ``partner`` gains ``system`` and the other groups,
    whose money and targets are the sums of their members'. Further dimensions, such as
    ``contract`` from ``parameters=``, stay. Sums are taken in float64.

    With ``replicate`` standard errors are the standard deviation between replicates over the
    square root of their number, so have one degree of freedom less than there are replicates;
    without it samples are independent. A probability estimated as 0 or 1 has error 0. One sample,
    as of settled actuals, is its own mean and quantiles; its standard deviation and all errors are
    NaN. A series that holds a NaN is NaN throughout. A position below target by no more than the
    coordinate ``resolution``, what rounding of floats alone may do, is no deficit: a partner that
    a contract makes whole has none.

    Parameters
    ----------
    outcomes
        From `riskshare.simulate` or `riskshare.settle`, with ``position`` kept.
    levels
        Of quantiles, and of the confidence of value at risk and tail value at risk; between 0 and
        1, both excluded.

    Returns
    -------
    xarray.Dataset
        On (year, partner), money of the year in the case's currency: ``position_mean``,
        ``position_standard_deviation`` (n - 1), ``position_probability_of_deficit`` (position
        below target; NaN for kinds ``pool`` and ``external``), and ``received_mean``,
        ``paid_mean``, ``cost_mean`` where kept. On (year, partner, level): ``position_quantile``
        (the inverse of the empirical distribution function), ``position_value_at_risk``
        (confidence q: less the quantile at 1 - q), ``position_tail_value_at_risk`` (confidence q:
        expected shortfall of Acerbi and Tasche, right at atoms). Where kept ``line_cost_mean``,
        ``cost_released_mean``, ``stranded_mean``, ``lost_contribution_mean`` on (year, line) and
        ``posting_mean`` on (year, term, partner). Each with ``<name>_error``. Coordinate ``kind``
        is ``group`` for groups.

    Raises
    ------
    ArgumentError
        For outcomes without position, with weights, or without what says who belongs to a group;
        for levels out of bounds.

    Examples
    --------
    >>> import riskshare as rs
    >>> table = rs.summarise(rs.simulate(rs.load_case("msk-toy"), samples=4096, seed=1))
    >>> table.position_mean.dims
    ('year', 'partner')
    >>> table.year.values.tolist()
    ['2018/19', 'all']
    """
    at = _levels(levels)
    _check(outcomes)
    axes = _Axes.of(outcomes)
    replicates = _replicates(outcomes)
    variables = _position(outcomes["position"], axes, at, replicates)
    for name in _MEANS:
        if name in outcomes:
            variables |= _means(outcomes[name], axes, replicates)
    used = {name for dims, _ in variables.values() for name in dims} - {YEAR, PARTNER}
    kept = {k: v.variable for k, v in outcomes.coords.items() if used.issuperset(v.dims)}
    coordinates = kept | axes.coordinates(outcomes) | {LEVEL: at}
    table = xr.Dataset(variables, coordinates, dict(outcomes.attrs))
    _describe(table, outcomes)
    return table.transpose(..., YEAR, LINE, TERM, PARTNER, LEVEL, missing_dims="ignore")


@dataclass(frozen=True)
class _Axes:
    """Years and partners of a summary, and which of the outcomes each of them sums.

    ``years`` has shape (year of the summary, year), ``members`` (partner of the summary, partner).
    """

    year_labels: tuple[Any, ...]
    partner_labels: tuple[Any, ...]
    kinds: tuple[str, ...]
    years: NDArray[np.bool_]
    members: NDArray[np.bool_]

    @classmethod
    def of(cls, outcomes: xr.Dataset) -> "_Axes":
        """Read the axes of outcomes; ``system`` comes before the other groups."""
        count = outcomes.sizes[YEAR]
        groups = sorted(outcomes[GROUP].values.tolist(), key=lambda name: name != SYSTEM)
        membership = outcomes["membership"].sel({GROUP: groups}).transpose(GROUP, PARTNER)
        return cls(
            (*outcomes[YEAR].values.tolist(), ALL_YEARS),
            (*outcomes[PARTNER].values.tolist(), *groups),
            (*outcomes["kind"].values.tolist(), *[_GROUP_KIND] * len(groups)),
            np.vstack([np.eye(count, dtype=bool), np.ones((1, count), bool)]),
            np.vstack(
                [np.eye(outcomes.sizes[PARTNER], dtype=bool), membership.values.astype(bool)]
            ),
        )

    def total(self, by_partner: xr.DataArray) -> xr.DataArray:
        """Return amounts on (year, partner) summed over members and years."""
        rows = by_partner.transpose(..., YEAR, PARTNER)
        shape = (*rows.shape[:-2], len(self.years), len(self.members))
        totals = np.empty(shape)
        for place, total in _series(rows.values[..., None], self, self.members):
            totals[place] = total[0]
        return xr.DataArray(totals, dims=rows.dims)

    def coordinates(self, outcomes: xr.Dataset) -> dict[Hashable, Any]:
        """Return the coordinates of years and partners."""
        totals: dict[Hashable, Any] = {
            name: self.total(outcomes[name]).variable
            for name in ("target", "turnover")
            if name in outcomes.coords
        }
        return {
            YEAR: list(self.year_labels),
            PARTNER: list(self.partner_labels),
            "kind": (PARTNER, list(self.kinds)),
            **totals,
        }


def _levels(levels: Sequence[float]) -> Floats:
    found = np.atleast_1d(np.asarray(levels, dtype=np.float64))
    for level in found:
        if not 0 < level < 1:
            hint = f"; is {level / 100:g} meant?" if 1 <= level < 100 else ""
            raise ArgumentError(f"levels: found {level:g}; accepted: between 0 and 1{hint}")
    if len(np.unique(found)) < len(found):
        raise ArgumentError(f"levels: found {found.tolist()}; accepted: each level once")
    return found


def _check(outcomes: xr.Dataset) -> None:
    if "weight" in outcomes:
        raise ArgumentError("outcomes hold a weight; weighted samples are not supported yet")
    if "position" not in outcomes:
        raise ArgumentError("outcomes lack position; keep it: keep=('position', ...)")
    needed = (YEAR, PARTNER, SAMPLE)
    missing = [name for name in needed if name not in outcomes["position"].dims]
    if missing:
        raise ArgumentError(
            f"position has no dimension {', '.join(missing)}; select with a list to keep one"
        )
    missing = [name for name in ("kind", "target", "membership") if name not in outcomes.coords]
    if missing:
        raise ArgumentError(
            f"outcomes lack the coordinate {', '.join(missing)}; simulate and settle give it"
        )
    if not outcomes.sizes[SAMPLE]:
        raise ArgumentError("outcomes hold no samples")


def _replicates(outcomes: xr.Dataset) -> Replicates:
    if "replicate" not in outcomes:
        return Replicates()
    labels = outcomes["replicate"].transpose(..., SAMPLE).values.reshape(-1, outcomes.sizes[SAMPLE])
    if (labels != labels[0]).any():
        raise ArgumentError("replicate differs along a dimension other than sample")
    return Replicates.labelled(labels[0])


def _position(
    position: xr.DataArray, axes: _Axes, levels: Floats, replicates: Replicates
) -> dict[str, Any]:
    target = position.coords["target"]
    if "resolution" in position.coords:
        target = target - position.coords["resolution"]
    target = axes.total(target)
    target = target.broadcast_like(position.isel({SAMPLE: 0, YEAR: 0, PARTNER: 0}, drop=True))
    targets: Floats = target.transpose(*_extra(position), YEAR, PARTNER).values

    def statistics(place: tuple[int, ...], series: Floats) -> dict[str, Estimate]:
        found = _by_level(series, levels, replicates)
        found["mean"] = mean(series, replicates)
        found["standard_deviation"] = standard_deviation(series, replicates)
        if axes.kinds[place[-1]] not in _WITHOUT_DEFICIT and np.isfinite(targets[place]):
            found["probability_of_deficit"] = probability_below(series, targets[place], replicates)
        return found

    return _collect(position, axes, tuple(_LONG_NAMES), len(levels), statistics)


def _by_level(series: Floats, levels: Floats, replicates: Replicates) -> dict[str, Estimate]:
    ordered = np.sort(series)
    both = np.unique(np.concatenate([levels, 1 - levels]).round(12))
    found = quantiles(series, ordered, both, replicates)
    at, tail = (np.searchsorted(both, level.round(12)) for level in (levels, 1 - levels))
    return {
        "quantile": Estimate(found.value[at], found.error[at]),
        "value_at_risk": Estimate(-found.value[tail], found.error[tail]),
        "tail_value_at_risk": tail_values_at_risk(series, ordered, levels, replicates),
    }


def _means(variable: xr.DataArray, axes: _Axes, replicates: Replicates) -> dict[str, Any]:
    def statistics(place: tuple[int, ...], series: Floats) -> dict[str, Estimate]:
        return {"mean": mean(series, replicates)}

    return _collect(variable, axes, ("mean",), 0, statistics)


def _collect(
    variable: xr.DataArray,
    axes: _Axes,
    names: tuple[str, ...],
    levels: int,
    statistics: Callable[[tuple[int, ...], Floats], dict[str, Estimate]],
) -> dict[str, Any]:
    """Return statistics of every series of a variable; NaN where one is not finite."""
    extra, by_partner = _extra(variable), PARTNER in variable.dims
    values = variable.transpose(*extra, YEAR, *[PARTNER] * by_partner, SAMPLE).values
    members = axes.members if by_partner else np.ones((1, 1), bool)
    if not by_partner:
        values = values[..., None, :]
    shape = (*values.shape[:-3], len(axes.years), len(members))
    found = {
        f"{name}{ending}": np.full((*shape, levels) if name in _BY_LEVEL else shape, np.nan)
        for name in names
        for ending in ("", "_error")
    }
    for place, series in _series(values, axes, members):
        if np.isfinite(series.sum()):
            for name, estimate in statistics(place, series).items():
                found[name][place], found[f"{name}_error"][place] = estimate
    dims = (*extra, YEAR, *[PARTNER] * by_partner)
    return {
        f"{variable.name}_{name}": (
            (*dims, LEVEL) if array.ndim > len(shape) else dims,
            array if by_partner else array[..., 0],
        )
        for name, array in found.items()
    }


def _extra(variable: xr.DataArray) -> tuple[str, ...]:
    return tuple(str(name) for name in variable.dims if name not in (YEAR, PARTNER, SAMPLE))


def _series(
    values: NDArray[Any], axes: _Axes, members: NDArray[np.bool_]
) -> Iterator[tuple[tuple[int, ...], Floats]]:
    """Yield place and samples of each series of (..., year, partner, sample), in float64."""
    for place in np.ndindex(*values.shape[:-3]):
        rows = values[place]
        for y, years in enumerate(axes.years):
            for p, group in enumerate(members):
                total = np.zeros(values.shape[-1])
                for year in np.flatnonzero(years):
                    for member in np.flatnonzero(group):
                        total += rows[year, member]
                yield (*place, y, p), total


def _describe(table: xr.Dataset, outcomes: xr.Dataset) -> None:
    """Say what each variable is and in which unit."""
    currency = str(outcomes.attrs.get("currency", ""))
    sources = ("position", *(name for name in _MEANS if name in outcomes))
    for source in sources:
        what = outcomes[source].attrs.get("long_name", source.replace("_", " "))
        for statistic, words in _LONG_NAMES.items():
            name = f"{source}_{statistic}"
            if name in table:
                units = "1" if statistic == "probability_of_deficit" else currency
                table[name].attrs = {"long_name": f"{words}: {what}", "units": units}
                table[f"{name}_error"].attrs = {
                    "long_name": f"standard error of the {words}",
                    "units": units,
                }
    table[LEVEL].attrs["long_name"] = "level of a quantile, confidence of a value at risk"
    table["target"].attrs["units"] = currency
