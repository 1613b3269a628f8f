"""How each kind of term is drawn, with every option it has."""

from riskshare.contract.marginal import Band, BreakGlass, MarginalRate
from riskshare.contract.payment import ActivityPayment, Block, CapitatedBudget, Funding
from riskshare.contract.rule import Cap, Corridor
from riskshare.contract.sharing import Pool
from riskshare.contract.support import StrandedSupport
from riskshare.contract.term import AbstractTerm
from riskshare.names import PHASES
from riskshare.parameters import Given
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


@strategy_for("marginal-rate")
def _marginal_rate(setting: Setting) -> AbstractTerm:
    lines = setting.some_lines()
    per = setting.pick.choice(["line", "total"])
    own = {"line": lines or setting.lines if per == "line" else ()}
    banded, glass = setting.chance(0.5), setting.chance(0.6)
    tolerance = not banded and setting.chance(0.6)

    def rate(cls: type) -> Given:
        return setting.numbers(cls, "rate", 0, 1.5, **own)

    def edge(cls: type, name: str, place: int) -> Given:
        return setting.numbers(cls, name, 0.05 * place, 0.05 * place + 0.04, **own)

    count = setting.pick.randint(1, 3)
    bands = [Band(beyond=edge(Band, "beyond", i), rate=rate(Band)) for i in range(count)]
    return MarginalRate(
        lines=lines,
        per=per,  # type: ignore[arg-type]  # one of the two
        rate=None if banded else rate(MarginalRate),
        tolerance=edge(MarginalRate, "tolerance", 0) if tolerance else None,
        bands=bands if banded else (),  # type: ignore[arg-type]  # lists become tuples
        break_glass=BreakGlass(
            threshold=edge(BreakGlass, "threshold", 4),
            rate=rate(BreakGlass),
            reading=setting.pick.choice(["excess-only", "whole-deviation"]),
        )
        if glass
        else None,
        base=setting.numbers(MarginalRate, "base", 0, 2e6, line=lines or setting.lines)
        if setting.chance(0.4)
        else None,
        cap=setting.numbers(MarginalRate, "cap", 0, 0.3, **own) if setting.chance(0.5) else None,
        collar=setting.numbers(MarginalRate, "collar", 0, 0.3, **own)
        if setting.chance(0.5)
        else None,
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
        of=setting.pick.choice(["value removed", "stranded cost"]),
        basis=setting.pick.choice(["planned", "realised"]),
        taper=setting.numbers(StrandedSupport, "taper", 0, 1),
        paid_in="paid" if paid else None,
        **common,
    )


@strategy_for("pool")
def _pool(setting: Setting) -> AbstractTerm | None:
    common = setting.common(PHASES[2:])
    runs_in = PHASES.index(common["phase"] or "sharing")
    before = [term for term in setting.earlier if PHASES.index(term.runs_in) <= runs_in]
    budgets = [budget for budget in setting.budgets if budget.name == "target"]
    if not before or not budgets:
        return None
    budget = budgets[0]
    posted = [t.label for t in before if isinstance(t, StrandedSupport) and t.paid_in is None]
    named = [label for label in posted if label == budget.stranded_support]
    usable = [term.label for term in before if term.label not in posted]
    against = setting.pick.sample(usable, setting.pick.randint(1, len(usable))) + named
    keys = ["fixed", "proportional"] + ["influence"] * 2 * setting.influence
    key = setting.pick.choice(keys)
    weights = {name: 100 * share for name, share in setting.key().items()}
    corridors = [
        Corridor(
            beyond=setting.numbers(Corridor, "beyond", 0.03 * i, 0.03 * i + 0.02),
            rate=setting.numbers(Corridor, "rate", 0, 1),
        )
        for i in range(setting.pick.randint(0, 3))
    ]
    return Pool(
        budget="target",
        against=against,  # type: ignore[arg-type]  # lists become tuples
        holder=setting.partner(),
        key=key,  # type: ignore[arg-type]  # one of the three
        share=setting.key() if key == "fixed" else None,
        loss_share=setting.key() if key == "fixed" and setting.chance(0.5) else None,
        weights=weights if key == "proportional" else None,
        corridors=corridors,  # type: ignore[arg-type]  # lists become tuples
        caps=[
            Cap(
                limit=setting.numbers(Cap, "limit", 0, 0.2),
                of="budget",
                applies=setting.pick.choice(["before-share", "after-share"]),
            )
        ]
        if setting.chance(0.5)
        else [],
        lines=setting.some_lines() if key == "influence" else None,
        **common,
    )
