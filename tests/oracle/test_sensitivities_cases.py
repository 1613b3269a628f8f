"""Derivatives of every bundled case against central differences at common random numbers.

The differences are taken here, from positions of two runs at numbers moved by hand, without the
package's own differences. For each number, partner and statistic the two may be apart by

    t x sqrt(e_g^2 + e_d^2) + |d(2h) - d(h)| + |d_right - d_left| / 2 + rounding

- e_g is the stated error of the derivative; e_d that of the difference, between the independent
  replicates of the run, from influence values of the statistic at both ends;
- t is Student's on as many degrees of freedom as replicates less one, so that one case in a hundred
  would fail by chance: family-wise, after Bonferroni, over all comparisons of the case;
- d(2h) - d(h) is how far the difference itself depends on its step: kinks and curvature;
- d_left and d_right are the differences to either side: at a kink, such as a growth of 0 or a share
  of 1, what is found lies between them;
- rounding is that of derivatives in float32: 3e-5 of the number's largest derivative. Positions of
  the differences are in float64.

A number at the end of what it may be has a difference to one side: its derivative is that inside.
Not so of shares that sum to one, of which none may move alone to either side.

Numbers that are differenced by the package are compared with runs of another seed and other steps.
"""

import zlib

import numpy as np
import pytest
import scipy.stats as st

import riskshare as rs
from riskshare.analysis.results import Results
from riskshare.analysis.sensitivities import STATISTICS
from riskshare.errors import CaseError
from riskshare.run.chunks import run_chunks
from riskshare.run.gradients import program_of
from riskshare.run.sampling import Sampling
from riskshare.run.tables import ready

TAIL, REACH, CHANCE = 0.05, 0.02, 0.01
"""Level of quantile and tail; how far h moves a mean, in standard deviations; of a false alarm."""

CASES = rs.case_names()

SEEDS = {"pathwise": 1, "smoothed": 1, "differences": 2}
"""Seed of the differences that a method is compared with; that of the derivatives is 1."""


class Runs:
    """Positions of a case at numbers moved by hand, on the random numbers of one seed."""

    def __init__(self, case, seed, replicates, each):
        self.case, self.program = case, program_of(case)
        declared = {path: one for path, _, one in case.declared_numbers()}
        self.units = {path: one.unit for path, one in declared.items()}
        self.ends = {
            path: (None, None) if one.sums_to_one else (one.lower, one.upper)
            for path, one in declared.items()
        }
        self.sampling = Sampling("sobol", seed, replicates, each)
        targets = np.asarray(self.program.bound.numbers.yearly.target)[:, :, 0]
        self.results = Results.of(case, targets, None, ("all",))

    def bound(self, path, value):
        if path is None:
            return self.program.bound
        if path in self.program.parameters:
            return self.program.at({path: value})
        try:
            bound = ready(self.case.with_numbers({path: value}))
        except CaseError:
            return None
        return bound if bound.structure == self.program.bound.structure else None

    def sides(self, path, value, step):
        """Where a step leads either way, within what the number may be."""
        lower, upper = self.ends[path]
        low = value - step if lower is None else max(value - step, lower)
        high = value + step if upper is None else min(value + step, upper)
        return low, high

    def at(self, path, value):
        """Positions (series, replicate, sample) and targets; None where the number is refused."""
        bound = self.bound(path, value)
        if bound is None:
            return None
        arrays = run_chunks(bound, self.sampling, ("position",), np.float64, None, None)
        positions = self.results.sums(arrays["position"])
        rows = np.asarray(bound.numbers.yearly.target)[:, :, 0].ravel()
        return positions, self.results.weights @ rows


def influences(x, targets):
    """Each statistic of (series, sample), with influence values whose mean moves as it does."""
    mean = x.mean(1, keepdims=True)
    spread = np.maximum(x.std(1, keepdims=True), 1e-12 + 1e-6 * np.abs(mean))
    below = x < targets[:, None]
    ordered = np.sort(x, axis=1)
    n = x.shape[1]
    quantile = _quantile(ordered, 1 - TAIL)
    wide = 4 * np.sqrt(TAIL * (1 - TAIL) / n)
    ends = _quantile(ordered, 1 - TAIL - wide), _quantile(ordered, 1 - TAIL + wide)
    slope = (ends[1] - ends[0]) / (2 * wide)
    worst = _quantile(ordered, TAIL)
    short = np.minimum(x - worst, 0) / TAIL
    return {
        "mean": (mean, x),
        "standard_deviation": (x.std(1, keepdims=True), (x - mean) ** 2 / (2 * spread)),
        "probability_of_deficit": (below.mean(1, keepdims=True), below.astype(float)),
        "quantile": (quantile, -slope * (x < quantile)),
        "tail_value_at_risk": (-worst - short.mean(1, keepdims=True), -short),
    }


def slope_at(x):
    """Money that goes with a unit of the distribution function at the quantile."""
    ordered, wide = np.sort(x, axis=1), 4 * np.sqrt(TAIL * (1 - TAIL) / x.shape[1])
    ends = _quantile(ordered, 1 - TAIL - wide), _quantile(ordered, 1 - TAIL + wide)
    return ((ends[1] - ends[0]) / (2 * wide))[:, 0]


def _quantile(ordered, level):
    place = int(np.ceil(round(ordered.shape[1] * level, 6))) - 1
    return ordered[:, place, None]


