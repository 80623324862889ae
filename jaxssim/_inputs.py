"""What the public functions accept, and the errors that say what to pass instead.

`prepare` and the checks run before `jax.jit`, on arrays in any order of axes. `jaxssim._layout` puts these into order.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxssim._arrays import as_array, as_real, is_concrete
from jaxssim._core.images import Constants
from jaxssim._core.resampling import Shape, downsampled_shape
from jaxssim._layout import LAST, MIN_CONSTANT, CheckedInputs, Layout, is_valid_range, split_shape, statistics_dtype
from jaxssim.conventions import Convention

Reduction = Literal["mean", "none"]
INTEGER_RANGES = {"uint8": 255, "uint16": 65535}
FLOATS = ("float16", "bfloat16", "float32", "float64")
# Names of NumPy's types take longer to compare than the types do, and so does a search for tracers.
TYPES = frozenset(map(jnp.dtype, (*INTEGER_RANGES, *FLOATS)))
NEVER_TRACED = (int, float, bool, str, type(None))
SMALLER_WINDOW = "a convention with a smaller window: dataclasses.replace(convention, window=...)"
WEIGHTS_NOT_VALID = "mask must hold weights of at least 0, all finite; got a negative, infinite or NaN weight"


def prepare(
    x: Any,
    y: Any,
    data_range: Any,
    mask: Any,
    convention: Convention,
    layout: Layout,
    k1: Any = None,
    k2: Any = None,
    whole: Shape | None = None,
) -> CheckedInputs:
    """Returns the checked inputs of SSIM and its relatives, or raises a ValueError that says what to pass.

    `whole` is the spatial shape of the images where `x` and `y` are parts of them.
    """
    check_convention(convention)
    x, y = check_images(x, y, layout)
    batch, spatial = split_shape(x.shape, layout)
    spatial = spatial if whole is None else whole
    _check_window_fits(downsampled_shape(spatial, convention.downsample), convention)
    if mask is not None:
        check_masked_convention(convention)
    data_range, mask = check_data_range(data_range, x, y, batch), check_mask(mask, x.shape, layout)
    return CheckedInputs(x, y, data_range, mask, check_constants(k1, k2, convention, statistics_dtype(x, y)))


def check_masked_convention(convention: Convention) -> None:
    """Raises a ValueError for a convention that has no meaning under a mask."""
    if np.any(np.asarray(convention.window.size) % 2 == 0):
        raise ValueError(
            f"mask gives each window the weight of its central pixel, which {convention.window} lacks; pass a "
            "convention whose window has an odd size"
        )
    if convention.covariance == "sample":
        raise ValueError(
            "mask cannot be combined with sample covariance: a window under a mask has no fixed number of pixels; "
            'pass dataclasses.replace(convention, covariance="population")'
        )


def check_images(x: Any, y: Any, layout: Layout) -> tuple[Any, Any]:
    """Returns `x` and `y` as arrays of one shape, whose types may be compared."""
    x, y = check_image("x", x, layout), as_array("y", y)
    if (x.shape, x.dtype) != (y.shape, y.dtype):
        y = check_image("y", y, layout)
    if x.shape != y.shape:
        raise ValueError(f"x and y must have the same shape, got {x.shape} and {y.shape}; pass images of equal shape")
    if x.dtype != y.dtype and not {str(x.dtype), str(y.dtype)} <= set(FLOATS):
        raise ValueError(
            f"x has type {x.dtype} and y has type {y.dtype}, whose scales may differ; convert one to the other's type"
        )
    return x, y


def check_image(name: str, image: Any, layout: Layout) -> Any:
    """Returns an image or a batch of images as an array."""
    image = as_array(name, image)
    check_static(**layout._asdict())
    if not (is_integer(layout.spatial_ndim) and 1 <= layout.spatial_ndim <= 3):
        raise ValueError(f"spatial_ndim must be 1 (signals), 2 (images) or 3 (volumes), got {layout.spatial_ndim!r}")
    if jnp.issubdtype(image.dtype, np.complexfloating):
        raise ValueError(
            f"{name} has type {image.dtype}, complex numbers; pass jnp.abs({name}) to compare magnitudes, or real and "
            "imaginary part as two channels"
        )
    if image.dtype not in TYPES:
        raise ValueError(
            f"{name} has type {image.dtype}; pass uint8, uint16, float16, bfloat16, float32 or float64, for instance "
            f"{name}.astype(jnp.float32) with the data_range of its values"
        )
    check_channel_axis(name, image.shape, layout.spatial_ndim, layout.channel_axis)
    batch, spatial = split_shape(image.shape, layout.uncropped)
    if 0 in image.shape and 0 not in batch:
        raise ValueError(f"{name} has shape {image.shape}, which holds no pixels; pass images of at least one pixel")
    check_crop_border(layout.crop_border, spatial)
    return image


def check_colours(shape: Shape, layout: Layout) -> None:
    """Raises a ValueError unless images of this shape hold red, green and blue, or grey alone."""
    channels = 1 if layout.channel_axis is None else shape[layout.channel_axis]
    if channels not in (1, 3):
        raise ValueError(
            f"x and y must hold red, green and blue, or grey alone, got {channels} channels in the shape {shape}; "
            "pass the three colours, or channel_axis=-3 if channels come first"
        )


def check_crop_border(crop_border: Any, spatial: Shape) -> None:
    """Raises a ValueError for a border that leaves no pixel of an image of spatial shape `spatial`."""
    if not (is_integer(crop_border) and crop_border >= 0 and min(spatial) > 2 * crop_border):
        raise ValueError(
            f"crop_border must be a number of pixels, at least 0 and less than half of the shortest side of {spatial}, "
            f"got {crop_border!r}"
        )


def check_data_range(data_range: Any, x: Any, y: Any, batch: Shape) -> Any:
    """Returns `data_range` in the type of the statistics; its values are checked if this process can read them."""
    if data_range is None:
        if str(x.dtype) not in INTEGER_RANGES:
            raise ValueError(
                f"data_range must be given for images of {x.dtype}: the largest minus the smallest allowed value, for "
                "instance 1.0 for images in [0, 1] or 255 for 8-bit values stored as floats"
            )
        data_range = INTEGER_RANGES[str(x.dtype)]
    if type(data_range) in (int, float):
        return _checked_number(data_range, x.dtype, statistics_dtype(x, y))
    return _checked_range(data_range, x.dtype, statistics_dtype(x, y), batch)


def _checked_range(data_range: Any, images: np.dtype, dtype: np.dtype, batch: Shape) -> Any:
    """Returns `data_range` of images of type `images` as an array of type `dtype`."""
    data_range = as_real("data_range", data_range)
    hint = "; where this is (smallest, largest), pass their difference" if data_range.shape == (2,) else ""
    if not _broadcasts(data_range.shape, batch):
        raise ValueError(
            f"data_range has shape {data_range.shape}, which does not broadcast to the batch's {batch}; "
            f"pass a number, or one for each image{hint}"
        )
    if is_concrete(data_range) and not np.all(is_valid_range(np.asarray(data_range, np.float64), dtype)):
        raise ValueError(f"data_range must be positive and finite, also in {dtype}, got {data_range}{hint}")
    if is_concrete(data_range) and str(images) in INTEGER_RANGES and np.any(np.asarray(data_range) <= 1):
        bits = ", or pass 1023, 4095 or 16383 for 10, 12 or 14 bits" if images == np.uint16 else ""
        raise ValueError(
            f"data_range must be more than 1 for {images} images, whose values are whole numbers, got {data_range}; "
            f"leave it out for {INTEGER_RANGES[str(images)]}{bits}"
        )
    if not is_concrete(data_range) and str(images) in INTEGER_RANGES:
        data_range = jnp.where(data_range > 1, data_range, jnp.nan)
    # Converts every kind of number to one type, so that a new value does not recompile.
    return data_range.astype(dtype)


@functools.lru_cache(typed=True)
def _checked_number(data_range: float, images: np.dtype, dtype: np.dtype) -> np.ndarray:
    """Returns what `_checked_range` does; it takes a tenth of a small image's time, most calls pass the same number."""
    array: np.ndarray = _checked_range(data_range, images, dtype, ())
    array.setflags(write=False)
    return array


