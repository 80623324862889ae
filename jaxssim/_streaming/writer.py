"""Fills tapes with strips of images, runs the program on full ones, and adds up what it returns."""

import collections
import itertools
import math
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxssim._core.images import Constants
from jaxssim._core.tapes import ROWS, ColumnSums, Strips, Task, column_sums
from jaxssim._streaming.axes import Ranges
from jaxssim._streaming.blocks import Plane

IN_FLIGHT = 2
"""The number of tapes that are computed while the next is filled."""
LEAST_STRIP = 64
"""The rest of a tape that holds strips takes no strip of fewer columns of windows, whose halo would cost too much."""


class Image:
    """What is known so far of one image.

    Args:
        scale: 1 / data range.
        map_target: Receives the map of SSIM by slices, (*windows, channels); None if nobody wants it.
    """

    def __init__(self, scale: float, map_target: Any = None) -> None:
        """Starts with empty sums."""
        self.scale, self.map_target = scale, map_target
        self.totals: dict[str, np.ndarray] = {}  # the weighted sum and the total weight, by name: (2, channels)
        self.strips_waiting, self.complete = 0, False

    @property
    def done(self) -> bool:
        """Whether all sums are complete."""
        return self.complete and not self.strips_waiting

    def add(self, name: str, total: np.ndarray, weight: np.ndarray) -> None:
        """Adds to one of the sums."""
        sums = self.totals.setdefault(name, np.zeros((2, len(total))))
        sums[0] += total
        sums[1] += weight


