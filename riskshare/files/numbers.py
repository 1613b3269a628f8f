"""The text of a cell as a number: one grammar for every CSV table, which reads or says why not.

Spreadsheets write numbers for people. What can mean one number only is read; what can mean two is
refused with both, because a guess that is wrong by a factor of 1,000 looks like a number too.

===================================  ==============================================================
``1234.5`` ``.5`` ``+5`` ``1e6``     a point before decimals; an exponent
``1,234`` ``1 234`` ``1'234.50``     groups of three, one separator throughout, in money and counts:
                                     ``1,234`` is 1234, never 1.234
``-5`` ``−5`` ``(1,234)``            minus, minus sign, brackets of accountants
``£5`` ``-£5`` ``5 €`` ``GBP 5``     money only, and only the currency of the case
``12.5%``                            0.125, of shares, rates and indices only
``12,34`` ``1.234,56`` ``0,123``     refused: a decimal comma, or groups that are none
``nan`` ``N/A`` ``-`` ``1_000``      refused, as is all else
===================================  ==============================================================

What is accepted depends on the *unit* of the column, as `riskshare.parameters.Parameter` has it.
"""

import math
import re
from dataclasses import dataclass

PLAN_INDEX = "index, 1 = plan"
"""The unit of an index of which a small percentage is more likely a change than a level."""

_SIGNS = {
    "£": ("GBP", "FKP", "GIP", "SHP"),
    "€": ("EUR",),
    "$": ("USD", "AUD", "CAD", "HKD", "MXN", "NZD", "SGD", "TWD"),
    "¥": ("JPY", "CNY"),
    "₩": ("KRW",),
    "₪": ("ILS",),
    "₫": ("VND",),
    "₱": ("PHP",),
    "₹": ("INR",),
    "₺": ("TRY",),
}
"""The currencies that a sign may stand for."""

_COUNTS = ("units", "units per year", "members", "beds or units", "count")
"""Units besides money that run to thousands; in others ``1,234`` is more likely 1.234."""

_LOW_LEVEL = 0.5
"""Below it, a percentage of an index around 1 may as well be a change: 3% of plan, or 3% above."""

_SPELT_ALIKE = str.maketrans(
    {"\u2212": "-", "\u2019": "'", **dict.fromkeys("\u00a0\u2007\u2008\u2009\u200a\u202f", " ")}
)
_UNGROUPED = str.maketrans("", "", ",' ")
_MARK = rf"(?:[{''.join(_SIGNS)}]|[A-Z]{{3}})"
_BRACKETS = re.compile(
    rf"(?P<before>{_MARK} ?)?\( ?(?P<inside>[^()+-][^()]*?) ?\)(?P<after> ?(?:%|{_MARK}))?"
)
_CELL = re.compile(
    rf"(?P<sign>[+-])? ?(?P<before>{_MARK})? ?(?P<inner>[+-])? ?"
    r"(?P<number>[0-9.](?:[0-9.,' ]*[0-9.])?(?:[eE][+-]?[0-9]+)?)"
    rf" ?(?P<after>%|{_MARK})?"
)
_PLAIN = re.compile(r"(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?P<exponent>[eE][+-]?[0-9]+)?")
_GROUPED = re.compile(r"[1-9][0-9]{0,2}([,' ])[0-9]{3}(?:\1[0-9]{3})*(?:\.[0-9]+)?")
_CUT = re.compile(r"0[0-9]{2}")
_POINTS = re.compile(r"[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,}")


class NumberError(ValueError):
    """Why a text is not read as a number, as a clause; empty where it is none at all."""


@dataclass(frozen=True)
class Unread:
    """A cell that should hold a number and is not read as one.

    Parameters
    ----------
    text
        The cell, or the entry of its list.
    column
        The name of its column.
    reason
        Why, as a clause.
    """

    text: str
    column: str
    reason: str


@dataclass(frozen=True)
class _Parts:
    """A cell taken apart: ``sign`` is ``+``, ``-`` or nothing, and so is ``mark`` a currency's."""

    sign: str
    mark: str
    number: str
    percent: bool


def read_number(text: str, unit: str, currency: str | None = None) -> float:
    """Return the number that a cell holds.

    ``1,234`` is grouped thousands and so 1234, in money and counts; elsewhere it is refused, for
    it may be a decimal comma. ``1.234`` is 1.234 everywhere.

    Parameters
    ----------
    text
        The cell.
    unit
        What the column holds, as `riskshare.parameters.Parameter` has it: ``money...`` may carry
        a mark of currency, ``share...``, ``rate...`` and ``index...`` a percent sign.
    currency
        ISO 4217 code of the case, which a mark must agree with; without one, marks are refused.

    Returns
    -------
    float
        The finite number nearest to the text.

    Raises
    ------
    NumberError
        If the text is no number, could mean two, or carries a mark that does not belong there.

    Examples
    --------
    >>> read_number("(1,234.50)", "money"), read_number("12.5%", "share of price")
    (-1234.5, 0.125)
    >>> read_number("12,34", "money")
    Traceback (most recent call last):
        ...
    riskshare.files.numbers.NumberError: did you mean 12.34 or 1234? write it so
    """
    parts = _parts(text)
    _check_mark(parts.mark, unit, currency)
    return _value(parts, unit)


