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


def contracts(world: World) -> tuple[Contract, ...]:
    """Draw one or two contracts; the second has a scope."""
    made = [_contract(world, "main", world.lines)]
    if world.chance(0.4):
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
    parts = _supported(world, lines)
    setting = Setting(
        pick=world.pick,
        draw=world.draw,
        labels={**world.labels, "line": lines},
        partners=world.partners,
        lines=lines,
        line_parts=parts,
        budgets=_budgets(world, lines, tuple(parts)),
        funding_driver=funding[0] if funding else None,
        influence=world.residual,
    )
    for again in ("", "-again"):
        for kind, strategy in STRATEGIES.items():
            if again and (kind == "stranded-support" or world.chance(0.6)):
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


def _budgets(world: World, lines: tuple[str, ...], supports: tuple[str, ...]) -> tuple[Budget, ...]:
    """Choose a budget to be paid, one to hold outlay against, or both; support is in one."""
    found, free = [], list(supports)
    for name in ("paid", "target"):
        if world.chance(0.2):
            continue
        support = free.pop() if free and world.chance(0.5) else None
        found.append(_budget(world, name, lines, support))
    return tuple(found)


def _budget(world: World, name: str, lines: tuple[str, ...], support: str | None) -> Budget:
    shape = world.pick.choice(["lines", "base", *["rate"] * bool(world.populations)])
    fields: dict[str, Any] = {}
    if shape == "base":
        fields["base"] = world.given(Budget, "base", 0, 2e6)
    elif shape == "rate":
        fields["rate"] = world.given(Budget, "rate", 0, 200)
        fields["rebase"] = world.pick.choice(["plan", "actual"])
    for rate in ("growth", "inflation"):
        if world.maybe():
            fields[rate] = world.given(Budget, rate, -0.05, 0.1)
    if world.maybe():
        picked = st.lists(st.sampled_from(lines), min_size=1, unique=True)
        fields["lines"] = tuple(world.draw(picked))
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
