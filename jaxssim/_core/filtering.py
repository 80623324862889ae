"""Passes along one axis: the law of total variance for values of SSIM, the weighted sum for derivatives and CW-SSIM.

All images here are folded: their channels are merged into the last spatial axis, which makes the inner loop long.

The law of total variance applies axis by axis, since windows are separable. From the means m and variances V of the
windows that span the axes so far, one further axis of taps w gives

    m' = Σ w m        V' = Σ w V + Σ w (m - m')²

where no step subtracts two large numbers, as E[x²] - E[x]² does; see `total_variance`. A mask adds a third quantity,
the weight W of the windows so far:

    W' = Σ w W        m' = Σ w W m / W'        V' = Σ w W (V + (m - m')²) / W'
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.interpreters import ad, batching, mlir

from jaxssim._core import xla
from jaxssim.conventions import AxisTaps, Taps

WindowMoments = tuple[jax.Array, jax.Array, jax.Array | None]
"""Mean and variance of each window, and the mean weight of the mask under the window, or None; all folded."""


class FilterAxis(NamedTuple):
    """One axis of a folded image, and the weights of the window along it. Static."""

    axis: int  # counted from the end, so that batch axes do not move it
    taps: AxisTaps
    stride: int  # distance between two neighbouring pixels: the channels are folded into the last axis


def filter_axes(taps: Taps, channels: int) -> list[FilterAxis]:
    """Returns each spatial axis of a folded image, first axis first."""
    return [FilterAxis(axis, each, channels if axis == -1 else 1) for axis, each in enumerate(taps, start=-len(taps))]


def moments_by_passes(
    image: jax.Array, weight: jax.Array | None, taps: Taps, channels: int, *, fuse_last: bool
) -> WindowMoments:
    """Returns the moments of every window of a folded image; mean and variance are 0 where a window's weight is 0.

    Where `fuse_last`, XLA may fuse the last pass with the formula that follows it.
    """
    mean, variance = image, cast(jax.Array, None)  # a single pixel has no variance
    for filter_axis in filter_axes(taps, channels):
        if weight is not None:
            total = weighted_sum_pass(weight, filter_axis=filter_axis)
            mean, variance = masked_total_variance_pass(mean, variance, weight, total, filter_axis=filter_axis)
            weight = total
        elif filter_axis.axis == -1 and fuse_last:
            mean, variance = total_variance(mean, variance, filter_axis=filter_axis)
        else:
            mean, variance = total_variance_pass(mean, variance, filter_axis=filter_axis)
    return mean, variance, weight


def total_variance(
    mean: jax.Array, variance: jax.Array | None, *, filter_axis: FilterAxis
) -> tuple[jax.Array, jax.Array]:
    """Returns the moments of windows that span one more axis, by the law of total variance.

    With d = m - m_c the difference from a pixel in the middle: m' = m_c + Σ w d and V' = Σ w (V + d²) - (Σ w d)².
    The central d is 0, so by Cauchy and Schwarz (Σ w d)² is at most (1 - w_c) Σ w d²: little cancels, and V' >= 0.
    """
    variances = None if variance is None else shifted_views(variance, filter_axis)
    return total_variance_of_views(shifted_views(mean, filter_axis), variances, filter_axis.taps)


def total_variance_of_views(
    means: Sequence[jax.Array], variances: Sequence[jax.Array] | None, taps: AxisTaps
) -> tuple[jax.Array, jax.Array]:
    """Returns what `total_variance` does, from the parts that the taps multiply."""
    centre = means[len(means) // 2]
    d = [lax.sub(view, centre) for view in means]
    mean_d = symmetric_sum(d, taps)
    squares = [lax.square(part) for part in d]
    if variances is not None:
        squares = list(map(lax.add, squares, variances))
    return centre + mean_d, symmetric_sum(squares, taps) - mean_d**2


total_variance_pass = xla.no_fuse(total_variance)
"""`total_variance` as a loop of its own."""


@xla.no_fuse
def masked_total_variance_pass(
    mean: jax.Array, variance: jax.Array | None, weight: jax.Array, total: jax.Array, *, filter_axis: FilterAxis
) -> tuple[jax.Array, jax.Array]:
    """Returns what `total_variance` does, under a mask; both are 0 where `total`, the weight of the window, is 0."""
    variance = jnp.zeros_like(mean) if variance is None else variance
    m, v, w = (shifted_views(array, filter_axis) for array in (mean, variance, weight))
    total = jnp.where(total == 0, 1, total)
    w = [tap * part for tap, part in zip(filter_axis.taps, w, strict=True)]
    zero = jnp.zeros_like(m[0])
    first_mean = sum((a * b for a, b in zip(w, m, strict=True)), zero) / total
    # Rounding keeps the shares from summing to 1. A second mean, of the differences, keeps constant images constant.
    mean = first_mean + sum((a * (b - first_mean) for a, b in zip(w, m, strict=True)), zero) / total
    spread = (a * (c + (b - mean) ** 2) for a, b, c in zip(w, m, v, strict=True))
    return mean, sum(spread, zero) / total


@xla.no_fuse
def weighted_sum_pass(x: jax.Array, *, filter_axis: FilterAxis) -> jax.Array:
    """Returns the weighted sum over each window, along one axis."""
    return symmetric_sum(shifted_views(x, filter_axis), filter_axis.taps)


def shifted_views(
    x: jax.Array, filter_axis: FilterAxis, cut: Callable[..., jax.Array] = lax.slice_in_dim
) -> list[jax.Array]:
    """Returns, for each tap of a window, the slice of `x` that the tap multiplies; first tap first."""
    axis, taps, stride = filter_axis
    length = x.shape[axis] - (len(taps) - 1) * stride
    return [cut(x, k * stride, k * stride + length, axis=x.ndim + axis) for k in range(len(taps))]


def symmetric_sum(terms: Sequence[jax.Array], taps: AxisTaps) -> jax.Array:
    """Returns Σ taps · terms for symmetric taps: equal taps in pairs, small ones first, which rounds least."""
    half, weights = len(taps) // 2, np.asarray(taps, terms[0].dtype)
    # Functions of lax here and above: the operators of jax.numpy take three times as long to trace.
    pairs = (lax.mul(lax.add(terms[k], terms[-1 - k]), weights[k]) for k in range(half))
    centre = [lax.mul(terms[half], weights[half])] if len(taps) % 2 else []
    return functools.reduce(lax.add, (*pairs, *centre))


def weighted_sum(x: jax.Array, taps: Taps, *, channels: int = 1) -> jax.Array:
    """Returns the weighted sum over every window that lies inside the images.

    The sum is a primitive because its transpose is the same sum over a padded image. Without the primitive JAX would
    transpose every slice into a padded copy.

    Args:
        x: floating, (*batch, *spatial), channels folded into the last axis.
        taps: the weights along each spatial axis, symmetric.
        channels: number of channels folded into the last axis, the distance of neighbouring pixels along that axis.

    Returns:
        The shape of `x`, each spatial axis shorter by `len(axis_taps) - 1` pixels.
    """
    return weighted_sum_p.bind(x, taps=taps, channels=channels)


def _weighted_sum(x: jax.Array, *, taps: Taps, channels: int) -> jax.Array:
    for filter_axis in filter_axes(taps, channels):
        x = weighted_sum_pass(x, filter_axis=filter_axis)
    return x


def _weighted_sum_on_gpu(x: jax.Array, *, taps: Taps, channels: int) -> jax.Array:
    """Returns the sum by passes of which XLA may fuse the last one with what follows."""
    *axes, last = filter_axes(taps, channels)
    for filter_axis in axes:
        x = weighted_sum_pass(x, filter_axis=filter_axis)
    return symmetric_sum(shifted_views(x, last), last.taps)


def _lost_lengths(taps: Taps, channels: int, ndim: int) -> list[int]:
    """Returns the number of entries that each axis loses."""
    lost = [0] * ndim
    for axis, axis_taps, stride in filter_axes(taps, channels):
        lost[axis] = (len(axis_taps) - 1) * stride
    return lost


def _weighted_sum_transpose(cotangent: jax.Array, _: jax.Array, *, taps: Taps, channels: int) -> list[jax.Array]:
    zero = jnp.zeros((), cotangent.dtype)
    padded = lax.pad(cotangent, zero, [(n, n, 0) for n in _lost_lengths(taps, channels, cotangent.ndim)])
    return [weighted_sum(padded, taps, channels=channels)]


# `jax.extend.core.Primitive` is this type; importing its module takes longer than importing all of jaxssim.
weighted_sum_p = type(lax.add_p)("weighted_sum")
weighted_sum_p.def_impl(jax.jit(_weighted_sum, static_argnames=("taps", "channels")))
weighted_sum_p.def_abstract_eval(
    lambda x, *, taps, channels: x.update(
        shape=tuple(n - lost for n, lost in zip(x.shape, _lost_lengths(taps, channels, x.ndim), strict=True))
    )
)
ad.deflinear2(weighted_sum_p, _weighted_sum_transpose)
batching.primitive_batchers[weighted_sum_p] = lambda args, dims, **static: (
    weighted_sum_p.bind(jnp.moveaxis(args[0], dims[0], 0), **static),
    0,
)
mlir.register_lowering(weighted_sum_p, mlir.lower_fun(_weighted_sum, multiple_results=False))
for _platform in ("cuda", "rocm"):
    mlir.register_lowering(weighted_sum_p, mlir.lower_fun(_weighted_sum_on_gpu, multiple_results=False), _platform)
