"""Means over windows, one axis after the other: rows first, columns last.

A running sum of millions of numbers loses digits. So a value near 0 among them is subtracted from all, which leaves
little of values that are alike and nothing of equal ones, and rows are added in pairs, then pairs of pairs, which
rounds log2(n) times (Higham 1993). A compensated sum, over columns and on GPUs, carries the rounding error of every
addition along (Neumaier 1974), in whichever order the device adds.
"""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxssim._core import xla
from jaxssim._core.images import unfold
from jaxssim._core.numerics import nearest_to_zero, shares, two_sum

Means = tuple[jax.Array, jax.Array | None]  # and the weight of each; None where all are equal
Sum = tuple[jax.Array, jax.Array]  # rounded, and what the rounding took from it


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def mean_of_values(values: jax.Array, weight: jax.Array | None, channels: int, spatial_ndim: int) -> jax.Array:
    """Returns each channel's mean of folded values (*batch, *windows), weighted unless None: (*batch, channels)."""

    def by_axes(values: jax.Array, weight: jax.Array | None) -> jax.Array:
        if spatial_ndim > 1:
            values, weight = mean_along(values, weight, -spatial_ndim)
        return mean_of_columns((values, weight), channels, spatial_ndim)

    on_gpu = functools.partial(_mean_by_sums, channels, spatial_ndim)
    return xla.on_gpu(on_gpu, by_axes, values, None if weight is None else weight.astype(values.dtype))


@mean_of_values.defjvp
def _mean_of_values_jvp(channels, spatial_ndim, primals, tangents):  # type: ignore[no-untyped-def]
    """Adds the tangents up plainly; the weights are constant."""
    (values, weight), (dvalues, _) = primals, tangents
    weighted = dvalues if weight is None else dvalues * weight
    dsum = unfold(weighted, channels).sum(tuple(range(-1 - spatial_ndim, -1)))
    total = _total_weight(weight, values, channels, spatial_ndim)
    return mean_of_values(*primals, channels, spatial_ndim), dsum / total


def mean_along(values: jax.Array, weight: jax.Array | None, axis: int) -> Means:
    """Returns the means over one axis, weighted unless None; a number in their range where all weights are 0."""
    if weight is None:
        return mean_by_share(values, None, axis), None
    axis %= values.ndim
    shape = (*weight.shape[:axis], values.shape[axis], *weight.shape[axis + 1 :])
    weight = jnp.broadcast_to(weight, shape)  # other axes of length 1 stay: their weights are equal
    means = mean_by_share(values, shares(weight, (axis,)), axis)
    return means, jnp.broadcast_to(weight.sum(axis), means.shape)


def mean_by_share(values: jax.Array, share: jax.Array | None, axis: int) -> jax.Array:
    """Returns the mean over one axis, not the last one, by the share of each value in it; None for equal shares."""
    if values.shape[axis] == 1:
        return values.squeeze(axis)
    near = _near_zero(values, axis)
    share = None if share is None else lax.expand_dims(share, range(values.ndim - share.ndim))
    total = xla.pairwise_sum(values, near, share, axis=axis)
    return near.squeeze(axis) + (total / values.shape[axis] if share is None else total)


def _near_zero(values: jax.Array, axis: int) -> jax.Array:
    """Returns the number nearest 0 within the range of about eight values along an axis, which stays with length 1.

    A first value that is far larger than the mean would take digits from it.
    """
    length = values.shape[axis]
    some = [lax.slice_in_dim(values, i, i + 1, axis=axis) for i in range(0, length, max(1, length // 8))]
    least, most = functools.reduce(lax.min, some), functools.reduce(lax.max, some)
    return nearest_to_zero(least, most)


def mean_of_columns(columns: Means, channels: int, spatial_ndim: int) -> jax.Array:
    """Returns the mean of each channel over all axes that are left of the windows: (*batch, channels)."""
    means, weight = columns
    for axis in range(1 - spatial_ndim, -1):
        means, weight = mean_along(means, weight, axis)
    means = unfold(means, channels)
    near = nearest_to_zero(means.min(-2, keepdims=True), means.max(-2, keepdims=True))
    differences = means - near
    if weight is None:
        return near.squeeze(-2) + _sum_of_columns(differences) / means.shape[-2]
    weight = unfold(weight, channels)
    mean = near.squeeze(-2) + _sum_of_columns(differences * shares(weight, (-2,)))
    return jnp.where(weight.sum(-2) == 0, 0, mean)


def _mean_by_sums(channels: int, spatial_ndim: int, values: jax.Array, weight: jax.Array | None) -> jax.Array:
    """Returns what `mean_of_values` does, by compensated sums: over rows first, and then over columns."""
    weighted = values if weight is None else values * weight
    sums = weighted, jnp.zeros_like(weighted)
    if spatial_ndim > 1:
        sums = _compensated_sum(sums, tuple(range(values.ndim - spatial_ndim, values.ndim - 1)))
    total = _sum_of_columns(*(unfold(part, channels) for part in sums))
    return total / _total_weight(weight, values, channels, spatial_ndim)


def _sum_of_columns(values: jax.Array, errors: jax.Array | None = None) -> jax.Array:
    """Returns the sum over the columns of (.., columns, channels)."""
    errors = jnp.zeros_like(values) if errors is None else errors
    total, error = _compensated_sum((values, errors), (values.ndim - 2,))
    return total + error


def _compensated_sum(sums: Sum, axes: tuple[int, ...]) -> Sum:
    """Returns the sum of sums over some axes."""
    zero = np.zeros((), sums[0].dtype)
    return lax.reduce(sums, (zero, zero), _add_sums, axes)


def _add_sums(one: Sum, other: Sum) -> Sum:
    total, error = two_sum(one[0], other[0])
    return total, error + (one[1] + other[1])


def _total_weight(weight: jax.Array | None, values: jax.Array, channels: int, spatial_ndim: int) -> jax.Array | int:
    """Returns the total weight of each channel, 1 where no window counts; the number of windows without weights."""
    lengths = *values.shape[-spatial_ndim:-1], values.shape[-1] // channels
    if weight is None:
        return math.prod(lengths)
    total = sum_of_weights(weight, lengths, channels).astype(values.dtype)
    return jnp.where(total == 0, 1, total)


def sum_of_weights(weight: jax.Array, lengths: Sequence[int], channels: int) -> jax.Array:
    """Returns the total of folded weights for windows of `lengths` along each axis, of each channel or of all alike.

    An axis of length 1 stands for equal weights along it.
    """
    weight = unfold(weight, 1 if weight.shape[-1] == 1 else channels)
    spatial = weight.shape[-1 - len(lengths) : -1]
    repeated = math.prod(n for n, m in zip(lengths, spatial, strict=True) if m == 1)
    for _ in lengths:  # axis by axis rounds less
        weight = weight.sum(-2)
    return weight * repeated
