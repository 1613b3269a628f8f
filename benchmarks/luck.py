"""The tables of docs/luck.md: ``python -m benchmarks.luck DATA [--replicates N] [--chart FILE]``.

DATA is a folder that holds ``claims/desynpuf_sample1_first10k_2008_2010.csv.gz`` (CMS 2008-2010
Data Entrepreneurs' Synthetic Public Use File, sample 1), ``mssp/mssp_core_2014_2022.csv.gz`` and
``mssp/msr_table.csv`` (Medicare Shared Savings Program). Prints the tables in Markdown; ``--chart``
writes the chart as SVG.
"""

import argparse
import csv
import gzip
import time
from math import log10
from pathlib import Path
from typing import Any

import numpy as np

CLAIMS = "claims/desynpuf_sample1_first10k_2008_2010.csv.gz"
SETTLEMENTS = "mssp/mssp_core_2014_2022.csv.gz"
SCALE = "mssp/msr_table.csv"
SIZES = (500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 50_000, 100_000)
CONFIDENCE = {5_000: 0.90, 20_000: 0.95, 50_000: 0.99}
"""One-sided confidence behind the sliding scale, recalled from the rule of 2011; see the page."""


def person_years(path: Path, base: str, performance: str) -> tuple[Any, Any]:
    """Return costs of everybody who was alive and in fee-for-service throughout both years."""
    costs: dict[str, dict[str, float]] = {}
    with gzip.open(path, "rt", newline="") as file:
        for row in csv.DictReader(file):
            if _whole_year(row):
                parts = (row[f"MEDREIMB_{kind}"] for kind in ("IP", "OP", "CAR"))
                costs.setdefault(row["DESYNPUF_ID"], {})[row["year"]] = sum(map(float, parts))
    both = [(c[base], c[performance]) for c in costs.values() if base in c and performance in c]
    return tuple(np.array(both).T)


def _whole_year(row: dict[str, str]) -> bool:
    months = (row[f"BENE_{part}_CVRAGE_TOT_MONS"] for part in ("HI", "SMI", "HMO"))
    return [int(m) for m in months] == [12, 12, 0] and not row["BENE_DEATH_DT"]


def settled(path: Path) -> tuple[Any, Any, Any]:
    """Return year, assigned beneficiaries and savings rate of every ACO's settlement."""
    with gzip.open(path, "rt", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["benchmark"] and r["expend"] and r["n_ab"]]
    year, members, benchmark, spent = (
        np.array([float(row[name]) for row in rows])
        for name in ("year", "n_ab", "benchmark", "expend")
    )
    return year.astype(int), members, 1 - spent / benchmark


def scale(path: Path) -> tuple[Any, Any]:
    """Return the minimum savings rate by beneficiaries."""
    with path.open(newline="") as file:
        rows = [(int(r["beneficiaries"]), float(r["msr"])) for r in csv.DictReader(file)]
    members, rate = zip(*rows, strict=True)
    return list(members), list(rate)


def spread(rates: Any) -> tuple[float, float]:
    """Return the standard deviation of savings rates and its standard error."""
    from riskshare import statistics

    return statistics.standard_deviation(rates, statistics.Replicates())


def _row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |")


def _head(*cells: str) -> None:
    print()
    _row(*cells)
    _row(*["---"] * len(cells))


def _percent(table: Any, name: str, digits: int = 1) -> str:
    value, error = float(table[name]), float(table[f"{name}_error"])
    return f"{100 * value:.{digits}f} ({100 * error:.{digits + 1}f})"


def by_size(table: Any) -> None:
    _head("people", "SD of savings rate, %", "theory", "paid, %", "theory", "charged, %", "theory")
    for size in table.members.values:
        at = table.sel(members=size, cost="truncated", people="same")
        cells = [_percent(at, "savings_rate_standard_deviation", 2)]
        cells.append(f"{100 * float(at.savings_rate_standard_deviation_normal):.2f}")
        for name in ("probability_paid", "probability_charged"):
            cells += [_percent(at, name), f"{100 * float(at[f'{name}_normal']):.1f}"]
        _row(f"{size:,}", *cells)


