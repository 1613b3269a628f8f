"""Precision follows the data: float64 only inside a local context, never by a global flag."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import numpy as np

from riskshare.errors import ArgumentError, NumericalError

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


def too_large(dtype: Any) -> str:
    """Return what to say where numbers do not fit a type."""
    return (
        f"the case's numbers are too large for {np.dtype(dtype).name}: some results are not "
        "finite; look for a price, volume or amount that is out of scale"
    )


def cast(tree: Any, dtype: Any) -> Any:
    """Return a pytree with its float64 leaves in the given type.

    Raises
    ------
    NumericalError
        If a number does not fit.
    """

    def leaf(value: Any) -> Any:
        array = np.asarray(value)
        if array.dtype != np.float64:
            return array
        with np.errstate(over="ignore"):
            narrow = array.astype(dtype)
        if not np.isfinite(narrow).all():
            raise NumericalError(too_large(dtype))
        return narrow

    return jax.tree.map(leaf, tree)
