import dataclasses

import numpy as np
import pytest
from checking import assert_same, gross, stated, terms_of
from hypothesis import given, settings
from hypothesis import strategies as st

import riskshare as rs
from riskshare.testing import FAMILY, cases, experiences


def weightless(case, contract, pool, outcomes):
    """Where a pool's key gives a partner nothing: (year, partner, sample)."""
    shape = (len(case.years), len(case.partners), outcomes.sizes["sample"])
    if pool.key == "contribution":
        names = [f"{contract.name}.{name}" for name in pool.contributions]
        paid = (-outcomes.posting.sel(term=names)).clip(min=0).sum("term")
        return paid.transpose("year", "partner", "sample").values == 0
    names = [partner.name for partner in case.partners]
    if pool.key == "influence":
        owners = [*case.drivers, *case.members, *(change.delivery for change in case.changes)]
        keys = [owner.influence for owner in owners] + [case.residual_key]
        none = [all(key.get(name, 0) == 0 for key in keys) for name in names]
        return np.broadcast_to(np.array(none)[:, None], shape)
    if pool.between is not None:
        outside = np.array([name not in pool.between for name in names])
        return np.broadcast_to(outside[:, None], shape)
    if pool.key == "need":
        people = stated(case, contract, pool, pool, "people")
        return np.broadcast_to((people == 0).all(axis=2), shape)
    fields = {"fixed": ["share"] + ["loss_share"] * (pool.loss_share is not None)}
    given = fields.get(pool.key, ["weights"])
    none = [stated(case, contract, pool, pool, name, ["partner"]) == 0 for name in given]
    return np.broadcast_to(np.all(none, axis=0), shape)


@pytest.mark.parametrize("structure", FAMILY)
@settings(max_examples=4)
@given(data=st.data())
def test_a_partner_without_weight_gets_nothing_from_a_pool(structure, data):
    case = data.draw(cases((structure,)))
    outcomes = rs.settle(case, data.draw(experiences(case, 64)))
    for name, contract, pool in terms_of(case, "pool"):
        posting = outcomes.posting.sel(term=name).transpose("year", "partner", "sample")
        share = (abs(posting) / gross(outcomes)).transpose("year", "partner", "sample").values
        others = [p.name not in (pool.holder, pool.taker) for p in case.partners]
        none = weightless(case, contract, pool, outcomes) & np.array(others)[:, None]
        assert np.all(share[none] <= 1e-12), (name, pool.key)


@pytest.mark.parametrize("structure", FAMILY[2::3])
@settings(max_examples=3)
@given(data=st.data())
def test_partners_may_stand_in_any_order(structure, data):
    case = data.draw(cases((structure,)))
    # one order for all examples: whose score it is decides the program
    order = np.random.default_rng(structure).permutation(len(case.partners))
    drawn = data.draw(experiences(case, 64))
    other = dataclasses.replace(case, partners=tuple(case.partners[i] for i in order))
    assert_same(rs.settle(case, drawn), rs.settle(other, drawn))
