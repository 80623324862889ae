"""The autoencoder of Bergmann et al. 2019, their Table 1, its strided layers computed at the coarser of two sizes.

A 4x4 convolution of stride 2 is a 2x2 convolution of the picture's 2x2 blocks, and its transpose a 2x2 convolution that
gives such blocks: the same numbers, without XLA's gradients of strided convolutions, which are slow on CPU.
"""

import jax
import jax.numpy as jnp
from flax import nnx

WINDOW = 128  # pixels a side of what the network sees
COARSEST = (8, 8, 32)  # what the encoder's convolutions end with


class Autoencoder(nnx.Module):
    """Crops (batch, 128, 128, 1) in [0, 1] to (batch, bottleneck) and back."""

    def __init__(self, bottleneck: int, rngs: nnx.Rngs) -> None:
        """Weights from `rngs`."""
        self.encoder = nnx.List(
            [
                *(Down(1, 32, rngs), Down(32, 32, rngs), Conv(3, 32, 32, 1, rngs)),
                *(Down(32, 64, rngs), Conv(3, 64, 64, 1, rngs)),
                *(Down(64, 128, rngs), Conv(3, 128, 64, 1, rngs), Conv(3, 64, 32, 1, rngs)),
            ]
        )
        self.squeeze = nnx.Linear(8 * 8 * 32, bottleneck, rngs=rngs)  # an 8x8 convolution of all there is
        self.expand = nnx.Linear(bottleneck, 8 * 8 * 32, rngs=rngs)
        self.decoder = nnx.List(
            [
                *(Conv(3, 32, 64, 1, rngs), Conv(3, 64, 128, 1, rngs), Up(128, 64, rngs)),
                *(Conv(3, 64, 64, 1, rngs), Up(64, 32, rngs)),
                *(Conv(3, 32, 32, 1, rngs), Up(32, 32, rngs)),
            ]
        )
        self.paint = Up(32, 1, rngs)

    def encode(self, crops: jax.Array) -> jax.Array:
        """The bottleneck's numbers."""
        x = crops - 0.5
        for layer in self.encoder:
            x = activate(layer(x))
        return self.squeeze(x.reshape(len(x), -1))

    def decode(self, code: jax.Array) -> jax.Array:
        """The crops that codes stand for, near [0, 1] but not clipped: a clipped pixel would have no gradient."""
        x = activate(self.expand(code)).reshape(-1, *COARSEST)
        for layer in self.decoder:
            x = activate(layer(x))
        return self.paint(x) + 0.5

    def __call__(self, crops: jax.Array) -> jax.Array:
        """Crops, reconstructed."""
        return self.decode(self.encode(crops))


class Conv(nnx.Module):
    """A convolution as one product of matrices: on CPU training takes a quarter of the time that XLA's own takes."""

    def __init__(self, size: int, inputs: int, outputs: int, padding: int, rngs: nnx.Rngs) -> None:
        """A kernel of size x size, and `padding` zeros about the picture."""
        self.padding = padding
        self.kernel = nnx.Param(nnx.initializers.he_normal()(rngs.params(), (size, size, inputs, outputs)))
        self.bias = nnx.Param(jnp.zeros(outputs))

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, height, width, inputs) to (batch, .., .., outputs)."""
        kernel = self.kernel[...]
        size, x = len(kernel), pad(x, self.padding)
        height, width = (side - size + 1 for side in x.shape[1:3])
        shifted = [x[:, i : i + height, j : j + width] for i in range(size) for j in range(size)]
        return jnp.concatenate(shifted, axis=-1) @ kernel.reshape(-1, kernel.shape[-1]) + self.bias[...]


class Down(nnx.Module):
    """A 4x4 convolution of stride 2 and padding 1: half the height and width."""

    def __init__(self, inputs: int, outputs: int, rngs: nnx.Rngs) -> None:
        """The kernel of the blocks."""
        self.blocks = Conv(2, 4 * inputs, outputs, 0, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Space to depth, then the convolution."""
        return self.blocks(space_to_depth(pad(x, 1)))


class Up(nnx.Module):
    """Its mirror, a transposed 4x4 convolution of stride 2 and padding 1: twice the height and width."""

    def __init__(self, inputs: int, outputs: int, rngs: nnx.Rngs) -> None:
        """The kernel of the blocks."""
        self.blocks = Conv(2, inputs, 4 * outputs, 1, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """The convolution, then depth to space, without the rim that was padding."""
        return depth_to_space(self.blocks(x))[:, 1:-1, 1:-1]


def activate(x: jax.Array) -> jax.Array:
    """A leaky ReLU."""
    return nnx.leaky_relu(x, 0.2)


def pad(x: jax.Array, rim: int) -> jax.Array:
    """Zeros about each picture."""
    return jnp.pad(x, ((0, 0), (rim, rim), (rim, rim), (0, 0)))


def space_to_depth(x: jax.Array) -> jax.Array:
    """Blocks of 2x2 pixels as channels: (batch, h, w, c) to (batch, h / 2, w / 2, 4 * c)."""
    batch, height, width, channels = x.shape
    blocks = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return blocks.swapaxes(2, 3).reshape(batch, height // 2, width // 2, 4 * channels)


def depth_to_space(x: jax.Array) -> jax.Array:
    """The inverse."""
    batch, height, width, channels = x.shape
    blocks = x.reshape(batch, height, width, 2, 2, channels // 4)
    return blocks.swapaxes(2, 3).reshape(batch, 2 * height, 2 * width, channels // 4)
