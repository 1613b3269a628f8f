"""Statistics of the positions with their standard errors.

Apart from `quality`, so that an engine's process imports no SciPy that the engine does not.
"""

from __future__ import annotations

import numpy as np

LEVEL = 0.05
STATISTICS = ("mean", "sd", "q05")

Summary = dict[str, tuple[np.ndarray, np.ndarray]]


def summarise(position: np.ndarray) -> Summary:
    """Estimate and standard error of each statistic per provider, samples taken as independent.

    For a quasi-random engine the errors are too large, which makes its check weaker, never unfair.
    """
    samples = position.shape[1]
    position = position.astype(np.float64)
    mean, sd = position.mean(axis=1), position.std(axis=1, ddof=1)
    centred = (position - mean[:, None]) / sd[:, None]
    kurtosis = np.mean(centred**4, axis=1)
    spacing = min(LEVEL / 2, samples**-0.25)
    low, quantile, high = np.quantile(position, [LEVEL - spacing, LEVEL, LEVEL + spacing], axis=1)
    slope = (high - low) / (2.0 * spacing)
    return {
        "mean": (mean, sd / np.sqrt(samples)),
        "sd": (sd, sd * np.sqrt((kurtosis - 1.0) / (4.0 * samples))),
        "q05": (quantile, slope * np.sqrt(LEVEL * (1.0 - LEVEL) / samples)),
    }
