"""Means over windows: rows are added in pairs, columns by compensated sums.

A running sum of millions of numbers loses digits. Sums in pairs, of pairs of pairs, round log2(n) times (Higham 1993). A
compensated sum carries the rounding error of every addition along (Neumaier 1974), in whichever order the device adds:
XLA on GPUs then reads the values of a formula once and does not store them.
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
from jaxssim._core.numerics import two_sum

ColumnSums = tuple[jax.Array, jax.Array | None]  # of each column of windows, and of its weights, None without weights
Sum = tuple[jax.Array, jax.Array]  # rounded, and what the rounding took from it


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def mean_of_values(values: jax.Array, weight: jax.Array | None, channels: int, spatial_ndim: int) -> jax.Array:
    """Returns the mean of folded values (*batch, *windows) of each channel, weighted unless None: (*batch, channels).

    It is 0 where all weights are 0.
    """
    weighted = values if weight is None else values * weight
    if spatial_ndim == 1:
        rows = weighted, jnp.zeros_like(weighted)
    else:
        on_gpu, elsewhere = (functools.partial(each, axis=-spatial_ndim) for each in (_compensated_rows, _paired_rows))
        rows = xla.on_gpu(on_gpu, elsewhere, weighted)
    return _sum_of_columns(rows, channels, spatial_ndim) / _total_weight(weight, values, channels, spatial_ndim)


@mean_of_values.defjvp
def _mean_of_values_jvp(channels, spatial_ndim, primals, tangents):  # type: ignore[no-untyped-def]
    """Adds the tangents up plainly; the weights are constant."""
    (values, weight), (dvalues, _) = primals, tangents
    weighted = dvalues if weight is None else dvalues * weight
    dsum = unfold(weighted, channels).sum(tuple(range(-1 - spatial_ndim, -1)))
    return mean_of_values(*primals, channels, spatial_ndim), dsum / _total_weight(weight, values, channels, spatial_ndim)


def column_sums(values: jax.Array, weight: jax.Array | None, counts: jax.Array | None, axis: int) -> ColumnSums:
    """Returns the sums over rows, of values and of weights, each row as often as it `counts`, 0 or 1; None for once."""
    if weight is None:
        return xla.pairwise_sum(values if counts is None else values * counts, axis=axis), None
    weight = weight.astype(values.dtype) if counts is None else weight * counts
    weight = jnp.broadcast_to(weight, values.shape)
    return xla.pairwise_sum(values * weight, axis=axis), weight.sum(axis)


def mean_of_columns(columns: ColumnSums, windows: int, channels: int, spatial_ndim: int) -> jax.Array:
    """Returns the mean over all windows of each channel from the sums of columns: (*batch, channels).

    `windows` is the number of windows, and so the total weight without weights.
    """
    sums, weights = columns
    total = _sum_of_columns((sums, jnp.zeros_like(sums)), channels, spatial_ndim)
    if weights is None:
        return total / windows
    weight = unfold(weights, channels).sum(tuple(range(-max(2, spatial_ndim), -1)))
    return total / jnp.where(weight == 0, 1, weight)


def _paired_rows(values: jax.Array, *, axis: int) -> Sum:
    sums = xla.pairwise_sum(values, axis=axis)
    return sums, jnp.zeros_like(sums)


def _compensated_rows(values: jax.Array, *, axis: int) -> Sum:
    return _compensated_sum((values, jnp.zeros_like(values)), (values.ndim + axis,))


def _sum_of_columns(rows: Sum, channels: int, spatial_ndim: int) -> jax.Array:
    """Returns the sum over all axes of sums over rows but the batch and the channels."""
    by_channel = unfold(rows[0], channels), unfold(rows[1], channels)
    ndim = by_channel[0].ndim
    total, error = _compensated_sum(by_channel, tuple(range(ndim - max(2, spatial_ndim), ndim - 1)))
    return total + error


def _compensated_sum(sums: Sum, axes: tuple[int, ...]) -> Sum:
    """Returns the sum of sums over some axes."""
    zero = np.zeros((), sums[0].dtype)
    return lax.reduce(sums, (zero, zero), _add_sums, axes)


def _add_sums(one: Sum, other: Sum) -> Sum:
    total, error = two_sum(one[0], other[0])
    return total, error + (one[1] + other[1])


def _total_weight(
    weight: jax.Array | None, values: jax.Array, channels: int, spatial_ndim: int
) -> jax.Array | int:
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
