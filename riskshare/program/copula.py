"""The Student t copula in the kernel: Gaussian innovations become those of a t, still normal."""

import jax
import jax.numpy as jnp

from riskshare.laws.copula import StudentTables
from riskshare.program.chance import table_lookup

_TINY = 1e-12
"""Keeps the ratio log(1 + q) / q and its derivative finite at q = 0, where it is 1."""


def student_innovations(gaussian: jax.Array, mixing: jax.Array, tables: StudentTables) -> jax.Array:
    """Return innovations under a t copula (`riskshare.laws.copula`).

    ``x = e sqrt(nu / chi2)``, then Phi^-1(T_nu(x)) from a table of Wallace's near-normal
    ``w = (8 nu + 1) / (8 nu + 3) x sqrt(log(1 + q) / q)``, q = x^2 / nu. An innovation of 0 (of
    what is certain) stays 0. Scores beyond 6.4 are held there.

    Parameters
    ----------
    gaussian
        e, correlated across indices, ``[index, sample]``.
    mixing
        Score of the chi2 of the year, ``[1, sample]``.
    tables
        The copula's numbers.

    Returns
    -------
    jax.Array
        ``[index, sample]``.
    """
    nu = jnp.asarray(tables.degrees_of_freedom)
    log_factor = table_lookup(jnp.asarray(tables.mixing), jnp.asarray(tables.mixing_slopes), mixing)
    student = gaussian * jnp.exp(log_factor)
    q = jnp.maximum(student**2 / nu, _TINY)
    wallace = (8 * nu + 1) / (8 * nu + 3) * student * jnp.sqrt(jnp.log1p(q) / q)
    flat = wallace.reshape(1, -1)
    normal = table_lookup(jnp.asarray(tables.normal), jnp.asarray(tables.normal_slopes), flat)
    return normal.reshape(gaussian.shape)
