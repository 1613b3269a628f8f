"""`python -m benchmarks.growth`: time and memory against samples, lines, partners, years and terms.

Every point is a case of its own size in a process of its own: a case like the reference problem,
with one of its sizes 1 to 16 times as large. Warm time is the best of several calls; first time
holds compilation; memory is the peak of the process less what imports and the case took. The
exponent is the slope of a straight line through the logarithms, `last` that of the last doubling:
1 is linear, and fixed costs make it less.
"""

from __future__ import annotations

import argparse
import datetime
import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from benchmarks.reference import machine
from benchmarks.reference.worker import peak_memory

FACTORS = 3


@dataclass(frozen=True)
class Size:
    """How large a case and its run are; samples are kept by `simulate`, not by `estimate`."""

    samples: int = 1 << 17
    lines: int = 24
    partners: int = 8
    years: int = 1
    terms: int = 3
    call: str = "estimate"


@dataclass(frozen=True)
class Point:
    """What a size took: seconds of a call, warm and first, and memory in MiB."""

    size: Size
    seconds: float
    first_seconds: float
    memory: float
    peak_memory: float


def sizes(most: int) -> dict[str, list[Size]]:
    """The sizes of each series: the quantity named grows, all else stays."""
    base, wide = Size(), Size(lines=128)
    doublings = [1 << k for k in range(most.bit_length())]
    counts = [1 << k for k in range(16, 25)]
    return {
        "samples": [replace(base, samples=n) for n in counts],
        "samples kept": [replace(base, samples=n, call="simulate") for n in counts],
        "lines": [replace(base, lines=24 * k) for k in doublings],
        "partners": [replace(wide, partners=8 * k) for k in doublings],
        "years": [replace(base, years=k) for k in doublings],
        "terms": [replace(base, terms=3 * k) for k in doublings],
    }


QUANTITY = {"samples kept": "samples"}


def case_of(size: Size) -> Any:
    """Build a case: gamma activity, lognormal unit cost, three factors, a chain of terms.

    The contract is a block, one marginal rate or more, and a pool over all of them.
    """
    import riskshare as rs

    rng = np.random.default_rng(1)
    providers = [f"provider_{number}" for number in range(size.partners)]
    factors = [f"factor_{number}" for number in range(FACTORS)]

    def noise(law: str, cv: float) -> rs.Noise:
        loadings = rng.uniform(0.2, 0.5, FACTORS).tolist()
        return rs.Noise(law=law, cv=cv, factors=dict(zip(factors, loadings, strict=True)))

    def line(number: int) -> rs.Line:
        price = float(rng.uniform(200.0, 4_000.0))
        return rs.Line(
            name=f"line_{number}",
            deliverer=providers[number % size.partners],
            payer="external",
            baseline=float(rng.uniform(1e3, 5e4)),
            unit_cost=price,
            price=price,
            cost=rs.CostBehaviour(variable=0.4, fixed=0.6),
            noise=noise("gamma", 0.2),
            unit_cost_noise=noise("lognormal", 0.08),
        )

    rates = [f"rate_{number}" for number in range(size.terms - 2)]
    terms = [
        rs.Block(),
        *(rs.MarginalRate(name=name, rate=0.5 / len(rates), tolerance=0.02) for name in rates),
        rs.Pool(
            budget="plan",
            against=["block", *rates],
            holder="external",
            key="equal",
            between=providers,
            corridors=[rs.Corridor(beyond=0.02, rate=0.5), rs.Corridor(beyond=0.04, rate=0.8)],
        ),
    ]
    return rs.Case(
        name="growth",
        years=[
            rs.Year(
                label=f"{year}/{year + 1 - 2000}",
                start=datetime.date(year, 4, 1),
                end=datetime.date(year + 1, 3, 31),
            )
            for year in range(2026, 2026 + size.years)
        ],
        partners=[
            *(rs.Partner(name=name, kind="provider") for name in providers),
            rs.Partner(name="external", kind="external"),
        ],
        drivers=[
            rs.Driver(name=name, acts_on="chance", law="lognormal", sd=0.01, centre="mean")
            for name in factors
        ],
        lines=[line(number) for number in range(size.lines)],
        contracts=[rs.Contract(name="growth", budgets=[rs.Budget(name="plan")], terms=terms)],
    )


def measured(size: Size, repeats: int) -> Point:
    """Run a size in this process, which must be new: its peak memory counts."""
    import riskshare as rs

    case = case_of(size)
    keep = {"keep": ("position",)} if size.call == "simulate" else {}
    run = getattr(rs, size.call)
    before, seconds = peak_memory(), []
    for seed in range(1, repeats + 2):
        start = time.perf_counter()
        run(case, samples=size.samples, seed=seed, **keep)
        seconds.append(time.perf_counter() - start)
    peak = peak_memory()
    return Point(size, min(seconds[1:]), seconds[0], peak - before, peak)


