"""The bundled cases of English systems say what was published, and mark what was not."""

import numpy as np
import pytest
import xarray as xr
from builders import actuals, balanced

import riskshare as rs
from riskshare.bind import bind

UNPUBLISHED = {
    "nottinghamshire-system": (
        "inflation.costs.rate",
        "members.mid-residents.count",
        "lines.social-care.baseline",
        "drivers.efficiency.value",
        "changes.top-two-per-cent-mid.targeting",
        "mid.emergency-share.share",
        "partners",
    ),
    "greater-nottingham-benchmark": (
        "lines.bed-days.baseline",
        "changes.referral-templates.size",
        "changes.supported-discharge.size",
        "alliance.per-head.rate",
        "alliance.per-head.efficiency",
    ),
    "interim-blended-payment": (
        "interim.acute-fixed.base",
        "interim.variable.break_glass",
        "interim.stranded-cost-pool.share",
        "drivers.emergency-demand.sd",
    ),
    "dorset-block": (
        "drivers.case-mix.value",
        "partners.bournemouth.target",
        "partners.bournemouth.offset",
        "dorset.sustainability-funding.amount",
        "dorset.hrg4-plus",
    ),
    "plymouth-integrated-fund": (
        "lines.adult-social-care.baseline",
        "partners.risk-reserve.opening_balance",
        "partners.risk-reserve.shortfall",
        "fund.income.amount",
    ),
    "tameside-glossop": (
        "pooled.relief.amount",
        "pooled.council-support.amount",
        "pooled.national-funding.amount",
        "pooled.council-risk-share.limit",
        "changes.adult-social-care-savings.size",
    ),
}
NHS = ["mid-ccgs", "greater-ccgs", "sherwood-forest", "nottingham-hospitals", "healthcare"]
PURSES = ("ccg", "council")
BODIES = ["ccg", "bournemouth", "poole", "county", "healthcare"]


def happened(case, *, more=None, case_mix=None, cost=None):
    """Actuals at plan, every change as planned; ``more`` multiplies the activity of lines."""
    lines = case.labels()["line"]
    activity = bind(case).plan.view.plan * [(more or {}).get(name, 1.0) for name in lines]
    drivers = {f"delivery[{change.name}]": 1.0 for change in case.changes}
    given = {"case_mix": case_mix, "cost": cost}
    given = {name: value for name, value in given.items() if value is not None}
    populations = {p.name: p.count for p in case.members}
    return actuals(case, activity, drivers=drivers or None, members=populations or None, **given)


def settled(case, **given):
    result = rs.settle(case, happened(case, **given))
    assert balanced(result)
    return result.isel(sample=0)


def money(result, term, partner, year=0):
    return float(result.posting.sel(term=term, partner=partner).isel(year=year))


def choices(dimension, *values):
    return xr.DataArray(list(values), dims=dimension)


@pytest.fixture(scope="module")
def cases():
    return {name: rs.load_case(name) for name in UNPUBLISHED}


@pytest.mark.parametrize("name", UNPUBLISHED)
def test_case_runs_and_reads_back_equal(name, cases, tmp_path):
    case = cases[name]
    outcomes = rs.simulate(case, samples=256)

    assert np.isfinite(outcomes.position).all()
    whole = abs(outcomes.posting.sum("partner")).max()
    assert float(whole) <= 1e-6 * float(abs(outcomes.posting).max())
    rs.save_case(case, tmp_path / "copy.toml")
    assert rs.load_case(tmp_path / "copy.toml") == case
    assert case.title
    assert case.description
    assert case.name == name
    assert len(case.years) >= 3


@pytest.mark.parametrize(
    ("name", "path"), [(name, path) for name, paths in UNPUBLISHED.items() for path in paths]
)
def test_what_was_never_published_is_marked(name, path, cases):
    assert cases[name].assumptions[path]
    assert cases[name].sources


# ---------------------------------------------------------------- Nottinghamshire


def with_nothing_done(case):
    """No savings on unit cost, and no care for the people at highest risk."""
    numbers = {"drivers.efficiency.value": 1.0}
    for place in ("mid", "greater"):
        numbers[f"changes.top-two-per-cent-{place}.targeting.effect"] = 0.0
        numbers[f"changes.top-two-per-cent-{place}.running_cost"] = 0.0
    return case.with_numbers(numbers)


