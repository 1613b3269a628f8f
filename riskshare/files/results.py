"""Results on disk: netCDF for arrays, CSV for tables, each written beside and moved into place."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from riskshare.errors import ArgumentError
from riskshare.files.actuals import write_closing
from riskshare.files.atomic import replacing


def write_run(folder: Path, outcomes: xr.Dataset, table: xr.Dataset) -> list[Path]:
    """Write ``outcomes.nc`` and ``summary.csv`` into a folder, made if need be."""
    make_folder(folder)
    return [
        _write_netcdf(folder / "outcomes.nc", outcomes),
        write_summary(folder, table),
    ]


def write_summary(folder: Path, table: xr.Dataset) -> Path:
    """Write ``summary.csv`` into a folder, made if need be."""
    make_folder(folder)
    return _write_rows(folder / "summary.csv", summary_rows(table))


def write_settlement(folder: Path, result: xr.Dataset) -> list[Path]:
    """Write ``settlement.nc``, ``postings.csv``, ``positions.csv`` and ``closing.csv``."""
    make_folder(folder)
    paths = [
        _write_netcdf(folder / "settlement.nc", result),
        _write_rows(folder / "postings.csv", _posting_rows(result)),
        _write_rows(folder / "positions.csv", _position_rows(result)),
    ]
    if "closing" in result:
        write_closing(result, folder / "closing.csv")
        paths.append(folder / "closing.csv")
    return paths


def make_folder(folder: Path) -> None:
    """Make the folder for results, or say why it cannot be made."""
    file = next((part for part in (folder, *folder.parents) if part.is_file()), None)
    if file is not None:
        raise ArgumentError(f"--out {folder}: {file} is a file; accepted: a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError(f"--out {folder}: {error.strerror or error}") from None


_EVERYWHERE = ("partner", "year", "level")
"""Dimensions of a summary that have a column of their own; what others hold is named by both."""


def _write_netcdf(path: Path, dataset: xr.Dataset) -> Path:
    encoded = dataset.copy()
    encoded.attrs = {k: list(v) if isinstance(v, tuple) else v for k, v in dataset.attrs.items()}
    if not encoded.attrs.get("filled_from_plan", True):
        encoded.attrs["filled_from_plan"] = ""
    with replacing(path) as temporary:
        encoded.to_netcdf(temporary, engine="h5netcdf")
    return path


def _write_rows(path: Path, rows: Iterator[tuple[object, ...]]) -> Path:
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def summary_rows(table: xr.Dataset) -> Iterator[tuple[object, ...]]:
    """Yield the summary as a long table: one statistic of one thing in one year a row."""
    yield "of", "name", "partner", "year", "statistic", "level", "value", "standard_error"
    for name in table.data_vars:
        if f"{name}_error" not in table:
            continue  # an error itself, or the directions of a sampler
        for at, value, error in figures(table, str(name)):
            of = {dim: str(label) for dim, label in at.items() if dim not in _EVERYWHERE}
            yield (
                ", ".join(of) or "partner",
                ", ".join(of.values()),
                at.get("partner", ""),
                at.get("year", ""),
                name,
                at.get("level", ""),
                value,
                error,
            )


def figures(table: xr.Dataset, name: str) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Yield each figure of a statistic: its labels by dimension, its value and its error.

    As text that reads back to the same number; an error that is not known is blank.
    """
    values, errors = table[name], table.get(f"{name}_error")
    dims = [str(dim) for dim in values.dims]
    for place in np.ndindex(values.shape):
        at = {dim: table[dim].values[i] for dim, i in zip(dims, place, strict=True)}
        error = "" if errors is None else repr(float(errors.values[place]))
        yield at, repr(float(values.values[place])), error


def _posting_rows(result: xr.Dataset) -> Iterator[tuple[object, ...]]:
    yield "year", "term", "partner", "posting"
    posting = result.posting.isel(sample=0).transpose("year", "term", "partner")
    for y, t, p in np.ndindex(posting.shape):
        yield (
            posting.year.values[y],
            posting.term.values[t],
            posting.partner.values[p],
            repr(float(posting.values[y, t, p])),
        )


def _position_rows(result: xr.Dataset) -> Iterator[tuple[object, ...]]:
    names = ["received", "paid", "cost", "position"]
    names += [name for name in ("cash", "underlying", "other_position") if name in result]
    yield "year", "partner", *names
    at = result.isel(sample=0)
    for year in result.year.values:
        for partner in result.partner.values:
            row = at.sel(year=year, partner=partner)
            yield year, partner, *(repr(float(row[name])) for name in names)
