"""Money in whole smallest units of its currency: pence, cents, yen."""

import jax.numpy as jnp
import numpy as np
from jax import Array

_NOISE = 1e-6
"""Of a smallest unit: less is the noise of floats, where amounts are below some hundred million
of the currency; above, four roundings are."""


def whole(units: Array) -> Array:
    """Return the nearest whole numbers, halves to even.

    What is a half in decimals is seldom one in floats: half of 185.37 times 38,215 is
    3,541,957.275 pounds, and on which side of the half penny its float lies depends on the order
    in which a compiler takes the steps. Within the noise of floats of a half it is that half.

    Parameters
    ----------
    units
        Smallest units of the currency, float64.
    """
    half = jnp.floor(units) + 0.5
    noise = jnp.maximum(_NOISE, 4 * np.finfo(units.dtype).eps * jnp.abs(units))
    return jnp.round(jnp.where(jnp.abs(units - half) <= noise, half, units))


def rounded(money: Array, per_unit: Array) -> Array:
    """Return money rounded to the smallest unit, of which ``per_unit`` are one of the currency."""
    return whole(money * per_unit) / per_unit
