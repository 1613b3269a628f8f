"""Contracts on the same samples: differences, their errors, dominance, and the usual versions."""

import numpy as np
import pytest
import scipy.integrate
import scipy.stats as st
import xarray as xr
from builders import PAYER, PROVIDER, case, line

import riskshare as rs
from riskshare.analysis.dominance import dominance, ranked
from riskshare.analysis.paired import Side, differences
from riskshare.analysis.systems import differing
from riskshare.laws import Lognormal
from riskshare.statistics import Replicates

SD = 1e6
"""Of a provider that is paid 20 million and whose cost is normal about that."""
AT = {"partner": PROVIDER, "year": "all"}
Z = st.norm


def normal(*terms, budgets=(), **fields):
    """A provider whose cost is 20 million times a normal index with a spread of 5 %."""
    pay = rs.Driver(name="pay", acts_on="unit_cost", law="normal", sd=0.05)
    lines = [line(loadings={"pay": 1.0})]
    return case(lines, list(terms) or None, budgets=budgets, drivers=[pay], **fields)


def shared(share=0.4):
    """The commissioner bears a share of the cost: the provider's spread falls by as much."""
    return normal(
        rs.ActivityPayment(name="price", share=1 - share), rs.CostReimbursement(share=share)
    )


def gift(amount):
    return rs.Funding(name="gift", from_="external", to=PROVIDER, amount=amount)


def within(found, name, expected, errors=4.0, **at):
    """A figure is as expected within its own standard error, which is not all there is."""
    value, error = (float(found[f"{name}{end}"].sel(at)) for end in ("", "_error"))
    assert abs(value - expected) <= errors * error + 1e-9 * SD, (name, value, expected, error)
    return error


def tail(q):
    """The mean loss of the worst 1 - q of a standard normal."""
    return Z.pdf(Z.ppf(q)) / (1 - q)


# differences in closed form


def test_a_share_of_cost_takes_its_part_of_every_spread():
    table = rs.compare({"price": normal(), "open book": shared(0.4)}, samples=16_384)
    found = table.sel(**AT, contract="open book")
    within(found, "difference_mean", 0.0)
    within(found, "difference_standard_deviation", -0.4 * SD)
    for p in (0.05, 0.25, 0.75, 0.95):
        within(found, "difference_quantile", -0.4 * SD * Z.ppf(p), level=p)
        within(found, "gain_quantile", 0.4 * SD * Z.ppf(p), level=p)
    for q in (0.75, 0.95, 0.995):
        within(found, "difference_value_at_risk", -0.4 * SD * Z.ppf(q), level=q)
        within(found, "difference_tail_value_at_risk", -0.4 * SD * tail(q), level=q)
    within(found, "gain_standard_deviation", 0.4 * SD)
    within(found, "probability_better", 0.5)


def test_a_gift_is_found_to_the_penny_whatever_the_spread():
    of = {"price": normal(), "gift": normal(rs.ActivityPayment(), gift(250_000.0))}
    found = rs.compare(of, samples=4096, precision="float64").sel(**AT, contract="gift")
    assert float(found.difference_mean) == pytest.approx(250_000.0, abs=1e-6)
    assert float(found.difference_mean_error) < 1e-6
    assert float(found.position_mean_error) > 1.0
    np.testing.assert_allclose(found.difference_quantile, 250_000.0, atol=1e-6)
    np.testing.assert_allclose(found.difference_tail_value_at_risk, -250_000.0, atol=1e-6)
    within(found, "difference_probability_of_deficit", Z.cdf(-0.25) - 0.5)
    assert float(found.probability_better) == 1.0
    assert float(found.gain_standard_deviation) < 1e-6


def test_a_corridor_cuts_the_tails_as_the_normal_integrals_say():
    corridor = rs.Pool(
        budget="plan",
        cost_of=["spells"],
        holder=PROVIDER,
        key="fixed",
        share={PAYER: 1.0},
        corridors=[rs.Corridor(beyond=0.03, rate=0.5)],
    )
    covered = normal(rs.ActivityPayment(), corridor, budgets=[rs.Budget(name="plan")])
    table = rs.compare([*named(price=normal(), corridor=covered)], samples=16_384)
    found = table.sel(**AT, contract="corridor")

    def kept(z):
        return z if abs(z) <= 0.6 else np.sign(z) * (0.6 + 0.5 * (abs(z) - 0.6))

    def mean_of(g, a, b):
        return scipy.integrate.quad(lambda z: g(z) * Z.pdf(z), a, b, points=[-0.6, 0.6])[0]

    spread = np.sqrt(mean_of(lambda z: kept(z) ** 2, -8.0, 8.0))
    within(found, "difference_mean", 0.0)
    within(found, "difference_standard_deviation", (spread - 1) * SD)
    for p in (0.05, 0.5, 0.95):
        z = Z.ppf(p)
        within(found, "difference_quantile", (kept(z) - z) * SD, level=p)
    bad = mean_of(lambda z: z - kept(z), -8.0, Z.ppf(0.05)) / 0.05
    within(found, "difference_tail_value_at_risk", bad * SD, level=0.95)
    # nobody gains or loses within the corridor, where nothing is paid
    within(found, "probability_better", Z.cdf(-0.6))
    within(found, "probability_worse", Z.cdf(-0.6))


