"""The usual contracts of a system: block, activity, blended, capitated, pooled."""

import pytest
from builders import MSK_ACTUAL, PAYER, PROVIDER, actuals, case, line

import riskshare as rs
from riskshare.analysis.systems import differing


@pytest.fixture(scope="module")
def toy():
    return rs.load_case("msk-toy")


NAMES = ["block", "activity", "blended", "capitated", "pooled"]
HOSTS = {"shared-savings-aco": "aco", "reach-aco": "aco"}


@pytest.mark.parametrize("name", rs.case_names())
def test_every_bundled_case_has_its_five_versions(name):
    of = rs.load_case(name)
    if name in HOSTS:
        with pytest.raises(rs.ArgumentError, match="host='aco'"):
            rs.variants(of)
    versions = rs.variants(of, host=HOSTS.get(name))
    assert list(versions) == NAMES
    for version in versions.values():
        assert differing(of, version) == ()


def received(of, activity):
    """What each partner is paid in all for what happened, allocations apart."""
    outcome = rs.settle(of, actuals(of, activity, drivers=None))
    own = [term for term in outcome.term.values if not str(term).endswith(".funding")]
    total = outcome.posting.sel(term=own).sum("term").isel(year=0, sample=0)
    return {str(name): float(total.sel(partner=name)) for name in total.partner.values}


def test_versions_pay_the_same_when_all_goes_to_plan(toy):
    paid = {name: received(of, [30_000, 2850, 13_000]) for name, of in rs.variants(toy).items()}
    for found in paid.values():
        assert found == {
            "commissioner": -15_780_000.0,
            "acute": 15_000_000.0,
            "community": 780_000.0,
            "external": 0.0,
        }


def test_versions_pay_what_was_worked_out_by_hand_off_plan(toy):
    """32,000 attendances at 120, 2,700 spells at 4,000 and 13,000 patients at 60.

    Activity is worth 3.84 + 10.80 = 14.64m to the hospital, plan 15.00m; of 15.78m in all, 15.42m
    are spent, and of the 0.36m left half is shared, 15.00 / 15.78 of it to the hospital.
    """
    acute = {
        name: received(of, MSK_ACTUAL)["acute"]
        for name, of in rs.variants(toy, marginal_rate=0.4).items()
    }
    assert acute == {
        "block": 15_000_000.0,
        "activity": 14_640_000.0,
        "blended": 15_000_000.0 + 0.4 * (240_000 - 600_000),
        "capitated": 15_000_000.0,
        "pooled": pytest.approx(14_640_000.0 + 180_000 * 15.00 / 15.78, abs=0.01),
    }


def test_a_host_bears_what_the_others_do(toy):
    patients = [30_000, 2850, 15_000]  # 2,000 more than planned, at 60
    for host, bearer in ((None, "acute"), ("community", "community")):
        found = received(rs.variants(toy, host=host)["capitated"], patients)
        assert found["commissioner"] == -15_780_000.0
        plan = {"acute": 15_000_000.0, "community": 780_000.0}
        for name, value in plan.items():
            more = 120_000.0 if name == "community" else 0.0
            less = 120_000.0 if name == bearer else 0.0
            assert found[name] == value + more - less


def test_allocations_stay_and_payments_for_lines_go():
    versions = rs.variants(rs.load_case("alzira"))
    kept = [term.label for term in versions["block"].contract("concession").terms]
    assert kept == ["funding"]  # not the capitation, which pays for the residents' care
    pooled = rs.variants(rs.load_case("tameside-glossop"))["pooled"]
    assert [contract.name for contract in pooled.contracts] == ["pooled", "pooled-version"]
    assert "council-contribution" in [term.label for term in pooled.contracts[0].terms]


def test_notes_about_terms_that_are_gone_go_with_them(toy):
    block = rs.variants(toy)["block"]
    assert "drivers.demand.influence" in block.assumptions
    mid = rs.variants(rs.load_case("mid-nottinghamshire-msk"))["block"]
    assert "msk.funding.amount" in mid.assumptions
    assert not [path for path in mid.assumptions if path.startswith(("msk.pool", "msk.marginal"))]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"marginal_rate": 50}, "is 0.5 meant"),
        ({"marginal_rate": "half"}, "from 0 to 1"),
        ({"pool_share": -0.1}, "pool_share is -0.1"),
        ({"host": "external"}, "accepted for 'commissioner': acute, community"),
        ({"host": {"payer": "acute"}}, "accepted: commissioner"),
    ],
)
def test_wrong_shapes_of_versions_are_refused(toy, wrong, told):
    with pytest.raises(rs.ArgumentError, match=told):
        rs.variants(toy, **wrong)


def test_a_system_that_pays_nobody_has_no_versions():
    own = case([line(payer=PROVIDER)], [rs.Funding(from_="external", to=PROVIDER, amount=1e6)])
    with pytest.raises(rs.ArgumentError, match="nothing to pay"):
        rs.variants(own)


def test_an_allocation_that_holds_a_support_that_goes_is_refused(toy):
    paid = [
        rs.CapitatedBudget(from_="external", to=PAYER, budget="all"),
        rs.StrandedSupport(share=0.5, of="value removed", basis="planned", paid_in="all"),
    ]
    of = case(terms=paid, budgets=[rs.Budget(name="all", stranded_support="stranded-support")])
    with pytest.raises(rs.ArgumentError, match="names the term 'stranded-support'"):
        rs.variants(of)
