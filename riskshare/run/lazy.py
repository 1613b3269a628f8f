"""Lazy outcomes: a dataset of dask arrays whose parts the kernel computes when they are used.

A part is a run of whole blocks. One task computes all variables of a part; each variable's own
tasks only pick theirs, so that what is computed together runs the kernel once.
"""

import importlib
import operator
import os
import threading
import uuid
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.bind import Bound
from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.outcomes import BY_CHANGE, BY_LINE, outcomes_dataset
from riskshare.program.leading import Leading
from riskshare.program.streams import BLOCK
from riskshare.run.chunks import Kernel, in_a_row, outputs_of
from riskshare.run.devices import devices_of
from riskshare.run.memory import outcome_bytes, refuse_too_large
from riskshare.run.precision import dtype_of
from riskshare.run.sampling import Bits, Sampling

FEWEST = 2
"""Blocks of a chunk at least: XLA writes a loop of one block out, and rounds otherwise there."""


@dataclass(frozen=True)
class Parts:
    """How the samples of a run fall into parts of whole blocks, all of one size but the last."""

    sampling: Sampling
    blocks: int
    """Blocks of a part."""

    @property
    def each(self) -> int:
        """Samples of a block that the run takes."""
        return min(BLOCK, self.sampling.per_replicate)

    @property
    def samples(self) -> int:
        """Samples of a part."""
        return min(self.blocks * self.each, self.sampling.samples)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Samples of every part."""
        whole, rest = divmod(self.sampling.samples, self.samples)
        return (self.samples,) * whole + ((rest,) if rest else ())

    def numbers(self, part: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the replicate of each block of a part, and its number there."""
        per_replicate = -(-self.sampling.per_replicate // BLOCK)
        first = part * self.blocks
        last = min(first + self.blocks, self.sampling.replicates * per_replicate)
        return np.divmod(np.arange(first, last), per_replicate)

    def replicate(self, part: int) -> NDArray[np.int32]:
        """Return the replicate of each sample of a part."""
        start = part * self.samples
        sample = np.arange(start, min(start + self.samples, self.sampling.samples))
        return (sample // self.sampling.per_replicate).astype(np.int32)


def parts_of(chunks: int, sampling: Sampling) -> Parts:
    """Return the parts that chunks of at least so many samples make.

    Raises
    ------
    ArgumentError
        If it is no whole number of at least 1.
    """
    if isinstance(chunks, bool) or not isinstance(chunks, int | np.integer) or chunks < 1:
        raise ArgumentError(
            f"chunks is {chunks!r}; accepted: how many samples to compute at a time, a whole "
            "number such as 65_536"
        )
    return Parts(sampling, -(-int(chunks) // min(BLOCK, sampling.per_replicate)))


@dataclass(eq=False)
class LazyRun:
    """Computes the parts of a run, in any thread; what it computes with is made at first use."""

    case: Case
    bound: Bound
    parts: Parts
    keep: tuple[str, ...]
    precision: str
    leading: Leading | None
    device: str | None
    soon: bool
    _kernel: Kernel | None = None
    _compiled: bool = False
    _first: Any = field(default_factory=threading.RLock)

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what belongs to this process: locks, and arrays on its devices."""
        own = {"_kernel": None, "_compiled": False, "_first": None}
        return self.__dict__ | own

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start afresh in another process."""
        self.__dict__.update(state, _first=threading.RLock())

    def __call__(self, part: int) -> dict[str, NDArray[Any]]:
        """Return every variable of a part, (..., sample)."""
        # the first part runs alone, so that the kernel is compiled once
        with nullcontext() if self._compiled else self._first:
            found = self._computed(part)
            self._compiled = True
        return found

    def _computed(self, part: int) -> dict[str, NDArray[Any]]:
        kernel = self._made()
        width = min(kernel.devices.width, max(FEWEST, self.parts.blocks))
        pieces = [
            jax.tree.map(partial(in_a_row, chunk=chunk), outputs_of(kernel, chunk, part))
            for chunk in self.parts.sampling.chunked(*self.parts.numbers(part), width)
        ]
        whole = jax.tree.map(lambda *rows: np.concatenate(rows, axis=-1), *pieces)
        dataset = outcomes_dataset(self.case, self.bound, whole, {"precision": self.precision})
        return {str(name): variable.values for name, variable in dataset.data_vars.items()}

    def _made(self) -> Kernel:
        with self._first:
            if self._kernel is None:
                self._kernel = Kernel(
                    self.bound,
                    Bits(self.bound, self.parts.sampling),
                    dtype_of(self.precision),
                    self.keep,
                    devices_of(self.device, None),
                    leading=self.leading,
                    soon=self.soon,
                )
            return self._kernel


def lazy_outcomes(
    case: Case,
    bound: Bound,
    sampling: Sampling,
    keep: tuple[str, ...],
    precision: str,
    attrs: dict[str, Any],
    chunks: int,
    leading: Leading | None,
    device: str | None,
    soon: bool,
) -> xr.Dataset:
    """Return outcomes as `riskshare.run.chunks.run_chunks` would have them, not yet computed.

    Raises
    ------
    ArgumentError
        If dask is not installed, there is no such device, or the parts at work at one time would
        not fit the memory available.
    """
    parts = parts_of(chunks, sampling)
    devices_of(device, None)
    _refuse_large_parts(bound, parts, keep, dtype_of(precision))
    said = {"chunk_samples": parts.samples, "chunk_samples_asked": int(chunks)}
    empty = _empty(bound, keep, dtype_of(precision))
    if leading is not None and leading.tilt is not None:
        empty["weight"] = np.zeros(0, dtype_of(precision))
    none = np.zeros(0, np.int32) if sampling.sampler == "sobol" else None
    template = outcomes_dataset(case, bound, empty, attrs | said, none)
    run = LazyRun(case, bound, parts, keep, precision, leading, device, soon)
    variables = {str(name): array.variable for name, array in template.data_vars.items()}
    arrays = _arrays(run, variables)
    lazy = {name: (v.dims, arrays[name], v.attrs) for name, v in variables.items()}
    return template.drop_dims("sample").assign(lazy)


def _arrays(run: LazyRun, variables: dict[str, xr.Variable]) -> dict[str, Any]:
    """Return the variables as dask arrays with one chunk for each part."""
    try:
        array = importlib.import_module("dask.array").Array
        graph_of = importlib.import_module("dask.highlevelgraph").HighLevelGraph
    except ImportError:
        raise ArgumentError(
            "chunks: lazy results need dask, which is not installed; pip install 'riskshare[dask]'"
        ) from None
    sizes, own = run.parts.sizes, uuid.uuid4().hex
    work, parts = f"riskshare-run-{own}", f"riskshare-part-{own}"
    every = range(len(sizes))
    shared: dict[str, Any] = {
        work: {work: run},
        parts: {(parts, i): (operator.call, work, i) for i in every},
    }
    found = {}
    for name, variable in variables.items():
        key = f"{name}-{own}"
        outer = (0,) * (variable.ndim - 1)
        if name == "replicate":  # needs no kernel
            graph = graph_of(
                {key: {(key, i): (run.parts.replicate, i) for i in every}}, {key: set()}
            )
        else:
            own_tasks = {(key, *outer, i): (operator.getitem, (parts, i), name) for i in every}
            dependencies = {work: set(), parts: {work}, key: {parts}}
            graph = graph_of(shared | {key: own_tasks}, dependencies)
        whole = tuple((size,) for size in variable.shape[:-1])
        found[name] = array(graph, key, (*whole, sizes), dtype=variable.dtype)
    return found


def _empty(bound: Bound, keep: tuple[str, ...], dtype: Any) -> dict[str, Any]:
    """Return what the kernel returns, of no samples: (year, row, 0) by name."""
    structure = bound.structure
    rows = dict.fromkeys(BY_CHANGE, structure.changes) | dict.fromkeys(BY_LINE, structure.lines)
    rows |= {"waiting_list": len(structure.limited), "other_position": len(structure.others)}
    found: dict[str, Any] = {}
    for name in keep:
        none = np.zeros((structure.years, rows.get(name, structure.partners), 0), dtype)
        found[name] = (none,) * len(structure.term_names) if name == "posting" else none
    return found


def _refuse_large_parts(bound: Bound, parts: Parts, keep: tuple[str, ...], dtype: Any) -> None:
    together = os.cpu_count() or 1
    refuse_too_large(
        together * outcome_bytes(bound, keep, parts.samples, dtype),
        f"{together} chunks of {parts.samples:,} samples, computed at a time,",
        "make chunks smaller, such as chunks=65_536, or keep fewer variables",
    )