def named(**cases):
    """Cases that bear the names given."""
    return [rs.Case(**{**fields(of), "name": name}) for name, of in cases.items()]


def fields(of):
    return {name: getattr(of, name) for name in of.__dataclass_fields__}


# dominance


def test_more_money_for_certain_is_better_for_anybody():
    of = {"price": normal(), "gift": normal(rs.ActivityPayment(), gift(1000.0))}
    table = rs.compare(of, samples=4096).sel(**AT)
    assert list(table.dominance.values) == ["same", "first"]
    assert float(table.dominates_first_violation.sel(contract="gift")) == 0.0
    assert rs.compare(of, against="gift", samples=4096).sel(**AT).dominance[0] == "dominated-first"


def test_a_spread_about_the_same_mean_is_worse_for_whoever_shuns_risk():
    of = {"price": normal(), "open book": shared(0.4)}
    calm = rs.compare(of, samples=16_384).sel(**AT, contract="open book")
    wild = rs.compare(of, samples=16_384, against="open book").sel(**AT, contract="price")
    assert str(calm.dominance.values) == "second"
    assert str(wild.dominance.values) == "dominated-second"
    # E[(t - X)+] of N(0, s) is largest in difference at t = 0, where it is s / sqrt(2 pi)
    within(wild, "dominates_second_violation", 0.4 * SD * Z.pdf(0.0))
    # F - G of N(0, 1) and N(0, 0.6) is largest where the densities cross
    z = -np.sqrt(2 * np.log(1 / 0.6) / (1 / 0.6**2 - 1))
    within(wild, "dominates_first_violation", Z.cdf(z) - Z.cdf(z / 0.6))
    within(calm, "dominated_second_violation", 0.4 * SD * Z.pdf(0.0))
    assert float(calm.dominates_second_violation) <= 2 * float(
        calm.dominates_second_violation_error
    )


def test_less_money_and_less_risk_is_a_matter_of_taste():
    safe = normal(
        rs.ActivityPayment(name="price", share=0.6), rs.CostReimbursement(share=0.4), gift(-2e5)
    )
    found = rs.compare({"price": normal(), "safe": safe}, samples=4096).sel(**AT, contract="safe")
    assert str(found.dominance.values) == "none"


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_same_money_another_way_is_the_same(precision):
    halves = [rs.ActivityPayment(name=name, share=0.5) for name in ("first", "second")]
    of = {"price": normal(), "halves": normal(*halves)}
    table = rs.compare(of, samples=4096, precision=precision).sel(contract="halves")
    assert set(table.dominance.values.ravel()) == {"same"}
    assert float(table.probability_better.max()) == 0.0
    assert float(table.probability_worse.max()) == 0.0


@pytest.mark.parametrize("weighted", [False, True])
def test_violations_are_the_largest_gaps_between_the_distribution_functions(weighted):
    random = np.random.default_rng(4)
    for _ in range(50):
        x, y = random.integers(-6, 7, size=(2, 40)) * 0.5 + random.integers(0, 2)
        weights = random.integers(1, 5, 40).astype(float) if weighted else np.ones(40)
        replicates = Replicates().weighted(weights)
        found = dominance(ranked(x, replicates), ranked(y, replicates), replicates)
        places = np.union1d(x, y)
        share = weights / weights.sum()
        first = [share @ (x <= t) - share @ (y <= t) for t in places]
        second = [share @ np.maximum(t - x, 0) - share @ np.maximum(t - y, 0) for t in places]
        told = [violation.value for violation in found]
        naive = [max(first), max(second), -min(first), -min(second)]
        np.testing.assert_allclose(told, np.maximum(naive, 0), atol=1e-12)
        if np.isclose(first, max(first)).sum() == 1 and max(first) > 0:
            place = places[np.argmax(first)]
            error = replicates.error((x <= place).astype(float) - (y <= place))
            assert found.first.error == pytest.approx(error)


