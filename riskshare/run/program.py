"""A case as pure functions of its numbers, for use inside other JAX programs."""

import dataclasses
import difflib
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import unwrap
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from riskshare.bind import Bound
from riskshare.case import Case
from riskshare.errors import ArgumentError
from riskshare.program.block import note_trace, sample_blocks, settle_block
from riskshare.program.compiling import of_numbers
from riskshare.program.source import PseudoKeys, SobolPoints
from riskshare.program.streams import BLOCK
from riskshare.run.fixed import fixed_numbers, unread
from riskshare.run.paths import Reader
from riskshare.run.precision import cast
from riskshare.run.pure import Shape, axes_of, experience_of, outcomes_of
from riskshare.run.sampling import REPLICATES, Bits, sampling_of
from riskshare.run.simulate import kept, refuse_persons
from riskshare.run.tables import ready
from riskshare.run.traced import leaves_at

_STATIC = {"static": True}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Stream:
    """The random bits of a run: arrays, and sizes that are static. Made by `Program.stream`."""

    shared: Any
    """Sobol': the points of a block, (year, column, sample); else keys, (year, column, 2)."""
    blocks: Any
    """Sobol': a word for each block, (block, year, column); else the numbers of the blocks."""
    sampler: str = dataclasses.field(metadata=_STATIC)
    replicates: int = dataclasses.field(metadata=_STATIC)
    per_replicate: int = dataclasses.field(metadata=_STATIC)

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return self.replicates * self.per_replicate

    @property
    def replicate(self) -> Any:
        """The independent replicate of each sample, None where every sample is independent."""
        if self.sampler != "sobol":
            return None
        return np.repeat(np.arange(self.replicates, dtype=np.int32), self.per_replicate)


