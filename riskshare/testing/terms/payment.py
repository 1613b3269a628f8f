"""How the terms are drawn that turn activity into money."""

from riskshare.contract.payment import (
    ActivityPayment,
    Block,
    CapitatedBudget,
    CostReimbursement,
    Funding,
    Levy,
)
from riskshare.contract.term import AbstractTerm
from riskshare.testing.setting import Setting, strategy_for


@strategy_for("funding")
def _funding(setting: Setting) -> AbstractTerm | None:
    if len(setting.partners) < 2:
        return None
    from_, to = setting.two_partners()
    return Funding(
        from_=from_,
        to=to,
        amount=setting.numbers(Funding, "amount", 0, 2e6),
        driver=setting.funding_driver if setting.chance(0.6) else None,
        **setting.common(),
    )


@strategy_for("levy")
def _levy(setting: Setting) -> AbstractTerm:
    return Levy(
        to=setting.partner(),
        rate={name: setting.numbers(Levy, "rate", 0, 0.05, partner=()) for name in setting.levied},
        **setting.common(),
    )


@strategy_for("capitated-budget")
def _capitated_budget(setting: Setting) -> AbstractTerm | None:
    paid = [budget for budget in setting.budgets if budget.name == "paid"]
    if len(setting.partners) < 2 or not paid:
        return None
    from_, to = setting.two_partners()
    return CapitatedBudget(from_=from_, to=to, budget="paid", **setting.common())


@strategy_for("block")
def _block(setting: Setting) -> AbstractTerm:
    uplift = setting.numbers(Block, "uplift", -0.05, 0.05)
    if setting.chance(0.4):
        return Block(
            amount=setting.numbers(Block, "amount", 0, 1e6),
            from_=setting.partner(),
            to=setting.partner(),
            uplift=uplift,
            **setting.common(),
        )
    return Block(lines=setting.some_lines(), uplift=uplift, **setting.common())


@strategy_for("activity-payment")
def _activity_payment(setting: Setting) -> AbstractTerm:
    lines = setting.some_lines()
    own = {"line": lines or setting.lines}
    return ActivityPayment(
        lines=lines,
        share=setting.numbers(ActivityPayment, "share", 0, 1.2, **own),
        market_forces_factor=setting.numbers(
            ActivityPayment, "market_forces_factor", 0.9, 1.2, **own
        ),
        **setting.common(),
    )


@strategy_for("cost-reimbursement")
def _cost_reimbursement(setting: Setting) -> AbstractTerm:
    lines = setting.some_lines()
    share = setting.numbers(CostReimbursement, "share", 0, 1.2, line=lines or setting.lines)
    return CostReimbursement(lines=lines, share=share, **setting.common())
