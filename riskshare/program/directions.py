"""Direction numbers of the Sobol' sequence, made once by scipy and packaged.

The packaged file spares the run scipy.stats' import (0.7 s) and its initialisation. It was
written by ``python -m riskshare.program.directions`` with scipy 1.17; the numbers are those of
S. Joe and F. Y. Kuo (new-joe-kuo-6.21201), which scipy documents as fixed.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 4096
"""Dimensions packaged."""

POINT_BITS = 20
"""Direction numbers a dimension has: a replicate holds at most 2^20 points."""

_FILE = Path(__file__).with_name("sobol_directions.npz")


@lru_cache(maxsize=1)
def sobol_directions() -> NDArray[np.uint32]:
    """Return v[dimension, k], the k-th direction number in the top bits of 32.

    Point n in natural order is the XOR of v[k] over the set bits k of n.
    """
    with np.load(_FILE) as stored:
        packed: NDArray[np.uint32] = stored["directions"]
    directions = packed << np.uint32(32 - POINT_BITS)
    directions.flags.writeable = False
    return directions


def make_directions(dimensions: int = DIMENSIONS) -> NDArray[np.uint32]:
    """Return the same array from scipy's public calls.

    scipy walks the sequence in Gray order, where point 2^k is v[k] ^ v[k - 1] (point 1 is v[0]),
    so one point at each power of two gives all of them.
    """
    import warnings

    from scipy.stats import qmc

    engine = qmc.Sobol(dimensions, scramble=False, bits=32)
    directions = np.zeros((dimensions, POINT_BITS), np.uint32)
    engine.fast_forward(1)
    position = 1
    with warnings.catch_warnings():
        # scipy warns that one point is no balanced set; it is not used as one.
        warnings.simplefilter("ignore", UserWarning)
        for k in range(POINT_BITS):
            if 2**k > position:
                engine.fast_forward(2**k - position)
            point = (engine.random(1)[0] * 2.0**32).astype(np.uint32)
            position = 2**k + 1
            directions[:, k] = point ^ (directions[:, k - 1] if k else np.uint32(0))
    return directions


if __name__ == "__main__":
    np.savez_compressed(_FILE, directions=make_directions() >> np.uint32(32 - POINT_BITS))
