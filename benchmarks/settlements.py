"""Many contracts in one call: ``python -m benchmarks.settlements [--data FILE] [--contracts N]``.

Settles every row of the Medicare Shared Savings Program's public file under its own numbers
(``--data``), or as many made-up rows, and says what the first call takes from a fresh process,
compilation included, what a second one takes, and what one contract at a time would take.
"""

import argparse
import time
from pathlib import Path

START = time.perf_counter()


def made_up(count: int) -> dict[str, object]:
    import numpy as np

    draw = np.random.default_rng(1)
    benchmark = draw.uniform(5e7, 5e8, count)
    found = {
        "benchmark": benchmark,
        "expenditure": benchmark * draw.normal(0.98, 0.04, count),
        "lives": draw.uniform(5e3, 8e4, count),
        "quality": draw.uniform(0.5, 1.0, count),
        "weight": draw.uniform(0.0, 1.0, count),
        "relief": np.zeros(count),
        "offset": np.ones(count),
        "floor": np.full(count, 0.4),
        "ceiling": np.full(count, 0.75),
    }
    for name, gain, loss in (
        ("threshold", 0.0, 0.01),
        ("scaled", 1.0, 0.0),
        ("missed", 0.0, 0.0),
        ("rate", 0.75, 1.0),
        ("scalar", 0.98, 1.0),
        ("cap", 0.2, 0.15),
    ):
        found |= {f"{name}.gain": np.full(count, gain), f"{name}.loss": np.full(count, loss)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="mssp_core_2014_2022.csv.gz")
    parser.add_argument("--contracts", type=int, default=4122)
    arguments = parser.parse_args()
    import riskshare as rs
    from tests import mssp

    if arguments.data:
        numbers = mssp.numbers(mssp.rows(arguments.data))
    else:
        numbers = made_up(arguments.contracts)
    count = len(numbers["benchmark"])
    case, paths, actuals = mssp.contract(), mssp.parameters(numbers), mssp.experience(numbers)

    def settle() -> None:
        rs.settle(case, actuals, parameters=paths, keep=("posting",))

    settle()
    first = time.perf_counter() - START
    begin = time.perf_counter()
    settle()
    second = time.perf_counter() - begin
    few = min(count, 50)
    rs.settle(case, actuals.isel(contract=0))
    begin = time.perf_counter()
    for i in range(few):
        values = {path: float(array[i]) for path, array in paths.items()}
        rs.settle(case, actuals.isel(contract=i), parameters=values, keep=("posting",))
    each = (time.perf_counter() - begin) / few
    print(f"{count:,} contracts: first call {first:.2f} s with imports and compilation")
    print(f"second call {second:.3f} s, {count / second:,.0f} contracts/s")
    print(f"one at a time {each * 1e3:.1f} ms each: {each * count / second:,.0f} times as long")


if __name__ == "__main__":
    main()
