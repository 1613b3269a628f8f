"""The summary of a run: statistics of outcomes by year and partner, each with its error.

Reads the datasets that `riskshare.simulate` and `riskshare.settle` return. `money` says what money
of a year counts for and `samples` what each sample does, `axes` sums samples over years and
partners, `measures` says which statistics each sum has; `riskshare.statistics` does the arithmetic,
one series of samples at a time.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from riskshare.errors import ArgumentError
from riskshare.names import LEVEL, LEVELS, LINE, PARTNER, SAMPLE, TERM, YEAR
from riskshare.statistics import Floats
from riskshare.summary.axes import Axes
from riskshare.summary.measures import Measures, Variables
from riskshare.summary.money import discount_rate_of, year_weights
from riskshare.summary.samples import counting, replicates_of

_LONG_NAMES = {
    "mean": "mean",
    "standard_deviation": "standard deviation",
    "probability_of_deficit": "probability of a position below target",
    "probability_of_missing_target": "probability of a total below target",
    "probability_of_breaching_duty": "probability of a total below what the duty allows",
    "probability_of_exhaustion": "probability of a balance below 0 at the end of a year so far",
    "quantile": "quantile at the level",
    "value_at_risk": "value at risk at the level as confidence, a loss being positive",
    "tail_value_at_risk": "tail value at risk at the level as confidence, a loss being positive",
}
_SUBJECTS = {
    "total": "position and the rest of the organisation",
    "reserve": "opening reserve and the totals since the first year",
}
MEANS = (
    "received",
    "paid",
    "cost",
    "cash",
    "underlying",
    "line_cost",
    "cost_released",
    "stranded",
    "lost_contribution",
    "saving_avoided",
    "saving_released",
    "saving_cash",
    "posting",
)


def summarise(
    outcomes: xr.Dataset,
    *,
    levels: Sequence[float] = LEVELS,
    discount_rate: float | None = None,
    prices: str = "nominal",
) -> xr.Dataset:
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
    a contract makes whole has none. The same holds of a total and of a reserve.

    With ``weight`` on (sample), such as the likelihood ratio of importance sampling, every
    statistic is that of samples which count for their weight: a mean is ``sum w x / sum w``, and
    its error that of a ratio. Weights may be on any scale; a sample of weight 0 counts for nothing.

    Parameters
    ----------
    outcomes
        From `riskshare.simulate` or `riskshare.settle`, with ``position`` kept.
    levels
        Of quantiles, and of the confidence of value at risk and tail value at risk; between 0 and
        1, both excluded.
    discount_rate
        A year, such as 0.035: all money, targets and duties in the row ``all`` are then present
        values at the start of the first year, ``(1 + discount_rate)^-midyear`` of each year's.
        The rows of single years stay as they are. Real, where prices are.
    prices
        ``nominal``, or ``real``: all money, targets and duties of a year divided by the coordinate
        ``deflator``; the row ``all`` sums real money.

    Returns
    -------
    xarray.Dataset
        On (year, partner), money in the case's currency: ``position_mean``,
        ``position_standard_deviation`` (n - 1), ``position_probability_of_deficit`` (position
        below target), and ``received_mean``, ``paid_mean``, ``cost_mean``, ``cash_mean``,
        ``underlying_mean`` where kept. With the variable ``other_position``: ``total_mean``,
        ``total_standard_deviation``, ``total_probability_of_missing_target``. With the coordinate
        ``duty``: ``total_probability_of_breaching_duty``. With the coordinate ``opening_reserve``:
        ``reserve_probability_of_exhaustion``. Probabilities are NaN for kinds ``pool`` and
        ``external``. On (year, partner, level): ``position_quantile`` (the inverse of the
        empirical distribution function), ``position_value_at_risk`` (confidence q: less the
        quantile at 1 - q), ``position_tail_value_at_risk`` (confidence q: expected shortfall of
        Acerbi and Tasche, right at atoms). Where kept ``line_cost_mean``, ``cost_released_mean``,
        ``stranded_mean``, ``lost_contribution_mean`` on (year, line) and ``posting_mean`` on
        (year, term, partner). Each with ``<name>_error``. Coordinate ``kind`` is ``group`` for
        groups; attributes ``prices`` and ``discount_rate`` (0 where none is given) say what money
        is, and of weighted samples ``effective_samples``: (sum w)^2 / sum w^2, how many of equal
        weight would know as well the mean of what has nothing to do with the weights.

    Raises
    ------
    ArgumentError
        For outcomes without position, or without what says who belongs to a group; for weights
        that are negative, not finite, all 0 or not those of samples; for levels or a discount rate
        out of bounds; for present values or real prices of outcomes without the coordinate
        ``midyear`` or ``deflator``.

    Examples
    --------
    >>> import riskshare as rs
    >>> table = rs.summarise(rs.simulate(rs.load_case("msk-toy"), samples=4096, seed=1))
    >>> table.position_mean.dims
    ('year', 'partner')
    >>> table.year.values.tolist()
    ['2018/19', 'all']
    """
    at = levels_of(levels)
    rate = discount_rate_of(discount_rate)
    _check(outcomes)
    outcomes = counting(outcomes)
    axes = Axes.of(outcomes, *year_weights(outcomes, rate, prices))
    replicates = replicates_of(outcomes)
    measures = Measures(outcomes, axes, replicates)
    variables = measures.position(at) | measures.total() | measures.reserve()
    for name in MEANS:
        if name in outcomes:
            variables |= measures.means(name)
    attributes: dict[str, Any] = {"prices": prices, "discount_rate": rate}
    if "weight" in outcomes:
        attributes["effective_samples"] = outcomes.sizes[SAMPLE] / replicates.design_effect
    return tabulated(variables, outcomes, axes, at, attributes)


