"""One settlement a call: ``python -m benchmarks.settle_call [--case NAME ...] [--calls N]``.

Says, for each case, what one call of a compiled program's ``settle`` takes from NumPy arrays after
the first (every number of the case given anew), what one `riskshare.settle` of the same actuals
takes, with its transfers and working, and how many times the one the other is. Medians and the
middle nine tenths of the calls, since a shared machine makes a mean say little.
"""

import argparse
import time
from collections.abc import Callable

NAMES = ("msk-toy", "mid-nottinghamshire-msk")
LIMIT_MS = 2.0


def timed(call: Callable[[int], object], calls: int) -> tuple[float, float, float]:
    """Milliseconds of a call: median, and the bounds of the middle nine tenths."""
    import numpy as np

    taken = []
    for i in range(calls):
        begin = time.perf_counter()
        call(i)
        taken.append(time.perf_counter() - begin)
    middle, low, high = np.quantile(taken, [0.5, 0.05, 0.95]) * 1e3
    return float(middle), float(low), float(high)


def measure(name: str, calls: int) -> None:
    import numpy as np

    import riskshare as rs
    from riskshare.program.block import count_traces

    case = rs.load_case(name)
    begin = time.perf_counter()
    program = rs.compile(case)
    made = time.perf_counter() - begin
    drawn = rs.draw(case, samples=1, sampler="pseudo-random", precision="float64")
    actuals = drawn.isel(sample=0)
    held = ("activity", "case_mix", "unit_cost", "driver_index", "members", "quality")
    experience = {
        variable: np.nan_to_num(actuals[variable].values)
        for variable in held
        if variable in actuals and actuals[variable].size
    }
    numbers = dict(program.parameters)
    sets = [{path: value * (1 + 1e-4 * i) for path, value in numbers.items()} for i in range(16)]
    begin = time.perf_counter()
    program.settle(numbers, experience)
    first = time.perf_counter() - begin
    with count_traces() as traced:
        pure = timed(lambda i: program.settle(sets[i % 16], experience), calls)
    program.settle({}, experience)
    bare = timed(lambda i: program.settle({}, experience), calls)
    rs.settle(case, actuals)
    whole = timed(lambda i: rs.settle(case, actuals), max(calls // 10, 10))
    print(f"{name}: {len(numbers)} numbers, {len(program.fixed)} fixed; made in {made:.2f} s")
    print(f"  first call {first:.2f} s with compilation; traced again {len(traced)} times")
    rows = (
        ("program.settle, every number", pure),
        ("program.settle, no number", bare),
        ("riskshare.settle, in full", whole),
    )
    for label, (middle, low, high) in rows:
        ratio = middle / pure[0]
        print(f"  {label:<30} {middle:7.3f} ms ({low:.3f} to {high:.3f}), {ratio:5.1f} times")
    print(f"  {'within' if pure[0] < LIMIT_MS else 'ABOVE'} {LIMIT_MS:g} ms a call")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs="+", default=NAMES)
    parser.add_argument("--calls", type=int, default=500)
    arguments = parser.parse_args()
    for name in arguments.case:
        measure(name, arguments.calls)


if __name__ == "__main__":
    main()
