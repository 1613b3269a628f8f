"""Influence: who bears what of each driver, against who controls it.

The principle is that risk should sit with those who can influence it. What each partner bears of
each driver comes from the Shapley split of positions (`riskshare.analysis.split`); who controls it
is what the case states.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.analysis.allocation import Total, jackknife, jackknife_error
from riskshare.analysis.coalitions import CHANCE, Coalitions, Player, players_of
from riskshare.analysis.shares import levels_of
from riskshare.analysis.split import orders_of, play_all, refuse_parts, still_position
from riskshare.bind import Bound
from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.names import (
    ALL_YEARS,
    DRIVER,
    LEVEL,
    PARTNER,
    YEAR,
    delay_name,
    delivery_name,
    quality_name,
)
from riskshare.outcomes import attributes
from riskshare.run.batch import over_parameters
from riskshare.run.sampling import REPLICATES, sampling_of
from riskshare.run.simulate import refuse_persons
from riskshare.statistics import Floats


class _Moments(NamedTuple):
    """What the shares are made of, in each replicate; the year has all years as one more."""

    absolute: Floats
    """(driver, year, partner, replicate): mean of the absolute effect, of partners of the system"""
    product: Floats
    """(driver, year, partner, replicate): covariance of the effect with the system's position"""
    beyond: Floats
    """(level, driver, year, partner, replicate): mean shortfall of the effect in the tail"""
    variance: Floats
    """(driver, year, replicate): Shapley value of the system's variance"""


def influence(
    case: Case,
    *,
    samples: int = 16_384,
    seed: int = 1,
    replicates: int = REPLICATES,
    levels: Sequence[float] = (0.95,),
    permutations: int | None = None,
    parameters: Mapping[str, Any] | None = None,
    workers: int | None = None,
) -> xr.Dataset:
    """Say who bears what of each driver, who controls it, and how well the two agree.

    With effect_id what driver d does to the position of partner i (`riskshare.attribute`), over all
    partners of the system::

        borne      s_id = E|effect_id| / sum over i of E|effect_id|
        controlled b_id = influence_id + key_i (1 - sum over j of influence_jd)
        weight     omega_d: Shapley share of d in the variance of the system's position
        alignment  1 - 1/2 sum over d of omega_d sum over i of |s_id - b_id|

    1 is aligned: every driver is borne by those who control it. 0 is the opposite: each is borne by
    those who control nothing of it. The weight is the Shapley value of the game whose value is the
    variance of the system's position with the drivers in a coalition as drawn and the others at
    plan. Influence is what the case states of drivers, members and deliveries; a delay goes with
    its delivery, a quality score is the partner's own, and chance goes by the residual key.

    Beside it stands what each partner bears by Euler's rule: ``variance_borne`` is
    ``cov(effect_id, system) / var(system)``, ``tail_borne`` the share of
    ``-E[effect_id - E effect_id | system in its worst 1 - q]``. Both sum to 1 over drivers and
    partners; a part below 0 makes the system safer.

    Parameters
    ----------
    case
        The case; its drivers say who influences them, ``residual_key`` who bears the rest.
    samples, seed, replicates, workers
        As in `riskshare.simulate`. There are as many runs as coalitions of drivers.
    levels
        Confidences of the tail, above 0 and below 1.
    permutations
        As in `riskshare.attribute`.
    parameters
        Numbers of the case by path, in place of its own, as in `riskshare.simulate`: an array with
        a named dimension becomes a dimension of the result.

    Returns
    -------
    xarray.Dataset
        ``alignment`` on (year); ``misalignment`` on (driver, year), whose sum over drivers is
        1 - alignment; ``weight`` on (driver, year); ``borne`` on (driver, year, partner),
        ``controlled`` on (driver, partner); ``effect_mean_absolute`` on (driver, year, partner),
        money; ``partner_borne`` on (year, partner), the sum of weight x borne over drivers, and
        ``partner_controlled`` likewise; ``variance_borne`` on (driver, year, partner),
        ``tail_borne`` on (level, driver, year, partner). All but ``controlled`` with
        ``<name>_error``, a jackknife over replicates. ``year`` holds ``all``; ``partner`` those of
        the system.

    Raises
    ------
    ArgumentError
        Where the case does not say who controls a driver, and has no residual key.

    Examples
    --------
    >>> import riskshare as rs
    >>> found = rs.influence(rs.load_case("mid-nottinghamshire-msk"), samples=4096)
    >>> 0 < float(found.alignment.sel(year="all")) < 1
    True

    See Also
    --------
    riskshare.attribute : What each driver does to each position.
    """
    confidences = levels_of(levels)

    def one(at: Case, bound: Bound, place: Mapping[str, int]) -> xr.Dataset:
        del place
        refuse_persons(bound)
        sampling = sampling_of(samples, seed, "sobol", replicates)
        players = players_of(at, bound)
        controlled = controlled_by(at, bound, players)
        orders = orders_of(permutations, len(players))
        refuse_parts(bound, sampling, len(players))
        coalitions = Coalitions(at, bound, players, sampling, workers)
        moments = _moments(at, coalitions, orders, confidences)
        found = _dataset(at, players, controlled, confidences, moments)
        attrs = attributes(at, "float32") | sampling.attributes(samples)
        return found.assign_attrs(attrs | {"permutations": orders})

    return over_parameters(case, parameters, one)


