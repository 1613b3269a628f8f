"""Statements at chosen numbers with their derivatives, on the same random numbers every time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from riskshare.analysis.aligned import Alignments
from riskshare.analysis.chances import Binding
from riskshare.analysis.figures import Alignment, Binds, Figure, Number, Outcome, Position
from riskshare.analysis.sources import Given, Outcomes, Positions, Reference, Sloped, Source
from riskshare.analysis.statements import Statement
from riskshare.analysis.streaming import count_of
from riskshare.case import Case
from riskshare.run.gradients import Gradients
from riskshare.run.sampling import Sampling
from riskshare.statistics import Floats

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Found:
    """Statements at one set of numbers."""

    values: Floats
    """(statement)"""
    jacobian: Floats
    """(statement, path)"""
    influence: Floats
    """(statement, part): what each independent part of the run adds to each value's error."""
    spread: Floats
    """(statement): how far what is looked at varies."""
    grain: Floats
    """(statement): the step in which a value moves: of what is counted, and of rounding."""
    reach: Floats
    """(path): how far a number moves anything that is stated; 0 where it does not."""


class Evaluation:
    """Evaluates statements of a case at numbers by path.

    A statement is a sum of figures, so its value, its influence values and its gradient are those
    of its figures, added: its error is that of the sum, taken on the same samples.
    """

    def __init__(
        self,
        gradients: Gradients,
        statements: Sequence[Statement],
        sampling: Sampling,
        bounds: Floats,
        workers: int,
        status_quo: Case | None = None,
    ) -> None:
        """Say where each figure comes from.

        Parameters
        ----------
        bounds
            (2, path) of the free numbers.
        """
        self.gradients, self.statements = gradients, tuple(statements)
        self.sampling, self.bounds = sampling, bounds
        figures = [figure for statement in statements for _, figure in statement.parts]
        self.coefficients = np.zeros((len(self.statements), len(figures)))
        place = 0
        for row, statement in enumerate(self.statements):
            for coefficient, _ in statement.parts:
                self.coefficients[row, place] = coefficient
                place += 1
        self.sources = _sources(figures, gradients, sampling, workers, status_quo)
        self.calls = 0

    def at(self, vector: Floats) -> Found:
        """Return the statements at numbers of the free paths, in their order."""
        self.calls += 1
        figures, paths = self.coefficients.shape[1], len(vector)
        values, spread, grain = np.zeros(figures), np.zeros(figures), np.zeros(figures)
        slopes, reach = np.zeros((figures, paths)), np.zeros(paths)
        influence = np.zeros((figures, count_of(self.sampling)))
        for source, rows in self.sources:
            found = self._completed(source, vector)
            own = found.measured
            values[rows], spread[rows], grain[rows] = own.values, own.spread, own.grain
            influence[rows], slopes[rows] = own.influence, found.slopes
            reach = np.maximum(reach, found.reach)
        sums = self.coefficients
        jacobian = sums @ slopes
        return Found(
            sums @ values,
            jacobian,
            sums @ influence,
            np.abs(sums) @ spread,
            np.abs(sums) @ grain,
            np.maximum(reach, np.abs(jacobian).max(0, initial=0.0)),
        )

    def _completed(self, source: Source, vector: Floats) -> Sloped:
        """Return the figures of a source, with differences where it knows no derivative."""
        found = source.sloped(self._numbers(vector))
        for place in np.flatnonzero(np.isnan(found.slopes).any(0)):
            move = source.step * (self.bounds[1, place] - self.bounds[0, place])
            ends = np.clip(vector[place] + np.array([-move, move]), *self.bounds[:, place])
            low, high = (
                source.at(self._numbers(np.where(np.arange(len(vector)) == place, end, vector)))
                for end in ends
            )
            column = found.slopes[:, place]
            open_ = np.isnan(column)
            column[open_] = ((high.values - low.values) / (ends[1] - ends[0]))[open_]
        return found

    def _numbers(self, vector: Floats) -> dict[str, float]:
        return dict(zip(self.gradients.paths, map(float, vector), strict=True))


def _sources(
    figures: Sequence[Figure],
    gradients: Gradients,
    sampling: Sampling,
    workers: int,
    status_quo: Case | None,
) -> list[tuple[Source, list[int]]]:
    """Return sources, each with the places of its figures."""
    program, paths = gradients.program, gradients.paths
    count = len(paths)
    kinds: dict[str, list[int]] = {}
    for place, figure in enumerate(figures):
        before = isinstance(figure, Position) and figure.reference
        kinds.setdefault("before" if before else type(figure).__name__, []).append(place)

    found: list[tuple[Source, list[int]]] = []
    for kind, rows in kinds.items():
        own = [figures[row] for row in rows]
        source: Source
        if kind == "before":
            assert status_quo is not None
            source = Reference(_only(own, Position), status_quo, count, sampling, workers)
        elif kind == "Position":
            source = Positions(_only(own, Position), gradients, sampling, workers)
        elif kind == "Outcome":
            source = Outcomes(_only(own, Outcome), program, count, sampling, workers)
        elif kind == "Number":
            source = Given(_only(own, Number), paths, sampling)
        elif kind == "Binds":
            source = Binding(_only(own, Binds), program, paths, sampling, workers)
        else:
            source = Alignments(_only(own, Alignment), program, count, sampling, workers)
        found.append((source, rows))
    return found


def _only(figures: Sequence[Figure], kind: type[Kind]) -> list[Kind]:
    return [figure for figure in figures if isinstance(figure, kind)]
