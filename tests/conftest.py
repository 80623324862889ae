"""Settings of all tests: four virtual devices on CPU, Keras on JAX, and a limit on the programs that stay compiled."""

import os
from pathlib import Path

import pytest

# Tests of sharding run on any machine.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"

os.environ["KERAS_BACKEND"] = "jax"  # before any test imports Keras

MAPS = Path("/proc/self/maps")


@pytest.fixture(autouse=True)
def _forget_compiled_programs():
    """Frees compiled programs: each takes a hundred memory maps, of which Linux allows a process 65,530."""
    import jax

    yield
    if MAPS.exists() and MAPS.read_text().count("\n") > 20_000:
        jax.clear_caches()
