"""The search of a calibration: a nonlinear program in units of the bounds, and what it came to."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from riskshare.analysis.evaluation import Evaluation, Found
from riskshare.analysis.statements import Statement
from riskshare.statistics import Floats

HOLDS = 1e-4
"""How far a statement may be from holding, in its `Problem.scale`."""


RAREST = 1e-9
"""Least chance of which a score is taken."""

DONE = 1e-5
"""How near statements must come before the search may stop by itself, in the same units."""

TOLERANCE = 1e-6
"""Of the search, in the same units: float32 positions carry about 1e-7 of their size."""


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
    linear: Floats | None
    """What each number counts for in the objective."""
    stated: tuple[int, float] | None
    """The statement that is least, and its sign."""
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
            self._known.clear()
            numbers = np.clip(self.start + self.width * place, *self.bounds)
            self._known[key] = self._straightened(self.evaluation.at(numbers))
        return self._known[key]

    def _straightened(self, found: Found) -> Found:
        """Return chances as scores, for a score is nearly linear in money where a chance is not."""
        from scipy.special import ndtri

        chance = np.array([s.statistic == "probability_of_deficit" for s in self.statements])
        held = np.clip(found.values, RAREST, 1 - RAREST)
        score = np.where(chance, ndtri(np.where(chance, held, 0.5)), found.values)
        steep = np.sqrt(2 * np.pi) * np.exp(np.where(chance, score, 0.0) ** 2 / 2)
        each = np.where(chance, steep, 1.0)
        return Found(
            score,
            found.jacobian * each[:, None],
            found.influence * each[:, None],
            np.where(chance, 1.0, found.spread),
            found.reach,
        )

    def plain(self, values: Floats) -> tuple[Floats, Floats]:
        """Return scores as chances again, and how fast they rise with the scores."""
        from scipy.special import ndtr

        chance = np.array([s.statistic == "probability_of_deficit" for s in self.statements])
        scores = np.where(chance, values, 0.0)
        density = np.exp(-np.minimum(scores * scores, 1e3) / 2) / np.sqrt(2 * np.pi)
        return np.where(chance, ndtr(scores), values), np.where(chance, density, 1.0)

    @property
    def statements(self) -> tuple[Statement, ...]:
        """What is stated."""
        return self.evaluation.statements

    def objective(self, place: Floats) -> tuple[float, Floats]:
        """Return what is made least, and its gradient."""
        if self.linear is not None:
            return float(self.linear @ place), self.linear
        if self.stated is not None:
            row, sign = self.stated
            found, unit = self.at(place), self.scale[row]
            return sign * found.values[row] / unit, sign * found.jacobian[row] * self.width / unit
        return float(place @ place), 2 * place

    def gaps(self, place: Floats) -> Floats:
        """Return how far each statement is from holding, in its scale: above 0 is too much."""
        values = self.at(place).values
        low, high = self.limits
        return np.asarray(np.maximum(np.maximum(low - values, values - high), 0) / self.scale)


@dataclass(frozen=True)
class Search:
    """Where a search ended."""

    status: Literal["converged", "infeasible", "not-converged"]
    message: str
    place: Floats
    values: Floats
    value_error: Floats
    number_error: Floats
    at_bound: NDArray[np.bool_]
    binding: NDArray[np.bool_]
    price: Floats
    relaxation: Floats


def searched(problem: Problem, iterations: int) -> Search:
    """Return where the search ends."""
    place, message = _nearest(problem, np.zeros(len(problem.start)), iterations)
    if problem.gaps(place).max(initial=0.0) <= HOLDS:
        if not message or _stationary(problem, place):
            return _ended(problem, place, "converged", "all statements hold")
        return _ended(
            problem,
            place,
            "not-converged",
            f"all statements hold, but the search for the best of such numbers stopped: {message}",
        )
    relaxed, least = _relaxed(problem, place, iterations)
    if least.max(initial=0.0) <= HOLDS:
        # the statements can hold: from there the search goes on
        again, message = _nearest(problem, relaxed, iterations)
        stopped = not message or _stationary(problem, again)
        if stopped and problem.gaps(again).max(initial=0.0) <= HOLDS:
            return _ended(problem, again, "converged", "all statements hold")
        return _ended(problem, relaxed, "not-converged", f"the search stopped: {message}")
    ended = _ended(problem, relaxed, "infeasible", "")
    lacking = [
        f"{statement.name} to give way by {amount:,.6g}"
        for statement, amount in zip(problem.statements, ended.relaxation, strict=True)
        if amount > 0
    ]
    said = f"not all statements can hold within the bounds; it would take {', '.join(lacking)}"
    return replace(ended, message=said)


class _Done(Exception):  # noqa: N818  # the end of a search is no error
    """The search has come to a place where it may stop."""

    def __init__(self, place: Floats) -> None:
        super().__init__()
        self.place = place


def _nearest(problem: Problem, start: Floats, iterations: int) -> tuple[Floats, str]:
    """Return where SLSQP ends from a start, and why it stopped short, if it did.

    It would go on until its own rounding stops it; statements come from float32 positions, so it is
    stopped where they hold and nothing better is near.
    """
    from scipy.optimize import minimize

    def objective(place: Floats) -> tuple[float, Floats]:
        if problem.gaps(place).max(initial=0.0) <= DONE and _stationary(problem, place):
            raise _Done(np.array(place))
        return problem.objective(place)

    try:
        answer = minimize(
            objective,
            start,
            jac=True,
            method="SLSQP",
            bounds=problem.ends,
            constraints=_constraints(problem),
            options={"maxiter": iterations, "ftol": TOLERANCE},
        )
    except _Done as done:
        return done.place, ""
    return np.asarray(answer.x, np.float64), "" if answer.success else str(answer.message)


def _constraints(problem: Problem) -> list[dict[str, Any]]:
    low, high = problem.limits
    found: list[dict[str, Any]] = []

    def stated(row: int, limit: float, sign: float, kind: str) -> dict[str, Any]:
        unit = problem.scale[row]
        return {
            "type": kind,
            "fun": lambda place: sign * (problem.at(place).values[row] - limit) / unit,
            "jac": lambda place: sign * problem.at(place).jacobian[row] * problem.width / unit,
        }

    for row, (least, most) in enumerate(zip(low, high, strict=True)):
        if least == most:
            found.append(stated(row, least, 1.0, "eq"))
            continue
        if np.isfinite(least):
            found.append(stated(row, least, 1.0, "ineq"))
        if np.isfinite(most):
            found.append(stated(row, most, -1.0, "ineq"))
    return found + [_kept(problem, members) for members, _ in problem.sums]


def _kept(problem: Problem, members: list[int]) -> dict[str, Any]:
    """Return the constraint that numbers keep their sum."""
    row = np.zeros(len(problem.start))
    row[members] = problem.width[members]
    row /= np.abs(row).max()
    return {"type": "eq", "fun": lambda place: row @ place, "jac": lambda place: row}


def _relaxed(problem: Problem, place: Floats, iterations: int) -> tuple[Floats, Floats]:
    """Return the place at which statements lack least in all, and what each lacks.

    The elastic program: each statement may give way by s at the price of s.
    """
    from scipy.optimize import minimize

    count, rows = len(place), len(problem.limits[0])
    gaps = problem.gaps(place)

    def shifted(constraint: dict[str, Any], row: int, sign: float) -> dict[str, Any]:
        own = np.zeros(rows)
        own[row] = 1.0
        return {
            "type": "ineq",
            "fun": lambda at: sign * constraint["fun"](at[:count]) + at[count + row],
            "jac": lambda at: np.concatenate([sign * constraint["jac"](at[:count]), own]),
        }

    constraints = []
    owners = [
        row
        for row, (least, most) in enumerate(problem.limits.T)
        for _ in range(1 if least == most else int(np.isfinite(least)) + int(np.isfinite(most)))
    ]
    exact = _constraints(problem)
    for constraint, row in zip(exact, owners, strict=False):
        signs = (1.0, -1.0) if constraint["type"] == "eq" else (1.0,)
        constraints += [shifted(constraint, row, sign) for sign in signs]
    for kept in exact[len(owners) :]:
        row_of = np.concatenate([kept["jac"](place), np.zeros(rows)])
        constraints.append(
            {"type": "eq", "fun": lambda at, r=row_of: r @ at, "jac": lambda at, r=row_of: r}
        )
    price = np.concatenate([np.zeros(count), np.ones(rows)])
    answer = minimize(
        lambda at: (float(price @ at), price),
        np.concatenate([place, gaps]),
        jac=True,
        method="SLSQP",
        bounds=[*problem.ends, *[(0.0, None)] * rows],
        constraints=constraints,
        options={"maxiter": iterations, "ftol": TOLERANCE},
    )
    found = np.asarray(answer.x[:count], np.float64)
    if problem.gaps(found).sum() > gaps.sum():
        found = place
    return found, problem.gaps(found)


def _active(problem: Problem, place: Floats) -> tuple[Floats, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return slopes of all that binds, which statements bind, and which numbers are at a bound."""
    found = problem.at(place)
    low, high = problem.limits
    near = HOLDS * problem.scale
    binding = (found.values <= low + near) | (found.values >= high - near)
    ends = np.array(problem.ends).T
    at_bound = (place <= ends[0] + 1e-9) | (place >= ends[1] - 1e-9)
    slopes = found.jacobian * problem.width / problem.scale[:, None]
    kept = [_kept(problem, members)["jac"](place) for members, _ in problem.sums]
    held = np.eye(len(place))[at_bound]
    rows = np.concatenate([slopes[binding], np.reshape(kept, (-1, len(place))), held])
    return rows, binding, at_bound