def difference(runs, path, low, high, base=None):
    """Differences by statistic: value and error, (series); None where neither end is allowed.

    With the base, half of the gap between the differences to either side besides.
    """
    ends = runs.at(path, low), runs.at(path, high)
    if any(end is None for end in ends):
        return None
    replicates = runs.sampling.replicates
    down, up = (influences(*end) for end in ends)
    found = {}
    for name in STATISTICS:
        value = (up[name][0] - down[name][0])[:, 0] / (high - low)
        gaps = (up[name][1] - down[name][1]).reshape(len(value), replicates, -1).mean(2)
        error = gaps.std(1, ddof=1) / np.sqrt(replicates)
        # a count moves by one sample at least, and a quantile by what lies between two
        grain = {"probability_of_deficit": 1.0, "quantile": slope_at(ends[0][0])}.get(name, 0.0)
        error = (error + 2 * grain / ends[0][0].shape[1]) / abs(high - low)
        found[name] = value, error
        if base is not None:
            middle = influences(*base)[name][0]
            bent = up[name][0] + down[name][0] - 2 * middle
            found[name] = value, error, np.abs(bent[:, 0]) / abs(high - low)
    return found


def step_of(runs, path, value, base):
    """A step that moves no mean, target or spread further than `REACH` standard deviations."""
    positions, targets = base
    spread, size = positions.std(1), np.abs(positions).max()
    varies = spread > 1e-6 * size
    step = 0.01 * (abs(value) or 0.1)
    for _ in range(4):
        end = runs.at(path, value + step)
        end = runs.at(path, value - step) if end is None else end
        if end is None:
            step /= 4
            continue
        moved = np.abs(end[0].mean(1) - positions.mean(1)) + np.abs(end[1] - targets)
        moved = moved + np.abs(end[0].std(1) - spread)
        reach = (moved[varies] / spread[varies]).max(initial=0.0)
        if reach > 0 and (reach > REACH or value == 0):
            # a share beyond 1 or far below 0 is another contract; a pound more is not
            most = 1e6 if "money" in runs.units[path] else 2.0
            return step * min(REACH / reach, most)
        return step
    return None


def apart(case, paths, *, replicates, each):
    """Every comparison: path, statistic, method, partner, and what `judged` weighs."""
    found = rs.sensitivities(
        case, paths=list(paths), samples=replicates * each, replicates=replicates, levels=[1 - TAIL]
    ).isel(year=0)
    runs = {seed: Runs(case, seed, replicates, each) for seed in (1, 2)}
    base = {seed: run.at(None, None) for seed, run in runs.items()}
    rows = []
    for path in paths:
        value = float(case.number(path))
        words = dict(zip(found.statistic.values, found.sel(path=path).method.values, strict=True))
        for seed in {
            2 if word == "differences" else 1 for word in words.values() if word != "none"
        }:
            step = step_of(runs[seed], path, value, base[seed])
            if step is None:
                continue
            sides = runs[seed].sides(path, value, step)
            both = value not in sides
            near = difference(runs[seed], path, *sides, base[seed] if both else None)
            far = difference(runs[seed], path, *runs[seed].sides(path, value, 2 * step))
            if near is None or far is None:
                continue
            # what the kernel's float32 leaves of money that is passed on from partner to partner
            money = [near[name][0] for name in STATISTICS if name != "probability_of_deficit"]
            rounding = 3e-5 * np.nanmax(np.abs(money))
            for name, word in words.items():
                if SEEDS.get(word) != seed:
                    continue
                got = found.sel(path=path)[f"position_{name}_derivative"]
                error = found.sel(path=path)[f"position_{name}_derivative_error"]
                if "level" in got.dims:
                    got, error = got.isel(level=0), error.isel(level=0)
                d, e, *kink = near[name]
                bias = np.abs(far[name][0] - d) + sum(kink)
                unit = 0.0 if name == "probability_of_deficit" else rounding
                for i, partner in enumerate(runs[seed].results.partners):
                    rows.append(
                        (path, name, word, partner, float(got[i]), float(error[i]), d[i], e[i],
                         bias[i], unit)
                    )  # fmt: skip
    return rows


def judged(rows, replicates):
    """The comparisons that are too far apart."""
    rows = [row for row in rows if np.isfinite(row[4])]
    bound = st.t.isf(CHANCE / 2 / max(len(rows), 1), replicates - 1)
    return [
        row
        for row in rows
        if abs(row[4] - row[6]) > bound * np.hypot(row[5], row[7]) + row[8] + row[9] + 1e-9
    ]


def contract_numbers(case, count):
    """Some numbers of the contracts that a program can move."""
    heads = tuple(f"{contract.name}." for contract in case.contracts)
    own = [path for path in program_of(case).parameters if path.startswith(heads)]
    pick = np.random.default_rng(zlib.crc32(case.name.encode()))
    return [str(path) for path in pick.choice(own, min(count, len(own)), replace=False)]


QUICK = ("msk-toy", "mid-nottinghamshire-msk", "reach-aco")
"""Cases with gates and pools whose kernels compile in seconds; the others are slow."""


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CASES],
)
def test_derivatives_agree_with_differences(name):
    """Two numbers of each case's contracts."""
    case = rs.load_case(name)
    rows = apart(case, contract_numbers(case, 2), replicates=16, each=4096)
    assert judged(rows, 16) == []
    assert len(rows) >= 20


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_derivative_agrees_with_differences(name):
    """Every number of each bundled case."""
    case = rs.load_case(name)
    rows = apart(case, list(case.numbers()), replicates=16, each=4096)
    assert judged(rows, 16) == []
    assert len(rows) >= 200
