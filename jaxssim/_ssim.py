"""SSIM: luminance, contrast and structure of two images compared window by window (Wang, Bovik, Sheikh & Simoncelli
2004). `jaxssim._core.formulas` has the formula; `one_minus_ssim` computes a value.
"""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxssim import conventions
from jaxssim._core import formulas
from jaxssim._core.averaging import mean_of_formula
from jaxssim._core.images import Pair, unfold
from jaxssim._core.jvp import jit_with_own_jvp
from jaxssim._core.numerics import channel_mean
from jaxssim._core.resampling import downsample_pair, pad_pair
from jaxssim._core.statistics import WindowStatistics, window_statistics
from jaxssim._inputs import LAST, CheckedInputs, Layout, prepare
from jaxssim.conventions import Convention


def ssim(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    convention: Convention = conventions.WANG2004,
    mask: ArrayLike | None = None,
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns the structural similarity of each pair of images: the mean of SSIM over windows, then over channels.

    Each pair of a batch gets the value that it would get alone. In float32 the value is within 2e-7 of that in float64.
    Derivatives of any order are finite for values up to 1e15 times the data range, also for identical or flat images.

    Statistics are float32, or float64 where an image is. uint8 and uint16 images have the data ranges 255 and 65535 by
    default. A traced data range that is not positive gives NaN.

    Under a mask, pixels count by their weight, whose scale does not matter, and windows by the weight of their central
    pixel. Pixels of weight 0 have no influence, even if they are NaN. If no window counts, the value is 1 and the
    gradient is 0. The mask is constant to derivatives.

    Args:
        x: Images (*batch, *spatial, channels): uint8, uint16, float16, bfloat16, float32 or float64.
        y: Images of the shape of `x`; of its type too, unless both are floating.
        data_range: Largest minus smallest allowed value, broadcast to (*batch,). Floating images need one.
        convention: The definition of SSIM, for instance `jaxssim.conventions.SKIMAGE`.
        mask: Weights of the pixels, bool or at least 0: (*spatial), (*batch, *spatial) or the shape of `x`.
        crop_border: Pixels to leave out along each side.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        (*batch,), within [-1, 1]; 1 for identical images.

    Raises:
        ValueError: If shapes or types differ, images are smaller than the window, `data_range` is missing or not
            positive, `mask` comes with a convention of sample covariance, or another argument is out of its range.

    Example:
        >>> x = jnp.linspace(0, 1, 256).reshape(16, 16)
        >>> print(f"{jaxssim.ssim(x, x**2, data_range=1.0, channel_axis=None):.4f}")
        0.7792
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    return 1 - one_minus_ssim(prepare(x, y, data_range, mask, convention, layout), convention, layout)


def dssim(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    convention: Convention = conventions.WANG2004,
    mask: ArrayLike | None = None,
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns the structural dissimilarity (1 - SSIM) / 2 of each pair of images, with full relative precision near 0.

    Everything else is as in `ssim`.

    Args:
        x: Images (*batch, *spatial, channels): uint8, uint16, float16, bfloat16, float32 or float64.
        y: Images of the shape of `x`; of its type too, unless both are floating.
        data_range: Largest minus smallest allowed value, broadcast to (*batch,). Floating images need one.
        convention: The definition of SSIM, for instance `jaxssim.conventions.SKIMAGE`.
        mask: Weights of the pixels, bool or at least 0: (*spatial), (*batch, *spatial) or the shape of `x`.
        crop_border: Pixels to leave out along each side.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        (*batch,), within [0, 1]; 0 for identical images. In float32 the relative error is at most 1e-5.

    Raises:
        ValueError: As `ssim`.

    Example:
        >>> x = jnp.linspace(0, 1, 256).reshape(16, 16)
        >>> print(f"{jaxssim.dssim(x, x + 1e-4, data_range=1.0, channel_axis=None):.1e}")
        1.2e-08
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    return one_minus_ssim(prepare(x, y, data_range, mask, convention, layout), convention, layout) / 2


def ssim_loss(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    convention: Convention = conventions.WANG2004,
    mask: ArrayLike | None = None,
    spatial_ndim: int = 2,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns the mean over the batch of 1 - SSIM, a loss to minimise (Zhao, Gallo, Frosio & Kautz 2017).

    It is the mean over all windows, where the paper takes one window per patch, and follows `ssim` in everything else.

    Args:
        x: Images (*batch, *spatial, channels): uint8, uint16, float16, bfloat16, float32 or float64.
        y: Images of the shape of `x`; of its type too, unless both are floating.
        data_range: Largest minus smallest allowed value, broadcast to (*batch,). Floating images need one.
        convention: The definition of SSIM, for instance `jaxssim.conventions.SKIMAGE`.
        mask: Weights of the pixels, bool or at least 0: (*spatial), (*batch, *spatial) or the shape of `x`.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        A scalar within [0, 2]; 0 for identical images. In float32 the relative error is at most 1e-5.

    Raises:
        ValueError: As `ssim`.

    Example:
        >>> x = jnp.linspace(0, 1, 256).reshape(16, 16)
        >>> loss = lambda y: jaxssim.ssim_loss(x, y, data_range=1.0, channel_axis=None)
        >>> jax.grad(loss)(x**2).shape
        (16, 16)
    """
    layout = Layout(spatial_ndim, channel_axis)
    return one_minus_ssim(prepare(x, y, data_range, mask, convention, layout), convention, layout).mean()


def ssim_map(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    convention: Convention = conventions.WANG2004,
    mask: ArrayLike | None = None,
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns SSIM at every window and channel: a map of where two images differ.

    Everything else is as in `ssim`.

    Args:
        x: Images (*batch, *spatial, channels): uint8, uint16, float16, bfloat16, float32 or float64.
        y: Images of the shape of `x`; of its type too, unless both are floating.
        data_range: Largest minus smallest allowed value, broadcast to (*batch,). Floating images need one.
        convention: The definition of SSIM, for instance `jaxssim.conventions.SKIMAGE`.
        mask: Weights of the pixels, bool or at least 0: (*spatial), (*batch, *spatial) or the shape of `x`.
        crop_border: Pixels to leave out along each side.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        (*batch, *spatial_out, channels), or (*batch, *spatial_out) if `channel_axis` is None; within [-1, 1], and 1
        where no pixel of a window counts. `spatial_out` is the spatial shape after the convention's
        downsampling, if any, and `window.size - 1` shorter along each axis if the convention's padding is "valid".

    Raises:
        ValueError: As `ssim`.

    Example:
        >>> x = jnp.linspace(0, 1, 256).reshape(16, 16)
        >>> jaxssim.ssim_map(x, x**2, data_range=1.0, channel_axis=None).shape
        (6, 6)
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    return _similarity_map(prepare(x, y, data_range, mask, convention, layout), convention, layout)


@jit_with_own_jvp
def one_minus_ssim(checked: CheckedInputs, convention: Convention, layout: Layout) -> jax.Array:
    """Returns the mean of 1 - SSIM over windows and channels: (*batch,)."""
    pair = downsample_pair(checked.image_pair(layout), convention.downsample, layout.spatial_ndim)
    mean = channel_mean(mean_of_formula(formulas.one_minus_ssim, convention, pair, layout.spatial_ndim))
    return jnp.where(mean < 0, 0, mean)  # rounding may give less than 0; `maximum` would halve gradients at 0


@functools.partial(jax.jit, static_argnums=(1, 2))
def _similarity_map(checked: CheckedInputs, convention: Convention, layout: Layout) -> jax.Array:
    taps = convention.window.taps(layout.spatial_ndim)
    pair = pair_of_map(checked, convention, layout)
    at_windows = window_statistics(pair, taps)
    d = formulas.one_minus_ssim(at_windows, convention, taps)
    return as_map(d, at_windows, pair.images[0].shape[-1], layout)


def pair_of_map(checked: CheckedInputs, convention: Convention, layout: Layout) -> Pair:
    """Returns the pair whose windows make up the map: shrunk and padded by the rules of the convention."""
    pair = downsample_pair(checked.image_pair(layout), convention.downsample, layout.spatial_ndim)
    return pad_pair(pair, convention.window.taps(layout.spatial_ndim), convention.padding)


def as_map(d: jax.Array, at_windows: WindowStatistics, channels: int, layout: Layout) -> jax.Array:
    """Returns the map 1 - d, 1 where no pixel of a window counts."""
    if at_windows.weight is not None:
        d = jnp.where(at_windows.weight == 0, 0, d)
    similarity = unfold(1 - d, channels)
    return similarity[..., 0] if layout.channel_axis is None else similarity
