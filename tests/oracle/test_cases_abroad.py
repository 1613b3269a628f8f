"""The bundled cases from the United States, Germany, Spain and England say what was published."""

from pathlib import Path

import mssp
import numpy as np
import pytest
from builders import actuals, balanced
from scipy import stats

import riskshare as rs

NAMES = (
    "shared-savings-aco",
    "reach-aco",
    "aca-risk-corridor",
    "german-hospital",
    "alzira",
    "national-risk-pool",
)
SETTLEMENTS = (
    Path(__file__).resolve().parents[3] / "shared" / "data" / "mssp" / "mssp_core_2014_2022.csv.gz"
)


def load(name, **numbers):
    """Return a bundled case, with other numbers at some paths."""
    case = rs.load_case(name)
    return case.with_numbers(numbers) if numbers else case


def happened(case, activity, *, quality=None, **more):
    """Actuals, with quality scores by partner."""
    given = actuals(case, activity, **more)
    if quality is not None:
        table = np.broadcast_to(
            np.array(list(quality.values()), float), (given.sizes["year"], len(quality))
        )
        given = given.assign_coords(partner=list(quality))
        given["quality"] = (("year", "partner"), table.copy())
    return given


def moved(outcomes, term, to, year=0):
    """Money a term gives a partner in a year."""
    return float(outcomes.posting.sel(term=term, partner=to).isel(year=year, sample=0))


@pytest.mark.parametrize("name", NAMES)
def test_case_runs_and_reads_back_equal(name, tmp_path):
    case = rs.load_case(name)
    outcomes = rs.simulate(case, samples=256, seed=1)
    assert np.isfinite(outcomes.position).all()
    whole = outcomes.posting.sum("partner")
    assert float(abs(whole).max()) <= 1e-6 * float(abs(outcomes.posting).max())
    rs.save_case(case, tmp_path / "copy.toml")
    assert rs.load_case(tmp_path / "copy.toml") == case
    assert case.title
    assert case.description
    assert case.name == name


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        (
            "shared-savings-aco",
            ["drivers.benchmark-fit.sd", "changes.care-management.size", "lines.care.noise.cv"],
        ),
        (
            "reach-aco",
            ["changes.care-model.size", "partners.aco.quality", "reach.global.corridors[1].rate"],
        ),
        (
            "aca-risk-corridor",
            ["lines.claims-blue.unit_cost", "drivers.morbidity.sd", "corridor.target-blue.growth"],
        ),
        (
            "german-hospital",
            ["lines.ordinary.cost", "drivers.demand.sd", "khentgg.revenue-compensation.cash.limit"],
        ),
        (
            "alzira",
            ["lines.residents.unit_cost", "lines.inflow.baseline", "drivers.reputation.sd"],
        ),
        (
            "national-risk-pool",
            ["pool.backstop.floor", "pool.draw.share", "lines.care-north.unit_cost"],
        ),
    ],
)
def test_what_was_never_published_is_marked(name, paths):
    case = rs.load_case(name)
    for path in paths:
        assert case.assumptions[path]


@pytest.mark.parametrize("name", NAMES)
def test_every_law_says_where_it_comes_from(name):
    case = rs.load_case(name)
    noted = {*case.assumptions, *case.sources}
    laws = [f"drivers.{d.name}" for d in case.drivers]
    laws += [f"members.{p.name}" for p in case.members if not p.certain]
    laws += [f"partners.{p.name}.quality" for p in case.partners if p.quality is not None]
    laws += [f"changes.{c.name}.delivery" for c in case.changes if not c.delivery.certain]
    for path in laws:
        assert any(note == path or note.startswith(f"{path}.") for note in noted), path
    assert case.sources


# ------------------------------------------------------------------ Medicare Shared Savings Program

BENCHMARK = 12_000 * 11_836 * 1.04
PER_YEAR = 11_836 * 1.04


def aco(spend_rate, *, quality=0.85, lives=12_000, case=None):
    """Settle 2023 at spend as a share of benchmark; return what the ACO is paid."""
    case = load("shared-savings-aco") if case is None else case
    given = happened(
        case,
        [lives * spend_rate],
        years=["2023"],
        members={"assigned": lives},
        quality={"aco": quality},
    )
    outcomes = rs.settle(case, given)
    assert balanced(outcomes)
    return moved(outcomes, "mssp.shared-savings", "aco")


