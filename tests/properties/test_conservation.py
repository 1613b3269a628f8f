import numpy as np
import pytest
from checking import worst
from hypothesis import given, settings
from hypothesis import strategies as st

import riskshare as rs
from riskshare.names import decimals
from riskshare.testing import FAMILY, cases, experiences


@pytest.mark.parametrize("structure", FAMILY)
@settings(max_examples=8)
@given(data=st.data())
def test_actuals_balance_to_the_penny(structure, data):
    case = data.draw(cases((structure,)))
    outcomes = rs.settle(case, data.draw(experiences(case)))
    units = 10 ** decimals(case.currency)
    posting = (outcomes.posting * units).round()
    assert (posting.sum("partner") == 0).all()
    assert (abs(posting / units - outcomes.posting) <= 1e-15 * abs(outcomes.posting)).all()
    position = posting.sum("term") - (outcomes.cost * units).round()
    assert ((outcomes.position * units).round() == position).all()
    moved = ((outcomes.received - outcomes.paid - outcomes.cost) * units).round()
    assert (moved == position).all()
    assert (outcomes.received >= 0).all()
    assert (outcomes.paid >= 0).all()


@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-12), ("float32", 1e-6)])
@pytest.mark.parametrize("structure", FAMILY)
@settings(max_examples=4)
@given(data=st.data())
def test_draws_balance(structure, precision, tolerance, data):
    case = data.draw(cases((structure,)))
    outcomes = rs.settle(case, data.draw(experiences(case, 512)).astype(precision))
    outcomes = outcomes.astype(np.float64)
    assert worst(outcomes.posting.sum("partner"), outcomes) <= tolerance
    position = outcomes.posting.sum("term") - outcomes.cost
    assert worst(outcomes.position - position, outcomes) <= tolerance
    moved = outcomes.received - outcomes.paid - outcomes.cost
    assert worst(outcomes.position - moved, outcomes) <= tolerance
    assert (outcomes.received >= 0).all()
    assert (outcomes.paid >= 0).all()
