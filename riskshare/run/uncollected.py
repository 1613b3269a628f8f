"""Garbage collection put off while much is made that stays: imports, and the trace of a kernel."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Put off garbage collection; it goes on afterwards where it was on.

    Modules and traced programs are many small objects that stay. Python looks through all of them
    again whenever their number has grown by a quarter, which takes a part of a first call.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
