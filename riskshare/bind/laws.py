"""What is drawn, as numbers: index laws, tables of chance, and the random columns they use."""

from collections.abc import Sequence
from math import exp, inf
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from riskshare.bind.leaves import (
    WHOLE_BELOW,
    WIDEST,
    Atoms,
    CapacityNumbers,
    Laws,
    NoiseNumbers,
    NoiseStructure,
    PeopleNumbers,
    Structure,
)
from riskshare.bind.reach import spread_bounds, volume_range
from riskshare.case import Case
from riskshare.laws.binomial import thinning_table
from riskshare.laws.chance import (
    CUBED_DEGREE,
    NO_SPREAD,
    CountTable,
    FactorTable,
    count_table,
    factor_polynomial,
    factor_table,
    gamma_law,
    index_table,
    lognormal_sigma,
    stacked,
)
from riskshare.laws.copula import StudentTables, student_tables
from riskshare.laws.dependence import cholesky, score_correlations
from riskshare.laws.indices import IndexMap, LawMap
from riskshare.laws.marginal import AbstractLaw
from riskshare.laws.normal import inverse
from riskshare.plan import Plan, correlation_matrix, declared, law_of
from riskshare.system import Capacity, Noise

Numbers = NDArray[np.float64]
Table = TypeVar("Table", CountTable, FactorTable)
Column = tuple[int, int, int]
IndexTables = tuple[Numbers, Numbers, Atoms]
"""Values and slopes, (row, node) each, and atoms."""

COUNTS = ("poisson", "negative-binomial")


def index_tables(case: Case) -> tuple[tuple[int, ...], tuple[int, ...], IndexTables]:
    """Return which indices have tables, which of those an atom, the tables and the atoms."""
    maps = [law_of(index) for index in case.indices().values()]
    laws = [(i, m.law) for i, m in enumerate(maps) if isinstance(m, LawMap)]
    tables = [index_table(law) for _, law in laws]
    atoms = [(row, law.atom) for row, (_, law) in enumerate(laws)]
    held = [(row, atom) for row, atom in atoms if atom is not None]
    numbers = Atoms(
        probability=_column([atom.probability for _, atom in held]),
        value=_column([max(atom.value, 0.0) for _, atom in held]),
        side=_column([atom.side for _, atom in held]),
        edge=_column([_edge(atom.probability) for _, atom in held]),
    )
    return (
        tuple(i for i, _ in laws),
        tuple(row for row, _ in held),
        (
            np.array([values for values, _ in tables]),
            np.array([slopes for _, slopes in tables]),
            numbers,
        ),
    )


def laws_of(
    case: Case,
    plan: Plan,
    tables: IndexTables,
    noises: tuple[NoiseNumbers, NoiseNumbers, NoiseNumbers],
    people: PeopleNumbers | None,
) -> Laws:
    """Return the laws of all indices, and the chance laws given."""
    maps = [law_of(index) for index in case.indices().values()]
    closed = [_closed(found) for found in maps]
    activity, unit_cost, case_mix = noises
    values, slopes, atoms = tables
    thinning, unthinned = _thinning(case, plan)
    return Laws(
        location=_column([place for place, _, _ in closed]),
        scale=_column([scale for _, scale, _ in closed]),
        logarithmic=_column([float(logs) for _, _, logs in closed]),
        cholesky=cholesky(correlation_matrix(case)),
        copula=_copula(case),
        values=values,
        slopes=slopes,
        atoms=atoms,
        activity_noise=activity,
        unit_cost_noise=unit_cost,
        case_mix_noise=case_mix,
        thinning=thinning,
        unthinned=unthinned,
        people=people,
        capacity=_capacity(case, plan),
    )


def _copula(case: Case) -> StudentTables | None:
    degrees = case.dependence.degrees_of_freedom
    return None if degrees is None else student_tables(float(degrees))


def noise_of(
    case: Case,
    plan: Plan,
    noises: list[Noise | None],
    activity: NoiseStructure | None = None,
) -> tuple[NoiseStructure, NoiseNumbers]:
    """Return the chance laws of lines; ``activity`` is what those of other things may follow."""
    given = {i: noise for i, noise in enumerate(noises) if noise is not None}
    counts = tuple(i for i, noise in given.items() if noise.law in COUNTS)
    lognormal = tuple(i for i, noise in given.items() if noise.law == "lognormal")
    rest = {i: _law(noise) for i, noise in given.items() if i not in counts + lognormal}
    still = [i for i in rest if not given[i].dispersion]
    polynomials = {i: factor_polynomial(rest[i]) for i in still}
    cubed = tuple(i for i, found in polynomials.items() if found is not None)
    tabled = tuple(i for i in rest if i not in cubed)
    lines = counts + tabled + cubed + lognormal
    own = [given[i] for i in lines]
    follows = activity is not None and any(noise.with_activity for noise in own)
    rows = activity.lines if activity is not None else ()
    structure = NoiseStructure(
        counts=counts,
        tabled=tabled,
        cubed=cubed,
        lognormal=lognormal,
        coupled=any(len(noise.factors) > 0 for noise in own),
        spread=any(len(noise.dispersion) > 0 for noise in own),
        zeroed=tuple(row for row, noise in enumerate(own) if noise.zeros),
        followed=tuple(rows.index(i) if i in rows else -1 for i in lines) if follows else (),
    )
    labels = case.labels()
    shape = (len(own), len(case.drivers))
    factors = np.array([declared(noise, "factors", labels) for noise in own]).reshape(shape)
    powers = np.array([declared(noise, "dispersion", labels) for noise in own]).reshape(shape)
    spreads = [_spread(case, row) for row in powers]
    along = np.array([float(noise.with_activity) for noise in own])
    explained = _explained(case, factors) + along**2
    sigma = [lognormal_sigma(float(given[i].cv)) for i in lognormal]
    zeros = [float(own[row].zeros) for row in structure.zeroed]
    table, whole = _count_tables(case, plan, counts, given, spreads)
    between = spreads[len(counts) : len(counts) + len(tabled)]
    return structure, NoiseNumbers(
        table=table,
        whole=whole,
        factor=_factor_tables([rest[i] for i in tabled], between),
        cubed=np.array([polynomials[i] for i in cubed]).reshape(len(cubed), CUBED_DEGREE + 1),
        sigma=_column(sigma),
        factors=factors,
        own=np.sqrt(np.maximum(1 - explained, 0))[:, :, None],
        dispersion=powers,
        zeros=_column(zeros),
        edge=_column([_edge(zero) for zero in zeros]),
        with_activity=_column(along),
    )


