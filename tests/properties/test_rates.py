import numpy as np
import pytest
import xarray as xr
from builders import PAYER, PROVIDER, case, line
from hypothesis import given, settings
from hypothesis import strategies as st

import riskshare as rs

LINES = [line("a", price=1000.0), line("b", baseline=4000, price=3000.0)]
EPS = 1e-9


def draws(of, activity):
    """Draws (year, line, sample) of activity alone."""
    activity = np.asarray(activity, np.float64)
    coords = {"year": list(of.labels()["year"]), "line": list(of.labels()["line"])}
    return xr.Dataset({"activity": (("year", "line", "sample"), activity)}, coords)


def volumes(samples=64):
    values = st.integers(0, 20_000).map(float)
    return st.lists(st.tuples(values, values), min_size=1, max_size=samples).map(
        lambda rows: np.array(rows).T[None]
    )


def posted(outcomes, *terms):
    return outcomes.posting.sel(term=[f"c.{term}" for term in terms]).sum("term").values


@pytest.mark.parametrize("per", ["line", "total"])
@settings(max_examples=8)
@given(activity=volumes())
def test_a_marginal_rate_of_zero_leaves_the_block(per, activity):
    of = case(LINES, [rs.Block(), rs.MarginalRate(rate=0.0, per=per)])
    outcomes = rs.settle(of, draws(of, activity))
    np.testing.assert_array_equal(posted(outcomes, "marginal-rate"), 0)


@pytest.mark.parametrize("per", ["line", "total"])
@settings(max_examples=8)
@given(activity=volumes())
def test_block_and_a_marginal_rate_of_one_are_payment_by_activity(per, activity):
    terms = [rs.Block(), rs.MarginalRate(rate=1.0, per=per), rs.ActivityPayment()]
    of = case(LINES, terms)
    outcomes = rs.settle(of, draws(of, activity))
    both, paid = posted(outcomes, "block", "marginal-rate"), posted(outcomes, "activity-payment")
    np.testing.assert_allclose(both, paid, rtol=1e-12, atol=1e-6)


@pytest.mark.parametrize("per", ["line", "total"])
@settings(max_examples=8)
@given(activity=volumes())
def test_a_marginal_rate_of_one_from_nothing_is_payment_by_activity(per, activity):
    of = case(LINES, [rs.MarginalRate(rate=1.0, base=0.0, per=per), rs.ActivityPayment()])
    outcomes = rs.settle(of, draws(of, activity))
    marginal, paid = posted(outcomes, "marginal-rate"), posted(outcomes, "activity-payment")
    np.testing.assert_allclose(marginal, paid, rtol=1e-12, atol=1e-6)


def test_lines_without_plan_settle_over_their_sum():
    empty = [line("a", plan=0.0), line("b", plan=0.0)]
    of = case(empty, [rs.MarginalRate(rate=0.5, per="total")])
    outcomes = rs.settle(of, draws(of, np.zeros((1, 2, 1))))
    np.testing.assert_array_equal(posted(outcomes, "marginal-rate"), 0)


def rates(top=1.0):
    return st.fixed_dictionaries(
        {
            "up": st.integers(0, 100).map(lambda i: i * top / 100),
            "down": st.integers(0, 100).map(lambda i: i * top / 100),
        }
    )


def edges(place):
    return st.integers(0, 4).map(lambda i: place * 0.05 + i / 100)


@st.composite
def marginal(draw, banded, reading, per, limited):
    """A marginal rate and the largest rate in it."""
    bands = [rs.Band(beyond=draw(edges(i)), rate=draw(rates())) for i in range(3)]
    rate, glass = draw(rates()), draw(rates())
    term = rs.MarginalRate(
        rate=None if banded else rate,
        tolerance=None if banded else draw(edges(0)),
        bands=bands if banded else (),
        break_glass=rs.BreakGlass(threshold=draw(edges(4)), rate=glass, reading=reading)
        if reading
        else None,
        cap=draw(edges(2)) if limited else None,
        collar=draw(edges(1)) if limited else None,
        per=per,
    )
    used = [band.rate for band in bands] if banded else [rate]
    used += [glass] if reading else []
    return term, max(max(given.values()) for given in used)


STEPS = 4000


