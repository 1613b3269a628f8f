"""What a check has to say: findings, and the datasets they were read from."""

from dataclasses import dataclass
from typing import Literal, get_args

import xarray as xr

from riskshare.names import decimals, symbol

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[str, ...] = get_args(Severity)

Topic = Literal[
    "conservation",
    "continuity",
    "monotonicity",
    "incentive",
    "stranded cost",
    "cost shunt",
    "savings",
    "accounts",
    "binding",
    "inflation",
    "paid twice",
    "size",
    "dependence",
]
TOPICS: tuple[str, ...] = get_args(Topic)


@dataclass(frozen=True)
class Finding:
    """One thing that a contract does, with figures, in a sentence a reader can act on.

    Parameters
    ----------
    severity
        ``error``: the contract does not say what anybody can have meant, or cannot be carried out.
        ``warning``: it works, and somebody will be surprised. ``note``: worth knowing.
    topic
        Which check it comes from.
    path
        The term, number, line, change or partner it is about.
    message
        What was found.
    """

    severity: Severity
    topic: Topic
    path: str
    message: str

    def __str__(self) -> str:
        """Return ``severity: path: message``."""
        return f"{self.severity}: {self.path}: {self.message}"


@dataclass(frozen=True, eq=False)
class Check:
    """What `riskshare.check` found out about the contracts of a case.

    Parameters
    ----------
    findings
        Errors first, then warnings, then notes.
    incentive
        On (year, partner, line), money for each unit of a line's activity, from plan:
        ``pays_up``, ``costs_up`` what one more unit pays and costs a partner; ``pays_down``,
        ``costs_down`` what one unit fewer takes from it and saves it; ``later_up``, ``later_down``
        what it does to the partner's position in later years. ``term_up``, ``term_down`` on (year,
        term, partner, line) are the parts of ``pays``. ``shunt`` on (year, change, partner) is what
        one more unit moved by a change does to a position.
    gates
        On ``gate``: every jump found, by ``term``, ``year``, ``where`` (what was moved), ``at`` (as
        a multiple of plan), ``number`` (the path that puts it there, empty where none does),
        ``height`` of the jump in the term (money), ``mass`` (probability of an outcome within half
        a per cent of its base), ``declared``; ``jump`` on (gate, partner) is that in positions.
    binding
        ``share`` on ``number``: share of draws in which the money moves with the number; ``binds``
        says whether it does so in any draw or anywhere on the scan.
    accounts
        On (year, account): ``dry``, the probability that a pool account's balance falls below zero
        before its rules apply, and ``short``, what is then missing on average.
    imbalance
        Largest sum of postings over partners, as a share of the money that moves.
    """

    findings: tuple[Finding, ...]
    incentive: xr.Dataset
    gates: xr.Dataset
    binding: xr.Dataset
    accounts: xr.Dataset
    imbalance: float

    @property
    def passed(self) -> bool:
        """Whether no finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)

    def about(self, topic: Topic) -> tuple[Finding, ...]:
        """Return the findings of one topic."""
        return tuple(finding for finding in self.findings if finding.topic == topic)


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return findings by severity, then topic, each once."""
    once = dict.fromkeys(findings)
    return tuple(sorted(once, key=lambda f: (SEVERITIES.index(f.severity), TOPICS.index(f.topic))))


def money(currency: str, amount: float) -> str:
    """Return an amount as it is said: ``£1.25m``, ``£12,300``, ``-£9.50``."""
    size, sign = abs(amount), "-" if amount < 0 else ""
    if size >= 999_995:
        return f"{sign}{symbol(currency)}{size / 1e6:,.2f}m"
    places = 0 if size >= 1000 else decimals(currency)
    text = f"{size:,.{places}f}"
    return f"{sign if text.strip('0.,') else ''}{symbol(currency)}{text}"


def exact_money(currency: str, amount: float) -> str:
    """Return an amount to the smallest unit: ``£1,000,000.00``."""
    text = f"{abs(amount):,.{decimals(currency)}f}"
    return f"{'-' if amount < 0 and text.strip('0.,') else ''}{symbol(currency)}{text}"


def percent(share: float) -> str:
    """Return a share as per cent, without a false zero."""
    if 0 < share < 0.0005:
        return "less than 0.1 %"
    if 0.9995 < share < 1:
        return "more than 99.9 %"
    return f"{100 * share:.1f} %"


def joined(names: list[str]) -> str:
    """Return names in a sentence: ``a``, ``a and b``, ``a, b and c``."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def over(years: list[str]) -> str:
    """Return years in a sentence: ``2017/18``, ``2017/18 to 2019/20``."""
    return years[0] if len(years) == 1 else f"{years[0]} to {years[-1]}"
