"""Fitted figures recover what was put in, judged by binomial and standard errors."""

import doctest

import numpy as np
import pytest
from scipy import stats

from riskshare import fitting
from riskshare.errors import ArgumentError
from riskshare.fitting import activity, annual, conversion, monthly, negative_binomial

MONTHS = np.arange("2016-04", "2019-04", dtype="datetime64[M]")
SEASON = 0.05 * np.cos(2 * np.pi * np.arange(12) / 12)
TREND = 0.03


def days(months):
    return ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(float)


def means(level, months=MONTHS):
    index = months.astype(int)
    years = (index - index.mean()) / 12
    return level / 30 * days(months) * np.exp(TREND * years + SEASON[index % 12])


def negative_binomial_counts(seed, replicates, level, overdispersion, months=MONTHS):
    rng = np.random.default_rng(seed)
    factor = rng.gamma(1 / overdispersion, overdispersion, (replicates, months.size))
    return rng.poisson(means(level, months) * factor)


def assert_covers(hits, nominal=0.95):
    """Hits are Bernoulli with the nominal chance, within three binomial standard errors."""
    error = np.sqrt(nominal * (1 - nominal) / hits.size)
    assert abs(np.mean(hits) - nominal) <= 3 * error, (np.mean(hits), error)


def assert_mean(values, truth):
    assert abs(np.mean(values) - truth) <= 3 * np.std(values, ddof=1) / np.sqrt(len(values))


@pytest.fixture(scope="module", params=[(9000.0, 0.0008), (300.0, 0.01)], ids=["large", "small"])
def replicates(request):
    level, overdispersion = request.param
    counts = negative_binomial_counts(1, 400, level, overdispersion)
    return overdispersion, [fitting.fit_activity(row, MONTHS) for row in counts]


@pytest.mark.parametrize("overdispersion", [0.0, 1e-10, 1e-5, 0.0008, 0.3, 5.0])
def test_log_likelihood_is_the_negative_binomial_of_scipy(overdispersion):
    mean = np.array([0.5, 3.0, 40.0, 9000.0])
    counts = np.array([0.0, 5.0, 33.0, 9300.0])
    if overdispersion < negative_binomial.LOWEST:
        expected = stats.poisson.logpmf(counts, mean).sum()
    else:
        size = 1 / overdispersion
        expected = stats.nbinom.logpmf(counts, size, 1 / (1 + overdispersion * mean)).sum()
    found = negative_binomial.log_likelihood(counts, mean, overdispersion)
    assert found == pytest.approx(expected, rel=1e-7)


def test_full_likelihood_is_at_its_maximum():
    counts = negative_binomial_counts(3, 1, 900.0, 0.004)[0]
    fit = fitting.fit_activity(counts, MONTHS, likelihood="full")

    def at(overdispersion, scale):
        size = 1 / overdispersion
        return stats.nbinom.logpmf(
            counts, size, 1 / (1 + overdispersion * fit.fitted * scale)
        ).sum()

    best = at(fit.overdispersion, 1.0)
    assert fit.log_likelihood == pytest.approx(best, rel=1e-9)
    neighbours = [at(fit.overdispersion * f, s) for f in (0.98, 1, 1.02) for s in (0.999, 1, 1.001)]
    assert best == max(neighbours)


def test_trend_interval_covers(replicates):
    _, fits = replicates
    quantile = stats.t.ppf(0.975, MONTHS.size - 13)
    assert_covers(
        np.array([abs(f.trend - TREND) < quantile * f.trend_standard_error for f in fits])
    )


@pytest.mark.parametrize("month", [0, 5, 11])
def test_season_interval_covers(replicates, month):
    _, fits = replicates
    quantile = stats.t.ppf(0.975, MONTHS.size - 13)
    hits = [
        abs(f.season[month] - SEASON[month]) < quantile * f.season_standard_error[month]
        for f in fits
    ]
    assert_covers(np.array(hits))
    assert all(abs(f.season.sum()) < 1e-12 for f in fits)


def test_overdispersion_is_unbiased_and_its_log_interval_covers(replicates):
    truth, fits = replicates
    found = np.array([f.overdispersion for f in fits])
    relative = np.array([f.overdispersion_standard_error for f in fits]) / found
    assert_mean(found, truth)
    assert_covers(np.abs(np.log(found / truth)) < 1.96 * relative)


