"""Which windows of an image count, and by which weight: that of the pixel at their centre."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxssim._core.images import Pair, dtype_of_statistics, fold, unfold
from jaxssim._core.means import sum_of_weights
from jaxssim._core.resampling import radii
from jaxssim.conventions import Taps


def window_weights(pair: Pair, taps: Taps) -> jax.Array | None:
    """Returns the weight of each window of a pair, folded; axes of length 1, or None, where all weights are equal."""
    channels = pair.arrays[0].shape[-1]
    weight = centre_weights(pair.weight, taps)
    for factor in pair.counting:
        by_channel = jnp.broadcast_to(factor, (*factor.shape[:-1], channels)) if factor.shape[-2] > 1 else factor
        centres = _crop_radii(by_channel, taps)
        weight = centres if weight is None else weight * centres
    return weight


def weight_of_windows(pair: Pair, taps: Taps) -> jax.Array:
    """Returns the total weight of all windows: (*batch or 1s, channels)."""
    image, weight = pair.arrays[0], window_weights(pair, taps)
    dtype, windows = dtype_of_statistics(pair), _windows_along(image, taps)
    if weight is None:
        return jnp.full((*(1,) * (image.ndim - 1 - len(taps)), image.shape[-1]), math.prod(windows), dtype)
    total = sum_of_weights(weight.astype(dtype), windows, image.shape[-1])
    return jnp.broadcast_to(total, (*total.shape[:-1], image.shape[-1]))


def centre_weights(weight: jax.Array | None, taps: Taps) -> jax.Array | None:
    """Returns the weight of each window, that of its central pixel, folded; None without a mask."""
    return None if weight is None else _crop_radii(weight, taps)


def with_stride(pair: Pair, taps: Taps, stride: int) -> Pair:
    """Returns a pair of which every `stride`-th window along each spatial axis counts."""
    if stride == 1:
        return pair
    shape, dtype = pair.arrays[0].shape, dtype_of_statistics(pair)
    axes = range(len(shape) - 1 - len(taps), len(shape) - 1)
    along = ((np.arange(shape[axis]) - radius) % stride == 0 for axis, radius in zip(axes, radii(taps), strict=True))
    counting = (
        jnp.asarray(chosen, dtype).reshape([-1 if i == axis else 1 for i in range(len(shape))])
        for axis, chosen in zip(axes, along, strict=True)
    )
    return pair._replace(counting=(*pair.counting, *counting))


def strided(arrays: Any, stride: int, channels: int, spatial_ndim: int) -> Any:
    """Returns every `stride`-th of folded values along each spatial axis, folded; an axis of length 1 stays."""

    def every(values: jax.Array) -> jax.Array:
        unfolded = unfold(values, channels if values.shape[-1] > 1 else 1)
        return fold(unfolded[(..., *(slice(None, None, stride),) * spatial_ndim, slice(None))])

    return arrays if stride == 1 else jax.tree.map(every, arrays)


def inside_windows(values: jax.Array, taps: Taps, channels: int) -> jax.Array:
    """Returns, of folded values for windows around every pixel, those for the windows inside the image."""
    return _crop_radii(unfold(values, channels), taps)


def _windows_along(image: jax.Array, taps: Taps) -> list[int]:
    """Returns the number of windows along each spatial axis of an image."""
    return [n - len(each) + 1 for n, each in zip(image.shape[-1 - len(taps) : -1], taps, strict=True)]


def _crop_radii(image: jax.Array, taps: Taps) -> jax.Array:
    """Returns the centres of all windows, folded; an axis of length 1 stays as it is."""
    spatial = zip(image.shape[-1 - len(taps) : -1], map(len, taps), strict=True)
    inside = (slice(size // 2, size // 2 + n - size + 1) if n > 1 else slice(None) for n, size in spatial)
    return fold(image[(..., *inside, slice(None))])
