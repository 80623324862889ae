"""Choices of a function by the platform: JAX traces one function, exports another, and maps both over a batch."""

import chex
import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from jaxssim._core.platforms import on_cpu  # private: each choice in the library has a test of its own too


def choose(x, scale):
    def total(arrays):
        return arrays[0] + arrays[1], arrays[0] + 1

    def product(arrays):
        return arrays[0] * arrays[1], arrays[0] * 2

    return on_cpu(total, product, (x, scale))


def test_the_function_for_other_platforms_is_not_traced_on_cpu():
    def fail(x):
        raise AssertionError("the function for other platforms was traced")

    traced_once = chex.assert_max_traces(lambda x: x + 1, n=1)
    assert jax.jit(lambda x: on_cpu(traced_once, fail, x))(2.0) == 3


def test_values_without_jit():
    np.testing.assert_array_equal(choose(np.float32(2), np.float32(3))[0], 5)


def test_programs_for_other_platforms_compute_the_other_function():
    arguments = jax.ShapeDtypeStruct((7,), jnp.float32), jax.ShapeDtypeStruct((), jnp.float32)
    for platform, operation in (
        ("cpu", "stablehlo.add"),
        ("tpu", "stablehlo.multiply"),
        ("cuda", "stablehlo.multiply"),
    ):
        text = jax.export.export(jax.jit(choose), platforms=[platform])(*arguments).mlir_module()
        assert text.count(operation) == 2, (platform, text)


def test_batches():
    x, scale = np.arange(6, dtype=np.float32).reshape(2, 3), np.float32([10, 20])
    both = jax.vmap(choose)(x, scale)
    one = jax.vmap(choose, in_axes=(1, None))(x, scale[0])
    np.testing.assert_array_equal(both[0], x + scale[:, None])
    np.testing.assert_array_equal(one[0], x.T + 10)
