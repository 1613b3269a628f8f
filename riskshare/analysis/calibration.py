"""Calibration: numbers of the contracts and the plan at which stated results hold."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr

from riskshare.analysis.evaluation import Evaluation
from riskshare.analysis.figures import Position
from riskshare.analysis.problem import HOLDS, Problem
from riskshare.analysis.search import Search, searched
from riskshare.analysis.statements import Statement, accepted, statement_of, terms_of
from riskshare.analysis.streaming import whole_blocks
from riskshare.analysis.systems import refuse_strangers
from riskshare.analysis.vocabulary import Vocabulary, resolved
from riskshare.case import Case
from riskshare.contract.sharing import Pool
from riskshare.errors import ArgumentError
from riskshare.outcomes import attributes
from riskshare.parameters import Parameter, split_path
from riskshare.run.devices import threads
from riskshare.run.gradients import gradients_of, program_of
from riskshare.run.program import Program
from riskshare.run.sampling import REPLICATES, sampling_of
from riskshare.run.simulate import refuse_persons
from riskshare.run.tables import ready
from riskshare.statistics import Floats

Status = Literal["converged", "infeasible", "not-converged"]
Limits = tuple[float | None, float | None]


@dataclass(frozen=True)
class Calibration:
    """What a calibration came to.

    Attributes
    ----------
    status
        ``converged``; ``infeasible``: no numbers within the bounds make all statements hold, and
        ``relaxation`` says by how little they would have to give; ``not-converged``: with the
        reason in ``message``.
    message
        The status in a sentence.
    case
        The case at the calibrated numbers; None unless converged.
    table
        On (path): ``start``, ``number`` (where the search ended), ``number_error`` (what the Monte
        Carlo errors of the statements leave open), ``lower``, ``upper``, ``at_bound``. On
        (statement): ``value``, ``value_error``, ``at_least``, ``at_most``, ``binding``,
        ``shadow_price`` (what the objective gains for each unit that a binding statement gives
        way; NaN where nothing is minimised), ``relaxation``.
    """

    status: Status
    message: str
    case: Case | None
    table: xr.Dataset


def calibrate(
    case: Case,
    *,
    free: Mapping[str, tuple[float, float]] | Sequence[str],
    targets: Mapping[str, float] | None = None,
    constraints: Mapping[str, Limits] | None = None,
    minimise: str | None = None,
    status_quo: Case | None = None,
    appetite: str | Mapping[str, str] | None = None,
    samples: int = 65_536,
    seed: int = 1,
    sampler: str = "sobol",
    replicates: int = REPLICATES,
    iterations: int = 100,
    workers: int | None = None,
) -> Calibration:
    """Find numbers at which stated results hold.

    A statement is a figure, or a sum of figures with numbers before them (``a - 0.5 b``, blanks
    about plus and minus). Figures are

    - ``<outcome>_<statistic>[labels]``: mean, standard_deviation, quantile, tail_value_at_risk and,
      of positions, probability_of_deficit, of any outcome of `riskshare.simulate`:
      ``position_quantile[system,all,0.05]``, ``posting_mean[msk.pool,acute]``,
      ``line_cost_mean[inpatients]``; of ``activity``, ``case_mix``, ``unit_cost`` and
      ``driver_index``; of ``deviation`` and ``absolute_deviation``, how far a line's value is off
      plan, as a share of it; of ``transfer``, the money that changes hands under the terms named,
      or those that share: each year 1/2 sum over partners of what each gets net, without its sign;
    - ``difference_<statistic>[labels]``: of a position, less the same under the status quo;
    - ``term_probability[term]``, ``number_probability[path]``: how often a term pays, and a number
      binds, as in `riskshare.clauses`;
    - ``alignment``: as in `riskshare.influence`, from 4,096 samples at most, its kinks rounded off,
      which takes at most 0.0005 off it for each partner;
    - a number of the case, by its path.

    Years are ``all`` unless named; a probability is then that of any year, an alignment that of
    all years' sum. Of the numbers at which all statements hold, those nearest to the case's own are
    taken, in units of their bounds, or those at which ``minimise`` is least. Shares that must sum
    to one do so throughout.

    The search is scipy's SLSQP on the same random numbers throughout. Gradients of positions are
    the exact ones of `riskshare.sensitivities`; those of other outcomes, of chances that clauses
    bind and of alignment, and those of quantiles, tails and chances by a number that reaches a
    gate, are central differences over a fraction of the bounds. A statement's error is that of the
    sum, from the influence of each sample on all of its figures together.

    Parameters
    ----------
    case
        The case; its numbers are where the search starts.
    free
        Bounds by path; or paths, whose bounds are those of the field.
    targets
        What statements are to be.
    constraints
        Least and most of statements; None for no limit.
    minimise
        A statement, such as the path of a free number or ``transfer_mean``; with a minus in front
        it is made as large as can be. Unless given, the least change of the numbers.
    status_quo
        The case under which partners stand as long as nothing is agreed, with the same partners,
        years and currency; it is settled on the same random numbers.
    appetite
        What a partner counts: ``"mean - 0.5 tail_value_at_risk[0.95]"``, a sum of statistics of its
        position. Adds the constraint that each partner is at least as well off as under the status
        quo: every organisation of the system, or those that are keys of a mapping, each by its own.
    samples, seed, sampler, replicates, workers
        As in `riskshare.estimate`.
    iterations
        Of the search at most, with three evaluations for each.

    Returns
    -------
    Calibration

    Raises
    ------
    ArgumentError
        Before the search: for a path that does not exist, cannot move or moves none of the
        statements; a start outside its bounds; a share that is free alone; statements that cannot
        be read or contradict each other; a statistic that the samples cannot resolve; a status quo
        of another system.

    Examples
    --------
    >>> import riskshare as rs
    >>> found = rs.calibrate(
    ...     rs.load_case("msk-toy"),
    ...     free={"msk.funding.amount": (10e6, 25e6)},
    ...     targets={"position_quantile[commissioner,0.2]": 0},
    ... )
    >>> found.status
    'converged'

    See Also
    --------
    riskshare.compare : The differences from a status quo, and how sure they are.
    riskshare.variants : Cases that may be one.
    """
    program = program_of(case)
    refuse_persons(program.bound)
    sampling = whole_blocks(sampling_of(samples, seed, sampler, replicates))
    _refuse_status_quo(case, status_quo)
    vocabulary = Vocabulary(case, program.bound, sampling.samples, status_quo is not None)
    names, limits = _limits(targets or {}, constraints or {})
    if appetite is not None:
        names, limits = _limits(targets or {}, _with_appetite(vocabulary, constraints, appetite))
    if not names and minimise is None:
        raise ArgumentError(
            "targets and constraints name no statistic; state at least one, or what to minimise"
        )
    statements = [statement_of(vocabulary, name) for name in names]
    least, sign = _objective(vocabulary, minimise)
    if least is not None and least.name not in names:
        names.append(least.name)
        statements.append(least)
        limits.append((-np.inf, np.inf))
    _refuse_idle(status_quo, statements)
    bounds = _bounds(program, free)
    paths = tuple(bounds)
    of_paths = np.array([bounds[path] for path in paths]).T
    problem = Problem(
        Evaluation(
            gradients_of(case, paths, np.float32),
            statements,
            sampling,
            of_paths,
            threads(workers),
            status_quo,
        ),
        np.array([program.parameters[path] for path in paths]),
        of_paths,
        _scored(statements, np.array(limits).T, sampling.samples),
        _sums(case, paths),
        None if least is None else (names.index(least.name), sign),
    )
    _refuse_without_effect(problem, paths)
    found = searched(problem, iterations)
    return _calibration(case, program, paths, problem, found, samples, sampling)


def _refuse_status_quo(case: Case, status_quo: Case | None) -> None:
    """Refuse a status quo with other partners, years or currency."""
    if status_quo is None:
        return
    if not isinstance(status_quo, Case):
        raise ArgumentError(
            f"status_quo is {status_quo!r}; accepted: a case, such as "
            'riskshare.variants(case)["activity"]'
        )
    refuse_strangers({"case": case, "status_quo": status_quo}, "case")
    refuse_persons(ready(status_quo))


def _refuse_idle(status_quo: Case | None, statements: Sequence[Statement]) -> None:
    """Refuse a status quo that nothing is held against."""
    figures = [figure for statement in statements for _, figure in statement.parts]
    used = any(isinstance(figure, Position) and figure.reference for figure in figures)
    if status_quo is not None and not used:
        raise ArgumentError(
            'status_quo is given and nothing is held against it; give appetite="mean", or state '
            "difference_mean of a partner"
        )


def _with_appetite(
    vocabulary: Vocabulary, constraints: Mapping[str, Limits] | None, appetite: Any
) -> dict[str, Limits]:
    """Return constraints with those that leave partners as well off as before."""
    found = dict(constraints or {})
    for name in accepted(vocabulary, appetite):
        low, high = found.get(name, (None, None))
        found[name] = (0.0 if low is None else max(0.0, low), high)
    return found


def _limits(
    targets: Mapping[str, float], constraints: Mapping[str, Limits]
) -> tuple[list[str], list[tuple[float, float]]]:
    """Return statements and their limits; refuse those that contradict each other."""
    found: dict[str, tuple[float, float]] = {}
    for name, value in targets.items():
        number = _number(f"targets: {name}", value)
        found[name] = (number, number)
    for name, given in constraints.items():
        if not isinstance(given, tuple | list) or len(given) != 2:
            raise ArgumentError(
                f"constraints: {name} is {given!r}; accepted: a pair of least and most, None for "
                "no limit"
            )
        low, high = given
        least = -np.inf if low is None else _number(f"constraints: {name}", low)
        most = np.inf if high is None else _number(f"constraints: {name}", high)
        before = found.get(name, (-np.inf, np.inf))
        both = max(least, before[0]), min(most, before[1])
        if both[0] > both[1]:
            raise ArgumentError(
                f"{name}: at least {both[0]:,g} and at most {both[1]:,g} contradict each other"
            )
        found[name] = both
    return list(found), list(found.values())


def _scored(statements: Sequence[Statement], limits: Floats, samples: int) -> Floats:
    """Return limits with those of chances as scores, as the search takes them.

    Raises
    ------
    ArgumentError
        For a chance that is none, or too rare or too sure to be told from none.
    """
    from scipy.special import ndtri

    found = limits.copy()
    for row, statement in enumerate(statements):
        if not statement.chance:
            continue
        for limit in limits[:, row]:
            if np.isfinite(limit) and not 0 < limit < 1:
                raise ArgumentError(
                    f"{statement.name} is {limit:g}; accepted: a chance above 0 and below 1"
                )
            if np.isfinite(limit):
                resolved(f"{statement.name} = {limit:g}", min(limit, 1 - limit), samples)
        found[:, row] = ndtri(np.clip(limits[:, row], 0, 1))
    return found


def _number(what: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise ArgumentError(f"{what} is {value!r}; accepted: a finite number")
    return number


def _objective(vocabulary: Vocabulary, minimise: str | None) -> tuple[Statement | None, float]:
    """Return what is made least, and -1 where the opposite of a single figure is."""
    if minimise is None:
        return None, 1.0
    name = minimise.strip()
    opposite = name.startswith("-") and len(terms_of(name)) == 1
    stated = statement_of(vocabulary, name[1:].strip() if opposite else name)
    return stated, -1.0 if opposite else 1.0


def _bounds(
    program: Program, free: Mapping[str, tuple[float, float]] | Sequence[str]
) -> dict[str, tuple[float, float]]:
    """Return the bounds of free numbers.

    Raises
    ------
    ArgumentError
        For paths that are no parameters of the program, and bounds that do not hold the start.
    """
    if isinstance(free, str) or not len(free):
        raise ArgumentError(f"free is {free!r}; accepted: paths with their bounds, at least one")
    declared = {path: parameter for path, _, parameter in program.case.declared_numbers()}
    program.check(free)
    found = {}
    for path in free:
        own = declared[path]
        given = free[path] if isinstance(free, Mapping) else _declared(path, own)
        low, high = (_number(f"free: {path}", end) for end in given)
        least = -np.inf if own.lower is None else own.lower
        most = np.inf if own.upper is None else own.upper
        if not low < high or low < least or high > most:
            raise ArgumentError(
                f"free: {path} has the bounds {low:,g} to {high:,g}; accepted: the lower first, "
                f"within {least:,g} and {most:,g}"
            )
        start = program.parameters[path]
        if not low <= start <= high:
            raise ArgumentError(
                f"free: {path} stands at {start:,g} in the case, outside its bounds {low:,g} to "
                f"{high:,g}; widen them, or start elsewhere: "
                f"case.with_numbers({{{path!r}: {(low + high) / 2:g}}})"
            )
        found[path] = (low, high)
    return found


def _declared(path: str, parameter: Parameter) -> tuple[float, float]:
    if parameter.lower is None or parameter.upper is None:
        raise ArgumentError(
            f"free: {path} has no bounds of its own; give them: {{{path!r}: (0, 1)}}"
        )
    return parameter.lower, parameter.upper


def _sums(case: Case, paths: Sequence[str]) -> list[tuple[list[int], float]]:
    """Return groups of free numbers that must keep their sum, and that sum."""
    whole: dict[str, list[str]] = {}
    shares = {
        f"{contract.name}.{term.label}.{name}"
        for contract in case.contracts
        for term in contract.terms
        for name in ("share", "loss_share")
        if isinstance(term, Pool) and term.key == "fixed" and term.taker is None
    }
    for path, _, parameter in case.declared_numbers():
        if parameter.sums_to_one or split_path(path)[0] in shares:
            whole.setdefault(split_path(path)[0], []).append(path)
    numbers, found = case.numbers(), []
    for head, members in whole.items():
        own = [path for path in members if path in paths]
        total = sum(numbers[path] for path in members)
        if not own or abs(total - 1) > 1e-6:
            continue
        if len(own) == 1:
            others = ", ".join(path for path in members if path != own[0])
            raise ArgumentError(
                f"free: {own[0]} cannot move alone, for the shares of {head} sum to one; free "
                f"another of them too: {others}"
            )
        found.append(([paths.index(path) for path in own], sum(numbers[path] for path in own)))
    return found


def _refuse_without_effect(problem: Problem, paths: Sequence[str]) -> None:
    """Refuse numbers that move nothing, and chances that nothing moves from where they stand."""
    place = np.zeros(len(paths))
    first = problem.at(place)
    moved = np.array(first.reach)
    for members, _ in problem.sums:  # one share makes room for another
        moved[members] = moved[members].max()
    stated = ", ".join(statement.name for statement in problem.statements)
    for at, path in enumerate(paths):
        if not moved[at] > 1e-9:
            raise ArgumentError(
                f"free: {path} moves none of {stated}; leave it out, or state a result "
                "that it moves"
            )
    lacking = problem.gaps(place) > HOLDS
    for row, statement in enumerate(problem.statements):
        if lacking[row] and not np.abs(first.jacobian[row]).max(initial=0.0) > 0:
            value = float(problem.plain(first.values)[0][row])
            raise ArgumentError(
                f"{statement.name} is {value:g} in the case, from where no free number moves it; "
                "start nearer, as case.with_numbers({...}), or state a quantile: a chance of a "
                "deficit of at most 0.05 is position_quantile[..., 0.05] of at least the target"
            )


def _calibration(
    case: Case,
    program: Program,
    paths: tuple[str, ...],
    problem: Problem,
    found: Search,
    asked: int,
    sampling: Any,
) -> Calibration:
    numbers = problem.numbers(found.place)
    scores = problem.limits
    low, high = np.where(np.isinf(scores), scores, problem.plain(scores)[0])
    variables: dict[str, Any] = {
        "start": ("path", problem.start),
        "number": ("path", numbers),
        "number_error": ("path", found.number_error),
        "lower": ("path", problem.bounds[0]),
        "upper": ("path", problem.bounds[1]),
        "at_bound": ("path", found.at_bound),
        "value": ("statement", found.values),
        "value_error": ("statement", found.value_error),
        "at_least": ("statement", low),
        "at_most": ("statement", high),
        "binding": ("statement", found.binding),
        "shadow_price": ("statement", found.price),
        "relaxation": ("statement", found.relaxation),
    }
    coordinates = {"path": list(paths), "statement": [s.name for s in problem.statements]}
    attrs = attributes(case, "float32") | sampling.attributes(asked)
    attrs |= {"status": found.status, "evaluations": problem.evaluation.calls}
    table = xr.Dataset(variables, coordinates, attrs)
    solved = None
    if found.status == "converged":
        solved = dataclasses.replace(
            case.with_numbers(dict(zip(paths, map(float, numbers), strict=True)))
        )
    return Calibration(found.status, found.message, solved, table)
