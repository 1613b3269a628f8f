"""Which problems only follow from others: a reader is told causes, not echoes."""

import re
from collections.abc import Collection

from riskshare.errors import Problem

_NOUNS = {
    "partners": "partner",
    "members": "population",
    "drivers": "driver",
    "changes": "driver",
    "lines": "line",
    "inflation": "series",
    "years": "year",
    "terms": "term",
    "budgets": "budget",
}
"""What the check of a case calls the items of a section."""


def within(path: str, head: str) -> bool:
    """Return whether a path is another or lies below it."""
    return path == head or path.startswith((f"{head}.", f"{head}["))


def follows(
    problem: Problem, hurt: Collection[str], broken: Collection[str], unsure: Collection[str]
) -> bool:
    """Return whether a problem of a case may only follow from what its file lacks.

    Parameters
    ----------
    problem
        What the check of the case found.
    hurt
        Paths that reading has reported.
    broken
        Sections of which some items could not be read at all.
    unsure
        Names of items that could not be read in full.
    """
    if any(within(problem.path, path) or within(path, problem.path) for path in hurt):
        return True
    ends = {path.rpartition(".")[2] for path in hurt}
    nouns = {_NOUNS[name] for name in {*broken, *ends} if name in _NOUNS}
    message = problem.message.partition("; ")[0]
    if re.match(r"no \w+ is named", message) and nouns and problem.path.endswith("]"):
        return True  # which axis a label belongs to is a guess while labels are missing
    if any(message.startswith(f"no {noun} is named") for noun in nouns):
        return True
    if any(f"for each {noun}" in problem.message for noun in nouns):
        return True
    if message.startswith("has no lines in its scope"):
        return bool(unsure or "line" in nouns or "partner" in nouns)
    if message.startswith(("there is no term", "is not a stranded-support")):
        return bool("term" in nouns or unsure)
    if message.startswith("no value for") and any(name in message for name in unsure):
        return True
    return any(repr(name) in message for name in unsure)
