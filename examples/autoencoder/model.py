"""A convolutional autoencoder that works on the DCT coefficients of blocks of pixels.

The pixels of a block are strongly correlated, so gradient descent on a strided convolution of them converges slowly.
Their DCT coefficients are nearly uncorrelated and, once scaled, of similar spread. The network therefore begins and
ends with a fixed block DCT. Its first guess is to keep the lowest frequencies; training improves on that.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from examples.autoencoder.block_dct import block_dct, inverse_block_dct
from examples.autoencoder.config import Config


class Autoencoder(nnx.Module):
    """Maps patches (batch, height, width, 3) in [0, 1] to (batch, height / block, width / block, bottleneck) and back.

    Height and width must be multiples of the block.
    """

    def __init__(self, config: Config, rngs: nnx.Rngs) -> None:
        """Builds the encoder and the decoder, with the sizes of `config` and random weights from `rngs`."""
        coefficients = 3 * config.block**2
        self.block = config.block
        self.encoder = Coder(coefficients, config.bottleneck, 1, config, rngs)
        self.decoder = Coder(config.bottleneck, coefficients, config.blocks, config, rngs)

    def encode(self, patches: jax.Array) -> jax.Array:
        """Computes the bottleneck's values."""
        return self.encoder(block_dct(patches - 0.5, self.block))

    def decode(self, code: jax.Array) -> jax.Array:
        """Reconstructs patches; they are not clipped to [0, 1], because a clipped pixel has no gradient."""
        return inverse_block_dct(self.decoder(code), self.block) + 0.5

    def __call__(self, patches: jax.Array) -> jax.Array:
        """Returns the reconstructions of patches, of the same shape."""
        return self.decode(self.encode(patches))


class Coder(nnx.Module):
    """A linear convolution, initialised to copy its channels, plus a nonlinear correction, initialised to zero."""

    def __init__(self, inputs: int, outputs: int, blocks: int, config: Config, rngs: nnx.Rngs) -> None:
        """Builds 3x3 convolutions from `inputs` to `outputs` channels, with residual blocks in the correction.

        The convolutions compute in `config.dtype`; parameters are float32. A `config.width` of 0 leaves out the
        correction.
        """
        conv = partial(nnx.Conv, kernel_size=(3, 3), dtype=jnp.dtype(config.dtype), rngs=rngs)
        self.linear = conv(inputs, outputs, kernel_init=copy_channels)
        self.correction = correction(inputs, outputs, config.width, blocks, conv) if config.width else None

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (batch, rows, columns, inputs) to float32 (batch, rows, columns, outputs)."""
        y = self.linear(x).astype(jnp.float32)
        return y if self.correction is None else y + self.correction(x)


def correction(inputs: int, outputs: int, width: int, blocks: int, conv: Callable[..., nnx.Conv]) -> nnx.Sequential:
    """Returns a convolution to `width` channels, residual blocks, and a convolution to the outputs that starts at 0."""
    residual_blocks = [ResidualBlock(width, conv) for _ in range(blocks)]
    last = conv(width, outputs, kernel_init=nnx.initializers.zeros)
    return nnx.Sequential(conv(inputs, width), nnx.gelu, *residual_blocks, nnx.gelu, last)


class ResidualBlock(nnx.Module):
    """Two convolutions whose result, small at first, is added to their input."""

    def __init__(self, width: int, conv: Callable[..., nnx.Conv]) -> None:
        """Builds both convolutions of `width` channels by `conv`."""
        self.first = conv(width, width)
        self.second = conv(width, width, kernel_init=nnx.initializers.variance_scaling(0.1, "fan_in", "normal"))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (batch, rows, columns, width) to the same shape."""
        return x + self.second(nnx.gelu(self.first(x)))


def copy_channels(key: jax.Array, shape: tuple[int, int, int, int], dtype: DTypeLike) -> jax.Array:
    """Returns the kernel of a convolution that copies channel i to channel i, in the form of a Flax initialiser."""
    height, width, inputs, outputs = shape
    return jnp.zeros(shape, dtype).at[height // 2, width // 2].set(jnp.eye(inputs, outputs, dtype=dtype))
