"""Laws of counts by maximum likelihood, with exposure: Poisson, negative binomial, zero-inflated.

For annual counts, claims of members, or any counts without a season; monthly series go to
`riskshare.fitting.fit_activity`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, gammaln, pdtr, xlogy

from riskshare.errors import ArgumentError
from riskshare.fitting.estimates import (
    Comparison,
    Criteria,
    Estimate,
    LevelAndDispersion,
    Scale,
    carried,
    compared,
    estimates,
    jacobian,
)
from riskshare.fitting.goodness import exceedance
from riskshare.fitting.lines import check_status, count_lines
from riskshare.fitting.maximum import Maximum, Status, maximise

Floats: TypeAlias = NDArray[np.float64]

COUNT_KINDS = (
    "poisson",
    "negative-binomial",
    "zero-inflated-poisson",
    "zero-inflated-negative-binomial",
)
_LOWEST = 1e-8  # below it rounding of log-gamma differences exceeds the over-dispersion


@dataclass(frozen=True)
class Counts:
    """Counts and what they were counted over, shape ``(row,)`` each."""

    counts: Floats
    exposure: Floats


@dataclass(frozen=True)
class CountTable:
    """Rows with each count, and how many the law expects; the last class is open.

    Parameters
    ----------
    counts
        The count of each class; the last stands for itself and all above.
    observed, expected
        Rows with it, and their number by the law.
    """

    counts: Floats
    observed: Floats
    expected: Floats


@dataclass(frozen=True)
class CountFit:
    """One law of counts.

    ``mean = exposure x rate``; with structural zeros the rate is that of the rows without one,
    and the mean is ``(1 - zeros) x exposure x rate``.

    Parameters
    ----------
    kind
        One of `COUNT_KINDS`.
    parameters
        rate; overdispersion c of ``Var = mu + c mu^2``; zeros, the share of structural zeros.
    covariance
        Of the parameters, in their order; NaN unless converged.
    level
        Logarithm of the mean per exposure, and half the logarithm of the over-dispersion.
    log_likelihood, criteria
        At the estimates; AIC, AICc, BIC.
    pearson
        ``sum (n - mean)^2 / Var`` over its degrees of freedom: near 1 where the law holds.
    ks, ad
        Distances of distribution functions at whole numbers, the law averaged over the
        exposures: ``max |F_n - F|``, and ``n sum (F_n - F)^2 p / (F (1 - F))`` (Choulakian,
        Lockhart and Stephens 1994, Can. J. Statist. 22, 125). Continuous tables do not apply.
    status
        One of `riskshare.fitting.maximum.MEANINGS`; ``edge`` for a negative binomial is a
        Poisson.
    data
        What was fitted.
    """

    kind: str
    parameters: tuple[Estimate, ...]
    covariance: Floats
    level: LevelAndDispersion
    log_likelihood: float
    criteria: Criteria
    pearson: float
    ks: float
    ad: float
    status: Status
    data: Counts = field(repr=False)
    at: Floats = field(repr=False)

    def of(self, name: str) -> Estimate:
        """Return one parameter."""
        for found in self.parameters:
            if found.name == name:
                return found
        known = ", ".join(found.name for found in self.parameters)
        raise ArgumentError(f"name: {name!r} is no parameter of {self.kind}; give one of {known}")

    def table(self, classes: int = 12) -> CountTable:
        """Return observed and expected numbers of rows by count."""
        top = min(int(self.data.counts.max()), classes - 1)
        at = np.arange(top + 1.0)
        below = _mean_distribution(self.kind, self.at, self.data.exposure, at)
        below[-1] = 1.0
        observed = np.bincount(np.minimum(self.data.counts, top).astype(int), minlength=top + 1)
        expected = np.diff(below, prepend=0.0) * self.data.counts.size
        return CountTable(at, observed.astype(np.float64), expected)

    def p_values(self, replicates: int = 200, seed: int = 1) -> tuple[float, float]:
        """Return bootstrap p-values of `ks` and `ad`: counts drawn from the law, fitted again."""
        if replicates < 20:
            raise ArgumentError(f"replicates: {replicates}; give 20 or more, 200 for one decimal")
        if self.status != "converged":
            raise ArgumentError(f"p_values: the {self.kind} fit has the status {self.status!r}")
        rng = np.random.default_rng(seed)
        simulated = []
        for _ in range(replicates):
            drawn = Counts(_drawn(self.kind, self.at, self.data.exposure, rng), self.data.exposure)
            if drawn.counts.sum() == 0:
                continue
            found = _climbed(self.kind, drawn, [list(self.at)])
            simulated.append(_distances(self.kind, found.at, drawn))
        ks, ad = np.array(simulated).T
        return exceedance(self.ks, ks), exceedance(self.ad, ad)

    def case_lines(self, name: str) -> str:
        """Return the law as the chance of a line's annual activity, for a case file."""
        check_status(self.kind, self.status)
        _, overdispersion, zeros = _numbers(self.kind, self.at)
        return count_lines(
            self.kind,
            overdispersion if "negative" in self.kind else None,
            zeros if "zero" in self.kind else None,
            self.parameters,
            self.level,
            name,
        )


