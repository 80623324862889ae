"""The autoencoder of Bergmann et al. 2019 (their Table 1)."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

WINDOW = 128  # pixels of each side of the network's input
COARSEST = (8, 8, 32)  # the shape of the encoder's last feature maps

activate = partial(nnx.leaky_relu, negative_slope=0.2)


class Autoencoder(nnx.Module):
    """Maps crops (batch, 128, 128, 1) in [0, 1] to codes (batch, bottleneck) and back."""

    def __init__(self, bottleneck: int, rngs: nnx.Rngs) -> None:
        """Initialises the weights from `rngs`."""
        conv = partial(nnx.Conv, kernel_size=(3, 3), kernel_init=nnx.initializers.he_normal(), rngs=rngs)
        halve = partial(conv, kernel_size=(4, 4), strides=2)
        double = partial(TransposedConv, rngs=rngs)
        self.encoder = nnx.List(
            [
                *(halve(1, 32), halve(32, 32), conv(32, 32)),
                *(halve(32, 64), conv(64, 64)),
                *(halve(64, 128), conv(128, 64), conv(64, 32)),
            ]
        )
        self.squeeze = nnx.Linear(8 * 8 * 32, bottleneck, rngs=rngs)  # the paper's 8x8 convolution of 8x8 pixels
        self.expand = nnx.Linear(bottleneck, 8 * 8 * 32, rngs=rngs)
        self.decoder = nnx.List(
            [
                *(conv(32, 64), conv(64, 128), double(128, 64)),
                *(conv(64, 64), double(64, 32)),
                *(conv(32, 32), double(32, 32)),
            ]
        )
        self.output = double(32, 1)

    def encode(self, crops: jax.Array) -> jax.Array:
        """Returns the codes of crops."""
        x = crops - 0.5
        for layer in self.encoder:
            x = activate(layer(x))
        return self.squeeze(x.reshape(len(x), -1))

    def decode(self, codes: jax.Array) -> jax.Array:
        """Returns the crops of codes, near [0, 1] but not clipped: a clipped pixel has no gradient."""
        x = activate(self.expand(codes)).reshape(-1, *COARSEST)
        for layer in self.decoder:
            x = activate(layer(x))
        return self.output(x) + 0.5

    def __call__(self, crops: jax.Array) -> jax.Array:
        """Returns the reconstructions of crops."""
        return self.decode(self.encode(crops))


class TransposedConv(nnx.ConvTranspose):
    """A 4x4 transposed convolution of stride 2, which doubles height and width, with a bias for each pixel of a block.

    On CPU, XLA is slow at the gradient of `nnx.ConvTranspose`, so that on CPU this layer computes the same numbers by
    one matrix product. Elsewhere it calls `nnx.ConvTranspose`.
    """

    def __init__(self, inputs: int, outputs: int, rngs: nnx.Rngs) -> None:
        """Initialises the kernel as He et al. 2015 do: 4 of the kernel's 16 pixels reach each pixel of the output."""
        kernel_init = nnx.initializers.variance_scaling(2.0 * 16 / 4, "fan_in", "truncated_normal")
        super().__init__(inputs, outputs, (4, 4), strides=2, use_bias=False, kernel_init=kernel_init, rngs=rngs)
        # The published scores were measured with a bias for each pixel; with one for all, none of 4 networks on brick
        # left the uniform grey with which training with SSIM begins.
        self.block_bias = nnx.Param(jnp.zeros((2, 2, outputs)))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (batch, height, width, inputs) to (batch, 2 * height, 2 * width, outputs)."""
        on_cpu = jax.default_backend() == "cpu"
        output = transpose_conv_by_blocks(x, self.kernel[...]) if on_cpu else super().__call__(x)
        return output + jnp.tile(self.block_bias[...], (*x.shape[1:3], 1))


def transpose_conv_by_blocks(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Computes a 4x4 transposed convolution of stride 2 as a matrix product.

    Every 2x2 block of output pixels depends on the same 2x2 pixels of the zero-padded input. The matrix maps those
    pixels to such a block. The blocks begin one pixel outside the output, at its upper left corner.

    A training step of 8 crops takes 240 ms (L2) and 264 ms (SSIM) with this function, and 868 ms and 956 ms with
    `nnx.ConvTranspose` (medians of 21 steps in turns; 2 CPU cores, which other programs shared; JAX 0.12).

    Args:
        x: (batch, height, width, inputs).
        kernel: (4, 4, inputs, outputs), as in `nnx.ConvTranspose`.

    Returns:
        (batch, 2 * height, 2 * width, outputs).
    """
    (batch, height, width, inputs), outputs = x.shape, kernel.shape[-1]
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    neighbours = [padded[:, i : i + height + 1, j : j + width + 1] for i in (0, 1) for j in (0, 1)]
    # Split each axis of the kernel into the neighbour and, in reverse order, the pixel of the block.
    taps = kernel.reshape(2, 2, 2, 2, inputs, outputs)[:, ::-1, :, ::-1].transpose(0, 2, 4, 1, 3, 5)
    blocks = jnp.concatenate(neighbours, axis=-1) @ taps.reshape(4 * inputs, 4 * outputs)
    blocks = blocks.reshape(batch, height + 1, width + 1, 2, 2, outputs).swapaxes(2, 3)
    return blocks.reshape(batch, 2 * height + 2, 2 * width + 2, outputs)[:, 1:-1, 1:-1]
