"""People: the total of a list of members, by their transforms or one by one.

Members differ in what they are expected to claim and in what a claim of theirs costs. A layer
applies to each member's cost of a year, as specific stop-loss and truncation do. The total's law is
exact (`members_aggregate`), and so is a sample of it (`simulate_people`): the same model twice.
"""

from collections.abc import Sized
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import ceil, inf
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from riskshare.laws.compound.aggregate import Aggregate
from riskshare.laws.compound.frequency import (
    AbstractFrequency,
    Binomial,
    Complexes,
    Floats,
    NegativeBinomial,
    Poisson,
)
from riskshare.laws.compound.grid import Spectrum, invert
from riskshare.laws.compound.quadrature import condensed
from riskshare.laws.compound.severity import Layer, Masses, Severity
from riskshare.laws.compound.total import Group, total
from riskshare.laws.marginal import AbstractLaw

MOST_SCALES = 512
"""Most different scales of cost in one list: each needs a grid of its own."""

MOST_GROUPS = 1024
"""Most different members in one list, after those of one scale are condensed."""

MOST_LAYERED = 256
"""Most different members in one list with several claims each and a layer: a grid for each."""

_BATCH = 2_000_000
_OWN = 2**13

T = TypeVar("T", bound=Sized)


class Members(NamedTuple):
    """A list of members; arrays of one length.

    Parameters
    ----------
    claims
        Expected claims of each in the year; where `at_most_one`, the probability of having any.
    scale
        What multiplies the cost of each one's claims.
    overdispersion
        c of each one's negative binomial count; zero for Poisson. Ignored where `at_most_one`.
    at_most_one
        Whether a member has one amount or none: a year's cost with a probability.
    """

    claims: Floats
    scale: Floats
    overdispersion: float
    at_most_one: bool

    def frequency(self, claims: float) -> AbstractFrequency:
        """Return the law of one member's number of claims."""
        if self.at_most_one:
            return Binomial(1, claims)
        if self.overdispersion:
            return NegativeBinomial(claims, self.overdispersion)
        return Poisson(claims)


def members(
    *,
    expected: ArrayLike | None = None,
    probability: ArrayLike | None = None,
    scale: ArrayLike = 1.0,
    overdispersion: float = 0.0,
) -> Members:
    """Return a list of members.

    Parameters
    ----------
    expected
        Expected number of claims of each member (a risk score times a rate); or
    probability
        The probability that a member has any cost in the year. One of the two.
    scale
        What multiplies the cost of each one's claims: one number, or one for each member.
    overdispersion
        c in Var = mu + c mu^2 of each member's number; with `expected` only.

    Raises
    ------
    ValueError
        If both or neither are given, or an entry is out of range; the first is named.
    """
    if (expected is None) == (probability is None):
        raise ValueError("give either expected (claims) or probability (of any cost)")
    name = "expected" if probability is None else "probability"
    given = np.atleast_1d(np.asarray(expected if probability is None else probability, np.float64))
    upper = inf if probability is None else 1.0
    _refuse(name, given, (given >= 0) & (given <= upper) & np.isfinite(given), f"0 to {upper:g}")
    scales = np.asarray(scale, np.float64)
    if scales.ndim and scales.shape != given.shape:
        raise ValueError(f"scale has {scales.size} entries and {name} {given.size}; one a member")
    scales = np.broadcast_to(scales, given.shape)
    _refuse("scale", scales, (scales > 0) & np.isfinite(scales), "positive")
    if not 0 <= overdispersion < inf or (overdispersion and probability is not None):
        raise ValueError(
            f"overdispersion is {overdispersion}; it must be zero or more, and belongs to expected"
        )
    return Members(given, scales, float(overdispersion), probability is not None)


def _refuse(name: str, values: Floats, accepted: ArrayLike, words: str) -> None:
    wrong = np.flatnonzero(~np.asarray(accepted))
    if wrong.size:
        raise ValueError(f"{name}[{wrong[0]}] is {values[wrong[0]]}; it must be {words}")