def test_the_do_nothing_gap_is_473m_and_155m(cases):
    nothing = with_nothing_done(cases["nottinghamshire-system"])
    position = settled(nothing).position.sel(year="2020/21")

    assert float(position.sel(partner=NHS).sum()) == pytest.approx(-473e6, abs=0.1e6)
    assert float(position.sel(partner="councils")) == pytest.approx(-155e6, abs=0.1e6)


def test_the_gap_is_the_mean_of_what_is_drawn(cases):
    nothing = with_nothing_done(cases["nottinghamshire-system"])
    table = rs.summarise(rs.simulate(nothing, samples=16_384, keep=("position",)))
    at = table.sel(year="2020/21", partner=["NHS", "councils"])

    # activity that falls below its baseline leaves stranded cost: a little more than on average
    off = abs(at.position_mean - np.array([-473e6, -155e6]))
    assert (off <= 4 * at.position_mean_error + 0.1e6).all()


def test_spend_and_people_are_the_published_ones(cases):
    case = cases["nottinghamshire-system"]
    health = [line for line in case.lines if line.name != "social-care"]
    people = [case.number(f"members.{place}-residents.count") for place in ("mid", "greater")]

    assert sum(line.baseline * line.unit_cost for line in health) == pytest.approx(3e9, rel=1e-4)
    assert sum(people) * case.number("mid.allocation.rate[mid-residents]") == pytest.approx(3e9)
    assert 1.0e6 < sum(people) < 1.1e6


@pytest.mark.parametrize(("rate", "growth"), [(0.026552, 1.14), (0.005929, 1.03)])
def test_growth_over_five_years_is_the_published_one(rate, growth, cases):
    case = cases["nottinghamshire-system"].with_numbers({"lines.mid-emergency.growth": rate})
    before = bind(case).plan.view.before[:, 0]

    assert before[4] / case.number("lines.mid-emergency.baseline") == pytest.approx(growth, 1e-5)


def test_slower_growth_is_better_on_every_draw(cases):
    rates = choices("growth", 0.026552, 0.005929)
    paths = [f"lines.{place}-emergency.growth" for place in ("mid", "greater")]
    outcomes = rs.simulate(
        cases["nottinghamshire-system"],
        samples=1024,
        keep=("position",),
        parameters=dict.fromkeys(paths, rates),
    )
    nhs = outcomes.position.sel(partner=NHS).sum("partner")

    assert (nhs.isel(growth=1) > nhs.isel(growth=0)).all()


def test_targeting_fades_saturates_and_regresses(cases):
    case = cases["nottinghamshire-system"]
    size = next(c for c in case.changes if c.name == "top-two-per-cent-mid").sizes(case.labels())
    reached, picked = [], 0.0
    for reach in (0.30, 0.20, 0.15, 0.15, 0.15):
        # gain of one more is 2^(-c / 0.5): its integral from those picked so far
        points = np.linspace(picked, picked + reach, 100_001)
        reached.append(np.trapezoid(2.0 ** (-points / 0.5), points))
        picked += reach
    lasting = [sum(0.7 ** (t - v) * reached[v] for v in range(t + 1)) for t in range(5)]

    assert size == pytest.approx(0.18 * 0.25 * (1 - 0.40) * np.array(lasting), rel=1e-6)
    assert 0 < size[4] < size[1]


# ---------------------------------------------------------------- Greater Nottingham


def test_the_gap_is_residents_times_rate_above_benchmark(cases):
    case = cases["greater-nottingham-benchmark"].with_numbers(
        {"changes.supported-discharge.size": 0.0}
    )
    view = bind(case).plan.view
    closed = ((view.before - view.plan) * view.price)[:, :4]
    #        rate a head             benchmark                    unit cost
    rates = np.array(
        [
            [206_692 / 720_000, 0.88 * 206_692 / 720_000, 166.0],
            [0.500, 0.440, 400.0],
            [1.100, 0.935, 160.0],
            [0.0236, 0.022184, 4_078.0],
        ]
    )
    gap = 720_000 * (rates[:, 0] - rates[:, 1]) * rates[:, 2]
    realised = np.array([0.10, 0.25, 0.45, 0.60, 0.70])

    assert closed == pytest.approx(realised[:, None] * gap, rel=1e-9)


