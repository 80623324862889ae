"""Four devices on a machine that has one CPU, so that the tests of sharding run everywhere; memory for all tests."""

import os

import pytest

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"


@pytest.fixture(autouse=True, scope="module")
def _forget_compiled():
    """What a module had compiled stays in memory until it is told to go: over a thousand tests, all the machine has."""
    import jax

    yield
    jax.clear_caches()
