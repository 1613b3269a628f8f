"""Numbers that overflow are refused, though kernels may take a bound for what is no number."""

import pytest

import riskshare as rs

TOO_LARGE = [
    ("msk-toy", "lines.outpatients.price"),
    ("msk-toy", "lines.inpatients.unit_cost"),
    ("shared-savings-aco", "lines.care.unit_cost"),
    ("shared-savings-aco", "lines.care.price"),
]


RUNS = {
    "soon": rs.simulate,
    "fast": rs.estimate,
}
"""Each has its kernel compiled in a way of its own (`riskshare.program.compiling.TwoWays`)."""


@pytest.mark.parametrize("way", RUNS)
@pytest.mark.parametrize(("name", "path"), TOO_LARGE)
def test_numbers_beyond_the_type_are_refused_where_a_contract_caps_them(name, path, way):
    large = rs.load_case(name).with_numbers({path: 1e37})
    with pytest.raises(rs.NumericalError, match="too large for float32"):
        RUNS[way](large, samples=65_536, keep=["position"])
