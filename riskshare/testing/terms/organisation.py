"""How the terms are drawn that are about whole organisations."""

from riskshare.contract.organisation import (
    ControlTotalFunding,
    InvestToSave,
    PerformancePayment,
    Withhold,
)
from riskshare.contract.term import AbstractTerm
from riskshare.parameters import declaration_of
from riskshare.testing.setting import Setting, strategy_for


@strategy_for("control-total-funding")
def _control_total_funding(setting: Setting) -> AbstractTerm:
    from_ = setting.partner()
    bonus = setting.chance(0.5)
    return ControlTotalFunding(
        from_=from_,
        system=setting.some(setting.organisations),
        amount=setting.by_partner(ControlTotalFunding, "amount", 0, 1e6, from_),
        own=setting.numbers(ControlTotalFunding, "own", 0, 1),
        accepted=setting.given(
            declaration_of(ControlTotalFunding, "accepted"), lambda: float(setting.maybe())
        ),
        bonus=setting.numbers(ControlTotalFunding, "bonus", 0, 1) if bonus else None,
        bonus_limit=setting.by_partner(ControlTotalFunding, "bonus_limit", 0, 1e6, from_)
        if bonus
        else None,
        **setting.common(),
    )


@strategy_for("withhold")
def _withhold(setting: Setting) -> AbstractTerm | None:
    common = setting.common()
    known = setting.before(common["phase"] or Withhold.usual_phase)
    if not known or not setting.scored or len(setting.partners) < 2:
        return None
    from_ = setting.one(setting.scored)
    others = tuple(name for name in setting.partners if name != from_)
    return Withhold(
        from_=from_,
        to=setting.one(others),
        of=setting.some_terms(known),
        share=setting.numbers(Withhold, "share", 0, 1),
        **common,
    )


@strategy_for("performance-payment")
def _performance_payment(setting: Setting) -> AbstractTerm | None:
    if len(setting.partners) < 2:
        return None
    from_, to = setting.two_partners()
    return PerformancePayment(
        from_=from_,
        to=to,
        lines=setting.some_lines(),
        amount=setting.numbers(PerformancePayment, "amount", 0, 1e6),
        target=setting.numbers(PerformancePayment, "target", 0.001, 0.3),
        release=setting.word(PerformancePayment, "release"),
        **setting.common(),
    )


@strategy_for("invest-to-save")
def _invest_to_save(setting: Setting) -> AbstractTerm | None:
    if len(setting.partners) < 2:
        return None
    from_, to = setting.two_partners()
    measure = setting.word(InvestToSave, "measure")
    stated = measure == "stated"
    return InvestToSave(
        from_=from_,
        to=to,
        lines=setting.some_lines(),
        investment=setting.numbers(InvestToSave, "investment", 0, 1e6),
        share=setting.numbers(InvestToSave, "share", 0, 1),
        measure=measure,
        saving=setting.numbers(InvestToSave, "saving", 0, 2e6) if stated else None,
        driver=setting.funding_driver if stated else None,
        floor=setting.perhaps(2, InvestToSave, "floor", 0, 1),
        **setting.common(),
    )
