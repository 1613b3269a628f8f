import dataclasses

import jax
import numpy as np
import pytest
from builders import case as small
from builders import line
from hypothesis import given, settings
from hypothesis import strategies as st

import riskshare as rs
from riskshare.bind import bind
from riskshare.testing import FAMILY, cases


def assert_same_numbers(left, right):
    assert left.numbers() == right.numbers()
    a, b = bind(left), bind(right)
    assert a.structure == b.structure
    assert jax.tree.structure(a.numbers) == jax.tree.structure(b.numbers)
    jax.tree.map(np.testing.assert_array_equal, a.numbers, b.numbers)


@pytest.mark.parametrize("structure", FAMILY)
@settings(max_examples=3)
@given(data=st.data())
def test_numbers_put_back_change_nothing(structure, data):
    case = data.draw(cases((structure,)))
    numbers = case.numbers()
    assert_same_numbers(case, case.with_numbers(numbers))
    for path in data.draw(st.lists(st.sampled_from(sorted(numbers)), max_size=6, unique=True)):
        assert_same_numbers(case, case.with_numbers({path: case.number(path)}))


@pytest.mark.parametrize("structure", FAMILY[:3])
@settings(max_examples=3)
@given(data=st.data())
def test_an_unknown_path_names_the_nearest(structure, data):
    case = data.draw(cases((structure,)))
    path = data.draw(st.sampled_from([p for p in sorted(case.numbers()) if not p.endswith("]")]))
    wrong = path[:-1] + "x"
    with pytest.raises(rs.ArgumentError, match=r"did you mean .*") as error:
        case.number(wrong)
    assert path in str(error.value)
    with pytest.raises(rs.ArgumentError, match="did you mean"):
        case.with_numbers({wrong: 1.0})
    with pytest.raises(rs.ArgumentError, match="no label"):
        case.with_numbers({"lines.outpatients.price[nowhere]": 1.0})


def released(values):
    behaviour = rs.CostBehaviour(
        variable=0.2, semi_fixed=0.3, fixed=0.5, released=rs.Released(fixed=values)
    )
    return small([line(cost=behaviour)], count=2)


@pytest.mark.parametrize("values", [[0.1], [0.0, 0.1], [0.0, 0.1, 0.25, 0.5]])
def test_each_number_of_a_release_profile_has_a_path(values):
    case = released(values)
    for path, value in case.numbers().items():
        assert_same_numbers(case, case.with_numbers({path: value}))


def test_each_end_of_an_interval_has_a_path():
    driver = rs.Driver(name="demand", acts_on="activity", interval=[0.9, 1.2])
    case = small(drivers=[driver])
    wider = case.with_numbers({"drivers.demand.interval[90%]": 1.3})
    assert bind(wider).plan.view is not None
    assert wider.number("drivers.demand.interval[10%]") == 0.9
    assert wider.number("drivers.demand.interval[90%]") == 1.3


def test_a_label_of_another_axis_broadens_a_list_by_year():
    terms = [rs.Block(), rs.MarginalRate(rate=[0.3, 0.4])]
    case = small([line("a"), line("b")], terms, count=2)
    rates = bind(case.with_numbers({"c.marginal-rate.rate[a]": 0.5}))
    found = rates.numbers.yearly.terms[1].term.rate
    np.testing.assert_array_equal(found[:, :, 0], [[0.5, 0.3], [0.5, 0.4]])


def test_a_label_of_a_year_changes_that_year_alone():
    case = small([line(price=[2000.0, 2100.0])], count=2)
    changed = case.with_numbers({"lines.spells.price[2018/19]": 1.0})
    np.testing.assert_array_equal(bind(changed).plan.view.price[:, 0], [1.0, 2100.0])


