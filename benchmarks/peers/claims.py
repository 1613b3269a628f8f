"""Case B: a year's claims, each capped, and a layer of their total.

Poisson(100) claims a year, each lognormal with mean 18,000 and standard deviation 42,000 and capped
at 250,000. The layer takes 500,000 of the total beyond 2,000,000; wanted are the mean of what is
kept, and its value at risk at 95 % and tail value at risk at 99 %, over 100,000 years.

The exact law is that of aggregate (Mildenhall), by FFT, on a grid of 16,384 nodes of 250. Two
engines work without samples: it, and riskshare's own FFT.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from .answer import Answer, Exact

CLAIMS, MEAN, SD, CAP = 100.0, 18_000.0, 42_000.0, 250_000.0
ATTACHMENT, LAYER = 2_000_000.0, 500_000.0

SIGMA = float(np.sqrt(np.log1p((SD / MEAN) ** 2)))
MU = float(np.log(MEAN) - SIGMA**2 / 2)


def retained(total: np.ndarray) -> np.ndarray:
    """Return what is kept of a year's total."""
    return total - np.clip(total - ATTACHMENT, 0.0, LAYER)


@cache
def exact() -> Exact:
    """The law of what is kept, by aggregate."""
    amounts, chances = _by_aggregate(14, 250.0)
    return Exact.of(*_ordered(retained(amounts), chances))


def _by_aggregate(log2: int, step: float) -> tuple[np.ndarray, np.ndarray]:
    from aggregate import build

    text = f"agg Claims {CLAIMS:g} claims {CAP:g} xs 0 sev lognorm {MEAN:g} cv {SD / MEAN:.17g} "
    with np.errstate(divide="ignore"):  # it takes logarithms of chances of 0
        law = build(text + "poisson", log2=log2, bs=step)
        table = law.density_df
    return table["loss"].to_numpy(), table["p_total"].to_numpy()


def _ordered(amounts: np.ndarray, chances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(amounts, kind="stable")
    return amounts[order], np.maximum(chances[order], 0.0)


def aggregate(samples: int, seed: int) -> Answer:
    """aggregate: its FFT on 8,192 nodes of 500; no sample is drawn."""
    del samples, seed
    amounts, chances = _by_aggregate(13, 500.0)
    return Exact.of(*_ordered(retained(amounts), chances)).answer


def numpy_sums(samples: int, seed: int) -> Answer:
    """NumPy: all claims in one array, summed by year."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(CLAIMS, samples)
    claims = np.minimum(rng.lognormal(MU, SIGMA, counts.sum()), CAP)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    total = np.add.reduceat(np.append(claims, 0.0), first)
    return Answer.of(retained(np.where(counts > 0, total, 0.0)))


def proteus(samples: int, seed: int) -> Answer:
    """Proteus Actuarial Library: its frequency and severity model."""
    import pal
    from pal.distributions import LogNormal, Poisson
    from pal.frequency_severity import FrequencySeverityModel

    pal.set_random_seed(seed)
    model = FrequencySeverityModel(Poisson(CLAIMS), LogNormal(MU, SIGMA))
    total = np.minimum(model.generate(samples), CAP).aggregate()
    return Answer.of(retained(total.values))


def lossmodels(samples: int, seed: int) -> Answer:
    """lossmodels and risksim: a collective model of limited claims, and an aggregate layer."""
    from lossmodels import CollectiveRiskModel, Lognormal, Poisson
    from lossmodels.coverage import PolicyLimit
    from risksim import AggregateLayer, Portfolio, PortfolioItem
    from risksim.metrics import tvar, var

    model = CollectiveRiskModel(Poisson(CLAIMS), PolicyLimit(Lognormal(MU, SIGMA), CAP))
    layer = AggregateLayer(attachment=ATTACHMENT, limit=LAYER)
    portfolio = Portfolio([PortfolioItem("claims", model)])
    kept = layer.retained(portfolio.sample(samples, rng=np.random.default_rng(seed)))
    return Answer(float(kept.mean()), float(var(kept, 0.95)), float(tvar(kept, 0.99)))


def riskpy(samples: int, seed: int) -> Answer:
    """RiskPY: its compound law; the cap is a law of ours, as it has none."""
    from riskpy.mc import Compound, LogNormal, Model, Poisson

    class Capped(LogNormal):
        def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
            return np.minimum(super().sample(n, rng), CAP)

    model = Model(total=Compound(Poisson(CLAIMS), Capped(MU, SIGMA)))

    @model.formula
    def kept(total: np.ndarray) -> np.ndarray:
        return retained(total)

    result = model.run(samples, seed=seed, keep_inputs=False)
    return Answer(float(result.mean), float(result.var(0.95)), float(result.tvar(0.99)))


def gemact(samples: int, seed: int) -> Answer:
    """GEMAct: its loss model by Monte Carlo, each claim in a layer; the year's layer is ours."""
    import twiggy
    from gemact.lossmodel import Frequency, Layer, LossModel, PolicyStructure, Severity

    twiggy.emitters.clear()  # it tells of its progress

    model = LossModel(
        frequency=Frequency(dist="poisson", par={"mu": CLAIMS}),
        severity=Severity(dist="lognormal", par={"shape": SIGMA, "scale": np.exp(MU)}),
        policystructure=PolicyStructure(layers=Layer(cover=CAP, deductible=0)),
        aggr_loss_dist_method="mc",
        n_sim=samples,
        random_state=seed,
    )
    law = model.dist[0]
    chances = np.diff(np.concatenate([[0.0], law.cumprobs]))
    return Exact.of(*_ordered(retained(np.asarray(law.nodes)), chances)).answer
