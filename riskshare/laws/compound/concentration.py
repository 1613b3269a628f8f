"""How concentrated cost is: the share of it that the dearest people use."""

import numpy as np
from numpy.typing import ArrayLike

from riskshare.laws.compound.frequency import Floats
from riskshare.laws.marginal import AbstractLaw


def concentration(law: AbstractLaw, share: ArrayLike) -> Floats:
    """Return the share of all cost that the dearest share of people use.

    ``(E[X] - E[min(X, q)] + share q) / E[X]`` with P(X > q) = share: one less the Lorenz curve at
    1 - share. Of a lognormal it is Phi(sigma - z), z the score of 1 - share.

    Parameters
    ----------
    law
        A person's cost, zero or more, people of no cost included.
    share
        Shares of people, from 0 to 1.

    Returns
    -------
    ndarray
        Shares of cost, in the shape of ``share``.

    Raises
    ------
    ValueError
        If a share is outside [0, 1], the law can be negative, or its mean is zero or infinite.
    """
    from scipy.special import ndtri

    asked = np.asarray(share, np.float64)
    if not np.all((asked >= 0) & (asked <= 1)):
        raise ValueError(f"share is {asked}; it is a share of people, from 0 to 1")
    mean = law.expectation()
    if not 0 < mean < np.inf or float(law.distribution(np.asarray(-1e-300))) > 1e-12:
        raise ValueError(
            f"a {law.kind} law of mean {mean:g} has no concentration: costs must be zero or more, "
            "of a positive and finite mean"
        )
    inside = np.clip(asked, 1e-300, 1 - 1e-16)
    value = law.at(-ndtri(inside))
    held = (mean - law.limited_mean(value) + inside * value) / mean
    return np.asarray(np.where(asked <= 0, 0.0, np.where(asked >= 1, 1.0, np.clip(held, 0, 1))))
