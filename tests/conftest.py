import gc
import itertools
import os
import shutil
import tempfile
from pathlib import Path

import jax
import pytest
from hypothesis import HealthCheck, Phase, settings

# a promotion nobody wrote is a mistake, such as float64 creeping into a float32 kernel
jax.config.update("jax_numpy_dtype_promotion", "strict")

# processes hold millions of objects of traced programs for long: to look through them all at
# Python's usual pace took a tenth of the time
gc.set_threshold(100_000, 50, 1000)

settings.register_profile(
    "riskshare",
    deadline=None,
    print_blob=True,
    derandomize=True,
    database=None,
    max_examples=25,
    # shrinking a whole case takes minutes: ask for it with --hypothesis-profile=shrunk
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)
settings.register_profile("shrunk", settings.get_profile("riskshare"), phases=tuple(Phase))
settings.load_profile("riskshare")

KERNELS = "RISKSHARE_TEST_KERNELS"
"""Environment variable: where the processes of one test run keep what they have compiled."""


COMPILED = "RISKSHARE_TEST_COMPILED"
"""Environment variable: "as-used" has kernels compiled as everybody's are. `test_compiled.py` holds
that it makes no difference, and runs what may depend on it so."""

QUICKLY = "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=0"
"""What XLA is told instead, for tests compile thousands of kernels: takes half of the time."""


def pytest_configure(config):
    """Share compiled kernels, most tests of properties compile the same, and compile quickly."""
    if os.environ.get(COMPILED) != "as-used":
        told = os.environ.get("XLA_FLAGS")
        os.environ["XLA_FLAGS"] = " ".join([QUICKLY, told or ""])
        jax.devices()  # reads it, once and for all: processes that tests start are as everybody's
        os.environ.pop("XLA_FLAGS")
        if told is not None:
            os.environ["XLA_FLAGS"] = told
    if not hasattr(config, "workerinput"):
        os.environ[KERNELS] = tempfile.mkdtemp(prefix="kernels-")
    jax.config.update("jax_compilation_cache_dir", os.environ[KERNELS])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ[KERNELS], ignore_errors=True)


EVERY = 8
"""Of how many structures of a property one is not left to the slow tests."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Leave seven of eight structures of a property to the slow tests, others for other properties.

    Each structure is a kernel of its own to compile. `pytest -m slow` runs the rest.
    """
    properties = {}
    for item in items:
        own = getattr(item, "callspec", None)
        structure = None if own is None else own.params.get("structure")
        if isinstance(structure, int):
            rows = properties.setdefault((item.path, item.originalname), {})
            rows.setdefault(structure, []).append(item)
    for (_, name), rows in properties.items():
        first = len(name) % min(EVERY, len(rows))
        for place, same in enumerate(rows.values()):
            if place % EVERY != first:
                for item in same:
                    item.add_marker(pytest.mark.slow)


MAPS = Path("/proc/self/maps")
MOST_MAPS = 25_000
"""Linux lets a process have 65,530 mappings of memory. A compiled kernel takes 100 to 200, and the
process dies where there is no room for another."""

_tests = itertools.count()


@pytest.fixture(autouse=True)
def _room_for_kernels():
    yield
    if next(_tests) % 10 == 0 and MAPS.exists():
        with MAPS.open("rb") as mappings:
            held = sum(1 for _ in mappings)
        if held > MOST_MAPS:
            jax.clear_caches()
