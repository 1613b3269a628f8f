"""Claim amounts with what is known of what is missing: truncation, censoring, weights, zeros."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskshare.errors import ArgumentError

Floats = NDArray[np.float64]

MINIMUM_CLAIMS = 10


@dataclass(frozen=True)
class Claims:
    """Positive amounts, each with the range in which it could be seen.

    Parameters
    ----------
    amounts
        From the ground up, shape ``(claim,)``; at a limit where `censored`.
    weights
        How many claims each stands for.
    entry
        Amount below which the claim would not be known; 0 where all are.
    censored
        Whether the amount is only a lower bound.
    limits
        Where each claim is censored, infinite where never; None where known of censored ones only.
    """

    amounts: Floats
    weights: Floats
    entry: Floats
    censored: NDArray[np.bool_]
    limits: Floats | None

    @property
    def size(self) -> float:
        """Return the number of claims, weights counted."""
        return float(self.weights.sum())

    @property
    def origin(self) -> float:
        """Return the lowest amount that could be seen."""
        return float(self.entry.min())

    def divided(self, unit: float) -> "Claims":
        """Return the claims in another unit of money."""
        limits = None if self.limits is None else self.limits / unit
        return Claims(self.amounts / unit, self.weights, self.entry / unit, self.censored, limits)

    def log_likelihood(
        self,
        log_density: Callable[[Floats], Floats],
        log_survival: Callable[[Floats], Floats],
    ) -> float:
        """Return ``sum of w (ln f(x) or, censored, ln S(x), less ln S(entry))``."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            seen = ~self.censored
            total = float(self.weights[seen] @ log_density(self.amounts[seen]))
            if self.censored.any():
                at = self.amounts[self.censored]
                total += float(self.weights[self.censored] @ log_survival(at))
            entered = self.entry > 0
            if entered.any():
                first = self.entry[entered]
                same = (first == first[0]).all()
                start = log_survival(first[:1]) if same else log_survival(first)
                total -= float(np.sum(self.weights[entered] * start))
        return total


def read_claims(
    amounts: ArrayLike,
    weights: ArrayLike | None,
    truncated_below: ArrayLike | None,
    censored_above: ArrayLike | None,
) -> tuple[Claims, float, float]:
    """Return the positive claims, the number of zeros and of all claims (weights counted).

    Raises
    ------
    ArgumentError
        As `riskshare.fitting.fit_severity` says.
    """
    values = _vector("amounts", amounts)
    _refuse(
        values < 0,
        "amounts",
        values,
        "an amount is zero or more: net recoveries off the claim they belong to",
    )
    heft = np.ones(values.size) if weights is None else _column("weights", weights, values.size)
    _refuse(heft <= 0, "weights", heft, "a weight says how many claims a row stands for")
    entry = np.zeros(values.size)
    if truncated_below is not None:
        entry = _column("truncated_below", truncated_below, values.size)
        _refuse(entry < 0, "truncated_below", entry, "a threshold is zero or more")
    early = np.flatnonzero(values < entry)
    if early.size:
        raise ArgumentError(
            f"amounts: {values[early[0]]:g} in place {early[0]} is below its threshold "
            f"{entry[early[0]]:g}, so it could not have been seen; give amounts from the ground "
            "up, the deductible added back, and leave out what lies below it"
        )
    censored, limits = _censoring(censored_above, values)
    positive = values > 0
    claims = Claims(
        values[positive],
        heft[positive],
        entry[positive],
        censored[positive],
        None if limits is None else limits[positive],
    )
    _check_enough(claims)
    return claims, float(heft[~positive].sum()), float(heft.sum())


def _check_enough(claims: Claims) -> None:
    exact = claims.amounts[~claims.censored]
    if exact.size < MINIMUM_CLAIMS:
        raise ArgumentError(
            f"amounts: {exact.size} positive amounts that are not censored; at least "
            f"{MINIMUM_CLAIMS} are needed for a law, and hundreds for its tail"
        )
    if np.ptp(exact) == 0:
        raise ArgumentError(
            f"amounts: all {exact.size} equal {exact[0]:g}, so there is no spread to fit; is it "
            "the right column? A constant needs no law"
        )


def _censoring(
    censored_above: ArrayLike | None, values: Floats
) -> tuple[NDArray[np.bool_], Floats | None]:
    if censored_above is None:
        return np.zeros(values.size, dtype=np.bool_), np.full(values.size, np.inf)
    given = np.asarray(censored_above)
    if given.dtype == np.bool_:
        if given.shape != values.shape:
            raise ArgumentError(
                f"censored_above: shape {given.shape}; give a limit, or true or false for each of "
                f"the {values.size} claims"
            )
        return given, None
    limits = _column("censored_above", given, values.size, finite=False)
    _refuse(limits <= 0, "censored_above", limits, "a limit is positive")
    over = np.flatnonzero(values > limits)
    if over.size:
        raise ArgumentError(
            f"amounts: {values[over[0]]:g} in place {over[0]} exceeds its limit "
            f"{limits[over[0]]:g}; an amount that was cut stands at the limit itself"
        )
    return values == limits, limits


def _vector(name: str, given: ArrayLike, finite: bool = True) -> Floats:
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name}: not numbers; give a sequence of numbers") from None
    if values.ndim != 1:
        raise ArgumentError(f"{name}: shape {values.shape}; give a one-dimensional sequence")
    wrong = ~np.isfinite(values) if finite else np.isnan(values)
    _refuse(wrong, name, values, "leave the row out or complete it")
    return values


def _column(name: str, given: ArrayLike, size: int, finite: bool = True) -> Floats:
    values = np.asarray(given)
    column = _vector(name, np.full(size, values) if values.ndim == 0 else values, finite)
    if column.size != size:
        raise ArgumentError(
            f"{name}: {column.size} values for {size} rows; give one number, or one for each row"
        )
    return column


def _refuse(wrong: NDArray[np.bool_], name: str, values: Floats, remedy: str) -> None:
    at = np.flatnonzero(wrong)
    if at.size:
        raise ArgumentError(f"{name}: {values[at[0]]:g} in place {at[0]}; {remedy}")
