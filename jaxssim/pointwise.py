"""The errors that look at one pixel at a time: MSE, MAE and PSNR."""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxssim import inputs


def mse(x: ArrayLike, y: ArrayLike, *, spatial_ndim: int = 2, channel_axis: int | None = inputs.LAST) -> jax.Array:
    """Mean of the squared differences of each pair of images.

    Args:
        x: (*batch, *spatial, channels), of any type that `jaxssim.ssim` takes.
        y: of the same shape.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: None where there are no channels, or the axis that holds them, counted from the end.

    Returns:
        (*batch,), at least 0, in the square of the images' units.

    Raises:
        ValueError: for shapes that differ, types that are not listed or do not go together, and missing axes.
    """
    x, y = inputs.check_images(x, y, spatial_ndim, channel_axis)
    return _mean(jnp.square, x, y, 1.0, spatial_ndim, channel_axis)


def mae(x: ArrayLike, y: ArrayLike, *, spatial_ndim: int = 2, channel_axis: int | None = inputs.LAST) -> jax.Array:
    """Mean of the absolute differences of each pair of images.

    Arguments and errors are those of `mse`.

    Returns:
        (*batch,), at least 0, in the images' units. The derivative is 0 where two pixels are equal.
    """
    x, y = inputs.check_images(x, y, spatial_ndim, channel_axis)
    return _mean(jnp.abs, x, y, 1.0, spatial_ndim, channel_axis)


def psnr(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    spatial_ndim: int = 2,
    channel_axis: int | None = inputs.LAST,
) -> jax.Array:
    """Peak signal-to-noise ratio of each pair of images, 10 log10(data_range² / mse).

    Args:
        x: (*batch, *spatial, channels), of any type that `jaxssim.ssim` takes.
        y: of the same shape.
        data_range: the largest minus the smallest value allowed, as in `jaxssim.ssim`.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: None where there are no channels, or the axis that holds them, counted from the end.

    Returns:
        (*batch,), in decibels; infinite for identical images, where the derivative is 0.

    Raises:
        ValueError: as `mse`, and for a data range that is missing or not positive.
    """
    a, b = inputs.check_images(x, y, spatial_ndim, channel_axis)
    batch, _ = inputs.split(a.shape, spatial_ndim, channel_axis)
    unit = inputs.check_data_range(data_range, a, b, batch)
    error = _mean(jnp.square, a, b, unit, spatial_ndim, channel_axis)
    # log's slope at 0 is infinite, and infinity times the error's slope of 0 is NaN: 0 never reaches the log.
    return jnp.where(error == 0, jnp.inf, -10 * jnp.log10(jnp.where(error == 0, 1, error)))


@functools.partial(jax.jit, static_argnums=(0, 4, 5))
def _mean(pointwise, x, y, unit, spatial_ndim, channel_axis):  # type: ignore[no-untyped-def]
    """The mean of `pointwise` of the differences, in multiples of `unit`, over each image."""
    x, y, unit = inputs.canonical(x, y, jnp.asarray(unit), spatial_ndim, channel_axis)
    differences = (x - y) / unit[(..., *(None,) * (spatial_ndim + 1))]
    return pointwise(differences).mean(axis=tuple(range(-1 - spatial_ndim, 0)))
