"""How far two results may differ, in shares of the money that moves; and what a case says."""

import numpy as np

from riskshare.parameters import declaration_of, expand

BY_PARTNER = ("received", "paid", "cost", "position", "posting", "cash", "underlying")
BY_LINE = ("line_cost", "cost_released", "stranded", "lost_contribution")
BY_CHANGE = ("saving_avoided", "saving_released", "saving_cash")


def gross(outcomes):
    """All money of a year and sample: what moves between partners, and cost; at least 1."""
    flow = abs(outcomes.posting).sum(("term", "partner")) + abs(outcomes.cost).sum("partner")
    return flow.clip(min=1.0)


def worst(difference, outcomes):
    """Largest difference as a share of the gross flow; NaN where anything is not a number."""
    share = abs(difference) / gross(outcomes)
    return float(np.max(share.values)) if share.size else 0.0


def assert_same(left, right, tolerance=1e-12, factor=1.0):
    """The results of ``right`` are ``factor`` times those of ``left``, label by label."""
    flows = gross(left)
    if "cash" in left:  # what was earned earlier is paid later
        flows = flows.cumsum("year")
    scaled = flows * factor
    for name in BY_PARTNER:
        if name not in left:
            continue
        other = right[name].reindex_like(left[name])
        apart = abs(other - factor * left[name]) / scaled
        assert apart.size == 0 or float(np.max(apart.values)) <= tolerance, name
    for names, axis in ((BY_LINE, "line"), (BY_CHANGE, "change")):
        for name in names:
            if name not in left:
                continue
            other = right[name].reindex_like(left[name])
            size = abs(left[name]).sum(axis).clip(min=1.0) * factor
            apart = abs(other - factor * left[name]) / (scaled + size)
            assert apart.size == 0 or float(np.max(apart.values)) <= tolerance, name


def stated(case, contract, term, node, name, axes=()):
    """A number of a term as (year, *axes, 1): lines are those of the term, absent ones NaN."""
    labels = case.labels()
    labels["line"] = tuple(getattr(term, "lines", None) or case.scope_lines(contract))
    value = getattr(node, name)
    if value is None:
        return np.full((len(case.years), *(len(labels[axis]) for axis in axes), 1), np.nan)
    found = expand(value, declaration_of(type(node), name), labels)
    return found[..., None]


def holds(case, contract, term):
    """Share of each year in which a term holds: (year, 1)."""
    active = [float(not contract.years or year.label in contract.years) for year in case.years]
    return np.array(active)[:, None] * stated(case, contract, term, term, "in_force")


def terms_of(case, *kinds):
    """Full name, contract and term of every term of some kinds."""
    return [
        (f"{contract.name}.{term.label}", contract, term)
        for contract in case.contracts
        for term in contract.terms
        if not kinds or term.kind in kinds
    ]
