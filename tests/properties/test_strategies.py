import dataclasses
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import riskshare as rs
from riskshare.bind import bind
from riskshare.checks.given import literals
from riskshare.contract.term import TERMS
from riskshare.parameters import Parameter, fields_of
from riskshare.testing import FAMILY, STRATEGIES, cases, count_traces, experiences

OWN = {"account-close"}
"""Kinds that no contract lists: a pool account makes its own."""


def test_every_kind_of_term_has_a_strategy():
    assert set(STRATEGIES) == set(TERMS) - OWN


def given_fields(node, seen):
    for info in fields_of(type(node)):
        value = getattr(node, info.name)
        words = seen.setdefault((type(node).__name__, info.name), set())
        words.add(value if literals(info.type) else value not in (None, (), ""))
        for item in value if isinstance(value, tuple) else (value,):
            if dataclasses.is_dataclass(item):
                given_fields(item, seen)


@settings(max_examples=5)
@given(data=st.data())
def test_the_family_holds_every_option_of_every_term(data):
    seen = {}
    for structure in FAMILY:
        for contract in data.draw(cases((structure,))).contracts:
            for term in contract.terms:
                given_fields(term, seen)
    for kind in STRATEGIES:
        for info in fields_of(TERMS[kind]):
            derived = isinstance(info.declaration, Parameter) and info.declaration.derived
            if info.name in ("name", "phase", "residue") or derived:
                continue
            words = set(literals(info.type)) or {True}
            if info.default is None and not info.required and not literals(info.type):
                words |= {False}
            assert words <= seen[TERMS[kind].__name__, info.name], (kind, info.name)


@pytest.mark.parametrize("structure", FAMILY)
@settings(max_examples=4)
@given(data=st.data())
def test_cases_of_one_structure_share_a_kernel(structure, data):
    first, second = data.draw(cases((structure,))), data.draw(cases((structure,)))
    assert bind(first).structure == bind(second).structure
    experience = data.draw(experiences(first))
    rs.settle(first, experience)
    with count_traces() as traced:
        rs.settle(second, data.draw(experiences(second)))
    assert traced == []


def test_without_hypothesis_the_extra_is_named():
    code = "import sys; sys.modules['hypothesis'] = None; import riskshare.testing"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode != 0
    assert "pip install riskshare[testing]" in result.stderr
