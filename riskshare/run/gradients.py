"""Derivatives of statistics by numbers: through the kernel, block by block.

A block's derivatives are taken as it runs, so that memory does not grow with samples. There are
two ways, and the counts decide which of them a run goes:

- forward: each number moves the leaves of the kernel, and the positions with them; what the samples
  count for is summed of that. One pass for each number, however many statistics are asked for;
- reverse: what the samples count for is pulled back to the leaves, and from there to the numbers.
  One pass for each weight and series, however many numbers there are.

Numbers of terms reach nothing that is drawn. Where only such are asked for, the experience is drawn
once and settlement alone is differentiated; in forward mode from the first term that they reach,
and of those samples alone that count for something.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from inspect import unwrap
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from riskshare.bind.leaves import Leaves
from riskshare.case import Case
from riskshare.contract.primitives import gates
from riskshare.contract.vectors import stored, traced_once
from riskshare.program.block import block_outputs, note_trace, settle_block
from riskshare.program.compiling import of_derivatives, of_numbers
from riskshare.program.experience import Experience
from riskshare.program.functionals import (
    EVERYWHERE,
    Functionals,
    counted,
    series_of,
    summed,
    weighed,
)
from riskshare.program.given import NOTHING
from riskshare.program.years import recomputed
from riskshare.run.program import Program
from riskshare.run.sampling import Bits, Chunk, Sampling

WIDTH = 16
"""Blocks of a chunk at most. Short runs have fewer in each, so that all threads are busy."""

TURNS = 2
"""Chunks for each thread, at least, where there are blocks enough."""

ENTRIES = 50
"""Entries of leaves to pull back to that cost as much as a number does in forward mode: each is a
sum over samples, where forward mode stores next to nothing."""

DRAWN = 6
"""What a number costs that reaches what is drawn, where one of a term costs 1."""

LANES = 16
"""Parts of a block's samples that are summed apart."""

_DRAWS = ("activity", "case_mix", "unit_cost", "driver_index", "person_cost", "waiting_list")

Group = tuple[int, tuple[int, ...]]
"""The first stage that some numbers reach (0: what is drawn, then the terms), and all leaves."""