def fit_counts(
    counts: ArrayLike,
    kinds: Sequence[str] = COUNT_KINDS,
    *,
    exposure: ArrayLike | None = None,
) -> Comparison[CountFit]:
    """Fit laws to counts by maximum likelihood.

    ``P(n) = zeros [n = 0] + (1 - zeros) NB(n; mean = exposure x rate, c)``, Poisson at c = 0.

    Parameters
    ----------
    counts
        Whole numbers, shape ``(row,)``.
    kinds
        Of `COUNT_KINDS`.
    exposure
        What each count is proportional to (person-years, members, beds); 1 for each by default.

    Returns
    -------
    Comparison
        Fits in the order of AIC. The AIC of a negative binomial against a Poisson is cautious:
        c = 0 is on its edge, where the likelihood ratio is half as often positive (Self and
        Liang 1987).

    Raises
    ------
    ArgumentError
        Negative, fractional or NaN counts, exposures that are not positive, fewer than 5 rows,
        all counts zero.

    Examples
    --------
    >>> fit = fit_counts([3, 5, 2, 4, 6], ("poisson",)).best
    >>> fit.of("rate").value, round(fit.of("rate").standard_error, 4)
    (4.0, 0.8944)
    """
    data = _validated(counts, exposure)
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    unknown = [kind for kind in kinds if kind not in COUNT_KINDS]
    if unknown or not kinds:
        from riskshare.checks.given import suggest

        raise ArgumentError(f"kinds: {unknown or 'none given'}; {suggest(unknown, COUNT_KINDS)}")
    return compared([_fitted(kind, data) for kind in kinds], float(data.counts.size))


def _validated(counts: ArrayLike, exposure: ArrayLike | None) -> Counts:
    try:
        values = np.asarray(counts, dtype=np.float64)
        over = np.ones(values.shape) if exposure is None else np.asarray(exposure, np.float64)
    except (TypeError, ValueError):
        raise ArgumentError("counts, exposure: not numbers; give sequences of numbers") from None
    over = np.full(values.shape, over) if over.ndim == 0 else over
    if values.ndim != 1 or values.shape != over.shape:
        raise ArgumentError(
            f"counts and exposure: shapes {values.shape} and {over.shape}; give sequences of one "
            "length"
        )
    for name, column, wrong, accepted in (
        ("counts", values, ~np.isfinite(values) | (values < 0), "zero or more and finite"),
        (
            "counts",
            values,
            values != np.round(values),
            "a whole number; amounts go to fit_severity",
        ),
        ("exposure", over, ~np.isfinite(over) | (over <= 0), "positive and finite"),
    ):
        at = np.flatnonzero(wrong)
        if at.size:
            raise ArgumentError(
                f"{name}: {column[at[0]]:g} in place {at[0]}; it must be {accepted}"
            )
    if values.size < 5:
        raise ArgumentError(f"counts: {values.size} rows; at least 5 are needed to see a spread")
    if values.sum() == 0:
        raise ArgumentError(
            "counts: all are zero, so the rate has no lower limit; use a longer period, or a prior "
            "(posterior_rate)"
        )
    return Counts(values, over)


def _numbers(kind: str, at: Floats) -> tuple[float, float, float]:
    """Return rate, over-dispersion and share of structural zeros."""
    overdispersion = float(np.exp(at[1])) if "negative" in kind else 0.0
    zeros = float(1 / (1 + np.exp(-at[-1]))) if "zero" in kind else 0.0
    return float(np.exp(at[0])), overdispersion, zeros


def _scales(kind: str) -> dict[str, Scale]:
    scales: dict[str, Scale] = {"rate": "log"}
    if "negative" in kind:
        scales["overdispersion"] = "log"
    if "zero" in kind:
        scales["zeros"] = "logit"
    return scales


def _log_likelihood(kind: str, at: Floats, data: Counts) -> float:
    rate, c, zeros = _numbers(kind, at)
    mean = data.exposure * rate
    if c > _LOWEST:
        size = 1 / c
        terms = gammaln(data.counts + size) - gammaln(size) + xlogy(data.counts, c * mean)
        terms -= (data.counts + size) * np.log1p(c * mean)
        empty = -size * np.log1p(c * mean)
    else:
        terms = xlogy(data.counts, mean) - mean
        empty = -mean
    terms = terms - gammaln(data.counts + 1)
    if zeros > 0:
        with_zeros = np.logaddexp(np.log(zeros), np.log1p(-zeros) + empty)
        terms = np.where(data.counts == 0, with_zeros, np.log1p(-zeros) + terms)
    return float(terms.sum())


