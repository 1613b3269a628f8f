"""Leading directions: which mixtures of what is drawn move positions most, from a reference run.

A quasi-random sampler fills its first dimensions best. Turning its points so that the first of them
are the mixtures of scores that positions follow makes better use of them, above all in tails. The
mixtures are those that positions have most covariance with: by Stein's lemma ``E[z x] = E[dx/dz]``
for standard normals z, the mean slope, through bands, gates and steps alike.
"""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.bind import Bound
from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.names import ALL_YEARS, LEVEL
from riskshare.outcomes import digest, groups_of
from riskshare.program.leading import Leading, led
from riskshare.program.streams import score
from riskshare.run.chunks import Kernel, in_a_row, outputs_of
from riskshare.run.devices import devices_of
from riskshare.run.directions import labelled, leading_of
from riskshare.run.sampling import Bits, columns_of, sampling_of
from riskshare.run.simulate import refuse_persons
from riskshare.run.tables import ready
from riskshare.summary.axes import WITHOUT_DEFICIT

Floats = NDArray[np.float64]

TAIL = 0.05
"""Level of the tails whose directions count beside those of means."""

MOST = 8
"""Directions unless told."""

FEWEST = 200
"""Effective samples that a tail must have for its place to be taken from them."""

ENOUGH = 10
"""Effective samples for each column that leave the direction of a tail off by less than a tenth:
noise has a square of columns / samples beside one of 4 and more."""

STAGES = 6
"""Pilots of a tail at most; each reaches two to three standard deviations beyond the last."""


@dataclass(frozen=True)
class Pilot:
    """Scores and positions of a run from which directions are taken."""

    scores: Floats
    """(column, sample)"""
    position: Floats
    """(year, partner, sample)"""
    weight: Floats
    """(sample)"""


def leading_directions(
    case: Case, *, count: int | None = None, samples: int = 65_536, seed: int = 2_718
) -> xr.DataArray:
    """Return the directions that move the positions of a reference contract most.

    Take them from one contract and pass them to every run that is compared with it: they decide
    which samples are drawn. Each partner's position in each year, and over all years, counts alike;
    so does whether it is in its worst 5 %.

    Parameters
    ----------
    case
        The reference contract.
    count
        How many at most: 8 unless said, or as many as there are random columns.
    samples, seed
        Of the run from which they are taken.

    Returns
    -------
    xarray.DataArray
        (direction, column), orthonormal, the most important first; for ``directions=`` of
        `riskshare.simulate`, `riskshare.draw` and `riskshare.estimate`.

    Raises
    ------
    ArgumentError
        If there are fewer random columns or nothing moves any position.

    Examples
    --------
    >>> import riskshare as rs
    >>> case = rs.load_case("msk-toy")
    >>> directions = rs.leading_directions(case, count=4)
    >>> table = rs.estimate(case, directions=directions)
    >>> directions.sizes["direction"]
    4
    """
    bound = ready(case)
    count = _count(bound, count)
    pilot = _run(bound, samples, seed, None)
    found = _orthonormal(_covariances(pilot.scores, _series(case, pilot.position)), count)
    if not len(found):
        raise ArgumentError(
            "no position rises or falls on the whole with anything that is drawn, so no direction "
            "leads; leave directions out"
        )
    return labelled(case, bound, found, _said(case, seed))