class Gradients:
    """Compiled derivatives of a program's positions by some of its numbers."""

    def __init__(self, program: Program, paths: tuple[str, ...], dtype: Any) -> None:
        self.program, self.paths, self.dtype = program, paths, dtype
        self.own = {path: program.parameters[path] for path in paths}
        """At which derivatives are taken unless told otherwise."""
        self.gates = 0
        """How many gates the last trace met."""
        self._floats = self._made()
        """Places of the leaves that are made anew from the numbers: tables are not, and large."""
        stages = _stages(program.bound.numbers)
        self._stages = np.array([stages[i] for i in self._floats], np.intp)
        self._reached = np.zeros((len(paths), len(self._floats)), bool)
        """(path, leaf): what has been seen to move."""
        self._moved = jax.jit(self._leaves_and_slopes, compiler_options=of_numbers())
        self._compiled = set[Any]()
        """What has run: statics, and the shapes of arguments."""
        self._jitted: Callable[..., Any] = jax.jit(
            self._blocks, static_argnames=("groups", "forward"), compiler_options=of_derivatives()
        )

    def run(
        self,
        sampling: Sampling,
        functionals: Functionals,
        workers: int,
        *,
        numbers: Mapping[str, float] | None = None,
        differentiated: bool = True,
        blocks: slice = slice(None),
    ) -> Iterator[tuple[Chunk, dict[str, Any]]]:
        """Yield each chunk with its sums of every block.

        ``derivatives`` (block, weight, series, path), ``weights`` (block, weight, series), and what
        `riskshare.program.functionals.summed` gives: (block, series), by level where it has one.

        Parameters
        ----------
        numbers
            At which derivatives are taken, by path; those of the case unless given.
        differentiated
            Whether gates have a derivative; without it they stand still.
        blocks
            Which blocks to run; all unless given.
        """
        bits = Bits(self.program.bound, sampling)
        own = self.own if numbers is None else numbers
        vector = np.array([own[path] for path in self.paths], self.dtype)
        leaves, slopes = self._moved(vector, self.program.host(self.dtype))
        by_path = [np.moveaxis(np.asarray(slope, np.float64), -1, 0) for slope in slopes]
        groups, members = self._groups(by_path)
        forward = self._forward(groups, members, functionals)
        tangents: list[list[NDArray[Any]]] = []
        if forward:
            # what is found is by number, in the order of the groups
            onto = np.eye(len(self.paths))[[path for of in members for path in of]]
            for (_, leaf_places), of in zip(groups, members, strict=True):
                tangents.append([by_path[i][of].astype(self.dtype) for i in leaf_places])
        else:
            # what is found is by entry of a leaf: the slopes lead on to the numbers
            union = tuple(sorted({leaf for _, held in groups for leaf in held}))
            groups = ((min((stage for stage, _ in groups), default=1), union),)
            flat = [by_path[i].reshape(len(self.paths), -1) for i in union]
            onto = np.concatenate([np.zeros((len(self.paths), 0)), *flat], axis=1).T
        widening = np.asarray(1.0 if differentiated else np.inf, self.dtype)
        held = jax.device_put((leaves, bits.source, functionals, tangents, widening))

        def work(chunk: Chunk) -> dict[str, Any]:
            leaves, source, *others = held
            count = np.int32(len(chunk.block))
            found = self._jitted(
                leaves, source, bits.of(chunk), count, *others, groups=groups, forward=forward
            )
            parts = {
                name: np.asarray(value, np.float64)[: len(chunk.block)]
                for name, value in found.items()
            }
            parts["derivatives"] = parts.pop("found") @ onto
            return parts

        listed = _chunks(sampling, workers, blocks)
        shapes = tuple(np.shape(leaf) for leaf in jax.tree.leaves(held))
        what = (groups, forward, jax.tree.structure(held), shapes)
        if what not in self._compiled:  # alone, for each thread would compile it
            yield listed[0], work(listed.pop(0))
            self._compiled.add(what)
        with ThreadPoolExecutor(workers) as pool:
            yield from zip(listed, pool.map(work, listed), strict=True)

    def _groups(self, by_path: list[NDArray[Any]]) -> tuple[tuple[Group, ...], list[list[int]]]:
        """Return groups of numbers by the first stage that they reach, and who is in each.

        What moves with a number is told by its slopes. A slope that is 0 here may not be so at
        other numbers, so leaves once seen to move stay.
        """
        slopes = [np.any(part.reshape(len(part), -1) != 0, axis=1) for part in by_path]
        if slopes:
            self._reached |= np.stack(slopes, axis=1)
        far = np.iinfo(np.intp).max
        first = np.where(self._reached, self._stages, far).min(axis=1, initial=far)
        groups, members = list[Group](), list[list[int]]()
        for stage in np.unique(first[first < far]):
            own = np.flatnonzero(first == stage)
            held = tuple(np.flatnonzero(self._reached[own].any(axis=0)).tolist())
            groups.append((int(stage), held))
            members.append(own.tolist())
        return tuple(groups), members

    def _forward(
        self, groups: tuple[Group, ...], members: list[list[int]], functionals: Functionals
    ) -> bool:
        """Whether the way forward is the cheaper one."""
        ahead = sum(
            len(own) * (1 if stage else DRAWN)
            for (stage, _), own in zip(groups, members, strict=True)
        )
        union = {leaf for _, held in groups for leaf in held}
        leaves = self.program.host(self.dtype)
        entries = sum(leaves[self._floats[i]].size for i in union)
        weights = len(functionals.kinds) * len(functionals.weights)
        return ahead <= weights * (1 + entries / ENTRIES)

    def _blocks(
        self,
        leaves: list[Array],
        source: Any,
        places: Array,
        blocks: Array,
        functionals: Functionals,
        tangents: list[list[Array]],
        widening: Array,
        *,
        groups: tuple[Group, ...],
        forward: bool,
    ) -> Mapping[str, Array]:
        note_trace("gradients")

        def block(place: Array) -> dict[str, Array]:
            kernel = _Kernel(self, leaves, source, place, functionals)
            if forward:
                return kernel.forward(groups, tangents)
            return kernel.back(groups[0])

        with gates(widening) as counted:
            found = _first(block, places, blocks)
        self.gates = counted[0]
        return found

    def _leaves_and_slopes(self, vector: Array, leaves: list[Array]) -> tuple[Any, Any]:
        """Return all leaves at some numbers, and the slopes of those that are floats."""

        def floats(numbers: Array) -> list[Array]:
            moved = jax.tree.leaves(self.program.leaves(numbers, leaves, self.paths, self.dtype))
            return [moved[i] for i in self._floats]

        moved = self.program.leaves(vector, leaves, self.paths, self.dtype)
        return jax.tree.leaves(moved), jax.jacfwd(floats)(vector)

    def _made(self) -> list[int]:
        """Return the places of leaves of floats that numbers may move."""
        found: list[int] = []

        def look(vector: Array, leaves: list[Array]) -> None:
            moved = jax.tree.leaves(self.program.leaves(vector, leaves, self.paths, self.dtype))
            both = enumerate(zip(moved, leaves, strict=True))
            found.extend(i for i, (new, old) in both if new is not old and old.size)

        leaves = self.program.host(self.dtype)
        jax.eval_shape(look, np.zeros(len(self.paths), self.dtype), leaves)
        return [i for i in found if leaves[i].dtype == self.dtype]

    def full(self, leaves: list[Array], held: tuple[int, ...], values: list[Array]) -> Leaves:
        """Return the leaves as a tree, some of the floats among them replaced."""
        every = list(leaves)
        for i, value in zip(held, values, strict=True):
            every[self._floats[i]] = value
        tree: Leaves = jax.tree.unflatten(self.program.tree, every)
        return tree

    def pick(self, leaves: list[Array], held: tuple[int, ...]) -> list[Array]:
        """Return some of the floats among the leaves."""
        return [leaves[self._floats[i]] for i in held]


