"""How often each clause of a contract binds, and what one more unit of effort pays, on draws.

The contract check moves every number on a few draws to find those that never matter. Here the same
is counted: in what share of outcomes each term moves money and each number decides how much, how
much probability lies next to each gate, and what effort is worth to whom in good and bad outcomes.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.analysis.gates import HALF_WINDOW, StepNumber, step_numbers, value_of
from riskshare.analysis.jumps import smallest
from riskshare.analysis.margins import BANDS, ByBand, Outcomes, bands_of, mean_where, share_of
from riskshare.analysis.moves import (
    GATED,
    Number,
    far_values,
    is_unused,
    moved_numbers,
    near_values,
    numbers_of,
)
from riskshare.analysis.neutral import by_chance_alone
from riskshare.analysis.probe import Numbers, Probe, Settled
from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.names import ALL_YEARS, PARTNER, TERM, YEAR
from riskshare.outcomes import attributes, groups_of
from riskshare.parameters import split_path
from riskshare.run.sampling import REPLICATES, Sampling, sampling_of

Flags = NDArray[np.bool_]

EFFORT = 0.01
"""Share of a line's plan, or of its unit cost, by which effort is measured."""

_ROUNDING = 1e-12
"""Share of the money that moves in a year below which nothing has moved."""


def clauses(
    case: Case,
    *,
    samples: int = 65_536,
    seed: int = 1,
    of: str = "system",
    bands: Sequence[float] = BANDS,
    effort: float = EFFORT,
) -> xr.Dataset:
    """Return how often each clause binds, and what one more unit of effort pays by outcome.

    - A **term** pays in an outcome where any of its postings is not zero.
    - A **number** binds in an outcome where money moves with it: where any posting, or payment in
      cash, would be another if the number were a thousandth higher or (where nothing moves so)
      lower. Of shares that must sum to one another gives way. The number of a gate is taken away
      instead: it binds where the gate keeps money back or lets it through.
    - An outcome lies **near a gate** where the term's money jumps while the gate's number moves by
      half a per cent of its base either way. The height is the mean, over those outcomes, of the
      largest change of any partner's posting in the term.
    - **Effort** avoids a share ``effort`` of a line's planned activity in every year, or saves that
      share of the unit cost of everything that a partner delivers. With D the change of a position
      and U the units avoided (the money saved on the lines), its value in a band of outcomes is
      ``sum D / sum U`` over the band: a finite difference at common draws, so that a gate counts
      with its density.
    - **Luck** is what the sharing terms (those of the phases sharing, backstop and organisation)
      move when nothing but the lines' own chance is drawn: drivers, members and deliveries as
      planned. A partner is paid by luck where it gets more under them than at the mean of the
      lines' activity, case mix and unit cost, and charged where it gets less.

    Parameters
    ----------
    case
        The case.
    samples
        Draws, rounded up as in `riskshare.simulate`; fewer where their postings would not fit in
        memory, and the result says how many.
    seed
        Of the draws.
    of
        The partner or group whose position, over all years, puts outcomes in order.
    bands
        Levels between bands of outcomes, in increasing order.
    effort
        As a share of plan or of unit cost, above 0, at most 0.5.

    Returns
    -------
    xarray.Dataset
        On (year, term): ``term_probability``; on (year, term, partner): ``receives_probability``,
        ``pays_probability``. On (year, number): ``number_probability``, NaN where the number cannot
        be another; with the coordinates ``number_value`` and ``number_term``. On (year, gate),
        gates by the path of their number: ``gate_probability`` and ``gate_height`` (money), and on
        (year, gate, partner) ``gate_jump``, what passing the gate does to a position, NaN where no
        draw is near; with the coordinates ``gate_term``, ``gate_value``, ``gate_base``. On
        (band, year, line, partner): ``activity_value``, money for each unit of activity avoided; on
        (band, year, saver, partner): ``cost_value``, money for each unit of money saved. On (band,
        partner): ``position_mean`` over all years. On (year, partner):
        ``luck_probability_paid``, ``luck_probability_charged``, and ``luck_paid``,
        ``luck_charged``, the means of what is paid and charged so. ``band`` runs from the worst
        outcomes to the best, then ``all``; ``year`` has ``all`` besides: in any year, or over all
        years with effort in each. Partners include groups where positions are meant. Each with
        ``<name>_error``, the standard error between replicates.

    Raises
    ------
    ArgumentError
        For a partner that there is not, bands out of order, or effort out of bounds.

    Examples
    --------
    >>> import riskshare as rs
    >>> found = rs.clauses(rs.load_case("msk-toy"), samples=1024)
    >>> found.band.values.tolist()
    ['worst 5 %', '5-25 %', '25-75 %', '75-95 %', 'best 5 %', 'all']
    >>> saved = found.activity_value.sel(line="inpatients", year="all", band="all")
    >>> bool(saved.sel(partner="acute") < saved.sel(partner="system"))
    True

    See Also
    --------
    riskshare.check : Whether a contract does what nobody can have meant.
    """
    size, levels = _effort(effort), bands_of(bands)
    order = _order_of(case, of)
    sampling_of(samples, seed, "sobol", REPLICATES)  # refuses what is no number of samples
    probe = Probe(case)
    sampling = sampling_of(min(samples, probe.most), seed, "sobol", REPLICATES)
    values = probe.drawn(samples, seed)
    base = probe.settle(values)
    outcomes = Outcomes(sampling.replicates, order @ base.position.sum(0), levels)
    found = xr.Dataset(
        attrs=attributes(case, "float64")
        | sampling.attributes(samples)
        | {"of": of, "effort": size, "window": HALF_WINDOW}
    )
    for part in (
        _terms(probe, base, sampling.replicates),
        _numbers(probe, values, base, sampling.replicates),
        _gates(probe, values, base, sampling.replicates),
        _efforts(probe, values, base, outcomes, size),
        _luck(probe, sampling),
    ):
        found = found.assign_coords(part.coords).assign(part.data_vars)
    return _described(found, case.currency)