def test_full_likelihood_finds_twenty_three_thirty_sixths():
    counts = negative_binomial_counts(4, 200, 9000.0, 0.0008)
    full = [fitting.fit_activity(row, MONTHS, likelihood="full").overdispersion for row in counts]
    # Poisson noise is a seventh of the variance here, and is not scaled down with c.
    variance = 0.0008 + 1 / 9000
    assert_mean(full, variance * 23 / 36 - 1 / 9000)


def test_poisson_counts_are_often_at_the_edge_with_a_standard_error():
    rng = np.random.default_rng(5)
    fits = [fitting.fit_activity(rng.poisson(means(500.0)), MONTHS) for _ in range(60)]
    edge = [f for f in fits if f.overdispersion == 0.0]
    assert len(edge) > 20
    assert all(f.overdispersion_standard_error > 0 for f in edge)
    assert all(np.isfinite(f.trend_standard_error) for f in fits)


def test_memory_widens_the_trend_interval():
    rng = np.random.default_rng(6)
    memory, spread = 0.6, 0.03
    lag = np.abs(np.subtract.outer(np.arange(36), np.arange(36)))
    root = np.linalg.cholesky(memory**lag)
    factor = np.exp(spread * rng.standard_normal((200, 36)) @ root.T)
    fits = [fitting.fit_activity(row, MONTHS) for row in rng.poisson(means(9000.0) * factor)]
    error = np.array([abs(f.trend - TREND) for f in fits])
    plain = np.mean(error < 1.96 * np.array([f.trend_standard_error for f in fits]))
    wide = np.mean(error < 1.96 * np.array([f.trend_standard_error_autocorrelated for f in fits]))
    binomial = np.sqrt(0.95 * 0.05 / 200)
    assert plain < 0.95 - 5 * binomial
    # The memory itself is underestimated from 36 months, so the wide one still falls short.
    assert wide > plain + 5 * binomial
    assert np.median([f.residuals.autocorrelation for f in fits]) < memory


def test_days_offset_explains_a_leap_february():
    months = np.arange("2014-01", "2018-01", dtype="datetime64[M]")
    counts = means(1e6, months)
    fit = fitting.fit_activity(counts, months)
    np.testing.assert_allclose(fit.fitted, counts, rtol=1e-6)
    np.testing.assert_allclose(fit.season, SEASON, atol=1e-6)
    assert fit.trend == pytest.approx(TREND, abs=1e-6)
    assert fitting.residual_moments(counts, months).residual_sd > 1e-3


def test_moments_of_both_scales_agree_for_small_noise():
    counts = negative_binomial_counts(7, 1, 9000.0, 0.0005)[0]
    glm = fitting.fit_activity(counts, MONTHS).residuals
    for scale in ("log", "count"):
        moments = fitting.residual_moments(counts, MONTHS, scale=scale)
        assert moments.residual_sd == pytest.approx(glm.residual_sd, rel=0.03)
        assert moments.variance_to_mean == pytest.approx(moments.residual_sd**2 * counts.mean())


def broken(change):
    counts, months = means(100.0).copy(), MONTHS.copy()
    return change(counts, months)


def with_value(counts, months, value):
    counts[3] = value
    return counts, months


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c, m: (np.delete(c, 5), np.delete(m, 5)), "2016-08 is followed by 2016-10"),
        (lambda c, m: (c, np.repeat(m[::2], 2)), "is due"),
        (lambda c, m: with_value(c, m, -1.0), "-1.0 in 2016-07"),
        (lambda c, m: with_value(c, m, np.nan), "nan in 2016-07"),
        (lambda c, m: (c[:20], m[:20]), "20 months"),
        (lambda c, m: (c[:-1], m), "one length"),
        (lambda c, m: (np.where(m.astype(int) % 12 == 6, 0.0, c), m), "month 7 of the year"),
    ],
)
def test_broken_series_are_refused(change, message):
    counts, months = broken(change)
    with pytest.raises(ArgumentError, match=message):
        fitting.fit_activity(counts, months)


def test_unknown_choices_are_refused():
    counts = means(100.0)
    with pytest.raises(ArgumentError, match="restricted"):
        fitting.fit_activity(counts, MONTHS, likelihood="reml")
    with pytest.raises(ArgumentError, match="count"):
        fitting.residual_moments(counts, MONTHS, scale="square")
    with pytest.raises(ArgumentError, match="logarithm"):
        fitting.residual_moments(np.where(np.arange(36) == 3, 0.0, counts), MONTHS)


