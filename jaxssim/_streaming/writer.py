"""Fills tapes with strips of images, runs the program on full ones, and adds up what it returns."""

import collections
import functools
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
"""So many tapes are computed while the next is filled."""


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
        self.totals[name] = self.totals.get(name, 0) + np.stack([total, weight])


class MapPart:
    """The map of SSIM of one block, written at once when it is complete, since files are slow at small slices."""

    def __init__(self, image: Image, plane: Plane, dtype: np.dtype) -> None:
        """Makes room for all windows of the block."""
        self.image, self.windows, self.strips_waiting = image, plane.windows, 0
        self.complete = False
        self.values = np.empty((*(last - first for first, last in plane.windows), plane.pixels.x.shape[-1]), dtype)

    def put(self, ranges: Ranges, values: np.ndarray) -> None:
        """Keeps the values of a strip."""
        inside = zip(ranges, self.windows, strict=True)
        self.values[tuple(slice(first - start, last - start) for (first, last), (start, _) in inside)] = values
        self.strips_waiting -= 1
        self.write_if_done()

    def write_if_done(self) -> None:
        """Hands the map on if no strip is missing."""
        if self.complete and not self.strips_waiting:
            self.image.map_target(self.windows, self.values)


class Strip(NamedTuple):
    """Some windows of a plane, on a tape."""

    image: Image
    plane: Plane
    map_part: MapPart | None
    ranges: Ranges  # the windows, along each axis of the view
    start: int  # their first column on the tape


class Tape:
    """An array of one shape and the strips on it."""

    def __init__(self, task: Task, dtypes: tuple[np.dtype, np.dtype], dtype: np.dtype, channels: int, masked: bool):
        """Makes an empty tape."""
        shape = task.shape(channels)
        weight = np.zeros(shape, dtype) if masked else None
        counted = np.zeros((2, len(shape) - 2, *shape[-2:]), np.int32)
        a, b = (np.zeros(shape, each) for each in dtypes)
        self.arrays = Strips(a, b, weight, np.zeros((6, *shape[-2:]), dtype), counted)
        self.columns, self.used, self.strips = shape[-2], 0, list[Strip]()

    def free_windows(self, task: Task) -> int:
        """Returns how many columns of windows still fit."""
        return self.columns - self.used - task.halo[-1]

    def put(self, strip: Strip) -> None:
        """Copies the pixels under the windows of a strip."""
        view, pixels = strip.plane.view, strip.plane.pixels
        starts = (first for first, _ in strip.plane.windows)
        lengths = [last - first + halo for (first, last), halo in zip(strip.ranges, view.task.halo, strict=True)]
        inside = tuple(
            slice(first - start, first - start + length)
            for (first, _), start, length in zip(strip.ranges, starts, lengths, strict=True)
        )
        columns = slice(strip.start, strip.start + lengths[-1])
        place = (*(slice(0, length) for length in lengths[:-1]), columns)
        for array, image in zip(self.arrays[:3], pixels, strict=True):
            if array is not None:
                array[place] = image[inside]
        self.arrays.parameters[:5, columns] = strip.plane.parameters[:, None]
        self.arrays.parameters[5, columns] = strip.image.scale
        for axis, bounds in enumerate(counted_windows(strip)[:-1]):
            first = strip.ranges[axis][0]
            for i, bound in enumerate(bounds):
                self.arrays.counted[i, axis, columns] = bound - first
        self.used += lengths[-1]
        self.strips.append(strip)


def counted_windows(strip: Strip) -> Ranges:
    """Returns which windows of a strip count, along each axis of the view."""
    view = strip.plane.view
    limits = ((margin, view.windows(axis) - margin) for axis, margin in enumerate(view.margins))
    both = zip(strip.ranges, limits, strict=True)
    return tuple((max(first, low), max(max(first, low), min(last, high))) for (first, last), (low, high) in both)


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
        dtypes = tuple(jax.dtypes.canonicalize_dtype(array.dtype) for array in plane.pixels[:2])
        key = (task, *dtypes, channels, plane.pixels.weight is not None)
        part = MapPart(image, plane, self.dtype) if task.mapped and image.map_target is not None else None
        rows = ROWS[task.spatial_ndim]
        bands = ([(i, min(i + rows, last)) for i in range(first, last, rows)] for first, last in plane.windows[:-1])
        for band in itertools.product(*bands):
            start, last = plane.windows[-1]
            while start < last:
                tape = self._tape(key)
                free = tape.free_windows(task)
                if free < min(last - start, max(16, 2 * task.halo[-1])):
                    self._launch(key)
                    continue
                end = min(last, start + free)
                image.strips_waiting += 1
                if part is not None:
                    part.strips_waiting += 1
                tape.put(Strip(image, plane, part, (*band, (start, end)), tape.used))
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
        constants = self.constants
        if constants is not None:
            constants = jax.tree.map(functools.partial(np.reshape, newshape=(1,) * (len(tape.arrays.a.shape) - 1)), constants)
        self.in_flight.append((key, tape, column_sums(key[0], tape.arrays, constants)))
        if len(self.in_flight) > IN_FLIGHT:
            self._collect()

    def _collect(self) -> None:
        """Waits for the oldest tape in flight and adds its sums to those of its images."""
        key, tape, result = self.in_flight.popleft()
        result = jax.tree.map(np.asarray, result)
        for strip in tape.strips:
            _add_strip(strip, result, key[3])
        tape.used, tape.strips = 0, []
        self.spare[key].append(tape)


def _add_strip(strip: Strip, result: ColumnSums, channels: int) -> None:
    (first, _), *_ = strip.ranges[-1:]
    counted = counted_windows(strip)
    low, high = (strip.start + bound - first for bound in counted[-1])
    columns = slice(low * channels, high * channels)

    def total(row: np.ndarray, unit: Any = 1) -> np.ndarray:
        return (row[columns].astype(np.float64) * unit).reshape(-1, channels).sum(0)

    if result.weight is None:
        weight = np.full(channels, float(math.prod(end - start for start, end in counted)))
    else:
        weight = total(result.weight)
    for power, (name, row) in enumerate(zip(strip.plane.view.names, result.sums, strict=True)):
        unit = 1 if result.unit is None else result.unit[columns].astype(np.float64) ** (2 - power)
        if name is not None:
            strip.image.add(name, total(row, unit), weight)
    if strip.map_part is not None and result.similarity is not None:
        lengths = [end - start for start, end in strip.ranges]
        rows = tuple(slice(0, length) for length in lengths[:-1])
        values = result.similarity[(*rows, slice(strip.start * channels, (strip.start + lengths[-1]) * channels))]
        strip.map_part.put(strip.ranges, values.reshape(*lengths, channels))
    strip.image.strips_waiting -= 1
