"""Attribution: what makes up each position, by driver, by term, by line and by year.

Runs the kernel with some of what is uncertain at plan (`coalitions`), shares out what each adds
(`shapley`), and splits the statistics of each position among its parts (`allocation`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from riskshare.analysis.shares import levels_of, shares_table
from riskshare.analysis.split import AXES, split_positions
from riskshare.case import Case
from riskshare.names import DRIVER, LINE, PARTNER, SAMPLE, TERM, YEAR
from riskshare.outcomes import coordinates
from riskshare.run.sampling import REPLICATES
from riskshare.statistics import Floats
from riskshare.summary.axes import Axes
from riskshare.summary.money import discount_rate_of, year_weights


def attribute(
    case: Case,
    *,
    samples: int = 16_384,
    seed: int = 1,
    replicates: int = REPLICATES,
    levels: Sequence[float] = (0.95,),
    by: Sequence[str] = AXES,
    groups: Mapping[str, Sequence[str]] | None = None,
    permutations: int | None = None,
    discount_rate: float | None = None,
    prices: str = "nominal",
    workers: int | None = None,
) -> xr.Dataset:
    """Split every position exactly by driver, by term, by line and by year.

    **By driver.** The value of a set S of drivers is the position when those in S are as drawn and
    all others at plan; each driver gets the Shapley value of this game, what it adds averaged over
    all orders in which drivers may come. In every sample ``plan + plan gap + sum over drivers =
    position``. ``alone`` is what a driver does by itself, and ``interaction`` what it does in
    company beyond that: it is there because cost is a product and terms bend. Chance (noise of
    lines) is a driver. ``plan gap`` is what the position is at indices of 1 less what it is at
    plan, where a plan was set apart from its parts.

    **By term** the parts are what each term moves and, with its sign, ``cost``; **by line** what
    terms move for the line less its cost, ``contract`` (what terms move for no line) and
    ``changes`` (what changes cost to run); **by year** the years of the row ``all``; **by member**
    the partners of the system.

    **Statistics** of a sum split by Euler's rule: the standard deviation in
    ``cov(part, position) / sd``, value at risk in ``-E[part | position = quantile]``, tail value at
    risk in ``-E[part | position in its worst 1 - q]``, atoms split as Acerbi and Tasche (2002) do.
    A part may be negative: it then makes the position safer.

    Parameters
    ----------
    case
        The case.
    samples, seed, replicates, workers
        As in `riskshare.simulate`. There are as many runs as coalitions, 2^n for n drivers up to 7,
        so fewer samples than there.
    levels
        Confidences of value at risk and tail value at risk, above 0 and below 1.
    by
        What to split by, out of ``driver`` (which takes the time), ``term``, ``line``, ``year``
        and ``member``; all of them unless given.
    groups
        Drivers to be taken as one: names by the name of the group. Names are those of drivers,
        ``members[<population>]``, ``delivery[<change>]``, ``delay[<change>]``,
        ``quality[<partner>]`` and ``chance``.
    permutations
        Random orders for each replicate, an even number, in place of all coalitions. Unless given,
        4 where there are more than 7 drivers; the standard errors hold what they leave uncertain.
    discount_rate, prices
        As in `riskshare.summarise`.

    Returns
    -------
    xarray.Dataset
        ``position_mean``, ``position_standard_deviation`` on (year, partner),
        ``position_value_at_risk``, ``position_tail_value_at_risk`` on (level, year, partner), and
        their parts ``<name>_by_driver`` on (driver, ...), ``<name>_by_term`` on (term, ...),
        ``<name>_by_line`` on (line, ...), ``<name>_by_year`` (parts of the row ``all``, so without
        it) and ``<name>_by_member`` on (member, ...) of the system, (member, year). ``alone_mean``,
        ``interaction_mean``, ``interaction_standard_deviation`` on (driver, year, partner).
        ``position_at_plan`` on (year, partner), and its parts ``position_at_plan_by_<axis>`` by
        term, line, year and member. Each statistic with ``<name>_error``, its Monte Carlo standard
        error between replicates. Groups and all years as in `riskshare.summarise`.

    Raises
    ------
    ArgumentError
        For levels out of bounds, unknown names in groups, an odd number of permutations, and sizes
        that do not fit the memory.

    Examples
    --------
    >>> import riskshare as rs
    >>> parts = rs.attribute(rs.load_case("msk-toy"), samples=4096)
    >>> acute = parts.sel(partner="acute", year="all")
    >>> bool(abs(acute.position_mean_by_driver.sum() - acute.position_mean) < 1e-6)
    True

    See Also
    --------
    riskshare.attribution_samples : The parts of each sample.
    riskshare.influence : Who bears what, against who controls it.
    """
    confidences = levels_of(levels)
    rate = discount_rate_of(discount_rate)
    year_weights(xr.Dataset(coords=coordinates(case)), rate, prices)  # refuses before the work
    split = split_positions(case, samples, seed, replicates, groups, permutations, workers, by)
    yearly, summed = year_weights(split.outcomes, rate, prices)
    found = shares_table(split, Axes.of(split.outcomes, yearly, summed), confidences)
    return found.assign_attrs(split.outcomes.attrs | {"discount_rate": rate, "prices": prices})


def attribution_samples(
    case: Case,
    *,
    samples: int = 4096,
    seed: int = 1,
    replicates: int = REPLICATES,
    by: Sequence[str] = (DRIVER, TERM, LINE),
    groups: Mapping[str, Sequence[str]] | None = None,
    permutations: int | None = None,
    workers: int | None = None,
) -> xr.Dataset:
    """Return the parts of every position in every sample.

    Parameters are those of `attribute`, and so are the parts.

    Returns
    -------
    xarray.Dataset
        ``position`` on (year, partner, sample), as `riskshare.simulate` has it; its parts
        ``position_by_driver`` on (driver, year, partner, sample), ``position_by_term``,
        ``position_by_line``; ``alone`` on (driver, year, partner, sample); ``replicate``.

    Raises
    ------
    ArgumentError
        As in `attribute`.

    Examples
    --------
    >>> import riskshare as rs
    >>> parts = rs.attribution_samples(rs.load_case("msk-toy"), samples=64)
    >>> rest = parts.position_by_driver.sum("driver") - parts.position
    >>> bool((abs(rest) < 1e-6).all())
    True
    """
    split = split_positions(case, samples, seed, replicates, groups, permutations, workers, by)
    by_sample = (YEAR, PARTNER, SAMPLE)
    variables: dict[str, Any] = {"position": split.outcomes.position.astype(np.float64)}
    coords: dict[str, Any] = {}
    for axis, (names, parts) in split.parts.items():
        variables[f"position_by_{axis}"] = ((axis, *by_sample), _in_a_row(parts))
        coords[axis] = list(names)
    if split.alone is not None:
        variables["alone"] = ((DRIVER, *by_sample), _in_a_row(split.alone))
    return split.outcomes.drop_vars("position").assign(variables).assign_coords(coords)


def _in_a_row(values: Floats) -> Floats:
    """Return (..., replicate, sample of it) as (..., sample)."""
    return values.reshape(*values.shape[:-2], -1)