class _Kernel:
    """One block as a function of leaves."""

    def __init__(
        self,
        of: Gradients,
        leaves: list[Array],
        source: Any,
        place: Array,
        functionals: Functionals,
    ) -> None:
        self.of, self.leaves, self.functionals = of, leaves, functionals
        self.source, self.place = source, place
        self.structure = of.program.bound.structure

    def forward(self, groups: tuple[Group, ...], tangents: list[list[Array]]) -> dict[str, Array]:
        """Return sums, with derivatives (weight, series, number) in the order of the groups."""

        def moved(experience: Experience, weights: Array, limits: Array) -> Array:
            parts = [jnp.zeros((*weights.shape[:2], 0), weights.dtype)]
            for (stage, held), moving in zip(groups, tangents, strict=True):
                function = self._settled(experience) if stage else self._drawn
                start = self.of.pick(self.leaves, held)
                _, push = jax.linearize(partial(function, held), start)
                tangent, drift = jax.lax.map(push, moving)
                parts.append(_summed(weights, tangent) + limits[:, :, None] * drift.T)
            return jnp.concatenate(parts, axis=-1)

        return self._of_settled(moved, few=all(stage for stage, _ in groups))

    def back(self, group: Group) -> dict[str, Array]:
        """Return sums, with derivatives (weight, series, entry of a leaf)."""
        stage, held = group
        start = self.of.pick(self.leaves, held)
        if stage:

            def settled(experience: Experience, weights: Array, limits: Array) -> Array:
                _, pull = jax.vjp(partial(self._settled(experience), held), start)
                return _pulled(pull, weights, limits)

            return self._of_settled(settled, few=True)
        with recomputed():
            (values, limit), pull = jax.vjp(partial(self._drawn, held), start)
        weights, limits = weighed(self.functionals, values, limit)
        found = summed(self.functionals, values, limit, weights)
        return {"found": _pulled(pull, weights, limits), **found}

    def _of_settled(
        self, derivatives: Callable[[Experience, Array, Array], Array], *, few: bool
    ) -> dict[str, Array]:
        """Return sums, with derivatives of samples whose experience is drawn once.

        ``few`` says whether those that count for nothing may be left out.
        """
        experience = self._experience()
        values, limit = self._settled(experience)((), [])
        weights, limits = weighed(self.functionals, values, limit)
        if few and not any(name in EVERYWHERE for name, _ in self.functionals.kinds):
            found = counted(derivatives, experience, weights, limits)
        else:
            found = derivatives(experience, weights, limits)
        return {"found": found, **summed(self.functionals, values, limit, weights)}

    def _drawn(self, held: tuple[int, ...], values: list[Array]) -> tuple[Array, Array]:
        """Return series and their targets from the first random number on."""
        own = self.of.full(self.leaves, held, values)
        found = self._outputs(own, ("position",))
        return series_of(self.functionals, found["position"], own.yearly.target)

    def _experience(self) -> Experience:
        own = self.of.full(self.leaves, (), [])
        found = stored(lambda: self._outputs(own, _DRAWS), own.yearly.price)
        activity, case_mix, unit_cost, index, persons, waiting = (found[n] for n in _DRAWS)
        return Experience(activity, case_mix, unit_cost, index, slot_cost=persons, waiting=waiting)

    def _settled(self, experience: Experience) -> Callable[..., tuple[Array, Array]]:
        """Return series and their targets as a function of the numbers of terms."""
        years = self.structure.years

        def positions(held: tuple[int, ...], values: list[Array]) -> tuple[Array, Array]:
            own = self.of.full(self.leaves, held, values)
            outputs, _ = unwrap(settle_block)(
                self.structure,
                own,
                experience,
                None,
                jnp.ones(years, bool),
                None,
                keep=("position",),
                unrolled=years == 1,
            )
            return series_of(self.functionals, outputs["position"], own.yearly.target)

        return positions

    def _outputs(self, own: Leaves, keep: tuple[str, ...]) -> dict[str, Any]:
        return block_outputs(
            self.structure,
            own,
            self.source,
            self.place,
            NOTHING,
            None,
            None,
            keep,
            self.of.dtype,
            False,
        )


