"""The reference problem: the numbers that every engine must compute with, and nothing else.

24 lines, 8 providers, one external payer, one year. All 48 marginals are coupled by one Gaussian
copula: G_l and H_l are the quantiles of a gamma law (mean 1, CV `activity_cv`) and of a lognormal
law (mean 1, sigma `unit_cost_sigma`) at Phi(z_i), where i is l for G_l and 24 + l for H_l, and
z_i = sum_k factors[i, k] f_k + own_i e_i, own_i = sqrt(1 - |factors_i|^2), with f (3) and e (48)
independent standard normals: 51 dimensions.

    activity_l  = plan_l G_l
    unit cost_l = unit_cost_l H_l
    cost_l      = unit cost_l plan_l (1 - variable_share + variable_share G_l)

The contract, external paying the provider i of each line:

1. block:    plan_l price_l
2. marginal: on the deviation x = price_l (activity_l - plan_l): rate_up or rate_down inside
             +-tolerance plan_l price_l, rate_beyond on what lies outside, either way
3. pool:     S0 = budget - outlay, budget = sum plan price, outlay = what external paid in 1 and 2;
             the layers of |S0| / budget between `corridor` are shared at `shares`, with the sign of
             S0; provider i receives key_i S and external pays it

The position of a provider is what it receives less its cost.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LINES, PROVIDERS, FACTORS = 24, 8, 3


@dataclass(frozen=True, eq=False)
class Problem:
    """The model's numbers; hashed by identity, so that an engine may keep what it builds."""

    plan: Floats
    """Planned units, per line."""
    unit_cost: Floats
    """Cost of a unit at plan, per line; also the price."""
    provider: NDArray[np.int64]
    """Index of the provider that delivers each line."""
    factors: Floats
    """Loadings of the 48 scores (rows: 24 activities, 24 unit costs) on the common factors."""
    key: Floats
    """Share of the pool, per provider."""
    activity_cv: float = 0.2
    unit_cost_sigma: float = 0.08
    variable_share: float = 0.4
    tolerance: float = 0.1
    rate_up: float = 0.5
    rate_down: float = 0.7
    rate_beyond: float = 1.0
    corridor: tuple[float, float] = (0.02, 0.04)
    shares: tuple[float, float] = (0.5, 0.8)

    @property
    def price(self) -> Floats:
        """Price of a unit, per line: its unit cost at plan."""
        return self.unit_cost

    @property
    def plan_value(self) -> Floats:
        """Planned activity at price, per line."""
        return self.plan * self.price

    @property
    def budget(self) -> float:
        """Value of the whole plan."""
        return float(self.plan_value.sum())

    @property
    def own(self) -> Floats:
        """Weight of each score's own normal."""
        return np.asarray(np.sqrt(1.0 - (self.factors**2).sum(axis=1)))

    @property
    def correlation(self) -> Floats:
        """Between the 48 scores."""
        return self.factors @ self.factors.T + np.diag(self.own**2)

    @property
    def gamma_shape(self) -> float:
        """Shape of the gamma law of activity, 1 / CV^2."""
        return self.activity_cv**-2

    @property
    def delivered(self) -> Floats:
        """One where the row's provider delivers the column's line."""
        return (np.arange(PROVIDERS)[:, None] == self.provider).astype(float)

    @property
    def line_names(self) -> tuple[str, ...]:
        """Names of the lines."""
        return tuple(f"line_{i:02}" for i in range(LINES))

    @property
    def provider_names(self) -> tuple[str, ...]:
        """Names of the providers."""
        return tuple(f"provider_{i}" for i in range(PROVIDERS))

    @property
    def factor_names(self) -> tuple[str, ...]:
        """Names of the common factors."""
        return tuple(f"factor_{i}" for i in range(FACTORS))

    def block_only(self) -> "Problem":
        """Return the same world under the block alone: position = plan value - cost."""
        return replace(self, rate_up=0.0, rate_down=0.0, rate_beyond=0.0, shares=(0.0, 0.0))


@cache
def reference() -> Problem:
    """Build the problem; the order of the draws is part of its definition."""
    rng = np.random.default_rng(1)
    return Problem(
        plan=rng.uniform(1e3, 5e4, LINES),
        unit_cost=rng.uniform(200.0, 4000.0, LINES),
        factors=rng.uniform(0.2, 0.5, (2 * LINES, FACTORS)),
        key=rng.dirichlet(np.ones(PROVIDERS)),
        provider=np.arange(LINES) % PROVIDERS,
    )
