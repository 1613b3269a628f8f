"""The rows of one settled year: what happened, budgets, the working of terms, money, cost."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.bind import Bound
from riskshare.bind.leaves import BoundTerm
from riskshare.case import Case, Contract
from riskshare.contract.budget import BoundBudget
from riskshare.contract.sharing import Pool
from riskshare.errors import NumericalError
from riskshare.names import decimals
from riskshare.report.money import percent
from riskshare.report.words import (
    ACTIVITY,
    ADDS,
    INDEX,
    LEADS,
    MONEY,
    PRICE,
    SCORE,
    SHARE,
    SIDES,
    TOTAL,
    step_of,
)
from riskshare.run.transfers import EFFECT

_NAN = float("nan")
ROUNDING = "rounding: what the parts leave or lack"
_COST_NOTES = {
    "cost_released": "for note: cost released",
    "stranded": "for note: stranded cost",
    "lost_contribution": "for note: lost contribution",
}
"""Results by line that belong beside its cost and move no money."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of an account; its fields are the variables of `statement`."""

    year: str
    section: str
    term: str = ""
    part: str = ""
    step: str
    quantity: float = _NAN
    beyond: float = _NAN
    unit: str = ""
    rate: float = _NAN
    rate_unit: str = ""
    amount: float = _NAN
    role: str = ""
    payer: str = ""
    payee: str = ""
    partner: str = ""
    minor_units: int = 0
    from_plan: bool = False
    shown: bool = True


COLUMNS = tuple(field.name for field in dataclasses.fields(Row))


