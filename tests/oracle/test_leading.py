"""Leading directions: an orthogonal turn, known directions of linear cases, and less variance."""

from contextlib import nullcontext

import builders
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from scipy import stats

import riskshare as rs
from riskshare.bench.problem import reference
from riskshare.bench.reference import reference_case
from riskshare.errors import ArgumentError
from riskshare.files.bundled import case_names
from riskshare.files.results import write_run
from riskshare.laws import Lognormal
from riskshare.outcomes import digest
from riskshare.program.leading import Leading, led, reflections
from riskshare.program.streams import BLOCK, pseudo_bits, pseudo_keys, score

SLOPES = {"a": 0.03, "b": -0.02, "c": 0.05, "d": 0.1}
"""What a provider's position gains, in millions, for each score."""


def orthonormal(columns, count, seed=1):
    drawn = np.random.default_rng(seed).standard_normal((columns, count))
    return np.linalg.qr(drawn)[0]


def dense(reflectors, factor):
    return np.eye(len(reflectors)) - reflectors @ factor @ reflectors.T


def linear(slopes=SLOPES, to=builders.PROVIDER, years=1, **process):
    """A case whose positions are a constant and a sum of slope x standard normal, per provider."""
    return builders.case(
        terms=[
            rs.Funding(
                name=name,
                from_="external",
                to=to,
                amount=1e6 * np.sign(slope),
                driver=name,
            )
            for name, slope in slopes.items()
        ],
        drivers=[
            rs.Driver(name=name, acts_on="funding", law="normal", sd=abs(slope), **process)
            for name, slope in slopes.items()
        ],
        count=years,
    )


def noisy(lines=("spells", "visits")):
    """Lines that vary by chance of their own, over two years."""
    noise = rs.Noise(law="gamma", cv=0.1)
    of = [builders.line(name, noise=noise) for name in lines]
    return builders.case(of, [rs.Block()], count=2)


# the turn


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        (1, [0]),
        (7, [0]),
        (7, [6]),
        (7, [5, 2, 3]),
        (7, list(range(7))),
        (7, [6, 4, 5, 0, 2, 3, 1]),
        (60, [0, 2, 1, 17, 59, 30, 8, 9]),
    ],
)
def test_the_turn_is_orthogonal_and_takes_columns_to_directions(columns, rows):
    wanted = orthonormal(columns, len(rows))
    found = dense(*reflections(wanted, np.array(rows)))
    np.testing.assert_allclose(found.T @ found, np.eye(columns), atol=1e-13)
    signs = np.sign(np.sum(found[:, rows] * wanted, axis=0))
    np.testing.assert_allclose(found[:, rows] * signs, wanted, atol=1e-13)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("rows", [[0, 1], [1, 0], [2, 4]])
def test_directions_that_are_columns_themselves(sign, rows):
    wanted = sign * np.eye(5)[:, :2]
    found = dense(*reflections(wanted, np.array(rows)))
    np.testing.assert_allclose(found.T @ found, np.eye(5), atol=1e-14)
    np.testing.assert_allclose(abs(found[:, rows]), np.eye(5)[:, :2], atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 5, 12])
def test_led_is_the_product_with_the_dense_matrix(dtype, count):
    years, columns, samples = 3, 4, 64
    given = orthonormal(12, count, seed=2)
    reflectors, factor = reflections(given, np.arange(count))
    scores = np.random.default_rng(3).standard_normal((years, columns, samples))
    expected = (dense(reflectors, factor) @ scores.reshape(12, samples)).reshape(scores.shape)
    with jax.enable_x64(True) if dtype == np.float64 else nullcontext():
        leading = Leading(reflectors.astype(dtype), factor.astype(dtype))
        turned, weight = led(leading, jnp.asarray(scores, dtype))
    assert weight is None
    assert turned.dtype == dtype
    # a dozen products and sums of numbers up to 4
    np.testing.assert_allclose(turned, expected, atol=60 * np.finfo(dtype).eps)


