"""Streamed statistics against those of kept samples, closed forms, and what a user may ask for."""

import subprocess
import sys
from pathlib import Path

import builders
import numpy as np
import pytest
import scipy.stats as st
import xarray as xr
from builders import PAYER, PROVIDER, behaviour, case, line, partner

import riskshare as rs
from riskshare.files.bundled import case_names
from riskshare.laws.marginal import Pareto, Shock
from riskshare.program.block import count_traces
from riskshare.run.sampling import Sampling

SAMPLES = 65_536
MANY = 262_144
"""From here on a pseudo-random run has all its 64 parts."""

TAIL = ("quantile", "value_at_risk")


def rich():
    """Three years with money paid late, an organisation's rest, duties, reserves and a change."""
    members = [
        partner(PAYER, PAYER, groups=["place"], opening_reserve=5e5, duty=-1e5),
        partner(
            PROVIDER,
            groups=["place"],
            target=1e5,
            duty=-2e5,
            opening_reserve=3e5,
            other_position=rs.OtherPosition(mean=1e5, sd=4e5),
        ),
        partner("charity", groups=["place", "whole"]),
        partner("external", "external"),
    ]
    noise = rs.Noise(law="gamma", cv=0.02)
    terms = [
        rs.Funding(from_="external", to=PAYER, amount=2.05e7, cash=rs.Cash(profile=[0.9, 0.1])),
        rs.Block(),
        rs.MarginalRate(rate=0.5),
    ]
    return case(
        [line(cost=behaviour(exit_basis="planned"), noise=noise), line("free", baseline=50)],
        terms,
        count=3,
        partners=members,
        deflator=0.03,
        changes=[rs.Change(name="less", owner=PROVIDER, source="free", size=0.2)],
    )


def gross(table):
    """The largest sum of money that any mean stands for."""
    means = [array for name, array in table.data_vars.items() if str(name).endswith("_mean")]
    return max(float(np.nanmax(np.abs(mean), initial=0.0)) for mean in means)


def assert_labelled_alike(found, kept):
    """Variables in one order, each as the other describes it, with the same holes."""
    left = [name for name in found.data_vars if name != "directions"]
    assert left == list(kept.data_vars)
    assert set(found.coords) - {"direction", "column"} == set(kept.coords)
    for name in kept.coords:
        xr.testing.assert_identical(found[name].variable, kept[name].variable)
    said = {k: v for k, v in found.attrs.items() if k != "effective_samples"}
    assert said == {k: v for k, v in kept.attrs.items() if k != "effective_samples"}
    for name, array in kept.data_vars.items():
        own = found[name]
        assert (own.dims, own.dtype, own.attrs) == (array.dims, array.dtype, array.attrs)
        np.testing.assert_array_equal(np.isnan(own), np.isnan(array), err_msg=str(name))


def assert_numbers_alike(found, kept):
    """The same numbers, to rounding or a small part of their standard errors."""
    scale, samples = gross(kept), kept.attrs["samples"]
    # order statistics about the median are this far apart: the kept run takes one of them
    apart = 10 * kept.position_standard_deviation / samples
    for name in kept.data_vars:
        statistic = str(name).partition("_")[2]
        if str(name).endswith("_error"):
            continue
        gap = np.abs(found[name] - kept[name]).fillna(0)
        error = found[f"{name}_error"].fillna(0)
        if "probability" in statistic:
            assert (gap <= 1.01 / samples).all(), name
        elif statistic in TAIL:
            assert (gap <= 0.75 * error + apart + 1e-7 * scale).all(), name
        elif statistic == "tail_value_at_risk":
            assert (gap <= 0.05 * error + 1e-7 * scale).all(), name
        else:
            assert (gap <= 1e-6 * scale).all(), name


