"""Where terms are not linear, the mean settlement is not the settlement of the mean."""

import numpy as np
from builders import case, line

import riskshare as rs


def capped():
    drivers = [rs.Driver(name="demand", acts_on="activity", law="normal", sd=0.1)]
    rate = rs.MarginalRate(rate=1.0, cap=0.02)
    return case([line(loadings={"demand": 1.0})], [rs.Block(), rate], drivers=drivers)


def test_the_mean_settlement_of_a_cap_is_below_the_settlement_of_the_mean():
    """E[min(D, c)] = c (1 - Phi(c / sd)) - sd phi(c / sd) of a normal D; min(E D, c) is 0."""
    from scipy.stats import norm

    base, sd, cap = 20e6, 0.1, 0.02
    table = rs.summarise(rs.simulate(capped(), samples=65_536, seed=3))
    at = table.sel(term="c.marginal-rate", partner="provider", year="2018/19")
    exact = base * (cap * norm.sf(cap / sd) - sd * norm.pdf(cap / sd))

    assert exact < -0.6e6
    assert abs(float(at.posting_mean) - exact) < 4 * float(at.posting_mean_error) + 1
    flat = capped().with_numbers({"drivers.demand.sd": 0.0})
    assert np.abs(rs.simulate(flat, samples=64).posting.sel(term="c.marginal-rate")).max() == 0
