"""Sums and means with little rounding."""

import jax
import jax.numpy as jnp
from jax import lax


def two_sum(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns a + b and its rounding error (Knuth 1969)."""
    total = a + b
    b_rounded = total - a
    return total, (a - (total - b_rounded)) + (b - b_rounded)


def nearest_to_zero(least: jax.Array, most: jax.Array) -> jax.Array:
    """Returns the number nearest 0 from `least` to `most`; `most` where it is smaller."""
    return jnp.clip(jnp.zeros_like(least), least, most)


@jax.custom_jvp
def absolute(x: jax.Array) -> jax.Array:
    """Returns |x| with a derivative of 0 at 0, where that of `jnp.abs` is 1."""
    return jnp.abs(x)


absolute.defjvps(lambda tangent, _, x: jnp.sign(x) * tangent)


def weighted_mean(values: jax.Array, weight: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """Returns the weighted mean over `axes`; 0 where all weights are 0. Values and weights have equal lengths.

    A sum of thousands of values rounds. So a first mean is subtracted, and the mean of the differences is added to it.
    """
    share = shares(weight, axes)
    first_mean = lax.stop_gradient((values * share).sum(axes, keepdims=True))
    return (first_mean + ((values - first_mean) * share).sum(axes, keepdims=True)).squeeze(axes)


def shares(weight: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """Returns weights divided by their sum over `axes`; 0 where all are 0."""
    total = weight.sum(axes, keepdims=True)
    return weight / jnp.where(total == 0, 1, total)


def channel_mean(values: jax.Array) -> jax.Array:
    """Returns the mean over the last axis, exact for one channel and for equal channels."""
    return values[..., 0] + (values - values[..., :1]).mean(-1)
