"""Years in sequence: a loop of the compiled program, or one year after another."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

OPTIONS: dict[str, str | int | bool] = {
    "xla_disable_hlo_passes": "while-loop-invariant-code-motion",
    "xla_cpu_prefer_vector_width": 512,
}
"""How kernels are compiled.

Vectors are as wide as the processor has them: XLA prefers half of that, and was 1.4 times slower on
one that has 512 bits.

Where a loop over years holds per-person protection, XLA for CPU (jaxlib 0.10.2) moves what does
not change out of the loop into memory that it then overwrites: results were not finite, or the
process died. ``tests/test_kernel_loops.py`` holds such a case.
"""


def over_years(
    step: Callable[[Any, Any], tuple[Any, Any]], start: Any, inputs: Any, *, unrolled: bool
) -> tuple[Any, Any]:
    """Run a step over the leading axis of its inputs; `jax.lax.scan` in all but the way.

    ``unrolled`` writes the years out one after another: for functions that are compiled as a part
    of somebody else's program, where `OPTIONS` cannot be given. It compiles two to three times as
    long.
    """
    if not unrolled:
        return jax.lax.scan(step, start, inputs)
    state, outputs = start, []
    for year in range(len(jax.tree.leaves(inputs)[0])):
        state, output = step(state, jax.tree.map(lambda leaf, at=year: leaf[at], inputs))
        outputs.append(output)
    return state, jax.tree.map(lambda *parts: jnp.stack(parts), *outputs)