def panel(seed, organisations, step, overdispersion=0.0005, level=9000.0):
    """Counts whose annual level moves by a log step of standard deviation ``step`` each year."""
    rng = np.random.default_rng(seed)
    jump = rng.standard_normal((organisations, 3)) * np.broadcast_to(step, organisations)[:, None]
    moved = np.repeat(np.exp(np.cumsum(jump, axis=1)), 12, axis=1)
    noise = rng.gamma(1 / overdispersion, overdispersion, moved.shape)
    counts = rng.poisson(means(level) * moved * noise).astype(float)
    names = tuple(f"T{number:03d}" for number in range(organisations))
    return fitting.MonthlyCounts(names, MONTHS, counts)


def test_annual_level_recovers_a_known_spread():
    found = fitting.fit_annual_level(panel(8, 400, 0.04))
    year = 0.0005 / 12 + 1 / (12 * 9000)
    truth = np.sqrt(0.04**2 + 2 * year)
    errors = [
        (found.robust_sd, found.robust_sd_standard_error),
        (found.classical_sd, found.classical_sd_standard_error),
        (found.pooled_sd, found.pooled_sd_standard_error),
    ]
    for value, error in errors:
        assert np.all(np.abs(value - truth) < 3 * error)
    assert np.all(np.abs(found.common_growth - TREND) < 3 * found.common_growth_standard_error)


def test_independent_months_imply_the_growth_they_show():
    found = fitting.fit_annual_level(panel(9, 400, 0.0))
    assert abs(found.pooled_sd - found.independent_growth) < 3 * found.pooled_sd_standard_error
    assert found.independent_growth == pytest.approx(found.independent_level * np.sqrt(2))


def test_variance_prior_is_recovered():
    rng = np.random.default_rng(10)
    truth_sd, truth_degrees = 0.03, 6.0
    found = []
    for _ in range(100):
        variance = truth_sd**2 * truth_degrees / rng.chisquare(truth_degrees, 400)
        own = variance * rng.chisquare(2, 400) / 2
        found.append(annual._variance_prior(own, 2))
    sd, degrees = np.array(found).T
    assert_mean(np.log(sd), np.log(truth_sd))
    # 2/d0 enters the spread of the logs nearly linearly, d0 itself does not.
    assert_mean(np.where(np.isinf(degrees), 0.0, 2 / degrees), 2 / truth_degrees)


def test_credible_level_lies_between_own_and_prior():
    trusts = panel(11, 100, np.linspace(0.005, 0.1, 100))
    level = fitting.fit_annual_level(trusts)
    assert np.isfinite(level.prior_degrees)
    for name in ("T000", "T099"):
        one = fitting.credible_level(trusts.of(name), level)
        low, high = sorted((one.sd, level.prior_sd))
        assert low < one.credible_sd < high
        assert one.sd_standard_error == pytest.approx(one.sd / 2)
        assert one.credibility == pytest.approx(2 / (2 + level.prior_degrees))
        assert one.credible_sd_standard_error / one.credible_sd < 0.5


def test_alike_organisations_get_no_credibility_of_their_own():
    sd, degrees = annual._variance_prior(np.full(50, 0.03**2), 2)
    assert np.isinf(degrees)
    assert sd > 0


def test_annual_level_repeats_with_its_seed():
    trusts = panel(12, 40, 0.03)
    first, second = (fitting.fit_annual_level(trusts, seed=3) for _ in range(2))
    assert first.pooled_sd_standard_error == second.pooled_sd_standard_error
    other = fitting.fit_annual_level(trusts, seed=4)
    assert first.pooled_sd == other.pooled_sd
    assert first.pooled_sd_standard_error != other.pooled_sd_standard_error


