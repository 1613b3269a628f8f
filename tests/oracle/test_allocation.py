"""Euler allocation against closed forms: normal positions, Poisson and gamma risks (M21)."""

import numpy as np
from builders import PAYER, case, line
from judging import SPREADS
from scipy import stats

import riskshare as rs
from riskshare.analysis.allocation import Total, jackknife, jackknife_error


def normal(name, sd):
    return rs.Driver(name=name, acts_on="activity", law="normal", sd=sd)


RHO, SPREAD = 0.4, (0.05, 0.08)


def two_normal_lines():
    """A payer of two lines of 20m and 10m whose volumes are normal and correlated."""
    return case(
        [
            line("a", loadings={"first": 1.0}),
            line("b", loadings={"second": 1.0}, baseline=5000),
        ],
        [rs.ActivityPayment()],
        drivers=[normal("first", SPREAD[0]), normal("second", SPREAD[1])],
        correlations=[rs.Correlation(between=["first", "second"], value=RHO)],
    )


def test_tail_and_spread_of_normal_positions_split_in_closed_form():
    found = rs.attribute(two_normal_lines(), samples=65_536, levels=(0.9, 0.99))
    sizes = np.array([2e7, 1e7])
    deviations = sizes * SPREAD
    covariance = np.outer(deviations, deviations) * [[1, RHO], [RHO, 1]]
    sd = np.sqrt(covariance.sum())
    own = covariance.sum(1) / sd
    at = found.sel(partner=PAYER, year="all")
    for axis, labels in (("driver", ["first", "second"]), ("line", ["a", "b"])):
        part = at.sel({axis: labels})
        mean = -sizes if axis == "line" else np.zeros(2)
        assert_close(part, f"position_standard_deviation_by_{axis}", own)
        assert_close(part, f"position_mean_by_{axis}", mean)
        for q in (0.9, 0.99):
            z = stats.norm.ppf(q)
            here = part.sel(level=q)
            tail = own * stats.norm.pdf(z) / (1 - q)
            assert_close(here, f"position_tail_value_at_risk_by_{axis}", -mean + tail)
            assert_close(here, f"position_value_at_risk_by_{axis}", -mean + own * z)


def assert_close(found, name, expected):
    """Figures lie within their standard errors, which are small, of what is known."""
    error = found[f"{name}_error"].values
    # money of 20m in 32 bits is known to about a pound
    assert (np.abs(found[name].values - expected) <= SPREADS * error + 2).all(), name
    assert (error < 2e4).all(), name


def counts(law, **numbers):
    """A payer of two lines of 30 and 70 units at 1, with nothing but chance."""
    noises = [rs.Noise(law=law, **{k: v(size) for k, v in numbers.items()}) for size in (30, 70)]
    return case(
        [
            line(name, baseline=size, price=1.0, unit_cost=1.0, noise=noise)
            for name, size, noise in (("a", 30, noises[0]), ("b", 70, noises[1]))
        ],
        [rs.ActivityPayment()],
    )


def test_conditional_mean_sharing_of_poisson_risks_is_36_and_84():
    """M21: of S = 120 with rates 30 and 70, E[X_i | S] is 36 and 84; tails are shared likewise."""
    law = stats.poisson(100)
    level = float(law.cdf(119) + law.pmf(120) / 2)  # in the middle of the atom at 120
    found = rs.attribute(counts("poisson"), samples=65_536, levels=(level,))
    at = found.sel(partner=PAYER, year="all", line=["a", "b"]).isel(level=0)
    assert float(at.position_value_at_risk) == 120.0
    shared(at, "value_at_risk", 120.0)
    beyond = np.arange(121, 400)
    tail = float((beyond * law.pmf(beyond)).sum() + 120 * law.pmf(120) / 2) / (1 - level)
    shared(at, "tail_value_at_risk", tail)


def test_conditional_mean_sharing_of_gamma_risks_is_by_their_shapes():
    """Gamma risks of one scale (1) and shapes 30 and 70: E[X_i | S] = S x shape share."""
    of = counts("gamma", cv=lambda size: float(size**-0.5))
    found = rs.attribute(of, samples=65_536, levels=(0.99,))
    at = found.sel(partner=PAYER, year="all", line=["a", "b"]).isel(level=0)
    quantile = stats.gamma(100).ppf(0.99)
    shared(at, "value_at_risk", quantile)
    tail = 100 * stats.gamma(101).sf(quantile) / 0.01
    shared(at, "tail_value_at_risk", tail)


def shared(at, name, total):
    """30 and 70 % of the total, by their standard errors."""
    part, error = at[f"position_{name}_by_line"], at[f"position_{name}_by_line_error"]
    assert (
        np.abs(part.values - total * np.array([0.3, 0.7])) < SPREADS * error.values + 0.01
    ).all()
    assert (error < 1.0).all()


def test_standard_errors_are_what_figures_differ_by_from_run_to_run():
    generator = np.random.default_rng(1)
    found = {"value_at_risk": [], "tail_value_at_risk": [], "standard_deviation": []}
    for _ in range(250):
        first = generator.normal(size=(16, 256))
        parts = np.stack([first, generator.gamma(2.0, size=(16, 256)), 0.5 * first**2])
        split = Total(parts.sum(0), (0.9,)).split(parts)
        for name, rows in found.items():
            one = getattr(split, name)
            rows.append((np.ravel(one.value), np.ravel(one.error)))
    for name, rows in found.items():
        values, errors = np.array(rows).swapaxes(0, 1)
        ratio = np.sqrt(np.square(errors).mean(0)) / values.std(0, ddof=1)
        # 250 runs know a standard deviation to 4.5 %
        assert (np.abs(ratio - 1) < 0.2).all(), (name, ratio)


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(2).normal(size=(3, 16))
    left = jackknife({"x": values})["x"]
    np.testing.assert_allclose(jackknife_error(left), values.std(-1, ddof=1) / 4, rtol=1e-12)