def test_the_scale_pays_from_the_minimum_savings_rate_on():
    # 10,000 to 14,999 lives: 3.0 % falling to 2.7 %, so 2.88 % at 12,000
    least = 0.030 - 0.003 * 2_000 / 4_999
    assert aco(1 - least + 1e-5) == 0.0
    first = 0.98 * 0.5 * (least + 1e-5) * BENCHMARK
    assert aco(1 - least - 1e-5) == pytest.approx(first, abs=0.006)
    assert aco(1 + least - 1e-5) == 0.0
    assert aco(1 + least + 1e-5) == pytest.approx(-0.3 * (least + 1e-5) * BENCHMARK, abs=0.006)


def test_basic_e_pays_half_less_sequestration_and_charges_thirty_per_cent():
    assert aco(0.96) == 2_895_180.29  # 0.98 x 50 % of 4 % of 147,713,280
    assert aco(1.04) == -1_772_559.36
    assert aco(0.75) == 14_771_328.0  # 10 % of benchmark
    assert aco(1.10) == -3_600_000.0  # 8 % of 45m of revenue, below 4 % of benchmark
    rich = load("shared-savings-aco", **{"mssp.shared-savings.caps[1].revenue": 147_713_280.0})
    assert aco(1.20, case=rich) == -5_908_531.2  # 4 % of benchmark, below 30 % of the loss
    assert aco(0.96, quality=0.69) == 0.0  # the standard is not met
    assert aco(1.04, quality=0.69) == aco(1.04, quality=1.0)  # losses of BASIC E ignore quality


ENHANCED = {
    "mssp.shared-savings.rate[gain]": 0.75,
    "mssp.shared-savings.rate[loss]": 1.0,
    "mssp.shared-savings.caps[0].limit[gain]": 0.20,
    "mssp.shared-savings.caps[0].limit[loss]": 0.15,
    "mssp.shared-savings.caps[1].limit[loss]": 10.0,
    "mssp.shared-savings.quality.offset": 1.0,
    "mssp.shared-savings.quality.floor": 0.40,
    "mssp.shared-savings.quality.ceiling": 0.75,
}


@pytest.mark.parametrize(
    ("quality", "rate"), [(0.80, 0.40), (0.7385, 0.446125), (0.60, 0.55), (0.40, 0.70)]
)
def test_enhanced_charges_by_quality(quality, rate):
    # 42 CFR 425.610: 1 less 75 % of the score, at least 40 %, at most 75 %, once a standard is met
    met = {**ENHANCED, "mssp.shared-savings.quality.standard": 0.30}
    assert aco(1.05, quality=quality, case=load("shared-savings-aco", **met)) == pytest.approx(
        -rate * 0.05 * BENCHMARK, abs=0.006
    )
    failed = aco(1.05, quality=0.29, case=load("shared-savings-aco", **met))
    assert failed == pytest.approx(-0.75 * 0.05 * BENCHMARK, abs=0.006)


@pytest.mark.skipif(not SETTLEMENTS.exists(), reason="published settlements are not here")
def test_the_case_pays_what_was_paid_in_2022():
    # ACOs that chose the scale: lives, benchmark, spend and score as published, all else the case's
    # own contract. Losses were all waived in 2022, so those who spent less are compared
    table = mssp.rows(SETTLEMENTS)
    flat = np.isclose(table["msr"][:, None], mssp.FLAT_RATES, rtol=0, atol=1e-9).any(axis=1)
    of = (table["year"] == 2022) & (table["n_ab"] >= 5_000) & ~flat
    found = 0
    for track, numbers in (("E", {}), ("EN", ENHANCED)):
        for at in np.flatnonzero(of & (table["track"] == track)):
            lives, benchmark = table["n_ab"][at], table["benchmark"][at]
            if table["expend"][at] > benchmark:
                continue
            rate = {"mssp.benchmark.rate": benchmark / lives / 1.04}
            case = load("shared-savings-aco", **numbers, **rate)
            given = happened(
                case,
                [table["expend"][at] / PER_YEAR],
                years=["2023"],
                members={"assigned": lives},
                quality={"aco": table["quality"][at]},
            )
            paid = moved(rs.settle(case, given), "mssp.shared-savings", "aco")
            assert paid == pytest.approx(table["earned"][at], abs=1.5), table["name"][at]
            found += table["earned"][at] > 0
    assert found >= 10


