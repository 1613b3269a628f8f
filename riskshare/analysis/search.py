"""The search of a calibration for the numbers at which statements hold, and what it came to."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from riskshare.analysis.problem import DONE, HOLDS, Problem, Spent
from riskshare.statistics import Floats

TOLERANCE = 1e-6
"""Of the search, in units of `Problem.scale`: float32 positions carry about 1e-7 of their size."""


LONGEST = 3
"""Evaluations of a search for each of its iterations, beyond which it gives up."""

PATIENCE = 16
"""Evaluations without progress after which a search gives up; of what moves in steps it is half of
that, for a line search cannot go down a stair."""


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
    if problem.stepped(place):
        place = _restored(problem, place)
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


class _Watch:
    """Keeps the best place so far, and says when a search should end."""

    def __init__(self, problem: Problem, place: Floats, iterations: int) -> None:
        self.problem, self.best, self.waited = problem, np.array(place), 0
        self.lacking, self.value = np.inf, np.inf
        self.patience = PATIENCE // 2 if problem.stepped(place) else PATIENCE
        problem.most = problem.evaluation.calls + LONGEST * iterations

    def __call__(self, place: Floats, value: float) -> None:
        """Take note of a place, and of what is made least there.

        Raises
        ------
        Spent
            Where for long no place has lacked a hundredth less, nor any at which all holds has been
            better.
        """
        gaps = self.problem.gaps(place)
        lacking = float(gaps[gaps > HOLDS].sum())
        nearer = lacking < 0.99 * self.lacking
        better = lacking == 0 and value < self.value - TOLERANCE
        self.waited = 0 if nearer or better else self.waited + 1
        if (lacking, value) < (self.lacking, self.value):
            self.best, self.lacking, self.value = np.array(place), lacking, value
        if self.waited >= self.patience:
            raise Spent

    def end(self) -> str:
        """Say why the search ended."""
        return f"no progress after {self.problem.evaluation.calls} evaluations"


def _nearest(problem: Problem, start: Floats, iterations: int) -> tuple[Floats, str]:
    """Return where SLSQP ends from a start, and why it stopped short, if it did.

    It would go on until its own rounding stops it; statements come from float32 positions, so it is
    stopped where they hold and nothing better is near.
    """
    from scipy.optimize import minimize

    watch = _Watch(problem, start, iterations)

    def objective(place: Floats) -> tuple[float, Floats]:
        found = problem.objective(place)
        watch(place, found[0])
        if problem.gaps(place).max(initial=0.0) <= DONE and _stationary(problem, place):
            raise _Done(np.array(place))
        return found

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
    except Spent:
        return watch.best, watch.end()
    finally:
        problem.most = np.inf
    return np.asarray(answer.x, np.float64), "" if answer.success else str(answer.message)


def _restored(problem: Problem, place: Floats) -> Floats:
    """Return a place near by at which statements lack less, by Newton's steps of least length.

    A line search wants each step to be as good as slopes promise, and steps through single samples
    are not; they come nearer all the same.
    """
    best, ends = place, np.array(problem.ends).T
    low, high = problem.limits
    for _ in range(PATIENCE // 2):
        if problem.gaps(best).max(initial=0.0) <= HOLDS:
            break
        found = problem.at(place)
        lacking = np.clip(found.values, low, high) - found.values
        off = (lacking != 0) | (low == high)
        rows = found.jacobian[off] * problem.width / problem.scale[off, None]
        kept = [_kept(problem, members)["jac"](place) for members, _ in problem.sums]
        rows = np.concatenate([rows, np.reshape(kept, (-1, len(place)))])
        wanted = np.concatenate([lacking[off] / problem.scale[off], np.zeros(len(kept))])
        place = np.clip(place + np.linalg.pinv(rows, rcond=1e-9) @ wanted, *ends)
        if problem.gaps(place).sum() < problem.gaps(best).sum():
            best = place
    return best


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
    watch = _Watch(problem, place, iterations)

    def given(at: Floats) -> tuple[float, Floats]:
        watch(at[:count], 0.0)
        return float(price @ at), price

    try:
        answer = minimize(
            given,
            np.concatenate([place, gaps]),
            jac=True,
            method="SLSQP",
            bounds=[*problem.ends, *[(0.0, None)] * rows],
            constraints=constraints,
            options={"maxiter": iterations, "ftol": TOLERANCE},
        )
        found = np.asarray(answer.x[:count], np.float64)
    except Spent:
        found = watch.best
    finally:
        problem.most = np.inf
    if problem.gaps(found).sum() > gaps.sum():
        found = place
    return found, problem.gaps(found)


def _active(problem: Problem, place: Floats) -> tuple[Floats, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return slopes of all that binds, which statements bind, and which numbers are at a bound."""
    found = problem.at(place)
    low, high = problem.limits
    near = HOLDS * problem.scale + found.grain
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

    What binds on one side alone can only hold the objective back from that side (Karush, Kuhn and
    Tucker). A search that steps until its own rounding stops it has ended no less.
    """
    from scipy.optimize import lsq_linear

    slope = problem.objective(place)[1]
    rows, binding, at_bound = _active(problem, place)
    rest = slope
    if len(rows):
        sides = _sides(problem, place, binding, at_bound)
        least, most = np.where(sides > 0, 0.0, -np.inf), np.where(sides < 0, 0.0, np.inf)
        rest = slope - lsq_linear(rows.T, slope, (least, most)).x @ rows
    return bool(np.abs(rest).max(initial=0.0) <= 1e-3 * max(1.0, np.abs(slope).max(initial=0.0)))


def _sides(
    problem: Problem, place: Floats, binding: NDArray[np.bool_], at_bound: NDArray[np.bool_]
) -> Floats:
    """Return for what binds 1 where it may only rise, -1 where it may only fall, 0 for neither."""
    values, (low, high) = problem.at(place).values, problem.limits
    stated = np.where(low == high, 0.0, np.where(values - low < high - values, 1.0, -1.0))
    ends = np.array(problem.ends).T
    ended = np.where(place - ends[0] < ends[1] - place, 1.0, -1.0)
    return np.concatenate([stated[binding], np.zeros(len(problem.sums)), ended[at_bound]])


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
        if problem.least is not None:
            multipliers = problem.objective(place)[1] @ inverse
            unit = problem.scale[problem.least[0]]
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
