"""How much to measure, and telling how far it has got."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Told = Callable[[str, float, float | None], None]
"""Called with what is being measured, the share that is done, and samples a second if any."""

Counted = Callable[[int, int], None]
"""What `riskshare.simulate` reports to: samples done and samples there will be."""


@dataclass(frozen=True)
class Effort:
    """How much to measure."""

    samples: int | None
    """Of a timed call; unless given the most that a call of ``seconds`` makes, 1,048,576 at
    most."""
    most: int
    """Samples of a timed call where none are given."""
    seconds: float
    """How long a timed call may take where no samples are given."""
    turns: int
    """Timed calls of each kind, of which the best counts."""
    seeds: int
    """Seeds over which standard errors are averaged."""
    apart: bool
    """Whether each way has a process of its own, and a second one uses what the first compiled."""


def full(samples: int | None = None) -> Effort:
    """Return the effort of a run to publish: a minute for two cases on two cores."""
    return Effort(samples, 2**20, 1.0, turns=3, seeds=2, apart=True)


def quick(samples: int | None = None) -> Effort:
    """Return the effort of a first look."""
    return Effort(samples, 2**18, 0.25, turns=2, seeds=1, apart=False)


@dataclass
class Account:
    """Tells what is being measured and how far the whole has got.

    Steps have weights, about the seconds that they take.
    """

    told: Told | None
    total: float
    done: float = 0.0
    _started: float = field(default_factory=time.perf_counter)

    @contextmanager
    def step(self, what: str, weight: float) -> Iterator[Counted]:
        """Tell that a step begins; yields what its samples are counted by."""
        first: list[tuple[int, float]] = []

        def counted(done: int, total: int) -> None:
            now = time.perf_counter()
            if not first or done < first[-1][0]:
                first[:] = [(done, now)]
            made, spent = done - first[0][0], now - first[0][1]
            rate = made / spent if made and spent else None
            self._tell(what, self.done + weight * done / total, rate)

        self._tell(what, self.done, None)
        yield counted
        self.done += weight
        self._tell(what, self.done, None)

    def _tell(self, what: str, done: float, rate: float | None) -> None:
        if self.told is not None:
            self.told(what, min(done / self.total, 1.0), rate)