def test_a_label_of_a_term_of_some_lines_stays_within_them():
    """A rate that holds for the lines of its term, set for one of them."""
    lines = [line("a"), line("b"), line("c")]
    of = small(
        lines, [rs.ActivityPayment(lines=["c"]), rs.MarginalRate(lines=["a", "b"], rate=0.5)]
    )
    moved = of.with_numbers({"c.marginal-rate.rate[a]": 0.3})
    assert moved.numbers()["c.marginal-rate.rate[a]"] == 0.3
    assert moved.numbers()["c.marginal-rate.rate[b]"] == 0.5


LEFT_OUT = {
    "msk.pool.rate": 0.5,
    "deflator": 0.01,
    "msk.marginal-rate.rate[inpatients,up]": 0.6,
}


@pytest.mark.parametrize("path", LEFT_OUT)
def test_a_number_may_be_given_that_the_file_left_out(path):
    """As if it stood in the file: the object is built with it, field by field."""
    case = rs.load_case("msk-toy")
    assert path not in case.numbers()
    found = case.with_numbers({path: LEFT_OUT[path]})
    assert found.number(path) == LEFT_OUT[path]
    stays = {p: v for p, v in case.numbers().items() if not p.startswith(path.partition("[")[0])}
    assert stays.items() <= found.numbers().items()


def test_a_line_of_a_limited_contract_broadens_over_its_scope_alone():
    """Both lines are the case's, one is the contract's: the other has no rate to broaden to."""
    lines = [line("a"), line("b")]
    terms = [rs.Block(), rs.MarginalRate(rate=0.3)]
    whole = small(lines, terms, count=2)
    limited = dataclasses.replace(
        whole, contracts=(dataclasses.replace(whole.contracts[0], lines=("a",)),)
    )
    found = limited.with_numbers({"c.marginal-rate.rate[a]": 0.5})
    (rate,) = [t.rate for t in found.contracts[0].terms if t.kind == "marginal-rate"]
    assert dict(rate) == {"a": 0.5}
    with pytest.raises(rs.ArgumentError, match=r"no label 'b' there; .*accepted: .*\ba\b"):
        limited.with_numbers({"c.marginal-rate.rate[b]": 0.5})


def test_what_a_term_holds_has_the_lines_of_the_term():
    """A break-glass rate stands in an object of its own, inside a term on one line of two."""
    inner = rs.BreakGlass(threshold=0.1, rate=0.2, reading="excess-only")
    terms = [rs.Block(), rs.MarginalRate(lines=["a"], rate=0.3, break_glass=inner)]
    case = small([line("a"), line("b")], terms)
    path = "c.marginal-rate.break_glass.threshold"
    assert case.with_numbers({f"{path}[a]": 0.2}).number(f"{path}[a]") == 0.2
    with pytest.raises(rs.ArgumentError, match="no label 'b' there"):
        case.with_numbers({f"{path}[b]": 0.2})


def test_all_that_is_set_stands_at_once():
    case = rs.load_case("msk-toy")
    found = case.with_numbers({"msk.pool.share[acute]": 0.45, "msk.pool.share[community]": 0.2})
    assert found.number("msk.pool.share[community]") == 0.2
    with pytest.raises(rs.CaseError, match=r"sum to 1\.05"):
        case.with_numbers({"msk.pool.share[acute]": 0.45})


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("msk.pool.rat", 0.5, r"nothing in the case has that path; did you mean msk\.pool\.rate"),
        ("msk.pool.key", 0.5, r"msk\.pool\.key is no number"),
        ("msk.pool.share[acut]", 0.5, r"no label 'acut' there; did you mean acute\?"),
        ("lines.outpatients.growth[2031]", 0.5, r"no label '2031' there; .*2018/19"),
        ("msk.pool.rate", "half", "msk.pool.rate: found 'half'; accepted: a number"),
        ("msk.pool.planned", 0.5, "nothing in the case has that path"),
    ],
)
def test_a_mistake_names_the_path_and_the_nearest(path, value, told):
    with pytest.raises(rs.ArgumentError, match=told):
        rs.load_case("msk-toy").with_numbers({path: value})
