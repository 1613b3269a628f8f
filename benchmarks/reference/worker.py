"""One engine in a process of its own, so that its peak memory is its own."""

from __future__ import annotations

import resource
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from riskshare.bench.problem import PROVIDERS, Problem, reference

from .statistics import summarise

ENGINES = {
    "riskshare": "riskshare_engine:positions",
    "riskshare-estimate": "riskshare_engine:estimated",
    "riskshare-directions": "riskshare_engine:positions_along",
    "numba": "numba_engine:positions",
    "numba-vector": "numba_engine:positions_vector",
    "numpy-ppf": "numpy_scipy:positions",
    "numpy-table": "numpy_scipy:positions_table",
    "proteus": "proteus:positions",
}


TURN = 1.0
"""Seconds for which an engine goes on calling in its turn; at least once."""


@dataclass(frozen=True)
class Result:
    """What one call gave; memory is the process's peak so far, in MiB."""

    seconds: float
    processor_seconds: float
    peak_memory: float
    dtype: str
    summary: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Refusal:
    """Why an engine does not take part: `absent` is no error of the engine."""

    absent: bool
    reason: str


def serve(connection: Connection, engine: str) -> None:
    """Answer (contract, samples, seed) with a `Result` until None comes; a failure ends it."""
    try:
        problem = reference()
        problems = {"full": problem, "block": problem.block_only()}
        module, function = ENGINES[engine].split(":")
        positions = getattr(import_module(f"{__package__}.{module}"), function)
        connection.send(peak_memory())
        while (order := connection.recv()) is not None:
            contract, samples, seed = order
            answer, wall, processor = _best(positions, problems[contract], samples, seed)
            connection.send(_result(answer, samples, wall, processor, peak_memory()))
    except (ModuleNotFoundError, NotImplementedError) as error:
        connection.send(Refusal(True, f"{type(error).__name__}: {error}"))
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        connection.send(Refusal(False, f"{type(error).__name__}: {error}"))


def _best(
    positions: Callable[[Problem, int, int], Any], problem: Problem, samples: int, seed: int
) -> tuple[Any, float, float]:
    """Return the answer of the fastest of the calls that fit in a turn, and its times.

    An engine that has waited minutes for its turn finds caches cold and pages taken from it: a call
    of a tenth of a second would measure that, one of twenty seconds does not see it.
    """
    best, began = None, time.perf_counter()
    while best is None or time.perf_counter() - began < TURN:
        wall, processor = time.perf_counter(), time.process_time()
        answer = positions(problem, samples, seed)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        if best is None or wall < best[1]:
            best = answer, wall, processor
    return best


def _result(answer: Any, samples: int, wall: float, processor: float, memory: float) -> Result:
    """Summarise positions (provider, sample); an engine that keeps none gives its summary."""
    if isinstance(answer, dict):
        return Result(wall, processor, memory, "float32", answer)
    if len(answer) != PROVIDERS or answer.shape[1] < samples:
        raise ValueError(f"positions have shape {answer.shape}")
    return Result(wall, processor, memory, str(answer.dtype), summarise(answer))


def peak_memory() -> float:
    """Peak resident memory of this process in MiB.

    Linux carries `ru_maxrss` over from the parent at exec, so its own high-water mark comes first.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        return next(float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)
