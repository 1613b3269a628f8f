"""What a shared-savings contract pays and charges when nothing has changed but chance.

A population that is compared with its own past wins and loses by who happens to fall ill. Here
populations of n people are drawn from a list of real ones (`riskshare.analysis.people`) whose cost
moves only with the trend of all, so that whatever a contract pays them it pays to luck.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from riskshare.analysis.people import COSTS, PEOPLE, YEARS, CostList, Floats, share_between, whole
from riskshare.analysis.side import MOST_MEMBERS, OUTCOMES, READINGS, normal, smallest, taken
from riskshare.errors import ArgumentError
from riskshare.statistics import Replicates, mean, standard_deviation


def luck(
    base: ArrayLike,
    performance: ArrayLike,
    *,
    members: int | Sequence[int],
    share: float,
    corridor: float | Sequence[float] = 0.02,
    saving: float = 0.0,
    truncation_level: float = 0.99,
    replicates: int = 2_000,
    seed: int = 1,
) -> xr.Dataset:
    """Return the chance of being paid or charged by luck alone, by number of members.

    Populations of n people are drawn with replacement from the list, both years of a person
    together. With x and y the means of the population in the base and the performance year, and X
    and Y those of the list::

        benchmark    B = x Y / X                     the trend of the whole list: no real change
        savings rate r = 1 - (1 - saving) y / B
        paid           r >= corridor and r > 0       charged: r <= -corridor and r < 0
        first-dollar   share x |r| B                 the whole saving or loss
        excess-only    share x (|r| - corridor) B    what lies beyond the corridor

    The ``_normal`` variables are the limit of large n. The standard deviation of r is that of the
    delta method, ``(1 - saving) sd(y_i / Y - x_i / X) / sqrt(n)`` over the people i of the list.
    The event r >= c is linear in x and y, so chances and money need no delta method: they are those
    of two normal variables with the list's covariance, ``P = Phi((saving - c) sqrt(n) / sd((1 - c)
    x_i / X - (1 - saving) y_i / Y))`` for being paid. They miss the skewness of small populations.

    Parameters
    ----------
    base, performance
        Cost of each person in each year, the same people in the same order; money, 0 or above.
    members
        Sizes of population, from 1 to 10 million.
    share
        Of a saving or a loss that is paid or charged, above 0, at most 1. Money is proportional to
        it.
    corridor
        As a share of the benchmark; one for all sizes, or one for each. Medicare's minimum savings
        rate is one that falls with size.
    saving
        Real saving, as a share of the performance year's cost on trend. Nothing but luck unless
        given; then the chance of being paid is that of being paid for it.
    truncation_level
        Each person's cost of a year counts up to this quantile of the list's costs of that year.
    replicates
        Populations drawn of each size.
    seed
        Of the draws.

    Returns
    -------
    xarray.Dataset
        On (members, cost, people): ``savings_rate_mean``, ``savings_rate_standard_deviation``,
        ``probability_paid``, ``probability_charged``; with ``reading`` besides: ``payment``,
        ``charge`` and ``net`` (payment less charge), expected money for each member. A one-sided
        contract pays ``payment`` and charges nothing. Each with ``<name>_error`` (Monte Carlo
        standard error; a probability found to be 0 or 1 has 0) and ``<name>_normal``. ``cost`` is
        ``truncated`` or ``full``; ``people`` is ``same``, or ``different`` where base and
        performance year are those of two populations drawn apart.

        Of the list itself: ``person_standard_deviation`` (cost, people), that of y_i / Y - x_i / X,
        with the standard error that so many people leave it; ``mean_cost`` and
        ``coefficient_of_variation`` (cost, year), ``correlation`` between the years (cost),
        ``truncated_at`` (year).

    Raises
    ------
    ArgumentError
        For costs that are no numbers, not finite, below 0 or not of the same people; for sizes
        so small that a population may be without any cost in the base year; for a share, corridor
        or level out of bounds.

    Examples
    --------
    >>> import numpy as np
    >>> import riskshare as rs
    >>> level = np.random.default_rng(1).gamma(0.5, size=3_000)  # what stays with a person
    >>> base, performance = np.random.default_rng(2).gamma(0.5, level, size=(2, 3_000))
    >>> found = rs.luck(base, performance, members=[5_000, 50_000], share=0.5, replicates=500)
    >>> chance = found.probability_paid.sel(cost="truncated", people="same")
    >>> chance.round(2).values.tolist()
    [0.27, 0.05]

    See Also
    --------
    riskshare.minimum_population : The size at which luck seldom pays.
    """
    people = CostList.of(base, performance, truncation_level)
    sizes = _sizes(members)
    edges = _corridors(corridor, len(sizes))
    part = _share(share)
    replicates = whole("replicates", replicates, 2, 10_000_000)
    seed = whole("seed", seed, 0, 2**32 - 1)
    real = _saving(saving)
    _with_benchmark(people, sizes, replicates)
    columns: dict[str, list[Any]] = {}
    for size, edge in zip(sizes, edges, strict=True):
        for name, value in _of_size(people, size, edge, real, part, replicates, seed).items():
            columns.setdefault(name, []).append(value)
    dims = ("members", "cost", "people", "reading")
    variables: dict[str, Any] = {}
    for name, values in columns.items():
        array = np.array(values)
        variables[name] = (dims[: array.ndim], array)
    coordinates = {"members": sizes, "cost": list(COSTS), "people": list(PEOPLE)}
    table = xr.Dataset(
        variables | _facts(people),
        coordinates | {"reading": list(READINGS), "year": list(YEARS)},
        {
            "people_listed": people.relative.shape[-1],
            "share": part,
            "saving": real,
            "truncation_level": float(truncation_level),
            "replicates": replicates,
            "seed": seed,
        },
    )
    table = table.assign_coords(corridor=("members", edges))
    _describe(table)
    return table


def minimum_population(
    base: ArrayLike,
    performance: ArrayLike,
    *,
    chance: float,
    corridor: float = 0.02,
    truncation_level: float = 0.99,
    replicates: int = 2_000,
    seed: int = 1,
) -> xr.Dataset:
    """Return the least members with whom luck alone pays, charges or does either seldom enough.

    The size is the smallest whole n at which the normal chance of `luck` lies below ``chance``; for
    being paid that is just above ``(z sd((1 - c) x_i / X - y_i / Y) / c)^2`` with z the quantile of
    the normal at 1 - chance. Populations of that size are then drawn from the list as a check.

    Parameters
    ----------
    base, performance, corridor, truncation_level, replicates, seed
        As of `luck`; one corridor, above 0.
    chance
        Accepted of luck, above 0 and below 0.5.

    Returns
    -------
    xarray.Dataset
        On (cost, outcome), outcomes ``paid``, ``charged`` and ``either``: ``members``, and
        ``members_error``, what the standard error of the list's ``person_standard_deviation``
        leaves it; ``probability`` drawn at that size, with ``probability_error``.

    Raises
    ------
    ArgumentError
        As `luck`; for a chance out of bounds; where more than 10 million members are needed.

    Examples
    --------
    >>> import numpy as np
    >>> import riskshare as rs
    >>> base, performance = np.random.default_rng(1).gamma(0.5, size=(2, 2_000))
    >>> found = rs.minimum_population(base, performance, chance=0.05, replicates=500)
    >>> found.members.dims
    ('cost', 'outcome')
    """
    people = CostList.of(base, performance, truncation_level)
    accepted = share_between("chance", chance)
    if accepted >= 0.5:
        raise ArgumentError(f"chance is {chance!r}; accepted: above 0, below 0.5")
    edge = share_between("corridor", corridor)
    replicates = whole("replicates", replicates, 2, 10_000_000)
    seed = whole("seed", seed, 0, 2**32 - 1)
    least = people.smallest_with_a_benchmark(replicates)
    error = people.deviation_error[:, 0] / people.deviation[:, 0]
    outcomes = {"paid": ("paid",), "charged": ("charged",), "either": ("paid", "charged")}
    sizes = np.zeros((len(COSTS), len(outcomes)), np.int64)
    drawn = np.zeros((2, *sizes.shape))
    for row, covariance in enumerate(people.covariance[:, 0]):
        for column, sides in enumerate(outcomes.values()):
            size = smallest(covariance, edge, sides, accepted, least)
            means = people.means_of(size, replicates, seed)[row]
            happened = sum(taken(means, edge, 0.0, OUTCOMES[side]).probability for side in sides)
            sizes[row, column] = size
            drawn[:, row, column] = mean(np.asarray(happened, float), Replicates())
    dims = ("cost", "outcome")
    table = xr.Dataset(
        {
            "members": (dims, sizes),
            "members_error": (dims, sizes * 2 * error[:, None]),
            "probability": (dims, drawn[0]),
            "probability_error": (dims, drawn[1]),
        },
        {"cost": list(COSTS), "outcome": list(outcomes)},
        {
            "people_listed": people.relative.shape[-1],
            "chance": accepted,
            "corridor": edge,
            "truncation_level": float(truncation_level),
            "replicates": replicates,
            "seed": seed,
        },
    )
    table.members.attrs = {"long_name": "least members", "units": "people"}
    table.probability.attrs = {"long_name": "probability at that size, drawn", "units": "1"}
    return table


def _of_size(
    people: CostList,
    size: int,
    corridor: float,
    saving: float,
    share: float,
    replicates: int,
    seed: int,
) -> dict[str, Floats]:
    """Return every statistic of populations of one size, on (cost, people[, reading])."""
    same = people.means_of(size, replicates, seed)
    apart = same.copy()
    apart[:, 1] = people.means_of(size, replicates, seed, stream=1)[:, 1]
    means = np.stack([same, apart], axis=1)  # cost, people, year, replicate
    rate = 1 - (1 - saving) * means[:, :, 1] / means[:, :, 0]
    found: dict[str, Floats] = {}
    _put(found, "savings_rate_mean", rate, mean)
    _put(found, "savings_rate_standard_deviation", rate, standard_deviation)
    covariance = people.covariance
    bias = (covariance[..., 0, 0] - covariance[..., 0, 1]) / size  # E[y / x] - 1, second order
    found["savings_rate_mean_normal"] = saving - (1 - saving) * bias
    spread = (1 - saving) * people.deviation / np.sqrt(size)
    found["savings_rate_standard_deviation_normal"] = spread
    money = share * people.mean[:, 1]
    net: list[Any] = []
    for outcome, sign in OUTCOMES.items():
        side = taken(np.moveaxis(means, 2, 0), corridor, saving, sign)
        limit = normal(covariance, size, corridor, saving, sign)
        _put(found, f"probability_{outcome}", side.probability, mean)
        found[f"probability_{outcome}_normal"] = limit.probability
        name = {"paid": "payment", "charged": "charge"}[outcome]
        drawn = money[:, None, None, None] * np.stack(side[1:], axis=2)
        _put(found, name, drawn, mean)
        found[f"{name}_normal"] = money[:, None, None] * np.stack(limit[1:], axis=-1)
        net.append((drawn, found[f"{name}_normal"]))
    _put(found, "net", net[0][0] - net[1][0], mean)
    found["net_normal"] = net[0][1] - net[1][1]
    return found


def _put(found: dict[str, Floats], name: str, values: Any, statistic: Any) -> None:
    """Add a statistic over replicates (the last axis), and its error."""
    series = np.asarray(values, np.float64)
    rows = [statistic(row, Replicates()) for row in series.reshape(-1, series.shape[-1])]
    found[name] = np.reshape([row.value for row in rows], series.shape[:-1])
    found[f"{name}_error"] = np.reshape([row.error for row in rows], series.shape[:-1])


def _facts(people: CostList) -> dict[str, Any]:
    own = people.covariance[:, 0]
    variation = np.sqrt(np.diagonal(own, axis1=1, axis2=2))
    product = np.maximum(variation.prod(axis=1), np.finfo(np.float64).tiny)
    return {
        "person_standard_deviation": (("cost", "people"), people.deviation),
        "person_standard_deviation_error": (("cost", "people"), people.deviation_error),
        "mean_cost": (("cost", "year"), people.mean),
        "coefficient_of_variation": (("cost", "year"), variation),
        "correlation": (("cost",), own[:, 0, 1] / product),
        "truncated_at": (("year",), people.truncated_at),
    }


def _describe(table: xr.Dataset) -> None:
    """Say what each variable is and in which unit."""
    words = {
        "savings_rate_mean": ("mean of the savings rate", "1"),
        "savings_rate_standard_deviation": ("standard deviation of the savings rate", "1"),
        "probability_paid": ("probability of being paid", "1"),
        "probability_charged": ("probability of being charged", "1"),
        "payment": ("expected payment, nothing being charged", "money per member"),
        "charge": ("expected charge", "money per member"),
        "net": ("expected payment less charge", "money per member"),
    }
    for name, (long_name, units) in words.items():
        table[name].attrs = {"long_name": long_name, "units": units}
        for suffix, lead in (("error", "standard error"), ("normal", "normal theory")):
            table[f"{name}_{suffix}"].attrs = {"long_name": f"{lead}: {long_name}", "units": units}
    table["person_standard_deviation"].attrs = {
        "long_name": "standard deviation of one person's difference between the years",
        "units": "share of mean cost",
    }
    for name in ("mean_cost", "truncated_at"):
        table[name].attrs["units"] = "money per person"


def _sizes(members: int | Sequence[int]) -> list[int]:
    given = np.atleast_1d(np.asarray(members, dtype=object)).tolist()
    found = [whole("members", value, 1, MOST_MEMBERS) for value in given]
    if not found or len(set(found)) < len(found):
        raise ArgumentError(f"members is {members!r}; accepted: at least one size, each once")
    return found


def _corridors(corridor: float | Sequence[float], count: int) -> Floats:
    given = np.atleast_1d(np.asarray(corridor, dtype=object)).tolist()
    if len(given) not in (1, count):
        raise ArgumentError(
            f"corridor has {len(given)} values; accepted: one, or one for each of {count} sizes"
        )
    found = [0.0 if value == 0 else share_between("corridor", value) for value in given]
    return np.broadcast_to(np.array(found, np.float64), (count,)).copy()


def _share(share: float) -> float:
    return 1.0 if share == 1 else share_between("share", share)


def _saving(saving: float) -> float:
    if isinstance(saving, bool) or not isinstance(saving, (int, float, np.number)):
        raise ArgumentError(f"saving is {saving!r}; accepted: a number above -1 and below 1")
    if not -1 < saving < 1:
        hint = f"; is {saving / 100:g} meant?" if 1 <= abs(saving) < 100 else ""
        raise ArgumentError(f"saving is {saving!r}; accepted: above -1, below 1{hint}")
    return float(saving)


def _with_benchmark(people: CostList, sizes: list[int], replicates: int) -> None:
    least = people.smallest_with_a_benchmark(replicates)
    if min(sizes) < least:
        raise ArgumentError(
            f"members holds {min(sizes):,}: of so few, all may be without cost in the base year, "
            f"and a savings rate has no benchmark; accepted: {least:,} or more"
        )
