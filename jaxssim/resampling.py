"""What is done to an image before its windows are taken: padding, shrinking, cropping; about its level, by weight."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxssim.conventions import Downsample, Padding
from jaxssim.inputs import Shape


class Field(NamedTuple):
    """An image about a constant near its values, so that no product of it loses digits to an offset.

    All of this module is linear and keeps constants, so that it concerns `about` alone.
    """

    about: jax.Array  # (*batch, *spatial, channels)
    level: jax.Array  # (*batch, 1, .., 1, channels)
    weight: jax.Array | None = None  # (*batch or 1s, *spatial, channels), within [0, 1]; None where all pixels count


def downsampled(spatial: Shape, rule: Downsample | None) -> Shape:
    """The spatial shape of an image once a convention has shrunk it."""
    factor = _downsample_factor(spatial, rule)
    return tuple(n // factor if rule == "pool" else -(-n // factor) for n in spatial)


def downsample(field: Field, rule: Downsample | None, spatial_ndim: int) -> Field:
    """The image as a convention shrinks it before all else."""
    spatial = field.about.shape[-1 - spatial_ndim : -1]
    factor = _downsample_factor(spatial, rule)
    if rule == "pool":
        return shrink(crop(field, tuple((0, n % factor) for n in spatial)), factor, 0, spatial_ndim)
    return shrink(field, factor, (factor - 1) // 2, spatial_ndim)


def shrink(field: Field, factor: int, before: int, spatial_ndim: int) -> Field:
    """Means of `factor` pixels an axis, from `before` every `factor`-th on, of the image mirrored about its edge."""
    if factor == 1:
        return field
    if field.weight is None:
        return field._replace(about=_block_mean(field.about, factor, before, spatial_ndim))
    weight = _block_mean(field.weight, factor, before, spatial_ndim)
    about = _block_mean(field.about * field.weight, factor, before, spatial_ndim) / jnp.where(weight == 0, 1, weight)
    return field._replace(about=about, weight=weight)


def pad(field: Field, widths: tuple[int, ...], padding: Padding) -> Field:
    """The image mirrored about its edge by so many pixels along each spatial axis, or as it is if "valid"."""
    if padding == "valid":
        return field

    def padded(array: jax.Array) -> jax.Array:
        batch = [(0, 0)] * (array.ndim - len(widths) - 1)
        return jnp.pad(array, [*batch, *((width, width) for width in widths), (0, 0)], mode=padding)

    return field._replace(about=padded(field.about), weight=None if field.weight is None else padded(field.weight))


def crop(field: Field, widths: tuple[tuple[int, int], ...]) -> Field:
    """The image without so many pixels before and after along each spatial axis."""
    inside = (..., *(slice(before, -after or None) for before, after in widths), slice(None))
    weight = None if field.weight is None else field.weight[inside]
    return field._replace(about=field.about[inside], weight=weight)


def _downsample_factor(spatial: Shape, rule: Downsample | None) -> int:
    """How many pixels become one along each axis, so that the shorter side comes near 256."""
    if rule is None:
        return 1
    return max(1, round(min(spatial) / 256) if rule == "pool" else (2 * min(spatial) + 256) // 512)


def _block_mean(image: jax.Array, factor: int, before: int, spatial_ndim: int) -> jax.Array:
    for axis in range(image.ndim - 1 - spatial_ndim, image.ndim - 1):
        length = image.shape[axis]
        after = max(0, -(-length // factor) * factor - length - before)
        widths = [(0, 0)] * image.ndim
        widths[axis] = (before, after)
        image = jnp.pad(image, widths, mode="symmetric")
        block = [1] * image.ndim
        block[axis] = factor
        image = lax.reduce_window(image, np.zeros((), image.dtype), lax.add, block, block, "VALID") / factor
    return image
