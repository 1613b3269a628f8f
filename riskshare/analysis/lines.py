"""What each line brings each partner: money that terms move for it, less what it costs.

A term that pays by line says so (`riskshare.contract.ledger.Transfer`); what it moves is read off
a settlement of the same draws in 64 bits, in which every transfer is reported with its keys.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from riskshare.bind import Bound
from riskshare.program.block import settle_block
from riskshare.program.experience import Experience
from riskshare.program.streams import BLOCK
from riskshare.run.devices import threads
from riskshare.run.precision import cast, computing_in

Floats = NDArray[np.float64]

UNITS = 2.0**20
"""Transfers are reported where they are rounded: here to a millionth of the currency."""

DRAWN = ("activity", "case_mix", "unit_cost", "driver_index")
"""What a settlement of draws takes; ``person_cost`` besides where people are drawn one by one."""


def drawn_for(bound: Bound) -> tuple[str, ...]:
    """Return the names of the draws that `by_line` needs of a run."""
    return (*DRAWN, "person_cost") if sum(bound.structure.slots) else DRAWN


def by_line(bound: Bound, draws: Mapping[str, Any], workers: int | None = None) -> Floats:
    """Return money of each line: (line, year, partner, sample).

    Parameters
    ----------
    draws
        (year, row, sample) by name; see `drawn_for`.
    """
    structure = bound.structure
    samples = draws["activity"].shape[-1]
    found = np.zeros((structure.lines, structure.years, structure.partners, samples))

    def block(start: int) -> None:
        outputs = _settled(bound, draws, start)
        part = _of_lines(bound, outputs)
        found[..., start : start + BLOCK] = part[..., : samples - start]

    block(0)
    with ThreadPoolExecutor(threads(workers)) as pool:
        for _ in pool.map(block, range(BLOCK, samples, BLOCK)):
            pass
    return found


@dataclass(frozen=True)
class AtPlan:
    """A case settled at plan, without a sample; the year first."""

    posting: Floats
    """(year, term, partner)"""
    cost: Floats
    """(year, partner)"""
    lines: Floats
    """(line, year, partner): what each line brings."""

    @property
    def position(self) -> Floats:
        """Postings less cost: (year, partner)."""
        return np.asarray(self.posting.sum(1) - self.cost)


def at_plan(bound: Bound, index: Floats) -> AtPlan:
    """Return what a case comes to when everything is as planned.

    Parameters
    ----------
    index
        The plan of every index.
    """
    view, structure = bound.plan.view, bound.structure
    draws = {
        "activity": view.plan,
        "case_mix": np.ones_like(view.plan),
        "unit_cost": bound.plan.unit_cost,
        "driver_index": np.broadcast_to(index, (structure.years, len(index))),
        "person_cost": np.zeros((structure.years, sum(structure.slots))),
    }
    one = {name: np.asarray(draws[name], np.float64)[..., None] for name in drawn_for(bound)}
    outputs = _settled(bound, one, 0)
    first = jax.tree.map(lambda leaf: leaf[..., 0], outputs)
    shape = (structure.years, 0, structure.partners)
    posting = np.stack(first["posting"], axis=1) if first["posting"] else np.zeros(shape)
    return AtPlan(posting, first["cost"], _of_lines(bound, outputs)[..., 0])


def _settled(bound: Bound, draws: Mapping[str, Any], start: int) -> dict[str, Any]:
    """Settle a block of draws in 64 bits, with what each transfer moves."""
    drawn = Experience(
        draws["activity"],
        draws["case_mix"],
        draws["unit_cost"],
        draws["driver_index"],
        slot_cost=draws.get("person_cost"),
    )
    part = jax.tree.map(lambda leaf: _padded(leaf, start), drawn)
    years, units = np.ones(bound.structure.years, bool), np.float64(UNITS)
    with computing_in(np.float64):
        leaves = cast(bound.numbers, np.float64)
        keep = ("posting", "cost", "line_cost")
        outputs, _ = settle_block(bound.structure, leaves, part, None, years, units, keep=keep)
        del outputs["notes"]
        found: dict[str, Any] = jax.tree.map(np.asarray, outputs)
    return found


def _of_lines(bound: Bound, outputs: Mapping[str, Any]) -> Floats:
    """Return what each line brings in a block, (line, year, partner, sample)."""
    cost = outputs["line_cost"]
    found = -np.einsum("pl,yls->lyps", bound.numbers.world.deliverer, cost)
    for lines, amount, key in _paid_by_line(bound, outputs["moved"]):
        found[list(lines)] += np.einsum("ypk,yks->kyps", key, amount)
    return found


def _paid_by_line(bound: Bound, moved: Mapping[str, Any]) -> list[tuple[tuple[int, ...], Any, Any]]:
    """Return lines, amounts (year, line, sample) and keys (year, partner, line) of each term."""
    found = []
    structure = bound.structure
    for name, slot in zip(structure.term_names, bound.numbers.yearly.terms, strict=True):
        term: Any = slot.term
        for label, (amount, to, from_) in moved[name].items():
            if label.partition(" ")[2] == "line":
                found.append((term.lines, amount, to - from_))
    return found


def _padded(leaf: Any, start: int) -> Floats:
    """Return the samples of a block in 64 bits, the last repeated where there are fewer."""
    part = leaf[..., start : start + BLOCK].astype(np.float64)
    short = BLOCK - part.shape[-1]
    return np.pad(part, [(0, 0)] * (part.ndim - 1) + [(0, short)], mode="edge") if short else part
