"""Contracts against each other: settled on the same samples, with the error of each difference.

What happens is the same under every contract, so most of what makes two results uncertain is in
both and goes when one is taken from the other. `riskshare.analysis.paired` has the statistics of
one partner in one year, `riskshare.analysis.dominance` says which contract is better for everybody.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from riskshare.analysis.paired import (
    BY_LEVEL,
    GAINS,
    VIOLATIONS,
    Side,
    differences,
    gains,
    ordering,
)
from riskshare.analysis.systems import differing, refuse_strangers
from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.names import LEVEL, LEVELS, PARTNER, YEAR
from riskshare.outcomes import coordinates
from riskshare.run.chunks import Progress
from riskshare.run.memory import outcome_bytes, refuse_too_large
from riskshare.run.precision import dtype_of
from riskshare.run.sampling import REPLICATES, sampling_of
from riskshare.run.simulate import SAMPLES, simulate
from riskshare.run.tables import ready
from riskshare.statistics import Floats, Replicates
from riskshare.summary import levels_of, summarise
from riskshare.summary.axes import WITHOUT_DEFICIT, Axes, series
from riskshare.summary.money import discount_rate_of, year_weights
from riskshare.summary.samples import counting, replicates_of

CONTRACT = "contract"
"""The dimension along which contracts stand."""

_STATISTICS = ("mean", "standard_deviation", "probability_of_deficit", *BY_LEVEL)
_DIFFERENCES = tuple(f"difference_{name}" for name in _STATISTICS)
_LEVELLED = (*(f"difference_{name}" for name in BY_LEVEL), "gain_quantile")
_CHANCES = ("difference_probability_of_deficit", "probability_better", "probability_worse")


def compare(
    contracts: Mapping[str, Case] | Sequence[Case],
    *,
    against: str | None = None,
    samples: int | None = None,
    seed: int = 1,
    sampler: str | None = None,
    replicates: int = REPLICATES,
    precision: str = "float32",
    levels: Sequence[float] = LEVELS,
    discount_rate: float | None = None,
    prices: str = "nominal",
    directions: xr.DataArray | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Settle several contracts on the same samples and take the differences, each with its error.

    Each case is simulated with the same seed. Random bits belong to a seed and a column, so lines
    and drivers that two cases share are drawn alike, and with x and y the positions of a partner
    under a contract and under the reference, sample by sample,

    ``difference of T = T(x) - T(y)``, ``its error = error of the mean of I_T(x) - I_T(y)``

    for every statistic T, I_T being the influence value of a sample: x for a mean, ``((x - m)^2 -
    s^2) / 2 s`` for a standard deviation, ``1(x < t)`` for a probability, ``-1(x < q) / f`` for a
    quantile at density f, ``-min(x - q, 0) / a`` for a tail value at risk. Errors are between
    replicates. What both contracts have in common cancels; where one makes a partner safe there is
    nothing in common, and the error is that of the other alone.

    **Dominance.** With F and G the distribution functions of x and y, the contract is preferred by
    whoever likes more money where ``F <= G`` everywhere (first order), and by whoever also shuns
    risk where ``E[(t - x)+] <= E[(t - y)+]`` for all t (second order). ``*_violation`` is the most
    by which that fails. It holds where the violation is within 2 of its standard errors, and
    ``dominance`` says: ``first``, ``second``; ``dominated-first``, ``dominated-second`` where it
    holds of the reference; ``same`` where first order holds both ways; ``none``.

    Parameters
    ----------
    contracts
        At least two cases, by name; or a sequence, named by `Case.name`. Partners, years and
        currency must be the same in all. `riskshare.variants` makes the usual ones from a case.
    against
        The contract that the others are held against; the first unless named.
    samples, seed, sampler, replicates, precision, workers, directions
        As in `riskshare.simulate`. Directions must come from one contract; those of a tail make
        samples weighted, and every statistic here honours weights.
    levels, discount_rate, prices
        As in `riskshare.summarise`.
    progress
        Called with the samples done and those there will be, over all contracts.

    Returns
    -------
    xarray.Dataset
        On (contract, year, partner), groups and all years included: the ``position_*`` statistics
        of `riskshare.summarise` (and ``total_*``, ``reserve_*`` where cases have them);
        ``difference_mean``, ``difference_standard_deviation``,
        ``difference_probability_of_deficit``; of the difference x - y itself
        ``gain_standard_deviation``, and the share of samples in which the contract leaves a partner
        ``probability_better`` and ``probability_worse``, by more than the rounding of floats may;
        ``dominates_first_violation``, ``dominated_first_violation`` (probabilities),
        ``dominates_second_violation``, ``dominated_second_violation`` (money); ``dominance``. On
        (contract, year, partner, level): ``difference_quantile``, ``difference_value_at_risk``,
        ``difference_tail_value_at_risk``, ``gain_quantile``. All but the word with
        ``<name>_error``. Coordinates on contract: ``case``, ``case_digest``, ``same_system``
        (whether all but contracts, names, targets and notes is as in the reference) and
        ``differs`` (the paths that are not: what they act on is then drawn differently as well).
        ``attrs["against"]`` names the reference.

    Raises
    ------
    ArgumentError
        For fewer than two contracts, names that are not unique, a reference that is not among
        them, or cases with different partners, years or currency: before anything is simulated.

    Examples
    --------
    >>> import riskshare as rs
    >>> case = rs.load_case("msk-toy")
    >>> mild = case.with_numbers({"msk.marginal-rate.rate[outpatients]": 0.2})
    >>> table = rs.compare({"as agreed": case, "20 %": mild}, samples=4096)
    >>> acute = table.sel(contract="20 %", partner="acute", year="all")
    >>> bool(acute.difference_mean_error < acute.position_mean_error)
    True

    See Also
    --------
    riskshare.variants : Block, activity payment, blended, capitated and pooled versions of a case.
    """
    cases = _named(contracts)
    reference = _reference(cases, against)
    at, rate = levels_of(levels), discount_rate_of(discount_rate)
    refuse_strangers(cases, reference)
    for case in cases.values():  # real prices need a deflator: say so before the work
        year_weights(xr.Dataset(coords=coordinates(case)), rate, prices)
    others = all(any(p.other_position is not None for p in c.partners) for c in cases.values())
    keep = ("position", "other_position") if others else ("position",)
    sampling = sampling_of(
        SAMPLES if samples is None else samples, seed, sampler or "sobol", replicates
    )
    dtype = dtype_of(precision)
    needed = (outcome_bytes(ready(case), keep, sampling.samples, dtype) for case in cases.values())
    what = f"positions of {len(cases)} contracts in {sampling.samples:,} samples"
    refuse_too_large(sum(needed), what, "take fewer samples, or fewer contracts at a time")
    runs = {
        name: simulate(
            case,
            samples=samples,
            seed=seed,
            sampler=sampler,
            replicates=replicates,
            precision=precision,
            keep=keep,
            directions=directions,
            workers=workers,
            progress=_part(progress, i, len(cases)),
        )
        for i, (name, case) in enumerate(cases.items())
    }
    table = contrasted(runs, reference, at, rate, prices)
    apart = [differing(cases[reference], case) for case in cases.values()]
    return table.assign_coords(
        same_system=(CONTRACT, [not paths for paths in apart]),
        differs=(CONTRACT, [", ".join(paths) for paths in apart]),
    )


