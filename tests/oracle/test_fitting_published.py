"""Published figures of claims and unit costs, refitted from the data where it is at hand."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from riskshare import fitting
from riskshare.errors import ArgumentError

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
CLAIMS = DATA / "claims" / "desynpuf_sample1_first10k_2008_2010.csv.gz"
ELECTIVE = DATA / "nhs_costs" / "national_schedule_2018_19_elective.csv.gz"
EMERGENCY = DATA / "nhs_costs" / "national_schedule_2018_19_ae.csv"
INDICES = DATA / "nhs_costs" / "reference_cost_index_2015_16.csv.gz"

claims_data = pytest.mark.skipif(
    not CLAIMS.exists(), reason="the claims are not beside the project"
)
cost_data = pytest.mark.skipif(
    not (ELECTIVE.exists() and EMERGENCY.exists() and INDICES.exists()),
    reason="the unit costs are not beside the project",
)


def rows(path):
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def paid():
    """Total paid by year and person: full-year fee-for-service members."""
    found = {}
    for row in rows(CLAIMS):
        months = [row[f"BENE_{part}_CVRAGE_TOT_MONS"] for part in ("HI", "SMI", "HMO")]
        if months == ["12", "12", "0"]:
            total = sum(float(row[f"MEDREIMB_{part}"]) for part in ("IP", "OP", "CAR"))
            found.setdefault(row["year"], {})[row["DESYNPUF_ID"]] = total
    return found


@claims_data
def test_published_means_and_rank_correlations_of_claims(paid):
    means = {year: np.mean(list(people.values())) for year, people in paid.items()}
    assert round(means["2009"]) == 4923
    assert round(means["2010"]) == 2784
    for first, second, published in (("2008", "2009", 0.73), ("2009", "2010", 0.58)):
        both = [person for person in paid[first] if person in paid[second]]
        pairs = [[paid[year][person] for person in both] for year in (first, second)]
        assert round(stats.spearmanr(*pairs).statistic, 2) == published


@claims_data
def test_claims_are_fitted_with_their_zeros(paid):
    amounts = np.array(list(paid["2009"].values()))
    table = fitting.fit_severity(amounts)
    assert table.zeros.value == pytest.approx(np.mean(amounts == 0))
    assert table.zeros.standard_error == pytest.approx(
        np.sqrt(table.zeros.value * (1 - table.zeros.value) / amounts.size)
    )
    # No law of two or three parameters holds 5,487 amounts: the lognormal's tail is too long, the
    # gamma's body too smooth; the generalised Pareto is nearest.
    assert [fit.kind for fit in table.fits][:2] == ["generalised-pareto", "generalised-gamma"]
    assert all(fit.ks > 1.36 / np.sqrt(table.size) for fit in table.fits)
    mean = amounts[amounts > 0].mean()
    assert table.of("gamma").of("mean").value == pytest.approx(mean, rel=1e-5)
    assert table.of("lognormal").of("mean").value > 1.2 * mean


@claims_data
def test_a_spliced_tail_of_claims_keeps_the_mean(paid):
    amounts = np.array(list(paid["2009"].values()))
    positive = amounts[amounts > 0]
    table = fitting.fit_severity(positive, ("gamma", "weibull", "lognormal"), threshold=15_000.0)
    best = table.best
    assert best.kind.startswith("spliced")
    assert best.of("tail_share").value == pytest.approx(np.mean(positive > 15_000), rel=1e-4)
    error = positive.std() / np.sqrt(positive.size)
    assert abs(best.law.expectation() - positive.mean()) < 3 * error
    limited = best.limited_means([5_000.0, 15_000.0, 50_000.0])
    np.testing.assert_allclose(limited.fitted, limited.empirical, rtol=0.03)
    # the law of 15,000 and more is nearly exponential: mean excess is flat up there
    assert abs(best.of("tail.shape").value) < 3 * best.of("tail.shape").standard_error


@claims_data
def test_what_was_paid_back_is_refused_by_place(paid):
    amounts = np.array(list(paid["2010"].values()))
    assert amounts.min() < 0
    with pytest.raises(ArgumentError, match="net recoveries off"):
        fitting.fit_severity(amounts)


@cost_data
def test_published_totals_of_unit_costs():
    elective, emergency = rows(ELECTIVE), rows(EMERGENCY)
    assert len({row["currency_code"] for row in elective}) == len(elective) == 2522
    spells = np.array([float(row["fce"]) for row in elective])
    prices = np.array([float(row["unit_cost_gbp"]) for row in elective])
    assert spells.sum() == 1_322_418
    assert round(sum(float(row["total_cost_gbp"]) for row in elective) / 1e9, 2) == 5.39
    # a gamma's fitted mean is the weighted mean: what an episode costs
    fit = fitting.fit_severity(prices, "gamma", weights=spells).best
    assert fit.of("mean").value == pytest.approx(prices @ spells / spells.sum(), rel=1e-5)
    assert fit.of("mean").value == pytest.approx(5.3927e9 / 1_322_418, rel=2e-3)
    assert len(emergency) == 89
    assert round(sum(float(row["attendances"]) for row in emergency) / 1e6, 1) == 20.4
    assert round(sum(float(row["total_cost_gbp"]) for row in emergency) / 1e9, 2) == 3.39


@cost_data
def test_published_spread_of_trusts_cost_indices():
    """MFF-adjusted indices; episode and spell together where a service has both.

    The whole trust is the index without excess bed days.
    """
    found = {}
    listed = rows(INDICES)
    for row in listed:
        if row["Index_Type"].endswith("MFF_adjusted"):
            found.setdefault(row["Service.Type"], []).append(float(row["RCI"]))
    assert len({row["Org.Code"] for row in listed}) == 237
    spread = {service: np.std(values, ddof=1) for service, values in found.items()}
    published = {"AE": 16, "ELDC": 14, "OP": 14, "NEL": 24}
    assert {service: round(spread[service]) for service in published} == published
    assert round(spread["RCI(excl XBD)"], 1) == 8.5
    # fitted as a law of unit cost, the spread is the cv, with its error
    fit = fitting.fit_severity(found["AE"], "gamma").best
    assert abs(100 * fit.of("cv").value - spread["AE"]) < 2 * 100 * fit.of("cv").standard_error
