"""No term pays beyond the limits it states, on the base it states, whatever stands around it."""

import numpy as np
import pytest
from checking import gross, holds, stated, terms_of
from hypothesis import given, settings
from hypothesis import strategies as st

import riskshare as rs
from riskshare.bind import bind
from riskshare.testing import FAMILY, cases, experiences

PARTNER = ["partner"]


def at_most(value, limit):
    """The smaller of the two where the limit is stated."""
    return np.where(np.isnan(limit), value, np.minimum(value, limit))


def bounds(case, contract, term):
    """Lowest and highest posting by year and partner, (year, partner, 1), in a whole year."""
    shape = (len(case.years), len(case.partners), 1)
    partners = case.labels()["partner"]
    low, high = np.full(shape, -np.inf), np.full(shape, np.inf)

    def number(name, axes=(), node=term):
        return stated(case, contract, term, node, name, axes)

    def between(to, from_, least, most):
        """An amount moves between two partners."""
        for name in partners:
            signs = (name == to) - (name == from_)
            ends = sorted((signs * least, signs * most), key=np.sum)
            low[:, partners.index(name)], high[:, partners.index(name)] = ends

    if term.kind == "performance-payment":
        between(term.to, term.from_, 0 * number("amount"), number("amount"))
    elif term.kind == "invest-to-save" and term.floor is not None:
        least = number("floor") * number("investment")
        low[:, partners.index(term.to)] = least
        high[:, partners.index(term.from_)] = -least
    elif term.kind == "stop-loss":
        low[:, partners.index(term.to)] = -number("premium")
        high[:, partners.index(term.from_)] = number("premium")
    elif term.kind == "deficit-support":
        most = at_most(np.inf, number("limit", PARTNER))
        low, high = np.zeros(shape), np.where(number("share", PARTNER) > 0, most, 0.0)
        low[:, partners.index(term.from_)] = -np.inf
    elif term.kind == "surplus-return":
        low, high = np.where(number("share", PARTNER) > 0, low, 0.0), np.zeros(shape)
        high[:, partners.index(term.to)] = np.inf
    elif term.kind == "control-total-funding":
        low, high = np.zeros(shape), number("amount", PARTNER)
        high = high + np.nan_to_num(number("bonus_limit", PARTNER))
        low[:, partners.index(term.from_)] = -high.sum(1)
    elif term.kind == "levy":
        turnover = [stated(case, contract, term, partner, "turnover") for partner in case.partners]
        low = -number("rate", PARTNER) * np.nan_to_num(np.stack(turnover, axis=1))
        high = low.copy()
        to = partners.index(term.to)
        low[:, to] = high[:, to] = low[:, to] - low.sum(1)
    elif term.kind == "marginal-rate" and None not in (term.cap, term.collar):
        low, high = marginal(case, contract, term)
    elif term.kind == "pool":
        low, high = pool(case, contract, term, low, high)
    return low, high


def marginal(case, contract, term):
    """Cap and collar of each line go to its deliverer, and against its payer."""
    view, world = bind(case).plan.view, bind(case).numbers.world
    names = case.labels()["line"]
    lines = [names.index(name) for name in term.lines or case.scope_lines(contract)]
    base = stated(case, contract, term, term, "base", ["line"])[..., 0]
    base = np.where(np.isnan(base), (view.plan * view.price)[:, lines], base)
    cap, collar = (
        stated(case, contract, term, term, name, ["line"])[..., 0] * base
        for name in ("cap", "collar")
    )
    if term.per == "total":
        whole = base.sum(1, keepdims=True)
        if term.fund is not None:
            whole = stated(case, contract, term, term, "fund")
        # the sum is shared over lines, so each gets no more than all of it
        cap, collar = (
            stated(case, contract, term, term, name, ["line"])[..., 0] * whole
            for name in ("cap", "collar")
        )
    to, from_ = world.deliverer[:, lines], world.payer[:, lines]
    low, high = -(collar @ to.T + cap @ from_.T), cap @ to.T + collar @ from_.T
    return low[..., None], high[..., None]


def pool(case, contract, term, low, high):
    """A partner's maximum, and caps whose base is money that the contract states."""
    others = np.array([p.name not in (term.holder, term.taker) for p in case.partners])[:, None]
    if term.maximum is not None:
        most = stated(case, contract, term, term, "maximum", PARTNER)
        high = np.where(others, most, high)
    revenue = [cap for cap in term.caps if cap.of == "revenue" and cap.applies == "after-share"]
    if term.period == "year" and term.key != "influence":
        for cap in revenue:
            limit = stated(case, contract, term, cap, "limit", ["outcome"]).max(1)
            most = limit * stated(case, contract, term, cap, "revenue")
            high = np.where(others, np.minimum(high, most[:, None]), high)
    return -high if np.isfinite(high).any() else low, high


@pytest.mark.parametrize("structure", FAMILY)
@settings(max_examples=4)
@given(data=st.data())
def test_no_term_pays_beyond_its_limits(structure, data):
    case = data.draw(cases((structure,)))
    outcomes = rs.settle(case, data.draw(experiences(case, 256)))
    slack = 1e-9 + 1e-12 * gross(outcomes).transpose("year", "sample").values[:, None]
    for name, contract, term in terms_of(case):
        low, high = bounds(case, contract, term)
        part = holds(case, contract, term)[:, None]
        with np.errstate(invalid="ignore"):  # no limit stays none in a part of a year
            low, high = (np.where(np.isinf(end), end, end * part) for end in (low, high))
        posting = outcomes.posting.sel(term=name).transpose("year", "partner", "sample").values
        assert np.all(posting >= low - slack), name
        assert np.all(posting <= high + slack), name
