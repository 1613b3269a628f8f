"""The contract check: what a contract does that its drafters may not have meant."""

from collections.abc import Sequence

from riskshare.analysis.binding import binding
from riskshare.analysis.curves import Curve, curves_of, points_for
from riskshare.analysis.drafting import drafting_findings
from riskshare.analysis.findings import Check as Check
from riskshare.analysis.findings import Finding as Finding
from riskshare.analysis.findings import in_order
from riskshare.analysis.gates import distinct, explained, gate_findings, gates_dataset
from riskshare.analysis.incentive import (
    incentive_dataset,
    incentive_findings,
    over_whole_steps,
    slopes,
)
from riskshare.analysis.jumps import Interval, Jump, located, smallest, suspects
from riskshare.analysis.ledgers import (
    accounts_of,
    imbalance_of,
    pool_findings,
    savings_findings,
)
from riskshare.analysis.monotone import check_monotone
from riskshare.analysis.probe import Probe, Values, together
from riskshare.case import Case
from riskshare.errors import ArgumentError

_SCAN = 65
"""Points of each curve on which numbers are moved to see whether they ever bind."""

_MOVED = 8192
"""Draws on which every number is moved: each takes a settlement or two."""

_AT_ONCE = 16_384
"""Samples of one settlement of the scan."""


def check(case: Case, *, samples: int = 16_384, seed: int = 1, span: float = 0.5) -> Check:
    """Look for what the contracts of a case do that nobody can have meant.

    The contracts are settled around plan, one thing moved at a time, and on draws. See
    ``docs/check.md`` for what is looked at.

    Parameters
    ----------
    case
        The case.
    samples
        Draws from which probabilities come.
    seed
        Of the draws.
    span
        How far around plan the scan goes, as a share of plan: 0.5 is from half to one and a half.

    Returns
    -------
    Check
        Findings, errors first, and the figures behind them.

    Raises
    ------
    ArgumentError
        For a span or a number of samples that means nothing.

    Examples
    --------
    >>> import riskshare as rs
    >>> found = rs.check(rs.load_case("msk-toy"), samples=1024)
    >>> found.passed
    True
    >>> up = found.incentive.pays_up.sel(line="outpatients", partner="acute")
    >>> float(up.isel(year=0).round(2))
    21.6
    """
    if not isinstance(span, (int, float)) or not 0 < span <= 1:
        raise ArgumentError(f"span is {span!r}; accepted: a share of plan above 0, at most 1")
    probe = Probe(case)
    curves = curves_of(probe, float(span))
    draws = probe.drawn(samples, seed)
    findings: list[Finding] = list(drafting_findings(probe))
    drawn = draws["activity"].shape[-1]
    both = together(draws, _coarse(probe, curves))
    settled = probe.settle(both)
    on_draws = settled.samples(slice(0, drawn))
    imbalance, found = imbalance_of(probe, settled)
    findings += found
    accounts, found = accounts_of(probe, on_draws)
    findings += found
    findings += savings_findings(probe, on_draws)
    findings += pool_findings(probe, on_draws)
    jumps, found = _scan(probe, curves)
    findings += found
    gates = distinct(explained(probe, jumps, draws))
    findings += gate_findings(probe, gates)
    around = slopes(probe)
    findings += incentive_findings(probe, over_whole_steps(probe, around), gates)
    fewer = slice(max(drawn - _MOVED, 0), None)
    moved = {name: values[..., fewer] for name, values in both.items()}
    bound, found = binding(probe, moved, min(drawn, _MOVED), settled.samples(fewer))
    findings += found
    return Check(
        findings=in_order(findings),
        incentive=incentive_dataset(probe, around),
        gates=gates_dataset(probe, gates),
        binding=bound,
        accounts=accounts,
        imbalance=imbalance,
    )


def _coarse(probe: Probe, curves: Sequence[Curve]) -> Values:
    """Return a few points of every curve as one experience."""
    return probe.values([(curve.at(curve.grid(_SCAN)), _SCAN) for curve in curves])


def _scan(probe: Probe, curves: list[Curve]) -> tuple[list[Jump], list[Finding]]:
    """Settle every curve on a fine grid; return the jumps on it, and what falls."""
    points = points_for(curves)
    at_once = max(1, min(_AT_ONCE, probe.most) // points)
    jumps: list[Jump] = []
    findings: list[Finding] = []
    for start in range(0, len(curves), at_once):
        batch = curves[start : start + at_once]
        grids = [curve.grid(points) for curve in batch]
        settled = probe.settle_parts(
            [(curve.at(grid), points) for curve, grid in zip(batch, grids, strict=True)]
        )
        least = smallest(probe, float(settled.gross.max()))
        found: list[Interval] = []
        for place, (curve, grid) in enumerate(zip(batch, grids, strict=True)):
            part = settled.samples(slice(place * points, (place + 1) * points))
            findings += check_monotone(probe, curve, grid, part)
            found += suspects(probe, place, grid, part, least)
        jumps += located(probe, batch, found, least)
    order = {id(curve): place for place, curve in enumerate(curves)}
    jumps.sort(key=lambda jump: (order[id(jump.curve)], jump.low, jump.year))
    return jumps, _merged(findings)


def _merged(findings: list[Finding]) -> list[Finding]:
    """Return one finding for each term and topic; the scan of a single line comes first."""
    once: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        once.setdefault((finding.topic, finding.path), finding)
    return list(once.values())


__all__ = ["Check", "Finding", "check"]
