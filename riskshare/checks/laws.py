"""Checks of laws: of indices, of chance, of people."""

from typing import TYPE_CHECKING

import numpy as np

from riskshare.checks.dependence import check_student_factors, score_matrix
from riskshare.checks.given import SUM_TOLERANCE, Findings
from riskshare.laws.dependence import score_correlations
from riskshare.laws.indices import LawMap
from riskshare.laws.marginal import AbstractLaw
from riskshare.laws.nearest import Floats
from riskshare.names import delay_name, delivery_name, members_name
from riskshare.parameters import declaration_of, expand
from riskshare.system import AbstractIndex, Delay, Line, Noise

if TYPE_CHECKING:
    from riskshare.case import Case


def check_numbers(law: AbstractLaw, path: str, found: Findings) -> None:
    """Check the numbers of a law together; a law that cannot be is no law to work with."""
    if found.clean(path):
        for field, message in law.problems():
            found.add(f"{path}.{field}" if field else path, message)


def check_law(index: AbstractIndex, path: str, found: Findings) -> None:
    """Check the law of an index and how it moves through the years."""
    if isinstance(index.law, AbstractLaw):
        _check_own_law(index, path, found)
    if index.sd is not None and index.interval is not None:
        found.add(path, "has both sd and interval; give one of them")
    if index.sd is not None and index.law is None:
        found.add(f"{path}.law", "missing; accepted with sd: normal, lognormal")
    if index.sd is not None and index.law == "lognormal" and index.centre is None:
        found.add(
            f"{path}.centre",
            "missing; accepted: mean, median (with median, a lognormal index of sd 0.10 raises the "
            "mean by 0.5 %)",
        )
    if index.interval is not None:
        if index.value is not None or index.centre is not None:
            found.add(path, "an interval is the whole belief; leave value and centre out")
        low, high = index.interval
        if not low < high:
            found.add(
                f"{path}.interval", f"found [{low:g}, {high:g}]; accepted: 10 % point < 90 % point"
            )
        if index.law == "lognormal" and low <= 0:
            found.add(f"{path}.interval", f"found {low:g}; accepted for a lognormal: above 0")
        if not isinstance(index, Delay) and low < 0:
            found.add(f"{path}.interval", f"found {low:g}; accepted: 0 or more")
        if not isinstance(index, Delay):
            _ask_percent(low, f"{path}.interval", found)
        if not isinstance(index, Delay) and high <= 0:
            found.add(f"{path}.interval", "the 90 % point is not above 0: the index would be 0")
    at = index.value if index.value is not None or not isinstance(index, Delay) else 0
    if index.law == "lognormal" and index.sd is not None and at == 0:
        found.add(f"{path}.value", "is 0; a lognormal index is above 0: give its value")
    if (index.process == "ar1") != (index.persistence is not None):
        found.add(
            f"{path}.persistence", 'goes with process = "ar1", and it needs one, from -1 to 1'
        )
    if isinstance(index, Delay) and index.process == "random-walk":
        found.add(f"{path}.process", "found random-walk; accepted for a delay: constant, ar1")


def _check_own_law(index: AbstractIndex, path: str, found: Findings) -> None:
    for name in ("sd", "centre", "interval", "value"):
        if getattr(index, name) is not None:
            found.add(f"{path}.{name}", "the law has numbers of its own; leave it out")
    assert isinstance(index.law, AbstractLaw)
    check_numbers(index.law, f"{path}.law", found)
    if not found.clean(f"{path}.law"):
        return
    mean = LawMap(index.law).mean()
    if not np.isfinite(mean):
        found.add(
            f"{path}.law",
            "its mean is infinite, so nothing has an expected value; give a lighter tail",
        )
    elif mean <= 0 and not isinstance(index, Delay):
        found.add(f"{path}.law", "is never above 0: the index would be 0")
    elif not isinstance(index, Delay):
        _ask_percent(mean, f"{path}.law", found)


_PERCENT = 20.0


def _ask_percent(value: float, path: str, found: Findings) -> None:
    """Ask whether an index about 100 is meant about 1."""
    if value > _PERCENT:
        found.add(
            path,
            f"found an index about {value:g}; 1 is plan: did you mean {value / 100:g}?",
        )


