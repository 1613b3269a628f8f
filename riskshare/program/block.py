"""The kernel: bits to scores to experience to contract, in blocks of 4,096 samples.

One compiled function per case *structure*; every number is an argument. A chunk of blocks runs
under `jax.lax.map`, so that another sample count recompiles nothing (but once, where a run passes
65,536: see `riskshare.program.compiling.TwoWays`) and memory stays in the cache.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from inspect import unwrap
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from riskshare.bind.leaves import Leaves, Structure
from riskshare.bind.packed import PackedLeaves, unpacked
from riskshare.contract.vectors import stored
from riskshare.program.compiling import KERNEL, TwoWays, of_actuals
from riskshare.program.experience import Experience, draw_year, initial_drivers
from riskshare.program.given import NOTHING, Given
from riskshare.program.leading import Leading, led
from riskshare.program.reduce import Cells, Reduction, below, counted, places_of, reduced, total
from riskshare.program.settle import Carried, Outputs, initial_carried, settle_year, settle_years
from riskshare.program.source import SobolPoints, Source
from riskshare.program.streams import BLOCK, score
from riskshare.program.years import over_years

_STATIC = ("structure", "keep", "unrolled")
_SAMPLED = (*_STATIC, "dtype")

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


def block_outputs(
    structure: Structure,
    leaves: Leaves | PackedLeaves,
    source: Source,
    place: Array,
    given: Given,
    leading: Leading | None,
    reduction: Reduction | None,
    keep: tuple[str, ...],
    dtype: Any,
    unrolled: bool,
) -> Outputs:
    """Return what is kept of one block, (year, ..., sample), and what is summed of it."""
    drawn, weight = source.by_year(place), None
    if leading is not None:
        # A turn mixes the columns of all years, so all are drawn before the first. They are stored
        # before it: the sum that a turn ends with is computed again in every table lookup too.
        known = leaves.world.deliverer
        every = jax.vmap(lambda of_year: stored(lambda: score(source.bits(of_year), dtype), known))(
            drawn
        )
        drawn, weight = led(leading, every)
    like = jnp.zeros((1, _samples(source)), dtype)
    parts = () if reduction is None else _parts(structure)
    summed = () if reduction is None else reduction.summed
    held = tuple(dict.fromkeys((*keep, *parts)))
    contract = any(name not in _DRAWS for name in (*held, *summed))

    def step(state: Any, inputs: Any) -> tuple[Any, Any]:
        drivers, carried = state
        numbers, year_drawn, year_given = inputs
        yearly = unpacked(numbers)
        year_scores = year_drawn
        if leading is None:
            year_scores = stored(lambda: score(source.bits(year_drawn), dtype), yearly.price)
        draw = partial(
            draw_year,
            structure,
            leaves.laws,
            leaves.world,
            yearly,
            year_scores,
            drivers,
            year_given,
        )
        year, drivers = stored(draw, yearly.price) if _looks_up(structure) else draw()
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
        sums = {
            name: jax.tree.map(lambda part: total(part, weight), outputs[name]) for name in summed
        }
        return (drivers, carried), ({name: outputs[name] for name in held}, sums)

    carried = initial_carried(structure, unpacked(leaves.yearly), like)
    start = (initial_drivers(structure, leaves.laws, like), carried)
    inputs = (leaves.yearly, drawn, given)
    if structure.years == 1:
        first = jax.tree.map(lambda leaf: leaf[0], inputs)
        results, sums = jax.tree.map(lambda leaf: leaf[None], step(start, first)[1])
    else:
        results, sums = over_years(step, start, inputs, unrolled=unrolled)[1]
    found = {name: results[name] for name in keep}
    if weight is not None:
        found["weight"] = weight
    if reduction is not None:
        made, found["series"] = reduced(reduction, [results[name] for name in parts], weight)
        if weight is not None:
            made |= {"weight": weight.sum(), "weight_squares": (weight * weight).sum()}
        found |= {"reduced": made, "sums": sums}
    return found


def _parts(structure: Structure) -> tuple[str, ...]:
    """Return what totals are made of: positions, and other positions where a partner has one."""
    return ("position", "other_position") if structure.others else ("position",)


_DRAWS = ("activity", "case_mix", "unit_cost", "driver_index", "person_cost", "waiting_list")


def _samples(source: Source) -> int:
    """Return how many samples a block has: fewer than usual where so few points are given."""
    return source.low.shape[-1] if isinstance(source, SobolPoints) else BLOCK


def _looks_up(structure: Structure) -> bool:
    """Return whether a year is drawn from tables, which takes too long to be done twice."""
    noises = (structure.activity_noise, structure.unit_cost_noise, structure.case_mix_noise)
    return bool(structure.tabled) or any(noise.tabled or noise.counts for noise in noises)


@partial(TwoWays, static=("together", *_SAMPLED))
def sample_blocks(
    structure: Structure,
    leaves: Leaves | PackedLeaves,
    source: Source,
    places: Array,
    given: Given = NOTHING,
    leading: Leading | None = None,
    reduction: Reduction | None = None,
    blocks: Array | int = 0,
    *,
    keep: tuple[str, ...],
    dtype: Any,
    together: int | None = None,
    unrolled: bool = False,
) -> Outputs:
    """Draw and settle blocks of samples; every output has the block first.

    Parameters
    ----------
    source, places
        Where bits come from: the words of each block, (block, year, column), for Sobol' points,
        or their numbers.
    given
        What stands in place of what would be drawn: (block, year, row, sample).
    leading
        Leading directions, to which the first columns are turned.
    reduction
        What of the results is reduced.
    blocks
        How many blocks there really are, for what is made of all of them together; the others
        fill the shape.
    keep
        Outputs to return as they are, (block, year, ..., sample).
    together
        Blocks computed at once rather than one after the other: for devices wider than a block.

    Returns
    -------
    dict
        The outputs kept; ``weight`` (block, sample) where leading directions are tilted;
        with a reduction ``series`` (block, series, sample), ``reduced`` and ``sums``; ``cells`` of
        all blocks together, (2, series, cell), where it counts them.
    """
    note_trace("sample_blocks")

    def block(inputs: tuple[Array, Given]) -> Outputs:
        place, mine = inputs
        return block_outputs(
            structure, leaves, source, place, mine, leading, reduction, keep, dtype, unrolled
        )  # fmt: skip

    found = jax.lax.map(block, (places, given), batch_size=together)
    if reduction is not None and reduction.series.cells is not None:
        cells, series = reduction.series.cells, found["series"]
        real = (jnp.arange(len(series)) < blocks).astype(series.dtype)[:, None]
        weight = found.get("weight", jnp.ones((1, series.shape[-1]), series.dtype))
        found["cells"] = places_of(cells, counted(cells, series, real * weight))
    return found


@partial(jax.jit, compiler_options=KERNEL)
def count_blocks(
    cells: Cells, series: Array, weight: Array | None, sides: Array, last: Array
) -> tuple[Array, Array]:
    """Count the samples of a chunk in cells: their weights and sums of places.

    Parameters
    ----------
    series
        (block, series, sample)
    weight
        (block, sample); None where all count 1.
    sides
        Cells before which sums are wanted of each run of blocks, (series, level, side).
    last
        (block): whether a run ends with it. What comes after the last one is not counted.

    Returns
    -------
    tuple
        In all cells, (2, series, cell); and before those of ``sides`` up to the end of each run,
        (block, 2, series, level, side), 0 where none ends.
    """
    note_trace("count_blocks")

    def more(block: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        held, found = state
        held = counted(cells, series[block], None if weight is None else weight[block], held)
        own = jax.lax.cond(
            last[block],
            lambda: below(cells, places_of(cells, held), sides),
            lambda: jnp.zeros_like(found[0]),
        )
        return held, found.at[block].set(own)

    blocks, rows, _ = series.shape
    held = jnp.zeros((rows, cells.count + 2, 2), series.dtype)
    found = jnp.zeros((blocks, 2, *sides.shape), series.dtype)
    stop = jnp.max(jnp.where(last, jnp.arange(1, blocks + 1), 0))
    held, found = jax.lax.fori_loop(0, stop, more, (held, found))
    return places_of(cells, held), found


@partial(jax.jit, static_argnames=_STATIC, compiler_options=KERNEL)
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


@partial(jax.jit, static_argnames=_STATIC, compiler_options=KERNEL)
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


@lru_cache(maxsize=1)
def settle_actuals() -> Callable[..., tuple[Outputs, Any]]:
    """Return `settle_block` for one sample: what really happened."""
    settle = unwrap(settle_block)
    return jax.jit(settle, static_argnames=_STATIC, compiler_options=of_actuals())
