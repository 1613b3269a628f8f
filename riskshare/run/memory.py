"""Memory: how much there is, how much a result needs, and a refusal before work is lost."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from riskshare.bind import Bound
from riskshare.errors import TooLargeError
from riskshare.outcomes import BY_CHANGE, BY_LINE, BY_PARTNER

REMEDY = (
    'keep fewer variables (keep=("position",)), have the table alone (riskshare.estimate), or '
    "leave the samples unmade until they are used (chunks=65_536)"
)
"""What to do where a result of `riskshare.simulate` is too large."""

DRAW_REMEDY = (
    "draw fewer samples, or simulate with chunks=65_536, which draws them as they are used"
)
"""The same for `riskshare.draw`."""


def available_memory() -> int | None:
    """Return the bytes of memory that may be taken now; None where nobody says.

    On Linux the least of ``MemAvailable`` and what every control group of this process (v1 or v2)
    leaves of its limit, page cache counted as free; elsewhere all the memory there is, which is
    more than is free.
    """
    found = [*_meminfo(), *_control_groups()]
    if found:
        return max(0, min(found))
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def refuse_too_large(needed: int, what: str, remedy: str) -> None:
    """Refuse what does not fit the memory available, before any long work.

    Parameters
    ----------
    needed
        Bytes.
    what
        What needs them, in the plural.
    remedy
        What to do instead.

    Raises
    ------
    TooLargeError
        If more is needed than there is.
    """
    there = available_memory()
    if there is not None and needed > there:
        raise TooLargeError(
            f"{what} need {_amount(needed)} of memory, and {_amount(there)} are available", remedy
        )


def outcome_bytes(bound: Bound, names: Iterable[str], samples: int, dtype: Any) -> int:
    """Return the bytes of the outcomes of a run, the largest copy on the way included.

    ``samples x itemsize x`` years and rows of each variable kept. Postings are stacked from one
    array for each term, so they are there twice at the end.
    """
    structure = bound.structure
    rows = dict.fromkeys(BY_PARTNER, structure.partners)
    rows |= dict.fromkeys(BY_CHANGE, structure.changes)
    rows |= dict.fromkeys(BY_LINE, structure.lines)
    rows["other_position"] = structure.partners
    rows["posting"] = 2 * structure.partners * len(structure.term_names)
    return _bytes(structure.years * sum(rows[name] for name in names), samples, dtype)


def draw_bytes(bound: Bound, samples: int, dtype: Any) -> int:
    """Return the bytes of the draws of a run, the copies on the way included."""
    structure = bound.structure
    rows = 3 * structure.lines + 2 * structure.indices + sum(structure.slots)
    if structure.scored:
        rows += structure.partners
    if structure.others:
        rows += 2 * structure.partners
    if structure.limited:
        rows += structure.lines + len(structure.limited)
    return _bytes(structure.years * rows, samples, dtype)


def _bytes(rows: int, samples: int, dtype: Any) -> int:
    replicate = np.dtype(np.int32).itemsize
    return samples * (rows * np.dtype(dtype).itemsize + replicate)


def _amount(count: int) -> str:
    """Return bytes as people read them."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} TB"


def _meminfo() -> list[int]:
    for line in _lines(Path("/proc/meminfo")):
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return [int(value.split()[0]) * 1024]
    return []


def _control_groups() -> list[int]:
    """Return what each control group that this process is in leaves of its limit."""
    root, found = Path("/sys/fs/cgroup"), []
    for line in _lines(Path("/proc/self/cgroup")):
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2 has no list of controllers
            base, names = root, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            base = root / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        own = base / path.strip("/")
        # a container may see its own group as the root, whatever the path says
        for group in (own, *own.parents):
            if group == base or base in group.parents:
                found += _left(group, *names)
    return found


def _left(group: Path, limit: str, usage: str, reclaimable: str) -> list[int]:
    """Return what is left of a group's limit; nothing where it has none."""
    most, used = ("".join(_lines(group / name)).strip() for name in (limit, usage))
    if not most.isdigit() or not used.isdigit():
        return []
    cached = 0
    for line in _lines(group / "memory.stat"):
        name, _, value = line.partition(" ")
        if name == reclaimable:
            cached = int(value)
    return [int(most) - int(used) + cached]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
