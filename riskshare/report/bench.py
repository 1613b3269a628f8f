"""What a benchmark measured, as tables for people; JSON holds the same and more."""

import math
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from riskshare.report.money import MoneyFormat, readable
from riskshare.report.whole import print_whole

Record = Mapping[str, Any]

_WORK = {
    "arithmetic": "arithmetic",
    "exponentials": "exponentials",
    "logarithms": "logarithms",
    "roots": "square roots",
    "lookups": "table lookups",
    "moved": "between steps, in cache",
    "memory": "results, to memory",
}

_HOW = {"at most": "≤ ", "between runs": "", "beyond runs": "~ "}


def print_bench(console: Console, record: Record) -> None:
    """Print all that was measured: where, starting, speed and memory, errors, limits."""
    _where(console, record)
    console.print()
    print_whole(console, _starting(record))
    _small(
        console,
        "In fresh processes. All imports: riskshare with all it needs, JAX included. First call: "
        f"reading the case and simulating {record['samples_of_first_call']:,} samples, all "
        "compiled anew. First result: imports and first call, beside import jax alone. Second "
        "process: that of another process, which finds compiled programs on disk.",
    )
    console.print()
    print_whole(console, _speed(record))
    _small(
        console,
        f"Best of {record['effort']['turns']}, in turns, nothing compiled on the clock; shares are "
        "of the bare kernel, which computes positions and drops them. simulate: every position "
        "kept and labelled. estimate: the table of its statistics, no sample kept; all "
        "outcomes: that of every outcome, which the kernel spares itself. MiB: peak memory of a "
        "process of its own that makes so many samples, by simulate and by estimate.",
    )
    for one in record["measurements"]:
        console.print()
        _accuracy(console, one)
    _small(console, _on_accuracy(record["measurements"][-1]["accuracy"]))
    for one in record["measurements"]:
        console.print()
        _limits(console, one)
    _small(
        console,
        "Operations and bytes as XLA counts them in the compiled program: a multiply-add is two "
        "operations, a comparison one. Limits: what all cores reach here with nothing else to do. "
        "Computing and moving data go on side by side, so the longer of the two binds.",
    )
    for one in record["agreement"]:
        console.print()
        _agreement(console, one)