def controlled_by(case: Case, bound: Bound, players: Sequence[Player]) -> Floats:
    """Return what each partner of the system controls of each driver, (driver, partner).

    Raises
    ------
    ArgumentError
        Where rows do not sum to one, naming the drivers.
    """
    partners = list(case.labels()[PARTNER])
    world, structure = bound.numbers.world, bound.structure
    indices = list(case.indices())
    stated = structure.drivers + structure.populations + structure.changes
    known = dict(zip(indices[:stated], np.asarray(world.influence).T, strict=True))
    for change in case.changes:
        if change.delay is not None:
            known[delay_name(change.name)] = known[delivery_name(change.name)]
    for place, partner in enumerate(partners):
        known[quality_name(partner)] = np.eye(len(partners))[place]
    known[CHANCE] = np.asarray(world.residual_key)
    rows = np.array([known[player.name] for player in players]).reshape(-1, len(partners))
    loose = [p.name for p, row in zip(players, rows, strict=True) if abs(row.sum() - 1) > 1e-6]
    if loose or not players:
        what = ", ".join(loose) if loose else "anything: nothing varies in it"
        raise ArgumentError(
            f"the case does not say who controls {what}; accepted: influence on each driver, "
            "population and delivery, and residual_key, who bears what nobody controls (such as "
            f"residual_key = {{ {partners[0]} = 1.0 }})"
        )
    return rows[:, _inside(case)]


def _inside(case: Case) -> NDArray[np.bool_]:
    return np.array([partner.kind != "external" for partner in case.partners])


def _moments(
    case: Case,
    coalitions: Coalitions,
    orders: int,
    levels: Sequence[float],
) -> _Moments:
    inside = _inside(case)
    everyone = np.ones((1, len(coalitions.players)), bool)
    position = next(coalitions.play([everyone]))

    def spread(positions: Floats) -> Floats:
        """Variance of the system's position in each replicate, (year, replicate, 1)."""
        return np.asarray(_with_all(positions[:, inside].sum(1)).var(-1)[..., None])

    still = still_position(coalitions)
    shares = play_all(coalitions, still, position, orders, spread)
    system = _with_all(position[:, inside].sum(1))
    gaps = system - system.mean((-2, -1), keepdims=True)
    totals = [Total(of_year, levels) for of_year in gaps]
    absolute, product, beyond = [], [], []
    for effect in shares.shapley[0]:
        own = _with_all(effect[:, inside]).swapaxes(0, 1)  # partner, year, replicate, sample
        own_gaps = own - own.mean((-2, -1), keepdims=True)
        absolute.append(np.abs(own).mean(-1))
        product.append((own_gaps * gaps).mean(-1))
        tails = [total.tails(own_gaps[:, year]) for year, total in enumerate(totals)]
        beyond.append(np.stack(tails, axis=1))  # level, year, partner, replicate
    return _Moments(
        np.stack(absolute).swapaxes(1, 2),
        np.stack(product).swapaxes(1, 2),
        np.stack(beyond, axis=1),
        shares.shapley[1][..., 0],
    )


