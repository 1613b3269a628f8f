"""People: the total of a list of members, by their transforms or one by one.

Members differ in what they are expected to claim and in what a claim of theirs costs. A layer
applies to each member's cost of a year, as specific stop-loss and truncation do. The total's law is
exact (`members_aggregate`), and so is a sample of it (`simulate_people`): the same model twice.
"""

from collections.abc import Sized
from math import inf
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from riskshare.laws.compound.aggregate import Aggregate
from riskshare.laws.compound.annual import AnnualCost
from riskshare.laws.compound.frequency import (
    AbstractFrequency,
    Binomial,
    Floats,
    NegativeBinomial,
    Poisson,
)
from riskshare.laws.compound.portfolio import Group
from riskshare.laws.compound.quadrature import condensed
from riskshare.laws.compound.severity import Layer, Severity
from riskshare.laws.compound.total import total
from riskshare.laws.marginal import AbstractLaw

MOST_SCALES = 512
"""Most different scales of cost in one list: each needs a grid of its own."""

MOST_GROUPS = 1024
"""Most different members in one list, after those of one scale are condensed."""

MOST_LAYERED = 256
"""Most different members in one list with several claims each and a layer: a grid for each."""

_BATCH = 2_000_000

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
        if not len(held):
            continue
        values, number = np.unique(held, return_counts=True)
        weights = number.astype(np.float64)
        if not members.at_most_one and not members.overdispersion:
            # Poisson members of one scale are one Poisson.
            values, weights = np.array([held.sum()]), np.ones(1)
        else:
            singular = 0.5 if members.at_most_one else -0.5 / members.overdispersion
            values, weights = condensed(values, weights, singular)
        groups += [
            Group(amount, members.frequency(claims), weight)
            for claims, weight in zip(values.tolist(), weights.tolist(), strict=True)
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
