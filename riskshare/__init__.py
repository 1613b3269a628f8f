"""Who bears what: outcome distributions of capitated budgets and risk-share contracts.

Example
-------
>>> import riskshare as rs
>>> case = rs.load_case("msk-toy")
>>> outcomes = rs.simulate(case, samples=4096, seed=1)
>>> table = rs.summarise(outcomes)
>>> sorted(outcomes.sizes)[:3]
['change', 'line', 'partner']
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from riskshare.analysis.attribution import attribute as attribute
    from riskshare.analysis.attribution import attribution_samples as attribution_samples
    from riskshare.analysis.calibration import Calibration as Calibration
    from riskshare.analysis.calibration import calibrate as calibrate
    from riskshare.analysis.check import check as check
    from riskshare.analysis.clauses import clauses as clauses
    from riskshare.analysis.compare import compare as compare
    from riskshare.analysis.discovery import discover as discover
    from riskshare.analysis.estimate import estimate as estimate
    from riskshare.analysis.findings import Check as Check
    from riskshare.analysis.findings import Finding as Finding
    from riskshare.analysis.influence import influence as influence
    from riskshare.analysis.leading import leading_directions as leading_directions
    from riskshare.analysis.leading import tail_directions as tail_directions
    from riskshare.analysis.luck import luck as luck
    from riskshare.analysis.luck import minimum_population as minimum_population
    from riskshare.analysis.sensitivities import sensitivities as sensitivities
    from riskshare.analysis.stress import stress as stress
    from riskshare.analysis.uncertainty import uncertainty as uncertainty
    from riskshare.analysis.variants import variants as variants
    from riskshare.case import Case as Case
    from riskshare.case import Contract as Contract
    from riskshare.contract.benchmark import Rebasing as Rebasing
    from riskshare.contract.benchmark import Truncation as Truncation
    from riskshare.contract.budget import Budget as Budget
    from riskshare.contract.marginal import Band as Band
    from riskshare.contract.marginal import BreakGlass as BreakGlass
    from riskshare.contract.marginal import MarginalRate as MarginalRate
    from riskshare.contract.marginal import MarketShift as MarketShift
    from riskshare.contract.marginal import RevenueCompensation as RevenueCompensation
    from riskshare.contract.organisation import ControlTotalFunding as ControlTotalFunding
    from riskshare.contract.organisation import InvestToSave as InvestToSave
    from riskshare.contract.organisation import PerformancePayment as PerformancePayment
    from riskshare.contract.organisation import Withhold as Withhold
    from riskshare.contract.payment import ActivityPayment as ActivityPayment
    from riskshare.contract.payment import Block as Block
    from riskshare.contract.payment import CapitatedBudget as CapitatedBudget
    from riskshare.contract.payment import CostReimbursement as CostReimbursement
    from riskshare.contract.payment import Funding as Funding
    from riskshare.contract.payment import Levy as Levy
    from riskshare.contract.protection import DeficitSupport as DeficitSupport
    from riskshare.contract.protection import ProfitCap as ProfitCap
    from riskshare.contract.protection import StopLoss as StopLoss
    from riskshare.contract.protection import SurplusReturn as SurplusReturn
    from riskshare.contract.rule import Cap as Cap
    from riskshare.contract.rule import Corridor as Corridor
    from riskshare.contract.rule import Gate as Gate
    from riskshare.contract.rule import Quality as Quality
    from riskshare.contract.rule import Scale as Scale
    from riskshare.contract.sharing import Pool as Pool
    from riskshare.contract.support import StrandedSupport as StrandedSupport
    from riskshare.contract.term import Cash as Cash
    from riskshare.errors import ArgumentError as ArgumentError
    from riskshare.errors import CaseError as CaseError
    from riskshare.errors import ExperienceError as ExperienceError
    from riskshare.errors import NumericalError as NumericalError
    from riskshare.errors import Problem as Problem
    from riskshare.errors import RiskshareError as RiskshareError
    from riskshare.files.actuals import read_actuals as read_actuals
    from riskshare.files.bundled import case_names as case_names
    from riskshare.files.draws import read_draws as read_draws
    from riskshare.files.load import load_case as load_case
    from riskshare.files.save import save_case as save_case
    from riskshare.laws.nearest import nearest_correlation as nearest_correlation
    from riskshare.report.account import statement as statement
    from riskshare.run.cache import use_compilation_cache as use_compilation_cache
    from riskshare.run.program import Program as Program
    from riskshare.run.program import Stream as Stream
    from riskshare.run.program import compile as compile
    from riskshare.run.settle import settle as settle
    from riskshare.run.simulate import draw as draw
    from riskshare.run.simulate import simulate as simulate
    from riskshare.summary import summarise as summarise
    from riskshare.system import Capacity as Capacity
    from riskshare.system import Change as Change
    from riskshare.system import Correlation as Correlation
    from riskshare.system import CostBehaviour as CostBehaviour
    from riskshare.system import Delay as Delay
    from riskshare.system import Delivery as Delivery
    from riskshare.system import Dependence as Dependence
    from riskshare.system import Driver as Driver
    from riskshare.system import Inflation as Inflation
    from riskshare.system import Line as Line
    from riskshare.system import Noise as Noise
    from riskshare.system import OtherPosition as OtherPosition
    from riskshare.system import Partner as Partner
    from riskshare.system import People as People
    from riskshare.system import Population as Population
    from riskshare.system import Released as Released
    from riskshare.system import Score as Score
    from riskshare.system import Step as Step
    from riskshare.system import Targeting as Targeting
    from riskshare.system import Year as Year

_HOME = {
    "riskshare.analysis.attribution": ("attribute", "attribution_samples"),
    "riskshare.analysis.calibration": ("Calibration", "calibrate"),
    "riskshare.analysis.check": ("check",),
    "riskshare.analysis.clauses": ("clauses",),
    "riskshare.analysis.compare": ("compare",),
    "riskshare.analysis.discovery": ("discover",),
    "riskshare.analysis.estimate": ("estimate",),
    "riskshare.analysis.influence": ("influence",),
    "riskshare.analysis.leading": ("leading_directions", "tail_directions"),
    "riskshare.analysis.findings": ("Check", "Finding"),
    "riskshare.analysis.luck": ("luck", "minimum_population"),
    "riskshare.analysis.sensitivities": ("sensitivities",),
    "riskshare.analysis.stress": ("stress",),
    "riskshare.analysis.uncertainty": ("uncertainty",),
    "riskshare.analysis.variants": ("variants",),
    "riskshare.case": ("Case", "Contract"),
    "riskshare.contract.budget": ("Budget",),
    "riskshare.contract.marginal": (
        "Band",
        "BreakGlass",
        "MarginalRate",
        "MarketShift",
        "RevenueCompensation",
    ),
    "riskshare.contract.organisation": (
        "ControlTotalFunding",
        "InvestToSave",
        "PerformancePayment",
        "Withhold",
    ),
    "riskshare.contract.payment": (
        "ActivityPayment",
        "Block",
        "CapitatedBudget",
        "CostReimbursement",
        "Funding",
        "Levy",
    ),
    "riskshare.contract.protection": ("DeficitSupport", "ProfitCap", "StopLoss", "SurplusReturn"),
    "riskshare.contract.rule": ("Cap", "Corridor", "Gate", "Quality", "Scale"),
    "riskshare.contract.benchmark": ("Rebasing", "Truncation"),
    "riskshare.contract.sharing": ("Pool",),
    "riskshare.contract.support": ("StrandedSupport",),
    "riskshare.contract.term": ("Cash",),
    "riskshare.errors": (
        "ArgumentError",
        "CaseError",
        "ExperienceError",
        "NumericalError",
        "Problem",
        "RiskshareError",
    ),
    "riskshare.files.actuals": ("read_actuals",),
    "riskshare.files.bundled": ("case_names",),
    "riskshare.files.draws": ("read_draws",),
    "riskshare.files.load": ("load_case",),
    "riskshare.files.save": ("save_case",),
    "riskshare.laws.nearest": ("nearest_correlation",),
    "riskshare.report.account": ("statement",),
    "riskshare.run.cache": ("use_compilation_cache",),
    "riskshare.run.program": ("Program", "Stream", "compile"),
    "riskshare.run.settle": ("settle",),
    "riskshare.run.simulate": ("draw", "simulate"),
    "riskshare.summary": ("summarise",),
    "riskshare.system": (
        "Capacity",
        "Change",
        "Correlation",
        "CostBehaviour",
        "Delay",
        "Delivery",
        "Dependence",
        "Driver",
        "Inflation",
        "Line",
        "Noise",
        "OtherPosition",
        "Partner",
        "People",
        "Population",
        "Released",
        "Score",
        "Step",
        "Targeting",
        "Year",
    ),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted(_MODULE_OF)  # names of the front door, each loaded on first use


def __getattr__(name: str) -> Any:
    """Load a name on first use: printing help must not import JAX."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'riskshare' has no attribute {name!r}")
    from riskshare.run.uncollected import uncollected

    with uncollected():
        value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the front door."""
    return __all__
