"""How the terms are drawn that protect: stop-loss, profit caps, support and what fills it."""

from riskshare.contract.protection import DeficitSupport, ProfitCap, StopLoss, SurplusReturn
from riskshare.contract.term import AbstractTerm
from riskshare.testing.setting import Setting, strategy_for


@strategy_for("stop-loss")
def _stop_loss(setting: Setting) -> AbstractTerm | None:
    if not setting.persons or len(setting.partners) < 2:
        return None
    from_, to = setting.two_partners()
    return StopLoss(
        from_=from_,
        to=to,
        lines=setting.some_lines(),
        attachment=setting.numbers(StopLoss, "attachment", 0, 50_000),
        limit=setting.perhaps(2, StopLoss, "limit", 60_000, 300_000),
        coinsurance=setting.numbers(StopLoss, "coinsurance", 0, 1),
        premium=setting.numbers(StopLoss, "premium", 0, 1e5),
        **setting.common(),
    )


@strategy_for("profit-cap")
def _profit_cap(setting: Setting) -> AbstractTerm | None:
    common = setting.common()
    known = setting.before(common["phase"] or ProfitCap.usual_phase)
    if not known or len(setting.partners) < 2:
        return None
    from_, to = setting.two_partners()
    return ProfitCap(
        from_=from_,
        to=to,
        rate=setting.numbers(ProfitCap, "rate", 0, 0.3),
        revenue=setting.some_terms(known),
        **common,
    )


@strategy_for("deficit-support")
def _deficit_support(setting: Setting) -> AbstractTerm:
    from_ = setting.partner()
    return DeficitSupport(
        from_=from_,
        share=setting.by_partner(DeficitSupport, "share", 0, 1, from_),
        floor=setting.numbers(DeficitSupport, "floor", 0, 1e6),
        limit=setting.perhaps(2, DeficitSupport, "limit", 0, 1e6),
        **setting.common(),
    )


@strategy_for("surplus-return")
def _surplus_return(setting: Setting) -> AbstractTerm:
    to = setting.partner()
    return SurplusReturn(
        to=to,
        share=setting.by_partner(SurplusReturn, "share", 0, 1, to),
        kept=setting.numbers(SurplusReturn, "kept", 0, 1e6),
        **setting.common(),
    )
