"""The case: a system and its contracts, one immutable object that checks itself.

``Case(...)`` raises `CaseError` with every problem found. Numbers are reached by path:
``case.number("msk.pool.share[acute]")``, ``case.with_numbers({...})``.
"""

import dataclasses
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from riskshare.contract import (  # noqa: F401  # kinds register
    accounts,
    marginal,
    organisation,
    payment,
    protection,
    sharing,
    support,
)
from riskshare.contract.budget import Budget
from riskshare.contract.term import AbstractTerm, Partner, TermLines
from riskshare.errors import ArgumentError
from riskshare.names import delay_name, delivery_name, members_name, other_name, quality_name
from riskshare.parameters import (
    NO_NUMBERS,
    Declared,
    FieldInfo,
    FrozenMap,
    Given,
    Items,
    Labels,
    Parameter,
    Reference,
    fields_of,
    item_path,
    numbers_in,
    rebuild,
    set_label,
    split_path,
)
from riskshare.system import (
    AbstractIndex,
    Change,
    Changes,
    Correlation,
    Dependence,
    Drivers,
    Line,
    Lines,
    Members,
    Partners,
    Rest,
    Series,
    Year,
)


@dataclass(frozen=True, kw_only=True)
class Contract(Declared):
    """An agreement: its scope, its budgets and its terms in the order in which they run.

    ``partners``, ``lines`` and ``years`` limit the scope (all of the case unless given); partners
    of kind ``external`` and ``pool`` may always be named. The name is unique, as are the names of
    budgets and terms within it.
    """

    name: str
    partners: Annotated[tuple[str, ...] | None, Reference("partner", many=True)] = None
    lines: TermLines = None
    years: Annotated[tuple[str, ...] | None, Reference("year", many=True)] = None
    budgets: Annotated[tuple[Budget, ...], Items("")] = ()
    terms: Annotated[tuple[AbstractTerm, ...], Items("")] = ()


@dataclass(frozen=True)
class Origin:
    """Where a case was read from: kept so that saving it keeps comments and tables."""

    path: str = ""
    text: str = ""
    tables: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    """(section, file name, names of the rows) of each CSV table beside the file."""


