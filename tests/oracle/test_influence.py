"""Alignment of risk with influence: closed forms of linear cases."""

import numpy as np
import pytest
import xarray as xr
from builders import PAYER, PROVIDER, case, line
from judging import SPREADS

import riskshare as rs

SIZES, SPREAD = np.array([2e7, 1e7]), np.array([0.05, 0.08])
"""Cost of two lines, and standard deviations of their drivers."""


def two_lines(share, control, **fields):
    """Two lines, each with a driver of its own; both effects are linear.

    Parameters
    ----------
    share
        Of cost that the payer pays for each line by activity: what it bears of its driver.
    control
        What the payer controls of each driver, the provider controlling the rest.
    """
    drivers = [
        rs.Driver(
            name=name,
            acts_on="activity",
            law="normal",
            sd=sd,
            influence={PAYER: held, PROVIDER: 1 - held},
        )
        for name, sd, held in zip(("first", "second"), SPREAD, control, strict=True)
    ]
    terms = [
        rs.ActivityPayment(name=name, lines=[name], share=held)
        for name, held in zip(("a", "b"), share, strict=True)
    ]
    lines = [
        line("a", loadings={"first": 1.0}),
        line("b", loadings={"second": 1.0}, baseline=5000),
    ]
    return case(lines, terms, drivers=drivers, **fields)


def weights():
    variance = (SIZES * SPREAD) ** 2
    return variance / variance.sum()


@pytest.mark.parametrize(
    ("share", "control"),
    [((1.0, 0.0), (1.0, 0.0)), ((0.25, 0.6), (0.25, 0.6))],
    ids=["all or nothing", "shared"],
)
def test_each_effect_borne_by_who_controls_it_is_aligned(share, control):
    found = rs.influence(two_lines(share, control), samples=4096).sel(year="all")
    np.testing.assert_allclose(float(found.alignment), 1.0, atol=1e-5)
    np.testing.assert_allclose(found.partner_borne, found.partner_controlled, atol=1e-5)


def test_each_effect_borne_by_who_does_not_control_it_is_not_aligned_at_all():
    found = rs.influence(two_lines((1.0, 0.0), (0.0, 1.0)), samples=4096).sel(year="all")
    np.testing.assert_allclose(float(found.alignment), 0.0, atol=1e-5)


def test_between_the_two_it_is_the_number_by_hand():
    """The payer bears 0.75 and 0.5 where it controls 0.25 and 0.4: off by 0.5 and 0.1."""
    found = rs.influence(two_lines((0.75, 0.5), (0.25, 0.4)), samples=65_536).sel(year="all")
    off = np.array([0.5, 0.1])
    error = float(found.alignment_error)
    assert abs(float(found.alignment) - (1 - (weights() * off).sum())) < SPREADS * error
    assert 0 < error < 1e-3
    borne = found.borne.sel(partner=PAYER)
    np.testing.assert_allclose(borne, [0.75, 0.5], atol=1e-5)
    weight, weight_error = found.weight.values, found.weight_error.values
    assert (np.abs(weight - weights()) < SPREADS * weight_error).all()
    money = found.effect_mean_absolute.sel(partner=PAYER).values
    known = np.sqrt(2 / np.pi) * SIZES * SPREAD * [0.75, 0.5]
    error = found.effect_mean_absolute_error.sel(partner=PAYER).values
    assert (np.abs(money - known) < SPREADS * error + 2).all()
    np.testing.assert_allclose(
        found.misalignment.sum("driver"), 1 - float(found.alignment), rtol=1e-12
    )


def test_normal_effects_are_borne_in_the_tail_as_in_the_variance():
    """Jointly normal: Euler's shares of tail value at risk are those of the variance."""
    found = rs.influence(two_lines((0.75, 0.5), (0.25, 0.4)), samples=65_536, levels=(0.9,))
    at = found.sel(year="all").isel(level=0)
    known = weights()[:, None] * np.array([[0.75, 0.25], [0.5, 0.5]])
    for name in ("variance_borne", "tail_borne"):
        part, error = at[name], at[f"{name}_error"]
        assert (np.abs(part.values - known) < SPREADS * error.values + 1e-6).all(), name
        assert float(error.max()) < 0.01, name
        np.testing.assert_allclose(part.sum(), 1, rtol=1e-9)


def test_correlated_effects_share_what_they_have_in_common_alike():
    """Var(A + B): each has its own variance and the covariance (Shapley of a linear game)."""
    rho = 0.5
    of = two_lines(
        (1.0, 1.0),
        (0.5, 0.5),
        correlations=[rs.Correlation(between=["first", "second"], value=rho)],
    )
    # the system pays nobody outside: cost is what varies
    found = rs.influence(of, samples=65_536).sel(year="all")
    deviations = SIZES * SPREAD
    own = deviations**2 + rho * deviations.prod()
    gap = np.abs(found.weight.values - own / own.sum())
    assert (gap < SPREADS * found.weight_error.values + 1e-6).all()


def test_chance_goes_by_the_residual_key():
    of = case(
        [line(noise=rs.Noise(law="lognormal", cv=0.05))],
        [rs.ActivityPayment(share=0.6)],
        residual_key={PAYER: 0.9, PROVIDER: 0.1},
    )
    found = rs.influence(of, samples=1024).sel(year="all")
    assert found.driver.values.tolist() == ["chance"]
    np.testing.assert_allclose(found.controlled.sel(partner=PAYER), [0.9])
    np.testing.assert_allclose(float(found.alignment), 0.7, atol=1e-5)


def test_what_nobody_controls_goes_by_the_residual_key():
    of = case(
        [line(loadings={"d": 1.0})],
        [rs.ActivityPayment(share=0.6)],
        drivers=[
            rs.Driver(name="d", acts_on="activity", law="normal", sd=0.05, influence={PAYER: 0.5})
        ],
        residual_key={PAYER: 0.2, PROVIDER: 0.8},
    )
    found = rs.influence(of, samples=1024).sel(year="all")
    np.testing.assert_allclose(float(found.alignment), 1.0, atol=1e-5)


def test_numbers_by_path_move_the_alignment():
    """Share paid for the first line from 0 to 1: alignment falls by its distance from control."""
    share = xr.DataArray([0.0, 0.25, 1.0], dims="share", coords={"share": [0.0, 0.25, 1.0]})
    of = two_lines((0.5, 0.4), (0.25, 0.4))
    found = rs.influence(of, samples=1024, parameters={"c.a.share": share}).sel(year="all")
    weight = found.weight.sel(driver="first").values
    np.testing.assert_allclose(found.alignment, 1 - weight * [0.25, 0.0, 0.75], atol=1e-5)
    single = rs.influence(of, samples=1024, parameters={"c.a.share": 1.0}).sel(year="all")
    np.testing.assert_allclose(single.alignment, found.alignment.sel(share=1.0), rtol=1e-9)


def test_without_influence_there_is_nothing_to_align_with():
    bare = case(
        [line(loadings={"d": 1.0})],
        drivers=[rs.Driver(name="d", acts_on="activity", law="normal", sd=0.05)],
    )
    with pytest.raises(rs.ArgumentError, match="who controls d; accepted: influence"):
        rs.influence(bare)
    with pytest.raises(rs.ArgumentError, match="nothing varies"):
        rs.influence(case())
