"""Which numbers of a contract matter: in what share of draws the money moves with each.

Each number is moved a little, up and, where nothing moves, down. The number of a gate moves money
only where it lies, so it is taken away as well: what it keeps back or lets through is what it
matters in. A number that moves nothing, on draws or scan, never binds.
"""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.analysis.findings import Finding
from riskshare.analysis.gates import step_numbers
from riskshare.analysis.moves import (
    GATED,
    Number,
    far_values,
    is_unused,
    moved_numbers,
    near_values,
    numbers_of,
)
from riskshare.analysis.probe import Probe, Settled, Values
from riskshare.contract.support import StrandedSupport
from riskshare.parameters import split_path


def binding(
    probe: Probe, values: Values, drawn: int, base: Settled
) -> tuple[xr.Dataset, list[Finding]]:
    """Return in what share of draws each number matters, and those that never do.

    Parameters
    ----------
    values
        Draws, then points of the scan.
    drawn
        How many of them are draws.
    base
        The case settled on them.
    """
    steps = {split_path(number.path)[0] for number in step_numbers(probe)}
    found: dict[str, tuple[float, bool]] = {}
    for number in numbers_of(probe):
        found[number.path] = _matters(probe, number, values, drawn, base, steps)
    dataset = xr.Dataset(
        {
            "share": ("number", np.array([share for share, _ in found.values()], np.float64)),
            "binds": ("number", np.array([binds for _, binds in found.values()], bool)),
        },
        {"number": list(found)},
    )
    return dataset, list(_findings(probe, found, base, drawn))


def _matters(
    probe: Probe, number: Number, values: Values, drawn: int, base: Settled, steps: set[str]
) -> tuple[float, bool]:
    """Return the share of draws in which a number matters, and whether it does so anywhere."""
    changed = np.zeros(base.posting.shape[-1], bool)
    head = split_path(number.path)[0]
    gated = head in steps or head.endswith(GATED)
    tried = False
    for moves in (near_values(probe, number), far_values(number) if gated else ()):
        for value in moves:
            now = _changed(probe, values, number, value, base)
            if now is not None:
                tried = True
                changed |= now
                if now.any():
                    break  # of a gate, the first is the value with which it does nothing
    if not tried:
        return 1.0, True  # it cannot be another, such as the share of the only partner
    return float(changed[:drawn].mean()), bool(changed.any())


def _changed(
    probe: Probe, values: Values, number: Number, value: float, base: Settled
) -> NDArray[np.bool_] | None:
    """Return in which samples any money moves with a number; None where it cannot move so."""
    for numbers in moved_numbers(probe, number, value):
        if is_unused(probe, numbers):
            return np.zeros(base.posting.shape[-1], bool)
        after = probe.settle_at(values, numbers)
        if after is None:
            continue
        least = 1e-13 * base.gross
        changed = (np.abs(after.posting - base.posting) > least[:, None, None]).any((0, 1, 2))
        if after.cash is not None and base.cash is not None:
            changed |= (np.abs(after.cash - base.cash) > least[:, None]).any((0, 1))
        return np.asarray(changed)
    return None


def _findings(
    probe: Probe, found: dict[str, tuple[float, bool]], base: Settled, drawn: int
) -> Iterator[Finding]:
    nowhere = f"not in any of {drawn:,} draws, nor anywhere on the scan"
    still, off = _still(probe, base)
    for name in sorted(still - off):
        yield Finding("warning", "binding", name, f"never moves money: {nowhere}")
    never: dict[str, list[str]] = {}
    entries: dict[str, int] = {}
    for path, (_, binds) in found.items():
        if any(path.startswith(f"{name}.") for name in still):
            continue
        head, keys = split_path(path)
        entries[head] = entries.get(head, 0) + 1
        if not binds:
            never.setdefault(head, []).append(",".join(keys))
    for head, labels in never.items():
        some = 1 < len(labels) < entries[head]
        path = head if len(labels) > 1 or not labels[0] else f"{head}[{labels[0]}]"
        count = f"at {len(labels)} of its {entries[head]} entries ({', '.join(labels)})"
        which = count if some else ""
        yield Finding(
            "warning",
            "binding",
            path,
            f"never binds{' ' if which else ''}{which}: no money moves with it, {nowhere}",
        )


def _still(probe: Probe, base: Settled) -> tuple[set[str], set[str]]:
    """Return the terms that never move money, and those of them that are not meant to."""
    still, off = set(), set()
    for place, (name, slot) in enumerate(
        zip(probe.terms, probe.bound.numbers.yearly.terms, strict=True)
    ):
        term = probe.term_of(name)
        if term is None or np.any(base.posting[:, place]):
            continue
        if isinstance(term, StrandedSupport) and term.paid_in is not None:
            continue  # its numbers are those of the budget that pays it
        still.add(name)
        if not np.any(slot.term.in_force > 0):
            off.add(name)
    return still, off
