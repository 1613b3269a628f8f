"""Whole valid cases and experiences of them, drawn by Hypothesis.

What decides the compiled program (how many partners, which terms, which laws) comes from a family
of numbered *structures*; every number, and how it is written (once, by label, by year), is drawn
freely. So a property sees many cases and the kernel is compiled a few times.
"""

import dataclasses
import datetime
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import numpy as np
import xarray as xr
from hypothesis.strategies import DrawFn

from riskshare.bind import bind
from riskshare.case import Case, Contract
from riskshare.contract.budget import Budget
from riskshare.contract.payment import (
    ActivityPayment,
    Band,
    Block,
    BreakGlass,
    CapitatedBudget,
    Funding,
    MarginalRate,
)
from riskshare.contract.sharing import Corridor, Pool
from riskshare.contract.support import StrandedSupport
from riskshare.contract.term import AbstractTerm
from riskshare.names import PHASES, delivery_name
from riskshare.parameters import Given, Parameter, declaration_of
from riskshare.system import (
    Change,
    Correlation,
    CostBehaviour,
    Delay,
    Delivery,
    Driver,
    Inflation,
    Line,
    Noise,
    Partner,
    Population,
    Released,
    Step,
    Year,
)

FAMILY = tuple(range(10))
"""Numbers of the structures that `cases` draws from unless told otherwise."""

Number = Callable[[], float]


@dataclass
class Setting:
    """What the terms of one contract may name, and how choices and numbers are made.

    Structure (whether a field is given, which word, which lines) must come from ``pick``, which
    the structure's number fixes; numbers, and which partner is meant, from ``draw``.
    """

    pick: random.Random
    draw: DrawFn
    labels: dict[str, tuple[str, ...]]
    partners: tuple[str, ...]
    lines: tuple[str, ...]
    line_parts: dict[str, tuple[str, ...]]
    """Lines of each stranded-support term, so that none is supported twice."""
    budgets: tuple[Budget, ...] = ()
    funding_driver: str | None = None
    influence: bool = False
    """Whether the case has a residual key, which the influence key needs."""
    earlier: list[AbstractTerm] = field(default_factory=list)

    def chance(self, probability: float) -> bool:
        """Choose a part of the structure."""
        return self.pick.random() < probability

    def number(self, low: float, high: float, parts: int = 100) -> float:
        """Draw a number with few digits, both ends included."""
        return round(low + (high - low) * self.draw(st.integers(0, parts)) / parts, 10)

    def given(self, parameter: Parameter, number: Number, **labels: tuple[str, ...]) -> Given:
        """Draw a given value in any shape its declaration accepts."""
        return _given(self.draw, parameter, number, {**self.labels, **labels})

    def numbers(self, cls: type, name: str, low: float, high: float, **labels: Any) -> Given:
        """Draw a given value for a declared number of a class."""
        return self.given(declaration_of(cls, name), lambda: self.number(low, high), **labels)

    def partner(self) -> str:
        """Draw a partner."""
        return self.draw(st.sampled_from(self.partners))

    def two_partners(self) -> tuple[str, str]:
        """Draw two different partners."""
        first, second = self.draw(
            st.lists(st.sampled_from(self.partners), min_size=2, max_size=2, unique=True)
        )
        return first, second

    def some_lines(self) -> tuple[str, ...] | None:
        """Choose lines of the contract, or leave them to it."""
        if self.chance(0.4):
            return None
        return tuple(self.pick.sample(self.lines, self.pick.randint(1, len(self.lines))))

    def common(self, phases: tuple[str, ...] = PHASES) -> dict[str, Any]:
        """Choose the fields of every term: a phase and who takes the residue."""
        return {
            "phase": self.pick.choice(phases) if self.chance(0.25) else None,
            "residue": self.partner() if self.chance(0.25) else None,
        }

    def key(self) -> dict[str, float]:
        """Draw shares of partners that sum to one; some have none."""
        return _shares(self.draw, self.partners)


