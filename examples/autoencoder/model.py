"""A convolutional autoencoder that works on the DCT coefficients of blocks of pixels.

The pixels of a block are strongly correlated, so gradient descent on a strided convolution of them converges slowly.
Their DCT coefficients are nearly uncorrelated and, once scaled, of similar spread. The network therefore begins and
ends with a fixed block DCT. Its first guess is to keep the lowest frequencies; training improves on that.
"""

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
        dtype = jnp.dtype(config.dtype)
        self.encoder = ResidualConv(coefficients, config.bottleneck, config.width, dtype, rngs)
        self.decoder = ResidualConv(config.bottleneck, coefficients, config.width, dtype, rngs)

    def encode(self, patches: jax.Array) -> jax.Array:
        """Computes the bottleneck's values."""
        return self.encoder(block_dct(patches - 0.5, self.block))

    def decode(self, code: jax.Array) -> jax.Array:
        """Reconstructs patches; they are not clipped to [0, 1], because a clipped pixel has no gradient."""
        return inverse_block_dct(self.decoder(code), self.block) + 0.5

    def __call__(self, patches: jax.Array) -> jax.Array:
        """Returns the reconstructions of patches, of the same shape."""
        return self.decode(self.encode(patches))


class ResidualConv(nnx.Module):
    """A linear convolution, initialised to copy its channels, plus a nonlinear correction, initialised to zero."""

    def __init__(self, inputs: int, outputs: int, width: int, dtype: jnp.dtype, rngs: nnx.Rngs) -> None:
        """Builds convolutions from `inputs` to `outputs` channels that compute in `dtype`; parameters are float32."""
        conv = partial(nnx.Conv, dtype=dtype, rngs=rngs)
        self.linear = conv(inputs, outputs, (3, 3), kernel_init=copy_channels)
        self.widen = conv(inputs, width, (1, 1))
        self.mix = conv(width, width, (3, 3))
        self.correct = conv(width, outputs, (1, 1), kernel_init=nnx.initializers.zeros)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (batch, rows, columns, inputs) to float32 (batch, rows, columns, outputs)."""
        hidden = nnx.gelu(self.mix(nnx.gelu(self.widen(x))))
        return self.linear(x).astype(jnp.float32) + self.correct(hidden)


def copy_channels(key: jax.Array, shape: tuple[int, int, int, int], dtype: DTypeLike) -> jax.Array:
    """Returns the kernel of a convolution that copies channel i to channel i, in the form of a Flax initialiser."""
    height, width, inputs, outputs = shape
    return jnp.zeros(shape, dtype).at[height // 2, width // 2].set(jnp.eye(inputs, outputs, dtype=dtype))
