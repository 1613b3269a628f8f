"""Settlement of actuals: rounding, missing and wrong rows, carried balances, scopes and phases."""

import dataclasses

import numpy as np
import pytest
import xarray as xr
from builders import (
    MSK_ACTUAL,
    actuals,
    balanced,
    behaviour,
    case,
    line,
    msk_toy,
    paid,
    partner,
    years,
)

import riskshare as rs

THREE = [partner("payer", "payer"), partner("provider"), partner("b"), partner("c")]
THIRD = 1 / 3


def pooled(currency="GBP", share=None, price=2000.0, **pool):
    third = {"provider": THIRD, "b": THIRD, "c": THIRD}
    return case(
        [line(price=price)],
        [
            rs.ActivityPayment(),
            rs.Pool(
                budget="b",
                against=["activity-payment"],
                holder="payer",
                key="fixed",
                share=third if share is None else share,
                **pool,
            ),
        ],
        budgets=[rs.Budget(name="b")],
        partners=THREE,
        currency=currency,
    )


@pytest.mark.parametrize(("currency", "per_unit"), [("GBP", 100), ("JPY", 1), ("KWD", 1000)])
def test_awkward_shares_balance_exactly_in_minor_units(currency, per_unit):
    thirds = pooled(currency, price=1.0)
    for activity in (9899.9996, 10_049.99, 10_000.005, 123.456789):
        outcomes = rs.settle(thirds, actuals(thirds, activity))
        minor = outcomes.posting * per_unit
        assert balanced(outcomes, per_unit)
        np.testing.assert_allclose(minor, minor.round(), rtol=0, atol=1e-9 * per_unit)
        third = round((10_000 - round(activity * per_unit) / per_unit) / 3 * per_unit) / per_unit
        assert paid(outcomes, "pool", "b") == pytest.approx(third, abs=1e-12)
        assert outcomes.attrs["rounded_to"] == 1 / per_unit


def test_the_residue_is_the_payers_unless_named():
    # 100.00 in thirds: 33.33 each, one penny left
    default, named = pooled(), pooled(residue="b")
    given = actuals(default, 9999.95)
    found = [
        [paid(rs.settle(of, given), "pool", p) for p in ("provider", "b", "c", "payer")]
        for of in (default, named)
    ]
    assert found[0] == pytest.approx([33.33, 33.33, 33.33, -99.99], rel=1e-15)
    assert found[1] == pytest.approx([33.33, 33.34, 33.33, -100.00], rel=1e-15)


def test_rounded_money_is_the_nearest_float_to_its_decimal():
    unit = case([line(price=1.0)], [rs.ActivityPayment()])
    outcomes = rs.settle(unit, actuals(unit, 99.99))
    assert paid(outcomes, "activity-payment") == 99.99


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(0.125, 0.12), (0.375, 0.38), (0.625, 0.62), (1_234_567.125, 1_234_567.12)],
)
def test_halves_go_to_even(value, rounded):
    unit = case([line(price=1.0, unit_cost=1.0)], [rs.ActivityPayment()])
    outcomes = rs.settle(unit, actuals(unit, value))
    assert paid(outcomes, "activity-payment") == rounded
    assert outcomes.cost.sel(partner="provider").item() == rounded
    assert paid(outcomes, "activity-payment", to="payer") == -rounded


def test_every_number_is_of_minor_units_and_position_is_exact():
    awkward = pooled(price=1999.987)
    outcomes = rs.settle(awkward, actuals(awkward, 9871.3, unit_cost=1931.7731))
    for name in ("posting", "received", "paid", "cost", "position"):
        pennies = outcomes[name] * 100
        np.testing.assert_allclose(pennies, pennies.round(), rtol=0, atol=1e-6)
    total = (outcomes.posting.sum("term") - outcomes.cost) * 100
    assert (total.round() == (outcomes.position * 100).round()).all()
    net = (outcomes.received - outcomes.paid - outcomes.cost) * 100
    assert (net.round() == (outcomes.position * 100).round()).all()


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_actuals_settle_in_float64_whatever_their_type(dtype):
    toy = msk_toy()
    outcomes = rs.settle(toy, actuals(toy, MSK_ACTUAL).astype(dtype))
    assert outcomes.posting.dtype == np.float64
    assert outcomes.sizes["sample"] == 1
    assert outcomes.attrs["precision"] == "float64"
    assert outcomes.position.sel(partner="acute").item() == -244_800
    assert balanced(outcomes)


