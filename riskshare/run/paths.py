"""Numbers by path inside a traced program: given values as arrays whose entries are traced."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from riskshare.case import Case
from riskshare.parameters import (
    Declared,
    FrozenMap,
    Given,
    Labels,
    Parameter,
    declaration_of,
    entry_names,
    expand,
    fields_of,
    item_path,
    label_path,
)
from riskshare.system import AbstractIndex


class Reader:
    """Reads declared numbers as arrays, some entries of which come from a traced vector.

    Parameters
    ----------
    places
        Place in the vector of each path; other numbers keep the value they have in the case.
    vector
        The numbers.
    dtype
        Type of all arrays.
    """

    def __init__(self, places: Mapping[str, int], vector: Any, dtype: Any) -> None:
        self.places, self.vector, self.dtype = places, vector, dtype
        self.read: set[str] = set()
        """Paths that something was made from."""

    def constant(self, value: Any) -> Any:
        """Return a pytree of host numbers in the type of the program."""

        def leaf(array: Any) -> Any:
            host = np.asarray(array)
            return host.astype(self.dtype) if host.dtype == np.float64 else host

        return jax.tree.map(leaf, value)

    def declared(self, prefix: str, node: Declared, name: str, labels: Labels) -> Any:
        """Return a declared number as an array over its axes, None where it was not given.

        A host array where none of its numbers is in the vector.
        """
        given = getattr(node, name)
        if given is None:
            return None
        path = f"{prefix}.{name}" if prefix else name
        return self._array(path, given, declaration_of(type(node), name), labels)

    def by_year(self, array: Any, parameter: Parameter, years: int) -> Any:
        """Return an array with the year first, also where it has none (as binding does)."""
        if array is None or "year" in parameter.all_axes:
            return array
        xp = array.__array_namespace__()
        return xp.broadcast_to(array, (years, *array.shape))

    def _array(self, path: str, given: Given, parameter: Parameter, labels: Labels) -> Any:
        base = expand(given, parameter, labels).astype(self.dtype)
        numbered, found = self._numbered(given, path, labels, parameter.sequence)
        if not found:
            return base
        self.read |= found
        # labels left out stand at the fill, which is no number of the case
        unfilled = dataclasses.replace(parameter, fill=-1.0)
        place = expand(numbered, unfilled, labels).astype(np.int32)
        picked = self.vector[jnp.asarray(np.maximum(place, 0))]
        return jnp.where(place >= 0, picked, base)

    def _numbered(
        self, given: Given, path: str, labels: Labels, sequence: str
    ) -> tuple[Given, set[str]]:
        """Return a given value with each number replaced by its place, -1 for those that stay."""
        found: set[str] = set()

        def inside(item: Given, at: str) -> Given:
            if isinstance(item, tuple):
                names = entry_names(item, sequence, labels)
                pairs = zip(item, names, strict=False)
                return tuple(inside(part, label_path(at, name)) for part, name in pairs)
            if isinstance(item, Mapping):
                return FrozenMap({k: inside(v, label_path(at, k)) for k, v in item.items()})
            if at in self.places:
                found.add(at)
            return float(self.places.get(at, -1))

        return inside(given, path), found


def index_paths(case: Case) -> list[tuple[str, AbstractIndex]]:
    """Return all indices with the path that their numbers begin with, in the order of the case.

    Nothing for other positions, which have their numbers elsewhere.
    """
    found: list[tuple[str, AbstractIndex]] = [(f"drivers.{d.name}", d) for d in case.drivers]
    found += [(f"members.{p.name}", p) for p in case.members]
    found += [(f"changes.{c.name}.delivery", c.delivery) for c in case.changes]
    found += [(f"changes.{c.name}.delay", c.delay) for c in case.changes if c.delay is not None]
    found += [(f"partners.{p.name}.quality", p.quality) for p in case.partners if p.quality]
    held = list(case.indices().values())
    return found + [("", index) for index in held[len(found) :]]


def replaced(reader: Reader, node: Any, bound: Any, prefix: str, labels: Labels, years: int) -> Any:
    """Return a bound object with the numbers that the reader holds in place of its own.

    It walks the declared object as `riskshare.bind.terms.Binder.bind` does; what nothing moves is
    returned as it is.
    """
    own = getattr(node, "lines", None)
    if own:
        labels = {**labels, "line": tuple(own)}
    changed: dict[str, Any] = {}
    for info in fields_of(type(node)):
        given, inner = getattr(node, info.name), getattr(bound, info.name)
        if given is None:
            continue
        at = f"{prefix}.{info.name}"
        if isinstance(info.declaration, Parameter):
            if not info.declaration.derived:
                array = reader.declared(prefix, node, info.name, labels)
                if not isinstance(array, np.ndarray):
                    changed[info.name] = reader.by_year(array, info.declaration, years)
        elif isinstance(given, Declared):
            new = replaced(reader, given, inner, at, labels, years)
            if new is not inner:
                changed[info.name] = new
        elif isinstance(given, tuple) and given and isinstance(given[0], Declared):
            items = [
                replaced(reader, item, inner[i], item_path(prefix, info, item, i), labels, years)
                for i, item in enumerate(given)
            ]
            if any(new is not old for new, old in zip(items, inner, strict=True)):
                changed[info.name] = tuple(items)
    return dataclasses.replace(bound, **changed) if changed else bound