# the error of a difference


TRUTH = {
    "mean": 0.1,
    "standard_deviation": np.sqrt(0.73) - 1,
    "probability_of_deficit": Z.cdf(-0.1 / np.sqrt(0.73)) - 0.5,
    "quantile": 0.1 + (np.sqrt(0.73) - 1) * Z.ppf(0.05),
    "tail_value_at_risk": -0.1 + (np.sqrt(0.73) - 1) * tail(0.95),
}
"""Of 0.8 x + 0.3 e + 0.1 less those of x, both standard normal."""

LOWEST, HIGHEST = 0.90, 0.985
"""What 200 intervals of 95 % may hold: 3.2 and 2.3 binomial standard errors away."""


def drawn(seed, evenly):
    """2,048 pairs of normals: independent, or 16 randomly shifted copies of a Sobol' set."""
    random = np.random.default_rng(seed)
    if not evenly:
        return random.standard_normal((2048, 2)), Replicates()
    points = st.qmc.Sobol(2, scramble=False).random(128)
    shifted = (points + random.random((16, 1, 2)) + 0.5 / 128) % 1
    labels = np.repeat(np.arange(16), 128)
    return Z.ppf(np.clip(shifted, 1e-9, 1 - 1e-9)).reshape(-1, 2), Replicates.labelled(labels)


@pytest.mark.parametrize("evenly", [False, True], ids=["independent", "quasi-random"])
def test_intervals_of_differences_hold_the_truth_as_often_as_they_say(evenly):
    levels, held = np.array([0.05, 0.95]), []
    wide = st.t(15).ppf(0.975) if evenly else Z.ppf(0.975)
    for seed in range(200):
        scores, replicates = drawn(seed, evenly)
        x = scores[:, 0]
        y = 0.8 * x + 0.3 * scores[:, 1] + 0.1
        other, one = (Side(values, levels, replicates, 0.0) for values in (x, y))
        found = differences(one, other)
        at = {"quantile": 0, "tail_value_at_risk": 1}
        row = []
        for name, truth in TRUTH.items():
            value, error = (
                np.atleast_1d(part)[at.get(name, 0)]
                for part in (found[name].value, found[name].error)
            )
            row.append(abs(value - truth) <= wide * error)
        held.append(row)
    shares = dict(zip(TRUTH, np.mean(held, axis=0), strict=True))
    assert all(LOWEST <= share <= HIGHEST for share in shares.values()), shares


@pytest.fixture(scope="module")
def toy():
    return rs.load_case("msk-toy")


NEAR = [
    ("msk-toy", "acute"),
    *(
        pytest.param(*names, marks=pytest.mark.slow)
        for names in (
            ("mid-nottinghamshire-msk", "acute"),
            ("dorset-block", "bournemouth"),
            ("german-hospital", "hospital"),
            ("alzira", "company"),
            ("trust-in-several-systems", "trust"),
        )
    ),
]


def pair(toy):
    return {"agreed": toy, "half": toy.with_numbers({"msk.marginal-rate.rate[inpatients]": 0.7})}


NUMBERS = ("mean", "standard_deviation", "probability_of_deficit", "quantile", "tail_value_at_risk")


def numbers(toy, **asked):
    """Differences for the hospital over all years, and their errors."""
    found = rs.compare(pair(toy), levels=(0.05, 0.95), **asked)
    found = found.sel(contract="half", partner="acute", year="all")
    picked = [
        found[f"difference_{name}{end}"].values.ravel()[-1 if "tail" in name else 0]
        for end in ("", "_error")
        for name in NUMBERS
    ]
    return np.array(picked).reshape(2, -1)


@pytest.fixture(scope="module")
def truth(toy):
    return numbers(toy, samples=2**20, replicates=64, seed=99_999)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["sobol", "pseudo-random", "tail directions"])
def test_intervals_of_runs_hold_what_a_long_run_finds(toy, truth, sampler):
    asked = {"sampler": sampler}
    if sampler == "tail directions":
        asked = {"directions": rs.tail_directions(toy, "acute", level=0.05)}
    runs = [numbers(toy, samples=4096, seed=seed, **asked) for seed in range(1, 201)]
    found = np.stack(runs)
    wide = Z.ppf(0.975) if sampler == "pseudo-random" else st.t(15).ppf(0.975)
    held = np.abs(found[:, 0] - truth[0]) <= wide * np.hypot(found[:, 1], truth[1])
    shares = dict(zip(NUMBERS, held.mean(0), strict=True))
    print(sampler, shares)
    assert all(LOWEST <= share <= HIGHEST for share in shares.values()), shares