def test_the_next_agreement_follows_what_was_spent():
    # spend 6 % below benchmark in the first five years: 65 % of the sixth benchmark is the spend of
    # 2026 and half of what was paid for it, two years of 4 % on
    case = load("shared-savings-aco")
    lives = [0.94 * 12_000] * 5 + [12_000.0]
    given = happened(
        case, [[n] for n in lives], members={"assigned": 12_000}, quality={"aco": 0.85}
    )
    outcomes = rs.settle(case, given)
    of_2026, of_2028 = 12_000 * 11_836 * 1.04**4, 12_000 * 11_836 * 1.04**6
    paid = 0.98 * 0.5 * 0.06 * of_2026
    assert moved(outcomes, "mssp.shared-savings", "aco", 3) == pytest.approx(paid, abs=0.006)
    rebased = 0.35 * of_2028 + 0.65 * (0.94 * of_2026 + 0.5 * paid) * 1.04**2
    lost = rebased - of_2028
    assert lost / rebased == pytest.approx(-0.0304, abs=1e-4)  # beyond 2.88 %: it owes
    assert moved(outcomes, "mssp.shared-savings", "aco", 5) == pytest.approx(0.3 * lost, abs=0.006)


def test_luck_is_paid_as_often_as_the_laws_say():
    # no effect, and chance alone: paid where a gamma of mean 1 and cv 2 % falls 2.88 % short and
    # the quality score (normal, 81.8 % and 5.9) reaches 70 %
    case = load(
        "shared-savings-aco", **{"members.assigned.sd": 0.0, "drivers.benchmark-fit.sd": 0.0}
    )
    outcomes = rs.simulate(case, samples=65_536, seed=5, keep=("posting",))
    paid = outcomes.posting.sel(term="mssp.shared-savings", partner="aco").isel(year=0) > 0
    least = 0.030 - 0.003 * 2_000 / 4_999
    chance = stats.gamma(1 / 0.02**2, scale=0.02**2).cdf(1 - least)
    chance *= stats.norm(0.818, 0.059).sf(0.70)
    by_replicate = paid.values.reshape(16, -1).mean(1)
    error = by_replicate.std(ddof=1) / 4
    assert abs(by_replicate.mean() - chance) <= 4 * error
    assert 0.05 < chance < 0.10


# ------------------------------------------------------------------ ACO REACH

HUNDRED = {
    "reach.benchmark.rate": 100e6 / 15_000,
    "reach.benchmark.growth[2026]": 0.0,
    "inflation.medicare.rate": 0.0,
}
BEFORE_DISCOUNT = {**HUNDRED, "reach.global.discount": 0.0, "reach.global.quality.withhold": 0.0}


def reach(saving, *, year=0, quality=1.0, **numbers):
    """Settle a benchmark of 100m; return what the ACO is paid, in millions."""
    case = load("reach-aco", **numbers)
    units = (100e6 - saving * 1e6) / 13_000
    given = happened(case, [[units]] * 2, members={"aligned": 15_000}, quality={"aco": quality})
    return moved(rs.settle(case, given), "reach.global", "aco", year) / 1e6


@pytest.mark.parametrize(
    ("saving", "paid"), [(12, 12.0), (30, 27.5), (40, 31.25), (60, 34.75), (-30, -27.5)]
)
def test_global_bands(saving, paid):
    assert reach(saving, **BEFORE_DISCOUNT) == pytest.approx(paid, abs=1e-7)


PROFESSIONAL = {
    f"reach.global.corridors[{i}].{field}": value
    for i, (beyond, rate) in enumerate([(0, 0.5), (0.05, 0.35), (0.10, 0.15), (0.15, 0.05)])
    for field, value in (("beyond", beyond), ("rate", rate))
}


