"""Inspection of pictures of any size by a network of fixed input size, and the threshold that marks defects."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from examples.blending import blend_tiles
from examples.defect_segmentation.config import Residual
from examples.defect_segmentation.model import WINDOW, Autoencoder
from examples.defect_segmentation.residuals import residual_map

BATCH_SIZE = 8  # windows that pass through the network at once


class Inspection(NamedTuple):
    """The result of passing a picture through an autoencoder; every array is (height, width) of float32."""

    reconstruction: np.ndarray  # in [0, 1]
    residuals: dict[Residual, np.ndarray]  # 0 where the reconstruction equals the picture, large where they differ


@partial(nnx.jit, static_argnames="residuals")
def inspect_windows(model: Autoencoder, windows: jax.Array, residuals: tuple[Residual, ...]) -> jax.Array:
    """Returns the reconstructions, clipped to [0, 1], and residual maps of windows (batch, 128, 128, 1) of uint8."""
    x = windows.astype(jnp.float32) / 255
    y = jnp.clip(model(x), 0, 1)
    return jnp.concatenate([y, *(residual_map(x, y, residual) for residual in residuals)], axis=-1)


def inspect(model: Autoencoder, picture: np.ndarray, residuals: Sequence[Residual], stride: int) -> Inspection:
    """Passes a picture (height, width) of uint8 through the network.

    The network sees overlapping windows, `stride` pixels apart. Each pixel gets the mean over the windows that contain
    the pixel. Raises ValueError if the picture is smaller than a window.
    """
    if min(picture.shape) < WINDOW:
        raise ValueError(f"picture must be at least as large as the {WINDOW}x{WINDOW} window, got {picture.shape}")
    height, width = picture.shape
    corners = [(top, left) for top in window_starts(height, stride) for left in window_starts(width, stride)]
    network = partial(inspect_windows, model, residuals=tuple(residuals))
    weights = np.ones((WINDOW, WINDOW), np.float32)
    channels = 1 + len(residuals)
    blended = blend_tiles(network, picture[..., None], corners, weights, channels, batch_size=BATCH_SIZE)
    reconstruction, *maps = np.moveaxis(blended, -1, 0)
    return Inspection(reconstruction, dict(zip(residuals, maps, strict=True)))


def window_starts(side: int, stride: int) -> list[int]:
    """Returns the first pixel of each window along a side; the last window ends with the side."""
    return [*range(0, side - WINDOW, stride), side - WINDOW]


def choose_threshold(residuals: Sequence[np.ndarray], false_positives: float) -> float:
    """Returns the residual that the fraction `false_positives` of all pixels of good pictures exceeds."""
    return float(np.quantile(np.concatenate([residual.ravel() for residual in residuals]), 1 - false_positives))