def _effort(effort: float) -> float:
    number = isinstance(effort, int | float | np.number) and not isinstance(effort, bool)
    if not number or not 0 < float(effort) <= 0.5:
        hint = f"; is {effort / 100:g} meant?" if number and 0.5 < effort <= 50 else ""
        raise ArgumentError(f"effort is {effort!r}; accepted: above 0, at most 0.5{hint}")
    return float(effort)


def _order_of(case: Case, of: str) -> Numbers:
    """Return which partners' positions add up to the one that orders outcomes."""
    labels = case.labels()[PARTNER]
    groups = groups_of(case)
    if of in groups:
        return groups[of].astype(np.float64)
    if of not in labels:
        raise ArgumentError(f"of is {of!r}; accepted: {', '.join([*labels, *groups])}")
    return np.array([float(name == of) for name in labels])


def _years(probe: Probe) -> list[str]:
    return [*probe.years, ALL_YEARS]


def _with_any(flags: Flags) -> Flags:
    """Return flags by year, (year, ..., sample), with those of any year as one more."""
    return np.concatenate([flags, flags.any(0, keepdims=True)])


def _terms(probe: Probe, base: Settled, replicates: int) -> xr.Dataset:
    """Return how often each term moves money, and to and from whom."""
    least = (_ROUNDING * base.gross)[:, None, None]
    variables: dict[str, Any] = {}
    for name, flags in (
        ("receives_probability", base.posting > least),
        ("pays_probability", base.posting < -least),
    ):
        _put(variables, name, (YEAR, TERM, PARTNER), share_of(_with_any(flags), replicates))
    moved = np.asarray((np.abs(base.posting) > least).any(2))
    _put(variables, "term_probability", (YEAR, TERM), share_of(_with_any(moved), replicates))
    coords = {YEAR: _years(probe), TERM: list(probe.terms), PARTNER: list(probe.partners)}
    # terms post between partners, and groups have no postings of their own
    return xr.Dataset(variables, coords).reindex({PARTNER: _everyone(probe)})


def _everyone(probe: Probe) -> list[str]:
    return [*probe.partners, *groups_of(probe.case)]


def _numbers(
    probe: Probe, values: dict[str, Numbers], base: Settled, replicates: int
) -> xr.Dataset:
    """Return in what share of draws money moves with each number of the contracts."""
    steps = {split_path(number.path)[0] for number in step_numbers(probe)}
    listed = list(numbers_of(probe))
    shares = np.full((2, len(probe.years) + 1, len(listed)), np.nan)
    for place, number in enumerate(listed):
        head = split_path(number.path)[0]
        gated = head in steps or head.endswith(GATED)
        flags = _moves(probe, values, number, gated, base)
        if flags is not None:
            shares[:, :, place] = share_of(_with_any(flags), replicates)
    variables: dict[str, Any] = {}
    _put(variables, "number_probability", (YEAR, "number"), (shares[0], shares[1]))
    names = sorted(probe.declared, key=len, reverse=True)
    owners = [
        next((name for name in names if number.path.startswith(f"{name}.")), "")
        for number in listed
    ]
    coords = {
        YEAR: _years(probe),
        "number": [number.path for number in listed],
        "number_value": ("number", np.array([number.value for number in listed], np.float64)),
        "number_term": ("number", np.array(owners, dtype=object)),
    }
    return xr.Dataset(variables, coords)


