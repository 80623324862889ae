"""Sums of SSIM and of pixel errors over the columns of a tape.

A tape is an array of one shape that holds strips of images side by side, as many as fit, so that images of all sizes
share one program. What differs between the strips, such as offsets and the rows that count, are arrays with an entry
for each column. Windows that cross from one strip into the next are computed too, and the caller ignores them.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxssim._core import formulas, xla
from jaxssim._core.filtering import moments_by_passes
from jaxssim._core.formulas import Formula
from jaxssim._core.images import Constants, combine, fold
from jaxssim._core.statistics import WindowStatistics
from jaxssim._core.windows import inside_windows
from jaxssim.conventions import Convention, Taps

TAPE = 2**18
"""About as many values of x, and as many of y, are in a tape: all arrays in between then stay in the cache."""
ROWS = {1: 1, 2: 64, 3: 16}
"""The windows of a tape along each axis but the last, by the number of spatial axes; powers of 2, whose sums of equal
values are exact.
"""


class Task(NamedTuple):
    """What to compute of the windows of a tape. Static."""

    formulas: tuple[Formula, ...]  # their sums; without any, the sums of pixel errors
    convention: Convention
    spatial_ndim: int
    summed: bool = False  # the arrays hold x + y and x - y less their offsets, in place of x and y
    mapped: bool = False  # return SSIM at each window too

    @property
    def taps(self) -> Taps:
        """The window; a single pixel for pixel errors."""
        return self.convention.window.taps(self.spatial_ndim) if self.formulas else ((1.0,),) * self.spatial_ndim

    @property
    def halo(self) -> tuple[int, ...]:
        """The number of pixels that an axis has more than windows."""
        return tuple(len(axis_taps) - 1 for axis_taps in self.taps)

    def shape(self, channels: int) -> tuple[int, ...]:
        """Returns the shape of a tape: rows along each axis but the last, columns, channels."""
        *halo, last = self.halo
        rows = tuple(ROWS[self.spatial_ndim] + n for n in halo)
        return (*rows, max(TAPE // (math.prod(rows) * channels), 8 * last + 32), channels)


class Strips(NamedTuple):
    """The contents of a tape: arrays of NumPy, traced by JAX."""

    a: Any  # x, or x + y less its offset: (*rows, columns, channels)
    b: Any  # y, or x - y less its offset
    weight: Any  # of a mask, within [0, 1]; None without one
    parameters: Any  # the rows of `Parameters`: (6, columns, channels)
    counted: Any  # the first row that counts, and the first beyond: (2, axes of rows, columns, channels)


class Parameters(NamedTuple):
    """What differs between strips, by column and channel."""

    offset_x: jax.Array
    offset_y: jax.Array
    offset_v: jax.Array  # of x - y
    mean_u: jax.Array  # what the offsets took from the mean of x + y
    mean_v: jax.Array
    scale: jax.Array  # 1 / data range


class ColumnSums(NamedTuple):
    """Sums over those rows that count, for each column of windows, channels folded into the last axis."""

    sums: jax.Array  # (formulas, columns); for pixel errors, of squares and of absolute values
    unit: jax.Array | None  # of pixel errors: (columns,)
    weight: jax.Array | None  # under a mask: (columns,)
    similarity: jax.Array | None  # SSIM at each window: (*rows, columns)


@functools.partial(jax.jit, static_argnums=0)
def column_sums(task: Task, strips: Strips, constants: Constants | None) -> ColumnSums:
    """Returns the sums of a task over the rows of a tape."""
    parameters = Parameters(*(_along_columns(row, strips.a.ndim - 1) for row in strips.parameters))
    weight = None if strips.weight is None else fold(strips.weight)
    a, b = (fold(array).astype(parameters.scale.dtype) for array in (strips.a, strips.b))
    if not task.formulas:
        return _pixel_errors(a, b, weight, strips)
    channels = strips.a.shape[-1]
    u, v = _sum_and_difference(a, b, weight, parameters, task.summed)
    statistics = _statistics(u, v, weight, parameters, constants, task.taps, channels)
    values = [formula(statistics, task.convention, task.taps) for formula in task.formulas]
    centres = None if weight is None else inside_windows(weight, task.taps, channels)
    counted = strips.counted[..., : values[0].shape[-1] // channels, :]
    sums, total = _row_sums(values, centres, counted, task.convention.stride)
    similarity = _similarity(statistics, task) if task.mapped else None
    return ColumnSums(sums, None, total, similarity)


def _sum_and_difference(
    a: jax.Array, b: jax.Array, weight: jax.Array | None, parameters: Parameters, summed: bool
) -> tuple[jax.Array, jax.Array]:
    """Returns x + y and x - y less their offsets, in units of the data range; 0 where a pixel does not count."""
    u, v = (a * parameters.scale, b * parameters.scale) if summed else combine(a, b, parameters[:3], parameters.scale)
    if weight is not None:
        u, v = (jnp.where(weight > 0, image, 0) for image in (u, v))
    return xla.materialize((u, v))


def _statistics(
    u: jax.Array,
    v: jax.Array,
    weight: jax.Array | None,
    parameters: Parameters,
    constants: Constants | None,
    taps: Taps,
    channels: int,
) -> WindowStatistics:
    mean_u, var_u, total = moments_by_passes(u, weight, taps, channels, fuse_last=True)
    mean_v, var_v, _ = moments_by_passes(v, weight, taps, channels, fuse_last=True)
    added_u, added_v = (
        (mean * parameters.scale)[..., : mean_u.shape[-1]] for mean in (parameters.mean_u, parameters.mean_v)
    )
    return WindowStatistics(mean_u + added_u, mean_v + added_v, var_u, var_v, total, constants)


def _similarity(statistics: WindowStatistics, task: Task) -> jax.Array:
    """Returns SSIM at each window, 1 where no pixel of a window counts."""
    d = formulas.one_minus_ssim(statistics, task.convention, task.taps)
    return 1 - (d if statistics.weight is None else jnp.where(statistics.weight == 0, 0, d))


def _pixel_errors(x: jax.Array, y: jax.Array, weight: jax.Array | None, strips: Strips) -> ColumnSums:
    difference = x - y if weight is None else jnp.where(weight > 0, x - y, 0)
    difference = jnp.where(_counts(strips.counted, difference.shape), difference, 0)
    unit = None
    if jnp.issubdtype(strips.a.dtype, np.floating):  # squares of very small or large differences leave float32
        largest = jnp.abs(difference).max(tuple(range(difference.ndim - 1)), keepdims=True)
        unit = jnp.where(largest == 0, 1, largest)
        difference, unit = difference / unit, unit.reshape(-1)
    values = [jnp.square(difference), jnp.abs(difference)]
    sums, total = _row_sums(values, weight, strips.counted)
    return ColumnSums(sums, unit, total, None)


def _row_sums(
    values: list[jax.Array], weight: jax.Array | None, counted: jax.Array, stride: int = 1
) -> tuple[jax.Array, jax.Array | None]:
    """Returns the weighted sum of each array of values over the rows that count, and the sum of the weights."""
    counts = _counts(counted, values[0].shape, stride)
    weighted = values if weight is None else [weight * each for each in values]
    sums = jnp.stack([_sum_over_rows(jnp.where(counts, each, 0)) for each in weighted])
    return sums, None if weight is None else _sum_over_rows(jnp.where(counts, weight, 0))


def _counts(counted: jax.Array, shape: tuple[int, ...], stride: int = 1) -> jax.Array:
    """Returns at which windows the row along every axis counts."""
    counts = jnp.ones((), bool)
    for axis in range(counted.shape[1]):
        first, last = (_along_columns(bound, len(shape)) for bound in counted[:, axis])
        row = lax.broadcasted_iota(counted.dtype, shape, axis)
        counts = counts & (first <= row) & (row < last)
        if stride > 1:
            counts = counts & ((row - first) % stride == 0)
    return counts


def _along_columns(row: jax.Array, ndim: int) -> jax.Array:
    """Returns (columns, channels), folded, as an array of `ndim` axes that broadcasts over the rows."""
    return row.reshape(*(1,) * (ndim - 1), -1)


def _sum_over_rows(values: jax.Array) -> jax.Array:
    """Returns sums over all axes but the last, added in pairs."""
    return xla.pairwise_sum(values.reshape(-1, values.shape[-1]), axis=0)
