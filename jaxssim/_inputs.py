"""What the public functions accept, the errors that say what to pass instead, and the axes that `_core` expects.

`prepare` and the checks run before `jax.jit`, on arrays in any order of axes. `canonical_...` and
`CheckedInputs.image_pair` put the axes into order, under `jax.jit`.
"""

import numbers
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxssim._core.images import ImagePair, offsets
from jaxssim._core.resampling import Shape, downsampled_shape
from jaxssim.conventions import Convention

INTEGER_RANGES = {"uint8": 255, "uint16": 65535}
FLOATS = ("float16", "bfloat16", "float32", "float64")


class _Default(int):
    """An integer that can be told from an equal one that a caller passes."""


LAST = _Default(-1)
"""The default `channel_axis`: the last axis, which may then have at most 4 entries."""


class Layout(NamedTuple):
    """Which axes of an image are spatial, which one holds channels, and how many border pixels to drop. Static."""

    spatial_ndim: int
    channel_axis: int | None
    crop_border: int = 0


class CheckedInputs(NamedTuple):
    """Two images, their data range and their mask: arrays that passed all checks, in the axes in which they came."""

    x: jax.Array
    y: jax.Array
    data_range: jax.Array
    mask: jax.Array | None

    def image_pair(self, layout: Layout) -> ImagePair:
        """Returns the pair in the order of axes that `jaxssim._core` expects."""
        x, y = canonical_image(self.x, layout), canonical_image(self.y, layout)
        dtype = statistics_dtype(x, y)
        scale = 1 / canonical_data_range(self.data_range, x.astype(dtype), layout)
        weight = None if self.mask is None else _canonical_mask(self.mask, x.astype(dtype), self.x.shape, layout)
        a, b = x.astype(dtype), y.astype(dtype)
        return ImagePair((x, y), weight, offsets((a, b, a - b), weight, layout.spatial_ndim), scale)


def prepare(x: Any, y: Any, data_range: Any, mask: Any, convention: Convention, layout: Layout) -> CheckedInputs:
    """Returns the checked inputs of SSIM and its relatives, or raises a ValueError that says what to pass."""
    check_convention(convention)
    x, y = check_images(x, y, layout)
    batch, spatial = split_shape(x.shape, layout)
    _check_window_fits(downsampled_shape(spatial, convention.downsample), convention)
    if mask is not None and convention.covariance == "sample":
        raise ValueError(
            "mask cannot be combined with sample covariance: a window under a mask has no fixed number of pixels; "
            'pass dataclasses.replace(convention, covariance="population")'
        )
    return CheckedInputs(x, y, check_data_range(data_range, x, y, batch), _check_mask(mask, x.shape, layout))


def check_images(x: Any, y: Any, layout: Layout) -> tuple[Any, Any]:
    """Returns `x` and `y` as arrays of one shape, whose types may be compared."""
    x, y = check_image("x", x, layout), check_image("y", y, layout)
    if x.shape != y.shape:
        raise ValueError(f"x and y must have the same shape, got {x.shape} and {y.shape}; pass images of equal shape")
    if x.dtype != y.dtype and not {str(x.dtype), str(y.dtype)} <= set(FLOATS):
        raise ValueError(
            f"x has type {x.dtype} and y has type {y.dtype}, whose scales may differ; convert one to the other's type"
        )
    return x, y


def check_image(name: str, image: Any, layout: Layout) -> Any:
    """Returns an image or a batch of images as an array."""
    image = as_array(image)
    if not (is_integer(layout.spatial_ndim) and 1 <= layout.spatial_ndim <= 3):
        raise ValueError(f"spatial_ndim must be 1 (signals), 2 (images) or 3 (volumes), got {layout.spatial_ndim!r}")
    if str(image.dtype) not in (*INTEGER_RANGES, *FLOATS):
        raise ValueError(
            f"{name} has type {image.dtype}; pass uint8, uint16, float16, bfloat16, float32 or float64, for instance "
            f"{name}.astype(jnp.float32) with the data_range of its values"
        )
    _check_channel_axis(name, image.shape, layout.spatial_ndim, layout.channel_axis)
    batch, spatial = split_shape(image.shape, layout._replace(crop_border=0))
    if 0 in image.shape and 0 not in batch:
        raise ValueError(f"{name} has shape {image.shape}, which holds no pixels; pass images of at least one pixel")
    if not (is_integer(layout.crop_border) and layout.crop_border >= 0 and min(spatial) > 2 * layout.crop_border):
        raise ValueError(
            f"crop_border must be a number of pixels, at least 0 and less than half of the shortest side of {spatial}, "
            f"got {layout.crop_border!r}"
        )
    return image


