"""Calls that mean nothing are refused by name, and results that are no numbers are not shown."""

import numpy as np
import pytest
import xarray as xr

import riskshare as rs


@pytest.fixture(scope="module")
def case() -> rs.Case:
    return rs.load_case("msk-toy")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"samples": 0}, "samples is 0"),
        ({"samples": float("nan")}, "samples is nan"),
        ({"samples": 10.5}, "samples is 10.5"),
        ({"seed": -1}, "seed is -1"),
        ({"replicates": 2.5}, "replicates is 2.5"),
        ({"replicates": 1}, "replicates is 1"),
        ({"workers": -1}, "workers is -1"),
        ({"sampler": "dice"}, "sampler is 'dice'"),
        ({"precision": "float16"}, "precision is 'float16'"),
        ({"keep": ("positon",)}, "keep is"),
        ({"parameters": {"msk.pool.shares[acute]": 0.4}}, r"did you mean msk.pool.share\[acute\]"),
        ({"parameters": {"msk.funding.amount": "x"}}, "found 'x'; accepted: a number"),
        ({"parameters": {"msk.funding.amount": [1.0, 2.0]}}, "an array without names"),
        (
            {"parameters": {"msk.funding.amount": xr.DataArray([1.0, 2.0], dims="year")}},
            "'year' is one of the result's own",
        ),
    ],
)
def test_a_value_that_means_nothing_is_refused(
    case: rs.Case, given: dict[str, object], told: str
) -> None:
    with pytest.raises(rs.ArgumentError, match=told):
        rs.simulate(case, **{"samples": 64, **given})


def test_only_a_dataset_is_settled(case: rs.Case) -> None:
    with pytest.raises(rs.ArgumentError, match=r"xarray\.Dataset"):
        rs.settle(case, {"activity": 1.0})


def test_results_that_are_not_finite_are_an_error(case: rs.Case) -> None:
    with pytest.raises(rs.NumericalError, match="too large for float32"):
        rs.simulate(case, samples=64, parameters={"lines.triage.price": 1e36})


def test_one_sample_of_a_draw_settles_as_actuals(case: rs.Case) -> None:
    draws = rs.draw(case, samples=64, precision="float64")
    alone = rs.settle(case, draws.isel(sample=3))
    among = rs.settle(case, draws).isel(sample=3)

    np.testing.assert_allclose(alone.position.squeeze("sample"), among.position, atol=0.06)


def test_a_batch_says_how_to_make_it_again(case: rs.Case) -> None:
    rates = xr.DataArray([0.2, 0.3, 0.4], dims="contract", coords={"contract": ["a", "b", "c"]})
    path = "msk.marginal-rate.rate[outpatients,up]"
    batch = rs.simulate(case, samples=64, parameters={path: rates})
    single = rs.simulate(case, samples=64, parameters={path: 0.3})

    assert batch.position.dims[0] == "contract"
    assert batch.attrs["parameters"] == [path]
    assert batch.attrs["case_digest"] == rs.simulate(case, samples=64).attrs["case_digest"]
    np.testing.assert_array_equal(batch.position.sel(contract="b"), single.position)


@pytest.mark.parametrize(
    ("path", "value"),
    [("drivers.price.sd", 3.3), ("msk.marginal-rate.rate[inpatients,up]", 40.0)],
)
def test_a_percentage_is_asked_about(case: rs.Case, path: str, value: float) -> None:
    with pytest.raises(rs.CaseError, match=f"did you mean {value / 100:g}"):
        case.with_numbers({path: value})


def test_replicates_of_a_batch_are_named_once():
    case = rs.load_case("msk-toy")
    rates = xr.DataArray([0.2, 0.4], dims="rate")
    outcomes = rs.simulate(case, samples=64, parameters={"msk.marginal-rate.rate": rates})

    assert outcomes.replicate.dims == ("sample",)
    assert rs.summarise(outcomes).sizes["rate"] == 2
