"""Means over bands of outcomes, and over the draws where something holds, with their errors.

Draws stand replicate by replicate, all of one length, so that a sum by replicate is a reshape.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from riskshare.errors import ArgumentError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

BANDS = (0.05, 0.25, 0.75, 0.95)
"""Levels between bands of outcomes."""

_WINDOW = 0.005
"""Share of outcomes on either side of an edge over which what lies at the edge is averaged."""


class ByBand(NamedTuple):
    """A ratio of means in each band of outcomes, (band, row, partner), and its standard error."""

    value: Floats
    error: Floats


def bands_of(bands: Sequence[float]) -> tuple[float, ...]:
    """Return levels between bands; refuse what is none."""
    found = tuple(float(level) for level in np.atleast_1d(np.asarray(bands, np.float64)))
    rising = all(low < high for low, high in pairwise(found))
    if not found or not rising or not all(0 < level < 1 for level in found):
        raise ArgumentError(
            f"bands is {list(found)}; accepted: levels between 0 and 1 in increasing order, such "
            "as 0.05, 0.25, 0.75, 0.95"
        )
    return found


def share_of(flags: Flags, replicates: int) -> tuple[Any, Any]:
    """Return the share of draws in which something holds, (..., sample), and its error."""
    parts = flags.reshape(*flags.shape[:-1], replicates, -1).mean(-1)
    return parts.mean(-1), parts.std(-1, ddof=1) / np.sqrt(replicates)


def mean_where(values: Floats, flags: Flags, replicates: int) -> tuple[Any, Any]:
    """Return the mean of values, (..., sample), over the draws that are flagged, and its error.

    A ratio of means: its influence value is ``flag x (value - ratio) / share``. NaN where no draw
    is flagged.
    """
    parts = (*flags.shape[:-1], replicates, -1)
    count = flags.reshape(parts).sum(-1)
    total = np.where(flags, values, 0.0).reshape(parts).sum(-1)
    whole = count.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = total.sum(-1) / whole
        gaps = total - ratio[..., None] * count
        error = np.sqrt(replicates / (replicates - 1) * (gaps**2).sum(-1)) / whole
    return ratio, error


@dataclass(frozen=True)
class Outcomes:
    """Outcomes in order, and the bands between levels of that order.

    Parameters
    ----------
    replicates
        How many parts of one size the draws have.
    position
        (sample): what puts outcomes in order, the worst first.
    levels
        Between bands.
    """

    replicates: int
    position: Floats
    levels: tuple[float, ...]

    def edges(self) -> tuple[list[float], list[float]]:
        """Return where each band begins and ends; the last one holds all outcomes."""
        return [0.0, *self.levels, 0.0], [*self.levels, 1.0, 1.0]

    @cached_property
    def _rank(self) -> NDArray[np.intp]:
        rank = np.empty(len(self.position), np.intp)
        rank[np.argsort(self.position, kind="stable")] = np.arange(len(self.position))
        return rank

    @cached_property
    def _places(self) -> NDArray[np.intp]:
        """Ranks at which bands end."""
        return np.rint(np.array(self.levels) * len(self.position)).astype(np.intp)

    @cached_property
    def _columns(self) -> Floats:
        """Flags of bands, of windows about edges, and of draws below edges: (replicate, n, column).

        Windows say what lies at an edge, draws below how many of a replicate fell short of it.
        """
        rank, places, count = self._rank, self._places, len(self.position)
        ends = [0, *places.tolist(), count]
        half = max(int(_WINDOW * count), 8)
        flags = [(rank >= low) & (rank < high) for low, high in pairwise(ends)]
        flags += [np.ones(count, bool)]
        flags += [np.abs(rank + 0.5 - place) < half for place in places]
        flags += [rank < place for place in places]
        columns = np.stack(flags, axis=-1).astype(np.float64)
        return columns.reshape(self.replicates, -1, len(flags))

    def ratio(self, gains: Floats, units: Floats) -> ByBand:
        """Return the sum of gains over the sum of units in each band.

        With h(q) the mean of ``gain - ratio x unit`` at an edge q between bands, the influence of a
        draw is what it adds to the band, and how it moves the edges: ``1(in band)(gain - ratio x
        unit) + h(high) (p_high - 1(below high)) - h(low) (p_low - 1(below low))``.

        Parameters
        ----------
        gains
            (row, partner, sample).
        units
            (row, sample).

        Returns
        -------
        ByBand
            NaN where there are no units.
        """
        rows, partners, samples = gains.shape
        gain = self._sums(gains.reshape(rows * partners, samples)).reshape(
            self.replicates, rows, partners, -1
        )
        unit = self._sums(units)[:, :, None, :]  # replicate, row, 1, column
        edges = len(self.levels)
        bands = edges + 2
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = (gain.sum(0) / unit.sum(0))[..., :bands]
        at = np.zeros((self.replicates, *ratio.shape))
        at += gain[..., :bands] - ratio * unit[..., :bands]
        below = self._columns.sum(1)[:, bands + edges :]  # replicate, edge
        size = samples / self.replicates
        short = self._places / samples * size - below
        window = self._columns.sum((0, 1))[bands : bands + edges]
        for edge in range(edges):
            held = bands + edge
            moved = short[:, edge, None, None]
            for band, sign in ((edge, 1.0), (edge + 1, -1.0)):
                height = (
                    gain[..., held].sum(0) - ratio[..., band] * unit[..., held].sum(0)
                ) / window[edge]
                at[..., band] += sign * height * moved
        with np.errstate(invalid="ignore", divide="ignore"):
            error = np.sqrt(self.replicates / (self.replicates - 1) * (at**2).sum(0))
            error = error / np.abs(unit.sum(0)[..., :bands])
        return ByBand(np.moveaxis(ratio, -1, 0), np.moveaxis(error, -1, 0))

    def _sums(self, values: Floats) -> Floats:
        """Return sums over the flagged draws of each replicate: (replicate, row, column)."""
        parts = values.reshape(len(values), self.replicates, -1).swapaxes(0, 1)
        return np.asarray(parts @ self._columns)
