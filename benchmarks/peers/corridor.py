"""Case A: eight streams that move together, corridors on each, and a pool with a limit.

Stream l has a gamma law of mean m_l and coefficient of variation c_l; a Gaussian copula of one
factor couples them, with correlation 0.3 between any two scores. What a stream differs from its
budget m_l by, x, is paid at 50 % between 2 % and 8 % of m_l and at 80 % beyond, either way. The
pool pays the sum over streams, held between -40 and 40. Wanted are the mean of what it pays, value
at risk at 95 % and tail value at risk at 99 %.

`exact` gives them without samples: given the common factor the streams are independent, so the law
of the sum is a product of transforms on a grid, averaged over the factor.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from .answer import Answer, Exact

MEANS = np.linspace(5.0, 40.0, 8)
CVS = np.linspace(0.05, 0.25, 8)
CORRELATION = 0.3
BANDS = ((0.02, 0.5), (0.08, 0.8))
"""From which share of the budget a deviation is paid, and at which rate."""
LIMIT = 40.0

STEP, POINTS = 0.01, 1 << 15
"""Grid of the exact law: 328 wide, -110 to 218."""
FACTORS = np.linspace(-8.0, 8.0, 161)


def matrix() -> np.ndarray:
    """Correlation of the scores."""
    return np.full((8, 8), CORRELATION) + (1.0 - CORRELATION) * np.eye(8)


def paid(deviation: np.ndarray, mean: np.ndarray | float) -> np.ndarray:
    """What is paid on a stream's deviation."""
    size = np.abs(deviation)
    (low, inner), (high, outer) = BANDS
    part = inner * np.clip(size - low * mean, 0.0, (high - low) * mean)
    return np.sign(deviation) * (part + outer * np.maximum(size - high * mean, 0.0))


def pooled(streams: np.ndarray) -> np.ndarray:
    """What the pool pays on streams (stream, sample)."""
    means = MEANS[:, None]
    return np.clip(paid(streams - means, means).sum(axis=0), -LIMIT, LIMIT)


