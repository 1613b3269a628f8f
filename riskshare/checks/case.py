"""The check of a whole case: declarations first, then what they cannot say."""

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from riskshare.checks.contracts import check_contract, check_funds, check_overlap
from riskshare.checks.given import Findings, Scope, check_declared
from riskshare.checks.system import (
    check_accounts,
    check_changes,
    check_indices,
    check_lines,
    check_names,
    check_notes,
    check_partners,
    check_years,
)
from riskshare.errors import CaseError
from riskshare.names import ACCOUNTS, BEFORE, SYSTEM
from riskshare.parameters import fields_of

if TYPE_CHECKING:
    from riskshare.case import Case


def check_case(case: "Case") -> None:
    """Raise `CaseError` with every problem of a case, or return."""
    found = Findings()
    sections: dict[str, tuple[Any, ...]] = {
        "partners": case.partners,
        "members": case.members,
        "inflation": case.inflation,
        "drivers": case.drivers,
        "lines": case.lines,
        "changes": case.changes,
    }
    for section, items in sections.items():
        check_names([item.name for item in items], section, (), found)
    for partner in case.partners:
        if partner.name == SYSTEM:
            found.add(
                f"partners.{SYSTEM}", "that name is the group of all partners; choose another"
            )
    reserved = (ACCOUNTS, *(info.name for info in fields_of(type(case))))
    check_names([contract.name for contract in case.contracts], "", reserved, found)
    if not (isinstance(case.currency, str) and re.fullmatch("[A-Z]{3}", case.currency)):
        found.add("currency", f"found {case.currency!r}; accepted: an ISO 4217 code such as GBP")
    if not case.name:
        found.add("name", "is empty; give the case a name")
    years = [year.label for year in case.years]
    if case.price_base and years and case.price_base not in (*years, BEFORE):
        accepted = f"{', '.join(map(str, years))}, or {BEFORE!r} for prices of the year before them"
        found.add("price_base", f"found {case.price_base!r}; accepted: {accepted}")
    if not case.partners:
        found.add("partners", "there are none; a case needs at least one")
    if not case.lines:
        found.add("lines", "there are none; a case needs at least one")
    if not any(contract.terms for contract in case.contracts):
        found.add("contracts", "there is no term; a case needs a contract with at least one")
    labels = case.labels()
    names = {
        "partner": labels["partner"],
        "line": labels["line"],
        "population": labels["population"],
        "year": labels["year"],
        "driver": labels["driver"],
    }
    scope = Scope(labels, names)
    check_declared(case, "", scope, found, skip=("contracts", "correlations"))
    with_indices = replace(scope, names={**names, "driver": tuple(case.indices())})
    for i, correlation in enumerate(case.correlations):
        check_declared(correlation, f"correlations[{i}]", with_indices, found)
    check_years(case, found)
    for check in (check_partners, check_accounts, check_indices, check_lines, check_changes):
        found.attempt(check, case)
    for contract in case.contracts:
        found.attempt(check_contract, case, contract, scope)
    found.attempt(check_overlap, case)
    found.attempt(check_funds, case)
    found.attempt(check_notes, case)
    if found.problems:
        raise CaseError(found.problems, case.origin.path)
