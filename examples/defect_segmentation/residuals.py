"""Residual maps: how far a reconstruction lies from the picture at each pixel, by L2, SSIM, MS-SSIM or CW-SSIM."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

import jaxssim
from examples.defect_segmentation.config import Loss, Residual

# The SSIM of the 11x11 window around each pixel. Reflection at the border makes the map as large as the picture.
SSIM = jaxssim.Convention(padding="reflect", average="all")
SCALES = 4  # of MS-SSIM; the coarsest has 16x16 pixels, the next would be smaller than the 11x11 window
SMALLEST = 0.01  # of a factor of MS-SSIM: with 0, one negative correlation would hide all other scales
LEVELS = 3  # of CW-SSIM; the coarsest has 32x32 coefficients, which respond to waves of 8 to 16 pixels
CW_WINDOW = (7, 7)  # coefficients, as in `jaxssim.cw_ssim`
CW_K = 0.01  # keeps windows of little energy similar


def training_loss(x: jax.Array, y: jax.Array, loss: Loss) -> jax.Array:
    """Computes the mean of the residual map of the loss's name."""
    return jaxssim.mse(x, y).mean() if loss == "l2" else jaxssim.ssim_loss(x, y, data_range=1.0, convention=SSIM)


def residual_map(x: jax.Array, y: jax.Array, residual: Residual) -> jax.Array:
    """Computes a residual map (batch, height, width, 1) of pictures of that shape in [0, 1]: 0 where they are equal."""
    return MAPS[residual](x, y)


def squared_difference(x: jax.Array, y: jax.Array) -> jax.Array:
    """Computes the squared difference at each pixel."""
    return (x - y) ** 2


def one_minus_ssim(x: jax.Array, y: jax.Array) -> jax.Array:
    """Computes 1 - SSIM at each pixel."""
    return 1 - jaxssim.ssim_map(x, y, data_range=1.0, convention=SSIM)


def one_minus_ms_ssim(x: jax.Array, y: jax.Array) -> jax.Array:
    """Computes 1 - the product of the enlarged maps of all scales, each to the power of its weight in MS-SSIM.

    The map of a scale is contrast times structure; that of the coarsest scale is SSIM.
    """
    shape, product = x.shape, jnp.ones_like(x)
    for scale, weight in enumerate(jaxssim.MS_SSIM_WEIGHTS[:SCALES], 1):
        parts = jaxssim.ssim_components(x, y, data_range=1.0, convention=SSIM)
        similarity = parts.contrast * parts.structure * (parts.luminance if scale == SCALES else 1)
        product *= jnp.maximum(jax.image.resize(similarity, shape, "linear"), SMALLEST) ** weight
        x, y = (nnx.avg_pool(image, (2, 2), (2, 2)) for image in (x, y))
    return 1 - product


def one_minus_cw_ssim(x: jax.Array, y: jax.Array) -> jax.Array:
    """Computes 1 - the enlarged map of CW-SSIM in each window of coefficients, the mean over all orientations."""
    a, b = (wavelet_coefficients(image) for image in (x, y))
    product, energy = a * b.conj(), jnp.abs(a) ** 2 + jnp.abs(b) ** 2
    real, imaginary, energy = (mean_of_windows(part) for part in (product.real, product.imag, energy))
    similarity = (2 * jnp.hypot(real, imaginary) + CW_K) / (energy + CW_K)
    return 1 - jax.image.resize(similarity.mean(-1, keepdims=True), x.shape, "linear")


def wavelet_coefficients(image: jax.Array) -> jax.Array:
    """Returns the coarsest level of the steerable pyramid, (batch, height, width, orientations) of complex64."""
    return jnp.moveaxis(jaxssim.steerable_pyramid(image, levels=LEVELS).bands[-1][..., 0], 1, -1)


def mean_of_windows(values: jax.Array) -> jax.Array:
    """Returns the mean of the window around each coefficient; windows at the border hold fewer."""
    return nnx.avg_pool(values, CW_WINDOW, padding="SAME", count_include_pad=False)


MAPS: dict[Residual, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "l2": squared_difference,
    "ssim": one_minus_ssim,
    "ms-ssim": one_minus_ms_ssim,
    "cw-ssim": one_minus_cw_ssim,
}
