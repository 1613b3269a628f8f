import itertools

import numpy as np
import pytest
from scipy import integrate

from riskshare.laws.indices import IndexMap
from riskshare.laws.moments import mean_of_product


def normal_density(z):
    return np.exp(-z * z / 2) / np.sqrt(2 * np.pi)


def integral(function, kink):
    """Integrate from the kink, or from where the density vanishes, in panels."""
    start = max(kink, -12.0)
    edges = np.linspace(start, max(start, 0.0) + 12, 5)
    panels = itertools.pairwise(edges)
    return sum(
        integrate.quad(function, a, b, epsabs=1e-14, epsrel=1e-11, limit=200)[0] for a, b in panels
    )


def floored(location, scale, power):
    def value(z):
        return max(location + scale * z, 0.0) ** power * normal_density(z)

    return integral(value, -location / scale) if scale else max(location, 0) ** power


@pytest.mark.parametrize(
    ("location", "scale", "power"),
    [
        (1, 0.1, 1),
        (1, 0.5, 2),
        (1, 0.8, 0.5),
        (0.2, 1, 1.3),
        (-3, 1, 0.7),
        (1, 0.2, 6),
        (1, 1, 0.1),
    ],
)
def test_one_floored_normal(location, scale, power):
    mean = mean_of_product([location], [scale], [False], [power], [[1]])
    assert mean == pytest.approx(floored(location, scale, power), rel=1e-8)


@pytest.mark.parametrize("logarithmic", [True, False])
def test_power_one_is_the_index_mean(logarithmic):
    index = IndexMap(0.4, 0.7, logarithmic)
    mean = mean_of_product([0.4], [0.7], [logarithmic], [1], [[1]])
    assert mean == pytest.approx(index.mean(), rel=1e-14)


def test_lognormals_in_closed_form():
    location, scale, power = np.array([0.1, -0.2, 0.3]), np.array([0.2, 0.5, 0.1]), [1, -1.5, 2]
    correlation = np.array([[1, 0.4, -0.3], [0.4, 1, 0.2], [-0.3, 0.2, 1]])
    load = scale * power
    expected = np.exp(location @ power + load @ correlation @ load / 2)
    mean = mean_of_product(location, scale, [True] * 3, power, correlation)
    assert mean == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("location", "scale", "power", "rho"),
    [
        ((1, 1), (0.1, 0.2), (1, 1), 0.5),
        ((1, 1), (0.6, 0.7), (1.5, 0.5), -0.6),
        ((0.5, 1), (1, 1), (1, 2), 0.9),
        ((0.5, 1), (1, 0.5), (0.7, 0.3), -0.99),
    ],
)
def test_two_correlated_floored_normals(location, scale, power, rho):
    def value(z):
        middle, width = location[1] + scale[1] * rho * z, scale[1] * np.sqrt(1 - rho**2)
        own = max(location[0] + scale[0] * z, 0.0) ** power[0]
        return own * normal_density(z) * floored(middle, width, power[1])

    expected = integral(value, -location[0] / scale[0])
    mean = mean_of_product(location, scale, [False] * 2, power, [[1, rho], [rho, 1]])
    assert mean == pytest.approx(expected, rel=1e-8)


def product_of_normals(location, scale, correlation):
    """Isserlis: the mean of a product of normals without floors."""
    if len(location) == 0:
        return 1.0
    rest = np.arange(1, len(location))
    total = location[0] * product_of_normals(
        location[rest], scale[rest], correlation[np.ix_(rest, rest)]
    )
    for other in rest:
        left = rest[rest != other]
        total += (scale[0] * scale[other] * correlation[0, other]) * product_of_normals(
            location[left], scale[left], correlation[np.ix_(left, left)]
        )
    return total


@pytest.mark.parametrize(
    ("size", "tolerance"), [(3, 1e-7), (4, 1e-7), (5, 1e-7), (8, 1e-7), (9, 1e-4)]
)
def test_blocks_with_the_floor_out_of_reach(size, tolerance):
    scale = np.linspace(0.03, 0.12, size)
    correlation = 0.4 + 0.6 * np.eye(size)
    mean = mean_of_product(np.ones(size), scale, [False] * size, np.ones(size), correlation)
    assert mean == pytest.approx(
        product_of_normals(np.ones(size), scale, correlation), rel=tolerance
    )


def test_three_floored_normals_by_conditioning():
    location, scale, rho = np.array([1.0, 0.6, 0.3]), np.array([0.6, 0.7, 0.9]), 0.4
    correlation = np.array([[1, rho, 0], [rho, 1, rho], [0, rho, 1]])
    # Given the middle score the outer two are independent here if their partial correlation is
    # zero, so it is made so.
    correlation[0, 2] = correlation[2, 0] = rho**2
    width = np.sqrt(1 - rho**2)

    def value(z):
        outer = [floored(location[i] + scale[i] * rho * z, scale[i] * width, 1) for i in (0, 2)]
        return outer[0] * outer[1] * max(location[1] + scale[1] * z, 0) * normal_density(z)

    mean = mean_of_product(location, scale, [False] * 3, [1, 1, 1], correlation)
    assert mean == pytest.approx(integral(value, -location[1] / scale[1]), rel=1e-6)


def test_lognormals_tilt_floored_normals():
    location, scale, power = [0.1, 0.8, 1.2], [0.3, 0.6, 0.5], [1, 1, 0.5]
    rho = np.array([[1, 0.6, -0.5], [0.6, 1, 0], [-0.5, 0, 1]])
    mean = mean_of_product(location, scale, [True, False, False], power, rho)
    shifted = [location[i] + scale[i] * rho[i, 0] * scale[0] for i in (1, 2)]
    expected = np.exp(0.1 + 0.3**2 / 2)
    expected *= floored(shifted[0], scale[1], 1) * floored(shifted[1], scale[2], 0.5)
    assert mean == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("size", [2, 3, 4, 6])
def test_mixed_products_agree_with_simulation(size):
    rng = np.random.default_rng(size)
    root = rng.normal(size=(size, size + 2))
    root /= np.linalg.norm(root, axis=1)[:, None]
    correlation = root @ root.T
    location, scale = rng.uniform(0.8, 1.2, size), rng.uniform(0.1, 0.5, size)
    logs, power = np.arange(size) % 3 == 2, rng.choice([0.5, 1, 2], size)
    x = location[:, None] + scale[:, None] * (root @ rng.normal(size=(size + 2, 400_000)))
    draws = np.prod(np.where(logs[:, None], np.exp(x), np.maximum(x, 0)) ** power[:, None], axis=0)
    mean = mean_of_product(location, scale, logs, power, correlation)
    assert abs(draws.mean() - mean) < 4 * draws.std() / np.sqrt(draws.size)


def test_zero_powers_and_zero_scales_drop_out():
    mean = mean_of_product([1, -1, 2], [0.5, 0.3, 0], [False] * 3, [1, 0, 3], np.eye(3))
    assert mean == pytest.approx(8 * floored(1, 0.5, 1), rel=1e-12)
    assert mean_of_product([], [], [], [], np.zeros((0, 0))) == 1
    assert mean_of_product([-1], [0], [False], [2], [[1]]) == 0


def test_an_infinite_mean_is_refused():
    with pytest.raises(ValueError, match="infinite"):
        mean_of_product([1], [0.1], [False], [-0.5], [[1]])
    assert mean_of_product([2], [0], [False], [-1], [[1]]) == 0.5