def _moves(
    probe: Probe, values: dict[str, Numbers], number: Number, gated: bool, base: Settled
) -> Flags | None:
    """Return where money moves with a number, (year, sample); None where it cannot be another."""
    moved = np.zeros(base.gross.shape, bool)
    tried = False
    for tries in (near_values(probe, number), far_values(number) if gated else ()):
        for value in tries:
            after = _settled_at(probe, values, number, value, base)
            if after is None:
                continue
            tried = True
            now = _differs(after, base)
            moved |= now
            if now.any():
                break  # of a gate, the first is the value with which it does nothing
    return moved if tried else None


def _settled_at(
    probe: Probe, values: dict[str, Numbers], number: Number, value: float, base: Settled
) -> Settled | None:
    for numbers in moved_numbers(probe, number, value):
        if is_unused(probe, numbers):
            return base
        after = probe.settle_at(values, numbers)
        if after is not None:
            return after
    return None


def _differs(after: Settled, base: Settled) -> Flags:
    least = 1e-13 * base.gross
    moved = (np.abs(after.posting - base.posting) > least[:, None, None]).any((1, 2))
    if after.cash is not None and base.cash is not None:
        moved |= (np.abs(after.cash - base.cash) > least[:, None]).any(1)
    return np.asarray(moved)


def _gates(probe: Probe, values: dict[str, Numbers], base: Settled, replicates: int) -> xr.Dataset:
    """Return the probability near each gate and what passing it moves."""
    variables: dict[str, Any] = {}
    listed = list(step_numbers(probe))
    years, everyone = len(probe.years) + 1, _everyone(probe)
    least = smallest(probe, float(base.gross.max()))
    near = np.zeros((2, years, len(listed)))
    height = np.full((2, years, len(listed)), np.nan)
    jump = np.full((2, years, len(listed), len(everyone)), np.nan)
    for place, gate in enumerate(listed):
        moved, passed = _passed(probe, values, gate)
        flags = moved > np.maximum(0.25 * moved.max(-1, keepdims=True), least)
        near[:, :, place] = share_of(_with_any(flags), replicates)
        height[:, :-1, place] = mean_where(moved, flags, replicates)
        height[:, -1, place] = _over_years(moved, flags, replicates)
        positions = _with_groups(probe, passed)
        for row in range(len(everyone)):
            jump[:, :-1, place, row] = mean_where(positions[:, row], flags, replicates)
            jump[:, -1, place, row] = _over_years(positions[:, row], flags, replicates)
    by_gate = (YEAR, "gate")
    _put(variables, "gate_probability", by_gate, (near[0], near[1]))
    _put(variables, "gate_height", by_gate, (height[0], height[1]))
    _put(variables, "gate_jump", (YEAR, "gate", PARTNER), (jump[0], jump[1]))
    words = {"gate_term": "term", "gate_base": "base"}
    coords: dict[str, Any] = {
        name: ("gate", np.array([getattr(gate, field) for gate in listed], dtype=object))
        for name, field in words.items()
    }
    coords["gate_value"] = ("gate", np.array([value_of(probe.case, g.path) for g in listed]))
    coords |= {YEAR: _years(probe), "gate": [gate.path for gate in listed], PARTNER: everyone}
    return xr.Dataset(variables, coords)


def _over_years(values: Numbers, flags: Flags, replicates: int) -> tuple[Any, Any]:
    """Return the mean over years and draws together: each (year, sample)."""
    each = values.reshape(len(values), replicates, -1).swapaxes(0, 1).reshape(-1)
    picked = flags.reshape(len(flags), replicates, -1).swapaxes(0, 1).reshape(-1)
    return mean_where(each, picked, replicates)


def _passed(probe: Probe, values: dict[str, Numbers], gate: StepNumber) -> tuple[Numbers, Numbers]:
    """Return how far a term's money moves as its gate crosses the window, and positions with it.

    (year, sample), and (year, partner, sample) as the gate's number falls: as when it is passed.
    """
    place, value = probe.terms.index(gate.term), value_of(probe.case, gate.path)
    ends = []
    for side in (-1, 1):
        # a share cannot be moved beyond nothing or all
        for to in (value + side * gate.half, max(0.0, float(side)), value):
            settled = probe.settle_at(values, {gate.path: to})
            if settled is not None:
                ends.append(settled)
                break
    low, high = ends
    moved = np.abs(high.posting[:, place] - low.posting[:, place]).max(1)
    return np.asarray(moved), low.position - high.position


def _with_groups(probe: Probe, position: Numbers) -> Numbers:
    """Return positions, (year, partner, sample), with those of groups."""
    members = np.stack(list(groups_of(probe.case).values())).astype(np.float64)
    return np.concatenate([position, np.einsum("gp,yps->ygs", members, position)], axis=1)


