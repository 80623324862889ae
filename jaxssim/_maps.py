"""SSIM at every window, and its three factors: luminance, contrast and structure (Wang, Bovik, Sheikh & Simoncelli
2004).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxssim import conventions
from jaxssim._core import formulas, statistics
from jaxssim._core.images import CentredImage, Pair, unfold
from jaxssim._core.means import mean_of_values
from jaxssim._core.resampling import downsample, downsample_pair, pad, pad_pair
from jaxssim._core.statistics import WindowStatistics, window_statistics
from jaxssim._core.windows import centre_weights, inside_windows, strided, window_weights
from jaxssim._explicit import over_mesh
from jaxssim._inputs import prepare
from jaxssim._layout import LAST, CheckedInputs, Layout
from jaxssim._shards import Shards, pair_of_shards, with_halo
from jaxssim._ssim import mean_of_channels
from jaxssim.conventions import Convention


def ssim_map(
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
    """Returns SSIM at every window and channel, a map of where two images differ.

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
        (*batch, *spatial_out, channels), or (*batch, *spatial_out) if `channel_axis` is None; within [-1, 1], and 1
        where no pixel of a window counts. `spatial_out` is the spatial shape after the convention's
        downsampling, if any, and `window.size - 1` shorter along each axis if the convention's padding is "valid".
        An axis that devices share (`ssim`) keeps the length of the images, and is NaN after its last window.

    Raises:
        ValueError: If shapes or types differ, images are smaller than the window, `data_range` is missing or not
            positive, `mask` comes with sample covariance or a window of even size, or another argument is out of its
            range.

    Example:
        >>> x = jnp.linspace(0, 1, 256).reshape(16, 16)
        >>> jaxssim.ssim_map(x, x**2, data_range=1.0, channel_axis=None).shape
        (6, 6)
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    checked = prepare(x, y, data_range, mask, convention, layout, k1, k2)
    return over_mesh(similarity_map, checked, (convention, layout), convention.padding, is_map=True)


def ssim_and_map(
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
) -> tuple[jax.Array, jax.Array]:
    """Returns what `ssim` and `ssim_map` return, for the work of the map alone.

    Everything else is as in `ssim`.

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
        The value (*batch,), and the map (*batch, *spatial_out, channels) or (*batch, *spatial_out) as in `ssim_map`.

    Raises:
        ValueError: If shapes or types differ, images are smaller than the window, `data_range` is missing or not
            positive, `mask` comes with sample covariance or a window of even size, or another argument is out of its
            range.

    Example:
        >>> x = jnp.linspace(0, 1, 256).reshape(16, 16)
        >>> value, ssim_map = jaxssim.ssim_and_map(x, x**2, data_range=1.0, channel_axis=None)
        >>> value.shape, ssim_map.shape
        ((), (6, 6))
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    return _similarity_and_map(prepare(x, y, data_range, mask, convention, layout, k1, k2), convention, layout)


class Components(NamedTuple):
    """Maps of luminance, contrast and structure, each of the shape of `ssim_map`; their product is that map."""

    luminance: jax.Array
    contrast: jax.Array
    structure: jax.Array


def ssim_components(
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
) -> Components:
    """Returns luminance, contrast and structure at every window (Wang, Bovik, Sheikh & Simoncelli 2004), C3 = C2 / 2.

    Everything else is as in `ssim_map`. The derivative of a standard deviation is infinite at 0; here it is 0.

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
        `Components` of three maps of the shape of `ssim_map`, within [-1, 1]. Luminance is 1 where the windows' means
        agree, contrast is 1 where their standard deviations agree, and structure is the correlation of the two windows,
        stabilised by C3.

    Raises:
        ValueError: If shapes or types differ, images are smaller than the window, `data_range` is missing or not
            positive, `mask` comes with sample covariance or a window of even size, or another argument is out of its
            range.

    Example:
        >>> x = jnp.linspace(0, 1, 256).reshape(16, 16)
        >>> parts = jaxssim.ssim_components(x, 0.5 * x, data_range=1.0, channel_axis=None)
        >>> bool(jnp.all(parts.structure > parts.contrast))  # a weaker contrast, but the same structure
        True
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    return _components(prepare(x, y, data_range, mask, convention, layout, k1, k2), convention, layout)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def similarity_map(
    checked: CheckedInputs, convention: Convention, layout: Layout, shards: Shards | None = None
) -> jax.Array:
    """Returns SSIM at every window; NaN at windows of shards that reach beyond the pixels that count."""
    if shards is None:
        pair = _pair_of_map(checked.image_pair(layout), convention, layout)
    else:
        taps = convention.window.taps(layout.spatial_ndim)
        pair = with_halo(*pair_of_shards(checked, layout, shards), taps, convention.padding)
    d, at_windows = _one_minus_ssim_of_map(pair, convention, layout)
    similarity = _as_map(d, at_windows, pair.arrays[0].shape[-1], convention, layout)
    return similarity if not pair.counting else jnp.where(_counts(pair, convention, layout), similarity, jnp.nan)


