"""Years in sequence: a loop of the compiled program, or one year after another."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp

_derivatives = threading.local()


@contextmanager
def recomputed() -> Iterator[None]:
    """Let years that are differentiated inside be computed again on the way back, not stored.

    What one year's draws and their settlement hold for the way back are some eighty arrays, which
    take longer to store in a loop, and to find again, than to compute.
    """
    before = getattr(_derivatives, "recomputed", False)
    _derivatives.recomputed = True
    try:
        yield
    finally:
        _derivatives.recomputed = before


def over_years(
    step: Callable[[Any, Any], tuple[Any, Any]], start: Any, inputs: Any, *, unrolled: bool
) -> tuple[Any, Any]:
    """Run a step over the leading axis of its inputs; `jax.lax.scan` in all but the way.

    ``unrolled`` writes the years out one after another: for functions that are compiled as a part
    of somebody else's program, where `riskshare.program.compiling` has no say. It compiles two to
    three times as long.
    """
    if getattr(_derivatives, "recomputed", False):
        step = jax.checkpoint(step)
    if not unrolled:
        return jax.lax.scan(step, start, inputs)
    state, outputs = start, []
    for year in range(len(jax.tree.leaves(inputs)[0])):
        state, output = step(state, jax.tree.map(lambda leaf, at=year: leaf[at], inputs))
        outputs.append(output)
    return state, jax.tree.map(lambda *parts: jnp.stack(parts), *outputs)
