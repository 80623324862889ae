"""What is accepted, and the errors that teach the rest."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxssim.conventions import Convention

Shape = tuple[int, ...]
INTEGER_RANGES = {"uint8": 255, "uint16": 65535}
FLOATS = ("float16", "bfloat16", "float32", "float64")


class _Default(int):
    """A default that can be told from the same number passed."""


LAST = _Default(-1)
"""The default `channel_axis`: the last, as long as it is at most 4 long."""


def check(
    x: Any,
    y: Any,
    data_range: Any,
    convention: Convention,
    spatial_ndim: int,
    channel_axis: int | None,
) -> tuple[Any, Any, Any]:
    """The two images and their data range as arrays, or a ValueError that says what to pass."""
    if not isinstance(convention, Convention):
        raise ValueError(
            f"convention must be a jaxssim.Convention, got {convention!r}; pass one, as jaxssim.conventions.SKIMAGE"
        )
    x, y = check_images(x, y, spatial_ndim, channel_axis)
    batch, spatial = split(x.shape, spatial_ndim, channel_axis)
    if min(spatial) < convention.window.size:
        raise ValueError(
            f"x and y have spatial shape {spatial}, smaller than the window of {convention.window.size} pixels; pass "
            f"larger images, or a convention with a smaller window: dataclasses.replace(convention, window=...)"
        )
    return x, y, check_data_range(data_range, x, y, batch)


def check_images(x: Any, y: Any, spatial_ndim: int, channel_axis: int | None) -> tuple[Any, Any]:
    """`x` and `y` as arrays, of shapes and types that go together."""
    x, y = _as_array(x), _as_array(y)
    if not (_is_integer(spatial_ndim) and 1 <= spatial_ndim <= 3):
        raise ValueError(f"spatial_ndim must be 1 (signals), 2 (images) or 3 (volumes), got {spatial_ndim!r}")
    _check_types(x, y)
    if x.shape != y.shape:
        raise ValueError(f"x and y must have the same shape, got {x.shape} and {y.shape}; nothing is broadcast here")
    _check_channel_axis(x.shape, spatial_ndim, channel_axis)
    batch, _ = split(x.shape, spatial_ndim, channel_axis)
    if 0 in x.shape and 0 not in batch:
        raise ValueError(f"x and y have shape {x.shape}, which holds no pixels")
    return x, y


def check_data_range(data_range: Any, x: Any, y: Any, batch: Shape) -> Any:
    """`data_range` in the type of the statistics, of a shape that broadcasts to `batch`, sound where it can be seen."""
    if data_range is None:
        if str(x.dtype) not in INTEGER_RANGES:
            raise ValueError(
                f"data_range must be given for images of {x.dtype}: the largest minus the smallest value allowed, for "
                "instance 1.0 for images in [0, 1] or 255 for 8-bit values held as floats"
            )
        data_range = INTEGER_RANGES[str(x.dtype)]
    data_range = _as_array(data_range)
    if not (jnp.issubdtype(data_range.dtype, np.integer) or jnp.issubdtype(data_range.dtype, np.floating)):
        raise ValueError(f"data_range must be a real number or an array of them, got {data_range!r}")
    if not _broadcasts(data_range.shape, batch):
        raise ValueError(
            f"data_range has shape {data_range.shape}, which does not broadcast to the batch's {batch}; "
            "pass a number, or one for each image"
        )
    dtype = statistics_type(x, y)
    if _is_concrete(data_range) and not np.all(_is_range(np.asarray(data_range, np.float64), dtype)):
        raise ValueError(f"data_range must be positive and finite, also in {dtype}, got {data_range}")
    # One type, whatever kind of number came: a new value must not compile anew.
    return data_range.astype(dtype)


def canonical(
    x: jax.Array, y: jax.Array, data_range: jax.Array, spatial_ndim: int, channel_axis: int | None
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Images as (*batch, *spatial, channels), data range as (*batch,), NaN if it is none, in the statistics' type."""
    dtype = statistics_type(x, y)
    x, y = (_channels_last(image.astype(dtype), channel_axis) for image in (x, y))
    data_range = jnp.where(_is_range(data_range, dtype), data_range, jnp.nan)
    return x, y, jnp.broadcast_to(data_range, x.shape[: -1 - spatial_ndim])


def statistics_type(x: Any, y: Any) -> np.dtype:
    """The type that means are taken in: float64 where an image is of that type and x64 is on, else float32."""
    return jnp.result_type(x, y, jnp.float32)


def split(shape: Shape, spatial_ndim: int, channel_axis: int | None) -> tuple[Shape, Shape]:
    """The batch's and the spatial axes' part of a shape."""
    if channel_axis is not None:
        axis = len(shape) + channel_axis
        shape = shape[:axis] + shape[axis + 1 :]
    return shape[:-spatial_ndim], shape[-spatial_ndim:]


def _channels_last(image: jax.Array, channel_axis: int | None) -> jax.Array:
    return image[..., None] if channel_axis is None else jnp.moveaxis(image, channel_axis, -1)


def _check_types(x: Any, y: Any) -> None:
    for name, image in (("x", x), ("y", y)):
        if str(image.dtype) not in (*INTEGER_RANGES, *FLOATS):
            raise ValueError(
                f"{name} has type {image.dtype}; pass uint8, uint16, float16, bfloat16, float32 or float64 "
                f"({name}.astype(jnp.float32), with a data_range to suit)"
            )
    if x.dtype != y.dtype and not {str(x.dtype), str(y.dtype)} <= set(FLOATS):
        raise ValueError(
            f"x has type {x.dtype} and y has type {y.dtype}, whose scales may differ; convert one to the other's type"
        )


def _check_channel_axis(shape: Shape, spatial_ndim: int, channel_axis: int | None) -> None:
    needed = spatial_ndim + (channel_axis is not None)
    if len(shape) < needed:
        hint = "channel_axis=None if there are no channels" if channel_axis is not None else "a smaller spatial_ndim"
        raise ValueError(
            f"x and y have shape {shape}, but spatial_ndim={spatial_ndim} and channel_axis={channel_axis} need at "
            f"least {needed} axes; pass more, or {hint}"
        )
    if channel_axis is None:
        return
    if not (_is_integer(channel_axis) and -len(shape) <= channel_axis <= -1):
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


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _as_array(value: Any) -> Any:
    """An array of JAX or NumPy, the latter in this machine's byte order; parameters of Flax are unwrapped."""
    if isinstance(value, jax.Array):
        return value
    if hasattr(value, "__jax_array__"):
        return value.__jax_array__()
    array = np.asarray(value)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _is_concrete(value: Any) -> bool:
    """Whether a number can be looked at here: it is neither traced nor on another process's device."""
    return isinstance(value, np.ndarray) or (not isinstance(value, jax.core.Tracer) and value.is_fully_addressable)
