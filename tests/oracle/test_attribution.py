"""Positions split exactly: Shapley by driver, postings and cost by term, Euler in tails."""

import numpy as np
import pytest
import xarray as xr
from builders import PAYER, PROVIDER, actuals, case, everything, line, msk_toy
from judging import SPREADS

import riskshare as rs
from riskshare.analysis.coalitions import Coalitions, players_of
from riskshare.analysis.shapley import sampled, shapley
from riskshare.laws import Lognormal
from riskshare.run.sampling import sampling_of
from riskshare.run.tables import ready

QUICK = ("msk-toy",)
BUNDLED = [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
    for name in rs.case_names()
]


def normal(name, sd, acts_on="activity"):
    return rs.Driver(name=name, acts_on=acts_on, law="normal", sd=sd)


def assert_parts_add_up(of, samples=256, **options):
    """Every split of every sample adds up to the position, which is that of a run."""
    parts = rs.attribution_samples(of, samples=samples, seed=3, **options)
    run = rs.simulate(of, samples=samples, seed=3, keep=("position", "posting"))
    scale = float(abs(run.posting).max()) + 1
    assert float(abs(parts.position - run.position).max()) <= 2e-6 * scale
    for axis in ("driver", "term", "line"):
        rest = parts[f"position_by_{axis}"].sum(axis) - parts.position
        assert float(abs(rest).max()) <= 1e-12 * scale, axis
    return parts


@pytest.mark.parametrize("name", BUNDLED)
def test_parts_add_up_in_every_sample_of_every_bundled_case(name):
    assert_parts_add_up(rs.load_case(name))


@pytest.mark.slow
def test_parts_add_up_with_every_kind_of_term():
    assert_parts_add_up(everything())


def test_statistics_of_parts_add_up_to_those_of_the_summary():
    of = rs.load_case("msk-toy")
    parts = rs.attribute(of, samples=4096, levels=(0.9, 0.95))
    table = rs.summarise(rs.simulate(of, samples=4096, keep=("position",)))
    for name in ("mean", "standard_deviation", "value_at_risk", "tail_value_at_risk"):
        known = table[f"position_{name}"]
        known = known.sel(level=parts.level) if "level" in known.dims else known
        known = known.transpose(*parts[f"position_{name}"].dims)
        np.testing.assert_allclose(parts[f"position_{name}"], known, rtol=1e-9, atol=1e-6)
        for axis in ("driver", "term", "line"):
            total = parts[f"position_{name}_by_{axis}"].sum(axis)
            np.testing.assert_allclose(total, known, rtol=1e-9, atol=1e-5)
        by_year = parts[f"position_{name}_by_year"].sum("year")
        np.testing.assert_allclose(by_year, known.sel(year="all"), rtol=1e-9, atol=1e-5)
        by_member = parts[f"position_{name}_by_member"].sum("member")
        np.testing.assert_allclose(by_member, known.sel(partner="system"), rtol=1e-9, atol=1e-5)


def test_position_at_plan_is_the_settlement_of_the_plan():
    of = msk_toy()
    parts = rs.attribute(of, samples=64)
    planned = rs.settle(of, actuals(of, [30_000, 2850, 13_000], drivers=at_plan(of)))
    for partner in ("commissioner", "acute", "community"):
        found = parts.sel(partner=partner, year="2018/19")
        known = float(planned.position.sel(partner=partner).isel(year=0, sample=0))
        assert abs(float(found.position_at_plan) - known) < 0.02
        assert abs(float(found.position_mean_by_driver.sel(driver="plan")) - known) < 0.02
        for axis in ("term", "line"):
            assert abs(float(found[f"position_at_plan_by_{axis}"].sum()) - known) < 0.02


def at_plan(of):
    return dict.fromkeys(of.indices(), 1.0)


def test_a_line_has_what_its_terms_pay_less_its_cost():
    """M34: the acute has 30 and 40 % of valued deviations, and support, line by line."""
    of = msk_toy()
    found = rs.attribution_samples(of, samples=64)
    acute = found.position_by_line.sel(partner="acute")
    draws = rs.draw(of, samples=64)
    value = draws.activity * draws.case_mix
    outpatients = value.sel(line="outpatients", drop=True) * 120.0
    paid = 30_000 * 120.0 + 0.3 * (outpatients - 3_600_000) + 0.5 * 1_200_000
    cost = rs.simulate(of, samples=64, keep=("line_cost",)).line_cost.sel(line="outpatients")
    np.testing.assert_allclose(
        acute.sel(line="outpatients"), (paid - cost).transpose(*acute.dims[1:]), atol=8
    )
    # what the pool gives is for no line
    pool = rs.simulate(of, samples=64, keep=("posting",)).posting
    pool = pool.sel(term="c.pool", partner="acute")
    np.testing.assert_allclose(acute.sel(line="contract"), pool, atol=8)