def test_turned_scores_are_independent_standard_normals():
    columns, blocks = 6, 32
    keys = pseudo_keys(4, [(0, i, 0) for i in range(columns)])
    leading = Leading(*reflections(orthonormal(columns, 3), np.array([4, 0, 1])))
    drawn = [led(leading, score(pseudo_bits(keys, b), np.float32)[None])[0] for b in range(blocks)]
    z = np.concatenate(drawn, axis=-1)[0].astype(np.float64)
    samples = blocks * BLOCK
    assert (abs(z.mean(axis=1)) < 4 / np.sqrt(samples)).all()
    # moments of products: variance 2 of a square, 1 of a product of two, 96 of a fourth power
    gaps = (z @ z.T / samples - np.eye(columns)) / np.sqrt(1 + np.eye(columns))
    assert (abs(gaps) < 4 / np.sqrt(samples)).all()
    assert (abs((z**4).mean(axis=1) - 3) < 4 * np.sqrt(96 / samples)).all()
    for row in z:
        assert stats.kstest(row, stats.norm.cdf).pvalue > 1e-4


# known directions


def test_a_linear_position_has_its_slopes_as_its_direction():
    case = linear()
    found = rs.leading_directions(case, count=2)
    slopes = np.array([*SLOPES.values()])
    expected = slopes / np.linalg.norm(slopes)
    assert found.column.values.tolist() == [f"{name} 2018/19" for name in SLOPES]
    # each of four loadings is off by about 1 / 256, a standard error of 65,536 samples
    assert abs(found.values[0] @ expected) > 1 - 4 * 4 / 65_536
    np.testing.assert_allclose(found.values @ found.values.T, np.eye(2), atol=1e-12)
    tail = rs.tail_directions(case, builders.PROVIDER, count=2)
    assert tail.values[0] @ expected < -(1 - 4 * 4 / 65_536)
    # the mean of a standard normal in its worst 0.5 %
    edge = stats.norm.ppf(0.005)
    assert tail.attrs["tilt_shift"] == pytest.approx(stats.norm.pdf(edge) / 0.005, rel=0.02)


def test_years_lead_by_what_they_weigh():
    case = linear({"a": 0.05}, years=2, process="ar1", persistence=0.5)
    found = rs.leading_directions(case, count=1)
    assert found.column.values.tolist() == ["a 2018/19", "a 2019/20"]
    # a year's score is half of last year's; the position of each year counts, and their sum
    axes = np.array([[1, 0], [0.5, np.sqrt(0.75)], [1.5, np.sqrt(0.75)]])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    expected = np.linalg.svd(axes)[2][0]
    assert abs(found.values[0] @ expected) > 1 - 4 * 2 / 65_536


def test_the_same_seed_gives_the_same_directions():
    case = noisy()
    found = rs.leading_directions(case, count=3, samples=8192)
    xr.testing.assert_identical(found, rs.leading_directions(case, count=3, samples=8192))
    other = rs.leading_directions(case, count=3, samples=8192, seed=1)
    assert not np.array_equal(found.values, other.values)
    assert found.attrs["reference"] == case.name
    assert found.attrs["reference_digest"] == digest(case)


# with results


def test_directions_are_kept_with_results_and_in_files(tmp_path):
    case = linear()
    directions = rs.tail_directions(case, builders.PROVIDER, samples=8192, count=2)
    of = {"samples": 4096, "directions": directions}
    outcomes, table = rs.simulate(case, **of), rs.estimate(case, **of, keep=("position",))
    for result in (outcomes, table, rs.draw(case, **of)):
        xr.testing.assert_identical(result.directions, directions)
    write_run(tmp_path, outcomes, table)
    saved = [xr.open_dataset(path) for path in tmp_path.glob("*.nc")]
    assert saved
    for result in saved:
        assert result.directions.attrs["reference_digest"] == digest(case)
        again = rs.simulate(case, samples=4096, directions=result.directions)
        np.testing.assert_array_equal(again.position, outcomes.position)
        np.testing.assert_array_equal(again.weight, outcomes.weight)
        result.close()


