"""The case: a system and its contracts, one immutable object that checks itself.

``Case(...)`` raises `CaseError` with every problem found. Numbers are reached by path:
``case.number("msk.pool.share[acute]")``, ``case.with_numbers({...})``.
"""

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np

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
    FREE_LENGTH,
    NO_NUMBERS,
    Declared,
    FieldInfo,
    FrozenMap,
    Given,
    Items,
    Labels,
    Parameter,
    Reference,
    field_paths,
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

        labels = self.labels()

        def collect(path: str, given: Given, parameter: Parameter, owner: Any) -> Given:
            for name, number in numbers_in(given, path, labels, parameter.sequence):
                found.append((name, number, parameter))
            return given

        rebuild(self, "", collect)
        yield from found

    def number(self, path: str) -> float:
        """Return the number at a path."""
        numbers = self.numbers()
        if path not in numbers:
            raise ArgumentError(f"no number has the path {path!r}{_near(path, numbers)}")
        return numbers[path]

    def with_numbers(self, values: Mapping[str, float]) -> Self:
        """Return the case with numbers at the given paths, all set at once.

        A path may name one label of a number that holds for all, such as
        ``msk.marginal-rate.rate[inpatients]``, and a number that was left out.

        Raises
        ------
        ArgumentError
            For a path or a label that there is not, with the nearest, and for what is no number.
        CaseError
            For numbers that the case cannot have.
        """

        def number(field: Field, path: str) -> Given:
            if not isinstance(field.info.declaration, Parameter):
                near = _near(path, self.numbers())
                raise ArgumentError(f"{path} is no number; accepted: the path of one{near}")
            value = values[path]
            if isinstance(value, str | bool) or np.ndim(value):
                raise ArgumentError(f"{path}: found {value!r}; accepted: a number")
            return field.with_number(path, float(value))

        return dataclasses.replace(self, **self.changed(values, number))

    def changed(self, paths: Iterable[str], new: "Callable[[Field, str], Any]") -> dict[str, Any]:
        """Return the fields of the case that differ once fields below them hold something new.

        Parameters
        ----------
        paths
            Of fields, or of numbers in them. A number for all labels comes before those for some.
        new
            Takes a field and the path, and returns what the field is to hold.

        Raises
        ------
        ArgumentError
            For a path that there is not, with the nearest.
        """
        left = sorted(paths, key=lambda path: len(split_path(path)[1]))
        fields = _changed(self, self, "", self.labels(), left, new)
        if left:
            near = _near(left[0], dict.fromkeys([*self.numbers(), *field_paths(self)]))
            raise ArgumentError(
                f"{left[0]}: nothing in the case has that path"
                f"{near or '; paths are those of error messages'}"
            )
        return fields

    def labels_of(self, node: Any, labels: Labels) -> Labels:
        """Return the labels by which numbers of an object, and of what it holds, may vary.

        Those of what holds it, but: within a contract the partners and lines of its scope, within
        an object that lists lines these, and within one with ``other`` items of its own their
        names.
        """
        own = dict(labels)
        if isinstance(node, Contract):
            own["line"] = self.scope_lines(node)
            if node.partners is not None:
                inside = {p.name for p in self.partners if p.kind in ("external", "pool")}
                inside |= set(node.partners)
                own["partner"] = tuple(name for name in labels["partner"] if name in inside)
        lines, other = getattr(node, "lines", None), getattr(node, "other", None)
        if isinstance(lines, tuple) and lines and all(isinstance(line, str) for line in lines):
            own["line"] = lines
        if isinstance(other, Mapping):
            own["item"] = tuple(other)
        return own


@dataclass(frozen=True)
class Field:
    """A field at its place in a case: what it is, what it holds, and the labels it may vary by."""

    info: FieldInfo
    value: Any
    labels: Labels

    def with_number(self, path: str, value: float) -> Given:
        """Return the given value with a number where the path says.

        Raises
        ------
        ArgumentError
            For a label that there is not.
        """
        parameter = self.info.declaration
        assert isinstance(parameter, Parameter)
        keys = split_path(path)[1]
        axes = [axis for axis in parameter.all_axes if axis not in FREE_LENGTH]
        known = [label for axis in axes for label in self.labels.get(axis, ())]
        try:
            if self.value is not None:
                return set_label(self.value, keys, value, parameter, self.labels)
            for key in keys:
                if key not in known:
                    raise KeyError(key)
        except KeyError as missing:
            near = _near(str(missing.args[0]), known).removeprefix("; ")
            listed = f"accepted: {', '.join(known)}" if known else "it has no labels"
            hint = " ".join(part for part in (near, listed) if part)
            raise ArgumentError(f"{path}: no label {missing} there; {hint}") from None
        given: Given = value  # what the other labels have is left for the check to ask
        for key in reversed(keys):
            given = FrozenMap({key: given})
        return given


def _changed(
    case: Case,
    node: Declared,
    prefix: str,
    labels: Labels,
    left: list[str],
    new: Callable[[Field, str], Any],
) -> dict[str, Any]:
    """Return the fields of a declared object that differ, and take their paths out of ``left``."""
    fields: dict[str, Any] = {}
    labels = case.labels_of(node, labels)
    for info in fields_of(type(node)):
        value: Any = getattr(node, info.name)
        at = ".".join(part for part in (prefix, info.name.rstrip("_")) if part)
        number = isinstance(info.declaration, Parameter)
        if isinstance(info.declaration, Parameter) and info.declaration.derived:
            continue
        for path in [p for p in left if p == at or (number and split_path(p)[0] == at)]:
            left.remove(path)
            fields[info.name] = value = new(Field(info, value, labels), path)
        if isinstance(value, Declared):
            inner = _changed(case, value, at, labels, left, new)
            if inner:
                fields[info.name] = _replaced(value, inner)
        elif isinstance(value, tuple) and value and isinstance(value[0], Declared):
            parts = [
                _changed(case, item, item_path(prefix, info, item, i), labels, left, new)
                for i, item in enumerate(value)
            ]
            if any(parts):
                items = zip(value, parts, strict=True)
                fields[info.name] = tuple(_replaced(*item) for item in items)
    return fields


def _replaced(node: Any, fields: Mapping[str, Any]) -> Any:
    return dataclasses.replace(node, **fields) if fields else node


def _near(word: str, known: Iterable[str]) -> str:
    """Return a question after the known words that are most like one that is not."""
    near = difflib.get_close_matches(word, list(known), n=3)
    return f"; did you mean {', '.join(near)}?" if near else ""


__all__ = ["Case", "Change", "Contract", "FieldInfo", "Origin", "Partner", "fields_of", "item_path"]
