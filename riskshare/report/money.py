"""Money as people read it: one unit for a whole table, a sign, and thousands set apart."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from riskshare.names import decimals, symbol


@dataclass(frozen=True)
class MoneyFormat:
    """How to print amounts of one currency: divided by ``scale``, with ``places`` decimals."""

    sign: str
    scale: float
    suffix: str
    places: int

    @property
    def unit(self) -> str:
        """The unit to put at the head of a table: ``£m``, ``£k``, ``£``."""
        return f"{self.sign.strip()}{self.suffix}"

    def plain(self, amount: float) -> str:
        """Return an amount in the unit, without the unit: ``-1,234.5``."""
        if math.isnan(amount):
            return "-"
        text = f"{amount / self.scale:,.{self.places}f}"
        return text.removeprefix("-") if not text.strip("-0.,") else text

    def spoken(self, amount: float) -> str:
        """Return an amount with its unit: ``-£1.23m``."""
        text = self.plain(amount)
        lead = "-" if text.startswith("-") else ""
        return f"{lead}{self.sign}{text.removeprefix('-')}{self.suffix}"

    def signed(self, amount: float) -> str:
        """Return an amount in the unit with its sign: ``+1,234.50``; nothing has none."""
        text = self.plain(amount)
        return f"+{text}" if amount > 0 and text.strip("0.,") else text

    def error(self, amount: float) -> str:
        """Return a standard error in the unit; one that rounds to nothing as ``<0.001``."""
        if math.isnan(amount):
            return "-"
        least = 10.0**-self.places
        scaled = amount / self.scale
        small = 0 < scaled < least / 2
        return f"<{least:.{self.places}f}" if small else f"{scaled:,.{self.places}f}"

    def price(self, amount: float) -> str:
        """Return money for one unit of activity; a price may have more decimals than money."""
        finer = MoneyFormat(self.sign, self.scale, self.suffix, self.places + 4)
        whole, _, decimals_ = finer.plain(amount).partition(".")
        shown = decimals_.rstrip("0").ljust(self.places, "0")
        return f"{whole}.{shown}" if shown else whole


def number(value: float, places: int = 4) -> str:
    """Return a count or an index, without decimals it does not have: ``32,000``, ``1.02``."""
    if math.isnan(value):
        return "-"
    text = f"{value:,.{places}f}".rstrip("0").rstrip(".") if places else f"{value:,.0f}"
    return "0" if text == "-0" else text


def percent(share: float) -> str:
    """Return a share as a percentage: ``30 %``, ``1.25 %``."""
    return f"{number(100 * share)} %"


def readable(currency: str, amounts: Iterable[float]) -> MoneyFormat:
    """Return the unit in which amounts of a currency are best read together."""
    largest = max((abs(amount) for amount in amounts if math.isfinite(amount)), default=0.0)
    sign = symbol(currency)
    if largest >= 1e9:
        return MoneyFormat(sign, 1e6, "m", 1)
    if largest >= 1e5:
        return MoneyFormat(sign, 1e6, "m", 3)
    if largest >= 1e3:
        return MoneyFormat(sign, 1e3, "k", 2)
    return MoneyFormat(sign, 1.0, "", decimals(currency))


def exact(currency: str) -> MoneyFormat:
    """Return the format of settled money: every minor unit shown."""
    return MoneyFormat(symbol(currency), 1.0, "", decimals(currency))
