"""SSIM: luminance, contrast and structure compared over a sliding window (Wang, Bovik, Sheikh & Simoncelli 2004)."""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxssim import conventions, inputs, statistics
from jaxssim.conventions import Convention


def ssim(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    convention: Convention = conventions.WANG2004,
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
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: None where there are no channels, or the axis that holds them, counted from the end. By default it
            is the last, and an error where that is longer than 4: pass it to say that these are channels.

    Returns:
        (*batch,), within [-1, 1]: 1 for identical images.

    Raises:
        ValueError: for shapes that differ or are smaller than the window, types that are not listed or do not go
            together, a data range that is missing or not positive, and any argument out of its range.
    """
    pair = inputs.check(x, y, data_range, convention, spatial_ndim, channel_axis)
    return 1 - _dissimilarity(*pair, convention=convention, spatial_ndim=spatial_ndim, channel_axis=channel_axis)


def dssim(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    convention: Convention = conventions.WANG2004,
    spatial_ndim: int = 2,
    channel_axis: int | None = inputs.LAST,
) -> jax.Array:
    """Structural dissimilarity (1 - ssim) / 2 of each pair of images, precise however close to 0.

    Arguments and errors are those of `ssim`.

    Returns:
        (*batch,), within [0, 1]: 0 for identical images; in float32 within 1e-5 of itself.
    """
    pair = inputs.check(x, y, data_range, convention, spatial_ndim, channel_axis)
    return _dissimilarity(*pair, convention=convention, spatial_ndim=spatial_ndim, channel_axis=channel_axis) / 2


def ssim_map(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    convention: Convention = conventions.WANG2004,
    spatial_ndim: int = 2,
    channel_axis: int | None = inputs.LAST,
) -> jax.Array:
    """SSIM at every window, one value a channel: where two images differ.

    Arguments and errors are those of `ssim`.

    Returns:
        (*batch, *spatial_out, channels), the channels last wherever they came, or (*batch, *spatial_out) where
        `channel_axis` is None; within [-1, 1]. `spatial_out` is `spatial` under a convention with symmetric padding,
        else `window.size - 1` shorter along each axis.
    """
    pair = inputs.check(x, y, data_range, convention, spatial_ndim, channel_axis)
    return _similarity_map(*pair, convention=convention, spatial_ndim=spatial_ndim, channel_axis=channel_axis)


@functools.partial(jax.jit, static_argnames=("convention", "spatial_ndim", "channel_axis"))
def _dissimilarity(
    x: jax.Array,
    y: jax.Array,
    data_range: jax.Array,
    *,
    convention: Convention,
    spatial_ndim: int,
    channel_axis: int | None,
) -> jax.Array:
    """The mean of 1 - SSIM over windows and channels: averaging SSIM itself would lose six digits near 1."""
    x, y, data_range = inputs.canonical(x, y, data_range, spatial_ndim, channel_axis)
    taps = (convention.window.taps(),) * spatial_ndim
    return statistics.local_mean(_formula(convention, taps), x, y, data_range, taps)


@functools.partial(jax.jit, static_argnames=("convention", "spatial_ndim", "channel_axis"))
def _similarity_map(
    x: jax.Array,
    y: jax.Array,
    data_range: jax.Array,
    *,
    convention: Convention,
    spatial_ndim: int,
    channel_axis: int | None,
) -> jax.Array:
    x, y, data_range = inputs.canonical(x, y, data_range, spatial_ndim, channel_axis)
    taps = (convention.window.taps(),) * spatial_ndim
    if convention.padding == "symmetric":
        radius = convention.window.size // 2
        widths = [(0, 0)] * (x.ndim - spatial_ndim - 1) + [(radius, radius)] * spatial_ndim + [(0, 0)]
        x, y = (jnp.pad(image, widths, mode="symmetric") for image in (x, y))
    similarity = 1 - statistics.local_map(_formula(convention, taps), x, y, data_range, taps)
    return similarity[..., 0] if channel_axis is None else similarity


def _formula(convention: Convention, taps: statistics.Windows) -> statistics.Formula:
    """1 - SSIM of the statistics of one window.

    With u = x + y and v = x - y the two factors of SSIM fall short of 1 by

        contrast · structure: var v / (var x + var y + C2)      luminance: (mean v)² / (mean² x + mean² y + C1)
    """
    c1, c2 = convention.k1**2, convention.k2**2
    count = statistics.pixels(taps)
    bessel = count / (count - 1) if convention.covariance == "sample" else 1.0

    def dissimilarity(local: statistics.Local) -> jax.Array:
        var_u, var_v = bessel * local.var_u, bessel * local.var_v
        contrast_structure = _quotient(var_v, (var_u + var_v) / 2 + c2)
        luminance = _quotient(local.mean_v**2, (local.mean_u**2 + local.mean_v**2) / 2 + c1)
        # 1 - (1 - a)(1 - b), in the order of operations that cannot round to below 0 or above 2.
        return contrast_structure + luminance * (1 - contrast_structure)

    return dissimilarity


@jax.custom_jvp
def _quotient(n: jax.Array, d: jax.Array) -> jax.Array:
    """n / d, whose derivatives never square d: at 1e15 times the data range float32 could not hold that."""
    return n / d


@_quotient.defjvp
def _quotient_jvp(primals, tangents):  # type: ignore[no-untyped-def]
    (n, d), (dn, dd) = primals, tangents
    quotient = _quotient(n, d)
    return quotient, _quotient(dn - quotient * dd, d)
