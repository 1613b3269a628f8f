"""How programs are compiled: what XLA is told of kernels, of derivatives, and of numbers alone."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

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

_WITHOUT_YNNPACK: Options = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""YNNPACK's sums over samples, together with what they are sums of, take twice as long as XLA's."""

SHORT = 1 << 16
"""Samples of a run whose kernel is compiled in less time rather than to run in the least."""

_SOONER: Options = {"xla_cpu_use_fusion_emitters": False}
"""XLA's older way of making programs for CPU takes two thirds of the time. What it makes runs up to
one and a half times as long, for short runs a tenth of the time spared (docs/benchmarks.md, "First
call")."""

_QUICKLY: Options = {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 0}
"""Hundreds of steps on a handful of numbers each run in a millisecond however they are compiled,
and compile in a third of the time so."""


@lru_cache(maxsize=1)
def of_derivatives() -> Options:
    """Return how derivatives are compiled."""
    return _known(KERNEL, _WITHOUT_YNNPACK)


@lru_cache(maxsize=1)
def of_numbers() -> Options:
    """Return how programs without samples are compiled."""
    return _known({}, _QUICKLY)


class ByLength:
    """A kernel compiled in two ways, for short runs and for long ones.

    The two make the same samples up to rounding, and a run's length alone decides which it is, so
    that a run repeated gives the same bits.
    """

    def __init__(self, function: Callable[..., Any], static: tuple[str, ...]) -> None:
        self.function = function
        made = partial(jax.jit, function, static_argnames=static)
        self.long = made(compiler_options=KERNEL)
        self._short = made(compiler_options=KERNEL | _SOONER)

    def of(self, samples: int) -> Callable[..., Any]:
        """Return the kernel for a run of so many samples."""
        return self.short if samples <= SHORT else self.long

    def short(self, *arguments: Any, **named: Any) -> Any:
        """Run the kernel for short runs, or that for long ones where XLA has one way alone."""
        try:
            return self._short(*arguments, **named)
        except jax.errors.JaxRuntimeError as error:
            # to ask XLA beforehand takes a compilation of its own
            if self._short is self.long or "compile option" not in str(error):
                raise
            self._short = self.long
            return self.long(*arguments, **named)


def _known(options: Options, more: Options) -> Options:
    """Return options with some more, where XLA can be told these, which varies."""
    try:
        jax.jit(lambda x: x, compiler_options=options | more).lower(np.float32(0)).compile()
    except jax.errors.JaxRuntimeError:
        return options
    return options | more
