"""The words: axis names, partner kinds, phases and currencies. Everything else imports these."""

from typing import Literal, get_args

SAMPLE, YEAR, LINE, PARTNER, TERM = "sample", "year", "line", "partner", "term"
DRIVER, POPULATION, GROUP, LEVEL, STATE = "driver", "population", "partner_group", "level", "state"

PartnerKind = Literal["payer", "provider", "council", "pool", "external"]
PARTNER_KINDS: tuple[str, ...] = get_args(PartnerKind)

Phase = Literal["payment", "cover", "sharing", "backstop", "organisation"]
PHASES: tuple[str, ...] = get_args(Phase)

SYSTEM = "system"
"""The group of every partner but the external ones."""

ALL_YEARS = "all"
"""The label of the sum over years in a summary."""

BEFORE = "before"
"""The price base of a case whose prices are those of the year before its first."""

ACCOUNTS = "accounts"
"""The contract that closes pool accounts; a case may not name one of its own so."""

LEVELS = (0.005, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.995)
"""Levels of quantile, value at risk and tail value at risk in a summary."""

_DECIMALS = {
    **dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "UGX", "VND", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
_SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$", "JPY": "¥"}


def decimals(currency: str) -> int:
    """Return the number of decimals of a currency's smallest unit (ISO 4217; 2 unless listed)."""
    return _DECIMALS.get(currency, 2)


def symbol(currency: str) -> str:
    """Return the sign to print before money: ``£`` for GBP, the code and a space otherwise."""
    return _SYMBOLS.get(currency, f"{currency} ")


def delivery_name(change: str) -> str:
    """Return the driver that holds a change's delivery: ``delivery[<change>]``."""
    return f"delivery[{change}]"


def delay_name(change: str) -> str:
    """Return the driver that holds a change's delay in years: ``delay[<change>]``."""
    return f"delay[{change}]"


def quality_name(partner: str) -> str:
    """Return the driver that holds a partner's quality score: ``quality[<partner>]``."""
    return f"quality[{partner}]"


def other_name(partner: str) -> str:
    """Return the driver of the rest of an organisation: ``other[<partner>]``."""
    return f"other[{partner}]"


def members_name(population: str) -> str:
    """Return the driver that holds a population's members index: ``members[<population>]``."""
    return f"members[{population}]"
