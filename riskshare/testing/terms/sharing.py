"""How the pool is drawn: what was spent, the rule, the key, and how years hang together."""

from typing import Any

from riskshare.contract.benchmark import Rebasing, Truncation
from riskshare.contract.rule import Cap, Corridor, Gate, Quality, Scale
from riskshare.contract.sharing import Pool
from riskshare.contract.support import StrandedSupport
from riskshare.contract.term import AbstractTerm
from riskshare.names import PHASES
from riskshare.testing.setting import Setting, shares, strategy_for


@strategy_for("pool")
def _pool(setting: Setting) -> AbstractTerm | None:
    common = setting.common(PHASES[2:])
    spend = _spend(setting, common["phase"] or Pool.usual_phase)
    if spend is None:
        return None
    key = _key(setting, setting.before(common["phase"] or Pool.usual_phase))
    truncated = setting.persons and setting.deck.option("truncation", 2)
    truncation = _truncation(setting) if truncated else None
    of_lines = key["key"] == "influence" or truncation is not None
    return Pool(
        budget="target",
        holder=setting.partner(),
        discount=setting.perhaps(3, Pool, "discount", 0, 0.1),
        completion=setting.perhaps(3, Pool, "completion", 0.5, 1),
        truncation=truncation,
        period="year" if key["key"] == "influence" else setting.word(Pool, "period"),
        rebasing=_rebasing(setting) if setting.deck.option("rebasing", 3) else None,
        lines=setting.some_lines() if of_lines else None,
        **spend,
        **key,
        **_rule(setting),
        **common,
    )


def _spend(setting: Setting, phase: str) -> dict[str, Any] | None:
    """Choose what is held against the budget; support counts where the budget includes it."""
    target = next((b for b in setting.budgets if b.name == "target"), None)
    known = setting.before(phase)
    if target is None or not known:
        return None
    supports = [t for t in setting.earlier if isinstance(t, StrandedSupport)]
    named = [t for t in supports if t.label == target.stranded_support]
    if target.stranded_support is not None and not named:
        return None
    posted = [t.label for t in supports if t.paid_in is None]
    must = [t.label for t in named if t.paid_in is None]
    usable = [label for label in known if label not in posted]
    against = setting.deck.deal("spend", ["against", "cost_of", "against", "value_of"])
    if must or (usable and against == "against"):
        chosen = setting.some_terms(usable) if usable else ()
        return {"against": (*chosen, *must)}
    lines = tuple(setting.pick.sample(setting.lines, setting.pick.randint(1, len(setting.lines))))
    return {"cost_of" if against == "against" else against: lines}


def _key(setting: Setting, known: list[str]) -> dict[str, Any]:
    """Choose a key and what goes with it."""
    # the key by conditional mean needs a run of its own first
    usable = ["fixed", "equal", "proportional", "equity", "contribution", "budget"]
    usable += ["performance"] * bool(setting.scored) + ["influence"] * setting.influence
    usable += ["need"] * bool(setting.labels["population"])
    key = setting.word(Pool, "key", usable)
    fields: dict[str, Any] = {"key": key}
    taker = key != "influence" and setting.deck.option("taker", 3)
    if taker:
        fields["taker"] = setting.partner()
    if key != "influence":
        fields["maximum"] = setting.perhaps(3, Pool, "maximum", 0, 1e6)
    if key == "fixed":
        fields["share"] = _shares(setting, taker)
        fields["loss_share"] = None
        if setting.deck.option("loss_share", 2):
            fields["loss_share"] = _shares(setting, taker)
    elif key in ("proportional", "equity"):
        fields["weights"] = {name: 100 * share for name, share in setting.key().items()}
    elif key == "contribution":
        fields["contributions"] = setting.some_terms(known)
    elif key in ("equal", "budget"):
        fields["between"] = setting.some(setting.partners)
    elif key == "performance":
        fields["between"] = setting.some(setting.scored)
        fields["weights"] = setting.perhaps(2, Pool, "weights", 0, 3)
    elif key == "need":
        served = setting.partners
        fields["people"] = {name: setting.number(0.1, 1) for name in served if name != "external"}
    return fields


