"""The rule of a pool on one line: neutral rules share everything, and gain mirrors loss."""

import dataclasses

import numpy as np
import pytest
import xarray as xr
from builders import PAYER, PROVIDER, case, two
from hypothesis import given, settings
from hypothesis import strategies as st

import riskshare as rs

BUDGET = 2e7
SPELLS = 10_000 + np.linspace(-4000, 4000, 401)
"""Spells at 2,000 a piece: results from 40 % of budget lost to 40 % gained, each with its mirror"""


def settled(pools):
    """What the provider gets, by pool and sample, where it has all of the share."""
    common = {"budget": "b", "holder": PAYER, "value_of": ["spells"]}
    common |= {"key": "fixed", "share": {PROVIDER: 1.0}}
    named = [rs.Pool(**{"name": f"p{i}", **common, **pool}) for i, pool in enumerate(pools)]
    partners = two()
    partners[1] = dataclasses.replace(partners[1], quality=rs.Score(value=0.7))
    of = case(
        terms=named,
        budgets=[rs.Budget(name="b", base=BUDGET, planned_changes=False)],
        partners=partners,
        members=[rs.Population(name="people", count=20_000.0)],
    )

    def over(axis, values):
        return ("year", axis, "sample"), np.broadcast_to(values, (1, 1, len(SPELLS)))

    given = xr.Dataset(
        {
            "activity": over("line", SPELLS),
            "quality": over("partner", 0.7),
            "members": over("population", 20_000.0),
        },
        {
            "year": list(of.labels()["year"]),
            "line": ["spells"],
            "partner": [PROVIDER],
            "population": ["people"],
        },
    )
    outcomes = rs.settle(of, given)
    terms = [f"c.p{i}" for i in range(len(pools))]
    return outcomes.posting.sel(term=terms, partner=PROVIDER).isel(year=0).values


NEUTRAL = [
    {},
    {"gate": rs.Gate(threshold=0.0, reading="first-dollar")},
    {"gate": rs.Gate(threshold=0.0, reading="excess-only")},
    {"gate": rs.Gate(threshold=0.3, reading="first-dollar", missed=1.0)},
    {
        "gate": rs.Gate(
            threshold=0.0,
            reading="excess-only",
            scale=rs.Scale(
                population="people", members=[0.0, 30_000.0], rate=[0.2, 0.1], weight=0.0
            ),
        )
    },
    {"rate": 1.0},
    {"corridors": [rs.Corridor(beyond=0.0, rate=1.0)]},
    {"corridors": [rs.Corridor(beyond=0.0, rate=1.0), rs.Corridor(beyond=0.1, rate=1.0)]},
    {"corridors": [rs.Corridor(beyond=0.0, rate=1.0, counted_from=0.0)]},
    {"quality": rs.Quality(partner=PROVIDER)},
    {"quality": rs.Quality(partner=PROVIDER, standard=0.7)},
    {"scalar": 1.0},
    {"relief": 0.0},
    {"caps": [rs.Cap(limit=10.0, of="budget", applies="before-share")]},
    {"caps": [rs.Cap(limit=1.0, of="revenue", applies="after-share", revenue=1e9)]},
    {"discount": 0.0},
    {"completion": 1.0},
    {"period": "to-date"},
    {"period": "term"},
    {"rebasing": rs.Rebasing(weight=0.0, direction="both-ways")},
    {"share": {PROVIDER: 1.0}, "loss_share": {PROVIDER: 1.0}},
    {"share": {}, "taker": PROVIDER},
    {"maximum": {PROVIDER: 1e9}},
]
"""Pools whose options are all at the value that leaves the result alone."""


def test_a_pool_whose_rule_is_neutral_shares_all_of_the_result():
    expected = BUDGET - 2000.0 * SPELLS
    for pool, found in zip(NEUTRAL, settled(NEUTRAL), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-6, err_msg=str(pool))


