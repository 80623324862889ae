"""The moments of sum and difference of two images on GPUs, which compute them without storing either.

A GPU takes longer to write and to read an array than to compute a window of it, and every kernel takes a few
microseconds to start. So one kernel reads both images and computes all moments along the first axis; the pass along the
last axis fuses with the formula that follows.
"""

import functools

import jax
import jax.numpy as jnp

from jaxssim._core import images, jvp, xla
from jaxssim._core.filtering import (
    FilterAxis,
    WindowMoments,
    filter_axes,
    moments_by_passes,
    shifted_views,
    total_variance,
    total_variance_of_views,
    total_variance_pass,
)
from jaxssim._core.images import ImagePair, Pair, SumDifference
from jaxssim.conventions import Taps

# Compiled in one piece with their callers; under `jax.jit` JAX traces them once, not for every view and field.
_combine = jax.jit(images.combine)
_of_views = jax.jit(total_variance_of_views, static_argnames="taps")
_last_pass = jax.jit(total_variance, static_argnames="filter_axis")


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def moments_of_both(taps: Taps, pair: Pair) -> tuple[WindowMoments, WindowMoments]:
    """Returns the moments of every window of sum and difference of a pair without a mask, less their offsets."""
    first, *others = filter_axes(taps, pair.offsets[0].shape[-1])
    means, variances = _of_pixels(pair, first) if isinstance(pair, ImagePair) else _of_fields(pair, first)
    if others:
        means, variances = xla.materialize((means, variances))
    for axis in others:
        next_pass = functools.partial(_last_pass if axis is others[-1] else total_variance_pass, filter_axis=axis)
        means, variances = zip(*map(next_pass, means, variances), strict=True)
    (mean_u, mean_v), (variance_u, variance_v) = means, variances
    return (mean_u, variance_u, None), (mean_v, variance_v, None)


@functools.partial(moments_of_both.defjvp, symbolic_zeros=True)
def _moments_of_both_jvp(taps, primals, tangents):  # type: ignore[no-untyped-def]
    """Differentiates passes over a stored sum and difference, since a slice of an image is transposed into a copy."""
    (pair,), (tangent,) = primals, tangents

    def of_stored(pair: Pair) -> tuple[WindowMoments, ...]:
        channels = pair.offsets[0].shape[-1]
        fields = (images.fold(image.centred) for image in xla.materialize(pair.sum_and_difference()))
        return tuple(moments_by_passes(field, None, taps, channels, fuse_last=False) for field in fields)

    return jvp.jvp_along(of_stored, pair, jvp.nonzero_tangents(tangent))


def _of_pixels(pair: ImagePair, axis: FilterAxis) -> tuple[tuple[jax.Array, ...], ...]:
    """Returns means and variances along one axis, each of the sum and of the difference of two images."""
    x, y = pair.folded()
    views_x, views_y = shifted_views(x, axis), shifted_views(y, axis, xla.slice_of_flat)
    offsets, scale = xla.repeat_along_row(pair.offsets, views_x[0]), pair.scale[..., 0]
    views = (_combine(a, b, offsets, scale) for a, b in zip(views_x, views_y, strict=True))
    moments = (_of_views(list(each), None, taps=axis.taps) for each in zip(*views, strict=True))
    means, variances = zip(*moments, strict=True)
    return means, variances


def _of_fields(pair: SumDifference, axis: FilterAxis) -> tuple[jax.Array, jax.Array]:
    """Returns the same of a sum and a difference that are stored; on a leading axis, so that one kernel computes it."""
    return total_variance(images.fold(jnp.stack(pair.arrays)), None, filter_axis=axis)
