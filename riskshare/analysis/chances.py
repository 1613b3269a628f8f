"""How often clauses bind at whatever numbers are tried, counted as `clauses` counts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskshare.analysis.figures import Binds, Measured, by_part
from riskshare.analysis.gates import step_numbers
from riskshare.analysis.moves import GATED, Number, far_values, near_values, numbers_of
from riskshare.analysis.probe import Probe
from riskshare.analysis.sources import Sloped, unknown
from riskshare.errors import ArgumentError
from riskshare.parameters import split_path
from riskshare.run.chunks import run_chunks
from riskshare.run.program import Program
from riskshare.run.sampling import Sampling

_ROUNDING = 3e-7
"""Share of the money that moves in a year below which nothing has moved: float32 carries 1e-7."""

Postings = list[NDArray[np.float32]]
"""Of each term, (year, partner, sample)."""


class Binding:
    """Chances that terms pay and that money moves with numbers.

    They are counts, which move in steps of one sample; their derivatives are differences.
    """

    step = 0.01

    def __init__(
        self,
        figures: Sequence[Binds],
        program: Program,
        paths: Sequence[str],
        sampling: Sampling,
        workers: int,
    ) -> None:
        """Look up the numbers.

        Raises
        ------
        ArgumentError
            For a number that cannot move inside a program, or that nobody has given.
        """
        self.figures, self.program, self.paths = figures, program, list(paths)
        self.sampling, self.workers = sampling, workers
        self.numbers: dict[str, tuple[Number, bool]] = {}
        if any(one.kind == "number" for one in figures):
            self.probe = Probe(program.case)
            steps = {split_path(number.path)[0] for number in step_numbers(self.probe)}
            known = {number.path: number for number in numbers_of(self.probe)}
            for one in figures:
                if one.kind == "number":
                    self.numbers[one.name] = self._number(one.name, known, steps)

    def _number(self, path: str, known: Mapping[str, Number], steps: set[str]) -> Any:
        if path not in known or path not in self.program.parameters:
            reason = self.program.fixed.get(path, "it stands there unless given")
            raise ArgumentError(
                f"number_probability[{path}]: the number cannot move by itself: {reason}; "
                "accepted: a number of the contracts that is given in the case"
            )
        head = split_path(path)[0]
        return known[path], head in steps or head.endswith(GATED)

    def at(self, numbers: Mapping[str, float]) -> Measured:
        """Return the chances."""
        base = self._postings(numbers)
        least = _ROUNDING * sum(
            np.abs(entry).mean(-1, dtype=np.float64).sum(1) for entry in base
        )  # fmt: skip
        flags = [self._flags(one, numbers, base, least) for one in self.figures]
        values = np.array([each.mean() for each in flags])
        influence = np.array([by_part(each, self.sampling) for each in flags])
        grain = np.full(len(values), 1 / self.sampling.samples)
        return Measured(values, influence, np.sqrt(values * (1 - values)), grain)

    def sloped(self, numbers: Mapping[str, float]) -> Sloped:
        """Return the chances alone."""
        found = unknown(self.at(numbers), len(self.paths))
        names = {one.name for one in self.figures}
        found.reach[[place for place, path in enumerate(self.paths) if path in names]] = 1.0
        return found

    def _flags(
        self, figure: Binds, numbers: Mapping[str, float], base: Postings, least: Any
    ) -> NDArray[np.bool_]:
        """Return in which samples a clause binds in the year that is meant."""
        if figure.kind == "term":
            entry = base[self.program.terms.index(figure.name)]
            moved = (np.abs(entry) > least[:, None, None]).any(1)
        else:
            moved = np.zeros((len(least), self.sampling.samples), bool)
            for tries in self._tries(figure.name, numbers):
                for value in tries:
                    after = self._postings({**numbers, figure.name: value})
                    now = _apart(after, base, least)
                    moved |= now
                    if now.any():
                        break  # of a gate, the first is the value with which it does nothing
        return np.asarray(moved.any(0) if figure.year is None else moved[figure.year])

    def _tries(self, path: str, numbers: Mapping[str, float]) -> Iterator[Iterator[float]]:
        """Yield values a little off the number, then those with which a gate does nothing."""
        declared, gated = self.numbers[path]
        number = replace(declared, value=float(numbers.get(path, declared.value)))
        yield near_values(self.probe, number)
        if gated:
            yield far_values(number)

    def _postings(self, numbers: Mapping[str, float]) -> Postings:
        bound = self.program.at(numbers)
        arrays = run_chunks(bound, self.sampling, ("posting",), np.float32, self.workers, None)
        return list(arrays["posting"])


def _apart(after: Postings, base: Postings, least: Any) -> NDArray[np.bool_]:
    """Return in which years and samples any posting is another."""
    found = np.zeros((base[0].shape[0], base[0].shape[-1]), bool)
    for new, old in zip(after, base, strict=True):
        found |= (np.abs(new - old) > least[:, None, None]).any(1)
    return found