@dataclass(frozen=True)
class AnnualCost:
    """One person's cost of a year in a layer: ``min((sum of claims - attachment)+, limit)``.

    The law of the sum is rounded in three ways, and the layer then applied to its nodes, so that
    the roundings down and up still enclose the truth.
    """

    frequency: AbstractFrequency
    claim: Layer
    attachment: float
    limit: float

    @cached_property
    def _moments(self) -> tuple[float, float]:
        """Return E[Y] and E[Y^2] of Y = (M - a)+, M = min(S, a + limit)."""
        a = self.attachment
        mean, square = self._capped(a + self.limit)
        below, below_square = self._capped(a)
        excess = mean - below
        return excess, max(square - below_square - 2 * a * excess, 0.0)

    def _capped(self, at: float) -> tuple[float, float]:
        """Return E[min(S, at)] and E[min(S, at)^2], S the sum of claims."""
        if at == 0:
            return 0.0, 0.0
        if at == inf:
            number, spread = self.frequency.expectation(), self.frequency.variance()
            mean, square = self.claim.expectation(), self.claim.second_moment(1.0, _OWN)
            return number * mean, number * (square - mean**2) + (spread + number**2) * mean**2
        step = at / _OWN
        masses = _claim_masses(self.claim, step, _OWN).preserving
        probabilities = self._total(masses, _OWN)
        less = at - step * np.arange(_OWN)
        # Shortfalls below the cap need no mass above it.
        mean = at - float(probabilities @ less)
        return mean, at**2 - float(probabilities @ (2 * at * less - less**2))

    def expectation(self) -> float:
        """Return the mean."""
        return self._moments[0]

    def second_moment(self, step: float, panels: int) -> float:
        """Return the mean square, from a grid of the person's own whatever the step."""
        return self._moments[1]

    def masses(self, step: float, points: int) -> Masses:
        """Return the probabilities at 0, step, ..., points x step, rounded in three ways."""
        limit = min(self.limit, points * step)
        # What the layer cuts off need not be on the person's grid.
        longer = _fast(ceil((self.attachment + limit) / step) + 1)
        amounts = _claim_masses(self.claim, step, longer)
        layered = np.clip(step * np.arange(longer) - self.attachment, 0.0, limit)
        place = np.append(layered, limit) / step
        below = np.floor(place + 1e-9).astype(np.int64)
        above = np.ceil(place - 1e-9).astype(np.int64)
        share = np.clip(place - below, 0, 1)
        central, down, up = (self._whole(kind, longer) for kind in amounts)
        low, high = (np.bincount(below, w, points + 1) for w in (central * (1 - share), down))
        return Masses(
            preserving=low + np.bincount(above, central * share, points + 1),
            down=high,
            up=np.bincount(above, up, points + 1),
        )

    def _whole(self, masses: Floats, points: int) -> Floats:
        """Return the sum's probabilities and, at the end, that of all above them."""
        inside = self._total(masses, points)
        return np.append(inside, max(1 - inside.sum(), 0.0))

    def _total(self, masses: Floats, points: int) -> Floats:
        def generating(spectrum: Spectrum) -> Complexes:
            return self.frequency.generating(spectrum(masses))

        steps = self.frequency.expectation() * float(np.arange(float(len(masses))) @ masses)
        return invert(generating, steps, points).probabilities