def test_draws_keep_their_precision_and_are_not_rounded():
    unit = case([line(price=1.0, unit_cost=1.0)], [rs.ActivityPayment()])
    given = actuals(unit, 0.1234567).expand_dims(sample=2)
    for dtype in ("float32", "float64"):
        outcomes = rs.settle(unit, given.astype(dtype))
        assert outcomes.posting.dtype == dtype
        assert paid(outcomes, "activity-payment") == pytest.approx(0.1234567, rel=1e-6)
        assert "rounded_to" not in outcomes.attrs


def several(count=2):
    return case([line("a"), line("b"), line("d")], [rs.ActivityPayment()], count=count)


def test_missing_rows_are_refused_and_every_cell_named():
    three = several()
    given = actuals(three, [[1.0, np.nan, 3.0], [np.nan, 2.0, np.nan]])
    with pytest.raises(rs.ExperienceError) as caught:
        rs.settle(three, given)
    cells = {"activity[b, 2018/19]", "activity[a, 2019/20]", "activity[d, 2019/20]"}
    assert {problem.path for problem in caught.value.problems} == cells


def test_rows_left_out_are_missing_too():
    three = several(1)
    given = actuals(three, [1.0, 2.0, 3.0]).sel(line=["d", "a"])
    with pytest.raises(rs.ExperienceError, match=r"activity\[b, 2018/19\]"):
        rs.settle(three, given)


def test_missing_rows_from_plan_are_named_in_the_result():
    three = several()
    given = actuals(three, [[1.0, np.nan, 3.0], [5.0, 2.0, 4.0]])
    outcomes = rs.settle(three, given, missing="plan")
    assert outcomes.attrs["filled_from_plan"] == ["activity[b, 2018/19]"]
    assert paid(outcomes, "activity-payment") == 2000 * 10_004
    assert rs.settle(three, given.fillna(1.0)).attrs["filled_from_plan"] == []


def test_missing_is_error_or_plan():
    with pytest.raises(rs.ArgumentError, match="accepted: error, plan"):
        rs.settle(several(1), actuals(several(1), [1.0, 2.0, 3.0]), missing="zero")


@pytest.mark.parametrize("variable", ["case_mix", "unit_cost"])
def test_blank_case_mix_or_unit_cost_is_not_silently_plan(variable):
    three = several(1)
    given = actuals(three, [1.0, 2.0, 3.0], **{variable: [1.0, np.nan, 1.0]})
    with pytest.raises(rs.ExperienceError, match=rf"{variable}\[b, 2018/19\]"):
        rs.settle(three, given)


def test_nan_in_draws_is_refused_in_every_variable():
    three = several(1)
    given = actuals(three, [1.0, 2.0, 3.0], unit_cost=1.0).expand_dims(sample=3).copy(deep=True)
    given["unit_cost"][1, 0, 1] = np.nan
    with pytest.raises(rs.ExperienceError, match=r"unit_cost\[b, 2018/19\]"):
        rs.settle(three, given)


def test_a_year_without_rows_is_not_settled():
    three = several()
    first = rs.settle(three, actuals(three, [[1.0, 2.0, 3.0]], years=["2018/19"]))
    assert list(first.year.values) == ["2018/19"]
    blank = actuals(three, [[np.nan] * 3, [1.0, 2.0, 3.0]])
    second = rs.settle(three, blank, missing="plan")
    assert list(second.year.values) == ["2019/20"]
    assert second.attrs["filled_from_plan"] == []
    with pytest.raises(rs.ExperienceError, match="no value for any year"):
        rs.settle(three, blank.isel(year=[0]))


def carrying():
    lines = [line(cost=behaviour(exit_basis="next_year")), line("b", cost=behaviour())]
    changes = [rs.Change(name="x", owner="payer", source="spells", size=0.1)]
    return case(lines, [rs.ActivityPayment()], count=3, changes=changes)


