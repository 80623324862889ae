"""The mix of MS-SSIM and L1 for training (Zhao, Gallo, Frosio & Kautz 2017)."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxssim._arrays import as_real
from jaxssim._core import formulas, resampling, statistics
from jaxssim._core.averaging import mean_over_windows
from jaxssim._core.images import Pair, stored_sum_and_difference
from jaxssim._core.jvp import jit_with_own_jvp
from jaxssim._core.numerics import absolute, channel_mean
from jaxssim._inputs import Reduction, check_images, check_positive, check_static, prepare, reduce_batch
from jaxssim._layout import LAST, CheckedInputs, Layout, split_shape
from jaxssim.conventions import Convention, Gaussian


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
    if list(sigmas) != (rising := sorted(set(sigmas))):
        raise ValueError(f"sigmas must rise, so that the last is the coarsest, got {sigmas}; pass {tuple(rising)}")
    coarsest = 2 * math.ceil(2 * max(sigmas)) + 1
    images = check_images(x, y, layout)
    _, spatial = split_shape(images[0].shape, layout)
    if min(spatial) < coarsest:
        shape = "x".join([str(coarsest)] * len(spatial))
        raise ValueError(
            f"x and y have spatial shape {spatial}, smaller than the window of {shape} pixels of sigma "
            f"{max(sigmas):g}; pass larger images, or sigmas up to {(min(spatial) - 1) // 2 / 2:g}"
        )
    # A tap beyond 5.5 sigma weighs less than float32 resolves.
    sizes = tuple(min(coarsest, 2 * math.ceil(5.5 * sigma) + 1) for sigma in sigmas)
    checked = prepare(*images, data_range, mask, Convention(window=Gaussian(coarsest)), layout, k1, k2)
    return reduce_batch(_ms_ssim_l1(checked, float(share), sizes, sigmas, layout), reduction)


@jit_with_own_jvp
def _ms_ssim_l1(
    checked: CheckedInputs, alpha: float, sizes: tuple[int, ...], sigmas: tuple[float, ...], layout: Layout
) -> jax.Array:
    """Returns alpha · (1 - MS-SSIM) + (1 - alpha) · L1, averaged over windows and channels: (*batch,)."""

    def mix(pair: Pair) -> jax.Array:
        u, v = stored_sum_and_difference(pair)
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
