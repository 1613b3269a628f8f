"""A case on the bench: settled on experience made up around its plan.

Everything goes through `riskshare.run.settle` in float64 with a sample dimension, so that what is
found is what the kernel pays, unrounded.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.bind import bind
from riskshare.case import Case
from riskshare.contract.term import AbstractTerm
from riskshare.errors import RiskshareError
from riskshare.names import ACCOUNTS
from riskshare.plan import law_of
from riskshare.run.settle import settle
from riskshare.run.simulate import draw

Numbers = NDArray[np.float64]

Values = Mapping[str, Numbers]
"""Experience by variable, each (year, row, sample)."""

_ROWS = {
    "activity": "line",
    "case_mix": "line",
    "unit_cost": "line",
    "driver_index": "driver",
    "members": "population",
    "quality": "partner",
    "person_cost": "line",
}
_APART = ("members[", "quality[", "other[")
_SET = "set"
"""The dimension along which numbers are given to a settlement."""

_CELLS = 4e7
"""Most numbers that the postings of one settlement may hold."""


@dataclass(frozen=True)
class Settled:
    """Outcomes as arrays, the year first and the sample last."""

    posting: Numbers
    """(year, term, partner, sample)"""
    cost: Numbers
    """(year, partner, sample)"""
    line_cost: Numbers
    """(year, line, sample)"""
    released: Numbers
    """(year, change, sample): what each change has really released."""
    cash: Numbers | None
    """(year, partner, sample), where any term pays late."""

    @property
    def position(self) -> Numbers:
        """Money received less money paid, less cost: (year, partner, sample)."""
        return np.asarray(self.posting.sum(1) - self.cost)

    @property
    def gross(self) -> Numbers:
        """Money that moves in a year and sample, cost included; at least 1: (year, sample)."""
        moved = np.abs(self.posting).sum((1, 2)) + np.abs(self.cost).sum(1)
        return np.asarray(np.maximum(moved, 1.0))

    def samples(self, part: slice) -> "Settled":
        """Return some of the samples."""
        cash = None if self.cash is None else self.cash[..., part]
        return Settled(
            self.posting[..., part],
            self.cost[..., part],
            self.line_cost[..., part],
            self.released[..., part],
            cash,
        )


class Probe:
    """A case with its plan as experience, and how to settle it on other experience."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.bound = bind(case)
        self.labels = case.labels()
        self.years = self.labels["year"]
        self.partners = self.labels["partner"]
        self.lines = self.labels["line"]
        self.terms = self.bound.structure.term_names
        """Full names in the order in which they run, the closing of accounts last."""
        self.drivers = tuple(name for name in case.indices() if not name.startswith(_APART))
        self.declared: dict[str, AbstractTerm] = {
            f"{contract.name}.{term.label}": term
            for contract in case.contracts
            for term in contract.terms
        }
        self.persons = tuple(
            name
            for name, slot in zip(self.terms, self.bound.numbers.yearly.terms, strict=True)
            if "persons" in slot.term.needs() and np.any(slot.term.in_force > 0)
        )
        self.late = any(term.cash is not None for term in self.declared.values())
        self.kinds = {partner.name: partner.kind for partner in case.partners}
        self.inside = np.array([partner.kind != "external" for partner in case.partners])
        self.plan = self._planned()

    def _planned(self) -> dict[str, Numbers]:
        view = self.bound.plan.view
        late = np.array([name.startswith("delay[") for name in self.drivers], bool)
        found = {
            "activity": view.plan,
            "case_mix": np.ones_like(view.plan),
            "unit_cost": self.bound.plan.unit_cost,
            "driver_index": np.tile(np.where(late, 0.0, 1.0), (len(self.years), 1)),
            "members": view.members,
        }
        if self.bound.structure.scored:
            scores = [
                np.nan if partner.quality is None else min(law_of(partner.quality).mean(), 1.0)
                for partner in self.case.partners
            ]
            found["quality"] = np.tile(np.array(scores), (len(self.years), 1))
        if self.persons:
            found["person_cost"] = np.zeros_like(view.plan)
        return found

    @functools.cached_property
    def at_plan(self) -> Settled:
        """The case settled at plan: one sample."""
        return self.settle_parts([({}, 1)])

    @property
    def most(self) -> int:
        """Samples that one settlement may have, so that its postings fit in memory."""
        cells = len(self.years) * max(len(self.terms), 1) * len(self.partners)
        return max(1024, int(_CELLS / cells))

    def values(self, parts: Sequence[tuple[Values, int]]) -> dict[str, Numbers]:
        """Return experience in parts, one after the other: what differs from plan, and samples."""
        total = sum(count for _, count in parts)
        whole = {
            name: np.repeat(plan[:, :, None], total, axis=2) for name, plan in self.plan.items()
        }
        start = 0
        for differs, count in parts:
            for name, values in differs.items():
                whole[name][..., start : start + count] = values
            start += count
        return whole

    def drawn(self, samples: int, seed: int) -> dict[str, Numbers]:
        """Draw what may happen; nothing is known of single persons."""
        found = draw(self.case, samples=min(samples, self.most), seed=seed, precision="float64")
        values = {
            name: np.asarray(found[name].values, np.float64) for name in self.plan if name in found
        }
        if "person_cost" in self.plan:
            values["person_cost"] = np.zeros_like(values["activity"])
        return values

    def settle(self, values: Values, numbers: Mapping[str, float] | None = None) -> Settled:
        """Settle the case, at other numbers where some are given by path.

        Raises
        ------
        RiskshareError
            For numbers that the case cannot have.
        """
        keep = ["cost", "posting", "line_cost"]
        keep += ["saving_released"] if self.case.changes else []
        keep += ["cash"] if self.late else []
        # numbers along a dimension are put in place without checking and binding a whole case
        sets = {path: xr.DataArray([value], dims=_SET) for path, value in (numbers or {}).items()}
        found = settle(self.case, self._dataset(values), keep=keep, parameters=sets or None)
        if sets:
            found = found.isel({_SET: 0})
        samples = found.sizes["sample"]
        nothing = np.zeros((len(self.years), 0, samples))
        return Settled(
            posting=found.posting.values,
            cost=found.cost.values,
            line_cost=found.line_cost.values,
            released=found.saving_released.values if "saving_released" in found else nothing,
            cash=found.cash.values if "cash" in found else None,
        )

    def settle_at(self, values: Values, numbers: Mapping[str, float]) -> Settled | None:
        """Settle the case at other numbers; None where it cannot have them."""
        try:
            return self.settle(values, numbers)
        except RiskshareError:
            return None

    def settle_parts(self, parts: Sequence[tuple[Values, int]]) -> Settled:
        """Settle experience given in parts, as `values` takes them."""
        return self.settle(self.values(parts))

    def _dataset(self, values: Values) -> xr.Dataset:
        rows = {
            "line": self.lines,
            "driver": self.drivers,
            "population": self.labels["population"],
            "partner": self.partners,
        }
        variables: dict[str, Any] = {}
        for name, array in values.items():
            if name == "person_cost":
                person = array[:, :, None, :]
                variables[name] = (("year", "line", "person", "sample"), person)
            else:
                variables[name] = (("year", _ROWS[name], "sample"), array)
        used = {dim for dims, _ in variables.values() for dim in dims}
        coords = {axis: list(labels) for axis, labels in rows.items() if axis in used}
        return xr.Dataset(variables, {"year": list(self.years), **coords})

    def term_of(self, name: str) -> AbstractTerm | None:
        """Return a term as declared; None for the closing of an account."""
        return None if name.startswith(f"{ACCOUNTS}.") else self.declared.get(name)

    def payment_terms(self) -> list[int]:
        """Return the places of the terms that run in the payment phase."""
        return [
            place
            for place, name in enumerate(self.terms)
            if name in self.declared and self.declared[name].runs_in == "payment"
        ]


def together(first: Values, second: Values) -> dict[str, Numbers]:
    """Return the samples of two experiences as one."""
    return {name: np.concatenate([first[name], second[name]], axis=-1) for name in first}
