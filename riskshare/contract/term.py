"""What a term is: a small immutable object, declared once, that returns transfers.

The same class serves the file and the kernel. As declared, its fields hold names and given values;
`riskshare.bind` replaces names by one-hot keys and positions, and every number by an array whose
first axis is the year, so that the kernel takes a year's slice of all of them at once.
"""

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar, dataclass_transform

import jax
import numpy as np
from jax import Array
from jaxtyping import Float
from numpy.typing import NDArray

from riskshare.contract.divisia import Split
from riskshare.contract.ledger import Ledger, Transfer
from riskshare.names import Phase
from riskshare.parameters import Declared, Parameter, Reference, fields_of

State = Mapping[str, Any]
"""What a term carries from year to year: arrays with the sample axis last, by name."""

Partner = Annotated[Any, Reference("partner")]
"""A partner's name; bound, its one-hot key over partners."""

TermLines = Annotated[Any, Reference("line", many=True)]
"""Names of lines; bound, their positions. Left out, the lines of the contract."""


@dataclass(frozen=True)
class YearView:
    """What a term may see of one year. Row axes as named; the sample axis is last."""

    price: Float[Array, "line 1"]
    plan: Float[Array, "line 1"]
    activity: Float[Array, "line sample"]
    value: Float[Array, "line sample"]
    """price x case mix x activity"""
    removed: Float[Array, "line sample"]
    stranded: Float[Array, "line sample"]
    driver_index: Float[Array, "driver sample"]
    members_index: Float[Array, "population sample"]
    deliverer: Float[Array, "partner line"]
    payer: Float[Array, "partner line"]
    influence: Float[Array, "partner index"]
    """What each partner bears of each index: its influence and its part of the residual key."""
    residual_key: Float[Array, " partner"]
    split: Callable[[tuple[int, ...]], Split]
    """Split of the deviation of line value over the given lines, worked out when asked for."""


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
    """

    kind: ClassVar[str]
    usual_phase: ClassVar[Phase]

    name: str = ""
    phase: Phase | None = None
    residue: Annotated[Any, Reference("partner")] = None

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

    def needs(self) -> frozenset[str]:
        """Return what the experience must hold besides activity: ``indices``, ``members``."""
        return frozenset()

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


T = TypeVar("T", bound=type)

TERMS: dict[str, type[AbstractTerm]] = {}
"""Every kind of term, by the name it has in a case file."""


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


@dataclass_transform(frozen_default=True, kw_only_default=True)
def term(cls: T) -> T:
    """Declare a kind of term: a frozen keyword-only dataclass, a pytree, known to case files."""
    made: Any = dataclass(frozen=True, kw_only=True)(cls)
    TERMS[made.kind] = traced(made)
    return made


def rows(values: Array, lines: tuple[int, ...]) -> Array:
    """Return the rows of the lines, without a copy where they are all of them in order."""
    if lines == tuple(range(values.shape[0])):
        return values
    return values[np.asarray(lines, np.int32)]


def columns(keys: Array, lines: tuple[int, ...]) -> Array:
    """Return the columns of the lines of a (partner, line) key."""
    if lines == tuple(range(keys.shape[1])):
        return keys
    return keys[:, np.asarray(lines, np.int32)]
