"""Reading the tables of chance: a factor's quantile, and counts at a mean that varies.

Tables come from `riskshare.laws.chance`, stacked over rows; scores are clipped to their span.
Both functions read one flat array with indices proved in bounds, two to five times faster on CPU
than indexing row by row. Where to read is stored first: XLA otherwise works it out again inside
each gather, one sample after the other (docs/architecture.md, "The kernel").
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from riskshare.contract.vectors import polynomial, stored
from riskshare.laws.binomial import LOGIT_LIMIT
from riskshare.laws.chance import SCORE_LIMIT, CountTable, FactorTable


def table_lookup(values: jax.Array, slopes: jax.Array, score: jax.Array) -> jax.Array:
    """Return each row's table at its scores, linear between the nodes of the even grid.

    Its derivative in the score is the slope of the cell.

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

    def place() -> tuple[jax.Array, jax.Array]:
        node, fraction = _of_score(score, nodes)
        return jnp.arange(rows, dtype=jnp.int32)[:, None] * nodes + node, fraction

    flat, fraction = stored(place, values)
    return _take(values, flat) + _take(slopes, flat) * fraction


def factors(table: FactorTable, score: jax.Array, spread: jax.Array | None = None) -> jax.Array:
    """Return factors of mean 1 from tables stacked over rows, at their spread where they have one.

    Linear between nodes of the logarithm of the spread, which keeps the mean at 1: with a range of
    0.5 to 2 about a CV of 0.3, the standard deviation is off by at most 0.1 %.

    Parameters
    ----------
    table
        Tables stacked over rows (`riskshare.laws.chance.stacked`).
    score
        Standard normal scores, ``[row, sample]``.
    spread
        What multiplies the coefficient of variation, ``[row, sample]``; 1 unless given.

    Returns
    -------
    jax.Array
        ``[row, sample]``.
    """
    rows, spreads, nodes = table.values.shape
    if spreads == 1:
        values, slopes = jnp.asarray(table.values), jnp.asarray(table.slopes)
        return table_lookup(values[:, 0], slopes[:, 0], score)
    wide = jnp.ones_like(score) if spread is None else spread
    origin, step = jnp.asarray(table.log_spread_origin), jnp.asarray(table.log_spread_step)

    def place() -> tuple[jax.Array, jax.Array, jax.Array]:
        level, above = _position((jnp.log(wide) - origin[:, None]) / step[:, None], spreads)
        node, fraction = _of_score(score, nodes)
        row = jnp.arange(rows, dtype=jnp.int32)[:, None]
        return (row * spreads + level) * nodes + node, fraction, above

    flat, fraction, above = stored(place, table.values)
    lower = _take(table.values, flat) + _take(table.slopes, flat) * fraction
    upper = _take(table.values, flat + nodes) + _take(table.slopes, flat + nodes) * fraction
    return lower + (upper - lower) * above


def cubed(polynomials: jax.Array, score: jax.Array) -> jax.Array:
    """Return factors of mean 1 as cubes of polynomials in the score, ``[row, sample]``.

    Parameters
    ----------
    polynomials
        From `riskshare.laws.chance.factor_polynomial`, ``[row, power]``, the highest first.
    score
        Standard normal scores, ``[row, sample]``.
    """
    powers = jnp.asarray(polynomials)
    root = polynomial(jnp.split(powers, powers.shape[1], axis=1), score)
    return root * root * root


def beyond(score: jax.Array, probability: jax.Array) -> jax.Array:
    """Return the score z' with Phi(-z') = Phi(-z) / (1 - probability): that beyond an atom.

    Worked out from the upper tail; meaningless (about -5) where z lies within the atom.
    """
    above = jax.scipy.special.ndtr(-score) / (1 - probability)
    most = 1 - np.finfo(score.dtype).eps
    return -jax.scipy.special.ndtri(jnp.minimum(above, most))


