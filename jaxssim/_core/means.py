"""Weighted means over windows: in two steps column by column, and on GPUs by compensated sums.

A mean of millions of numbers in one running sum loses digits. In two steps, a first mean is subtracted from the values,
which are read again. A compensated sum reads them once, so that a GPU need not store them: it carries the rounding
error of every addition along (Neumaier 1974), in whichever order the device adds.
"""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxssim._core import xla
from jaxssim._core.images import unfold
from jaxssim._core.numerics import mean_by_shares, two_sum, weighted_mean

ColumnMeans = tuple[jax.Array, jax.Array | None]  # of each column of windows, and its weight; None where all are equal
Sum = tuple[jax.Array, jax.Array]  # rounded, and what the rounding took from it


def mean_of_values(values: jax.Array, weight: jax.Array | None, channels: int, spatial_ndim: int) -> jax.Array:
    """Returns the mean of folded values (*batch, *windows) of each channel, weighted unless None: (*batch, channels)."""

    def by_columns(values: jax.Array, weight: jax.Array | None) -> jax.Array:
        return mean_of_columns(column_means(values, weight, spatial_ndim), channels, spatial_ndim)

    by_sums = functools.partial(_mean_by_sums, channels, spatial_ndim)
    return xla.on_gpu(by_sums, by_columns, values, None if weight is None else weight.astype(values.dtype))


def column_means(values: jax.Array, weight: jax.Array | None, spatial_ndim: int) -> ColumnMeans:
    """Returns the mean of each column, and the column's total weight, None without weights.

    A signal is a single row, so its values are the means.
    """
    axis, rows = -spatial_ndim, values.shape[-spatial_ndim]
    if weight is None:
        return values if spatial_ndim == 1 else means_by_shares(values, np.full(rows, 1 / rows), spatial_ndim), None
    weight = weight.astype(values.dtype)
    if spatial_ndim == 1:
        return values, jnp.broadcast_to(weight, values.shape)
    weight = jnp.broadcast_to(weight, [*weight.shape[:axis], rows, *weight.shape[axis + 1 :]])
    total = weight.sum(axis, keepdims=True)
    share = weight / jnp.where(total == 0, 1, total)
    means = jnp.where(total.squeeze(axis) == 0, 0, _mean_in_two_steps(values, share, axis))
    return means, jnp.broadcast_to(total.squeeze(axis), means.shape)


def means_by_shares(values: jax.Array, row_shares: ArrayLike, spatial_ndim: int) -> jax.Array:
    """Returns the mean of each column by the share of each row in it: (rows,)."""
    shares = jnp.asarray(row_shares, values.dtype).reshape([-1 if i == spatial_ndim else 1 for i in range(values.ndim, 0, -1)])
    return _mean_in_two_steps(values, shares, -spatial_ndim)


def _mean_in_two_steps(values: jax.Array, share: jax.Array, axis: int) -> jax.Array:
    def refine_mean(mean: jax.Array) -> jax.Array:
        return mean + xla.partial_row_sums(values, mean, share, axis=axis).sum(axis, keepdims=True)

    first_mean = refine_mean(jnp.zeros_like(lax.slice_in_dim(values, 0, 1, axis=axis)))
    return refine_mean(first_mean).squeeze(axis)


def mean_of_columns(
    columns: ColumnMeans, channels: int, spatial_ndim: int, band_shares: np.ndarray | None = None
) -> jax.Array:
    """Returns the mean over all columns of each channel: (*batch, channels).

    Where columns are (groups, bands, *batch, columns), it is the mean over the bands too: (groups, *batch, channels).
    `band_shares` are the bands' shares in a mean without weights.
    """
    axes = tuple(range(-max(2, spatial_ndim), -1))
    means, weight = unfold(columns[0], channels), columns[1]
    share = 1 / math.prod(means.shape[axis] for axis in axes)
    if band_shares is not None:
        axes, share = (1, *axes), share * band_shares.reshape(-1, *(1,) * (means.ndim - 2))
    if weight is None:
        return mean_by_shares(means, share, axes)
    return weighted_mean(means, unfold(weight, channels), axes)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _mean_by_sums(channels: int, spatial_ndim: int, values: jax.Array, weight: jax.Array | None) -> jax.Array:
    """Returns what `mean_of_values` does, by compensated sums: over rows first, and then over columns."""
    sums = values if weight is None else values * weight, jnp.zeros_like(values)
    if spatial_ndim > 1:
        sums = _compensated_sum(sums, tuple(range(values.ndim - spatial_ndim, values.ndim - 1)))
    by_channel = unfold(sums[0], channels), unfold(sums[1], channels)
    total, error = _compensated_sum(by_channel, (by_channel[0].ndim - 2,))
    return (total + error) / _nonzero_sum_of_weights(weight, values, channels, spatial_ndim)


@_mean_by_sums.defjvp
def _mean_by_sums_jvp(channels, spatial_ndim, primals, tangents):  # type: ignore[no-untyped-def]
    """Adds the tangents up plainly; the weights are constant."""
    (values, weight), (dvalues, _) = primals, tangents
    weighted = dvalues if weight is None else dvalues * weight
    dsum = unfold(weighted, channels).sum(tuple(range(-1 - spatial_ndim, -1)))
    weights = _nonzero_sum_of_weights(weight, values, channels, spatial_ndim)
    return _mean_by_sums(channels, spatial_ndim, values, weight), dsum / weights


def _nonzero_sum_of_weights(
    weight: jax.Array | None, values: jax.Array, channels: int, spatial_ndim: int
) -> jax.Array | int:
    """Returns the total weight of each channel, 1 where no window counts; the number of windows without weights."""
    lengths = _lengths(values, channels, spatial_ndim)
    if weight is None:
        return math.prod(lengths)
    weights = sum_of_weights(weight, lengths, channels)
    return jnp.where(weights == 0, 1, weights)


def _compensated_sum(sums: Sum, axes: tuple[int, ...]) -> Sum:
    """Returns the sum of sums over some axes."""

    zero = np.zeros((), sums[0].dtype)
    return lax.reduce(sums, (zero, zero), _add_sums, axes)


def _add_sums(one: Sum, other: Sum) -> Sum:
    total, error = two_sum(one[0], other[0])
    return total, error + (one[1] + other[1])


def _lengths(values: jax.Array, channels: int, spatial_ndim: int) -> tuple[int, ...]:
    """Returns the number of windows along each axis of folded values."""
    return *values.shape[-spatial_ndim:-1], values.shape[-1] // channels


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