def money(table: Any) -> None:
    _head("people", "paid, first-dollar", "charged", "net", "paid, excess-only", "charged", "net")
    for size in table.members.values:
        cells = []
        for reading in table.reading.values:
            at = table.sel(members=size, cost="truncated", people="same", reading=reading)
            whole = float(at.mean_cost.sel(year="performance")) * table.attrs["share"]
            for name in ("payment", "charge", "net"):
                value, error = float(at[name]) / whole, float(at[f"{name}_error"]) / whole
                cells.append(f"{100 * value:.2f} ({100 * error:.3f})")
        _row(f"{size:,}", *cells)


def contrasts(table: Any) -> None:
    kinds = [(cost, people) for people in table.people.values for cost in table.cost.values]
    _head("people", *(f"{cost}, {people} people" for cost, people in kinds))
    for size in table.members.values:
        at = [table.sel(members=size, cost=cost, people=people) for cost, people in kinds]
        _row(f"{size:,}", *(_percent(one, "probability_paid") for one in at))
    deviation = [table.sel(cost=cost, people=people) for cost, people in kinds]
    cells = [
        f"{float(one.person_standard_deviation):.3f} "
        f"({float(one.person_standard_deviation_error):.3f})"
        for one in deviation
    ]
    _row("SD per person", *cells)


def minimum(base: Any, performance: Any, replicates: int) -> None:
    import riskshare as rs

    _head("chance below", "outcome", "truncated", "drawn there, %", "full", "drawn there, %")
    for chance in (0.10, 0.05, 0.01):
        found = rs.minimum_population(base, performance, chance=chance, replicates=replicates)
        for outcome in found.outcome.values:
            cells = []
            for cost in found.cost.values:
                at = found.sel(cost=cost, outcome=outcome)
                cells.append(f"{int(at.members):,} ({float(at.members_error):,.0f})")
                cells.append(_percent(at, "probability"))
            _row(f"{100 * chance:.0f} %", str(outcome), *cells)


def against_scale(base: Any, performance: Any, data: Path, replicates: int) -> None:
    import riskshare as rs
    from riskshare.laws.normal import inverse

    sizes, rates = scale(data / SCALE)
    table = rs.luck(
        base, performance, members=sizes, corridor=rates, share=1, replicates=replicates
    ).sel(cost="truncated", people="same")
    _head("people", "minimum savings rate, %", "paid by luck, %", "theory", "implied SD per person")
    for size, rate in zip(sizes, rates, strict=True):
        at = table.sel(members=size)
        implied = ""
        if size in CONFIDENCE:
            implied = f"{rate * size**0.5 / inverse(CONFIDENCE[size]):.3f} ({CONFIDENCE[size]:.0%})"
        normal = f"{100 * float(at.probability_paid_normal):.1f}"
        _row(f"{size:,}", f"{100 * rate:.1f}", _percent(at, "probability_paid"), normal, implied)


def real_saving(base: Any, performance: Any, replicates: int) -> None:
    import riskshare as rs

    table = rs.luck(
        base,
        performance,
        members=[5_000, 10_000, 20_000, 50_000],
        share=1,
        saving=0.03,
        replicates=replicates,
    ).sel(cost="truncated", people="same")
    _head("people", "paid for a real saving of 3 %, %", "charged in spite of it, %")
    for size in table.members.values:
        at = table.sel(members=size)
        _row(f"{size:,}", _percent(at, "probability_paid"), _percent(at, "probability_charged", 2))


