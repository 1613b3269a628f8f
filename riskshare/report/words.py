"""What a statement says: clauses and steps of the working in words, and the units of figures.

A term notes its working under short labels (``year.note("band", ...)``). Here each label of each
kind gets the words a finance director reads, and the units of its figures. A term from outside the
package is stated under its own labels.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MONEY, SHARE, INDEX, SCORE = "money", "share", "index", "score"
ACTIVITY = "activity"
"""Stands for the unit of the line at hand."""
PRICE = "money per unit"
MET = "1 = met"

EFFECT_WORDS = "effect on line value"
"""What an influence pool says of each driver; who bears it follows."""

LEADS, ADDS, TOTAL = "leads", "adds", "total"
"""Roles of an amount: it leads up to the others, is part of their sum, or is the sum."""


@dataclass(frozen=True)
class Step:
    """A step of the working: its words, the units of its quantity and rate, its amount's role.

    ``{term}`` in the words is the bound term, whose choices they may name.
    """

    words: str
    unit: str = MONEY
    rate_unit: str = SHARE
    role: str = LEADS


CLAUSES: Mapping[str, tuple[str, str]] = {
    "funding": ("stated amount of funding", ""),
    "levy": ("levy on turnover", "M24"),
    "capitated-budget": ("payment of a capitated budget", "M03, M10"),
    "block": ("block payment, whatever the activity", "M02"),
    "activity-payment": ("payment by activity", "M01"),
    "cost-reimbursement": ("open book: a share of cost is paid", "M17"),
    "marginal-rate": ("marginal rate on activity above or below target", "M04-M07, M09"),
    "revenue-compensation": ("settlement of billings against agreed revenue", "M08"),
    "market-shift": ("revenue that follows volume between lines", "M11"),
    "stranded-support": ("support for stranded cost", "M33"),
    "pool": ("gain and loss sharing", "M12-M16, M18-M21"),
    "stop-loss": ("stop-loss for each person", "M28"),
    "profit-cap": ("return of profit above a share of revenue", "M10"),
    "deficit-support": ("support of partners below their target", "M24"),
    "surplus-return": ("return of surplus above target", "M22, M24"),
    "control-total-funding": ("funding that depends on control totals", "M23"),
    "withhold": ("part of a payment held back for quality", "M27"),
    "performance-payment": ("money released when activity falls", "M22"),
    "invest-to-save": ("return to an investor from the saving", "M26"),
    "account-close": ("closing of a pool account", "M24, M25"),
}
"""What each kind of term is, and the mechanisms it states."""

SIDES: Mapping[str, str] = {
    "above": "above target",
    "below": "below target",
    "gain": "gain",
    "loss": "loss",
}
"""Sides of a two-sided rule, as labels begin with them."""

_RULE: Mapping[str, Step] = {
    "gate": Step("result as a share of budget, against the gate", SHARE, MET),
    "beyond gate": Step("result, of which what is beyond the gate counts"),
    "cap on result": Step("result, which counts up to the cap"),
    "band": Step("part in this band", role=ADDS),
    "whole": Step("all of it is shared", role=ADDS),
    "share": Step("part that is shared", role=ADDS),
    "gate missed": Step("taken out: the gate is not reached", role=ADDS),
    "scalar": Step("scalar", role=ADDS),
    "cap": Step("payment, against its cap", role=ADDS),
    "relief": Step("relief", role=ADDS),
}

_STEPS: Mapping[str, Mapping[str, Step]] = {
    "funding": {
        "stated amount": Step("stated amount", role=ADDS),
        "index": Step("index of the driver", INDEX, role=ADDS),
    },
    "levy": {"share of turnover": Step("share of turnover", role=ADDS)},
    "capitated-budget": {"budget": Step("budget of the year", role=ADDS)},
    "block": {
        "stated amount": Step("stated amount", role=ADDS),
        "plan at price": Step("planned activity at price", ACTIVITY, PRICE, role=ADDS),
        "uplift": Step("uplift, compounded", role=ADDS),
    },
    "activity-payment": {
        "valued activity": Step("valued activity, at share x market forces factor", role=ADDS)
    },
    "cost-reimbursement": {"cost": Step("share of cost", role=ADDS)},
    "marginal-rate": {
        "deviation": Step("value of activity, less target"),
        "band": Step("part in this band", role=ADDS),
        "break-glass band": Step("part beyond the break-glass threshold", role=ADDS),
        "break glass": Step("all of it at the break-glass rate, less the bands", role=ADDS),
        "cap": Step("payment, against its cap", role=ADDS),
        "collar": Step("payment, against its collar", role=ADDS),
        "low volume": Step("planned value, against the low-volume limit"),
        "too small": Step("taken out: too small to bear risk", role=ADDS),
        "split by base": Step("part of the line, by base"),
    },
    "revenue-compensation": {
        "billed": Step("billed, less agreed revenue"),
        "shortfall": Step("part of the shortfall made up", role=ADDS),
        "excess": Step("part of the excess handed back", role=ADDS),
    },
    "market-shift": {
        "deviation": Step("value of activity, less plan"),
        "shift": Step("value that shifted, at the variable cost factor"),
    },
    "stranded-support": {"measure": Step("share of the {term.of}, {term.basis}", role=ADDS)},
    "pool": {
        **_RULE,
        "agreed budget": Step("budget before adjustments"),
        "rebasing": Step("moved towards earlier spend"),
        "discount": Step("discount"),
        "withheld for quality": Step("withheld for quality"),
        "expected excess": Step("expected above the limit of each person"),
        "outlay": Step("outlay of the holder"),
        "cost of lines": Step("cost of the line"),
        "value of lines": Step("value of the line's activity"),
        "truncation": Step("cost of persons above this limit is left out"),
        "completion": Step("completed: this share is known"),
        "budget": Step("budget"),
        "spend": Step("spend"),
        "result": Step("result: budget less spend"),
        "result to date": Step("result to date"),
        "quality score": Step("quality score", SCORE),
        "rate of gain by quality": Step("rate of gain at this score"),
        "rate of loss by quality": Step("rate of loss at this score"),
        "shared before": Step("shared in earlier years", role=ADDS),
        "settled in the last year": Step("put off: settled in the last year", role=ADDS),
        "shared": Step("to be shared", role=TOTAL),
        "effect": Step(EFFECT_WORDS),
        "value less plan": Step("value of the lines, less plan"),
        "expected part": Step("part of it that is expected of the partner's own activity"),
        "key": Step("share by the {term.key} key"),
        "maximum": Step("share, against the partner's maximum"),
        "left to the taker": Step("what the others leave"),
    },
    "stop-loss": {
        "excess": Step("cost of persons above this attachment", role=ADDS),
        "premium": Step("premium", role=ADDS),
    },
    "profit-cap": {
        "revenue": Step("revenue, of which this share may be kept"),
        "profit": Step("profit, less what may be kept", role=ADDS),
    },
    "deficit-support": {
        "position so far": Step("position so far, against where support begins"),
        "shortfall": Step("part of the shortfall made up", role=ADDS),
    },
    "surplus-return": {
        "position so far": Step("position so far, against what is kept"),
        "surplus": Step("part of the surplus collected", role=ADDS),
    },
    "control-total-funding": {
        "own total": Step("above (+) or below (-) its own total", MONEY, MET, role=ADDS),
        "system total": Step("above (+) or below (-) the system's total", MONEY, MET),
        "by system total": Step("for the system's total", role=ADDS),
        "bonus": Step("bonus on what is above its own total, up to its limit", role=ADDS),
        "declined": Step("declined with its control total", role=ADDS),
    },
    "withhold": {
        "payment": Step("payment, of which this is at stake"),
        "quality score": Step("quality score", SCORE),
        "withheld": Step("lost: 1 less the score", role=ADDS),
    },
    "performance-payment": {
        "reduction": Step("fall of activity below baseline, against target", SHARE),
        "released": Step("part of the money released", role=ADDS),
    },
    "invest-to-save": {
        "saving": Step("saving, verified as {term.measure}"),
        "investment": Step("investment paid back", role=ADDS),
        "share of net saving": Step("share of what it saved beyond that", role=ADDS),
        "floor": Step("paid back, against the least", role=ADDS),
    },
    "account-close": {
        "brought forward": Step("brought forward", role=ADDS),
        "postings of the year": Step("postings of the year", role=ADDS),
        "held": Step("held for claims"),
        "claims": Step("claim, of which this share is paid; the rest is handed back", role=ADDS),
        "uncommitted schemes cut": Step("uncommitted scheme, cut by", role=ADDS),
        "old claims paid": Step("paid of claims carried from earlier years", role=ADDS),
        "claims carried": Step("claim carried to later years"),
        "shortfall": Step("shortfall made up", role=ADDS),
        "release": Step("released: the last year is over", role=ADDS),
        "balance carried": Step("carried forward", role=TOTAL),
    },
}


def clause(term: Any) -> str:
    """Return what a term is, in words, with the mechanism it states."""
    words, mechanism = CLAUSES.get(term.kind, (term.kind, ""))
    return f"{words} ({mechanism})" if mechanism else words


def step_of(term: Any, label: str) -> Step:
    """Return a step by the label under which a term noted it."""
    steps = _STEPS.get(term.kind, {})
    side, _, rest = label.partition(" ")
    found = steps.get(label)
    if found is None and side in SIDES and rest in steps:
        inner = steps[rest]
        found = dataclasses.replace(inner, words=f"{SIDES[side]}: {inner.words}")
    if found is None:
        return Step(label, role="")
    return dataclasses.replace(found, words=found.words.format(term=term))
