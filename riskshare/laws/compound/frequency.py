"""How many: frequency laws, given by their probability generating function.

``G(z) = E[z^N]`` turns the transform of one amount into that of their sum, so it is all that an
aggregate law needs to know of a count. Every generating function here is evaluated where
``|z| <= 1``, on complex arrays.
"""

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
Complexes: TypeAlias = NDArray[np.complex128]
_Density: TypeAlias = Callable[[Floats], Floats]


class AbstractFrequency(abc.ABC):
    """A law of a count N = 0, 1, 2, ..."""

    @abc.abstractmethod
    def generating(self, z: Complexes, members: float = 1.0) -> Complexes:
        """Return E[z^N]^members for complex z, |z| <= 1: the sum over so many who are alike.

        A number of members that is not whole stands for members who differ (`quadrature`); only
        laws whose generating function never winds round zero take one.
        """

    @abc.abstractmethod
    def expectation(self) -> float:
        """Return E[N]."""

    @abc.abstractmethod
    def variance(self) -> float:
        """Return Var N."""

    @abc.abstractmethod
    def mass(self, count: ArrayLike) -> Floats:
        """Return P(N = count) for whole numbers; zero elsewhere."""


@dataclass(frozen=True)
class Poisson(AbstractFrequency):
    """Poisson: ``G(z) = exp(mean (z - 1))``.

    Parameters
    ----------
    mean
        Expected number, zero or more.
    """

    mean: float

    def __post_init__(self) -> None:
        """Refuse a mean that is negative or not finite."""
        _not_negative("mean", self.mean)

    def generating(self, z: Complexes, members: float = 1.0) -> Complexes:
        """Return exp(members mean (z - 1))."""
        return np.exp(members * self.mean * (z - 1))

    def expectation(self) -> float:
        """Return the mean."""
        return float(self.mean)

    def variance(self) -> float:
        """Return the mean, which is the variance."""
        return float(self.mean)

    def mass(self, count: ArrayLike) -> Floats:
        """Return exp(-mean) mean^n / n!."""
        from scipy.special import gammaln, xlogy

        n = np.asarray(count, np.float64)
        return _at_whole(n, lambda k: np.exp(xlogy(k, self.mean) - self.mean - gammaln(k + 1)))


@dataclass(frozen=True)
class NegativeBinomial(AbstractFrequency):
    """Negative binomial: ``G(z) = (1 - c mean (z - 1))^(-1 / c)``, ``Var = mean + c mean^2``.

    A Poisson count whose mean is multiplied by a gamma factor of mean 1 and variance c. In the
    terms of Loss Models (Klugman, Panjer, Willmot), ``r = 1 / c`` and ``beta = c mean``.

    Parameters
    ----------
    mean
        Expected number, zero or more.
    overdispersion
        c, zero or more; zero is Poisson.
    """

    mean: float
    overdispersion: float

    def __post_init__(self) -> None:
        """Refuse numbers that are negative or not finite."""
        _not_negative("mean", self.mean)
        _not_negative("overdispersion", self.overdispersion)

    def generating(self, z: Complexes, members: float = 1.0) -> Complexes:
        """Return (1 - c mean (z - 1))^(-members / c)."""
        c = self.overdispersion
        if c == 0:
            return Poisson(self.mean).generating(z, members)
        # The real part of 1 - c mean (z - 1) is at least 1: the principal branch is the right one.
        return np.exp(-members / c * np.log1p(c * self.mean * (1 - z)))

    def expectation(self) -> float:
        """Return the mean."""
        return float(self.mean)

    def variance(self) -> float:
        """Return mean + c mean^2."""
        return float(self.mean + self.overdispersion * self.mean**2)

    def mass(self, count: ArrayLike) -> Floats:
        """Return Gamma(r + n) / (Gamma(r) n!) p^r (1 - p)^n, r = 1 / c, p = 1 / (1 + c mean)."""
        from scipy.special import gammaln, xlogy

        c = self.overdispersion
        if c == 0:
            return Poisson(self.mean).mass(count)
        r, beta = 1 / c, c * self.mean

        def density(k: Floats) -> Floats:
            ways = gammaln(r + k) - gammaln(r) - gammaln(k + 1)
            return np.exp(ways + xlogy(k, beta) - (r + k) * np.log1p(beta))

        return _at_whole(np.asarray(count, np.float64), density)


