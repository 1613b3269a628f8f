"""The kernel: bits to scores to experience to contract, in blocks of 4,096 samples.

One compiled function per case *structure*; every number is an argument. A chunk is 16 blocks under
`jax.lax.map`, so that another sample count never recompiles and memory stays in the cache.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from riskshare.bind.leaves import Leaves, Structure
from riskshare.program.experience import Experience, draw_year, initial_drivers
from riskshare.program.given import NOTHING, Given
from riskshare.program.settle import Carried, Outputs, initial_carried, settle_year, settle_years
from riskshare.program.streams import BLOCK, pseudo_bits, score
from riskshare.program.years import OPTIONS, over_years

BLOCKS_PER_CHUNK = 16

_STATIC = ("structure", "keep", "unrolled")

_traced: list[str] = []


def note_trace(name: str) -> None:
    """Note that a kernel is being traced, and so compiled."""
    _traced.append(name)


@contextmanager
def count_traces() -> Iterator[list[str]]:
    """Collect the name of every kernel that is traced (and so compiled) inside the block."""
    before = len(_traced)
    found: list[str] = []
    try:
        yield found
    finally:
        found.extend(_traced[before:])


def _years_of(
    structure: Structure,
    leaves: Leaves,
    bits: Array,
    keep: tuple[str, ...],
    dtype: Any,
    unrolled: bool,
    given: Given = NOTHING,
) -> Outputs:
    """One block: (year, column, sample) bits to the kept outputs, (year, ..., sample)."""
    # Scores are formed before the scan over years, which stores them once; formed inside, XLA
    # would compute each again in every table lookup that uses it.
    scores = _stored(score(bits, dtype))
    like = jnp.zeros((1, bits.shape[-1]), dtype)
    contract = any(name not in _DRAWS for name in keep)

    def step(state: Any, inputs: Any) -> tuple[Any, Outputs]:
        drivers, carried = state
        yearly, year_scores, year_given = inputs
        year, drivers = draw_year(
            structure, leaves.laws, leaves.world, yearly, year_scores, drivers, year_given
        )
        outputs: Outputs = {
            "activity": year.activity,
            "case_mix": year.case_mix,
            "unit_cost": year.unit_cost,
            "driver_index": year.index,
            "person_cost": year.slot_cost,
            "waiting_list": year.waiting,
        }
        if contract:
            settled, carried = settle_year(structure, leaves.world, yearly, year, carried, None)
            outputs |= settled
        return (drivers, carried), {name: outputs[name] for name in keep}

    carried = initial_carried(structure, leaves.yearly, like)
    start = (initial_drivers(structure, leaves.laws, like), carried)
    if structure.years == 1:
        first = jax.tree.map(lambda leaf: leaf[0], (leaves.yearly, scores, given))
        outputs = step(start, first)[1]
        return jax.tree.map(lambda leaf: leaf[None], outputs)
    return over_years(step, start, (leaves.yearly, scores, given), unrolled=unrolled)[1]


_DRAWS = ("activity", "case_mix", "unit_cost", "driver_index", "person_cost", "waiting_list")


def _stored(scores: Array) -> Array:
    """Have XLA store the scores once: it fuses through all but a matrix product."""
    years, columns, samples = scores.shape
    padded = -columns % 8
    scores = jnp.pad(scores, ((0, 0), (0, padded), (0, 0)))
    groups = scores.reshape(years, -1, 8, samples)
    unit = jnp.broadcast_to(jnp.eye(8, dtype=scores.dtype), (*groups.shape[:2], 8, 8))
    groups = jnp.einsum("ygij,ygjb->ygib", unit, groups, precision="highest")
    return groups.reshape(years, -1, samples)[:, :columns]


@partial(jax.jit, static_argnames=(*_STATIC, "dtype"), compiler_options=OPTIONS)
def sobol_chunk(
    structure: Structure,
    leaves: Leaves,
    low: Array,
    words: Array,
    *,
    keep: tuple[str, ...],
    dtype: Any,
    unrolled: bool = False,
) -> Outputs:
    """Sobol' samples: ``low`` (year, column, sample) bits, ``words`` (block, year, column)."""
    note_trace("sobol_chunk")

    def block(word: Array) -> Outputs:
        return _years_of(structure, leaves, low ^ word[:, :, None], keep, dtype, unrolled)

    return jax.lax.map(block, words)