@pytest.mark.parametrize(
    ("saving", "paid"), [(3, 1.5), (5, 2.5), (8, 3.55), (12, 4.55), (18, 5.15)]
)
def test_professional_bands(saving, paid):
    assert reach(saving, **BEFORE_DISCOUNT, **PROFESSIONAL) == pytest.approx(paid, abs=1e-7)


def test_the_discount_comes_first():
    # 96.5m after 3.5 %, 88m spent
    assert reach(12, **HUNDRED) == pytest.approx(8.5, abs=1e-7)


def test_the_first_corridor_ends_at_ten_per_cent_in_2026():
    assert reach(9, year=1, **BEFORE_DISCOUNT) == pytest.approx(9.0, abs=1e-7)
    assert reach(30, year=1, **BEFORE_DISCOUNT) == pytest.approx(10 + 0.5 * 20, abs=1e-7)
    later = {**BEFORE_DISCOUNT, "reach.global.corridors[1].beyond[2026]": 0.25}
    assert reach(30, year=1, **later) == pytest.approx(27.5, abs=1e-7)


def test_what_is_withheld_is_earned_by_quality():
    # 2 % at a score of 85 % costs 0.3 % of benchmark, 5 % costs 0.75 %
    discount = {**HUNDRED, "reach.global.discount": 0.0}
    assert reach(5, quality=0.85, **discount) == pytest.approx(4.7, abs=1e-7)
    assert reach(5, quality=0.85, year=1, **discount) == pytest.approx(4.25, abs=1e-7)


# ------------------------------------------------------------------ ACA risk corridor

MEMBERS = [7_500_000, 4_250_000, 2_250_000, 1_000_000]
TARGETS = [30e9, 17e9, 9e9, 4e9]
INSURERS = ("blue", "national", "medicaid-plan", "co-op")


def corridor(costs, years=("2014",), members=(MEMBERS,)):
    case = load("aca-risk-corridor")
    outcomes = rs.settle(case, actuals(case, list(members), years=years, cost=costs))
    assert balanced(outcomes)
    return outcomes


@pytest.mark.parametrize(
    ("cost", "share"),
    [(90, -4.1), (95, -1.0), (98, 0.0), (103, 0.0), (106, 1.5), (108, 2.5), (112, 5.7)],
)
def test_corridor_points(cost, share):
    # 42 USC 18062; a target of 100. The other insurers fill the fund where it must pay
    claims = [[30e9 * cost / 100, 17e9 * 0.7, 9e9 * 0.7, 4e9]]
    outcomes = corridor(claims)
    assert moved(outcomes, "corridor.corridor-blue", "blue") == pytest.approx(
        30e9 * share / 100, abs=0.01
    )
    assert (outcomes.posting.sel(term="accounts.fund") == 0).all()


def test_twelve_point_six_per_cent_is_paid_and_the_rest_comes_first_later():
    # 2014: blue 106 %, national 112 %, the Medicaid plan pays 362m, the co-op claims the rest of
    # 2,870m. 2015: 95m comes in, and 450m is claimed anew by blue alone
    claimed = {"blue": 450e6, "national": 969e6, "co-op": 1_451e6}
    first = [31.8e9, 19.04e9, 8.28e9 - 137e6 / 0.8, 4.32e9 + 1_351e6 / 0.8]
    scale = 1 / 1.01  # members whose targets in 2015, 1 % higher each, are those of 2014
    second = [31.8e9, 17e9, 9e9 * 0.97 - 95e6 / 0.5, 4e9]
    outcomes = corridor([first, second], ("2014", "2015"), [MEMBERS, [n * scale for n in MEMBERS]])
    factor = 362 / 2_870
    assert factor == pytest.approx(0.126, abs=5e-4)
    for insurer, claim in claimed.items():
        terms = [f"corridor.corridor-{insurer}", "accounts.fund"]
        paid = outcomes.posting.sel(term=terms, partner=insurer, sample=0).sum("term")
        assert float(paid[0]) == pytest.approx(claim * factor, abs=0.02)
        # the 95m of 2015 goes to the claims of 2014 by what is left of them, and none to new ones
        assert float(paid[1]) == pytest.approx(95e6 * claim / 2_870e6, abs=0.02)
    fund = outcomes.posting.sel(partner="fund", sample=0).sum("term")
    np.testing.assert_allclose(fund, 0.0, atol=0.05)
    assert moved(outcomes, "corridor.corridor-medicaid-plan", "fund") == pytest.approx(362e6)


