"""Statistics of a case without holding its samples, to a stated number or a stated error."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from riskshare.analysis.streaming import LEAST, Streaming, longer, whole_blocks
from riskshare.analysis.targets import Target, targets_of
from riskshare.bind import Bound
from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.names import LEVELS
from riskshare.outcomes import (
    BY_CHANGE,
    BY_LINE,
    BY_PARTNER,
    OUTCOMES,
    attributes,
    offered,
    outcomes_dataset,
)
from riskshare.program.streams import BLOCK
from riskshare.run.batch import over_parameters
from riskshare.run.chunks import Kernel, Progress
from riskshare.run.devices import devices_of
from riskshare.run.directions import leading_of, recorded
from riskshare.run.precision import dtype_of
from riskshare.run.sampling import REPLICATES, Bits, Sampling, sampling_of
from riskshare.run.simulate import SAMPLES, kept, refuse_persons
from riskshare.summary import MEANS, levels_of, tabulated
from riskshare.summary.axes import Axes
from riskshare.summary.layout import Layout
from riskshare.summary.money import discount_rate_of, year_weights

MOST = 2**27
"""Samples that a run to a stated error takes at most, unless told."""


def estimate(
    case: Case,
    *,
    samples: int | None = None,
    error: float | Mapping[str, float] | None = None,
    seed: int = 1,
    sampler: str = "sobol",
    replicates: int = REPLICATES,
    precision: str = "float32",
    keep: Sequence[str] | None = None,
    levels: Sequence[float] = LEVELS,
    discount_rate: float | None = None,
    prices: str = "nominal",
    directions: xr.DataArray | None = None,
    parameters: Mapping[str, Any] | None = None,
    device: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Return the table of `riskshare.summarise` without holding the samples.

    Samples are reduced to sums and counts as they come, so that memory does not grow with their
    number. They are those of `riskshare.simulate` with the same seed. Quantiles lie between edges
    that a pilot, the first samples of the run, puts about each of them; their errors include how
    far the distribution may bend between two edges.

    Parameters
    ----------
    case
        The case.
    samples
        How many: 65,536 unless said. Whole blocks of 4,096 in each replicate, for they cost the
        same, and a power of two for Sobol', so 65,536 at least; the table says how many there were.
        With ``error`` the most that may be taken, 134,217,728 unless said.
    error
        Standard errors to reach, by statistic: a name of the table with any of its labels, as
        ``{"position_mean[acute]": 10_000, "position_quantile[all,0.05]": 50_000}``. All that is
        named so is meant: without labels every partner, year and level. A number alone is meant
        for ``position_mean``. Samples double until all are met.
    seed, sampler, replicates, precision, parameters, workers
        As in `riskshare.simulate`.
    keep
        Names of the outcomes whose statistics are wanted, as in `riskshare.simulate`; those of the
        position come with any. ``("position",)`` alone takes about three quarters of the time.
    levels, discount_rate, prices
        As in `riskshare.summarise`.
    directions
        From `riskshare.leading_directions` or `riskshare.tail_directions`.
    device
        ``cpu``, ``gpu``, or one of them such as ``gpu:0``; what JAX prefers unless given.
    progress
        Called with the samples done and those there will be (so far as is known).

    Returns
    -------
    xarray.Dataset
        As `riskshare.summarise` returns. Attributes say ``samples`` and, where an error was asked
        for, ``error_met``. Standard errors of a pseudo-random run are taken between 16 parts at
        65,536 samples, 64 from 262,144 on; those between 16 are known to about 18 %, between 64 to
        about 9 %. They are infinite where a level lies beyond what the pilot suggests.

    Raises
    ------
    ArgumentError
        For arguments that mean nothing; for an error that cannot be met in the samples allowed.

    Examples
    --------
    >>> import riskshare as rs
    >>> case = rs.load_case("msk-toy")
    >>> table = rs.estimate(case, error={"position_probability_of_deficit": 0.01})
    >>> bool(table.position_probability_of_deficit_error.max() <= 0.01)
    True
    """
    at, rate = levels_of(levels), discount_rate_of(discount_rate)
    wanted = targets_of(error)
    asked = (MOST if wanted else SAMPLES) if samples is None else samples
    most = whole_blocks(sampling_of(asked, seed, sampler, replicates))
    first = _shortest(most, replicates) if wanted else most
    devices = devices_of(device, workers)

    def one(own: Case, bound: Bound, place: Mapping[str, int]) -> xr.Dataset:
        del place
        refuse_persons(bound)
        attrs = attributes(own, precision) | {"prices": prices, "discount_rate": rate}
        zeros = _zeros(bound, keep)
        outcomes = outcomes_dataset(own, bound, zeros, attrs)
        axes = Axes.of(outcomes, *year_weights(outcomes, rate, prices))
        summed = tuple(name for name in MEANS if name in zeros)
        leading = leading_of(directions, own, bound)
        bits = Bits(bound, most)
        kernel = Kernel(bound, bits, dtype_of(precision), (), devices, None, leading)
        both = np.unique(np.concatenate([at, 1 - at]).round(12))
        run = Streaming(kernel, Layout.of(outcomes, axes), both, summed, first)

        def table(sampling: Sampling) -> xr.Dataset:
            streamed = run.streamed()
            variables = streamed.position(at) | streamed.total() | streamed.reserve()
            for name in summed:
                variables |= streamed.means(name)
            said = attrs | sampling.attributes(sampling.samples if wanted else asked)
            said |= streamed.attributes()
            return recorded(tabulated(variables, outcomes, axes, at, said), directions)

        if not wanted:
            run.extend(None, first, progress)
            return table(most)
        return _until(wanted, run, table, first, most, progress)

    return over_parameters(case, parameters, one)


