"""Where numbers were made."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "riskshare", "numpy", "scipy", "jax", "jaxlib", "xarray", "numba",
    "proteusllp-actuarial-library",
)  # fmt: skip


def describe() -> dict[str, object]:
    """Processor, cores this process may use, memory, load, and versions of what is compared."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "platform": platform.platform(),
        "versions": {"python": platform.python_version()} | {p: _version(p) for p in PACKAGES},
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        fields = dict(
            (part.strip() for part in line.split(":", 1))
            for line in information.read_text().split("\n\n")[0].splitlines()
            if ":" in line
        )
        wanted = ("model name", "cpu family", "model")
        return ", ".join(
            fields[k] if k == "model name" else f"{k} {fields[k]}" for k in wanted if k in fields
        )
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def import_seconds(module: str, repeats: int = 3) -> float:
    """Best time to import `module` in a fresh interpreter, its start not counted."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", code]
    return min(
        float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
        for _ in range(repeats)
    )
