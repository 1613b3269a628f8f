"""Derivatives at kinks and beside atoms, against slopes of runs in float64 that are taken here."""

import numpy as np
import pytest

import riskshare as rs
from riskshare.analysis.differences import Stencil
from riskshare.analysis.kinks import at_kinks, beside
from riskshare.run.chunks import run_chunks
from riskshare.run.gradients import program_of
from riskshare.run.sampling import sampling_of
from riskshare.run.tables import ready
from riskshare.statistics import Replicates

SIZE = "changes.fewer-operations.size"


def means(of, path, value):
    """Mean positions over all years, in float64, with one number moved."""
    bound = program_of(of).at({path: value})
    arrays = run_chunks(
        bound, sampling_of(65_536, 1, "sobol", 16), ("position",), np.float64, None, None
    )
    return arrays["position"].mean(-1).sum(0)


def test_a_change_planned_at_0_has_the_slope_inside():
    """Nothing is planned to go, so all that goes is beyond plan, and stays longer.

    A hair's breadth above, a reduction is explained up to what is planned, and below it is not: the
    two slopes of the acute trust differ by millions. Ties taken half and half gave neither.
    """
    of = rs.load_case("msk-toy").with_numbers({SIZE: 0.0})
    found = rs.sensitivities(of, paths=[SIZE], statistics=["mean"]).isel(path=0, year=0)
    names = [partner.name for partner in of.partners]
    got = found.position_mean_derivative.sel(partner=names).values
    error = found.position_mean_derivative_error.sel(partner=names).values
    h, middle = 1e-5, means(of, SIZE, 0.0)
    inside = (means(of, SIZE, h) - middle) / h
    outside = (middle - means(of, SIZE, -h)) / h
    acute = names.index("acute")
    assert found.method.item() == "differences"
    assert abs(inside - outside)[acute] > 1e6
    assert (abs(got - inside) < 4 * error + 1e-5 * np.abs(inside).max()).all()
    # to the second order: the plain difference over the step of 0.002 is 5,000 off
    plain = (means(of, SIZE, 0.002) - middle) / 0.002
    assert abs(plain - inside)[acute] > 4_000
    assert abs(got - inside)[acute] < abs(plain - inside)[acute] / 3


def test_a_share_kept_back_at_0_has_the_slope_inside():
    """A region's contribution of 0 meets the floor of what it may draw: kinks of several parts."""
    of, path = (
        rs.load_case("national-risk-pool"),
        "pool.cquin-held-back.rate[midlands-east,2016/17]",
    )
    found = rs.sensitivities(of, paths=[path], statistics=["mean"]).isel(path=0, year=0)
    names = [partner.name for partner in of.partners]
    got = found.position_mean_derivative.sel(partner=names).values
    error = found.position_mean_derivative_error.sel(partner=names).values
    h = 1e-5
    inside = (means(of, path, h) - means(of, path, 0.0)) / h
    payer = names.index("nhs-england")
    assert found.method.item() == "differences"
    assert (abs(got - inside) < 4 * error + 1e-5 * np.abs(inside).max()).all()
    assert abs(got - inside)[payer] < 0.03 * abs(inside[payer])


def test_a_share_of_1_has_the_slope_inside_for_who_gains_least_as_well():
    """A fund that is passed all of a corridor passes on what it has, and owes what it has not.

    Its slope by the share is 0.3 % of that of all insurers together, and twice as steep above 1.
    """
    of, path = rs.load_case("aca-risk-corridor"), "corridor.corridor-medicaid-plan.share[fund]"
    found = rs.sensitivities(of, paths=[path], statistics=["mean"]).isel(path=0, year=0)
    found = found.sel(partner="fund")
    row, middle, h = [p.name for p in of.partners].index("fund"), means(of, path, 1.0), 1e-4
    inside = ((middle - means(of, path, 1.0 - h)) / h)[row]
    outside = ((means(of, path, 1.0 + h) - middle) / h)[row]
    assert outside < 2 * inside < 0
    error = found.position_mean_derivative_error.item()
    assert found.method.item() == "differences"
    assert abs(found.position_mean_derivative.item() - inside) < 4 * error + 1e-3 * abs(inside)


def test_what_many_samples_share_does_not_move_with_those_beside_it():
    """London's 95 % quantile is what the backstop leaves it, whatever its price."""
    of = rs.load_case("national-risk-pool")
    found = rs.sensitivities(
        of,
        paths=["lines.care-london.price", "partners.north.target"],
        statistics=["quantile", "probability_of_deficit"],
        levels=[0.95],
    ).isel(year=0)
    price = found.sel(path="lines.care-london.price", partner="london")
    assert price.method.sel(statistic="quantile") == "differences"
    assert abs(price.position_quantile_derivative.sel(level=0.95).item()) < 1e5
    # a target that many samples meet exactly has no chance that moves a little
    target = found.sel(path="partners.north.target", partner="north")
    assert np.isnan(target.position_probability_of_deficit_derivative.item())


def test_only_numbers_at_an_end_or_at_0_are_looked_at_from_beside():
    of = rs.load_case("msk-toy")
    moved = beside(of, program_of(of).parameters, 1e6)
    own, declared = of.numbers(), {path: one for path, _, one in of.declared_numbers()}
    assert moved
    for path, value in moved.items():
        ends = (declared[path].lower, declared[path].upper)
        assert own[path] in (0, *ends)
        assert value != own[path]
        assert ends[0] is None or value >= ends[0]
        assert ends[1] is None or value <= ends[1]


