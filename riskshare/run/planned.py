"""The plan worked out again inside a traced program, from numbers that a caller may move.

`riskshare.plan` works the plan out on the host, laws of chance included. What follows from the
numbers alone (volumes, prices, cost behaviour, planned removal) is said here once more in arrays
that JAX can trace; `tests/test_program.py` holds the two against one another, number by number.
"""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

from riskshare.bind import Bound
from riskshare.case import Case
from riskshare.contract.term import PlanView
from riskshare.plan import Plan, declared
from riskshare.plan.cost import planned_cost
from riskshare.run.paths import Reader

SECTIONS = ("lines.", "changes.", "members.", "inflation.")
"""Paths that the plan follows from begin so."""


def moved_plan(reader: Reader, case: Case, bound: Bound) -> Plan:
    """Return the plan at the reader's numbers: every array of the type of the program.

    What no number in reach moves (means over the laws, delays, steps) is that of the bound case.
    """
    return _Planned(reader, case, bound).plan()


def _constant(reader: Reader, plan: Plan) -> Plan:
    """Return a plan in the type of the program."""

    def arrays(node: Any) -> dict[str, Any]:
        values = {field.name: getattr(node, field.name) for field in dataclasses.fields(node)}
        return {k: reader.constant(v) for k, v in values.items() if isinstance(v, np.ndarray)}

    view = dataclasses.replace(plan.view, **arrays(plan.view))
    return dataclasses.replace(plan, view=view, cost=reader.constant(plan.cost), **arrays(plan))