def scan(of, span=2.0):
    """Outcomes as activity of the first line rises from nothing; and the step in its value."""
    rising = np.linspace(0, 10_000 * span, STEPS)
    outcomes = rs.settle(of, draws(of, np.stack([rising, np.full(STEPS, 4000.0)])[None]))
    return outcomes, 1000.0 * (rising[1] - rising[0])


@pytest.mark.parametrize(
    ("banded", "reading", "per", "limited"),
    [
        (True, None, "line", True),
        (True, "excess-only", "total", False),
        (False, "excess-only", "line", False),
        (False, None, "total", True),
    ],
)
@settings(max_examples=12)
@given(data=st.data())
def test_marginal_rates_rise_without_a_jump(banded, reading, per, limited, data):
    term, largest = data.draw(marginal(banded, reading, per, limited))
    outcomes, step = scan(case(LINES, [rs.Block(), term]))
    income = outcomes.posting.sel(partner=PROVIDER).sum("term").isel(year=0).values
    rise = np.diff(income)
    assert rise.min() >= -EPS * step
    assert rise.max() <= largest * step * (1 + EPS) + EPS * income.max()


@settings(max_examples=12)
@given(data=st.data())
def test_a_whole_deviation_glass_jumps_at_its_threshold_alone(data):
    term, largest = data.draw(marginal(False, "whole-deviation", "line", False))
    outcomes, step = scan(case(LINES, [rs.Block(), term]))
    income = outcomes.posting.sel(partner=PROVIDER).sum("term").isel(year=0).values
    jumps = np.flatnonzero(
        np.abs(np.diff(income)) > largest * step * (1 + EPS) + EPS * income.max()
    )
    value = 1000.0 * np.linspace(0, 20_000, STEPS)
    at = np.array([1 - term.break_glass.threshold, 1 + term.break_glass.threshold]) * 1e7
    for jump in jumps:
        assert np.min(np.abs(at - (value[jump] + value[jump + 1]) / 2)) <= step


@pytest.mark.parametrize(("corridors", "capped", "split"), [(3, True, False), (2, False, True)])
@settings(max_examples=12)
@given(data=st.data())
def test_a_pool_with_corridors_moves_without_a_jump(corridors, capped, split, data):
    term, largest = data.draw(marginal(True, None, "line", False))

    def share():
        first = data.draw(st.integers(0, 100)) / 100
        return {PAYER: first, PROVIDER: 1 - first}

    sizes = st.integers(0, 100).map(lambda i: i / 100)
    sides = st.fixed_dictionaries({"gain": sizes, "loss": sizes})
    bands = [
        rs.Corridor(beyond=data.draw(edges(i)), rate=data.draw(sides)) for i in range(corridors)
    ]
    cap = data.draw(sides) if capped else None
    pool = rs.Pool(
        budget="target",
        against=["block", "marginal-rate"],
        holder=PAYER,
        key="fixed",
        share=share(),
        loss_share=share() if split else None,
        corridors=bands,
        caps=[rs.Cap(limit=cap, of="budget", applies="after-share")] if capped else [],
    )
    of = case(LINES, [rs.Block(), term, pool], budgets=[rs.Budget(name="target")])
    outcomes, step = scan(of)
    posting = outcomes.posting.sel(term="c.pool", partner=PROVIDER).isel(year=0).values
    fall = -np.diff(posting)
    steepest = largest * max(max(corridor.rate.values()) for corridor in bands)
    scale = EPS * 2.2e7
    assert fall.min() >= -scale
    assert fall.max() <= steepest * step + scale
    if cap is not None:
        budget = 2.2e7
        assert posting.max() <= cap["gain"] * budget + scale
        assert posting.min() >= -cap["loss"] * budget - scale


@pytest.mark.parametrize(("per", "fund"), [("line", None), ("total", None), ("total", 1e6)])
@settings(max_examples=12)
@given(activity=volumes(8), caps=st.tuples(edges(1), edges(1)))
def test_caps_and_collars_hold_on_their_base(per, fund, activity, caps):
    term = rs.MarginalRate(rate=1.0, cap=caps[0], collar=caps[1], per=per, fund=fund)
    of = case(LINES, [term])
    outcomes = rs.settle(of, draws(of, activity))
    paid = outcomes.posting.sel(term="c.marginal-rate", partner=PROVIDER).values
    base = 10_000 * 1000.0 + 4000 * 3000.0 if fund is None else fund
    assert paid.max() <= caps[0] * base * (1 + EPS)
    assert paid.min() >= -caps[1] * base * (1 + EPS)