def test_the_first_year_of_the_made_up_market_comes_near_what_was_published():
    # the insurers were chosen for 362m against 2.87bn, then 5.8bn and about 4bn; 12.3bn unpaid
    outcomes = rs.simulate(load("aca-risk-corridor"), samples=16_384, seed=2, keep=("posting",))
    terms = [f"corridor.corridor-{insurer}" for insurer in INSURERS]
    fund = outcomes.posting.sel(term=terms, partner="fund") / 1e6
    collected = fund.clip(min=0).sum("term").mean("sample")
    claimed = (-fund).clip(min=0).sum("term").mean("sample")
    np.testing.assert_allclose(claimed, [2_870, 5_800, 4_000], rtol=0.2)
    assert float(collected[0]) == pytest.approx(362, rel=0.1)
    unpaid = (claimed - collected).sum()
    assert float(unpaid) == pytest.approx(12_300, rel=0.05)


# ------------------------------------------------------------------ German hospital

HOSPITAL = "khentgg.revenue-compensation"


def hospital(ordinary, drugs=5e6, trauma=3e6, years=("2013",)):
    case = load("german-hospital")
    units = [
        [o / 3_125, d / 1_000, t / 20_000] for o, d, t in np.broadcast(ordinary, drugs, trauma)
    ]
    outcomes = rs.settle(case, actuals(case, units, years=list(years)))
    assert balanced(outcomes)
    return outcomes


@pytest.mark.parametrize(
    ("ordinary", "drugs", "net"),
    [(88e6, 5e6, 96.8e6), (97e6, 5e6, 101.75e6), (92e6, 10e6, 103.75e6), (92e6, 4e6, 99e6)],
)
def test_revenue_is_settled_as_the_act_says(ordinary, drugs, net):
    # 100m agreed: 96m billed brings 96.8m, 105m brings 101.75m, or 103.75m where drug supplements
    # make the excess; a shortfall of supplements is not made up
    outcomes = hospital(ordinary, drugs)
    received = outcomes.posting.sel(partner="hospital").sum("term").isel(year=0, sample=0)
    assert float(received) == net


def test_polytrauma_is_taken_back_at_a_quarter():
    assert moved(hospital(92e6, trauma=4e6), HOSPITAL, "hospital") == -250_000.0
    assert moved(hospital(92e6, trauma=2e6), HOSPITAL, "hospital") == 200_000.0


def test_bills_change_by_fifteen_per_cent_at_most_and_the_rest_is_carried():
    # twice the ordinary volume in 2013: 65 % of 92m, 59.8m, is due from 2014 on. Prices rise by 2 %
    # a year, and so does what may be taken off: 15 % of 102m, then of 104.04m
    outcomes = hospital([184e6, 92e6, 92e6], years=("2013", "2014", "2015"))
    late = (outcomes.cash - outcomes.position).sel(partner="hospital", sample=0)
    np.testing.assert_allclose(late, [59.8e6, -0.15 * 102e6, -0.15 * 104.04e6], atol=0.01)


# ------------------------------------------------------------------ Alzira


def alzira(residents_cost, inflow_value, outflow_value, residents=250_000):
    case = load("alzira")
    given = actuals(
        case,
        [residents, inflow_value / 4_000, outflow_value / 4_000],
        years=["2013"],
        members={"residents": residents},
        cost=[residents_cost, 8e6, outflow_value],
    )
    outcomes = rs.settle(case, given)
    assert balanced(outcomes)
    return outcomes