def contrasted(
    runs: Mapping[str, xr.Dataset],
    reference: str,
    levels: Floats,
    discount_rate: float = 0.0,
    prices: str = "nominal",
) -> xr.Dataset:
    """Return the comparison of outcomes on the same samples; parameters as those of `compare`."""
    runs = {name: counting(run) for name, run in runs.items()}
    replicates = _shared(runs, reference)
    tables = {
        name: summarise(run, levels=levels.tolist(), discount_rate=discount_rate, prices=prices)
        for name, run in runs.items()
    }
    table = _joined(tables)
    found = _empty(table, len(levels))
    words = np.full([table.sizes[dim] for dim in (CONTRACT, YEAR, PARTNER)], "same", dtype=object)
    places = list(runs)
    for place, of, tolerances in _sides(runs, levels, replicates, discount_rate, prices):
        other = of[reference]
        for name, one in of.items():
            where = (places.index(name), *place)
            tolerance = tolerances[name] + tolerances[reference]
            order = ordering(one, other, tolerance)
            words[where] = order.word
            values = {f"difference_{k}": v for k, v in differences(one, other).items()}
            values |= gains(one, other, tolerance)
            values |= dict(zip(VIOLATIONS, order, strict=True))
            for statistic, (value, error) in values.items():
                found[statistic][where], found[f"{statistic}_error"][where] = value, error
    dims = (CONTRACT, YEAR, PARTNER)
    variables: dict[str, Any] = {
        name: ((*dims, LEVEL) if array.ndim > len(dims) else dims, array)
        for name, array in found.items()
    }
    table = table.assign(variables).assign(dominance=(dims, words.astype(str)))
    table.attrs["against"] = reference
    _describe(table)
    return table