def regression(base: Any, performance: Any) -> None:
    """Print what a population with one more costly person in a hundred seems to save."""
    costly = np.argsort(base)[-len(base) // 10 :]
    trend = performance.mean() / base.mean()
    x, y = (0.99 * cost.mean() + 0.01 * cost[costly].mean() for cost in (base, performance))
    alone = 1 - performance[costly].mean() / (base[costly].mean() * trend)
    print(f"\ncostliest tenth of the base year: {100 * alone:.0f} % below trend a year later")
    print(f"one more of them in a hundred: a saving of {100 * (1 - y / (x * trend)):.1f} %")


def against_settlements(person: float, data: Path) -> None:
    year, members, rates = settled(data / SETTLEMENTS)
    _head(
        "ACOs of 2022, people", "ACOs", "SD of savings rate, %", "SD by luck, %", "of variance, %"
    )
    classes = ((0, 10_000), (10_000, 20_000), (20_000, 30_000), (30_000, np.inf), (0, np.inf))
    for low, high in classes:
        chosen = (year == 2022) & (members >= low) & (members < high)
        value, error = spread(rates[chosen])
        luck = person * np.sqrt(np.mean(1 / members[chosen]))
        name = f"{low:,} to {high - 1:,.0f}" if high < np.inf else f"{low:,} and more"
        _row(
            "all" if (low, high) == (0, np.inf) else name,
            str(chosen.sum()),
            f"{100 * value:.2f} ({100 * error:.2f})",
            f"{100 * luck:.2f}",
            f"{100 * luck**2 / value**2:.0f}",
        )


def chart(table: Any) -> str:
    """Return the chance of being paid by size, as SVG."""
    from riskshare.laws.normal import cumulative

    left, top, width, height, most = 60, 30, 560, 300, 0.5

    def at(size: float, chance: float) -> str:
        x = left + width * (log10(size) - log10(500)) / (log10(100_000) - log10(500))
        return f"{x:.1f},{top + height * (1 - chance / most):.1f}"

    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 660 380" role="img" '
        'font-family="sans-serif" font-size="13" fill="#333">',
        "<title>Chance of being paid by luck alone, by number of people</title>",
        '<rect width="660" height="380" fill="#fff"/>',
        '<text x="60" y="18">chance of being paid though nothing has changed, corridor 2 % '
        "(points: drawn; lines: normal theory)</text>",
    ]
    for percent in range(0, 51, 10):
        x, y = at(500, percent / 100).split(",")
        parts.append(f'<path d="M{x},{y}h{width}" stroke="#ddd"/>')
        parts.append(f'<text x="52" y="{float(y) + 4:.1f}" text-anchor="end">{percent} %</text>')
    for size in (500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000):
        x = at(size, 0).split(",")[0]
        parts.append(f'<text x="{x}" y="{top + height + 20}" text-anchor="middle">{size:,}</text>')
    parts.append(f'<text x="{left + width / 2}" y="372" text-anchor="middle">people</text>')
    series = (
        ("full", "different", "#c44e52", "full cost, different people"),
        ("truncated", "same", "#1f6f8b", "truncated, same people"),
    )
    for place, (cost, people, colour, label) in enumerate(series):
        drawn = table.sel(cost=cost, people=people)
        person = float(drawn.person_standard_deviation)
        sizes = np.geomspace(500, 100_000, 60)
        line = " ".join(at(n, cumulative(-0.02 * n**0.5 / person)) for n in sizes)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for size, chance in zip(drawn.members.values, drawn.probability_paid.values, strict=True):
            x, y = at(size, chance).split(",")
            parts.append(f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>')
        beside = top + 16 + 20 * place
        parts.append(f'<circle cx="400" cy="{beside}" r="4" fill="{colour}"/>')
        parts.append(f'<text x="412" y="{beside + 4}">{label}</text>')
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with claims/ and mssp/")
    parser.add_argument("--replicates", type=int, default=20_000)
    parser.add_argument("--chart", type=Path, help="SVG file to write")
    arguments = parser.parse_args()
    import riskshare as rs

    base, performance = person_years(arguments.data / CLAIMS, "2008", "2009")
    start = time.perf_counter()
    table = rs.luck(
        base, performance, members=SIZES, share=0.5, replicates=arguments.replicates, seed=1
    )
    took = time.perf_counter() - start
    print(f"{len(base):,} people; {arguments.replicates:,} replicates of each size, {took:.0f} s")
    for name in ("mean_cost", "coefficient_of_variation", "correlation", "truncated_at"):
        print(name, np.round(table[name].values, 3).tolist())
    by_size(table)
    money(table)
    contrasts(table)
    minimum(base, performance, arguments.replicates // 5)
    against_scale(base, performance, arguments.data, arguments.replicates // 2)
    real_saving(base, performance, arguments.replicates // 4)
    points = table.truncated_at.values
    regression(np.minimum(base, points[0]), np.minimum(performance, points[1]))
    same = table.person_standard_deviation.sel(cost="truncated", people="same")
    against_settlements(float(same), arguments.data)
    if arguments.chart:
        arguments.chart.write_text(chart(table), encoding="utf-8")


if __name__ == "__main__":
    main()