def _climbed(kind: str, data: Counts, starts: Sequence[Sequence[float]]) -> Maximum:
    bounds = [(-40.0, 40.0)]
    if "negative" in kind:
        bounds.append((float(np.log(_LOWEST)) + 4, 6.0))
    if "zero" in kind:
        bounds.append((-12.0, 12.0))
    return maximise(lambda at: _log_likelihood(kind, at, data), starts, bounds)


def _starts(kind: str, data: Counts) -> list[list[float]]:
    rate = float(data.counts.sum() / data.exposure.sum())
    mean = data.exposure * rate
    excess = float(np.sum((data.counts - mean) ** 2 - mean) / np.sum(mean**2))
    empty = float(np.clip(np.mean(data.counts == 0), 0.02, 0.98))
    starts = []
    for zeros, times in ((0.5, 0.5), (0.05, 1.0)) if "zero" in kind else ((0.0, 1.0),):
        share = zeros * empty
        start = [float(np.log(rate / (1 - share)))]
        if "negative" in kind:
            start.append(float(np.log(max(excess, 1e-3) * times)))
        if "zero" in kind:
            start.append(float(np.log(share / (1 - share))))
        starts.append(start)
    return starts


def _fitted(kind: str, data: Counts) -> CountFit:
    found = _climbed(kind, data, _starts(kind, data))
    scales = _scales(kind)

    def natural(at: Floats) -> Floats:
        numbers = dict(zip(("rate", "overdispersion", "zeros"), _numbers(kind, at), strict=True))
        return np.array([numbers[name] for name in scales])

    covariance = carried(found.covariance, jacobian(natural, found.at, 1e-5))
    rate, c, zeros = _numbers(kind, found.at)
    mean = data.exposure * rate
    variance = (1 - zeros) * mean * (1 + mean * (c + zeros))
    residual = (data.counts - (1 - zeros) * mean) ** 2 / variance
    free = max(data.counts.size - len(scales), 1)
    ks, ad = _distances(kind, found.at, data)
    return CountFit(
        kind=kind,
        parameters=estimates(natural(found.at), covariance, scales, {}),
        covariance=covariance,
        level=_level(kind, found),
        log_likelihood=found.log_likelihood,
        criteria=Criteria.of(found.log_likelihood, len(scales), data.counts.size),
        pearson=float(residual.sum()) / free,
        ks=ks,
        ad=ad,
        status=found.status,
        data=data,
        at=found.at,
    )


def _level(kind: str, found: Maximum) -> LevelAndDispersion:
    def both(at: Floats) -> Floats:
        rate, c, zeros = _numbers(kind, at)
        return np.array([np.log(rate * (1 - zeros)), np.log(c) / 2 if c > 0 else 0.0])

    value = both(found.at)
    covariance = carried(found.covariance, jacobian(both, found.at, 1e-5))
    if "negative" not in kind:
        value[1] = np.nan
        covariance[1, :] = covariance[:, 1] = np.nan
    return LevelAndDispersion(float(value[0]), float(value[1]), covariance)


def _mean_distribution(kind: str, at: Floats, exposure: Floats, counts: Floats) -> Floats:
    """Return P(N <= n) averaged over the exposures, at each n."""
    rate, c, zeros = _numbers(kind, at)
    over, rows = np.unique(exposure, return_counts=True)
    mean = (over * rate)[:, None]
    mixed = c > _LOWEST
    below = betainc(1 / c, counts + 1, 1 / (1 + c * mean)) if mixed else pdtr(counts, mean)
    averaged: Floats = zeros + (1 - zeros) * (rows @ below) / exposure.size
    return averaged


def _distances(kind: str, at: Floats, data: Counts) -> tuple[float, float]:
    # large counts need no whole number of classes: the grid holds every count that was seen
    top = int(data.counts.max())
    grid = np.arange(top + 1.0) if top < 5000 else np.unique(np.append(data.counts, 0.0))
    law = _mean_distribution(kind, at, data.exposure, grid)
    seen = np.searchsorted(np.sort(data.counts), grid, side="right") / data.counts.size
    chance = np.diff(law, prepend=0.0)
    inside = (law > 0) & (law < 1)
    square = (seen - law)[inside] ** 2 / (law * (1 - law))[inside] * chance[inside]
    return float(np.abs(seen - law).max()), float(data.counts.size * square.sum())


def _drawn(kind: str, at: Floats, exposure: Floats, rng: np.random.Generator) -> Floats:
    rate, c, zeros = _numbers(kind, at)
    mean = exposure * rate
    if c > _LOWEST:
        mean = mean * rng.gamma(1 / c, c, exposure.size)
    drawn = rng.poisson(mean).astype(np.float64)
    return np.where(rng.random(exposure.size) < zeros, 0.0, drawn)