def carried_actuals(of):
    activity = [[8000.0, 9000.0], [7500.0, 9500.0], [8200.0, 9100.0]]
    return actuals(of, activity, drivers={"delivery[x]": [0.5, 1.0, 0.9]})


def test_a_later_year_needs_opening_balances():
    of = carrying()
    given = carried_actuals(of)
    with pytest.raises(rs.ExperienceError, match="opening: missing; 2019/20 carries"):
        rs.settle(of, given.isel(year=[1]))
    with pytest.raises(rs.ExperienceError, match="no rows for 2019/20"):
        rs.settle(of, given.isel(year=[0, 2]))


@pytest.mark.parametrize("split", [1, 2])
def test_years_settled_apart_are_the_joint_settlement(split):
    of = carrying()
    given = carried_actuals(of)
    whole = rs.settle(of, given)
    first = rs.settle(of, given.isel(year=slice(0, split)))
    rest = rs.settle(of, given.isel(year=slice(split, None)), opening=first.closing)
    for name in whole.data_vars:
        np.testing.assert_array_equal(rest[name], whole[name].isel(year=slice(split, None)))


def test_opening_balances_are_those_of_the_year_before():
    of = carrying()
    given = carried_actuals(of)
    first = rs.settle(of, given.isel(year=[0]))
    with pytest.raises(rs.ExperienceError, match="opening"):
        rs.settle(of, given.isel(year=[2]), opening=first.closing)


