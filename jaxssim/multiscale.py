"""MS-SSIM: structure at several scales, luminance at the coarsest (Wang, Simoncelli & Bovik 2003)."""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxssim import arguments, conventions, fields, formulas, inputs, resampling, structural
from jaxssim.arguments import Pair
from jaxssim.conventions import Convention
from jaxssim.derivatives import compiled
from jaxssim.fields import Source
from jaxssim.formulas import Formula
from jaxssim.inputs import Layout
from jaxssim.summation import channel_mean

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""The exponents of Wang, Simoncelli & Bovik 2003, finest scale first."""


def ms_ssim(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    weights: Sequence[float] = MS_SSIM_WEIGHTS,
    convention: Convention = conventions.WANG2004,
    mask: ArrayLike | None = None,
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = inputs.LAST,
) -> jax.Array:
    """Multi-scale structural similarity of each pair of images, as the authors' code and TensorFlow compute it.

    With cs the mean of contrast · structure over a scale and l · cs that of SSIM over the coarsest, the value is the
    product of these to the power of their weights, for each channel; channels are averaged last. From scale to scale an
    image is halved by the mean of 2 x 2 pixels, the last of an odd number doubled.

    A cs that is negative has no real power: the value of that channel is then 0, as in TensorFlow, and its derivative
    too, which TensorFlow makes NaN.

    Args:
        x: (*batch, *spatial, channels), as in `jaxssim.ssim`.
        y: of the same shape.
        data_range: the largest minus the smallest value allowed, as in `jaxssim.ssim`.
        weights: one positive exponent a scale, finest first; their number is that of the scales.
        convention: which SSIM is taken at each scale. If it shrinks large images first, that is left out here.
        mask: which pixels count, as in `jaxssim.ssim`; a pixel of a coarser scale weighs what those that make it do.
            Where that leaves a scale no window's centre, its factor is 1.
        crop_border: pixels left out along each side.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: None where there are no channels, or the axis that holds them, counted from the end.

    Returns:
        (*batch,), within [0, 1]: 1 for identical images.

    Raises:
        ValueError: as `jaxssim.ssim`, for weights that are not positive, and for images whose coarsest scale is smaller
            than the window.
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    return 1 - dissimilarity(*check(x, y, data_range, mask, weights, convention, layout))


def check(x, y, data_range, mask, weights, convention, layout):  # type: ignore[no-untyped-def]
    """The arguments of `dissimilarity`, or a ValueError that says what to pass."""
    weights = inputs.check_positive("weights", weights, "one a scale, as jaxssim.MS_SSIM_WEIGHTS")
    arguments.check_convention(convention)
    convention = dataclasses.replace(convention, downsample=None)
    pair = arguments.check(x, y, data_range, mask, convention, layout)
    _, spatial = inputs.split(pair.x.shape, layout)
    sizes = tuple(map(len, convention.window.taps(len(spatial))))
    needed = [tuple((size - 1) * 2**scale + 1 for size in sizes) for scale in range(len(weights))]
    fits = sum(all(n >= least for n, least in zip(spatial, each, strict=True)) for each in needed)
    if fits < len(weights):
        raise ValueError(
            f"x and y have spatial shape {spatial}, but {len(weights)} scales need at least {needed[-1]} pixels; pass "
            f"larger images, or at most {fits} weights, as jaxssim.MS_SSIM_WEIGHTS[:{fits}]"
        )
    return pair, weights, convention, layout


@compiled
def dissimilarity(pair: Pair, weights: tuple[float, ...], convention: Convention, layout: Layout) -> jax.Array:
    """1 - MS-SSIM of each pair of images, precise near 0."""
    source: Source = fields.images(pair, layout)
    shortfalls = []
    for scale, formula in enumerate(scale_formulas(len(weights))):
        if scale:
            source = fields.mapped(resampling.shrink, source, 2, 0, layout.spatial_ndim)
        shortfalls.append(structural.average(formula, source, convention, layout))
    return channel_mean(weighted_product(shortfalls, weights))


def scale_formulas(count: int) -> list[Formula]:
    """What is compared at each of so many scales: structure, and luminance too at the coarsest."""
    return [*[formulas.contrast_structure] * (count - 1), formulas.dissimilarity]


def weighted_product(shortfalls: Sequence[jax.Array], weights: Sequence[float]) -> jax.Array:
    """1 - Π (1 - d)^w, precise near 0; 1, with no derivative, where a factor is not positive."""
    positive = functools.reduce(jnp.logical_and, [d < 1 for d in shortfalls])
    logarithm = sum(w * jnp.log1p(-jnp.where(positive, d, 0)) for d, w in zip(shortfalls, weights, strict=True))
    lost = functools.reduce(jnp.add, shortfalls)  # NaN stays NaN
    return jnp.where(positive, -jnp.expm1(logarithm), jnp.where(jnp.isnan(lost), lost, 1))
