"""Positions with some of what is uncertain as drawn and all else at plan: coalitions of drivers.

A coalition is played by replaying the run: the same samples, the same contract, and in place of
what is not in the coalition its plan. An index at plan is 1 (a delay 0, a quality score its mean);
chance at plan is what the indices make of each line, without its own noise.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from riskshare.bind import Bound
from riskshare.bind.laws import columns_of
from riskshare.bind.leaves import NoiseStructure
from riskshare.bind.packed import packed
from riskshare.case import Case
from riskshare.checks.given import suggest
from riskshare.errors import ArgumentError
from riskshare.names import delay_name, delivery_name, members_name, quality_name
from riskshare.plan import law_of
from riskshare.program.block import sample_blocks
from riskshare.program.given import Given
from riskshare.program.source import SobolPoints
from riskshare.program.streams import BLOCK
from riskshare.run.chunks import check_finite, in_a_row
from riskshare.run.devices import Devices, devices_of
from riskshare.run.precision import cast
from riskshare.run.sampling import Bits, Chunk, Sampling
from riskshare.run.uncollected import uncollected

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]
"""(replicate, player), or (1, player) where all replicates have the same coalition."""

CHANCE = "chance"
"""What no index explains: noise of activity, case mix and unit cost, units and people one by one.

An index that acts on the chance of several lines at once is a part of it.
"""

SMALL = 256
"""Samples of a block at least; it has as many as a replicate, up to a whole block."""


@dataclass(frozen=True)
class Player:
    """What is held at plan or let go together."""

    name: str
    rows: tuple[int, ...]
    """Places among the case's indices."""
    chance: bool
    members: tuple[str, ...]
    """What it is made of, by name."""


def players_of(
    case: Case, bound: Bound, groups: Mapping[str, Sequence[str]] | None = None
) -> tuple[Player, ...]:
    """Return everything that may turn out otherwise than planned, in groups where some are given.

    Indices that are certain and at plan are left out, and so is the rest of an organisation, which
    moves no position.

    Raises
    ------
    ArgumentError
        For names in groups that are unknown or stand twice.
    """
    single = _single(case, bound)
    if not groups:
        return tuple(single.values())
    return _grouped(single, groups)


def _single(case: Case, bound: Bound) -> dict[str, Player]:
    structure, laws = bound.structure, bound.numbers.laws
    places = {name: row for row, name in enumerate(case.indices())}
    common = tuple(places[d.name] for d in case.drivers if d.acts_on == CHANCE)
    location = np.ravel(laws.location)
    certain = np.where(np.ravel(laws.logarithmic) > 0, np.exp(location), location)
    plan = planned_indices(case)
    found = {}
    for name in _names(case):
        row = places[name]
        off_plan = row in structure.drawn or abs(certain[row] - plan[row]) > 1e-12
        if row not in common and off_plan:
            found[name] = Player(name, (row,), False, (name,))
    noisy = (structure.activity_noise, structure.unit_cost_noise, structure.case_mix_noise)
    if any(noise.lines for noise in noisy) or structure.thinned or structure.peopled:
        found[CHANCE] = Player(CHANCE, common, True, (CHANCE,))
    return found


def _names(case: Case) -> list[str]:
    """Return the names of indices that may move a position."""
    names = [driver.name for driver in case.drivers]
    names += [members_name(population.name) for population in case.members]
    names += [delivery_name(change.name) for change in case.changes]
    names += [delay_name(change.name) for change in case.changes if change.delay is not None]
    return names + [quality_name(p.name) for p in case.partners if p.quality is not None]


def _grouped(single: dict[str, Player], groups: Mapping[str, Sequence[str]]) -> tuple[Player, ...]:
    group_of: dict[str, str] = {}
    for group, names in groups.items():
        if isinstance(names, str) or not names:
            raise ArgumentError(f"groups[{group}] is {names!r}; accepted: a list of names")
        for name in names:
            if name not in single:
                raise ArgumentError(
                    f"groups[{group}] names {name!r}, which does not vary here; "
                    f"{suggest(name, tuple(single))}"
                )
            if name in group_of:
                raise ArgumentError(
                    f"groups: {name} stands in {group_of[name]} and in {group}; accepted: in one"
                )
            group_of[name] = group
    taken = sorted(set(groups) & (set(single) - set(group_of)))
    if taken:
        raise ArgumentError(
            f"groups: {taken[0]} is the name of a group and of what is not in it; name it otherwise"
        )
    made: dict[str, list[Player]] = {}
    for name, player in single.items():
        made.setdefault(group_of.get(name, name), []).append(player)
    return tuple(
        Player(
            name,
            tuple(row for player in players for row in player.rows),
            any(player.chance for player in players),
            tuple(player.name for player in players),
        )
        for name, players in made.items()
    )


def planned_indices(case: Case) -> Floats:
    """Return the plan of every index: 1; of a delay 0; of a quality score its mean, 1 at most."""
    plan = dict.fromkeys(case.indices(), 1.0)
    plan |= {delay_name(change.name): 0.0 for change in case.changes if change.delay is not None}
    for partner in case.partners:
        if partner.quality is not None:
            plan[quality_name(partner.name)] = min(law_of(partner.quality).mean(), 1.0)
    return np.array(list(plan.values()))