def test_differences_are_those_of_summaries_and_errors_those_of_paired_replicates(toy):
    of = pair(toy)
    asked = {"samples": 4096, "seed": 5}
    table = rs.compare(of, **asked)
    runs = {name: rs.simulate(one, keep=("position",), **asked) for name, one in of.items()}
    for name, run in runs.items():
        alone = rs.summarise(run)
        for statistic in ("position_mean", "position_quantile", "position_probability_of_deficit"):
            for end in ("", "_error"):
                mine = table[statistic + end].sel(contract=name)
                np.testing.assert_array_equal(mine, alone[statistic + end])
    half = table.sel(contract="half", year="2018/19", partner="acute")
    gain = (runs["half"] - runs["agreed"]).position.sel(year="2018/19", partner="acute")
    means = gain.astype(float).values.reshape(16, -1).mean(1)
    assert float(half.difference_mean) == pytest.approx(means.mean(), rel=1e-9)
    assert float(half.difference_mean_error) == pytest.approx(means.std(ddof=1) / 4, rel=1e-9)
    levels = table.level.values
    exact = np.quantile(gain.astype(float), levels, method="inverted_cdf")
    np.testing.assert_allclose(half.gain_quantile, exact, rtol=1e-6)
    for name in ("mean", "standard_deviation", "quantile", "tail_value_at_risk"):
        apart = table[f"position_{name}"] - table[f"position_{name}"].sel(contract="agreed")
        np.testing.assert_allclose(table[f"difference_{name}"], apart, rtol=1e-9, atol=1e-3)
    agreed = table.sel(contract="agreed")
    assert float(abs(agreed.difference_quantile_error).max()) == 0.0
    assert set(agreed.dominance.values.ravel()) == {"same"}


def ratios(of, partner):
    """How many times the error of two runs apart is that of one comparison, by statistic."""
    near = {name: rs.variants(of, marginal_rate=float(name))["blended"] for name in ("0.5", "0.45")}
    table = rs.compare(near, samples=16_384, sampler="pseudo-random", levels=[0.05, 0.95])
    table = table.sel(year="all", partner=partner)
    found = {}
    for name in ("mean", "standard_deviation", "tail_value_at_risk"):
        at = {"level": 0.95} if name.startswith("tail") else {}
        apart = np.sqrt(float((table[f"position_{name}_error"].sel(at) ** 2).sum()))
        paired = table[f"difference_{name}_error"].sel(contract="0.45", **at)
        found[name] = apart / float(paired)
    return found


@pytest.mark.parametrize(("name", "partner"), NEAR)
def test_five_points_of_a_rate_are_told_apart_five_times_better_than_by_two_runs(name, partner):
    found = ratios(rs.load_case(name), partner)
    assert found["mean"] > 5, found
    assert min(found.values()) > (4 if name == "msk-toy" else 5), found


def test_what_is_shared_cancels_and_what_is_not_does_not(toy):
    """A payer under a rate m has m times the deviation: errors are in ratio of the rates."""
    versions = rs.variants(toy)
    of = {name: versions[name] for name in ("block", "activity", "blended")}
    table = rs.compare(of, against="activity", samples=4096, sampler="pseudo-random")
    payer = table.sel(year="all", partner="commissioner")
    error = float(payer.position_mean_error.sel(contract="activity"))
    assert float(payer.difference_mean_error.sel(contract="blended")) == pytest.approx(error / 2)
    # under a block there is nothing in common, and nothing is gained
    assert float(payer.difference_mean_error.sel(contract="block")) == pytest.approx(error)
    system = table.sel(year="all", partner="system", contract="block")
    assert abs(float(system.difference_mean)) < 1.0