class _Planned:
    def __init__(self, reader: Reader, case: Case, bound: Bound) -> None:
        self.reader, self.case, self.bound = reader, case, bound
        self.labels, self.base = case.labels(), _constant(reader, bound.plan)
        self.new = np.asarray(bound.plan.view.new_service, bool)

    def plan(self) -> Plan:
        base, view = self.base, self.base.view
        members = self._columns("members", self.case.members, "count", view.members)
        price = self._columns("lines", self.case.lines, "price", view.price)
        inflated = price * self._series("price_series")
        costs = self._columns("lines", self.case.lines, "unit_cost", view.price)
        unit_cost = costs * self._series("cost_series")
        size = self._columns("changes", self.case.changes, "size", base.size)
        annual = self._annual()
        baseline = annual * view.fraction[:, None]
        before = self._before(baseline, members)
        moved = self._moved(baseline)
        plan = self._plan(before, moved, size)
        cost = self._cost(baseline)
        share: Any = jnp.einsum("lc,yc->yl", base.taken, size, precision="highest")
        removed, stranded = planned_cost(base.cost_structure, cost, plan, unit_cost, share)
        return dataclasses.replace(
            base,
            view=PlanView(
                price=inflated,
                base_price=price,
                plan=plan,
                baseline=baseline,
                before=before,
                new_service=view.new_service,
                removed=removed,
                stranded=stranded,
                members=members,
                need=self._columns("members", self.case.members, "need", view.need),
                fraction=view.fraction,
                deliverer=view.deliverer,
            ),
            unit_cost=unit_cost,
            size=size,
            moved=moved,
            running_cost=self._columns(
                "changes", self.case.changes, "running_cost", base.running_cost
            ),
            cost=cost,
        )

    def _columns(self, section: str, items: Any, name: str, like: Any) -> Any:
        """Return a number of each item as (year, item)."""
        columns = []
        for i, item in enumerate(items):
            array = self.reader.declared(f"{section}.{item.name}", item, name, self.labels)
            if array is None:  # worked out from others, such as a size from its targeting
                array = like[:, i]
            columns.append(jnp.broadcast_to(array, (like.shape[0],)))
        return jnp.stack(columns, axis=1) if columns else like

    def _series(self, name: str) -> Any:
        """Planned index of prices by year and line, 1 in the year of the price base."""
        years = list(self.labels["year"])
        rates = self._columns(
            "inflation",
            self.case.inflation,
            "rate",
            np.zeros((len(years), len(self.case.inflation)), self.reader.dtype),
        )
        base = self.case.price_base
        start = years.index(base) + 1 if base in years else 0
        rates = jnp.where(np.arange(len(years))[:, None] < start, 0, rates)
        columns = []
        for line in self.case.lines:
            weights = self.reader.declared(f"lines.{line.name}", line, name, self.labels)
            if weights is None:
                columns.append(jnp.ones(len(years), self.reader.dtype))
            else:
                rate = jnp.matmul(rates, jnp.asarray(weights), precision="highest")
                columns.append(jnp.cumprod(1 + rate))
        return jnp.stack(columns, axis=1)

    def _annual(self) -> Any:
        """Return the baseline of a year by line; of a new service its first year's volume."""
        found = []
        for i, line in enumerate(self.case.lines):
            if self.new[i]:
                first = int(np.argmax(self.bound.plan.expected[:, i] > 0))
                now, then = self._expected(i)[first], self._stated(i)[first]
                annual = self.base.view.baseline[first, i] / self.base.view.fraction[first]
                found.append(annual * now / then if then > 0 else annual)
            else:
                array = self.reader.declared(f"lines.{line.name}", line, "baseline", self.labels)
                found.append(jnp.asarray(array, self.reader.dtype))
        return jnp.stack([jnp.asarray(value, self.reader.dtype) for value in found])

    def _expected(self, row: int) -> Any:
        """Return the stated volume of a new service by year, per full year."""
        line = self.case.lines[row]
        return self.reader.declared(f"lines.{line.name}", line, "expected", self.labels)

    def _stated(self, row: int) -> Any:
        """Return the same as the case has it, on the host."""
        return declared(self.case.lines[row], "expected", self.labels).astype(self.reader.dtype)

    def _before(self, baseline: Any, members: Any) -> Any:
        """Return activity before changes; a new service's moves in proportion to what is stated."""
        base, lines = self.base, self.case.lines
        reference = [
            self.reader.declared(f"members.{p.name}", p, "reference", self.labels)
            for p in self.case.members
        ]
        columns = [
            members[0, i] if value is None else jnp.asarray(value)
            for i, value in enumerate(reference)
        ]
        follows: Any = 1
        if columns:
            at = jnp.stack(columns)
            ratio = members / jnp.where(at > 0, at, 1) - 1
            follows = 1 + jnp.matmul(ratio, base.exposure.T, precision="highest")
        growth = self._columns("lines", lines, "growth", base.view.plan)
        before = baseline * jnp.cumprod(1 + growth, axis=0) * follows
        for row in map(int, np.flatnonzero(self.new)):
            stated = self._stated(row)
            scale = jnp.where(stated > 0, self._expected(row) / np.where(stated > 0, stated, 1), 1)
            before = before.at[:, row].set(base.view.before[:, row] * scale)
        return before

    def _moved(self, baseline: Any) -> Any:
        """Return activity that moves for each unit of size: (year, line, change)."""
        base, names = self.base, list(self.labels["line"])
        leaving = baseline[:, :, None] * base.taken
        arriving = np.zeros((len(names), len(self.case.changes)), self.reader.dtype)
        for c, change in enumerate(self.case.changes):
            if change.destination is not None:
                arriving[names.index(change.destination), c] = 1
        substitution = self._columns("changes", self.case.changes, "substitution", base.size)
        source = jnp.matmul(baseline, base.taken, precision="highest")
        return arriving * (substitution * source)[:, None, :] - leaving

    def _plan(self, before: Any, moved: Any, size: Any) -> Any:
        """Return planned activity: what is stated, or what follows."""
        fraction = self.base.view.fraction
        plan = before + jnp.einsum("ylc,yc->yl", moved, size, precision="highest")
        for row, line in enumerate(self.case.lines):
            if self.new[row]:
                volume = self._expected(row) * fraction
                plan = plan.at[:, row].add(volume - before[:, row])
            stated = self.reader.declared(f"lines.{line.name}", line, "plan", self.labels)
            if stated is not None:
                plan = plan.at[:, row].set(stated * fraction)
            elif line.capacity is not None:  # volumes that move it are no parameters
                plan = plan.at[:, row].set(self.base.view.plan[:, row])
        return jnp.maximum(plan, 0)

    def _cost(self, baseline: Any) -> Any:
        """Return cost behaviour as numbers."""
        years, base = len(self.case.years), self.base.cost
        held = self.base.cost_structure.held_lines

        def by_line(name: str) -> Any:
            values = [
                self.reader.declared(f"lines.{line.name}.cost", line.cost, name, self.labels)
                for line in self.case.lines
            ]
            filled = [jnp.asarray(0.0 if v is None else v, self.reader.dtype) for v in values]
            return jnp.broadcast_to(jnp.stack(filled)[:, None], (years, len(filled), 1))

        basis = [self.case.lines[i].cost.exit_basis for i in held]
        later = np.array([word == "next_year" for word in basis], bool)
        weights = {}
        for part in ("semi_fixed", "fixed"):
            profile = self._released(part, held)
            shifted = jnp.concatenate([jnp.zeros_like(profile[:1]), profile[:-1]])
            rest = jnp.where(later, shifted, 0)
            weights[part] = (_exit_weights(profile), _exit_weights(rest))
        return dataclasses.replace(
            base,
            variable=by_line("variable"),
            semi_fixed=by_line("semi_fixed"),
            fixed=by_line("fixed"),
            baseline=baseline[:, :, None],
            planned_semi=weights["semi_fixed"][0],
            planned_fixed=weights["fixed"][0],
            rest_semi=weights["semi_fixed"][1],
            rest_fixed=weights["fixed"][1],
        )

    def _released(self, part: str, held: tuple[int, ...]) -> Any:
        columns = []
        for i in held:
            line = self.case.lines[i]
            prefix = f"lines.{line.name}.cost.released"
            array = self.reader.declared(prefix, line.cost.released, part, self.labels)
            columns.append(jnp.asarray(array))
        if columns:
            return jnp.stack(columns, axis=1)
        return jnp.zeros((len(self.case.years), 0), self.reader.dtype)


def _exit_weights(profile: Any) -> Any:
    """Weights of the held reductions C_v in year t: differences of the release profile by age."""
    years = len(profile)
    zero = jnp.zeros_like(profile[0])
    rows = [
        [
            profile[t - v] - (profile[t - v - 1] if v < t else zero) if v <= t else zero
            for v in range(years)
        ]
        for t in range(years)
    ]
    return jnp.stack([jnp.stack(row) for row in rows])[:, :, :, None]
