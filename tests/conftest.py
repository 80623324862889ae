"""Four devices on a machine that has one CPU, so that the tests of sharding run everywhere; room for all programs."""

import os
from pathlib import Path

import pytest

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"

MAPS = Path("/proc/self/maps")


@pytest.fixture(autouse=True)
def _forget_compiled_programs():
    """Each takes a hundred memory maps, and Linux gives a process 65,530: past a thousand tests it would crash."""
    import jax

    yield
    if MAPS.exists() and MAPS.read_text().count("\n") > 20_000:
        jax.clear_caches()
