"""Every settlement of the Medicare Shared Savings Program, PY2014 to PY2022, as one contract."""

from pathlib import Path

import numpy as np
import pytest

import riskshare as rs
from tests import mssp

DATA = Path(__file__).parents[3] / "shared" / "data" / "mssp" / "mssp_core_2014_2022.csv.gz"

pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"no {DATA}")


def settle(numbers):
    return rs.settle(
        mssp.contract(),
        mssp.experience(numbers),
        parameters=mssp.parameters(numbers),
        keep=("posting",),
    )


@pytest.fixture(scope="module")
def table():
    return mssp.rows(DATA)


def sharing(outcomes):
    return outcomes.posting.sel(term="mssp.sharing", partner="aco").values.ravel()


@pytest.fixture(scope="module")
def settled(table):
    return sharing(settle(mssp.numbers(table)))


@pytest.fixture(scope="module")
def before_relief(table):
    numbers = mssp.numbers(table)
    return sharing(settle({**numbers, "relief": np.zeros_like(numbers["relief"])}))


def test_every_aco_year_is_there(table):
    assert len(table["year"]) == 4122
    assert set(table["year"]) == set(range(2014, 2023))


def test_paid_or_not_paid_agrees_everywhere(table, settled):
    paid, _, _ = mssp.published(table)

    np.testing.assert_array_equal(settled > 0, paid > 0)


def test_amount_paid_is_within_what_rounding_of_published_rates_allows(table, settled):
    paid, _, _ = mssp.published(table)
    slack, _ = mssp.rounding(table)
    there = paid > 0

    assert np.abs(settled[there] / paid[there] - 1).max() < 1e-3
    assert np.all(np.abs(settled - paid)[there] <= slack[there])


def test_losses_before_relief_agree_but_for_unpublished_revenue_caps(table, before_relief):
    _, owed, _ = mssp.published(table)
    known = ~mssp.among(table, [*mssp.REVENUE_CAPPED, *mssp.UNEXPLAINED]) & (owed > 0)

    assert known.sum() == 57
    assert np.abs(-before_relief[known] / owed[known] - 1).max() < 1e-3


def test_exceptions_are_exceptions(table, before_relief):
    _, owed, _ = mssp.published(table)
    capped = mssp.among(table, mssp.REVENUE_CAPPED)

    assert np.all(-before_relief[capped] > owed[capped])  # a cap that the file does not hold
    unexplained = mssp.among(table, mssp.UNEXPLAINED)
    assert np.all(np.abs(-before_relief[unexplained] / owed[unexplained] - 1) > 1e-3)


def test_half_year_reading_gives_the_unexplained_loss_to_the_dollar(table, before_relief):
    _, owed, _ = mssp.published(table, halved=mssp.SIX_MONTHS)
    rows = mssp.among(table, mssp.SIX_MONTHS)

    np.testing.assert_allclose(-before_relief[rows], owed[rows], atol=1.0)


def test_nobody_owes_who_did_not(table, before_relief):
    _, owed, _ = mssp.published(table)

    np.testing.assert_array_equal(before_relief < 0, owed > 0)


def test_engine_and_plain_numpy_agree_to_the_cent(table, settled):
    _, _, final = mssp.oracle(mssp.numbers(table))

    np.testing.assert_allclose(settled, final, rtol=0, atol=0.0051)


def test_scale_gives_the_printed_minimum_savings_rate(table):
    """MSR of every one-sided ACO with at least 5,000 people, to the printed digits.

    The gate opens at the rate: an ACO that saves just that is paid, one that saves less is not.
    """
    numbers = mssp.numbers(table)
    one_sided = (numbers["cap.loss"] == 0) & (numbers["lives"] >= 5000)
    rate = mssp.scale(numbers["lives"])
    for step, pays in ((1e-9, True), (-1e-9, False)):
        spend = numbers["benchmark"] * (1 - rate - step)
        found = sharing(settle({**numbers, "expenditure": spend, "quality": 0 * spend + 1}))
        np.testing.assert_array_equal(found[one_sided] > 0, pays)
    for year, digits in mssp.MSR_DIGITS.items():
        rows = one_sided & (table["year"] == year)
        units = np.abs(rate - table["msr"])[rows] * 10**digits
        assert units.max() <= (0.5501 if year in (2014, 2016) else 0.5001)
    assert one_sided.sum() == 3079


def test_one_compilation_serves_every_track_and_year(table):
    from riskshare.program.block import count_traces

    numbers = mssp.numbers(table)
    settle({name: values[:50] for name, values in numbers.items()})
    with count_traces() as traced:
        settle({name: values[50:100] for name, values in numbers.items()})

    assert traced == []


def test_one_contract_by_itself_equals_its_row_of_the_batch(table, settled):
    numbers = mssp.numbers(table)
    for row in (0, 1500, 4000):
        own = {name: values[row : row + 1] for name, values in numbers.items()}
        values = {path: float(array[0]) for path, array in mssp.parameters(own).items()}
        alone = rs.settle(mssp.contract(), mssp.experience(own).isel(contract=0), parameters=values)
        assert sharing(alone)[0] == settled[row]


@pytest.mark.parametrize("year", [2021, 2022])
def test_savings_rates_spread_by_size_as_published(table, year):
    """R4: the SD of savings rates is 2.7-3.1 points at 30,000 lives or more, 4.6-4.9 below."""
    rate = 100 * (1 - table["expend"] / table["benchmark"])
    of_year = table["year"] == year

    assert 2.7 <= rate[of_year & (table["n_ab"] >= 30_000)].std(ddof=1) <= 3.1
    assert 4.6 <= rate[of_year & (table["n_ab"] < 10_000)].std(ddof=1) <= 4.9
