"""Laws of claim amounts by maximum likelihood, complete, truncated or censored, side by side.

An amount goes through `riskshare.fitting.claims`, climbs in `families`, and comes out as a law of
`riskshare.laws.marginal` with errors, distances from the data and lines for a case file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskshare.errors import ArgumentError
from riskshare.fitting import families
from riskshare.fitting.claims import Claims, read_claims
from riskshare.fitting.estimates import (
    Comparison,
    Criteria,
    Estimate,
    LevelAndDispersion,
    carried,
    compared,
    estimates,
    jacobian,
)
from riskshare.fitting.families import Family
from riskshare.fitting.goodness import distances, empirical_distribution, exceedance, score_at
from riskshare.fitting.lines import amount_lines, check_status
from riskshare.fitting.maximum import Maximum, Status, maximise
from riskshare.laws.marginal import AbstractLaw

Floats = NDArray[np.float64]

KINDS = (
    "gamma",
    "lognormal",
    "weibull",
    "generalised-gamma",
    "pareto",
    "generalised-pareto",
)
SIMPLE = {
    "exponential": families.exponential,
    "gamma": families.gamma,
    "lognormal": families.lognormal,
    "weibull": families.weibull,
    "generalised-gamma": families.generalised_gamma,
    "generalised-pareto": families.generalised_pareto,
}
BODIES = ("exponential", "gamma", "lognormal", "weibull", "generalised-gamma")
LIMIT_SHARES = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
_MONEY = ("mean", "scale", "minimum", "threshold")


@dataclass(frozen=True)
class LimitedMeans:
    """E[min(X, limit) | X > origin], of the data and of the law.

    Parameters
    ----------
    limits
        Where amounts are cut.
    empirical, fitted
        The limited expected values, one for each limit.
    """

    limits: Floats
    empirical: Floats
    fitted: Floats


@dataclass(frozen=True)
class Quantiles:
    """Points of a QQ plot: near the diagonal where the law fits.

    Parameters
    ----------
    probability
        The middle of each step of the empirical distribution.
    observed, fitted
        The amount there, and the law's quantile.
    """

    probability: Floats
    observed: Floats
    fitted: Floats


@dataclass(frozen=True)
class SeverityFit:
    """One law of amounts.

    Parameters
    ----------
    kind
        The law's name; ``spliced-lognormal`` is a lognormal body with a generalised Pareto tail.
    law
        The law itself, from `riskshare.laws.marginal`.
    parameters
        Its numbers; their errors come from the observed information by the delta method.
    covariance
        Of the parameters that were climbed to, in their order; NaN unless converged.
    level
        Logarithms of mean and coefficient of variation, with their covariance.
    log_likelihood, criteria
        At the estimates; AIC, AICc, BIC.
    ks, ad
        Distances from the data (`riskshare.fitting.goodness.distances`).
    status
        One of `riskshare.fitting.maximum.MEANINGS`.
    claims
        What was fitted.
    """

    kind: str
    law: AbstractLaw
    parameters: tuple[Estimate, ...]
    covariance: Floats
    level: LevelAndDispersion
    log_likelihood: float
    criteria: Criteria
    ks: float
    ad: float
    status: Status
    claims: Claims = field(repr=False)
    family: Family = field(repr=False)
    at: Floats = field(repr=False)

    def of(self, name: str) -> Estimate:
        """Return one parameter."""
        for found in self.parameters:
            if found.name == name:
                return found
        known = ", ".join(found.name for found in self.parameters)
        raise ArgumentError(f"name: {name!r} is no parameter of {self.kind}; give one of {known}")

    def limited_means(self, limits: ArrayLike | None = None) -> LimitedMeans:
        """Compare limited expected values, by default at quantiles of the data."""
        data = empirical_distribution(self.claims)
        at = np.asarray(_quantiles(data.points, data.after) if limits is None else limits)
        at = np.atleast_1d(at).astype(np.float64)
        fitted = np.asarray(self.law.limited_mean(at))
        if data.origin > 0:
            before = self.law.limited_mean(np.array([data.origin]))
            fitted = data.origin + (fitted - before) / self._above(data.origin)
        return LimitedMeans(at, data.limited_mean(at), fitted)

    def quantiles(self) -> Quantiles:
        """Return the points of a QQ plot."""
        data = empirical_distribution(self.claims)
        middle = (data.before + data.after) / 2
        above = (1 - middle) * self._above(data.origin)
        return Quantiles(middle, data.points, np.asarray(self.law.at(score_at(above))))

    def p_values(self, replicates: int = 200, seed: int = 1) -> tuple[float, float]:
        """Return bootstrap p-values of Kolmogorov-Smirnov and Anderson-Darling.

        Amounts are drawn from the fitted law, seen and cut as the data were, and fitted again, so
        that the distances know that the law was fitted (Stute, Gonzalez Manteiga and Presedo
        Quindimil 1993, Metrika 40, 243). Takes ``replicates`` fits.

        Raises
        ------
        ArgumentError
            With weights, with censoring given by flags, or from a fit that did not converge.
        """
        self._check_bootstrap(replicates)
        unit = _unit(self.claims)
        rng = np.random.default_rng(seed)
        simulated = []
        for _ in range(replicates):
            drawn = self._drawn(rng).divided(unit)
            found = _climbed(self.family, drawn, [list(self.at)])
            data = empirical_distribution(drawn)
            simulated.append(distances(data, partial(self.family.log_survival, found.at)))
        ks, ad = np.array(simulated).T
        return exceedance(self.ks, ks), exceedance(self.ad, ad)

    def case_lines(self, name: str, use: Literal["severity", "unit_cost"] = "severity") -> str:
        """Return the law as lines of a case file.

        Parameters
        ----------
        name
            The line's name.
        use
            ``severity``: amounts of single claims, for the people of a line. ``unit_cost``: the
            data were unit costs of whole years, and the law is the chance of the line's, mean 1.
        """
        check_status(self.kind, self.status)
        return amount_lines(self.kind, self.law, self.parameters, self.level, name, use)

    def _above(self, origin: float) -> float:
        """Return the law's share above the lowest amount that could be seen."""
        share = float(self.law.survival(np.array([origin]))[0])
        if share < 1e-290:
            raise ArgumentError(
                f"{self.kind}: the law has a share of {share:g} above {origin:g}, where the data "
                "begin: it says nothing of amounts from the ground up; use another law"
            )
        return share

    def _drawn(self, rng: np.random.Generator) -> Claims:
        claims = self.claims
        self._above(claims.origin)
        above = rng.random(claims.amounts.size) * self.law.survival(claims.entry)
        amounts = np.maximum(np.asarray(self.law.at(score_at(above))), np.nextafter(0, 1))
        limits = claims.limits if claims.limits is not None else np.full(amounts.shape, np.inf)
        cut = np.minimum(np.maximum(amounts, claims.entry), limits)
        return Claims(cut, claims.weights, claims.entry, cut == limits, limits)

    def _check_bootstrap(self, replicates: int) -> None:
        if replicates < 20:
            raise ArgumentError(f"replicates: {replicates}; give 20 or more, 200 for one decimal")
        if self.status != "converged":
            raise ArgumentError(f"p_values: the {self.kind} fit has the status {self.status!r}")
        if (self.claims.weights != 1).any():
            raise ArgumentError("p_values: rows have weights; give a row for each claim")
        if self.claims.limits is None:
            raise ArgumentError(
                "p_values: censoring was given by flags, so the limits of the other claims are "
                "not known; give censored_above as limits"
            )


