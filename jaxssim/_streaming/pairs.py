"""One pair of images of a stream, or one batch of pairs: its blocks, its sums and its scores."""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxssim._core.images import Constants
from jaxssim._core.resampling import Shape, downsampled_shape
from jaxssim._inputs import WEIGHTS_NOT_VALID
from jaxssim._streaming.axes import Ranges
from jaxssim._streaming.blocks import Plane, Sources, block_shape, blocks_of_image, planes_of_image
from jaxssim._streaming.scores import Wanted, scales_of_image, scales_of_shrunk, value
from jaxssim._streaming.shrinking import shrunk, shrunk_blocks
from jaxssim._streaming.sources import Source
from jaxssim._streaming.writer import Image


class Checked(NamedTuple):
    """What is known of a pair that passed all checks but those of its pixels."""

    batch: Shape
    spatial: Shape  # cropped
    data_ranges: np.ndarray  # (*batch,)
    constants: Constants | None
    dtype: np.dtype  # of the statistics
    has_channels: bool


class Pair:
    """A pair of images, or a batch of pairs.

    Args:
        sources: The images and their mask.
        checked: What their checks gave.
        wanted: What to compute.
        out: Receives the map; None for a new array.
    """

    def __init__(self, sources: Sources, checked: Checked, wanted: Wanted, out: Any) -> None:
        """Plans the scales of each image."""
        self.sources, self.checked, self.wanted, spatial = sources, checked, wanted, checked.spatial
        self.rule = wanted.convention.downsample if wanted.shrinks(spatial) else None
        self.scales = scales_of_image(wanted, spatial)
        self.scales_of_shrunk = scales_of_shrunk(wanted, downsampled_shape(spatial, self.rule)) if self.rule else ()
        self.map: Any = self._map(out) if wanted.mapped else None
        self.images = {index: self._image(index) for index in np.ndindex(*checked.batch)}
        self.blocks_written = 0

    def _map(self, out: Any) -> Any:
        """Returns what receives the map, or raises a ValueError if `out` has another shape."""
        view = (self.scales_of_shrunk or self.scales)[0].views[-1]
        channels = (self.sources.x.channels,) if self.checked.has_channels else ()
        shape = (*self.checked.batch, *view.map_shape, *channels)
        if out is None:
            return np.empty(shape, self.checked.dtype)
        if tuple(getattr(out, "shape", ())) != shape or not hasattr(out, "__setitem__"):
            raise ValueError(
                f"out must take slices of the map's shape {shape}, got {type(out).__name__} of shape "
                f"{getattr(out, 'shape', None)}; pass an array of NumPy, a memmap or a dataset of that shape"
            )
        if not jnp.issubdtype(getattr(out, "dtype", self.checked.dtype), np.floating):
            raise ValueError(
                f"out must hold floating numbers, since a map lies within [-1, 1], got the type {out.dtype}; pass "
                f"{self.checked.dtype}"
            )
        return out

    def _image(self, index: Shape) -> Image:
        target, has_channels = self.map, self.checked.has_channels  # a closure over `self` would be a cycle

        def keep(windows: Ranges, values: np.ndarray) -> None:
            slices = (slice(first, last) for first, last in windows)
            target[(*index, *slices)] = values if has_channels else values[..., 0]

        return Image(1 / self.checked.data_ranges[index], None if target is None else keep)

    @functools.cached_property
    def count_of_blocks(self) -> int:
        """The number of items that `blocks` yields."""
        blocks = [len(list(blocks_of_image(self.sources, self.scales)))] if self.scales[0].views else []
        if self.rule:
            blocks += [len(shrunk_blocks(self.sources, self.checked.spatial, self.rule)), 1]
        return sum(blocks) * len(self.images)

    def blocks(self) -> Iterator[tuple[Image, list[Plane]]]:
        """Yields an image and the planes of one of its blocks."""
        mask = self.sources.mask
        largest = functools.cache(functools.partial(largest_weight, mask))
        for index, image in self.images.items():
            for planes in self._planes(index, largest(index if mask is not None and mask.batch_axes else ())):
                yield image, planes

    def _planes(self, index: Shape, largest: float) -> Iterator[list[Plane]]:
        sources, dtype = self.sources, self.checked.dtype
        if self.scales[0].views:
            yield from planes_of_image(sources, index, self.scales, largest, dtype)
        if self.rule:
            small = yield from shrunk(sources, index, self.checked.spatial, self.rule, largest, dtype)
            blocks = planes_of_image(small, (), self.scales_of_shrunk, 1.0, dtype)
            yield list(itertools.chain.from_iterable(blocks))

    @property
    def done(self) -> bool:
        """Whether the sums of all images are complete."""
        return all(image.done for image in self.images.values())

    def note_progress(self, progress: Callable[[int, int], None] | None) -> None:
        """Tells `progress` that one more block is on tapes."""
        if progress is not None:
            self.blocks_written += 1
            progress(self.blocks_written, self.count_of_blocks)

    @property
    def map_values(self) -> int:
        """The number of values of the map that waits."""
        return self.map.size if isinstance(self.map, np.ndarray) else 0

    def complete(self) -> None:
        """Notes that no block is missing, and lets go of the pixels."""
        del self.sources
        for image in self.images.values():
            image.complete = True

    def scores(self) -> dict[str, Any]:
        """Returns the value of each metric, (*batch,), and the map, by name."""
        found: dict[str, Any] = {}
        for metric in self.wanted.metrics:
            values = np.empty(self.checked.batch)
            for index, image in self.images.items():
                if metric != "ssim_map":
                    values[index] = value(metric, self.wanted, image.totals, float(self.checked.data_ranges[index]))
            found[metric] = self.map if metric == "ssim_map" else values[()]
        return found


def largest_weight(mask: Source | None, index: Shape) -> float:
    """Returns the largest weight of one image's mask, 1 where all are 0; reads the mask once unless it is bool."""
    if mask is None or mask.dtype == bool:
        return 1.0
    crop = mask.layout.crop_border
    lengths = tuple(mask.shape[axis] - 2 * crop for axis in mask.spatial_axes)
    sides, largest = block_shape(lengths, mask), 0.0
    for corner in itertools.product(*(range(0, n, side) for n, side in zip(lengths, sides, strict=True))):
        ends = (min(i + side, n) for i, side, n in zip(corner, sides, lengths, strict=True))
        weight = mask.read(index, tuple(zip(corner, ends, strict=True))).astype(np.float64)
        if not ((weight >= 0) & (weight < np.inf)).all():
            raise ValueError(WEIGHTS_NOT_VALID)
        largest = max(largest, float(weight.max()))
    return largest or 1.0
