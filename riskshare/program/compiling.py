"""How programs are compiled: what XLA is told of kernels, of derivatives, and of numbers alone."""

from collections.abc import Callable
from functools import lru_cache, wraps
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

SAMPLES: Options = KERNEL | {"xla_cpu_enable_fast_min_max": True}
"""The larger or smaller of two is one step rather than three or four, which bands, caps and floors
are full of: such a kernel runs up to a third faster, and compiles in two thirds to nine tenths of
the time. What is no number (NaN) may come out of such a step as the bound. So steps of samples
take none in: what overflows is infinite in a position too, and refused there. Settlement, where a
cost that is not known is no number, does without."""

_WITHOUT_YNNPACK: Options = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""YNNPACK's sums over samples, together with what they are sums of, take twice as long as XLA's."""

SHORT = 1 << 17
"""Samples of a run of one set of numbers whose kernel had better be compiled soon than be fast: the
first run gains half a second, later ones lose hundredths. 100,000 are rounded up to so many."""

_SOON: Options = {"xla_cpu_use_fusion_emitters": False}
"""XLA's older way of making programs for CPU takes less time, most of all where cores are busy.
What it makes takes one to two times as long (docs/benchmarks.md, "First call")."""

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


class TwoWays:
    """A kernel compiled in two ways: to be fast, or to be there soon, for a short run.

    The two make the same samples up to rounding. What `riskshare.simulate` and `riskshare.draw`
    make of one set of numbers and up to `SHORT` samples is there soon; sweeps, estimates and
    attributions have the fast one.
    """

    def __init__(self, function: Callable[..., Any], static: tuple[str, ...]) -> None:
        self.function, self.__doc__ = function, function.__doc__
        self.fast = _compiled(function, static, SAMPLES)
        self._soon = _compiled(function, static, SAMPLES | _SOON)

    def soon(self, *arguments: Any, **named: Any) -> Any:
        """Run the kernel that is compiled soon, or the other where XLA has one way alone."""
        program = self._soon
        try:
            return program(*arguments, **named)
        except jax.errors.JaxRuntimeError as error:
            # to ask XLA beforehand takes a compilation of its own
            if program is self.fast or "compile option" not in str(error):
                raise
            self._soon = self.fast
            return self.fast(*arguments, **named)


def _compiled(function: Callable[..., Any], static: tuple[str, ...], options: Options) -> Any:
    # a function of its own: JAX would not trace another's again, and a kernel notes its compilation
    # when it is traced
    @wraps(function)
    def own(*arguments: Any, **named: Any) -> Any:
        return function(*arguments, **named)

    return jax.jit(own, static_argnames=static, compiler_options=options)


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