def hint(text: str, unit: str) -> str:
    """Return which number a text may mean where a bare number should stand, or nothing."""
    try:
        parts = _parts(text)
        _check_mark(parts.mark, unit, _SIGNS.get(parts.mark, (parts.mark,))[0])
        return _question(shown(_value(parts, unit)))
    except NumberError as error:
        return str(error)


def refusal(text: str, reason: str, accepted: str) -> str:
    """Return the message of a cell that is not read."""
    found = repr(text if len(text) <= 60 else f"{text[:56]} ...")
    return "; ".join(part for part in (f"found {found}", reason, f"accepted: {accepted}") if part)


def _parts(text: str) -> _Parts:
    body = text.translate(_SPELT_ALIKE).strip()
    brackets = _BRACKETS.fullmatch(body)
    if brackets:
        before, inside, after = brackets.group("before", "inside", "after")
        body = f"-{before or ''}{inside}{after or ''}"
    found = _CELL.fullmatch(body)
    if not found:
        raise NumberError("")
    sign, before, inner, number, after = found.group("sign", "before", "inner", "number", "after")
    if (sign and inner) or (before and after):
        raise NumberError("")
    percent = after == "%"
    return _Parts(sign or inner or "", before or ("" if percent else after or ""), number, percent)


def _check_mark(mark: str, unit: str, currency: str | None) -> None:
    if not mark or (unit.startswith("money") and currency in _SIGNS.get(mark, (mark,))):
        return
    if not unit.startswith("money"):
        raise NumberError(f"{mark!r} does not belong here, this is no money ({unit})")
    if currency is None:
        raise NumberError(f"{mark!r} cannot be compared with the case's currency; leave it out")
    raise NumberError(f"{mark!r} is not {currency}, the currency of the case; give {currency}")


def _value(parts: _Parts, unit: str) -> float:
    digits, minus = parts.number, "-" if parts.sign == "-" else ""
    plain = _PLAIN.fullmatch(digits)
    if parts.percent and not unit.startswith(("share", "rate", "index")):
        raise NumberError(f"a percentage is not read here ({unit}); give the number itself")
    if plain and parts.percent and plain["exponent"]:
        raise NumberError("")
    if _CUT.fullmatch(digits):
        raise NumberError("it may be the end of a number cut at its comma, which needs quotes")
    if not plain:
        thousands = unit.startswith("money") or unit in _COUNTS
        if not (thousands and _GROUPED.fullmatch(digits)):
            end = "%" if parts.percent else ""
            raise NumberError(_question(*(f"{minus}{word}{end}" for word in _readings(digits))))
        digits = digits.translate(_UNGROUPED)
    # in decimal, so that 5% is the float nearest to 0.05
    value = float(f"{minus}{digits}{'e-2' if parts.percent else ''}")
    if not math.isfinite(value):
        raise NumberError("it is too large")
    if parts.percent:
        _check_level(value, parts.sign, unit)
    return value


def _check_level(value: float, sign: str, unit: str) -> None:
    """Refuse the percentage of an index that may be a change: +3% is 1.03 to most people."""
    low = unit == PLAN_INDEX and value < _LOW_LEVEL
    if unit.startswith("index") and (sign or low):
        levels = (value, 1 + value) if value >= 0 else (1 + value,)
        raise NumberError(_question(*(f"{level:.12g}" for level in levels)))


def _readings(digits: str) -> list[str]:
    """Return the numbers that digits with signs between them may mean, most likely first."""
    bare = digits.translate(_UNGROUPED)
    gaps = set(digits) & set(",' ")
    last = max(digits.rfind(gap) for gap in ",' ")
    head, comma, tail = digits.rpartition(",")
    found = []
    if comma and "," not in head and tail.isdigit():
        found.append(f"{head.translate(_UNGROUPED).replace('.', '')}.{tail}")
    if len(gaps) == 1 and ("." not in digits or digits.rfind(".") > last):
        found.append(bare)
    if _POINTS.fullmatch(digits):
        found.append(digits.replace(".", ""))
    if not gaps:
        found.append(re.sub("^0+(?=[0-9])", "", digits))
    return [word for word in found if _PLAIN.fullmatch(word)]


def _question(*readings: str) -> str:
    return f"did you mean {' or '.join(readings)}? write it so" if readings else ""


def shown(value: float) -> str:
    """Return a number as a person would write it: whole ones without a point."""
    whole = value.is_integer() and abs(value) < 2**53
    return str(int(value)) if whole else repr(value)
