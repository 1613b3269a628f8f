"""A compiled program against `settle` and `simulate`, finite differences, and itself in a loop."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from builders import PAYER, behaviour, line
from builders import case as a_case
from hypothesis import given, settings
from hypothesis import strategies as st

import riskshare as rs
import riskshare.checks
from riskshare.bind.leaves import Leaves
from riskshare.files.bundled import case_names
from riskshare.laws.marginal import Lognormal, Weibull
from riskshare.program.block import count_traces
from riskshare.run.tables import ready
from riskshare.testing import cases

TOY, MSK = "msk-toy", "mid-nottinghamshire-msk"
QUICK = (TOY, MSK, "plymouth-integrated-fund", "reach-aco")
RATE = "msk.marginal-rate.rate[outpatients]"
PRICE = "lines.outpatients.price"
EXPERIENCE = ("activity", "case_mix", "unit_cost", "driver_index", "members", "quality")


@pytest.fixture(scope="module")
def toy() -> rs.Program:
    """A program that the tests of this module share, so that it compiles once."""
    return rs.compile(rs.load_case(TOY), keep=["position"])


def _drawn(case: rs.Case, samples: int, seed: int = 3) -> xr.Dataset:
    return rs.draw(case, samples=samples, seed=seed, sampler="pseudo-random", precision="float64")


def _arrays(drawn: xr.Dataset) -> dict[str, Any]:
    held = {name: drawn[name].values for name in EXPERIENCE if name in drawn}
    return {name: np.nan_to_num(array) for name, array in held.items() if array.size}


def _settled(program: rs.Program, p: Mapping[str, Any], experience: Any, name: str) -> Any:
    return program.settle(p, experience)[name]


# --- which numbers there are -----------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in case_names()]
)
def test_every_number_of_a_case_moves_or_says_why_not(name: str) -> None:
    case = rs.load_case(name)
    program = rs.compile(case)

    assert {**program.parameters, **program.fixed}.keys() == case.numbers().keys()
    assert not program.parameters.keys() & program.fixed.keys()
    assert all(program.parameters[path] == case.number(path) for path in program.parameters)
    assert all(program.fixed.values())


def _leaves(numbers: Leaves) -> list[tuple[str, Any]]:
    found = jax.tree_util.tree_flatten_with_path(numbers)[0]
    return [(jax.tree_util.keystr(path), np.asarray(leaf, np.float64)) for path, leaf in found]


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in case_names()]
)
def test_every_parameter_reaches_the_leaves_as_binding_anew_does(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # one share alone may move, though a file's shares must sum to one
    monkeypatch.setattr(riskshare.checks, "check_case", lambda case: None)

    assert not _mismatches(rs.load_case(name))


def _mismatches(case: rs.Case) -> dict[str, str]:
    """Parameters, one moved at a time, and the leaf that a program then has wrong."""
    program = rs.compile(case)
    paths = tuple(program.parameters)
    wrong = {}
    with jax.enable_x64(True):
        at = jax.jit(lambda v: program.leaves(v, program.host(np.float64), paths, np.float64))
        for path in ("", *paths):
            values = dict(program.parameters)
            if path:
                values[path] = values[path] * 1.01 or 0.01
            anew = ready(case.with_numbers({path: values[path]}) if path else case)
            differing = _differing(anew.numbers, at(np.array([*values.values()])))
            if differing:
                wrong[path] = differing[0]
    return wrong


def _differing(anew: Leaves, got: Leaves) -> list[str]:
    """Leaves that are not the same; tables that span means stay as they are, and may differ."""
    found = []
    for (leaf, want), (_, have) in zip(_leaves(anew), _leaves(got), strict=True):
        if leaf.startswith(".laws") and leaf not in (".laws.location", ".laws.scale"):
            continue
        scale = np.abs(want).max() if want.size else 0
        # what a budget holds beside what follows activity may be nothing, to rounding of millions
        bound = 1e-11 * scale + (1e-6 if leaf.endswith(".budget.fixed") else 0)
        if want.shape != have.shape or np.any(np.abs(want - have) > bound):
            found.append(leaf)
    return found


# --- equal to settle and simulate ------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [n if n == TOY else pytest.param(n, marks=pytest.mark.slow) for n in case_names()]
)
def test_settling_equals_settle(name: str) -> None:
    case = rs.load_case(name)
    drawn = _drawn(case, 64)
    if any("persons" in slot.term.needs() for slot in ready(case).numbers.yearly.terms):
        pytest.skip("a term of the case needs person-level cost")
    keep = ("position", "posting", "cost", "line_cost", "stranded")
    want = rs.settle(case, drawn, keep=keep)
    program = rs.compile(case, keep=keep)
    with jax.enable_x64(True):
        got = program.settle(program.parameters, _arrays(drawn))

    for variable in keep:
        assert got[variable].dtype == np.float64
        scale = np.abs(want[variable]).max().item()
        np.testing.assert_allclose(got[variable], want[variable].values, atol=1e-11 * scale)


@pytest.mark.parametrize(
    ("name", "sampler", "samples"),
    [
        (TOY, "sobol", 1024),
        (TOY, "pseudo-random", 5000),
        pytest.param(MSK, "sobol", 200_000, marks=pytest.mark.slow),
        pytest.param(MSK, "pseudo-random", 70_000, marks=pytest.mark.slow),
    ],
)
def test_simulating_equals_simulate(name: str, sampler: str, samples: int) -> None:
    case = rs.load_case(name)
    want = rs.simulate(case, samples=samples, seed=5, sampler=sampler, keep=["position", "posting"])
    program = rs.compile(case, keep=["position", "posting"])
    stream = program.stream(samples, seed=5, sampler=sampler)
    flow = np.abs(want.posting).max().item()

    for p in ({}, program.parameters):
        got = program.simulate(p, stream)
        for variable in ("position", "posting"):
            assert got[variable].dtype == np.float32
            assert program.axes[variable] == want[variable].dims
            np.testing.assert_allclose(got[variable], want[variable].values, atol=1e-6 * flow)
    replicate = want["replicate"].values if sampler == "sobol" else None
    np.testing.assert_array_equal(stream.replicate, replicate)


def test_other_numbers_equal_a_case_with_those_numbers() -> None:
    case = rs.load_case(TOY)
    program = rs.compile(case, keep=["position"])
    moved = {
        RATE: 0.9,
        PRICE: 130.0,
        "lines.outpatients.cost.variable": 0.5,
        "lines.outpatients.cost.semi_fixed": 0.2,
        "lines.outpatients.cost.fixed": 0.3,
    }
    moved = {path: value for path, value in moved.items() if path in program.parameters}
    drawn = _drawn(case, 50)
    want = rs.settle(case.with_numbers(moved), drawn, keep=["position"])
    with jax.enable_x64(True):
        got = _settled(program, moved, _arrays(drawn), "position")

    assert len(moved) >= 2
    np.testing.assert_allclose(got, want.position.values, rtol=1e-12, atol=1e-6)


def test_other_laws_equal_a_case_with_those_laws() -> None:
    case = rs.load_case(TOY)
    program = rs.compile(case, keep=["position"])
    moved = {"drivers.price.sd": 0.03, "lines.outpatients.loadings[price]": 0.7}
    want = rs.simulate(case.with_numbers(moved), samples=1024, seed=5, keep=["position", "paid"])
    got = program.simulate(moved, program.stream(1024, seed=5))["position"]
    flow = want.paid.max().item()

    np.testing.assert_allclose(got, want.position.values, atol=1e-6 * flow)
    still = program.simulate({}, program.stream(1024, seed=5))["position"]
    assert np.abs(got - still).max() > 1e-4 * flow


def test_the_precision_is_that_of_the_data(toy: rs.Program) -> None:
    arrays = _arrays(_drawn(toy.case, 3))
    single = {name: array.astype(np.float32) for name, array in arrays.items()}

    assert _settled(toy, {}, arrays, "position").dtype == np.float32
    with jax.enable_x64(True):
        assert _settled(toy, {}, arrays, "position").dtype == np.float64
        assert _settled(toy, {}, single, "position").dtype == np.float32
        assert toy.simulate(toy.parameters, toy.stream(64))["position"].dtype == "f8"


# --- derivatives -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", [RATE, PRICE, "drivers.price.sd", "drivers.demand.interval[90%]"])
def test_a_derivative_of_the_mean_position_equals_finite_differences(
    toy: rs.Program, path: str
) -> None:
    stream = toy.stream(4096, seed=2)

    def mean(p: Mapping[str, Any]) -> Any:
        # a square too, so that what spreads a position without moving its mean has a derivative
        position = toy.simulate(p, stream)["position"][0, 1] / 1e6
        return (position + position**2).mean()

    with jax.enable_x64(True):
        at = np.float64(toy.parameters[path])
        slope = jax.grad(mean)({path: at})[path]
        step = 1e-5 * at
        ahead, behind = (mean({path: at + way * step}) for way in (1, -1))

    assert abs(float(slope)) > 0
    np.testing.assert_allclose(float(slope), float(ahead - behind) / (2 * step), rtol=1e-4)


@pytest.mark.parametrize("name", [TOY, pytest.param(MSK, marks=pytest.mark.slow)])
def test_every_derivative_equals_finite_differences(name: str) -> None:
    # no number is silently without effect: the derivative of any mix of outcomes is that of moving
    # the number, one by one
    program = rs.compile(rs.load_case(name), keep=["position", "posting", "line_cost"])
    experience = _arrays(_drawn(program.case, 40))
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        base = program.settle(program.parameters, experience)
        weights = {key: rng.normal(size=value.shape) for key, value in base.items()}

        def mixed(p: Mapping[str, Any]) -> Any:
            found = program.settle(p, experience)
            return sum((weights[key] * found[key]).sum() for key in found)

        slopes = jax.grad(mixed)({k: jnp.asarray(v) for k, v in program.parameters.items()})
        checked = 0
        for path, at in program.parameters.items():
            step = 1e-6 * (abs(at) or 1.0)
            ahead, behind = (
                mixed({**program.parameters, path: at + way * step}) for way in (1, -1)
            )
            forward, backward = (
                (ahead - mixed(program.parameters)),
                (mixed(program.parameters) - behind),
            )
            if not np.isclose(forward, backward, rtol=1e-3, atol=1e-2):
                continue  # at the edge of a band or a floor, where there is no one derivative
            checked += 1
            want = (ahead - behind) / (2 * step)
            atol = 1e-9 * sum(np.abs(value).sum() for value in base.values()) / (abs(at) or 1.0)
            np.testing.assert_allclose(slopes[path], want, rtol=1e-4, atol=atol, err_msg=path)

    assert checked > 0.9 * len(program.parameters)


# --- inside other programs -------------------------------------------------------------------


def test_a_hundred_contracts_at_once_equal_a_loop(toy: rs.Program) -> None:
    experience = _arrays(_drawn(toy.case, 7))
    rng = np.random.default_rng(4)
    p = {
        RATE: jnp.asarray(rng.uniform(0, 1, 100), jnp.float32),
        PRICE: jnp.asarray(rng.uniform(90, 150, 100), jnp.float32),
    }
    together = jax.vmap(toy.settle, in_axes=(0, None))(p, experience)["position"]
    singly = [
        _settled(toy, {path: float(v[i]) for path, v in p.items()}, experience, "position")
        for i in range(100)
    ]

    assert together.shape == (100, *singly[0].shape)
    np.testing.assert_allclose(together, singly, rtol=1e-5, atol=8)


def test_it_runs_inside_jit_and_scan(toy: rs.Program) -> None:
    stream = toy.stream(512)
    rates = np.linspace(0.2, 0.8, 5).astype(np.float32)

    @jax.jit
    def path(rates: Any) -> Any:
        def step(total: Any, rate: Any) -> tuple[Any, Any]:
            deficit = toy.simulate({RATE: rate}, stream)["position"][0, 1].mean()
            return total + deficit, deficit

        return jax.lax.scan(step, jnp.zeros((), jnp.float32), rates)

    total, each = path(rates)
    alone = [toy.simulate({RATE: rate}, stream)["position"][0, 1].mean() for rate in rates]

    np.testing.assert_allclose(each, alone, rtol=1e-4)
    np.testing.assert_allclose(total, sum(alone), rtol=1e-4)


def test_descent_on_a_price_finds_the_one_that_balances(toy: rs.Program) -> None:
    # the position of one provider is linear in a price here, so the balancing price is known
    experience = _arrays(_drawn(toy.case, 200))

    def mean(price: Any) -> Any:
        return toy.settle({PRICE: price}, experience)["position"][0, 1].mean()

    with jax.enable_x64(True):
        price = np.float64(toy.parameters[PRICE])
        for _ in range(20):
            value, slope = jax.value_and_grad(mean)(price)
            price = price - value / slope

        assert abs(mean(price)) < 1e-3


def test_other_numbers_compile_nothing(toy: rs.Program) -> None:
    experience = _arrays(_drawn(toy.case, 5))
    stream = toy.stream(64)
    toy.settle(toy.parameters, experience)
    toy.simulate(toy.parameters, stream)
    moved = {path: value * 0.99 for path, value in toy.parameters.items()}
    with count_traces() as traced:
        for _ in range(3):
            toy.settle(moved, experience)
            toy.simulate(moved, stream)
            toy.simulate(moved, toy.stream(64, seed=9))

    assert not traced


def test_numpy_goes_in_and_comes_out(toy: rs.Program) -> None:
    arrays = _arrays(_drawn(toy.case, 5))
    on_device = {name: jnp.asarray(array, jnp.float32) for name, array in arrays.items()}

    assert type(_settled(toy, toy.parameters, arrays, "position")) is np.ndarray
    assert isinstance(_settled(toy, toy.parameters, on_device, "position"), jax.Array)


def test_a_year_without_samples_has_one(toy: rs.Program) -> None:
    arrays = _arrays(_drawn(toy.case, 2))
    first = {name: array[..., 0] for name, array in arrays.items()}

    np.testing.assert_allclose(
        _settled(toy, {}, first, "position"),
        _settled(toy, {}, arrays, "position")[..., :1],
        rtol=1e-6,
    )


# --- what bad input gets ---------------------------------------------------------------------


def test_paths_that_are_no_parameters_are_refused() -> None:
    program = rs.compile(rs.load_case(TOY))
    fixed = next(iter(program.fixed))
    with pytest.raises(rs.ArgumentError, match=r"did you mean lines\.outpatients\.price"):
        program.simulate({"lines.outpatient.price": 1.0}, program.stream(16))
    with pytest.raises(rs.ArgumentError, match="cannot move inside a program"):
        program.simulate({fixed: 1.0}, program.stream(16))
    with pytest.raises(rs.ArgumentError, match="no single number"):
        program.simulate({PRICE: np.ones(3)}, program.stream(16))


def test_an_experience_that_does_not_fit_is_refused() -> None:
    program = rs.compile(rs.load_case(TOY))
    arrays = _arrays(_drawn(program.case, 5))
    with pytest.raises(rs.ExperienceError, match="activity: missing"):
        program.settle({}, {"case_mix": arrays["case_mix"]})
    with pytest.raises(
        rs.ExperienceError, match=r"has the shape \(3, 1, 5\).*year \(1\), line \(3\)"
    ):
        program.settle({}, {"activity": np.swapaxes(arrays["activity"], 0, 1)})
    with pytest.raises(rs.ExperienceError, match="did you mean 'activity'"):
        program.settle({}, {**arrays, "activty": arrays["activity"]})


# --- any case --------------------------------------------------------------------------------


def _rich() -> rs.Case:
    """A case with what is drawn from tables of its own: capacity, thinning, people, zeros."""
    severity = Lognormal(mean=2000.0, cv=1.5)
    fields = {"cost": behaviour(), "loadings": {"demand": 1.0}}
    lines = [
        line("waits", capacity=rs.Capacity(units=9_800.0), **fields),
        line("moved", noise=rs.Noise(law="poisson"), **fields),
        line(
            "people",
            people=rs.People(law=severity, threshold=50_000.0),
            noise=rs.Noise(law="poisson"),
            baseline=300,
        ),
        line("rare", noise=rs.Noise(law="negative-binomial", overdispersion=0.1, zeros=0.2)),
        line("wide", noise=rs.Noise(law=Weibull(mean=1.0, shape=2.0)), **fields),
    ]
    change = rs.Change(name="shift", owner=PAYER, source="moved", size=0.1, thinning=True)
    demand = rs.Driver(name="demand", acts_on="activity", law="lognormal", sd=0.05, centre="mean")
    return a_case(lines, changes=[change], drivers=[demand], count=2)


def test_lines_with_tables_of_their_own_are_simulated_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = _rich()
    want = rs.simulate(case, samples=1024, seed=5, keep=["position", "cost"])
    program = rs.compile(case, keep=["position", "cost"])
    got = program.simulate(program.parameters, program.stream(1024, seed=5))
    flow = want.cost.max().item()

    for name in ("position", "cost"):
        np.testing.assert_allclose(got[name], want[name].values, atol=2e-6 * flow)
    for path in ("lines.waits.baseline", "changes.shift.size", "drivers.demand.sd"):
        assert "tables made from its volume" in program.fixed[path]
    assert {"lines.wide.baseline", "lines.wide.price", "lines.waits.price"} <= {*program.parameters}
    assert "lines.people.people.threshold" in program.fixed
    assert "lines.waits.capacity.units" in program.fixed
    monkeypatch.setattr(riskshare.checks, "check_case", lambda case: None)
    assert not _mismatches(case)


@settings(max_examples=3)
@given(case=cases(), seed=st.integers(0, 10_000))
def test_leaves_of_any_case_are_those_of_binding_anew(case: rs.Case, seed: int) -> None:
    program = rs.compile(case)
    rng = np.random.default_rng(seed)
    moved = {p: v * (1 + 1e-3 * rng.uniform(-1, 1)) for p, v in program.parameters.items()}
    with pytest.MonkeyPatch.context() as patched, jax.enable_x64(True):
        patched.setattr(riskshare.checks, "check_case", lambda case: None)
        anew = ready(case.with_numbers(moved))
        vector = np.array([*moved.values()])
        got = program.leaves(vector, program.host(np.float64), tuple(moved), np.float64)

    assert not _differing(anew.numbers, got)


def test_what_moves_by_whole_steps_or_counts_is_fixed() -> None:
    stepped = behaviour(step=rs.Step(size=500.0, unit="activity"))
    lines = [
        line("stepped", cost=stepped, loadings={"demand": 1.0}),
        line("counted", baseline=40, noise=rs.Noise(law="poisson"), loadings={"winter": 1.0}),
        line("smooth", loadings={"demand": 1.0}),
    ]
    law = {"acts_on": "activity", "law": "normal", "sd": 0.1}
    drivers = [rs.Driver(name="demand", **law), rs.Driver(name="winter", **law)]
    program = rs.compile(a_case(lines, drivers=drivers))

    for path in ("lines.stepped.baseline", "lines.stepped.growth", "drivers.demand.sd"):
        assert "whole" in program.fixed[path]
    for path in ("lines.counted.baseline", "drivers.winter.sd", "lines.counted.loadings[winter]"):
        assert "counts are whole" in program.fixed[path]
    assert {"lines.smooth.baseline", "lines.counted.price"} <= {*program.parameters}
