"""Split of the deviation of line value by driver: exact, and free of the order of drivers.

The value of a line is a sum of components: activity before changes, minus each change leaving,
plus each change arriving. Each component is a product of indices, C = C0 x prod_d f_d, and splits
by the log-mean Divisia rule: C - C0 = sum_d L(C, C0) ln f_d with L(C, C0) = (C - C0) / ln(C / C0).
A factor at zero takes all of its component; several share it. (Ang 2004; zero limits: Ang and Liu
2007.)
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from riskshare.contract.ledger import PRECISION
from riskshare.contract.vectors import summed

TINY = 1e-30
"""Stands for zero inside a logarithm whose result is then discarded."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Split:
    """Effects on line value, adverse (above plan) positive; they add up to the deviation."""

    drivers: Float[Array, "driver sample"]
    members: Float[Array, "population sample"]
    deliveries: Float[Array, "change sample"]
    chance: Float[Array, " sample"]
    """What no index explains: line residuals."""
    plan: Float[Array, " sample"]
    """Value at indices of 1 less plan value: a plan set otherwise than its parts."""

    def controlled(self) -> Float[Array, "index sample"]:
        """Effects of drivers, members and deliveries, in the order of the case's indices."""
        return jnp.concatenate([self.drivers, self.members, self.deliveries])


@dataclass(frozen=True)
class SplitInputs:
    """Plan and experience of the lines in scope; row axes as named, sample last (1 for plan)."""

    price: Float[Array, "line 1"]
    plan: Float[Array, "line 1"]
    before: Float[Array, "line 1"]
    """Activity before changes at indices of 1."""
    value: Float[Array, "line sample"]
    loadings: Float[Array, "line driver"]
    drivers: Float[Array, "driver sample"]
    exposure: Float[Array, "line population"]
    """One where a line moves with a population."""
    members: Float[Array, "population sample"]
    moved: Float[Array, "line change 1"]
    """Activity that a change brings (+) or takes (-) at delivery 1."""
    deliveries: Float[Array, "change sample"]
    unplanned: Float[Array, "line change sample"] | None = None
    """Activity that a change moves in a year for which none was planned: a row of its own."""


def split_value(inputs: SplitInputs) -> Split:
    """Split value less plan value by driver; see the module for the rule."""
    price = inputs.price
    factor = _power(inputs.loadings, inputs.drivers)
    members = _power(inputs.exposure, inputs.members)
    start = jnp.concatenate([inputs.before[:, None], inputs.moved], axis=1) * price[:, None]
    own = jnp.concatenate(
        [
            members[:, None],
            jnp.broadcast_to(inputs.deliveries[None], (len(price), *inputs.deliveries.shape)),
        ],
        axis=1,
    )
    extra = inputs.unplanned
    if extra is None:
        extra = jnp.zeros((len(price), 0, inputs.value.shape[-1]), price.dtype)
    extra = extra * (price * factor)[:, None]
    without_chance = summed(start * own, 1) * factor + summed(extra, 1)
    explained = without_chance > 0
    chance = jnp.where(explained, inputs.value / jnp.where(explained, without_chance, 1), 1)
    product = own * (factor * chance)[:, None]
    zero_drivers = _count_zeros(inputs.loadings, inputs.drivers)
    zero_members = _count_zeros(inputs.exposure, inputs.members)
    zero_own = jnp.concatenate(
        [
            zero_members[:, None],
            jnp.broadcast_to(
                _flag(inputs.deliveries <= 0, price)[None],
                (len(price), *inputs.deliveries.shape),
            ),
        ],
        axis=1,
    )
    zero_chance = _flag(chance <= 0, price)
    zeros = zero_own + (zero_drivers + zero_chance)[:, None]
    weight = jnp.where(zeros > 0, 0, start * _log_mean_ratio(product))
    lost = jnp.where(zeros > 0, start / jnp.maximum(zeros, 1), 0)
    line_weight, line_lost = summed(weight, 1), summed(lost, 1)
    by_driver = _log(inputs.drivers) * _product(inputs.loadings.T, line_weight)
    by_driver -= _flag(inputs.drivers <= 0, price) * _product(
        _flag(inputs.loadings.T != 0, price), line_lost
    )
    by_members = _log(inputs.members) * _product(inputs.exposure.T, weight[:, 0])
    by_members -= _flag(inputs.members <= 0, price) * _product(
        _flag(inputs.exposure.T != 0, price), lost[:, 0]
    )
    by_delivery = _log(inputs.deliveries) * summed(weight[:, 1:])
    by_delivery -= _flag(inputs.deliveries <= 0, price) * summed(lost[:, 1:])
    if inputs.unplanned is not None:
        by_delivery += summed(extra * chance[:, None])
    by_chance = _log(chance) * line_weight - zero_chance * line_lost
    unexplained = inputs.value - summed(start * product, 1) - summed(extra * chance[:, None], 1)
    return Split(
        drivers=by_driver,
        members=by_members,
        deliveries=by_delivery,
        chance=summed(by_chance + unexplained),
        plan=jnp.broadcast_to(start.sum() - (price * inputs.plan).sum(), inputs.value.shape[-1:]),
    )


def _flag(condition: Array, like: Array) -> Array:
    """One where a condition holds, in the type of another array."""
    return condition.astype(like.dtype)


def _log(index: Array) -> Array:
    return jnp.log(jnp.maximum(index, TINY))


def _product(left: Array, right: Array) -> Array:
    return jnp.matmul(left.astype(right.dtype), right, precision=PRECISION)


def _power(exponents: Float[Array, "line index"], index: Float[Array, "index sample"]) -> Array:
    zero = _count_zeros(exponents, index) > 0
    return jnp.where(zero, 0, jnp.exp(_product(exponents, _log(index))))


def _count_zeros(exponents: Array, index: Array) -> Array:
    return _product(_flag(exponents != 0, index), _flag(index <= 0, index))


def _log_mean_ratio(product: Array) -> Array:
    """L(C, C0) / C0 = (r - 1) / ln r at r = C / C0, with its limit 1 at r = 1."""
    x = _log(product)
    near = jnp.abs(x) < 1e-4
    safe = jnp.where(near, 1, x)
    return jnp.where(near, 1 + x / 2 + x * x / 6, jnp.expm1(safe) / safe)