@partial(jax.jit, static_argnames=(*_STATIC, "dtype"), compiler_options=OPTIONS)
def pseudo_chunk(
    structure: Structure,
    leaves: Leaves,
    keys: Array,
    blocks: Array,
    *,
    keep: tuple[str, ...],
    dtype: Any,
    unrolled: bool = False,
) -> Outputs:
    """Pseudo-random samples: ``keys`` (year, column, 2), ``blocks`` the numbers of the blocks."""
    note_trace("pseudo_chunk")
    years, columns = keys.shape[:2]

    def block(number: Array) -> Outputs:
        bits = pseudo_bits(keys.reshape(years * columns, 2), number)
        bits = bits.reshape(years, columns, BLOCK)
        return _years_of(structure, leaves, bits, keep, dtype, unrolled)

    return jax.lax.map(block, blocks)


@partial(jax.jit, static_argnames=(*_STATIC, "dtype"), compiler_options=OPTIONS)
def given_chunk(
    structure: Structure,
    leaves: Leaves,
    keys: Array,
    blocks: Array,
    given: Given,
    *,
    keep: tuple[str, ...],
    dtype: Any,
    unrolled: bool = False,
) -> Outputs:
    """Pseudo-random samples around what is given, (block, year, row, sample)."""
    note_trace("given_chunk")
    years, columns = keys.shape[:2]

    def block(inputs: tuple[Array, Given]) -> Outputs:
        number, mine = inputs
        bits = pseudo_bits(keys.reshape(years * columns, 2), number)
        bits = bits.reshape(years, columns, BLOCK)
        return _years_of(structure, leaves, bits, keep, dtype, unrolled, mine)

    return jax.lax.map(block, (blocks, given))


@partial(jax.jit, static_argnames=_STATIC, compiler_options=OPTIONS)
def settle_many(
    structure: Structure,
    leaves: Leaves,
    varied: dict[int, Array],
    experience: Experience,
    carried: Carried | None,
    settled: Array,
    per_unit: Array | None,
    *,
    keep: tuple[str, ...],
    unrolled: bool = False,
) -> tuple[Outputs, Any]:
    """Settle many contracts of one structure, each on its own experience of one sample.

    ``varied`` holds the leaves that differ, by their place, with the contract first, as the
    experience has it.
    """
    note_trace("settle_many")

    def one(own: dict[int, Array], given: Experience) -> tuple[Outputs, Any]:
        flat, tree = jax.tree.flatten(leaves)
        for place, values in own.items():
            flat[place] = values
        mine = jax.tree.unflatten(tree, flat)
        start = carried
        if start is None:
            start = initial_carried(structure, mine.yearly, jnp.zeros_like(given.activity[0]))
        outputs, states = settle_years(
            structure, mine, given, start, settled, per_unit, unrolled=unrolled
        )
        return {name: outputs[name] for name in keep}, states

    return jax.vmap(one)(varied, experience)


@partial(jax.jit, static_argnames=_STATIC, compiler_options=OPTIONS)
def settle_block(
    structure: Structure,
    leaves: Leaves,
    experience: Experience,
    carried: Carried | None,
    settled: Array,
    per_unit: Array | None,
    *,
    keep: tuple[str, ...],
    unrolled: bool = False,
) -> tuple[Outputs, Any]:
    """Settle given experience, (year, ..., sample).

    ``carried`` is the state before, if any; ``per_unit`` the number of smallest units in one unit
    of the currency, where money is to be rounded to them.
    """
    note_trace("settle_block")
    if carried is None:
        like = jnp.zeros((1, experience.activity.shape[-1]), experience.activity.dtype)
        carried = initial_carried(structure, leaves.yearly, like)
    outputs, states = settle_years(
        structure, leaves, experience, carried, settled, per_unit, unrolled=unrolled
    )
    reported = keep if per_unit is None else (*keep, "moved", "notes")
    return {name: outputs[name] for name in reported}, states