def assert_errors_alike(found, kept, rel):
    """The same standard errors; those of quantiles may be greater by what the grid hides."""
    scale = gross(kept)
    for name in kept.data_vars:
        if not str(name).endswith("_error"):
            continue
        own, other = found[name].fillna(0), kept[name].fillna(0)
        floor = 0.0 if "probability" in str(name) else 2e-8 * scale
        assert (own >= (1 - rel) * other - floor).all(), name
        if "quantile" in str(name) or "position_value_at_risk" in str(name):
            deviation = found.position_standard_deviation
            assert (own <= (1 + 2 * rel) * other + deviation / 500 + floor).all(), name
        elif "tail_value_at_risk" in str(name):
            # where a tail's edge is the end of an atom, the kept run says 0, which is too little
            deviation = found.position_standard_deviation
            at_an_end = xr.where(other > 0, 0.0, deviation / 500)
            assert (own <= (1 + rel) * other + at_an_end + floor).all(), name
        else:
            assert (own <= (1 + rel) * other + floor).all(), name


def both(of, samples=SAMPLES, **asked):
    """The table of a streamed run and that of its samples."""
    money = {k: asked.pop(k) for k in ("discount_rate", "prices", "levels") if k in asked}
    found = rs.estimate(of, samples=samples, **asked, **money)
    return found, rs.summarise(rs.simulate(of, samples=samples, **asked), **money)


def assert_same(of, samples=SAMPLES, rel=0.3, **asked):
    found, kept = both(of, samples, **asked)
    assert_labelled_alike(found, kept)
    assert_numbers_alike(found, kept)
    assert_errors_alike(found, kept, rel)
    return found, kept


@pytest.fixture(scope="module")
def toy():
    return rs.load_case("msk-toy")


@pytest.fixture(scope="module")
def wide():
    return rich()


MONEY = [{}, {"discount_rate": 0.035}, {"prices": "real", "discount_rate": 0.01}]


@pytest.mark.parametrize("money", MONEY, ids=["nominal", "discounted", "real"])
def test_the_table_is_that_of_the_samples(wide, money):
    found, _ = assert_same(wide, **money)
    assert {"total_mean", "reserve_probability_of_exhaustion", "cash_mean"} <= set(found)
    assert {"place", "whole", "system"} <= set(found.partner.values)
    exhausted = found.reserve_probability_of_exhaustion.sel(partner=PROVIDER)
    assert 0.01 < exhausted[0] < exhausted[-1] < 0.99


@pytest.mark.slow
def test_so_it_is_in_one_year_with_float64_and_every_quasi_random_error(toy):
    found, kept = both(toy, precision="float64", seed=8)
    assert_labelled_alike(found, kept)
    assert_numbers_alike(found, kept)
    for name in kept.data_vars:
        if str(name).endswith("_error") and not any(part in str(name) for part in TAIL):
            np.testing.assert_allclose(found[name], kept[name], rtol=0.01, atol=1e-9)


@pytest.mark.slow
def test_so_it_is_of_pseudo_random_samples(wide):
    found, kept = assert_same(wide, MANY, rel=0.45, sampler="pseudo-random", seed=5)
    ratios = (found.position_mean_error / kept.position_mean_error).values
    assert np.nanmedian(ratios) == pytest.approx(1, abs=0.15)


LEVELS = [(0.9999, 0.5, 0.0001), (0.3,)]


@pytest.mark.slow
@pytest.mark.parametrize("levels", LEVELS)
def test_so_it_is_at_any_levels_in_their_order(toy, levels):
    found, _ = assert_same(toy, MANY, rel=0.45, levels=levels)
    assert tuple(found.level.values) == levels


def test_so_it_is_at_other_numbers(toy):
    values = xr.DataArray([100.0, 140.0], dims="price", coords={"price": ["low", "high"]})
    found, kept = assert_same(toy, parameters={"lines.outpatients.price": values})
    assert found.position_mean.dims == kept.position_mean.dims == ("price", "year", "partner")
    alone = rs.estimate(toy, samples=SAMPLES, parameters={"lines.outpatients.price": 140.0})
    np.testing.assert_array_equal(found.position_mean.sel(price="high"), alone.position_mean)


@pytest.mark.slow
def test_so_it_is_of_weighted_samples(toy):
    for directions in (rs.leading_directions(toy), rs.tail_directions(toy, "acute")):
        found, kept = both(toy, directions=directions)
        kept = kept.drop_vars("directions", errors="ignore")
        assert_labelled_alike(found, kept)
        assert_numbers_alike(found, kept)
        xr.testing.assert_identical(found.directions, directions)
    assert found.attrs["effective_samples"] == pytest.approx(kept.attrs["effective_samples"])


