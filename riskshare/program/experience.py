"""From normal scores to one year's experience: indices, activity, case mix and unit cost."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from riskshare.bind.leaves import (
    WHOLE_BELOW,
    WIDEST,
    CapacityNumbers,
    Laws,
    NoiseNumbers,
    NoiseStructure,
    Structure,
    World,
    Yearly,
)
from riskshare.contract.divisia import TINY
from riskshare.contract.ledger import PRECISION
from riskshare.contract.rows import picked, replaced
from riskshare.contract.vectors import stored, summed
from riskshare.program.chance import beyond, counts, cubed, factors, table_lookup, thinned
from riskshare.program.copula import student_innovations
from riskshare.program.given import NOTHING, Given, instead
from riskshare.program.people import of_people

Numbers = Any
"""A NumPy or JAX array."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Experience:
    """What happened or was drawn in one year (all of them with a leading axis); sample last."""

    activity: Numbers
    """(line, sample): units."""
    case_mix: Numbers
    unit_cost: Numbers
    index: Numbers
    """(index, sample): drivers, members, deliveries, delays, scores, other positions."""
    given_cost: Numbers | None = None
    """Cost taken as it is; NaN where the cost model applies."""
    other_position: Numbers | None = None
    """(partner with another position, sample): money as given; drawn where it is not."""
    person_cost: Numbers | None = None
    """(line, person, sample): money, 0 where a person is absent."""
    slot_cost: Numbers | None = None
    """(slot, sample): money of people drawn one by one, the slots of a line together."""
    waiting: Numbers | None = None
    """(line with a capacity, sample): those who wait when the year ends."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class DriverState:
    """Scores and indices of last year, and who was waiting at its end."""

    score: Float[Array, "index sample"]
    index: Float[Array, "index sample"]
    waiting: Float[Array, "limited sample"]


def initial_drivers(structure: Structure, laws: Laws, like: Array) -> DriverState:
    """Return the state before the first year: no index looks at it, those who wait are there."""
    zero = jnp.zeros((structure.indices, like.shape[-1]), like.dtype)
    waiting = laws.capacity.waiting + jnp.zeros(
        (len(structure.limited), like.shape[-1]), like.dtype
    )
    return DriverState(zero, zero, waiting)


def draw_year(
    structure: Structure,
    laws: Laws,
    world: World,
    yearly: Yearly,
    scores: Float[Array, "column sample"],
    state: DriverState,
    given: Given = NOTHING,
) -> tuple[Experience, DriverState]:
    """Turn one year's independent scores into its experience.

    ``activity = (before x members + sum over changes of moved x delivered) x prod driver^loading
    x chance``, floored at zero before chance and limited by capacity; unit cost and case mix
    likewise. What is given stands in place of what would be drawn.
    """
    own = _parts(structure, scores)
    innovation = _innovations(structure, laws, own["index"])
    if laws.copula is not None:
        innovation = student_innovations(innovation, own["copula"], laws.copula)
    score = yearly.carry * state.score + yearly.fresh * innovation
    index = instead(given.index, _indices(structure, laws, yearly, score, state))
    year = yearly.number
    mean = expected_activity(structure, world, yearly, index, laws, own["thinning"])
    mean = instead(given.mean, mean)
    follow = _coupled(
        structure, structure.activity_noise, laws.activity_noise, own["activity"], score, year, None
    )
    # value and cost both look at it, and would each work it out again
    drawn = partial(_with_noise, structure, structure.activity_noise, laws.activity_noise)
    demand = stored(partial(drawn, mean, follow, index, year), yearly.price)
    activity, waiting, left = treated(
        structure, laws.capacity, year, demand, state.waiting, given.activity
    )
    unit_cost = yearly.unit_cost * _factors(structure, "unit_cost", world.unit_cost_loadings, index)
    case_mix = _factors(structure, "case_mix", world.case_mix_loadings, index)
    noisy = []
    for what, name, noise, numbers in (
        (unit_cost, "unit_cost", structure.unit_cost_noise, laws.unit_cost_noise),
        (case_mix, "case_mix", structure.case_mix_noise, laws.case_mix_noise),
    ):
        chance = _coupled(
            structure, noise, numbers, own[name], score, year, _followed(noise, follow)
        )
        noisy.append(_with_noise(structure, noise, numbers, what, chance, index, year))
    unit_cost, case_mix = instead(given.unit_cost, noisy[0]), instead(given.case_mix, noisy[1])
    persons = None
    if laws.people is not None:
        costs = unit_cost * case_mix
        unit_cost, persons = of_people(structure, laws.people, activity, unit_cost, costs, own)
    experience = Experience(
        activity, case_mix, unit_cost, index, given.cost, slot_cost=persons, waiting=waiting
    )
    return experience, DriverState(score, index, left)


def _parts(structure: Structure, scores: Array) -> dict[str, Array]:
    """Return the scores of a year by what they are for."""
    found, start = {}, 0
    for name, columns in structure.columns.items():
        found[name] = scores[start : start + len(columns)]
        start += len(columns)
    return found


def _indices(
    structure: Structure, laws: Laws, yearly: Yearly, score: Array, state: DriverState
) -> Array:
    """Return every index from its score: closed forms, and tables where a law has one."""
    exponent = laws.location + laws.scale * score
    factor = jnp.where(laws.logarithmic > 0, jnp.exp(exponent), jnp.maximum(exponent, 0))
    if structure.tabled:
        own = picked(score, structure.tabled)
        atoms = laws.atoms
        if structure.atoms:
            turned = atoms.side * picked(own, structure.atoms)
            within = turned <= atoms.edge
            own = replaced(own, structure.atoms, beyond(turned, atoms.probability))
        values = table_lookup(laws.values, laws.slopes, own)
        if structure.atoms:
            smooth = picked(values, structure.atoms)
            values = replaced(values, structure.atoms, jnp.where(within, atoms.value, smooth))
        factor = replaced(factor, structure.tabled, values)
    return jnp.where(yearly.walks > 0, state.index * factor, factor)


def _followed(noise: NoiseStructure, follow: Array) -> Array | None:
    """Scores of the activity chance that the rows of another chance follow."""
    if not noise.followed:
        return None
    none = jnp.zeros((1, follow.shape[-1]), follow.dtype)
    return jnp.concatenate([follow, none])[jnp.asarray(noise.followed)]


def _coupled(
    structure: Structure,
    noise: NoiseStructure,
    numbers: NoiseNumbers,
    own: Array,
    score: Array,
    year: Array,
    follow: Array | None,
) -> Array:
    """Scores of the lines' chance: their own, and what they share through factors or follow."""
    if not noise.coupled and follow is None:
        return own
    total = numbers.own[year] * own
    if noise.coupled:
        shared = score[: structure.drivers]
        total = total + jnp.matmul(numbers.factors, shared, precision=PRECISION)
    return total if follow is None else total + numbers.with_activity * follow


