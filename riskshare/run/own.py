"""A planning model's own draws, checked against a case and laid out for the kernel."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from riskshare.bind import Bound
from riskshare.case import Case
from riskshare.checks.given import suggest
from riskshare.errors import ArgumentError, ExperienceError, Problem
from riskshare.names import SAMPLE
from riskshare.program.given import Given
from riskshare.program.streams import BLOCK
from riskshare.run.given import (
    AXIS,
    LINE_VARIABLES,
    aligned,
    check_values,
    check_weight,
    given_cost_problems,
)
from riskshare.run.sampling import Chunk

Numbers = NDArray[np.float64]

VARIABLES = (*LINE_VARIABLES, "driver_index", "members", "quality")
"""What may be given in place of what is drawn."""

CHANCE = {
    "on-top": "the given activity is a mean, to which the line's own chance is added",
    "included": "the given activity has the line's own chance in it",
}
"""What the activity of given draws may mean."""


@dataclass(frozen=True)
class OwnDraws:
    """Given draws as the kernel takes them: (year, row, run) arrays, NaN where a cell is drawn."""

    given: Given
    runs: NDArray[Any]
    """Label of each run."""
    weight: Numbers | None
    """What each run counts for; None where all count alike."""
    repeats: int
    attrs: dict[str, Any]
    """What a result says of them."""

    @property
    def samples(self) -> int:
        """How many samples they make."""
        return len(self.runs) * self.repeats

    def of(self, chunk: Chunk, dtype: Any) -> Given:
        """Return what is given in the blocks of a chunk: (block, year, row, sample)."""
        starts = chunk.padded(chunk.start)
        samples = np.minimum(starts[:, None] + np.arange(BLOCK), self.samples - 1)
        at = samples // self.repeats

        def laid_out(array: Numbers) -> NDArray[Any]:
            return np.moveaxis(array[..., at].astype(dtype), -2, 0)

        return jax.tree.map(laid_out, self.given)

    def named(self, found: xr.Dataset) -> xr.Dataset:
        """Return a result with the run of each sample, and what it counts for."""
        if self.weight is not None:
            found = found.assign(weight=(SAMPLE, np.repeat(self.weight, self.repeats)))
        return found.assign_coords(run=(SAMPLE, np.repeat(self.runs, self.repeats)))

    def replicate(self) -> NDArray[np.int32] | None:
        """Return which samples depend on one another: those of a run, where it is repeated."""
        if self.repeats == 1:
            return None
        return np.repeat(np.arange(len(self.runs), dtype=np.int32), self.repeats)


def own_draws(
    case: Case,
    bound: Bound,
    draws: xr.Dataset,
    chance: str | Mapping[str, str] | None,
    repeats: int,
) -> OwnDraws:
    """Check given draws against a case.

    Raises
    ------
    ArgumentError
        If what ``chance`` says is missing or unknown.
    ExperienceError
        For unknown names, gaps, values that are negative or not finite, indices that a contract
        needs to be given with the activity, and cost where a term pays on what the model makes
        of it.
    """
    if not isinstance(draws, xr.Dataset):
        raise ArgumentError(
            f"given is a {type(draws).__name__}; accepted: an xarray.Dataset, as of "
            "riskshare.read_draws"
        )
    if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1:
        raise ArgumentError(f"repeats is {repeats!r}; accepted: a whole number of at least 1")
    renamed = draws.rename({"run": SAMPLE}) if "run" in draws.dims else draws
    arrays = checked_arrays(case, renamed)
    weight = None
    if "weight" in renamed:
        weight = renamed["weight"].values.astype(np.float64)
        if not weight.any():
            raise ExperienceError(
                [Problem("weight", "found 0 in every run; accepted: some above 0")]
            )
    problems = list(given_cost_problems(case, bound, arrays))
    if problems:
        raise ExperienceError(problems)
    index = _index(case, bound, arrays)
    _check_indices(case, bound, arrays, index)
    _check_people(case, bound, arrays)
    mean, activity = _by_chance(case, bound, arrays.get("activity"), chance)
    runs = next(iter(arrays.values())).shape[-1]
    named = renamed.coords["run"] if "run" in renamed.coords else renamed.coords.get(SAMPLE)
    labels = np.arange(runs) if named is None else np.asarray(named.values)
    given = Given(
        index=index,
        mean=mean,
        activity=activity,
        case_mix=arrays.get("case_mix"),
        unit_cost=arrays.get("unit_cost"),
        cost=arrays.get("cost"),
    )
    held = arrays if weight is None else {**arrays, "weight": weight}
    attrs = {
        "given_name": str(draws.attrs.get("name", "")),
        "given_digest": _digest(held),
        "given_variables": sorted(held),
        "given_runs": runs,
        "given_repeats": repeats,
        "given_chance": _said(chance),
    }
    return OwnDraws(given, labels, weight, repeats, attrs)


def checked_arrays(case: Case, draws: xr.Dataset) -> dict[str, Numbers]:
    """Return given variables over all labels of the case, NaN in cells that are not given.

    ``weight``, of each run, is checked and left to the caller.
    """
    problems = [
        Problem(str(name), f"unknown; {suggest(str(name), VARIABLES)}")
        for name in draws.data_vars
        if name not in (*VARIABLES, "replicate", "weight")
    ]
    check_weight(draws, problems)
    if SAMPLE not in draws.dims:
        problems.append(Problem("given", "has no dimension run or sample; accepted: many runs"))
    if problems:
        raise ExperienceError(problems)
    found = {
        name: aligned(case, draws, name, problems).astype(np.float64)
        for name in VARIABLES
        if name in draws
    }
    if not found:
        problems.append(Problem("given", f"holds nothing; accepted: {', '.join(VARIABLES)}"))
    if problems:
        raise ExperienceError(problems)
    runs = draws.sizes[SAMPLE]
    whole = {
        name: np.broadcast_to(array, (*array.shape[:2], runs)) for name, array in found.items()
    }
    check_values(case, whole, problems)
    for name, array in whole.items():
        gaps = np.isnan(array).sum(-1)
        rows = case.labels().get(AXIS[name]) or ()
        for y, i in np.argwhere((gaps > 0) & (gaps < runs)):
            label = rows[i] if i < len(rows) else str(i)
            first = int(np.argmax(np.isnan(array[y, i])))
            problems.append(
                Problem(
                    f"{name}[{label}, {case.labels()['year'][y]}]",
                    f"missing in {gaps[y, i]:,} of {runs:,} runs, first in place {first}; give a "
                    "value in every run, or in none to have it drawn",
                )
            )
    if problems:
        raise ExperienceError(problems)
    return whole


def _index(case: Case, bound: Bound, arrays: Mapping[str, Numbers]) -> Numbers | None:
    """Return given indices: drivers and deliveries, members against plan, quality scores."""
    structure = bound.structure
    names = list(case.indices())
    held = [name for name in ("driver_index", "members", "quality") if name in arrays]
    if not held:
        return None
    index = np.full((structure.years, len(names), arrays[held[0]].shape[-1]), np.nan)
    if "driver_index" in arrays:
        apart = ("members[", "quality[", "other[")
        rows = [i for i, name in enumerate(names) if not name.startswith(apart)]
        index[:, rows] = arrays["driver_index"]
    if "members" in arrays:
        planned = bound.plan.view.members[:, :, None]
        people = slice(structure.drivers, structure.drivers + structure.populations)
        index[:, people] = arrays["members"] / np.where(planned > 0, planned, 1)
    if "quality" in arrays:
        scores = slice(structure.first_score, structure.first_score + len(structure.scored))
        index[:, scores] = arrays["quality"][:, list(structure.scored)]
    return index


def _check_people(case: Case, bound: Bound, arrays: Mapping[str, Numbers]) -> None:
    """Refuse a cost on lines whose cost is the sum of what each person costs."""
    problems = [
        Problem(
            f"{name}[{case.lines[i].name}]",
            "given, but people of the line are drawn with a cost each; give the line's activity, "
            "or take its people out of the case",
        )
        for name in ("unit_cost", "cost")
        for i in bound.structure.peopled
        if name in arrays and not np.isnan(arrays[name][:, i]).all()
    ]
    if problems:
        raise ExperienceError(problems)


def _check_indices(
    case: Case, bound: Bound, arrays: Mapping[str, Numbers], index: Numbers | None
) -> None:
    """Refuse activity without the indices that explain it, where a contract asks for them.

    Drawn apart from the given activity, an index would be credited with what it did not do.
    """
    absent: Any = np.ones((bound.structure.years, len(case.indices())), bool)
    if index is not None:
        absent = np.isnan(index).any(-1)
    names, labels = list(case.indices()), case.labels()
    missing: dict[tuple[str, str], tuple[set[str], set[str]]] = {}
    for name, moves in _moves(case, bound).items():
        if name not in arrays:
            continue
        there: Any = ~np.isnan(arrays[name]).any(-1)
        for line, asked, who in _asked(case, bound):
            for d in np.flatnonzero(moves[line] & asked):
                years = np.flatnonzero(there[:, line] & absent[:, d])
                if len(years):
                    lines, when = missing.setdefault((names[d], who), (set(), set()))
                    lines.add(labels["line"][line])
                    when |= {labels["year"][y] for y in years}
    if missing:
        raise ExperienceError(
            Problem(
                f"driver_index[{name}]",
                f"missing in {', '.join(sorted(when))}; {who} needs it, and "
                f"{', '.join(sorted(lines))} are given: give the index that goes with them in "
                "every run",
            )
            for (name, who), (lines, when) in missing.items()
        )


def _moves(case: Case, bound: Bound) -> dict[str, NDArray[np.bool_]]:
    """Return which drawn indices move which lines, (line, index), by what they move."""
    structure, plan = bound.structure, bound.plan
    drawn = np.zeros(len(case.indices()), bool)
    drawn[list(structure.drawn)] = True
    found = {}
    for name in ("activity", "case_mix"):
        moves = np.zeros((structure.lines, len(case.indices())), bool)
        for d, driver in enumerate(case.drivers):
            if driver.acts_on == name:
                moves[:, d] = plan.loadings[:, d] != 0
        found[name] = moves & drawn
    first = structure.drivers + structure.populations
    activity = found["activity"]
    activity[:, structure.drivers : first] = plan.exposure != 0
    activity[:, first : first + structure.changes] = np.any(plan.moved != 0, axis=0)
    activity &= drawn
    return found


def _asked(case: Case, bound: Bound) -> Iterator[tuple[int, NDArray[np.bool_], str]]:
    """Yield lines, the indices that something asks for because of them, and who does."""
    structure, plan = bound.structure, bound.plan
    every = np.ones(len(case.indices()), bool)
    for name, slot in zip(structure.term_names, bound.numbers.yearly.terms, strict=True):
        term: Any = slot.term
        if "indices" in term.needs() and np.any(term.in_force > 0):
            for line in term.lines:
                yield line, every, name
    first = structure.drivers + structure.populations
    for c in range(structure.changes):
        line = int(np.argmax(plan.taken[:, c]))
        behaviour = case.lines[line].cost
        if line in structure.cost.exit_lines and behaviour.exit_basis != "realised":
            yield line, np.arange(len(every)) == first + c, f"the cost of {case.lines[line].name}"


def _by_chance(
    case: Case, bound: Bound, activity: Numbers | None, chance: str | Mapping[str, str] | None
) -> tuple[Numbers | None, Numbers | None]:
    """Return given activity as means to which chance is added, and as activity that has it."""
    words = _words_of(case, chance)
    if activity is None:
        if chance is not None:
            raise ArgumentError("chance is for given activity; leave it out, no activity is given")
        return None, None
    names = case.labels()["line"]
    given = [i for i in range(len(names)) if not np.isnan(activity[:, i]).all()]
    noisy = set(bound.structure.activity_noise.lines)
    unsaid = [names[i] for i in given if i in noisy and names[i] not in words]
    if unsaid:
        means = "; ".join(f"{word}: {meaning}" for word, meaning in CHANCE.items())
        raise ArgumentError(
            f"chance is missing for {', '.join(unsaid)}, which vary by chance of their own; "
            f"accepted: {means}; or a mapping from line to one of these"
        )
    added = np.array([words.get(name) == "on-top" for name in names])
    mean = np.where(added[:, None], activity, np.nan)
    whole = np.where(added[:, None], np.nan, activity)
    return (
        None if np.isnan(mean).all() else mean,
        None if np.isnan(whole).all() else whole,
    )


def _words_of(case: Case, chance: str | Mapping[str, str] | None) -> dict[str, str]:
    """Return what is said of chance, by line."""
    lines = case.labels()["line"]
    if chance is None:
        return {}
    words = dict(chance) if isinstance(chance, Mapping) else dict.fromkeys(lines, chance)
    for line, word in words.items():
        if line not in lines:
            raise ArgumentError(f"chance: no line is named {line!r}; {suggest(line, lines)}")
        if word not in CHANCE:
            means = "; ".join(f"{name}: {meaning}" for name, meaning in CHANCE.items())
            raise ArgumentError(f"chance is {word!r}; accepted: {means}")
    return words


def _said(chance: str | Mapping[str, str] | None) -> str:
    if isinstance(chance, Mapping):
        return ", ".join(f"{line}: {word}" for line, word in chance.items())
    return chance or ""


def _digest(arrays: Mapping[str, Numbers]) -> str:
    """Return the digest that tells given draws from others: 16 hexadecimal digits."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        found.update(f"{name} {arrays[name].shape}".encode())
        found.update(np.ascontiguousarray(arrays[name]).tobytes())
    return found.hexdigest()[:16]
