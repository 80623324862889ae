"""The axes of images as callers pass them, and their order in `jaxssim._core`: (*batch, *spatial, channels).

What `canonical_...` and `CheckedInputs.image_pair` compute becomes part of the compiled program.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxssim._core import halos, xla
from jaxssim._core.halos import Block
from jaxssim._core.images import Constants, ImagePair, fold, offsets, unfold
from jaxssim._core.resampling import Shape


class _LastAxis(int):
    """An integer whose identity tells the default from an equal integer that a caller passes."""

    def __reduce__(self) -> str:
        return "LAST"  # copies and pickles stay the default

    def __repr__(self) -> str:
        return "<the last axis, of at most 4 channels>"


LAST = _LastAxis(-1)
"""The default `channel_axis`: the last axis, which may then have at most 4 entries."""
MIN_CONSTANT = 1e-15
"""The least k1 and k2: smaller squares leave the range of float32."""


class Layout(NamedTuple):
    """Which axes of an image are spatial, which one holds channels, and how many border pixels to drop. Static."""

    spatial_ndim: int
    channel_axis: int | None
    crop_border: int = 0

    @property
    def uncropped(self) -> "Layout":
        """Returns the layout of images whose border is kept."""
        return self._replace(crop_border=0)


class CheckedInputs(NamedTuple):
    """Two images, their data range and their mask: arrays that passed all checks, with axes in the caller's order."""

    x: jax.Array
    y: jax.Array
    data_range: jax.Array
    mask: jax.Array | None
    constants: Constants | None = None  # scalars

    def image_pair(self, layout: Layout, blocks: Sequence[Block] = ()) -> ImagePair:
        """Returns the pair in the order of axes that `jaxssim._core` expects.

        Where devices share the images, `blocks` are the parts of a device, and pixels that do not count become 0.
        """
        x, y = canonical_image(self.x, layout), canonical_image(self.y, layout)
        dtype, mesh_axes = statistics_dtype(x, y), halos.names_of(block.mesh_axis for block in blocks)
        scale = 1 / canonical_data_range(self.data_range, x.astype(dtype), layout)
        weight = None
        if self.mask is not None:
            weight = canonical_mask(self.mask, x.astype(dtype), self.x.shape, layout, mesh_axes)
        counted, counting = weight, halos.counting_pixels(blocks, x.ndim)
        if counting is not None:
            x, y = (jnp.where(counting, image, jnp.zeros_like(image)) for image in (x, y))
            weight = None if weight is None else jnp.where(counting, weight, 0)
            counted = jnp.broadcast_to(counting, (*x.shape[:-1], 1)) if weight is None else weight
        a, b = x.astype(dtype), y.astype(dtype)
        constants = jax.tree.map(lambda k: _canonical_constant(k, x.ndim), self.constants)
        offset = offsets((a, b, a - b), counted, layout.spatial_ndim, mesh_axes)
        if layout.spatial_ndim > 1:  # repeated once for all tiles and scales
            offset = unfold(xla.repeat_along_row(offset, fold(a)), a.shape[-1])
        return ImagePair((x, y), weight, offset, scale, constants)


def split_shape(shape: Shape, layout: Layout) -> tuple[Shape, Shape]:
    """Returns the batch axes and the cropped spatial axes of a shape."""
    if layout.channel_axis is not None:
        axis = len(shape) + layout.channel_axis
        shape = shape[:axis] + shape[axis + 1 :]
    return shape[: -layout.spatial_ndim], tuple(n - 2 * layout.crop_border for n in shape[-layout.spatial_ndim :])


def statistics_dtype(x: Any, y: Any) -> np.dtype:
    """Returns the type of all statistics: float64 where an image has that type, else float32."""
    double = any(array.dtype == np.float64 for array in (x, y))
    return np.dtype(jax.dtypes.canonicalize_dtype(np.float64 if double else np.float32))