def check_data_range(data_range: Any, x: Any, y: Any, batch: Shape) -> Any:
    """Returns `data_range` in the type of the statistics; its values are checked if this process can read them."""
    if data_range is None:
        if str(x.dtype) not in INTEGER_RANGES:
            raise ValueError(
                f"data_range must be given for images of {x.dtype}: the largest minus the smallest allowed value, for "
                "instance 1.0 for images in [0, 1] or 255 for 8-bit values stored as floats"
            )
        data_range = INTEGER_RANGES[str(x.dtype)]
    data_range = as_array(data_range)
    if not (jnp.issubdtype(data_range.dtype, np.integer) or jnp.issubdtype(data_range.dtype, np.floating)):
        raise ValueError(f"data_range must be a real number or an array of real numbers, got {data_range!r}")
    if not _broadcasts(data_range.shape, batch):
        raise ValueError(
            f"data_range has shape {data_range.shape}, which does not broadcast to the batch's {batch}; "
            "pass a number, or one for each image"
        )
    dtype = statistics_dtype(x, y)
    if is_concrete(data_range) and not np.all(_is_valid_range(np.asarray(data_range, np.float64), dtype)):
        raise ValueError(f"data_range must be positive and finite, also in {dtype}, got {data_range}")
    # One type, whatever kind of number came: a new value must not recompile.
    return data_range.astype(dtype)


def check_convention(convention: Any) -> None:
    """Raises a ValueError for anything but a `Convention`."""
    if not isinstance(convention, Convention):
        raise ValueError(
            f"convention must be a jaxssim.Convention, got {convention!r}; pass one, as in jaxssim.conventions"
        )


def check_positive(name: str, values: Any, hint: str) -> tuple[float, ...]:
    """Returns a sequence of positive numbers as a tuple, which is static."""
    listed = np.asarray(values).tolist() if isinstance(values, np.ndarray) else values
    valid = isinstance(listed, list | tuple) and len(listed) > 0
    if not (valid and all(isinstance(value, numbers.Real) and 0 < float(value) < 1e6 for value in listed)):
        raise ValueError(f"{name} must be a tuple of positive numbers below 1e6, {hint}; got {values!r}")
    return tuple(map(float, listed))


def canonical_image(image: jax.Array, layout: Layout) -> jax.Array:
    """Returns an image as (*batch, *spatial, channels), cropped."""
    image = image[..., None] if layout.channel_axis is None else jnp.moveaxis(image, layout.channel_axis, -1)
    if layout.crop_border:
        inside = slice(layout.crop_border, -layout.crop_border)
        image = image[(..., *(inside,) * layout.spatial_ndim, slice(None))]
    return image


def canonical_data_range(data_range: jax.Array, x: jax.Array, layout: Layout) -> jax.Array:
    """Returns the data range of the canonical image `x` as (*batch, 1, .., 1), NaN where it is not valid."""
    data_range = jnp.where(_is_valid_range(data_range, x.dtype), data_range, jnp.nan)
    batch = x.shape[: -1 - layout.spatial_ndim]
    return jnp.broadcast_to(data_range, batch)[(..., *(None,) * (layout.spatial_ndim + 1))]


def _canonical_mask(mask: jax.Array, x: jax.Array, shape: tuple[int, ...], layout: Layout) -> jax.Array:
    """Returns a mask as weights (*batch or 1s, *spatial, channels) within [0, 1], NaN where a weight is not valid.

    `x` is the canonical image, `shape` the shape of the image as it was passed. Derivatives ignore the weights.
    """
    has_channels = mask.shape == shape and layout.channel_axis is not None
    mask = canonical_image(mask, layout if has_channels else layout._replace(channel_axis=None)).astype(x.dtype)
    mask = jnp.where((mask >= 0) & (mask < jnp.inf), mask, jnp.nan)
    mask = mask.reshape(*(1,) * (x.ndim - mask.ndim), *mask.shape)
    # With a largest weight of 1, products of weights neither overflow nor underflow.
    largest = mask.max(tuple(range(-1 - layout.spatial_ndim, 0)), keepdims=True)
    mask = mask / jnp.where(largest == 0, 1, largest)
    return lax.stop_gradient(jnp.broadcast_to(mask, (*mask.shape[:-1], x.shape[-1])))


