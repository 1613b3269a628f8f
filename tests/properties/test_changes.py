import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import riskshare as rs
from riskshare.bind import bind
from riskshare.testing import FAMILY, cases


def with_changes(case, **fields):
    """The case with every change's fields replaced, and nothing correlated with them."""
    names = {driver.name for driver in case.drivers}
    return dataclasses.replace(
        case,
        changes=tuple(dataclasses.replace(change, **fields) for change in case.changes),
        correlations=tuple(c for c in case.correlations if set(c.between) <= names),
    )


def without_changes(case):
    return dataclasses.replace(with_changes(case), changes=())


@settings(max_examples=30)
@given(data=st.data())
def test_what_is_not_delivered_comes_back_in_expectation(data):
    case = data.draw(cases())
    none = bind(without_changes(case)).plan.expected
    never = with_changes(case, delivery=rs.Delivery(value=0.0))
    np.testing.assert_allclose(bind(never).plan.expected, none, rtol=1e-9)
    late = with_changes(case, delay=rs.Delay(value=50.0), thinning=False)
    # a mean that needs the lattice is known to about 1e-5
    np.testing.assert_allclose(bind(late).plan.expected, none, rtol=1e-4)


@settings(max_examples=30)
@given(data=st.data())
def test_what_is_delivered_gives_the_plan_in_expectation(data):
    case = data.draw(cases())
    plain = [
        dataclasses.replace(line, loadings={}, exposure=None, plan=None, capacity=None)
        for line in case.lines
    ]
    plain_contract = rs.Contract(name="plain", terms=[rs.Block()])
    case = dataclasses.replace(case, lines=tuple(plain), contracts=(plain_contract,))
    plan = bind(with_changes(case, delivery=rs.Delivery(), delay=None)).plan
    np.testing.assert_allclose(plan.expected, plan.view.plan, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("structure", FAMILY[::3])
@settings(max_examples=2)
@given(data=st.data())
def test_what_is_not_delivered_comes_back_in_every_draw(structure, data):
    case = data.draw(cases((structure,)))
    if not case.changes:
        return

    def drawn(of):
        return rs.draw(of, samples=64, replicates=2, precision="float64").activity.values

    none = drawn(without_changes(case))
    never = drawn(with_changes(case, delivery=rs.Delivery(value=0.0), delay=None))
    np.testing.assert_allclose(never, none, rtol=1e-9)
    late = drawn(
        with_changes(
            case, delivery=rs.Delivery(value=1.0), delay=rs.Delay(value=50.0), thinning=False
        )
    )
    # tables of counts stand at expected volumes, which a lattice may have worked out
    np.testing.assert_allclose(late, none, rtol=1e-6)