def outcomes_of(top):
    """A number for a gain and one for a loss."""
    sizes = st.integers(1, 100).map(lambda i: round(top * i / 100, 6))
    return st.fixed_dictionaries({"gain": sizes, "loss": sizes})


def shifted(by):
    """Edges of bands, each beyond the one before."""
    return outcomes_of(0.05).map(lambda sides: {k: round(v + by, 6) for k, v in sides.items()})


@st.composite
def rules(draw, shape):
    """The fields of a pool's rule, numbers by outcome."""
    rate = outcomes_of(1.0)
    gates = {
        "gate": rs.Gate(threshold=draw(outcomes_of(0.1)), reading="first-dollar"),
        "missed": rs.Gate(
            threshold=draw(outcomes_of(0.1)), reading="first-dollar", missed=draw(rate)
        ),
        "excess": rs.Gate(threshold=draw(outcomes_of(0.1)), reading="excess-only"),
        "scale": rs.Gate(
            threshold=draw(outcomes_of(0.1)),
            reading="excess-only",
            scale=rs.Scale(
                population="people",
                members=[0.0, 15_000.0, 40_000.0],
                rate=[0.1, 0.05, 0.0],
                weight=draw(rate),
            ),
        ),
    }
    caps = {
        "before": [rs.Cap(limit=draw(outcomes_of(0.3)), of="budget", applies="before-share")],
        "after": [rs.Cap(limit=draw(outcomes_of(0.3)), of="budget", applies="after-share")],
        "revenue": [
            rs.Cap(
                limit=draw(outcomes_of(0.3)), of="revenue", applies="after-share", revenue=BUDGET
            )
        ],
    }
    bands = [
        rs.Corridor(beyond=draw(shifted(0.06 * i)), rate=draw(rate), counted_from=start)
        for i, start in enumerate([None, draw(outcomes_of(0.1)) if "jump" in shape else None])
    ]
    fields = {
        "rate": {"rate": draw(rate)},
        "bands": {"corridors": bands},
        "scalar": {"scalar": draw(rate)},
        "relief": {"relief": draw(rate)},
        "jump": {},
    }
    found = {}
    for part in shape:
        found |= fields.get(part, {})
        found |= {"gate": gates[part]} if part in gates else {}
        found |= {"caps": caps[part]} if part in caps else {}
    return found


def swapped(value):
    """A rule with what it says of gains said of losses."""
    if dataclasses.is_dataclass(value):
        fields = {f.name: swapped(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    if isinstance(value, (list, tuple)):
        return tuple(swapped(item) for item in value)
    if hasattr(value, "get") and set(value) == {"gain", "loss"}:
        return {"gain": value["loss"], "loss": value["gain"]}
    return value


SHAPES = [
    ("gate", "rate", "after"),
    ("missed", "bands", "scalar"),
    ("excess", "rate", "relief", "before"),
    ("scale", "bands", "jump", "revenue"),
]


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=12)
@given(data=st.data())
def test_swapping_gain_and_loss_mirrors_the_result(shape, data):
    rule = data.draw(rules(shape))
    other = {name: swapped(value) for name, value in rule.items()}
    found, mirrored = settled([rule, other])
    np.testing.assert_allclose(mirrored, -found[::-1], rtol=1e-12, atol=1e-6)
    assert np.any(found != 0)


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=12)
@given(data=st.data())
def test_caps_hold_on_the_base_they_state(shape, data):
    rule = data.draw(rules(shape))
    (found,) = settled([rule])
    for cap in rule.get("caps", []):
        most = {side: limit * BUDGET * (1 + 1e-12) for side, limit in cap.limit.items()}
        assert found.max() <= most["gain"]
        assert found.min() >= -most["loss"]
    # no rate is above 1, so no more is shared than there is, but where a band is made to jump
    if "jump" not in shape:
        result = BUDGET - 2000.0 * SPELLS
        assert np.all(found * result >= 0)
        assert np.all(np.abs(found) <= np.abs(result) * (1 + 1e-12) + 1e-6)
