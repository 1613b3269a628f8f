"""Case A as a riskshare case: a line for each stream, a marginal rate, and a pool that limits it.

The commissioner pays each stream's provider its budget (`Block`) and the bands on what it differs
by (`MarginalRate`). The sum is limited by a `Pool` over both: what the commissioner has paid beyond
40 more or less than the budget is shared back in full. It then paid 180 + min(max(sum, -40), 40).
"""

from __future__ import annotations

import datetime
from functools import cache
from typing import Any

import numpy as np

import riskshare as rs

from .answer import RISK, TAIL, Answer
from .corridor import BANDS, CORRELATION, CVS, LIMIT, MEANS

PAYER = "commissioner"
PROVIDERS = tuple(f"provider_{number}" for number in range(len(MEANS)))


@cache
def case() -> rs.Case:
    """Return the case; money in the problem's unit."""
    budget = float(MEANS.sum())
    lines = [
        rs.Line(
            name=f"stream_{number}",
            deliverer=PROVIDERS[number],
            payer=PAYER,
            baseline=float(mean),
            unit_cost=1.0,
            price=1.0,
            cost=rs.CostBehaviour(variable=1.0, fixed=0.0),
            noise=rs.Noise(
                law="gamma", cv=float(cv), factors={"common": float(np.sqrt(CORRELATION))}
            ),
        )
        for number, (mean, cv) in enumerate(zip(MEANS, CVS, strict=True))
    ]
    terms = [
        rs.Block(),
        rs.MarginalRate(bands=[rs.Band(beyond=beyond, rate=rate) for beyond, rate in BANDS]),
        rs.Pool(
            budget="plan",
            against=["block", "marginal-rate"],
            holder=PAYER,
            key="equal",
            between=list(PROVIDERS),
            corridors=[rs.Corridor(beyond=LIMIT / budget, rate=1.0)],
        ),
    ]
    start, end = datetime.date(2026, 4, 1), datetime.date(2027, 3, 31)
    return rs.Case(
        name="corridors",
        years=[rs.Year(label="2026/27", start=start, end=end)],
        partners=[
            *(rs.Partner(name=name, kind="provider") for name in PROVIDERS),
            rs.Partner(name=PAYER, kind="payer"),
        ],
        drivers=[
            rs.Driver(name="common", acts_on="chance", law="lognormal", sd=0.01, centre="mean")
        ],
        lines=lines,
        contracts=[rs.Contract(name="corridors", budgets=[rs.Budget(name="plan")], terms=terms)],
    )


def kept(samples: int, seed: int) -> Answer:
    """Simulate, keep positions, and take the pool's measures with NumPy."""
    outcomes = rs.simulate(case(), samples=samples, seed=seed, keep=("position",))
    position = outcomes.position.isel(year=0).sel(partner=PAYER).values
    return Answer.of(-position - np.float32(MEANS.sum()))


def streamed(samples: int, seed: int) -> Answer:
    """Estimate: the measures of every partner with their errors, no sample kept."""
    table = rs.estimate(case(), samples=samples, seed=seed, keep=("position",), levels=(RISK, TAIL))
    return _of_table(table)


def _of_table(table: Any) -> Answer:
    pool, budget = table.isel(year=0).sel(partner=PAYER), float(MEANS.sum())
    return Answer(
        -float(pool.position_mean) - budget,
        float(pool.position_value_at_risk.sel(level=RISK)) - budget,
        float(pool.position_tail_value_at_risk.sel(level=TAIL)) - budget,
    )
