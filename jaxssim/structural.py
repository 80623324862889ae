"""SSIM: luminance, contrast and structure compared over a sliding window (Wang, Bovik, Sheikh & Simoncelli 2004)."""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxssim import arguments, averaging, conventions, fields, formulas, inputs, resampling, statistics
from jaxssim.arguments import Pair
from jaxssim.conventions import Convention
from jaxssim.derivatives import compiled
from jaxssim.fields import Source
from jaxssim.formulas import Formula
from jaxssim.inputs import Layout
from jaxssim.statistics import Local
from jaxssim.summation import channel_mean


def ssim(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    convention: Convention = conventions.WANG2004,
    mask: ArrayLike | None = None,
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = inputs.LAST,
) -> jax.Array:
    """Structural similarity of each pair of images, the mean over all windows and channels.

    A pair of a batch gets the value that it would get alone. In float32 the value lies within 2e-7 of what float64
    gives. Values up to 1e15 times the data range give finite derivatives, also where images are identical or flat.

    Args:
        x: (*batch, *spatial, channels), of uint8, uint16, float16, bfloat16, float32 or float64. Statistics are
            float32, or float64 where an image is.
        y: of the same shape; two float types promote, anything else must be of `x`'s type.
        data_range: the largest minus the smallest value allowed, positive; broadcasts to (*batch,). None takes it from
            uint8 (255) and uint16 (65535), and is an error for floats. May be traced: a value that is then not positive
            gives NaN.
        convention: which SSIM is meant; see `jaxssim.conventions`.
        mask: which pixels count: bool, or weights of at least 0 whose scale does not matter, of shape (*spatial),
            (*batch, *spatial) or `x`'s. Statistics are those of the pixels inside; a window counts by the mask at its
            centre. Pixels outside influence nothing, NaN included. A mask that holds no window's centre counts as
            empty, which gives 1 and no gradient. It is a constant to derivatives, and an error under sample covariance.
        crop_border: pixels left out along each side, as papers on super-resolution do.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: None where there are no channels, or the axis that holds them, counted from the end. By default it
            is the last, and an error where that is longer than 4: pass it to say that these are channels.

    Returns:
        (*batch,), within [-1, 1]: 1 for identical images.

    Raises:
        ValueError: for shapes that differ or are smaller than the window, types that are not listed or do not go
            together, a data range that is missing or not positive, and any argument out of its range.
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    pair = arguments.check(x, y, data_range, mask, convention, layout)
    return 1 - dissimilarity(pair, convention, layout)


def dssim(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    convention: Convention = conventions.WANG2004,
    mask: ArrayLike | None = None,
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = inputs.LAST,
) -> jax.Array:
    """Structural dissimilarity (1 - ssim) / 2 of each pair of images, precise however close to 0.

    Arguments and errors are those of `ssim`.

    Returns:
        (*batch,), within [0, 1]: 0 for identical images; in float32 within 1e-5 of itself.
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    pair = arguments.check(x, y, data_range, mask, convention, layout)
    return dissimilarity(pair, convention, layout) / 2


def ssim_map(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    convention: Convention = conventions.WANG2004,
    mask: ArrayLike | None = None,
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = inputs.LAST,
) -> jax.Array:
    """SSIM at every window, one value a channel: where two images differ.

    Arguments and errors are those of `ssim`.

    Returns:
        (*batch, *spatial_out, channels), the channels last wherever they came, or (*batch, *spatial_out) where
        `channel_axis` is None; within [-1, 1]. `spatial_out` is that of the image, as the convention shrinks it where
        it does, and `window.size - 1` less along each axis where the padding is "valid". 1 where a window holds no
        pixel of the mask.
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    pair = arguments.check(x, y, data_range, mask, convention, layout)
    return _similarity_map(pair, convention, layout)


@compiled
def dissimilarity(pair: Pair, convention: Convention, layout: Layout) -> jax.Array:
    """The mean of 1 - SSIM over windows and channels: averaging SSIM itself would lose six digits near 1."""
    source = shrunk(pair, convention, layout)
    mean = channel_mean(average(formulas.dissimilarity, source, convention, layout))
    return jnp.where(mean < 0, 0, mean)  # as it may be by what underflows; `maximum` would halve gradients at 0


@functools.partial(jax.jit, static_argnums=(1, 2))
def _similarity_map(pair: Pair, convention: Convention, layout: Layout) -> jax.Array:
    source = padded(shrunk(pair, convention, layout), convention, layout)
    taps = convention.window.taps(layout.spatial_ndim)
    local = statistics.of(source, taps)
    return as_map(formulas.dissimilarity(local, convention, taps), local, source.images[0].shape[-1], layout)


def shrunk(pair: Pair, convention: Convention, layout: Layout) -> Source:
    """The images, shrunk as the convention has it."""
    source = fields.images(pair, layout)
    _, spatial = inputs.split(pair.x.shape, layout)
    if resampling.downsampled(spatial, convention.downsample) == spatial:
        return source
    return fields.mapped(resampling.downsample, source, convention.downsample, layout.spatial_ndim)


def average(formula: Formula, source: Source, convention: Convention, layout: Layout) -> jax.Array:
    """The mean of `formula` over the windows that count for the value, one a channel: (*batch, channels)."""
    taps = convention.window.taps(layout.spatial_ndim)
    if convention.average == "all":
        source = padded(source, convention, layout)

    def values(part: Source) -> jax.Array:
        return formula(statistics.of(part, taps), convention, taps)

    return averaging.mean(values, taps, source)


def padded(source: Source, convention: Convention, layout: Layout) -> Source:
    """The images continued beyond the edge as the convention has it, for a window at every pixel."""
    if convention.padding == "valid":
        return source
    return fields.mapped(
        resampling.pad, source, statistics.radii(convention.window.taps(layout.spatial_ndim)), convention.padding
    )


def as_map(shortfall: jax.Array, local: Local, channels: int, layout: Layout) -> jax.Array:
    """1 - `shortfall` as an image, 1 where a mask leaves nothing of a window."""
    if local.weight is not None:
        shortfall = jnp.where(local.weight == 0, 0, shortfall)
    similarity = fields.unfold(1 - shortfall, channels)
    return similarity[..., 0] if layout.channel_axis is None else similarity
