import dataclasses

import pytest
from checking import assert_same, gross
from hypothesis import given, settings
from hypothesis import strategies as st

import riskshare as rs
from riskshare.testing import FAMILY, cases, experiences


def pools(case):
    return [
        (f"{contract.name}.{term.label}", contract, term)
        for contract in case.contracts
        for term in contract.terms
        if isinstance(term, rs.Pool)
    ]


def weightless(case, pool):
    """Partners that a pool's key gives nothing."""
    if pool.key == "fixed":
        keys = [pool.share] + [pool.loss_share] * (pool.loss_share is not None)
    elif pool.key == "proportional":
        keys = [pool.weights]
    else:
        owners = [*case.drivers, *case.members, *(change.delivery for change in case.changes)]
        keys = [owner.influence for owner in owners] + [case.residual_key]
    return [
        partner.name
        for partner in case.partners
        if partner.name != pool.holder and all(key.get(partner.name, 0) == 0 for key in keys)
    ]


@pytest.mark.parametrize("structure", FAMILY)
@settings(max_examples=6)
@given(data=st.data())
def test_a_partner_without_weight_gets_nothing_from_a_pool(structure, data):
    case = data.draw(cases((structure,)))
    found = [(name, pool) for name, _, pool in pools(case)]
    if not found:
        return
    outcomes = rs.settle(case, data.draw(experiences(case, 64)))
    for name, pool in found:
        posting = outcomes.posting.sel(term=name, partner=weightless(case, pool))
        assert (abs(posting) <= 1e-12 * gross(outcomes)).all()


@pytest.mark.parametrize("structure", FAMILY)
@settings(max_examples=4)
@given(data=st.data())
def test_partners_may_stand_in_any_order(structure, data):
    case = data.draw(cases((structure,)))
    order = data.draw(st.permutations(case.partners))
    drawn = data.draw(experiences(case, 64))
    other = dataclasses.replace(case, partners=tuple(order))
    assert_same(rs.settle(case, drawn), rs.settle(other, drawn))
