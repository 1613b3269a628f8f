"""The account of a settlement: its rows state the worked cases and add up to the last penny."""

import csv
from decimal import Decimal
from io import StringIO

import numpy as np
import pytest
import xarray as xr
from builders import MSK_ACTUAL, actuals, behaviour, case, line, msk_toy, partner
from hypothesis import given, settings
from hypothesis import strategies as st

import riskshare as rs
from riskshare.names import decimals
from riskshare.report.account import rows_of, write_account
from riskshare.report.account_text import print_account
from riskshare.report.whole import screen
from riskshare.testing import FAMILY, cases, experiences


def stated(of, given, **how):
    return rs.statement(of, rs.settle(of, given, **how))


def rows(account, **labels):
    """Rows with these labels, as dictionaries."""
    chosen = np.ones(account.sizes["row"], bool)
    for name, label in labels.items():
        chosen &= account[name].values == label
    found = account.isel(row=np.flatnonzero(chosen))
    names = [*found.data_vars, *found.coords]
    columns = [found[name].values for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def row(account, **labels):
    found = rows(account, **labels)
    assert len(found) == 1, [r["step"] for r in found]
    return found[0]


def figures(found):
    return [float(found[name]) for name in ("quantity", "beyond", "rate", "amount")]


def steps(account, term, part=""):
    """Amounts of the steps of a term that are shown and add up."""
    labels = {"section": "working", "term": term, "part": part, "role": "adds"}
    return {r["step"]: float(r["amount"]) for r in rows(account, **labels) if r["shown"]}


def printed(of, settled, width=132):
    text = StringIO()
    print_account(screen(text, width), of, settled)
    return text.getvalue()


def assert_adds_up(of, outcomes, account):
    """Rows add up to postings and positions in whole minor units; working adds up to what moves."""
    unit = 10 ** decimals(of.currency)
    minor = account.minor_units.values
    whole = (outcomes * unit).round()
    for year in outcomes.year.values:
        of_year = account.year.values == year
        here = whole.sel(year=year).isel(sample=0)
        for name in outcomes.partner.values:
            mine = of_year & (account.partner.values == name)
            assert minor[mine].sum() == int(here.position.sel(partner=name))
            cost = mine & (account.section.values == "cost")
            assert minor[cost].sum() == -int(here.cost.sel(partner=name))
            for term in outcomes.term.values:
                posted = mine & (account.term.values == term)
                posting = int(here.posting.sel(partner=name, term=term))
                assert minor[posted & (account.section.values == "posting")].sum() == posting
        for term in outcomes.term.values:
            moved = outcomes.transfer.sel(year=year).values[outcomes.transfer_term.values == term]
            of_term = of_year & (account.term.values == term)
            working = of_term & (account.section.values == "working")
            amounts = np.nan_to_num(account.amount.values)
            adds = amounts[working & (account.role.values == "adds")].sum()
            total = amounts[working & (account.role.values == "total")]
            scale = abs(amounts[working]).sum() + abs(moved).sum()
            slack = 0.51 * len(moved) / unit + 1e-9 * scale
            if working.any():
                assert abs(adds - (total[-1] if total.size else moved.sum())) <= slack, term
    # who receives is named as the payee, who pays as the payer
    for found in rows(account, section="posting"):
        end = "payee" if found["minor_units"] > 0 else "payer"
        assert found["minor_units"] == 0 or found[end] == found["partner"]
        assert found["payer"] != found["payee"]


@pytest.mark.parametrize("structure", FAMILY)
@settings(max_examples=2)
@given(data=st.data())
def test_rows_add_up_to_postings_and_positions_exactly(structure, data):
    of = data.draw(cases((structure,)))
    outcomes = rs.settle(of, data.draw(experiences(of)))
    assert_adds_up(of, outcomes, rs.statement(of, outcomes))


@pytest.fixture(scope="module")
def toy():
    of = msk_toy()
    outcomes = rs.settle(of, actuals(of, MSK_ACTUAL))
    return of, outcomes, rs.statement(of, outcomes)


def test_m34_inputs(toy):
    account = toy[2]
    found = {
        r["step"]: r["quantity"] if r["quantity"] == r["quantity"] else r["amount"]
        for r in rows(account, section="input", part="inpatients")
        if r["rate_unit"] == ""
    }
    assert found == {
        "baseline activity": 3000,
        "planned activity": 2850,
        "activity": 2700,
        "activity less plan": -150,
        "case mix": 1,
        "planned value": 11_400_000,
        "value": 10_800_000,
        "value less plan": -600_000,
    }
    assert row(account, part="inpatients", step="price")["rate"] == 4000


def test_m34_budget_bridge_once(toy):
    found = rows(toy[2], section="budget")
    assert [(r["step"], r["amount"]) for r in found] == [
        ("baseline", 16_800_000),
        ("planned changes", -1_800_000),
        ("new services", 780_000),
        ("stranded support", 900_000),
        ("budget", 16_680_000),
    ]


def test_m34_working(toy):
    account = toy[2]
    working = {"section": "working", "shown": True}
    block = row(account, term="c.block", part="outpatients", **working)
    assert figures(block)[0::2] == [30_000, 120]
    assert (block["unit"], block["rate_unit"]) == ("unit", "money per unit")
    support = row(account, term="c.stranded-support", part="inpatients", **working)
    assert figures(support) == pytest.approx([600_000, np.nan, 0.5, 300_000], nan_ok=True)
    deviation, band = rows(account, term="c.marginal-rate", part="inpatients", **working)
    assert figures(deviation) == pytest.approx(
        [10_800_000, 11_400_000, np.nan, -600_000], nan_ok=True
    )
    assert figures(band) == [600_000, 0, 0.4, -240_000]
    assert band["step"] == "below target: part in this band"
    pool = {r["step"]: r["amount"] for r in rows(account, term="c.pool", **working)}
    assert pool["spend"] == 16_512_000
    assert pool["result: budget less spend"] == 168_000
    assert pool["to be shared"] == 168_000
    outlays = rows(account, term="c.pool", step="outlay of the holder")
    assert [(r["part"], r["amount"]) for r in outlays] == [
        ("c.block", 15_780_000),
        ("c.stranded-support", 900_000),
        ("c.marginal-rate", -168_000),
    ]


def test_m34_postings_name_payer_and_payee(toy):
    account = toy[2]
    moved = rows(account, section="posting", term="c.pool")
    assert [(r["payer"], r["payee"], r["partner"], r["minor_units"]) for r in moved] == [
        ("commissioner", "acute, community", "commissioner", -10_920_000),
        ("commissioner", "acute", "acute", 6_720_000),
        ("commissioner", "community", "community", 4_200_000),
    ]
    assert [float(r["rate"]) for r in moved] == pytest.approx([-0.65, 0.4, 0.25])
    back = row(account, section="posting", term="c.marginal-rate", part="inpatients", step="pays")
    assert (back["payer"], back["payee"], back["amount"]) == ("acute", "commissioner", -240_000)


def test_m34_cost_and_positions(toy):
    account = toy[2]
    released = rows(account, section="cost", step="for note: cost released")
    stranded = rows(account, section="cost", step="for note: stranded cost")
    assert sum(r["amount"] for r in released) == 756_000
    assert sum(r["amount"] for r in stranded) == 1_404_000
    pence = account.minor_units.groupby("partner").sum()
    for name, position in (
        ("acute", -244_800),
        ("community", 42_000),
        ("commissioner", 178_800),
        ("external", -16_800_000),
    ):
        assert int(pence.sel(partner=name)) == 100 * position
        assert row(account, section="total", step="position", partner=name)["amount"] == position


def test_bands_that_were_not_reached_are_hidden_and_counted(toy):
    of, outcomes, account = toy
    bands = [r for r in rows(account, term="c.marginal-rate") if "part in this band" in r["step"]]
    assert [bool(r["shown"]) for r in bands] == [True, False, False, True]
    text = printed(of, outcomes)
    clause = text[text.index("c.marginal-rate: ") : text.index("c.pool: ")]
    assert clause.count("part in this band") == 2
    assert "Not shown: 2 steps" in clause


@pytest.mark.parametrize(
    ("reading", "found"),
    [
        (
            "excess-only",
            {
                "above target: part in this band": 400_000,
                "above target: part beyond the break-glass threshold": 700_000,
            },
        ),
        (
            "whole-deviation",
            {
                "above target: part in this band": 600_000,
                "above target: all of it at the break-glass rate, less the bands": 1_500_000,
            },
        ),
    ],
)
def test_m05_bands_add_up_to_the_payment(reading, found):
    glass = rs.BreakGlass(threshold=0.1, rate=0.7, reading=reading)
    of = case([line()], [rs.MarginalRate(rate=0.2, break_glass=glass)])
    account = stated(of, actuals(of, 11_500))
    amounts = steps(account, "c.marginal-rate", "spells")
    assert amounts == pytest.approx(found, abs=1e-6)
    paid = row(account, section="posting", step="receives")["amount"]
    assert paid == sum(found.values())  # 1.1m, or 2.1m


@pytest.mark.parametrize(
    ("activity", "part", "limit", "cut"),
    [(45_000, 4_200_000, "cap", -1_800_000), (37_000, -2_200_000, "collar", 0.0)],
)
def test_m09_a_cap_states_what_it_takes_off(activity, part, limit, cut):
    of = case(
        [line(baseline=40_000)],
        [rs.MarginalRate(rate=0.5, tolerance=0.02, cap=0.03, collar=0.03)],
    )
    account = stated(of, actuals(of, activity))
    amounts = steps(account, "c.marginal-rate", "spells")
    side = "above" if part > 0 else "below"
    assert amounts[f"{side} target: part in this band"] == pytest.approx(part, abs=1e-6)
    assert amounts[f"payment, against its {limit}"] == pytest.approx(cut, abs=1e-6)
    moved = sum(r["amount"] for r in rows(account, section="posting", partner="provider"))
    assert sum(amounts.values()) == pytest.approx(moved, abs=1e-6)


NETWORK = [partner("payer", "payer"), partner("acute", quality=rs.Score(value=0.8)), partner("b")]


def pooled(**fields):
    """Expected spend of 20m at 2,000 a spell, paid by activity, shared by a pool."""
    fields = {"key": "fixed", "share": {"acute": 0.5, "b": 0.5}, **fields}
    return case(
        [line(deliverer="acute")],
        [
            rs.ActivityPayment(),
            rs.Pool(budget="b", against=["activity-payment"], holder="payer", **fields),
        ],
        budgets=[rs.Budget(name="b")],
        partners=NETWORK,
    )


def scored(of, activity, score=0.8):
    given = actuals(of, activity)
    names = [p.name for p in of.partners]
    quality = np.array([[np.nan, score, np.nan]])
    return given.assign_coords(partner=names).assign(quality=(("year", "partner"), quality))


def test_corridors_of_a_pool_add_up_to_what_is_shared():
    edges = [{"beyond": 0.02, "rate": 0.5}, {"beyond": 0.05, "rate": 0.8}]
    of = pooled(corridors=[rs.Corridor(**edge) for edge in edges])
    for activity, side, sign in ((9000, "gain", 1), (11_000, "loss", -1)):
        account = stated(of, actuals(of, activity))
        bands = [r for r in rows(account, step=f"{side}: part in this band") if r["shown"]]
        # 3 % of 20m at one half, 5 % at 0.8
        assert [figures(r) for r in bands] == [
            pytest.approx([600_000, 400_000, 0.5, sign * 300_000]),
            pytest.approx([1_000_000, 1_000_000, 0.8, sign * 800_000]),
        ]
        assert row(account, step="to be shared")["amount"] == pytest.approx(sign * 1_100_000)
        hidden = [r for r in rows(account, term="c.pool", section="working") if not r["shown"]]
        assert sum("part in this band" in r["step"] for r in hidden) == 2


def test_a_rule_is_stated_step_by_step():
    of = pooled(
        gate=rs.Gate(threshold=0.02, reading="excess-only"),
        rate={"gain": 0.5, "loss": 0.5},
        quality=rs.Quality(partner="acute", weight=0.5),
        scalar={"gain": 0.98, "loss": 1.0},
        caps=[
            rs.Cap(limit=0.05, of="budget", applies="before-share"),
            rs.Cap(limit=0.02, of="budget", applies="after-share"),
        ],
        relief={"gain": 0.1, "loss": 0.0},
    )
    account = stated(of, scored(of, 9000))
    found = {r["step"]: r for r in rows(account, term="c.pool", section="working") if r["shown"]}
    # gain 2m = 10 %; beyond the gate 1.6m; capped 1.0m; rate 0.5 x (1 - 0.5 + 0.5 x 0.8) = 0.45
    gate = found["gain: result as a share of budget, against the gate"]
    assert figures(gate)[:3] == pytest.approx([0.1, 0.02, 1.0])
    beyond = found["gain: result, of which what is beyond the gate counts"]
    assert figures(beyond)[:2] == pytest.approx([2_000_000, 400_000])
    capped = found["gain: result, which counts up to the cap"]
    assert figures(capped)[:2] == pytest.approx([1_600_000, 1_000_000])
    assert found["quality score"]["quantity"] == 0.8
    assert found["rate of gain at this score"]["rate"] == pytest.approx(0.45)
    assert steps(account, "c.pool") == pytest.approx(
        {
            "gain: part that is shared": 450_000,
            "gain: scalar": -9_000,
            "gain: payment, against its cap": -41_000,
            "gain: relief": -40_000,
        }
    )
    assert found["to be shared"]["amount"] == pytest.approx(360_000)


def test_a_gate_that_is_missed_takes_the_share_out():
    of = pooled(gate=rs.Gate(threshold=0.02, reading="first-dollar"))
    account = stated(of, actuals(of, 9900))
    assert steps(account, "c.pool") == {
        "gain: all of it is shared": 200_000,
        "gain: taken out: the gate is not reached": -200_000,
    }
    assert not any(r["shown"] for r in rows(account, section="posting", term="c.pool"))


def test_m21_effects_name_who_bears_them():
    of = case(
        [
            line("volume", loadings={"volume": 1.0}, baseline=10e6, price=1.0, unit_cost=1.0),
            line("rest", baseline=10e6, price=1.0, unit_cost=1.0),
        ],
        [
            rs.ActivityPayment(),
            rs.Pool(budget="b", against=["activity-payment"], holder="payer", key="influence"),
        ],
        budgets=[rs.Budget(name="b")],
        drivers=[
            rs.Driver(
                name="volume", acts_on="activity", law="normal", sd=0.1, influence={"payer": 0.6}
            )
        ],
        residual_key={"payer": 0.5, "provider": 0.5},
    )
    account = stated(of, actuals(of, [11.2e6, 10.4e6], drivers={"volume": 1.12}))
    effect = row(account, term="c.pool", section="working", part="volume")
    assert effect["quantity"] == pytest.approx(1_200_000)
    assert effect["step"] == "effect on line value, borne by payer 80 %, provider 20 %"
    moved = rows(account, term="c.pool", section="posting", part="volume")
    # the provider takes half by the residual key and bears a fifth: 30 % net comes from the payer
    assert [(r["partner"], r["minor_units"]) for r in moved] == [
        ("payer", -36_000_000),
        ("provider", 36_000_000),
    ]


def test_m25_an_account_that_cannot_pay_states_the_share_of_claims_paid():
    # $362m against claims of $2.87bn: 12.6 % was paid, https://www.cms.gov (risk corridors, 2014)
    partners = [
        partner("a", target=1.87e9),
        partner("b", target=1.0e9),
        partner("payer", "payer"),
        partner("pot", "pool", opening_balance=362e6, prorate="carry"),
    ]
    of = case(
        [line(deliverer="a", baseline=0.0)],
        [rs.Block(), rs.DeficitSupport(from_="pot", share={"a": 1.0, "b": 1.0})],
        partners=partners,
        currency="USD",
    )
    outcomes = rs.settle(of, actuals(of, 0.0))
    account = rs.statement(of, outcomes)
    claims = [r for r in rows(account, term="accounts.pot") if r["step"].startswith("claim, ")]
    shown = [r for r in claims if r["shown"]]
    assert [r["part"] for r in shown] == ["a", "b"]
    assert [round(float(r["rate"]), 3) for r in shown] == [0.126, 0.126]
    assert_adds_up(of, outcomes, account)
    assert "12.6132 %" in printed(of, outcomes)


@pytest.mark.parametrize(("currency", "unit"), [("GBP", 100), ("JPY", 1), ("KWD", 1000)])
def test_the_residue_of_thirds_is_a_row_of_its_own(currency, unit):
    third = {"acute": 1 / 3, "b": 1 / 3, "c": 1 / 3}
    of = case(
        [line(price=1.0, deliverer="acute")],
        [
            rs.ActivityPayment(),
            rs.Pool(
                budget="b", against=["activity-payment"], holder="payer", key="fixed", share=third
            ),
        ],
        budgets=[rs.Budget(name="b")],
        partners=[partner("payer", "payer"), partner("acute"), partner("b"), partner("c")],
        currency=currency,
    )
    for spend in (9_900, 10_100):  # 100 in thirds, either way
        outcomes = rs.settle(of, actuals(of, float(spend)))
        account = rs.statement(of, outcomes)
        rounding = row(account, term="c.pool", step="rounding: what the parts leave or lack")
        assert rounding["partner"] == "payer"
        sign = 1 if spend < 10_000 else -1
        assert rounding["minor_units"] == sign * (100 * unit - 3 * round(100 * unit / 3))
        assert_adds_up(of, outcomes, account)
    assert account.attrs["minor_units_per_unit"] == unit


def test_what_was_taken_from_plan_is_marked():
    of = msk_toy()
    outcomes = rs.settle(of, actuals(of, [32_000.0, np.nan, 13_000.0]), missing="plan")
    account = rs.statement(of, outcomes)
    marked = {(r["part"], r["step"]) for r in rows(account, section="input", from_plan=True)}
    assert ("inpatients", "activity") in marked
    assert ("inpatients", "value") in marked
    assert ("outpatients", "activity") not in marked
    # neither case mix nor unit cost was given: 1 and the planned unit cost stand in
    assert {(name, step) for name in MSK for step in ("case mix", "unit cost")} <= marked
    text = printed(of, outcomes)
    assert "2,850†" in text
    assert "Filled from plan, not actual: activity[inpatients, 2018/19]" in text


MSK = ("outpatients", "inpatients", "triage")


def test_what_was_given_is_not_marked():
    of = msk_toy()
    given = actuals(of, MSK_ACTUAL, unit_cost=[120.0, 4100.0, 60.0], case_mix=1.0)
    given["cost"] = (("year", "line"), [[np.nan, 11.6e6, np.nan]])
    outcomes = rs.settle(of, given)
    account = rs.statement(of, outcomes)
    assert not account.from_plan.any()
    assert "†" not in printed(of, outcomes)
    assert row(account, part="inpatients", step="cost as given")["amount"] == 11_600_000
    assert not rows(account, part="inpatients", step="unit cost")


def test_m10_a_budget_at_members_counted_is_stated():
    of = case(
        [line(deliverer="provider")],
        [rs.CapitatedBudget(from_="payer", to="provider", budget="heads")],
        members=[rs.Population(name="people", count=250_000)],
        budgets=[
            rs.Budget(
                name="heads",
                rate={"people": 750.0},
                rebase="actual",
                planned_changes=False,
                new_services=False,
            )
        ],
    )
    account = stated(of, actuals(of, 1.0, members={"people": 260_000}))
    counted = row(account, section="budget", step="members counted")
    assert figures(counted)[0::2] == pytest.approx([260_000, 750.0])
    assert row(account, step="budget as planned")["amount"] == 187_500_000
    assert row(account, step="budget at members counted")["amount"] == pytest.approx(195_000_000)
    asked = row(account, section="input", part="people")
    assert (asked["quantity"], asked["beyond"]) == (pytest.approx(260_000), 250_000)


def test_part_years_late_payment_and_what_passes_are_stated():
    of = case(
        [line()],
        [
            rs.Block(in_force=0.5),
            rs.Funding(
                from_="external",
                to="payer",
                amount=100.0,
                recurrent=False,
                cash=rs.Cash(profile=[0.4, 0.6]),
            ),
            rs.Funding(name="off", from_="external", to="payer", amount=7.0, in_force=0.0),
        ],
    )
    outcomes = rs.settle(of, actuals(of, 10_000))
    account = rs.statement(of, outcomes)
    half = row(account, term="c.block", step="in force for this share of the year")
    assert (half["rate"], half["amount"]) == (0.5, -10_000_000)
    totals = {(r["partner"], r["step"]): r["amount"] for r in rows(account, section="total")}
    assert totals["payer", "position"] == -9_999_900
    assert totals["payer", "earned and not yet paid"] == 60
    assert totals["payer", "cash of the year"] == -9_999_960
    assert totals["payer", "underlying position"] == -10_000_000
    off = rows(account, term="c.off", section="working")
    assert [(r["step"], r["rate"]) for r in off] == [("in force for this share of the year", 0.0)]
    assert_adds_up(of, outcomes, account)


def test_running_cost_is_a_row_and_its_pence_are_rounded():
    changes = [
        rs.Change(name=n, owner="payer", source="spells", size=0.01, running_cost=0.375)
        for n in ("x", "y", "z")
    ]
    of = case([line(cost=behaviour())], [rs.Block()], changes=changes)
    deliveries = {f"delivery[{change.name}]": 1.0 for change in changes}
    outcomes = rs.settle(of, actuals(of, 9_700, drivers=deliveries))
    account = rs.statement(of, outcomes)
    running = rows(account, step="running cost of the change")
    # 37.5 pence each is 38, half to even; all three together are 112.5 pence, so 112
    assert [r["minor_units"] for r in running] == [-38, -38, -38]
    assert row(account, section="cost", part="")["minor_units"] == 2
    assert_adds_up(of, outcomes, account)


def test_the_bundled_case_by_driver():
    of = rs.load_case("mid-nottinghamshire-msk")
    drivers = {
        "demand": [1.01, 1.02],
        "case-mix": [1.02, 0.99],
        "delivery[triage-instead-of-outpatients]": [0.8, 0.9],
        "delivery[fewer-operations]": [2.0, 1.1],
    }
    given = actuals(of, [[45_500, 1120, 5200], [90_000, 2300, 13_100]], drivers=drivers)
    outcomes = rs.settle(of, given)
    account = rs.statement(of, outcomes)
    assert_adds_up(of, outcomes, account)
    alone = rs.statement(of, outcomes, year="2018/19")
    assert alone.sizes["row"] == int((account.year == "2018/19").sum())
    for width in (80, 132):
        text = printed(of, outcomes, width)
        assert "…" not in text
        for part in ("11,040,000.00", "delivery[fewer-operations]", "Sherwood Forest Hospitals"):
            assert part in text


def test_csv_adds_up_in_decimals(tmp_path):
    of = pooled(share={"acute": 1 / 3, "b": 2 / 3})
    outcomes = rs.settle(of, actuals(of, 9_871.37, unit_cost=1931.773))
    path = write_account(tmp_path / "statement.csv", of, rows_of(of, outcomes))
    with path.open(newline="") as file:
        found = list(csv.DictReader(file))
    for name in outcomes.partner.values:
        mine = [Decimal(r["to_partner"]) for r in found if r["partner"] == name and r["to_partner"]]
        position = outcomes.position.sel(partner=name).item()
        assert sum(mine) == Decimal(f"{position:.2f}")


def test_a_settlement_survives_the_disk(tmp_path, toy):
    of, outcomes, account = toy
    kept = outcomes.copy()
    kept.attrs = {**kept.attrs, "filled_from_plan": ""}
    kept.to_netcdf(tmp_path / "s.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "s.nc", engine="h5netcdf") as read:
        again = rs.statement(of, read.load())
    assert again.drop_attrs().equals(account.drop_attrs())


def test_a_statement_is_refused_where_it_would_not_be_one(toy):
    of, outcomes, _ = toy
    other = of.with_numbers({"c.pool.share[acute]": 0.41, "c.pool.share[community]": 0.24})
    with pytest.raises(rs.ArgumentError, match="another case"):
        rs.statement(other, outcomes)
    draws = rs.settle(of, actuals(of, MSK_ACTUAL).expand_dims(sample=2))
    with pytest.raises(rs.ArgumentError, match="draws"):
        rs.statement(of, draws)
    with pytest.raises(rs.ArgumentError, match=r"year is '2030'; accepted: 2018/19"):
        rs.statement(of, outcomes, year="2030")
    short = rs.settle(of, actuals(of, MSK_ACTUAL), keep=["position"])
    with pytest.raises(rs.ArgumentError, match="lacks posting"):
        rs.statement(of, short)
    moved = rs.settle(of, actuals(of, MSK_ACTUAL), parameters={"c.marginal-rate.rate": 0.5})
    with pytest.raises(rs.ArgumentError, match="with_numbers"):
        rs.statement(of, moved)


def test_a_penny_out_of_place_is_found(toy):
    of, outcomes, _ = toy
    for name, at in (
        ("position", {"partner": "acute"}),
        ("posting", {"term": "c.pool", "partner": ["acute", "community"]}),
    ):
        wrong = outcomes.copy(deep=True)
        wrong[name].loc[at] += 0.01
        with pytest.raises(rs.NumericalError, match="smallest units"):
            rs.statement(of, wrong)