def _where(console: Console, record: Record) -> None:
    machine = record["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    facts = [machine["processor"], f"{machine['cores']} cores"]
    if machine["memory_gib"]:
        facts.append(f"{machine['memory_gib']:.0f} GiB")
    if machine["load"] is not None:
        facts.append(f"load {machine['load']:.1f} before the start")
    console.print(Text(record["command"], style="bold"))
    console.print(f"{record['date']}; {'; '.join(facts)}; {machine['platform']}", soft_wrap=True)
    console.print(versions, soft_wrap=True)
    for device in record["devices"]:
        threads = f"{device['threads']} threads"
        console.print(f"{device['name']}: {device['kind']}, fed by {threads}", soft_wrap=True)
    for note in record["notes"]:
        console.print(Text(note, style="bold"))


def _starting(record: Record) -> Table:
    shown = _sheet(
        "starting, seconds",
        "device",
        "import jax",
        "all imports",
        "first call",
        "of it compiling",
        "first result",
        "second process",
    )
    for one in record["measurements"]:
        start, again = one["start"]["first_process"], one["start"]["second_process"]
        parts = ("import_jax", "import", "first_call", "compile")
        shown.add_row(
            one["case"],
            one["device"],
            *(f"{start[f'{part}_seconds']:.2f}" for part in parts),
            *("-" if process is None else _result(process) for process in (start, again)),
        )
    return shown


def _result(process: Record) -> str:
    return f"{process['first_result_seconds']:.2f} = {process['times_import_jax']:.1f} x jax"


def _speed(record: Record) -> Table:
    shown = _sheet(
        "samples a second",
        "device",
        "samples",
        "bare kernel",
        "simulate",
        "estimate",
        "all outcomes",
        "MiB",
    )
    for one in record["measurements"]:
        speed, memory = one["speed"], one["memory"]
        shown.add_row(
            one["case"],
            one["device"],
            f"{speed['samples']:,}",
            count(speed["kernel"]["samples_per_second"]),
            *(_beside_kernel(speed[way]) for way in ("simulate", "estimate", "estimate_all")),
            _both(memory["simulate_mib"], memory["estimate_mib"]),
        )
        if memory["simulate_device_mib"] is not None:
            of_device = (memory["simulate_device_mib"], memory["estimate_device_mib"])
            shown.add_row("", "its memory", *[""] * 5, _both(*of_device))
    return shown


def _beside_kernel(way: Record) -> str:
    share = _percent(way["share_of_kernel"])
    return f"{count(way['samples_per_second'])} {share:>6}"


def _accuracy(console: Console, one: Record) -> None:
    judged = one["accuracy"]
    rows = judged["statistics"]
    unit = readable(judged["currency"], [row["value"] for row in rows if not _chance(row)])
    spread = readable(judged["currency"], [judged["standard_deviation"]])
    shown = _sheet(
        "statistic",
        f"value, {unit.unit}",
        "±",
        "± to reach",
        "samples",
        "time",
        "independent samples",
        "fewer",
    )
    shown.columns[1].justify = "right"
    for row in rows:
        shown.add_row(row["statistic"], *_known(row, unit), *_effort(row))
    _head(
        console,
        f"time to a given error: {one['case']} on {one['device']}",
        f"position of {judged['position_of']}, all years, sd "
        f"{spread.spoken(judged['standard_deviation'])}",
    )
    print_whole(console, shown)


def _on_accuracy(judged: Record) -> str:
    first = judged["statistics"][0]
    share = 100 * judged["target_share_of_standard_deviation"]
    points = 100 * judged["target_of_probability"]
    return (
        f"±: Monte Carlo standard error of the largest run, from {judged['replicates']} "
        f"independent randomisations. To reach: {share:g} % of the sd, for a chance {points:g} "
        "percentage points. Samples and time that estimate takes to it: ≤ reached in its smallest "
        "run, ~ extrapolated; samples are known to about "
        f"{100 * first['samples_relative_error']:.0f} %. Independent samples: how many plain Monte "
        "Carlo needs, and how many times fewer these are."
    )


def _known(row: Record, unit: MoneyFormat) -> tuple[str, str, str]:
    """Return value, its standard error, and that to reach."""
    if _chance(row):
        return (
            f"{100 * row['value']:.2f} %",
            f"{100 * row['standard_error']:.3f} %",
            f"{100 * row['target']:.3f} %",
        )
    error, target = (_two_digits(row[key] / unit.scale) for key in ("standard_error", "target"))
    return unit.plain(row["value"]), error, target


def _two_digits(number: float) -> str:
    if not math.isfinite(number):
        return "-"
    places = 1 - math.floor(math.log10(number)) if number > 0 else 0
    return f"{number:,.{min(max(places, 0), 8)}f}"


def _effort(row: Record) -> tuple[str, str, str, str]:
    mark, samples = _HOW[row["how"]], row["samples"]
    if not math.isfinite(samples):
        return "-", "-", "-", "-"
    alone = row["independent_samples"]
    fewer = f"{alone / samples:,.0f} x" if alone >= 10 * samples else f"{alone / samples:.1f} x"
    return (
        f"{mark}{count(samples)}",
        f"{mark}{duration(row['seconds'])}",
        count(alone),
        fewer if row["how"] != "at most" else f"≥ {fewer}",
    )


def _chance(row: Record) -> bool:
    return str(row["statistic"]).startswith("probability")


def _limits(console: Console, one: Record) -> None:
    limits = one["limits"]
    shown = _sheet(
        "kind of work",
        "each sample takes",
        "machine's limit, a second",
        "time at the limit",
        "of the time",
    )
    shown.columns[1].justify = "right"
    for side, seconds in (("computing", "computing_seconds"), ("moving data", "moving_seconds")):
        for row in limits["work"]:
            if row["side"] == side and row["per_sample"]:
                shown.add_row(
                    f"  {_WORK[row['kind']]}",
                    f"{row['per_sample']:,.0f} {row['unit']}",
                    f"{count(row['limit_per_second'])} {row['unit']}",
                    duration(row["seconds_at_limit"]),
                    _percent(row["share_of_time"]),
                )
        share = _percent(limits[seconds] / limits["seconds_per_sample"])
        shown.add_row(side, "", "", duration(limits[seconds]), share, style="bold")
    shown.add_row("measured", "", "", duration(limits["seconds_per_sample"]), "100 %")
    _head(
        console,
        f"where the time goes: {one['case']} on {one['device']}",
        f"bare kernel, {count(limits['samples_per_second'])} samples a second; "
        f"{limits['binding']} binds, mostly {_WORK[limits['binding_kind']]}",
    )
    print_whole(console, shown)


def _agreement(console: Console, one: Record) -> None:
    word = "pass" if one["passed"] else "FAIL"
    console.print(
        f"{one['case']}, {' against '.join(one['devices'])}: {word}. Largest difference of a "
        f"position for the same seed {one['largest_difference']:.1e} of its standard deviation; "
        f"{one['share_beyond']:.1e} of positions differ by more than {one['bound']:g}, "
        f"{one['share_allowed']:g} may."
    )


def _sheet(*heads: str) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for place, head in enumerate(heads):
        bold = Text(head, style="bold") if place == 0 else head
        shown.add_column(bold, justify="left" if place < 2 else "right", no_wrap=True)
    return shown


def _head(console: Console, title: str, more: str) -> None:
    console.print(Text.assemble((title, "bold"), f"; {more}"))


def _small(console: Console, text: str) -> None:
    console.print(Text(text, style="dim"))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _both(simulate: float | None, estimate: float | None) -> str:
    return f"{_mib(simulate)}, {_mib(estimate)}"


def _mib(size: float | None) -> str:
    return "-" if size is None else f"{size:,.0f}"


def count(number: float) -> str:
    """Return a count of three digits, in thousands or millions: ``4.52 million``."""
    if not math.isfinite(number):
        return "-"
    if number < 9_999.5:
        return f"{number:,.0f}"
    scales = ((999.5e6, 1e9, "billion"), (999.5e3, 1e6, "million"), (0.0, 1e3, "thousand"))
    _, size, word = next(scale for scale in scales if number >= scale[0])
    amount = number / size
    places = 0 if amount >= 99.95 else 1 if amount >= 9.995 else 2
    return f"{amount:,.{places}f} {word}"


def duration(seconds: float) -> str:
    """Return a time of three digits: ``251 ns``, ``12.3 ms``, ``4.56 s``."""
    if not math.isfinite(seconds):
        return "-"
    scales = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
    size, word = next((s for s in scales if seconds >= s[0]), scales[-1])
    amount = seconds / size
    places = 0 if amount >= 99.95 else 1 if amount >= 9.995 else 2
    return f"{amount:,.{places}f} {word}"
