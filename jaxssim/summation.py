"""Sums and means that lose no digit which they need not."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax


def two_sum(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """a + b, and what its rounding lost (Knuth)."""
    total = a + b
    of_b = total - a
    return total, (a - (total - of_b)) + (b - of_b)


def tree_sum(terms: Sequence[jax.Array]) -> jax.Array:
    """The sum of arrays, added in pairs, and these in pairs: each is rounded but a few times."""
    while len(terms) > 1:
        terms = [*map(lax.add, terms[::2], terms[1::2])] + [*terms[-1:]] * (len(terms) % 2)
    return terms[0]


def weighted_mean(values: jax.Array, weight: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """The mean over `axes` of values that count by weight, which is of the same lengths there; 0 where none counts.

    A sum of thousands rounds; that of what is left when a first mean is taken off hardly does.
    """
    total = weight.sum(axes, keepdims=True)
    share = weight / jnp.where(total == 0, 1, total)
    pilot = lax.stop_gradient((values * share).sum(axes, keepdims=True))
    return (pilot + ((values - pilot) * share).sum(axes, keepdims=True)).squeeze(axes)


def channel_mean(values: jax.Array) -> jax.Array:
    """The mean over the last axis: one channel is not rounded again, nor are equal ones."""
    return values[..., 0] + (values - values[..., :1]).mean(-1)
