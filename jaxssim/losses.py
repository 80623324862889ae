"""Losses to minimise: means over the batch, precise near 0, differentiable by either image to any order."""

import math
import numbers
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxssim import (
    arguments,
    averaging,
    conventions,
    fields,
    formulas,
    inputs,
    multiscale,
    resampling,
    statistics,
    structural,
    wavelet,
)
from jaxssim.arguments import Pair
from jaxssim.conventions import Convention
from jaxssim.derivatives import compiled
from jaxssim.fields import Source
from jaxssim.inputs import Layout
from jaxssim.multiscale import MS_SSIM_WEIGHTS
from jaxssim.summation import channel_mean
from jaxssim.windows import Gaussian


def ssim_loss(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    convention: Convention = conventions.WANG2004,
    mask: ArrayLike | None = None,
    spatial_ndim: int = 2,
    channel_axis: int | None = inputs.LAST,
) -> jax.Array:
    """The mean over the batch of 1 - SSIM (Zhao, Gallo, Frosio & Kautz 2017, with the mean over all windows).

    Arguments and errors are those of `jaxssim.ssim`.

    Returns:
        A scalar within [0, 2]: 0 for identical images; in float32 within 1e-5 of itself.
    """
    layout = Layout(spatial_ndim, channel_axis)
    pair = arguments.check(x, y, data_range, mask, convention, layout)
    return structural.dissimilarity(pair, convention, layout).mean()


def ms_ssim_loss(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    weights: Sequence[float] = MS_SSIM_WEIGHTS,
    convention: Convention = conventions.WANG2004,
    mask: ArrayLike | None = None,
    spatial_ndim: int = 2,
    channel_axis: int | None = inputs.LAST,
) -> jax.Array:
    """The mean over the batch of 1 - MS-SSIM (Wang, Simoncelli & Bovik 2003).

    Arguments and errors are those of `jaxssim.ms_ssim`.

    Returns:
        A scalar within [0, 1]: 0 for identical images; in float32 within 1e-5 of itself. Where structure at some scale
        is negatively correlated it is 1, with a derivative of 0.
    """
    layout = Layout(spatial_ndim, channel_axis)
    return multiscale.dissimilarity(*multiscale.check(x, y, data_range, mask, weights, convention, layout)).mean()


def ms_ssim_l1_loss(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    alpha: float = 0.84,
    sigmas: Sequence[float] = (0.5, 1.0, 2.0, 4.0, 8.0),
    mask: ArrayLike | None = None,
    spatial_ndim: int = 2,
    channel_axis: int | None = inputs.LAST,
) -> jax.Array:
    """alpha · (1 - MS-SSIM) + (1 - alpha) · L1, the mix of Zhao, Gallo, Frosio & Kautz 2017.

    Its MS-SSIM is that paper's: scales are Gaussian windows of rising sigma over the image as it is, and at every pixel
    the contrast · structure of all scales is multiplied, and the luminance of the coarsest. The absolute difference,
    in units of the data range, is taken under the Gaussian of the coarsest scale. The mean is that of the pixels about
    which the coarsest window, of 4 sigma + 1 pixels, lies inside the image.

    Arguments and errors are those of `jaxssim.ssim`, but for:

    Args:
        x: (*batch, *spatial, channels).
        y: of the same shape.
        data_range: the largest minus the smallest value allowed.
        alpha: the share of the structural term, within [0, 1].
        sigmas: standard deviations of the windows in pixels, rising; smaller ones for images of less than 33 pixels.
        mask: which pixels count.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: None where there are no channels, or the axis that holds them, counted from the end.

    Returns:
        A scalar, 0 for identical images.
    """
    layout = Layout(spatial_ndim, channel_axis)
    if not (isinstance(alpha, numbers.Real) and 0 <= alpha <= 1):
        raise ValueError(f"alpha must be a number from 0 to 1, the share of the structural term, got {alpha!r}")
    sigmas = inputs.check_positive("sigmas", sigmas, "in pixels and rising, as (0.5, 1.0, 2.0)")
    if list(sigmas) != sorted(sigmas):
        raise ValueError(f"sigmas must rise, so that the last is the coarsest, got {sigmas}; pass {sorted(sigmas)}")
    # A tap beyond 5.5 sigma weighs less than float32 resolves.
    coarsest = 2 * math.ceil(2 * max(sigmas)) + 1
    sizes = tuple(min(coarsest, 2 * math.ceil(5.5 * sigma) + 1) for sigma in sigmas)
    pair = arguments.check(x, y, data_range, mask, Convention(window=Gaussian(coarsest)), layout)
    return _zhao2017(pair, float(alpha), sizes, sigmas, layout).mean()


def cw_ssim_loss(
    x: ArrayLike,
    y: ArrayLike,
    *,
    levels: int = 4,
    orientations: int = 8,
    guard: int = 0,
    k: float = 0.0,
    channel_axis: int | None = inputs.LAST,
) -> jax.Array:
    """The mean over the batch of 1 - CW-SSIM, precise however close to 0.

    Arguments and errors are those of `jaxssim.cw_ssim`.

    Returns:
        A scalar within [0, 1]: 0 for identical images.
    """
    checked = wavelet.check(x, y, levels, orientations, guard, k, channel_axis)
    return wavelet.of_images(*checked, channel_axis).mean()


@compiled
def _zhao2017(pair: Pair, alpha: float, sizes: tuple[int, ...], sigmas: tuple[float, ...], layout: Layout) -> jax.Array:
    """The mix of every pixel about which the coarsest window lies inside the image, averaged over each image."""

    def mix(source: Source) -> jax.Array:
        u, v = source.fields()
        shortfall = jnp.zeros((), u.about.dtype)
        for size, sigma in zip(sizes, sigmas, strict=True):
            rims = ((max(sizes) // 2 - size // 2,) * 2,) * layout.spatial_ndim
            convention = Convention(window=Gaussian(size, sigma))
            taps = convention.window.taps(layout.spatial_ndim)
            local = statistics.local(resampling.crop(u, rims), resampling.crop(v, rims), taps)
            shortfall = formulas.union(shortfall, formulas.of_variances(local, convention, taps))
        shortfall = formulas.union(shortfall, formulas.of_means(local, convention))
        distance = v._replace(about=jnp.abs(v.about + v.level), level=jnp.zeros_like(v.level))
        return alpha * shortfall + (1 - alpha) * statistics.moments(distance, taps)[0]

    coarsest = Gaussian(max(sizes), max(sigmas)).taps(layout.spatial_ndim)
    return channel_mean(averaging.mean(mix, coarsest, fields.images(pair, layout)))
