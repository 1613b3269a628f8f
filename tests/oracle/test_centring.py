"""Mean outcomes at plan show no hidden deficit from the centring of factors."""

import datetime

import numpy as np
import pytest

import riskshare as rs


def _case(**law: object) -> rs.Case:
    """A block over a line whose whole cost is variable: position = plan value - cost."""
    return rs.Case(
        name="centring",
        years=[
            rs.Year(
                label="2018/19", start=datetime.date(2018, 4, 1), end=datetime.date(2019, 3, 31)
            )
        ],
        partners=[
            rs.Partner(name="payer", kind="payer"),
            rs.Partner(name="trust", kind="provider"),
        ],
        drivers=[rs.Driver(name="demand", acts_on="activity", **law)],
        lines=[
            rs.Line(
                name="spells",
                deliverer="trust",
                payer="payer",
                baseline=10_000,
                unit_cost=100.0,
                price=100.0,
                loadings={"demand": 1.0},
                noise=rs.Noise(law="negative-binomial", overdispersion=0.0004),
                unit_cost_noise=rs.Noise(law="gamma", cv=0.05),
            )
        ],
        contracts=[rs.Contract(name="agreed", terms=[rs.Block()])],
    )


@pytest.mark.parametrize(
    ("law", "deficit"),
    [
        ({"law": "normal", "sd": 0.1}, 0.0),
        ({"law": "lognormal", "sd": 0.1, "centre": "mean"}, 0.0),
        ({"law": "lognormal", "sd": 0.1, "centre": "median"}, 1e6 * (np.exp(0.005) - 1)),
        ({"interval": [0.96, 1.05]}, 1e6 * 0.005),
    ],
    ids=["normal", "lognormal-mean", "lognormal-median", "interval"],
)
def test_mean_position_is_what_the_centre_says(law: dict[str, object], deficit: float) -> None:
    table = rs.summarise(
        rs.simulate(_case(**law), samples=65_536, seed=5, keep=("position",), precision="float64")
    )
    at = table.sel(partner="trust", year="2018/19")

    assert abs(float(at.position_mean) + deficit) <= 4 * float(at.position_mean_error)
    assert float(at.position_mean_error) < 30.0
