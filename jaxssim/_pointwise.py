"""Errors that compare one pixel at a time, MSE, MAE and PSNR, and the luma of colour images."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxssim._arrays import as_array, as_real
from jaxssim._core import xla
from jaxssim._core.numerics import absolute, shares
from jaxssim._inputs import INTEGER_RANGES, check_data_range, check_image, check_images, check_mask, check_static
from jaxssim._layout import (
    LAST,
    Layout,
    canonical_image,
    canonical_mask,
    split_shape,
    statistics_dtype,
    valid_or_nan,
)

# ITU-R BT.601 weights of red, green and blue, in thousandths of an 8-bit step.
STUDIO_RANGE = (65481, 128553, 24966)  # black is 16, white is 235
FULL_RANGE = (76245, 149685, 29070)  # 0.299, 0.587 and 0.114 of 255; black is 0, white is 255


def mse(
    x: ArrayLike,
    y: ArrayLike,
    *,
    mask: ArrayLike | None = None,
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns the mean squared error of each pair of images.

    Under a mask, it is the weighted mean over pixels and channels. Pixels of weight 0 have no influence, even if they
    are NaN; if no pixel counts, the error is 0. The mask is constant to derivatives.

    Args:
        x: Images (*batch, *spatial, channels): uint8, uint16, float16, bfloat16, float32 or float64.
        y: Images of the shape of `x`; of its type too, unless both are floating.
        mask: Weights of pixels, bool or at least 0: (*spatial), (*batch, *spatial), or as `x` with 1 or all channels.
        crop_border: Pixels to leave out along each side.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        (*batch,), at least 0, in the square of the images' units.

    Raises:
        ValueError: If shapes or types differ, a type is not listed, axes are missing, or the mask has another shape.

    Example:
        >>> float(jaxssim.mse(jnp.zeros((16, 16, 3)), jnp.full((16, 16, 3), 0.5)))
        0.25
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    return _mean_of_differences(jnp.square, *_check_pair(x, y, mask, layout), layout)


def mae(
    x: ArrayLike,
    y: ArrayLike,
    *,
    mask: ArrayLike | None = None,
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns the mean absolute error of each pair of images, under a mask the weighted mean as in `mse`.

    Args:
        x: Images (*batch, *spatial, channels): uint8, uint16, float16, bfloat16, float32 or float64.
        y: Images of the shape of `x`; of its type too, unless both are floating.
        mask: Weights of pixels, bool or at least 0: (*spatial), (*batch, *spatial), or as `x` with 1 or all channels.
        crop_border: Pixels to leave out along each side.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        (*batch,), at least 0, in the images' units. Equal pixels have a derivative of 0.

    Raises:
        ValueError: If shapes or types differ, a type is not listed, axes are missing, or the mask has another shape.

    Example:
        >>> float(jaxssim.mae(jnp.zeros((16, 16, 3)), jnp.full((16, 16, 3), 0.5)))
        0.5
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    return _mean_of_differences(absolute, *_check_pair(x, y, mask, layout), layout)


def psnr(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns the peak signal-to-noise ratio of each pair of images, 10 log10(data_range² / MSE).

    The mean squared error is that of `mse`, under a mask too.

    Args:
        x: Images (*batch, *spatial, channels): uint8, uint16, float16, bfloat16, float32 or float64.
        y: Images of the shape of `x`; of its type too, unless both are floating.
        data_range: Largest minus smallest allowed value, broadcast to (*batch,). Floating images need one.
        mask: Weights of pixels, bool or at least 0: (*spatial), (*batch, *spatial), or as `x` with 1 or all channels.
        crop_border: Pixels to leave out along each side.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        (*batch,), in decibels; infinite for identical images, where the derivative is 0.

    Raises:
        ValueError: If shapes or types differ, a type is not listed, axes are missing, the mask has another shape, or
            `data_range` is missing or not positive.

    Example:
        >>> x, y = jnp.zeros((16, 16, 3)), jnp.full((16, 16, 3), 0.1)
        >>> print(f"{jaxssim.psnr(x, y, data_range=1.0):.2f} dB")
        20.00 dB
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    a, b, weights = _check_pair(x, y, mask, layout)
    batch, _ = split_shape(a.shape, layout)
    return psnr_of_pair(a, b, weights, check_data_range(data_range, a, b, batch), layout)


def luma(
    rgb: ArrayLike, *, data_range: float | None = None, full_range: bool = False, channel_axis: int = -1
) -> jax.Array:
    """Returns the luma of gamma-corrected RGB by ITU-R BT.601, the first channel of MATLAB's `rgb2ycbcr`.

    Papers on super-resolution compare luma, and crop as many border pixels as the scale:

        x, y = jaxssim.luma(image), jaxssim.luma(upscaled)
        psnr, ssim = (f(x, y, channel_axis=None, crop_border=scale) for f in (jaxssim.psnr, jaxssim.ssim))

    Args:
        rgb: Images (..., 3) of at least 2 axes, from 0 to `data_range`: uint8, uint16, float16, bfloat16, float32 or
            float64.
        data_range: The value of white in floating images, for instance 1.0 or 255.0. Integer images need none.
        full_range: False scales to the studio range, as MATLAB does: black is 16 / 255 of the data range and white is
            235 / 255. True keeps black at 0 and white at `data_range`.
        channel_axis: Axis of red, green and blue, negative.

    Returns:
        The shape of `rgb` without `channel_axis`, in its type. Integers are rounded to nearest, ties up, as in MATLAB.

    Raises:
        ValueError: If the axis does not have length 3, a type is not listed, or `data_range` is missing or not
            positive.

    Example:
        >>> white = jnp.full((1, 1, 3), 255, jnp.uint8)
        >>> int(jaxssim.luma(white)[0, 0]), int(jaxssim.luma(white, full_range=True)[0, 0])
        (235, 255)
    """
    image = as_array("rgb", rgb)
    if image.ndim < 2:
        raise ValueError(f"rgb has shape {image.shape}; pass images (..., 3) of at least 2 axes, a pixel as (1, 3)")
    image = check_image("rgb", image, Layout(1, channel_axis))
    if channel_axis is None or image.shape[channel_axis] != 3:
        fitting = [axis for axis in range(-image.ndim, 0) if image.shape[axis] == 3]
        raise ValueError(
            f"rgb must hold red, green and blue along channel_axis, got the shape {image.shape} with "
            f"channel_axis={channel_axis}; pass {f'channel_axis={fitting[-1]}' if fitting else 'images of 3 channels'}"
        )
    check_static(full_range=full_range)
    limit = INTEGER_RANGES.get(str(image.dtype))
    if limit is not None and data_range is not None:
        check_static(data_range=data_range)
        if np.any(as_real("data_range", data_range) != limit):
            raise ValueError(
                f"data_range of {image.dtype} images is {limit}, got {data_range}; convert them to float32 for another"
            )
    data_range = check_data_range(data_range if limit is None else limit, image, image, ())
    return _luma(image, data_range, bool(full_range), channel_axis)


def _check_pair(x: Any, y: Any, mask: Any, layout: Layout) -> tuple[Any, Any, Any]:
    x, y = check_images(x, y, layout)
    return x, y, check_mask(mask, x.shape, layout)


@functools.partial(jax.jit, static_argnums=(0, 4))
def _mean_of_differences(
    function: Callable[[jax.Array], jax.Array], x: jax.Array, y: jax.Array, mask: jax.Array | None, layout: Layout
) -> jax.Array:
    """Returns the mean of a function of the differences of each pair of images."""
    differences, weight = _differences(x, y, mask, layout)
    return pixel_mean(function(differences), weight, layout.spatial_ndim)


@functools.partial(jax.jit, static_argnums=4)
def psnr_of_pair(
    x: jax.Array, y: jax.Array, mask: jax.Array | None, data_range: jax.Array, layout: Layout
) -> jax.Array:
    """Returns the PSNR of checked arguments: (*batch,)."""
    root = _root_mean_square(x, y, mask, layout)
    error = root / jnp.broadcast_to(valid_or_nan(data_range, root.dtype), root.shape)
    # The derivative at identical images is 0, where the formula's is infinite.
    return jnp.where(error == 0, jnp.inf, -20 * jnp.log10(jnp.where(error == 0, 1, error)))


def _differences(
    x: jax.Array, y: jax.Array, mask: jax.Array | None, layout: Layout
) -> tuple[jax.Array, jax.Array | None]:
    """Returns x - y, (*batch, *spatial, channels), 0 where a pixel does not count, and the weights of the pixels."""
    dtype = statistics_dtype(x, y)
    shape = x.shape
    x, y = (canonical_image(image, layout).astype(dtype) for image in (x, y))
    if mask is None:
        return x - y, None
    weight = canonical_mask(mask, x, shape, layout)
    return jnp.where(weight > 0, x - y, 0), weight


@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def _root_mean_square(x: jax.Array, y: jax.Array, mask: jax.Array | None, layout: Layout) -> jax.Array:
    """Returns the root of the mean squared difference, (*batch,), also where squares leave the range of float32."""

    def in_largest(step: jax.Array, _: jax.Array) -> jax.Array:
        # XLA would move what does not depend on the step before the loop, and compute it always.
        a, b = (jnp.where(step == 0, image, jnp.zeros_like(image)) for image in (x, y))
        differences, weight = _differences(a, b, mask, layout)
        largest = jnp.abs(differences).max(range(-1 - layout.spatial_ndim, 0))
        unit = jnp.where(largest == 0, 1, largest)
        squares = jnp.square(differences / _per_image(unit, differences))
        return unit * jnp.sqrt(pixel_mean(squares, weight, layout.spatial_ndim))

    differences, weight = _differences(x, y, mask, layout)
    root = jnp.sqrt(pixel_mean(jnp.square(differences), weight, layout.spatial_ndim))
    if jnp.issubdtype(x.dtype, jnp.integer):
        return root
    # A loop of one step or none: `lax.cond` would compute both branches under `jax.vmap`.
    out_of_range = ~((root > 1e-6) & (root < 1e6)).all()
    return lax.fori_loop(0, out_of_range.astype(jnp.int32), in_largest, root)


@_root_mean_square.defjvp
def _root_mean_square_jvp(layout, primals, tangents):  # type: ignore[no-untyped-def]
    (x, y, mask), (tangent_x, tangent_y, _) = primals, tangents
    # Behind the barrier XLA subtracts again; it would store the differences of the value for the derivative.
    root, x, y = xla.materialize((_root_mean_square(x, y, mask, layout), x, y))
    differences, weight = _differences(x, y, mask, layout)
    tangent = jax.jvp(lambda x, y: _differences(x, y, mask, layout)[0], (x, y), (tangent_x, tangent_y))[1]
    slopes = differences / _per_image(jnp.where(root == 0, 1, root), differences)
    products = slopes * _share(weight, differences, layout.spatial_ndim) * tangent
    return root, products.sum(range(-1 - layout.spatial_ndim, 0))


def _share(weight: jax.Array | None, images: jax.Array, spatial_ndim: int) -> jax.Array | float:
    """Returns the share of each pixel and channel in the mean, 0 where no pixel counts."""
    if weight is None:
        return 1 / math.prod(images.shape[-1 - spatial_ndim :])
    return shares(jnp.broadcast_to(weight, images.shape), tuple(range(-1 - spatial_ndim, 0)))


def _per_image(values: jax.Array, images: jax.Array) -> jax.Array:
    return values.reshape(*values.shape, *[1] * (images.ndim - values.ndim))


def pixel_mean(values: jax.Array, weight: jax.Array | None, spatial_ndim: int) -> jax.Array:
    """Returns the mean over pixels and channels, (*batch,), weighted if `weight` is not None; 0 if no pixel counts."""
    if weight is None:
        return xla.sum_of_pixels(values, spatial_ndim) / math.prod(values.shape[-1 - spatial_ndim :])
    total = xla.sum_of_pixels(jnp.broadcast_to(weight, values.shape), spatial_ndim)
    return xla.sum_of_pixels(values * weight, spatial_ndim) / jnp.where(total == 0, 1, total)


@functools.partial(jax.jit, static_argnums=(2, 3))
def _luma(rgb: jax.Array, data_range: jax.Array, full_range: bool, channel_axis: int) -> jax.Array:
    red, green, blue = jnp.moveaxis(rgb, channel_axis, 0)
    weights, black = (FULL_RANGE, 0) if full_range else (STUDIO_RANGE, 16)
    if jnp.issubdtype(rgb.dtype, jnp.integer):
        # Exact in 32 bits: every value is 256 h + l, and the weights sum to less than 2^18.
        parts = [[c.astype(jnp.uint32) >> 8, c.astype(jnp.uint32) & 255] for c in (red, green, blue)]
        high, low = (sum(w * part[i] for w, part in zip(weights, parts, strict=True)) for i in (0, 1))
        rounded = 256 * (high // 255000) + (256 * (high % 255000) + low + 127500) // 255000
        return (rounded + black * jnp.iinfo(rgb.dtype).max // 255).astype(rgb.dtype)
    dtype = statistics_dtype(rgb, rgb)
    scaled = sum(w / 255000 * c.astype(dtype) for w, c in zip(weights, (red, green, blue), strict=True))
    return (scaled + black / 255 * data_range).astype(rgb.dtype)
