"""M34, the whole chain: every row of its table."""

import pytest
from builders import MSK_ACTUAL, actuals, balanced, msk_toy

import riskshare as rs
from riskshare.bind import bind


@pytest.fixture(scope="module")
def toy():
    case = msk_toy()
    return case, rs.settle(case, actuals(case, MSK_ACTUAL)).isel(year=0, sample=0)


def posting(outcomes, term, partner):
    return float(outcomes.posting.sel(term=f"c.{term}", partner=partner))


def test_capitated_budget_bridge(toy):
    steps = {name: float(v[0]) for name, v in bind(toy[0]).bridges["c.capitated"].items()}
    assert steps == {
        "baseline": 16_800_000,
        "planned changes": -1_800_000,
        "new services": 780_000,
        "stranded support": 900_000,
    }
    assert sum(steps.values()) == 16_680_000


def test_variable_payment(toy):
    assert posting(toy[1], "marginal-rate", "acute") == -168_000


def test_acute_income_before_its_share_of_the_pool(toy):
    terms = ("block", "stranded-support", "marginal-rate")
    assert sum(posting(toy[1], term, "acute") for term in terms) == 15_732_000


def test_commissioner_outlay(toy):
    terms = ("block", "stranded-support", "marginal-rate")
    assert -sum(posting(toy[1], term, "commissioner") for term in terms) == 16_512_000


def test_pool_and_its_shares(toy):
    found = [posting(toy[1], "pool", p) for p in ("acute", "community", "commissioner")]
    assert found == [67_200, 42_000, 58_800 - 168_000]


def test_value_removed_cost_released_and_stranded(toy):
    removed = 8000 * 120 + 300 * 4000
    assert removed == 2_160_000
    assert float(toy[1].cost_released.sum()) == 756_000
    assert float(toy[1].stranded.sum()) == 1_404_000
    assert float(toy[1].lost_contribution.sum()) == 1_404_000  # price equals unit cost here


def test_positions(toy):
    found = [float(toy[1].position.sel(partner=p)) for p in ("acute", "community", "commissioner")]
    assert found == [-244_800, 42_000, 178_800]
    assert float(toy[1].position.sel(partner="external")) == -16_800_000


@pytest.mark.parametrize(("payment", "margin"), [("activity", -1_404_000), ("block", 756_000)])
def test_acute_margin_under_pure_schemes(payment, margin):
    case = msk_toy(payment)
    outcomes = rs.settle(case, actuals(case, MSK_ACTUAL))
    assert outcomes.position.sel(partner="acute").item() == margin
    assert balanced(outcomes)


@pytest.mark.parametrize("payment", ["scheme", "activity", "block"])
def test_partner_changes_sum_to_cost_released_less_triage_cost(payment):
    case = msk_toy(payment)
    outcomes = rs.settle(case, actuals(case, MSK_ACTUAL)).isel(year=0, sample=0)
    # at baseline every partner's position is 0: 16.8m in, 16.8m of acute cost and price
    system = outcomes.position.sel(partner=["commissioner", "acute", "community"]).sum()
    assert float(system) == float(outcomes.cost_released.sum()) - 13_000 * 60 == -24_000


def test_received_paid_and_cost_make_the_position(toy):
    outcomes = toy[1]
    assert ((outcomes.received - outcomes.paid - outcomes.cost - outcomes.position) == 0).all()
    assert (outcomes.received >= 0).all()
    assert (outcomes.paid >= 0).all()
    assert float(outcomes.received.sel(partner="acute")) == 15_000_000 + 900_000 + 67_200
    assert float(outcomes.paid.sel(partner="acute")) == 168_000
    assert float(outcomes.cost.sel(partner="acute")) == 16_800_000 - 756_000
    assert balanced(outcomes)


def test_the_statement_names_payer_and_payee_line_by_line():
    toy = msk_toy()
    outcomes = rs.settle(toy, actuals(toy, MSK_ACTUAL)).isel(year=0)
    rows = {
        (str(term), str(part)): (str(payer), str(payee), float(amount))
        for term, part, payer, payee, amount in zip(
            outcomes.transfer_term.values,
            outcomes.transfer_part.values,
            outcomes.transfer_from.values,
            outcomes.transfer_to.values,
            outcomes.transfer.values,
            strict=True,
        )
    }

    def posting(part):
        return next(row for (term, what), row in rows.items() if (term.split(".")[1], what) == part)

    assert posting(("block", "triage")) == ("commissioner", "community", 780_000.0)
    assert posting(("marginal-rate", "outpatients")) == ("commissioner", "acute", 72_000.0)
    assert posting(("marginal-rate", "inpatients")) == ("commissioner", "acute", -240_000.0)
    payer, payee, shared = posting(("pool", ""))
    assert (payer, shared) == ("commissioner", 168_000.0)
    assert payee == "commissioner 35 %, acute 40 %, community 25 %"
