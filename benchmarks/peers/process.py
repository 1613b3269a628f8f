"""An engine in a process of its own, so that its peak memory is its own."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.reference.worker import peak_memory

from .answer import Answer
from .engines import load


@dataclass
class Engine:
    """A process that computes, and what it has answered."""

    name: str
    process: Any
    connection: Connection
    seconds: list[float] = field(default_factory=list)
    memory: float = 0.0
    found: Answer | None = None

    def ask(self, samples: int, seed: int) -> tuple[float, float, Answer] | str:
        try:
            self.connection.send((samples, seed))
            return self.connection.recv()
        except (EOFError, BrokenPipeError):
            self.process.join()
            return f"its process ended with {self.process.exitcode} (memory?)"

    @property
    def best(self) -> float:
        return min(self.seconds)

    def stop(self) -> None:
        if self.process.is_alive():
            self.connection.send(None)
        self.process.join()


def serve(connection: Connection, path: str) -> None:
    """Answer (samples, seed) with (seconds, peak memory, answer), or say why not."""
    while (order := connection.recv()) is not None:
        try:
            engine = load(path)
            start = time.perf_counter()
            answer = engine(*order)
            connection.send((time.perf_counter() - start, peak_memory(), answer))
        except ModuleNotFoundError as error:
            connection.send(f"absent: {error.name} is not installed")
        except Exception as error:
            connection.send(f"{type(error).__name__}: {error}")


def start(name: str, path: str) -> Engine:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there, path), daemon=True)
    process.start()
    there.close()
    return Engine(name, process, here)
