import pytest
from checking import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st

import riskshare as rs
from riskshare.testing import FAMILY, cases, experiences

MONEY = ("unit_cost", "person_cost", "other_position")
"""Variables of an experience that are money."""


@pytest.mark.parametrize("structure", FAMILY)
@settings(max_examples=3)
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
    dearer = drawn.assign({name: drawn[name] * factor for name in MONEY if name in drawn})
    assert_same(rs.settle(case, drawn), rs.settle(scaled, dearer), factor=factor)