def _shares(setting: Setting, taker: bool) -> dict[str, float]:
    """Draw shares that sum to one, or to less where somebody takes the rest."""
    if not taker:
        return setting.key()
    drawn = shares(setting.draw, (*setting.partners, "rest"))
    return {name: drawn[name] for name in setting.partners}


def _rule(setting: Setting) -> dict[str, Any]:
    """Choose what part of the result is shared."""
    rates = setting.deck.deal("rates", ["corridors", "rate", "none"])
    scored = bool(setting.scored) and setting.deck.option("quality", 2)
    return {
        "gate": _gate(setting) if setting.deck.option("gate", 2) else None,
        "rate": setting.numbers(Pool, "rate", 0, 1) if rates == "rate" else None,
        "corridors": _corridors(setting) if rates == "corridors" else (),
        "quality": _quality(setting, rates) if scored else None,
        "scalar": setting.perhaps(3, Pool, "scalar", 0, 1),
        "caps": tuple(_cap(setting) for _ in range(setting.pick.randint(0, 2))),
        "relief": setting.perhaps(3, Pool, "relief", 0, 1),
    }


def _gate(setting: Setting) -> Gate:
    scale = None
    people = setting.labels["population"]
    if people and setting.deck.option("scale", 2):
        count = setting.pick.randint(2, 4)
        scale = Scale(
            population=setting.pick.choice(people),
            members=tuple(10_000.0 * i + setting.number(0, 9000) for i in range(count)),
            rate=tuple(setting.number(0, 0.04) for _ in range(count)),
            weight=setting.numbers(Scale, "weight", 0, 1),
        )
    reading = setting.word(Gate, "reading")
    first = reading == "first-dollar"
    return Gate(
        threshold=setting.numbers(Gate, "threshold", 0, 0.05),
        reading=reading,
        scale=scale,
        missed=setting.perhaps(2, Gate, "missed", 0, 1) if first else None,
    )


def _corridors(setting: Setting) -> tuple[Corridor, ...]:
    # a band that counts from elsewhere jumps at its edge, which no result may hit by rounding
    return tuple(
        Corridor(
            beyond=setting.numbers(Corridor, "beyond", 0.03 * i + 0.001, 0.03 * i + 0.021),
            rate=setting.numbers(Corridor, "rate", 0, 1),
            counted_from=setting.perhaps(3, Corridor, "counted_from", -0.05, 0.1),
        )
        for i in range(setting.pick.randint(1, 3))
    )


def _quality(setting: Setting, rates: str) -> Quality:
    own = {} if rates == "corridors" else {"weight": 1.0, "offset": 1.0}
    return Quality(
        partner=setting.one(setting.scored),
        standard=setting.perhaps(2, Quality, "standard", 0, 1),
        floor=setting.numbers(Quality, "floor", 0, 0.5),
        ceiling=setting.numbers(Quality, "ceiling", 0.5, 1),
        withhold=setting.perhaps(2, Quality, "withhold", 0, 0.1),
        **{name: setting.numbers(Quality, name, 0, most) for name, most in own.items()},
    )


def _cap(setting: Setting) -> Cap:
    of = setting.word(Cap, "of")
    return Cap(
        limit=setting.numbers(Cap, "limit", 0, 0.2),
        of=of,
        applies=setting.word(Cap, "applies"),
        revenue=setting.numbers(Cap, "revenue", 0, 5e6) if of == "revenue" else None,
    )


def _truncation(setting: Setting) -> Truncation:
    benchmark = setting.word(Truncation, "benchmark")
    excess = benchmark == "untruncated"
    return Truncation(
        at=setting.numbers(Truncation, "at", 0, 100_000),
        benchmark=benchmark,
        expected_excess=setting.numbers(Truncation, "expected_excess", 0, 0.2) if excess else None,
    )


def _rebasing(setting: Setting) -> Rebasing:
    return Rebasing(
        weight=setting.numbers(Rebasing, "weight", 0, 1),
        growth=setting.numbers(Rebasing, "growth", -0.05, 0.1),
        savings_adjustment=setting.numbers(Rebasing, "savings_adjustment", 0, 1),
        direction=setting.word(Rebasing, "direction"),
        lag=setting.pick.randint(1, 2),
    )