def columns_of(structure: Structure) -> tuple[Column, ...]:
    """Return the random columns of one year, the year left at 0."""
    return tuple((kind, index, 0) for group in structure.columns.values() for kind, index in group)


def limited_lines(case: Case) -> tuple[int, ...]:
    """Return the lines with a capacity."""
    return tuple(i for i, line in enumerate(case.lines) if line.capacity is not None)


def _closed(found: IndexMap | LawMap) -> tuple[float, float, bool]:
    """Return the numbers of a map in closed form; a law with a table has none."""
    if isinstance(found, LawMap):
        return 0.0, 0.0, False
    return found.location, found.scale, found.logarithmic


def _law(noise: Noise) -> AbstractLaw:
    return noise.law if isinstance(noise.law, AbstractLaw) else gamma_law(float(noise.cv))


def _column(values: Sequence[float] | Numbers) -> Numbers:
    return np.array(values, np.float64).reshape(-1, 1)


def _edge(probability: float) -> float:
    """Return the score below which a probability lies."""
    if not 0 < probability < 1:
        return -inf if probability <= 0 else inf
    return inverse(probability)


def _explained(case: Case, factors: Numbers) -> Numbers:
    """Return the variance of each chance score that its factors explain: (year, row)."""
    indices = list(case.indices().values())
    between = score_correlations(
        [index.process for index in indices],
        [float(index.persistence or 0.0) for index in indices],
        len(case.years),
        correlation_matrix(case),
    )[:, : len(case.drivers), : len(case.drivers)]
    return np.asarray(np.einsum("rd,yde,re->yr", factors, between, factors))


def _spread(case: Case, powers: Numbers) -> tuple[float, float]:
    """Return the bounds of what multiplies a coefficient of variation."""
    if not np.any(powers):
        return NO_SPREAD
    low, high = spread_bounds(case, powers)
    return max(exp(low), 1 / WIDEST), min(exp(high), WIDEST)


def _count_tables(
    case: Case,
    plan: Plan,
    lines: tuple[int, ...],
    noises: dict[int, Noise],
    spreads: list[tuple[float, float]],
) -> tuple[CountTable | None, Numbers]:
    """Return tables of counts, those of a year together, and which are whole numbers.

    Each year has its own, so that a year appended to a case moves no earlier draw.
    """
    tables, whole = [], []
    for y in range(len(plan.expected)):
        for row, i in enumerate(lines):
            noise = noises[i]
            mean = (float(plan.expected[y, i]) or 1.0) / (1 - float(noise.zeros))
            excess = float(noise.overdispersion or 0)
            low, high = volume_range(case, plan, y, i)
            tables.append(count_table(mean * low, mean * high, excess, spreads[row]))
            whole.append(float(mean < WHOLE_BELOW * plan.view.fraction[y]))
    return (_even(tables) if tables else None), np.array(whole)


def _factor_tables(
    laws: list[AbstractLaw], spreads: list[tuple[float, float]]
) -> FactorTable | None:
    if not laws:
        return None
    return _even([factor_table(law, bounds) for law, bounds in zip(laws, spreads, strict=True)])


def _even(tables: list[Table]) -> Table:
    """Return tables stacked, those that nothing spreads repeated along the others' spread."""
    most = max(len(table.values) for table in tables)

    def repeated(table: Table) -> Table:
        if len(table.values) == most:
            return table
        values, slopes = (np.repeat(a, most, axis=0) for a in (table.values, table.slopes))
        return table._replace(values=values, slopes=slopes)

    return stacked([repeated(table) for table in tables])


def _thinning(case: Case, plan: Plan) -> tuple[CountTable | None, Numbers]:
    """Return tables of what moves of whole planned units, the changes of a year together.

    Also what is planned beyond whole units, which moves in proportion to the delivery.
    """
    thinned = [c for c, change in enumerate(case.changes) if change.thinning]
    units = np.einsum("yl,lc,yc->yc", plan.view.baseline, plan.taken, plan.size)[:, thinned]
    # a hair below a whole number is that number: 0.3 of 1,000 units are 300
    whole = np.floor(units * (1 + 1e-12) + 1e-12)
    tables = [thinning_table(max(float(n), 1.0)) for n in whole.ravel()]
    numbers = [
        table._replace(overdispersion=np.array(float(n)))
        for table, n in zip(tables, whole.ravel(), strict=True)
    ]
    left = np.maximum(units - whole, 0.0)[:, :, None]
    return (stacked(numbers) if numbers else None), left


def _capacity(case: Case, plan: Plan) -> CapacityNumbers:
    """Return the limits of the lines that have one."""
    limits: list[Capacity] = [line.capacity for line in case.lines if line.capacity is not None]
    return CapacityNumbers(
        units=plan.capacity[:, list(limited_lines(case)), None],
        waiting=_column([float(limit.waiting) for limit in limits]),
        staying=_column([1 - float(limit.leaving) for limit in limits]),
    )
