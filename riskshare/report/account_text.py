"""The account of a settlement as people read it: what happened, each clause, who ends with what."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import xarray as xr
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from riskshare.bind import bind
from riskshare.case import Case
from riskshare.contract.sharing import Pool
from riskshare.report.account import rows_of
from riskshare.report.money import exact, number, percent
from riskshare.report.rows import ROUNDING, Row
from riskshare.report.whole import natural_width, print_whole
from riskshare.report.words import EFFECT_WORDS, LEADS, MET, MONEY, PRICE, SHARE, TOTAL, clause

PLAN = "†"
"""Marks what was not given with the actuals."""
_INDENT = 3


def print_account(console: Console, case: Case, settled: xr.Dataset) -> None:
    """Print the account of each settled year."""
    console.print(Text(f"{case.title or case.name}: statement of settlement", style="bold"))
    console.print(
        f"{case.currency}, rounded half to even to {settled.attrs['rounded_to']:g}. Every payment "
        "names payer and payee; what each partner receives and pays, less its cost, is its position"
        ", to the smallest unit."
    )
    titled = [partner for partner in case.partners if partner.title]
    if titled:
        console.print("Partners: " + "; ".join(f"{p.name}, {p.title}" for p in titled) + ".")
    for year in settled.year.values:
        _Printed(console, case, rows_of(case, settled, str(year))).year(str(year))
    filled = [str(cell) for cell in _listed(settled.attrs.get("filled_from_plan", []))]
    if filled:
        console.print()
        console.print(Text(f"Filled from plan, not actual: {', '.join(filled)}", style="bold"))


def _listed(value: object) -> Iterable[object]:
    if isinstance(value, str):
        return [value] if value else []
    return value if isinstance(value, Iterable) else []


class _Printed:
    """Prints the rows of one year."""

    def __init__(self, console: Console, case: Case, rows: Sequence[Row]) -> None:
        self.console, self.case, self.rows = console, case, rows
        self.unit = exact(case.currency)
        bound = bind(case)
        slots = zip(bound.structure.term_names, bound.numbers.yearly.terms, strict=True)
        self.terms = {name: slot.term for name, slot in slots}
        self.declared = {
            f"{contract.name}.{term.label}": term
            for contract in case.contracts
            for term in contract.terms
        }

    def year(self, year: str) -> None:
        """Print the year, section by section."""
        sections = (
            ("What happened", self.inputs),
            ("Budgets", self.budgets),
            ("Clauses, in the order in which they run", self.clauses),
            ("What it cost", self.cost),
            ("Where each partner ends", self.summary),
        )
        shown = [(title, part) for title, part in sections if title != "Budgets" or self._budgets()]
        for i, (title, part) in enumerate(shown):
            self.console.print()
            self.console.print(Text(f"{year}  {i + 1}. {title}", style="bold"))
            part()
        if any(row.from_plan for row in self.rows):
            self.console.print()
            self.console.print(
                Text(
                    f"{PLAN} Not given with the actuals: taken from plan, or worked out from what "
                    "was.",
                    style="dim",
                )
            )

    def _put(self, shown: Table, indent: int = _INDENT) -> None:
        width = natural_width(self.console, shown) + indent
        if width <= self.console.width:
            self.console.print(Padding(shown, (0, 0, 0, indent), expand=False))
        else:
            print_whole(self.console, shown)

    def _say(self, text: str, style: str = "") -> None:
        self.console.print(Padding(Text(text, style=style), (0, 0, 0, _INDENT), expand=False))

    def inputs(self) -> None:
        """Print activity, value and unit cost by line, then what else a term asked for."""
        by_line: dict[str, dict[str, Row]] = {line.name: {} for line in self.case.lines}
        others = []
        for row in self._of("input"):
            if row.part in by_line and not row.step.startswith(("members", "quality", "index")):
                by_line[row.part][row.step] = row
            else:
                others.append(row)
        activity = _table("line", "unit", ">baseline", ">plan", ">activity", ">less plan")
        money = _table("line", ">price", ">case mix", ">planned value", ">value", ">less plan")
        money.add_column("unit cost", justify="right", no_wrap=True)
        marked = any(row.from_plan for found in by_line.values() for row in found.values())
        for line in self.case.lines:
            found = by_line[line.name]

            def cell(step: str, found: dict[str, Row] = found) -> str:
                row = found.get(step)
                if row is None:
                    return "-"
                return self._figure(row) + ((PLAN if row.from_plan else " ") if marked else "")

            steps = ("baseline activity", "planned activity", "activity", "activity less plan")
            activity.add_row(line.name, line.unit, *(cell(step) for step in steps))
            cost = "cost as given" if "cost as given" in found else "unit cost"
            worth = ("price", "case mix", "planned value", "value", "value less plan", cost)
            money.add_row(line.name, *(cell(step) for step in worth))
        self._put(activity)
        self.console.print()
        self._put(money)
        self._say("Value is price x case mix x activity.", "dim")
        if any("cost as given" in found for found in by_line.values()):
            self._say("Where the cost of a line was given, it stands in place of its unit cost.")
        if others:
            self.console.print()
            shown = _table("measured", "", ">figure", ">plan")
            for row in others:
                plan = "-" if row.beyond != row.beyond else number(row.beyond)
                words = row.step.removesuffix(", against plan")
                shown.add_row(row.part, words, number(row.quantity), plan)
            self._put(shown)

    def _figure(self, row: Row) -> str:
        if row.quantity == row.quantity:
            return number(row.quantity)
        if row.rate == row.rate:
            return self.unit.price(row.rate)
        return self.unit.plain(row.amount)

    def _budgets(self) -> list[str]:
        return list(dict.fromkeys(row.term for row in self._of("budget")))

    def budgets(self) -> None:
        """Print the bridge of each budget."""
        for i, name in enumerate(self._budgets()):
            if i:
                self.console.print()
            rows = [row for row in self._of("budget") if row.term == name and row.shown]
            wide = any(row.part for row in rows)
            shown = _table(name, *([">units", ">rate"] if wide else []), ">amount")
            for row in rows:
                words = f"{row.step}: {row.part}" if row.part else row.step
                figures = [self._quantity(row.quantity, row.unit), self._rate(row)] if wide else []
                last = row.step.startswith("budget")
                shown.add_row(
                    words,
                    *figures,
                    self.unit.plain(row.amount),
                    style="bold" if last else "",
                )
            self._put(shown)
            users = [
                f"{full} ({'pays' if term.kind == 'capitated-budget' else 'is held against'} it)"
                for full, term in self.declared.items()
                if full.split(".")[0] == name.split(".")[0]
                and getattr(term, "budget", None) == name.split(".")[1]
            ]
            if users:
                self._say(f"Used by {', '.join(users)}.")

    def clauses(self) -> None:
        """Print each clause: what it is, its working, what moves, and to whom in all."""
        names = dict.fromkeys(row.term for row in self._of("working", "posting"))
        for i, name in enumerate(names):
            if i:
                self.console.print()
            head = Text.assemble((f"{i + 1}  {name}", "bold"), f": {clause(self.terms[name])}")
            self.console.print(head, soft_wrap=True)
            for text in self._details(name):
                self._say(text)
            working = [row for row in self._of("working") if row.term == name]
            self._working(working)
            self._moves([row for row in self._of("posting") if row.term == name])

    def _details(self, name: str) -> Iterator[str]:
        term = self.declared.get(name)
        if isinstance(term, Pool):
            yield f"Held by {term.holder}; shared by the {term.key} key."
            if term.key == "influence":
                key = self.case.residual_key or {}
                shares = ", ".join(f"{p} {percent(s)}" for p, s in key.items() if s)
                yield (
                    f"Residual key: {shares}. What is to be shared goes by it; the effect of each "
                    "driver goes from who bears it to the residual key, net."
                )
        if getattr(term, "per", "line") == "total":
            yield "On the sum over its lines, split over them by base."
        if getattr(term, "paid_in", None):
            yield f"Paid in the budget {term.paid_in}, so nothing moves here."  # type: ignore[union-attr]  # it has the field
        if term is not None and not term.recurrent:
            yield "Not recurrent: left out of the underlying position."
        if term is not None and term.cash is not None:
            yield "Earned in the year; paid later, as its cash profile says."

    def _working(self, rows: Sequence[Row]) -> None:
        shown = [row for row in rows if row.shown]
        hidden = len(rows) - len(shown)
        effects = [row for row in shown if row.step.startswith(EFFECT_WORDS)]
        shown = [row for row in shown if row not in effects]
        if shown:
            parts = all(row.part for row in shown)
            heads = ["for"] if parts else []
            against = any(row.beyond == row.beyond for row in shown)
            rated = any(row.rate == row.rate for row in shown)
            counted = any(row.quantity == row.quantity or row.role == LEADS for row in shown)
            less = any(row.role == LEADS and row.quantity == row.quantity for row in shown)
            summed = any(row.amount == row.amount and row.role != LEADS for row in shown)
            heads += ["working", *([">of"] if counted else []), *([">against"] if against else [])]
            heads += [*([">difference"] if less else []), *([">rate"] if rated else [])]
            table = _table(*heads, *([">amount"] if summed else []))
            last = None
            for row in shown:
                cells = [row.part if row.part != last else ""] if parts else []
                last = row.part
                cells.append(row.step if parts or not row.part else f"{row.step}: {row.part}")
                money = "" if row.amount != row.amount else self.unit.plain(row.amount)
                leads = row.role == LEADS
                alone = leads and row.quantity != row.quantity
                if counted:
                    cells.append(money if alone else self._quantity(row.quantity, row.unit))
                if against:
                    cells.append(self._quantity(row.beyond, row.unit))
                if less:
                    cells.append(money if leads and not alone else "")
                if rated:
                    cells.append(self._rate(row))
                if summed:
                    cells.append("" if leads else money)
                table.add_row(*cells, style="bold" if row.role == TOTAL else "")
            self._put(table)
        if effects:
            table = _table("driver", ">effect on line value", "borne by")
            for row in effects:
                who = row.step.partition("borne by ")[2]
                table.add_row(row.part, self.unit.plain(row.quantity), who)
            self.console.print()
            self._put(table)
        if hidden:
            words = (
                "1 step that does not apply or gives"
                if hidden == 1
                else (f"{hidden} steps that do not apply or give")
            )
            self._say(f"Not shown: {words} nothing.", "dim")

    def _quantity(self, value: float, unit: str) -> str:
        if value != value:
            return ""
        if unit == MONEY:
            return self.unit.plain(value)
        return percent(value) if unit == SHARE else number(value)

    def _rate(self, row: Row) -> str:
        if row.rate != row.rate:
            return ""
        if row.rate_unit == PRICE:
            return self.unit.price(row.rate)
        if row.rate_unit == MET and row.rate in (0, 1):
            return "met" if row.rate else "missed"
        return percent(row.rate)

    def _moves(self, rows: Sequence[Row]) -> None:
        """Print who pays whom, then what each partner has in all from the clause."""
        if not any(row.shown for row in rows):
            self._say("Nothing moves.")
            return
        scale = self._scale()
        moves = list(_moves(rows, scale))
        parts = any(move.part for move in moves)
        shared = any(move.share < 1 for move in moves)
        table = _table("from", "to", *(["for"] if parts else []))
        if shared:
            net = "net share" if any(move.part for move in moves) else "share"
            table.add_column(net, justify="right", no_wrap=True)
        table.add_column("amount", justify="right", no_wrap=True)
        for move in moves:
            cells = [move.payer, move.payee]
            if parts:
                cells.append(move.part)
            if shared:
                cells.append("" if move.share != move.share else percent(move.share))
            table.add_row(*cells, self.unit.plain(move.units / scale))
        self.console.print()
        self._put(table)
        found = _by_partner(rows)
        ends = [f"{p} {self.unit.signed(u / scale)}" for p, u in found.items() if u]
        self._say(f"In all: {', '.join(ends) or 'nothing'}.", "bold")

    def _scale(self) -> int:
        return 10**self.unit.places

    def cost(self) -> None:
        """Print what each line and change costs, and whom."""
        rows = [row for row in self._of("cost") if row.shown]
        notes = list(dict.fromkeys(row.step for row in rows if not row.partner))
        shown = _table("for", "borne by", ">cost", *(f">{n.split(': ')[1]}" for n in notes))
        marked = any(row.from_plan for row in rows)
        for row in rows:
            if not row.partner:
                continue
            beside = {r.step: r for r in rows if not r.partner and r.part == row.part}
            of_line = row.step == "cost of activity"
            cells = [
                self.unit.plain(beside[note].amount) if of_line and note in beside else ""
                for note in notes
            ]
            what = row.part or "rounding"
            what = what if of_line or not row.part else f"{what} (running cost)"
            mark = (PLAN if row.from_plan else " ") if marked else ""
            shown.add_row(what, row.partner, self.unit.plain(-row.amount) + mark, *cells)
        self._put(shown)
        if notes:
            self._say(
                "Cost released has gone with activity below baseline; stranded cost is what has "
                "not gone yet.",
                "dim",
            )

    def summary(self) -> None:
        """Print each partner's column: clauses, cost, position; and its cash and target."""
        partners = [partner.name for partner in self.case.partners]
        taken = len(partners)
        while taken > 1:
            width = natural_width(self.console, self._summary_table(partners[:taken]))
            if width + _INDENT <= self.console.width:
                break
            taken -= 1
        for start in range(0, len(partners), taken):
            if start:
                self.console.print()
            self._put(self._summary_table(partners[start : start + taken]))
        self._say("Every clause sums to zero over all partners; every column adds up exactly.")

    def _summary_table(self, partners: Sequence[str]) -> Table:
        scale = self._scale()
        shown = _table("", *(f">{name}" for name in partners))
        for name in dict.fromkeys(row.term for row in self._of("posting")):
            units = _by_partner(row for row in self._of("posting") if row.term == name)
            shown.add_row(name, *(self.unit.plain(units.get(p, 0) / scale) for p in partners))
        shown.add_section()
        cost = _by_partner(self._of("cost"))
        shown.add_row("cost", *(self.unit.plain(cost.get(p, 0) / scale) for p in partners))
        totals = self._of("total")
        for step in dict.fromkeys(row.step for row in totals):
            amounts = {row.partner: row.amount for row in totals if row.step == step}
            cells = [self.unit.plain(amounts[p]) if p in amounts else "" for p in partners]
            shown.add_row(step, *cells, style="bold" if step == "position" else "")
        return shown

    def _of(self, *sections: str) -> list[Row]:
        return [row for row in self.rows if row.section in sections]


