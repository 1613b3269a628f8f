"""A fit as lines of a case file: the law of chance in mean-1 form, and its errors as drivers.

The last step of fitting. How well mean and dispersion are known becomes two drivers that are
drawn once for all years (``process = "constant"``) and marked as uncertainty of parameters, with
the correlation of the two errors between them.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from riskshare.errors import ArgumentError
from riskshare.fitting.activity import ActivityFit
from riskshare.fitting.annual import AnnualLevel
from riskshare.fitting.conversion import annual_overdispersion, driver_sd
from riskshare.fitting.estimates import Estimate, LevelAndDispersion
from riskshare.fitting.maximum import MEANINGS, Status
from riskshare.laws.marginal import AbstractLaw
from riskshare.parameters import fields_of

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_MONEY = ("mean", "scale", "minimum", "threshold")
_WIDEST = 2.0  # the largest sd of a driver


def law_table(law: AbstractLaw, unit: float = 1.0) -> str:
    """Return a law as an inline table, its money divided by a unit.

    Examples
    --------
    >>> from riskshare.laws.marginal import Gamma
    >>> law_table(Gamma(mean=250.0, cv=1.5), unit=250.0)
    '{ kind = "gamma", mean = 1.0, cv = 1.5 }'
    """
    cells = [f'kind = "{law.kind}"']
    for place in fields_of(type(law)):
        value = getattr(law, place.name)
        if value is None:
            continue
        if isinstance(value, AbstractLaw):
            cells.append(f"{place.name} = {law_table(value, unit)}")
        else:
            cells.append(f"{place.name} = {_number(value / (unit if place.name in _MONEY else 1))}")
    return "{ " + ", ".join(cells) + " }"


def amount_lines(
    kind: str,
    law: AbstractLaw,
    parameters: Sequence[Estimate],
    level: LevelAndDispersion,
    name: str,
    use: Literal["severity", "unit_cost"],
) -> str:
    """Return the lines of a law of amounts: see `SeverityFit.case_lines`."""
    if use not in ("severity", "unit_cost"):
        raise ArgumentError(f"use: {use!r}; give 'severity' or 'unit_cost'")
    _check_known(kind, level)
    if use == "severity":
        _check_spread(kind, law)
    told = f"# {kind}: {_told(parameters)}"
    if use == "severity":
        mean = _number(np.exp(level.log_mean))
        head = [
            told,
            "# The line's activity counts people or claims, with noise of law poisson or",
            f"# negative-binomial, and unit_cost = {mean} is the mean of one.",
            f"[lines.{_key(name)}.people]",
            f"law = {law_table(law)}",
        ]
        return _joined(head, _errors(name, level, "unit_cost", dispersed=False))
    head = [told, f"[lines.{_key(name)}.unit_cost_noise]"]
    plain = kind in ("gamma", "lognormal")
    if plain:
        cv = next(found.value for found in parameters if found.name == "cv")
        head += [f'law = "{kind}"', f"cv = {_number(cv)}", *_dispersed(name, level)]
    else:
        head.append(f"law = {law_table(law, float(np.exp(level.log_mean)))}")
    return _joined(head, _errors(name, level, "unit_cost", dispersed=plain))


def count_lines(
    kind: str,
    overdispersion: float | None,
    zeros: float | None,
    parameters: Sequence[Estimate],
    level: LevelAndDispersion,
    name: str,
) -> str:
    """Return the lines of a law of annual counts: see `CountFit.case_lines`."""
    _check_known(kind, level)
    head = [
        f"# {kind}: {_told(parameters)}",
        f"[lines.{_key(name)}.noise]",
        *_plain_noise(name, overdispersion, level),
    ]
    if zeros is not None:
        head.append(f"zeros = {_number(zeros)}")
    return _joined(head, _errors(name, level, "activity", dispersed=overdispersion is not None))


def activity_lines(fit: ActivityFit, name: str) -> str:
    """Return the lines of a monthly series: a year's chance, and how well its level is known.

    The error of the coming year's log mean is ``sqrt((c + 1/M) / y + (h se(trend))^2)``: chance of
    the y years that were averaged (M units a year each) and the trend carried ``h = y/2 + 1/2``
    years, from the middle of the series to the middle of the year after it.

    Parameters
    ----------
    fit
        From `riskshare.fitting.fit_activity`.
    name
        The line's name.
    """
    memory = max(fit.residuals.autocorrelation, 0.0)
    chance = max(annual_overdispersion(fit.fitted[-12:], fit.overdispersion, memory), 0.0)
    years = fit.months.size / 12
    own = (chance + 1 / (12 * fit.mean)) / years
    carried = ((years + 1) / 2 * fit.trend_standard_error_autocorrelated) ** 2
    known = fit.overdispersion > 0
    spread = fit.overdispersion_standard_error / fit.overdispersion / 2 if known else np.nan
    level = LevelAndDispersion(
        float(np.log(12 * fit.mean)),
        float(np.log(chance) / 2) if chance > 0 else np.nan,
        np.diag([own + carried, spread**2]),
    )
    trend = f"# trend {fit.trend:+.2%} a year ({fit.trend_standard_error_autocorrelated:.2%})"
    monthly = f"monthly c {fit.overdispersion:.3g} ({fit.overdispersion_standard_error:.2g})"
    head = [
        f"{trend}, {monthly}, memory {memory:.2f}; standard errors in brackets",
        f"[lines.{_key(name)}.noise]",
        *_plain_noise(name, chance if chance > 0 else None, level),
    ]
    return _joined(head, _errors(name, level, "activity", dispersed=chance > 0))


def annual_lines(level: AnnualLevel, line_overdispersion: float, name: str) -> str:
    """Return the driver of the annual level error that a panel shows, less the line's own noise.

    Parameters
    ----------
    level
        From `riskshare.fitting.fit_annual_level`.
    line_overdispersion
        Of a typical line's year, as `riskshare.fitting.annual_overdispersion` returns it.
    name
        The driver's name.
    """
    shared = driver_sd(level.pooled_sd, line_overdispersion)
    head = [
        f"# spread of annual growth over {level.organisations} organisations: "
        f"{level.pooled_sd:.2%} ({level.pooled_sd_standard_error:.2%}), less a line's own noise",
        f"[drivers.{_key(name)}]",
        'acts_on = "activity"',
        'law = "lognormal"',
        f"sd = {_number(shared)}",
        'centre = "mean"',
        'process = "random-walk"',
    ]
    return _joined(head, [])


def _plain_noise(name: str, overdispersion: float | None, level: LevelAndDispersion) -> list[str]:
    if overdispersion is None:
        return ['law = "poisson"']
    number = f"overdispersion = {_number(overdispersion)}"
    return ['law = "negative-binomial"', number, *_dispersed(name, level)]


def _dispersed(name: str, level: LevelAndDispersion) -> list[str]:
    """Return the line of a noise that names the driver of its dispersion's error."""
    known = np.isfinite(level.standard_errors[1]) and level.standard_errors[1] > 0
    return [f"dispersion = {{ {_key(f'{name}-dispersion-error')} = 1.0 }}"] if known else []


