"""What a machine can do at most, measured on the spot through JAX with all of a device at work.

Each probe does one thing over and over on arrays that stay where the kernel keeps its own: in the
cache of a CPU's core, in the registers of an accelerator. Rates are the best of several turns; on
a machine with other work they fall together with the kernel's, so all are taken in one run.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from riskshare.program.streams import BLOCK
from riskshare.run.devices import Devices

_NODES = 4097
_SECONDS = 0.01
"""How long one call of a probe should take."""

_CHAINS, _STEPS = 8, 16
"""Multiply-adds that do not wait for each other, and how many follow one another."""

_MEMORY = 32 * 2**20
"""Bytes of an array of which a few fill the caches."""

_LEAST = 8
"""Repetitions of one call at least: the first touches memory that is new to the process."""

Body = Callable[[Any, tuple[Array, ...]], tuple[Array, ...]]


@dataclass(frozen=True)
class Probe:
    """One thing to do over and over, and how much of it one repetition is."""

    name: str
    body: Body
    arrays: tuple[Any, ...]
    amount: float


def ceilings(
    devices: Devices, table: int, working_set: int, turns: int, beside: Callable[[], int]
) -> tuple[dict[str, float], float]:
    """Return the rates a second of each probe, on the first of the devices, and of ``beside``.

    What is compared with the limits runs beside them, in bursts as short, turn by turn: other work
    on the machine then weighs on both alike. ``beside`` returns how much it did.

    ``arithmetic`` (a multiply-add counts as two), ``exponentials``, ``logarithms``, ``roots``,
    ``lookups`` in a table of ``table`` numbers, ``moved`` (bytes read and written in
    ``working_set`` bytes) and ``memory`` (likewise in memory).
    """
    runs = [_Run(probe, devices) for probe in _probes(devices, table, working_set)]
    for run in runs:
        run.calibrate()
    best = 0.0
    for _ in range(turns):
        start = time.perf_counter()
        done = beside()
        best = max(best, done / (time.perf_counter() - start))
        for run in runs:
            run.turn()
    return {run.probe.name: run.rate for run in runs}, best


class _Run:
    """A probe on a device: compiled once for any number of repetitions."""

    def __init__(self, probe: Probe, devices: Devices) -> None:
        self.probe, self.rate, self._times = probe, 0.0, _LEAST
        self._threads = devices.workers if devices.shared_memory else 1
        self._arrays = jax.device_put(probe.arrays, devices.devices[0])
        self._call = jax.jit(partial(_repeated, probe.body))

    def calibrate(self) -> None:
        """Compile, and find how many repetitions a turn needs."""
        self._one(1)
        while (seconds := self._quickest()) < _SECONDS / 4:
            self._times *= 4
        self._times = max(_LEAST, round(self._times * _SECONDS / seconds))

    def _quickest(self) -> float:
        # One slow call would leave so few repetitions that starting them is all a turn takes.
        taken = [self._timed(self._one, self._times)]
        while len(taken) < 4 and sum(taken) < _SECONDS:
            taken.append(self._timed(self._one, self._times))
        return min(taken)

    def turn(self) -> None:
        """Take one turn on all threads, and keep the best rate."""
        with ThreadPoolExecutor(self._threads) as pool:

            def together(times: int) -> None:
                list(pool.map(self._one, [times] * self._threads))

            seconds = self._timed(together, self._times)
        done = self.probe.amount * self._times * self._threads
        self.rate = max(self.rate, done / seconds)

    def _one(self, times: int) -> None:
        jax.block_until_ready(self._call(times, self._arrays))  # type: ignore[no-untyped-call]  # JAX's own

    @staticmethod
    def _timed(work: Callable[[int], None], times: int) -> float:
        start = time.perf_counter()
        work(times)
        return time.perf_counter() - start


def _repeated(body: Body, times: Any, arrays: tuple[Array, ...]) -> tuple[Array, ...]:
    return jax.lax.fori_loop(0, times, body, arrays)


def _probes(devices: Devices, table: int, working_set: int) -> list[Probe]:
    """Return the probes; an accelerator needs many more numbers at once to be busy."""
    cpu = devices.shared_memory
    size = BLOCK if cpu else 4096 * BLOCK
    # A function on its own leaves an accelerator waiting for its memory; on a CPU, XLA makes
    # vectors of one function in a loop, and single numbers of several in a row.
    depth = 1 if cpu else 16
    numbers = np.linspace(0.1, 0.9, size, dtype=np.float32)
    found = [
        Probe("arithmetic", _multiply_add, (numbers,), 2.0 * _CHAINS * _STEPS * size),
        Probe("exponentials", partial(_function, jnp.exp, depth), (numbers,), depth * size),
        Probe("logarithms", partial(_function, jnp.log, depth), (numbers,), depth * size),
        Probe("roots", partial(_function, jnp.sqrt, depth), (numbers,), depth * size),
        _copy("moved", max(working_set // 8, 1024) if cpu else _MEMORY // 4),
        _copy("memory", (_MEMORY if cpu else 8 * _MEMORY) // 4),
    ]
    if table:
        found.append(_lookup(table, 1 if cpu else 256))
    return found


def _multiply_add(_: Any, arrays: tuple[Array, ...]) -> tuple[Array, ...]:
    (x,) = arrays
    sums = [x + 0.1 * chain for chain in range(_CHAINS)]
    for _ in range(_STEPS):
        sums = [total * x + 0.25 for total in sums]
    return (jnp.minimum(sum(sums), 0.9),)


def _function(
    function: Callable[[Array], Array], depth: int, _: Any, arrays: tuple[Array, ...]
) -> tuple[Array, ...]:
    (x,) = arrays
    for _ in range(depth):
        x = function(x) * 0.1 + 0.3
    return (x,)


def _copy(name: str, numbers: int) -> Probe:
    """Return a probe that reads and writes an array of so many numbers, 8 bytes for each."""

    def body(_: Any, arrays: tuple[Array, ...]) -> tuple[Array, ...]:
        return (arrays[0] + 1.0,)

    return Probe(name, body, (np.zeros(numbers, np.float32),), 8.0 * numbers)


def _lookup(table: int, wide: int) -> Probe:
    """Return a probe that reads a table as the kernel does: rows of nodes, at normal scores."""
    rng = np.random.default_rng(1)
    rows = max(1, table // _NODES)
    nodes = table // rows
    score = rng.standard_normal((rows, wide * BLOCK))
    node = np.clip((score / 12.8 + 0.5) * nodes, 0, nodes - 2).astype(np.int32)
    places = (np.arange(rows, dtype=np.int32)[:, None] * nodes + node).reshape(-1)

    def body(turn: Any, arrays: tuple[Array, ...]) -> tuple[Array, ...]:
        total, where, values = arrays
        # The places differ from turn to turn, so that XLA does not read them once for all.
        found = values.at[where + (turn & 1)].get(mode="promise_in_bounds")
        return (total + found, where, values)

    arrays = (np.zeros(places.size, np.float32), places, rng.random(table, np.float32))
    return Probe("lookups", body, arrays, float(places.size))
