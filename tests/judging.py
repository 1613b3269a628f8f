"""Judging simulated numbers by their standard errors, taken between independent replicates."""

import numpy as np

SPREADS = 4.0
"""Standard errors that an estimate may be off by."""


def between(values, replicates=16):
    """The mean of samples in replicate order, and its standard error."""
    means = np.asarray(values, np.float64).reshape(replicates, -1).mean(1)
    return means.mean(), means.std(ddof=1) / np.sqrt(replicates)


def assert_mean(values, expected, bias=0.0):
    """Samples average to what is expected; ``bias`` is what is known and stated."""
    mean, error = between(values)
    assert abs(mean - expected) <= SPREADS * error + bias, (mean, expected, error)


def assert_variance(values, expected, bias=0.0):
    """Samples spread as expected."""
    values = np.asarray(values, np.float64)
    assert_mean((values - values.mean()) ** 2, expected, bias)


def assert_chance(happened, expected, bias=0.0):
    """Something happens as often as expected."""
    assert_mean(np.asarray(happened, np.float64), expected, bias)
