"""From normal scores to one year's experience: indices, activity, case mix and unit cost."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from riskshare.bind.leaves import Laws, NoiseNumbers, NoiseStructure, Structure, World, Yearly
from riskshare.contract.divisia import TINY
from riskshare.contract.ledger import PRECISION
from riskshare.program.chance import counts, table_lookup

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


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class DriverState:
    """Scores and indices of last year."""

    score: Float[Array, "index sample"]
    index: Float[Array, "index sample"]


def initial_drivers(structure: Structure, like: Array) -> DriverState:
    """Return the state before the first year, which no index looks at."""
    zero = jnp.zeros((structure.indices, like.shape[-1]), like.dtype)
    return DriverState(zero, zero)


def draw_year(
    structure: Structure,
    laws: Laws,
    world: World,
    yearly: Yearly,
    scores: Float[Array, "column sample"],
    state: DriverState,
) -> tuple[Experience, DriverState]:
    """Turn one year's independent scores into its experience.

    ``activity = (before x members + sum over changes of moved x delivered) x prod driver^loading
    x chance``, floored at zero before chance; unit cost and case mix likewise.
    """
    drawn = len(structure.drawn)
    innovation = _innovations(structure, laws, scores[:drawn])
    score = yearly.carry * state.score + yearly.fresh * innovation
    exponent = laws.location + laws.scale * score
    factor = jnp.where(laws.logarithmic > 0, jnp.exp(exponent), jnp.maximum(exponent, 0))
    index = jnp.where(yearly.walks > 0, state.index * factor, factor)
    activities = len(structure.activity_noise.lines)
    mean = expected_activity(structure, world, yearly, index)
    own = scores[drawn : drawn + activities]
    year = yearly.number
    own = _coupled(structure, structure.activity_noise, laws.activity_noise, own, score, year)
    activity = _with_noise(structure.activity_noise, laws.activity_noise, mean, own, year)
    factors = _factors(structure, "unit_cost", world.unit_cost_loadings, index)
    unit_cost = yearly.unit_cost * factors
    own = scores[drawn + activities :]
    own = _coupled(structure, structure.unit_cost_noise, laws.unit_cost_noise, own, score, year)
    unit_cost = _with_noise(structure.unit_cost_noise, laws.unit_cost_noise, unit_cost, own, year)
    case_mix = _factors(structure, "case_mix", world.case_mix_loadings, index)
    return Experience(activity, case_mix, unit_cost, index), DriverState(score, index)


def _coupled(
    structure: Structure,
    noise: NoiseStructure,
    numbers: NoiseNumbers,
    own: Array,
    score: Array,
    year: Array,
) -> Array:
    """Scores of the lines' chance: their own, and what they share through factors."""
    if not noise.coupled:
        return own
    shared = jnp.matmul(numbers.factors, score[: structure.drivers], precision=PRECISION)
    return shared + numbers.own[year] * own


def _innovations(structure: Structure, laws: Laws, scores: Array) -> Array:
    """Correlated innovations of all indices; certain ones stay at zero."""
    if structure.drawn == tuple(range(structure.indices)):
        full = scores
    else:
        full = jnp.zeros((structure.indices, scores.shape[-1]), scores.dtype)
        if structure.drawn:
            full = full.at[jnp.asarray(structure.drawn)].set(scores)
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


def _delayed_size(world: World, yearly: Yearly, change: int, late: Array) -> Array:
    """Mean over the year of the planned profile moved by the delay (see `riskshare.plan`)."""
    start, end = world.profile_start[yearly.number], world.profile_end[yearly.number]
    overlap = jnp.minimum(end - late, world.profile_end[:, None]) - jnp.maximum(
        start - late, world.profile_start[:, None]
    )
    size = world.profile_size[:, change][:, None]
    return (size * jnp.maximum(overlap, 0)).sum(0) / (end - start)


def expected_activity(structure: Structure, world: World, yearly: Yearly, index: Array) -> Array:
    """Return activity given every index, before the line's own chance: (line, sample)."""
    volume: Any = yearly.before
    if structure.populations:
        moves = members_index(structure, index) - 1
        volume = volume * (1 + jnp.matmul(world.exposure, moves, precision=PRECISION))
    if structure.changes:
        amount = delivered(structure, world, yearly, index)
        volume = volume + (yearly.moved * amount).sum(1)
        volume = jnp.maximum(volume, 0)
    return volume * _factors(structure, "activity", world.activity_loadings, index)


def _with_noise(
    structure: NoiseStructure, numbers: NoiseNumbers, mean: Array, scores: Array, year: Array
) -> Array:
    if not structure.lines:
        return mean
    rows = jnp.asarray(structure.lines)
    whole = structure.lines == tuple(range(mean.shape[0]))
    picked = mean if whole else mean[rows]
    first, second = len(structure.counts), len(structure.counts) + len(structure.gamma)
    parts = []
    if structure.counts:
        assert numbers.table is not None
        row = year * first
        parts.append(counts(picked[:first], scores[:first], numbers.table, numbers.whole, row))
    if structure.gamma:
        chance = table_lookup(numbers.values, numbers.slopes, scores[first:second])
        parts.append(picked[first:second] * chance)
    if structure.lognormal:
        sigma = numbers.sigma
        parts.append(picked[second:] * jnp.exp(sigma * scores[second:] - sigma**2 / 2))
    noisy = parts[0] if len(parts) == 1 else jnp.concatenate(parts)
    return noisy if whole else mean.at[rows].set(noisy)
