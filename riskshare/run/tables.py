"""Tables that a case is settled with: conditional means, made once from the case's own laws."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from riskshare.bind import Bound, bind, once_per_case
from riskshare.case import Case
from riskshare.contract.sharing import Pool
from riskshare.run.chunks import run_chunks
from riskshare.run.sampling import sampling_of

Numbers = NDArray[np.float64]

TABLE_SAMPLES = 262_144
TABLE_SEED = 20_181_101
POINTS = 65
"""Points of a table, at even quantiles of the sum."""
KNOTS = (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98)
"""Quantiles at which the regression may bend; beyond the outer ones it is straight."""


@once_per_case
def ready(case: Case) -> Bound:
    """Return a bound case with the tables that its terms use.

    ``h_i(v) = E[v_i | v]`` of the conditional-mean key: v_i is the deviation of the value of what
    partner i delivers from plan, v their sum over the lines of the pool. Estimated from 262,144
    draws of a seed of its own by regression on natural cubic splines of v with seven knots; v is
    among what it regresses on, so the h_i sum to v. Denuit and Dhaene (2012). The same table serves
    every settlement of the case.
    """
    bound = bind(case)
    pools = list(_pools(bound))
    if not pools:
        return bound
    sampling = sampling_of(TABLE_SAMPLES, TABLE_SEED, "sobol", 16)
    drawn = run_chunks(bound, sampling, ("activity", "case_mix"), np.float32, None, None)
    view, world = bound.plan.view, bound.numbers.world
    value = view.price[:, :, None] * drawn["activity"] * drawn["case_mix"]
    deviation = value - (view.plan * view.price)[:, :, None]
    slots = list(bound.numbers.yearly.terms)
    for place, pool in pools:
        lines = list(pool.lines)
        by_partner = np.einsum("pl,yls->yps", world.deliverer[:, lines], deviation[:, lines])
        size = world.deliverer[:, lines] @ (view.plan * view.price)[:, lines].T
        tables = [_table(by_partner[y], size[:, y]) for y in range(len(by_partner))]
        term = dataclasses.replace(pool, table=np.stack(tables))
        slots[place] = dataclasses.replace(slots[place], term=term)
    yearly = dataclasses.replace(bound.numbers.yearly, terms=tuple(slots))
    return dataclasses.replace(bound, numbers=dataclasses.replace(bound.numbers, yearly=yearly))


def _pools(bound: Bound) -> Iterator[tuple[int, Pool]]:
    for place, slot in enumerate(bound.numbers.yearly.terms):
        if isinstance(slot.term, Pool) and slot.term.key == "conditional-mean":
            yield place, slot.term


def _table(parts: Numbers, size: Numbers) -> Numbers:
    """Return points of the sum and conditional means of its parts: (point, 1 + partner).

    Parameters
    ----------
    parts
        (partner, sample).
    size
        (partner): what shares are proportional to where nothing varies.
    """
    total = parts.sum(0)
    centre, spread = total.mean(), total.std()
    if spread <= 1e-9 * max(1.0, abs(centre)):
        share = size / size.sum() if size.sum() > 0 else np.full(len(size), 1 / len(size))
        points = centre + np.linspace(-1, 1, POINTS)
        return np.column_stack([points, parts.mean(1) + np.outer(points - centre, share)])
    basis = _splines((total - centre) / spread)
    scores = (total - centre) / spread
    coefficients = np.linalg.lstsq(basis(scores), parts.T, rcond=None)[0]
    points = np.quantile(total, np.linspace(0, 1, POINTS))
    # even steps where atoms would put several points at one value
    points = np.sort(points + spread * 1e-6 * np.linspace(-1, 1, POINTS))
    means = basis((points - centre) / spread) @ coefficients
    return np.column_stack([points, means])


def _splines(scores: Numbers) -> Callable[[Numbers], Numbers]:
    """Return the basis of natural cubic splines with knots at quantiles; 1 and x are among it."""
    knots = np.unique(np.quantile(scores, KNOTS))

    def basis(x: Numbers) -> Numbers:
        columns = [np.ones_like(x), x]
        if len(knots) > 2:
            last = knots[-1]

            def cubic(knot: float) -> Numbers:
                above = np.maximum(x - knot, 0) ** 3 - np.maximum(x - last, 0) ** 3
                return np.asarray(above / (last - knot))

            columns += [cubic(knot) - cubic(knots[-2]) for knot in knots[:-2]]
        return np.column_stack(columns)

    return basis
