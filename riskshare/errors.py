"""What riskshare says when something is wrong: one sentence a reader can act on.

A case or an actuals file may hold many mistakes; each becomes a `Problem`, and all of them
are raised together so that a reader mends a file once.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One mistake: where it stands (`path`) and what was found, what is accepted, what to do."""

    path: str
    message: str

    def __str__(self) -> str:
        """Return ``path: message``, or the message alone where no single field is at fault."""
        return f"{self.path}: {self.message}" if self.path else self.message


class RiskshareError(Exception):
    """Base of every error that riskshare raises on purpose."""


class ProblemsError(RiskshareError):
    """Base of the errors that list several problems of one source.

    Parameters
    ----------
    problems
        The mistakes found, in reading order.
    source
        The file they stand in; empty for objects built in Python.
    """

    def __init__(self, problems: Iterable[Problem], source: str = "") -> None:
        self.problems = tuple(problems)
        self.source = source
        lead = f"{source}: " if source else ""
        super().__init__("\n".join(f"{lead}{problem}" for problem in self.problems))


class CaseError(ProblemsError):
    """A case that cannot be used: unknown names, numbers out of bounds, contradictions."""


class ExperienceError(ProblemsError):
    """Draws or actuals that do not fit the case: missing, doubled, unknown or invalid values."""


class ArgumentError(RiskshareError):
    """A call with a value that means nothing, such as zero samples."""


class TooLargeError(ArgumentError):
    """A result that does not fit the memory available.

    Parameters
    ----------
    found
        What needs how much, and how much there is.
    remedy
        What to do instead, in calls of Python.
    """

    def __init__(self, found: str, remedy: str) -> None:
        self.found, self.remedy = found, remedy
        super().__init__(found, remedy)

    def __str__(self) -> str:
        """Return both, in one sentence."""
        return f"{self.found}; {self.remedy}"


class NumericalError(RiskshareError):
    """Results that are not finite numbers."""
