"""Measurements that need a process of their own: imports, first calls, peak memory.

``python -m riskshare.bench.fresh ORDER`` does what the JSON text of its order says and prints what
it measured as JSON. `in_fresh_process` starts it.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from riskshare.errors import RiskshareError

FIRST = 65_536
"""Samples of a first call."""

_COMPILING = (
    "/jax/core/compile/jaxpr_trace_duration",
    "/jax/core/compile/jaxpr_to_mlir_module_duration",
    "/jax/core/compile/backend_compile_duration",
)
"""What JAX reports of compiling: tracing, lowering, and XLA's part or fetching it from a cache."""


@dataclass(frozen=True)
class Order:
    """What a process is to do: a first call that simulates, one more, then a run of one way."""

    case: str
    device: str
    way: str
    samples: int


@dataclass(frozen=True)
class Start:
    """What one process measured; seconds, and MiB of its peak memory so far."""

    import_jax_seconds: float
    import_seconds: float
    """All that loading and simulating a case needs, JAX included."""
    first_call_seconds: float
    """Loading the case and simulating it for the first time, after the imports."""
    compile_seconds: float
    """Of which tracing and compiling, or fetching what is compiled, as JAX reports it."""
    second_call_seconds: float
    import_mib: float | None
    peak_mib: float | None
    device_mib: float | None
    """Peak memory of the device, where it has its own and tells it."""

    @property
    def first_result_seconds(self) -> float:
        """From the start of the imports to the first result."""
        return self.import_seconds + self.first_call_seconds


def in_fresh_process(order: Order, cache: Path) -> Start:
    """Carry out an order in a process of its own.

    Compiled programs come from and go to the folder ``cache`` alone, so that a first process finds
    nothing there and a second one what the first has left.
    """
    surroundings = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        # this process may hold most of an accelerator's memory already
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    if order.device == "cpu":
        surroundings["JAX_PLATFORMS"] = "cpu"  # do not wait for an accelerator to start
    command = [sys.executable, "-m", "riskshare.bench.fresh", json.dumps(asdict(order))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=surroundings)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise RiskshareError(f"a fresh process could not be measured: {last[0]}")
    return Start(**json.loads(done.stdout.strip().splitlines()[-1]))


def carry_out(order: Order) -> Start:
    """Do in this process what the order says."""
    started = time.perf_counter()
    import jax

    jax_there = time.perf_counter()
    from riskshare.bench.machine import peak_memory
    from riskshare.bench.subject import case_named
    from riskshare.files.load import load_case  # noqa: F401  # as a user does, whatever the case
    from riskshare.run.simulate import simulate

    imported = time.perf_counter()
    import_mib = peak_memory()
    compiling = _listen()

    case = case_named(order.case)
    chosen: dict[str, Any] = {"keep": ("position",), "device": order.device}
    simulate(case, samples=FIRST, **chosen)
    first = time.perf_counter()
    compiled = sum(compiling)
    simulate(case, samples=FIRST, **chosen)
    second = time.perf_counter()
    if order.way == "simulate":
        simulate(case, samples=order.samples, **chosen)
    else:
        from riskshare.analysis.estimate import estimate

        estimate(case, samples=order.samples, device=order.device)
    return Start(
        import_jax_seconds=jax_there - started,
        import_seconds=imported - started,
        first_call_seconds=first - imported,
        second_call_seconds=second - first,
        compile_seconds=compiled,
        import_mib=import_mib,
        peak_mib=peak_memory(),
        device_mib=_device_mib(jax, order.device),
    )


def _listen() -> list[float]:
    """Return a list that collects the seconds spent compiling from now on."""
    from jax import monitoring

    spent: list[float] = []

    def heard(event: str, duration_secs: float, **kwargs: str | int) -> None:
        del kwargs
        if event in _COMPILING:
            spent.append(duration_secs)

    monitoring.register_event_duration_secs_listener(heard)
    return spent


def _device_mib(jax: Any, name: str) -> float | None:
    platform, _, number = name.partition(":")
    device = next(d for d in jax.devices(platform) if not number or str(d.id) == number)
    told = None if platform == "cpu" else device.memory_stats()
    return told["peak_bytes_in_use"] / 2**20 if told else None


if __name__ == "__main__":
    print(json.dumps(asdict(carry_out(Order(**json.loads(sys.argv[1]))))))
