"""Whether two cases are the same system under different contracts, and what differs if not."""

from collections.abc import Mapping
from typing import Any

from riskshare.bind import bind
from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.parameters import Declared, fields_of

_NOT_THE_SYSTEM = frozenset(
    {"name", "title", "description", "contracts", "assumptions", "sources", "origin"}
)
_OF_ITEMS = frozenset({"title", "unit", "tags", "target", "offset", "duty"})
"""Names and targets of partners, lines and so on: they change no draw and no posting."""


def differing(one: Case, other: Case) -> tuple[str, ...]:
    """Return the paths at which two cases differ, contracts, names, targets and notes apart.

    Where there are none, the same seed draws the same samples for both.
    """
    found = []
    for info in fields_of(Case):
        if info.name not in _NOT_THE_SYSTEM:
            found += _apart(info.name, getattr(one, info.name), getattr(other, info.name))
    if not found and bind(one).structure.slots != bind(other).structure.slots:
        found.append("people drawn one by one (a term looks at each person)")
    return tuple(found)


def _apart(path: str, one: Any, other: Any) -> list[str]:
    """Return where two fields differ: the field, or those of its named items."""
    if one == other:
        return []
    if not all(_named(items) for items in (one, other)):
        return [path]
    names = [[item.name for item in items] for items in (one, other)]
    if names[0] != names[1]:
        either = set(names[0]) ^ set(names[1])
        return [f"{path}.{name}" for name in sorted(either)] or [f"{path} (their order)"]
    return [
        f"{path}.{mine.name}.{info.name}"
        for mine, yours in zip(one, other, strict=True)
        for info in fields_of(type(mine))
        if info.name not in _OF_ITEMS
        and getattr(mine, info.name) != getattr(yours, info.name, None)
    ]


def _named(items: Any) -> bool:
    return isinstance(items, tuple) and all(
        isinstance(item, Declared) and hasattr(item, "name") for item in items
    )


def refuse_strangers(cases: Mapping[str, Case], reference: str) -> None:
    """Refuse cases whose partners, years or currency are not those of the reference.

    Raises
    ------
    ArgumentError
        Naming what differs.
    """
    of = cases[reference]
    for name, case in cases.items():
        for what, mine, yours in (
            ("years", _years(of), _years(case)),
            ("partners", _partners(of), _partners(case)),
            ("currency", (of.currency,), (case.currency,)),
        ):
            if mine != yours:
                raise ArgumentError(
                    f"contracts: {what} of {name!r} are not those of {reference!r}: "
                    f"{_said(reference, mine, name, yours)}; accepted: cases with the same {what}, "
                    "for a difference is taken partner by partner and year by year"
                )


def _said(one: str, mine: tuple[str, ...], other: str, yours: tuple[str, ...]) -> str:
    """Return what only one of two has; both lists are not the same."""
    only = {
        one: [item for item in mine if item not in yours],
        other: [item for item in yours if item not in mine],
    }
    parts = [f"only {name!r} has {', '.join(items)}" for name, items in only.items() if items]
    return ", ".join(parts) or f"they come in another order, {', '.join(yours)}"


def _years(case: Case) -> tuple[str, ...]:
    return tuple(f"{year.label} ({year.start} to {year.end})" for year in case.years)


def _partners(case: Case) -> tuple[str, ...]:
    return tuple(
        f"{partner.name} ({', '.join((partner.kind, *partner.groups))})"
        for partner in case.partners
    )
