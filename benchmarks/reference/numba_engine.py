"""The problem by hand in numba: riskshare's sampler, bits to scores, tables and contract, compiled.

The same scrambled Sobol' points (their table and words come from riskshare), a quantile of the
normal law, a table of that of the gamma law and an exponential, in float32, over both cores, in
blocks that stay in the cache. What is fused is what the compiler then still turns into vector
instructions: few arrays to a loop, as beyond about five it gives up proving that they do not
overlap, and the lookup by itself. Two engines, which differ in two functions alone:

- ``numba`` takes Giles' quantile, and logarithm and exponential from `math`, as one does first.
  Without a vector library they are called once for each number, and loops that call them stay
  scalar.
- ``numba-vector`` takes riskshare's quantile, of two roots and a division, and writes the
  exponential as a polynomial on the bits of the number (the Cephes library's), so that every loop
  but the lookup is made of vector instructions: as fast as it could be made.

Only this problem's contract and laws are in it: another term is another program.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.extending import intrinsic

from riskshare.bench.problem import FACTORS, LINES, PROVIDERS, Problem
from riskshare.program import streams
from riskshare.run.sampling import REPLICATES, sampling_of

from .numpy_scipy import GRID, REACH, gamma_table

_F = np.float32
# The quantile over sqrt(2) (1 - 2 p): Giles (2010), "Approximating the erfinv function", the tail
# fitted again to reach w = 21.5.
_CENTRE = tuple(
    _F(c)
    for c in (
        2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
        -0.00125372503, -0.00417768164, 0.246640727, 1.50140941,
    )
)  # fmt: skip
_TAIL = tuple(
    _F(c)
    for c in (
        -4.60974202e-06, -0.000165209366, 0.00117613512, -0.00337395971, 0.00577681326,
        -0.0077220239, 0.0094377257, 1.00168268, 2.83297692,
    )
)  # fmt: skip
_COLUMNS = tuple(
    (kind, index, 0)
    for kind, count in ((0, FACTORS), (1, LINES), (2, LINES))
    for index in range(count)
)
"""Riskshare's own columns of this problem, so that sample for sample the two are the same."""

OPTIONS: dict[str, Any] = {"fastmath": True, "error_model": "numpy"}
_INLINED = OPTIONS | {"inline": "always"}  # a call inside a loop keeps it scalar


def positions(problem: Problem, samples: int, seed: int) -> np.ndarray:
    """Positions (provider, sample), logarithm and exponential from `math`."""
    return _run(_kernel(_by_logarithm(), _math_exp), problem, samples, seed)


def positions_vector(problem: Problem, samples: int, seed: int) -> np.ndarray:
    """Positions (provider, sample), without logarithms, the exponential by hand."""
    return _run(_kernel(_by_roots(), _exp), problem, samples, seed)


def _run(kernel: Callable[..., None], problem: Problem, samples: int, seed: int) -> np.ndarray:
    sampling = sampling_of(samples, seed, "sobol", REPLICATES)
    values = gamma_table(problem.gamma_shape)
    money = np.array([problem.corridor[0], problem.corridor[1], *problem.shares, problem.budget])
    rates = np.array([problem.tolerance, problem.rate_up, problem.rate_down, problem.rate_beyond])
    sigma, variable = problem.unit_cost_sigma, problem.variable_share
    cost = np.array([sigma, -(sigma**2) / 2, 1.0 - variable, variable])
    result = np.empty((PROVIDERS, sampling.samples), _F)
    kernel(
        streams.sobol_low(seed, _COLUMNS),
        streams.sobol_words(seed, _COLUMNS, *sampling.blocks()),
        min(sampling.per_replicate, streams.BLOCK),
        problem.factors.astype(_F),
        problem.own.astype(_F),
        values.astype(_F),
        np.append(np.diff(values), 0.0).astype(_F),
        problem.plan_value.astype(_F),
        problem.provider,
        (problem.delivered @ problem.plan_value).astype(_F),
        problem.key.astype(_F),
        cost.astype(_F),
        rates.astype(_F),
        money.astype(_F),
        result,
    )
    return result


