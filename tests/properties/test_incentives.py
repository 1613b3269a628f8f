"""The check of any case: it never breaks, and its incentives are the kernel's derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from builders import behaviour, case, line, msk_toy
from hypothesis import given, settings

import riskshare as rs
from riskshare.analysis.incentive import incentive_dataset, slopes
from riskshare.analysis.probe import Probe
from riskshare.contract.organisation import ControlTotalFunding, PerformancePayment
from riskshare.program.experience import Experience
from riskshare.program.settle import initial_carried, settle_years
from riskshare.run.precision import cast
from riskshare.testing import FAMILY, cases

SMALL = FAMILY[:2]
"""Structures looked at: each compiles a kernel of its own."""


def finite(dataset):
    return all(
        bool(np.isfinite(variable.values.astype(np.float64)).all())
        for variable in dataset.data_vars.values()
        if variable.dtype != object
    )


@settings(max_examples=2)
@given(of=cases(structures=SMALL))
def test_any_case_can_be_checked(of):
    found = rs.check(of, samples=256)
    for dataset in (found.incentive, found.gates, found.binding, found.accounts):
        assert finite(dataset)
    assert found.imbalance < 1e-9
    assert not found.about("conservation")
    shares = [found.binding.share, found.gates.mass, found.accounts.dry]
    assert all(bool(((share >= 0) & (share <= 1)).all()) for share in shares)
    for finding in found.findings:
        assert finding.path
        assert "nan" not in finding.message.split()
    severities = [finding.severity for finding in found.findings]
    assert severities == sorted(severities, key=("error", "warning", "note").index)


def position_of(of):
    """Return the kernel as a function of activity, (year, line) to postings and cost."""
    probe = Probe(of)
    bound = probe.bound
    at = probe.plan
    names = list(of.indices())
    index = np.ones((len(probe.years), len(names), 1))
    for row, name in enumerate(names):
        if name in probe.drivers:
            index[:, row, 0] = at["driver_index"][:, probe.drivers.index(name)]
        if name.startswith("quality["):
            who = probe.partners.index(name.removeprefix("quality[").rstrip("]"))
            index[:, row, 0] = at["quality"][:, who]
    persons = np.zeros((len(probe.years), len(probe.lines), 1, 1)) if probe.persons else None
    mix, unit = at["case_mix"][:, :, None], at["unit_cost"][:, :, None]
    known = (cast(bound.numbers, np.float64), mix, unit, index, persons)

    def settle(activity):
        leaves, mix, unit, index, persons = jax.tree.map(jnp.asarray, known)
        experience = Experience(activity[:, :, None], mix, unit, index, None, persons)
        carried = initial_carried(bound.structure, leaves.yearly, jnp.zeros((1, 1)))
        every = jnp.ones(len(probe.years), bool)
        outputs, _ = settle_years(
            bound.structure, leaves, experience, carried, every, None, unrolled=True
        )
        posted = sum(outputs["posting"], jnp.zeros_like(outputs["cost"]))
        return posted[..., 0], outputs["cost"][..., 0]

    return probe, settle


def agree_with_derivatives(of):
    """Compare one unit up and down with the derivative half a unit away; return how many."""
    probe, settle = position_of(of)
    found = incentive_dataset(probe, slopes(probe))
    plan = probe.plan["activity"]
    compared = 0
    with jax.enable_x64(True):
        derivative = jax.jit(lambda a, d: jax.jvp(settle, (a,), (d,)))
        value = jax.jit(settle)
        start = [np.asarray(part) for part in value(plan)]
        scale = 1e-9 * max(float(np.abs(part).max(initial=1.0)) for part in start)
        for year, row in np.ndindex(*plan.shape):
            for way, sign in (("up", 1.0), ("down", -1.0)):
                if plan[year, row] < 1:
                    continue
                one = np.zeros_like(plan)
                one[year, row] = 1.0
                end = value(plan + sign * one)
                middle, slope = derivative(plan + 0.5 * sign * one, one)
                for name, a, m, b, s in zip(
                    ("pays", "costs"), start, middle, end, slope, strict=True
                ):
                    a, m, b, s = (np.asarray(part)[year] for part in (a, m, b, s))
                    here = found[f"{name}_{way}"].isel(year=year, line=row).values
                    np.testing.assert_allclose(here, sign * (b - a), rtol=1e-7, atol=scale)
                    straight = np.abs(m - (a + b) / 2) < scale
                    np.testing.assert_allclose(
                        here[straight], s[straight], rtol=1e-6, atol=10 * scale
                    )
                    compared += int(straight.sum())
    return compared


def has_gate(term):
    """Whether the derivative of a term would be a kernel estimate where its gate is near."""
    glass, quality = getattr(term, "break_glass", None), getattr(term, "quality", None)
    return (
        isinstance(term, (ControlTotalFunding, PerformancePayment))
        or getattr(term, "gate", None) is not None
        or (glass is not None and glass.reading == "whole-deviation")
        or (quality is not None and quality.standard is not None)
        or any(c.counted_from is not None for c in getattr(term, "corridors", ()))
    )


def without_gates(of):
    """Return the case with every term that has a gate switched off."""
    off = {
        f"{contract.name}.{term.label}.in_force": 0.0
        for contract in of.contracts
        for term in contract.terms
        if has_gate(term)
    }
    return of.with_numbers(off) if off else of


def two_lines():
    """Rates that differ by direction, support, a pool in corridors and time to exit."""
    realised = behaviour(exit_basis="realised")
    pool = rs.Pool(
        budget="b",
        against=["activity-payment", "marginal-rate"],
        holder="payer",
        key="fixed",
        share={"provider": 0.6, "payer": 0.4},
        corridors=[rs.Corridor(beyond=0.0, rate=0.3), rs.Corridor(beyond=0.02, rate=0.8)],
    )
    return case(
        [line("a", plan=9000, cost=realised), line("b", price=50.0, unit_cost=60.0)],
        [
            rs.ActivityPayment(share=0.4),
            rs.MarginalRate(rate={"up": 0.2, "down": 0.5}, tolerance=0.01),
            rs.StrandedSupport(lines=["a"], share=0.3, of="stranded cost", basis="realised"),
            pool,
        ],
        budgets=[rs.Budget(name="b")],
        count=2,
    )


@pytest.mark.parametrize(
    "of", [msk_toy(), two_lines(), rs.load_case("mid-nottinghamshire-msk")], ids=lambda c: c.name
)
def test_incentives_are_the_derivatives_of_the_kernel(of):
    assert agree_with_derivatives(of) >= 8


@settings(max_examples=3)
@given(of=cases(structures=SMALL))
def test_incentives_of_any_case_are_its_derivatives_where_gates_are_off(of):
    agree_with_derivatives(without_gates(of))
