"""Running the kernel over the chunks of a run, on devices and threads."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import jax
import numpy as np
from numpy.typing import NDArray

from riskshare.bind import Bound
from riskshare.bind.packed import packed
from riskshare.errors import NumericalError
from riskshare.program.block import sample_blocks
from riskshare.program.given import NOTHING
from riskshare.program.leading import Leading
from riskshare.program.reduce import Reduction
from riskshare.run.devices import Devices, devices_of
from riskshare.run.own import OwnDraws
from riskshare.run.precision import cast, computing_in, too_large
from riskshare.run.sampling import Bits, Chunk, Sampling
from riskshare.run.uncollected import uncollected

Progress = Callable[[int, int], None]
"""Called with the samples done and the samples there will be."""

NOT_REPORTED = (
    "cost_released",
    "stranded",
    "lost_contribution",
    "other_position",
    "saving_released",
    "saving_cash",
    "underlying",
)
"""Results that are NaN where a cost is given, or the rest of an organisation is not known."""


_compiled: set[Any] = set()
"""What kernels are compiled for: statics, and the shapes of arguments, by device."""

_compiling = threading.Lock()

Made = TypeVar("Made")
"""What is made of a chunk."""


_HELD = 8
_holding = threading.Lock()
_on_devices: OrderedDict[tuple[int, Any, Any], tuple[Any, Any]] = OrderedDict()
"""What was last put on devices, with what it was made of, whose identity is the key."""


def _held(owner: Any, dtype: Any, device: Any, make: Callable[[], Any]) -> Any:
    """Return what an owner makes on a device, put there once for the runs that share it."""
    key = (id(owner), dtype, device)
    with _holding:
        if key not in _on_devices:
            _on_devices[key] = owner, jax.device_put(make(), device)
        _on_devices.move_to_end(key)
        while len(_on_devices) > _HELD:
            _on_devices.popitem(last=False)
        return _on_devices[key][1]


@dataclass
class Kernel:
    """The kernel of a case with its numbers and bits on every device: runs one chunk at a time."""

    bound: Bound
    bits: Bits
    dtype: Any
    keep: tuple[str, ...]
    devices: Devices
    own: OwnDraws | None = None
    leading: Leading | None = None
    soon: bool = False
    """Whether it had better be compiled soon than be fast; an accelerator has one way alone."""
    _placed: dict[int, Any] = field(default_factory=dict)
    _ready: set[tuple[int, int]] = field(default_factory=set)
    """Devices and reductions for which the kernel is known to be compiled."""
    _placing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def _program(self) -> Callable[..., Any]:
        soon = self.soon and self.devices.shared_memory
        return sample_blocks.soon if soon else sample_blocks.fast

    def __call__(self, chunk: Chunk, turn: int, reduction: Reduction | None = None) -> Any:
        """Return the outputs of a chunk, block first; the device is the ``turn``-th."""
        given = NOTHING if self.own is None else self.own.of(chunk, self.dtype)
        with computing_in(self.dtype):
            place = turn % len(self.devices.devices)
            leaves, source, leading = self._on(place)
            places = self.bits.of(chunk)
            arguments = (leaves, source, places, given, leading, reduction)
            with self._first_alone(place, id(reduction), arguments):
                return self._program(
                    self.bound.structure,
                    *arguments,
                    np.int32(len(chunk.block)),
                    keep=self.keep,
                    dtype=self.dtype,
                    together=self.devices.together,
                )

    @contextmanager
    def _first_alone(self, place: int, reduction: int, arguments: Any) -> Iterator[None]:
        """Hold other threads back while a kernel is compiled: JAX would compile it for each."""
        if (place, reduction) in self._ready:
            yield
            return
        shapes = tuple(np.shape(leaf) for leaf in jax.tree.leaves(arguments))
        statics = (
            self._program,
            self.bound.structure,
            self.keep,
            self.dtype,
            self.devices.together,
        )
        device = self.devices.devices[place]
        what = (device, statics, jax.tree.structure(arguments), shapes)
        if what in _compiled:
            yield
        else:
            with _compiling, uncollected():
                yield
                _compiled.add(what)
        self._ready.add((place, reduction))

    def _numbers(self) -> Any:
        return packed(cast(self.bound.numbers, self.dtype))

    def _on(self, place: int) -> Any:
        """Return numbers and bits on a device, put there once."""
        device = self.devices.devices[place]
        with self._placing:
            if place not in self._placed:
                self._placed[place] = (
                    _held(self.bound, self.dtype, device, self._numbers),
                    _held(self.bits.source, None, device, lambda: self.bits.source),
                    jax.device_put(self.leading, device),
                )
        return self._placed[place]

    def map(
        self, work: Callable[[Chunk, int], Made], chunks: Iterable[Chunk]
    ) -> Iterator[tuple[Chunk, Made]]:
        """Yield chunks with what the work makes of them, in their order."""
        listed = list(chunks)
        if len(listed) == 1:
            yield listed[0], work(listed[0], 0)
            return
        with ThreadPoolExecutor(self.devices.workers) as pool:
            yield from zip(listed, pool.map(work, listed, range(len(listed))), strict=True)


def run_chunks(
    bound: Bound,
    sampling: Sampling,
    keep: tuple[str, ...],
    dtype: Any,
    workers: int | None,
    progress: Progress | None,
    own: OwnDraws | None = None,
    afresh: frozenset[tuple[int, int]] = frozenset(),
    leading: Leading | None = None,
    device: str | None = None,
    soon: bool = False,
) -> dict[str, Any]:
    """Run the kernel over all chunks of a run; returns (year, ..., sample) arrays by name.

    With draws of a planner's own, what they hold stands in place of what is drawn. Columns in
    ``afresh`` are drawn once more (`riskshare.run.sampling.Bits`). Weights of samples are under
    ``weight``, (sample), where leading directions are tilted. A run of one set of
    numbers may have its kernel ``soon`` (`riskshare.program.compiling.TwoWays`).

    Two threads over chunks use two cores as well as two XLA host devices do, without touching
    XLA's flags.
    """
    devices = devices_of(device, workers)
    bits = Bits(bound, sampling, afresh)
    kernel = Kernel(bound, bits, dtype, keep, devices, own, leading, soon)
    arrays: dict[str, Any] = {}
    making = threading.Lock()

    def run(chunk: Chunk, turn: int) -> int:
        outputs = outputs_of(kernel, chunk, turn)
        with making:
            if not arrays:
                arrays.update(jax.tree.map(partial(_space, samples=sampling.samples), outputs))
        jax.tree.map(partial(_place, chunk=chunk), arrays, outputs)
        return chunk.samples

    done = 0
    for _, finished in kernel.map(run, sampling.chunks(devices.width)):
        done += finished
        if progress is not None:
            progress(done, sampling.samples)
    return arrays


def outputs_of(kernel: Kernel, chunk: Chunk, turn: int = 0) -> Any:
    """Return the kept outputs of a chunk as NumPy arrays, (block, year, ..., sample).

    Raises
    ------
    NumericalError
        If a result is not finite.
    """
    outputs = jax.tree.map(np.asarray, kernel(chunk, turn))
    own = kernel.own
    unknown = NOT_REPORTED if own is not None and own.given.cost is not None else ()
    check_finite({n: v for n, v in outputs.items() if n not in unknown}, kernel.dtype)
    return outputs


def in_a_row(part: NDArray[Any], chunk: Chunk) -> NDArray[Any]:
    """Return an output of a chunk, (block, ..., sample), as (..., sample)."""
    whole = _space(part, samples=chunk.samples)
    ends = np.cumsum(chunk.size)
    for i, (end, size) in enumerate(zip(ends, chunk.size, strict=True)):
        whole[..., end - size : end] = part[i, ..., :size]
    return whole


def check_finite(outputs: Any, dtype: Any) -> None:
    """Raise `NumericalError` where a result is not finite."""
    for part in jax.tree.leaves(outputs):
        # a sum in the type of the numbers is ten times faster, and only seldom not finite itself
        with np.errstate(over="ignore", invalid="ignore"):
            total = part.sum()
        if not np.isfinite(total) and not np.isfinite(part).all():
            raise NumericalError(too_large(dtype))


def _space(part: NDArray[Any], samples: int) -> NDArray[Any]:
    """Return room for all samples of an output of shape (block, ..., sample)."""
    return np.empty((*part.shape[1:-1], samples), part.dtype)


def _place(whole: NDArray[Any], part: NDArray[Any], chunk: Chunk) -> None:
    for i, (start, size) in enumerate(zip(chunk.start, chunk.size, strict=True)):
        whole[..., start : start + size] = part[i, ..., :size]
