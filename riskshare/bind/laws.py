"""What is drawn, as numbers: index laws, tables of chance, and the random columns they use."""

import numpy as np
from numpy.typing import NDArray

from riskshare.bind.leaves import Laws, NoiseNumbers, NoiseStructure, Structure
from riskshare.case import Case
from riskshare.laws.chance import (
    count_table,
    gamma_table,
    lognormal_sigma,
    stack_count_tables,
)
from riskshare.laws.dependence import cholesky, score_correlations
from riskshare.plan import Plan, correlation_matrix, declared, law_of
from riskshare.system import Noise

Numbers = NDArray[np.float64]
Column = tuple[int, int, int]

(
    DRIVER_COLUMN,
    ACTIVITY_COLUMN,
    UNIT_COST_COLUMN,
    MEMBERS_COLUMN,
    DELIVERY_COLUMN,
    DELAY_COLUMN,
    QUALITY_COLUMN,
    OTHER_COLUMN,
) = range(8)
"""Kinds of random column; a column is (kind, index, year)."""

WHOLE_BELOW = 1000.0
"""Lines expected to have fewer units a year are whole counts; larger ones are smooth."""


def laws_of(case: Case, activity: NoiseNumbers, unit_cost: NoiseNumbers) -> Laws:
    """Return the laws of all indices, and the chance laws given."""
    maps = [law_of(index) for index in case.indices().values()]
    return Laws(
        location=np.array([m.location for m in maps])[:, None],
        scale=np.array([m.scale for m in maps])[:, None],
        logarithmic=np.array([float(m.logarithmic) for m in maps])[:, None],
        cholesky=cholesky(correlation_matrix(case)),
        activity_noise=activity,
        unit_cost_noise=unit_cost,
    )


def noise_of(
    case: Case, plan: Plan, noises: list[Noise | None]
) -> tuple[NoiseStructure, NoiseNumbers]:
    """Return the chance laws of lines, in the order of the case's lines."""

    def lines(*laws: str) -> tuple[int, ...]:
        return tuple(i for i, noise in enumerate(noises) if noise is not None and noise.law in laws)

    structure = NoiseStructure(
        counts=lines("poisson", "negative-binomial"),
        gamma=lines("gamma"),
        lognormal=lines("lognormal"),
        coupled=any(noise is not None and len(noise.factors) > 0 for noise in noises),
    )
    tables, whole = [], []
    for y in range(len(case.years)):
        for i in structure.counts:
            noise = noises[i]
            assert noise is not None
            # one table for each year, so that a year appended to a case moves no earlier draw
            mean = float(plan.expected[y, i]) or 1.0
            tables.append(count_table(mean / 3, mean * 3, float(noise.overdispersion or 0)))
            whole.append(float(mean < WHOLE_BELOW * plan.view.fraction[y]))
    gammas = [gamma_table(float(noises[i].cv)) for i in structure.gamma]  # type: ignore[union-attr]  # picked above
    sigma = [lognormal_sigma(float(noises[i].cv)) for i in structure.lognormal]  # type: ignore[union-attr]  # picked above
    labels = case.labels()
    factors = np.array([declared(noises[i], "factors", labels) for i in structure.lines])
    factors = factors.reshape(len(structure.lines), len(case.drivers))
    indices = list(case.indices().values())
    between = score_correlations(
        [index.process for index in indices],
        [float(index.persistence or 0.0) for index in indices],
        len(case.years),
        correlation_matrix(case),
    )[:, : len(case.drivers), : len(case.drivers)]
    explained = np.einsum("rd,yde,re->yr", factors, between, factors)
    return structure, NoiseNumbers(
        table=stack_count_tables(tables) if tables else None,
        whole=np.array(whole),
        values=np.array([values for values, _ in gammas]),
        slopes=np.array([slopes for _, slopes in gammas]),
        sigma=np.array(sigma)[:, None],
        factors=factors,
        own=np.sqrt(np.maximum(1 - explained, 0))[:, :, None],
    )


def columns_of(structure: Structure) -> tuple[Column, ...]:
    """Return the random columns of one year, the year left at 0."""
    kinds = [(DRIVER_COLUMN, i) for i in range(structure.drivers)]
    kinds += [(MEMBERS_COLUMN, i) for i in range(structure.populations)]
    kinds += [(DELIVERY_COLUMN, i) for i in range(structure.changes)]
    kinds += [(DELAY_COLUMN, i) for i in structure.delayed]
    kinds += [(QUALITY_COLUMN, i) for i in structure.scored]
    kinds += [(OTHER_COLUMN, i) for i in structure.others]
    picked = [kinds[i] for i in structure.drawn]
    picked += [(ACTIVITY_COLUMN, i) for i in structure.activity_noise.lines]
    picked += [(UNIT_COST_COLUMN, i) for i in structure.unit_cost_noise.lines]
    return tuple((kind, index, 0) for kind, index in picked)
