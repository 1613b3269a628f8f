"""What a settlement was made from: inputs, the working of each term, what moved between whom."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.bind import Bound
from riskshare.case import Case
from riskshare.contract.sharing import Pool
from riskshare.run.given import GivenExperience, needed_indices

Labelled = tuple[dict[str, Any], dict[str, Any]]
"""Variables, and coordinates, as `xarray.Dataset` takes them."""


def with_account(
    result: xr.Dataset,
    case: Case,
    bound: Bound,
    moved: Mapping[str, Any],
    given: GivenExperience,
    experience: xr.Dataset,
) -> xr.Dataset:
    """Return a settlement with its transfers, its working and its inputs.

    All in one go: xarray aligns every variable of a dataset whenever one is added.
    """
    parts = (
        _transfers(case, bound, moved["moved"], given.settled),
        _working(case, bound, moved["notes"], given.settled),
        _inputs(case, bound, given, experience),
    )
    variables: dict[Any, Any] = {n: array.variable for n, array in result.data_vars.items()}
    coords: dict[Any, Any] = {n: array.variable for n, array in result.coords.items()}
    for more, labels in parts:
        variables |= more
        coords |= labels
    # the labels of a dimension are indexed once, not again
    return xr.Dataset(variables, xr.Coordinates(coords, result.xindexes), result.attrs)


def _transfers(case: Case, bound: Bound, moved: Any, settled: NDArray[np.bool_]) -> Labelled:
    """Return ``transfer`` on (year, transfer), and what its rows are.

    ``transfer_share`` on (year, transfer, partner) is what each partner receives (+) or pays (-) of
    an amount: ``to - from``. Its product with the amount, rounded half to even to the smallest
    unit, is what the transfer adds to a posting; the residue of the term is what is left.

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
    shares: list[NDArray[Any]] = []
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
                shares.append((to_key - from_key)[settled][:, :, k])
    dims = ("year", "transfer")
    money = np.array(amounts).T.reshape(int(settled.sum()), len(terms))
    of = np.array(shares).reshape(len(terms), int(settled.sum()), len(case.partners))
    variables = {
        "transfer": (dims, money, _TRANSFER),
        "transfer_share": ((*dims, "partner"), of.transpose(1, 0, 2), _SHARE),
    }
    return variables, {
        "transfer_from": (dims, np.array(from_).T.reshape(money.shape)),
        "transfer_to": (dims, np.array(to).T.reshape(money.shape)),
        "transfer_term": ("transfer", np.array(terms, dtype=str)),
        "transfer_part": ("transfer", np.array(parts, dtype=str)),
    }


_TRANSFER = {"long_name": "money that a part of a term moves from one key to another"}
_SHARE = {"long_name": "share of a transfer that a partner receives (+) or pays (-)"}


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


EFFECT = "effect"
"""The step in which an influence pool states what each index did to the value of its lines."""

FIGURES = ("quantity", "beyond", "rate", "amount")
"""What a step of the working may state: a quantity, a threshold, a rate, and money."""


def _working(case: Case, bound: Bound, notes: Any, settled: NDArray[np.bool_]) -> Labelled:
    """Return the working of terms: ``step_quantity`` and others.

    They are on (year, step), NaN where a step states no such figure; the coordinates ``step_term``,
    ``step_rule`` and ``step_part`` (a line, a partner or nothing) say what a step is. Amounts are
    before rounding.
    """
    slots = dict(zip(bound.structure.term_names, bound.numbers.yearly.terms, strict=True))
    by_line = {
        name for name, slot in slots.items() if isinstance(getattr(slot.term, "lines", None), tuple)
    } - {name for name, slot in slots.items() if isinstance(slot.term, Pool)}
    heads: list[tuple[str, str, str]] = []
    columns: list[NDArray[np.float64]] = []
    order = {name: i for i, name in enumerate(bound.structure.term_names)}
    keyed = sorted(notes, key=lambda key: (order[key.split("|")[0]], int(key.split("|")[1])))
    for key in keyed:
        term, _, rule = key.split("|", 2)
        figures = {name: _by_part(np.asarray(value)[settled]) for name, value in notes[key].items()}
        size = max(value.shape[1] for value in figures.values())
        named = _parts(case, bound, slots[term].term, rule, size, term in by_line)
        for k, part in enumerate(named):
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
    variables = {
        f"step_{name}": (("year", "step"), table[:, i].T) for i, name in enumerate(FIGURES)
    }
    return variables, {
        f"step_{what}": ("step", np.array([head[i] for head in heads], dtype=str))
        for i, what in enumerate(("term", "rule", "part"))
    }


