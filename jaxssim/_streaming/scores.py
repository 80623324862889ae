"""What the metrics want of an image: scales and views beforehand, values from the sums afterwards."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jaxssim import conventions
from jaxssim._core import formulas, resampling
from jaxssim._core.formulas import Formula
from jaxssim._core.tapes import Task
from jaxssim._streaming.axes import Scale, View, halving_map, whole, window_map
from jaxssim.conventions import Convention

Shape = tuple[int, ...]
PIXEL_METRICS = ("mse", "mae", "psnr")
METRICS = ("ssim", "ms_ssim", "ssim_map", *PIXEL_METRICS)


class Wanted(NamedTuple):
    """What to compute of each image."""

    metrics: tuple[str, ...]
    convention: Convention
    weights: tuple[float, ...]  # of the scales of MS-SSIM

    @property
    def ssim(self) -> bool:
        """Whether a metric averages or maps SSIM at one scale."""
        return "ssim" in self.metrics or self.mapped

    @property
    def ms_ssim(self) -> bool:
        """Whether MS-SSIM is wanted."""
        return "ms_ssim" in self.metrics

    @property
    def mapped(self) -> bool:
        """Whether the map of SSIM is wanted."""
        return "ssim_map" in self.metrics

    def shrinks(self, spatial: Shape) -> bool:
        """Returns whether SSIM is that of a shrunk image."""
        return self.ssim and resampling.downsampled_shape(spatial, self.convention.downsample) != spatial


def scales_of_image(wanted: Wanted, spatial: Shape) -> tuple[Scale, ...]:
    """Returns the scales of an image as it is, with what each metric wants of them."""
    ssim, ms_ssim = wanted.ssim and not wanted.shrinks(spatial), wanted.ms_ssim
    views = []
    if any(name in wanted.metrics for name in PIXEL_METRICS):
        task = Task((), conventions.WANG2004, len(spatial))
        views.append(View(task, ("squares", "absolutes"), tuple(map(whole, spatial)), spatial, (0,) * len(spatial)))
    named = [("ssim", formulas.one_minus_ssim)] * ssim
    if ms_ssim:
        last = len(wanted.weights) == 1
        named.append(("scale 0", formulas.one_minus_ssim if last else formulas.one_minus_contrast_structure))
    if named:
        views.append(_structural_view(wanted, spatial, *zip(*named, strict=True), mapped=ssim and wanted.mapped))
    finest = Scale((1,) * len(spatial), tuple(map(whole, spatial)), tuple(views))
    return (finest, *_coarser_scales(wanted, spatial)) if ms_ssim else (finest,)


def _coarser_scales(wanted: Wanted, spatial: Shape) -> Iterator[Scale]:
    """Yields the scales of MS-SSIM after the first: the coarsest sums SSIM, the others contrast · structure."""
    both = (formulas.one_minus_contrast_structure, formulas.one_minus_ssim)
    factors = tuple(2 if len(taps) > 1 else 1 for taps in wanted.convention.window.taps(len(spatial)))
    for scale in range(1, len(wanted.weights)):
        maps = tuple(map(halving_map, spatial, factors))
        spatial = tuple(len(axis_map) // factor for axis_map, factor in zip(maps, factors, strict=True))
        name = f"scale {scale}"
        names = (None, name) if scale == len(wanted.weights) - 1 else (name, None)
        yield Scale(factors, maps, (_structural_view(wanted, spatial, names, both, summed=True),))


def scales_of_shrunk(wanted: Wanted, spatial: Shape) -> tuple[Scale, ...]:
    """Returns the only scale of an image that its convention has shrunk to `spatial`."""
    view = _structural_view(wanted, spatial, ("ssim",), (formulas.one_minus_ssim,), summed=True, mapped=wanted.mapped)
    return (Scale((1,) * len(spatial), tuple(map(whole, spatial)), (view,)),)


def _structural_view(
    wanted: Wanted,
    spatial: Shape,
    names: Sequence[str | None],
    functions: Sequence[Formula],
    *,
    summed: bool = False,
    mapped: bool = False,
) -> View:
    convention = dataclasses.replace(wanted.convention, downsample=None)
    task = Task(tuple(functions), convention, len(spatial), summed, mapped)
    sizes = tuple(map(len, task.taps))
    padded = convention.padding != "valid" and (convention.average == "all" or mapped)
    maps = tuple(window_map(n, size, convention, padded) for n, size in zip(spatial, sizes, strict=True))
    windows = tuple(len(axis_map) - size + 1 for axis_map, size in zip(maps, sizes, strict=True))
    margins = tuple(size // 2 if padded and convention.average == "inside" else 0 for size in sizes)
    return View(task, tuple(names), maps, windows, margins)


def value(metric: str, wanted: Wanted, totals: dict[str, np.ndarray], data_range: float) -> float:
    """Returns a metric from the weighted sums and the weights of one image."""
    if metric == "ssim":
        return 1 - max(0.0, float(_means(totals["ssim"]).mean()))
    if metric == "ms_ssim":
        means = (_means(totals[f"scale {scale}"]) for scale in range(len(wanted.weights)))
        return 1 - float(_one_minus_product(list(means), wanted.weights).mean())
    total, weight = totals["absolutes" if metric == "mae" else "squares"].sum(-1)
    error = float(total / weight) if weight else 0.0
    if metric != "psnr":
        return error
    return 20 * math.log10(data_range) - 10 * math.log10(error) if error else math.inf


def _means(total: np.ndarray) -> np.ndarray:
    """Returns the mean of each channel, 0 where nothing counts."""
    values, weight = total
    return values / np.where(weight == 0, 1, weight)


def _one_minus_product(ds: list[np.ndarray], weights: tuple[float, ...]) -> np.ndarray:
    """Returns 1 - Π (1 - d)^w of each channel, 1 where a factor is not positive."""
    positive = np.all([d < 1 for d in ds], axis=0)
    logarithm = sum(w * np.log1p(-np.where(positive, d, 0)) for w, d in zip(weights, ds, strict=True))
    return np.where(positive, -np.expm1(logarithm), np.where(np.isnan(sum(ds)), np.nan, 1))
