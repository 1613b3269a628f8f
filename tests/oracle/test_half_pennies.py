"""Amounts that end in half a penny, against decimal arithmetic.

Whole activity, prices in pence and rates of one or two digits make many of them, and few are
halves as floats: which side of it each lies on depends on how the program was compiled.
"""

from decimal import ROUND_HALF_EVEN, Decimal

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from builders import actuals, balanced, case, line, paid

import riskshare as rs
from riskshare.contract.pennies import whole
from riskshare.run.precision import computing_in

PRICES = {"outpatients": "185.37", "inpatients": "6021.13", "triage": "7.49"}
PLAN = {"outpatients": 30_000, "inpatients": 2_850}
RATES = {"outpatients": "0.30", "inpatients": "0.40"}
FOUND = ((38215, 2796, 1094), (39575, 2923, 995), (37395, 2991, 975))
"""Activity of each line where what was posted and what was moved were a penny apart."""


def pence(amount):
    return amount.quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN)


def marginal(activity):
    """Transfers of the marginal rate by line."""
    return [
        pence(Decimal(RATES[name]) * Decimal(PRICES[name]) * (int(done) - PLAN[name]))
        for name, done in zip(PLAN, activity, strict=False)
    ]


@pytest.fixture(scope="module")
def toy():
    return rs.load_case("msk-toy").with_numbers(
        {f"lines.{name}.price": float(price) for name, price in PRICES.items()}
    )


def several():
    rng = np.random.default_rng(3)
    drawn = rng.integers([30_000, 2_700, 900], [40_000, 3_100, 1_200], size=(40, 3))
    return [*FOUND, *drawn.tolist()]


def test_there_are_halves_among_them():
    exact = [Decimal("0.30") * Decimal("185.37") * (int(a) - 30_000) for a, *_ in several()]
    assert sum(one * 100 % 1 == Decimal("0.5") for one in exact) >= 3


@pytest.mark.parametrize("given", several())
def test_what_is_moved_and_posted_is_what_decimals_give(toy, given):
    outcomes = rs.settle(toy, actuals(toy, given))
    wanted = marginal(given)
    own = outcomes.transfer.isel(year=0)
    own = own.sel(transfer=own.transfer_term == "msk.marginal-rate")
    assert [Decimal(f"{one:.2f}") for one in own.values.ravel()] == wanted
    posted = outcomes.posting.sel(term="msk.marginal-rate", partner="acute").item()
    assert Decimal(f"{posted:.2f}") == sum(wanted)
    assert balanced(outcomes)
    rs.statement(toy, outcomes)


def test_contracts_settled_together_have_the_pennies_of_each_alone(toy):
    each = [actuals(toy, given) for given in several()]
    together = rs.settle(toy, xr.concat(each, "contract"))
    alone = xr.concat([rs.settle(toy, one)["posting"] for one in each], "contract")
    np.testing.assert_array_equal(
        together.posting.transpose(*alone.dims).values.round(2), alone.values.round(2)
    )


@pytest.mark.parametrize("share", ["0.5", "0.35", "0.07", "0.15"])
def test_shares_of_pence_are_rounded_as_decimals_are(share):
    of = case([line(price=0.01)], [rs.ActivityPayment(share=float(share))])
    for activity in (50, 70, 90, 130, 150, 10_050, 12_345_670):
        wanted = pence(Decimal(share) * Decimal("0.01") * activity)
        found = paid(rs.settle(of, actuals(of, activity)), "activity-payment")
        assert Decimal(f"{found:.2f}") == wanted


def test_a_half_is_known_through_the_noise_of_floats_and_nothing_else_is_taken_for_one():
    with computing_in(np.float64):
        units = jnp.asarray(
            [2.5, 2.5 - 3e-7, 2.5 + 3e-7, 3.5 - 3e-7, -2.5 + 3e-7, 2.5 + 1e-5, 3.5 - 1e-5, 3 - 1e-9]
        )
        assert whole(units).tolist() == [2, 2, 2, 4, -2, 3, 3, 3]
        large = jnp.asarray([1e12 + 0.5, np.nextafter(1e12 + 0.5, 2e12), 1e12 + 0.51])
        assert whole(large).tolist() == [1e12, 1e12, 1e12 + 1]
