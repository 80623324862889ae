"""Which pixels of an image lie under which windows, axis by axis: padding, shrinking, and the blocks of a large image.

A map of an axis holds, for each position of a plane, the pixel of the image that stands there. A mirrored edge, the
last pixel of an odd side, which counts twice when an image is halved, and a cropped remainder are maps. OUTSIDE stands
where zero padding has no pixel of the image.
"""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from jaxssim._core.resampling import PAD_MODES
from jaxssim._core.tapes import Task
from jaxssim.conventions import Convention, Downsample

Ranges = tuple[tuple[int, int], ...]
"""The first pixel and the first pixel beyond, along each spatial axis."""
AxisMap = np.ndarray
OUTSIDE = -1


class View(NamedTuple):
    """The windows of a scale of which a task computes something."""

    task: Task
    names: tuple[str | None, ...]  # of what the task sums; None for what nobody needs
    maps: tuple[AxisMap, ...]  # from the pixels under the windows to pixels of the scale
    windows: tuple[int, ...]  # their number along each axis
    margins: tuple[int, ...]  # how many windows at each end of an axis only the map of SSIM has

    @property
    def halo(self) -> tuple[int, ...]:
        """The number of pixels that each axis has more than windows."""
        return tuple(len(axis_map) - n for axis_map, n in zip(self.maps, self.windows, strict=True))

    @property
    def stride(self) -> int:
        """The distance between neighbouring windows that count."""
        return self.task.convention.stride

    @property
    def map_shape(self) -> tuple[int, ...]:
        """The number of windows of the map along each axis."""
        return tuple(-(-n // self.stride) for n in self.windows)


class Scale(NamedTuple):
    """An image, or the means of blocks of pixels of the scale before."""

    factors: tuple[int, ...]  # the length of a block along each axis
    maps: tuple[AxisMap, ...]  # from the pixels of all blocks to pixels of the scale before
    views: tuple[View, ...]

    @property
    def lengths(self) -> tuple[int, ...]:
        """The number of pixels along each axis."""
        return tuple(len(axis_map) // factor for axis_map, factor in zip(self.maps, self.factors, strict=True))


class AxisCut(NamedTuple):
    """What one block of an image needs along one axis, for each scale: nothing where a pair of bounds is equal."""

    pixels: tuple[tuple[int, int], ...]
    windows: tuple[tuple[tuple[int, int], ...], ...]  # for each view


def whole(length: int) -> AxisMap:
    """Returns the map of an axis to itself."""
    return np.arange(length)


def window_map(length: int, size: int, convention: Convention, padded: bool) -> AxisMap:
    """Returns the map from the pixels under windows of `size` pixels, which reach beyond the image where `padded`."""
    if not padded or convention.padding == "valid":
        return whole(length)
    options = {"constant_values": OUTSIDE} if convention.padding == "zero" else {}
    return np.pad(whole(length), size // 2, PAD_MODES[convention.padding], **options)


def halving_map(length: int, factor: int) -> AxisMap:
    """Returns the map from the pixels of blocks of `factor` pixels; the last pixel of an odd side counts twice."""
    return np.pad(whole(length), (0, -length % factor), mode="edge")


def shrinking_map(length: int, factor: int, rule: Downsample) -> AxisMap:
    """Returns the map from the pixels of all blocks of `factor` pixels, by the rule of a convention."""
    if rule == "pool":
        return whole(length // factor * factor)
    before = (factor - 1) // 2
    after = max(0, -(-length // factor) * factor - length - before)
    blocks = -(-length // factor)
    return np.pad(whole(length), (before, after), mode="symmetric")[: blocks * factor]


def cut_axis(scales: tuple[Scale, ...], axis: int, length: int, block: int) -> Iterator[AxisCut]:
    """Yields what each block of `block` pixels of an axis needs; a window belongs to the block where it starts."""
    for start in range(0, length, block):
        needs: list[tuple[int, int]] = [(0, 0)] * len(scales)
        windows = []
        shares = np.cumprod([scale.factors[axis] for scale in scales])
        for i in reversed(range(len(scales))):
            ranges = []
            for view in scales[i].views:
                count, halo = view.windows[axis], view.halo[axis]
                first, last = (min(count, bound // int(shares[i])) for bound in (start, start + block))
                last = count if start + block >= length else last
                ranges.append((first, last))
                if last > first:
                    needs[i] = _union(needs[i], view.maps[axis][first : last + halo])
            windows.append(tuple(ranges))
            first, last = (bound * scales[i].factors[axis] for bound in needs[i])
            if i and last > first:
                needs[i - 1] = _union(needs[i - 1], scales[i].maps[axis][first:last])
        yield AxisCut(tuple(needs), tuple(reversed(windows)))


def _union(bounds: tuple[int, int], pixels: np.ndarray) -> tuple[int, int]:
    pixels = pixels[pixels != OUTSIDE]
    first, last = int(pixels.min()), int(pixels.max()) + 1
    return (first, last) if bounds[0] == bounds[1] else (min(first, bounds[0]), max(last, bounds[1]))


def take(array: np.ndarray, indices: np.ndarray, axis: int) -> np.ndarray:
    """Returns the pixels at `indices` along an axis, a view where they are consecutive."""
    first = int(indices[0])
    if indices[-1] - first == len(indices) - 1 and (len(indices) < 2 or (np.diff(indices) == 1).all()):
        return array[(slice(None),) * axis + (slice(first, first + len(indices)),)]
    return np.take(array, indices, axis)


def block_mean(array: np.ndarray, factors: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Returns the means of blocks of pixels, computed in `dtype`; every axis is a multiple of its factor."""
    for axis, factor in enumerate(factors[:-1]):
        if factor > 1:
            array = _sums(array, axis, factor, dtype) / dtype(factor)
    if factors[-1] == 1:
        return array
    *outer, length, channels = array.shape
    means = np.empty((*outer, length // factors[-1], channels), dtype)
    for channel in range(channels):  # whole rows at a time; NumPy would loop over the channels innermost
        sums = _sums(array[..., channel], len(outer), factors[-1], dtype)
        np.divide(sums, dtype(factors[-1]), out=means[..., channel])
    return means


def _sums(array: np.ndarray, axis: int, factor: int, dtype: Any) -> np.ndarray:
    """Returns the sums of `factor` neighbours along an axis."""
    parts = (array[(slice(None),) * axis + (slice(start, None, factor),)] for start in range(factor))
    return functools.reduce(functools.partial(np.add, dtype=dtype), parts)
