"""People one by one: those above a threshold each with a cost, the others as one total."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from riskshare.bind.leaves import PeopleNumbers, Structure
from riskshare.contract.rows import picked, replaced
from riskshare.contract.vectors import summed
from riskshare.program.chance import standardised, table_lookup


def of_people(
    structure: Structure,
    numbers: PeopleNumbers,
    activity: Array,
    unit_cost: Array,
    costs: Array,
    own: dict[str, Array],
) -> tuple[Array, Array]:
    """Return unit costs with the mean cost of the people drawn, and the cost of each of them.

    Of n people, a binomial number lies above the threshold; each of those has a cost of its own,
    the others' total is drawn from its law given their number. Where more lie above than there are
    places, the rest of them cost what one above does on average. A part of a person, as a capacity
    may leave, costs that part.

    Parameters
    ----------
    activity
        How many people there are, (line, sample).
    unit_cost
        Mean cost of a person at the prices drawn, (line, sample).
    costs
        The same at the case mix drawn: what persons cost.
    own
        Scores by what they are for.

    Returns
    -------
    unit_cost, person_cost
        (line, sample) and (slot, sample), the slots of a line together.
    """
    count, level = picked(activity, structure.peopled), picked(costs, structure.peopled)
    large = _above(numbers, count, own["large"])
    total = _rest(numbers, count - large, own["rest"])
    persons, start = [], 0
    for row, slots in enumerate(structure.slots):
        scores = own["person"][start : start + slots]
        table = numbers.values[row : row + 1], numbers.slopes[row : row + 1]
        cost = table_lookup(*table, scores.reshape(1, -1)).reshape(scores.shape)
        cost = cost * jnp.clip(large[row] - jnp.arange(slots, dtype=count.dtype)[:, None], 0, 1)
        missed = jnp.maximum(large[row] - slots, 0) * numbers.mean_above[row]
        total = total.at[row].add(summed(cost) + missed)
        persons.append(cost * level[row])
        start += slots
    factor = jnp.where(count > 0, total / jnp.where(count > 0, count, 1), 1)
    drawn = picked(unit_cost, structure.peopled) * factor
    return replaced(unit_cost, structure.peopled, drawn), jnp.concatenate(persons)


def by_line(structure: Structure, slot_cost: Array) -> Array:
    """Return costs of people drawn one by one as (line, person, sample).

    Someone on one line is nobody on another: what is protected is a person's cost on one line.
    """
    ends = np.cumsum(structure.slots)
    slot = np.arange(len(slot_cost))
    own = np.zeros((structure.lines, len(slot_cost), 1), bool)
    for line, end, slots in zip(structure.peopled, ends, structure.slots, strict=True):
        own[line, :, 0] = (slot >= end - slots) & (slot < end)
    return jnp.where(own, slot_cost, 0)


def _above(numbers: PeopleNumbers, count: Array, scores: Array) -> Array:
    """How many of the people lie above the threshold."""
    safe = jnp.maximum(count, 1)
    p = numbers.above
    standard = standardised(numbers.number, jnp.log(safe), scores)
    x = jnp.ceil(safe * p + jnp.sqrt(safe * p * (1 - p)) * standard)
    some = jnp.where((count > 0) & (p > 0), jnp.clip(x, 0, count), 0)
    return jnp.where(p < 1, some, count)


def _rest(numbers: PeopleNumbers, count: Array, scores: Array) -> Array:
    """Total cost of the people below the threshold, relative to the mean cost of one."""
    safe = jnp.maximum(count, 1)
    standard = standardised(numbers.rest, jnp.log(safe), scores)
    x = count * numbers.rest_mean + jnp.sqrt(count) * numbers.rest_sd * standard
    return jnp.where(count > 0, jnp.maximum(x, 0), 0)
