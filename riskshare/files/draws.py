"""A planning model's own draws: a long table, or arrays, of many runs."""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.case import Case
from riskshare.checks.given import suggest
from riskshare.errors import ExperienceError, Problem
from riskshare.files.long import LongTable
from riskshare.files.numbers import NumberError, read_number, refusal
from riskshare.names import DRIVER, LINE, PARTNER, POPULATION, SAMPLE, YEAR
from riskshare.run.given import LINE_VARIABLES, rows_of
from riskshare.run.own import VARIABLES, checked_arrays

RUN, VARIABLE, NAME, VALUE = "run", "variable", "name", "value"
_AXES = {
    **dict.fromkeys(LINE_VARIABLES, LINE),
    "driver_index": DRIVER,
    "members": POPULATION,
    "quality": PARTNER,
}
_UNITS = {"activity": "units", "unit_cost": "money per unit", "cost": "money", "members": "members"}
_SHOWN = 3
"""How many places a message names, of those where something is wrong."""


def read_draws(
    source: Any,
    case: Case,
    *,
    drivers: Any = None,
    columns: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """Read a planning model's draws, for ``given`` of `riskshare.draw` and `riskshare.simulate`.

    Parameters
    ----------
    source
        One of

        - a long table with the columns ``run``, ``line``, ``year`` and ``value`` (activity, or what
          a further column ``variable`` says), or a column for each variable in place of ``value``
          (``activity``, ``case_mix``, ``unit_cost``, ``cost``): the path of a CSV or a parquet
          file (for which pyarrow must be installed), a data frame, or a mapping from column to
          array;
        - an `xarray.Dataset` or `xarray.DataArray` with the dimensions ``run`` (or ``sample``),
          ``year`` and ``line``, and where runs do not count alike ``weight`` on (run);
        - a mapping from variable to an array (run, year, line) over all years and lines of the
          case, in its order.
    case
        The case whose lines and years the draws speak of.
    drivers
        A further long table with the columns ``run``, ``variable`` (``driver_index``, ``members``
        or ``quality``), ``name`` (of the driver, population or partner), ``year`` and ``value``.
        Contracts that split a deviation by driver need the drivers that go with given activity.
    columns
        The table's own names for its columns, by name: ``{"run": "iteration", "value": "spells"}``.

    Returns
    -------
    xarray.Dataset
        What was given, on (year, line, sample), over the lines and years it speaks of; ``run`` on
        (sample) says which run a sample is. A line or a year may be left out, and is drawn; a cell
        that some runs hold and others do not is an error.

    Raises
    ------
    ExperienceError
        For gaps, rows that stand twice, values that are negative or no finite numbers, and names
        that the case does not have.
    ArgumentError
        For a source of another kind, or a parquet file without pyarrow.
    """
    if isinstance(source, xr.Dataset | xr.DataArray):
        found = _of_arrays(source, case)
        name = str(source.attrs.get("name", ""))
    elif isinstance(source, Mapping) and any(np.ndim(v) > 1 for v in source.values()):
        found, name = _of_arrays(_labelled(source, case), case), ""
    else:
        table = LongTable.read(source, columns or {})
        found, name = _of_table(table, case, LINE_VARIABLES), table.name
    if drivers is not None:
        table = LongTable.read(drivers, {})
        other = _of_table(table, case, ("driver_index", "members", "quality"))
        if list(other["run"].values) != list(found["run"].values):
            message = "holds other runs than the draws; accepted: the same runs in both"
            raise ExperienceError([Problem("run", message)], table.name)
        found = _in_order(found.merge(other, join="outer", compat="no_conflicts"), case)
    found.attrs = {"name": name, "runs": found.sizes[SAMPLE]}
    return found


def _labelled(arrays: Mapping[str, Any], case: Case) -> xr.Dataset:
    """Return plain arrays (run, year, line) with the labels of the case."""
    years, lines = case.labels()[YEAR], case.labels()[LINE]
    problems = []
    for name, array in arrays.items():
        if name not in LINE_VARIABLES:
            problems.append(Problem(str(name), f"unknown; {suggest(str(name), LINE_VARIABLES)}"))
        elif np.ndim(array) != 3 or np.shape(array)[1:] != (len(years), len(lines)):
            accepted = f"(run, {len(years)} years, {len(lines)} lines)"
            message = f"has the shape {np.shape(array)}; accepted: {accepted}"
            problems.append(Problem(name, message))
    if problems:
        raise ExperienceError(problems)
    return xr.Dataset(
        {name: ((SAMPLE, YEAR, LINE), np.asarray(array)) for name, array in arrays.items()},
        {YEAR: list(years), LINE: list(lines)},
    )


def _of_arrays(source: xr.Dataset | xr.DataArray, case: Case) -> xr.Dataset:
    """Return labelled arrays in the order of the case; every value must be there."""
    if isinstance(source, xr.DataArray):
        source = source.to_dataset(name=source.name if source.name in VARIABLES else "activity")
    draws = source.drop_vars("replicate", errors="ignore")
    if "weight" in draws.coords:
        draws = draws.reset_coords("weight")
    if RUN in draws.dims:
        labels = draws[RUN].values if RUN in draws.coords else np.arange(draws.sizes[RUN])
        draws = draws.drop_vars(RUN, errors="ignore").rename({RUN: SAMPLE})
    else:
        size = draws.sizes.get(SAMPLE, 0)
        own = draws.coords.get(RUN, draws.coords.get(SAMPLE))
        labels = np.arange(size) if own is None else own.values
        draws = draws.drop_vars([RUN, SAMPLE], errors="ignore")
    checked_arrays(case, draws)
    problems = []
    for name, array in draws.data_vars.items():
        missing = int(np.isnan(np.asarray(array, np.float64)).sum())
        if missing:
            message = f"{missing:,} of {array.size:,} values are missing (NaN); accepted: all"
            problems.append(Problem(str(name), message))
    if problems:
        raise ExperienceError(problems)
    ordered = _in_order(draws, case)
    return ordered.astype(np.float64).assign_coords(run=(SAMPLE, labels))


def _in_order(draws: xr.Dataset, case: Case) -> xr.Dataset:
    """Return draws with the labels of each axis in the order of the case, and the sample last."""
    order = {
        axis: [label for label in rows_of(case, axis) if label in draws[axis].values]
        for axis in map(str, draws.dims)
        if axis != SAMPLE
    }
    return draws.sel(order).transpose(YEAR, ..., SAMPLE)


def _of_table(table: LongTable, case: Case, variables: tuple[str, ...]) -> xr.Dataset:
    """Return a long table as labelled arrays."""
    rows = NAME if "driver_index" in variables else LINE
    _check_columns(table, rows, variables)
    if not len(table.columns[RUN]):
        table.fail([Problem("", "the table has no rows; accepted: one for each run and cell")])
    runs, run = _factor(table.columns[RUN])
    parts = []
    for variable, values, at in _parts(table, variables):
        problems: list[Problem] = []
        numbers = _numbers(table, variable, values, at, case.currency, problems)
        axis = _AXES[variable]
        cells = {
            YEAR: _codes(table, YEAR, table.columns[YEAR][at], at, case.labels()[YEAR], problems),
            axis: _codes(table, rows, table.columns[rows][at], at, rows_of(case, axis), problems),
        }
        table.fail(problems)
        parts.append(_spread(table, variable, numbers, cells, run[at], runs, at, case))
    merged = xr.merge(parts, join="outer", compat="no_conflicts")
    return _in_order(merged, case).assign_coords(run=(SAMPLE, runs))


def _check_columns(table: LongTable, rows: str, variables: tuple[str, ...]) -> None:
    header, problems = tuple(table.columns), []
    needed = (RUN, rows, YEAR, *((VARIABLE, VALUE) if rows == NAME else ()))
    optional = (VALUE, VARIABLE, *variables) if rows == LINE else ()
    for name in needed:
        if name not in header:
            found = ", ".join(header)
            problems.append(Problem("", f"has no column {name!r}; found: {found}"))
    for name in header:
        if name == "weight":
            message = (
                "runs of a table all count alike; accepted: draws as an xarray.Dataset, with "
                "weight on run"
            )
            problems.append(Problem(name, message))
        elif name not in (*needed, *optional):
            message = f"the column is not known; leave it out, or {suggest(name, optional)}"
            problems.append(Problem(name, message))
    wide = [name for name in variables if name in header]
    if rows == LINE and not wide and VALUE not in header:
        problems.append(
            Problem("", f"has no values; accepted: a column 'value', or {', '.join(variables)}")
        )
    if VALUE in header and wide:
        problems.append(Problem(wide[0], "stands beside 'value'; accepted: one of the two"))
    if VARIABLE in header and VALUE not in header:
        problems.append(Problem(VARIABLE, "says what a column 'value' holds, and there is none"))
    table.fail(problems)


def _parts(
    table: LongTable, variables: tuple[str, ...]
) -> Iterator[tuple[str, NDArray[Any], NDArray[np.intp]]]:
    """Yield each variable with its values and the rows they stand in."""
    everything = np.arange(len(table.columns[RUN]))
    if VARIABLE not in table.columns:
        for name in variables:
            if name in table.columns:
                yield name, table.columns[name], everything
        if VALUE in table.columns:
            yield "activity", table.columns[VALUE], everything
        return
    said = table.columns[VARIABLE].astype(str)
    problems = [
        Problem(
            f"{table.place(np.argmax(said == name))}, {VARIABLE}",
            f"no variable is named {name!r}; {suggest(name, variables)}",
        )
        for name in dict.fromkeys(map(str, said))
        if name not in variables
    ]
    table.fail(problems)
    for name in variables:
        at = np.flatnonzero(said == name)
        if len(at):
            yield name, table.columns[VALUE][at], at


def _factor(column: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the labels of a column in the order in which they first stand, and each row's."""
    pandas: Any = importlib.import_module("pandas")
    codes, labels = pandas.factorize(column)
    labels = np.asarray(labels)
    if labels.dtype == object:
        texts = [str(label).strip() for label in labels]
        whole = all(text.isdecimal() for text in texts)
        labels = np.array([int(text) for text in texts] if whole else texts)
    return labels, np.asarray(codes)


def _codes(
    table: LongTable,
    column: str,
    values: NDArray[Any],
    at: NDArray[np.intp],
    known: tuple[str, ...],
    problems: list[Problem],
) -> NDArray[np.intp]:
    """Return the place of each row's label among those of the case."""
    labels, codes = _factor(values.astype(str).astype(object))
    places = np.full(len(labels), -1)
    for i, label in enumerate(map(str, labels)):
        if label in known:
            places[i] = known.index(label)
        else:
            rows = np.flatnonzero(codes == i)
            problems.append(
                Problem(
                    f"{table.place(at[rows[0]])}, {column}",
                    f"no {column} is named {label!r} ({len(rows):,} rows); {suggest(label, known)}",
                )
            )
    return places[codes]


def _numbers(
    table: LongTable,
    variable: str,
    values: NDArray[Any],
    at: NDArray[np.intp],
    currency: str,
    problems: list[Problem],
) -> NDArray[np.float64]:
    """Return the values as numbers, finite and not negative."""
    wrong: dict[int, str] = {}
    if values.dtype == object:
        pandas: Any = importlib.import_module("pandas")
        numbers = np.array(pandas.to_numeric(pandas.Series(values), errors="coerce"), np.float64)
        for i in np.flatnonzero(~np.isfinite(numbers)):
            text = str(values[i]).strip()
            try:
                numbers[i] = read_number(text, _UNITS.get(variable, "index"), currency)
            except NumberError as error:
                accepted = "a finite number of at least 0"
                found = refusal(text, str(error), accepted)
                wrong[int(i)] = found if text else f"is blank; accepted: {accepted} in every run"
    else:
        try:
            numbers = values.astype(np.float64)
        except (TypeError, ValueError):
            problems.append(Problem(variable, "holds no numbers; accepted: numbers of at least 0"))
            return np.zeros(len(values))
    for bad in np.flatnonzero(~(np.isfinite(numbers) & (numbers >= 0))):
        message = f"found {numbers[bad]:g}; accepted: a finite number of at least 0"
        wrong.setdefault(int(bad), message)
    for row, message in sorted(wrong.items())[:_SHOWN]:
        problems.append(Problem(f"{table.place(at[row])}, {variable}", message))
    if len(wrong) > _SHOWN:
        message = f"{len(wrong) - _SHOWN:,} further values are no finite numbers of at least 0"
        problems.append(Problem(variable, message))
    return numbers


def _spread(
    table: LongTable,
    variable: str,
    numbers: NDArray[np.float64],
    cells: Mapping[str, NDArray[np.intp]],
    run: NDArray[np.intp],
    runs: NDArray[Any],
    at: NDArray[np.intp],
    case: Case,
) -> xr.Dataset:
    """Return values on (year, row, sample); every cell that is spoken of must be in every run."""
    axes = list(cells)
    held = {axis: np.unique(codes) for axis, codes in cells.items()}
    shape = (*(len(places) for places in held.values()), len(runs))
    inside = [np.searchsorted(held[axis], cells[axis]) for axis in axes]
    flat = np.ravel_multi_index((*inside, run), shape)
    counts = np.bincount(flat, minlength=int(np.prod(shape)))
    names = {axis: rows_of(case, axis) for axis in axes}
    labels = {axis: [names[axis][i] for i in held[axis]] for axis in axes}

    def named(cell: Any) -> str:
        year, row, place = np.unravel_index(cell, shape)
        return f"run {runs[place]}, {labels[axes[1]][row]}, {labels[axes[0]][year]}"

    problems = []
    if (counts > 1).any():
        doubled = np.flatnonzero(counts > 1)
        shown = []
        for cell in doubled[:_SHOWN]:
            rows = np.flatnonzero(flat == cell)[:2]
            both = f"{table.place(at[rows[0]])} and {int(at[rows[1]]) + table.first}"
            shown.append(f"{named(cell)} ({both})")
        problems.append(
            Problem(
                variable,
                f"{len(doubled):,} cells stand more than once: {'; '.join(shown)}"
                f"{' ...' if len(doubled) > _SHOWN else ''}; accepted: one row for each run, "
                f"{axes[1]} and year",
            )
        )
    if (counts == 0).any():
        problems.append(_gaps(variable, counts.reshape(shape), named, axes[1]))
    table.fail(problems)
    array = np.empty(shape)
    array.ravel()[flat] = numbers
    return xr.Dataset({variable: ((*axes, SAMPLE), array)}, labels)


def _gaps(variable: str, counts: NDArray[np.intp], named: Any, axis: str) -> Problem:
    """Say which cells are missing, and whether it is runs that are short or cells that are rare."""
    absent = np.moveaxis(counts == 0, -1, 0)  # run by run, as a reader looks them up
    places = np.argwhere(absent)[:, [1, 2, 0]]
    missing = np.ravel_multi_index(tuple(places.T), counts.shape)
    short = int((counts == 0).any(axis=(0, 1)).sum())
    shown = "; ".join(named(cell) for cell in missing[:_SHOWN])
    more = " ..." if len(missing) > _SHOWN else ""
    return Problem(
        variable,
        f"{len(missing):,} of {counts.size:,} cells are missing, in {short:,} of "
        f"{counts.shape[-1]:,} runs: {shown}{more}; accepted: every run holds every {axis} and "
        "year that any of them holds",
    )
