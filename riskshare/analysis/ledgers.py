"""Where money comes from and goes to: conservation, pool accounts, transfers taken for savings."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from riskshare.analysis.findings import Finding, joined, money, over, percent
from riskshare.analysis.probe import Numbers, Probe, Settled
from riskshare.contract.sharing import Pool
from riskshare.names import ACCOUNTS
from riskshare.parameters import declaration_of, expand
from riskshare.system import Change, Partner

_BALANCED = 1e-9
"""Largest imbalance, as a share of the money that moves, that is rounding of floats."""

_OFTEN = 0.05


def imbalance_of(probe: Probe, settled: Settled) -> tuple[float, list[Finding]]:
    """Return the largest imbalance and what breaks conservation.

    Postings of a term sum to zero over partners. So, between any sample and the first one,
    ``sum over the system of changes in position = change in money from outside - change in cost``,
    which is worked out on its own.
    """
    gross = settled.gross
    by_term = np.abs(settled.posting.sum(2)) / gross[:, None]
    worst = float(by_term.max(initial=0.0))
    findings = []
    for place in np.flatnonzero((by_term > _BALANCED).any((0, 2))):
        year, sample = np.unravel_index(int(by_term[:, place].argmax()), by_term[:, place].shape)
        off = float(settled.posting[year, place, :, sample].sum())
        findings.append(
            Finding(
                "error",
                "conservation",
                probe.terms[place],
                f"its postings sum to {money(probe.case.currency, off)} over partners, not to "
                f"zero: it makes or loses money ({probe.years[year]})",
            )
        )
    inside, outside = probe.inside, ~probe.inside
    position = settled.position
    change = position[:, inside] - position[:, inside, :1]
    came = -(settled.posting.sum(1)[:, outside])
    came = (came - came[..., :1]).sum(1)
    cost = settled.cost[:, inside] - settled.cost[:, inside, :1]
    identity = np.abs(change.sum(1) - came + cost.sum(1)) / gross
    worst = max(worst, float(identity.max(initial=0.0)))
    if not findings and (identity > _BALANCED).any():
        findings.append(
            Finding(
                "error",
                "conservation",
                probe.case.name,
                "changes of positions in the system do not add up to the change in cost and in "
                "money from outside",
            )
        )
    return worst, findings


def accounts_of(probe: Probe, draws: Settled) -> tuple[xr.Dataset, list[Finding]]:
    """Return how often each pool account runs dry before its rules apply."""
    accounts = [partner for partner in probe.case.partners if partner.kind == "pool"]
    dry = np.zeros((len(probe.years), len(accounts)))
    short = np.zeros_like(dry)
    findings: list[Finding] = []
    for k, partner in enumerate(accounts):
        place = probe.partners.index(partner.name)
        own = probe.terms.index(f"{ACCOUNTS}.{partner.name}")
        moved = draws.posting[:, :, place]
        balance = float(partner.opening_balance or 0.0) + np.cumsum(moved.sum(1), axis=0)
        before = balance - moved[:, own]
        below = before < -1e-9 * draws.gross
        dry[:, k] = below.mean(-1)
        missing = np.where(below, -before, 0.0).sum(-1)
        short[:, k] = missing / np.maximum(below.sum(-1), 1)
        findings += _dry(probe, partner.name, dry[:, k], short[:, k])
        findings += _early(probe, partner.name, moved)
    dataset = xr.Dataset(
        {"dry": (("year", "account"), dry), "short": (("year", "account"), short)},
        {"year": list(probe.years), "account": [partner.name for partner in accounts]},
    )
    return dataset, findings


def _dry(probe: Probe, name: str, dry: Numbers, short: Numbers) -> Iterator[Finding]:
    if not dry.any():
        return
    partner = next(p for p in probe.case.partners if p.name == name)
    year = int(np.argmax(dry))
    if partner.prorate is not None:
        then = "claims are then scaled to what it holds"
    elif partner.uncommitted is not None or partner.shortfall is not None:
        payers = [*_payers(partner.uncommitted), *_payers(partner.shortfall)]
        then = f"{joined(list(dict.fromkeys(payers))) or 'others'} then make it up"
    else:
        then = "nobody makes it up: give it a shortfall key or prorate its claims"
    yield Finding(
        "note" if _made_whole(partner) else "warning",
        "accounts",
        f"partners.{name}",
        f"runs dry in {percent(float(dry[year]))} of outcomes of {probe.years[year]}, "
        f"{money(probe.case.currency, float(short[year]))} short on average; {then}",
    )


def _made_whole(partner: Partner) -> bool:
    """Whether an account says what happens where it runs dry."""
    rules = (partner.prorate, partner.uncommitted, partner.shortfall)
    return any(rule is not None for rule in rules)


def _payers(key: Any) -> list[str]:
    """Return who stands behind an account by a key, given once for all years."""
    if not hasattr(key, "items"):
        return []
    return [name for name, share in key.items() if share]


def _early(probe: Probe, name: str, moved: Numbers) -> Iterator[Finding]:
    """Yield an account that pays before anything is paid into it."""
    partner = next(p for p in probe.case.partners if p.name == name)
    if partner.opening_balance:
        return
    least = 1e-9 * max(float(np.abs(moved).max(initial=0.0)), 1.0)
    own = probe.terms.index(f"{ACCOUNTS}.{name}")
    order = [(y, t) for y in range(len(probe.years)) for t in range(len(probe.terms)) if t != own]
    paid_in = [at for at in order if (moved[at] > least).any()]
    drawn = [at for at in order if (moved[at] < -least).any()]
    if not drawn or (paid_in and paid_in[0] <= drawn[0]):
        return
    year, term = drawn[0]
    filled = (
        f"{probe.terms[paid_in[0][1]]} pays into it later ({probe.years[paid_in[0][0]]})"
        if paid_in
        else "nothing is ever paid into it"
    )
    whole = _made_whole(partner)
    behind = "; whoever stands behind it bears all of it" if whole else ""
    yield Finding(
        "warning" if whole else "error",
        "accounts",
        f"partners.{name}",
        f"{probe.terms[term]} draws on it ({probe.years[year]}) before anything is paid in: it has "
        f"no opening balance and {filled}{behind}",
    )


def savings_findings(probe: Probe, draws: Settled) -> Iterator[Finding]:
    """Yield savings claimed twice or beyond what is released, and changes that overlap."""
    currency = probe.case.currency
    for place, change in enumerate(probe.case.changes):
        claims = expand(change.claims, declaration_of(Change, "claims"), probe.labels)
        released = draws.released[:, place].mean(-1)
        total = claims.sum(1)
        several = (claims > 0).sum(1) > 1
        over_claimed = total > released + 1e-6 * np.maximum(total, 1.0)
        told = several | over_claimed
        if not told.any():
            continue
        year = int(np.argmax(np.where(told, total - released, -np.inf)))
        by = [
            f"{probe.partners[i]} ({money(currency, float(claims[year, i]))})"
            for i in np.flatnonzero(claims[year])
        ]
        lead = f"is claimed by {joined(by)}"
        if len(by) > 1:
            lead += f", {money(currency, float(total[year]))} in all"
        yield Finding(
            "warning",
            "savings",
            f"changes.{change.name}.claims",
            f"{lead}; the cost it really releases is {money(currency, float(released[year]))} on "
            f"average ({probe.years[year]})",
        )
    yield from _overlaps(probe)


def _overlaps(probe: Probe) -> Iterator[Finding]:
    changes = probe.case.changes
    size = probe.bound.plan.size
    for j, second in enumerate(changes):
        for i, first in enumerate(changes[:j]):
            both = (size[:, i] > 0) & (size[:, j] > 0)
            if first.source != second.source or first.owner == second.owner or not both.any():
                continue
            year = int(np.argmax(np.where(both, size[:, i] + size[:, j], 0)))
            years = over([probe.years[y] for y in np.flatnonzero(both)])
            yield Finding(
                "warning",
                "savings",
                f"changes.{second.name}",
                f"takes {100 * size[year, j]:g} % of {second.source} for {second.owner}, and "
                f"{first.name} takes {100 * size[year, i]:g} % of it for {first.owner} ({years}): "
                "see that the two do not count the same activity",
            )


def pool_findings(probe: Probe, draws: Settled) -> Iterator[Finding]:
    """Yield how often a pool pays out a gain while the system is worse off than planned."""
    system = draws.position[:, probe.inside].sum(1)
    planned = probe.at_plan.position[:, probe.inside, :1].sum(1)
    worse = system < planned - 1e-9 * draws.gross
    for place, name in enumerate(probe.terms):
        term = probe.term_of(name)
        if not isinstance(term, Pool):
            continue
        holder = probe.partners.index(term.holder)
        gain = draws.posting[:, place, holder] < -1e-9 * draws.gross
        share = (gain & worse).mean(-1)
        year = int(np.argmax(share))
        if share[year] < _OFTEN:
            continue
        yield Finding(
            "note",
            "savings",
            name,
            f"pays out a gain in {percent(float(gain[year].mean()))} of outcomes; in "
            f"{percent(float(share[year]))} of all outcomes it does so while the system as a whole "
            f"is worse off than planned: a transfer is no saving ({probe.years[year]})",
        )
