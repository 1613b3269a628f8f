"""What money of a year counts for in a summary: nominal or real, as it is or at present value."""

import numpy as np
import xarray as xr

from riskshare.errors import ArgumentError
from riskshare.names import YEAR

PRICES = ("nominal", "real")


def discount_rate_of(given: float | None) -> float:
    """Return the rate a year, 0 where none is given; refuse what is no rate."""
    accepted = "accepted: above -1 and below 1, such as 0.035"
    try:
        rate = 0.0 if given is None else float(given)
    except (TypeError, ValueError):
        raise ArgumentError(f"discount_rate: found {given!r}; {accepted}") from None
    if not -1 < rate < 1:
        hint = f"; is {rate / 100:g} meant?" if 1 <= abs(rate) < 100 else ""
        raise ArgumentError(f"discount_rate: found {rate:g}; {accepted}{hint}")
    return rate


def year_weights(
    outcomes: xr.Dataset, discount_rate: float, prices: str
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return what money of each year counts for in its own row and in that of all years.

    ``1`` and ``(1 + discount_rate)^-midyear``, both divided by ``deflator`` in real prices.
    """
    if prices not in PRICES:
        raise ArgumentError(f"prices: found {prices!r}; accepted: 'nominal' or 'real'")
    yearly = xr.DataArray(np.ones(outcomes.sizes[YEAR]), dims=YEAR)
    if prices == "real":
        yearly = 1 / _coordinate(
            outcomes, "deflator", "prices: 'real'", "state deflator in the case"
        )
    if not discount_rate:
        return yearly, yearly
    midyear = _coordinate(
        outcomes, "midyear", f"discount_rate: {discount_rate:g}", "simulate or settle again"
    )
    return yearly, yearly * (1 + discount_rate) ** -midyear


def _coordinate(outcomes: xr.Dataset, name: str, asked: str, remedy: str) -> xr.DataArray:
    if name not in outcomes.coords:
        raise ArgumentError(f"{asked} needs the coordinate {name}, absent here; {remedy}")
    found = outcomes[name].reset_coords(drop=True)
    if not (np.isfinite(found) & (found > 0)).all():
        raise ArgumentError(f"{name}: found {found.values.tolist()}; accepted: numbers above 0")
    return found
