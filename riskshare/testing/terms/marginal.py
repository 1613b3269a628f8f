"""How the terms are drawn that pay at the margin, and support while cost follows."""

from riskshare.contract.marginal import (
    Band,
    BreakGlass,
    MarginalRate,
    MarketShift,
    RevenueCompensation,
)
from riskshare.contract.support import StrandedSupport
from riskshare.contract.term import AbstractTerm
from riskshare.parameters import Given
from riskshare.testing.setting import Setting, strategy_for


@strategy_for("marginal-rate")
def _marginal_rate(setting: Setting) -> AbstractTerm:
    lines = setting.some_lines()
    per = setting.word(MarginalRate, "per")
    every = {"line": lines or setting.lines}
    own = every if per == "line" else {"line": ()}
    banded, glass = setting.chance(0.5), setting.chance(0.6)
    tolerance = not banded and setting.chance(0.6)

    def rate(cls: type) -> Given:
        return setting.numbers(cls, "rate", 0, 1.5, **own)

    def edge(cls: type, name: str, place: int) -> Given:
        return setting.numbers(cls, name, 0.05 * place, 0.05 * place + 0.04, **own)

    count = setting.pick.randint(1, 3)
    bands = [Band(beyond=edge(Band, "beyond", i), rate=rate(Band)) for i in range(count)]
    cap = setting.perhaps(2, MarginalRate, "cap", 0, 0.3, **own)
    collar = setting.perhaps(2, MarginalRate, "collar", 0, 0.3, **own)
    limited = per == "total" and (cap is not None or collar is not None)
    return MarginalRate(
        lines=lines,
        per=per,
        rate=None if banded else rate(MarginalRate),
        tolerance=edge(MarginalRate, "tolerance", 0) if tolerance else None,
        bands=bands if banded else (),  # type: ignore[arg-type]  # lists become tuples
        break_glass=BreakGlass(
            threshold=edge(BreakGlass, "threshold", 4),
            rate=rate(BreakGlass),
            reading=setting.word(BreakGlass, "reading"),
        )
        if glass
        else None,
        base=setting.perhaps(2, MarginalRate, "base", 0, 2e6, **every),
        target=setting.perhaps(2, MarginalRate, "target", 0.5, 1.2, **every),
        cap=cap,
        collar=collar,
        fund=setting.perhaps(2, MarginalRate, "fund", 0, 1e6) if limited else None,
        low_volume=setting.perhaps(3, MarginalRate, "low_volume", 0, 1e6),
        **setting.common(),
    )


@strategy_for("revenue-compensation")
def _revenue_compensation(setting: Setting) -> AbstractTerm:
    lines = setting.some_lines()
    own = {"line": lines or setting.lines}
    return RevenueCompensation(
        lines=lines,
        budget=setting.perhaps(2, RevenueCompensation, "budget", 0, 2e6, **own),
        shortfall=setting.numbers(RevenueCompensation, "shortfall", 0, 1, **own),
        excess=setting.numbers(RevenueCompensation, "excess", 0, 1, **own),
        **setting.common(),
    )


@strategy_for("market-shift")
def _market_shift(setting: Setting) -> AbstractTerm | None:
    if len(setting.lines) < 2:
        return None
    return MarketShift(
        lines=setting.some_lines(at_least=2),
        factor=setting.numbers(MarketShift, "factor", 0, 1),
        **setting.common(),
    )


@strategy_for("stranded-support")
def _stranded_support(setting: Setting) -> AbstractTerm | None:
    if not setting.line_parts:
        return None
    label, lines = next(iter(setting.line_parts.items()))
    own = {"line": lines or setting.lines}
    paid = any(b.name == "paid" and b.stranded_support == label for b in setting.budgets)
    common = setting.common(("payment",))
    return StrandedSupport(
        lines=lines or None,
        share=setting.numbers(StrandedSupport, "share", 0, 1, **own),
        of=setting.word(StrandedSupport, "of"),
        basis=setting.word(StrandedSupport, "basis"),
        taper=setting.numbers(StrandedSupport, "taper", 0, 1),
        paid_in="paid" if paid else None,
        **common,
    )