def canonical_image(image: jax.Array, layout: Layout) -> jax.Array:
    """Returns an image as (*batch, *spatial, channels), cropped."""
    image = image[..., None] if layout.channel_axis is None else jnp.moveaxis(image, layout.channel_axis, -1)
    if layout.crop_border:
        inside = slice(layout.crop_border, -layout.crop_border)
        image = image[(..., *(inside,) * layout.spatial_ndim, slice(None))]
    return image


def cropped(image: jax.Array, layout: Layout) -> jax.Array:
    """Returns an image without its border, with axes in the caller's order."""
    if not layout.crop_border:
        return image
    spatial = spatial_axes(image.ndim, layout)
    inside = slice(layout.crop_border, -layout.crop_border)
    return image[tuple(inside if axis in spatial else slice(None) for axis in range(image.ndim))]


def spatial_axes(ndim: int, layout: Layout) -> list[int]:
    """Returns the spatial axes of an image with `ndim` axes in the caller's order, counted from the front."""
    channels_at = None if layout.channel_axis is None else ndim + layout.channel_axis
    return [axis for axis in range(ndim) if axis != channels_at][-layout.spatial_ndim :]


def valid_or_nan(data_range: jax.Array, dtype: np.dtype) -> jax.Array:
    """Returns a data range, NaN where it is not valid."""
    return jnp.where(is_valid_range(data_range, dtype), data_range, jnp.nan)


def canonical_data_range(data_range: jax.Array, x: jax.Array, layout: Layout) -> jax.Array:
    """Returns the data range of the canonical image `x` as (*batch or 1s, 1, .., 1), NaN where it is not valid."""
    data_range = valid_or_nan(data_range, x.dtype)
    batch = x.shape[: -1 - layout.spatial_ndim] if data_range.ndim else (1,) * (x.ndim - 1 - layout.spatial_ndim)
    return jnp.broadcast_to(data_range, batch)[(..., *(None,) * (layout.spatial_ndim + 1))]


def canonical_mask(
    mask: jax.Array, x: jax.Array, shape: tuple[int, ...], layout: Layout, mesh_axes: tuple[str, ...] = ()
) -> jax.Array:
    """Returns a mask as weights (*batch or 1s, *spatial, channels) within [0, 1], NaN where a weight is not valid.

    `x` is the canonical image, `shape` the shape of the image as it was passed. Derivatives ignore the weights. Devices
    that share the mask by `mesh_axes` of a mesh divide it by one number.
    """
    has_channels = mask.ndim == len(shape) and layout.channel_axis is not None
    mask = canonical_image(mask, layout if has_channels else layout._replace(channel_axis=None)).astype(x.dtype)
    mask = jnp.where((mask >= 0) & (mask < jnp.inf), mask, jnp.nan)
    mask = mask.reshape(*(1,) * (x.ndim - mask.ndim), *mask.shape)
    # With a largest weight of 1, products of weights neither overflow nor underflow.
    largest = mask.max(tuple(range(-1 - layout.spatial_ndim, 0)), keepdims=True)
    if mesh_axes:
        largest = lax.pmax(lax.stop_gradient(largest), mesh_axes)
    mask = mask / jnp.where(largest == 0, 1, largest)
    return lax.stop_gradient(jnp.broadcast_to(mask, (*mask.shape[:-1], x.shape[-1])))


def is_valid_range(value: Any, dtype: np.dtype) -> Any:
    """Returns whether a data range is positive and finite, and its reciprocal a normal number of `dtype`."""
    smallest = float(jnp.finfo(dtype).tiny)
    return (value >= smallest) & (value <= 1 / smallest)


def _canonical_constant(k: jax.Array, ndim: int) -> jax.Array:
    """Returns k1 or k2 with `ndim` axes, NaN where a traced value is too small."""
    return jnp.where(k >= MIN_CONSTANT, k, jnp.nan).reshape((1,) * ndim)
