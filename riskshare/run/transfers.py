"""What each term of a settlement moves, part by part: from whom, to whom, for which line."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.bind import Bound
from riskshare.case import Case


def with_transfers(
    result: xr.Dataset, case: Case, bound: Bound, moved: Any, settled: NDArray[np.bool_]
) -> xr.Dataset:
    """Return a settlement with ``transfer`` on (year, transfer), and what its rows are.

    Parameters
    ----------
    moved
        By term and transfer: amounts (year, part, 1), and the keys they go to and come from,
        (year, partner, part).
    settled
        Which years to hold.
    """
    terms: list[str] = []
    parts: list[str] = []
    amounts: list[NDArray[Any]] = []
    to: list[list[str]] = []
    from_: list[list[str]] = []
    structure = bound.structure
    for name, slot in zip(structure.term_names, bound.numbers.yearly.terms, strict=True):
        for label, (amount, to_key, from_key) in sorted(moved[name].items()):
            items = _items(case, bound, slot.term, label.partition(" ")[2])
            for k in range(amount.shape[1]):
                terms.append(name)
                parts.append(items[k] if items else "")
                amounts.append(amount[settled, k, 0])
                to.append([_named(case, key) for key in to_key[settled][:, :, k]])
                from_.append([_named(case, key) for key in from_key[settled][:, :, k]])
    dims = ("year", "transfer")
    money = np.array(amounts).T.reshape(int(settled.sum()), len(terms))
    labelled = result.assign_coords(
        transfer_from=(dims, np.array(from_).T.reshape(money.shape)),
        transfer_to=(dims, np.array(to).T.reshape(money.shape)),
        transfer_term=("transfer", np.array(terms, dtype=str)),
        transfer_part=("transfer", np.array(parts, dtype=str)),
    )
    labelled["transfer"] = xr.DataArray(money, dims=dims, attrs=_TRANSFER)
    return labelled


_TRANSFER = {"long_name": "money that a part of a term moves from one key to another"}


def _items(case: Case, bound: Bound, term: Any, kind: str) -> list[str]:
    """Return the names of a transfer's parts; none where it is one amount."""
    if kind == "line":
        return [case.lines[i].name for i in term.lines]
    if kind == "partner":
        return [partner.name for partner in case.partners]
    if kind == "index":
        structure = bound.structure
        controlled = structure.drivers + structure.populations + structure.changes
        return list(case.indices())[:controlled]
    return []


def _named(case: Case, key: NDArray[Any]) -> str:
    """Return whom a key names: a partner, or partners with their shares."""
    names = [partner.name for partner in case.partners]
    shares = [(name, share) for name, share in zip(names, key, strict=True) if share]
    if len(shares) == 1:
        return shares[0][0]
    return ", ".join(f"{name} {100 * share:.4g} %" for name, share in shares)


FIGURES = ("quantity", "beyond", "rate", "amount")
"""What a step of the working may state: a quantity, a threshold, a rate, and money."""


def with_working(
    result: xr.Dataset, case: Case, bound: Bound, notes: Any, settled: NDArray[np.bool_]
) -> xr.Dataset:
    """Return a settlement with the working of its terms: ``step_quantity`` and others.

    They are on (year, step), NaN where a step states no such figure; the coordinates ``step_term``,
    ``step_rule`` and ``step_part`` (a line, a partner or nothing) say what a step is. Amounts are
    before rounding.
    """
    slots = dict(zip(bound.structure.term_names, bound.numbers.yearly.terms, strict=True))
    heads: list[tuple[str, str, str]] = []
    columns: list[NDArray[np.float64]] = []
    order = {name: i for i, name in enumerate(bound.structure.term_names)}
    keyed = sorted(notes, key=lambda key: (order[key.split("|")[0]], int(key.split("|")[1])))
    for key in keyed:
        term, _, rule = key.split("|")
        figures = {name: _by_part(np.asarray(value)[settled]) for name, value in notes[key].items()}
        size = max(value.shape[1] for value in figures.values())
        for k, part in enumerate(_parts(case, slots[term].term, size)):
            rows = [
                figures[name][:, min(k, figures[name].shape[1] - 1)]
                if name in figures
                else np.full(int(settled.sum()), np.nan)
                for name in FIGURES
            ]
            heads.append((term, rule, part))
            columns.append(np.array(rows))
    shape = (len(heads), len(FIGURES), int(settled.sum()))
    table = np.array(columns).reshape(shape)
    labelled = result.assign_coords(
        step_term=("step", [head[0] for head in heads]),
        step_rule=("step", [head[1] for head in heads]),
        step_part=("step", [head[2] for head in heads]),
    )
    for i, name in enumerate(FIGURES):
        labelled[f"step_{name}"] = (("year", "step"), table[:, i].T)
    return labelled


def _by_part(value: NDArray[Any]) -> NDArray[np.float64]:
    """Return a figure as (year, part): it came as (year), (year, 1) or (year, part, 1)."""
    return value.astype(np.float64).reshape(len(value), -1)


def _parts(case: Case, term: Any, size: int) -> list[str]:
    lines = getattr(term, "lines", None)
    if size == 1 and (lines is None or len(lines) > 1):
        return [""]
    if lines is not None and size == len(lines):
        return [case.lines[i].name for i in lines]
    if size == len(case.partners):
        return [partner.name for partner in case.partners]
    return [""] * size
