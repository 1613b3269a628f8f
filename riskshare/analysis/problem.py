"""What a calibration searches: a nonlinear program in units of the bounds."""

from dataclasses import dataclass, field

import numpy as np

from riskshare.analysis.evaluation import Evaluation, Found
from riskshare.analysis.statements import Statement
from riskshare.statistics import Floats

HOLDS = 1e-4
"""How far a statement may be from holding, in its `Problem.scale`."""

DONE = 1e-5
"""How near statements must come before the search may stop by itself, in the same units."""

RAREST = 1e-9
"""Least chance of which a score is taken."""

REMEMBERED = 8
"""Places that are remembered."""


class Spent(Exception):  # noqa: N818  # no error: the search says so
    """There have been as many evaluations as there may be, or none helps any more."""


@dataclass
class Problem:
    """What is searched: numbers within bounds at which statements hold, one of them least.

    Places are numbers less their start, in units of their bounds' width.
    """

    evaluation: Evaluation
    start: Floats
    bounds: Floats
    """(2, path)"""
    limits: Floats
    """(2, statement), of chances as scores."""
    sums: list[tuple[list[int], float]]
    """Places of numbers that keep their sum, and the sum."""
    least: tuple[int, float] | None
    """The statement that is least, and its sign; the least change of the numbers unless given."""
    most: float = np.inf
    """Evaluations after which the search gives up."""
    _known: dict[bytes, Found] = field(default_factory=dict)
    _scale: Floats | None = None

    @property
    def width(self) -> Floats:
        """Unit of each number."""
        return np.asarray(self.bounds[1] - self.bounds[0])

    @property
    def ends(self) -> list[tuple[float, float]]:
        """Bounds of places."""
        low, high = (self.bounds - self.start) / self.width
        return list(zip(low, high, strict=True))

    @property
    def scale(self) -> Floats:
        """Unit of each statement: what a tenth of the bounds moves it by at the start.

        A twentieth of a standard deviation at least, for what hardly moves there.
        """
        if self._scale is None:
            first = self.at(np.zeros(len(self.start)))
            moved = np.abs(first.jacobian * self.width).max(1)
            self._scale = np.maximum(0.1 * moved, 0.05 * np.maximum(first.spread, 1e-6))
        return self._scale

    def numbers(self, place: Floats) -> Floats:
        """Return the numbers of a place, within their bounds and with their sums exactly."""
        found = np.clip(self.start + self.width * place, *self.bounds)
        for members, total in self.sums:
            # the rounding of a sum goes to the largest of its shares
            largest = members[int(np.argmax(found[members]))]
            found[largest] += total - found[members].sum()
        return found

    def at(self, place: Floats) -> Found:
        """Return the statements at a place; each place is worked out once."""
        key = np.asarray(place, np.float64).tobytes()
        if key not in self._known:
            if self.evaluation.calls >= self.most:
                raise Spent
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            numbers = np.clip(self.start + self.width * place, *self.bounds)
            self._known[key] = self._straightened(self.evaluation.at(numbers))
        return self._known[key]

    def _straightened(self, found: Found) -> Found:
        """Return chances as scores, for a score is nearly linear in money where a chance is not."""
        from scipy.special import ndtri

        chance = np.array([s.chance for s in self.statements])
        held = np.clip(found.values, RAREST, 1 - RAREST)
        score = np.where(chance, ndtri(np.where(chance, held, 0.5)), found.values)
        steep = np.sqrt(2 * np.pi) * np.exp(np.where(chance, score, 0.0) ** 2 / 2)
        each = np.where(chance, steep, 1.0)
        return Found(
            score,
            found.jacobian * each[:, None],
            found.influence * each[:, None],
            np.where(chance, 1.0, found.spread),
            found.grain * each,
            found.reach,
        )

    def plain(self, values: Floats) -> tuple[Floats, Floats]:
        """Return scores as chances again, and how fast they rise with the scores."""
        from scipy.special import ndtr

        chance = np.array([s.chance for s in self.statements])
        scores = np.where(chance, values, 0.0)
        density = np.exp(-np.minimum(scores * scores, 1e3) / 2) / np.sqrt(2 * np.pi)
        return np.where(chance, ndtr(scores), values), np.where(chance, density, 1.0)

    @property
    def statements(self) -> tuple[Statement, ...]:
        """What is stated."""
        return self.evaluation.statements

    def objective(self, place: Floats) -> tuple[float, Floats]:
        """Return what is made least, and its gradient."""
        if self.least is not None:
            row, sign = self.least
            found, unit = self.at(place), self.scale[row]
            return sign * found.values[row] / unit, sign * found.jacobian[row] * self.width / unit
        return float(place @ place), 2 * place

    def stepped(self, place: Floats) -> bool:
        """Whether something that is limited moves in steps too long for a line search."""
        limited = np.isfinite(self.limits).any(0)
        return bool((limited & (self.at(place).grain > HOLDS * self.scale)).any())

    def gaps(self, place: Floats) -> Floats:
        """Return how far each statement is from holding, in its scale: above 0 is too much.

        Nothing can come nearer than its grain.
        """
        found = self.at(place)
        low, high = self.limits
        lacking = np.maximum(low - found.values, found.values - high) - found.grain
        return np.asarray(np.maximum(lacking, 0) / self.scale)