def tail_directions(
    case: Case,
    partner: str,
    *,
    year: str = ALL_YEARS,
    level: float = 0.005,
    share: float = 0.5,
    count: int | None = None,
    samples: int = 65_536,
    seed: int = 2_718,
) -> xr.DataArray:
    """Return leading directions that draw more samples from one partner's bad tail.

    The first direction is that along which the partner's position falls into its tail. Samples are
    drawn along it from a mixture of the standard normal and, with weight ``share``, one about the
    place of the tail, and carry the weight that makes up for it, never above ``1 / (1 - share)``.
    Statistics of other partners stay right; those of the tail become far more precise.

    Parameters
    ----------
    case
        The reference contract.
    partner
        A partner, ``system`` or another group.
    year
        A year, or ``all``.
    level
        Of the tail that matters: 0.005 for the worst outcome in 200.
    share
        Weight of the tail's component, above 0 and below 1.
    count, samples, seed
        As in `leading_directions`.

    Returns
    -------
    xarray.DataArray
        (direction, column), as of `leading_directions`; attributes ``tilt_shift`` and
        ``tilt_share`` say how the first direction is drawn, ``tail_level_seen`` at which level it
        was found: above ``level`` where pilots did not reach that far.

    Raises
    ------
    ArgumentError
        For an unknown partner or year, a level or share out of bounds, or a position that nothing
        moves.

    Examples
    --------
    >>> import riskshare as rs
    >>> case = rs.load_case("msk-toy")
    >>> tail = rs.tail_directions(case, "system", level=0.001)
    >>> worst = rs.estimate(case, directions=tail, levels=[0.001])
    >>> "effective_samples" in worst.attrs
    True
    """
    _check(case, partner, year, level, share)
    bound = ready(case)
    count = _count(bound, count)
    said = _said(case, seed) | {"tail_of": partner, "tail_year": year, "tail_level": float(level)}
    pilot = _run(bound, samples, seed, None)
    others = _covariances(pilot.scores, _series(case, pilot.position))
    for stage in range(1, STAGES + 1):
        own = _one(case, pilot.position, partner, year)
        if stage == 1 and not own.std() > 0:
            raise ArgumentError(f"nothing moves the position of {partner} in {year}")
        centre, seen, effective = _tail(pilot, own, level)
        distance = float(np.linalg.norm(centre))
        axes = np.column_stack([centre / distance, others])
        tilt = {"tilt_shift": distance, "tilt_share": float(share), "tail_level_seen": seen}
        found = labelled(case, bound, _orthonormal(axes, count, first=True), said | tilt)
        if effective >= ENOUGH * len(centre):
            break
        if stage < STAGES:
            pilot = _run(bound, samples, (seed + stage) % 2**32, leading_of(found, case, bound))
    return found


def _check(case: Case, partner: str, year: str, level: float, share: float) -> None:
    known = [*(one.name for one in case.partners), *groups_of(case)]
    if partner not in known:
        raise ArgumentError(f"partner is {partner!r}; accepted: {', '.join(known)}")
    years = [*case.labels()["year"], ALL_YEARS]
    if year not in years:
        raise ArgumentError(f"year is {year!r}; accepted: {', '.join(years)}")
    for name, value in ((LEVEL, level), ("share", share)):
        if not 0 < value < 1:
            raise ArgumentError(f"{name} is {value!r}; accepted: above 0 and below 1")


def _said(case: Case, seed: int) -> dict[str, Any]:
    return {"reference": case.name, "reference_digest": digest(case), "reference_seed": seed}


def _count(bound: Bound, count: int | None) -> int:
    columns = len(columns_of(bound))
    if not columns:
        raise ArgumentError(
            "nothing is drawn in this case, so no direction leads; leave directions out"
        )
    if count is None:
        return min(MOST, columns)
    whole = isinstance(count, int | np.integer) and not isinstance(count, bool)
    if not whole or not 1 <= count <= columns:
        raise ArgumentError(
            f"count is {count!r}; accepted: a whole number from 1 to {columns}, which is how many "
            "random columns there are"
        )
    return int(count)


