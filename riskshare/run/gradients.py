"""Derivatives of statistics by numbers: reverse mode through the kernel, block by block.

A block's derivatives are taken as it runs, so that memory does not grow with samples: what its
samples count for is pulled back to the leaves, and from there to the numbers by path.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from riskshare.case import Case
from riskshare.contract.primitives import gates
from riskshare.program.block import block_outputs, note_trace
from riskshare.program.functionals import Functionals, series_of, summed, weighed
from riskshare.program.given import NOTHING
from riskshare.program.years import OPTIONS
from riskshare.run.program import Program
from riskshare.run.sampling import Bits, Chunk, Sampling

WIDTH = 4
"""Blocks of a chunk: few, so that a run of one block for each replicate keeps all threads busy."""

TOGETHER = 8
"""Weights that are pulled back at once."""


class Gradients:
    """Compiled derivatives of a program's positions by some of its numbers."""

    def __init__(self, program: Program, paths: tuple[str, ...], dtype: Any) -> None:
        self.program, self.paths, self.dtype = program, paths, dtype
        self.gates = 0
        """How many gates the last trace met."""
        self._jitted: Callable[..., Any] = jax.jit(
            self._blocks, static_argnames=("differentiated",), compiler_options=OPTIONS
        )

    def run(
        self,
        sampling: Sampling,
        functionals: Functionals,
        workers: int,
        *,
        numbers: Mapping[str, float] | None = None,
        differentiated: bool = True,
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
        """
        bits = Bits(self.program.bound, sampling)
        own = self.program.parameters if numbers is None else numbers
        vector = np.array([own[path] for path in self.paths], self.dtype)
        leaves = self.program.host(self.dtype)
        held = jax.device_put((vector, leaves, bits.source, functionals))

        def work(chunk: Chunk) -> dict[str, Any]:
            vector, leaves, source, functionals = held
            found = self._jitted(
                vector, leaves, source, bits.of(chunk), functionals, differentiated=differentiated
            )
            return {
                name: np.asarray(value, np.float64)[: len(chunk.block)]
                for name, value in found.items()
            }

        chunks = list(sampling.chunks(WIDTH))
        yield chunks[0], work(chunks[0])
        with ThreadPoolExecutor(workers) as pool:
            yield from zip(chunks[1:], pool.map(work, chunks[1:]), strict=True)

    def _blocks(
        self,
        vector: Array,
        leaves: list[Array],
        source: Any,
        places: Array,
        functionals: Functionals,
        *,
        differentiated: bool,
    ) -> Mapping[str, Array]:
        note_trace("gradients")
        structure, tree = self.program.bound.structure, self.program.tree
        # leaves that no number of the path reaches are not pulled back to: tables are large
        moved = jax.tree.leaves(self._leaves(vector, leaves))
        moving = [i for i, leaf in enumerate(moved) if leaf is not leaves[i] and leaf.size]

        def positions(place: Array, values: list[Array]) -> tuple[Array, Array]:
            every = list(leaves)
            for i, value in zip(moving, values, strict=True):
                every[i] = value
            own = jax.tree.unflatten(tree, every)
            found = block_outputs(
                structure, own, source, place, NOTHING, None, None, ("position",), self.dtype, False
            )
            return series_of(functionals, found["position"], own.yearly.target)

        def block(place: Array) -> tuple[list[Array], dict[str, Array]]:
            (values, limit), pull = jax.vjp(
                lambda held: positions(place, held), [moved[i] for i in moving]
            )
            weights, limits = weighed(functionals, values, limit)
            kinds, series, _ = weights.shape
            apart = jnp.eye(series, dtype=self.dtype)

            def back(which: Array) -> list[Array]:
                kind, one = which // series, which % series
                own = apart[one]
                return list(pull((weights[kind] * own[:, None], limits[kind] * own))[0])

            return _together(back, kinds * series), summed(functionals, values, limit, weights)

        with gates(differentiated) as counted:
            pulled, sums = jax.lax.map(block, places)
        self.gates = counted[0]
        _, back = jax.vjp(
            lambda v: [jax.tree.leaves(self._leaves(v, leaves))[i] for i in moving], vector
        )
        derivatives = jax.vmap(jax.vmap(lambda part: back(part)[0]))(pulled)
        shape = (*sums["weights"].shape, len(self.paths))
        return {"derivatives": derivatives.reshape(shape), **sums}

    def _leaves(self, vector: Array, leaves: list[Array]) -> Any:
        return self.program.leaves(vector, leaves, self.paths, self.dtype)


@lru_cache(maxsize=4)
def gradients_of(case: Case, paths: tuple[str, ...], dtype: Any) -> Gradients:
    """Return derivatives of a case by some of its numbers, compiled once for the last few asked."""
    return Gradients(program_of(case), paths, dtype)


@lru_cache(maxsize=4)
def program_of(case: Case) -> Program:
    """Return the program of a case that keeps positions."""
    return Program(case, ("position",))


def _together(back: Callable[[Array], list[Array]], count: int) -> list[Array]:
    """Return what a function gives for 0 to count - 1, several of them at once."""
    rounds = -(-count // TOGETHER)
    if rounds == 1:
        return jax.vmap(back)(jnp.arange(count))
    each = -(-count // rounds)
    which = jnp.minimum(jnp.arange(rounds * each), count - 1).reshape(rounds, each)
    found = jax.lax.map(jax.vmap(back), which)
    return [part.reshape(rounds * each, *part.shape[2:])[:count] for part in found]