@pytest.mark.slow
@pytest.mark.parametrize("name", [*case_names(), "everything"])
def test_every_bundled_case_has_the_table_of_its_samples(name):
    assert_same(builders.everything() if name == "everything" else rs.load_case(name))


# Atoms and extremes


FIXED = rs.CostBehaviour(variable=0.0, fixed=1.0, exit_basis="planned")
SD, CAP = 0.04, 500_000.0


def demand(**law):
    return rs.Driver(name="demand", acts_on="activity", **law)


@pytest.fixture(scope="module")
def capped():
    """Half of each deviation from a plan of 20 million is paid, to no more than 5 % of it."""
    bands = [rs.Band(beyond=0.0, rate=0.5), rs.Band(beyond=0.05, rate=0.0)]
    return case(
        [line(loadings={"demand": 1.0}, cost=FIXED)],
        [rs.Block(), rs.MarginalRate(bands=bands)],
        drivers=[demand(law="normal", sd=SD)],
    )


def worst_of_capped(share):
    """The mean loss of the worst share of cases; position 10 million x deviation, within the cap.

    E[d 1(-b < d < x)] = -SD (phi(x / SD) - phi(-b / SD)) for a normal deviation d.
    """
    edge, at = 0.05 / SD, st.norm.ppf(share)
    if at <= -edge:
        return CAP
    between = 1e7 * SD * (st.norm.pdf(min(at, edge)) - st.norm.pdf(edge))
    above = max(share - st.norm.cdf(edge), 0.0)
    return (CAP * (st.norm.cdf(-edge) - above) + between) / share


def test_a_cap_is_an_atom_whose_quantiles_are_exact(capped):
    levels = (0.01, 0.05, 0.1, 0.9, 0.95, 0.99)
    for sampler in ("sobol", "pseudo-random"):
        found = rs.estimate(capped, samples=2**20, levels=levels, sampler=sampler)
        own = found.sel(year="all", partner=PROVIDER)
        assert own.position_quantile.values.tolist() == [-CAP] * 3 + [CAP] * 3
        assert not own.position_quantile_error.any()
        for level in levels:
            at = own.sel(level=level)
            wanted, error = worst_of_capped(1 - level), float(at.position_tail_value_at_risk_error)
            assert abs(float(at.position_tail_value_at_risk) - wanted) <= 4 * error + 0.5
        assert own.position_tail_value_at_risk[3:].values.tolist() == pytest.approx([CAP] * 3)
        assert float(own.position_tail_value_at_risk_error[-1]) == 0


@pytest.mark.parametrize("off", [-2e-3, -2e-5, 2e-5, 2e-3])
def test_a_level_beside_the_end_of_an_atom_has_a_true_error(capped, off):
    level = st.norm.cdf(-0.05 / SD) + off
    own = rs.estimate(capped, samples=2**20, levels=[level]).sel(year="all", partner=PROVIDER)
    wanted = max(-CAP, 1e7 * SD * st.norm.ppf(level))
    gap = abs(float(own.position_quantile[0]) - wanted)
    assert gap <= 4 * float(own.position_quantile_error[0])
    assert float(own.position_quantile_error[0]) < CAP / 1000


def test_who_bears_nothing_that_varies_has_no_spread_and_no_error():
    of = case([line()], [rs.Block(amount=123_456.0, from_=PAYER, to=PROVIDER)])
    for sampler in ("sobol", "pseudo-random"):
        found = rs.estimate(of, sampler=sampler)
        for name, array in found.data_vars.items():
            if str(name).endswith(("_error", "_deviation")):
                assert not array.fillna(0).any(), name
        own = found.sel(year="all")
        assert float(own.position_mean.sel(partner=PAYER)) == -123_456
        assert (own.position_quantile.sel(partner=PAYER) == -123_456).all()
        assert (own.position_tail_value_at_risk.sel(partner=PAYER) == 123_456).all()
        assert not own.position_quantile.sel(partner="external").any()