def fit_severity(
    amounts: ArrayLike,
    kinds: Sequence[str] = KINDS,
    *,
    weights: ArrayLike | None = None,
    truncated_below: ArrayLike | None = None,
    censored_above: ArrayLike | None = None,
    threshold: float | None = None,
) -> Comparison[SeverityFit]:
    """Fit laws to claim amounts by maximum likelihood.

    ``ln L = sum of w (ln f(x), or ln S(x) where censored, less ln S(truncated_below))``. Zeros are
    a share of their own, with its standard error, and in no law.

    Parameters
    ----------
    amounts
        From the ground up (a deductible added back), shape ``(claim,)``.
    kinds
        Of `KINDS`, and ``exponential``.
    weights
        How many independent claims each row stands for; averages are not that.
    truncated_below
        Amount below which claims are not known (a deductible, a reporting threshold): one
        number, or one for each claim.
    censored_above
        Policy limit: amounts equal to it are lower bounds. One number, one for each claim
        (infinite where there is none), or true or false for each claim.
    threshold
        Also fit each body among `kinds` up to it, spliced with a generalised Pareto tail above;
        `riskshare.fitting.mean_excess` helps to choose it.

    Returns
    -------
    Comparison
        Fits in the order of AIC. Pareto's minimum is the smallest amount, unless truncation
        sets it.

    Raises
    ------
    ArgumentError
        NaN, infinite or negative amounts; amounts below truncation or above their limit; fewer
        than 10 exact ones, or all equal; a threshold with fewer than 10 amounts on either side.

    Examples
    --------
    >>> import numpy as np
    >>> table = fit_severity(np.random.default_rng(1).gamma(2.0, 500.0, 400), ("gamma",))
    >>> table.best.status
    'converged'
    """
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    claims, zeros, total = read_claims(amounts, weights, truncated_below, censored_above)
    unit = _unit(claims)
    small = claims.divided(unit)
    fits = [_fitted(family, claims, small, unit) for family in _families(kinds, small)]
    if threshold is not None:
        _check_threshold(threshold, claims)
        bodies = [kind for kind in kinds if kind in BODIES]
        for kind in bodies:
            family = families.spliced(SIMPLE[kind](), threshold / unit)
            fits.append(_fitted(family, claims, small, unit))
    share = zeros / total
    error = float(np.sqrt(share * (1 - share) / total))
    return compared(fits, claims.size, Estimate("share of zeros", share, error, "logit"))


