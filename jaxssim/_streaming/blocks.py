"""Blocks of an image pair, read and put under windows: the planes that the strips of a tape are cut from."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxssim._streaming.axes import OUTSIDE, AxisCut, Ranges, Scale, View, block_mean, cut_axis, take
from jaxssim._streaming.sources import Source

BLOCK = 2**23
"""A block that is read at once has about as many values."""


class Sources(NamedTuple):
    """A pair of images and its mask, or batches of them."""

    x: Source
    y: Source
    mask: Source | None
    summed: bool = False  # planes hold sum and difference: the images are means of blocks, in float64


class Pixels(NamedTuple):
    """Some pixels of a pair of images, (*spatial, channels)."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> "Pixels":
        """Returns a function of each array."""
        x, y, weight = self
        return Pixels(function(x), function(y), None if weight is None else function(weight))

    def at(self, indices: np.ndarray, axis: int) -> "Pixels":
        """Returns the pixels at `indices` along an axis."""
        return self.map(lambda array: take(array, indices, axis))


class Plane(NamedTuple):
    """The pixels under those windows of a view that belong to one block."""

    view: View
    pixels: Pixels  # x and y, or sum and difference less their offsets
    parameters: np.ndarray  # as in `jaxssim._core.tapes.Parameters`, but of the data range's scale: (5, channels)
    windows: Ranges


def planes_of_image(
    sources: Sources, index: tuple[int, ...], scales: tuple[Scale, ...], largest_weight: float, dtype: np.dtype
) -> Iterator[list[Plane]]:
    """Yields the planes of each block of the image at `index` of a batch."""
    for cuts in blocks_of_image(sources, scales):
        pixels = read(sources, index, tuple(cut.pixels[0] for cut in cuts), largest_weight, dtype)
        yield list(planes_of_block(pixels, cuts, scales, sources.summed, dtype))


def blocks_of_image(sources: Sources, scales: tuple[Scale, ...]) -> Iterator[tuple[AxisCut, ...]]:
    """Yields what each block of an image needs along every axis, for blocks with windows."""
    lengths = scales[0].lengths
    sides = block_shape(lengths, sources.x)
    axes = [list(cut_axis(scales, axis, length, sides[axis])) for axis, length in enumerate(lengths)]
    for cuts in itertools.product(*axes):
        if all(first < last for first, last in (cut.pixels[0] for cut in cuts)):
            yield cuts


def block_shape(lengths: tuple[int, ...], source: Source) -> tuple[int, ...]:
    """Returns how many pixels a block has along each axis: equally many if possible, and whole chunks of a file."""
    values, sides = BLOCK / source.channels, list(lengths)
    for left, axis in zip(range(len(lengths), 0, -1), np.argsort(lengths, kind="stable"), strict=True):
        chunk = source.chunks[axis]
        sides[axis] = min(lengths[axis], max(1, round(values ** (1 / left) / chunk)) * chunk)
        values /= sides[axis]
    return tuple(sides)


def read(sources: Sources, index: tuple[int, ...], ranges: Ranges, largest_weight: float, dtype: np.dtype) -> Pixels:
    """Returns some pixels of the image at `index`, or raises a ValueError where one is not finite."""
    x, y = (source.read(index, ranges) for source in (sources.x, sources.y))
    weight = None
    if sources.mask is not None:
        weight = sources.mask.read(index, ranges).astype(dtype) / dtype.type(largest_weight)
        weight = np.broadcast_to(weight, x.shape)
    for source, image in ((sources.x, x), (sources.y, y)):
        _check_finite(source.name, image, weight, index, source.in_image(ranges))
    return Pixels(x, y, weight)


def planes_of_block(
    pixels: Pixels, cuts: tuple[AxisCut, ...], scales: tuple[Scale, ...], summed: bool, dtype: np.dtype
) -> Iterator[Plane]:
    """Yields what each view of each scale sees of a block."""
    means_dtype = np.float32 if _means_are_exact(pixels, scales) else np.float64
    parameters = _parameters(pixels, dtype)  # constants near the pixels are near their means too
    for i, scale in enumerate(scales):
        bounds = [cut.pixels[i] for cut in cuts]
        if any(first == last for first, last in bounds):
            return  # no coarser scale has windows here
        if i:
            before = [cut.pixels[i - 1][0] for cut in cuts]
            pixels = shrink(pixels, scale, bounds, before, means_dtype)
        images, zeros = pixels, np.zeros((2, 1), dtype)
        if summed or i:
            images, zeros = _sum_and_difference(pixels, parameters, dtype), -parameters[3:]
        for j, view in enumerate(scale.views):
            windows = tuple(cut.windows[i][j] for cut in cuts)
            if all(last > first for first, last in windows):
                seen = _under_windows(images, view, windows, bounds, zeros)
                yield Plane(view, seen, parameters, windows)


def _means_are_exact(pixels: Pixels, scales: tuple[Scale, ...]) -> bool:
    """Returns whether float32 holds the means of all scales, and their sums and differences, without rounding."""
    factors = [factor for scale in scales for factor in scale.factors]
    bits = 8 + sum(factor == 2 for factor in factors) + 1
    return pixels.weight is None and pixels.x.dtype == np.uint8 and max(factors) <= 2 and bits <= 24