def test_a_partner_made_whole_has_no_deficit_and_a_spread_of_rounding_alone():
    of = case(
        [line(loadings={"demand": 1.0}, unit_cost=412.7, price=400.0)],
        [rs.ActivityPayment(share=412.7 / 400.0)],
        drivers=[demand(law="normal", sd=0.1)],
    )
    own = rs.estimate(of, samples=2**18).sel(year="all", partner=PROVIDER)
    assert float(own.position_probability_of_deficit) == 0
    assert float(own.position_standard_deviation) < 1
    assert np.abs(own.position_quantile).max() < 1
    assert np.abs(own.position_tail_value_at_risk).max() < 4


def shocked(chance, minimum=1.5, index=2.5):
    law = Shock(probability=chance, calm=1.0, effect=Pareto(minimum=minimum, index=index))
    return case([line(loadings={"demand": 1.0})], [rs.Block()], drivers=[demand(law=law)])


@pytest.mark.parametrize("chance", [1e-5, 1e-4, 0.006])
def test_a_rare_shock_is_an_atom_and_a_tail(chance):
    levels = (1e-6, 1e-5, 1e-4, 0.005, 0.01, 0.5, 0.9999)
    found, kept = both(shocked(chance), 2**20, levels=levels)
    own, other = (table.sel(year="all", partner=PROVIDER) for table in (found, kept))
    for name in ("mean", "standard_deviation", "tail_value_at_risk", "probability_of_deficit"):
        np.testing.assert_allclose(own[f"position_{name}"], other[f"position_{name}"], rtol=1e-4)
    gap = np.abs(own.position_quantile - other.position_quantile)
    assert (gap <= 0.6 * own.position_quantile_error).all()
    calm = own.level > 1.3 * chance
    assert calm.any()
    assert not own.position_quantile[calm].any()
    assert not own.position_quantile_error[calm].any()


def test_a_tail_that_the_pilot_did_not_see_has_no_known_quantile():
    own = rs.estimate(shocked(1e-5), samples=2**20, levels=[1e-6, 0.5], seed=2)
    own = own.sel(year="all", partner=PROVIDER)
    assert own.position_quantile_error.values.tolist() == [np.inf, 0]


@pytest.mark.slow
@pytest.mark.parametrize("index", [1.6, 5.0])
def test_pareto_costs_have_the_quantiles_of_their_samples(index):
    of = case([line(unit_cost_noise=rs.Noise(law=Pareto(minimum=1.0, index=index)))], [rs.Block()])
    for levels in (rs.names.LEVELS, (1e-4, 0.2, 0.9999)):
        found, kept = both(of, 2**18, levels=levels)
        gap = np.abs(found.position_quantile - kept.position_quantile)
        scale = gross(kept)
        # a Sobol' run of one number spreads otherwise at the next point: either may say too little
        error = np.maximum(found.position_quantile_error, kept.position_quantile_error)
        assert (gap <= 2 * error + 1e-7 * scale).all()
        gap = np.abs(found.position_tail_value_at_risk - kept.position_tail_value_at_risk)
        assert (gap <= found.position_tail_value_at_risk_error + 1e-7 * scale).all()


@pytest.mark.parametrize("sd", [1e-4, 1e-6, 1e-7])
def test_positions_far_from_zero_lose_no_more_than_their_own_rounding(sd):
    plan = 2e9
    of = case(
        [line(loadings={"demand": 1.0}, baseline=1e6)],
        [rs.Block(amount=1.5 * plan, from_=PAYER, to=PROVIDER)],
        drivers=[demand(law="normal", sd=sd)],
    )
    own = rs.estimate(of, samples=MANY).sel(year="all", partner=PROVIDER)
    step = float(np.spacing(np.float32(plan)))
    assert abs(float(own.position_mean) - 0.5 * plan) < step
    assert float(own.position_standard_deviation) == pytest.approx(plan * sd, abs=step)
    wanted = plan * (0.5 + sd * st.norm.ppf(own.level))
    assert (np.abs(own.position_quantile - wanted) < 4 * own.position_quantile_error + step).all()


# Closed form


