"""Where figures were made: processor, cores, memory, load, versions, and how much was used."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("riskshare", "jax", "jaxlib", "numpy", "scipy", "xarray")


def machine() -> dict[str, Any]:
    """Return processor, cores that this process may use, memory in GiB, load and versions."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "memory_gib": _memory(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "platform": platform.platform(),
        "versions": {"python": platform.python_version()} | {p: _version(p) for p in PACKAGES},
    }


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def peak_memory() -> float | None:
    """Return the peak resident memory of this process in MiB; None where it is not told.

    Linux carries ``ru_maxrss`` over from the parent at exec, so the process's own high-water mark
    comes first.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                return float(line.split()[1]) / 1024
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        pairs = (
            line.split(":", 1)
            for line in information.read_text().split("\n\n")[0].splitlines()
            if ":" in line
        )
        fields = {name.strip(): value.strip() for name, value in pairs}
        if "model name" in fields:
            # Virtual machines often name the maker alone; the numbers say which processor it is.
            kind = [f"{k} {fields[k]}" for k in ("cpu family", "model") if k in fields]
            return fields["model name"] + (f" ({', '.join(kind)})" if kind else "")
    return platform.processor() or platform.machine()


def _memory() -> float | None:
    try:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    return round(pages * size / 2**30, 1)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
