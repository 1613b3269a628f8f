"""Every settlement of the Medicare Shared Savings Program, PY2014 to PY2022, as one contract."""

import datetime
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import riskshare as rs
from tests import mssp

DATA = Path(__file__).parents[3] / "shared" / "data" / "mssp" / "mssp_core_2014_2022.csv.gz"

pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"no {DATA}")


def contract():
    """The terms of the program: what differs between tracks and years is a number of them."""
    both = {"gain": 0.5, "loss": 0.5}
    points, rates = zip(*mssp.SCALE, strict=True)
    pool = rs.Pool(
        name="sharing",
        budget="benchmark",
        value_of=["care"],
        holder="cms",
        key="fixed",
        share={"aco": 1.0},
        gate=rs.Gate(
            threshold=both,
            reading="first-dollar",
            scale=rs.Scale(population="assigned", members=points, rate=rates, weight=both),
            missed=both,
        ),
        rate=both,
        quality=rs.Quality(partner="aco", weight=0.5, offset=0.5, floor=0.4, ceiling=0.75),
        scalar=both,
        caps=[rs.Cap(limit=both, of="budget", applies="after-share")],
        relief=both,
    )
    return rs.Case(
        name="mssp",
        currency="USD",
        years=[
            rs.Year(
                label="performance",
                start=datetime.date(2022, 1, 1),
                end=datetime.date(2022, 12, 31),
            )
        ],
        partners=[
            rs.Partner(name="cms", kind="payer"),
            rs.Partner(name="aco", kind="provider", quality=rs.Score(value=1.0)),
            rs.Partner(name="providers", kind="provider"),
        ],
        members=[rs.Population(name="assigned", count=10_000)],
        lines=[
            rs.Line(
                name="care",
                deliverer="providers",
                payer="cms",
                unit="dollar",
                baseline=1e8,
                unit_cost=1.0,
                price=1.0,
            )
        ],
        contracts=[
            rs.Contract(
                name="mssp",
                budgets=[rs.Budget(name="benchmark", base=1e8)],
                terms=[rs.ActivityPayment(), pool],
            )
        ],
    )


def parameters(numbers):
    """Paths of the contract's numbers, each over contracts."""

    def over(values):
        return xr.DataArray(values, dims="contract")

    sides = ("gain", "loss")
    found = {"mssp.benchmark.base": over(numbers["benchmark"])}
    for path, name in (
        ("gate.threshold", "threshold"),
        ("gate.scale.weight", "scaled"),
        ("gate.missed", "missed"),
        ("rate", "rate"),
        ("scalar", "scalar"),
        ("caps[0].limit", "cap"),
    ):
        for side in sides:
            found[f"mssp.sharing.{path}[{side}]"] = over(numbers[f"{name}.{side}"])
    for name in ("weight", "offset", "floor", "ceiling"):
        found[f"mssp.sharing.quality.{name}"] = over(numbers[name])
    found["mssp.sharing.relief[gain]"] = over(np.zeros_like(numbers["relief"]))
    found["mssp.sharing.relief[loss]"] = over(numbers["relief"])
    return found


def experience(numbers):
    year, dims = ["performance"], ("contract", "year")
    return xr.Dataset(
        {
            "activity": ((*dims, "line"), numbers["expenditure"][:, None, None]),
            "members": ((*dims, "population"), numbers["lives"][:, None, None]),
            "quality": ((*dims, "partner"), numbers["quality"][:, None, None]),
        },
        {"year": year, "line": ["care"], "population": ["assigned"], "partner": ["aco"]},
    )


def settle(numbers):
    return rs.settle(
        contract(), experience(numbers), parameters=parameters(numbers), keep=("posting",)
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
        values = {path: float(array[0]) for path, array in parameters(own).items()}
        alone = rs.settle(contract(), experience(own).isel(contract=0), parameters=values)
        assert sharing(alone)[0] == settled[row]
