"""Kernels that are compiled soon and fast ones: the same samples, whichever compiler made them."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax
import numpy as np
import pytest
import xarray as xr

import riskshare as rs
from riskshare.program import compiling
from riskshare.program.block import count_traces, note_trace, sample_blocks
from riskshare.run import simulate

CASES = ["aca-risk-corridor", "mid-nottinghamshire-msk", "six-provider-collaboratives"]


@pytest.mark.skipif(
    os.environ.get("RISKSHARE_TEST_COMPILED") != "as-used",
    reason="tests compile both in one way; test_compiled.py runs it as used",
)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in CASES else pytest.mark.slow)
        for name in rs.case_names()
    ],
)
def test_both_ways_make_the_same_samples(name, monkeypatch):
    case = rs.load_case(name)
    soon = rs.simulate(case, samples=16_384, seed=3).position
    monkeypatch.setattr(simulate, "SHORT", 0)
    fast = rs.simulate(case, samples=16_384, seed=3).position
    apart = np.abs(soon - fast) > 1e-3 * np.maximum(fast.std("sample"), 1)
    # rounding takes a count or a step to its other side once in a while
    assert float(apart.mean()) <= 1e-4
    np.testing.assert_allclose(
        soon.mean("sample"), fast.mean("sample"), atol=float(1e-4 * fast.std("sample").max())
    )


def ways(monkeypatch):
    """Collect which way the kernel is asked for."""
    asked = []
    for way in ("soon", "fast"):
        run = getattr(sample_blocks, way)

        def noted(*arguments, run=run, way=way, **named):
            asked.append(way)
            return run(*arguments, **named)

        monkeypatch.setattr(sample_blocks, way, noted)
    return asked


ONE = {"keep": ["position"], "samples": 4096}
RATES = {"msk.marginal-rate.rate[outpatients]": xr.DataArray([0.1, 0.9], dims="rate")}
RUNS = {
    "soon": {
        "simulate": lambda of: rs.simulate(of, **ONE),
        "another number": lambda of: rs.simulate(
            of, **ONE, parameters={"msk.marginal-rate.rate[outpatients]": 0.2}
        ),
        "draw": lambda of: rs.draw(of, samples=4096),
        "a round number": lambda of: rs.simulate(of, **ONE | {"samples": 100_000}),
        # the same numbers, whenever they are computed
        "lazy": lambda of: rs.simulate(of, **ONE, chunks=4096).position.load(),
    },
    "fast": {
        "longer": lambda of: rs.simulate(of, **ONE | {"samples": compiling.SHORT + 1}),
        "longer draw": lambda of: rs.draw(of, samples=compiling.SHORT + 1),
        # however few samples an estimate ends with, it has those of an estimate of so many
        "estimate": lambda of: rs.estimate(of, samples=65_536, keep=["position"]),
        "attribute": lambda of: rs.attribute(of, samples=4096),
        "sweep": lambda of: rs.simulate(of, **ONE, parameters=RATES),
        "sweep of one": lambda of: rs.simulate(
            of, **ONE, parameters={path: rates[:1] for path, rates in RATES.items()}
        ),
    },
}


@pytest.mark.parametrize(("way", "run"), [(way, run) for way, runs in RUNS.items() for run in runs])
def test_a_short_run_of_one_set_of_numbers_has_its_kernel_soon(way, run, monkeypatch):
    asked = ways(monkeypatch)
    RUNS[way][run](rs.load_case("msk-toy"))
    assert set(asked) == {way}


def toy():
    def scaled(x, scale):
        """Scale."""
        note_trace("scaled")
        return scale * x

    made = compiling.TwoWays(scaled, ("scale",))
    return made, np.arange(4.0, dtype=np.float32)


def test_each_way_notes_its_own_compilation():
    made, x = toy()
    with count_traces() as traced:
        for run in (made.soon, made.fast, made.soon, made.fast):
            np.testing.assert_array_equal(run(x, scale=2), 2 * x)
    assert traced == ["scaled", "scaled"]
    assert made.__doc__ == "Scale."


def test_where_xla_has_one_way_alone_that_is_taken(monkeypatch):
    monkeypatch.setattr(compiling, "_SOON", {"xla_cpu_no_such_thing": False})
    for _ in range(10):
        made, x = toy()
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(partial(made.soon, scale=2), [x] * 8))
        np.testing.assert_array_equal(found, [2 * x] * 8)


def test_other_failures_are_not_hidden():
    def fails(x):
        raise jax.errors.JaxRuntimeError("INTERNAL: out of luck")

    with pytest.raises(jax.errors.JaxRuntimeError, match="out of luck"):
        compiling.TwoWays(fails, ()).soon(np.zeros(3))
