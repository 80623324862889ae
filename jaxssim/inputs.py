"""What is accepted, and the errors that teach the rest."""

import numbers
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Shape = tuple[int, ...]
INTEGER_RANGES = {"uint8": 255, "uint16": 65535}
FLOATS = ("float16", "bfloat16", "float32", "float64")


class _Default(int):
    """A default that can be told from the same number passed."""


LAST = _Default(-1)
"""The default `channel_axis`: the last, as long as it is at most 4 long."""


class Layout(NamedTuple):
    """What the axes of an image are, and how much of its rim is left out. Static."""

    spatial_ndim: int
    channel_axis: int | None
    crop_border: int = 0


def check_images(x: Any, y: Any, layout: Layout) -> tuple[Any, Any]:
    """`x` and `y` as arrays, of shapes and types that go together."""
    x, y = check_image("x", x, layout), check_image("y", y, layout)
    if x.shape != y.shape:
        raise ValueError(f"x and y must have the same shape, got {x.shape} and {y.shape}; nothing is broadcast here")
    if x.dtype != y.dtype and not {str(x.dtype), str(y.dtype)} <= set(FLOATS):
        raise ValueError(
            f"x has type {x.dtype} and y has type {y.dtype}, whose scales may differ; convert one to the other's type"
        )
    return x, y


def check_positive(name: str, values: Any, hint: str) -> tuple[float, ...]:
    """A sequence of positive numbers as a tuple, which is static."""
    listed = np.asarray(values).tolist() if isinstance(values, np.ndarray) else values
    sound = isinstance(listed, list | tuple) and len(listed) > 0
    if not (sound and all(isinstance(value, numbers.Real) and 0 < float(value) < 1e6 for value in listed)):
        raise ValueError(f"{name} must be a tuple of positive numbers, {hint}; got {values!r}")
    return tuple(map(float, listed))


def check_image(name: str, image: Any, layout: Layout) -> Any:
    """One image or a batch as an array, of a type and shape that can be such."""
    image = as_array(image)
    if not (is_integer(layout.spatial_ndim) and 1 <= layout.spatial_ndim <= 3):
        raise ValueError(f"spatial_ndim must be 1 (signals), 2 (images) or 3 (volumes), got {layout.spatial_ndim!r}")
    if str(image.dtype) not in (*INTEGER_RANGES, *FLOATS):
        raise ValueError(
            f"{name} has type {image.dtype}; pass uint8, uint16, float16, bfloat16, float32 or float64 "
            f"({name}.astype(jnp.float32), with a data_range to suit)"
        )
    _check_channel_axis(name, image.shape, layout.spatial_ndim, layout.channel_axis)
    batch, spatial = split(image.shape, layout._replace(crop_border=0))
    if 0 in image.shape and 0 not in batch:
        raise ValueError(f"{name} has shape {image.shape}, which holds no pixels")
    if not (is_integer(layout.crop_border) and layout.crop_border >= 0 and min(spatial) > 2 * layout.crop_border):
        raise ValueError(
            f"crop_border must be a number of pixels, at least 0 and less than half of the spatial shape {spatial}, "
            f"got {layout.crop_border!r}"
        )
    return image


def check_data_range(data_range: Any, x: Any, y: Any, batch: Shape) -> Any:
    """`data_range` in the type of the statistics, of a shape that broadcasts to `batch`, sound where it can be seen."""
    if data_range is None:
        if str(x.dtype) not in INTEGER_RANGES:
            raise ValueError(
                f"data_range must be given for images of {x.dtype}: the largest minus the smallest value allowed, for "
                "instance 1.0 for images in [0, 1] or 255 for 8-bit values held as floats"
            )
        data_range = INTEGER_RANGES[str(x.dtype)]
    data_range = as_array(data_range)
    if not (jnp.issubdtype(data_range.dtype, np.integer) or jnp.issubdtype(data_range.dtype, np.floating)):
        raise ValueError(f"data_range must be a real number or an array of them, got {data_range!r}")
    if not _broadcasts(data_range.shape, batch):
        raise ValueError(
            f"data_range has shape {data_range.shape}, which does not broadcast to the batch's {batch}; "
            "pass a number, or one for each image"
        )
    dtype = statistics_type(x, y)
    if is_concrete(data_range) and not np.all(_is_range(np.asarray(data_range, np.float64), dtype)):
        raise ValueError(f"data_range must be positive and finite, also in {dtype}, got {data_range}")
    # One type, whatever kind of number came: a new value must not compile anew.
    return data_range.astype(dtype)