def _check_positive(law: AbstractLaw, path: str, found: Findings) -> None:
    """Chance multiplies a mean: a law of its own is scaled to mean 1 and never negative."""
    if not found.clean(path):
        return
    mean = law.expectation()
    if not np.isfinite(mean):
        found.add(path, "its mean is infinite, and it is scaled to mean 1; give a lighter tail")
    elif mean <= 0 or float(law.distribution(np.array(-1e-12 * max(mean, 1e-300)))) > 0:
        found.add(path, "takes values below 0; accepted: laws of positive values, mean above 0")
    else:
        _check_tail(law, path, found)


def _check_tail(law: AbstractLaw, path: str, found: Findings) -> None:
    """Check that what lies beyond the farthest score drawn is no part of the mean."""
    far = law.at(np.array(_FARTHEST))
    lost = 1 - float(law.limited_mean(far)) / law.expectation()
    if lost > _LOST:
        found.add(
            path,
            f"{100 * lost:.2g} % of its mean lies beyond a chance of 1.5e-10, which is never "
            "drawn; give a lighter tail",
        )


def check_power(index: AbstractIndex, power: float, path: str, found: Findings) -> None:
    """Check that an index with a law of its own has a mean to the power of a loading."""
    assert isinstance(index.law, AbstractLaw)
    if not found.problems:
        try:
            LawMap(index.law).power_mean(power)
        except ValueError as error:
            found.add(path, str(error))


def _check_dispersion(case: "Case", noise: Noise, path: str, found: Findings) -> None:
    powers = expand(noise.dispersion, declaration_of(Noise, "dispersion"), case.labels())
    for driver, power in zip(case.drivers, powers, strict=True):
        if power and driver.acts_on in ("funding", "chance"):
            found.add(
                f"{path}[{driver.name}]",
                f"that driver acts on {driver.acts_on}; accepted: drivers of dispersion, activity, "
                "case_mix or unit_cost",
            )


_ACTS = {"noise": "activity", "unit_cost_noise": "unit_cost", "case_mix_noise": "case_mix"}


def _check_apart(
    case: "Case", line: Line, noise: Noise, name: str, path: str, found: Findings
) -> None:
    """Check that nothing that moves a line goes with its chance: the mean would move."""
    loadings = expand(line.loadings, declaration_of(Line, "loadings"), case.labels())
    factors = expand(noise.factors, declaration_of(Noise, "factors"), case.labels())
    powers = expand(noise.dispersion, declaration_of(Noise, "dispersion"), case.labels())
    for driver, loading, factor, power in zip(case.drivers, loadings, factors, powers, strict=True):
        if factor and ((loading and driver.acts_on == _ACTS[name]) or power):
            what = "spreads" if power else "moves"
            found.add(
                f"{path}.factors[{driver.name}]",
                f"that driver {what} the line too, and chance would no longer have mean 1; couple "
                'it through a driver that acts_on = "chance", correlated with nothing that moves '
                "the line",
            )
    if not found.clean(path):
        return
    at = f"{path}.factors"
    if noise.with_activity and line.noise is not None:
        at = f"{path}.with_activity"
        factors = expand(line.noise.factors, declaration_of(Noise, "factors"), case.labels())
    names, matrix = list(case.indices()), score_matrix(case)
    moving = {driver.name for driver, power in zip(case.drivers, powers, strict=True) if power}
    moving |= _moving(case, line, loadings, _ACTS[name])
    # each by itself: what cancels in one year need not in the next
    for factor in np.flatnonzero(factors):  # drivers come first among the names
        for index, correlation in zip(names, matrix[factor], strict=True):
            if index in moving and abs(correlation) > _ROUNDING:
                found.add(
                    at,
                    f"{names[factor]!r} is correlated {correlation:.2g} with {index!r}, which "
                    "moves the line too, and chance would no longer have mean 1; leave that "
                    "correlation out, or let what they have in common be a driver that the line "
                    "loads on",
                )


def _moving(case: "Case", line: Line, loadings: Floats, acts_on: str) -> set[str]:
    """Return the indices that move what a line's chance multiplies."""
    moving = {
        driver.name
        for driver, loading in zip(case.drivers, loadings, strict=True)
        if loading and driver.acts_on == acts_on
    }
    if acts_on == "activity":
        if line.exposure is not None:
            moving.add(members_name(line.exposure))
        for change in case.changes:
            if line.name in (change.source, change.destination):
                moving |= {delivery_name(change.name), delay_name(change.name)}
    return moving


_ROUNDING = 1e-9

_FARTHEST = 6.3
_LOST = 1e-3