def _with_all(values: Floats) -> Floats:
    """Return values by year, the first axis, with their sum over years as one more."""
    return np.concatenate([values, values.sum(0, keepdims=True)])


def _statistics(moments: Mapping[str, Floats], controlled: Floats) -> dict[str, Floats]:
    """Return every share from the means of moments over replicates; trailing axes are kept.

    Moments have the driver first (after the level), then year and partner.
    """
    extra = moments["variance"].ndim - 2
    own = controlled.reshape(len(controlled), 1, -1, *[1] * extra)
    absolute = moments["absolute"]
    total = absolute.sum(2, keepdims=True)
    nobody = total <= 0
    # what moves nobody is borne by nobody: it has no weight either
    borne = np.where(nobody, own, absolute / np.where(nobody, 1, total))
    variance = moments["variance"]
    weight = variance / _some(variance.sum(0))
    product, beyond = moments["product"], moments["beyond"]
    apart = 0.5 * weight * np.abs(borne - own).sum(2)
    return {
        "alignment": 1 - apart.sum(0),
        "misalignment": apart,
        "weight": weight,
        "borne": borne,
        "effect_mean_absolute": absolute,
        "partner_borne": (weight[:, :, None] * borne).sum(0),
        "partner_controlled": (weight[:, :, None] * own).sum(0),
        "variance_borne": product / _some(product.sum((0, 2)))[None, :, None],
        "tail_borne": beyond / _some(beyond.sum((1, 3)))[:, None, :, None],
    }


def _some(total: Floats) -> Floats:
    """Return what shares are divided by: NaN where there is nothing to share."""
    return np.where(total != 0, total, np.nan)


_DIMS = {
    "alignment": (YEAR,),
    "misalignment": (DRIVER, YEAR),
    "weight": (DRIVER, YEAR),
    "borne": (DRIVER, YEAR, PARTNER),
    "effect_mean_absolute": (DRIVER, YEAR, PARTNER),
    "partner_borne": (YEAR, PARTNER),
    "partner_controlled": (YEAR, PARTNER),
    "variance_borne": (DRIVER, YEAR, PARTNER),
    "tail_borne": (LEVEL, DRIVER, YEAR, PARTNER),
}

_LONG_NAMES = {
    "alignment": "how far risk sits with influence, 1 = wholly",
    "misalignment": "what a driver takes off alignment",
    "weight": "Shapley share of the system's variance",
    "borne": "share of a driver's absolute effect",
    "controlled": "share of a driver that a partner controls, or bears as nobody does",
    "effect_mean_absolute": "mean absolute effect of a driver on a position",
    "partner_borne": "share of all drivers borne, by their weight",
    "partner_controlled": "share of all drivers controlled, by their weight",
    "variance_borne": "part of the system's variance",
    "tail_borne": "part of the system's tail below its mean",
}


def _dataset(
    case: Case,
    players: Sequence[Player],
    controlled: Floats,
    levels: Sequence[float],
    moments: _Moments,
) -> xr.Dataset:
    by_name = moments._asdict()
    values = _statistics({name: part.mean(-1) for name, part in by_name.items()}, controlled)
    without = _statistics(jackknife(by_name), controlled)
    variables: dict[str, Any] = {}
    for name, dims in _DIMS.items():
        variables[name] = (dims, values[name])
        variables[f"{name}_error"] = (dims, jackknife_error(without[name]))
    variables["controlled"] = ((DRIVER, PARTNER), controlled)
    names = np.array(case.labels()[PARTNER])[_inside(case)]
    coords = {
        DRIVER: [player.name for player in players],
        YEAR: [*case.labels()[YEAR], ALL_YEARS],
        PARTNER: list(names),
        LEVEL: list(levels),
    }
    found = xr.Dataset(variables, coords)
    for name, words in _LONG_NAMES.items():
        units = case.currency if name.startswith("effect") else "1"
        found[name].attrs = {"long_name": words, "units": units}
        if f"{name}_error" in found:
            found[f"{name}_error"].attrs = {"long_name": f"standard error: {words}", "units": units}
    return found