def test_cost_in_a_year_without_activity_is_not_passed_over():
    of = several()
    given = actuals(of, [[1.0, 2.0, 3.0], [np.nan] * 3], cost=[[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    with pytest.raises(rs.ExperienceError, match=r"activity\[a, 2019/20\]"):
        rs.settle(of, given)


def test_opening_balances_are_checked_by_name():
    of = carrying()
    given = carried_actuals(of)
    closing = rs.settle(of, given.isel(year=[0])).closing
    values = {str(n): float(closing.sel(state=n).item()) for n in closing.state.values}
    by_name = rs.settle(of, given.isel(year=[1]), opening=values)
    assert set(by_name.year.values) == {"2019/20"}
    lost = dict(list(values.items())[1:])
    with pytest.raises(rs.ExperienceError, match="missing; accepted: the closing balance"):
        rs.settle(of, given.isel(year=[1]), opening=lost)
    with pytest.raises(rs.ExperienceError, match="no such balance"):
        rs.settle(of, given.isel(year=[1]), opening={**values, "cost.x": 1.0})
    with pytest.raises(rs.ExperienceError, match="accepted: a number"):
        rs.settle(of, given.isel(year=[1]), opening={**values, next(iter(values)): np.nan})


def test_unknown_doubled_and_impossible_values_are_refused():
    three = several(1)
    good = actuals(three, [1.0, 2.0, 3.0])
    wrong = {
        r"activity\[e\]: no line is named 'e'": good.assign_coords(line=["a", "b", "e"]),
        r"activity\[a\]: the line stands twice": good.assign_coords(line=["a", "b", "a"]),
        r"activity\[2020/21\]: no year": good.assign_coords(year=["2020/21"]),
        r"activity\[b, 2018/19\]: found -2": good * np.array([1.0, -1.0, 1.0]),
        r"activity\[b, 2018/19\]: found inf": good * np.array([1.0, np.inf, 1.0]),
        "activities: unknown; did you mean 'activity'": good.assign(activities=good.activity),
        "activity: missing": good.rename(activity="case_mix"),
        "has dimensions": good.isel(year=0, drop=True),
        "has no labels along line": good.drop_vars("line"),
        r"case_mix\[a, 2018/19\]: found -1": good.assign(case_mix=good.activity * 0 - 1),
    }
    for message, given in wrong.items():
        with pytest.raises(rs.ExperienceError, match=message):
            rs.settle(three, given)


def test_order_of_dimensions_and_labels_does_not_matter():
    three = several()
    given = actuals(three, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    turned = given.isel(year=[1, 0], line=[2, 0, 1]).transpose("line", "year")
    xr.testing.assert_identical(rs.settle(three, given), rs.settle(three, turned))


def test_given_cost_stands_in_for_the_cost_model_line_by_line():
    lines = [line("a", cost=behaviour(exit_basis="realised")), line("b")]
    of = case(lines, [rs.ActivityPayment()])
    plain = rs.settle(of, actuals(of, [8000.0, 9000.0]))
    given = rs.settle(of, actuals(of, [8000.0, 9000.0], cost=[1_234.567, np.nan]))
    assert given.line_cost.sel(line="a").item() == 1234.57
    for name in ("cost_released", "stranded", "lost_contribution"):
        assert np.isnan(given[name].sel(line="a")).all()
        np.testing.assert_array_equal(given[name].sel(line="b"), plain[name].sel(line="b"))
    assert given.line_cost.sel(line="b").item() == plain.line_cost.sel(line="b").item()
    assert given.cost.sel(partner="provider").item() == 1234.57 + 18_000_000
    assert np.isfinite(given.position).all()
    np.testing.assert_array_equal(given.closing, plain.closing)  # the clock runs on activity


def test_scope_of_years():
    fields = {"terms": [rs.Block()]}
    years = ["2019/20"]
    of = case(count=2, contracts=[rs.Contract(name="c", years=years, **fields)])
    outcomes = rs.settle(of, actuals(of, [[9000.0], [9000.0]]))
    assert [paid(outcomes, "block", year=y) for y in (0, 1)] == [0, 20e6]


def test_scope_of_lines_and_partners():
    lines = [line("a"), line("b", deliverer="b"), line("d", payer="b", deliverer="c")]
    contracts = [
        rs.Contract(name="c", partners=["payer", "provider"], terms=[rs.ActivityPayment()]),
        rs.Contract(name="d", lines=["d"], terms=[rs.ActivityPayment(share=0.5)]),
    ]
    of = case(lines, partners=THREE, contracts=contracts)
    posting = rs.settle(of, actuals(of, [1.0, 10.0, 100.0])).posting.isel(year=0, sample=0)
    first, second = posting.sel(term="c.activity-payment"), posting.sel(term="d.activity-payment")
    assert list(first) == [-2000, 2000, 0, 0]
    assert list(second) == [0, 0, -100_000, 100_000]


def test_a_term_names_partners_and_lines_of_its_contract_only():
    lines = [line("a"), line("b", deliverer="b")]
    inside = {"name": "c", "partners": ["payer", "provider", "c"]}
    for wrong in (
        rs.Block(amount=1.0, from_="payer", to="b"),
        rs.ActivityPayment(lines=["b"]),
        rs.ActivityPayment(residue="b"),
    ):
        with pytest.raises(rs.CaseError):
            case(lines, partners=THREE, contracts=[rs.Contract(terms=[wrong], **inside)])


def test_a_key_holds_partners_of_its_contract_only():
    pool = rs.Pool(
        budget="b",
        against=["block"],
        holder="payer",
        key="fixed",
        share={"provider": 0.5, "b": 0.5},
    )
    contract = rs.Contract(
        name="c",
        partners=["payer", "provider"],
        budgets=[rs.Budget(name="b")],
        terms=[rs.Block(), pool],
    )
    with pytest.raises(rs.CaseError, match=r"c\.pool\.share"):
        case(partners=THREE, contracts=[contract])


def test_listed_lines_are_between_partners_of_the_contract():
    lines = [line("a"), line("b", deliverer="b")]
    contract = rs.Contract(
        name="c", partners=["payer", "provider"], lines=["a", "b"], terms=[rs.ActivityPayment()]
    )
    with pytest.raises(rs.CaseError, match=r"c\.lines"):
        case(lines, partners=THREE, contracts=[contract])


def test_sharing_listed_before_payment_still_runs_after_it():
    pool = rs.Pool(
        budget="b", against=["activity-payment"], holder="payer", key="fixed", share={"provider": 1}
    )
    terms = [rs.ActivityPayment(), pool]
    budgets = [rs.Budget(name="b")]
    found = [
        rs.settle(of, actuals(of, 9000.0)).posting
        for of in (case(terms=order, budgets=budgets) for order in (terms, terms[::-1]))
    ]
    xr.testing.assert_identical(*found)
    assert float(found[0].sel(term="c.pool", partner="provider").sum()) == 2_000_000


def test_a_payment_term_moved_to_a_later_phase_is_not_seen_by_sharing():
    late = rs.ActivityPayment(phase="backstop")
    pool = rs.Pool(
        budget="b", against=["activity-payment"], holder="payer", key="fixed", share={"provider": 1}
    )
    with pytest.raises(rs.CaseError, match="a term sees earlier ones only"):
        case(terms=[late, pool], budgets=[rs.Budget(name="b")])


def test_phases_run_across_contracts():
    contracts = [
        rs.Contract(name="first", terms=[rs.Block(phase="organisation")]),
        rs.Contract(name="second", terms=[rs.ActivityPayment()]),
    ]
    of = case(contracts=contracts)
    terms = list(rs.settle(of, actuals(of, 1.0)).term.values)
    assert terms == ["second.activity-payment", "first.block"]


def test_a_case_needs_a_term_but_no_driver():
    with pytest.raises(rs.CaseError, match="there is no term"):
        case(terms=[])
    of = case()
    outcomes = rs.settle(of, actuals(of, 9000.0))
    assert outcomes.position.sel(partner="payer").item() == -18e6


def test_parameters_by_path_settle_a_case_at_other_numbers():
    of = case(terms=[rs.Block(), rs.MarginalRate(rate=0.2)])
    rates = xr.DataArray([0.1, 0.2, 0.5], dims="rate", coords={"rate": [0.1, 0.2, 0.5]})
    outcomes = rs.settle(of, actuals(of, 10_500.0), parameters={"c.marginal-rate.rate": rates})
    found = outcomes.posting.sel(term="c.marginal-rate", partner="provider").values.ravel()
    np.testing.assert_array_equal(found, [100_000, 200_000, 500_000])


def yearly(count=2):
    """The same support of one line, agreed anew in a second contract for the second year."""
    changes = [rs.Change(name="x", owner="payer", source="spells", size=0.1)]
    support = rs.StrandedSupport(share=0.5, of="value removed", basis="planned")
    contracts = [
        rs.Contract(name=f"c{i}", years=[year.label], terms=[rs.Block(), support])
        for i, year in enumerate(years(count))
    ]
    return case(count=count, changes=changes, contracts=contracts)


def test_a_line_may_be_supported_by_another_contract_in_another_year():
    of = yearly()
    outcomes = rs.settle(of, actuals(of, [[9000.0], [9000.0]]))
    paid_by = outcomes.posting.sel(partner="provider", sample=0)
    for i, year in enumerate(of.labels()["year"]):
        assert float(paid_by.sel(term=f"c{i}.stranded-support", year=year)) == 1e6
        assert float(paid_by.sel(term=f"c{1 - i}.stranded-support", year=year)) == 0


def test_a_line_is_supported_once_in_a_year():
    of = yearly()
    again = [dataclasses.replace(contract, years=None) for contract in of.contracts]
    with pytest.raises(rs.CaseError, match=r"support paid twice: c0\.stranded-support"):
        dataclasses.replace(of, contracts=again)


def test_a_pool_asks_for_drivers_in_the_years_of_its_contract_alone():
    demand = rs.Driver(
        name="demand", acts_on="activity", law="normal", sd=0.1, influence={"provider": 1.0}
    )
    pool = rs.Pool(budget="b", against=["activity-payment"], holder="payer", key="influence")
    contract = rs.Contract(
        name="c",
        years=["2018/19"],
        budgets=[rs.Budget(name="b")],
        terms=[rs.ActivityPayment(), pool],
    )
    of = case(
        [line(loadings={"demand": 1.0})],
        count=2,
        drivers=[demand],
        residual_key={"payer": 1.0},
        contracts=[contract],
    )
    given = actuals(of, [[9000.0], [9000.0]], drivers={"demand": [0.9, np.nan]})
    outcomes = rs.settle(of, given)
    assert paid(outcomes, "pool") == pytest.approx(2e6)
    with pytest.raises(rs.ExperienceError, match=r"driver_index\[demand, 2018/19\]"):
        rs.settle(of, actuals(of, [[9000.0], [9000.0]], drivers={"demand": [np.nan, 0.9]}))
