"""Counts compilations, so that tests can assert that a call compiles nothing new."""

import contextlib

import jax

EVENT = "/jax/core/compile/backend_compile_duration"  # JAX records one for each program, read from a cache or not


@contextlib.contextmanager
def count_compilations():
    """Yields a list that grows by one item for each program compiled inside the block."""
    compilations = []

    def listen(event, duration, **_):
        if event == EVENT:
            compilations.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield compilations
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