def test_sets_of_numbers_carry_them_once():
    case = linear()
    directions = rs.leading_directions(case, count=2, samples=8192)
    amounts = {"c.a.amount": xr.DataArray([1e6, 2e6], dims="contract")}
    found = rs.simulate(case, samples=256, directions=directions, parameters=amounts)
    assert found.directions.dims == ("direction", "column")
    assert found.position.sizes["contract"] == 2


def test_what_is_appended_moves_no_earlier_draw():
    case, more = noisy(), noisy(("spells", "visits", "tests"))
    directions = rs.leading_directions(case, samples=8192)
    draws = rs.draw(case, samples=4096, directions=directions)
    after = rs.draw(more, samples=4096, directions=directions)
    for name in case.labels()["line"]:
        np.testing.assert_allclose(
            after.activity.sel(line=name), draws.activity.sel(line=name), rtol=1e-6
        )
    alone = rs.draw(more, samples=4096)
    np.testing.assert_array_equal(after.activity.sel(line="tests"), alone.activity[:, 2])


def test_a_case_without_one_of_the_columns_refuses():
    directions = rs.leading_directions(noisy(), samples=8192)
    message = r"random columns that this case does not have, such as activity\[visits\] 2018/19"
    with pytest.raises(ArgumentError, match=message):
        rs.simulate(noisy(("spells",)), directions=directions)


def test_what_is_no_direction_is_refused():
    case = linear()
    found = rs.leading_directions(case, samples=8192)
    with pytest.raises(ArgumentError, match="found something else; accepted: what riskshare"):
        rs.simulate(case, directions=found.values)
    with pytest.raises(ArgumentError, match="found something else; accepted: what riskshare"):
        rs.estimate(case, directions=found.isel(direction=0))
    with pytest.raises(ArgumentError, match="not at right angles and of length 1"):
        rs.draw(case, directions=found * 2)
    slanted = found.copy(data=found.values + 0.01)
    with pytest.raises(ArgumentError, match="not at right angles and of length 1"):
        rs.draw(case, directions=slanted)
    with pytest.raises(ArgumentError, match="directions turn a sampler's own draws"):
        rs.simulate(case, directions=found, given=rs.draw(case, samples=4))


@pytest.mark.parametrize("count", [0, -1, 5, 1.5, True])
def test_counts_that_mean_nothing(count):
    message = "accepted: a whole number from 1 to 4, which is how many random columns there are"
    with pytest.raises(ArgumentError, match=message):
        rs.leading_directions(linear(), count=count)
    with pytest.raises(ArgumentError, match=message):
        rs.tail_directions(linear(), builders.PROVIDER, count=count)


def test_nothing_leads_where_nothing_is_drawn_or_nothing_moves():
    with pytest.raises(ArgumentError, match="nothing is drawn in this case"):
        rs.leading_directions(builders.case())
    with pytest.raises(ArgumentError, match="nothing is drawn in this case"):
        rs.tail_directions(builders.case(), builders.PROVIDER)
    idle = [rs.Driver(name="idle", acts_on="chance", law="normal", sd=1.0)]
    with pytest.raises(ArgumentError, match="nothing moves any position"):
        rs.leading_directions(builders.case(drivers=idle))
    with pytest.raises(ArgumentError, match="nothing moves the position of provider in all"):
        rs.tail_directions(linear(to=builders.PAYER), builders.PROVIDER)


# the same distribution


def shared():
    """Members, two years, changes, steps, waiting, every kind of term."""
    return builders.everything()


def student():
    """Three correlated drivers under a Student t copula."""
    names = ("a", "b", "c")
    return builders.case(
        [builders.line(loadings=dict.fromkeys(names, 1.0))],
        drivers=[rs.Driver(name=n, acts_on="activity", law="normal", sd=0.05) for n in names],
        correlations=[rs.Correlation(between=["a", "b"], value=0.5)],
        dependence=rs.Dependence(copula="student-t", degrees_of_freedom=4),
    )


def crowd():
    """People drawn one by one, over an attachment point."""
    noise, people = rs.Noise(law="poisson"), rs.People(law=Lognormal(cv=2.0))
    terms = [rs.ActivityPayment()]
    of = builders.line(baseline=20, unit_cost=1000.0, price=1000.0, noise=noise, people=people)
    return builders.case([of], terms)