def _counts(pair: Pair, convention: Convention, layout: Layout) -> jax.Array:
    """Returns whether each window lies inside the pixels that count, with axes of length 1 where all do."""
    weights = window_weights(pair._replace(weight=None), convention.window.taps(layout.spatial_ndim))
    counting = jnp.asarray(weights) > 0
    counting = unfold(counting, 1 if counting.shape[-1] == 1 else pair.arrays[0].shape[-1])
    return counting[..., 0] if layout.channel_axis is None else counting


@functools.partial(jax.jit, static_argnums=(1, 2))
def _similarity_and_map(checked: CheckedInputs, convention: Convention, layout: Layout) -> tuple[jax.Array, jax.Array]:
    pair = _pair_of_map(checked.image_pair(layout), convention, layout)
    d, at_windows = _one_minus_ssim_of_map(pair, convention, layout)
    taps, channels = convention.window.taps(layout.spatial_ndim), pair.arrays[0].shape[-1]
    averaged, weight = d, centre_weights(pair.weight, taps)
    if convention.average == "inside" and convention.padding != "valid":
        averaged = inside_windows(d, taps, channels)
        weight = None if weight is None else inside_windows(weight, taps, channels)
    averaged, weight = strided((averaged, weight), convention.stride, channels, layout.spatial_ndim)
    means = mean_of_values(averaged, weight, channels, layout.spatial_ndim)
    return 1 - mean_of_channels(means), _as_map(d, at_windows, channels, convention, layout)


def _one_minus_ssim_of_map(pair: Pair, convention: Convention, layout: Layout) -> tuple[jax.Array, WindowStatistics]:
    """Returns 1 - SSIM at every window of the map, folded, and the statistics of the windows."""
    taps = convention.window.taps(layout.spatial_ndim)
    at_windows = window_statistics(pair, taps)
    return formulas.one_minus_ssim(at_windows, convention, taps), at_windows


@functools.partial(jax.jit, static_argnums=(1, 2))
def _components(checked: CheckedInputs, convention: Convention, layout: Layout) -> Components:
    taps = convention.window.taps(layout.spatial_ndim)
    images = checked.image_pair(layout)
    pair = _pair_of_map(images, convention, layout)
    at_windows = window_statistics(pair, taps)
    channels, bessel = pair.arrays[0].shape[-1], formulas.bessel_correction(convention, taps)
    sigma_x, sigma_y = (
        _square_root(bessel * statistics.moments_of_image(_image_of_map(image, convention, layout), taps)[1])
        for image in images.each()
    )
    c2 = (at_windows.constants or convention).k2 ** 2
    squared_difference = (sigma_x - sigma_y) ** 2
    one_minus = Components(
        formulas.one_minus_luminance(at_windows, convention, taps),
        formulas.quotient(squared_difference, sigma_x**2 + sigma_y**2 + c2),
        formulas.quotient(
            jnp.maximum(bessel * at_windows.var_v - squared_difference, 0) / 2, sigma_x * sigma_y + c2 / 2
        ),
    )
    return jax.tree.map(lambda d: _as_map(jnp.minimum(d, 2), at_windows, channels, convention, layout), one_minus)


def _pair_of_map(pair: Pair, convention: Convention, layout: Layout) -> Pair:
    """Returns the pair whose windows make up the map: shrunk and padded by the rules of the convention."""
    pair = downsample_pair(pair, convention.downsample, layout.spatial_ndim)
    return pad_pair(pair, convention.window.taps(layout.spatial_ndim), convention.padding)


def _image_of_map(image: CentredImage, convention: Convention, layout: Layout) -> CentredImage:
    """Returns an image shrunk and padded as `_pair_of_map` does. A flat image stays flat to the last digit."""
    image = downsample(image, convention.downsample, layout.spatial_ndim)
    return pad(image, convention.window.taps(layout.spatial_ndim), convention.padding)


def _as_map(
    d: jax.Array, at_windows: WindowStatistics, channels: int, convention: Convention, layout: Layout
) -> jax.Array:
    """Returns the map 1 - d of every window of the convention, 1 where no pixel of a window counts."""
    if at_windows.weight is not None:
        d = jnp.where(at_windows.weight == 0, 0, d)
    similarity = unfold(1 - strided(d, convention.stride, channels, layout.spatial_ndim), channels)
    return similarity[..., 0] if layout.channel_axis is None else similarity


def _square_root(variance: jax.Array) -> jax.Array:
    """Returns the square root, with a derivative of 0 at 0 in place of an infinite one."""
    positive = variance > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1)), variance)
