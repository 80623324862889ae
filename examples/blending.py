"""Applying a network of fixed input size to larger images: overlapping tiles, averaged."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt


def blend_tiles(
    network: Callable[[np.ndarray], npt.ArrayLike],
    image: np.ndarray,
    corners: Sequence[tuple[int, int]],
    weights: np.ndarray,
    channels: int,
    batch_size: int,
) -> np.ndarray:
    """Applies a network to overlapping tiles of an image and returns the weighted mean of the outputs at each pixel.

    Args:
      network: takes tiles (batch_size, size, size, image channels) of the image's dtype and returns an array
        (batch_size, size, size, channels). The last batch is filled up with tiles whose outputs are ignored, so that
        the network is compiled once.
      image: (height, width, image channels).
      corners: the (top, left) pixel of each tile; together the tiles must cover the image.
      weights: (size, size), positive: the weight of each pixel of a tile in the mean.
      channels: the number of the network's output channels.
      batch_size: the number of tiles that pass through the network at once.

    Returns:
      The blended outputs, float32 (height, width, channels).
    """
    size = len(weights)
    total = np.zeros((*image.shape[:2], channels), np.float32)
    total_weight = np.zeros((*image.shape[:2], 1), np.float32)
    tiles = np.zeros((batch_size, size, size, image.shape[2]), image.dtype)
    for start in range(0, len(corners), batch_size):
        slices = [np.s_[top : top + size, left : left + size] for top, left in corners[start : start + batch_size]]
        for i, where in enumerate(slices):
            tiles[i] = image[where]
        for where, output in zip(slices, np.asarray(network(tiles)), strict=False):
            total[where] += weights[..., None] * output
            total_weight[where] += weights[..., None]
    return total / total_weight