class MapPart:
    """The map of SSIM of one block, written at once when it is complete, since files are slow at small slices."""

    def __init__(self, image: Image, plane: Plane, dtype: np.dtype) -> None:
        """Makes room for all windows of the block."""
        self.image, self.windows, self.stride, self.strips_waiting = image, plane.windows, plane.view.stride, 0
        self.complete = False
        self.values = np.empty((*(last - first for first, last in plane.windows), plane.pixels.x.shape[-1]), dtype)

    def put(self, inside: Ranges, values: np.ndarray) -> None:
        """Keeps the values of a strip."""
        self.values[tuple(slice(low, high) for low, high in inside)] = values
        self.strips_waiting -= 1
        self.write_if_done()

    def write_if_done(self) -> None:
        """Hands the map on if no strip is missing."""
        if self.complete and not self.strips_waiting:
            stride = self.stride
            chosen = tuple(slice(-first % stride, None, stride) for first, _ in self.windows)
            windows = tuple((-(-first // stride), -(-last // stride)) for first, last in self.windows)
            self.image.map_target(windows, self.values[chosen])


class Strip(NamedTuple):
    """Some windows of a plane, on a tape. A strip does not keep the pixels alive."""

    image: Image
    names: tuple[str | None, ...]
    map_part: MapPart | None
    inside: Ranges  # the windows, counted from the first of the plane
    counted: Ranges  # every `stride`-th of these counts, counted from the first of the strip
    stride: int
    start: int  # their first column on the tape


def make_strip(image: Image, plane: Plane, map_part: MapPart | None, inside: Ranges, start: int) -> Strip:
    """Returns a strip of a plane; windows in the margins of the view, and between strides, do not count."""
    view, counted = plane.view, []
    for (low, high), (first, _), n, margin in zip(inside, plane.windows, view.windows, view.margins, strict=True):
        from_margin = first + low - margin
        least = -from_margin if from_margin < 0 else -from_margin % view.stride
        counted.append((least, max(least, min(high - low, n - margin - first - low))))
    return Strip(image, view.names, map_part, inside, tuple(counted), view.stride, start)


class Tape:
    """An array of one shape and the strips on it."""

    def __init__(self, task: Task, dtypes: tuple[np.dtype, np.dtype], dtype: np.dtype, channels: int, masked: bool):
        """Makes an empty tape."""
        shape = task.shape(channels)
        weight = np.zeros(shape, dtype) if masked else None
        counted = np.zeros((2, len(shape) - 2, *shape[-2:]), np.int32)
        a, b = (np.zeros(shape, each) for each in dtypes)
        self.arrays = Strips(a, b, weight, np.zeros((6, *shape[-2:]), dtype), counted)
        self.halo, self.strips = task.halo, list[Strip]()
        self.columns, self.used = shape[-2], 0

    @property
    def free(self) -> int:
        """The number of columns of windows that still fit."""
        return self.columns - self.used - self.halo[-1]

    def put(self, strip: Strip, plane: Plane, parameters: np.ndarray) -> None:
        """Copies the pixels under the windows of a strip, and its parameters: (6, at least its columns, channels)."""
        inside = tuple(slice(low, high + halo) for (low, high), halo in zip(strip.inside, self.halo, strict=True))
        lengths = [part.stop - part.start for part in inside]
        columns = slice(strip.start, strip.start + lengths[-1])
        place = (*(slice(0, length) for length in lengths[:-1]), columns)
        for array, image in zip(self.arrays[:3], plane.pixels, strict=True):
            if image is not None:
                array[place] = image[inside]
        self.arrays.parameters[:, columns] = parameters[:, : lengths[-1]]
        for axis, (low, high) in enumerate(strip.counted[:-1]):
            self.arrays.counted[0, axis, columns] = low
            self.arrays.counted[1, axis, columns] = high
        self.used += lengths[-1]
        self.strips.append(strip)


class Writer:
    """Cuts planes into strips, and computes full tapes while the next ones are filled.

    Args:
        dtype: The type of the statistics.
        constants: k1 and k2 in place of those of the convention, or None.
    """

    def __init__(self, dtype: np.dtype, constants: Constants | None) -> None:
        """Starts without tapes."""
        self.dtype, self.constants = dtype, constants
        self.open: dict[Any, Tape] = {}
        self.spare: dict[Any, list[Tape]] = collections.defaultdict(list)
        self.in_flight: collections.deque[tuple[Any, Tape, ColumnSums]] = collections.deque()

    def write(self, plane: Plane, image: Image) -> None:
        """Puts all windows of a plane onto tapes."""
        task, channels = plane.view.task, plane.pixels.x.shape[-1]
        native = (array.dtype.newbyteorder("=") for array in plane.pixels[:2])
        dtypes = tuple(map(jax.dtypes.canonicalize_dtype, native))
        key = (task, *dtypes, channels, plane.pixels.weight is not None)
        part = MapPart(image, plane, self.dtype) if task.mapped and image.map_target is not None else None
        *heights, width = (last - first for first, last in plane.windows)
        parameters = np.vstack([plane.parameters, np.full((1, channels), image.scale)])
        parameters = np.repeat(parameters[:, None], min(width, task.shape(channels)[-2]) + task.halo[-1], axis=1)
        rows = ROWS[task.spatial_ndim]
        bands = ([(i, min(i + rows, height)) for i in range(0, height, rows)] for height in heights)
        tape = self._tape(key)
        for band in itertools.product(*bands):
            start = 0
            while start < width:
                if tape.used and tape.free < min(width - start, LEAST_STRIP):
                    self._launch(key)
                    tape = self._tape(key)
                    continue
                end = min(width, start + tape.free)
                image.strips_waiting += 1
                if part is not None:
                    part.strips_waiting += 1
                tape.put(make_strip(image, plane, part, (*band, (start, end)), tape.used), plane, parameters)
                start = end
        if part is not None:
            part.complete = True
            part.write_if_done()

    def flush(self) -> None:
        """Computes all tapes, full or not."""
        for key in list(self.open):
            self._launch(key)
        while self.in_flight:
            self._collect()

    def _tape(self, key: Any) -> Tape:
        if key not in self.open:
            task, x_dtype, y_dtype, channels, masked = key
            spare = self.spare[key]
            self.open[key] = spare.pop() if spare else Tape(task, (x_dtype, y_dtype), self.dtype, channels, masked)
        return self.open[key]

    def _launch(self, key: Any) -> None:
        tape = self.open.pop(key)
        self.in_flight.append((key, tape, column_sums(key[0], tape.arrays, self.constants)))
        if len(self.in_flight) > IN_FLIGHT:
            self._collect()

    def _collect(self) -> None:
        """Waits for the oldest tape in flight and adds its sums to those of its images."""
        key, tape, result = self.in_flight.popleft()
        _add_strips(tape.strips, jax.tree.map(np.asarray, result), key[3])
        tape.used, tape.strips = 0, []
        self.spare[key].append(tape)


def _add_strips(strips: list[Strip], result: Any, channels: int) -> None:
    """Adds what each strip of a tape contributes to the sums of its image, and to its map."""
    bounds = [(strip.start + strip.counted[-1][0], strip.start + strip.counted[-1][1]) for strip in strips]
    sums = result.sums.astype(np.float64)
    if result.unit is not None:
        unit = result.unit.astype(np.float64)
        sums *= np.stack([unit**2, unit])
    stride = strips[0].stride
    totals = _sums_between(sums, bounds, stride, channels)
    if result.weight is None:
        counts = [math.prod(-(-(last - first) // strip.stride) for first, last in strip.counted) for strip in strips]
        weights = np.repeat(np.asarray(counts, np.float64)[:, None], channels, axis=1)
    else:
        weights = _sums_between(result.weight.astype(np.float64), bounds, stride, channels)
    for i, strip in enumerate(strips):
        for name, total in zip(strip.names, totals, strict=True):
            if name is not None:
                strip.image.add(name, total[i], weights[i])
        if strip.map_part is not None and result.similarity is not None:
            *lengths, width = (last - first for first, last in strip.inside)
            part = (*map(slice, lengths), slice(strip.start * channels, (strip.start + width) * channels))
            strip.map_part.put(strip.inside, result.similarity[part].reshape(*lengths, width, channels))
        strip.image.strips_waiting -= 1


def _sums_between(values: np.ndarray, bounds: list[tuple[int, int]], stride: int, channels: int) -> np.ndarray:
    """Returns the sums of every `stride`-th of ranges of columns: (..., ranges, channels).

    `values` is (..., columns * channels).
    """
    columns = values.reshape(*values.shape[:-1], -1, channels).swapaxes(-1, -2)
    if stride > 1:
        counts = np.zeros(columns.shape[-1], bool)
        for first, last in bounds:
            counts[first:last:stride] = True
        columns = np.where(counts, columns, 0)
    columns = np.pad(columns, [(0, 0)] * (columns.ndim - 1) + [(0, 1)])  # a range may end after the last column
    sums = np.add.reduceat(columns, np.ravel(bounds), axis=-1)[..., ::2]
    empty = [first == last for first, last in bounds]  # where reduceat returns the first column beyond
    return np.where(empty, 0, sums).swapaxes(-1, -2)
