"""Residual maps: where a picture differs from its reconstruction, and the threshold that marks defects."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import jaxssim
from examples.blending import blend_tiles
from examples.defect_segmentation.config import Loss
from examples.defect_segmentation.model import WINDOW, Autoencoder

# The SSIM of the 11x11 window around each pixel. Reflection at the border makes the map as large as the picture.
SSIM = jaxssim.Convention(padding="reflect", average="all")
BATCH_SIZE = 8  # windows that pass through the network at once


class Inspection(NamedTuple):
    """The result of passing a picture through an autoencoder; both arrays are (height, width) of float32."""

    reconstruction: np.ndarray  # in [0, 1]
    residual: np.ndarray  # at least 0; large where the reconstruction differs from the picture


def training_loss(x: jax.Array, y: jax.Array, loss: Loss) -> jax.Array:
    """Computes the mean of `residual_map`."""
    return jaxssim.mse(x, y).mean() if loss == "l2" else jaxssim.ssim_loss(x, y, data_range=1.0, convention=SSIM)


def residual_map(x: jax.Array, y: jax.Array, loss: Loss) -> jax.Array:
    """Computes the squared difference or 1 - SSIM at each pixel of images (..., height, width, 1) in [0, 1]."""
    return (x - y) ** 2 if loss == "l2" else 1 - jaxssim.ssim_map(x, y, data_range=1.0, convention=SSIM)


@partial(nnx.jit, static_argnames="loss")
def inspect_windows(model: Autoencoder, windows: jax.Array, loss: Loss) -> tuple[jax.Array, jax.Array]:
    """Returns the reconstructions, clipped to [0, 1], and residual maps of windows (batch, 128, 128, 1) of uint8."""
    x = windows.astype(jnp.float32) / 255
    y = jnp.clip(model(x), 0, 1)
    return y, residual_map(x, y, loss)


def inspect(model: Autoencoder, picture: np.ndarray, loss: Loss, stride: int) -> Inspection:
    """Passes a picture (height, width) of uint8 through the network.

    The network sees overlapping windows, `stride` pixels apart. Each pixel gets the mean over the windows that contain
    the pixel. Raises ValueError if the picture is smaller than a window.
    """
    if min(picture.shape) < WINDOW:
        raise ValueError(f"picture must be at least as large as the {WINDOW}x{WINDOW} window, got {picture.shape}")
    height, width = picture.shape
    corners = [(top, left) for top in window_starts(height, stride) for left in window_starts(width, stride)]

    def network(windows: np.ndarray) -> np.ndarray:
        return np.concatenate(inspect_windows(model, windows, loss), axis=-1)

    weights = np.ones((WINDOW, WINDOW), np.float32)
    blended = blend_tiles(network, picture[..., None], corners, weights, channels=2, batch_size=BATCH_SIZE)
    return Inspection(blended[..., 0], blended[..., 1])


def window_starts(side: int, stride: int) -> list[int]:
    """Returns the first pixel of each window along a side; the last window ends with the side."""
    return [*range(0, side - WINDOW, stride), side - WINDOW]


def choose_threshold(residuals: Sequence[np.ndarray], false_positives: float) -> float:
    """Returns the residual that the fraction `false_positives` of all pixels of good pictures exceeds."""
    return float(np.quantile(np.concatenate([residual.ravel() for residual in residuals]), 1 - false_positives))