def test_a_product_of_two_normal_factors_by_hand():
    """Cost k z1 z2 at k = 20m: each factor has its own step and half of what both make."""
    of = case(
        [line(loadings={"volume": 1.0, "pay": 1.0})],
        [rs.Block()],
        drivers=[normal("volume", 0.1), normal("pay", 0.05, "unit_cost")],
    )
    found = rs.attribution_samples(of, samples=1024).sel(partner=PROVIDER)
    drawn = rs.draw(of, samples=1024).driver_index.astype(np.float64) - 1
    first, second = drawn.sel(driver="volume"), drawn.sel(driver="pay")
    for name, own in (("volume", first), ("pay", second)):
        np.testing.assert_allclose(
            found.position_by_driver.sel(driver=name), -2e7 * (own + first * second / 2), atol=12
        )
        np.testing.assert_allclose(found.alone.sel(driver=name), -2e7 * own, atol=12)
    table = rs.attribute(of, samples=16_384).sel(partner=PROVIDER, year="all")
    both = 2e7 * 0.1 * 0.05 / 2
    for name in ("volume", "pay"):
        row = table.sel(driver=name)
        error = float(row.interaction_standard_deviation_error)
        assert abs(float(row.interaction_standard_deviation) - both) < SPREADS * error
        assert error < 0.02 * both
        assert abs(float(row.interaction_mean)) < SPREADS * float(row.interaction_mean_error) + 1
        assert abs(float(row.alone_mean)) < SPREADS * float(row.alone_mean_error) + 1


def test_a_coalition_is_settled_on_the_experience_it_stands_for():
    """Demand alone, and all but chance, in M34: built by hand from the draws and settled."""
    of = msk_toy()
    bound, sampling = ready(of), sampling_of(64, 5, "sobol", 16)
    players = players_of(of, bound)
    names = [player.name for player in players]
    assert names == ["demand", "case-mix", "price", "delivery[triage]", "delivery[ops]", "chance"]
    coalitions = Coalitions(of, bound, players, sampling)
    alone = np.array([[name == "demand" for name in names]])
    quiet = np.array([[name != "chance" for name in names]])
    found = [part.reshape(1, 4, -1) for part in coalitions.play([alone, quiet])]
    draws = rs.draw(of, samples=64, seed=5)
    index = {str(d): draws.driver_index.sel(driver=d, drop=True) for d in draws.driver.values}
    one = xr.ones_like(index["demand"])
    for position, drawn in zip(found, (("demand",), tuple(names)), strict=True):
        own = {name: index[name] if name in drawn else one for name in index}
        activity = [
            (40_000 - 10_000 * own["delivery[triage]"]) * own["demand"],
            (3000 - 150 * own["delivery[ops]"]) * own["demand"] ** 0.8,
            13_000 * one,
        ]
        mix = [own["case-mix"] ** 0.5, own["case-mix"], one]
        price = [120 * own["price"], 4000 * own["price"], 60 * one]
        lines = xr.DataArray(list(draws.line.values), dims="line")
        experience = xr.Dataset(
            {
                "activity": xr.concat(activity, lines),
                "case_mix": xr.concat(mix, lines),
                "unit_cost": xr.concat(price, lines),
                "driver_index": xr.concat(
                    list(own.values()), xr.DataArray(list(own), dims="driver")
                ),
            }
        ).assign_coords(line=draws.line, driver=list(own))
        known = rs.settle(of, experience, keep=("position",)).position
        np.testing.assert_allclose(
            position, known.transpose("year", "partner", "sample"), rtol=1e-5, atol=10
        )


def game(worths):
    """Play a game given by its values of coalitions, the same in all of 4 replicates."""

    def play(masks):
        for mask in masks:
            rows = [worths[frozenset(np.flatnonzero(row))] for row in mask]
            yield (np.broadcast_to(np.array(rows, float)[:, None], (4, 3)).copy(),)

    return play


def test_shapley_values_of_the_glove_game():
    """One left and two right gloves, a pair being worth 1: 2/3, 1/6, 1/6 (Shapley 1953)."""
    sets = [frozenset(s) for s in ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))]
    worths = {s: float(0 in s and len(s) > 1) for s in sets}
    none, everyone = (np.zeros((4, 3)),), (np.ones((4, 3)),)
    found = shapley(3, game(worths), none, everyone)
    np.testing.assert_allclose(found.shapley[0][:, 0, 0], [2 / 3, 1 / 6, 1 / 6], rtol=1e-12)
    np.testing.assert_array_equal(found.alone[0], 0)
    drawn = sampled(3, game(worths), none, everyone, replicates=4, permutations=200, seed=1)
    np.testing.assert_allclose(drawn.shapley[0].sum(0), 1, rtol=1e-12)
    np.testing.assert_allclose(drawn.shapley[0].mean((1, 2)), [2 / 3, 1 / 6, 1 / 6], atol=0.05)