def thinned():
    """A change that moves each case or not."""
    change = rs.Change(
        name="m",
        owner=builders.PAYER,
        source="spells",
        size=0.1,
        thinning=True,
        delivery=rs.Delivery(interval=[0.6, 1.1]),
    )
    of = builders.line(noise=rs.Noise(law="poisson"), baseline=1000)
    return builders.case([of], changes=[change])


RANDOMISATIONS = 64


def simulated(case, directions, seed):
    """Positions of each year, in thousands, (year, partner, sample), and weights."""
    outcomes = rs.simulate(
        case,
        samples=65_536,
        replicates=RANDOMISATIONS,
        directions=directions,
        keep=("position",),
        seed=seed,
    )
    weight = outcomes.weight.values if directions is not None and "weight" in outcomes else None
    position = outcomes.position.values.astype(np.float64) / 1e3
    return position, np.ones(position.shape[-1]) if weight is None else weight


def judged(run, edges):
    """Means, mean squares and distribution functions at edges, each with its error."""
    position, weight = run
    values = [position, position**2, *(position <= edge[..., None] for edge in edges)]
    each = (np.stack(values) * weight).reshape(*np.shape(values)[:-1], RANDOMISATIONS, -1).mean(-1)
    each /= weight.reshape(RANDOMISATIONS, -1).mean(-1)
    return each.mean(-1), each.std(-1, ddof=1) / np.sqrt(RANDOMISATIONS)


def assert_same_distribution(case, *directions):
    """Runs with and without directions agree within four standard errors of their difference."""
    plain = simulated(case, None, 1)
    rounding = 1e-5 * abs(plain[0]).max(axis=-1)
    # counts lie on a lattice, where quantiles jump but the distribution function does not
    edges = np.quantile(plain[0], [0.01, 0.05, 0.5, 0.9], axis=-1) + rounding
    plain = simulated(case, None, 2)
    value, error = judged(plain, edges)
    squares = 2e-5 * np.square(plain[0]).max(axis=-1)
    scale = np.concatenate([[rounding, squares], np.zeros(edges.shape)])
    for each in directions:
        other, its = judged(simulated(case, each, 3), edges)
        excess = abs(other - value) - scale - 4 * np.hypot(error, its)
        assert (excess <= 0).all(), np.unravel_index(excess.argmax(), excess.shape)


@pytest.mark.parametrize(
    "build",
    [student, *(pytest.param(slow, marks=pytest.mark.slow) for slow in (crowd, thinned, shared))],
)
def test_samples_have_the_same_distribution(build):
    case = build()
    leading = rs.leading_directions(case, samples=16_384)
    assert_same_distribution(
        case, leading, rs.tail_directions(case, "system", samples=16_384, level=0.02)
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", case_names())
def test_bundled_cases_have_the_same_distribution(name):
    case = rs.load_case(name)
    leading = rs.leading_directions(case, samples=16_384)
    assert_same_distribution(case, leading, rs.tail_directions(case, "system", samples=16_384))


# less variance

RUNS, SAMPLES, TAIL = 64, 32_768, 0.05


def variances(case, directions):
    """Variance of the 5 % quantile between runs of 32,768 samples: (provider)."""
    outcomes = rs.simulate(
        case, samples=RUNS * SAMPLES, replicates=RUNS, keep=("position",), directions=directions
    )
    position = outcomes.position.isel(year=0).values[:8].reshape(8, RUNS, SAMPLES)
    position = np.concatenate([position, position.sum(axis=0, keepdims=True)])
    return np.quantile(position, TAIL, axis=2, method="inverted_cdf").var(axis=1, ddof=1)


@pytest.mark.slow
def test_tail_quantiles_of_the_reference_problem_have_less_variance():
    case = reference_case(reference())
    ratio = variances(case, None) / variances(case, rs.leading_directions(case))
    # were they the same, each ratio would be above this once in 10,000 times
    assert ratio[8] > stats.f.ppf(0.9999, RUNS - 1, RUNS - 1)
    assert ratio.mean() > 1.2