def _check_people(line: Line, path: str, found: Findings) -> None:
    people = line.people
    assert people is not None
    check_numbers(people.law, f"{path}.people.law", found)
    _check_positive(people.law, f"{path}.people.law", found)
    if line.noise is None or line.noise.law not in ("poisson", "negative-binomial"):
        found.add(
            f"{path}.people",
            "counts people one by one; give the line noise of law poisson or negative-binomial",
        )
    if line.unit_cost_noise is not None:
        found.add(f"{path}.unit_cost_noise", "the cost of people is the noise of unit cost")
    if not line.unit_cost:
        found.add(f"{path}.unit_cost", "is 0; it is the mean cost of one person")
    if found.clean(f"{path}.people") and not np.isfinite(people.law.standard_deviation()):
        found.add(
            f"{path}.people.law",
            "its standard deviation is infinite, so the total of many has no law to tabulate; give "
            "a lighter tail",
        )


def check_chance(case: "Case", line: Line, path: str, found: Findings) -> None:
    """Check the chance of a line: of activity, unit cost and case mix, of people, its capacity."""
    for name in ("noise", "unit_cost_noise", "case_mix_noise"):
        noise, at = getattr(line, name), f"{path}.{name}"
        if noise is None or not found.clean(at):
            continue
        found.attempt(_check_noise, noise, at, name == "noise")
        if noise.with_activity and line.noise is None:
            found.add(f"{at}.with_activity", "the line's activity has no noise to go with")
        if noise.dispersion:
            found.attempt(_check_dispersion, case, noise, f"{at}.dispersion")
        if noise.factors and found.clean(at):
            found.attempt(_check_factors, case, noise, f"{at}.factors")
        along = noise.with_activity and line.noise is not None and line.noise.factors
        if (noise.factors or along) and found.clean(at):
            found.attempt(_check_apart, case, line, noise, name, at)
    if line.people is not None and found.clean(f"{path}.people"):
        found.attempt(_check_people, line, path)


def _check_noise(noise: Noise, path: str, activity: bool, found: Findings) -> None:
    counts, own = noise.law in ("poisson", "negative-binomial"), isinstance(noise.law, AbstractLaw)
    if counts and not activity:
        found.add(
            f"{path}.law", f"found {noise.law!r}; accepted: gamma, lognormal, or a law of its own"
        )
    if (noise.law == "negative-binomial") != (noise.overdispersion is not None):
        found.add(f"{path}.overdispersion", 'goes with law = "negative-binomial", and it needs one')
    if (counts or own) == (noise.cv is not None):
        found.add(f"{path}.cv", "goes with gamma and lognormal laws, and they need one")
    if isinstance(noise.law, AbstractLaw):
        check_numbers(noise.law, f"{path}.law", found)
        _check_positive(noise.law, f"{path}.law", found)
    if noise.with_activity and activity:
        found.add(f"{path}.with_activity", "goes with unit cost and case mix")
    if noise.with_activity and noise.factors:
        found.add(f"{path}.with_activity", "follows the activity's score; give that the factors")
    if noise.dispersion and (own or noise.law == "poisson"):
        found.add(f"{path}.dispersion", "goes with negative-binomial, gamma and lognormal laws")


def _check_factors(case: "Case", noise: Noise, path: str, found: Findings) -> None:
    known = [driver.name for driver in case.drivers]
    for driver in case.drivers:
        given = noise.factors.get(driver.name) if hasattr(noise.factors, "get") else noise.factors
        if given and driver.certain:
            found.add(f"{path}[{driver.name}]", "that driver has no law, so nothing to share")
    weights = expand(noise.factors, declaration_of(Noise, "factors"), case.labels())
    positions = [known.index(n) if n in known else -1 for n in case.indices()]
    picked = [i for i, position in enumerate(positions) if position >= 0]
    processes = [index.process for index in case.indices().values()]
    persistence = [float(index.persistence or 0.0) for index in case.indices().values()]
    matrix = score_correlations(processes, persistence, len(case.years), score_matrix(case))
    matrix = matrix[:, picked][:, :, picked]
    explained = float(np.max(np.einsum("d,yde,e->y", weights, matrix, weights)))
    if explained > 1 + SUM_TOLERANCE:
        found.add(
            path, f"explain {explained:.4g} of the variance of the score; accepted: at most 1"
        )
    check_student_factors(case, weights, path, found)