class YearRows:
    """Makes the rows of one settled year."""

    def __init__(self, case: Case, bound: Bound, settled: xr.Dataset, year: str) -> None:
        self.case, self.bound, self.year = case, bound, year
        self.at = settled.isel(sample=0).sel(year=year)
        self.place = case.labels()["year"].index(year)
        self.per_unit = 10 ** decimals(case.currency)
        self.partners = list(case.labels()["partner"])
        slots = zip(bound.structure.term_names, bound.numbers.yearly.terms, strict=True)
        self.slots: dict[str, BoundTerm] = dict(slots)
        names = ("input_variable", "input_name", "input_value", "input_from_plan")
        self.given: dict[tuple[str, str], tuple[float, bool]] = {
            (str(variable), str(name)): (float(value), bool(planned))
            for variable, name, value, planned in zip(
                *(self.at[name].values for name in names), strict=True
            )
        }

    def rows(self) -> list[Row]:
        """Return all rows, having checked that they add up."""
        rows = [*self.inputs(), *self.budgets()]
        for name, slot in self.slots.items():
            if slot.active[self.place]:
                rows += [*self.working(name, slot), *self.postings(name)]
        rows += self.cost()
        for partner in self.partners:
            total = sum(row.minor_units for row in rows if row.partner == partner)
            position = self.minor(self.at.position.sel(partner=partner).item())
            if total != position:
                raise NumericalError(
                    f"{self.year}: the rows of {partner} add up to {total}, its position is "
                    f"{position}, in smallest units of {self.case.currency}"
                )
        return [*rows, *self.totals()]

    def row(self, section: str, step: str, **fields: Any) -> Row:
        """Return a row of the year."""
        return Row(year=self.year, section=section, step=step, **fields)

    def minor(self, money: Any) -> int:
        """Return money in whole smallest units."""
        return int(np.rint(float(money) * self.per_unit))

    def inputs(self) -> Iterator[Row]:
        """Yield what happened: each line, then drivers, members and scores a term asked for."""
        for i in range(len(self.case.lines)):
            yield from self._line(i)
        for (variable, name), (value, _) in self.given.items():
            if not np.isnan(value):
                yield from self._index(variable, name, value)

    def _line(self, i: int) -> Iterator[Row]:
        line, view = self.case.lines[i], self.bound.plan.view
        activity, planned = self.given["activity", line.name]
        mix, usual_mix = self.given["case_mix", line.name]
        plan, price = float(view.plan[self.place, i]), float(view.price[self.place, i])
        value = price * mix * activity

        def row(step: str, **fields: Any) -> Row:
            return self.row("input", step, part=line.name, **fields)

        if not view.new_service[i]:
            baseline = float(view.baseline[self.place, i])
            yield row("baseline activity", unit=line.unit, quantity=baseline)
        yield row("planned activity", unit=line.unit, quantity=plan)
        yield row("activity", unit=line.unit, quantity=activity, from_plan=planned)
        yield row("activity less plan", unit=line.unit, quantity=activity - plan)
        yield row("case mix", unit=INDEX, quantity=mix, from_plan=usual_mix)
        yield row("price", rate_unit=PRICE, rate=price)
        yield row("planned value", amount=plan * price)
        yield row("value", amount=value, from_plan=planned)
        yield row("value less plan", amount=value - plan * price)
        if self._cost_given(line.name):
            yield row("cost as given", amount=self.given["cost", line.name][0])
        else:
            unit_cost, usual = self.given["unit_cost", line.name]
            yield row("unit cost", rate_unit=PRICE, rate=unit_cost, from_plan=usual)
        if ("person_cost", line.name) in self.given:
            yield row("cost of persons", amount=self.given["person_cost", line.name][0])

    def _cost_given(self, line: str) -> bool:
        return not np.isnan(self.given.get(("cost", line), (_NAN, False))[0])

    def _index(self, variable: str, name: str, value: float) -> Iterator[Row]:
        plan = self.bound.plan.view.members
        if variable == "members":
            usual = float(plan[self.place, self.case.labels()["population"].index(name)])
            words, unit = "members counted, against plan", "members"
        elif variable == "quality":
            usual, words, unit = _NAN, "quality score", SCORE
        elif variable == "driver_index":
            late = name.startswith("delay[")
            usual, unit = (0.0, "years") if late else (1.0, INDEX)
            words = "delay, against plan" if late else "index, against plan"
        else:
            return
        yield self.row("input", words, part=name, unit=unit, quantity=value, beyond=usual)

    def budgets(self) -> Iterator[Row]:
        """Yield the bridge of each budget in force, once."""
        for contract in self.case.contracts:
            if contract.years is not None and self.year not in contract.years:
                continue
            for budget in contract.budgets:
                name = f"{contract.name}.{budget.name}"
                total = 0.0
                for step, values in self.bound.bridges[name].items():
                    amount = float(values[self.place])
                    total += amount
                    yield self.row(
                        "budget", step, term=name, amount=amount, role=ADDS, shown=amount != 0
                    )
                bound = self._bound_budget(contract, budget.name)
                follows = bound is not None and bound.follows != "nothing"
                words = "budget as planned" if follows else "budget"
                yield self.row("budget", words, term=name, amount=total, role=TOTAL)
                if bound is not None and follows:
                    yield from self._followed(name, bound)

    def _bound_budget(self, contract: Contract, name: str) -> BoundBudget | None:
        for term in contract.terms:
            if getattr(term, "budget", None) == name:
                found = getattr(self.slots[f"{contract.name}.{term.label}"].term, "budget", None)
                return found if isinstance(found, BoundBudget) else None
        return None

    def _followed(self, name: str, budget: BoundBudget) -> Iterator[Row]:
        """Yield a budget at the members counted, or at the activity that came."""
        fixed = float(budget.fixed[self.place])
        total = fixed
        variable, rates = "activity", budget.units[self.place]
        labels: Sequence[str] = self.case.labels()["line"]
        if budget.follows == "members":
            plan = self.bound.plan.view.members[self.place]
            variable, labels = "members", self.case.labels()["population"]
            rates = budget.capitation[self.place] / np.where(plan > 0, plan, 1)
        for label, rate in zip(labels, rates, strict=True):
            if not rate:
                continue
            count, planned = self.given[variable, label]
            unit = "members" if variable == "members" else self.case.line(label).unit
            amount = float(rate) * count
            total += amount
            fields = {"unit": unit, "quantity": count, "rate_unit": PRICE, "rate": float(rate)}
            words = "members counted" if variable == "members" else "activity that came"
            yield self.row(
                "budget", words, term=name, part=label, amount=amount, from_plan=planned, **fields
            )
        if fixed:
            yield self.row("budget", "the rest of it, as planned", term=name, amount=fixed)
        words = "budget at members counted" if variable == "members" else "budget at activity"
        yield self.row("budget", words, term=name, amount=total, role=TOTAL)

    def working(self, name: str, slot: BoundTerm) -> list[Row]:
        """Return the steps a term noted, those of one line together where all are by line."""
        in_force = float(slot.term.in_force[self.place])
        words = "in force for this share of the year"
        part_year = self.row("working", words, term=name, rate_unit=SHARE, rate=in_force)
        if in_force == 0:
            return [part_year]  # what it would have moved is no part of the account
        rows = []
        figures = {
            figure: self.at[f"step_{figure}"].values
            for figure in ("quantity", "beyond", "rate", "amount")
        }
        for k in np.flatnonzero(self.at.step_term.values == name):
            label, part = str(self.at.step_rule.values[k]), str(self.at.step_part.values[k])
            numbers = {figure: float(values[k]) + 0.0 for figure, values in figures.items()}
            rows.append(self._step(name, slot.term, label, part, numbers))
        budget = [row.amount for row in rows if row.step == "budget"]
        rows = [
            dataclasses.replace(row, shown=row.shown and row.quantity not in budget)
            if row.step == "budget before adjustments"
            else row
            for row in rows
        ]
        if rows and all(row.part for row in rows if row.shown):
            first = list(dict.fromkeys(row.part for row in rows))
            rows.sort(key=lambda row: first.index(row.part))
        if in_force == 1:
            return rows
        whole = sum(row.amount for row in rows if row.role == ADDS)
        rows = [dataclasses.replace(r, role=LEADS) if r.role == TOTAL else r for r in rows]
        part_year = dataclasses.replace(part_year, amount=(in_force - 1) * whole, role=ADDS)
        moves = self.row("working", "for the year", term=name, amount=in_force * whole, role=TOTAL)
        return [*rows, part_year, moves]

    def _step(self, name: str, term: Any, label: str, part: str, numbers: dict[str, float]) -> Row:
        head, _, tail = label.partition(": ")
        step = step_of(term, head)
        words = step.words
        if head == EFFECT and part and isinstance(term, Pool):
            words = f"{words}, borne by {self._borne(part)}"
        unit = step.unit
        if unit == ACTIVITY:
            unit = self.case.line(part).unit if part else ""
        quantity, rate, amount = numbers["quantity"], numbers["rate"], numbers["amount"]
        nothing = np.isnan(quantity) or quantity == 0
        # beside an amount, or on a side that was not reached, a rate applies to nothing
        if not np.isnan(amount):
            nothing = nothing and amount == 0
        elif label.partition(" ")[0] not in SIDES:
            nothing = nothing and (np.isnan(rate) or rate == 0)
        return self.row(
            "working",
            words,
            term=name,
            part=part or tail,
            unit="" if np.isnan(quantity) and np.isnan(numbers["beyond"]) else unit,
            rate_unit="" if np.isnan(rate) else step.rate_unit,
            role="" if np.isnan(amount) else step.role,
            shown=not nothing,
            **numbers,
        )

    def _borne(self, index: str) -> str:
        """Return who bears an index under the influence key, with their shares."""
        column = list(self.case.indices()).index(index)
        shares = self.bound.numbers.world.influence[:, column]
        who = [f"{p} {percent(s)}" for p, s in zip(self.partners, shares, strict=True) if s]
        return ", ".join(who)

    def postings(self, name: str) -> Iterator[Row]:
        """Yield what each partner receives or pays, part by part, and the residue of rounding.

        Part by part ``round(share x round(amount))`` in smallest units, as it was posted.
        """
        posting = self.at.posting.sel(term=name).values
        left = {p: self.minor(posting[i]) for i, p in enumerate(self.partners)}
        amounts, shares = self.at.transfer.values, self.at.transfer_share.values
        for k in np.flatnonzero(self.at.transfer_term.values == name):
            units = np.rint(shares[k] * self.minor(amounts[k])).astype(np.int64)
            part = str(self.at.transfer_part.values[k])
            for p in np.flatnonzero(shares[k]):
                left[self.partners[p]] -= int(units[p])
                yield self._posting(name, part, float(amounts[k]), shares[k], units, int(p))
        residue = {partner: units for partner, units in left.items() if units}
        if len(residue) > 1:
            raise NumericalError(
                f"{self.year}: {name} leaves {residue} in smallest units; only the partner who "
                "takes the residue of rounding may have one"
            )
        for partner, units in residue.items():
            ends = ("rounding", partner) if units > 0 else (partner, "rounding")
            yield self.row(
                "posting",
                ROUNDING,
                term=name,
                amount=units / self.per_unit,
                payer=ends[0],
                payee=ends[1],
                partner=partner,
                minor_units=units,
            )

    def _posting(
        self,
        name: str,
        part: str,
        amount: float,
        share: NDArray[np.float64],
        units: NDArray[np.int64],
        p: int,
    ) -> Row:
        receives = bool(units[p] > 0) if units[p] else bool(share[p] > 0)
        sign = units if units[p] else share
        others = [
            other
            for other, s in zip(self.partners, sign, strict=True)
            if (s < 0 if receives else s > 0)
        ]
        ends = (", ".join(others), self.partners[p])
        payer, payee = ends if receives else ends[::-1]
        return self.row(
            "posting",
            "receives" if receives else "pays",
            term=name,
            part=part,
            unit=MONEY,
            quantity=amount + 0.0,
            rate_unit=SHARE,
            rate=float(share[p]),
            amount=units[p] / self.per_unit,
            payer=payer,
            payee=payee,
            partner=self.partners[p],
            minor_units=int(units[p]),
            shown=bool(units[p] != 0),
        )

    def cost(self) -> Iterator[Row]:
        """Yield what each line and change costs its partner, and the rounding of the sum."""
        cost = self.at.cost.values
        left = {p: -self.minor(cost[i]) for i, p in enumerate(self.partners)}

        def row(partner: str, step: str, part: str, units: int, planned: bool = False) -> Row:
            left[partner] -= units
            return self.row(
                "cost",
                step,
                part=part,
                amount=units / self.per_unit,
                payer=partner,
                partner=partner,
                minor_units=units,
                from_plan=planned,
                shown=units != 0,
            )

        notes = [name for name in _COST_NOTES if name in self.at]
        for i, line in enumerate(self.case.lines):
            planned = self.given["activity", line.name][1] or (
                self.given["unit_cost", line.name][1] and not self._cost_given(line.name)
            )
            units = -self.minor(self.at.line_cost.values[i])
            yield row(line.deliverer, "cost of activity", line.name, units, planned)
            for name in notes:
                amount, words = float(self.at[name].values[i]), _COST_NOTES[name]
                if not np.isnan(amount):
                    yield self.row("cost", words, part=line.name, amount=amount, shown=amount != 0)
        running = self.bound.plan.running_cost[self.place]
        for change, money in zip(self.case.changes, running, strict=True):
            yield row(change.owner, "running cost of the change", change.name, -self.minor(money))
        for partner, units in dict(left).items():
            if units:
                yield row(partner, ROUNDING, "", units)

    def totals(self) -> Iterator[Row]:
        """Yield where each partner ends; these rows are not part of its sum."""
        for partner in self.partners:
            at = self.at.sel(partner=partner)
            position = float(at.position)

            def row(step: str, amount: float, partner: str = partner) -> Row:
                return self.row("total", step, partner=partner, amount=amount + 0.0)

            yield row("position", position)
            if "cash" in at and float(at.cash) != position:
                yield row("earned and not yet paid", position - float(at.cash))
                yield row("cash of the year", float(at.cash))
            if "underlying" in at and not np.isnan(at.underlying):
                yield row("underlying position", float(at.underlying))
            target = float(at.target)
            if target:
                yield row("target", target)
                yield row("position less target", position - target)
