"""MS-SSIM: structure at several scales, luminance at the coarsest (Wang, Simoncelli & Bovik 2003), and its loss."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxssim import conventions
from jaxssim._core import formulas
from jaxssim._core.averaging import mean_of_formula
from jaxssim._core.formulas import Formula
from jaxssim._core.halving import mean_and_half
from jaxssim._core.images import Pair
from jaxssim._core.jvp import jit_with_own_jvp
from jaxssim._core.numerics import channel_mean
from jaxssim._core.resampling import Shape
from jaxssim._explicit import over_mesh
from jaxssim._inputs import SMALLER_WINDOW, Reduction, check_convention, check_positive, prepare, reduce_batch
from jaxssim._layout import LAST, CheckedInputs, Layout, split_shape
from jaxssim._shards import Shards, means_of_shards_by_scale, padding_of_mean
from jaxssim.conventions import Convention

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

    In float32 the mean at each scale is as near to float64 as a value of `ssim`, and so is MS-SSIM unless such a mean
    is nearly 0, where powers are infinitely steep: errors of 4e-6 were measured there.

    Devices may share the images by spatial axes as in `ssim`, if their number of pixels halves without a remainder.

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
            missing or not positive, `mask` comes with sample covariance or a window of even size, or another argument
            is out of its range.

    Example:
        >>> x = jnp.linspace(0, 1, 4096).reshape(64, 64)
        >>> print(f"{jaxssim.ms_ssim(x, x**2, data_range=1.0, weights=(0.3, 0.3, 0.4), channel_axis=None):.4f}")
        0.8680
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    return 1 - _values(*prepare_ms_ssim(x, y, data_range, mask, weights, convention, layout, k1, k2))


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
        A scalar, or (*batch,), within [0, 1]; 0 for identical images. In float32 the relative error is at most 1e-5
        with the exceptions that `ssim` and `ms_ssim` state.

    Raises:
        ValueError: If shapes or types differ, images are smaller than the window at the coarsest scale, `data_range` is
            missing or not positive, `mask` comes with sample covariance or a window of even size, or another argument
            is out of its range.

    Example:
        >>> x = jnp.linspace(0, 1, 4096).reshape(64, 64)
        >>> loss = lambda y: jaxssim.ms_ssim_loss(x, y, data_range=1.0, weights=(0.5, 0.5), channel_axis=None)
        >>> jax.grad(loss)(x**2).shape
        (64, 64)
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    values = _values(*prepare_ms_ssim(x, y, data_range, mask, weights, convention, layout, k1, k2))
    return reduce_batch(values, reduction)


def _values(checked: CheckedInputs, weights: tuple[float, ...], convention: Convention, layout: Layout) -> jax.Array:
    options = weights, convention, layout
    return over_mesh(one_minus_ms_ssim, checked, options, padding_of_mean(convention), scales=len(weights))


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
    whole: Shape | None = None,
) -> Arguments:
    """Returns the arguments of `one_minus_ms_ssim`, or raises a ValueError that says what to pass.

    `whole` is that of `prepare`.
    """
    weights = check_weights(weights)
    check_convention(convention)
    convention = dataclasses.replace(convention, downsample=None)
    checked = prepare(x, y, data_range, mask, convention, layout, k1, k2, whole)
    spatial = whole or split_shape(checked.x.shape, layout)[1]
    sizes = tuple(map(len, convention.window.taps(len(spatial))))
    needed = [tuple((size - 1) * 2**scale + 1 for size in sizes) for scale in range(len(weights))]
    fitting = sum(all(n >= least for n, least in zip(spatial, each, strict=True)) for each in needed)
    if fitting < len(weights):
        raise ValueError(
            f"x and y have spatial shape {spatial}, but {len(weights)} scales need at least {needed[-1]} pixels; pass "
            f"larger images, or {_advice(weights, fitting)}"
        )
    return checked, weights, convention, layout


def _advice(weights: tuple[float, ...], fitting: int) -> str:
    """Returns what to pass for images that `fitting` scales fit."""
    if fitting == 0:
        return SMALLER_WINDOW
    kept = weights[:fitting]
    advised = ", ".join(f"{weight * sum(weights) / sum(kept):.4f}" for weight in kept)
    return f"at most {fitting} weights, for instance ({advised}), whose sum is that of all"


def check_weights(weights: Any) -> tuple[float, ...]:
    """Returns the weights of the scales as a tuple, which is static."""
    return check_positive("weights", weights, "one for each scale, for instance jaxssim.MS_SSIM_WEIGHTS")


@jit_with_own_jvp
def one_minus_ms_ssim(
    checked: CheckedInputs,
    weights: tuple[float, ...],
    convention: Convention,
    layout: Layout,
    shards: Shards | None = None,
) -> jax.Array:
    """Returns 1 - MS-SSIM of each pair of images: (*batch,)."""
    of_scales = formulas_of_scales(len(weights))
    if shards is None:
        at_scales = _means_by_scale(of_scales, convention, checked, layout)
    else:
        at_scales = means_of_shards_by_scale(of_scales, convention, checked, layout, shards)
    return channel_mean(one_minus_weighted_product(at_scales, weights))


def _means_by_scale(
    of_scales: Sequence[Formula], convention: Convention, checked: CheckedInputs, layout: Layout
) -> list[jax.Array]:
    """Returns the mean of each formula at its scale, each scale half as large as the one before: (*batch, channels)."""
    pair: Pair = checked.image_pair(layout)
    at_scales = []
    for formula in of_scales[:-1]:
        mean, pair = mean_and_half(formula, convention, pair, layout.spatial_ndim)
        at_scales.append(mean)
    at_scales.append(mean_of_formula(of_scales[-1], convention, pair, layout.spatial_ndim))
    return at_scales


def formulas_of_scales(scales: int) -> list[Formula]:
    """Returns the formula of each scale, finest first: contrast · structure, and SSIM at the coarsest."""
    return [*[formulas.one_minus_contrast_structure] * (scales - 1), formulas.one_minus_ssim]


def one_minus_weighted_product(ds: Sequence[jax.Array], weights: Sequence[float]) -> jax.Array:
    """Returns 1 - Π (1 - d)^w, precise near 0; where a factor is not positive, 1 with a derivative of 0."""
    factors = jnp.stack(ds)
    exponents = jnp.asarray(weights, factors.dtype).reshape(-1, *(1,) * ds[0].ndim)
    positive = (factors < 1).all(0)
    logarithm = (exponents * jnp.log1p(-jnp.where(positive, factors, 0))).sum(0)
    total = factors.sum(0)  # NaN stays NaN
    return jnp.where(positive, -jnp.expm1(logarithm), jnp.where(jnp.isnan(total), total, 1))
