"""Terms that turn activity into money: funding, levies, budgets, blocks, prices, open books."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from jax import Array
from jaxtyping import Float

from riskshare.contract.ledger import Ledger, Transfer, from_each, single
from riskshare.contract.term import (
    AbstractTerm,
    Partner,
    PlanView,
    State,
    Surroundings,
    TermLines,
    YearView,
    first_payer,
    rows,
    samples_of,
    term,
    to_deliverers,
)
from riskshare.names import Phase
from riskshare.parameters import Given, Parameter, Reference


@term
class Funding(AbstractTerm):
    """Money that one partner gives another each year, such as the allocation from outside.

    ``posting = amount x index``, the index of the named driver where the amount is uncertain.
    """

    kind: ClassVar[str] = "funding"
    usual_phase: ClassVar[Phase] = "payment"

    from_: Partner
    to: Partner
    amount: Annotated[Given, Parameter("money per year")]
    driver: Annotated[Any, Reference("driver")] = None

    def needs(self) -> frozenset[str]:
        """Return the driver, where there is one."""
        return frozenset() if self.driver is None else frozenset({f"driver {self.driver}"})

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return who gives."""
        return self.from_

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Move the amount."""
        index = samples_of(year) if self.driver is None else year.driver_index[self.driver]
        year.note("stated amount", amount=self.amount)
        if self.driver is not None:
            year.note("index", quantity=index, amount=self.amount * (index - 1))
        return (single(self.amount * index, self.to, self.from_),), state


@term
class Levy(AbstractTerm):
    """A contribution of each partner as a share of its turnover (M24: risk reserves).

    ``posting_i = -rate_i x turnover_i``, and ``to`` receives the sum. The turnover is that of the
    partner, money per year as stated.
    """

    kind: ClassVar[str] = "levy"
    usual_phase: ClassVar[Phase] = "payment"

    to: Partner
    rate: Annotated[
        Given,
        Parameter("share", axes=("partner",), fill=0.0, lower=0.0, upper=1.0, base="turnover"),
    ]

    def problems(self, around: Surroundings) -> Iterator[tuple[str, str]]:
        """Yield partners that are levied without a turnover."""
        by_name = isinstance(self.rate, Mapping) and set(self.rate) & set(around.turnover)
        for name, given in around.turnover.items():
            rate = self.rate.get(name, 0) if by_name else self.rate
            outside = around.kinds[name] in ("pool", "external") and not by_name
            if rate and not given and not outside:
                yield (
                    f"rate[{name}]",
                    f"partners.{name}.turnover is missing; a levy is a share of it",
                )

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return who collects."""
        return self.to

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Collect the shares of turnover."""
        amount = self.rate[:, None] * year.turnover
        year.note(
            "share of turnover", quantity=year.turnover, rate=self.rate[:, None], amount=amount
        )
        return (from_each(amount, self.to),), state


@term
class CapitatedBudget(AbstractTerm):
    """Pays a budget whatever happens (M03, M10).

    ``posting = budget``; with ``rebase = "actual"`` in a capitation, at the members counted.
    """

    kind: ClassVar[str] = "capitated-budget"
    usual_phase: ClassVar[Phase] = "payment"

    from_: Partner
    to: Partner
    budget: Annotated[Any, Reference("budget")]

    def needs(self) -> frozenset[str]:
        """Return members, where the budget follows them."""
        return frozenset({"members"}) if self.budget.rebased else frozenset()

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return who pays."""
        return self.from_

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Pay the budget of the year."""
        budget = self.budget.amount(year)
        year.note("budget", amount=budget)
        return (single(budget, self.to, self.from_),), state


@term
class Block(AbstractTerm):
    """A block: a fixed amount whatever the activity, uplifted from year to year (M02).

    From lines, ``plan x price`` of each line from its payer to its deliverer; or ``amount`` from
    ``from`` to ``to``. Both times ``prod over years (1 + uplift)``, the uplift being the rate into
    each year, the first included.
    """

    kind: ClassVar[str] = "block"
    usual_phase: ClassVar[Phase] = "payment"

    lines: TermLines = None
    amount: Annotated[Given, Parameter("money per year")] = None
    from_: Annotated[Any, Reference("partner")] = None
    to: Annotated[Any, Reference("partner")] = None
    uplift: Annotated[Given, Parameter("rate per year", lower=-1.0, upper=1.0)] = 0.0

    def prepared(self, plan: PlanView) -> "AbstractTerm":
        """Compound the uplift."""
        return dataclasses.replace(self, uplift=(1 + self.uplift).cumprod() - 1)

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return who pays."""
        return self.from_ if self.amount is not None else first_payer(year, self.lines)

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Pay the plan."""
        if self.amount is not None:
            amount = self.amount * (1 + self.uplift) * samples_of(year)
            year.note("stated amount", amount=self.amount)
            year.note("uplift", rate=self.uplift, amount=self.amount * self.uplift)
            return (single(amount, self.to, self.from_),), state
        volume, price = rows(year.plan, self.lines), rows(year.price, self.lines)
        plan = volume * price * (1 + self.uplift)
        year.note("plan at price", quantity=volume, rate=price, amount=volume * price)
        year.note("uplift", rate=self.uplift, amount=volume * price * self.uplift)
        return (to_deliverers(year, self.lines, plan),), state


@term
class ActivityPayment(AbstractTerm):
    """Payment by activity (M01): ``share x market forces factor x price x case mix x activity``."""

    kind: ClassVar[str] = "activity-payment"
    usual_phase: ClassVar[Phase] = "payment"

    lines: TermLines = None
    share: Annotated[Given, Parameter("share of price", axes=("line",), lower=0.0, upper=2.0)] = 1.0
    market_forces_factor: Annotated[Given, Parameter("index", axes=("line",), lower=0.0)] = 1.0

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return who pays."""
        return first_payer(year, self.lines)

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Pay for what was done."""
        rate = (self.share * self.market_forces_factor)[:, None]
        value = rows(year.value, self.lines)
        year.note("valued activity", quantity=value, rate=rate, amount=rate * value)
        return (to_deliverers(year, self.lines, rate * value),), state


@term
class CostReimbursement(AbstractTerm):
    """Open book: pays a share of what a line really cost (M17: target cost contracts).

    ``posting = share x cost`` of each line, from its payer to its deliverer.
    """

    kind: ClassVar[str] = "cost-reimbursement"
    usual_phase: ClassVar[Phase] = "payment"

    lines: TermLines = None
    share: Annotated[
        Given, Parameter("share", axes=("line",), lower=0.0, upper=2.0, base="cost")
    ] = 1.0

    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """Return who pays."""
        return first_payer(year, self.lines)

    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Pay for what it cost."""
        cost = rows(year.line_cost, self.lines)
        amount = self.share[:, None] * cost
        year.note("cost", quantity=cost, rate=self.share[:, None], amount=amount)
        return (to_deliverers(year, self.lines, amount),), state
