"""The bundled case says what was published, and marks what was not."""

import numpy as np
import pytest

import riskshare as rs
from riskshare.bind import bind


@pytest.fixture(scope="module")
def case() -> rs.Case:
    return rs.load_case("mid-nottinghamshire-msk")


def test_baseline_values_solve_the_two_published_savings(case: rs.Case) -> None:
    # half a year at -25 % and -5 % saves £2.0m; the next year at -25 % and -10 % saves £2.5m more
    equations = np.array([[0.5 * 0.25, 0.5 * 0.05], [0.25, 0.10]])
    outpatients, inpatients = np.linalg.solve(equations, [2.0e6, 4.5e6])
    value = {
        name: case.number(f"lines.{name}.baseline") * case.number(f"lines.{name}.price")
        for name in ("outpatients", "inpatients")
    }

    assert value == pytest.approx({"outpatients": outpatients, "inpatients": inpatients})
    assert value == pytest.approx({"outpatients": 14.0e6, "inpatients": 10.0e6})


def test_expected_gross_savings_are_the_published_ones(case: rs.Case) -> None:
    plan = bind(case).plan
    saved = ((plan.view.baseline - plan.expected) * plan.view.price)[:, :2].sum(1)

    assert saved[0] == pytest.approx(2.0e6, abs=1.0)
    assert saved[1] - saved[0] == pytest.approx(2.5e6, abs=1.0)


def test_drawn_savings_agree_with_the_published_ones(case: rs.Case) -> None:
    draws = rs.draw(case, samples=65_536, seed=3, precision="float64")
    plan = bind(case).plan.view
    activity = draws.activity.sel(line=["outpatients", "inpatients"])
    baseline = plan.baseline[:, :2, None]
    price = plan.price[:, :2, None]
    saved = ((baseline - activity.transpose("year", "line", "sample").values) * price).sum(1)
    by_replicate = saved.reshape(3, 16, -1).mean(-1)
    error = by_replicate.std(-1, ddof=1) / 4

    assert abs(saved[0].mean() - 2.0e6) <= 4 * error[0]
    assert abs(saved[1].mean() - 4.5e6) <= 4 * error[1]


def test_triage_is_thirteen_thousand_a_year(case: rs.Case) -> None:
    triage = bind(case).plan.expected[:, 2]

    assert triage == pytest.approx([6_500, 13_000, 13_000])


@pytest.mark.parametrize(
    "path",
    [
        "msk.marginal-rate.rate",
        "msk.pool.caps[0].limit",
        "residual_key",
        "drivers.demand.influence",
        "changes.fewer-operations.size[2018/19]",
        "lines.outpatients.baseline",
        "drivers.demand.sd",
        "lines.outpatients.noise",
    ],
)
def test_what_was_never_published_is_marked(case: rs.Case, path: str) -> None:
    assert case.assumptions[path]


def test_the_proxy_is_the_fitted_annual_level_error(case: rs.Case) -> None:
    # docs/fitting.md: pooled over 130 trusts, 3.3 % (0.4 %) once the line's own noise is out
    assert case.number("drivers.demand.sd") == 0.033
    assert case.number("lines.outpatients.noise.overdispersion") == 0.0002