@intrinsic
def _float(context: Any, bits: Any) -> Any:
    """Return the float32 of 32 bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), generate


@njit(**_INLINED)
def _math_exp(x):
    return _F(math.exp(x))


@njit(**_INLINED)
def _exp(x):
    """Exponential of a float32 of moderate size: a power of two, and a polynomial."""
    whole = np.floor(x * _F(1.4426950408889634) + _F(0.5))
    r = x - whole * _F(0.693359375) + whole * _F(2.12194440e-4)
    y = _F(1.9875691500e-4)
    y = y * r + _F(1.3981999507e-3)
    y = y * r + _F(8.3334519073e-3)
    y = y * r + _F(4.1665795894e-2)
    y = y * r + _F(1.6666665459e-1)
    y = y * r + _F(5.0000001201e-1)
    power = _float(np.uint32((np.int32(whole) + np.int32(127)) << np.int32(23)))
    return (y * r * r + r + _F(1)) * power


@cache
def _by_logarithm() -> Callable[[Any], Any]:
    """Build the score of 32 bits that Giles describes, its centre and its tail apart."""
    c0, c1, c2, c3, c4, c5, c6, c7, c8 = _CENTRE
    t0, t1, t2, t3, t4, t5, t6, t7, t8 = _TAIL

    @njit(**_INLINED)
    def score(bits):
        negative = bits < np.uint32(0x80000000)
        p = (_F(np.int32(bits if negative else ~bits)) + _F(0.5)) * _F(2.0**-32)
        w = _F(-math.log(_F(4) * p * (_F(1) - p)))
        central = w < _F(5)
        v = w - _F(2.5) if central else np.sqrt(w) - _F(3)
        total = c0 if central else t0
        total = (c1 if central else t1) + total * v
        total = (c2 if central else t2) + total * v
        total = (c3 if central else t3) + total * v
        total = (c4 if central else t4) + total * v
        total = (c5 if central else t5) + total * v
        total = (c6 if central else t6) + total * v
        total = (c7 if central else t7) + total * v
        total = (c8 if central else t8) + total * v
        far = _F(np.sqrt(2.0)) * (_F(1) - _F(2) * p) * total
        return -far if negative else far

    return score


@cache
def _by_roots() -> Callable[[Any], Any]:
    """Build the score of 32 bits as riskshare has it."""
    a0, a1, a2, a3, a4, a5, a6, a7 = map(_F, streams.ABOVE)
    b0, b1, b2, b3, b4, b5, b6, b7 = map(_F, streams.BELOW)

    @njit(**_INLINED)
    def score(bits):
        negative = bits < np.uint32(0x80000000)
        twice = (_F(np.int32(bits if negative else ~bits)) + _F(0.5)) * _F(2.0**-31)
        root = np.sqrt(np.sqrt(twice * (_F(2) - twice)))
        above = a0
        above = a1 + above * root
        above = a2 + above * root
        above = a3 + above * root
        above = a4 + above * root
        above = a5 + above * root
        above = a6 + above * root
        above = a7 + above * root
        below = b0
        below = b1 + below * root
        below = b2 + below * root
        below = b3 + below * root
        below = b4 + below * root
        below = b5 + below * root
        below = b6 + below * root
        below = b7 + below * root
        far = (_F(1) - twice) * (above / below)
        return -far if negative else far

    return score


@cache
def _kernel(score: Callable[[Any], Any], exp: Callable[[Any], Any]) -> Callable[..., None]:
    """Build the program around a score and an exponential; numba compiles it when called."""
    low_end, high_end = _F(0), _F(GRID - 1.001)
    reach, per_score = _F(REACH), _F((GRID - 1) / (2 * REACH))

    @njit(**OPTIONS)
    def common(low, word, out):
        for s in range(out.size):
            out[s] = score(np.uint32(low[s] ^ word))

    @njit(**OPTIONS)
    def coupled(low, word, own, one, two, three, first, second, third, out):
        for s in range(out.size):
            shared = first * one[s] + second * two[s] + third * three[s]
            out[s] = own * score(np.uint32(low[s] ^ word)) + shared

    @njit(**OPTIONS)
    def looked_up(values, slopes, score_to_factor):
        for s in range(score_to_factor.size):
            place = min(max((score_to_factor[s] + reach) * per_score, low_end), high_end)
            node = np.uint32(np.int32(place))
            score_to_factor[s] = values[node] + slopes[node] * (place - _F(node))

    @njit(**OPTIONS)
    def settled(activity, score, plan_value, cost, rates, outlay, position):
        sigma, shift = cost[0], cost[1]
        fixed, variable = plan_value * cost[2], plan_value * cost[3]
        tolerance, up, down, beyond = rates[0], rates[1], rates[2], rates[3]
        for s in range(outlay.size):
            deviation = activity[s] - _F(1)
            inside = min(max(deviation, -tolerance), tolerance)
            rate = up if inside > _F(0) else down
            paid = plan_value * (rate * inside + beyond * (deviation - inside))
            outlay[s] += paid
            position[s] += paid - exp(sigma * score[s] + shift) * (fixed + variable * activity[s])

    @njit(**OPTIONS)
    def pooled(money, outlay):
        low, high, inner, outer, budget = money[0], money[1], money[2], money[3], money[4]
        for s in range(outlay.size):
            saving = -outlay[s] / budget
            gap = abs(saving)
            part = inner * min(max(gap - low, _F(0)), high - low) + outer * max(gap - high, _F(0))
            outlay[s] = budget * (part if saving > _F(0) else -part)

    @njit(**OPTIONS)
    def added(position, plan_value, key, shared, result):
        for s in range(result.size):
            result[s] = plan_value + position[s] + key * shared[s]

    @njit(parallel=True, **OPTIONS)
    def run(
        low, words, block, loadings, own, values, slopes, plan_value, provider, base, key,
        cost, rates, money, result,
    ):  # fmt: skip
        for b in prange(len(words)):
            factor = np.empty((FACTORS, block), np.float32)
            activity, unit_cost = np.empty(block, np.float32), np.empty(block, np.float32)
            position = np.zeros((PROVIDERS, block), np.float32)
            outlay = np.zeros(block, np.float32)
            for k in range(FACTORS):
                common(low[k, :block], words[b, k], factor[k])
            for line in range(LINES):
                for row, out in ((line, activity), (LINES + line, unit_cost)):
                    coupled(
                        low[FACTORS + row, :block], words[b, FACTORS + row], own[row],
                        factor[0], factor[1], factor[2],
                        loadings[row, 0], loadings[row, 1], loadings[row, 2], out,
                    )  # fmt: skip
                looked_up(values, slopes, activity)
                settled(
                    activity, unit_cost, plan_value[line], cost, rates,
                    outlay, position[provider[line]],
                )  # fmt: skip
            pooled(money, outlay)
            for p in range(PROVIDERS):
                place = result[p, b * block : (b + 1) * block]
                added(position[p], base[p], key[p], outlay, place)

    return run