def _until(
    wanted: Sequence[Target],
    run: Streaming,
    table: Callable[[Sampling], xr.Dataset],
    sampling: Sampling,
    most: Sampling,
    progress: Progress | None,
) -> xr.Dataset:
    """Double the samples until every error is met, or there may be no more."""
    before = None
    while True:
        run.extend(before, sampling, progress)
        found = table(sampling)
        excess = {target: target.excess(found) for target in wanted}
        worst = max(excess, key=lambda target: excess[target])
        found.attrs["error_met"] = int(excess[worst] <= 1)
        following = longer(sampling, most)
        if excess[worst] <= 1:
            return found
        reached = worst.error * excess[worst]
        said = (
            f"{worst.name} has a standard error of {reached:,.6g} after {sampling.samples:,} "
            f"samples, and {worst.error:,.6g} is asked for"
        )
        if following is None:
            warnings.warn(f"{said}; no more samples are allowed", stacklevel=4)
            return found
        if before is None and excess[worst] > most.samples / sampling.samples:
            # errors fall with the root of the number of samples, at best with the number itself;
            # once long work is done, what it found is worth more than a refusal
            needed = sampling.samples * excess[worst] ** 2
            raise ArgumentError(
                f"error: {said}; that cannot be met in {most.samples:,} samples. It takes about "
                f"{needed:,.0f} where errors fall with their root: allow more (samples=), or ask "
                "for a larger error"
            )
        before, sampling = sampling, following


def _shortest(most: Sampling, replicates: int) -> Sampling:
    """Return the shortest run of whole blocks, within the longest."""
    if most.sampler == "pseudo-random":
        each = min(LEAST * BLOCK, most.per_replicate)
        return Sampling(most.sampler, most.seed, 1, each)
    return Sampling(most.sampler, most.seed, replicates, BLOCK)


def _zeros(bound: Bound, keep: Sequence[str] | None) -> dict[str, Any]:
    """Return outcomes of one sample that is all zero: what matters is their shapes."""
    always = {"position", "other_position"} & set(offered(bound))
    wanted = {*kept(keep, bound), *always}
    structure = bound.structure
    rows = {
        **dict.fromkeys(BY_PARTNER, structure.partners),
        **dict.fromkeys(BY_LINE, structure.lines),
        **dict.fromkeys(BY_CHANGE, structure.changes),
        "other_position": len(structure.others),
    }
    held = [name for name in OUTCOMES if name in wanted & {*MEANS, *always}]
    by_partner = np.zeros((structure.years, structure.partners, 1))
    return {
        name: (by_partner,) * len(structure.term_names)
        if name == "posting"
        else np.zeros((structure.years, rows[name], 1))
        for name in held
    }
