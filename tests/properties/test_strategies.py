import dataclasses
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import riskshare as rs
from riskshare.bind import bind
from riskshare.checks.given import literals
from riskshare.contract.term import TERMS, AbstractTerm
from riskshare.parameters import Parameter, fields_of
from riskshare.testing import FAMILY, STRATEGIES, cases, count_traces, experiences

NOT_DRAWN = {("Pool", "key"): {"conditional-mean"}}
"""Words that no case holds: a key that needs a run of its own first."""

COMMON = {info.name for info in fields_of(AbstractTerm)}


def test_every_kind_of_term_has_a_strategy():
    assert set(STRATEGIES) == set(TERMS)


def options(node, seen):
    """Note the words, and what is given and what is left out, of an object and all it holds."""
    for info in fields_of(type(node)):
        common = isinstance(node, AbstractTerm) and info.name in COMMON
        value = getattr(node, info.name)
        words = seen.setdefault(AbstractTerm if common else type(node), {})
        chosen = literals(info.type) or info.type is bool
        words.setdefault(info.name, set()).add(value if chosen else value not in (None, (), ""))
        for item in value if isinstance(value, tuple) else (value,):
            if dataclasses.is_dataclass(item):
                options(item, seen)


def wanted(info):
    """The words of a field, or whether it is given: both, where it may be left out."""
    if info.type is bool:
        return {True, False}
    words = set(literals(info.type)) or {True}
    optional = info.default is None and not info.required
    return words | ({False} if optional and not literals(info.type) else set())


def test_the_family_holds_every_option_of_every_term():
    seen = {}
    for structure in FAMILY:

        @settings(max_examples=8, suppress_health_check=list(HealthCheck))
        @given(case=cases((structure,)))
        def look(case):
            for partner in case.partners:
                options(partner, seen)
            for contract in case.contracts:
                for node in (*contract.budgets, *contract.terms):
                    options(node, seen)

        look()
    gaps = []
    assert {cls for cls in seen if issubclass(cls, AbstractTerm)} == {AbstractTerm, *TERMS.values()}
    for cls, fields in seen.items():
        for info in fields_of(cls):
            derived = isinstance(info.declaration, Parameter) and info.declaration.derived
            if info.name not in fields or derived or info.type is str:
                continue
            gap = wanted(info) - fields[info.name] - NOT_DRAWN.get((cls.__name__, info.name), set())
            gaps += [(cls.__name__, info.name, gap)] if gap else []
    assert not gaps


@pytest.mark.parametrize("structure", FAMILY)
@settings(max_examples=2)
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