TermStrategy = Callable[[Setting], AbstractTerm | None]

STRATEGIES: dict[str, TermStrategy] = {}
"""How each kind of term is drawn, in the order in which a contract lists them."""


def strategy_for(kind: str) -> Callable[[TermStrategy], TermStrategy]:
    """Let a kind of term join every drawn case.

    The function returns a term for a `Setting`, without a name, or None where the setting has no
    room for one (a single partner, no budget).

    Examples
    --------
    >>> from riskshare.testing import STRATEGIES
    >>> "marginal-rate" in STRATEGIES
    True
    """

    def join(strategy: TermStrategy) -> TermStrategy:
        STRATEGIES[kind] = strategy
        return strategy

    return join


@strategy_for("funding")
def _funding(setting: Setting) -> AbstractTerm | None:
    if len(setting.partners) < 2:
        return None
    from_, to = setting.two_partners()
    return Funding(
        from_=from_,
        to=to,
        amount=setting.numbers(Funding, "amount", 0, 2e6),
        driver=setting.funding_driver if setting.chance(0.6) else None,
        **setting.common(),
    )


@strategy_for("capitated-budget")
def _capitated_budget(setting: Setting) -> AbstractTerm | None:
    paid = [budget for budget in setting.budgets if budget.name == "paid"]
    if len(setting.partners) < 2 or not paid:
        return None
    from_, to = setting.two_partners()
    return CapitatedBudget(from_=from_, to=to, budget="paid", **setting.common())


@strategy_for("block")
def _block(setting: Setting) -> AbstractTerm:
    uplift = setting.numbers(Block, "uplift", -0.05, 0.05)
    if setting.chance(0.4):
        return Block(
            amount=setting.numbers(Block, "amount", 0, 1e6),
            from_=setting.partner(),
            to=setting.partner(),
            uplift=uplift,
            **setting.common(),
        )
    return Block(lines=setting.some_lines(), uplift=uplift, **setting.common())


@strategy_for("activity-payment")
def _activity_payment(setting: Setting) -> AbstractTerm:
    lines = setting.some_lines()
    own = {"line": lines or setting.lines}
    return ActivityPayment(
        lines=lines,
        share=setting.numbers(ActivityPayment, "share", 0, 1.2, **own),
        market_forces_factor=setting.numbers(
            ActivityPayment, "market_forces_factor", 0.9, 1.2, **own
        ),
        **setting.common(),
    )


@strategy_for("marginal-rate")
def _marginal_rate(setting: Setting) -> AbstractTerm:
    lines = setting.some_lines()
    per = setting.pick.choice(["line", "total"])
    own = {"line": lines or setting.lines if per == "line" else ()}
    banded, glass = setting.chance(0.5), setting.chance(0.6)
    tolerance = not banded and setting.chance(0.6)

    def rate(cls: type) -> Given:
        return setting.numbers(cls, "rate", 0, 1.5, **own)

    def edge(cls: type, name: str, place: int) -> Given:
        return setting.numbers(cls, name, 0.05 * place, 0.05 * place + 0.04, **own)

    count = setting.pick.randint(1, 3)
    bands = [Band(beyond=edge(Band, "beyond", i), rate=rate(Band)) for i in range(count)]
    return MarginalRate(
        lines=lines,
        per=per,  # type: ignore[arg-type]  # one of the two
        rate=None if banded else rate(MarginalRate),
        tolerance=edge(MarginalRate, "tolerance", 0) if tolerance else None,
        bands=bands if banded else (),  # type: ignore[arg-type]  # lists become tuples
        break_glass=BreakGlass(
            threshold=edge(BreakGlass, "threshold", 4),
            rate=rate(BreakGlass),
            reading=setting.pick.choice(["excess-only", "whole-deviation"]),  # type: ignore[arg-type]  # one of the two
        )
        if glass
        else None,
        base=setting.numbers(MarginalRate, "base", 0, 2e6, line=lines or setting.lines)
        if setting.chance(0.4)
        else None,
        cap=setting.numbers(MarginalRate, "cap", 0, 0.3, **own) if setting.chance(0.5) else None,
        collar=setting.numbers(MarginalRate, "collar", 0, 0.3, **own)
        if setting.chance(0.5)
        else None,
        **setting.common(),
    )


