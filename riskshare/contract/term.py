"""What a term is: a small immutable object, declared once, that returns transfers.

The same class serves the file and the kernel. As declared, its fields hold names and given values;
`riskshare.bind` replaces names by one-hot keys and positions, and every number by an array whose
first axis is the year, so that the kernel takes a year's slice of all of them at once.
"""

import abc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float
from numpy.typing import NDArray

from riskshare.contract.divisia import Split
from riskshare.contract.ledger import Ledger, Transfer, per_line
from riskshare.contract.rows import picked
from riskshare.names import Phase
from riskshare.parameters import Declared, Given, Labels, Parameter, Reference, fields_of

T = TypeVar("T", bound=type)

State = Mapping[str, Any]
"""What a term carries from year to year, by name: (sample) or (row, sample) arrays."""

Partner = Annotated[Any, Reference("partner")]
"""A partner's name; bound, its one-hot key over partners."""

TermLines = Annotated[Any, Reference("line", many=True)]
"""Names of lines; bound, their positions. Left out, the lines of the contract."""


@dataclass(frozen=True)
class YearView:
    """What a term may see of one year. Row axes as named; the sample axis is last."""

    price: Float[Array, "line 1"]
    plan: Float[Array, "line 1"]
    baseline: Float[Array, "line 1"]
    activity: Float[Array, "line sample"]
    value: Float[Array, "line sample"]
    """price x case mix x activity"""
    removed: Float[Array, "line sample"]
    stranded: Float[Array, "line sample"]
    line_cost: Float[Array, "line sample"]
    cost_released: Float[Array, "line sample"]
    cost: Float[Array, "partner sample"]
    """What each partner's activity and changes cost this year."""
    driver_index: Float[Array, "driver sample"]
    members_index: Float[Array, "population sample"]
    members: Float[Array, "population sample"]
    """Counts; need weights are apart."""
    need: Float[Array, "population 1"]
    quality: Float[Array, "partner sample"]
    """Scores from 0 to 1; zero for partners without one."""
    person_cost: Float[Array, "line person sample"] | None
    """Cost of each person on each line, where the experience holds it; absent people have 0."""
    target: Float[Array, "partner 1"]
    """Position each partner must reach, offsets included."""
    turnover: Float[Array, "partner 1"]
    fraction: Float[Array, ""]
    """Length of the year in years."""
    deliverer: Float[Array, "partner line"]
    payer: Float[Array, "partner line"]
    influence: Float[Array, "partner index"]
    """What each partner bears of each index: its influence and its part of the residual key."""
    residual_key: Float[Array, " partner"]
    split: Callable[[tuple[int, ...]], Split]
    """Split of the deviation of line value over the given lines, worked out when asked for."""
    pennies: Callable[[Array], Array] = lambda amount: amount
    """Rounds money to the smallest unit, where what really happened is settled; simulation leaves
    it as it is."""
    note: Callable[..., None] = lambda step, **figures: None
    """Notes a step of the working, ``note("gate", rate=..., threshold=...)``, for the statement of
    a settled year; simulation ignores it."""
    once: Callable[[Array], Array] = lambda amount: amount
    """Takes a single amount, (sample) or (1, sample), that took many steps to make: a CPU stores
    it, where a compiler would make it again for each partner. Several rows go through as they
    are, and so does what really happened."""


@dataclass(frozen=True)
class PlanView:
    """The plan as numbers, on the host in float64: what a term may use while it is bound."""

    price: NDArray[np.float64]
    base_price: NDArray[np.float64]
    """(year, line): price before any planned inflation."""
    plan: NDArray[np.float64]
    baseline: NDArray[np.float64]
    before: NDArray[np.float64]
    """(year, line): activity before changes, growth and planned exposure included."""
    new_service: NDArray[np.float64]
    """(line): true where a line has no baseline of its own."""
    removed: NDArray[np.float64]
    stranded: NDArray[np.float64]
    members: NDArray[np.float64]
    need: NDArray[np.float64]
    """(year, population): need weight."""
    fraction: NDArray[np.float64]
    deliverer: NDArray[np.float64]
    """(partner, line): one where a partner delivers a line."""


@dataclass(frozen=True)
class Surroundings:
    """What the check of a term may look at besides itself."""

    labels: Labels
    """Labels of each axis, lines being those of the term."""
    earlier: Mapping[str, "AbstractTerm"]
    """Terms of the contract that run before it, by label."""
    kinds: Mapping[str, str]
    """Kind of each partner."""
    scored: frozenset[str]
    """Partners whose quality has a value or a law."""
    people: frozenset[str]
    """Populations."""
    turnover: Mapping[str, Any]
    """Turnover of each partner as given."""
    residual_key: bool
    """Whether the case says who bears what nobody controls."""


def traced(cls: T) -> T:
    """Make a declared class a pytree: numbers and partner keys are leaves, the rest static."""
    leaves: list[str] = []
    static: list[str] = []
    for info in fields_of(cls):
        reference = info.declaration
        number = isinstance(reference, Parameter)
        key = isinstance(reference, Reference) and reference.to in ("partner", "budget")
        nested = not isinstance(reference, Reference) and _holds_declared(info.type)
        (leaves if number or key or nested else static).append(info.name)
    jax.tree_util.register_dataclass(cls, leaves, static)
    return cls