def test_supported_discharges_rise_by_a_third(cases):
    case = cases["greater-nottingham-benchmark"]
    at = case.labels()["line"].index("supported-discharge")
    planned = bind(case).plan.view.plan[:, at]

    assert case.number("lines.supported-discharge.baseline") == 180 * 52
    assert planned == pytest.approx(np.full(5, 240 * 52))
    assert planned[0] / (180 * 52) == pytest.approx(4 / 3)


def test_a_ward_is_220_a_bed_day(cases):
    case = cases["greater-nottingham-benchmark"]

    assert case.number("lines.bed-days.cost.step.cost") == 220 * 365 * 25
    assert case.number("lines.bed-days.cost.step.occupancy") == 0.85


def test_patients_across_the_boundary_and_the_profit_cap_are_those_of_alzira(cases):
    case = cases["greater-nottingham-benchmark"]
    idle = {"bed-days": 0.4, "outpatients": 0.4}
    result = settled(case, more=idle)

    assert money(result, "alliance.out-of-area", "lead") == -9_000 * 1.01 * 2_000.0
    assert money(result, "alliance.into-area", "lead") == 0.80 * 15_000 * 2_500.0
    capitation = money(result, "alliance.capitation", "lead")
    assert capitation == pytest.approx(570.0 * 720_000 * 1.01 * 0.9925, abs=0.01)
    kept = float(result.position.sel(partner="lead").isel(year=0))
    assert kept == pytest.approx(0.075 * (capitation + 30_000_000.0), abs=0.01)
    assert money(result, "alliance.profit-cap", "ccgs") > 0


# ---------------------------------------------------------------- interim blended payment


def test_the_fixed_payment_is_the_worked_example(cases):
    result = settled(cases["interim-blended-payment"])

    assert money(result, "interim.fixed-acute", "acute") == 100_358_870.00
    assert money(result, "interim.fixed-community", "community") == pytest.approx(
        18e6 * 1.015 * 1.021 * 0.98, abs=0.01
    )


@pytest.mark.parametrize(
    ("more", "share"),
    [
        (1.05, 0.20 * 0.05),
        (0.95, -0.20 * 0.05),
        (1.15, 0.20 * 0.10 + 0.70 * 0.05),
        (0.80, -(0.20 * 0.10 + 0.70 * 0.10)),
    ],
)
def test_the_variable_payment_breaks_glass_at_a_tenth(more, share, cases):
    result = settled(cases["interim-blended-payment"], more={"emergency": more})
    planned = 10_000 * 1.015 * 2_000.0 * 1.00058

    paid = money(result, "interim.variable", "acute")
    assert paid == pytest.approx(share * planned, abs=0.01)


def test_all_kinds_of_provider_have_a_variable_payment(cases):
    raised = {"planned": 1.04, "contacts": 1.04, "mental-health-care": 1.04}
    result = settled(cases["interim-blended-payment"], more=raised)

    for provider, value in (("acute", 40e6), ("community", 18e6), ("mental-health", 12e6)):
        paid = money(result, "interim.variable", provider)
        assert paid == pytest.approx(0.20 * 0.04 * value * 1.015 * 1.00058, abs=0.01)


def test_the_pool_halves_what_cost_misses_its_plan_by(cases):
    case = cases["interim-blended-payment"]
    lines = case.labels()["line"]
    cost = np.full((3, len(lines)), np.nan)
    cost[:, :3] = [20.8e6, 41.0e6, 41.0e6]
    result = settled(case, cost=cost)
    plan = 100e6 * 1.015 * 1.00058

    share = money(result, "interim.stranded-cost-pool", "commissioner")
    assert share == pytest.approx((plan - 102.8e6) / 2, abs=0.01)
    assert money(result, "interim.stranded-cost-pool", "acute") == -share