def _innovations(structure: Structure, laws: Laws, scores: Array) -> Array:
    """Correlated innovations of all indices; certain ones stay at zero."""
    still = jnp.zeros((structure.indices, scores.shape[-1]), scores.dtype)
    full = replaced(still, structure.drawn, scores) if structure.drawn else still
    return jnp.matmul(laws.cholesky, full, precision=PRECISION)


def _factors(structure: Structure, acted_on: str, loadings: Array, index: Array) -> Array:
    """Product of the drivers that act on something, each to the line's loading."""
    if acted_on not in structure.moved:
        return jnp.ones((structure.lines, index.shape[-1]), index.dtype)
    logs = jnp.log(jnp.maximum(index[: structure.drivers], TINY))
    return jnp.exp(jnp.matmul(loadings, logs, precision=PRECISION))


def members_index(structure: Structure, index: Array) -> Array:
    """Return the rows of populations."""
    return index[structure.drivers : structure.drivers + structure.populations]


def delivered(structure: Structure, world: World, yearly: Yearly, index: Array) -> Array:
    """Return size x delivery of each change, after its delay: (change, sample)."""
    first = structure.drivers + structure.populations
    delivery = index[first : first + structure.changes]
    size = yearly.size * jnp.ones_like(delivery)
    for k, change in enumerate(structure.delayed):
        late = index[first + structure.changes + k]
        size = size.at[change].set(_delayed_size(world, yearly, change, late))
    return size * delivery


def _thinned(
    structure: Structure, laws: Laws, yearly: Yearly, index: Array, amount: Array, scores: Array
) -> Array:
    """Amounts delivered with the changes that are thinned counted unit by unit."""
    first = structure.drivers + structure.populations
    delivery = picked(index[first : first + structure.changes], structure.thinned)
    assert laws.thinning is not None
    start = yearly.number * len(structure.thinned)
    left = laws.unthinned[yearly.number]
    share = thinned(laws.thinning, delivery, scores, WHOLE_BELOW, left, start)
    safe = jnp.where(delivery > 0, delivery, 1)
    counted = picked(amount, structure.thinned) * jnp.where(delivery > 0, share / safe, 1)
    return replaced(amount, structure.thinned, counted)


