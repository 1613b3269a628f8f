"""Devices: where the kernel runs, and how much of it at a time.

On a CPU threads work on chunks of 8 blocks, one block after another, whose arrays stay in the
cache. An accelerator is wider than a block: its chunks hold 256, of which it computes many at once.
"""

import os
from dataclasses import dataclass
from typing import Any

import jax

from riskshare.errors import ArgumentError

CPU_WIDTH = 8
"""Blocks of a chunk on a CPU: a run of 65,536 samples keeps two threads busy."""

COUNTED = 16
"""Blocks of a chunk whose samples the host counts, which takes a while for each chunk."""

WIDE = 256
"""Blocks of a chunk on an accelerator: 1,048,576 samples."""

TOGETHER = 64
"""Blocks an accelerator computes at once; with all their arrays in its memory."""


@dataclass(frozen=True)
class Devices:
    """Devices of one kind that share the chunks of a run between them."""

    devices: tuple[Any, ...]
    workers: int
    """Threads that feed them."""

    @property
    def shared_memory(self) -> bool:
        """Whether the host reads their results where they are."""
        return bool(self.devices[0].platform == "cpu")

    @property
    def width(self) -> int:
        """Blocks of a chunk."""
        return CPU_WIDTH if self.shared_memory else WIDE

    @property
    def counted_width(self) -> int:
        """Blocks of a chunk whose samples are counted."""
        return COUNTED if self.shared_memory else WIDE

    @property
    def together(self) -> int | None:
        """Blocks computed at once; None for one after the other."""
        return None if self.shared_memory else TOGETHER

    @property
    def name(self) -> str:
        """What a result says of them."""
        kinds = sorted({str(device.device_kind) for device in self.devices})
        return f"{len(self.devices)} x {', '.join(kinds)}"


def devices_of(device: str | None, workers: int | None) -> Devices:
    """Return the devices that are meant.

    Parameters
    ----------
    device
        ``cpu``, ``gpu``, another platform of JAX's, or one device such as ``gpu:0``; JAX's default
        platform unless given. All devices of a platform share the run.
    workers
        Threads; unless given one for each core of a CPU, two for each accelerator.

    Raises
    ------
    ArgumentError
        If there is no such device, naming those there are.
    """
    found = tuple(jax.devices()) if device is None else _named(device)
    if found[0].platform == "cpu":
        return Devices(found, threads(workers, len(found)))
    return Devices(found, 2 * len(found) if workers is None else threads(workers))


def threads(workers: int | None, least: int = 1) -> int:
    """Return how many threads to use: those asked for, or one for each core."""
    whole = isinstance(workers, int) and not isinstance(workers, bool)
    if workers is not None and (not whole or workers < 1):
        raise ArgumentError(f"workers is {workers!r}; accepted: a whole number of at least 1")
    return workers or max(os.cpu_count() or 1, least)


def _named(device: str) -> tuple[Any, ...]:
    platform, numbered, number = str(device).partition(":")
    try:
        # to JAX an empty name is its default platform
        found = tuple(jax.devices(platform)) if platform else ()
    except RuntimeError:
        found = ()
    if numbered:
        found = tuple(one for one in found if str(one.id) == number)
    if not found:
        raise ArgumentError(
            f"device is {device!r}; there is {', '.join(available())}. JAX must be installed for a "
            'GPU to find one, as pip install "jax[cuda12]"'
        )
    return found


def available() -> list[str]:
    """Return the names of all devices there are: those of the default platform, and CPUs."""
    devices = [*jax.devices(), *jax.devices("cpu")]
    return list(dict.fromkeys(f"{one.platform}:{one.id}" for one in devices))
