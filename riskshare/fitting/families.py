"""Laws of amounts on an unconstrained scale: density and survival in logarithms, and the way back.

Where `riskshare.fitting.severity` climbs. A family is the same law as that of its kind in
`riskshare.laws.marginal`, in parameters that may take any value.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc, gammaincc, gammaln, log_ndtr

from riskshare.fitting.estimates import Scale
from riskshare.laws.marginal import LAWS, AbstractLaw

Floats = NDArray[np.float64]

_LOG_TINY = -690.0
_LOWEST_CV, _HIGHEST_CV = np.log(0.002), np.log(20.0)


@dataclass(frozen=True)
class Family:
    """A law with free parameters.

    Parameters
    ----------
    kind
        Its name in the comparison, the kind of the law but for spliced ones.
    log_density, log_survival
        Of (parameters, amounts).
    natural
        The law's own numbers, from the unconstrained parameters, in the order of `scales`.
    scales
        Names of those numbers, and the scale on which intervals of each are symmetric.
    law
        The law from those numbers and the fixed ones.
    starts
        From the mean and the coefficient of variation of the amounts.
    bounds
        Range of the unconstrained parameters, after amounts are divided by their mean.
    counted
        How many parameters the data set: more than are climbed to where a minimum is the
        smallest amount.
    fixed
        Numbers of the law that are set, not climbed to.
    """

    kind: str
    log_density: Callable[[Floats, Floats], Floats]
    log_survival: Callable[[Floats, Floats], Floats]
    natural: Callable[[Floats], Floats]
    scales: dict[str, Scale]
    law: Callable[[dict[str, float]], AbstractLaw]
    starts: Callable[[float, float], list[list[float]]]
    bounds: list[tuple[float, float]]
    counted: int
    fixed: dict[str, float]


def made(kind: str, **numbers: Any) -> AbstractLaw:
    """Return the law of a kind."""
    return LAWS[kind](**numbers)


def _family(
    kind: str,
    density: Callable[[Floats, Floats], Floats],
    survival: Callable[[Floats, Floats], Floats],
    natural: Callable[[Floats], Floats],
    scales: dict[str, Scale],
    starts: Callable[[float, float], list[list[float]]],
    bounds: list[tuple[float, float]],
    **fixed: float,
) -> Family:
    return Family(
        kind=kind,
        log_density=density,
        log_survival=survival,
        natural=natural,
        scales=scales,
        law=lambda numbers: made(kind, **numbers),
        starts=starts,
        bounds=bounds,
        counted=len(bounds),
        fixed=fixed,
    )


def _log(probability: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.asarray(np.maximum(np.log(probability), _LOG_TINY))


def _spread_starts(mean: float, cv: float) -> list[list[float]]:
    return [
        [np.log(mean * share), np.log(np.clip(cv * times, 0.02, 10))]
        for share, times in ((1.0, 1.0), (0.4, 1.5))
    ]


def gamma() -> Family:
    """Return the gamma, parameters (log mean, log cv)."""

    def density(at: Floats, x: Floats) -> Floats:
        shape = np.exp(-2 * at[1])
        rate = shape * np.exp(-at[0])
        return np.asarray(
            shape * np.log(rate) - gammaln(shape) + (shape - 1) * np.log(x) - rate * x
        )

    def survival(at: Floats, x: Floats) -> Floats:
        shape = np.exp(-2 * at[1])
        return _log(gammaincc(shape, x * shape * np.exp(-at[0])))

    return _family(
        "gamma",
        density,
        survival,
        np.exp,
        {"mean": "log", "cv": "log"},
        _spread_starts,
        [(-12.0, 12.0), (_LOWEST_CV, _HIGHEST_CV)],
    )


def exponential() -> Family:
    """Return the exponential, parameter log mean: the gamma with a cv of 1."""

    def log_density(at: Floats, x: Floats) -> Floats:
        return np.asarray(-at[0] - x * np.exp(-at[0]))

    return Family(
        kind="exponential",
        log_density=log_density,
        log_survival=lambda at, x: np.asarray(-x * np.exp(-at[0])),
        natural=np.exp,
        scales={"mean": "log"},
        law=lambda numbers: made("gamma", cv=1.0, **numbers),
        starts=lambda mean, cv: [[np.log(mean)]],
        bounds=[(-12.0, 12.0)],
        counted=1,
        fixed={},
    )


def lognormal() -> Family:
    """Return the lognormal, parameters (mu, log sigma) of its logarithm."""

    def density(at: Floats, x: Floats) -> Floats:
        logs = np.log(x)
        score = (logs - at[0]) * np.exp(-at[1])
        return np.asarray(-0.5 * score**2 - at[1] - logs - 0.5 * np.log(2 * np.pi))

    def survival(at: Floats, x: Floats) -> Floats:
        with np.errstate(divide="ignore"):
            return np.asarray(log_ndtr((at[0] - np.log(x)) * np.exp(-at[1])))

    def natural(at: Floats) -> Floats:
        square = np.exp(2 * at[1])
        return np.array([np.exp(at[0] + square / 2), np.sqrt(np.expm1(square))])

    def starts(mean: float, cv: float) -> list[list[float]]:
        found = []
        for log_mean, log_cv in _spread_starts(mean, cv):
            square = np.log1p(np.exp(2 * log_cv))
            found.append([log_mean - square / 2, np.log(square) / 2])
        return found

    return _family(
        "lognormal",
        density,
        survival,
        natural,
        {"mean": "log", "cv": "log"},
        starts,
        [(-20.0, 12.0), (-9.0, 0.895)],
    )


def weibull() -> Family:
    """Return the Weibull, parameters (log scale, log shape)."""

    def survival(at: Floats, x: Floats) -> Floats:
        return np.asarray(-((x * np.exp(-at[0])) ** np.exp(at[1])))

    def density(at: Floats, x: Floats) -> Floats:
        with np.errstate(over="ignore"):
            power = (x * np.exp(-at[0])) ** np.exp(at[1])
        return np.asarray(at[1] + np.exp(at[1]) * (np.log(x) - at[0]) - np.log(x) - power)

    def natural(at: Floats) -> Floats:
        return np.array([np.exp(at[0] + gammaln(1 + np.exp(-at[1]))), np.exp(at[1])])

    return _family(
        "weibull",
        density,
        survival,
        natural,
        {"mean": "log", "shape": "log"},
        lambda mean, cv: [
            [np.log(mean), -np.log(np.clip(cv, 0.02, 10))],
            [np.log(mean / 2), np.log(0.6)],
        ],
        [(-12.0, 12.0), (-2.3, 4.6)],
    )


def generalised_gamma() -> Family:
    """Return the generalised gamma, parameters (mu, log sigma, q) of Prentice 1974.

    ``ln x = mu + sigma w``, ``w = ln(q^2 G) / q`` with G gamma of shape k = q^-2; then power =
    q / sigma. It passes smoothly through the lognormal at q = 0, where shape and power do not.
    """

    def parts(at: Floats, x: Floats) -> tuple[Floats, float, Floats]:
        with np.errstate(divide="ignore"):
            score = (np.log(x) - at[0]) * np.exp(-at[1])
        q = at[2] if abs(at[2]) > 1e-5 else 1e-5
        return score, float(q), np.minimum(q * score, 600.0)

    def density(at: Floats, x: Floats) -> Floats:
        score, q, v = parts(at, x)
        small = np.abs(v) < 1e-3
        # (e^v - 1 - v) / q^2, which is score^2 / 2 in the lognormal's limit
        bent = np.where(small, score**2 * (0.5 + v / 6 + v * v / 24), (np.expm1(v) - v) / (q * q))
        return np.asarray(_stirling(q) - at[1] - np.log(x) - bent)

    def survival(at: Floats, x: Floats) -> Floats:
        _, q, v = parts(at, x)
        shape = q**-2
        above = gammaincc(shape, shape * np.exp(v)) if q > 0 else gammainc(shape, shape * np.exp(v))
        return _log(above)

    def natural(at: Floats) -> Floats:
        sigma, q = np.exp(at[1]), at[2]
        shape, power = q**-2, q / sigma
        mean = at[0] + gammaln(shape + 1 / power) - gammaln(shape) - np.log(shape) / power
        return np.array([np.exp(mean), shape, power])

    def starts(mean: float, cv: float) -> list[list[float]]:
        square = np.log1p(np.clip(cv, 0.02, 10) ** 2)
        return [
            [np.log(mean) - square / 2, np.log(square) / 2, 0.5],
            [np.log(mean), np.log(np.clip(cv, 0.02, 3)), 1.2],
        ]

    return _family(
        "generalised-gamma",
        density,
        survival,
        natural,
        {"mean": "log", "shape": "log", "power": "log"},
        starts,
        # q below 0.03 is the lognormal: a shape of 1,000 and more
        [(-20.0, 12.0), (-9.0, 2.5), (0.03, 9.5)],
    )


def _stirling(q: float) -> float:
    """Return ln q + k ln k - k - ln G(k) with k = q^-2; -ln(2 pi) / 2 where q is small."""
    k = q**-2
    if k > 1e4:
        return float(-0.5 * np.log(2 * np.pi) - 1 / (12 * k))
    return float(np.log(abs(q)) + k * np.log(k) - k - gammaln(k))


def pareto(minimum: float, from_data: bool) -> Family:
    """Return the Pareto above a minimum, parameter log index: ``S(x) = (minimum / x)^index``."""

    def survival(at: Floats, x: Floats) -> Floats:
        return np.asarray(-np.exp(at[0]) * np.log(np.maximum(x, minimum) / minimum))

    def density(at: Floats, x: Floats) -> Floats:
        inside = survival(at, x) + at[0] - np.log(x)
        return np.where(x >= minimum, inside, -np.inf)

    return Family(
        kind="pareto",
        log_density=density,
        log_survival=survival,
        natural=np.exp,
        scales={"index": "log"},
        law=lambda numbers: made("pareto", **numbers),
        starts=lambda mean, cv: [[0.0]],
        bounds=[(-2.9, 6.9)],
        counted=2 if from_data else 1,
        fixed={"minimum": minimum},
    )


def generalised_pareto(minimum: float = 0.0) -> Family:
    """Return the generalised Pareto above a minimum, parameters (log scale, shape).

    A shape below -1/2 has no ordinary standard errors (Smith 1985): the edge.
    """

    def survival(at: Floats, x: Floats) -> Floats:
        scaled, shape = np.maximum(x - minimum, 0.0) * np.exp(-at[0]), at[1]
        if abs(shape) < 1e-9:
            return np.asarray(-scaled)
        with np.errstate(divide="ignore", invalid="ignore"):
            inside = np.log1p(shape * scaled)
        return np.where(shape * scaled > -1, -inside / shape, _LOG_TINY)

    def density(at: Floats, x: Floats) -> Floats:
        scaled, shape = (x - minimum) * np.exp(-at[0]), at[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            inside = np.log1p(shape * scaled)
        value = survival(at, x) - at[0] - inside
        return np.where((scaled >= 0) & (shape * scaled > -1), value, -np.inf)

    return _family(
        "generalised-pareto",
        density,
        survival,
        lambda at: np.array([np.exp(at[0]), at[1]]),
        {"scale": "log", "shape": "plain"},
        lambda mean, cv: [[np.log(mean), 0.1], [np.log(mean / 2), 0.5]],
        [(-14.0, 12.0), (-0.5, 5.0)],
        minimum=minimum,
    )


def spliced(body: Family, threshold: float) -> Family:
    """Return a body below a threshold with a generalised Pareto above it.

    Parameters (logit of the share above, those of the body, log scale, shape). The body's density
    is divided by its share below the threshold: ``f = (1 - p) f_body / F_body(u)`` for x <= u.
    """
    tail = generalised_pareto(threshold)
    edge = np.array([threshold])

    def split(at: Floats) -> tuple[float, float, Floats, Floats, float]:
        above, below = -np.logaddexp(0.0, -at[0]), -np.logaddexp(0.0, at[0])
        share = -np.expm1(body.log_survival(at[1:-2], edge)[0])
        return float(above), float(below), at[1:-2], at[-2:], float(share)

    def density(at: Floats, x: Floats) -> Floats:
        above, below, body_at, tail_at, share = split(at)
        if share <= 0:
            return np.full(x.shape, -np.inf)
        with np.errstate(invalid="ignore"):
            return np.where(
                x > threshold,
                above + tail.log_density(tail_at, np.maximum(x, threshold)),
                below + body.log_density(body_at, x) - np.log(share),
            )

    def survival(at: Floats, x: Floats) -> Floats:
        above, below, body_at, tail_at, share = split(at)
        under = -np.expm1(body.log_survival(body_at, np.minimum(x, threshold)))
        left = _log(np.exp(above) + np.exp(below) * np.maximum(1 - under / max(share, 1e-300), 0))
        return np.where(x > threshold, above + tail.log_survival(tail_at, x), left)

    def natural(at: Floats) -> Floats:
        share = 1 / (1 + np.exp(-at[0]))
        return np.concatenate([[share], body.natural(at[1:-2]), tail.natural(at[-2:])])

    def law(numbers: dict[str, float]) -> AbstractLaw:
        inner = {name: numbers[f"body.{name}"] for name in body.scales}
        over = {name: numbers[f"tail.{name}"] for name in tail.scales}
        return made(
            "spliced",
            body=body.law(inner),
            tail=tail.law({"minimum": numbers["threshold"], **over}),
            threshold=numbers["threshold"],
            tail_share=numbers["tail_share"],
        )

    scales: dict[str, Scale] = {"tail_share": "logit"}
    scales.update({f"body.{name}": scale for name, scale in body.scales.items()})
    scales.update({f"tail.{name}": scale for name, scale in tail.scales.items()})
    return Family(
        kind=f"spliced-{body.kind}",
        log_density=density,
        log_survival=survival,
        natural=natural,
        scales=scales,
        law=law,
        starts=lambda mean, cv: [
            [-2.0, *first, *second]
            for first in body.starts(min(mean, threshold), min(cv, 1.0))
            for second in tail.starts(max(mean, threshold), cv)[:1]
        ],
        bounds=[(-12.0, 12.0), *body.bounds, *tail.bounds],
        counted=len(body.bounds) + 3,
        fixed={"threshold": threshold},
    )
