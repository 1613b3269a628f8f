"""Experience and outcomes of a compiled program: plain arrays by name, axes in a stated order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from riskshare.bind import Bound
from riskshare.bind.leaves import Leaves
from riskshare.case import Case
from riskshare.checks.given import suggest
from riskshare.errors import ExperienceError, Problem
from riskshare.outcomes import BY_CHANGE, BY_LINE, BY_PARTNER
from riskshare.program.experience import Experience
from riskshare.run.given import needed_indices

EXPERIENCE = {
    "activity": ("year", "line"),
    "case_mix": ("year", "line"),
    "unit_cost": ("year", "line"),
    "cost": ("year", "line"),
    "driver_index": ("year", "driver"),
    "members": ("year", "population"),
    "quality": ("year", "partner"),
    "other_position": ("year", "partner"),
    "person_cost": ("year", "line", "person"),
}
"""Axes of what an experience may hold; ``sample`` may come last."""


@dataclass(frozen=True)
class Shape:
    """Labels of a case along every axis, and what its contracts ask of an experience."""

    labels: Mapping[str, tuple[str, ...]]
    indices: tuple[str, ...]
    needed: Mapping[str, str]
    """Variables that an experience must hold besides activity, and who needs them."""

    @classmethod
    def of(cls, case: Case, bound: Bound) -> "Shape":
        """Return the shape of a bound case."""
        labels = case.labels()
        indices = tuple(case.indices())
        apart = ("members[", "quality[", "other[")
        drivers = tuple(name for name in indices if not name.startswith(apart))
        needed: dict[str, str] = {}
        for (name, _), who in needed_indices(case, bound).items():
            variable = name.partition("[")[0]
            known = variable if variable in ("members", "quality") else "driver_index"
            needed.setdefault(known, who)
        for name, slot in zip(bound.structure.term_names, bound.numbers.yearly.terms, strict=True):
            if "persons" in slot.term.needs() and np.any(np.asarray(slot.term.in_force) > 0):
                needed.setdefault("person_cost", name)
        axes = {
            **{k: tuple(labels[k]) for k in ("year", "line", "partner", "population")},
            "driver": drivers,
            "term": bound.structure.term_names,
            "change": tuple(change.name for change in case.changes),
        }
        return cls(axes, indices, needed)

    def check(self, given: Mapping[str, Any]) -> None:
        """Refuse an experience that lacks a variable, or holds one of another shape.

        Raises
        ------
        ExperienceError
            With every problem found. Values are not looked at: they may be traced.
        """
        problems = [
            Problem(str(name), f"unknown; {suggest(str(name), tuple(EXPERIENCE))}")
            for name in given
            if name not in EXPERIENCE
        ]
        if "activity" not in given:
            problems.append(Problem("activity", "missing; it is the one variable always needed"))
        problems += [
            Problem(name, f"missing; {who} needs it, on {_words(EXPERIENCE[name])}")
            for name, who in self.needed.items()
            if name not in given
        ]
        for name, value in given.items():
            if name in EXPERIENCE:
                problems += self._misshapen(name, np.shape(value))
        if problems:
            raise ExperienceError(problems)

    def _misshapen(self, name: str, shape: tuple[int, ...]) -> list[Problem]:
        axes = EXPERIENCE[name]
        sizes = [len(self.labels[axis]) if axis in self.labels else None for axis in axes]
        lead = shape[: len(axes)]
        fits = len(lead) == len(axes) and all(
            size is None or size == found for size, found in zip(sizes, lead, strict=True)
        )
        if fits and len(shape) in (len(axes), len(axes) + 1):
            return []
        wanted = ", ".join(
            f"{a} ({'any' if n is None else n})" for a, n in zip(axes, sizes, strict=True)
        )
        return [Problem(name, f"has the shape {shape}; accepted: {wanted} and, last, sample")]


def _words(axes: tuple[str, ...]) -> str:
    return f"({', '.join(axes)}[, sample])"


def experience_of(
    shape: Shape, bound: Bound, leaves: Leaves, given: Mapping[str, Any], dtype: Any
) -> Experience:
    """Return a checked experience for the kernel, what is left out standing at plan."""
    structure, yearly = bound.structure, leaves.yearly

    def sampled(name: str) -> Any:
        array = jnp.asarray(given[name], dtype)
        return array if array.ndim > len(EXPERIENCE[name]) else array[..., None]

    activity = sampled("activity")
    samples = max(jnp.shape(sampled(name))[-1] for name in given)

    def spread(array: Any) -> Any:
        return jnp.broadcast_to(array, (*array.shape[:-1], samples))

    at_plan = [0.0 if name.startswith("delay[") else 1.0 for name in shape.indices]
    index = jnp.broadcast_to(
        jnp.asarray(at_plan, dtype)[None, :, None], (structure.years, len(at_plan), samples)
    )
    if "driver_index" in given:
        at = np.array([shape.indices.index(name) for name in shape.labels["driver"]], int)
        index = index.at[:, at].set(spread(sampled("driver_index")))
    if "members" in given and structure.populations:
        planned = jnp.where(yearly.members > 0, yearly.members, 1)
        people = slice(structure.drivers, structure.drivers + structure.populations)
        index = index.at[:, people].set(spread(sampled("members") / planned))
    if "quality" in given and structure.scored:
        first = structure.first_score
        scores = sampled("quality")[:, np.array(structure.scored)]
        index = index.at[:, first : first + len(structure.scored)].set(spread(scores))
    others = None
    if structure.others:
        others = jnp.full((structure.years, len(structure.others), samples), jnp.nan, dtype)
        if "other_position" in given:
            others = spread(sampled("other_position")[:, np.array(structure.others)])
    ones = jnp.ones_like(activity)
    return Experience(
        activity=spread(activity),
        case_mix=spread(sampled("case_mix") if "case_mix" in given else ones),
        unit_cost=spread(sampled("unit_cost") if "unit_cost" in given else yearly.unit_cost * ones),
        index=index,
        given_cost=spread(sampled("cost")) if "cost" in given else None,
        other_position=others,
        person_cost=spread(sampled("person_cost")) if "person_cost" in given else None,
    )


def axes_of(name: str) -> tuple[str, ...]:
    """Return the axes of an outcome."""
    if name == "posting":
        return ("year", "term", "partner", "sample")
    if name in BY_LINE:
        return ("year", "line", "sample")
    if name in BY_CHANGE:
        return ("year", "change", "sample")
    assert name in (*BY_PARTNER, "other_position")
    return ("year", "partner", "sample")


def outcomes_of(bound: Bound, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the kernel returned as one array for each name, ``(..., year, row, sample)``."""
    found: dict[str, Any] = {}
    for name, value in outputs.items():
        if name == "posting":
            found[name] = jnp.stack(value, axis=-3) if value else None
        elif name == "other_position":
            rows = (*value.shape[:-2], bound.structure.partners, value.shape[-1])
            at = np.array(bound.structure.others)
            spread = jnp.full(rows, jnp.nan, value.dtype)
            found[name] = spread.at[..., at, :].set(value)
        else:
            found[name] = value
    return {name: value for name, value in found.items() if value is not None}