def test_weighted_samples_are_honoured_in_every_difference(toy):
    directions = rs.tail_directions(toy, "acute", level=0.01, samples=16_384)
    plain = rs.compare(pair(toy), samples=16_384).sel(contract="half", partner="acute", year="all")
    table = rs.compare(pair(toy), samples=16_384, directions=directions)
    found = table.sel(contract="half", partner="acute", year="all")
    for name in (
        "difference_mean",
        "difference_standard_deviation",
        "difference_tail_value_at_risk",
        "difference_quantile",
        "gain_standard_deviation",
        "probability_better",
        "dominates_first_violation",
        "dominated_second_violation",
    ):
        error = np.hypot(plain[f"{name}_error"], found[f"{name}_error"])
        assert (abs(found[name] - plain[name]) <= 4.5 * error + 1e-6).all(), name
    assert str(found.dominance.values) == str(plain.dominance.values)
    assert float(
        found.difference_tail_value_at_risk_error.sel(level=0.995)
    ) < 0.5 * plain.difference_tail_value_at_risk_error.sel(level=0.995)


# what is compared with what


def test_a_comparison_says_what_differs_besides_the_contracts(toy):
    other = toy.with_numbers({"lines.outpatients.baseline": 41_000.0})
    aimed = toy.with_numbers({"partners.acute.target": 100_000.0})
    table = rs.compare({"toy": toy, "larger": other, "aimed": aimed}, samples=256)
    assert table.same_system.values.tolist() == [True, False, True]
    assert table.differs.values.tolist() == ["", "lines.outpatients.baseline", ""]
    assert table.target.sel(contract="aimed", partner="acute", year="all") == 100_000.0
    assert table.attrs["against"] == "toy"
    assert len(set(table.case_digest.values)) == 3


def test_names_and_order_of_partners_and_years_are_checked_first(toy):
    mid = rs.load_case("mid-nottinghamshire-msk")
    with pytest.raises(
        rs.ArgumentError, match=r"years of 'mid-.*' are not .* only 'mid-.*' has 2017/18"
    ):
        rs.compare([toy, mid])
    versions = rs.variants(toy)
    grouped = rs.Case(
        **{**fields(toy), "partners": [*toy.partners, rs.Partner(name="gp", kind="provider")]}
    )
    with pytest.raises(rs.ArgumentError, match=r"partners of 'b' .* only 'b' has gp \(provider\)"):
        rs.compare({"a": toy, "b": grouped})
    for wrong, told in (
        ([toy], "at least two"),
        ([toy, toy], "must be unique"),
        (toy, "at least two"),
        (["msk-toy", "msk-toy"], "load_case"),
    ):
        with pytest.raises(rs.ArgumentError, match=told):
            rs.compare(wrong)
    with pytest.raises(rs.ArgumentError, match="against is 'blok'; accepted: one of block"):
        rs.compare(versions, against="blok")
    with pytest.raises(rs.ArgumentError, match="deflator"):
        rs.compare(versions, prices="real")
    with pytest.raises(rs.ArgumentError, match="levels"):
        rs.compare(versions, levels=[5])


def test_people_drawn_one_by_one_for_one_contract_alone_are_other_draws():
    def paid(*terms, **fields):
        people = rs.People(law=Lognormal(cv=3.0), **fields)
        noise = rs.Noise(law="poisson")
        own = line(baseline=3000, people=people, noise=noise)
        return case([own], [rs.CostReimbursement(), *terms])

    cover = rs.StopLoss(from_="external", to=PAYER, attachment=60_000.0, coinsurance=1.0)
    assert "people drawn one by one" in differing(paid(), paid(cover))[0]
    # a stated threshold draws the same people whoever looks at them
    assert differing(paid(threshold=20_000.0), paid(cover, threshold=20_000.0)) == ()
    of = {"open": paid(threshold=20_000.0), "covered": paid(cover, threshold=20_000.0)}
    table = rs.compare(of, samples=4096).sel(year="all")
    assert (table.probability_worse.sel(contract="covered", partner=PAYER)) == 0.0


def test_progress_runs_over_all_contracts(toy):
    told = []
    rs.compare(pair(toy), samples=256, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (512, 512)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_comparison_holds_every_statistic_with_its_error(toy):
    versions = rs.variants(toy)
    table = rs.compare([versions["block"], versions["activity"]], samples=256)
    assert isinstance(table, xr.Dataset)
    assert table.contract.values.tolist() == ["msk-toy-block", "msk-toy-activity"]
    assert table.difference_mean.dims == ("contract", "year", "partner")
    assert table.gain_quantile.dims == ("contract", "year", "partner", "level")
    named_ones = [name for name in table.data_vars if not str(name).endswith("_error")]
    for name in named_ones:
        assert name == "dominance" or f"{name}_error" in table
        assert table[name].attrs["long_name"]
    pools = table.kind.isin(["pool", "external"]).values
    assert np.isnan(table.difference_probability_of_deficit.values[..., pools]).all()