@lru_cache(maxsize=4)
def gradients_of(case: Case, paths: tuple[str, ...], dtype: Any) -> Gradients:
    """Return derivatives of a case by some of its numbers, compiled once for the last few asked."""
    return Gradients(program_of(case), paths, dtype)


@lru_cache(maxsize=4)
def program_of(case: Case) -> Program:
    """Return the program of a case that keeps positions."""
    return Program(case, ("position",))


def _stages(numbers: Leaves) -> list[int]:
    """Return for each leaf the place of its term, from 1; 0 where it is of no term."""
    found = []
    for path, _ in jax.tree_util.tree_flatten_with_path(numbers)[0]:
        names = [getattr(key, "name", getattr(key, "idx", None)) for key in path]
        found.append(1 + int(names[2]) if names[:2] == ["yearly", "terms"] else 0)  # type: ignore[arg-type]
    return found


def _pulled(pull: Callable[..., Any], weights: Array, limits: Array) -> Array:
    """Return what weights give when they are pulled back: (kind, series, entry of a leaf)."""
    kinds, series, _ = weights.shape
    apart = jnp.eye(series, dtype=weights.dtype)

    def back(which: Array) -> Array:
        kind, one = which // series, which % series
        own = apart[one]
        leaves = pull((weights[kind] * own[:, None], limits[kind] * own))[0]
        return jnp.concatenate([jnp.zeros(0, weights.dtype), *(x.ravel() for x in leaves)])

    # one after the other: together they are no faster, and products of rows are turned over
    return jax.lax.map(back, jnp.arange(kinds * series)).reshape(kinds, series, -1)


def _summed(weights: Array, values: Array) -> Array:
    """Return sums over samples, (kind, series, number).

    Of weights (kind, series, sample) times values (number, series, sample); in lanes, for one sum
    of thousands of floats after another would be off by 1e-4 of itself.
    """
    kinds, series, samples = weights.shape
    lanes = math.gcd(samples, LANES)
    parts = jnp.einsum(
        "ksab,nsab->sakn",
        weights.reshape(kinds, series, lanes, -1),
        values.reshape(-1, series, lanes, samples // lanes),
        precision="highest",
    )
    return jnp.moveaxis(parts.sum(1), 0, 1)


def _chunks(sampling: Sampling, workers: int, blocks: slice) -> list[Chunk]:
    """Return the chunks of a run: all of one shape, of as many blocks as leave each thread some."""
    total = len(sampling.blocks()[0][blocks])
    each = min(WIDTH, -(-total // (TURNS * workers)))
    return [dataclasses.replace(chunk, width=WIDTH) for chunk in sampling.chunks(each, blocks)]


def _first(
    block: Callable[[Array], dict[str, Array]], places: Array, blocks: Array
) -> dict[str, Array]:
    """Return what a function makes of the first places, and zeros for the others."""
    once, like, tree = traced_once(block, places[0])

    def step(i: Array, found: list[Array]) -> list[Array]:
        return [whole.at[i].set(part) for whole, part in zip(found, once(places[i]), strict=True)]

    empty = [jnp.zeros((len(places), *one.shape), one.dtype) for one in like]
    made: dict[str, Array] = jax.tree.unflatten(tree, jax.lax.fori_loop(0, blocks, step, empty))
    return made