def test_modules_switch_by_path_and_change_nothing_for_the_system(cases):
    providers = ("acute", "community", "mental-health")
    parameters = {f"interim.fixed-{p}.in_force": choices("fixed", 1.0, 0.0) for p in providers}
    for provider in providers:
        parameters[f"interim.rolled-over-{provider}.in_force"] = choices("fixed", 0.0, 1.0)
    parameters["interim.variable.in_force"] = choices("variable", 1.0, 0.0)
    parameters["interim.stranded-cost-pool.in_force"] = choices("pool", 1.0, 0.0)
    outcomes = rs.simulate(
        cases["interim-blended-payment"],
        samples=512,
        keep=("position", "posting"),
        precision="float64",
        parameters=parameters,
    )

    assert outcomes.sizes["fixed"] * outcomes.sizes["variable"] * outcomes.sizes["pool"] == 8
    for module, terms in (
        ("fixed", [f"interim.fixed-{p}" for p in providers]),
        ("variable", ["interim.variable"]),
        ("pool", ["interim.stranded-cost-pool"]),
    ):
        moved = abs(outcomes.posting.sel(term=terms))
        assert float(moved.isel({module: 1}).max()) == 0
        assert float(moved.isel({module: 0}).max()) > 0
    rolled = outcomes.posting.sel(term="interim.rolled-over-acute", partner="acute")
    assert (rolled.isel(fixed=1) == 100e6).all()
    whole = outcomes.position.sel(partner=["commissioner", *providers]).sum("partner")
    spread = whole.max(["fixed", "variable", "pool"]) - whole.min(["fixed", "variable", "pool"])
    assert float(spread.max()) < 0.01


# ---------------------------------------------------------------- Dorset


def test_blocks_are_flat_and_then_one_per_cent_more(cases):
    result = settled(cases["dorset-block"])
    paid = [-money(result, "dorset.block", "ccg", year) for year in range(3)]

    assert paid == pytest.approx([828.6e6, 828.6e6 * 1.01, 828.6e6 * 1.01**2], rel=1e-6)


def test_case_mix_drifts_up_on_flat_activity(cases):
    draws = rs.draw(cases["dorset-block"], samples=16_384, precision="float64")
    emergency = draws.sel(line="bournemouth-emergency")
    for year in range(3):
        for name, mean in (("case_mix", 1.015 ** (year + 1)), ("activity", 21_842.0)):
            values = emergency[name].isel(year=year).values.reshape(16, -1).mean(-1)
            assert abs(values.mean() - mean) <= 4 * values.std(ddof=1) / 4


def test_offsets_sum_to_zero_and_set_every_body_the_same_challenge(cases):
    case = cases["dorset-block"]
    nothing = case.with_numbers({"drivers.cost-improvement.value": 1.0})
    powers = [line.loadings.get("case-mix", 0.0) for line in case.lines]
    drift = 1.015 ** np.outer([1, 2, 3], powers)
    position = settled(nothing, case_mix=drift).position

    def number(body, field, year):
        return case.number(f"partners.{body}.{field}[{year}]")

    for year in ("2017/18", "2018/19", "2019/20"):
        assert sum(number(body, "offset", year) for body in BODIES) == 0
    for year in ("2018/19", "2019/20"):
        own, offset = [], []
        for body in BODIES:
            need = number(body, "target", year) - float(position.sel(partner=body, year=year))
            turnover = case.number(f"partners.{body}.turnover")
            own.append(need / turnover)
            offset.append((need + number(body, "offset", year)) / turnover)
        assert max(own) - min(own) > 0.01
        assert max(offset) - min(offset) < 2e-5


def test_all_sustainability_funding_turns_on_the_systems_total(cases):
    case = cases["dorset-block"]
    outcomes = rs.simulate(case, samples=2048, precision="float64", keep=("position", "posting"))
    funding = outcomes.posting.sel(term="dorset.sustainability-funding")
    before = (outcomes.position - funding).sel(partner=BODIES).sum("partner")
    targets = [
        sum(case.number(f"partners.{body}.target[{year}]") for body in BODIES)
        for year in case.labels()["year"]
    ]
    met = before >= xr.DataArray(targets, dims="year")

    assert case.number("dorset.sustainability-funding.own") == 0
    assert 0.2 < float(met.mean()) < 0.8
    paid = funding.sel(partner=["bournemouth", "poole", "county", "healthcare"])
    whole = xr.DataArray([7.0e6, 5.5e6, 4.0e6, 2.5e6], dims="partner") * met
    assert float(abs(paid - whole.transpose(*paid.dims)).max()) < 0.01


