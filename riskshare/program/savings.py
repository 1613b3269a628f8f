"""What each change saves, in three columns: avoided, released, and in cash."""

import jax.numpy as jnp
from jax import Array

from riskshare.bind.leaves import Structure, World, Yearly
from riskshare.contract.cost import LineCost
from riskshare.contract.ledger import PRECISION
from riskshare.contract.primitives import positive, ratio
from riskshare.contract.vectors import summed
from riskshare.program.experience import Experience, members_index

SAVINGS = ("saving_avoided", "saving_released", "saving_cash")


def savings_of(
    structure: Structure,
    world: World,
    yearly: Yearly,
    experience: Experience,
    line_cost: LineCost,
    amount: Array,
) -> dict[str, Array]:
    """Return the savings of each change, (change, sample) money.

    ``brought`` beside them is the cost of what each change brought to each line, (line, change,
    sample).

    - avoided: full cost of the activity that the change took out, against the counterfactual in
      which it was there: ``unit_cost x case_mix x units``;
    - released: the change's part of the line's cost released, ``cost_released x s_c / max(sum of
      s, R / A0)``, s_c being the share of baseline that change c delivered: growth that fills what
      it freed leaves less;
    - cash: released, less its running cost and the cost of what it brought to another line.
    """
    volume = yearly.before
    if structure.populations:
        moves = members_index(structure, experience.index) - 1
        volume = volume * (1 + jnp.matmul(world.exposure, moves, precision=PRECISION))
    units = yearly.moved * amount
    volume = positive(volume + summed(units, 1))
    scale = ratio(experience.activity, volume)
    left, brought = positive(-units) * scale[:, None], positive(units) * scale[:, None]
    full = experience.unit_cost * experience.case_mix
    shares = world.taken[:, :, None] * amount
    whole = jnp.maximum(summed(shares, 1), ratio(line_cost.removed, yearly.cost.baseline))
    part = ratio(shares, jnp.broadcast_to(whole[:, None], shares.shape))
    released = summed(line_cost.released[:, None] * part)
    arriving = ratio(brought, jnp.broadcast_to(experience.activity[:, None], brought.shape))
    moved = line_cost.cost[:, None] * arriving
    return {
        "saving_avoided": summed(full[:, None] * left),
        "saving_released": released,
        "saving_cash": released - yearly.running_cost - summed(moved),
        "brought": moved,
    }