def test_random_orders_agree_with_all_coalitions_within_their_errors():
    of = rs.load_case("msk-toy")
    exact = rs.attribute(of, samples=4096)
    drawn = rs.attribute(of, samples=4096, permutations=2)
    assert drawn.attrs["permutations"] == 2
    for name in ("position_standard_deviation_by_driver", "position_mean_by_driver"):
        gap = abs(drawn[name] - exact[name])
        error = np.hypot(drawn[f"{name}_error"], exact[f"{name}_error"])
        assert bool((gap <= SPREADS * error + 5).all()), name
    np.testing.assert_allclose(
        drawn.position_mean_by_driver.sum("driver"), drawn.position_mean, rtol=1e-9, atol=1e-5
    )


def test_a_group_has_what_its_drivers_do_together():
    of = case(
        [line(loadings={"volume": 1.0, "pay": 1.0})],
        [rs.Block()],
        drivers=[normal("volume", 0.1), normal("pay", 0.05, "unit_cost")],
    )
    found = rs.attribution_samples(of, samples=64, groups={"both": ["volume", "pay"]})
    both = found.position_by_driver.sel(driver="both", partner=PROVIDER)
    plan = found.position_by_driver.sel(driver="plan", partner=PROVIDER)
    assert found.driver.values.tolist() == ["plan", "plan gap", "both"]
    np.testing.assert_allclose(both, (found.position.sel(partner=PROVIDER) - plan), atol=1e-6)


def test_only_what_is_asked_for_is_split():
    of = rs.load_case("msk-toy")
    found = rs.attribute(of, samples=256, by=["term"])
    split = {str(name).rpartition("_by_")[2] for name in found.data_vars if "_by_" in str(name)}
    assert split == {"term", "term_error"}
    whole = rs.attribute(of, samples=256)
    np.testing.assert_array_equal(found.position_mean_by_term, whole.position_mean_by_term)


def test_a_plan_apart_from_its_parts_is_a_row_of_its_own():
    """The contract plans 11,000 spells, the baseline is 10,000: paid by activity, 2m less."""
    of = case([line(plan=11_000, loadings={"d": 1.0})], drivers=[normal("d", 0.05)])
    found = rs.attribute(of, samples=64).sel(partner=PAYER, year="all")
    rows = found.position_mean_by_driver
    assert float(rows.sel(driver="plan")) == -2.2e7
    assert float(rows.sel(driver="plan gap")) == 2e6
    assert abs(float(rows.sel(driver="d"))) < 5e4


def test_a_delivery_that_is_certain_and_off_plan_is_a_driver():
    change = rs.Change(
        name="c", owner=PAYER, source="spells", size=0.1, delivery=rs.Delivery(value=0.5)
    )
    found = rs.attribute(case(changes=[change]), samples=64).sel(partner=PAYER, year="all")
    rows = found.position_mean_by_driver
    assert rows.driver.values.tolist() == ["plan", "plan gap", "delivery[c]"]
    np.testing.assert_allclose(rows.sel(driver="delivery[c]"), -1e6, rtol=1e-6)


def test_present_values_are_split_like_money_of_the_day():
    of = case([line(loadings={"d": 1.0})], drivers=[normal("d", 0.05)], count=3)
    found = rs.attribute(of, samples=256, discount_rate=0.05)
    table = rs.summarise(rs.simulate(of, samples=256, keep=("position",)), discount_rate=0.05)
    np.testing.assert_allclose(
        found.position_mean_by_driver.sum("driver").sel(year="all"),
        table.position_mean.sel(year="all"),
        rtol=1e-9,
    )
    by_year = found.position_mean_by_year.sel(partner=PAYER)
    ratio = by_year.values[1] / by_year.values[0]
    mean = table.position_mean.sel(partner=PAYER)
    np.testing.assert_allclose(ratio, mean.values[1] / mean.values[0] / 1.05, rtol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": (95,)}, "is 0.95 meant"),
        ({"levels": (0.9, 0.9)}, "each once"),
        ({"levels": ("high",)}, "accepted: confidences"),
        ({"permutations": 3}, "an even number"),
        ({"groups": {"g": ["dmand"]}}, "demand"),
        ({"groups": {"g": ["demand"], "h": ["demand"]}}, "accepted: in one"),
        ({"groups": {"price": ["demand"]}}, "name it otherwise"),
        ({"groups": {"g": "demand"}}, "a list of names"),
        ({"by": ["colour"]}, "accepted: a list of driver, term"),
        ({"discount_rate": 3.5}, "0.035 meant"),
    ],
)
def test_what_means_nothing_is_refused(options, message):
    with pytest.raises(rs.ArgumentError, match=message):
        rs.attribute(rs.load_case("msk-toy"), **options)