def _run(bound: Bound, samples: int, seed: int, leading: Leading | None) -> Pilot:
    """Return a pseudo-random run."""
    refuse_persons(bound)
    sampling = sampling_of(samples, seed, "pseudo-random", 1)
    devices = devices_of("cpu", None)
    bits = Bits(bound, sampling)
    kernel = Kernel(bound, bits, np.float32, ("position",), devices, None, leading)
    scores, positions, weights = [], [], []
    for chunk in sampling.chunks(devices.width):
        outputs = outputs_of(kernel, chunk)
        positions.append(in_a_row(outputs["position"], chunk))
        for place, size in zip(chunk.block, chunk.size, strict=True):
            of_years = bits.source.by_year(np.uint32(place))
            drawn = score(jax.vmap(bits.source.bits)(of_years), np.float32)
            if leading is not None:
                drawn, counts_for = led(leading, drawn)
                weights.append(np.asarray(counts_for)[:size])
            flat = np.asarray(drawn).reshape(-1, drawn.shape[-1])
            scores.append(flat[:, :size])
    weight = np.concatenate(weights) if weights else np.ones(sampling.samples)
    return Pilot(np.concatenate(scores, axis=1), np.concatenate(positions, axis=-1), weight)


def _tail(pilot: Pilot, own: Floats, level: float) -> tuple[Floats, float, float]:
    """Return the mean scores of a tail, its level, and how many effective samples it has.

    The level is the one asked for, or the lowest at which there are enough samples to go by; then
    those beyond the level asked for count as none.
    """
    order = np.argsort(own)
    weight = pilot.weight[order].astype(np.float64)
    mass = np.cumsum(weight)
    effective = mass**2 / np.cumsum(weight**2)
    asked = int(np.searchsorted(mass, level * mass[-1]))
    fewest = int(np.argmax(effective >= min(FEWEST, effective[-1])))
    last = max(asked, fewest)
    # all of an atom that the edge falls into
    last = int(np.searchsorted(own[order], own[order[last]], side="right")) - 1
    inside = order[: last + 1]
    centre = pilot.scores[:, inside].astype(np.float64) @ weight[: last + 1] / mass[last]
    return centre, float(mass[last] / mass[-1]), float(effective[last]) if asked >= fewest else 0.0


def _series(case: Case, position: Floats) -> Floats:
    """Return standardised positions of partners that bear a result, (series, sample)."""
    bears = [one.kind not in WITHOUT_DEFICIT for one in case.partners]
    own = position[:, bears].astype(np.float64)
    every = [*own, own.sum(axis=0)] if len(own) > 1 else [*own]
    series = np.concatenate([*every, np.stack([one.sum(axis=0) for one in every])])
    series -= series.mean(axis=1, keepdims=True)
    spread = series.std(axis=1, keepdims=True)
    moved = spread[:, 0] > 1e-6 * max(float(spread.max()), np.finfo(float).tiny)
    if not moved.any():
        raise ArgumentError("nothing moves any position, so no direction leads")
    return np.asarray(series[moved] / spread[moved])


def _one(case: Case, position: Floats, partner: str, year: str) -> Floats:
    groups = groups_of(case)
    names = [one.name for one in case.partners]
    members = groups[partner] if partner in groups else np.array(names) == partner
    years = list(case.labels()["year"])
    own = position if year == ALL_YEARS else position[[years.index(year)]]
    return np.asarray(own[:, members].astype(np.float64).sum(axis=(0, 1)))


def _covariances(scores: Floats, series: Floats) -> Floats:
    """Return covariances of scores with series, and with being in their worst tails: (column, n).

    What is no more than noise is left out: below four standard errors of an independent score.
    """
    samples = series.shape[1]
    worst = (series <= np.quantile(series, TAIL, axis=1, keepdims=True)) - TAIL
    both = np.concatenate([series, worst / np.sqrt(TAIL * (1 - TAIL))])
    found = scores @ both.T.astype(scores.dtype) / samples
    return np.where(np.abs(found) > 4 / np.sqrt(samples), found, 0.0).astype(np.float64)


def _orthonormal(axes: Floats, count: int, first: bool = False) -> Floats:
    """Return the directions along which the axes are longest, (direction, column)."""
    kept = axes[:, :1] if first else axes[:, :0]
    rest = axes[:, kept.shape[1] :]
    rest = rest - kept @ (kept.T @ rest)
    vectors, lengths, _ = np.linalg.svd(rest, full_matrices=False)
    lead = vectors[:, lengths > 1e-6]
    return np.concatenate([kept, lead], axis=1)[:, :count].T
