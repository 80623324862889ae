"""The checks of `jaxssim.Evaluator`: those of the functions of the metrics, without reading a pixel."""

from typing import Any, NamedTuple

import numpy as np

from jaxssim._inputs import (
    check_constants,
    check_data_range,
    check_images,
    check_mask_layout,
    check_masked_convention,
    prepare,
)
from jaxssim._layout import Layout, split_shape, statistics_dtype
from jaxssim._ms_ssim import prepare_ms_ssim
from jaxssim._streaming.blocks import Sources
from jaxssim._streaming.pairs import Checked
from jaxssim._streaming.scores import Wanted
from jaxssim._streaming.sources import Source, as_source_array, mask_layout, stand_in


class Settings(NamedTuple):
    """Arguments of an evaluator that are not checked before the first images come."""

    data_range: Any
    k1: Any
    k2: Any
    layout: Layout


def check_pair(settings: Settings, wanted: Wanted, x: Any, y: Any, mask: Any = None) -> tuple[Sources, Checked]:
    """Returns a pair that passed all checks but those of pixels, or raises a ValueError that says what to pass."""
    data_range, k1, k2, layout = settings
    x, y = as_source_array("x", x), as_source_array("y", y)
    a, b = check_images(stand_in(x), stand_in(y), layout)
    batch, spatial = split_shape(a.shape, layout)
    prepared = None
    if wanted.ms_ssim:
        prepared, *_ = prepare_ms_ssim(a, b, data_range, None, wanted.weights, wanted.convention, layout, k1, k2)
    if wanted.ssim:
        prepared = prepare(a, b, data_range, None, wanted.convention, layout, k1, k2)
    if prepared is not None:
        data_range, constants = prepared.data_range, prepared.constants
    else:
        needs_range = "psnr" in wanted.metrics or data_range is not None
        data_range = check_data_range(data_range, a, b, batch) if needs_range else 1.0
        constants = check_constants(k1, k2, wanted.convention, statistics_dtype(a, b))
    mask = None if mask is None else _check_mask(mask, a.shape, wanted, layout)
    sources = Sources(Source("x", x, layout), Source("y", y, layout), mask)
    data_ranges = np.broadcast_to(np.asarray(data_range), batch)
    has_channels = layout.channel_axis is not None
    return sources, Checked(batch, spatial, data_ranges, constants, statistics_dtype(a, b), has_channels)


def _check_mask(mask: Any, shape: tuple[int, ...], wanted: Wanted, layout: Layout) -> Source:
    mask = as_source_array("mask", mask)
    check_mask_layout(mask, shape, layout)
    if wanted.ms_ssim or wanted.ssim:
        check_masked_convention(wanted.convention)
    return Source("mask", mask, mask_layout(mask, shape, layout))