def _is_valid_range(value: Any, dtype: np.dtype) -> Any:
    """Returns whether a data range is positive and finite, and its reciprocal a normal number of `dtype`."""
    smallest = float(jnp.finfo(dtype).tiny)
    return (value >= smallest) & (value <= 1 / smallest)


def statistics_dtype(x: Any, y: Any) -> np.dtype:
    """Returns the type of all statistics: float64 where an image has that type, else float32."""
    double = any(array.dtype == np.float64 for array in (x, y))
    return np.dtype(jax.dtypes.canonicalize_dtype(np.float64 if double else np.float32))


def split_shape(shape: Shape, layout: Layout) -> tuple[Shape, Shape]:
    """Returns the batch axes and the cropped spatial axes of a shape."""
    if layout.channel_axis is not None:
        axis = len(shape) + layout.channel_axis
        shape = shape[:axis] + shape[axis + 1 :]
    return shape[: -layout.spatial_ndim], tuple(n - 2 * layout.crop_border for n in shape[-layout.spatial_ndim :])


def is_integer(value: Any) -> bool:
    """Returns whether a value is an integer of Python or NumPy, and not a bool."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def as_array(value: Any) -> Any:
    """Returns an array of JAX, or of NumPy in native byte order; a parameter of Flax becomes its array."""
    if isinstance(value, jax.Array):
        return value
    if hasattr(value, "__jax_array__"):
        return value.__jax_array__()
    array = np.asarray(value)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def is_concrete(value: Any) -> bool:
    """Returns whether this process can read an array's values: it is neither traced nor on another process's device."""
    return isinstance(value, np.ndarray) or (not isinstance(value, jax.core.Tracer) and value.is_fully_addressable)


def _check_channel_axis(name: str, shape: Shape, spatial_ndim: int, channel_axis: int | None) -> None:
    needed = spatial_ndim + (channel_axis is not None)
    if len(shape) < needed:
        hint = "channel_axis=None if there are no channels" if channel_axis is not None else "a smaller spatial_ndim"
        raise ValueError(
            f"{name} has shape {shape}, but spatial_ndim={spatial_ndim} and channel_axis={channel_axis} need at "
            f"least {needed} axes; pass more axes, or {hint}"
        )
    if channel_axis is None:
        return
    if not (is_integer(channel_axis) and -len(shape) <= channel_axis <= -1):
        raise ValueError(
            f"channel_axis must be None or count from the end, from -1 to -{len(shape)} here, got {channel_axis!r}; "
            "axes counted from the front shift under jax.vmap"
        )
    if channel_axis is LAST and shape[-1] > 4:
        raise ValueError(
            f"channel_axis was left to its default, the last axis, which is {shape[-1]} long in the shape {shape}; "
            "pass channel_axis=None if there are no channels, or channel_axis=-1 if these are channels"
        )


def _check_window_fits(spatial: Shape, convention: Convention) -> None:
    sizes = tuple(map(len, convention.window.taps(len(spatial))))
    if any(n < size for n, size in zip(spatial, sizes, strict=True)):
        raise ValueError(
            f"x and y have spatial shape {spatial}, smaller than the window of {'x'.join(map(str, sizes))} pixels; "
            "pass larger images, or a convention with a smaller window: dataclasses.replace(convention, window=...)"
        )


def _check_mask(mask: Any, shape: Shape, layout: Layout) -> Any:
    """Returns `mask` as an array; its values are checked if this process can read them."""
    if mask is None:
        return None
    mask = as_array(mask)
    batch, spatial = split_shape(shape, layout._replace(crop_border=0))
    shapes = list(dict.fromkeys((spatial, (*batch, *spatial), shape)))
    if mask.shape not in shapes:
        raise ValueError(
            f"mask has shape {mask.shape}; for images of shape {shape} pass one of {' or '.join(map(str, shapes))}"
        )
    if not (mask.dtype == bool or jnp.issubdtype(mask.dtype, np.integer) or str(mask.dtype) in FLOATS):
        raise ValueError(f"mask must be bool or hold weights, integer or floating, got {mask.dtype}")
    if is_concrete(mask) and not np.all((np.asarray(mask) >= 0) & np.isfinite(np.asarray(mask, np.float64))):
        raise ValueError("mask must hold weights of at least 0, all finite; got a negative, infinite or NaN weight")
    return mask


def _broadcasts(shape: Shape, batch: Shape) -> bool:
    """Returns whether `shape` broadcasts to the batch, whose sizes may be symbols of jax.export."""
    return len(shape) <= len(batch) and all(n in (1, m) for n, m in zip(shape[::-1], batch[::-1], strict=False))
