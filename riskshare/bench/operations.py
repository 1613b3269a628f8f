"""What a compiled program does for each sample, counted from the program itself.

XLA's cost analysis gives operations, transcendental functions and bytes; it counts the body of a
loop once, so a program without loops must be given (`riskshare.bench.kernel` has one). Which
functions, how many table lookups and of what size are read from the program's text.

The reference problem by hand, for one sample, which the tests hold this against: 51 scores, each
with two roots and a ratio of polynomials; 24 lognormal factors, each an exponential; 24 gamma
factors, each the cube of a polynomial; products with the 48 x 3 loadings and the 9 x 24 matrices of
who delivers and receives.
"""

import re
from collections import Counter
from dataclasses import dataclass
from math import prod
from typing import Any

_DEFINED = re.compile(r"%([\w.-]+) = (\w+)\[([\d,]*)\]\S* ([\w-]+)\(([^)]*)\)")

_KINDS = {
    "exponential": "exponentials",
    "exponential-minus-one": "exponentials",
    "log": "logarithms",
    "log-plus-one": "logarithms",
    "sqrt": "roots",
    "rsqrt": "roots",
}
"""HLO operations by the kind of transcendental function that they are."""


@dataclass(frozen=True)
class Operations:
    """What one sample takes."""

    arithmetic: float
    """Additions, multiplications, comparisons, selections: a multiply-add counts as two."""
    exponentials: float
    logarithms: float
    roots: float
    other_functions: float
    """Transcendental functions of other kinds, as powers and error functions."""
    lookups: float
    """Numbers read from tables at places that differ between samples."""
    moved: float
    """Bytes that the steps of the program read and write, most of them in the processor's cache."""
    returned: float
    """Bytes of results."""
    table: int
    """Numbers in the largest table."""
    working_set: int
    """Bytes of intermediate results of one call."""
    looped: bool
    """Whether loops are left in the program, so that true counts are higher."""

    @property
    def functions(self) -> float:
        """Transcendental functions of all kinds."""
        return self.exponentials + self.logarithms + self.roots + self.other_functions


def operations(compiled: Any, samples: int) -> Operations:
    """Count what a compiled program does for each of the samples that one call makes.

    Parameters
    ----------
    compiled
        A `jax.stages.Compiled`.
    samples
        That one call makes.
    """
    cost = compiled.cost_analysis()
    memory = compiled.memory_analysis()
    text = compiled.as_text()
    kinds, lookups, table = _read(text)
    functions = float(cost.get("transcendentals", 0.0))
    named = {kind: kinds[kind] / samples for kind in ("exponentials", "logarithms", "roots")}
    return Operations(
        arithmetic=float(cost.get("flops", 0.0)) / samples,
        **named,
        other_functions=max(functions / samples - sum(named.values()), 0.0),
        lookups=lookups / samples,
        moved=float(cost.get("bytes accessed", 0.0)) / samples,
        returned=memory.output_size_in_bytes / samples,
        table=table,
        working_set=int(memory.temp_size_in_bytes),
        looped=" while(" in text,
    )


def _read(text: str) -> tuple[Counter[str], int, int]:
    """Return how often each kind of function is worked out, numbers looked up, largest table."""
    kinds: Counter[str] = Counter()
    sizes: dict[str, int] = {}
    lookups, tables = 0, []
    for name, _, shape, operation, inputs in _DEFINED.findall(text):
        size = prod(int(part) for part in shape.split(",") if part)
        sizes[name] = size
        if operation in _KINDS:
            kinds[_KINDS[operation]] += size
        elif operation == "gather":
            lookups += size
            tables.append(inputs.split(",")[0].strip().removeprefix("%"))
    return kinds, lookups, max((sizes.get(name, 0) for name in tables), default=0)
