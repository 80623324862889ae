"""SSIM: luminance, contrast and structure of two images compared window by window (Wang, Bovik, Sheikh & Simoncelli
2004). `jaxssim._core.formulas` has the formula; `mean_one_minus_ssim` computes a value.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxssim import conventions
from jaxssim._core import formulas
from jaxssim._core.averaging import mean_of_formula
from jaxssim._core.jvp import jit_with_own_jvp
from jaxssim._core.numerics import channel_mean
from jaxssim._core.resampling import downsample_pair
from jaxssim._explicit import over_mesh
from jaxssim._inputs import Reduction, prepare, reduce_batch
from jaxssim._layout import LAST, CheckedInputs, Layout
from jaxssim._shards import Shards, mean_of_shards, padding_of_mean
from jaxssim.conventions import Convention


def ssim(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    convention: Convention = conventions.WANG2004,
    k1: ArrayLike | None = None,
    k2: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns the structural similarity of each pair of images (Wang, Bovik, Sheikh & Simoncelli 2004).

    It is the mean of SSIM over windows, then over channels.

    Each pair of a batch gets the value that it would get alone. Derivatives of any order are finite for values up to
    1e15 times the data range, also for identical or flat images.

    In float32 a value of 100 different windows or more is within 2e-7 of float64, and one of n < 100 windows within
    2e-6 / sqrt(n). 1 - SSIM, in `ssim_loss` and `dssim`, has a relative error of at most 1e-5. `ssim_map` is within
    2e-6, or within 5e-6 under a mask and for images more than 10 data ranges from 0. Where a pair holds values of both
    signs, means cancel, and these bounds are 5e-6 (2e-5 / sqrt(n) for n < 16), 5e-5 and 2e-5. All bounds are for images
    that keep to their data range, lie at most 1,000 data ranges from 0, and at most 10 data ranges apart.

    Statistics are float32, or float64 where an image is. uint8 and uint16 images have the data ranges 255 and 65535 by
    default. A traced data range that is not positive gives NaN.

    Under a mask, pixels count by their weight, whose scale does not matter, and windows by the weight of their central
    pixel. Pixels of weight 0 have no influence, even if they are NaN. If no window counts, the value is 1 and the
    gradient is 0. The mask is constant to derivatives.

    Devices may share the images by spatial axes on a mesh whose axes are explicit (`jax.sharding.AxisType.Explicit`).
    Each device then computes its part, with the temporary memory of its part, and receives the `window.size - 1` rows
    after it from its neighbours. `jaxssim.sharded` does the same inside `jax.shard_map`, also for sizes that devices
    cannot share evenly, and lists further errors.

    Args:
        x: Images (*batch, *spatial, channels): uint8, uint16, float16, bfloat16, float32 or float64.
        y: Images of the shape of `x`; of its type too, unless both are floating.
        data_range: Largest minus smallest allowed value, broadcast to (*batch,). Floating images need one.
        convention: The definition of SSIM, for instance `jaxssim.conventions.SKIMAGE`.
        k1: Replaces the convention's k1, which stabilises luminance: a scalar, whose new values do not recompile.
        k2: Replaces the convention's k2, which stabilises contrast and structure: a scalar, as k1.
        mask: Weights of pixels, bool or at least 0: (*spatial), (*batch, *spatial), or as `x` with 1 or all channels.
        crop_border: Pixels to leave out along each side.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        (*batch,), within [-1, 1]; 1 for identical images.

    Raises:
        ValueError: If shapes or types differ, images are smaller than the window, `data_range` is missing or not
            positive, `mask` comes with sample covariance or a window of even size, or another argument is out of its
            range.

    Example:
        >>> x = jnp.linspace(0, 1, 256).reshape(16, 16)
        >>> print(f"{jaxssim.ssim(x, x**2, data_range=1.0, channel_axis=None):.4f}")
        0.7792
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    checked = prepare(x, y, data_range, mask, convention, layout, k1, k2)
    return over_mesh(mean_ssim, checked, (convention, layout), padding_of_mean(convention))


def dssim(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    convention: Convention = conventions.WANG2004,
    k1: ArrayLike | None = None,
    k2: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns the structural dissimilarity (1 - SSIM) / 2 of each pair of images, with full relative precision near 0.

    SSIM is that of Wang, Bovik, Sheikh & Simoncelli 2004. Everything else is as in `ssim`.

    Args:
        x: Images (*batch, *spatial, channels): uint8, uint16, float16, bfloat16, float32 or float64.
        y: Images of the shape of `x`; of its type too, unless both are floating.
        data_range: Largest minus smallest allowed value, broadcast to (*batch,). Floating images need one.
        convention: The definition of SSIM, for instance `jaxssim.conventions.SKIMAGE`.
        k1: Replaces the convention's k1, which stabilises luminance: a scalar, whose new values do not recompile.
        k2: Replaces the convention's k2, which stabilises contrast and structure: a scalar, as k1.
        mask: Weights of pixels, bool or at least 0: (*spatial), (*batch, *spatial), or as `x` with 1 or all channels.
        crop_border: Pixels to leave out along each side.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        (*batch,), within [0, 1]; 0 for identical images. In float32 the relative error is at most 1e-5 with the
        exceptions that `ssim` states.

    Raises:
        ValueError: If shapes or types differ, images are smaller than the window, `data_range` is missing or not
            positive, `mask` comes with sample covariance or a window of even size, or another argument is out of its
            range.

    Example:
        >>> x = jnp.linspace(0, 1, 256).reshape(16, 16)
        >>> print(f"{jaxssim.dssim(x, x + 1e-4, data_range=1.0, channel_axis=None):.1e}")
        1.2e-08
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    return _values(prepare(x, y, data_range, mask, convention, layout, k1, k2), convention, layout) / 2


def ssim_loss(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    convention: Convention = conventions.WANG2004,
    k1: ArrayLike | None = None,
    k2: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reduction: Reduction = "mean",
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns the mean over the batch of 1 - SSIM, a loss to minimise (Zhao, Gallo, Frosio & Kautz 2017).

    The loss averages all windows, where the paper takes one window per patch. Everything else is as in `ssim`.

    Args:
        x: Images (*batch, *spatial, channels): uint8, uint16, float16, bfloat16, float32 or float64.
        y: Images of the shape of `x`; of its type too, unless both are floating.
        data_range: Largest minus smallest allowed value, broadcast to (*batch,). Floating images need one.
        convention: The definition of SSIM, for instance `jaxssim.conventions.SKIMAGE`.
        k1: Replaces the convention's k1, which stabilises luminance: a scalar, whose new values do not recompile.
        k2: Replaces the convention's k2, which stabilises contrast and structure: a scalar, as k1.
        mask: Weights of pixels, bool or at least 0: (*spatial), (*batch, *spatial), or as `x` with 1 or all channels.
        reduction: "mean" for the mean over the batch, "none" for one value per image.
        crop_border: Pixels to leave out along each side.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        A scalar, or (*batch,), within [0, 2]; 0 for identical images. In float32 the relative error is at most 1e-5
        with the exceptions that `ssim` states.

    Raises:
        ValueError: If shapes or types differ, images are smaller than the window, `data_range` is missing or not
            positive, `mask` comes with sample covariance or a window of even size, or another argument is out of its
            range.

    Example:
        >>> x = jnp.linspace(0, 1, 256).reshape(16, 16)
        >>> loss = lambda y: jaxssim.ssim_loss(x, y, data_range=1.0, channel_axis=None)
        >>> jax.grad(loss)(x**2).shape
        (16, 16)
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    checked = prepare(x, y, data_range, mask, convention, layout, k1, k2)
    return reduce_batch(_values(checked, convention, layout), reduction)


def _values(checked: CheckedInputs, convention: Convention, layout: Layout) -> jax.Array:
    return over_mesh(mean_one_minus_ssim, checked, (convention, layout), padding_of_mean(convention))


@jit_with_own_jvp
def mean_ssim(
    checked: CheckedInputs, convention: Convention, layout: Layout, shards: Shards | None = None
) -> jax.Array:
    """Returns the mean of SSIM over windows and channels, (*batch,), from one call of a compiled program."""
    return 1 - mean_one_minus_ssim(checked, convention, layout, shards)


@jit_with_own_jvp
def mean_one_minus_ssim(
    checked: CheckedInputs, convention: Convention, layout: Layout, shards: Shards | None = None
) -> jax.Array:
    """Returns the mean of 1 - SSIM over windows and channels: (*batch,)."""
    if shards is not None:
        return mean_of_channels(mean_of_shards(formulas.one_minus_ssim, convention, checked, layout, shards))
    pair = downsample_pair(checked.image_pair(layout), convention.downsample, layout.spatial_ndim)
    return mean_of_channels(mean_of_formula(formulas.one_minus_ssim, convention, pair, layout.spatial_ndim))


def mean_of_channels(means: jax.Array) -> jax.Array:
    """Returns the mean of 1 - SSIM over channels, at least 0: (*batch,)."""
    mean = channel_mean(means)
    return jnp.where(mean < 0, 0, mean)  # rounding may give less than 0; `maximum` would halve gradients at 0