def _stationary(problem: Problem, place: Floats) -> bool:
    """Whether nothing better is near: the objective's slope is one of what binds.

    A search that steps until its own rounding stops it has ended no less.
    """
    slope = problem.objective(place)[1]
    rows, _, _ = _active(problem, place)
    rest = slope - (slope @ np.linalg.pinv(rows, rcond=1e-9)) @ rows if len(rows) else slope
    return bool(np.abs(rest).max(initial=0.0) <= 1e-3 * max(1.0, np.abs(slope).max(initial=0.0)))


def _ended(problem: Problem, place: Floats, status: Any, message: str) -> Search:
    """Return what is known where a search ended: errors, what binds, and shadow prices."""
    found = problem.at(place)
    rows, binding, at_bound = _active(problem, place)
    price = np.full(len(binding), np.nan)
    open_ = np.full(len(place), np.nan)
    if len(rows):
        inverse = np.linalg.pinv(rows, rcond=1e-9)
        count = int(binding.sum())
        moves = inverse[:, :count] @ (found.influence[binding] / problem.scale[binding, None])
        open_ = np.sqrt(np.square(moves).sum(1)) * problem.width
        if problem.linear is not None or problem.stated is not None:
            multipliers = problem.objective(place)[1] @ inverse
            unit = problem.scale[problem.stated[0]] if problem.stated is not None else 1.0
            if problem.linear is not None:
                unit = float(np.abs(problem.linear * problem.width).max())
            price[binding] = multipliers[:count] * unit / problem.scale[binding]
    values, each = problem.plain(found.values)
    limits = problem.plain(problem.limits)[0]
    price /= each
    lacking = np.maximum(np.maximum(limits[0] - values, values - limits[1]), 0)
    relaxation = np.where(problem.gaps(place) > HOLDS, lacking, 0.0)
    return Search(
        status,
        message,
        place,
        values,
        np.sqrt(np.square(found.influence).sum(1)) * each,
        open_,
        at_bound,
        binding,
        price,
        relaxation,
    )
