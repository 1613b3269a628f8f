"""The system of a drawn case: partners, lines, changes, drivers and years."""

import datetime
import itertools
import random
from typing import Any

import hypothesis.strategies as st
from hypothesis.strategies import DrawFn

from riskshare.case import Case, Contract
from riskshare.names import delivery_name, other_name, quality_name
from riskshare.parameters import Given, declaration_of
from riskshare.system import (
    AbstractIndex,
    Change,
    Correlation,
    CostBehaviour,
    Delay,
    Delivery,
    Driver,
    Inflation,
    Line,
    Noise,
    OtherPosition,
    Partner,
    Population,
    Released,
    Rest,
    Score,
    Step,
    Targeting,
    Year,
)
from riskshare.testing.laws import Laws
from riskshare.testing.setting import Deck, given_value, shares

SALT = 62
"""Where structures begin: chosen so that the family holds every option of every term."""


_CLOSINGS = ("carry", "both", "", "", "both", "lapse", "shortfall", "", "lapse", "shortfall")
"""What closes a pool account in each structure that has one; nothing does where it is empty."""


def _nearness(index: AbstractIndex) -> int:
    """Return 0 for what moves a line, 2 for what couples chance, and 1 for what does neither."""
    if isinstance(index, Driver):
        return {"chance": 2, "funding": 1}.get(index.acts_on, 0)
    return 0 if isinstance(index, (Delivery, Delay, Population)) else 1


