"""The first call: ``python -m benchmarks.first_call [--case NAME ...] [--rounds N]``.

Says how long a fresh process takes from its first line to the outcomes of 65,536 samples of a
bundled case, and to their summary, as a multiple of ``import jax`` alone. Three kinds of process
take turns, and the best of each counts, since a shared machine makes a mean say little:

- ``jax``: imports JAX and ends;
- ``first``: imports riskshare, loads, binds, compiles, simulates, summarises;
- ``second``: the same, with the kernel in JAX's compilation cache.

All read their modules as bytecode, as an installed package has it, and find the core install
alone: xarray and pandas import some optional packages wherever they are installed, which
``--extras`` lets them. Starting the interpreter is outside the clock. The stages of the best
process are printed below each case; what is imported on first use counts where it is used first.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = ("msk-toy", "mid-nottinghamshire-msk")
OPTIONAL = ("dask", "pyarrow", "cftime", "numexpr", "bottleneck", "sparse", "cupy", "pint")
"""Not in the core install, and imported by xarray or pandas where they find them."""
FIRST, SECOND = 4.0, 3.0
"""Times ``import jax`` that a first call, and one in a second process, may take."""

JAX = """
import time
start = time.perf_counter()
import jax
print(time.perf_counter() - start)
"""

CALL = """
import json, sys, time
sys.modules.update(dict.fromkeys(sys.argv[4:]))
start = last = time.perf_counter()
stages = {}
def done(stage):
    global last
    now = time.perf_counter()
    stages[stage], last = now - last, now

name, samples, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
import jax
done("import jax")
import riskshare as rs
rs.load_case, rs.simulate
done("import riskshare")
if folder:
    rs.use_compilation_cache(folder)
case = rs.load_case(name)
done("load")
from riskshare.run.tables import ready
ready(case)
done("bind")
outcomes = rs.simulate(case, samples=samples)
done("simulate")
table = rs.summarise(outcomes)
done("summarise")
outcomes = rs.simulate(case, samples=samples, seed=2)
done("once more")
print(json.dumps(stages))
"""

Stages = dict[str, float]


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which modules are read as bytecode and no cache is set."""
    apart = ("PYTHONDONTWRITEBYTECODE", "JAX_COMPILATION_CACHE_DIR", "RISKSHARE_CACHE")
    kept = {name: value for name, value in os.environ.items() if name not in apart}
    return kept | {"PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def run(code: str, *arguments: str, folder: Path) -> str:
    """Run code in a fresh process and return what it prints."""
    answer = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment(folder),
    )
    if answer.returncode:
        raise SystemExit(answer.stderr)
    return answer.stdout


def simulated(stages: Stages) -> float:
    """Return the time to the outcomes."""
    return sum(seconds for name, seconds in stages.items() if name not in AFTER)


AFTER = ("summarise", "once more")


def measure(
    name: str, samples: int, rounds: int, hidden: tuple[str, ...], folder: Path
) -> tuple[float, Stages, Stages]:
    """Return the best ``import jax``, and the stages of the best first and second process."""
    cache = str(folder / "kernels" / name)

    def call(kernels: str) -> Stages:
        return json.loads(run(CALL, name, str(samples), kernels, *hidden, folder=folder))

    call(cache)  # makes the bytecode, and what the second process finds
    alone, first, second = [], [], []
    for _ in range(rounds):
        alone.append(float(run(JAX, folder=folder)))
        first.append(call(""))
        second.append(call(cache))
    return min(alone), min(first, key=simulated), min(second, key=simulated)


def table(name: str, alone: float, first: Stages, second: Stages) -> str:
    """Return what one case takes, in multiples of ``import jax``."""
    lines = [
        f"{name}: import jax alone {alone:.2f} s",
        f"  {'':<24}{'first process':>22}{'second process':>22}",
    ]
    for label, after in (("to the outcomes", ()), ("and to the summary", ("summarise",))):
        cells = []
        for stages, bar in ((first, FIRST), (second, SECOND)):
            seconds = simulated(stages) + sum(stages[stage] for stage in after)
            times = seconds / alone
            word = "within" if times <= bar else "ABOVE"
            cells.append(f"{seconds:5.2f} s {times:5.2f} x {word:>6}")
        lines.append(f"  {label:<24}" + "".join(f"{cell:>22}" for cell in cells))
    for stage in first:
        cells = [f"{s[stage]:5.2f} s {s[stage] / alone:5.2f} x       " for s in (first, second)]
        lines.append(f"    {stage:<22}" + "".join(f"{cell:>22}" for cell in cells))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs="+", default=NAMES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=65_536)
    parser.add_argument("--extras", action="store_true", help="with all that is installed")
    arguments = parser.parse_args()
    hidden = () if arguments.extras else OPTIONAL
    print(f"{arguments.samples:,} samples; bars {FIRST:g} x and {SECOND:g} x import jax")
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.case:
            found = measure(name, arguments.samples, arguments.rounds, hidden, Path(folder))
            print(table(name, *found), flush=True)


if __name__ == "__main__":
    main()