def test_pooles_inpatient_work_is_nine_tenths_emergency(cases):
    case = cases["dorset-block"]
    emergency = case.number("lines.poole-emergency.baseline")

    assert emergency / (emergency + case.number("lines.poole-elective.baseline")) > 0.90


def test_payment_by_activity_brings_the_loss_by_new_currencies(cases):
    switched = cases["dorset-block"].with_numbers(
        {
            "dorset.block.in_force": 0.0,
            "dorset.activity-payment.in_force": 1.0,
            "dorset.hrg4-plus.in_force": 1.0,
        }
    )
    block, activity = settled(cases["dorset-block"]), settled(switched)

    assert money(block, "dorset.hrg4-plus", "poole") == 0
    assert money(activity, "dorset.hrg4-plus", "poole") == -8_500_000
    assert money(activity, "dorset.block", "poole") == 0
    assert money(activity, "dorset.activity-payment", "poole") == pytest.approx(193.9e6, rel=1e-6)


# ---------------------------------------------------------------- Plymouth


def test_the_fund_is_683m_gross_483m_net_and_split_77_to_23(cases):
    case = cases["plymouth-integrated-fund"]
    result = settled(case)
    gross = float(result.line_cost.isel(year=0).sum())
    income = money(result, "fund.income", "integrated-fund")
    group = money(result, "fund.health-allocation", "ccg")
    council = money(result, "fund.council-contribution", "integrated-fund")

    assert gross == 683e6
    assert gross - income == 483e6
    assert [group / 483e6, council / 483e6] == pytest.approx([0.77, 0.23])
    approved = case.number("fund.approved.base")
    share = {name: case.number(f"partners.integrated-fund.release[{name}]") for name in PURSES}
    assert {name: approved * part for name, part in share.items()} == pytest.approx(
        {"ccg": 354.2e6, "council": 105.8e6}
    )


def test_at_plan_control_total_is_met_and_adult_social_care_balanced(cases):
    result = settled(cases["plymouth-integrated-fund"])

    for partner in PURSES:
        assert float(result.position.sel(partner=partner).isel(year=0)) == 0
    assert money(result, "accounts.risk-reserve", "ccg") == 0
    assert float(result.line_cost.sel(line="adult-social-care").isel(year=0)) == 100e6


@pytest.mark.parametrize(
    ("over", "reserve", "group", "council"),
    [
        (1_039_000.0, 1_000_000.0, 30_030.0, 8_970.0),  # the net risk payment of 2015/16
        (1_000_000.0, 0.0, 770_000.0, 230_000.0),
        (900_000.0, 1_000_000.0, 0.0, 0.0),
    ],
)
def test_the_fund_nets_draws_its_reserve_and_then_charges_partners(
    over, reserve, group, council, cases
):
    case = cases["plymouth-integrated-fund"].with_numbers(
        {"partners.risk-reserve.opening_balance": reserve}
    )
    # adult care overspends by more, continuing care underspends by £0.5m: they net in the fund
    more = {"adult-social-care": 1 + (over + 5e5) / 100e6, "continuing-care": 1 - 5e5 / 36e6}
    result = settled(case, more=more)

    assert -money(result, "accounts.risk-reserve", "ccg") == pytest.approx(group, abs=0.01)
    assert -money(result, "accounts.risk-reserve", "council") == pytest.approx(council, abs=0.01)


def test_an_aligned_line_is_the_risk_of_who_commissions_it(cases):
    plan = settled(cases["plymouth-integrated-fund"])
    busy = settled(cases["plymouth-integrated-fund"], more={"acute-emergency": 1.05})
    moved = (busy.position - plan.position).isel(year=0)

    assert float(moved.sel(partner="ccg")) == pytest.approx(-0.05 * 33_149 * 3_000, abs=0.01)
    assert float(moved.sel(partner="council")) == 0
    assert float(moved.sel(partner="integrated-fund")) == 0


def test_underspends_stay_in_the_fund_and_come_back_77_to_23(cases):
    case = cases["plymouth-integrated-fund"]
    result = settled(case, more={"adult-social-care": 0.99})
    posted = result.posting.sel(term="accounts.integrated-fund")
    left = float(posted.sel(partner="integrated-fund").isel(year=3))

    assert float(abs(posted.isel(year=slice(0, 3))).max()) == 0
    assert left < -3_900_000
    assert money(result, "accounts.integrated-fund", "ccg", 3) == pytest.approx(
        -0.77 * left, abs=0.01
    )


