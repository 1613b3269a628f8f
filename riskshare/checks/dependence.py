"""Checks of dependence: correlations that a copula can have, and the copula itself."""

from typing import TYPE_CHECKING

import numpy as np

from riskshare.checks.given import Findings
from riskshare.laws.copula import correlation_of_scores, rank_correlation
from riskshare.laws.dependence import cholesky, smallest_eigenvalue
from riskshare.laws.nearest import Floats, nearest_correlation

if TYPE_CHECKING:
    from riskshare.case import Case

_WELL_INSIDE = 1e-4
"""Smallest eigenvalue of the matrix that is offered: room to round its entries."""


def check_dependence(case: "Case", found: Findings) -> None:
    """Check the copula of a case, and its correlations one by one and together."""
    dependence, at = case.dependence, "dependence.degrees_of_freedom"
    if found.clean("dependence"):
        if dependence.copula == "student-t" and dependence.degrees_of_freedom is None:
            found.add(at, "missing; a student-t copula needs them: 3 to 10 as a rule (fewer tie "
                      "extremes more closely)")  # fmt: skip
        elif dependence.copula == "gaussian" and dependence.degrees_of_freedom is not None:
            found.add(at, 'found with a gaussian copula, which has none; leave them out, or give '
                      'copula = "student-t"')  # fmt: skip
    seen = set()
    for i, correlation in enumerate(case.correlations):
        path = f"correlations[{i}].between"
        pair = correlation.between
        if not found.clean(path):
            continue
        if len(pair) != 2 or pair[0] == pair[1]:
            found.add(path, f"found {list(pair)}; accepted: the names of two drivers")
            continue
        if frozenset(pair) in seen:
            found.add(path, f"{' and '.join(pair)} stand twice; give their correlation once")
        seen.add(frozenset(pair))
        for name in pair:
            if case.indices()[name].certain:
                found.add(path, f"{name!r} has no law, so nothing to correlate; give it one")
    each = (f"correlations[{i}]" for i in range(len(case.correlations)))
    if found.clean("correlations", "dependence", *each):
        try:
            cholesky(score_matrix(case))
        except ValueError as error:
            found.add("correlations", f"{error}; {_nearest(case)}")


def score_matrix(case: "Case") -> Floats:
    """Return the correlations of Gaussian scores, of what can be read of a case."""
    stated = [(c.between, c.value, c.measure) for c in case.correlations]
    degrees = case.dependence.degrees_of_freedom
    return correlation_of_scores(list(case.indices()), stated, degrees)


def check_student_factors(case: "Case", weights: Floats, path: str, found: Findings) -> None:
    """Check that under a t copula a line's chance shares with one driver at most.

    Scores of one t copula each are normal, a weighted sum of several is not, and so the line's law
    would no longer be the one stated.
    """
    shared = np.count_nonzero(weights)
    if case.dependence.copula == "student-t" and shared > 1:
        found.add(
            path,
            f"found {shared} drivers under a student-t copula, where the sum of their scores is "
            "not normal; accepted: one (a driver that acts on chance), or a gaussian copula",
        )


def _nearest(case: "Case") -> str:
    """Return the nearest valid values of the correlations stated, to as few digits as do."""
    matrix, names = score_matrix(case), list(case.indices())
    stated = case.correlations
    degrees = case.dependence.degrees_of_freedom
    pairs = [tuple(names.index(name) for name in c.between) for c in stated]
    free = np.zeros(matrix.shape, bool)
    for row, column in pairs:
        free[row, column] = free[column, row] = True
    nearest = nearest_correlation(matrix, smallest_eigenvalue=_WELL_INSIDE, fixed=~free)
    values = [
        rank_correlation(float(np.clip(nearest[pair], -1, 1)), c.measure, degrees)
        for pair, c in zip(pairs, stated, strict=True)
    ]
    for digits in range(2, 8):
        new = [
            c.value
            if round(value, digits) == round(float(c.value), digits)
            else round(value, digits)
            for c, value in zip(stated, values, strict=True)
        ]
        offered = [(c.between, value, c.measure) for c, value in zip(stated, new, strict=True)]
        if smallest_eigenvalue(correlation_of_scores(names, offered, degrees)) > _WELL_INSIDE / 10:
            break
    said = ", ".join(
        f"{' and '.join(c.between)} {value:.{digits}f} (was {c.value:g})"
        for c, value in zip(stated, new, strict=True)
        if value != c.value
    )
    return f"nearest valid: {said}"
