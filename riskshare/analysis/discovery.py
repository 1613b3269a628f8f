"""Scenario discovery: where in ranges of belief a contract stops doing what it should.

Points of a Latin hypercube over the ranges are simulated with the same random numbers, and a
classification tree of scikit-learn (CART) finds the boxes in which a condition fails.
"""

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.analysis.conditions import Condition, conditions_of
from riskshare.bind import Bound, targets_of
from riskshare.bind.packed import packed
from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.outcomes import attributes, resolution
from riskshare.program.block import sample_blocks
from riskshare.program.source import SobolPoints
from riskshare.run.precision import cast, computing_in
from riskshare.run.program import Program, Stream
from riskshare.run.sampling import REPLICATES, sampling_of
from riskshare.run.tables import ready
from riskshare.statistics import Floats, Replicates

Flags = NDArray[np.bool_]

_LEAST_POINTS = 32
_TARGET = re.compile(r"^partners\..*\.(target|offset)\b")
_LEAF = 0.05
"""Share of the points that a box holds at least."""


def discover(
    case: Case,
    beliefs: Mapping[str, tuple[float, float]],
    holds: str | Sequence[str],
    *,
    count: int = 512,
    samples: int = 4096,
    seed: int = 1,
    depth: int = 4,
    density: float = 0.5,
) -> xr.Dataset:
    """Find where in ranges of belief a condition fails, as boxes of numbers.

    ``count`` points of a Latin hypercube fill the ranges evenly. At each the case is simulated with
    the same random bits, and a point fails where any condition does. Every second point grows a
    classification tree (CART, Gini impurity); its leaves in which more than ``density`` of the
    points fail are the boxes. The other points, which the tree has not seen, say how good each is:

    - ``coverage``: share of all failing points that lie in the box;
    - ``density``: share of the points in the box that fail.

    Parameters
    ----------
    case
        The case.
    beliefs
        Lowest and highest value by path of a number. A point is as likely anywhere between.
    holds
        A condition, or several of which all must hold, such as
        ``"position_probability_of_deficit[acute] <= 0.1"``.
    count
        Points, 32 or more.
    samples
        Of each point's simulation, as in `riskshare.simulate`.
    seed
        Of the points and of the simulation.
    depth
        Splits between the whole range and a box at most.
    density
        Share of failing points above which a leaf of the tree is a box, from 0 to 1.

    Returns
    -------
    xarray.Dataset
        On (box, belief): ``low``, ``high`` and ``restricted``, whether the box ends within the
        range of belief. On box, the one of greatest coverage first: ``coverage``, ``density`` and
        ``mass`` (share of all points), each with ``<name>_error`` (binomial). On (point, belief):
        ``value``; on (point, condition): ``statistic``, ``statistic_error`` and ``margin`` (below 0
        it fails); on point: ``fails``, ``doubtful`` (some margin lies within two standard errors of
        0) and ``box_of``, the place of its box, -1 outside. Attributes: ``failing``, the share of
        points that fail; ``coverage`` and ``density`` of all boxes together.

    Raises
    ------
    ArgumentError
        For a path that is not in the case, a range that is none, too few points, or where
        scikit-learn (extra ``riskshare[discovery]``) is not installed.
    CaseError
        For ranges whose ends the case cannot have.

    Examples
    --------
    >>> import riskshare as rs
    >>> case = rs.load_case("msk-toy")
    >>> rates = {"msk.marginal-rate.rate[inpatients]": (0, 1), "drivers.price.sd": (0, 0.03)}
    >>> target = "position_mean[acute] >= -200000"
    >>> found = rs.discover(case, rates, target, count=64, samples=256)
    >>> found.low.dims
    ('box', 'belief')

    See Also
    --------
    riskshare.stress : Named scenarios on the same draws.
    """
    tree = _tree()
    ranges = _ranges(case, beliefs)
    conditions = conditions_of("holds", holds, case)
    if not conditions:
        raise ArgumentError("holds is empty; give a condition that is to hold")
    number = _whole("count", count, _LEAST_POINTS)
    steps = _whole("depth", depth, 1)
    least = _share("density", density)
    sampling = sampling_of(samples, seed, "sobol", REPLICATES)
    places = _places(len(ranges), number, seed)
    ends = np.array(list(ranges.values()))
    points = ends[:, 0] + places * (ends[:, 1] - ends[:, 0])
    values, errors = _statistics(case, list(ranges), points, conditions, samples, seed)
    margin = np.stack([c.margin(values[:, i]) for i, c in enumerate(conditions)], axis=-1)
    fails = np.asarray((margin < 0).any(-1))
    doubtful = (np.abs(margin) < 2 * errors).any(-1)
    grown = np.arange(number) % 2 == 0
    edges = _boxes(tree, places, fails, grown, steps, least)
    found = _described(edges, places, points, ends, fails, ~grown)
    found = found.assign(
        statistic=(("point", "condition"), values),
        statistic_error=(("point", "condition"), errors),
        margin=(("point", "condition"), margin),
        doubtful=("point", doubtful),
    ).assign_coords(belief=list(ranges), condition=[c.text for c in conditions])
    said = {"points": number, "density_asked": least, "depth": steps}
    return found.assign_attrs(
        attributes(case, "float32") | sampling.attributes(samples) | said | found.attrs
    )