@dataclass(frozen=True)
class _Program:
    """A bound case on a device, and where the bits of a run come from."""

    bound: Bound
    bits: Bits
    devices: Devices
    placed: tuple[Any, Any]
    """Numbers, and points of the first block."""

    @classmethod
    def of(cls, bound: Bound, sampling: Sampling, devices: Devices) -> "_Program":
        """Place a case; blocks are no larger than a replicate, which few samples would not fill."""
        bits = Bits(bound, sampling)
        assert isinstance(bits.source, SobolPoints)
        lanes = min(max(sampling.per_replicate, SMALL), BLOCK)
        source = SobolPoints(bits.source.low[..., :lanes])
        leaves = packed(cast(bound.numbers, np.float32))
        return cls(bound, bits, devices, jax.device_put((leaves, source), devices.devices[0]))

    def __call__(self, chunk: Chunk, index: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return positions of a chunk, (year, partner, sample).

        Parameters
        ----------
        index
            What stands in place of drawn indices, (replicate, year, index, 1); NaN is drawn.
        """
        leaves, source = self.placed
        outputs = sample_blocks.fast(
            self.bound.structure,
            leaves,
            source,
            self.bits.of(chunk),
            Given(index=index[chunk.padded(chunk.replicate)]),
            None,
            None,
            np.int32(len(chunk.block)),
            keep=("position",),
            dtype=np.float32,
            together=self.devices.together,
        )
        position = np.asarray(outputs["position"])
        check_finite(position, np.float32)
        return in_a_row(position, chunk)


@dataclass(frozen=True)
class Coalitions:
    """The positions of coalitions on the samples of one run."""

    case: Case
    bound: Bound
    players: tuple[Player, ...]
    sampling: Sampling
    workers: int | None = None

    @cached_property
    def _plan(self) -> Floats:
        return planned_indices(self.case)

    @cached_property
    def _devices(self) -> Devices:
        return devices_of(None, self.workers)

    @cached_property
    def _drawn(self) -> _Program:
        return _Program.of(self.bound, self.sampling, self._devices)

    @cached_property
    def _still(self) -> _Program:
        """The same without chance."""
        return _Program.of(without_chance(self.bound), self.sampling, self._devices)

    def play(self, coalitions: Iterable[Masks]) -> Iterator[Floats]:
        """Yield positions of each coalition: (year, partner, replicate, sample).

        Coalitions are played side by side on the threads there are.
        """
        waiting = list(coalitions)
        if not waiting:
            return
        with uncollected():
            first = self._positions(waiting[0])
        yield first
        threads = self._devices.workers
        with ThreadPoolExecutor(threads) as pool:
            for start in range(1, len(waiting), threads):
                # a batch at a time, so that few positions wait for who takes them
                yield from pool.map(self._positions, waiting[start : start + threads])

    def _positions(self, inside: Masks) -> Floats:
        chance, index = self._with_chance(inside), self._held(inside)
        if chance.all() or not chance.any():
            return self._run(self._drawn if chance.any() else self._still, index)
        drawn, planned = (self._run(program, index) for program in (self._drawn, self._still))
        return np.where(chance[:, None], drawn, planned)

    def _with_chance(self, inside: Masks) -> Masks:
        """Whether chance is as drawn, by replicate."""
        places = [place for place, player in enumerate(self.players) if player.chance]
        return inside[:, places[0]] if places else np.zeros(len(inside), bool)

    def _held(self, inside: Masks) -> NDArray[np.float32]:
        """Return the plan of each index that is not in the coalition, NaN of those that are."""
        index = np.full((len(inside), len(self._plan)), np.nan, np.float32)
        for place, player in enumerate(self.players):
            rows = list(player.rows)
            index[:, rows] = np.where(inside[:, place, None], np.nan, self._plan[rows])
        years, replicates = self.bound.structure.years, self.sampling.replicates
        return np.broadcast_to(index[:, None, :, None], (len(inside), years, len(self._plan), 1))[
            np.arange(replicates) % len(inside)
        ]

    def _run(self, program: _Program, index: NDArray[np.float32]) -> Floats:
        chunks = self.sampling.chunks(self._devices.width)
        return self.by_replicate(
            np.concatenate([program(chunk, index) for chunk in chunks], axis=-1)
        )

    def by_replicate(self, values: NDArray[Any]) -> Floats:
        """Return (..., sample) as (..., replicate, sample of it) in 64 bits."""
        shape = (self.sampling.replicates, self.sampling.per_replicate)
        return values.reshape(*values.shape[:-1], *shape).astype(np.float64)


def without_chance(bound: Bound) -> Bound:
    """Return a bound case whose lines follow their indices, without noise of their own.

    The random columns that are left keep their bits: each is known by what it is for. Of people
    drawn one by one, none lies above the threshold and all together cost their mean.
    """
    none = NoiseStructure((), (), (), (), coupled=False, spread=False, zeroed=())
    structure = replace(
        bound.structure,
        activity_noise=none,
        unit_cost_noise=none,
        case_mix_noise=none,
        thinned=(),
    )
    laws = bound.numbers.laws
    if laws.people is not None:
        people = replace(
            laws.people,
            above=np.zeros_like(laws.people.above),
            rest_mean=np.ones_like(laws.people.rest_mean),
            rest_sd=np.zeros_like(laws.people.rest_sd),
        )
        laws = replace(laws, people=people)
    return replace(
        bound,
        structure=structure,
        numbers=replace(bound.numbers, laws=laws),
        columns=columns_of(structure),
    )