def _fast(points: int) -> int:
    """Return a length no shorter that transforms fast: five to eight times a power of two."""
    power = 2 ** max(int(np.ceil(np.log2(points))) - 3, 0)
    return -(-points // power) * power


@lru_cache(maxsize=4)
def _claim_masses(claim: Layer, step: float, points: int) -> Masses:
    """Return what members who differ in their number of claims alone have in common."""
    return claim.masses(step, points)


def members_aggregate(
    members: Members,
    severity: Severity,
    *,
    step: float | None = None,
    points: int = 2**16,
    attachment: float = 0.0,
    limit: float = inf,
) -> Aggregate:
    """Return the law of the total cost of a list of independent members.

    ``transform = product over members of G_i(transform of their claims)``, equal members raised to
    their number. A layer holds for each member's cost of the year: of members with at most one
    amount exactly before rounding, of others on the grid (`AnnualCost`).

    Parameters
    ----------
    members
        From `members`.
    severity
        Law of one claim, or of a year's cost where members have at most one, before their scale.
    step, points
        See `aggregate`.
    attachment, limit
        The layer of each member's cost of the year.

    Raises
    ------
    ValueError
        If members differ in too many ways: round their scores to bands.
    """
    layered = attachment > 0 or limit < inf
    if layered and not members.at_most_one:
        groups = _layered(members, severity, attachment, limit)
    else:
        groups = _plain(members, severity, attachment, limit)
    return total(groups, step, points)


def _plain(members: Members, severity: Severity, attachment: float, limit: float) -> list[Group]:
    """Return groups of members whose layer, if any, is that of a single amount."""
    groups = []
    for scale in _few("scales", np.unique(members.scale), MOST_SCALES).tolist():
        amount = Layer(severity, attachment, limit, scale)
        held = members.claims[(members.scale == scale) & (members.claims > 0)]
        values, weights = np.unique(held, return_counts=True)
        if not len(values):
            continue
        if not members.at_most_one and not members.overdispersion:
            # Poisson members of one scale are one Poisson.
            values, weights = np.array([held.sum()]), np.ones(1)
        else:
            singular = 0.5 if members.at_most_one else -0.5 / members.overdispersion
            values, weights = condensed(values, weights.astype(np.float64), singular)
        groups += [
            Group(amount, members.frequency(claims), number)
            for claims, number in zip(values.tolist(), weights.tolist(), strict=True)
        ]
    return _few("pairs of claims and scale", groups, MOST_GROUPS)


def _layered(members: Members, severity: Severity, attachment: float, limit: float) -> list[Group]:
    """Return groups of members with several claims and a layer of their sum."""
    both = np.stack([members.scale, members.claims])[:, members.claims > 0]
    kinds, count = np.unique(both, axis=1, return_counts=True)
    _few("pairs of claims and scale", count, MOST_LAYERED)
    amounts = {scale: Layer(severity, scale=scale) for scale in np.unique(kinds[0]).tolist()}
    return [
        Group(
            AnnualCost(members.frequency(claims), amounts[scale], attachment, limit),
            Binomial(1, 1.0),
            number,
        )
        for (scale, claims), number in zip(kinds.T.tolist(), count.tolist(), strict=True)
    ]


def _few(words: str, kinds: T, most: int) -> T:
    if len(kinds) > most:
        raise ValueError(
            f"members have {len(kinds)} different {words}, and at most {most} are worked out: "
            "round scores to bands, such as two significant digits, or use simulate_people"
        )
    return kinds


class Simulated(NamedTuple):
    """Totals of a list of members in each simulation, ``[simulation]``.

    Parameters
    ----------
    gross
        Cost of all members.
    retained
        What stays: gross less ceded.
    ceded
        What the layer takes: sum of min((cost of a member - attachment)+, limit).
    """

    gross: Floats
    retained: Floats
    ceded: Floats


def simulate_people(
    members: Members,
    severity: AbstractLaw,
    *,
    simulations: int,
    seed: int | np.random.Generator,
    attachment: float = 0.0,
    limit: float = inf,
) -> Simulated:
    """Return simulated totals, person by person: the law of `members_aggregate`, sampled.

    Parameters
    ----------
    members
        From `members`.
    severity
        Law of one claim, or of a year's cost where members have at most one, before their scale.
    simulations
        Number of years to draw.
    seed
        A seed, or a NumPy generator. The same seed gives the same totals for the same list.
    attachment, limit
        The layer of each member's cost of the year.
    """
    if simulations < 1:
        raise ValueError(f"simulations is {simulations}; it must be at least 1")
    Layer(severity, attachment, limit)  # refuses what the exact law refuses
    generator = np.random.default_rng(seed)
    size = len(members.claims)
    rows = max(_BATCH // size, 1)
    parts = [
        _batch(members, severity, min(rows, simulations - first), generator, attachment, limit)
        for first in range(0, simulations, rows)
    ]
    gross, ceded = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Simulated(gross, gross - ceded, ceded)


def _batch(
    members: Members,
    severity: AbstractLaw,
    rows: int,
    generator: np.random.Generator,
    attachment: float,
    limit: float,
) -> tuple[Floats, Floats]:
    """Return gross and ceded totals of some simulations."""
    shape = (rows, len(members.claims))
    if members.at_most_one:
        numbers = (generator.random(shape) < members.claims).astype(np.int64)
    else:
        rate = np.broadcast_to(members.claims, shape)
        if members.overdispersion:
            size = 1 / members.overdispersion
            rate = rate * generator.gamma(size, 1 / size, shape)
        numbers = generator.poisson(rate)
    owner = np.repeat(np.arange(numbers.size), numbers.ravel())
    amounts = severity.at(generator.standard_normal(len(owner)))
    costs = np.bincount(owner, amounts, numbers.size).reshape(shape) * members.scale
    ceded = np.minimum(np.maximum(costs - attachment, 0.0), limit)
    return costs.sum(axis=1), ceded.sum(axis=1)
