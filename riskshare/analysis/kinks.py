"""Kinks: where what one more of a number does is not what one less of it undoes.

A contract is full of them: a delivery that is at least 0, a share of at most 1, the later of two
dates. Results have one where a number stands where two of its parts meet, and that is seldom but
for numbers of 0 or at the end of what they may be. A derivative taken through the program picks a
side wherever it meets a tie, and not always the same one, so that what comes of several is the
slope to neither side and need not even lie between them.

It is told by looks from beside: with such numbers, of those asked for, moved inside by a hair, ties
are gone, and a derivative that is another one there stands at a kink. What is another one because
samples moved, a few at a cap or many that nearly cancel, is four times as much so at four hairs; at
a kink it is the same.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from riskshare.case import Case
from riskshare.statistics import Floats

FAINT = 1e-4
"""Of the largest derivative of a number, what may be rounding in others."""

HAIR = 1e-5
"""How far numbers move, as a share of 1 or of themselves; money, as one of standard deviations.
More than single precision rounds, and less than results notice but for ties."""

FURTHER = 4
"""Hairs of a second look."""

APART, BY_FEW = 0.01, 0.1
"""By how much derivatives of means differ beside a kink, at least, as a share of each series' own,
and those that few samples tell of: at a gate, or about a quantile. Without a kink they differ by up
to 0.004 and 0.05, and where samples cross a limit by more, which a second look tells."""


def beside(
    case: Case, numbers: Mapping[str, float], money: float, hairs: int = 1
) -> dict[str, float]:
    """Return numbers that stand at 0 or at an end of what they may be, moved inside by a hair.

    Parameters
    ----------
    numbers
        Those that may move, by path.
    money
        What amounts of money are small beside.
    hairs
        Over how many they are moved.
    """
    standing = [
        (path, value, declared)
        for path, value, declared in case.declared_numbers()
        if path in numbers and value in (0, declared.lower, declared.upper)
    ]
    found = {}
    for i, (path, value, declared) in enumerate(standing):
        scale = money if declared.unit == "money per year" else abs(value) or 1.0
        inside = -1 if value == declared.upper else 1
        # not all by the same, or a tie of two of them would stay one
        found[path] = value + inside * hairs * HAIR * scale * (1 + i / len(standing))
    return found


def declared_kinks(case: Case) -> Iterator[str]:
    """Yield numbers at an end of their range that have a kink there, whatever is seen of it.

    It comes from what was released a year before, so that a case of one year has none. With several
    such numbers moved at once, what each of them alone does is not what they do together.
    """
    if len(case.years) == 1:
        return
    for path, value, declared in case.declared_numbers():
        if declared.kinked and value in (declared.lower, declared.upper):
            yield path


def at_kinks(
    own: Floats, near: Floats, few: NDArray[np.bool_], further: Floats | None = None
) -> NDArray[np.bool_]:
    """Return which numbers stand at a kink, (path), by derivatives at them and beside them.

    Parameters
    ----------
    own, near, further
        Derivatives at the numbers, a hair beside and, where it has been seen, `FURTHER` hairs
        beside: (weight, series, path). NaN where nothing can be told.
    few
        Of which numbers few samples tell, (path).
    """
    apart = np.nan_to_num(np.abs(near - own))
    size = np.nan_to_num(np.maximum(np.abs(own), np.abs(near)))
    least = np.where(few, BY_FEW, APART) * size
    found = apart > least
    # money that is passed on leaves single precision's rounding with whom little of it stays
    found &= apart > FAINT * size.max(1, keepdims=True)
    if further is not None:
        # what is left of it at no distance at all, but for what few samples make of a straight line
        left = np.abs((FURTHER * near - further) / (FURTHER - 1) - own)
        found &= np.isnan(left) | (left > np.maximum(least, apart / 4))
    return np.asarray(found.any((0, 1)))
