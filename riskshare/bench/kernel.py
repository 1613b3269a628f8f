"""The bare kernel: compiled chunks on a device's threads, positions left where they are made."""

from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np

from riskshare.bench.effort import Counted
from riskshare.bench.operations import Operations, operations
from riskshare.bind import bind
from riskshare.case import Case
from riskshare.program.block import sample_blocks
from riskshare.program.given import NOTHING
from riskshare.program.streams import BLOCK
from riskshare.run.chunks import Kernel
from riskshare.run.devices import Devices, devices_of
from riskshare.run.precision import cast
from riskshare.run.sampling import REPLICATES, Bits, Chunk, sampling_of

_KEPT = ("position",)


class BareKernel:
    """The kernel of a case for one run of Sobol' samples, its numbers and bits already made.

    What a user's call adds to it (results copied and labelled, or reduced to statistics) is what
    `riskshare.simulate` and `riskshare.estimate` are compared with.
    """

    def __init__(self, case: Case, samples: int, device: str) -> None:
        self.devices: Devices = devices_of(device, None)
        bound = bind(case)
        self.sampling = sampling_of(samples, 1, "sobol", REPLICATES)
        bits = Bits(bound, self.sampling)
        self._kernel = Kernel(bound, bits, np.float32, _KEPT, self.devices)
        self._chunks = list(self.sampling.chunks(self.devices.width))

    @property
    def samples(self) -> int:
        """How many samples a run makes."""
        return self.sampling.samples

    def run(self, counted: Counted | None = None) -> None:
        """Make all samples, chunk by chunk, and keep none."""

        def work(chunk: Chunk, turn: int) -> None:
            jax.block_until_ready(self._kernel(chunk, turn))  # type: ignore[no-untyped-call]  # JAX's own

        done = 0
        for chunk, _ in self._kernel.map(work, self._chunks):
            done += chunk.samples
            if counted is not None:
                counted(done, self.samples)

    def burst(self) -> int:
        """Make one chunk on each thread at once; returns how many samples these are."""
        threads = self.devices.workers
        chunk = self._chunks[0]

        def work(turn: int) -> None:
            jax.block_until_ready(self._kernel(chunk, turn))  # type: ignore[no-untyped-call]  # JAX's own

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(threads)))
        return threads * self.devices.width * BLOCK

    def operations(self) -> Operations:
        """Count what the compiled kernel does for each sample.

        It is compiled again for the blocks that are computed at once, with its years written out,
        so that it holds no loop.
        """
        together = self.devices.together
        blocks = together or 1
        first = self._kernel.bits.of(self._chunks[0])
        places = np.resize(first, (blocks, *first.shape[1:]))
        numbers = cast(self._kernel.bound.numbers, np.float32)
        shared = (numbers, self._kernel.bits.source, places)
        lowered = sample_blocks.fast.lower(
            self._kernel.bound.structure,
            *jax.device_put(shared, self.devices.devices[0]),
            NOTHING,
            keep=_KEPT,
            dtype=np.float32,
            together=together,
            unrolled=True,
        )
        return operations(lowered.compile(), blocks * BLOCK)