# ---------------------------------------------------------------- Tameside and Glossop


def strategies():
    """Hold to the control total; forbear; forbear with the council's support."""
    declined = choices("strategy", 1.0, 0.0, 0.0)
    return {
        "pooled.national-funding.accepted[icft,2017/18]": declined,
        "pooled.national-funding.accepted[icft,2018/19]": declined,
        "pooled.relief.in_force": choices("strategy", 0.0, 1.0, 1.0),
        "pooled.council-risk-share.in_force": choices("strategy", 1.0, 0.0, 0.0),
        "pooled.council-support.in_force": choices("strategy", 0.0, 0.0, 1.0),
    }


@pytest.fixture(scope="module")
def played(cases):
    return rs.simulate(
        cases["tameside-glossop"],
        samples=4096,
        precision="float64",
        keep=("position", "posting", "underlying", "saving_avoided"),
        parameters=strategies(),
    )


def test_one_budget_of_a_billion(cases):
    case = cases["tameside-glossop"]

    assert len(case.years) == 4
    assert sum(line.baseline * line.price for line in case.lines) == pytest.approx(1e9, rel=1e-6)


def test_who_declines_a_control_total_forgoes_its_funding(cases, played):
    funding = played.posting.sel(term="pooled.national-funding", partner="icft").isel(strategy=0)
    position = played.position.sel(partner="icft").isel(strategy=0) - funding
    case = cases["tameside-glossop"]
    targets = [case.number(f"partners.icft.target[{year}]") for year in case.labels()["year"]]
    met = position >= xr.DataArray(targets, dims="year")

    assert case.number("pooled.national-funding.accepted[icft,2017/18]") == 0
    assert (funding == 4e6 * met).all()
    declined = played.posting.sel(term="pooled.national-funding", partner="icft")
    assert float(abs(declined.isel(strategy=[1, 2], year=[0, 1])).max()) == 0


def test_forbearance_lets_the_group_balance_at_the_trusts_cost(played):
    position = played.position.sum("year").mean("sample")
    change = position.isel(strategy=1) - position.isel(strategy=0)
    called = played.posting.sel(term="pooled.council-risk-share", partner="council")

    assert float((called.isel(strategy=0, year=0) < 0).mean()) > 0.9
    assert float(abs(called.isel(strategy=[1, 2])).max()) == 0
    assert float(change.sel(partner="ccg")) > 0
    assert float(change.sel(partner="council")) > 0
    assert float(change.sel(partner="icft")) < 0
    inside = played.partner.values[played.kind.values != "external"]
    assert float(change.sel(partner=inside).sum()) < 0  # national money is lost


def test_the_councils_risk_share_stops_at_five_million(played):
    given = -played.posting.sel(term="pooled.council-risk-share", partner="council")

    assert float(given.max()) == 5e6


def test_the_underlying_position_is_the_same_whoever_forbears(played):
    underlying = played.underlying
    apart = underlying.max("strategy") - underlying.min("strategy")

    assert float(apart.sel(partner=["ccg", "council", "icft"]).max()) < 0.01


def test_adult_social_care_saves_80m_none_of_it_recurrent(cases, played):
    case = cases["tameside-glossop"]
    change = case.changes[0]
    prices = 320_000 * 500.0 * 1.02 ** np.arange(1, 5)
    planned = float((change.sizes(case.labels()) * prices).sum())
    saved = played.saving_avoided.isel(strategy=2).sum(["change", "year"])
    council = (played.position - played.underlying).sel(partner="council").isel(strategy=1)

    assert not change.recurrent
    assert 80e6 < planned < 82e6
    by_replicate = saved.values.reshape(16, -1).mean(-1)
    assert abs(by_replicate.mean() - planned) <= 4 * by_replicate.std(ddof=1) / 4
    assert float(council.sum("year").mean()) > 0.9 * planned


def test_the_reserve_is_half_a_per_cent_of_turnover(cases):
    result = settled(cases["tameside-glossop"])

    assert money(result, "pooled.levy", "risk-reserve") == 0.005 * 440e6
