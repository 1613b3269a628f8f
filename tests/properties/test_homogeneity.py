import pytest
from checking import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st

import riskshare as rs
from riskshare.testing import FAMILY, cases, experiences


@pytest.mark.parametrize("structure", FAMILY)
@settings(max_examples=4)
@given(data=st.data(), factor=st.sampled_from([0.125, 0.5, 2.0, 1024.0]))
def test_money_scales(structure, data, factor):
    # powers of two, so that no rounding moves a threshold
    case = data.draw(cases((structure,)))
    drawn = data.draw(experiences(case, 256))
    money = {
        path: value * factor
        for path, value, declared in case.declared_numbers()
        if declared.unit.startswith("money")
    }
    scaled = case.with_numbers(money)
    assert_same(
        rs.settle(case, drawn),
        rs.settle(scaled, drawn.assign(unit_cost=drawn.unit_cost * factor)),
        factor=factor,
    )
