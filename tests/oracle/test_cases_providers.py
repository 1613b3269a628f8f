"""Cases about providers and several systems: what was published, and what must hold of any case."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import xarray as xr

import riskshare as rs
from riskshare.bind import bind
from riskshare.parameters import rebuild

CASES = (
    "birmingham-invest-to-save",
    "discharge-to-assess",
    "frimley-consolidated",
    "six-provider-collaboratives",
    "trust-in-several-systems",
)
ROUNDED = 0.005e6
"""Half of the last digit of a figure published as 1.22m."""


def given(case: rs.Case) -> list[str]:
    """Return the path of every number that is not a default."""
    paths: list[str] = []

    def note(path: str, value: Any, parameter: Any, owner: Any) -> Any:
        del parameter
        field = path.rpartition(".")[2]
        defaults = {info.name: info.default for info in dataclasses.fields(owner)}
        if value is not None and value != defaults.get(field):
            paths.append(path)
        return value

    rebuild(case, "", note)
    return paths


def simulated(case: rs.Case, *keep: str, **options: Any) -> xr.Dataset:
    return rs.simulate(case, keep=("position", *keep), **options)


@pytest.mark.parametrize("name", CASES)
def test_every_number_has_a_source_or_is_marked_as_assumed(name: str) -> None:
    case = rs.load_case(name)
    notes = [*case.assumptions, *case.sources]
    silent = [
        path
        for path in given(case)
        if not any(path == note or path.startswith((f"{note}.", f"{note}[")) for note in notes)
    ]

    assert silent == []
    assert case.title
    assert case.description
    assert case.sources
    assert len(case.years) >= 3


@pytest.mark.parametrize("name", CASES)
def test_money_is_finite_and_balances(name: str) -> None:
    case = rs.load_case(name)
    outcomes = rs.simulate(case, samples=256)
    largest = float(abs(outcomes.posting).max())

    assert bool(np.isfinite(outcomes.position).all())
    # float32: every transfer leaves one partner and reaches another
    assert float(abs(outcomes.posting.sum("partner")).max()) <= 1e-6 * largest
    spread = outcomes.position.isel(year=-1).std("sample")
    kinds = outcomes.kind.values
    assert float(spread.isel(partner=kinds != "external").max()) > 0


@pytest.mark.parametrize("name", CASES)
def test_a_case_reads_back_equal(name: str, tmp_path: Any) -> None:
    case = rs.load_case(name)
    rs.save_case(case, tmp_path / "case.toml")

    assert rs.load_case(tmp_path / "case.toml") == case


# ---------------------------------------------------------------- Frimley


@pytest.fixture(scope="module")
def frimley() -> xr.Dataset:
    case = rs.load_case("frimley-consolidated")
    rates = {"local-emergency": [0.0, 0.2, 1.0], "local-planned": [0.0, 0.5, 1.0]}
    return simulated(
        case,
        "posting",
        "cost",
        samples=1024,
        precision="float64",
        parameters={
            f"inside.marginal-rate.rate[{line}]": xr.DataArray(values, dims="payment")
            for line, values in rates.items()
        },
    )


def test_admissions_are_the_published_ones() -> None:
    case = rs.load_case("frimley-consolidated")
    emergency = [case.number(f"lines.{way}-emergency.baseline") for way in ("local", "inflow")]
    value = sum(
        case.number(f"lines.{line.name}.baseline") * case.number(f"lines.{line.name}.price")
        for line in case.lines
        if line.deliverer == "trust"
    )

    assert sum(emergency) == 71_808  # through A&E at RDU, April 2017 to March 2018
    assert value == pytest.approx(541.0e6, abs=0.05e6)
    assert case.number("partners.trust.turnover") == 541_000_000


def test_what_trust_and_ccg_pay_each_other_nets_out(frimley: xr.Dataset) -> None:
    both = frimley.posting.sel(partner=["ccg", "trust"])
    inside = ["inside.block", "inside.marginal-rate"]

    assert float(abs(both.sel(term=inside).sum("partner")).max()) < 1e-6
    assert float(both.sel(term="inside.block", partner="trust").min()) > 400e6
    # each other term has somebody outside the group on its other side
    others = both.drop_sel(term=inside).sum("partner")
    assert (abs(others).max(["sample", "year", "payment"]) > 1e6).all()


def test_the_group_is_its_members_and_the_boundary(frimley: xr.Dataset) -> None:
    at = {"year": "all", "partner": "trust and CCG"}
    table = rs.summarise(frimley)
    members = frimley.position.sel(partner=["ccg", "trust"]).sum(["partner", "year"])
    across = ["allocation.capitated-budget", "boundary-in.activity-payment"]
    across += ["boundary-out.activity-payment", "community.block"]
    boundary = frimley.posting.sel(partner=["ccg", "trust"], term=across).sum(
        ["term", "partner", "year"]
    )
    cost = frimley.cost.sel(partner=["ccg", "trust"]).sum(["partner", "year"])

    np.testing.assert_allclose(members, boundary - cost, atol=1e-3)
    np.testing.assert_allclose(table.position_mean.sel(at), members.mean("sample"), atol=1e-3)
    np.testing.assert_allclose(
        table.position_standard_deviation.sel(at), members.std("sample", ddof=1), rtol=1e-9
    )


def test_the_contract_inside_moves_the_members_and_never_the_group(frimley: xr.Dataset) -> None:
    result = frimley.position.sum("year")
    group = result.sel(partner=["ccg", "trust"]).sum("partner")
    spread = result.std("sample")

    np.testing.assert_allclose(group - group.isel(payment=0), 0, atol=1e-3)
    assert bool((spread.sel(partner="ccg").diff("payment") > 1e6).all())
    assert bool((spread.sel(partner="trust").diff("payment") < -1e6).all())


# ---------------------------------------------------------------- Birmingham


@pytest.fixture(scope="module")
def birmingham() -> xr.Dataset:
    settings = {"in_force": [0.0, 1.0, 1.0], "share": [0.0, 0.0, 0.5]}
    return simulated(
        rs.load_case("birmingham-invest-to-save"),
        "cost_released",
        samples=16_384,
        precision="float64",
        parameters={
            f"hubs.payback.{field}": xr.DataArray(values, dims="deal")
            for field, values in settings.items()
        },
    )


@pytest.mark.parametrize(
    ("deal", "investor", "beneficiary"), [(0, -2e6, 10e6), (1, 0.0, 8e6), (2, 4e6, 4e6)]
)
def test_two_million_saves_ten(
    birmingham: xr.Dataset, deal: int, investor: float, beneficiary: float
) -> None:
    table = rs.summarise(birmingham).isel(deal=deal).sel(year=["2022/23", "2023/24"])
    # a saving is never negative, which with demand above plan adds a little to what is shared
    floor = 2_000.0
    for partner, expected in (("community", investor), ("council", beneficiary)):
        at = table.sel(partner=partner)
        room = 4 * at.position_mean_error + floor
        assert bool((abs(at.position_mean - expected) <= room).all()), partner


def test_the_investor_loses_where_less_is_saved_than_invested(birmingham: xr.Dataset) -> None:
    saving = birmingham.cost_released.sel(line="long-term-care")
    position = birmingham.position.sel(partner="community")

    assert bool((position.isel(deal=0) == -2e6).all())
    np.testing.assert_allclose(position.isel(deal=1), 0, atol=1e-6)
    lost = (position.isel(deal=2) < 0).mean("sample")
    np.testing.assert_array_equal(lost, (saving.isel(deal=2) < 2e6).mean("sample"))
    assert (lost > 0.01).all()


def test_fewer_assessments_release_nothing() -> None:
    case = rs.load_case("birmingham-invest-to-save")
    outcomes = simulated(case, "saving_avoided", "saving_released", samples=1024)
    hub = outcomes.sel(change="one-assessment")

    assert case.number("lines.assessments.baseline") == 9_000 * 13
    assert float(hub.saving_avoided.mean()) > 1e6
    assert float(abs(hub.saving_released).max()) == 0


# ---------------------------------------------------------------- discharge to assess


def _without(case: rs.Case, change: str) -> dict[str, float]:
    prefix = f"changes.{change}.size["
    sizes = {path: 0.0 for path in case.numbers() if path.startswith(prefix)}
    return sizes | {f"changes.{change}.running_cost": 0.0}


def _moved(case: rs.Case, change: str, numbers: dict[str, float]) -> xr.DataArray:
    options: dict[str, Any] = {"samples": 8192, "precision": "float64"}
    planned = simulated(case, parameters=numbers, **options)
    without = simulated(case, parameters=numbers | _without(case, change), **options)
    return (planned.position - without.position).sum("year").mean("sample") / 1e6


def test_discharge_to_assess_shifts_cost_to_the_council() -> None:
    case = rs.load_case("discharge-to-assess")
    moved = _moved(case, "discharge-to-assess", {})
    half = _moved(case, "discharge-to-assess", {"envelope.care-share.in_force": 1.0})
    system = ["icb", "hospital", "council"]

    assert float(moved.sel(partner="hospital")) > 5
    assert float(moved.sel(partner="council")) < -5
    assert -1.5 < float(moved.sel(partner=system).sum()) < 0
    # weeks of care = bed-days x substitution; the interval's mean is its middle
    days = 60_000 * 0.95 * np.array([0.15, 0.30, 0.30, 0.30])
    care = 850.0 * (days * [0.07, 0.12, 0.15, 0.17]).sum() / 1e6
    # waiting days follow emergency demand, whose square root has a mean below 1
    assert float(moved.sel(partner="council")) == pytest.approx(-care, rel=0.01)
    # a transfer mends the shunt and leaves the system where it was
    assert float(half.sel(partner="council")) == pytest.approx(-care / 2, rel=0.01)
    assert float(half.sel(partner=system).sum()) == pytest.approx(
        float(moved.sel(partner=system).sum()), abs=1e-6
    )


def test_prevention_is_avoided_and_hardly_released() -> None:
    case = rs.load_case("discharge-to-assess")
    names = ("saving_avoided", "saving_released", "saving_cash")
    outcomes = simulated(case, *names, samples=8192, precision="float64")
    saved = outcomes.sel(change="prevention").sum("year").mean("sample") / 1e6

    # 1, 2, 3 and 4 % of £60m
    assert float(saved.saving_avoided) == pytest.approx(6.0, rel=0.01)
    assert 0 < float(saved.saving_released) < 1.0
    assert float(saved.saving_cash) == pytest.approx(float(saved.saving_released) - 6.0)
    assert case.number("lines.waiting-days.price") == 220
    assert case.number("lines.waiting-days.cost.step.size") == 25
    assert case.number("lines.waiting-days.cost.step.occupancy") == 0.85
    # +14 % in five years
    assert (1 + case.number("lines.emergency-spells.growth")) ** 5 == pytest.approx(1.14, abs=5e-4)


# ---------------------------------------------------------------- one trust, several systems


def test_a_low_volume_contract_is_a_block() -> None:
    case = rs.load_case("trust-in-several-systems")
    terms = ["border.marginal-rate", "far.marginal-rate", "north.marginal-rate"]
    outcomes = simulated(case, "posting", samples=1024)
    spread = outcomes.posting.sel(term=terms, partner="trust").std("sample")
    planned = (bind(case).plan.view.plan * bind(case).plan.view.price)[0]
    value = dict(zip(case.labels()["line"], planned, strict=True))

    assert value["far-acute"] < 1.5e6 < value["border-acute"] < value["north-acute"]
    assert float(spread.sel(term="far.marginal-rate").max()) == 0
    assert float(spread.sel(term="border.marginal-rate").min()) > 50_000
    assert float(spread.sel(term="north.marginal-rate").min()) > 500_000


def test_no_line_of_the_trust_is_paid_twice() -> None:
    case = rs.load_case("trust-in-several-systems")
    outcomes = rs.settle(case, _as_planned(case))
    received = outcomes.posting.sel(partner="trust").sum("term").squeeze("sample")
    plan = bind(case).plan.view
    trust = [line.deliverer == "trust" for line in case.lines]
    value = (plan.plan * plan.price)[:, trust].sum(1)

    np.testing.assert_allclose(received, value, atol=1.0)


def _as_planned(case: rs.Case) -> xr.Dataset:
    plan = bind(case).plan.view
    labels = case.labels()
    people = [case.number(f"members.south-people.count[{year}]") for year in labels["year"]]
    return xr.Dataset(
        {
            "activity": (("year", "line"), plan.plan),
            "members": (("year", "population"), np.array(people)[:, None]),
        },
        {"year": list(labels["year"]), "line": list(labels["line"])}
        | {"population": list(labels["population"])},
    )


def test_the_organisation_is_judged_on_all_it_does() -> None:
    case = rs.load_case("trust-in-several-systems")
    options: dict[str, Any] = {"samples": 4096, "precision": "float64"}
    outcomes = simulated(case, "other_position", **options)
    table = rs.summarise(outcomes).sel(partner="trust")
    everything = (outcomes.position + outcomes.other_position).sel(partner="trust")
    targets = xr.DataArray([0.0, 2e6, 4e6], dims="year", coords={"year": outcomes.year})
    reserve = 20e6 + everything.cumsum("year")

    missed = (everything < targets).mean("sample")
    years = list(map(str, outcomes.year.values))
    np.testing.assert_allclose(table.total_probability_of_missing_target.sel(year=years), missed)
    np.testing.assert_allclose(
        table.total_probability_of_breaching_duty.sel(year="all"),
        (everything.sum("year") < 0).mean(),
    )
    np.testing.assert_allclose(
        table.reserve_probability_of_exhaustion.sel(year="all"),
        (reserve.min("year") < 0).mean(),
    )
    # a bad pay year is bad for the rest of the trust as well
    pay = rs.draw(case, **options).driver_index.sel(driver="pay", year=years[0])
    other = outcomes.other_position.sel(partner="trust", year=years[0])
    assert xr.corr(np.log(pay), other).item() == pytest.approx(-0.5, abs=0.05)


# ---------------------------------------------------------------- six collaboratives


@pytest.fixture(scope="module")
def collaboratives() -> xr.Dataset:
    case = rs.load_case("six-provider-collaboratives")
    names = [partner.name for partner in case.partners if partner.kind == "payer"]
    in_common = xr.DataArray(np.sqrt([0.0, 0.3, 1.0]), dims="rho")
    outcomes = simulated(
        case,
        "posting",
        samples=16_384,
        parameters={f"lines.{name}-care.noise.factors[common]": in_common for name in names},
    )
    assert len(names) == 6
    return outcomes


@pytest.mark.parametrize(("place", "published"), [(0, 1.22e6), (1, 1.94e6), (2, 3.00e6)])
def test_six_contracts_are_one_exposure(
    collaboratives: xr.Dataset, place: int, published: float
) -> None:
    # v x B x s x sqrt(6 + 30 rho), v = 20 %, B = £50m, s = 5 %
    names = ("northern", "eastern", "central", "western", "southern", "coastal")
    terms = [f"{name}-blend.marginal-rate" for name in names]
    first = collaboratives.posting.sel(partner="centre", term=terms, year="2021/22")
    variable = first.isel(rho=place).sum("term").values.astype(np.float64)
    error = variable.reshape(16, -1).std(-1).std(ddof=1) / 4

    assert abs(variable.std() - published) <= 4 * error + ROUNDED


def test_the_nation_takes_what_lies_beyond_the_floor(collaboratives: xr.Dataset) -> None:
    term = "backstop.national-backstop"
    support = collaboratives.posting.sel(partner="centre", term=term)
    position = collaboratives.position.sel(partner="centre")
    before = position - support

    np.testing.assert_allclose(support, np.maximum(-5e6 - before, 0), atol=200.0)
    assert float(position.min()) > -5e6 - 200.0
    assert float((support > 0).mean()) > 0.1


def test_each_contract_costs_something_to_make() -> None:
    case = rs.load_case("six-provider-collaboratives")
    six, one = (
        rs.simulate(
            case, samples=4096, keep=("cost",), parameters={"lines.contracting.expected": count}
        ).cost.sel(partner="centre")
        for count in (6.0, 1.0)
    )
    saved = (six - one).mean("sample")

    np.testing.assert_allclose(saved, 5 * 250_000, rtol=0.02)
