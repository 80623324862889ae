"""IW-SSIM: similarities of a Laplacian pyramid, weighted by the information that a viewer gains (Wang & Li 2011).

A viewer sees a band of the original, c, and of the distorted image, d = g c + noise of variance v, through a channel of
noise variance s. Of a neighbourhood with covariance C = Q diag(λ) Qᵀ and energy e = cᵀ C⁻¹ c / N, the viewer gains

    Σ log2(1 + ((v + (1 + g²) s) e λ + s v) / s²) bits,

which is the weight of contrast · structure there.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxssim import conventions
from jaxssim._core import formulas, images
from jaxssim._core.filtering import weighted_sum
from jaxssim._core.images import CentredImage
from jaxssim._core.jvp import jit_with_own_jvp
from jaxssim._core.numerics import weighted_mean
from jaxssim._core.statistics import WindowStatistics, statistics_of_sum_difference
from jaxssim._core.symmetric import eigh, whitening
from jaxssim._inputs import Reduction, check_colours, check_data_range, check_images, reduce_batch
from jaxssim._layout import (
    LAST,
    CheckedInputs,
    Layout,
    canonical_data_range,
    canonical_image,
    split_shape,
    statistics_dtype,
)
from jaxssim._ms_ssim import MS_SSIM_WEIGHTS, check_weights, one_minus_weighted_product

CONVENTION = conventions.WANG2004
WINDOW = CONVENTION.window.taps(2)
NOISE = 0.4  # the variance of the channel's noise, of 8-bit values (Sheikh & Bovik 2006)
BINOMIAL = tuple(float(tap) for tap in np.sqrt(2) * np.asarray([1, 4, 6, 4, 1]) / 16)
"""The filter of the pyramid, which doubles the mean from level to level as in matlabPyrTools."""
LUMA = (0.299, 0.587, 0.114)


def iw_ssim(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    weights: Sequence[float] = MS_SSIM_WEIGHTS,
    crop_border: int = 0,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns the information content weighted structural similarity of each pair of images (Wang & Li 2011).

    It is MS-SSIM over a Laplacian pyramid, in which windows count by the information that a viewer gains there: edges
    and distortions count, flat regions do not. Of colour images it compares the luma, 0.299 R + 0.587 G + 0.114 B, as
    piq does; the paper defines grey images alone. Swapping the images changes it. In float64 values equal those of the
    authors' code. In float32 they are within 1e-4 of float64, or within 0.02 where the original is flat in parts or the
    covariance of its neighbourhoods is singular.

    A mean of contrast · structure of at most 0 has no real power; the value is then 0, and its derivative 0. Where the
    covariance of neighbourhoods is singular, as for flat images, the authors' code divides by 0; here a share of the
    last digit is added to the covariance, so that values and derivatives are finite. Where an image spans more than 100
    data ranges, the information is that of the images scaled down to 100.

    Args:
        x: Original images (*batch, height, width, 3 or 1): uint8, uint16, float16, bfloat16, float32 or float64.
        y: Distorted images of the shape of `x`; of its type too, unless both are floating.
        data_range: Largest minus smallest allowed value, broadcast to (*batch,). Floating images need one.
        weights: One positive exponent for each scale, finest scale first; they are divided by their sum.
        crop_border: Pixels to leave out along each side.
        channel_axis: Axis of the channels, counted from the end, or None for grey images. By default the last axis.

    Returns:
        (*batch,), within [0, 1]; 1 for identical images.

    Raises:
        ValueError: If shapes or types differ, images do not have 3 channels or 1, a side has 10 · 2^(scales - 1) pixels
            or fewer, `data_range` is missing or not positive, or another argument is out of its range.

    Example:
        >>> x = jax.random.uniform(jax.random.key(0), (64, 64))
        >>> print(f"{jaxssim.iw_ssim(x, x**2, data_range=1.0, weights=(0.5, 0.5), channel_axis=None):.2f}")
        0.93
    """
    layout = Layout(2, channel_axis, crop_border)
    return 1 - one_minus_iw_ssim(*_prepare(x, y, data_range, weights, layout))


