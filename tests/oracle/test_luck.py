"""Chance of being paid or charged by luck: enumeration, closed forms, Medicare's own figures."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import riskshare as rs
from benchmarks.luck import CLAIMS, CONFIDENCE, SCALE, SETTLEMENTS, person_years, scale, settled
from riskshare.analysis.people import CostList

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"

needs_claims = pytest.mark.skipif(
    not (DATA / CLAIMS).exists(), reason="the claims file is not beside the project"
)
needs_settlements = pytest.mark.skipif(
    not ((DATA / SETTLEMENTS).exists() and (DATA / SCALE).exists()),
    reason="the Medicare settlements are not beside the project",
)

MONEY = ("payment", "charge", "net")
CHANCES = ("probability_paid", "probability_charged")


@pytest.fixture(scope="module")
def claims():
    return person_years(DATA / CLAIMS, "2008", "2009")


def close(table, name, expected, errors=4.0):
    """Whether a drawn figure lies within so many standard errors of what it must be."""
    gap = np.abs(table[name] - expected)
    assert bool((gap <= errors * table[f"{name}_error"] + 1e-12).all()), (name, table[name].values)


def normal_people(rho, people=200_000, variation=0.25):
    scores = np.random.default_rng(5).standard_normal((2, people))
    base = 1 + variation * scores[0]
    after = 1 + variation * (rho * scores[0] + np.sqrt(1 - rho**2) * scores[1])
    return np.maximum(800 * base, 0), np.maximum(1_000 * after, 0)


def skewed_people(people=4_000, seed=3):
    draw = np.random.default_rng(seed)
    level = draw.gamma(0.5, size=people)
    return 900 * draw.gamma(0.7, level), 1_100 * draw.gamma(0.7, level)


def enumerated(base, performance, members, corridor, share, saving, *, same):
    """Every population that can be drawn, each as likely: chances and money, by hand."""
    trend = np.mean(performance) / np.mean(base)
    groups = np.array(list(itertools.product(range(len(base)), repeat=members)))
    benchmark = np.asarray(base)[groups].mean(1) * trend
    cost = np.asarray(performance)[groups].mean(1) * (1 - saving)
    if not same:
        benchmark, cost = benchmark[:, None], cost[None, :]
    rate = 1 - cost / benchmark
    money = share * (benchmark - cost)
    paid, charged = rate >= corridor, rate <= -corridor
    edge = share * corridor * benchmark
    return {
        "savings_rate_mean": rate.mean(),
        "savings_rate_standard_deviation": rate.std(),
        "probability_paid": paid.mean(),
        "probability_charged": charged.mean(),
        "payment": ((money * paid).mean(), ((money - edge) * paid).mean()),
        "charge": ((-money * charged).mean(), ((-money - edge) * charged).mean()),
        "net": (
            (money * (paid | charged)).mean(),
            ((money - edge) * paid + (money + edge) * charged).mean(),
        ),
    }


@pytest.mark.parametrize(("listed", "members"), [(6, 4), (4, 6)])  # fewer and more than the list
@pytest.mark.parametrize("people", ["same", "different"])
def test_draws_are_those_of_all_populations_enumerated(listed, members, people):
    base = np.array([100.0, 250.0, 900.0, 40.0, 310.0, 1200.0])[:listed]
    performance = np.array([300.0, 120.0, 1_100.0, 90.0, 500.0, 700.0])[:listed]
    if people == "different":
        members = 4
    corridor, share, saving = 0.1, 0.4, 0.05
    expected = enumerated(
        base, performance, members, corridor, share, saving, same=people == "same"
    )

    found = rs.luck(
        base,
        performance,
        members=members,
        corridor=corridor,
        share=share,
        saving=saving,
        replicates=20_000,
    ).sel(cost="full", people=people)

    for name, value in expected.items():
        if isinstance(value, tuple):
            for reading, money in zip(("first-dollar", "excess-only"), value, strict=True):
                close(found.sel(reading=reading), name, money)
        else:
            close(found, name, value)


@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_normal_people_give_the_normal_chance(rho):
    """Means of normal people are normal, so P(r >= c) = P((1 - c) x - y >= 0) is exact."""
    base, performance = normal_people(rho)
    sizes, c = np.array([100, 200, 400]), 0.02
    found = rs.luck(
        base, performance, members=sizes, share=1, truncation_level=0.9999, replicates=8_000
    ).sel(cost="full", people="same")

    for name, edge in (("probability_paid", 1 - c), ("probability_charged", 1 + c)):
        deviation = 0.25 * np.sqrt(edge**2 + 1 - 2 * rho * edge)
        exact = stats.norm.cdf(-c * np.sqrt(sizes) / deviation)
        # the list of 200,000 is itself drawn: its deviation and means are off a little
        slack = 4 * (1 / np.sqrt(2 * len(base)) + 0.25 / np.sqrt(len(base)))
        assert (np.abs(found[f"{name}_normal"] - exact) < slack * 0.4).all()
        close(found, name, found[f"{name}_normal"])
    # between years of the same people only 1 - rho of the variance is left
    spread = 0.25 * np.sqrt(2 * (1 - rho) / sizes)
    np.testing.assert_allclose(found.savings_rate_standard_deviation_normal, spread, rtol=0.01)
    close(found, "savings_rate_standard_deviation", spread, errors=5)
    assert float(found.correlation) == pytest.approx(rho, abs=0.01)


def test_twice_the_normal_tail_is_the_chance_that_luck_moves_money():
    base, performance = normal_people(0.6)
    found = rs.luck(base, performance, members=200, share=1, replicates=20_000)
    at = found.sel(cost="full", people="same", members=200)

    either = float(at.probability_paid + at.probability_charged)
    deviation = 0.25 * np.sqrt(2 * (1 - 0.6) / 200)
    expected = 2 * stats.norm.sf(0.02 / deviation)

    assert either == pytest.approx(expected, abs=4 * np.sqrt(either * (1 - either) / 20_000))


def test_different_people_lose_the_correlation():
    base, performance = normal_people(0.6)
    found = rs.luck(base, performance, members=300, share=1, replicates=4_000)
    at = found.sel(cost="full", people="different")

    close(at, "savings_rate_standard_deviation", 0.25 * np.sqrt(2 / 300), errors=5)


@pytest.mark.parametrize("saving", [0.0, 0.015])
def test_money_in_the_limit_is_that_of_two_normal_means(saving):
    base, performance = skewed_people()
    size, corridor, share = 20_000, 0.02, 0.75
    found = rs.luck(
        base,
        performance,
        members=size,
        share=share,
        corridor=corridor,
        saving=saving,
        replicates=10,
    ).sel(cost="full", people="same", members=size)
    draws = np.random.default_rng(8).multivariate_normal(
        [base.mean(), performance.mean()], np.cov(base, performance, ddof=0) / size, 1_000_000
    )
    benchmark = draws[:, 0] * performance.mean() / base.mean()
    gain = benchmark - (1 - saving) * draws[:, 1]
    edge = corridor * benchmark
    for name, side in (("payment", gain), ("charge", -gain)):
        happens = side >= edge
        for reading, money in (("first-dollar", side), ("excess-only", side - edge)):
            series = share * money * happens
            error = series.std() / 1_000
            value = float(found[f"{name}_normal"].sel(reading=reading))
            assert value == pytest.approx(series.mean(), abs=4 * error), (name, reading)
        chance = float(found[f"probability_{'paid' if name == 'payment' else 'charged'}_normal"])
        assert chance == pytest.approx(happens.mean(), abs=4 * happens.std() / 1_000)


def test_bootstrap_theory_of_spread_and_mean():
    """SD sqrt(var(y/Y - x/X) / n), and the mean falls below zero as the benchmark is noisy too."""
    base, performance = skewed_people()
    size = 2_000
    found = rs.luck(base, performance, members=size, share=1, replicates=10_000).isel(members=0)
    a, b = performance / performance.mean(), base / base.mean()
    at = found.sel(cost="full", people="same")

    close(at, "savings_rate_standard_deviation", np.std(a - b) / np.sqrt(size), errors=5)
    close(at, "savings_rate_mean", -np.mean(b * (b - a)) / size)
    own, apart = np.var(a - b), np.var(a) + np.var(b)
    assert float(found.person_standard_deviation.sel(cost="full", people="same")) == pytest.approx(
        own**0.5
    )
    assert float(
        found.person_standard_deviation.sel(cost="full", people="different")
    ) == pytest.approx(apart**0.5)


def test_the_lists_own_error_is_what_lists_drawn_again_differ_by():
    base, performance = skewed_people(people=3_000)
    found = CostList.of(base, performance, 0.99)
    draw = np.random.default_rng(2)
    again = []
    for _ in range(600):
        chosen = draw.integers(0, len(base), len(base))
        again.append(CostList.of(base[chosen], performance[chosen], 0.99).deviation)
    expected = np.std(again, axis=0)

    # 600 lists know their spread to 3 %; the truncation point's own error adds a little
    np.testing.assert_allclose(found.deviation_error, expected, rtol=0.15)


def test_costs_count_up_to_the_quantile_of_their_year():
    base, performance = skewed_people(people=1_000)
    found = rs.luck(base, performance, members=500, share=1, replicates=10)

    points = [np.sort(base)[989], np.sort(performance)[989]]  # the 990th of 1,000
    np.testing.assert_array_equal(found.truncated_at, points)
    np.testing.assert_allclose(
        found.mean_cost.sel(cost="truncated"),
        [np.minimum(base, points[0]).mean(), np.minimum(performance, points[1]).mean()],
    )
    assert bool(
        (
            found.person_standard_deviation.sel(cost="truncated")
            < found.person_standard_deviation.sel(cost="full")
        ).all()
    )


def test_prices_change_money_and_no_chance():
    base, performance = skewed_people()
    one = rs.luck(base, performance, members=2_000, share=0.5, replicates=500)
    other = rs.luck(2 * base, 3 * performance, members=2_000, share=1, replicates=500)

    for name in CHANCES:
        np.testing.assert_array_equal(one[name], other[name])
    for name in MONEY:
        np.testing.assert_allclose(6 * one[name], other[name], rtol=1e-9)


def test_a_real_saving_is_paid_for_and_one_at_the_corridor_half_the_time():
    base, performance = normal_people(0.6, people=20_000)
    at = {"cost": "full", "people": "same", "members": 2_000}
    large = rs.luck(base, performance, members=2_000, share=1, saving=0.06, replicates=200).sel(at)
    even = rs.luck(base, performance, members=2_000, share=1, saving=0.02, replicates=4_000).sel(at)

    assert float(large.probability_paid) == 1  # seven standard deviations from the corridor
    close(large.sel(reading="first-dollar"), "payment", 0.06 * performance.mean())
    close(large.sel(reading="excess-only"), "payment", 0.04 * performance.mean())
    close(even, "probability_paid", 0.5)


def test_another_size_and_more_replicates_move_no_draw():
    base, performance = skewed_people(people=500)
    alone = rs.luck(base, performance, members=1_000, share=1, replicates=50)
    among = rs.luck(base, performance, members=[700, 1_000], share=1, replicates=50)
    listed = CostList.of(base, performance, 0.99)

    assert alone.isel(members=0).equals(among.sel(members=1_000))
    np.testing.assert_array_equal(
        listed.means_of(300, 20, 1), listed.means_of(300, 40, 1)[..., :20]
    )


def test_a_corridor_for_each_size():
    base, performance = skewed_people()
    both = rs.luck(
        base, performance, members=[5_000, 9_000], corridor=[0.039, 0.031], share=1, replicates=300
    )
    one = rs.luck(base, performance, members=9_000, corridor=0.031, share=1, replicates=300)

    assert both.sel(members=9_000).equals(one.isel(members=0))


def test_minimum_population_is_the_normal_one_and_the_least():
    base, performance = skewed_people()
    chance, corridor = 0.05, 0.03
    found = rs.minimum_population(
        base, performance, chance=chance, corridor=corridor, replicates=4_000
    )
    a, b = performance / performance.mean(), base / base.mean()
    z = stats.norm.isf(chance)
    for outcome, edge in (("paid", 1 - corridor), ("charged", 1 + corridor)):
        exact = (z * np.std(edge * b - a) / corridor) ** 2
        at = found.sel(cost="full", outcome=outcome)
        assert int(at.members) == int(np.floor(exact)) + 1
        close(at, "probability", chance)
    least = int(found.members.sel(cost="full", outcome="either"))
    around = rs.luck(
        base, performance, members=[least - 1, least], corridor=corridor, share=1, replicates=2
    ).sel(cost="full", people="same")
    either = around.probability_paid_normal + around.probability_charged_normal
    assert float(either[0]) >= chance > float(either[1])


def test_minimum_population_knows_how_sure_the_list_makes_it():
    base, performance = skewed_people(people=2_000)
    given = {"chance": 0.1, "corridor": 0.05, "replicates": 2}
    found = rs.minimum_population(base, performance, **given)
    draw = np.random.default_rng(4)
    again = []
    for _ in range(200):
        chosen = draw.integers(0, len(base), len(base))
        again.append(
            rs.minimum_population(base[chosen], performance[chosen], **given).members.values
        )

    # 200 lists know their spread to 5 %
    np.testing.assert_allclose(found.members_error, np.std(again, axis=0), rtol=0.2)


GOOD = np.array([100.0, 250.0, 900.0, 0.0])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"base": GOOD[:3]}, "base has 3 people, performance 4; accepted: the same people"),
        ({"base": [1.0, np.nan, 2.0, 3.0]}, r"base: 1 of 4 costs are not finite.*place 1 \(nan\)"),
        ({"performance": [1.0, 2.0, np.inf, 3.0]}, "performance: 1 of 4 costs are not finite"),
        ({"performance": [1.0, -2.0, 3.0, -4.0]}, "2 of 4 costs are below 0, the first at place 1"),
        ({"base": ["a", "b", "c", "d"]}, "base holds .*accepted: numbers"),
        ({"base": [[1.0], [1.0, 2.0]]}, "base is no list"),
        ({"base": [[1.0, 2.0], [1.0, 2.0]]}, "base has 2 dimensions"),
        ({"base": [1.0], "performance": [1.0]}, "base has 1 people; accepted: at least 2"),
        ({"base": np.zeros(4)}, "base: nobody has a cost above 0"),
        ({"members": 0}, "members is 0; accepted: a whole number"),
        ({"members": 50.5}, "members is 50.5"),
        ({"members": [100, 100]}, "each once"),
        ({"members": []}, "at least one size"),
        ({"members": 5}, "members holds 5: of so few, all may be without cost.*or more"),
        ({"share": 0}, "share is 0"),
        ({"share": 50}, "share is 50; .*is 0.5 meant"),
        ({"corridor": 2}, "corridor is 2; .*is 0.02 meant"),
        ({"corridor": -0.02}, "corridor is -0.02"),
        ({"corridor": [0.02, 0.03]}, "corridor has 2 values; accepted: one, or one for each of 1"),
        ({"saving": 3}, "saving is 3; .*is 0.03 meant"),
        ({"truncation_level": 99}, "truncation_level is 99; .*is 0.99 meant"),
        ({"replicates": 1}, "replicates is 1"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_what_means_nothing_is_refused(given, told):
    call = {"base": GOOD, "performance": GOOD, "members": 100, "share": 0.5, "replicates": 10}

    with pytest.raises(rs.ArgumentError, match=told):
        rs.luck(**(call | given))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"chance": 5}, "chance is 5; .*is 0.05 meant"),
        ({"chance": 0.5}, "accepted: above 0, below 0.5"),
        ({"corridor": 0}, "corridor is 0"),
        ({"corridor": 1e-5}, "more than 10,000,000 members are needed"),
    ],
)
def test_a_minimum_that_means_nothing_is_refused(given, told):
    base, performance = skewed_people(people=200)

    with pytest.raises(rs.ArgumentError, match=told):
        rs.minimum_population(base, performance, **({"chance": 0.05, "replicates": 10} | given))


@needs_claims
def test_full_year_members_of_the_claims_file(claims):
    """The published rank correlation of full-year fee-for-service members of 2008 and 2009."""
    base, performance = claims

    assert len(base) == 5_517
    assert round(stats.spearmanr(base, performance).statistic, 2) == 0.73


@needs_claims
def test_claims_drawn_agree_with_theory_from_5000_people(claims):
    found = rs.luck(*claims, members=[5_000, 20_000, 50_000], share=0.5, replicates=2_000)

    for name in ("savings_rate_mean", "savings_rate_standard_deviation", *CHANCES, *MONEY):
        close(found, name, found[f"{name}_normal"])


@needs_claims
@needs_settlements
def test_medicares_sliding_scale_is_what_luck_gives_these_people(claims):
    """Rates at 5,000, 20,000 and 50,000 lives hold luck to 10, 5 and 1 % of populations."""
    sizes, rates = scale(DATA / SCALE)
    person = CostList.of(*claims, 0.99)
    deviation, error = person.deviation[0, 0], person.deviation_error[0, 0]

    for size, confidence in CONFIDENCE.items():
        rate = rates[sizes.index(size)]
        implied = rate * np.sqrt(size) / stats.norm.ppf(confidence)
        rounding = 0.0005 / rate * implied  # rates are printed to 0.1 %
        assert deviation == pytest.approx(implied, abs=3 * error + rounding)


@needs_settlements
def test_published_spread_of_savings_rates_by_size():
    """About 4 points; 4.6 to 4.9 below 10,000 lives; 2.7 to 3.1 from 30,000: here PY2022."""
    year, members, rates = settled(DATA / SETTLEMENTS)
    rates, members = 100 * rates[year == 2022], members[year == 2022]

    assert round(rates.std(ddof=1), 1) == 4.0
    assert 4.6 <= round(rates[members < 10_000].std(ddof=1), 1) <= 4.9
    assert 2.7 <= round(rates[members >= 30_000].std(ddof=1), 1) <= 3.1


@needs_claims
@needs_settlements
def test_luck_is_part_of_the_real_spread_and_less_of_it_where_populations_are_large(claims):
    year, members, rates = settled(DATA / SETTLEMENTS)
    person = CostList.of(*claims, 0.99).deviation[0, 0]
    shares = []
    for chosen in (members < 10_000, members >= 30_000):
        chosen = chosen & (year == 2022)
        shares.append(person**2 * np.mean(1 / members[chosen]) / np.var(rates[chosen]))

    assert 0.5 > shares[0] > 2 * shares[1] > 0


@needs_claims
def test_the_page_shows_what_the_function_gives(claims):
    text = (ROOT / "docs" / "luck.md").read_text(encoding="utf-8")
    table = text.split("| SD of savings rate, % |")[1].split("\n\n")[0]
    pattern = r"^\| ([\d,]+) \| ([\d.]+) \(([\d.]+)\) \|[^|]*\| ([\d.]+) \(([\d.]+)\)"
    rows = re.findall(pattern, table, re.MULTILINE)
    shown = {int(n.replace(",", "")): [float(v) for v in rest] for n, *rest in rows}
    sizes = [1_000, 5_000, 20_000]
    found = rs.luck(*claims, members=sizes, share=0.5, replicates=2_000, seed=7)
    found = 100 * found.sel(cost="truncated", people="same")

    for size in sizes:
        at = found.sel(members=size)
        names = ("savings_rate_standard_deviation", "probability_paid")
        for name, (value, error) in zip(names, (shown[size][:2], shown[size][2:]), strict=True):
            both = np.hypot(error, float(at[f"{name}_error"]))
            assert float(at[name]) == pytest.approx(value, abs=4 * both)
