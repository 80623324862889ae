"""Sums and means that lose no digit which they need not."""

import jax
from jax import lax


def two_sum(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """a + b, and what its rounding lost (Knuth)."""
    total = a + b
    of_b = total - a
    return total, (a - (total - of_b)) + (b - of_b)


def weighted_mean(values: jax.Array, share: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """The sum of `share` times `values` over `axes`, where shares add up to 1, or are all 0.

    A sum of thousands rounds; that of what is left when a first mean is taken off hardly does.
    """
    pilot = lax.stop_gradient((values * share).sum(axes, keepdims=True))
    return (pilot + ((values - pilot) * share).sum(axes, keepdims=True)).squeeze(axes)


def channel_mean(values: jax.Array) -> jax.Array:
    """The mean over the last axis: one channel is not rounded again, nor are equal ones."""
    return values[..., 0] + (values - values[..., :1]).mean(-1)
