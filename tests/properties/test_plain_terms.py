"""Plain terms on random systems, against what they are by definition."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import riskshare as rs
from riskshare.bind import bind
from riskshare.testing import FAMILY, cases, experiences


def plain(case):
    """The system of a case under a contract that needs no drawn number."""
    first, last = case.partners[0].name, case.partners[-1].name
    pool = {"budget": "b", "holder": first, "against": ["block", "open-book"]}
    terms = [
        rs.Block(),
        rs.ActivityPayment(),
        rs.MarginalRate(name="nothing", rate=0.0),
        rs.MarginalRate(name="all", rate=1.0),
        rs.MarginalRate(name="from-nothing", rate=1.0, base=0.0),
        rs.RevenueCompensation(shortfall=1.0, excess=1.0),
        rs.CostReimbursement(name="open-book"),
        rs.Pool(key="fixed", share={last: 0.75, first: 0.25}, **pool),
        rs.Pool(name="by-plan", key="budget", between=[p.name for p in case.partners], **pool),
        rs.Pool(name="by-cost", key="equal", between=[last], **pool | {"against": []}, cost_of=[]),
    ]
    names = [line.name for line in case.lines]
    terms[-1] = dataclasses.replace(terms[-1], cost_of=tuple(names))
    budgets = [rs.Budget(name="b", base=1e6, planned_changes=False, new_services=False)]
    contract = rs.Contract(name="c", budgets=budgets, terms=terms)
    return dataclasses.replace(case, contracts=(contract,))


@pytest.mark.parametrize("structure", FAMILY[::4])
@settings(max_examples=4)
@given(data=st.data())
def test_plain_terms_are_what_they_are_by_definition(structure, data):
    case = plain(data.draw(cases((structure,))))
    outcomes = rs.settle(case, data.draw(experiences(case, 64)))
    world, view = bind(case).numbers.world, bind(case).plan.view
    scale = float((abs(outcomes.posting).sum() + abs(outcomes.cost).sum()).clip(min=1.0))

    def posted(*names):
        found = outcomes.posting.sel(term=[f"c.{name}" for name in names]).sum("term")
        return found.transpose("year", "partner", "sample").values

    def same(found, expected):
        assert np.max(np.abs(found - expected), initial=0.0) <= 1e-12 * scale

    net = world.deliverer - world.payer
    same(posted("block"), ((view.plan * view.price) @ net.T)[..., None])
    same(posted("nothing"), 0.0)
    same(posted("block", "all"), posted("activity-payment"))
    same(posted("from-nothing"), posted("activity-payment"))
    same(posted("activity-payment", "revenue-compensation"), posted("block"))
    costs = outcomes.line_cost.transpose("year", "line", "sample").values
    same(posted("open-book"), np.einsum("pl,yls->yps", net, costs))

    first, last = 0, len(case.partners) - 1
    outlay = -posted("block", "open-book")[:, first]
    for name, spend in (("pool", outlay), ("by-plan", outlay), ("by-cost", costs.sum(1))):
        result = 1e6 - spend
        share = np.zeros((len(case.years), len(case.partners), 1))
        if name == "by-plan":
            value = (view.plan * view.price) @ world.deliverer.T
            total = value.sum(1, keepdims=True)
            equal = np.full_like(value, 1 / value.shape[1])
            share += np.where(total > 0, value / np.where(total > 0, total, 1), equal)[..., None]
        else:
            share[:, last] += 0.75 if name == "pool" else 1.0
            share[:, first] += 0.25 if name == "pool" else 0.0
        share[:, first] -= 1
        same(posted(name), share * result[:, None])
