"""The published figures of NHS activity, refitted from the data where it is at hand."""

from pathlib import Path

import numpy as np
import pytest

from riskshare import fitting

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "nhs_activity"
ATTENDANCES = DATA / "ae_attendances_2016_2019.csv.gz"
NONELECTIVE = DATA / "england_nonelective_admissions_2008_2013.csv"
ALL_TYPES = ("1", "2", "other")

pytestmark = pytest.mark.skipif(
    not (ATTENDANCES.exists() and NONELECTIVE.exists()),
    reason="the NHS activity files are not beside the project",
)


@pytest.fixture(scope="module")
def type_1():
    return fitting.read_ae_attendances(ATTENDANCES).complete()


@pytest.fixture(scope="module")
def all_types(type_1):
    return fitting.read_ae_attendances(ATTENDANCES, ALL_TYPES).select(type_1.organisations)


def test_panel_holds_the_trusts_with_type_1_in_every_month(type_1, all_types):
    assert len(type_1.organisations) == 130
    assert type_1.months.size == 36
    assert not np.isnan(all_types.counts).any()


def test_published_monthly_figures_of_the_panel(type_1):
    moments = [fitting.residual_moments(row, type_1.months, scale="log") for row in type_1.counts]
    assert round(100 * np.median([m.residual_sd for m in moments]), 1) == 3.1
    ratios = np.percentile([m.variance_to_mean for m in moments], [25, 50, 75])
    np.testing.assert_array_equal(ratios.round(1), [5.1, 7.9, 15.8])
    # Published as "near 0.55".
    assert round(np.median([m.autocorrelation for m in moments]), 2) == 0.54


def test_likelihood_fit_of_the_panel_agrees_with_least_squares(type_1):
    fits = [fitting.fit_activity(row, type_1.months) for row in type_1.counts]
    ratios = np.percentile([f.residuals.variance_to_mean for f in fits], [25, 50, 75])
    np.testing.assert_array_equal(ratios.round(1), [5.2, 8.0, 15.9])
    assert np.median([f.overdispersion for f in fits]) == pytest.approx(8.2e-4, abs=5e-6)


@pytest.mark.parametrize(("trust", "every", "one"), [("RK5", 7.0, 20), ("RX1", 6.3, 144)])
def test_published_variance_to_mean_of_single_trusts(type_1, all_types, trust, every, one):
    ratios = [
        fitting.residual_moments(panel.of(trust), panel.months, scale="count").variance_to_mean
        for panel in (all_types, type_1)
    ]
    assert round(ratios[0], 1) == every
    assert round(ratios[1]) == one


def test_published_annual_growth(type_1):
    level = fitting.fit_annual_level(type_1, growth="relative")
    np.testing.assert_array_equal((100 * level.robust_sd).round(1), [2.6, 4.3])
    assert round(100 * level.independent_level, 1) == 0.9
    assert np.all(level.robust_sd > level.independent_growth + 3 * level.robust_sd_standard_error)


def test_log_growth_of_all_types_feeds_the_case(all_types):
    level = fitting.fit_annual_level(all_types)
    assert level.pooled_sd == pytest.approx(0.0355, abs=5e-5)
    assert level.pooled_sd_standard_error == pytest.approx(0.0035, abs=3e-4)
    noise = []
    for counts in all_types.counts:
        fit = fitting.fit_activity(counts, all_types.months)
        memory = max(fit.residuals.autocorrelation, 0.0)
        noise.append(fitting.annual_overdispersion(fit.fitted[-12:], fit.overdispersion, memory))
    typical = float(np.median(noise))
    assert typical == pytest.approx(1.95e-4, abs=5e-6)
    assert fitting.driver_sd(level.pooled_sd, typical) == pytest.approx(0.0327, abs=1e-4)


@pytest.mark.parametrize(
    ("trust", "own", "credible"), [("RK5", 0.0091, 0.0196), ("RX1", 0.0100, 0.0199)]
)
def test_single_trusts_lean_on_the_panel(all_types, trust, own, credible):
    found = fitting.credible_level(all_types.of(trust), fitting.fit_annual_level(all_types))
    assert found.sd == pytest.approx(own, abs=1e-4)
    assert found.credible_sd == pytest.approx(credible, abs=1e-4)
    assert found.credibility == pytest.approx(0.62, abs=0.01)


def test_published_figures_of_england():
    counts, months = fitting.read_monthly_total(NONELECTIVE)
    fit = fitting.fit_activity(counts, months)
    assert counts.size == 62
    assert round(100 * fit.residuals.residual_sd, 1) == 2.1
    assert round(100 * fit.trend, 1) == 1.7
    growth = np.diff(np.log(counts[:60].reshape(5, 12).sum(axis=1)))
    assert round(100 * growth.std(ddof=1), 1) == 1.9
