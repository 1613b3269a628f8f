"""What pool accounts hold, and what is earned and not yet paid: nothing is lost between years."""

import numpy as np
import pytest
from checking import gross, terms_of
from hypothesis import given, settings
from hypothesis import strategies as st

import riskshare as rs
from riskshare.testing import FAMILY, cases, experiences


def balances(case, outcomes):
    """Each pool account, and what it holds by year: its opening balance and what was posted."""
    for partner in case.partners:
        if partner.kind == "pool":
            posted = outcomes.posting.sel(partner=partner.name).sum("term").cumsum("year")
            yield partner, posted + (partner.opening_balance or 0.0)


@pytest.mark.parametrize("structure", FAMILY)
@settings(max_examples=3)
@given(data=st.data())
def test_an_account_closes_at_what_was_posted_to_it(structure, data):
    case = data.draw(cases((structure,)))
    outcomes = rs.settle(case, data.draw(experiences(case)))
    for partner, held in balances(case, outcomes):
        closing = outcomes.closing.sel(state=f"accounts.{partner.name}.balance")
        assert (abs(closing - held) <= 1e-6).all()
        if partner.prorate is not None or partner.shortfall is not None:
            assert (held >= -1e-6).all()
        if partner.release is not None:
            assert (held.isel(year=-1) <= 1e-6).all()


@pytest.mark.parametrize("structure", FAMILY)
@settings(max_examples=3)
@given(data=st.data())
def test_an_account_that_scales_its_claims_is_never_overdrawn(structure, data):
    case = data.draw(cases((structure,)))
    if not any(partner.prorate for partner in case.partners):
        return
    outcomes = rs.settle(case, data.draw(experiences(case, 512)))
    for partner, held in balances(case, outcomes):
        if partner.prorate is not None:
            assert (held / gross(outcomes).cumsum("year") >= -1e-12).all()


@pytest.mark.parametrize("structure", FAMILY)
@settings(max_examples=3)
@given(data=st.data())
def test_what_is_earned_is_paid_or_due(structure, data):
    case = data.draw(cases((structure,)))
    late = [(name, term.cash) for name, _, term in terms_of(case) if term.cash is not None]
    if not late:
        return
    outcomes = rs.settle(case, data.draw(experiences(case))).squeeze("sample")
    unpaid = (outcomes.position - outcomes.cash).sum("year")
    closing = outcomes.closing.isel(year=-1)
    expected = np.zeros(len(case.partners))
    for name, cash in late:
        expected += [float(closing.sel(state=f"{name}.due[{p.name}]")) for p in case.partners]
        earned = outcomes.posting.sel(term=name).values
        for year, posting in enumerate(earned):
            age = len(earned) - year  # of the first year that is not settled
            expected += posting * sum(cash.profile[age:])
    scale = float(gross(outcomes).sum())
    np.testing.assert_allclose(unpaid.values, expected, atol=1e-9 + 1e-12 * scale)
