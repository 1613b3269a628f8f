import dataclasses

import numpy as np
import pytest
import xarray as xr
from checking import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st

import riskshare as rs
from riskshare.program.streams import BLOCK
from riskshare.testing import FAMILY, cases, experiences

PRECISIONS = ["float64", "float32"]


@pytest.mark.parametrize("structure", FAMILY[::2])
@settings(max_examples=2)
@given(data=st.data(), cut=st.integers(1, BLOCK + 99), precision=st.sampled_from(PRECISIONS))
def test_samples_settle_alike_in_any_company(structure, data, cut, precision):
    case = data.draw(cases((structure,)))
    drawn = data.draw(experiences(case, BLOCK + 100)).astype(precision)
    parts = [drawn.isel(sample=slice(None, cut)), drawn.isel(sample=slice(cut, None))]
    whole = rs.settle(case, drawn)
    joined = xr.concat([rs.settle(case, part) for part in parts], "sample", data_vars="minimal")
    for name in whole.data_vars:
        np.testing.assert_array_equal(whole[name].values, joined[name].values, err_msg=name)


def with_strangers(case):
    """The case with a partner, a line, drivers and a contract that have nothing to do with it."""
    names = case.labels()["partner"]
    fixed = tuple(
        dataclasses.replace(
            contract, lines=case.scope_lines(contract), partners=contract.partners or names
        )
        for contract in case.contracts
    )
    stranger = rs.Partner(name="stranger", kind="provider")
    line = rs.Line(
        name="elsewhere",
        deliverer="stranger",
        payer="stranger",
        baseline=1000.0,
        unit_cost=10.0,
        price=12.0,
        loadings={"weather": 1.0},
        noise=rs.Noise(law="gamma", cv=0.1),
    )
    terms = [rs.Block(), rs.MarginalRate(rate=0.5), rs.ActivityPayment(share=0.1)]
    return dataclasses.replace(
        case,
        partners=(*case.partners, stranger),
        drivers=(
            *case.drivers,
            rs.Driver(name="weather", acts_on="activity", law="normal", sd=0.1),
        ),
        lines=(*case.lines, line),
        contracts=(*fixed, rs.Contract(name="elsewhere", lines=["elsewhere"], terms=terms)),
    )


@pytest.mark.parametrize("structure", FAMILY[1::3])
@settings(max_examples=2)
@given(data=st.data())
def test_strangers_change_no_settlement(structure, data):
    case = data.draw(cases((structure,)))
    drawn = data.draw(experiences(case, 64))
    more = with_strangers(case)
    also = data.draw(experiences(more, 64))
    assert_same(rs.settle(case, drawn), rs.settle(more, drawn.combine_first(also)))


@pytest.mark.parametrize("structure", FAMILY[:2])
@settings(max_examples=2)
@given(data=st.data())
def test_strangers_move_no_draw(structure, data):
    case = data.draw(cases((structure,)))
    alone = rs.draw(case, samples=64, replicates=2, precision="float64")
    among = rs.draw(with_strangers(case), samples=64, replicates=2, precision="float64")
    for name in ("activity", "case_mix", "unit_cost", "driver_index", "members"):
        left, right = alone[name], among[name].reindex_like(alone[name])
        np.testing.assert_allclose(left.values, right.values, rtol=1e-9, err_msg=name)