@strategy_for("stranded-support")
def _stranded_support(setting: Setting) -> AbstractTerm | None:
    if not setting.line_parts:
        return None
    label, lines = next(iter(setting.line_parts.items()))
    own = {"line": lines or setting.lines}
    paid = any(b.name == "paid" and b.stranded_support == label for b in setting.budgets)
    common = setting.common(("payment",))
    return StrandedSupport(
        lines=lines or None,
        share=setting.numbers(StrandedSupport, "share", 0, 1, **own),
        of=setting.pick.choice(["value removed", "stranded cost"]),  # type: ignore[arg-type]  # one of the two
        basis=setting.pick.choice(["planned", "realised"]),  # type: ignore[arg-type]  # one of the two
        taper=setting.numbers(StrandedSupport, "taper", 0, 1),
        paid_in="paid" if paid else None,
        **common,
    )


@strategy_for("pool")
def _pool(setting: Setting) -> AbstractTerm | None:
    common = setting.common(PHASES[2:])
    runs_in = PHASES.index(common["phase"] or "sharing")
    before = [term for term in setting.earlier if PHASES.index(term.runs_in) <= runs_in]
    budgets = [budget for budget in setting.budgets if budget.name == "target"]
    if not before or not budgets:
        return None
    budget = budgets[0]
    posted = [t.label for t in before if isinstance(t, StrandedSupport) and t.paid_in is None]
    named = [label for label in posted if label == budget.stranded_support]
    usable = [term.label for term in before if term.label not in posted]
    against = setting.pick.sample(usable, setting.pick.randint(1, len(usable))) + named
    keys = ["fixed", "proportional"] + ["influence"] * 2 * setting.influence
    key = setting.pick.choice(keys)
    weights = {name: 100 * share for name, share in setting.key().items()}
    corridors = [
        Corridor(
            beyond=setting.numbers(Corridor, "beyond", 0.03 * i, 0.03 * i + 0.02),
            rate=setting.numbers(Corridor, "rate", 0, 1),
        )
        for i in range(setting.pick.randint(0, 3))
    ]
    return Pool(
        budget="target",
        against=against,  # type: ignore[arg-type]  # lists become tuples
        holder=setting.partner(),
        key=key,  # type: ignore[arg-type]  # one of the three
        share=setting.key() if key == "fixed" else None,
        loss_share=setting.key() if key == "fixed" and setting.chance(0.5) else None,
        weights=weights if key == "proportional" else None,
        corridors=corridors,  # type: ignore[arg-type]  # lists become tuples
        cap=setting.numbers(Pool, "cap", 0, 0.2) if setting.chance(0.5) else None,
        lines=setting.some_lines() if key == "influence" else None,
        **common,
    )


@st.composite
def cases(draw: DrawFn, structures: tuple[int, ...] = FAMILY) -> Case:
    """Draw a valid case.

    Parameters
    ----------
    structures
        Numbers of the structures to draw from. Cases of one number share their compiled kernels.

    Returns
    -------
    Case
        One to four organisations, perhaps a pool account and `external`; one to three years, some
        of them part-years; one to four lines; drivers, populations, changes and every kind of term.
    """
    number = draw(st.sampled_from(structures))
    return _World(number, draw).case()


