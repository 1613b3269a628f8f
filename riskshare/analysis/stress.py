"""Stress scenarios on top of the same draws, and which targets stop holding in them."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.analysis.compare import contrasted
from riskshare.analysis.conditions import Condition, conditions_of
from riskshare.analysis.paired import BY_LEVEL
from riskshare.bind import Bound
from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.parameters import split_path
from riskshare.plan import year_bounds
from riskshare.run.sampling import REPLICATES, sampling_of
from riskshare.run.settle import settle
from riskshare.run.simulate import draw
from riskshare.run.tables import ready
from riskshare.summary import levels_of

Numbers = NDArray[np.float64]
Sizes = float | Sequence[float]

AS_DRAWN = "as drawn"
"""The scenario that the others are held against."""

_ACTS = {"activity": "activity", "case_mix": "case_mix", "unit_cost": "unit_cost"}
_KEPT = ("position", "cost")
_STATISTICS = ("mean", "standard_deviation", "probability_of_deficit", *BY_LEVEL)
_LEAST, _MOST = -0.9, 10.0


@dataclass(frozen=True)
class _Scenario:
    """A scenario: its name, the family it is of, its size, and how its outcomes come about."""

    name: str
    family: str
    size: float
    outcomes: Callable[[], xr.Dataset]


def stress(
    case: Case,
    scenarios: Mapping[str, Mapping[str, float]] | None = None,
    *,
    shock: Sizes = 0.05,
    trend: Sizes = 0.02,
    benchmark: Sizes = 0.02,
    coding: Sizes = 0.02,
    late: Sizes = 0.02,
    targets: str | Sequence[str] = (),
    samples: int = 16_384,
    seed: int = 1,
    levels: Sequence[float] = (0.05, 0.95),
    workers: int | None = None,
) -> xr.Dataset:
    """Settle a case under stress scenarios, on the same draws, and take the differences.

    What happens is drawn once. Each built-in scenario changes it, or what the contract believes of
    it, and the rest stays: contracts, plan and budgets are those of the case.

    ============= ==================================================================================
    ``shock``     the level of a driver is ``1 + x`` times what is drawn, in every year: what it
                  acts on times ``(1 + x)^loading``, line by line. One scenario for each driver that
                  acts on activity, case mix, unit cost or funding
    ``trend``     a driver grows by x a year more than is drawn: ``(1 + x)^t``, t the years from the
                  start of the first year to the middle of each
    ``benchmark`` the plan of every line, and every stated amount of a budget (``base``, ``rate``,
                  ``unit_rate``), is x too high; what happens stays, and so does what it costs
    ``coding``    the case mix that is recorded and paid for is x above that of the patients, whose
                  cost stays
    ``late``      a share x of all activity is not in the data when the contract is settled; its
                  cost is borne all the same. The ``completion`` of a pool corrects for it
    ============= ==================================================================================

    Of a line with a capacity what is treated stays within it. Scenarios of numbers by path change
    the case itself: draws, plan and budgets follow the number, with the same random bits.

    Parameters
    ----------
    case
        The case.
    scenarios
        Numbers by path, by name of the scenario: besides the built-in ones.
    shock, trend, benchmark, coding, late
        Size of each family, or several; 0 leaves it out. From -0.9 to 10; late from 0 to 0.9.
    targets
        Conditions such as ``"position_probability_of_deficit[acute] <= 0.1"``: the statistic of a
        partner or group, over all years unless a year is named.
    samples, seed, workers
        As in `riskshare.simulate`.
    levels
        Of quantiles, and of confidence.

    Returns
    -------
    xarray.Dataset
        On (scenario, year, partner), the first scenario being that of the draws as they are
        (``attrs["against"]``): the ``position_*`` statistics of `riskshare.summarise`, and
        ``difference_mean``, ``difference_standard_deviation``,
        ``difference_probability_of_deficit``; on (scenario, year, partner, level)
        ``difference_quantile``, ``difference_value_at_risk``, ``difference_tail_value_at_risk``:
        the scenario less the draws as they are. Each with ``<name>_error``, that of the pair. On
        (scenario, target): ``target_value``, ``target_value_error`` and ``target_met``. Coordinates
        ``family`` and ``size`` on scenario; ``limit`` on target.

    Raises
    ------
    ArgumentError
        For a size out of bounds, a condition that cannot be read, a path that is not in the case,
        or where nothing is left to be done.
    CaseError
        For numbers that the case cannot have.

    Examples
    --------
    >>> import riskshare as rs
    >>> case = rs.load_case("msk-toy")
    >>> found = rs.stress(case, targets="position_mean[acute] >= -100000", samples=1024)
    >>> found.scenario.values.tolist()[:3]
    ['as drawn', 'shock: demand +5 %', 'shock: case-mix +5 %']
    >>> bool(found.target_met.sel(scenario="shock: demand +5 %").item())
    False

    See Also
    --------
    riskshare.discover : Where in ranges of belief a condition stops holding.
    riskshare.compare : Several contracts on the same draws.
    """
    sizes = {
        "shock": _sizes("shock", shock),
        "trend": _sizes("trend", trend),
        "benchmark": _sizes("benchmark", benchmark),
        "coding": _sizes("coding", coding),
        "late": _sizes("late", late, 0.0, 0.9),
    }
    conditions = conditions_of("targets", targets, case)
    stated = [level for c in conditions if (level := c.level) is not None]
    at = np.unique(np.round([*levels_of(levels), *stated], 12))
    others = {name: case.with_numbers(dict(v)) for name, v in (scenarios or {}).items()}
    sampling = sampling_of(samples, seed, "sobol", REPLICATES)
    bound = ready(case)
    drawn = draw(case, samples=samples, seed=seed, workers=workers)

    def settled(of: Case, experience: xr.Dataset) -> xr.Dataset:
        return settle(of, experience, keep=_KEPT, workers=workers)

    base = settled(case, drawn)
    planned = [_Scenario(AS_DRAWN, "", 0.0, lambda: base)]
    planned += _drivers(case, bound, drawn, sizes, settled)
    planned += _benchmarks(case, bound, drawn, sizes["benchmark"], settled)
    planned += _recorded(case, drawn, base, sizes, settled)

    def drawn_anew(of: Case) -> xr.Dataset:
        return settled(of, draw(of, samples=samples, seed=seed, workers=workers))

    for name, other in others.items():
        planned.append(_Scenario(name, "numbers", np.nan, partial(drawn_anew, other)))
    _check_names(planned)
    runs = {one.name: one.outcomes().drop_vars("cost") for one in planned}
    table = _table(contrasted(runs, AS_DRAWN, at), planned, conditions)
    return table.assign_attrs(sampling.attributes(samples))


def _sizes(
    name: str, sizes: Sizes, least: float = _LEAST, most: float = _MOST
) -> tuple[float, ...]:
    accepted = f"accepted: a number from {least:g} to {most:g}, or several; 0.05 is 5 %"
    try:
        found = [float(size) for size in np.atleast_1d(np.asarray(sizes, dtype=object))]
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} is {sizes!r}; {accepted}") from None
    for size in found:
        if not least <= size <= most:
            hint = f"; is {size / 100:g} meant?" if most < size <= 100 else ""
            raise ArgumentError(f"{name} is {size:g}; {accepted}{hint}")
    return tuple(size for size in dict.fromkeys(found) if size)


def _check_names(planned: Sequence[_Scenario]) -> None:
    names = [scenario.name for scenario in planned]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ArgumentError(f"scenarios: {twice!r} is the name of a built-in one; choose another")
    if len(names) < 2:
        raise ArgumentError("scenarios: none are left; give a size that is not 0, or numbers")


def _said(size: float) -> str:
    return f"{100 * size:+g} %"


Settle = Callable[[Case, xr.Dataset], xr.Dataset]


def _drivers(
    case: Case,
    bound: Bound,
    drawn: xr.Dataset,
    sizes: Mapping[str, tuple[float, ...]],
    settled: Settle,
) -> Iterator[_Scenario]:
    """Yield shocks and then trends of each driver that moves anything."""
    start, end = year_bounds(case)
    times = {"shock": np.ones(len(start)), "trend": (start + end) / 2}
    rate = {"shock": "", "trend": " a year"}
    for family, time in times.items():
        for size in sizes[family]:
            for row, driver in enumerate(case.drivers):
                loading = bound.plan.loadings[:, row]
                if driver.acts_on not in (*_ACTS, "funding"):
                    continue
                if driver.acts_on in _ACTS and not loading.any():
                    continue

                def outcomes(
                    name: str = driver.name,
                    acted: str = driver.acts_on,
                    factor: Numbers = (1 + size) ** time,
                    power: Numbers = loading,
                ) -> xr.Dataset:
                    moved = _moved(case, bound, drawn, name, acted, factor, power)
                    return settled(case, moved)

                name = f"{family}: {driver.name} {_said(size)}{rate[family]}"
                yield _Scenario(name, family, size, outcomes)


def _moved(
    case: Case,
    bound: Bound,
    drawn: xr.Dataset,
    driver: str,
    acted: str,
    factor: Numbers,
    power: Numbers,
) -> xr.Dataset:
    """Return draws in which a driver is so many times what it was, by year."""
    index = drawn.driver_index.copy()
    by_year = xr.DataArray(factor, dims="year", coords={"year": drawn.year})
    index.loc[{"driver": driver}] = index.sel(driver=driver) * by_year
    found = drawn.assign(driver_index=index)
    if acted not in _ACTS:
        return found
    times = xr.DataArray(factor[:, None] ** power, dims=("year", "line"))
    old = drawn[_ACTS[acted]]
    new = (old * times).astype(old.dtype)
    if acted != "activity":
        return found.assign({_ACTS[acted]: new})
    return _within_capacity(case, bound, found.assign(activity=new), drawn, times)


def _within_capacity(
    case: Case, bound: Bound, found: xr.Dataset, drawn: xr.Dataset, times: xr.DataArray
) -> xr.Dataset:
    """Return draws in which lines with a capacity treat no more than it.

    All who ask in a year, the backlog included, are so many times as many; who is not treated waits
    as before, and a longer list is not carried into the next year.
    """
    if "waiting_list" not in drawn:
        return found
    activity, waiting = found.activity.copy(), drawn.waiting_list.copy()
    for row in bound.structure.limited:
        limit = case.lines[row].capacity
        assert limit is not None
        stays = 1 - float(limit.leaving)
        at = {"line": row}
        unmet = drawn.waiting_list.isel(at) / stays if stays > 0 else 0.0
        asked = (drawn.activity.isel(at) + unmet) * times.isel(at)
        units = xr.DataArray(bound.plan.capacity[:, row], dims="year")
        treated = np.minimum(asked, units)
        activity[at] = treated.transpose(*activity.isel(at).dims).astype(activity.dtype)
        left = (asked - treated) * stays
        waiting[at] = left.transpose(*waiting.isel(at).dims).astype(waiting.dtype)
    return found.assign(activity=activity, waiting_list=waiting)


def _benchmarks(
    case: Case, bound: Bound, drawn: xr.Dataset, sizes: tuple[float, ...], settled: Settle
) -> Iterator[_Scenario]:
    for size in sizes:
        other = overstated(case, bound, size)
        name = f"benchmark: plan {_said(size)}"
        yield _Scenario(name, "benchmark", size, partial(settled, other, drawn))


def overstated(case: Case, bound: Bound, size: float) -> Case:
    """Return the case with the plan of every line and every stated budget so much too high."""
    view = bound.plan.view
    stated = (1 + size) * view.plan / view.fraction[:, None]
    lines = tuple(
        dataclasses.replace(line, plan=stated[:, row].tolist())
        for row, line in enumerate(case.lines)
    )
    heads = {
        f"{contract.name}.{budget.name}.{field}"
        for contract in case.contracts
        for budget in contract.budgets
        for field in ("base", "rate", "unit_rate")
    }
    higher = {
        path: (1 + size) * value
        for path, value in case.numbers().items()
        if path in heads or split_path(path)[0] in heads
    }
    return dataclasses.replace(case, lines=lines).with_numbers(higher)


def _recorded(
    case: Case,
    drawn: xr.Dataset,
    base: xr.Dataset,
    sizes: Mapping[str, tuple[float, ...]],
    settled: Settle,
) -> Iterator[_Scenario]:
    """Yield settlements on what is recorded; the cost of what happened is borne."""
    families = {
        "coding": ("case_mix", 1.0, "case mix {:+g} %"),
        "late": ("activity", -1.0, "{:g} % of activity missing"),
    }
    for family, (variable, sign, words) in families.items():
        for size in sizes[family]:

            def outcomes(variable: str = variable, factor: float = 1 + sign * size) -> xr.Dataset:
                seen = (drawn[variable] * factor).astype(drawn[variable].dtype)
                found = settled(case, drawn.assign({variable: seen}))
                return found.assign(position=found.position + found.cost - base.cost)

            yield _Scenario(f"{family}: {words.format(100 * size)}", family, size, outcomes)


def _table(
    found: xr.Dataset, planned: Sequence[_Scenario], conditions: Sequence[Condition]
) -> xr.Dataset:
    """Return the comparison under the words of scenarios, and what becomes of targets."""
    names = [f"{lead}_{name}" for lead in ("position", "difference") for name in _STATISTICS]
    kept = [name for one in names for name in (one, f"{one}_error")]
    drop = {"contract", "case", "case_digest"}
    table = found[kept].drop_vars(drop & set(found.coords)).rename_dims(contract="scenario")
    table = table.assign_coords(
        scenario=[one.name for one in planned],
        family=("scenario", [one.family for one in planned]),
        size=("scenario", [one.size for one in planned]),
    )
    if not conditions:
        return table
    picked = [condition.picked(table) for condition in conditions]
    value = np.stack([one.values for one, _ in picked], axis=-1)
    error = np.stack([one.values for _, one in picked], axis=-1)
    met = [np.asarray(c.margin(value[:, i]) >= 0) for i, c in enumerate(conditions)]
    dims = ("scenario", "target")
    variables: dict[str, Any] = {
        "target_value": (dims, value),
        "target_value_error": (dims, error),
        "target_met": (dims, np.stack(met, axis=-1)),
    }
    return table.assign(variables).assign_coords(
        target=[condition.text for condition in conditions],
        limit=("target", [condition.limit for condition in conditions]),
    )