class Program:
    """A case as pure functions, made by `riskshare.compile`.

    Parameters of both functions are *numbers by path*, a mapping from paths of `parameters` to
    scalars; what is left out stands at the number of the case. They may be traced: the functions
    can be called under ``jit``, ``vmap`` and ``grad`` and inside ``lax.scan``. Nothing is rounded.
    They compute in float64 where they are given float64 under ``jax.enable_x64(True)``, otherwise
    in float32. Called with NumPy arrays alone they return NumPy arrays; another set of paths or of
    sizes compiles anew, other numbers never do.

    Attributes
    ----------
    parameters
        The numbers that may move, by path, at their values in the case.
    fixed
        The other numbers of the case, each with the reason.
    lines, partners, years, terms, drivers, populations, changes
        Labels of the axes. Drivers include deliveries and delays.
    axes
        Axes of each outcome.
    """

    def __init__(self, case: Case, keep: Sequence[str] | None = None) -> None:
        self.case = case
        self.bound = ready(case)
        self._keep = kept(keep, self.bound)
        self._shape = Shape.of(case, self.bound)
        self._hosted: dict[Any, list[Any]] = {}
        self.tree = jax.tree.structure(self.bound.numbers)
        numbers = case.numbers()
        fixed = fixed_numbers(case, self.bound)
        movable = [path for path in numbers if path not in fixed]
        read = self._read(movable)
        fixed |= {path: unread(path) for path in movable if path not in read}
        self.parameters: Mapping[str, float] = types.MappingProxyType(
            {path: float(numbers[path]) for path in movable if path in read}
        )
        self.fixed: Mapping[str, str] = types.MappingProxyType(
            {path: fixed[path] for path in numbers if path in fixed}
        )
        labels = self._shape.labels
        self.years, self.lines, self.partners = labels["year"], labels["line"], labels["partner"]
        self.drivers, self.populations = labels["driver"], labels["population"]
        self.terms, self.changes = labels["term"], labels["change"]
        self.axes: Mapping[str, tuple[str, ...]] = {name: axes_of(name) for name in self._keep}
        self._settled = jax.jit(self._settle, static_argnames=("paths", "dtype"))
        self._simulated = jax.jit(self._simulate, static_argnames=("paths", "dtype"))

    def __repr__(self) -> str:
        """Say how many numbers there are."""
        return (
            f"Program({self.case.name!r}, {len(self.parameters)} parameters, "
            f"{len(self.fixed)} fixed)"
        )

    def settle(self, p: Mapping[str, Any], experience: Mapping[str, Any]) -> dict[str, Any]:
        """Settle the contracts on an experience.

        Parameters
        ----------
        p
            Numbers by path; all or some of `parameters`, or none.
        experience
            Arrays by name, in the order of the labels: ``activity`` on (year, line[, sample]) and
            where given ``case_mix`` (1 unless given), ``unit_cost`` (planned unit cost unless
            given), ``cost`` (in place of the cost model), ``driver_index`` on (year, driver[,
            sample]), ``members`` on (year, population[, sample]), ``quality`` and
            ``other_position`` on (year, partner[, sample]), ``person_cost`` on (year, line,
            person[, sample]). Every year of the case is settled, from the first.

        Returns
        -------
        dict
            Outcomes by name, with the axes of `axes`: what `riskshare.settle` gives for draws. An
            experience without samples has one.

        Raises
        ------
        ArgumentError
            For a path that is no parameter.
        ExperienceError
            For variables that are missing or of another shape. Values are not looked at.
        """
        self._shape.check(experience)
        dtype = _type_of(experience["activity"])
        vector = self._vector(p, dtype)
        found = self._settled(
            vector, self.host(dtype), dict(experience), paths=tuple(p), dtype=dtype
        )
        return _as_given(found, (vector, *experience.values()))

    def simulate(self, p: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
        """Draw the experience at the numbers, settle the contracts on it, and return outcomes.

        Parameters
        ----------
        p
            As in `settle`.
        stream
            From `stream`.

        Returns
        -------
        dict
            Outcomes by name, with the axes of `axes`: those of `riskshare.simulate` for the same
            samples and seed.

        Raises
        ------
        ArgumentError
            For a path that is no parameter, or a term that needs the cost of each person where
            nothing draws it.
        """
        refuse_persons(self.bound)
        dtype = _type_of(*p.values()) if p else _type_of(np.float64(0))
        vector = self._vector(p, dtype)
        found = self._simulated(vector, self.host(dtype), stream, paths=tuple(p), dtype=dtype)
        return _as_given(found, (vector,))

    def stream(
        self,
        samples: int,
        seed: int = 1,
        *,
        sampler: str = "sobol",
        replicates: int = REPLICATES,
    ) -> Stream:
        """Return the random bits of a run, as `riskshare.simulate` would take them.

        Parameters
        ----------
        samples, seed, sampler, replicates
            As in `riskshare.simulate`. Outcomes of all samples are held at once.
        """
        sampling = sampling_of(samples, seed, sampler, replicates)
        bits = Bits(self.bound, sampling)
        source = bits.source
        if isinstance(source, SobolPoints):
            # fewer points than a block holds need not be worked out: they are its first ones
            shared = source.low[..., : min(BLOCK, sampling.per_replicate)]
        else:
            shared = source.keys
        blocks = bits.places(*sampling.blocks())
        sizes = (sampling.sampler, sampling.replicates, sampling.per_replicate)
        return Stream(jnp.asarray(shared), jnp.asarray(blocks), *sizes)

    def _settle(
        self, vector: Any, leaves: Any, given: Any, *, paths: tuple[str, ...], dtype: Any
    ) -> dict[str, Any]:
        note_trace("program_settle")
        moved = self.leaves(vector, leaves, paths, dtype)
        experience = experience_of(self._shape, self.bound, moved, given, dtype)
        settled = jnp.ones(len(self.years), bool)
        # as it stands, to be compiled as a part of whatever program calls it
        outputs, _ = unwrap(settle_block)(
            self.bound.structure,
            moved,
            experience,
            None,
            settled,
            None,
            keep=self._keep,
            unrolled=True,
        )
        return outcomes_of(self.bound, outputs)

    def _simulate(
        self, vector: Any, leaves: Any, stream: Stream, *, paths: tuple[str, ...], dtype: Any
    ) -> dict[str, Any]:
        note_trace("program_simulate")
        moved = self.leaves(vector, leaves, paths, dtype)
        source = SobolPoints if stream.sampler == "sobol" else PseudoKeys
        outputs = sample_blocks.function(
            self.bound.structure,
            moved,
            source(stream.shared),
            stream.blocks,
            keep=self._keep,
            dtype=dtype,
            unrolled=True,
        )
        together = jax.tree.map(lambda part: _in_a_row(part, stream.samples), outputs)
        return outcomes_of(self.bound, together)

    def leaves(self, vector: Any, leaves: Any, paths: tuple[str, ...], dtype: Any) -> Any:
        """Return the leaves at the numbers given."""
        reader = Reader({path: i for i, path in enumerate(paths)}, vector, dtype)
        numbers = jax.tree.unflatten(self.tree, leaves)
        moved = leaves_at(reader, self.case, self.bound, numbers) if paths else numbers
        return jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), moved, numbers)

    def at(self, p: Mapping[str, float]) -> Bound:
        """Return the bound case with numbers in place, which need not be those of a valid case."""
        with jax.enable_x64(True):
            vector = self._vector(p, np.float64)
            leaves = self._moved(vector, self.host(np.float64), tuple(p), np.float64)
        return dataclasses.replace(self.bound, numbers=jax.tree.map(np.asarray, leaves))

    @cached_property
    def _moved(self) -> Callable[..., Any]:
        """`leaves`, compiled for each set of paths."""
        return jax.jit(self.leaves, static_argnums=(2, 3), compiler_options=of_numbers())

    def _read(self, paths: list[str]) -> set[str]:
        """Return the numbers that leaves are made from."""
        reader = Reader({path: i for i, path in enumerate(paths)}, None, np.float32)

        def trace(vector: Any, numbers: Any) -> Any:
            reader.vector = vector
            return leaves_at(reader, self.case, self.bound, numbers)

        numbers = cast(self.bound.numbers, np.float32)
        vector = np.zeros(max(len(paths), 1), np.float32)
        jax.eval_shape(trace, vector, numbers)
        return reader.read

    def check(self, paths: Iterable[str]) -> None:
        """Refuse paths that are no parameters, each with the reason."""
        for path in paths:
            if path not in self.parameters:
                raise ArgumentError(self._no_parameter(path))

    def _vector(self, p: Mapping[str, Any], dtype: Any) -> Any:
        """Return the numbers given, one after the other."""
        self.check(p)
        values = list(p.values())
        if any(isinstance(value, jax.Array) for value in values):
            return jnp.stack([jnp.asarray(value, dtype).reshape(()) for value in values])
        try:
            return np.array(values, dtype).reshape(len(values))
        except (TypeError, ValueError):
            raise ArgumentError("p holds a value that is no single number") from None

    def _no_parameter(self, path: str) -> str:
        if path in self.fixed:
            return f"{path} cannot move inside a program: {self.fixed[path]}"
        near = difflib.get_close_matches(path, self.parameters, n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        return f"no parameter of the program has the path {path!r}{hint}"

    def host(self, dtype: Any) -> list[Any]:
        """Return the leaves of the case on the device in a type, put there once."""
        if dtype not in self._hosted:
            with jax.ensure_compile_time_eval():
                host = jax.tree.leaves(cast(self.bound.numbers, dtype))
                self._hosted[dtype] = [jnp.asarray(leaf) for leaf in host]
        return self._hosted[dtype]


def compile(case: Case, *, keep: Sequence[str] | None = None) -> Program:
    """Return a case as pure functions of its numbers, for use in other JAX programs.

    Parameters
    ----------
    case
        The case.
    keep
        Names of the outcomes to return; all that the case has something to say in unless given.

    Returns
    -------
    Program
        With ``settle(p, experience)``, ``simulate(p, stream)`` and ``stream(samples, seed)``.

    Examples
    --------
    >>> import jax
    >>> import riskshare as rs
    >>> program = rs.compile(rs.load_case("msk-toy"), keep=["position"])
    >>> stream = program.stream(1024, seed=1)
    >>> def mean(p):
    ...     return program.simulate(p, stream)["position"].mean()
    >>> slope = jax.grad(mean)({"lines.outpatients.price": 120.0})
    >>> list(slope)
    ['lines.outpatients.price']
    """
    return Program(case, keep)


def _type_of(*values: Any) -> Any:
    """Return float64 where something is that and JAX allows it, float32 otherwise."""
    types_of = (getattr(value, "dtype", None) or np.result_type(value) for value in values)
    found = [jax.dtypes.canonicalize_dtype(dtype) for dtype in types_of]
    return np.float64 if np.float64 in found else np.float32


def _as_given(found: dict[str, Any], inputs: Sequence[Any]) -> dict[str, Any]:
    """Return NumPy arrays where everything that went in was, and nothing is being traced."""
    if any(isinstance(value, jax.Array) for value in (*inputs, *found.values()) if _traced(value)):
        return found
    if any(isinstance(value, jax.Array) for value in inputs):
        return found
    return {name: np.asarray(value) for name, value in found.items()}


def _traced(value: Any) -> bool:
    return isinstance(value, jax.core.Tracer)


def _in_a_row(part: Any, samples: int) -> Any:
    """Return (block, year, ..., sample) as (year, ..., sample), blocks one after the other."""
    moved = jnp.moveaxis(part, 0, -2)
    return moved.reshape(*moved.shape[:-2], -1)[..., :samples]
