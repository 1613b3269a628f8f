"""Reading the tables of chance: a factor's quantile, and counts at a mean that varies.

Tables come from `riskshare.laws.chance`, stacked over rows; scores are clipped to their span.
Both functions read one flat array with indices proved in bounds, two to five times faster on CPU
than indexing row by row. A score that is used here should be stored first: XLA otherwise
computes it again inside each gather (docs/architecture.md, "The kernel").
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from riskshare.laws.chance import SCORE_LIMIT, CountTable


def table_lookup(values: jax.Array, slopes: jax.Array, score: jax.Array) -> jax.Array:
    """Return each row's table at its scores, linear between the nodes of the even grid.

    A gamma factor's mean is then high by 2e-8 at a coefficient of variation of 0.2, 5e-7 at 1,
    1.4e-6 at 2 and 5e-6 at 10; its standard deviation by 6e-7 (1e-6 at 10), all relative.

    Parameters
    ----------
    values, slopes
        Table and differences to the next node, ``[row, node]``.
    score
        Standard normal scores, ``[row, sample]``.

    Returns
    -------
    jax.Array
        ``[row, sample]``.
    """
    rows, nodes = values.shape
    node, fraction = _position((score + SCORE_LIMIT) * ((nodes - 1) / (2 * SCORE_LIMIT)), nodes)
    flat = jnp.arange(rows, dtype=jnp.int32)[:, None] * nodes + node
    return _take(values, flat) + _take(slopes, flat) * fraction


def counts(
    mean: jax.Array,
    score: jax.Array,
    table: CountTable,
    whole: jax.Array,
    first: jax.Array | int = 0,
) -> jax.Array:
    """Return counts of a given mean: whole numbers, or their smooth stand-in.

    x = mean + sqrt(mean + c mean^2) W(log mean, score), W bilinear in the table; the count is
    max(ceil(x), 0) where `whole`, else max(x + 1/2, 0), and 0 at mean 0. Whole counts have no
    derivative in the mean; smooth ones do. Means outside the table's bounds read its edge.

    Measured against scipy with the table's 16 means a step of log h apart, at the worst mean
    between nodes:

    - probabilities of whole counts: 1e-5 at a node; between nodes 5e-4 at h = 0.2 (a range of 1
      to 20), 3e-5 at h = 0.07 (1 to 3), falling with h^2;
    - mean of whole counts, relative, at h = 0.2: 2.5e-3 for means from 0.05 to 1, 9e-4 from 1 to
      20, 7e-5 from 20 to 400, 1e-5 above 100; at h = 0.07: 4e-5 from 5 to 15;
    - smooth against exact: mean +2 % at mean 1, below 1e-4 for Poisson above 5 (0.2 % at c = 2);
      standard deviation -0.9 % at mean 5 (the 1/12 that rounding adds is missing), -0.04 % at
      100. At a mean of 0.05 the smooth mean is 50 % too high: whole counts belong there.

    Parameters
    ----------
    mean
        Mean of the count given everything else, ``[row, sample]``, zero or more.
    score
        Standard normal scores, ``[row, sample]``.
    table
        Tables stacked over rows (`riskshare.laws.chance.stack_count_tables`).
    whole
        1 for whole counts, 0 for smooth ones, ``[row]``: a number, so that it never recompiles.
    first
        Row of the tables that serves the first row of means; the tables may hold more.

    Returns
    -------
    jax.Array
        ``[row, sample]``.
    """
    _, mean_nodes, nodes = table.values.shape
    rows = len(mean)

    def of_row(values: ArrayLike) -> jax.Array:
        return jax.lax.dynamic_slice_in_dim(jnp.asarray(values), first, rows)[:, None]

    positive = mean > 0
    safe = jnp.where(positive, mean, 1)
    height = (jnp.log(safe) - of_row(table.log_mean_origin)) / of_row(table.log_mean_step)
    level, above = _position(height, mean_nodes)
    node, fraction = _position((score + SCORE_LIMIT) * ((nodes - 1) / (2 * SCORE_LIMIT)), nodes)
    row = first + jnp.arange(rows, dtype=jnp.int32)[:, None]
    flat = (row * mean_nodes + level) * nodes + node
    lower = _take(table.values, flat) + _take(table.slopes, flat) * fraction
    upper = _take(table.values, flat + nodes) + _take(table.slopes, flat + nodes) * fraction
    standard = lower + (upper - lower) * above
    x = safe + jnp.sqrt(safe + of_row(table.overdispersion) * safe**2) * standard
    drawn = jnp.where(of_row(whole) > 0, jnp.ceil(x), x + 0.5)
    return jnp.where(positive, jnp.maximum(drawn, 0), 0)


def _position(place: jax.Array, nodes: int) -> tuple[jax.Array, jax.Array]:
    """Return the node at or below a place on the grid, never the last, and the fraction above."""
    place = jnp.clip(place, 0, nodes - 1)
    # The integer is clipped too: a NaN must not become an index out of bounds.
    node = jnp.clip(place.astype(jnp.int32), 0, nodes - 2)
    return node, place - node.astype(place.dtype)


def _take(table: ArrayLike, flat: jax.Array) -> jax.Array:
    return jnp.asarray(table).reshape(-1).at[flat].get(mode="promise_in_bounds")