def _by_part(value: NDArray[Any]) -> NDArray[np.float64]:
    """Return a figure as (year, part): it came as (year), (year, 1) or (year, part, 1)."""
    return value.astype(np.float64).reshape(len(value), -1)


def _parts(case: Case, bound: Bound, term: Any, rule: str, size: int, by_line: bool) -> list[str]:
    """Return what the rows of a step are: lines of the term, partners, or one for all."""
    if rule == EFFECT and isinstance(term, Pool):
        return _items(case, bound, term, "index")
    own = {"cost of lines": "cost_of", "value of lines": "value_of"}.get(rule)
    if own is not None and isinstance(term, Pool):
        return [case.lines[i].name for i in getattr(term, own)]
    if by_line and size == len(term.lines):
        return [case.lines[i].name for i in term.lines]
    if not by_line and size == len(case.partners):
        return [partner.name for partner in case.partners]
    return [""] * size


def _inputs(case: Case, bound: Bound, given: GivenExperience, experience: xr.Dataset) -> Labelled:
    """Return the experience that was used: ``input_value`` and ``input_from_plan``.

    They are on (year, input); the coordinates ``input_variable`` (as in an experience) and
    ``input_name`` say what an input is. Of drivers, members and scores there are those that a term
    asks for, NaN in years in which none does. A ``cost`` is NaN where the cost model served, and
    ``person_cost`` is the sum over people.
    """
    years, lines = case.labels()["year"], case.labels()["line"]
    rows: list[tuple[str, str, NDArray[Any], NDArray[np.bool_]]] = []
    for variable in ("activity", "case_mix", "unit_cost", "cost", "person_cost"):
        values = getattr(given, variable)
        if values is None:
            continue
        values = values.sum(2) if variable == "person_cost" else values
        absent = variable not in experience
        for i, line in enumerate(lines):
            cells = [f"{variable}[{line}, {year}]" for year in years]
            planned = [absent or cell in given.filled for cell in cells]
            rows.append((variable, line, values[:, i, 0], np.array(planned)))
    needed = needed_indices(case, bound)
    places = {name: i for i, name in enumerate(case.indices())}
    for name in dict.fromkeys(name for name, _ in needed):
        asked = np.array([(name, y) in needed for y in range(len(years))])
        values = np.where(asked, given.index[:, places[name], 0], np.nan)
        variable, label = "driver_index", name
        for prefix in ("members", "quality"):
            if name.startswith(f"{prefix}["):
                variable, label = prefix, name.removeprefix(f"{prefix}[").removesuffix("]")
        if variable == "members":
            values = values * bound.plan.view.members[:, case.labels()["population"].index(label)]
        rows.append((variable, label, values, np.zeros(len(years), bool)))
    at = given.settled
    variables = {
        "input_value": (("year", "input"), np.array([row[2] for row in rows]).T[at]),
        "input_from_plan": (("year", "input"), np.array([row[3] for row in rows]).T[at]),
    }
    return variables, {
        "input_variable": ("input", np.array([row[0] for row in rows], dtype=str)),
        "input_name": ("input", np.array([row[1] for row in rows], dtype=str)),
    }
