"""A convolutional autoencoder trained with 1 - SSIM, in one file of Flax NNX, Optax and jaxssim to copy and change.

`python -m examples.minimal` trains on photographs that ship with scikit-image and prints scores of photographs that the
network has not seen.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from flax import nnx
from skimage import data
from skimage.util import view_as_windows

import jaxssim

TRAINING = ("astronaut", "chelsea", "hubble_deep_field", "immunohistochemistry", "retina")
TEST = ("coffee", "rocket")
PATCH = 32  # pixels


class Autoencoder(nnx.Module):
    """Maps images (batch, height, width, 3) in [0, 1] to (batch, height / 8, width / 8, 24) and back."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        """Builds the layers with random weights."""
        conv = partial(nnx.Conv, kernel_size=(3, 3), rngs=rngs)
        halve = partial(conv, strides=2)
        self.encoder = nnx.Sequential(halve(3, 32), nnx.gelu, halve(32, 64), nnx.gelu, halve(64, 24))
        self.decoder = nnx.Sequential(
            *(double, conv(24, 64), nnx.gelu, double, conv(64, 32), nnx.gelu, double, conv(32, 3), nnx.sigmoid)
        )

    def __call__(self, images: jax.Array) -> jax.Array:
        """Returns the reconstructions of images, of the same shape."""
        return self.decoder(self.encoder(images))


def double(x: jax.Array) -> jax.Array:
    """Doubles the height and the width by repeating pixels."""
    return x.repeat(2, axis=1).repeat(2, axis=2)


def patches(names: tuple[str, ...], step: int) -> np.ndarray:
    """Returns patches of scikit-image's photographs, `step` pixels apart, as float32 (patches, PATCH, PATCH, 3)."""
    shape = (PATCH, PATCH, 3)
    windows = [view_as_windows(getattr(data, name)(), shape, step).reshape(-1, *shape) for name in names]
    return np.concatenate(windows).astype(np.float32) / 255


@nnx.jit
def train_step(model: Autoencoder, optimizer: nnx.Optimizer, batch: jax.Array) -> jax.Array:
    """Updates the model and the optimiser in place, and returns the loss before the update."""
    loss, gradients = nnx.value_and_grad(lambda model: jaxssim.ssim_loss(batch, model(batch), data_range=1.0))(model)
    optimizer.update(model, gradients)
    return loss


def main(steps: int = 800) -> None:
    """Train an autoencoder with 1 - SSIM and print its test scores."""
    training, test = patches(TRAINING, step=PATCH // 2), patches(TEST, step=PATCH)
    model = Autoencoder(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(optax.cosine_decay_schedule(5e-3, steps)), wrt=nnx.Param)
    rng = np.random.default_rng(0)
    for step in range(1, steps + 1):
        loss = train_step(model, optimizer, rng.choice(training, 32))
        if step % 100 == 0 or step == steps:
            print(f"step {step}: training loss {loss:.4f}")
    reconstructed = model(jnp.asarray(test))
    ssim, psnr = (metric(test, reconstructed, data_range=1.0).mean() for metric in (jaxssim.ssim, jaxssim.psnr))
    print(f"test SSIM {ssim:.4f}, test PSNR {psnr:.2f} dB")


if __name__ == "__main__":
    tyro.cli(main, prog="python -m examples.minimal")
