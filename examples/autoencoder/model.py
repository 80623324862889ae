"""A convolutional autoencoder of blocks of pixels, seen as frequencies.

A strided convolution sees the pixels of a block, which are all nearly the same number: gradient descent crawls. Their
discrete cosine transform tells the same in numbers that hardly depend on each other, and an equal spread of all of them
is a matter of scale, since photographs' amplitudes fall with frequency. So the network begins and ends with that fixed
change of basis, and learns what lies between: to do better than keep the lowest frequencies, with which it starts.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike

from examples.autoencoder.config import Config


class Autoencoder(nnx.Module):
    """Patches (batch, height, width, 3) in [0, 1] to (batch, height / block, width / block, bottleneck) and back."""

    def __init__(self, config: Config, rngs: nnx.Rngs) -> None:
        """Weights from `rngs`, sizes from `config`."""
        frequencies = 3 * config.block**2
        self.block = config.block
        dtype = jnp.dtype(config.dtype)
        self.encoder = Stage(frequencies, config.bottleneck, config.width, dtype, rngs)
        self.decoder = Stage(config.bottleneck, frequencies, config.width, dtype, rngs)

    def encode(self, patches: jax.Array) -> jax.Array:
        """The bottleneck's numbers."""
        return self.encoder(to_frequencies(patches - 0.5, self.block))

    def decode(self, code: jax.Array) -> jax.Array:
        """The patches that a code stands for, near [0, 1] but not clipped: a clipped pixel would have no gradient."""
        return from_frequencies(self.decoder(code), self.block) + 0.5

    def __call__(self, patches: jax.Array) -> jax.Array:
        """Patches, reconstructed."""
        return self.decode(self.encode(patches))


class Stage(nnx.Module):
    """A linear convolution that starts by passing channels on, and a nonlinear correction that starts at 0."""

    def __init__(self, inputs: int, outputs: int, width: int, dtype: jnp.dtype, rngs: nnx.Rngs) -> None:
        """Convolutions that take `inputs` channels to `outputs` channels, in `dtype` but for their parameters."""
        conv = partial(nnx.Conv, dtype=dtype, rngs=rngs)
        self.linear = conv(inputs, outputs, (3, 3), kernel_init=pass_on)
        self.widen = conv(inputs, width, (1, 1))
        self.mix = conv(width, width, (3, 3))
        self.correct = conv(width, outputs, (1, 1), kernel_init=nnx.initializers.zeros)

    def __call__(self, x: jax.Array) -> jax.Array:
        """The sum of the two, in float32."""
        hidden = nnx.gelu(self.mix(nnx.gelu(self.widen(x))))
        return self.linear(x).astype(jnp.float32) + self.correct(hidden)


def pass_on(key: jax.Array, shape: tuple[int, int, int, int], dtype: DTypeLike) -> jax.Array:
    """The kernel of a convolution that does nothing: each channel at the centre goes where it came from."""
    height, width, inputs, outputs = shape
    return jnp.zeros(shape, dtype).at[height // 2, width // 2].set(jnp.eye(inputs, outputs, dtype=dtype))


def to_frequencies(images: jax.Array, block: int) -> jax.Array:
    """Space to depth, then the scaled DCT of each block: (.., h, w, 3) to (.., h / block, w / block, 3 * block^2)."""
    *batch, height, width, channels = images.shape
    blocks = images.reshape(*batch, height // block, block, width // block, block, channels)
    blocks = jnp.swapaxes(blocks, -4, -3).reshape(*batch, height // block, width // block, -1)
    basis, scale = cosines(block)
    return blocks @ (basis * scale)


def from_frequencies(frequencies: jax.Array, block: int) -> jax.Array:
    """The inverse: DCT undone, then depth to space."""
    basis, scale = cosines(block)
    *batch, rows, columns, _ = frequencies.shape
    blocks = (frequencies @ (basis / scale).T).reshape(*batch, rows, columns, block, block, 3)
    return jnp.swapaxes(blocks, -4, -3).reshape(*batch, rows * block, columns * block, 3)


def cosines(block: int) -> tuple[np.ndarray, np.ndarray]:
    """An orthonormal basis of a block's pixels and colours, lowest frequency first, and what spreads all alike.

    Colour is lightness and two opponents, red to green and blue to yellow, whose amplitudes are smaller.
    """
    k, n = np.ogrid[:block, :block]
    dct = np.cos(np.pi * k * (2 * n + 1) / (2 * block)) * np.where(k == 0, 1, np.sqrt(2)) / np.sqrt(block)
    opponents = np.asarray([[1, 1, 1], [1, -1, 0], [1, 1, -2]]) / np.sqrt([[3], [2], [6]])
    basis = np.einsum("ih,jw,kc->hwcijk", dct, dct, opponents).reshape(3 * block**2, -1)
    scale = ((1 + np.hypot(k, n))[..., None] * np.asarray([0.5, 2, 2])).reshape(-1)
    order = np.argsort(scale, kind="stable")
    return basis[:, order].astype(np.float32), scale[order].astype(np.float32)