def _errors(
    name: str,
    level: LevelAndDispersion,
    acts_on: Literal["activity", "unit_cost"],
    dispersed: bool,
) -> list[str]:
    """Return the drivers of the errors of log mean and log cv, with the loading of the line."""
    mean_error, spread_error = level.standard_errors
    first = f"{name}-mean-error"
    drivers: dict[str, tuple[str, float, str]] = {first: (acts_on, mean_error, "mean")}
    if dispersed and _dispersed(name, level):
        second = min(spread_error, _WIDEST)
        drivers[f"{name}-dispersion-error"] = ("dispersion", second, "median")
    lines = [
        "",
        "# How well that is known. A line that has loadings already takes this one among them, and",
        "# a noise or people of its own make way for those above.",
        f"[lines.{_key(name)}.loadings]",
        f"{_key(first)} = 1.0",
    ]
    for driver, (acts, spread, centre) in drivers.items():
        lines += [
            "",
            f"[drivers.{_key(driver)}]",
            f'acts_on = "{acts}"',
            'law = "lognormal"',
            f"sd = {_number(spread)}",
            f'centre = "{centre}"',
            'process = "constant"',
            'uncertainty = "parameter"',
        ]
    correlation = level.correlation if len(drivers) == 2 else 0.0
    if abs(correlation) >= 5e-4:
        between = ", ".join(json.dumps(driver) for driver in drivers)
        lines += ["", "[[correlations]]", f"between = [{between}]"]
        lines.append(f"value = {_number(round(correlation, 3))}")
    return lines


def check_status(kind: str, status: Status) -> None:
    """Refuse a fit that did not converge: its errors are not known."""
    if status != "converged":
        raise ArgumentError(
            f"{kind}: status {status!r}, {MEANINGS[status]}; give lines of another law"
        )


def _check_spread(kind: str, law: AbstractLaw) -> None:
    """Refuse a law of people whose standard deviation is infinite, as a case would."""
    if not np.isfinite(law.standard_deviation()):
        raise ArgumentError(
            f"{kind}: the standard deviation of the fitted law is infinite, so the total of many "
            "people has no law to tabulate; splice the tail at a threshold (--threshold), or take "
            "another of the laws above (--kinds)"
        )


def _check_known(kind: str, level: LevelAndDispersion) -> None:
    """Refuse a law whose lines would hold numbers that nobody knows."""
    if not np.isfinite(level.log_mean):
        raise ArgumentError(
            f"{kind}: the mean of the fitted law is infinite, so no case can hold it; cap the "
            "amounts (censored_above) or splice the tail at a higher threshold"
        )
    if level.standard_errors[0] > _WIDEST:
        raise ArgumentError(
            f"{kind}: the logarithm of the mean has a standard error of "
            f"{level.standard_errors[0]:.3g}, so the data do not say the mean; use more data, or "
            "weigh it with a prior (posterior_log_mean)"
        )


def _told(parameters: Sequence[Estimate]) -> str:
    """Return parameters with their errors in brackets."""
    return ", ".join(
        f"{found.name} {found.value:.6g}"
        + (f" ({found.standard_error:.3g})" if np.isfinite(found.standard_error) else "")
        for found in parameters
    )


def _joined(head: Sequence[str], rest: Sequence[str]) -> str:
    return "\n".join([*head, *rest]) + "\n"


def _number(value: Any) -> str:
    """Return six significant digits, which standard errors never reach, as a TOML float."""
    return repr(float(f"{float(value):.6g}"))


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name)
