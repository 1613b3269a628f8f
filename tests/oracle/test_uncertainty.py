"""The variance of a position splits into process, parameter and baseline error."""

import numpy as np
import pytest
from builders import PAYER, case, line

import riskshare as rs


def normal(name, sd, uncertainty, acts_on="activity"):
    return rs.Driver(
        name=name, acts_on=acts_on, law="lognormal", sd=sd, centre="mean", uncertainty=uncertainty
    )


def paid(*drivers, noise=None, **fields):
    """A payer that pays 20 million times a product of drivers and chance."""
    loadings = {driver.name: 1.0 for driver in drivers if driver.acts_on == "activity"}
    noise = rs.Noise(law="lognormal", cv=0.04) if noise is None else noise
    return case([line(loadings=loadings, noise=noise)], drivers=drivers, **fields)


def test_lognormal_factors_split_in_closed_form():
    of = paid(
        normal("demand", 0.05, "process"),
        normal("level", 0.03, "parameter"),
        normal("start", 0.02, "baseline"),
    )
    split = rs.uncertainty(of).sel(partner=PAYER, year="2018/19")
    variance = {name: np.expm1(sd**2) for name, sd in (("a", 0.03), ("b", 0.02), ("p", 0.05))}
    known = (1 + variance["a"]) * (1 + variance["b"]) - 1
    chance = (1 + variance["p"]) * (1 + 0.04**2)
    expected = {
        "parameter": variance["a"],
        "baseline": variance["b"],
        "interaction": variance["a"] * variance["b"],
        "process": (1 + known) * (chance - 1),
        "total": (1 + known) * chance - 1,
    }
    for source, value in expected.items():
        found = split.sel(source=source)
        error = float(found.position_variance_error)
        assert abs(float(found.position_variance) - value * 4e14) < 4 * error
        assert error < 0.01 * 4e14 * expected["total"]
    np.testing.assert_allclose(
        split.position_variance[:-1].sum(), split.position_variance.sel(source="total"), rtol=1e-12
    )
    np.testing.assert_allclose(
        split.position_standard_deviation**2, np.maximum(split.position_variance, 0), rtol=1e-12
    )


def test_an_error_of_dispersion_is_parameter_error_that_moves_no_mean():
    noise = rs.Noise(law="gamma", cv=0.1, dispersion={"spread": 1.0})
    of = paid(normal("spread", 0.4, "parameter", "dispersion"), noise=noise)
    split = rs.uncertainty(of).sel(partner=PAYER, year="all")
    parameter = split.sel(source="parameter")
    # E[Y | spread] is the same whatever the spread: all of the variance is process
    assert abs(float(parameter.position_variance)) < 4 * float(parameter.position_variance_error)
    total = float(split.position_variance.sel(source="total"))
    assert abs(float(parameter.position_variance)) < 5e-3 * total


def test_without_parameter_or_baseline_error_all_is_process():
    split = rs.uncertainty(paid(normal("demand", 0.05, "process")), samples=4096)
    np.testing.assert_array_equal(
        split.position_variance.sel(source="process"), split.position_variance.sel(source="total")
    )
    assert not split.position_variance.sel(source=["parameter", "baseline"]).any()


def test_total_is_the_variance_that_a_run_shows():
    of = rs.load_case("mid-nottinghamshire-msk")
    split = rs.uncertainty(of, samples=8192, seed=4)
    outcomes = rs.simulate(of, samples=8192, seed=4)
    found = rs.summarise(outcomes).position_standard_deviation
    shown = split.position_standard_deviation.sel(source="total")
    np.testing.assert_allclose(shown, found.transpose("year", "partner"), rtol=1e-3, atol=1)


def test_correlated_kinds_are_refused():
    pair = normal("a", 0.1, "process"), normal("b", 0.1, "parameter")
    of = paid(*pair, correlations=[rs.Correlation(between=["a", "b"], value=0.3)])
    with pytest.raises(rs.ArgumentError, match=r"a \(process\) and b \(parameter\)"):
        rs.uncertainty(of)


def test_a_t_copula_joins_what_should_be_told_apart():
    pair = normal("a", 0.1, "process"), normal("b", 0.1, "parameter")
    joined = rs.Dependence(copula="student-t", degrees_of_freedom=4)
    with pytest.raises(rs.ArgumentError, match="Student t copula joins all indices"):
        rs.uncertainty(paid(*pair, dependence=joined))


def test_fitted_errors_that_hang_together_are_one_part():
    pair = normal("a", 0.1, "parameter"), normal("b", 0.1, "parameter")
    of = paid(*pair, correlations=[rs.Correlation(between=["a", "b"], value=-0.9)])
    split = rs.uncertainty(of).sel(partner=PAYER, year="all", source="parameter")
    # the product of two lognormals of correlation r has sigma^2 = 2 s^2 (1 + r)
    mean = np.exp(-0.9 * 0.01)
    expected = mean**2 * np.expm1(2 * 0.01 * 0.1) * 4e14
    assert abs(float(split.position_variance) - expected) < 4 * float(split.position_variance_error)