def check_static(**arguments: Any) -> None:
    """Raises a ValueError for an argument that `jax.jit` traces but whose value the program depends on."""
    for name, value in arguments.items():
        if isinstance(value, NEVER_TRACED):
            continue
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(value)):
            raise ValueError(
                f"{name} is traced, but the program depends on its value; pass static_argnames={name!r} to jax.jit, or "
                f"jit a lambda that sets it: jax.jit(lambda ...: f(..., {name}=...))"
            )


def check_convention(convention: Any) -> None:
    """Raises a ValueError for anything but a `Convention`."""
    if not isinstance(convention, Convention):
        raise ValueError(
            f"convention must be a jaxssim.Convention, got {convention!r}; pass one, as in jaxssim.conventions"
        )


def check_positive(name: str, values: Any, hint: str) -> tuple[float, ...]:
    """Returns a sequence of positive numbers as a tuple, which is static."""
    check_static(**{name: values})
    must_be = f"a tuple of positive numbers below 1e6, {hint}"
    array = np.asarray(as_real(name, values, must_be))
    if array.ndim != 1 or array.size == 0 or not np.all((array > 0) & (array < 1e6)):
        raise ValueError(f"{name} must be {must_be}, got {values!r}")
    return tuple(map(float, array.tolist()))


def reduce_batch(values: jax.Array, reduction: str) -> jax.Array:
    """Returns the mean of one value per image, or the values themselves if `reduction` is "none"."""
    if reduction not in ("mean", "none"):
        raise ValueError(f'reduction must be "mean" or "none", got {reduction!r}')
    return values.mean() if reduction == "mean" else values