def _efforts(
    probe: Probe, values: dict[str, Numbers], base: Settled, outcomes: Outcomes, size: float
) -> xr.Dataset:
    """Return what avoided activity and saved cost pay each partner, by band of outcomes."""
    before = _with_groups(probe, base.position)
    variables: dict[str, Any] = {}

    def gained(after: Settled, units: Numbers) -> ByBand:
        change = _with_groups(probe, after.position) - before
        return outcomes.ratio(_with_sum(change), _with_sum(units))

    avoided = [gained(*_fewer(probe, values, row, size)) for row in range(len(probe.lines))]
    savers = list(dict.fromkeys(line.deliverer for line in probe.case.lines))
    saved = [gained(*_cheaper(probe, values, base, saver, size)) for saver in savers]
    for name, axis, parts in (
        ("activity_value", "line", avoided),
        ("cost_value", "saver", saved),
    ):
        stacked = np.stack([np.stack(part) for part in parts], axis=3)
        _put(variables, name, ("band", YEAR, axis, PARTNER), (stacked[0], stacked[1]))
    ones = np.ones((1, before.shape[-1]))
    mean = outcomes.ratio(before.sum(0, keepdims=True), ones)
    _put(variables, "position_mean", ("band", PARTNER), (mean.value[:, 0], mean.error[:, 0]))
    low, high = outcomes.edges()
    coords = {
        "band": list(_band_names(outcomes.levels)),
        "band_from": ("band", low),
        "band_to": ("band", high),
        YEAR: _years(probe),
        "line": list(probe.lines),
        "saver": savers,
        PARTNER: _everyone(probe),
    }
    return xr.Dataset(variables, coords)


def _luck(probe: Probe, sampling: Sampling) -> xr.Dataset:
    found = by_chance_alone(probe, sampling.samples, sampling.seed, sampling.replicates)
    return found.reindex({PARTNER: _everyone(probe)})


def _with_sum(by_year: Numbers) -> Numbers:
    return np.concatenate([by_year, by_year.sum(0, keepdims=True)])


def _fewer(
    probe: Probe, values: dict[str, Numbers], row: int, size: float
) -> tuple[Settled, Numbers]:
    """Settle with a share of a line's plan avoided in every year; return units avoided."""
    activity = values["activity"].copy()
    units = np.minimum(size * probe.plan["activity"][:, row, None], activity[:, row])
    activity[:, row] -= units
    return probe.settle({**values, "activity": activity}), units


def _cheaper(
    probe: Probe, values: dict[str, Numbers], base: Settled, saver: str, size: float
) -> tuple[Settled, Numbers]:
    """Settle with a lower unit cost of all that a partner delivers; return the money saved."""
    rows = [i for i, line in enumerate(probe.case.lines) if line.deliverer == saver]
    unit_cost = values["unit_cost"].copy()
    unit_cost[:, rows] *= 1 - size
    after = probe.settle({**values, "unit_cost": unit_cost})
    return after, (base.line_cost[:, rows] - after.line_cost[:, rows]).sum(1)


def _band_names(levels: Sequence[float]) -> Iterator[str]:
    at = [f"{100 * level:g}" for level in levels]
    yield f"worst {at[0]} %"
    for low, high in pairwise(at):
        yield f"{low}-{high} %"
    yield f"best {100 * (1 - levels[-1]):.10g} %"
    yield "all"


def _put(
    variables: dict[str, Any], name: str, dims: tuple[str, ...], found: tuple[Any, Any]
) -> None:
    variables[name] = (dims, found[0])
    variables[f"{name}_error"] = (dims, found[1])


_WORDS = {
    "term_probability": "probability that a term moves money",
    "receives_probability": "probability that a partner receives money under a term",
    "pays_probability": "probability that a partner pays money under a term",
    "number_probability": "probability that money moves with a number",
    "gate_probability": "probability of an outcome near a gate",
    "gate_height": "mean jump of the term near its gate",
    "gate_jump": "mean change of a position as the gate is passed",
    "activity_value": "change of a position for each unit of activity avoided",
    "cost_value": "change of a position for each unit of money saved",
    "position_mean": "mean position over all years",
    "luck_probability_paid": "probability of being paid by chance alone",
    "luck_probability_charged": "probability of being charged by chance alone",
    "luck_paid": "mean of what is paid by chance alone",
    "luck_charged": "mean of what is charged by chance alone",
}
_MONEY = (
    *("gate_height", "gate_jump", "activity_value", "position_mean"),
    *("luck_paid", "luck_charged"),
)


def _described(found: xr.Dataset, currency: str) -> xr.Dataset:
    for name, words in _WORDS.items():
        units = currency if name in _MONEY else "1"
        found[name].attrs = {"long_name": words, "units": units}
        found[f"{name}_error"].attrs = {"long_name": f"standard error: {words}", "units": units}
    return found
