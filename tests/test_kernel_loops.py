"""Kernels keep their numbers whatever is kept of them: XLA once overwrote what loops shared."""

import numpy as np
import pytest
from builders import PAYER, partner, years

import riskshare as rs
from riskshare.laws import Lognormal


def three_lines():
    """Three years of a counted line, one with a capacity and one of protected people."""
    common = {"payer": PAYER}
    step = rs.CostBehaviour(
        variable=0.5, semi_fixed=0.3, fixed=0.2, released=rs.Released(semi_fixed=[0.5, 1.0])
    )
    lines = [
        rs.Line(
            name="urgent", deliverer="trust", baseline=150_000, unit_cost=180.0, price=185.0,
            loadings={"price": 1.0},
            noise=rs.Noise(law="negative-binomial", overdispersion=0.0005), cost=step, **common,
        ),
        rs.Line(
            name="hips", deliverer="trust", baseline=1200, growth=0.02, unit_cost=7000.0,
            price=7200.0, loadings={"price": 1.0}, noise=rs.Noise(law="poisson"),
            capacity=rs.Capacity(units=[1200.0, 1240.0, 1300.0], waiting=300.0, leaving=0.1),
            **common,
        ),
        rs.Line(
            name="rare", deliverer="centre", baseline=200, unit_cost=20_000.0, price=20_000.0,
            loadings={"price": 1.0}, noise=rs.Noise(law="poisson"),
            people=rs.People(law=Lognormal(cv=1.5)), **common,
        ),
    ]  # fmt: skip
    acute = [
        rs.Funding(from_="external", to=PAYER, amount=[42e6, 43e6, 44e6]),
        rs.Block(),
        rs.MarginalRate(rate={"up": 0.5, "down": 0.3}, tolerance=0.02),
    ]
    cover = rs.StopLoss(
        from_="external", to=PAYER, attachment=1e5, coinsurance=0.9, premium=280_000.0
    )
    return rs.Case(
        name="loops",
        years=years(3),
        partners=[
            partner(PAYER, PAYER),
            partner("trust"),
            partner("centre"),
            partner("external", "external"),
        ],
        drivers=[rs.Driver(name="price", acts_on="unit_cost", law="normal", sd=0.03)],
        lines=lines,
        contracts=[
            rs.Contract(name="acute", lines=["urgent", "hips"], terms=acute),
            rs.Contract(name="specialised", lines=["rare"], terms=[rs.CostReimbursement(), cover]),
        ],
    )


@pytest.fixture(scope="module", params=["soon", "fast"])
def whole(request):
    """The case, its draws and everything that comes of them; kernels compiled in either way."""
    of = three_lines()
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "fast":
            patch.setattr("riskshare.run.simulate.SHORT", 0)
        yield of, rs.draw(of, samples=4096, seed=1), rs.simulate(of, samples=4096, seed=1)


@pytest.mark.parametrize("name", ["position", "received", "cash", "underlying", "cost"])
def test_what_is_kept_does_not_depend_on_what_else_is(whole, name):
    of, draws, everything = whole
    kept = rs.simulate(of, samples=4096, seed=1, keep=[name])[name]
    settled = rs.settle(of, draws, keep=[name])[name]
    expected = everything.get(name, kept)
    np.testing.assert_allclose(kept, expected, rtol=1e-6, atol=10)
    np.testing.assert_allclose(settled, expected, rtol=1e-6, atol=10)


def test_a_program_inside_another_keeps_its_numbers(whole):
    import jax

    of, _, everything = whole
    program = rs.compile(of, keep=["position"])
    stream = program.stream(4096, seed=1)
    position = jax.jit(lambda p: program.simulate(p, stream)["position"])({})
    np.testing.assert_allclose(position, everything.position, rtol=1e-6, atol=10)