def test_annual_level_refuses_part_years_and_holes():
    trusts = panel(13, 12, 0.03)
    part = fitting.MonthlyCounts(trusts.organisations, MONTHS[:30], trusts.counts[:, :30])
    with pytest.raises(ArgumentError, match="whole years"):
        fitting.fit_annual_level(part)
    holed = trusts.counts.copy()
    holed[2, 4] = np.nan
    with pytest.raises(ArgumentError, match="complete"):
        fitting.fit_annual_level(fitting.MonthlyCounts(trusts.organisations, MONTHS, holed))
    with pytest.raises(ArgumentError, match="at least 10"):
        fitting.fit_annual_level(trusts.select(trusts.organisations[:5]))
    with pytest.raises(ArgumentError, match="same months"):
        fitting.credible_level(trusts.counts[0, :24], fitting.fit_annual_level(trusts))
    with pytest.raises(ArgumentError, match="not among"):
        trusts.of("XYZ")


def test_annual_variance_is_the_sum_of_monthly_covariances():
    rng = np.random.default_rng(14)
    mean, overdispersion, memory = means(2000.0)[:12], 0.002, 0.6
    spread = np.sqrt(mean + overdispersion * mean**2)
    lag = np.abs(np.subtract.outer(np.arange(12), np.arange(12)))
    root = np.linalg.cholesky(np.outer(spread, spread) * memory**lag)
    years = (mean + rng.standard_normal((200_000, 12)) @ root.T).sum(axis=1)
    total = mean.sum()
    implied = total + fitting.annual_overdispersion(mean, overdispersion, memory) * total**2
    assert abs(years.var() - implied) < 3 * implied * np.sqrt(2 / years.size)


def test_independent_months_divide_the_overdispersion_by_twelve():
    assert fitting.annual_overdispersion(np.full(12, 500.0), 0.012) == pytest.approx(0.001)


def test_driver_and_noise_together_make_the_annual_level_error():
    noise, count = 0.0003, 20_000.0
    sd = fitting.driver_sd(0.04, noise, count)
    assert sd**2 + noise + 1 / count == pytest.approx(0.04**2)
    with pytest.raises(ArgumentError, match="less than the line's own noise"):
        fitting.driver_sd(0.01, noise)


@pytest.mark.parametrize(
    "call",
    [
        lambda: fitting.annual_overdispersion(np.ones(11), 0.1),
        lambda: fitting.annual_overdispersion(np.ones(12), -0.1),
        lambda: fitting.annual_overdispersion(np.ones(12), 0.1, 1.0),
        lambda: fitting.driver_sd(float("nan"), 0.1),
        lambda: fitting.driver_sd(0.1, -0.1),
    ],
)
def test_conversion_refuses_what_means_nothing(call):
    with pytest.raises(ArgumentError):
        call()


HEADER = "period,org_code,type,attendances,breaches,admissions\n"


def test_attendances_are_added_over_types(tmp_path):
    path = tmp_path / "ae.csv"
    path.write_text(
        HEADER + "2016-04-01,A,1,10,0,0\n2016-04-01,A,other,5,0,0\n2016-06-01,A,1,7,0,0\n"
        "2016-05-01,B,2,9,0,0\n"
    )
    alone = fitting.read_ae_attendances(path)
    assert alone.organisations == ("A",)
    np.testing.assert_array_equal(alone.of("A"), [10, np.nan, 7])
    every = fitting.read_ae_attendances(path, types=("1", "2", "other"))
    np.testing.assert_array_equal(every.counts, [[15, np.nan, 7], [np.nan, 9, np.nan]])
    assert every.complete().organisations == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + "2016-04-01,A,1,10,0,0\n2016-04-01,A,1,10,0,0\n", "stands twice"),
        (HEADER + "2016-04-01,A,1,many,0,0\n", "'many' is not a number"),
        (HEADER + "2016-04-01,A,2,10,0,0\n", "no row has the type 1"),
        ("period,type,attendances\n", "no column org_code"),
    ],
)
def test_broken_attendance_files_are_refused(tmp_path, text, message):
    path = tmp_path / "ae.csv"
    path.write_text(text)
    with pytest.raises(ArgumentError, match=message):
        fitting.read_ae_attendances(path)


def test_monthly_total_is_read(tmp_path):
    path = tmp_path / "total.csv"
    path.write_text("month,admissions\n2008-04,10.0\n2008-05,12.5\n")
    counts, months = fitting.read_monthly_total(path)
    np.testing.assert_array_equal(counts, [10.0, 12.5])
    assert [str(month) for month in months] == ["2008-04", "2008-05"]


@pytest.mark.parametrize("module", [activity, annual, conversion, monthly, negative_binomial])
def test_docstring_examples_run(module):
    assert doctest.testmod(module).failed == 0