def test_a_kink_is_where_a_derivative_is_another_beside():
    own = np.array([[[1.0, 2.0, 0.0, 5.0, 1.0], [4.0, 2.0, 0.0, np.nan, 1.0]]])
    others = np.array([[[1.01, 2.0, 0.0, 5.0, 1.02], [4.1, 1.5, 1.0, 1.0, 1.0]]])
    few = np.array([True, True, False, False, False])
    assert at_kinks(own, others, few).tolist() == [False, True, True, False, True]
    # the second one's is four times as far off at four hairs: samples moved
    further = np.array([[[1.04, 2.0, 0.0, 5.0, 1.02], [4.4, 0.0, 1.1, 1.0, 1.0]]])
    assert at_kinks(own, others, few, further).tolist() == [False, False, True, False, True]
    # a kink of 0.2 in 2.5 beside twice as much that samples make
    own, near, further = (np.array([[[value]]]) for value in (2.0, 2.6, 3.8))
    assert at_kinks(own, near, np.array([False]), further).tolist() == [True]
    nothing = np.full_like(further, np.nan)  # a second look that tells nothing takes nothing back
    assert at_kinks(own, near, np.array([False]), nothing).tolist() == [True]


@pytest.mark.slow
def test_a_number_that_few_samples_tell_of_is_not_at_a_kink():
    """Moving an efficiency of 0 by a hair moves a payment of 60 million by 1,000.

    That takes a few samples across the cap and turned the derivative of what is left over, large
    amounts of either sign, by a sixth; a growth of 0 does stand at a kink.
    """
    of = rs.load_case("mid-nottinghamshire-msk")
    paths = ["residual_key[acute]", "msk.pool.caps[0].limit", "lines.outpatients.growth"]
    standing = ["msk.capitated.efficiency", "msk.block.uplift", "msk.block.in_force"]
    found = rs.sensitivities(of, paths=paths + standing, statistics=["mean"], partners=["acute"])
    methods = found.method.sel(path=paths, statistic="mean").values
    assert methods.tolist() == ["pathwise", "pathwise", "differences"]


def test_a_number_that_makes_whole_steps_is_differenced_between_their_jumps():
    """Beds come in wards of 25: with wards a hundredth larger, one fewer is installed by plan."""
    of, path = rs.load_case("greater-nottingham-benchmark"), "lines.bed-days.cost.step.size"
    found = rs.sensitivities(of, paths=[path], statistics=["mean"], partners=["lead"]).isel(year=0)
    row, size = [partner.name for partner in of.partners].index("lead"), of.number(path)

    def mean(value):
        bound = ready(of.with_numbers({path: value}))
        sampling = sampling_of(65_536, 1, "sobol", 16)
        arrays = run_chunks(bound, sampling, ("position",), np.float64, None, None)
        return arrays["position"].mean(-1).sum(0)[row]

    within, across = (
        (mean(size * (1 + h)) - mean(size * (1 - h))) / (2 * h * size) for h in (1e-3, 2e-2)
    )
    assert across < 0 < within
    assert abs(found.position_mean_derivative.item() - within) < 0.05 * within


def test_at_a_jump_there_is_no_derivative():
    """With wards of this size the plan needs 46 of them exactly."""
    of, path = rs.load_case("greater-nottingham-benchmark"), "lines.bed-days.cost.step.size"
    of = of.with_numbers({path: 360_000 / 365 / 0.85 / 46})
    found = rs.sensitivities(of, paths=[path], statistics=["mean"], partners=["lead"])
    assert found.method.item() == "none"
    assert np.isnan(found.position_mean_derivative.item())


def test_noise_is_no_jump():
    """Fewer samples cross a step in a shorter one: the longer difference is the better known."""
    of, path = rs.load_case("greater-nottingham-benchmark"), "members.residents.sd"
    found = rs.sensitivities(of, paths=[path], statistics=["mean"], partners=["lead"])
    assert found.method.item() == "differences"
    assert found.position_mean_derivative_error.item() < 3e7


def test_numbers_that_meet_each_other_at_0_are_told_apart():
    """A share of losses of 0 at a floor of 0: above it the rate counts, below it the floor."""
    of = rs.load_case("shared-savings-aco").with_numbers({"mssp.shared-savings.rate[loss]": 0.0})
    rate, floor = "mssp.shared-savings.rate[loss]", "mssp.shared-savings.quality.floor"
    found = [
        rs.sensitivities(of, paths=paths, statistics=["mean"], partners=["aco"]).sel(path=rate)
        for paths in ([rate], [rate, floor])
    ]
    alone, together = (one.position_mean_derivative.item() for one in found)
    assert alone < -1e6
    assert together == pytest.approx(alone, rel=1e-6)


def stencil(low, high):
    weights = np.array([-1.0, 1.0]) / 0.02
    own = (low + high) / 2
    replicates = Replicates.labelled(np.repeat(np.arange(16), own.shape[1] // 16))
    zero = np.zeros(len(own))
    return Stencil((low, high), (zero, zero), weights, weights, replicates, own, zero, zero)


def test_what_many_samples_share_and_leave_at_different_speeds_has_no_derivative():
    """Two thirds of them at 0: of one series all move by 3 a unit, of the other by 1 to 5."""
    pick = np.random.default_rng(1)
    x = np.maximum(pick.normal(-0.4, 1, 16_384), 0)
    speed = np.stack([np.full(x.shape, 3.0), pick.uniform(1, 5, x.shape)])
    found = stencil(x - 0.01 * speed, x + 0.01 * speed)
    alike, apart = found.quantile(0.5).value
    assert alike == pytest.approx(3)
    assert np.isnan(apart)
    assert np.isnan(found.tail_value_at_risk(0.5).value).tolist() == [False, True]
