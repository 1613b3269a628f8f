"""The contracts of a drawn case: scopes, budgets of each shape, and every kind of term."""

import dataclasses
from typing import Any

import hypothesis.strategies as st

import riskshare.testing.terms  # noqa: F401  # the kinds join
from riskshare.case import Contract
from riskshare.contract.budget import Budget
from riskshare.parameters import declaration_of
from riskshare.testing.setting import STRATEGIES, Setting, given_value
from riskshare.testing.world import World

BUILT_IN = frozenset(STRATEGIES)
"""Kinds of this package, of which a contract has some; kinds from elsewhere join every one."""

ONCE = ("capitated-budget", "stranded-support")
"""Kinds that stand once in a contract."""


def contracts(world: World) -> tuple[Contract, ...]:
    """Draw one or two contracts; the second has a scope."""
    made = [_contract(world, "main", world.lines)]
    if world.chance(0.3):
        lines = tuple(world.pick.sample(world.lines, world.pick.randint(1, len(world.lines))))
        years = st.lists(st.sampled_from(world.labels["year"]), min_size=1, unique=True)
        made.append(
            _contract(
                world,
                "other",
                lines,
                partners=world.organisations if world.chance(0.7) else None,
                years=tuple(world.draw(years)),
                scoped=True,
            )
        )
    return tuple(made)


def _contract(
    world: World,
    name: str,
    lines: tuple[str, ...],
    *,
    partners: tuple[str, ...] | None = None,
    years: tuple[str, ...] | None = None,
    scoped: bool = False,
) -> Contract:
    funding = [d for d, kind in world.driver_kinds.items() if kind == "funding"]
    kinds = _kinds(world, 0.25 if scoped else 0.5)
    parts = _supported(world, lines) if "stranded-support" in kinds else {}
    payable = "capitated-budget" in kinds and len(world.partners) > 1
    setting = Setting(
        pick=world.pick,
        draw=world.draw,
        deck=world.deck,
        labels={**world.labels, "line": lines},
        partners=world.partners,
        organisations=world.organisations,
        lines=lines,
        line_parts=parts,
        budgets=_budgets(world, lines, tuple(parts), payable),
        funding_driver=funding[0] if funding else None,
        influence=world.residual,
        scored=world.scored,
        levied=world.levied,
        persons=world.persons,
    )
    waiting = [kind for kind in kinds if not _joined(setting, kind)]
    for kind in waiting:
        _joined(setting, kind)
    return Contract(
        name=name,
        partners=partners,
        lines=lines if scoped else None,
        years=years,
        budgets=setting.budgets,
        terms=tuple(setting.earlier),
    )


def _kinds(world: World, probability: float) -> list[str]:
    """Choose kinds of term in any order: pools always, stop-loss where it may be, some twice."""
    always = {"pool", "stop-loss", *(set(STRATEGIES) - BUILT_IN)}
    kinds = [kind for kind in STRATEGIES if kind in always or world.chance(probability)]
    kinds += [kind for kind in kinds if kind not in ONCE and world.chance(0.15)]
    if world.chance(0.3):
        kinds.append("pool")
    world.pick.shuffle(kinds)
    return kinds


def _joined(setting: Setting, kind: str) -> bool:
    """Draw a term of a kind and let it join the contract, if there is room for one."""
    term = STRATEGIES[kind](setting)
    if term is None:
        return False
    taken = sum(other.kind == kind for other in setting.earlier)
    name = f"{kind}-{taken + 1}" if taken else ""
    setting.earlier.append(dataclasses.replace(term, name=name))
    return True


def _supported(world: World, lines: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Choose the lines of the stranded-support term: some, or all of the contract's (empty).

    No line is supported twice, in one contract or in two.
    """
    free = [line for line in lines if line not in world.supported]
    if not free or world.chance(0.2):
        return {}
    everything = world.chance(0.5) and len(free) == len(lines)
    some = lines if everything else tuple(world.pick.sample(free, world.pick.randint(1, len(free))))
    world.supported.update(some)
    return {"stranded-support": () if everything else some}


def _budgets(
    world: World, lines: tuple[str, ...], supports: tuple[str, ...], payable: bool
) -> tuple[Budget, ...]:
    """Choose a budget to hold outlay against, and perhaps one to be paid; support is in one."""
    found, free = [], list(supports)
    for name in ("paid", "target"):
        if name == "paid" and not payable:
            continue
        support = free.pop() if free and world.chance(0.5) else None
        found.append(_budget(world, name, lines, support))
    return tuple(found)


def _budget(world: World, name: str, lines: tuple[str, ...], support: str | None) -> Budget:
    shapes = ["lines", "unit_rate", "base", *["rate"] * bool(world.populations)]
    shape = world.deck.deal("budget", shapes)
    fields: dict[str, Any] = {}
    if world.maybe():
        picked = st.lists(st.sampled_from(lines), min_size=1, unique=True)
        fields["lines"] = tuple(world.draw(picked))
    if shape == "unit_rate":
        labels = {**world.labels, "line": fields.get("lines", lines)}
        fields["unit_rate"] = given_value(
            world.draw, declaration_of(Budget, shape), lambda: world.number(0, 3000), labels
        )
    if shape in ("rate", "unit_rate"):
        fields["rebase"] = world.deck.deal("rebase", ["plan", "actual"])
    if shape == "base":
        fields["base"] = world.given(Budget, "base", 0, 2e6)
    elif shape == "rate":
        fields["rate"] = world.given(Budget, "rate", 0, 200)
    for rate in ("growth", "inflation"):
        if world.maybe():
            fields[rate] = world.given(Budget, rate, -0.05, 0.1)
    if world.maybe():
        parameter = declaration_of(Budget, "other")
        labels = {**world.labels, "item": ("fund", "adjustment")}
        fields["other"] = {
            item: given_value(
                world.draw, parameter, lambda: world.number(-1e5, 1e5), labels, ("year",)
            )
            for item in labels["item"]
        }
    return Budget(
        name=name,
        efficiency=world.given(Budget, "efficiency", 0, 0.05),
        planned_changes=world.maybe(),
        new_services=world.maybe(),
        stranded_support=support,
        **fields,
    )
