"""A pair of images, and the sum u = x + y and the difference v = x - y from which SSIM is computed.

Since var x + var y = (var u + var v) / 2 and cov(x, y) = (var u - var v) / 4, sum and difference determine SSIM. The
difference of two nearly equal images keeps every digit; 1 minus a similarity near 1 loses them.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxssim._core import xla
from jaxssim._core.numerics import nearest_to_zero, two_sum


class CentredImage(NamedTuple):
    """An image less a constant near its values, so that products keep their digits."""

    centred: jax.Array  # (*batch, *spatial, channels)
    offset: jax.Array  # (*batch, 1, .., 1, channels), or repeated along a row that is at least as long as the image's
    weight: jax.Array | None = None  # of a mask: (*batch or 1s, *spatial, channels), within [0, 1]


class Constants(NamedTuple):
    """k1 and k2 that replace those of a convention: arrays, so that a new value does not recompile."""

    k1: jax.Array  # (1, .., 1), with as many axes as the images
    k2: jax.Array


class ImagePair(NamedTuple):
    """Two images, cropped, with channels last, of their own types. Sum and difference are computed where needed."""

    arrays: tuple[jax.Array, ...]  # x and y, (*batch, *spatial, channels), of any type
    weight: jax.Array | None  # of a mask: (*batch or 1s, *spatial, channels), within [0, 1]
    offsets: jax.Array  # of x, y and x - y: (3, *batch, 1, .., columns, channels)
    scale: jax.Array  # 1 / data range: (*batch or 1s, 1, .., 1)
    constants: Constants | None = None
    counting: tuple[jax.Array, ...] = ()  # factors of the windows' weights, at their centres; axes of 1 where equal

    def sum_and_difference(self) -> tuple[CentredImage, CentredImage]:
        """Returns x + y and x - y in units of the data range."""
        offsets, scale = self.offsets, self.scale
        x, y = self.folded()
        u, v = combine(x, y, xla.repeat_along_row(offsets, x), scale[..., 0])
        if self.weight is not None:
            u, v = (jnp.where(fold(self.weight) > 0, image, 0) for image in (u, v))
        channels, (offset_u, offset_v) = offsets.shape[-1], self.offsets_of_both()
        return (
            CentredImage(unfold(u, channels), offset_u, self.weight),
            CentredImage(unfold(v, channels), offset_v, self.weight),
        )

    def offsets_of_both(self) -> tuple[jax.Array, jax.Array]:
        """Returns the offsets of x + y and of x - y, in units of the data range."""
        offset_x, offset_y, offset_v = self.offsets
        return (offset_x + offset_y) * self.scale, offset_v * self.scale

    def folded(self) -> tuple[jax.Array, ...]:
        """Returns x and y, folded, in the type of the statistics."""
        return tuple(fold(image.astype(self.scale.dtype)) for image in self.arrays)

    def each(self) -> tuple[CentredImage, ...]:
        """Returns x and y in units of the data range, less their offsets."""
        images = (image.astype(self.scale.dtype) for image in self.arrays)
        return tuple(
            centre(image, offset, self.scale, self.weight)
            for image, offset in zip(images, self.offsets[:2], strict=True)
        )

    def scaled_tangent(self, tangent: jax.Array) -> jax.Array:
        """Returns the folded tangent of x + y caused by a tangent of x or of y.

        The tangent of x - y is the same for x, and its negative for y.
        """
        folded = fold(tangent.astype(self.scale.dtype)) * self.scale[..., 0]
        return folded if self.weight is None else jnp.where(fold(self.weight) > 0, folded, 0)


class SumDifference(NamedTuple):
    """The sum and the difference of two images, after padding or shrinking."""

    arrays: tuple[jax.Array, ...]  # u and v, less their offsets
    weight: jax.Array | None
    offsets: tuple[jax.Array, ...]  # of u and v
    constants: Constants | None = None
    counting: tuple[jax.Array, ...] = ()  # as in ImagePair

    def sum_and_difference(self) -> tuple[CentredImage, CentredImage]:
        """Returns x + y and x - y in units of the data range."""
        (u, v), (offset_u, offset_v) = self.arrays, self.offsets_of_both()
        return CentredImage(u, offset_u, self.weight), CentredImage(v, offset_v, self.weight)

    def offsets_of_both(self) -> tuple[jax.Array, ...]:
        """Returns the offsets of x + y and of x - y, in units of the data range."""
        return self.offsets


Pair = ImagePair | SumDifference


def dtype_of_statistics(pair: Pair) -> np.dtype:
    """Returns the type of all statistics of a pair, whose images may have another one."""
    dtype: np.dtype = jax.tree.leaves(pair.offsets)[0].dtype
    return dtype


def stored_sum_and_difference(pair: Pair) -> tuple[CentredImage, CentredImage]:
    """Returns x + y and x - y in units of the data range, computed once for all that reads them, except on GPUs."""
    u, v = pair.sum_and_difference()
    store = xla.materialize_off_gpu if pair.weight is None else xla.materialize
    centred_u, centred_v = store((u.centred, v.centred))
    return u._replace(centred=centred_u), v._replace(centred=centred_v)


def combine(x: jax.Array, y: jax.Array, offsets: Iterable[jax.Array], scale: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns x + y and x - y less their offsets, times `scale`; folded, and the offsets repeated along a row."""
    offset_x, offset_y, offset_v = offsets
    # Subtract before multiplying: x - offset is exact near the offset, and x - y where x and y are close. Where x and y
    # lie apart, x - y rounds by errors that do not average out. So these errors, constants for derivatives, are added
    # once the offset is subtracted.
    difference, error = two_sum(x, -y)
    u = (x - offset_x) + (y - offset_y)
    v = (difference - offset_v) + lax.stop_gradient(error)
    return u * scale, v * scale


