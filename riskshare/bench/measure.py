"""The whole benchmark: every case on every device, as plain values for a table and JSON."""

import datetime
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from riskshare.bench.accuracy import WEIGHT as ACCURACY_WEIGHT
from riskshare.bench.accuracy import accuracy
from riskshare.bench.agreement import agreement
from riskshare.bench.effort import Account, Effort, Told
from riskshare.bench.fresh import FIRST, Order, Start, in_fresh_process
from riskshare.bench.limits import account as limits_account
from riskshare.bench.limits import limits, together
from riskshare.bench.machine import machine
from riskshare.bench.speed import speed
from riskshare.bench.speed import weight as speed_weight
from riskshare.bench.subject import case_named
from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.run.devices import devices_of
from riskshare.run.sampling import REPLICATES, sampling_of

_CPU = "cpu"

_FRESH, _LIMITS, _AGREEMENT = 6.0, 5.0, 3.0
"""About how many seconds a fresh process, the limits and a comparison of devices take."""


def measure(
    cases: Sequence[str],
    *,
    device: str | None,
    effort: Effort,
    command: str,
    told: Told | None = None,
) -> dict[str, Any]:
    """Measure cases on devices.

    Parameters
    ----------
    cases
        ``reference``, names of bundled cases, or files.
    device
        ``cpu``, ``gpu`` or another of JAX's platforms, or one device such as ``gpu:0``; all there
        are unless given.
    effort
        How much to measure.
    command
        What was typed, for the record.
    told
        Called with what is being measured, the share done, and samples a second.

    Raises
    ------
    ArgumentError
        If there is no such device, or samples mean nothing, before anything is measured.
    CaseError
        If a case has mistakes, likewise.
    """
    names = devices_there(device)
    if effort.samples is not None:
        sampling_of(effort.samples, 1, "sobol", REPLICATES)
    loaded = {name: case_named(name) for name in cases}
    processes = 2 if effort.apart else 1
    each = speed_weight(effort) + ACCURACY_WEIGHT + _LIMITS + processes * _FRESH
    pairs = [(case, place) for case in cases for place in names if place != _CPU and _CPU in names]
    account = Account(told, len(cases) * len(names) * each + len(pairs) * _AGREEMENT)
    record = {
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "effort": asdict(effort),
        "machine": machine(),
        "devices": [_described(name) for name in names],
        "notes": _notes(device, names),
        "samples_of_first_call": FIRST,
    }
    found = [_one(name, place, loaded[name], effort, account) for name in cases for place in names]
    for place in names:
        at = [one for one in found if one["device"] == place]
        for one, measured in zip(at, together([one["limits"] for one in at]), strict=True):
            one["limits"] = limits_account(measured)
    record["measurements"] = found
    record["agreement"] = [_agreed(loaded[case], place, account) for case, place in pairs]
    return record


def devices_there(device: str | None) -> list[str]:
    """Return the names of the devices to measure: one for all of a CPU, one for each other.

    Raises
    ------
    ArgumentError
        If there is none of that name.
    """
    if device is None:
        import jax

        found = [one for one in jax.devices() if one.platform != _CPU]
        return [_CPU, *(f"{one.platform}:{one.id}" for one in found)]
    try:
        found = list(devices_of(device, None).devices)
    except ArgumentError as error:
        raise ArgumentError(f"--device: {error}") from None
    if found[0].platform == _CPU:
        return [device]
    return [f"{one.platform}:{one.id}" for one in found]


def _described(name: str) -> dict[str, Any]:
    devices = devices_of(name, None)
    return {"name": name, "kind": devices.name, "threads": devices.workers}


def _notes(device: str | None, names: list[str]) -> list[str]:
    if device is None and names == [_CPU]:
        return ["no GPU here: GPU figures are not measured"]
    return []


def _one(name: str, device: str, case: Case, effort: Effort, account: Account) -> dict[str, Any]:
    """Measure one case on one device."""
    what = f"{case.name} on {device}"
    timed, kernel = speed(case, device, effort, account, what)
    samples = timed["samples"]
    judged = accuracy(case, device, samples, effort, account, what)
    with account.step(f"{what}: the machine's limits", _LIMITS):
        limited = limits(kernel)
    began = _starts(name, device, samples, effort, account, what)
    return {
        "case": case.name,
        "title": case.title,
        "device": device,
        **began,
        "speed": timed,
        "accuracy": judged,
        "limits": limited,
    }


def _starts(
    name: str, device: str, samples: int, effort: Effort, account: Account, what: str
) -> dict[str, Any]:
    """Measure first calls and memory in processes of their own."""
    found: dict[str, Start] = {}
    with tempfile.TemporaryDirectory(prefix="riskshare-bench-") as folder:
        for way in ("simulate", "estimate") if effort.apart else ("simulate",):
            with account.step(f"{what}: {way} in a fresh process", _FRESH):
                order = Order(name, device, way, samples)
                found[way] = in_fresh_process(order, Path(folder))
    first, *later = found.values()
    simulated, estimated = found["simulate"], found.get("estimate")
    return {
        "start": {
            "first_process": _process(first),
            "second_process": _process(later[0]) if later else None,
        },
        "memory": {
            "samples": samples,
            "import_mib": first.import_mib,
            "simulate_mib": simulated.peak_mib,
            "estimate_mib": estimated and estimated.peak_mib,
            "simulate_device_mib": simulated.device_mib,
            "estimate_device_mib": estimated and estimated.device_mib,
        },
    }


def _process(start: Start) -> dict[str, float]:
    """Return the seconds of a process, and its first result in times that of importing JAX."""
    seconds = {key: value for key, value in asdict(start).items() if key.endswith("_seconds")}
    total = start.first_result_seconds
    return seconds | {
        "first_result_seconds": total,
        "times_import_jax": total / start.import_jax_seconds,
    }


def _agreed(case: Case, device: str, account: Account) -> dict[str, Any]:
    with account.step(f"{case.name}: {_CPU} against {device}", _AGREEMENT):
        return {"case": case.name} | agreement(case, _CPU, device)