@dataclass(frozen=True, kw_only=True)
class Case(Declared):
    """A system of partners and lines, what is uncertain about it, and its contracts.

    Parameters
    ----------
    currency
        ISO 4217 code; its smallest unit is what settlements are rounded to.
    price_base
        The year in whose prices unit costs and prices are stated: one of the years, or ``before``
        for the year before the first. Inflation series give the rate into each later year. Term
        amounts are nominal money of their year.
    residual_key
        Shares of partners in what nobody controls and in line residuals.
    deflator
        General inflation into each year, for results in real terms.
    assumptions, sources
        Notes by path: what was never published and is assumed; where a figure comes from.
    """

    name: str
    title: str = ""
    description: str = ""
    currency: str = "GBP"
    price_base: str = ""
    years: tuple[Year, ...]
    partners: Partners
    members: Members = ()
    inflation: Series = ()
    drivers: Drivers = ()
    correlations: tuple[Correlation, ...] = ()
    dependence: Dependence = dataclasses.field(default=Dependence())
    residual_key: Annotated[
        Given,
        Parameter(
            "share",
            axes=("partner",),
            fill=0.0,
            lower=0.0,
            upper=1.0,
            sums_to_one="partner",
            by_year=False,
        ),
    ] = None
    deflator: Annotated[Given, Parameter("rate per year", lower=-1.0, upper=1.0)] = None
    lines: Lines = ()
    changes: Changes = ()
    contracts: Annotated[tuple[Contract, ...], Items("")] = ()
    assumptions: FrozenMap = NO_NUMBERS
    sources: FrozenMap = NO_NUMBERS
    origin: Origin = dataclasses.field(default=Origin(), compare=False, repr=False)

    def __post_init__(self) -> None:
        """Freeze the fields and check the case as a whole."""
        super().__post_init__()
        from riskshare.checks import check_case  # it needs to know what a case is

        check_case(self)

    def line(self, name: str) -> Line:
        """Return a line by name."""
        return next(line for line in self.lines if line.name == name)

    def contract(self, name: str) -> Contract:
        """Return a contract by name."""
        return next(contract for contract in self.contracts if contract.name == name)

    def indices(self) -> dict[str, AbstractIndex]:
        """Return everything that is drawn with a law and a process, by driver name.

        In this order: drivers, ``members[<population>]``, ``delivery[<change>]``, and where there
        is one ``delay[<change>]``, ``quality[<partner>]``, ``other[<partner>]``.
        """
        found: dict[str, AbstractIndex] = {driver.name: driver for driver in self.drivers}
        found |= {members_name(p.name): p for p in self.members}
        found |= {delivery_name(change.name): change.delivery for change in self.changes}
        found |= {delay_name(c.name): c.delay for c in self.changes if c.delay is not None}
        found |= {quality_name(p.name): p.quality for p in self.partners if p.quality is not None}
        found |= {
            other_name(p.name): Rest.of(p.other_position)
            for p in self.partners
            if p.other_position is not None
        }
        return found

    def labels(self) -> dict[str, tuple[str, ...]]:
        """Return the labels of each axis."""
        years = tuple(year.label for year in self.years)
        return {
            "year": years,
            "age": years,
            "point": (),
            "partner": tuple(partner.name for partner in self.partners),
            "line": tuple(line.name for line in self.lines),
            "driver": tuple(driver.name for driver in self.drivers),
            "population": tuple(population.name for population in self.members),
            "series": tuple(series.name for series in self.inflation),
            "direction": ("up", "down"),
            "outcome": ("gain", "loss"),
            "bound": ("10%", "90%"),
        }

    def scope_lines(self, contract: Contract) -> tuple[str, ...]:
        """Return the lines of a contract: those it lists, or all between its partners."""
        if contract.lines is not None:
            return tuple(contract.lines)
        if contract.partners is None:
            return self.labels()["line"]
        outside = {p.name for p in self.partners if p.kind in ("external", "pool")}
        others = {p.name for p in self.partners} - set(contract.partners) - outside
        return tuple(line.name for line in self.lines if not {line.payer, line.deliverer} & others)

    def numbers(self) -> dict[str, float]:
        """Return every number that was given, by path."""
        return {path: value for path, value, _ in self.declared_numbers()}

    def declared_numbers(self) -> Iterator[tuple[str, float, Parameter]]:
        """Yield path, value and declaration of every number that was given."""
        found: list[tuple[str, float, Parameter]] = []

        def collect(path: str, given: Given, parameter: Parameter, owner: Any) -> Given:
            labels = self._labels_of(owner)
            for name, number in numbers_in(given, path, labels, parameter.sequence):
                found.append((name, number, parameter))
            return given

        rebuild(self, "", collect)
        yield from found

    def number(self, path: str) -> float:
        """Return the number at a path."""
        numbers = self.numbers()
        if path not in numbers:
            raise ArgumentError(_no_path(path, numbers))
        return numbers[path]

    def with_numbers(self, values: Mapping[str, float]) -> Self:
        """Return the case with the numbers at the given paths replaced.

        A path may name one label of a number that holds for all, such as
        ``msk.marginal-rate.rate[inpatients]``.
        """
        left = dict(values)

        def change(path: str, given: Given, parameter: Parameter, owner: Any) -> Given:
            labels = self._labels_of(owner)
            for name in [name for name in left if split_path(name)[0] == path or name == path]:
                keys = () if name == path else split_path(name)[1]
                value = float(left[name])
                try:
                    given = set_label(given, keys, value, parameter, labels)
                except KeyError as missing:
                    raise ArgumentError(f"{name}: no label {missing} on {path}") from None
                left.pop(name)
            return given

        new = rebuild(self, "", change)
        if left:
            raise ArgumentError(_no_path(next(iter(left)), self.numbers()))
        return new

    def _labels_of(self, owner: Any) -> Labels:
        labels = self.labels()
        lines, other = getattr(owner, "lines", None), getattr(owner, "other", None)
        if isinstance(lines, tuple) and lines and all(isinstance(line, str) for line in lines):
            labels = {**labels, "line": lines}
        return {**labels, "item": tuple(other)} if isinstance(other, Mapping) else labels


def _no_path(path: str, numbers: Mapping[str, float]) -> str:
    near = difflib.get_close_matches(path, numbers, n=3)
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    return f"no number has the path {path!r}{hint}"


__all__ = ["Case", "Change", "Contract", "FieldInfo", "Origin", "Partner", "fields_of", "item_path"]