def centre(image: jax.Array, offset: jax.Array, scale: jax.Array, weight: jax.Array | None) -> CentredImage:
    """Returns an image times `scale`, less its offset; 0 where a pixel does not count."""
    values = (image - offset) * scale
    inside = values if weight is None else jnp.where(weight > 0, values, 0)
    return CentredImage(inside, offset * scale, weight)


def map_images(function: Callable[..., CentredImage], pair: Pair, *options: Any) -> SumDifference:
    """Returns sum and difference after a linear function that maps constant images to themselves."""
    u, v = (function(image, *options) for image in pair.sum_and_difference())
    return SumDifference((u.centred, v.centred), u.weight, (u.offset, v.offset), pair.constants)


def offsets(
    images: Sequence[jax.Array], weight: jax.Array | None, spatial_ndim: int, mesh_axes: tuple[str, ...] = ()
) -> jax.Array:
    """Returns a constant near the values of each image and channel: (images, *batch, 1, .., 1, channels).

    Subtracting the constant keeps the digits of images far from 0. Each of a few sparse grids of pixels has a range,
    from its minimum to its maximum. The constant is the value nearest 0 that lies in all these ranges; if they do not
    overlap, it is the smallest of their maxima. So an image with dark regions gets a constant near 0, which keeps these
    regions exact, and a dead pixel or row, which at least one grid misses, does not move the constant. The constant is
    added back later, so derivatives ignore it. Devices that share the images by `mesh_axes` of a mesh get one constant.
    """
    axes = tuple(range(-1 - spatial_ndim, -1))
    sample = lax.stop_gradient(jnp.stack([_sparse_grids(image, spatial_ndim) for image in images]))
    inside = True if weight is None else _sparse_grids(weight, spatial_ndim) > 0
    least, most = jnp.where(inside, sample, jnp.inf).min(-1), jnp.where(inside, sample, -jnp.inf).max(-1)
    least, most = xla.materialize_on_gpu((least, most))
    low = jnp.where(least == jnp.inf, -jnp.inf, least).max(axes)
    high = jnp.where(most == -jnp.inf, jnp.inf, most).min(axes)
    if weight is not None:  # where the grids miss all pixels of the mask, take the range of these pixels
        least = jnp.stack([jnp.where(weight > 0, image, jnp.inf).min(axes) for image in images])
        most = jnp.stack([jnp.where(weight > 0, image, -jnp.inf).max(axes) for image in images])
        low, high = jnp.where(low == -jnp.inf, least, low), jnp.where(high == jnp.inf, most, high)
    if mesh_axes:
        low, high = _range_of_all_devices(low, high, mesh_axes)
    nearest = nearest_to_zero(low, high)
    constant = lax.stop_gradient(jnp.where(jnp.isfinite(nearest), nearest, 0))
    return xla.materialize(jnp.expand_dims(constant, axes))


def _range_of_all_devices(low: jax.Array, high: jax.Array, mesh_axes: tuple[str, ...]) -> tuple[jax.Array, jax.Array]:
    """Returns the largest `low` and the smallest `high` of all devices; a device without pixels has infinite ones."""
    bounds = lax.stop_gradient(jnp.stack([low, -high]))
    low, minus_high = lax.pmax(jnp.where(jnp.isfinite(bounds), bounds, -jnp.inf), mesh_axes)
    return low, -minus_high


def _sparse_grids(image: jax.Array, spatial_ndim: int) -> jax.Array:
    """Returns about 64 pixels in all, as a few interleaved grids: (.., grids, grids, channels, pixels)."""
    per_axis, grids = (round(count ** (1 / spatial_ndim)) for count in (64, 4))
    last = image.ndim - 2
    for axis in range(last, last - spatial_ndim, -1):  # JAX infers the sharding of a reshape only if it splits one axis
        n = image.shape[axis]
        step = max(1, n // per_axis)
        grids_here = min(grids, -(-n // step))
        count = -(-n // step) // grids_here
        image = lax.slice_in_dim(image, 0, (count * grids_here - 1) * step + 1, step, axis)
        image = image.reshape(*image.shape[:axis], count, grids_here, *image.shape[axis + 1 :])
    pixels = range(-1 - 2 * spatial_ndim, -1, 2)
    image = jnp.moveaxis(image, pixels, range(-spatial_ndim, 0))
    return image.reshape(*image.shape[:-spatial_ndim], math.prod(image.shape[-spatial_ndim:]))


def fold(image: jax.Array) -> jax.Array:
    """Returns (.., width, channels) as (.., width * channels)."""
    return image.reshape(*image.shape[:-2], image.shape[-2] * image.shape[-1])


def unfold(image: jax.Array, channels: int) -> jax.Array:
    """Returns (.., width * channels) as (.., width, channels)."""
    return image.reshape(*image.shape[:-1], image.shape[-1] // channels, channels)
