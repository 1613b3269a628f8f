"""The alignment of risk with influence at whatever numbers are tried."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from riskshare.analysis.allocation import jackknife
from riskshare.analysis.coalitions import Coalitions, players_of
from riskshare.analysis.figures import Alignment, Measured
from riskshare.analysis.influence import _moments, controlled_by
from riskshare.analysis.sources import Sloped, unknown
from riskshare.analysis.split import orders_of
from riskshare.analysis.streaming import count_of
from riskshare.errors import ArgumentError
from riskshare.run.program import Program
from riskshare.run.sampling import Sampling
from riskshare.statistics import Floats

SAMPLES = 4096
"""Samples of every coalition of drivers at most."""

ROUNDED = 2e-3
"""How far from 0 the size of a share out of place is rounded off, so that a search can follow."""

TYPICAL = 0.1
"""Unit of an alignment that hardly moves."""


class Alignments:
    """How far risk sits with influence, year by year and over all of them.

    Effects are Shapley values, so each value is as many runs as there are coalitions of drivers;
    derivatives are differences.
    """

    step = 2e-3

    def __init__(
        self,
        figures: Sequence[Alignment],
        program: Program,
        paths: int,
        sampling: Sampling,
        workers: int,
    ) -> None:
        """Look up who controls what.

        Raises
        ------
        ArgumentError
            Where the case does not say who controls a driver, or samples are pseudo-random.
        """
        if sampling.sampler != "sobol":
            raise ArgumentError(
                "alignment: coalitions of drivers are played on Sobol' points; accepted: "
                'sampler="sobol"'
            )
        self.figures, self.program, self.paths, self.workers = figures, program, paths, workers
        each = max(1, min(SAMPLES // sampling.replicates, sampling.per_replicate))
        self.sampling = replace(sampling, per_replicate=1 << (each.bit_length() - 1))
        self.players = players_of(program.case, program.bound)
        self.controlled = controlled_by(program.case, program.bound, self.players)
        self.orders = orders_of(None, len(self.players))

    def at(self, numbers: Mapping[str, float]) -> Measured:
        """Return the alignments; the influence of a replicate is what it is missed by."""
        bound = self.program.at(numbers)
        coalitions = Coalitions(self.program.case, bound, self.players, self.sampling, self.workers)
        moments = _moments(self.program.case, coalitions, self.orders, (0.95,))
        parts = {"absolute": moments.absolute, "variance": moments.variance}
        years = [one.year for one in self.figures]
        values = aligned(**{k: v.mean(-1) for k, v in parts.items()}, controlled=self.controlled)
        without = aligned(**jackknife(parts), controlled=self.controlled)
        count = self.sampling.replicates
        gaps = without.mean(-1, keepdims=True) - without
        held = np.zeros((len(years), count_of(self.sampling)))
        own = gaps[years] * np.sqrt((count - 1) / count)
        np.add.at(held.T, np.arange(count) % held.shape[1], own.T)
        count_of_years = len(years)
        return Measured(
            values[years], held, np.full(count_of_years, TYPICAL), np.zeros(count_of_years)
        )

    def sloped(self, numbers: Mapping[str, float]) -> Sloped:
        """Return the alignments alone."""
        return unknown(self.at(numbers), self.paths)


def aligned(absolute: Floats, variance: Floats, controlled: Floats) -> Floats:
    """Return ``1 - 1/2 sum_d omega_d sum_i |s_id - b_id|`` by year; trailing axes are kept.

    The size of u is ``u^2 / 2 r + r / 2`` within r = `ROUNDED` of 0.

    Parameters
    ----------
    absolute
        (driver, year, partner, ...): mean absolute effects.
    variance
        (driver, year, ...): Shapley value of the system's variance.
    controlled
        (driver, partner)
    """
    own = controlled.reshape(len(controlled), 1, -1, *[1] * (variance.ndim - 2))
    total = absolute.sum(2, keepdims=True)
    borne = np.where(total > 0, absolute / np.where(total > 0, total, 1), own)
    gap = np.abs(borne - own)
    size = np.where(gap < ROUNDED, gap * gap / (2 * ROUNDED) + ROUNDED / 2, gap)
    whole = variance.sum(0)
    weight = variance / np.where(whole != 0, whole, np.nan)
    return np.asarray(1 - 0.5 * (weight * size.sum(2)).sum(0))
