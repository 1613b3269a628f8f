"""A term that holds for no part of a year is no term."""

import dataclasses
import random

import pytest
from checking import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st

import riskshare as rs
from riskshare.testing import FAMILY, cases, experiences

NAMING = ("against", "contributions", "of", "revenue")
"""Fields by which terms name others."""


def named(contract):
    """Terms that others, or budgets, name."""
    found = {budget.stranded_support for budget in contract.budgets}
    for term in contract.terms:
        for field in NAMING:
            names = getattr(term, field, ())
            found |= set(names) if isinstance(names, tuple) else set()
        found |= set(term.cash.of) if term.cash is not None else set()
        paid = getattr(term, "paid_in", None)  # a budget, which some term must pay
        found |= {t.label for t in contract.terms if paid and getattr(t, "budget", None) == paid}
    return found


def without(case, contract, label):
    terms = tuple(term for term in contract.terms if term.label != label)
    return replaced(case, dataclasses.replace(contract, terms=terms))


def replaced(case, contract):
    others = [contract if c.name == contract.name else c for c in case.contracts]
    return dataclasses.replace(case, contracts=tuple(others))


@pytest.mark.parametrize("structure", FAMILY[1::3])
@settings(max_examples=3)
@given(data=st.data())
def test_a_term_out_of_force_is_no_term(structure, data):
    case = data.draw(cases((structure,)))
    contract = case.contracts[-1]
    free = [term for term in contract.terms if term.label not in named(contract)]
    term = random.Random(structure).choice(free)  # the same in all examples
    off = dataclasses.replace(term, in_force=0.0)
    terms = tuple(off if other is term else other for other in contract.terms)
    drawn = data.draw(experiences(case, 64))
    left = rs.settle(without(case, contract, term.label), drawn)
    right = rs.settle(replaced(case, dataclasses.replace(contract, terms=terms)), drawn)
    assert (right.posting.sel(term=f"{contract.name}.{term.label}") == 0).all()
    assert_same(left, right)
