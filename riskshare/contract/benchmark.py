"""What a budget is measured against over time: truncated spend, rebasing."""

from dataclasses import dataclass
from typing import Annotated, Literal

from riskshare.contract.term import traced
from riskshare.parameters import Choice, Declared, FrozenMap, Given, Parameter

_BENCHMARK = FrozenMap(
    {
        "truncated": "leaves the budget as it is: spend 5 or 10 % off is a result of 5 or 10 %",
        "untruncated": "takes expected_excess off the budget: spend 5 or 10 % below is a result of "
        "5 or 10 % less that, above of 5 or 10 % more",
    }
)
_DIRECTION = FrozenMap(
    {
        "both-ways": "moves the later budget by weight x 5 or 10 %, down after spend 5 or 10 % "
        "below budget and up after spend above",
        "down-only": "moves it down by weight x 5 or 10 % after spend below, and never up",
    }
)


@traced
@dataclass(frozen=True, kw_only=True)
class Truncation(Declared):
    """Each person's cost counts up to a limit only (M30).

    A budget made from data that was not truncated must lose what lies above the limit as well, or
    truncation makes savings of its own: ``benchmark`` says which it is, and ``expected_excess``
    how much of an ``untruncated`` budget lies above.
    """

    at: Annotated[Given, Parameter("money per person", lower=0.0)]
    benchmark: Annotated[Literal["truncated", "untruncated"] | None, Choice(_BENCHMARK)] = None
    expected_excess: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, base="budget")] = (
        None
    )


@traced
@dataclass(frozen=True, kw_only=True)
class Rebasing(Declared):
    """A budget that follows what was spent, some years later.

    ``B_t = (1 - weight) x budget_t + weight x (spend_(t - lag) + savings_adjustment x shared gain
    of that year) x growth over the lag``. It is a ratchet: what is saved lowers a later budget. The
    adjustment gives part of it back.
    """

    weight: Annotated[Given, Parameter("share", lower=0.0, upper=1.0, base="budget")]
    growth: Annotated[Given, Parameter("rate per year", lower=-1.0, upper=1.0)] = 0.0
    savings_adjustment: Annotated[
        Given, Parameter("share", lower=0.0, upper=1.0, base="shared gain")
    ] = 0.0
    direction: Annotated[Literal["both-ways", "down-only"] | None, Choice(_DIRECTION)] = None
    lag: int = 1