@cache
def exact() -> Exact:
    """The law of what the pool pays, on a grid of a hundredth."""
    from scipy.special import gammainc, ndtr, ndtri

    origin = -POINTS // 3
    nodes = STEP * (np.arange(POINTS) + origin)
    edges = nodes[:-1] + STEP / 2
    law = np.zeros(POINTS // 2 + 1, complex)
    density = np.exp(-(FACTORS**2) / 2)
    density /= density.sum()
    load, own = np.sqrt(CORRELATION), np.sqrt(1.0 - CORRELATION)
    scores = []
    for mean, cv in zip(MEANS, CVS, strict=True):
        value = np.maximum(mean + _deviation(edges, mean), 0.0)
        with np.errstate(divide="ignore"):
            scores.append(ndtri(gammainc(cv**-2, value / mean / cv**2)))
    for factor, weight in zip(FACTORS, density, strict=True):
        product = np.ones_like(law)
        for score in scores:
            below = np.concatenate([[0.0], ndtr((score - load * factor) / own), [1.0]])
            # the zero of a stream stands at the grid's origin, so that sums do too
            product *= np.fft.rfft(np.roll(np.diff(below), origin))
        law += weight * product
    chance = np.roll(np.fft.irfft(law, POINTS), -origin)
    return Exact.of(np.clip(nodes, -LIMIT, LIMIT), np.maximum(chance, 0.0))


def _deviation(amount: np.ndarray, mean: float) -> np.ndarray:
    """Return the deviation on which an amount is paid: the inverse of `paid`."""
    (low, inner), (high, outer) = BANDS
    size, full = np.abs(amount), inner * (high - low) * mean
    inside = low * mean + size / inner
    return np.sign(amount) * np.where(size < full, inside, high * mean + (size - full) / outer)


def numpy_quantiles(samples: int, seed: int) -> Answer:
    """NumPy and SciPy: a Gaussian copula, each stream's quantile at each draw."""
    from scipy import stats

    rng = np.random.default_rng(seed)
    common = rng.standard_normal(samples)
    streams = np.empty((8, samples))
    for number, (mean, cv) in enumerate(zip(MEANS, CVS, strict=True)):
        own = rng.standard_normal(samples)
        score = np.sqrt(CORRELATION) * common + np.sqrt(1.0 - CORRELATION) * own
        streams[number] = stats.gamma.ppf(stats.norm.cdf(score), cv**-2, scale=mean * cv**2)
    return Answer.of(pooled(streams))


def numpy_reordered(samples: int, seed: int) -> Answer:
    """NumPy: its own gamma sampler, reordered into the ranks of coupled normals."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal(samples)
    streams = np.empty((8, samples))
    for number, (mean, cv) in enumerate(zip(MEANS, CVS, strict=True)):
        drawn = np.sort(rng.gamma(cv**-2, mean * cv**2, samples))
        own = rng.standard_normal(samples)
        score = np.sqrt(CORRELATION) * common + np.sqrt(1.0 - CORRELATION) * own
        streams[number, np.argsort(score)] = drawn
    return Answer.of(pooled(streams))


def proteus(samples: int, seed: int) -> Answer:
    """Proteus Actuarial Library: variables, its Gaussian copula, and arithmetic on them."""
    import pal
    from pal.copulas import GaussianCopula
    from pal.distributions import Gamma

    pal.set_default_n_sims(samples)
    pal.set_random_seed(seed)
    streams = [Gamma(c**-2, m * c**2).generate() for m, c in zip(MEANS, CVS, strict=True)]
    GaussianCopula(matrix()).apply(streams)
    (low, inner), (high, outer) = BANDS
    total = 0.0
    for stream, mean in zip(streams, MEANS, strict=True):
        deviation = stream - mean
        size = np.abs(deviation)
        part = inner * np.minimum(np.maximum(size - low * mean, 0.0), (high - low) * mean)
        total = total + np.sign(deviation) * (part + outer * np.maximum(size - high * mean, 0.0))
    return Answer.of(np.minimum(np.maximum(total, -LIMIT), LIMIT).values)


def risksim(samples: int, seed: int) -> Answer:
    """risksim: own components, its reordering by Iman and Conover, its risk measures."""
    from risksim import Portfolio, PortfolioItem
    from risksim.dependence import impose_rank_correlation
    from risksim.metrics import tvar, var

    class Stream:
        def __init__(self, mean: float, cv: float) -> None:
            self.shape, self.scale = cv**-2, mean * cv**2

        def sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
            return rng.gamma(self.shape, self.scale, size)

    rng = np.random.default_rng(seed)
    items = [
        PortfolioItem(f"stream {number}", Stream(mean, cv))
        for number, (mean, cv) in enumerate(zip(MEANS, CVS, strict=True))
    ]
    drawn = Portfolio(items).sample_components(samples, rng=rng)
    pool = pooled(impose_rank_correlation(drawn, matrix(), rng).T)
    return Answer(float(pool.mean()), float(var(pool, 0.95)), float(tvar(pool, 0.99)))


def riskpy(samples: int, seed: int) -> Answer:
    """RiskPY: a model of correlated inputs and a formula."""
    from riskpy.mc import Gamma, Model

    names = [f"stream_{number}" for number in range(8)]
    laws = [Gamma.from_moments(m, m * c) for m, c in zip(MEANS, CVS, strict=True)]
    model = Model(**dict(zip(names, laws, strict=True)))
    for i, one in enumerate(names):
        for other in names[:i]:
            model.correlate(one, other, CORRELATION)

    @model.formula
    def pool(**streams: np.ndarray) -> np.ndarray:
        return pooled(np.stack([streams[name] for name in names]))

    result = model.run(samples, seed=seed, keep_inputs=False)
    return Answer(float(result.mean), float(result.var(0.95)), float(result.tvar(0.99)))


def probabilit(samples: int, seed: int) -> Answer:
    """probabilit: a graph of distributions, correlated and sampled."""
    from probabilit import Distribution, Max, Min
    from probabilit.modeling import Abs, Sign

    streams = [
        Distribution("gamma", a=cv**-2, scale=mean * cv**2)
        for mean, cv in zip(MEANS, CVS, strict=True)
    ]
    (low, inner), (high, outer) = BANDS
    total = 0.0
    for stream, mean in zip(streams, MEANS, strict=True):
        deviation = stream - float(mean)
        size = Abs(deviation)
        part = inner * Min(Max(size - low * mean, 0.0), (high - low) * mean)
        total = Sign(deviation) * (part + outer * Max(size - high * mean, 0.0)) + total
    pool = Min(Max(total, -LIMIT), LIMIT).correlate(*streams, corr_mat=matrix())
    return Answer.of(pool.sample(samples, random_state=seed, gc_strategy=[]))