def exponents(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Slope of log y on log x through all points, and between the last two."""
    x, y = np.log(np.array(points)).T
    return float(np.polyfit(x, y, 1)[0]), float((y[-1] - y[-2]) / (x[-1] - x[-2]))


def main() -> int:
    options = parse()
    place = machine.describe()
    print(f"{place['processor']}; {place['cores']} cores, load {place['load']}", flush=True)
    wanted = sizes(options.most)
    found: dict[str, list[Point]] = {}
    spawn = multiprocessing.get_context("spawn")
    for name in options.series or wanted:
        found[name] = []
        for size in wanted[name]:
            if size.samples > options.most_samples:
                continue
            with ProcessPoolExecutor(1, spawn) as pool:
                found[name].append(pool.submit(measured, size, options.repeats).result())
        show(name, found[name])
    if options.json:
        points = {name: [asdict(point) for point in points] for name, points in found.items()}
        with open(options.json, "w") as file:
            json.dump({"machine": place, "series": points}, file, indent=1)
    if options.plot and all(len(points) > 1 for points in found.values()):
        plot(found, options.plot)
    return 0


def show(name: str, points: list[Point]) -> None:
    """Print a series and its exponents."""
    quantity = QUANTITY.get(name, name)
    print(f"\n{name}; {points[0].size.call}, load {os.getloadavg()[0]:.1f}")
    heads = ("warm s", "us a sample", "first s", "memory MiB", "peak MiB")
    print(f"{quantity:>14}" + "".join(f"{head:>14}" for head in heads))
    for point in points:
        each = 1e6 * point.seconds / point.size.samples
        print(
            f"{getattr(point.size, quantity):14,}{point.seconds:14.3f}{each:14.4f}"
            f"{point.first_seconds:14.2f}{point.memory:14,.0f}{point.peak_memory:14,.0f}"
        )
    if len(points) > 1:
        for what in ("seconds", "first_seconds", "memory"):
            through, last = exponents(series(points, quantity, what))
            print(f"exponent of {what.replace('_', ' '):14}{through:8.2f}, last {last:8.2f}")
    sys.stdout.flush()


def series(points: list[Point], quantity: str, what: str) -> list[tuple[float, float]]:
    """Return (size, figure) pairs; memory of less than a MiB counts as one."""
    least = 1.0 if what == "memory" else 0.0
    return [(getattr(p.size, quantity), max(getattr(p, what), least)) for p in points]


def plot(found: dict[str, list[Point]], path: str) -> None:
    """Draw time and memory against every quantity, both axes logarithmic."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    quantities = list(dict.fromkeys(QUANTITY.get(name, name) for name in found))
    figure, axes = pyplot.subplots(
        2, len(quantities), figsize=(2.6 * len(quantities) + 0.6, 5.6), squeeze=False,
        sharey="row", layout="constrained",
    )  # fmt: skip
    colours = {"estimate": "#1b4f8a", "simulate": "#c2571a"}
    for column, quantity in enumerate(quantities):
        mine = {n: p for n, p in found.items() if QUANTITY.get(n, n) == quantity}
        for row, what in enumerate(("seconds", "memory")):
            axis, seen = axes[row, column], set()
            for points in mine.values():
                call, pairs = points[0].size.call, series(points, quantity, what)
                x, y = zip(*pairs, strict=True)
                label = f"{call}, exponent {exponents(pairs)[0]:.2f}"
                axis.plot(x, y, "o-", ms=4, lw=1.4, color=colours[call], label=label)
                seen |= set(x)
                if points is next(iter(mine.values())):
                    steady = [y[0] * size / x[0] for size in x]
                    axis.plot(x, steady, ":", lw=1, color="#777777", label="linear", zorder=0)
            _dressed(axis, quantity if row else "", sorted(seen))
    axes[0, 0].set_ylabel("seconds, warm")
    axes[1, 0].set_ylabel("memory beyond imports, MiB")
    figure.suptitle("Time and memory as a case and its run grow (logarithmic axes)", fontsize=10)
    figure.savefig(path)


def _dressed(axis: Any, quantity: str, sizes_seen: list[float]) -> None:
    """Label an axis with plain numbers: every second size where there are many."""
    from matplotlib import ticker

    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    places = sizes_seen[:: 1 + len(sizes_seen) // 6]
    names = [f"$2^{{{int(np.log2(x))}}}$" if x >= 1 << 16 else f"{x:g}" for x in places]
    axis.set_xticks(places, names)
    axis.xaxis.set_minor_locator(ticker.NullLocator())
    axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0), numticks=30))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_locator(ticker.NullLocator())
    axis.set_xlabel(quantity)
    axis.grid(True, which="major", lw=0.4, color="#dddddd")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=7, frameon=False, loc="upper left")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.growth", description=__doc__)
    names = list(sizes(1))
    parser.add_argument("--series", nargs="+", choices=names, help="all of them unless named")
    parser.add_argument("--most", type=int, default=16, help="times the smallest, a power of two")
    parser.add_argument("--most-samples", type=int, default=1 << 24)
    parser.add_argument("--repeats", type=int, default=3, help="warm calls; the best counts")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--plot", metavar="FILE", help="an SVG")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
