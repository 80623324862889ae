"""The discrete cosine transform of blocks of pixels: the fixed first and last layer of the autoencoder."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft

OPPONENT_COLOURS = np.asarray([[1, 1, 1], [1, -1, 0], [1, 1, -2]]) / np.sqrt([[3], [2], [6]])  # orthonormal rows


def block_dct(images: jax.Array, block: int) -> jax.Array:
    """Computes the scaled DCT of each block of the images.

    Args:
      images: (*batch, height, width, 3), height and width multiples of `block`.
      block: the height and width of a block in pixels.

    Returns:
      The coefficients, (*batch, height / block, width / block, 3 * block^2), lowest frequency first.
    """
    basis, scale = dct_basis(block)
    return split_blocks(images, block) @ (basis * scale)


def inverse_block_dct(coefficients: jax.Array, block: int) -> jax.Array:
    """Computes the images that have the given `block_dct`; its shapes are those of `block_dct`, exchanged."""
    basis, scale = dct_basis(block)
    return join_blocks(coefficients @ (basis / scale).T, block)


def split_blocks(images: jax.Array, block: int) -> jax.Array:
    """Gathers the pixels of each block: (*batch, height, width, 3) to (*batch, rows, columns, 3 * block^2)."""
    *batch, height, width, channels = images.shape
    blocks = images.reshape(*batch, height // block, block, width // block, block, channels)
    return jnp.swapaxes(blocks, -4, -3).reshape(*batch, height // block, width // block, -1)


def join_blocks(blocks: jax.Array, block: int) -> jax.Array:
    """Puts the pixels of each block back in place; the inverse of `split_blocks`."""
    *batch, rows, columns, _ = blocks.shape
    pixels = blocks.reshape(*batch, rows, columns, block, block, 3)
    return jnp.swapaxes(pixels, -4, -3).reshape(*batch, rows * block, columns * block, 3)


def dct_basis(block: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns an orthonormal basis of a colour block, and the scales that give all coefficients a similar spread.

    The columns of the basis are products of the two-dimensional DCT-II with three colours: lightness, red minus green,
    and blue minus yellow. The amplitudes of photographs fall with frequency, and those of the two colour differences
    are smaller than those of lightness; the scales compensate for both.

    Returns:
      basis: float32 (3 * block^2, 3 * block^2); a row is a pixel's channel, a column is a coefficient.
      scale: float32 (3 * block^2,), ascending.
    """
    dct = scipy.fft.dct(np.eye(block), axis=0, norm="ortho")
    basis = np.einsum("ih,jw,kc->hwcijk", dct, dct, OPPONENT_COLOURS).reshape(3 * block**2, -1)
    frequency = np.hypot(*np.ogrid[:block, :block])
    scale = ((1 + frequency)[..., None] * np.asarray([1, 2, 2])).reshape(-1)
    order = np.argsort(scale, kind="stable")
    return basis[:, order].astype(np.float32), scale[order].astype(np.float32)
