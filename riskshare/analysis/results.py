"""The results whose statistics a question is about: sums of positions over years and partners."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.names import ALL_YEARS
from riskshare.outcomes import groups_of
from riskshare.program.functionals import Functionals, Kind, reach_of
from riskshare.statistics import Floats
from riskshare.summary.axes import WITHOUT_DEFICIT


@dataclass(frozen=True)
class Results:
    """Series of positions: one for each year and partner asked for, the year slowest."""

    years: tuple[str, ...]
    partners: tuple[str, ...]
    weights: Floats
    """(series, row): rows are the partners of the first year, then of the next."""
    targets: Floats
    """(series)"""
    deficits: Floats
    """(series): 1 where a deficit means something; not of pools, nor of who is outside."""
    flows: Floats
    """(series): money that its partners receive and pay; where none was looked at, that planned on
    lines, or 0."""

    @classmethod
    def of(
        cls,
        case: Case,
        targets: Floats,
        partners: Sequence[str] | None,
        years: Sequence[str],
        planned: Floats | None = None,
    ) -> "Results":
        """Return the series for names of partners or groups, and labels of years or ``all``.

        Parameters
        ----------
        targets
            (year, partner of the case).
        planned
            (year, line): planned money; none unless given.

        Raises
        ------
        ArgumentError
            For names that are not there.
        """
        labels = case.labels()
        own = dict(zip(labels["partner"], np.eye(len(labels["partner"])), strict=True))
        members = own | {name: row.astype(float) for name, row in groups_of(case).items()}
        spans = dict(zip(labels["year"], np.eye(len(labels["year"])), strict=True))
        spans |= {ALL_YEARS: np.ones(len(labels["year"]))}
        names = _known("partners", tuple(members if partners is None else partners), members)
        when = _known("years", tuple(years), spans)
        weights = np.stack([np.outer(spans[y], members[p]).ravel() for y in when for p in names])
        without = {p.name for p in case.partners if p.kind in WITHOUT_DEFICIT}
        deficits = np.array([name not in without for _ in when for name in names], float)
        flows = np.zeros(targets.shape)
        if planned is not None:
            for money, line in zip(np.abs(planned).T, case.lines, strict=True):
                for partner in (line.payer, line.deliverer):
                    flows[:, labels["partner"].index(partner)] += money
        return cls(
            when,
            names,
            weights,
            weights @ targets.ravel(),
            deficits,
            np.abs(weights) @ flows.ravel(),
        )

    def sums(self, position: Floats) -> Floats:
        """Return the samples of each series from positions on (year, partner, sample)."""
        rows = np.asarray(position, np.float64).reshape(-1, position.shape[-1])
        return np.asarray(self.weights @ rows)

    def table(self, values: Floats) -> Floats:
        """Return values by series, first, by year and partner."""
        return values.reshape(len(self.years), len(self.partners), *values.shape[1:])


def _known(what: str, names: tuple[str, ...], known: dict[str, Floats]) -> tuple[str, ...]:
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ArgumentError(f"{what}: found {name!r}; accepted: {', '.join(known)}{hint}")
    if not names or len(set(names)) < len(names):
        raise ArgumentError(f"{what}: found {list(names)}; accepted: at least one, each once")
    return names


_WIDTH = 0.2
"""Width of the kernel about the quantile at level a, in distances from that at a/2 to that at 2a.

A seventh of a standard deviation for a = 0.05 of a normal. A wider one has less error and more bias
where E[dx | x] bends or jumps, as it does where a band of the contract ends.
"""

ATOM_SHARE = 1e-3
"""Share of samples at a value from which it is an atom."""

GRAIN = 2.0**-22
"""Share of the money that flows up to which a standard deviation is rounding: four times that of
float32. A position whose parts cancel, such as a price against an equal cost, has no other."""

_FEW = 32
"""Samples beyond a target so that there is something to be seen of the distribution there."""


def looked_at(
    results: Results, values: Floats, levels: Floats, kinds: tuple[Kind, ...]
) -> Functionals:
    """Return where distributions are looked at, from samples of each series, (series, sample)."""
    mean, spread = values.mean(1), values.std(1)
    # a position that never varies is an atom: of a width that only rounding has
    scale = np.maximum(spread, 1e-6 * np.abs(values).max(1) + 1e-9)
    ordered = np.sort(values, axis=1)
    quantile = np.quantile(ordered, levels, axis=1, method="inverted_cdf").T
    # in ten of its roundings lie all samples of a position that has nothing else
    grain = np.where(spread <= GRAIN * results.flows, 10 * GRAIN * results.flows, 0.0)
    reach = reach_of(scale[:, None], quantile, grain[:, None])
    at = [_between(*row) for row in zip(ordered, quantile - reach, quantile + reach, strict=True)]
    width = np.array([[_width(row, level) for level in levels] for row in ordered])
    below = (values < results.targets[:, None]).mean(1)
    about = np.array([_width(row, level) for row, level in zip(ordered, below, strict=True)])
    return Functionals(
        results.weights,
        mean,
        scale,
        quantile,
        np.maximum(width.reshape(quantile.shape), 1e-2 * scale[:, None]),
        np.reshape(at, quantile.shape) > ATOM_SHARE,
        grain,
        np.maximum(about, 1e-2 * scale),
        kinds,
    )


def _between(ordered: Floats, low: Floats, high: Floats) -> Floats:
    """Return the share of ordered samples from each low to each high."""
    count = np.searchsorted(ordered, high, side="right") - np.searchsorted(ordered, low)
    return np.asarray(count / len(ordered))


def _width(ordered: Floats, level: float) -> float:
    """Return the width of the kernel about a level of ordered samples; 0 where there are few."""
    tail = min(level, 1 - level)
    if tail * len(ordered) < _FEW:
        return 0.0
    ends = np.array([tail / 2, min(2 * tail, 0.5)])
    low, high = np.quantile(ordered, ends if level < 0.5 else 1 - ends)
    return float(_WIDTH * abs(high - low))