def canonical(image: jax.Array, layout: Layout) -> jax.Array:
    """An image as (*batch, *spatial, channels), cropped."""
    image = image[..., None] if layout.channel_axis is None else jnp.moveaxis(image, layout.channel_axis, -1)
    if layout.crop_border:
        inside = slice(layout.crop_border, -layout.crop_border)
        image = image[(..., *(inside,) * layout.spatial_ndim, slice(None))]
    return image


def canonical_range(data_range: jax.Array, x: jax.Array, layout: Layout) -> jax.Array:
    """The data range of a canonical image, NaN if it is none, as (*batch, 1, .., 1)."""
    data_range = jnp.where(_is_range(data_range, x.dtype), data_range, jnp.nan)
    batch = x.shape[: -1 - layout.spatial_ndim]
    return jnp.broadcast_to(data_range, batch)[(..., *(None,) * (layout.spatial_ndim + 1))]


def statistics_type(x: Any, y: Any) -> np.dtype:
    """The type that means are taken in: float64 where an image is of that type and x64 is on, else float32."""
    return jnp.result_type(x, y, jnp.float32)


def split(shape: Shape, layout: Layout) -> tuple[Shape, Shape]:
    """The batch's and the spatial axes' part of a shape, the latter cropped."""
    if layout.channel_axis is not None:
        axis = len(shape) + layout.channel_axis
        shape = shape[:axis] + shape[axis + 1 :]
    return shape[: -layout.spatial_ndim], tuple(n - 2 * layout.crop_border for n in shape[-layout.spatial_ndim :])


def _check_channel_axis(name: str, shape: Shape, spatial_ndim: int, channel_axis: int | None) -> None:
    needed = spatial_ndim + (channel_axis is not None)
    if len(shape) < needed:
        hint = "channel_axis=None if there are no channels" if channel_axis is not None else "a smaller spatial_ndim"
        raise ValueError(
            f"{name} has shape {shape}, but spatial_ndim={spatial_ndim} and channel_axis={channel_axis} need at "
            f"least {needed} axes; pass more, or {hint}"
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


def _broadcasts(shape: Shape, batch: Shape) -> bool:
    """Whether an array of this shape has one value an image, also where the batch's size is a symbol of jax.export."""
    return len(shape) <= len(batch) and all(n in (1, m) for n, m in zip(shape[::-1], batch[::-1], strict=False))


def _is_range(value: Any, dtype: np.dtype) -> Any:
    """Positive, finite, and with a reciprocal that `dtype` holds to every digit."""
    smallest = float(jnp.finfo(dtype).tiny)
    return (value >= smallest) & (value <= 1 / smallest)


def is_integer(value: Any) -> bool:
    """Whether a value is an integer of Python or NumPy; True and False are none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def as_array(value: Any) -> Any:
    """An array of JAX or NumPy, the latter in this machine's byte order; parameters of Flax are unwrapped."""
    if isinstance(value, jax.Array):
        return value
    if hasattr(value, "__jax_array__"):
        return value.__jax_array__()
    array = np.asarray(value)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def is_concrete(value: Any) -> bool:
    """Whether a number can be looked at here: it is neither traced nor on another process's device."""
    return isinstance(value, np.ndarray) or (not isinstance(value, jax.core.Tracer) and value.is_fully_addressable)
