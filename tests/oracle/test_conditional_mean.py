"""The conditional-mean key: closed forms of E[X_i | S], and exact sums."""

import numpy as np
import pytest
from builders import actuals, balanced, case, line, partner

import riskshare as rs


def shared(lines, **fields):
    """Two providers whose lines are paid by activity, and a pool of their deviation."""
    partners = [
        partner("payer", "payer"),
        partner("a"),
        partner("b"),
        partner("external", "external"),
    ]
    pool = rs.Pool(
        budget="plan",
        against=["activity-payment"],
        holder="payer",
        key="conditional-mean",
        **fields,
    )
    return case(
        lines,
        [rs.ActivityPayment(), pool],
        partners=partners,
        budgets=[rs.Budget(name="plan")],
        residual_key={"payer": 1.0},
    )


def unit(name, mean, **noise):
    return line(
        name,
        deliverer=name,
        payer="payer",
        baseline=mean,
        price=1.0,
        unit_cost=1.0,
        noise=rs.Noise(**noise),
    )


@pytest.fixture(scope="module")
def poisson():
    return shared([unit("a", 30, law="poisson"), unit("b", 70, law="poisson")])


def borne(of, activity):
    outcomes = rs.settle(of, actuals(of, activity))
    return [float(outcomes.posting.sel(term="c.pool", partner=p).item()) for p in ("a", "b")]


@pytest.mark.parametrize(("first", "second"), [(30, 90), (50, 70), (36, 84)])
def test_poisson_parts_are_proportional_to_their_rates(poisson, first, second):
    """G32: X1 ~ Poisson(30), X2 ~ Poisson(70), S = 120 gives 36 and 84, whoever had the events."""
    a, b = borne(poisson, [first, second])

    assert 30 - a == pytest.approx(36, abs=0.1)
    assert 70 - b == pytest.approx(84, abs=0.1)
    assert a + b == pytest.approx(-20, abs=0.011)


def test_normal_parts_follow_their_covariance_with_the_sum():
    """E[X_i | S] = mean_i + cov(X_i, S) / var(S) x (S - mean): variances 9 and 16 of small cv."""
    lines = [unit("a", 1e4, law="gamma", cv=0.03), unit("b", 1e4, law="gamma", cv=0.04)]
    a, b = borne(shared(lines), [10_100, 10_150])

    assert a == pytest.approx(-250 * 9 / 25, abs=2)
    assert b == pytest.approx(-250 * 16 / 25, abs=2)


def test_gamma_parts_of_one_scale_are_proportional_to_shape_far_from_the_mean():
    """Gammas of equal scale: X_i / S is independent of S. Shapes 4 and 12, S high."""
    lines = [unit("a", 4e4, law="gamma", cv=0.5), unit("b", 12e4, law="gamma", cv=12**-0.5)]
    a, b = borne(shared(lines), [1e5, 1.56e5])

    assert -a == pytest.approx(0.25 * 96_000, rel=0.01)
    assert -b == pytest.approx(0.75 * 96_000, rel=0.01)


def test_settlement_balances_to_the_penny(poisson):
    outcomes = rs.settle(poisson, actuals(poisson, [37, 81]))

    assert balanced(outcomes)


def test_simulated_parts_have_the_mean_of_the_deviation(poisson):
    """E[E[X_i | S]] = E[X_i]: what is shared out comes to nothing in the mean, for each partner."""
    table = rs.summarise(rs.simulate(poisson, samples=65_536, seed=7))
    at = table.sel(term="c.pool", year="2018/19")
    for name in ("a", "b"):
        mean = float(at.posting_mean.sel(partner=name))
        error = float(at.posting_mean_error.sel(partner=name))
        assert abs(mean) < 4 * error + 0.02  # the table's own error


def test_every_settlement_of_a_case_uses_one_table(poisson):
    first = borne(poisson, [40, 80])
    rs.simulate(poisson, samples=4096, seed=11)

    assert borne(poisson, [40, 80]) == first


def test_a_rate_shares_part_of_the_result_and_the_rest_stays_by_the_residual_key():
    half = shared([unit("a", 30, law="poisson"), unit("b", 70, law="poisson")], rate=0.5)
    outcomes = rs.settle(half, actuals(half, [36, 84]))
    posting = outcomes.posting.sel(term="c.pool").squeeze()

    assert float(posting.sel(partner=["a", "b"]).sum()) == pytest.approx(-20, abs=0.011)
    assert float(posting.sum()) == 0
    assert np.isclose(float(posting.sel(partner="payer")), 20, atol=0.011)


def test_certain_lines_share_in_proportion_to_their_plan():
    lines = [
        line(n, deliverer=n, payer="payer", baseline=m, price=1.0, unit_cost=1.0)
        for n, m in (("a", 100), ("b", 300))
    ]
    a, b = borne(shared(lines), [110, 310])

    assert a == pytest.approx(-5, abs=0.01)
    assert b == pytest.approx(-15, abs=0.01)
