"""MS-SSIM: structure at several scales, luminance at the coarsest (Wang, Simoncelli & Bovik 2003), and its losses."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxssim import conventions
from jaxssim._arrays import as_real
from jaxssim._core import formulas, images, resampling, statistics
from jaxssim._core.averaging import mean_of_formula, mean_over_windows
from jaxssim._core.formulas import Formula
from jaxssim._core.images import Pair
from jaxssim._core.jvp import jit_with_own_jvp
from jaxssim._core.numerics import absolute, channel_mean
from jaxssim._inputs import Reduction, check_convention, check_positive, check_static, prepare, reduce_batch
from jaxssim._layout import LAST, CheckedInputs, Layout, split_shape
from jaxssim.conventions import Convention, Gaussian

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""The exponents of Wang, Simoncelli & Bovik 2003, finest scale first."""

Arguments = tuple[CheckedInputs, tuple[float, ...], Convention, Layout]


def ms_ssim(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    weights: Sequence[float] = MS_SSIM_WEIGHTS,
    convention: Convention = conventions.WANG2004,
    k1: ArrayLike | None = None,
    k2: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns the multi-scale structural similarity of each pair of images (Wang, Simoncelli & Bovik 2003).

    For each channel it is the product over all scales of (mean of contrast · structure)^weight, where the coarsest
    scale takes the mean of SSIM instead; channels are averaged last. From scale to scale images are halved: each pixel
    is the mean of 2x2 pixels, and the last pixel of an odd side counts twice. An axis along which the window is one
    pixel long, as `Gaussian((1, 11, 11))` is for thin volumes, keeps its length. Values agree with the authors' code
    and with `tf.image.ssim_multiscale`.

    A mean of at most 0 has no real power. The value of that channel is then 0, as in TensorFlow, and its derivative 0,
    where TensorFlow's is NaN. The convention's `downsample` is ignored. A pixel of a coarser scale takes its mask
    weight from the pixels that it averages; a scale at which no window counts has the factor 1.

    Args:
        x: Images (*batch, *spatial, channels): uint8, uint16, float16, bfloat16, float32 or float64.
        y: Images of the shape of `x`; of its type too, unless both are floating.
        data_range: Largest minus smallest allowed value, broadcast to (*batch,). Floating images need one.
        weights: One positive exponent for each scale, finest scale first.
        convention: The definition of SSIM, for instance `jaxssim.conventions.SKIMAGE`.
        k1: Replaces the convention's k1, which stabilises luminance: a scalar, whose new values do not recompile.
        k2: Replaces the convention's k2, which stabilises contrast and structure: a scalar, as k1.
        mask: Weights of pixels, bool or at least 0: (*spatial), (*batch, *spatial), or as `x` with 1 or all channels.
        crop_border: Pixels to leave out along each side.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        (*batch,), within [0, 1]; 1 for identical images.

    Raises:
        ValueError: If shapes or types differ, images are smaller than the window at the coarsest scale, `data_range` is
            missing or not positive, `mask` comes with a convention of sample covariance, or another argument is out of
            its range.

    Example:
        >>> x = jnp.linspace(0, 1, 4096).reshape(64, 64)
        >>> print(f"{jaxssim.ms_ssim(x, x**2, data_range=1.0, weights=(0.3, 0.3, 0.4), channel_axis=None):.4f}")
        0.8680
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    return 1 - one_minus_ms_ssim(*prepare_ms_ssim(x, y, data_range, mask, weights, convention, layout, k1, k2))


def ms_ssim_loss(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    weights: Sequence[float] = MS_SSIM_WEIGHTS,
    convention: Convention = conventions.WANG2004,
    k1: ArrayLike | None = None,
    k2: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reduction: Reduction = "mean",
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns the mean over the batch of 1 - MS-SSIM, a loss to minimise (Wang, Simoncelli & Bovik 2003).

    Everything else is as in `ms_ssim`. Where a mean of contrast · structure is negative, as it may be for a
    network with random weights, that channel's loss is 1 and its derivative is 0.

    Args:
        x: Images (*batch, *spatial, channels): uint8, uint16, float16, bfloat16, float32 or float64.
        y: Images of the shape of `x`; of its type too, unless both are floating.
        data_range: Largest minus smallest allowed value, broadcast to (*batch,). Floating images need one.
        weights: One positive exponent for each scale, finest scale first.
        convention: The definition of SSIM, for instance `jaxssim.conventions.SKIMAGE`.
        k1: Replaces the convention's k1, which stabilises luminance: a scalar, whose new values do not recompile.
        k2: Replaces the convention's k2, which stabilises contrast and structure: a scalar, as k1.
        mask: Weights of pixels, bool or at least 0: (*spatial), (*batch, *spatial), or as `x` with 1 or all channels.
        reduction: "mean" for the mean over the batch, "none" for one value per image.
        crop_border: Pixels to leave out along each side.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        A scalar, or (*batch,), within [0, 1]; 0 for identical images. In float32 the relative error is at most 1e-5.

    Raises:
        ValueError: If shapes or types differ, images are smaller than the window at the coarsest scale, `data_range` is
            missing or not positive, `mask` comes with a convention of sample covariance, or another argument is out of
            its range.

    Example:
        >>> x = jnp.linspace(0, 1, 4096).reshape(64, 64)
        >>> loss = lambda y: jaxssim.ms_ssim_loss(x, y, data_range=1.0, weights=(0.5, 0.5), channel_axis=None)
        >>> jax.grad(loss)(x**2).shape
        (64, 64)
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    values = one_minus_ms_ssim(*prepare_ms_ssim(x, y, data_range, mask, weights, convention, layout, k1, k2))
    return reduce_batch(values, reduction)


def ms_ssim_l1_loss(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    alpha: float = 0.84,
    sigmas: Sequence[float] = (0.5, 1.0, 2.0, 4.0, 8.0),
    k1: ArrayLike | None = None,
    k2: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reduction: Reduction = "mean",
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns alpha · (1 - MS-SSIM) + (1 - alpha) · L1, a loss to minimise (Zhao, Gallo, Frosio & Kautz 2017).

    MS-SSIM is that paper's: its scales are Gaussian windows of rising sigma over the image at full size. At every pixel
    the contrast · structure of all scales is multiplied with the luminance of the coarsest. L1 is the absolute
    difference in units of the data range, weighted by the Gaussian of the coarsest scale. The loss is the mean over
    those pixels whose coarsest window, of 4 sigma + 1 pixels, lies inside the image, and over the batch.

    Args:
        x: Images (*batch, *spatial, channels): uint8, uint16, float16, bfloat16, float32 or float64.
        y: Images of the shape of `x`; of its type too, unless both are floating.
        data_range: Largest minus smallest allowed value, broadcast to (*batch,). Floating images need one.
        alpha: Share of the structural term, within [0, 1].
        sigmas: Standard deviations of the windows in pixels, rising. Images under 33 pixels need smaller ones.
        k1: Replaces the convention's k1, which stabilises luminance: a scalar, whose new values do not recompile.
        k2: Replaces the convention's k2, which stabilises contrast and structure: a scalar, as k1.
        mask: Weights of pixels, bool or at least 0: (*spatial), (*batch, *spatial), or as `x` with 1 or all channels.
        reduction: "mean" for the mean over the batch, "none" for one value per image.
        crop_border: Pixels to leave out along each side.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        A scalar, or (*batch,); 0 for identical images. L1 has a derivative of 0 at equal pixels.

    Raises:
        ValueError: If shapes or types differ, images are smaller than the widest window, `data_range` is missing or not
            positive, `alpha` is not within [0, 1], `sigmas` are not positive and rising, or another argument is out of
            its range.

    Example:
        >>> x = jnp.linspace(0, 1, 4096).reshape(64, 64)
        >>> loss = lambda y: jaxssim.ms_ssim_l1_loss(x, y, data_range=1.0, channel_axis=None)
        >>> jax.grad(loss)(x**2).shape
        (64, 64)
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    check_static(alpha=alpha)
    must_be = "a number from 0 to 1, the share of the structural term"
    share = as_real("alpha", alpha, must_be)
    if share.shape != () or not 0 <= float(share) <= 1:
        raise ValueError(f"alpha must be {must_be}, got {alpha!r}")
    sigmas = check_positive("sigmas", sigmas, "in pixels and rising, for instance (0.5, 1.0, 2.0)")
    if list(sigmas) != sorted(sigmas):
        raise ValueError(
            f"sigmas must rise, so that the last is the coarsest, got {sigmas}; pass {tuple(sorted(sigmas))}"
        )
    # A tap beyond 5.5 sigma weighs less than float32 resolves.
    coarsest = 2 * math.ceil(2 * max(sigmas)) + 1
    sizes = tuple(min(coarsest, 2 * math.ceil(5.5 * sigma) + 1) for sigma in sigmas)
    checked = prepare(x, y, data_range, mask, Convention(window=Gaussian(coarsest)), layout, k1, k2)
    return reduce_batch(_ms_ssim_l1(checked, float(share), sizes, sigmas, layout), reduction)


def prepare_ms_ssim(
    x: Any,
    y: Any,
    data_range: Any,
    mask: Any,
    weights: Any,
    convention: Any,
    layout: Layout,
    k1: Any = None,
    k2: Any = None,
) -> Arguments:
    """Returns the arguments of `one_minus_ms_ssim`, or raises a ValueError that says what to pass."""
    weights = check_positive("weights", weights, "one for each scale, for instance jaxssim.MS_SSIM_WEIGHTS")
    check_convention(convention)
    convention = dataclasses.replace(convention, downsample=None)
    checked = prepare(x, y, data_range, mask, convention, layout, k1, k2)
    _, spatial = split_shape(checked.x.shape, layout)
    sizes = tuple(map(len, convention.window.taps(len(spatial))))
    needed = [tuple((size - 1) * 2**scale + 1 for size in sizes) for scale in range(len(weights))]
    fitting = sum(all(n >= least for n, least in zip(spatial, each, strict=True)) for each in needed)
    if fitting < len(weights):
        kept = weights[:fitting]
        advised = ", ".join(f"{weight * sum(weights) / sum(kept):.4f}" for weight in kept)
        raise ValueError(
            f"x and y have spatial shape {spatial}, but {len(weights)} scales need at least {needed[-1]} pixels; pass "
            f"larger images, or at most {fitting} weights, for instance ({advised}), whose sum is that of all"
        )
    return checked, weights, convention, layout


@jit_with_own_jvp
def one_minus_ms_ssim(
    checked: CheckedInputs, weights: tuple[float, ...], convention: Convention, layout: Layout
) -> jax.Array:
    """Returns 1 - MS-SSIM of each pair of images: (*batch,)."""
    pair: Pair = checked.image_pair(layout)
    at_scales = []
    for scale, formula in enumerate(formulas_of_scales(len(weights))):
        if scale:
            pair = images.map_images(resampling.halve, pair, convention.window.taps(layout.spatial_ndim))
        at_scales.append(mean_of_formula(formula, convention, pair, layout.spatial_ndim))
    return channel_mean(one_minus_weighted_product(at_scales, weights))


def formulas_of_scales(scales: int) -> list[Formula]:
    """Returns the formula of each scale, finest first: contrast · structure, and SSIM at the coarsest."""
    return [*[formulas.one_minus_contrast_structure] * (scales - 1), formulas.one_minus_ssim]


def one_minus_weighted_product(ds: Sequence[jax.Array], weights: Sequence[float]) -> jax.Array:
    """Returns 1 - Π (1 - d)^w, precise near 0; where a factor is not positive, 1 with a derivative of 0."""
    positive = functools.reduce(jnp.logical_and, [d < 1 for d in ds])
    logarithm = sum(w * jnp.log1p(-jnp.where(positive, d, 0)) for d, w in zip(ds, weights, strict=True))
    total = functools.reduce(jnp.add, ds)  # NaN stays NaN
    return jnp.where(positive, -jnp.expm1(logarithm), jnp.where(jnp.isnan(total), total, 1))


@jit_with_own_jvp
def _ms_ssim_l1(
    checked: CheckedInputs, alpha: float, sizes: tuple[int, ...], sigmas: tuple[float, ...], layout: Layout
) -> jax.Array:
    """Returns alpha · (1 - MS-SSIM) + (1 - alpha) · L1, averaged over windows and channels: (*batch,)."""

    def mix(pair: Pair) -> jax.Array:
        u, v = pair.sum_and_difference()
        d = jnp.zeros((), u.centred.dtype)
        for size, sigma in zip(sizes, sigmas, strict=True):
            margins = ((max(sizes) // 2 - size // 2,) * 2,) * layout.spatial_ndim
            convention = Convention(window=Gaussian(size, sigma))
            taps = convention.window.taps(layout.spatial_ndim)
            at_windows = statistics.statistics_of_sum_difference(
                resampling.crop(u, margins), resampling.crop(v, margins), taps, pair.constants
            )
            d = formulas.one_minus_product(d, formulas.contrast_structure_terms(at_windows, convention, taps))
        d = formulas.one_minus_product(d, formulas.luminance_terms(at_windows, convention))
        distance = v._replace(centred=absolute(v.centred + v.offset), offset=jnp.zeros_like(v.offset))
        return alpha * d + (1 - alpha) * statistics.moments_of_image(distance, taps)[0]

    coarsest = Gaussian(max(sizes), max(sigmas)).taps(layout.spatial_ndim)
    return channel_mean(mean_over_windows(mix, coarsest, checked.image_pair(layout)))
