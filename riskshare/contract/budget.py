"""A capitated budget, built as a bridge whose every step can be printed."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float
from numpy.typing import NDArray

from riskshare.contract.term import PlanView, TermLines, YearView
from riskshare.contract.vectors import summed
from riskshare.parameters import NO_NUMBERS, Declared, Given, Parameter, Reference


@dataclass(frozen=True, kw_only=True)
class Budget(Declared):
    """A named amount for each year: notional until a term pays it or measures against it.

    From lines or a base amount (NHS England's intelligent fixed payment, M03):
    ``baseline value x growth x inflation x (1 - efficiency) + planned changes + new services
    + stranded support + other``. From members (capitation, M10):
    ``sum over populations of members x rate x need x (1 + growth)^years`` in place of the
    baseline value; the rate is per member and full year. From units (episodes at a target price,
    M18): ``sum over lines of activity x unit rate x (1 + growth)^years``.

    Parameters
    ----------
    lines
        Lines whose baseline, changes and new services it covers; the contract's unless given.
    base
        An amount for each year in place of the lines' baseline value. Money per year, as stated:
        a part-year is not scaled.
    rate
        Money per member and year, by population, in place of the baseline value.
    unit_rate
        Money per unit of activity, by line, in place of the baseline value.
    rebase
        With a rate: whether the budget follows the members counted, or the activity
        (``actual``), or stays at plan.
    count_date
        With a rate: the date at which members are counted, for the statement.
    growth, inflation
        Rates into each year, the first included, compounded. Left out, a budget from lines takes
        the growth and price inflation of its lines.
    efficiency
        Rate taken off in each year, compounded.
    planned_changes, new_services
        Whether changes at full delivery, and lines without a baseline, are added at plan price.
    stranded_support
        The stranded-support term whose planned amount is added.
    other
        Further amounts by name (a transformation fund, a control total adjustment).
    """

    name: str
    lines: TermLines = None
    base: Annotated[Given, Parameter("money per year")] = None
    rate: Annotated[Given, Parameter("money per member", axes=("population",), fill=0.0)] = None
    unit_rate: Annotated[Given, Parameter("money per unit", axes=("line",), lower=0.0)] = None
    rebase: Literal["plan", "actual"] | None = None
    count_date: str = ""
    growth: Annotated[Given, Parameter("rate per year", lower=-1.0, upper=1.0)] = None
    inflation: Annotated[Given, Parameter("rate per year", lower=-1.0, upper=1.0)] = None
    efficiency: Annotated[Given, Parameter("rate per year", upper=1.0)] = 0.0
    planned_changes: bool = True
    new_services: bool = True
    stranded_support: Annotated[str | None, Reference("term")] = None
    other: Annotated[Given, Parameter("money per year", axes=("item",), fill=0.0)] = NO_NUMBERS


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class BoundBudget:
    """A budget as numbers: an amount that is fixed, and one that may follow the members."""

    fixed: Any
    """(year): money."""
    capitation: Any
    """(year, population): money at planned members."""
    units: Any
    """(year, line of the case): money per unit of activity."""
    follows: Literal["nothing", "members", "activity"] = dataclasses.field(
        metadata={"static": True}
    )

    @property
    def rebased(self) -> bool:
        """Whether it follows the members counted."""
        return self.follows == "members"

    def amount(self, year: YearView) -> Float[Array, " sample"]:
        """Return the budget of the year at hand."""
        if self.follows == "members":
            moving = summed(self.capitation[:, None] * year.members_index)
        elif self.follows == "activity":
            moving = summed(self.units[:, None] * year.activity)
        else:
            moving = self.capitation.sum()
        return (self.fixed + moving) * jnp.ones_like(year.activity[0])


def bridge(
    budget: Budget,
    numbers: dict[str, Any],
    plan: PlanView,
    lines: tuple[int, ...],
    items: tuple[str, ...],
    support: NDArray[np.float64] | None,
) -> tuple[dict[str, NDArray[np.float64]], BoundBudget]:
    """Work out a budget step by step; parameters are those of `steps_of`.

    Returns
    -------
    steps
        Label of each step and its money by year; they add up to the budget.
    bound
        The same as numbers for the kernel.
    """
    steps, bound = steps_of(budget, numbers, plan, lines, items, support)
    always = ("baseline", "base", "capitation", "units")
    return {k: v for k, v in steps.items() if k in always or np.any(v != 0)}, bound


def steps_of(
    budget: Budget,
    numbers: dict[str, Any],
    plan: PlanView,
    lines: tuple[int, ...],
    items: tuple[str, ...],
    support: Any,
) -> tuple[dict[str, Any], BoundBudget]:
    """Return every step of a budget, also those that are nothing, and its numbers.

    The plan and the numbers may be NumPy or JAX arrays.

    Parameters
    ----------
    numbers
        The budget's fields as arrays with the year first; absent ones are None.
    support
        Planned amount of its stranded-support term, (year), if it names one.
    """
    xp: Any = plan.plan.__array_namespace__()
    picked = np.array(lines, int)
    new_service = np.asarray(plan.new_service)
    old, new = picked[~new_service[picked]], picked[new_service[picked]]
    steps: dict[str, Any] = {}
    given = [name for name in ("base", "rate", "unit_rate") if numbers[name] is not None]
    from_lines = not given

    def compounded(name: str, sign: float = 1.0) -> Any:
        rate = numbers[name]
        return xp.ones_like(plan.fraction) if rate is None else (1 + sign * rate).cumprod()

    capitation, units = xp.zeros_like(plan.members), xp.zeros_like(plan.plan)
    if numbers["rate"] is not None:
        capitation = plan.members * plan.need * numbers["rate"] * plan.fraction[:, None]
        steps["capitation"] = capitation.sum(1)
    elif numbers["unit_rate"] is not None:
        units = numbers["unit_rate"] @ np.eye(len(new_service), dtype=units.dtype)[picked]
        steps["units"] = (units * plan.plan).sum(1)
    elif numbers["base"] is not None:
        steps["base"] = numbers["base"]
    else:
        steps["baseline"] = (plan.baseline * plan.base_price)[:, old].sum(1)
    running = next(iter(steps.values()))
    start = running
    if from_lines and numbers["growth"] is None:
        grown = (plan.before * plan.base_price)[:, old].sum(1)
    else:
        grown = running * compounded("growth")
    steps["growth"], running = grown - running, grown
    if from_lines and numbers["inflation"] is None:
        at_growth = plan.before if numbers["growth"] is None else plan.baseline
        dear = (at_growth * plan.price)[:, old].sum(1)
        cheap = (at_growth * plan.base_price)[:, old].sum(1)
        dear = running * xp.where(cheap > 0, dear / xp.where(cheap > 0, cheap, 1), 1)
    else:
        dear = running * compounded("inflation")
    steps["inflation"], running = dear - running, dear
    lean = running * compounded("efficiency", -1.0)
    steps["efficiency"], running = lean - running, lean
    scale = xp.where(start != 0, running / xp.where(start != 0, start, 1), 1)[:, None]
    capitation, units = capitation * scale, units * scale
    if budget.planned_changes and numbers["unit_rate"] is None:
        steps["planned changes"] = ((plan.plan - plan.before) * plan.price)[:, old].sum(1)
    if budget.new_services and numbers["unit_rate"] is None:
        steps["new services"] = (plan.plan * plan.price)[:, new].sum(1)
    if support is not None:
        steps["stranded support"] = support
    for i, item in enumerate(items):
        steps[item] = numbers["other"][:, i]
    total = xp.stack(list(steps.values())).sum(0)
    actual = budget.rebase == "actual"
    follows: Literal["nothing", "members", "activity"] = "nothing"
    if actual and numbers["rate"] is not None:
        follows = "members"
    if actual and numbers["unit_rate"] is not None:
        follows = "activity"
    fixed = total - capitation.sum(1)
    if follows == "activity":
        fixed = fixed - (units * plan.plan).sum(1)
    return steps, BoundBudget(fixed, capitation, units, follows)