def refuse_beliefs(case: Case, beliefs: Mapping[str, tuple[float, float]]) -> None:
    """Refuse what `discover` would, where other work comes first.

    Raises
    ------
    ArgumentError, CaseError
        As in `discover`.
    """
    _tree()
    _ranges(case, beliefs)


def _tree() -> Any:
    """Return the module with the classification tree, before any work is done for it."""
    try:
        return importlib.import_module("sklearn.tree")
    except ImportError:
        raise ArgumentError(
            "scenario discovery needs scikit-learn, which is not installed; "
            "pip install 'riskshare[discovery]'"
        ) from None


def _ranges(
    case: Case, beliefs: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    accepted = 'accepted: lowest and highest value by path, as {"drivers.demand.sd": (0.01, 0.05)}'
    if not isinstance(beliefs, Mapping) or not beliefs:
        raise ArgumentError(f"beliefs is {beliefs!r}; {accepted}")
    found = {}
    for path, ends in beliefs.items():
        try:
            low, high = (float(end) for end in ends)
        except (TypeError, ValueError):
            raise ArgumentError(f"beliefs: {path} is {ends!r}; {accepted}") from None
        if not (np.isfinite([low, high]).all() and low < high):
            raise ArgumentError(f"beliefs: {path} is {ends!r}; accepted: low below high, finite")
        found[path] = (low, high)
    for place in (0, 1):
        case.with_numbers({path: ends[place] for path, ends in found.items()})
    return found


def _whole(name: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ArgumentError(f"{name} is {value!r}; accepted: a whole number of at least {least}")
    return int(value)


def _share(name: str, value: float) -> float:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not 0 <= float(value) < 1:
        raise ArgumentError(f"{name} is {value!r}; accepted: a share from 0, below 1")
    return float(value)


def _places(dimensions: int, count: int, seed: int) -> Floats:
    """Return points of a Latin hypercube in the unit cube, (point, dimension)."""
    from scipy.stats import qmc

    return np.asarray(qmc.LatinHypercube(dimensions, rng=seed).random(count))


def _statistics(
    case: Case,
    paths: Sequence[str],
    points: Floats,
    conditions: Sequence[Condition],
    samples: int,
    seed: int,
) -> tuple[Floats, Floats]:
    """Return each condition's statistic and its error at each point: (point, condition)."""
    weights = [condition.weights(case) for condition in conditions]
    found = np.empty((2, len(points), len(conditions)))
    runs = _positions(case, paths, points, samples, seed)
    for place, (position, thresholds, replicates) in enumerate(runs):
        for i, (condition, (years, partners)) in enumerate(zip(conditions, weights, strict=True)):
            values = np.einsum("y,p,yps->s", years, partners, position)
            threshold = float(years @ thresholds @ partners)
            found[:, place, i] = condition.of(values, threshold, replicates)
    return found[0], found[1]


def _positions(
    case: Case, paths: Sequence[str], points: Floats, samples: int, seed: int
) -> Iterator[tuple[Floats, Floats, Replicates]]:
    """Yield positions, (year, partner, sample), what is a deficit, and replicates at each point.

    One compiled kernel serves all points. Where a number is one that the plan or a table is made
    from, the case is bound anew at each of them.
    """
    program = Program(case, ["position"])
    stream, bound = program.stream(samples, seed), program.bound
    replicates = Replicates.labelled(stream.replicate)
    # a target moves no position but what a deficit is
    movable = all(path in program.parameters and not _TARGET.search(path) for path in paths)
    for point in points:
        numbers = dict(zip(paths, map(float, point), strict=True))
        if movable:
            single = {path: np.float32(value) for path, value in numbers.items()}
            position = program.simulate(single, stream)["position"]
            yield np.asarray(position, np.float64), _deficit(case, bound), replicates
        else:
            other = case.with_numbers(numbers)
            moved = ready(other)
            own = stream
            if moved.columns != bound.columns:  # something is certain there, or drawn only there
                own = Program(other, ["position"]).stream(samples, seed)
            yield _settled(moved, own), _deficit(other, moved), replicates


def _settled(bound: Bound, stream: Stream) -> Floats:
    """Return positions of a bound case, (year, partner, sample)."""
    with computing_in(np.float32):
        outputs = sample_blocks.fast(
            bound.structure,
            packed(cast(bound.numbers, np.float32)),
            SobolPoints(stream.shared),
            stream.blocks,
            keep=("position",),
            dtype=np.float32,
        )
    parts = np.moveaxis(np.asarray(outputs["position"], np.float64), 0, -2)
    return parts.reshape(*parts.shape[:-2], -1)


def _deficit(case: Case, bound: Bound) -> Floats:
    """Return below what a position is a deficit, (year, partner)."""
    return np.asarray(targets_of(case) - resolution(case, bound, "float32"))


def _boxes(
    tree: Any, places: Floats, fails: Flags, grown: Flags, depth: int, density: float
) -> list[Floats]:
    """Return boxes of the unit cube, (dimension, 2), in which more than a share of points fail."""
    whole = np.tile([0.0, 1.0], (places.shape[1], 1))
    if not fails[grown].any():
        return []
    if fails[grown].all():
        return [whole]
    smallest = max(int(_LEAF * grown.sum()), 2)
    model = tree.DecisionTreeClassifier(max_depth=depth, min_samples_leaf=smallest, random_state=0)
    grown_tree = model.fit(places[grown], fails[grown]).tree_
    failing = int(np.argmax(model.classes_))

    def walk(node: int, box: Floats) -> Iterator[Floats]:
        if grown_tree.children_left[node] < 0:
            share = grown_tree.value[node][0][failing] / grown_tree.value[node][0].sum()
            if share > density:
                yield box
            return
        axis, at = grown_tree.feature[node], grown_tree.threshold[node]
        for child, end in ((grown_tree.children_left, 1), (grown_tree.children_right, 0)):
            inner = box.copy()
            inner[axis, end] = at
            yield from walk(child[node], inner)

    return _joined(list(walk(0, whole)))


def _joined(boxes: list[Floats]) -> list[Floats]:
    """Return boxes with those made one that share a whole side: a split that told nothing apart."""
    for i, one in enumerate(boxes):
        for j in range(i + 1, len(boxes)):
            other = boxes[j]
            apart = np.flatnonzero((one != other).any(1))
            if len(apart) == 1:
                axis = apart[0]
                low, high = sorted((one[axis], other[axis]), key=lambda ends: ends[0])
                if low[1] == high[0]:
                    union = one.copy()
                    union[axis] = low[0], high[1]
                    rest = [box for k, box in enumerate(boxes) if k not in (i, j)]
                    return _joined([*rest, union])
    return boxes


def _inside(places: Floats, box: Floats) -> Flags:
    # the tree sends what equals a threshold to the left, in single precision
    single = places.astype(np.float32)
    above = (single > box[:, 0]) | (box[:, 0] == 0)
    return np.asarray((above & (single <= box[:, 1])).all(1))


def _described(
    boxes: list[Floats],
    places: Floats,
    points: Floats,
    ends: Floats,
    fails: Flags,
    judged: Flags,
) -> xr.Dataset:
    """Return boxes in the units of the beliefs, and how good they are on the points to judge by."""
    inside = np.array([_inside(places, box) for box in boxes], bool).reshape(
        len(boxes), len(places)
    )
    failing = fails & judged
    good = np.array([_goodness(row, failing, judged) for row in inside]).reshape(len(boxes), 3, 2)
    order = np.argsort(-good[:, 0, 0], kind="stable")
    boxes, inside, good = [boxes[i] for i in order], inside[order], good[order]
    width = ends[:, 1] - ends[:, 0]
    edges = np.array([ends[:, :1] + box * width[:, None] for box in boxes]).reshape(
        -1, len(ends), 2
    )
    unit = np.array(boxes).reshape(-1, len(ends), 2)
    anywhere = np.asarray(inside.any(0))
    together = _goodness(anywhere, failing, judged)
    number = np.where(anywhere, inside.argmax(0), -1) if boxes else np.full(len(points), -1)
    variables: dict[str, Any] = {
        "low": (("box", "belief"), edges[..., 0]),
        "high": (("box", "belief"), edges[..., 1]),
        "restricted": (("box", "belief"), (unit[..., 0] > 0) | (unit[..., 1] < 1)),
        "value": (("point", "belief"), points),
        "fails": ("point", fails),
        "box_of": ("point", number),
    }
    for i, name in enumerate(("coverage", "density", "mass")):
        variables[name] = ("box", good[:, i, 0])
        variables[f"{name}_error"] = ("box", good[:, i, 1])
    attrs = {
        "failing": float(fails.mean()),
        "coverage": together[0][0],
        "density": together[1][0],
        "judged_on": int(judged.sum()),
    }
    coords = {"belief_low": ("belief", ends[:, 0]), "belief_high": ("belief", ends[:, 1])}
    return xr.Dataset(variables, coords, attrs)


def _goodness(inside: Flags, failing: Flags, judged: Flags) -> list[tuple[float, float]]:
    """Return coverage, density and mass of a box, each a share of points with its error."""

    def share(part: int, of: int) -> tuple[float, float]:
        if not of:
            return float("nan"), float("nan")
        found = part / of
        return found, float(np.sqrt(found * (1 - found) / of))

    held = int((inside & judged).sum())
    caught = int((inside & failing).sum())
    return [
        share(caught, int(failing.sum())),
        share(caught, held),
        share(held, int(judged.sum())),
    ]
