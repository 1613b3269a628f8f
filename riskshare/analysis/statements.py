"""Statements in words: ``position_quantile[acute,0.05] - 0.5 posting_mean[msk.pool,acute]``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from riskshare.analysis.figures import Figure
from riskshare.analysis.vocabulary import Vocabulary
from riskshare.errors import ArgumentError
from riskshare.names import PartnerKind

_APART = re.compile(r"\s([+-])\s")
_TIMES = re.compile(r"(\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*(?:\*\s*|\s)(?=\S)")
_IN_BRACKETS = re.compile(r"\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\]")

NOBODY: tuple[PartnerKind, ...] = ("external", "pool")
"""Kinds of partners that accept nothing: who is outside, and accounts."""


@dataclass(frozen=True)
class Statement:
    """A sum of figures, each times a number."""

    name: str
    parts: tuple[tuple[float, Figure], ...]

    @property
    def chance(self) -> bool:
        """Whether it is a probability by itself."""
        (coefficient, figure), *others = self.parts
        return not others and coefficient == 1 and figure.chance


def statement_of(vocabulary: Vocabulary, text: str) -> Statement:
    """Return what a text states.

    Raises
    ------
    ArgumentError
        For a name that cannot be read, labels that are not there, or a level that a run of so many
        samples cannot resolve.
    """
    parts: list[tuple[float, Figure]] = []
    for coefficient, name in terms_of(text):
        parts += [(coefficient * sign, figure) for sign, figure in vocabulary.figures(name)]
    return Statement(text.strip(), tuple(parts))


def terms_of(text: str) -> list[tuple[float, str]]:
    """Return the names in a sum, each with the number that it is taken times.

    Plus and minus have blanks about them, for names have hyphens of their own.
    """
    masked = _IN_BRACKETS.sub(lambda found: "[" + "#" * (len(found[0]) - 2) + "]", text)
    cuts = [found.start(1) for found in _APART.finditer(masked)]
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
    found = []
    for piece in map(str.strip, pieces):
        sign = -1.0 if piece.startswith("-") else 1.0
        rest = piece.lstrip("+-").strip()
        times = _TIMES.match(rest)
        if times is not None:
            sign, rest = sign * float(times[1].replace("_", "")), rest[times.end() :]
        if not rest:
            raise ArgumentError(
                f"{text!r} cannot be read; accepted: names with + and - between them and numbers "
                "before them, as position_mean[acute] - 0.5 position_mean[community]"
            )
        found.append((sign, rest.strip()))
    return found


def accepted(vocabulary: Vocabulary, appetite: str | Mapping[str, str]) -> list[str]:
    """Return for each partner what is at least 0 where it is as well off as before.

    Parameters
    ----------
    appetite
        What a partner counts, as ``mean - 0.5 tail_value_at_risk[0.95]``; by partner, or for all
        that are organisations inside the system.

    Raises
    ------
    ArgumentError
        For a partner that there is not, or an appetite that cannot be read.
    """
    case = vocabulary.case
    inside = [partner.name for partner in case.partners if partner.kind not in NOBODY]
    if isinstance(appetite, str):
        appetite = dict.fromkeys(inside, appetite)
    for name in appetite:
        if name not in vocabulary.partners:
            raise ArgumentError(
                f"appetite: found {name!r}; accepted: partners {', '.join(vocabulary.partners)}"
            )
    if not appetite:
        raise ArgumentError('appetite names no partner; accepted: one at least, or "mean" for all')
    return [_difference(name, counted) for name, counted in appetite.items()]


def _difference(partner: str, counted: str) -> str:
    found = ""
    for coefficient, name in terms_of(counted):
        statistic, _, labels = name.partition("[")
        inner = ",".join(part for part in (partner, labels.rstrip("]")) if part)
        size = "" if abs(coefficient) == 1 else f"{abs(coefficient):g} "
        sign = "-" if coefficient < 0 else "+"
        lead = f" {sign} " if found else ("-" if coefficient < 0 else "")
        found += f"{lead}{size}difference_{statistic}[{inner}]"
    return found
