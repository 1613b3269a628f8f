"""How programs are compiled: what XLA is told of kernels, of derivatives, and of numbers alone."""

from functools import lru_cache

import jax
import numpy as np

Options = dict[str, str | int | bool]

KERNEL: Options = {
    "xla_disable_hlo_passes": "while-loop-invariant-code-motion",
    "xla_cpu_prefer_vector_width": 512,
}
"""Vectors are as wide as the processor has them: XLA prefers half of that, and was 1.4 times slower
on one that has 512 bits.

Where a loop over years holds per-person protection, XLA for CPU (jaxlib 0.10.2) moves what does
not change out of the loop into memory that it then overwrites: results were not finite, or the
process died. ``tests/test_kernel_loops.py`` holds such a case.
"""

SAMPLES: Options = KERNEL | {"xla_cpu_enable_fast_min_max": True}
"""The larger or smaller of two is one step rather than three or four, which bands, caps and floors
are full of: such a kernel runs up to a third faster, and compiles in two thirds to nine tenths of
the time. What is no number (NaN) is passed on from the first of the two alone. Settlement, where it
may stand for a cost that is not known, does without."""

_WITHOUT_YNNPACK: Options = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""YNNPACK's sums over samples, together with what they are sums of, take twice as long as XLA's."""

_QUICKLY: Options = {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 0}
"""Hundreds of steps on a handful of numbers each run in a millisecond however they are compiled,
and compile in a third of the time so: numbers alone, and settlement of what really happened."""


@lru_cache(maxsize=1)
def of_derivatives() -> Options:
    """Return how derivatives are compiled."""
    return _known(KERNEL, _WITHOUT_YNNPACK)


@lru_cache(maxsize=1)
def of_numbers() -> Options:
    """Return how programs without samples are compiled."""
    return _known({}, _QUICKLY)


@lru_cache(maxsize=1)
def of_actuals() -> Options:
    """Return how the settlement of one sample is compiled."""
    return _known(KERNEL, _QUICKLY)


def _known(options: Options, more: Options) -> Options:
    """Return options with some more, where XLA can be told these, which varies."""
    try:
        jax.jit(lambda x: x, compiler_options=options | more).lower(np.float32(0)).compile()
    except jax.errors.JaxRuntimeError:
        return options
    return options | more