def hashable(name: str, value: Any) -> Any:
    """Returns a static option as `jax.jit` needs it: lists and arrays become tuples."""
    if isinstance(value, np.ndarray | jax.Array):
        value = np.asarray(value).tolist()
    if isinstance(value, list | tuple):
        return tuple(hashable(name, each) for each in value)
    try:
        hash(value)
    except TypeError as error:
        raise ValueError(f"{name} must be hashable, got a {type(value).__name__}; pass a number or a tuple") from error
    return value


def default_of(function: Callable[..., Any], name: str) -> Any:
    """Returns the default of a function's parameter, None where the function has no such parameter or no signature."""
    try:
        parameter = inspect.signature(function).parameters.get(name)
    except ValueError:
        return None
    return None if parameter is None else parameter.default


def is_integer(value: Any) -> bool:
    """Returns whether a value is an integer of Python or NumPy, and not a bool."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_channel_axis(name: str, shape: Shape, spatial_ndim: int, channel_axis: int | None) -> None:
    """Raises a ValueError for too few axes, or a channel axis that does not exist or may be another axis."""
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
        same = is_integer(channel_axis) and 0 <= channel_axis < len(shape)
        hint = (
            f"; pass {channel_axis - len(shape)}, since axes counted from the front shift under jax.vmap"
            if same
            else ""
        )
        raise ValueError(
            f"channel_axis must be None or count from the end, -1 to -{len(shape)} here, got {channel_axis!r}{hint}"
        )
    if channel_axis is LAST and shape[-1] > 4:
        raise ValueError(
            f"channel_axis was left to its default, the last axis, which is {shape[-1]} long in the shape {shape}; "
            "pass channel_axis=None if there are no channels, channel_axis=-1 if these are channels, or "
            f"channel_axis={-1 - spatial_ndim} if channels come first"
        )


def _check_window_fits(spatial: Shape, convention: Convention) -> None:
    if convention.average == "all" and convention.padding in ("replicate", "zero"):
        return  # these continue images of any size far enough
    sizes = tuple(map(len, convention.window.taps(len(spatial))))
    if any(n < size for n, size in zip(spatial, sizes, strict=True)):
        raise ValueError(
            f"x and y have spatial shape {spatial}, smaller than the window of {'x'.join(map(str, sizes))} pixels; "
            f"pass larger images, or {SMALLER_WINDOW}"
        )


def check_mask(mask: Any, shape: Shape, layout: Layout) -> Any:
    """Returns `mask` as an array; its values are checked if this process can read them."""
    if mask is None:
        return None
    mask = as_array("mask", mask)
    check_mask_layout(mask, shape, layout)
    if is_concrete(mask) and not np.all((np.asarray(mask) >= 0) & np.isfinite(np.asarray(mask, np.float64))):
        raise ValueError(WEIGHTS_NOT_VALID)
    return mask


def check_mask_layout(mask: Any, shape: Shape, layout: Layout) -> None:
    """Raises a ValueError for a mask of a shape or type that images of `shape` cannot have."""
    batch, spatial = split_shape(shape, layout.uncropped)
    one_channel = (
        shape
        if layout.channel_axis is None
        else tuple(1 if axis - len(shape) == layout.channel_axis else n for axis, n in enumerate(shape))
    )
    shapes = list(dict.fromkeys((spatial, (*batch, *spatial), one_channel, shape)))
    if mask.shape not in shapes:
        raise ValueError(
            f"mask has shape {mask.shape}; for images of shape {shape} pass one of {' or '.join(map(str, shapes))}"
        )
    if not (mask.dtype == bool or jnp.issubdtype(mask.dtype, np.integer) or str(mask.dtype) in FLOATS):
        raise ValueError(f"mask must be bool or hold weights, integer or floating, got {mask.dtype}")


def check_constants(k1: Any, k2: Any, convention: Convention, dtype: np.dtype) -> Constants | None:
    """Returns k1 and k2 in the type of the statistics, those of the convention for None; None if both are None."""
    if k1 is None and k2 is None:
        return None
    k1 = _check_constant("k1", convention.k1 if k1 is None else k1)
    k2 = _check_constant("k2", convention.k2 if k2 is None else k2)
    return Constants(k1.astype(dtype), k2.astype(dtype))


def _check_constant(name: str, k: Any) -> Any:
    array = as_real(name, k)
    if array.shape != ():
        raise ValueError(f"{name} must be a scalar, got the shape {array.shape}; pass one number for all images")
    if is_concrete(array) and not MIN_CONSTANT <= float(array) < np.inf:
        raise ValueError(
            f"{name} must be at least {MIN_CONSTANT} and finite, or None for the convention's, got {k!r}; with 0, SSIM "
            "of flat images is 0 / 0"
        )
    return array


def _broadcasts(shape: Shape, batch: Shape) -> bool:
    """Returns whether `shape` broadcasts to the batch, whose sizes may be symbols of jax.export."""
    return len(shape) <= len(batch) and all(n in (1, m) for n, m in zip(shape[::-1], batch[::-1], strict=False))