def tabulated(
    variables: Variables,
    outcomes: xr.Dataset,
    axes: Axes,
    levels: Floats,
    attributes: Mapping[str, Any],
) -> xr.Dataset:
    """Return the table of variables: labelled as the outcomes are, and described."""
    used = {name for dims, _ in variables.values() for name in dims} - {YEAR, PARTNER}
    kept = {k: v.variable for k, v in outcomes.coords.items() if used.issuperset(v.dims)}
    coordinates = kept | axes.coordinates(outcomes) | {LEVEL: levels}
    table = xr.Dataset(variables, coordinates, outcomes.attrs | dict(attributes))
    _describe(table, outcomes)
    return table.transpose(..., YEAR, LINE, "change", TERM, PARTNER, LEVEL, missing_dims="ignore")


def levels_of(levels: Sequence[float]) -> Floats:
    """Return levels as an array; refuse what is none."""
    found = np.atleast_1d(np.asarray(levels, dtype=np.float64))
    for level in found:
        if not 0 < level < 1:
            hint = f"; is {level / 100:g} meant?" if 1 <= level < 100 else ""
            raise ArgumentError(f"levels: found {level:g}; accepted: between 0 and 1{hint}")
    if len(np.unique(found)) < len(found):
        raise ArgumentError(f"levels: found {found.tolist()}; accepted: each level once")
    return found


def _check(outcomes: xr.Dataset) -> None:
    if "position" not in outcomes:
        raise ArgumentError("outcomes lack position; keep it: keep=('position', ...)")
    for name in ("position", "other_position"):
        missing = [
            dim
            for dim in (YEAR, PARTNER, SAMPLE)
            if name in outcomes and dim not in outcomes[name].dims
        ]
        if missing:
            raise ArgumentError(
                f"{name} has no dimension {', '.join(missing)}; select with a list to keep one"
            )
    missing = [name for name in ("kind", "target", "membership") if name not in outcomes.coords]
    if missing:
        raise ArgumentError(
            f"outcomes lack the coordinate {', '.join(missing)}; simulate and settle give it"
        )
    if not outcomes.sizes[SAMPLE]:
        raise ArgumentError("outcomes hold no samples")


def _describe(table: xr.Dataset, outcomes: xr.Dataset) -> None:
    """Say what each variable is and in which unit."""
    currency = str(outcomes.attrs.get("currency", ""))
    kept = ("position", *(name for name in MEANS if name in outcomes))
    subjects = _SUBJECTS | {
        name: outcomes[name].attrs.get("long_name", name.replace("_", " ")) for name in kept
    }
    for subject, what in subjects.items():
        for statistic, words in _LONG_NAMES.items():
            name = f"{subject}_{statistic}"
            if name in table:
                units = "1" if statistic.startswith("probability") else currency
                table[name].attrs = {"long_name": f"{words}: {what}", "units": units}
                table[f"{name}_error"].attrs = {
                    "long_name": f"standard error of the {words}",
                    "units": units,
                }
    table[LEVEL].attrs["long_name"] = "level of a quantile, confidence of a value at risk"
    for name in ("target", "duty", "opening_reserve"):
        if name in table.coords:
            table[name].attrs["units"] = currency
