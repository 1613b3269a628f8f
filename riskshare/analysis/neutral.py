"""What sharing terms pay and charge by the lines' own chance alone, nothing real having changed."""

import dataclasses
from typing import Any

import numpy as np
import xarray as xr

from riskshare.analysis.margins import Floats, share_of
from riskshare.analysis.probe import Numbers, Probe
from riskshare.case import Case
from riskshare.names import ALL_YEARS, PARTNER, YEAR
from riskshare.plan import law_of
from riskshare.run.simulate import draw
from riskshare.system import AbstractIndex, Dependence

SHARING = ("sharing", "backstop", "organisation")
"""Phases whose terms share results, as against paying for care."""


def neutral(case: Case) -> Case:
    """Return the case with nothing uncertain but chance.

    Drivers and deliveries stand at 1, delays at 0, members at their planned count and quality at
    its mean. What is left is the lines' own noise and people, with the shared factors of that
    noise.
    """
    drivers = tuple(d if d.acts_on == "chance" else _still(d) for d in case.drivers)
    changes = tuple(
        dataclasses.replace(
            change,
            delivery=_still(change.delivery),
            delay=None if change.delay is None else _still(change.delay),
        )
        for change in case.changes
    )
    partners = tuple(
        partner
        if partner.quality is None
        else dataclasses.replace(
            partner, quality=_still(partner.quality, min(law_of(partner.quality).mean(), 1.0))
        )
        for partner in case.partners
    )
    return dataclasses.replace(
        case,
        drivers=drivers,
        changes=changes,
        partners=partners,
        members=tuple(_still(population) for population in case.members),
        correlations=(),
        dependence=Dependence(),
    )


def _still(index: Any, value: float | None = None) -> Any:
    """Return an index that always equals its value: that of plan unless one is given."""
    assert isinstance(index, AbstractIndex)
    return dataclasses.replace(
        index,
        law=None,
        sd=None,
        interval=None,
        centre=None,
        value=value,
        process="constant",
        persistence=None,
    )


def by_chance_alone(probe: Probe, samples: int, seed: int, replicates: int) -> xr.Dataset:
    """Return how often and how much sharing terms pay and charge each partner by chance alone.

    A partner is paid where the sum of its postings in terms of the phases `SHARING` lies above what
    it is at the mean of the lines' activity, case mix and unit cost; charged where it lies below.
    """
    found = draw(neutral(probe.case), samples=samples, seed=seed, precision="float64")
    values = {
        name: np.asarray(found[name].values, np.float64) for name in probe.plan if name in found
    }
    if "person_cost" in probe.plan:
        values["person_cost"] = np.zeros_like(values["activity"])
    middle = {name: array.mean(-1, keepdims=True) for name, array in values.items()}
    drawn, still = (_postings(probe, each) for each in (values, middle))
    moved = drawn - still
    moved = np.concatenate([moved, moved.sum(0, keepdims=True)])
    least = max(0.005, 1e-12 * float(np.abs(drawn).max(initial=0.0)))
    variables: dict[str, Any] = {}
    for name, side in (("paid", moved), ("charged", -moved)):
        _put(variables, f"luck_probability_{name}", share_of(side > least, replicates))
        parts = np.maximum(side, 0).reshape(*side.shape[:-1], replicates, -1).mean(-1)
        error = parts.std(-1, ddof=1) / np.sqrt(replicates)
        _put(variables, f"luck_{name}", (parts.mean(-1), error))
    return xr.Dataset(variables, {YEAR: [*probe.years, ALL_YEARS], PARTNER: list(probe.partners)})


def _postings(probe: Probe, values: dict[str, Numbers]) -> Floats:
    """Return what sharing terms post to each partner: (year, partner, sample)."""
    places = [
        place
        for place, name in enumerate(probe.terms)
        if name in probe.declared and probe.declared[name].runs_in in SHARING
    ]
    return np.asarray(probe.settle(values).posting[:, places].sum(1))


def _put(variables: dict[str, Any], name: str, found: tuple[Any, Any]) -> None:
    variables[name] = ((YEAR, PARTNER), found[0])
    variables[f"{name}_error"] = ((YEAR, PARTNER), found[1])