def test_a_block_on_normal_demand_is_normal():
    sds, plan, count = (0.02, 0.05, 0.03), 2e7, 2
    names = [f"d{i}" for i in range(3)]
    of = case(
        [line(name, loadings={name: 1.0}) for name in names],
        [rs.Block()],
        count=count,
        drivers=[
            rs.Driver(name=name, acts_on="activity", law="normal", sd=sd)
            for name, sd in zip(names, sds, strict=True)
        ],
    )
    spread = plan * count * np.sqrt(np.square(sds).sum())  # an index stays what it is
    for sampler in ("sobol", "pseudo-random"):
        found = rs.estimate(of, samples=2**22, sampler=sampler, keep=("position",))
        own = found.sel(year="all", partner=PROVIDER)
        levels = own.level.values
        edges = st.norm.ppf(1 - levels)
        truth = {
            "mean": 0.0,
            "standard_deviation": spread,
            "probability_of_deficit": 0.5,
            "quantile": spread * st.norm.ppf(levels),
            "value_at_risk": -spread * edges,
            "tail_value_at_risk": spread * st.norm.pdf(edges) / (1 - levels),
        }
        independent = {
            "mean": spread / 2**11,
            "standard_deviation": spread / 2**11.5,
            "probability_of_deficit": 0.5 / 2**11,
            "quantile": spread * np.sqrt(levels * (1 - levels)) / st.norm.pdf(edges) / 2**11,
        }
        for name, wanted in truth.items():
            value, error = own[f"position_{name}"], own[f"position_{name}_error"]
            # float32 rounds positions of 120 million to the nearest 8
            assert (np.abs(value - wanted) <= 4 * error + 2).all(), (sampler, name)
        for name, wanted in independent.items():
            ratio = own[f"position_{name}_error"] / wanted
            if sampler == "sobol":
                assert (ratio < 0.7).all(), name
            else:
                assert (np.abs(ratio - 1) < 0.4).all(), name


# A stated error


def test_a_stated_error_is_met_and_a_smaller_one_takes_no_fewer_samples(toy):
    taken = []
    for error in (100.0, 10.0, 2.0):
        found = rs.estimate(toy, error={"position_mean[acute,all]": error}, keep=("position",))
        assert float(found.position_mean_error.sel(year="all", partner="acute")) <= error
        assert found.attrs["error_met"] == 1
        assert found.attrs["samples"] % (16 * 4096) == 0
        taken.append(found.attrs["samples"])
        again = rs.estimate(toy, samples=taken[-1], keep=("position",))
        np.testing.assert_allclose(found.position_mean, again.position_mean, rtol=1e-6)
    assert taken == sorted(taken)
    assert taken[0] < taken[-1]


def test_a_pseudo_random_run_meets_its_error_too(toy):
    asked = {"sampler": "pseudo-random", "keep": ("position",)}
    rough = rs.estimate(toy, samples=MANY, **asked)
    start = float(rough.position_quantile_error.sel(year="all", partner="acute", level=0.05))
    name = "position_quantile[0.05,acute,all]"
    found = rs.estimate(toy, error={name: start / 2}, **asked)
    assert float(found.position_quantile_error.sel(year="all", partner="acute", level=0.05)) <= (
        start / 2
    )
    # the error falls with the root of the number, and is known to a tenth
    assert MANY < found.attrs["samples"] <= 16 * MANY


def test_labels_may_stand_in_any_order_and_a_number_alone_means_the_worst_mean(toy):
    name = "position_quantile"
    orders = ("acute,all,0.05", "0.050, all, acute", "all,0.05,acute")
    found = [
        rs.estimate(toy, error={f"{name}[{order}]": 1000.0}, keep=("position",)) for order in orders
    ]
    assert len({table.attrs["samples"] for table in found}) == 1
    worst = rs.estimate(toy, error=30.0, keep=("position",))
    assert float(worst.position_mean_error.max()) <= 30


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ({"position_middle": 1.0}, "position_middle.*accepted: .*position_mean"),
        ({"position_mean[acut]": 1.0}, "'acut'; accepted: .*acute"),
        ({"position_quantile[0.07]": 1.0}, "'0.07'; accepted: .*level: 0.005"),
        ({"position_mean[acute": 1.0}, "accepted: a statistic"),
        ({"position_mean": 0.0}, "position_mean is 0.0; accepted: a number above 0"),
        ({"position_mean": "ten"}, "accepted: a number above 0"),
        (-1.0, "accepted: a number above 0"),
        (float("nan"), "accepted: a number above 0"),
        ({}, "names no statistic"),
        ({"position_probability_of_deficit[external]": 0.1}, "no standard error"),
    ],
)
def test_errors_that_mean_nothing_are_refused(toy, error, message):
    with pytest.raises(rs.ArgumentError, match=message):
        rs.estimate(toy, error=error, keep=("position",))