def test_prices_that_a_case_has_not_are_refused_before_the_runs(monkeypatch):
    def begun(*arguments):
        raise AssertionError("work was begun before the mistake was told")

    monkeypatch.setattr("riskshare.analysis.attribution.split_positions", begun)
    with pytest.raises(rs.ArgumentError, match="state deflator in the case"):
        rs.attribute(rs.load_case("msk-toy"), prices="real")


def test_the_plan_of_years_and_members_adds_up_as_discounted():
    """1/1.1 a year from the first: by hand, and to the row of all years and to the system."""
    of = rs.load_case("mid-nottinghamshire-msk")
    parts = rs.attribute(of, samples=64, by=["year", "member"], discount_rate=0.1)
    plain = rs.attribute(of, samples=64, by=["year"]).position_at_plan_by_year
    row = parts.position_at_plan.sel(year="all")
    by_year = parts.position_at_plan_by_year.drop_sel(year="all")
    np.testing.assert_allclose(by_year.sum("year"), row, atol=1e-6)
    factor = (
        parts.position_mean_by_year
        / rs.attribute(of, samples=64, by=["year"]).position_mean_by_year
    )
    acute = {"partner": "acute", "year": ["2018/19", "2019/20"]}
    np.testing.assert_allclose(by_year.sel(acute) / plain.sel(acute), factor.sel(acute), rtol=1e-9)
    assert float(factor.sel(acute)[1] / factor.sel(acute)[0]) == pytest.approx(1 / 1.1, rel=1e-3)
    members = parts.position_at_plan_by_member.sel(year="all")
    assert float(members.sum()) == pytest.approx(float(row.sel(partner="system")))
    assert float(members.sel(member="acute")) == pytest.approx(float(row.sel(partner="acute")))


def test_people_one_by_one_are_chance_and_at_plan_cost_their_mean():
    """200 people of 2,000 on average, cover beyond 20,000: at plan nobody is above it."""
    people = rs.People(law=Lognormal(cv=3.0))
    of = case(
        [
            line(
                baseline=200,
                loadings={"d": 1.0},
                noise=rs.Noise(law="poisson"),
                people=people,
            )
        ],
        [
            rs.CostReimbursement(),
            rs.StopLoss(from_="external", to=PAYER, attachment=20_000.0, coinsurance=1.0),
        ],
        drivers=[normal("d", 0.05)],
    )
    found = assert_parts_add_up(of).sel(partner=PAYER, year="2018/19")
    rows = found.position_by_driver
    np.testing.assert_allclose(rows.sel(driver="plan"), -400_000)
    drawn = rs.draw(of, samples=256, seed=3).driver_index.sel(driver="d", year="2018/19")
    alone = found.alone.sel(driver="d")
    np.testing.assert_allclose(alone, -400_000 * (drawn - 1.0), rtol=1e-5, atol=1)


@pytest.mark.slow
def test_a_capacity_a_delay_thinning_and_a_t_copula_add_up():
    of = case(
        [
            line(
                baseline=500,
                loadings={"d": 1.0},
                noise=rs.Noise(law="negative-binomial", overdispersion=0.01),
                capacity=rs.Capacity(units=480),
            ),
            line("b", loadings={"e": 1.0}, unit_cost_noise=rs.Noise(law="gamma", cv=0.1)),
        ],
        drivers=[normal("d", 0.05), normal("e", 0.05)],
        changes=[
            rs.Change(
                name="c",
                owner=PAYER,
                source="b",
                size=0.1,
                delay=rs.Delay(law="normal", value=0.3, sd=0.1),
                delivery=rs.Delivery(interval=[0.5, 1.2]),
            ),
            rs.Change(name="t", owner=PAYER, source="b", size=0.01, thinning=True),
        ],
        dependence=rs.Dependence(copula="student-t", degrees_of_freedom=6.0),
        count=2,
    )
    found = assert_parts_add_up(of)
    assert found.driver.values.tolist()[2:] == ["d", "e", "delivery[c]", "delay[c]", "chance"]
    assert (
        abs(found.alone).isel(driver=slice(2, None)).max(("sample", "year", "partner")) > 0
    ).all()