def test_capitation_boundary_flows_and_profit_cap():
    # 187.5m for the district, 80 % of 10m for people from elsewhere, 165m of own cost, 5m paid for
    # residents elsewhere: 25.5m of profit, of which 7.5 % of 195.5m is kept
    outcomes = alzira(157e6, 10e6, 5e6)
    assert moved(outcomes, "concession.capitation-payment", "company") == 187_500_000.0
    assert moved(outcomes, "concession.inflow-payment", "company") == 8_000_000.0
    assert moved(outcomes, "concession.outflow-payment", "company") == -5_000_000.0
    assert moved(outcomes, "concession.profit-cap", "company") == -10_837_500.0
    assert float(outcomes.position.sel(partner="company").squeeze()) == 14_662_500.0


def test_profit_below_the_cap_and_losses_stay_with_the_company():
    assert moved(alzira(170e6, 10e6, 5e6), "concession.profit-cap", "company") == 0.0
    outcomes = alzira(190e6, 10e6, 5e6)
    assert float(outcomes.position.sel(partner="company").squeeze()) == -7_500_000.0


def test_the_capitation_follows_the_residents():
    outcomes = alzira(157e6, 10e6, 5e6, residents=260_000)
    assert moved(outcomes, "concession.capitation-payment", "company") == 195_000_000.0


# ------------------------------------------------------------------ national risk pool

REGIONS = ("north", "midlands-east", "london", "south")
CONTRACTS = np.array([15e9, 15e9, 12e9, 12e9])


def reserve(*deficits):
    """Settle years by the deficit of each region, in millions."""
    case = load("national-risk-pool")
    cost = [CONTRACTS + np.array(year) * 1e6 for year in deficits]
    years = ["2016/17", "2017/18"][: len(deficits)]
    outcomes = rs.settle(
        case, actuals(case, [CONTRACTS / 1_000] * len(deficits), years=years, cost=cost)
    )
    assert balanced(outcomes)
    return outcomes


def test_the_reserve_is_made_of_what_was_published():
    outcomes = reserve([0, 0, 0, 0], [0, 0, 0, 0])
    into = outcomes.posting.sel(partner="reserve", sample=0) / 1e6
    parts = into.sel(term=["pool.held-back", "pool.national-part", "pool.cquin-held-back"])
    np.testing.assert_array_equal(parts, [[800, 0, 0], [360, 200, 270]])
    assert float(parts[1].sum()) == 830


def test_the_reserve_of_2016_covers_the_deficit_of_2016():
    # 791m against 800m: all of it is paid, and 9m is left
    outcomes = reserve([120, 255, 228, 188])
    position = outcomes.position.sel(partner=list(REGIONS), sample=0)
    np.testing.assert_array_equal(position, 0.0)
    assert float(outcomes.position.sel(partner="reserve").squeeze()) == 9e6


def test_draws_are_scaled_to_what_the_reserve_holds():
    # the same deficits in 2017/18 and 270m held back make a need of 1,061m; the reserve holds 839m
    outcomes = reserve([120, 255, 228, 188], [120, 255, 228, 188])
    need = np.array([195, 330, 288, 248]) * 1e6
    position = outcomes.position.sel(partner=list(REGIONS), year="2017/18", sample=0)
    np.testing.assert_allclose(position, -need * (1 - 839 / 1_061), atol=0.02)
    assert float(outcomes.position.sel(partner=["nhs-england"]).isel(year=1).squeeze()) == 0.0


def test_cquin_goes_back_to_a_region_that_meets_its_control_total():
    outcomes = reserve([0, 0, 0, 0], [0, 1, 0, -10])
    released = outcomes.posting.sel(
        term="pool.cquin-released", partner=list(REGIONS), year="2017/18", sample=0
    )
    np.testing.assert_array_equal(released, np.array([75, 0, 60, 60]) * 1e6)


def test_a_deficit_beyond_the_floor_is_the_nations():
    # 2016/17: 500m in the North, 375m of it its own; the reserve covers that
    outcomes = reserve([500, 0, 0, 0])
    assert moved(outcomes, "pool.backstop", "north") == 125e6
    assert moved(outcomes, "pool.draw", "north") == 375e6
    assert float(outcomes.position.sel(partner="north").squeeze()) == 0.0