def iw_ssim_loss(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    weights: Sequence[float] = MS_SSIM_WEIGHTS,
    reduction: Reduction = "mean",
    crop_border: int = 0,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns the mean over the batch of 1 - IW-SSIM, a loss to minimise. Everything else is as in `iw_ssim`.

    Args:
        x: Original images (*batch, height, width, 3 or 1): uint8, uint16, float16, bfloat16, float32 or float64.
        y: Distorted images of the shape of `x`; of its type too, unless both are floating.
        data_range: Largest minus smallest allowed value, broadcast to (*batch,). Floating images need one.
        weights: One positive exponent for each scale, finest scale first; they are divided by their sum.
        reduction: "mean" for the mean over the batch, "none" for one value per image.
        crop_border: Pixels to leave out along each side.
        channel_axis: Axis of the channels, counted from the end, or None for grey images. By default the last axis.

    Returns:
        A scalar, or (*batch,), within [0, 1]; 0 for identical images.

    Raises:
        ValueError: If shapes or types differ, images do not have 3 channels or 1, a side has 10 · 2^(scales - 1) pixels
            or fewer, `data_range` is missing or not positive, or another argument is out of its range.

    Example:
        >>> x = jax.random.uniform(jax.random.key(0), (64, 64))
        >>> print(f"{jaxssim.iw_ssim_loss(x, x**2, data_range=1.0, weights=(0.5, 0.5), channel_axis=None):.2f}")
        0.07
    """
    layout = Layout(2, channel_axis, crop_border)
    return reduce_batch(one_minus_iw_ssim(*_prepare(x, y, data_range, weights, layout)), reduction)


def _prepare(
    x: Any, y: Any, data_range: Any, weights: Any, layout: Layout
) -> tuple[CheckedInputs, tuple[float, ...], Layout]:
    weights = check_weights(weights)
    x, y = check_images(x, y, layout)
    check_colours(x.shape, layout)
    batch, spatial = split_shape(x.shape, layout)
    fitting = [n for n in range(1, len(weights) + 1) if min(spatial) > (len(WINDOW[0]) - 1) * 2 ** (n - 1)]
    if len(weights) not in fitting:
        raise ValueError(
            f"x and y have spatial shape {spatial}, but {len(weights)} scales need more than "
            f"{(len(WINDOW[0]) - 1) * 2 ** (len(weights) - 1)} pixels a side; pass larger images"
            + (f", or weights=jaxssim.MS_SSIM_WEIGHTS[:{max(fitting)}]" if fitting else "")
        )
    return CheckedInputs(x, y, check_data_range(data_range, x, y, batch), None), weights, layout


@jit_with_own_jvp
def one_minus_iw_ssim(checked: CheckedInputs, weights: tuple[float, ...], layout: Layout) -> jax.Array:
    """Returns 1 - IW-SSIM of each pair of images: (*batch,)."""
    dtype = statistics_dtype(checked.x, checked.y)
    x, y = (canonical_image(image, layout).astype(dtype) for image in (checked.x, checked.y))
    unit = canonical_data_range(checked.data_range, x, layout)
    # The pyramid of the difference keeps the digits that a difference of pyramids loses. Constants that keep the digits
    # of images far from 0 leave all bands but the last one.
    v = x - y
    constant_x, constant_v = images.offsets((x, v), None, 2)
    x, v = _luma((x - constant_x) / unit), _luma((v - constant_v) / unit)
    bands_x, bands_v = _pyramid(x, len(weights)), _pyramid(v, len(weights))
    constants = tuple(2 ** (len(weights) - 1) * _luma(constant / unit) for constant in (constant_x, constant_v))
    unit = 255 / _excess(x, x - v)
    ds = []
    for level, (band, v) in enumerate(zip(bands_x, bands_v, strict=True)):
        if level == len(weights) - 1:
            d = formulas.one_minus_ssim(_statistics(band, v, *constants), CONVENTION, WINDOW)
            share = jnp.ones_like(d)
        else:
            d = formulas.one_minus_contrast_structure(_statistics(band, v), CONVENTION, WINDOW)
            parent = bands_x[level + 1] if level < len(weights) - 2 else None
            margin = len(WINDOW[0]) // 2 - 1
            # Where no window holds information, all count alike.
            share = (
                1e-9
                + _information(unit * band, unit * (band - v), None if parent is None else unit * parent)[
                    ..., margin:-margin, margin:-margin
                ]
            )
        ds.append(weighted_mean(d, share, (-2, -1)))
    total = sum(weights)
    return one_minus_weighted_product(ds, [weight / total for weight in weights])


def _luma(image: jax.Array) -> jax.Array:
    """Returns (*batch, height, width) of images with 3 channels or 1."""
    if image.shape[-1] == 1:
        return image[..., 0]
    return sum((weight * image[..., i] for i, weight in enumerate(LUMA[1:], 1)), LUMA[0] * image[..., 0])


def _excess(x: jax.Array, y: jax.Array) -> jax.Array:
    """Returns how many times farther than 100 data ranges an image is from its constant, at least 1: (*batch, 1, 1).

    Divided by it, values have powers that float32 can hold.
    """
    largest = jnp.maximum(abs(x), abs(y)).max((-2, -1), keepdims=True)
    return lax.stop_gradient(jnp.maximum(largest / 100, 1))


def _statistics(
    band: jax.Array, v: jax.Array, constant: ArrayLike = 0.0, constant_v: ArrayLike = 0.0
) -> WindowStatistics:
    """Returns the statistics of a band of the original, whose difference from that of the distorted image is `v`.

    Each is given less a constant.
    """
    shape = (*band.shape[:-2], 1, 1)
    of_u, of_v = (
        jnp.broadcast_to(each, shape)[..., None].astype(band.dtype) for each in (2 * constant - constant_v, constant_v)
    )
    u = CentredImage((2 * band - v)[..., None], of_u)
    return statistics_of_sum_difference(u, CentredImage(v[..., None], of_v), WINDOW, None)


def _pyramid(image: jax.Array, levels: int) -> list[jax.Array]:
    """Returns the bands of a Laplacian pyramid, finest first, and the rest that remains (Burt & Adelson 1983)."""
    bands = []
    for _ in range(levels - 1):
        low = _blur(image)[..., ::2, ::2]
        spread = jnp.zeros_like(image).at[..., ::2, ::2].set(low)
        bands.append(image - _blur(spread))
        image = low
    return [*bands, image]


def _blur(image: jax.Array) -> jax.Array:
    """Returns the weighted sum around every pixel, the image mirrored at its edges."""
    widths = [(0, 0)] * (image.ndim - 2) + [(2, 2)] * 2
    return weighted_sum(jnp.pad(image, widths, mode="reflect"), (BINOMIAL,) * 2)


def _information(x: jax.Array, y: jax.Array, parent: jax.Array | None) -> jax.Array:
    """Returns the information that a viewer gains at each pixel but those of the border: equation 28.

    Bands are in 8-bit units.
    """
    gain, error = _gain_and_error(x, y)
    height, width = x.shape[-2:]
    vectors = [x[..., i : height - 2 + i, j : width - 2 + j] for i in range(3) for j in range(3)]
    if parent is not None:
        vectors.append(_enlarge(parent, (height, width))[..., 1:-1, 1:-1])
    energy, eigenvalues = _energy(jnp.stack(vectors, -3))
    signal = (error + (1 + gain**2) * NOISE) * energy
    shares = (signal[..., None, :, :] * eigenvalues[..., None, None] + NOISE * error[..., None, :, :]) / NOISE**2
    return jnp.log1p(shares).sum(-3)


def _gain_and_error(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns g and v of y = g x + noise of variance v over windows of 3x3 pixels."""
    taps = ((1 / 3,) * 3,) * 2
    mean_x, mean_y = weighted_sum(x, taps), weighted_sum(y, taps)
    var_x = weighted_sum(x**2, taps) - mean_x**2
    var_y = weighted_sum(y**2, taps) - mean_y**2
    covariance = weighted_sum(x * y, taps) - mean_x * mean_y
    # The authors' code has 1e-15 here, which rounding exceeds in float32.
    tiny = 1e-15 if x.dtype == np.float64 else 1e-8
    flat = (var_x < tiny) | (var_y < tiny)
    gain = jnp.where(flat, 0, formulas.quotient(covariance, jnp.where(flat, 1, var_x) + tiny))
    error = jnp.where(var_y < tiny, 0, var_y - gain * covariance)
    return gain, jnp.where(error < 0, 0, error)


def _energy(vectors: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns cᵀ C⁻¹ c / N of vectors c, (*batch, N, rows, columns), and the eigenvalues of their covariance C."""
    n = vectors.shape[-3]
    flat = vectors.reshape(*vectors.shape[:-2], -1)
    covariance = jnp.einsum("...ip,...jp->...ij", flat, flat, precision="highest") / flat.shape[-1]
    # Makes the covariance regular, and its eigenvalues distinct, as their derivatives need. Rounding may have made a
    # singular one so indefinite that it needs more.
    fixed = lax.stop_gradient(covariance)
    scale = jnp.finfo(flat.dtype).eps * (1 + jnp.trace(fixed, axis1=-2, axis2=-1))[..., None, None]
    ramp = np.broadcast_to(np.diag(1 + np.arange(n) / n).astype(flat.dtype), covariance.shape)
    indefinite = jnp.isnan(whitening(fixed + scale * ramp)).any((-2, -1), keepdims=True)
    covariance = covariance + jnp.where(indefinite, 100 * scale, scale) * ramp
    whitened = jnp.einsum("...ij,...jp->...ip", whitening(covariance), flat, precision="highest")
    energy = (whitened**2).mean(-2).reshape(*vectors.shape[:-3], *vectors.shape[-2:])
    eigenvalues, _ = eigh(covariance)
    return energy, jnp.where(eigenvalues < 0, 0, eigenvalues)


def _enlarge(image: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """Returns a band at the size of the band below it, by a linear map along each axis."""
    rows, columns = (_enlarging(n, m).astype(image.dtype) for n, m in zip(image.shape[-2:], shape, strict=True))
    return jnp.einsum("im,...mn,jn->...ij", rows, image, columns, precision="highest")


def _enlarging(n: int, m: int) -> np.ndarray:
    """Returns the matrix (m, n) that makes m pixels of n, as the authors' code does.

    It interpolates 4n - 3 pixels linearly, continues both ends by one pixel, and takes every other pixel.
    """
    position = np.clip((np.arange(4 * n - 3) + 0.5) * n / (4 * n - 3) - 0.5, 0, n - 1)
    fine = np.maximum(1 - abs(position[:, None] - np.arange(n)), 0)
    fine = np.concatenate([2 * fine[:1] - fine[1:2], fine, 2 * fine[-1:] - fine[-2:-1]])
    return fine[::2][:m]
