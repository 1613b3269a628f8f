"""What the spread of results is made of: what happens, what is not known of laws, the baseline.

Indices say what their spread stands for (``uncertainty``). The variance of a position splits by
the law of total variance; the part of a group of indices is the covariance of two runs that share
that group's draws and nothing else.
"""

from collections.abc import Collection

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.bind import Bound
from riskshare.bind.laws import Column
from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.names import ALL_YEARS, PARTNER, YEAR
from riskshare.outcomes import attributes, groups_of
from riskshare.run.chunks import run_chunks
from riskshare.run.precision import dtype_of
from riskshare.run.sampling import REPLICATES, Sampling, sampling_of
from riskshare.run.simulate import refuse_persons
from riskshare.run.tables import ready

Floats = NDArray[np.float64]

SOURCES = ("process", "parameter", "baseline", "interaction", "total")
"""Parts of the variance of a position, and their sum."""


def uncertainty(
    case: Case,
    *,
    samples: int = 65_536,
    seed: int = 1,
    replicates: int = REPLICATES,
    workers: int | None = None,
) -> xr.Dataset:
    """Split the variance of each position into process, parameter and baseline error.

    With A the indices of parameter error and B those of baseline error,

    - ``parameter``: ``Var(E[Y | A])``; ``baseline``: ``Var(E[Y | B])``;
    - ``interaction``: ``Var(E[Y | A, B])`` less both;
    - ``process``: ``E[Var(Y | A, B])``, what would be left if the laws were known;
    - ``total``: their sum, ``Var(Y)``.

    ``Var(E[Y | A])`` is the covariance of Y over two runs with the same A and all else drawn afresh
    (Sobol' 1993; Janon et al. 2014, whose estimator centres both runs on their common mean).

    Parameters
    ----------
    case
        The case; its indices say what their spread stands for by ``uncertainty``.
    samples, seed, replicates, workers
        As in `riskshare.simulate`. There are up to four runs of so many samples.

    Returns
    -------
    xarray.Dataset
        ``position_variance`` (money squared) and ``position_standard_deviation`` (its root, 0 where
        an estimate is below 0) on (source, year, partner), with groups and all years as in
        `riskshare.summarise`, and ``position_variance_error``, the standard error between
        replicates.

    Raises
    ------
    ArgumentError
        Where correlations, or a t copula, join indices of different kinds: their parts cannot be
        told apart.

    Examples
    --------
    >>> import riskshare as rs
    >>> split = rs.uncertainty(rs.load_case("msk-toy"), samples=4096)
    >>> split.source.values.tolist()
    ['process', 'parameter', 'baseline', 'interaction', 'total']
    """
    _refuse_mixed(case)
    bound = ready(case)
    refuse_persons(bound)
    sampling = sampling_of(samples, seed, "sobol", replicates)
    shape = (sampling.replicates, sampling.per_replicate)
    groups = {kind: _columns(case, bound, (kind,)) for kind in ("parameter", "baseline")}
    both = groups["parameter"] | groups["baseline"]

    def positions(kept: frozenset[tuple[int, int]] | None) -> Floats:
        every = frozenset(column[:2] for column in bound.columns)
        afresh = frozenset() if kept is None else every - kept
        arrays = run_chunks(
            bound, sampling, ("position",), dtype_of("float32"), workers, None, afresh=afresh
        )
        return _summed(case, arrays["position"]).reshape(*_rows(case), *shape)

    first = positions(None)
    total = _between(first, first)
    shared = {
        name: _between(first, positions(columns)) if columns else 0 * total
        for name, columns in {**groups, "both": both}.items()
        if name != "both" or all(groups.values())
    }
    if "both" not in shared:
        shared["both"] = shared["parameter"] + shared["baseline"]
    parts = np.stack(
        [
            total - shared["both"],
            shared["parameter"],
            shared["baseline"],
            shared["both"] - shared["parameter"] - shared["baseline"],
            total,
        ]
    )
    return _dataset(case, parts, sampling, samples)


def _refuse_mixed(case: Case) -> None:
    indices = case.indices()
    kinds_drawn = {index.uncertainty for index in indices.values() if not index.certain}
    if case.dependence.copula == "student-t" and len(kinds_drawn) > 1:
        raise ArgumentError(
            "a Student t copula joins all indices, so what process, parameter and baseline error "
            "contribute cannot be told apart; split the case with a Gaussian copula"
        )
    for correlation in case.correlations:
        kinds = {name: indices[name].uncertainty for name in correlation.between}
        if correlation.value and len(set(kinds.values())) > 1:
            said = " and ".join(f"{name} ({kind})" for name, kind in kinds.items())
            raise ArgumentError(
                f"{said} are correlated, so what each contributes cannot be told apart; give them "
                "one kind of uncertainty, or no correlation"
            )


def _columns(case: Case, bound: Bound, kinds: Collection[str]) -> frozenset[tuple[int, int]]:
    """Return the random columns of the drawn indices of some kinds of uncertainty."""
    indices = list(case.indices().values())
    columns: list[Column] = list(bound.columns)
    drawn = bound.structure.drawn
    return frozenset(
        column[:2]
        for place, column in zip(drawn, columns, strict=False)
        if indices[place].uncertainty in kinds
    )


def _rows(case: Case) -> tuple[int, int]:
    return len(case.years) + 1, len(case.partners) + len(groups_of(case))


def _summed(case: Case, position: NDArray[np.floating]) -> Floats:
    """Return positions with the sum over years, and with groups: (year, partner, sample)."""
    members = np.stack(list(groups_of(case).values())).astype(np.float64)
    values = np.asarray(position, np.float64)
    values = np.concatenate([values, values.sum(0, keepdims=True)])
    groups = np.einsum("gp,yps->ygs", members, values)
    return np.concatenate([values, groups], axis=1)


def _between(one: Floats, other: Floats) -> Floats:
    """Return the covariance of two runs in each replicate: (year, partner, replicate)."""
    centre = ((one + other) / 2).mean(axis=(-2, -1), keepdims=True)
    return np.asarray(((one - centre) * (other - centre)).mean(-1))


def _dataset(case: Case, parts: Floats, sampling: Sampling, samples: int) -> xr.Dataset:
    dims = ("source", YEAR, PARTNER)
    mean = parts.mean(-1)
    error = parts.std(-1, ddof=1) / np.sqrt(parts.shape[-1])
    coords = {
        "source": list(SOURCES),
        YEAR: [*case.labels()["year"], ALL_YEARS],
        PARTNER: [*case.labels()["partner"], *groups_of(case)],
    }
    variables = {
        "position_variance": (dims, mean),
        "position_variance_error": (dims, error),
        "position_standard_deviation": (dims, np.sqrt(np.maximum(mean, 0))),
    }
    return xr.Dataset(variables, coords, attributes(case, "float32") | sampling.attributes(samples))
