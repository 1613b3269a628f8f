"""The reference problem as a riskshare case."""

import datetime
from typing import Literal

import numpy as np

from riskshare.bench.problem import LINES, Problem
from riskshare.case import Case, Contract
from riskshare.contract.budget import Budget
from riskshare.contract.marginal import Band, MarginalRate
from riskshare.contract.payment import Block
from riskshare.contract.rule import Corridor
from riskshare.contract.sharing import Pool
from riskshare.system import CostBehaviour, Driver, Line, Noise, Partner, Year


def reference_case(problem: Problem) -> Case:
    """Build the case from the problem's numbers, contract rates included.

    Partners are `problem.provider_names` and `external`, lines `problem.line_names`. A driver that
    acts on chance multiplies nothing, so only its score matters and its own law is a formality.
    """
    external = Partner(name="external", kind="external")
    providers = tuple(Partner(name=name, kind="provider") for name in problem.provider_names)
    factors = tuple(
        Driver(name=name, acts_on="chance", law="lognormal", sd=0.01, centre="mean")
        for name in problem.factor_names
    )
    return Case(
        name="reference",
        title="Reference problem: 24 lines, 8 providers, one year",
        years=(
            Year(label="2026/27", start=datetime.date(2026, 4, 1), end=datetime.date(2027, 3, 31)),
        ),
        partners=(*providers, external),
        drivers=factors,
        lines=tuple(_line(problem, number) for number in range(LINES)),
        contracts=(_contract(problem),),
    )


def _line(problem: Problem, number: int) -> Line:
    def noise(law: Literal["gamma", "lognormal"], cv: float, row: int) -> Noise:
        loadings = problem.factors[row].tolist()
        factors = dict(zip(problem.factor_names, loadings, strict=True))
        return Noise(law=law, cv=cv, factors=factors)

    variable = problem.variable_share
    unit_cost_cv = float(np.sqrt(np.expm1(problem.unit_cost_sigma**2)))
    return Line(
        name=problem.line_names[number],
        deliverer=problem.provider_names[problem.provider[number]],
        payer="external",
        baseline=float(problem.plan[number]),
        unit_cost=float(problem.unit_cost[number]),
        price=float(problem.price[number]),
        cost=CostBehaviour(variable=variable, fixed=1.0 - variable),
        noise=noise("gamma", problem.activity_cv, number),
        unit_cost_noise=noise("lognormal", unit_cost_cv, LINES + number),
    )


def _contract(problem: Problem) -> Contract:
    inside = {"up": problem.rate_up, "down": problem.rate_down}
    corridors = tuple(
        Corridor(beyond=beyond, rate=rate)
        for beyond, rate in zip(problem.corridor, problem.shares, strict=True)
    )
    return Contract(
        name="capitated",
        budgets=(Budget(name="plan"),),
        terms=(
            Block(),
            MarginalRate(
                bands=(
                    Band(beyond=0.0, rate=inside),
                    Band(beyond=problem.tolerance, rate=problem.rate_beyond),
                )
            ),
            Pool(
                budget="plan",
                against=("block", "marginal-rate"),
                holder="external",
                key="fixed",
                share=dict(zip(problem.provider_names, problem.key.tolist(), strict=True)),
                corridors=corridors,
            ),
        ),
    )