class _World:
    """Builds one case: ``pick`` makes its structure, ``draw`` its numbers."""

    def __init__(self, number: int, draw: DrawFn) -> None:
        self.structure = number
        self.pick = random.Random(number)
        self.draw = draw
        self.years = self._years(number % 3 + 1)
        self.organisations = ("payer", "acute", "council", "community")[: (4, 2, 3, 1)[number % 4]]
        self.pools = ("account",) if self._chance(0.6) and number % 4 != 3 else ()
        self.outside = ("external",) if self._chance(0.7) or self.pools else ()
        self.partners = self.organisations + self.pools + self.outside
        self.populations = ("adults", "children")[: self.pick.randint(0, 2)]
        self.series = ("pay", "other")[: self.pick.randint(0, 2)]
        kinds = ["activity", "case_mix", "unit_cost", "funding", "chance", "activity"]
        self.pick.shuffle(kinds)
        count = 0 if number % 10 == 3 else self.pick.randint(3, 6)
        self.driver_kinds = {f"d{i}-{kind}": kind for i, kind in enumerate(kinds[:count])}
        names = ("outpatients", "inpatients", "triage", "beds")
        self.lines = names[
            : self.pick.randint(1, 4) if number % 4 == 3 else self.pick.randint(2, 4)
        ]
        self.new = tuple(name for name in self.lines[1:] if self._chance(0.3))
        self.labels: dict[str, tuple[str, ...]] = {
            "year": tuple(year.label for year in self.years),
            "age": tuple(year.label for year in self.years),
            "partner": self.partners,
            "line": self.lines,
            "driver": tuple(self.driver_kinds),
            "population": self.populations,
            "series": self.series,
            "direction": ("up", "down"),
            "outcome": ("gain", "loss"),
            "bound": ("10%", "90%"),
        }

    def case(self) -> Case:
        """Return the case."""
        drivers = tuple(self._driver(name, kind) for name, kind in self.driver_kinds.items())
        members = tuple(self._population(name) for name in self.populations)
        lines = tuple(self._line(name, drivers) for name in self.lines)
        changes = self._changes()
        deliveries = {delivery_name(change.name): change.delivery for change in changes}
        indices = {driver.name: driver for driver in drivers} | deliveries
        residual = self._chance(0.7)
        return Case(
            name=f"structure-{self.structure}",
            currency="GBP",
            price_base=self.years[0].label,
            years=self.years,
            partners=tuple(self._partner(name) for name in self.partners),
            members=members,
            inflation=tuple(
                Inflation(name=name, rate=self._given(Inflation, "rate", -0.05, 0.1))
                for name in self.series
            ),
            drivers=drivers,
            correlations=self._correlations(
                [n for n, index in indices.items() if not index.certain]
            ),
            residual_key=_shares(self.draw, self.organisations) if residual else None,
            lines=lines,
            changes=changes,
            contracts=self._contracts(residual),
        )

    def _chance(self, probability: float) -> bool:
        return self.pick.random() < probability

    def _maybe(self) -> bool:
        return self.draw(st.booleans())

    def _number(self, low: float, high: float, parts: int = 100) -> float:
        return round(low + (high - low) * self.draw(st.integers(0, parts)) / parts, 10)

    def _given(self, cls: type, name: str, low: float, high: float) -> Given:
        parameter = declaration_of(cls, name)
        return _given(self.draw, parameter, lambda: self._number(low, high), self.labels)

    def _years(self, count: int) -> tuple[Year, ...]:
        """Financial years; the first may start late, the last may end early."""
        late, early = self.draw(st.sampled_from([(4, 3), (10, 3), (4, 9)]))
        made = []
        for i in range(count):
            first, last = 2018 + i, 2019 + i
            start = datetime.date(first, late if i == 0 else 4, 1)
            end = datetime.date(last, 3, 31)
            if i == count - 1 and early == 9:
                end = datetime.date(first, 9, 30)
            made.append(Year(label=f"{first}/{last % 100}", start=start, end=end))
        return tuple(made)

    def _partner(self, name: str) -> Partner:
        kinds = {"payer": "payer", "council": "council", "account": "pool", "external": "external"}
        fields: dict[str, Any] = {}
        if name in self.pools:
            fields["opening_balance"] = self._number(0, 1e5) if self._maybe() else None
            fields["shortfall"] = self._shares_of_others() if self._chance(0.6) else None
            fields["release"] = self._shares_of_others() if self._chance(0.6) else None
        return Partner(
            name=name,
            kind=kinds.get(name, "provider"),  # type: ignore[arg-type]  # one of the kinds
            groups=("place",) if name in ("acute", "council") else (),
            target=self._given(Partner, "target", -1e5, 1e5),
            turnover=self._given(Partner, "turnover", 0, 1e8) if self._maybe() else None,
            **fields,
        )

    def _shares_of_others(self) -> dict[str, float]:
        return _shares(self.draw, self.organisations + self.outside)

    def _index(self, certain: bool, *, delay: bool = False) -> dict[str, Any]:
        """Draw the fields of an index; whether it is certain is a part of the structure."""
        found: dict[str, Any] = {}
        processes = ["constant", "ar1"] + ["random-walk"] * (not delay)
        found["process"] = self.draw(st.sampled_from(processes))
        if found["process"] == "ar1":
            found["persistence"] = self._number(-1, 1)
        low, high = (0.0, 1.0) if delay else (0.8, 1.2)
        if certain:
            found["value"] = self._number(0.5 if not delay else 0, 1.5)
        elif self._maybe():
            found["law"] = self.draw(st.sampled_from(["normal", "lognormal"]))
            found["interval"] = (self._number(0.1, 0.95), self._number(1.0, 1.4))
        elif self._maybe():
            found |= {"law": "normal", "sd": self._number(0, 0.5)}
            found["value"] = self._number(low, high)
        else:
            found |= {"law": "lognormal", "sd": self._number(0, 0.4)}
            found["centre"] = self.draw(st.sampled_from(["mean", "median"]))
            found["value"] = self._number(max(low, 0.1), high)
        return found

    def _influence(self) -> dict[str, float]:
        total = self._number(0, 1)
        keys = _shares(self.draw, self.organisations)
        return {name: round(share * total, 6) for name, share in keys.items() if self._maybe()}

    def _driver(self, name: str, kind: str) -> Driver:
        index = self._index(self._chance(0.2))
        return Driver(name=name, acts_on=kind, influence=self._influence(), **index)  # type: ignore[arg-type]  # one of the words

    def _population(self, name: str) -> Population:
        index = self._index(self._chance(0.3))
        return Population(
            name=name,
            count=self._given(Population, "count", 1000, 50_000),
            reference=self._number(1000, 50_000) if self._maybe() else None,
            need=self._given(Population, "need", 0.5, 1.5),
            influence=self._influence(),
            **index,
        )

    def _noise(self, laws: list[str], coupled: bool) -> Noise:
        law = self.pick.choice(laws)
        chance = [name for name, kind in self.driver_kinds.items() if kind == "chance"]
        factors = {name: self._number(-0.6, 0.6) for name in chance} if coupled else {}
        return Noise(
            law=law,  # type: ignore[arg-type]  # one of the words
            overdispersion=self._number(0, 0.05) if law == "negative-binomial" else None,
            cv=self._number(0.01, 0.3) if law in ("gamma", "lognormal") else None,
            factors=factors,  # type: ignore[arg-type]  # dicts become frozen maps
        )

    def _cost(self) -> CostBehaviour:
        exits, stepped = self._chance(0.75), self._chance(0.4)
        if not exits:
            return CostBehaviour(variable=1.0)
        variable = self._number(0, 1, 10)
        semi = round((1 - variable) * self._number(0, 1, 10), 10)
        step = None
        if stepped and self._maybe():
            step = Step(
                size=self._number(1, 40, 39),
                unit="beds",
                length_of_stay=self._number(0.5, 10),
                occupancy=self._number(0.5, 1),
                cost=self._number(0, 1e5) if self._maybe() else None,
            )
        elif stepped:
            cost = self._number(0, 1e5) if self._maybe() else None
            step = Step(size=self._number(1, 500), unit="activity", cost=cost)
        return CostBehaviour(
            variable=variable,
            semi_fixed=semi,
            fixed=round(1 - variable - semi, 10),
            released=Released(semi_fixed=self._profile(), fixed=self._profile()),
            exit_basis=self.draw(st.sampled_from(["planned", "next_year", "realised"])),
            step=step,
        )

    def _profile(self) -> Given:
        if self._maybe():
            return self._number(0, 1)
        sizes = st.lists(st.integers(0, 100), min_size=1, max_size=4)
        return tuple(size / 100 for size in sorted(self.draw(sizes)))

    def _line(self, name: str, drivers: tuple[Driver, ...]) -> Line:
        acting = [d for d in drivers if d.acts_on in ("activity", "case_mix", "unit_cost")]
        loadings = {
            d.name: self._number(-1 if d.law == "lognormal" else 0, 1.5, 10)
            for d in acting
            if self._maybe()
        }
        coupled = "chance" in self.driver_kinds.values() and self._chance(0.5)
        counts = ["poisson", "negative-binomial", "gamma", "lognormal"]
        noise = self._noise(counts, coupled) if self._chance(0.7) else None
        unit_noise = self._noise(["gamma", "lognormal"], False) if self._chance(0.3) else None
        exposure = self.draw(st.sampled_from((None, *self.populations)))
        volume: dict[str, Any] = {"baseline": self._number(0, 20_000)}
        if name in self.new:
            volume = {"expected": self._given(Line, "expected", 100, 10_000)}
        else:
            volume["growth"] = self._given(Line, "growth", -0.1, 0.1)
            if self._maybe():
                volume["plan"] = self._given(Line, "plan", 0, 20_000)
        cost = self._cost()
        # a step's own cost is held in units of the line's cost, which must then be above zero
        priced_step = cost.step is not None and cost.step.cost is not None
        return Line(
            name=name,
            deliverer=self.draw(st.sampled_from(self.organisations)),
            payer=self.draw(st.sampled_from(self.organisations)),
            unit_cost=self._number(1 if priced_step else 0, 3000),
            price=self._given(Line, "price", 0, 3000),
            exposure=exposure,
            price_series=self._series(),
            cost_series=self._series(),
            cost=cost,
            loadings=loadings,
            noise=noise,
            unit_cost_noise=unit_noise,
            **volume,
        )

    def _series(self) -> dict[str, float] | None:
        return _shares(self.draw, self.series) if self.series and self._maybe() else None

    def _changes(self) -> tuple[Change, ...]:
        sources = [name for name in self.lines if name not in self.new]
        made = []
        for i in range(self.pick.randint(0, 2)):
            source = self.draw(st.sampled_from(sources))
            others = [name for name in self.lines if name != source]
            delay = (
                Delay(**self._index(self._chance(0.3), delay=True)) if self._chance(0.5) else None
            )
            made.append(
                Change(
                    name=f"change-{i}",
                    owner=self.draw(st.sampled_from(self.organisations)),
                    source=source,
                    size=self._given(Change, "size", 0, 0.5),
                    destination=self.draw(st.sampled_from((None, *others))),
                    substitution=self._given(Change, "substitution", 0, 2),
                    delivery=Delivery(
                        **self._index(self._chance(0.3)), influence=self._influence()
                    ),
                    delay=delay,
                    running_cost=self._given(Change, "running_cost", 0, 1e5),
                )
            )
        return tuple(made)

    def _correlations(self, indices: list[str]) -> tuple[Correlation, ...]:
        """Correlate neighbours, so weakly that the matrix is positive definite."""
        return tuple(
            Correlation(between=(a, b), value=self._number(-0.45, 0.45, 90))
            for a, b in zip(indices[:-1], indices[1:], strict=True)
            if self._maybe()
        )

    def _contracts(self, residual: bool) -> tuple[Contract, ...]:
        made = [self._contract("main", self.lines, residual)]
        if self._chance(0.4):
            lines = tuple(self.pick.sample(self.lines, self.pick.randint(1, len(self.lines))))
            years = st.lists(st.sampled_from(self.labels["year"]), min_size=1, unique=True)
            made.append(
                self._contract(
                    "other",
                    lines,
                    residual,
                    partners=self.organisations if self._chance(0.7) else None,
                    years=tuple(self.draw(years)),
                    scoped=True,
                )
            )
        return tuple(made)

    def _contract(
        self,
        name: str,
        lines: tuple[str, ...],
        residual: bool,
        *,
        partners: tuple[str, ...] | None = None,
        years: tuple[str, ...] | None = None,
        scoped: bool = False,
    ) -> Contract:
        funding = [d for d, kind in self.driver_kinds.items() if kind == "funding"]
        parts = self._supported(lines)
        setting = Setting(
            pick=self.pick,
            draw=self.draw,
            labels={**self.labels, "line": lines},
            partners=self.partners,
            lines=lines,
            line_parts=parts,
            budgets=self._budgets(lines, tuple(parts)),
            funding_driver=funding[0] if funding else None,
            influence=residual,
        )
        for again in ("", "-again"):
            for kind, strategy in STRATEGIES.items():
                if again and (kind == "stranded-support" or self._chance(0.6)):
                    continue
                term = strategy(setting)
                if term is not None:
                    named = dataclasses.replace(term, name=f"{kind}{again}" if again else "")
                    setting.earlier.append(named)
        return Contract(
            name=name,
            partners=partners,
            lines=lines if scoped else None,
            years=years,
            budgets=setting.budgets,
            terms=tuple(setting.earlier),
        )

    def _supported(self, lines: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        """Choose the lines of the stranded-support term: some, or all of the contract's (empty)."""
        if self._chance(0.2):
            return {}
        some = tuple(self.pick.sample(lines, self.pick.randint(1, len(lines))))
        return {"stranded-support": () if self._chance(0.5) else some}

    def _budgets(self, lines: tuple[str, ...], supports: tuple[str, ...]) -> tuple[Budget, ...]:
        """Choose a budget to be paid, one to hold outlay against, or both; support is in one."""
        found, free = [], list(supports)
        for name in ("paid", "target"):
            if self._chance(0.2):
                continue
            support = free.pop() if free and self._chance(0.5) else None
            found.append(self._budget(name, lines, support))
        return tuple(found)

    def _budget(self, name: str, lines: tuple[str, ...], support: str | None) -> Budget:
        shape = self.pick.choice(["lines", "base", *["rate"] * bool(self.populations)])
        fields: dict[str, Any] = {}
        if shape == "base":
            fields["base"] = self._given(Budget, "base", 0, 2e6)
        elif shape == "rate":
            fields["rate"] = self._given(Budget, "rate", 0, 200)
            fields["rebase"] = self.pick.choice(["plan", "actual"])
        for rate in ("growth", "inflation"):
            if self._maybe():
                fields[rate] = self._given(Budget, rate, -0.05, 0.1)
        if self._maybe():
            picked = st.lists(st.sampled_from(lines), min_size=1, unique=True)
            fields["lines"] = tuple(self.draw(picked))
        if self._maybe():
            parameter = declaration_of(Budget, "other")
            labels = {**self.labels, "item": ("fund", "adjustment")}
            fields["other"] = {
                item: _given(
                    self.draw, parameter, lambda: self._number(-1e5, 1e5), labels, ("year",)
                )
                for item in labels["item"]
            }
        return Budget(
            name=name,
            efficiency=self._given(Budget, "efficiency", 0, 0.05),
            planned_changes=self._maybe(),
            new_services=self._maybe(),
            stranded_support=support,
            **fields,
        )


def _given(
    draw: DrawFn,
    parameter: Parameter,
    number: Number,
    labels: Mapping[str, tuple[str, ...]],
    axes: tuple[str, ...] | None = None,
) -> Given:
    """Draw a number, a table over one axis or a list by year, of the same down to numbers."""
    over = parameter.all_axes if axes is None else axes
    over = tuple(axis for axis in over if axis != "age" and labels.get(axis))
    axis = draw(st.sampled_from((None, *over)))
    if axis is None:
        return number()
    rest = tuple(other for other in over if other != axis)
    inner = [_given(draw, parameter, number, labels, rest) for _ in labels[axis]]
    if axis == "year" and draw(st.booleans()):
        return tuple(inner)
    return dict(zip(labels[axis], inner, strict=True))


def _shares(draw: DrawFn, names: tuple[str, ...]) -> dict[str, float]:
    """Draw shares in hundredths that sum to one; some may be zero."""
    cuts = sorted(
        draw(st.lists(st.integers(0, 100), min_size=len(names) - 1, max_size=len(names) - 1))
    )
    parts = np.diff([0, *cuts, 100])
    return {name: int(part) / 100 for name, part in zip(names, parts, strict=True)}


@st.composite
def experiences(draw: DrawFn, case: Case, samples: int | None = None) -> xr.Dataset:
    """Draw what may have happened in a case: every variable that `settle` takes but ``cost``.

    Parameters
    ----------
    case
        The case.
    samples
        Without it, actuals, drawn number by number. With it, that many samples, made from one
        drawn seed; zeros and values at plan are among them.
    """
    plan = bind(case).plan
    labels = case.labels()
    drivers = tuple(name for name in case.indices() if not name.startswith("members["))
    around = _ratios(draw, samples)
    late = np.array([name.startswith("delay[") for name in drivers], bool)[:, None]
    index = around(len(labels["year"]), len(drivers))
    tail = () if samples is None else ("sample",)

    def variable(axis: str, values: np.ndarray[Any, Any]) -> tuple[Any, Any]:
        return ("year", axis, *tail), values if tail else values[..., 0]

    lines = (len(labels["year"]), len(labels["line"]))
    planned = np.where(plan.view.plan > 0, plan.view.plan, 100.0)
    return xr.Dataset(
        {
            "activity": variable("line", planned[..., None] * around(*lines)),
            "case_mix": variable("line", around(*lines)),
            "unit_cost": variable("line", plan.unit_cost[..., None] * around(*lines)),
            "driver_index": variable("driver", np.where(late, np.abs(index - 1), index)),
            "members": variable(
                "population",
                plan.view.members[..., None] * around(len(labels["year"]), len(case.members)),
            ),
        },
        {
            "year": list(labels["year"]),
            "line": list(labels["line"]),
            "driver": list(drivers),
            "population": list(labels["population"]),
        },
    )


def _ratios(draw: DrawFn, samples: int | None) -> Callable[[int, int], np.ndarray[Any, Any]]:
    """Return a maker of tables of ratios to plan, (year, row, sample)."""
    if samples is None:
        ratio = st.one_of(st.just(1.0), st.just(0.0), st.integers(1, 2500).map(lambda i: i / 1000))
        return lambda years, rows: np.array(
            [[[draw(ratio)] for _ in range(rows)] for _ in range(years)]
        ).reshape(years, rows, 1)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def table(years: int, rows: int) -> np.ndarray[Any, Any]:
        shape = (years, rows, samples)
        kind = rng.random(shape)
        at_end = np.where(kind < 0.03, 0.0, 1.0)
        return np.where(kind < 0.06, at_end, rng.lognormal(0, rng.uniform(0.01, 0.6), shape))

    return table