def test_an_error_out_of_reach_is_refused_before_long_work(toy):
    done = []
    with pytest.raises(rs.ArgumentError, match=r"cannot be met in .*samples=") as told:
        rs.estimate(
            toy, error=1e-9, keep=("position",), progress=lambda now, whole: done.append(now)
        )
    assert max(done) <= SAMPLES
    assert "position_mean has a standard error of" in str(told.value)


def test_an_error_not_met_in_the_samples_allowed_is_said(toy):
    rough = rs.estimate(toy, samples=SAMPLES, keep=("position",))
    target = float(rough.position_quantile_error.max()) / 3
    with pytest.warns(UserWarning, match="no more samples are allowed"):
        found = rs.estimate(
            toy, error={"position_quantile": target}, samples=4 * SAMPLES, keep=("position",)
        )
    assert found.attrs["error_met"] == 0
    assert found.attrs["samples"] == 4 * SAMPLES


def test_a_stated_error_holds_for_each_set_of_numbers(toy):
    values = xr.DataArray([100.0, 140.0], dims="price")
    found = rs.estimate(
        toy,
        error={"position_mean[system,all]": 5.0},
        parameters={"lines.outpatients.price": values},
        keep=("position",),
    )
    assert found.sizes["price"] == 2
    assert (found.position_mean_error.sel(partner="system", year="all") <= 5).all()


def test_progress_counts_up_to_the_samples_there_are(toy):
    for sampler in ("sobol", "pseudo-random"):
        seen = []
        found = rs.estimate(
            toy,
            samples=MANY,
            sampler=sampler,
            keep=("position",),
            progress=lambda done, whole, seen=seen: seen.append((done, whole)),
        )
        assert [done for done, _ in seen] == sorted({done for done, _ in seen})
        assert seen[-1] == (MANY, MANY) == (found.attrs["samples"],) * 2


# What it costs


def test_one_kernel_is_compiled_and_other_numbers_compile_nothing():
    driver = demand(law="normal", sd=0.05)
    # with one year, present values are a second series beside those of the year itself
    of = case([line(loadings={"demand": 1.0})], [rs.Block()], drivers=[driver], count=2)
    with count_traces() as traced:
        rs.estimate(of)
    assert traced == ["sample_blocks", "count_blocks"]
    with count_traces() as traced:
        rs.estimate(of, samples=300_000, seed=2, discount_rate=0.02)
        rs.estimate(of, error={"position_mean": 100.0})
        rs.estimate(of, parameters={"lines.spells.price": 1900.0})
    assert traced == []


MEASURED = """
import riskshare as rs
rs.use_compilation_cache({cache!r})
case = rs.load_case("msk-toy")
rs.estimate(case, samples=2**18, sampler={sampler!r})
rs.estimate(case, samples={samples}, sampler={sampler!r})
lines = open("/proc/self/status").read().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel does not say")
@pytest.mark.parametrize(
    "sampler", ["sobol", pytest.param("pseudo-random", marks=pytest.mark.slow)]
)
def test_memory_does_not_grow_with_samples(sampler, tmp_path):
    def peak(samples):
        code = MEASURED.format(samples=samples, sampler=sampler, cache=str(tmp_path))
        told = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        return int(told.stdout)

    first = peak(2**18)
    assert peak(2**22) < 1.15 * first


def test_samples_are_whole_blocks_and_at_least_a_pilot(toy):
    for sampler, asked, given in [
        ("sobol", 100, 65_536),
        ("sobol", 65_537, 131_072),
        ("pseudo-random", 100, 65_536),
        ("pseudo-random", 65_537, 69_632),
    ]:
        found = rs.estimate(toy, samples=asked, sampler=sampler, keep=("position",))
        assert (found.attrs["samples"], found.attrs["samples_asked"]) == (given, asked)
        assert not np.isnan(found.position_mean_error).any()
    assert isinstance(found.attrs["samples"], int)
    assert Sampling("sobol", 1, 16, 4096).samples == 65_536