def _holds_declared(hint: Any) -> bool:
    if isinstance(hint, type):
        return issubclass(hint, Declared)
    return any(_holds_declared(argument) for argument in getattr(hint, "__args__", ()))


@dataclass(frozen=True, kw_only=True)
class Cash(Declared):
    """When money that a term has earned is paid: earned and cash are kept apart.

    ``cash(t) = due(t) x min(1, limit x |of| / |due|)``, ``due(t) = sum over ages a of profile[a] x
    posting(t - a) + what was due and not paid``; |of| is what the named terms move in the year, in
    gross. What is not paid is due in the next year.

    Parameters
    ----------
    profile
        Share paid in the year it is earned, the year after, and so on; sums to 1.
    limit, of
        What is paid in one year is at most this share of what the named terms move.
    """

    profile: Annotated[
        Given, Parameter("share", sequence="point", by_year=False, lower=0.0, upper=1.0)
    ]
    limit: Annotated[Given, Parameter("share", lower=0.0, base="of")] = None
    of: Annotated[tuple[str, ...], Reference("term", many=True)] = ()


traced(Cash)


@dataclass(frozen=True, kw_only=True)
class AbstractTerm(Declared, abc.ABC):
    """One clause of a contract.

    Parameters
    ----------
    name
        Unique in its contract; the kind unless given.
    phase
        When it runs, where not in its usual phase.
    residue
        Who takes what rounding leaves when actuals are settled; its payer unless given.
    in_force
        Share of the year in which it holds: 1 unless given, 0 switches it off, 0.5 starts it
        halfway through. What it moves is scaled.
    recurrent
        Whether what it moves will come again; if not, the underlying position leaves it out.
    cash
        When what it moves is paid, where that is not in the year itself.
    """

    kind: ClassVar[str]
    usual_phase: ClassVar[Phase]

    name: str = ""
    phase: Phase | None = None
    residue: Annotated[Any, Reference("partner")] = None
    in_force: Annotated[Given, Parameter("share of the year", lower=0.0, upper=1.0)] = 1.0
    recurrent: bool = True
    cash: Cash | None = None

    @property
    def label(self) -> str:
        """Its name, or its kind where it has none."""
        return self.name or self.kind

    @property
    def runs_in(self) -> Phase:
        """The phase it runs in."""
        return self.phase or self.usual_phase

    def prepared(self, plan: PlanView) -> "AbstractTerm":
        """Return the bound term with what depends on the plan alone worked out."""
        del plan
        return self

    def problems(self, around: Surroundings) -> Iterator[tuple[str, str]]:
        """Yield what declarations cannot say: the field at fault and what is wrong with it."""
        del around
        return iter(())

    def pays(self, deviation: Array, base: Array) -> Array | None:
        """Return what it moves at deviations from a base, (1, point), taken as its only line.

        It shows a reader what a choice of words means in money. None where a term has no such
        reading.
        """
        del deviation, base
        return None

    def needs(self) -> frozenset[str]:
        """Return what the experience must hold besides activity.

        ``indices``, ``members``, ``persons``, ``driver <position>``, ``quality <position>``.
        """
        return frozenset()

    def modelled_cost(self) -> tuple[str, tuple[int, ...]] | None:
        """Return what of the model of cost it pays on, and of which lines; None where nothing.

        Where the cost of a line is given, it is not known.
        """
        return None

    def person_limit(self) -> Any:
        """Return the lowest amount per person that it looks at, by year; None where it does not."""
        return None

    def person_lines(self) -> tuple[int, ...]:
        """Return the lines whose people it looks at."""
        return ()

    def initial(self, like: Array) -> State:
        """Return its state before the first year; ``like`` is (row, sample)."""
        del like
        return {}

    @abc.abstractmethod
    def residue_key(self, year: YearView) -> Float[Array, " partner"]:
        """One-hot key of who takes the rounding residue where ``residue`` is not given."""

    @abc.abstractmethod
    def settle(
        self, year: YearView, ledger: Ledger, state: State
    ) -> tuple[tuple[Transfer, ...], State]:
        """Return what moves this year, and the state after it."""


TERMS: dict[str, type[AbstractTerm]] = {}
"""Every kind of term, by the name it has in a case file."""


@dataclass_transform(frozen_default=True, kw_only_default=True)
def term(cls: T) -> T:
    """Declare a kind of term: a frozen keyword-only dataclass, a pytree, known to case files."""
    made: Any = dataclass(frozen=True, kw_only=True)(cls)
    TERMS[made.kind] = traced(made)
    return made


def rows(values: Array, lines: tuple[int, ...]) -> Array:
    """Return the rows of the lines, without a copy where they are all of them in order."""
    return picked(values, lines)


def columns(keys: Array, lines: tuple[int, ...]) -> Array:
    """Return the columns of the lines of a (partner, line) key."""
    return picked(keys, lines, axis=1)


def samples_of(year: YearView) -> Array:
    """Return a one for each sample."""
    return jnp.ones(year.activity.shape[-1:], year.activity.dtype)


def first_payer(year: YearView, lines: tuple[int, ...]) -> Array:
    """Return the payer of the first line: who takes the residue of a term by line."""
    return year.payer[:, lines[0]]


def to_deliverers(year: YearView, lines: tuple[int, ...], amount: Array) -> Transfer:
    """Transfer an amount of each line from its payer to its deliverer."""
    return per_line(amount, columns(year.deliverer, lines), columns(year.payer, lines))