def _families(kinds: Sequence[str], claims: Claims) -> list[Family]:
    known = (*SIMPLE, "pareto")
    unknown = [kind for kind in kinds if kind not in known]
    if unknown or not kinds:
        from riskshare.checks.given import suggest

        raise ArgumentError(f"kinds: {unknown or 'none given'}; {suggest(unknown, known)}")
    found = []
    for kind in kinds:
        if kind == "pareto":
            truncated = claims.origin > 0
            minimum = claims.origin if truncated else float(claims.amounts.min())
            found.append(families.pareto(minimum, from_data=not truncated))
        else:
            found.append(SIMPLE[kind]())
    return found


def _check_threshold(threshold: float, claims: Claims) -> None:
    above = int(np.sum(claims.amounts[~claims.censored] > threshold))
    below = int(np.sum(claims.amounts <= threshold))
    if min(above, below) < 10:
        raise ArgumentError(
            f"threshold: {threshold:g} leaves {below} amounts below and {above} exact ones above; "
            "give one with at least 10 on either side (mean_excess shows where a tail begins)"
        )


def _unit(claims: Claims) -> float:
    return float(np.average(claims.amounts, weights=claims.weights))


def _climbed(family: Family, claims: Claims, starts: Sequence[Sequence[float]]) -> Maximum:
    return maximise(
        lambda at: claims.log_likelihood(
            partial(family.log_density, at), partial(family.log_survival, at)
        ),
        starts,
        family.bounds,
    )


def _fitted(family: Family, claims: Claims, small: Claims, unit: float) -> SeverityFit:
    mean = float(np.average(small.amounts, weights=small.weights))
    spread = np.average((small.amounts - mean) ** 2, weights=small.weights)
    found = _climbed(family, small, family.starts(mean, float(np.sqrt(spread)) / mean))
    names = (*family.scales, *family.fixed)
    sizes = np.array([unit if name.split(".")[-1] in _MONEY else 1.0 for name in names])
    free = len(family.scales)
    small_numbers = np.concatenate([family.natural(found.at), list(family.fixed.values())])
    numbers = small_numbers * sizes
    slopes = jacobian(family.natural, found.at, 1e-5) * sizes[:free, None]
    covariance = carried(found.covariance, slopes)
    exact = float(claims.weights[~claims.censored].sum())
    log_likelihood = found.log_likelihood - exact * float(np.log(unit))
    data = empirical_distribution(small)
    ks, ad = distances(data, partial(family.log_survival, found.at))
    # a unit taken out and put back leaves 499.99999999999994 of 500
    fixed = {n: float(f"{v:.13g}") for n, v in zip(family.fixed, numbers[free:], strict=True)}
    return SeverityFit(
        kind=family.kind,
        law=_law(family, numbers),
        parameters=estimates(numbers[:free], covariance, family.scales, fixed),
        covariance=covariance,
        level=_level(family, found, unit),
        log_likelihood=log_likelihood,
        criteria=Criteria.of(log_likelihood, family.counted, claims.size),
        ks=ks,
        ad=ad,
        status=found.status,
        claims=claims,
        family=family,
        at=found.at,
    )


def _law(family: Family, numbers: Floats) -> AbstractLaw:
    names = (*family.scales, *family.fixed)
    return family.law(dict(zip(names, map(float, numbers), strict=True)))


def _level(family: Family, found: Maximum, unit: float) -> LevelAndDispersion:
    """Return log mean and log cv by the law's own moments, and their errors by differences."""
    if found.status != "converged":
        return LevelAndDispersion(np.nan, np.nan, np.full((2, 2), np.nan))
    fixed = list(family.fixed.values())

    def moments(at: Floats) -> Floats:
        law = _law(family, np.concatenate([family.natural(at), fixed]))
        with np.errstate(all="ignore"):
            mean, spread = law.expectation(), law.standard_deviation()
            found = np.log([mean, spread / mean])
        return np.where(np.isfinite(found), found, np.nan)

    log_mean, log_cv = moments(found.at)
    slopes = jacobian(moments, found.at, 1e-4)
    # the exponential's cv is known: rounding is not an error
    slopes[np.abs(slopes) < 1e-9] = 0.0
    return LevelAndDispersion(
        float(log_mean + np.log(unit)), float(log_cv), carried(found.covariance, slopes)
    )


def _quantiles(points: Floats, after: Floats) -> Floats:
    shares = [share for share in LIMIT_SHARES if share <= after[-1]]
    at = np.minimum(np.searchsorted(after, shares), points.size - 1)
    return points[at]
