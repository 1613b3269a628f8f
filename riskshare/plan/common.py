"""Shared by the parts of the plan: declared numbers as arrays, laws, the calendar."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskshare.case import Case
from riskshare.laws.copula import correlation_of_scores
from riskshare.laws.indices import IndexMap, LawMap, index_map
from riskshare.laws.marginal import AbstractLaw
from riskshare.parameters import Labels, declaration_of, expand
from riskshare.system import AbstractIndex, Delay

Numbers = NDArray[np.float64]
DAYS = 365.25


def declared(node: Any, name: str, labels: Labels) -> Any:
    """Return a declared number as an array, or None where it was not given."""
    value = getattr(node, name)
    return None if value is None else expand(value, declaration_of(type(node), name), labels)


def law_of(index: AbstractIndex) -> IndexMap | LawMap:
    """Return an index as a map of its normal score."""
    at = index.value
    if at is None:
        at = 0.0 if isinstance(index, Delay) else 1.0
    if isinstance(index.law, AbstractLaw):
        return LawMap(index.law)
    law = index.law or "normal"
    if index.certain:
        return IndexMap(float(at), 0.0, False)
    interval = None if index.interval is None else (index.interval[0], index.interval[1])
    return index_map(law=law, value=at, sd=index.sd or 0.0, centre=index.centre, interval=interval)


def correlation_matrix(case: Case) -> Numbers:
    """Return the correlations of Gaussian scores of all indices, ordered as ``case.indices()``.

    Those of a year's innovations, before the mixing of a t copula.
    """
    stated = [(c.between, float(c.value), c.measure) for c in case.correlations]
    return correlation_of_scores(list(case.indices()), stated, case.dependence.degrees_of_freedom)


def year_bounds(case: Case) -> tuple[Numbers, Numbers]:
    """Return start and end of each year, in years since the first one starts."""
    zero = case.years[0].start
    start = np.array([(year.start - zero).days / DAYS for year in case.years])
    return start, start + np.array([year.days / DAYS for year in case.years])


def delayed_size(size: Any, start: Any, end: Any, year: int, delay: Any) -> Any:
    """Mean size of a change over a year when the planned profile starts ``delay`` years late.

    The profile is a step function of time, size_j from start_j to end_j and 0 before the first
    year; the year's mean is taken of the profile moved by the delay.
    """
    total = 0.0
    for j in range(year + 1):
        overlap = np.minimum(end[year] - delay, end[j]) - np.maximum(start[year] - delay, start[j])
        total = total + size[j] * np.maximum(overlap, 0)
    return total / (end[year] - start[year])