def counts(
    mean: jax.Array,
    score: jax.Array,
    table: CountTable,
    whole: jax.Array,
    first: jax.Array | int = 0,
    spread: jax.Array | None = None,
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
        Tables stacked over rows (`riskshare.laws.chance.stacked`).
    whole
        1 for whole counts, 0 for smooth ones, ``[row]``: a number, so that it never recompiles.
    first
        Row of the tables that serves the first row of means; the tables may hold more.
    spread
        s, which makes c of c s^2, ``[row, sample]``; 1 unless given.

    Returns
    -------
    jax.Array
        ``[row, sample]``.
    """
    rows = len(mean)

    def of_row(values: ArrayLike) -> jax.Array:
        return jax.lax.dynamic_slice_in_dim(jnp.asarray(values), first, rows)[:, None]

    positive = mean > 0
    safe = jnp.where(positive, mean, 1)
    standard = standardised(table, jnp.log(safe), score, first, spread)
    excess = of_row(table.overdispersion)
    if spread is not None:
        excess = excess * spread**2
    x = safe + jnp.sqrt(safe + excess * safe**2) * standard
    drawn = jnp.where(of_row(whole) > 0, jnp.ceil(x), x + 0.5)
    return jnp.where(positive, jnp.maximum(drawn, 0), 0)


def standardised(
    table: CountTable,
    height: jax.Array,
    score: jax.Array,
    first: jax.Array | int = 0,
    spread: jax.Array | None = None,
) -> jax.Array:
    """Return W of a table: linear in the score, in ``height`` and in the logarithm of the spread.

    ``height`` is what the table runs over: the logarithm of a mean or a number, or a logit.
    """
    _, spreads, heights, nodes = table.values.shape
    rows = len(height)

    def of_row(values: ArrayLike) -> jax.Array:
        return jax.lax.dynamic_slice_in_dim(jnp.asarray(values), first, rows)[:, None]

    row = first + jnp.arange(rows, dtype=jnp.int32)[:, None]

    def place() -> tuple[jax.Array, jax.Array, jax.Array]:
        up = (height - of_row(table.log_mean_origin)) / of_row(table.log_mean_step)
        level, above = _position(up, heights)
        node, fraction = _of_score(score, nodes)
        return (row * spreads * heights + level) * nodes + node, fraction, above

    start, fraction, above = stored(place, table.values)

    def at_spread(wide: jax.Array | int) -> jax.Array:
        flat = start + wide * (heights * nodes)
        lower = _take(table.values, flat) + _take(table.slopes, flat) * fraction
        upper = _take(table.values, flat + nodes) + _take(table.slopes, flat + nodes) * fraction
        return lower + (upper - lower) * above

    if spreads == 1 or spread is None:
        return at_spread(0)
    width = (jnp.log(spread) - of_row(table.log_spread_origin)) / of_row(table.log_spread_step)
    wide, more = _position(width, spreads)
    narrower = at_spread(wide)
    return narrower + (at_spread(wide + 1) - narrower) * more


def thinned(
    table: CountTable,
    delivery: jax.Array,
    score: jax.Array,
    whole_below: float,
    left: jax.Array,
    first: jax.Array | int = 0,
) -> jax.Array:
    """Return the share of planned units that moves, each by itself with the delivery's chance.

    (Binomial(n, delivery) + left x delivery) / (n + left), a whole count where n is below
    ``whole_below``. Beyond 1, and where its logit is beyond the table's, delivery moves without
    chance. n is the table's ``overdispersion``.

    Parameters
    ----------
    table
        Tables over the logit of the delivery (`riskshare.laws.binomial.thinning_table`).
    delivery, score
        ``[row, sample]``.
    left
        Planned units beyond whole ones, ``[row, 1]``.
    first
        Row of the tables that serves the first row.
    """
    rows = len(delivery)
    number = jax.lax.dynamic_slice_in_dim(jnp.asarray(table.overdispersion), first, rows)[:, None]
    p = jnp.clip(delivery, 0, 1)
    tiny = np.finfo(p.dtype).eps
    inner = jnp.clip(p, tiny, 1 - tiny)
    logit = jnp.log(inner) - jnp.log1p(-inner)
    standard = standardised(table, logit, score, first)
    x = number * p + jnp.sqrt(number * p * (1 - p)) * standard
    x = jnp.where(number < whole_below, jnp.ceil(x), x + 0.5)
    moved = jnp.where(jnp.abs(logit) < LOGIT_LIMIT, jnp.clip(x, 0, number), number * p)
    planned = number + left
    share = jnp.where(planned > 0, (moved + left * p) / jnp.where(planned > 0, planned, 1), p)
    return share + jnp.maximum(delivery - 1, 0)


def _of_score(score: jax.Array, nodes: int) -> tuple[jax.Array, jax.Array]:
    """Return the node at or below a score, and the fraction above."""
    return _position((score + SCORE_LIMIT) * ((nodes - 1) / (2 * SCORE_LIMIT)), nodes)


def _position(place: jax.Array, nodes: int) -> tuple[jax.Array, jax.Array]:
    """Return the node at or below a place on the grid, never the last, and the fraction above."""
    place = jnp.clip(place, 0, nodes - 1)
    # The integer is clipped too: a NaN must not become an index out of bounds.
    node = jnp.clip(place.astype(jnp.int32), 0, nodes - 2)
    return node, place - node.astype(place.dtype)


def _take(table: ArrayLike, flat: jax.Array) -> jax.Array:
    # what has no sign needs no look at whether it counts from the end
    own = flat.astype(jnp.uint32)
    return jnp.asarray(table).reshape(-1).at[own].get(mode="promise_in_bounds")
