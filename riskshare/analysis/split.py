"""Every position in parts, sample by sample: by driver, by term and by line."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.analysis.coalitions import Coalitions, Masks, planned_indices, players_of
from riskshare.analysis.lines import AtPlan, at_plan, by_line, drawn_for
from riskshare.analysis.shapley import Shares, Value, sampled, shapley
from riskshare.bind import Bound
from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.names import DRIVER, LINE, TERM, YEAR
from riskshare.outcomes import attributes, outcomes_dataset
from riskshare.run.chunks import run_chunks
from riskshare.run.memory import refuse_too_large
from riskshare.run.sampling import Sampling, sampling_of
from riskshare.run.simulate import refuse_persons
from riskshare.run.tables import ready

Floats = NDArray[np.float64]

PLAN, PLAN_GAP = "plan", "plan gap"
"""Position at plan; and what a plan set apart from its parts makes of it."""
COST, CONTRACT, CHANGES = "cost", "contract", "changes"
"""Parts that are no term or line: cost; what terms move for no line; what changes cost to run."""

MEMBER = "member"
"""The dimension of partners as parts of the system."""

AXES = (DRIVER, TERM, LINE, YEAR, MEMBER)
"""What positions are split by."""

EXACT = 7
"""Players up to whose number all coalitions are played: 2^7 runs at most."""
PERMUTATIONS = 4
"""Orders of each replicate where there are more."""


@dataclass(frozen=True)
class Split:
    """Samples of every position and of its parts; arrays end in (replicate, sample)."""

    outcomes: xr.Dataset
    """Position and its coordinates."""
    sampling: Sampling
    position: Floats
    """(year, partner, replicate, sample)"""
    parts: Mapping[str, tuple[tuple[str, ...], Floats]]
    """By driver, term or line the names of parts, and (part, year, partner, replicate, sample)."""
    at_plan: Mapping[str, Floats]
    """By axis what its parts are at plan: (part, year, partner); none by driver."""
    planned: Floats
    """Positions at plan, (year, partner)."""
    alone: Floats | None
    """(part by driver, year, partner, replicate, sample), where positions are split by driver."""
    by: tuple[str, ...]
    """What positions are to be split by."""


def split_positions(
    case: Case,
    samples: int,
    seed: int,
    replicates: int,
    groups: Mapping[str, Sequence[str]] | None,
    permutations: int | None,
    workers: int | None,
    by: Sequence[str],
) -> Split:
    """Run a case and every coalition of its drivers; parameters are those of `attribute`."""
    axes = axes_of(by)
    bound = ready(case)
    refuse_persons(bound)
    sampling = sampling_of(samples, seed, "sobol", replicates)
    players = players_of(case, bound, groups)
    orders = orders_of(permutations, len(players))
    refuse_parts(bound, sampling, len(players) if DRIVER in axes else 0)
    coalitions = Coalitions(case, bound, players, sampling, workers)
    keep = ("position", "posting", "line_cost", *drawn_for(bound))
    arrays = run_chunks(bound, sampling, keep, np.float32, workers, None)
    attrs = attributes(case, "float32") | sampling.attributes(samples)
    own = {"position": arrays["position"]}
    outcomes = outcomes_dataset(
        case, bound, own, attrs | {"permutations": orders}, sampling.replicate()
    )
    plan = at_plan(bound, planned_indices(case))
    position = coalitions.by_replicate(arrays["position"])
    parts, planned, alone = {}, {}, None
    if DRIVER in axes:
        resolution = outcomes.resolution.values
        names, values, alone = _by_driver(coalitions, position, plan, resolution, orders)
        parts[DRIVER] = names, values
    if TERM in axes:
        names, values, planned[TERM] = _by_term(bound, coalitions, arrays, position, plan)
        parts[TERM] = names, values
    if LINE in axes:
        split = _by_line(case, bound, coalitions, arrays, position, plan, workers)
        parts[LINE], planned[LINE] = split[:2], split[2]
    return Split(outcomes, sampling, position, parts, planned, plan.position, alone, axes)


def axes_of(by: Sequence[str]) -> tuple[str, ...]:
    """Return what to split by.

    Raises
    ------
    ArgumentError
        For what positions are not split by.
    """
    unknown = [axis for axis in by if axis not in AXES]
    if unknown or not by or isinstance(by, str):
        raise ArgumentError(f"by is {by!r}; accepted: a list of {', '.join(AXES)}")
    return tuple(axis for axis in AXES if axis in by)


def _by_driver(
    coalitions: Coalitions, position: Floats, plan: AtPlan, resolution: Floats, orders: int
) -> tuple[tuple[str, ...], Floats, Floats]:
    """Return the names of the plan and the drivers, their parts, and what each does alone."""
    still, at_plan = still_position(coalitions), plan.position[..., None]
    # where nothing drawn differs from plan by no more than rounding, the two are the same
    still = np.where(np.abs(still - at_plan) <= resolution[..., None], at_plan, still)
    shares = play_all(coalitions, still, position, orders)
    fixed = np.stack([at_plan, still - at_plan])[..., None]
    fixed = np.broadcast_to(fixed, (2, *position.shape))
    return (
        (PLAN, PLAN_GAP, *(player.name for player in coalitions.players)),
        np.concatenate([fixed, shares.shapley[0]]),
        np.concatenate([fixed.astype(np.float32), shares.alone[0]]),
    )


def orders_of(permutations: int | None, players: int) -> int:
    """Return how many orders each replicate has; 0 where all coalitions are played."""
    if permutations is None:
        return 0 if players <= EXACT else PERMUTATIONS
    whole = isinstance(permutations, int) and not isinstance(permutations, bool)
    if not whole or permutations < 2 or permutations % 2:
        raise ArgumentError(
            f"permutations is {permutations!r}; accepted: an even number of at least 2, as orders "
            "come in pairs; leave it out to have all coalitions of up to 7 drivers"
        )
    return permutations


def still_position(coalitions: Coalitions) -> Floats:
    """Return positions with nothing drawn, (year, partner, 1)."""
    nobody = np.zeros((1, len(coalitions.players)), bool)
    return next(coalitions.play([nobody]))[..., 0, :1]


def play_all(
    coalitions: Coalitions,
    still: Floats,
    position: Floats,
    orders: int,
    watch: Callable[[Floats], Floats] | None = None,
) -> Shares:
    """Return Shapley values of positions and, where asked, of what ``watch`` makes of them.

    Parameters
    ----------
    still
        Positions with nothing drawn, (year, partner, 1).
    position
        With everything drawn, (year, partner, replicate, sample).
    orders
        0 to play all coalitions.
    watch
        Makes positions into something with replicate and sample last.
    """

    def value(positions: Floats) -> Value:
        return (positions,) if watch is None else (positions, watch(positions))

    def play(masks: Iterable[Masks]) -> Iterator[Value]:
        return map(value, coalitions.play(masks))

    count, sampling = len(coalitions.players), coalitions.sampling
    everyone = value(position)
    none = value(np.broadcast_to(still[..., None], position.shape))
    if not count:
        empty = tuple(np.zeros((0, *part.shape)) for part in everyone)
        return Shares(empty, empty)
    if not orders:
        return shapley(count, play, none, everyone)
    return sampled(
        count,
        play,
        none,
        everyone,
        replicates=sampling.replicates,
        permutations=orders,
        seed=sampling.seed,
    )


_Parts = tuple[tuple[str, ...], Floats, Floats]
"""Names of parts, the parts, and the parts at plan."""


def _by_term(
    bound: Bound, coalitions: Coalitions, arrays: Mapping[str, Any], position: Floats, plan: AtPlan
) -> _Parts:
    """Return postings and cost; cost as what makes up the position, whatever was rounded."""
    shape = (0, *position.shape)
    terms = [coalitions.by_replicate(entry) for entry in arrays["posting"]]
    postings = np.stack(terms) if terms else np.zeros(shape)
    parts = np.concatenate([postings, (position - postings.sum(0))[None]])
    planned = np.concatenate([plan.posting.swapaxes(0, 1), -plan.cost[None]])
    return (*bound.structure.term_names, COST), parts, planned


def _by_line(
    case: Case,
    bound: Bound,
    coalitions: Coalitions,
    arrays: Mapping[str, Any],
    position: Floats,
    plan: AtPlan,
    workers: int | None,
) -> _Parts:
    """Return what each line brings, the running cost of changes, and what is for no line."""
    names = list(case.labels()[LINE])
    parts = coalitions.by_replicate(by_line(bound, arrays, workers))
    planned = plan.lines
    running = np.einsum("pc,ycs->yps", bound.numbers.world.owner, bound.numbers.yearly.running_cost)
    if running.any():
        names.append(CHANGES)
        broad = np.broadcast_to(-running[..., None], position.shape)
        parts = np.concatenate([parts, broad[None]])
        planned = np.concatenate([planned, -running[None, ..., 0]])
    rest = position - parts.sum(0)
    rest_planned = plan.position - planned.sum(0)
    return (
        (*names, CONTRACT),
        np.concatenate([parts, rest[None]]),
        np.concatenate([planned, rest_planned[None]]),
    )


def refuse_parts(bound: Bound, sampling: Sampling, players: int) -> None:
    """Refuse more samples than memory has room for, every part being held."""
    structure = bound.structure
    parts = 3 * players + 2 * len(structure.term_names) + 3 * structure.lines + 8
    cells = parts * structure.years * structure.partners * sampling.samples
    refuse_too_large(
        8 * cells,
        f"parts of {sampling.samples:,} samples",
        "take fewer samples, or fewer drivers by grouping them (groups=)",
    )