def _delayed_size(world: World, yearly: Yearly, change: int, late: Array) -> Array:
    """Mean over the year of the planned profile moved by the delay (see `riskshare.plan`)."""
    start, end = world.profile_start[yearly.number], world.profile_end[yearly.number]
    overlap = jnp.minimum(end - late, world.profile_end[:, None]) - jnp.maximum(
        start - late, world.profile_start[:, None]
    )
    size = world.profile_size[:, change][:, None]
    return summed(size * jnp.maximum(overlap, 0)) / (end - start)


def expected_activity(
    structure: Structure,
    world: World,
    yearly: Yearly,
    index: Array,
    laws: Laws | None = None,
    thinning: Array | None = None,
) -> Array:
    """Return activity given every index, before the line's own chance: (line, sample).

    With laws and scores of thinning, planned units move or stay one by one.
    """
    volume: Any = yearly.before
    if structure.populations:
        moves = members_index(structure, index) - 1
        volume = volume * (1 + jnp.matmul(world.exposure, moves, precision=PRECISION))
    if structure.changes:
        amount = delivered(structure, world, yearly, index)
        if structure.thinned and laws is not None and thinning is not None:
            amount = _thinned(structure, laws, yearly, index, amount, thinning)
        volume = volume + summed(yearly.moved * amount, 1)
        volume = jnp.maximum(volume, 0)
    return volume * _factors(structure, "activity", world.activity_loadings, index)


def _with_noise(
    structure: Structure,
    noise: NoiseStructure,
    numbers: NoiseNumbers,
    mean: Array,
    scores: Array,
    index: Array,
    year: Array,
) -> Array:
    """Apply each line's chance to its mean; where it may be zero, to what makes up for that."""
    if not noise.lines:
        return mean
    moved = picked(mean, noise.lines)
    if noise.zeroed:
        own = picked(scores, noise.zeroed)
        nothing = own <= numbers.edge
        scores = replaced(scores, noise.zeroed, beyond(own, numbers.zeros))
        moved = replaced(moved, noise.zeroed, picked(moved, noise.zeroed) / (1 - numbers.zeros))
    spread = None
    if noise.spread:
        logs = jnp.log(jnp.maximum(index[: structure.drivers], TINY))
        spread = jnp.exp(jnp.matmul(numbers.dispersion, logs, precision=PRECISION))
        spread = jnp.clip(spread, 1 / WIDEST, WIDEST)
    first, second = len(noise.counts), len(noise.counts) + len(noise.tabled)

    def part(start: int, end: int | None) -> tuple[Array, Array, Array | None]:
        own = slice(start, end)
        return moved[own], scores[own], None if spread is None else spread[own]

    parts = []
    if noise.counts:
        assert numbers.table is not None
        middle, at, wide = part(0, first)
        parts.append(counts(middle, at, numbers.table, numbers.whole, year * first, wide))
    if noise.tabled:
        assert numbers.factor is not None
        middle, at, wide = part(first, second)
        parts.append(middle * factors(numbers.factor, at, wide))
    third = second + len(noise.cubed)
    if noise.cubed:
        middle, at, _ = part(second, third)
        parts.append(middle * cubed(numbers.cubed, at))
    if noise.lognormal:
        middle, at, wide = part(third, None)
        sigma = numbers.sigma
        if wide is not None:  # it is the coefficient of variation that is multiplied
            spread_sigma = jnp.sqrt(jnp.log1p(jnp.expm1(sigma**2) * wide**2))
            moves = jnp.any(numbers.dispersion[third:] != 0, axis=1, keepdims=True)
            sigma = jnp.where(moves, spread_sigma, sigma)
        parts.append(middle * jnp.exp(sigma * at - sigma**2 / 2))
    noisy = parts[0] if len(parts) == 1 else jnp.concatenate(parts)
    if noise.zeroed:
        noisy = replaced(noisy, noise.zeroed, jnp.where(nothing, 0, picked(noisy, noise.zeroed)))
    return replaced(mean, noise.lines, noisy)


def treated(
    structure: Structure,
    numbers: CapacityNumbers,
    year: Array,
    demand: Array,
    waiting: Array,
    given: Array | None = None,
) -> tuple[Array, Array | None, Array]:
    """Return activity within capacity, who waits when the year ends, and who stays on the list.

    Given activity is taken as it is, whatever the capacity.
    """
    if not structure.limited:
        return instead(given, demand), None, waiting
    wanted = waiting + picked(demand, structure.limited)
    seen = jnp.minimum(wanted, numbers.units[year])
    activity = instead(given, replaced(demand, structure.limited, seen))
    left = jnp.maximum(wanted - picked(activity, structure.limited), 0)
    return activity, left, numbers.staying * left
