"""Images that are read block by block: arrays, and whatever slices like one, as a memmap or a dataset in a file."""

from typing import Any

import jax
import numpy as np

from jaxssim._arrays import MORE_THAN_NUMBERS, as_array
from jaxssim._layout import Layout
from jaxssim._streaming.axes import Ranges


class Source:
    """A batch of images that is read block by block.

    Args:
        name: What error messages call the images.
        array: An array, or what has a shape, a type of NumPy and slices.
        layout: The order of its axes.
    """

    def __init__(self, name: str, array: Any, layout: Layout) -> None:
        """Keeps the shape, which may not change from now on."""
        self.name, self.array, self.layout = name, array, layout
        self.shape, self.dtype = tuple(array.shape), np.dtype(array.dtype)
        self.channels_at = None if layout.channel_axis is None else len(self.shape) + layout.channel_axis
        others = [axis for axis in range(len(self.shape)) if axis != self.channels_at]
        self.batch_axes, self.spatial_axes = others[: -layout.spatial_ndim], others[-layout.spatial_ndim :]

    @property
    def channels(self) -> int:
        """The number of channels."""
        return 1 if self.channels_at is None else self.shape[self.channels_at]

    @property
    def chunks(self) -> tuple[int, ...]:
        """The number of pixels along each spatial axis that a file holds as one piece; 1 where that is not known."""
        chunks = getattr(self.array, "chunks", None) or (1,) * len(self.shape)
        return tuple(chunks[axis] if isinstance(chunks[axis], int) else 1 for axis in self.spatial_axes)

    def read(self, index: tuple[int, ...], ranges: Ranges) -> np.ndarray:
        """Returns pixels of one image, (*spatial, channels); `ranges` count from the cropped border."""
        self._check_shape(ranges)
        slices: list[Any] = [slice(None)] * len(self.shape)
        for axis, i in zip(self.batch_axes, index[len(index) - len(self.batch_axes) :], strict=True):
            slices[axis] = i
        for axis, bounds in zip(self.spatial_axes, self.in_image(ranges), strict=True):
            slices[axis] = slice(*bounds)
        pixels = np.asarray(self.array[tuple(slices)])
        kept = [axis for axis in range(len(self.shape)) if axis not in self.batch_axes]
        asked = tuple(len(range(self.shape[axis])[slices[axis]]) for axis in kept)
        self._check_pixels(pixels, asked, slices)
        if isinstance(self.array, np.memmap):
            pixels = pixels.copy()  # reads the file here, not where the pixels are used
        if pixels.dtype.kind not in "buif":
            pixels = pixels.astype(np.float32)  # bfloat16, for which NumPy lacks functions
        return pixels[..., None] if self.channels_at is None else np.moveaxis(pixels, kept.index(self.channels_at), -1)

    def in_image(self, ranges: Ranges) -> Ranges:
        """Returns ranges that count from the cropped border, counted from the first pixel of the image."""
        border = self.layout.crop_border
        return tuple((first + border, last + border) for first, last in ranges)

    def _check_shape(self, ranges: Ranges) -> None:
        shape = tuple(self.array.shape)
        if shape != self.shape:
            where = _text(self.in_image(ranges))
            raise ValueError(
                f"{self.name} had the shape {self.shape} and has {shape} when pixels {where} are read; pass an image "
                "that does not change while it is scored"
            )

    def _check_pixels(self, pixels: np.ndarray, asked: tuple[int, ...], slices: list[Any]) -> None:
        where = ", ".join(_slice_text(each) for each in slices)
        if pixels.shape != asked:
            raise ValueError(
                f"{self.name}[{where}] gave pixels of shape {pixels.shape}, not {asked}: a short read; pass an image "
                f"that holds all of its shape {self.shape}"
            )
        if pixels.dtype != self.dtype:
            raise ValueError(
                f"{self.name}[{where}] gave pixels of type {pixels.dtype}, not {self.dtype}, the type of {self.name}; "
                "pass an image whose slices have its own type"
            )


def as_source_array(name: str, value: Any) -> Any:
    """Returns what slices lazily as it is, and everything else as an array of NumPy."""
    if isinstance(value, np.memmap) or _slices_lazily(value):
        return value
    if isinstance(value, jax.core.Tracer):
        raise ValueError(
            f"{name} is traced, but an Evaluator computes on the host; call it outside jax.jit and jax.grad, or call "
            "the function of the metric, as jaxssim.ssim"
        )
    return np.asarray(as_array(name, value))


def stand_in(array: Any) -> np.ndarray:
    """Returns an array of the shape and type of `array` that takes no memory, for checks that read no pixels."""
    dtype = np.dtype(array.dtype)
    return np.broadcast_to(np.zeros((), dtype if dtype.isnative else dtype.newbyteorder("=")), tuple(array.shape))


def mask_layout(mask: Any, shape: tuple[int, ...], layout: Layout) -> Layout:
    """Returns the order of the axes of a mask for images of a shape."""
    has_channels = layout.channel_axis is not None and len(mask.shape) == len(shape)
    return layout if has_channels else layout._replace(channel_axis=None)


def _slices_lazily(value: Any) -> bool:
    """Returns whether a value is not an array, but has a shape, a type of NumPy and slices, and holds numbers alone."""
    if isinstance(value, np.ndarray | np.generic) or not isinstance(getattr(value, "dtype", None), np.dtype):
        return False
    named = isinstance(getattr(value, "dims", None), tuple)  # a dataset of h5py has `dims` of another kind
    labelled = any(hasattr(value, attribute) for attribute in MORE_THAN_NUMBERS if attribute != "dims")
    return hasattr(value, "shape") and hasattr(value, "__getitem__") and not (named or labelled or _is_jax(value))


def _is_jax(value: Any) -> bool:
    return hasattr(value, "__jax_array__") or type(value).__module__.split(".")[0] in ("jax", "jaxlib")


def _text(ranges: Ranges) -> str:
    return "[" + ", ".join(f"{first}:{last}" for first, last in ranges) + "]"


def _slice_text(each: Any) -> str:
    if not isinstance(each, slice):
        return str(each)
    return ":" if each.start is None else f"{each.start}:{each.stop}"