def _table(*heads: str) -> Table:
    """Return a table; heads that begin with ``>`` stand over numbers."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for head in heads:
        right = head.startswith(">")
        shown.add_column(head.lstrip(">"), justify="right" if right else "left", no_wrap=right)
    return shown


def _by_partner(rows: Iterable[Row]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        if row.partner:
            found[row.partner] = found.get(row.partner, 0) + row.minor_units
    return found


@dataclass(frozen=True)
class _Move:
    """One payment as printed; units are smallest units of the currency."""

    payer: str
    payee: str
    part: str
    share: float
    units: int


def _moves(rows: Sequence[Row], scale: int) -> Iterator[_Move]:
    """Yield each payment once, not both as paid and as received.

    Between one partner and one other there is one row; where one side is a single partner, a row
    for each on the other side, and what that partner has a share in itself; where both are
    several, a row for each partner.
    """
    for group in _transfers(rows):
        gets = [row for row in group if row.minor_units > 0]
        pays = [row for row in group if row.minor_units < 0]
        single, kept = (pays, gets) if len(pays) == 1 else (gets, pays)
        if len(single) != 1 or not kept:
            single, kept = [], group
        for row in kept:
            yield _Move(row.payer, row.payee, row.part, abs(row.rate), abs(row.minor_units))
        for row in single:
            own = round(abs(row.quantity) * scale) - sum(abs(other.minor_units) for other in kept)
            if not row.part and abs(row.rate) < 1 and own > 0:
                words = "keeps" if row.minor_units < 0 else "bears"
                share = 1 - abs(row.rate)
                yield _Move(row.partner, f"({words} its own)", row.part, share, own)


def _transfers(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield the rows of each transfer that moved money: one part, each partner once."""
    group: list[Row] = []
    for row in rows:
        first = group[0] if group else row
        new = (row.part, row.quantity, row.step == ROUNDING) != (
            first.part,
            first.quantity,
            first.step == ROUNDING,
        )
        if new or row.partner in {other.partner for other in group}:
            yield [other for other in group if other.shown]
            group = []
        group.append(row)
    yield [other for other in group if other.shown]
