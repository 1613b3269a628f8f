"""From sums over samples to derivatives of statistics, each with its standard error.

What a statistic's derivative is a sum of stands in `riskshare.program.functionals`. Errors are
between the independent parts of a run, from the influence of a sample on each derivative, which
includes what it does to mean, spread and quantile.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskshare.analysis.results import ATOM_SHARE
from riskshare.program.functionals import Functionals
from riskshare.statistics import Estimate, Floats

ALIKE = 1e-4
"""Spread of derivatives in an atom, or error of their mean where it is one value of several, as a
share of the mean, up to which all of it moves alike."""


@dataclass(frozen=True)
class Sums:
    """Sums over the samples of each independent part: the part first."""

    functionals: Functionals
    samples: Floats
    """(part)"""
    by: Mapping[str, Floats]
    """``derivatives`` (part, weight, series, path), ``weights`` (part, weight, series); ``gap``,
    ``squares``, ``met`` (part, series); ``under``, ``bend`` (part, series, level)."""

    def mean(self) -> Estimate:
        """Return derivatives of means: (series, path)."""
        found = self._derivatives("mean")
        return self._estimate(found.sum(0) / self._all, found)

    def standard_deviation(self) -> Estimate:
        """Return cov(x, dx) / s."""
        scale = np.asarray(self.functionals.spread, np.float64)[:, None]
        centre, spread = self._centre[:, None], self._spread[:, None]
        moved = self._derivatives("mean")
        drift = moved.sum(0) / self._all
        products = scale * self._derivatives("spread") - centre * moved
        covariance = products.sum(0) / self._all
        found = covariance / spread
        gap, squares = self.by["gap"][:, :, None], self.by["squares"][:, :, None]
        each = self.samples[:, None, None]
        own = squares - 2 * centre * gap + each * (centre**2 - spread**2)
        influence = (products - drift * (gap - each * centre)) / spread
        influence = influence - found * own / (2 * spread**2)
        return self._estimate(found, influence - influence.sum(0) * each / self._all)

    def quantile(self, level: int, of: float) -> Estimate:
        """Return E[dx | x = q]: about the quantile, or at it where it is an atom.

        NaN where it is an atom whose samples do not all move alike.

        The place looked at is a pilot's; from there it is as far to the quantile of this run as
        samples below it are too few, and the error counts how far that is known.

        The error counts as well what a kernel `WIDER` than this one would have found otherwise,
        where there is such a weight. Its bias goes with the fourth power of the width where
        E[dx | x] is smooth, so that this is at least twice that of the kernel itself.
        """
        near, products = self._weights("near", level), self._derivatives("near", level)
        atom, weights = self._atom(level), near[:, :, None]
        whole = weights.sum(0)
        found = products.sum(0) / whole
        influence = (products - found * weights) * self._all / whole
        slope = np.where(atom[:, None], 0.0, self._slope(level, found))
        density = np.maximum(near.sum(0)[:, None] / self._all, 1e-30)
        under = self.by["under"][:, :, level, None] - self.samples[:, None, None] * of
        off: Any = 0.0
        if ("near_wide", level) in self.functionals.kinds:
            wide = self._derivatives("near_wide", level).sum(0)
            whole = self._weights("near_wide", level).sum(0)[:, None]
            off = np.where(atom[:, None], 0.0, wide / np.where(whole > 0, whole, 1) - found)
        value = found - slope * under.sum(0) / self._all / density
        value = np.where(self._falls_apart(level, found), np.nan, value)
        return self._estimate(value, influence - slope * under / density, off)

    def _falls_apart(self, level: int, found: Floats) -> NDArray[np.bool_]:
        """Return whether a quantile is an atom whose samples do not all move alike: (series, path).

        It then spreads, another way for more of the number than for less: there is no derivative.
        An atom beside other values holds a few of these, so it is judged by how surely its mean is
        known. That says nothing where all samples are at it, for the mean of a Sobol' run hardly
        varies: signed at random, what is not alike adds up to its spread times the root of their
        number.
        """
        at, products = self._weights("near", level)[:, :, None], self._derivatives("near", level)
        whole = np.maximum(at.sum(0), 1)
        signs = self._weights("tilt", level).sum(0)[:, None]
        spread = np.abs(self._derivatives("tilt", level).sum(0) - found * signs) / np.sqrt(whole)
        error = self._estimate(found, (products - found * at) * self._all / whole).error
        # in another partner's position the same number may move as little as this one's rounding
        most = np.abs(found).max(axis=0, keepdims=True, initial=0.0)
        apart = np.where(whole >= self._all, spread, error) > ALIKE * np.maximum(
            np.abs(found), 1e-2 * most
        )
        return np.asarray(self._atom(level)[:, None] & apart)

    def _slope(self, level: int, found: Floats) -> Floats:
        """Return how fast E[dx | x] rises with x at a quantile, from a line about it."""
        bend = np.maximum(self.by["bend"].sum(0)[:, level, None], 1e-30)
        width = np.asarray(self.functionals.width, np.float64)[:, level, None]
        tilted = self._derivatives("tilt", level).sum(0)
        return np.asarray(
            (tilted - found * self._weights("tilt", level).sum(0)[:, None]) / (width * bend)
        )

    def tail_value_at_risk(self, level: int, tail: float) -> Estimate:
        """Return -E[dx | tail], the tail being that share of the worst (Hong and Liu 2009).

        Derivatives below the quantile, and at it as many of them as the tail lacks. Of a tail that
        lies at one value, all of it is as uncertain as there.
        """
        edge = self.quantile(level, tail)
        weights = self._weights("below", level)[:, :, None]
        products = self._derivatives("below", level)
        share = weights.sum(0) / self._all
        lacks = tail - share
        found = -(products.sum(0) / self._all + lacks * edge.value) / tail
        influence = -(products - edge.value * weights) / tail
        return self._estimate(found, influence, lacks * edge.error / tail)

    def probability_of_deficit(self) -> Estimate:
        """Return -f(t) E[dx - dt | x = t]; NaN where the target is an atom.

        The error counts the width of the kernel as that of `quantile` does.
        """
        found = self._derivatives("deficit")
        atom = self.by["met"].sum(0) > ATOM_SHARE * self._all
        value = np.where(atom[:, None], np.nan, found.sum(0) / self._all)
        off: Any = 0.0
        if ("deficit_wide", -1) in self.functionals.kinds:
            off = self._derivatives("deficit_wide").sum(0) / self._all - value
        return self._estimate(value, found, off)

    def _atom(self, level: int) -> NDArray[np.bool_]:
        return np.asarray(self.functionals.atom)[:, level]

    @property
    def _all(self) -> float:
        return float(self.samples.sum())

    @cached_property
    def _centre(self) -> Floats:
        """Mean less the mean that gaps are about."""
        return np.asarray(self.by["gap"].sum(0) / self._all)

    @cached_property
    def _spread(self) -> Floats:
        squares = self.by["squares"].sum(0) / self._all - self._centre**2
        floor = np.asarray(self.functionals.spread, np.float64) * 1e-3
        varies = (squares > floor**2) & (np.asarray(self.functionals.grain) == 0)
        return np.where(varies, np.sqrt(np.maximum(squares, 0)), np.nan)

    def _place(self, name: str, level: int) -> int:
        return self.functionals.kinds.index((name, level))

    def _derivatives(self, name: str, level: int = -1) -> Floats:
        return self.by["derivatives"][:, self._place(name, level)]

    def _weights(self, name: str, level: int) -> Floats:
        return self.by["weights"][:, self._place(name, level)]

    def _estimate(self, value: Floats, influence: Floats, bias: Any = 0.0) -> Estimate:
        """Return an estimate from the sums of its influence in each part, and a known bias."""
        parts = len(self.samples)
        gaps = influence - self.samples[:, None, None] * (influence.sum(0) / self._all)
        error = sqrt(parts / (parts - 1)) * np.sqrt(np.square(gaps).sum(0)) / self._all
        error = np.hypot(error, bias)
        return Estimate(value, np.where(np.isnan(value), np.nan, error))