class World:
    """Builds one case: ``pick`` and ``deck`` make its structure, ``draw`` its numbers."""

    def __init__(self, number: int, draw: DrawFn, persons: bool = True) -> None:
        self.structure = number
        self.pick = random.Random(f"{SALT} {number}")
        self.deck = Deck(number)
        self.laws = Laws(number, draw)
        self.draw = draw
        self.persons = persons and number % 5 == 4
        self.years = self._years(number % 3 + 1)
        self.organisations = ("payer", "acute", "council", "community")[: (4, 2, 3, 1)[number % 4]]
        self.pools = ("account",) if self.chance(0.6) and number % 4 != 3 else ()
        self.outside = ("external",) if self.chance(0.7) or self.pools else ()
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
        self.new = tuple(name for name in self.lines[1:] if self.chance(0.3))
        self.residual = self.chance(0.7)
        self.supported: set[str] = set()
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
        offsets = self._offsets()
        self.members_of_case = tuple(self._partner(name, offsets) for name in self.partners)
        self.scored = tuple(p.name for p in self.members_of_case if p.quality is not None)
        self.levied = tuple(p.name for p in self.members_of_case if p.turnover is not None)

    def case(self, contracts: tuple[Contract, ...]) -> Case:
        """Return the case with these contracts."""
        drivers = tuple(self._driver(name, kind) for name, kind in self.driver_kinds.items())
        members = tuple(self._population(name) for name in self.populations)
        lines = tuple(self._line(name, drivers) for name in self.lines)
        changes = self._changes()
        deliveries = {delivery_name(change.name): change.delivery for change in changes}
        indices: dict[str, AbstractIndex] = {driver.name: driver for driver in drivers}
        indices |= deliveries
        for partner in self.members_of_case:
            if partner.quality is not None:
                indices[quality_name(partner.name)] = partner.quality
            if partner.other_position is not None:
                indices[other_name(partner.name)] = Rest.of(partner.other_position)
        return Case(
            name=f"structure-{self.structure}",
            currency="GBP",
            price_base=self.years[0].label,
            years=self.years,
            partners=self.members_of_case,
            members=members,
            inflation=tuple(
                Inflation(name=name, rate=self.given(Inflation, "rate", -0.05, 0.1))
                for name in self.series
            ),
            drivers=drivers,
            correlations=self._correlations(
                {name: index for name, index in indices.items() if not index.certain}
            ),
            residual_key=shares(self.draw, self.organisations) if self.residual else None,
            deflator=self.given(Case, "deflator", -0.05, 0.1) if self.maybe() else None,
            lines=lines,
            changes=changes,
            contracts=contracts,
        )

    def chance(self, probability: float) -> bool:
        """Choose a part of the structure."""
        return self.pick.random() < probability

    def maybe(self) -> bool:
        """Draw something that the compiled program does not depend on."""
        return self.draw(st.booleans())

    def number(self, low: float, high: float, parts: int = 100) -> float:
        """Draw a number with few digits, both ends included."""
        return round(low + (high - low) * self.draw(st.integers(0, parts)) / parts, 10)

    def given(self, cls: type, name: str, low: float, high: float) -> Given:
        """Draw a given value for a declared number of a class."""
        parameter = declaration_of(cls, name)
        return given_value(self.draw, parameter, lambda: self.number(low, high), self.labels)

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

    def _offsets(self) -> dict[str, tuple[float, ...]]:
        """Draw what organisations move between their targets by year; it sums to zero."""
        moved = [
            [1000.0 * self.draw(st.integers(-50, 50)) for _ in self.organisations[1:]]
            for _ in self.years
        ]
        return {
            name: tuple(row[i - 1] if i else 0.0 - sum(row) for row in moved)
            for i, name in enumerate(self.organisations)
        }

    def _partner(self, name: str, offsets: dict[str, tuple[float, ...]]) -> Partner:
        kinds = {"payer": "payer", "council": "council", "account": "pool", "external": "external"}
        fields: dict[str, Any] = {}
        if name in self.pools:
            # nothing may draw on an account that has nothing and is not made whole
            fields["opening_balance"] = self.number(1, 1e5)
            way = _CLOSINGS[self.structure % 10]
            if way in ("carry", "lapse"):
                fields["prorate"] = way
            if way in ("shortfall", "both"):
                fields["shortfall"] = self._shares_of_others()
            if way == "both":
                names = self.organisations + self.outside
                fields["uncommitted"] = {n: self.number(0, 1e5) for n in names if self.maybe()}
            fields["release"] = self._shares_of_others() if self.chance(0.6) else None
        if name in self.organisations:
            fields["offset"] = offsets[name]
            fields["duty"] = self.given(Partner, "duty", -1e6, 0) if self.maybe() else None
            fields["opening_reserve"] = self.number(0, 1e6) if self.maybe() else None
            fields["other_position"] = self._other() if self.chance(0.4) else None
            fields["quality"] = self._quality() if self.chance(0.6) else None
        return Partner(
            name=name,
            kind=kinds.get(name, "provider"),  # type: ignore[arg-type]  # one of the kinds
            groups=("place",) if name in ("acute", "council") else (),
            target=self.given(Partner, "target", -1e5, 1e5),
            turnover=self.given(Partner, "turnover", 1000, 1e8) if self.maybe() else None,
            **fields,
        )

    def _other(self) -> OtherPosition:
        process = self.draw(st.sampled_from(["constant", "ar1", "random-walk"]))
        return OtherPosition(
            mean=self.given(OtherPosition, "mean", -1e6, 1e6),
            sd=0.0 if self.chance(0.3) else self.number(1, 1e6),
            process=process,  # type: ignore[arg-type]  # one of the words
            persistence=self.number(-1, 1) if process == "ar1" else 0.0,
        )

    def _quality(self) -> Score:
        if self.chance(0.4):
            return Score(value=self.number(0, 1))
        return Score(**self._index(certain=False, most=1.0, own=False))

    def _shares_of_others(self) -> dict[str, float]:
        return shares(self.draw, self.organisations + self.outside)

    def _index(
        self, certain: bool, *, delay: bool = False, most: float = 1.2, own: bool | None = None
    ) -> dict[str, Any]:
        """Draw the fields of an index; whether it is certain, or has a table, is structure."""
        found: dict[str, Any] = {}
        processes = ["constant", "ar1"] + ["random-walk"] * (not delay)
        found["process"] = self.draw(st.sampled_from(processes))
        found["uncertainty"] = self.draw(st.sampled_from(["process", "parameter", "baseline"]))
        if found["process"] == "ar1":
            found["persistence"] = self.number(-1, 1)
        low, high = (0.0, 1.0) if delay else (0.8, most)
        law = None if own is False or certain or delay else self.laws.belief()
        if certain:
            found["value"] = self.number(0.5 if not delay else 0, 1.5)
        elif law is not None:
            found["law"] = law
        elif self.maybe():
            found["law"] = self.draw(st.sampled_from(["normal", "lognormal"]))
            found["interval"] = (self.number(0.1, 0.95), self.number(1.0, 1.4))
        elif self.maybe():
            found |= {"law": "normal", "sd": self.number(0, 0.5)}
            found["value"] = self.number(low, high)
        else:
            found |= {"law": "lognormal", "sd": self.number(0, 0.4)}
            found["centre"] = self.draw(st.sampled_from(["mean", "median"]))
            found["value"] = self.number(max(low, 0.1), high)
        return found

    def _influence(self) -> dict[str, float]:
        total = self.number(0, 1)
        keys = shares(self.draw, self.organisations)
        return {name: round(share * total, 6) for name, share in keys.items() if self.maybe()}

    def _driver(self, name: str, kind: str) -> Driver:
        index = self._index(self.chance(0.2))
        return Driver(name=name, acts_on=kind, influence=self._influence(), **index)  # type: ignore[arg-type]  # one of the words

    def _population(self, name: str) -> Population:
        index = self._index(self.chance(0.3))
        return Population(
            name=name,
            count=self.given(Population, "count", 1000, 50_000),
            reference=self.number(1000, 50_000) if self.maybe() else None,
            need=self.given(Population, "need", 0.5, 1.5),
            influence=self._influence(),
            **index,
        )

    def _noise(self, laws: list[str], coupling: list[str]) -> Noise:
        law = self.pick.choice(laws)
        factors = {name: self.number(-0.6, 0.6) for name in coupling}
        return Noise(
            law=law,  # type: ignore[arg-type]  # one of the words
            overdispersion=self.number(0, 0.05) if law == "negative-binomial" else None,
            cv=self.number(0.01, 0.3) if law in ("gamma", "lognormal") else None,
            factors=factors,
        )

    def _cost(self) -> CostBehaviour:
        exits, stepped = self.chance(0.75), self.chance(0.4)
        if not exits:
            return CostBehaviour(variable=1.0)
        variable = self.number(0, 1, 10)
        semi = round((1 - variable) * self.number(0, 1, 10), 10)
        step = None
        if stepped and self.maybe():
            step = Step(
                size=self.number(1, 40, 39),
                unit="beds",
                length_of_stay=self.number(0.5, 10),
                occupancy=self.number(0.5, 1),
                cost=self.number(0, 1e5) if self.maybe() else None,
            )
        elif stepped:
            cost = self.number(0, 1e5) if self.maybe() else None
            step = Step(size=self.number(1, 500), unit="activity", cost=cost)
        return CostBehaviour(
            variable=variable,
            semi_fixed=semi,
            fixed=round(1 - variable - semi, 10),
            released=Released(semi_fixed=self._profile(), fixed=self._profile()),
            exit_basis=self.draw(st.sampled_from(["planned", "next_year", "realised"])),
            step=step,
        )

    def _profile(self) -> Given:
        if self.maybe():
            return self.number(0, 1)
        sizes = st.lists(st.integers(0, 100), min_size=1, max_size=4)
        return tuple(size / 100 for size in sorted(self.draw(sizes)))

    def _line(self, name: str, drivers: tuple[Driver, ...]) -> Line:
        acting = [d for d in drivers if d.acts_on in ("activity", "case_mix", "unit_cost")]
        loadings = {
            d.name: self.number(-1 if d.law == "lognormal" else 0, 1.5, 10)
            for d in acting
            if self.maybe()
        }
        spreading = [d.name for d in acting if not d.certain]
        coupling = [d.name for d in drivers if d.acts_on == "chance" and not d.certain]
        coupling = coupling if self.chance(0.5) else []
        counts = ["poisson", "negative-binomial", "gamma", "lognormal"]
        noise = self._noise(counts, coupling) if self.chance(0.7) else None
        unit_noise = self._noise(["gamma", "lognormal"], []) if self.chance(0.3) else None
        chance = self.laws.of_line(noise, unit_noise, spreading)
        exposure = self.draw(st.sampled_from((None, *self.populations)))
        volume: dict[str, Any] = {"baseline": self.number(0, 20_000)}
        if name in self.new:
            volume = {"expected": self.given(Line, "expected", 100, 10_000)}
        else:
            volume["growth"] = self.given(Line, "growth", -0.1, 0.1)
            if self.maybe():
                volume["plan"] = self.given(Line, "plan", 0, 20_000)
        cost = self._cost()
        # a step's own cost is held in units of the line's cost, which must then be above zero
        priced_step = cost.step is not None and cost.step.cost is not None
        return Line(
            name=name,
            deliverer=self.draw(st.sampled_from(self.organisations)),
            payer=self.draw(st.sampled_from(self.organisations)),
            unit_cost=self.number(1 if priced_step or "people" in chance else 0, 3000),
            price=self.given(Line, "price", 0, 3000),
            exposure=exposure,
            price_series=self._series(),
            cost_series=self._series(),
            cost=cost,
            loadings=loadings,
            **chance,
            **volume,
        )

    def _series(self) -> dict[str, float] | None:
        return shares(self.draw, self.series) if self.series and self.maybe() else None

    def _changes(self) -> tuple[Change, ...]:
        sources = [name for name in self.lines if name not in self.new]
        made = []
        for i in range(self.pick.randint(0, 2)):
            source = self.draw(st.sampled_from(sources))
            others = [name for name in self.lines if name != source]
            delay = Delay(**self._index(self.chance(0.3), delay=True)) if self.chance(0.5) else None
            made.append(
                Change(
                    name=f"change-{i}",
                    owner=self.draw(st.sampled_from(self.organisations)),
                    source=source,
                    destination=self.draw(st.sampled_from((None, *others))),
                    substitution=self.given(Change, "substitution", 0, 2),
                    delivery=Delivery(**self._index(self.chance(0.3)), influence=self._influence()),
                    delay=delay,
                    running_cost=self.given(Change, "running_cost", 0, 1e5),
                    claims=self._claims(),
                    recurrent=not self.chance(0.3),
                    thinning=self.laws.chance(0.3) and delay is None,
                    **self._size(),
                )
            )
        return tuple(made)

    def _size(self) -> dict[str, Any]:
        """Draw a size, or a targeting that makes one: at most half of the line."""
        if self.maybe():
            return {"size": self.given(Change, "size", 0, 0.5)}
        targeting = Targeting(
            activity_share=self.number(0, 0.8),
            reach=self.given(Targeting, "reach", 0, 0.3),
            effect=self.number(0, 0.6),
            decay=self.number(0, 1) if self.maybe() else 0.0,
            saturation=self.number(0.05, 1) if self.maybe() else None,
            regression=self.number(0, 1) if self.maybe() else 0.0,
        )
        return {"targeting": targeting}

    def _claims(self) -> dict[str, float]:
        return {name: self.number(0, 1e6) for name in self.organisations if self.maybe()}

    def _correlations(self, indices: dict[str, AbstractIndex]) -> tuple[Correlation, ...]:
        """Correlate neighbours, so weakly that the matrix is positive definite.

        What couples chance comes last, and goes with nothing that moves a line.
        """
        order = sorted(indices, key=lambda name: _nearness(indices[name]))
        return tuple(
            Correlation(between=(a, b), value=self.number(-0.45, 0.45, 90))
            for a, b in itertools.pairwise(order)
            if _nearness(indices[b]) - _nearness(indices[a]) < 2 and self.maybe()
        )
