"""The errors that look at one pixel at a time: MSE, MAE and PSNR."""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxssim import inputs
from jaxssim.inputs import Layout


def mse(
    x: ArrayLike,
    y: ArrayLike,
    *,
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = inputs.LAST,
) -> jax.Array:
    """Mean of the squared differences of each pair of images.

    Args:
        x: (*batch, *spatial, channels), of any type that `jaxssim.ssim` takes.
        y: of the same shape.
        crop_border: pixels left out along each side, as papers on super-resolution do.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: None where there are no channels, or the axis that holds them, counted from the end.

    Returns:
        (*batch,), at least 0, in the square of the images' units.

    Raises:
        ValueError: for shapes that differ, types that are not listed or do not go together, and missing axes.
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    return _mean(jnp.square, *inputs.check_images(x, y, layout), layout)


def mae(
    x: ArrayLike,
    y: ArrayLike,
    *,
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = inputs.LAST,
) -> jax.Array:
    """Mean of the absolute differences of each pair of images.

    Arguments and errors are those of `mse`.

    Returns:
        (*batch,), at least 0, in the images' units. The derivative is 0 where two pixels are equal.
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    return _mean(jnp.abs, *inputs.check_images(x, y, layout), layout)


def psnr(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = inputs.LAST,
) -> jax.Array:
    """Peak signal-to-noise ratio of each pair of images, 10 log10(data_range² / mse).

    Args:
        x: (*batch, *spatial, channels), of any type that `jaxssim.ssim` takes.
        y: of the same shape.
        data_range: the largest minus the smallest value allowed, as in `jaxssim.ssim`.
        crop_border: pixels left out along each side, as papers on super-resolution do.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: None where there are no channels, or the axis that holds them, counted from the end.

    Returns:
        (*batch,), in decibels; infinite for identical images, where the derivative is 0.

    Raises:
        ValueError: as `mse`, and for a data range that is missing or not positive.
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    a, b = inputs.check_images(x, y, layout)
    checked = inputs.check_data_range(data_range, a, b, inputs.split(a.shape, layout)[0])
    return _decibels(a, b, checked, layout)


@functools.partial(jax.jit, static_argnums=3)
def _decibels(x: jax.Array, y: jax.Array, data_range: jax.Array, layout: Layout) -> jax.Array:
    differences = _differences(x, y, layout)
    differences = differences / inputs.canonical_range(data_range, differences, layout)
    axes = tuple(range(-1 - layout.spatial_ndim, 0))
    # Squares of the faintest differences leave float32: they are taken as multiples of the largest.
    largest = lax.stop_gradient(jnp.abs(differences).max(axes, keepdims=True))
    same = largest == 0
    largest = jnp.where(same, 1, largest)
    error = jnp.square(differences / largest).mean(axes)
    # log's slope at 0 is infinite, and infinity times the error's slope of 0 is NaN: 0 never reaches the log.
    same, largest = same.squeeze(axes), largest.squeeze(axes)
    decibels = -10 * jnp.log10(jnp.where(same, 1, error)) - 20 * jnp.log10(largest)
    return jnp.where(same, jnp.inf, decibels)


@functools.partial(jax.jit, static_argnums=(0, 3))
def _mean(pointwise, x, y, layout: Layout) -> jax.Array:  # type: ignore[no-untyped-def]
    """The mean of `pointwise` of the differences over each image."""
    return pointwise(_differences(x, y, layout)).mean(axis=tuple(range(-1 - layout.spatial_ndim, 0)))


def _differences(x, y, layout: Layout) -> jax.Array:  # type: ignore[no-untyped-def]
    dtype = inputs.statistics_type(x, y)
    x, y = (inputs.canonical(image, layout).astype(dtype) for image in (x, y))
    return x - y