def shrink(
    pixels: Pixels, scale: Scale, bounds: Sequence[tuple[int, int]], before: Sequence[int], dtype: Any
) -> Pixels:
    """Returns means of blocks of pixels in `dtype`, weighted by the mask, if any: the pixels `bounds` of a scale.

    `before` is the first pixel along each axis that `pixels` holds of the scale before.
    """
    for axis, (first, last) in enumerate(bounds):
        factor = scale.factors[axis]
        indices = scale.maps[axis][first * factor : last * factor] - before[axis]
        pixels = pixels.at(indices, axis)
    if pixels.weight is None:
        return pixels.map(lambda array: block_mean(array, scale.factors, dtype))
    weight = block_mean(pixels.weight, scale.factors, dtype)
    divisor = np.where(weight == 0, 1, weight)
    x, y = (
        block_mean(np.where(pixels.weight > 0, image, 0) * pixels.weight, scale.factors, dtype) / divisor
        for image in (pixels.x, pixels.y)
    )
    return Pixels(x, y, weight)


def _under_windows(
    pixels: Pixels, view: View, windows: Ranges, bounds: list[tuple[int, int]], zeros: np.ndarray
) -> Pixels:
    """Returns the pixels under some windows; `zeros`, of x and y or of sum and difference, lie outside the image."""
    for axis, (first, last) in enumerate(windows):
        places = view.maps[axis][first : last + view.halo[axis]]
        pixels = pixels.at(np.maximum(places - bounds[axis][0], 0), axis)
        if (outside := places == OUTSIDE).any():
            where = outside.reshape([-1 if i == axis else 1 for i in range(pixels.x.ndim)])
            x, y = (np.where(where, zero.astype(i.dtype), i) for zero, i in zip(zeros, pixels[:2], strict=True))
            pixels = Pixels(x, y, None if pixels.weight is None else np.where(where, 1, pixels.weight))
    return pixels


def _parameters(pixels: Pixels, dtype: np.dtype) -> np.ndarray:
    """Returns the offsets of x, y and x - y, and what they take from the means of x + y and x - y: (5, channels)."""
    x, y, v = offsets(pixels).astype(dtype)
    return np.stack([x, y, v, x + y, v])


def _sum_and_difference(pixels: Pixels, parameters: np.ndarray, dtype: np.dtype) -> Pixels:
    """Returns x + y and x - y less their offsets, computed in the type of the means, which is exact or float64."""
    *_, offset_u, offset_v = parameters.astype(pixels.x.dtype)
    u, v = pixels.x + pixels.y, pixels.x - pixels.y
    u -= offset_u
    v -= offset_v
    return Pixels(u.astype(dtype, copy=False), v.astype(dtype, copy=False), pixels.weight)


def offsets(pixels: Pixels) -> np.ndarray:
    """Returns a constant near the values of x, of y and of x - y, by the rule of `jaxssim._core.images`: (3, channels).

    The pixels of a few sparse grids have a range each. The constant is the value nearest 0 in all these ranges; if they
    do not overlap, it is the smallest of their maxima.
    """
    *spatial, channels = pixels.x.shape
    per_axis, grids = (round(count ** (1 / len(spatial))) for count in (64, 4))
    at = np.ix_(*(np.linspace(0, n - 1, per_axis * grids).astype(int) for n in spatial))
    x, y = pixels.x[at].astype(np.float64), pixels.y[at].astype(np.float64)
    with np.errstate(invalid="ignore"):  # a pixel that does not count may be infinite
        sample = np.stack([x, y, x - y])
    sample = sample.reshape(3, *(per_axis, grids) * len(spatial), channels)
    pixel_axes = tuple(range(1, 1 + 2 * len(spatial), 2))
    least = most = sample
    if pixels.weight is not None:
        counts = pixels.weight[at].reshape(1, *sample.shape[1:]) > 0
        least, most = np.where(counts, sample, np.inf), np.where(counts, sample, -np.inf)
    least, most = least.min(pixel_axes), most.max(pixel_axes)
    axes = tuple(range(1, 1 + len(spatial)))
    low = np.where(least == np.inf, -np.inf, least).max(axes)
    high = np.where(most == -np.inf, np.inf, most).min(axes)
    nearest = np.minimum(np.maximum(low, 0), high)
    return np.where(np.isfinite(nearest), nearest, 0)


def _check_finite(
    name: str, image: np.ndarray, weight: np.ndarray | None, index: tuple[int, ...], ranges: Ranges
) -> None:
    if image.dtype.kind in "ui":
        return
    finite = np.isfinite(image)
    if weight is not None:
        finite |= weight == 0
    if finite.all():
        return
    where = tuple(int(i) for i in np.argwhere(~finite)[0])
    pixel = tuple(first + i for (first, _), i in zip(ranges, where, strict=False))
    of_image = f" of image {index}" if index else ""
    raise ValueError(
        f"{name} holds {image[where]} at pixel {pixel}, channel {where[-1]}{of_image}; pass finite pixels, or a mask "
        "that is 0 where they are not"
    )