def _named(contracts: Mapping[str, Case] | Sequence[Case]) -> dict[str, Case]:
    accepted = "accepted: a mapping from names to cases, or a sequence of cases"
    if isinstance(contracts, Case) or not isinstance(contracts, (Mapping, Sequence)):
        raise ArgumentError(f"contracts is {type(contracts).__name__}; {accepted}, at least two")
    by_name = isinstance(contracts, Mapping)
    cases = list(contracts.values() if by_name else contracts)  # type: ignore[union-attr]  # a mapping
    strange = next((case for case in cases if not isinstance(case, Case)), None)
    if strange is not None:
        raise ArgumentError(
            f"contracts holds {strange!r}; {accepted}; riskshare.load_case reads one"
        )
    names = [str(name) for name in contracts] if by_name else [case.name for case in cases]
    if len(cases) < 2:
        raise ArgumentError(
            f"contracts holds {len(cases)}; accepted: at least two; riskshare.variants(case) makes "
            "five of one"
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ArgumentError(
            f"contracts: {names.count(twice)} are called {twice!r}; names must be unique: give a "
            f"mapping, {{'first': case, 'second': other}}"
        )
    return dict(zip(names, cases, strict=True))


def _reference(cases: Mapping[str, Case], against: str | None) -> str:
    if against is None:
        return next(iter(cases))
    if against not in cases:
        raise ArgumentError(f"against is {against!r}; accepted: one of {', '.join(cases)}")
    return against


def _part(progress: Progress | None, number: int, count: int) -> Progress | None:
    """Return what reports one run as a part of all."""
    if progress is None:
        return None
    return lambda done, total: progress(number * total + done, count * total)


def _shared(runs: Mapping[str, xr.Dataset], reference: str) -> Replicates:
    """Return the replicates and weights of samples, which must be the same in all runs."""
    for name in ("replicate", "weight"):
        own = runs[reference].get(name)
        for label, run in runs.items():
            if (own is None) != (name not in run) or not (
                own is None or np.array_equal(own.values, run[name].values)
            ):
                raise ArgumentError(
                    f"contracts: samples of {label!r} and of {reference!r} differ in {name}; "
                    "accepted: runs of the same samples, so take directions from one contract with "
                    "the lines and drivers of all"
                )
    return replicates_of(runs[reference])


def _sides(
    runs: Mapping[str, xr.Dataset],
    levels: Floats,
    replicates: Replicates,
    discount_rate: float,
    prices: str,
) -> Iterator[tuple[tuple[int, ...], dict[str, Side], dict[str, float]]]:
    """Yield each year and partner of the summary: its samples, and what rounding may do to them."""
    rows, thresholds, resolutions = {}, {}, {}
    for name, run in runs.items():
        axes = Axes.of(run, *year_weights(run, discount_rate, prices))
        _, weights, (position,) = axes.arranged(run["position"])
        rows[name] = series((position,), weights, axes.members)
        resolutions[name] = axes.total(run["resolution"]).values
        may = ~np.isin(axes.kinds, WITHOUT_DEFICIT)
        target = axes.total(run["target"] - run["resolution"]).values
        thresholds[name] = np.where(may, target, np.nan)
    for at in zip(*rows.values(), strict=True):
        place = at[0][0]
        yield (
            place,
            {
                name: Side(values, levels, replicates, float(thresholds[name][place]))
                for name, (_, values) in zip(rows, at, strict=True)
            },
            {name: float(resolution[place]) for name, resolution in resolutions.items()},
        )


def _joined(tables: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Return the summaries side by side, with what all of them have."""
    names = set.intersection(*(set(table.variables) for table in tables.values()))
    parts = [
        table.drop_vars([name for name in table.variables if name not in names]).assign_coords(
            case=table.attrs["case"], case_digest=table.attrs["case_digest"]
        )
        for table in tables.values()
    ]
    joined = xr.concat(
        parts,
        xr.DataArray(list(tables), dims=CONTRACT, name=CONTRACT),
        data_vars="all",
        coords="different",
        compat="equals",
        join="override",
        combine_attrs="drop_conflicts",
    )
    for name in ("case", "case_digest"):
        if CONTRACT not in joined[name].dims:  # the same in all
            joined[name] = joined[name].expand_dims({CONTRACT: joined.sizes[CONTRACT]})
    return joined.set_coords(["case", "case_digest"])


def _empty(table: xr.Dataset, levels: int) -> dict[str, Floats]:
    shape = tuple(table.sizes[dim] for dim in (CONTRACT, YEAR, PARTNER))
    return {
        f"{name}{ending}": np.full((*shape, levels) if name in _LEVELLED else shape, np.nan)
        for name in (*_DIFFERENCES, *GAINS, *VIOLATIONS)
        for ending in ("", "_error")
    }


_LONG_NAMES = {
    "gain_standard_deviation": "standard deviation of the position less that of the reference",
    "gain_quantile": "quantile at the level of the position less that of the reference",
    "probability_better": "probability of a position above that under the reference",
    "probability_worse": "probability of a position below that under the reference",
    "dominates_first_violation": "most by which F exceeds that of the reference",
    "dominated_first_violation": "most by which F of the reference exceeds this one",
    "dominates_second_violation": "most by which E[(t - x)+] exceeds that of the reference",
    "dominated_second_violation": "most by which E[(t - x)+] of the reference exceeds this one",
}


def _describe(table: xr.Dataset) -> None:
    """Say what each variable is and in which unit."""
    currency = str(table.attrs.get("currency", ""))
    chances = (*_CHANCES, "dominates_first_violation", "dominated_first_violation")
    for name in (*_DIFFERENCES, *GAINS, *VIOLATIONS):
        statistic = name.removeprefix("difference_")
        words = _LONG_NAMES.get(
            name, f"{statistic.replace('_', ' ')} of the position less that under the reference"
        )
        units = "1" if name in chances else currency
        table[name].attrs = {"long_name": words, "units": units}
        table[f"{name}_error"].attrs = {"long_name": f"standard error: {words}", "units": units}
    table["dominance"].attrs = {"long_name": "what the contract is to the reference"}
