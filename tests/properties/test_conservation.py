import numpy as np
import pytest
from checking import gross, terms_of, worst
from hypothesis import given, settings
from hypothesis import strategies as st

import riskshare as rs
from riskshare.names import decimals
from riskshare.outcomes import OUTCOMES
from riskshare.testing import FAMILY, cases, experiences


def assert_finite(case, outcomes):
    for name in {*OUTCOMES, "transfer", "closing"} & set(outcomes.data_vars):
        found = outcomes[name]
        if name == "other_position":
            found = found.sel(partner=[p.name for p in case.partners if p.other_position])
        assert np.isfinite(found.values).all(), name


@pytest.mark.parametrize("structure", FAMILY)
@settings(max_examples=4)
@given(data=st.data())
def test_actuals_balance_to_the_penny(structure, data):
    case = data.draw(cases((structure,)))
    outcomes = rs.settle(case, data.draw(experiences(case)))
    assert_finite(case, outcomes)
    units = 10 ** decimals(case.currency)
    posting = (outcomes.posting * units).round()
    assert (posting.sum("partner") == 0).all()
    assert (abs(posting / units - outcomes.posting) <= 1e-15 * abs(outcomes.posting)).all()
    cost = (outcomes.cost * units).round()
    position = posting.sum("term") - cost
    assert ((outcomes.position * units).round() == position).all()
    moved = ((outcomes.received - outcomes.paid - outcomes.cost) * units).round()
    assert (moved == position).all()
    assert (outcomes.received >= 0).all()
    assert (outcomes.paid >= 0).all()
    if "cash" in outcomes:
        paid = (outcomes.cash * units).round() + cost
        assert (paid.sum("partner") == 0).all()
    if "underlying" in outcomes and all(change.recurrent for change in case.changes):
        lasting = [name for name, _, term in terms_of(case) if term.recurrent]
        lasting += [name for name in outcomes.term.values if name.startswith("accounts.")]
        expected = posting.sel(term=lasting).sum("term") - cost
        assert ((outcomes.underlying * units).round() == expected).all()


@pytest.mark.parametrize(
    ("structure", "precision", "tolerance"),
    # the programs differ in precision alone, and each takes seconds to compile
    [(structure, "float64", 1e-12) for structure in FAMILY]
    + [(structure, "float32", 1e-6) for structure in FAMILY[::3]],
)
@settings(max_examples=3)
@given(data=st.data())
def test_draws_balance(structure, precision, tolerance, data):
    case = data.draw(cases((structure,)))
    outcomes = rs.settle(case, data.draw(experiences(case, 512)).astype(precision))
    outcomes = outcomes.astype(np.float64)
    assert_finite(case, outcomes)
    assert worst(outcomes.posting.sum("partner"), outcomes) <= tolerance
    position = outcomes.posting.sum("term") - outcomes.cost
    assert worst(outcomes.position - position, outcomes) <= tolerance
    moved = outcomes.received - outcomes.paid - outcomes.cost
    assert worst(outcomes.position - moved, outcomes) <= tolerance
    assert (outcomes.received >= 0).all()
    assert (outcomes.paid >= 0).all()
    if "cash" in outcomes:
        late = (outcomes.cash + outcomes.cost).sum("partner") / gross(outcomes).cumsum("year")
        assert float(abs(late).max()) <= tolerance
