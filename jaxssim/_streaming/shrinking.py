"""Images that a convention shrinks before it compares them, block by block."""

import itertools
from collections.abc import Generator

import numpy as np

from jaxssim._core.resampling import Shape, downsample_factor, downsampled_shape
from jaxssim._layout import Layout
from jaxssim._streaming.axes import Scale, shrinking_map
from jaxssim._streaming.blocks import Pixels, Plane, Sources, block_shape, read, shrink
from jaxssim._streaming.sources import Source
from jaxssim.conventions import Downsample


def shrunk(
    sources: Sources, index: Shape, spatial: Shape, rule: Downsample, largest_weight: float, dtype: np.dtype
) -> Generator[list[Plane], None, Sources]:
    """Returns the image at `index`, shrunk by a rule, in float64; yields no planes after each block that it reads."""
    factor = downsample_factor(spatial, rule)
    scale = Scale((factor,) * len(spatial), tuple(shrinking_map(n, factor, rule) for n in spatial), ())
    x, y = (np.empty((*scale.lengths, sources.x.channels)) for _ in range(2))
    image = Pixels(x, y, None if sources.mask is None else np.empty_like(x))
    for bounds in shrunk_blocks(sources, spatial, rule):
        maps = (axis_map[i * factor : j * factor] for axis_map, (i, j) in zip(scale.maps, bounds, strict=True))
        ranges = tuple((int(axis_map.min()), int(axis_map.max()) + 1) for axis_map in maps)
        pixels = read(sources, index, ranges, largest_weight, dtype)
        part = shrink(pixels, scale, bounds, [first for first, _ in ranges], np.float64)
        for array, values in zip(image, part, strict=True):
            if array is not None:
                array[tuple(slice(i, j) for i, j in bounds)] = values
        yield []
    layout = Layout(len(spatial), -1)
    mask = None if image.weight is None else Source("mask", image.weight, layout)
    return Sources(Source("x", x, layout), Source("y", y, layout), mask, summed=True)


def shrunk_blocks(sources: Sources, spatial: Shape, rule: Downsample) -> list[tuple[tuple[int, int], ...]]:
    """Returns the pixels of the shrunk image that come from each block, along every axis."""
    factor = downsample_factor(spatial, rule)
    sides = (max(1, side // factor) for side in block_shape(spatial, sources.x))
    axes = zip(downsampled_shape(spatial, rule), sides, strict=True)
    return list(itertools.product(*([(i, min(i + side, n)) for i in range(0, n, side)] for n, side in axes)))