@dataclass(frozen=True)
class Binomial(AbstractFrequency):
    """Binomial: ``G(z) = (1 + probability (z - 1))^number``; of number 1, Bernoulli.

    Parameters
    ----------
    number
        Number of trials, a whole number, zero or more.
    probability
        Probability of each, from 0 to 1.
    """

    number: int
    probability: float

    def __post_init__(self) -> None:
        """Refuse a number that is not whole, or a probability outside [0, 1]."""
        _not_negative("number", self.number)
        if int(self.number) != self.number:
            raise ValueError(f"number is {self.number}; it must be a whole number of trials")
        _share("probability", self.probability)

    def generating(self, z: Complexes, members: float = 1.0) -> Complexes:
        """Return (1 + probability (z - 1))^(number members)."""
        return _power(1 + self.probability * (z - 1), int(self.number) * members)

    def expectation(self) -> float:
        """Return number x probability."""
        return float(self.number * self.probability)

    def variance(self) -> float:
        """Return number x probability x (1 - probability)."""
        return float(self.number * self.probability * (1 - self.probability))

    def mass(self, count: ArrayLike) -> Floats:
        """Return the binomial probabilities."""
        from scipy.special import gammaln, xlog1py, xlogy

        m, p = self.number, self.probability

        def density(k: Floats) -> Floats:
            k = np.minimum(k, m + 1)
            ways = gammaln(m + 1) - gammaln(k + 1) - gammaln(np.maximum(m - k, 0) + 1)
            return np.exp(ways + xlogy(k, p) + xlog1py(np.maximum(m - k, 0), -p)) * (k <= m)

        return _at_whole(np.asarray(count, np.float64), density)


@dataclass(frozen=True)
class Counts(AbstractFrequency):
    """Any probabilities of 0, 1, 2, ..., n: ``G(z) = sum of p_k z^k``.

    Parameters
    ----------
    probabilities
        P(N = 0), P(N = 1), ...; they sum to one.
    """

    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse probabilities that are negative or do not sum to one."""
        given = tuple(float(p) for p in self.probabilities)
        object.__setattr__(self, "probabilities", given)
        if not given or min(given) < 0 or not abs(sum(given) - 1) <= 1e-9:
            raise ValueError(
                f"probabilities sum to {sum(given):g}; they must be zero or more and sum to 1"
            )

    def generating(self, z: Complexes, members: float = 1.0) -> Complexes:
        """Return the polynomial, to the power of the members."""
        return _power(np.polynomial.polynomial.polyval(z, np.array(self.probabilities)), members)

    def expectation(self) -> float:
        """Return sum of k p_k."""
        return float(np.arange(len(self.probabilities)) @ np.array(self.probabilities))

    def variance(self) -> float:
        """Return sum of (k - mean)^2 p_k."""
        away = np.arange(len(self.probabilities)) - self.expectation()
        return float(away**2 @ np.array(self.probabilities))

    def mass(self, count: ArrayLike) -> Floats:
        """Return p_k."""
        given = np.array((*self.probabilities, 0.0))

        def density(k: Floats) -> Floats:
            return given[np.minimum(k, len(given) - 1).astype(np.int64)]

        return _at_whole(np.asarray(count, np.float64), density)


@dataclass(frozen=True)
class ZeroInflated(AbstractFrequency):
    """None at all with probability ``zeros``, else another law: ``zeros + (1 - zeros) G(z)``.

    Parameters
    ----------
    zeros
        Probability of none whatever the other law says, from 0 to 1.
    of
        The law otherwise, which may give zeros of its own.
    """

    zeros: float
    of: AbstractFrequency

    def __post_init__(self) -> None:
        """Refuse a share outside [0, 1]."""
        _share("zeros", self.zeros)

    def generating(self, z: Complexes, members: float = 1.0) -> Complexes:
        """Return (zeros + (1 - zeros) G(z))^members."""
        return _power(self.zeros + (1 - self.zeros) * self.of.generating(z), members)

    def expectation(self) -> float:
        """Return (1 - zeros) E[N]."""
        return (1 - self.zeros) * self.of.expectation()

    def variance(self) -> float:
        """Return (1 - zeros) (Var N + zeros E[N]^2)."""
        return (1 - self.zeros) * (self.of.variance() + self.zeros * self.of.expectation() ** 2)

    def mass(self, count: ArrayLike) -> Floats:
        """Return the mixture's probabilities."""
        n = np.asarray(count, np.float64)
        return self.zeros * (n == 0) + (1 - self.zeros) * self.of.mass(n)


def _power(base: Complexes, exponent: float) -> Complexes:
    """Return a power; by whole numbers where it is one, which needs no logarithm's branch."""
    return np.asarray(base ** (int(exponent) if float(exponent).is_integer() else exponent))


def _at_whole(count: Floats, density: _Density) -> Floats:
    """Return a density at whole numbers from 0 on, and zero elsewhere."""
    whole = (count >= 0) & (count == np.floor(count))
    return np.where(whole, density(np.where(whole, count, 0.0)), 0.0)


def _not_negative(name: str, value: float) -> None:
    if not 0 <= value < np.inf:
        raise ValueError(f"{name} is {value}; it must be zero or more and finite")


def _share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}; it is a probability, from 0 to 1")
