"""Precision follows the data: float64 only inside a local context, never by a global flag."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import numpy as np

from riskshare.errors import ArgumentError

PRECISIONS = {"float32": np.float32, "float64": np.float64}


def dtype_of(precision: str) -> Any:
    """Return the NumPy type of a precision's name."""
    if precision not in PRECISIONS:
        raise ArgumentError(f"precision is {precision!r}; accepted: {', '.join(PRECISIONS)}")
    return PRECISIONS[precision]


def computing_in(dtype: Any) -> AbstractContextManager[object]:
    """Return the context in which arrays of this type may be made; enter it in each thread."""
    if np.dtype(dtype) == np.float64:
        return jax.enable_x64(True)
    return nullcontext()


def cast(tree: Any, dtype: Any) -> Any:
    """Return a pytree with its float64 leaves in the given type."""

    def leaf(value: Any) -> Any:
        array = np.asarray(value)
        return array.astype(dtype) if array.dtype == np.float64 else array

    return jax.tree.map(leaf, tree)
